"""The demo's cancellations of the earlier platform."""

from __future__ import annotations

from flask import Flask
from sqlalchemy import select

from cnn_offset.demo.earlier import add_earlier, read_earlier
from cnn_offset.demo.reading import read_demo
from cnn_offset.domain.units import SerialRange, cer_range, first_overlap
from cnn_offset.extensions import db, unit_of_work
from cnn_offset.models import HistoricCancellation
from cnn_offset.services import checking_history, recalling
from tests.conftest import Clock
from tests.factories import make_activity

EARLIER = read_earlier()


def test_no_unit_is_on_offer_or_there_twice() -> None:
    blocks = [
        SerialRange(activity.host_party, block.first, block.last, "", "")
        for activity in read_demo().activities
        for block in activity.blocks
        if activity.registry == "cdm"
    ]
    assert first_overlap([*(each.serials for each in EARLIER), *blocks]) is None
    for each in EARLIER:
        assert cer_range(each.serials.first_text, each.serials.last_text) == each.serials


def test_they_are_of_projects_of_the_demo_but_for_one() -> None:
    known = {(each.ref, each.host_party) for each in read_demo().activities}
    strange = [each for each in EARLIER if (each.ref, each.party) not in known]
    assert [bool(each.title) for each in strange] == [True]


def test_they_are_added_once(app: Flask, clock: Clock) -> None:
    with app.app_context():
        make_activity(ref="90041", host_party="IN")
        db.session.commit()
        for wanted in (len(EARLIER), 0):
            with unit_of_work() as session:
                assert add_earlier(session, now=clock()) == wanted
        rows = db.session.scalars(select(HistoricCancellation)).all()
        assert len(rows) == len(EARLIER)
        assert [row.activity_ref for row in rows if row.activity] == ["90041"]
        assert len(recalling.of_order(db.session(), "48233")) == 2
        assert list(checking_history.imported(db.session())) == []

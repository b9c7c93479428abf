"""Imported cancellations as a whole: entered, added up, blanked at somebody's wish."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta

import pytest
from flask import Flask
from flask_migrate import downgrade, upgrade
from sqlalchemy import select, text

from cnn_offset.domain.units import UnitType
from cnn_offset.extensions import db, unit_of_work
from cnn_offset.models import Activity, ActivityKind, CancelledRange, HistoryTerm, Issuance
from cnn_offset.services import blanking, checking_history, finding, recalling, remembering
from cnn_offset.services.finding import OrderQuery
from cnn_offset.services.recording import RecordQuery
from cnn_offset.services.registering import Registration, register_activity
from tests.conftest import Clock
from tests.factories import make_activity
from tests.history import THEN, make_earlier


@pytest.fixture
def here(any_app: Flask) -> Iterator[None]:
    with any_app.app_context():
        yield


def faults() -> list[str]:
    return list(checking_history.imported(db.session()))


def issue(first: int, last: int, **values: object) -> None:
    db.session.add(
        Issuance(
            **{
                "registry_id": "cdm",
                "activity_ref": "4141",
                "party": "IN",
                "unit_type": UnitType.CER,
                "series": "IN",
                "first": first,
                "last": last,
                "completed_at": datetime(2014, 1, 1, tzinfo=UTC),
                **values,
            }
        )
    )
    db.session.commit()


def test_what_is_whole_adds_up(here: None) -> None:
    make_earlier(first=100)
    make_earlier(first=5000)
    assert faults() == []
    issue(1, 1000)
    issue(1001, 4000, activity_ref="9")
    assert faults() == []


@pytest.mark.parametrize(
    ("first", "last", "values"),
    [
        (105, 1000, {}),
        (1, 1000, {"activity_ref": "9"}),
        (1, 1000, {"unit_type": UnitType.TCER}),
    ],
)
def test_what_lies_elsewhere_is_told(
    app: Flask, first: int, last: int, values: dict[str, object]
) -> None:
    with app.app_context():
        make_earlier(first=100)
        issue(first, last, **values)
        assert faults() == [
            "imported range from IN-5-100-1-1-0-4141: not within one issuance of its project"
        ]


def test_units_missing_and_terms_missing_are_told(here: None) -> None:
    one, two = make_earlier(first=100), make_earlier(first=200)
    db.session.execute(text("UPDATE historic_cancellation SET quantity = 11 WHERE id = :id"),
                       {"id": one.id})  # fmt: skip
    db.session.execute(text("DELETE FROM history_term WHERE historic_id = :id"), {"id": two.id})
    db.session.commit()
    assert faults() == [
        f"imported cancellation {one.id}: its serial numbers are not its quantity",
        f"imported cancellation {two.id}: cannot be found in the record",
    ]


def test_terms_are_what_people_look_for(here: None) -> None:
    known = make_activity(title={"en": "Wind", "fr": "Éolien", "es": "Eólica"}, ref="4141")
    row = make_earlier(
        reference=" vc0012-2018", order_ref="77", activity_id=known.id, beneficiary="Łódź & Co"
    )
    assert set(
        db.session.scalars(select(HistoryTerm.term).where(HistoryTerm.historic_id == row.id))
    ) == {
        *("year:2018", "type:cer", "host:IN", "registry:cdm", "number:12/2018"),
        *(f"word:{each}" for each in (
            "windmills", "of", "kutch", "4141", "lodz", "co", "vc0012", "2018", "77",
            "wind", "eolien", "eolica",
        )),
    }  # fmt: skip
    assert db.session.scalar(select(HistoryTerm.completed_at).limit(1)) == THEN


def test_long_and_odd_texts_are_cut(here: None) -> None:
    row = make_earlier(
        reference="9" * 80, beneficiary="x" * 5000, activity_title="\u0130 \U0001f331"
    )
    assert db.session.scalar(select(HistoryTerm.term).where(HistoryTerm.historic_id == row.id))


def test_an_empty_batch_is_nothing(here: None) -> None:
    remembering.index_batch(db.session(), [], now=THEN)
    assert remembering.first_year(db.session()) == 0


def test_the_desk_does_not_trip_over_imported_units(here: None) -> None:
    make_earlier(first=100)
    assert db.session.scalar(select(CancelledRange.cancellation_id)) is None
    found = finding.find_orders(
        db.session(), OrderQuery("IN-5-105-1-1-0-4141"), registry_ids=["cdm"], limit=5
    )
    assert list(found.orders) == []


def test_a_project_registered_later_takes_up_its_cancellations(here: None, clock: Clock) -> None:
    one = make_earlier(first=100, activity_ref="555")
    two = make_earlier(first=200, activity_ref="555", completed_at=THEN + timedelta(days=3))
    other = make_earlier(first=300, activity_ref="556")
    with unit_of_work() as session:
        wanted = Registration(
            registry_id="cdm",
            ref="555",
            kind=ActivityKind.PA,
            title={"en": "Tide mill", "fr": "Moulin à marée", "es": "Molino de mareas"},
            host_party="IN",
            scope=1,
            technology="hydro",
            methodology="ACM0002",
            crediting_start=date(2010, 1, 1),
            crediting_end=date(2019, 12, 31),
            registry_url="",
        )
        made = register_activity(session, wanted, actor="op", now=clock()).id
        assert (
            remembering.link_projects(session, [session.get_one(Activity, made)], now=clock()) == 0
        )
    db.session.expire_all()
    assert [row.activity_id for row in (one, two, other)] == [made, made, None]
    found, _ = recalling.find_earlier(
        db.session(), RecordQuery("marée"), registry_ids=[], before=None, limit=5
    )
    assert [row.id for row in found] == [two.id, one.id]
    assert faults() == []
    blanking.blank(db.session(), one.id, actor="op", now=clock())
    kept = select(HistoryTerm.term).where(HistoryTerm.historic_id == one.id)
    assert {"word:moulin", "word:kutch"} <= set(db.session.scalars(kept))


def test_the_words_outlive_going_back_and_forth(any_app: Flask) -> None:
    with any_app.app_context():
        make_earlier(first=100)
        words = select(HistoryTerm.term, HistoryTerm.historic_id).order_by(HistoryTerm.term)
        before = db.session.execute(words).all()
        db.session.remove()
        downgrade(revision="0019")
        with db.engine.connect() as connection:
            assert len(connection.execute(text("SELECT term FROM history_term")).all()) == len(
                before
            )
        upgrade()
        assert db.session.execute(words).all() == before
        assert remembering.facets(db.session()) == {
            "host": ["IN"],
            "registry": ["cdm"],
            "year": ["2018"],
        }
        assert db.session.scalar(select(HistoryTerm.completed_at).limit(1)) == THEN

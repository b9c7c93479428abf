"""Figures of the earlier platform: counted by day, shown beside ours, never in them."""

from __future__ import annotations

from datetime import date, timedelta

import pytest
from flask import Flask
from flask.testing import FlaskClient

from cnn_offset import periods
from cnn_offset.domain.period import Period
from cnn_offset.extensions import db, unit_of_work
from cnn_offset.models import Span, Tally
from cnn_offset.services import tallying
from tests.conftest import Clock
from tests.factories import make_activity, make_block, make_offer, make_payout, make_provider
from tests.history import THEN, make_earlier
from tests.papers import DONE, make_attestation
from tests.web.people import add_person, log_in
from tests.web.shopping import text_of
from tests.web.test_figures import lines

DAY = THEN.date()


@pytest.fixture
def both(app: Flask, clock: Clock) -> Flask:
    """Ten units cancelled here, and 25 on the earlier platform on two days of 2018."""
    with app.app_context():
        hydro = make_activity(technology="hydro")
        make_attestation(make_block())
        make_earlier(quantity=10, activity_id=hydro.id)
        make_earlier(quantity=5, host_party="CL")
        make_earlier(quantity=10, completed_at=THEN + timedelta(days=40))
        for day in (DAY, DAY + timedelta(days=40), DONE.date()):
            with unit_of_work() as session:
                tallying.make_day(session, day, now=clock())
    return app


def test_a_day_counts_what_was_imported(any_app: Flask, clock: Clock) -> None:
    with any_app.app_context():
        hydro = make_activity(technology="hydro")
        make_earlier(quantity=10, activity_id=hydro.id)
        make_earlier(quantity=5, host_party="CL")
        due = db.session.query(Tally).filter(Tally.due_at.is_not(None)).all()
        assert [each.day for each in due] == [DAY]
        assert tallying.first_day(db.session()) == DAY
        with unit_of_work() as session:
            tallying.make_month(session, Period.holding("month", DAY), now=clock())
        kept = tallying.kept(db.session(), Span.YEAR, date(2018, 1, 1))
        assert kept == {
            ("earlier", "all", ""): (2, 15, 0),
            ("earlier", "registry", "cdm"): (2, 15, 0),
            ("earlier", "unit_type", "cer"): (2, 15, 0),
            ("earlier", "host", "IN"): (1, 10, 0),
            ("earlier", "host", "CL"): (1, 5, 0),
            ("earlier", "technology", "hydro"): (1, 10, 0),
            ("earlier", "technology", ""): (1, 5, 0),
        }
        assert list(tallying.check(db.session(), unread=set())) == []


def test_the_public_page_of_a_year_before_ours(both: Flask, client: FlaskClient) -> None:
    text = text_of(client.get("/en/figures?period=2018"))
    for each in (
        "Cancellations on the earlier platform",
        "Earlier platform: units by host country",
        "Project not known here",
        "Units cancelled, both platforms",
        "Since 2018, both platforms",
    ):
        assert each in text, each
    assert 'class="notice' not in client.get("/en/figures?period=2018").get_data(as_text=True)
    found = {tuple(row[1:4]): row[4] for row in lines(
        client.get("/en/figures/figures.csv?period=2018").get_data(as_text=True)
    )}  # fmt: skip
    assert found["At a glance", "Units cancelled (tonnes of CO₂ equivalent)", "2018"] == "0"
    assert found["At a glance", "Units cancelled on the earlier platform", "2018"] == "25"
    assert found["Since 2018, both platforms", "Earlier platform", "Units"] == "25"
    assert found["Since 2018, both platforms", "Here", "Units"] == "10"
    assert found["Since 2018, both platforms", "Both together", "Units"] == "35"
    assert found["Year by year, since the beginning", "2018", "Units cancelled"] == "0"
    assert found["Year by year, since the beginning", "2018", "Units, earlier platform"] == "25"
    assert found["Year by year, since the beginning", "2026", "Units cancelled"] == "10"
    assert found["Month by month", "May 2018", "Units, earlier platform"] == "15"


def test_a_year_of_ours_says_nothing_of_theirs_but_the_total(
    both: Flask, client: FlaskClient
) -> None:
    text = text_of(client.get("/en/figures?period=2026"))
    assert "Since 2018, both platforms" in text
    assert "Earlier platform: units" not in text
    assert "on the earlier platform" not in text.split("Since 2018")[0]


def test_the_board_report_shows_them_too(both: Flask) -> None:
    add_person(both, "op@example.org", "operator")
    text = text_of(log_in(both, "op@example.org").get("/en/operator/reports?period=2018"))
    assert "Earlier platform: units by kind of unit" in text
    assert "Both together" in text
    assert '<option value="2018"' in log_in(both, "op@example.org").get(
        "/en/operator/reports"
    ).get_data(as_text=True)


def test_the_front_page_tells_them_apart(both: Flask, client: FlaskClient) -> None:
    with both.app_context():
        provider = make_provider()
        make_payout(provider)
        make_offer(make_block(make_activity(), provider), provider_id=provider.id)
        db.session.commit()
    page = client.get("/en/").text
    assert "tonnes cancelled</dt><dd>10</dd>" in page
    assert "tonnes cancelled on the earlier platform</dt><dd>25</dd>" in page


def test_years_can_be_chosen_back_to_the_first() -> None:
    today = date(2026, 11, 2)
    assert [each.code for each in periods.offered(today, oldest=2015)][-1] == "2015"
    assert [each.code for each in periods.offered(today, oldest=2025)][-1] == "2023"
    assert periods.offered(today, oldest=0) == periods.offered(today)

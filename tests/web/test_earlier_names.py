"""Names in imported cancellations: found by what is on the certificate, blanked by two."""

from __future__ import annotations

import pytest
from flask import Flask
from flask.testing import FlaskClient
from sqlalchemy import select

from cnn_offset.domain.staff import OperatorRole
from cnn_offset.extensions import db, unit_of_work
from cnn_offset.models import Event, HistoricCancellation, HistoryTerm, Proposal
from cnn_offset.services import NotFoundError, ServiceError, blanking
from tests.conftest import Clock
from tests.history import make_earlier
from tests.web.people import add_person, log_in, post

HEAD, OTHER = "head@example.org", "other@example.org"


@pytest.fixture
def ids(app: Flask) -> list[int]:
    """Two parts of one order, and another order."""
    with app.app_context():
        return [
            make_earlier(order_ref="77", first=1000).id,
            make_earlier(order_ref="77", reference="VC5/2018", first=2000, reason="").id,
            make_earlier(order_ref="78", beneficiary="", reason="", first=3000).id,
        ]


@pytest.fixture
def head(app: Flask) -> FlaskClient:
    add_person(app, HEAD, "operator")
    return log_in(app, HEAD)


@pytest.mark.parametrize(
    ("number", "places"),
    [
        ("77", [0, 1]),
        (" VC5/2018 ", [1]),
        ("IN-5-1003-1-1-0-4141", [0]),
        ("79", []),
        ("Zürich", []),
        ("'", []),
    ],
)
def test_finds_by_number(head: FlaskClient, ids: list[int], number: str, places: list[int]) -> None:
    page = head.get("/en/operator/earlier", query_string={"number": number})
    assert page.status_code == 200
    text = page.get_data(as_text=True)
    assert [at for at, each in enumerate(ids) if f"/operator/earlier/{each}" in text] == places
    assert ("Nothing is known under this number" in text) is not bool(places)


@pytest.mark.parametrize("number", ["9" * 101, "a\u202eb"])
def test_what_cannot_be_read_comes_back(head: FlaskClient, number: str) -> None:
    page = head.get("/en/operator/earlier", query_string={"number": number})
    assert page.status_code == 422


def test_two_operators_blank_name_and_reason_of_a_whole_order(
    app: Flask, clock: Clock, head: FlaskClient, ids: list[int]
) -> None:
    text = head.get(f"/en/operator/earlier/{ids[1]}").get_data(as_text=True)
    assert "Erase name and reason" in text
    page = post(head, f"/en/operator/earlier/{ids[1]}/erase", reason="")
    assert page.status_code == 422
    answer = post(head, f"/en/operator/earlier/{ids[1]}/erase", reason="a letter of today")
    assert answer.status_code == 302
    again = post(head, f"/en/operator/earlier/{ids[0]}/erase", reason="a letter of today")
    assert again.status_code == 422
    assert "waits for a second operator" in again.get_data(as_text=True)
    with app.app_context():
        proposal = db.session.scalars(select(Proposal)).one()
        assert proposal.payload == {"historic_id": ids[0]}
        number = proposal.id
    add_person(app, OTHER, "operator")
    other = log_in(app, OTHER)
    text = other.get(f"/en/operator/proposals/{number}").get_data(as_text=True)
    assert "blanked in all parts of that order" in text
    assert post(other, f"/en/operator/proposals/{number}/approve").status_code == 302
    with app.app_context():
        rows = db.session.scalars(
            select(HistoricCancellation).where(HistoricCancellation.order_ref == "77")
        ).all()
        assert {(row.beneficiary, row.reason) for row in rows} == {("", "")}
        words = set(db.session.scalars(select(HistoryTerm.term)))
        assert "word:cyclists" not in words
        assert {"word:kutch", "word:77", "host:IN"} <= words
        told = db.session.scalars(
            select(Event).where(
                Event.subject == "historic_cancellation", Event.new == "data erased"
            )
        ).all()
        assert {(each.subject_id, each.actor) for each in told} == {
            (ids[0], OTHER),
            (ids[1], OTHER),
        }
    public = app.test_client()
    assert "Zürich" not in public.get(f"/en/record/earlier-{ids[0]}").get_data(as_text=True)
    assert "Nothing matches" in public.get("/en/record?q=cyclists").get_data(as_text=True)
    text = head.get(f"/en/operator/earlier/{ids[0]}").get_data(as_text=True)
    assert "This entry says no name and no reason." in text


def test_what_says_nothing_is_not_asked_for(
    app: Flask, head: FlaskClient, ids: list[int], clock: Clock
) -> None:
    page = post(head, f"/en/operator/earlier/{ids[2]}/erase", reason="a letter")
    assert page.status_code == 422
    assert head.get("/en/operator/earlier/999").status_code == 404
    assert post(head, "/en/operator/earlier/999/erase", reason="x").status_code == 404
    with app.app_context(), unit_of_work() as session:
        with pytest.raises(ServiceError):
            blanking.ask(session, ids[0], reason=" ", actor=HEAD, now=clock())
        with pytest.raises(NotFoundError):
            blanking.ask(session, 999, reason="x", actor=HEAD, now=clock())
        assert blanking.blank(session, ids[0], actor=HEAD, now=clock()) == 2
        assert blanking.blank(session, ids[0], actor=HEAD, now=clock()) == 0


def test_a_role_without_the_duty_may_not_ask(app: Flask, ids: list[int]) -> None:
    add_person(app, "audit@example.org", "operator", operator_role=OperatorRole.AUDITOR)
    client = log_in(app, "audit@example.org")
    answer = post(client, f"/en/operator/earlier/{ids[0]}/erase", reason="a letter")
    assert answer.status_code == 403

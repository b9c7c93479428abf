"""Differences at the desk, and what everybody sees of the nights."""

from __future__ import annotations

from datetime import timedelta

import pytest
from flask import Flask
from flask.testing import FlaskClient
from sqlalchemy import event, select

from cnn_offset.domain.staff import OperatorRole
from cnn_offset.domain.status import DifferenceStatus
from cnn_offset.extensions import db
from cnn_offset.models import Difference, DifferenceKind, Hindrance, Night, NightStep
from cnn_offset.services import differing
from tests.conftest import Clock
from tests.factories import make_activity, make_block
from tests.papers import DONE, make_attestation
from tests.web.people import add_person, log_in, post
from tests.web.shopping import text_of

LIST = "/en/operator/differences"


@pytest.fixture
def operator(app: Flask) -> FlaskClient:
    add_person(app, "op@example.org", "operator")
    return log_in(app, "op@example.org")


def add_night(clock: Clock, day: int = 0, **values: object) -> Night:
    """A night so many days ago; needs a context."""
    made = Night(
        **{
            "registry_id": "cdm",
            "day": (clock() - timedelta(days=day)).date(),
            "began_at": clock(),
            "ended_at": clock(),
            "step": NightStep.DONE,
            "matched": 1234,
            "matched_units": 56789,
            **values,
        }
    )
    db.session.add(made)
    db.session.flush()
    return made


def add_difference(clock: Clock, **values: object) -> int:
    """An open difference; needs a context."""
    made = Difference(
        **{
            "registry_id": "cdm",
            "kind": DifferenceKind.OURS_ONLY,
            "name": "c-SECRET-1",
            "ours": {"key": "c-SECRET-1", "units": 12, "ranges": ["KE-5-1", "KE-5-9"]},
            "theirs": {},
            "found_at": clock(),
            "seen_at": clock(),
            **values,
        }
    )
    db.session.add(made)
    db.session.flush()
    return made.id


# For everybody


def test_before_the_first_night(client: FlaskClient) -> None:
    page = client.get("/en/reconciliation")
    assert page.status_code == 200
    assert "Nothing has been compared yet." in text_of(page)
    assert "/en/reconciliation" in client.get("/en/record").text
    assert "/en/reconciliation" in client.get("/en/").text


def test_the_last_thirty_nights(app: Flask, client: FlaskClient, clock: Clock) -> None:
    with app.app_context():
        for day in range(40):
            add_night(clock, day)
        found = add_night(clock, -1, found=1)
        add_difference(clock, night_id=found.id)
        add_night(clock, -2, found=1)
        add_night(clock, -3, hindrance=Hindrance.SILENT, words="answer 503 token=abc")
        add_night(clock, -4, ended_at=None, step=NightStep.LIST)
        db.session.commit()
    page = client.get("/en/reconciliation")
    shown = text_of(page)
    assert page.text.count('<tr role="row">') == 31, "thirty nights, and the head"
    assert "1,234" in shown
    assert "56,789" in shown
    for words in (
        "Everything agrees",
        "Explained",
        "Looked into",
        "Not compared: the registry did not answer.",
    ):
        assert words in shown
    # Neither keys nor the words of a failure.
    assert "SECRET" not in page.text
    assert "503" not in page.text
    for lang in ("fr", "es"):
        assert client.get(f"/{lang}/reconciliation").status_code == 200


@pytest.mark.parametrize("hindrance", Hindrance)
def test_every_hindrance_has_words(
    app: Flask, client: FlaskClient, clock: Clock, hindrance: Hindrance
) -> None:
    with app.app_context():
        add_night(clock, hindrance=hindrance)
        db.session.commit()
    page = client.get("/en/reconciliation")
    assert page.status_code == 200
    assert "Everything agrees" not in page.text


def test_the_page_costs_the_same_with_many_nights(
    app: Flask, client: FlaskClient, clock: Clock
) -> None:
    def cost() -> int:
        statements: list[str] = []

        def count(_c: object, _cur: object, statement: str, *_: object) -> None:
            statements.append(statement)

        with app.app_context():
            engine = db.engine
        event.listen(engine, "before_cursor_execute", count)
        try:
            assert client.get("/en/reconciliation").status_code == 200
        finally:
            event.remove(engine, "before_cursor_execute", count)
        return len(statements)

    with app.app_context():
        add_night(clock)
        db.session.commit()
    cost()
    few = cost()
    with app.app_context():
        for day in range(1, 300):
            add_night(clock, day)
        db.session.commit()
    assert cost() == few


# At the desk


def test_a_difference_is_shown_with_both_sides_and_settled(
    app: Flask, operator: FlaskClient, clock: Clock
) -> None:
    with app.app_context():
        order = make_attestation(make_block(make_activity()), paid_at=DONE).order
        number, code = add_difference(clock, order_id=order.id), order.code
        add_night(clock, words="answer 503", hindrance=Hindrance.SILENT)
        db.session.commit()
    shown = operator.get(LIST)
    assert "c-SECRET-1" in shown.text
    assert "answer 503" in shown.text
    waits = operator.get("/en/operator/attention")
    assert "Other than in the registry’s books" in text_of(waits)
    assert f"/en/operator/differences/{number}" in waits.text
    path = f"{LIST}/{number}"
    page = operator.get(path)
    for words in ("KE-5-9", code, "Ask the registry’s staff"):
        assert words in page.text
    for remark in ("", "   "):
        answer = post(operator, path, remark=remark)
        assert answer.status_code == 422
        assert "Please write what you found." in text_of(answer)
    assert post(operator, path, remark="x" * 1001).status_code == 422
    assert post(operator, path, remark="They were late.").location == path
    after = text_of(operator.get(path))
    assert "They were late." in after
    assert "Settle the difference" not in after
    late = post(operator, path, remark="Me too.")
    assert late.status_code == 422
    assert "Somebody has dealt with this meanwhile." in text_of(late)
    with app.app_context():
        row = db.session.scalars(select(Difference)).one()
        assert (row.status, row.remark) == (DifferenceStatus.SETTLED, "They were late.")
    assert "None: everything" in text_of(operator.get(LIST))
    assert "c-SECRET-1" in operator.get(f"{LIST}?show=all").text


@pytest.mark.parametrize("kind", DifferenceKind)
def test_every_kind_has_words(
    app: Flask, operator: FlaskClient, clock: Clock, kind: DifferenceKind
) -> None:
    with app.app_context():
        number = add_difference(
            clock, kind=kind, ours={"held": 5}, theirs={"held": 4, "words": "<b>odd</b>"}
        )
        db.session.commit()
    page = operator.get(f"{LIST}/{number}")
    assert page.status_code == 200
    assert "&lt;b&gt;odd" in page.text
    assert operator.get("/en/operator/attention").text.count(f"/differences/{number}") == 1


def test_one_that_ended_by_itself_says_why(app: Flask, operator: FlaskClient, clock: Clock) -> None:
    with app.app_context():
        number = add_difference(
            clock, status=DifferenceStatus.GONE, remark=differing.LISTED, ended_at=clock()
        )
        db.session.commit()
    assert "The registry’s list has it now." in text_of(operator.get(f"{LIST}/{number}"))
    assert post(operator, f"{LIST}/{number}", remark="x").status_code == 422


def test_a_long_list_is_paged(app: Flask, operator: FlaskClient, clock: Clock) -> None:
    with app.app_context():
        for n in range(differing.PAGE + 3):
            add_difference(clock, name=f"c-KEY-{n}")
        db.session.commit()
    first = operator.get(LIST)
    assert "c-KEY-2<" not in first.text
    assert "Older ones" in first.text
    assert "c-KEY-2<" in operator.get(f"{LIST}?before=4").text
    for odd in ("x", "-1", "9" * 40):
        assert operator.get(f"{LIST}?before={odd}").status_code == 200


@pytest.mark.parametrize("role", [OperatorRole.AUDITOR, OperatorRole.EDITOR])
def test_who_only_looks_settles_nothing(app: Flask, clock: Clock, role: OperatorRole) -> None:
    add_person(app, "looks@example.org", "operator", operator_role=role)
    with app.app_context():
        number = add_difference(clock)
        db.session.commit()
    looks = log_in(app, "looks@example.org")
    assert looks.get(f"{LIST}/{number}").status_code == 200
    assert post(looks, f"{LIST}/{number}", remark="x").status_code == 403


@pytest.fixture
def stranger(app: Flask) -> FlaskClient:
    return app.test_client()


def test_strangers_see_nothing_of_it(app: Flask, stranger: FlaskClient, clock: Clock) -> None:
    with app.app_context():
        number = add_difference(clock)
        db.session.commit()
    for path in (LIST, f"{LIST}/{number}"):
        assert stranger.get(path).status_code in (302, 403, 404)


def test_there_is_no_such_difference(operator: FlaskClient) -> None:
    assert operator.get(f"{LIST}/77").status_code == 404
    assert post(operator, f"{LIST}/77", remark="x").status_code == 404

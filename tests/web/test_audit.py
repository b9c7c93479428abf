"""The audit trail: searched by who, what, when and about what, and taken along as CSV."""

from __future__ import annotations

import csv
import io
from datetime import timedelta

import pytest
from flask import Flask
from flask.testing import FlaskClient
from sqlalchemy import event, select, text

from cnn_offset import reports
from cnn_offset.blueprints.admin import audit, audit_words
from cnn_offset.domain.staff import OperatorRole
from cnn_offset.extensions import db, unit_of_work
from cnn_offset.models import Chore, Event, Model, Order, User
from cnn_offset.services import auditing
from cnn_offset.services.auditing import AuditQuery
from cnn_offset.services.moves import note
from tests.conftest import Clock
from tests.web.people import add_person, log_in, post
from tests.web.selling import sell

AUDITOR = "auditor@example.org"
AUDIT = "/en/operator/audit"


@pytest.fixture
def auditor(app: Flask) -> FlaskClient:
    add_person(app, AUDITOR, "operator", operator_role=OperatorRole.AUDITOR)
    return log_in(app, AUDITOR)


def keep(
    app: Flask, clock: Clock, actor: str, new: str = "x", why: str = "", old: str = ""
) -> None:
    with app.app_context(), unit_of_work() as session:
        chore = session.scalars(select(Chore)).first()
        note(session, chore, old=old, new=new, actor=actor, why=why, now=clock())


def rows(page: str) -> int:
    return page.count('<th scope="row"')


def test_found_by_everything(app: Flask, auditor: FlaskClient, clock: Clock) -> None:
    sale = sell(app, clock, method="bank_transfer")
    keep(app, clock, "somebody@example.org", why="a reason of theirs")
    everything = auditor.get(AUDIT)
    assert everything.status_code == 200
    assert sale.code in everything.text
    by_actor = auditor.get(f"{AUDIT}?actor=Somebody@example.org").text
    assert rows(by_actor) == 1
    assert "a reason of theirs" in by_actor
    by_order = auditor.get(f"{AUDIT}?code={sale.code.lower()}").text
    assert rows(by_order) >= 1
    assert "a reason of theirs" not in by_order
    assert "Nothing" in auditor.get(f"{AUDIT}?code=NONE").text or rows(by_order)
    assert rows(auditor.get(f"{AUDIT}?what=placed").text) == 2, "order and checkout"
    assert rows(auditor.get(f"{AUDIT}?subject=chore").text) == 1
    assert rows(auditor.get(f"{AUDIT}?subject=order&number={sale.order_id}").text) >= 1
    assert rows(auditor.get(f"{AUDIT}?subject=chore&what=placed").text) == 0
    day = clock().date()
    assert rows(auditor.get(f"{AUDIT}?actor=somebody@example.org&from={day}&to={day}").text) == 1
    later = day + timedelta(days=1)
    assert rows(auditor.get(f"{AUDIT}?actor=somebody@example.org&from={later}").text) == 0


def test_an_address_finds_what_its_account_did(
    app: Flask, auditor: FlaskClient, clock: Clock
) -> None:
    number = add_person(app, "me@example.org")
    keep(app, clock, f"user {number}", new="by number")
    keep(app, clock, "me@example.org", new="by address")
    page = auditor.get(f"{AUDIT}?actor=me@example.org").text
    assert "by number" in page
    assert "by address" in page


@pytest.mark.parametrize(
    "query",
    [
        "from=yesterday",
        "to=2026-02-30",
        "subject=order&number=x",
        "number=1",
        "subject=order&number=99999999999",
    ],
)
def test_faulty_searches(auditor: FlaskClient, query: str) -> None:
    answer = auditor.get(f"{AUDIT}?{query}")
    assert answer.status_code == 422
    assert "There is a problem" in answer.text


def test_pages_lead_through_all_of_it(
    app: Flask, auditor: FlaskClient, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(audit, "PAGE", 3)
    for number in range(8):
        clock.tick(seconds=number % 2)  # some at the same moment
        keep(app, clock, "busy", new=f"n{number}")
    seen, address = [], f"{AUDIT}?actor=busy"
    while address:
        page = auditor.get(address).text
        seen += [number for number in range(8) if f"<span>n{number}</span>" in page]
        link = page.partition('rel="next"')[0].rpartition('href="')[2].partition('"')[0]
        address = link.replace("&amp;", "&") if 'rel="next"' in page else ""
    assert sorted(seen) == list(range(8))


def test_narrow_searches_look_at_a_bounded_part(
    app: Flask, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What several things are asked for is looked for in parts; each page leads further back."""
    monkeypatch.setattr(auditing, "SCAN", 5)
    keep(app, clock, "robot", new="rare")
    for _ in range(12):
        keep(app, clock, "robot", new="common")
    query, before, pages, found = AuditQuery(actor="robot", what="rare"), None, 0, []
    with app.app_context():
        while pages < 9:
            page = auditing.find_events(db.session(), query, before=before, limit=2)
            found += [each.new for each in page.events]
            pages, before = pages + 1, page.before
            if before is None:
                break
    assert found == ["rare"]
    assert pages == 3


def test_each_search_is_driven_by_an_index(app: Flask, clock: Clock) -> None:
    sale = sell(app, clock, method="bank_transfer")
    plans: list[str] = []
    with app.app_context():
        code = db.session.get_one(Order, sale.order_id).code
        statements: list[tuple[str, object]] = []
        event.listen(
            db.engine,
            "before_cursor_execute",
            lambda _c, _u, statement, values, _x, _m: statements.append((statement, values)),
        )
        for query in (
            AuditQuery(),
            AuditQuery(actor="a"),
            AuditQuery(code=code),
            AuditQuery(what="x"),
            AuditQuery(subject="order"),
            AuditQuery(subject="order", subject_id=1),
            AuditQuery(since=clock(), until=clock()),
            AuditQuery(actor="a", what="x", since=clock()),
        ):
            auditing.find_events(db.session(), query, before=None, limit=5)
        searches = [each for each in statements if "FROM event" in each[0]]
        assert len(searches) >= 8
        raw = db.session.connection().connection.driver_connection
        assert raw is not None
        for statement, values in searches:
            plans += [row[3] for row in raw.execute(f"EXPLAIN QUERY PLAN {statement}", values)]
    scans = [each for each in plans if each.startswith("SCAN event") and "INDEX" not in each]
    assert scans == [], plans


def test_taken_along_as_csv(
    app: Flask, auditor: FlaskClient, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(reports, "BATCH", 2)
    sale = sell(app, clock, method="bank_transfer")
    for sign in "=+-@":
        keep(app, clock, "typist", new="noted", why=f'{sign}HYPERLINK("x")')
    day = str(clock().date())
    answer = post(auditor, f"{AUDIT}/export", **{"from": day, "to": day})
    assert answer.status_code == 200
    assert answer.mimetype == "text/csv"
    lines = list(csv.reader(io.StringIO(answer.text.removeprefix("\ufeff"))))
    assert lines[0][:3] == ["Time (UTC)", "By whom", "Of what"]
    assert [line[-1] for line in lines if line[1] == "typist"] == [
        f'\'{sign}HYPERLINK("x")' for sign in "=+-@"
    ]
    assert sale.code in [line[4] for line in lines]
    with app.app_context():
        count = db.session.scalars(select(Event.id)).all()
        made = db.session.scalars(select(Event).where(Event.new == auditing.EXPORTED)).one()
        assert made.actor == AUDITOR
    assert len(lines) == len(count) + 1, "the export itself is in it"


@pytest.mark.parametrize(
    ("first", "last"),
    [("", ""), ("2026-11-02", "2026-11-01"), ("2020-01-01", "2026-01-01"), ("x", "2026-01-01")],
)
def test_faulty_periods(app: Flask, auditor: FlaskClient, first: str, last: str) -> None:
    answer = post(auditor, f"{AUDIT}/export", **{"from": first, "to": last})
    assert answer.status_code == 422
    assert 'href="#export-from"' in answer.text
    with app.app_context():
        assert db.session.scalar(select(Event.id).where(Event.new == auditing.EXPORTED)) is None


@pytest.mark.parametrize(
    "role", [each for each in OperatorRole if each not in (OperatorRole.HEAD, OperatorRole.AUDITOR)]
)
def test_who_may_not_read_it(app: Flask, role: OperatorRole) -> None:
    add_person(app, AUDITOR, "operator", operator_role=role)
    client = log_in(app, AUDITOR)
    assert client.get(AUDIT).status_code == 403
    assert post(client, f"{AUDIT}/export").status_code == 403


def test_words_in_the_readers_language(app: Flask) -> None:
    with app.test_request_context("/en/"):
        assert audit_words.what_text("order", "paid") == "Paid"
        assert audit_words.what_text("user", "head") == "Head of the desk"
        assert audit_words.what_text("user", "data erased") == "Personal data erased"
        assert audit_words.what_text("order", "never heard of") == "never heard of"
        assert audit_words.subject_text("order") == "Order"
        assert ("zzz", "zzz") in audit_words.what_choices("zzz")


def test_every_table_with_a_status_has_a_name() -> None:
    """What moves leaves events; the trail names it."""
    tables = {
        mapper.local_table.name  # type: ignore[attr-defined]
        for mapper in Model.registry.mappers
        if hasattr(mapper.class_, "MOVES")
    }
    assert tables <= set(audit_words.SUBJECTS)


def test_a_demoted_auditor_sees_no_more(app: Flask, auditor: FlaskClient) -> None:
    assert auditor.get(AUDIT).status_code == 200
    with app.app_context(), unit_of_work() as session:
        user = session.scalars(select(User).where(User.email == AUDITOR)).one()
        user.operator_role = OperatorRole.EDITOR
    assert auditor.get(AUDIT).status_code == 403
    with app.app_context():
        db.session.execute(text("SELECT 1"))

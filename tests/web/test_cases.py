"""The desk's cases: listed, read, answered, tied, closed, made a claim; by whom, and by whom not."""

from __future__ import annotations

import re

import pytest
from flask import Flask
from flask.testing import FlaskClient
from sqlalchemy import select

from cnn_offset.blueprints.admin import cases as admin
from cnn_offset.domain.casework import CaseKind, CaseSide, Voice
from cnn_offset.domain.staff import OperatorRole
from cnn_offset.domain.status import CaseStatus
from cnn_offset.extensions import db, platform, unit_of_work
from cnn_offset.models import Case, CaseFile, CaseMessage, Event, Message, Order
from tests.casework import ADA, make_case
from tests.conftest import Clock
from tests.web.people import add_person, log_in, post
from tests.web.selling import Sale, sell
from tests.web.shopping import text_of

OPERATOR = "op@example.org"
ACTS = {
    "answer": {"answer": "Soon."},
    "note": {"note": "Call them."},
    "close": {"reason": "Done.", "tell": "yes"},
    "reopen": {"again": "Not done."},
    "escalate": {"claim": "No units."},
    "other-side": {"other": "Your side?"},
    "order": {"order": "X"},
    "evidence": {},
}


@pytest.fixture
def sale(app: Flask, clock: Clock) -> Sale:
    return sell(app, clock, method="bank_transfer")


@pytest.fixture
def operator(app: Flask) -> FlaskClient:
    add_person(app, OPERATOR, "operator", operator_role=OperatorRole.SUPPORT)
    return log_in(app, OPERATOR)


@pytest.fixture
def code(app: Flask, sale: Sale) -> str:
    with app.app_context():
        made = make_case(db.session.get_one(Order, sale.order_id)).code
        db.session.remove()
    return made


def the_case(app: Flask, code: str) -> Case:
    with app.app_context():
        return db.session.scalars(select(Case).where(Case.code == code)).one()


def mails(app: Flask) -> list[str]:
    with app.app_context():
        kinds = select(Message.kind).where(Message.kind.startswith("case_")).order_by(Message.id)
        return list(db.session.scalars(kinds))


def act(client: FlaskClient, code: str, name: str, **changes: str) -> str:
    answer = post(client, f"/en/operator/cases/{code}/{name}", **{**ACTS[name], **changes})
    assert answer.status_code == 302, text_of(answer)
    return text_of(client.get(answer.location))


def seen(client: FlaskClient, code: str) -> str:
    found = re.search(r'name="seen" value="(\d+)"', client.get(f"/en/operator/cases/{code}").text)
    assert found
    return found[1]


@pytest.mark.parametrize("lang", ["en", "fr", "es"])
def test_pages_in_each_language(operator: FlaskClient, code: str, sale: Sale, lang: str) -> None:
    for path in ("cases", "cases?show=all", "cases/new", f"cases/new?order={sale.code}", f"cases/{code}"):  # fmt: skip
        answer = operator.get(f"/{lang}/operator/{path}")
        assert answer.status_code == 200
        assert f'<html lang="{lang}">' in answer.text
        assert answer.text.count("<h1") == 1
        assert answer.headers["Cache-Control"] == "no-store"


def test_empty_lists_say_so(operator: FlaskClient) -> None:
    for query, said in (
        ("", "Nobody waits"),
        ("q=x", "No case matches"),
        ("show=all", "no such case"),
    ):
        assert said in operator.get(f"/en/operator/cases?{query}").text
    assert operator.get("/en/operator/cases?show=%00&kind=x&before=y").status_code == 200
    for wrong in ("NOSUCH", "%00", "x" * 500):
        assert operator.get(f"/en/operator/cases/{wrong}").status_code == 404
        assert operator.get(f"/en/operator/case-files/{wrong}").status_code == 404
        assert post(operator, f"/en/operator/cases/{wrong}/note", note="x").status_code == 404


def test_what_waits_is_counted_and_listed(
    app: Flask, operator: FlaskClient, code: str, clock: Clock
) -> None:
    page = operator.get("/en/operator/cases").text
    assert f'href="/en/operator/cases/{code}"' in page
    assert re.search(r'operator/cases"[^>]*>Cases\s*<span class="count">1', page)
    assert "Overdue" not in page
    clock.tick(days=3)
    browser = log_in(app, OPERATOR)
    assert "Overdue" in browser.get("/en/operator/cases").text
    assert "Our answer is overdue" in browser.get(f"/en/operator/cases/{code}").text


def test_pages_of_many_cases(
    app: Flask, operator: FlaskClient, code: str, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(admin, "PAGE", 2)
    codes = [code]
    with app.app_context():
        codes += [make_case(tied=False, email="bob@example.org").code for _ in range(4)]
        db.session.remove()
    for start, wanted in (("show=ours", codes), ("show=all", codes[::-1]), ("q=bob@example.org", codes[:0:-1])):  # fmt: skip
        listed: list[str] = []
        path = f"/en/operator/cases?{start}"
        while path:
            page = operator.get(path).text
            listed += re.findall(r'href="/en/operator/cases/([A-Z0-9]{4}-[A-Z0-9]{4})"', page)
            more = re.search(r'href="([^"]+)" rel="next"', page)
            path = more[1].replace("&amp;", "&") if more else ""
            assert len(listed) <= 5
        assert listed == wanted, start


def test_a_case_from_question_to_claim(app: Flask, operator: FlaskClient, code: str) -> None:
    assert "answer is on its way" in act(operator, code, "answer", seen=seen(operator, code))
    assert the_case(app, code).status is CaseStatus.WAITING
    assert "operators reads it" in act(operator, code, "note")
    assert "Both sides are told" in act(operator, code, "escalate")
    assert "The mail is on its way." in act(operator, code, "other-side")
    assert "The case is closed." in act(operator, code, "close")
    page = act(operator, code, "reopen")
    assert "open again" in page
    for part in ("Soon.", "Call them.", "No units.", "Your side?", "Done.", "Not done.", ADA):
        assert part in page
    assert the_case(app, code).status is CaseStatus.ESCALATED
    assert mails(app) == [
        "case_opened", "case_answer", "case_claim", "case_claim_other", "case_answer_other",
        "case_closed",
    ]  # fmt: skip
    with app.app_context():
        actors = set(db.session.scalars(
            select(Event.actor).where(Event.subject == "support_case", Event.new != "open")
        ))  # fmt: skip
        assert actors == {OPERATOR}


@pytest.mark.parametrize("name", sorted(set(ACTS) - {"evidence", "order"}))
def test_nothing_is_done_without_words(
    app: Flask, operator: FlaskClient, code: str, name: str
) -> None:
    (field,) = set(ACTS[name]) - {"tell"}
    for wrong in ("", " ", "x" * 5001, "a\u202eb"):
        answer = post(operator, f"/en/operator/cases/{code}/{name}", **{field: wrong})
        assert answer.status_code == 422
        assert "There is a problem" in text_of(answer)
    assert mails(app) == ["case_opened"]
    assert the_case(app, code).status is CaseStatus.OPEN


def test_two_operators_answer_at_once(app: Flask, operator: FlaskClient, code: str) -> None:
    number = seen(operator, code)
    act(operator, code, "answer", seen=number)
    late = post(operator, f"/en/operator/cases/{code}/answer", answer="Mine too.", seen=number)
    assert late.status_code == 422
    assert "since you opened it" in text_of(late)
    # What was typed is still there, and can be sent after reading.
    assert "Mine too." in late.text
    for odd in ("", "x", "-1", "9" * 30):
        answer = post(operator, f"/en/operator/cases/{code}/answer", answer="x", seen=odd)
        assert answer.status_code == 422
    assert mails(app).count("case_answer") == 1


def test_an_unwanted_mail_is_closed_silently(app: Flask, operator: FlaskClient, code: str) -> None:
    answer = post(operator, f"/en/operator/cases/{code}/close", reason="Spam.")
    assert answer.status_code == 302
    assert mails(app) == ["case_opened"]


def test_a_case_is_tied_to_its_order(app: Flask, operator: FlaskClient, sale: Sale) -> None:
    with app.app_context():
        loose = make_case(tied=False, side=CaseSide.VISITOR, order_typed=sale.code).code
        db.session.remove()
    page = text_of(operator.get(f"/en/operator/cases/{loose}"))
    assert "does not go with the address" in page
    for wrong in ("", "NOSUCH", "x" * 41):
        assert post(operator, f"/en/operator/cases/{loose}/order", order=wrong).status_code == 422
    assert post(operator, f"/en/operator/cases/{loose}/escalate", claim="x").status_code == 422
    assert "about this order now" in act(operator, loose, "order", order=sale.code)
    assert the_case(app, loose).order_id == sale.order_id


def test_evidence_is_handed_out_and_kept(app: Flask, operator: FlaskClient, code: str) -> None:
    answer = post(operator, f"/en/operator/cases/{code}/evidence")
    assert (answer.status_code, answer.mimetype) == (200, "application/pdf")
    assert answer.data.startswith(b"%PDF")
    assert f'filename="case-{code}.pdf"' in answer.headers["Content-Disposition"]
    with app.app_context():
        event = db.session.scalars(select(Event).order_by(Event.id.desc())).first()
        assert event is not None
        assert (event.new, event.actor) == ("evidence", OPERATOR)


def test_files_are_downloads(app: Flask, operator: FlaskClient, code: str) -> None:
    with app.app_context(), unit_of_work() as session:
        case = session.scalars(select(Case)).one()
        platform().files.makedirs("cases", exist_ok=True)
        platform().files.pipe_file("cases/x", b"<script>alert(1)</script>")
        file = CaseFile(path="cases/x", filename="x.txt", size=25, sha256="0" * 64,
                        content_type="text/plain; charset=utf-8")  # fmt: skip
        said = CaseMessage(case_id=case.id, voice=Voice.ASKER, sender=ADA, text="<svg/onload=x>",
                           at=platform().clock(), left_out=[["<b>.exe", "It is larger than 5 MB."]],
                           files=[file])  # fmt: skip
        session.add(said)
        session.flush()
        number = file.id
    page = operator.get(f"/en/operator/cases/{code}").text
    assert "<svg/onload" not in page
    assert "&lt;b&gt;.exe" in page
    assert f'href="/en/operator/case-files/{number}"' in page
    answer = operator.get(f"/en/operator/case-files/{number}")
    assert answer.headers["Content-Disposition"] == "attachment; filename=x.txt"
    assert "sandbox" in answer.headers["Content-Security-Policy"]
    assert answer.headers["X-Content-Type-Options"] == "nosniff"


def test_an_operator_opens_a_case(app: Flask, operator: FlaskClient, sale: Sale) -> None:
    page = operator.get(f"/en/operator/cases/new?order={sale.code}").text
    assert f'value="{sale.code}"' in page
    assert f'value="{ADA}"' in page
    right = {"kind": "order", "order": sale.code, "email": ADA, "locale": "fr", "text": "Called."}
    for wrong in (
        {"kind": ""},
        {"order": "NOSUCH"},
        {"email": "x"},
        {"locale": "de"},
        {"text": ""},
    ):
        answer = post(operator, "/en/operator/cases/new", **{**right, **wrong})
        assert answer.status_code == 422
    answer = post(operator, "/en/operator/cases/new", **right, answer="We look at it.")
    assert answer.status_code == 302
    with app.app_context():
        case = db.session.scalars(select(Case)).one()
        assert (case.kind, case.side, case.locale) == (CaseKind.ORDER, CaseSide.PURCHASER, "fr")
        assert case.status is CaseStatus.WAITING
    assert mails(app) == ["case_answer"]


@pytest.mark.parametrize("role", [OperatorRole.LISTING, OperatorRole.EDITOR, OperatorRole.AUDITOR])
def test_who_may_look_and_not_act(app: Flask, code: str, role: OperatorRole) -> None:
    add_person(app, "other@example.org", "operator", operator_role=role)
    browser = log_in(app, "other@example.org")
    assert browser.get("/en/operator/cases").status_code == 200
    assert browser.get(f"/en/operator/cases/{code}").status_code == 200
    for name, values in ACTS.items():
        assert post(browser, f"/en/operator/cases/{code}/{name}", **values).status_code == 403
    assert browser.get("/en/operator/cases/new").status_code == 403
    assert browser.get("/en/operator/case-files/1").status_code == 403
    assert mails(app) == ["case_opened"]

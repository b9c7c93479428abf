"""Operators decide on the order's page, send mails again, and put aside what waits."""

from __future__ import annotations

import re
from datetime import timedelta

import pytest
from flask import Flask
from flask.testing import FlaskClient
from sqlalchemy import select, update

from cnn_offset.domain.staff import OperatorRole
from cnn_offset.domain.status import MessageStatus, OrderStatus
from cnn_offset.extensions import db, unit_of_work
from cnn_offset.models import Event, Message, Order, Payment
from cnn_offset.services import banking
from cnn_offset.services.moves import move
from tests.conftest import Clock
from tests.web.people import add_person, log_in, post
from tests.web.selling import Sale, sell

OPERATOR = "op@example.org"


@pytest.fixture
def sale(app: Flask, clock: Clock) -> Sale:
    return sell(app, clock, method="bank_transfer")


@pytest.fixture
def operator(app: Flask) -> FlaskClient:
    add_person(app, OPERATOR, "operator", operator_role=OperatorRole.SUPPORT)
    return log_in(app, OPERATOR)


def pay(app: Flask, sale: Sale, clock: Clock, part: int = 2) -> None:
    """Let ``part`` times what is due come."""
    with app.app_context(), unit_of_work() as session:
        order = session.get_one(Order, sale.order_id)
        banking.type_entry(
            session, order, amount=order.total * part, bank_ref="B-77",
            received_on=clock().date(), actor="staff@example.org", second_from=0, now=clock(),
        )  # fmt: skip


def page(client: FlaskClient, sale: Sale, lang: str = "en") -> str:
    return client.get(f"/{lang}/operator/orders/{sale.code}").text


def offered(text: str) -> list[str]:
    return re.findall(r'name="act" value="([^"]+)"', text)


def state(text: str) -> str:
    found = re.search(r'name="state" value="([^"]+)"', text)
    return found[1] if found else ""


def decide(client: FlaskClient, sale: Sale, act: str, **form: str) -> str:
    form = {"state": state(page(client, sale)), "reason": "as agreed", **form}
    answer = post(client, f"/en/operator/orders/{sale.code}/decide", act=act, **form)
    if answer.status_code == 302:
        return client.get(answer.headers["Location"]).text
    assert answer.status_code == 422
    assert "There is a problem" in answer.text
    return answer.text


def status(app: Flask, sale: Sale) -> OrderStatus:
    with app.app_context():
        return db.session.get_one(Order, sale.order_id).status


def test_an_unpaid_order(app: Flask, operator: FlaskClient, sale: Sale) -> None:
    acts = offered(page(operator, sale))
    assert acts[:2] == ["progress", "remind"]
    assert acts[-1] == "withdraw"
    assert "Done, and kept" in decide(operator, sale, "progress")
    assert "progress" not in offered(page(operator, sale))
    assert "Done, and kept" in decide(operator, sale, "remind")
    assert "reminded today already" in decide(operator, sale, "remind")
    keep = [each for each in acts if each.startswith("keep")]
    for each in keep:
        assert "Done, and kept" in decide(operator, sale, each)
    text = decide(operator, sale, "withdraw", reason="the provider is closed")
    assert "Done, and kept" in text
    assert "the provider is closed" in text
    assert status(app, sale) is OrderStatus.WITHDRAWN
    assert offered(text) == []
    with app.app_context():
        mail = db.session.scalars(select(Message).where(Message.kind == "order_withdrawn")).one()
        assert mail.params["by"] == "platform"


def test_an_order_in_review(app: Flask, operator: FlaskClient, sale: Sale, clock: Clock) -> None:
    pay(app, sale, clock)
    text = page(operator, sale)
    assert offered(text) == ["release", "refund"]
    assert "it would have to go back" in text
    assert "Done, and kept" in decide(operator, sale, "release")
    assert status(app, sale) is OrderStatus.PAID
    with app.app_context():
        event = db.session.scalars(select(Event).where(Event.actor == OPERATOR)).one()
        assert (event.subject, event.new, event.why) == ("order", "paid", "as agreed")


def test_the_second_is_told_and_nothing_is_done(
    app: Flask, operator: FlaskClient, sale: Sale, clock: Clock
) -> None:
    pay(app, sale, clock)
    read = state(page(operator, sale))
    decide(operator, sale, "refund")
    assert "another operator" in decide(operator, sale, "release", state=read)
    assert status(app, sale) is OrderStatus.REFUND_DUE


@pytest.mark.parametrize(
    ("act", "reason", "state", "said"),
    [
        ("", "why", None, "choose what is to happen"),
        ("release", "", None, "write the reason"),
        ("release", "x" * 1001, None, "at most"),
        ("withdraw", "why", None, "another operator"),
        ("retry-1", "why", None, "another operator"),
        ("nonsense", "why", None, "another operator"),
        ("release", "why", "0-0", "another operator"),
        ("release", "why", "", "another operator"),
    ],
)
def test_what_is_not_carried_out(
    app: Flask, operator: FlaskClient, sale: Sale, clock: Clock,
    act: str, reason: str, state: str | None, said: str,
) -> None:  # fmt: skip
    pay(app, sale, clock)
    form = {"reason": reason} | ({} if state is None else {"state": state})
    text = decide(operator, sale, act, **form)
    assert said in text
    assert status(app, sale) is OrderStatus.IN_REVIEW
    if reason == "why":
        assert ">\nwhy</textarea>" in text


def test_who_may_not(app: Flask, operator: FlaskClient, sale: Sale, clock: Clock) -> None:
    pay(app, sale, clock)
    add_person(app, "eve@example.org", "operator", operator_role=OperatorRole.AUDITOR)
    auditor = log_in(app, "eve@example.org")
    text = page(auditor, sale)
    assert "Your role does not carry this decision." in text
    assert offered(text) == []
    with app.app_context():
        mail_id = db.session.scalars(select(Message.id).limit(1)).one()
    for path in (
        f"orders/{sale.code}/decide",
        f"orders/{sale.code}/look",
        f"orders/{sale.code}/mails/{mail_id}/again",
        f"attention/unpaid/{sale.order_id}",
    ):
        answer = post(auditor, f"/en/operator/{path}", act="release", reason="x", state="0-0")
        assert answer.status_code == 403, path
    assert status(app, sale) is OrderStatus.IN_REVIEW
    # A proof that is not fresh: asked for once more first.
    clock.tick(minutes=11)
    answer = post(operator, f"/en/operator/orders/{sale.code}/decide", act="release", reason="x")
    assert answer.status_code == 302
    assert "/account/verify" in answer.headers["Location"]


def test_a_mail_is_sent_again(app: Flask, operator: FlaskClient, sale: Sale) -> None:
    with app.app_context(), unit_of_work() as session:
        mail = session.scalars(select(Message).where(Message.kind == "order_placed")).one()
        mail_id, mail.status, mail.due_at = mail.id, MessageStatus.FAILED, None
    assert "Send again" in page(operator, sale)
    again = f"/en/operator/orders/{sale.code}/mails/{mail_id}/again"
    assert "sent again" in operator.get(post(operator, again).headers["Location"]).text
    assert (
        "waits to be sent already" in operator.get(post(operator, again).headers["Location"]).text
    )
    for wrong in (f"/en/operator/orders/{sale.code}/mails/9999/again",
                  f"/en/operator/orders/NOSUCH/mails/{mail_id}/again"):  # fmt: skip
        assert post(operator, wrong).status_code == 404
    with app.app_context():
        assert db.session.get_one(Message, mail_id).status is MessageStatus.QUEUED


def test_what_has_no_status_is_put_aside(
    app: Flask, operator: FlaskClient, sale: Sale, clock: Clock
) -> None:
    with app.app_context(), unit_of_work() as session:
        session.execute(update(Order).values(pay_by=clock() - timedelta(days=15), due_at=None))
    listed = operator.get("/en/operator/attention").text
    assert "Held for too long" in listed
    entry = f"/en/operator/attention/unpaid/{sale.order_id}"
    assert entry in listed
    assert "Mark as dealt with" in operator.get(entry).text
    assert post(operator, entry, reason=" ").status_code == 422
    answer = post(operator, entry, reason="asked the bank")
    assert "Put aside" in operator.get(answer.headers["Location"]).text
    assert "Held for too long" not in operator.get("/en/operator/attention").text
    after = operator.get(entry).text
    assert "asked the bank" in after
    assert "does not wait for anybody" in after
    again = post(operator, entry, reason="me too")
    assert again.status_code == 422
    assert "dealt with this meanwhile" in again.text


def test_entries_there_are_none_of(operator: FlaskClient, sale: Sale) -> None:
    for path in ("unpaid/99999", "nonsense/1", f"in_review/{sale.order_id}", "slow/1"):
        assert operator.get(f"/en/operator/attention/{path}").status_code == 404
        assert post(operator, f"/en/operator/attention/{path}", reason="x").status_code == 404


@pytest.mark.parametrize("lang", ["en", "fr", "es"])
def test_each_kind_in_each_language(
    app: Flask, operator: FlaskClient, sale: Sale, clock: Clock, lang: str
) -> None:
    pay(app, sale, clock)
    with app.app_context(), unit_of_work() as session:
        mail = session.scalars(select(Message).where(Message.kind == "order_placed")).one()
        move(session, mail, MessageStatus.FAILED, actor="outbox", why="550", now=clock())
        payment = session.scalars(select(Payment)).one()
        payment.attempts, payment.due_at, payment.last_error = 6, clock(), "<b>down</b>"
    for query in ("", "?kind=in_review", "?kind=mail", "?kind=failing", "?kind=nonsense"):
        answer = operator.get(f"/{lang}/operator/attention{query}")
        assert answer.status_code == 200
        assert "<b>down" not in answer.text
        if query != "?kind=mail":
            assert sale.code in answer.text
    assert f"/{lang}/operator/attention" in page(operator, sale, lang)

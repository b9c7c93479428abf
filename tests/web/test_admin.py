"""Operators: every order with its history, what waits for a person, looking again."""

from __future__ import annotations

import re

import pytest
from flask import Flask
from flask.testing import FlaskClient
from sqlalchemy import func, select

from cnn_offset import jobs
from cnn_offset.accounts import add_user
from cnn_offset.blueprints.admin import orders as admin
from cnn_offset.domain.status import OrderStatus
from cnn_offset.extensions import db, unit_of_work
from cnn_offset.models import Event, Order, Payment
from cnn_offset.services import ServiceError, banking, joining
from cnn_offset.services.moves import move
from tests.conftest import Clock
from tests.web.people import PASSWORD, add_person, log_in, post
from tests.web.selling import Sale, sell

OPERATOR = "op@example.org"


@pytest.fixture
def sale(app: Flask, clock: Clock) -> Sale:
    return sell(app, clock, method="bank_transfer")


@pytest.fixture
def operator(app: Flask) -> FlaskClient:
    add_person(app, OPERATOR, "operator")
    return log_in(app, OPERATOR)


@pytest.mark.parametrize("lang", ["en", "fr", "es"])
def test_pages_in_each_language(operator: FlaskClient, sale: Sale, lang: str) -> None:
    for path in ("orders", f"orders/{sale.code}", "attention", "check"):
        answer = operator.get(f"/{lang}/operator/{path}")
        assert answer.status_code == 200
        assert f'<html lang="{lang}">' in answer.text
        assert answer.text.count("<h1") == 1
        assert answer.headers["Cache-Control"] == "no-store"


def test_empty_lists_say_so(operator: FlaskClient) -> None:
    assert "There are no orders yet." in operator.get("/en/operator/orders").text
    assert "Nothing. Everything goes on by itself." in operator.get("/en/operator/attention").text
    assert "Everything adds up" in operator.get("/en/operator/check").text
    assert "No order matches." in operator.get("/en/operator/orders?q=nobody").text


def listed(client: FlaskClient, query: str) -> list[str]:
    page = client.get(f"/en/operator/orders?{query}").text
    return re.findall(r'href="/en/operator/orders/([A-Z0-9]{9})"', page)


def test_search_and_filter(app: Flask, operator: FlaskClient, sale: Sale, clock: Clock) -> None:
    other = sell(app, clock, method="paypal")
    with app.app_context(), unit_of_work() as session:
        order = session.get_one(Order, other.order_id)
        move(session, order, OrderStatus.IN_REVIEW, actor="test", why="to see", now=clock())
        name = order.provider.name
    assert listed(operator, "") == [other.code, sale.code]
    assert listed(operator, f"q={sale.code.lower()}") == [sale.code]
    assert listed(operator, "q=ADA@example.org") == [other.code, sale.code]
    assert listed(operator, "q=ada") == [other.code, sale.code]
    assert listed(operator, "q=%25") == []
    assert listed(operator, "status=in_review") == [other.code]
    assert listed(operator, "status=placed&q=ada") == [sale.code]
    assert listed(operator, "method=paypal") == [other.code]
    assert listed(operator, "method=paypal&q=ada") == [other.code]
    assert listed(operator, f"provider={name}") == [other.code]
    assert listed(operator, "provider=nobody") == []
    assert listed(operator, "from=2026-11-02&to=2026-11-02") == [other.code, sale.code]
    assert listed(operator, "from=2026-11-03") == []
    assert listed(operator, "status=nonsense&before=x&q=%00") == [other.code, sale.code]


@pytest.mark.parametrize(
    "query", ["from=yesterday", "to=2026-13-01", "from=9999-12-31", "from=2026-11-03&to=2026-11-02"]
)
def test_days_that_are_none(operator: FlaskClient, query: str) -> None:
    answer = operator.get(f"/en/operator/orders?{query}")
    assert answer.status_code == 422
    assert "There is a problem" in answer.text


def test_pages_of_many_orders(
    app: Flask, operator: FlaskClient, sale: Sale, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(admin, "PAGE", 2)
    codes = [sale.code]
    codes += [sell(app, clock, method="paypal", like=sale).code for _ in range(4)]
    seen: list[str] = []
    path = "/en/operator/orders?q=ada"
    while path:
        page = operator.get(path).text
        seen += re.findall(r'href="/en/operator/orders/([A-Z0-9]{9})"', page)
        older = re.search(r'href="([^"]+)" rel="next"', page)
        path = older[1].replace("&amp;", "&") if older else ""
        assert len(seen) <= 5
    assert seen == codes[::-1]


def test_the_whole_history_of_an_order(
    app: Flask, operator: FlaskClient, sale: Sale, clock: Clock
) -> None:
    with app.app_context(), unit_of_work() as session:
        order = session.get_one(Order, sale.order_id)
        banking.type_entry(
            session, order, amount=order.total, bank_ref="NTRF 4711",
            received_on=clock().date(), actor="staff@example.org", second_from=0, now=clock(),
        )  # fmt: skip
    page = operator.get(f"/en/operator/orders/{sale.code}").text
    for word in ("NTRF 4711", "staff@example.org", "Waiting for payment → Paid", "paid exactly",
                 "How to pay by bank transfer", "Payment received", "Payment: done", f"p-{sale.code}-1", f"c-{sale.code}-", "Queued",
                 "My flights in 2026", "ada@example.org"):  # fmt: skip
        assert word in page, word
    with app.app_context():
        token = db.session.get_one(Order, sale.order_id).token
    assert token not in page


def test_what_people_typed_is_text(app: Flask, operator: FlaskClient, sale: Sale) -> None:
    evil = "\"'><svg/onload=x>{{7*7}}"
    with app.app_context(), unit_of_work() as session:
        order = session.get_one(Order, sale.order_id)
        order.purchaser_name = order.company = order.beneficiary = order.reason = evil
    for path in ("orders", f"orders/{sale.code}", "orders?q=%22%27%3E%3Csvg/onload=x%3E"):
        page = operator.get(f"/en/operator/{path}").text
        assert "<svg/onload" not in page
        assert "&lt;svg/onload" in page
        assert "{{7*7}}" in page or "q=" in path


def test_attention_leads_to_the_order(
    app: Flask, operator: FlaskClient, sale: Sale, clock: Clock
) -> None:
    with app.app_context(), unit_of_work() as session:
        order = session.get_one(Order, sale.order_id)
        banking.type_entry(
            session, order, amount=order.total * 2, bank_ref="B",
            received_on=clock().date(), actor="staff@example.org", second_from=0, now=clock(),
        )  # fmt: skip
    page = operator.get("/en/operator/attention").text
    assert f"/en/operator/orders/{sale.code}" in page
    assert "In review: money or units" in page
    assert "Release the order" in page
    assert "Too much" in page


def test_look_again(app: Flask, operator: FlaskClient, sale: Sale, clock: Clock) -> None:
    with app.app_context():
        payment = db.session.scalars(select(Payment)).one()
        assert payment.due_at is None
    answer = post(operator, f"/en/operator/orders/{sale.code}/look")
    assert answer.status_code == 302
    assert "being looked at now" in operator.get(answer.headers["Location"]).text
    with app.app_context():
        payment = db.session.scalars(select(Payment)).one()
        assert payment.due_at == clock()
        event = db.session.scalars(select(Event).order_by(Event.id.desc())).first()
        assert event is not None
        assert (event.new, event.actor) == ("look again", OPERATOR)
        jobs.do("payment", payment.id)
        assert db.session.get_one(Order, sale.order_id).status is OrderStatus.PLACED


def test_unknown_orders(operator: FlaskClient) -> None:
    for code in ("NOSUCH", "%00", "%F0%9F%98%80", "x" * 500):
        assert operator.get(f"/en/operator/orders/{code}").status_code == 404
        assert post(operator, f"/en/operator/orders/{code}/look").status_code == 404


@pytest.mark.usefixtures("sale")
def test_what_does_not_add_up_is_shown(app: Flask, operator: FlaskClient) -> None:
    with app.app_context(), unit_of_work() as session:
        session.connection().exec_driver_sql("UPDATE offer SET held = held + 1")
    page = operator.get("/en/operator/check").text
    assert "does not add up" in page
    assert "Everything adds up" not in page


def test_accounts_for_staff(app: Flask, clock: Clock) -> None:
    """What the command line adds is checked like what anybody types."""
    with app.app_context():
        for email, password, role, slug in (
            ("no address", PASSWORD, "operator", None),
            ("op@example.org", "password", "operator", None),
            ("op@example.org", PASSWORD, "provider", "no-such-provider"),
        ):
            with pytest.raises(ServiceError), unit_of_work() as session:
                add_user(
                    session, email=email, password=password, role=role, provider_slug=slug,
                    now=clock(),
                )  # fmt: skip
        assert joining.find_user(db.session(), "op@example.org") is None
    add_person(app, OPERATOR, "operator")
    with pytest.raises(ServiceError):
        add_person(app, OPERATOR.upper(), "operator")
    with app.app_context():
        assert db.session.scalar(select(func.count()).select_from(Event)) == 1

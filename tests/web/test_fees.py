"""Fees at the desk and in the workspace: pages, forms, files, mails."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from email.message import EmailMessage
from typing import Any

import pytest
from flask import Flask
from flask.testing import FlaskClient
from sqlalchemy import select

from cnn_offset import jobs
from cnn_offset.chores import CHORES
from cnn_offset.domain.staff import OperatorRole, StaffRole
from cnn_offset.extensions import db, unit_of_work
from cnn_offset.mail import render
from cnn_offset.models import (
    Event,
    FeeConsent,
    FeeSchedule,
    FeeStatement,
    Message,
    Order,
    OrderFee,
    PayoutMethod,
    Provider,
    Switch,
)
from cnn_offset.services import fee_statements
from tests.conftest import Clock
from tests.web.people import add_person, log_in, post
from tests.web.shopping import Mall, Visitor, open_mall, text_of

SCHEDULE = {
    "kind-1": "cer",
    "first-1": "1",
    "last-1": "1,000",
    "rate-1": "5",
    "kind-2": "cer",
    "first-2": "1,001",
    "last-2": "",
    "rate-2": "2.5",
    "reason": "The Board decided so",
}
ON = {"on": "yes", "pay_to": "IBAN XY12\nwithin 30 days", "reason": "begins"}


@pytest.fixture
def mall(app: Flask, clock: Clock) -> Iterator[Mall]:
    yield from open_mall(app, clock)


@pytest.fixture
def operator(app: Flask) -> FlaskClient:
    add_person(app, "op@example.org", "operator", operator_role=OperatorRole.FINANCE)
    return log_in(app, "op@example.org")


@pytest.fixture
def owner(app: Flask, mall: Mall) -> FlaskClient:
    with app.app_context():
        slug = db.session.scalars(select(Provider.slug).where(Provider.name == "Sun Ltd")).one()
    add_person(app, "owner@example.org", "provider", slug)
    return log_in(app, "owner@example.org")


def again(client: FlaskClient, who: str) -> FlaskClient:
    """Return a browser for somebody whose session has ended while the clock went on."""
    return log_in(client.application, f"{who}@example.org")


def rows(app: Flask, kind: Any) -> list[Any]:
    with app.app_context():
        return list(db.session.scalars(select(kind)))


def day(clock: Clock, days: int) -> str:
    return (clock().date() + timedelta(days=days)).isoformat()


def announce(client: FlaskClient, clock: Clock, **changes: str) -> Any:
    form = {**SCHEDULE, "holds_from": day(clock, 30), **changes}
    return post(client, "/en/operator/fees/schedule", **form)


def charge(app: Flask, clock: Clock, operator: FlaskClient, owner: FlaskClient) -> None:
    """Announce, accept, switch on, and wait for the day."""
    assert announce(operator, clock).status_code == 302
    [schedule] = rows(app, FeeSchedule)
    assert post(owner, f"/en/provider/fees/{schedule.id}/accept").status_code == 302
    assert post(operator, "/en/operator/fees/switch", **ON).status_code == 302
    clock.tick(days=30)
    with app.app_context():
        CHORES["fee_days"](jobs.platform())


def paid(app: Flask, mall: Mall) -> Order:
    """Have an order of Sun's by PayPal placed and paid."""
    assert Visitor(app).buy(mall, mall.sun).status_code == 303
    payment = mall.payments()[-1]
    mall.pay.pay(payment.processor_ref)
    mall.clock.tick(minutes=5)
    mall.work("payment")
    return mall.orders()[-1]


def stated(app: Flask, clock: Clock) -> FeeStatement:
    clock.now = fee_statements.next_month(clock())
    with app.app_context():
        CHORES["fee_statements"](jobs.platform())
    return rows(app, FeeStatement)[-1]


# The desk


def test_the_page_before_anything(app: Flask, operator: FlaskClient) -> None:
    said = text_of(operator.get("/en/operator/fees"))
    assert "Fees are off" in said
    assert "There is no schedule yet." in said
    assert "There is no statement yet." in said
    said = text_of(operator.get("/en/operator/fees/statements"))
    assert "There is no such statement." in said


def test_a_schedule_is_announced(
    app: Flask, clock: Clock, mall: Mall, operator: FlaskClient
) -> None:
    form = operator.get("/en/operator/fees/schedule")
    assert form.text.count("<fieldset") == 6
    assert operator.get("/en/operator/fees/schedule?lines=30").text.count("<fieldset") == 30
    assert announce(operator, clock).location.endswith("/operator/fees")
    [made] = rows(app, FeeSchedule)
    assert [(each.after_units, each.basis_points) for each in made.tiers] == [(0, 500), (1000, 250)]
    assert made.published_by == "op@example.org"
    page = operator.get("/en/operator/fees")
    said = text_of(page)
    assert "1 to 1,000" in said
    assert "from 1,001 on" in said
    assert "2.5%" in said
    assert "Not accepted yet by: Sun Ltd , Wind SA" in said
    # The next one begins with its lines.
    again = operator.get("/en/operator/fees/schedule").text
    assert 'value="1,001"' in again
    assert 'value="2.5"' in again
    mails = [each for each in rows(app, Message) if each.kind == "fee_announced"]
    assert len(mails) == 2


@pytest.mark.parametrize(
    ("changes", "field", "why"),
    [
        ({"first-2": "900"}, "first-2", "Line 2: It overlaps with line 1."),
        ({"first-2": "1,002"}, "first-2", "Line 2: Between line 1 and this one"),
        ({"last-2": "5000"}, "first-2", "Line 2: The last line of a kind of unit has no end"),
        ({"kind-2": ""}, "kind-2", "Line 2: Please choose a kind of unit."),
        ({"kind-2": "gold"}, "kind-2", "Line 2: Please choose a kind of unit."),
        ({"rate-1": "20.01"}, "rate-1", "Line 1: Please enter a rate from 0 to 20"),
        ({"rate-1": ""}, "rate-1", "Line 1: Please enter a rate"),
        ({"rate-1": "2.555"}, "rate-1", "Line 1: Please enter a rate"),
        ({"first-1": "one"}, "first-1", "Line 1: Please enter a whole number."),
        ({"first-1": "0"}, "first-1", "Line 1:"),
        ({"first-1": ""}, "first-1", "Line 1: Please enter a whole number."),
        ({"holds_from": "2020-01-01"}, "holds_from", "at least 30 days ahead"),
        ({"holds_from": "soon"}, "holds_from", "Please enter a day."),
        ({"reason": " "}, "reason", "Please write the reason."),
        (dict.fromkeys(SCHEDULE, "") | {"reason": "why"}, "kind-1", "at least one line"),
    ],
)
def test_a_faulty_schedule_comes_back(
    app: Flask,
    clock: Clock,
    operator: FlaskClient,
    changes: dict[str, str],
    field: str,
    why: str,
) -> None:
    answer = announce(operator, clock, **changes)
    assert answer.status_code == 422
    assert f'href="#{field}"' in answer.text
    assert why in text_of(answer)
    assert f'id="{field}-error"' in answer.text
    assert rows(app, FeeSchedule) == []


def test_a_rate_is_read_in_the_readers_form(
    app: Flask, clock: Clock, operator: FlaskClient
) -> None:
    form = {**SCHEDULE, "last-1": "1000", "first-2": "1001", "rate-2": "2,5"}
    answer = post(operator, "/fr/operator/fees/schedule", **form, holds_from=day(clock, 30))
    assert answer.status_code == 302, text_of(answer)
    assert rows(app, FeeSchedule)[0].tiers[1].basis_points == 250
    assert 'value="2,5"' in operator.get("/fr/operator/fees/schedule").text


@pytest.mark.parametrize(
    ("changes", "field"),
    [({"on": "perhaps"}, "on"), ({"pay_to": " "}, "pay_to"), ({"reason": ""}, "reason")],
)
def test_a_faulty_switch_comes_back(
    app: Flask, operator: FlaskClient, changes: dict[str, str], field: str
) -> None:
    answer = post(operator, "/en/operator/fees/switch", **{**ON, **changes})
    assert answer.status_code == 422
    assert f'href="#{field}"' in answer.text
    assert [each for each in rows(app, Switch) if each.name == "fees"] == []


def test_the_switch_leaves_a_trace(app: Flask, operator: FlaskClient) -> None:
    assert post(operator, "/en/operator/fees/switch", **ON).status_code == 302
    said = text_of(operator.get("/en/operator/fees"))
    assert "no schedule holds yet" in said
    [event] = [each for each in rows(app, Event) if each.new == "fees"]
    assert (event.actor, event.why) == ("op@example.org", "begins")


@pytest.mark.parametrize("role", [OperatorRole.SUPPORT, OperatorRole.AUDITOR, OperatorRole.EDITOR])
def test_only_finance_changes_anything(
    app: Flask, clock: Clock, role: OperatorRole, mall: Mall
) -> None:
    add_person(app, "other@example.org", "operator", operator_role=role)
    client = log_in(app, "other@example.org")
    assert client.get("/en/operator/fees").status_code == 200
    assert client.get("/en/operator/fees/statements").status_code == 200
    assert announce(client, clock).status_code == 403
    assert post(client, "/en/operator/fees/switch", **ON).status_code == 403
    assert post(client, "/en/operator/fees/statements/1/settle").status_code == 403
    assert rows(app, FeeSchedule) == []


def test_the_calculator(app: Flask, clock: Clock, operator: FlaskClient) -> None:
    announce(operator, clock)
    [made] = rows(app, FeeSchedule)
    asked = {"by": made.id, "kind": "cer", "before": "900", "quantity": "200"}
    asked |= {"price": "10.00", "currency": "USD"}
    said = text_of(operator.get("/en/operator/fees", query_string=asked))
    assert "100 USD 1,000.00 5%" in said.replace("US$", "USD ").replace("\u00a0", " ")
    for wrong, field in (
        ({"price": "ten"}, "price"),
        ({"quantity": "many"}, "quantity"),
        ({"kind": "gold"}, "kind"),
        ({"currency": "XXX"}, "price"),
    ):
        answer = operator.get("/en/operator/fees", query_string=asked | wrong)
        assert answer.status_code == 422, wrong
        assert f'id="{field}-error"' in answer.text


def test_the_calculator_without_a_schedule(operator: FlaskClient) -> None:
    answer = operator.get("/en/operator/fees?kind=cer&quantity=1&price=1&currency=USD")
    assert answer.status_code == 422


# The workspace


def test_a_provider_sees_and_accepts(
    app: Flask, clock: Clock, mall: Mall, operator: FlaskClient, owner: FlaskClient
) -> None:
    assert "charges you no fee at present" in text_of(owner.get("/en/provider/fees"))
    announce(operator, clock)
    said = text_of(owner.get("/en/provider/fees"))
    assert "To come: from 2 December 2026" in said
    assert "Accept these fees" in said
    post(operator, "/en/operator/fees/switch", **ON)
    clock.tick(days=30)
    with app.app_context():
        CHORES["fee_days"](jobs.platform())
    owner = again(owner, "owner")
    assert "Your offers take no new orders" in text_of(owner.get("/en/provider/fees"))
    assert "An owner has to accept the fees." in text_of(owner.get("/en/provider"))
    [schedule] = rows(app, FeeSchedule)
    assert post(owner, f"/en/provider/fees/{schedule.id}/accept").status_code == 302
    said = text_of(owner.get("/en/provider/fees"))
    assert "Accepted by owner@example.org" in said
    assert "Your offers take no new orders" not in said
    [consent] = rows(app, FeeConsent)
    assert consent.given_by == "owner@example.org"
    assert post(owner, "/en/provider/fees/999/accept").status_code == 404


@pytest.mark.parametrize("role", [StaffRole.SALES, StaffRole.ACCOUNTS])
def test_only_an_owner_accepts(
    app: Flask, clock: Clock, mall: Mall, operator: FlaskClient, role: StaffRole
) -> None:
    announce(operator, clock)
    with app.app_context():
        slug = db.session.scalars(select(Provider.slug).where(Provider.name == "Sun Ltd")).one()
    add_person(app, "staff@example.org", "provider", slug, staff_role=role)
    client = log_in(app, "staff@example.org")
    assert "An owner of your organisation can accept it." in text_of(
        client.get("/en/provider/fees")
    )
    [schedule] = rows(app, FeeSchedule)
    assert post(client, f"/en/provider/fees/{schedule.id}/accept").status_code == 403
    assert rows(app, FeeConsent) == []


def test_hidden_until_accepted(
    app: Flask, clock: Clock, mall: Mall, operator: FlaskClient, owner: FlaskClient
) -> None:
    charge(app, clock, operator, owner)
    visitor = Visitor(app)
    # Wind has accepted nothing.
    answer = visitor.add(mall.wind)
    assert "takes no new orders at present" in text_of(answer)
    assert visitor.add(mall.sun).status_code == 303
    said = text_of(visitor.get("/en/projects"))
    assert "Show projects 1 project " in said


def test_shown_beforehand_on_the_offer(
    app: Flask, clock: Clock, mall: Mall, operator: FlaskClient, owner: FlaskClient
) -> None:
    path = f"/en/provider/offers/{mall.sun}"
    assert "After this site’s fee" not in text_of(owner.get(path))
    charge(app, clock, operator, owner)
    owner = again(owner, "owner")
    said = text_of(owner.get(path)).replace("\u00a0", " ")
    assert "for 100 units you get" in said
    assert "237.50" in said


def test_from_the_sale_to_the_statement(
    app: Flask, clock: Clock, mall: Mall, operator: FlaskClient, owner: FlaskClient
) -> None:
    charge(app, clock, operator, owner)
    order = paid(app, mall)
    owner = again(owner, "owner")
    [fee] = rows(app, OrderFee)
    assert fee.amount_minor == order.total_minor * 5 // 100
    assert "Fee of this site" in text_of(owner.get(f"/en/provider/orders/{order.code}"))
    said = text_of(owner.get("/en/provider/fees"))
    assert "CER 10" in said
    statement = stated(app, clock)
    owner, operator = again(owner, "owner"), again(operator, "op")
    page = owner.get(f"/en/provider/fees/statements/{statement.id}")
    assert order.code in page.text
    assert "IBAN XY12" in page.text
    assert statement.number in text_of(owner.get("/en/provider/fees"))
    for client, prefix in ((owner, "/en/provider/fees"), (operator, "/en/operator/fees")):
        pdf = client.get(f"{prefix}/statements/{statement.id}.pdf")
        assert pdf.data.startswith(b"%PDF")
        assert pdf.mimetype == "application/pdf"
        csv = client.get(f"{prefix}/statements/{statement.id}.csv")
        assert f"FS000001,{order.code}," in csv.get_data(as_text=True)
        assert ",1.25,USD" in csv.get_data(as_text=True)
    listed = operator.get("/en/operator/fees/statements?status=open")
    assert "FS000001" in listed.text
    assert "FS000001" not in operator.get("/en/operator/fees/statements?status=settled").text
    assert "FS000001,Sun Ltd" in operator.get("/en/operator/fees/statements.csv").get_data(
        as_text=True
    )
    base = f"/en/operator/fees/statements/{statement.id}"
    assert order.code in operator.get(base).text
    for wrong in ({"status": "settled", "reason": ""}, {"status": "eaten", "reason": "x"}):
        assert post(operator, f"{base}/settle", **wrong).status_code == 422
    assert post(operator, f"{base}/settle", status="settled", reason="came").status_code == 302
    said = text_of(operator.get(base))
    assert "Settled" in said
    assert "came" in said


def test_statements_are_the_providers_own(
    app: Flask, clock: Clock, mall: Mall, operator: FlaskClient, owner: FlaskClient
) -> None:
    charge(app, clock, operator, owner)
    paid(app, mall)
    statement = stated(app, clock)
    with app.app_context():
        slug = db.session.scalars(select(Provider.slug).where(Provider.name == "Wind SA")).one()
    add_person(app, "wind@example.org", "provider", slug)
    other = log_in(app, "wind@example.org")
    owner, operator = again(owner, "owner"), again(operator, "op")
    for tail in ("", ".pdf", ".csv"):
        path = f"/en/provider/fees/statements/{statement.id}{tail}"
        assert other.get(path).status_code == 404
        assert owner.get(path).status_code == 200
    assert operator.get("/en/operator/fees/statements/999").status_code == 404


def test_a_formula_in_a_name_stays_text(
    app: Flask, clock: Clock, mall: Mall, operator: FlaskClient, owner: FlaskClient
) -> None:
    charge(app, clock, operator, owner)
    paid(app, mall)
    with app.app_context():
        row = db.session.scalars(select(Provider).where(Provider.name == "Sun Ltd")).one()
        row.name = "=1+1"
        db.session.commit()
    stated(app, clock)
    operator = again(operator, "op")
    text = operator.get("/en/operator/fees/statements.csv").get_data(as_text=True)
    assert ",'=1+1," in text


# Mails


@pytest.mark.parametrize("lang", ["en", "fr", "es"])
def test_mails_in_every_language(
    app: Flask,
    clock: Clock,
    mall: Mall,
    operator: FlaskClient,
    owner: FlaskClient,
    lang: str,
) -> None:
    with app.app_context(), unit_of_work() as session:
        for provider in session.scalars(select(Provider)):
            provider.locale = lang
    charge(app, clock, operator, owner)
    paid(app, mall)
    stated(app, clock)
    mails: dict[str, EmailMessage] = {}
    with app.test_request_context():
        for row in db.session.scalars(select(Message)):
            if row.kind in ("fee_announced", "fee_statement"):
                mails[row.kind] = render(db.session(), row)
    body = mails["fee_announced"].get_body(("plain",))
    assert body is not None
    assert "The Board decided so" in body.get_content()
    attached = [each.get_filename() for each in mails["fee_statement"].iter_attachments()]
    assert attached == ["FS000001.pdf"]


def test_the_method_stays_as_it_was(app: Flask, mall: Mall) -> None:
    """Fees change nothing for who takes none: no plug-in is asked for one."""
    order = paid(app, mall)
    assert order.paid_at is not None
    assert all(each.fee is None for each in mall.pay.requests.values())
    assert rows(app, OrderFee) == []
    assert {each.method_id for each in rows(app, PayoutMethod)} == {"paypal", "bank_transfer"}

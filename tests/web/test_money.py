"""Money typed by hand, at the browser: shown back, recorded once, by two people if large."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from flask import Flask
from flask.testing import FlaskClient
from sqlalchemy import select

from cnn_offset import jobs
from cnn_offset.domain.staff import StaffRole
from cnn_offset.domain.status import BankEntryStatus, OrderStatus
from cnn_offset.extensions import db, unit_of_work
from cnn_offset.mail import render
from cnn_offset.models import BankEntry, BankStatement, Cancellation, Message, Order
from cnn_offset.services import mailing
from cnn_offset.services.joining import find_user
from tests.conftest import Clock
from tests.web.people import add_person, log_in, post
from tests.web.selling import Sale, sell
from tests.web.shopping import text_of

ANN, BEN, SAM = "ann@example.org", "ben@example.org", "sam@example.org"


@pytest.fixture
def large(make_app: Callable[..., Flask], clock: Clock) -> tuple[Flask, Sale]:
    """An order of USD 25 where two people are needed from USD 25."""
    app = make_app(SECOND_PERSON_FROM=25)
    sale = sell(app, clock, method="bank_transfer")
    add_person(app, ANN, "provider", sale.provider)
    add_person(app, BEN, "provider", sale.provider, staff_role=StaffRole.ACCOUNTS)
    add_person(app, SAM, "provider", sale.provider, staff_role=StaffRole.SALES)
    return app, sale


def money(**changes: str) -> dict[str, str]:
    return {
        "amount": "25.00", "currency": "USD", "received_on": "2026-11-02",
        "bank_ref": "NTRF 4711", **changes,
    }  # fmt: skip


def status(app: Flask, sale: Sale) -> OrderStatus:
    with app.app_context():
        return db.session.get_one(Order, sale.order_id).status


def entries(app: Flask) -> list[BankEntry]:
    with app.app_context():
        return list(db.session.scalars(select(BankEntry).order_by(BankEntry.id)))


def propose(client: FlaskClient, sale: Sale) -> Any:
    return post(client, f"/en/provider/orders/{sale.code}/paid", **money(), seen="pays")


def test_two_people_at_their_browsers(large: tuple[Flask, Sale]) -> None:
    app, sale = large
    ann, ben, sam = (log_in(app, each) for each in (ANN, BEN, SAM))
    look = post(ann, f"/en/provider/orders/{sale.code}/paid", **money())
    assert "a second member of your staff must agree" in look.text
    assert "Yes, propose it" in look.text
    assert propose(ann, sale).status_code == 302
    assert "Another member of your staff must agree" in ann.get("/en/provider").text
    assert status(app, sale) is OrderStatus.PLACED
    (entry,) = entries(app)
    path = f"/en/provider/money/{entry.id}"

    page = ann.get(path)
    assert BEN in page.text
    assert "I agree" not in page.text
    again = post(ann, f"{path}/decide", act="record", seen="pays", order=sale.order_id)
    assert again.status_code == 422
    assert "You proposed this yourself" in again.text
    assert (
        post(sam, f"{path}/decide", act="record", seen="pays", order=sale.order_id).status_code
        == 403
    )

    assert sale.code in ben.get("/en/provider/money?show=seconded").text
    assert "I agree" in ben.get(path).text
    assert post(ben, f"{path}/decide", act="send_back").status_code == 302
    assert entries(app)[0].status is BankEntryStatus.WAITING
    assert (
        post(ben, f"{path}/decide", act="record", seen="pays", order=sale.order_id).status_code
        == 302
    )
    assert (
        post(ann, f"{path}/decide", act="record", seen="pays", order=sale.order_id).status_code
        == 302
    )
    assert status(app, sale) is OrderStatus.PAID
    with app.app_context():
        assert len(list(db.session.scalars(select(Cancellation)))) == 1


def test_nobody_is_left_to_agree(large: tuple[Flask, Sale]) -> None:
    """The second person has left meanwhile: the page says what to do, nothing is stuck."""
    app, sale = large
    ann = log_in(app, ANN)
    propose(ann, sale)
    with app.app_context(), unit_of_work() as session:
        ben = find_user(session, BEN)
        assert ben is not None
        ben.staff_role = StaffRole.SALES
    path = f"/en/provider/money/{entries(app)[0].id}"
    assert "Nobody else of your staff may do this" in ann.get(path).text
    assert (
        post(
            log_in(app, BEN), f"{path}/decide", act="record", seen="pays", order=sale.order_id
        ).status_code
        == 403
    )
    assert post(ann, f"{path}/decide", act="send_back").status_code == 302
    assert post(ann, f"{path}/decide", act="dismiss", reason="in error").status_code == 302
    assert status(app, sale) is OrderStatus.PLACED


def test_what_follows_has_changed(large: tuple[Flask, Sale], clock: Clock) -> None:
    """Whoever agrees to something else than is true now looks again first."""
    app, sale = large
    propose(log_in(app, ANN), sale)
    clock.tick(days=91)
    with app.app_context():
        jobs.do("order", sale.order_id)
    assert status(app, sale) is OrderStatus.LAPSED
    ben, path = log_in(app, BEN), f"/en/provider/money/{entries(app)[0].id}"
    answer = post(ben, f"{path}/decide", act="record", seen="pays", order=sale.order_id)
    assert answer.status_code == 422
    assert "changed meanwhile" in answer.text
    assert "had ended unpaid" in answer.text
    assert (
        post(ben, f"{path}/decide", act="record", seen="pays_late", order=sale.order_id).status_code
        == 302
    )
    assert status(app, sale) is OrderStatus.PAID


def test_the_same_reference_leads_to_what_is_known(app: Flask, clock: Clock) -> None:
    first = sell(app, clock, method="bank_transfer")
    second = sell(app, clock, method="bank_transfer", like=first)
    add_person(app, ANN, "provider", first.provider)
    ann = log_in(app, ANN)
    propose(ann, first)
    for sale in (first, second):
        answer = post(
            ann, f"/en/provider/orders/{sale.code}/paid", **money(bank_ref="ntrf4711"), seen="pays"
        )
        assert answer.location.endswith(f"/en/provider/money/{entries(app)[0].id}")
    assert status(app, second) is OrderStatus.PLACED
    assert len(entries(app)) == 1


@pytest.mark.parametrize(
    ("prepare", "amount", "words"),
    [
        ("", "25.00", "is paid exactly"),
        ("", "24.99", "Less than order"),
        ("", "25.01", "More than order"),
        ("EUR", "25.00", "in another currency"),
        ("lapse", "25.00", "had ended unpaid"),
        ("pay", "25.00", "More than order"),
        ("fulfil", "1.00", "was paid before"),
    ],
)
def test_each_case_has_its_words(
    app: Flask, clock: Clock, prepare: str, amount: str, words: str
) -> None:
    sale = sell(app, clock, method="bank_transfer")
    add_person(app, ANN, "provider", sale.provider)
    if prepare == "lapse":
        clock.tick(days=91)
        with app.app_context():
            jobs.do("order", sale.order_id)
    ann = log_in(app, ANN)
    if prepare in ("pay", "fulfil"):
        propose(ann, sale)
    if prepare == "fulfil":
        with app.app_context():
            db.session.get_one(Order, sale.order_id).status = OrderStatus.FULFILLED
            db.session.commit()
    look = post(
        ann,
        f"/en/provider/orders/{sale.code}/paid",
        **money(amount=amount, currency="EUR" if prepare == "EUR" else "USD", bank_ref="second"),
    )
    assert look.status_code == 200
    assert words in text_of(look)
    assert len(entries(app)) == (1 if prepare in ("pay", "fulfil") else 0)


@pytest.mark.parametrize("locale", ["en", "fr", "es"])
def test_mails_lead_to_what_waits(large: tuple[Flask, Sale], clock: Clock, locale: str) -> None:
    app, sale = large
    propose(log_in(app, ANN), sale)
    with app.app_context():
        (told,) = db.session.scalars(select(Message).where(Message.kind == "entry_to_second"))
        assert told.recipient == BEN
        order = db.session.get_one(Order, sale.order_id)
        statement = BankStatement(
            provider_id=order.provider_id, sha256="0" * 64, filename="bank.xml", format="camt053",
            account="X", entries=3, added=2, done_to=0, uploaded_by=ANN, uploaded_at=clock(),
        )  # fmt: skip
        db.session.add(statement)
        db.session.flush()
        for kind, params in (
            ("entry_to_second", told.params),
            ("entries_wait", {"statement_id": statement.id, "count": 2}),
        ):
            mailing.queue_message(
                db.session(), kind, recipient=BEN, locale=locale, now=clock(),
                dedup=f"{kind}:{locale}", params=params,
            )  # fmt: skip
        db.session.commit()
        entry_id = entries(app)[0].id
        for kind, path in (
            ("entry_to_second", f"money/{entry_id}"),
            ("entries_wait", f"statements/{statement.id}"),
        ):
            row = db.session.scalars(
                select(Message).where(Message.dedup == f"{kind}:{locale}")
            ).one()
            mail = render(db.session(), row)
            text = mail.get_body(("plain",)).get_content()  # type: ignore[union-attr]
            assert f"http://localhost/{locale}/provider/{path}" in text
            assert mail["Content-Language"] == locale

"""Placing orders once, ending them, and finding them again; on both databases."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from threading import Barrier

import pytest
from sqlalchemy import select

from cnn_offset import jobs
from cnn_offset.domain.calendar import CANCELLING, RegistryDates
from cnn_offset.domain.status import CheckoutStatus, OrderStatus
from cnn_offset.extensions import db, unit_of_work
from cnn_offset.models import Checkout, Event, Message, Order
from cnn_offset.services import NotFoundError, ServiceError, checking_out, ordering
from tests.services.conftest import DATES, DETAILS, Shop


def mails(kind: str) -> list[Message]:
    db.session.rollback()
    return list(db.session.scalars(select(Message).where(Message.kind == kind)))


def test_an_order_freezes_what_was_said_and_what_was_bought(shop: Shop) -> None:
    order_id = shop.order(10)
    shop.offer.block.vintage = 1999
    shop.offer.price_minor = 1
    db.session.commit()
    order = db.session.get_one(Order, order_id)
    assert str(order.total) == "USD 25.00"
    assert order.quantity == 10
    assert order.consented_at == shop.clock()
    assert order.terms_version == DETAILS.terms_version
    assert len(order.token) >= 43
    assert order.code != order.token
    assert order.pay_by == shop.clock() + shop.pay.due_within
    assert shop.offer.held == 10
    assert [mail.recipient for mail in mails("order_placed")] == ["ada@example.org"]
    assert db.session.scalars(select(Event.new).where(Event.subject == "order")).all() == ["placed"]


def test_placing_again_gives_the_same_orders(shop: Shop) -> None:
    checkout_id = shop.checkout(10)
    first = shop.place(checkout_id)
    assert shop.place(checkout_id) == first
    # A second request with another method changes nothing either.
    assert shop.place(checkout_id, "bank_transfer") == first
    assert db.session.get_one(Order, first).method_id == "paypal"
    assert shop.offer.held == 10
    assert len(mails("order_placed")) == 1


def test_many_clicks_at_once_place_one_order(shop: Shop) -> None:
    checkout_id = shop.checkout(10)
    barrier = Barrier(4)

    def click(_n: int) -> int:
        with shop.app.test_request_context():
            barrier.wait()
            try:
                return shop.place(checkout_id)
            finally:
                db.session.remove()

    db.session.rollback()
    with ThreadPoolExecutor(4) as pool:
        assert len(set(pool.map(click, range(4)))) == 1
    db.session.rollback()
    assert len(db.session.scalars(select(Order)).all()) == 1
    assert shop.offer.held == 10


@pytest.mark.parametrize("method", ["", "stripe_connect", "cheque"])
def test_methods_that_are_not_offered(shop: Shop, method: str) -> None:
    checkout_id = shop.checkout(10)
    with pytest.raises(ServiceError, match="choose how to pay"):
        shop.place(checkout_id, method)
    db.session.rollback()
    assert db.session.get_one(Checkout, checkout_id).status is CheckoutStatus.OPEN
    assert shop.offer.held == 10


def test_a_lapsed_checkout_becomes_no_order(shop: Shop) -> None:
    checkout_id = shop.checkout(10)
    jobs.do("checkout", checkout_id)
    with pytest.raises(ServiceError, match="units were released"):
        shop.place(checkout_id)
    db.session.rollback()
    assert shop.offer.held == 0
    assert db.session.scalars(select(Order)).all() == []


def test_placing_and_lapsing_at_once_end_one_way(shop: Shop) -> None:
    checkout_id = shop.checkout(10)
    barrier = Barrier(2)

    def go(act: str) -> None:
        with shop.app.test_request_context():
            barrier.wait()
            try:
                if act == "place":
                    with unit_of_work() as session:
                        token = session.get_one(Checkout, checkout_id).token
                    with unit_of_work() as session:
                        checkout = checking_out.find_checkout(session, token, lock=True)
                        line = checkout.lines[0]
                        ordering.place_orders(
                            session,
                            checkout,
                            DETAILS,
                            {(line.offer.provider_id, line.currency): "paypal"},
                            plugins=jobs.platform().payments,
                            registry_dates=DATES,
                            now=shop.clock(),
                        )
                else:
                    jobs.do("checkout", checkout_id)
            except ServiceError:
                pass
            finally:
                db.session.remove()

    db.session.rollback()
    with ThreadPoolExecutor(2) as pool:
        list(pool.map(go, ["place", "lapse"]))
    db.session.rollback()
    status = db.session.get_one(Checkout, checkout_id).status
    orders = db.session.scalars(select(Order)).all()
    assert len(orders) == (1 if status is CheckoutStatus.PLACED else 0)
    assert shop.offer.held == 10 * len(orders)


def test_the_last_day_to_pay_is_never_after_the_last_cancellation(shop: Shop) -> None:
    checkout_id = shop.checkout(10)
    end = shop.clock() + timedelta(days=20)
    with unit_of_work() as session:
        checkout = session.get_one(Checkout, checkout_id)
        line = checkout.lines[0]
        [order] = ordering.place_orders(
            session,
            checkout,
            DETAILS,
            {(line.offer.provider_id, line.currency): "bank_transfer"},
            plugins=jobs.platform().payments,
            registry_dates={"cdm": RegistryDates(last_cancellation=end)},
            now=shop.clock(),
        )
        assert order.pay_by == end - CANCELLING
    assert len(mails("bank_order_placed")) == 1


def test_ending_an_unpaid_order_releases_its_units_once(shop: Shop) -> None:
    order_id = shop.order(10)
    for expected in (True, False):
        with unit_of_work() as session:
            done = ordering.end_unpaid(
                session,
                session.get_one(Order, order_id),
                OrderStatus.WITHDRAWN,
                actor="purchaser",
                why="asked for",
                now=shop.clock(),
            )
        assert done is expected
    assert shop.offer.held == 0
    assert len(mails("order_withdrawn")) == 1


def test_unknown_links(shop: Shop) -> None:
    shop.order(10)
    for token in ("", "x", db.session.scalars(select(Order.code)).one()):
        with pytest.raises(NotFoundError):
            ordering.find_order(db.session(), token)


@pytest.mark.parametrize(
    ("typed", "kept"),
    [
        ("ada@example.org", "ada@example.org"),
        ("Ada.B@Example.ORG", "ada.b@example.org"),
        ("a@bücher.example", "a@xn--bcher-kva.example"),
    ],
)
def test_addresses_are_kept_in_one_form(typed: str, kept: str) -> None:
    assert ordering.clean_email(typed) == kept


@pytest.mark.parametrize(
    "typed",
    [
        "",
        "ada",
        "ada@example.org\n",
        "\nada@example.org",
        "a@b\r\nBcc: c@d.org",
        "é@example.org",
        "a@[127.0.0.1]",
    ],
)
def test_what_is_no_address(typed: str) -> None:
    with pytest.raises(ServiceError):
        ordering.clean_email(typed)


def test_links_go_only_to_who_has_orders_and_not_too_often(shop: Shop) -> None:
    shop.order(10)
    shop.order(10)

    def ask(email: str) -> None:
        with unit_of_work() as session:
            ordering.send_links(session, email, locale="fr", now=shop.clock())

    ask("eve@example.org")
    assert mails("lost_links") == []
    ask("ada@example.org")
    ask("ada@example.org")
    [mail] = mails("lost_links")
    assert (mail.recipient, mail.locale) == ("ada@example.org", "fr")
    shop.clock.tick(minutes=11)
    ask("ada@example.org")
    assert len(mails("lost_links")) == 2


def test_papers_sent_again_are_one_mail_while_it_waits(shop: Shop) -> None:
    order_id = shop.order(10)
    for _ in range(3):
        with unit_of_work() as session:
            ordering.send_papers_again(session, session.get_one(Order, order_id), now=shop.clock())
    assert len(mails("order_placed")) == 1

"""Two of everything at once, on both databases."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy import select

from cnn_offset import jobs
from cnn_offset.domain.money import Money
from cnn_offset.domain.payment import Verdict
from cnn_offset.domain.status import LIVE, OrderStatus
from cnn_offset.extensions import db, unit_of_work
from cnn_offset.models import Attestation, Cancellation, Checkout, Order, Payment
from cnn_offset.plugins.payments.base import Notice
from cnn_offset.services import cancelling, checking_out, deliveries, stock
from tests.factories import make_block, make_offer
from tests.services.conftest import DATES, Shop


def at_once(shop: Shop, *calls: Callable[[], Any]) -> list[Any]:
    """Run ``calls`` in threads of their own, started together; return what each gave or raised."""
    db.session.rollback()
    gate = threading.Barrier(len(calls))

    def one(call: Callable[[], Any]) -> Any:
        with shop.app.test_request_context():
            gate.wait()
            try:
                return call()
            except Exception as error:
                return error
            finally:
                db.session.remove()

    with ThreadPoolExecutor(len(calls)) as pool:
        return list(pool.map(one, calls))


def test_two_buyers_for_the_last_units(shop: Shop) -> None:
    shop.order(995)
    for _ in range(3):
        results = at_once(shop, *[lambda: shop.checkout(3)] * 6)
        won = [each for each in results if isinstance(each, int)]
        lost = [each for each in results if isinstance(each, stock.SoldOutError)]
        assert (len(won), len(lost)) == (1, 5), results
        assert shop.offer.available == 2
        shop.clock.tick(hours=1)
        shop.work(rounds=1)
        assert shop.offer.available == 5, "lapsed checkouts release their units"


def test_a_double_click_places_one_order(shop: Shop) -> None:
    checkout_id = shop.checkout(5)
    results = at_once(shop, *[lambda: shop.place(checkout_id)] * 6)
    assert len(set(results)) == 1
    assert isinstance(results[0], int)
    assert len(db.session.scalars(select(Order)).all()) == 1


def test_a_double_click_opens_one_payment(shop: Shop) -> None:
    order_id = shop.order(5)
    results = at_once(shop, *[lambda: shop.open(order_id)] * 6)
    assert len({each for each in results if isinstance(each, int)}) == 1, results
    assert len(db.session.scalars(select(Payment)).all()) == 1


def test_lines_confirmed_at_once_fulfil_their_order(
    shop: Shop, monkeypatch: pytest.MonkeyPatch
) -> None:
    """On PostgreSQL neither confirmation sees the other unless the order is locked."""
    first = db.session.get_one(type(shop.offer), shop.offer_id)
    # Of another series: inserting ranges of one series waits for the other anyway.
    second = make_offer(
        make_block(first.block.activity, first.provider, party="BR", series="BR")
    ).id
    db.session.commit()
    meeting, use = threading.Barrier(2), stock.use

    def meet_and_use(*arguments: Any) -> None:
        # Both confirmations would meet here, each before the other commits.
        with contextlib.suppress(threading.BrokenBarrierError):
            meeting.wait(0.5)
        use(*arguments)

    order_id = shop.order_of({shop.offer_id: 2, second: 3})
    shop.money(shop.open(order_id))
    monkeypatch.setattr(cancelling.stock, "use", meet_and_use)
    ids = db.session.scalars(select(Cancellation.id).where(Cancellation.order_id == order_id)).all()
    at_once(shop, *[lambda row=row: jobs.do("cancellation", row) for row in ids])
    assert shop.status(order_id) is OrderStatus.FULFILLED
    assert list(db.session.scalars(select(Attestation.sequence))) == [1]


def test_money_and_lapse_at_once(shop: Shop) -> None:
    for n in range(4):
        order_id = shop.order(5, "bank_transfer")
        shop.open(order_id, "bank_transfer")
        shop.clock.tick(days=91)
        results = at_once(
            shop,
            lambda order_id=order_id: jobs.do("order", order_id),
            lambda order_id=order_id, n=n: shop.bank_money(order_id, Money(1250, "USD"), f"B{n}"),
        )
        assert results[1] is Verdict.EXACT, results
        assert shop.status(order_id) is OrderStatus.PAID


def test_the_same_money_marked_twice_at_once(shop: Shop) -> None:
    order_id = shop.order(5, "bank_transfer")
    shop.open(order_id, "bank_transfer")
    results = at_once(shop, *[lambda: shop.bank_money(order_id, Money(1250, "USD"))] * 4)
    assert results == [Verdict.EXACT] * 4
    assert shop.status(order_id) is OrderStatus.PAID


def test_one_webhook_delivered_many_times_at_once(shop: Shop) -> None:
    def deliver() -> None:
        with unit_of_work() as session:
            deliveries.store_delivery(
                session, "paypal", Notice("E1", ["R-1"]), "", now=shop.clock()
            )

    assert at_once(shop, *[deliver] * 6) == [None] * 6


@pytest.mark.parametrize("workers", [2, 6])
def test_many_workers_reconcile_once(shop: Shop, workers: int) -> None:
    order_id = shop.order(5)
    payment_id = shop.open(order_id)
    shop.pay.pay(shop.payment(payment_id).processor_ref)
    at_once(shop, *[lambda: jobs.do("payment", payment_id)] * workers)
    assert shop.status(order_id) is OrderStatus.PAID
    assert len(db.session.scalars(select(Cancellation)).all()) == 1


def test_a_checkout_extended_in_the_last_moment_does_not_lapse(shop: Shop) -> None:
    checkout_id = shop.checkout(5)
    shop.clock.tick(hours=1)
    work = jobs._lapse_checkout

    def extend_first(here: Any, row_id: int) -> Any:
        with unit_of_work() as session:
            checkout = session.get_one(Checkout, row_id)
            checking_out.save_details(
                checkout, {"name": "Ada"}, hold_for=timedelta(minutes=30), now=shop.clock()
            )
        return work(here, row_id)

    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(jobs.WORK, "checkout", (Checkout, extend_first))  # type: ignore[arg-type]
        jobs.do("checkout", checkout_id, due_only=True)
    assert shop.offer.held == 5
    shop.clock.tick(hours=1)
    jobs.do("checkout", checkout_id, due_only=True)
    assert shop.offer.held == 0


def test_two_checkouts_that_swap_their_units_do_not_block_each_other(
    shop: Shop, monkeypatch: pytest.MonkeyPatch
) -> None:
    """On PostgreSQL each would wait for what the other has just released."""
    first = db.session.get_one(type(shop.offer), shop.offer_id)
    other = make_offer(make_block(first.block.activity, first.provider)).id
    db.session.commit()
    meeting, release = threading.Barrier(2), stock.release

    def release_and_meet(*arguments: Any) -> None:
        release(*arguments)
        with contextlib.suppress(threading.BrokenBarrierError):
            meeting.wait(0.5)

    def change(basket: dict[int, int], token: str) -> None:
        with unit_of_work() as session:
            checking_out.start_checkout(
                session, basket, locale="en", user_id=None, registry_dates=DATES,
                hold_for=jobs.LEASE, now=shop.clock(), token=token,
            )  # fmt: skip

    change({shop.offer_id: 1}, "one")
    change({other: 1}, "two")
    monkeypatch.setattr(checking_out.stock, "release", release_and_meet)
    results = at_once(
        shop,
        lambda: change({other: 1}, "one"),
        lambda: change({shop.offer_id: 1}, "two"),
    )
    assert results == [None, None]


def test_a_payment_opened_while_its_order_lapses(shop: Shop) -> None:
    for _ in range(3):
        order_id = shop.order(5)
        shop.open(order_id)
        shop.clock.tick(days=4)
        at_once(
            shop,
            lambda order_id=order_id: jobs.do("order", order_id),
            lambda order_id=order_id: shop.open(order_id, "bank_transfer"),
        )
        live = db.session.scalars(
            select(Payment.id).where(Payment.order_id == order_id, Payment.status.in_(LIVE))
        ).all()
        assert (shop.status(order_id) is OrderStatus.LAPSED) == (not live)

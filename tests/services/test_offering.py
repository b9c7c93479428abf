"""Offers: what may be offered, changed and withdrawn, by whom, and what running orders keep."""

from __future__ import annotations

import threading
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from typing import Any

import pytest
from flask import Flask
from sqlalchemy import select

from cnn_offset import jobs
from cnn_offset.domain.calendar import RegistryDates
from cnn_offset.domain.money import Money
from cnn_offset.domain.status import OfferStatus, OrderStatus, PayoutStatus
from cnn_offset.extensions import db, platform, unit_of_work
from cnn_offset.models import Block, Offer, OfferTerms, PayoutMethod
from cnn_offset.services import NotFoundError, ServiceError, offering, stock
from cnn_offset.services.offering import ChangedError, Outside, TermError, Terms
from tests.factories import make_activity, make_block, make_offer, make_payout, make_provider
from tests.services.conftest import Shop

PRICE = Money(300, "USD")


def outside(shop: Shop, dates: RegistryDates | None = None) -> Outside:
    return Outside(platform().payments, {"cdm": dates or RegistryDates()}, shop.clock())


def block_of(shop: Shop, **values: Any) -> int:
    """Add a block of the shop's provider that nobody offers; return its id."""
    with unit_of_work():
        provider = shop.offer.provider
        return make_block(make_activity(), provider, **values).id


def make(shop: Shop, block_id: int, terms: Terms, **changes: Any) -> int:
    with unit_of_work() as session:
        return offering.make_offer(
            session,
            changes.pop("provider_id", shop.offer.provider_id),
            block_id,
            terms,
            outside(shop, changes.pop("dates", None)),
            actor="staff",
            **changes,
        ).id


def change(shop: Shop, terms: Terms, *, version: int | None = None, **changes: Any) -> bool:
    with unit_of_work() as session:
        return offering.change_offer(
            session,
            changes.pop("provider_id", shop.offer.provider_id),
            shop.offer_id,
            terms,
            outside(shop, changes.pop("dates", None)),
            version=shop.offer.version if version is None else version,
            actor="staff",
        )


def history(offer_id: int) -> list[tuple[int, OfferStatus, int, int]]:
    db.session.expire_all()
    rows = db.session.scalars(
        select(OfferTerms).where(OfferTerms.offer_id == offer_id).order_by(OfferTerms.version)
    )
    return [(each.version, each.status, each.price_minor, each.quantity) for each in rows]


# Making


def test_a_block_is_put_on_sale(shop: Shop) -> None:
    block_id = block_of(shop)
    offer_id = make(shop, block_id, Terms(PRICE, 400, 5, date(2026, 11, 30)))
    offer = db.session.get_one(Offer, offer_id)
    assert (offer.price, offer.quantity, offer.min_quantity) == (PRICE, 400, 5)
    assert offer.ends_at == offer.due_at == datetime(2026, 12, 1, tzinfo=UTC)
    assert offering.last_day(offer) == date(2026, 11, 30)
    assert offer.private_token is None
    assert history(offer_id) == [(1, OfferStatus.OPEN, 300, 400)]


@pytest.mark.parametrize(
    ("terms", "field"),
    [
        (Terms(Money(0, "USD"), 1), "price"),
        (Terms(Money(-5, "USD"), 1), "price"),
        (Terms(Money(offering.MAX_MINOR + 1, "USD"), 1), "price"),
        (Terms(PRICE, 0), "quantity"),
        (Terms(PRICE, -1), "quantity"),
        (Terms(PRICE, 1001), "quantity"),
        (Terms(PRICE, 10**12), "quantity"),
        (Terms(PRICE, 10, 0), "minimum"),
        (Terms(PRICE, 10, 11), "minimum"),
        (Terms(PRICE, 10, 1, date(2026, 11, 1)), "ends_on"),
        (Terms(PRICE, 10, 1, date(2026, 12, 29)), "ends_on"),
        (Terms(Money(300, "CHF"), 10), "currency"),
    ],
)
def test_terms_that_make_no_sense(shop: Shop, terms: Terms, field: str) -> None:
    dates = RegistryDates(last_order=datetime(2026, 12, 28, 12, tzinfo=UTC))
    with pytest.raises(TermError) as refused:
        make(shop, block_of(shop), terms, dates=dates)
    assert refused.value.field == field
    with pytest.raises(TermError):
        change(shop, replace(terms, quantity=terms.quantity + (terms.quantity > 900)), dates=dates)
    assert shop.offer.version == 1


def test_an_offer_ends_with_its_registry_at_the_latest(shop: Shop) -> None:
    last = datetime(2026, 12, 28, 12, tzinfo=UTC)
    terms = Terms(PRICE, 10, 1, date(2026, 12, 28))
    offer_id = make(shop, block_of(shop), terms, dates=RegistryDates(last_order=last))
    offer = db.session.get_one(Offer, offer_id)
    assert (offer.ends_at, offering.last_day(offer)) == (last, date(2026, 12, 28))


@pytest.mark.parametrize("case", ["obstacle", "draining", "not ready", "no such method"])
def test_what_could_not_be_sold_is_not_offered(shop: Shop, case: str) -> None:
    block_id = block_of(shop, eligible=case != "obstacle")
    dates = RegistryDates(last_order=shop.clock()) if case == "draining" else None
    with unit_of_work() as session:
        for payout in session.scalars(select(PayoutMethod)):
            if case == "not ready":
                payout.status = PayoutStatus.LIMITED
            if case == "no such method":
                payout.method_id += "_x"
    with pytest.raises(ServiceError):
        make(shop, block_id, Terms(PRICE, 10), dates=dates)
    # What is on sale already can still be made smaller or cheaper, and withdrawn.
    if case in ("not ready", "no such method"):
        assert change(shop, Terms(Money(200, "USD"), 500))
    with unit_of_work() as session:
        offering.withdraw_offer(
            session, shop.offer.provider_id, shop.offer_id, actor="x", now=shop.clock()
        )


def test_another_providers_block_and_offer_do_not_exist(shop: Shop) -> None:
    with unit_of_work():
        other = make_provider()
        make_payout(other, "paypal")
    now = shop.clock()
    for call in (
        lambda: make(shop, shop.offer.block_id, Terms(PRICE, 1), provider_id=other.id),
        lambda: make(shop, 999_999, Terms(PRICE, 1)),
        lambda: change(shop, Terms(PRICE, 1), provider_id=other.id),
        lambda: offering.own_offer(db.session(), other.id, shop.offer_id),
        lambda: offering.withdraw_offer(db.session(), other.id, shop.offer_id, actor="x", now=now),
        lambda: offering.private_offer(db.session(), "nothing"),
    ):
        with pytest.raises(NotFoundError):
            call()


def test_a_block_has_one_public_offer_and_any_private_ones(shop: Shop) -> None:
    block_id = block_of(shop)
    make(shop, block_id, Terms(PRICE, 400))
    with pytest.raises(ServiceError, match="already"):
        make(shop, block_id, Terms(PRICE, 1))
    one = make(shop, block_id, Terms(Money(200, "USD"), 500), customer="Big & Co")
    two = make(shop, block_id, Terms(Money(150, "USD"), 100), customer="")
    tokens = {db.session.get_one(Offer, each).private_token for each in (one, two)}
    assert len(tokens) == 2
    assert all(token and len(token) >= 40 for token in tokens)
    with pytest.raises(TermError, match="only 0 units"):
        make(shop, block_id, Terms(PRICE, 1), customer="")


# Changing


def test_price_in_place_and_orders_keep_theirs(shop: Shop) -> None:
    held = shop.checkout(10)
    order_id = shop.order(20)
    assert change(shop, Terms(Money(900, "USD"), 800, 3))
    assert (shop.offer.price_minor, shop.offer.quantity, shop.offer.version) == (900, 800, 2)
    assert history(shop.offer_id) == [(2, OfferStatus.OPEN, 900, 800)]
    placed = shop.place(held)
    prices = {}
    for each in (order_id, placed):
        order = db.session.get_one(type(shop.payment(shop.open(each)).order), each)
        prices[each] = (order.total_minor, [line.price_minor for line in order.lines])
    assert prices == {order_id: (5000, [250]), placed: (2500, [250])}


def test_the_same_again_changes_nothing(shop: Shop) -> None:
    same = Terms(shop.offer.price, 1000)
    assert not change(shop, same)
    assert not change(shop, same, version=77), "a second click on the same form"
    assert shop.offer.version == 1


def test_two_staff_edit_one_offer(shop: Shop) -> None:
    assert change(shop, Terms(PRICE, 900), version=1)
    with pytest.raises(ChangedError):
        change(shop, Terms(Money(400, "USD"), 900), version=1)
    assert shop.offer.price == PRICE


def test_a_quantity_covers_what_is_sold(shop: Shop) -> None:
    shop.order(300)
    with pytest.raises(TermError, match="300 units"):
        change(shop, Terms(PRICE, 299))
    assert change(shop, Terms(PRICE, 300))
    assert shop.offer.available == 0
    assert change(shop, Terms(PRICE, 1000))
    with pytest.raises(TermError, match="only 0 units"):
        change(shop, Terms(PRICE, 1001))


def test_what_was_cancelled_is_not_offered_again(shop: Shop) -> None:
    order_id = shop.order(300)
    payment_id = shop.open(order_id)
    shop.money(payment_id)
    shop.work()
    assert shop.status(order_id) is OrderStatus.FULFILLED
    assert shop.offer.block.held == 700
    with pytest.raises(TermError):
        change(shop, Terms(PRICE, 1001))
    with unit_of_work() as session:
        offering.withdraw_offer(
            session, shop.offer.provider_id, shop.offer_id, actor="x", now=shop.clock()
        )
    with pytest.raises(TermError, match="only 700 units"):
        make(shop, shop.offer.block_id, Terms(PRICE, 701))
    make(shop, shop.offer.block_id, Terms(PRICE, 700))


# Withdrawing and ending


def test_withdrawn_with_orders_running(shop: Shop) -> None:
    order_id = shop.order(300)
    payment_id = shop.open(order_id)
    for _ in range(2):
        with unit_of_work() as session:
            offering.withdraw_offer(
                session, shop.offer.provider_id, shop.offer_id, actor="x", now=shop.clock()
            )
    assert (shop.offer.status, shop.offer.held, shop.offer.version) == (OfferStatus.CLOSED, 300, 2)
    with pytest.raises(ServiceError):
        shop.checkout(1)
    with pytest.raises(ServiceError, match="closed"):
        change(shop, Terms(PRICE, 900))
    # The block can be offered again, but for what the running order holds.
    with pytest.raises(TermError, match="only 700 units"):
        make(shop, shop.offer.block_id, Terms(PRICE, 701))
    make(shop, shop.offer.block_id, Terms(PRICE, 700))
    shop.money(payment_id)
    shop.work()
    assert shop.status(order_id) is OrderStatus.FULFILLED
    assert stock.promised(db.session(), shop.offer.block_id) == 700 == shop.offer.block.held


def test_an_offer_ends_on_its_day(shop: Shop) -> None:
    offer_id = make(shop, block_of(shop), Terms(PRICE, 10, 1, date(2026, 11, 2)))
    shop.clock.now = datetime(2026, 11, 2, 23, 59, tzinfo=UTC)
    assert jobs.do("offer", offer_id)
    offer = db.session.get_one(Offer, offer_id, populate_existing=True)
    assert (offer.status, offer.due_at) == (OfferStatus.OPEN, offer.ends_at)
    shop.clock.tick(minutes=1)
    with pytest.raises(ServiceError):
        shop.checkout_of({offer_id: 1})
    assert jobs.do("offer", offer_id, due_only=True)
    offer = db.session.get_one(Offer, offer_id, populate_existing=True)
    assert (offer.status, offer.due_at) == (OfferStatus.CLOSED, None)
    assert [each[0] for each in history(offer_id)] == [1, 2]


# At once


def in_parallel(app: Flask, *calls: Any) -> list[Any]:
    barrier, results = threading.Barrier(len(calls)), [None] * len(calls)

    def work(place: int, call: Any) -> None:
        with app.test_request_context():
            barrier.wait()
            try:
                results[place] = call()
            except Exception as error:
                results[place] = error
            finally:
                db.session.remove()

    threads = [threading.Thread(target=work, args=each) for each in enumerate(calls)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    db.session.rollback()
    return results


def test_a_block_offered_twice_at_once(shop: Shop) -> None:
    block_id, ours, out = block_of(shop), shop.offer.provider_id, outside(shop)

    def offer() -> int:
        with unit_of_work() as session:
            return offering.make_offer(
                session, ours, block_id, Terms(PRICE, 800), out, actor="x"
            ).id

    results = in_parallel(shop.app, offer, offer, offer)
    assert sum(isinstance(each, int) for each in results) == 1
    assert sum(isinstance(each, ServiceError) for each in results) == 2, results


def test_private_offers_at_once_never_promise_more_than_there_is(shop: Shop) -> None:
    block_id, ours, out = block_of(shop), shop.offer.provider_id, outside(shop)

    def offer() -> int:
        with unit_of_work() as session:
            return offering.make_offer(
                session, ours, block_id, Terms(PRICE, 400), out, actor="x", customer=""
            ).id

    results = in_parallel(shop.app, offer, offer, offer)
    assert sum(isinstance(each, int) for each in results) == 2, results
    assert stock.promised(db.session(), block_id) == 800


def test_withdrawing_while_an_order_is_placed(shop: Shop) -> None:
    ours, now = shop.offer.provider_id, shop.clock()

    def withdraw() -> str:
        with unit_of_work() as session:
            offering.withdraw_offer(session, ours, shop.offer_id, actor="x", now=now)
        return "withdrawn"

    results = in_parallel(shop.app, withdraw, lambda: shop.checkout(10), lambda: shop.checkout(20))
    assert results[0] == "withdrawn"
    held = sum(n for n, each in zip((10, 20), results[1:], strict=True) if isinstance(each, int))
    assert all(isinstance(each, int | ServiceError) for each in results[1:]), results
    assert (shop.offer.status, shop.offer.held) == (OfferStatus.CLOSED, held)


def test_selling_while_the_quantity_is_lowered(shop: Shop) -> None:
    ours, out = shop.offer.provider_id, outside(shop)

    def lower() -> bool:
        with unit_of_work() as session:
            return offering.change_offer(
                session, ours, shop.offer_id, Terms(Money(250, "USD"), 25), out,
                version=1, actor="x",
            )  # fmt: skip

    results = in_parallel(shop.app, lower, lambda: shop.checkout(20), lambda: shop.checkout(20))
    assert shop.offer.held + shop.offer.cancelled <= shop.offer.quantity
    sold = sum(isinstance(each, int) and not isinstance(each, bool) for each in results[1:])
    assert shop.offer.held == 20 * sold
    assert (results[0] is True) == (shop.offer.quantity == 25)


def test_what_the_catalogue_shows_follows(shop: Shop) -> None:
    """A private offer is on no list; a changed price counts at once."""
    with unit_of_work() as session:
        offer = session.get_one(Offer, shop.offer_id)
        offer.quantity = 500
        secret = make_offer(session.get_one(Block, offer.block_id), quantity=5, private_token="t")
    from cnn_offset.services import browsing

    listed = browsing.offers_of(db.session(), shop.offer.block.activity)
    assert [each.id for each in listed] == [shop.offer_id]
    assert secret.id not in {each.id for each in listed}
    before = shop.offer.changed_at
    shop.clock.now += timedelta(hours=1)
    change(shop, Terms(PRICE, 500))
    assert shop.offer.changed_at > before

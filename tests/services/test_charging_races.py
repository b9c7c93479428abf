"""Fees where the databases differ: who counts first, who numbers first."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from sqlalchemy import select

from cnn_offset.domain.period import Period
from cnn_offset.domain.status import OrderStatus
from cnn_offset.extensions import db, unit_of_work
from cnn_offset.models import FeeStatement, Provider
from cnn_offset.services import fee_schedules, fee_statements
from tests.factories import make_block, make_offer, make_payout, make_provider
from tests.services.conftest import Shop
from tests.services.test_charging import charge, fee, next_month, state, volume


def test_two_orders_at_once_do_not_share_a_tier(shop: Shop) -> None:
    charge(shop)
    checkouts = [shop.checkout(60) for _ in range(4)]
    gate = threading.Barrier(4)

    def place(checkout_id: int) -> int:
        with shop.app.test_request_context():
            gate.wait()
            try:
                return shop.place(checkout_id)
            finally:
                db.session.remove()

    db.session.rollback()
    with ThreadPoolExecutor(4) as pool:
        orders = list(pool.map(place, checkouts))
    fees = sorted(fee(each).amount_minor for each in orders)
    assert fees == sorted(
        [60 * 250 * 5 // 100, (40 * 5 + 20 * 2) * 250 // 100, *[60 * 250 * 2 // 100] * 2]
    )
    assert volume() == 240


def test_late_money_takes_it_again(shop: Shop) -> None:
    charge(shop)
    order_id = shop.order(90)
    payment_id = shop.open(order_id)
    shop.clock.tick(days=4)
    shop.work(rounds=2)
    assert volume() == 0
    shop.money(payment_id)
    assert shop.status(order_id) is not OrderStatus.LAPSED
    assert volume() == 90


def test_two_workers_write_one_statement(shop: Shop) -> None:
    charge(shop)
    shop.money(shop.open(shop.order(10)))
    next_month(shop)
    month = Period.holding("month", shop.clock().date()).previous
    [provider_id] = fee_statements.waiting(db.session())
    db.session.rollback()
    gate = threading.Barrier(2)

    def issue(_: int) -> Any:
        with shop.app.test_request_context():
            gate.wait()
            try:
                with unit_of_work() as session:
                    made = fee_statements.issue(session, provider_id, month, now=shop.clock())
                    return len(made)
            except Exception as error:
                return type(error).__name__
            finally:
                db.session.remove()

    with ThreadPoolExecutor(2) as pool:
        results = list(pool.map(issue, range(2)))
    assert 1 in results
    assert len(db.session.scalars(select(FeeStatement)).all()) == 1


def test_numbers_have_no_gaps_over_providers_and_currencies(shop: Shop) -> None:
    schedule_id = charge(shop)
    provider = db.session.scalars(select(Provider)).one()
    euros = make_offer(make_block(provider=provider), currency="EUR").id
    other = make_provider()
    make_payout(other)
    theirs = make_offer(make_block(provider=other)).id
    db.session.commit()
    with unit_of_work() as session:
        fee_schedules.accept(session, other.id, schedule_id, actor="o@x.org", now=shop.clock())
    for offer_id in (shop.offer_id, euros, theirs):
        shop.money(shop.open(shop.order_of({offer_id: 10})))
    next_month(shop)
    made = state(shop)
    assert [each.sequence for each in made] == [1, 2, 3]
    assert {(each.provider_id, each.currency) for each in made} == {
        (provider.id, "EUR"),
        (provider.id, "USD"),
        (other.id, "USD"),
    }

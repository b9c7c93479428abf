"""Moving from one registry to its successor, on good days and on bad ones."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from flask import Flask

from cnn_offset.domain.calendar import Pause, RegistryPhase
from cnn_offset.domain.payment import Fact, FactKind, FactStatus
from cnn_offset.domain.status import CutoverStatus, OrderStatus
from cnn_offset.extensions import db, unit_of_work
from cnn_offset.models import Activity, Block, Offer, Order, Payment
from cnn_offset.services import (
    ServiceError,
    browsing,
    cutover,
    cutover_steps,
    ordering,
    registering,
    settling,
)
from cnn_offset.services.attention import attention
from cnn_offset.services.attention.kinds import Kind
from cnn_offset.services.cutover_steps import Outcome
from tests.conftest import Clock
from tests.cutover import NEW, OLD, Move, make_move


@pytest.fixture
def shop(app: Flask, clock: Clock) -> Iterator[Move]:
    with app.test_request_context():
        made = make_move(app, clock)
        yield made
        assert made.findings() == []


def test_moves_holdings_offers_and_open_orders(shop: Move) -> None:
    block = shop.block(100)
    offer_id, slug = shop.offer(block), block.activity.slug
    fulfilled, unpaid = shop.order({offer_id: 10}), shop.order({offer_id: 7})
    shop.pays(fulfilled)
    shop.work()
    assert shop.order_status(fulfilled) is OrderStatus.FULFILLED
    checkout = shop.checkout({offer_id: 5})
    before = shop.held(OLD)
    shop.freeze()
    shop.clock.tick(seconds=11)
    [report] = shop.succeed()
    assert shop.go().outcome is Outcome.DONE
    assert (shop.held(OLD), shop.held(NEW)) == (0, before)
    # The same offer, so that baskets and private links find it.
    assert shop.open_offers(NEW) == [(report.block_ref, 100, 12, 10)]
    assert shop.get(Offer, offer_id).block.block_ref == report.block_ref
    line = shop.get(Order, unpaid).lines[0]
    assert (line.block.registry_id, line.offer_id) == (NEW, offer_id)
    assert shop.get(Order, fulfilled).lines[0].block.registry_id == OLD
    activity = shop.get(Offer, offer_id).block.activity
    assert (activity.slug, activity.registry_id, activity.ref) == (slug, NEW, report.activity_ref)
    assert activity.ref_in(OLD) == report.activity_ref.removeprefix("A64-")
    # Purchasers of open orders are told once, and the provider.
    assert shop.mails("units_moved") == [unpaid]
    assert len(shop.mails("holdings_moved")) == 1
    # What was begun goes on, in the new registry alone.
    late = shop.place(checkout)
    for each in (unpaid, late):
        shop.pays(each)
    shop.work()
    assert [shop.order_status(each) for each in (unpaid, late)] == [OrderStatus.FULFILLED] * 2
    assert shop.cancelled() == [(OLD, 10), (NEW, 7), (NEW, 5)]
    assert (shop.old.units(), shop.new.units()) == (10, 12)
    assert shop.held(NEW) == before - 12
    # The mirror reads the new account; the old registry takes no order any more.
    assert shop.dates[OLD].phase(shop.clock()) is RegistryPhase.DRAINING
    assert shop.dates[NEW].phase(shop.clock()) is RegistryPhase.OPEN


def test_refuses_orders_while_it_moves(shop: Move) -> None:
    offer_id = shop.offer(shop.block())
    checkout = shop.checkout({offer_id: 3})
    shop.freeze()
    assert shop.dates[OLD].pause is Pause.MOVING
    for step in (lambda: shop.checkout({offer_id: 1}), lambda: shop.place(checkout)):
        with pytest.raises(ServiceError, match="moving to the registry that takes over"):
            step()


def test_a_freeze_can_be_given_up(shop: Move) -> None:
    offer_id = shop.offer(shop.block())
    shop.freeze()
    cutover.give_up(unit_of_work, shop.outside, actor="op")
    assert shop.status is CutoverStatus.GIVEN_UP
    assert shop.order({offer_id: 1})
    shop.freeze()
    assert shop.status is CutoverStatus.FROZEN


def test_one_that_stands_still_waits_for_a_person(shop: Move) -> None:
    shop.offer(shop.block())
    shop.freeze()
    kinds = [Kind.CUTOVER]
    assert attention(db.session(), now=shop.clock(), kinds=kinds) == []
    shop.clock.tick(hours=2)
    [entry] = attention(db.session(), now=shop.clock(), kinds=kinds)
    assert (entry.name, entry.detail) == ("a64_interim → a64_final", "frozen")
    cutover.give_up(unit_of_work, shop.outside, actor="op")
    assert attention(db.session(), now=shop.clock(), kinds=kinds) == []


def test_what_has_moved_is_not_given_up(shop: Move) -> None:
    shop.offer(shop.block())
    shop.succeed()
    shop.freeze()
    shop.clock.tick(seconds=11)
    assert shop.go().outcome is Outcome.DONE
    with pytest.raises(cutover_steps.CutoverError, match="no cut-over runs"):
        cutover.give_up(unit_of_work, shop.outside, actor="op")


def test_one_at_a_time(shop: Move) -> None:
    shop.freeze()
    with pytest.raises(cutover_steps.CutoverError, match="another cut-over runs: a64_interim"):
        cutover.freeze(unit_of_work, NEW, OLD, shop.outside, actor="op")
    hold = cutover_steps.claim(unit_of_work, 1, now=shop.clock())
    with pytest.raises(cutover_steps.CutoverError, match="somebody works at it"):
        cutover.go(unit_of_work, OLD, NEW, shop.outside, actor="op")
    # The lease of who died is over some time; who wakes up then has lost it.
    shop.clock.tick(minutes=4)
    cutover_steps.claim(unit_of_work, 1, now=shop.clock())
    with (
        pytest.raises(cutover_steps.CutoverError, match="taken over"),
        cutover_steps.step(unit_of_work, hold, shop.outside),
    ):
        pass


def test_unknown_cancellations_block(shop: Move) -> None:
    offer_id = shop.offer(shop.block())
    order_id = shop.order({offer_id: 4})
    shop.old.safe, shop.old.faults = False, ["late"]
    shop.pays(order_id)
    shop.work(rounds=1, minutes=0)
    shop.freeze()
    shop.clock.tick(seconds=11)
    result = cutover.go(unit_of_work, OLD, NEW, shop.outside, actor="op")
    assert result.outcome is Outcome.WAITS
    assert "has not said whether" in result.words[0]
    shop.work(rounds=40, minutes=2)
    assert shop.order_status(order_id) is OrderStatus.FULFILLED
    shop.succeed()
    assert shop.go().outcome is Outcome.DONE
    assert shop.cancelled() == [(OLD, 4)]


def test_money_between_drain_and_thaw_waits_for_the_new_registry(shop: Move) -> None:
    offer_id = shop.offer(shop.block())
    order_id = shop.order({offer_id: 4})
    shop.freeze()
    shop.clock.tick(seconds=11)
    refused = shop.go()
    assert (refused.outcome, shop.status) == (Outcome.REFUSED, CutoverStatus.DRAINED)
    assert "unknown to the new registry" in refused.words[0]
    shop.pays(order_id)
    shop.work()
    # Neither sent to the registry that has closed its books, nor lost.
    assert (shop.order_status(order_id), shop.old.sent) == (OrderStatus.PAID, [])
    shop.succeed()
    assert shop.go().outcome is Outcome.DONE
    shop.work()
    assert shop.order_status(order_id) is OrderStatus.FULFILLED
    assert (shop.cancelled(), shop.old.sent) == ([(NEW, 4)], [])


def test_a_lapsed_order_that_is_paid_late_gets_units_of_the_new_block(shop: Move) -> None:
    offer_id = shop.offer(shop.block())
    order_id = shop.order({offer_id: 4})
    with unit_of_work() as session:
        order = session.get_one(Order, order_id)
        ordering.end_unpaid(
            session, order, OrderStatus.LAPSED, actor="clock", why="late", now=shop.clock()
        )
    shop.succeed()
    shop.freeze()
    shop.clock.tick(seconds=11)
    assert shop.go().outcome is Outcome.DONE
    assert shop.mails("units_moved") == []
    with unit_of_work() as session:
        order = session.get_one(Order, order_id)
        payment = Payment(
            order_id=order.id,
            method_id="paypal",
            key="late",
            amount_minor=order.total_minor,
            currency=order.currency,
            payee_account="ABCDEFGHJKLM2",
            payee={"merchant_id": "ABCDEFGHJKLM2"},
            created_at=shop.clock(),
        )
        session.add(payment)
        session.flush()
        fact = Fact(
            FactKind.PAYMENT,
            "x",
            FactStatus.DONE,
            order.total,
            "ABCDEFGHJKLM2",
            shop.clock(),
        )
        settling.add_facts(session, payment, [fact], actor="test", now=shop.clock())
        settling.conclude(session, payment, now=shop.clock())
    shop.work()
    assert shop.order_status(order_id) is OrderStatus.FULFILLED
    assert shop.cancelled() == [(NEW, 4)]


def test_the_accounts_are_not_read_while_units_move(shop: Move) -> None:
    """Units that leave the old registry are not taken as gone, or offers would close."""
    offer_id = shop.offer(shop.block())
    shop.freeze()
    shop.succeed()
    shop.work(rounds=3, minutes=90)
    assert shop.get(Offer, offer_id).quantity == 100
    assert shop.go().outcome is Outcome.DONE
    shop.work(rounds=2)
    assert shop.get(Offer, offer_id).quantity == 100
    assert shop.get(Block, shop.get(Offer, offer_id).block_id).read_at > shop.clock.now.replace(
        hour=12
    )


def test_the_old_number_still_finds_a_project(shop: Move) -> None:
    block = shop.block()
    shop.offer(block)
    activity_id, ref = block.activity_id, block.activity.ref
    shop.succeed()
    shop.freeze()
    shop.clock.tick(seconds=11)
    assert shop.go().outcome is Outcome.DONE
    texts = dict(browsing.activity_texts(db.session.connection(), "en"))
    assert ref in texts[activity_id].split()
    found = registering.registered(db.session(), words=ref, registry_id="", before=None, limit=5)
    assert [each.id for each in found] == [activity_id]
    assert shop.get(Activity, activity_id).registry_id == NEW

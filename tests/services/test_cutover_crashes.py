"""The cut-over killed at every commit, with money coming meanwhile, on both databases."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from flask import Flask
from sqlalchemy import func, select

from cnn_offset.domain.status import CutoverStatus, OfferStatus, OrderStatus
from cnn_offset.extensions import db, unit_of_work
from cnn_offset.models import BlockOrigin, Cutover, Event, Offer, OfferTerms, RegistryAccount
from cnn_offset.services import cutover
from cnn_offset.services.cutover_steps import Outcome, Result
from tests.conftest import Clock
from tests.cutover import NEW, OLD, Crashed, Move, dying, make_move

FULFILLED = OrderStatus.FULFILLED


def _shop(app: Flask, clock: Clock) -> tuple[Move, list[int], int]:
    """A shop with two projects, orders in every state, a checkout and a private offer."""
    shop = make_move(app, clock)
    first, second = shop.block(100), shop.block(60)
    public, other = shop.offer(first, quantity=80), shop.offer(second)
    shop.offer(first, quantity=15, private_token="secret", customer="C")
    paid = shop.order({public: 10})
    shop.pays(paid)
    shop.work(rounds=1)
    both = shop.order({public: 6, other: 9})
    unpaid, soon = shop.order({public: 4}), shop.order({other: 3})
    return shop, [paid, both, unpaid, soon], shop.checkout({public: 5})


def _attempt(shop: Move, begin: Callable[[], object]) -> Result | None:
    """Give the command once, as far as the process lives."""
    try:
        return cutover.go(begin, OLD, NEW, shop.outside, actor="op")  # type: ignore[arg-type]
    except Crashed:
        # The next is started by hand, when the lease of the dead is over.
        shop.clock.tick(minutes=4)
        return None


def _finish(shop: Move) -> None:
    for _ in range(12):
        result = _attempt(shop, unit_of_work)
        assert result is not None
        if result.outcome is Outcome.DONE:
            return
        if result.outcome is Outcome.REFUSED:
            assert (result.status, shop.new.came) == (CutoverStatus.DRAINED, {}), result
            shop.succeed()
        shop.work(rounds=1, minutes=0.5)
    raise AssertionError(result)


def _check_end(shop: Move, orders: list[int], checkout: int) -> None:
    last = shop.place(checkout)
    for order_id in (*orders, last):
        if shop.order_status(order_id) is OrderStatus.PLACED:
            shop.pays(order_id)
    shop.work(rounds=3)
    assert [shop.order_status(each) for each in (*orders, last)] == [FULFILLED] * 5
    # Nothing doubled and nothing lost, by the registries' own books.
    assert shop.old.units() == 10
    assert shop.old.units() + shop.new.units() == 10 + 15 + 4 + 3 + 5
    assert (shop.held(OLD), shop.held(NEW)) == (0, 160 - 37)
    assert [(quantity, held) for _, quantity, held, _ in shop.open_offers(NEW)] == [
        (80, 0),
        (15, 0),
        (60, 0),
    ]
    db.session.rollback()
    for kind, number in ((Offer, 3), (BlockOrigin, 2)):
        assert db.session.scalar(select(func.count()).select_from(kind)) == number
    accounts = select(RegistryAccount.id).where(RegistryAccount.registry_id == NEW)
    assert len(db.session.scalars(accounts).all()) == 1
    assert db.session.scalars(select(Offer.status).distinct()).all() == [OfferStatus.OPEN]
    versions = select(OfferTerms.version).order_by(OfferTerms.offer_id, OfferTerms.version)
    assert db.session.scalars(versions).all() == [1, 2] * 3
    ends = select(Event.new).where(Event.subject == "cutover").order_by(Event.id)
    assert db.session.scalars(ends).all() == [
        "frozen",
        "drained",
        "matched",
        "moved",
        "verified",
        "thawed",
    ]
    assert db.session.scalars(select(Cutover.slot)).all() == [None]
    assert len(shop.mails("units_moved")) == len(set(shop.mails("units_moved")))
    assert shop.findings() == []


@pytest.mark.parametrize("after", [True, False], ids=["after", "before"])
def test_killed_at_every_commit_in_turn(any_app: Flask, clock: Clock, after: bool) -> None:
    """Each attempt dies one commit later than the one before it, until one gets through;
    money comes while each is dead, and wherever it comes it ends right.
    """
    with any_app.test_request_context():
        shop, orders, checkout = _shop(any_app, clock)
        _, both, unpaid, soon = orders
        shop.freeze()
        shop.clock.tick(seconds=11)
        died, waiting = 0, [soon, unpaid, both]
        for at in range(1, 60):
            result = _attempt(shop, dying(at, after=after))
            if result is None:
                died += 1
                if waiting and died % 4 == 0:
                    shop.pays(waiting.pop())
                shop.work(rounds=1, minutes=0.5)
            elif result.outcome is Outcome.DONE:
                break
            elif result.outcome is Outcome.REFUSED:
                assert (result.status, shop.new.came) == (CutoverStatus.DRAINED, {}), result
                shop.succeed()
        assert died >= 8, result
        assert shop.status is CutoverStatus.THAWED
        _check_end(shop, orders, checkout)


@pytest.mark.parametrize("at", range(1, 17))
def test_killed_once_and_gone_on_with(app: Flask, clock: Clock, at: int) -> None:
    """The first attempt dies at one commit; an order is paid; the next brings it to its end."""
    with app.test_request_context():
        shop, orders, checkout = _shop(app, clock)
        shop.freeze()
        shop.succeed()
        shop.clock.tick(seconds=11)
        result = _attempt(shop, dying(at, after=True))
        assert result is None, result
        shop.pays(orders[2])
        shop.work(rounds=1, minutes=0.5)
        _finish(shop)
        _check_end(shop, orders, checkout)

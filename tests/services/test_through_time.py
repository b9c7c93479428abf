"""The winter of the registries, walked from 1 November 2026 to 31 March 2027.

Orders are placed, paid early, late or never; the CDM registry closes, the interim Article 6.4
registry hands over to the final one; registries fail as they do. In the end nothing is lost,
doubled or left unexplained.
"""

from __future__ import annotations

import random
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta

import pytest
from flask import Flask
from sqlalchemy import select, update

from cnn_offset import jobs
from cnn_offset.config import RegistrySettings
from cnn_offset.domain.status import CancellationStatus, OfferStatus, OrderStatus
from cnn_offset.domain.units import SerialRange
from cnn_offset.extensions import db, unit_of_work
from cnn_offset.models import Block, Cancellation, Case, Chore, Offer, Order, OrderLine
from cnn_offset.plugins.loader import PluginSet
from cnn_offset.rehearsing import REHEARSED
from cnn_offset.services import ServiceError, checking_out, ordering
from cnn_offset.services.attention import attention
from cnn_offset.services.checking import check_all
from cnn_offset.services.cutover_steps import Outcome
from tests.conftest import Clock
from tests.cutover import NEW, OLD, FinalRegistry, Move
from tests.factories import (
    make_activity,
    make_block,
    make_mapping,
    make_offer,
    make_payout,
    make_provider,
)
from tests.fakes import FakePay, FakeRegistry
from tests.services.conftest import DETAILS, Shop

FIRST = datetime(2026, 11, 1, tzinfo=UTC)
LAST_ORDER = datetime(2026, 12, 28, tzinfo=UTC)
END = datetime(2026, 12, 31, tzinfo=UTC)
CLOSED = datetime(2026, 12, 31, 23, 59, 59, tzinfo=UTC)
CUTOVER = datetime(2027, 1, 20, 12, tzinfo=UTC)
UNTIL = datetime(2027, 3, 31, tzinfo=UTC)
SECOND = timedelta(seconds=1)


@dataclass
class Winter:
    """A shop with three registries, and people who order and pay by dice."""

    app: Flask
    clock: Clock
    pay: FakePay
    books: dict[str, FakeRegistry]
    move: Move
    offers: dict[str, int]
    dice: random.Random
    coming: list[tuple[datetime, int, str]] = field(default_factory=list)
    """Money on its way: when it arrives, for which order, by which method."""
    placed: dict[int, datetime] = field(default_factory=dict)
    refused: list[tuple[datetime, str]] = field(default_factory=list)

    def order(self, *names: str, method: str = "paypal", pays_in: timedelta | None) -> int | None:
        """Order units of some offers; pay after a while, or never; None if it was refused."""
        here, now = jobs.platform(), self.clock()
        basket = {self.offers[name]: self.dice.randint(1, 5) for name in names}
        try:
            with unit_of_work() as session:
                checkout = checking_out.start_checkout(
                    session,
                    basket,
                    locale="en",
                    user_id=None,
                    registry_dates=here.dates_for_new,
                    hold_for=timedelta(minutes=30),
                    now=now,
                )
                part = checkout.lines[0]
                orders = ordering.place_orders(
                    session,
                    checkout,
                    DETAILS,
                    {(part.offer.provider_id, part.currency): method},
                    plugins=here.payments,
                    registry_dates=here.dates_for_new,
                    now=now,
                )
                order_id = orders[0].id
        except ServiceError as error:
            self.refused.append((now, str(error)))
            return None
        self.placed[order_id] = now
        if pays_in is not None:
            self.coming.append((now + pays_in, order_id, method))
        return order_id

    def take_money(self) -> None:
        """Let arrive what is due."""
        due = [each for each in self.coming if each[0] <= self.clock()]
        self.coming = [each for each in self.coming if each[0] > self.clock()]
        for _, order_id, method in due:
            order = db.session.get_one(Order, order_id)
            if method == "bank_transfer":
                self.shop.bank_money(order_id, order.total)
            elif order.status is OrderStatus.PLACED:
                self.shop.money(self.shop.open(order_id))

    @property
    def shop(self) -> Shop:
        return Shop(self.app, self.clock, self.pay, self.books["cdm"], self.offers["cdm"])

    def go_to(self, moment: datetime) -> None:
        """Let the clock go on to ``moment``, and do what is due there."""
        self.clock.now = max(moment, self.clock.now)
        self.take_money()
        for _ in range(30):
            if not jobs.sweep(tables=REHEARSED):
                break

    def misbehave(self) -> None:
        """Let a registry fail, the way registries do."""
        name = self.dice.choice(sorted(self.books))
        # What a registry refuses waits for a person: a cut-over does not go on without one.
        faults = ["before", "after", "accept", *(["refuse"] if name == "cdm" else [])]
        self.books[name].faults.append(self.dice.choice(faults))

    def cut_over(self) -> None:
        """Move from the interim registry to the final one, with orders in flight."""
        self.move.freeze()
        assert self.order("a64_interim", pays_in=None) is None
        self.go_to(self.clock() + timedelta(hours=1))
        self.move.succeed()
        assert self.move.go().outcome is Outcome.DONE


@pytest.fixture
def winter(any_app: Flask) -> Iterator[Winter]:
    clock = Clock(FIRST)
    here = any_app.extensions["cnn_offset"]
    ends = {"last_order": LAST_ORDER, "last_cancellation": END, "closed": CLOSED}
    registries = {
        "cdm": {"connector": "cdm", **ends},
        "a64_interim": {"connector": "a64_interim"},
        "a64_final": {"connector": "a64_final"},
    }
    settings = here.settings.model_copy(
        update={
            "REGISTRIES": {
                name: RegistrySettings(base_url="http://127.0.0.1:1/", token="t", **values)
                for name, values in registries.items()
            }
        }
    )
    with any_app.test_request_context():
        provider = make_provider()
        for method_id in ("paypal", "bank_transfer"):
            make_payout(provider, method_id)
        activity = make_activity()
        make_mapping(provider, activity)
        # Those that add up and count have tests of their own.
        db.session.execute(update(Chore).where(Chore.name != "closing").values(due_at=None))
        cers = make_offer(make_block(activity, provider, size=5000)).id
        db.session.commit()

        def serials(block_ref: str) -> SerialRange:
            wanted = select(Block).where(Block.block_ref == block_ref)
            return db.session.scalars(wanted).one().issued

        pay = FakePay(clock)
        # As those who pay by card: all is over within the hour.
        pay.slowest = timedelta(hours=1)  # type: ignore[misc]
        final = FinalRegistry(clock, serials)
        books = {OLD: FakeRegistry(clock, serials), NEW: final, "cdm": FakeRegistry(clock, serials)}
        move = Move(any_app, clock, pay, books[OLD], final, provider.id)
        any_app.extensions["cnn_offset"] = replace(
            here,
            settings=settings,
            clock=clock,
            payments=PluginSet({"paypal": pay, "bank_transfer": here.payments["bank_transfer"]}),
            registries=PluginSet(books),
        )
        offers = {"cdm": cers, OLD: move.offer(move.block(5000))}
        yield Winter(any_app, clock, pay, books, move, offers, random.Random(26))
        db.session.remove()


def moments() -> list[datetime]:
    """Return every other noon of the winter, and the second before, at and after each date."""
    days = [FIRST + timedelta(days=n, hours=12) for n in range(0, (UNTIL - FIRST).days, 2)]
    near = [each + by for each in (LAST_ORDER, END, CLOSED) for by in (-SECOND, 0 * SECOND, SECOND)]
    return sorted([*days, *near, UNTIL])


def test_nothing_is_lost_doubled_or_left_unexplained(winter: Winter) -> None:
    dice = winter.dice
    for moment in moments():
        winter.go_to(moment)
        if moment == CUTOVER:
            assert any(
                order.status is OrderStatus.PLACED for order in db.session.scalars(select(Order))
            )
            winter.cut_over()
        what = dice.choice([("cdm",), ("a64_interim",), ("cdm", "a64_interim"), ()])
        by_bank = dice.random() < 0.5
        # PayPal is open for three days here, a bank transfer for 90.
        longest = 60 if by_bank else 2
        pays_in = timedelta(days=dice.uniform(0, longest)) if dice.random() < 0.8 else None
        if what:
            winter.order(*what, method="bank_transfer" if by_bank else "paypal", pays_in=pays_in)
        if dice.random() < 0.2:
            winter.misbehave()
        if moment.day in (1, 2):
            assert check_all(db.session, jobs.platform().files) == []

    db.session.expire_all()
    assert check_all(db.session, jobs.platform().files) == []
    explained(winter)
    as_in_the_books(winter)
    nothing_after_its_date(winter)


def explained(winter: Winter) -> None:
    """Every order has ended, or waits on the list of a person who knows why."""
    waiting = {
        entry.order_code for entry in attention(db.session(), now=winter.clock(), limit=1000)
    }
    over = {OrderStatus.FULFILLED, OrderStatus.LAPSED, OrderStatus.WITHDRAWN, OrderStatus.REFUNDED}
    orders = db.session.scalars(select(Order)).all()
    assert {each.id for each in orders} == set(winter.placed)
    for order in orders:
        young = order.status is OrderStatus.PLACED and order.pay_by > winter.clock()
        assert order.status in over or young or order.code in waiting, (order.code, order.status)
    statuses = {order.status for order in orders}
    assert {OrderStatus.FULFILLED, OrderStatus.LAPSED} <= statuses


def as_in_the_books(winter: Winter) -> None:
    """What the registries have cancelled is what our record says, unit by unit."""
    for name, book in winter.books.items():
        ours = db.session.scalars(
            select(Cancellation).where(
                Cancellation.registry_id == name,
                Cancellation.status == CancellationStatus.CONFIRMED,
            )
        ).all()
        assert {each.request.key for each in book.entries} == {each.key for each in ours}, name
        assert book.units() == sum(each.quantity for each in ours), name
        assert sorted(
            (serials.first, serials.last) for each in book.entries for serials in each.report.ranges
        ) == sorted((each.first, each.last) for row in ours for each in row.ranges)


def nothing_after_its_date(winter: Winter) -> None:
    """The CDM registry took no order after its last order, no cancellation after its last."""
    of_cdm = (
        select(OrderLine.order_id)
        .join(Block, Block.id == OrderLine.block_id)
        .where(Block.registry_id == "cdm")
    )
    placed = [winter.placed[order_id] for order_id in db.session.scalars(of_cdm)]
    assert placed
    assert max(placed) < LAST_ORDER
    done = [each.report.completed_at for each in winter.books["cdm"].entries]
    assert done
    assert max(at for at in done if at) < END
    assert winter.books[NEW].entries
    offer = db.session.get_one(Offer, winter.offers["cdm"])
    assert offer.status is OfferStatus.CLOSED
    assert any(at >= LAST_ORDER for at, _ in winter.refused)


@pytest.mark.parametrize("method", ["paypal", "bank_transfer"])
def test_an_order_counts_a_second_before_its_date_and_not_at_it(
    winter: Winter, method: str
) -> None:
    winter.go_to(LAST_ORDER - SECOND)
    stands = winter.order("cdm", pays_in=timedelta(minutes=1))
    winter.go_to(LAST_ORDER)
    assert winter.order("cdm", pays_in=timedelta(0)) is None
    assert winter.order("cdm", "a64_interim", pays_in=timedelta(0)) is None
    assert winter.order("a64_interim", method=method, pays_in=None) is not None
    winter.go_to(LAST_ORDER + timedelta(minutes=2))
    assert stands is not None
    assert winter.shop.status(stands) is OrderStatus.FULFILLED


def test_money_that_comes_when_nothing_can_be_cancelled_goes_back(winter: Winter) -> None:
    """Paid a second after the last cancellation: refund due, a case, and nothing is sent."""
    winter.go_to(LAST_ORDER - timedelta(days=20))
    order_id = winter.order("cdm", method="bank_transfer", pays_in=None)
    assert order_id is not None
    winter.go_to(winter.clock() + timedelta(minutes=5))
    winter.go_to(END + SECOND)
    assert winter.shop.status(order_id) is OrderStatus.LAPSED
    winter.coming.append((winter.clock(), order_id, "bank_transfer"))
    winter.go_to(END + 2 * SECOND)
    assert winter.shop.status(order_id) is OrderStatus.REFUND_DUE
    assert db.session.scalars(select(Case.order_id)).all() == [order_id]
    assert winter.books["cdm"].sent == []

"""Whatever happens in whatever order: money and units end where they belong, or with a person.

Hypothesis draws what purchasers, processors, registries, clocks and crashes do. Then all is
healed, time goes on, and the three books are compared.
"""

from __future__ import annotations

import contextlib
import os
import shutil
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from unittest import mock

import pytest
from flask import Flask
from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)
from sqlalchemy import select

from cnn_offset import jobs
from cnn_offset.domain.money import Money
from cnn_offset.domain.payment import FactKind, FactStatus
from cnn_offset.domain.status import LIVE, CancellationStatus, OrderStatus, PaymentStatus
from cnn_offset.domain.units import SerialRange
from cnn_offset.extensions import db, unit_of_work
from cnn_offset.models import Block, Cancellation, Order, Payment
from cnn_offset.plugins.errors import OutcomeUnknownError, UnavailableError
from cnn_offset.plugins.loader import PluginSet
from cnn_offset.plugins.payments.base import Notice
from cnn_offset.services import NotFoundError, ServiceError, deliveries
from cnn_offset.services.attention import attention
from tests.conftest import Clock
from tests.factories import make_shop
from tests.fakes import FakePay, FakeRegistry
from tests.services.conftest import Shop

UNITS = 30
EXAMPLES = int(os.environ.get("CNN_OFFSET_STORIES", "40"))
"""More of them for an evening: ``CNN_OFFSET_STORIES=1000 make test ARGS=...``."""
ANY = st.integers(0, 1000)
FAULTS = st.lists(
    st.sampled_from(["", "late", "before", "after", "accept", "refuse", "fewer"]),
    min_size=1,
    max_size=2,
)
METHODS = st.sampled_from(["paypal", "bank_transfer"])


class Killed(BaseException):
    """The process is gone."""


@contextlib.contextmanager
def killed_at(step: int) -> Iterator[None]:
    """Let the process die where it begins its ``step``-th transaction from now."""
    count = 0

    def deadly() -> contextlib.AbstractContextManager[object]:
        nonlocal count
        count += 1
        if count == step:
            raise Killed
        return unit_of_work()

    with mock.patch.object(jobs, "unit_of_work", deadly), contextlib.suppress(Killed):
        yield
    db.session.rollback()


class Life(RuleBasedStateMachine):
    """One shop with thirty units, and everything that may happen to it."""

    new_shop: Callable[[bool], Shop]

    @initialize(safe=st.booleans())
    def begin(self, safe: bool) -> None:
        self.shop = type(self).new_shop(safe)
        self.orders: list[int] = []
        self.payments: list[int] = []
        self.bank_entries = 0

    # Purchasers

    @rule(quantity=st.integers(1, 12), method=METHODS)
    def place(self, quantity: int, method: str) -> None:
        with contextlib.suppress(ServiceError):
            self.orders.append(self.shop.order(quantity, method))

    @rule(quantity=st.integers(1, 12), method=METHODS, faults=FAULTS)
    def buy(self, quantity: int, method: str, faults: list[str]) -> None:
        """All in one, so that stories get somewhere."""
        self.place(quantity, method)
        if not self.orders:
            return
        self.open(-1, method)
        self.shop.registry.faults[:0] = faults
        if method == "bank_transfer":
            self.bank(-1, 0)
        elif self.shop.pay.requests:
            self.pay(-1, 0, FactStatus.DONE, "")

    @rule(quantity=st.integers(1, 12))
    def begin_and_leave(self, quantity: int) -> None:
        with contextlib.suppress(ServiceError):
            self.shop.checkout(quantity)

    @precondition(lambda self: self.orders)
    @rule(which=ANY, method=METHODS)
    def open(self, which: int, method: str) -> None:
        with contextlib.suppress(ServiceError):
            payment_id = self.shop.open(self._order(which), method)
            if payment_id not in self.payments:
                self.payments.append(payment_id)

    @precondition(lambda self: self.orders)
    @rule(which=ANY)
    def withdraw(self, which: int) -> None:
        jobs.withdraw_order(jobs.platform(), self._order(which), actor="purchaser")

    # Processors and banks

    @precondition(lambda self: self._refs())
    @rule(which=ANY)
    def approve(self, which: int) -> None:
        self.shop.pay.approved.add(self._ref(which))

    @precondition(lambda self: self._refs())
    @rule(
        which=ANY,
        more=st.sampled_from([0, 0, 0, 0, -1, 1]),
        status=st.sampled_from([FactStatus.DONE] * 4 + [FactStatus.PENDING, FactStatus.FAILED]),
        payee=st.sampled_from(["", "", "", "SOMEBODYELSE2"]),
    )
    def pay(self, which: int, more: int, status: FactStatus, payee: str) -> None:
        ref = self._ref(which)
        if ref in self.shop.pay.closed:
            return
        due = self.shop.pay.requests[ref].amount
        changes = {"status": status} | ({"payee": payee} if payee else {})
        self.shop.pay.pay(ref, Money(due.minor + more, due.currency), **changes)

    @precondition(lambda self: self._refs())
    @rule(
        which=ANY,
        kind=st.sampled_from([FactKind.REFUND, FactKind.DISPUTE]),
        status=st.sampled_from([FactStatus.OPEN, FactStatus.DONE, FactStatus.WON]),
    )
    def money_back(self, which: int, kind: FactKind, status: FactStatus) -> None:
        ref = self._ref(which)
        if not any(each.status is FactStatus.DONE for each in self.shop.pay.facts.get(ref, ())):
            return
        if kind is FactKind.REFUND:
            status = FactStatus.DONE
        elif status is FactStatus.DONE:
            status = FactStatus.LOST
        self.shop.pay.pay(ref, kind=kind, ref=f"{kind}-{ref}", status=status)

    @precondition(lambda self: self._refs())
    @rule(which=ANY, event=st.integers(1, 3))
    def ring(self, which: int, event: int) -> None:
        ref = self._ref(which)
        with unit_of_work() as session:
            deliveries.store_delivery(
                session, "paypal", Notice(f"{event}-{ref}", [ref]), "", now=self.shop.clock()
            )

    @precondition(lambda self: self.orders)
    @rule(which=ANY, more=st.sampled_from([0, 0, 0, -1, 1]))
    def bank(self, which: int, more: int) -> None:
        order_id = self._order(which)
        total = db.session.get_one(Order, order_id).total
        self.bank_entries += 1
        with contextlib.suppress(NotFoundError):
            self.shop.bank_money(
                order_id, Money(total.minor + more, total.currency), f"B{self.bank_entries}"
            )

    # What fails

    @rule(faults=FAULTS, silent=st.integers(0, 2), known=st.booleans(), blind=st.integers(0, 2))
    def trouble(self, faults: list[str], silent: int, known: bool, blind: int) -> None:
        """Registries and processors misbehave at their next calls."""
        self.shop.registry.faults += faults
        error = UnavailableError("refused") if known else OutcomeUnknownError("time-out")
        self.shop.pay.failures = [error] * silent
        if self.shop.registry.safe:  # an ask-only registry must not be staler than it settles
            self.shop.registry.blind = blind

    # Time and workers

    @rule(minutes=st.sampled_from([0.1, 5, 40, 60 * 24 * 4, 60 * 24 * 91, -60]))
    def time_goes_on(self, minutes: float) -> None:
        """Or the clock is set back."""
        self.shop.clock.tick(minutes=minutes)

    @rule(rounds=st.integers(1, 10), minutes=st.sampled_from([0.1, 1, 4]))
    def work(self, rounds: int, minutes: float) -> None:
        self.shop.work(rounds=rounds, minutes=minutes)

    @rule(step=st.integers(1, 12))
    def work_and_die(self, step: int) -> None:
        with killed_at(step):
            self.shop.work(rounds=2, minutes=0.5)

    @precondition(lambda self: self.payments)
    @rule(which=ANY)
    def come_back(self, which: int) -> None:
        jobs.do("payment", self.payments[which % len(self.payments)])

    # What must hold

    @invariant()
    def nothing_is_cancelled_twice(self) -> None:
        if not hasattr(self, "shop"):
            return
        ordered = dict(
            tuple(row)
            for row in db.session.execute(select(Cancellation.key, Cancellation.quantity))
        )
        keys = [each.request.key for each in self.shop.registry.entries]
        assert len(keys) == len(set(keys))
        for each in self.shop.registry.entries:
            assert each.request.quantity == ordered[each.request.key]
        assert self.shop.registry.units() <= UNITS

    def teardown(self) -> None:
        if not hasattr(self, "shop"):
            return
        shop = self.shop
        shop.pay.failures, shop.registry.faults, shop.registry.blind = [], [], 0
        assert shop.findings() == []
        for minutes in (0.5, 0.5, 5, 20, 40, 60, 60, 60, 60 * 6, 60 * 24, 60 * 24 * 4, 60 * 6, 60):
            shop.work(rounds=2, minutes=minutes)
        shop.registry.fetch("")  # what is late has come by now
        self.nothing_is_cancelled_twice()
        assert shop.findings() == []
        self._compare()
        db.session.remove()

    def _compare(self) -> None:
        shop = self.shop
        listed = {item.order_code for item in attention(db.session(), now=shop.clock())}
        entries = {each.request.key: each for each in shop.registry.entries}
        rows = db.session.scalars(select(Cancellation)).all()
        for row in rows:
            entry = entries.pop(row.key, None)
            assert row.status is not CancellationStatus.REJECTED or entry is None, "done after all"
            if row.status is CancellationStatus.CONFIRMED:
                assert entry is not None
                assert [each.serials for each in row.ranges] == list(entry.report.ranges)
            elif entry is not None:
                assert _code(row.order_id) in listed, "the registry acted; a person must know"
        assert entries == {}, "units nobody here ordered"
        for order in db.session.scalars(select(Order)):
            if order.status in (OrderStatus.PAID, OrderStatus.IN_REVIEW):
                assert order.code in listed
        for payment in db.session.scalars(select(Payment)):
            order = payment.order
            if payment.method_id == "paypal" and order.status is not OrderStatus.PLACED:
                assert payment.status not in LIVE or payment.status is PaymentStatus.PROCESSING
            heard = shop.pay.facts.get(payment.processor_ref, [])
            came = any(
                each.kind is FactKind.PAYMENT and each.status is FactStatus.DONE for each in heard
            )
            if came and not (payment.paid_order and order.status is OrderStatus.FULFILLED):
                assert order.code in listed or payment.status is PaymentStatus.REFUNDED, (
                    f"{payment.key}: money came, order {order.status}"
                )

    def _refs(self) -> list[str]:
        return list(self.shop.pay.requests) if hasattr(self, "shop") else []

    def _ref(self, which: int) -> str:
        refs = self._refs()
        return refs[which % len(refs)]

    def _order(self, which: int) -> int:
        return self.orders[which % len(self.orders)]


def _code(order_id: int) -> str:
    return db.session.get_one(Order, order_id).code


@pytest.fixture
def new_shop(app: Flask, _sqlite_template: Path) -> Iterator[Callable[[bool], Shop]]:
    """Make a shop as often as wanted; each begins with an empty database and new fakes."""
    here = app.extensions["cnn_offset"]
    bank = here.payments["bank_transfer"]
    with app.test_request_context():
        path = Path(str(db.engine.url.database))

        def serials(block_ref: str) -> SerialRange:
            found = db.session.scalars(select(Block).where(Block.block_ref == block_ref))
            return found.one().issued

        def make(safe: bool) -> Shop:
            db.session.remove()
            db.engine.dispose()
            for each in path.parent.glob(f"{path.name}*"):
                each.unlink()
            shutil.copy(_sqlite_template, path)
            offer_id = make_shop("paypal", "bank_transfer", quantity=UNITS).id
            clock = Clock()
            pay, registry = FakePay(clock), FakeRegistry(clock, serials, safe=safe)
            app.extensions["cnn_offset"] = replace(
                here,
                clock=clock,
                payments=PluginSet({"paypal": pay, "bank_transfer": bank}),
                registries=PluginSet({"cdm": registry}),
            )
            return Shop(app, clock, pay, registry, offer_id)

        yield make
        db.session.remove()


def test_whatever_happens_in_any_order(new_shop: Callable[[bool], Shop]) -> None:
    machine = type("Life", (Life,), {"new_shop": staticmethod(new_shop)})
    run_state_machine_as_test(
        machine,
        settings=settings(
            max_examples=EXAMPLES,
            stateful_step_count=40,
            deadline=None,
            # A long story is told as it is: making it short takes many minutes.
            phases=[Phase.explicit, Phase.reuse, Phase.generate],
            suppress_health_check=list(HealthCheck),
        ),
    )


@pytest.mark.parametrize("safe", [True, False], ids=["deduplicates", "ask only"])
@pytest.mark.parametrize("faults", ["", "late", "late refuse", "before", "after", "accept"])
def test_killed_at_every_step_of_a_purchase(
    new_shop: Callable[[bool], Shop], safe: bool, faults: str
) -> None:
    """From the click on "Pay" to the last unit: each crash with each silence of the registry."""
    step = 0
    while True:
        step += 1
        shop = new_shop(safe)
        shop.registry.faults = faults.split()
        order_id = shop.order(10)
        shop.pay.approved.add(f"R-p-{db.session.get_one(Order, order_id).code}-1")
        finished = False
        with killed_at(step):
            with contextlib.suppress(ServiceError):
                shop.open(order_id)
            shop.work(rounds=2, minutes=2)
            finished = True
        if db.session.scalars(select(Payment)).first() is None:
            shop.open(order_id)  # the page failed; the purchaser clicks again
        for _ in range(16):
            if shop.status(order_id) is OrderStatus.FULFILLED:
                break
            shop.work(rounds=1, minutes=4)
        shop.clock.tick(minutes=30)
        shop.registry.fetch("")  # what is late has come by now
        assert shop.status(order_id) is OrderStatus.FULFILLED, f"killed at step {step}"
        assert shop.registry.units() == 10, f"killed at step {step}"
        assert len(shop.pay.captures) == 1
        assert shop.findings() == []
        if finished:
            break
    assert step > 9, "the steps were counted"

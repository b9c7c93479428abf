"""A shop with plug-ins in memory, driven through the same jobs that run in earnest."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import date
from typing import Any

import pytest
from flask import Flask
from sqlalchemy import select

from cnn_offset import jobs
from cnn_offset.domain.calendar import RegistryDates
from cnn_offset.domain.money import Money
from cnn_offset.domain.status import OrderStatus
from cnn_offset.domain.units import SerialRange
from cnn_offset.extensions import db, unit_of_work
from cnn_offset.models import Block, Cancellation, Checkout, Offer, Order, Payment
from cnn_offset.plugins.loader import PluginSet
from cnn_offset.plugins.payments.bank_transfer import BankTransfer
from cnn_offset.services import banking, checking_out, ordering, paying, selling
from cnn_offset.services.checking import check_all
from tests.conftest import Clock
from tests.factories import make_shop
from tests.fakes import FakePay, FakeRegistry

DETAILS = ordering.PurchaserDetails(
    purchaser_kind="person",
    purchaser_name="Ada Example",
    company="",
    email="ada@example.org",
    street="1 Road",
    city="Nairobi",
    postcode="00100",
    country="KE",
    beneficiary="Ada Example",
    reason="My flights in 2026",
    publish_name=False,
    publish_reason=True,
    attestation_locale="en",
    terms_version="2026-11-22",
)
DATES = {"cdm": RegistryDates(), "a64_interim": RegistryDates()}


@dataclass
class Shop:
    """One provider with one offer, and levers for everything outside."""

    app: Flask
    clock: Clock
    pay: FakePay
    registry: FakeRegistry
    offer_id: int

    @property
    def offer(self) -> Offer:
        db.session.expire_all()
        return db.session.get_one(Offer, self.offer_id)

    def order(self, quantity: int = 10, method: str = "paypal") -> int:
        """Place an order; return its id."""
        checkout_id = self.checkout(quantity)
        return self.place(checkout_id, method)

    def order_of(self, basket: dict[int, int]) -> int:
        """Place an order of several offers; return its id."""
        return self.place(self.checkout_of(basket))

    def checkout(self, quantity: int = 10) -> int:
        return self.checkout_of({self.offer_id: quantity})

    def checkout_of(self, basket: dict[int, int]) -> int:
        with unit_of_work() as session:
            checkout = checking_out.start_checkout(
                session,
                basket,
                locale="en",
                user_id=None,
                registry_dates=DATES,
                hold_for=jobs.LEASE * 20,
                now=self.clock(),
            )
            return checkout.id

    def place(self, checkout_id: int, method: str = "paypal") -> int:
        with unit_of_work() as session:
            checkout = session.get_one(Checkout, checkout_id)
            part = next(iter(checkout.lines))
            orders = ordering.place_orders(
                session,
                checkout,
                DETAILS,
                {(part.offer.provider_id, part.currency): method},
                plugins=jobs.platform().payments,
                registry_dates=DATES,
                now=self.clock(),
            )
            return orders[0].id

    def open(self, order_id: int, method: str = "paypal") -> int:
        """Open a payment; return its id."""
        with unit_of_work() as session:
            order = session.get_one(Order, order_id)
            payment_id = paying.prepare_payment(session, order, method, now=self.clock()).id
        jobs.start_payment(jobs.platform(), payment_id)
        return payment_id

    def payment(self, payment_id: int) -> Payment:
        db.session.expire_all()
        return db.session.get_one(Payment, payment_id)

    def money(self, payment_id: int, amount: Money | None = None, **changes: Any) -> None:
        """Let money arrive at the processor and have it looked at."""
        self.pay.pay(self.payment(payment_id).processor_ref, amount, **changes)
        jobs.do("payment", payment_id)

    def bank_money(self, order_id: int, amount: Money, bank_ref: str = "") -> Any:
        """Type in what came, as often as a test likes; the same entry counts once."""
        with suppress(banking.KnownEntryError), unit_of_work() as session:
            banking.type_entry(
                session,
                session.get_one(Order, order_id),
                amount=amount,
                bank_ref=bank_ref or f"B-{order_id}",
                received_on=date(2026, 11, 2),
                actor="staff@example.org",
                second_from=0,
                now=self.clock(),
            )
        db.session.expire_all()
        payment = selling.bank_payment(db.session(), db.session.get_one(Order, order_id))
        assert payment is not None
        return payment.verdict

    def status(self, order_id: int) -> OrderStatus:
        db.session.expire_all()
        return db.session.get_one(Order, order_id).status

    def cancellation(self, order_id: int) -> Cancellation:
        db.session.expire_all()
        return db.session.scalars(
            select(Cancellation).where(Cancellation.order_id == order_id)
        ).one()

    def work(self, *, rounds: int = 20, minutes: float = 1) -> None:
        """Let workers and time go on, without mails and papers."""
        for _ in range(rounds):
            for table in ("payment", "cancellation", "webhook_delivery", "order", "checkout"):
                kind, _work = jobs.WORK[table]
                ids = db.session.scalars(select(kind.id).where(kind.due_at <= self.clock())).all()
                for row_id in ids:
                    jobs.do(table, row_id, due_only=True)
            self.clock.tick(minutes=minutes)

    def findings(self) -> list[str]:
        db.session.rollback()
        return check_all(db.session, jobs.platform().files)


@pytest.fixture
def shop(any_app: Flask, clock: Clock) -> Iterator[Shop]:
    with any_app.test_request_context():
        offer_id = make_shop("paypal", "bank_transfer").id

        def serials(block_ref: str) -> SerialRange:
            return (
                db.session.scalars(select(Block).where(Block.block_ref == block_ref)).one().issued
            )

        pay, registry = FakePay(clock), FakeRegistry(clock, serials)
        here = any_app.extensions["cnn_offset"]
        bank = here.payments["bank_transfer"]
        assert isinstance(bank, BankTransfer)
        any_app.extensions["cnn_offset"] = replace(
            here,
            payments=PluginSet({"paypal": pay, "bank_transfer": bank}),
            registries=PluginSet({"cdm": registry}),
        )
        made = Shop(any_app, clock, pay, registry, offer_id)
        yield made
        # Whatever a test did, everything adds up afterwards.
        assert made.findings() == []
        db.session.remove()

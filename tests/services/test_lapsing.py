"""Unpaid orders: reminded, kept open on request, lapsed in the end."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from sqlalchemy import select

from cnn_offset.domain.calendar import RegistryDates
from cnn_offset.domain.status import OrderStatus
from cnn_offset.extensions import db, unit_of_work
from cnn_offset.models import Message, Order
from cnn_offset.services import ordering
from tests.services.conftest import DATES, Shop


def reminders(order_id: int) -> int:
    return len(
        db.session.scalars(
            select(Message.id).where(
                Message.order_id == order_id, Message.kind == "payment_reminder"
            )
        ).all()
    )


def test_two_reminders_then_it_lapses(shop: Shop) -> None:
    order_id = shop.order(5, "bank_transfer")
    shop.open(order_id, "bank_transfer")
    sent = []
    for _ in range(95):
        shop.work(rounds=2, minutes=720)
        sent.append(reminders(order_id))
        if shop.status(order_id) is OrderStatus.LAPSED:
            break
    assert sent.index(1) in range(21, 24)
    assert sent.index(2) in range(79, 83)
    assert len(sent) in range(89, 93)
    assert shop.offer.held == 0


def test_a_sweep_that_slept_sends_the_latest_reminder_only(shop: Shop) -> None:
    order_id = shop.order(5, "bank_transfer")
    shop.clock.tick(days=85)
    shop.work(rounds=1)
    assert reminders(order_id) == 1


def test_orders_paid_at_once_are_not_reminded(shop: Shop) -> None:
    order_id = shop.order(5)
    shop.work(rounds=4, minutes=720)
    assert reminders(order_id) == 0


def test_kept_open_on_request(shop: Shop) -> None:
    order_id = shop.order(5, "bank_transfer")
    shop.clock.tick(days=80)
    with unit_of_work() as session:
        ordering.keep_open(
            session, session.get_one(Order, order_id), days=90, registry_dates=DATES,
            actor="staff@example.org", now=shop.clock(),
        )  # fmt: skip
    shop.clock.tick(days=20)
    shop.work(rounds=2)
    assert shop.status(order_id) is OrderStatus.PLACED
    shop.clock.tick(days=75)
    shop.work(rounds=2)
    assert shop.status(order_id) is OrderStatus.LAPSED


def test_never_kept_open_beyond_the_registry(shop: Shop) -> None:
    order_id = shop.order(5, "bank_transfer")
    end = datetime(2026, 12, 31, tzinfo=UTC)
    before = db.session.get_one(Order, order_id).pay_by
    db.session.rollback()
    with unit_of_work() as session:
        ordering.keep_open(
            session, session.get_one(Order, order_id), days=900,
            registry_dates={"cdm": RegistryDates(last_cancellation=end)},
            actor="staff@example.org", now=shop.clock(),
        )  # fmt: skip
    after = db.session.get_one(Order, order_id).pay_by
    assert after == max(before, end - timedelta(days=1))
    assert before - shop.clock() == timedelta(days=90)


def test_days_to_pay_can_be_set() -> None:
    from cnn_offset.plugins.payments.bank_transfer import BankTransfer, BankTransferSettings

    plugin = BankTransfer(BankTransferSettings(due_days=30))
    assert plugin.due_within == timedelta(days=30)

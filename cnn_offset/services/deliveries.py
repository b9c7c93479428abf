"""Webhook deliveries: kept at once, then reasons to ask about payments."""

from __future__ import annotations

from datetime import datetime, timedelta

from sqlalchemy import select
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session

from cnn_offset.domain.status import DeliveryStatus
from cnn_offset.models import Payment, WebhookDelivery
from cnn_offset.plugins.payments.base import Notice
from cnn_offset.services.moves import move
from cnn_offset.services.paying_out import ring_accounts


def store_delivery(
    session: Session, method_id: str, notice: Notice, body: str, *, now: datetime
) -> None:
    """Keep a webhook delivery whose sender was believed. One of the same event adds nothing."""
    try:
        with session.begin_nested():
            session.add(
                WebhookDelivery(
                    method_id=method_id,
                    event_id=notice.event_id,
                    processor_refs=list(notice.processor_refs),
                    account_refs=list(notice.account_refs),
                    body=body,
                    received_at=now,
                    due_at=now,
                )
            )
    except IntegrityError:
        # Known already, or just being stored by another process.
        return


def handle_delivery(session: Session, delivery_id: int, *, now: datetime) -> datetime | None:
    """Have the payments and accounts of a delivery asked about. Its body is not believed.

    A payment we do not know yet may be one whose opening is just being recorded, so the
    delivery waits for it a while. Safe to repeat.
    """
    delivery = session.get_one(WebhookDelivery, delivery_id)
    # An account nobody here knows is none of ours: there is nothing to wait for.
    ring_accounts(session, delivery.method_id, delivery.account_refs, now=now)
    payments = session.scalars(
        select(Payment).where(
            Payment.method_id == delivery.method_id,
            Payment.processor_ref.in_([ref for ref in delivery.processor_refs if ref]),
        )
    ).all()
    if payments or not delivery.processor_refs:
        for payment in payments:
            payment.due_at = now
        move(
            session,
            delivery,
            DeliveryStatus.HANDLED,
            actor="core",
            why="payments asked about",
            now=now,
        )
        return None
    if now - delivery.received_at < timedelta(minutes=10):
        return now + timedelta(seconds=30)
    move(session, delivery, DeliveryStatus.UNMATCHED, actor="core", why="no such payment", now=now)
    return None

"""When every unit of an order is cancelled: the order is fulfilled and gets its number."""

from __future__ import annotations

import secrets
from datetime import datetime

from sqlalchemy import func, select, update
from sqlalchemy.orm import Session

from cnn_offset.domain.status import CancellationStatus, OrderStatus
from cnn_offset.models import Attestation, Cancellation, Counter, Order
from cnn_offset.services.moves import move


def fulfil(session: Session, order: Order, *, now: datetime) -> bool:
    """Fulfil ``order`` if all its cancellations that stand are confirmed, and number its attestation.

    Number and order change in one transaction that locks the counter, so numbers have no
    gaps (trust-facts.md 1.13). Returns whether this call did it. Safe to repeat.
    """
    open_ = session.scalar(
        select(func.count())
        .select_from(Cancellation)
        .where(
            Cancellation.order_id == order.id,
            # One that was given up has another in its place, or its line was given back.
            Cancellation.status.not_in([CancellationStatus.CONFIRMED, CancellationStatus.GIVEN_UP]),
        )
    )
    if open_:
        return False
    if not move(session, order, OrderStatus.FULFILLED, actor="core", why="all cancelled", now=now):
        return False
    order.fulfilled_at = now
    session.add(
        Attestation(
            order_id=order.id,
            sequence=next_number(session, "attestation"),
            year=now.year,
            check_code=secrets.token_urlsafe(16),
            locale=order.attestation_locale,
            data={},
            fulfilled_at=now,
            due_at=now,
        )
    )
    session.flush()
    return True


def next_number(session: Session, name: str) -> int:
    """Give the next number of a series that has begun; others wait for it until the commit."""
    value = session.scalar(
        update(Counter)
        .where(Counter.name == name)
        .values(value=Counter.value + 1)
        .returning(Counter.value)
        .execution_options(synchronize_session=False)
    )
    if value is None:
        raise AssertionError(f"no counter {name}: run the migrations")
    return int(value)

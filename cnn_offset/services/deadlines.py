"""Until when registries cancel, as last put in force: what concludes from money asks here."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime

from sqlalchemy import ColumnElement, exists, func, select
from sqlalchemy.orm import Session

from cnn_offset.domain.calendar import RegistryDates
from cnn_offset.domain.status import CancellationStatus
from cnn_offset.models import Block, Cancellation, Order, OrderLine, RegistryEnd


def put_in_force(
    session: Session, registry_dates: Mapping[str, RegistryDates]
) -> Sequence[RegistryEnd]:
    """Write down the dates of each registry connection. Safe to repeat."""
    known = {each.registry_id: each for each in session.scalars(select(RegistryEnd))}
    for registry_id, dates in registry_dates.items():
        row = known.get(registry_id)
        if row is None:
            row = known[registry_id] = RegistryEnd(registry_id=registry_id, done={})
            session.add(row)
        row.orders_until, row.cancels_until = dates.orders_until, dates.end
        row.closes_at = dates.closed
    session.flush()
    return [known[registry_id] for registry_id in registry_dates]


def end_of(session: Session, order_id: int) -> datetime | None:
    """Return when the first of an order's registries cancels nothing any more; None for never."""
    found: datetime | None = session.scalar(
        select(func.min(RegistryEnd.cancels_until))
        .join(Block, Block.registry_id == RegistryEnd.registry_id)
        .join(OrderLine, OrderLine.block_id == Block.id)
        .where(
            OrderLine.order_id == order_id,
            OrderLine.given_back_at.is_(None),
            # What is cancelled already needs no registry any more.
            ~exists().where(
                Cancellation.order_line_id == OrderLine.id,
                Cancellation.status == CancellationStatus.CONFIRMED,
            ),
        )
    )
    return found


def is_over(session: Session, order_id: int, now: datetime) -> bool:
    """Whether a registry of the order cancels nothing any more."""
    end = end_of(session, order_id)
    return end is not None and now >= end


def ending(session: Session, before: datetime) -> dict[str, datetime]:
    """Return the registries that cancel nothing any more from a moment before ``before`` on."""
    rows = session.execute(
        select(RegistryEnd.registry_id, RegistryEnd.cancels_until).where(
            RegistryEnd.cancels_until <= before
        )
    )
    return {registry_id: end for registry_id, end in rows if end is not None}


def has_units_in(registry_id: str) -> ColumnElement[bool]:
    """Match orders that have units of a registry."""
    return (
        select(OrderLine.id)
        .join(Block, Block.id == OrderLine.block_id)
        .where(OrderLine.order_id == Order.id, Block.registry_id == registry_id)
        .exists()
    )

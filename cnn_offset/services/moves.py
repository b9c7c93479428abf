"""The only writer of statuses."""

from __future__ import annotations

from datetime import datetime
from enum import StrEnum
from typing import Any

from sqlalchemy import CursorResult, select, update
from sqlalchemy.orm import Session
from sqlalchemy.orm.attributes import set_committed_value

from cnn_offset.domain.status import is_move
from cnn_offset.models import Event, Order


def move(session: Session, row: Any, new: StrEnum, *, actor: str, why: str, now: datetime) -> bool:
    """Move ``row`` to ``new`` and keep the event, unless it is there or somebody was first.

    Returns whether *this* call did it; only then may its consequences follow. Safe to
    repeat.

    Raises:
        IllegalMoveError: the status table has no such move.

    """
    table = type(row)
    old = session.scalar(select(table.status).where(table.id == row.id))
    if not is_move(row.MOVES, old, new):
        return False
    done = session.execute(
        update(table)
        .where(table.id == row.id, table.status == old)
        .values(status=new)
        .execution_options(synchronize_session=False)
    )
    if not _won(done):
        return False
    # What the database has now; reading it back would cost a flush and a query.
    set_committed_value(row, "status", new)
    note(session, row, old=str(old), new=str(new), actor=actor, why=why, now=now)
    return True


def lock_order(session: Session, order_id: int) -> Order:
    """Return the order as it is now, and let nobody else decide on it until the commit.

    Payments, cancellations and the clock all decide on orders; on PostgreSQL two of them
    could otherwise each not see what the other is just doing. SQLite has one writer.
    """
    session.flush()
    return session.get_one(Order, order_id, with_for_update=True, populate_existing=True)


def note(
    session: Session, row: Any, *, old: str, new: str, actor: str, why: str, now: datetime
) -> None:
    """Keep an event about ``row`` that is no change of status."""
    order_id = row.id if isinstance(row, Order) else getattr(row, "order_id", None)
    session.add(
        Event(
            subject=row.__tablename__,
            subject_id=row.id,
            order_id=order_id,
            old=old,
            new=new,
            actor=actor,
            why=why,
            at=now,
        )
    )


def _won(result: Any) -> bool:
    # Reliable for UPDATE on both databases; not so for INSERT (trust-facts.md 1.2).
    assert isinstance(result, CursorResult)
    return result.rowcount == 1

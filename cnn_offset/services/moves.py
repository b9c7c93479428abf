"""The only writer of statuses."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from enum import StrEnum
from functools import cache
from typing import Any, Final

from sqlalchemy import Update, bindparam, insert, select, update
from sqlalchemy.orm import Session
from sqlalchemy.orm.attributes import set_committed_value

from cnn_offset.domain.status import is_move
from cnn_offset.models import Event, Order

# Every order makes several of these: built once, and handed to the connection directly.
_EVENT = insert(Event.__table__)  # type: ignore[arg-type]

Follow = Callable[[Session, Any, StrEnum], None]
"""What comes of a move wherever it is made: the session, the row, its new status."""
_FOLLOW: Final[dict[type[Any], list[Follow]]] = {}


def follows(kind: type[Any]) -> Callable[[Follow], Follow]:
    """Register what follows each move of a ``kind`` of row, in the same transaction."""

    def keep(verb: Follow) -> Follow:
        _FOLLOW.setdefault(kind, []).append(verb)
        return verb

    return keep


@cache
def _compare_and_set(kind: Any) -> Update:
    table = kind.__table__
    return (
        update(table)
        .where(table.c.id == bindparam("row_id"), table.c.status == bindparam("old"))
        .values(status=bindparam("new"))
    )


def move(session: Session, row: Any, new: StrEnum, *, actor: str, why: str, now: datetime) -> bool:
    """Move ``row`` to ``new`` and keep the event, unless it is there or somebody was first.

    Returns whether *this* call did it; only then may its consequences follow. Safe to
    repeat.

    Raises:
        IllegalMoveError: the status table has no such move.

    """
    kind: Any = type(row)
    old: StrEnum = row.status
    if new not in row.MOVES[old] or not _did(session, kind, row.id, old, new):
        # What we had read may be old news: ask the database before giving up.
        old = session.scalars(select(kind.status).where(kind.id == row.id)).one()
        set_committed_value(row, "status", old)
        if not is_move(row.MOVES, old, new) or not _did(session, kind, row.id, old, new):
            return False
    set_committed_value(row, "status", new)
    note(session, row, old=str(old), new=str(new), actor=actor, why=why, now=now)
    for follow in _FOLLOW.get(kind, ()):
        follow(session, row, new)
    return True


def _did(session: Session, kind: Any, row_id: int, old: StrEnum, new: StrEnum) -> bool:
    done = session.connection().execute(
        _compare_and_set(kind), {"row_id": row_id, "old": old, "new": new}
    )
    # Reliable for UPDATE on both databases; not so for INSERT (trust-facts.md 1.2).
    return done.rowcount == 1


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
    session.connection().execute(
        _EVENT,
        {
            "subject": row.__tablename__,
            "subject_id": row.id,
            "order_id": order_id,
            "old": old,
            "new": new,
            # The column holds so many; an address may be longer.
            "actor": actor[:120],
            "why": why,
            "at": now,
        },
    )

"""Noticing which days of the figures have changed, by reading on in the history.

Orders know nothing of figures: what happens to one leaves an event, and money leaves a fact.
Both are only ever added to, so that reading on from the last place finds all that is new.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import date, datetime, timedelta
from typing import Final

from sqlalchemy import or_, select, true
from sqlalchemy.orm import Session

from cnn_offset.domain.payment import FactKind
from cnn_offset.models import (
    Attestation,
    Cancellation,
    Case,
    Event,
    Order,
    Payment,
    PaymentFact,
    TallyPlace,
)
from cnn_offset.services.tallying import dialect_of, mark

BATCH: Final = 2000
"""Rows of each table read in one turn."""
SETTLED: Final = timedelta(minutes=5)
"""A row may become visible after one with a higher id, but not by longer."""
STEPPED: Final = timedelta(hours=1)
"""What is from further ahead was written by a clock that has stepped back since."""
_IDS: Final = 500
"""Ids in one statement."""
_SOURCES: Final = {
    "event": (
        Event.id,
        Event.at,
        select(
            Event.id,
            Event.order_id,
            Event.at,
            or_(Event.order_id.is_not(None), Event.subject == Case.__tablename__),
        ),
    ),
    "payment_fact": (
        PaymentFact.id,
        PaymentFact.recorded_at,
        select(PaymentFact.id, Payment.order_id, PaymentFact.recorded_at, true()).join(
            Payment, Payment.id == PaymentFact.payment_id
        ),
    ),
}
"""Tables of the history: id, when a row was added, and what is read: id, order, when, and
whether its own day is one of the days that change."""


def notice(session: Session, *, now: datetime) -> bool:
    """Read on and mark the days that something has changed of.

    Returns whether there is more to be read at once. Safe to repeat.
    """
    orders: set[int] = set()
    days: set[date] = set()
    more = False
    for name in _SOURCES:
        rows, place = _unread(session, name)
        settled = True
        for row_id, order_id, at, counts in rows:
            if order_id is not None:
                orders.add(order_id)
            if counts:
                days.add(at.date())
            # After the first young row none is passed: they are read once more.
            settled = settled and not now - SETTLED < at < now + STEPPED
            place = row_id if settled else place
        _go_on(session, name, place)
        more = more or (settled and len(rows) == BATCH)
    mark(session, days | _days_of(session, orders), due_at=now)
    return more


def unread_days(session: Session) -> set[date] | None:
    """Return the days of which something may have changed since the history was last read.

    None if there is too much of it to tell.
    """
    orders: set[int] = set()
    days: set[date] = set()
    for name in _SOURCES:
        rows, _ = _unread(session, name)
        if len(rows) == BATCH:
            return None
        for _row_id, order_id, at, counts in rows:
            if order_id is not None:
                orders.add(order_id)
            if counts:
                days.add(at.date())
    return days | _days_of(session, orders)


def _unread(
    session: Session, name: str
) -> tuple[list[tuple[int, int | None, datetime, bool]], int]:
    place = session.scalar(select(TallyPlace.last_id).where(TallyPlace.name == name)) or 0
    key, _, wanted = _SOURCES[name]
    found = session.execute(wanted.where(key > place).order_by(key).limit(BATCH))
    return [(row[0], row[1], row[2], row[3]) for row in found], place


def _go_on(session: Session, name: str, last_id: int) -> None:
    dialect = dialect_of(session)
    made = dialect.insert(TallyPlace.__table__).values(name=name, last_id=last_id)
    session.connection().execute(
        made.on_conflict_do_update(index_elements=["name"], set_={"last_id": made.excluded.last_id})
    )


def _days_of(session: Session, order_ids: Iterable[int]) -> set[date]:
    """Return all days under which anything of these orders is counted."""
    ids = sorted(order_ids)
    found: set[date] = set()
    for start in range(0, len(ids), _IDS):
        some = ids[start : start + _IDS]
        for wanted in (
            select(Order.placed_at, Order.paid_at, Order.fulfilled_at).where(Order.id.in_(some)),
            select(Cancellation.completed_at).where(Cancellation.order_id.in_(some)),
            select(Attestation.fulfilled_at).where(Attestation.order_id.in_(some)),
            select(PaymentFact.at)
            .join(Payment, Payment.id == PaymentFact.payment_id)
            .where(Payment.order_id.in_(some), PaymentFact.kind == FactKind.REFUND),
        ):
            for row in session.execute(wanted):
                found |= {each.date() for each in row if each is not None}
    return found


def skip_history(session: Session, *, now: datetime) -> None:
    """Take the history as read, because all is being counted anew; but for the last minutes."""
    for name, (key, at, _) in _SOURCES.items():
        old = select(key).where(at <= now - SETTLED).order_by(key.desc()).limit(1)
        _go_on(session, name, session.scalar(old) or 0)

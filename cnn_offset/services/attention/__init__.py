"""What operators must look at: whatever does not go on by itself.

Nothing can wait for a person without being here: :mod:`ties` says of every status whether
one must look, and a meta test compares. Every list is bounded, and found by an index.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping
from datetime import datetime
from functools import partial
from typing import Any, Final

from sqlalchemy import select
from sqlalchemy.orm import Session

from cnn_offset.domain.status import AttestationStatus, CancellationStatus, MessageStatus
from cnn_offset.domain.text import N_
from cnn_offset.models import (
    Attestation,
    Cancellation,
    DealtWith,
    Message,
    Order,
    Payment,
)
from cnn_offset.services import NotFoundError, ServiceError
from cnn_offset.services.attention import orders, others
from cnn_offset.services.attention.kinds import RANK, STATES, Entry, Kind, waits
from cnn_offset.services.moves import note

__all__ = ["LIMIT", "RANK", "STATES", "Entry", "Kind", "attention", "deal", "entry", "look_again"]

LIMIT: Final = 100
"""At most so many of each kind: more than that is one trouble, not many."""
Finds = Callable[[Session, datetime, int], Iterator[Entry]]
_FINDS: Final[Mapping[Kind, Finds]] = {
    Kind.ENDING: orders.ending,
    Kind.SLOW: orders.slow,
    Kind.UNKNOWN: orders.unknown,
    Kind.MISMATCHED: orders.mismatched,
    Kind.BOOKS: others.books,
    Kind.REJECTED: orders.rejected,
    Kind.IN_REVIEW: orders.in_review,
    Kind.REFUND_DUE: orders.refund_due,
    Kind.PART_DUE: orders.part_due,
    Kind.REFUND_REFUSED: orders.refund_refused,
    Kind.MONEY_BACK: orders.money_back,
    Kind.DISPUTED: orders.disputed,
    Kind.SURPLUS: orders.surplus,
    Kind.CUTOVER: others.cutover,
    Kind.CERTIFICATE: others.certificate,
    Kind.FAULT: others.fault,
    Kind.UNITS_MISSING: others.units_missing,
    Kind.HOLDINGS: others.holdings,
    Kind.FAILING: others.failing,
    Kind.PROPOSAL: others.proposal,
    Kind.CORRECTION: others.correction,
    Kind.CASE: others.case,
    Kind.OVERDUE: orders.overdue,
    Kind.UNPAID: orders.unpaid,
    Kind.MAIL: others.mail,
    Kind.UNMATCHED: others.unmatched,
    Kind.APPLICATION: others.application,
    Kind.LISTING: others.listing,
    Kind.PAYOUT: others.payout,
}


def attention(
    session: Session,
    *,
    now: datetime,
    kinds: Collection[Kind] = tuple(Kind),
    limit: int = LIMIT,
    bank_methods: Collection[str] = (),
) -> list[Entry]:
    """Return what waits for a person: the most harmful kind first, of each the oldest first.

    Args:
        session: any; nothing is written.
        now: the moment.
        kinds: only of these.
        limit: at most so many of each.
        bank_methods: ids of the methods that operators enable.

    """
    finds: dict[Kind, Finds] = {**_FINDS}
    finds[Kind.PAYOUT] = partial(others.payout, methods=bank_methods)
    found = [each for kind in kinds for each in finds[kind](session, now, limit)]
    return sorted(found, key=lambda each: (RANK[each.kind], each.since, each.subject_id))


def entry(session: Session, kind: Kind, subject_id: int) -> DealtWith | None:
    """Return the last word on something that a person's word puts aside; None if there is none.

    Raises:
        NotFoundError: there is no such thing, or it has a status of its own to end in.

    """
    if kind not in STATES or session.get(STATES[kind][0], subject_id) is None:
        raise NotFoundError(f"{kind} {subject_id}")
    return session.scalar(
        select(DealtWith).where(
            DealtWith.kind == str(kind),
            DealtWith.subject == STATES[kind][0].__tablename__,
            DealtWith.subject_id == subject_id,
        )
    )


def deal(
    session: Session, kind: Kind, subject_id: int, *, reason: str, actor: str, now: datetime
) -> None:
    """Put something aside that has no status of its own, until its facts change.

    Raises:
        NotFoundError: there is no such thing, or it has a status of its own to end in.
        ServiceError: no reason is given, or somebody has dealt with it before.

    """
    if not reason.strip():
        raise ServiceError(N_("Please write the reason."))
    row = entry(session, kind, subject_id)
    thing, state = STATES[kind]
    if session.scalar(select(thing.id).where(thing.id == subject_id, waits(kind))) is None:
        raise ServiceError(N_("Somebody has dealt with this meanwhile. Nothing was changed."))
    if row is None:
        row = DealtWith(kind=str(kind), subject=thing.__tablename__, subject_id=subject_id)
    row.state = session.scalar(select(state).select_from(thing).where(thing.id == subject_id)) or ""
    row.reason, row.actor, row.at = reason.strip(), actor, now
    session.add(row)
    session.flush()
    subject = session.get_one(thing, subject_id)
    note(session, subject, old="", new="dealt with", actor=actor, why=row.reason, now=now)


def look_again(session: Session, order: Order, *, actor: str, now: datetime) -> int:
    """Make all open work of ``order`` due now; nothing is done here. Safe to repeat.

    Returns how many things will be looked at.
    """
    open_: list[Any] = [
        *session.scalars(
            select(Payment).where(Payment.order_id == order.id, Payment.processor_ref != "")
        ),
        *session.scalars(
            select(Cancellation).where(
                Cancellation.order_id == order.id,
                Cancellation.status.in_(
                    [
                        CancellationStatus.QUEUED,
                        CancellationStatus.SUBMITTED,
                        CancellationStatus.UNKNOWN,
                    ]
                ),
            )
        ),
        *session.scalars(
            select(Attestation).where(
                Attestation.order_id == order.id, Attestation.status == AttestationStatus.QUEUED
            )
        ),
        *session.scalars(
            select(Message).where(
                Message.order_id == order.id, Message.status == MessageStatus.QUEUED
            )
        ),
    ]
    for row in open_:
        row.due_at = now
    note(session, order, old="", new="look again", actor=actor, why="asked for", now=now)
    return len(open_)

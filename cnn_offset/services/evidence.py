"""Everything that is known of a case, put together for a claim: read only.

The operators' notes among themselves are not part of it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import select
from sqlalchemy.orm import Session, selectinload

from cnn_offset.domain.casework import Voice
from cnn_offset.models import (
    Attestation,
    Cancellation,
    Case,
    CaseMessage,
    Event,
    Message,
    Order,
    OrderLine,
    Payment,
)
from cnn_offset.services.case_desk import conversation
from cnn_offset.services.moves import note


@dataclass(frozen=True)
class Evidence:
    """A case with its order and all that happened to it."""

    case: Case
    order: Order | None
    lines: Sequence[OrderLine]
    payments: Sequence[Payment]
    cancellations: Sequence[Cancellation]
    attestations: Sequence[Attestation]
    mails: Sequence[Message]
    history: Sequence[Event]
    """Of the order."""
    said: Sequence[CaseMessage]


def collect(session: Session, case: Case) -> Evidence:
    """Read all that is known of a case and its order."""
    order = case.order
    return Evidence(
        case=case,
        order=order,
        lines=_of(session, OrderLine, order, selectinload(OrderLine.block)),
        payments=_of(session, Payment, order, selectinload(Payment.facts)),
        cancellations=_of(
            session,
            Cancellation,
            order,
            selectinload(Cancellation.ranges),
            selectinload(Cancellation.line).selectinload(OrderLine.block),
        ),
        attestations=_of(session, Attestation, order),
        mails=_of(session, Message, order),
        history=[
            each for each in _of(session, Event, order) if each.subject in ("order", "payment")
        ],
        said=[
            each
            for each in conversation(session, case, limit=None).messages
            if each.voice is not Voice.NOTE
        ],
    )


def _of(session: Session, kind: Any, order: Order | None, *options: Any) -> Sequence[Any]:
    if order is None:
        return []
    rows = select(kind).where(kind.order_id == order.id).order_by(kind.id).options(*options)
    return session.scalars(rows).all()


def note_taken(session: Session, case: Case, *, actor: str, now: datetime) -> None:
    """Keep who took the evidence of a case: it is full of personal data."""
    note(session, case, old="", new="evidence", actor=actor, why="taken", now=now)

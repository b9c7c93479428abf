"""What people who write to us can be helped with at once, before a case is opened."""

from __future__ import annotations

from datetime import datetime, timedelta
from enum import StrEnum
from typing import Final

from sqlalchemy import select
from sqlalchemy.orm import Session

from cnn_offset.domain.status import AttestationStatus
from cnn_offset.models import Attestation, Message, Order
from cnn_offset.services.cases import find_order_by_code
from cnn_offset.services.mailing import tell_purchaser
from cnn_offset.services.ordering import send_papers_again

QUIET: Final = timedelta(minutes=10)
"""The same papers are not sent again within this time, however often somebody asks."""


class Outcome(StrEnum):
    """What became of a question for an attestation."""

    UNKNOWN = "unknown"
    """No order goes with the number and the address given."""
    ISSUED = "issued"
    """It was issued, and has been sent again."""
    NOT_YET = "not_yet"
    """There is none yet; a mail says where the order stands."""


def order_of(session: Session, code: str, email: str) -> Order | None:
    """Return the order of a number, if that was given with its purchaser's address.

    Otherwise None, whether there is such an order or not.
    """
    order = find_order_by_code(session, code)
    return order if order is not None and order.email == email.strip().lower() else None


def send_attestation(session: Session, order: Order | None, *, now: datetime) -> Outcome:
    """Mail the attestation again, or else where the order stands, to the order's own address.

    Safe to repeat: nothing is sent twice within a few minutes.
    """
    if order is None:
        return Outcome.UNKNOWN
    issued = session.scalar(
        select(Attestation.id).where(
            Attestation.order_id == order.id, Attestation.status == AttestationStatus.ISSUED
        )
    )
    if issued is None:
        half_hour = int(now.timestamp()) // 1800
        tell_purchaser(
            session, "order_stands", order, now=now, dedup=f"order_stands:{order.id}:{half_hour}"
        )
        return Outcome.NOT_YET
    last = session.scalar(
        select(Message.sent_at)
        .where(Message.order_id == order.id, Message.kind == "attestation")
        .order_by(Message.id)
        .limit(1)
    )
    if last is None or last <= now - QUIET:
        send_papers_again(session, order, now=now)
    return Outcome.ISSUED

"""Whether the money of a paid order is right: by its facts, or by a person's word."""

from __future__ import annotations

from datetime import datetime
from typing import Final

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from cnn_offset.domain.payment import Verdict, left
from cnn_offset.domain.status import PaymentStatus
from cnn_offset.models import DealtWith, Order, Payment, PaymentFact

RELEASED: Final = "released"


def accept(session: Session, payment: Payment, *, reason: str, actor: str, now: datetime) -> None:
    """Keep a person's word that the money of a payment is right, as its facts are now."""
    state, row = _facts(session, payment), _accepted(session, payment)
    if row is None:
        row = DealtWith(kind=RELEASED, subject="payment", subject_id=payment.id)
        session.add(row)
    row.state, row.reason, row.actor, row.at = state, reason, actor, now
    session.flush()


def is_accepted(session: Session, payment: Payment) -> bool:
    """Whether a person has said that the money is right, and nothing was heard of it since."""
    row = _accepted(session, payment)
    return row is not None and row.state == _facts(session, payment)


def is_right(session: Session, payment: Payment) -> bool:
    """Whether the money of a payment can stay what pays its order."""
    return (
        payment.verdict is Verdict.EXACT or is_returning(payment) or is_accepted(session, payment)
    )


def is_returning(payment: Payment) -> bool:
    """Whether it is too much only by what operators have decided to give back with a line."""
    if payment.verdict is not Verdict.OVER or not payment.waived_minor:
        return False
    rest = left(each.value for each in payment.facts)
    return rest is not None and rest.minor <= payment.amount_minor


def money_stands(session: Session, order: Order) -> bool:
    """Whether the money that paid an order is there, and right as far as anybody knows."""
    payment = session.scalar(
        select(Payment).where(Payment.order_id == order.id, Payment.paid_order.is_(True))
    )
    return (
        payment is not None
        and payment.status is PaymentStatus.SUCCEEDED
        and is_right(session, payment)
    )


def _accepted(session: Session, payment: Payment) -> DealtWith | None:
    return session.scalar(
        select(DealtWith).where(
            DealtWith.kind == RELEASED,
            DealtWith.subject == "payment",
            DealtWith.subject_id == payment.id,
        )
    )


def _facts(session: Session, payment: Payment) -> str:
    last = select(func.max(PaymentFact.id)).where(PaymentFact.payment_id == payment.id)
    return str(session.scalar(last) or 0)

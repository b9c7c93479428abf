"""Adding up what came after orders: corrected attestations, and money given back."""

from __future__ import annotations

from collections.abc import Iterator

from sqlalchemy import case, exists, func, select
from sqlalchemy.orm import Session, aliased, selectinload

from cnn_offset.domain.attestation import AttestationData
from cnn_offset.domain.payment import Fact, FactKind, FactStatus, latest
from cnn_offset.domain.status import AttestationStatus, CancellationStatus, RefundStatus
from cnn_offset.models import Attestation, Cancellation, OrderLine, Payment, Refund


def corrections(session: Session) -> Iterator[str]:
    """What supersedes an attestation says the same of units and serial numbers, and only one
    attestation of an order holds.
    """
    before = aliased(Attestation)
    for row, old in session.execute(
        select(Attestation, before)
        .join(before, before.id == Attestation.supersedes_id)
        .execution_options(yield_per=500)
    ):
        if row.order_id != old.order_id:
            yield f"attestation {row.sequence}: supersedes one of another order"
        if row.status is AttestationStatus.ISSUED and _covered(row) != _covered(old):
            yield f"attestation {row.sequence}: not the units of {old.sequence}"
    last = (
        select(Attestation.order_id, func.count().label("n"))
        .where(~exists().where(before.supersedes_id == Attestation.id))
        .group_by(Attestation.order_id)
        .having(func.count() != 1)
    )
    for order_id, n in session.execute(last):
        yield f"order {order_id}: {n} attestations that none supersedes"


def _covered(row: Attestation) -> list[tuple[int, list[tuple[str, str, int]]]]:
    return [
        (line.quantity, [(each.first, each.last, each.quantity) for each in line.ranges])
        for line in AttestationData.from_json(row.data).lines
    ]


def refunds(session: Session) -> Iterator[str]:
    """What was given back is among the payment's facts, and never more than came."""
    rows = (
        select(Refund)
        .where(Refund.status != RefundStatus.REFUSED)
        .options(selectinload(Refund.payment).selectinload(Payment.facts))
        .execution_options(yield_per=500)
    )
    ours: dict[int, int] = {}
    for refund in session.scalars(rows.order_by(Refund.id)):
        ours[refund.payment_id] = ours.get(refund.payment_id, 0) + refund.amount_minor
        facts = latest(each.value for each in refund.payment.facts)
        came = sum(
            each.amount.minor
            for each in facts
            if each.kind is FactKind.PAYMENT and each.status is FactStatus.DONE and each.amount
        )
        if ours[refund.payment_id] > came and not _failed_back(facts):
            yield f"refund {refund.key}: more than came"
        if refund.status is RefundStatus.DONE and not any(
            each.kind is FactKind.REFUND for each in facts
        ):
            yield f"refund {refund.key}: taken, but no fact of {refund.payment.key} says so"


def _failed_back(facts: list[Fact]) -> bool:
    """Whether a refund failed at the processor after it was taken, so that another followed."""
    return any(
        each.kind is FactKind.REFUND and each.status in (FactStatus.FAILED, FactStatus.ABANDONED)
        for each in facts
    )


def parts(session: Session) -> Iterator[str]:
    """What was given back of an order is due no more of the payment that paid it, and of no other."""
    back = (
        select(
            OrderLine.order_id.label("order_id"),
            func.sum(OrderLine.price_minor * OrderLine.quantity).label("minor"),
        )
        .where(OrderLine.given_back_at.is_not(None))
        .group_by(OrderLine.order_id)
        .subquery()
    )
    should = case((Payment.paid_order, func.coalesce(back.c.minor, 0)), else_=0)
    for key, waived, minor in session.execute(
        select(Payment.key, Payment.waived_minor, should)
        .outerjoin(back, back.c.order_id == Payment.order_id)
        .where(Payment.waived_minor != should)
    ):
        yield f"payment {key}: {waived} of it waived, lines given back say {minor}"
    for key, status in session.execute(
        select(Cancellation.key, Cancellation.status)
        .join(OrderLine, OrderLine.id == Cancellation.order_line_id)
        .where(
            OrderLine.given_back_at.is_not(None),
            Cancellation.status != CancellationStatus.GIVEN_UP,
        )
    ):
        yield f"cancellation {key}: {status}, its line was given back"

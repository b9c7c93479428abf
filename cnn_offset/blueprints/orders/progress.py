"""How far an order is: what its page says, whether it waits, and the trail."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from sqlalchemy import select
from sqlalchemy.orm import Session

from cnn_offset.domain.calendar import add_working_days
from cnn_offset.domain.status import CancellationStatus, OrderStatus, PaymentStatus
from cnn_offset.models import Attestation, Cancellation, Order, Payment
from cnn_offset.services.attesting import current_attestation

_PATIENCE: Final = timedelta(minutes=2)
"""After this a registry that has not cancelled is said to be slow."""
_PAYMENT_STATES: Final = {
    PaymentStatus.PROCESSING: "processing",
    PaymentStatus.FAILED: "failed",
    PaymentStatus.IN_REVIEW: "in_review",
}


@dataclass(frozen=True)
class Progress:
    """What is known of an order beside its own row."""

    order: Order
    payment: Payment | None
    """The newest attempt."""
    cancellations: Sequence[Cancellation]
    attestation: Attestation | None
    """Only once it is issued."""
    now: datetime

    @property
    def state(self) -> str:
        """One word for what the purchaser is told first; see templates/orders/show.html."""
        status, payment = self.order.status, self.payment
        if status is OrderStatus.FULFILLED:
            return "attested" if self.attestation else "fulfilled"
        if status is OrderStatus.PAID:
            return "slow" if self._registry_is_slow else "paid"
        if status is not OrderStatus.PLACED:
            return status.value
        if payment is None:
            return "to_pay"
        if payment.status is PaymentStatus.AWAITING_PAYER:
            return "opened" if payment.instructions is None else "instructed"
        return _PAYMENT_STATES.get(payment.status, "to_pay")

    @property
    def waits(self) -> bool:
        """Whether news is expected any moment, so that the page should look again."""
        return self.state in ("paid", "slow", "fulfilled")

    @property
    def promised_by(self) -> datetime | None:
        """When the attestation should be there: two working days after the payment."""
        return add_working_days(self.order.paid_at, 2) if self.order.paid_at else None

    @property
    def _registry_is_slow(self) -> bool:
        since = self.order.paid_at
        return since is not None and self.now - since > _PATIENCE

    @property
    def confirmed(self) -> list[Cancellation]:
        """The cancellations whose serial numbers are known."""
        return [each for each in self.cancellations if each.status is CancellationStatus.CONFIRMED]

    @property
    def trail(self) -> dict[str, str]:
        """The state of each step for components/page.html ``trail``."""
        status = self.order.status
        steps = ("placed", "paid", "cancelled", "attested")
        if status is OrderStatus.FULFILLED:
            done = 4 if self.attestation else 3
        else:
            done = 2 if self.order.paid_at else 1
        going = status in (OrderStatus.PLACED, OrderStatus.PAID, OrderStatus.FULFILLED)
        return {
            step: "done" if at < done else "todo" if at > done else "now" if going else "stopped"
            for at, step in enumerate(steps)
        }


def progress_of(session: Session, order: Order, *, now: datetime) -> Progress:
    """Read what is known of ``order``."""
    payment = session.scalar(
        select(Payment).where(Payment.order_id == order.id).order_by(Payment.id.desc()).limit(1)
    )
    cancellations = session.scalars(
        select(Cancellation)
        .where(Cancellation.order_id == order.id)
        .order_by(Cancellation.order_line_id)
    ).all()
    attestation = current_attestation(session, order.id)
    return Progress(order, payment, cancellations, attestation, now)

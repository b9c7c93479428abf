"""Money that operators have a processor give back."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any, ClassVar

from sqlalchemy import BigInteger, CheckConstraint, ForeignKey, Index, String, text
from sqlalchemy.orm import Mapped, mapped_column, relationship

from cnn_offset.domain.money import Money
from cnn_offset.domain.status import REFUND_MOVES, RefundStatus
from cnn_offset.models.base import BigId, Model, WorkMixin, due_index, enum_column
from cnn_offset.models.ordering import Order
from cnn_offset.models.paying import Payment


class Refund(WorkMixin, Model):
    """The intent to give money of one payment back, two operators having said so.

    Committed before the processor is told; asked for again under the same key until it
    answers. What went back is said by the payment's facts, not by this row.
    """

    __tablename__ = "refund"
    __table_args__ = (
        CheckConstraint("amount_minor > 0", name="amount"),
        CheckConstraint("fee_minor >= 0", name="fee"),
        Index("ix_refund_order", "order_id"),
        Index("ix_refund_payment", "payment_id"),
        # Two at once could give back more than came.
        Index(
            "uq_refund_open",
            "payment_id",
            unique=True,
            sqlite_where=text("status = 'queued'"),
            postgresql_where=text("status = 'queued'"),
        ),
        Index("ix_refund_status", "status", "id"),
        due_index("refund"),
    )
    MOVES: ClassVar[Mapping[Any, Any]] = REFUND_MOVES

    id: Mapped[int] = mapped_column(BigId, primary_key=True)
    order_id: Mapped[int] = mapped_column(ForeignKey("order.id"))
    payment_id: Mapped[int] = mapped_column(ForeignKey("payment.id"))
    key: Mapped[str] = mapped_column(String(40), unique=True)
    amount_minor: Mapped[int] = mapped_column(BigInteger)
    currency: Mapped[str] = mapped_column(String(3))
    fee_minor: Mapped[int] = mapped_column(BigInteger, default=0, server_default="0")
    """What of the fee set aside for the platform goes back to the provider with it."""
    reason: Mapped[str]
    status: Mapped[RefundStatus] = mapped_column(
        enum_column(RefundStatus, "status"), default=RefundStatus.QUEUED
    )
    asked_by: Mapped[str] = mapped_column(String(254))
    approved_by: Mapped[str] = mapped_column(String(254))
    said: Mapped[str] = mapped_column(default="", server_default="")
    """Why it was refused, in the processor's words."""
    created_at: Mapped[datetime]
    done_at: Mapped[datetime | None]

    order: Mapped[Order] = relationship()
    payment: Mapped[Payment] = relationship()

    @property
    def amount(self) -> Money:
        """What is given back."""
        return Money(self.amount_minor, self.currency)

    @property
    def fee(self) -> Money | None:
        """What of the platform's fee goes back to the provider; None if nothing."""
        return Money(self.fee_minor, self.currency) if self.fee_minor else None

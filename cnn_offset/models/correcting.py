"""What purchasers ask to have corrected on an attestation."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any, ClassVar

from sqlalchemy import ForeignKey, Index, String, text
from sqlalchemy.orm import Mapped, mapped_column, relationship

from cnn_offset.domain.status import CORRECTION_MOVES, CorrectionStatus
from cnn_offset.models.base import BigId, Model, enum_column
from cnn_offset.models.ordering import Order
from cnn_offset.models.papers import Attestation


class Correction(Model):
    """A wish to have name or reason on an attestation spelt otherwise.

    One at a time for an order. What becomes of it two operators decide, by a proposal about
    this row; until then the old texts hold.
    """

    __tablename__ = "correction"
    __table_args__ = (
        Index(
            "uq_correction_asked",
            "order_id",
            unique=True,
            sqlite_where=text("status = 'asked'"),
            postgresql_where=text("status = 'asked'"),
        ),
        Index("ix_correction_order", "order_id"),
        Index("ix_correction_status", "status", "id"),
    )
    MOVES: ClassVar[Mapping[Any, Any]] = CORRECTION_MOVES

    id: Mapped[int] = mapped_column(BigId, primary_key=True)
    order_id: Mapped[int] = mapped_column(ForeignKey("order.id"))
    attestation_id: Mapped[int] = mapped_column(ForeignKey("attestation.id"))
    """Which is to be corrected."""
    beneficiary: Mapped[str]
    """As it should read; so with the reason."""
    reason: Mapped[str]
    remark: Mapped[str] = mapped_column(default="", server_default="")
    """What else the purchaser says about it, to operators only."""
    status: Mapped[CorrectionStatus] = mapped_column(
        enum_column(CorrectionStatus, "status"), default=CorrectionStatus.ASKED
    )
    asked_by: Mapped[str] = mapped_column(String(254))
    asked_at: Mapped[datetime]
    decided_by: Mapped[str] = mapped_column(String(254), default="", server_default="")
    decided_at: Mapped[datetime | None]
    answer: Mapped[str] = mapped_column(default="", server_default="")
    """Why it was refused, as mailed to the purchaser."""

    order: Mapped[Order] = relationship()
    attestation: Mapped[Attestation] = relationship()

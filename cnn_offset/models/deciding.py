"""What operators decide together."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from enum import StrEnum
from typing import Any, ClassVar

from sqlalchemy import ForeignKey, Index, String, text
from sqlalchemy.orm import Mapped, mapped_column, relationship

from cnn_offset.domain.status import PROPOSAL_MOVES, ProposalStatus
from cnn_offset.models.base import BigId, Model, enum_column
from cnn_offset.models.ordering import Order


class ProposalKind(StrEnum):
    """The steps that two operators take: irrevocable, or as good as money (H6)."""

    REFUND = "refund"
    CORRECTION = "correction"
    ERASURE = "erasure"
    MAPPING = "mapping"
    DATES = "dates"


class Proposal(Model):
    """One of those steps: asked for by one operator, decided by another."""

    __tablename__ = "proposal"
    __table_args__ = (
        # One question about one thing at a time.
        Index(
            "uq_proposal_waiting",
            "kind",
            "subject",
            "subject_id",
            unique=True,
            sqlite_where=text("status = 'waiting'"),
            postgresql_where=text("status = 'waiting'"),
        ),
        Index("ix_proposal_status", "status", "id"),
        Index("ix_proposal_order", "order_id"),
    )
    MOVES: ClassVar[Mapping[Any, Any]] = PROPOSAL_MOVES

    id: Mapped[int] = mapped_column(BigId, primary_key=True)
    kind: Mapped[ProposalKind] = mapped_column(enum_column(ProposalKind, "kind"))
    subject: Mapped[str] = mapped_column(String(40))
    """The table of what it is about."""
    subject_id: Mapped[int]
    order_id: Mapped[int | None] = mapped_column(ForeignKey("order.id"))
    payload: Mapped[dict[str, Any]]
    """What is to be done, in the words of the service that does it."""
    reason: Mapped[str]
    status: Mapped[ProposalStatus] = mapped_column(
        enum_column(ProposalStatus, "status"), default=ProposalStatus.WAITING
    )
    asked_by: Mapped[str] = mapped_column(String(254))
    asked_at: Mapped[datetime]
    decided_by: Mapped[str] = mapped_column(String(254), default="", server_default="")
    decided_at: Mapped[datetime | None]

    order: Mapped[Order | None] = relationship()

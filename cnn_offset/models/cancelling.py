"""Cancellations of units, and the serial numbers they took."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any, ClassVar, Final

from sqlalchemy import BigInteger, CheckConstraint, ForeignKey, Index, String, text
from sqlalchemy.orm import Mapped, mapped_column, relationship

from cnn_offset.domain.status import CANCELLATION_MOVES, CancellationStatus
from cnn_offset.domain.units import SerialRange
from cnn_offset.models.base import BigId, Model, WorkMixin, due_index, enum_column
from cnn_offset.models.ordering import OrderLine

IN_FLIGHT: Final = "status IN ('submitted', 'unknown', 'mismatched')"
"""Of a cancellation: the registry may have acted, and we do not know how."""


STANDING: Final = "status <> 'given_up'"
"""Of a cancellation: it is, or may become, that of its line."""


class Cancellation(WorkMixin, Model):
    """The cancellation of one order line's units at its registry, under our key.

    ``sends`` counts how often the registry was told; each time ``sent_at`` (our clock)
    and ``registry_sent_at`` (the registry's own) are committed first.
    """

    __tablename__ = "cancellation"
    __table_args__ = (
        CheckConstraint("quantity >= 1", name="quantity"),
        CheckConstraint("sends >= 0", name="sends"),
        Index("ix_cancellation_order", "order_id"),
        # What was given up, another takes the place of, or nothing does.
        Index(
            "uq_cancellation_line",
            "order_line_id",
            unique=True,
            sqlite_where=text(STANDING),
            postgresql_where=text(STANDING),
        ),
        Index("ix_cancellation_completed", "completed_at"),
        Index(
            "ix_cancellation_in_flight",
            "registry_id",
            "account_ref",
            "block_ref",
            sqlite_where=text(IN_FLIGHT),
            postgresql_where=text(IN_FLIGHT),
        ),
        due_index("cancellation"),
    )
    MOVES: ClassVar[Mapping[Any, Any]] = CANCELLATION_MOVES

    id: Mapped[int] = mapped_column(BigId, primary_key=True)
    order_id: Mapped[int] = mapped_column(ForeignKey("order.id"))
    order_line_id: Mapped[int] = mapped_column(ForeignKey("order_line.id"))
    key: Mapped[str] = mapped_column(String(40), unique=True)
    registry_id: Mapped[str] = mapped_column(String(40))
    account_ref: Mapped[str] = mapped_column(String(80))
    block_ref: Mapped[str] = mapped_column(String(80))
    quantity: Mapped[int] = mapped_column(BigInteger)
    beneficiary: Mapped[str]
    reason: Mapped[str]
    status: Mapped[CancellationStatus] = mapped_column(
        enum_column(CancellationStatus, "status"), default=CancellationStatus.QUEUED
    )
    sends: Mapped[int] = mapped_column(default=0)
    sent_at: Mapped[datetime | None]
    registry_sent_at: Mapped[datetime | None]
    registry_sent_before_at: Mapped[datetime | None]
    """The same of the send before the last: a refusal of the last says nothing of it."""
    registry_ref: Mapped[str] = mapped_column(String(120), default="")
    completed_at: Mapped[datetime | None]
    registry_said: Mapped[str] = mapped_column(default="")
    """The registry's words, where it refused or did something else than asked."""
    created_at: Mapped[datetime]
    listed_at: Mapped[datetime | None]
    """When the registry's own list was seen to have it (F8)."""

    line: Mapped[OrderLine] = relationship()
    ranges: Mapped[list[CancelledRange]] = relationship(
        back_populates="cancellation", order_by="CancelledRange.first"
    )


class CancelledRange(Model):
    """Units that are cancelled for ever. No two rows of one registry and series overlap:
    a trigger on each database refuses it (see the migrations).
    """

    __tablename__ = "cancelled_range"
    __table_args__ = (
        CheckConstraint("first >= 1 AND last >= first", name="range"),
        CheckConstraint("(cancellation_id IS NULL) <> (historic_id IS NULL)", name="owner"),
        Index("ix_cancelled_range_place", "registry_id", "series", "last"),
    )

    id: Mapped[int] = mapped_column(BigId, primary_key=True)
    cancellation_id: Mapped[int | None] = mapped_column(ForeignKey("cancellation.id"), index=True)
    historic_id: Mapped[int | None] = mapped_column(
        ForeignKey("historic_cancellation.id"), unique=True
    )
    """Of a cancellation that came by import; exactly one of the two is set."""
    registry_id: Mapped[str] = mapped_column(String(40))
    series: Mapped[str] = mapped_column(String(80))
    first: Mapped[int] = mapped_column(BigInteger)
    last: Mapped[int] = mapped_column(BigInteger)
    first_text: Mapped[str]
    last_text: Mapped[str]

    cancellation: Mapped[Cancellation | None] = relationship(back_populates="ranges")

    @property
    def serials(self) -> SerialRange:
        """The range as a value."""
        return SerialRange(self.series, self.first, self.last, self.first_text, self.last_text)

"""Cancellations that came by import: the old platform's, from before this one (F10)."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import BigInteger, CheckConstraint, ForeignKey, Index, String, text
from sqlalchemy.orm import Mapped, mapped_column, relationship

from cnn_offset.domain.units import UnitType
from cnn_offset.models.base import BigId, Model, enum_column
from cnn_offset.models.cancelling import CancelledRange
from cnn_offset.models.catalogue import Activity


class HistoricCancellation(Model):
    """One run of units that the old platform had cancelled; an order of it may have several.

    Its serial numbers are a row of ``cancelled_range`` like those of any cancellation, so
    that no unit is ever counted, or cancelled, twice.
    """

    __tablename__ = "historic_cancellation"
    __table_args__ = (
        CheckConstraint("quantity >= 1", name="quantity"),
        Index("ix_historic_cancellation_order_ref", "order_ref"),
        Index("ix_historic_cancellation_completed", "completed_at", "id"),
        # Those that wait for their project to be registered here.
        Index(
            "ix_historic_cancellation_unlinked",
            "registry_id",
            "activity_ref",
            sqlite_where=text("activity_id IS NULL"),
            postgresql_where=text("activity_id IS NULL"),
        ),
    )

    id: Mapped[int] = mapped_column(BigId, primary_key=True)
    registry_id: Mapped[str] = mapped_column(String(40))
    order_ref: Mapped[str | None] = mapped_column(String(40))
    """The old platform's number of the order, as in its addresses; None if not told."""
    reference: Mapped[str] = mapped_column(String(80), default="")
    """The number on its certificate; empty if not told."""
    completed_at: Mapped[datetime]
    unit_type: Mapped[UnitType] = mapped_column(enum_column(UnitType, "unit_type"))
    commitment_period: Mapped[int | None]
    host_party: Mapped[str] = mapped_column(String(2))
    activity_ref: Mapped[str] = mapped_column(String(40))
    activity_title: Mapped[str] = mapped_column(default="")
    """As the file had it; empty if it had none."""
    activity_id: Mapped[int | None] = mapped_column(ForeignKey("activity.id"), index=True)
    """The project here; None as long as it is not registered."""
    quantity: Mapped[int] = mapped_column(BigInteger)
    beneficiary: Mapped[str] = mapped_column(default="")
    """As the old platform published it; empty if it did not."""
    reason: Mapped[str] = mapped_column(default="")

    activity: Mapped[Activity | None] = relationship()
    range: Mapped[CancelledRange] = relationship()


class HistoryTerm(Model):
    """One thing an imported cancellation can be found by, as ``RecordTerm`` is for ours.

    They come in the order of a file, not of time: the moment stands in the key, so that
    those of a term are read newest first without being sorted.
    """

    __tablename__ = "history_term"
    # The key is all there is: SQLite need not keep it twice.
    __table_args__ = ({"sqlite_with_rowid": False},)

    term: Mapped[str] = mapped_column(String(80), primary_key=True)
    completed_at: Mapped[datetime] = mapped_column(primary_key=True)
    historic_id: Mapped[int] = mapped_column(
        ForeignKey("historic_cancellation.id"), primary_key=True, autoincrement=False
    )


class HistoryFacet(Model):
    """A value that some imported cancellation has, to be chosen among in the record."""

    __tablename__ = "history_facet"

    name: Mapped[str] = mapped_column(String(10), primary_key=True)
    """``host``, ``registry`` or ``year``."""
    value: Mapped[str] = mapped_column(String(40), primary_key=True)

"""Files that operators import, how far each has come, and the issuances such files bring."""

from __future__ import annotations

from datetime import date, datetime
from enum import StrEnum

from sqlalchemy import BigInteger, CheckConstraint, ForeignKey, Index, String, UniqueConstraint
from sqlalchemy.orm import Mapped, mapped_column

from cnn_offset.domain.units import UnitType
from cnn_offset.models.base import BigId, Model, enum_column


class ImportKind(StrEnum):
    """What a file holds."""

    HISTORY = "history"
    """Cancellations of the earlier platform."""
    ACTIVITIES = "activities"
    BLOCKS = "blocks"
    """Issuances, as a registry reports them."""


class ImportRun(Model):
    """One file on its way in. Each batch of its rows moves ``place`` in its own transaction,
    so that whoever is stopped goes on there.
    """

    __tablename__ = "import_run"
    __table_args__ = (Index("ix_import_run_sha256", "sha256", "kind", "registry_id"),)

    id: Mapped[int] = mapped_column(BigId, primary_key=True)
    kind: Mapped[ImportKind] = mapped_column(enum_column(ImportKind, "kind"))
    registry_id: Mapped[str] = mapped_column(String(40))
    file_name: Mapped[str] = mapped_column(String(255))
    sha256: Mapped[str] = mapped_column(String(64))
    plan_sha256: Mapped[str] = mapped_column(String(64))
    """Of the mapping: the same file read otherwise is another import."""
    place: Mapped[int] = mapped_column(default=0)
    """The number of the last row in the file that was dealt with."""
    read: Mapped[int] = mapped_column(default=0)
    accepted: Mapped[int] = mapped_column(default=0)
    known: Mapped[int] = mapped_column(default=0)
    """Rows that were there already."""
    refused: Mapped[int] = mapped_column(default=0)
    skipped: Mapped[int] = mapped_column(default=0)
    """Rows that the mapping does not keep, such as those that were not the platform's."""
    warned: Mapped[int] = mapped_column(default=0)
    unchecked: Mapped[int] = mapped_column(default=0)
    """Accepted without an issuance to check them by."""
    actor: Mapped[str] = mapped_column(String(120))
    started_at: Mapped[datetime]
    finished_at: Mapped[datetime | None]


class ImportRemark(Model):
    """Why a row was refused, or what is odd about one that was taken."""

    __tablename__ = "import_remark"

    run_id: Mapped[int] = mapped_column(ForeignKey("import_run.id"), primary_key=True)
    number: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    """The row's, in the file."""
    refused: Mapped[bool]
    what: Mapped[str]


class Issuance(Model):
    """A run of serial numbers as it was issued, from a registry's report.

    Cancellations of the earlier platform are checked by it. Blocks on offer come from the
    registry's own answers alone.
    """

    __tablename__ = "issuance"
    __table_args__ = (
        UniqueConstraint("registry_id", "series", "last"),
        Index("ix_issuance_activity", "registry_id", "activity_ref"),
        CheckConstraint("first >= 1 AND last >= first", name="range"),
        CheckConstraint("monitoring_end >= monitoring_start", name="monitoring"),
    )

    id: Mapped[int] = mapped_column(BigId, primary_key=True)
    registry_id: Mapped[str] = mapped_column(String(40))
    activity_ref: Mapped[str] = mapped_column(String(40))
    party: Mapped[str] = mapped_column(String(2))
    unit_type: Mapped[UnitType] = mapped_column(enum_column(UnitType, "unit_type"))
    commitment_period: Mapped[int | None]
    series: Mapped[str] = mapped_column(String(80))
    first: Mapped[int] = mapped_column(BigInteger)
    last: Mapped[int] = mapped_column(BigInteger)
    monitoring_start: Mapped[date | None]
    monitoring_end: Mapped[date | None]
    completed_at: Mapped[datetime]
    process_ref: Mapped[str] = mapped_column(String(80), default="")
    """The registry's own number of the issuance; empty if not told."""

"""Moving from one registry to the one that succeeds it (F3), and what is kept of before."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any, ClassVar

from sqlalchemy import BigInteger, CheckConstraint, ForeignKey, Index, String, UniqueConstraint
from sqlalchemy.orm import Mapped, mapped_column, relationship

from cnn_offset.domain.status import CUTOVER_MOVES, CutoverStatus
from cnn_offset.domain.units import SerialRange
from cnn_offset.models.base import BigId, Model, enum_column
from cnn_offset.models.catalogue import Activity, Block


class Cutover(Model):
    """One move from a registry connection to its successor; one runs at a time.

    ``status`` is the last step that is done to the end. Whoever works at it holds the
    lease: by compare-and-set on ``fence``, renewed with each transaction.
    """

    __tablename__ = "cutover"
    __table_args__ = (CheckConstraint("slot = 1", name="slot"),)
    MOVES: ClassVar[Mapping[Any, Any]] = CUTOVER_MOVES

    id: Mapped[int] = mapped_column(BigId, primary_key=True)
    old_id: Mapped[str] = mapped_column(String(40))
    """The connection whose registry ends (a table ``REGISTRIES.<id>`` of the configuration)."""
    new_id: Mapped[str] = mapped_column(String(40))
    status: Mapped[CutoverStatus] = mapped_column(
        enum_column(CutoverStatus, "status"), default=CutoverStatus.FROZEN
    )
    slot: Mapped[int | None] = mapped_column(default=1, unique=True)
    """1 while it runs, so that no second one begins; None once it is over."""
    sums: Mapped[list[Any]]
    """Units before the move, by account, project and type."""
    actor: Mapped[str] = mapped_column(String(120))
    started_at: Mapped[datetime]
    stepped_at: Mapped[datetime]
    """When ``status`` last changed."""
    ended_at: Mapped[datetime | None]
    lease_until: Mapped[datetime | None]
    fence: Mapped[int] = mapped_column(default=0, server_default="0")


class CutoverGroup(Model):
    """Blocks that move together, matched with what became of them; most often one and one."""

    __tablename__ = "cutover_group"
    __table_args__ = (Index("ix_cutover_group_cutover", "cutover_id", "id"),)

    id: Mapped[int] = mapped_column(BigId, primary_key=True)
    cutover_id: Mapped[int] = mapped_column(ForeignKey("cutover.id"))
    successors: Mapped[list[Any]]
    """What the new registry said of the blocks, with our ids of those they came from."""
    moved_at: Mapped[datetime | None]


class BlockOrigin(Model):
    """Units of a block that were units of another registry's before, one for one."""

    __tablename__ = "block_origin"
    __table_args__ = (
        CheckConstraint("first >= 1 AND last >= first", name="range"),
        UniqueConstraint("former_id", "first"),
    )

    id: Mapped[int] = mapped_column(BigId, primary_key=True)
    block_id: Mapped[int] = mapped_column(ForeignKey("block.id"), index=True)
    former_id: Mapped[int] = mapped_column(ForeignKey("block.id"))
    """The block they were part of before."""
    series: Mapped[str] = mapped_column(String(80))
    first: Mapped[int] = mapped_column(BigInteger)
    last: Mapped[int] = mapped_column(BigInteger)
    first_text: Mapped[str]
    last_text: Mapped[str]

    block: Mapped[Block] = relationship(foreign_keys=[block_id])
    former: Mapped[Block] = relationship(foreign_keys=[former_id])

    @property
    def serials(self) -> SerialRange:
        """The numbers they had there."""
        return SerialRange(self.series, self.first, self.last, self.first_text, self.last_text)


class FormerRef(Model):
    """A reference number that an activity had in a registry before; it still finds it."""

    __tablename__ = "former_ref"
    __table_args__ = (UniqueConstraint("registry_id", "ref"),)

    id: Mapped[int] = mapped_column(BigId, primary_key=True)
    activity_id: Mapped[int] = mapped_column(ForeignKey("activity.id"), index=True)
    registry_id: Mapped[str] = mapped_column(String(40))
    ref: Mapped[str] = mapped_column(String(40))
    until: Mapped[datetime]

    activity: Mapped[Activity] = relationship(back_populates="former_refs")

"""Our books beside a registry's own: nights of comparing, and what differed (F8)."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date, datetime
from enum import StrEnum
from typing import Any, ClassVar, Final

from sqlalchemy import BigInteger, ForeignKey, Index, String, UniqueConstraint, text
from sqlalchemy.orm import Mapped, mapped_column, relationship

from cnn_offset.domain.status import DIFFERENCE_MOVES, DifferenceStatus
from cnn_offset.models.base import BigId, Model, WorkMixin, due_index, enum_column
from cnn_offset.models.cancelling import Cancellation
from cnn_offset.models.catalogue import Block
from cnn_offset.models.holding import RegistryAccount
from cnn_offset.models.ordering import Order

OPEN: Final = "status = 'open'"
"""Of a difference: nobody has settled it and it is still there."""
UNLISTED: Final = "status = 'confirmed' AND listed_at IS NULL"
"""Of a cancellation: the registry's own list was not seen to have it yet."""


class NightStep(StrEnum):
    """What a night's comparison is at."""

    LIST = "list"
    """The registry's list of cancellations, from where the night before ended."""
    HOLDINGS = "holdings"
    """The accounts, each read from its beginning to its end."""
    DONE = "done"


class Hindrance(StrEnum):
    """Why a night's comparison, or the rest of it, did not take place."""

    CLOSED = "closed"
    """The registry has closed."""
    SILENT = "silent"
    """It did not answer all night."""
    REFUSED = "refused"
    """It answered that it will not tell."""
    TOO_MANY = "too_many"
    """So much differed that something else is wrong."""
    NO_TIME = "no_time"
    """The night was over before everything was read."""


class Night(WorkMixin, Model):
    """One night's comparison with one registry. ``due_at``: when to go on with it."""

    __tablename__ = "night"
    __table_args__ = (
        UniqueConstraint("registry_id", "day"),
        due_index("night"),
        Index(
            "ix_night_failing",
            "due_at",
            sqlite_where=text("attempts >= 5"),
            postgresql_where=text("attempts >= 5"),
        ),
    )

    id: Mapped[int] = mapped_column(BigId, primary_key=True)
    registry_id: Mapped[str] = mapped_column(String(40))
    day: Mapped[date]
    began_at: Mapped[datetime]
    ended_at: Mapped[datetime | None]
    step: Mapped[NightStep] = mapped_column(enum_column(NightStep, "step"), default=NightStep.LIST)
    hindrance: Mapped[Hindrance | None] = mapped_column(enum_column(Hindrance, "hindrance"))
    """None if everything was compared, or as long as it may be."""
    words: Mapped[str] = mapped_column(default="", server_default="")
    """What hindered it, for operators."""
    cursor: Mapped[str] = mapped_column(default="", server_default="")
    """Where in the registry's list the next page begins."""
    skip: Mapped[int] = mapped_column(default=0, server_default="0")
    """So many entries from there on were compared already."""
    listed_until: Mapped[datetime | None]
    """By the registry's clock: what it had done until then was compared."""
    matched: Mapped[int] = mapped_column(BigInteger, default=0, server_default="0")
    """Cancellations that both books have alike."""
    matched_units: Mapped[int] = mapped_column(BigInteger, default=0, server_default="0")
    elsewhere: Mapped[int] = mapped_column(BigInteger, default=0, server_default="0")
    """Cancellations by other channels, which are no business of ours."""
    elsewhere_units: Mapped[int] = mapped_column(BigInteger, default=0, server_default="0")
    blocks: Mapped[int] = mapped_column(BigInteger, default=0, server_default="0")
    """Blocks of units whose holdings were compared."""
    units: Mapped[int] = mapped_column(BigInteger, default=0, server_default="0")
    """Units in them, as the registry has it."""
    found: Mapped[int] = mapped_column(default=0, server_default="0")
    """Differences that were new."""


class DifferenceKind(StrEnum):
    """How our books and a registry's differ."""

    OURS_ONLY = "ours_only"
    """We have a cancellation that the registry's list has not."""
    THEIRS_ONLY = "theirs_only"
    """It has one under a key of ours, and we have not."""
    DIFFERING = "differing"
    """Both have it, with other units, numbers or another account."""
    TAKEN_TWICE = "taken_twice"
    """It has cancelled for somebody else what it had cancelled for us."""
    HOLDING = "holding"
    """A block held more or fewer units than we had been told."""
    REPORT = "report"
    """What the registry says of a block contradicts itself; nothing of it is offered."""


class Difference(Model):
    """One difference between our books and a registry's, from when it was seen until it ends."""

    __tablename__ = "difference"
    __table_args__ = (
        Index(
            "uq_difference_open",
            "registry_id",
            "kind",
            "name",
            unique=True,
            sqlite_where=text(OPEN),
            postgresql_where=text(OPEN),
        ),
        Index("ix_difference_name", "registry_id", "kind", "name", "id"),
        Index("ix_difference_night", "night_id"),
        Index(
            "ix_difference_waits",
            "found_at",
            sqlite_where=text(OPEN),
            postgresql_where=text(OPEN),
        ),
    )
    MOVES: ClassVar[Mapping[Any, Any]] = DIFFERENCE_MOVES

    id: Mapped[int] = mapped_column(BigId, primary_key=True)
    registry_id: Mapped[str] = mapped_column(String(40))
    kind: Mapped[DifferenceKind] = mapped_column(enum_column(DifferenceKind, "kind"))
    name: Mapped[str] = mapped_column(String(240))
    """Of what differs: a key, a transaction's number, an account and a block in it."""
    status: Mapped[DifferenceStatus] = mapped_column(
        enum_column(DifferenceStatus, "status"), default=DifferenceStatus.OPEN
    )
    night_id: Mapped[int | None] = mapped_column(ForeignKey("night.id"))
    """The night that found it; None if an ordinary reading did."""
    cancellation_id: Mapped[int | None] = mapped_column(ForeignKey("cancellation.id"))
    order_id: Mapped[int | None] = mapped_column(ForeignKey("order.id"))
    account_id: Mapped[int | None] = mapped_column(ForeignKey("registry_account.id"))
    block_id: Mapped[int | None] = mapped_column(ForeignKey("block.id"))
    ours: Mapped[dict[str, Any]]
    """What our books say; empty if nothing."""
    theirs: Mapped[dict[str, Any]]
    """What the registry says; empty if nothing."""
    found_at: Mapped[datetime]
    seen_at: Mapped[datetime]
    """When it was last seen to be there."""
    ended_at: Mapped[datetime | None]
    remark: Mapped[str] = mapped_column(default="", server_default="")
    """What a person found, or why it ended by itself."""

    night: Mapped[Night | None] = relationship()
    order: Mapped[Order | None] = relationship()
    cancellation: Mapped[Cancellation | None] = relationship()
    account: Mapped[RegistryAccount | None] = relationship()
    block: Mapped[Block | None] = relationship()


class Reading(Model):
    """A list of an account's blocks that broke off, kept so that it goes on where it was."""

    __tablename__ = "reading"

    account_id: Mapped[int] = mapped_column(
        ForeignKey("registry_account.id"), primary_key=True, autoincrement=False
    )
    began_at: Mapped[datetime]
    cursor: Mapped[str]
    registry_time: Mapped[datetime | None]
    """The registry's clock on its first page."""
    before: Mapped[dict[str, Any]]
    """Units cancelled through us when it began, by block."""
    found: Mapped[list[Any]]
    """What was listed so far."""


Index(
    "ix_cancellation_unlisted",
    Cancellation.registry_id,
    Cancellation.completed_at,
    sqlite_where=text(UNLISTED),
    postgresql_where=text(UNLISTED),
)
# Which other blocks have some of the same units.
Index("ix_block_place", Block.registry_id, Block.series, Block.last)

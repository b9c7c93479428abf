"""Activities, the blocks of units issued for them, and what is on offer."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date, datetime
from enum import StrEnum
from typing import TYPE_CHECKING, Any, ClassVar

from sqlalchemy import (
    BigInteger,
    CheckConstraint,
    ForeignKey,
    Index,
    String,
    UniqueConstraint,
    text,
)
from sqlalchemy.orm import Mapped, mapped_column, relationship

from cnn_offset.domain.money import Money
from cnn_offset.domain.status import OFFER_MOVES, OfferStatus
from cnn_offset.domain.units import SerialRange, UnitType
from cnn_offset.models.base import BigId, Model, WorkMixin, due_index, enum_column
from cnn_offset.models.parties import Provider

if TYPE_CHECKING:
    from cnn_offset.models.moving import FormerRef


class ActivityKind(StrEnum):
    """A single project activity, or a programme of activities."""

    PA = "pa"
    POA = "poa"


class Activity(Model):
    """A CDM project activity or programme, or its Article 6.4 successor; "project" in the UI."""

    __tablename__ = "activity"
    __table_args__ = (UniqueConstraint("registry_id", "ref"),)

    id: Mapped[int] = mapped_column(BigId, primary_key=True)
    slug: Mapped[str] = mapped_column(String(120), unique=True)
    registry_id: Mapped[str] = mapped_column(String(40))
    """The registry connection (a table ``REGISTRIES.<id>`` of the configuration)."""
    ref: Mapped[str] = mapped_column(String(40))
    """Its reference number there."""
    kind: Mapped[ActivityKind] = mapped_column(enum_column(ActivityKind, "kind"))
    title: Mapped[dict[str, Any]]
    description: Mapped[dict[str, Any]]
    labels: Mapped[dict[str, Any]]
    """Other labels it claims, as text in three languages; may be empty."""
    picture: Mapped[str] = mapped_column(default="")
    """Path in the file store; empty for none."""
    picture_alt: Mapped[dict[str, Any]]
    host_party: Mapped[str] = mapped_column(String(2), index=True)
    region: Mapped[str] = mapped_column(default="")
    scope: Mapped[int]
    """Sectoral scope, 1 to 16 (domain-facts.md 1.3)."""
    technology: Mapped[str] = mapped_column(String(40))
    methodology: Mapped[str] = mapped_column(String(40))
    crediting_start: Mapped[date]
    crediting_end: Mapped[date]
    registry_url: Mapped[str] = mapped_column(default="")
    sd_report_url: Mapped[str] = mapped_column(default="")
    created_at: Mapped[datetime]
    changed_at: Mapped[datetime] = mapped_column(index=True)
    """When what the public sees of it last changed."""

    blocks: Mapped[list[Block]] = relationship(back_populates="activity")
    former_refs: Mapped[list[FormerRef]] = relationship(back_populates="activity")
    """Its reference numbers in registries that it has left."""

    def ref_in(self, registry_id: str) -> str:
        """Return its reference number in a registry, also in one that it has left."""
        if registry_id == self.registry_id:
            return self.ref
        known = (each.ref for each in self.former_refs if each.registry_id == registry_id)
        return next(known, self.ref)


def _as_held(context: Any) -> Any:
    return context.get_current_parameters()["held"]


class Block(Model):
    """A run of serial numbers of one issuance in one registry account, as the registry reports it."""

    __tablename__ = "block"
    __table_args__ = (
        UniqueConstraint("registry_id", "account_ref", "block_ref"),
        CheckConstraint("first >= 1 AND last >= first", name="range"),
        CheckConstraint("held >= 0 AND held <= last - first + 1", name="held"),
        # A provider's holdings in the order in which they are listed.
        Index(
            "ix_block_provider_order",
            "provider_id",
            "registry_id",
            "account_ref",
            "activity_id",
            "id",
        ),
        # Those of them that cannot be offered, in the same order.
        Index(
            "ix_block_stuck",
            "provider_id",
            "registry_id",
            "account_ref",
            "activity_id",
            "id",
            sqlite_where=text("eligible IS 0"),
            postgresql_where=text("eligible IS false"),
        ),
        CheckConstraint("monitoring_end >= monitoring_start", name="monitoring"),
    )

    id: Mapped[int] = mapped_column(BigId, primary_key=True)
    registry_id: Mapped[str] = mapped_column(String(40))
    account_ref: Mapped[str] = mapped_column(String(80))
    block_ref: Mapped[str] = mapped_column(String(80))
    activity_id: Mapped[int] = mapped_column(ForeignKey("activity.id"), index=True)
    provider_id: Mapped[int] = mapped_column(ForeignKey("provider.id"), index=True)
    unit_type: Mapped[UnitType] = mapped_column(enum_column(UnitType, "unit_type"))
    party: Mapped[str] = mapped_column(String(2))
    series: Mapped[str] = mapped_column(String(80))
    first: Mapped[int] = mapped_column(BigInteger)
    last: Mapped[int] = mapped_column(BigInteger)
    first_text: Mapped[str]
    last_text: Mapped[str]
    held: Mapped[int] = mapped_column(BigInteger)
    """Units surely still in the account: as last read, less what was cancelled since that
    reading began. Offers are made of these.
    """
    reported: Mapped[int] = mapped_column(BigInteger, default=_as_held, server_default="0")
    """Units in the account when last read; may include some that were cancelled meanwhile.
    Offers that promise more than these and what is in flight are shrunk.
    """
    monitoring_start: Mapped[date]
    monitoring_end: Mapped[date]
    vintage: Mapped[int]
    commitment_period: Mapped[int | None]
    expires_on: Mapped[date | None]
    """The last day on which units that do not last are valid; None for others, or untold."""
    eligible: Mapped[bool]
    """Whether it may be offered: the registry sees no obstacle and the provider is mapped."""
    obstacle: Mapped[str] = mapped_column(String(32), default="", server_default="")
    """Why not, as an ``Obstacle`` of domain/units.py; empty if eligible."""
    read_at: Mapped[datetime]

    activity: Mapped[Activity] = relationship(back_populates="blocks")
    provider: Mapped[Provider] = relationship()

    @property
    def issued(self) -> SerialRange:
        """The whole block; units of it may have left since."""
        return SerialRange(self.series, self.first, self.last, self.first_text, self.last_text)


class Offer(WorkMixin, Model):
    """(Part of) a block at a price. ``quantity - held - cancelled`` units are available.

    A block has one open offer that everybody sees; private ones, each for one customer,
    may stand beside it. All of them together never promise more than the block holds:
    whoever makes or enlarges one locks the block first.

    ``due_at`` is when an offer with an end date is to be closed.
    """

    __tablename__ = "offer"
    __table_args__ = (
        CheckConstraint("quantity >= 1", name="quantity"),
        CheckConstraint("held >= 0 AND cancelled >= 0", name="not_negative"),
        CheckConstraint("held + cancelled <= quantity", name="not_oversold"),
        CheckConstraint("price_minor > 0", name="price"),
        CheckConstraint("min_quantity >= 1", name="min_quantity"),
        Index(
            "uq_offer_open_block",
            "block_id",
            unique=True,
            sqlite_where=text("status = 'open' AND private_token IS NULL"),
            postgresql_where=text("status = 'open' AND private_token IS NULL"),
        ),
        # Every order takes and gives back units here: no index on what that changes.
        Index("ix_offer_block", "block_id"),
        Index("ix_offer_provider_status", "provider_id", "status", "id"),
        Index("uq_offer_private_token", "private_token", unique=True),
        due_index("offer"),
    )
    MOVES: ClassVar[Mapping[Any, Any]] = OFFER_MOVES

    id: Mapped[int] = mapped_column(BigId, primary_key=True)
    block_id: Mapped[int] = mapped_column(ForeignKey("block.id"))
    provider_id: Mapped[int] = mapped_column(ForeignKey("provider.id"), index=True)
    status: Mapped[OfferStatus] = mapped_column(
        enum_column(OfferStatus, "status"), default=OfferStatus.OPEN
    )
    price_minor: Mapped[int] = mapped_column(BigInteger)
    currency: Mapped[str] = mapped_column(String(3))
    quantity: Mapped[int] = mapped_column(BigInteger)
    held: Mapped[int] = mapped_column(BigInteger, default=0)
    cancelled: Mapped[int] = mapped_column(BigInteger, default=0)
    min_quantity: Mapped[int] = mapped_column(default=1)
    ends_at: Mapped[datetime | None]
    """From then on it takes no new orders; None for no end."""
    private_token: Mapped[str | None] = mapped_column(String(64))
    """In the link that leads to a private offer; None for one that everybody sees."""
    customer: Mapped[str] = mapped_column(default="", server_default="")
    """Whom a private offer is for, in the provider's words; shown to the provider only."""
    version: Mapped[int] = mapped_column(default=1, server_default="1")
    """Grows with each change of its terms; a form that was drawn from an older one is refused."""
    created_at: Mapped[datetime]
    changed_at: Mapped[datetime] = mapped_column(index=True)
    """When price, quantity or status last changed; not when units were taken."""

    block: Mapped[Block] = relationship()
    provider: Mapped[Provider] = relationship()

    @property
    def price(self) -> Money:
        """The price of one unit."""
        return Money(self.price_minor, self.currency)

    @property
    def available(self) -> int:
        """Units nobody holds, as of when the row was read."""
        return self.quantity - self.held - self.cancelled


class OfferTerms(Model):
    """The terms of an offer from one moment on; rows are only ever added."""

    __tablename__ = "offer_terms"
    __table_args__ = (UniqueConstraint("offer_id", "version"),)

    id: Mapped[int] = mapped_column(BigId, primary_key=True)
    offer_id: Mapped[int] = mapped_column(ForeignKey("offer.id"))
    version: Mapped[int]
    status: Mapped[OfferStatus] = mapped_column(enum_column(OfferStatus, "status"))
    price_minor: Mapped[int] = mapped_column(BigInteger)
    currency: Mapped[str] = mapped_column(String(3))
    quantity: Mapped[int] = mapped_column(BigInteger)
    min_quantity: Mapped[int]
    ends_at: Mapped[datetime | None]
    actor: Mapped[str] = mapped_column(String(120))
    why: Mapped[str]
    """A message id, such as for a shrunk holding; empty for a wish of the provider's staff."""
    at: Mapped[datetime]

    @property
    def price(self) -> Money:
        """The price of one unit."""
        return Money(self.price_minor, self.currency)

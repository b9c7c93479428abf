"""What providers write and show of their projects, version by version."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any, ClassVar

from sqlalchemy import ForeignKey, Index, String, UniqueConstraint, text
from sqlalchemy.orm import Mapped, mapped_column, relationship

from cnn_offset.domain.status import LISTING_MOVES, ListingStatus
from cnn_offset.models.base import BigId, Model, enum_column
from cnn_offset.models.catalogue import Activity
from cnn_offset.models.parties import Provider


class Listing(Model):
    """One version of an activity's texts and pictures, by one provider.

    On approval texts and first picture are copied to the activity, which is what the
    public sees; until then nothing of it shows. A provider has at most one version of an
    activity that is a draft or waits for review.
    """

    __tablename__ = "listing"
    __table_args__ = (
        UniqueConstraint("activity_id", "provider_id", "number"),
        Index(
            "uq_listing_open",
            "activity_id",
            "provider_id",
            unique=True,
            sqlite_where=text("status IN ('draft', 'submitted', 'refused')"),
            postgresql_where=text("status IN ('draft', 'submitted', 'refused')"),
        ),
        Index(
            "uq_listing_approved",
            "activity_id",
            unique=True,
            sqlite_where=text("status = 'approved'"),
            postgresql_where=text("status = 'approved'"),
        ),
        Index("ix_listing_status", "status", "submitted_at"),
    )
    MOVES: ClassVar[Mapping[Any, Any]] = LISTING_MOVES

    id: Mapped[int] = mapped_column(BigId, primary_key=True)
    activity_id: Mapped[int] = mapped_column(ForeignKey("activity.id"))
    provider_id: Mapped[int] = mapped_column(ForeignKey("provider.id"), index=True)
    number: Mapped[int]
    """1 for a provider's first version of this activity."""
    version: Mapped[int] = mapped_column(default=1)
    """Grows with each save; a form that was drawn from an older one is refused."""
    status: Mapped[ListingStatus] = mapped_column(
        enum_column(ListingStatus, "status"), default=ListingStatus.DRAFT
    )
    title: Mapped[dict[str, Any]]
    description: Mapped[dict[str, Any]]
    labels: Mapped[dict[str, Any]]
    sd_report_url: Mapped[str] = mapped_column(default="")
    created_at: Mapped[datetime]
    submitted_at: Mapped[datetime | None]
    decided_at: Mapped[datetime | None]
    decided_by: Mapped[str] = mapped_column(String(120), default="")
    reason: Mapped[str] = mapped_column(default="")
    """The operator's words to the provider, where it was refused."""

    activity: Mapped[Activity] = relationship()
    provider: Mapped[Provider] = relationship()
    pictures: Mapped[list[Picture]] = relationship(
        back_populates="listing", order_by="Picture.position", cascade="all, delete-orphan"
    )


class Picture(Model):
    """A picture of a listing, re-encoded by us in several widths."""

    __tablename__ = "picture"
    __table_args__ = (
        Index("ix_picture_listing", "listing_id"),
        # Each file that is asked for is looked up: may everybody see it?
        Index("ix_picture_path", "path"),
    )

    id: Mapped[int] = mapped_column(BigId, primary_key=True)
    listing_id: Mapped[int] = mapped_column(ForeignKey("listing.id"))
    position: Mapped[int]
    path: Mapped[str]
    """In the file store: of the widest size, such as ``pictures/9f…-1600.webp``."""
    widths: Mapped[list[Any]]
    """The widths there are, in pixels, widest last; ``path`` with its width replaced."""
    alt: Mapped[dict[str, Any]]

    listing: Mapped[Listing] = relationship(back_populates="pictures")

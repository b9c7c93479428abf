"""What operators write: versions of pages, and sentences of mails and attestations."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any, ClassVar

from sqlalchemy import CheckConstraint, Index, String, text
from sqlalchemy.orm import Mapped, mapped_column

from cnn_offset.domain.status import PAGE_MOVES, PageStatus
from cnn_offset.models.base import BigId, Model, enum_column


class PageVersion(Model):
    """A page in three languages, as somebody wrote it. Once published it is never changed."""

    __tablename__ = "page_version"
    __table_args__ = (
        Index("uq_page_version_number", "page", "number", unique=True),
        # One that people read, and one that is worked on.
        Index(
            "uq_page_version_published",
            "page",
            unique=True,
            sqlite_where=text("status = 'published'"),
            postgresql_where=text("status = 'published'"),
        ),
        Index(
            "uq_page_version_draft",
            "page",
            unique=True,
            sqlite_where=text("status = 'draft'"),
            postgresql_where=text("status = 'draft'"),
        ),
        Index(
            "uq_page_version_name",
            "page",
            "name",
            unique=True,
            sqlite_where=text("name != ''"),
            postgresql_where=text("name != ''"),
        ),
    )
    MOVES: ClassVar[Mapping[Any, Any]] = PAGE_MOVES

    id: Mapped[int] = mapped_column(BigId, primary_key=True)
    page: Mapped[str] = mapped_column(String(40))
    number: Mapped[int]
    """Counts the versions of a page; the one shipped with the platform has none."""
    name: Mapped[str] = mapped_column(String(20), default="", server_default="")
    """Of published terms: the day, by which orders and applications remember them."""
    status: Mapped[PageStatus] = mapped_column(
        enum_column(PageStatus, "status"), default=PageStatus.DRAFT
    )
    edition: Mapped[int] = mapped_column(default=1, server_default="1")
    """Counts how often the draft was saved: who saves an older one is told."""
    texts: Mapped[dict[str, Any]]
    """Markdown by language."""
    created_by: Mapped[str] = mapped_column(String(254))
    created_at: Mapped[datetime]
    changed_by: Mapped[str] = mapped_column(String(254))
    changed_at: Mapped[datetime]
    published_by: Mapped[str] = mapped_column(String(254), default="", server_default="")
    published_at: Mapped[datetime | None]
    reason: Mapped[str] = mapped_column(default="", server_default="")
    """Why it was published."""


class Saying(Model):
    """A sentence of a mail, an attestation or the front page in other words. Only ever added.

    The newest one of a sentence holds; an empty text is a return to the shipped words. The
    older ones say how an attestation that was issued then is worded.
    """

    __tablename__ = "saying"
    __table_args__ = (
        Index("uq_saying_number", "place", "key", "lang", "number", unique=True),
        CheckConstraint("number > 0", name="number"),
        CheckConstraint("lang IN ('en', 'fr', 'es')", name="lang"),
    )

    id: Mapped[int] = mapped_column(BigId, primary_key=True)
    place: Mapped[str] = mapped_column(String(16))
    """Where it holds: ``mail``, ``attestation`` or ``home``."""
    key: Mapped[str] = mapped_column(String(64))
    """The SHA-256 of the message id."""
    msgid: Mapped[str]
    lang: Mapped[str] = mapped_column(String(2))
    number: Mapped[int]
    text: Mapped[str]
    plural: Mapped[str] = mapped_column(default="", server_default="")
    """For other numbers than one, if the sentence counts something."""
    reason: Mapped[str]
    author: Mapped[str] = mapped_column(String(254))
    at: Mapped[datetime]

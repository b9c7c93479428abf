"""Attestations, mails to be sent, and the history of everything."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from enum import StrEnum
from typing import Any, ClassVar

from sqlalchemy import CheckConstraint, ForeignKey, Index, String, UniqueConstraint, text
from sqlalchemy.orm import Mapped, mapped_column, relationship

from cnn_offset.domain.reference import attestation_number
from cnn_offset.domain.status import (
    ATTESTATION_MOVES,
    MESSAGE_MOVES,
    AttestationStatus,
    MessageStatus,
)
from cnn_offset.models.base import BigId, Model, WorkMixin, due_index, enum_column
from cnn_offset.models.ordering import Order


class Attestation(WorkMixin, Model):
    """The certificate of an order's cancellations, numbered without gaps.

    The number is given in the transaction that fulfils the order; the PDF is made, signed
    and stored once after that. ``data`` is what the PDF was made of. A corrected one has a
    number of its own and supersedes the one before it, which stays; what an order has are
    links of one chain, and its attestation is the newest that is issued.
    """

    __tablename__ = "attestation"
    __table_args__ = (
        UniqueConstraint("sequence"),
        CheckConstraint("status = 'queued' OR length(sha256) = 64", name="issued_has_hash"),
        CheckConstraint("supersedes_id != id", name="supersedes_another"),
        Index("ix_attestation_registered_on", "fulfilled_at", "id"),
        Index("ix_attestation_order", "order_id", "id"),
        # One chain for an order, and it does not branch.
        Index(
            "uq_attestation_first",
            "order_id",
            unique=True,
            sqlite_where=text("supersedes_id IS NULL"),
            postgresql_where=text("supersedes_id IS NULL"),
        ),
        # Partial: nearly all rows have none, and an index full of nothing is not used.
        Index(
            "uq_attestation_supersedes_id",
            "supersedes_id",
            unique=True,
            sqlite_where=text("supersedes_id IS NOT NULL"),
            postgresql_where=text("supersedes_id IS NOT NULL"),
        ),
        due_index("attestation"),
    )
    MOVES: ClassVar[Mapping[Any, Any]] = ATTESTATION_MOVES

    id: Mapped[int] = mapped_column(BigId, primary_key=True)
    order_id: Mapped[int] = mapped_column(ForeignKey("order.id"))
    supersedes_id: Mapped[int | None] = mapped_column(ForeignKey("attestation.id"))
    """The one that this one replaces: same units, same serial numbers."""
    correction: Mapped[str] = mapped_column(default="", server_default="")
    """Why it replaces another; anybody may read it in the record."""
    sequence: Mapped[int]
    year: Mapped[int]
    check_code: Mapped[str] = mapped_column(String(32), unique=True)
    """Unguessable; in the QR code and the printed check address."""
    status: Mapped[AttestationStatus] = mapped_column(
        enum_column(AttestationStatus, "status"), default=AttestationStatus.QUEUED
    )
    locale: Mapped[str] = mapped_column(String(2))
    data: Mapped[dict[str, Any]]
    path: Mapped[str] = mapped_column(default="")
    """In the file store."""
    sha256: Mapped[str] = mapped_column(String(64), default="", index=True)
    fulfilled_at: Mapped[datetime]
    issued_at: Mapped[datetime | None]

    order: Mapped[Order] = relationship()
    supersedes: Mapped[Attestation | None] = relationship(
        remote_side="Attestation.id", back_populates="superseded_by"
    )
    superseded_by: Mapped[Attestation | None] = relationship(
        back_populates="supersedes", uselist=False
    )
    """Also one that is still being made; see :attr:`is_current`."""

    @property
    def is_current(self) -> bool:
        """Whether it is issued and no issued one has taken its place."""
        after = self.superseded_by
        return self.status is AttestationStatus.ISSUED and (
            after is None or after.status is not AttestationStatus.ISSUED
        )

    @property
    def number(self) -> str:
        """The number as printed: ``VC000123/2026``."""
        return attestation_number(self.sequence, self.year)


class PaperKind(StrEnum):
    """Papers that a purchaser gets in the provider's name."""

    PRO_FORMA = "pro_forma"
    RECEIPT = "receipt"


class Paper(Model):
    """A pro-forma invoice or a receipt, numbered without gaps for each provider and kind.

    ``data`` is all that stands on it, frozen; the PDF is drawn from that whenever asked for.
    """

    __tablename__ = "paper"
    __table_args__ = (
        UniqueConstraint("provider_id", "kind", "sequence"),
        UniqueConstraint("order_id", "kind"),
        Index(
            "ix_paper_kept",
            "issued_at",
            "id",
            sqlite_where=text("erased_at IS NULL"),
            postgresql_where=text("erased_at IS NULL"),
        ),
    )

    id: Mapped[int] = mapped_column(BigId, primary_key=True)
    provider_id: Mapped[int] = mapped_column(ForeignKey("provider.id"))
    order_id: Mapped[int] = mapped_column(ForeignKey("order.id"))
    kind: Mapped[PaperKind] = mapped_column(enum_column(PaperKind, "kind"))
    sequence: Mapped[int]
    data: Mapped[dict[str, Any]]
    issued_at: Mapped[datetime]
    erased_at: Mapped[datetime | None]
    """When the purchaser's particulars were taken out of ``data``."""

    order: Mapped[Order] = relationship()


class RecordTerm(Model):
    """One thing an entry of the public record can be found by.

    A word of a published text, a reference, or a filter such as ``host:KE``; only whole
    terms are looked up, so that finding costs the same however long the record is.
    """

    __tablename__ = "record_term"

    term: Mapped[str] = mapped_column(String(80), primary_key=True)
    attestation_id: Mapped[int] = mapped_column(
        ForeignKey("attestation.id"), primary_key=True, autoincrement=False
    )


class Counter(Model):
    """The last number given of a series without gaps; the row is locked while giving."""

    __tablename__ = "counter"

    name: Mapped[str] = mapped_column(String(40), primary_key=True)
    value: Mapped[int]


class Message(WorkMixin, Model):
    """A mail in the outbox, sent at least once with one Message-ID.

    What it says is rendered from ``kind`` and ``params`` when it is sent.
    """

    __tablename__ = "message"
    __table_args__ = (
        UniqueConstraint("dedup"),
        Index("ix_message_order", "order_id"),
        Index("ix_message_recipient", "recipient", "id"),
        Index(
            "ix_message_kept",
            "created_at",
            "id",
            sqlite_where=text("recipient != ''"),
            postgresql_where=text("recipient != ''"),
        ),
        due_index("message"),
    )
    MOVES: ClassVar[Mapping[Any, Any]] = MESSAGE_MOVES

    id: Mapped[int] = mapped_column(BigId, primary_key=True)
    order_id: Mapped[int | None] = mapped_column(ForeignKey("order.id"))
    kind: Mapped[str] = mapped_column(String(40))
    dedup: Mapped[str] = mapped_column(String(120))
    """One mail of this name is ever queued, such as ``attestation:17``."""
    recipient: Mapped[str] = mapped_column(String(254))
    locale: Mapped[str] = mapped_column(String(2))
    params: Mapped[dict[str, Any]]
    message_id: Mapped[str] = mapped_column(String(200), unique=True)
    status: Mapped[MessageStatus] = mapped_column(
        enum_column(MessageStatus, "status"), default=MessageStatus.QUEUED
    )
    created_at: Mapped[datetime]
    sent_at: Mapped[datetime | None]
    failure: Mapped[str] = mapped_column(default="", server_default="")
    """Why it has failed, in the words of a mail server."""


class Event(Model):
    """One change of status or other thing worth keeping; rows are only ever added."""

    __tablename__ = "event"
    __table_args__ = (
        Index("ix_event_subject", "subject", "subject_id"),
        Index("ix_event_order", "order_id"),
        # The audit trail, newest first, by whatever it is searched by (services/auditing.py).
        Index("ix_event_at", "at", "id"),
        Index("ix_event_actor", "actor", "at", "id"),
        Index("ix_event_new", "new", "at", "id"),
        Index("ix_event_table", "subject", "at", "id"),
    )

    id: Mapped[int] = mapped_column(BigId, primary_key=True)
    subject: Mapped[str] = mapped_column(String(40))
    """The table."""
    subject_id: Mapped[int]
    order_id: Mapped[int | None] = mapped_column(ForeignKey("order.id"))
    old: Mapped[str] = mapped_column(String(32))
    new: Mapped[str] = mapped_column(String(32))
    actor: Mapped[str] = mapped_column(String(120))
    why: Mapped[str]
    at: Mapped[datetime]

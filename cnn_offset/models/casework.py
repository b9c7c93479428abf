"""Cases: complaints and requests for support, with everything that was said in them."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any, ClassVar

from sqlalchemy import ForeignKey, Index, String, UniqueConstraint, text
from sqlalchemy.orm import Mapped, mapped_column, relationship

from cnn_offset.domain.casework import CaseKind, CaseSide, Voice
from cnn_offset.domain.status import CASE_MOVES, DELIVERY_MOVES, CaseStatus, DeliveryStatus
from cnn_offset.models.base import BigId, Model, WorkMixin, due_index, enum_column
from cnn_offset.models.ordering import Order
from cnn_offset.models.parties import Provider


class Case(Model):
    """One matter that somebody has written about.

    ``answer_by`` says until when we owe somebody an answer; None while we owe none.
    """

    __tablename__ = "support_case"
    __table_args__ = (
        Index(
            "ix_support_case_answer_by",
            "answer_by",
            "id",
            sqlite_where=text("answer_by IS NOT NULL"),
            postgresql_where=text("answer_by IS NOT NULL"),
        ),
        Index(
            "ix_support_case_kind_answer_by",
            "kind",
            "answer_by",
            "id",
            sqlite_where=text("answer_by IS NOT NULL"),
            postgresql_where=text("answer_by IS NOT NULL"),
        ),
        # Lists, newest first, whatever they are narrowed by.
        Index("ix_support_case_status", "status", "id"),
        Index("ix_support_case_kind", "kind", "id"),
        Index("ix_support_case_kind_status", "kind", "status", "id"),
        Index("ix_support_case_order", "order_id"),
        Index("ix_support_case_email", "email", "id"),
    )
    MOVES: ClassVar[Mapping[Any, Any]] = CASE_MOVES

    id: Mapped[int] = mapped_column(BigId, primary_key=True)
    code: Mapped[str] = mapped_column(String(9), unique=True)
    """Quoted in mails: ``ABCD-EFGH``. Not a secret."""
    kind: Mapped[CaseKind] = mapped_column(enum_column(CaseKind, "kind"))
    status: Mapped[CaseStatus] = mapped_column(
        enum_column(CaseStatus, "status"), default=CaseStatus.OPEN
    )
    side: Mapped[CaseSide] = mapped_column(enum_column(CaseSide, "side"))
    name: Mapped[str] = mapped_column(String(200), default="")
    email: Mapped[str] = mapped_column(String(254))
    locale: Mapped[str] = mapped_column(String(2))
    summary: Mapped[str] = mapped_column(String(120))
    """How the first words begin; for lists."""
    order_id: Mapped[int | None] = mapped_column(ForeignKey("order.id"))
    """Only if the asker is known to belong to it, or an operator has said so."""
    order_typed: Mapped[str] = mapped_column(String(40), default="")
    """The number that the asker gave, where it did not go with the address."""
    provider_id: Mapped[int | None] = mapped_column(ForeignKey("provider.id"))
    """Whose staff asks."""
    opened_at: Mapped[datetime]
    answer_by: Mapped[datetime | None]
    escalated_at: Mapped[datetime | None]
    solve_by: Mapped[datetime | None]
    """Of a claim: until when we propose a solution."""
    closed_at: Mapped[datetime | None]

    order: Mapped[Order | None] = relationship()
    provider: Mapped[Provider | None] = relationship()


class CaseMessage(Model):
    """One thing said in a case; rows are only ever added."""

    __tablename__ = "case_message"
    __table_args__ = (
        Index("ix_case_message_case", "case_id", "id"),
        UniqueConstraint("mail_id"),
    )

    id: Mapped[int] = mapped_column(BigId, primary_key=True)
    case_id: Mapped[int] = mapped_column(ForeignKey("support_case.id"))
    voice: Mapped[Voice] = mapped_column(enum_column(Voice, "voice"))
    sender: Mapped[str] = mapped_column(String(254))
    """An e-mail address, as it was given; of the platform empty."""
    text: Mapped[str]
    at: Mapped[datetime]
    is_automatic: Mapped[bool] = mapped_column(default=False)
    """No person wrote it: an absence notice, say. It is never answered."""
    to_other_side: Mapped[bool] = mapped_column(default=False)
    """Of an operator in a claim: written to the other side, too or only."""
    left_out: Mapped[list[Any]] = mapped_column(default=list)
    """Files that were not kept, as [name, reason]."""
    due_by: Mapped[datetime | None]
    """Of an answer: until when it was due."""
    mail_id: Mapped[int | None] = mapped_column(ForeignKey("incoming_mail.id"))
    """The mail it came by."""

    case: Mapped[Case] = relationship()
    mail: Mapped[IncomingMail | None] = relationship()
    files: Mapped[list[CaseFile]] = relationship(
        back_populates="message", order_by="CaseFile.id", lazy="raise"
    )


class CaseFile(Model):
    """A file that came with a mail; handed out as a download only."""

    __tablename__ = "case_file"
    __table_args__ = (Index("ix_case_file_message", "message_id"),)

    id: Mapped[int] = mapped_column(BigId, primary_key=True)
    message_id: Mapped[int] = mapped_column(ForeignKey("case_message.id"))
    path: Mapped[str]
    """In the file store, under a name of ours."""
    filename: Mapped[str] = mapped_column(String(200))
    content_type: Mapped[str] = mapped_column(String(40))
    size: Mapped[int]
    sha256: Mapped[str] = mapped_column(String(64))

    message: Mapped[CaseMessage] = relationship(back_populates="files")


class IncomingMail(WorkMixin, Model):
    """A mail to one of our reply addresses, or a report on one of ours: kept, then read.

    Its bytes lie in the file store until it has been read; the row stays, so that the same
    mail does nothing twice.
    """

    __tablename__ = "incoming_mail"
    __table_args__ = (
        Index("ix_incoming_mail_status", "status", "id"),
        due_index("incoming_mail"),
    )
    MOVES: ClassVar[Mapping[Any, Any]] = DELIVERY_MOVES

    id: Mapped[int] = mapped_column(BigId, primary_key=True)
    key: Mapped[str] = mapped_column(String(64), unique=True)
    """The SHA-256 of its Message-ID, or of all of it if it has none."""
    message_id: Mapped[str] = mapped_column(String(250), default="")
    path: Mapped[str]
    size: Mapped[int]
    status: Mapped[DeliveryStatus] = mapped_column(
        enum_column(DeliveryStatus, "status"), default=DeliveryStatus.STORED
    )
    received_at: Mapped[datetime]

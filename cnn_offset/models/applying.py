"""Applications to become a provider."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from enum import StrEnum
from typing import Any, ClassVar

from sqlalchemy import ForeignKey, Index, String, text
from sqlalchemy.orm import Mapped, mapped_column, relationship

from cnn_offset.domain.status import APPLICATION_MOVES, ApplicationStatus
from cnn_offset.models.base import BigId, Model, enum_column
from cnn_offset.models.parties import Provider, User


class ApplicantRole(StrEnum):
    """By what right somebody offers units (the platform's FAQ for providers)."""

    FOCAL_POINT = "focal_point"
    """Focal point for scope (a) of the modalities of communication."""
    HOLDER = "holder"
    """Representative of a permanent holding account."""


class Application(Model):
    """One organisation's wish to offer units here, with what it said and what was decided."""

    __tablename__ = "application"
    __table_args__ = (
        Index(
            "uq_application_open_user",
            "user_id",
            unique=True,
            sqlite_where=text("status IN ('submitted', 'questioned')"),
            postgresql_where=text("status IN ('submitted', 'questioned')"),
        ),
        Index("ix_application_status", "status", "submitted_at"),
    )
    MOVES: ClassVar[Mapping[Any, Any]] = APPLICATION_MOVES

    id: Mapped[int] = mapped_column(BigId, primary_key=True)
    user_id: Mapped[int] = mapped_column(ForeignKey("user.id"))
    status: Mapped[ApplicationStatus] = mapped_column(
        enum_column(ApplicationStatus, "status"), default=ApplicationStatus.SUBMITTED
    )
    organisation: Mapped[str] = mapped_column(String(200))
    country: Mapped[str] = mapped_column(String(2))
    address: Mapped[str]
    website: Mapped[str] = mapped_column(default="")
    role: Mapped[ApplicantRole] = mapped_column(enum_column(ApplicantRole, "role"))
    registry_id: Mapped[str] = mapped_column(String(40))
    """The registry connection the account is in."""
    account_ref: Mapped[str] = mapped_column(String(80))
    """The permanent holding account; for a focal point the Board's pending one."""
    activities: Mapped[list[Any]]
    """Reference numbers at that registry, as typed and cleaned."""
    locale: Mapped[str] = mapped_column(String(2))
    terms_version: Mapped[str] = mapped_column(String(20))
    submitted_at: Mapped[datetime]
    decided_at: Mapped[datetime | None]
    decided_by: Mapped[str] = mapped_column(String(120), default="")
    provider_id: Mapped[int | None] = mapped_column(ForeignKey("provider.id"))
    """What came of it."""

    user: Mapped[User] = relationship()
    provider: Mapped[Provider | None] = relationship()
    notes: Mapped[list[ApplicationNote]] = relationship(
        back_populates="application", order_by="ApplicationNote.id"
    )
    proofs: Mapped[list[Proof]] = relationship(back_populates="application", order_by="Proof.id")


class ApplicationNote(Model):
    """A question, an answer or a reason, kept with the application."""

    __tablename__ = "application_note"
    __table_args__ = (Index("ix_application_note_application", "application_id"),)

    id: Mapped[int] = mapped_column(BigId, primary_key=True)
    application_id: Mapped[int] = mapped_column(ForeignKey("application.id"))
    by_operator: Mapped[bool]
    actor: Mapped[str] = mapped_column(String(254))
    text: Mapped[str]
    at: Mapped[datetime]

    application: Mapped[Application] = relationship(back_populates="notes")


class Proof(Model):
    """A document that shows an applicant's right; only its own people and operators see it."""

    __tablename__ = "proof"
    __table_args__ = (Index("ix_proof_application", "application_id"),)

    id: Mapped[int] = mapped_column(BigId, primary_key=True)
    application_id: Mapped[int] = mapped_column(ForeignKey("application.id"))
    path: Mapped[str]
    """In the file store, under a name of ours."""
    filename: Mapped[str] = mapped_column(String(200))
    """As the applicant called it, cleaned; for the download."""
    content_type: Mapped[str] = mapped_column(String(40))
    size: Mapped[int]
    sha256: Mapped[str] = mapped_column(String(64))
    uploaded_at: Mapped[datetime]

    application: Mapped[Application] = relationship(back_populates="proofs")

"""Who offers units and how they are paid; who signs in."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any, ClassVar

from flask_security import RoleMixin, UserMixin, WebAuthnMixin
from sqlalchemy import (
    BigInteger,
    CheckConstraint,
    Column,
    ForeignKey,
    Index,
    LargeBinary,
    String,
    Table,
    UniqueConstraint,
    text,
)
from sqlalchemy.orm import Mapped, mapped_column, relationship

from cnn_offset.domain.staff import (
    DESK_DUTIES,
    DUTIES,
    DeskDuty,
    Duty,
    OperatorRole,
    StaffRole,
)
from cnn_offset.domain.status import PAYOUT_MOVES, PayoutStatus
from cnn_offset.models.base import BigId, Model, WorkMixin, due_index, enum_column


class Provider(WorkMixin, Model):
    """An organisation that offers units and is paid for their cancellation.

    ``due_at``: when its next monthly report is to be mailed; None if it wants none.
    """

    __tablename__ = "provider"
    __table_args__ = (due_index("provider"),)

    id: Mapped[int] = mapped_column(BigId, primary_key=True)
    slug: Mapped[str] = mapped_column(String(80), unique=True)
    name: Mapped[str] = mapped_column(String(200))
    country: Mapped[str] = mapped_column(String(2))
    email: Mapped[str] = mapped_column(String(254))
    locale: Mapped[str] = mapped_column(String(2), default="en")
    """The language of mails to it."""
    website: Mapped[str] = mapped_column(default="")
    address: Mapped[str] = mapped_column(default="", server_default="")
    """Lines of the postal address, for receipts."""
    tax_id: Mapped[str] = mapped_column(String(40), default="", server_default="")
    """As it stands on receipts; empty if it has none."""
    created_at: Mapped[datetime]
    suspended_at: Mapped[datetime | None]
    """Since when operators keep its offers from new orders; None if they do not."""
    suspended_why: Mapped[str] = mapped_column(default="", server_default="")
    """What it was told."""
    fees_unaccepted: Mapped[bool] = mapped_column(default=False, server_default="0")
    """Whether a schedule of fees holds that it has not accepted: it takes no new orders."""

    payout_methods: Mapped[list[PayoutMethod]] = relationship(
        back_populates="provider", order_by="PayoutMethod.id"
    )

    @property
    def takes_orders(self) -> bool:
        """Whether it takes new orders at all."""
        return self.suspended_at is None and not self.fees_unaccepted

    @property
    def ways_to_pay(self) -> dict[str, PayoutMethod]:
        """How new orders of it can be paid, by method; empty while it takes none."""
        if not self.takes_orders:
            return {}
        return {
            each.method_id: each
            for each in self.payout_methods
            if each.status is PayoutStatus.READY
        }


class PayoutMethod(WorkMixin, Model):
    """One way a provider is paid, offered at checkout while it is ``ready``.

    Payments keep a copy of ``account``. ``due_at``: when the account is tested again, or
    when ``next_account`` takes its place.
    """

    __tablename__ = "payout_method"
    __table_args__ = (
        UniqueConstraint("provider_id", "method_id"),
        Index("ix_payout_method_onboarding", "method_id", "onboarding_ref"),
        # One account at a processor belongs to one provider: an onboarding link of
        # another's cannot be finished for it.
        Index(
            "uq_payout_method_payee",
            "method_id",
            "payee_account",
            unique=True,
            sqlite_where=text("payee_account != ''"),
            postgresql_where=text("payee_account != ''"),
        ),
        CheckConstraint("minimum_minor >= 0", name="minimum"),
        due_index("payout_method"),
    )
    MOVES: ClassVar[Mapping[Any, Any]] = PAYOUT_MOVES

    id: Mapped[int] = mapped_column(BigId, primary_key=True)
    provider_id: Mapped[int] = mapped_column(ForeignKey("provider.id"))
    method_id: Mapped[str] = mapped_column(String(40))
    status: Mapped[PayoutStatus] = mapped_column(
        enum_column(PayoutStatus, "status"), default=PayoutStatus.STARTED
    )
    todo: Mapped[list[Any]] = mapped_column(default=list, server_default="[]")
    """What is to be done before it is ready, as English message ids."""
    account: Mapped[dict[str, Any]]
    currencies: Mapped[list[Any]]
    """ISO 4217 codes the account takes."""
    minimum_minor: Mapped[int] = mapped_column(default=0)
    """Smallest order total, in minor units of the order's currency; 0 for none."""
    onboarding_ref: Mapped[str] = mapped_column(String(127), default="", server_default="")
    """What binds a connection at the processor to this provider, such as a tracking id."""
    onboarding_key: Mapped[str] = mapped_column(String(40), default="", server_default="")
    """Our key for that connection; a new one for each, empty when there is none."""
    payee_account: Mapped[str] = mapped_column(String(255), default="", server_default="")
    """The account as the plug-in names it; it belongs to one provider."""
    next_account: Mapped[dict[str, Any] | None]
    """Changed bank details, which hold from ``next_from`` on."""
    next_from: Mapped[datetime | None]
    tested_at: Mapped[datetime | None]
    """When the account was last found ready, or not."""
    confirms_alone: Mapped[bool] = mapped_column(default=False, server_default="0")
    """Whether an exact match on a bank statement pays an order with nobody's help."""
    statement_mapping: Mapped[dict[str, Any] | None]
    """How the columns of the bank's CSV files were last read."""

    provider: Mapped[Provider] = relationship(back_populates="payout_methods")


user_role = Table(
    "user_role",
    Model.metadata,
    Column("user_id", ForeignKey("user.id"), primary_key=True),
    Column("role_id", ForeignKey("role.id"), primary_key=True),
)


class Role(Model, RoleMixin):
    """``operator`` or ``provider``; an account without a role is a purchaser's."""

    __tablename__ = "role"

    id: Mapped[int] = mapped_column(BigId, primary_key=True)
    name: Mapped[str] = mapped_column(String(40), unique=True)
    permissions: Mapped[list[Any] | None]


class User(Model, UserMixin):
    """Somebody who can sign in. Guests buy without one."""

    __tablename__ = "user"
    __table_args__ = (
        CheckConstraint("email = lower(email)", name="email_lower"),
        Index("uq_user_fs_webauthn_user_handle", "fs_webauthn_user_handle", unique=True),
    )

    id: Mapped[int] = mapped_column(BigId, primary_key=True)
    email: Mapped[str] = mapped_column(String(254), unique=True)
    password: Mapped[str | None]
    active: Mapped[bool] = mapped_column(default=True)
    fs_uniquifier: Mapped[str] = mapped_column(String(64), unique=True)
    confirmed_at: Mapped[datetime | None]
    # Flask-Security types these as never empty; a new row has none yet.
    create_datetime: Mapped[datetime | None]  # type: ignore[assignment]
    update_datetime: Mapped[datetime | None]  # type: ignore[assignment]
    locale: Mapped[str] = mapped_column(String(2), default="en")
    name: Mapped[str] = mapped_column(default="")
    provider_id: Mapped[int | None] = mapped_column(ForeignKey("provider.id"))
    """Whose staff this is, for the role ``provider``."""
    staff_role: Mapped[StaffRole | None] = mapped_column(enum_column(StaffRole, "staff_role"))
    """What it may do there."""
    operator_role: Mapped[OperatorRole | None] = mapped_column(
        enum_column(OperatorRole, "operator_role")
    )
    """What it may do at the desk, for the role ``operator``."""
    closed_at: Mapped[datetime | None]
    """When its owner gave it up; nothing of the person is kept here then."""

    # The second factor, by the names that Flask-Security uses.
    tf_primary_method: Mapped[str | None] = mapped_column(String(64))
    tf_totp_secret: Mapped[str | None] = mapped_column(String(255))
    """Encrypted under keys made of ``SECRET_KEY`` (second_factor.py)."""
    tf_last_counter: Mapped[int | None] = mapped_column(BigInteger)
    """Time step of the last code that was taken: each code counts once."""
    mf_recovery_codes: Mapped[list[Any] | None]
    fs_webauthn_user_handle: Mapped[str | None] = mapped_column(  # type: ignore[assignment]
        String(64)
    )

    roles: Mapped[list[Role]] = relationship(  # type: ignore[assignment]
        secondary=user_role, lazy="selectin"
    )
    provider: Mapped[Provider | None] = relationship()
    webauthn: Mapped[list[WebAuthn]] = relationship(  # type: ignore[assignment]
        back_populates="user", cascade="all, delete-orphan"
    )

    def may(self, duty: Duty | DeskDuty) -> bool:
        """Whether the role carries ``duty``, in a provider's workspace or at the desk."""
        if isinstance(duty, DeskDuty):
            return self.operator_role is not None and duty in DESK_DUTIES[self.operator_role]
        return self.staff_role is not None and duty in DUTIES[self.staff_role]


class WebAuthn(Model, WebAuthnMixin):
    """A passkey, by the names that Flask-Security uses."""

    __tablename__ = "webauthn"

    id: Mapped[int] = mapped_column(BigId, primary_key=True)
    user_id: Mapped[int] = mapped_column(ForeignKey("user.id", ondelete="CASCADE"), index=True)
    name: Mapped[str] = mapped_column(String(64))
    credential_id: Mapped[bytes] = mapped_column(LargeBinary(1024), unique=True)
    public_key: Mapped[bytes] = mapped_column(LargeBinary)
    sign_count: Mapped[int] = mapped_column(default=0)
    transports: Mapped[list[Any] | None]
    backup_state: Mapped[bool]
    device_type: Mapped[str] = mapped_column(String(64))
    extensions: Mapped[str | None]
    create_datetime: Mapped[datetime]
    lastuse_datetime: Mapped[datetime]
    usage: Mapped[str] = mapped_column(String(64))

    user: Mapped[User] = relationship(back_populates="webauthn")


class Invitation(Model):
    """Somebody asked to join a provider's staff, or the operators' desk; used once."""

    __tablename__ = "invitation"
    __table_args__ = (
        CheckConstraint(
            "(provider_id IS NOT NULL AND role IS NOT NULL AND operator_role IS NULL) OR "
            "(provider_id IS NULL AND role IS NULL AND operator_role IS NOT NULL)",
            name="either",
        ),
        Index("ix_invitation_provider", "provider_id"),
        Index("ix_invitation_email", "email"),
        Index("ix_invitation_expires", "expires_at"),
    )

    id: Mapped[int] = mapped_column(BigId, primary_key=True)
    provider_id: Mapped[int | None] = mapped_column(ForeignKey("provider.id"))
    """Whose staff; None for the desk."""
    email: Mapped[str] = mapped_column(String(254))
    role: Mapped[StaffRole | None] = mapped_column(enum_column(StaffRole, "role"))
    operator_role: Mapped[OperatorRole | None] = mapped_column(
        enum_column(OperatorRole, "operator_role")
    )
    token_hash: Mapped[str] = mapped_column(String(64), unique=True)
    """SHA-256 of what the mailed link carries."""
    invited_by: Mapped[str] = mapped_column(String(254))
    created_at: Mapped[datetime]
    expires_at: Mapped[datetime]
    accepted_at: Mapped[datetime | None]

    provider: Mapped[Provider | None] = relationship()

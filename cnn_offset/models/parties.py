"""Who offers units and how they are paid; who signs in."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from flask_security import RoleMixin, UserMixin
from sqlalchemy import CheckConstraint, Column, ForeignKey, String, Table, UniqueConstraint
from sqlalchemy.orm import Mapped, mapped_column, relationship

from cnn_offset.models.base import BigId, Model


class Provider(Model):
    """An organisation that offers units and is paid for their cancellation."""

    __tablename__ = "provider"

    id: Mapped[int] = mapped_column(BigId, primary_key=True)
    slug: Mapped[str] = mapped_column(String(80), unique=True)
    name: Mapped[str] = mapped_column(String(200))
    country: Mapped[str] = mapped_column(String(2))
    email: Mapped[str] = mapped_column(String(254))
    locale: Mapped[str] = mapped_column(String(2), default="en")
    """The language of mails to it."""
    website: Mapped[str] = mapped_column(default="")
    created_at: Mapped[datetime]

    payout_methods: Mapped[list[PayoutMethod]] = relationship(
        back_populates="provider", order_by="PayoutMethod.id"
    )


class PayoutMethod(Model):
    """One way a provider is paid. Orders keep a copy of ``account``."""

    __tablename__ = "payout_method"
    __table_args__ = (
        UniqueConstraint("provider_id", "method_id"),
        CheckConstraint("minimum_minor >= 0", name="minimum"),
    )

    id: Mapped[int] = mapped_column(BigId, primary_key=True)
    provider_id: Mapped[int] = mapped_column(ForeignKey("provider.id"))
    method_id: Mapped[str] = mapped_column(String(40))
    account: Mapped[dict[str, Any]]
    currencies: Mapped[list[Any]]
    """ISO 4217 codes the account takes."""
    minimum_minor: Mapped[int] = mapped_column(default=0)
    """Smallest order total, in minor units of the order's currency; 0 for none."""
    enabled: Mapped[bool] = mapped_column(default=True)

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
    __table_args__ = (CheckConstraint("email = lower(email)", name="email_lower"),)

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

    roles: Mapped[list[Role]] = relationship(  # type: ignore[assignment]
        secondary=user_role, lazy="selectin"
    )
    provider: Mapped[Provider | None] = relationship()

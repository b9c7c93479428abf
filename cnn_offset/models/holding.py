"""Providers' accounts in the registries, and what is mapped to them."""

from __future__ import annotations

from datetime import datetime
from enum import StrEnum

from sqlalchemy import BigInteger, ForeignKey, Index, String, UniqueConstraint
from sqlalchemy.orm import Mapped, mapped_column, relationship

from cnn_offset.domain.units import UnitType
from cnn_offset.models.base import BigId, Model, WorkMixin, due_index, enum_column
from cnn_offset.models.catalogue import Activity
from cnn_offset.models.parties import Provider


class AccountKind(StrEnum):
    """Which account of a registry units lie in (domain-facts.md 2).

    In the Board's *pending* account a provider speaks only for activities whose focal
    point (scope a) it is; a *permanent* holding account is its own. Units in a
    *temporary* one, or in an *Annex I* Party's own registry, cannot be offered.
    """

    PENDING = "pending"
    PERMANENT = "permanent"
    TEMPORARY = "temporary"
    ANNEX_I = "annex_i"


class RegistryAccount(WorkMixin, Model):
    """An account in a registry as one provider sees it. ``due_at``: when to read it again."""

    __tablename__ = "registry_account"
    __table_args__ = (
        UniqueConstraint("provider_id", "registry_id", "account_ref"),
        due_index("registry_account"),
    )

    id: Mapped[int] = mapped_column(BigId, primary_key=True)
    provider_id: Mapped[int] = mapped_column(ForeignKey("provider.id"))
    registry_id: Mapped[str] = mapped_column(String(40))
    account_ref: Mapped[str] = mapped_column(String(80))
    kind: Mapped[AccountKind] = mapped_column(enum_column(AccountKind, "kind"))
    read_at: Mapped[datetime | None]
    """When the registry last told what is in it."""
    whole_at: Mapped[datetime | None]
    """When it last told everything; None to ask for everything next. In between only what has
    changed is asked for.
    """
    changes_from: Mapped[datetime | None]
    """By the registry's clock: what changed before is known; None if it does not tell changes."""
    listed_blocks: Mapped[int] = mapped_column(BigInteger, default=0, server_default="0")
    """How many blocks were in it when it last told everything."""
    listed_units: Mapped[int] = mapped_column(BigInteger, default=0, server_default="0")
    created_at: Mapped[datetime]

    provider: Mapped[Provider] = relationship()
    mappings: Mapped[list[AccountActivity]] = relationship(
        back_populates="account", order_by="AccountActivity.id"
    )


class AccountActivity(Model):
    """The platform's word that a provider may offer units of an activity from an account."""

    __tablename__ = "account_activity"
    __table_args__ = (
        UniqueConstraint("account_id", "activity_id"),
        Index("ix_account_activity_activity", "activity_id"),
    )

    id: Mapped[int] = mapped_column(BigId, primary_key=True)
    account_id: Mapped[int] = mapped_column(ForeignKey("registry_account.id"))
    activity_id: Mapped[int] = mapped_column(ForeignKey("activity.id"))
    actor: Mapped[str] = mapped_column(String(120))
    at: Mapped[datetime]
    allows_partial: Mapped[bool] = mapped_column(default=False, server_default="0")
    """Whether units may be offered whose share of proceeds is paid in part (F6)."""

    account: Mapped[RegistryAccount] = relationship(back_populates="mappings")
    activity: Mapped[Activity] = relationship()


class UnmappedBlock(Model):
    """Units in a provider's account of an activity that is not mapped to it.

    Kept apart from ``Block``, so that nothing of it can ever be offered by mistake.
    """

    __tablename__ = "unmapped_block"
    __table_args__ = (UniqueConstraint("account_id", "block_ref"),)

    id: Mapped[int] = mapped_column(BigId, primary_key=True)
    account_id: Mapped[int] = mapped_column(ForeignKey("registry_account.id"))
    block_ref: Mapped[str] = mapped_column(String(80))
    activity_ref: Mapped[str] = mapped_column(String(40))
    unit_type: Mapped[UnitType] = mapped_column(enum_column(UnitType, "unit_type"))
    first_text: Mapped[str]
    last_text: Mapped[str]
    held: Mapped[int] = mapped_column(BigInteger)
    read_at: Mapped[datetime]

    account: Mapped[RegistryAccount] = relationship()

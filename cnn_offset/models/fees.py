"""What providers pay for the use of the site: schedules, consents, fees of orders, statements."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date, datetime
from typing import Any, ClassVar

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

from cnn_offset.domain.fee import HIGHEST, FeePart, Tier
from cnn_offset.domain.money import Money
from cnn_offset.domain.reference import statement_number
from cnn_offset.domain.status import FEE_STATEMENT_MOVES, FeeStatementStatus
from cnn_offset.domain.units import UnitType
from cnn_offset.models.base import BigId, Model, enum_column
from cnn_offset.models.ordering import Order
from cnn_offset.models.parties import Provider


class FeeSchedule(Model):
    """The tiers of all kinds of units from a day on, until another schedule's day. Never changed."""

    __tablename__ = "fee_schedule"

    id: Mapped[int] = mapped_column(BigId, primary_key=True)
    holds_from: Mapped[date] = mapped_column(unique=True)
    reason: Mapped[str]
    """For providers and the history: why there is a new one."""
    published_by: Mapped[str] = mapped_column(String(254))
    published_at: Mapped[datetime]

    tiers: Mapped[list[FeeTier]] = relationship(
        back_populates="schedule",
        order_by="FeeTier.id",
        lazy="selectin",
    )

    @property
    def table(self) -> dict[UnitType, list[Tier]]:
        """The tiers by kind of unit, lowest first."""
        found: dict[UnitType, list[Tier]] = {}
        for each in sorted(self.tiers, key=lambda tier: tier.after_units):
            found.setdefault(each.unit_type, []).append(Tier(each.after_units, each.basis_points))
        return {kind: found[kind] for kind in UnitType if kind in found}


class FeeTier(Model):
    """The rate of the units that come after so many of the year, up to the next tier."""

    __tablename__ = "fee_tier"
    __table_args__ = (
        UniqueConstraint("schedule_id", "unit_type", "after_units"),
        CheckConstraint("after_units >= 0", name="after_units"),
        CheckConstraint(f"basis_points BETWEEN 0 AND {HIGHEST}", name="basis_points"),
    )

    id: Mapped[int] = mapped_column(BigId, primary_key=True)
    schedule_id: Mapped[int] = mapped_column(ForeignKey("fee_schedule.id"))
    unit_type: Mapped[UnitType] = mapped_column(enum_column(UnitType, "unit_type"))
    after_units: Mapped[int] = mapped_column(BigInteger)
    basis_points: Mapped[int]

    schedule: Mapped[FeeSchedule] = relationship(back_populates="tiers")


class FeeConsent(Model):
    """A provider's owner has accepted a schedule."""

    __tablename__ = "fee_consent"
    __table_args__ = (UniqueConstraint("provider_id", "schedule_id"),)

    id: Mapped[int] = mapped_column(BigId, primary_key=True)
    provider_id: Mapped[int] = mapped_column(ForeignKey("provider.id"))
    schedule_id: Mapped[int] = mapped_column(ForeignKey("fee_schedule.id"))
    given_by: Mapped[str] = mapped_column(String(254))
    given_at: Mapped[datetime]


class FeeVolume(Model):
    """Units of a kind in a provider's orders of a calendar year, as far as they bear a fee."""

    __tablename__ = "fee_volume"
    __table_args__ = (CheckConstraint("units >= 0", name="units"),)

    provider_id: Mapped[int] = mapped_column(ForeignKey("provider.id"), primary_key=True)
    unit_type: Mapped[UnitType] = mapped_column(
        enum_column(UnitType, "unit_type"), primary_key=True
    )
    year: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    units: Mapped[int] = mapped_column(BigInteger)


class OrderFee(Model):
    """What an order's provider pays for it, computed once, when it was placed."""

    __tablename__ = "order_fee"
    __table_args__ = (
        CheckConstraint("amount_minor >= 0", name="amount"),
        Index(
            "ix_order_fee_open",
            "provider_id",
            "order_id",
            sqlite_where=text("unsettled"),
            postgresql_where=text("unsettled"),
        ),
    )

    order_id: Mapped[int] = mapped_column(
        ForeignKey("order.id"), primary_key=True, autoincrement=False
    )
    provider_id: Mapped[int] = mapped_column(ForeignKey("provider.id"))
    schedule_id: Mapped[int] = mapped_column(ForeignKey("fee_schedule.id"))
    amount_minor: Mapped[int] = mapped_column(BigInteger)
    currency: Mapped[str] = mapped_column(String(3))
    parts: Mapped[list[Any]]
    """How it was computed: kind of unit, units, rate and value of each part; see :attr:`steps`."""
    counted: Mapped[bool] = mapped_column(default=True)
    """Whether the order's units are in the provider's volume of its year."""
    unsettled: Mapped[bool] = mapped_column(default=False)
    """Whether the next statement must look at it: money came or went since the last."""

    order: Mapped[Order] = relationship()
    schedule: Mapped[FeeSchedule] = relationship()

    @property
    def amount(self) -> Money:
        """The whole fee, before anything goes back."""
        return Money(self.amount_minor, self.currency)

    @property
    def steps(self) -> list[tuple[UnitType, FeePart]]:
        """How it was computed."""
        return [(UnitType(kind), FeePart(*numbers)) for kind, *numbers in self.parts]


class FeeStatement(Model):
    """A month's fees of a provider in one currency that no processor took, numbered without gaps."""

    __tablename__ = "fee_statement"
    __table_args__ = (
        UniqueConstraint("sequence"),
        UniqueConstraint("provider_id", "currency", "month"),
        Index("ix_fee_statement_status", "status", "id"),
    )
    MOVES: ClassVar[Mapping[Any, Any]] = FEE_STATEMENT_MOVES

    id: Mapped[int] = mapped_column(BigId, primary_key=True)
    sequence: Mapped[int]
    provider_id: Mapped[int] = mapped_column(ForeignKey("provider.id"))
    currency: Mapped[str] = mapped_column(String(3))
    month: Mapped[str] = mapped_column(String(7))
    """Such as ``2026-11``: the last month it counts."""
    total_minor: Mapped[int] = mapped_column(BigInteger)
    """Below nothing if more goes back than is due."""
    status: Mapped[FeeStatementStatus] = mapped_column(
        enum_column(FeeStatementStatus, "status"), default=FeeStatementStatus.OPEN
    )
    data: Mapped[dict[str, Any]]
    """Who it is to and how it is paid, frozen."""
    issued_at: Mapped[datetime]

    provider: Mapped[Provider] = relationship()

    @property
    def total(self) -> Money:
        """What is to be paid, or goes back."""
        return Money(self.total_minor, self.currency)

    @property
    def number(self) -> str:
        """The number as printed."""
        return statement_number(self.sequence)


class FeeStatementLine(Model):
    """What one order adds to a statement; below nothing where a fee goes back."""

    __tablename__ = "fee_statement_line"
    __table_args__ = (
        UniqueConstraint("statement_id", "order_id"),
        CheckConstraint("amount_minor != 0", name="amount"),
        Index("ix_fee_statement_line_order", "order_id"),
    )

    id: Mapped[int] = mapped_column(BigId, primary_key=True)
    statement_id: Mapped[int] = mapped_column(ForeignKey("fee_statement.id"))
    order_id: Mapped[int] = mapped_column(ForeignKey("order.id"))
    amount_minor: Mapped[int] = mapped_column(BigInteger)

    order: Mapped[Order] = relationship()

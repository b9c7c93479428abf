"""Checkouts, and the orders they become: one for each provider and currency."""

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

from cnn_offset.domain.money import Money
from cnn_offset.domain.status import (
    CHECKOUT_MOVES,
    ORDER_MOVES,
    CheckoutStatus,
    OrderStatus,
)
from cnn_offset.domain.units import UnitType
from cnn_offset.models.base import BigId, Model, WorkMixin, due_index, enum_column
from cnn_offset.models.catalogue import Block, Offer
from cnn_offset.models.parties import Provider


class Checkout(WorkMixin, Model):
    """A basket on its way to orders. Its units are held until ``due_at``, then released."""

    __tablename__ = "checkout"
    __table_args__ = (
        Index(
            "ix_checkout_kept",
            "created_at",
            "id",
            sqlite_where=text("erased_at IS NULL"),
            postgresql_where=text("erased_at IS NULL"),
        ),
        due_index("checkout"),
    )
    MOVES: ClassVar[Mapping[Any, Any]] = CHECKOUT_MOVES

    id: Mapped[int] = mapped_column(BigId, primary_key=True)
    token: Mapped[str] = mapped_column(String(64), unique=True)
    status: Mapped[CheckoutStatus] = mapped_column(
        enum_column(CheckoutStatus, "status"), default=CheckoutStatus.OPEN
    )
    locale: Mapped[str] = mapped_column(String(2))
    details: Mapped[dict[str, Any]]
    """What the purchaser has typed so far, by form field."""
    user_id: Mapped[int | None] = mapped_column(ForeignKey("user.id"))
    created_at: Mapped[datetime]
    erased_at: Mapped[datetime | None]
    """When what was typed was forgotten."""

    lines: Mapped[list[CheckoutLine]] = relationship(
        back_populates="checkout", order_by="CheckoutLine.id"
    )
    orders: Mapped[list[Order]] = relationship(back_populates="checkout", order_by="Order.id")


class CheckoutLine(Model):
    """Units of one offer that a checkout holds, at the price they were taken at."""

    __tablename__ = "checkout_line"
    __table_args__ = (
        UniqueConstraint("checkout_id", "offer_id"),
        CheckConstraint("quantity >= 1", name="quantity"),
        CheckConstraint("price_minor > 0", name="price"),
    )

    id: Mapped[int] = mapped_column(BigId, primary_key=True)
    checkout_id: Mapped[int] = mapped_column(ForeignKey("checkout.id"))
    offer_id: Mapped[int] = mapped_column(ForeignKey("offer.id"))
    quantity: Mapped[int] = mapped_column(BigInteger)
    price_minor: Mapped[int] = mapped_column(BigInteger)
    currency: Mapped[str] = mapped_column(String(3))

    checkout: Mapped[Checkout] = relationship(back_populates="lines")
    offer: Mapped[Offer] = relationship()

    @property
    def price(self) -> Money:
        """The price of one unit."""
        return Money(self.price_minor, self.currency)

    @property
    def total(self) -> Money:
        """Price times quantity, exact."""
        return Money(self.price_minor, self.currency) * self.quantity


class Order(WorkMixin, Model):
    """One purchase from one provider in one currency, paid by one payment at a time."""

    __tablename__ = "order"
    __table_args__ = (
        UniqueConstraint("checkout_id", "provider_id", "currency"),
        CheckConstraint("total_minor > 0", name="total"),
        Index("ix_order_provider_placed", "provider_id", "placed_at"),
        # A provider's orders, newest first, whatever they are narrowed by.
        Index("ix_order_provider_status", "provider_id", "status", "placed_at", "id"),
        Index("ix_order_provider_method", "provider_id", "status", "method_id", "placed_at", "id"),
        Index(
            "ix_order_undealt",
            "provider_id",
            "method_id",
            "placed_at",
            "id",
            sqlite_where=text("status = 'placed' AND in_progress_at IS NULL"),
            postgresql_where=text("status = 'placed' AND in_progress_at IS NULL"),
        ),
        Index("ix_order_provider_paid", "provider_id", "paid_at"),
        Index("ix_order_status_placed", "status", "placed_at"),
        Index("ix_order_email", "email"),
        # What has personal data still, oldest first, for the retention chore.
        Index(
            "ix_order_kept",
            "status",
            "placed_at",
            "id",
            sqlite_where=text("erased_at IS NULL"),
            postgresql_where=text("erased_at IS NULL"),
        ),
        due_index("order"),
    )
    MOVES: ClassVar[Mapping[Any, Any]] = ORDER_MOVES

    id: Mapped[int] = mapped_column(BigId, primary_key=True)
    code: Mapped[str] = mapped_column(String(16), unique=True)
    """Shown to people and printed on mails: not a secret."""
    token: Mapped[str] = mapped_column(String(64), unique=True)
    """The private link."""
    checkout_id: Mapped[int] = mapped_column(ForeignKey("checkout.id"))
    provider_id: Mapped[int] = mapped_column(ForeignKey("provider.id"))
    user_id: Mapped[int | None] = mapped_column(ForeignKey("user.id"), index=True)
    status: Mapped[OrderStatus] = mapped_column(
        enum_column(OrderStatus, "status"), default=OrderStatus.PLACED
    )
    total_minor: Mapped[int] = mapped_column(BigInteger)
    currency: Mapped[str] = mapped_column(String(3))
    locale: Mapped[str] = mapped_column(String(2))
    method_id: Mapped[str] = mapped_column(String(40))
    """The payment method chosen last."""

    purchaser_kind: Mapped[str] = mapped_column(String(10))
    purchaser_name: Mapped[str]
    company: Mapped[str] = mapped_column(default="")
    email: Mapped[str] = mapped_column(String(254))
    street: Mapped[str] = mapped_column(default="")
    city: Mapped[str] = mapped_column(default="")
    postcode: Mapped[str] = mapped_column(default="")
    country: Mapped[str] = mapped_column(String(2))
    tax_id: Mapped[str] = mapped_column(String(40), default="", server_default="")
    """A company's, for the receipt; empty if it gave none."""
    purchase_order: Mapped[str] = mapped_column(String(60), default="", server_default="")
    """A company's own number for this purchase; empty if it gave none."""

    beneficiary: Mapped[str]
    reason: Mapped[str]
    publish_name: Mapped[bool]
    publish_reason: Mapped[bool]
    attestation_locale: Mapped[str] = mapped_column(String(2))

    terms_version: Mapped[str] = mapped_column(String(20))
    consented_at: Mapped[datetime]
    """When the purchaser said: 18 or over, terms accepted, immediate performance (C7)."""

    placed_at: Mapped[datetime]
    pay_by: Mapped[datetime]
    holds_units: Mapped[bool] = mapped_column(default=True)
    """Whether the lines' units, but for those cancelled, are held at their offers."""
    in_progress_at: Mapped[datetime | None]
    """When the provider said that a bank order is being dealt with."""
    paid_at: Mapped[datetime | None]
    fulfilled_at: Mapped[datetime | None]
    erased_at: Mapped[datetime | None]
    """When the personal data above were erased (services/erasing.py says what stays)."""

    checkout: Mapped[Checkout] = relationship(back_populates="orders")
    provider: Mapped[Provider] = relationship()
    lines: Mapped[list[OrderLine]] = relationship(back_populates="order", order_by="OrderLine.id")

    @property
    def total(self) -> Money:
        """What is to be paid."""
        return Money(self.total_minor, self.currency)

    @property
    def quantity(self) -> int:
        """Units of the lines that stand."""
        return sum(line.quantity for line in self.standing)

    @property
    def standing(self) -> list[OrderLine]:
        """The lines but for those that were given back."""
        return [line for line in self.lines if line.given_back_at is None]

    @property
    def given_back(self) -> Money:
        """What of the total is the purchaser's again, with the lines that were given back."""
        lines = [line.total.minor for line in self.lines if line.given_back_at is not None]
        return Money(sum(lines), self.currency)


class OrderLine(Model):
    """Units of one block within an order; facts of the block are frozen when ordered."""

    __tablename__ = "order_line"
    __table_args__ = (
        UniqueConstraint("order_id", "offer_id"),
        CheckConstraint("quantity >= 1", name="quantity"),
        CheckConstraint("price_minor > 0", name="price"),
    )

    id: Mapped[int] = mapped_column(BigId, primary_key=True)
    order_id: Mapped[int] = mapped_column(ForeignKey("order.id"))
    offer_id: Mapped[int] = mapped_column(ForeignKey("offer.id"), index=True)
    block_id: Mapped[int] = mapped_column(ForeignKey("block.id"), index=True)
    quantity: Mapped[int] = mapped_column(BigInteger)
    price_minor: Mapped[int] = mapped_column(BigInteger)
    unit_type: Mapped[UnitType] = mapped_column(enum_column(UnitType, "unit_type"))
    """As at the time of the order: authorisation can change until first transfer."""
    monitoring_start: Mapped[date]
    monitoring_end: Mapped[date]
    expires_on: Mapped[date | None]

    given_back_at: Mapped[datetime | None]
    """When operators decided that its units are not cancelled and its money goes back."""

    order: Mapped[Order] = relationship(back_populates="lines")
    offer: Mapped[Offer] = relationship()
    block: Mapped[Block] = relationship()

    @property
    def price(self) -> Money:
        """The price of one unit."""
        return Money(self.price_minor, self.order.currency)

    @property
    def total(self) -> Money:
        """Price times quantity, exact."""
        return self.price * self.quantity


class OrderTerm(Model):
    """One thing a provider finds an order by: a word of a name or of a purchase-order number.

    ``name:`` and ``po:`` say of which; only whole terms are looked up, so that finding
    costs the same however many orders there are.
    """

    __tablename__ = "order_term"

    provider_id: Mapped[int] = mapped_column(ForeignKey("provider.id"), primary_key=True)
    term: Mapped[str] = mapped_column(String(80), primary_key=True)
    order_id: Mapped[int] = mapped_column(ForeignKey("order.id"), primary_key=True)

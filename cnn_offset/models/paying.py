"""Attempts to pay, what was reported about them, and webhook deliveries."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
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
from cnn_offset.domain.payment import Fact, FactKind, FactStatus, Verdict
from cnn_offset.domain.status import (
    DELIVERY_MOVES,
    PAYMENT_MOVES,
    DeliveryStatus,
    PaymentStatus,
)
from cnn_offset.models.base import BigId, Model, WorkMixin, due_index, enum_column
from cnn_offset.models.ordering import Order


class Payment(WorkMixin, Model):
    """One attempt to pay an order. Its status follows from its facts and nothing else."""

    __tablename__ = "payment"
    __table_args__ = (
        CheckConstraint("amount_minor > 0", name="amount"),
        CheckConstraint("waived_minor >= 0", name="waived"),
        Index("ix_payment_order", "order_id"),
        Index(
            "uq_payment_processor_ref",
            "method_id",
            "processor_ref",
            unique=True,
            sqlite_where=text("processor_ref != ''"),
            postgresql_where=text("processor_ref != ''"),
        ),
        due_index("payment"),
    )
    MOVES: ClassVar[Mapping[Any, Any]] = PAYMENT_MOVES

    id: Mapped[int] = mapped_column(BigId, primary_key=True)
    order_id: Mapped[int] = mapped_column(ForeignKey("order.id"))
    key: Mapped[str] = mapped_column(String(40), unique=True)
    method_id: Mapped[str] = mapped_column(String(40))
    payee: Mapped[dict[str, Any]]
    """The provider's account as it was when the payment was opened."""
    payee_account: Mapped[str]
    amount_minor: Mapped[int] = mapped_column(BigInteger)
    waived_minor: Mapped[int] = mapped_column(BigInteger, default=0, server_default="0")
    """What of it is due no more, since lines of the paid order were given back."""
    currency: Mapped[str] = mapped_column(String(3))
    status: Mapped[PaymentStatus] = mapped_column(
        enum_column(PaymentStatus, "status"), default=PaymentStatus.CREATED
    )
    verdict: Mapped[Verdict] = mapped_column(
        enum_column(Verdict, "verdict"), default=Verdict.NOTHING_YET
    )
    """The verdict on the facts so far, kept for lists."""
    paid_order: Mapped[bool] = mapped_column(default=False)
    """Whether this is the payment that paid the order."""
    fee_minor: Mapped[int | None] = mapped_column(BigInteger)
    """What the processor is asked to set aside for the platform; None: not decided yet."""
    processor_ref: Mapped[str] = mapped_column(String(127), default="")
    redirect_url: Mapped[str] = mapped_column(default="")
    instructions: Mapped[list[Any] | None]
    """Pairs of a message id and a value, for a bank transfer; see :attr:`instruction_lines`."""
    qr: Mapped[str] = mapped_column(default="")
    created_at: Mapped[datetime]

    order: Mapped[Order] = relationship()
    facts: Mapped[list[PaymentFact]] = relationship(
        back_populates="payment", order_by="PaymentFact.id"
    )

    @property
    def due(self) -> Money:
        """What this payment should bring, and leave with the provider."""
        return Money(self.amount_minor - self.waived_minor, self.currency)

    @property
    def instruction_lines(self) -> list[tuple[str, str | Money]]:
        """What the payer is told: message ids and values. Money is kept as a pair."""
        return [
            (label, value if isinstance(value, str) else Money(*value))
            for label, value in self.instructions or []
        ]


class PaymentFact(Model):
    """One thing a processor or a person said; rows are only ever added.

    A repeat of what is known is refused by the unique key, so it adds nothing.
    """

    __tablename__ = "payment_fact"
    __table_args__ = (
        UniqueConstraint("payment_id", "kind", "ref", "status", "amount_minor", "currency"),
        Index("ix_payment_fact_at", "at", "id"),
    )

    id: Mapped[int] = mapped_column(BigId, primary_key=True)
    payment_id: Mapped[int] = mapped_column(ForeignKey("payment.id"))
    kind: Mapped[FactKind] = mapped_column(enum_column(FactKind, "kind"))
    ref: Mapped[str] = mapped_column(String(127))
    status: Mapped[FactStatus] = mapped_column(enum_column(FactStatus, "status"))
    amount_minor: Mapped[int] = mapped_column(BigInteger, default=0)
    currency: Mapped[str] = mapped_column(String(3), default="")
    """Empty where the fact names no amount; NULL would defeat the unique key."""
    payee: Mapped[str | None]
    fee_minor: Mapped[int | None] = mapped_column(BigInteger)
    """What the processor kept of the amount, in the same currency; None if it did not say."""
    platform_minor: Mapped[int | None] = mapped_column(BigInteger)
    """What went to the platform with the money, or back with a refund; None if nothing was said."""
    at: Mapped[datetime]
    reason: Mapped[str] = mapped_column(default="")
    actor: Mapped[str] = mapped_column(String(120))
    """Who said so: the plug-in's id, or a person's address."""
    recorded_at: Mapped[datetime]

    payment: Mapped[Payment] = relationship(back_populates="facts")

    @property
    def value(self) -> Fact:
        """The fact as a value."""
        money = Money(self.amount_minor, self.currency) if self.currency else None
        kept, platform = (
            None if minor is None or not self.currency else Money(minor, self.currency)
            for minor in (self.fee_minor, self.platform_minor)
        )
        return Fact(
            self.kind,
            self.ref,
            self.status,
            money,
            self.payee,
            self.at,
            self.reason,
            kept,
            platform,
        )


class WebhookDelivery(WorkMixin, Model):
    """A delivery whose sender was believed: a reason to look, stored once."""

    __tablename__ = "webhook_delivery"
    __table_args__ = (
        UniqueConstraint("method_id", "event_id"),
        Index(
            "ix_webhook_delivery_kept",
            "received_at",
            "id",
            sqlite_where=text("body != ''"),
            postgresql_where=text("body != ''"),
        ),
        due_index("webhook_delivery"),
    )
    MOVES: ClassVar[Mapping[Any, Any]] = DELIVERY_MOVES

    id: Mapped[int] = mapped_column(BigId, primary_key=True)
    method_id: Mapped[str] = mapped_column(String(40))
    event_id: Mapped[str] = mapped_column(String(255))
    processor_refs: Mapped[list[Any]]
    account_refs: Mapped[list[Any]] = mapped_column(default=list, server_default="[]")
    """Providers' accounts that may have changed."""
    body: Mapped[str]
    status: Mapped[DeliveryStatus] = mapped_column(
        enum_column(DeliveryStatus, "status"), default=DeliveryStatus.STORED
    )
    received_at: Mapped[datetime]

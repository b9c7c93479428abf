"""Money at providers' banks: statements, their entries, and what is decided of each."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date, datetime
from enum import StrEnum
from typing import Any, ClassVar

from sqlalchemy import BigInteger, CheckConstraint, ForeignKey, Index, String, UniqueConstraint
from sqlalchemy.orm import Mapped, mapped_column, relationship

from cnn_offset.domain.money import Money
from cnn_offset.domain.status import BANK_ENTRY_MOVES, BankEntryStatus
from cnn_offset.models.base import BigId, Model, WorkMixin, due_index, enum_column
from cnn_offset.models.ordering import Order
from cnn_offset.models.parties import Provider


class BankStatement(WorkMixin, Model):
    """A statement file that was read; the same file is read once for a provider.

    ``due_at``: exact entries are still to be recorded, as the provider allows it.
    """

    __tablename__ = "bank_statement"
    __table_args__ = (UniqueConstraint("provider_id", "sha256"), due_index("bank_statement"))

    id: Mapped[int] = mapped_column(BigId, primary_key=True)
    provider_id: Mapped[int] = mapped_column(ForeignKey("provider.id"))
    sha256: Mapped[str] = mapped_column(String(64))
    filename: Mapped[str] = mapped_column(String(200))
    format: Mapped[str] = mapped_column(String(20))
    """A value of ``StatementFormat``."""
    account: Mapped[str] = mapped_column(String(40))
    entries: Mapped[int]
    """Entries in the file, those known already among them."""
    added: Mapped[int]
    """Entries that were new."""
    done_to: Mapped[int] = mapped_column(BigId, default=0)
    """The id of the last entry that was looked at for being recorded with nobody's help."""
    uploaded_by: Mapped[str] = mapped_column(String(254))
    uploaded_at: Mapped[datetime]


class Finding(StrEnum):
    """What an entry is found to be, compared with the order it names."""

    UNKNOWN = "unknown"
    """No order of this provider is named; ``hint`` orders may be guessed by amount."""
    EXACT = "exact"
    SHORT = "short"
    OVER = "over"
    LATE = "late"
    """Exact, but the order has lapsed or was withdrawn."""
    PAID_ALREADY = "paid_already"
    OTHER_CURRENCY = "other_currency"
    SEVERAL = "several"
    """Several orders are named."""
    RETURNED = "returned"
    """Money that went back: a debit that names an order."""
    OUTGOING = "outgoing"
    """A debit that names none."""


class BankEntry(Model):
    """One entry at a provider's bank, from a statement or typed by hand from one.

    The bank's own identity of the entry is its key, so an entry counts once, however it
    came and however often.
    """

    __tablename__ = "bank_entry"
    __table_args__ = (
        UniqueConstraint("provider_id", "key"),
        CheckConstraint("amount_minor != 0", name="amount"),
        Index("ix_bank_entry_status", "provider_id", "status", "id"),
        Index("ix_bank_entry_order", "order_id"),
        Index("ix_bank_entry_statement", "statement_id"),
        Index("ix_bank_entry_parent", "parent_id"),
    )
    MOVES: ClassVar[Mapping[Any, Any]] = BANK_ENTRY_MOVES

    id: Mapped[int] = mapped_column(BigId, primary_key=True)
    provider_id: Mapped[int] = mapped_column(ForeignKey("provider.id"))
    statement_id: Mapped[int | None] = mapped_column(ForeignKey("bank_statement.id"))
    """None for one that was typed by hand, and for a part of another."""
    parent_id: Mapped[int | None] = mapped_column(ForeignKey("bank_entry.id"))
    """The entry this is a part of, where one payment was for several orders."""
    key: Mapped[str] = mapped_column(String(160))
    status: Mapped[BankEntryStatus] = mapped_column(
        enum_column(BankEntryStatus, "status"), default=BankEntryStatus.WAITING
    )
    finding: Mapped[Finding] = mapped_column(enum_column(Finding, "finding"))
    order_id: Mapped[int | None] = mapped_column(ForeignKey("order.id"))
    """The order it names, or a person has chosen."""
    amount_minor: Mapped[int] = mapped_column(BigInteger)
    """Positive for money that came, negative for money that went."""
    currency: Mapped[str] = mapped_column(String(3))
    received_on: Mapped[date]
    """The value date."""
    bank_ref: Mapped[str] = mapped_column(String(127))
    payer: Mapped[str] = mapped_column(default="")
    text: Mapped[str] = mapped_column(default="")
    """What the payer wrote."""
    proposed_by: Mapped[str] = mapped_column(String(254), default="")
    """Who first said what it pays; a second person must be another."""
    decided_by: Mapped[str] = mapped_column(String(254), default="")
    decided_at: Mapped[datetime | None]
    created_at: Mapped[datetime]

    provider: Mapped[Provider] = relationship()
    order: Mapped[Order | None] = relationship()
    statement: Mapped[BankStatement | None] = relationship()

    @property
    def amount(self) -> Money:
        """The amount with its sign."""
        return Money(self.amount_minor, self.currency)

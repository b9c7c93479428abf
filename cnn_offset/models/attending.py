"""What waits for operators without a status of its own, and the indexes they find things by."""

from __future__ import annotations

from datetime import datetime
from typing import Any, Final

from sqlalchemy import Index, String, UniqueConstraint, text
from sqlalchemy.orm import Mapped, mapped_column

from cnn_offset.models.banking import BankStatement
from cnn_offset.models.base import BigId, Model
from cnn_offset.models.cancelling import Cancellation
from cnn_offset.models.casework import IncomingMail
from cnn_offset.models.catalogue import Block, Offer
from cnn_offset.models.holding import RegistryAccount
from cnn_offset.models.ordering import Checkout, Order, OrderLine, OrderTerm
from cnn_offset.models.papers import Attestation, Message
from cnn_offset.models.parties import PayoutMethod
from cnn_offset.models.paying import Payment, PaymentFact, WebhookDelivery
from cnn_offset.models.refunding import Refund
from cnn_offset.models.replacing import Replacement


class DealtWith(Model):
    """An operator's word that something without a status of its own is dealt with.

    It holds while the thing is as it was: ``state`` says how. Who said so before is in the
    events.
    """

    __tablename__ = "dealt_with"
    __table_args__ = (UniqueConstraint("kind", "subject", "subject_id"),)

    id: Mapped[int] = mapped_column(BigId, primary_key=True)
    kind: Mapped[str] = mapped_column(String(40))
    subject: Mapped[str] = mapped_column(String(40))
    """The table."""
    subject_id: Mapped[int]
    state: Mapped[str] = mapped_column(String(120))
    reason: Mapped[str]
    actor: Mapped[str] = mapped_column(String(120))
    at: Mapped[datetime]


class CheckFault(Model):
    """Something that did not add up when everything was last added up."""

    __tablename__ = "check_fault"

    id: Mapped[int] = mapped_column(BigId, primary_key=True)
    digest: Mapped[str] = mapped_column(String(64), unique=True)
    """Of ``words``, which may be long."""
    words: Mapped[str]
    since: Mapped[datetime]
    seen_at: Mapped[datetime]


STUCK: Final = "status IN ('unknown', 'mismatched', 'rejected')"
"""Of a cancellation: a person must look."""
ODD: Final = (
    "(paid_order AND verdict <> 'exact') OR (NOT paid_order AND status = 'succeeded') "
    "OR status IN ('in_review', 'disputed')"
)
"""Of a payment: its money is in doubt, or beyond what paid its order."""
FAILED: Final = "status = 'failed'"
"""Of a mail: it was given up."""
UNMATCHED: Final = "status = 'unmatched'"
"""Of a processor's news: it is of no payment that we know."""
UNPAID: Final = "status = 'placed'"
"""Of an order."""
FAILING: Final = "attempts >= 5"
"""Of any work: it has failed time and again."""


def _few(name: str, *columns: Any, where: str) -> None:
    Index(name, *columns, sqlite_where=text(where), postgresql_where=text(where))


Index("ix_order_placed", Order.placed_at, Order.id)
Index("ix_order_method", Order.method_id, Order.status, Order.placed_at, Order.id)
# The status too, though it is always the same: SQLite would else take another index.
_few("ix_order_unpaid", Order.status, Order.pay_by, where=UNPAID)
Index("ix_order_line_block", OrderLine.block_id, OrderLine.order_id)
Index("ix_order_term_found", OrderTerm.term, OrderTerm.order_id)
Index("ix_block_ref", Block.block_ref)
_few("ix_payment_ref", Payment.processor_ref, where="processor_ref <> ''")
_few("ix_payment_odd", Payment.id, where=ODD)
Index("ix_payment_fact_ref", PaymentFact.ref)
_few("ix_cancellation_ref", Cancellation.registry_ref, where="registry_ref <> ''")
_few("ix_cancellation_stuck", Cancellation.id, where=STUCK)
_few("ix_message_failed", Message.id, where=FAILED)
_few("ix_webhook_delivery_unmatched", WebhookDelivery.received_at, where=UNMATCHED)
for _kind in (
    Attestation,
    BankStatement,
    Cancellation,
    Checkout,
    IncomingMail,
    Message,
    Offer,
    Order,
    Payment,
    PayoutMethod,
    Refund,
    RegistryAccount,
    Replacement,
    WebhookDelivery,
):
    _few(f"ix_{_kind.__tablename__}_failing", _kind.due_at, where=FAILING)

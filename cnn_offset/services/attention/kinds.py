"""The kinds of things that wait for a person, and how a person's word puts one aside."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Any, Final

from sqlalchemy import ColumnElement, String, and_, cast, exists, func, literal, select

from cnn_offset.models import (
    CheckFault,
    DealtWith,
    Message,
    Order,
    Payment,
    PaymentFact,
    Refund,
    WebhookDelivery,
)


class Kind(StrEnum):
    """What waits, the most harmful first: lists follow this order.

    First what can soon not be done at all; then what the purchaser has paid for and not got,
    and what may be irrevocably wrong; then money that is not where it should be; then what
    shows that the platform itself is not right; then promises of time; then what waits
    without harm.
    """

    ENDING = "ending"
    SLOW = "slow"
    UNKNOWN = "unknown"
    MISMATCHED = "mismatched"
    BOOKS = "books"
    REJECTED = "rejected"
    IN_REVIEW = "in_review"
    REFUND_DUE = "refund_due"
    PART_DUE = "part_due"
    REFUND_REFUSED = "refund_refused"
    MONEY_BACK = "money_back"
    DISPUTED = "disputed"
    SURPLUS = "surplus"
    CUTOVER = "cutover"
    CERTIFICATE = "certificate"
    FAULT = "fault"
    UNITS_MISSING = "units_missing"
    HOLDINGS = "holdings"
    FAILING = "failing"
    PROPOSAL = "proposal"
    CORRECTION = "correction"
    CASE = "case"
    OVERDUE = "overdue"
    UNPAID = "unpaid"
    MAIL = "mail"
    UNMATCHED = "unmatched"
    APPLICATION = "application"
    LISTING = "listing"
    PAYOUT = "payout"


RANK: Final[Mapping[Kind, int]] = {kind: rank for rank, kind in enumerate(Kind)}


@dataclass(frozen=True)
class Entry:
    """One thing that waits. What it means and what can be done, its kind says."""

    kind: Kind
    since: datetime
    subject: str
    """The table."""
    subject_id: int
    order_code: str = ""
    name: str = ""
    """What it is about, where that is no order: a name, a number, a code."""
    detail: str = ""
    """In the words of a registry, a processor, a person or a log; not translated."""
    where: str = ""
    """What the address of its page is made of, where that is neither order nor number."""


_LAST_FACT: Final = (
    select(func.coalesce(func.max(PaymentFact.id), 0))
    .where(PaymentFact.payment_id == Payment.id)
    .correlate(Payment)
    .scalar_subquery()
)
_MONEY: Final = (Payment, cast(_LAST_FACT, String))
_MAIL: Final = (Message, cast(Message.fence, String))
_ONCE: Final = literal("")
STATES: Final[Mapping[Kind, tuple[Any, ColumnElement[str]]]] = {
    Kind.REFUND_REFUSED: (Refund, _ONCE),
    Kind.MONEY_BACK: _MONEY,
    Kind.DISPUTED: _MONEY,
    Kind.SURPLUS: _MONEY,
    Kind.CERTIFICATE: _MAIL,
    Kind.FAULT: (CheckFault, _ONCE),
    Kind.OVERDUE: (Order, _ONCE),
    Kind.UNPAID: (Order, _ONCE),
    Kind.MAIL: _MAIL,
    Kind.UNMATCHED: (WebhookDelivery, _ONCE),
}
"""What has no status of its own to end in, so that a person's word puts it aside: the table,
and how the thing is now. What is heard of a payment, another attempt to send a mail, changes
that, and the thing is back.
"""


def waits(kind: Kind) -> ColumnElement[bool]:
    """Say in SQL that no word of a person puts a row of ``kind`` aside."""
    thing, state = STATES[kind]
    said = [
        DealtWith.kind == str(kind),
        DealtWith.subject == thing.__tablename__,
        DealtWith.subject_id == thing.id,
        DealtWith.state == state,
    ]
    if kind is Kind.UNPAID:
        # Kept open since, and overdue once more.
        said.append(DealtWith.at >= Order.pay_by)
    return ~exists().where(and_(*said))

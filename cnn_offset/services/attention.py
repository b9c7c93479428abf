"""What operators must look at: whatever does not go on by itself, and what to do about it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Final

from sqlalchemy import func, select
from sqlalchemy.orm import Session, joinedload

from cnn_offset.domain.calendar import add_working_days
from cnn_offset.domain.payment import Verdict
from cnn_offset.domain.status import (
    ApplicationStatus,
    AttestationStatus,
    CancellationStatus,
    DeliveryStatus,
    MessageStatus,
    OrderStatus,
    PaymentStatus,
)
from cnn_offset.domain.text import N_
from cnn_offset.models import (
    Application,
    Attestation,
    BankStatement,
    Block,
    Cancellation,
    Checkout,
    Chore,
    Event,
    Message,
    Offer,
    Order,
    Payment,
    PayoutMethod,
    Provider,
    RegistryAccount,
    WebhookDelivery,
)
from cnn_offset.services import selling, stock
from cnn_offset.services.moves import note

TOO_LONG: Final = timedelta(minutes=15)
"""Paid units are cancelled within seconds; after this somebody should know (trust-details 5)."""
LONGEST_WAY: Final = timedelta(days=14)
"""An e-check clears within ten days."""
MANY_ATTEMPTS: Final = 5
HINTS_KEPT: Final = timedelta(days=30)
LIMIT: Final = 100
"""At most so many of each kind: more than that is one trouble, not many."""
C, O, P = CancellationStatus, OrderStatus, PaymentStatus  # noqa: E741


@dataclass(frozen=True)
class Item:
    """One thing to look at. ``what`` and ``todo`` are English message ids."""

    kind: str
    since: datetime
    what: str
    todo: str
    order_code: str = ""
    detail: str = ""
    """In the words of a registry, a processor or a log; not translated."""


def attention(session: Session, *, now: datetime) -> list[Item]:
    """Return everything that waits for a person, oldest first. Reads only."""
    found = [
        *_slow(session, now),
        *_unpaid(session, now),
        *_orders(session),
        *_cancellations(session),
        *_money(session),
        *_providers(session, now),
        *_units_missing(session),
        *_applications(session, now),
        *_deliveries(session, now),
        *_messages(session),
        *_failing(session),
    ]
    return sorted(found, key=lambda item: item.since)


def _slow(session: Session, now: datetime) -> Iterator[Item]:
    for order in session.scalars(
        select(Order)
        .where(Order.status == O.PAID, Order.paid_at <= now - TOO_LONG)
        .order_by(Order.paid_at)
        .limit(LIMIT)
    ):
        yield Item(
            "slow",
            order.paid_at or order.placed_at,
            N_("Paid, but not every unit is cancelled."),
            N_("See what the registry says below the order, then look again."),
            order.code,
        )


def _unpaid(session: Session, now: datetime) -> Iterator[Item]:
    """Orders whose time is long over and whose money is still said to be on its way."""
    for order in session.scalars(
        select(Order)
        .where(Order.status == O.PLACED, Order.pay_by <= now - LONGEST_WAY)
        .order_by(Order.pay_by)
        .limit(LIMIT)
    ):
        yield Item(
            "unpaid",
            order.pay_by,
            N_("The order is long overdue, and its money may still be on its way."),
            N_("Ask the processor what became of the payment; the units are held meanwhile."),
            order.code,
        )


def _orders(session: Session) -> Iterator[Item]:
    words = {
        O.IN_REVIEW: (
            N_("The order is in review: money or units are not as they should be."),
            N_("Read its history; decide with the provider whether to fulfil or to refund."),
        ),
        O.REFUND_DUE: (
            N_("Money is to go back to the purchaser."),
            N_("Have the provider refund it; the order follows when the processor says so."),
        ),
    }
    for order in session.scalars(
        select(Order).where(Order.status.in_(words)).order_by(Order.id).limit(LIMIT)
    ):
        event = session.execute(
            select(Event.at, Event.why)
            .where(Event.order_id == order.id, Event.subject == "order", Event.new == order.status)
            .order_by(Event.id.desc())
            .limit(1)
        ).first()
        what, todo = words[order.status]
        since, why = event or (order.placed_at, "")
        yield Item(str(order.status), since, what, todo, order.code, why)


def _cancellations(session: Session) -> Iterator[Item]:
    words = {
        C.UNKNOWN: (
            N_("The registry has not said whether it cancelled the units."),
            N_("Nothing is sent twice: we go on asking. Ask the registry if this lasts."),
        ),
        C.MISMATCHED: (
            N_("The registry did something else than was ordered."),
            N_("Compare its book with the order; nothing is sent again until you decide."),
        ),
        C.REJECTED: (
            N_("The registry refused to cancel the units."),
            N_("Read its reason. Other units of the provider or a refund are the ways out."),
        ),
    }
    for row, code in session.execute(
        select(Cancellation, Order.code)
        .join(Order, Order.id == Cancellation.order_id)
        .where(
            Cancellation.status.in_(words),
            Order.status.not_in([O.REFUND_DUE, O.REFUNDED]),
        )
        .order_by(Cancellation.id)
        .limit(LIMIT)
    ):
        what, todo = words[row.status]
        detail = row.registry_said or row.last_error
        yield Item(str(row.status), row.sent_at or row.created_at, what, todo, code, detail)


def _money(session: Session) -> Iterator[Item]:
    """Money beyond what paid an order, and money that is in doubt after units were cancelled."""
    surplus = (P.SUCCEEDED, P.IN_REVIEW, P.DISPUTED)
    for payment in session.scalars(
        select(Payment)
        .join(Payment.order)
        .where(
            (Payment.paid_order.is_(False) & Payment.status.in_(surplus))
            & Order.status.in_([O.PAID, O.FULFILLED])
            | (Payment.paid_order.is_(True) & (Payment.verdict != Verdict.EXACT))
            & (Order.status == O.FULFILLED)
        )
        .options(joinedload(Payment.order))
        .order_by(Payment.id)
        .limit(LIMIT)
    ):
        gone = payment.paid_order and payment.verdict is not Verdict.OVER
        what, todo = (
            (
                N_("Money went back or is disputed after the units were cancelled."),
                N_("The units cannot come back. Tell the provider; it answers the processor."),
            )
            if gone
            else (
                N_("Money came for an order that was paid already."),
                N_("Have the provider refund it."),
            )
        )
        yield Item(
            "money_back" if gone else "surplus",
            payment.created_at,
            what,
            todo,
            payment.order.code,
            f"{payment.key}: {payment.due}",
        )


def _providers(session: Session, now: datetime) -> Iterator[Item]:
    """Providers that send their bank details themselves and have not within two days."""
    for order in session.scalars(
        select(Order)
        .join(
            PayoutMethod,
            (PayoutMethod.provider_id == Order.provider_id)
            & (PayoutMethod.method_id == Order.method_id),
        )
        .where(
            Order.status == O.PLACED,
            Order.in_progress_at.is_(None),
            Order.placed_at <= now - timedelta(days=selling.WORKING_DAYS),
            PayoutMethod.account["sends_own_details"].as_string().is_not(None),
        )
        .order_by(Order.id)
        .limit(LIMIT)
    ):
        due = selling.details_due(order)
        if due <= now and selling.sends_own_details(selling.account_of(session, order)):
            yield Item(
                "overdue",
                due,
                N_("The provider has not sent its bank details within two working days."),
                N_("Remind the provider; tell the purchaser if it takes longer."),
                order.code,
                order.provider.name,
            )


def _applications(session: Session, now: datetime) -> Iterator[Item]:
    """Applications that nobody has answered within two working days."""
    for each in session.scalars(
        select(Application)
        .where(
            Application.status == ApplicationStatus.SUBMITTED,
            Application.submitted_at <= now - timedelta(days=selling.WORKING_DAYS),
        )
        .order_by(Application.submitted_at)
        .limit(LIMIT)
    ):
        due = add_working_days(each.submitted_at, selling.WORKING_DAYS)
        if due <= now:
            yield Item(
                "application",
                due,
                N_("An application to become a provider waits for an answer."),
                N_("Read it on the page of applications; ask, approve or refuse."),
                detail=each.organisation,
            )


def _units_missing(session: Session) -> Iterator[Item]:
    """Blocks that hold less than their running orders need: sold elsewhere, or vanished."""
    needed = func.sum(Offer.held)
    rows = session.execute(
        select(Block, needed)
        .join(Offer, Offer.block_id == Block.id)
        .where(Offer.held > 0)
        .group_by(Block.id)
        .having(needed > Block.reported)
        .order_by(Block.id)
        .limit(LIMIT)
    ).all()
    for block, held in rows:
        missing = held - block.reported - stock.in_flight(session, block)
        if missing > 0:
            yield Item(
                "units_missing",
                block.read_at,
                N_("A block holds fewer units than are in running orders."),
                N_("Ask the provider to bring units back or to refund; the registry decides."),
                detail=f"{block.provider.name}: {block.block_ref}, {missing}",
            )


def _deliveries(session: Session, now: datetime) -> Iterator[Item]:
    for row in session.scalars(
        select(WebhookDelivery)
        .where(
            WebhookDelivery.status == DeliveryStatus.UNMATCHED,
            WebhookDelivery.received_at >= now - HINTS_KEPT,
        )
        .order_by(WebhookDelivery.id.desc())
        .limit(LIMIT)
    ):
        yield Item(
            "unmatched",
            row.received_at,
            N_("A processor told us of a payment that we do not know."),
            N_("Compare with the processor’s list: somebody may have paid outside an order."),
            detail=f"{row.method_id} {row.event_id}",
        )


def _messages(session: Session) -> Iterator[Item]:
    for message, code in session.execute(
        select(Message, Order.code)
        .outerjoin(Order, Order.id == Message.order_id)
        .where(Message.status == MessageStatus.FAILED)
        .order_by(Message.id)
        .limit(LIMIT)
    ):
        yield Item(
            "mail",
            message.created_at,
            N_("A mail could not be delivered."),
            N_("Check the address with the purchaser; the order page has everything too."),
            code or "",
            f"{message.kind}: {message.last_error}",
        )


def _failing(session: Session) -> Iterator[Item]:
    """Work that has failed time and again and is still tried."""
    kinds: tuple[Any, ...] = (
        Payment,
        Cancellation,
        Attestation,
        WebhookDelivery,
        Message,
        Order,
        Checkout,
        PayoutMethod,
        BankStatement,
        RegistryAccount,
        Offer,
        Provider,
        Chore,
    )
    for kind in kinds:
        rows = select(kind).where(kind.attempts >= MANY_ATTEMPTS, kind.due_at.is_not(None))
        for row in session.scalars(rows.order_by(kind.due_at).limit(LIMIT)):
            order = row if isinstance(row, Order) else None
            if order is None and getattr(row, "order_id", None):
                order = session.get(Order, row.order_id)
            yield Item(
                "failing",
                row.due_at,
                N_("Something has failed time and again and is still being tried."),
                N_("Read the error; when its cause is mended, look again."),
                order.code if order else "",
                f"{kind.__tablename__} {row.id}, {row.attempts}: {row.last_error}",
            )


def look_again(session: Session, order: Order, *, actor: str, now: datetime) -> int:
    """Make all open work of ``order`` due now; nothing is done here. Safe to repeat.

    Returns how many things will be looked at.
    """
    open_: list[Any] = [
        *session.scalars(
            select(Payment).where(Payment.order_id == order.id, Payment.processor_ref != "")
        ),
        *session.scalars(
            select(Cancellation).where(
                Cancellation.order_id == order.id,
                Cancellation.status.in_([C.QUEUED, C.SUBMITTED, C.UNKNOWN]),
            )
        ),
        *session.scalars(
            select(Attestation).where(
                Attestation.order_id == order.id, Attestation.status == AttestationStatus.QUEUED
            )
        ),
        *session.scalars(
            select(Message).where(
                Message.order_id == order.id, Message.status == MessageStatus.QUEUED
            )
        ),
    ]
    for row in open_:
        row.due_at = now
    note(session, order, old="", new="look again", actor=actor, why="asked for", now=now)
    return len(open_)

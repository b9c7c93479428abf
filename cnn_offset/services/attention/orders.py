"""Orders, cancellations and money that wait for a person."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime, timedelta
from typing import Any, Final

from sqlalchemy import ColumnElement, Select, exists, func, or_, select, text
from sqlalchemy.orm import Session, joinedload, selectinload

from cnn_offset.domain.payment import Verdict
from cnn_offset.domain.status import CancellationStatus, OrderStatus, PaymentStatus, RefundStatus
from cnn_offset.models import Cancellation, DealtWith, Event, Order, Payment, PayoutMethod, Refund
from cnn_offset.models.attending import ODD, STUCK, UNPAID
from cnn_offset.services import deadlines, selling
from cnn_offset.services.accepting import RELEASED
from cnn_offset.services.attention.kinds import STATES, Entry, Kind, waits
from cnn_offset.services.inbox import UNDEALT

TOO_LONG: Final = timedelta(minutes=15)
"""Paid units are cancelled within seconds; after this somebody should know (trust-details 5)."""
AT_ONCE: Final = timedelta(minutes=5)
"""Near a registry's end this is too long."""
SOON: Final = timedelta(days=5)
"""So long before a registry's last cancellation what is paid becomes urgent (F7)."""
LONGEST_WAY: Final = timedelta(days=14)
"""An e-check clears within ten days."""
MOST_PROVIDERS: Final = 1000
"""That send their bank details themselves."""
C, O, P = CancellationStatus, OrderStatus, PaymentStatus  # noqa: E741


def ending(session: Session, now: datetime, limit: int) -> Iterator[Entry]:
    """Paid, not cancelled, and its registry cancels nothing any more, or soon will not."""
    for registry_id, end in sorted(deadlines.ending(session, now + SOON).items()):
        paid = (Order.status == O.PAID) & (Order.paid_at <= now - AT_ONCE)
        undecided = (Order.status == O.IN_REVIEW) & Order.paid_at.is_not(None)
        for status in (paid, undecided):
            for order in session.scalars(
                select(Order)
                .where(status, _open_in(registry_id))
                .order_by(Order.placed_at)
                .limit(limit)
            ):
                yield Entry(
                    Kind.ENDING,
                    end,
                    "order",
                    order.id,
                    order.code,
                    detail=f"{registry_id}, {end:%Y-%m-%d %H:%M} UTC",
                )


def _open_in(registry_id: str) -> ColumnElement[bool]:
    """Match orders of which units in a registry are neither cancelled nor given up."""
    return (
        select(Cancellation.id)
        .where(
            Cancellation.order_id == Order.id,
            Cancellation.registry_id == registry_id,
            Cancellation.status.not_in([C.CONFIRMED, C.GIVEN_UP]),
        )
        .exists()
    )


def slow(session: Session, now: datetime, limit: int) -> Iterator[Entry]:
    """Paid, and not every unit is cancelled."""
    for order in session.scalars(
        select(Order)
        .where(Order.status == O.PAID, Order.paid_at <= now - TOO_LONG)
        .order_by(Order.paid_at)
        .limit(limit)
    ):
        yield Entry(Kind.SLOW, order.paid_at or order.placed_at, "order", order.id, order.code)


def unpaid(session: Session, now: datetime, limit: int) -> Iterator[Entry]:
    """Orders whose time is long over and whose money is still said to be on its way."""
    for order in session.scalars(
        select(Order)
        .where(text(UNPAID), Order.pay_by <= now - LONGEST_WAY, waits(Kind.UNPAID))
        .order_by(Order.pay_by)
        .limit(limit)
    ):
        yield Entry(Kind.UNPAID, order.pay_by, "order", order.id, order.code)


def in_review(session: Session, _now: datetime, limit: int) -> Iterator[Entry]:
    """Money or units are not as they should be."""
    return _stopped(session, O.IN_REVIEW, Kind.IN_REVIEW, limit)


def refund_due(session: Session, _now: datetime, limit: int) -> Iterator[Entry]:
    """The money is to go back."""
    return _stopped(session, O.REFUND_DUE, Kind.REFUND_DUE, limit)


def _stopped(session: Session, status: OrderStatus, kind: Kind, limit: int) -> Iterator[Entry]:
    orders = session.scalars(
        select(Order).where(Order.status == status).order_by(Order.placed_at).limit(limit)
    ).all()
    last = (
        select(func.max(Event.id))
        .where(
            Event.order_id.in_([order.id for order in orders]),
            Event.subject == "order",
            Event.new == str(status),
        )
        .group_by(Event.order_id)
    )
    events = {
        event.order_id: event for event in session.scalars(select(Event).where(Event.id.in_(last)))
    }
    for order in orders:
        event = events.get(order.id)
        since, why = (event.at, event.why) if event else (order.placed_at, "")
        yield Entry(kind, since, "order", order.id, order.code, detail=why)


def unknown(session: Session, _now: datetime, limit: int) -> Iterator[Entry]:
    """The registry has not said what it did."""
    return _cancellations(session, C.UNKNOWN, Kind.UNKNOWN, limit)


def mismatched(session: Session, _now: datetime, limit: int) -> Iterator[Entry]:
    """The registry did something else than was ordered."""
    return _cancellations(session, C.MISMATCHED, Kind.MISMATCHED, limit)


def rejected(session: Session, _now: datetime, limit: int) -> Iterator[Entry]:
    """The registry refused."""
    return _cancellations(session, C.REJECTED, Kind.REJECTED, limit)


def _cancellations(
    session: Session, status: CancellationStatus, kind: Kind, limit: int
) -> Iterator[Entry]:
    stuck = select(Cancellation.id).where(text(STUCK), Cancellation.status == status)
    for row, code in session.execute(
        select(Cancellation, Order.code)
        .join(Order, Order.id == Cancellation.order_id)
        .where(
            Cancellation.id.in_(stuck),
            Order.status.not_in([O.REFUND_DUE, O.REFUNDED, O.WITHDRAWN]),
        )
        .order_by(Cancellation.id)
        .limit(limit)
    ):
        detail = row.registry_said or row.last_error
        since = row.sent_at or row.created_at
        yield Entry(kind, since, "cancellation", row.id, code, detail=detail)


def _odd(kind: Kind, limit: int, *conditions: ColumnElement[bool]) -> Select[Any]:
    """Payments whose money is in doubt or beyond what paid their order, by their index."""
    odd = select(Payment.id).where(text(ODD))
    return (
        select(Payment)
        .join(Payment.order)
        .where(Payment.id.in_(odd), waits(kind), *conditions)
        .options(joinedload(Payment.order))
        .order_by(Payment.id)
        .limit(limit)
    )


def _payments(session: Session, kind: Kind, wanted: Select[Any]) -> Iterator[Entry]:
    for payment in session.scalars(wanted):
        yield Entry(
            kind,
            payment.created_at,
            "payment",
            payment.id,
            payment.order.code,
            detail=f"{payment.key}: {payment.due}",
        )


def money_back(session: Session, _now: datetime, limit: int) -> Iterator[Entry]:
    """Money went back, or is said to be wrong, after the units were cancelled."""
    gone = (
        Payment.paid_order.is_(True)
        & (Payment.verdict != Verdict.EXACT)
        & (Payment.verdict != Verdict.OVER)
        & (Payment.status != P.DISPUTED)
    )
    released = Payment.verdict.in_([Verdict.SHORT, Verdict.WRONG_CURRENCY, Verdict.WRONG_PAYEE])
    wanted = _odd(
        Kind.MONEY_BACK,
        limit,
        gone & (Order.status == O.FULFILLED),
        # Less than was due, but a person let it pay: looked at already.
        ~(released & _was_released()),
    )
    return _payments(session, Kind.MONEY_BACK, wanted)


def _was_released() -> ColumnElement[bool]:
    payment, state = STATES[Kind.MONEY_BACK]
    return exists().where(
        DealtWith.kind == RELEASED,
        DealtWith.subject == payment.__tablename__,
        DealtWith.subject_id == payment.id,
        DealtWith.state == state,
    )


def disputed(session: Session, _now: datetime, limit: int) -> Iterator[Entry]:
    """The payer has asked the processor for the money back."""
    wanted = _odd(Kind.DISPUTED, limit, Payment.status == P.DISPUTED)
    return _payments(session, Kind.DISPUTED, wanted)


def surplus(session: Session, _now: datetime, limit: int) -> Iterator[Entry]:
    """More money than paid the order, or money for one that was over."""
    twice = (
        Payment.paid_order.is_(False)
        & Payment.status.in_([P.SUCCEEDED, P.IN_REVIEW])
        & Order.status.in_([O.PAID, O.FULFILLED, O.REFUNDED])
    )
    more = (
        Payment.paid_order.is_(True)
        & (Payment.verdict == Verdict.OVER)
        & Order.status.in_([O.PAID, O.FULFILLED])
        & ~_part_due()
    )
    return _payments(session, Kind.SURPLUS, _odd(Kind.SURPLUS, limit, or_(twice, more)))


def part_due(session: Session, _now: datetime, limit: int) -> Iterator[Entry]:
    """A line was given back, and its money has not gone back yet."""
    odd = select(Payment.id).where(text(ODD))
    wanted = (
        select(Payment)
        .join(Payment.order)
        .where(
            Payment.id.in_(odd),
            _part_due(),
            # Whatever else of the order waits is said there.
            Order.status.in_([O.PAID, O.IN_REVIEW, O.FULFILLED]),
        )
        .options(joinedload(Payment.order))
        .order_by(Payment.id)
        .limit(limit)
    )
    return _payments(session, Kind.PART_DUE, wanted)


def _part_due() -> ColumnElement[bool]:
    return (
        Payment.paid_order.is_(True)
        & (Payment.verdict == Verdict.OVER)
        & (Payment.waived_minor > 0)
    )


def refund_refused(session: Session, _now: datetime, limit: int) -> Iterator[Entry]:
    """A processor would not give money back."""
    for row, code in session.execute(
        select(Refund, Order.code)
        .join(Order, Order.id == Refund.order_id)
        .where(Refund.status == RefundStatus.REFUSED, waits(Kind.REFUND_REFUSED))
        .order_by(Refund.id)
        .limit(limit)
    ):
        detail = f"{row.key}: {row.said}"
        yield Entry(Kind.REFUND_REFUSED, row.created_at, "refund", row.id, code, detail=detail)


def overdue(session: Session, now: datetime, limit: int) -> Iterator[Entry]:
    """Providers that send their bank details themselves and have not within two days."""
    own = session.execute(
        select(PayoutMethod.provider_id, PayoutMethod.method_id)
        .where(PayoutMethod.account["sends_own_details"].as_string().is_not(None))
        .order_by(PayoutMethod.id)
        .limit(MOST_PROVIDERS)
    ).all()
    for order in session.scalars(
        select(Order)
        .where(
            UNDEALT,
            Order.provider_id.in_({provider_id for provider_id, _ in own}),
            Order.method_id.in_({method_id for _, method_id in own}),
            Order.placed_at <= now - timedelta(days=selling.WORKING_DAYS),
            waits(Kind.OVERDUE),
        )
        .options(selectinload(Order.provider))
        .order_by(Order.id)
        .limit(limit)
    ):
        due = selling.details_due(order)
        if due <= now and selling.sends_own_details(selling.account_of(session, order)):
            yield Entry(
                Kind.OVERDUE, due, "order", order.id, order.code, detail=order.provider.name
            )

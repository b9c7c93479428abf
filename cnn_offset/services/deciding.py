"""What operators decide on an order that does not go on by itself: a named person, a reason.

Nothing here is done by a rule. Each decision locks the order, makes sure that it is as it
was when the page was read, moves it and keeps the event; of two operators the second is
told. Money and units stay right whoever decides: see the rules of each function.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Final

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from cnn_offset.domain.payment import Verdict
from cnn_offset.domain.status import (
    LIVE,
    CancellationStatus,
    OrderStatus,
    PaymentStatus,
)
from cnn_offset.domain.text import N_
from cnn_offset.models import Cancellation, Event, Order, Payment, PaymentFact
from cnn_offset.plugins.registries.base import (
    CancellationReport,
    RegistryConnector,
    ReportStatus,
)
from cnn_offset.services import (
    Begin,
    NotFoundError,
    ServiceError,
    accepting,
    cancelling,
    deadlines,
    replacing,
    settling,
    stock,
)
from cnn_offset.services.fulfilling import fulfil
from cnn_offset.services.mailing import tell_provider, tell_purchaser
from cnn_offset.services.moves import lock_order, move, note

C, O, P = CancellationStatus, OrderStatus, PaymentStatus  # noqa: E741
DECIDED: Final = N_(
    "Something has happened to this order since you opened the page, perhaps another operator "
    "has decided. Nothing was done; please read it again."
)
NO_REASON: Final = N_("Please write the reason.")
IN_FLIGHT: Final = (C.SUBMITTED, C.UNKNOWN, C.MISMATCHED)
"""The registry may have cancelled the units."""
STUCK: Final = (C.REJECTED, C.MISMATCHED)
"""A person must decide before the order can go on."""
MONEY: Final = (P.SUCCEEDED, P.PROCESSING, P.IN_REVIEW, P.DISPUTED)
"""Money is there, on its way or in doubt."""


_SUBJECTS: Final = ("order", "payment", "cancellation", "replacement")


def state_of(session: Session, order_id: int) -> str:
    """Return what stands for all that has happened to an order so far, for forms."""
    event = session.scalar(
        select(func.max(Event.id)).where(Event.order_id == order_id, Event.subject.in_(_SUBJECTS))
    )
    fact = session.scalar(
        select(func.max(PaymentFact.id)).where(
            PaymentFact.payment_id.in_(select(Payment.id).where(Payment.order_id == order_id))
        )
    )
    return f"{event or 0}-{fact or 0}"


def payments_of(session: Session, order: Order) -> Sequence[Payment]:
    """Return the payments of an order, oldest first."""
    wanted = select(Payment).where(Payment.order_id == order.id).order_by(Payment.id)
    return session.scalars(wanted).all()


def cancellations_of(session: Session, order: Order) -> Sequence[Cancellation]:
    """Return the cancellations of an order but for those given up, oldest first."""
    wanted = select(Cancellation).where(
        Cancellation.order_id == order.id, Cancellation.status != C.GIVEN_UP
    )
    return session.scalars(wanted.order_by(Cancellation.id)).all()


def why_not_release(order: Order, payments: Sequence[Payment], rows: Sequence[Cancellation]) -> str:
    """Say why the units of an order cannot be released for cancellation; empty if they can."""
    if order.status is not O.IN_REVIEW:
        return DECIDED
    if paying(order, payments) is None:
        return N_(
            "There is no money that could pay for the units: none came, it went back, or it is "
            "still in dispute."
        )
    if any(row.status in STUCK for row in rows):
        return N_("First decide on the cancellation that the registry did not do as ordered.")
    return ""


def paying(order: Order, payments: Sequence[Payment]) -> Payment | None:
    """Return the payment whose money pays an order once a person says so.

    Only money that is there: the exact one, else the one that came last.
    """
    there = [each for each in payments if each.status is P.SUCCEEDED]
    if order.paid_at is not None:
        there = [each for each in there if each.paid_order]
    exact = [each for each in there if each.verdict is Verdict.EXACT]
    return next(iter(exact), there[-1] if there else None)


def release(
    session: Session, order_id: int, *, state: str, reason: str, actor: str, now: datetime
) -> None:
    """Let an order in review go on, so that its units are cancelled: the money is right.

    Units that are not held any more are taken again, or nothing is done. The decision holds
    for the money as it is: news about it takes the order to a person again.

    Raises:
        ServiceError: it cannot go on, or somebody decided before.

    """
    order = locked(session, order_id, state, reason)
    _release(session, order, reason=reason, actor=actor, now=now)


def _release(session: Session, order: Order, *, reason: str, actor: str, now: datetime) -> None:
    payments, rows = payments_of(session, order), cancellations_of(session, order)
    refused = why_not_release(order, payments, rows)
    payment = paying(order, payments)
    if refused or payment is None:
        raise ServiceError(refused or DECIDED)
    to_do = len(rows) < len(order.standing) or any(row.status is C.QUEUED for row in rows)
    if to_do and deadlines.is_over(session, order.id, now):
        raise ServiceError(N_("The registry cancels no units any more. The money must go back."))
    if not order.holds_units:
        wanted = [(line.offer_id, line.quantity) for line in order.standing]
        try:
            with session.begin_nested():
                stock.hold(session, wanted, closed_too=True)
        except stock.SoldOutError:
            raise ServiceError(
                N_("The units have been sold meanwhile. The money must go back.")
            ) from None
        order.holds_units = True
    accepting.accept(session, payment, reason=reason, actor=actor, now=now)
    if order.paid_at is None:
        settling.pay(session, payment, actor=actor, why=reason, now=now)
        return
    move(session, order, O.PAID, actor=actor, why=reason, now=now)
    for row in rows:
        if row.status is C.QUEUED:
            row.due_at = now
    session.flush()
    fulfil(session, order, now=now)


def why_not_refund(order: Order, payments: Sequence[Payment], rows: Sequence[Cancellation]) -> str:
    """Say why the money of an order cannot be given back; empty if it can."""
    if order.status not in (O.IN_REVIEW, O.PAID):
        return DECIDED
    if not any(each.status in (*MONEY, P.REFUNDED) for each in payments):
        return N_("No money has come for this order. It can be withdrawn instead.")
    known = {row.status for row in rows}
    if {C.CONFIRMED, C.REJECTED} <= known and paying(order, payments) is not None:
        return N_(
            "Part of the units are cancelled for good, so only the other part can go back: give "
            "back what was refused."
        )
    return _units_gone(rows)


def _units_gone(rows: Sequence[Cancellation]) -> str:
    if any(row.status in IN_FLIGHT for row in rows):
        return N_(
            "The registry may have cancelled units of this order. Wait for its answer, or decide "
            "on what it did, first."
        )
    if rows and all(row.status is C.CONFIRMED for row in rows):
        return N_("All units of this order are cancelled: it can only go on.")
    return ""


def refund(
    session: Session, order_id: int, *, state: str, reason: str, actor: str, now: datetime
) -> None:
    """Decide that the money goes back. Units that are not cancelled become free again.

    The money itself is given back by the provider, or by its processor at the word of two
    operators; the order follows when the facts say so.

    Raises:
        ServiceError: units may be gone, no money came, or somebody decided before.

    """
    order = locked(session, order_id, state, reason)
    rows = cancellations_of(session, order)
    refused = why_not_refund(order, payments_of(session, order), rows)
    if refused:
        raise ServiceError(refused)
    _let_go(session, order, rows, O.REFUND_DUE, reason=reason, actor=actor, now=now)
    if settling.follow_refunds(session, order, now=now):
        return
    tell_purchaser(session, "refund_due", order, now=now)
    tell_provider(session, "refund_to_make", order, now=now)


def why_not_withdraw(
    order: Order,
    payments: Sequence[Payment],
    rows: Sequence[Cancellation],
    *,
    doors_open: bool = False,
) -> str:
    """Say why an order in review cannot be withdrawn; empty if it can.

    With ``doors_open`` payments that nobody has begun to pay are still to be shut.
    """
    if order.status is not O.IN_REVIEW:
        return DECIDED
    hopes = MONEY if doors_open else (*MONEY, *LIVE)
    if any(each.status in hopes for each in payments):
        return N_("Money is there or may still come: it would have to go back.")
    if any(row.status is C.CONFIRMED for row in rows):
        return N_("Units of this order are cancelled: it cannot be withdrawn.")
    return _units_gone(rows)


def withdraw(
    session: Session, order_id: int, *, state: str, reason: str, actor: str, now: datetime
) -> None:
    """Withdraw an order in review for which no money is there; its units become free again.

    The purchaser is told the reason.

    Raises:
        ServiceError: money is there, units may be gone, or somebody decided before.

    """
    order = locked(session, order_id, state, reason)
    rows = cancellations_of(session, order)
    refused = why_not_withdraw(order, payments_of(session, order), rows)
    if refused:
        raise ServiceError(refused)
    _let_go(session, order, rows, O.WITHDRAWN, reason=reason, actor=actor, now=now)
    told = {"reason": reason, "by": "platform"}
    tell_purchaser(session, "order_withdrawn", order, now=now, params=told)


def _let_go(
    session: Session,
    order: Order,
    rows: Sequence[Cancellation],
    new: OrderStatus,
    *,
    reason: str,
    actor: str,
    now: datetime,
) -> None:
    """Move a locked order to where it needs no units, and release those not cancelled."""
    if not move(session, order, new, actor=actor, why=reason, now=now):
        raise ServiceError(DECIDED)
    order.due_at = None
    replacing.take_back(session, order, actor=actor, why=reason, now=now)
    gone = {row.order_line_id for row in rows if row.status is C.CONFIRMED}
    if order.holds_units:
        order.holds_units = False
        stock.release(
            session,
            ((line.offer_id, line.quantity) for line in order.standing if line.id not in gone),
        )


def retry(
    begin: Begin,
    cancellation_id: int,
    *,
    connectors: Mapping[str, RegistryConnector],
    state: str,
    reason: str,
    actor: str,
    now: datetime,
) -> None:
    """Have a rejected cancellation tried again under the same key, and let its order go on.

    The registry is asked first, here and again before anything is sent: what it did after
    all is recorded, what it refuses for good cannot be sent again.

    Raises:
        ServiceError: it cannot be tried again, or somebody decided before.
        UnavailableError, OutcomeUnknownError: the registry did not answer.

    """
    known = _asked(begin, cancellation_id, C.REJECTED, connectors)
    if known.status is ReportStatus.REFUSED:
        raise ServiceError(
            N_(
                "The registry keeps this refusal for good: it would refuse again. The money must "
                "go back."
            )
        )
    with begin() as session:
        row = session.get_one(Cancellation, cancellation_id)
        order = locked(session, row.order_id, state, reason)
        session.refresh(row)
        if order.status is not O.IN_REVIEW or row.status is not C.REJECTED:
            raise ServiceError(DECIDED)
        move(session, row, C.QUEUED, actor=actor, why=reason, now=now)
        row.due_at, row.attempts, row.last_error, row.registry_said = now, 0, "", ""
        replacing.take_back(
            session, order, line_id=row.order_line_id, actor=actor, why=reason, now=now
        )
        session.flush()
        others = cancellations_of(session, order)
        if not any(each.status in STUCK for each in others):
            _release(session, order, reason=reason, actor=actor, now=now)


def confirm(
    begin: Begin,
    cancellation_id: int,
    *,
    connectors: Mapping[str, RegistryConnector],
    state: str,
    reason: str,
    actor: str,
    now: datetime,
) -> None:
    """Take a cancellation that was not as ordered for confirmed, if the registry's report is
    right by now: asked afresh, its serial numbers checked like those of any other.

    Raises:
        ServiceError: what it reports still does not fit, or somebody decided before.
        UnavailableError, OutcomeUnknownError: the registry did not answer.

    """
    known = _asked(begin, cancellation_id, C.MISMATCHED, connectors)
    if known.status is not ReportStatus.CONFIRMED:
        raise ServiceError(N_("The registry does not report these units as cancelled."))
    with begin() as session:
        row = session.get_one(Cancellation, cancellation_id)
        locked(session, row.order_id, state, reason)
        session.refresh(row)
        if not _stands(row, C.MISMATCHED):
            raise ServiceError(DECIDED)
        note(session, row, old="", new="compared", actor=actor, why=reason, now=now)
        cancelling.record(session, row, known, connectors[row.registry_id], now=now)
        if not _stands(row, C.CONFIRMED):
            raise ServiceError(
                N_("What the registry reports still does not fit: %(fault)s"),
                fault=row.registry_said,
            )
        row.registry_said = ""


def reject(
    begin: Begin,
    cancellation_id: int,
    *,
    connectors: Mapping[str, RegistryConnector],
    state: str,
    reason: str,
    actor: str,
    now: datetime,
) -> None:
    """Take a cancellation that was not as ordered for not done, on the word of a person who
    has compared the registry's book. Nothing is sent.

    Raises:
        ServiceError: the registry is still at it, or reports what was ordered; or somebody
            decided before.
        UnavailableError, OutcomeUnknownError: the registry did not answer.

    """
    known = _asked(begin, cancellation_id, C.MISMATCHED, connectors)
    if known.status is ReportStatus.ACCEPTED:
        raise ServiceError(N_("The registry is still working on it. Please wait."))
    with begin() as session:
        row = session.get_one(Cancellation, cancellation_id)
        locked(session, row.order_id, state, reason)
        session.refresh(row)
        if row.status is not C.MISMATCHED:
            raise ServiceError(DECIDED)
        if known.status is ReportStatus.CONFIRMED and not cancelling.fault(session, row, known):
            raise ServiceError(N_("The registry reports exactly what was ordered: confirm it."))
        move(session, row, C.REJECTED, actor=actor, why=reason, now=now)


def ask(
    begin: Begin,
    cancellation_id: int,
    wanted: CancellationStatus,
    connectors: Mapping[str, RegistryConnector],
) -> CancellationReport | None:
    """Ask the registry how a cancellation stands, outside any transaction.

    None if the registry is not configured any more.

    Raises:
        NotFoundError: there is no such cancellation.
        ServiceError: it is not ``wanted``: somebody decided before.
        UnavailableError, OutcomeUnknownError: the registry did not answer.

    """
    with begin() as session:
        row = session.get(Cancellation, cancellation_id)
        if row is None:
            raise NotFoundError(str(cancellation_id))
        if row.status is not wanted:
            raise ServiceError(DECIDED)
        key, connector = row.key, connectors.get(row.registry_id)
    return connector.fetch(key) if connector else None


def _asked(
    begin: Begin,
    cancellation_id: int,
    wanted: CancellationStatus,
    connectors: Mapping[str, RegistryConnector],
) -> CancellationReport:
    known = ask(begin, cancellation_id, wanted, connectors)
    if known is None:
        raise ServiceError(N_("This registry is not configured any more."))
    return known


def remind_provider(
    session: Session, order_id: int, *, reason: str, actor: str, now: datetime
) -> None:
    """Mail the provider that an order waits for it, once a day at most.

    Raises:
        ServiceError: the order does not wait for its provider, or it was reminded today.

    """
    order = lock_order(session, order_id)
    _has_reason(reason)
    if order.status is not O.PLACED:
        raise ServiceError(DECIDED)
    today = session.scalar(
        select(Event.id).where(
            Event.order_id == order.id,
            Event.subject == "order",
            Event.new == "provider reminded",
            Event.at > now.replace(hour=0, minute=0, second=0, microsecond=0),
        )
    )
    if today is not None:
        raise ServiceError(N_("The provider was reminded today already."))
    note(session, order, old="", new="provider reminded", actor=actor, why=reason, now=now)
    dedup = f"order_undealt:{order.id}:desk:{now:%Y-%m-%d}"
    tell_provider(session, "order_undealt", order, now=now, dedup=dedup)


def locked(session: Session, order_id: int, state: str, reason: str) -> Order:
    """Return the locked order, if nothing has happened to it since ``state`` was read."""
    order = lock_order(session, order_id)
    _has_reason(reason)
    if state_of(session, order_id) != state:
        raise ServiceError(DECIDED)
    return order


def _stands(row: Cancellation, status: CancellationStatus) -> bool:
    return row.status is status


def _has_reason(reason: str) -> None:
    if not reason.strip():
        raise ServiceError(NO_REASON)

"""What follows from the facts of a payment: its status, a verdict, and the order's move.

Nothing else concludes anything from money.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime
from enum import StrEnum
from typing import Final

from sqlalchemy import select
from sqlalchemy.orm import Session, selectinload

from cnn_offset.domain.payment import Fact, FactKind, Verdict, all_back, derive, judge
from cnn_offset.domain.status import LIVE, OrderStatus, PaymentStatus
from cnn_offset.domain.text import N_
from cnn_offset.models import Order, Payment, PaymentFact
from cnn_offset.services import accepting, cases, charging, deadlines, stock
from cnn_offset.services.cancelling import queue_cancellations
from cnn_offset.services.mailing import tell_provider, tell_purchaser
from cnn_offset.services.moves import lock_order, move

TOO_LATE_CASE: Final = N_(
    "This order was paid when its registry cancelled nothing any more. The money must go back: "
    "the provider and the purchaser have been told."
)
"""Operators read it; it is kept in English."""


def add_facts(
    session: Session, payment: Payment, facts: Iterable[Fact], *, actor: str, now: datetime
) -> None:
    """Keep what is new in ``facts``; what is known already is left out."""
    # Whoever adds facts concludes from all of them: nobody else may add any meanwhile.
    lock_order(session, payment.order_id)
    session.expire(payment, ["facts"])
    known = {
        (each.kind, each.ref, each.status, each.amount_minor, each.currency)
        for each in payment.facts
    }
    for fact in facts:
        minor = fact.amount.minor if fact.amount else 0
        currency = fact.amount.currency if fact.amount else ""
        if (fact.kind, fact.ref, fact.status, minor, currency) in known:
            continue
        known.add((fact.kind, fact.ref, fact.status, minor, currency))
        payment.facts.append(
            PaymentFact(
                kind=fact.kind,
                ref=fact.ref,
                status=fact.status,
                amount_minor=minor,
                currency=currency,
                payee=fact.payee,
                at=fact.at,
                reason=fact.reason,
                # One in another currency is the account's own matter, not this payment's.
                fee_minor=fact.fee.minor if fact.fee and fact.fee.currency == currency else None,
                platform_minor=(
                    fact.platform.minor
                    if fact.platform and fact.platform.currency == currency
                    else None
                ),
                actor=actor,
                recorded_at=now,
            )
        )
    session.flush()


def conclude(session: Session, payment: Payment, *, now: datetime) -> None:
    """Draw status and verdict from the payment's facts, and move the order if need be.

    The caller has just added facts, so it holds the order's lock.
    """
    facts = [each.value for each in payment.facts]
    status = derive(facts)
    if status is not None:
        move(session, payment, status, actor=payment.method_id, why=_reason(facts), now=now)
    payment.verdict = judge(due=payment.due, payee=payment.payee_account, facts=facts)
    settle(session, payment, now=now)
    if payment.order.paid_at is not None:
        # Money may have gone back, or come twice, and of the fee with it.
        charging.look_again(session, payment.order_id)


class Outcome(StrEnum):
    """What recording money would lead to; shown to whoever is about to record it."""

    PAYS = "pays"
    """The order is paid and its units are cancelled for ever."""
    PAYS_LATE = "pays_late"
    """The same, if the units that were released are still there; else a person looks."""
    REVIEW = "review"
    """Nothing is cancelled, a person looks."""
    SURPLUS = "surplus"
    """The order was paid before: nothing more is cancelled, the money is to go back."""
    TOO_LATE = "too_late"
    """The registry cancels nothing any more: the money is to go back."""
    BACK = "back"
    """Money went back. What is not cancelled yet waits for a person."""


def foresee(payment: Payment, fact: Fact, *, is_over: bool = False) -> tuple[Outcome, Verdict]:
    """Tell what adding ``fact`` to a payment would lead to, and how the money is judged then.

    Changes nothing; says the same as :func:`conclude` would do now. ``is_over``: whether the
    order's registry cancels nothing any more.
    """
    order = payment.order
    facts = [*(each.value for each in payment.facts), fact]
    verdict = judge(due=payment.due, payee=payment.payee_account, facts=facts)
    if fact.kind is FactKind.REFUND:
        return Outcome.BACK, verdict
    ended = (OrderStatus.REFUND_DUE, OrderStatus.REFUNDED)
    if order.status is OrderStatus.PAID and payment.paid_order:
        # Before the registry was told everything, a person looks at what is odd.
        return Outcome.REVIEW, verdict
    if order.paid_at is not None or order.status in ended:
        return Outcome.SURPLUS, verdict
    if verdict is Verdict.EXACT:
        if order.status is OrderStatus.PLACED or (
            order.status is OrderStatus.IN_REVIEW and order.holds_units
        ):
            return Outcome.TOO_LATE if is_over else Outcome.PAYS, verdict
        if order.status in (OrderStatus.LAPSED, OrderStatus.WITHDRAWN):
            return Outcome.TOO_LATE if is_over else Outcome.PAYS_LATE, verdict
    return Outcome.REVIEW, verdict


def settle(session: Session, payment: Payment, *, now: datetime) -> None:
    """Let the order follow its payment: paid if exact, to a person if anything is odd."""
    order, verdict = payment.order, payment.verdict
    if order.status is OrderStatus.REFUND_DUE:
        follow_refunds(session, order, now=now)
        return
    if verdict in (Verdict.NOTHING_YET, Verdict.FAILED):
        return
    if verdict is Verdict.EXACT:
        waiting = order.status is OrderStatus.IN_REVIEW and order.paid_at is None
        held = order.status is OrderStatus.PLACED or (waiting and order.holds_units)
        over = order.status in (OrderStatus.LAPSED, OrderStatus.WITHDRAWN)
        if (held or over) and is_too_late(session, order, now):
            _send_back(session, payment, now=now)
        elif held:
            pay(session, payment, actor=payment.method_id, why="paid exactly", now=now)
        elif over:
            _pay_late(session, payment, now=now)
        elif payment.paid_order and payment.waived_minor:
            # What was due back with a line of the order has gone back.
            dedup = f"part_refunded:{payment.id}:{payment.waived_minor}"
            tell_purchaser(session, "part_refunded", order, now=now, dedup=dedup)
        # Paid once already: the surplus shows on the attention list (paid_order is False).
        return
    if order.status in (OrderStatus.PLACED, OrderStatus.LAPSED, OrderStatus.WITHDRAWN):
        held = order.status is OrderStatus.PLACED
        if move(
            session,
            order,
            OrderStatus.IN_REVIEW,
            actor=payment.method_id,
            why=f"payment {payment.key}: {verdict}" + ("" if held else ", units not held"),
            now=now,
        ):
            order.due_at = None
            tell_purchaser(session, "order_in_review", order, now=now)
    elif (
        order.status is OrderStatus.PAID
        and payment.paid_order
        and not accepting.is_right(session, payment)
        and move(
            session,
            order,
            OrderStatus.IN_REVIEW,
            actor=payment.method_id,
            why=f"payment {payment.key}: {verdict}",
            now=now,
        )
    ):
        # Money went back or is disputed before the registry was told everything.
        tell_purchaser(session, "order_in_review", order, now=now)


def follow_refunds(session: Session, order: Order, *, now: datetime) -> bool:
    """Let an order whose money is due back follow when nothing of it is left with the provider.

    The caller holds the order's lock. Returns whether this call moved it. Safe to repeat.
    """
    payments = session.scalars(
        select(Payment).where(Payment.order_id == order.id).options(selectinload(Payment.facts))
    ).all()
    back = [payment for payment in payments if all_back(each.value for each in payment.facts)]
    kept = [
        payment
        for payment in payments
        if payment not in back
        and (
            payment.status is PaymentStatus.PROCESSING
            or payment.verdict not in (Verdict.NOTHING_YET, Verdict.FAILED)
        )
    ]
    if not back or kept:
        return False
    why = "all money went back"
    actor = back[-1].method_id
    if not move(session, order, OrderStatus.REFUNDED, actor=actor, why=why, now=now):
        return False
    tell_purchaser(session, "order_refunded", order, now=now)
    return True


def pay(session: Session, payment: Payment, *, actor: str, why: str, now: datetime) -> None:
    """Let a payment pay its order, whose units are held: they are cancelled. Safe to repeat."""
    order = payment.order
    if move(session, order, OrderStatus.PAID, actor=actor, why=why, now=now):
        payment.paid_order = True
        order.paid_at = now
        order.due_at = None
        queue_cancellations(session, order, now=now)
        for other in session.scalars(
            select(Payment).where(Payment.order_id == order.id, Payment.status.in_(LIVE))
        ):
            if other.due_at is not None:
                # Its door is to be closed at once, before anybody pays a second time.
                other.due_at = now
        tell_purchaser(session, "payment_received", order, now=now)
        tell_provider(session, "order_paid", order, now=now)


def _pay_late(session: Session, payment: Payment, *, now: datetime) -> None:
    """Money for an order that had ended: take the units again if they are there."""
    order = payment.order
    if order.erased_at is not None:
        # Nobody knows any more in whose name to cancel.
        why = "paid after its personal data were erased"
        move(session, order, OrderStatus.IN_REVIEW, actor=payment.method_id, why=why, now=now)
        return
    try:
        with session.begin_nested():
            stock.hold(
                session, ((line.offer_id, line.quantity) for line in order.lines), closed_too=True
            )
    except stock.SoldOutError:
        if move(
            session,
            order,
            OrderStatus.IN_REVIEW,
            actor=payment.method_id,
            why="paid after it ended, units not held",
            now=now,
        ):
            tell_purchaser(session, "order_in_review", order, now=now)
        return
    order.holds_units = True
    pay(session, payment, actor=payment.method_id, why="paid late, units still there", now=now)


def is_too_late(session: Session, order: Order, now: datetime) -> bool:
    """Whether money for an order comes when nothing of it can be cancelled any more."""
    # Once erased nobody can be told: a person looks, as with all late money.
    return order.erased_at is None and deadlines.is_over(session, order.id, now)


def _send_back(session: Session, payment: Payment, *, now: datetime) -> None:
    """Let money that came when nothing can be cancelled any more go back; a case follows it."""
    order = payment.order
    if not move(
        session,
        order,
        OrderStatus.REFUND_DUE,
        actor=payment.method_id,
        why="paid when its registry cancelled nothing any more",
        now=now,
    ):
        return
    order.due_at = None
    if order.holds_units:
        order.holds_units = False
        stock.release(session, ((line.offer_id, line.quantity) for line in order.lines))
    for other in session.scalars(
        select(Payment).where(Payment.order_id == order.id, Payment.status.in_(LIVE))
    ):
        if other.due_at is not None:
            # Its door is to be closed at once.
            other.due_at = now
    cases.open_by_platform(session, order, TOO_LATE_CASE, now=now)
    tell_purchaser(session, "paid_too_late", order, now=now)
    tell_provider(session, "money_too_late", order, now=now)


def _reason(facts: list[Fact]) -> str:
    return next((fact.reason for fact in reversed(facts) if fact.reason), "reported")

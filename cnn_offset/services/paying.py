"""Opening payments, hearing how they stand, and what follows for the order.

Return page, webhook and sweep all end in :func:`reconcile`, so they cannot disagree.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import datetime, timedelta

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from cnn_offset.domain.calendar import RegistryDates
from cnn_offset.domain.money import Money
from cnn_offset.domain.payment import Fact, FactKind, FactStatus, is_returning
from cnn_offset.domain.reference import creditor_reference
from cnn_offset.domain.status import LIVE, OrderStatus, PaymentStatus, PayoutStatus
from cnn_offset.domain.text import N_
from cnn_offset.models import Order, Payment, PayoutMethod
from cnn_offset.plugins.errors import (
    PayeeNotReadyError,
    PluginError,
    RefusedError,
    UnavailableError,
)
from cnn_offset.plugins.loader import PluginSet
from cnn_offset.plugins.payments.base import (
    Instructions,
    PaymentPlugin,
    PaymentRequest,
    ProcessorPlugin,
    Redirect,
)
from cnn_offset.services import Begin, ServiceError, charging, ordering, paying_out, settling
from cnn_offset.services.mailing import tell_purchaser
from cnn_offset.services.moves import lock_order, move


class MethodFailedError(ServiceError):
    """The processor did not open the payment; nothing was paid."""


def prepare_payment(session: Session, order: Order, method_id: str, *, now: datetime) -> Payment:
    """Record the intent to pay ``order`` by a method, or return the one that still runs.

    Raises:
        ServiceError: the order waits for no payment, or its provider does not take this.

    """
    order = lock_order(session, order.id)
    if order.status is not OrderStatus.PLACED:
        raise ServiceError(N_("This order does not wait for a payment."))
    running = session.scalar(
        select(Payment)
        .where(
            Payment.order_id == order.id,
            Payment.method_id == method_id,
            Payment.status.in_(LIVE),
        )
        .order_by(Payment.id.desc())
    )
    if running is not None:
        return running
    payout = session.scalar(
        select(PayoutMethod).where(
            PayoutMethod.provider_id == order.provider_id,
            PayoutMethod.method_id == method_id,
            PayoutMethod.status == PayoutStatus.READY,
        )
    )
    if payout is None or order.currency not in payout.currencies:
        raise ServiceError(N_("The provider no longer takes this method. Please choose another."))
    if order.total_minor < payout.minimum_minor:
        raise ServiceError(N_("The order is below the provider's minimum for this method."))
    count = len(session.scalars(select(Payment.id).where(Payment.order_id == order.id)).all())
    payment = Payment(
        order_id=order.id,
        key=f"p-{order.code}-{count + 1}",
        method_id=method_id,
        payee=_payee(session, order, payout),
        payee_account="",
        amount_minor=order.total_minor,
        currency=order.currency,
        created_at=now,
        due_at=now + timedelta(minutes=2),
    )
    session.add(payment)
    order.method_id = method_id
    session.flush()
    return payment


def _payee(session: Session, order: Order, payout: PayoutMethod) -> dict[str, str]:
    """Return the account as it is, or the bank details that this order was told before."""
    told = session.scalars(
        select(Payment)
        .where(Payment.order_id == order.id, Payment.method_id == payout.method_id)
        .order_by(Payment.id)
    )
    return dict(next((each.payee for each in told if each.instructions), payout.account))


def open_payment(
    begin: Begin,
    payment_id: int,
    *,
    plugins: PluginSet[PaymentPlugin],
    registry_dates: Mapping[str, RegistryDates],
    return_url: Callable[[Order], str],
    describe: Callable[[Order], str],
    now: datetime,
) -> None:
    """Open a prepared payment at its processor and keep what the payer is to do.

    An order waits as long as if it had been placed with this method. Safe to repeat: an opened payment is left alone, a half-opened one is asked for again
    under the same key.

    Raises:
        MethodFailedError: the processor refuses or cannot be reached; say so, keep the form.

    """
    with begin() as session:
        payment = session.get_one(Payment, payment_id)
        plugin = plugins.get(payment.method_id)
        if plugin is None:
            raise MethodFailedError(N_("This payment method is out of service."))
        if payment.processor_ref:
            return
        payment.payee_account = plugin.payee_account(payment.payee)
        if payment.fee_minor is None:
            # Decided once: the same key must always ask for the same.
            payment.fee_minor = _fee(session, payment, plugin)
        request = PaymentRequest(
            key=payment.key,
            amount=payment.due,
            payee=payment.payee,
            order_code=payment.order.code,
            reference=creditor_reference(payment.order_id),
            description=describe(payment.order),
            locale=payment.order.locale,
            return_url=return_url(payment.order),
            payer_email=payment.order.email,
            fee=Money(payment.fee_minor, payment.currency) if payment.fee_minor else None,
        )
    try:
        answer = plugin.start(request)
    except RefusedError as error:
        with begin() as session:
            payment = session.get_one(Payment, payment_id)
            if payment.processor_ref:
                # Two asked at once; the refusal of one says nothing of the other.
                return
            refused = Fact(
                FactKind.PAYMENT, "start", FactStatus.FAILED, None, None, now, str(error)
            )
            settling.add_facts(session, payment, [refused], actor=payment.method_id, now=now)
            settling.conclude(session, payment, now=now)
            if isinstance(error, PayeeNotReadyError):
                paying_out.doubt(session, payment.order.provider_id, payment.method_id, now=now)
        raise MethodFailedError(
            N_(
                "The payment could not be opened: the provider's account does not take it now. "
                "Please choose another method or try again later."
            )
        ) from error
    except PluginError as error:
        raise MethodFailedError(
            N_(
                "The payment service does not answer. Nothing was charged. "
                "Please try again in a few minutes or choose another method."
            )
        ) from error
    with begin() as session:
        payment = session.get_one(Payment, payment_id)
        record_start(session, payment, answer, now=now)
        order = lock_order(session, payment.order_id)
        wanted = order.placed_at + plugin.due_within
        ordering.extend(order, wanted, registry_dates=registry_dates, now=now)


def _fee(session: Session, payment: Payment, plugin: PaymentPlugin) -> int:
    """Return what the processor is to set aside for the platform; the rest is billed."""
    fee = charging.fee_by_order(session, payment.order_id)
    if fee is None or not fee.amount_minor or not plugin.takes_fee(fee.amount, payment.payee):
        return 0
    return fee.amount_minor


def record_start(
    session: Session, payment: Payment, answer: Redirect | Instructions, *, now: datetime
) -> None:
    """Keep how the payer goes on. Safe to repeat."""
    if payment.processor_ref:
        return
    if isinstance(answer, Redirect):
        payment.processor_ref = answer.processor_ref
        payment.redirect_url = answer.url
        payment.due_at = now + timedelta(minutes=1)
    else:
        # Nobody is asked by it; and what the payer quotes is the same at each attempt.
        payment.processor_ref = payment.key
        payment.instructions = [
            [label, value if isinstance(value, str) else [value.minor, value.currency]]
            for label, value in answer.lines
        ]
        payment.qr = answer.qr
        payment.due_at = None
        tell_purchaser(
            session,
            "bank_instructions",
            payment.order,
            now=now,
            dedup=f"bank_instructions:{payment.id}",
            params={"payment_id": payment.id},
        )
    if payment.status is PaymentStatus.CREATED:
        move(
            session,
            payment,
            PaymentStatus.AWAITING_PAYER,
            actor=payment.method_id,
            why="opened",
            now=now,
        )


def reconcile(
    begin: Begin, payment_id: int, *, plugins: PluginSet[PaymentPlugin], now: datetime
) -> datetime | None:
    """Ask the processor how a payment stands and draw the consequences.

    The caller holds the payment's lease. Returns when to ask again, None for never.
    Safe to repeat.

    Raises:
        PluginError: no answer; nothing was concluded, ask again later.

    """
    with begin() as session:
        payment = session.get_one(Payment, payment_id)
        plugin = plugins.get(payment.method_id)
        if plugin is None:
            raise UnavailableError(f"payment method {payment.method_id} is not configured")
        if not isinstance(plugin, ProcessorPlugin) or not payment.processor_ref:
            return None
        payee, ref, key = payment.payee, payment.processor_ref, payment.key
        may_capture = _may_capture(session, payment)
        is_new = payment.status is PaymentStatus.AWAITING_PAYER
    try:
        facts = plugin.fetch(payee, ref, key=key, may_capture=may_capture)
    except RefusedError as error:
        if isinstance(error, PayeeNotReadyError):
            with begin() as session:
                payment = session.get_one(Payment, payment_id)
                paying_out.doubt(session, payment.order.provider_id, payment.method_id, now=now)
            raise
        if not is_new:
            raise
        # Processors forget what nobody paid; to close its door they must say so.
        facts = plugin.abandon(payee, ref, key=key)
    with begin() as session:
        payment = session.get_one(Payment, payment_id)
        settling.add_facts(session, payment, facts, actor=payment.method_id, now=now)
        settling.conclude(session, payment, now=now)
        return next_look(payment, now=now)


def _may_capture(session: Session, payment: Payment) -> bool:
    """Whether approved money may be taken: only while the order's units are held for it,
    and only by the newest attempt, so that two approved ones are not both taken.
    """
    newest = session.scalar(
        select(func.max(Payment.id)).where(Payment.order_id == payment.order_id)
    )
    return (
        payment.order.status is OrderStatus.PLACED
        and payment.id == newest
        and payment.status in (*LIVE, PaymentStatus.FAILED)
    )


def close_payment(
    begin: Begin, payment_id: int, *, plugins: PluginSet[PaymentPlugin], now: datetime
) -> bool:
    """Make sure that nothing can be paid any more by one attempt. The caller holds its lease.

    Returns whether the door is closed; False while money has come or may be on its way.

    Raises:
        PluginError: no answer; the door must be taken for open.

    """
    with begin() as session:
        payment = session.get_one(Payment, payment_id)
        plugin = plugins.get(payment.method_id)
        if payment.status not in (*LIVE, PaymentStatus.FAILED):
            return payment.status is PaymentStatus.ABANDONED
        payee, ref, key = payment.payee, payment.processor_ref, payment.key
        if plugin is None and ref:
            raise UnavailableError(f"payment method {payment.method_id} is not configured")
    if isinstance(plugin, ProcessorPlugin) and ref:
        facts = list(plugin.abandon(payee, ref, key=key))
    else:
        # Nobody can be asked or stopped: later money is judged when it comes.
        facts = [Fact(FactKind.PAYMENT, "closed", FactStatus.ABANDONED, None, None, now)]
    with begin() as session:
        payment = session.get_one(Payment, payment_id)
        settling.add_facts(session, payment, facts, actor=payment.method_id, now=now)
        settling.conclude(session, payment, now=now)
        return payment.status in (PaymentStatus.ABANDONED, PaymentStatus.FAILED)


def next_look(payment: Payment, *, now: datetime) -> datetime | None:
    """Say when to ask the processor again: often while the payer is there, then seldom."""
    if payment.status is PaymentStatus.CREATED:
        return None
    if payment.status is PaymentStatus.AWAITING_PAYER:
        age = now - payment.created_at
        return now + max(timedelta(minutes=1), min(age / 4, timedelta(hours=6)))
    if payment.status is PaymentStatus.FAILED and payment.order.status is OrderStatus.PLACED:
        return now + timedelta(hours=6)
    if payment.status in (
        PaymentStatus.PROCESSING,
        PaymentStatus.IN_REVIEW,
        PaymentStatus.DISPUTED,
    ):
        return now + timedelta(hours=4)
    if is_returning(each.value for each in payment.facts):
        return now + timedelta(hours=4)
    return None

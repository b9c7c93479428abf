"""Giving money back through the processor that took it: proposed, approved, then done.

What may go back follows from the payment's facts: what came less what went back or is on
its way. The intent is committed before the processor is told, and asked for again under the
same key until it answers; that money went back is said by facts alone, and the order follows
them (``settling``). A bank transfer its provider sends back itself; if no statement shows
that, two operators note it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import func, select
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session, selectinload

from cnn_offset.domain.money import Money
from cnn_offset.domain.payment import Fact, FactKind, FactStatus, left
from cnn_offset.domain.status import OrderStatus, RefundStatus
from cnn_offset.domain.text import N_
from cnn_offset.models import Order, Payment, Proposal, ProposalKind, Refund
from cnn_offset.plugins.errors import PayeeNotReadyError, RefusedError, UnavailableError
from cnn_offset.plugins.loader import PluginSet
from cnn_offset.plugins.payments.base import PaymentPlugin, ProcessorPlugin
from cnn_offset.services import (
    Begin,
    NotFoundError,
    ServiceError,
    fee_statements,
    paying,
    paying_out,
    proposing,
    settling,
)
from cnn_offset.services.moves import lock_order, move, note

_ENDED = (OrderStatus.REFUND_DUE, OrderStatus.REFUNDED)
_PAID = (OrderStatus.PAID, OrderStatus.FULFILLED)


@dataclass(frozen=True, slots=True)
class GivingBack:
    """Where a payment stands with money that may have to go back."""

    payment: Payment
    amount: Money | None
    """What can be given back now; None if nothing."""
    by_processor: bool
    """Whether we can have its processor do so; else the provider does it itself."""
    refunds: Sequence[Refund]
    proposal: Proposal | None
    """What waits for a second operator."""

    @property
    def can_propose(self) -> bool:
        """Whether it can be proposed now: to give it back, or to note that it went back."""
        return (
            self.amount is not None
            and self.proposal is None
            and all(each.status is not RefundStatus.QUEUED for each in self.refunds)
        )


def due_back(payment: Payment) -> Money | None:
    """Return what of a payment is to go back: all of it if its order is not to be fulfilled
    or another payment paid that; of the one that paid it what is more than is due.
    """
    rest = left(each.value for each in payment.facts)
    if rest is None or not payment.processor_ref:
        return None
    order = payment.order
    if order.status in _ENDED or (order.status in _PAID and not payment.paid_order):
        return rest
    stands = order.status is OrderStatus.FULFILLED or (
        # A line was given back, whatever becomes of the others.
        payment.waived_minor and order.status in (OrderStatus.PAID, OrderStatus.IN_REVIEW)
    )
    if stands and rest.currency == payment.currency and rest.minor > payment.due.minor:
        return rest - payment.due
    return None


def giving_back(
    session: Session, order: Order, *, plugins: PluginSet[PaymentPlugin]
) -> list[GivingBack]:
    """Return those payments of ``order`` of which money is to go back, or has gone through us."""
    payments = session.scalars(
        select(Payment)
        .where(Payment.order_id == order.id)
        .order_by(Payment.id)
        .options(selectinload(Payment.facts))
    ).all()
    refunds = session.scalars(
        select(Refund).where(Refund.order_id == order.id).order_by(Refund.id)
    ).all()
    found = [
        GivingBack(
            payment,
            due_back(payment),
            isinstance(plugins.get(payment.method_id), ProcessorPlugin),
            [each for each in refunds if each.payment_id == payment.id],
            proposing.waiting_for(session, ProposalKind.REFUND, payment),
        )
        for payment in payments
    ]
    return [each for each in found if each.amount or each.refunds or each.proposal]


def payment_of(session: Session, order: Order, payment_id: int) -> Payment:
    """Return one payment of ``order``.

    Raises:
        NotFoundError: it is none of that order's.

    """
    found = session.get(Payment, payment_id)
    if found is None or found.order_id != order.id:
        raise NotFoundError(str(payment_id))
    return found


def propose(
    session: Session,
    payment: Payment,
    *,
    plugins: PluginSet[PaymentPlugin],
    reason: str,
    actor: str,
    now: datetime,
) -> Proposal:
    """Propose to a second operator to give back what is due back of ``payment``.

    Where no processor can be told to, it is to note that the provider has sent it back.

    Raises:
        ServiceError: nothing is due back, it is on its way, or the method is out of service.

    """
    lock_order(session, payment.order_id)
    plugin = plugins.get(payment.method_id)
    if plugin is None:
        raise ServiceError(N_("This payment method is out of service."))
    amount = _free(session, payment)
    payload = {
        "amount_minor": amount.minor,
        "currency": amount.currency,
        "by_processor": isinstance(plugin, ProcessorPlugin),
    }
    return proposing.propose(
        session, ProposalKind.REFUND, payment, payload, reason=reason, actor=actor, now=now
    )


def _free(session: Session, payment: Payment) -> Money:
    """Return what can be given back now.

    Raises:
        ServiceError: nothing, or a refund is on its way.

    """
    session.expire(payment, ["facts"])
    if session.scalar(
        select(Refund.id).where(
            Refund.payment_id == payment.id, Refund.status == RefundStatus.QUEUED
        )
    ):
        raise ServiceError(N_("A refund of this payment is on its way already."))
    amount = due_back(payment)
    if amount is None:
        raise ServiceError(N_("There is nothing to give back of this payment."))
    return amount


@proposing.does(ProposalKind.REFUND)
def _order_refund(session: Session, proposal: Proposal, actor: str, now: datetime) -> None:
    """Commit the intent, and a job tells the processor; or note what the provider did.

    Raises:
        ServiceError: what can be given back is no longer what was proposed.

    """
    payment = session.get_one(Payment, proposal.subject_id)
    lock_order(session, payment.order_id)
    amount = _free(session, payment)
    if amount != Money(proposal.payload["amount_minor"], proposal.payload["currency"]):
        raise ServiceError(
            N_(
                "What can be given back has changed since this was proposed. "
                "Refuse it, and propose it anew."
            )
        )
    if not proposal.payload["by_processor"]:
        ref = f"noted-{proposal.id}"
        done = Fact(FactKind.REFUND, ref, FactStatus.DONE, amount, None, now, proposal.reason)
        settling.add_facts(session, payment, [done], actor=actor, now=now)
        settling.conclude(session, payment, now=now)
        return
    count = session.scalar(
        select(func.count()).select_from(Refund).where(Refund.payment_id == payment.id)
    )
    refund = Refund(
        order_id=payment.order_id,
        payment_id=payment.id,
        key=f"r{payment.key.removeprefix('p')}-{(count or 0) + 1}",
        amount_minor=amount.minor,
        currency=amount.currency,
        fee_minor=fee_statements.share_of_refund(payment, amount),
        reason=proposal.reason,
        asked_by=proposal.asked_by,
        approved_by=actor,
        created_at=now,
        due_at=now,
    )
    try:
        with session.begin_nested():
            session.add(refund)
    except IntegrityError as error:
        raise ServiceError(N_("A refund of this payment is on its way already.")) from error
    why = f"{amount}: {proposal.reason}"
    note(session, refund, old="", new=str(refund.status), actor=actor, why=why, now=now)


def give_back(
    begin: Begin, refund_id: int, *, plugins: PluginSet[PaymentPlugin], now: datetime
) -> datetime | None:
    """Tell the processor to give money back, and keep what it says. The caller holds the lease.

    Returns when to go on, None for never. Safe to repeat: the key is the same.

    Raises:
        PluginError: no answer that can be believed; ask again later, under the same key.

    """
    with begin() as session:
        refund = session.get_one(Refund, refund_id)
        if refund.status is not RefundStatus.QUEUED:
            return None
        payment = refund.payment
        plugin = plugins.get(payment.method_id)
        if not isinstance(plugin, ProcessorPlugin):
            raise UnavailableError(f"payment method {payment.method_id} is not configured")
        payee, ref, amount, key = payment.payee, payment.processor_ref, refund.amount, refund.key
        # As committed: what is told again under the same key must be the same.
        fee = refund.fee
    try:
        facts = plugin.refund(payee, ref, amount, key=key, fee=fee)
    except RefusedError as error:
        with begin() as session:
            refund = session.get_one(Refund, refund_id)
            lock_order(session, refund.order_id)
            _refused(session, refund, error, now=now)
        return None
    with begin() as session:
        refund = session.get_one(Refund, refund_id)
        payment = refund.payment
        settling.add_facts(session, payment, facts, actor=payment.method_id, now=now)
        said = "taken by the processor"
        if move(session, refund, RefundStatus.DONE, actor=payment.method_id, why=said, now=now):
            refund.done_at = now
        settling.conclude(session, payment, now=now)
        payment.due_at = paying.next_look(payment, now=now) or payment.due_at
    return None


def _refused(session: Session, refund: Refund, error: RefusedError, *, now: datetime) -> None:
    """Keep the processor's words; and look at once how the payment stands, for it knows."""
    payment, said = refund.payment, str(error)
    if move(session, refund, RefundStatus.REFUSED, actor=payment.method_id, why=said, now=now):
        refund.said, refund.done_at = said, now
    payment.due_at = now
    if isinstance(error, PayeeNotReadyError):
        paying_out.doubt(session, payment.order.provider_id, payment.method_id, now=now)

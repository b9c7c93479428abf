"""What a provider's staff sees and types: orders by bank transfer and the money for them."""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping, Sequence
from datetime import UTC, date, datetime, time, timedelta
from typing import Any, Final

from sqlalchemy import ColumnElement, or_, select
from sqlalchemy.orm import Session, selectinload

from cnn_offset.domain.calendar import add_working_days
from cnn_offset.domain.money import InexactAmountError, Money
from cnn_offset.domain.payment import Fact, FactKind, FactStatus, Verdict
from cnn_offset.domain.status import OrderStatus
from cnn_offset.domain.text import N_
from cnn_offset.models import Order, OrderLine, Payment, PayoutMethod
from cnn_offset.services import NotFoundError, ServiceError, settling
from cnn_offset.services.mailing import tell_purchaser
from cnn_offset.services.moves import lock_order, note

WORKING_DAYS: Final = 2
"""Within which a provider sends its bank details (the platform's FAQ for providers)."""
_SIGNS: Final = {"en": (",", "."), "fr": (" ", ","), "es": (".", ",")}
"""What groups thousands and what begins the decimals, by language."""


def bank_orders(
    session: Session,
    provider_id: int,
    methods: Collection[str],
    *,
    open_only: bool,
    before: int | None = None,
    limit: int = 50,
) -> Sequence[Order]:
    """Return a provider's orders by bank transfer, newest first, with their lines.

    Args:
        session: any.
        provider_id: whose; orders of others are never among them.
        methods: ids of the methods whose money shows only on a bank statement.
        open_only: only those that wait for money.
        before: only orders older than this id, for the next page.
        limit: at most so many.

    """
    wanted = select(Order).where(Order.provider_id == provider_id, _by_bank(methods))
    if open_only:
        wanted = wanted.where(Order.status == OrderStatus.PLACED)
    if before is not None:
        wanted = wanted.where(Order.id < before)
    return session.scalars(
        wanted.options(selectinload(Order.lines)).order_by(Order.id.desc()).limit(limit)
    ).all()


def _by_bank(methods: Collection[str]) -> ColumnElement[bool]:
    """Chosen now, or opened once: the money may still come."""
    opened = select(Payment.order_id).where(Payment.method_id.in_(methods))
    return or_(Order.method_id.in_(methods), Order.id.in_(opened))


def bank_order(session: Session, provider_id: int, methods: Collection[str], code: str) -> Order:
    """Return one order by bank transfer of a provider.

    Raises:
        NotFoundError: there is none, or it is another provider's.

    """
    found = session.scalar(
        select(Order)
        .where(Order.code == code, Order.provider_id == provider_id, _by_bank(methods))
        .options(selectinload(Order.lines).selectinload(OrderLine.block))
    )
    if found is None:
        raise NotFoundError(code)
    return found


def bank_payment(session: Session, order: Order) -> Payment | None:
    """Return the payment that money for ``order`` is recorded on; None before it is opened.

    Whoever was told the bank's details may use them, whatever was tried since.
    """
    attempts = session.scalars(
        select(Payment)
        .where(Payment.order_id == order.id)
        .order_by(Payment.id.desc())
        .options(selectinload(Payment.facts))
    )
    return next((each for each in attempts if each.instructions is not None), None)


def account_of(session: Session, order: Order) -> Mapping[str, Any]:
    """Return the provider's account that ``order`` is paid to: as frozen, else as it is now."""
    payment = bank_payment(session, order)
    if payment is not None:
        return payment.payee
    payout = session.scalar(
        select(PayoutMethod).where(
            PayoutMethod.provider_id == order.provider_id,
            PayoutMethod.method_id == order.method_id,
        )
    )
    return payout.account if payout else {}


def sends_own_details(account: Mapping[str, Any]) -> bool:
    """Whether the provider tells the purchaser its bank account itself."""
    return str(account.get("sends_own_details", "")).strip().casefold() == "yes"


def details_due(order: Order) -> datetime:
    """Return until when a provider is to have sent its bank details."""
    return add_working_days(order.placed_at, WORKING_DAYS)


def read_amount(text: str, currency: str, locale: str) -> Money:
    """Read an amount as people of a language write it; refuse what could mean two things.

    ``1,234.50`` in English is ``1 234,50`` in French and ``1.234,50`` in Spanish. Groups
    of thousands may be left out, but those there are must have three digits.

    Raises:
        ServiceError: the text is no such amount, or finer than the currency.

    """
    group, point = _SIGNS[locale]
    plain = re.sub(r"[\u00a0\u202f ]+", " ", text.strip())
    whole, _, decimals = plain.partition(point)
    grouped = re.fullmatch(rf"[0-9]{{1,3}}(?:{re.escape(group)}[0-9]{{3}})*|[0-9]+", whole)
    if grouped and len(plain) <= 18 and (decimals or not plain.endswith(point)):
        exact = whole.replace(group, "") + (f".{decimals}" if decimals else "")
        try:
            return Money.parse(exact, currency)
        except (InexactAmountError, ValueError):
            pass
    example = f"1{group}234{point}50"
    raise ServiceError(
        N_("Please enter an amount such as %(example)s, with no currency sign."), example=example
    )


def mark_in_progress(session: Session, order: Order, *, actor: str, now: datetime) -> None:
    """Note that the provider has sent its details or otherwise deals with a bank order."""
    if order.status is not OrderStatus.PLACED or order.in_progress_at is not None:
        return
    order.in_progress_at = now
    note(session, order, old="", new="in progress", actor=actor, why="by the provider", now=now)
    tell_purchaser(session, "order_in_progress", order, now=now)


def record_bank_money(
    session: Session,
    order: Order,
    *,
    amount: Money,
    bank_ref: str,
    received_on: date,
    actor: str,
    now: datetime,
) -> Verdict:
    """Record what a provider found on its bank statement, and judge it.

    Args:
        session: a writing transaction.
        order: to be paid by bank transfer.
        amount: what arrived, in the currency it arrived in.
        bank_ref: the bank's own reference, so that the same entry counts once.
        received_on: the value date.
        actor: who says so.
        now: the moment.

    Raises:
        ServiceError: the amount is not positive or the date lies ahead.
        NotFoundError: the order has no bank transfer to record money for.

    """
    if amount.minor <= 0:
        raise ServiceError(N_("Please enter the amount that arrived."))
    if received_on > now.date() + timedelta(days=1):
        raise ServiceError(N_("The value date lies in the future."))
    order = lock_order(session, order.id)
    payment = bank_payment(session, order)
    if payment is None:
        raise NotFoundError(order.code)
    fact = Fact(
        FactKind.PAYMENT,
        bank_ref,
        FactStatus.DONE,
        amount,
        payment.payee_account,
        datetime.combine(received_on, time(), UTC),
        "seen on the bank statement",
    )
    settling.add_facts(session, payment, [fact], actor=actor, now=now)
    settling.conclude(session, payment, now=now)
    return payment.verdict

"""What a provider's staff sees and types: its orders, their purchasers, the money for them."""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping, Sequence
from datetime import datetime
from typing import Any, Final

from sqlalchemy import ColumnElement, or_, select
from sqlalchemy.orm import Session, selectinload

from cnn_offset.domain.calendar import add_working_days
from cnn_offset.domain.money import InexactAmountError, Money
from cnn_offset.domain.status import OrderStatus
from cnn_offset.domain.text import N_
from cnn_offset.models import Block, Event, Order, OrderLine, Payment, PayoutMethod
from cnn_offset.services import NotFoundError, ServiceError
from cnn_offset.services.inbox import knows_purchaser
from cnn_offset.services.mailing import tell_purchaser
from cnn_offset.services.moves import lock_order, note

WORKING_DAYS: Final = 2
"""Within which a provider sends its bank details (the platform's FAQ for providers)."""
_SIGNS: Final = {"en": (",", "."), "fr": (" ", ","), "es": (".", ",")}
"""What groups thousands and what begins the decimals, by language."""


def provider_order(session: Session, provider_id: int, code: str) -> Order:
    """Return one order of a provider, with its lines.

    Raises:
        NotFoundError: there is none, or it is another provider's.

    """
    return _one(session, code, Order.provider_id == provider_id)


def _by_bank(methods: Collection[str]) -> ColumnElement[bool]:
    """Chosen now, or opened once: the money may still come."""
    opened = select(Payment.order_id).where(Payment.method_id.in_(methods))
    return or_(Order.method_id.in_(methods), Order.id.in_(opened))


def bank_order(session: Session, provider_id: int, methods: Collection[str], code: str) -> Order:
    """Return one order by bank transfer of a provider.

    Raises:
        NotFoundError: there is none, or it is another provider's.

    """
    return _one(session, code, Order.provider_id == provider_id, _by_bank(methods))


def _one(session: Session, code: str, *conditions: ColumnElement[bool]) -> Order:
    found = session.scalar(
        select(Order)
        .where(Order.code == code.replace("\0", ""), *conditions)
        .options(
            selectinload(Order.lines).joinedload(OrderLine.block).joinedload(Block.activity),
        )
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


def write_amount(money: Money, locale: str) -> str:
    """Write an amount so that :func:`read_amount` reads it, for forms."""
    return f"{money.amount:f}".replace(".", _SIGNS[locale][1])


def mark_in_progress(
    session: Session,
    order: Order,
    *,
    actor: str,
    now: datetime,
    why: str = "by the provider",
) -> None:
    """Note that the provider has sent its details or otherwise deals with a bank order.

    Safe to repeat: the purchaser is told once.
    """
    order = lock_order(session, order.id)
    if order.status is not OrderStatus.PLACED or order.in_progress_at is not None:
        return
    order.in_progress_at = now
    note(session, order, old="", new="in progress", actor=actor, why=why, now=now)
    tell_purchaser(session, "order_in_progress", order, now=now)


SEEN: Final = "contact seen"


def must_write_first(session: Session, order: Order) -> bool:
    """Whether the provider is to send its bank details, so that it must know whom to."""
    return order.status is OrderStatus.PLACED and sends_own_details(account_of(session, order))


def see_purchaser(session: Session, order: Order, *, actor: str, why: str, now: datetime) -> None:
    """Keep that somebody of the provider looks at who the purchaser is (G7).

    Raises:
        ServiceError: no money has come, so the provider need not know.

    """
    if not (knows_purchaser(order) or must_write_first(session, order)):
        raise ServiceError(N_("You can see who the purchaser is once the order is paid."))
    note(session, order, old="", new=SEEN, actor=actor, why=why, now=now)


def looks_at_purchaser(session: Session, order: Order) -> Sequence[Event]:
    """Return who looked at the purchaser's contact and when, newest first, at most 20."""
    return session.scalars(
        select(Event)
        .where(Event.order_id == order.id, Event.subject == "order", Event.new == SEEN)
        .order_by(Event.id.desc())
        .limit(20)
    ).all()

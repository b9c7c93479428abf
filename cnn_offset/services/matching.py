"""Which order an entry at the bank is about, and how its money compares with what is due.

The rules of payments-facts.md 4.4: our creditor reference first; a code in the free text is
a proposal; amount and time are a hint. Only orders of the provider whose bank it is.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, time
from typing import Final

from sqlalchemy import or_, select
from sqlalchemy.orm import Session, contains_eager, selectinload

from cnn_offset.domain.money import Money
from cnn_offset.domain.payment import Fact, FactKind, FactStatus, Verdict
from cnn_offset.domain.statement import StatementLine, order_codes, order_numbers
from cnn_offset.domain.status import OrderStatus, PaymentStatus
from cnn_offset.models import BankEntry, Finding, Order, Payment
from cnn_offset.services import settling
from cnn_offset.services.settling import Outcome

MOST_NAMED: Final = 20
"""Orders one payment can name; more are not looked for."""
MOST_HINTS: Final = 5


@dataclass(frozen=True, slots=True)
class Match:
    """What a line is found to be; ``order_id`` None where none or several are named."""

    finding: Finding
    order_id: int | None = None


def match(session: Session, provider_id: int, lines: Sequence[StatementLine]) -> list[Match]:
    """Find what each of some hundred lines is about. Reads only, in two queries."""
    numbers = [order_numbers(line.reference, line.text)[:MOST_NAMED] for line in lines]
    codes = [order_codes(f"{line.reference} {line.text}")[:MOST_NAMED] for line in lines]
    payments = _bank_payments(
        session,
        provider_id,
        {each for some in numbers for each in some},
        {each for some in codes for each in some},
    )
    by_code = {payment.order.code: order_id for order_id, payment in payments.items()}
    found = []
    for line, some_numbers, some_codes in zip(lines, numbers, codes, strict=True):
        named = [each for each in some_numbers if each in payments]
        named = named or [by_code[each] for each in some_codes if each in by_code]
        if len(named) == 1:
            finding = finding_for(payments[named[0]], line.amount)
            found.append(Match(finding, named[0]))
        elif line.amount.minor < 0:
            found.append(Match(Finding.OUTGOING))
        else:
            found.append(Match(Finding.SEVERAL if named else Finding.UNKNOWN))
    return found


def named_by_reference(entry: BankEntry) -> bool:
    """Whether the payer gave the order's own reference, and no other's."""
    return entry.order_id is not None and order_numbers(entry.text) == [entry.order_id]


def named_orders(session: Session, entry: BankEntry) -> list[Payment]:
    """Return the bank payments of all orders that an entry's text names, as they stand there."""
    numbers = order_numbers(entry.text)[:MOST_NAMED]
    codes = order_codes(entry.text)[:MOST_NAMED]
    payments = _bank_payments(session, entry.provider_id, set(numbers), set(codes))
    named = [each for each in numbers if each in payments]
    if not named:
        by_code = {payment.order.code: order_id for order_id, payment in payments.items()}
        named = [by_code[each] for each in codes if each in by_code]
    return [payments[each] for each in named]


def payment_of(session: Session, provider_id: int, order_id: int) -> Payment | None:
    """Return the payment that money at the bank for an order of a provider is recorded on."""
    return _bank_payments(session, provider_id, {order_id}, ()).get(order_id)


def payment_for_code(session: Session, provider_id: int, code: str) -> Payment | None:
    """Return the same for an order's code as a person types it."""
    plain = "".join(code.split()).replace("-", "").upper()
    found = _bank_payments(session, provider_id, (), {plain})
    return next(iter(found.values()), None)


def _bank_payments(
    session: Session, provider_id: int, order_ids: Collection[int], codes: Collection[str]
) -> Mapping[int, Payment]:
    """Return by order the newest payment whose payer was told of the bank, with its facts.

    One that money was recorded on goes before newer ones.
    """
    ids = [each for each in order_ids if each < 2**31]
    if not ids and not codes:
        return {}
    rows = session.scalars(
        select(Payment)
        .join(Payment.order)
        .where(
            Order.provider_id == provider_id,
            or_(Order.id.in_(ids), Order.code.in_(list(codes))),
        )
        .order_by(Payment.id)
        .options(contains_eager(Payment.order), selectinload(Payment.facts))
    )
    found: dict[int, Payment] = {}
    for payment in rows:
        if payment.instructions is None:
            continue
        old = found.get(payment.order_id)
        if old is None or not any(fact.amount_minor for fact in old.facts):
            found[payment.order_id] = payment
    return found


def fact_for(
    payment: Payment, amount: Money, ref: str, received_on: date, *, reason: str = ""
) -> Fact:
    """Make the fact that an entry at the bank is: money that came, or went back.

    The account is one of the provider's, which was made sure of where the entry came in;
    to which of them a payer sent it does not matter.
    """
    at = datetime.combine(received_on, time(), UTC)
    if amount.minor < 0:
        back = Money(-amount.minor, amount.currency)
        reason = reason or "sent back, by the bank statement"
        return Fact(FactKind.REFUND, ref, FactStatus.DONE, back, None, at, reason)
    reason = reason or "seen on the bank statement"
    return Fact(FactKind.PAYMENT, ref, FactStatus.DONE, amount, payment.payee_account, at, reason)


def finding_for(payment: Payment, amount: Money) -> Finding:
    """Compare money with what is still due on a payment."""
    if amount.minor < 0:
        return Finding.RETURNED
    if amount.currency != payment.currency:
        return Finding.OTHER_CURRENCY
    fact = fact_for(payment, amount, "\0", date(2000, 1, 1))
    outcome, verdict = settling.foresee(payment, fact)
    if outcome is Outcome.SURPLUS or payment.order.paid_at is not None:
        return Finding.PAID_ALREADY
    if outcome is Outcome.PAYS:
        return Finding.EXACT
    return {
        Verdict.SHORT: Finding.SHORT,
        Verdict.OVER: Finding.OVER,
        Verdict.WRONG_CURRENCY: Finding.OTHER_CURRENCY,
    }.get(verdict, Finding.LATE)


def hints(session: Session, entry: BankEntry) -> Sequence[Order]:
    """Return a few orders that wait for just this amount; a guess, never more."""
    if entry.amount_minor <= 0:
        return []
    return session.scalars(
        select(Order)
        .join(Payment, Payment.order_id == Order.id)
        .where(
            Order.provider_id == entry.provider_id,
            Order.status == OrderStatus.PLACED,
            Order.total_minor == entry.amount_minor,
            Order.currency == entry.currency,
            Payment.status == PaymentStatus.AWAITING_PAYER,
            Payment.redirect_url == "",
        )
        .order_by(Order.id.desc())
        .limit(MOST_HINTS)
        .distinct()
    ).all()

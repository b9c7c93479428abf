"""Monthly statements of the fees that no processor took, and of those that go back.

One sum settles everything, whatever happened in between: what is due for an order now, less
what processors have set aside for the platform, less what stands on earlier statements. So
bank transfers are billed, a processor that could not take a fee is made up for, and a refund
gives its part of the fee back.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from datetime import UTC, datetime, time, timedelta
from typing import Final

from sqlalchemy import exists, func, select, update
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.orm import Session, joinedload, selectinload

from cnn_offset.domain.fee import remaining
from cnn_offset.domain.money import Money
from cnn_offset.domain.payment import Fact, FactKind, FactStatus, latest, left
from cnn_offset.domain.period import Period
from cnn_offset.domain.status import FeeStatementStatus, OrderStatus
from cnn_offset.domain.text import N_
from cnn_offset.models import (
    Counter,
    Event,
    FeeStatement,
    FeeStatementLine,
    Order,
    OrderFee,
    Payment,
    Provider,
)
from cnn_offset.services import NotFoundError, ServiceError, charging
from cnn_offset.services.mailing import queue_message
from cnn_offset.services.moves import move, note

STATED: Final = "fee_statement"
"""The series of numbers, and the kind of mail."""
BATCH: Final = 500
_UNDECIDED: Final = (OrderStatus.IN_REVIEW, OrderStatus.REFUND_DUE)
"""Of these it is not known yet whether the money stays; the next statement looks again."""


def due(fee: OrderFee, order: Order, payments: Iterable[Payment]) -> int:
    """Return what is due for an order as things stand, in minor units.

    Nothing before it is paid, and the less the more of the money has gone back.
    """
    if order.paid_at is None or order.status in (OrderStatus.WITHDRAWN, OrderStatus.REFUNDED):
        return 0
    kept = 0
    for payment in payments:
        if payment.paid_order:
            for fact in _latest(payment):
                if fact.amount is not None and fact.amount.currency == order.currency:
                    kept += fact.amount.minor * _sign(fact)
    gone = order.total_minor - min(order.total_minor, max(0, kept))
    return remaining(fee.amount_minor, order.total_minor, gone)


def taken(payments: Iterable[Payment]) -> int:
    """Return what processors have set aside for the platform and kept so, in minor units.

    Where a processor that was asked for a fee does not say, it is believed to have taken it.
    """
    found = 0
    for payment in payments:
        for fact in _latest(payment):
            if fact.kind is FactKind.DISPUTE or fact.status is not FactStatus.DONE:
                continue
            if fact.platform is not None:
                found += fact.platform.minor * _sign(fact)
            elif fact.kind is FactKind.PAYMENT and payment.fee_minor:
                found += payment.fee_minor
    return found


def share_of_refund(payment: Payment, amount: Money) -> int:
    """Return how much of the fee a processor has set aside goes back with a refund.

    In proportion to what the provider keeps of what was due; money beyond that bore no fee.
    Never more than was set aside, in minor units; 0 if nothing was.
    """
    rest = left(each.value for each in payment.facts)
    if not payment.fee_minor or rest is None or rest.currency != payment.currency:
        return 0
    due = payment.amount_minor
    before, after = (
        remaining(payment.fee_minor, due, due - min(due, kept))
        for kept in (rest.minor, rest.minor - amount.minor)
    )
    return max(0, min(before - after, taken([payment])))


def _latest(payment: Payment) -> list[Fact]:
    return latest(each.value for each in payment.facts)


def _sign(fact: Fact) -> int:
    if fact.kind is FactKind.PAYMENT:
        return 1 if fact.status is FactStatus.DONE else 0
    went = FactStatus.DONE if fact.kind is FactKind.REFUND else FactStatus.LOST
    return -1 if fact.status is went else 0


def next_day(now: datetime) -> datetime:
    """Return the first moment of the next day (UTC), when another schedule may hold."""
    return datetime.combine(now.date() + timedelta(days=1), time(), UTC)


def next_month(now: datetime) -> datetime:
    """Return when the next statements are written: early on the first of the next month.

    An hour after it has begun, so that what was paid at its very end is known.
    """
    return Period.holding("month", now.date()).until + timedelta(hours=1)


def waiting(session: Session) -> Sequence[int]:
    """Return the ids of providers with orders that a statement must look at."""
    return session.scalars(
        select(Provider.id)
        .where(exists().where(OrderFee.provider_id == Provider.id, OrderFee.unsettled))
        .order_by(Provider.id)
    ).all()


def issue(
    session: Session, provider_id: int, month: Period, *, now: datetime
) -> list[FeeStatement]:
    """Write a provider's statements of a month, one for each currency, and mail them.

    They count the orders paid until the month's end, as they stand now. Safe to repeat: a
    provider has one statement of a month and currency, and what comes later waits for the
    next month.

    Args:
        session: a writing transaction.
        provider_id: whose.
        month: the last month that counts.
        now: the moment.

    """
    known = exists().where(
        FeeStatement.provider_id == provider_id, FeeStatement.month == month.code
    )
    if session.scalar(select(known)):
        return []
    lines: dict[str, list[tuple[int, int]]] = {}
    for fee, open_minor in _open_fees(session, provider_id, month):
        if open_minor:
            lines.setdefault(fee.currency, []).append((fee.order_id, open_minor))
    provider = session.get_one(Provider, provider_id)
    return [
        _issue(session, provider, currency, month, lines[currency], now=now)
        for currency in sorted(lines)
    ]


def _open_fees(session: Session, provider_id: int, month: Period) -> Iterator[tuple[OrderFee, int]]:
    """Yield what is open for each order that must be looked at, and take it as looked at."""
    after = 0
    while True:
        fees = session.scalars(
            select(OrderFee)
            .join(OrderFee.order)
            .where(
                OrderFee.provider_id == provider_id,
                OrderFee.unsettled,
                OrderFee.order_id > after,
                Order.paid_at < month.until,
                Order.status.not_in(_UNDECIDED),
            )
            .order_by(OrderFee.order_id)
            .limit(BATCH)
            .options(joinedload(OrderFee.order, innerjoin=True))
            # Who reports a refund meanwhile waits, and has it looked at again.
            .with_for_update(of=OrderFee)
            .execution_options(populate_existing=True)
        ).all()
        yield from still_open(session, fees)
        if fees:
            after = fees[-1].order_id
            session.execute(
                update(OrderFee)
                .where(OrderFee.order_id.in_([each.order_id for each in fees]))
                .values(unsettled=False)
                .execution_options(synchronize_session=False)
            )
        if len(fees) < BATCH:
            return


def still_open(session: Session, fees: Sequence[OrderFee]) -> Iterator[tuple[OrderFee, int]]:
    """Yield what is open for each of ``fees``, in minor units: three queries, however many."""
    ids = [each.order_id for each in fees]
    payments: dict[int, list[Payment]] = {}
    for payment in session.scalars(
        select(Payment)
        .where(Payment.order_id.in_(ids))
        .options(selectinload(Payment.facts))
        .execution_options(populate_existing=True)
    ):
        payments.setdefault(payment.order_id, []).append(payment)
    stated = {
        order_id: int(minor)
        for order_id, minor in session.execute(
            select(FeeStatementLine.order_id, func.sum(FeeStatementLine.amount_minor))
            .where(FeeStatementLine.order_id.in_(ids))
            .group_by(FeeStatementLine.order_id)
        )
    }
    for fee in fees:
        own = payments.get(fee.order_id, [])
        yield fee, due(fee, fee.order, own) - taken(own) - stated.get(fee.order_id, 0)


def _issue(
    session: Session,
    provider: Provider,
    currency: str,
    month: Period,
    lines: Sequence[tuple[int, int]],
    *,
    now: datetime,
) -> FeeStatement:
    made = FeeStatement(
        sequence=_next(session),
        provider_id=provider.id,
        currency=currency,
        month=month.code,
        total_minor=sum(minor for _, minor in lines),
        data={
            "name": provider.name,
            "lines": [line.strip() for line in provider.address.splitlines() if line.strip()],
            "country": provider.country,
            "tax_id": provider.tax_id,
            "email": provider.email,
            "locale": provider.locale,
            "pay_to": charging.pay_to(session).splitlines(),
        },
        issued_at=now,
    )
    session.add(made)
    session.flush()
    session.add_all(
        FeeStatementLine(statement_id=made.id, order_id=order_id, amount_minor=minor)
        for order_id, minor in lines
    )
    session.flush()
    why = f"{made.number}, {month.code}"
    note(session, made, old="", new=str(made.status), actor="clock", why=why, now=now)
    queue_message(
        session,
        STATED,
        recipient=provider.email,
        locale=provider.locale,
        now=now,
        dedup=f"{STATED}:{made.id}",
        params={"statement_id": made.id},
    )
    return made


def _next(session: Session) -> int:
    """Give the next number, which others wait for until the commit."""
    dialect = sqlite if session.get_bind().dialect.name == "sqlite" else postgresql
    table = Counter.__table__
    value = session.connection().scalar(
        dialect.insert(table)
        .values(name=STATED, value=1)
        .on_conflict_do_update(index_elements=["name"], set_={"value": table.c.value + 1})
        .returning(table.c.value)
    )
    return int(value)


def find(session: Session, statement_id: int, *, provider_id: int | None = None) -> FeeStatement:
    """Return a statement; with ``provider_id`` only if it is that provider's.

    Raises:
        NotFoundError: there is none.

    """
    found = session.get(FeeStatement, statement_id)
    if found is None or provider_id not in (None, found.provider_id):
        raise NotFoundError(f"statement {statement_id}")
    return found


def statements(
    session: Session,
    *,
    provider_id: int | None = None,
    status: FeeStatementStatus | None = None,
    before: int | None = None,
    limit: int,
) -> Sequence[FeeStatement]:
    """Return statements, newest first, of one provider or of all."""
    wanted = select(FeeStatement).options(joinedload(FeeStatement.provider, innerjoin=True))
    if provider_id is not None:
        wanted = wanted.where(FeeStatement.provider_id == provider_id)
    if status is not None:
        wanted = wanted.where(FeeStatement.status == status)
    if before:
        wanted = wanted.where(FeeStatement.id < before)
    return session.scalars(wanted.order_by(FeeStatement.id.desc()).limit(limit)).all()


def lines_of(
    session: Session, statement_id: int, *, after: int = 0, limit: int
) -> Sequence[FeeStatementLine]:
    """Return lines of a statement, by order, from the one after ``after`` on."""
    return session.scalars(
        select(FeeStatementLine)
        .where(FeeStatementLine.statement_id == statement_id, FeeStatementLine.order_id > after)
        .order_by(FeeStatementLine.order_id)
        .limit(limit)
        .options(joinedload(FeeStatementLine.order, innerjoin=True))
    ).all()


def history(session: Session, statement: FeeStatement) -> Sequence[Event]:
    """Return what was decided about a statement, newest first, at most 20."""
    return session.scalars(
        select(Event)
        .where(Event.subject == FeeStatement.__tablename__, Event.subject_id == statement.id)
        .order_by(Event.id.desc())
        .limit(20)
    ).all()


def settle(
    session: Session,
    statement_id: int,
    new: FeeStatementStatus,
    *,
    reason: str,
    actor: str,
    now: datetime,
) -> bool:
    """Say that a statement is settled, or that it is not after all. Safe to repeat.

    Returns whether this call did it.

    Raises:
        NotFoundError: there is no such statement.
        ServiceError: no reason is given.

    """
    if not reason.strip():
        raise ServiceError(N_("Please write the reason."))
    found = find(session, statement_id)
    return move(session, found, new, actor=actor, why=reason.strip(), now=now)

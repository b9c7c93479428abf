"""What a provider has sold, been paid and had cancelled in a period; its monthly report.

Every figure belongs to the moment it happened: a sale to when the order was paid, money to
when the processor or the bank had it, units to when the registry cancelled them. Amounts of
different currencies are never added up.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, time
from typing import Any, Final

from sqlalchemy import (
    ColumnElement,
    Select,
    String,
    and_,
    func,
    literal_column,
    or_,
    select,
)
from sqlalchemy.orm import Session, aliased

from cnn_offset.domain.money import Money
from cnn_offset.domain.payment import FactKind, FactStatus, latest
from cnn_offset.domain.period import Period
from cnn_offset.domain.status import CancellationStatus, OrderStatus
from cnn_offset.domain.units import UnitType
from cnn_offset.models import (
    Activity,
    Block,
    Cancellation,
    CancelledRange,
    Order,
    OrderLine,
    Payment,
    PaymentFact,
    Provider,
)
from cnn_offset.services.mailing import queue_message
from cnn_offset.services.moves import note

MOST_PROJECTS: Final = 100
"""Rows of the table of projects; the file of cancellations has them all."""
MAILED_AT: Final = time(6)
"""When monthly reports leave on the first of a month, in UTC."""
Place = tuple[datetime, int]
"""The last row of a part of a table; the next part begins after it."""


@dataclass(frozen=True, slots=True)
class Standing:
    """Orders placed in the period in one currency that stand alike now."""

    status: OrderStatus
    orders: int
    units: int
    total: Money


@dataclass(frozen=True, slots=True)
class Sales:
    """Orders paid in one month, in one currency; whatever became of them since."""

    month: str
    """As the code of a ``Period``."""
    orders: int
    units: int
    total: Money


@dataclass(frozen=True, slots=True)
class Takings:
    """Money that moved by one method in one currency."""

    method_id: str
    payments: int
    received: Money
    refunds: int
    refunded: Money
    disputed: Money
    """In disputes begun in the period that nobody has won or lost yet."""
    lost: Money
    """In disputes lost in the period."""
    fees: Money | None
    """What the processor said it kept; None if it told of no payment."""
    fees_told: int
    """For how many of the payments it said so."""


@dataclass(frozen=True, slots=True)
class CancelledUnits:
    """Units of one type and project that a registry cancelled."""

    registry_id: str
    ref: str
    title: dict[str, str]
    unit_type: UnitType
    cancellations: int
    units: int


@dataclass(frozen=True, slots=True)
class Report:
    """A provider's figures of a period."""

    period: Period
    placed: Sequence[Standing]
    sales: Sequence[Sales]
    takings: Sequence[Takings]
    cancelled: Sequence[CancelledUnits]
    has_more_projects: bool

    @property
    def sold(self) -> Sequence[Sales]:
        """The sales of the whole period, one for each currency."""
        sums: dict[str, Sales] = {}
        for each in self.sales:
            old = sums.get(each.total.currency)
            sums[each.total.currency] = Sales(
                self.period.code,
                each.orders + (old.orders if old else 0),
                each.units + (old.units if old else 0),
                each.total + old.total if old else each.total,
            )
        return list(sums.values())

    @property
    def units_by_month(self) -> list[tuple[Period, int]]:
        """Units sold in each month of the period; units of all currencies are alike."""
        sums: dict[str, int] = {}
        for each in self.sales:
            sums[each.month] = sums.get(each.month, 0) + each.units
        return [(month, sums.get(month.code, 0)) for month in self.period.months()]

    @property
    def cancelled_units(self) -> int:
        """All units that were cancelled, of the projects in the table."""
        return sum(each.units for each in self.cancelled)


def report(session: Session, provider_id: int, period: Period) -> Report:
    """Add up a provider's figures of a period, in a fixed number of queries."""
    cancelled = _cancelled(session, provider_id, period)
    return Report(
        period,
        _placed(session, provider_id, period),
        _sales(session, provider_id, period),
        _takings(session, provider_id, period),
        cancelled[:MOST_PROJECTS],
        len(cancelled) > MOST_PROJECTS,
    )


def _within(column: Any, period: Period) -> ColumnElement[bool]:
    return and_(column >= period.since, column < period.until)


def _units() -> Any:
    """Return the units of an order, from its lines."""
    return (
        select(func.sum(OrderLine.quantity))
        .where(OrderLine.order_id == Order.id)
        .correlate(Order)
        .scalar_subquery()
    )


def _placed(session: Session, provider_id: int, period: Period) -> list[Standing]:
    found = session.execute(
        select(
            Order.currency,
            Order.status,
            func.count(),
            func.sum(_units()),
            func.sum(Order.total_minor),
        )
        .where(Order.provider_id == provider_id, _within(Order.placed_at, period))
        .group_by(Order.currency, Order.status)
        .order_by(Order.currency)
    )
    at = list(OrderStatus).index
    return sorted(
        (
            Standing(status, orders, int(units), Money(int(minor), currency))
            for currency, status, orders, units, minor in found
        ),
        key=lambda each: (each.total.currency, at(each.status)),
    )


def _month(session: Session, column: Any) -> Any:
    """Return the month of a moment in UTC, such as ``2026-11``."""
    if session.get_bind().dialect.name == "sqlite":
        # Moments are texts there, with the month in front.
        return func.substr(column, 1, 7, type_=String())
    # Written out: a parameter in GROUP BY is another expression than that in SELECT.
    in_utc = func.timezone(literal_column("'UTC'"), column)
    return func.to_char(in_utc, literal_column("'YYYY-MM'"))


def _sales(session: Session, provider_id: int, period: Period) -> list[Sales]:
    month = _month(session, Order.paid_at)
    found = session.execute(
        select(Order.currency, month, func.count(), func.sum(_units()), func.sum(Order.total_minor))
        .where(Order.provider_id == provider_id, _within(Order.paid_at, period))
        .group_by(Order.currency, month)
        .order_by(Order.currency, month)
    )
    return [
        Sales(code, orders, int(units), Money(int(minor), currency))
        for currency, code, orders, units, minor in found
    ]


def _facts(*columns: Any, provider_id: int, period: Period) -> Select[Any]:
    return (
        select(*columns)
        .select_from(PaymentFact)
        .join(Payment, Payment.id == PaymentFact.payment_id)
        .join(Order, Order.id == Payment.order_id)
        .where(Order.provider_id == provider_id, _within(PaymentFact.at, period))
    )


def _counts() -> ColumnElement[bool]:
    """Of what was said of one payment or refund that is done, the largest amount counts.

    So does ``domain.payment.latest``; it is nearly always said once.
    """
    larger = aliased(PaymentFact)
    return and_(
        PaymentFact.kind.in_([FactKind.PAYMENT, FactKind.REFUND]),
        PaymentFact.status == FactStatus.DONE,
        ~select(larger.id)
        .where(
            larger.payment_id == PaymentFact.payment_id,
            larger.kind == PaymentFact.kind,
            larger.ref == PaymentFact.ref,
            larger.status == FactStatus.DONE,
            larger.amount_minor > PaymentFact.amount_minor,
        )
        .exists(),
    )


def _takings(session: Session, provider_id: int, period: Period) -> list[Takings]:
    money: dict[tuple[str, str], dict[FactKind, tuple[int, int, int | None, int]]] = {}
    for method_id, currency, kind, times, minor, fees, told in session.execute(
        _facts(
            Payment.method_id,
            PaymentFact.currency,
            PaymentFact.kind,
            func.count(),
            func.sum(PaymentFact.amount_minor),
            func.sum(PaymentFact.fee_minor),
            func.count(PaymentFact.fee_minor),
            provider_id=provider_id,
            period=period,
        )
        .where(_counts(), PaymentFact.currency != "")
        .group_by(Payment.method_id, PaymentFact.currency, PaymentFact.kind)
    ):
        kept = None if fees is None else int(fees)
        money.setdefault((method_id, currency), {})[kind] = (times, int(minor), kept, told)
    disputed = _disputes(session, provider_id, period)
    nothing = (0, 0, None, 0)
    made = []
    for method_id, currency in sorted({*money, *disputed}):
        kinds = money.get((method_id, currency), {})
        payments, received, fees, told = kinds.get(FactKind.PAYMENT, nothing)
        refunds, refunded, _, _ = kinds.get(FactKind.REFUND, nothing)
        open_, lost = disputed.get((method_id, currency), (0, 0))
        made.append(
            Takings(
                method_id,
                payments,
                Money(received, currency),
                refunds,
                Money(refunded, currency),
                Money(open_, currency),
                Money(lost, currency),
                None if fees is None else Money(fees, currency),
                told,
            )
        )
    return made


def _disputes(
    session: Session, provider_id: int, period: Period
) -> dict[tuple[str, str], tuple[int, int]]:
    """Return what is in open disputes and what was lost; there are never many of them."""
    wanted = _facts(PaymentFact, Payment.method_id, provider_id=provider_id, period=period).where(
        PaymentFact.kind == FactKind.DISPUTE
    )
    touched = [(fact, method_id) for fact, method_id in session.execute(wanted)]
    if not touched:
        return {}
    method_of = {fact.payment_id: method_id for fact, method_id in touched}
    refs = {(fact.payment_id, fact.ref) for fact, _ in touched}
    by_payment: dict[int, list[PaymentFact]] = {}
    for fact in session.scalars(
        select(PaymentFact).where(
            PaymentFact.payment_id.in_(method_of), PaymentFact.kind == FactKind.DISPUTE
        )
    ):
        by_payment.setdefault(fact.payment_id, []).append(fact)
    sums: dict[tuple[str, str], tuple[int, int]] = {}
    for payment_id, facts in by_payment.items():
        for now in latest(each.value for each in facts):
            if now.amount is None or (payment_id, now.ref) not in refs:
                continue
            key = (method_of[payment_id], now.amount.currency)
            open_, lost = sums.get(key, (0, 0))
            if now.status is FactStatus.LOST and period.since <= now.at < period.until:
                sums[key] = (open_, lost + now.amount.minor)
            elif now.status in (FactStatus.OPEN, FactStatus.PENDING, FactStatus.UNKNOWN):
                sums[key] = (open_ + now.amount.minor, lost)
    return sums


def _confirmed(*columns: Any, provider_id: int, period: Period) -> Select[Any]:
    return (
        select(*columns)
        .select_from(Cancellation)
        .join(Order, Order.id == Cancellation.order_id)
        .join(OrderLine, OrderLine.id == Cancellation.order_line_id)
        .join(Block, Block.id == OrderLine.block_id)
        .join(Activity, Activity.id == Block.activity_id)
        .where(
            Order.provider_id == provider_id,
            Cancellation.status == CancellationStatus.CONFIRMED,
            _within(Cancellation.completed_at, period),
        )
    )


def _cancelled(session: Session, provider_id: int, period: Period) -> list[CancelledUnits]:
    units = func.sum(Cancellation.quantity)
    sums = (
        _confirmed(
            Cancellation.registry_id,
            Block.activity_id,
            OrderLine.unit_type,
            func.count().label("times"),
            units.label("units"),
            provider_id=provider_id,
            period=period,
        )
        .group_by(Cancellation.registry_id, Block.activity_id, OrderLine.unit_type)
        .order_by(units.desc(), Block.activity_id)
        .limit(MOST_PROJECTS + 1)
        .subquery()
    )
    found = session.execute(
        select(sums, Activity.ref, Activity.title)
        .join(Activity, Activity.id == sums.c.activity_id)
        .order_by(sums.c.registry_id, sums.c.units.desc(), sums.c.activity_id)
    )
    return [
        CancelledUnits(
            row.registry_id, row.ref, row.title, row.unit_type, row.times, int(row.units)
        )
        for row in found
    ]


def orders_placed(
    session: Session, provider_id: int, period: Period, *, after: Place | None, limit: int
) -> Sequence[Any]:
    """Return a part of the orders placed in a period, oldest first.

    Rows have ``placed_at``, ``id``, ``code``, ``status``, ``method_id``, ``currency``,
    ``total_minor``, ``units``, ``purchase_order``, ``paid_at`` and ``fulfilled_at``: no
    purchaser, of whom a provider looks up the contact one by one.
    """
    wanted = select(
        Order.placed_at,
        Order.id,
        Order.code,
        Order.status,
        Order.method_id,
        Order.currency,
        Order.total_minor,
        _units().label("units"),
        Order.purchase_order,
        Order.paid_at,
        Order.fulfilled_at,
    ).where(Order.provider_id == provider_id, _within(Order.placed_at, period))
    return _part(session, wanted, Order.placed_at, Order.id, after, limit)


def money_moved(
    session: Session, provider_id: int, period: Period, *, after: Place | None, limit: int
) -> Sequence[Any]:
    """Return a part of the payments, refunds and disputes of a period, oldest first.

    Rows have ``at``, ``id``, ``code`` of the order, ``method_id``, ``kind``, ``status``,
    ``ref`` at the processor or the bank, ``currency``, ``amount_minor`` and ``fee_minor``.
    """
    wanted = _facts(
        PaymentFact.at,
        PaymentFact.id,
        Order.code,
        Payment.method_id,
        PaymentFact.kind,
        PaymentFact.status,
        PaymentFact.ref,
        PaymentFact.currency,
        PaymentFact.amount_minor,
        PaymentFact.fee_minor,
        provider_id=provider_id,
        period=period,
    ).where(PaymentFact.currency != "", or_(_counts(), PaymentFact.kind == FactKind.DISPUTE))
    return _part(session, wanted, PaymentFact.at, PaymentFact.id, after, limit)


def units_cancelled(
    session: Session, provider_id: int, period: Period, *, after: Place | None, limit: int
) -> Sequence[Any]:
    """Return a part of the ranges of serial numbers cancelled in a period, oldest first.

    Rows have ``completed_at``, ``id``, ``code`` of the order, ``registry_id``,
    ``registry_ref``, ``ref`` and ``title`` of the project, ``unit_type``, ``units`` of the
    range, ``first_text`` and ``last_text``.
    """
    wanted = _confirmed(
        Cancellation.completed_at,
        CancelledRange.id,
        Order.code,
        Cancellation.registry_id,
        Cancellation.registry_ref,
        Activity.ref,
        Activity.title,
        OrderLine.unit_type,
        (CancelledRange.last - CancelledRange.first + 1).label("units"),
        CancelledRange.first_text,
        CancelledRange.last_text,
        provider_id=provider_id,
        period=period,
    ).join(CancelledRange, CancelledRange.cancellation_id == Cancellation.id)
    return _part(session, wanted, Cancellation.completed_at, CancelledRange.id, after, limit)


def _part(
    session: Session, wanted: Select[Any], at: Any, row_id: Any, after: Place | None, limit: int
) -> Sequence[Any]:
    if after is not None:
        # The first comparison lets the index begin there.
        wanted = wanted.where(
            at >= after[0], or_(at > after[0], and_(at == after[0], row_id > after[1]))
        )
    return session.execute(wanted.order_by(at, row_id).limit(limit)).all()


def next_mailing(now: datetime) -> datetime:
    """Return when the report of the month of ``now`` is mailed: early on the next first."""
    following = Period.holding("month", now.date()).next
    return datetime.combine(following.first, MAILED_AT, now.tzinfo)


def mail_monthly(
    session: Session, provider_id: int, *, wanted: bool, actor: str, now: datetime
) -> None:
    """Switch a provider's monthly report by mail on or off. Safe to repeat."""
    provider = session.get_one(Provider, provider_id, with_for_update=True)
    if (provider.due_at is not None) == wanted:
        return
    provider.due_at = next_mailing(now) if wanted else None
    word = "monthly report"
    note(
        session,
        provider,
        old="" if wanted else word,
        new=word if wanted else "",
        actor=actor,
        why="asked for",
        now=now,
    )


def queue_monthly(session: Session, provider_id: int, *, now: datetime) -> datetime:
    """Queue the report of the month before ``now``; return when the next one is due.

    Each month is mailed once. After a standstill over several months only the last one
    is: the others are on the page. Safe to repeat.
    """
    provider = session.get_one(Provider, provider_id)
    month = Period.holding("month", now.date()).previous
    queue_message(
        session,
        "monthly_report",
        recipient=provider.email,
        locale=provider.locale,
        now=now,
        dedup=f"monthly_report:{provider.id}:{month.code}",
        params={"provider_id": provider.id, "period": month.code},
    )
    return next_mailing(now)

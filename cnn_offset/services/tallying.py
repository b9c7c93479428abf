"""Counting what reports show: by day from the orders, by month and year from the days.

A day is counted anew as a whole whenever something of it has changed, so doing it twice or
late does no harm. What has changed is read from the history (events, facts of payments):
nothing is added to the way of an order. Days are those of UTC.

========= ============================= ==================================================
measure   belongs to the day of         dimensions
========= ============================= ==================================================
placed    the order                     all, status (as it is now), purchaser, country, currency
paid      the payment that paid it      all, money (method and currency)
refunded  the money going back          all, money
cancelled the registry's confirmation   all, unit_type, registry, host, technology, purchaser, country
attested  the fulfilment                all, minutes (from payment to attestation)
cases     the first words               all, kind; claims (those that became one, by that day)
corrected the corrected attestation     all
earlier   the imported cancellation     all, unit_type, registry, host, technology
========= ============================= ==================================================
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from datetime import UTC, date, datetime, time, timedelta
from typing import Any, Final

from sqlalchemy import Date, ScalarSelect, and_, delete, func, insert, literal, or_, select, update
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.orm import Session, aliased

from cnn_offset.domain.payment import FactKind, FactStatus
from cnn_offset.domain.period import Period
from cnn_offset.domain.status import (
    CancellationStatus,
    CaseStatus,
    CorrectionStatus,
    OrderStatus,
)
from cnn_offset.models import (
    Activity,
    Attestation,
    Block,
    Cancellation,
    Case,
    Correction,
    Event,
    Figure,
    HistoricCancellation,
    Order,
    OrderLine,
    Payment,
    PaymentFact,
    Provider,
    Span,
    Tally,
)

MINUTES: Final = (
    1, 2, 3, 5, 10, 15, 20, 30, 45, 60, 90, 120, 180, 240, 360, 480, 720, 1440, 2 * 1440,
    3 * 1440, 5 * 1440, 7 * 1440, 14 * 1440, 30 * 1440, 90 * 1440, 365 * 1440,
)  # fmt: skip
"""Times from payment to attestation are kept as "within so many minutes"; see ``within``."""
Counts = dict[tuple[str, str, str], tuple[int, int, int]]
"""(measure, dimension, value): (number, units, minor)."""


def within(minutes: int) -> str:
    """Return the value under which a time is counted: the smallest limit that holds it."""
    return str(next((each for each in MINUTES if minutes <= each), MINUTES[-1] + 1))


# Making


def make_day(session: Session, day: date, *, now: datetime) -> None:
    """Count a day anew, and its month and year with it. Safe to repeat."""
    _lock(session, day.year)
    _put_day(session, day, now=now)
    _sum_up(session, Span.MONTH, day.replace(day=1))
    _sum_up(session, Span.YEAR, date(day.year, 1, 1))


def make_month(session: Session, month: Period, *, now: datetime) -> None:
    """Count every day of a month anew, but for those still to come. Safe to repeat."""
    _lock(session, month.first.year)
    day = month.first
    while day <= min(month.last, now.date()):
        _put_day(session, day, now=now)
        day += timedelta(days=1)
    _sum_up(session, Span.MONTH, month.first)
    _sum_up(session, Span.YEAR, date(month.first.year, 1, 1))


def _lock(session: Session, year: int) -> None:
    """Let nobody else sum up days of this year until the commit; SQLite has one writer."""
    first = date(year, 1, 1)
    mark(session, [first], due_at=None)
    session.scalar(select(Tally.id).where(Tally.day == first).with_for_update())


def _put_day(session: Session, day: date, *, now: datetime) -> None:
    counted = count_day(session, day)
    session.execute(delete(Figure).where(Figure.span == Span.DAY, Figure.first == day))
    if counted:
        session.execute(
            insert(Figure),
            [
                {
                    "span": Span.DAY,
                    "first": day,
                    "measure": measure,
                    "dimension": dimension,
                    "value": value,
                    "number": number,
                    "units": units,
                    "minor": minor,
                }
                for (measure, dimension, value), (number, units, minor) in counted.items()
            ],
        )
    mark(session, [day], due_at=None)
    session.execute(update(Tally).where(Tally.day == day).values(made_at=now))


def _sum_up(session: Session, span: Span, first: date) -> None:
    """Make a month of its days, or a year of its months."""
    parts, last = _parts(span, first)
    session.execute(delete(Figure).where(Figure.span == span, Figure.first == first))
    sums = (
        select(
            literal(span.value),
            literal(first, Date()),
            Figure.measure,
            Figure.dimension,
            Figure.value,
            func.sum(Figure.number),
            func.sum(Figure.units),
            func.sum(Figure.minor),
        )
        .where(Figure.span == parts, Figure.first >= first, Figure.first <= last)
        .group_by(Figure.measure, Figure.dimension, Figure.value)
    )
    columns = ["span", "first", "measure", "dimension", "value", "number", "units", "minor"]
    session.execute(insert(Figure.__table__).from_select(columns, sums))  # type: ignore[arg-type]


def _parts(span: Span, first: date) -> tuple[Span, date]:
    """Return what a month or a year is the sum of, and its last day."""
    parts = Span.DAY if span is Span.MONTH else Span.MONTH
    return parts, Period.holding(span.value, first).last


def mark(session: Session, days: Iterable[date], *, due_at: datetime | None) -> None:
    """Have days counted at ``due_at``, or only see to it that they have a row."""
    rows = [{"day": day, "due_at": due_at} for day in sorted(days)]
    if not rows:
        return
    dialect = dialect_of(session)
    table = Tally.__table__
    made = dialect.insert(table)
    statement = (
        made.on_conflict_do_nothing(index_elements=["day"])
        if due_at is None
        else made.on_conflict_do_update(
            index_elements=["day"],
            set_={"due_at": made.excluded.due_at},
            # One that is being counted is due when its lease is over: then it is again.
            where=or_(table.c.due_at.is_(None), table.c.due_at > made.excluded.due_at),
        )
    )
    session.connection().execute(statement, rows)


def dialect_of(session: Session) -> Any:
    return sqlite if session.get_bind().dialect.name == "sqlite" else postgresql


# Counting one day from the orders


def count_day(session: Session, day: date) -> Counts:
    """Count a day from the orders themselves; what was not is left out."""
    since = datetime.combine(day, time(), UTC)
    until = since + timedelta(days=1)
    counts: Counts = {}
    for count in _COUNTED:
        count(session, since, until, _adder(counts, count.__name__.lstrip("_")))
    return counts


Add = Callable[[str, str, int, int, int], None]


def _adder(counts: Counts, measure: str) -> Add:
    def add(dimension: str, value: str, number: int, units: int = 0, minor: int = 0) -> None:
        key = (measure, dimension, value[:80])
        old = counts.get(key, (0, 0, 0))
        counts[key] = (old[0] + number, old[1] + units, old[2] + minor)

    return add


def _units() -> ScalarSelect[Any]:
    """Return the units of an order, from its lines."""
    return (
        select(func.coalesce(func.sum(OrderLine.quantity), 0))
        .where(OrderLine.order_id == Order.id)
        .correlate(Order)
        .scalar_subquery()
    )


def _placed(session: Session, since: datetime, until: datetime, add: Any) -> None:
    groups = (Order.status, Order.purchaser_kind, Order.country, Order.currency)
    for status, kind, country, currency, number, units, minor in session.execute(
        select(*groups, func.count(), func.sum(_units()), func.sum(Order.total_minor))
        # All of them: the index has the status in front.
        .where(
            Order.status.in_(list(OrderStatus)), Order.placed_at >= since, Order.placed_at < until
        )
        .group_by(*groups)
    ):
        add("all", "", number, int(units))
        add("status", str(status), number, int(units))
        add("purchaser", kind, number, int(units))
        add("country", country, number, int(units))
        add("currency", currency, number, int(units), int(minor))


def _paid(session: Session, since: datetime, until: datetime, add: Any) -> None:
    for method_id, currency, number, units, minor in session.execute(
        select(
            Order.method_id,
            Order.currency,
            func.count(),
            func.sum(_units()),
            func.sum(Order.total_minor),
        )
        # Through the providers: the index has them in front.
        .select_from(Provider)
        .join(Order, Order.provider_id == Provider.id)
        .where(Order.paid_at >= since, Order.paid_at < until)
        .group_by(Order.method_id, Order.currency)
    ):
        add("all", "", number, int(units))
        add("money", f"{method_id}:{currency}", number, int(units), int(minor))


def _refunded(session: Session, since: datetime, until: datetime, add: Any) -> None:
    larger = aliased(PaymentFact)
    for method_id, currency, number, minor in session.execute(
        select(
            Payment.method_id,
            PaymentFact.currency,
            func.count(),
            func.sum(PaymentFact.amount_minor),
        )
        .join(Payment, Payment.id == PaymentFact.payment_id)
        .where(
            PaymentFact.at >= since,
            PaymentFact.at < until,
            PaymentFact.kind == FactKind.REFUND,
            PaymentFact.status == FactStatus.DONE,
            PaymentFact.currency != "",
            # Of what was said of one refund the largest amount counts (services/reporting.py).
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
        .group_by(Payment.method_id, PaymentFact.currency)
    ):
        add("all", "", number)
        add("money", f"{method_id}:{currency}", number, 0, int(minor))


def _cancelled(session: Session, since: datetime, until: datetime, add: Any) -> None:
    groups = (
        Cancellation.registry_id,
        OrderLine.unit_type,
        Activity.host_party,
        Activity.technology,
        Order.purchaser_kind,
        Order.country,
    )
    for registry_id, unit_type, host, technology, kind, country, number, units in session.execute(
        select(*groups, func.count(), func.sum(Cancellation.quantity))
        .select_from(Cancellation)
        .join(Order, Order.id == Cancellation.order_id)
        .join(OrderLine, OrderLine.id == Cancellation.order_line_id)
        .join(Block, Block.id == OrderLine.block_id)
        .join(Activity, Activity.id == Block.activity_id)
        .where(
            Cancellation.completed_at >= since,
            Cancellation.completed_at < until,
            Cancellation.status == CancellationStatus.CONFIRMED,
        )
        .group_by(*groups)
    ):
        for dimension, value in (
            ("all", ""),
            ("registry", registry_id),
            ("unit_type", str(unit_type)),
            ("host", host),
            ("technology", technology),
            ("purchaser", kind),
            ("country", country),
        ):
            add(dimension, value, number, int(units))


def _attested(session: Session, since: datetime, until: datetime, add: Any) -> None:
    for paid_at, issued_at in session.execute(
        select(Order.paid_at, Attestation.issued_at)
        .join(Order, Order.id == Attestation.order_id)
        .where(
            Attestation.fulfilled_at >= since,
            Attestation.fulfilled_at < until,
            Attestation.issued_at.is_not(None),
            # A corrected one comes long after, and is no further one.
            Attestation.supersedes_id.is_(None),
            Order.paid_at.is_not(None),
        )
        .execution_options(yield_per=2000)
    ):
        if paid_at is None or issued_at is None:
            continue
        took = max(issued_at - paid_at, timedelta())
        add("all", "", 1)
        # A minute that has begun counts as one.
        add("minutes", within(-(-took // timedelta(minutes=1))), 1)


def _cases(session: Session, since: datetime, until: datetime, add: Any) -> None:
    # Through the history, which has the index by day.
    told = (Event.subject == Case.__tablename__, Event.at >= since, Event.at < until)
    for kind, number in session.execute(
        select(Case.kind, func.count())
        .select_from(Event)
        .join(Case, Case.id == Event.subject_id)
        .where(*told, Event.old == "", Event.new == str(CaseStatus.OPEN))
        .group_by(Case.kind)
    ):
        add("all", "", number)
        add("kind", str(kind), number)
    escalated = select(func.count()).where(*told, Event.new == str(CaseStatus.ESCALATED))
    claims = session.scalar(escalated) or 0
    if claims:
        add("claims", "", claims)


def _corrected(session: Session, since: datetime, until: datetime, add: Any) -> None:
    done = session.scalar(
        select(func.count()).where(
            Event.subject == Correction.__tablename__,
            Event.at >= since,
            Event.at < until,
            Event.new == str(CorrectionStatus.CORRECTED),
        )
    )
    if done:
        add("all", "", done)


def _earlier(session: Session, since: datetime, until: datetime, add: Any) -> None:
    row = HistoricCancellation
    groups = (row.registry_id, row.unit_type, row.host_party, Activity.technology)
    for registry_id, unit_type, host, technology, number, units in session.execute(
        select(*groups, func.count(), func.sum(row.quantity))
        .outerjoin(Activity, Activity.id == row.activity_id)
        .where(row.completed_at >= since, row.completed_at < until)
        .group_by(*groups)
    ):
        for dimension, value in (
            ("all", ""),
            ("registry", registry_id),
            ("unit_type", str(unit_type)),
            ("host", host),
            # Empty if the project is not known here.
            ("technology", technology or ""),
        ):
            add(dimension, value, number, int(units))


_COUNTED: Final = (
    _placed, _paid, _refunded, _cancelled, _attested, _cases, _corrected, _earlier
)  # fmt: skip


# From the beginning, and checking


def first_day(session: Session) -> date | None:
    """Return the day of the first order or imported cancellation; None before it."""
    imported = HistoricCancellation.completed_at
    found = (
        session.scalar(select(Order.placed_at).order_by(Order.id).limit(1)),
        session.scalar(select(imported).order_by(imported).limit(1)),
    )
    return min((each.date() for each in found if each), default=None)


def forget_outside(session: Session, first: date, last: date) -> None:
    """Delete the figures of other days than those from ``first`` to ``last``."""
    session.execute(delete(Figure).where(or_(Figure.first < first, Figure.first > last)))


def check(session: Session, *, unread: set[date], sample: int = 5) -> Iterator[str]:
    """Compare some days with the orders, and their months and years with the days.

    Not those that are ``unread``: something of them may have changed since.
    """
    made = and_(Tally.made_at.is_not(None), Tally.due_at.is_(None))
    days = set(session.scalars(select(Tally.day).where(made).order_by(Tally.day.desc()).limit(3)))
    days |= set(
        session.scalars(select(Tally.day).where(made).order_by(func.random()).limit(sample))
    )
    for day in sorted(days - unread):
        if kept(session, Span.DAY, day) != count_day(session, day):
            yield f"figures of {day}: not as the orders say"
        for span, first in ((Span.MONTH, day.replace(day=1)), (Span.YEAR, date(day.year, 1, 1))):
            if kept(session, span, first) != _sums(session, *_parts(span, first), first):
                yield f"figures of the {span} from {first}: not the sum of its parts"


def _sums(session: Session, parts: Span, last: date, first: date) -> Counts:
    sums: Counts = {}
    for row in session.scalars(
        select(Figure).where(Figure.span == parts, Figure.first >= first, Figure.first <= last)
    ):
        key = (row.measure, row.dimension, row.value)
        old = sums.get(key, (0, 0, 0))
        sums[key] = (old[0] + row.number, old[1] + row.units, old[2] + row.minor)
    return sums


def kept(session: Session, span: Span, first: date) -> Counts:
    """Return what is kept of a span."""
    return {
        (row.measure, row.dimension, row.value): (row.number, row.units, row.minor)
        for row in session.scalars(select(Figure).where(Figure.span == span, Figure.first == first))
    }

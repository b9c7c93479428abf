"""Reading the figures kept of a period: what the Board report and the public page show.

A period is put together from the longest spans that lie in it, so a year costs no more to
read than a month, and how many orders there are makes no difference.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import date, timedelta
from typing import Final

from sqlalchemy import Select, func, select
from sqlalchemy.orm import Session

from cnn_offset.domain.period import Period
from cnn_offset.models import Figure, Span, Tally, Visit
from cnn_offset.services.tallying import MINUTES

MOST_DAYS: Final = 62
"""A longer period is drawn by months."""
_LENGTHS: Final = ((Span.YEAR, "year"), (Span.MONTH, "month"))


@dataclass(frozen=True, slots=True)
class Count:
    """How many, how many units, and an amount in minor units where a currency is named."""

    number: int = 0
    units: int = 0
    minor: int = 0

    def __add__(self, other: Count) -> Count:
        return Count(self.number + other.number, self.units + other.units, self.minor + other.minor)


@dataclass(frozen=True, slots=True)
class Figures:
    """All that was counted of a period."""

    period: Period
    counts: dict[tuple[str, str], dict[str, Count]]
    visits: dict[str, int]
    """By language."""

    def total(self, measure: str) -> Count:
        """Return the count of all."""
        return self.counts.get((measure, "all"), {}).get("", Count())

    def by(self, measure: str, dimension: str) -> dict[str, Count]:
        """Return counts by value of ``dimension``, the largest first."""
        found = self.counts.get((measure, dimension), {})
        return dict(
            sorted(found.items(), key=lambda pair: (-pair[1].units, -pair[1].number, pair[0]))
        )

    @property
    def all_visits(self) -> int:
        """Visits in all languages."""
        return sum(self.visits.values())

    @property
    def is_empty(self) -> bool:
        """Whether nothing at all happened."""
        return not self.counts and not self.visits

    def minutes(self, per_cent: int) -> int | None:
        """Return within how many minutes so many of a hundred attestations were issued.

        None if none was; more than the last of ``MINUTES`` if it took longer than that.
        """
        limits = sorted(
            (int(value), each.number) for value, each in self.by("attested", "minutes").items()
        )
        wanted, seen = sum(number for _, number in limits) * per_cent, 0
        for limit, number in limits:
            seen += number
            if seen * 100 >= wanted:
                return limit
        return None

    @property
    def times(self) -> list[tuple[int, int]]:
        """How many attestations were issued within each limit and not the one before."""
        found = self.by("attested", "minutes")
        return [(each, found[str(each)].number) for each in _LIMITS if str(each) in found]


_LIMITS: Final = (*MINUTES, MINUTES[-1] + 1)


@dataclass(frozen=True, slots=True)
class Point:
    """What was counted of a part of a period."""

    period: Period
    placed: Count = field(default_factory=Count)
    cancelled: Count = field(default_factory=Count)
    persons: Count = field(default_factory=Count)
    """Of what was cancelled, for orders of private persons."""
    companies: Count = field(default_factory=Count)
    earlier: Count = field(default_factory=Count)
    """What the earlier platform had cancelled; not among ``cancelled``."""


def spans(period: Period, longest: Span = Span.YEAR) -> list[tuple[Span, date, date]]:
    """Cut a period into runs of equal spans: which, the first one's day, the last one's day."""
    found: list[tuple[Span, date, date]] = []
    day = period.first
    while day <= period.last:
        span, last = Span.DAY, day
        for each, kind in _LENGTHS:
            whole = Period.holding(kind, day)
            fits = whole.first == day and whole.last <= period.last
            if fits and (each is Span.MONTH or longest is Span.YEAR) and longest is not Span.DAY:
                span, last = each, whole.last
                break
        if found and found[-1][0] is span:
            found[-1] = (span, found[-1][1], day)
        else:
            found.append((span, day, day))
        day = last + timedelta(days=1)
    return found


def read(session: Session, period: Period) -> Figures:
    """Return the figures of a period, in a handful of queries."""
    counts: dict[tuple[str, str], dict[str, Count]] = {}
    for span, first, last in spans(period):
        for row in session.execute(
            select(
                Figure.measure,
                Figure.dimension,
                Figure.value,
                func.sum(Figure.number),
                func.sum(Figure.units),
                func.sum(Figure.minor),
            )
            .where(Figure.span == span, Figure.first >= first, Figure.first <= last)
            .group_by(Figure.measure, Figure.dimension, Figure.value)
        ):
            values = counts.setdefault((row[0], row[1]), {})
            count = Count(int(row[3]), int(row[4]), int(row[5]))
            values[row[2]] = values.get(row[2], Count()) + count
    visits = session.execute(
        select(Visit.locale, func.sum(Visit.number))
        .where(Visit.day >= period.first, Visit.day <= period.last)
        .group_by(Visit.locale)
        .order_by(Visit.locale)
    )
    return Figures(period, counts, {locale: int(number) for locale, number in visits})


def course(session: Session, period: Period) -> Sequence[Point]:
    """Return the course of a period, by days if it is short, else by months."""
    by_days = (period.last - period.first).days < MOST_DAYS
    parts = list(_days(period) if by_days else period.months())
    found: dict[date, dict[str, Count]] = {}
    for span, first, last in spans(period, Span.DAY if by_days else Span.MONTH):
        for row in session.scalars(_drawn(span).where(Figure.first >= first, Figure.first <= last)):
            part = row.first if by_days else row.first.replace(day=1)
            _put(found.setdefault(part, {}), row)
    return [Point(part, **found.get(part.first if by_days else _month(part), {})) for part in parts]


def by_years(session: Session) -> Sequence[Point]:
    """Return all years from the first in which anything was ordered or cancelled."""
    found: dict[date, dict[str, Count]] = {}
    for row in session.scalars(_drawn(Span.YEAR).order_by(Figure.first)):
        _put(found.setdefault(row.first, {}), row)
    return [Point(Period.holding("year", first), **counts) for first, counts in found.items()]


def _days(period: Period) -> list[Period]:
    length = (period.last - period.first).days + 1
    days = [period.first + timedelta(days=each) for each in range(length)]
    return [Period.of_days(day, day) for day in days]


def _month(part: Period) -> date:
    return part.first.replace(day=1)


def _drawn(span: Span) -> Select[Figure]:
    return select(Figure).where(
        Figure.span == span,
        Figure.measure.in_(["placed", "cancelled", "earlier"]),
        Figure.dimension.in_(["all", "purchaser"]),
    )


_NAMES: Final = {
    ("placed", ""): "placed",
    ("cancelled", ""): "cancelled",
    ("earlier", ""): "earlier",
    ("cancelled", "person"): "persons",
    ("cancelled", "company"): "companies",
}


def _put(counts: dict[str, Count], row: Figure) -> None:
    name = _NAMES.get((row.measure, row.value))
    if name:
        counts[name] = counts.get(name, Count()) + Count(row.number, row.units, row.minor)


def waiting(session: Session) -> int:
    """Return how many days are still to be counted anew, at most a hundred."""
    due = select(Tally.id).where(Tally.due_at.is_not(None)).limit(100)
    return session.scalar(select(func.count()).select_from(due.subquery())) or 0

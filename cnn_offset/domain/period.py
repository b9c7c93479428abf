"""Periods of a report: a month, a quarter, a year, or days of one's own choice; all in UTC."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from typing import Final

LONGEST_DAYS: Final = 3 * 366
"""The longest period of one's own choice; a year is always shorter."""
_MONTHS: Final = {"month": 1, "quarter": 3, "year": 12}
_CODE: Final = re.compile(r"(2[0-9]{3})(?:-(0[1-9]|1[0-2])|-Q([1-4]))?")
_DAYS: Final = re.compile(r"(2[0-9]{3}-[0-9]{2}-[0-9]{2})_(2[0-9]{3}-[0-9]{2}-[0-9]{2})")


class PeriodError(ValueError):
    """The text names no period, or one that is too long or ends before it begins."""


@dataclass(frozen=True, slots=True)
class Period:
    """All moments from the first day's beginning to the last day's end, in UTC."""

    kind: str
    """``month``, ``quarter``, ``year`` or ``days``."""
    first: date
    last: date

    @classmethod
    def of_days(cls, first: date, last: date) -> Period:
        """Return the period from ``first`` to ``last``, both among it.

        Raises:
            PeriodError: it ends before it begins, or is longer than ``LONGEST_DAYS``.

        """
        if not first <= last <= first + timedelta(days=LONGEST_DAYS - 1):
            raise PeriodError(f"{first} to {last}")
        return cls("days", first, last)

    @classmethod
    def parse(cls, code: str) -> Period:
        """Read ``2026-11``, ``2026-Q4``, ``2026`` or ``2026-11-05_2026-11-20``.

        Raises:
            PeriodError: it is none of these.

        """
        days = _DAYS.fullmatch(code)
        if days:
            try:
                return cls.of_days(date.fromisoformat(days[1]), date.fromisoformat(days[2]))
            except ValueError as error:
                raise PeriodError(code) from error
        found = _CODE.fullmatch(code)
        if not found:
            raise PeriodError(code)
        year = int(found[1])
        if found[2]:
            return cls.holding("month", date(year, int(found[2]), 1))
        if found[3]:
            return cls.holding("quarter", date(year, int(found[3]) * 3, 1))
        return cls.holding("year", date(year, 1, 1))

    @classmethod
    def holding(cls, kind: str, day: date) -> Period:
        """Return the month, quarter or year that ``day`` lies in."""
        length = _MONTHS[kind]
        first = date(day.year, (day.month - 1) // length * length + 1, 1)
        return cls(kind, first, _months_on(first, length) - timedelta(days=1))

    @property
    def code(self) -> str:
        """The name in addresses and files; :meth:`parse` reads it back."""
        if self.kind == "month":
            return f"{self.first:%Y-%m}"
        if self.kind == "quarter":
            return f"{self.first.year}-Q{(self.first.month + 2) // 3}"
        if self.kind == "year":
            return str(self.first.year)
        return f"{self.first}_{self.last}"

    @property
    def since(self) -> datetime:
        """The first moment."""
        return datetime.combine(self.first, time(), UTC)

    @property
    def until(self) -> datetime:
        """The first moment after it."""
        return datetime.combine(self.last + timedelta(days=1), time(), UTC)

    @property
    def previous(self) -> Period:
        """The period of the same kind before this; of days, as many before."""
        if self.kind in _MONTHS:
            return self.holding(self.kind, self.first - timedelta(days=1))
        length = self.last - self.first
        return Period(self.kind, self.first - length - timedelta(days=1), self.first - timedelta(1))

    @property
    def next(self) -> Period:
        """The period of the same kind after this; of days, as many after."""
        if self.kind in _MONTHS:
            return self.holding(self.kind, self.last + timedelta(days=1))
        length = self.last - self.first
        return Period(self.kind, self.last + timedelta(1), self.last + length + timedelta(days=1))

    def months(self) -> Iterator[Period]:
        """Yield each month that some day of it lies in, in order."""
        month = self.holding("month", self.first)
        while month.first <= self.last:
            yield month
            month = month.next


def _months_on(first: date, months: int) -> date:
    at = first.year * 12 + first.month - 1 + months
    return date(at // 12, at % 12 + 1, 1)

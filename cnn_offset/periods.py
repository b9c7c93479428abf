"""Choosing the period of a report in an address: by name, or days of one's own choice."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date
from typing import Final

from flask_babel import gettext

from cnn_offset.domain.period import LONGEST_DAYS, Period, PeriodError

OFFERED: Final = (("month", 13), ("quarter", 5), ("year", 4))
"""How many periods of each kind can be chosen by name, newest first."""


def offered(today: date, *, oldest: int = 0) -> list[Period]:
    """Return the periods to choose from; ``oldest``: a year to which the years go back."""
    found = []
    for kind, times in OFFERED:
        if kind == "year" and oldest:
            times = max(times, today.year - oldest + 1)
        period = Period.holding(kind, today)
        for _ in range(times):
            found.append(period)
            period = period.previous
    return found


def asked(
    arguments: Mapping[str, str], today: date, *, kind: str = "month"
) -> tuple[Period, dict[str, str]]:
    """Return the period asked for, else the one of ``kind`` now; and what is wrong with it."""
    now = Period.holding(kind, today)
    code = arguments.get("period", "").strip()
    if code and code != "days":
        try:
            return Period.parse(code), {}
        except PeriodError:
            return now, {"period": gettext("Please choose a period from the list.")}
    if code == "days":
        errors, days = {}, []
        for name in ("from", "to"):
            try:
                days.append(date.fromisoformat(arguments.get(name, "").strip()))
            except ValueError:
                errors[name] = gettext("Please enter a day, such as 2026-11-05.")
        if not errors:
            try:
                return Period.of_days(*days), {}
            except PeriodError:
                errors["to"] = gettext(
                    "Please choose a last day that is not before the first, and at most "
                    "%(days)s days in all.",
                    days=LONGEST_DAYS,
                )
        return now, errors
    return now, {}

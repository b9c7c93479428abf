"""Units that do not last: until when they can be sold and cancelled."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, date, datetime, time, timedelta
from typing import Final

from cnn_offset.domain.calendar import RegistryDates

SALE_ENDS_BEFORE: Final = timedelta(days=7)
"""New orders end so long before the units do: they must be paid and cancelled in time, and
a person needs days where something goes wrong."""


def end_of(last_day: date) -> datetime:
    """Return the first moment at which units are valid no more; days are those of UTC."""
    return datetime.combine(last_day + timedelta(days=1), time(), UTC)


def has_expired(last_day: date | None, now: datetime) -> bool:
    """Whether units are no longer valid; None for such as last."""
    return last_day is not None and now >= end_of(last_day)


def last_order(last_day: date | None) -> datetime | None:
    """Return when new orders of units end; None for such as last."""
    return end_of(last_day) - SALE_ENDS_BEFORE if last_day else None


def narrowed(dates: RegistryDates, last_day: date | None) -> RegistryDates:
    """Return a registry's dates as they are for units that are valid until ``last_day``."""
    ordered = last_order(last_day)
    if last_day is None or ordered is None:
        return dates
    last_cancellation = min(filter(None, (dates.last_cancellation, dates.closed, end_of(last_day))))
    latest = min(filter(None, (dates.last_order, ordered, last_cancellation)))
    return replace(
        dates,
        # A registry that opens only after that never takes orders of them.
        opens=min(dates.opens, latest) if dates.opens else None,
        last_order=latest,
        last_cancellation=last_cancellation,
    )

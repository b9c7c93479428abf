"""Working days and the dates on which a registry closes."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum


def add_working_days(start: datetime, days: int) -> datetime:
    """Return ``start`` moved on by ``days`` working days, Monday to Friday.

    The two working days of the FAQ. Public holidays differ by country and are not
    counted, so a due time is never later than people expect.
    """
    moment = start
    while days > 0:
        moment += timedelta(days=1)
        if moment.weekday() < 5:
            days -= 1
    return moment


CANCELLING = timedelta(days=1)
"""What an order paid on its last day has left for its units to be cancelled."""


class RegistryPhase(StrEnum):
    """What a registry still does at a moment."""

    NOT_OPEN = "not_open"
    OPEN = "open"
    DRAINING = "draining"
    """No new orders; those in flight are still cancelled."""
    ENDED = "ended"
    """No cancellation can be made any more; look-ups may still answer."""
    CLOSED = "closed"
    """Only our own record answers."""


class Pause(StrEnum):
    """Why operators let no new orders be placed for a while; running ones go on."""

    REGISTRY = "registry"
    """This registry's offers were taken out."""
    EVERYTHING = "everything"


@dataclass(frozen=True, slots=True)
class RegistryDates:
    """When a registry connection takes what; None means no such date is set.

    Three closing dates because the hour and the handling of open orders on the CDM
    registry's last day are not published (domain-facts.md 3.5).
    """

    opens: datetime | None = None
    last_order: datetime | None = None
    last_cancellation: datetime | None = None
    closed: datetime | None = None
    pause: Pause | None = None

    def __post_init__(self) -> None:
        known = [
            each
            for each in (self.opens, self.last_order, self.last_cancellation, self.closed)
            if each is not None
        ]
        if any(each.tzinfo is None for each in known):
            raise ValueError("a registry's dates need a time zone")
        if known != sorted(known):
            raise ValueError(
                "a registry's dates must follow one another: "
                "opens, last_order, last_cancellation, closed"
            )

    def phase(self, now: datetime) -> RegistryPhase:
        """Say what the registry does at ``now``; each date is the last moment before."""
        if self.closed and now >= self.closed:
            return RegistryPhase.CLOSED
        if self.last_cancellation and now >= self.last_cancellation:
            return RegistryPhase.ENDED
        if self.last_order and now >= self.last_order:
            return RegistryPhase.DRAINING
        if self.opens and now < self.opens:
            return RegistryPhase.NOT_OPEN
        if self.pause:
            return RegistryPhase.DRAINING
        return RegistryPhase.OPEN

    def allows_method(self, now: datetime, slowest: timedelta) -> bool:
        """Whether money that takes up to ``slowest`` to arrive can still be used (C13)."""
        return self.phase(now) is RegistryPhase.OPEN and (
            self.last_cancellation is None or now + slowest <= self.last_cancellation
        )

    def latest_due(self, wanted: datetime) -> datetime:
        """Return ``wanted``, or if that is earlier a day before the last cancellation.

        Money that is confirmed in the last moment must still be cancelled in time.
        """
        if self.last_cancellation is None:
            return wanted
        return min(wanted, self.last_cancellation - CANCELLING)

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


NOTICE = timedelta(days=30)
"""How long before the last order everybody is told until when units can be ordered."""
LAST_DAY = timedelta(days=1)


@dataclass(frozen=True, slots=True)
class Countdown:
    """How long orders are still taken, near the end of a registry."""

    until: datetime
    days: int
    """Whole days that are left; 0 on the last."""
    hours: int
    """Hours that are left, the one that runs counted too; said on the last day."""


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
    MOVING = "moving"
    """What lies in it is moving to the registry that succeeds it."""
    EVERYTHING = "everything"
    RETIRED = "retired"
    """The configuration keeps the registry for running orders only (E12)."""


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

    @property
    def orders_until(self) -> datetime | None:
        """The moment from which on no new order is taken; None if none is set."""
        return self.last_order or self.last_cancellation or self.closed

    @property
    def end(self) -> datetime | None:
        """The moment from which on nothing is cancelled any more; None if none is set."""
        return self.last_cancellation or self.closed

    def countdown(self, now: datetime) -> Countdown | None:
        """Say how long orders are still taken; None if not at all, or not near the end."""
        until = self.orders_until
        if until is None or self.phase(now) is not RegistryPhase.OPEN or now < until - NOTICE:
            return None
        left = until - now
        return Countdown(until, left // LAST_DAY, -(-left // timedelta(hours=1)))

    def method_until(self, slowest: timedelta) -> datetime | None:
        """Return the last moment at which a new order could be paid so (C13); None for no end."""
        if self.end is None:
            return self.orders_until
        return min(self.end - slowest, self.orders_until or self.end)

    def allows_method(self, now: datetime, slowest: timedelta, *, placed: bool = False) -> bool:
        """Whether money that takes up to ``slowest`` to arrive can still be used (C13).

        ``placed``: for an order that was placed before, which may be paid after the last order.
        """
        takes = (RegistryPhase.OPEN, RegistryPhase.DRAINING) if placed else (RegistryPhase.OPEN,)
        return self.phase(now) in takes and (self.end is None or now + slowest <= self.end)

    def latest_due(self, wanted: datetime) -> datetime:
        """Return ``wanted``, or if that is earlier a day before the end.

        Money that is confirmed in the last moment must still be cancelled in time.
        """
        return wanted if self.end is None else min(wanted, self.end - CANCELLING)

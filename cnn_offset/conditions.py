"""What operators have set and how the outside answers, as each process knows it.

Read anew every two seconds, so that a switch holds on all processes within seconds and
costs a page nothing.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from threading import Lock
from time import monotonic
from typing import Any, Final

from flask import g, has_request_context
from sqlalchemy import Engine, select
from sqlalchemy.exc import SQLAlchemyError

from cnn_offset.domain.calendar import Pause, RegistryDates
from cnn_offset.domain.status import SurveyStatus
from cnn_offset.models import CallHealth, Survey, Switch
from cnn_offset.services import switching

LOOK_EVERY: Final = 2.0
"""Seconds for which a process goes by what it has read."""
SILENT_FOR: Final = timedelta(minutes=10)
"""How long a registry's calls must fail before purchasers are told (F9)."""
OLD_NEWS: Final = timedelta(minutes=40)
"""After this a failure that was never repeated says nothing any more; what is tried again
is so at least every fifteen minutes."""
_CANCELLING: Final = ("cancel", "fetch")
"""The calls without which no unit is cancelled."""

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Notice:
    """What operators tell everybody, in three languages, from one moment until another."""

    text: Mapping[str, str]
    starts_at: datetime
    ends_at: datetime

    def holds(self, now: datetime) -> bool:
        """Whether it is shown at ``now``."""
        return self.starts_at <= now < self.ends_at


@dataclass(frozen=True)
class CallState:
    """How one kind of call to a registry went lately."""

    name: str
    call: str
    succeeded_at: datetime | None
    failed_at: datetime | None
    failing_since: datetime | None


@dataclass(frozen=True)
class OpenSurvey:
    """A survey that can be answered between two moments."""

    slug: str
    title: Mapping[str, str]
    starts_at: datetime
    ends_at: datetime


@dataclass(frozen=True)
class Conditions:
    """What holds now beside the configuration."""

    methods_off: frozenset[str] = frozenset()
    """Payment methods that new checkouts do not offer."""
    registries_off: frozenset[str] = frozenset()
    registries_moving: frozenset[str] = frozenset()
    """Those between which units are moving."""
    orders_stopped: bool = False
    notice: Notice | None = None
    dates: Mapping[str, RegistryDates] = field(default_factory=dict)
    """Instead of the configuration's."""
    calls: tuple[CallState, ...] = ()
    surveys: tuple[OpenSurvey, ...] = ()

    def pause(self, registry_id: str) -> Pause | None:
        """Say why no new order may take units of a registry, if so."""
        if self.orders_stopped:
            return Pause.EVERYTHING
        if registry_id in self.registries_off:
            return Pause.REGISTRY
        return Pause.MOVING if registry_id in self.registries_moving else None

    def silent_since(self, registry_id: str, now: datetime) -> datetime | None:
        """Return since when a registry has not answered, if that is so for a while (F9)."""
        own = [each for each in self.calls if each.name == registry_id]
        latest = max((each.succeeded_at for each in own if each.succeeded_at), default=None)
        since = [
            each.failing_since
            for each in own
            if each.failing_since
            and each.failed_at
            and each.failing_since <= now - SILENT_FOR
            and each.failed_at >= now - OLD_NEWS
            # One that lists nothing may still cancel; one that does not cancel is silent.
            and (each.call in _CANCELLING or latest is None or latest < each.failing_since)
        ]
        return min(since, default=None)


class ConditionsKeeper:
    """Holds the newest conditions; asks the database when they are two seconds old.

    Called without an application context too. Where the database cannot be asked, what was
    known before holds on: a page must not fail for it.
    """

    def __init__(self) -> None:
        self._engine: Engine | None = None
        self._eager: Callable[[], bool] = bool
        self._busy = Lock()
        self._known = Conditions()
        self._look_at = 0.0

    def open(self, engine: Engine, *, eager: Callable[[], bool]) -> None:
        """Read from ``engine``; while ``eager`` says so, once for each request."""
        self._engine, self._eager = engine, eager

    def __call__(self) -> Conditions:
        """Return what holds now, as far as this process knows."""
        if self._engine is None:
            return self._known
        if self._eager():
            return self._of_request(self._engine)
        if monotonic() >= self._look_at and self._busy.acquire(blocking=False):
            try:
                self._known = self._read(self._engine)
            finally:
                self._look_at = monotonic() + LOOK_EVERY
                self._busy.release()
        return self._known

    def _of_request(self, engine: Engine) -> Conditions:
        if not has_request_context():
            return self._read(engine)
        if "conditions" not in g:
            g.conditions = self._read(engine)
        found: Conditions = g.conditions
        return found

    def _read(self, engine: Engine) -> Conditions:
        try:
            with engine.connect() as connection:
                switches = {row.name: row.value for row in connection.execute(_SWITCHES)}
                calls = connection.execute(_CALLS).all()
                surveys = connection.execute(_SURVEYS).all()
        except SQLAlchemyError:
            log.exception("what operators have set could not be read; the last known holds")
            return self._known
        return Conditions(
            methods_off=_names(switches.get(switching.METHODS)),
            registries_off=_names(switches.get(switching.REGISTRIES)),
            registries_moving=_names(switches.get(switching.MOVING)),
            orders_stopped=bool(switches.get(switching.ORDERS, {}).get("stopped")),
            notice=_notice(switches.get(switching.NOTICE)),
            dates=_dates(switches),
            calls=tuple(CallState(*row) for row in calls),
            surveys=tuple(OpenSurvey(*row) for row in surveys),
        )


_SWITCHES: Final = select(Switch.name, Switch.value).where(
    Switch.name.in_(switching.NAMES) | Switch.name.startswith(switching.DATES, autoescape=True)
)
_CALLS: Final = select(
    CallHealth.name,
    CallHealth.call,
    CallHealth.succeeded_at,
    CallHealth.failed_at,
    CallHealth.failing_since,
).where(CallHealth.kind == "registry")
_SURVEYS: Final = (
    select(Survey.slug, Survey.title, Survey.starts_at, Survey.ends_at)
    .where(Survey.status == SurveyStatus.OPEN)
    .order_by(Survey.id.desc())
    .limit(20)
)


def _names(value: Mapping[str, Any] | None) -> frozenset[str]:
    return frozenset((value or {}).get("off", ()))


def _notice(value: Mapping[str, Any] | None) -> Notice | None:
    if not value or not value.get("text"):
        return None
    return Notice(
        value["text"],
        datetime.fromisoformat(value["starts_at"]),
        datetime.fromisoformat(value["ends_at"]),
    )


def _dates(switches: Mapping[str, Mapping[str, Any]]) -> dict[str, RegistryDates]:
    found = {}
    for name, value in switches.items():
        if name.startswith(switching.DATES) and value:
            # What the database holds was checked before; a hand may have written it since.
            with suppress(ValueError, TypeError):
                found[name.removeprefix(switching.DATES)] = switching.read_dates(value)
    return found

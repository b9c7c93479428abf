"""The Flask extensions, bound in ``create_app``, and the one owner of commits."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any

import sqlalchemy as sa
from flask import current_app, url_for
from flask_babel import Babel
from flask_limiter import Limiter
from flask_limiter.util import get_remote_address
from flask_migrate import Migrate
from flask_security import Security
from flask_sqlalchemy import SQLAlchemy
from flask_wtf.csrf import CSRFProtect
from fsspec import AbstractFileSystem
from sqlalchemy import event
from sqlalchemy.orm import Session

from cnn_offset.conditions import Conditions
from cnn_offset.config import Settings
from cnn_offset.domain.calendar import Pause, RegistryDates, RegistryPhase
from cnn_offset.models.base import Model, WorkMixin
from cnn_offset.plugins.loader import PluginSet
from cnn_offset.plugins.payments.base import PaymentPlugin, StatementPlugin
from cnn_offset.plugins.registries.base import RegistryConnector
from cnn_offset.services import announce
from cnn_offset.services.archive import Archive
from cnn_offset.watching import CallWatch

db = SQLAlchemy(disable_autonaming=True)
babel = Babel()
csrf = CSRFProtect()
limiter = Limiter(get_remote_address, default_limits=["600 per minute"])
migrate = Migrate()
security = Security()


@dataclass(frozen=True)
class Platform:
    """What the edges hand to the services: settings, plug-ins, clock, files, doorbell."""

    settings: Settings
    payments: PluginSet[PaymentPlugin]
    registries: PluginSet[RegistryConnector]
    clock: Callable[[], datetime]
    files: AbstractFileSystem
    """The file store, rooted: paths are relative, such as ``attestations/7.pdf``."""
    ring: Callable[[str, int], None]
    """Say, after a commit, that a row of a table has work that is due now."""
    conditions: Callable[[], Conditions] = Conditions
    """What operators have set beside the configuration, a few seconds old at most."""
    calls: CallWatch = field(default_factory=CallWatch)
    """How calls to the outside went in this process."""
    old_titles: Callable[[str], Mapping[str, str]] = lambda _kind: {}
    """Titles of plug-ins that have run here before: of ``payment`` or ``registry``, by name."""

    @property
    def method_titles(self) -> dict[str, str]:
        """What payment methods are called, message ids; those that are gone come last."""
        now = {name: each.title for name, each in self.payments.items()}
        return now | {k: v for k, v in self.old_titles("payment").items() if k not in now}

    @property
    def registry_titles(self) -> dict[str, str]:
        """What registries are called, message ids; those that are gone come last."""
        now = {name: each.title for name, each in self.registries.items()}
        return now | {k: v for k, v in self.old_titles("registry").items() if k not in now}

    @property
    def methods_retired(self) -> frozenset[str]:
        """Payment methods that only take care of what was begun (E12)."""
        return frozenset(name for name, each in self.settings.PAYMENTS.items() if each.retired)

    @property
    def registries_retired(self) -> frozenset[str]:
        """Registries that only take care of what was begun (E12)."""
        return frozenset(name for name, each in self.settings.REGISTRIES.items() if each.retired)

    @property
    def payments_kept(self) -> PluginSet[PaymentPlugin]:
        """The payment methods that are not retired: by these providers may choose to be paid."""
        gone = self.methods_retired
        return PluginSet({name: each for name, each in self.payments.items() if name not in gone})

    @property
    def bank_methods(self) -> list[str]:
        """The payment methods whose money shows only on a provider's bank statement."""
        return [name for name, each in self.payments.items() if isinstance(each, StatementPlugin)]

    @property
    def registry_dates(self) -> dict[str, RegistryDates]:
        """When each registry connection takes what: operators' dates before the configuration's."""
        changed = self.conditions().dates
        return {
            name: changed.get(name) or each.dates
            for name, each in self.settings.REGISTRIES.items()
            # A retired one may be uninstalled.
            if not each.retired or name in self.registries
        }

    @property
    def dates_for_offers(self) -> dict[str, RegistryDates]:
        """Those dates as an offer meets them: a retired registry takes none."""
        gone = self.registries_retired
        return {
            name: replace(dates, pause=Pause.RETIRED) if name in gone else dates
            for name, dates in self.registry_dates.items()
        }

    @property
    def connectors(self) -> PluginSet[RegistryConnector]:
        """What is called at each registry: one that is closed answers from our own record."""
        now, dates = self.clock(), self.registry_dates
        over = {
            name: Archive(name, each.title, unit_of_work, self.clock)
            for name, each in self.registries.items()
            if name in dates and dates[name].phase(now) is RegistryPhase.CLOSED
        }
        return PluginSet({**self.registries, **over}) if over else self.registries

    @property
    def dates_for_new(self) -> dict[str, RegistryDates]:
        """Those dates as a new order meets them: what operators have paused takes none."""
        pause = self.conditions().pause
        return {
            name: replace(dates, pause=dates.pause or pause(name))
            for name, dates in self.dates_for_offers.items()
        }

    @property
    def payments_for_new(self) -> PluginSet[PaymentPlugin]:
        """The payment methods that a new checkout may offer. Running payments know all."""
        off, known = self.conditions().methods_off, self.payments_kept
        if not off:
            return known
        kept = {name: each for name, each in known.items() if name not in off}
        return PluginSet(kept, withheld=off & known.keys())


def platform() -> Platform:
    """Return the wiring of the current application."""
    found: Platform = current_app.extensions["cnn_offset"]
    return found


def public_url(endpoint: str, **values: str) -> str:
    """Return the address of a page on the public site, in a request or out of one."""
    path = url_for(endpoint, _external=False, **values)
    return platform().settings.PUBLIC_URL.rstrip("/") + path


@contextmanager
def unit_of_work() -> Iterator[Session]:
    """Run one writing transaction: commit at the end, roll back on any exception.

    What was read before it in this request is read again. Rows whose work became due are
    announced after the commit; losing that is harmless, the sweep finds them.
    """
    session = db.session()
    session.rollback()
    session.connection(execution_options={"writes": True})
    try:
        yield session
        session.commit()
    except BaseException:
        session.rollback()
        session.info.pop("due", None)
        raise
    here = platform()
    for table, row_id, due_at in session.info.pop("due", ()):
        if due_at <= here.clock():
            here.ring(table, row_id)


@event.listens_for(Session, "after_flush")
def _note_due_work(session: Session, _context: object) -> None:
    for row in session.new | session.dirty:
        if isinstance(row, WorkMixin) and row.due_at is not None:
            announce(session, row.__table__.name, row.id, row.due_at)  # type: ignore[attr-defined]


def tune_engine(engine: sa.Engine) -> None:
    """Make SQLite safe for many processes: WAL, real transactions, writers announced.

    A writing transaction begins with BEGIN IMMEDIATE: one that begins as a reader fails
    when it wants to write and another has written meanwhile (trust-facts.md 1.4).
    """
    if engine.dialect.name != "sqlite":
        return

    @event.listens_for(engine, "connect")
    def _connect(connection: Any, _record: object) -> None:
        connection.isolation_level = None
        cursor = connection.cursor()
        for pragma in (
            "journal_mode = WAL",
            "synchronous = FULL",
            "foreign_keys = ON",
            "busy_timeout = 15000",
        ):
            cursor.execute(f"PRAGMA {pragma}")
        cursor.close()

    @event.listens_for(engine, "begin")
    def _begin(connection: sa.Connection) -> None:
        writes = connection.get_execution_options().get("writes")
        connection.exec_driver_sql("BEGIN IMMEDIATE" if writes else "BEGIN")


__all__ = [
    "Model",
    "Platform",
    "babel",
    "csrf",
    "db",
    "limiter",
    "migrate",
    "platform",
    "public_url",
    "security",
    "tune_engine",
    "unit_of_work",
]

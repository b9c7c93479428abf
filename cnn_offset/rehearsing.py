"""Walking the clock over a copy of the real data: what will happen to orders, day by day.

The rehearsal of a registry's last days (F7). It works on a copy in a folder of its own, with
stand-ins for everything outside: no registry is told anything, no processor is asked, no
mail leaves the house. What it cannot know, it assumes: nobody places an order or pays, and
registries do at once what they are asked, until their last cancellation.
"""

from __future__ import annotations

import sqlite3
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime, time, timedelta
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, Final

from flask import Flask
from flask_migrate import upgrade
from fsspec import AbstractFileSystem
from sqlalchemy import Engine, func, select, update

from cnn_offset import jobs
from cnn_offset.app import create_app
from cnn_offset.domain.calendar import RegistryDates
from cnn_offset.domain.payment import Fact, FactKind, FactStatus
from cnn_offset.domain.units import SerialRange
from cnn_offset.extensions import Platform, db, platform, unit_of_work
from cnn_offset.models import Block, CancelledRange, Chore, Event, Message, Model
from cnn_offset.plugins.errors import UnavailableError
from cnn_offset.plugins.loader import PluginSet
from cnn_offset.plugins.payments.base import PaymentPlugin, StatementPlugin
from cnn_offset.plugins.registries.base import (
    BlockReport,
    CancellationPage,
    CancellationReport,
    CancellationRequest,
    RegistryConnector,
    ReportStatus,
)
from cnn_offset.services.attention import attention
from cnn_offset.services.checking import check_all

REHEARSED: Final = ("checkout", "order", "payment", "cancellation", "offer", "chore")
"""The kinds of work that are done; figures, mails, PDFs and readings of accounts are not."""
CHORES_REHEARSED: Final = frozenset({"closing"})
STEP: Final = timedelta(hours=1)
"""Work that is due within an hour is done at the end of it."""
TOLD: Final[Mapping[tuple[str, str], str]] = {
    ("checkout", "lapsed"): "checkouts lapsed, their units free again",
    ("offer", "closed"): "offers closed",
    ("order", "fulfilled"): "orders fulfilled",
    ("order", "in_review"): "orders in review: a person must decide",
    ("order", "lapsed"): "orders lapsed unpaid",
    ("order", "paid"): "orders paid",
    ("order", "refund_due"): "orders whose money must go back",
    ("order", "withdrawn"): "orders withdrawn",
    ("cancellation", "confirmed"): "cancellations confirmed",
    ("cancellation", "rejected"): "cancellations refused by the registry",
}
"""By subject and new status of an event; what is not here is not worth a line."""


@dataclass(frozen=True, slots=True)
class Happening:
    """One line of the rehearsal: so many times something happened on a day."""

    day: date
    what: str
    times: int


@dataclass(frozen=True)
class Rehearsal:
    """What happened, and what is left at the end."""

    happenings: Sequence[Happening]
    waiting: Mapping[str, Sequence[str]]
    """What waits for a person at the end, by kind of attention: numbers of orders, or names."""
    findings: Sequence[str]
    """What does not add up."""

    @property
    def stuck(self) -> bool:
        """Whether something is left that must not be left when a registry has ended."""
        return bool(self.findings) or bool(URGENT & self.waiting.keys())


URGENT: Final = frozenset({"ending", "slow", "unknown", "mismatched"})
"""Kinds of attention by which somebody has paid and got nothing, or nobody knows what."""


class _Clock:
    def __init__(self, now: datetime) -> None:
        self.now = now

    def __call__(self) -> datetime:
        return self.now


def rehearse(here: Platform, first: datetime, until: datetime) -> Rehearsal:
    """Copy the data of the current application and walk its clock from ``first`` to ``until``.

    Changes nothing but the copy, which is deleted afterwards; calls nothing outside. The
    operators' dates and the configuration's hold as they are now.

    Raises:
        ValueError: ``until`` is not after ``first``.

    """
    if until <= first:
        raise ValueError("the end must come after the beginning")
    real = db.engine
    with TemporaryDirectory(prefix="cnn-offset-rehearsal-") as name:
        folder, clock = Path(name), _Clock(first)
        if real.dialect.name == "sqlite":
            _copy_file(Path(str(real.url.database)), folder / "cnn_offset.sqlite")
        app = _application(here.settings.model_dump(), folder, clock)
        with app.test_request_context():
            try:
                upgrade()
                if real.dialect.name != "sqlite":
                    _copy_rows(real, db.engine)
                _leave_out_other_work()
                phases = walk(clock, until)
                return _result(phases, here.files, first, until)
            finally:
                db.session.remove()
                db.engine.dispose()


def _copy_file(real: Path, copy: Path) -> None:
    source, target = sqlite3.connect(real), sqlite3.connect(copy)
    try:
        source.backup(target)
    finally:
        source.close()
        target.close()


def _copy_rows(real: Engine, copy: Engine) -> None:
    """Copy every table as it is at one moment; the copy is at the newest schema and empty."""
    with real.connect() as source, copy.connect() as target:
        source.execution_options(isolation_level="REPEATABLE READ")
        raw = target.connection.dbapi_connection
        assert raw is not None
        raw.execute("PRAGMA foreign_keys = OFF")
        for table in Model.metadata.sorted_tables:
            if target.scalar(select(func.count()).select_from(table)):
                # What migrations have put in.
                target.execute(table.delete())
            rows = source.execution_options(stream_results=True).execute(select(table))
            for part in rows.mappings().partitions(1000):
                target.execute(table.insert(), [dict(row) for row in part])
        target.commit()


def _application(settings: dict[str, Any], folder: Path, clock: _Clock) -> Flask:
    settings |= {
        "MODE": "development",
        "DATABASE_URL": "",
        "REDIS_URL": "",
        "FILES_URL": str(folder / "files"),
        "MAIL_URL": "",
        "INCOMING_MAIL_URL": "",
        "SIGNING_KEY": "",
        "RATE_LIMITS": False,
    }
    app = create_app(settings, instance_path=str(folder), clock=clock)
    # As in tests: what operators have set is read anew each time.
    app.testing = True
    made: Platform = app.extensions["cnn_offset"]
    app.extensions["cnn_offset"] = replace(
        made,
        payments=PluginSet({key: _silent(each, clock) for key, each in made.payments.items()}),
        registries=PluginSet(
            {key: _ObedientRegistry(key, each, clock) for key, each in made.registries.items()}
        ),
    )
    return app


def _silent(plugin: PaymentPlugin, clock: _Clock) -> PaymentPlugin:
    """Return a stand-in that has no news, and shuts every door at once."""
    if isinstance(plugin, StatementPlugin):
        return plugin
    kind: Any = type(plugin)

    def unavailable(*_: object, **__: object) -> Any:
        raise UnavailableError("a rehearsal asks nobody")

    def abandon(_self: object, _payee: object, ref: str, *, key: str) -> list[Fact]:
        return [Fact(FactKind.PAYMENT, ref, FactStatus.ABANDONED, None, None, clock())]

    answers: dict[str, Any] = {"start": unavailable, "refund": unavailable, "connect": unavailable}
    answers |= {"inspect": unavailable, "fetch": lambda *_, **__: [], "abandon": abandon}
    stand_in: PaymentPlugin = type(f"Silent{kind.__name__}", (kind,), answers)(plugin.settings)
    return stand_in


class _ObedientRegistry(RegistryConnector):
    """A stand-in that cancels the lowest free units at once, until its registry's end."""

    id = "rehearsal"

    def __init__(self, name: str, real: RegistryConnector, clock: _Clock) -> None:
        super().__init__(real.settings)
        self.name, self._clock = name, clock
        self.title = real.title  # type: ignore[misc]
        self._done: dict[str, CancellationReport] = {}

    @property
    def deduplicates(self) -> bool:
        """It keeps what it did under each key."""
        return True

    @property
    def settle(self) -> timedelta:
        """At once."""
        return timedelta(0)

    def list_blocks(self, *_: object, **__: object) -> Iterator[BlockReport]:
        """Accounts are not read in a rehearsal."""
        raise UnavailableError("a rehearsal asks nobody")

    def list_cancellations(self, cursor: str) -> CancellationPage:
        """Nor compared."""
        raise UnavailableError("a rehearsal asks nobody")

    def fetch(self, key: str) -> CancellationReport:
        """Tell what was done in this rehearsal."""
        known = self._done.get(key)
        if known is None:
            return CancellationReport(ReportStatus.NOT_KNOWN, self._clock())
        return replace(known, registry_time=self._clock())

    def cancel(self, request: CancellationRequest) -> CancellationReport:
        """Cancel the lowest units of the block that our record does not have."""
        now = self._clock()
        dates = platform().registry_dates.get(self.name, RegistryDates())
        if dates.last_cancellation and now >= dates.last_cancellation:
            return CancellationReport(ReportStatus.REFUSED, now, reason="The registry has ended.")
        ranges = _lowest_free(self.name, request)
        if ranges is None:
            return CancellationReport(ReportStatus.REFUSED, now, reason="Too few units are left.")
        done = CancellationReport(
            ReportStatus.CONFIRMED,
            now,
            registry_ref=f"rehearsed {request.key}",
            ranges=ranges,
            completed_at=now,
        )
        self._done[request.key] = done
        return done


def _lowest_free(registry_id: str, request: CancellationRequest) -> list[SerialRange] | None:
    with unit_of_work() as session:
        block = session.scalars(
            select(Block).where(
                Block.registry_id == registry_id,
                Block.account_ref == request.account_ref,
                Block.block_ref == request.block_ref,
            )
        ).one()
        taken = session.execute(
            select(CancelledRange.first, CancelledRange.last)
            .where(
                CancelledRange.registry_id == registry_id,
                CancelledRange.series == block.series,
                CancelledRange.last >= block.first,
                CancelledRange.first <= block.last,
            )
            .order_by(CancelledRange.first)
        ).all()
        series, start, end = block.series, block.first, block.last
    found, wanted = [], request.quantity
    for first, last in [*taken, (end + 1, end + 1)]:
        free = min(first - start, wanted)
        if free > 0:
            until = start + free - 1
            found.append(
                SerialRange(series, start, until, f"{series}-{start}", f"{series}-{until}")
            )
            wanted -= free
        start = last + 1
    return found if wanted == 0 else None


def _leave_out_other_work() -> None:
    with unit_of_work() as session:
        session.execute(
            update(Chore).where(Chore.name.not_in(CHORES_REHEARSED)).values(due_at=None)
        )


def walk(clock: _Clock, until: datetime) -> list[Happening]:
    """Do what is due, and go on to when the next thing is, until ``until``.

    Returns the days on which a registry entered another phase.
    """
    entered, before = [], _phases()
    while True:
        for _ in range(MOST_ROUNDS):
            if not jobs.sweep(tables=REHEARSED):
                break
        after = _phases()
        entered += [
            Happening(clock.now.date(), f"{name}: {phase}", 1)
            for name, phase in after.items()
            if before.get(name) != phase
        ]
        before = after
        if clock.now >= until:
            return entered
        due = max(_next_moment(clock.now), clock.now + STEP)
        # Each date itself is stepped on, so that what happens at it shows on its day.
        clock.now = min(due, until, *(each for each in _dates() if each > clock.now))


MOST_ROUNDS: Final = 1000
"""Sweeps at one moment; what is due again at once, again and again, must not hold the clock."""


def _dates() -> Iterator[datetime]:
    for dates in platform().registry_dates.values():
        for each in (dates.opens, dates.last_order, dates.last_cancellation, dates.closed):
            if each is not None:
                yield each


def _phases() -> dict[str, str]:
    here = platform()
    return {
        name: dates.phase(here.clock()).value.replace("_", " ")
        for name, dates in here.registry_dates.items()
    }


def _next_moment(now: datetime) -> datetime:
    midnight = datetime.combine(now.date() + timedelta(days=1), time(), UTC)
    moments = [midnight]
    for table in REHEARSED:
        if table == "chore":
            # Comes round each minute; done at every step anyway.
            continue
        kind: Any = jobs.WORK[table][0]
        due = db.session.scalar(select(func.min(kind.due_at)).where(kind.due_at > now))
        moments += [due] if due else []
    db.session.rollback()
    return min(moments)


def _result(
    phases: list[Happening], files: AbstractFileSystem, first: datetime, until: datetime
) -> Rehearsal:
    here, session = platform(), db.session()
    happenings = list(phases)
    for at, count in _by_day(select(Event.at, Event.subject, Event.new), Event.at, first).items():
        day, subject, new = at
        if (subject, new) in TOLD:
            happenings.append(Happening(day, TOLD[subject, new], count))
    mails = select(Message.created_at, Message.kind)
    for (day, kind), count in _by_day(mails, Message.created_at, first).items():
        happenings.append(Happening(day, f"mails: {kind.replace('_', ' ')}", count))
    waiting: dict[str, list[str]] = {}
    for entry in attention(session, now=until, bank_methods=here.bank_methods):
        waiting.setdefault(str(entry.kind), []).append(entry.order_code or entry.name)
    return Rehearsal(
        sorted(happenings, key=lambda each: each.day),
        waiting,
        # Those are not made in a rehearsal.
        [each for each in check_all(session, files) if not each.startswith("figures")],
    )


def _by_day(statement: Any, at: Any, first: datetime) -> Counter[tuple[Any, ...]]:
    rows = db.session.execute(statement.where(at >= first).order_by(at))
    return Counter((moment.date(), *rest) for moment, *rest in rows)

"""Bringing a file in, batch by batch, and going on where it was stopped."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Final

from sqlalchemy import CursorResult, func, insert, select, update
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session

from cnn_offset.models import ImportRemark, ImportRun
from cnn_offset.services import Begin
from cnn_offset.services.importing.faults import FileFaultError, RowFaultError
from cnn_offset.services.importing.kinds import Kind, Outcome, Remark, Understood
from cnn_offset.services.importing.layout import Layout, Row
from cnn_offset.services.moves import note

BATCH: Final = 1000
SHOWN: Final = 50
"""Remarks of each sort that a report keeps; all of them are in the database."""
_ONE_AT_A_TIME: Final = 0x1_4D50_0A7
"""Of PostgreSQL's advisory locks: batches of two imports wait for each other."""
_REMARKS: Final[Any] = ImportRemark.__table__
_COUNTS: Final = ("read", "accepted", "known", "refused", "skipped", "warned", "unchecked")

Keep = Callable[[Row, str], None]
"""Told of each row that is refused, and why."""


@dataclass(slots=True)
class Report:
    """How an import went, so far or in the end."""

    read: int = 0
    accepted: int = 0
    known: int = 0
    refused: int = 0
    skipped: int = 0
    warned: int = 0
    unchecked: int = 0
    place: int = 0
    resumed_after: int = 0
    """The row after which it went on; 0 if it began anew."""
    run_id: int | None = None
    """None for a dry run."""
    refusals: list[Remark] = field(default_factory=list)
    """The first of them."""
    warnings: list[Remark] = field(default_factory=list)

    def add(self, outcome: Outcome, *, read: int, skipped: int) -> None:
        """Count a batch."""
        refused = sum(1 for each in outcome.remarks if each.refused)
        self.read += read
        self.skipped += skipped
        self.accepted += outcome.accepted
        self.known += outcome.known
        self.unchecked += outcome.unchecked
        self.refused += refused
        self.warned += len(outcome.remarks) - refused
        for each in sorted(outcome.remarks, key=lambda remark: remark.number):
            shown = self.refusals if each.refused else self.warnings
            if len(shown) < SHOWN:
                shown.append(each)

    @property
    def counts(self) -> dict[str, int]:
        """What is kept with the run."""
        return {name: getattr(self, name) for name in _COUNTS}


Tell = Callable[[Report], None]
"""Told after each batch."""


@dataclass(slots=True)
class _Batch:
    """Rows that are brought in together."""

    rows: list[Row] = field(default_factory=list)
    skipped: int = 0

    @property
    def place(self) -> int:
        return self.rows[-1].number


def bring_in(
    begin: Begin,
    kind: Kind,
    layout: Layout,
    *,
    registry_id: str,
    actor: str,
    clock: Callable[[], datetime],
    tell: Tell = lambda _report: None,
) -> Report:
    """Import a file. Safe to repeat, and to be killed at any moment: it goes on after the last
    batch that was committed, and what is there already is seen.

    Raises:
        FileFaultError: the file lacks columns or is damaged, or another process is importing
            it just now.

    """
    kind.check(layout)
    with begin() as session:
        report = _open(session, kind, layout, registry_id, actor=actor, now=clock())
    for batch in _batches(layout, report.place):
        now = clock()
        with begin() as session:
            _wait_for_others(session)
            outcome = _enter(session, kind, batch, actor=actor, now=now)
            before = report.place
            report.add(outcome, read=len(batch.rows), skipped=batch.skipped)
            report.place = batch.place
            _advance(session, report, before, outcome.remarks)
        tell(report)
    with begin() as session:
        _close(session, report, actor=actor, now=clock())
    return report


def try_out(
    begin: Begin,
    kind: Kind,
    layout: Layout,
    *,
    actor: str,
    clock: Callable[[], datetime],
    keep: Keep = lambda _row, _why: None,
    tell: Tell = lambda _report: None,
) -> Report:
    """Check a whole file as an import would, and write nothing.

    Args:
        begin: opens a transaction that is only read in.
        kind: a new one, which keeps what it has seen of the file.
        layout: the file.
        actor: who would be named.
        clock: says now.
        keep: told of each row that would be refused.
        tell: told after each batch.

    Raises:
        FileFaultError: the file lacks columns, or is damaged.

    """
    kind.check(layout)
    report = Report()
    for batch in _batches(layout, 0):
        now = clock()
        with begin() as session:
            rows, outcome = _understand(kind, batch, now)
            outcome.add(kind.take(session, rows, write=False, actor=actor, now=now))
        report.add(outcome, read=len(batch.rows), skipped=batch.skipped)
        report.place = batch.place
        by_number = {row.number: row for row in batch.rows}
        for each in sorted(outcome.remarks, key=lambda remark: remark.number):
            if each.refused:
                keep(by_number[each.number], each.what)
        tell(report)
    return report


def _batches(layout: Layout, after: int) -> Iterator[_Batch]:
    batch = _Batch()
    for row in layout.rows(after):
        batch.rows.append(row)
        if not row.kept:
            batch.skipped += 1
        if len(batch.rows) == BATCH:
            yield batch
            batch = _Batch()
    if batch.rows:
        yield batch


def _understand(kind: Kind, batch: _Batch, now: datetime) -> tuple[list[Understood], Outcome]:
    rows, outcome = [], Outcome()
    for row in batch.rows:
        if row.fault:
            outcome.refuse(row.number, row.fault)
        elif row.kept:
            try:
                rows.append(Understood(row.number, kind.understand(row.cells, now)))
            except RowFaultError as fault:
                outcome.refuse(row.number, str(fault))
    return rows, outcome


def _enter(session: Session, kind: Kind, batch: _Batch, *, actor: str, now: datetime) -> Outcome:
    rows, outcome = _understand(kind, batch, now)
    if rows:
        outcome.add(_take(session, kind, rows, actor=actor, now=now))
    return outcome


def _take(
    session: Session, kind: Kind, rows: Sequence[Understood], *, actor: str, now: datetime
) -> Outcome:
    """Enter rows; if the database refuses any, find it by halves, so that the others come in."""
    try:
        with session.begin_nested():
            return kind.take(session, rows, write=True, actor=actor, now=now)
    except IntegrityError:
        if len(rows) == 1:
            outcome = Outcome()
            outcome.refuse(
                rows[0].number, "the database refused it: some of it came in meanwhile otherwise"
            )
            return outcome
    half = len(rows) // 2
    outcome = _take(session, kind, rows[:half], actor=actor, now=now)
    outcome.add(_take(session, kind, rows[half:], actor=actor, now=now))
    return outcome


def _wait_for_others(session: Session) -> None:
    # On SQLite a writing transaction is alone anyway.
    if session.get_bind().dialect.name == "postgresql":
        session.execute(select(func.pg_advisory_xact_lock(_ONE_AT_A_TIME)))


def _open(
    session: Session, kind: Kind, layout: Layout, registry_id: str, *, actor: str, now: datetime
) -> Report:
    """Find the run that was stopped in this file, or begin one."""
    _wait_for_others(session)
    source = layout.source
    run = session.scalar(
        select(ImportRun)
        .where(
            ImportRun.sha256 == source.sha256,
            ImportRun.kind == kind.name,
            ImportRun.registry_id == registry_id,
            ImportRun.plan_sha256 == source.plan.sha256,
            ImportRun.finished_at.is_(None),
        )
        .limit(1)
    )
    if run is None:
        run = ImportRun(
            kind=kind.name,
            registry_id=registry_id,
            file_name=source.path.name[:255],
            sha256=source.sha256,
            plan_sha256=source.plan.sha256,
            actor=actor[:120],
            started_at=now,
            **dict.fromkeys((*_COUNTS, "place"), 0),
        )
        session.add(run)
        session.flush()
    what = "resumed" if run.place else "begun"
    note(session, run, old="", new=what, actor=actor, why=f"{run.kind}: {run.file_name}", now=now)
    report = Report(place=run.place, resumed_after=run.place, run_id=run.id)
    for name in _COUNTS:
        setattr(report, name, getattr(run, name))
    for refused, shown in ((True, report.refusals), (False, report.warnings)):
        shown += remarks(session, run.id, refused=refused, after=0, limit=SHOWN)
    return report


def remarks(
    session: Session, run_id: int, *, refused: bool, after: int, limit: int
) -> list[Remark]:
    """Return what was said of a run's rows whose number is above ``after``, in their order."""
    found = session.scalars(
        select(ImportRemark)
        .where(
            ImportRemark.run_id == run_id,
            ImportRemark.refused.is_(refused),
            ImportRemark.number > after,
        )
        .order_by(ImportRemark.number)
        .limit(limit)
    )
    return [Remark(each.number, each.refused, each.what) for each in found]


def _advance(session: Session, report: Report, before: int, said: Sequence[Remark]) -> None:
    done = session.execute(
        update(ImportRun)
        .where(
            ImportRun.id == report.run_id,
            ImportRun.place == before,
            ImportRun.finished_at.is_(None),
        )
        .values(place=report.place, **report.counts)
        .execution_options(synchronize_session=False)
    )
    assert isinstance(done, CursorResult)
    if done.rowcount != 1:
        raise FileFaultError("another process is importing this file; this one stops")
    if said:
        session.execute(
            insert(_REMARKS),
            [
                {
                    "run_id": report.run_id,
                    "number": each.number,
                    "refused": each.refused,
                    "what": each.what,
                }
                for each in said
            ],
        )


def _close(session: Session, report: Report, *, actor: str, now: datetime) -> None:
    run = session.get_one(ImportRun, report.run_id, with_for_update=True, populate_existing=True)
    if run.finished_at is not None:
        return
    if run.place != report.place:
        raise FileFaultError("another process is importing this file; this one stops")
    run.finished_at = now
    why = ", ".join(f"{count} {name}" for name, count in report.counts.items())
    note(session, run, old="", new="imported", actor=actor, why=f"{run.file_name}: {why}", now=now)

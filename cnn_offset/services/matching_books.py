"""Matching what a registry's list of cancellations has with what we have (F8)."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from typing import Any, Final

from sqlalchemy import select
from sqlalchemy.orm import Session, selectinload

from cnn_offset.domain.status import CancellationStatus
from cnn_offset.domain.units import SerialRange, total
from cnn_offset.models import Cancellation, CancelledRange, Difference, DifferenceKind, Night
from cnn_offset.plugins.registries.base import CancellationEntry
from cnn_offset.services import differing

OUR_KEY: Final = re.compile(r"c-[0-9A-Z]+(-[0-9A-Z]+)*-\d+(-\d+)?")
"""As services/cancelling.py and services/replacing.py write them."""
Run = tuple[str, int, int]


def compare(
    session: Session, night: Night, entries: Sequence[CancellationEntry], *, now: datetime
) -> None:
    """Match entries of the registry's list with our cancellations; keep what differs."""
    keys = {each.key for each in entries if each.key}
    ours: dict[str, Cancellation] = {
        row.key: row
        for row in session.scalars(
            select(Cancellation)
            .where(Cancellation.key.in_(keys), Cancellation.registry_id == night.registry_id)
            .options(selectinload(Cancellation.ranges))
        )
    }
    for entry in entries:
        row = ours.get(entry.key) if entry.key else None
        if row is not None:
            again = row.listed_at is not None and _said(entry, row) is None
            row.listed_at = row.listed_at or now
            _match(session, night, entry, row, again=again, now=now)
        elif entry.key and OUR_KEY.fullmatch(entry.key):
            _keep(session, night, DifferenceKind.THEIRS_ONLY, entry, None, now=now)
        else:
            night.elsewhere += 1
            night.elsewhere_units += total(entry.ranges)
            owner = _taken_from_us(session, night.registry_id, entry.ranges)
            if owner is not None:
                _keep(session, night, DifferenceKind.TAKEN_TWICE, entry, owner, now=now)


def _match(
    session: Session,
    night: Night,
    entry: CancellationEntry,
    row: Cancellation,
    *,
    again: bool,
    now: datetime,
) -> None:
    if row.status is CancellationStatus.CONFIRMED:
        if again or not agrees(theirs(entry), row):
            _keep(session, night, DifferenceKind.DIFFERING, entry, row, now=now)
        else:
            night.matched += 1
            night.matched_units += total(entry.ranges)
        return
    if row.status is CancellationStatus.MISMATCHED:
        _keep(session, night, DifferenceKind.DIFFERING, entry, row, now=now)
        return
    _keep(session, night, DifferenceKind.THEIRS_ONLY, entry, row, now=now)
    if row.due_at is not None:
        # It is on its way to be heard of: not later than now.
        row.due_at = now


def _said(entry: CancellationEntry, row: Cancellation) -> str | None:
    """Return the transaction's number if we were told of it; None if it is news."""
    return entry.registry_ref if entry.registry_ref in row.registry_ref.split(", ") else None


def theirs(entry: CancellationEntry) -> dict[str, Any]:
    """Write down what the registry's list has, as a difference keeps it."""
    return {
        "key": entry.key,
        "registry_ref": entry.registry_ref,
        "account": entry.account_ref,
        "units": total(entry.ranges),
        "completed_at": entry.completed_at.isoformat(),
        "ranges": [str(each) for each in entry.ranges],
        "runs": [list(each) for each in _runs(entry.ranges)],
    }


def ours(row: Cancellation) -> dict[str, Any]:
    """Write down what we have, as a difference keeps it."""
    return {
        "key": row.key,
        "registry_ref": row.registry_ref,
        "account": row.account_ref,
        "units": row.quantity,
        "status": str(row.status),
        "completed_at": row.completed_at.isoformat() if row.completed_at else "",
        "ranges": [str(each.serials) for each in row.ranges],
    }


def agrees(said: Mapping[str, Any], row: Cancellation) -> bool:
    """Whether what the registry's list has of a cancellation is what we have of it.

    Where it made several transactions of one key, each of them is a part of ours.
    """
    if row.status is not CancellationStatus.CONFIRMED or said["account"] != row.account_ref:
        return False
    listed = [(str(series), int(first), int(last)) for series, first, last in said["runs"]]
    have = _runs(each.serials for each in row.ranges)
    refs = row.registry_ref.split(", ")
    if said["registry_ref"] not in refs:
        return False
    if len(refs) == 1:
        return listed == have
    return all(any(_inside(one, other) for other in have) for one in listed)


def look_again(session: Session, row: Difference, *, now: datetime) -> None:
    """End a difference of the lists that is there no longer."""
    if row.kind is DifferenceKind.TAKEN_TWICE:
        # What is taken stays taken: a person must say what it was.
        return
    known = session.scalar(
        select(Cancellation).where(
            Cancellation.key == row.name.split(" ")[0],
            Cancellation.registry_id == row.registry_id,
        )
    )
    if known is None:
        return
    if row.kind is DifferenceKind.OURS_ONLY:
        if known.listed_at is not None:
            differing.end(session, row, why=differing.LISTED, now=now)
    elif row.theirs and agrees(row.theirs, known):
        differing.end(session, row, why=differing.AGREES, now=now)


def _keep(
    session: Session,
    night: Night,
    kind: DifferenceKind,
    entry: CancellationEntry,
    row: Cancellation | None,
    *,
    now: datetime,
) -> None:
    name = entry.registry_ref if kind is DifferenceKind.TAKEN_TWICE else entry.key
    if row is not None and row.registry_ref and _said(entry, row) is None:
        # A second transaction of one key is a difference of its own.
        name = f"{name} {entry.registry_ref}"
    differing.find(
        session,
        night.registry_id,
        kind,
        name,
        ours=ours(row) if row is not None else {},
        theirs=theirs(entry),
        now=now,
        cancellation_id=row.id if row is not None else None,
        order_id=row.order_id if row is not None else None,
        night_id=night.id,
    )


def _taken_from_us(
    session: Session, registry_id: str, ranges: Iterable[SerialRange]
) -> Cancellation | None:
    """Return a cancellation of ours that has some of these units, too."""
    for each in ranges:
        # No two of our ranges overlap: only the one that ends first from there can touch it.
        found = session.scalar(
            select(CancelledRange)
            .where(
                CancelledRange.registry_id == registry_id,
                CancelledRange.series == each.series,
                CancelledRange.last >= each.first,
            )
            .order_by(CancelledRange.last)
            .limit(1)
        )
        if found is not None and found.first <= each.last and found.cancellation is not None:
            return found.cancellation
    return None


def _runs(ranges: Iterable[SerialRange]) -> list[Run]:
    """Join neighbours, so that the same units are the same however they are written."""
    runs: list[Run] = []
    for each in sorted(ranges):
        if runs and runs[-1][0] == each.series and runs[-1][2] + 1 >= each.first:
            runs[-1] = (each.series, runs[-1][1], max(runs[-1][2], each.last))
        else:
            runs.append((each.series, each.first, each.last))
    return runs


def _inside(one: Run, other: Run) -> bool:
    return one[0] == other[0] and other[1] <= one[1] and one[2] <= other[2]

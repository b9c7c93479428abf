"""What all steps of a cut-over share: the lease, its outcome, and what it forbids others."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Final

from sqlalchemy import CursorResult, Select, and_, or_, select, update
from sqlalchemy.orm import Session

from cnn_offset.domain.calendar import RegistryDates
from cnn_offset.domain.status import CutoverStatus
from cnn_offset.models import Cutover
from cnn_offset.plugins.registries.base import RegistryConnector
from cnn_offset.services import Begin, switching
from cnn_offset.services.moves import move

S = CutoverStatus
LEASE: Final = timedelta(minutes=3)
NEW_WAITS: Final = (S.MATCHED, S.MOVED, S.VERIFIED)
"""While these hold the new registry is sent nothing new either, so that sums stand still."""


class CutoverError(Exception):
    """It cannot be begun, or not gone on with here; the text is for operators."""


class Outcome(StrEnum):
    """What came of working at a cut-over."""

    DONE = "done"
    WAITS = "waits"
    """Something is in flight; give the command again later."""
    REFUSED = "refused"
    """Something does not match; a person must look."""


@dataclass(frozen=True, slots=True)
class Result:
    """What came of it, and the list of why."""

    outcome: Outcome
    status: CutoverStatus | None
    words: Sequence[str] = ()


@dataclass(frozen=True)
class Outside:
    """What a cut-over needs beside the database."""

    connectors: Mapping[str, RegistryConnector]
    dates: Mapping[str, RegistryDates]
    clock: Callable[[], datetime]
    check: Callable[[], Sequence[str]]
    """Adds everything up (``cnn-offset check``); returns what does not."""
    say: Callable[[str], None] = lambda _text: None


@dataclass(frozen=True, slots=True)
class Hold:
    """The lease of whoever works at it."""

    id: int
    fence: int


def running(session: Session) -> Cutover | None:
    """Return the cut-over that runs, if one does."""
    return session.scalar(select(Cutover).where(Cutover.slot == 1))


def is_moving(session: Session, registry_id: str) -> bool:
    """Whether a registry's accounts are not to be read now: its units are moving."""
    return session.scalar(_of(registry_id).limit(1)) is not None


def holds_back(session: Session, registry_id: str) -> bool:
    """Whether nothing new is to be sent to a registry now: its units are moving.

    The old one gets nothing from the freeze on, at whatever hour it closes its books; what
    is paid meanwhile is cancelled in the new one.
    """
    waits = or_(
        Cutover.old_id == registry_id,
        and_(Cutover.new_id == registry_id, Cutover.status.in_(NEW_WAITS)),
    )
    return session.scalar(select(Cutover.id).where(Cutover.slot == 1, waits)) is not None


def _of(registry_id: str) -> Select[int]:
    return select(Cutover.id).where(
        Cutover.slot == 1, or_(Cutover.old_id == registry_id, Cutover.new_id == registry_id)
    )


def pause(session: Session, names: Sequence[str], *, actor: str, now: datetime) -> None:
    """Let nobody place orders of units of these registries, and of no others."""
    switching.change(
        session,
        switching.MOVING,
        {"off": sorted(names)},
        reason="cut-over",
        actor=actor,
        now=now,
    )


def claim(begin: Begin, row_id: int, *, now: datetime) -> Hold:
    """Become the only one who works at a cut-over.

    Raises:
        CutoverError: somebody is at it.

    """
    with begin() as session:
        row = session.get_one(Cutover, row_id, with_for_update=True, populate_existing=True)
        # A lease further ahead than one can be comes from a clock that has stepped back.
        if row.lease_until and now < row.lease_until <= now + LEASE:
            raise CutoverError(
                f"somebody works at it until {row.lease_until:%H:%M:%S} UTC at the longest"
            )
        row.lease_until, row.fence = now + LEASE, row.fence + 1
        return Hold(row.id, row.fence)


@contextmanager
def step(begin: Begin, hold: Hold, outside: Outside) -> Iterator[tuple[Session, Cutover]]:
    """Open one transaction as the only one who works at it."""
    with begin() as session:
        done = session.execute(
            update(Cutover)
            .where(Cutover.id == hold.id, Cutover.fence == hold.fence)
            .values(lease_until=outside.clock() + LEASE)
            .execution_options(synchronize_session=False)
        )
        assert isinstance(done, CursorResult)
        if done.rowcount != 1:
            raise CutoverError("somebody else has taken over")
        yield session, session.get_one(Cutover, hold.id, populate_existing=True)


def release(begin: Begin, hold: Hold) -> None:
    """Let somebody else go on with it at once."""
    with begin() as session:
        session.execute(
            update(Cutover)
            .where(Cutover.id == hold.id, Cutover.fence == hold.fence)
            .values(lease_until=None)
            .execution_options(synchronize_session=False)
        )


def move_on(
    session: Session, row: Cutover, status: CutoverStatus, *, why: str, now: datetime
) -> None:
    """Write down that a step is done."""
    if move(session, row, status, actor=row.actor, why=why, now=now):
        row.stepped_at = now

"""The move from one registry to the one that succeeds it, step by step (F3).

Freeze new orders, drain what is in flight, match every block, move group by group, verify
sums, thaw. The last step done is in the row; every step is one or more transactions that
may be repeated, so after a crash at any point the command is given again and goes on.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from datetime import timedelta
from typing import Final

from sqlalchemy import delete, select
from sqlalchemy.exc import IntegrityError

from cnn_offset.domain.calendar import RegistryPhase
from cnn_offset.domain.status import CutoverStatus
from cnn_offset.models import Cutover, CutoverGroup
from cnn_offset.services import Begin, cutover_reading
from cnn_offset.services.cutover_ending import end, end_accounts, keep_sums, thaw, verify, wake
from cnn_offset.services.cutover_moving import (
    ChangedError,
    StillRunningError,
    move_group,
    write_group,
)
from cnn_offset.services.cutover_reading import Plan
from cnn_offset.services.cutover_sharing import UnfitError
from cnn_offset.services.cutover_steps import (
    CutoverError,
    Hold,
    Outcome,
    Outside,
    Result,
    S,
    claim,
    move_on,
    pause,
    release,
    running,
    step,
)
from cnn_offset.services.moves import note

GRACE: Final = timedelta(seconds=10)
"""After the freeze: other processes go by what they read up to two seconds ago."""
GROUPS: Final = 20
"""How many groups move in one transaction."""


def plan(begin: Begin, old_id: str, new_id: str, outside: Outside) -> Plan:
    """Say what a cut-over would do, or why it cannot. Changes nothing.

    Raises:
        CutoverError: one of the connections is not configured, or the new one not open.
        UnavailableError, OutcomeUnknownError: the new registry did not answer.

    """
    _check_names(old_id, new_id, outside)
    with begin() as session:
        blocks = cutover_reading.old_blocks(session, old_id)
    accounts = dict.fromkeys(each.account_ref for each in blocks)
    listed, refused = cutover_reading.list_successors(outside.connectors[new_id], accounts)
    with begin() as session:
        return cutover_reading.make_plan(session, old_id, new_id, blocks, listed, refused)


def _check_names(old_id: str, new_id: str, outside: Outside) -> None:
    for name in (old_id, new_id):
        if name not in outside.connectors or name not in outside.dates:
            raise CutoverError(f"no registry connection {name} is configured")
    if old_id == new_id:
        raise CutoverError("a registry does not succeed itself")
    phase = replace(outside.dates[new_id], pause=None).phase(outside.clock())
    if phase is not RegistryPhase.OPEN:
        raise CutoverError(f"{new_id} takes no orders now ({phase}): change its dates first")


def freeze(begin: Begin, old_id: str, new_id: str, outside: Outside, *, actor: str) -> Cutover:
    """Take no new orders of the old registry and read its accounts no more. Safe to repeat.

    Raises:
        CutoverError: another cut-over runs, or a connection is not there.

    """
    _check_names(old_id, new_id, outside)
    now = outside.clock()
    try:
        with begin() as session:
            found = running(session)
            if found is not None:
                if (found.old_id, found.new_id) != (old_id, new_id):
                    raise CutoverError(
                        f"another cut-over runs: {found.old_id} to {found.new_id}, {found.status}"
                    )
                return found
            row = Cutover(
                old_id=old_id,
                new_id=new_id,
                sums=[],
                actor=actor,
                started_at=now,
                stepped_at=now,
            )
            session.add(row)
            session.flush()
            note(
                session, row, old="", new=S.FROZEN, actor=actor, why=f"{old_id}: {new_id}", now=now
            )
            pause(session, [old_id], actor=actor, now=now)
            return row
    except IntegrityError:
        raise CutoverError("another cut-over has just begun") from None


def go(begin: Begin, old_id: str, new_id: str, outside: Outside, *, actor: str) -> Result:
    """Do all steps that can be done now, from wherever it stands. Safe to repeat.

    Raises:
        CutoverError: it cannot be begun, or somebody else works at it.
        UnavailableError, OutcomeUnknownError: a registry did not answer; give it again.

    """
    _check_names(old_id, new_id, outside)
    with begin() as session:
        begun = running(session) is not None
    if not begun:
        found = plan(begin, old_id, new_id, outside)
        if found.findings:
            return Result(Outcome.REFUSED, None, found.findings)
        if not found.rows and _was_done(begin, old_id, new_id):
            # Somebody did not see that it was done, and gives the command once more.
            return Result(Outcome.DONE, None, ["it was done before, and nothing is left to move"])
    row = freeze(begin, old_id, new_id, outside, actor=actor)
    hold = claim(begin, row.id, now=outside.clock())
    try:
        while True:
            with step(begin, hold, outside) as (_session, row):
                status = row.status
            if status is S.THAWED:
                return Result(Outcome.DONE, status)
            stopped = _STEPS[status](begin, hold, outside)
            if stopped is not None:
                return stopped
            outside.say(_SAID[status])
    finally:
        release(begin, hold)


def _was_done(begin: Begin, old_id: str, new_id: str) -> bool:
    with begin() as session:
        known = select(Cutover.id).where(
            Cutover.old_id == old_id, Cutover.new_id == new_id, Cutover.status == S.THAWED
        )
        return session.scalar(known.limit(1)) is not None


_SAID: Final = {
    S.FROZEN: "nothing is in flight",
    S.DRAINED: "every block is matched",
    S.MATCHED: "everything has moved",
    S.MOVED: "the sums are right",
    S.VERIFIED: "orders are taken again",
}


def give_up(begin: Begin, outside: Outside, *, actor: str) -> Cutover:
    """End a cut-over that has moved nothing; the old registry takes orders again.

    Raises:
        CutoverError: none runs, or something has moved: it must be gone on with.

    """
    with begin() as session:
        row = running(session)
        if row is None:
            raise CutoverError("no cut-over runs")
        row_id = row.id
    hold = claim(begin, row_id, now=outside.clock())
    try:
        with step(begin, hold, outside) as (session, row):
            moved = session.scalar(
                select(CutoverGroup.id)
                .where(CutoverGroup.cutover_id == row.id, CutoverGroup.moved_at.is_not(None))
                .limit(1)
            )
            if moved is not None or row.status not in (S.FROZEN, S.DRAINED, S.MATCHED):
                raise CutoverError("blocks have moved already: go on with --go")
            end(session, row, S.GIVEN_UP, actor=actor, why="given up", now=outside.clock())
            wake(session, [row.old_id, row.new_id], now=outside.clock())
    finally:
        release(begin, hold)
    return row


def _drain(begin: Begin, hold: Hold, outside: Outside) -> Result | None:
    """Wait until the old registry has answered for everything it was told."""
    now = outside.clock()
    with step(begin, hold, outside) as (session, row):
        waits = cutover_reading.waiting(session, row.old_id)
        waits += cutover_reading.being_read(session, row.old_id, now=now)
        if not waits and now < row.started_at + GRACE:
            waits = [f"all processes know of the pause at {row.started_at + GRACE:%H:%M:%S} UTC"]
        if waits:
            return Result(Outcome.WAITS, row.status, waits)
        move_on(session, row, S.DRAINED, why="nothing in flight", now=now)
    return None


def _match(begin: Begin, hold: Hold, outside: Outside) -> Result | None:
    """Match all that has not moved yet, and keep what was matched."""
    with step(begin, hold, outside) as (session, row):
        old_id, new_id = row.old_id, row.new_id
        blocks = cutover_reading.old_blocks(session, old_id)
    accounts = dict.fromkeys(each.account_ref for each in blocks)
    listed, refused = cutover_reading.list_successors(outside.connectors[new_id], accounts)
    with step(begin, hold, outside) as (session, row):
        now = outside.clock()
        waits = cutover_reading.waiting(session, old_id)
        if waits:
            return Result(Outcome.WAITS, row.status, waits)
        blocks = cutover_reading.old_blocks(session, old_id)
        found = cutover_reading.make_plan(session, old_id, new_id, blocks, listed, refused)
        if found.findings:
            return Result(Outcome.REFUSED, row.status, found.findings)
        session.execute(
            delete(CutoverGroup)
            .where(CutoverGroup.cutover_id == row.id, CutoverGroup.moved_at.is_(None))
            .execution_options(synchronize_session=False)
        )
        session.add_all(
            CutoverGroup(cutover_id=row.id, successors=write_group(each))
            for each in found.matching.groups
        )
        keep_sums(session, row)
        pause(session, [old_id, new_id], actor=row.actor, now=now)
        move_on(session, row, S.MATCHED, why=f"{len(blocks)} blocks", now=now)
    return None


def _move(begin: Begin, hold: Hold, outside: Outside) -> Result | None:
    """Move all groups, some in each transaction, and then end the old accounts."""
    while True:
        try:
            with step(begin, hold, outside) as (session, row):
                groups = session.scalars(
                    select(CutoverGroup)
                    .where(CutoverGroup.cutover_id == row.id, CutoverGroup.moved_at.is_(None))
                    .order_by(CutoverGroup.id)
                    .limit(GROUPS)
                ).all()
                for group in groups:
                    dates = outside.dates[row.new_id]
                    move_group(session, row, group, dates=dates, now=outside.clock())
                if not groups:
                    end_accounts(session, row, now=outside.clock())
                    move_on(session, row, S.MOVED, why="all moved", now=outside.clock())
                    return None
        except StillRunningError as error:
            return Result(Outcome.WAITS, S.MATCHED, [str(error)])
        except (ChangedError, UnfitError) as error:
            with step(begin, hold, outside) as (session, row):
                move_on(session, row, S.DRAINED, why=str(error), now=outside.clock())
            return Result(Outcome.REFUSED, S.DRAINED, [str(error)])


_Step = Callable[[Begin, Hold, Outside], Result | None]
_STEPS: Final[Mapping[CutoverStatus, _Step]] = {
    S.FROZEN: _drain,
    S.DRAINED: _match,
    S.MATCHED: _move,
    S.MOVED: verify,
    S.VERIFIED: thaw,
}

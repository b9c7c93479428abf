"""The end of a cut-over: old accounts read no more, sums compared, orders taken again."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime

from sqlalchemy import Select, delete, func, select
from sqlalchemy.orm import Session

from cnn_offset.domain.status import CancellationStatus, CutoverStatus
from cnn_offset.models import (
    AccountActivity,
    Activity,
    Block,
    BlockOrigin,
    Cancellation,
    Cutover,
    RegistryAccount,
    UnmappedBlock,
)
from cnn_offset.services import Begin, cutover_reading, switching
from cnn_offset.services.cutover_steps import (
    Hold,
    Outcome,
    Outside,
    Result,
    S,
    move_on,
    pause,
    step,
)
from cnn_offset.services.mailing import queue_message
from cnn_offset.services.moves import note


def keep_sums(session: Session, row: Cutover) -> None:
    """Keep what is to be there afterwards: what is to move, and what has moved before."""
    found = cutover_reading.sums(session, Block.registry_id == row.old_id, Block.held)
    there = cutover_reading.sums(session, Block.id.in_(_new_blocks(row)), cutover_reading.ISSUED)
    for key, units in there.items():
        found[key] = found.get(key, 0) + units
    row.sums = [[key, units] for key, units in sorted(found.items())]


def _new_blocks(row: Cutover) -> Select[int]:
    """Select the blocks of the new registry that came from another."""
    return (
        select(BlockOrigin.block_id)
        .join(Block, Block.id == BlockOrigin.block_id)
        .where(Block.registry_id == row.new_id)
    )


def end_accounts(session: Session, row: Cutover, *, now: datetime) -> None:
    """Read accounts of the old registry no more whose units have moved."""
    moved = (
        select(Block.account_ref)
        .join(BlockOrigin, BlockOrigin.former_id == Block.id)
        .where(Block.registry_id == row.old_id)
        .distinct()
    )
    accounts = session.scalars(
        select(RegistryAccount)
        .where(RegistryAccount.registry_id == row.old_id, RegistryAccount.account_ref.in_(moved))
        .order_by(RegistryAccount.id)
    ).all()
    ids = [each.id for each in accounts]
    for account in accounts:
        account.due_at = None
        note(session, account, old="", new="moved", actor=row.actor, why=row.new_id, now=now)
    session.execute(
        delete(UnmappedBlock)
        .where(UnmappedBlock.account_id.in_(ids))
        .execution_options(synchronize_session=False)
    )
    # What maps a project that has another registry now.
    gone = select(Activity.id).where(Activity.registry_id == row.new_id)
    session.execute(
        delete(AccountActivity)
        .where(
            AccountActivity.account_id.in_(
                select(RegistryAccount.id).where(RegistryAccount.registry_id == row.old_id)
            ),
            AccountActivity.activity_id.in_(gone),
        )
        .execution_options(synchronize_session=False)
    )


def verify(begin: Begin, hold: Hold, outside: Outside) -> Result | None:
    """Compare the sums and add everything up before anybody orders again."""
    with step(begin, hold, outside) as (session, row):
        wrong = []
        now_held = cutover_reading.sums(
            session, Block.id.in_(_new_blocks(row)), cutover_reading.ISSUED
        )
        was_held = dict(row.sums)
        for key in sorted({*was_held, *now_held}):
            was, now_there = was_held.get(key, 0), now_held.get(key, 0)
            if was != now_there:
                wrong.append(f"provider/project/type {key}: {was} units before, {now_there} now")
        left = session.scalar(
            select(func.coalesce(func.sum(Block.held), 0)).where(Block.registry_id == row.old_id)
        )
        if left:
            wrong.append(f"{left} units are left in {row.old_id}")
    first = set(outside.check())
    # What is being written while it is added up is no finding: the second run decides.
    wrong += [each for each in outside.check() if each in first] if first else []
    if wrong:
        return Result(Outcome.REFUSED, S.MOVED, wrong)
    with step(begin, hold, outside) as (session, row):
        move_on(session, row, S.VERIFIED, why="sums compared", now=outside.clock())
    return None


def thaw(begin: Begin, hold: Hold, outside: Outside) -> Result | None:
    """Take orders again, in the new registry; the old one takes none any more."""
    with step(begin, hold, outside) as (session, row):
        now = outside.clock()
        dates = replace(outside.dates[row.old_id], pause=None)
        last = min([each for each in (dates.orders_until, now) if each is not None])
        if dates.opens is None or dates.opens <= last:
            switching.change(
                session,
                switching.DATES + row.old_id,
                switching.write_dates(replace(dates, last_order=last)),
                reason=f"cut-over to {row.new_id}",
                actor=row.actor,
                now=now,
            )
        providers: dict[int, RegistryAccount] = {}
        for account in session.scalars(
            select(RegistryAccount)
            .where(
                RegistryAccount.registry_id == row.new_id,
                RegistryAccount.account_ref.in_(
                    select(Block.account_ref).where(Block.id.in_(_new_blocks(row)))
                ),
            )
            .order_by(RegistryAccount.id)
        ):
            providers.setdefault(account.provider_id, account)
        for account in providers.values():
            queue_message(
                session,
                "holdings_moved",
                recipient=account.provider.email,
                locale=account.provider.locale,
                now=now,
                dedup=f"holdings_moved:{row.id}:{account.provider_id}",
                params={"provider_id": account.provider_id, "cutover_id": row.id},
            )
        wake(session, [row.new_id], now=now)
        end(session, row, S.THAWED, actor=row.actor, why="done", now=now)
    return None


def wake(session: Session, names: Sequence[str], *, now: datetime) -> None:
    """Read the accounts again, and send what was held back."""
    for account in session.scalars(
        select(RegistryAccount).where(
            RegistryAccount.registry_id.in_(names), RegistryAccount.due_at.is_not(None)
        )
    ):
        account.due_at = now
    for cancellation in session.scalars(
        select(Cancellation).where(
            Cancellation.registry_id.in_(names),
            Cancellation.status == CancellationStatus.QUEUED,
            Cancellation.due_at.is_not(None),
        )
    ):
        cancellation.due_at = now


def end(
    session: Session, row: Cutover, status: CutoverStatus, *, actor: str, why: str, now: datetime
) -> None:
    move_on(session, row, status, why=why, now=now)
    row.slot, row.ended_at, row.lease_until = None, now, None
    pause(session, [], actor=actor, now=now)

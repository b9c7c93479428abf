"""Providers' accounts in the registries, and the mirror of what lies in them."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import datetime, timedelta
from typing import Final

from sqlalchemy import delete, select
from sqlalchemy.orm import Session

from cnn_offset.domain.text import N_
from cnn_offset.domain.units import Obstacle
from cnn_offset.models import (
    AccountActivity,
    AccountKind,
    Activity,
    Block,
    Provider,
    RegistryAccount,
)
from cnn_offset.plugins.errors import UnavailableError
from cnn_offset.plugins.registries.base import RegistryConnector
from cnn_offset.services import (
    Begin,
    NotFoundError,
    ServiceError,
    cutover_steps,
    drifting,
    fitting,
    mirroring,
    registry_lists,
    stock,
)
from cnn_offset.services.mirroring import ask_whole
from cnn_offset.services.moves import note

READ_AGAIN: Final = timedelta(hours=1)
READ_SOON: Final = timedelta(minutes=1)
"""While the registry may have cancelled units without our knowing."""
ASKED_ENOUGH: Final = timedelta(seconds=30)
"""Somebody who asks for a reading so soon after the last gets that one."""
OVERLAP: Final = timedelta(minutes=10)
"""How late a registry may tell what has changed; by its own clock, so that ours may be wrong."""


def open_account(
    session: Session,
    provider: Provider,
    *,
    registry_id: str,
    account_ref: str,
    kind: AccountKind,
    now: datetime,
) -> RegistryAccount:
    """Have an account in a registry read for ``provider``, at once and then every hour.

    Safe to repeat; a repeat may correct the kind.

    Raises:
        ServiceError: it is another provider's. Only the Board's pending account is
            everybody's (domain-facts.md 2).

    """
    known = session.scalars(
        select(RegistryAccount).where(
            RegistryAccount.registry_id == registry_id, RegistryAccount.account_ref == account_ref
        )
    ).all()
    others = [each for each in known if each.provider_id != provider.id]
    shared = kind is AccountKind.PENDING and all(e.kind is AccountKind.PENDING for e in others)
    if others and not shared:
        raise ServiceError(
            N_("The account %(account)s belongs to another provider."), account=account_ref
        )
    account = next((each for each in known if each.provider_id == provider.id), None)
    if account is None:
        account = RegistryAccount(
            provider=provider,
            registry_id=registry_id,
            account_ref=account_ref,
            created_at=now,
        )
        session.add(account)
    account.kind = kind
    ask_whole(account, now=now)
    session.flush()
    return account


def map_activity(
    session: Session, account: RegistryAccount, activity: Activity, *, actor: str, now: datetime
) -> AccountActivity:
    """Let the owner of ``account`` offer units of ``activity`` that lie in it.

    The account is read at once. Safe to repeat.

    Raises:
        ServiceError: the activity is another registry's, or in the Board's pending account
            another provider speaks for it.

    """
    # Of two who map it at once the second waits here and then sees the first.
    session.get_one(Activity, activity.id, with_for_update={"key_share": True})
    known = mapping_of(session, account, activity)
    if known is not None:
        return known
    made = AccountActivity(account=account, activity=activity, actor=actor, at=now)
    session.add(made)
    note(session, account, old="", new=f"mapped {activity.ref}", actor=actor, why="", now=now)
    ask_whole(account, now=now)
    session.flush()
    return made


def mapping_of(
    session: Session, account: RegistryAccount, activity: Activity
) -> AccountActivity | None:
    """Return what maps ``activity`` to ``account``; None if nothing does, and it could be.

    Raises:
        ServiceError: the activity is another registry's, or in the Board's pending account
            another provider speaks for it.

    """
    if activity.registry_id != account.registry_id:
        raise ServiceError(N_("The project is not registered there."))
    for mapping in session.scalars(
        select(AccountActivity)
        .join(AccountActivity.account)
        .where(
            AccountActivity.activity_id == activity.id,
            RegistryAccount.account_ref == account.account_ref,
        )
    ):
        if mapping.account_id == account.id:
            return mapping
        raise ServiceError(
            N_("Another provider speaks for project %(ref)s in this account."), ref=activity.ref
        )
    return None


def unmap_activity(
    session: Session, account: RegistryAccount, activity: Activity, *, actor: str, now: datetime
) -> int:
    """Take back what ``map_activity`` allowed; offers close, running orders go on.

    Returns how many offers were closed. Safe to repeat.
    """
    gone = session.scalar(
        delete(AccountActivity)
        .where(AccountActivity.account_id == account.id, AccountActivity.activity_id == activity.id)
        .returning(AccountActivity.id)
    )
    if gone is None:
        return 0
    session.expire(account, ["mappings"])
    note(session, account, old=f"mapped {activity.ref}", new="", actor=actor, why="", now=now)
    closed = 0
    blocks = select(Block.id).where(
        *mirroring.in_account(account), Block.activity_id == activity.id
    )
    for block_id in session.scalars(blocks.order_by(Block.id)).all():
        block = stock.lock_block(session, block_id)
        block.eligible, block.obstacle = False, Obstacle.NOT_MAPPED
        closed += mirroring.close_offers(session, block, actor=actor, now=now)
    ask_whole(account, now=now)
    return closed


def ask_again(session: Session, provider_id: int, account_id: int, *, now: datetime) -> None:
    """Have an account of a provider read now, unless that has just been done.

    Raises:
        NotFoundError: there is none, or it is another provider's.

    """
    account = session.scalar(
        select(RegistryAccount).where(
            RegistryAccount.id == account_id, RegistryAccount.provider_id == provider_id
        )
    )
    if account is None:
        raise NotFoundError(f"account {account_id}")
    if account.read_at is None or account.read_at < now - ASKED_ENOUGH:
        ask_whole(account, now=now)


def read_account(
    begin: Begin,
    account_id: int,
    *,
    connectors: Mapping[str, RegistryConnector],
    clock: Callable[[], datetime],
) -> datetime:
    """Mirror what a registry says of one account, and shrink offers that promise more.

    Mostly only what has changed since the reading before is asked for, by the registry's own
    clock and with some overlap; each night, and when something is strange, everything.
    Nothing is written before the listing is complete. A block that is missing from a whole
    one is asked for once more, since pages can shift while they are read; only what is
    missing twice, or said to have left, is taken as gone. A block of which the registry says
    what cannot be is left as it was and not offered; operators see it. Returns when to read
    again. Safe to repeat; the caller holds the account's lease.

    Raises:
        UnavailableError, OutcomeUnknownError: no answer; try again later.
        RefusedError: the registry knows no such account, or not for us.

    """
    with begin() as session:
        account = session.get_one(RegistryAccount, account_id)
        began = clock()
        if cutover_steps.is_moving(session, account.registry_id):
            # What leaves it for the registry that takes over is not to be taken as gone.
            return began + READ_SOON
        registry_id, account_ref = account.registry_id, account.account_ref
        since = None if mirroring.wants_whole(account, began) else account.changes_from
        knew_changes = account.changes_from
        # What is cancelled from here on may or may not be in what the registry says.
        before: Mapping[int, int] = mirroring.cancelled_units(session, account)
        connector = connectors.get(registry_id)
    if connector is None:
        raise UnavailableError(f"registry {registry_id} is not configured")
    if since is not None:
        listed, _, _ = registry_lists.read_list(
            begin, account_id, account_ref, connector, clock, changed_since=since
        )
        with begin() as session:
            account = session.get_one(RegistryAccount, account_id)
            if mirroring.is_strange(session, account, listed, since):
                account.whole_at = None
                return clock()
        lately: registry_lists.Listed | None = None
    else:
        try:
            listed, began, before = registry_lists.read_list(
                begin, account_id, account_ref, connector, clock, before=before
            )
        except registry_lists.UnfinishedError:
            return clock()
        with begin() as session:
            account = session.get_one(RegistryAccount, account_id)
            missing = not set(mirroring.held_refs(session, account)) <= set(listed.blocks)
        if missing or listed.part()[1]:
            again, _, _ = registry_lists.read_list(begin, account_id, account_ref, connector, clock)
            listed = registry_lists.together(listed, again)
        lately = None
        if knew_changes is not None and listed.registry_time is not None:
            # What changed since the reading before is no difference between two books.
            lately, _, _ = registry_lists.read_list(
                begin, account_id, account_ref, connector, clock, changed_since=knew_changes
            )
    blocks, odd = listed.part()
    reports = list(blocks.values())
    for start in range(0, len(reports), mirroring.BATCH):
        with begin() as session:
            account = session.get_one(RegistryAccount, account_id)
            part = reports[start : start + mirroring.BATCH]
            if lately is not None and lately.registry_time is not None:
                drifting.compare(session, account, part, lately, now=clock())
            mirroring.mirror(session, account, part, before, began=began)
    with begin() as session:
        account = session.get_one(RegistryAccount, account_id)
        mirroring.distrust(session, account, odd, began=began)
        if since is None:
            mirroring.forget(session, account, began=began)
            drifting.forget(session, account, odd, began=began)
            account.whole_at = began
            account.listed_blocks = len(reports)
            account.listed_units = sum(each.held for each in reports)
        else:
            mirroring.let_go(session, account, listed.gone - set(blocks), began=began)
        account.read_at = began
        changed = () if since is None else (Block.block_ref.in_([*blocks, *listed.gone]),)
        strained = fitting.strained(session, *mirroring.in_account(account), *changed)
        soon = mirroring.awaits(session, account)
    for block_id in strained:
        with begin() as session:
            fitting.fit(session, block_id, now=clock())
    with begin() as session:
        account = session.get_one(RegistryAccount, account_id)
        # Only now: were it kept before, offers that promise too much could be passed over.
        if listed.registry_time is not None:
            account.changes_from = listed.registry_time - OVERLAP
        else:
            account.changes_from = None
    return clock() + (READ_SOON if soon else READ_AGAIN)

"""Providers' accounts in the registries, and the mirror of what lies in them."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Final

from sqlalchemy import ColumnElement, delete, func, select, update
from sqlalchemy.orm import Session

from cnn_offset.domain.status import CancellationStatus, OfferStatus
from cnn_offset.domain.text import N_
from cnn_offset.domain.units import Obstacle
from cnn_offset.models import (
    AccountActivity,
    AccountKind,
    Activity,
    Block,
    Cancellation,
    Offer,
    Provider,
    RegistryAccount,
    UnmappedBlock,
)
from cnn_offset.plugins.errors import OutcomeUnknownError, UnavailableError
from cnn_offset.plugins.registries.base import BlockReport, RegistryConnector
from cnn_offset.services import Begin, NotFoundError, ServiceError, fitting, stock
from cnn_offset.services.moves import note
from cnn_offset.services.terms import close

READ_AGAIN: Final = timedelta(hours=1)
READ_SOON: Final = timedelta(minutes=1)
"""While the registry may have cancelled units without our knowing."""
ASKED_ENOUGH: Final = timedelta(seconds=30)
"""Somebody who asks for a reading so soon after the last gets that one."""
BATCH: Final = 500
NOT_MAPPED: Final = N_("The project is no longer mapped to your account.")


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
    account.due_at = now
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
    account.due_at = now
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
    blocks = select(Block.id).where(*_in(account), Block.activity_id == activity.id)
    for block_id in session.scalars(blocks.order_by(Block.id)).all():
        block = stock.lock_block(session, block_id)
        block.eligible, block.obstacle = False, Obstacle.NOT_MAPPED
        closed += _close_offers(session, block, actor=actor, now=now)
    account.due_at = now
    return closed


def _in(account: RegistryAccount) -> tuple[ColumnElement[bool], ...]:
    """Match the provider's own blocks in an account."""
    return (
        Block.provider_id == account.provider_id,
        Block.registry_id == account.registry_id,
        Block.account_ref == account.account_ref,
    )


def _close_offers(session: Session, block: Block, *, actor: str, now: datetime) -> int:
    offers = stock.lock_offers(session, block.id)
    return sum(
        close(session, offer, actor=actor, why=NOT_MAPPED, now=now)
        for offer in offers
        if offer.status is OfferStatus.OPEN
    )


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
        account.due_at = now


def read_account(
    begin: Begin,
    account_id: int,
    *,
    connectors: Mapping[str, RegistryConnector],
    clock: Callable[[], datetime],
) -> datetime:
    """Mirror what a registry says of one account, and shrink offers that promise more.

    Nothing is written before the listing is complete. A block that is missing from it is
    asked for once more, since pages can shift while they are read; only what is missing
    twice is taken as gone. Returns when to read again. Safe to repeat; the caller holds
    the account's lease.

    Raises:
        UnavailableError, OutcomeUnknownError: no answer; try again later.
        RefusedError: the registry knows no such account, or not for us.

    """
    with begin() as session:
        account = session.get_one(RegistryAccount, account_id)
        began = clock()
        registry_id, account_ref = account.registry_id, account.account_ref
        # What is cancelled from here on may or may not be in what the registry says.
        before = _cancelled(session, account)
        connector = connectors.get(registry_id)
    if connector is None:
        raise UnavailableError(f"registry {registry_id} is not configured")
    found = _list(connector, account_ref)
    with begin() as session:
        account = session.get_one(RegistryAccount, account_id)
        missing = not set(_held_refs(session, account)) <= set(found)
    if missing:
        found |= _list(connector, account_ref)
    reports = list(found.values())
    for start in range(0, len(reports), BATCH):
        with begin() as session:
            account = session.get_one(RegistryAccount, account_id)
            _mirror(session, account, reports[start : start + BATCH], before, began=began)
    with begin() as session:
        account = session.get_one(RegistryAccount, account_id)
        _forget(session, account, began=began)
        account.read_at = began
        strained = fitting.strained(session, *_in(account))
        soon = _awaits(session, account)
    for block_id in strained:
        with begin() as session:
            fitting.fit(session, block_id, now=clock())
    return clock() + (READ_SOON if soon else READ_AGAIN)


def _list(connector: RegistryConnector, account_ref: str) -> dict[str, BlockReport]:
    found = {}
    for report in connector.list_blocks(account_ref):
        if not 0 <= report.held <= report.issued.quantity:
            raise OutcomeUnknownError(
                f"block {report.block_ref}: {report.held} of {report.issued.quantity} units held"
            )
        found[report.block_ref] = report
    return found


def _cancelled(session: Session, account: RegistryAccount) -> dict[int, int]:
    """Count the units cancelled through us, by block."""
    rows = session.execute(
        select(Offer.block_id, func.sum(Offer.cancelled))
        .join(Block, Block.id == Offer.block_id)
        .where(Block.registry_id == account.registry_id, Block.account_ref == account.account_ref)
        .group_by(Offer.block_id)
    )
    return {block_id: int(units) for block_id, units in rows}


def _held_refs(session: Session, account: RegistryAccount) -> Iterator[str]:
    yield from session.scalars(select(Block.block_ref).where(*_in(account), Block.reported > 0))


def _mirror(
    session: Session,
    account: RegistryAccount,
    reports: Sequence[BlockReport],
    before: Mapping[int, int],
    *,
    began: datetime,
) -> None:
    mapped = {
        activity.ref: (activity, allows_partial)
        for activity, allows_partial in session.execute(
            select(Activity, AccountActivity.allows_partial)
            .join(AccountActivity, AccountActivity.activity_id == Activity.id)
            .where(AccountActivity.account_id == account.id)
        )
    }
    refs = [each.block_ref for each in reports]
    known = {
        block.block_ref: block
        for block in session.scalars(
            select(Block)
            .where(
                Block.registry_id == account.registry_id,
                Block.account_ref == account.account_ref,
                Block.block_ref.in_(refs),
            )
            .order_by(Block.id)
            .with_for_update(key_share=True)
            .execution_options(populate_existing=True)
        )
    }
    # Read after the locks: from here on no cancellation of these blocks is recorded.
    cancelled = _cancelled(session, account) if known else {}
    unmapped = {
        row.block_ref: row
        for row in session.scalars(
            select(UnmappedBlock).where(
                UnmappedBlock.account_id == account.id, UnmappedBlock.block_ref.in_(refs)
            )
        )
    }
    for report in reports:
        block = known.get(report.block_ref)
        activity, allows_partial = mapped.get(report.activity_ref, (None, False))
        if activity is None and (block is None or block.provider_id != account.provider_id):
            # In the Board's account most blocks are none of this provider's business.
            if account.kind is not AccountKind.PENDING and block is None:
                _set_aside(session, account, report, unmapped.get(report.block_ref), began)
            continue
        if block is not None and block.read_at > began:
            # Somebody has asked later and heard already.
            continue
        if report.block_ref in unmapped:
            session.delete(unmapped[report.block_ref])
        if block is None:
            assert activity is not None
            block = Block(
                registry_id=account.registry_id,
                account_ref=account.account_ref,
                block_ref=report.block_ref,
                provider_id=account.provider_id,
                activity_id=activity.id,
            )
            session.add(block)
        elif block.provider_id != account.provider_id:
            # The platform lets another provider speak for the activity from now on.
            _close_offers(session, block, actor="core", now=began)
            block.provider_id = account.provider_id
        taken = cancelled.get(block.id, 0) - before.get(block.id, 0) if block.id else 0
        _take(block, report, activity, taken, began)
        obstacle = _obstacle(account, activity, report)
        if obstacle is Obstacle.PROCEEDS_PARTLY and allows_partial:
            obstacle = None
        if block.id and block.eligible != (obstacle is None):
            _show_again(session, block, now=began)
        block.eligible, block.obstacle = obstacle is None, obstacle or ""


def _show_again(session: Session, block: Block, *, now: datetime) -> None:
    """Make the catalogue look at the offers of a block again."""
    session.execute(
        update(Offer)
        .where(Offer.block_id == block.id, Offer.status == OfferStatus.OPEN)
        .values(changed_at=now)
        .execution_options(synchronize_session=False)
    )


def _take(
    block: Block, report: BlockReport, activity: Activity | None, taken: int, began: datetime
) -> None:
    """Write down what the registry says of a block.

    ``taken``: units whose cancellation was recorded since the listing began.
    """
    if activity is not None:
        block.activity_id = activity.id
    block.unit_type = report.unit_type
    block.party = report.party
    block.series = report.issued.series
    block.first, block.last = report.issued.first, report.issued.last
    block.first_text, block.last_text = report.issued.first_text, report.issued.last_text
    block.reported, block.held = report.held, max(report.held - taken, 0)
    block.monitoring_start = report.monitoring_start
    block.monitoring_end = report.monitoring_end
    block.vintage = report.vintage
    block.commitment_period = report.commitment_period
    block.read_at = began


def _obstacle(
    account: RegistryAccount, activity: Activity | None, report: BlockReport
) -> Obstacle | None:
    if account.kind is AccountKind.TEMPORARY:
        return Obstacle.ACCOUNT_KIND
    if activity is None:
        return Obstacle.NOT_MAPPED
    return report.obstacle


def _set_aside(
    session: Session,
    account: RegistryAccount,
    report: BlockReport,
    row: UnmappedBlock | None,
    began: datetime,
) -> None:
    if row is None:
        row = UnmappedBlock(account_id=account.id, block_ref=report.block_ref)
        session.add(row)
    row.activity_ref, row.unit_type = report.activity_ref, report.unit_type
    row.first_text, row.last_text = report.issued.first_text, report.issued.last_text
    row.held, row.read_at = report.held, began


def _forget(session: Session, account: RegistryAccount, *, began: datetime) -> None:
    """Take what a complete listing left out as gone."""
    session.execute(
        update(Block)
        .where(*_in(account), Block.read_at < began, Block.reported > 0)
        .values(held=0, reported=0, read_at=began)
        .execution_options(synchronize_session=False)
    )
    session.execute(
        delete(UnmappedBlock)
        .where(UnmappedBlock.account_id == account.id, UnmappedBlock.read_at < began)
        .execution_options(synchronize_session=False)
    )


def _awaits(session: Session, account: RegistryAccount) -> bool:
    """Whether the registry still owes an answer that changes what the account holds."""
    owing = (CancellationStatus.SUBMITTED, CancellationStatus.UNKNOWN)
    return bool(
        session.scalar(
            select(Cancellation.id)
            .where(
                Cancellation.registry_id == account.registry_id,
                Cancellation.account_ref == account.account_ref,
                Cancellation.status.in_(owing),
            )
            .limit(1)
        )
    )

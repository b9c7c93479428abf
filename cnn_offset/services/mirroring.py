"""Writing down what a registry says of one account: blocks, what left, what cannot be."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Final

from sqlalchemy import ColumnElement, delete, func, select, update
from sqlalchemy.orm import Session

from cnn_offset.domain.annex_i import origin_obstacle
from cnn_offset.domain.expiry import has_expired
from cnn_offset.domain.status import CancellationStatus, OfferStatus
from cnn_offset.domain.text import N_
from cnn_offset.domain.units import Obstacle, SerialRange
from cnn_offset.models import (
    AccountActivity,
    AccountKind,
    Activity,
    Block,
    Cancellation,
    Offer,
    RegistryAccount,
    UnmappedBlock,
)
from cnn_offset.plugins.registries.base import BlockReport
from cnn_offset.services import drifting, registry_lists, stock
from cnn_offset.services.expiring import end_offers_in_time
from cnn_offset.services.terms import close

READ_WHOLE: Final = timedelta(hours=25)
"""After so long everything is read, if no night has had it read before."""
BATCH: Final = 500
NOT_MAPPED: Final = N_("The project is no longer mapped to your account.")


def in_account(account: RegistryAccount) -> tuple[ColumnElement[bool], ...]:
    """Match the provider's own blocks in an account."""
    return (
        Block.provider_id == account.provider_id,
        Block.registry_id == account.registry_id,
        Block.account_ref == account.account_ref,
    )


def close_offers(session: Session, block: Block, *, actor: str, now: datetime) -> int:
    offers = stock.lock_offers(session, block.id)
    return sum(
        close(session, offer, actor=actor, why=NOT_MAPPED, now=now)
        for offer in offers
        if offer.status is OfferStatus.OPEN
    )


def ask_whole(account: RegistryAccount, *, now: datetime) -> None:
    """Have an account read at once, from beginning to end."""
    account.due_at, account.whole_at = now, None


def wants_whole(account: RegistryAccount, now: datetime) -> bool:
    """Whether the account is to be read from beginning to end."""
    whole_at = account.whole_at
    if whole_at is None or account.changes_from is None:
        return True
    # One that lies ahead comes from a clock that has stepped back.
    return not timedelta(0) <= now - whole_at < READ_WHOLE


def is_strange(
    session: Session, account: RegistryAccount, listed: registry_lists.Listed, since: datetime
) -> bool:
    """Whether what a registry says has changed does not go with what we know.

    Its clock has stepped back; it does not tell changes after all; or units that we have in
    one block of the account are in another one now, and nothing was said of the first.
    """
    if listed.registry_time is None or listed.registry_time < since:
        return True
    told = set(listed.blocks) | listed.gone
    for start in range(0, len(listed.blocks), BATCH):
        part = dict(list(listed.blocks.items())[start : start + BATCH])
        rows = session.execute(
            select(Block.block_ref, Block.series, Block.first, Block.last).where(
                *in_account(account), Block.block_ref.in_(part)
            )
        )
        known = {tuple(row) for row in rows}
        for ref, report in part.items():
            issued = report.issued
            if (ref, issued.series, issued.first, issued.last) not in known and any(
                each.block_ref not in told
                for each in _sharing(session, account, issued, elsewhere=False)
            ):
                return True
    return False


def _sharing(
    session: Session, account: RegistryAccount, issued: SerialRange, *, elsewhere: bool
) -> Sequence[Block]:
    """Return blocks with units that share numbers with ``issued``: in the account or in others."""
    here = Block.account_ref == account.account_ref
    return session.scalars(
        select(Block)
        .where(
            Block.registry_id == account.registry_id,
            Block.series == issued.series,
            Block.last >= issued.first,
            Block.first <= issued.last,
            Block.reported > 0,
            ~here if elsewhere else here,
        )
        .order_by(Block.last)
        .limit(20)
    ).all()


def cancelled_units(session: Session, account: RegistryAccount) -> dict[int, int]:
    """Count the units cancelled through us, by block."""
    rows = session.execute(
        select(Offer.block_id, func.sum(Offer.cancelled))
        .join(Block, Block.id == Offer.block_id)
        .where(
            Block.registry_id == account.registry_id,
            Block.account_ref == account.account_ref,
            Offer.cancelled > 0,
        )
        .group_by(Offer.block_id)
    )
    return {block_id: int(units) for block_id, units in rows}


def held_refs(session: Session, account: RegistryAccount) -> Iterator[str]:
    yield from session.scalars(
        select(Block.block_ref).where(*in_account(account), Block.reported > 0)
    )


def mirror(
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
    cancelled = cancelled_units(session, account) if known else {}
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
        if block is not None and activity is not None and block.activity_id != activity.id:
            words = f"of project {report.activity_ref}, and was of {block.activity.ref}"
            if not drifting.is_accepted(session, account, report.block_ref, words):
                # What is on offer as one project's is not sold as another's.
                distrust(session, account, {report.block_ref: words}, began=began)
                continue
        if block is None:
            assert activity is not None
            if account.read_at is not None:
                _read_others(session, account, report.issued, now=began)
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
            close_offers(session, block, actor="core", now=began)
            block.provider_id = account.provider_id
        taken = cancelled.get(block.id, 0) - before.get(block.id, 0) if block.id else 0
        _take(block, report, activity, taken, began)
        if block.id:
            end_offers_in_time(session, block, now=began)
        obstacle = _obstacle(account, activity, report, began)
        if obstacle is Obstacle.PROCEEDS_PARTLY and allows_partial:
            obstacle = None
        if block.id and block.eligible != (obstacle is None):
            _show_again(session, block, now=began)
        block.eligible, block.obstacle = obstacle is None, obstacle or ""


def _read_others(
    session: Session, account: RegistryAccount, issued: SerialRange, *, now: datetime
) -> None:
    """Have the accounts read in which units were that have come into this one."""
    refs = {each.account_ref for each in _sharing(session, account, issued, elsewhere=True)}
    if refs:
        others = select(RegistryAccount).where(
            RegistryAccount.registry_id == account.registry_id,
            RegistryAccount.account_ref.in_(refs),
        )
        for other in session.scalars(others.limit(20)):
            ask_whole(other, now=now)


def distrust(
    session: Session, account: RegistryAccount, odd: Mapping[str, str], *, began: datetime
) -> None:
    """Offer nothing of blocks of which the registry says what cannot be; tell operators."""
    for ref in sorted(odd):
        block = session.scalar(select(Block).where(*in_account(account), Block.block_ref == ref))
        if block is None and account.kind is AccountKind.PENDING:
            # In the Board's account most blocks are none of this provider's business.
            continue
        if block is not None:
            block.read_at = began
            if block.eligible:
                _show_again(session, block, now=began)
            block.eligible, block.obstacle = False, Obstacle.CONTRADICTORY
        drifting.keep_odd(session, account, ref, odd[ref], block, now=began)


def let_go(
    session: Session, account: RegistryAccount, refs: Collection[str], *, began: datetime
) -> None:
    """Take blocks as gone of which the registry says that they have left the account."""
    session.execute(
        update(Block)
        .where(*in_account(account), Block.block_ref.in_(refs), Block.read_at <= began)
        .values(held=0, reported=0, read_at=began)
        .execution_options(synchronize_session=False)
    )
    session.execute(
        delete(UnmappedBlock)
        .where(UnmappedBlock.account_id == account.id, UnmappedBlock.block_ref.in_(refs))
        .execution_options(synchronize_session=False)
    )


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
    block.expires_on = report.expires_on
    block.read_at = began


def _obstacle(
    account: RegistryAccount, activity: Activity | None, report: BlockReport, now: datetime
) -> Obstacle | None:
    """Say what stands in the way for good first: it is no use to mend the rest."""
    if account.kind is AccountKind.ANNEX_I:
        return Obstacle.ANNEX_I
    origin = origin_obstacle(report.unit_type, report.party, report.issued, report.monitoring_start)
    if origin:
        return origin
    if has_expired(report.expires_on, now):
        return Obstacle.EXPIRED
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


def forget(session: Session, account: RegistryAccount, *, began: datetime) -> None:
    """Take what a complete listing left out as gone."""
    session.execute(
        update(Block)
        .where(*in_account(account), Block.read_at < began, Block.reported > 0)
        .values(held=0, reported=0, read_at=began)
        .execution_options(synchronize_session=False)
    )
    session.execute(
        delete(UnmappedBlock)
        .where(UnmappedBlock.account_id == account.id, UnmappedBlock.read_at < began)
        .execution_options(synchronize_session=False)
    )


def awaits(session: Session, account: RegistryAccount) -> bool:
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

"""Reading what a provider holds and offers, for its pages. Changes nothing."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass

from sqlalchemy import func, select, tuple_, union_all
from sqlalchemy.orm import Session, joinedload, selectinload

from cnn_offset.domain.status import OfferStatus
from cnn_offset.models import (
    AccountActivity,
    Activity,
    Block,
    Offer,
    OfferTerms,
    RegistryAccount,
    UnmappedBlock,
)
from cnn_offset.services import stock

ACCOUNTS = 20
"""Accounts shown; a provider has a handful."""
PROJECTS = 500
"""Mapped projects that can be chosen from or searched."""
UNMAPPED = 50


@dataclass(frozen=True, slots=True)
class Holding:
    """A block with what its offers promise of it."""

    block: Block
    on_offer: int
    """Units that open offers still have for new orders."""
    in_orders: int
    """Units that running orders and checkouts hold."""

    @property
    def free(self) -> int:
        """Units that could be put on offer."""
        return max(self.block.held - self.on_offer - self.in_orders, 0)


def accounts(session: Session, provider_id: int) -> Sequence[RegistryAccount]:
    """Return a provider's accounts."""
    return session.scalars(
        select(RegistryAccount)
        .where(RegistryAccount.provider_id == provider_id)
        .order_by(RegistryAccount.registry_id, RegistryAccount.account_ref)
        .limit(ACCOUNTS)
    ).all()


def projects(session: Session, provider_id: int) -> Sequence[Activity]:
    """Return the activities mapped to a provider's accounts, by their numbers."""
    mapped = (
        select(AccountActivity.activity_id)
        .join(AccountActivity.account)
        .where(RegistryAccount.provider_id == provider_id)
    )
    return session.scalars(
        select(Activity)
        .where(Activity.id.in_(mapped))
        .order_by(Activity.registry_id, Activity.ref)
        .limit(PROJECTS)
    ).all()


def unmapped(session: Session, provider_id: int) -> Sequence[UnmappedBlock]:
    """Return units in a provider's accounts that it is not mapped to."""
    return session.scalars(
        select(UnmappedBlock)
        .join(UnmappedBlock.account)
        .where(RegistryAccount.provider_id == provider_id)
        .options(joinedload(UnmappedBlock.account))
        .order_by(UnmappedBlock.id)
        .limit(UNMAPPED)
    ).all()


_PLACE = (Block.registry_id, Block.account_ref, Block.activity_id, Block.id)
"""The order of holdings, which an index serves."""


def holdings(
    session: Session,
    provider_id: int,
    *,
    registry_id: str = "",
    activity_id: int | None = None,
    show: str = "",
    after: int | None = None,
    limit: int = 50,
) -> list[Holding]:
    """Return a provider's blocks by account and activity.

    Args:
        session: any.
        provider_id: whose; blocks of others are never among them.
        registry_id: only those of one registry.
        activity_id: only those of one activity.
        show: ``free`` only with units to offer, ``obstacle`` only what may not be offered.
        after: only what comes after this block, for the next page.
        limit: at most so many.

    """
    wanted = select(Block).where(Block.provider_id == provider_id)
    if registry_id:
        wanted = wanted.where(Block.registry_id == registry_id)
    if activity_id is not None:
        wanted = wanted.where(Block.activity_id == activity_id)
    if show == "obstacle":
        wanted = wanted.where(Block.eligible.is_(False), Block.held > 0)
    if show == "free":
        promised = (
            select(func.coalesce(func.sum(stock.PROMISE), 0))
            .where(Offer.block_id == Block.id)
            .correlate(Block)
            .scalar_subquery()
        )
        wanted = wanted.where(Block.eligible, Block.held > promised)
    if after is not None:
        place = select(*_PLACE).where(Block.id == after, Block.provider_id == provider_id)
        last = session.execute(place).one_or_none()
        if last is not None:
            wanted = wanted.where(tuple_(*_PLACE) > tuple_(*last))
    # Not joined: a planner that expects few rows would join and sort them all first.
    blocks = session.scalars(
        wanted.options(selectinload(Block.activity)).order_by(*_PLACE).limit(limit)
    ).all()
    return with_promises(session, blocks)


def with_promises(session: Session, blocks: Sequence[Block]) -> list[Holding]:
    """Return ``blocks`` with what their offers promise."""
    rows = session.execute(
        select(Offer.block_id, func.sum(stock.PROMISE), func.sum(Offer.held))
        .where(Offer.block_id.in_([block.id for block in blocks]))
        .group_by(Offer.block_id)
    )
    found = {block_id: (int(promised), int(held)) for block_id, promised, held in rows}
    holdings = []
    for block in blocks:
        promised, held = found.get(block.id, (0, 0))
        holdings.append(Holding(block, promised - held, held))
    return holdings


def sums(
    session: Session, provider_id: int, activity_ids: Collection[int]
) -> Mapping[tuple[str, str, int], tuple[int, int]]:
    """Count blocks and units held, by registry, account and activity."""
    rows = session.execute(
        select(
            Block.registry_id,
            Block.account_ref,
            Block.activity_id,
            func.count(),
            func.sum(Block.held),
        )
        .where(Block.provider_id == provider_id, Block.activity_id.in_(activity_ids))
        .group_by(Block.registry_id, Block.account_ref, Block.activity_id)
    )
    return {(registry, account, id_): (n, int(held)) for registry, account, id_, n, held in rows}


def offers(
    session: Session,
    provider_id: int,
    *,
    status: OfferStatus | None = OfferStatus.OPEN,
    activity_ids: Collection[int] | None = None,
    block_ref: str = "",
    before: int | None = None,
    limit: int = 50,
) -> Sequence[Offer]:
    """Return a provider's offers, newest first, with block and activity.

    Args:
        session: any.
        provider_id: whose; offers of others are never among them.
        status: only open or only closed ones; None for all.
        activity_ids: only those of these activities, or of a block ``block_ref``.
        block_ref: see there.
        before: only offers older than this id, for the next page.
        limit: at most so many.

    """
    wanted = select(Offer).where(Offer.provider_id == provider_id)
    if status is not None:
        wanted = wanted.where(Offer.status == status)
    if activity_ids is not None:
        of_projects = select(Block.id).where(
            Block.provider_id == provider_id, Block.activity_id.in_(activity_ids)
        )
        # By way of its accounts: that is how blocks are indexed.
        of_name = (
            select(Block.id)
            .join(
                RegistryAccount,
                (RegistryAccount.registry_id == Block.registry_id)
                & (RegistryAccount.account_ref == Block.account_ref),
            )
            .where(
                RegistryAccount.provider_id == provider_id,
                Block.provider_id == provider_id,
                Block.block_ref == block_ref,
            )
        )
        wanted = wanted.where(Offer.block_id.in_(union_all(of_projects, of_name)))
    if before is not None:
        wanted = wanted.where(Offer.id < before)
    return session.scalars(
        wanted.options(selectinload(Offer.block).selectinload(Block.activity))
        .order_by(Offer.id.desc())
        .limit(limit)
    ).all()


def offers_of_block(session: Session, provider_id: int, block_id: int) -> Sequence[Offer]:
    """Return a provider's offers of one block, newest first."""
    return session.scalars(
        select(Offer)
        .where(Offer.block_id == block_id, Offer.provider_id == provider_id)
        .order_by(Offer.id.desc())
        .limit(PROJECTS)
    ).all()


def history(session: Session, offer_id: int) -> Sequence[OfferTerms]:
    """Return the terms of an offer, newest first, as far back as a page shows."""
    return session.scalars(
        select(OfferTerms)
        .where(OfferTerms.offer_id == offer_id)
        .order_by(OfferTerms.version.desc())
        .limit(100)
    ).all()

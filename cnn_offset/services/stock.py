"""Units of blocks and offers: promised, held, released, cancelled. Conditional updates only.

Whoever needs a block and its offers locks the block first, then the offers by their ids.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

from sqlalchemy import ColumnElement, CursorResult, case, func, select, update
from sqlalchemy.orm import Session

from cnn_offset.domain.status import CancellationStatus, OfferStatus
from cnn_offset.domain.text import N_
from cnn_offset.models import Block, Cancellation, Offer
from cnn_offset.services import ServiceError

SOLD_OUT = N_("Fewer units are available than you asked for. Please choose a smaller quantity.")


class SoldOutError(ServiceError):
    """The offer has fewer units left, or takes no orders any more."""

    def __init__(self, offer_id: int) -> None:
        super().__init__(SOLD_OUT)
        self.offer_id = offer_id


PROMISE: Final[ColumnElement[int]] = case(
    (Offer.status == OfferStatus.OPEN, Offer.quantity - Offer.cancelled), else_=Offer.held
)
"""Units of its block that an offer still promises: an open one all that is not cancelled
yet, a closed one what its running orders hold."""


def lock_block(session: Session, block_id: int) -> Block:
    """Return a block as it is now; nobody else makes, enlarges or shrinks offers of it, or
    records a cancellation, until the commit. SQLite has one writer.
    """
    return session.get_one(
        Block, block_id, with_for_update={"key_share": True}, populate_existing=True
    )


def lock_offers(session: Session, block_id: int) -> list[Offer]:
    """Return the offers of a locked block that still promise units, as they are now."""
    return list(
        session.scalars(
            select(Offer)
            .where(Offer.block_id == block_id, PROMISE > 0)
            .order_by(Offer.id)
            .with_for_update(key_share=True)
            .execution_options(populate_existing=True)
        )
    )


def promised(session: Session, block_id: int) -> int:
    """Count the units of a block that its offers promise."""
    total = session.scalar(select(func.sum(PROMISE)).where(Offer.block_id == block_id))
    return int(total or 0)


def in_flight(session: Session, block: Block) -> int:
    """Count the units of a block that its registry may have cancelled without our knowing."""
    C = CancellationStatus  # noqa: N806
    total = session.scalar(
        select(func.sum(Cancellation.quantity)).where(
            Cancellation.registry_id == block.registry_id,
            Cancellation.account_ref == block.account_ref,
            Cancellation.block_ref == block.block_ref,
            Cancellation.status.in_([C.SUBMITTED, C.UNKNOWN, C.MISMATCHED]),
        )
    )
    return int(total or 0)


def hold(session: Session, wanted: Iterable[tuple[int, int]], *, closed_too: bool = False) -> None:
    """Take (offer id, quantity) pairs, all or none; in the order of ids, against deadlocks.

    Args:
        session: a writing transaction.
        wanted: what to take.
        closed_too: also from an offer closed to new orders, for one that was placed before,
            if its block has as many that nobody is promised.

    Raises:
        SoldOutError: one cannot be had; the caller lets the transaction fail.

    """
    wanted = sorted(wanted)
    if closed_too:
        _check_closed(session, dict(wanted))
    for offer_id, quantity in wanted:
        statement = (
            update(Offer)
            .where(Offer.id == offer_id, Offer.quantity - Offer.held - Offer.cancelled >= quantity)
            .values(held=Offer.held + quantity)
        )
        if not closed_too:
            statement = statement.where(Offer.status == OfferStatus.OPEN)
        if not _did(session, statement):
            raise SoldOutError(offer_id)


def _check_closed(session: Session, wanted: dict[int, int]) -> None:
    """Make sure that what is wanted of closed offers is promised to nobody else by now."""
    blocks = select(Offer.block_id).where(Offer.id.in_(wanted)).distinct()
    for block_id in sorted(session.scalars(blocks)):
        free = lock_block(session, block_id).held - promised(session, block_id)
        closed = select(Offer.id).where(
            Offer.id.in_(wanted), Offer.block_id == block_id, Offer.status == OfferStatus.CLOSED
        )
        for offer_id in sorted(session.scalars(closed)):
            free -= wanted[offer_id]
            if free < 0:
                raise SoldOutError(offer_id)


def release(session: Session, held: Iterable[tuple[int, int]]) -> None:
    """Give back units that are held. The caller has won the move that allows it."""
    for offer_id, quantity in sorted(held):
        statement = (
            update(Offer)
            .where(Offer.id == offer_id, Offer.held >= quantity)
            .values(held=Offer.held - quantity)
        )
        if not _did(session, statement):
            raise AssertionError(f"offer {offer_id} does not hold {quantity} units")


def use(session: Session, offer_id: int, quantity: int) -> None:
    """Turn held units into cancelled ones, once the registry has confirmed.

    Of the block there are as many less, whether or not its last reading knew of it.
    """
    whose = select(Offer.block_id).where(Offer.id == offer_id).scalar_subquery()
    left = case((Block.held > quantity, Block.held - quantity), else_=0)
    _did(session, update(Block).where(Block.id == whose).values(held=left))
    statement = (
        update(Offer)
        .where(Offer.id == offer_id, Offer.held >= quantity)
        .values(held=Offer.held - quantity, cancelled=Offer.cancelled + quantity)
    )
    if not _did(session, statement):
        raise AssertionError(f"offer {offer_id} does not hold {quantity} units")


def _did(session: Session, statement: object) -> bool:
    result = session.execute(
        statement.execution_options(synchronize_session=False)  # type: ignore[attr-defined]
    )
    assert isinstance(result, CursorResult)
    return result.rowcount == 1

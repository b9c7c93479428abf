"""Keeping offers within what their blocks hold (F5)."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Final

from sqlalchemy import ColumnElement, func, select
from sqlalchemy.orm import Session

from cnn_offset.domain.status import OfferStatus
from cnn_offset.domain.text import N_
from cnn_offset.models import Block, Offer
from cnn_offset.services import stock
from cnn_offset.services.mailing import queue_message
from cnn_offset.services.terms import close, keep_terms

SHRUNK: Final = N_("The account holds fewer units of the block than were on offer.")
ACTOR: Final = "registry"


def strained(session: Session, *blocks: ColumnElement[bool]) -> Sequence[int]:
    """Return the ids of blocks whose offers promise more than was reported of them.

    Units whose cancellation is in flight may explain it: :func:`fit` looks.
    """
    return session.scalars(
        select(Offer.block_id)
        .join(Block, Block.id == Offer.block_id)
        .where(*blocks)
        .group_by(Offer.block_id, Block.reported)
        .having(func.sum(stock.PROMISE) > Block.reported)
        .order_by(Offer.block_id)
    ).all()


def fit(session: Session, block_id: int, *, now: datetime) -> int:
    """Shrink the open offers of a block until they promise no more than there is.

    Orders in progress come first: what they hold is never taken. What the registry last
    reported may or may not include units that it was cancelling for us then, so units in
    flight count as there; a unit whose cancellation is recorded is promised no more.
    Public offers give way before private ones. An offer with nothing left and no order
    closes. The provider is told, once a day for each offer.

    Returns how many held units are not covered either; operators see them on their
    attention list. Safe to repeat.
    """
    block = stock.lock_block(session, block_id)
    offers = stock.lock_offers(session, block_id)
    over = stock.promised(session, block_id) - block.reported - stock.in_flight(session, block)
    open_ = [each for each in offers if each.status is OfferStatus.OPEN]
    for offer in sorted(open_, key=lambda each: (each.private_token is not None, each.id)):
        less = min(over, offer.available)
        if less <= 0:
            continue
        over -= less
        _shrink(session, offer, less, now=now)
    if over > 0:
        queue_message(
            session,
            "units_missing",
            recipient=block.provider.email,
            locale=block.provider.locale,
            now=now,
            dedup=f"units_missing:{block.id}:{now.date()}",
            params={"block_id": block.id, "missing": over},
        )
    return max(over, 0)


def _shrink(session: Session, offer: Offer, less: int, *, now: datetime) -> None:
    was = offer.quantity
    if offer.quantity == less:
        close(session, offer, actor=ACTOR, why=SHRUNK, now=now)
    else:
        offer.quantity -= less
        offer.version += 1
        keep_terms(session, offer, actor=ACTOR, why=SHRUNK, now=now)
        if offer.available == 0 and offer.held == 0:
            close(session, offer, actor=ACTOR, why=SHRUNK, now=now)
    queue_message(
        session,
        "offer_shrunk",
        recipient=offer.provider.email,
        locale=offer.provider.locale,
        now=now,
        dedup=f"offer_shrunk:{offer.id}:{now.date()}",
        params={"offer_id": offer.id, "was": was, "now": was - less},
    )

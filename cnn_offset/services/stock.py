"""Units of an offer: held, released, cancelled. Conditional updates only."""

from __future__ import annotations

from collections.abc import Iterable

from sqlalchemy import CursorResult, update
from sqlalchemy.orm import Session

from cnn_offset.domain.status import OfferStatus
from cnn_offset.domain.text import N_
from cnn_offset.models import Offer
from cnn_offset.services import ServiceError

SOLD_OUT = N_("Fewer units are available than you asked for. Please choose a smaller quantity.")


class SoldOutError(ServiceError):
    """The offer has fewer units left, or takes no orders any more."""

    def __init__(self, offer_id: int) -> None:
        super().__init__(SOLD_OUT)
        self.offer_id = offer_id


def hold(session: Session, wanted: Iterable[tuple[int, int]], *, closed_too: bool = False) -> None:
    """Take (offer id, quantity) pairs, all or none; in the order of ids, against deadlocks.

    Args:
        session: a writing transaction.
        wanted: what to take.
        closed_too: also from an offer closed to new orders, for one that was placed before.

    Raises:
        SoldOutError: one cannot be had; the caller lets the transaction fail.

    """
    for offer_id, quantity in sorted(wanted):
        statement = (
            update(Offer)
            .where(Offer.id == offer_id, Offer.quantity - Offer.held - Offer.cancelled >= quantity)
            .values(held=Offer.held + quantity)
        )
        if not closed_too:
            statement = statement.where(Offer.status == OfferStatus.OPEN)
        if not _did(session, statement):
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
    """Turn held units into cancelled ones, once the registry has confirmed."""
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

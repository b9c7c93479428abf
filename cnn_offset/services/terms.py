"""The terms of an offer, written down whenever they change, and how an offer closes."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy.orm import Session

from cnn_offset.domain.status import OfferStatus
from cnn_offset.models import Offer, OfferTerms
from cnn_offset.services.moves import move


def keep_terms(session: Session, offer: Offer, *, actor: str, why: str, now: datetime) -> None:
    """Write down what ``offer`` says from ``now`` on, under its version.

    The caller owns the offer until the commit and has raised its version, unless it is new.

    Args:
        session: a writing transaction.
        offer: as it is to be from now on.
        actor: who wants it so.
        why: an English message id; empty for a wish of the provider's staff.
        now: the moment.

    """
    offer.changed_at = now
    session.flush()
    session.add(
        OfferTerms(
            offer_id=offer.id,
            version=offer.version,
            status=offer.status,
            price_minor=offer.price_minor,
            currency=offer.currency,
            quantity=offer.quantity,
            min_quantity=offer.min_quantity,
            ends_at=offer.ends_at,
            actor=actor,
            why=why,
            at=now,
        )
    )


def close(session: Session, offer: Offer, *, actor: str, why: str, now: datetime) -> bool:
    """Close ``offer`` to new orders; those that run keep their units. Safe to repeat.

    The caller owns the offer until the commit. Returns whether this call closed it.
    """
    if not move(session, offer, OfferStatus.CLOSED, actor=actor, why=why or "withdrawn", now=now):
        return False
    offer.version += 1
    offer.due_at = None
    keep_terms(session, offer, actor=actor, why=why, now=now)
    return True

"""Units that do not last: their offers end in time, and none is cancelled too late."""

from __future__ import annotations

from datetime import datetime
from typing import Final

from sqlalchemy.orm import Session

from cnn_offset.domain import expiry
from cnn_offset.domain.status import OfferStatus
from cnn_offset.domain.text import N_
from cnn_offset.models import Block
from cnn_offset.services import stock
from cnn_offset.services.terms import keep_terms

ENDS_EARLIER: Final = N_("The registry says until when these units are valid.")


def end_offers_in_time(session: Session, block: Block, *, now: datetime) -> int:
    """Let no open offer of a locked block take orders until its units expire.

    Returns how many end earlier than before. Safe to repeat.
    """
    latest = expiry.last_order(block.expires_on)
    if latest is None:
        return 0
    shortened = 0
    for offer in stock.lock_offers(session, block.id):
        if offer.status is not OfferStatus.OPEN or (offer.ends_at and offer.ends_at <= latest):
            continue
        offer.ends_at = offer.due_at = latest
        offer.version += 1
        keep_terms(session, offer, actor="core", why=ENDS_EARLIER, now=now)
        shortened += 1
    return shortened

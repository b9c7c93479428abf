"""A private offer, as the customer sees it who was sent its link."""

from __future__ import annotations

from flask import make_response, render_template
from flask.typing import ResponseReturnValue

from cnn_offset.blueprints.catalogue import words
from cnn_offset.blueprints.catalogue.cards import picture_url
from cnn_offset.blueprints.catalogue.offers import offer_rows
from cnn_offset.domain.money import exponent
from cnn_offset.domain.status import OfferStatus
from cnn_offset.extensions import db, platform
from cnn_offset.services import offering


def private_offer(token: str) -> ResponseReturnValue:
    """Show the offer of a private link, also when it takes no orders any more."""
    here = platform()
    found = offering.private_offer(db.session(), token)
    now = here.clock()
    ended = found.status is not OfferStatus.OPEN or (
        found.ends_at is not None and found.ends_at <= now
    )
    row = offer_rows([found], here.payments_for_new, here.dates_for_new, now=now)[0]
    response = make_response(
        render_template(
            "catalogue/private.html",
            row=row,
            ended=ended or not found.block.eligible,
            period=words.period(str(found.block.commitment_period or "")),
            picture=picture_url(found.block.activity.picture),
            exponent=exponent,
        )
    )
    # The link is the key: into no cache and no search engine. The site's own policy keeps it
    # from other sites; forms over https need the referrer among ourselves.
    response.headers["Cache-Control"] = "no-store"
    response.headers["X-Robots-Tag"] = "noindex"
    return response

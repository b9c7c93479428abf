"""Mails about holdings and offers."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from flask_babel import gettext, ngettext
from sqlalchemy.orm import Session

from cnn_offset.extensions import public_url
from cnn_offset.i18n import language, localised, number
from cnn_offset.mail.letters.letter import Letter, Writer
from cnn_offset.models import Block, Message, Offer


def _facts(block: Block) -> list[tuple[str, str]]:
    return [
        (gettext("Project"), localised(block.activity.title)),
        (gettext("Block"), block.block_ref),
        (gettext("Account"), block.account_ref),
    ]


def _offer_shrunk(session: Session, message: Message) -> Letter:
    offer = session.get_one(Offer, message.params["offer_id"])
    left, was = message.params["now"], message.params["was"]
    return Letter(
        gettext("Your offer of block %(block)s is smaller now", block=offer.block.block_ref),
        [
            gettext(
                "The registry reports fewer units of this block in your account than you had on "
                "offer, so the offer was made smaller at once. Orders that run are served first."
            ),
            gettext(
                "If you sold units through another channel you need do nothing. If you did not, "
                "please ask the registry."
            ),
        ],
        [
            *_facts(offer.block),
            (gettext("On offer before"), number(was, language())),
            (gettext("On offer now"), number(left, language())),
        ],
        link=(
            gettext("See the offer"),
            public_url("provider.offer", lang=language(), offer_id=str(offer.id)),
        ),
    )


def _units_missing(session: Session, message: Message) -> Letter:
    block = session.get_one(Block, message.params["block_id"])
    missing = message.params["missing"]
    return Letter(
        gettext("Block %(block)s does not cover its running orders", block=block.block_ref),
        [
            ngettext(
                "The registry reports so few units of this block in your account that %(n)s unit "
                "of running orders is missing.",
                "The registry reports so few units of this block in your account that %(n)s units "
                "of running orders are missing.",
                missing,
                n=number(missing, language()),
            ),
            gettext(
                "Orders in progress must be fulfilled first. Please bring the units back into the "
                "account, or refund the purchasers; we have been told too."
            ),
        ],
        _facts(block),
        link=(
            gettext("See the block"),
            public_url("provider.holding", lang=language(), block_id=str(block.id)),
        ),
    )


LETTERS: Final[Mapping[str, Writer]] = {
    "offer_shrunk": _offer_shrunk,
    "units_missing": _units_missing,
}

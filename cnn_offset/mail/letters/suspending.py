"""Mails to a provider whose offers are kept from new orders, or no longer."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from flask_babel import gettext
from sqlalchemy.orm import Session

from cnn_offset.extensions import public_url
from cnn_offset.i18n import language
from cnn_offset.mail.letters.letter import Letter, Writer
from cnn_offset.models import Message


def _suspended(_session: Session, message: Message) -> Letter:
    return Letter(
        gettext("Your offers are suspended"),
        [
            gettext(
                "The operators of the platform have taken your offers out of the catalogue. "
                "Nobody can place new orders of your units for now. Their reason:"
            ),
            *(line for line in str(message.params["why"]).split("\n") if line),
            gettext(
                "Orders placed before go on as usual: please go on dealing with them. "
                "When the matter is settled, write to us by answering this mail."
            ),
        ],
        link=(gettext("Go to your orders"), public_url("provider.orders", lang=language())),
    )


def _resumed(_session: Session, _message: Message) -> Letter:
    return Letter(
        gettext("Your offers are back in the catalogue"),
        [gettext("The suspension is over. Your open offers take orders again from now on.")],
        link=(gettext("See your offers"), public_url("provider.offers", lang=language())),
    )


LETTERS: Final[Mapping[str, Writer]] = {
    "provider_suspended": _suspended,
    "provider_resumed": _resumed,
}

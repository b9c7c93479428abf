"""Mails about a project's texts and pictures."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from flask_babel import gettext
from sqlalchemy.orm import Session

from cnn_offset.extensions import public_url
from cnn_offset.i18n import language, localised
from cnn_offset.mail.letters.letter import Letter, Writer
from cnn_offset.models import Listing, Message


def _approved(session: Session, message: Message) -> Letter:
    found = session.get_one(Listing, message.params["listing_id"])
    title = localised(found.title)
    return Letter(
        gettext("The page of “%(title)s” is public", title=title),
        [
            gettext(
                "We have reviewed your texts and pictures of this project. "
                "Visitors see them from now on."
            )
        ],
        [(gettext("Project"), title), (gettext("Reference number"), found.activity.ref)],
        link=(
            gettext("See the project page"),
            public_url("catalogue.activity", lang=language(), slug=found.activity.slug),
        ),
    )


def _refused(session: Session, message: Message) -> Letter:
    found = session.get_one(Listing, message.params["listing_id"])
    title = localised(found.title)
    return Letter(
        gettext("The page of “%(title)s”: please change something", title=title),
        [
            gettext(
                "We have reviewed your texts and pictures of this project and ask you to "
                "change the following before the public sees them:"
            ),
            *(line for line in str(message.params["reason"]).split("\n") if line),
        ],
        [(gettext("Project"), title), (gettext("Reference number"), found.activity.ref)],
        closing=[gettext("Until then the public sees the page as it was.")],
        link=(
            gettext("Go on writing"),
            public_url(
                "provider.listing_page",
                lang=language(),
                slug=found.activity.slug,
            ),
        ),
    )


LETTERS: Final[Mapping[str, Writer]] = {
    "listing_approved": _approved,
    "listing_refused": _refused,
}

"""Mails about applications to become a provider, and about a provider's particulars."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from flask_babel import gettext
from sqlalchemy.orm import Session

from cnn_offset.extensions import public_url
from cnn_offset.i18n import country_name, language
from cnn_offset.mail.letters.letter import Letter, Link, Writer
from cnn_offset.models import Application, ApplicationNote, Message, Provider


def _application(session: Session, message: Message) -> Application:
    return session.get_one(Application, message.params["application_id"])


def _own_page() -> Link:
    return gettext("See your application"), public_url("applying.show", lang=language())


def _desk_page(application: Application) -> Link:
    return (
        gettext("See the application"),
        public_url("admin.application", lang=language(), number=str(application.id)),
    )


def _words(session: Session, message: Message) -> list[str]:
    """Return what an operator said, by lines."""
    return session.get_one(ApplicationNote, message.params["note_id"]).text.split("\n")


def _submitted(session: Session, message: Message) -> Letter:
    application = _application(session, message)
    return Letter(
        gettext("New application: %(name)s", name=application.organisation),
        [gettext("Somebody has applied to become a provider. It waits for you.")],
        [
            (gettext("Organisation"), application.organisation),
            (gettext("Country"), country_name(application.country, language())),
            (gettext("Reference numbers"), ", ".join(application.activities)),
        ],
        link=_desk_page(application),
    )


def _answered(session: Session, message: Message) -> Letter:
    application = _application(session, message)
    return Letter(
        gettext("Answered: %(name)s", name=application.organisation),
        [gettext("The applicant has written to you. The application waits for you again.")],
        link=_desk_page(application),
    )


def _question(session: Session, message: Message) -> Letter:
    return Letter(
        gettext("Your application: a question"),
        [
            gettext("We have read your application as a provider and would like to know more:"),
            *_words(session, message),
        ],
        closing=[gettext("Please answer on the page of your application, not by e-mail.")],
        link=_own_page(),
    )


def _approved(session: Session, message: Message) -> Letter:
    application = _application(session, message)
    return Letter(
        gettext("Your application is approved"),
        [
            gettext(
                "%(name)s is a provider now, and you are the owner of its workspace.",
                name=application.organisation,
            ),
            gettext(
                "Its checklist leads you to the first sale: the units in your account, how you are "
                "paid, a description and pictures of your project, and your first offer."
            ),
        ],
        link=(
            gettext("Go to your workspace"),
            public_url("provider.home", lang=language()),
        ),
    )


def _refused(session: Session, message: Message) -> Letter:
    return Letter(
        gettext("Your application could not be approved"),
        [
            gettext("We have read your application as a provider. This is why:"),
            *_words(session, message),
        ],
        closing=[gettext("If you can put it right, please apply once more.")],
        link=_own_page(),
    )


def _address_changed(session: Session, message: Message) -> Letter:
    provider = session.get_one(Provider, message.params["provider_id"])
    return Letter(
        gettext("%(name)s: mails go to another address now", name=provider.name),
        [
            gettext(
                "%(actor)s has changed the address to which mails about orders and notices go. "
                "This is the last one to the old address.",
                actor=message.params["actor"],
            ),
            gettext("If you know nothing of it, please write to us at once."),
        ],
    )


LETTERS: Final[Mapping[str, Writer]] = {
    "application_answered": _answered,
    "application_approved": _approved,
    "application_question": _question,
    "application_refused": _refused,
    "application_submitted": _submitted,
    "provider_address_changed": _address_changed,
}

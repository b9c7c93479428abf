"""The daily mail to operators about what waits for them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from flask_babel import gettext
from sqlalchemy.orm import Session

from cnn_offset.extensions import public_url
from cnn_offset.i18n import language, number
from cnn_offset.mail.letters.letter import Letter, Writer
from cnn_offset.models import Message
from cnn_offset.services.digesting import DIGEST


def _digest(_session: Session, message: Message) -> Letter:
    counts = {name: int(value) for name, value in message.params.items()}
    ways = (
        ("applications", gettext("Applications"), "admin.applications"),
        ("reviews", gettext("Project pages to review"), "admin.reviews"),
        ("payouts", gettext("Bank transfers asked for"), "admin.payouts"),
    )
    shown = [(name, text, endpoint) for name, text, endpoint in ways if counts.get(name)]
    return Letter(
        gettext("What waits for you today"),
        [gettext("Providers and applicants wait for an answer of the operators:")],
        [(text, number(counts[name], language())) for name, text, _ in shown],
        links=[(text, public_url(endpoint, lang=language())) for _, text, endpoint in shown],
    )


LETTERS: Final[Mapping[str, Writer]] = {DIGEST: _digest}

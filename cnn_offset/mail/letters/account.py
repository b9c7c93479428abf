"""Mails about accounts."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from sqlalchemy.orm import Session

from cnn_offset.mail.letters.letter import Letter, Writer
from cnn_offset.models import Message


def _account(_session: Session, message: Message) -> Letter:
    from cnn_offset.accounts import account_mail  # it imports what imports us

    mail = account_mail(message)
    return Letter(mail.subject, mail.paragraphs, link=(mail.link_text, mail.link))


LETTERS: Final[Mapping[str, Writer]] = {"account": _account}

"""Mails about money at a provider's bank."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from flask_babel import gettext, ngettext
from sqlalchemy.orm import Session

from cnn_offset.extensions import public_url
from cnn_offset.i18n import day_text, language, money_text, number
from cnn_offset.mail.letters.letter import Letter, Writer
from cnn_offset.models import BankEntry, BankStatement, Message


def _entry_to_second(session: Session, message: Message) -> Letter:
    entry = session.get_one(BankEntry, message.params["entry_id"])
    facts = [
        (gettext("Amount"), money_text(entry.amount_minor, entry.currency, language())),
        (gettext("Value date"), day_text(entry.received_on, language())),
        (gettext("Bank’s reference"), entry.bank_ref),
    ]
    if entry.order is not None:
        facts.insert(0, (gettext("Order number"), entry.order.code))
    return Letter(
        gettext("Money that a second person must agree to"),
        [
            gettext(
                "Somebody of your staff says that this money pays an order. Because the order "
                "is large, another member of staff must agree before any unit is cancelled."
            )
        ],
        facts,
        closing=[gettext("Please compare it with your bank before you agree.")],
        link=(
            gettext("See the entry"),
            public_url("provider.money_entry", lang=language(), entry_id=str(entry.id)),
        ),
    )


def _entries_wait(session: Session, message: Message) -> Letter:
    statement = session.get_one(BankStatement, message.params["statement_id"])
    count = int(message.params["count"])
    return Letter(
        ngettext(
            "%(n)s entry of a bank statement waits for you",
            "%(n)s entries of a bank statement wait for you",
            count,
            n=number(count, language()),
        ),
        [
            gettext(
                "The statement was read. Some entries need a person to say which order they "
                "are for, or that they are for none."
            )
        ],
        [
            (gettext("File"), statement.filename),
            (gettext("New entries"), number(statement.added, language())),
            (gettext("To decide"), number(count, language())),
        ],
        link=(
            gettext("See the statement"),
            public_url("provider.statement", lang=language(), statement_id=str(statement.id)),
        ),
    )


LETTERS: Final[Mapping[str, Writer]] = {
    "entry_to_second": _entry_to_second,
    "entries_wait": _entries_wait,
}

"""What each kind of mail says, by what it is about."""

from __future__ import annotations

from typing import Final

from sqlalchemy.orm import Session

from cnn_offset.mail.letters import (
    account,
    applying,
    banking,
    cases,
    corrections,
    deciding,
    digesting,
    ending,
    fees,
    listing,
    moving,
    offering,
    orders,
    payouts,
    people,
    replacing,
    reporting,
    staffing,
    suspending,
)
from cnn_offset.mail.letters.letter import Letter, Writer
from cnn_offset.models import Message

_LETTERS: Final[dict[str, Writer]] = {
    **account.LETTERS,
    **applying.LETTERS,
    **banking.LETTERS,
    **digesting.LETTERS,
    **ending.LETTERS,
    **corrections.LETTERS,
    **cases.LETTERS,
    **deciding.LETTERS,
    **fees.LETTERS,
    **listing.LETTERS,
    **moving.LETTERS,
    **offering.LETTERS,
    **orders.LETTERS,
    **payouts.LETTERS,
    **people.LETTERS,
    **replacing.LETTERS,
    **reporting.LETTERS,
    **staffing.LETTERS,
    **suspending.LETTERS,
}
KINDS: Final = frozenset(_LETTERS)
"""Every kind of mail there is."""


def write(session: Session, message: Message) -> Letter:
    """Say what the mail of ``message`` says, in the language in force.

    Raises:
        KeyError: there is no such kind of mail.

    """
    return _LETTERS[message.kind](session, message)


def writer_of(kind: str) -> Writer:
    """Return the function that writes mails of ``kind``.

    Raises:
        KeyError: there is no such kind of mail.

    """
    return _LETTERS[kind]

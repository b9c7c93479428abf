"""A bank's statement as a value, and what names an order in what a payer wrote."""

from __future__ import annotations

import hashlib
import re
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import date
from enum import StrEnum
from typing import Final

from cnn_offset.domain.money import Money
from cnn_offset.domain.reference import ALPHABET, is_creditor_reference
from cnn_offset.domain.text import N_

MOST_LINES: Final = 50_000
MOST_BYTES: Final = 10 * 1024 * 1024
REF_LENGTH: Final = 90
"""Longest name of an entry; a part of it adds a few signs and still fits a fact."""
_REFERENCE: Final = re.compile(r"R\s?F[\s.:/-]*((?:[0-9][\s./-]*){13}[0-9])(?![0-9])")
_CODE: Final = re.compile(rf"(?<![0-9A-Z])[{ALPHABET}]{{9}}(?![0-9A-Z])")


class UnreadableStatementError(Exception):
    """A statement that is not taken. ``message`` is an English message id, with ``values``
    for its placeholders; people of the provider read it in their language.
    """

    def __init__(self, message: str, **values: object) -> None:
        super().__init__(message % values if values else message)
        self.message = message
        self.values = values


class StatementFormat(StrEnum):
    """The kinds of files that are read."""

    CAMT053 = "camt053"
    MT940 = "mt940"
    CSV = "csv"


@dataclass(frozen=True, slots=True)
class StatementLine:
    """One booked entry, or one part of an entry that was booked for several payments.

    ``amount`` is negative for money that went. ``ref`` is the bank's own identity of the
    entry, empty where it gives none. ``reference`` is a structured creditor reference,
    ``text`` whatever else the payer or the bank wrote.
    """

    ref: str
    amount: Money
    received_on: date
    payer: str = ""
    reference: str = ""
    text: str = ""


@dataclass(frozen=True, slots=True)
class Statement:
    """What was booked on one account between two balances.

    ``account`` is as the bank writes it, empty where the file does not say. Without
    balances nothing proves that no entry is missing.
    """

    format: StatementFormat
    account: str
    lines: Sequence[StatementLine]
    opening: Money | None = None
    closing: Money | None = None

    @property
    def is_proven(self) -> bool:
        """Whether its balances were there to be checked."""
        return self.opening is not None and self.closing is not None


def check_balances(statement: Statement) -> None:
    """Make sure that opening balance and entries add up to the closing balance.

    Raises:
        UnreadableStatementError: they do not, or are in several currencies.

    """
    opening, closing = statement.opening, statement.closing
    if opening is None or closing is None:
        return
    currencies = {opening.currency, closing.currency}
    currencies |= {line.amount.currency for line in statement.lines}
    if len(currencies) > 1:
        raise UnreadableStatementError(
            N_("The statement mixes currencies: %(currencies)s. Nothing was read."),
            currencies=", ".join(sorted(currencies)),
        )
    booked = sum(line.amount.minor for line in statement.lines)
    found = Money(opening.minor + booked, opening.currency)
    if found != closing:
        raise UnreadableStatementError(
            N_(
                "The statement does not add up: opening balance and entries make %(found)s, "
                "its closing balance is %(closing)s. Nothing was read. Please fetch it again."
            ),
            found=found,
            closing=closing,
        )


def check_size(count: int) -> None:
    """Refuse more lines than are read in one file.

    Raises:
        UnreadableStatementError: there are more.

    """
    if count > MOST_LINES:
        raise UnreadableStatementError(
            N_("The file has more than %(most)s entries. Please upload shorter periods."),
            most=MOST_LINES,
        )


def entry_key(ref: str) -> str:
    """Return what two ways of writing the same bank reference have in common."""
    return "".join(ref.split()).upper()


def content_ref(line: StatementLine) -> str:
    """Name a line by what it says, for want of anything better."""
    said = f"{line.payer}\0{line.reference}\0{line.text}"
    digest = hashlib.sha256(said.encode()).hexdigest()[:10]
    return f"{line.received_on.isoformat()} {line.amount.amount:f} {digest}"


def named_lines(lines: Iterable[StatementLine]) -> list[tuple[StatementLine, str]]:
    """Give every line a ``ref``, and a second one that tells it from others of that ``ref``.

    Some banks give several entries one reference, or use one again after a year. The
    second name carries date and amount, and the how-manieth of its like in the file it
    is; so files that overlap name an entry alike.
    """
    seen: Counter[tuple[str, str]] = Counter()
    named = []
    for line in lines:
        ref = line.ref or content_ref(line)
        if len(ref) > REF_LENGTH:
            ref = f"{ref[:64]} {hashlib.sha256(ref.encode()).hexdigest()[:16]}"
        said = f"{line.received_on:%Y%m%d} {line.amount.minor}"
        key = (entry_key(ref), said)
        seen[key] += 1
        nth = seen[key]
        second = f"{ref} ({said})" if nth == 1 else f"{ref} ({said}, {nth})"
        named.append((replace(line, ref=ref), second))
    return named


def order_numbers(*texts: str) -> list[int]:
    """Return the numbers in all creditor references of ours, in the order they stand.

    Spaces, dots and dashes between the digits do not matter. Of texts given one after the
    other only the first that has any counts: what is structured goes before free text.
    """
    for text in texts:
        found = []
        for match in _REFERENCE.finditer(text.upper()):
            digits = re.sub(r"[^0-9]", "", match[1])
            if is_creditor_reference(f"RF{digits}") and int(digits[2:]) not in found:
                found.append(int(digits[2:]))
        if found:
            return found
    return []


def order_codes(text: str) -> list[str]:
    """Return what may be codes of orders in a free text; dashes within do not matter."""
    upper = text.upper()
    found = [*_CODE.findall(upper), *_CODE.findall(upper.replace("-", ""))]
    return list(dict.fromkeys(found))


def is_same_account(ours: str, theirs: str) -> bool:
    """Whether a bank's name for an account is the one we know.

    Banks write ``DE89 3704…``, ``37040044/0532013000EUR`` or ``0532013000`` for the same.
    """
    mine, other = _plain(ours), _plain(theirs)
    if not mine or not other:
        return False
    if mine == other or re.fullmatch(f"{re.escape(mine)}[A-Z]{{3}}", other):
        return True
    parts = [
        part for part in re.split(r"[^0-9]+", re.sub(r"[A-Z]{3}$", "", theirs.strip())) if part
    ]
    if _is_iban(mine) and not _is_iban(other):
        whole, rest = "".join(parts), mine[4:]
        return len(whole.lstrip("0")) >= 5 and all(each in rest for each in parts)
    if _is_iban(other) and not _is_iban(mine):
        return len(mine.lstrip("0")) >= 5 and other[4:].endswith(mine.lstrip("0"))
    return mine.lstrip("0") == other.lstrip("0")


def _plain(account: str) -> str:
    return re.sub(r"[^0-9A-Z]", "", account.upper())


def _is_iban(account: str) -> bool:
    return bool(re.fullmatch(r"[A-Z]{2}[0-9]{2}[0-9A-Z]{11,30}", account))

"""MT940, read with the library mt-940 and its corrections switched on.

Without them a returned credit counts as money that came, and a payer's account is glued to
the name (payments-facts.md 4.2).
"""

from __future__ import annotations

import io
import re
from collections.abc import Sequence
from datetime import date
from typing import Any, Final

import mt940

from cnn_offset.domain.money import Money
from cnn_offset.domain.statement import (
    Statement,
    StatementFormat,
    StatementLine,
    UnreadableStatementError,
    check_balances,
    check_size,
)
from cnn_offset.domain.text import N_

_NO_REF: Final = {"", "NONREF", "NOTPROVIDED", "NOREF"}
_WORDS: Final = (
    "purpose", "end_to_end_reference", "additional_purpose", "posting_text",
    "return_debit_notes", "transaction_details", "extra_details",
)  # fmt: skip


def read_mt940(data: bytes) -> Sequence[Statement]:
    """Read all statements of a file.

    Raises:
        UnreadableStatementError: it cannot be read or does not add up.

    """
    text = _text(data)
    check_size(len(re.findall(r"^:61:", text, re.MULTILINE)))
    try:
        # As a handle: of a text the library asks first whether it is the name of a file.
        found = mt940.parse_statements(io.StringIO(text), options=mt940.Options.all())
        statements = [_statement(each) for each in found]
    except UnreadableStatementError:
        raise
    except Exception as error:
        # The library raises whatever its tags happen to; none of it was written anywhere.
        raise UnreadableStatementError(
            N_("The MT940 file is damaged and cannot be read. Please fetch it again.")
        ) from error
    if not statements:
        raise UnreadableStatementError(N_("The file has no statement in it."))
    booked = sum(len(each.lines) for each in statements)
    if booked > len(re.findall(r"^:61:", text, re.MULTILINE)):
        raise UnreadableStatementError(
            N_("The MT940 file is damaged and cannot be read. Please fetch it again.")
        )
    for each in statements:
        check_balances(each)
    return statements


def _text(data: bytes) -> str:
    for encoding in ("utf-8-sig", "cp1252"):
        try:
            return data.decode(encoding)
        except UnicodeDecodeError:
            continue
    return data.decode("latin-1")


def _statement(found: Any) -> Statement:
    known = found.data
    account = known.get("account_identification") or known.get("account_number") or ""
    opening = known.get("final_opening_balance") or known.get("intermediate_opening_balance")
    closing = known.get("final_closing_balance") or known.get("intermediate_closing_balance")
    if not account:
        raise UnreadableStatementError(N_("The statement does not say of which account it is."))
    if opening is None or closing is None:
        raise UnreadableStatementError(
            N_("The statement has no opening or no closing balance, so nothing proves it whole.")
        )
    lines = [line for each in found if (line := _line(each.data)).amount.minor]
    return Statement(
        StatementFormat.MT940, account, lines, _money(opening.amount), _money(closing.amount)
    )


def _line(entry: dict[str, Any]) -> StatementLine:
    day = entry["date"]
    ref = (entry.get("bank_reference") or "").split("\n")[0].strip()
    words = [" ".join(str(entry.get(name) or "").split()) for name in _WORDS]
    words += (entry.get("customer_reference") or "").split("\n")
    words = [each.strip() for each in words if each.strip().upper() not in _NO_REF]
    payer = entry.get("applicant_name") or entry.get("recipient_name") or ""
    return StatementLine(
        ref="" if ref.upper() in _NO_REF else ref,
        amount=_money(entry["amount"]),
        received_on=date(day.year, day.month, day.day),
        payer=" ".join(str(payer).split()),
        text=" · ".join(dict.fromkeys(words)),
    )


def _money(amount: Any) -> Money:
    return Money.parse(f"{amount.amount:f}", amount.currency)

"""CAMT.053 (ISO 20022), versions 02 to 13: told apart by nothing, read by local names.

Entries that are only announced do not count; a batch becomes one line for each payment in
it. The sign follows CdtDbtInd; some banks mean it otherwise on reversals, and then the
balances do not add up (payments-facts.md 4.2).
"""

from __future__ import annotations

import io
from collections.abc import Iterator, Sequence
from datetime import date
from typing import Final
from xml.etree.ElementTree import Element, ParseError

from defusedxml.common import DefusedXmlException
from defusedxml.ElementTree import iterparse

from cnn_offset.domain.money import InexactAmountError, Money
from cnn_offset.domain.statement import (
    Statement,
    StatementFormat,
    StatementLine,
    UnreadableStatementError,
    check_balances,
    check_size,
)
from cnn_offset.domain.text import N_

_OPENING: Final = ("OPBD", "PRCD")
_CLOSING: Final = ("CLBD",)
_DEEPEST: Final = 50
"""More than any version of the format nests."""
_INTERIM: Final = "ITBD"
"""Between two pages of one statement: the first opens the page, the last closes it."""
_NO_REF: Final = {"", "NOTPROVIDED", "NONREF", "NOREF", "N/A", "0"}


def read_camt053(data: bytes) -> Sequence[Statement]:
    """Read all statements of a file.

    Raises:
        UnreadableStatementError: no such file, an entity or DTD in it, or it does not add up.

    """
    try:
        return list(_statements(data))
    except DefusedXmlException as error:
        raise UnreadableStatementError(
            N_("The file has a document type or entities, which no bank writes. It is refused.")
        ) from error
    except (ParseError, UnicodeError, LookupError) as error:
        raise UnreadableStatementError(
            N_("The file is damaged: its XML cannot be read. Please fetch it from your bank again.")
        ) from error
    except (InexactAmountError, ValueError) as error:
        raise UnreadableStatementError(
            N_("The file has an amount or a date that cannot be read: %(what)s."), what=str(error)
        ) from error


def _statements(data: bytes) -> Iterator[Statement]:
    lines: list[StatementLine] = []
    balances: list[tuple[str, Money]] = []
    account, count, found, path = "", 0, False, []
    for event, element in iterparse(io.BytesIO(data), ("start", "end"), forbid_dtd=True):
        name = _local(element)
        if event == "start":
            path.append(name)
            if len(path) > _DEEPEST:
                raise ParseError("nested too deeply")
            continue
        path.pop()
        if path[-2:] != ["BkToCstmrStmt", "Stmt"]:
            if path[-1:] == ["BkToCstmrStmt"] and name == "Stmt":
                found = True
                statement = _statement(account, lines, balances)
                check_balances(statement)
                yield statement
                lines, balances, account = [], [], ""
                element.clear()
            continue
        if name == "Acct":
            account = _text(element, "Id/IBAN") or _text(element, "Id/Othr/Id")
        elif name == "Bal":
            balances.append((_text(element, "Tp/CdOrPrtry/Cd"), _signed(element)))
        elif name == "Ntry":
            lines += _entry(element)
            count += 1
            check_size(max(count, len(lines)))
            # What was read is let go, so that memory does not grow with the file.
            element.clear()
    if not found:
        raise UnreadableStatementError(N_("This is XML, but there is no CAMT.053 statement in it."))


def _statement(
    account: str, lines: Sequence[StatementLine], balances: Sequence[tuple[str, Money]]
) -> Statement:
    if not account:
        raise UnreadableStatementError(N_("The statement does not say of which account it is."))
    interim = [money for kind, money in balances if kind == _INTERIM]
    opening = [money for kind, money in balances if kind in _OPENING] or interim[:1]
    closing = [money for kind, money in balances if kind in _CLOSING] or interim[-1:]
    if not opening or not closing:
        raise UnreadableStatementError(
            N_("The statement has no opening or no closing balance, so nothing proves it whole.")
        )
    return Statement(StatementFormat.CAMT053, account, lines, opening[0], closing[-1])


def _entry(entry: Element) -> Iterator[StatementLine]:
    status = _text(entry, "Sts/Cd") or _text(entry, "Sts")
    if status != "BOOK":
        return
    whole = _signed(entry)
    if whole.minor == 0:
        return
    received_on = _day(entry, "ValDt") or _day(entry, "BookgDt")
    if received_on is None:
        raise ValueError("an entry without a date")
    ref = _ref(entry, "AcctSvcrRef") or _long(_ref(entry, "NtryRef"))
    reversed_ = _text(entry, "RvslInd") in ("true", "1")
    more = _text(entry, "AddtlNtryInf")
    parts = list(_all(entry, "NtryDtls/TxDtls"))
    amounts = _amounts(parts, whole)
    if amounts is None:
        own = ref or (_own_ref(parts[0]) if len(parts) == 1 else "")
        yield StatementLine(
            ref=own,
            amount=whole,
            received_on=received_on,
            payer=_payer(parts, whole),
            reference=" ".join(filter(None, map(_reference, parts))),
            text=_joined(*("reversal" for _ in range(reversed_)), *map(_words, parts), more),
        )
        return
    for n, (part, amount) in enumerate(zip(parts, amounts, strict=True), 1):
        yield StatementLine(
            ref=f"{ref}/{n}" if ref else _own_ref(part),
            amount=amount,
            received_on=received_on,
            payer=_payer([part], amount),
            reference=_reference(part),
            text=_joined(*("reversal" for _ in range(reversed_)), _words(part), more),
        )


def _amounts(parts: Sequence[Element], whole: Money) -> list[Money] | None:
    """Return the amounts of a batch's parts; None where it is to be taken as one.

    Raises:
        UnreadableStatementError: they are told, but do not make up the entry.

    """
    if len(parts) < 2:
        return None
    amounts = []
    for part in parts:
        node = _first(part, "Amt")
        if node is None:
            node = _first(part, "AmtDtls/TxAmt/Amt")
        if node is None or node.get("Ccy") != whole.currency:
            return None
        money = _money(node)
        word = _text(part, "CdtDbtInd")
        goes = word == "DBIT" if word else whole.minor < 0
        amounts.append(Money(-money.minor if goes else money.minor, money.currency))
    if sum(each.minor for each in amounts) != whole.minor:
        raise UnreadableStatementError(
            N_("The parts of a batch of %(amount)s do not add up to it. Nothing was read."),
            amount=whole,
        )
    return None if any(each.minor == 0 for each in amounts) else amounts


def _signed(node: Element) -> Money:
    amount = _first(node, "Amt")
    if amount is None:
        raise ValueError("no amount")
    money = _money(amount)
    word = _text(node, "CdtDbtInd")
    if word not in ("CRDT", "DBIT"):
        raise ValueError(f"neither credit nor debit: {word}")
    return Money(-money.minor if word == "DBIT" else money.minor, money.currency)


def _money(node: Element) -> Money:
    return Money.parse((node.text or "").strip(), node.get("Ccy") or "")


def _day(node: Element, name: str) -> date | None:
    text = _text(node, f"{name}/Dt") or _text(node, f"{name}/DtTm")
    return date.fromisoformat(text[:10]) if text else None


def _reference(part: Element) -> str:
    found = (_text(each, "CdtrRefInf/Ref") for each in _all(part, "RmtInf/Strd"))
    return " ".join(filter(None, found))


def _words(part: Element) -> str:
    """Join what people and banks wrote, the amount before exchange and charges with it."""
    # One text, cut into pieces of a fixed length: a reference may lie across two.
    words = [" ".join((each.text or "").strip() for each in _all(part, "RmtInf/Ustrd"))]
    end_to_end = _ref(part, "Refs/EndToEndId")
    instructed = _first(part, "AmtDtls/InstdAmt/Amt")
    charges = [
        *_all(part, "Chrgs/Rcrd/Amt"), *_all(part, "Chrgs/Amt"), *_all(part, "Chrgs/TtlChrgsAndTaxAmt")
    ]  # fmt: skip
    if instructed is not None:
        words.append(f"instructed {instructed.get('Ccy', '')} {(instructed.text or '').strip()}")
    words += [f"charges {each.get('Ccy', '')} {(each.text or '').strip()}" for each in charges]
    reason = _text(part, "RtrInf/Rsn/Cd")
    if reason:
        words.append(f"return {reason}")
    words += [_text(each, "") for each in _all(part, "RtrInf/AddtlInf")]
    return _joined(*words, end_to_end, _text(part, "AddtlTxInf"))


def _payer(parts: Sequence[Element], amount: Money) -> str:
    """Return who is on the other side; of a return the sides are the first payment's."""
    sides = ("Dbtr", "Cdtr") if amount.minor > 0 else ("Cdtr", "Dbtr")
    for part in parts[:1] if len(parts) == 1 else ():
        for side in sides:
            name = _text(part, f"RltdPties/{side}/Pty/Nm") or _text(part, f"RltdPties/{side}/Nm")
            if name:
                return " ".join(name.split())
    return ""


def _own_ref(part: Element) -> str:
    return _ref(part, "Refs/AcctSvcrRef") or _long(_ref(part, "Refs/TxId"))


def _ref(node: Element, path: str) -> str:
    text = _text(node, path)
    return "" if text.upper() in _NO_REF else text


def _long(ref: str) -> str:
    """Drop what can be no identity: many banks only count the entries of one statement."""
    return ref if len(ref) >= 8 else ""


def _joined(*words: str) -> str:
    return " · ".join(dict.fromkeys(filter(None, (" ".join(each.split()) for each in words))))


def _local(element: Element) -> str:
    return str(element.tag).rpartition("}")[2]


def _all(node: Element, path: str) -> Iterator[Element]:
    name, _, rest = path.partition("/")
    for child in node:
        if _local(child) == name:
            if rest:
                yield from _all(child, rest)
            else:
                yield child


def _first(node: Element, path: str) -> Element | None:
    return next(_all(node, path), None)


def _text(node: Element, path: str) -> str:
    found = _first(node, path) if path else node
    return "" if found is None else (found.text or "").strip()

"""A bank's CSV table, read by what the provider says of its columns."""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Iterator, Sequence
from datetime import date, datetime
from itertools import pairwise
from typing import Final, Literal

from pydantic import BaseModel, ConfigDict, Field

from cnn_offset.domain.money import InexactAmountError, Money, exponent
from cnn_offset.domain.statement import (
    Statement,
    StatementFormat,
    StatementLine,
    UnreadableStatementError,
    check_balances,
    check_size,
)
from cnn_offset.domain.text import N_

ENCODINGS: Final = ("utf-8", "utf-16", "latin-1")
DELIMITERS: Final = (";", ",", "\t", "|")
DATES: Final = {
    "ymd": ("%Y-%m-%d", "%Y/%m/%d", "%Y.%m.%d", "%Y%m%d"),
    "dmy": ("%d.%m.%Y", "%d/%m/%Y", "%d-%m-%Y", "%d.%m.%y", "%d/%m/%y"),
    "mdy": ("%m/%d/%Y", "%m-%d-%Y", "%m/%d/%y"),
}
"""How days are written, by the order of their parts."""
PREVIEW_ROWS: Final = 8
WIDEST: Final = 100
_GROUPS: Final = {".": ",", ",": "."}
Column = int | None
"""Counted from 0; None: the table has none such."""


class TableMapping(BaseModel):
    """What the columns of a bank's table mean; kept for the next file of the same bank."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    encoding: Literal["utf-8", "utf-16", "latin-1"] = "utf-8"
    delimiter: Literal[";", ",", "\t", "|"] = ";"
    header_rows: int = Field(1, ge=0, le=100)
    footer_rows: int = Field(0, ge=0, le=20)
    date_column: int = Field(ge=0, lt=WIDEST)
    date_order: Literal["ymd", "dmy", "mdy"] = "dmy"
    amount_column: Column = Field(None, ge=0, lt=WIDEST)
    credit_column: Column = Field(None, ge=0, lt=WIDEST)
    debit_column: Column = Field(None, ge=0, lt=WIDEST)
    decimal: Literal[".", ","] = "."
    currency_column: Column = Field(None, ge=0, lt=WIDEST)
    currency: str = Field("", max_length=3)
    text_column: int = Field(ge=0, lt=WIDEST)
    payer_column: Column = Field(None, ge=0, lt=WIDEST)
    ref_column: Column = Field(None, ge=0, lt=WIDEST)
    balance_column: Column = Field(None, ge=0, lt=WIDEST)


def read_table(data: bytes, mapping: TableMapping) -> Statement:
    """Read a table. With a column of balances every row is checked against the next.

    Raises:
        UnreadableStatementError: a row cannot be read, or the balances do not add up.

    """
    if mapping.amount_column is None and mapping.credit_column is None:
        raise UnreadableStatementError(N_("Please say which column has the amounts."))
    if mapping.currency_column is None and not mapping.currency:
        raise UnreadableStatementError(N_("Please say in which currency the amounts are."))
    rows = list(_rows(data, mapping.encoding, mapping.delimiter))
    check_size(len(rows) - mapping.header_rows - mapping.footer_rows)
    rows = rows[mapping.header_rows : len(rows) - mapping.footer_rows]
    lines, balances = [], []
    for number, row in rows:
        line = _line(row, mapping, number)
        if mapping.balance_column is not None:
            cell = _cell(row, mapping.balance_column)
            balances.append(_amount(cell, mapping.decimal, line.amount.currency, number))
        lines.append(line)
    if not lines:
        raise UnreadableStatementError(N_("There is no row below the heading."))
    opening, closing = _proven(lines, balances) if balances else (None, None)
    kept = [line for line in lines if line.amount.minor]
    statement = Statement(StatementFormat.CSV, "", kept, opening, closing)
    check_balances(statement)
    return statement


def guess(data: bytes) -> TableMapping:
    """Guess what can be seen without knowing the bank: encoding, separator, decimal sign."""
    encoding = "latin-1"
    for each in ("utf-16", "utf-8") if data[:2] in (b"\xff\xfe", b"\xfe\xff") else ("utf-8",):
        try:
            data.decode(each)
        except UnicodeDecodeError:
            continue
        encoding = each
        break
    head = _decoded(data[: 64 * 1024 & ~1], encoding, "replace")
    lines = [line for line in head.splitlines() if line.strip()][:20]
    delimiter = max(DELIMITERS, key=lambda sign: sum(min(line.count(sign), 30) for line in lines))
    comma = len(re.findall(r"\d,\d\d(?!\d)", head))
    dot = len(re.findall(r"(?<![\d.])\d+\.\d\d(?![\d.])", head))
    order = "ymd" if re.search(r"\b\d{4}[-/.]\d\d[-/.]\d\d\b", head) else "dmy"
    return TableMapping.model_validate(
        {
            "encoding": encoding,
            "delimiter": delimiter,
            "decimal": "," if comma > dot else ".",
            "date_order": order,
            "date_column": 0,
            "text_column": 1,
        }
    )


def preview(data: bytes, mapping: TableMapping) -> list[list[str]]:
    """Return the first rows, cut short, to choose columns on.

    Raises:
        UnreadableStatementError: they cannot be read as ``mapping`` says.

    """
    first = []
    for _, row in _rows(data, mapping.encoding, mapping.delimiter):
        first.append([cell[:60] for cell in row[:WIDEST]])
        if len(first) == PREVIEW_ROWS:
            break
    return first


def _rows(data: bytes, encoding: str, delimiter: str) -> Iterator[tuple[int, Sequence[str]]]:
    """Give the rows that are not blank, with the number of the line each ends on."""
    try:
        text = _decoded(data, encoding)
    except UnicodeDecodeError as error:
        raise UnreadableStatementError(
            N_("The file is not in the encoding %(encoding)s. Please choose another."),
            encoding=encoding.upper(),
        ) from error
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=delimiter)
    try:
        for row in reader:
            if any(cell.strip() for cell in row):
                yield reader.line_num, [cell.strip() for cell in row]
    except csv.Error as error:
        raise UnreadableStatementError(
            N_("Line %(line)s cannot be read as a table."), line=reader.line_num
        ) from error


def _decoded(data: bytes, encoding: str, errors: str = "strict") -> str:
    name = {"utf-8": "utf-8-sig", "latin-1": "cp1252"}.get(encoding, encoding)
    try:
        return data.decode(name, errors)
    except UnicodeDecodeError:
        if encoding != "latin-1":
            raise
        return data.decode("latin-1")


def _line(row: Sequence[str], mapping: TableMapping, number: int) -> StatementLine:
    currency = mapping.currency.upper()
    if mapping.currency_column is not None:
        currency = _cell(row, mapping.currency_column).upper()
    try:
        exponent(currency)
    except ValueError as error:
        raise UnreadableStatementError(
            N_("Line %(line)s: “%(what)s” is no currency."), line=number, what=currency[:20]
        ) from error
    return StatementLine(
        ref=_cell(row, mapping.ref_column),
        amount=_signed(row, mapping, currency, number),
        received_on=_day(_cell(row, mapping.date_column), mapping.date_order, number),
        payer=_cell(row, mapping.payer_column),
        text=_cell(row, mapping.text_column),
    )


def _signed(row: Sequence[str], mapping: TableMapping, currency: str, number: int) -> Money:
    if mapping.amount_column is not None:
        return _amount(_cell(row, mapping.amount_column), mapping.decimal, currency, number)
    parts = []
    for column, sign in ((mapping.credit_column, 1), (mapping.debit_column, -1)):
        cell = _cell(row, column)
        if not cell:
            continue
        money = _amount(cell, mapping.decimal, currency, number)
        # Some banks write debits with their sign, some without.
        minor = money.minor if sign > 0 else -abs(money.minor)
        if minor:
            parts.append(minor)
    if len(parts) > 1 or not any(
        _cell(row, column) for column in (mapping.credit_column, mapping.debit_column)
    ):
        raise UnreadableStatementError(
            N_("Line %(line)s needs an amount in one of the two columns, and only in one."),
            line=number,
        )
    return Money(sum(parts), currency)


def _amount(text: str, decimal: str, currency: str, number: int) -> Money:
    plain = text.replace("\u2212", "-").replace("\u2019", "'")
    plain = re.sub(r"[\u00a0\u202f\u2009]", " ", plain).strip()
    if plain.endswith("-"):
        plain = "-" + plain[:-1].rstrip()
    group = _GROUPS[decimal]
    found = re.fullmatch(
        rf"([+-]?) ?([0-9]{{1,3}}(?:([{re.escape(group)}' ])[0-9]{{3}}(?:\3[0-9]{{3}})*)?|[0-9]+)"
        rf"(?:{re.escape(decimal)}([0-9]+))?",
        plain,
    )
    try:
        if found is None or len(plain) > 24:
            raise InexactAmountError(text)
        whole = re.sub(r"[^0-9]", "", found[2])
        exact = whole + (f".{found[4]}" if found[4] else "")
        return Money.parse(("-" if found[1] == "-" else "") + exact, currency)
    except InexactAmountError as error:
        raise UnreadableStatementError(
            N_("Line %(line)s: “%(what)s” is no amount in %(currency)s that can be read."),
            line=number,
            what=text[:40],
            currency=currency,
        ) from error


def _day(text: str, order: str, number: int) -> date:
    for form in DATES[order]:
        try:
            return datetime.strptime(text[:10].strip(), form).date()  # noqa: DTZ007 - a day
        except ValueError:
            continue
    raise UnreadableStatementError(
        N_("Line %(line)s: “%(what)s” is no date of this form."), line=number, what=text[:40]
    )


def _cell(row: Sequence[str], column: Column) -> str:
    return row[column] if column is not None and column < len(row) else ""


def _proven(lines: Sequence[StatementLine], balances: Sequence[Money]) -> tuple[Money, Money]:
    """Return opening and closing balance, rows standing oldest or newest first.

    Raises:
        UnreadableStatementError: neither way does every row lead to the next.

    """
    for step in (1, -1):
        rows = list(zip(lines[::step], balances[::step], strict=True))
        if all(
            before.minor + line.amount.minor == after.minor
            for (_, before), (line, after) in pairwise(rows)
        ):
            line, first = rows[0]
            opening = Money(first.minor - line.amount.minor, first.currency)
            return opening, rows[-1][1]
    raise UnreadableStatementError(
        N_("The balances in the file do not add up from row to row. Nothing was read.")
    )

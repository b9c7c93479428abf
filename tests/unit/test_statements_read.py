"""Bank statements as files: what is read of them, and what is refused."""

from __future__ import annotations

import tracemalloc
from datetime import date
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cnn_offset.domain.money import Money
from cnn_offset.domain.statement import MOST_LINES, StatementFormat, UnreadableStatementError
from cnn_offset.plugins.payments.statements import TableMapping, format_of, read
from cnn_offset.plugins.payments.statements.table import guess, preview
from tests.statements import Line, camt053, mt940, table

DATA = Path(__file__).parents[1] / "data" / "statements"


def file(name: str) -> bytes:
    return (DATA / name).read_bytes()


def test_camt053_version_2() -> None:
    (found,) = read(file("camt053_v02.xml"))
    assert found.format is StatementFormat.CAMT053
    assert found.account == "DE89370400440532013000"
    assert (found.opening, found.closing) == (Money(100000, "EUR"), Money(105150, "EUR"))
    assert [(each.ref, each.amount.minor, each.payer) for each in found.lines] == [
        ("BANK-0001", 2500, "Ada Example"),
        ("BANK-0002/1", 1500, "B One"),
        ("BANK-0002/2", 2500, "B Two"),
        ("BANK-0004", -1350, "C Example"),
    ]
    first, *_, last = found.lines
    assert first.received_on == date(2026, 11, 1)
    assert "RF74 0000 0000 0001" in first.text
    assert "instructed USD 30.00" in first.text
    assert "charges EUR 1.50" in first.text
    assert last.text.startswith("reversal")
    assert "AC04" in last.text


def test_camt053_version_8_with_two_statements() -> None:
    first, second = read(file("camt053_v08.xml"))
    (line,) = first.lines
    assert (line.ref, line.reference, line.payer) == ("TX-77", "RF47000000000002", "Ada Example")
    assert second.account == "0532013000"
    assert second.lines == []


@pytest.mark.parametrize("version", [f"{n:02d}" for n in range(2, 14)])
def test_every_version_of_camt053(version: str) -> None:
    data = camt053([Line("25.00", "RF74000000000001")], version=version)
    (found,) = read(data)
    assert found.lines[0].amount == Money(2500, "USD")


def test_mt940() -> None:
    (found,) = read(file("mt940.sta"))
    assert found.account == "37040044/0532013000EUR"
    assert [(each.ref, each.amount.minor, each.payer) for each in found.lines] == [
        ("B0001", 2500, "Ada Example"),
        ("B0002", -550, "Somebody"),
        ("", -10000, ""),
    ]
    assert "RF74 0000 0000 0001" in found.lines[0].text


COMMA = TableMapping.model_validate(
    {
        "encoding": "latin-1", "decimal": ",", "date_column": 1, "text_column": 2,
        "payer_column": 3, "amount_column": 4, "currency_column": 5,
    }
)  # fmt: skip
BALANCES = TableMapping.model_validate(
    {
        "delimiter": ",", "header_rows": 2, "date_column": 0, "date_order": "ymd",
        "text_column": 1, "debit_column": 2, "credit_column": 3, "balance_column": 4,
        "ref_column": 5, "currency": "EUR",
    }
)  # fmt: skip


def test_a_table_with_decimal_commas() -> None:
    (found,) = read(file("comma_latin1.csv"), COMMA)
    assert not found.is_proven
    assert [each.amount.minor for each in found.lines] == [102500, -10000, -10000]
    assert found.lines[0].payer == "Jürgen Beispiel"
    assert found.lines[0].received_on == date(2026, 11, 2)
    seen = guess(file("comma_latin1.csv"))
    assert (seen.encoding, seen.delimiter, seen.decimal) == ("latin-1", ";", ",")
    assert preview(file("comma_latin1.csv"), seen)[0][4] == "Betrag"


def test_a_table_with_balances_newest_first() -> None:
    (found,) = read(file("balances.csv"), BALANCES)
    assert found.is_proven
    assert (found.opening, found.closing) == (Money(0, "EUR"), Money(12300, "EUR"))
    assert [each.amount.minor for each in found.lines] == [-200, 2500, 10000]


def test_a_table_whose_balances_do_not_add_up() -> None:
    wrong = file("balances.csv").replace(b"125.00", b"126.00")
    with pytest.raises(UnreadableStatementError, match="row to row"):
        read(wrong, BALANCES)


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16"])
def test_tables_in_unicode(encoding: str) -> None:
    data = "d;t;a;c\n02.11.2026;Zürich €;1.50;EUR\n".encode(encoding)
    seen = guess(data)
    mapping = seen.model_copy(update={"amount_column": 2, "currency_column": 3})
    (found,) = read(data, mapping)
    assert found.lines[0].text == "Zürich €"


@pytest.mark.parametrize(
    ("text", "decimal", "minor"),
    [
        ("1,234.50", ".", 123450), ("1234.5", ".", 123450), ("-1'234.50", ".", -123450),
        ("+7", ".", 700), ("7.00-", ".", -700), ("1 234,50", ",", 123450),
        ("1.234,50", ",", 123450), ("\u22125,00", ",", -500), ("1\u00a0234,5", ",", 123450),
    ],
)  # fmt: skip
def test_amounts_in_tables(text: str, decimal: str, minor: int) -> None:
    (found,) = read(
        table([("02.11.2026", "x", text)]), MAPPING.model_copy(update={"decimal": decimal})
    )
    assert found.lines[0].amount.minor == minor


MAPPING = TableMapping.model_validate(
    {"date_column": 0, "text_column": 1, "amount_column": 2, "currency": "EUR"}
)


@pytest.mark.parametrize(
    "text",
    ["", "12,50", "1,23.00", "1.234", "EUR 5", "5e3", "NaN", "--5", "٢٥", "0x1", "1,2345.00",
     "12.345", "9" * 30, "=1+1", "1 23.00", "1'234,000.00"],
)  # fmt: skip
def test_amounts_that_cannot_be_read_are_refused(text: str) -> None:
    with pytest.raises(UnreadableStatementError):
        read(table([("02.11.2026", "x", "1.00"), ("02.11.2026", "x", text)]), MAPPING)


@pytest.mark.parametrize("day", ["", "2026-11-02", "31.02.2026", "11/25/2026", "yesterday"])
def test_days_that_cannot_be_read_are_refused(day: str) -> None:
    with pytest.raises(UnreadableStatementError, match="Line 2"):
        read(table([(day, "x", "1.00")]), MAPPING)


@pytest.mark.parametrize(
    ("out", "in_"), [("5.00", "5.00"), ("", "")]
)  # fmt: skip
def test_one_of_two_columns(out: str, in_: str) -> None:
    mapping = BALANCES.model_copy(update={"header_rows": 0, "balance_column": None})
    with pytest.raises(UnreadableStatementError, match="only in one"):
        read(f"2026-11-02,x,{out},{in_},,r\n".encode(), mapping)


def bomb() -> bytes:
    return (
        b'<?xml version="1.0"?><!DOCTYPE d [<!ENTITY a "aaaaaaaaaa">'
        b'<!ENTITY b "&a;&a;&a;&a;&a;&a;&a;&a;">]>' + b"<Document>&b;</Document>"
    )


GOOD = camt053([Line("25.00", "RF74000000000001")])
REFUSED: dict[str, bytes] = {
    "empty": b"",
    "blank": b" \r\n ",
    "a bomb": bomb(),
    "a document type": GOOD.replace(b"?>", b'?><!DOCTYPE x SYSTEM "file:///etc/passwd">', 1),
    "wrong balance": GOOD.replace(b"1025.00", b"1025.01"),
    "an entry lost": GOOD.replace(b"BOOK", b"INFO"),
    "no balance": GOOD.replace(b"CLBD", b"XXXX"),
    "no account": GOOD.replace(b"IBAN>", b"OTHER>"),
    "cut off": GOOD[: len(GOOD) // 2],
    "other XML": b"<html><body/></html>",
    "an intraday report": GOOD.replace(b"BkToCstmrStmt", b"BkToCstmrAcctRpt"),
    "no currency": GOOD.replace(b'Ccy="USD"', b'Ccy="XYZ"'),
    "two currencies": GOOD.replace(b'<Ntry><Amt Ccy="USD"', b'<Ntry><Amt Ccy="EUR"'),
    "an amount of words": GOOD.replace(b">25.00<", b">many<"),
    "a fraction of a cent": GOOD.replace(b">25.00<", b">25.001<"),
    "no sign": GOOD.replace(b"CRDT", b"BOTH"),
    "no day": GOOD.replace(b"2026-11-02", b"02.11.2026"),
    "a PDF": b"%PDF-1.7 ...",
    "a workbook": b"PK\x03\x04" + bytes(40),
    "junk": bytes(range(256)) * 8,
    "MT940 without balances": b":20:X\r\n:25:1234\r\n:61:2611021102C25,00NTRFNONREF\r\n-\r\n",
    "MT940 with a wrong balance": mt940([Line("25.00", "x")]).replace(b"1025,00", b"1026,00"),
    "MT940 cut off": mt940([Line("25.00", "x")])[:60],
    "MT940 with a damaged entry": mt940([Line("25.00", "x")]).replace(b"C25,00", b"Z25,00"),
    "MT940 of nonsense": b":20:X\n:25:1\n:60F:garbage\n:61:zzz\n:62F:C261102EUR1,00",
    "a table nobody explained": b"a;b;c\n",
    "too large": b":20:" + bytes(b"x" * (10 * 1024 * 1024)),
}


@pytest.mark.parametrize("name", REFUSED)
def test_refused(name: str) -> None:
    with pytest.raises(UnreadableStatementError) as raised:
        read(REFUSED[name])
    assert raised.value.message


def test_a_batch_whose_parts_do_not_add_up() -> None:
    wrong = file("camt053_v02.xml").replace(b">15.00<", b">15.01<")
    with pytest.raises(UnreadableStatementError, match="batch"):
        read(wrong)


def test_a_path_is_not_a_file() -> None:
    """The library would read whatever file a text happens to name."""
    with pytest.raises(UnreadableStatementError):
        read(b"/etc/passwd")


@given(st.binary(max_size=300))
def test_junk_is_refused_or_a_table(junk: bytes) -> None:
    for data in (junk, b"<Document>" + junk, b":20:A\n:25:B\n:61:" + junk):
        try:
            kind = format_of(data)
            read(data, MAPPING)
            preview(data, guess(data))
        except UnreadableStatementError:
            continue
        assert kind in StatementFormat


@pytest.mark.parametrize("make", [camt053, mt940])
def test_as_many_lines_as_are_taken_and_one_more(make: Any) -> None:
    lines = [Line("0.01", "x")] * (MOST_LINES + 1)
    data = make(lines, brief=True)
    if len(data) <= 10 * 1024 * 1024:
        with pytest.raises(UnreadableStatementError, match="entries"):
            read(data)


def test_fifty_thousand_lines() -> None:
    data = camt053([Line("0.01", "x")] * MOST_LINES, brief=True)
    assert len(data) < 10 * 1024 * 1024
    (found,) = read(data)
    assert len(found.lines) == MOST_LINES


def test_memory_holds_the_lines_and_not_the_file() -> None:
    data = camt053([Line("0.01", "x" * 500)] * 5000)
    tracemalloc.start()
    read(data)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 3 * len(data), (peak, len(data))

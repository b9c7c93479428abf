"""A provider's report as files: tables with typed cells, written as CSV or as a workbook."""

from __future__ import annotations

import csv
import io
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from tempfile import TemporaryFile
from typing import IO, Any, Final

import xlsxwriter  # type: ignore[import-untyped]
from flask_babel import gettext
from sqlalchemy.orm import Session

from cnn_offset.domain.money import Money
from cnn_offset.domain.payment import FactKind, FactStatus
from cnn_offset.domain.period import Period
from cnn_offset.domain.text import N_
from cnn_offset.extensions import platform
from cnn_offset.i18n import (
    UNIT_LABELS,
    day_text,
    language,
    localised,
    month_text,
    status_text,
)
from cnn_offset.services import reporting

BATCH: Final = 1000
"""Rows read at once: a file of any length needs no more memory, nor a long transaction."""
MOST_SHEET_ROWS: Final = 100_000
"""A workbook takes seconds to write and more to open; longer tables are for CSV."""
BOM: Final = "\ufeff"
"""By this spreadsheets know that a CSV file is UTF-8."""

Cell = str | int | Decimal | datetime | None
OpenSession = Callable[[], AbstractContextManager[Session]]
"""Opens a short reading session."""
_Read = Callable[..., Sequence[Any]]


@dataclass(frozen=True)
class Table:
    """One table of a report. ``headings`` are English message ids, ``cells`` one row's."""

    title: str
    headings: Sequence[str]
    read: _Read
    cells: Callable[[Any], Sequence[Cell]]


KINDS: Final[Mapping[FactKind, str]] = {
    FactKind.PAYMENT: N_("Payment"),
    FactKind.REFUND: N_("Refund"),
    FactKind.DISPUTE: N_("Dispute"),
}
FACT_STATUSES: Final[Mapping[FactStatus, str]] = {
    FactStatus.OPEN: N_("Open"),
    FactStatus.PENDING: N_("On its way"),
    FactStatus.ABANDONED: N_("Abandoned"),
    FactStatus.FAILED: N_("Failed"),
    FactStatus.DONE: N_("Done"),
    FactStatus.WON: N_("Won"),
    FactStatus.LOST: N_("Lost"),
    FactStatus.UNKNOWN: N_("Unknown"),
}


def method_title(method_id: str) -> str:
    """Return the name of a way to pay; its id if it has never run here."""
    return str(gettext(platform().method_titles.get(method_id, method_id)))


def registry_title(registry_id: str) -> str:
    """Return the name of a registry; its id if it has never run here."""
    return str(gettext(platform().registry_titles.get(registry_id, registry_id)))


def period_title(period: Period) -> str:
    """Return what people call the period."""
    lang = language()
    if period.kind == "month":
        return month_text(period.first, lang)
    if period.kind == "quarter":
        quarter = (period.first.month + 2) // 3
        return str(gettext("Quarter %(n)s of %(year)s", n=quarter, year=period.first.year))
    if period.kind == "year":
        return str(period.first.year)
    first, last = day_text(period.first, lang), day_text(period.last, lang)
    return str(gettext("%(first)s to %(last)s", first=first, last=last))


def _order_cells(row: Any) -> Sequence[Cell]:
    return (
        row.code,
        row.placed_at,
        status_text(row.status),
        method_title(row.method_id),
        int(row.units),
        Money(row.total_minor, row.currency).amount,
        row.currency,
        row.purchase_order,
        row.paid_at,
        row.fulfilled_at,
    )


def _money_cells(row: Any) -> Sequence[Cell]:
    went = row.kind is not FactKind.PAYMENT
    return (
        row.at,
        row.code,
        method_title(row.method_id),
        gettext(KINDS[row.kind]),
        gettext(FACT_STATUSES[row.status]),
        Money(-row.amount_minor if went else row.amount_minor, row.currency).amount,
        None if row.fee_minor is None else Money(row.fee_minor, row.currency).amount,
        row.currency,
        row.ref,
    )


def _unit_cells(row: Any) -> Sequence[Cell]:
    return (
        row.completed_at,
        row.code,
        registry_title(row.registry_id),
        row.ref,
        localised(row.title),
        gettext(UNIT_LABELS[row.unit_type]),
        int(row.units),
        row.first_text,
        row.last_text,
        row.registry_ref,
    )


TABLES: Final[Mapping[str, Table]] = {
    "orders": Table(
        N_("Orders placed"),
        (
            N_("Order"),
            N_("Placed (UTC)"),
            N_("Status now"),
            N_("Method of payment"),
            N_("Units"),
            N_("Total"),
            N_("Currency"),
            N_("Purchase order"),
            N_("Paid (UTC)"),
            N_("Fulfilled (UTC)"),
        ),
        reporting.orders_placed,
        _order_cells,
    ),
    "payments": Table(
        N_("Payments"),
        (
            N_("Time (UTC)"),
            N_("Order"),
            N_("Method of payment"),
            N_("Kind"),
            N_("Status"),
            N_("Amount"),
            N_("Processor’s fee"),
            N_("Currency"),
            N_("Reference of the processor or bank"),
        ),
        reporting.money_moved,
        _money_cells,
    ),
    "cancellations": Table(
        N_("Cancellations"),
        (
            N_("Cancelled (UTC)"),
            N_("Order"),
            N_("Registry"),
            N_("Project number"),
            N_("Project"),
            N_("Kind of unit"),
            N_("Units"),
            N_("First serial number"),
            N_("Last serial number"),
            N_("Number at the registry"),
        ),
        reporting.units_cancelled,
        _unit_cells,
    ),
}
"""The tables of a report, by their names in addresses."""


def headings(table: Table) -> list[str]:
    """Return the headings in the reader's language."""
    return [gettext(each) for each in table.headings]


def rows(
    table: Table, opened: OpenSession, provider_id: int, period: Period
) -> Iterator[Sequence[Cell]]:
    """Yield a table's rows, read in parts, each in a session of its own."""
    after = None
    while True:
        with opened() as session:
            part = table.read(session, provider_id, period, after=after, limit=BATCH)
            cells = [table.cells(row) for row in part]
        yield from cells
        if len(part) < BATCH:
            return
        after = (part[-1][0], part[-1][1])


def csv_parts(table: Table, opened: OpenSession, provider_id: int, period: Period) -> Iterator[str]:
    """Yield a table as CSV, part by part: commas, plain numbers, moments in UTC.

    A spreadsheet runs what looks like a formula, whoever typed it: such texts get an
    apostrophe in front (OWASP, "CSV Injection").
    """
    text = io.StringIO()
    writer = csv.writer(text)
    text.write(BOM)
    writer.writerow([plain_cell(each) for each in headings(table)])
    for cells in rows(table, opened, provider_id, period):
        writer.writerow([plain_cell(each) for each in cells])
        if text.tell() > 64 * 1024:
            yield text.getvalue()
            text.seek(0)
            text.truncate()
    yield text.getvalue()


def plain_cell(cell: Cell) -> str:
    """Write a cell for a CSV file; what looks like a formula gets an apostrophe in front."""
    if cell is None:
        return ""
    if isinstance(cell, datetime):
        return f"{cell:%Y-%m-%d %H:%M:%S}"
    if isinstance(cell, str):
        return f"'{cell}" if cell.startswith(("=", "+", "-", "@", "\t", "\r")) else cell
    return f"{cell:f}" if isinstance(cell, Decimal) else str(cell)


def workbook(opened: OpenSession, provider_id: int, period: Period) -> IO[bytes]:
    """Write all tables as sheets of an XLSX file; return it open at its beginning.

    Numbers and moments are such to the spreadsheet. A table of more than
    ``MOST_SHEET_ROWS`` rows ends there with a line that says so.
    """
    file = TemporaryFile()  # noqa: SIM115 - whoever is handed it closes it
    book = xlsxwriter.Workbook(
        file,
        {
            # Rows go to the disk as they are written, so that memory stays as it is.
            "constant_memory": True,
            "strings_to_formulas": False,
            "strings_to_urls": False,
            "remove_timezone": True,
        },
    )
    head = book.add_format({"bold": True, "bottom": 1})
    moment = book.add_format({"num_format": "yyyy-mm-dd hh:mm:ss"})
    for table in TABLES.values():
        sheet = book.add_worksheet(gettext(table.title))
        sheet.freeze_panes(1, 0)
        sheet.set_column(0, len(table.headings) - 1, 20)
        for at, each in enumerate(headings(table)):
            sheet.write_string(0, at, each, head)
        for line, cells in enumerate(rows(table, opened, provider_id, period), 1):
            if line > MOST_SHEET_ROWS:
                more = gettext("There are more rows. The CSV file has them all.")
                sheet.write_string(line, 0, more)
                break
            for at, cell in enumerate(cells):
                if isinstance(cell, datetime):
                    sheet.write_datetime(line, at, cell, moment)
                elif isinstance(cell, str):
                    sheet.write_string(line, at, cell)
                elif cell is not None:
                    sheet.write_number(line, at, cell)
    book.close()
    file.seek(0)
    return file

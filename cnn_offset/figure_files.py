"""The figures of a period as files: CSV, a workbook and a PDF, all of the same sections."""

from __future__ import annotations

import base64
import csv
import io
from collections.abc import Sequence
from datetime import date
from decimal import Decimal
from typing import Final

import xlsxwriter  # type: ignore[import-untyped]
from flask import render_template
from flask_babel import gettext

from cnn_offset.charts import Chart
from cnn_offset.domain.money import Money
from cnn_offset.domain.period import Period
from cnn_offset.figure_tables import Cell, Section
from cnn_offset.i18n import language
from cnn_offset.reports import BOM, period_title, plain_cell

LONGEST_SHEET_NAME: Final = 31


def csv_text(sections: Sequence[Section], period: Period) -> str:
    """Write every figure on a line of its own: period, table, row, what is counted, value.

    One shape for all tables, as programs and pivot tables like it; amounts are plain numbers,
    their currency stands in the row. What looks like a formula is defused.
    """
    text = io.StringIO()
    text.write(BOM)
    writer = csv.writer(text)
    head = (
        gettext("Period"),
        gettext("Name of the table"),
        gettext("Row"),
        gettext("What is counted"),
        gettext("Value"),
    )
    writer.writerow([plain_cell(each) for each in head])
    for section in sections:
        for row in section.rows:
            for heading, cell in zip(section.headings[1:], row[1:], strict=True):
                line = (period.code, section.title, _bare(row[0]), heading, _bare(cell))
                writer.writerow([plain_cell(each) for each in line])
    return text.getvalue()


def _bare(cell: Cell) -> str | int | Decimal | None:
    return cell.amount if isinstance(cell, Money) else cell


def workbook(sections: Sequence[Section], period: Period) -> bytes:
    """Write each section as a sheet of an XLSX file; numbers are numbers there."""
    file = io.BytesIO()
    book = xlsxwriter.Workbook(
        file, {"in_memory": True, "strings_to_formulas": False, "strings_to_urls": False}
    )
    bold = book.add_format({"bold": True})
    head = book.add_format({"bold": True, "bottom": 1, "text_wrap": True})
    names: set[str] = set()
    for section in sections:
        sheet = book.add_worksheet(_sheet_name(section.title, names))
        sheet.set_column(0, 0, 44)
        sheet.set_column(1, max(len(section.headings) - 1, 1), 18)
        sheet.write_string(0, 0, f"{section.title}, {period_title(period)}", bold)
        sheet.write_string(1, 0, section.definition)
        if not section.rows:
            sheet.write_string(3, 0, section.empty)
            continue
        sheet.freeze_panes(4, 1)
        for at, each in enumerate(section.headings):
            sheet.write_string(3, at, each, head)
        for line, row in enumerate(section.rows, 4):
            for at, cell in enumerate(row):
                value = _bare(cell)
                if isinstance(value, str):
                    sheet.write_string(line, at, value)
                elif value is not None:
                    sheet.write_number(line, at, value)
    book.close()
    return file.getvalue()


def _sheet_name(title: str, taken: set[str]) -> str:
    """Return what a spreadsheet takes for the name of a sheet, unlike those before it."""
    plain = "".join(sign for sign in title if sign not in "[]:*?/\\'")
    name, n = plain[:LONGEST_SHEET_NAME], 1
    while name.casefold() in taken:
        n += 1
        name = f"{plain[: LONGEST_SHEET_NAME - 3]} {n}"
    taken.add(name.casefold())
    return name


def pdf(sections: Sequence[Section], period: Period, *, made_on: date) -> bytes:
    """Draw the report as a PDF, with its charts; the same figures give the same bytes."""
    from cnn_offset.attestations.render import draw  # heavy: PDF libraries

    title = gettext("Report: %(period)s", period=period_title(period))
    page = render_template(
        "papers/figures.html",
        locale=language(),
        title=title,
        sections=sections,
        made_on=made_on,
        picture=_picture,
    )
    return draw(page, {"title": title, "author": ""})


def _picture(chart: Chart) -> str:
    drawn = render_template("papers/chart.svg", chart=chart)
    return "data:image/svg+xml;base64," + base64.b64encode(drawn.encode()).decode()

"""Tables that people upload: CSV as spreadsheets write it, with a first row of headings."""

from __future__ import annotations

import csv
import io
import unicodedata
from collections.abc import Iterator, Mapping, Sequence
from typing import Final

from cnn_offset.domain.text import N_
from cnn_offset.services import ServiceError

Columns = Mapping[str, tuple[str, ...]]
"""The columns of a table, each by the words that may head it; the first is a message id."""
FORMULA: Final = ("=", "+", "-", "@", "\t", "\r")
"""What a spreadsheet takes for the beginning of a formula."""


def read(
    raw: bytes, columns: Columns, needed: Sequence[str], *, most_rows: int, most_bytes: int
) -> Iterator[tuple[int, dict[str, str]]]:
    """Yield the rows of a table: the number of the line in the file, and cells by column.

    Args:
        raw: the file, separated by ``;``, ``,`` or tabs; UTF-8, UTF-16 with its mark, or
            Windows-1252.
        columns: what may stand in it; other columns are not looked at.
        needed: those that must be there.
        most_rows: how many rows there may be.
        most_bytes: how large the file may be.

    Raises:
        ServiceError: the file is too large, no table, empty, or lacks a column.

    """
    if len(raw) > most_bytes:
        raise ServiceError(
            N_("The file is larger than %(n)s MB. Please divide it."), n=most_bytes // 2**20
        )
    rows = _rows(_decode(raw))
    places: dict[str, int] = {}
    for place, cell in enumerate(next(rows, (0, []))[1]):
        name = _column(cell, columns)
        if name in places:
            raise ServiceError(N_("The column “%(name)s” is there twice."), name=cell.strip())
        if name:
            places[name] = place
    missing = [columns[name][0] for name in needed if name not in places]
    if missing:
        raise ServiceError(
            N_("The first row must name the columns; “%(name)s” is missing."), name=missing[0]
        )
    count = 0
    for number, row in rows:
        cells = {
            name: plain(row[place]) if place < len(row) else "" for name, place in places.items()
        }
        if not any(cells.values()):
            continue
        count += 1
        if count > most_rows:
            raise ServiceError(
                N_("The table has more than %(n)s rows. Please divide it."), n=most_rows
            )
        yield number, cells
    if not count:
        raise ServiceError(N_("The table has no rows."))


def word(text: str) -> str:
    """Return ``text`` as it is compared with others: letters and digits, without accents."""
    plain = unicodedata.normalize("NFD", text.casefold())
    return "".join(sign for sign in plain if sign.isalnum())


def harmless(cell: str) -> str:
    """Return ``cell`` so that no spreadsheet runs it; :func:`read` undoes this."""
    return f"'{cell}" if cell.startswith(FORMULA) else cell


def _decode(raw: bytes) -> str:
    marks = ((b"\xef\xbb\xbf", "utf-8-sig"), (b"\xff\xfe", "utf-16"), (b"\xfe\xff", "utf-16"))
    coding = next((coding for mark, coding in marks if raw.startswith(mark)), "utf-8")
    try:
        text = raw.decode(coding)
    except UnicodeDecodeError:
        # What spreadsheets write on Windows where nobody chose otherwise.
        text = raw.decode("cp1252", errors="replace")
    if "\x00" in text or "\ufffd" in text:
        raise ServiceError(
            N_("This is no table as text. Please save it as CSV from your spreadsheet.")
        )
    return text


def _rows(text: str) -> Iterator[tuple[int, list[str]]]:
    first = text.lstrip().split("\n", 1)[0]
    separator = max(";,\t", key=first.count)
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=separator, strict=True)
    try:
        for row in reader:
            if any(cell.strip() for cell in row):
                yield reader.line_num, row
    except csv.Error as error:
        raise ServiceError(
            N_("Row %(n)s cannot be read. Please check its quotation marks."), n=reader.line_num
        ) from error


def _column(cell: str, columns: Columns) -> str:
    wanted = word(cell)
    return next((name for name, words in columns.items() if wanted in map(word, words)), "")


def plain(cell: str) -> str:
    """Undo what keeps a spreadsheet from taking a text for a formula."""
    text = cell.strip()
    return text[1:] if text[:1] == "'" and text[1:2] in tuple("=+-@'") else text

"""Rows of a file, one after the other: text with separators in whatever letters, or a workbook."""

from __future__ import annotations

import codecs
import csv
import hashlib
import re
import warnings
import zipfile
import zlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import chain, islice
from pathlib import Path
from typing import Any, Final
from xml.etree.ElementTree import ParseError

import openpyxl

from cnn_offset.services.importing.faults import FileFaultError
from cnn_offset.services.importing.plans import Plan

_CHUNK: Final = 2**18
_ROWS: Final = 500
_MARKS: Final = (
    (codecs.BOM_UTF8, "utf-8-sig"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
)
_NOT_IN_1252: Final = re.compile(rb"[\x81\x8d\x8f\x90\x9d]")
_BROKEN: Final = (zipfile.BadZipFile, zlib.error, KeyError, ValueError, OSError, ParseError)
"""What reading a broken workbook may end in."""
_LOST: Final = re.compile("[\udc80-\udcff\ufffd]")
"""What stands for bytes that are no letters in the file's encoding."""


@dataclass(frozen=True, slots=True)
class Source:
    """A file that was looked through once, and how to read it."""

    path: Path
    plan: Plan
    sha256: str
    encoding: str
    """Empty for a workbook."""
    mixed: bool
    """Whether some bytes are no letters in this encoding; their rows are refused."""


@dataclass(frozen=True, slots=True)
class Line:
    """A row that is not empty."""

    number: int
    """As a spreadsheet counts it, from 1, the headings included."""
    cells: Sequence[Any]
    """Texts, or what a workbook holds: numbers, moments, truth values, None."""
    fault: str = ""


def survey(path: Path, plan: Plan) -> Source:
    """Look through the whole file: what it is, and in which letters it is written.

    Raises:
        FileFaultError: it cannot be opened, is empty, or is neither text nor a workbook.

    """
    try:
        with path.open("rb") as file:
            head = file.read(_CHUNK)
            rest = iter(lambda: file.read(_CHUNK), b"")
            return _surveyed(path, plan, head, chain([head], rest))
    except OSError as error:
        raise FileFaultError(f"{path}: {error.strerror}") from error


def _surveyed(path: Path, plan: Plan, head: bytes, chunks: Iterator[bytes]) -> Source:
    if not head:
        raise FileFaultError(f"{path.name} is empty")
    if head.startswith(b"\xd0\xcf\x11\xe0"):
        raise FileFaultError(f"{path.name} is an old Excel file; save it as XLSX or as CSV")
    digest = hashlib.sha256()
    if head.startswith(b"PK\x03\x04"):
        for chunk in chunks:
            digest.update(chunk)
        return Source(path, plan, digest.hexdigest(), "", mixed=False)
    encoding = plan.encoding or _marked(head)
    decoder = codecs.getincrementaldecoder(encoding or "utf-8")("surrogateescape")
    letters = lost = 0
    beyond_1252 = False
    for chunk in chunks:
        digest.update(chunk)
        text = _decoded(path, decoder, chunk)
        if not text.isascii():
            gone = len(_LOST.findall(text))
            lost += gone
            letters += sum(1 for sign in text if sign > "\x7f") - gone
            beyond_1252 = beyond_1252 or bool(_NOT_IN_1252.search(chunk))
        if "\x00" in text:
            raise FileFaultError(
                f"{path.name} is no table as text; save it as CSV or XLSX from your spreadsheet"
            )
    if not encoding and lost > letters:
        # What spreadsheets write on Windows where nobody chose otherwise.
        return Source(
            path, plan, digest.hexdigest(), "latin-1" if beyond_1252 else "cp1252", mixed=False
        )
    return Source(path, plan, digest.hexdigest(), encoding or "utf-8", mixed=lost > 0)


def _decoded(path: Path, decoder: codecs.IncrementalDecoder, chunk: bytes) -> str:
    try:
        return decoder.decode(chunk)
    except UnicodeDecodeError as error:
        raise FileFaultError(
            f"{path.name} is not written in {error.encoding}; say another encoding in the mapping"
        ) from error


def _marked(head: bytes) -> str:
    for mark, encoding in _MARKS:
        if head.startswith(mark):
            return encoding
    sample = head[:4096]
    for place, encoding in ((1, "utf-16-le"), (0, "utf-16-be")):
        # Half of all bytes of Latin letters in UTF-16 are zero.
        if sample[place::2].count(0) > len(sample) // 4:
            return encoding
    return ""


def lines(source: Source) -> Iterator[Line]:
    """Yield the rows of the file; the first is the row of headings.

    Raises:
        FileFaultError: what is called a workbook cannot be read as one.

    """
    numbered = enumerate(_workbook(source) if not source.encoding else _text(source), 1)
    for number, (cells, fault) in numbered:
        if number < source.plan.header_row:
            continue
        if fault or any(not _blank(cell) for cell in cells):
            yield Line(number, cells, fault)


def _blank(cell: object) -> bool:
    return cell is None or (isinstance(cell, str) and not cell.strip())


def _text(source: Source) -> Iterator[tuple[Sequence[Any], str]]:
    with source.path.open(encoding=source.encoding, errors="surrogateescape", newline="") as file:
        reader = csv.reader(file, delimiter=source.plan.delimiter or _separator(source))
        while True:
            try:
                row = next(reader)
            except StopIteration:
                return
            except csv.Error:
                yield [], "the row cannot be read; look at its quotation marks"
                continue
            if source.mixed and any(_LOST.search(cell) for cell in row):
                yield row, f"some letters of the row are not written in {source.encoding}"
            else:
                yield row, ""


def _separator(source: Source) -> str:
    with source.path.open(encoding=source.encoding, errors="surrogateescape") as file:
        wanted = islice(file, max(source.plan.header_row - 1, 0), None)
        first = next((line for line in wanted if line.strip()), "")
    outside = re.sub(r'"[^"]*"', "", first)
    return max(",;\t|", key=outside.count)


def _workbook(source: Source) -> Iterator[tuple[Sequence[Any], str]]:
    name = source.path.name
    # Opened here: what a workbook is called does not matter.
    with source.path.open("rb") as file:
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                book = openpyxl.load_workbook(file, read_only=True, data_only=True)
        except _BROKEN as error:
            raise FileFaultError(f"{name} is no workbook (XLSX) that can be read") from error
        sheet = _sheet(name, book, source.plan.sheet)
        # What the file says of its size is often wrong.
        sheet.reset_dimensions()
        rows = sheet.iter_rows(values_only=True)
        while True:
            try:
                with warnings.catch_warnings():
                    # Of dates that are none; such a cell comes as “#VALUE!”.
                    warnings.simplefilter("ignore")
                    some = list(islice(rows, _ROWS))
            except _BROKEN as error:
                raise FileFaultError(
                    f"{name} is damaged: not all of its rows can be read"
                ) from error
            if not some:
                return
            for row in some:
                yield row, ""


def _sheet(name: str, book: Any, wanted: str | int) -> Any:
    sheets = book.worksheets
    if not sheets:
        raise FileFaultError(f"{name} has no sheet with rows")
    if not wanted:
        return sheets[0]
    for number, sheet in enumerate(sheets, 1):
        if wanted in (number, sheet.title):
            return sheet
    raise FileFaultError(
        f"{name} has no sheet “{wanted}”; it has {', '.join(each.title for each in sheets)}"
    )

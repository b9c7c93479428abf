"""What the cells of a row mean: whole numbers, moments, days and texts, however they are written."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal
from functools import lru_cache
from typing import Any, Final
from zoneinfo import ZoneInfo

from cnn_offset.domain.text import clean_prose
from cnn_offset.services.importing.faults import RowFaultError
from cnn_offset.services.importing.plans import Plan
from cnn_offset.services.tables import plain, word

_WHOLE: Final = re.compile(r"(\d+)(?:[.,]0+)?", re.ASCII)
_SHORTENED: Final = re.compile(r"\d[.,]?\d*[eE]\+?\d+", re.ASCII)
_NUMBER: Final = re.compile(r"(\d{5})(?:[.,](\d+))?", re.ASCII)
_DIGITS: Final = 15
"""No serial number has more (domain-facts.md 1.1)."""
_EXACT: Final = 2**53
"""A workbook keeps whole numbers up to here."""
_EXCEL_BEGINS: Final = datetime(1899, 12, 30)  # noqa: DTZ001
_EXCEL: Final = range(36526, 73051)
"""Days of this century, as a spreadsheet counts them."""
_FIRST: Final = datetime(2000, 1, 1, tzinfo=UTC)

_word: Final = lru_cache(maxsize=10_000)(word)


@dataclass(frozen=True, slots=True)
class Meaning:
    """How a mapping says that cells are to be read."""

    formats: Sequence[str]
    zone: ZoneInfo
    values: Mapping[str, Mapping[str, str]]
    """What cells mean, by column and by their words without case and accents."""
    defaults: Mapping[str, str]
    headings: Mapping[str, str]
    """Of the file, by column."""

    @classmethod
    def of(cls, plan: Plan, headings: Mapping[str, str]) -> Meaning:
        """Return what ``plan`` says of a file with these headings."""
        values = {
            name: {word(said): means for said, means in each.items()}
            for name, each in plan.values.items()
        }
        return cls(plan.formats, plan.zone, values, plan.defaults, headings)


class Cells:
    """The cells of one row, by the names of our columns."""

    __slots__ = ("_meaning", "_values")

    def __init__(self, values: Mapping[str, Any], meaning: Meaning) -> None:
        self._values = values
        self._meaning = meaning

    def text(self, name: str) -> str:
        """Return a cell as text, empty if it is; by the mapping's words where it has any."""
        said = as_text(self._values.get(name))
        if not said:
            said = self._meaning.defaults.get(name, "")
        meant = self._meaning.values.get(name)
        return meant.get(_word(said), said) if meant and said else said

    def needed(self, name: str) -> str:
        """Return a cell as text.

        Raises:
            RowFaultError: it is empty.

        """
        said = self.text(name)
        if not said:
            raise RowFaultError(f"{self._heading(name)} is missing")
        return said

    def line(self, name: str, longest: int) -> str:
        """Return a text on one line, without signs that nobody can see.

        Raises:
            RowFaultError: it is too long.

        """
        said = self.text(name)
        if not (said.isascii() and said.isprintable()):
            said = clean_prose(said)
        said = " ".join(said.split())
        if len(said) > longest:
            raise RowFaultError(
                f"{self._heading(name)} is too long: {len(said)} letters, at most {longest}"
            )
        return said

    def whole(self, name: str) -> int:
        """Return a whole number above zero.

        Raises:
            RowFaultError: it is missing, or something else.

        """
        value = self._values.get(name)
        if isinstance(value, int) and not isinstance(value, bool) and 0 < value < _EXACT:
            return value
        said = self.needed(name)
        plainly = re.sub(r"[\s\u00a0\u202f]", "", said)
        found = _WHOLE.fullmatch(plainly)
        number = int(found[1][: _DIGITS + 1]) if found else 0
        if found and number and len(found[1].lstrip("0")) > _DIGITS:
            raise RowFaultError(f"{self._heading(name)} is too long: {said[:40]}")
        if _SHORTENED.fullmatch(plainly):
            raise RowFaultError(
                f"{self._heading(name)} “{said[:40]}” was shortened by a spreadsheet; "
                "export it with all digits"
            )
        if not number:
            raise RowFaultError(
                f"{self._heading(name)} “{said[:40]}” is no whole number above zero"
            )
        return number

    def moment(self, name: str, now: datetime) -> datetime:
        """Return a moment of this century that is past.

        Raises:
            RowFaultError: it is missing, or something else.

        """
        value = self._values.get(name)
        said = self.needed(name)
        found = self._read(value if isinstance(value, (datetime, date)) else said)
        if found is None:
            raise RowFaultError(
                f"{self._heading(name)} “{said[:40]}” is no date that can be read; "
                "say date_format in the mapping"
            )
        moment = found.replace(tzinfo=self._meaning.zone) if found.tzinfo is None else found
        moment = moment.astimezone(UTC)
        if moment < _FIRST:
            raise RowFaultError(f"{self._heading(name)} {moment:%Y-%m-%d} is before 2000")
        if moment > now:
            raise RowFaultError(f"{self._heading(name)} {moment:%Y-%m-%d} is in the future")
        return moment

    def day(self, name: str) -> date | None:
        """Return a day, None for an empty cell.

        Raises:
            RowFaultError: it is no day.

        """
        said = self.text(name)
        if not said:
            return None
        value = self._values.get(name)
        found = self._read(value if isinstance(value, (datetime, date)) else said)
        if found is None:
            raise RowFaultError(
                f"{self._heading(name)} “{said[:40]}” is no date that can be read; "
                "say date_format in the mapping"
            )
        return found.date()

    def _read(self, value: datetime | date | str) -> datetime | None:
        if isinstance(value, datetime):
            return value
        if isinstance(value, date):
            return datetime.combine(value, time())
        for form in self._meaning.formats:
            try:
                return datetime.strptime(value, form)  # noqa: DTZ007 - the zone is added
            except ValueError:
                continue
        counted = _NUMBER.fullmatch(value)
        if counted and int(counted[1]) in _EXCEL:
            part = Decimal(f"0.{counted[2] or 0}")
            # A spreadsheet's moments are good to a thousandth of a second.
            return _EXCEL_BEGINS + timedelta(
                days=int(counted[1]), milliseconds=round(part * 86_400_000)
            )
        try:
            return datetime.fromisoformat(value)
        except ValueError:
            return None

    def _heading(self, name: str) -> str:
        heading = self._meaning.headings.get(name, "")
        return name if not heading or heading == name else f"{heading} ({name})"


def as_text(value: object) -> str:
    """Return what a cell says as text; a number of a workbook without what Excel adds."""
    if value is None:
        return ""
    if isinstance(value, str):
        return plain(value)
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, float):
        return str(int(value)) if value.is_integer() and abs(value) < _EXACT else repr(value)
    return value.isoformat(" ") if isinstance(value, datetime) else str(value)

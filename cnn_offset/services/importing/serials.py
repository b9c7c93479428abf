"""The units that a row names: by their numbers, or by the first and last serial number."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from datetime import date
from typing import Final

from cnn_offset.domain.annex_i import in_annex_i
from cnn_offset.domain.unit_rules import UNIT_RULES, Mechanism
from cnn_offset.domain.units import CerSerial, SerialError, SerialRange, UnitType, cer_range
from cnn_offset.services.importing.cells import Cells
from cnn_offset.services.importing.faults import RowFaultError
from cnn_offset.services.importing.layout import Headings, Layout, require
from cnn_offset.services.importing.overlaps import Taken
from cnn_offset.services.tables import word

COLUMNS: Final[Headings] = {
    "party": ("party", "host party", "originating party"),
    "ref": ("ref", "reference number", "project", "project number", "cdm project"),
    "unit": ("unit", "unit type", "type of unit"),
    "cp": ("cp", "commitment period"),
    "block_start": ("block_start", "start block", "from", "start serial"),
    "block_end": ("block_end", "end block", "to", "end serial"),
    "first_serial": ("first_serial", "first serial number", "start serial number"),
    "last_serial": ("last_serial", "last serial number", "end serial number"),
    "quantity": ("quantity", "units", "number of units"),
    "lulucf": ("lulucf", "lulucf activity"),
}
_CODES: Final[Mapping[UnitType, int]] = {
    each: rules.code
    for each, rules in UNIT_RULES.items()
    if rules.mechanism is Mechanism.CDM and rules.code is not None
}
_TYPES: Final[Mapping[str, UnitType]] = {each.value: each for each in _CODES}
_BEFORE_ALL: Final = date(1992, 5, 9)
"""The Convention's; who was in Annex I then has never been host of a CDM project."""


@dataclass(frozen=True, slots=True)
class Units:
    """Units of one activity, as a row names them."""

    range: SerialRange
    unit_type: UnitType
    commitment_period: int
    party: str
    ref: str


class OfUnits:
    """What both kinds of file have in common that name units and when something was done."""

    def __init__(self, registry_id: str, parties: Collection[str]) -> None:
        self._registry_id = registry_id
        self._parties = parties
        self._taken = Taken()

    def check(self, layout: Layout) -> None:
        """Refuse a file without dates, or that names units in neither way.

        Raises:
            FileFaultError: it names the column that is missing.

        """
        require(layout, "completed_at")
        if "first_serial" in layout.places or "last_serial" in layout.places:
            require(layout, "first_serial", "last_serial")
        else:
            require(layout, "block_start", "block_end", "quantity", "party", "ref", "unit", "cp")


def read_units(cells: Cells, parties: Collection[str]) -> Units:
    """Read the units of a row, and check that all it says of them agrees.

    Args:
        cells: the row.
        parties: ISO 3166 codes.

    Raises:
        RowFaultError: something is missing, wrong, or contradicts something else.

    """
    if cells.text("first_serial") or cells.text("last_serial"):
        units = _by_texts(cells)
    else:
        units = _by_numbers(cells)
    if units.party not in parties:
        raise RowFaultError(f"“{units.party}” is no country; write its two letters")
    if in_annex_i(units.party, _BEFORE_ALL):
        raise RowFaultError(
            f"{units.party} is an Annex I Party: units of its own registry are none of the "
            "mechanism's"
        )
    if cells.text("quantity"):
        told = cells.whole("quantity")
        if told != units.range.quantity:
            raise RowFaultError(
                f"quantity is {told}, but {units.range.first} to {units.range.last} are "
                f"{units.range.quantity} units"
            )
    return units


def _by_numbers(cells: Cells) -> Units:
    party, ref = cells.needed("party").upper(), _ref(cells.needed("ref"))
    kind = _kind(cells.needed("unit"))
    period = _period(cells.whole("cp"))
    first, last = cells.whole("block_start"), cells.whole("block_end")
    if last < first:
        raise RowFaultError(f"the range runs backwards: {first} to {last}")
    lulucf = cells.text("lulucf")
    if lulucf and not (lulucf.isascii() and lulucf.isdigit() and len(lulucf) == 1):
        raise RowFaultError(f"lulucf “{lulucf[:40]}” is no digit")
    # Temporary units come from afforestation and reforestation alone, activity 1.
    activity = int(lulucf) if lulucf else int(kind is not UnitType.CER)
    ends = [
        str(CerSerial(party, _CODES[kind], number, period, period, activity, int(ref)))
        for number in (first, last)
    ]
    return Units(SerialRange(party, first, last, *ends), kind, period, party, ref)


def _by_texts(cells: Cells) -> Units:
    texts = [
        "".join(cells.needed(name).split()).upper() for name in ("first_serial", "last_serial")
    ]
    try:
        serial, last = CerSerial.parse(texts[0]), CerSerial.parse(texts[1])
    except SerialError as error:
        raise RowFaultError(f"“{str(error)[:60]}” is no serial number of this registry") from None
    if last.party == serial.party and last.number < serial.number:
        raise RowFaultError(f"the range runs backwards: {texts[0]} to {texts[1]}")
    try:
        found = cer_range(*texts)
    except SerialError:
        raise RowFaultError(f"{texts[0]} and {texts[1]} differ in more than their number") from None
    kind = next((each for each, code in _CODES.items() if code == serial.unit_code), None)
    if kind is None:
        raise RowFaultError(f"units of type {serial.unit_code} are none of the mechanism's")
    units = Units(found, kind, _period(serial.original_period), serial.party, str(serial.project))
    told = {
        "party": (cells.text("party").upper(), units.party),
        "ref": (cells.text("ref") and _ref(cells.text("ref")), units.ref),
        "unit": (cells.text("unit") and _kind(cells.text("unit")), units.unit_type),
        "cp": (cells.text("cp") and cells.whole("cp"), units.commitment_period),
        "block_start": (cells.text("block_start") and cells.whole("block_start"), found.first),
        "block_end": (cells.text("block_end") and cells.whole("block_end"), found.last),
    }
    for name, (said, serials) in told.items():
        if said and said != serials:
            raise RowFaultError(f"{name} is {said}, but the serial numbers say {serials}")
    return units


def _ref(text: str) -> str:
    # A reference number is a number; the serial numbers of its units end in it.
    if not (text.isascii() and text.isdigit() and len(text) <= 9 and int(text)):
        raise RowFaultError(f"“{text[:40]}” is no project number")
    return str(int(text))


def _kind(text: str) -> UnitType:
    found = _TYPES.get(word(text))
    if found is None:
        raise RowFaultError(f"“{text[:40]}” are not units of the mechanism: only CER, tCER, lCER")
    return found


def _period(number: int) -> int:
    if number not in (1, 2):
        raise RowFaultError(f"there is no commitment period {number}")
    return number

"""The fee that a provider pays on its sales: tiers by its volume of the year, integers only.

A schedule has tiers for each kind of unit; a kind without tiers bears no fee. A tier's rate
holds for the units within it and for no others: with 5 % up to 1,000 units and 3 % above,
an order of units 901 to 1,100 of the year pays 5 % on its first hundred and 3 % on its
second. The volume is the provider's, of that kind of unit, in the calendar year (UTC).
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, timedelta
from itertools import pairwise
from typing import Any, Final

from cnn_offset.domain.text import N_
from cnn_offset.domain.units import UnitType

WHOLE: Final = 10_000
"""Basis points in one: 250 are 2.5 %."""
HIGHEST: Final = 2_000
"""No rate is above this, 20 %: it would be a slip of the pen."""
NOTICE: Final = timedelta(days=30)
"""Between the announcement of a schedule and its first day."""


@dataclass(frozen=True, slots=True)
class Tier:
    """The rate of the units that come after ``after`` of the year, up to the next tier."""

    after: int
    basis_points: int


@dataclass(frozen=True, slots=True)
class FeePart:
    """Units of one order that lie in one tier, and their price in minor units."""

    units: int
    basis_points: int
    value_minor: int


def split(tiers: Sequence[Tier], before: int, quantity: int, price_minor: int) -> list[FeePart]:
    """Divide ``quantity`` units, which come after ``before`` of the year, among ``tiers``.

    ``tiers`` are sorted and begin after 0; without any there are no parts.
    """
    ends = [each.after for each in tiers[1:]]
    parts, at, left = [], before, quantity
    for tier, end in zip(tiers, [*ends, before + quantity], strict=False):
        units = min(left, max(0, end - at))
        if units:
            parts.append(FeePart(units, tier.basis_points, units * price_minor))
            at, left = at + units, left - units
    return parts


def weigh(parts: Iterable[FeePart]) -> int:
    """Return the exact fee in ten-thousandths of a minor unit. Adds up over parts."""
    return sum(each.value_minor * each.basis_points for each in parts)


def fee_of(parts: Iterable[FeePart]) -> int:
    """Return the fee in minor units: rounded down, once for the whole order.

    Down, so that nobody ever pays more than the rate says; once, so that many small parts
    are not rounded away.
    """
    return weigh(parts) // WHOLE


def remaining(fee_minor: int, total_minor: int, returned_minor: int) -> int:
    """Return what is left of a fee when part of the money has gone back to the purchaser.

    In proportion, rounded down; nothing once all has gone back.
    """
    kept = max(0, total_minor - returned_minor)
    return fee_minor * kept // total_minor


def percent(basis_points: int) -> str:
    """Write a rate without its sign: 250 is ``2.5``; for files and forms."""
    whole, rest = divmod(basis_points, 100)
    return f"{whole}.{rest:02d}".rstrip("0").rstrip(".")


@dataclass(frozen=True, slots=True)
class TierLine:
    """One line of a schedule as an operator writes it; the numbers count from 1, both included."""

    number: int
    """Of the line, as shown."""
    unit_type: UnitType
    first: int
    last: int | None
    """None for no end."""
    basis_points: int


@dataclass(frozen=True)
class Fault:
    """What is wrong with a line. ``message`` is an English message id."""

    line: int
    message: str
    values: Mapping[str, Any] = field(default_factory=dict)


def faults(lines: Iterable[TierLine]) -> list[Fault]:
    """Return everything that keeps ``lines`` from being a schedule, by line."""
    found = []
    by_kind: dict[UnitType, list[TierLine]] = {}
    for each in lines:
        by_kind.setdefault(each.unit_type, []).append(each)
        if not 0 <= each.basis_points <= HIGHEST:
            values = {"most": HIGHEST // 100}
            found.append(Fault(each.number, N_("No rate is above %(most)s %%."), values))
        if each.last is not None and each.last < each.first:
            found.append(Fault(each.number, N_("“To” is before “from”.")))
    for kind in by_kind.values():
        found += _gaps(sorted(kind, key=lambda line: (line.first, line.number)))
    return sorted(found, key=lambda fault: fault.line)


def _gaps(lines: Sequence[TierLine]) -> Iterator[Fault]:
    if lines[0].first != 1:
        yield Fault(
            lines[0].number, N_("The first line of a kind of unit begins with unit number 1.")
        )
    for one, two in pairwise(lines):
        if one.last is None or two.first <= one.last:
            message = N_("It overlaps with line %(other)s.")
            yield Fault(two.number, message, {"other": one.number})
        elif two.first > one.last + 1:
            message = N_("Between line %(other)s and this one units are left out.")
            yield Fault(two.number, message, {"other": one.number})
    if all(each.last is not None for each in lines):
        yield Fault(
            lines[-1].number,
            N_("The last line of a kind of unit has no end: please leave “to” empty."),
        )


def tiers_of(lines: Iterable[TierLine]) -> dict[UnitType, list[Tier]]:
    """Return the tiers of lines without faults, by kind of unit, lowest first."""
    found: dict[UnitType, list[Tier]] = {}
    for each in sorted(lines, key=lambda line: line.first):
        found.setdefault(each.unit_type, []).append(Tier(each.first - 1, each.basis_points))
    return found


def earliest(today: date) -> date:
    """Return the first day that a schedule announced ``today`` may hold from."""
    return today + NOTICE

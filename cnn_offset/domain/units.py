"""Carbon units: their types and the ranges of serial numbers they come in."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from enum import StrEnum
from itertools import pairwise


class UnitType(StrEnum):
    """What a unit is; each type has its own wording and its own permitted claims."""

    CER = "cer"
    TCER = "tcer"
    LCER = "lcer"
    A64ER_AUTHORISED = "a64er_authorised"
    A64ER_CONTRIBUTION = "a64er_contribution"


class SerialError(ValueError):
    """The text is not a serial number, or a range runs backwards or across series."""


@dataclass(frozen=True, slots=True, order=True)
class SerialRange:
    """Consecutive units, both ends included.

    Numbers are unique within one registry and ``series``: the host Party for CERs
    (domain-facts.md 1.1), whatever the registry says for A6.4ERs, whose written form is
    opaque to us. ``first_text`` and ``last_text`` are as the registry writes them.
    """

    series: str
    first: int
    last: int
    first_text: str
    last_text: str

    def __post_init__(self) -> None:
        if not self.series or self.first < 1 or self.last < self.first:
            raise SerialError(f"{self.first_text} to {self.last_text}")

    @property
    def quantity(self) -> int:
        """How many units lie in the range."""
        return self.last - self.first + 1

    def overlaps(self, other: SerialRange) -> bool:
        """Whether some unit lies in both."""
        return self.series == other.series and self.first <= other.last and other.first <= self.last

    def lies_in(self, other: SerialRange) -> bool:
        """Whether every unit of this range lies in ``other``."""
        return self.series == other.series and other.first <= self.first and self.last <= other.last

    def __str__(self) -> str:
        if self.first == self.last:
            return self.first_text
        return f"{self.first_text} – {self.last_text}"


def total(ranges: Iterable[SerialRange]) -> int:
    """Count the units of all ``ranges``, which must not overlap."""
    return sum(each.quantity for each in ranges)


def first_overlap(ranges: Sequence[SerialRange]) -> tuple[SerialRange, SerialRange] | None:
    """Return two of ``ranges`` that share a unit, or None."""
    ordered = sorted(ranges)
    for one, two in pairwise(ordered):
        if one.overlaps(two):
            return one, two
    return None


_CER = re.compile(
    r"([A-Z]{2})-([1-9]\d*)-([1-9]\d{0,14})-([1-9])-([1-9])-(\d)-([1-9]\d*)", re.ASCII
)


@dataclass(frozen=True, slots=True)
class CerSerial:
    """A CER's serial number: seven parts with hyphens and no leading zeros.

    The order of the fifth and sixth part is from a single source (domain-facts.md 1.1);
    they are kept and written back, and nothing is decided on them.
    """

    party: str
    unit_code: int
    number: int
    original_period: int
    applicable_period: int
    lulucf: int
    project: int

    @classmethod
    def parse(cls, text: str) -> CerSerial:
        """Read ``BR-5-85316059-1-1-0-8``.

        Raises:
            SerialError: not in that form.

        """
        found = _CER.fullmatch(text)
        if found is None:
            raise SerialError(text)
        party, *numbers = found.groups()
        return cls(party, *(int(each) for each in numbers))

    def __str__(self) -> str:
        return (
            f"{self.party}-{self.unit_code}-{self.number}-{self.original_period}"
            f"-{self.applicable_period}-{self.lulucf}-{self.project}"
        )


def cer_range(first_text: str, last_text: str) -> SerialRange:
    """Read a range of CERs from its first and last serial number.

    Raises:
        SerialError: an end is malformed, or the ends differ in more than the number.

    """
    first, last = CerSerial.parse(first_text), CerSerial.parse(last_text)
    if (first.party, first.unit_code, first.original_period, first.project) != (
        last.party,
        last.unit_code,
        last.original_period,
        last.project,
    ):
        raise SerialError(f"{first_text} to {last_text}")
    return SerialRange(first.party, first.number, last.number, first_text, last_text)


class Obstacle(StrEnum):
    """Why units that a provider holds may not be offered (F6; domain-facts.md 2)."""

    PROCEEDS_UNPAID = "proceeds_unpaid"
    """The share of proceeds for their issuance is not paid."""
    PROCEEDS_PARTLY = "proceeds_partly"
    """It is paid in part."""
    ACCOUNT_KIND = "account_kind"
    """They lie in an account from which nothing is cancelled here."""
    NOT_MAPPED = "not_mapped"
    """The provider is not mapped to their activity, or no longer."""
    ANNEX_I = "annex_i"
    """They are an Annex I Party's, or lie in such a Party's own registry."""
    EXPIRED = "expired"
    """They were temporary, and are valid no more."""
    UNCLEAR = "unclear"
    """What the registry says of them contradicts itself."""
    REFUSED = "refused"
    """The registry says no and does not say why."""
    CONTRADICTORY = "contradictory"
    """What it says of them cannot be."""

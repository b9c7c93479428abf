"""Annex I Parties, whose registries' units are not cancelled here (F6).

The 43 Parties listed in Annex I to the UNFCCC, the European Union among them, as its
secretariat lists them (unfccc.int, "Parties & Observers", Annex I). Only for units of the
clean development mechanism: under Article 6.4 any Party may be host.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date
from typing import Final

from cnn_offset.domain.unit_rules import CDM_CODES, UNIT_RULES, Mechanism
from cnn_offset.domain.units import CerSerial, Obstacle, SerialError, SerialRange, UnitType

ANNEX_I: Final[frozenset[str]] = frozenset(
    {
        "AT", "AU", "BE", "BG", "BY", "CA", "CH", "CY", "CZ", "DE", "DK", "EE", "ES",
        "EU", "FI", "FR", "GB", "GR", "HR", "HU", "IE", "IS", "IT", "JP", "LI", "LT",
        "LU", "LV", "MC", "MT", "NL", "NO", "NZ", "PL", "PT", "RO", "RU", "SE", "SI",
        "SK", "TR", "UA", "US",
    }
)  # fmt: skip
"""By ISO 3166 alpha-2."""
JOINED: Final[Mapping[str, date]] = {"MT": date(2010, 10, 26), "CY": date(2013, 1, 9)}
"""Those that were added after the mechanism had begun, and since when. Before, they were
hosts of its projects like any other."""


def in_annex_i(party: str, on: date) -> bool:
    """Whether ``party`` was in Annex I on a day."""
    return party in ANNEX_I and on >= JOINED.get(party, date.min)


def origin_obstacle(
    unit_type: UnitType, party: str, issued: SerialRange, monitoring_start: date
) -> Obstacle | None:
    """Say what the origin of units, as their serial numbers tell it, puts in the way.

    Args:
        unit_type: as the registry says.
        party: the host Party, as the registry says.
        issued: the block; numbers that are not of the known form tell nothing.
        monitoring_start: when what they were issued for began.

    """
    rules = UNIT_RULES[unit_type]
    if rules.mechanism is not Mechanism.CDM:
        return None
    parties = {party}
    for text in (issued.first_text, issued.last_text):
        try:
            serial = CerSerial.parse(text)
        except SerialError:
            continue
        if serial.unit_code not in CDM_CODES:
            return Obstacle.ANNEX_I
        if serial.unit_code != rules.code:
            return Obstacle.UNCLEAR
        parties.add(serial.party)
    if any(in_annex_i(each, monitoring_start) for each in parties):
        return Obstacle.ANNEX_I
    return Obstacle.UNCLEAR if len(parties) > 1 else None

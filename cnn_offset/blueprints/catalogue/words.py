"""Words for the codes of the catalogue, as English message ids."""

from __future__ import annotations

from collections.abc import Mapping
from functools import lru_cache
from typing import Final

from flask_babel import gettext

from cnn_offset.domain.facets import BANDS, Sort
from cnn_offset.domain.text import N_
from cnn_offset.domain.unit_rules import PERIODS
from cnn_offset.domain.units import UnitType
from cnn_offset.extensions import platform
from cnn_offset.i18n import UNIT_LABELS, country_name, language, number

TECHNOLOGIES: Final[Mapping[str, str]] = {
    "wind": N_("Wind power"),
    "hydro": N_("Hydropower"),
    "solar": N_("Solar energy"),
    "biomass": N_("Biomass energy"),
    "geothermal": N_("Geothermal energy"),
    "landfill_gas": N_("Landfill gas"),
    "cookstoves": N_("Efficient cookstoves"),
    "methane_avoidance": N_("Methane avoidance"),
    "reforestation": N_("Afforestation and reforestation"),
    "energy_efficiency": N_("Energy efficiency"),
    "fuel_switch": N_("Fuel switch"),
    "n2o": N_("Nitrous oxide reduction"),
    "hfc23": N_("HFC-23 destruction"),
    "transport": N_("Transport"),
    "water": N_("Safe drinking water"),
}

SCOPES: Final[Mapping[int, str]] = {
    1: N_("Energy industries"),
    2: N_("Energy distribution"),
    3: N_("Energy demand"),
    4: N_("Manufacturing industries"),
    5: N_("Chemical industries"),
    6: N_("Construction"),
    7: N_("Transport"),
    8: N_("Mining and mineral production"),
    9: N_("Metal production"),
    10: N_("Fugitive emissions from fuels"),
    11: N_("Fugitive emissions of halocarbons and SF6"),
    12: N_("Solvent use"),
    13: N_("Waste handling and disposal"),
    14: N_("Afforestation and reforestation"),
    15: N_("Agriculture"),
    16: N_("Carbon capture and storage"),
}
"""Sectoral scopes (domain-facts.md 1.3)."""

FACET_TITLES: Final[Mapping[str, str]] = {
    "country": N_("Host country"),
    "technology": N_("Technology"),
    "type": N_("Kind of unit"),
    "price": N_("Price per tonne"),
    "currency": N_("Currency"),
    "vintage": N_("Vintage"),
    "registry": N_("Registry"),
    "period": N_("Commitment period"),
    "scope": N_("Sectoral scope"),
}

SORTS: Final[Mapping[Sort, str]] = {
    Sort.LOT: N_("Neutral order"),
    Sort.PRICE: N_("Lowest price"),
    Sort.NEWEST: N_("Newest vintage"),
}


def technology(code: str) -> str:
    """Name a technology in the reader's language."""
    return str(gettext(TECHNOLOGIES[code])) if code in TECHNOLOGIES else code.replace("_", " ")


def scope(code: int) -> str:
    """Name a sectoral scope with its number."""
    return f"{code}. {gettext(SCOPES[code])}" if code in SCOPES else str(code)


def registry(registry_id: str) -> str:
    """Name a registry connection."""
    return str(gettext(platform().registry_titles.get(registry_id, registry_id)))


def period(code: str) -> str:
    """Name a commitment period of the Kyoto Protocol with its years."""
    names = {str(number): each.name for number, each in PERIODS.items()}
    return str(gettext(names[code])) if code in names else code


def band(name: str) -> str:
    """Name a price band."""
    if name not in BANDS:
        return name
    low, high = (number(end, language()) if end is not None else "" for end in BANDS[name])
    if not high:
        return str(gettext("%(low)s or more", low=low))
    if not BANDS[name][0]:
        return str(gettext("Under %(high)s", high=high))
    return str(gettext("%(low)s to under %(high)s", low=low, high=high))


@lru_cache(maxsize=5000)
def choice(facet: str, value: str, lang: str) -> str:
    """Name a value of a facet in ``lang``, which must be the reader's language; one that
    nobody knows is shown as it came.
    """
    if facet == "country":
        return country_name(value, lang)
    if facet == "technology":
        return technology(value)
    if facet == "scope":
        return scope(int(value)) if value.isdecimal() else value
    if facet == "type":
        return str(gettext(UNIT_LABELS[UnitType(value)])) if value in set(UnitType) else value
    if facet == "registry":
        return registry(value)
    if facet == "period":
        return period(value)
    if facet == "price":
        return band(value)
    return value

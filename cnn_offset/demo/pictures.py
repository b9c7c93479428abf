"""Pictures for the demo activities, drawn from nothing but a motif and a seed."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from random import Random
from typing import Final

from cnn_offset.demo import country_motifs, energy_motifs, town_motifs, village_motifs
from cnn_offset.demo.scenery import DAY, DUSK, Scene

MOTIFS: Final[Mapping[str, Callable[[Scene], None]]] = {
    "wind": energy_motifs.wind,
    "hydro": energy_motifs.hydro,
    "solar": energy_motifs.solar,
    "biomass": energy_motifs.biomass,
    "geothermal": energy_motifs.geothermal,
    "landfill_gas": country_motifs.landfill_gas,
    "cookstoves": country_motifs.cookstoves,
    "methane_avoidance": country_motifs.methane_avoidance,
    "reforestation": country_motifs.reforestation,
    "energy_efficiency": town_motifs.energy_efficiency,
    "n2o": town_motifs.n2o,
    "transport": town_motifs.transport,
    "water": country_motifs.water,
    "stream_hydro": village_motifs.stream_hydro,
    "rooftop_solar": village_motifs.rooftop_solar,
    "brick_kilns": village_motifs.brick_kilns,
    "warm_gers": village_motifs.warm_gers,
}
"""A composition for each technology of the demo, and some for special cases of them."""
_EVENING: Final = {"energy_efficiency", "warm_gers"}


def draw(motif: str, seed: str) -> str:
    """Return an SVG of 800 by 600; the same motif and seed give the same picture.

    Raises:
        KeyError: there is no such motif.

    """
    compose = MOTIFS[motif]
    chance = Random(f"{motif}:{seed}")
    scene = Scene(chance, chance.choice(DUSK if motif in _EVENING else DAY))
    compose(scene)
    return scene.svg()

"""Pictures for the demo activities, drawn from nothing but a technology and a seed."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from random import Random
from typing import Final

from cnn_offset.demo import country_motifs, energy_motifs, town_motifs
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
}
"""One composition for each technology of the demo."""


def draw(technology: str, seed: str) -> str:
    """Return an SVG of 800 by 600; the same technology and seed give the same picture.

    Raises:
        KeyError: no composition for ``technology``.

    """
    motif = MOTIFS[technology]
    chance = Random(f"{technology}:{seed}")
    scene = Scene(chance, chance.choice(DUSK if technology == "energy_efficiency" else DAY))
    motif(scene)
    return scene.svg()

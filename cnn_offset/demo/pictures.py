"""Pictures for the demo activities, drawn from nothing but a technology and a seed."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from random import Random
from typing import Final

from cnn_offset.demo import energy_motifs, other_motifs
from cnn_offset.demo.scenery import DAY, DUSK, Scene

MOTIFS: Final[Mapping[str, Callable[[Scene], None]]] = {
    "wind": energy_motifs.wind,
    "hydro": energy_motifs.hydro,
    "solar": energy_motifs.solar,
    "biomass": energy_motifs.biomass,
    "geothermal": energy_motifs.geothermal,
    "landfill_gas": other_motifs.landfill_gas,
    "cookstoves": other_motifs.cookstoves,
    "methane_avoidance": other_motifs.methane_avoidance,
    "reforestation": other_motifs.reforestation,
    "energy_efficiency": other_motifs.energy_efficiency,
    "n2o": other_motifs.n2o,
    "transport": other_motifs.transport,
    "water": other_motifs.water,
}
"""One composition for each technology of the demo."""


def draw(technology: str, seed: str) -> str:
    """Return an SVG of 800 by 600; the same technology and seed give the same picture.

    Raises:
        KeyError: no composition for ``technology``.

    """
    motif = MOTIFS[technology]
    chance = Random(f"{technology}:{seed}")  # noqa: S311 - colours, not secrets
    scene = Scene(chance, chance.choice(DUSK if technology == "energy_efficiency" else DAY))
    motif(scene)
    return scene.svg()

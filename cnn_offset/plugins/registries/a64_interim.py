"""The connector to the interim Article 6.4 registry."""

from __future__ import annotations

from typing import ClassVar

from cnn_offset.domain.text import N_
from cnn_offset.domain.units import SerialRange, UnitType
from cnn_offset.plugins.registries.cdm_system import CdmSystemConnector, Units


class A64InterimConnector(CdmSystemConnector):
    """The interim Article 6.4 registry: A6.4ERs, whose serial numbers are opaque to us."""

    id = "a64_interim"
    title = N_("Interim Article 6.4 registry")
    unit_types: ClassVar = {
        "A6.4ER-A": UnitType.A64ER_AUTHORISED,
        "A6.4ER-MC": UnitType.A64ER_CONTRIBUTION,
    }

    @staticmethod
    def serial_range(units: Units) -> SerialRange:
        """Take the parts as the registry gives them."""
        return SerialRange(units.series, units.start, units.end, units.startSerial, units.endSerial)

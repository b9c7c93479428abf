"""The connector to the CDM registry."""

from __future__ import annotations

from typing import ClassVar

from cnn_offset.domain.text import N_
from cnn_offset.domain.units import SerialError, SerialRange, UnitType, cer_range
from cnn_offset.plugins.registries.cdm_system import CdmSystemConnector, Units


class CdmConnector(CdmSystemConnector):
    """The CDM registry: CERs, tCERs and lCERs with serial numbers of seven parts."""

    id = "cdm"
    title = N_("CDM registry")
    unit_types: ClassVar = {"CER": UnitType.CER, "tCER": UnitType.TCER, "lCER": UnitType.LCER}

    @staticmethod
    def serial_range(units: Units) -> SerialRange:
        """Read the serial numbers; the numbers beside them must say the same."""
        found = cer_range(units.startSerial, units.endSerial)
        if (found.first, found.last) != (units.start, units.end):
            raise SerialError(f"{found} is not {units.start} to {units.end}")
        return found

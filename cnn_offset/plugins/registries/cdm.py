"""The connector to the CDM registry."""

from __future__ import annotations

from typing import ClassVar

from cnn_offset.domain.text import N_
from cnn_offset.domain.units import CerSerial, SerialError, SerialRange, UnitType, cer_range
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

    @staticmethod
    def is_of(units: Units, activity_ref: str) -> bool:
        """Compare the last part of the serial number with the project's reference number."""
        try:
            project = CerSerial.parse(units.startSerial).project
        except SerialError:
            # What is wrong with it is said by :meth:`serial_range`.
            return True
        return not activity_ref.isdigit() or int(activity_ref) == project

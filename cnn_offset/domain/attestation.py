"""What an attestation says."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, datetime
from typing import Any, Final

from pydantic import TypeAdapter

from cnn_offset.domain.units import UnitType


@dataclass(frozen=True, slots=True)
class AttestedRange:
    """Serial numbers as the registry writes them, both ends included."""

    first: str
    last: str
    quantity: int


@dataclass(frozen=True, slots=True)
class AttestedLine:
    """Units of one block. Without ``completed_at`` they are not cancelled yet (a preview)."""

    unit_type: UnitType
    quantity: int
    activity_title: Mapping[str, str]
    activity_ref: str
    activity_kind: str
    """``pa`` or ``poa``."""
    host_party: str
    monitoring_start: date
    monitoring_end: date
    registry_id: str
    registry_title: str
    """A message id, such as "CDM registry"."""
    registry_ref: str = ""
    """The registry's own number of the transaction."""
    completed_at: datetime | None = None
    ranges: tuple[AttestedRange, ...] = ()
    expires_on: date | None = None
    """The last day of units that do not last, if it was told."""


@dataclass(frozen=True, slots=True)
class AttestationData:
    """All that an attestation says; the same for preview, PDF and page."""

    locale: str
    beneficiary: str
    reason: str
    lines: tuple[AttestedLine, ...]
    number: str = ""
    """Empty in a preview."""
    check_url: str = ""
    fulfilled_at: datetime | None = None
    replaces: str = ""
    """The number of the one that this one takes the place of, corrected."""

    @property
    def is_preview(self) -> bool:
        """Whether nothing is cancelled yet."""
        return not self.number

    @property
    def quantity(self) -> int:
        """Units of all lines, each one tonne of CO2 equivalent."""
        return sum(line.quantity for line in self.lines)

    @property
    def unit_types(self) -> list[UnitType]:
        """The types of the units, each once, in the order of the lines."""
        return list(dict.fromkeys(line.unit_type for line in self.lines))

    @property
    def texts(self) -> str:
        """Everything in it that people typed: what the fonts must be able to print."""
        titles = "".join(line.activity_title.get(self.locale, "") for line in self.lines)
        return self.beneficiary + self.reason + titles

    def as_json(self) -> dict[str, Any]:
        """Return it as kept beside the PDF."""
        kept: dict[str, Any] = _ADAPTER.dump_python(self, mode="json")
        return kept

    @classmethod
    def from_json(cls, kept: Mapping[str, Any]) -> AttestationData:
        """Read what ``as_json`` returned."""
        return _ADAPTER.validate_python(kept)


_ADAPTER: Final = TypeAdapter(AttestationData)

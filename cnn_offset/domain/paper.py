"""What a pro-forma invoice or a receipt says."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date
from typing import Any, Final

from pydantic import TypeAdapter

from cnn_offset.domain.money import Money
from cnn_offset.domain.units import UnitType


@dataclass(frozen=True, slots=True)
class Side:
    """One of the two who contract."""

    name: str
    lines: tuple[str, ...]
    """Of the postal address, without the country; as many as are known."""
    country: str
    """ISO 3166 code."""
    tax_id: str
    email: str


@dataclass(frozen=True, slots=True)
class PaperLine:
    """Units of one block at one price."""

    title: str
    """The project's, in the language of the paper."""
    ref: str
    unit_type: UnitType
    monitoring_start: date
    monitoring_end: date
    quantity: int
    price_minor: int
    """Of one unit, in minor units of the paper's currency."""


@dataclass(frozen=True, slots=True)
class PaperData:
    """All that stands on a paper in a provider's name; frozen when it gets its number."""

    kind: str
    """``pro_forma`` or ``receipt``."""
    number: str
    locale: str
    issued_on: date
    order_code: str
    placed_on: date
    reference: str
    """What the purchaser quotes with a payment."""
    purchase_order: str
    provider: Side
    purchaser: Side
    lines: tuple[PaperLine, ...]
    currency: str
    total_minor: int
    method: str
    """A message id, or the id of a method that is no longer known."""
    pay_by: date | None = None
    """Of a pro-forma invoice."""
    instructions: tuple[tuple[str, str], ...] = ()
    """Message ids and values: where to pay, as far as that was known."""
    paid_on: date | None = None
    """Of a receipt: the value date, or the day the processor reported."""
    payment_ref: str = ""
    """The bank's or the processor's own."""

    @property
    def total(self) -> Money:
        """What is or was to be paid."""
        return Money(self.total_minor, self.currency)

    def money(self, line: PaperLine) -> tuple[Money, Money]:
        """Return the price of one unit of ``line`` and of all of them."""
        price = Money(line.price_minor, self.currency)
        return price, price * line.quantity

    def as_json(self) -> dict[str, Any]:
        """Return it as kept."""
        kept: dict[str, Any] = _ADAPTER.dump_python(self, mode="json")
        return kept

    @classmethod
    def from_json(cls, kept: Mapping[str, Any]) -> PaperData:
        """Read what ``as_json`` returned."""
        return _ADAPTER.validate_python(kept)


_ADAPTER: Final = TypeAdapter(PaperData)

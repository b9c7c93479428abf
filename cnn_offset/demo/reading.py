"""The demo's data as typed values, read from the TOML files beside this module."""

from __future__ import annotations

import tomllib
from collections.abc import Mapping, Sequence
from datetime import date
from importlib.resources import files
from typing import Annotated, Any, Literal

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field

from cnn_offset.domain.money import Money
from cnn_offset.domain.units import UnitType
from cnn_offset.models import AccountKind, ActivityKind


def _money(text: Any) -> Any:
    if isinstance(text, str):
        amount, _, currency = text.partition(" ")
        return Money.parse(amount, currency)
    return text


Price = Annotated[Money, BeforeValidator(_money)]
"""Written ``"2.40 USD"``."""


class _Data(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, arbitrary_types_allowed=True)


class Texts(_Data):
    """One text in the three languages."""

    en: str = ""
    fr: str = ""
    es: str = ""


class DemoPayout(_Data):
    """One way a demo provider is paid."""

    method: str
    currencies: Sequence[str]
    account: Mapping[str, str]
    minimum: Price | None = None


class DemoProvider(_Data):
    """An invented provider; ``accounts`` are by registry."""

    slug: str
    name: str
    country: str = Field(pattern="^[A-Z]{2}$")
    address: str
    tax_id: str
    locale: Literal["en", "fr", "es"] = "en"
    email: str
    website: str
    accounts: Mapping[str, str]
    kinds: Mapping[str, AccountKind] = Field(default_factory=dict)
    """By registry: kinds of accounts that are not permanent ones."""
    payout: Sequence[DemoPayout]

    @property
    def staff_email(self) -> str:
        """With what its one member of staff signs in."""
        return f"staff@{self.slug}.example"

    def kind(self, registry: str) -> AccountKind:
        """Say which kind its account at ``registry`` is."""
        return self.kinds.get(registry, AccountKind.PERMANENT)


class DemoBlock(_Data):
    """A block the sandbox registry issues to a provider, and its offer if it has a price."""

    provider: str
    unit: UnitType
    first: int = Field(ge=1)
    quantity: int = Field(ge=1)
    monitoring_start: date = Field(alias="from")
    monitoring_end: date = Field(alias="to")
    share_of_proceeds: Literal["paid", "partly", "unpaid"] = "paid"
    expires: date | None = None
    """The last day of units that do not last."""
    taken: Sequence[tuple[int, int]] = ()
    """Pairs of how many units to skip from the start and how many are gone from there."""
    price: Price | None = None
    offer: int = 0
    """How many units are on offer."""
    min: int = 1
    """The smallest order."""

    @property
    def last(self) -> int:
        """The last unit's number."""
        return self.first + self.quantity - 1

    @property
    def eligible(self) -> bool:
        """Whether it may be offered."""
        return self.share_of_proceeds == "paid"


class DemoActivity(_Data):
    """An invented activity with its blocks."""

    slug: str = Field(pattern=r"^[a-z0-9-]+$")
    registry: str
    ref: str
    kind: ActivityKind
    technology: str
    scope: int = Field(ge=1, le=16)
    methodology: str
    host_party: str = Field(pattern="^[A-Z]{2}$")
    region: str
    crediting: tuple[date, date]
    title: Texts
    description: Texts
    picture_alt: Texts
    labels: Texts = Texts()
    motif: str = ""
    """The picture's composition, where the technology's own does not fit."""
    blocks: Sequence[DemoBlock]

    def block_ref(self, index: int) -> str:
        """Name a block at its registry; the same at every run."""
        return f"{self.ref}-{index + 1}"


class Demo(_Data):
    """Everything the demo shows."""

    providers: Sequence[DemoProvider]
    activities: Sequence[DemoActivity]


def read_demo() -> Demo:
    """Read the demo's data.

    Raises:
        pydantic.ValidationError: a file holds something else than it should.

    """
    providers: list[Any] = []
    activities: list[Any] = []
    for each in sorted(files("cnn_offset.demo").joinpath("data").iterdir(), key=str):
        tables = tomllib.loads(each.read_text(encoding="utf-8"))
        providers += tables.get("provider", ())
        activities += tables.get("activity", ())
    return Demo.model_validate({"providers": providers, "activities": activities})

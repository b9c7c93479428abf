"""Exact money: a whole number of a currency's smallest unit."""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal, InvalidOperation
from functools import total_ordering

from iso4217 import Currency


class CurrencyMismatchError(ValueError):
    """Two amounts in different currencies met in one sum or comparison."""


class InexactAmountError(ValueError):
    """The text is no amount, or has more decimals than the currency can hold."""


def exponent(currency: str) -> int:
    """Return the number of decimals ISO 4217 gives ``currency``.

    Raises:
        ValueError: no such currency, or one without a minor unit (gold, test codes).

    """
    try:
        places = Currency(currency).exponent
    except ValueError as error:
        raise ValueError(f"not a currency: {currency!r}") from error
    if places is None:
        raise ValueError(f"not a currency to pay in: {currency!r}")
    return int(places)


@total_ordering
@dataclass(frozen=True, slots=True)
class Money:
    """An exact amount in minor units.

    Nothing here rounds, because nothing needs it: a price is per whole unit and a
    quantity is a whole number, so a total is an integer product.
    """

    minor: int
    currency: str

    def __post_init__(self) -> None:
        if type(self.minor) is not int:  # bool is an int; float and Decimal are not
            raise TypeError(f"minor must be an int, not {self.minor!r}")
        exponent(self.currency)

    @classmethod
    def parse(cls, text: str, currency: str) -> Money:
        """Read ``"12.34"``: digits and at most one dot, no grouping, no exponent.

        Raises:
            InexactAmountError: not such a text, or finer than the currency.

        """
        if not text.isascii() or not text.lstrip("-").replace(".", "", 1).isdigit():
            raise InexactAmountError(f"{text!r} {currency}")
        try:
            # Written as text, since Decimal's own arithmetic rounds at 28 digits.
            scaled = Decimal(f"{text}e{exponent(currency)}")
        except InvalidOperation as error:
            raise InexactAmountError(f"{text!r} {currency}") from error
        if scaled != scaled.to_integral_value():
            raise InexactAmountError(f"{text!r} {currency}")
        return cls(int(scaled), currency)

    @property
    def amount(self) -> Decimal:
        """The amount in whole currency, with the currency's own number of decimals."""
        return Decimal(f"{self.minor}e-{exponent(self.currency)}")

    def __str__(self) -> str:
        return f"{self.currency} {self.amount:f}"

    def _same(self, other: Money) -> None:
        if self.currency != other.currency:
            raise CurrencyMismatchError(f"{self.currency} and {other.currency}")

    def __add__(self, other: Money) -> Money:
        self._same(other)
        return Money(self.minor + other.minor, self.currency)

    def __sub__(self, other: Money) -> Money:
        self._same(other)
        return Money(self.minor - other.minor, self.currency)

    def __mul__(self, quantity: int) -> Money:
        if type(quantity) is not int:
            return NotImplemented
        return Money(self.minor * quantity, self.currency)

    def __lt__(self, other: Money) -> bool:
        self._same(other)
        return self.minor < other.minor

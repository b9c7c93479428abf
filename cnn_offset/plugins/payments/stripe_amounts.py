"""Amounts as Stripe writes them, which is not always as ISO 4217 does."""

from __future__ import annotations

from decimal import Decimal
from typing import Final

from cnn_offset.domain.money import Money, exponent
from cnn_offset.plugins.errors import OutcomeUnknownError

ZERO_DECIMAL: Final = frozenset(
    {"BIF", "CLP", "DJF", "GNF", "JPY", "KMF", "KRW", "MGA"}
    | {"PYG", "RWF", "VND", "VUV", "XAF", "XOF", "XPF"}
)
HUNDREDFOLD: Final = frozenset({"ISK", "UGX"})
"""Without decimals in ISO 4217, but Stripe writes them with two."""
THREE_DECIMAL: Final = frozenset({"BHD", "JOD", "KWD", "OMR", "TND"})
"""The last digit must be 0. All three sets: payments-facts.md 2.4, to be checked again."""


def to_stripe(amount: Money) -> int | None:
    """Write ``amount`` in Stripe's smallest unit, or None where it cannot be exact."""
    places = _places(amount.currency)
    if places is None:
        return None
    scaled = amount.amount.scaleb(places)
    whole = int(scaled)
    if whole != scaled or (places == 3 and whole % 10):
        return None
    return whole


def from_stripe(minor: int, currency: str) -> Money:
    """Read an amount of Stripe's.

    Raises:
        OutcomeUnknownError: no such currency, or a fraction that ISO 4217 does not have.

    """
    code = currency.upper()
    try:
        places = _places(code)
        scaled = Decimal(minor).scaleb(exponent(code) - (places or 0))
    except ValueError as error:
        raise OutcomeUnknownError(f"Stripe reports an odd amount: {error}") from None
    if places is None or scaled != int(scaled):
        raise OutcomeUnknownError(f"Stripe reports an odd amount: {minor} {code}")
    return Money(int(scaled), code)


def _places(currency: str) -> int | None:
    if currency in ZERO_DECIMAL:
        return 0
    if currency in HUNDREDFOLD:
        return 2
    places = exponent(currency)
    return places if places == 2 or currency in THREE_DECIMAL else None

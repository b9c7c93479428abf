"""Money is exact, whatever its size and currency."""

from __future__ import annotations

from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st
from iso4217 import Currency

from cnn_offset.domain.money import CurrencyMismatchError, InexactAmountError, Money, exponent

PAYABLE = sorted(
    each.code for each in Currency if each.exponent is not None and each.code.isascii()
)
minors = st.integers(-(10**40), 10**40)
currencies = st.sampled_from(PAYABLE)
EUR = "EUR"


@pytest.mark.parametrize(
    ("currency", "places"),
    [("EUR", 2), ("HUF", 2), ("JPY", 0), ("UGX", 0), ("TND", 3), ("IQD", 3), ("CLF", 4)],
)
def test_decimals_are_those_of_iso_4217(currency: str, places: int) -> None:
    assert exponent(currency) == places


@pytest.mark.parametrize("currency", ["", "eur", "EU", "EURO", "ZZZ", "XAU", "XXX", "XTS"])
def test_only_money_is_money(currency: str) -> None:
    with pytest.raises(ValueError, match="not a currency"):
        Money(1, currency)


@pytest.mark.parametrize("minor", [1.0, Decimal(1), True, "1", None])
def test_minor_units_are_whole_numbers(minor: object) -> None:
    with pytest.raises(TypeError):
        Money(minor, EUR)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("text", "currency", "minor"),
    [
        ("0", "EUR", 0),
        ("12.34", "EUR", 1234),
        ("12.3", "EUR", 1230),
        ("12.340", "EUR", 1234),
        ("-0.01", "EUR", -1),
        ("1200", "JPY", 1200),
        ("1.234", "TND", 1234),
        ("007", "USD", 700),
    ],
)
def test_parse_reads_plain_digits(text: str, currency: str, minor: int) -> None:
    assert Money.parse(text, currency) == Money(minor, currency)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "-",
        ".",
        "--1",
        "1-",
        "1.2.3",
        "1,50",
        "1 000",
        " 1",
        "1e3",
        "NaN",
        "inf",
        "+1",
        "٣",
        "1_0",
    ],
)
def test_parse_refuses_what_is_no_amount(text: str) -> None:
    with pytest.raises(InexactAmountError):
        Money.parse(text, EUR)


@pytest.mark.parametrize(
    ("text", "currency"), [("0.001", "EUR"), ("1.5", "JPY"), ("1.2345", "TND")]
)
def test_parse_refuses_what_it_would_have_to_round(text: str, currency: str) -> None:
    with pytest.raises(InexactAmountError):
        Money.parse(text, currency)


@given(minors, currencies)
def test_written_amounts_are_read_back(minor: int, currency: str) -> None:
    money = Money(minor, currency)
    assert Money.parse(f"{money.amount:f}", currency) == money
    assert str(money).startswith(f"{currency} ")


@given(minors, currencies)
def test_amounts_have_the_decimals_of_their_currency(minor: int, currency: str) -> None:
    _, _, decimals = f"{Money(minor, currency).amount:f}".partition(".")
    assert len(decimals) == exponent(currency)


@given(minors, minors, st.integers(-1000, 1000), currencies)
def test_sums_and_products_are_integer_sums_and_products(
    one: int, two: int, quantity: int, currency: str
) -> None:
    a, b = Money(one, currency), Money(two, currency)
    assert (a + b).minor == one + two
    assert (a - b).minor == one - two
    assert (a * quantity).minor == one * quantity
    assert (a < b, a <= b, a > b) == (one < two, one <= two, one > two)


@pytest.mark.parametrize(
    "mix",
    [
        lambda a, b: a + b,
        lambda a, b: a - b,
        lambda a, b: a < b,
        lambda a, b: a >= b,
    ],
)
def test_currencies_do_not_mix(mix: object) -> None:
    with pytest.raises(CurrencyMismatchError):
        mix(Money(1, "EUR"), Money(1, "USD"))  # type: ignore[operator]
    assert Money(1, "EUR") != Money(1, "USD")


@pytest.mark.parametrize("factor", [1.5, Decimal(2), True, "2"])
def test_only_whole_quantities_multiply(factor: object) -> None:
    with pytest.raises(TypeError):
        Money(100, EUR) * factor  # type: ignore[operator]

"""Fees are integers, staggered, and never more than the rates say."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cnn_offset.domain.fee import (
    HIGHEST,
    WHOLE,
    FeePart,
    Tier,
    TierLine,
    faults,
    fee_of,
    percent,
    remaining,
    split,
    tiers_of,
    weigh,
)
from cnn_offset.domain.units import UnitType

CER, AUTHORISED = UnitType.CER, UnitType.A64ER_AUTHORISED
STEPS = [Tier(0, 500), Tier(1000, 300), Tier(10_000, 0)]

prices = st.integers(1, 10**7)
quantities = st.integers(1, 10**7)
volumes = st.integers(0, 10**8)


@st.composite
def tiers(draw: st.DrawFn) -> list[Tier]:
    starts = draw(st.sets(st.integers(1, 10**7), max_size=5))
    return [Tier(at, draw(st.integers(0, HIGHEST))) for at in [0, *sorted(starts)]]


def test_a_tier_applies_to_the_part_within_it() -> None:
    assert split(STEPS, 900, 200, 1000) == [
        FeePart(100, 500, 100_000),
        FeePart(100, 300, 100_000),
    ]
    assert fee_of(split(STEPS, 900, 200, 1000)) == 5_000 + 3_000
    assert split(STEPS, 0, 20_000, 1) == [
        FeePart(1000, 500, 1000),
        FeePart(9000, 300, 9000),
        FeePart(10_000, 0, 10_000),
    ]
    assert split(STEPS, 1000, 1, 7) == [FeePart(1, 300, 7)]
    assert split(STEPS, 999, 1, 7) == [FeePart(1, 500, 7)]
    assert split(STEPS, 10**9, 1, 7) == [FeePart(1, 0, 7)]
    assert split([], 0, 5, 7) == []


def test_rounds_down_once_for_the_order() -> None:
    assert fee_of([FeePart(1, 250, 39)]) == 0
    assert fee_of([FeePart(1, 250, 40)]) == 1
    # Two halves make a whole: rounded together, not each.
    assert fee_of([FeePart(1, 250, 20), FeePart(1, 250, 20)]) == 1


@given(tiers(), volumes, quantities, prices)
def test_every_unit_lies_in_one_tier_and_the_fee_below_the_price(
    steps: list[Tier], before: int, quantity: int, price: int
) -> None:
    parts = split(steps, before, quantity, price)
    assert sum(each.units for each in parts) == quantity
    assert sum(each.value_minor for each in parts) == quantity * price
    assert 0 <= fee_of(parts) < quantity * price
    assert fee_of(parts) * WHOLE <= weigh(parts) < (fee_of(parts) + 1) * WHOLE


@given(tiers(), volumes, quantities, quantities, prices)
def test_adds_up_over_orders(
    steps: list[Tier], before: int, one: int, two: int, price: int
) -> None:
    """Cut in two, an order costs the same, but for rounding in the provider's favour."""
    whole = split(steps, before, one + two, price)
    first, second = split(steps, before, one, price), split(steps, before + one, two, price)
    assert weigh(first) + weigh(second) == weigh(whole)
    assert 0 <= fee_of(whole) - fee_of(first) - fee_of(second) <= 1


@given(tiers(), volumes, quantities, prices)
def test_grows_with_quantity_and_price(
    steps: list[Tier], before: int, quantity: int, price: int
) -> None:
    fee = fee_of(split(steps, before, quantity, price))
    assert fee <= fee_of(split(steps, before, quantity + 1, price))
    assert fee <= fee_of(split(steps, before, quantity, price + 1))


@given(st.integers(0, 10**9), st.integers(1, 10**10), st.integers(0, 10**10))
def test_what_goes_back_is_in_proportion(fee: int, total: int, back: int) -> None:
    left = remaining(fee, total, back)
    assert 0 <= left <= fee
    assert remaining(fee, total, 0) == fee
    assert remaining(fee, total, total) == 0
    assert left >= remaining(fee, total, back + 1)


def line(
    number: int, first: int, last: int | None, points: int = 100, kind: UnitType = CER
) -> TierLine:
    return TierLine(number, kind, first, last, points)


GOOD = [
    line(1, 1, 1000, 500),
    line(2, 1001, None, 300),
    line(3, 1, None, 200, AUTHORISED),
]


def test_lines_become_tiers() -> None:
    assert faults(GOOD) == []
    assert tiers_of(reversed(GOOD)) == {
        CER: [Tier(0, 500), Tier(1000, 300)],
        AUTHORISED: [Tier(0, 200)],
    }


@pytest.mark.parametrize(
    ("lines", "wrong"),
    [
        ([line(1, 1, 1000), line(2, 1000, None)], [(2, "It overlaps with line %(other)s.")]),
        ([line(1, 1, None), line(2, 500, None)], [(2, "It overlaps with line %(other)s.")]),
        ([line(1, 1, None), line(2, 1, None)], [(2, "It overlaps with line %(other)s.")]),
        (
            [line(1, 1, 1000), line(2, 1002, None)],
            [(2, "Between line %(other)s and this one units are left out.")],
        ),
        ([line(4, 2, None)], [(4, "The first line of a kind of unit begins with unit number 1.")]),
        (
            [line(1, 1, 10)],
            [(1, "The last line of a kind of unit has no end: please leave “to” empty.")],
        ),
        ([line(1, 1, None, 2001)], [(1, "No rate is above %(most)s %%.")]),
        (
            [line(1, 1, 10), line(2, 11, 5), line(3, 11, None)],
            [(2, "“To” is before “from”.")],
        ),
        ([line(1, 1, None), line(2, 5, None, kind=AUTHORISED)],
         [(2, "The first line of a kind of unit begins with unit number 1.")]),
    ],
)  # fmt: skip
def test_faulty_lines_are_named(lines: list[TierLine], wrong: list[tuple[int, str]]) -> None:
    found = [(each.line, each.message) for each in faults(lines)]
    assert set(wrong) <= set(found)
    for each in faults(lines):
        assert each.message % each.values


def test_rates_in_words() -> None:
    assert [percent(each) for each in (0, 5, 50, 250, 300, 1999)] == [
        "0", "0.05", "0.5", "2.5", "3", "19.99",
    ]  # fmt: skip

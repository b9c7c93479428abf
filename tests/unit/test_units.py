"""Serial numbers and the arithmetic of their ranges."""

from __future__ import annotations

from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cnn_offset.domain.units import (
    CerSerial,
    SerialError,
    SerialRange,
    cer_range,
    first_overlap,
    total,
)


def units(first: int, last: int, series: str = "BR") -> SerialRange:
    return SerialRange(series, first, last, f"{series}:{first}", f"{series}:{last}")


small = st.integers(1, 30)
ranges = st.builds(
    lambda series, first, more: units(first, first + more, series),
    st.sampled_from(["BR", "IN"]),
    small,
    st.integers(0, 10),
)
serials = st.builds(
    CerSerial,
    party=st.text("ABCDEFGHIJKLMNOPQRSTUVWXYZ", min_size=2, max_size=2),
    unit_code=st.integers(1, 99),
    number=st.integers(1, 10**15 - 1),
    original_period=st.integers(1, 9),
    applicable_period=st.integers(1, 9),
    lulucf=st.integers(0, 9),
    project=st.integers(1, 10**6),
)


def members(each: SerialRange) -> set[tuple[str, int]]:
    return {(each.series, number) for number in range(each.first, each.last + 1)}


# Ranges: every rule is checked against plain sets of units


@given(ranges)
def test_quantity_counts_the_units(each: SerialRange) -> None:
    assert each.quantity == len(members(each))


@given(ranges, ranges)
def test_overlap_means_a_unit_in_both(one: SerialRange, two: SerialRange) -> None:
    assert one.overlaps(two) == bool(members(one) & members(two)) == two.overlaps(one)


@given(ranges, ranges)
def test_lying_in_means_every_unit(one: SerialRange, two: SerialRange) -> None:
    assert one.lies_in(two) == (members(one) <= members(two))


@given(st.lists(ranges, max_size=8))
def test_first_overlap_finds_one_if_there_is_one(each: list[SerialRange]) -> None:
    found = first_overlap(each)
    counted = sum(len(members(one)) for one in each)
    assert (found is not None) == (counted > len(set().union(*map(members, each))))
    if found is not None:
        assert found[0].overlaps(found[1])
        assert {found[0], found[1]} <= set(each)


def test_first_overlap_looks_within_one_series() -> None:
    assert first_overlap([units(1, 100), units(2, 3), units(50, 60)]) is not None
    assert first_overlap([units(1, 5), units(6, 9), units(1, 5, "IN")]) is None
    assert first_overlap([]) is None


@given(st.lists(ranges, max_size=8))
def test_total_adds_up(each: list[SerialRange]) -> None:
    assert total(each) == sum(len(members(one)) for one in each)


@pytest.mark.parametrize(
    ("series", "first", "last"), [("", 1, 2), ("BR", 0, 2), ("BR", -5, -1), ("BR", 5, 4)]
)
def test_a_range_that_makes_no_sense_is_refused(series: str, first: int, last: int) -> None:
    with pytest.raises(SerialError):
        SerialRange(series, first, last, "a", "b")


def test_a_single_unit_is_written_once() -> None:
    assert str(units(7, 7)) == "BR:7"
    assert str(units(7, 8)) == "BR:7 – BR:8"


# The seven parts of a CER's serial number


def test_reads_a_real_issuance() -> None:
    block = cer_range("BR-5-85316059-1-1-0-8", "BR-5-85448545-1-1-0-8")
    assert (block.series, block.first, block.last) == ("BR", 85316059, 85448545)
    assert block.quantity == 132_487
    assert str(block) == "BR-5-85316059-1-1-0-8 – BR-5-85448545-1-1-0-8"


@given(serials)
def test_writing_and_reading_again_changes_nothing(serial: CerSerial) -> None:
    assert CerSerial.parse(str(serial)) == serial


@given(
    st.text(max_size=40)
    | st.from_regex(r"[A-Z]{2}-\d{1,2}-\d{1,16}-\d-\d-\d-\d{1,3}", fullmatch=True)
)
def test_what_is_read_is_written_back_alike(text: str) -> None:
    with suppress(SerialError):
        assert str(CerSerial.parse(text)) == text


@pytest.mark.parametrize(
    "text",
    [
        "",
        "BR-5-85316059-1-1-0",
        "BR-5-85316059-1-1-0-8-",
        "BR-5-85316059-1-1-0-8-9",
        "br-5-85316059-1-1-0-8",
        "BRA-5-85316059-1-1-0-8",
        "BR-05-85316059-1-1-0-8",
        "BR-5-085316059-1-1-0-8",
        "BR-5-0-1-1-0-8",
        "BR-5-1234567890123456-1-1-0-8",
        "BR-5-85316059-0-1-0-8",
        "BR-5-85316059-1-1-0-08",
        "BR 5 85316059 1 1 0 8",
        "BR–5–85316059–1–1–0–8",
        " BR-5-85316059-1-1-0-8",
        "BR-5-85316059-1-1-0-8\n",
        "BR-5-٣-1-1-0-8",
        "BR-5-1٣-1-1-0-8",
        "BR-5-85316059-1-1-00-8",
        "BR-5-85316059-1-1-10-8",
        "BR-5-85316059-11-1-0-8",
        "ÄÖ-5-85316059-1-1-0-8",
    ],
)
def test_refuses_what_is_no_serial(text: str) -> None:
    with pytest.raises(SerialError):
        CerSerial.parse(text)


@pytest.mark.parametrize(
    "last",
    [
        "IN-5-20-1-1-0-8",
        "BR-6-20-1-1-0-8",
        "BR-5-20-2-1-0-8",
        "BR-5-20-1-1-0-9",
        "BR-5-9-1-1-0-8",
        "BR-5-20",
    ],
)
def test_a_range_needs_two_ends_that_belong_together(last: str) -> None:
    with pytest.raises(SerialError):
        cer_range("BR-5-10-1-1-0-8", last)


@given(serials, st.integers(0, 10**6))
def test_a_range_has_the_numbers_of_its_ends(serial: CerSerial, more: int) -> None:
    last = CerSerial(
        serial.party,
        serial.unit_code,
        min(serial.number + more, 10**15 - 1),
        serial.original_period,
        serial.applicable_period,
        serial.lulucf,
        serial.project,
    )
    block = cer_range(str(serial), str(last))
    assert (block.series, block.first, block.last) == (serial.party, serial.number, last.number)

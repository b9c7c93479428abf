"""References and numbers that people read, copy and mistype."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cnn_offset.domain.reference import (
    ALPHABET,
    attestation_number,
    creditor_reference,
    is_creditor_reference,
    parse_attestation_number,
)

numbers = st.integers(1, 10**12 - 1)


def test_a_known_reference() -> None:
    # Worked by hand: 000000000001 and RF00 as 2715 00, modulo 97, from 98.
    check = 98 - int("000000000001" + "271500") % 97
    assert creditor_reference(1) == f"RF{check:02d}000000000001"


@given(numbers)
def test_references_are_right_and_digits_only(number: int) -> None:
    text = creditor_reference(number)
    assert is_creditor_reference(text)
    assert text[:2] == "RF"
    assert text[2:].isdigit()
    assert int(text[4:]) == number
    grouped = " ".join(text[at : at + 4] for at in range(0, len(text), 4))
    assert is_creditor_reference(grouped.lower())


@given(numbers)
def test_every_wrong_digit_is_seen(number: int) -> None:
    text = creditor_reference(number)
    for at in range(2, len(text)):
        for digit in "0123456789":
            wrong = text[:at] + digit + text[at + 1 :]
            assert is_creditor_reference(wrong) == (wrong == text)


@given(numbers)
def test_every_swap_of_neighbours_is_seen(number: int) -> None:
    text = creditor_reference(number)
    for at in range(2, len(text) - 1):
        wrong = text[:at] + text[at + 1] + text[at] + text[at + 2 :]
        assert is_creditor_reference(wrong) == (wrong == text)


@pytest.mark.parametrize("number", [0, -1, 10**12])
def test_numbers_that_do_not_fit_are_refused(number: int) -> None:
    with pytest.raises(ValueError, match="no reference"):
        creditor_reference(number)


@pytest.mark.parametrize("text", ["", "RF", "RF18", "DE89370400440532013000", "RF18539007547035"])
def test_other_texts_are_no_references(text: str) -> None:
    assert not is_creditor_reference(text)


def test_the_alphabet_has_no_twins() -> None:
    assert not set(ALPHABET) & set("01ILO")
    assert len(set(ALPHABET)) == len(ALPHABET)
    assert ALPHABET.upper() == ALPHABET


@given(st.integers(1, 10**9), st.integers(2026, 9999))
def test_attestation_numbers_are_read_back(sequence: int, year: int) -> None:
    text = attestation_number(sequence, year)
    assert parse_attestation_number(text) == (sequence, year)
    for typed in (
        text.lower(),
        text.replace("/", "-"),
        text.replace("/", "_"),
        f" {text[:4]} {text[4:]}\n",
    ):
        assert parse_attestation_number(typed) == (sequence, year)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "VC",
        "VC1/2026",
        "VC000001",
        "VC000001/26",
        "VC000001/20260",
        "XC000001/2026",
        "VC٠٠٠٠٠١/2026",
    ],
)
def test_other_texts_are_no_attestation_numbers(text: str) -> None:
    assert parse_attestation_number(text) is None

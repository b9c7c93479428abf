"""Text that people type: cleaned, counted, and addresses that may stand in a link."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cnn_offset.domain.text import clean_prose, clean_url, count_words


def test_prose_is_cleaned_of_what_nobody_sees() -> None:
    typed = "  One\u200b \u202etwo\ufeff.\r\nThree\tfour\u2029\n\n\n\nFi\u00advee\u0301\x00\x07 "
    assert clean_prose(typed) == "One two.\nThree four\n\nFiveé"
    assert clean_prose(" \n \u200b\n") == ""
    assert clean_prose("Quoi\u202f ?\u00a0 ") == "Quoi\u202f ?"


@given(st.text())
def test_cleaned_prose_stays_as_it_is(text: str) -> None:
    once = clean_prose(text)
    assert clean_prose(once) == once
    assert "\n\n\n" not in once
    assert not set(once) & set("\0\r\t\u202e\u2066\u200f\u2028\u0085")


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", 0),
        (" \n\t ", 0),
        ("one", 1),
        ("one  two\nthree\u00a0four\u202ffive\u3000six", 6),
        ("l’énergie d'aujourd’hui sous-marine", 3),
        ("CO2-equivalent 1,000 t/a – yes", 5),
    ],
)
def test_words_are_runs_between_white_space(text: str, words: int) -> None:
    assert count_words(text) == words


@pytest.mark.parametrize(
    "address",
    [
        "https://cdm.unfccc.int/Projects/DB/x/view",
        "http://example.org",
        "HTTPS://example.org:8443/a?b=c#d",
        " https://example.org/é ",
    ],
)
def test_addresses_of_the_web(address: str) -> None:
    assert clean_url(address) == address.strip()


@pytest.mark.parametrize(
    "address",
    [
        "",
        "example.org",
        "//example.org",
        "ftp://example.org/x",
        "javascript:alert(1)",
        "JaVaScRiPt://example.org/%0aalert(1)",
        "java\tscript:alert(1)",
        "https://exa\nmple.org/",
        "data:text/html,x",
        "vbscript:x",
        "https://user:secret@example.org/",
        "https://user@example.org/",
        "https://example.org\\@evil.example/",
        "https://",
        "https:///path",
        "https://localhost/x",
        "https://example.org:port/",
        "https://example.org:99999/",
        "https://[::1/",
        "https://exam ple.org/",
        "https://example.org/<script>",
        "https://example.org/\u202egpj",
        "https://example.org/" + "x" * 500,
    ],
)
def test_what_may_not_stand_in_a_link(address: str) -> None:
    with pytest.raises(ValueError):
        clean_url(address)

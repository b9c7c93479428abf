"""Which letters can be printed is known before anybody pays."""

from __future__ import annotations

import subprocess
import sys
import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cnn_offset.attestations.fonts import FACES, FOLDER, printable, unprintable


@pytest.mark.parametrize(
    "text",
    [
        "Łódź, São Tomé, Curaçao, Đà Nẵng, Ærø",
        "œ Œ ñ ¿ ¡ « » € ₂ ’ “ ” – — …",
        "Ελληνική Δημοκρατία",
        "Қазақстан Україна Ђорђе",
        "Nguyễn Thị Ánh Nguyệt",
        "non‑breaking and narrow\u202fspaces\u00a0too",
    ],
)
def test_these_can_be_printed(text: str) -> None:
    assert unprintable(unicodedata.normalize("NFC", text)) == []


def test_others_are_named_once_in_order() -> None:
    assert unprintable("a京b北c京") == ["京", "北"]
    assert unprintable("😀 مكة") == ["😀", "م", "ك", "ة"]


def test_invisible_and_combining_signs_are_refused() -> None:
    assert unprintable("\u202e\u200b\u0007\u00ad\u0301") == [
        "\u202e",
        "\u200b",
        "\u0007",
        "\u00ad",
        "\u0301",
    ]


def test_asking_costs_a_form_no_pdf_library() -> None:
    """The libraries take most of a second to import: web processes start without them."""
    heavy = {"xhtml2pdf", "reportlab", "pyhanko"}
    code = (
        "import sys, cnn_offset.app\n"
        "from cnn_offset.attestations import unprintable\n"
        "unprintable('x')\n"
        f"print(sorted({heavy} & set(sys.modules)))"
    )
    said = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert said.stdout.strip() == "[]"


@given(st.text())
def test_exactly_what_is_not_printable_is_returned(text: str) -> None:
    refused = unprintable(text)
    assert len(set(refused)) == len(refused)
    assert set(refused) == {sign for sign in text if ord(sign) not in printable()}


def test_every_face_is_there_with_its_licence() -> None:
    assert all((FOLDER / file).is_file() for file in FACES.values())
    assert "SIL OPEN FONT LICENSE" in (FOLDER / "OFL.txt").read_text()

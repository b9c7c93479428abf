"""The letters an attestation can print. Cheap to import: forms ask before payment."""

from __future__ import annotations

import unicodedata
from functools import cache
from pathlib import Path
from typing import Final

FOLDER: Final = Path(__file__).parent.parent / "fonts"
FACES: Final = {
    "AttestationSerif": "AttestationSerif-Regular.ttf",
    "AttestationSerif-Bold": "AttestationSerif-Bold.ttf",
    "AttestationSerif-Italic": "AttestationSerif-Italic.ttf",
    "AttestationSans": "AttestationSans-Regular.ttf",
    "AttestationSans-Bold": "AttestationSans-Bold.ttf",
}


@cache
def printable() -> frozenset[int]:
    """Return the code points that every face has a shape for.

    Combining marks are left out: the PDF library does not place them over their letter.
    What Unicode composes (clean_line does) is not affected.
    """
    from fontTools.ttLib import TTFont

    sets = []
    for file in FACES.values():
        with TTFont(FOLDER / file, lazy=True) as font:
            sets.append(frozenset(font.getBestCmap()))
    return frozenset(
        code
        for code in frozenset.intersection(*sets)
        if unicodedata.category(chr(code)) not in {"Mn", "Me", "Cf", "Cc"}
    )


def unprintable(text: str) -> list[str]:
    """Return the characters of ``text`` that cannot be printed, each once, in order."""
    known = printable()
    return [sign for sign in dict.fromkeys(text) if ord(sign) not in known]

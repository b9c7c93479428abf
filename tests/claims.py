"""What is never said of units, in three languages, wherever words about them stand."""

from __future__ import annotations

import re
from typing import Final

from cnn_offset.domain.units import UnitType

NEVER: Final = re.compile(
    r"\boffset\w*|carbon credits?|(carbon|climate)[ -]neutral|neutralit|neutralis|neutraliz"
    r"|compens\w*|\bneutr(e|al)s? en carbone|carbono neutr|net[ -]zero|zéro net|cero neto"
    r"|\bneutralidad\b|\bneutral\b",
    re.IGNORECASE,
)
"""Of no unit. That an order of things is neutral is said by the catalogue, of its sorting."""
_ALLOWED: Final = re.compile(r"neutral order|ordre neutre|orden neutral", re.IGNORECASE)
_DENIED: Final = re.compile(
    r"corresponding adjustment|ajustement correspondant|ajuste correspondiente"
    r"|(another|anybody else’s|other) (country|countries|party|target)"
    r"|d’un autre pays|d’autrui|objectif de quiconque|otro país|meta de (nadie|otr)"
    r"|make up for|rachèt|repar",
    re.IGNORECASE,
)
"""Of contribution units it may only be denied."""
_NO: Final = re.compile(
    r"\b(not|no|nobody|cannot|never|nor|ne|n’\w+|aucun\w*|pas|ni|nunca|ningún|ninguna|tampoco)\b",
    re.IGNORECASE,
)


def faults(text: str, kind: UnitType) -> list[str]:
    """Return the sentences of ``text`` that say too much of units of ``kind``."""
    found = []
    for sentence in re.split(r"(?<=[.!?;])\s+|\n", text):
        words = _ALLOWED.sub("", sentence)
        if NEVER.search(words) or (
            kind is UnitType.A64ER_CONTRIBUTION and _DENIED.search(words) and not _NO.search(words)
        ):
            found.append(sentence)
    return found

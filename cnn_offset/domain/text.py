"""Text that people type and others read for ever: names and reasons."""

from __future__ import annotations

import unicodedata
from typing import Final

NAME_LENGTH: Final = 200
REASON_LENGTH: Final = 500
_REFUSED: Final = {"Cc", "Cf", "Co", "Cs", "Cn", "Zl", "Zp"}
"""Controls, direction marks and other invisible signs, private and unassigned ones."""


class UnreadableTextError(ValueError):
    """The text has signs that cannot be shown, such as controls or direction marks."""


def clean_line(text: str) -> str:
    """Return ``text`` in NFC with runs of white space made one space.

    Raises:
        UnreadableTextError: it holds a control, a direction mark or another
            sign without a shape. Zero-width joiners are among them.

    """
    line = " ".join(unicodedata.normalize("NFC", text).split())
    for sign in line:
        if unicodedata.category(sign) in _REFUSED:
            raise UnreadableTextError(f"U+{ord(sign):04X}")
    return line


def N_(message: str) -> str:  # noqa: N802 - the name gettext's extractors know
    """Mark ``message`` for extraction where it is defined; it is translated when shown."""
    return message

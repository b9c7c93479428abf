"""Text that people type and others read for ever: names and reasons."""

from __future__ import annotations

import re
import unicodedata
from typing import Final
from urllib.parse import urlsplit

NAME_LENGTH: Final = 200
REASON_LENGTH: Final = 500
URL_LENGTH: Final = 500
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


def clean_lines(text: str) -> str:
    """Return ``text`` with each line cleaned, empty ones at both ends gone and one at most
    between others.

    Raises:
        UnreadableTextError: like :func:`clean_line`.

    """
    lines = [clean_line(line) for line in re.split(r"\r\n|\r|\n", text)]
    return re.sub(r"\n{3,}", "\n\n", "\n".join(lines)).strip("\n")


def clean_prose(text: str) -> str:
    """Return a text of several paragraphs like :func:`clean_lines`, without the invisible
    signs that come along when somebody pastes from elsewhere, instead of refusing them.

    The spaces that French puts before some signs keep the line together, and stay.
    """
    lines = re.sub("\r\n|[\r\u2028\u2029]", "\n", unicodedata.normalize("NFC", text))
    shown = "".join(
        sign
        for sign in lines.replace("\t", " ")
        if sign == "\n" or unicodedata.category(sign) not in _REFUSED
    )
    spaced = [re.sub(r"[^\S\u00a0\u202f]+", " ", line).strip() for line in shown.split("\n")]
    return re.sub(r"\n{3,}", "\n\n", "\n".join(spaced)).strip("\n")


def count_words(text: str) -> int:
    """Count runs of signs between white space, as the script of the form does: a hyphen
    or an apostrophe does not part words.
    """
    return len(text.split())


def clean_url(text: str) -> str:
    """Return the address of a page of the web as it may stand in a link.

    Raises:
        ValueError: it is none, is not http or https, names a user, or is longer than
            ``URL_LENGTH``.

    """
    address = text.strip()
    parts = urlsplit(address)
    if (
        len(address) > URL_LENGTH
        # Browsers drop tabs and line ends inside an address, and with them our check.
        or re.search(r"[\s\x00-\x20\x7f\\<>\"]", address)
        or any(unicodedata.category(sign) in _REFUSED for sign in address)
        or parts.scheme not in {"http", "https"}
        or "@" in parts.netloc
        or not re.fullmatch(r"[\w-]+(\.[\w-]+)+", parts.hostname or "")
    ):
        raise ValueError(text)
    _ = parts.port  # raises for one that is none
    return address


def slug(name: str, longest: int = 60) -> str:
    """Return ``name`` for an address: small letters, digits and hyphens; never empty."""
    plain = unicodedata.normalize("NFKD", name.casefold()).encode("ascii", "ignore").decode()
    return re.sub(r"[^a-z0-9]+", "-", plain)[:longest].strip("-") or "x"


def N_(message: str) -> str:  # noqa: N802 - the name gettext's extractors know
    """Mark ``message`` for extraction where it is defined; it is translated when shown."""
    return message

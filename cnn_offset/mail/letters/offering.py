"""Mails about holdings and offers."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from cnn_offset.mail.letters.letter import Writer

LETTERS: Final[Mapping[str, Writer]] = {}

"""Days and moments as each language writes them."""

from __future__ import annotations

from datetime import UTC, date, datetime

import pytest

from cnn_offset.i18n import day_text, moment_text


@pytest.mark.parametrize(
    ("lang", "first", "eleventh"),
    [
        ("en", "1 January 2026", "11 January 2026"),
        ("fr", "1er janvier 2026", "11 janvier 2026"),
        ("es", "1 de enero de 2026", "11 de enero de 2026"),
    ],
)
def test_days_are_written_as_the_language_writes_them(lang: str, first: str, eleventh: str) -> None:
    assert day_text(date(2026, 1, 1), lang) == first
    assert day_text(date(2026, 1, 11), lang) == eleventh
    moment = moment_text(datetime(2026, 1, 1, 5, tzinfo=UTC), lang)
    assert moment == f"{first}, 05:00\u00a0UTC"

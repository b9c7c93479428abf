"""Sections of figures about the earlier platform: beside what was cancelled here, never in it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from flask_babel import gettext

from cnn_offset.domain.text import N_
from cnn_offset.figure_sections import Section, by_dimension
from cnn_offset.services.figures import Count, Figures, Point

BY_IMPORT: Final = N_(
    "What the platform before this one had cancelled, taken over from its record. None of these "
    "units is among those cancelled here."
)


def earlier(now: Figures, before: Figures) -> list[Section]:
    """Return what the earlier platform had cancelled; nothing if it was none in both periods."""
    if not (now.total("earlier").number or before.total("earlier").number):
        return []
    titles = {
        "unit_type": gettext("Earlier platform: units by kind of unit"),
        "host": gettext("Earlier platform: units by host country"),
        "technology": gettext("Earlier platform: units by technology"),
        "registry": gettext("Earlier platform: units by registry"),
    }
    return [
        by_dimension("earlier", dimension, title, gettext(BY_IMPORT), now, before)
        for dimension, title in titles.items()
    ]


def since_the_beginning(points: Sequence[Point]) -> list[Section]:
    """Return what was cancelled in all years, here and before; nothing if it was all here."""
    here = sum((each.cancelled for each in points), Count())
    before = sum((each.earlier for each in points), Count())
    if not before.number:
        return []
    first = min(each.period.first.year for each in points if each.earlier.number)
    together = here + before
    return [
        Section(
            "ever",
            gettext("Since %(year)s, both platforms", year=first),
            gettext(BY_IMPORT),
            [gettext("Platform"), gettext("Cancellations"), gettext("Units")],
            [
                (gettext("Earlier platform"), before.number, before.units),
                (gettext("Here"), here.number, here.units),
                (gettext("Both together"), together.number, together.units),
            ],
            "",
        )
    ]

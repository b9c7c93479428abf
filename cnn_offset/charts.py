"""Bar charts as plain geometry, drawn as SVG by ``templates/components/charts.html``.

Our own, because the libraries at hand put styles and scripts into what they draw, which our
content security policy rightly drops. Whole numbers in, whole numbers out.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final

WIDTH: Final = 360
"""Of a drawing, in its own units: about the points of a telephone's screen."""
HIGH: Final = 150
"""Of the highest column."""
LEFT: Final = 46
"""Room for the numbers at the axis."""
LINE: Final = 34
"""From one lying bar to the next."""
MOST_BARS: Final = 10
MOST_LABELS: Final = 12

Write = Callable[[int], str]
"""Writes a number in the reader's form."""


@dataclass(frozen=True, slots=True)
class Bar:
    """One bar, what stands beside it, and what it says when pointed at."""

    x: int
    y: int
    width: int
    height: int
    label: str
    """Empty where there is no room for one."""
    text: str
    """The value, written out."""
    title: str


@dataclass(frozen=True, slots=True)
class Chart:
    """A drawing: ``lying`` bars have their label above, columns theirs below."""

    lying: bool
    height: int
    bars: Sequence[Bar]
    ticks: Sequence[tuple[int, str]]
    """Lines across columns: how far down, and the number there."""
    title: str
    description: str
    width: int = WIDTH


def columns(
    points: Sequence[tuple[str, str, int]], *, title: str, description: str, write: Write
) -> Chart:
    """Draw values side by side: (label below, full name, value) of each."""
    step = ceiling(max((value for _, _, value in points), default=0))
    top = 2 * step
    room = (WIDTH - LEFT) // max(len(points), 1)
    every = -(-len(points) // MOST_LABELS)
    bars = []
    for at, (label, name, value) in enumerate(points):
        tall = value * HIGH // top
        bars.append(
            Bar(
                LEFT + at * room + max(room // 8, 0),
                8 + HIGH - tall,
                max(room - room // 4, 1),
                tall,
                label if at % every == 0 else "",
                write(value),
                f"{name}: {write(value)}",
            )
        )
    ticks = [(8 + HIGH - each * HIGH // top, write(each)) for each in (0, step, top)]
    return Chart(False, HIGH + 30, bars, ticks, title, description)


def lying(
    points: Sequence[tuple[str, int]], *, title: str, description: str, write: Write
) -> Chart:
    """Draw values below each other, the first few of them: (name, value) of each."""
    most = max((value for _, value in points), default=0) or 1
    bars = [
        Bar(
            0,
            at * LINE + 18,
            max(value * WIDTH // most, 1),
            10,
            name,
            write(value),
            f"{name}: {write(value)}",
        )
        for at, (name, value) in enumerate(points[:MOST_BARS])
    ]
    return Chart(True, len(bars) * LINE, bars, [], title, description)


def ceiling(most: int) -> int:
    """Return a round number of which two hold ``most``: 1, 2 or 5 and noughts."""
    scale = 1
    while True:
        for first in (1, 2, 5):
            if 2 * first * scale >= most:
                return first * scale
        scale *= 10

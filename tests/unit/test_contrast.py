"""The colours of the style sheet are readable in light and dark (WCAG 2.2, 1.4.3 and 1.4.11)."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

CSS = Path(__file__).parents[2] / "cnn_offset/static/css/site.css"

TEXT = [
    (front, back)
    for front in ("ink", "muted", "accent", "accent-strong", "clay", "bad")
    for back in ("paper", "surface", "sunk")
] + [
    ("on-accent", "accent"),
    ("on-accent", "accent-strong"),
    ("accent-strong", "soft"),
    ("accent", "soft"),
    ("ink", "soft"),
    ("muted", "soft"),
    ("warn", "warn-soft"),
    ("ink", "warn-soft"),
    ("bad", "bad-soft"),
    ("ink", "bad-soft"),
]
"""Text on its ground: at least 4.5 to 1."""

SHAPES = [
    (front, back) for front in ("edge", "focus", "accent", "bad") for back in ("paper", "surface")
] + [("focus", "sunk")]
"""Frames of fields, the focus ring and marks of status: at least 3 to 1."""


def palettes() -> dict[str, dict[str, str]]:
    """Return the colours by name, for light and for dark."""
    css = CSS.read_text()
    light, dark = re.findall(r":root \{(.*?)\}", css, re.DOTALL)[:2]
    found = [dict(re.findall(r"--([a-z-]+): (#[0-9a-f]{6});", part)) for part in (light, dark)]
    return {"light": found[0], "dark": found[1]}


def luminance(colour: str) -> float:
    """Return the relative luminance of WCAG."""
    parts = (int(colour[at : at + 2], 16) / 255 for at in (1, 3, 5))
    red, green, blue = (
        part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in parts
    )
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue


def contrast(one: str, other: str) -> float:
    """Return the contrast ratio of WCAG, 1 to 21."""
    high, low = sorted((luminance(one), luminance(other)), reverse=True)
    return (high + 0.05) / (low + 0.05)


def test_the_formula_gives_the_known_ratios() -> None:
    assert contrast("#000000", "#ffffff") == pytest.approx(21)
    assert contrast("#777777", "#ffffff") == pytest.approx(4.48, abs=0.005)


def test_dark_redefines_every_light_colour() -> None:
    both = palettes()
    assert both["light"].keys() == both["dark"].keys()
    assert len(both["light"]) >= 16


@pytest.mark.parametrize("palette", ["light", "dark"])
@pytest.mark.parametrize(("front", "back"), TEXT)
def test_text_is_readable(palette: str, front: str, back: str) -> None:
    colours = palettes()[palette]
    assert contrast(colours[front], colours[back]) >= 4.5


@pytest.mark.parametrize("palette", ["light", "dark"])
@pytest.mark.parametrize(("front", "back"), SHAPES)
def test_frames_and_focus_are_visible(palette: str, front: str, back: str) -> None:
    colours = palettes()[palette]
    assert contrast(colours[front], colours[back]) >= 3


def test_colours_are_named_before_they_are_used() -> None:
    """Outside the two palettes (and the one for print) no rule writes a colour of its own."""
    css = re.sub(r"/\*.*?\*/", "", CSS.read_text(), flags=re.DOTALL)
    rules = re.sub(r":root \{.*?\}", "", css, flags=re.DOTALL)
    assert not re.findall(r"#[0-9a-fA-F]{3,8}\b(?=[;\s,)])", rules)
    used = set(re.findall(r"var\(--([a-z-]+)", css))
    assert used <= set(re.findall(r"--([a-z-]+):", css))

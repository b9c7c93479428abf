"""What a first visit has to load stays small, and comes from us."""

from __future__ import annotations

import gzip
import re
from pathlib import Path

import pytest

PACKAGE = Path(__file__).parents[2] / "cnn_offset"
STATIC = PACKAGE / "static"
TEMPLATES = sorted((PACKAGE / "templates").rglob("*.html"))


@pytest.mark.parametrize(
    ("pattern", "limit", "packed"),
    [
        ("css/*.css", 10_000, True),
        ("js/site.js", 5_000, False),
        ("js/passkeys.js", 2_500, False),
        ("img/*.svg", 12_000, False),
        ("fonts/figtree-latin-wght*.woff2", 25_000, False),
        ("fonts/*latin-wght*.woff2", 75_000, False),
    ],
)
def test_together_they_weigh_little(pattern: str, limit: int, packed: bool) -> None:
    files = list(STATIC.glob(pattern))
    assert files
    weight = sum(
        len(gzip.compress(each.read_bytes()) if packed else each.read_bytes()) for each in files
    )
    assert weight <= limit


def test_every_font_has_its_licence_beside_it() -> None:
    for font in STATIC.glob("fonts/*.woff2"):
        family = re.match(r"(.+?)-latin", font.name)
        assert family
        licence = (font.parent / f"{family[1]}-OFL.txt").read_text()
        assert "SIL Open Font License" in licence


def test_styles_and_scripts_load_nothing_from_elsewhere() -> None:
    for each in [*STATIC.glob("css/*"), *STATIC.glob("js/*")]:
        assert not re.search(r"https?://|url\(\"?//|@import", each.read_text()), each


@pytest.mark.parametrize(
    "template",
    # Mails and what is printed are no pages; their styles stand in them.
    [
        each
        for each in TEMPLATES
        if each.parent.name not in {"mail", "attestation", "papers"} or each.name == "twin.html"
    ],
    ids=lambda each: str(each.relative_to(PACKAGE)),
)
def test_no_inline_style_or_script(template: Path) -> None:
    """The content security policy would drop them without a word."""
    text = re.sub(r"\{#.*?#\}", "", template.read_text(), flags=re.DOTALL)
    assert not re.search(r"<style|\sstyle=|\son[a-z]+=\"|javascript:", text)
    for script in re.findall(r"<script[^>]*>", text):
        assert " src=" in script

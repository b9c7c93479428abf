"""Pages written in Markdown: how they are read, and what must be mended before anybody sees them.

A page begins with its title (``# Title``) and a lead; its parts are headings with an anchor
(``## Paying {#paying}``). ``{words}`` in braces stand for what the platform knows. HTML counts
as text; pictures, rules and code are not understood at all.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any, Final
from urllib.parse import unquote, urlsplit

from markdown_it import MarkdownIt
from markdown_it.token import Token

from cnn_offset.domain.text import N_

WORDS: Final = frozenset({"contact_email", "hold_minutes", "site_name", "terms_version"})
"""Placeholders within a sentence."""
BLOCKS: Final = frozenset({"last_orders"})
"""Placeholders that are paragraphs of their own."""
LINKS: Final = frozenset(
    {
        "accessibility", "apply", "basket", "check_attestation", "contact", "contact_form",
        "faq", "find_order", "how_it_works", "privacy", "projects", "provider_guide",
        "public_record", "terms", "unit_claims", "units",
    }
)  # fmt: skip
"""Placeholders for the address of a page of the site, in links."""
PLACEHOLDER: Final = re.compile(r"\{([a-z_]+)\}")
LONGEST: Final = 60_000
"""Characters of a page in one language."""

_INVISIBLE: Final = frozenset({"Cc", "Cf", "Co", "Cs", "Zl", "Zp"})
_ANCHOR: Final = re.compile(r"\s*\{#([^}]*)\}\s*$")
_GOOD_ANCHOR: Final = re.compile(r"[a-z][a-z0-9-]{0,39}")
_HEADING: Final = re.compile(r" {0,3}(#{1,6})(?:\s|$)")
_TAG: Final = re.compile(r"</?[a-zA-Z][^<>]*>|<!--")
_IN_HREF: Final = re.compile(r"(?:\{|%7B)([a-z_]+)(?:\}|%7D)")

_MARKDOWN: Final = MarkdownIt("zero", {"html": False}).enable(
    ["heading", "list", "table", "blockquote", "emphasis", "link", "escape", "entity", "newline"]
)
OPTIONS: Final = _MARKDOWN.options


@dataclass(frozen=True)
class Fault:
    """Something to mend. ``message`` is an English message id; ``line`` 0 is the whole text."""

    line: int
    message: str
    values: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Heading:
    """A heading of a page."""

    line: int
    level: int
    anchor: str


def clean(text: str) -> str:
    """Return a page as it is kept: no invisible signs, no blanks at the ends of lines."""
    lines = re.sub("\r\n|[\r\u2028\u2029]", "\n", unicodedata.normalize("NFC", text))
    shown = "".join(
        sign
        for sign in lines.replace("\t", "    ")
        if sign == "\n" or unicodedata.category(sign) not in _INVISIBLE
    )
    kept = "\n".join(line.rstrip(" ") for line in shown.split("\n")).strip("\n")
    return re.sub(r"\n{3,}", "\n\n", kept) + "\n" if kept else ""


@lru_cache(maxsize=256)
def read(text: str) -> Sequence[Token]:
    """Return the tokens of a page, its anchors as attributes. They must not be changed."""
    tokens = _MARKDOWN.parse(text)
    for at, token in enumerate(tokens):
        if token.type == "heading_open":
            anchor = _take_anchor(tokens[at + 1])
            if anchor:
                token.attrSet("id", anchor)
    return tokens


def _take_anchor(inline: Token) -> str:
    last = inline.children[-1] if inline.children else None
    found = _ANCHOR.search(last.content) if last and last.type == "text" else None
    if last is None or found is None:
        return ""
    last.content = last.content[: found.start()]
    return found[1]


def filled_href(href: str, links: Mapping[str, str]) -> str:
    """Return the address of a link, with what its placeholders stand for."""
    return _IN_HREF.sub(lambda found: links.get(found[1], found[0]), href)


def headings(text: str) -> list[Heading]:
    """Return the headings of a page in order."""
    return [
        Heading((token.map or [0])[0] + 1, int(token.tag[1:]), str(token.attrGet("id") or ""))
        for token in read(text)
        if token.type == "heading_open"
    ]


def faults(texts: Mapping[str, str], languages: Collection[str]) -> dict[str, list[Fault]]:
    """Return what keeps a page from being published, by language; the first is the original."""
    original, *_ = languages
    found = {}
    for lang in languages:
        text = texts.get(lang, "")
        if not text.strip():
            found[lang] = [Fault(0, N_("This language is missing."))]
            continue
        found[lang] = sorted(_faults(text), key=lambda each: each.line)
        if lang != original:
            found[lang] += _against(text, texts.get(original, ""))
    return found


def _against(text: str, original: str) -> Iterator[Fault]:
    if text.strip() == original.strip():
        yield Fault(0, N_("This text is the same as the English one."))
        return
    ours, theirs = headings(text), headings(original)
    for one, other in zip(ours, theirs, strict=False):
        if (one.level, one.anchor) != (other.level, other.anchor):
            yield Fault(
                one.line,
                N_(
                    "Here the English text has another part: a heading of level %(n)s, {#%(name)s}."
                ),
                {"n": other.level, "name": other.anchor},
            )
            return
    if original.strip() and len(ours) != len(theirs):
        yield Fault(
            0,
            N_("The English text has %(theirs)s headings, this one has %(ours)s."),
            {"theirs": len(theirs), "ours": len(ours)},
        )


def _faults(text: str) -> Iterator[Fault]:
    yield from _placeholder_faults(text)
    yield from _heading_faults(text)
    yield from _link_faults(text)
    for number, line in enumerate(text.split("\n"), 1):
        for tag in _TAG.findall(line):
            yield Fault(
                number,
                N_("%(tag)s looks like HTML, which would be shown as it is typed."),
                {"tag": tag[:40]},
            )


def _placeholder_faults(text: str) -> Iterator[Fault]:
    for number, line in enumerate(text.split("\n"), 1):
        rest = _ANCHOR.sub("", line) if _HEADING.match(line) else line
        for name in PLACEHOLDER.findall(rest):
            if name not in WORDS | BLOCKS | LINKS:
                yield Fault(number, N_("There is no placeholder {%(name)s}."), {"name": name})
            elif name in BLOCKS and rest.strip() != f"{{{name}}}":
                yield Fault(
                    number,
                    N_("{%(name)s} must stand alone, between two empty lines."),
                    {"name": name},
                )
        rest = PLACEHOLDER.sub("", rest)
        if "{" in rest or "}" in rest:
            yield Fault(
                number,
                N_("A brace belongs to no placeholder. They are written like this: {faq}."),
            )


def _heading_faults(text: str) -> Iterator[Fault]:
    found = headings(text)
    if not found or found[0].level != 1 or text.lstrip("\n").split("\n")[0][:2] != "# ":
        yield Fault(1, N_("The first line must be the title: a # and a space before it."))
    seen: set[str] = set()
    level = 1
    for each in found[1:]:
        if each.level == 1:
            yield Fault(each.line, N_("A page has one title only: begin this heading with ##."))
        elif each.level > level + 1:
            yield Fault(
                each.line,
                N_("This heading skips a level: begin it with %(signs)s."),
                {"signs": "#" * (level + 1)},
            )
        level = each.level
        if each.anchor and not _GOOD_ANCHOR.fullmatch(each.anchor):
            yield Fault(
                each.line,
                N_("{#%(name)s} is no anchor: use small letters, digits and hyphens."),
                {"name": each.anchor[:40]},
            )
        elif each.anchor in seen:
            yield Fault(
                each.line, N_("There are two headings with {#%(name)s}."), {"name": each.anchor}
            )
        elif not each.anchor and each.level == 2:
            yield Fault(
                each.line,
                N_("This heading needs an anchor at its end, such as {#paying}."),
            )
        seen.add(each.anchor or str(each.line))


def _link_faults(text: str) -> Iterator[Fault]:
    anchors = {each.anchor for each in headings(text)}
    lines = text.split("\n")
    for block in read(text):
        for token in block.children or ():
            if token.type == "text" and "](" in token.content:
                yield Fault(
                    (block.map or [0])[0] + 1,
                    N_("A link here is not understood. It is written like this: [text]({faq})."),
                )
            if token.type != "link_open":
                continue
            href = unquote(str(token.attrGet("href") or ""))
            if not _leads_somewhere(href, anchors):
                first, last = block.map or [0, 1]
                line = next((at for at in range(first, last) if href in lines[at]), first)
                yield Fault(
                    line + 1,
                    N_(
                        "The link to “%(address)s” leads nowhere. Pages of this site have "
                        "placeholders, such as {faq}; others begin with https://."
                    ),
                    {"address": href[:80]},
                )


def _leads_somewhere(href: str, anchors: Collection[str]) -> bool:
    page, sharp, anchor = href.partition("#")
    if not page:
        return bool(sharp) and anchor in anchors
    if found := PLACEHOLDER.fullmatch(page):
        return found[1] in LINKS and (not sharp or bool(_GOOD_ANCHOR.fullmatch(anchor)))
    if href.startswith("mailto:"):
        # A placeholder in the address is looked at as one.
        return "@" in href or "{" in href
    try:
        parts = urlsplit(href)
    except ValueError:
        return False
    return parts.scheme == "https" and "." in (parts.hostname or "") and not parts.username

"""The pages that explain: shipped as Markdown files, or as operators have published them.

What is published costs one indexed read for each page shown; the texts themselves are
kept, for a published version never changes.
"""

from __future__ import annotations

from collections.abc import Mapping, MutableMapping, Sequence
from copy import copy
from dataclasses import dataclass
from datetime import datetime
from functools import cache, lru_cache
from pathlib import Path
from typing import Any, Final

from flask import current_app, url_for
from flask_babel import gettext
from markdown_it.common.utils import escapeHtml
from markdown_it.renderer import RendererHTML
from markdown_it.token import Token
from markupsafe import Markup

from cnn_offset.domain import prose
from cnn_offset.domain.text import N_
from cnn_offset.extensions import db, platform
from cnn_offset.i18n import LANGUAGES, language, moment_text, number
from cnn_offset.services import NotFoundError, wording

TERMS: Final = wording.TERMS
PAGES: Final[Mapping[str, str]] = {
    "how_it_works": N_("How it works"),
    "faq": N_("Questions and answers"),
    "units": N_("Kinds of units"),
    TERMS: N_("Terms of use"),
    "contact": N_("Contact"),
    "privacy": N_("Privacy"),
    "accessibility": N_("Accessibility"),
    "provider_guide": N_("Guide for providers"),
}
"""Every page with the name that operators know it by; the endpoint is ``help.<page>``."""
SHIPPED_TERMS: Final = ("2026-11-22-2", "2026-11-22")
"""The terms that came with the platform, newest first; each keeps its address for ever."""

_FOLDER: Final = Path(__file__).parent / "pages"
LINKS: Final[Mapping[str, str]] = {
    **{name: f"help.{name}" for name in PAGES},
    "apply": "providers.how_to_apply",
    "basket": "basket.show",
    "check_attestation": "checking.index",
    "contact_form": "contact.write",
    "find_order": "orders.lost",
    "projects": "catalogue.index",
    "unit_claims": "help.claims",
    "public_record": "record.index",
}
"""The endpoint behind each placeholder of a link."""


@dataclass(frozen=True)
class Page:
    """A page ready to be shown. Title and headings are text, the rest is drawn."""

    title: str
    lead: Markup
    contents: Sequence[tuple[str, str]]
    """Anchor and heading of each part."""
    body: Markup


@cache
def shipped(page: str, name: str = "") -> Mapping[str, str]:
    """Return the texts of a page that came with the platform, by language."""
    file = f"{page}-{name or SHIPPED_TERMS[0]}" if page == TERMS else page
    return {lang: (_FOLDER / lang / f"{file}.md").read_text("utf-8") for lang in LANGUAGES}


def texts_in_force(page: str) -> Mapping[str, str]:
    """Return the texts that people read now, by language."""
    found = wording.in_force(db.session(), page)
    return _kept(found.id) if found else shipped(page)


def _kept(version_id: int) -> Mapping[str, str]:
    kept: dict[int, Mapping[str, str]] = current_app.extensions.setdefault("cnn_offset.pages", {})
    if version_id not in kept:
        kept[version_id] = wording.texts_of(db.session(), version_id)
    return kept[version_id]


def terms_version() -> str:
    """Return the name of the terms in force: what a purchaser or applicant accepts."""
    found = wording.in_force(db.session(), TERMS)
    return found.name if found else SHIPPED_TERMS[0]


def terms_versions() -> list[str]:
    """Return the names of all terms there have been, newest first."""
    return [*wording.names(db.session(), TERMS), *SHIPPED_TERMS]


def terms_of(name: str) -> Page:
    """Return the terms that were published as ``name``.

    Raises:
        NotFoundError: there are none.

    """
    if name in SHIPPED_TERMS:
        texts = shipped(TERMS, name)
    else:
        texts = wording.named(db.session(), TERMS, name).texts
    return draw(texts[language()], terms=name)


def page(name: str) -> Page:
    """Return a page as people read it now, in the language in force.

    Raises:
        NotFoundError: there is no such page.

    """
    if name not in PAGES:
        raise NotFoundError(name)
    return draw(texts_in_force(name)[language()])


def last_orders() -> list[tuple[str, datetime]]:
    """Return the title of each registry that will close, and until when it takes orders."""
    here = platform()
    return [
        (gettext(here.registries[name].title), dates.last_order)
        for name, dates in here.dates_for_offers.items()
        if not dates.pause and dates.last_order is not None and dates.last_order > here.clock()
    ]


def draw(text: str, *, terms: str = "") -> Page:
    """Draw a page of Markdown in the language in force; ``terms``: the version it is of."""
    settings = platform().settings
    lang = language()
    words = {
        "contact_email": settings.CONTACT_EMAIL,
        "hold_minutes": number(settings.HOLD_MINUTES, lang),
        "site_name": settings.SITE_NAME or gettext("Tonne by Tonne"),
        "terms_version": terms if terms or "{terms_version}" not in text else terms_version(),
    }
    blocks = {
        "last_orders": tuple(
            gettext(
                "Last orders in the %(registry)s: %(moment)s.",
                registry=registry,
                moment=moment_text(last, lang),
            )
            for registry, last in (last_orders() if "{last_orders}" in text else ())
        )
    }
    return _drawn(text, tuple(words.items()), tuple(blocks.items()), tuple(_addresses().items()))


def _addresses() -> dict[str, str]:
    """Return the address behind each placeholder of a link."""
    views = current_app.view_functions
    return {
        # A page that is not there yet is asked for by mail.
        name: url_for(endpoint if endpoint in views else "help.contact")
        for name, endpoint in LINKS.items()
    }


@lru_cache(maxsize=128)
def _drawn(
    text: str,
    words: tuple[tuple[str, str], ...],
    blocks: tuple[tuple[str, tuple[str, ...]], ...],
    links: tuple[tuple[str, str], ...],
) -> Page:
    known = {"words": dict(words), "links": dict(links)}
    tokens = list(_with_blocks(prose.read(text), dict(blocks)))
    title, lead = "", Markup()
    if tokens and tokens[0].type == "heading_open" and tokens[0].tag == "h1":
        title, tokens = _plain(tokens[1], known), tokens[3:]
    if tokens and tokens[0].type == "paragraph_open":
        lead, tokens = _markup(tokens[1:2], known), tokens[3:]
    return Page(
        title,
        lead,
        [
            (str(token.attrGet("id")), _plain(tokens[at + 1], known))
            for at, token in enumerate(tokens)
            if token.type == "heading_open" and token.tag == "h2" and token.attrGet("id")
        ],
        _markup(list(_with_tables(tokens)), known),
    )


def _markup(tokens: Sequence[Token], known: MutableMapping[str, Any]) -> Markup:
    # The only HTML that does not come from a template. The parser knows no HTML, the
    # renderer escapes every text and attribute, and links lead where prose.py allows or,
    # in a draft, at least to no script (markdown-it's validateLink).
    return Markup(_Renderer().render(tokens, _OPTIONS, known))  # noqa: S704


def _plain(inline: Token, known: Mapping[str, Any]) -> str:
    text = "".join(each.content for each in inline.children or () if each.type == "text")
    return prose.PLACEHOLDER.sub(lambda found: known["words"].get(found[1], found[0]), text)


def _with_blocks(tokens: Sequence[Token], blocks: Mapping[str, Sequence[str]]) -> list[Token]:
    """Put the paragraphs in place that a placeholder of its own stands for."""
    found: list[Token] = []
    at = 0
    while at < len(tokens):
        name = tokens[at + 1].content.strip()[1:-1] if tokens[at].type == "paragraph_open" else ""
        if name in blocks:
            for line in blocks[name]:
                text = Token("text", "", 0, content=line)
                strong = [
                    Token("strong_open", "strong", 1),
                    text,
                    Token("strong_close", "strong", -1),
                ]
                found += [tokens[at], Token("inline", "", 0, children=strong), tokens[at + 2]]
            at += 3
        else:
            found.append(tokens[at])
            at += 1
    return found


def _with_tables(tokens: Sequence[Token]) -> list[Token]:
    """Dress tables as components/page.html does: lists on phones, first cells as headings."""
    found: list[Token] = []
    heading, labels, column, in_head = "", [""], 0, False
    for at, original in enumerate(tokens):
        token = copy(original)
        token.attrs = dict(original.attrs)
        kind = token.type.removesuffix("_open")
        if kind == "heading":
            heading = tokens[at + 1].content
        elif kind == "table":
            labels, in_head = [], True
            token.attrs |= {"class": "table stacks", "role": "table"}
        elif kind in ("thead", "tbody"):
            in_head = kind == "thead"
            token.attrs["role"] = "rowgroup"
        elif kind == "tr":
            column = 0
            token.attrs["role"] = "row"
        elif kind in ("th", "td"):
            if in_head:
                labels.append(tokens[at + 1].content)
                token.attrs |= {"scope": "col", "role": "columnheader"}
            elif column == 0:
                token.tag = "th"
                token.attrs |= {"scope": "row", "role": "rowheader"}
            else:
                token.attrs |= {"role": "cell", "data-label": labels[column]}
            column += 1
        elif kind == "td_close" and column == 1:
            token.tag = "th"
        found.append(token)
        if kind == "table" and heading:
            caption = Token("caption_open", "caption", 1, attrs={"class": "sr"})
            said = Token("inline", "", 0, children=[Token("text", "", 0, content=heading)])
            found += [caption, said, Token("caption_close", "caption", -1)]
    return found


class _Renderer(RendererHTML):
    """Draws tokens with placeholders filled, from ``env``."""

    def text(self, tokens: Sequence[Token], idx: int, options: Any, env: Any) -> str:
        """Draw a text; the address of the help desk is a link unless it stands in one."""
        parts = prose.PLACEHOLDER.split(tokens[idx].content)
        inside = sum(each.nesting for each in tokens[:idx] if each.tag == "a") > 0
        return "".join(
            self._word(part, env["words"], linked=not inside) if at % 2 else escapeHtml(part)
            for at, part in enumerate(parts)
        )

    def _word(self, name: str, words: Mapping[str, str], *, linked: bool) -> str:
        shown = escapeHtml(words.get(name, f"{{{name}}}"))
        if name == "contact_email" and linked:
            return f'<a href="mailto:{shown}">{shown}</a>'
        return shown

    def link_open(self, tokens: Sequence[Token], idx: int, options: Any, env: Any) -> str:
        """Draw the beginning of a link, its placeholders filled; others' pages leak nothing."""
        href = str(tokens[idx].attrGet("href") or "")
        known = {**env["links"], "contact_email": env["words"]["contact_email"]}
        attrs = {"href": prose.filled_href(href, known)}
        if attrs["href"].startswith("http"):
            attrs["rel"] = "external noopener noreferrer"
        return self.renderToken([Token("link_open", "a", 1, attrs=dict(attrs))], 0, options, env)


_OPTIONS: Final = prose.OPTIONS

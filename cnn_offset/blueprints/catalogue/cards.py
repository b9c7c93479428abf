"""Cards of activities, for the catalogue and the front page."""

from __future__ import annotations

import re
from collections.abc import Sequence
from functools import lru_cache
from typing import Any, Final
from urllib.parse import quote

from flask import current_app, url_for
from markupsafe import Markup

from cnn_offset.blueprints.catalogue import words
from cnn_offset.catalogue_index import Shelf, shelf
from cnn_offset.domain.facets import Query
from cnn_offset.extensions import db, platform
from cnn_offset.i18n import language, localised
from cnn_offset.pictures import WIDTHS
from cnn_offset.services.browsing import live_offers

PICTURES = "pictures/"
"""Where in the file store pictures lie; nothing else of it is served."""
CARD_WIDTH: Final = 800
"""Pixels that the picture of a card has at most."""


_SIZED: Final = re.compile(r"(pictures/[0-9a-f]{32}-)([0-9]{3,4})\.webp")
"""Pictures of providers: there are narrower ones beside the one that a row names."""


def picture_url(path: str, width: int = WIDTHS[-1]) -> str:
    """Return the address of a picture of the file store, or of the stand-in for none.

    A provider's picture comes ``width`` pixels wide, or as wide as there is.
    """
    if not path.startswith(PICTURES):
        return url_for("static", filename="img/no-picture.svg")
    sized = _SIZED.fullmatch(path)
    if sized:
        path = f"{sized[1]}{min(width, int(sized[2]))}.webp"
    return "/" + quote(path)


def picture_srcset(path: str, most: int = WIDTHS[-1]) -> str:
    """Return a provider's picture in all widths up to ``most``, for ``srcset``; empty for
    others, such as drawings.
    """
    sized = _SIZED.fullmatch(path)
    if not sized:
        return ""
    widths = [each for each in WIDTHS if each <= min(most, int(sized[2]))]
    return ", ".join(f"{picture_url(path, each)} {each}w" for each in widths)


def cards(shown: Shelf, hits: Sequence[tuple[int, Sequence[int]]]) -> list[dict[str, Any]]:
    """Return the arguments of components/page.html ``card`` for each hit, with the price
    and the units available now of its matching offers.
    """
    with db.engine.connect() as connection:
        live = live_offers(connection, [offer_id for _, ids in hits for offer_id in ids])
    address, _, rest = url_for("catalogue.activity", slug="-").rpartition("-")
    lang = language()
    # By price means within a currency; those of offers made since come last.
    currencies = [*shown.index.currencies, *{each.price.currency for each in live.values()}]
    made = []
    for place, (activity_id, ids) in enumerate(hits):
        card = shown.cards[activity_id]
        offers = [live[offer_id] for offer_id in ids if offer_id in live]
        left = [each for each in offers if each.available >= each.min_quantity]
        made.append(
            {
                "url": f"{address}{card.slug}{rest}",
                "title": localised(card.title, lang),
                "picture": picture_url(card.picture, CARD_WIDTH),
                "srcset": picture_srcset(card.picture, CARD_WIDTH),
                "alt": localised(card.picture_alt, lang),
                "place": words.choice("country", card.country, lang),
                "kind": words.choice("technology", card.technology, lang),
                "unit": " · ".join(
                    words.choice("type", each, lang)
                    for each in sorted({each.unit_type for each in left})
                ),
                "price": min(
                    (each.price for each in left),
                    key=lambda price: (currencies.index(price.currency), price.minor),
                    default=None,
                ),
                "available": sum(each.available for each in left),
                "eager": place < 3,
            }
        )
    return made


def drawn(card: dict[str, Any]) -> Markup:
    """Draw a card of the catalogue. Most cards look as they did a moment ago."""
    return _drawn(language(), tuple(card.items()))


@lru_cache(maxsize=5000)
def _drawn(lang: str, items: tuple[tuple[str, Any], ...]) -> Markup:
    macros = current_app.jinja_env.get_template("components/page.html").module
    return Markup(macros.card(level=3, **dict(items)))  # type: ignore[attr-defined]  # noqa: S704


def featured(count: int) -> list[dict[str, Any]]:
    """Return the first ``count`` cards of the neutral order of the day."""
    shown = shelf()
    return cards(shown, shown.index.find(Query(), platform().clock().date()).hits[:count])


def figures() -> dict[str, int]:
    """Count what the front page tells: tonnes, attestations, projects on offer, countries."""
    shown = shelf()
    return {
        "tonnes": shown.totals.tonnes,
        "attestations": shown.totals.attestations,
        "earlier": shown.totals.earlier,
        "projects": shown.projects,
        "countries": shown.countries,
    }

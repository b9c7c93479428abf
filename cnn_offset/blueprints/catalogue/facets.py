"""The filters beside the list: choices with counts, and chips that take them away."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache

from flask import request
from flask_babel import gettext

from cnn_offset.blueprints.catalogue import words
from cnn_offset.blueprints.catalogue.address import price_text, write
from cnn_offset.domain.facets import BANDS, Found, Query
from cnn_offset.i18n import language, number, sort_key

OPEN_AT_FIRST = ("country", "technology")


@dataclass(frozen=True, slots=True)
class Group:
    """One facet on the page."""

    name: str
    title: str
    choices: Sequence[tuple[str, str, str, bool]]
    """Value, text, count, chosen."""
    is_open: bool
    note: str = ""


def groups(query: Query, found: Found, currencies: Sequence[str]) -> Sequence[Group]:
    """Return the facets with the choices that lead somewhere, and those chosen."""
    return _groups(query, found, len(currencies) > 1, language())


@lru_cache(maxsize=256)
def _groups(query: Query, found: Found, several_currencies: bool, lang: str) -> Sequence[Group]:
    made = []
    for facet, title in words.FACET_TITLES.items():
        if facet == "currency" and not several_currencies:
            continue
        chosen, counts = query.values(facet), found.counts[facet]
        values = _ordered(facet, {**dict.fromkeys(chosen, 0), **counts}, lang)
        is_price = facet == "price"
        if not values and not is_price:
            continue
        made.append(
            Group(
                facet,
                gettext(title),
                [
                    (value, text, number(counts.get(value, 0), lang), value in chosen)
                    for value, text in values
                ],
                bool(chosen)
                or facet in OPEN_AT_FIRST
                or (is_price and bool(query.price_from or query.price_to)),
                gettext("In each offer’s own currency") if is_price else "",
            )
        )
    return made


def _ordered(facet: str, values: Iterable[str], lang: str) -> list[tuple[str, str]]:
    named = [(value, words.choice(facet, value, lang)) for value in values]
    if facet in {"country", "technology"}:
        return sorted(named, key=lambda pair: sort_key(pair[1]))
    if facet == "vintage":
        return sorted(named, reverse=True)
    if facet == "price":
        bands = list(BANDS)
        return sorted(named, key=lambda pair: bands.index(pair[0]) if pair[0] in bands else -1)
    if facet in {"scope", "period"}:
        return sorted(named, key=lambda pair: (len(pair[0]), pair[0]))
    return sorted(named, key=lambda pair: pair[1])


def chips(query: Query) -> list[tuple[str, str]]:
    """Return what is in force, each with the address of the list without it."""
    lang, first = language(), replace(query, page=1)
    made: list[tuple[str, Query]] = []
    if query.text:
        made.append((gettext("“%(words)s”", words=query.text), replace(first, text="", lang="")))
    if query.tonnes:
        made.append(
            (
                gettext("Can cover %(n)s tonnes", n=number(query.tonnes, lang)),
                replace(first, tonnes=0),
            )
        )
    if query.price_from:
        low = price_text(query.price_from)
        made.append((gettext("From %(price)s per tonne", price=low), replace(first, price_from=0)))
    if query.price_to:
        high = price_text(query.price_to)
        made.append((gettext("Up to %(price)s per tonne", price=high), replace(first, price_to=0)))
    for facet, values in query.chosen:
        for value, text in _ordered(facet, values, lang):
            label = text
            if facet in {"vintage", "period", "price"}:
                label = gettext(
                    "%(filter)s: %(value)s",
                    filter=gettext(words.FACET_TITLES[facet]),
                    value=text,
                )
            made.append((label, query.choosing(facet, values - {value})))
    return [(text, request.path + write(without)) for text, without in made]

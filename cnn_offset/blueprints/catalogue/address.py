"""What a catalogue address asks for, and the one address of what is asked for."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from decimal import Decimal, InvalidOperation
from typing import Final
from urllib.parse import urlencode

from flask_babel import gettext
from werkzeug.datastructures import MultiDict

from cnn_offset.domain.facets import FACETS, FINE, Query, Sort, words
from cnn_offset.i18n import read_number
from cnn_offset.services.checking_out import MAX_QUANTITY, NOT_A_NUMBER

LONGEST_TEXT: Final = 100
LONGEST_VALUE: Final = 40
MOST_VALUES: Final = 60


@dataclass(frozen=True, slots=True)
class Asked:
    """An address, read: what to look for, what was typed, what is wrong with it."""

    query: Query
    typed: Mapping[str, str]
    errors: Mapping[str, str]
    """By field. A field with an error is left out of ``query``."""


def read(args: MultiDict[str, str], lang: str) -> Asked:
    """Read the arguments of an address. Nothing raises: what cannot be read is an error."""
    typed = {name: args.get(name, "").strip() for name in ("q", "tonnes", "from", "to")}
    errors = {}
    text = " ".join(typed["q"].split())[:LONGEST_TEXT]
    if text and not words(text):
        errors["q"] = gettext("Please search for letters or digits.")
        text = ""
    tonnes = _tonnes(typed["tonnes"], lang)
    if tonnes is None:
        errors["tonnes"] = gettext(NOT_A_NUMBER)
    prices = {name: _price(typed[name]) for name in ("from", "to")}
    for name, price in prices.items():
        if price is None:
            errors[name] = gettext("Please enter a price such as 2.50.")
    low, high = prices["from"] or 0, prices["to"] or 0
    if low and high and low > high:
        errors["to"] = gettext("The highest price must not be below the lowest.")
        high = 0
    query = Query(
        text=text,
        lang=lang if text else "",
        tonnes=tonnes or 0,
        price_from=low,
        price_to=high,
        sort=Sort(args["sort"]) if args.get("sort") in set(Sort) else Sort.LOT,
    )
    for facet in FACETS:
        values = {
            value for value in args.getlist(facet)[:MOST_VALUES] if 0 < len(value) <= LONGEST_VALUE
        }
        if values:
            query = query.choosing(facet, values)
    page = args.get("page", "")
    if page.isascii() and page.isdecimal() and len(page) <= 6:
        query = replace(query, page=max(1, int(page)))
    return Asked(query, typed, errors)


def _tonnes(typed: str, lang: str) -> int | None:
    """Return 0 for nothing typed, None if it is no quantity that can be ordered."""
    if not typed:
        return 0
    try:
        tonnes = read_number(typed, lang)
    except ValueError:
        return None
    return tonnes if 1 <= tonnes <= MAX_QUANTITY else None


def _price(typed: str) -> int | None:
    if not typed:
        return 0
    plain = typed.replace(",", ".")
    if not plain.isascii() or not plain.replace(".", "", 1).isdecimal() or len(plain) > 12:
        return None
    try:
        scaled = Decimal(plain).scaleb(FINE)
    except InvalidOperation:
        return None
    return int(scaled) if scaled > 0 and scaled == scaled.to_integral_value() else None


def write(query: Query) -> str:
    """Return the arguments of the address of ``query``, with ``?``, or "" if it has none.

    One query has one address: arguments and values in a fixed order, nothing empty.
    """
    pairs: list[tuple[str, str | int]] = []
    if query.text:
        pairs.append(("q", query.text))
    if query.tonnes:
        pairs.append(("tonnes", query.tonnes))
    if query.price_from:
        pairs.append(("from", price_text(query.price_from)))
    if query.price_to:
        pairs.append(("to", price_text(query.price_to)))
    for facet, values in query.chosen:
        pairs += [(facet, value) for value in sorted(values)]
    if query.sort is not Sort.LOT:
        pairs.append(("sort", query.sort.value))
    if query.page > 1:
        pairs.append(("page", query.page))
    return f"?{urlencode(pairs)}" if pairs else ""


def price_text(price: int) -> str:
    """Write a price of a query as it may be typed: ``2.5``, ``10``."""
    return f"{Decimal(price).scaleb(-FINE).normalize():f}"

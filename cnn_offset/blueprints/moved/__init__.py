"""Addresses of the earlier platform: they stand on certificates and pages everywhere.

Each leads for good to what it was about, in the language that the browser prefers, however
it is spelt and whatever follows it.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Final

from flask import Blueprint, Response, make_response, redirect, request, url_for
from flask.sansio.blueprints import BlueprintSetupState
from flask.typing import ResponseReturnValue
from werkzeug.routing import BaseConverter

from cnn_offset.extensions import db
from cnn_offset.guards import guarded, public
from cnn_offset.i18n import preferred_language
from cnn_offset.services import recalling

bp = guarded(Blueprint("moved", __name__), public)

KEPT_FOR: Final = 86_400
"""Seconds for which caches may keep the answer."""
PAGES: Final[Mapping[str, str]] = {
    "allprojects": "catalogue.index",
    "conditions-of-use": "help.terms",
    "faq": "help.faq",
    "footprintcalc": "help.how_it_works",
    "howtooffset": "help.how_it_works",
    "vchistory": "record.index",
}
"""Their pages, in small letters, and ours; a calculator of footprints is not here yet."""


class AnyCase(BaseConverter):
    """One of some words, in capital or small letters."""

    part_isolating = True

    def __init__(self, _map: object, *words: str) -> None:
        super().__init__(_map)  # type: ignore[arg-type]
        self.regex = f"(?i:{'|'.join(re.escape(word) for word in words)})"

    def to_python(self, value: str) -> str:
        """Return the word in small letters."""
        return value.lower()


@bp.record_once
def _teach(state: BlueprintSetupState) -> None:
    state.app.url_map.converters["anycase"] = AnyCase


_words = ", ".join(f'"{word}"' for word in PAGES)


@bp.get(f"/<anycase({_words}):old_page>", strict_slashes=False)
def page(old_page: str) -> ResponseReturnValue:
    """Lead to the page of ours that is about the same."""
    return _for_good(PAGES[old_page])


@bp.get('/<anycase("vchistory"):old_page>/<anycase("details"):old_part>', strict_slashes=False)
def order(old_page: str, old_part: str) -> ResponseReturnValue:
    """Lead to what was cancelled for an order of the earlier platform, by its number there.

    For good only if it is known: what is not may be imported tomorrow.
    """
    asked = {name.lower(): value for name, value in request.args.items()}
    number = recalling.order_number(asked.get("orderid", ""))
    rows = recalling.of_order(db.session(), number) if number else ()
    if rows:
        return _for_good("record.earlier", historic_id=rows[-1].id)
    response = redirect(url_for("record.order", lang=preferred_language(), number=number or None))
    response.vary.add("Accept-Language")
    return make_response(response)


def _for_good(endpoint: str, **values: int) -> Response:
    response = redirect(url_for(endpoint, lang=preferred_language(), **values), 301)
    response.vary.add("Accept-Language")
    response.headers["Cache-Control"] = f"public, max-age={KEPT_FOR}"
    return make_response(response)

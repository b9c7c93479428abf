"""Finding a project: the list with its filters, a page for each project, pictures."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import replace
from typing import Any
from urllib.parse import parse_qsl

from flask import Blueprint, Flask, Response, abort, redirect, render_template, request
from flask.typing import ResponseReturnValue
from flask_babel import gettext

from cnn_offset.blueprints.catalogue import address, words
from cnn_offset.blueprints.catalogue.cards import (
    PICTURES,
    cards,
    drawn,
    picture_srcset,
    picture_url,
)
from cnn_offset.blueprints.catalogue.facets import chips, groups
from cnn_offset.blueprints.catalogue.offers import offer_rows
from cnn_offset.blueprints.catalogue.private import private_offer
from cnn_offset.catalogue_index import shelf
from cnn_offset.domain.money import exponent
from cnn_offset.extensions import db, platform
from cnn_offset.guards import guarded, public
from cnn_offset.i18n import language
from cnn_offset.models import Activity
from cnn_offset.services.browsing import activity_by_slug, offers_of, units_issued
from cnn_offset.services.listing import is_public, public_listing

bp = guarded(Blueprint("catalogue", __name__), public)
bp.add_url_rule("/private/<token>", "private_offer", private_offer)


@bp.get("/projects")
def index() -> ResponseReturnValue:
    """List the projects that match an address, with filters and their counts."""
    asked = address.read(request.args, language())
    shown = shelf()
    found = shown.index.find(asked.query, platform().clock().date())
    query = replace(asked.query, page=found.page)
    plain = address.write(query)
    if not asked.errors and parse_qsl(plain[1:]) != parse_qsl(
        request.query_string.decode("ascii", "replace"), keep_blank_values=True
    ):
        return redirect(request.path + plain)
    page = render_template(
        "catalogue/index.html",
        asked=asked,
        found=found,
        cards=cards(shown, found.hits),
        drawn=drawn,
        groups=groups(query, found, shown.index.currencies),
        chips=chips(query),
        sorts=[
            (
                gettext(text),
                request.path + address.write(replace(query, sort=sort, page=1)),
                sort is query.sort,
            )
            for sort, text in words.SORTS.items()
        ],
        here=request.path,
        address_of=lambda page: request.path + address.write(replace(query, page=page)),
    )
    return page, 422 if asked.errors else 200


@bp.get("/projects/<slug>")
def activity(slug: str) -> ResponseReturnValue:
    """Show one project with all its offers side by side."""
    found = activity_by_slug(db.session(), slug)
    return render_template(
        "catalogue/activity.html",
        activity=found,
        pictures=_pictures(found),
        technology=words.technology(found.technology),
        scope=words.scope(found.scope),
        periods={number: words.period(str(number or "")) for number in (None, 1, 2)},
        exponent=exponent,
        shown_in=_shown_in,
        registry=words.registry(found.registry_id),
        issued=units_issued(db.session(), found.registry_id, found.ref),
        rows=offer_rows(
            offers_of(db.session(), found),
            platform().payments_for_new,
            platform().dates_for_new,
            now=platform().clock(),
        ),
    )


def _shown_in(texts: Mapping[str, str]) -> str:
    """Return the language that ``localised`` shows ``texts`` in."""
    own = language()
    return own if texts.get(own) else next((lang for lang, text in texts.items() if text), own)


_TYPES = {
    "jpg": "image/jpeg",
    "png": "image/png",
    "svg": "image/svg+xml",
    "webp": "image/webp",
}


def _pictures(activity: Activity) -> list[dict[str, Any]]:
    """Return what the gallery shows: address, widths, the large one, and what it shows."""
    found = public_listing(db.session(), activity.id)
    shown = (
        [(each.path, each.alt) for each in found.pictures]
        if found
        else [(activity.picture, activity.picture_alt)]
    )
    return [
        {
            "url": picture_url(path, 800),
            "srcset": picture_srcset(path),
            "large": picture_url(path),
            "alt": alt,
        }
        for path, alt in shown
    ]


def picture(path: str) -> ResponseReturnValue:
    """Serve a picture of the file store, unless it stands in drafts only."""
    # One name for each file: another way to write it could miss what is asked of it.
    named = re.fullmatch(r"[\w-]+\.([a-z]+)", path)
    kind = _TYPES.get(named[1]) if named else None
    if kind is None or not is_public(db.session(), PICTURES + path):
        abort(404)
    try:
        content = platform().files.cat_file(PICTURES + path)
    except (FileNotFoundError, IsADirectoryError):
        abort(404)
    response = Response(content, mimetype=kind)
    # An SVG opened by itself is a document: it may do nothing.
    response.headers["Content-Security-Policy"] = (
        "default-src 'none'; style-src 'unsafe-inline'; sandbox"
    )
    # A provider's picture that changes gets another name; drawings keep theirs.
    lasting = kind == "image/webp"
    response.headers["Cache-Control"] = (
        "public, max-age=31536000, immutable" if lasting else "public, max-age=604800"
    )
    return response


def init_app(app: Flask) -> None:
    """Add what has no language."""
    app.add_url_rule("/pictures/<path:path>", "catalogue.picture", picture)

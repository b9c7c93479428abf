"""The public record: every cancellation, found and read by anybody."""

from __future__ import annotations

from typing import Any

from flask import Blueprint, redirect, render_template, request, url_for
from flask.typing import ResponseReturnValue
from flask_babel import gettext

from cnn_offset.domain.units import UnitType
from cnn_offset.extensions import db, platform
from cnn_offset.guards import guarded, public
from cnn_offset.i18n import UNIT_LABELS, country_name, language
from cnn_offset.reports import registry_title
from cnn_offset.sayings import ATTESTATION, speaking
from cnn_offset.services import recalling, recording, remembering
from cnn_offset.services.recalling import Place
from cnn_offset.services.recording import RecordQuery

bp = guarded(Blueprint("record", __name__), public)

LONGEST = 200
"""Characters of a search; what is longer is cut."""
FILTERS = {
    "q": "text",
    "type": "unit_type",
    "host": "host",
    "registry": "registry_id",
    "year": "year",
}
"""Names in the address, and in a query."""


@bp.get("/record")
def index() -> ResponseReturnValue:
    """List cancellations, newest first, narrowed by search and filters."""
    asked = {name: _argument(name) for name in FILTERS}
    page = recalling.find_all(
        db.session(),
        RecordQuery(**{FILTERS[name]: value for name, value in asked.items()}),
        registry_ids=list(platform().registry_titles),
        place=request.args.get("before", type=Place.parse) or Place(),
        limit=recording.PAGE,
    )
    choices, has_earlier = _choices()
    in_force: dict[str, Any] = {name: value for name, value in asked.items() if value}
    return render_template(
        "record/index.html",
        page=page,
        asked=asked,
        choices=choices,
        has_earlier=has_earlier,
        chips=[
            (
                dict(choices.get(name, [])).get(value, value),
                url_for(".index", **{k: v for k, v in in_force.items() if k != name}),
            )
            for name, value in in_force.items()
        ],
        older=url_for(".index", before=str(page.older), **in_force) if page.older else "",
        newest=url_for(".index", **in_force) if "before" in request.args else "",
    )


@bp.get("/record/<int:sequence>-<int:year>")
def entry(sequence: int, year: int) -> ResponseReturnValue:
    """Show one cancellation: the accessible twin of its attestation."""
    session = db.session()
    found = recording.entry(session, sequence, year)
    projects = recording.project_slugs(session, found.data)
    with speaking(ATTESTATION, at=found.issued_at):
        return render_template("record/entry.html", entry=found, projects=projects)


@bp.get("/record/earlier-<int:historic_id>")
def earlier(historic_id: int) -> ResponseReturnValue:
    """Show a cancellation of the earlier platform, with all others of the same order."""
    rows = recalling.earlier_entry(db.session(), historic_id)
    return render_template("record/earlier.html", rows=rows, registry_title=registry_title)


@bp.get("/record/order")
def order() -> ResponseReturnValue:
    """Lead to an order of the earlier platform, or say that it is not known here."""
    number = recalling.order_number(request.args.get("number", ""))
    rows = recalling.of_order(db.session(), number) if number else ()
    if rows:
        return redirect(url_for(".earlier", historic_id=rows[-1].id))
    return render_template("record/not_here.html", number=number), 404


def _argument(name: str) -> str:
    """Return a part of the address without signs that mean nothing, such as NUL."""
    return "".join(
        sign for sign in request.args.get(name, "")[:LONGEST] if sign.isprintable()
    ).strip()


def _choices() -> tuple[dict[str, list[tuple[str, str]]], bool]:
    """Return (value, text) pairs of each filter, in the reader's language, and whether
    anything of the earlier platform is there.
    """
    lang = language()
    session = db.session()
    this_year = platform().clock().year
    past = remembering.facets(session)
    first = min(
        recording.first_year(session) or this_year, *(int(year) for year in past["year"]), this_year
    )
    codes = {*recording.hosts(session), *past["host"]}
    hosts = [(code, country_name(code, lang)) for code in codes]
    registries = dict.fromkeys([*platform().registry_titles, *past["registry"]])
    choices = {
        "type": [(kind.value, gettext(UNIT_LABELS[kind])) for kind in UnitType],
        "host": sorted(hosts, key=lambda pair: pair[1]),
        "registry": [(name, registry_title(name)) for name in registries],
        "year": [(str(year), str(year)) for year in range(this_year, first - 1, -1)],
    }
    return choices, bool(past["year"])

"""The public record: every cancellation, found and read by anybody."""

from __future__ import annotations

from flask import Blueprint, render_template, request, url_for
from flask.typing import ResponseReturnValue
from flask_babel import gettext

from cnn_offset.domain.units import UnitType
from cnn_offset.extensions import db, platform
from cnn_offset.guards import guarded, public
from cnn_offset.i18n import UNIT_LABELS, country_name, language
from cnn_offset.sayings import ATTESTATION, speaking
from cnn_offset.services import recording
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
    page = recording.find_entries(
        db.session(),
        RecordQuery(**{FILTERS[name]: value for name, value in asked.items()}),
        registry_ids=list(platform().registries),
        before=request.args.get("before", type=_position),
        limit=recording.PAGE,
    )
    choices = _choices()
    in_force = {name: value for name, value in asked.items() if value}
    return render_template(
        "record/index.html",
        page=page,
        asked=asked,
        choices=choices,
        chips=[
            (
                dict(choices.get(name, [])).get(value, value),
                url_for(".index", **{k: v for k, v in in_force.items() if k != name}),
            )
            for name, value in in_force.items()
        ],
        older=url_for(".index", before=page.before, **in_force) if page.before else "",
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


def _argument(name: str) -> str:
    """Return a part of the address without signs that mean nothing, such as NUL."""
    return "".join(
        sign for sign in request.args.get(name, "")[:LONGEST] if sign.isprintable()
    ).strip()


def _position(text: str) -> int:
    place = int(text)
    if not 0 <= place < 2**63:
        raise ValueError(text)
    return place


def _choices() -> dict[str, list[tuple[str, str]]]:
    """Return (value, text) pairs of each filter, in the reader's language."""
    lang = language()
    session = db.session()
    this_year = platform().clock().year
    first = recording.first_year(session) or this_year
    hosts = [(code, country_name(code, lang)) for code in recording.hosts(session)]
    return {
        "type": [(kind.value, gettext(UNIT_LABELS[kind])) for kind in UnitType],
        "host": sorted(hosts, key=lambda pair: pair[1]),
        "registry": [
            (name, gettext(connector.title)) for name, connector in platform().registries.items()
        ],
        "year": [(str(year), str(year)) for year in range(this_year, first - 1, -1)],
    }

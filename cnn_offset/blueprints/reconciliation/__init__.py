"""Do our books agree with the registries' own? The last thirty nights, for everybody."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from flask import Blueprint, render_template
from flask.typing import ResponseReturnValue

from cnn_offset.domain.text import N_
from cnn_offset.extensions import db, platform
from cnn_offset.guards import guarded, public
from cnn_offset.models import Hindrance
from cnn_offset.reports import registry_title
from cnn_offset.services.reconciled import last_nights

bp = guarded(Blueprint("reconciliation", __name__), public)

HINDRANCES: Final[Mapping[str, str]] = {
    Hindrance.CLOSED: N_("Not compared: the registry has closed, and nothing changes there."),
    Hindrance.SILENT: N_("Not compared: the registry did not answer."),
    Hindrance.REFUSED: N_("Cancellations not compared: the registry did not give its list."),
    Hindrance.TOO_MANY: N_("Stopped: so much differed that we look into the cause first."),
    Hindrance.NO_TIME: N_("Not everything compared: the night was too short."),
}
"""Why something was not compared, in words."""


@bp.get("/reconciliation")
def index() -> ResponseReturnValue:
    """Show what the last nights found."""
    return render_template(
        "reconciliation/index.html",
        nights=last_nights(db.session(), platform().registry_titles),
        registry_title=registry_title,
        hindrances=HINDRANCES,
    )

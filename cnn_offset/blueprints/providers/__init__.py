"""For everybody: who may offer units here, and how to apply."""

from __future__ import annotations

from flask import Blueprint, render_template
from flask.typing import ResponseReturnValue
from flask_security import current_user

from cnn_offset.extensions import db
from cnn_offset.guards import guarded, public
from cnn_offset.services import applying

bp = guarded(Blueprint("providers", __name__), public)


@bp.get("/apply")
def how_to_apply() -> ResponseReturnValue:
    """Say who may offer, which way fits whom, and what happens then."""
    mine = None
    if current_user.is_authenticated and not current_user.provider_id:
        mine = applying.last_application(db.session(), current_user)
    return render_template("applying/start.html", application=mine)

"""The front page."""

from __future__ import annotations

from typing import Final

from flask import Blueprint, render_template
from flask.typing import ResponseReturnValue

from cnn_offset.blueprints.catalogue.cards import featured, figures
from cnn_offset.guards import guarded, public

bp = guarded(Blueprint("home", __name__), public)

FEATURED: Final = 6


@bp.get("/")
def index() -> ResponseReturnValue:
    """Say what this is, and lead to the projects of the day."""
    return render_template("home/index.html", featured=featured(FEATURED), figures=figures())

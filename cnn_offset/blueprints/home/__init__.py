"""The front page."""

from __future__ import annotations

from flask import Blueprint, render_template
from flask.typing import ResponseReturnValue

from cnn_offset.guards import guarded, public

bp = guarded(Blueprint("home", __name__), public)


@bp.get("/")
def index() -> ResponseReturnValue:
    """Say what this is, and lead to the projects."""
    return render_template("home/index.html", featured=[], figures=None)

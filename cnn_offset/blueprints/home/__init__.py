"""The front page."""

from __future__ import annotations

from datetime import timedelta
from typing import Final

from flask import Blueprint, render_template
from flask.typing import ResponseReturnValue

from cnn_offset.blueprints.catalogue.cards import featured, figures
from cnn_offset.extensions import platform
from cnn_offset.guards import guarded, public
from cnn_offset.sayings import HOME, Said, speaking
from cnn_offset.wording import last_orders

bp = guarded(Blueprint("home", __name__), public)

FEATURED: Final = 6
NOTICE: Final = timedelta(days=90)
"""How long before a registry's last order the front page says so (F7)."""


@bp.get("/")
def index() -> ResponseReturnValue:
    """Say what this is, and lead to the projects of the day."""
    return front_page()


def front_page(instead: Said | None = None) -> str:
    """Draw the front page in operators' words; ``instead``: words to try out."""
    soon = platform().clock() + NOTICE
    with speaking(HOME, instead=instead):
        return render_template(
            "home/index.html",
            featured=featured(FEATURED),
            figures=figures(),
            closing=[(registry, last) for registry, last in last_orders() if last < soon],
        )

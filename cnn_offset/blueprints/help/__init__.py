"""Pages that explain, as files: one per language and page."""

from __future__ import annotations

from datetime import datetime

from flask import Blueprint, render_template
from flask.typing import ResponseReturnValue
from flask_babel import gettext

from cnn_offset.extensions import platform
from cnn_offset.guards import guarded, public
from cnn_offset.i18n import language

bp = guarded(Blueprint("help", __name__), public)

TERMS_VERSION = "2026-11-22"
"""The terms in force. A new version is a new file; old ones keep their address."""


def last_orders() -> list[tuple[str, datetime]]:
    """Return the title of each registry that will close, and until when it takes orders."""
    here = platform()
    return [
        (gettext(here.registries[name].title), dates.last_order)
        for name, dates in here.registry_dates.items()
        if dates.last_order is not None and dates.last_order > here.clock()
    ]


def _page(name: str, **values: object) -> str:
    return render_template(f"help/{language()}/{name}.html", **values)


@bp.get("/how-it-works")
def how_it_works() -> ResponseReturnValue:
    """Explain a purchase from basket to attestation."""
    return _page("how_it_works")


@bp.get("/faq")
def faq() -> ResponseReturnValue:
    """Answer what people ask."""
    return _page("faq", hold_minutes=platform().settings.HOLD_MINUTES, last_orders=last_orders())


@bp.get("/provider-guide")
def provider_guide() -> ResponseReturnValue:
    """Lead a provider from the application to the first payout."""
    return _page("provider_guide")


@bp.get("/units")
def units() -> ResponseReturnValue:
    """Explain the kinds of units and what each lets one claim."""
    return _page("units")


@bp.get("/terms")
def terms() -> ResponseReturnValue:
    """Show the terms in force."""
    return _page(f"terms-{TERMS_VERSION}", version=TERMS_VERSION)


@bp.get("/contact")
def contact() -> ResponseReturnValue:
    """Say where to write, and about what."""
    return _page("contact")


@bp.get("/accessibility")
def accessibility() -> ResponseReturnValue:
    """State how accessible the site is."""
    return _page("accessibility")

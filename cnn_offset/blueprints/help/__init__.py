"""Pages that explain, as operators have published them or as they were shipped."""

from __future__ import annotations

from flask import Blueprint, render_template
from flask.typing import ResponseReturnValue

from cnn_offset import wording
from cnn_offset.domain.unit_rules import PERIODS, UNIT_RULES
from cnn_offset.guards import guarded, public

bp = guarded(Blueprint("help", __name__), public)


def _page(name: str) -> str:
    return render_template("help/page.html", page=wording.page(name))


@bp.get("/how-it-works")
def how_it_works() -> ResponseReturnValue:
    """Explain a purchase from basket to attestation."""
    return _page("how_it_works")


@bp.get("/faq")
def faq() -> ResponseReturnValue:
    """Answer what people ask."""
    return _page("faq")


@bp.get("/provider-guide")
def provider_guide() -> ResponseReturnValue:
    """Lead a provider from the application to the first payout."""
    return _page("provider_guide")


@bp.get("/units")
def units() -> ResponseReturnValue:
    """Explain the kinds of units and what each lets one claim."""
    return _page("units")


@bp.get("/units/claims")
def claims() -> ResponseReturnValue:
    """List what a cancellation of each kind of unit lets one say, and what it does not."""
    return render_template("help/claims.html", rules=UNIT_RULES, periods=PERIODS)


@bp.get("/terms")
def terms() -> ResponseReturnValue:
    """Show the terms in force."""
    return _terms(wording.terms_version())


@bp.get("/terms/<version>")
def terms_of(version: str) -> ResponseReturnValue:
    """Show the terms of a version, also one that new orders no longer get."""
    return _terms(version)


def _terms(version: str) -> str:
    in_force, *_ = versions = wording.terms_versions()
    return render_template(
        "help/terms.html",
        page=wording.terms_of(version),
        version=version,
        in_force=in_force,
        versions=versions,
    )


@bp.get("/contact")
def contact() -> ResponseReturnValue:
    """Say where to write, and about what."""
    return _page("contact")


@bp.get("/privacy")
def privacy() -> ResponseReturnValue:
    """Say what is kept about people, for how long, and what they can do about it."""
    return _page("privacy")


@bp.get("/accessibility")
def accessibility() -> ResponseReturnValue:
    """State how accessible the site is."""
    return _page("accessibility")

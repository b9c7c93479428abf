"""What stands outside the languages: the bare address and files that robots ask for."""

from __future__ import annotations

from datetime import timedelta

from flask import Blueprint, Response, redirect, url_for
from flask.typing import ResponseReturnValue

from cnn_offset.extensions import platform
from cnn_offset.guards import guarded, public
from cnn_offset.i18n import LANGUAGES, preferred_language

bp = guarded(Blueprint("root", __name__), public)
PRIVATE = ("account", "basket", "checkout", "operator", "orders", "provider")


@bp.get("/")
def index() -> ResponseReturnValue:
    """Send a visitor without a language to the one the browser prefers; only from here."""
    response = redirect(url_for("home.index", lang=preferred_language()))
    response.vary.add("Accept-Language")
    return response


@bp.get("/robots.txt")
def robots() -> ResponseReturnValue:
    """Keep robots out of what belongs to one visitor."""
    lines = ["User-agent: *"]
    lines += [f"Disallow: /{lang}/{part}" for lang in LANGUAGES for part in PRIVATE]
    return Response("\n".join([*lines, ""]), mimetype="text/plain")


@bp.get("/favicon.ico")
def favicon() -> ResponseReturnValue:
    """Send old browsers to the one icon."""
    return redirect(url_for("static", filename="img/favicon.svg"), 301)


@bp.get("/.well-known/security.txt")
def security_txt() -> ResponseReturnValue:
    """Say whom to tell of a weakness (RFC 9116)."""
    here = platform()
    # The date must be ahead, and a year at most; it moves once a month.
    month = here.clock().replace(day=1, hour=0, minute=0, second=0, microsecond=0)
    lines = [
        f"Contact: mailto:{here.settings.CONTACT_EMAIL}",
        f"Expires: {(month + timedelta(days=180)).isoformat()}",
        f"Preferred-Languages: {', '.join(LANGUAGES)}",
        f"Canonical: {here.settings.PUBLIC_URL.rstrip('/')}{url_for('root.security_txt')}",
    ]
    return Response("\n".join([*lines, ""]), mimetype="text/plain")

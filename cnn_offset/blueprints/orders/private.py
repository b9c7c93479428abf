"""The blueprint of what belongs to one purchaser, behind a private link."""

from __future__ import annotations

from flask import Blueprint, Response

from cnn_offset.guards import guarded, public

bp = guarded(Blueprint("orders", __name__), public)


@bp.after_request
def _private(response: Response) -> Response:
    """Keep what belongs to one purchaser out of caches and search engines."""
    response.headers["Cache-Control"] = "no-store"
    response.headers["X-Robots-Tag"] = "noindex, nofollow"
    return response

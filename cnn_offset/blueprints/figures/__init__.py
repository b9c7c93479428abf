"""The public page of live figures: what was cancelled here, for whom and from where."""

from __future__ import annotations

from flask import Blueprint, Response, abort, current_app, make_response, render_template, request
from flask.typing import ResponseReturnValue

from cnn_offset import figure_files, figure_tables, periods
from cnn_offset.extensions import db, limiter, platform
from cnn_offset.guards import guarded, public
from cnn_offset.reports import period_title
from cnn_offset.services import remembering

bp = guarded(Blueprint("figures", __name__), public)

KEPT_FOR = 300
"""Seconds for which caches may keep the page: figures may lag a minute anyway."""


@bp.get("/figures")
def index() -> ResponseReturnValue:
    """Show the figures of a period, this year's unless another is asked for."""
    today = platform().clock().date()
    oldest = remembering.first_year(db.session())
    period, errors = periods.asked(request.args, today, kind="year")
    found, sections = figure_tables.published(db.session(), period)
    page = render_template(
        "figures/index.html",
        period=period,
        errors=errors,
        title=period_title(period),
        offered=[(each.code, period_title(each)) for each in periods.offered(today, oldest=oldest)],
        found=found,
        sections=sections,
        period_title=period_title,
        is_over=period.until <= platform().clock(),
    )
    return (page, 422) if errors else _cached(make_response(page))


@bp.get("/figures/figures.csv")
@limiter.limit("60 per minute")
def file() -> ResponseReturnValue:
    """Hand out the same figures as CSV."""
    period, errors = periods.asked(request.args, platform().clock().date(), kind="year")
    if errors:
        abort(404)
    _, sections = figure_tables.published(db.session(), period)
    response = Response(
        figure_files.csv_text(sections, period), content_type="text/csv; charset=utf-8"
    )
    response.headers.set("Content-Disposition", "attachment", filename=f"figures-{period.code}.csv")
    return _cached(response)


def _cached(response: Response) -> Response:
    """Let caches keep it, unless the page knows somebody: basket and account are on it."""
    response.vary.add("Cookie")
    if current_app.config["SESSION_COOKIE_NAME"] in request.cookies:
        response.headers["Cache-Control"] = "private, no-cache"
    else:
        response.headers["Cache-Control"] = f"public, max-age={KEPT_FOR}"
    response.add_etag()
    response.make_conditional(request)
    return response

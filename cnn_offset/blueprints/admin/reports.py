"""The Board report: the figures of a period, as a page and as files."""

from __future__ import annotations

from flask import Response, abort, render_template, request
from flask.typing import ResponseReturnValue

from cnn_offset import figure_files, figure_tables, periods
from cnn_offset.blueprints.admin.desk import bp
from cnn_offset.extensions import db, limiter, platform
from cnn_offset.reports import period_title
from cnn_offset.services import figures, remembering

XLSX = "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet"


@bp.get("/operator/reports")
def reports() -> ResponseReturnValue:
    """Show the figures of a period, and lead to the files."""
    today = platform().clock().date()
    oldest = remembering.first_year(db.session())
    period, errors = periods.asked(request.args, today, kind="quarter")
    found, sections = figure_tables.board(db.session(), period)
    page = render_template(
        "admin/reports.html",
        period=period,
        errors=errors,
        title=period_title(period),
        offered=[(each.code, period_title(each)) for each in periods.offered(today, oldest=oldest)],
        found=found,
        sections=sections,
        period_title=period_title,
        is_over=period.until <= platform().clock(),
        waiting=figures.waiting(db.session()),
    )
    return page, 422 if errors else 200


@bp.get("/operator/reports/report.<ending>")
@limiter.limit("30 per minute")
def report_file(ending: str) -> ResponseReturnValue:
    """Hand out the report as CSV, as a workbook or as a PDF."""
    today = platform().clock().date()
    period, errors = periods.asked(request.args, today, kind="quarter")
    if errors or ending not in ("csv", "xlsx", "pdf"):
        abort(404)
    _, sections = figure_tables.board(db.session(), period)
    content: str | bytes
    if ending == "csv":
        content, kind = figure_files.csv_text(sections, period), "text/csv; charset=utf-8"
    elif ending == "xlsx":
        content, kind = figure_files.workbook(sections, period), XLSX
    else:
        content, kind = figure_files.pdf(sections, period, made_on=today), "application/pdf"
    response = Response(content, content_type=kind)
    response.headers.set(
        "Content-Disposition", "attachment", filename=f"report-{period.code}.{ending}"
    )
    return response

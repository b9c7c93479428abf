"""Sales, payments, fees and cancellations by period."""

from __future__ import annotations

from datetime import date
from typing import Final

from flask import (
    Response,
    abort,
    flash,
    redirect,
    render_template,
    request,
    send_file,
    stream_with_context,
    url_for,
)
from flask.typing import ResponseReturnValue
from flask_babel import gettext
from flask_security import current_user
from sqlalchemy.orm import Session

from cnn_offset import periods
from cnn_offset import reports as files
from cnn_offset.blueprints.provider.workspace import bp
from cnn_offset.domain.period import Period
from cnn_offset.domain.staff import Duty
from cnn_offset.extensions import db, limiter, platform, unit_of_work
from cnn_offset.guards import staff_may
from cnn_offset.services import reporting

HIGH: Final = 200
"""Units of the drawing that the highest bar of the chart takes."""


def _today() -> date:
    return platform().clock().date()


def _asked() -> tuple[Period, dict[str, str]]:
    return periods.asked(request.args, _today())


@bp.get("/provider/reports")
def reports() -> ResponseReturnValue:
    """Show the figures of a period, and lead to the files."""
    period, errors = _asked()
    found = reporting.report(db.session(), current_user.provider_id, period)
    months = found.units_by_month
    most = max((units for _, units in months), default=0)
    offered = [(each.code, files.period_title(each)) for each in periods.offered(_today())]
    page = render_template(
        "provider/reports.html",
        report=found,
        period=period,
        title=files.period_title(period),
        offered=offered,
        named=any(code == period.code for code, _ in offered),
        errors=errors,
        is_over=period.until <= platform().clock(),
        bars=[(month, units, units * HIGH // (most or 1)) for month, units in months],
        high=HIGH,
        period_title=files.period_title,
        method_title=files.method_title,
        registry_title=files.registry_title,
        next_mailing=current_user.provider.due_at,
    )
    return page, 422 if errors else 200


@bp.post("/provider/reports/monthly")
@staff_may(Duty.PAYOUTS)
def reports_monthly() -> ResponseReturnValue:
    """Switch the monthly report by mail on or off."""
    wanted = request.form.get("wanted") == "yes"
    with unit_of_work() as session:
        reporting.mail_monthly(
            session,
            current_user.provider_id,
            wanted=wanted,
            actor=current_user.email,
            now=platform().clock(),
        )
    flash(
        gettext("The report is mailed on the first day of each month.")
        if wanted
        else gettext("The report is no longer mailed."),
        "success",
    )
    return redirect(url_for("provider.reports"))


def _session() -> Session:
    return Session(db.engine)


def _period() -> Period:
    period, errors = _asked()
    if errors:
        abort(404)
    return period


def _filename(name: str, period: Period, ending: str) -> str:
    return f"{current_user.provider.slug}-{name}-{period.code}.{ending}"


@bp.get("/provider/reports/<table>.csv")
@limiter.limit("60 per minute")
def report_csv(table: str) -> ResponseReturnValue:
    """Hand out one table as CSV, while it is being read."""
    found = files.TABLES.get(table) or abort(404)
    period, provider_id = _period(), current_user.provider_id
    name = _filename(table, period, "csv")
    return Response(
        stream_with_context(files.csv_parts(found, _session, provider_id, period)),
        mimetype="text/csv",
        headers={"Content-Disposition": f'attachment; filename="{name}"'},
    )


@bp.get("/provider/reports/report.xlsx")
@limiter.limit("20 per minute")
def report_xlsx() -> ResponseReturnValue:
    """Hand out all tables as a workbook."""
    period = _period()
    response = send_file(
        files.workbook(_session, current_user.provider_id, period),
        mimetype="application/vnd.openxmlformats-officedocument.spreadsheetml.sheet",
        as_attachment=True,
        download_name=_filename("report", period, "xlsx"),
    )
    # Flask would let caches keep it.
    response.headers["Cache-Control"] = "no-store"
    return response

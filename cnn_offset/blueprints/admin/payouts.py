"""Bank transfers that providers ask for."""

from __future__ import annotations

from flask import flash, redirect, render_template, request, url_for
from flask.typing import ResponseReturnValue
from flask_babel import gettext
from flask_security import current_user

from cnn_offset.blueprints.admin.desk import bp
from cnn_offset.domain.money import Money
from cnn_offset.domain.staff import DeskDuty
from cnn_offset.domain.text import UnreadableTextError, clean_line
from cnn_offset.extensions import db, platform, unit_of_work
from cnn_offset.guards import operator_may
from cnn_offset.models import PayoutMethod
from cnn_offset.services import ServiceError, bank_details
from cnn_offset.web import row_id


@bp.get("/operator/payouts")
def payouts() -> ResponseReturnValue:
    """List the requests for bank transfer, oldest first, with what is asked for."""
    return _page()


def _page(errors: dict[str, str] | None = None) -> ResponseReturnValue:
    rows = bank_details.waiting(db.session(), platform().bank_methods)
    page = render_template(
        "admin/payouts.html",
        requests=[(row, _lines(row), bank_details.fingerprint(row.account)) for row in rows],
        minimum_of=_minimum,
        errors=errors or {},
    )
    return (page, 422) if errors else page


def _lines(row: PayoutMethod) -> list[tuple[str, str]]:
    fields = platform().payments[row.method_id].account_fields
    return [(each.label, row.account[each.name]) for each in fields if row.account.get(each.name)]


def _minimum(row: PayoutMethod) -> Money | None:
    return Money(row.minimum_minor, row.currencies[0]) if row.minimum_minor else None


@bp.post("/operator/payouts/<payout_id>/enable")
@operator_may(DeskDuty.PROVIDERS, fresh=True)
def payout_enable(payout_id: str) -> ResponseReturnValue:
    """Enable bank transfer with the details on the page."""
    here = platform()
    try:
        with unit_of_work() as session:
            bank_details.approve_bank(
                session,
                _id(payout_id),
                request.form.get("seen", ""),
                plugins=here.payments,
                actor=current_user.email,
                now=here.clock(),
            )
    except ServiceError as error:
        return _page({"": gettext(error.message, **error.values)})
    flash(gettext("Enabled. The provider has been told."), "success")
    return redirect(url_for("admin.payouts"))


@bp.post("/operator/payouts/<payout_id>/refuse")
@operator_may(DeskDuty.PROVIDERS, fresh=True)
def payout_refuse(payout_id: str) -> ResponseReturnValue:
    """Refuse a request with a reason."""
    here = platform()
    try:
        reason = clean_line(request.form.get("reason", ""))
    except UnreadableTextError:
        reason = ""
    try:
        with unit_of_work() as session:
            bank_details.refuse_bank(
                session,
                _id(payout_id),
                request.form.get("seen", ""),
                reason=reason,
                plugins=here.payments,
                actor=current_user.email,
                now=here.clock(),
            )
    except ServiceError as error:
        return _page({"": gettext(error.message, **error.values)})
    flash(gettext("Refused. The provider has been told why."), "success")
    return redirect(url_for("admin.payouts"))


def _id(text: str) -> int:
    try:
        return row_id(text)
    except ValueError:
        return 0

"""What the provider is charged: schedules and their acceptance, volume, statements."""

from __future__ import annotations

from typing import Final

from flask import flash, redirect, render_template, request, url_for
from flask.typing import ResponseReturnValue
from flask_babel import gettext
from flask_security import current_user

from cnn_offset import fee_words
from cnn_offset.blueprints.provider.workspace import bp
from cnn_offset.domain.money import Money
from cnn_offset.domain.staff import Duty
from cnn_offset.extensions import db, limiter, platform, unit_of_work
from cnn_offset.guards import staff_may
from cnn_offset.models import FeeStatement
from cnn_offset.services import charging, fee_schedules, fee_statements
from cnn_offset.web import last_shown, row_id

PAGE: Final = 24
_STATEMENT: Final = f"/provider/fees/statements/<int(max={2**63 - 1}):fee_statement_id>"


@bp.get("/provider/fees")
def fees() -> ResponseReturnValue:
    """Show the schedules, how much has been sold this year, and the statements."""
    session, today = db.session(), platform().clock().date()
    ours = current_user.provider_id
    found = fee_statements.statements(
        session,
        provider_id=ours,
        before=request.args.get("before", type=row_id),
        limit=PAGE + 1,
    )
    return render_template(
        "provider/fees.html",
        are_on=charging.are_on(session),
        held=charging.holding(session, today),
        upcoming=charging.upcoming(session, today),
        consents=fee_schedules.consents(session, ours),
        volumes=charging.volumes(session, ours, today.year),
        year=today.year,
        tiers=fee_words.tiers,
        rate=fee_words.rate,
        month=fee_words.month,
        statements=found[:PAGE],
        older=last_shown(found, PAGE),
        may=current_user.may(Duty.FEES),
    )


@bp.post(f"/provider/fees/<int(max={2**63 - 1}):schedule_id>/accept")
@staff_may(Duty.FEES, fresh=True)
def accept_fees(schedule_id: int) -> ResponseReturnValue:
    """Accept a schedule for the provider."""
    with unit_of_work() as session:
        fee_schedules.accept(
            session,
            current_user.provider_id,
            schedule_id,
            actor=current_user.email,
            now=platform().clock(),
        )
    flash(gettext("Accepted. Thank you."), "success")
    return redirect(url_for("provider.fees"))


def _own(fee_statement_id: int) -> FeeStatement:
    return fee_statements.find(db.session(), fee_statement_id, provider_id=current_user.provider_id)


@bp.get(_STATEMENT)
def fee_statement(fee_statement_id: int) -> ResponseReturnValue:
    """Show a statement with its orders."""
    found = _own(fee_statement_id)
    lines = fee_statements.lines_of(db.session(), found.id, limit=fee_words.MOST_LINES + 1)
    return render_template(
        "provider/fee_statement.html",
        statement=found,
        month=fee_words.month(found),
        lines=[
            (each.order, Money(each.amount_minor, found.currency))
            for each in lines[: fee_words.MOST_LINES]
        ],
        more=len(lines) > fee_words.MOST_LINES,
    )


@bp.get(f"{_STATEMENT}.pdf")
@limiter.limit("30 per minute")
def fee_statement_pdf(fee_statement_id: int) -> ResponseReturnValue:
    """Hand out a statement as a paper."""
    return fee_words.as_pdf(_own(fee_statement_id))


@bp.get(f"{_STATEMENT}.csv")
@limiter.limit("30 per minute")
def fee_statement_csv(fee_statement_id: int) -> ResponseReturnValue:
    """Hand out all lines of a statement."""
    return fee_words.as_csv(_own(fee_statement_id))

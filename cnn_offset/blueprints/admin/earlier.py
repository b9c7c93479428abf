"""Names in cancellations of the earlier platform: finding the entry, having them blanked."""

from __future__ import annotations

from typing import Final

from flask import flash, redirect, render_template, request, url_for
from flask.typing import ResponseReturnValue
from flask_babel import gettext
from flask_security import current_user
from sqlalchemy.orm import Session

from cnn_offset.blueprints.admin.desk import bp
from cnn_offset.blueprints.admin.proposed import Described
from cnn_offset.domain.staff import DeskDuty
from cnn_offset.extensions import db, platform, unit_of_work
from cnn_offset.guards import operator_may
from cnn_offset.models import HistoricCancellation
from cnn_offset.services import ServiceError, blanking, recalling
from cnn_offset.typed import Typed

PART_OF: Final = "cnn_offset.blueprints.admin.privacy"


@bp.get("/operator/earlier")
def earlier() -> ResponseReturnValue:
    """Find imported cancellations by what stands on a certificate; names are in no address."""
    typed = Typed(request.args)
    number = typed.line("number", longest=100)
    rows: dict[int, HistoricCancellation] = {}
    if number and not typed.errors:
        registry_ids = list(platform().registries)
        found = [*recalling.by_old_number(db.session(), number, registry_ids)]
        if ref := recalling.order_number(number):
            found += recalling.of_order(db.session(), ref)
        rows = {row.id: row for row in found}
    page = render_template(
        "admin/earlier.html", rows=list(rows.values()), values=typed.values, errors=typed.errors
    )
    return page, 422 if typed.errors else 200


@bp.get("/operator/earlier/<int:historic_id>")
def earlier_entry(historic_id: int) -> ResponseReturnValue:
    """Show what an imported order says of a person, and the form to have it blanked."""
    return _page(historic_id, Typed(request.form))


@bp.post("/operator/earlier/<int:historic_id>/erase")
@operator_may(DeskDuty.PEOPLE, fresh=True)
def earlier_erase(historic_id: int) -> ResponseReturnValue:
    """Ask for the erasure of name and reason; a second operator must approve."""
    typed = Typed(request.form)
    reason = typed.lines("reason", longest=2000, missing=gettext("Please write the reason."))
    if not typed.errors:
        actor, now = current_user.email, platform().clock()
        try:
            with unit_of_work() as session:
                made = blanking.ask(session, historic_id, reason=reason, actor=actor, now=now).id
        except ServiceError as error:
            typed.errors[""] = gettext(error.message, **error.values)
        else:
            flash(gettext("Asked for. Another operator must approve it."), "success")
            return redirect(url_for("admin.proposal", proposal_id=made))
    return _page(historic_id, typed)


def _page(historic_id: int, typed: Typed) -> ResponseReturnValue:
    session = db.session()
    page = render_template(
        "admin/earlier_entry.html",
        rows=recalling.earlier_entry(session, historic_id),
        waiting=blanking.waiting_for(session, historic_id),
        values=typed.values,
        errors=typed.errors,
    )
    return page, 422 if typed.errors else 200


def described(session: Session, historic_id: int) -> Described:
    """Say in plain words what the erasure of an imported order's name means."""
    rows = recalling.earlier_entry(session, historic_id)
    name = rows[0].reference or rows[0].order_ref or rows[0].range.first_text
    return Described(
        what=gettext(
            "Erase name and reason in cancellation %(number)s of the earlier platform.", number=name
        ),
        effects=[
            gettext("They are blanked in all parts of that order. Nobody can bring them back."),
            gettext("Units, serial numbers, project and date stay in the public record."),
        ],
        about=(name, url_for("admin.earlier_entry", historic_id=historic_id)),
    )

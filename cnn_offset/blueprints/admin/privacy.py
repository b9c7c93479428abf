"""Personal data: what is kept about somebody, taking it along, having it erased by rule."""

from __future__ import annotations

from typing import Final

from flask import flash, redirect, render_template, request, url_for
from flask.typing import ResponseReturnValue
from flask_babel import gettext
from flask_security import current_user
from sqlalchemy.orm import Session

from cnn_offset.blueprints.admin import earlier
from cnn_offset.blueprints.admin.desk import bp
from cnn_offset.blueprints.admin.order_words import mail_text
from cnn_offset.blueprints.admin.proposed import Described, describes
from cnn_offset.domain.retention import RULES
from cnn_offset.domain.staff import DeskDuty
from cnn_offset.extensions import db, limiter, platform, unit_of_work
from cnn_offset.guards import operator_may
from cnn_offset.models import Proposal, ProposalKind, User
from cnn_offset.personal_files import download
from cnn_offset.services import ServiceError, erasing, personal
from cnn_offset.typed import Typed

_taken: Final = limiter.limit(
    "60 per hour", key_func=lambda: f"operator {current_user.id}", methods=["POST"]
)


@bp.route("/operator/privacy", methods=["GET", "POST"])
@operator_may(DeskDuty.PEOPLE, fresh=True)
@_taken
def privacy() -> ResponseReturnValue:
    """Find a person; what is found is shown at once, so that no address has the person's.

    Whoever looks is kept in the trail.
    """
    typed = Typed(request.form)
    if request.method == "GET":
        return _page(typed)
    email = typed.email("email")
    if not typed.errors:
        _keep(email, personal.LOOKED)
    return _page(typed, email)


def _keep(email: str, what: str, why: str = "") -> None:
    operator_id = current_user.id
    with unit_of_work() as session:
        operator = session.get_one(User, operator_id)
        personal.note_look(session, email, what, operator, why=why, now=platform().clock())


def _page(typed: Typed, email: str = "") -> ResponseReturnValue:
    known = personal.known(db.session(), email) if email and "email" not in typed.errors else None
    page = render_template(
        "admin/privacy.html",
        known=known,
        values=typed.values,
        errors=typed.errors,
        rules=RULES,
        most=personal.SHOWN,
        mail_text=mail_text,
    )
    return page, 422 if typed.errors else 200


@bp.post("/operator/privacy/export")
@operator_may(DeskDuty.PEOPLE, fresh=True)
@_taken
def privacy_export() -> ResponseReturnValue:
    """Hand out all that is kept about somebody who asked for it."""
    typed = Typed(request.form)
    email = typed.email("email")
    why = typed.line("why", longest=500, missing=gettext("Please write the reason."))
    if typed.errors:
        return _page(typed, email)
    found = personal.known(db.session(), email)
    if found.is_nothing:
        typed.errors[""] = gettext("Nothing is kept about this address.")
        return _page(typed, email)
    user_id = found.user.id if found.user else None
    _keep(email, personal.EXPORTED, why)
    return download(email, user_id, guests=True, now=platform().clock())


@bp.post("/operator/privacy/erase")
@operator_may(DeskDuty.PEOPLE, fresh=True)
def privacy_erase() -> ResponseReturnValue:
    """Ask for the erasure of somebody's data; a second operator must approve."""
    typed = Typed(request.form)
    email = typed.email("email")
    reason = typed.lines("reason", longest=2000, missing=gettext("Please write the reason."))
    if not typed.errors:
        try:
            with unit_of_work() as session:
                made = erasing.ask(
                    session,
                    email,
                    reason=reason,
                    actor=current_user.email,
                    now=platform().clock(),
                ).id
        except ServiceError as error:
            typed.errors[""] = gettext(error.message, **error.values)
        else:
            flash(gettext("Asked for. Another operator must approve it."), "success")
            return redirect(url_for("admin.proposal", proposal_id=made))
    return _page(typed, email)


@describes(ProposalKind.ERASURE)
def _erasure(session: Session, proposal: Proposal) -> Described:
    if "historic_id" in proposal.payload:
        return earlier.described(session, int(proposal.payload["historic_id"]))
    email = str(proposal.payload.get("email", ""))
    if not email:
        return Described(
            what=gettext("The personal data were erased. Nothing here says whose they were.")
        )
    return Described(
        what=gettext("Erase what is kept about %(email)s.", email=email),
        effects=[
            gettext(
                "Name, address, e-mail, tax and purchase-order numbers, mails, cases and "
                "documents are blanked; an account is closed. Nobody can bring them back."
            ),
            gettext(
                "Serial numbers, amounts, payments, the audit trail and what the purchaser had "
                "published stay; receipts stay for ten years."
            ),
            gettext(
                "The PDF of an attestation goes, unless all it says is public. Its hash stays, "
                "so a copy can still be checked."
            ),
        ],
    )

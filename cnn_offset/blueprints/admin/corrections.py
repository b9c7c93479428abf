"""Corrections that purchasers ask for: compared, then proposed to a second operator or refused."""

from __future__ import annotations

from typing import Final

from flask import flash, redirect, render_template, request, url_for
from flask.typing import ResponseReturnValue
from flask_babel import gettext
from flask_security import current_user
from sqlalchemy.orm import Session

from cnn_offset.blueprints.admin.desk import bp
from cnn_offset.blueprints.admin.proposed import Change, Described, describes
from cnn_offset.blueprints.orders.correct import read_texts
from cnn_offset.domain.staff import DeskDuty
from cnn_offset.domain.status import CorrectionStatus
from cnn_offset.extensions import db, platform, unit_of_work
from cnn_offset.guards import operator_may
from cnn_offset.models import Correction, Order, Proposal, ProposalKind
from cnn_offset.services import ServiceError, correcting, proposing
from cnn_offset.services.ordering import order_by_code
from cnn_offset.services.reviewing import compared
from cnn_offset.typed import Typed
from cnn_offset.web import last_shown, row_id

PAGE: Final = 50
_CORRECTION: Final = f"/operator/corrections/<int(max={2**63 - 1}):correction_id>"


@bp.get("/operator/corrections")
def corrections() -> ResponseReturnValue:
    """List what is asked for, oldest first, then what was decided."""
    asked = correcting.asked(
        db.session(), after=request.args.get("after", type=row_id), limit=PAGE + 1
    )
    decided = correcting.decided(
        db.session(), before=request.args.get("before", type=row_id), limit=PAGE + 1
    )
    return render_template(
        "admin/corrections.html",
        asked=asked[:PAGE],
        newer=last_shown(asked, PAGE),
        decided=decided[:PAGE],
        older=last_shown(decided, PAGE),
    )


@bp.get(_CORRECTION)
def correction(correction_id: int) -> ResponseReturnValue:
    """Show what is asked for beside what the attestation says."""
    found = correcting.find(db.session(), correction_id)
    typed = Typed(request.form)
    typed.values.update(beneficiary=found.beneficiary, reason=found.reason)
    return _page(found, typed)


def _page(found: Correction, typed: Typed) -> ResponseReturnValue:
    pairs = (
        (gettext("In the name of"), "beneficiary", found.beneficiary),
        (gettext("Reason"), "reason", found.reason),
    )
    data = found.attestation.data
    page = render_template(
        "admin/correction.html",
        correction=found,
        compared=[
            (label, *compared(data[name], wanted))
            for label, name, wanted in pairs
            if data[name] != wanted
        ],
        proposal=proposing.waiting_for(db.session(), ProposalKind.CORRECTION, found),
        waits=found.status is CorrectionStatus.ASKED,
        may=current_user.may(DeskDuty.ORDERS),
        values=typed.values,
        errors=typed.errors,
    )
    return page, 422 if typed.errors else 200


@bp.post(f"{_CORRECTION}/propose")
@operator_may(DeskDuty.ORDERS, fresh=True)
def propose_correction(correction_id: int) -> ResponseReturnValue:
    """Propose new texts to a second operator."""
    correcting.find(db.session(), correction_id)
    typed = Typed(request.form)
    texts = read_texts(typed)
    why = typed.lines("why", longest=500, missing=gettext("Please write the reason."))
    if not typed.errors:
        try:
            with unit_of_work() as session:
                made = correcting.propose(
                    session,
                    correcting.find(session, correction_id),
                    texts,
                    reason=why,
                    actor=current_user.email,
                    now=platform().clock(),
                )
                proposal_id = made.id
        except ServiceError as error:
            typed.errors[""] = gettext(error.message, **error.values)
    if typed.errors:
        return _page(correcting.find(db.session(), correction_id), typed)
    flash(gettext("Proposed. Another operator must approve it."), "success")
    return redirect(url_for("admin.proposal", proposal_id=proposal_id))


@bp.post(f"{_CORRECTION}/refuse")
@operator_may(DeskDuty.ORDERS)
def refuse_correction(correction_id: int) -> ResponseReturnValue:
    """Refuse what was asked for; the purchaser is mailed the reason."""
    found = correcting.find(db.session(), correction_id)
    typed = Typed(request.form)
    typed.values.update(beneficiary=found.beneficiary, reason=found.reason)
    answer = typed.lines("answer", longest=2000, missing=gettext("Please write the reason."))
    if not typed.errors:
        try:
            with unit_of_work() as session:
                correcting.refuse(
                    session,
                    correcting.find(session, correction_id),
                    answer,
                    actor=current_user.email,
                    now=platform().clock(),
                )
        except ServiceError as error:
            typed.errors[""] = gettext(error.message, **error.values)
    if typed.errors:
        return _page(correcting.find(db.session(), correction_id), typed)
    flash(gettext("Refused. The purchaser is told by mail."), "success")
    return redirect(url_for("admin.corrections"))


@bp.route("/operator/orders/<code>/correct", methods=["GET", "POST"])
@operator_may(DeskDuty.ORDERS)
def ask_correction(code: str) -> ResponseReturnValue:
    """Take down a correction that a purchaser asked for by mail or telephone."""
    order = order_by_code(db.session(), code)
    typed = Typed(request.form)
    if request.method == "GET":
        typed.values.update(beneficiary=order.beneficiary, reason=order.reason)
        return _asking(order, typed)
    texts = read_texts(typed)
    remark = typed.lines("remark", longest=1000)
    if not typed.errors:
        try:
            with unit_of_work() as session:
                made = correcting.ask(
                    session,
                    session.get_one(Order, order.id),
                    texts,
                    remark,
                    actor=current_user.email,
                    now=platform().clock(),
                )
                correction_id = made.id
        except ServiceError as error:
            typed.errors[""] = gettext(error.message, **error.values)
    if typed.errors:
        return _asking(order_by_code(db.session(), code), typed)
    flash(gettext("Taken down. Now compare, and propose it to a second operator."), "success")
    return redirect(url_for("admin.correction", correction_id=correction_id))


def _asking(order: Order, typed: Typed) -> ResponseReturnValue:
    page = render_template(
        "admin/correction_ask.html",
        order=order,
        attestation=correcting.correctable(db.session(), order),
        waits=correcting.open_request(db.session(), order),
        values=typed.values,
        errors=typed.errors,
    )
    return page, 422 if typed.errors else 200


@describes(ProposalKind.CORRECTION)
def _correction(session: Session, proposal: Proposal) -> Described:
    found = correcting.find(session, proposal.subject_id)
    payload = proposal.payload
    # Empty once the purchaser's data are erased.
    was = payload.get("was", ("", ""))
    wanted = (payload.get("beneficiary", ""), payload.get("reason", ""))
    names = (gettext("In the name of"), gettext("Reason"))
    changes = [
        Change(name, old, new)
        for name, old, new in zip(names, was, wanted, strict=True)
        if old != new
    ]
    return Described(
        gettext(
            "Issue a corrected attestation in place of %(number)s.", number=found.attestation.number
        ),
        changes,
        [
            gettext(
                "A new attestation with a number of its own is issued and mailed to the "
                "purchaser. Units, quantity and serial numbers stay the same."
            ),
            gettext(
                "The old one stays in the public record, marked as replaced. Everybody can read "
                "the reason given here."
            ),
            gettext("This cannot be taken back."),
        ],
        (
            gettext("The request"),
            url_for("admin.correction", correction_id=found.id),
        ),
    )

"""Steps for two persons: what one operator asked for, decided by another."""

from __future__ import annotations

from typing import Final

from flask import flash, redirect, render_template, request, url_for
from flask.typing import ResponseReturnValue
from flask_babel import gettext
from flask_security import current_user

from cnn_offset.blueprints.admin.desk import bp
from cnn_offset.blueprints.admin.proposed import KINDS, described
from cnn_offset.domain.staff import DeskDuty
from cnn_offset.domain.status import ProposalStatus
from cnn_offset.extensions import db, platform, unit_of_work
from cnn_offset.guards import operator_may_by
from cnn_offset.models import Proposal
from cnn_offset.services import ServiceError, proposing
from cnn_offset.typed import Typed
from cnn_offset.web import last_shown, row_id

PAGE: Final = 50
_PROPOSAL: Final = f"/operator/proposals/<int(max={2**63 - 1}):proposal_id>"


@bp.get("/operator/proposals")
def proposals() -> ResponseReturnValue:
    """List what waits for a second operator, oldest first, then what was decided."""
    waiting = proposing.waiting(
        db.session(), after=request.args.get("after", type=row_id), limit=PAGE + 1
    )
    decided = proposing.decided(
        db.session(), before=request.args.get("before", type=row_id), limit=PAGE + 1
    )
    return render_template(
        "admin/proposals.html",
        waiting=waiting[:PAGE],
        newer=last_shown(waiting, PAGE),
        decided=decided[:PAGE],
        older=last_shown(decided, PAGE),
        kinds=KINDS,
    )


@bp.get(_PROPOSAL)
def proposal(proposal_id: int) -> ResponseReturnValue:
    """Show what is proposed, in plain words, and what can be done about it."""
    return _page(proposing.find(db.session(), proposal_id))


def _page(found: Proposal, typed: Typed | None = None) -> ResponseReturnValue:
    duty = proposing.DUTIES[found.kind]
    page = render_template(
        "admin/proposal.html",
        proposal=found,
        kind=KINDS[found.kind],
        told=described(db.session(), found),
        waits=found.status is ProposalStatus.WAITING,
        own=found.asked_by == current_user.email,
        may=current_user.may(duty),
        values=typed.values if typed else {},
        errors=typed.errors if typed else {},
    )
    return page, 422 if typed and typed.errors else 200


def _duty(proposal_id: int) -> DeskDuty:
    return proposing.DUTIES[proposing.find(db.session(), proposal_id).kind]


@bp.post(f"{_PROPOSAL}/approve")
@operator_may_by(_duty, fresh=True)
def proposal_approve(proposal_id: int) -> ResponseReturnValue:
    """Do what another operator proposed."""
    try:
        with unit_of_work() as session:
            done = proposing.approve(
                session,
                proposing.find(session, proposal_id),
                actor=current_user.email,
                now=platform().clock(),
            )
    except ServiceError as error:
        typed = Typed(request.form)
        typed.errors[""] = gettext(error.message, **error.values)
        return _page(proposing.find(db.session(), proposal_id), typed)
    return _decided(proposal_id, done, gettext("Approved. It is being done."))


@bp.post(f"{_PROPOSAL}/refuse")
@operator_may_by(_duty, fresh=True)
def proposal_refuse(proposal_id: int) -> ResponseReturnValue:
    """Refuse what was proposed, with a reason; whoever asked for it withdraws it so."""
    typed = Typed(request.form)
    reason = typed.lines("reason", longest=2000, missing=gettext("Please write the reason."))
    if typed.errors:
        return _page(proposing.find(db.session(), proposal_id), typed)
    with unit_of_work() as session:
        done = proposing.refuse(
            session,
            proposing.find(session, proposal_id),
            reason,
            actor=current_user.email,
            now=platform().clock(),
        )
    return _decided(proposal_id, done, gettext("Noted. Nothing is done."))


def _decided(proposal_id: int, done: bool, words: str) -> ResponseReturnValue:
    if done:
        flash(words, "success")
    else:
        flash(gettext("Somebody else decided this before you. Please see below."), "info")
    return redirect(url_for("admin.proposal", proposal_id=proposal_id))

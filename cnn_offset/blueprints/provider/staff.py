"""The provider's staff: who they are, inviting, changing roles, removing."""

from __future__ import annotations

from typing import Final

from email_validator import EmailNotValidError, validate_email
from flask import flash, redirect, render_template, request, url_for
from flask.typing import ResponseReturnValue
from flask_babel import gettext
from flask_security import current_user

from cnn_offset.accounts import sign_out
from cnn_offset.blueprints.provider.workspace import bp
from cnn_offset.domain.staff import Duty, StaffRole
from cnn_offset.extensions import db, limiter, platform, unit_of_work
from cnn_offset.guards import staff_may
from cnn_offset.i18n import language
from cnn_offset.invitations import new_nonce, token_hash, token_of
from cnn_offset.models import User
from cnn_offset.services import ServiceError, staffing

_ID: Final = f"int(max={2**63 - 1})"
invitations = limiter.limit(
    "30 per day", key_func=lambda: f"provider {current_user.provider_id}", methods=["POST"]
)


@bp.get("/provider/staff")
def staff() -> ResponseReturnValue:
    """List the people, and the invitations that are open."""
    provider_id = current_user.provider_id
    session, now = db.session(), platform().clock()
    return render_template(
        "provider/staff.html",
        people=staffing.staff_of(session, provider_id),
        invitations=staffing.open_invitations(session, provider_id, now=now),
        may=current_user.may(Duty.STAFF),
    )


@bp.route("/provider/staff/invite", methods=["GET", "POST"])
@staff_may(Duty.STAFF, fresh=True)
@invitations
def staff_invite() -> ResponseReturnValue:
    """Invite somebody by e-mail."""
    errors: dict[str, str] = {}
    if request.method == "POST":
        role, email = _typed_role(errors), ""
        try:
            typed = request.form.get("email", "").strip()
            email = validate_email(typed, check_deliverability=False).normalized.lower()
        except EmailNotValidError:
            errors["email"] = gettext(
                "Please enter an e-mail address in full, such as name@example.org."
            )
        if not errors and role is not None:
            nonce, actor_id = new_nonce(), current_user.id
            try:
                with unit_of_work() as session:
                    staffing.invite(
                        session,
                        session.get_one(User, actor_id),
                        email,
                        role,
                        nonce=nonce,
                        token_hash=token_hash(token_of(nonce)),
                        locale=language(),
                        now=platform().clock(),
                    )
            except ServiceError as error:
                errors["email"] = gettext(error.message, **error.values)
            else:
                flash(gettext("The invitation to %(email)s is on its way.", email=email), "success")
                return redirect(url_for("provider.staff"))
    page = render_template("provider/staff_invite.html", errors=errors, roles=list(StaffRole))
    return page, 422 if errors else 200


@bp.post(f"/provider/staff/invitations/<{_ID}:invitation_id>/withdraw")
@staff_may(Duty.STAFF, fresh=True)
def staff_withdraw(invitation_id: int) -> ResponseReturnValue:
    """Let an invitation be worth nothing any more."""
    actor_id = current_user.id
    with unit_of_work() as session:
        actor = session.get_one(User, actor_id)
        staffing.withdraw_invitation(session, actor, invitation_id, now=platform().clock())
    flash(gettext("The invitation is withdrawn."), "success")
    return redirect(url_for("provider.staff"))


@bp.route(f"/provider/staff/<{_ID}:user_id>", methods=["GET", "POST"])
@staff_may(Duty.STAFF, fresh=True)
def staff_member(user_id: int) -> ResponseReturnValue:
    """Show one of the staff, and change the role."""
    errors: dict[str, str] = {}
    if request.method == "POST":
        role, actor_id = _typed_role(errors), current_user.id
        if role is not None:
            try:
                with unit_of_work() as session:
                    actor = session.get_one(User, actor_id)
                    staffing.change_role(session, actor, user_id, role, now=platform().clock())
            except ServiceError as error:
                errors["role"] = gettext(error.message, **error.values)
            else:
                flash(gettext("The role is changed."), "success")
                return redirect(url_for("provider.staff"))
    return _member_page(user_id, errors)


@bp.post(f"/provider/staff/<{_ID}:user_id>/remove")
@staff_may(Duty.STAFF, fresh=True)
def staff_remove(user_id: int) -> ResponseReturnValue:
    """Take somebody off the staff; one's own leaving ends one's session."""
    actor_id = current_user.id
    try:
        with unit_of_work() as session:
            actor = session.get_one(User, actor_id)
            staffing.remove(session, actor, user_id, now=platform().clock())
    except ServiceError as error:
        return _member_page(user_id, {"": gettext(error.message, **error.values)})
    if user_id == actor_id:
        sign_out()
        flash(gettext("You belong to the staff no more."), "success")
        return redirect(url_for("security.login"))
    flash(gettext("The person is removed, and every session of theirs is ended."), "success")
    return redirect(url_for("provider.staff"))


def _typed_role(errors: dict[str, str]) -> StaffRole | None:
    try:
        return StaffRole(request.form.get("role", ""))
    except ValueError:
        errors["role"] = gettext("Please choose a role.")
        return None


def _member_page(user_id: int, errors: dict[str, str]) -> ResponseReturnValue:
    person = staffing.member(db.session(), current_user.provider_id, user_id)
    page = render_template(
        "provider/staff_member.html", person=person, errors=errors, roles=list(StaffRole)
    )
    return page, 422 if errors else 200

"""The operators: who they are, inviting, changing roles, removing, helping who is shut out."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from flask import flash, redirect, render_template, request, url_for
from flask.typing import ResponseReturnValue
from flask_babel import gettext
from flask_security import current_user
from sqlalchemy.orm import Session

from cnn_offset.accounts import sign_out
from cnn_offset.blueprints.admin.desk import bp
from cnn_offset.domain.staff import DeskDuty, OperatorRole
from cnn_offset.extensions import db, limiter, platform, unit_of_work
from cnn_offset.guards import operator_may
from cnn_offset.i18n import LANGUAGES, language
from cnn_offset.invitations import new_nonce, token_hash, token_of
from cnn_offset.models import User
from cnn_offset.services import ServiceError, operating
from cnn_offset.typed import Typed

_ID: Final = f"int(max={2**63 - 1})"
_PERSON: Final = f"/operator/people/<{_ID}:user_id>"
invitations = limiter.limit(
    "30 per day", key_func=lambda: f"operator {current_user.id}", methods=["POST"]
)


@bp.get("/operator/people")
@operator_may(DeskDuty.PEOPLE)
def people() -> ResponseReturnValue:
    """List the operators, and the invitations that are open."""
    session, now = db.session(), platform().clock()
    return render_template(
        "admin/people.html",
        people=operating.operators(session),
        invitations=operating.open_invitations(session, now=now),
    )


@bp.route("/operator/people/invite", methods=["GET", "POST"])
@operator_may(DeskDuty.PEOPLE, fresh=True)
@invitations
def people_invite() -> ResponseReturnValue:
    """Invite somebody to the desk by e-mail."""
    typed = Typed(request.form)
    if request.method == "POST":
        email, role, locale = typed.email("email"), _role(typed), _locale(typed)
        if not typed.errors and role is not None:
            nonce, actor_id = new_nonce(), current_user.id
            try:
                with unit_of_work() as session:
                    operating.invite(
                        session,
                        session.get_one(User, actor_id),
                        email,
                        role,
                        nonce=nonce,
                        token_hash=token_hash(token_of(nonce)),
                        locale=locale,
                        now=platform().clock(),
                    )
            except ServiceError as error:
                typed.errors["email"] = gettext(error.message, **error.values)
            else:
                flash(gettext("The invitation to %(email)s is on its way.", email=email), "success")
                return redirect(url_for("admin.people"))
    page = render_template(
        "admin/people_invite.html",
        values={"locale": language(), **typed.values},
        errors=typed.errors,
        roles=list(OperatorRole),
    )
    return page, 422 if typed.errors else 200


def _role(typed: Typed) -> OperatorRole | None:
    role = typed.choice("role", set(OperatorRole), gettext("Please choose a role."))
    return OperatorRole(role) if not typed.errors.get("role") else None


def _locale(typed: Typed) -> str:
    return typed.choice("locale", LANGUAGES, gettext("Please choose a language."))


@bp.post(f"/operator/people/invitations/<{_ID}:invitation_id>/withdraw")
@operator_may(DeskDuty.PEOPLE, fresh=True)
def people_withdraw(invitation_id: int) -> ResponseReturnValue:
    """Let an invitation be worth nothing any more."""
    actor_id = current_user.id
    with unit_of_work() as session:
        actor = session.get_one(User, actor_id)
        operating.withdraw_invitation(session, actor, invitation_id, now=platform().clock())
    flash(gettext("The invitation is withdrawn."), "success")
    return redirect(url_for("admin.people"))


@bp.get(_PERSON)
@operator_may(DeskDuty.PEOPLE)
def person(user_id: int) -> ResponseReturnValue:
    """Show one operator, and what can be changed."""
    return _page(user_id, {})


@bp.post(f"{_PERSON}/role")
@operator_may(DeskDuty.PEOPLE, fresh=True)
def person_role(user_id: int) -> ResponseReturnValue:
    """Give an operator another role."""
    typed = Typed(request.form)
    role = _role(typed)
    if role is None:
        return _page(user_id, typed.errors)

    def change(session: Session, actor: User) -> None:
        operating.change_role(session, actor, user_id, role, now=platform().clock())

    return _do(user_id, change, "role") or _done(gettext("The role is changed."))


@bp.post(f"{_PERSON}/remove")
@operator_may(DeskDuty.PEOPLE, fresh=True)
def person_remove(user_id: int) -> ResponseReturnValue:
    """Take somebody off the desk; one's own leaving ends one's session."""
    actor_id = current_user.id

    def remove(session: Session, actor: User) -> None:
        operating.remove(session, actor, user_id, now=platform().clock())

    failed = _do(user_id, remove)
    if failed is None and user_id == actor_id:
        sign_out()
        flash(gettext("You belong to the desk no more."), "success")
        return redirect(url_for("security.login"))
    return failed or _done(gettext("The person is removed, and every session of theirs is ended."))


@bp.post(f"{_PERSON}/sessions")
@operator_may(DeskDuty.PEOPLE, fresh=True)
def person_sessions(user_id: int) -> ResponseReturnValue:
    """End every session of an operator, as after a lost computer."""

    def end(session: Session, actor: User) -> None:
        operating.end_sessions_of(session, actor, user_id, now=platform().clock())

    return _do(user_id, end) or _done(gettext("Every session of theirs is ended."))


@bp.post(f"{_PERSON}/factor")
@operator_may(DeskDuty.PEOPLE, fresh=True)
def person_factor(user_id: int) -> ResponseReturnValue:
    """Remove the second factor that somebody has lost."""

    def reset(session: Session, actor: User) -> None:
        operating.reset_factor(session, actor, user_id, now=platform().clock())

    return _do(user_id, reset) or _done(
        gettext("The second factor is removed. The person sets up a new one at the next log-in.")
    )


def _do(
    user_id: int, change: Callable[[Session, User], None], field: str = ""
) -> ResponseReturnValue | None:
    """Do ``change`` in one unit of work; the page with the reason if it cannot be done."""
    actor_id = current_user.id
    try:
        with unit_of_work() as session:
            change(session, session.get_one(User, actor_id))
    except ServiceError as error:
        return _page(user_id, {field: gettext(error.message, **error.values)})
    return None


def _done(words: str) -> ResponseReturnValue:
    flash(words, "success")
    return redirect(url_for("admin.people"))


def _page(user_id: int, errors: dict[str, str]) -> ResponseReturnValue:
    page = render_template(
        "admin/person.html",
        person=operating.operator(db.session(), user_id),
        errors=errors,
        roles=list(OperatorRole),
        may_audit=current_user.may(DeskDuty.AUDIT),
    )
    return page, 422 if errors else 200

"""Following an invitation to a provider's staff, or to the operators' desk."""

from __future__ import annotations

import logging

from flask import flash, redirect, render_template, request, url_for
from flask.typing import ResponseReturnValue
from flask_babel import gettext
from flask_security import current_user, hash_password

from cnn_offset.accounts import sign_in
from cnn_offset.blueprints.security.door import bp, guesses, limited, new_password
from cnn_offset.extensions import db, platform, unit_of_work
from cnn_offset.i18n import language
from cnn_offset.invitations import token_hash
from cnn_offset.models import User
from cnn_offset.services import NotFoundError, ServiceError, joining, operating, staffing

log = logging.getLogger(__name__)


@bp.route("/account/invitation/<token>", methods=["GET", "POST"])
@limited(guesses)
def invitation(token: str) -> ResponseReturnValue:
    """Join those who invite, as the account of the address that was invited.

    Who has no account opens one here: the link has come to that address by mail, which
    confirms it.
    """
    hashed, now = token_hash(token), platform().clock()
    found = staffing.find_invitation(db.session(), hashed, now=now)
    if found is None:
        flash(gettext("This invitation is no longer valid. Please ask for a new one."), "error")
        return redirect(url_for("home.index"))
    email, to_desk = found.email, found.operator_role is not None
    user = joining.find_user(db.session(), email)
    known = user is not None and user.confirmed_at is not None
    signed_in = current_user.is_authenticated
    who = (
        "right" if signed_in and current_user.email == email
        else "other" if signed_in
        else "known" if known
        else "new"
    )  # fmt: skip
    errors: dict[str, str] = {}
    if request.method == "POST" and who in ("right", "new"):
        password = new_password(email, errors) if who == "new" else ""
        if not errors:
            try:
                joined = _join(email, hashed, password, to_desk=to_desk)
            except NotFoundError:
                flash(
                    gettext("This invitation is no longer valid. Please ask for a new one."),
                    "error",
                )
                return redirect(url_for("home.index"))
            except ServiceError as error:
                errors[""] = gettext(error.message, **error.values)
            else:
                if who == "new":
                    sign_in(joined, now)
                home = _welcome(joined)
                return redirect(url_for("account.second_factor", next=home))
        # What was read before has gone with the transaction.
        found = staffing.find_invitation(db.session(), hashed, now=now)
        if found is None:
            raise NotFoundError
    page = render_template("security/invitation.html", invitation=found, who=who, errors=errors)
    return page, 422 if errors else 200


def _welcome(joined: User) -> str:
    """Say where somebody belongs now, and return the way there."""
    log.info(
        "joined %s, user %s",
        f"staff of provider {joined.provider_id}" if joined.provider_id else "the desk",
        joined.id,
    )
    if joined.operator_role is not None:
        flash(gettext("You belong to the operators’ desk now."), "success")
        return url_for("admin.attention")
    provider = joined.provider.name if joined.provider else ""
    flash(gettext("You belong to the staff of %(provider)s now.", provider=provider), "success")
    return url_for("provider.home")


def _join(email: str, hashed: str, password: str, *, to_desk: bool) -> User:
    now = platform().clock()
    password_hash = hash_password(password) if password else ""
    with unit_of_work() as session:
        if password:
            user = joining.open_confirmed(session, email, password_hash, locale=language(), now=now)
        else:
            user = session.get_one(User, current_user.id)
        if to_desk:
            operating.join(session, user, hashed, now=now)
        else:
            staffing.join(session, user, hashed, now=now)
    return user

"""Choosing a new password with the link of a mail."""

from __future__ import annotations

import logging

from flask import flash, redirect, render_template, request, url_for
from flask.typing import ResponseReturnValue
from flask_babel import gettext
from flask_security import hash_password
from flask_security.recoverable import reset_password_token_status

from cnn_offset.accounts import sign_out
from cnn_offset.blueprints.security.door import (
    bp,
    guesses,
    limited,
    mails,
    new_password,
    typed_email,
)
from cnn_offset.extensions import platform, unit_of_work
from cnn_offset.i18n import language
from cnn_offset.models import User
from cnn_offset.services import joining

log = logging.getLogger(__name__)


@bp.route("/account/reset", methods=["GET", "POST"])
@limited(mails)
def forgot() -> ResponseReturnValue:
    """Ask for a link to choose a new password."""
    if request.method == "GET":
        return render_template("security/forgot.html", errors={})
    email, errors = typed_email()
    if errors:
        return render_template("security/forgot.html", errors=errors), 422
    with unit_of_work() as session:
        joining.ask_for_password(session, email, locale=language(), now=platform().clock())
    flash(gettext("We have sent a mail to %(email)s.", email=email), "success")
    return redirect(url_for("security.login"))


@bp.route("/account/reset/<token>", methods=["GET", "POST"])
@limited(guesses)
def reset(token: str) -> ResponseReturnValue:
    """Choose a new password, with the link of a mail."""
    expired, invalid, user = reset_password_token_status(token)  # type: ignore[no-untyped-call]
    if user is None or invalid or expired or not user.active:
        flash(gettext("This link is no longer valid. Please ask for a new one."), "error")
        return redirect(url_for("security.forgot"))
    if request.method == "GET":
        return render_template("security/reset.html", errors={})
    errors: dict[str, str] = {}
    password = new_password(user.email, errors)
    if errors:
        return render_template("security/reset.html", errors=errors), 422
    password_hash, user_id = hash_password(password), user.id
    with unit_of_work() as session:
        joining.set_password(
            session,
            session.get_one(User, user_id),
            password_hash,
            by_mail=True,
            locale=language(),
            now=platform().clock(),
        )
    sign_out()
    log.info("password reset, user %s", user_id)
    flash(gettext("Your new password is set. Please log in."), "success")
    return redirect(url_for("security.login"))

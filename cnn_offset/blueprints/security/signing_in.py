"""Logging in and out, registering, confirming an address."""

from __future__ import annotations

import logging

from flask import flash, redirect, render_template, request, url_for
from flask import session as browser
from flask.typing import ResponseReturnValue
from flask_babel import gettext
from flask_security import current_user, hash_password
from flask_security.confirmable import confirm_email_token_status

from cnn_offset.accounts import own_path, sign_out
from cnn_offset.blueprints.security.door import (
    account_typed,
    bp,
    enter,
    guesses,
    home_of,
    limited,
    mails,
    new_password,
    typed_email,
    verified,
)
from cnn_offset.extensions import db, platform, unit_of_work
from cnn_offset.i18n import language
from cnn_offset.models import User
from cnn_offset.services import joining

log = logging.getLogger(__name__)


@bp.route("/account/login", methods=["GET", "POST"])
@limited(guesses)
def login() -> ResponseReturnValue:
    """Log in, and go on where the visitor came from."""
    wanted = own_path(request.values.get("next"))
    if current_user.is_authenticated:
        return redirect(wanted or home_of(current_user))
    if request.method == "GET":
        return render_template("security/login.html", errors={}, next=wanted)
    user = verified(joining.find_user(db.session(), request.form.get("email", "")))
    if user is not None and user.confirmed_at is not None:
        return enter(user, wanted)
    if user is None:
        log.warning("log-in refused, account %.12s", account_typed())
        errors = {"email": gettext("E-mail address or password is not right. Please try again.")}
    else:
        with unit_of_work() as session:
            joining.ask_for_confirmation(session, user, locale=language(), now=platform().clock())
        errors = {
            "email": gettext(
                "Please confirm your address first. We have sent you the link once more."
            )
        }
    return render_template("security/login.html", errors=errors, next=wanted), 422


@bp.post("/account/logout")
def logout() -> ResponseReturnValue:
    """End every session of the account: a copied cookie is worthless afterwards."""
    if current_user.is_authenticated:
        user_id = current_user.id
        with unit_of_work() as session:
            user = session.get_one(User, user_id)
            joining.end_sessions(session, user, why="logged out", now=platform().clock())
        log.info("logged out, user %s", user_id)
    sign_out()
    flash(gettext("You are logged out."), "success")
    return redirect(url_for("home.index"))


@bp.route("/account/register", methods=["GET", "POST"])
@limited(mails)
def register() -> ResponseReturnValue:
    """Open an account; what follows comes by mail."""
    if current_user.is_authenticated:
        return redirect(home_of(current_user))
    if request.method == "GET":
        return render_template("security/register.html", errors={})
    email, errors = typed_email()
    password = new_password(email or "", errors)
    if errors:
        return render_template("security/register.html", errors=errors), 422
    password_hash = hash_password(password)
    with unit_of_work() as session:
        joining.register(session, email, password_hash, locale=language(), now=platform().clock())
    flash(
        gettext(
            "We have sent a mail to %(email)s. Please follow the link in it to finish.",
            email=email,
        ),
        "success",
    )
    # Whoever follows the link in this browser goes on where an account was asked for.
    browser["wanted"] = own_path(request.args.get("next"))
    return redirect(url_for("security.login", next=browser["wanted"] or None))


@bp.route("/account/confirm/<token>", methods=["GET", "POST"])
@limited(guesses)
def confirm(token: str) -> ResponseReturnValue:
    """Confirm an address.

    The password is asked for: else somebody who registered another's address would own
    the account as soon as its true owner follows the link.
    """
    expired, invalid, user = confirm_email_token_status(token)  # type: ignore[no-untyped-call]
    if user is None or invalid or expired:
        flash(gettext("This link is no longer valid. Log in, and we send you a new one."), "error")
        return redirect(url_for("security.login"))
    if user.confirmed_at is not None:
        flash(gettext("Your address is confirmed already. Please log in."), "info")
        return redirect(url_for("security.login"))
    if request.method == "GET":
        return render_template("security/confirm.html", errors={})
    if verified(user) is None:
        errors = {"password": gettext("This is not the password you chose. Please try again.")}
        return render_template("security/confirm.html", errors=errors), 422
    with unit_of_work() as session:
        joining.confirm(session, user, now=platform().clock())
    response = enter(user, own_path(browser.get("wanted")))
    flash(gettext("Your address is confirmed."), "success")
    return response

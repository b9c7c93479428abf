"""Logging in and out, registering, confirming an address, choosing a new password.

All answers are the same whether an address has an account or not.
"""

from __future__ import annotations

import hashlib
import logging
from collections.abc import Callable, Iterable

from email_validator import EmailNotValidError, validate_email
from flask import Blueprint, Response, flash, redirect, render_template, request, url_for
from flask.typing import ResponseReturnValue
from flask_babel import gettext
from flask_limiter.util import get_remote_address
from flask_security import current_user, hash_password, verify_password
from flask_security.confirmable import confirm_email_token_status
from flask_security.recoverable import reset_password_token_status

from cnn_offset.accounts import (
    normal_password,
    own_path,
    password_fault,
    sign_in,
    sign_out,
)
from cnn_offset.extensions import db, limiter, platform, security, unit_of_work
from cnn_offset.guards import guarded, private, public
from cnn_offset.i18n import language
from cnn_offset.models import User
from cnn_offset.services import joining

bp = guarded(Blueprint("security", __name__), public)
bp.after_request(private)
log = logging.getLogger(__name__)


def _account() -> str:
    """Name the account a form speaks of, without keeping its address."""
    typed = request.form.get("email", "").strip().lower() or str(request.view_args)
    return hashlib.sha256(typed.encode()).hexdigest()


def _account_here() -> str:
    return f"{get_remote_address()} {_account()}"


def _refused(response: Response) -> bool:
    return response.status_code == 422


# A stranger who guesses locks out only himself, unless he has many addresses: guesses are
# counted by account and address first, and by account alone far above that.
guesses = (
    limiter.limit("120 per hour", methods=["POST"]),
    limiter.limit(
        "5 per 15 minutes", key_func=_account_here, methods=["POST"], deduct_when=_refused
    ),
    limiter.limit("100 per hour", key_func=_account, methods=["POST"], deduct_when=_refused),
)
mails = (
    limiter.limit("30 per hour", methods=["POST"]),
    limiter.limit("4 per hour", key_func=_account, methods=["POST"]),
)


View = Callable[..., ResponseReturnValue]


def _limited(limits: Iterable[Callable[[View], View]]) -> Callable[[View], View]:
    def wrap(view: View) -> View:
        for each in limits:
            view = each(view)
        return view

    return wrap


@bp.route("/account/login", methods=["GET", "POST"])
@_limited(guesses)
def login() -> ResponseReturnValue:
    """Log in, and go on where the visitor came from."""
    wanted = own_path(request.values.get("next"))
    if current_user.is_authenticated:
        return redirect(wanted or _home(current_user))
    if request.method == "GET":
        return render_template("security/login.html", errors={}, next=wanted)
    user = _verified(joining.find_user(db.session(), request.form.get("email", "")))
    if user is not None and user.confirmed_at is not None:
        return _welcome(user, wanted)
    if user is None:
        log.warning("log-in refused, account %.12s", _account())
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


def _verified(user: User | None) -> User | None:
    """Return ``user`` if the password typed is theirs, after the same work in any case."""
    password = normal_password(request.form.get("password", ""))
    if user is None or not user.password:
        hash_password(password)
        return None
    if not verify_password(password, user.password) or not user.active:
        return None
    if security.pwd_context.needs_update(user.password):
        with unit_of_work() as session:
            session.get_one(User, user.id).password = hash_password(password)
    return user


def _welcome(user: User, wanted: str = "") -> ResponseReturnValue:
    sign_in(user, platform().clock())
    log.info("logged in, user %s", user.id)
    return redirect(wanted or _home(user))


def _home(user: User) -> str:
    """Where somebody's work is."""
    if user.has_role("operator"):
        return url_for("admin.orders")
    if user.has_role("provider") and user.provider_id:
        return url_for("provider.orders")
    return url_for("account.home")


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
@_limited(mails)
def register() -> ResponseReturnValue:
    """Open an account; what follows comes by mail."""
    if current_user.is_authenticated:
        return redirect(_home(current_user))
    if request.method == "GET":
        return render_template("security/register.html", errors={})
    email, errors = _typed_email()
    password = _new_password(email or "", errors)
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
    return redirect(url_for("security.login"))


def _typed_email() -> tuple[str, dict[str, str]]:
    typed = request.form.get("email", "").strip()
    try:
        return validate_email(typed, check_deliverability=False).normalized.lower(), {}
    except EmailNotValidError:
        return "", {
            "email": gettext("Please enter an e-mail address in full, such as name@example.org.")
        }


def _new_password(email: str, errors: dict[str, str]) -> str:
    """Return the new password; what is wrong with it goes into ``errors``."""
    password = normal_password(request.form.get("password", ""))
    fault = password_fault(password, email)
    if fault:
        errors["password"] = gettext(fault)
    return password


@bp.route("/account/confirm/<token>", methods=["GET", "POST"])
@_limited(guesses)
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
    if _verified(user) is None:
        errors = {"password": gettext("This is not the password you chose. Please try again.")}
        return render_template("security/confirm.html", errors=errors), 422
    with unit_of_work() as session:
        joining.confirm(session, user, now=platform().clock())
    response = _welcome(user)
    flash(gettext("Your address is confirmed."), "success")
    return response


@bp.route("/account/reset", methods=["GET", "POST"])
@_limited(mails)
def forgot() -> ResponseReturnValue:
    """Ask for a link to choose a new password."""
    if request.method == "GET":
        return render_template("security/forgot.html", errors={})
    email, errors = _typed_email()
    if errors:
        return render_template("security/forgot.html", errors=errors), 422
    with unit_of_work() as session:
        joining.ask_for_password(session, email, locale=language(), now=platform().clock())
    flash(gettext("We have sent a mail to %(email)s.", email=email), "success")
    return redirect(url_for("security.login"))


@bp.route("/account/reset/<token>", methods=["GET", "POST"])
@_limited(guesses)
def reset(token: str) -> ResponseReturnValue:
    """Choose a new password, with the link of a mail."""
    expired, invalid, user = reset_password_token_status(token)  # type: ignore[no-untyped-call]
    if user is None or invalid or expired or not user.active:
        flash(gettext("This link is no longer valid. Please ask for a new one."), "error")
        return redirect(url_for("security.forgot"))
    if request.method == "GET":
        return render_template("security/reset.html", errors={})
    errors: dict[str, str] = {}
    password = _new_password(user.email, errors)
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

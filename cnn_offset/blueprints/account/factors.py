"""The second factor of the own account: an app, passkeys, recovery codes."""

from __future__ import annotations

from flask import flash, redirect, render_template, request, session, url_for
from flask.typing import ResponseReturnValue
from flask_babel import gettext
from flask_security import current_user
from sqlalchemy.exc import IntegrityError

from cnn_offset import passkeys, second_factor
from cnn_offset.accounts import own_path
from cnn_offset.blueprints.account.desk import bp
from cnn_offset.blueprints.security.door import home_of, limited, proofs
from cnn_offset.blueprints.security.proving import authenticator, proof_errors, ways
from cnn_offset.domain.text import UnreadableTextError, clean_line
from cnn_offset.extensions import limiter, platform, unit_of_work
from cnn_offset.guards import prove
from cnn_offset.i18n import language
from cnn_offset.models import User
from cnn_offset.services import factors

NAME_LENGTH = 64
changes = limiter.limit("60 per hour", methods=["POST"])


@bp.route("/account/verify", methods=["GET", "POST"])
@limited(proofs)
def verify() -> ResponseReturnValue:
    """Ask somebody who is logged in for a proof once more, and lead back."""
    wanted = own_path(request.values.get("next"))
    errors = {}
    if request.method == "POST":
        second = second_factor.is_enrolled(current_user)
        errors = proof_errors(current_user)
        if not errors:
            second_factor.note_proof(platform().clock(), second=second)
            return redirect(wanted or home_of(current_user))
    page = render_template(
        "account/verify.html", errors=errors, next=wanted, ways=ways(current_user)
    )
    return page, 422 if errors else 200


@bp.get("/account/second-factor", endpoint="second_factor")
def second_factor_overview() -> ResponseReturnValue:
    """Show what the account has for a second factor, and what can be added."""
    wanted = own_path(request.args.get("next"))
    if wanted:
        session["after_factor"] = wanted
    return render_template(
        "account/second_factor.html",
        enrolled=second_factor.is_enrolled(current_user),
        codes_left=len(current_user.mf_recovery_codes or ()),
        most=factors.MOST_PASSKEYS,
        wanted=session.get("after_factor", ""),
    )


@bp.route("/account/second-factor/app", methods=["GET", "POST"])
@limited(proofs)
def set_up_app() -> ResponseReturnValue:
    """Show a secret for an authenticator app; it holds once a code of it was typed."""
    asked = prove()
    if asked is not None:
        return asked
    secret = session.get("new_app")
    if not secret:
        secret = session["new_app"] = second_factor.new_secret()
    errors = {}
    if request.method == "POST":
        now, user_id = platform().clock(), current_user.id
        step = second_factor.time_step(secret, request.form.get("code", "")[:20], now)
        if step is not None:
            with unit_of_work() as writing:
                user = writing.get_one(User, user_id)
                first = not second_factor.is_enrolled(user)
                factors.add_app(writing, user, secret, step, locale=language(), now=now)
                if first:
                    second_factor.renew_recovery_codes(user)
            del session["new_app"]
            flash(gettext("Your app is set up."), "success")
            return _added(first=first)
        errors["code"] = gettext(
            "This code is not right. Enter the one your app shows now; "
            "if it is refused again, compare the clock of your device."
        )
    setup = second_factor.setup_of(secret, current_user.email)
    page = render_template(
        "account/app.html", errors=errors, setup=setup, authenticator=authenticator(setup["plain"])
    )
    return page, 422 if errors else 200


@bp.route("/account/second-factor/passkeys", methods=["GET", "POST"])
@changes
def add_passkey() -> ResponseReturnValue:
    """Have the browser make a passkey."""
    asked = prove()
    if asked is not None:
        return asked
    if len(current_user.webauthn) >= factors.MOST_PASSKEYS:
        flash(gettext("Please remove a passkey before you add another."), "error")
        return redirect(url_for("account.second_factor"))
    errors = {}
    if request.method == "POST":
        now, user_id, name = platform().clock(), current_user.id, _typed_name()
        try:
            with unit_of_work() as writing:
                user = writing.get_one(User, user_id)
                first = not second_factor.is_enrolled(user)
                made = passkeys.made(user, request.form.get("credential", ""), name, now)
                if made is not None:
                    factors.add_passkey(writing, user, made, locale=language(), now=now)
                    if first:
                        second_factor.renew_recovery_codes(user)
        except IntegrityError:  # an authenticator that hands out what it gave somebody else
            made = None
        if made is not None:
            flash(gettext("The passkey “%(name)s” is added.", name=name), "success")
            return _added(first=first)
        errors["credential"] = gettext("The passkey was not accepted. Please try again.")
    page = render_template(
        "account/passkey.html",
        errors=errors,
        elsewhere=passkeys.elsewhere(),
        options=passkeys.creation_options(current_user, platform().clock()),
    )
    return page, 422 if errors else 200


def _typed_name() -> str:
    """Return what the passkey is to be called; the device has made it, so any name will do."""
    try:
        name = clean_line(request.form.get("name", ""))
    except UnreadableTextError:
        name = ""
    return name[:NAME_LENGTH] or gettext("Passkey")


def _added(*, first: bool) -> ResponseReturnValue:
    """Count the new factor as proved; after the first one, show recovery codes."""
    second_factor.note_proof(platform().clock(), second=True)
    if first:
        session["show_codes"] = True
        return redirect(url_for("account.recovery_codes"))
    return redirect(url_for("account.second_factor"))


@bp.get("/account/second-factor/codes")
def recovery_codes() -> ResponseReturnValue:
    """Show new recovery codes, once."""
    if not session.pop("show_codes", False):
        flash(gettext("Recovery codes are shown once. If you have lost yours, renew them."), "info")
        return redirect(url_for("account.second_factor"))
    return render_template(
        "account/codes.html",
        codes=second_factor.recovery_codes(current_user),
        wanted=session.pop("after_factor", ""),
    )


@bp.post("/account/second-factor/codes")
@changes
def renew_codes() -> ResponseReturnValue:
    """Make ten new recovery codes; the old ones count no more."""
    if not second_factor.is_enrolled(current_user):
        return redirect(url_for("account.second_factor"))
    asked = prove()
    if asked is not None:
        return asked
    user_id = current_user.id
    with unit_of_work() as writing:
        user = writing.get_one(User, user_id)
        second_factor.renew_recovery_codes(user)
        factors.tell_renewal(writing, user, locale=language(), now=platform().clock())
    session["show_codes"] = True
    return redirect(url_for("account.recovery_codes"))


@bp.post("/account/second-factor/app/remove")
@changes
def remove_app() -> ResponseReturnValue:
    """Take the app's codes no more."""
    asked = prove()
    if asked is not None:
        return asked
    user_id = current_user.id
    with unit_of_work() as writing:
        user = writing.get_one(User, user_id)
        factors.remove_app(writing, user, locale=language(), now=platform().clock())
    flash(gettext("The app is removed."), "success")
    return redirect(url_for("account.second_factor"))


@bp.post("/account/second-factor/passkeys/<int:passkey_id>/remove")
@changes
def remove_passkey(passkey_id: int) -> ResponseReturnValue:
    """Take a passkey no more."""
    asked = prove()
    if asked is not None:
        return asked
    user_id = current_user.id
    with unit_of_work() as writing:
        user = writing.get_one(User, user_id)
        factors.remove_passkey(writing, user, passkey_id, locale=language(), now=platform().clock())
    flash(gettext("The passkey is removed."), "success")
    return redirect(url_for("account.second_factor"))


@bp.post("/account/second-factor/off")
@changes
def turn_off() -> ResponseReturnValue:
    """Leave the account with its password alone."""
    asked = prove()
    if asked is not None:
        return asked
    user_id = current_user.id
    with unit_of_work() as writing:
        user = writing.get_one(User, user_id)
        factors.turn_off(writing, user, locale=language(), now=platform().clock())
    flash(gettext("Your account has no second factor any more."), "success")
    return redirect(url_for("account.second_factor"))

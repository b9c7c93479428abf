"""Taking the own data along, and giving up the account."""

from __future__ import annotations

from flask import flash, redirect, render_template, request, url_for
from flask.typing import ResponseReturnValue
from flask_babel import gettext
from flask_security import current_user

from cnn_offset.accounts import sign_out
from cnn_offset.blueprints.account.desk import bp
from cnn_offset.extensions import limiter, platform, unit_of_work
from cnn_offset.guards import prove
from cnn_offset.models import User
from cnn_offset.personal_files import download
from cnn_offset.services import ServiceError, closing, personal
from cnn_offset.services.moves import note


@bp.get("/account/data")
def data() -> ResponseReturnValue:
    """Say what is kept, and how to take it along or give the account up."""
    return prove() or render_template("account/data.html")


@bp.post("/account/data/export")
@limiter.limit("10 per hour")
def export() -> ResponseReturnValue:
    """Hand out everything that the account has, as a file."""
    asked = prove()
    if asked is not None:
        return asked
    user_id, email, now = current_user.id, current_user.email, platform().clock()
    with unit_of_work() as session:
        user = session.get_one(User, user_id)
        note(session, user, old="", new=personal.EXPORTED, actor=email, why="own", now=now)
    return download(email, user_id, guests=False, now=now)


@bp.route("/account/close", methods=["GET", "POST"])
@limiter.limit("10 per hour", methods=["POST"])
def close() -> ResponseReturnValue:
    """Say what closing the account means, and do it."""
    asked = prove()
    if asked is not None:
        return asked
    errors: dict[str, str] = {}
    if request.method == "POST":
        if request.form.get("sure") != "yes":
            errors["sure"] = gettext("Please say that you want to close your account.")
        else:
            try:
                _close()
            except ServiceError as error:
                errors[""] = gettext(error.message, **error.values)
            else:
                sign_out()
                flash(gettext("Your account is closed. Thank you for having been here."), "success")
                return redirect(url_for("home.index"))
    return render_template("account/close.html", errors=errors), 422 if errors else 200


def _close() -> None:
    user_id = current_user.id
    with unit_of_work() as session:
        user = session.get_one(User, user_id)
        closing.close(session, user, actor=f"user {user_id}", tell=True, now=platform().clock())

"""The own orders, and the password."""

from __future__ import annotations

from flask import flash, redirect, render_template, request, session, url_for
from flask.typing import ResponseReturnValue
from flask_babel import gettext
from flask_security import current_user, hash_password, verify_password
from sqlalchemy import select
from sqlalchemy.orm import selectinload

from cnn_offset.accounts import normal_password, password_fault, sign_in
from cnn_offset.blueprints.account.desk import bp
from cnn_offset.extensions import db, limiter, platform, unit_of_work
from cnn_offset.i18n import language
from cnn_offset.models import Order, User
from cnn_offset.services import joining
from cnn_offset.web import last_shown, row_id

PAGE = 50


@bp.get("/account")
def home() -> ResponseReturnValue:
    """Show the orders placed while logged in, newest first.

    Orders of guests with the same address are not added: their address was never
    confirmed, and it may have been mistyped.
    """
    wanted = select(Order).where(Order.user_id == current_user.id)
    before = request.args.get("before", type=row_id)
    if before:
        wanted = wanted.where(Order.id < before)
    found = db.session.scalars(
        wanted.options(selectinload(Order.lines), selectinload(Order.provider))
        .order_by(Order.id.desc())
        .limit(PAGE + 1)
    ).all()
    older = last_shown(found, PAGE)
    return render_template("account/home.html", orders=found[:PAGE], older=older)


@bp.route("/account/password", methods=["GET", "POST"])
@limiter.limit("10 per hour", methods=["POST"])
def password() -> ResponseReturnValue:
    """Change the password; every other session ends."""
    if request.method == "GET":
        return render_template("account/password.html", errors={})
    errors = {}
    if not verify_password(normal_password(request.form.get("current", "")), current_user.password):
        errors["current"] = gettext("This is not your password. Please try again.")
    wanted = normal_password(request.form.get("password", ""))
    fault = password_fault(wanted, current_user.email)
    if fault:
        errors["password"] = gettext(fault)
    if errors:
        return render_template("account/password.html", errors=errors), 422
    now, user_id, password_hash = platform().clock(), current_user.id, hash_password(wanted)
    with unit_of_work() as writing:
        user = writing.get_one(User, user_id)
        joining.set_password(
            writing, user, password_hash, by_mail=False, locale=language(), now=now
        )
    # A new password is no new proof by the second factor.
    proof = {name: session[name] for name in ("proved_at", "second") if name in session}
    sign_in(user, now)
    session.update(proof)
    flash(gettext("Your password is changed."), "success")
    return redirect(url_for("account.home"))

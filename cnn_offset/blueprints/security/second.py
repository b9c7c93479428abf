"""Logging in, the second step: what an account with a second factor is asked after the password."""

from __future__ import annotations

from flask import flash, redirect, render_template, request, url_for
from flask.typing import ResponseReturnValue
from flask_babel import gettext
from flask_security import current_user

from cnn_offset import second_factor
from cnn_offset.blueprints.security.door import bp, home_of, limited, proofs, welcome
from cnn_offset.blueprints.security.proving import proof_errors, ways
from cnn_offset.extensions import db, platform


@bp.route("/account/login/second", methods=["GET", "POST"])
@limited(proofs)
def second() -> ResponseReturnValue:
    """Ask for the second factor, after the password and before anybody is logged in."""
    if current_user.is_authenticated:
        return redirect(home_of(current_user))
    user, wanted = second_factor.half_way(db.session(), platform().clock())
    if user is None:
        flash(gettext("That took too long. Please log in again."), "info")
        return redirect(url_for("security.login"))
    errors = {}
    if request.method == "POST":
        errors = proof_errors(user)
        if not errors:
            return welcome(user, wanted, second=True)
    page = render_template("security/second.html", errors=errors, **ways(user))
    return page, 422 if errors else 200

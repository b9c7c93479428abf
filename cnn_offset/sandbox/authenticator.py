"""A simulated authenticator app: paste a key, see the code that it makes now."""

from __future__ import annotations

import time

from flask import Blueprint, make_response, render_template, request
from flask.typing import ResponseReturnValue
from passlib.totp import TOTP

bp = Blueprint("authenticator", __name__)
STEP = 30


@bp.get("/authenticator")
def show() -> ResponseReturnValue:
    """Show the code of a key, and come again when the next one begins."""
    typed = request.args.get("secret", "")[:200]
    code, error = "", ""
    now = time.time()
    if typed:
        try:
            app = TOTP(key=typed, format="base32", new=False)
            code = app.generate(now).token
        except (TypeError, ValueError):
            error = "This is no key: letters from A to Z and digits from 2 to 7, in groups or not."
    left = STEP - int(now) % STEP
    page = make_response(
        render_template(
            "sandbox/authenticator.html", secret=typed, code=code, error=error, left=left
        ),
        422 if error else 200,
    )
    if code:
        page.headers["Refresh"] = str(left)
    page.headers["Cache-Control"] = "no-store"
    page.headers["Referrer-Policy"] = "no-referrer"
    return page

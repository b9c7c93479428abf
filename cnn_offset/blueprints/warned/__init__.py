"""For whoever was warned by mail: stop a change of bank details without signing in.

Somebody who changes them with a stolen password may hold the account; the mail goes to the
old contact, and what it carries is enough to stop, and to do nothing else.
"""

from __future__ import annotations

from flask import Blueprint, abort, flash, redirect, render_template, url_for
from flask.typing import ResponseReturnValue
from flask_babel import gettext

from cnn_offset.extensions import db, limiter, platform, unit_of_work
from cnn_offset.guards import guarded, private, public
from cnn_offset.mail.letters.payouts import read_stop_token
from cnn_offset.models import PayoutMethod
from cnn_offset.services import bank_details

bp = guarded(Blueprint("warned", __name__), public)
bp.after_request(private)


@bp.get("/not-me/<token>")
@limiter.limit("30 per minute")
def stop(token: str) -> ResponseReturnValue:
    """Ask whether to stop the change that the mail told of; mail programs follow links too."""
    found = read_stop_token(token)
    row = db.session.get(PayoutMethod, found[0]) if found else None
    if found is None or row is None:
        abort(404)
    return render_template(
        "warned/stop.html",
        provider=row.provider.name,
        waits=row.next_account is not None and row.next_from == found[1],
        next_from=found[1],
        token=token,
    )


@bp.post("/not-me/<token>")
@limiter.limit("30 per minute")
def stopped(token: str) -> ResponseReturnValue:
    """Stop it."""
    found = read_stop_token(token)
    if found is None:
        abort(404)
    with unit_of_work() as session:
        done = bank_details.stop_change(session, *found, actor="", now=platform().clock())
    if done:
        flash(gettext("Stopped. The bank details stay as they are."), "success")
    return redirect(url_for("warned.stop", token=token))

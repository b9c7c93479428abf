"""Proving who one is: by a code, a recovery code, a passkey, or the password."""

from __future__ import annotations

import logging
from typing import Any

from flask import request
from flask_babel import gettext

from cnn_offset import passkeys, second_factor
from cnn_offset.blueprints.security.door import verified
from cnn_offset.demo import TOTP_SECRET as DEMO_SECRET
from cnn_offset.extensions import platform, unit_of_work
from cnn_offset.i18n import language
from cnn_offset.models import User
from cnn_offset.services import factors

log = logging.getLogger(__name__)


def proof_errors(user: User) -> dict[str, str]:
    """Check the proof that was sent; return what is wrong with it, nothing if it is right.

    Of an account without a second factor the password is asked for.
    """
    form, now, user_id = request.form, platform().clock(), user.id
    if not second_factor.is_enrolled(user):
        if verified(user) is not None:
            return {}
        return {"password": gettext("This is not your password. Please try again.")}
    with unit_of_work() as session:
        user = session.get_one(User, user_id)
        if form.get("credential"):
            name, message = "credential", gettext("The passkey was not accepted. Please try again.")
            right = passkeys.check(session, user, form["credential"], now)
        elif form.get("recovery"):
            name, message = "recovery", gettext("This is none of your unused recovery codes.")
            right = second_factor.check_recovery_code(session, user, form["recovery"][:40])
            if right:
                left = len(user.mf_recovery_codes or ())
                factors.tell_recovery(session, user, left, locale=language(), now=now)
        else:
            name = "code"
            message = gettext(
                "This code is not right, or it was used before. Enter the one your app shows now."
            )
            right = second_factor.check_code(session, user, form.get("code", "")[:20], now)
    if right:
        return {}
    log.warning("second factor refused (%s), user %s", name, user_id)
    return {name: message}


def ways(user: User) -> dict[str, Any]:
    """Return what a page needs that asks ``user`` for a proof."""
    return {
        "has_app": bool(user.tf_totp_secret),
        "passkey_options": passkeys.request_options(user, platform().clock())
        if user.webauthn
        else "",
        "has_recovery": bool(user.mf_recovery_codes),
        "needs_password": not second_factor.is_enrolled(user),
        "authenticator": authenticator(DEMO_SECRET),
    }


def authenticator(key: str) -> str:
    """Return the address of the demo's simulated app, fed with ``key``; empty in earnest."""
    sandbox = platform().settings.SANDBOX_URL.rstrip("/")
    return f"{sandbox}/authenticator?secret={key}" if sandbox else ""

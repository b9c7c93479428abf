"""The blueprint, how often one may knock, and where one is led."""

from __future__ import annotations

import hashlib
import logging
from collections.abc import Callable, Iterable

from email_validator import EmailNotValidError, validate_email
from flask import Blueprint, Response, redirect, request, session, url_for
from flask.typing import ResponseReturnValue
from flask_babel import gettext
from flask_limiter.util import get_remote_address
from flask_security import hash_password, verify_password

from cnn_offset import second_factor
from cnn_offset.accounts import normal_password, password_fault, sign_in
from cnn_offset.extensions import limiter, platform, security, unit_of_work
from cnn_offset.guards import guarded, private, public
from cnn_offset.models import User

bp = guarded(Blueprint("security", __name__), public)
bp.after_request(private)

log = logging.getLogger(__name__)

View = Callable[..., ResponseReturnValue]


def account_typed() -> str:
    """Name the account a form speaks of, without keeping its address."""
    typed = request.form.get("email", "").strip().lower() or str(request.view_args)
    return hashlib.sha256(typed.encode()).hexdigest()


def _account_here() -> str:
    return f"{get_remote_address()} {account_typed()}"


def _account_proving() -> str:
    known = session.get("half_way") or {}
    return str(known.get("user") or session.get("_user_id"))


def _refused(response: Response) -> bool:
    return response.status_code == 422


# A stranger who guesses locks out only himself, unless he has many addresses: guesses are
# counted by account and address first, and by account alone far above that.
guesses = (
    limiter.limit("120 per hour", methods=["POST"]),
    limiter.limit(
        "5 per 15 minutes", key_func=_account_here, methods=["POST"], deduct_when=_refused
    ),
    limiter.limit("100 per hour", key_func=account_typed, methods=["POST"], deduct_when=_refused),
)
mails = (
    limiter.limit("30 per hour", methods=["POST"]),
    limiter.limit("4 per hour", key_func=account_typed, methods=["POST"]),
)
# Six digits are few: whoever knows the password may guess five of them, from anywhere.
proofs = (
    limiter.limit("120 per hour", methods=["POST"]),
    limiter.shared_limit(
        "5 per 15 minutes", "proofs", key_func=_account_proving, methods=["POST"],
        deduct_when=_refused,
    ),
)  # fmt: skip


def limited(limits: Iterable[Callable[[View], View]]) -> Callable[[View], View]:
    """Put several limits on a view."""

    def wrap(view: View) -> View:
        for each in limits:
            view = each(view)
        return view

    return wrap


def verified(user: User | None) -> User | None:
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


def enter(user: User, wanted: str = "") -> ResponseReturnValue:
    """Let somebody in who has given the password: at once, or by way of the second factor."""
    now = platform().clock()
    if second_factor.is_enrolled(user):
        second_factor.wait_half_way(user, wanted, now)
        return redirect(url_for("security.second"))
    return welcome(user, wanted)


def welcome(user: User, wanted: str = "", *, second: bool = False) -> ResponseReturnValue:
    """Sign in, and lead to where one wanted to go, or to one's own work."""
    sign_in(user, platform().clock(), second=second)
    log.info("logged in, user %s%s", user.id, " by second factor" if second else "")
    return redirect(wanted or home_of(user))


def home_of(user: User) -> str:
    """Where somebody's work is."""
    if user.has_role("operator"):
        return url_for("admin.attention")
    if user.has_role("provider") and user.provider_id:
        return url_for("provider.home")
    return url_for("account.home")


def typed_email() -> tuple[str, dict[str, str]]:
    """Return the address typed, and what is wrong with it."""
    typed = request.form.get("email", "").strip()
    try:
        return validate_email(typed, check_deliverability=False).normalized.lower(), {}
    except EmailNotValidError:
        return "", {
            "email": gettext("Please enter an e-mail address in full, such as name@example.org.")
        }


def new_password(email: str, errors: dict[str, str]) -> str:
    """Return the new password; what is wrong with it goes into ``errors``."""
    password = normal_password(request.form.get("password", ""))
    fault = password_fault(password, email)
    if fault:
        errors["password"] = gettext(fault)
    return password

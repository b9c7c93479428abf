"""Signing in: Flask-Security with our own pages, passwords, sessions and mails.

Flask-Security keeps the hashes, the signed links and the session; its views are not used,
because ours act on POST only, queue mails instead of sending them, and speak three
languages.
"""

from __future__ import annotations

import secrets
import unicodedata
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from functools import cache
from typing import Final
from urllib.parse import urlsplit

from email_validator import EmailNotValidError, validate_email
from flask import Flask, current_app, flash, request, session
from flask_babel import gettext
from flask_security import SQLAlchemyUserDatastore, current_user
from flask_security.utils import hash_password, login_user, logout_user
from sqlalchemy import select
from sqlalchemy.orm import Session

from cnn_offset import second_factor
from cnn_offset.domain.staff import OperatorRole, StaffRole
from cnn_offset.domain.text import N_
from cnn_offset.extensions import db, platform, security
from cnn_offset.models import Provider, Role, User, WebAuthn
from cnn_offset.services import ServiceError, joining
from cnn_offset.services.moves import note

IDLE: Final[Mapping[str, timedelta]] = {
    "operator": timedelta(minutes=15),
    "provider": timedelta(minutes=60),
}
"""How long somebody of a role may do nothing before being logged out (ASVS V7.3.1)."""
LONGEST: Final = timedelta(hours=12)
"""How long anybody may stay logged in (ASVS V7.3.2)."""
PASSWORD_LENGTH: Final = range(8, 129)
LINK_HOURS: Final = {"reset": 1, "confirm": 48}
HASHING: Mapping[str, str | int] = {
    "argon2__type": "ID",
    "argon2__memory_cost": 19_456,
    "argon2__time_cost": 2,
    "argon2__parallelism": 1,
}
"""OWASP's parameters for argon2id; older hashes are renewed at log-in."""


def init_app(app: Flask) -> None:
    """Bind Flask-Security and end sessions that are too old."""
    app.config.update(
        {
            "SECURITY_PASSWORD_HASH": "argon2",
            "SECURITY_PASSWORD_SCHEMES": ["argon2"],
            # Hashed once: a second, keyed hash would tie every password to SECRET_KEY.
            "SECURITY_PASSWORD_SINGLE_HASH": {"argon2"},
            "SECURITY_PASSWORD_SALT": "not used",
            "SECURITY_PASSWORD_HASH_PASSLIB_OPTIONS": dict(HASHING),
            # Within links that are signed anyway: half a second of hashing helps nobody.
            "SECURITY_HASHING_SCHEMES": ["hex_sha256"],
            "SECURITY_DEPRECATED_HASHING_SCHEMES": [],
            "SECURITY_RESET_PASSWORD_WITHIN": timedelta(hours=LINK_HOURS["reset"]),
            "SECURITY_CONFIRM_EMAIL_WITHIN": timedelta(hours=LINK_HOURS["confirm"]),
            "SECURITY_CONFIRMABLE": True,
            "SECURITY_RECOVERABLE": True,
        }
    )
    second_factor.init_app(app, issuer=app.config["SITE_NAME"] or "Tonne by Tonne")
    security.init_app(
        app, SQLAlchemyUserDatastore(db, User, Role, WebAuthn), register_blueprint=False
    )
    # Only the session cookie signs in; Flask-Security would also take a token of its own.
    security.login_manager.request_loader(lambda _request: None)
    app.before_request(_end_old_session)


def own_path(text: str | None) -> str:
    r"""Return ``text`` if it is a path of this site, else an empty text.

    Browsers take ``//host``, ``/\host`` and paths with tabs or line breaks in them for
    other sites; all of these are refused (ASVS V3.7.2).
    """
    path = text or ""
    if not path.startswith("/") or len(path) > 2000 or "\\" in path:
        return ""
    if any(unicodedata.category(sign)[0] in "CZ" for sign in path):
        return ""
    try:
        parts = urlsplit(path)
    except ValueError:
        return ""
    return "" if parts.scheme or parts.netloc or path.startswith("//") else path


def normal_password(text: str) -> str:
    """Return a password in the one form that is hashed, however it was typed."""
    return unicodedata.normalize("NFKC", text)


def password_fault(password: str, email: str) -> str:
    """Say why ``password`` is not good enough, as an English message id; empty if it is."""
    if len(password) < PASSWORD_LENGTH.start:
        return N_("Use at least 8 characters. 12 or more are better; a short sentence is fine.")
    if len(password) >= PASSWORD_LENGTH.stop:
        return N_("Use at most 128 characters.")
    plain = password.casefold()
    if plain in _common() or plain in {email.casefold(), email.casefold().partition("@")[0]}:
        return N_("Many people use this password, or it is easy to guess. Please choose another.")
    return ""


@cache
def _common() -> frozenset[str]:
    from zxcvbn.frequency_lists import FREQUENCY_LISTS  # 30,000 words: only when needed

    return frozenset(FREQUENCY_LISTS["passwords"])


def add_user(
    session: Session,
    *,
    email: str,
    password: str,
    role: str,
    provider_slug: str | None,
    now: datetime,
    staff_role: StaffRole = StaffRole.OWNER,
    operator_role: OperatorRole = OperatorRole.HEAD,
) -> User:
    """Add an account that can sign in at once, as the command line does for staff.

    Args:
        session: a writing transaction.
        email: its address, taken as confirmed.
        password: checked like anybody's.
        role: ``operator``, ``provider`` or ``purchaser``.
        provider_slug: whose staff, for the role ``provider``.
        now: the moment.
        staff_role: what it may do there.
        operator_role: what it may do at the desk, for the role ``operator``.

    Raises:
        ServiceError: the address is taken or wrong, the password too easy, no such provider.

    """
    try:
        address = validate_email(email, check_deliverability=False).normalized.lower()
    except EmailNotValidError as error:
        raise ServiceError(
            N_("Please enter an e-mail address in full, such as name@example.org.")
        ) from error
    fault = password_fault(normal_password(password), address)
    if fault:
        raise ServiceError(fault)
    if joining.find_user(session, address) is not None:
        raise ServiceError(N_("There is an account with this address already."))
    provider = None
    if role == "provider":
        provider = session.scalar(select(Provider).where(Provider.slug == (provider_slug or "")))
        if provider is None:
            raise ServiceError(N_("Please name the provider whose staff this is."))
    roles = []
    if role != "purchaser":
        found = session.scalar(select(Role).where(Role.name == role))
        roles = [found or Role(name=role)]
    user = User(
        email=address,
        password=hash_password(normal_password(password)),
        active=True,
        fs_uniquifier=secrets.token_hex(32),
        confirmed_at=now,
        create_datetime=now,
        provider=provider,
        staff_role=staff_role if provider else None,
        operator_role=operator_role if role == "operator" else None,
        roles=roles,
    )
    session.add(user)
    session.flush()
    what = str(user.operator_role or user.staff_role or "registered")
    note(session, user, old="", new=what, actor="command line", why="added", now=now)
    return user


def sign_in(user: User, now: datetime, *, second: bool = False) -> None:
    """Begin a new session; of the old one only the basket stays.

    Args:
        user: who has proved to own the account.
        now: the moment.
        second: whether by the second factor, after the password.

    """
    basket = session.get("basket")
    session.clear()
    if basket:
        session["basket"] = basket
    login_user(user, remember=False, authn_via=["password"])
    session["signed_in_at"] = session["seen_at"] = int(now.timestamp())
    second_factor.note_proof(now, second=second)


def sign_out() -> None:
    """Forget the session on this computer, the basket too."""
    logout_user()
    session.clear()


def _end_old_session() -> None:
    # A visitor without a cookie has no session to look at: such pages can be cached.
    if current_app.config["SESSION_COOKIE_NAME"] not in request.cookies:
        return
    if request.endpoint == "static" or "_user_id" not in session:
        return
    if not current_user.is_authenticated:
        return
    now = platform().clock()
    idle = min([IDLE[role.name] for role in current_user.roles if role.name in IDLE] or [LONGEST])
    if now - _moment("signed_in_at") > LONGEST or now - _moment("seen_at") > idle:
        basket = session.get("basket")
        sign_out()
        if basket:
            session["basket"] = basket
        flash(
            gettext("For your safety you were logged out after a while. Please log in again."),
            "info",
        )
    elif now - _moment("seen_at") > timedelta(minutes=1):
        session["seen_at"] = int(now.timestamp())


def _moment(key: str) -> datetime:
    return datetime.fromtimestamp(session.get(key, 0), UTC)

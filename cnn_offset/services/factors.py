"""Second factors of accounts: added, used once, removed; their owner is told by mail."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import or_, update
from sqlalchemy.orm import Session

from cnn_offset.models import User, WebAuthn
from cnn_offset.services import NotFoundError
from cnn_offset.services.joining import tell_owner
from cnn_offset.services.moves import note

APP = "authenticator"
PASSKEY = "webauthn"
"""Values of ``User.tf_primary_method``, by the names that Flask-Security uses."""
ADDED = "factor_added"
REMOVED = "factor_removed"
RECOVERED = "recovery_code_used"
RENEWED = "recovery_codes_renewed"
"""What a mail of the kind ``account`` is about."""
MOST_PASSKEYS = 10


def take_step(session: Session, user: User, step: int) -> bool:
    """Let the code of a time step count, unless it or a later one has; safe in a race."""
    taken = session.execute(
        update(User)
        .where(
            User.id == user.id,
            or_(User.tf_last_counter.is_(None), User.tf_last_counter < step),
        )
        .values(tf_last_counter=step)
        .execution_options(synchronize_session="fetch")
    )
    return bool(taken.rowcount == 1)  # type: ignore[attr-defined]


def add_app(
    session: Session, user: User, secret: str, step: int, *, locale: str, now: datetime
) -> None:
    """Take the app with ``secret`` in place of any other; its code of ``step`` has counted."""
    user.tf_totp_secret, user.tf_last_counter = secret, step
    user.tf_primary_method = APP
    _keep(session, user, ADDED, APP, locale=locale, now=now)


def add_passkey(
    session: Session, user: User, passkey: WebAuthn, *, locale: str, now: datetime
) -> None:
    """Add a passkey that was verified."""
    user.webauthn.append(passkey)
    user.tf_primary_method = user.tf_primary_method or PASSKEY
    session.flush()
    _keep(session, user, ADDED, passkey.name, locale=locale, now=now)


def take_passkey(
    session: Session, passkey: WebAuthn, *, asked: datetime, sign_count: int, now: datetime
) -> bool:
    """Let an answer of a passkey count once: it was asked for after the last one was taken."""
    taken = session.execute(
        update(WebAuthn)
        .where(WebAuthn.id == passkey.id, WebAuthn.lastuse_datetime < asked)
        .values(lastuse_datetime=now, sign_count=sign_count)
        .execution_options(synchronize_session="fetch")
    )
    return bool(taken.rowcount == 1)  # type: ignore[attr-defined]


def remove_app(session: Session, user: User, *, locale: str, now: datetime) -> None:
    """Take the app no more. With the last factor the recovery codes go. Safe to repeat."""
    if not user.tf_totp_secret:
        return
    user.tf_totp_secret = None
    user.tf_primary_method = PASSKEY if user.webauthn else None
    _forget_codes(user)
    _keep(session, user, REMOVED, APP, locale=locale, now=now)


def remove_passkey(
    session: Session, user: User, passkey_id: int, *, locale: str, now: datetime
) -> None:
    """Take a passkey of the account no more.

    Raises:
        NotFoundError: the account has no such passkey.

    """
    found = next((each for each in user.webauthn if each.id == passkey_id), None)
    if found is None:
        raise NotFoundError
    name = found.name
    user.webauthn.remove(found)
    user.tf_primary_method = APP if user.tf_totp_secret else PASSKEY if user.webauthn else None
    _forget_codes(user)
    _keep(session, user, REMOVED, name, locale=locale, now=now)


def turn_off(session: Session, user: User, *, locale: str, now: datetime, actor: str = "") -> None:
    """Leave the account with its password alone. Safe to repeat."""
    if user.tf_primary_method is None:
        return
    user.tf_totp_secret = user.tf_primary_method = None
    user.webauthn.clear()
    _forget_codes(user)
    _keep(session, user, REMOVED, "", locale=locale, now=now, actor=actor)


def tell_recovery(session: Session, user: User, left: int, *, locale: str, now: datetime) -> None:
    """Keep that a recovery code was used, and tell the owner how many are left."""
    _keep(session, user, RECOVERED, "", locale=locale, now=now, left=left)


def tell_renewal(session: Session, user: User, *, locale: str, now: datetime) -> None:
    """Keep that the recovery codes are new, and tell the owner."""
    _keep(session, user, RENEWED, "", locale=locale, now=now)


def _forget_codes(user: User) -> None:
    if user.tf_primary_method is None:
        user.mf_recovery_codes = None
        user.tf_last_counter = None


def _keep(
    session: Session,
    user: User,
    about: str,
    what: str,
    *,
    locale: str,
    now: datetime,
    actor: str = "",
    left: int = 0,
) -> None:
    actor = actor or f"user {user.id}"
    note(session, user, old="", new=about, actor=actor, why=what, now=now)
    tell_owner(session, about, user.email, user, locale=locale, now=now, what=what, left=left)

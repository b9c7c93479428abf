"""The second factor: an app's codes and recovery codes, and what this session has proved.

Keys of apps are encrypted under keys made of ``SECRET_KEY``, recovery codes likewise by
Flask-Security, so nothing of its own has to be configured. Passkeys: ``passkeys.py``.
"""

from __future__ import annotations

import hashlib
import logging
from base64 import urlsafe_b64encode
from datetime import UTC, datetime, timedelta
from typing import Any, Final

import segno
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF
from flask import Flask, current_app, session
from flask_security import current_user
from passlib.exc import TokenError
from passlib.totp import TOTP, AppWallet
from sqlalchemy import select
from sqlalchemy.orm import Session

from cnn_offset.extensions import security
from cnn_offset.models import User
from cnn_offset.services import factors

log = logging.getLogger(__name__)

FRESH: Final = timedelta(minutes=10)
"""How long a proof counts for what moves money or changes who may (ASVS V7.5)."""
HALF_WAY: Final = timedelta(minutes=10)
"""How long somebody may take between password and second factor."""
STEP: Final = 30
"""Seconds that an app's code lasts; the one before and the one after are taken as well."""
RECOVERY_CODES: Final = 10


def init_app(app: Flask, issuer: str) -> None:
    """Make the keys of ``SECRET_KEY``. To be called before Flask-Security is bound."""
    keys = [app.config["SECRET_KEY"], *(app.config["SECRET_KEY_FALLBACKS"] or ())]
    secrets = {_tag(each): _derive(each, b"codes").hex() for each in keys}
    wallet = AppWallet(secrets, default_tag=_tag(keys[0]))
    app.extensions["cnn_offset.totp"] = TOTP.using(issuer=issuer, wallet=wallet)
    app.config.update(
        SECURITY_TOTP_SECRETS=secrets,
        SECURITY_TOTP_ISSUER=issuer,
        SECURITY_MULTI_FACTOR_RECOVERY_CODES=True,
        SECURITY_MULTI_FACTOR_RECOVERY_CODES_N=RECOVERY_CODES,
        SECURITY_MULTI_FACTOR_RECOVERY_CODES_KEYS=[
            urlsafe_b64encode(_derive(each, b"recovery codes")) for each in keys
        ],
    )


def _derive(key: str, purpose: bytes) -> bytes:
    return HKDF(SHA256(), 32, salt=None, info=b"cnn_offset " + purpose).derive(key.encode())


def _tag(key: str) -> str:
    """Name a key, so that what an older one has encrypted finds it."""
    return hashlib.sha256(_derive(key, b"name")).hexdigest()[:12]


def _apps() -> type[TOTP]:
    found: type[TOTP] = current_app.extensions["cnn_offset.totp"]
    return found


# An app's codes


def new_secret(key: str = "") -> str:
    """Return an app's secret, encrypted: a new one, or that of ``key`` in base32."""
    app = _apps()(key=key, format="base32") if key else _apps().new()
    return str(app.to_json(encrypt=True))


def setup_of(secret: str, email: str) -> dict[str, str]:
    """Return what an app is fed with: ``key`` in groups, ``plain`` without, ``qr``, ``uri``."""
    app = _apps().from_source(secret)
    uri = app.to_uri(email)
    return {
        "key": app.pretty_key(sep=" "),
        "plain": app.base32_key,
        "uri": uri,
        "qr": segno.make(uri, error="m").svg_data_uri(scale=5, border=4, light="#fff"),
    }


def time_step(secret: str, code: str, now: datetime, *, after: int | None = None) -> int | None:
    """Return the time step whose code was typed; None if it is wrong, or not past ``after``."""
    try:
        match = _apps().verify(code, secret, time=now.timestamp(), window=STEP, last_counter=after)
    except (TokenError, ValueError):
        return None
    except KeyError:
        log.error("a secret is encrypted under a key that is not configured any more")  # noqa: TRY400 - no trace: it would say the code
        return None
    step: int = match.counter
    return step


def check_code(session_: Session, user: User, code: str, now: datetime) -> bool:
    """Take a code of the account's app, once."""
    if not user.tf_totp_secret:
        return False
    step = time_step(user.tf_totp_secret, code, now, after=user.tf_last_counter)
    return step is not None and factors.take_step(session_, user, step)


# Recovery codes


def renew_recovery_codes(user: User) -> list[str]:
    """Give the account ten new recovery codes; the old ones count no more."""
    codes: list[str] = security.mf_recovery_codes_util.create_recovery_codes(user)
    return codes


def recovery_codes(user: User) -> list[str]:
    """Return those that were not used yet."""
    codes: list[str] = security.mf_recovery_codes_util.get_recovery_codes(user)
    return codes


def check_recovery_code(session_: Session, user: User, typed: str) -> bool:
    """Take a recovery code, once."""
    user = session_.scalars(
        select(User)
        .where(User.id == user.id)
        .with_for_update()
        .execution_options(populate_existing=True)
    ).one()
    plain = "".join(typed.lower().split()).replace("-", "")
    codes = recovery_codes(user)
    kept = user.mf_recovery_codes or []
    for at, each in enumerate(codes):
        if plain and each.replace("-", "") == plain and len(kept) == len(codes):
            user.mf_recovery_codes = kept[:at] + kept[at + 1 :]
            return True
    return False


# What this session has proved


def is_enrolled(user: Any) -> bool:
    """Whether the account has a second factor."""
    return user.tf_primary_method is not None


def wait_half_way(user: User, wanted: str, now: datetime) -> None:
    """Remember in a new session that the password was right; of the old one the basket stays."""
    basket = session.get("basket")
    session.clear()
    if basket:
        session["basket"] = basket
    session["half_way"] = {
        "user": user.fs_uniquifier, "at": int(now.timestamp()), "next": wanted,
    }  # fmt: skip


def half_way(session_: Session, now: datetime) -> tuple[User | None, str]:
    """Return who has given the right password a moment ago, and where they want to go."""
    known = session.get("half_way") or {}
    begun = datetime.fromtimestamp(known.get("at", 0), UTC)
    if not known or not timedelta(0) <= now - begun <= HALF_WAY:
        return None, ""
    user = session_.scalar(select(User).where(User.fs_uniquifier == known["user"]))
    return (user if user is not None and user.active else None), known["next"]


def note_proof(now: datetime, *, second: bool) -> None:
    """Remember that the person here has just proved who they are.

    Args:
        now: the moment.
        second: whether by the second factor; else by the password.

    """
    session["proved_at"], session["second"] = int(now.timestamp()), second


def has_proved(now: datetime, within: timedelta | None = None) -> bool:
    """Whether the person here has proved who they are, ``within`` that time if it is given.

    By the second factor, if the account has one: a session may be older than the factor.
    """
    if is_enrolled(current_user) and not session.get("second"):
        return False
    proved = datetime.fromtimestamp(session.get("proved_at", 0), UTC)
    return within is None or timedelta(0) <= now - proved <= within

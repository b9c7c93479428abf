"""Passkeys: what the browser is asked, and whether its answer is right (W3C WebAuthn).

A passkey belongs to the host of ``PUBLIC_URL``. Browsers know none for bare IP addresses:
a site of one's own computer is to be opened as ``localhost`` to try them.
"""

from __future__ import annotations

import ipaddress
import secrets
from datetime import UTC, datetime, timedelta
from typing import Final
from urllib.parse import urlsplit

import webauthn
from flask import current_app, request, session
from sqlalchemy import select
from sqlalchemy.orm import Session
from webauthn.helpers import (
    base64url_to_bytes,
    bytes_to_base64url,
    options_to_json,
    parse_authentication_credential_json,
    parse_registration_credential_json,
)
from webauthn.helpers.exceptions import WebAuthnException
from webauthn.helpers.structs import (
    AuthenticatorSelectionCriteria,
    AuthenticatorTransport,
    PublicKeyCredentialDescriptor,
    ResidentKeyRequirement,
    UserVerificationRequirement,
)

from cnn_offset.extensions import platform
from cnn_offset.models import User, WebAuthn
from cnn_offset.services import factors

WITHIN: Final = timedelta(minutes=10)
"""How long the browser may take for an answer."""
LONGEST: Final = 20_000
"""Characters of an answer; attestations of some makers are long."""


def _site() -> tuple[str, str]:
    """Return the host and the origin that passkeys belong to."""
    parts = urlsplit(platform().settings.PUBLIC_URL)
    host = parts.hostname or "localhost"
    try:
        ipaddress.ip_address(host)
    except ValueError:
        pass
    else:
        host = "localhost"
    port = f":{parts.port}" if parts.port else ""
    return host, f"{parts.scheme}://{host}{port}"


def elsewhere() -> str:
    """Return where passkeys of this site are made, if the visitor has come another way."""
    _host, origin = _site()
    return "" if request.host == urlsplit(origin).netloc else origin


def _ask(now: datetime, handle: str = "") -> bytes:
    challenge = secrets.token_bytes(32)
    session["passkey_ask"] = {
        "challenge": bytes_to_base64url(challenge),
        "at": now.isoformat(),
        "handle": handle,
    }
    return challenge


def _asked(now: datetime) -> tuple[bytes, datetime, str] | None:
    """Return the challenge of this session, its moment and handle; it serves once."""
    known = session.pop("passkey_ask", None)
    if not known:
        return None
    at = datetime.fromisoformat(known["at"]).astimezone(UTC)
    if not timedelta(0) <= now - at <= WITHIN:
        return None
    return base64url_to_bytes(known["challenge"]), at, known["handle"]


def creation_options(user: User, now: datetime) -> str:
    """Return, as JSON, what a browser needs to make a passkey for ``user``."""
    host, _origin = _site()
    # What passkeys call the account by: nothing that anybody knows it by (WebAuthn 14.6.1).
    handle = user.fs_webauthn_user_handle or secrets.token_hex(32)
    return options_to_json(
        webauthn.generate_registration_options(
            rp_id=host,
            rp_name=current_app.config["SECURITY_TOTP_ISSUER"],
            user_id=handle.encode(),
            user_name=user.email,
            challenge=_ask(now, handle),
            authenticator_selection=AuthenticatorSelectionCriteria(
                resident_key=ResidentKeyRequirement.PREFERRED,
                # The password comes first: a touch is enough here.
                user_verification=UserVerificationRequirement.DISCOURAGED,
            ),
            exclude_credentials=_known(user),
        )
    )


def request_options(user: User, now: datetime) -> str:
    """Return, as JSON, what a browser needs to ask for one of the passkeys of ``user``."""
    host, _origin = _site()
    return options_to_json(
        webauthn.generate_authentication_options(
            rp_id=host,
            challenge=_ask(now),
            allow_credentials=_known(user),
            user_verification=UserVerificationRequirement.DISCOURAGED,
        )
    )


def _known(user: User) -> list[PublicKeyCredentialDescriptor]:
    return [
        PublicKeyCredentialDescriptor(
            id=each.credential_id,
            transports=[AuthenticatorTransport(way) for way in each.transports or ()] or None,
        )
        for each in user.webauthn
    ]


def made(user: User, answer: str, name: str, now: datetime) -> WebAuthn | None:
    """Return the passkey that a browser has just made for ``user``; None if it is not right."""
    asked = _asked(now)
    if asked is None or len(answer) > LONGEST:
        return None
    host, origin = _site()
    try:
        credential = parse_registration_credential_json(answer)
        verified = webauthn.verify_registration_response(
            credential=credential,
            expected_challenge=asked[0],
            expected_rp_id=host,
            expected_origin=origin,
            require_user_verification=False,
        )
    except _BAD:
        return None
    user.fs_webauthn_user_handle = user.fs_webauthn_user_handle or asked[2]
    return WebAuthn(
        name=name,
        credential_id=verified.credential_id,
        public_key=verified.credential_public_key,
        sign_count=verified.sign_count,
        transports=[each.value for each in credential.response.transports or ()],
        backup_state=verified.credential_backed_up,
        device_type=verified.credential_device_type.value,
        create_datetime=now,
        lastuse_datetime=now,
        usage="secondary",
    )


def check(session_: Session, user: User, answer: str, now: datetime) -> bool:
    """Take a browser's answer for one of the passkeys of ``user``, once."""
    asked = _asked(now)
    if asked is None or len(answer) > LONGEST:
        return False
    host, origin = _site()
    try:
        credential = parse_authentication_credential_json(answer)
        passkey = session_.scalar(
            select(WebAuthn).where(
                WebAuthn.user_id == user.id, WebAuthn.credential_id == credential.raw_id
            )
        )
        if passkey is None:
            return False
        verified = webauthn.verify_authentication_response(
            credential=credential,
            expected_challenge=asked[0],
            expected_rp_id=host,
            expected_origin=origin,
            credential_public_key=passkey.public_key,
            credential_current_sign_count=passkey.sign_count,
            require_user_verification=False,
        )
    except _BAD:
        return False
    return factors.take_passkey(
        session_, passkey, asked=asked[1], sign_count=verified.new_sign_count, now=now
    )


# What the library raises on answers that are no answers, besides its own errors.
_BAD: Final[tuple[type[Exception], ...]] = (
    WebAuthnException,
    AttributeError,
    KeyError,
    RecursionError,
    TypeError,
    ValueError,
)

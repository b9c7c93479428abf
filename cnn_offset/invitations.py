"""The links of invitations: signed, mailed, and stored nowhere."""

from __future__ import annotations

import hashlib
import secrets

from flask import current_app
from itsdangerous import URLSafeSerializer


def new_nonce() -> str:
    """Return what the token of a new invitation is made of; worthless without our key."""
    return secrets.token_urlsafe(24)


def token_of(nonce: str) -> str:
    """Return what a mailed link carries."""
    signer = URLSafeSerializer(current_app.secret_key or "", salt="invitation")
    return str(signer.dumps(nonce))


def token_hash(token: str) -> str:
    """Return what the database keeps of a token."""
    return hashlib.sha256(token.encode()).hexdigest()

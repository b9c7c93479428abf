"""Stripe's Connect webhooks: an event of an account, signed with the endpoint's secret."""

from __future__ import annotations

import hashlib
import hmac
import json
import secrets
import time
from collections.abc import Mapping
from typing import Final

from .state import Document
from .webhooks import ring

SECRET: Final = "whsec_sandbox"  # noqa: S105 - the sandbox has no secrets


def ring_stripe(event_type: str, account: str, thing: Document, *, late: float = 0) -> None:
    """Send an event about a session, a refund or a dispute of ``account``."""
    event = {
        "id": f"evt_{secrets.token_hex(12)}",
        "object": "event",
        "type": event_type,
        "account": account,
        "livemode": False,
        "created": int(time.time()),
        "data": {"object": thing},
    }
    _send(json.dumps(event), late=late)


def _send(body: str, *, late: float = 0) -> None:
    def sign() -> Mapping[str, str]:
        moment = int(time.time())
        mac = hmac.new(SECRET.encode(), f"{moment}.{body}".encode(), hashlib.sha256)
        return {"Stripe-Signature": f"t={moment},v1={mac.hexdigest()}"}

    ring("stripe", body.encode(), sign, late=late)


def ring_account(account: str) -> None:
    """Send a thin event: this account has changed, and nothing else."""
    event = {
        "id": f"evt_test_{secrets.token_hex(12)}",
        "object": "v2.core.event",
        "type": "v2.core.account[configuration.merchant].capability_status_updated",
        "livemode": False,
        "created": time.strftime("%Y-%m-%dT%H:%M:%S.000Z", time.gmtime()),
        "related_object": {
            "id": account,
            "type": "v2.core.account",
            "url": f"/v2/core/accounts/{account}",
        },
    }
    _send(json.dumps(event))

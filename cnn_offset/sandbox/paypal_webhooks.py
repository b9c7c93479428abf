"""PayPal's webhooks: an event, a signature over its CRC-32, and the answer whether it is ours."""

from __future__ import annotations

import hashlib
import hmac
import json
import secrets
import uuid
import zlib
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Final

from .state import Document, current_state
from .webhooks import ring

WEBHOOK_ID: Final = "WH-SANDBOX"
"""The id of the one webhook that a shop has here; part of what is signed."""


def ring_paypal(event_type: str, resource: Document, *, late: float = 0) -> None:
    """Send an event about an order, a capture, a refund or a dispute."""
    transmission = str(uuid.uuid4())
    event = {
        "id": f"WH-{secrets.token_hex(8).upper()}",
        "event_version": "1.0",
        "create_time": _now(),
        "event_type": event_type,
        "summary": event_type,
        "resource": resource,
        "links": [],
    }
    body = json.dumps(event).encode()
    current_state().put("paypal/sent", transmission, {"event": event, "crc": zlib.crc32(body)})
    secret = _secret()

    def sign() -> Mapping[str, str]:
        moment = _now()
        return {
            "PAYPAL-AUTH-ALGO": "SHA256withRSA",
            "PAYPAL-CERT-URL": "https://api.sandbox.paypal.com/v1/notifications/certs/CERT-SANDBOX",
            "PAYPAL-TRANSMISSION-ID": transmission,
            "PAYPAL-TRANSMISSION-TIME": moment,
            "PAYPAL-TRANSMISSION-SIG": _signature(secret, transmission, moment, zlib.crc32(body)),
        }

    ring("paypal", body, sign, late=late)


def is_genuine(question: Document) -> bool:
    """Whether the event was sent, to the letter, under the signature given with it."""
    transmission = str(question.get("transmission_id"))
    sent = current_state().get("paypal/sent", transmission)
    if sent is None or question.get("webhook_id") != WEBHOOK_ID:
        return False
    expected = _signature(
        _secret(), transmission, str(question.get("transmission_time")), sent["crc"]
    )
    return question.get("webhook_event") == sent["event"] and hmac.compare_digest(
        expected.encode(), str(question.get("transmission_sig")).encode()
    )


def _signature(secret: bytes, transmission: str, moment: str, crc: int) -> str:
    signed = f"{transmission}|{moment}|{WEBHOOK_ID}|{crc}"
    return hmac.new(secret, signed.encode(), hashlib.sha256).hexdigest()


def _secret() -> bytes:
    state = current_state()
    with state.transaction():
        kept = state.get("paypal/secret", "") or {"key": secrets.token_hex(32)}
        state.put("paypal/secret", "", kept)
    return str(kept["key"]).encode()


def _now() -> str:
    return datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")

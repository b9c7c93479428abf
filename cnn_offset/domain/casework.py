"""Cases: what they are about, who speaks in them, when an answer is due, where replies go."""

from __future__ import annotations

import base64
import hashlib
import hmac
import re
from collections.abc import Iterable
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Final

from cnn_offset.domain.calendar import add_working_days

ANSWER_DAYS: Final = 2
"""Working days within which somebody who writes has an answer."""
PROVIDER_DAYS: Final = 14
"""Days that purchaser and provider have to settle it between them (terms, section 13)."""
CLAIM_DAYS: Final = 30
"""Days within which we propose a solution of a claim (terms, section 13)."""
_REPLY: Final = re.compile(
    r"case\+([2-9A-HJKMNP-Z]{4}-[2-9A-HJKMNP-Z]{4})\.([a-z2-7]{24})", re.ASCII | re.IGNORECASE
)


class CaseKind(StrEnum):
    """What somebody writes about."""

    ORDER = "order"
    CERTIFICATE = "certificate"
    LISTING = "listing"
    PAYMENT = "payment"
    OTHER = "other"


class CaseSide(StrEnum):
    """Who has a case: one of the two sides of an order, or anybody else."""

    PURCHASER = "purchaser"
    PROVIDER = "provider"
    VISITOR = "visitor"


class Voice(StrEnum):
    """Who says something in a case."""

    ASKER = "asker"
    """Whose case it is."""
    OTHER_SIDE = "other_side"
    """The provider, or the purchaser if it is the provider's case; in a claim."""
    OPERATOR = "operator"
    NOTE = "note"
    """Operators among themselves; nobody else reads it."""
    PLATFORM = "platform"
    """Sent or noticed without a person."""


HEARD: Final = (Voice.ASKER, Voice.OTHER_SIDE)
"""Whose words come in by mail; each has an address of its own to reply to."""


def answer_due(asked_at: datetime) -> datetime:
    """Return until when words of this moment are to be answered."""
    return add_working_days(asked_at, ANSWER_DAYS)


def solution_due(escalated_at: datetime) -> datetime:
    """Return until when we propose how to settle a claim."""
    return escalated_at + timedelta(days=CLAIM_DAYS)


def reply_address(code: str, voice: Voice, secret: str, domain: str) -> str:
    """Return the address at which ``voice`` answers in the case ``code``.

    Whoever knows it was written to: nobody else can make it. Letters are small, because
    some mail programs make them so.
    """
    return f"case+{code.lower()}.{_signature(code, voice, secret)}@{domain}"


def read_reply_address(address: str, secrets: Iterable[str]) -> tuple[str, Voice] | None:
    """Return the code and the voice that an address of ours was made for; None if it was not.

    Args:
        address: as a mail names it.
        secrets: the one in force and earlier ones.

    """
    found = _REPLY.fullmatch(address.partition("@")[0])
    if found is None:
        return None
    code, signature = found[1].upper(), found[2].lower()
    matched = None
    for secret in secrets:
        for voice in HEARD:
            # All are compared, each in constant time.
            if hmac.compare_digest(signature, _signature(code, voice, secret)):
                matched = code, voice
    return matched


def _signature(code: str, voice: Voice, secret: str) -> str:
    told = f"case reply\n{code.upper()}\n{voice}".encode()
    digest = hmac.new(secret.encode(), told, hashlib.sha256).digest()
    return base64.b32encode(digest[:15]).decode().lower()

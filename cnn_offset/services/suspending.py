"""Keeping a provider's offers from new orders for a while; what runs goes on."""

from __future__ import annotations

from datetime import datetime
from typing import Final

from sqlalchemy.orm import Session

from cnn_offset.domain.text import N_
from cnn_offset.models import Provider
from cnn_offset.services import ServiceError
from cnn_offset.services.mailing import queue_message
from cnn_offset.services.moves import note

SUSPENDED: Final = "provider_suspended"
RESUMED: Final = "provider_resumed"
"""Kinds of mail."""


def suspend(session: Session, provider_id: int, reason: str, *, actor: str, now: datetime) -> bool:
    """Take a provider's offers out of the catalogue and of new orders, and tell it why.

    Orders placed before go on: they are paid, cancelled and attested. Returns whether this
    call did it; False if it is suspended already. Safe to repeat.

    Raises:
        ServiceError: no reason is given.

    """
    if not reason.strip():
        raise ServiceError(N_("Please write the reason."))
    provider = session.get_one(Provider, provider_id, with_for_update=True, populate_existing=True)
    if provider.suspended_at is not None:
        return False
    provider.suspended_at, provider.suspended_why = now, reason.strip()
    note(session, provider, old="", new="suspended", actor=actor, why=reason.strip(), now=now)
    _tell(session, SUSPENDED, provider, now=now)
    return True


def resume(session: Session, provider_id: int, reason: str, *, actor: str, now: datetime) -> bool:
    """Let a suspended provider sell again, and tell it. Safe to repeat.

    Returns whether this call did it.

    Raises:
        ServiceError: no reason is given.

    """
    if not reason.strip():
        raise ServiceError(N_("Please write the reason."))
    provider = session.get_one(Provider, provider_id, with_for_update=True, populate_existing=True)
    if provider.suspended_at is None:
        return False
    provider.suspended_at, provider.suspended_why = None, ""
    note(session, provider, old="suspended", new="", actor=actor, why=reason.strip(), now=now)
    _tell(session, RESUMED, provider, now=now)
    return True


def _tell(session: Session, kind: str, provider: Provider, *, now: datetime) -> None:
    queue_message(
        session,
        kind,
        recipient=provider.email,
        locale=provider.locale,
        now=now,
        dedup=f"{kind}:{provider.id}:{now.isoformat()}",
        params={"provider_id": provider.id, "why": provider.suspended_why},
    )

"""What a provider says of itself: on receipts, beside its offers, where mails go."""

from __future__ import annotations

from dataclasses import dataclass, fields
from datetime import datetime

from sqlalchemy.orm import Session

from cnn_offset.models import Provider
from cnn_offset.services.mailing import queue_message
from cnn_offset.services.moves import note


@dataclass(frozen=True, slots=True)
class Particulars:
    """What a provider can change of itself; all of it checked. Its name it cannot."""

    address: str
    country: str
    tax_id: str
    website: str
    email: str
    locale: str


def change(
    session: Session, provider_id: int, wanted: Particulars, *, actor: str, now: datetime
) -> list[str]:
    """Change what differs, and return the names of it. Safe to repeat.

    Receipts that were issued keep what they say. Where mails go is sensitive: the address
    they went to so far is told.
    """
    provider = session.get_one(Provider, provider_id, with_for_update={"of": Provider})
    old_email = provider.email
    changed = [
        each.name
        for each in fields(wanted)
        if getattr(provider, each.name) != getattr(wanted, each.name)
    ]
    for name in changed:
        setattr(provider, name, getattr(wanted, name))
    if changed:
        why = ", ".join(changed)
        note(session, provider, old="", new="particulars", actor=actor, why=why, now=now)
    if "email" in changed:
        queue_message(
            session,
            "provider_address_changed",
            recipient=old_email,
            locale=provider.locale,
            now=now,
            dedup=f"provider_address_changed:{provider.id}:{now.timestamp():.0f}",
            params={"provider_id": provider.id, "actor": actor},
        )
    return changed

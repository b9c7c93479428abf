"""What operators set while the platform runs: read with a default, changed with a reason."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from sqlalchemy import select
from sqlalchemy.orm import Session

from cnn_offset.domain.text import N_
from cnn_offset.models import Switch
from cnn_offset.services import ServiceError
from cnn_offset.services.moves import note


def read(session: Session, name: str) -> dict[str, Any]:
    """Return what is set under ``name``; an empty table if nothing is."""
    return session.scalar(select(Switch.value).where(Switch.name == name)) or {}


def change(
    session: Session,
    name: str,
    value: Mapping[str, Any],
    *,
    reason: str,
    actor: str,
    now: datetime,
) -> Switch:
    """Set ``name`` to ``value`` and keep who did so, and why. Safe to repeat.

    Raises:
        ServiceError: no reason is given.

    """
    if not reason.strip():
        raise ServiceError(N_("Please write the reason."))
    row = session.scalar(select(Switch).where(Switch.name == name).with_for_update())
    if row is None:
        row = Switch(name=name, value={}, changed_by=actor, changed_at=now)
        session.add(row)
    if row.value != dict(value) or row.id is None:
        row.value, row.changed_by, row.changed_at = dict(value), actor, now
        session.flush()
        note(session, row, old="", new=name[:32], actor=actor, why=reason, now=now)
    return row

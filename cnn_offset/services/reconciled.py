"""What came of comparing our books with the registries', for everybody to see (F8)."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from cnn_offset.models import Difference, Night
from cnn_offset.services.differing import IS_OPEN

NIGHTS: Final = 30
"""Of each registry, the newest."""


@dataclass(frozen=True)
class NightShown:
    """One night of a registry, and how many of its differences nobody has explained yet."""

    night: Night
    open: int


def last_nights(
    session: Session, registry_ids: Iterable[str], *, nights: int = NIGHTS
) -> Mapping[str, Sequence[NightShown]]:
    """Return the newest nights of each registry that are over; none for one without any."""
    counted = session.execute(
        select(Difference.night_id, func.count()).where(IS_OPEN).group_by(Difference.night_id)
    )
    open_: dict[int | None, int] = dict(counted.all())
    found = {}
    for registry_id in registry_ids:
        rows = session.scalars(
            select(Night)
            .where(Night.registry_id == registry_id, Night.ended_at.is_not(None))
            .order_by(Night.day.desc())
            .limit(nights)
        ).all()
        if rows:
            found[registry_id] = [NightShown(row, open_.get(row.id, 0)) for row in rows]
    return found

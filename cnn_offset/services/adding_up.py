"""Keeping what did not add up, so that a person sees it until it does."""

from __future__ import annotations

import hashlib
from collections.abc import Collection
from datetime import datetime, timedelta
from typing import Final

from sqlalchemy import delete, select
from sqlalchemy.orm import Session

from cnn_offset.models import CheckFault

MOST: Final = 200
"""More than that is one trouble, not many."""
HOUR: Final = 2
"""Of the night, in UTC, when everything is added up."""


def keep(session: Session, faults: Collection[str], *, now: datetime) -> None:
    """Keep ``faults`` as what does not add up now; what is not among them is gone.

    One that was there before keeps its time. Safe to repeat.
    """
    kept = {
        hashlib.sha256(words.encode()).hexdigest(): words for words in sorted(set(faults))[:MOST]
    }
    session.execute(delete(CheckFault).where(CheckFault.digest.not_in(kept)))
    known = {each.digest: each for each in session.scalars(select(CheckFault))}
    for digest, words in kept.items():
        if digest in known:
            known[digest].seen_at = now
        else:
            session.add(CheckFault(digest=digest, words=words, since=now, seen_at=now))
    session.flush()


def next_night(now: datetime) -> datetime:
    """Return when everything is added up next."""
    tonight = now.replace(hour=HOUR, minute=0, second=0, microsecond=0)
    return tonight if tonight > now else tonight + timedelta(days=1)

"""Differences between our books and a registry's: found, settled, gone by themselves (F8)."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from datetime import datetime
from typing import Any, Final

from sqlalchemy import select, text
from sqlalchemy.orm import Session, joinedload

from cnn_offset.domain.status import DifferenceStatus
from cnn_offset.domain.text import N_
from cnn_offset.models import Difference, DifferenceKind
from cnn_offset.models.reconciling import OPEN
from cnn_offset.services import NotFoundError, ServiceError
from cnn_offset.services.moves import move, note

CORE: Final = "core"
PAGE: Final = 50
IS_OPEN: Final = text(f"difference.{OPEN}")
"""As the partial indexes say it."""
AGREES: Final = N_("Looked at again, both books agree.")
LISTED: Final = N_("The registry’s list has it now.")
CORRECTED: Final = N_("Our copy was put right by the reading that found it.")
MAKES_SENSE: Final = N_("What the registry says of the block makes sense again.")


def find(
    session: Session,
    registry_id: str,
    kind: DifferenceKind,
    name: str,
    *,
    ours: Mapping[str, Any],
    theirs: Mapping[str, Any],
    now: datetime,
    **about: int | None,
) -> bool:
    """Keep a difference that is there now; return whether it is new. Safe to repeat.

    One that a person has settled does not come back unless something else differs.
    ``about``: ids of the rows it is about.
    """
    name = name[:240]
    same = (Difference.registry_id == registry_id, Difference.kind == kind, Difference.name == name)
    known = session.scalar(select(Difference).where(*same, IS_OPEN))
    if known is not None:
        known.ours, known.theirs, known.seen_at = dict(ours), dict(theirs), now
        return False
    last = session.scalar(select(Difference).where(*same).order_by(Difference.id.desc()).limit(1))
    if (
        last is not None
        and last.status is DifferenceStatus.SETTLED
        and (last.ours, last.theirs) == (dict(ours), dict(theirs))
    ):
        return False
    made = Difference(
        registry_id=registry_id,
        kind=kind,
        name=name,
        ours=dict(ours),
        theirs=dict(theirs),
        found_at=now,
        seen_at=now,
        **about,
    )
    session.add(made)
    session.flush()
    note(
        session,
        made,
        old="",
        new=DifferenceStatus.OPEN,
        actor=CORE,
        why=f"{registry_id} {kind} {name}",
        now=now,
    )
    return True


def is_settled(
    session: Session,
    registry_id: str,
    kind: DifferenceKind,
    name: str,
    theirs: Mapping[str, Any],
) -> bool:
    """Whether a person's word on this, as the registry says it, was the last."""
    last = session.scalar(
        select(Difference)
        .where(
            Difference.registry_id == registry_id,
            Difference.kind == kind,
            Difference.name == name[:240],
        )
        .order_by(Difference.id.desc())
        .limit(1)
    )
    return (
        last is not None and last.status is DifferenceStatus.SETTLED and last.theirs == dict(theirs)
    )


def end(session: Session, row: Difference, *, why: str, now: datetime) -> bool:
    """Close a difference that is there no longer; return whether this call did."""
    if not move(session, row, DifferenceStatus.GONE, actor=CORE, why=why, now=now):
        return False
    row.ended_at, row.remark = now, why
    return True


def settle(
    session: Session, difference_id: int, *, remark: str, actor: str, now: datetime
) -> Difference:
    """Put a difference aside with a person's word on what it was.

    Raises:
        NotFoundError: there is no such difference.
        ServiceError: nothing is said, or somebody was first.

    """
    row = one(session, difference_id)
    if not remark.strip():
        raise ServiceError(N_("Please write what you found."))
    if row.status is not DifferenceStatus.OPEN or not move(
        session, row, DifferenceStatus.SETTLED, actor=actor, why=remark.strip(), now=now
    ):
        raise ServiceError(N_("Somebody has dealt with this meanwhile. Nothing was changed."))
    row.ended_at, row.remark = now, remark.strip()
    return row


def one(session: Session, difference_id: int) -> Difference:
    """Return a difference with what it is about.

    Raises:
        NotFoundError: there is no such difference.

    """
    row = session.scalar(
        select(Difference)
        .where(Difference.id == difference_id)
        .options(
            joinedload(Difference.order),
            joinedload(Difference.cancellation),
            joinedload(Difference.block),
        )
    )
    if row is None:
        raise NotFoundError(f"difference {difference_id}")
    return row


def newest(
    session: Session, *, before: int | None = None, open_only: bool = False
) -> Sequence[Difference]:
    """List differences, the newest first; one more than a page shows where there are more."""
    wanted = select(Difference).options(joinedload(Difference.order))
    if open_only:
        wanted = wanted.where(IS_OPEN)
    if before is not None:
        wanted = wanted.where(Difference.id < before)
    return session.scalars(wanted.order_by(Difference.id.desc()).limit(PAGE + 1)).all()


def open_of(
    session: Session, registry_id: str, kinds: Collection[DifferenceKind], *, limit: int = 500
) -> Sequence[Difference]:
    """List a registry's open differences of some kinds, the oldest first."""
    return session.scalars(
        select(Difference)
        .where(Difference.registry_id == registry_id, Difference.kind.in_(kinds), IS_OPEN)
        .order_by(Difference.id)
        .limit(limit)
    ).all()

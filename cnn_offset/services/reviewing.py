"""Reviewing what providers write of their projects; the public sees what was approved last."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from datetime import datetime
from difflib import SequenceMatcher
from itertools import groupby
from typing import Final

from sqlalchemy import and_, or_, select
from sqlalchemy.orm import Session, joinedload, selectinload

from cnn_offset.domain.status import ListingStatus
from cnn_offset.domain.text import N_, clean_prose
from cnn_offset.models import Activity, Listing
from cnn_offset.services import NotFoundError, ServiceError
from cnn_offset.services.listing import locked, may_write, public_listing
from cnn_offset.services.mailing import queue_message
from cnn_offset.services.moves import move

REASON_LENGTH: Final = 2000


class ReasonError(ServiceError):
    """The reason is missing or too long."""


def queue(session: Session, *, after: int | None = None, limit: int = 50) -> Sequence[Listing]:
    """Return what waits for review, oldest first, with activity and provider.

    Args:
        session: any.
        after: the last id of the page before.
        limit: at most so many.

    """
    wanted = select(Listing).where(Listing.status == ListingStatus.SUBMITTED)
    mark = session.get(Listing, after) if after is not None else None
    if mark is not None and mark.submitted_at is not None:
        wanted = wanted.where(
            or_(
                Listing.submitted_at > mark.submitted_at,
                and_(Listing.submitted_at == mark.submitted_at, Listing.id > mark.id),
            )
        )
    return session.scalars(
        wanted.options(joinedload(Listing.activity), joinedload(Listing.provider))
        .order_by(Listing.submitted_at, Listing.id)
        .limit(limit)
    ).all()


def reviewed(session: Session, listing_id: int) -> Listing:
    """Return a version with all that an operator looks at.

    Raises:
        NotFoundError: there is none, or it has never been handed in.

    """
    found = session.get(
        Listing,
        listing_id,
        options=[
            joinedload(Listing.activity),
            joinedload(Listing.provider),
            selectinload(Listing.pictures),
        ],
    )
    if found is None or found.status is ListingStatus.DRAFT:
        raise NotFoundError(f"listing {listing_id}")
    return found


def approve(
    session: Session, listing_id: int, *, version: int, actor: str, now: datetime
) -> Listing:
    """Show a version to the public, in place of the one that was. Safe to repeat.

    Of two approved at once one waits for the other and takes its place: one remains.

    Args:
        session: a writing transaction.
        listing_id: which.
        version: what the operator looked at.
        actor: who.
        now: the moment.

    Raises:
        NotFoundError: there is none.
        ServiceError: it is no longer what was looked at, was decided on, or its provider
            may no longer write of this activity.

    """
    found = reviewed(session, listing_id)
    activity = session.get_one(
        Activity, found.activity_id, with_for_update=True, populate_existing=True
    )
    found = locked(session, listing_id)
    if found.status is ListingStatus.APPROVED:
        return found
    _check_same(found, version)
    if (
        session.scalar(
            select(Activity.id).where(Activity.id == activity.id, may_write(found.provider_id))
        )
        is None
    ):
        raise ServiceError(N_("This project is no longer mapped to an account of the provider."))
    old = public_listing(session, activity.id)
    if old is not None:
        move(
            session,
            old,
            ListingStatus.REPLACED,
            actor=actor,
            why=f"version {found.number} of {found.provider.slug}",
            now=now,
        )
    move(session, found, ListingStatus.APPROVED, actor=actor, why="reviewed", now=now)
    found.decided_at, found.decided_by = now, actor
    activity.title = dict(found.title)
    activity.description = dict(found.description)
    activity.labels = dict(found.labels)
    activity.sd_report_url = found.sd_report_url
    activity.picture = found.pictures[0].path
    activity.picture_alt = dict(found.pictures[0].alt)
    activity.changed_at = now
    _tell(session, "listing_approved", found, now=now)
    return found


def refuse(
    session: Session, listing_id: int, *, version: int, reason: str, actor: str, now: datetime
) -> Listing:
    """Give a version back to its provider, saying why.

    Raises:
        NotFoundError: there is none.
        ReasonError: there is no reason, or it is too long.
        ServiceError: it is no longer what was looked at, or was
            decided on.

    """
    words = clean_prose(reason)
    if not words:
        raise ReasonError(N_("Please say what the provider should change."))
    if len(words) > REASON_LENGTH:
        raise ReasonError(
            N_("The text has %(length)s characters; it may have %(most)s. Please shorten it."),
            length=len(words),
            most=REASON_LENGTH,
        )
    reviewed(session, listing_id)
    found = locked(session, listing_id)
    _check_same(found, version)
    move(session, found, ListingStatus.REFUSED, actor=actor, why=words, now=now)
    found.decided_at, found.decided_by, found.reason = now, actor, words
    _tell(session, "listing_refused", found, now=now)
    return found


def _check_same(found: Listing, version: int) -> None:
    if found.status is not ListingStatus.SUBMITTED:
        raise ServiceError(N_("This version does not wait for review any more."))
    if found.version != version:
        raise ServiceError(
            N_("The provider has changed this version since you opened it. Please look again.")
        )


def _tell(session: Session, kind: str, found: Listing, *, now: datetime) -> None:
    queue_message(
        session,
        kind,
        recipient=found.provider.email,
        locale=found.provider.locale,
        now=now,
        dedup=f"{kind}:{found.id}:{found.version}",
        # As it was then: the provider may hand it in again before the mail is written.
        params={"listing_id": found.id, "reason": found.reason},
    )


Part = tuple[str, bool]
"""Words of a text, and whether they stand only in this version of it; ``\\n`` ends a line."""


def compared(old: str, new: str) -> tuple[list[Part], list[Part]]:
    """Return both texts in parts, with what was taken out of the one and put into the other."""
    before, after = (re.findall(r"\S+|\n", each) for each in (old, new))
    matcher = SequenceMatcher(None, before, after, autojunk=False)
    left: list[Part] = []
    right: list[Part] = []
    for kind, a, b, c, d in matcher.get_opcodes():
        left += _parts(before[a:b], changed=kind != "equal")
        right += _parts(after[c:d], changed=kind != "equal")
    return left, right


def _parts(tokens: list[str], *, changed: bool) -> Iterator[Part]:
    for is_break, run in groupby(tokens, key=lambda each: each == "\n"):
        words = list(run)
        yield from [("\n", changed)] * len(words) if is_break else [(" ".join(words), changed)]

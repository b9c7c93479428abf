"""Pages as operators write them: drafts, publishing, and every version there ever was."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from typing import Final

from sqlalchemy import func, select, update
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session

from cnn_offset.domain import prose
from cnn_offset.domain.status import PageStatus
from cnn_offset.domain.text import N_
from cnn_offset.models import PageVersion
from cnn_offset.services import NotFoundError, ServiceError
from cnn_offset.services.moves import move, note

TERMS: Final = "terms"
"""The page whose versions have names, and stay for ever under them."""
REASON_LENGTH: Final = 500


class StaleDraftError(ServiceError):
    """Somebody else has saved, published or discarded the draft meanwhile."""


class ReasonError(ServiceError):
    """The reason is missing or too long."""


@dataclass(frozen=True)
class InForce:
    """The version that people read."""

    id: int
    name: str


def in_force(session: Session, page: str) -> InForce | None:
    """Return which version of ``page`` people read; None for the one shipped with us."""
    row = session.execute(
        select(PageVersion.id, PageVersion.name).where(
            PageVersion.page == page, PageVersion.status == PageStatus.PUBLISHED
        )
    ).one_or_none()
    return InForce(row.id, row.name) if row else None


def texts_of(session: Session, version_id: int) -> dict[str, str]:
    """Return the texts of a version by language."""
    return dict(
        session.scalars(select(PageVersion.texts).where(PageVersion.id == version_id)).one()
    )


def named(session: Session, page: str, name: str) -> PageVersion:
    """Return the version of ``page`` that was published as ``name``.

    Raises:
        NotFoundError: there is none.

    """
    found = session.scalar(
        select(PageVersion).where(
            PageVersion.page == page, PageVersion.name == name, PageVersion.name != ""
        )
    )
    if found is None:
        raise NotFoundError(f"{page} {name}")
    return found


def names(session: Session, page: str, *, limit: int = 50) -> Sequence[str]:
    """Return the names under which ``page`` was published, newest first."""
    return session.scalars(
        select(PageVersion.name)
        .where(PageVersion.page == page, PageVersion.name != "")
        .order_by(PageVersion.number.desc())
        .limit(limit)
    ).all()


def version(session: Session, page: str, number: int) -> PageVersion:
    """Return a version by its number.

    Raises:
        NotFoundError: there is none.

    """
    found = session.scalar(
        select(PageVersion).where(PageVersion.page == page, PageVersion.number == number)
    )
    if found is None:
        raise NotFoundError(f"{page} {number}")
    return found


def draft(session: Session, page: str) -> PageVersion | None:
    """Return what is being worked on, if anything."""
    return session.scalar(
        select(PageVersion).where(PageVersion.page == page, PageVersion.status == PageStatus.DRAFT)
    )


def history(
    session: Session, page: str, *, before: int | None = None, limit: int = 50
) -> Sequence[PageVersion]:
    """Return the versions of ``page``, newest first.

    Args:
        session: any.
        page: which page.
        before: the last number of the page of results before.
        limit: at most so many.

    """
    wanted = select(PageVersion).where(PageVersion.page == page)
    if before is not None:
        wanted = wanted.where(PageVersion.number < before)
    return session.scalars(wanted.order_by(PageVersion.number.desc()).limit(limit)).all()


def newest(session: Session) -> dict[str, dict[PageStatus, PageVersion]]:
    """Return of each page what is published and what is being worked on."""
    found: dict[str, dict[PageStatus, PageVersion]] = {}
    for each in session.scalars(
        select(PageVersion).where(PageVersion.status.in_((PageStatus.PUBLISHED, PageStatus.DRAFT)))
    ):
        found.setdefault(each.page, {})[each.status] = each
    return found


def predecessor(session: Session, found: PageVersion) -> PageVersion | None:
    """Return what people read before ``found``, or read now while it is a draft."""
    return session.scalar(
        select(PageVersion)
        .where(
            PageVersion.page == found.page,
            PageVersion.number < found.number,
            PageVersion.published_at.is_not(None),
        )
        .order_by(PageVersion.number.desc())
        .limit(1)
    )


def begin_draft(
    session: Session, page: str, texts: Mapping[str, str], *, why: str, actor: str, now: datetime
) -> PageVersion:
    """Begin a draft of ``page`` with ``texts``.

    Raises:
        ServiceError: there is one already.

    """
    if draft(session, page) is not None:
        raise ServiceError(
            N_("There is a draft of this page already. Publish or discard it first.")
        )
    last = session.scalar(select(func.max(PageVersion.number)).where(PageVersion.page == page))
    made = PageVersion(
        page=page,
        number=(last or 0) + 1,
        texts=dict(texts),
        created_by=actor,
        created_at=now,
        changed_by=actor,
        changed_at=now,
    )
    session.add(made)
    try:
        session.flush()
    except IntegrityError as error:
        raise ServiceError(N_("Somebody else has just begun a draft of this page.")) from error
    note(session, made, old="", new=str(PageStatus.DRAFT), actor=actor, why=why, now=now)
    return made


def save_draft(
    session: Session,
    page: str,
    texts: Mapping[str, str],
    *,
    edition: int,
    actor: str,
    now: datetime,
) -> PageVersion:
    """Save a draft, if it is still as it was when its form was opened (``edition``).

    Raises:
        NotFoundError: there is no draft.
        StaleDraftError: somebody else has saved it meanwhile.

    """
    found = _draft_of(session, page)
    if found.texts == dict(texts) and found.edition == edition:
        return found
    _take(session, found, edition)
    found.texts, found.changed_by, found.changed_at = dict(texts), actor, now
    session.flush()
    note(session, found, old="draft", new="draft", actor=actor, why="saved", now=now)
    return found


def publish(
    session: Session,
    page: str,
    *,
    edition: int,
    reason: str,
    languages: Collection[str],
    shipped_names: Collection[str],
    actor: str,
    now: datetime,
) -> PageVersion:
    """Show a draft to everybody in place of what they read; terms get a name of their own.

    Args:
        session: a writing transaction.
        page: which page.
        edition: what the operator looked at.
        reason: why, in the operator's words.
        languages: all of them must be there; the first is the original.
        shipped_names: names that versions shipped with us have taken.
        actor: who.
        now: the moment.

    Raises:
        NotFoundError: there is no draft.
        StaleDraftError: somebody else has saved it meanwhile.
        ReasonError: there is no reason, or it is too long.
        ServiceError: something in it must be mended first (``prose.faults``).

    """
    found = _draft_of(session, page)
    why = checked_reason(reason)
    if any(prose.faults(found.texts, languages).values()):
        raise ServiceError(
            N_("This cannot be published yet. What must be mended stands with each text.")
        )
    _take(session, found, edition)
    old = session.scalar(
        select(PageVersion)
        .where(PageVersion.page == page, PageVersion.status == PageStatus.PUBLISHED)
        .with_for_update()
    )
    if old is not None:
        move(session, old, PageStatus.REPLACED, actor=actor, why=why, now=now)
    if page == TERMS:
        found.name = _free_name(session, page, now.date(), shipped_names)
    found.published_by, found.published_at, found.reason = actor, now, why
    session.flush()
    if not move(session, found, PageStatus.PUBLISHED, actor=actor, why=why, now=now):
        raise StaleDraftError(N_("Somebody else has just published this draft."))
    return found


def discard(session: Session, page: str, *, edition: int, actor: str, now: datetime) -> None:
    """Put a draft away; its texts stay in the history.

    Raises:
        NotFoundError: there is no draft.
        StaleDraftError: somebody else has saved it meanwhile.

    """
    found = _draft_of(session, page)
    _take(session, found, edition)
    session.flush()
    move(session, found, PageStatus.DISCARDED, actor=actor, why="discarded", now=now)


def _draft_of(session: Session, page: str) -> PageVersion:
    found = draft(session, page)
    if found is None:
        raise NotFoundError(f"no draft of {page}")
    return found


def _take(session: Session, found: PageVersion, edition: int) -> None:
    """Raise the edition by compare-and-set: of two who act on a draft, one is told."""
    done = session.connection().execute(
        update(PageVersion)
        .where(
            PageVersion.id == found.id,
            PageVersion.edition == edition,
            PageVersion.status == PageStatus.DRAFT,
        )
        .values(edition=edition + 1)
    )
    if done.rowcount != 1:
        raise StaleDraftError(
            N_("%(actor)s has changed this draft since you opened it. Nothing of yours was saved."),
            actor=found.changed_by,
        )
    session.refresh(found)


def checked_reason(reason: str) -> str:
    """Return ``reason`` without blanks around it.

    Raises:
        ReasonError: there is none, or it is too long.

    """
    why = reason.strip()
    if not why:
        raise ReasonError(N_("Please write the reason."))
    if len(why) > REASON_LENGTH:
        raise ReasonError(
            N_("The text has %(length)s characters; it may have %(most)s. Please shorten it."),
            length=len(why),
            most=REASON_LENGTH,
        )
    return why


def _free_name(session: Session, page: str, day: date, shipped: Collection[str]) -> str:
    """Return the day, and a number after it if there was a version that day already."""
    taken = {*names(session, page, limit=1000), *shipped}
    name, count = day.isoformat(), 1
    while name in taken:
        count += 1
        name = f"{day.isoformat()}-{count}"
    return name

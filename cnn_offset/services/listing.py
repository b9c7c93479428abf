"""What providers write and show of their projects: drafts, review, what the public sees.

Pictures lie in the file store before a row names them; a file that no version names any
more does no harm.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from sqlalchemy import ColumnElement, select
from sqlalchemy.orm import Session, joinedload, selectinload

from cnn_offset.domain.status import ListingStatus
from cnn_offset.domain.text import N_
from cnn_offset.models import AccountActivity, Activity, Listing, Picture, RegistryAccount
from cnn_offset.services import NotFoundError, ServiceError
from cnn_offset.services.describing import Texts, missing
from cnn_offset.services.moves import move, note

MOST_PICTURES: Final = 8
HISTORY: Final = 50
_OPEN: Final = (ListingStatus.DRAFT, ListingStatus.SUBMITTED, ListingStatus.REFUSED)
_EDITABLE: Final = (ListingStatus.DRAFT, ListingStatus.REFUSED)
_NAME: Final = re.compile(r"pictures/([0-9a-f]{32})-[0-9]{3,4}\.webp")
_WAITS: Final = N_("This version waits for review. Take it back if you want to change it.")


class StaleError(ServiceError):
    """Somebody else has saved it meanwhile; ``now`` is what stands there."""

    def __init__(self, now: Listing) -> None:
        super().__init__(
            N_(
                "Somebody else has saved these texts while you were writing. Yours are not "
                "saved yet: compare them with what stands there now, then save again."
            )
        )
        self.now = now


def may_write(provider_id: int) -> ColumnElement[bool]:
    """Say of an activity that it is mapped to an account of the provider."""
    return Activity.id.in_(
        select(AccountActivity.activity_id)
        .join(AccountActivity.account)
        .where(RegistryAccount.provider_id == provider_id)
    )


@dataclass(frozen=True)
class Page:
    """An activity, with the provider's version of its page that is open, and the public one."""

    activity: Activity
    open: Listing | None
    public: Listing | None


def pages(
    session: Session, provider_id: int, *, before: int | None = None, limit: int = 50
) -> list[Page]:
    """Return the activities whose pages a provider may write, with where each page stands.

    Args:
        session: any.
        provider_id: whose.
        before: only activities older than this id, for the next page.
        limit: at most so many.

    """
    wanted = select(Activity).where(may_write(provider_id))
    if before is not None:
        wanted = wanted.where(Activity.id < before)
    activities = session.scalars(wanted.order_by(Activity.id.desc()).limit(limit)).all()
    ids = [each.id for each in activities]
    rows = session.scalars(
        select(Listing).where(
            Listing.activity_id.in_(ids),
            ((Listing.provider_id == provider_id) & Listing.status.in_(_OPEN))
            | (Listing.status == ListingStatus.APPROVED),
        )
    ).all()
    public = {each.activity_id: each for each in rows if each.status is ListingStatus.APPROVED}
    begun = {each.activity_id: each for each in rows if each.status in _OPEN}
    return [Page(each, begun.get(each.id), public.get(each.id)) for each in activities]


def page(session: Session, provider_id: int, slug: str) -> Page:
    """Return the page of one activity.

    Raises:
        NotFoundError: there is none, or it is not mapped to the provider.

    """
    activity = _activity(session, provider_id, slug)
    open_ = session.scalar(
        select(Listing)
        .where(
            Listing.activity_id == activity.id,
            Listing.provider_id == provider_id,
            Listing.status.in_(_OPEN),
        )
        .options(selectinload(Listing.pictures))
    )
    return Page(activity, open_, public_listing(session, activity.id))


def _activity(session: Session, provider_id: int, slug: str, *, lock: bool = False) -> Activity:
    # PostgreSQL cannot even be asked for a NUL.
    found = select(Activity).where(Activity.slug == slug.replace("\0", ""), may_write(provider_id))
    activity = session.scalar(found.with_for_update(of=Activity) if lock else found)
    if activity is None:
        raise NotFoundError(slug)
    return activity


def history(session: Session, provider_id: int, activity: Activity) -> Sequence[Listing]:
    """Return a provider's newest versions of an activity's page, newest first."""
    return session.scalars(
        select(Listing)
        .where(Listing.activity_id == activity.id, Listing.provider_id == provider_id)
        .order_by(Listing.number.desc())
        .limit(HISTORY)
    ).all()


def public_listing(session: Session, activity_id: int) -> Listing | None:
    """Return the version that the public sees; None for an activity that has none."""
    return session.scalar(
        select(Listing)
        .where(Listing.activity_id == activity_id, Listing.status == ListingStatus.APPROVED)
        .options(selectinload(Listing.pictures))
    )


def is_public(session: Session, path: str) -> bool:
    """Tell whether everybody may see a file of the folder of pictures.

    Those of providers, which are WebP, only while they stand in an approved version;
    others, such as the drawings of the demo, always.
    """
    if not path.lower().endswith(".webp"):
        return True
    found = _NAME.fullmatch(path)
    if found is None:
        return False
    # A row names the widest of its files.
    widest = [f"pictures/{found[1]}-{width}.webp" for width in (800, 1600)]
    return (
        session.scalar(
            select(Picture.id)
            .join(Picture.listing)
            .where(Picture.path.in_(widest), Listing.status == ListingStatus.APPROVED)
            .limit(1)
        )
        is not None
    )


def listing(session: Session, provider_id: int, listing_id: int) -> Listing:
    """Return one of a provider's versions, with activity and pictures.

    Raises:
        NotFoundError: there is none, it is another's, or its activity is no longer mapped
            to the provider.

    """
    found = session.scalar(
        select(Listing)
        .join(Listing.activity)
        .where(Listing.id == listing_id, Listing.provider_id == provider_id, may_write(provider_id))
        .options(joinedload(Listing.activity), selectinload(Listing.pictures))
    )
    if found is None:
        raise NotFoundError(f"listing {listing_id}")
    return found


def begin(session: Session, provider_id: int, slug: str, *, actor: str, now: datetime) -> Listing:
    """Return the version that can be worked on; a new one is a copy of what is public.

    Safe to repeat: there is one such version at most.

    Raises:
        NotFoundError: there is no such activity, or it is not mapped to the provider.
        ServiceError: the last version still waits for review.

    """
    # Nobody else begins a version of this activity, or decides on one, until the commit.
    activity = _activity(session, provider_id, slug, lock=True)
    latest = session.scalar(
        select(Listing)
        .where(Listing.activity_id == activity.id, Listing.provider_id == provider_id)
        .order_by(Listing.number.desc())
        .limit(1)
    )
    if latest is not None and latest.status in _OPEN:
        if latest.status is ListingStatus.SUBMITTED:
            raise ServiceError(_WAITS)
        return latest
    public = public_listing(session, activity.id)
    made = Listing(
        activity_id=activity.id,
        provider_id=provider_id,
        number=latest.number + 1 if latest else 1,
        title=dict(activity.title),
        description=dict(activity.description),
        labels=dict(activity.labels),
        sd_report_url=activity.sd_report_url,
        created_at=now,
        pictures=[
            Picture(position=each.position, path=each.path, widths=each.widths, alt=dict(each.alt))
            for each in (public.pictures if public else ())
        ],
    )
    session.add(made)
    session.flush()
    note(session, made, old="", new="draft", actor=actor, why="begun", now=now)
    return made


def _editable(
    session: Session, provider_id: int, listing_id: int, *, actor: str, now: datetime
) -> Listing:
    """Return a version to write to, alone until the commit; a refused one is a draft again."""
    listing(session, provider_id, listing_id)
    found = locked(session, listing_id)
    if found.status not in _EDITABLE:
        raise ServiceError(
            _WAITS
            if found.status is ListingStatus.SUBMITTED
            else N_("This version is decided on and stays as it is. Please begin a new one.")
        )
    move(session, found, ListingStatus.DRAFT, actor=actor, why="worked on", now=now)
    return found


def locked(session: Session, listing_id: int) -> Listing:
    """Return a version as it is now; nobody else writes to it until the commit."""
    session.flush()
    return session.get_one(Listing, listing_id, with_for_update=True, populate_existing=True)


def save_texts(
    session: Session,
    provider_id: int,
    listing_id: int,
    texts: Texts,
    *,
    version: int,
    actor: str,
    now: datetime,
) -> Listing:
    """Save the texts of a draft.

    Args:
        session: a writing transaction.
        provider_id: whose it must be.
        listing_id: which version of the page.
        texts: all of them.
        version: of the save that the form was drawn from.
        actor: who.
        now: the moment.

    Raises:
        NotFoundError: it is not the provider's.
        StaleError: somebody has saved it since.
        ServiceError: it is no draft any more.

    """
    found = _editable(session, provider_id, listing_id, actor=actor, now=now)
    if found.version != version:
        raise StaleError(found)
    found.title = dict(texts.title)
    found.description = dict(texts.description)
    found.labels = dict(texts.labels)
    found.sd_report_url = texts.sd_report_url
    found.version += 1
    note(session, found, old="", new="texts saved", actor=actor, why="", now=now)
    return found


def add_picture(
    session: Session,
    provider_id: int,
    listing_id: int,
    *,
    name: str,
    widths: Sequence[int],
    alt: Mapping[str, str],
    actor: str,
    now: datetime,
) -> Picture:
    """Put a picture behind the others of a draft.

    Args:
        session: a writing transaction.
        provider_id: whose draft it must be.
        listing_id: which.
        name: of its files, as :func:`picture_path` makes paths of it.
        widths: of its files, in pixels, widest last.
        alt: what it shows, in three languages.
        actor: who.
        now: the moment.

    Raises:
        NotFoundError: the draft is not the provider's.
        ServiceError: it is no draft any more, or is full.

    """
    found = _editable(session, provider_id, listing_id, actor=actor, now=now)
    if len(found.pictures) >= MOST_PICTURES:
        raise full()
    made = Picture(
        position=len(found.pictures) + 1,
        path=picture_path(name, widths[-1]),
        widths=list(widths),
        alt=dict(alt),
    )
    found.pictures.append(made)
    session.flush()
    note(session, found, old="", new="picture added", actor=actor, why="", now=now)
    return made


def full() -> ServiceError:
    """Return what is said where no more pictures fit."""
    return ServiceError(
        N_("There are %(most)s pictures already. Please remove one first."), most=MOST_PICTURES
    )


def picture_path(name: str, width: int) -> str:
    """Return where a picture of a width lies in the file store."""
    return f"pictures/{name}-{width}.webp"


def picture_of(found: Listing, picture_id: int) -> Picture:
    """Return a picture of a version.

    Raises:
        NotFoundError: the version has no such picture.

    """
    picture = next((each for each in found.pictures if each.id == picture_id), None)
    if picture is None:
        raise NotFoundError(f"picture {picture_id}")
    return picture


def picture_file(found: Listing, picture_id: int, width: int) -> str:
    """Return where in the file store a picture of a version lies in some width.

    Raises:
        NotFoundError: the version has no such picture, or not in this width.

    """
    picture = picture_of(found, picture_id)
    if width not in picture.widths:
        raise NotFoundError(f"picture {picture_id}, {width} wide")
    return f"{picture.path.rpartition('-')[0]}-{width}.webp"


def change_picture(
    session: Session,
    provider_id: int,
    listing_id: int,
    picture_id: int,
    *,
    alt: Mapping[str, str] | None = None,
    by: int = 0,
    remove: bool = False,
    actor: str,
    now: datetime,
) -> None:
    """Describe a picture of a draft anew, move it by so many places, or remove it.

    Raises:
        NotFoundError: the draft is not the provider's, or has no such picture.
        ServiceError: it is no draft any more.

    """
    found = _editable(session, provider_id, listing_id, actor=actor, now=now)
    order = list(found.pictures)
    picture = picture_of(found, picture_id)
    place = order.index(picture)
    order.remove(picture)
    if alt is not None:
        picture.alt = dict(alt)
    if remove:
        found.pictures.remove(picture)
    else:
        order.insert(max(0, place + by), picture)
    for position, each in enumerate(order, 1):
        each.position = position
    session.flush()
    session.expire(found, ["pictures"])
    what = "removed" if remove else "moved" if by else "described"
    note(session, found, old="", new=f"picture {what}", actor=actor, why="", now=now)


def submit(
    session: Session, provider_id: int, listing_id: int, *, actor: str, now: datetime
) -> Listing:
    """Hand a draft in for review. Safe to repeat.

    Raises:
        NotFoundError: it is not the provider's.
        ServiceError: something is missing, or it is no draft.

    """
    if listing(session, provider_id, listing_id).status is ListingStatus.SUBMITTED:
        return locked(session, listing_id)
    found = _editable(session, provider_id, listing_id, actor=actor, now=now)
    if missing(found):
        raise ServiceError(N_("Something is still missing before this can be reviewed."))
    # Whoever reviews it says which version was looked at.
    found.version += 1
    found.submitted_at = now
    found.decided_at, found.decided_by, found.reason = None, "", ""
    move(session, found, ListingStatus.SUBMITTED, actor=actor, why="handed in", now=now)
    return found


def take_back(
    session: Session, provider_id: int, listing_id: int, *, actor: str, now: datetime
) -> None:
    """Make a version that waits for review a draft again. Safe to repeat.

    Raises:
        NotFoundError: it is not the provider's.
        ServiceError: it has been decided on.

    """
    listing(session, provider_id, listing_id)
    found = locked(session, listing_id)
    if found.status not in _OPEN:
        raise ServiceError(N_("This version has been decided on already."))
    move(session, found, ListingStatus.DRAFT, actor=actor, why="taken back", now=now)

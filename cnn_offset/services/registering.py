"""Registering projects here, one by one, as a registry has them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime

from sqlalchemy import func, or_, select
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session

from cnn_offset.domain.text import N_, slug
from cnn_offset.models import Activity, ActivityKind, FormerRef
from cnn_offset.models.base import Localised
from cnn_offset.services import ServiceError
from cnn_offset.services.moves import note
from cnn_offset.services.remembering import link_projects


@dataclass(frozen=True, slots=True)
class Registration:
    """What is known of an activity before its provider describes it; all of it checked."""

    registry_id: str
    ref: str
    kind: ActivityKind
    title: Localised
    host_party: str
    scope: int
    technology: str
    methodology: str
    crediting_start: date
    crediting_end: date
    registry_url: str


def register_activity(
    session: Session, wanted: Registration, *, actor: str, now: datetime
) -> Activity:
    """Register an activity; description and pictures come from its provider.

    Raises:
        ServiceError: it is registered here already, or its crediting period ends before
            it begins.

    """
    if wanted.crediting_end < wanted.crediting_start:
        raise ServiceError(N_("The crediting period ends before it begins."))
    known = select(Activity.id).where(
        Activity.registry_id == wanted.registry_id, func.upper(Activity.ref) == wanted.ref.upper()
    )
    taken = ServiceError(
        N_("Project %(ref)s of this registry is registered already."), ref=wanted.ref
    )
    former = select(FormerRef.id).where(
        FormerRef.registry_id == wanted.registry_id,
        func.upper(FormerRef.ref) == wanted.ref.upper(),
    )
    if session.scalar(known) or session.scalar(former):
        raise taken
    made = as_activity(wanted, free_slug(session, wanted, set()), now=now)
    try:
        with session.begin_nested():
            session.add(made)
    except IntegrityError:
        raise taken from None
    note(session, made, old="", new="registered", actor=actor, why="", now=now)
    link_projects(session, [made], now=now)
    return made


def free_slug(session: Session, wanted: Registration, taken: set[str]) -> str:
    """Return a name for the address that no project has, nor any in ``taken``; it is added."""
    stem = slug(wanted.title["en"])
    if stem in taken or session.scalar(select(Activity.id).where(Activity.slug == stem)):
        # The reference number tells projects of the same name apart.
        stem = slug(f"{stem} {wanted.ref} {wanted.registry_id}", longest=115)
    taken.add(stem)
    return stem


def as_activity(wanted: Registration, name: str, *, now: datetime) -> Activity:
    """Return an activity that its provider has still to describe; ``name`` for its address."""
    return Activity(
        slug=name,
        registry_id=wanted.registry_id,
        ref=wanted.ref,
        kind=wanted.kind,
        title=dict(wanted.title),
        description=dict.fromkeys(wanted.title, ""),
        labels={},
        picture_alt={},
        host_party=wanted.host_party,
        scope=wanted.scope,
        technology=wanted.technology,
        methodology=wanted.methodology,
        crediting_start=wanted.crediting_start,
        crediting_end=wanted.crediting_end,
        registry_url=wanted.registry_url,
        created_at=now,
        changed_at=now,
    )


def registered(
    session: Session, *, words: str, registry_id: str, before: int | None, limit: int
) -> Sequence[Activity]:
    """Return activities, newest first, by reference number or a part of the address."""
    wanted = select(Activity)
    if registry_id:
        wanted = wanted.where(Activity.registry_id == registry_id)
    if words:
        wanted = wanted.where(
            or_(
                Activity.ref == words.upper(),
                Activity.id.in_(
                    select(FormerRef.activity_id).where(FormerRef.ref == words.upper())
                ),
                Activity.slug.contains(slug(words), autoescape=True),
            )
        )
    if before is not None:
        wanted = wanted.where(Activity.id < before)
    return session.scalars(wanted.order_by(Activity.id.desc()).limit(limit)).all()

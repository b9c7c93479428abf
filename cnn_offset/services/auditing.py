"""The audit trail: everything that anybody did, found by who, what, when and about what.

Each search is driven by one index, newest first; what narrows it further is looked at in
the newest ``SCAN`` events of those. So a page costs the same however long the trail is; the
reader goes on from there.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from sqlalchemy import ColumnElement, and_, func, or_, select, union_all
from sqlalchemy.orm import Session

from cnn_offset.models import Event, Order, User
from cnn_offset.services.joining import find_user
from cnn_offset.services.moves import note

SCAN: Final = 2000
"""Events looked through for a page when several things are asked for at once."""
EXPORTED: Final = "audit trail exported"
"""What an event says of somebody who took a part of the trail with them."""


@dataclass(frozen=True, slots=True)
class AuditQuery:
    """What a reader of the trail looks for; empty parts do not narrow."""

    actor: str = ""
    """As kept with the event; an account's address finds what it did under its number too."""
    code: str = ""
    """An order's."""
    subject: str = ""
    """A table."""
    subject_id: int | None = None
    what: str = ""
    """What something became, as kept."""
    since: datetime | None = None
    until: datetime | None = None


@dataclass(frozen=True, slots=True)
class AuditPage:
    """Some events, newest first."""

    events: Sequence[Event]
    codes: dict[int, str]
    """Codes of the orders they are about, by id."""
    before: int | None
    """Give this to the next call for older ones; None if there are none."""


def find_events(
    session: Session, query: AuditQuery, *, before: int | None, limit: int
) -> AuditPage:
    """Return the newest events that match ``query``, older than ``before`` if given.

    A page may have fewer events than ``limit``, or none, and yet lead to older ones.
    """
    order_id = None
    if query.code:
        order_id = session.scalar(select(Order.id).where(Order.code == query.code))
        if order_id is None:
            return AuditPage([], {}, None)
    ways, rest = _ways(session, query, order_id)
    within = _within(session, query, before)
    scanned = limit + 1 if not rest else SCAN
    parts = [
        _newest(select(Event.id, Event.at).where(way, *within), scanned).subquery() for way in ways
    ]
    driven = parts[0] if len(parts) == 1 else union_all(*map(select, parts)).subquery()
    near = (
        select(driven.c.id, driven.c.at)
        .order_by(driven.c.at.desc(), driven.c.id.desc())
        .limit(scanned)
        .subquery()
    )
    found = session.scalars(
        _newest(select(Event).join(near, near.c.id == Event.id).where(*rest), limit + 1)
    ).all()
    older = None
    if len(found) > limit:
        older = found[limit - 1].id
    elif rest and (session.scalar(select(func.count()).select_from(near)) or 0) == scanned:
        older = session.scalar(select(near.c.id).order_by(near.c.at, near.c.id).limit(1))
    return AuditPage(found[:limit], codes_of(session, found[:limit]), older)


def _ways(
    session: Session, query: AuditQuery, order_id: int | None
) -> tuple[list[ColumnElement[bool]], list[ColumnElement[bool]]]:
    """Return what drives the search, each by an index of its own, and what narrows it."""
    asked: list[list[ColumnElement[bool]]] = []
    if order_id is not None:
        asked.append([Event.order_id == order_id])
    if query.subject and query.subject_id is not None:
        asked.append([and_(Event.subject == query.subject, Event.subject_id == query.subject_id)])
    if query.actor:
        asked.append([Event.actor == each for each in _names(session, query.actor)])
    if query.what:
        asked.append([Event.new == query.what])
    if query.subject and query.subject_id is None:
        asked.append([Event.subject == query.subject])
    if not asked:
        return [Event.id > 0], []
    return asked[0], [or_(*each) for each in asked[1:]]


def _names(session: Session, actor: str) -> list[str]:
    """Return the names under which an actor stands in the trail."""
    user = find_user(session, actor) if "@" in actor else None
    return [actor] if user is None else [user.email, f"user {user.id}"]


def _within(session: Session, query: AuditQuery, before: int | None) -> list[ColumnElement[bool]]:
    within = []
    if query.since is not None:
        within.append(Event.at >= query.since)
    if query.until is not None:
        within.append(Event.at < query.until)
    last = session.get(Event, before) if before else None
    if last is not None:
        within.append(Event.at <= last.at)
        within.append(or_(Event.at < last.at, Event.id < last.id))
    return within


def _newest(wanted: Any, limit: int) -> Any:
    return wanted.order_by(Event.at.desc(), Event.id.desc()).limit(limit)


def codes_of(session: Session, events: Sequence[Event]) -> dict[int, str]:
    """Return the codes of the orders that ``events`` are about, by id."""
    ids = {each.order_id for each in events if each.order_id}
    if not ids:
        return {}
    return dict(session.execute(select(Order.id, Order.code).where(Order.id.in_(ids))).all())


def period_events(
    session: Session,
    since: datetime,
    until: datetime,
    *,
    after: tuple[datetime, int] | None,
    limit: int,
) -> Sequence[Event]:
    """Return events of a period, oldest first, from ``after`` (moment, id) on."""
    wanted = select(Event).where(Event.at >= since, Event.at < until)
    if after is not None:
        at, row_id = after
        wanted = wanted.where(Event.at >= at, or_(Event.at > at, Event.id > row_id))
    return session.scalars(wanted.order_by(Event.at, Event.id).limit(limit)).all()


def note_export(session: Session, operator: User, period: str, *, now: datetime) -> None:
    """Keep that an operator takes a part of the trail with them."""
    note(session, operator, old="", new=EXPORTED, actor=operator.email, why=period, now=now)

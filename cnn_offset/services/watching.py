"""How calls to the outside go, and how much work waits: kept and read, for operators."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any, Final

from sqlalchemy import func, select
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session

from cnn_offset.domain.status import MessageStatus
from cnn_offset.models import CallHealth, Chore, Message

MOST: Final = 1000
"""No more than these are counted; the page says "or more"."""
SOON: Final = timedelta(minutes=16)
"""What fails is due again within this."""


@dataclass
class CallNews:
    """What is new of one kind of call since a process began to note."""

    kind: str
    name: str
    call: str
    succeeded_at: datetime | None = None
    failed_at: datetime | None = None
    failing_since: datetime | None = None
    words: str = ""

    def copy(self) -> CallNews:
        """Return one that stays as it is."""
        return replace(self)


def keep_calls(session: Session, news: Iterable[CallNews]) -> None:
    """Bring the rows up to date with what one process has noted. Safe to repeat.

    Others note at the same time: the later moment wins, and a failure of theirs after our
    success stays one.
    """
    # In one order, or two processes could wait for each other.
    for each in sorted(news, key=lambda one: (one.kind, one.name, one.call)):
        row = _row(session, each)
        well_at = _later(row.succeeded_at, each.succeeded_at)
        starts = [
            since
            for since in (row.failing_since, each.failing_since)
            if since and (well_at is None or since > well_at)
        ]
        if each.failed_at and (row.failed_at is None or each.failed_at >= row.failed_at):
            row.words = each.words
        row.failed_at = _later(row.failed_at, each.failed_at)
        row.succeeded_at = well_at
        row.failing_since = min(starts, default=None)


def _row(session: Session, news: CallNews) -> CallHealth:
    wanted = (
        select(CallHealth)
        .where(
            CallHealth.kind == news.kind,
            CallHealth.name == news.name,
            CallHealth.call == news.call,
        )
        .with_for_update()
        .execution_options(populate_existing=True)
    )
    found = session.scalar(wanted)
    if found is not None:
        return found
    fresh = CallHealth(kind=news.kind, name=news.name, call=news.call)
    try:
        with session.begin_nested():
            session.add(fresh)
            session.flush()
    except IntegrityError:
        return session.scalars(wanted).one()
    return fresh


def _later(one: datetime | None, other: datetime | None) -> datetime | None:
    return max((each for each in (one, other) if each), default=None)


def calls(session: Session) -> list[CallHealth]:
    """Return how every kind of call went last."""
    return list(
        session.scalars(
            select(CallHealth).order_by(CallHealth.kind, CallHealth.name, CallHealth.call)
        )
    )


@dataclass(frozen=True, slots=True)
class Waiting:
    """How much of one kind of work is due, and how much of it fails."""

    kind: str
    due: int
    """At most :data:`MOST`."""
    oldest: datetime | None
    failing: int
    error: str
    """Of the one that has been tried most often."""


def waiting(session: Session, kinds: Mapping[str, Any], now: datetime) -> list[Waiting]:
    """Count the work of each kind (a table with ``WorkMixin``) by its index of what is due."""
    found = []
    for name, kind in kinds.items():
        late = select(kind.due_at).where(kind.due_at <= now).order_by(kind.due_at).limit(MOST)
        due, oldest = _count(session, late)
        failing = session.execute(
            select(kind.attempts, kind.last_error)
            .where(kind.due_at <= now + SOON, kind.last_error != "")
            .order_by(kind.due_at)
            .limit(MOST)
        ).all()
        worst = max(failing, key=lambda row: int(row[0]), default=None)
        found.append(Waiting(name, due, oldest, len(failing), worst[1] if worst else ""))
    return found


def _count(session: Session, late: Any) -> tuple[int, datetime | None]:
    rows = late.subquery()
    count, oldest = session.execute(select(func.count(), func.min(rows.c.due_at))).one()
    return int(count), oldest


@dataclass(frozen=True, slots=True)
class Outbox:
    """How mail goes."""

    queued: int
    """At most :data:`MOST`."""
    failed: int
    """Of the newest :data:`MOST` mails."""
    last_sent: datetime | None


def outbox(session: Session) -> Outbox:
    """Look at the outbox: what waits, and how the newest mails went."""
    waits = select(Message.id).where(Message.due_at.is_not(None)).limit(MOST).subquery()
    queued = session.scalar(select(func.count()).select_from(waits))
    newest = (
        select(Message.status, Message.sent_at).order_by(Message.id.desc()).limit(MOST).subquery()
    )
    failed = session.scalar(
        select(func.count()).select_from(newest).where(newest.c.status == MessageStatus.FAILED)
    )
    last_sent = session.scalar(select(func.max(newest.c.sent_at)))
    return Outbox(int(queued or 0), int(failed or 0), last_sent)


def chores(session: Session) -> Sequence[Chore]:
    """Return the work that comes round."""
    return session.scalars(select(Chore).order_by(Chore.name)).all()

"""Comparing our books with each registry's own, every night (F8).

A night has two steps. First the registry's list of cancellations, of all channels, from where
the night before ended: each is matched with ours, and what we have that the list has not is
found by it. Then every account is read from beginning to end. What a registry did so lately
that its list may not have it yet is left to the next night, by the registry's own clock.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import date, datetime, timedelta
from itertools import takewhile
from typing import Final

from sqlalchemy import func, or_, select, text, update
from sqlalchemy.orm import Session

from cnn_offset.domain.calendar import RegistryDates, RegistryPhase
from cnn_offset.models import (
    Cancellation,
    Difference,
    DifferenceKind,
    Hindrance,
    Night,
    NightStep,
    RegistryAccount,
)
from cnn_offset.models.reconciling import UNLISTED
from cnn_offset.plugins.errors import OutcomeUnknownError, RefusedError, UnavailableError
from cnn_offset.plugins.registries.base import CancellationPage, RegistryConnector
from cnn_offset.services import Begin, announce, differing
from cnn_offset.services.matching_books import compare, look_again

HOUR: Final = 3
"""Of the night, in UTC, when it begins."""
GIVE_UP: Final = timedelta(hours=6)
"""After so long the night is over, whatever was compared."""
PAGES: Final = 20
"""Of the registry's list, in one turn."""
TURN: Final = timedelta(seconds=30)
LOOK_EVERY: Final = timedelta(minutes=2)
"""Whether all accounts have been read."""
TOO_MANY: Final = 200
"""So many new differences are no differences: something else is wrong."""
BATCH: Final = 200
NOT_TOLD: Final = "the registry does not list its cancellations"


def next_night(now: datetime) -> datetime:
    """Return when the next night begins."""
    tonight = now.replace(hour=HOUR, minute=0, second=0, microsecond=0)
    return tonight if tonight > now else tonight + timedelta(days=1)


def begin_nights(
    session: Session, registries: Mapping[str, RegistryDates], *, now: datetime
) -> list[Night]:
    """Begin to compare with each registry, unless that was done today. Safe to repeat."""
    return [
        begin_night(session, registry_id, dates, now=now)
        for registry_id, dates in registries.items()
    ]


def begin_night(
    session: Session, registry_id: str, dates: RegistryDates, *, now: datetime
) -> Night:
    """Begin to compare with one registry; return today's night, begun before or now."""
    last = session.scalar(
        select(Night).where(Night.registry_id == registry_id).order_by(Night.day.desc()).limit(1)
    )
    day = now.date()
    # A day that lies ahead was begun by a clock that has stepped back since.
    if last is not None and last.day >= day:
        return last
    made = Night(
        registry_id=registry_id,
        day=day,
        began_at=now,
        due_at=now,
        # Where the night before ended.
        cursor=last.cursor if last else "",
        skip=last.skip if last else 0,
        listed_until=last.listed_until if last else None,
    )
    if last is not None and last.ended_at is None:
        _finish(session, last, Hindrance.NO_TIME, now=now)
        made.cursor, made.skip, made.listed_until = last.cursor, last.skip, last.listed_until
    session.add(made)
    session.flush()
    if dates.phase(now) is RegistryPhase.CLOSED:
        _finish(session, made, Hindrance.CLOSED, now=now)
    elif dates.phase(now) is RegistryPhase.NOT_OPEN:
        _finish(session, made, None, now=now)
    return made


def go_on(
    begin: Begin,
    night_id: int,
    *,
    connectors: Mapping[str, RegistryConnector],
    clock: Callable[[], datetime],
) -> datetime | None:
    """Bring a night a step further; the caller holds its lease. Safe to repeat.

    Returns when to go on, None when it is over.

    Raises:
        UnavailableError, OutcomeUnknownError: no answer; try again later.

    """
    with begin() as session:
        night = session.get_one(Night, night_id)
        if night.step is NightStep.DONE:
            return None
        if clock() >= night.began_at + GIVE_UP:
            failed = bool(night.last_error)
            night.words = night.words or night.last_error
            _finish(session, night, Hindrance.SILENT if failed else Hindrance.NO_TIME, now=clock())
            return None
        step, registry_id = night.step, night.registry_id
    if step is NightStep.HOLDINGS:
        with begin() as session:
            return _compare_holdings(session, session.get_one(Night, night_id), now=clock())
    connector = connectors.get(registry_id)
    if connector is None:
        raise UnavailableError(f"registry {registry_id} is not configured")
    return _compare_lists(begin, night_id, connector, clock)


def _compare_lists(
    begin: Begin, night_id: int, connector: RegistryConnector, clock: Callable[[], datetime]
) -> datetime:
    started = clock()
    for _ in range(PAGES):
        with begin() as session:
            night = session.get_one(Night, night_id)
            cursor, skip = night.cursor, night.skip
        try:
            page = connector.list_cancellations(cursor)
            if len(page.entries) < skip:
                raise RefusedError("its list has become shorter")
        except RefusedError as error:
            with begin() as session:
                night = session.get_one(Night, night_id)
                # The next night begins where the list begins: what was compared before is known.
                night.cursor, night.skip = "", 0
                _hinder(session, night, Hindrance.REFUSED, str(error), now=clock())
            return clock()
        with begin() as session:
            # Somebody else's turn, if this one was held up for longer than its lease.
            night = session.get_one(Night, night_id, with_for_update=True, populate_existing=True)
            if (night.cursor, night.skip) != (cursor, skip):
                raise OutcomeUnknownError("another process goes on with it")
            if not _take(session, night, page, connector.settle, now=clock()):
                return clock()
        if clock() - started > TURN:
            break
    return clock()


def _take(
    session: Session, night: Night, page: CancellationPage, settle: timedelta, *, now: datetime
) -> bool:
    """Compare a page with our books; return whether to go on with the next one."""
    if page.registry_time is None:
        _hinder(session, night, Hindrance.REFUSED, NOT_TOLD, now=now)
        return False
    horizon = page.registry_time - settle
    fresh = page.entries[night.skip :]
    # In the order of their completion: what follows one that is too young is younger still.
    judged = list(takewhile(lambda each: each.completed_at < horizon, fresh))
    compare(session, night, judged, now=now)
    if len(judged) == len(fresh):
        night.cursor, night.skip = page.cursor, 0
        more = page.more
    else:
        night.skip += len(judged)
        more = False
    if _count(session, night) > TOO_MANY:
        words = f"more than {TOO_MANY} differences"
        _hinder(session, night, Hindrance.TOO_MANY, words, now=now)
        return False
    if more:
        if judged:
            night.listed_until = judged[-1].completed_at
        return True
    night.listed_until = horizon
    _find_ours_only(session, night, now=now)
    for row in differing.open_of(session, night.registry_id, OF_LISTS):
        look_again(session, row, now=now)
    _to_holdings(session, night, now=now)
    return False


OF_LISTS: Final = (
    DifferenceKind.OURS_ONLY,
    DifferenceKind.THEIRS_ONLY,
    DifferenceKind.DIFFERING,
    DifferenceKind.TAKEN_TWICE,
)


def _find_ours_only(session: Session, night: Night, *, now: datetime) -> None:
    """Find what we have as cancelled and the registry's list has not."""
    rows = session.scalars(
        select(Cancellation)
        .where(
            text(f"({UNLISTED})"),
            Cancellation.registry_id == night.registry_id,
            Cancellation.completed_at < night.listed_until,
        )
        .order_by(Cancellation.completed_at)
        .limit(TOO_MANY)
    )
    for row in rows:
        differing.find(
            session,
            night.registry_id,
            DifferenceKind.OURS_ONLY,
            row.key,
            ours={
                "key": row.key,
                "registry_ref": row.registry_ref,
                "account": row.account_ref,
                "units": row.quantity,
                "completed_at": row.completed_at.isoformat() if row.completed_at else "",
                "ranges": [str(each.serials) for each in row.ranges],
            },
            theirs={},
            now=now,
            cancellation_id=row.id,
            order_id=row.order_id,
            night_id=night.id,
        )


def _hinder(
    session: Session, night: Night, hindrance: Hindrance, words: str, *, now: datetime
) -> None:
    """Give the list up for this night; the accounts are still read."""
    night.hindrance, night.words = hindrance, words[:500]
    _to_holdings(session, night, now=now)


def _to_holdings(session: Session, night: Night, *, now: datetime) -> None:
    """Have all accounts of the registry read from beginning to end."""
    night.step = NightStep.HOLDINGS
    accounts = session.execute(
        update(RegistryAccount)
        .where(
            RegistryAccount.registry_id == night.registry_id,
            RegistryAccount.due_at.is_not(None),
            or_(
                RegistryAccount.whole_at.is_(None),
                RegistryAccount.whole_at < night.began_at,
            ),
        )
        .values(whole_at=None, due_at=now)
        .returning(RegistryAccount.id)
        .execution_options(synchronize_session=False)
    )
    for account_id in accounts.scalars():
        announce(session, "registry_account", account_id, now)


def _compare_holdings(session: Session, night: Night, *, now: datetime) -> datetime | None:
    """See whether all accounts have been read; those that only fail are not waited for."""
    mine = RegistryAccount.registry_id == night.registry_id
    read = RegistryAccount.whole_at >= night.began_at
    waits = session.scalar(
        select(RegistryAccount.id)
        .where(
            mine,
            RegistryAccount.due_at.is_not(None),
            ~func.coalesce(read, False),
            RegistryAccount.attempts < TRIED,
        )
        .limit(1)
    )
    if waits is not None:
        return now + LOOK_EVERY
    unread = session.scalar(
        select(func.count()).select_from(RegistryAccount).where(mine, ~func.coalesce(read, False))
    )
    if unread and not night.words:
        night.words = f"accounts not read: {unread}"
    _finish(session, night, night.hindrance, now=now)
    return None


TRIED: Final = 5
"""After so many failures in a row an account is not waited for."""


def _finish(session: Session, night: Night, hindrance: Hindrance | None, *, now: datetime) -> None:
    """End a night with what was compared."""
    session.flush()
    blocks, units = session.execute(
        select(
            func.coalesce(func.sum(RegistryAccount.listed_blocks), 0),
            func.coalesce(func.sum(RegistryAccount.listed_units), 0),
        ).where(
            RegistryAccount.registry_id == night.registry_id,
            RegistryAccount.whole_at >= night.began_at,
        )
    ).one()
    night.blocks, night.units = int(blocks), int(units)
    night.found = _count(session, night)
    night.step, night.ended_at, night.due_at = NightStep.DONE, now, None
    night.hindrance = night.hindrance or hindrance


def _count(session: Session, night: Night) -> int:
    session.flush()
    return (
        session.scalar(
            select(func.count()).select_from(Difference).where(Difference.night_id == night.id)
        )
        or 0
    )


def night_of(session: Session, registry_id: str, day: date) -> Night | None:
    """Return the night of a day; None if none was begun."""
    return session.scalar(select(Night).where(Night.registry_id == registry_id, Night.day == day))

"""Work that comes round by the clock: each chore does its turn and says when the next one is.

A chore is a row like any other work (``jobs.py``): claimed by one worker, tried again with
pauses when it fails, shown to operators when it keeps failing. Each may be done twice.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import datetime, timedelta
from typing import Final

from cnn_offset.domain.period import Period
from cnn_offset.extensions import Platform, db, unit_of_work
from cnn_offset.models import Chore
from cnn_offset.services import (
    adding_up,
    digesting,
    ending,
    fee_schedules,
    fee_statements,
    noticing,
    reconciling,
    retaining,
    surveying,
)
from cnn_offset.services.checking import check_all

READ_HISTORY_EVERY: Final = timedelta(minutes=1)
"""How long figures may lag behind what happened."""
Turn = Callable[[Platform], datetime]
"""Does one turn and returns when the next one is due."""


def _fetch_mail(here: Platform) -> datetime:
    from cnn_offset.mail.mailbox import fetch_mail  # with all that mails need

    return fetch_mail(here)


def _notice_changes(here: Platform) -> datetime:
    now = here.clock()
    with unit_of_work() as session:
        more = noticing.notice(session, now=now)
    return now if more else now + READ_HISTORY_EVERY


def _mail_digest(here: Platform) -> datetime:
    with unit_of_work() as session:
        return digesting.mail_digest(session, here.bank_methods, now=here.clock())


def _forget_old(here: Platform) -> datetime:
    more = retaining.forget_old(unit_of_work, here.files, now=here.clock())
    return here.clock() + (timedelta(minutes=1) if more else timedelta(days=1))


def _begin_fee_day(here: Platform) -> datetime:
    now = here.clock()
    with unit_of_work() as session:
        fee_schedules.mark(session, now=now)
    return fee_statements.next_day(now)


def _state_fees(here: Platform) -> datetime:
    now = here.clock()
    month = Period.holding("month", now.date()).previous
    providers = fee_statements.waiting(db.session())
    for provider_id in providers:
        with unit_of_work() as session:
            fee_statements.issue(session, provider_id, month, now=now)
    return fee_statements.next_month(now)


def _add_up(here: Platform) -> datetime:
    found = check_all(db.session(), here.files)
    db.session.rollback()
    if found:
        # What was just being written adds up the second time.
        again = set(check_all(db.session(), here.files))
        found = [each for each in found if each in again]
    with unit_of_work() as session:
        adding_up.keep(session, found, now=here.clock())
    return adding_up.next_night(here.clock())


def _close_registries(here: Platform) -> datetime:
    return ending.tend(
        unit_of_work, here.registry_dates, bank_methods=here.bank_methods, now=here.clock()
    )


def _reconcile(here: Platform) -> datetime:
    now = here.clock()
    with unit_of_work() as session:
        reconciling.begin_nights(session, here.registry_dates, now=now)
    return reconciling.next_night(now)


def _forget_senders(here: Platform) -> datetime:
    with unit_of_work() as session:
        return surveying.forget_senders(session, now=here.clock())


CHORES: Final[Mapping[str, Turn]] = {
    "check": _add_up,
    "closing": _close_registries,
    "desk_digest": _mail_digest,
    "fee_days": _begin_fee_day,
    "fee_statements": _state_fees,
    "figures": _notice_changes,
    "forget_senders": _forget_senders,
    "mailbox": _fetch_mail,
    "reconcile": _reconcile,
    "retention": _forget_old,
}
"""By the name of the row; migrations add the rows."""


def do_chore(here: Platform, row_id: int) -> datetime | None:
    """Do one turn of a chore; None, for never again, if there is no such chore any more."""
    turn = CHORES.get(db.session.get_one(Chore, row_id).name)
    if turn is None:
        return None
    next_at = turn(here)
    with unit_of_work() as session:
        session.get_one(Chore, row_id).done_at = here.clock()
    return next_at

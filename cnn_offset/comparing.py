"""Comparing our books with a registry's now, without waiting for the night."""

from __future__ import annotations

from sqlalchemy import select

from cnn_offset import jobs
from cnn_offset.extensions import Platform, db, unit_of_work
from cnn_offset.models import Night, NightStep, RegistryAccount
from cnn_offset.services import reconciling


def compare_now(here: Platform, registry_id: str) -> Night:
    """Begin today's comparison with a registry, or go on with it, as far as it goes now.

    What then is still to be done (a registry that does not answer, an account that another
    process is reading) the worker goes on with.
    """
    with unit_of_work() as session:
        dates = here.registry_dates[registry_id]
        night_id = reconciling.begin_night(session, registry_id, dates, now=here.clock()).id
    while _step(night_id) is NightStep.LIST:
        if not jobs.do("night", night_id):
            return _read(night_id)
    if _step(night_id) is NightStep.HOLDINGS:
        due = db.session.scalars(
            select(RegistryAccount.id)
            .where(
                RegistryAccount.registry_id == registry_id,
                RegistryAccount.due_at.is_not(None),
                RegistryAccount.whole_at.is_(None),
            )
            .order_by(RegistryAccount.id)
        ).all()
        db.session.rollback()
        for account_id in due:
            # A long list is read in turns.
            while _unread(account_id) and jobs.do("registry_account", account_id, due_only=True):
                pass
        jobs.do("night", night_id)
    return _read(night_id)


def _unread(account_id: int) -> bool:
    db.session.rollback()
    return db.session.get_one(RegistryAccount, account_id, populate_existing=True).whole_at is None


def _step(night_id: int) -> NightStep:
    return _read(night_id).step


def _read(night_id: int) -> Night:
    db.session.rollback()
    return db.session.get_one(Night, night_id, populate_existing=True)

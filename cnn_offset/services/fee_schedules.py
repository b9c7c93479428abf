"""Schedules of fees: announced by operators, accepted by providers, switched on and off."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date, datetime
from typing import Final

from sqlalchemy import and_, exists, select, update
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session

from cnn_offset.domain.fee import NOTICE, Fault, TierLine, earliest, faults, tiers_of
from cnn_offset.domain.text import N_
from cnn_offset.models import FeeConsent, FeeSchedule, FeeTier, Provider
from cnn_offset.services import NotFoundError, ServiceError, charging, switching
from cnn_offset.services.mailing import queue_message
from cnn_offset.services.moves import note

ANNOUNCED: Final = "fee_announced"
"""The kind of mail."""
MOST_LINES: Final = 30
"""Lines of a schedule."""


class FaultyScheduleError(ServiceError):
    """Lines of a schedule are wrong: which, and why."""

    def __init__(self, found: Sequence[Fault]) -> None:
        super().__init__(N_("Please look at the lines below."))
        self.faults = found


def announce(
    session: Session,
    lines: Sequence[TierLine],
    holds_from: date,
    *,
    reason: str,
    actor: str,
    now: datetime,
) -> FeeSchedule:
    """Publish a schedule that holds from a day on, and mail it to every provider.

    The one in force stays as it is until that day.

    Raises:
        FaultyScheduleError: lines overlap, leave units out, or are otherwise wrong.
        ServiceError: no reason, no line, too little notice, or a day that is taken.

    """
    if not reason.strip():
        raise ServiceError(N_("Please write the reason."))
    if not lines:
        raise ServiceError(N_("Please fill in at least one line."))
    if found := faults(lines):
        raise FaultyScheduleError(found)
    if holds_from < earliest(now.date()):
        raise ServiceError(
            N_("Providers are told at least %(days)s days ahead: please choose %(day)s or later."),
            days=NOTICE.days,
            day=earliest(now.date()),
        )
    made = FeeSchedule(
        holds_from=holds_from,
        reason=reason.strip(),
        published_by=actor,
        published_at=now,
        tiers=[
            FeeTier(unit_type=kind, after_units=each.after, basis_points=each.basis_points)
            for kind, tiers in tiers_of(lines).items()
            for each in tiers
        ],
    )
    try:
        with session.begin_nested():
            session.add(made)
    except IntegrityError:
        raise ServiceError(
            N_("Another schedule holds from this day on. Please choose another day.")
        ) from None
    why = f"from {holds_from}: {reason.strip()}"
    note(session, made, old="", new="announced", actor=actor, why=why, now=now)
    for provider in session.scalars(select(Provider).order_by(Provider.id)):
        queue_message(
            session,
            ANNOUNCED,
            recipient=provider.email,
            locale=provider.locale,
            now=now,
            dedup=f"{ANNOUNCED}:{made.id}:{provider.id}",
            params={"schedule_id": made.id, "provider_id": provider.id},
        )
    return made


def schedules(session: Session, *, limit: int = 50) -> Sequence[FeeSchedule]:
    """Return all schedules there ever were, the latest day first."""
    return session.scalars(
        select(FeeSchedule).order_by(FeeSchedule.holds_from.desc()).limit(limit)
    ).all()


def find(session: Session, schedule_id: int) -> FeeSchedule:
    """Return a schedule.

    Raises:
        NotFoundError: there is none.

    """
    found = session.get(FeeSchedule, schedule_id)
    if found is None:
        raise NotFoundError(f"schedule {schedule_id}")
    return found


def accept(
    session: Session, provider_id: int, schedule_id: int, *, actor: str, now: datetime
) -> None:
    """Keep that a provider's owner accepts a schedule; its offers are back on sale by it.

    Safe to repeat, and for two at once.

    Raises:
        NotFoundError: there is no such schedule, or its time is over.

    """
    found = find(session, schedule_id)
    held = charging.holding(session, now.date())
    if held is not None and found.holds_from < held.holds_from:
        raise NotFoundError(f"schedule {schedule_id}")
    if charging.has_accepted(session, provider_id, schedule_id):
        return
    made = FeeConsent(
        provider_id=provider_id, schedule_id=schedule_id, given_by=actor, given_at=now
    )
    try:
        with session.begin_nested():
            session.add(made)
    except IntegrityError:
        return
    why = f"schedule from {found.holds_from}"
    note(session, made, old="", new="accepted", actor=actor, why=why, now=now)
    mark(session, now=now)


def consents(session: Session, provider_id: int) -> dict[int, FeeConsent]:
    """Return what a provider has accepted, by schedule."""
    rows = session.scalars(select(FeeConsent).where(FeeConsent.provider_id == provider_id))
    return {each.schedule_id: each for each in rows}


def switch(
    session: Session, *, on: bool, pay_to: str, reason: str, actor: str, now: datetime
) -> None:
    """Charge fees from now on, or charge none; orders placed before keep theirs.

    Args:
        session: a writing transaction.
        on: whether they are charged.
        pay_to: lines that stand on statements: how providers pay what is due.
        reason: for the history.
        actor: who does it.
        now: the moment.

    Raises:
        ServiceError: no reason is given, or not how statements are paid.

    """
    if on and not pay_to.strip():
        raise ServiceError(N_("Please write how providers pay what stands on their statements."))
    value = {"on": on, "pay_to": pay_to.strip()}
    switching.change(session, charging.SWITCH, value, reason=reason, actor=actor, now=now)
    mark(session, now=now)


def mark(session: Session, *, now: datetime) -> None:
    """Keep with each provider whether it waits to accept the schedule that holds now.

    The day's chore, the switch and an acceptance call it. Safe to repeat.
    """
    session.flush()
    held = charging.in_force(session, now.date())
    if held is None:
        session.execute(
            update(Provider).where(Provider.fees_unaccepted).values(fees_unaccepted=False)
        )
        return
    accepted = exists().where(
        and_(FeeConsent.provider_id == Provider.id, FeeConsent.schedule_id == held.id)
    )
    for waits, said in ((True, ~accepted), (False, accepted)):
        session.execute(
            update(Provider)
            .where(Provider.fees_unaccepted.is_(not waits), said)
            .values(fees_unaccepted=waits)
            .execution_options(synchronize_session="fetch")
        )


def unaccepted(session: Session, schedule_id: int, *, limit: int = 200) -> list[Provider]:
    """Return providers that have not accepted a schedule, by name; at most ``limit``."""
    accepted = exists().where(
        and_(FeeConsent.provider_id == Provider.id, FeeConsent.schedule_id == schedule_id)
    )
    return list(
        session.scalars(select(Provider).where(~accepted).order_by(Provider.name).limit(limit))
    )

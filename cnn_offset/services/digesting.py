"""One mail a day to the operators for whom something waits; none when nothing does."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import asdict, dataclass
from datetime import UTC, datetime, time, timedelta
from typing import Final

from sqlalchemy import bindparam, func, select
from sqlalchemy.orm import Session

from cnn_offset.domain.staff import DESK_DUTIES, DeskDuty
from cnn_offset.domain.status import ApplicationStatus, ListingStatus, PayoutStatus
from cnn_offset.models import Application, Listing, PayoutMethod, User
from cnn_offset.services.mailing import queue_message

DIGEST: Final = "desk_digest"
"""A kind of mail."""
MAILED_AT: Final = time(6, tzinfo=UTC)


@dataclass(frozen=True, slots=True)
class Waiting:
    """How much waits for those who look after providers."""

    applications: int
    reviews: int
    payouts: int


APPLICATIONS: Final = (
    select(func.count())
    .select_from(Application)
    .where(Application.status == ApplicationStatus.SUBMITTED)
)
REVIEWS: Final = (
    select(func.count()).select_from(Listing).where(Listing.status == ListingStatus.SUBMITTED)
)
PAYOUTS: Final = (
    select(func.count())
    .select_from(PayoutMethod)
    .where(
        PayoutMethod.method_id.in_(bindparam("bank_methods", expanding=True)),
        PayoutMethod.status == PayoutStatus.STARTED,
    )
)
"""How much waits, each by an index of what is open; ``bank_methods`` is a parameter."""


def waiting(session: Session, bank_methods: Collection[str]) -> Waiting:
    """Count what waits."""
    known = {"bank_methods": list(bank_methods)}
    return Waiting(*(session.scalar(each, known) or 0 for each in (APPLICATIONS, REVIEWS, PAYOUTS)))


def mail_digest(session: Session, bank_methods: Collection[str], *, now: datetime) -> datetime:
    """Queue today's mail to each operator who looks after providers; return the next moment.

    A day is mailed once. Safe to repeat.
    """
    found = waiting(session, bank_methods)
    if any(asdict(found).values()):
        carrying = [role for role, duties in DESK_DUTIES.items() if DeskDuty.PROVIDERS in duties]
        for user in session.scalars(
            select(User).where(User.operator_role.in_(carrying), User.active).order_by(User.id)
        ):
            queue_message(
                session,
                DIGEST,
                recipient=user.email,
                locale=user.locale,
                now=now,
                dedup=f"{DIGEST}:{user.id}:{now.date()}",
                params=asdict(found),
            )
    today = datetime.combine(now.date(), MAILED_AT)
    return today if now < today else today + timedelta(days=1)

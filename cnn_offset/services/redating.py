"""Changing when a registry takes what while the platform runs: two persons do so (H5, H6)."""

from __future__ import annotations

from datetime import datetime
from typing import Final

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from cnn_offset.domain.calendar import CANCELLING, RegistryDates
from cnn_offset.domain.status import CancellationStatus, OrderStatus
from cnn_offset.domain.text import N_
from cnn_offset.models import Block, Cancellation, Order, OrderLine, Proposal, ProposalKind
from cnn_offset.services import ServiceError, proposing, switching

MOST: Final = 1000
"""No more orders than these are counted before a change is refused."""
_RUNNING: Final = (
    CancellationStatus.QUEUED,
    CancellationStatus.SUBMITTED,
    CancellationStatus.UNKNOWN,
)


def ask_for_dates(
    session: Session,
    registry_id: str,
    dates: RegistryDates,
    *,
    before: RegistryDates,
    reason: str,
    actor: str,
    now: datetime,
) -> Proposal:
    """Ask another operator to let ``registry_id`` have ``dates`` instead of those ``before``.

    Raises:
        ServiceError: nothing would change, a change waits already, no reason is given, or
            running orders would be harmed; the message says how many.

    """
    if dates == before:
        raise ServiceError(N_("These are the dates that hold already."))
    _check(session, registry_id, dates, before, now)
    return proposing.propose(
        session,
        ProposalKind.DATES,
        switching.dates_row(session, registry_id, actor=actor, now=now),
        {
            "registry": registry_id,
            "before": switching.write_dates(before),
            "dates": switching.write_dates(dates),
        },
        reason=reason,
        actor=actor,
        now=now,
    )


@proposing.does(ProposalKind.DATES)
def _set_dates(session: Session, proposal: Proposal, actor: str, now: datetime) -> None:
    registry_id = proposal.payload["registry"]
    dates = switching.read_dates(proposal.payload["dates"])
    before = switching.read_dates(proposal.payload["before"])
    # Orders were placed while it waited.
    _check(session, registry_id, dates, before, now)
    switching.change(
        session,
        switching.DATES + registry_id,
        switching.write_dates(dates),
        reason=proposal.reason,
        actor=actor,
        now=now,
    )


def _end(dates: RegistryDates) -> datetime | None:
    """Return the moment after which nothing is cancelled any more."""
    return dates.last_cancellation or dates.closed


def _check(
    session: Session,
    registry_id: str,
    dates: RegistryDates,
    before: RegistryDates,
    now: datetime,
) -> None:
    end, old = _end(dates), _end(before)
    if end is None or (old is not None and end >= old):
        return
    unpaid = _unpaid_beyond(session, registry_id, end - CANCELLING)
    if unpaid:
        raise ServiceError(
            N_(
                "Unpaid orders that may still be paid after that: %(n)s. Their units could not be "
                "cancelled any more. Please choose a later date, or see to these orders first."
            ),
            n=unpaid,
        )
    running = _running_at(session, registry_id) if end <= now + CANCELLING else 0
    if running:
        raise ServiceError(
            N_(
                "Paid orders whose units this registry has yet to cancel: %(n)s. Please wait until "
                "it has, or choose a later date."
            ),
            n=running,
        )


def _unpaid_beyond(session: Session, registry_id: str, last: datetime) -> int:
    """Count the orders that may be paid later than a day before the new end."""
    found = (
        select(Order.id)
        .join(OrderLine, OrderLine.order_id == Order.id)
        .join(Block, Block.id == OrderLine.block_id)
        .where(
            Order.status == OrderStatus.PLACED,
            Order.pay_by > last,
            Block.registry_id == registry_id,
        )
        .distinct()
        .limit(MOST)
        .subquery()
    )
    return session.scalar(select(func.count()).select_from(found)) or 0


def _running_at(session: Session, registry_id: str) -> int:
    found = (
        select(Cancellation.order_id)
        .where(
            Cancellation.registry_id == registry_id,
            Cancellation.status.in_(_RUNNING),
            # By the index of what is due; all that run are.
            Cancellation.due_at.is_not(None),
        )
        .distinct()
        .limit(MOST)
        .subquery()
    )
    return session.scalar(select(func.count()).select_from(found)) or 0

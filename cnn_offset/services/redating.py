"""Changing when a registry takes what while the platform runs: two persons do so (H5, H6)."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Final

from sqlalchemy import func, select, update
from sqlalchemy.orm import Session

from cnn_offset.domain.calendar import CANCELLING, RegistryDates
from cnn_offset.domain.status import CancellationStatus, OrderStatus
from cnn_offset.domain.text import N_
from cnn_offset.models import Block, Cancellation, Chore, Order, OrderLine, Proposal, ProposalKind
from cnn_offset.services import ServiceError, proposing, switching

MOST: Final = 1000
"""No more orders than these are counted before a change is refused."""
FAIR: Final = timedelta(days=3)
"""What an unpaid order must have left when it is to be paid sooner than its purchaser knows."""
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
    # At once, not in a minute: whatever concludes from money goes by what is put in force.
    session.execute(
        update(Chore)
        .where(Chore.name == "closing")
        .values(due_at=now)
        .execution_options(synchronize_session=False)
    )


def unpaid_beyond(session: Session, registry_id: str, dates: RegistryDates) -> int:
    """Count the unpaid orders that are to be paid sooner if ``dates`` hold."""
    if dates.end is None:
        return 0
    return _unpaid_beyond(session, registry_id, dates.end - CANCELLING)


def in_flight(session: Session, registry_id: str) -> tuple[int, int]:
    """Count a registry's unpaid orders, and the paid ones of which it has yet to cancel units."""
    return _unpaid_beyond(session, registry_id, None), _running_at(session, registry_id)


def _check(
    session: Session,
    registry_id: str,
    dates: RegistryDates,
    before: RegistryDates,
    now: datetime,
) -> None:
    end, old = dates.end, before.end
    if end is None or (old is not None and end >= old):
        return
    # With time left unpaid orders are only to be paid sooner (services/ending.py).
    last = end - CANCELLING
    unpaid = _unpaid_beyond(session, registry_id, last) if last <= now + FAIR else 0
    if unpaid:
        raise ServiceError(
            N_(
                "Unpaid orders that may still be paid after that: %(n)s. Their purchasers would have "
                "less than three days left. Please choose a later date, or see to these orders "
                "first."
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


def _unpaid_beyond(session: Session, registry_id: str, last: datetime | None) -> int:
    """Count the orders that may be paid later than a day before the new end."""
    found = (
        select(Order.id)
        .join(OrderLine, OrderLine.order_id == Order.id)
        .join(Block, Block.id == OrderLine.block_id)
        .where(
            Order.status == OrderStatus.PLACED,
            *([Order.pay_by > last] if last else []),
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

"""Having units cancelled at their registry: once, whatever fails between."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import datetime, timedelta

from sqlalchemy import CursorResult, select, update
from sqlalchemy.orm import Session

from cnn_offset.domain.calendar import RegistryDates, RegistryPhase
from cnn_offset.domain.expiry import has_expired
from cnn_offset.domain.status import CancellationStatus, OrderStatus
from cnn_offset.domain.text import N_
from cnn_offset.domain.units import SerialRange, first_overlap, total
from cnn_offset.models import Block, Cancellation, CancelledRange, Offer, Order, OrderLine
from cnn_offset.plugins.errors import OutcomeUnknownError, UnavailableError
from cnn_offset.plugins.registries.base import (
    CancellationReport,
    CancellationRequest,
    RegistryConnector,
    ReportStatus,
)
from cnn_offset.services import Begin, accepting, cutover_steps, pause_for, stock
from cnn_offset.services.fulfilling import fulfil
from cnn_offset.services.mailing import tell_purchaser
from cnn_offset.services.moves import lock_order, move, note

C = CancellationStatus
ASK_AGAIN = timedelta(seconds=5)
ASK_LATER = timedelta(minutes=15)
HELD_BACK = timedelta(seconds=15)
"""After which a cancellation is looked at again whose units are moving to another registry."""
PATIENCE = 10
"""What has been open for so long is asked about after this part of that time again."""
INTENT_HOLDS = timedelta(seconds=20)
"""How long after the intent was committed the request may still be sent. A process that
was paused in between must not send: somebody else may have taken over by then."""


HEARD_LATE = "heard late"
"""What a registry says of a cancellation that it had refused, as an event."""
ENDED = N_("It was not sent: the registry cancels nothing any more.")
EXPIRED = N_("It was not sent: the units have expired.")
CHANGED = N_("It was not sent: the registry says now that these are units of another kind.")
NEVER_SAID = N_("The registry has closed and never said whether it made this cancellation.")


def queue_cancellations(session: Session, order: Order, *, now: datetime) -> None:
    """Record one cancellation for each line of a paid order, due now."""
    for line in order.lines:
        queue_cancellation(session, line, key=f"c-{order.code}-{line.id}", now=now)


def queue_cancellation(session: Session, line: OrderLine, *, key: str, now: datetime) -> None:
    """Record the cancellation of a line's units under a key of its own, due now."""
    order, block = line.order, _block_now(session, line)
    session.add(
        Cancellation(
            order_id=order.id,
            order_line_id=line.id,
            key=key,
            registry_id=block.registry_id,
            account_ref=block.account_ref,
            block_ref=block.block_ref,
            quantity=line.quantity,
            beneficiary=order.beneficiary,
            reason=order.reason,
            created_at=now,
            due_at=now,
        )
    )


def _block_now(session: Session, line: OrderLine) -> Block:
    """Return the block of a line's units; where its offer went, if that moved meanwhile (F3).

    Asked of the database: what the session knows may be older than the order's lock.
    """
    session.flush()
    block = session.scalars(
        select(Block)
        .join(Offer, Offer.block_id == Block.id)
        .where(Offer.id == line.offer_id)
        .execution_options(populate_existing=True)
    ).one()
    if line.block_id != block.id:
        line.block_id = block.id
    return block


def pursue(
    begin: Begin,
    cancellation_id: int,
    *,
    connectors: Mapping[str, RegistryConnector],
    clock: Callable[[], datetime],
    registry_dates: Mapping[str, RegistryDates] | None = None,
) -> datetime | None:
    """Bring one cancellation a step further. The caller holds its lease.

    The registry is always asked first: it may know the key from a send whose answer was
    lost, or from before a restored backup (trust-facts.md 1.9, 1.11). Only a key it does
    not know is sent, after the intent is committed, and none after the registry's last
    cancellation: what is open then goes to a person. Returns when to go on, None if
    nothing is left to do. Safe to repeat.

    Raises:
        UnavailableError, OutcomeUnknownError: no answer; try again later.

    """
    with begin() as session:
        row = session.get_one(Cancellation, cancellation_id)
        if row.status in (C.CONFIRMED, C.REJECTED, C.MISMATCHED, C.GIVEN_UP):
            return None
        order = session.get_one(Order, row.order_id)
        if row.status is C.QUEUED and not _may_go_on(session, row, order):
            # Something is in doubt: what was never sent waits for a person's word.
            return clock() + ASK_LATER if order.status is OrderStatus.IN_REVIEW else None
        if row.status is C.QUEUED and cutover_steps.holds_back(session, row.registry_id):
            return clock() + HELD_BACK
        key, registry_id = row.key, row.registry_id
        connector = connectors.get(registry_id)
    if connector is None:
        raise UnavailableError(f"registry {row.registry_id} is not configured")
    known = connector.fetch(key)
    with begin() as session:
        row = session.get_one(Cancellation, cancellation_id)
        if row.registry_id != registry_id:
            # Its units have moved to another registry while this one was asked.
            return clock()
        if known.status is not ReportStatus.NOT_KNOWN:
            return record(session, row, known, connector, now=clock())
        # Locked, so that no dispute comes between this look and the intent.
        order = lock_order(session, row.order_id)
        phase = (registry_dates or {}).get(row.registry_id, RegistryDates()).phase(clock())
        if phase in (RegistryPhase.ENDED, RegistryPhase.CLOSED):
            return _end(session, row, known, connector, phase, now=clock())
        unfit = _unfit(row, clock())
        if row.registry_sent_at is None and unfit:
            return _end(session, row, known, connector, phase, unfit, now=clock())
        if row.status is C.QUEUED and cutover_steps.holds_back(session, registry_id):
            return clock() + HELD_BACK
        if not _may_go_on(session, row, order) or not _may_send(row, connector, known):
            _doubt(session, row, why="sent, and the registry does not know it yet", now=clock())
            return clock() + _pause(clock() - (row.sent_at or clock()))
        intended_at = clock()
        intent = _intend(session, row, known, now=intended_at)
        if intent is None:
            return clock() + ASK_AGAIN
    if clock() - intended_at > INTENT_HOLDS:
        return clock()
    try:
        report = connector.cancel(intent)
    except (UnavailableError, OutcomeUnknownError) as error:
        with begin() as session:
            row = session.get_one(Cancellation, cancellation_id)
            _doubt(session, row, why=str(error), now=clock())
        return clock() + pause_for(error, ASK_AGAIN)
    with begin() as session:
        row = session.get_one(Cancellation, cancellation_id)
        return record(session, row, report, connector, now=clock())


def _end(
    session: Session,
    row: Cancellation,
    known: CancellationReport,
    connector: RegistryConnector,
    phase: RegistryPhase,
    why: str = ENDED,
    *,
    now: datetime,
) -> datetime | None:
    """Hand what the registry does not know of, and will not do any more, to a person."""
    new = C.REJECTED
    if row.registry_sent_at is not None:
        if phase is RegistryPhase.CLOSED:
            # Nobody can be asked any more whether it was done after all.
            new = C.MISMATCHED
        elif known.registry_time < row.registry_sent_at + connector.settle:
            _doubt(session, row, why="sent, and the registry does not know it yet", now=now)
            return now + _pause(now - (row.sent_at or now))
    row.registry_said = NEVER_SAID if new is C.MISMATCHED else why
    if move(session, row, new, actor="clock", why=row.registry_said, now=now):
        _review(session, row, row.registry_said, now=now)
    return None


def _unfit(row: Cancellation, now: datetime) -> str:
    """Say why units are not what was ordered any more, by the registry's latest word.

    An order keeps the type of unit it was placed with: nothing else is cancelled for it
    without a person's word.
    """
    line = row.line
    if has_expired(line.block.expires_on or line.expires_on, now):
        return EXPIRED
    return CHANGED if line.block.unit_type is not line.unit_type else ""


def _may_go_on(session: Session, row: Cancellation, order: Order) -> bool:
    """Whether the units may be cancelled: they are paid for, beyond doubt.

    That a registry refuses one line of an order does not stop another. Where a registry did
    something else than was ordered, nothing more of the order is sent to it.
    """
    if order.status is OrderStatus.PAID:
        return True
    if order.status is not OrderStatus.IN_REVIEW or not accepting.money_stands(session, order):
        return False
    odd = select(Cancellation.id).where(
        Cancellation.order_id == order.id,
        Cancellation.registry_id == row.registry_id,
        Cancellation.status == C.MISMATCHED,
    )
    return session.scalar(odd.limit(1)) is None


def _may_send(row: Cancellation, connector: RegistryConnector, known: CancellationReport) -> bool:
    if row.sends == 0:
        return True
    if connector.deduplicates:
        return True
    # The registry cannot tell a repeat: wait, by its own clock, until nothing sent
    # before can still take effect.
    assert row.registry_sent_at is not None
    return known.registry_time >= row.registry_sent_at + connector.settle


def _intend(
    session: Session, row: Cancellation, known: CancellationReport, *, now: datetime
) -> CancellationRequest | None:
    """Claim the next send by compare-and-set; None if somebody else was first."""
    done = session.execute(
        update(Cancellation)
        .where(
            Cancellation.id == row.id,
            Cancellation.sends == row.sends,
            # Nor must its units have moved to another registry.
            Cancellation.registry_id == row.registry_id,
        )
        .values(
            sends=row.sends + 1,
            sent_at=now,
            registry_sent_at=known.registry_time,
            registry_sent_before_at=row.registry_sent_at,
        )
        .execution_options(synchronize_session=False)
    )
    assert isinstance(done, CursorResult)
    if done.rowcount != 1:
        return None
    session.refresh(row)
    move(session, row, C.SUBMITTED, actor="core", why=f"send {row.sends}", now=now)
    return CancellationRequest(
        key=row.key,
        account_ref=row.account_ref,
        block_ref=row.block_ref,
        quantity=row.quantity,
        beneficiary=row.beneficiary,
        reason=row.reason,
    )


def _pause(open_for: timedelta) -> timedelta:
    return min(max(ASK_AGAIN, open_for / PATIENCE), ASK_LATER)


def _doubt(session: Session, row: Cancellation, *, why: str, now: datetime) -> None:
    if row.status is C.SUBMITTED:
        move(session, row, C.UNKNOWN, actor="core", why=why, now=now)


def record(
    session: Session,
    row: Cancellation,
    report: CancellationReport,
    connector: RegistryConnector,
    *,
    now: datetime,
) -> datetime | None:
    """Believe a report after checking it, and draw the consequences. Safe to repeat."""
    if report.status is ReportStatus.ACCEPTED:
        return now + _pause(now - (row.sent_at or now))
    # Two lines of one order may be confirmed at once: the later must see the earlier.
    order = lock_order(session, row.order_id)
    late = row.status is C.REJECTED and report.status is ReportStatus.CONFIRMED
    if late or row.status is C.GIVEN_UP:
        # It was refused, and people may have decided by that: they must see it.
        why = f"the registry says now: {report.status}"
        note(session, row, old="", new=HEARD_LATE, actor=row.registry_id, why=why, now=now)
        return None
    if report.status is ReportStatus.REFUSED:
        return _refused(session, row, report, connector, now=now)
    wrong = fault(session, row, report)
    if wrong:
        row.registry_ref, row.registry_said = report.registry_ref, wrong
        if move(session, row, C.MISMATCHED, actor=row.registry_id, why=wrong, now=now):
            _review(session, row, wrong, now=now)
        return None
    if not move(session, row, C.CONFIRMED, actor=row.registry_id, why="confirmed", now=now):
        return None
    row.registry_ref = report.registry_ref
    row.completed_at = report.completed_at
    session.add_all(
        CancelledRange(
            cancellation_id=row.id,
            registry_id=row.registry_id,
            series=each.series,
            first=each.first,
            last=each.last,
            first_text=each.first_text,
            last_text=each.last_text,
        )
        for each in report.ranges
    )
    stock.use(session, row.line.offer_id, row.quantity)
    session.flush()
    if order.status is OrderStatus.PAID:
        fulfil(session, order, now=now)
    return None


def _refused(
    session: Session,
    row: Cancellation,
    report: CancellationReport,
    connector: RegistryConnector,
    *,
    now: datetime,
) -> datetime | None:
    # A refusal answers one send. While an earlier one can still take effect it decides
    # nothing (trust-facts.md 1.10).
    earlier = row.registry_sent_before_at
    if earlier is not None and report.registry_time < earlier + connector.settle:
        _doubt(session, row, why=f"refused on repeat: {report.reason}", now=now)
        # This send is answered; the one to wait for is still the one before.
        row.registry_sent_at = earlier
        return now + _pause(report.registry_time - earlier)
    row.registry_said = report.reason
    if row.status is C.QUEUED:
        # Known and refused before we ever sent: a restored backup.
        row.sends += 1
        move(session, row, C.SUBMITTED, actor="core", why="known to the registry", now=now)
    if move(session, row, C.REJECTED, actor=row.registry_id, why=report.reason, now=now):
        _review(session, row, report.reason, now=now)
    return None


def _review(session: Session, row: Cancellation, why: str, *, now: datetime) -> None:
    order = session.get_one(Order, row.order_id)
    if order.status is OrderStatus.PAID and move(
        session,
        order,
        OrderStatus.IN_REVIEW,
        actor=row.registry_id,
        why=f"cancellation {row.key}: {why}",
        now=now,
    ):
        tell_purchaser(session, "order_in_review", order, now=now)


def fault(session: Session, row: Cancellation, report: CancellationReport) -> str:
    """Say what is wrong with a confirmation, empty if it is as ordered."""
    if total(report.ranges) != row.quantity:
        return f"{total(report.ranges)} units reported, {row.quantity} ordered"
    clash = first_overlap(list(report.ranges))
    if clash:
        return f"reported twice: {clash[0]} and {clash[1]}"
    for each in report.ranges:
        if not each.lies_in(row.line.block.issued):
            return f"outside the block: {each}"
        if is_taken(session, row.registry_id, each):
            return f"cancelled before: {each}"
    return ""


def is_taken(session: Session, registry_id: str, serials: SerialRange) -> bool:
    """Whether some unit of a range is known to be cancelled."""
    # No two ranges overlap: of those that end at or after its first unit only the one that
    # ends first can touch it.
    first = session.scalar(
        select(CancelledRange.first)
        .where(
            CancelledRange.registry_id == registry_id,
            CancelledRange.series == serials.series,
            CancelledRange.last >= serials.first,
        )
        .order_by(CancelledRange.last)
        .limit(1)
    )
    return first is not None and first <= serials.last

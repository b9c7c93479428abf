"""Units in place of those a registry refused to cancel, if the purchaser agrees.

They are of the same project and type, from the same provider, and cost no more than was
paid for: nobody pays anything more, and the provider gets at least its price. While the
question is open both are held. Whoever asks, answers or takes it back holds the order's lock.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from typing import Final

from sqlalchemy import func, or_, select
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session, joinedload

from cnn_offset.domain.calendar import RegistryDates, RegistryPhase
from cnn_offset.domain.status import (
    CancellationStatus,
    OfferStatus,
    OrderStatus,
    ReplacementStatus,
)
from cnn_offset.domain.text import N_
from cnn_offset.models import Block, Cancellation, Event, Offer, Order, OrderLine, Replacement
from cnn_offset.services import NotFoundError, ServiceError, accepting, stock
from cnn_offset.services.cancelling import HEARD_LATE, queue_cancellation
from cnn_offset.services.checking_out import dates_for
from cnn_offset.services.fulfilling import fulfil
from cnn_offset.services.mailing import tell_provider, tell_purchaser
from cnn_offset.services.moves import lock_order, move, note

C, R = CancellationStatus, ReplacementStatus
ANSWER_WITHIN: Final = timedelta(days=7)
MOST: Final = 10
"""Offers among which an operator chooses."""
CLOSED: Final = N_("This question is no longer open. Nothing was changed.")


def candidates(
    session: Session,
    line: OrderLine,
    *,
    registry_dates: Mapping[str, RegistryDates],
    now: datetime,
) -> Sequence[Offer]:
    """Return offers whose units could take the place of a line's, the dearest first."""
    open_ = [
        name for name, dates in registry_dates.items() if dates.phase(now) is RegistryPhase.OPEN
    ]
    taken = select(OrderLine.offer_id).where(OrderLine.order_id == line.order_id)
    found = session.scalars(
        select(Offer)
        .join(Offer.block)
        .where(
            Block.activity_id == line.block.activity_id,
            Block.id != line.block_id,
            Block.registry_id.in_(open_),
            Block.unit_type == line.unit_type,
            Block.eligible,
            Offer.provider_id == line.order.provider_id,
            Offer.status == OfferStatus.OPEN,
            Offer.private_token.is_(None),
            Offer.currency == line.order.currency,
            Offer.price_minor <= line.price_minor,
            Offer.quantity - Offer.held - Offer.cancelled >= line.quantity,
            or_(Offer.ends_at.is_(None), Offer.ends_at > now),
            Offer.id.not_in(taken),
        )
        .options(joinedload(Offer.block, innerjoin=True))
        .order_by(Offer.price_minor.desc(), Offer.id)
        .limit(MOST)
    )
    # Some units are valid for less long than their registry is open.
    open_phase = RegistryPhase.OPEN
    return [
        each for each in found if dates_for(each.block, registry_dates).phase(now) is open_phase
    ]


def asked_of(session: Session, order: Order) -> Sequence[Replacement]:
    """Return what the purchaser of an order is being asked."""
    return session.scalars(
        select(Replacement)
        .where(Replacement.order_id == order.id, Replacement.status == R.ASKED)
        .order_by(Replacement.id)
    ).all()


def questions_of(session: Session, order: Order) -> Sequence[Replacement]:
    """Return all that the purchaser of an order was ever asked, newest first."""
    return session.scalars(
        select(Replacement)
        .where(Replacement.order_id == order.id)
        .order_by(Replacement.id.desc())
        .limit(MOST)
    ).all()


def ask(
    session: Session,
    order: Order,
    row: Cancellation,
    offer_id: int,
    *,
    registry_dates: Mapping[str, RegistryDates],
    actor: str,
    why: str,
    now: datetime,
) -> Replacement:
    """Hold other units for the line of a refused cancellation, and ask the purchaser.

    The order is locked, in review, and the cancellation rejected.

    Raises:
        ServiceError: nobody can be asked, somebody is being asked, or the units are gone.

    """
    if not order.email:
        raise ServiceError(N_("The purchaser’s address was erased: nobody can be asked."))
    line = row.line
    found = candidates(session, line, registry_dates=registry_dates, now=now)
    offer = next((each for each in found if each.id == offer_id), None)
    if offer is None:
        raise ServiceError(
            N_("These units cannot take their place any more. Please choose others.")
        )
    dates = dates_for(offer.block, registry_dates)
    made = Replacement(
        order_id=order.id,
        order_line_id=line.id,
        cancellation_id=row.id,
        old_offer_id=line.offer_id,
        old_block_id=line.block_id,
        offer_id=offer.id,
        block_id=offer.block_id,
        asked_by=actor,
        asked_at=now,
        answer_by=dates.latest_due(now + ANSWER_WITHIN),
    )
    made.due_at = made.answer_by
    try:
        with session.begin_nested():
            stock.hold(session, [(offer.id, line.quantity)])
            session.add(made)
    except IntegrityError as error:
        raise ServiceError(N_("The purchaser is being asked already.")) from error
    note(session, made, old="", new=str(R.ASKED), actor=actor, why=why, now=now)
    tell_purchaser(
        session,
        "replacement_asked",
        order,
        now=now,
        dedup=f"replacement_asked:{made.id}",
        params={"replacement_id": made.id},
    )
    return made


def find(session: Session, order: Order, replacement_id: int) -> Replacement:
    """Return a question to the purchaser of ``order``.

    Raises:
        NotFoundError: there is none, or it is another order's.

    """
    found = session.get(Replacement, replacement_id)
    if found is None or found.order_id != order.id:
        raise NotFoundError(f"replacement {replacement_id}")
    return found


def agree(session: Session, replacement: Replacement, *, now: datetime) -> None:
    """Put the new units in the place of the refused ones and have them cancelled.

    The old cancellation is given up; the new one has a key of its own. If nothing else of
    the order waits for a person, it goes on.

    Raises:
        ServiceError: the question is no longer open.

    """
    order = _open(session, replacement, now=now)
    row, line = replacement.cancellation, replacement.line
    session.refresh(row)
    late = select(Event.id).where(
        Event.subject == Cancellation.__tablename__,
        Event.subject_id == row.id,
        Event.new == HEARD_LATE,
    )
    if (
        order.status is not OrderStatus.IN_REVIEW
        or row.status is not C.REJECTED
        or session.scalar(late.limit(1)) is not None
    ):
        raise ServiceError(CLOSED)
    why = "the purchaser agreed"
    move(session, replacement, R.AGREED, actor="purchaser", why=why, now=now)
    replacement.decided_at, replacement.due_at = now, None
    move(session, row, C.GIVEN_UP, actor="purchaser", why=why, now=now)
    stock.release(session, [(line.offer_id, line.quantity)])
    block = replacement.offer.block
    line.offer_id, line.block_id = replacement.offer_id, block.id
    line.monitoring_start, line.monitoring_end = block.monitoring_start, block.monitoring_end
    line.expires_on = block.expires_on
    session.flush()
    session.expire(line, ["offer", "block"])
    count = session.scalar(
        select(func.count()).select_from(Cancellation).where(Cancellation.order_line_id == line.id)
    )
    queue_cancellation(session, line, key=f"c-{order.code}-{line.id}-{(count or 0) + 1}", now=now)
    session.flush()
    dedup = f"units_replaced:{replacement.id}"
    tell_provider(session, "units_replaced", order, now=now, dedup=dedup)
    go_on(session, order, actor="purchaser", why=why, now=now)


def decline(session: Session, replacement: Replacement, *, now: datetime) -> None:
    """Leave the refused units as they are: a person decides what becomes of them.

    Raises:
        ServiceError: the question is no longer open.

    """
    _open(session, replacement, now=now)
    _close(
        session, replacement, R.DECLINED, actor="purchaser", why="the purchaser declined", now=now
    )


def lapse(session: Session, replacement_id: int, *, now: datetime) -> datetime | None:
    """Close a question that nobody has answered in time; return when it is due if it is not yet.

    Safe to repeat.
    """
    replacement = session.get_one(Replacement, replacement_id)
    order = lock_order(session, replacement.order_id)
    session.refresh(replacement)
    if replacement.status is not R.ASKED:
        return None
    if now < replacement.answer_by:
        return replacement.answer_by
    if _close(session, replacement, R.LAPSED, actor="clock", why="not answered in time", now=now):
        dedup = f"replacement_lapsed:{replacement.id}"
        tell_purchaser(session, "replacement_lapsed", order, now=now, dedup=dedup)
    return None


def take_back(
    session: Session,
    order: Order,
    *,
    line_id: int | None = None,
    actor: str,
    why: str,
    now: datetime,
) -> int:
    """Take back what the purchaser of a locked order is being asked, or asked of one line.

    Returns how many questions.
    """
    session.flush()
    asked = [each for each in asked_of(session, order) if line_id in (None, each.order_line_id)]
    for replacement in asked:
        _close(session, replacement, R.WITHDRAWN, actor=actor, why=why, now=now)
    return len(asked)


def go_on(session: Session, order: Order, *, actor: str, why: str, now: datetime) -> bool:
    """Let a locked order in review go on if nothing of it waits for a person any more.

    Returns whether it does.
    """
    if order.status is not OrderStatus.IN_REVIEW or not accepting.money_stands(session, order):
        return False
    rows = session.scalars(select(Cancellation).where(Cancellation.order_id == order.id)).all()
    if any(row.status in (C.REJECTED, C.MISMATCHED) for row in rows):
        return False
    move(session, order, OrderStatus.PAID, actor=actor, why=why, now=now)
    for row in rows:
        if row.status is C.QUEUED:
            row.due_at = now
    session.flush()
    fulfil(session, order, now=now)
    return True


def _open(session: Session, replacement: Replacement, *, now: datetime) -> Order:
    order = lock_order(session, replacement.order_id)
    session.refresh(replacement)
    if replacement.status is not R.ASKED or now >= replacement.answer_by:
        raise ServiceError(CLOSED)
    return order


def _close(
    session: Session,
    replacement: Replacement,
    new: ReplacementStatus,
    *,
    actor: str,
    why: str,
    now: datetime,
) -> bool:
    if not move(session, replacement, new, actor=actor, why=why, now=now):
        return False
    replacement.decided_at, replacement.due_at = now, None
    stock.release(session, [(replacement.offer_id, replacement.line.quantity)])
    return True

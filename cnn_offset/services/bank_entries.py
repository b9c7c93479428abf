"""Looking at entries at a provider's bank, and who of its staff may decide on them."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Final

from sqlalchemy import ColumnElement, or_, select
from sqlalchemy.orm import Session, joinedload

from cnn_offset.domain.money import InexactAmountError, Money
from cnn_offset.domain.staff import DUTIES, Duty
from cnn_offset.domain.status import BankEntryStatus
from cnn_offset.models import BankEntry, Event, Finding, Order, User
from cnn_offset.services import NotFoundError

MOST_SHOWN: Final = 20
DECIDE_WITHIN: Final = timedelta(days=14)
"""For so long an order is kept whose money was seen, while people decide on it."""


def money_seen(session: Session, order_id: int, *, now: datetime) -> bool:
    """Whether money for an order is at the provider's bank and waits for a decision.

    Such an order neither lapses nor can be withdrawn, or its units could be sold to
    somebody else meanwhile; not for ever, since nobody may ever decide.
    """
    found = session.scalar(
        select(BankEntry.id)
        .where(
            BankEntry.order_id == order_id,
            BankEntry.amount_minor > 0,
            BankEntry.status.in_([BankEntryStatus.WAITING, BankEntryStatus.SECONDED]),
            BankEntry.created_at > now - DECIDE_WITHIN,
        )
        .limit(1)
    )
    return found is not None


def find_entry(session: Session, provider_id: int, entry_id: int) -> BankEntry:
    """Return one entry of a provider.

    Raises:
        NotFoundError: there is none, or it is another provider's.

    """
    found = session.scalar(
        select(BankEntry)
        .where(BankEntry.id == entry_id, BankEntry.provider_id == provider_id)
        .options(joinedload(BankEntry.order), joinedload(BankEntry.statement))
    )
    if found is None:
        raise NotFoundError(f"bank entry {entry_id}")
    return found


def entries(
    session: Session,
    provider_id: int,
    status: BankEntryStatus,
    *,
    finding: Finding | None = None,
    search: str = "",
    before: int | None = None,
    limit: int = 50,
) -> Sequence[BankEntry]:
    """Return a provider's entries of one status, newest first.

    Args:
        session: any.
        provider_id: whose; those of others are never among them.
        status: what has been decided.
        finding: only those found to be this.
        search: an amount with a point, or part of the bank's reference, payer or text.
        before: only older than this id, for the next page.
        limit: at most so many.

    """
    wanted = select(BankEntry).where(
        BankEntry.provider_id == provider_id, BankEntry.status == status
    )
    if finding is not None:
        wanted = wanted.where(BankEntry.finding == finding)
    if before is not None:
        wanted = wanted.where(BankEntry.id < before)
    if search:
        wanted = wanted.where(_like(search))
    return session.scalars(
        wanted.options(joinedload(BankEntry.order)).order_by(BankEntry.id.desc()).limit(limit)
    ).all()


def _like(search: str) -> ColumnElement[bool]:
    columns = (BankEntry.bank_ref, BankEntry.payer, BankEntry.text)
    said = [column.icontains(search, autoescape=True) for column in columns]
    code = select(Order.id).where(Order.code == search.strip().upper())
    said.append(BankEntry.order_id.in_(code))
    # Of an amount the digits are compared, as it stands in any currency of two decimals.
    try:
        minor = Money.parse(search.strip(), "USD").minor
    except InexactAmountError:
        return or_(*said)
    if minor >= 2**63:  # no amount that a column can hold
        return or_(*said)
    return or_(*said, BankEntry.amount_minor.in_([minor, -minor]))


def history(session: Session, entry: BankEntry) -> Sequence[Event]:
    """Return what happened to an entry, oldest first."""
    return session.scalars(
        select(Event)
        .where(Event.subject == "bank_entry", Event.subject_id == entry.id)
        .order_by(Event.id)
    ).all()


def parts_of(session: Session, entry: BankEntry) -> Sequence[BankEntry]:
    """Return the entries that one was split into."""
    return session.scalars(
        select(BankEntry)
        .where(BankEntry.parent_id == entry.id)
        .options(joinedload(BankEntry.order))
        .order_by(BankEntry.id)
    ).all()


def same_order(session: Session, entry: BankEntry) -> Sequence[BankEntry]:
    """Return what else is recorded for an entry's order: perhaps it is the same money."""
    if entry.order_id is None:
        return []
    return session.scalars(
        select(BankEntry)
        .where(
            BankEntry.order_id == entry.order_id,
            BankEntry.status == BankEntryStatus.RECORDED,
            BankEntry.id != entry.id,
        )
        .order_by(BankEntry.id)
        .limit(MOST_SHOWN)
    ).all()


def money_staff(session: Session, provider_id: int) -> Sequence[User]:
    """Return those of a provider's staff who may say that money has come."""
    roles = [role for role, duties in DUTIES.items() if Duty.MONEY in duties]
    return session.scalars(
        select(User)
        .where(User.provider_id == provider_id, User.active, User.staff_role.in_(roles))
        .order_by(User.id)
    ).all()

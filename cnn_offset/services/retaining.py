"""Forgetting what is old: personal data go when their time is over (``domain/retention.py``).

Each kind is done in small parts, each in a transaction of its own, by an index of what is
still kept; whatever is interrupted goes on with the next turn. Safe to repeat.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from datetime import datetime
from typing import Final

from fsspec import AbstractFileSystem
from sqlalchemy import delete, exists, select, update
from sqlalchemy.orm import Session

from cnn_offset.domain import retention
from cnn_offset.domain.status import (
    ApplicationStatus,
    CheckoutStatus,
    DeliveryStatus,
    MessageStatus,
    OrderStatus,
    PaymentStatus,
)
from cnn_offset.models import (
    Application,
    Checkout,
    Chore,
    DoomedFile,
    Invitation,
    Message,
    Order,
    Paper,
    Payment,
    Proof,
    WebhookDelivery,
)
from cnn_offset.services import Begin, erasing
from cnn_offset.services.moves import note

CHORE: Final = "retention"
PART: Final = 200
PARTS: Final = 5
"""Parts of each kind that one turn does; the next turn follows soon if more is left."""
_MONEY: Final = (
    PaymentStatus.PROCESSING,
    PaymentStatus.SUCCEEDED,
    PaymentStatus.IN_REVIEW,
    PaymentStatus.REFUNDED,
    PaymentStatus.DISPUTED,
)
_ENDED: Final = (OrderStatus.LAPSED, OrderStatus.WITHDRAWN)
_OVER: Final = (*_ENDED, OrderStatus.FULFILLED, OrderStatus.REFUNDED)
_READ: Final = (DeliveryStatus.HANDLED, DeliveryStatus.UNMATCHED)
_REFUSED: Final = (ApplicationStatus.REFUSED, ApplicationStatus.WITHDRAWN)

Forget = Callable[[Session, datetime], int]
"""Does one part of a kind and returns how many rows it was."""


def forget_old(begin: Begin, files: AbstractFileSystem, *, now: datetime) -> bool:
    """Do one turn and keep what was done; whether more is left to do."""
    counts: dict[str, int] = {}
    more = False
    for name, forget in _KINDS.items():
        for _ in range(PARTS):
            with begin() as session:
                count = forget(session, now)
            counts[name] = counts.get(name, 0) + count
            if count < PART:
                break
        else:
            more = True
    counts["files"] = _remove_files(begin, files)
    told = ", ".join(f"{name} {count}" for name, count in counts.items() if count)
    if told:
        with begin() as session:
            chore = session.scalars(select(Chore).where(Chore.name == CHORE)).one()
            note(session, chore, old="", new=CHORE, actor="clock", why=told, now=now)
    return more or counts["files"] == PART


def _checkouts(session: Session, now: datetime) -> int:
    """What was typed, also where orders came of it: these have their own copy."""
    ids = session.scalars(
        select(Checkout.id)
        .where(
            Checkout.erased_at.is_(None),
            Checkout.created_at < now - retention.CHECKOUTS,
            Checkout.status != CheckoutStatus.OPEN,
        )
        .order_by(Checkout.created_at)
        .limit(PART)
    ).all()
    session.execute(
        update(Checkout)
        .where(Checkout.id.in_(ids))
        .values(details={}, erased_at=now)
        .execution_options(synchronize_session=False)
    )
    return len(ids)


def _webhooks(session: Session, now: datetime) -> int:
    ids = session.scalars(
        select(WebhookDelivery.id)
        .where(
            WebhookDelivery.body != "",
            WebhookDelivery.received_at < now - retention.WEBHOOKS,
            WebhookDelivery.status.in_(_READ),
        )
        .order_by(WebhookDelivery.received_at)
        .limit(PART)
    ).all()
    session.execute(
        update(WebhookDelivery)
        .where(WebhookDelivery.id.in_(ids))
        .values(body="")
        .execution_options(synchronize_session=False)
    )
    return len(ids)


def _mails(session: Session, now: datetime) -> int:
    ids = session.scalars(
        select(Message.id)
        .where(
            Message.recipient != "",
            Message.created_at < now - retention.MAILS,
            Message.status != MessageStatus.QUEUED,
        )
        .order_by(Message.created_at)
        .limit(PART)
    ).all()
    session.execute(
        update(Message)
        .where(Message.id.in_(ids))
        .values(recipient="", params={}, last_error="")
        .execution_options(synchronize_session=False)
    )
    return len(ids)


def _invitations(session: Session, now: datetime) -> int:
    ids = session.scalars(
        select(Invitation.id)
        .where(Invitation.expires_at < now - retention.INVITATIONS)
        .order_by(Invitation.expires_at)
        .limit(PART)
    ).all()
    session.execute(delete(Invitation).where(Invitation.id.in_(ids)))
    return len(ids)


def _proofs(session: Session, now: datetime) -> int:
    proofs = session.scalars(
        select(Proof)
        .join(Application)
        .where(
            Application.status.in_(_REFUSED),
            Application.decided_at < now - retention.PROOFS,
        )
        .limit(PART)
    ).all()
    erasing.drop_proofs(session, proofs, now=now)
    return len(proofs)


def _unpaid_orders(session: Session, now: datetime) -> int:
    money = exists().where(Payment.order_id == Order.id, Payment.status.in_(_MONEY))
    ids = session.scalars(
        select(Order.id)
        .where(
            Order.erased_at.is_(None),
            Order.status.in_(_ENDED),
            Order.placed_at < now - retention.UNPAID,
            Order.pay_by < now - retention.UNPAID,
            Order.paid_at.is_(None),
            ~money,
            ~erasing.runs(),
        )
        .limit(PART)
    ).all()
    erasing.blank_orders(session, ids, actor="clock", why="never paid", now=now)
    return len(ids)


def _old_orders(session: Session, now: datetime) -> int:
    ids = session.scalars(
        select(Order.id)
        .where(
            Order.erased_at.is_(None),
            Order.status.in_(_OVER),
            Order.placed_at < now - retention.ORDERS,
            ~erasing.runs(),
        )
        .limit(PART)
    ).all()
    erasing.blank_orders(session, ids, actor="clock", why="ten years are over", now=now)
    return len(ids)


def _receipts(session: Session, now: datetime) -> int:
    """Receipts that outlived the other data of their order."""
    ids = session.scalars(
        select(Paper.id)
        .where(Paper.erased_at.is_(None), Paper.issued_at < now - retention.ORDERS)
        .order_by(Paper.issued_at)
        .limit(PART)
    ).all()
    return erasing.blank_papers(session, Paper.id.in_(ids), now=now) if ids else 0


_KINDS: Final[dict[str, Forget]] = {
    "checkouts": _checkouts,
    "webhooks": _webhooks,
    "mails": _mails,
    "invitations": _invitations,
    "proofs": _proofs,
    "unpaid orders": _unpaid_orders,
    "old orders": _old_orders,
    "receipts": _receipts,
}


def _remove_files(begin: Begin, files: AbstractFileSystem) -> int:
    """Remove files that nothing refers to; one that is gone already counts as removed."""
    with begin() as session:
        rows = session.scalars(select(DoomedFile).order_by(DoomedFile.id).limit(PART)).all()
        doomed = [(each.id, each.path) for each in rows]
    gone = []
    for row_id, path in doomed:
        with suppress(FileNotFoundError):
            files.rm_file(path)
        gone.append(row_id)
    with begin() as session:
        session.execute(delete(DoomedFile).where(DoomedFile.id.in_(gone)))
    return len(gone)

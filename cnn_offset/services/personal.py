"""What is kept about a person, found by the e-mail address."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from sqlalchemy import select, union
from sqlalchemy.orm import Session, selectinload

from cnn_offset.models import Application, Case, Invitation, Message, Order, User
from cnn_offset.services.joining import find_user
from cnn_offset.services.moves import note

SHOWN: Final = 50
"""Rows of each kind that a page lists."""
LOOKED: Final = "data looked at"
EXPORTED: Final = "data exported"
"""What events say of whoever looked at or took along somebody's data."""


@dataclass(frozen=True, slots=True)
class Known:
    """What is kept about an address, the newest of each kind."""

    email: str
    user: User | None
    orders: Sequence[Order]
    cases: Sequence[Case]
    applications: Sequence[Application]
    invitations: Sequence[Invitation]
    mails: Sequence[Message]

    @property
    def is_nothing(self) -> bool:
        """Whether nothing is kept at all."""
        return not (
            self.user
            or self.orders
            or self.cases
            or self.applications
            or self.invitations
            or self.mails
        )


def known(session: Session, email: str) -> Known:
    """Return what is kept about an address in lower case."""
    user = find_user(session, email)
    ids = order_ids(session, email, limit=SHOWN)
    orders = (
        select(Order)
        .where(Order.id.in_(ids))
        .options(selectinload(Order.provider), selectinload(Order.lines))
        .order_by(Order.id.desc())
    )
    applications = select(Application).where(Application.user_id == (user.id if user else 0))
    return Known(
        email,
        user,
        session.scalars(orders).all(),
        _newest(session, Case, Case.email == email),
        session.scalars(applications.order_by(Application.id.desc()).limit(SHOWN)).all(),
        _newest(session, Invitation, Invitation.email == email),
        _newest(session, Message, Message.recipient == email),
    )


def _newest(session: Session, kind: Any, where: Any) -> Sequence[Any]:
    return session.scalars(select(kind).where(where).order_by(kind.id.desc()).limit(SHOWN)).all()


def order_ids(session: Session, email: str, *, limit: int) -> list[int]:
    """Return the ids of the orders of an address or of its account, newest first."""
    user = find_user(session, email)
    ways = [select(Order.id).where(Order.email == email)]
    if user is not None:
        ways.append(select(Order.id).where(Order.user_id == user.id))
    # Each by its own index.
    parts = [select(way.order_by(Order.id.desc()).limit(limit).subquery()) for way in ways]
    found = union(*parts).subquery()
    return list(session.scalars(select(found.c.id).order_by(found.c.id.desc()).limit(limit)))


def about(session: Session, email: str) -> Any:
    """Return the row that a step about this person is about: account, else the newest thing."""
    found = known(session, email)
    return found.user or next(
        (rows[0] for rows in (found.orders, found.cases, found.invitations, found.mails) if rows),
        None,
    )


def note_look(
    session: Session, email: str, what: str, operator: User, *, why: str = "", now: datetime
) -> None:
    """Keep that an operator looked at somebody's data, or took them along.

    The address is not written into the trail, which nobody can erase: the event is about
    the account or another row of the person; about the operator if there is none.
    """
    row = about(session, email) or operator
    note(session, row, old="", new=what, actor=operator.email, why=why, now=now)

"""The outbox: mails are rows until they are sent, at least once, with one Message-ID."""

from __future__ import annotations

import secrets
from collections.abc import Callable, Mapping
from datetime import datetime
from email.message import EmailMessage
from typing import Any

from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.orm import Session

from cnn_offset.domain.status import MessageStatus
from cnn_offset.models import Message, Order
from cnn_offset.services import Begin, announce
from cnn_offset.services.moves import move


def _insert(kind: Any) -> Any:
    table = Message.__table__
    return kind(table).on_conflict_do_nothing(index_elements=["dedup"]).returning(table.c.id)


# The unique key refuses a second mail, also one that another process is just adding.
_INSERT = {"sqlite": _insert(sqlite.insert), "postgresql": _insert(postgresql.insert)}


class RefusedError(Exception):
    """A mail server will never take this mail; the text is what it says."""


Render = Callable[[Session, Message], EmailMessage]
"""Makes the mail of a row: subject, text, HTML and attachments."""
Transport = Callable[[EmailMessage], None]
"""Hands a mail over; raises on any doubt."""


def queue_message(
    session: Session,
    kind: str,
    *,
    recipient: str,
    locale: str,
    now: datetime,
    dedup: str,
    order: Order | None = None,
    params: Mapping[str, Any] | None = None,
) -> None:
    """Put a mail in the outbox, due now. A second one with the same ``dedup`` is not added.

    None goes to nobody: to a purchaser whose address was erased, say.
    """
    if not recipient:
        return
    message_id = session.connection().scalar(
        _INSERT[session.get_bind().dialect.name],
        {
            "order_id": order.id if order else None,
            "kind": kind,
            "dedup": dedup,
            "recipient": recipient,
            "locale": locale,
            "params": dict(params or {}),
            "message_id": f"<{secrets.token_hex(16)}@cnn-offset>",
            "created_at": now,
            "due_at": now,
        },
    )
    if message_id is not None:
        announce(session, "message", message_id, now)


def tell_purchaser(
    session: Session,
    kind: str,
    order: Order,
    *,
    now: datetime,
    dedup: str = "",
    params: Mapping[str, Any] | None = None,
) -> None:
    """Queue a mail about ``order`` to its purchaser, in the order's language."""
    queue_message(
        session,
        kind,
        recipient=order.email,
        locale=order.locale,
        now=now,
        dedup=dedup or f"{kind}:{order.id}",
        order=order,
        params=params,
    )


def tell_provider(
    session: Session, kind: str, order: Order, *, now: datetime, dedup: str = ""
) -> None:
    """Queue a mail about ``order`` to its provider, in the provider's language."""
    queue_message(
        session,
        kind,
        recipient=order.provider.email,
        locale=order.provider.locale,
        now=now,
        dedup=dedup or f"{kind}:{order.id}",
        order=order,
    )


def send_message(
    begin: Begin, message_id: int, *, render: Render, transport: Transport, now: datetime
) -> None:
    """Render and send one mail, then record it. A crash between sends it once more.

    What a server will never take has failed: an operator looks at it (attention).

    Raises:
        Exception: whatever ``transport`` raises; the worker tries again later.

    """
    with begin() as session:
        row = session.get_one(Message, message_id)
        if row.status is not MessageStatus.QUEUED:
            return
        mail = render(session, row)
    refused = ""
    try:
        transport(mail)
    except RefusedError as error:
        refused = str(error)
    with begin() as session:
        row = session.get_one(Message, message_id)
        if refused:
            move(session, row, MessageStatus.FAILED, actor="mail server", why=refused, now=now)
            row.failure = refused
            return
        move(session, row, MessageStatus.SENT, actor="outbox", why="handed over", now=now)
        row.sent_at = now


def resend(session: Session, message: Message, *, actor: str, now: datetime) -> None:
    """Send a mail again, at somebody's wish. Does nothing while it still waits."""
    if move(session, message, MessageStatus.QUEUED, actor=actor, why="asked for", now=now):
        message.due_at = now
        message.attempts = 0
        message.failure = ""

"""Giving up an account: nobody logs in to it again, and nothing of the person is kept in it."""

from __future__ import annotations

import secrets
from datetime import datetime
from typing import Final

from sqlalchemy import select
from sqlalchemy.orm import Session

from cnn_offset.domain.status import ApplicationStatus
from cnn_offset.domain.text import N_
from cnn_offset.models import Application, User
from cnn_offset.services import ServiceError, operating, staffing
from cnn_offset.services.mailing import queue_message
from cnn_offset.services.moves import note

CLOSED: Final = "account_closed"
"""A kind of mail."""
_OPEN: Final = (ApplicationStatus.SUBMITTED, ApplicationStatus.QUESTIONED)


def close(session: Session, user: User, *, actor: str, tell: bool, now: datetime) -> None:
    """Close an account: roles, factors, sessions, name and address go. Safe to repeat.

    Orders keep their own particulars and go on; their private links lead to them. The
    address is free for a new account afterwards, which has nothing of this one.

    Args:
        session: a writing transaction.
        user: whose account.
        actor: who does it.
        tell: whether to mail it to the address once more.
        now: the moment.

    Raises:
        ServiceError: it is the last owner of a provider or the last head of the desk, or an
            application of its waits.

    """
    # In the order in which others hold them: who changes staff holds its provider first.
    if user.operator_role is not None:
        operating.hold_desk(session)
    if user.provider_id is not None:
        staffing.hold_staff(session, user.provider_id)
    session.refresh(user, with_for_update=True)
    if user.closed_at is not None:
        return
    waiting = session.scalar(
        select(Application.id)
        .where(Application.user_id == user.id, Application.status.in_(_OPEN))
        .limit(1)
    )
    if waiting is not None:
        raise ServiceError(
            N_("Your application to offer units is still open. Please withdraw it first.")
        )
    email, locale = user.email, user.locale
    if user.provider_id is not None:
        staffing.leave(session, user, actor=actor, now=now)
    if user.operator_role is not None:
        operating.keep_a_head(session, user)
        operating.leave(session, user, actor=actor, now=now)
    user.email = f"closed-{user.id}@account.invalid"
    user.name = ""
    user.password = user.tf_totp_secret = user.tf_primary_method = None
    user.tf_last_counter = user.mf_recovery_codes = user.fs_webauthn_user_handle = None
    user.webauthn.clear()
    user.roles = []
    user.active = False
    user.fs_uniquifier = secrets.token_hex(32)
    user.closed_at = user.update_datetime = now
    session.flush()
    note(session, user, old="", new="closed", actor=actor, why="", now=now)
    if tell:
        queue_message(
            session,
            CLOSED,
            recipient=email,
            locale=locale,
            now=now,
            dedup=f"{CLOSED}:{user.id}",
        )

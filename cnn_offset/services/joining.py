"""Accounts: registering, confirming an address, choosing a password, ending sessions.

Who asks for an address learns nothing of it: each request does the same work and queues
one mail, whether the address has an account or not. What that mail says is decided when
it is rendered, so no link that opens an account is ever stored.
"""

from __future__ import annotations

import secrets
from datetime import datetime

from sqlalchemy import select
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session

from cnn_offset.models import User
from cnn_offset.services import NotFoundError
from cnn_offset.services.mailing import queue_message
from cnn_offset.services.moves import note

CONFIRM = "confirm"
EXISTS = "exists"
RESET = "reset"
UNKNOWN = "unknown"
CHANGED = "changed"
"""What a mail of the kind ``account`` is about: its ``params["about"]``."""


def find_user(session: Session, email: str) -> User | None:
    """Return the account of an address, whatever its case."""
    if "\0" in email:  # PostgreSQL cannot even be asked
        return None
    return session.scalar(select(User).where(User.email == email.strip().lower()))


def register(
    session: Session, email: str, password_hash: str, *, locale: str, now: datetime
) -> None:
    """Open an account that waits for its address to be confirmed, or mail that there is one.

    The password of an account that exists is left alone, even if it was never confirmed:
    its owner gets a link to choose one. Safe to repeat.
    """
    user = find_user(session, email)
    if user is None:
        user = User(
            email=email.strip().lower(),
            password=password_hash,
            active=True,
            fs_uniquifier=secrets.token_hex(32),
            create_datetime=now,
            locale=locale,
        )
        try:
            with session.begin_nested():
                session.add(user)
        except IntegrityError:
            # Somebody registered the same address at the same moment.
            user = find_user(session, email)
        else:
            note(session, user, old="", new="registered", actor="visitor", why="asked for", now=now)
            tell_owner(session, CONFIRM, email, user, locale=locale, now=now)
            return
    tell_owner(session, EXISTS, email, user, locale=locale, now=now)


def open_confirmed(
    session: Session, email: str, password_hash: str, *, locale: str, now: datetime
) -> User:
    """Open an account for somebody who came by a mailed link, which confirms the address.

    One that was never confirmed is taken over, with the new password: whoever opened it
    may not have been its owner.

    Raises:
        NotFoundError: there is a confirmed account, perhaps opened at this very moment.

    """
    user = find_user(session, email)
    if user is None:
        user = User(
            email=email.strip().lower(),
            password=password_hash,
            active=True,
            fs_uniquifier=secrets.token_hex(32),
            create_datetime=now,
            locale=locale,
        )
        try:
            with session.begin_nested():
                session.add(user)
        except IntegrityError as error:
            raise NotFoundError from error
        note(session, user, old="", new="registered", actor="visitor", why="invited", now=now)
    elif user.confirmed_at is not None or not user.active:
        raise NotFoundError
    else:
        user.password = password_hash
        end_sessions(session, user, why="new password", now=now)
    confirm(session, user, now=now)
    return user


def ask_for_password(session: Session, email: str, *, locale: str, now: datetime) -> None:
    """Mail a link to choose a new password, or that the address has no account."""
    user = find_user(session, email)
    active = user is not None and user.active
    tell_owner(session, RESET if active else UNKNOWN, email, user, locale=locale, now=now)


def ask_for_confirmation(session: Session, user: User, *, locale: str, now: datetime) -> None:
    """Mail the link to confirm an address once more."""
    tell_owner(session, CONFIRM, user.email, user, locale=locale, now=now)


def confirm(session: Session, user: User, *, now: datetime) -> None:
    """Take the account's address as its owner's. Safe to repeat."""
    if user.confirmed_at is None:
        user.confirmed_at = now
        note(session, user, old="", new="confirmed", actor=_name(user), why="by mail", now=now)


def set_password(
    session: Session, user: User, password_hash: str, *, by_mail: bool, locale: str, now: datetime
) -> None:
    """Set a new password, end every session and tell the owner by mail.

    With ``by_mail`` the owner came by a link in a mail, which confirms the address too.
    """
    user.password = password_hash
    end_sessions(session, user, why="new password", now=now)
    if by_mail:
        confirm(session, user, now=now)
    tell_owner(session, CHANGED, user.email, user, locale=locale, now=now)


def end_sessions(session: Session, user: User, *, why: str, now: datetime, actor: str = "") -> None:
    """Make every session cookie of the account worthless, copied ones too."""
    user.fs_uniquifier = secrets.token_hex(32)
    who = actor or _name(user)
    note(session, user, old="", new="sessions ended", actor=who, why=why, now=now)


def _name(user: User) -> str:
    return f"user {user.id}"


def tell_owner(
    session: Session,
    about: str,
    email: str,
    user: User | None,
    *,
    locale: str,
    now: datetime,
    **more: str | int,
) -> None:
    """Queue a mail about an account; ``more`` is what it tells besides ``about``."""
    queue_message(
        session,
        "account",
        recipient=email.strip().lower(),
        locale=locale,
        now=now,
        dedup=f"account:{secrets.token_hex(8)}",
        params={"about": about, "user_id": user.id if user else None, **more},
    )

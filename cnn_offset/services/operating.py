"""The people at the operators' desk: invited, joined, given another role, removed.

Who changes them holds the row of their common role until the commit, so that two heads who
remove each other at the same moment do so one after the other, and the last one stays.
Every change is kept with the address of the operator who made it.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Final

from sqlalchemy import select, update
from sqlalchemy.orm import Session

from cnn_offset.domain.staff import DESK_DUTIES, DeskDuty, OperatorRole
from cnn_offset.domain.text import N_
from cnn_offset.models import Invitation, Role, User
from cnn_offset.services import NotFoundError, ServiceError, factors
from cnn_offset.services.joining import end_sessions, find_user
from cnn_offset.services.mailing import queue_message
from cnn_offset.services.moves import note
from cnn_offset.services.staffing import INVITED_FOR, become_staff, find_invitation, use_up

MOST_OPERATORS: Final = 100
"""People and open invitations of the desk."""
LONGEST_ADDRESS: Final = 120
"""Letters of an operator's address: it is the actor of every event."""
ROLE_NAME: Final = "operator"

INVITED = "operator_invited"
JOINED = "operator_joined"
CHANGED = "operator_changed"
REMOVED = "operator_removed"
"""Kinds of mail."""


def operators(session: Session) -> Sequence[User]:
    """Return everybody at the desk, in the order they came."""
    return session.scalars(
        select(User)
        .join(User.roles)
        .where(Role.name == ROLE_NAME, User.operator_role.is_not(None))
        .order_by(User.id)
        .limit(MOST_OPERATORS)
    ).all()


def operator(session: Session, user_id: int) -> User:
    """Return one operator.

    Raises:
        NotFoundError: there is none of that id.

    """
    found = session.get(User, user_id)
    if found is None or found.operator_role is None or not found.has_role(ROLE_NAME):
        raise NotFoundError(str(user_id))
    return found


def open_invitations(session: Session, *, now: datetime) -> Sequence[Invitation]:
    """Return the invitations to the desk that can be accepted, newest first."""
    return session.scalars(
        select(Invitation)
        .where(
            Invitation.operator_role.is_not(None),
            Invitation.accepted_at.is_(None),
            Invitation.expires_at > now,
        )
        .order_by(Invitation.id.desc())
        .limit(MOST_OPERATORS)
    ).all()


def invite(
    session: Session,
    actor: User,
    email: str,
    role: OperatorRole,
    *,
    nonce: str,
    token_hash: str,
    locale: str,
    now: datetime,
) -> Invitation:
    """Invite somebody to the desk; an open invitation of the same address is replaced.

    Args:
        session: a writing transaction.
        actor: an operator who may.
        email: the address, checked and in lower case.
        role: what the person may do.
        nonce: what the mail makes its link of, with a key that is stored nowhere.
        token_hash: SHA-256 of what the link carries.
        locale: the language of the mail.
        now: the moment; the link works for seven days.

    Raises:
        ServiceError: the person is an operator already or of a provider's staff, the
            address is too long, or there are too many people.
        NotFoundError: ``actor`` may no longer do this.

    """
    _hold(session, actor)
    if len(email) > LONGEST_ADDRESS:
        raise ServiceError(
            N_("An operator’s address has at most %(n)s letters."), n=LONGEST_ADDRESS
        )
    found = find_user(session, email)
    if found is not None and found.operator_role is not None:
        raise ServiceError(N_("%(email)s is an operator already."), email=email)
    if found is not None and found.provider_id is not None:
        raise ServiceError(
            N_("%(email)s belongs to the staff of a provider. Please use another address."),
            email=email,
        )
    session.execute(
        update(Invitation)
        .where(
            Invitation.email == email,
            Invitation.operator_role.is_not(None),
            Invitation.accepted_at.is_(None),
            Invitation.expires_at > now,
        )
        .values(expires_at=now)
    )
    if len(operators(session)) + len(open_invitations(session, now=now)) >= MOST_OPERATORS:
        raise ServiceError(
            N_("Operators and open invitations are %(most)s people at most."), most=MOST_OPERATORS
        )
    made = Invitation(
        email=email,
        operator_role=role,
        token_hash=token_hash,
        invited_by=actor.email,
        created_at=now,
        expires_at=now + INVITED_FOR,
    )
    session.add(made)
    session.flush()
    note(session, made, old="", new=str(role), actor=actor.email, why="invited", now=now)
    queue_message(
        session,
        INVITED,
        recipient=email,
        locale=locale,
        now=now,
        dedup=f"{INVITED}:{made.id}",
        params={"invitation_id": made.id, "nonce": nonce},
    )
    return made


def withdraw_invitation(
    session: Session, actor: User, invitation_id: int, *, now: datetime
) -> None:
    """Let an invitation to the desk be worth nothing any more. Safe to repeat.

    Raises:
        NotFoundError: there is no such invitation, it was accepted, or ``actor`` may not.

    """
    _hold(session, actor)
    found = session.scalar(
        select(Invitation).where(
            Invitation.id == invitation_id,
            Invitation.operator_role.is_not(None),
            Invitation.accepted_at.is_(None),
        )
    )
    if found is None:
        raise NotFoundError(str(invitation_id))
    if found.expires_at > now:
        found.expires_at = now
        old = str(found.operator_role)
        note(session, found, old=old, new="withdrawn", actor=actor.email, why="", now=now)


def join(session: Session, user: User, token_hash: str, *, now: datetime) -> None:
    """Make ``user`` an operator, as the invitation says; it serves once.

    Raises:
        NotFoundError: the invitation is over, used, withdrawn, or for another address.
        ServiceError: the account belongs to a provider's staff.

    """
    invitation = find_invitation(session, token_hash, now=now)
    if invitation is None or invitation.email != user.email or invitation.operator_role is None:
        raise NotFoundError
    if user.provider_id is not None or user.operator_role is not None:
        raise ServiceError(
            N_(
                "This account works for another organisation already. "
                "Please ask to be invited with another address."
            )
        )
    used = use_up(session, invitation, now=now)
    taken = session.execute(
        update(User)
        .where(User.id == user.id, User.provider_id.is_(None), User.operator_role.is_(None))
        .values(operator_role=invitation.operator_role, update_datetime=now)
    )
    if not used or taken.rowcount != 1:  # type: ignore[attr-defined]
        raise NotFoundError
    session.refresh(user)
    become_staff(session, user, ROLE_NAME)
    role = str(invitation.operator_role)
    note(session, user, old="", new=role, actor=user.email, why="joined by invitation", now=now)
    inviter = find_user(session, invitation.invited_by)
    if inviter is not None and inviter.operator_role is not None:
        queue_message(
            session,
            JOINED,
            recipient=inviter.email,
            locale=inviter.locale,
            now=now,
            dedup=f"{JOINED}:{invitation.id}",
            params={"email": user.email, "role": role},
        )


def change_role(
    session: Session, actor: User, user_id: int, role: OperatorRole, *, now: datetime
) -> None:
    """Give an operator another role, and say so by mail. Safe to repeat.

    Raises:
        NotFoundError: it is no operator, or ``actor`` may no longer do this.
        ServiceError: nobody would be left who may do this.

    """
    _hold(session, actor)
    user = _held(session, user_id)
    old = user.operator_role
    if old is role:
        return
    if DeskDuty.PEOPLE not in DESK_DUTIES[role]:
        keep_a_head(session, user)
    user.operator_role, user.update_datetime = role, now
    note(session, user, old=str(old), new=str(role), actor=actor.email, why="role", now=now)
    _tell(session, CHANGED, user, now=now, role=str(role))


def remove(session: Session, actor: User, user_id: int, *, now: datetime) -> None:
    """Take somebody off the desk: sessions end at once, a mail says so.

    The account stays, for the person's own orders.

    Raises:
        NotFoundError: it is no operator, or ``actor`` may no longer do this.
        ServiceError: nobody would be left who may do this.

    """
    _hold(session, actor)
    user = _held(session, user_id)
    keep_a_head(session, user)
    leave(session, user, actor=actor.email, now=now)
    _tell(session, REMOVED, user, now=now)


def leave(session: Session, user: User, *, actor: str, now: datetime) -> None:
    """Make an operator a purchaser like others, whoever may say so."""
    old = str(user.operator_role)
    user.operator_role, user.update_datetime = None, now
    user.roles = [each for each in user.roles if each.name != ROLE_NAME]
    end_sessions(session, user, why="removed from the desk", now=now, actor=actor)
    note(session, user, old=old, new="removed", actor=actor, why="", now=now)


def end_sessions_of(session: Session, actor: User, user_id: int, *, now: datetime) -> None:
    """End every session of an operator, as after a lost computer.

    Raises:
        NotFoundError: it is no operator, or ``actor`` may no longer do this.

    """
    _hold(session, actor)
    user = _held(session, user_id)
    end_sessions(session, user, why="by an operator", now=now, actor=actor.email)


def reset_factor(session: Session, actor: User, user_id: int, *, now: datetime) -> None:
    """Remove the second factor that an operator has lost; a mail tells the person.

    Sessions end. Until a new factor is set up the desk stays closed to them.

    Raises:
        NotFoundError: it is no operator, or ``actor`` may no longer do this.
        ServiceError: it is the own one, which whoever is here has not lost.

    """
    _hold(session, actor)
    user = _held(session, user_id)
    if user.id == actor.id:
        raise ServiceError(N_("Change your own second factor on the page of your account."))
    factors.turn_off(session, user, locale=user.locale, now=now, actor=actor.email)
    end_sessions(session, user, why="second factor reset", now=now, actor=actor.email)


def hold_desk(session: Session) -> None:
    """Let nobody else change who is at the desk until the commit."""
    session.scalar(select(Role).where(Role.name == ROLE_NAME).with_for_update())


def keep_a_head(session: Session, leaving: User) -> None:
    """See that somebody stays who may decide on people. Hold the desk before.

    Raises:
        ServiceError: nobody would.

    """
    others = [
        each
        for each in operators(session)
        if each.id != leaving.id and each.active and each.may(DeskDuty.PEOPLE)
    ]
    if leaving.may(DeskDuty.PEOPLE) and not others:
        raise ServiceError(
            N_("The desk needs a head, and this is the only one. Make somebody else a head first.")
        )


def _hold(session: Session, actor: User) -> None:
    hold_desk(session)
    session.refresh(actor)
    if not actor.active or not actor.may(DeskDuty.PEOPLE):
        raise NotFoundError


def _held(session: Session, user_id: int) -> User:
    user = operator(session, user_id)
    session.refresh(user)
    if user.operator_role is None:
        raise NotFoundError(str(user_id))
    return user


def _tell(session: Session, kind: str, user: User, *, now: datetime, role: str = "") -> None:
    queue_message(
        session,
        kind,
        recipient=user.email,
        locale=user.locale,
        now=now,
        dedup=f"{kind}:{user.id}:{now.isoformat()}",
        params={"role": role},
    )

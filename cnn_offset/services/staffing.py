"""A provider's staff: invited, joined, given another role, removed.

Who changes the staff of a provider holds its row until the commit, so that two owners who
remove each other at the same moment do so one after the other, and the last one stays.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Final

from sqlalchemy import func, select, update
from sqlalchemy.orm import Session

from cnn_offset.domain.staff import Duty, StaffRole
from cnn_offset.domain.text import N_
from cnn_offset.models import Invitation, Provider, Role, User
from cnn_offset.services import NotFoundError, ServiceError
from cnn_offset.services.joining import end_sessions, find_user
from cnn_offset.services.mailing import queue_message
from cnn_offset.services.moves import note

INVITED_FOR: Final = timedelta(days=7)
MOST_STAFF: Final = 50
"""People and open invitations of one provider."""
ROLE_NAME: Final = "provider"

INVITED = "staff_invited"
JOINED = "staff_joined"
CHANGED = "staff_changed"
REMOVED = "staff_removed"
"""Kinds of mail."""


def owners_of(session: Session, provider_id: int) -> Sequence[User]:
    """Return the owners, whom to ask what one may not do oneself."""
    return session.scalars(
        select(User)
        .where(User.provider_id == provider_id, User.staff_role == StaffRole.OWNER, User.active)
        .order_by(User.id)
        .limit(MOST_STAFF)
    ).all()


def staff_of(session: Session, provider_id: int) -> Sequence[User]:
    """Return everybody of a provider's staff, in the order they came."""
    return session.scalars(
        select(User).where(User.provider_id == provider_id).order_by(User.id).limit(MOST_STAFF)
    ).all()


def member(session: Session, provider_id: int, user_id: int) -> User:
    """Return one of a provider's staff.

    Raises:
        NotFoundError: it is nobody of this provider.

    """
    found = session.scalar(select(User).where(User.id == user_id, User.provider_id == provider_id))
    if found is None:
        raise NotFoundError
    return found


def open_invitations(session: Session, provider_id: int, *, now: datetime) -> Sequence[Invitation]:
    """Return the invitations that can still be followed, newest first."""
    return session.scalars(
        select(Invitation)
        .where(
            Invitation.provider_id == provider_id,
            Invitation.accepted_at.is_(None),
            Invitation.expires_at > now,
        )
        .order_by(Invitation.id.desc())
        .limit(MOST_STAFF)
    ).all()


def invite(
    session: Session,
    actor: User,
    email: str,
    role: StaffRole,
    *,
    nonce: str,
    token_hash: str,
    locale: str,
    now: datetime,
) -> Invitation:
    """Invite somebody to the staff of ``actor``'s provider; an open invitation is replaced.

    Args:
        session: a writing transaction.
        actor: an owner.
        email: the address, checked and in lower case.
        role: what the person may do.
        nonce: what the mail makes its link of, with a key that is stored nowhere.
        token_hash: SHA-256 of what the link carries.
        locale: the language of the mail.
        now: the moment; the link works for seven days.

    Raises:
        ServiceError: the person belongs to the staff already, or there are too many.
        NotFoundError: ``actor`` may no longer do this.

    """
    provider = _hold(session, actor)
    found = find_user(session, email)
    if found is not None and found.provider_id == provider.id:
        raise ServiceError(N_("%(email)s belongs to your staff already."), email=email)
    session.execute(
        update(Invitation)
        .where(
            Invitation.provider_id == provider.id,
            Invitation.email == email,
            Invitation.accepted_at.is_(None),
            Invitation.expires_at > now,
        )
        .values(expires_at=now)
    )
    count = select(func.count())
    people = session.scalar(count.select_from(User).where(User.provider_id == provider.id)) or 0
    if people + len(open_invitations(session, provider.id, now=now)) >= MOST_STAFF:
        raise ServiceError(
            N_("Staff and open invitations are %(most)s people at most."), most=MOST_STAFF
        )
    made = Invitation(
        provider_id=provider.id,
        email=email,
        role=role,
        token_hash=token_hash,
        invited_by=actor.email,
        created_at=now,
        expires_at=now + INVITED_FOR,
    )
    session.add(made)
    session.flush()
    _note(session, made, "", str(role), actor, f"invited to {provider.slug}", now)
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
    """Let an invitation be worth nothing any more. Safe to repeat.

    Raises:
        NotFoundError: the provider has made no such invitation, or it was accepted.

    """
    provider = _hold(session, actor)
    found = session.scalar(
        select(Invitation).where(
            Invitation.id == invitation_id,
            Invitation.provider_id == provider.id,
            Invitation.accepted_at.is_(None),
        )
    )
    if found is None:
        raise NotFoundError
    if found.expires_at > now:
        found.expires_at = now
        _note(session, found, str(found.role), "", actor, "invitation withdrawn", now)


def find_invitation(session: Session, token_hash: str, *, now: datetime) -> Invitation | None:
    """Return the open invitation of a link."""
    return session.scalar(
        select(Invitation).where(
            Invitation.token_hash == token_hash,
            Invitation.accepted_at.is_(None),
            Invitation.expires_at > now,
        )
    )


def use_up(session: Session, invitation: Invitation, *, now: datetime) -> bool:
    """Let an invitation serve; whether it still did, by compare-and-set."""
    used = session.execute(
        update(Invitation)
        .where(
            Invitation.id == invitation.id,
            Invitation.accepted_at.is_(None),
            Invitation.expires_at > now,
        )
        .values(accepted_at=now)
    )
    return bool(used.rowcount == 1)  # type: ignore[attr-defined]


def join(session: Session, user: User, token_hash: str, *, now: datetime) -> Provider:
    """Make ``user`` one of the staff that an invitation is for; it serves once.

    Raises:
        NotFoundError: the invitation is over, used, withdrawn, or for another address.
        ServiceError: the account belongs to operators or to another provider's staff.

    """
    invitation = find_invitation(session, token_hash, now=now)
    if invitation is None or invitation.email != user.email or invitation.provider is None:
        raise NotFoundError
    if user.provider_id is not None or user.has_role("operator"):
        raise ServiceError(
            N_(
                "This account works for another organisation already. "
                "Please ask to be invited with another address."
            )
        )
    used = use_up(session, invitation, now=now)
    taken = session.execute(
        update(User)
        .where(User.id == user.id, User.provider_id.is_(None))
        .values(provider_id=invitation.provider_id, staff_role=invitation.role, update_datetime=now)
    )
    if not used or taken.rowcount != 1:  # type: ignore[attr-defined]
        raise NotFoundError
    session.refresh(user)
    become_staff(session, user)
    _note(session, user, "", str(invitation.role), user, "joined by invitation", now)
    inviter = find_user(session, invitation.invited_by)
    if inviter is not None and inviter.provider_id == invitation.provider_id:
        queue_message(
            session,
            JOINED,
            recipient=inviter.email,
            locale=inviter.locale,
            now=now,
            dedup=f"{JOINED}:{invitation.id}",
            params={"provider_id": invitation.provider_id, "email": user.email,
                    "role": str(invitation.role)},
        )  # fmt: skip
    return invitation.provider


def become_staff(session: Session, user: User, name: str = ROLE_NAME) -> None:
    """Give an account the role that opens the workspace, or the desk. Safe to repeat."""
    if not user.has_role(name):
        found = session.scalar(select(Role).where(Role.name == name))
        user.roles.append(found or Role(name=name))


def change_role(
    session: Session, actor: User, user_id: int, role: StaffRole, *, now: datetime
) -> None:
    """Give one of the staff another role, and say so by mail. Safe to repeat.

    Raises:
        NotFoundError: it is nobody of the provider, or ``actor`` may no longer do this.
        ServiceError: the last owner would be none.

    """
    provider = _hold(session, actor)
    user = _held_member(session, provider, user_id)
    old = user.staff_role
    if old is role:
        return
    _keep_an_owner(session, provider, user)
    user.staff_role, user.update_datetime = role, now
    _note(session, user, str(old), str(role), actor, f"role at {provider.slug}", now)
    _tell(session, CHANGED, user, provider, now=now, role=str(role))


def remove(session: Session, actor: User, user_id: int, *, now: datetime) -> None:
    """Take somebody off the staff: sessions end at once, a mail says so.

    Raises:
        NotFoundError: it is nobody of the provider, or ``actor`` may no longer do this.
        ServiceError: no owner would be left.

    """
    provider = _hold(session, actor)
    user = _held_member(session, provider, user_id)
    _keep_an_owner(session, provider, user)
    _take_off(session, user, provider, actor=f"user {actor.id}", now=now)
    _tell(session, REMOVED, user, provider, now=now)


def leave(session: Session, user: User, *, actor: str, now: datetime) -> None:
    """Take somebody off whichever staff it is, as with an account that is closed.

    Raises:
        ServiceError: no owner would be left.

    """
    provider = hold_staff(session, user.provider_id)
    if provider is not None:
        _keep_an_owner(session, provider, user)
        _take_off(session, user, provider, actor=actor, now=now)


def hold_staff(session: Session, provider_id: int | None) -> Provider | None:
    """Let nobody else change who is of a provider's staff until the commit."""
    return session.scalar(
        select(Provider)
        .where(Provider.id == provider_id)
        .with_for_update()
        .execution_options(populate_existing=True)
    )


def _take_off(
    session: Session, user: User, provider: Provider, *, actor: str, now: datetime
) -> None:
    old = str(user.staff_role)
    user.provider_id = user.staff_role = None
    user.update_datetime = now
    user.roles = [each for each in user.roles if each.name != ROLE_NAME]
    end_sessions(session, user, why="removed from staff", now=now)
    why = f"removed from {provider.slug}"
    note(session, user, old=old, new="", actor=actor, why=why, now=now)


def _hold(session: Session, actor: User) -> Provider:
    """Return the provider of ``actor``, held until the commit, if it is still an owner."""
    held = hold_staff(session, actor.provider_id)
    if held is None:
        raise NotFoundError
    session.refresh(actor)
    if actor.provider_id != held.id or not actor.may(Duty.STAFF):
        raise NotFoundError
    return held


def _held_member(session: Session, provider: Provider, user_id: int) -> User:
    user = member(session, provider.id, user_id)
    session.refresh(user)
    return user


def _keep_an_owner(session: Session, provider: Provider, leaving: User) -> None:
    owners = owners_of(session, provider.id)
    if [each.id for each in owners] == [leaving.id]:
        raise ServiceError(
            N_(
                "A provider needs an owner, and this is the only one. "
                "Make somebody else an owner first."
            )
        )


def _note(
    session: Session, row: object, old: str, new: str, actor: User, why: str, now: datetime
) -> None:
    note(session, row, old=old, new=new, actor=f"user {actor.id}", why=why, now=now)


def _tell(
    session: Session, kind: str, user: User, provider: Provider, *, now: datetime, role: str = ""
) -> None:
    queue_message(
        session,
        kind,
        recipient=user.email,
        locale=user.locale,
        now=now,
        dedup=f"{kind}:{user.id}:{now.isoformat()}",
        params={"provider_id": provider.id, "role": role},
    )

"""Steps that two operators take: one proposes, another approves, and only then it is done.

Each kind has one service that does it (``_DOES``); it may still find that things have
changed since, and says so, in which case nothing is done and the proposal waits on.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import datetime
from typing import Any, Final

from sqlalchemy import select
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session, joinedload

from cnn_offset.domain.staff import DeskDuty
from cnn_offset.domain.status import ProposalStatus
from cnn_offset.domain.text import N_
from cnn_offset.models import Order, Proposal, ProposalKind
from cnn_offset.services import NotFoundError, ServiceError
from cnn_offset.services.moves import move, note

Does = Callable[[Session, Proposal, str, datetime], None]
"""Does what a proposal says: the session, the proposal, who approved it, the moment.

Raises ServiceError if it can no longer be done.
"""
_DOES: Final[dict[ProposalKind, Does]] = {}
DUTIES: Final[Mapping[ProposalKind, DeskDuty]] = {
    ProposalKind.REFUND: DeskDuty.ORDERS,
    ProposalKind.CORRECTION: DeskDuty.ORDERS,
    ProposalKind.ERASURE: DeskDuty.PEOPLE,
    ProposalKind.MAPPING: DeskDuty.PROVIDERS,
    ProposalKind.DATES: DeskDuty.SYSTEM,
}
"""What whoever decides must be allowed to do; both operators, the one who asks too."""


_ASKED_ALREADY: Final = N_("This was asked for already and waits for a second operator.")


def does(kind: ProposalKind) -> Callable[[Does], Does]:
    """Register the service that does proposals of ``kind``."""

    def keep(verb: Does) -> Does:
        _DOES[kind] = verb
        return verb

    return keep


def propose(
    session: Session,
    kind: ProposalKind,
    row: Any,
    payload: Mapping[str, Any],
    *,
    reason: str,
    actor: str,
    now: datetime,
) -> Proposal:
    """Ask for a step about ``row`` that another operator must approve.

    Raises:
        ServiceError: one of this kind waits for the same thing already, or no reason is given.

    """
    if not reason.strip():
        raise ServiceError(N_("Please write the reason."))
    if waiting_for(session, kind, row) is not None:
        raise ServiceError(_ASKED_ALREADY)
    made = Proposal(
        kind=kind,
        subject=row.__tablename__,
        subject_id=row.id,
        order_id=row.id if isinstance(row, Order) else getattr(row, "order_id", None),
        payload=dict(payload),
        reason=reason.strip(),
        asked_by=actor,
        asked_at=now,
    )
    try:
        with session.begin_nested():
            session.add(made)
    except IntegrityError as error:
        # Two asked in the same moment.
        raise ServiceError(_ASKED_ALREADY) from error
    note(session, made, old="", new=str(ProposalStatus.WAITING), actor=actor, why=reason, now=now)
    return made


def waiting_for(session: Session, kind: ProposalKind, row: Any) -> Proposal | None:
    """Return what was proposed about ``row`` and is not decided yet."""
    return session.scalar(
        select(Proposal).where(
            Proposal.kind == kind,
            Proposal.subject == row.__tablename__,
            Proposal.subject_id == row.id,
            Proposal.status == ProposalStatus.WAITING,
        )
    )


def waiting(session: Session, *, after: int | None, limit: int) -> list[Proposal]:
    """Return what waits for a second operator, oldest first."""
    wanted = select(Proposal).where(Proposal.status == ProposalStatus.WAITING)
    if after:
        wanted = wanted.where(Proposal.id > after)
    wanted = wanted.options(joinedload(Proposal.order)).order_by(Proposal.id).limit(limit)
    return list(session.scalars(wanted))


def decided(session: Session, *, before: int | None, limit: int) -> list[Proposal]:
    """Return what was decided, newest first."""
    wanted = select(Proposal).where(Proposal.status != ProposalStatus.WAITING)
    if before:
        wanted = wanted.where(Proposal.id < before)
    wanted = wanted.options(joinedload(Proposal.order)).order_by(Proposal.id.desc()).limit(limit)
    return list(session.scalars(wanted))


def find(session: Session, proposal_id: int) -> Proposal:
    """Return a proposal.

    Raises:
        NotFoundError: there is none of that number.

    """
    found = session.get(Proposal, proposal_id)
    if found is None:
        raise NotFoundError(str(proposal_id))
    return found


def approve(session: Session, proposal: Proposal, *, actor: str, now: datetime) -> bool:
    """Do what was proposed, at the word of a second person. Safe to repeat.

    Returns whether this call did it; False if somebody else was first.

    Raises:
        ServiceError: the one who asked cannot approve; or it can no longer be done.

    """
    if actor == proposal.asked_by:
        raise ServiceError(N_("You asked for this yourself: another operator must approve it."))
    if not _decide(session, proposal, ProposalStatus.APPROVED, "approved", actor=actor, now=now):
        return False
    _DOES[proposal.kind](session, proposal, actor, now)
    return True


def refuse(session: Session, proposal: Proposal, reason: str, *, actor: str, now: datetime) -> bool:
    """Refuse what was proposed; whoever asked for it withdraws it. Safe to repeat.

    Returns whether this call did it; False if somebody else was first.

    Raises:
        ServiceError: no reason is given.

    """
    if not reason.strip():
        raise ServiceError(N_("Please write the reason."))
    own = actor == proposal.asked_by
    new = ProposalStatus.WITHDRAWN if own else ProposalStatus.REFUSED
    return _decide(session, proposal, new, reason.strip(), actor=actor, now=now)


def _decide(
    session: Session,
    proposal: Proposal,
    new: ProposalStatus,
    why: str,
    *,
    actor: str,
    now: datetime,
) -> bool:
    session.refresh(proposal, with_for_update=True)
    if proposal.status is not ProposalStatus.WAITING:
        return False
    if not move(session, proposal, new, actor=actor, why=why, now=now):
        return False
    proposal.decided_by, proposal.decided_at = actor, now
    return True

"""Cases: opened, talked about by mail, escalated, closed.

Whoever writes is answered within two working days: ``Case.answer_by`` says until when we
owe an answer, and is empty while we owe none.
"""

from __future__ import annotations

import secrets
import textwrap
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from cnn_offset.domain.casework import (
    CaseKind,
    CaseSide,
    Voice,
    answer_due,
    solution_due,
)
from cnn_offset.domain.reference import ALPHABET
from cnn_offset.domain.status import CaseStatus
from cnn_offset.domain.text import N_
from cnn_offset.models import Case, CaseMessage, Order
from cnn_offset.services import NotFoundError, ServiceError
from cnn_offset.services.mailing import queue_message
from cnn_offset.services.moves import move, note

TEXT_LENGTH: Final = 5000
MOVED_ON: Final = N_(
    "Somebody has written in this case since you opened it. Read that first, then send again."
)


@dataclass(frozen=True)
class Asked:
    """What somebody asks, read from a form."""

    kind: CaseKind
    side: CaseSide
    email: str
    locale: str
    text: str
    name: str = ""
    order: Order | None = None
    """Only if the asker belongs to it."""
    order_typed: str = ""
    provider_id: int | None = None


def open_case(session: Session, asked: Asked, *, now: datetime) -> Case:
    """Open a case with its asker's first words, and tell the asker by mail."""
    case = _add(session, asked, now=now)
    case.answer_by = answer_due(now)
    _say(session, case, Voice.ASKER, asked.email, asked.text, now=now)
    note(session, case, old="", new=CaseStatus.OPEN, actor=asked.side, why="asked", now=now)
    _tell(session, case, "case_opened", f"case_opened:{case.id}", now=now)
    return case


def open_for(session: Session, asked: Asked, answer: str, *, actor: str, now: datetime) -> Case:
    """Open a case for somebody else, who called, say. What is noted is not sent; ``answer`` is.

    Without an answer the asker waits for one, like everybody.
    """
    case = _add(session, asked, now=now)
    case.answer_by = answer_due(now)
    _say(session, case, Voice.NOTE, actor, asked.text, now=now)
    note(session, case, old="", new=CaseStatus.OPEN, actor=actor, why="opened for", now=now)
    if answer:
        _answer(session, case, answer, actor=actor, now=now)
    else:
        _tell(session, case, "case_opened", f"case_opened:{case.id}", now=now)
    return case


def open_by_platform(session: Session, order: Order, text: str, *, now: datetime) -> Case:
    """Open a case about an order of which the platform itself has seen that something is wrong.

    Nobody is written to: whoever opens it tells both sides what has happened. Operators see it
    when the purchaser has not heard from them in time.
    """
    asked = Asked(
        CaseKind.PAYMENT,
        CaseSide.PURCHASER,
        order.email,
        order.locale,
        text,
        name=order.purchaser_name,
        order=order,
    )
    case = _add(session, asked, now=now)
    case.answer_by = answer_due(now)
    _say(session, case, Voice.NOTE, "platform", text, now=now)
    note(session, case, old="", new=CaseStatus.OPEN, actor="platform", why="seen", now=now)
    return case


def _add(session: Session, asked: Asked, *, now: datetime) -> Case:
    signs = [secrets.choice(ALPHABET) for _ in range(8)]
    case = Case(
        code="".join([*signs[:4], "-", *signs[4:]]),
        kind=asked.kind,
        side=asked.side,
        name=asked.name,
        email=asked.email,
        locale=asked.locale,
        summary=textwrap.shorten(asked.text, 120, placeholder="…"),
        order_id=asked.order.id if asked.order else None,
        order_typed="" if asked.order else asked.order_typed[:40],
        provider_id=asked.provider_id,
        opened_at=now,
    )
    session.add(case)
    session.flush()
    return case


def find_case(session: Session, code: str, *, lock: bool = False) -> Case:
    """Return a case; with ``lock`` nobody else decides on it until the commit.

    Raises:
        NotFoundError: there is none of that code.

    """
    wanted = select(Case).where(Case.code == code.replace("\0", "").upper())
    if lock:
        wanted = wanted.with_for_update().execution_options(populate_existing=True)
    found = session.scalar(wanted)
    if found is None:
        raise NotFoundError(code)
    return found


def last_said(session: Session, case: Case) -> int:
    """Return the number of the last message; a form carries what its writer has read."""
    return (
        session.scalar(select(func.max(CaseMessage.id)).where(CaseMessage.case_id == case.id)) or 0
    )


def answer(
    session: Session, case: Case, text: str, *, seen: int, actor: str, now: datetime
) -> CaseMessage:
    """Mail an operator's answer to whose case it is; in a claim it stays one.

    Args:
        session: a writing transaction.
        case: locked.
        text: the answer.
        seen: the last message that the operator has read.
        actor: the operator.
        now: the moment.

    Raises:
        ServiceError: somebody has written meanwhile, or the case is closed.

    """
    _check_open(case)
    if last_said(session, case) != seen:
        raise ServiceError(MOVED_ON)
    return _answer(session, case, text, actor=actor, now=now)


def _answer(session: Session, case: Case, text: str, *, actor: str, now: datetime) -> CaseMessage:
    said = _say(session, case, Voice.OPERATOR, actor, text, now=now, due_by=case.answer_by)
    case.answer_by = None
    if case.status is CaseStatus.ESCALATED:
        note(session, case, old="", new="answered", actor=actor, why="", now=now)
    elif not move(session, case, CaseStatus.WAITING, actor=actor, why="answered", now=now):
        note(session, case, old="", new="answered", actor=actor, why="once more", now=now)
    _tell(session, case, "case_answer", f"case:{said.id}", now=now, said=said)
    return said


def write_to_other_side(
    session: Session, case: Case, text: str, *, actor: str, now: datetime
) -> CaseMessage:
    """Mail an operator's words to the other side of a claim. What is due to the asker stays due.

    Raises:
        ServiceError: there is no claim, so no other side is heard.

    """
    other = other_side(case)
    if case.status is not CaseStatus.ESCALATED or other is None:
        raise ServiceError(N_("Only in a claim is the other side heard here."))
    said = _say(session, case, Voice.OPERATOR, actor, text, now=now)
    said.to_other_side = True
    note(session, case, old="", new="asked other side", actor=actor, why="", now=now)
    _tell(session, case, "case_answer_other", f"case:{said.id}", now=now, said=said, to=other)
    return said


def add_note(session: Session, case: Case, text: str, *, actor: str, now: datetime) -> None:
    """Keep something for operators alone."""
    _say(session, case, Voice.NOTE, actor, text, now=now)
    note(session, case, old="", new="noted", actor=actor, why="", now=now)


def close(
    session: Session, case: Case, reason: str, *, tell: bool, actor: str, now: datetime
) -> bool:
    """Close a case for a reason, which its asker is told by mail if ``tell``. Safe to repeat.

    Returns whether this call did it.
    """
    if not move(session, case, CaseStatus.CLOSED, actor=actor, why=reason, now=now):
        return False
    due_by, case.answer_by, case.closed_at = case.answer_by, None, now
    voice = Voice.OPERATOR if tell else Voice.NOTE
    said = _say(session, case, voice, actor, reason, now=now, due_by=due_by if tell else None)
    if tell:
        _tell(session, case, "case_closed", f"case:{said.id}", now=now, said=said)
    return True


def reopen(session: Session, case: Case, reason: str, *, actor: str, now: datetime) -> bool:
    """Open a closed case again; a claim is a claim again. Safe to repeat.

    Returns whether this call did it.
    """
    if case.status is not CaseStatus.CLOSED:
        return False
    new = CaseStatus.ESCALATED if case.escalated_at else CaseStatus.OPEN
    if not move(session, case, new, actor=actor, why=reason, now=now):
        return False
    case.closed_at, case.answer_by = None, answer_due(now)
    _say(session, case, Voice.NOTE, actor, reason, now=now)
    return True


def tie_order(session: Session, case: Case, code: str, *, actor: str, now: datetime) -> None:
    """Say which order a case is about, at an operator's word.

    Raises:
        ServiceError: there is no such order, or a claim about another one runs.

    """
    order = find_order_by_code(session, code)
    if order is None:
        raise ServiceError(N_("There is no order with this number."))
    if case.escalated_at and case.order_id != order.id:
        raise ServiceError(
            N_("This is a claim about another order. Please open a case of its own.")
        )
    case.order_id = order.id
    session.flush()
    session.refresh(case, ["order"])
    note(session, case, old="", new="order", actor=actor, why=order.code, now=now)


def find_order_by_code(session: Session, code: str) -> Order | None:
    """Return the order of a number as people type it; None if there is none."""
    plain = "".join(code.replace("\0", "").split()).upper()
    return session.scalar(select(Order).where(Order.code == plain)) if plain else None


def other_side(case: Case) -> str | None:
    """Return the address of the other side of the order; None if there is none to hear."""
    if case.order is None:
        return None
    if case.side is CaseSide.PROVIDER:
        return case.order.email
    return case.order.provider.email


def other_locale(case: Case) -> str:
    """Return the language of the other side."""
    if case.order is None:
        return case.locale
    return case.order.locale if case.side is CaseSide.PROVIDER else case.order.provider.locale


def escalate(session: Session, case: Case, reason: str, *, actor: str, now: datetime) -> bool:
    """Make a case a claim under the terms: both sides are told, and what follows. Safe to repeat.

    Returns whether this call did it.

    Args:
        session: a writing transaction.
        case: locked.
        reason: what is in dispute; both sides read it.
        actor: the operator.
        now: the moment.

    Raises:
        ServiceError: it is closed, or about no order that we know of.

    """
    _check_open(case)
    if other_side(case) is None:
        raise ServiceError(
            N_("A claim is about an order. Please say first which order this case is about.")
        )
    if not move(session, case, CaseStatus.ESCALATED, actor=actor, why=reason, now=now):
        return False
    case.escalated_at, case.solve_by, case.answer_by = now, solution_due(now), None
    said = _say(session, case, Voice.OPERATOR, actor, reason, now=now)
    said.to_other_side = True
    _tell(session, case, "case_claim", f"case:{said.id}", now=now, said=said)
    _tell(
        session,
        case,
        "case_claim_other",
        f"case:{said.id}:other",
        now=now,
        said=said,
        to=other_side(case),
    )
    return True


def _check_open(case: Case) -> None:
    if case.status is CaseStatus.CLOSED:
        raise ServiceError(N_("This case is closed. Open it again first."))


def _say(
    session: Session,
    case: Case,
    voice: Voice,
    sender: str,
    text: str,
    *,
    now: datetime,
    due_by: datetime | None = None,
) -> CaseMessage:
    said = CaseMessage(
        case_id=case.id, voice=voice, sender=sender, text=text, at=now, due_by=due_by, left_out=[]
    )
    session.add(said)
    session.flush()
    return said


def _tell(
    session: Session,
    case: Case,
    kind: str,
    dedup: str,
    *,
    now: datetime,
    said: CaseMessage | None = None,
    to: str | None = None,
) -> None:
    params: dict[str, Any] = {"case_id": case.id}
    if case.answer_by is not None:
        params["answer_by"] = case.answer_by.isoformat()
    if said is not None:
        params["said_id"] = said.id
    queue_message(
        session,
        kind,
        recipient=to or case.email,
        locale=other_locale(case) if to else case.locale,
        now=now,
        dedup=dedup,
        order=case.order,
        params=params,
    )


def waiting(session: Session, now: datetime, *, limit: int = 100) -> Sequence[Case]:
    """Return the cases whose answer or solution is overdue, the longest overdue first."""
    late = session.scalars(
        select(Case).where(Case.answer_by <= now).order_by(Case.answer_by, Case.id).limit(limit)
    ).all()
    known = {each.id for each in late}
    claims = session.scalars(
        select(Case)
        .where(Case.status == CaseStatus.ESCALATED, Case.solve_by <= now)
        .order_by(Case.id)
        .limit(limit)
    )
    return sorted([*late, *(each for each in claims if each.id not in known)], key=due_at)


def due_at(case: Case) -> datetime:
    """Return what is due first: the answer, or a claim's solution."""
    dues = [each for each in (case.answer_by, case.solve_by) if each is not None]
    return min(dues, default=case.opened_at)


def cases_of(session: Session, order: Order) -> Sequence[Case]:
    """Return the cases about an order, newest first."""
    return session.scalars(
        select(Case).where(Case.order_id == order.id).order_by(Case.id.desc()).limit(50)
    ).all()

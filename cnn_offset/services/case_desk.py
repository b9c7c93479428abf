"""Cases as operators see them: in lists, searched for, and one with all that was said."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from sqlalchemy import Select, or_, select
from sqlalchemy.orm import Session, joinedload, selectinload

from cnn_offset.domain.casework import CaseKind, Voice
from cnn_offset.domain.status import CaseStatus
from cnn_offset.models import Case, CaseFile, CaseMessage, Message
from cnn_offset.services import NotFoundError
from cnn_offset.services.cases import find_order_by_code

MOST_SHOWN = 200
"""Messages of a case on its page, the newest; the evidence pack has all."""


class Tray(StrEnum):
    """What a list of cases is narrowed to."""

    OURS = "ours"
    """We owe an answer; what is due first comes first."""
    WAITING = "waiting"
    ESCALATED = "escalated"
    CLOSED = "closed"
    ALL = "all"


@dataclass(frozen=True)
class Query:
    """What an operator looks for."""

    tray: Tray = Tray.OURS
    kind: CaseKind | None = None
    words: str = ""
    """A case's code, an e-mail address or an order number; then tray and kind do not count."""


def listed(session: Session, asked: Query, *, last: int | None, limit: int) -> Sequence[Case]:
    """Return a page of cases; ``last`` is the one that the page before ended with."""
    wanted = select(Case).options(joinedload(Case.order), joinedload(Case.provider)).limit(limit)
    if asked.words:
        plain = asked.words.strip().replace("\0", "")
        if "@" in plain:
            wanted = wanted.where(Case.email == plain.lower())
        elif "-" in plain:
            wanted = wanted.where(Case.code == plain.upper())
        else:
            order = find_order_by_code(session, plain)
            wanted = wanted.where(Case.order_id == (order.id if order else 0))
    elif asked.tray is Tray.OURS:
        return _ours(session, asked, wanted, last)
    elif asked.tray is not Tray.ALL:
        wanted = wanted.where(Case.status == CaseStatus(asked.tray))
    if asked.kind and not asked.words:
        wanted = wanted.where(Case.kind == asked.kind)
    if last:
        wanted = wanted.where(Case.id < last)
    return session.scalars(wanted.order_by(Case.id.desc())).all()


def _ours(session: Session, asked: Query, wanted: Select[Case], last: int | None) -> Sequence[Case]:
    wanted = wanted.where(Case.answer_by.is_not(None))
    if asked.kind:
        wanted = wanted.where(Case.kind == asked.kind)
    if last and (due := session.scalar(select(Case.answer_by).where(Case.id == last))):
        wanted = wanted.where(or_(Case.answer_by > due, (Case.answer_by == due) & (Case.id > last)))
    return session.scalars(wanted.order_by(Case.answer_by, Case.id)).all()


@dataclass(frozen=True)
class Conversation:
    """What was said in a case, oldest first, and what became of the mails."""

    messages: Sequence[CaseMessage]
    is_whole: bool
    mails: Mapping[int, Sequence[Message]]
    """By message of the case."""

    @property
    def last(self) -> int:
        """The number of the last message; 0 if nothing was said."""
        return self.messages[-1].id if self.messages else 0

    @property
    def timed(self) -> list[CaseMessage]:
        """The answers that were due by some moment."""
        return [each for each in self.messages if each.due_by is not None]

    @property
    def in_time(self) -> int:
        """How many of those came in time."""
        return sum(each.at <= each.due_by for each in self.timed if each.due_by)


def conversation(session: Session, case: Case, *, limit: int | None = MOST_SHOWN) -> Conversation:
    """Return what was said in a case, the newest ``limit`` messages of it."""
    wanted = (
        select(CaseMessage)
        .where(CaseMessage.case_id == case.id)
        .options(selectinload(CaseMessage.files))
        .order_by(CaseMessage.id.desc())
    )
    found = session.scalars(wanted.limit(limit + 1) if limit else wanted).all()
    shown = found[:limit] if limit else found
    return Conversation(
        messages=shown[::-1],
        is_whole=len(shown) == len(found),
        mails=_mails(session, shown),
    )


def _mails(session: Session, said: Sequence[CaseMessage]) -> dict[int, list[Message]]:
    sent = [each.id for each in said if each.voice in (Voice.OPERATOR, Voice.PLATFORM)]
    names = {f"case:{number}{end}": number for number in sent for end in ("", ":other")}
    mails: dict[int, list[Message]] = {}
    if names:
        for mail in session.scalars(
            select(Message).where(Message.dedup.in_(names)).order_by(Message.id)
        ):
            mails.setdefault(names[mail.dedup], []).append(mail)
    return mails


def find_file(session: Session, file_id: int) -> CaseFile:
    """Return a file that came with a mail.

    Raises:
        NotFoundError: there is none of that number.

    """
    found = session.get(CaseFile, file_id)
    if found is None:
        raise NotFoundError(str(file_id))
    return found


def is_overdue(case: Case, now: datetime) -> bool:
    """Tell whether we are late with an answer."""
    return case.answer_by is not None and case.answer_by <= now

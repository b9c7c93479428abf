"""Mails that come in: kept first, then heard in their case, or taken as a report of failure.

A mail is only ever taken at an address that we made for one side of one case
(``domain/casework.py``); whatever comes to another address is counted and dropped.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from sqlalchemy import func, select, update
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session

from cnn_offset.domain.casework import Voice, answer_due, read_reply_address
from cnn_offset.domain.status import CaseStatus, DeliveryStatus, MessageStatus
from cnn_offset.models import Case, CaseFile, CaseMessage, Counter, IncomingMail, Message
from cnn_offset.services.cases import other_locale, other_side
from cnn_offset.services.mailing import queue_message
from cnn_offset.services.moves import move

MOST_ANSWERS: Final = 3
"""Mails that the platform sends by itself in a case within an hour, at most: no loop of two
machines goes on for long."""
DROPPED: Final = "mails_dropped"


@dataclass(frozen=True)
class Head:
    """What is known of a mail before it is read."""

    key: str
    message_id: str
    to: Sequence[str]
    """All addresses that it says it was sent to."""
    is_report: bool
    """A mail server writes about a mail of ours."""


@dataclass(frozen=True)
class Bounce:
    """What a mail server says about a mail of ours."""

    message_id: str
    reason: str
    is_final: bool


@dataclass(frozen=True)
class KeptFile:
    """A file of a mail that is in the store already."""

    path: str
    filename: str
    content_type: str
    size: int
    sha256: str


@dataclass(frozen=True)
class Read:
    """What a mail says."""

    head: Head
    sender: str
    text: str
    is_automatic: bool
    files: Sequence[KeptFile] = ()
    left_out: Sequence[tuple[str, str]] = ()
    """Name and reason (a message id) of each file that was not kept."""
    bounce: Bounce | None = None


def is_ours(head: Head, secrets: Iterable[str]) -> bool:
    """Tell whether a mail is for us to read."""
    known = list(secrets)
    return head.is_report or any(read_reply_address(each, known) for each in head.to)


def is_known(session: Session, head: Head) -> bool:
    """Tell whether the same mail has come before."""
    found = session.scalar(select(IncomingMail.id).where(IncomingMail.key == head.key))
    return found is not None


def store_mail(session: Session, head: Head, path: str, size: int, *, now: datetime) -> None:
    """Keep a mail whose bytes are in the file store. The same one again adds nothing."""
    try:
        with session.begin_nested():
            session.add(
                IncomingMail(
                    key=head.key,
                    message_id=head.message_id[:250],
                    path=path,
                    size=size,
                    received_at=now,
                    due_at=now,
                )
            )
    except IntegrityError:
        # Known already, or just being stored by another process.
        return


def count_dropped(session: Session) -> None:
    """Count a mail to an address that we never gave to anybody."""
    session.execute(
        update(Counter)
        .where(Counter.name == DROPPED)
        .values(value=Counter.value + 1)
        .execution_options(synchronize_session=False)
    )


def dropped(session: Session) -> int:
    """Return how many mails were dropped since the beginning."""
    return session.scalar(select(Counter.value).where(Counter.name == DROPPED)) or 0


def handle_mail(
    session: Session, mail_id: int, read: Read, secrets: Sequence[str], *, now: datetime
) -> bool:
    """Hear what a mail says, once. Returns whether it was for anybody here. Safe to repeat."""
    row = session.get_one(IncomingMail, mail_id, with_for_update=True)
    if row.status is not DeliveryStatus.STORED:
        return row.status is DeliveryStatus.HANDLED
    if read.bounce is not None:
        known, why = _bounced(session, read.bounce, now=now), "report of a mail server"
    else:
        known, why = _heard(session, row, read, secrets, now=now), "heard"
    new = DeliveryStatus.HANDLED if known else DeliveryStatus.UNMATCHED
    move(session, row, new, actor="core", why=why if known else "for nobody here", now=now)
    return known


def _heard(
    session: Session, row: IncomingMail, read: Read, secrets: Sequence[str], *, now: datetime
) -> bool:
    for address in read.head.to:
        if (matched := read_reply_address(address, secrets)) is None:
            continue
        code, voice = matched
        case = session.scalar(select(Case).where(Case.code == code).with_for_update())
        # One that was erased has nobody left to speak with.
        if case is not None and case.email:
            _hear(session, case, voice, row, read, now=now)
            return True
    return False


def _hear(
    session: Session, case: Case, voice: Voice, row: IncomingMail, read: Read, *, now: datetime
) -> None:
    said = CaseMessage(
        case_id=case.id,
        voice=voice,
        sender=read.sender,
        text=read.text,
        at=now,
        is_automatic=read.is_automatic,
        left_out=[list(each) for each in read.left_out],
        mail_id=row.id,
        files=[CaseFile(**each.__dict__) for each in read.files],
    )
    session.add(said)
    session.flush()
    if read.is_automatic:
        # Kept, but it neither opens a case again nor has us owe an answer.
        return
    _wait_for_us(session, case, actor=str(voice), why="wrote", now=now)
    if read.left_out and _may_answer(session, case, now=now):
        _say_left_out(session, case, said, now=now)


def _wait_for_us(session: Session, case: Case, *, actor: str, why: str, now: datetime) -> None:
    """Owe an answer; what is owed already stays due when it was."""
    if case.status is CaseStatus.CLOSED:
        new = CaseStatus.ESCALATED if case.escalated_at else CaseStatus.OPEN
        move(session, case, new, actor=actor, why=why, now=now)
        case.closed_at = None
    elif case.status is CaseStatus.WAITING:
        move(session, case, CaseStatus.OPEN, actor=actor, why=why, now=now)
    case.answer_by = case.answer_by or answer_due(now)


def _may_answer(session: Session, case: Case, *, now: datetime) -> bool:
    sent = session.scalar(
        select(func.count())
        .select_from(CaseMessage)
        .where(
            CaseMessage.case_id == case.id,
            CaseMessage.voice == Voice.PLATFORM,
            CaseMessage.is_automatic.is_(True),
            CaseMessage.at > now - timedelta(hours=1),
        )
    )
    return (sent or 0) < MOST_ANSWERS


def _say_left_out(session: Session, case: Case, said: CaseMessage, *, now: datetime) -> None:
    """Tell the writer which files were not kept, at the address that we know of them."""
    asker = said.voice is Voice.ASKER
    recipient = case.email if asker else other_side(case)
    if recipient is None:
        return
    told = CaseMessage(
        case_id=case.id,
        voice=Voice.PLATFORM,
        sender="",
        text="\n".join(name for name, _ in said.left_out),
        at=now,
        is_automatic=True,
        left_out=[],
    )
    session.add(told)
    session.flush()
    queue_message(
        session,
        "case_files_left_out",
        recipient=recipient,
        locale=case.locale if asker else other_locale(case),
        now=now,
        dedup=f"case:{told.id}",
        order=case.order,
        params={"case_id": case.id, "said_id": said.id},
    )


def _bounced(session: Session, bounce: Bounce, *, now: datetime) -> bool:
    """Mark a mail of ours as failed, if a server has given it up. False if it is none of ours."""
    message = session.scalar(select(Message).where(Message.message_id == bounce.message_id))
    if message is None:
        return False
    if not bounce.is_final:
        return True
    if not move(
        session, message, MessageStatus.FAILED, actor="mail server", why=bounce.reason, now=now
    ):
        return True
    message.failure, message.due_at = bounce.reason, None
    case = session.get(Case, message.params.get("case_id") or 0, with_for_update=True)
    if case is not None:
        session.add(
            CaseMessage(
                case_id=case.id,
                voice=Voice.PLATFORM,
                sender=message.recipient,
                text=bounce.reason,
                at=now,
                left_out=[],
            )
        )
        if case.status is not CaseStatus.CLOSED:
            # Somebody thinks that we have not answered.
            _wait_for_us(session, case, actor="mail server", why="not delivered", now=now)
    return True

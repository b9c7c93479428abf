"""Surveys: written by operators, answered by whoever wants to, without an account (H7)."""

from __future__ import annotations

import hashlib
import secrets
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from sqlalchemy import delete, select, update
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session

from cnn_offset.domain.status import SurveyStatus
from cnn_offset.domain.survey import (
    MOST_QUESTIONS,
    Answer,
    Question,
    QuestionKind,
    read_question,
    write_question,
)
from cnn_offset.domain.text import N_
from cnn_offset.models import Survey, SurveyReply, SurveySender, SurveyTally
from cnn_offset.services import NotFoundError, ServiceError
from cnn_offset.services.moves import move, note

MOST_FROM_ONE_ADDRESS: Final = 10
"""Replies a day. Offices share an address, so one would be too few."""
OVER: Final = N_("This survey is over. Thank you for wanting to take part.")
NOT_YET: Final = N_("This survey has not begun yet. Please come back later.")
_KEPT: Final = N_("This survey is open or closed: its texts and questions stay as they are.")


@dataclass(frozen=True)
class SurveyTexts:
    """What a survey says of itself, and when it can be answered."""

    slug: str
    title: Mapping[str, str]
    intro: Mapping[str, str]
    starts_at: datetime
    ends_at: datetime


def begin(
    session: Session,
    texts: SurveyTexts,
    questions: Sequence[Question] = (),
    *,
    actor: str,
    now: datetime,
) -> Survey:
    """Begin a draft.

    Raises:
        ServiceError: the address is taken, or it would end before it begins.

    """
    _check_times(texts)
    made = Survey(
        slug=texts.slug,
        title=dict(texts.title),
        intro=dict(texts.intro),
        questions=[write_question(each) for each in questions],
        starts_at=texts.starts_at,
        ends_at=texts.ends_at,
        made_by=actor,
        changed_at=now,
    )
    try:
        with session.begin_nested():
            session.add(made)
            session.flush()
    except IntegrityError:
        raise ServiceError(N_("Another survey has this address already.")) from None
    note(session, made, old="", new="begun", actor=actor, why=texts.slug, now=now)
    return made


def find(session: Session, survey_id: int) -> Survey:
    """Return a survey.

    Raises:
        NotFoundError: there is none of that number.

    """
    found = session.get(Survey, survey_id)
    if found is None:
        raise NotFoundError(str(survey_id))
    return found


def public(session: Session, slug: str) -> Survey:
    """Return a survey that is or was open.

    Raises:
        NotFoundError: there is none of that address, or it is a draft.

    """
    found = session.scalar(select(Survey).where(Survey.slug == slug.replace("\0", "")))
    if found is None or found.status is SurveyStatus.DRAFT:
        raise NotFoundError(slug)
    return found


def newest(session: Session, *, before: int | None, limit: int) -> Sequence[Survey]:
    """Return surveys, the newest first, from before an id."""
    wanted = select(Survey).order_by(Survey.id.desc()).limit(limit)
    if before is not None:
        wanted = wanted.where(Survey.id < before)
    return session.scalars(wanted).all()


def questions_of(survey: Survey) -> list[Question]:
    """Return a survey's questions."""
    return [read_question(each) for each in survey.questions]


def change_texts(
    session: Session, survey_id: int, texts: SurveyTexts, *, actor: str, now: datetime
) -> None:
    """Write a draft's texts, address and time anew.

    Raises:
        ServiceError: it is no draft any more, the address is taken, or it would end before
            it begins.

    """
    _check_times(texts)
    survey = _draft(session, survey_id)
    survey.slug = texts.slug
    survey.title, survey.intro = dict(texts.title), dict(texts.intro)
    survey.starts_at, survey.ends_at = texts.starts_at, texts.ends_at
    try:
        with session.begin_nested():
            session.flush()
    except IntegrityError:
        raise ServiceError(N_("Another survey has this address already.")) from None
    _changed(session, survey, "texts saved", texts.slug, actor=actor, now=now)


def put_question(
    session: Session, survey_id: int, at: int, question: Question, *, actor: str, now: datetime
) -> None:
    """Write the question at place ``at`` (from 0) of a draft; at its end a new one.

    Raises:
        ServiceError: it is no draft any more, or has as many questions as can be.
        NotFoundError: there is no such place.

    """
    survey = _draft(session, survey_id)
    known = list(survey.questions)
    if not 0 <= at <= len(known):
        raise NotFoundError(str(at))
    if at == MOST_QUESTIONS:
        raise ServiceError(N_("A survey has at most 10 questions."))
    known[at : at + 1] = [write_question(question)]
    survey.questions = known
    _changed(session, survey, "question saved", str(at + 1), actor=actor, now=now)


def drop_question(session: Session, survey_id: int, at: int, *, actor: str, now: datetime) -> None:
    """Take a question out of a draft.

    Raises:
        ServiceError: it is no draft any more.
        NotFoundError: there is no such question.

    """
    survey = _draft(session, survey_id)
    if not 0 <= at < len(survey.questions):
        raise NotFoundError(str(at))
    survey.questions = [each for n, each in enumerate(survey.questions) if n != at]
    _changed(session, survey, "question removed", str(at + 1), actor=actor, now=now)


def open_survey(session: Session, survey_id: int, *, actor: str, now: datetime) -> None:
    """Let people answer from its beginning on; its questions stay. Safe to repeat.

    Raises:
        ServiceError: it asks nothing, its time is over, or it was closed.

    """
    survey = _locked(session, survey_id)
    if survey.status is SurveyStatus.CLOSED:
        raise ServiceError(N_("This survey is closed. Please begin a new one."))
    if not survey.questions:
        raise ServiceError(N_("Please write at least one question first."))
    if survey.ends_at <= now:
        raise ServiceError(N_("Its last day is over. Please change the time first."))
    move(session, survey, SurveyStatus.OPEN, actor=actor, why=survey.slug, now=now)


def close_survey(session: Session, survey_id: int, *, actor: str, now: datetime) -> None:
    """Take no more answers. Safe to repeat.

    Raises:
        ServiceError: it was never open.

    """
    survey = _locked(session, survey_id)
    if survey.status is SurveyStatus.DRAFT:
        raise ServiceError(N_("This survey was never open."))
    move(session, survey, SurveyStatus.CLOSED, actor=actor, why=survey.slug, now=now)


def _check_times(texts: SurveyTexts) -> None:
    if texts.ends_at <= texts.starts_at:
        raise ServiceError(N_("The survey must end after it begins."))


def _locked(session: Session, survey_id: int) -> Survey:
    found = session.get(Survey, survey_id, with_for_update=True, populate_existing=True)
    if found is None:
        raise NotFoundError(str(survey_id))
    return found


def _draft(session: Session, survey_id: int) -> Survey:
    survey = _locked(session, survey_id)
    if survey.status is not SurveyStatus.DRAFT:
        raise ServiceError(_KEPT)
    return survey


def _changed(
    session: Session, survey: Survey, what: str, why: str, *, actor: str, now: datetime
) -> None:
    survey.changed_at = now
    session.flush()
    note(session, survey, old="", new=what, actor=actor, why=why, now=now)


# Answering


def obstacle(survey: Survey, now: datetime) -> str:
    """Say why a survey cannot be answered now, as a message id; empty if it can."""
    if survey.status is SurveyStatus.CLOSED or now >= survey.ends_at:
        return OVER
    return NOT_YET if now < survey.starts_at else ""


def reply(
    session: Session,
    survey_id: int,
    answers: Sequence[Answer],
    *,
    form_key: str,
    address: str,
    locale: str,
    now: datetime,
) -> bool:
    """Count one person's answers; nothing that says who it was is kept beyond the day.

    Returns False if the form of ``form_key`` was counted before: sending twice is harmless.

    Raises:
        ServiceError: it cannot be answered now, an answer is none, or too many came from
            one address today.

    """
    survey = _locked(session, survey_id)
    why = obstacle(survey, now)
    if survey.status is SurveyStatus.DRAFT:
        raise NotFoundError(str(survey_id))
    if why:
        raise ServiceError(why)
    questions = questions_of(survey)
    if len(questions) != len(answers) or not all(
        question.takes(answer) for question, answer in zip(questions, answers, strict=True)
    ):
        raise ServiceError(N_("The questions have changed meanwhile. Please load the page again."))
    known = select(SurveyReply.id).where(
        SurveyReply.survey_id == survey.id, SurveyReply.form_key == form_key
    )
    if session.scalar(known) is not None:
        return False
    _count_sender(session, survey, address, now)
    session.add(
        SurveyReply(
            survey_id=survey.id,
            form_key=form_key,
            answers=list(answers),
            locale=locale,
            given_on=now.date(),
        )
    )
    survey.replies += 1
    for at, (question, answer) in enumerate(zip(questions, answers, strict=True)):
        if answer is None:
            continue
        for choice in answer if isinstance(answer, list) else [0]:
            number = answer if question.kind is QuestionKind.NUMBER else 0
            assert isinstance(number, int)
            _count(session, survey.id, at, choice, number)
    session.flush()
    return True


def _count(session: Session, survey_id: int, question: int, choice: int, number: int) -> None:
    """Count one choice. The caller holds the survey's lock, so nobody else does."""
    row = session.scalar(
        select(SurveyTally).where(
            SurveyTally.survey_id == survey_id,
            SurveyTally.question == question,
            SurveyTally.choice == choice,
        )
    )
    if row is None:
        row = SurveyTally(survey_id=survey_id, question=question, choice=choice, times=0, total=0)
        session.add(row)
    row.times += 1
    row.total += number


def _count_sender(session: Session, survey: Survey, address: str, now: datetime) -> None:
    today = now.date()
    if survey.salt_day != today:
        _forget(session, survey)
        survey.salt, survey.salt_day = secrets.token_hex(32), today
    hashed = hashlib.sha256(f"{survey.salt}:{address}".encode()).hexdigest()
    row = session.scalar(
        select(SurveySender).where(
            SurveySender.survey_id == survey.id, SurveySender.address_hash == hashed
        )
    )
    if row is None:
        row = SurveySender(survey_id=survey.id, address_hash=hashed, times=0)
        session.add(row)
    if row.times >= MOST_FROM_ONE_ADDRESS:
        raise ServiceError(
            N_("Many answers have come from your network today. Please try again tomorrow.")
        )
    row.times += 1


def _forget(session: Session, survey: Survey) -> None:
    survey.salt, survey.salt_day = "", None
    session.execute(delete(SurveySender).where(SurveySender.survey_id == survey.id))


def forget_senders(session: Session, *, now: datetime) -> datetime:
    """Forget the salts and hashes of earlier days; return when to do so again."""
    old = select(Survey.id).where(Survey.salt_day < now.date())
    session.execute(delete(SurveySender).where(SurveySender.survey_id.in_(old)))
    session.execute(
        update(Survey).where(Survey.salt_day < now.date()).values(salt="", salt_day=None)
    )
    tomorrow = (now + timedelta(days=1)).date()
    return datetime(tomorrow.year, tomorrow.month, tomorrow.day, 0, 5, tzinfo=now.tzinfo)


# Reading the results


@dataclass(frozen=True)
class Result:
    """What came of one question."""

    question: Question
    answered: int
    """How many replies have an answer; of several choices the number of choices made."""
    times: Sequence[int]
    """By choice."""
    total: int
    """Of the numbers given."""


def results(session: Session, survey: Survey) -> list[Result]:
    """Return what came of each question; costs the same for any number of replies."""
    counted = {
        (row.question, row.choice): row
        for row in session.scalars(select(SurveyTally).where(SurveyTally.survey_id == survey.id))
    }
    found = []
    for at, question in enumerate(questions_of(survey)):
        rows = [counted.get((at, choice)) for choice in range(max(1, len(question.choices)))]
        times = [row.times if row else 0 for row in rows]
        found.append(Result(question, sum(times), times, sum(row.total for row in rows if row)))
    return found


def replies(
    session: Session,
    survey: Survey,
    *,
    before: int | None = None,
    after: int | None = None,
    limit: int,
) -> Sequence[SurveyReply]:
    """Return replies: the newest first from before an id, or the oldest first from after one."""
    wanted = select(SurveyReply).where(SurveyReply.survey_id == survey.id).limit(limit)
    if after is not None:
        return session.scalars(wanted.where(SurveyReply.id > after).order_by(SurveyReply.id)).all()
    if before is not None:
        wanted = wanted.where(SurveyReply.id < before)
    return session.scalars(wanted.order_by(SurveyReply.id.desc())).all()

"""Questionnaires that operators put to whoever wants to answer, and what was answered (H7)."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date, datetime
from enum import StrEnum
from typing import Any, ClassVar

from sqlalchemy import BigInteger, ForeignKey, Index, String, UniqueConstraint
from sqlalchemy.orm import Mapped, mapped_column

from cnn_offset.domain.status import SURVEY_MOVES, SurveyStatus
from cnn_offset.models.base import BigId, Model, enum_column


class Survey(Model):
    """One questionnaire. Its questions stay as they are once it is open."""

    __tablename__ = "survey"
    # Lists of the newest, and the one that the footer leads to.
    __table_args__ = (Index("ix_survey_status", "status", "id"),)
    MOVES: ClassVar[Mapping[Any, frozenset[StrEnum]]] = SURVEY_MOVES

    id: Mapped[int] = mapped_column(BigId, primary_key=True)
    slug: Mapped[str] = mapped_column(String(60), unique=True)
    status: Mapped[SurveyStatus] = mapped_column(
        enum_column(SurveyStatus, "status"), default=SurveyStatus.DRAFT
    )
    title: Mapped[dict[str, Any]]
    intro: Mapped[dict[str, Any]]
    questions: Mapped[list[Any]]
    """Tables as ``domain/survey.py`` reads them, in their order."""
    starts_at: Mapped[datetime]
    ends_at: Mapped[datetime]
    replies: Mapped[int] = mapped_column(default=0, server_default="0")
    salt: Mapped[str] = mapped_column(String(64), default="", server_default="")
    """Of today only, made afresh each day and then forgotten, so that no hash lasts."""
    salt_day: Mapped[date | None]
    made_by: Mapped[str] = mapped_column(String(254))
    changed_at: Mapped[datetime]


class SurveyReply(Model):
    """What one person answered; nothing in it says who."""

    __tablename__ = "survey_reply"
    __table_args__ = (
        UniqueConstraint("survey_id", "form_key"),
        # Texts and the file are read in pages by id.
        Index("ix_survey_reply_survey", "survey_id", "id"),
    )

    id: Mapped[int] = mapped_column(BigId, primary_key=True)
    survey_id: Mapped[int] = mapped_column(ForeignKey("survey.id"))
    form_key: Mapped[str] = mapped_column(String(64))
    """Random, of the form that was sent: sending it twice counts once."""
    answers: Mapped[list[Any]]
    """One for each question: numbers of choices, a number, a text, or None."""
    locale: Mapped[str] = mapped_column(String(2))
    given_on: Mapped[date]


class SurveyTally(Model):
    """How often a choice was made, so that a report costs the same for any number of replies."""

    __tablename__ = "survey_tally"
    __table_args__ = (UniqueConstraint("survey_id", "question", "choice"),)

    id: Mapped[int] = mapped_column(BigId, primary_key=True)
    survey_id: Mapped[int] = mapped_column(ForeignKey("survey.id"))
    question: Mapped[int]
    choice: Mapped[int]
    """From 0; 0 also where a number or a text was asked for."""
    times: Mapped[int] = mapped_column(default=0)
    total: Mapped[int] = mapped_column(BigInteger, default=0)
    """Of the numbers given."""


class SurveySender(Model):
    """How many replies came from one address today, by a hash that is forgotten with the day."""

    __tablename__ = "survey_sender"
    __table_args__ = (UniqueConstraint("survey_id", "address_hash"),)

    id: Mapped[int] = mapped_column(BigId, primary_key=True)
    survey_id: Mapped[int] = mapped_column(ForeignKey("survey.id"))
    address_hash: Mapped[str] = mapped_column(String(64))
    times: Mapped[int] = mapped_column(default=0)

"""Figures kept for reports: added up by day, month and year, so that none is counted twice."""

from __future__ import annotations

from datetime import date, datetime
from enum import StrEnum

from sqlalchemy import BigInteger, CheckConstraint, String
from sqlalchemy.orm import Mapped, mapped_column

from cnn_offset.models.base import BigId, Model, WorkMixin, due_index, enum_column


class Span(StrEnum):
    """How long a figure reaches, from its first day on."""

    DAY = "day"
    MONTH = "month"
    YEAR = "year"


class Figure(Model):
    """What was counted of one measure, for one value of one dimension, in one span of time.

    Rows of a day are made of the orders themselves; those of a month and of a year are the
    sums of its days. ``services/tallying.py`` says what each measure and dimension means.
    """

    __tablename__ = "figure"

    span: Mapped[Span] = mapped_column(enum_column(Span, "span"), primary_key=True)
    first: Mapped[date] = mapped_column(primary_key=True)
    measure: Mapped[str] = mapped_column(String(20), primary_key=True)
    dimension: Mapped[str] = mapped_column(String(20), primary_key=True)
    value: Mapped[str] = mapped_column(String(80), primary_key=True)
    number: Mapped[int] = mapped_column(BigInteger)
    """How many: orders, cancellations, refunds, cases."""
    units: Mapped[int] = mapped_column(BigInteger)
    minor: Mapped[int] = mapped_column(BigInteger)
    """An amount in minor units; 0 where the value names no currency."""


class Tally(WorkMixin, Model):
    """A day whose figures are made; while it is due, something of that day has changed."""

    __tablename__ = "tally"
    __table_args__ = (due_index("tally"),)

    id: Mapped[int] = mapped_column(BigId, primary_key=True)
    day: Mapped[date] = mapped_column(unique=True)
    made_at: Mapped[datetime | None]


class TallyPlace(Model):
    """How far a table of what happened has been read for the figures."""

    __tablename__ = "tally_place"

    name: Mapped[str] = mapped_column(String(40), primary_key=True)
    """The table."""
    last_id: Mapped[int] = mapped_column(BigInteger)


class Visit(Model):
    """How many visits began on a day in a language. Nothing is kept of whom."""

    __tablename__ = "visit"
    __table_args__ = (CheckConstraint("number >= 0", name="number"),)

    day: Mapped[date] = mapped_column(primary_key=True)
    locale: Mapped[str] = mapped_column(String(2), primary_key=True)
    number: Mapped[int] = mapped_column(BigInteger)

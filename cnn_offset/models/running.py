"""How the platform itself runs: what operators switch, and work that comes round."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from sqlalchemy import String, UniqueConstraint
from sqlalchemy.orm import Mapped, mapped_column

from cnn_offset.models.base import BigId, Model, WorkMixin, due_index


class Switch(Model):
    """Something that operators set while the platform runs; what is not here has its default."""

    __tablename__ = "switch"

    id: Mapped[int] = mapped_column(BigId, primary_key=True)
    name: Mapped[str] = mapped_column(String(80), unique=True)
    value: Mapped[dict[str, Any]]
    changed_by: Mapped[str] = mapped_column(String(254))
    changed_at: Mapped[datetime]


class CallHealth(Model):
    """When one kind of call to the outside last went well, and when and how it last failed."""

    __tablename__ = "call_health"
    __table_args__ = (UniqueConstraint("kind", "name", "call"),)

    id: Mapped[int] = mapped_column(BigId, primary_key=True)
    kind: Mapped[str] = mapped_column(String(20))
    """``payment``, ``registry`` or ``mail``."""
    name: Mapped[str] = mapped_column(String(80))
    """Of the payment method or registry connection."""
    call: Mapped[str] = mapped_column(String(40))
    succeeded_at: Mapped[datetime | None]
    failed_at: Mapped[datetime | None]
    failing_since: Mapped[datetime | None]
    """The first failure since it last went well."""
    words: Mapped[str] = mapped_column(default="", server_default="")
    """Of the last failure; without secrets."""


class Chore(WorkMixin, Model):
    """Work that comes round by the clock; ``chores.py`` says what each one does."""

    __tablename__ = "chore"
    __table_args__ = (due_index("chore"),)

    id: Mapped[int] = mapped_column(BigId, primary_key=True)
    name: Mapped[str] = mapped_column(String(40), unique=True)
    done_at: Mapped[datetime | None]
    """When it was last done to the end."""

"""Blocks whose commitment period does not go with when they were measured: worth a look."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from sqlalchemy import ColumnElement, and_, or_, select
from sqlalchemy.orm import Session, joinedload

from cnn_offset.domain.unit_rules import PERIODS, UNIT_RULES
from cnn_offset.models import Block

MOST: Final = 20
"""Shown of one provider."""


def _odd() -> ColumnElement[bool]:
    """Match what ``period_fits`` of domain/unit_rules.py denies."""
    with_periods = [kind for kind, rules in UNIT_RULES.items() if rules.periods]
    fits = [
        and_(
            Block.commitment_period == number,
            Block.monitoring_start >= period.start,
            Block.monitoring_end <= period.end,
        )
        for number, period in PERIODS.items()
    ]
    dated, known = Block.unit_type.in_(with_periods), Block.commitment_period.is_not(None)
    return or_(and_(dated, ~known), and_(dated, ~or_(*fits)), and_(~dated, known))


def odd_periods(session: Session, provider_id: int) -> Sequence[Block]:
    """Return those of a provider's blocks that still have units, the newest first.

    They may be offered: in the real registry a few are like that (domain-facts.md 1.1).
    """
    return session.scalars(
        select(Block)
        .where(Block.provider_id == provider_id, Block.held > 0, _odd())
        .options(joinedload(Block.activity))
        .order_by(Block.id.desc())
        .limit(MOST)
    ).all()

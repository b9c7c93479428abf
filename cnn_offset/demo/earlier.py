"""Some invented cancellations of the earlier platform, so that a newcomer sees what they are."""

from __future__ import annotations

import tomllib
from collections.abc import Sequence
from datetime import datetime
from importlib.resources import files
from typing import Final

from pydantic import BaseModel, ConfigDict, Field
from sqlalchemy import select
from sqlalchemy.orm import Session

from cnn_offset.domain.units import SerialRange, UnitType
from cnn_offset.models import Activity, CancelledRange, HistoricCancellation
from cnn_offset.services.remembering import index_batch

REGISTRY: Final = "cdm"


class DemoEarlier(BaseModel):
    """One of them."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    order: str
    certificate: str
    completed: datetime
    ref: str
    title: str = ""
    """Of a project that the demo does not have."""
    party: str = Field(pattern="^[A-Z]{2}$")
    first: int = Field(ge=1)
    quantity: int = Field(ge=1)
    beneficiary: str = ""
    reason: str = ""

    @property
    def serials(self) -> SerialRange:
        """Its serial numbers."""
        last = self.first + self.quantity - 1
        ends = (f"{self.party}-5-{number}-1-1-0-{self.ref}" for number in (self.first, last))
        return SerialRange(self.party, self.first, last, *ends)


def read_earlier() -> Sequence[DemoEarlier]:
    """Read them.

    Raises:
        pydantic.ValidationError: the file holds something else than it should.

    """
    file = files("cnn_offset.demo").joinpath("data", "earlier.toml")
    tables = tomllib.loads(file.read_text(encoding="utf-8"))
    return [DemoEarlier.model_validate(each) for each in tables["earlier"]]


def add_earlier(session: Session, *, now: datetime) -> int:
    """Add those that are not there, and say how many. Safe to repeat."""
    wanted = read_earlier()
    refs = {each.order for each in wanted}
    known = set(
        session.scalars(
            select(HistoricCancellation.order_ref).where(HistoricCancellation.order_ref.in_(refs))
        )
    )
    activities = {
        each.ref: each
        for each in session.scalars(
            select(Activity).where(
                Activity.registry_id == REGISTRY, Activity.ref.in_({each.ref for each in wanted})
            )
        )
    }
    made = [_row(each, activities.get(each.ref)) for each in wanted if each.order not in known]
    session.add_all(made)
    session.flush()
    index_batch(session, made, now=now)
    return len(made)


def _row(wanted: DemoEarlier, activity: Activity | None) -> HistoricCancellation:
    serials = wanted.serials
    return HistoricCancellation(
        registry_id=REGISTRY,
        order_ref=wanted.order,
        reference=wanted.certificate,
        completed_at=wanted.completed,
        unit_type=UnitType.CER,
        commitment_period=1,
        host_party=wanted.party,
        activity_ref=wanted.ref,
        activity_title=wanted.title,
        activity_id=activity.id if activity else None,
        quantity=wanted.quantity,
        beneficiary=wanted.beneficiary,
        reason=wanted.reason,
        range=CancelledRange(
            registry_id=REGISTRY,
            series=serials.series,
            first=serials.first,
            last=serials.last,
            first_text=serials.first_text,
            last_text=serials.last_text,
        ),
    )

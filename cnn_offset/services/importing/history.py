"""Cancellations of the earlier platform, from a file."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, ClassVar, Final

from sqlalchemy import insert, select
from sqlalchemy.orm import Session

from cnn_offset.domain.units import UnitType
from cnn_offset.models import (
    Activity,
    ActivityKind,
    Cancellation,
    CancelledRange,
    HistoricCancellation,
    ImportKind,
    Issuance,
)
from cnn_offset.services.importing.cells import Cells
from cnn_offset.services.importing.kinds import Outcome, Understood
from cnn_offset.services.importing.layout import Headings
from cnn_offset.services.importing.overlaps import Known, Taken, near, touching
from cnn_offset.services.importing.serials import COLUMNS, OfUnits, Units, read_units
from cnn_offset.services.remembering import index_batch

_TITLE: Final = 300
_NAME: Final = 300
_REASON: Final = 2000
_REFERENCE: Final = 80
_ORDER: Final = 40
_HISTORIC: Final[Any] = HistoricCancellation.__table__
_RANGE: Final[Any] = CancelledRange.__table__


@dataclass(frozen=True, slots=True)
class Past:
    """A cancellation as a row tells it."""

    units: Units
    completed_at: datetime
    order_ref: str | None
    reference: str
    activity_title: str
    beneficiary: str
    reason: str


@dataclass(frozen=True, slots=True)
class Entered:
    """What the record's index reads of a row that was just inserted."""

    id: int
    registry_id: str
    order_ref: str | None
    reference: str
    completed_at: datetime
    unit_type: UnitType
    host_party: str
    activity_ref: str
    activity_title: str
    activity_id: int | None
    beneficiary: str


class History(OfUnits):
    """The kind of file that holds the earlier platform's cancellations."""

    name: ClassVar[ImportKind] = ImportKind.HISTORY
    columns: ClassVar[Headings] = {
        "completed_at": ("completed_at", "completed", "completion date", "date of cancellation"),
        **COLUMNS,
        "platform": ("platform",),
        "order_ref": ("order_ref", "order", "order id", "order number"),
        "reference": ("reference", "certificate", "certificate number", "attestation number"),
        "title": ("title", "project title", "project name"),
        "beneficiary": ("beneficiary", "presented to"),
        "reason": ("reason", "reason for cancellation", "purpose"),
    }

    def understand(self, cells: Cells, now: datetime) -> Past:
        """Read a row."""
        units = read_units(cells, self._parties)
        return Past(
            units=units,
            completed_at=cells.moment("completed_at", now),
            order_ref=cells.line("order_ref", _ORDER) or None,
            reference=cells.line("reference", _REFERENCE),
            activity_title=cells.line("title", _TITLE),
            beneficiary=cells.line("beneficiary", _NAME),
            reason=cells.line("reason", _REASON),
        )

    def take(
        self,
        session: Session,
        rows: Sequence[Understood],
        *,
        write: bool,
        actor: str,
        now: datetime,
    ) -> Outcome:
        """Enter what is new, and passes all checks."""
        if write:
            self._taken = Taken()
        done = Outcome()
        pasts: list[Past] = [row.what for row in rows]
        ranges = [each.units.range for each in pasts]
        cancelled = touching(
            session,
            CancelledRange,
            self._registry_id,
            ranges,
            CancelledRange.cancellation_id,
            CancelledRange.historic_id,
        )
        owners = _owners(session, cancelled)
        issued = touching(
            session,
            Issuance,
            self._registry_id,
            ranges,
            Issuance.activity_ref,
            Issuance.unit_type,
            Issuance.commitment_period,
        )
        refs = {each.units.ref for each in pasts}
        reported = _reported(session, self._registry_id, refs)
        activities = _activities(session, self._registry_id, refs)
        new: list[Past] = []
        for place, (row, past) in enumerate(zip(rows, pasts, strict=True)):
            wanted = past.units.range
            found = near(cancelled, place, wanted)
            ours = found is not None and found.cancellation_id is not None
            there = (
                Known(found.first, found.last, *owners[found.cancellation_id, found.historic_id])
                if found
                else self._taken.find(wanted)
            )
            if there and there.is_same(wanted, past.completed_at, past.units.ref):
                done.known += 1
                continue
            clash = _clash(past, there, ours=ours) if there else ""
            outside = "" if clash else _outside(past, issued.get(place), reported)
            if clash or outside:
                done.refuse(row.number, clash or outside)
                continue
            if past.units.ref not in reported:
                done.unchecked += 1
            activity = activities.get(past.units.ref)
            if (
                activity is not None
                and activity.kind is ActivityKind.PA
                and activity.host_party != past.units.party
            ):
                done.warn(
                    row.number,
                    f"project {past.units.ref} is registered in {activity.host_party}, "
                    f"the units are of {past.units.party}",
                )
            done.accepted += 1
            self._taken.add(wanted, past.completed_at, past.units.ref)
            new.append(past)
        if write and new:
            self._enter(session, new, activities, now)
        return done

    def _enter(
        self, session: Session, new: Sequence[Past], activities: Mapping[str, Any], now: datetime
    ) -> None:
        values: list[dict[str, Any]] = [
            {
                "registry_id": self._registry_id,
                "order_ref": past.order_ref,
                "reference": past.reference,
                "completed_at": past.completed_at,
                "unit_type": past.units.unit_type,
                "host_party": past.units.party,
                "activity_ref": past.units.ref,
                "activity_title": past.activity_title,
                "activity_id": activities[past.units.ref].id
                if past.units.ref in activities
                else None,
                "beneficiary": past.beneficiary,
            }
            for past in new
        ]
        made = session.execute(
            insert(_HISTORIC).returning(_HISTORIC.c.id, sort_by_parameter_order=True),
            [
                {
                    **each,
                    "commitment_period": past.units.commitment_period,
                    "quantity": past.units.range.quantity,
                    "reason": past.reason,
                }
                for each, past in zip(values, new, strict=True)
            ],
        )
        ids = made.scalars().all()
        session.execute(
            insert(_RANGE),
            [
                {
                    "historic_id": historic_id,
                    "registry_id": self._registry_id,
                    "series": past.units.range.series,
                    "first": past.units.range.first,
                    "last": past.units.range.last,
                    "first_text": past.units.range.first_text,
                    "last_text": past.units.range.last_text,
                }
                for historic_id, past in zip(ids, new, strict=True)
            ],
        )
        entered = [
            Entered(id=historic_id, **each) for historic_id, each in zip(ids, values, strict=True)
        ]
        index_batch(session, entered, now=now)


def _clash(past: Past, there: Known, *, ours: bool) -> str:
    """Say what is wrong with units that are cancelled already, otherwise than a row tells."""
    wanted = past.units.range
    whose = "by this platform" if ours else "by an imported cancellation"
    if (there.first, there.last) != (wanted.first, wanted.last):
        return (
            f"units {there.first} to {there.last} of {wanted.series} are cancelled already, {whose}"
        )
    of = f" of project {there.ref}" if there.ref not in ("", past.units.ref) else ""
    when = f" at {there.moment:%Y-%m-%d %H:%M:%S} UTC" if there.moment else ""
    return f"the same units are cancelled already, {whose}{of}{when}"


def _outside(past: Past, issued: Any | None, reported: Collection[str]) -> str:
    """Say why units are not as they were issued; empty if they are, or nobody knows."""
    units = past.units
    if issued is None or issued.first > units.range.last:
        if units.ref in reported:
            return f"the units are in no issuance of project {units.ref}"
        return ""
    if not issued.first <= units.range.first <= units.range.last <= issued.last:
        return f"the units are not all in one issuance: {issued.first} to {issued.last}"
    for name, said, known in (
        ("project", units.ref, issued.activity_ref),
        ("unit type", units.unit_type.value, issued.unit_type.value),
        ("commitment period", units.commitment_period, issued.commitment_period),
    ):
        if said != known:
            return f"{name} is {said}, but the units were issued with {name} {known}"
    return ""


def _owners(
    session: Session, cancelled: Mapping[int, Any]
) -> dict[tuple[int | None, int | None], tuple[datetime | None, str]]:
    """Return when the cancellations that own the ranges were completed, and of which project
    they are, as far as that is to be compared.
    """
    found: dict[tuple[int | None, int | None], tuple[datetime | None, str]] = {}
    historic = {row.historic_id for row in cancelled.values()} - {None}
    own = {row.cancellation_id for row in cancelled.values()} - {None}
    for past_id, moment, ref in session.execute(
        select(
            HistoricCancellation.id,
            HistoricCancellation.completed_at,
            HistoricCancellation.activity_ref,
        ).where(HistoricCancellation.id.in_(historic))
    ):
        found[None, past_id] = moment, ref
    for own_id, completed_at in session.execute(
        select(Cancellation.id, Cancellation.completed_at).where(Cancellation.id.in_(own))
    ):
        found[own_id, None] = completed_at, ""
    return found


def _reported(session: Session, registry_id: str, refs: Collection[str]) -> set[str]:
    """Return the projects of which issuances were imported."""
    return set(
        session.scalars(
            select(Issuance.activity_ref)
            .where(Issuance.registry_id == registry_id, Issuance.activity_ref.in_(refs))
            .distinct()
        )
    )


def _activities(session: Session, registry_id: str, refs: Collection[str]) -> dict[str, Any]:
    rows = session.execute(
        select(Activity.ref, Activity.id, Activity.host_party, Activity.kind).where(
            Activity.registry_id == registry_id, Activity.ref.in_(refs)
        )
    )
    return {row.ref: row for row in rows}

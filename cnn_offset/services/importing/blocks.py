"""Issuances, as a registry reports them: by them imported cancellations are checked."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime
from typing import Any, ClassVar, Final

from sqlalchemy import insert
from sqlalchemy.orm import Session

from cnn_offset.models import ImportKind, Issuance
from cnn_offset.services.importing.cells import Cells
from cnn_offset.services.importing.faults import RowFaultError
from cnn_offset.services.importing.kinds import Outcome, Understood
from cnn_offset.services.importing.layout import Headings
from cnn_offset.services.importing.overlaps import Known, Taken, near, touching
from cnn_offset.services.importing.serials import COLUMNS, OfUnits, Units, read_units

_PROCESS: Final = 80
_FIRST_PERIOD_ENDS: Final = date(2012, 12, 31)
_TABLE: Final[Any] = Issuance.__table__


@dataclass(frozen=True, slots=True)
class Issued:
    """An issuance as a row tells it."""

    units: Units
    completed_at: datetime
    monitoring_start: date | None
    monitoring_end: date | None
    process_ref: str

    @property
    def oddity(self) -> str:
        """What does not fit its commitment period; empty if all does (domain-facts.md 1.1)."""
        period = self.units.commitment_period
        if period == 1 and self.monitoring_end and self.monitoring_end > _FIRST_PERIOD_ENDS:
            return f"commitment period 1, but monitored until {self.monitoring_end}"
        if period == 2 and self.monitoring_start and self.monitoring_start <= _FIRST_PERIOD_ENDS:
            return f"commitment period 2, but monitored from {self.monitoring_start} on"
        return ""


class Blocks(OfUnits):
    """The kind of file that holds issuances."""

    name: ClassVar[ImportKind] = ImportKind.BLOCKS
    columns: ClassVar[Headings] = {
        "completed_at": ("completed_at", "completed", "completion date", "issuance date"),
        **COLUMNS,
        "mp_start": ("mp_start", "monitoring period start", "monitoring report start"),
        "mp_end": ("mp_end", "monitoring period end", "monitoring report end"),
        "process_id": ("process_id", "issuance process id", "process"),
    }

    def understand(self, cells: Cells, now: datetime) -> Issued:
        """Read a row."""
        units = read_units(cells, self._parties)
        start, end = cells.day("mp_start"), cells.day("mp_end")
        if start and end and end < start:
            raise RowFaultError(f"the monitoring period runs backwards: {start} to {end}")
        return Issued(
            units=units,
            completed_at=cells.moment("completed_at", now),
            monitoring_start=start,
            monitoring_end=end,
            process_ref=cells.line("process_id", _PROCESS),
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
        """Enter what is new and overlaps nothing."""
        if write:
            self._taken = Taken()
        done = Outcome()
        known = touching(
            session,
            Issuance,
            self._registry_id,
            [row.what.units.range for row in rows],
            Issuance.completed_at,
            Issuance.activity_ref,
        )
        new = []
        for place, row in enumerate(rows):
            issued: Issued = row.what
            wanted = issued.units.range
            found = near(known, place, wanted)
            there = (
                Known(found.first, found.last, found.completed_at, found.activity_ref)
                if found
                else self._taken.find(wanted)
            )
            if there is not None:
                if there.is_same(wanted, issued.completed_at, issued.units.ref):
                    done.known += 1
                else:
                    done.refuse(
                        row.number,
                        f"units {there.first} to {there.last} of {wanted.series} were issued "
                        f"already, for project {there.ref} at {there.moment:%Y-%m-%d %H:%M:%S} UTC",
                    )
                continue
            if issued.oddity:
                done.warn(row.number, issued.oddity)
            done.accepted += 1
            self._taken.add(wanted, issued.completed_at, issued.units.ref)
            new.append(issued)
        if write and new:
            session.execute(insert(_TABLE), [_values(self._registry_id, each) for each in new])
        return done


def _values(registry_id: str, issued: Issued) -> dict[str, object]:
    units = issued.units
    return {
        "registry_id": registry_id,
        "activity_ref": units.ref,
        "party": units.party,
        "unit_type": units.unit_type,
        "commitment_period": units.commitment_period,
        "series": units.range.series,
        "first": units.range.first,
        "last": units.range.last,
        "monitoring_start": issued.monitoring_start,
        "monitoring_end": issued.monitoring_end,
        "completed_at": issued.completed_at,
        "process_ref": issued.process_ref,
    }

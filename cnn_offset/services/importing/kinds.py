"""What all kinds of files have in common: what becomes of a batch of their rows."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, ClassVar, Protocol

from sqlalchemy.orm import Session

from cnn_offset.models import ImportKind
from cnn_offset.services.importing.cells import Cells
from cnn_offset.services.importing.layout import Headings, Layout


@dataclass(frozen=True, slots=True)
class Remark:
    """Why a row was refused, or what is odd about one that was taken."""

    number: int
    refused: bool
    what: str


@dataclass(slots=True)
class Outcome:
    """What became of some rows."""

    accepted: int = 0
    known: int = 0
    unchecked: int = 0
    remarks: list[Remark] = field(default_factory=list)

    def refuse(self, number: int, what: str) -> None:
        """Keep why a row is refused."""
        self.remarks.append(Remark(number, refused=True, what=what))

    def warn(self, number: int, what: str) -> None:
        """Keep what is odd about a row that is taken."""
        self.remarks.append(Remark(number, refused=False, what=what))

    def add(self, other: Outcome) -> None:
        """Add what became of further rows."""
        self.accepted += other.accepted
        self.known += other.known
        self.unchecked += other.unchecked
        self.remarks += other.remarks


@dataclass(frozen=True, slots=True)
class Understood:
    """A row whose cells mean something."""

    number: int
    what: Any


class Kind(Protocol):
    """One kind of file. It belongs to one import: a dry run keeps in it what it has seen."""

    name: ClassVar[ImportKind]
    columns: ClassVar[Headings]

    def check(self, layout: Layout) -> None:
        """Refuse a file that lacks columns."""

    def understand(self, cells: Cells, now: datetime) -> Any:
        """Read a row, or raise RowFaultError. Looks at nothing but the row."""

    def take(
        self,
        session: Session,
        rows: Sequence[Understood],
        *,
        write: bool,
        actor: str,
        now: datetime,
    ) -> Outcome:
        """Compare rows with what is there and with each other, and enter what is new.

        With ``write`` it may be called again for the same rows, after a rollback.
        """

"""Projects from a registry's report, registered as the desk's table does it."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import ClassVar, Final

from sqlalchemy.orm import Session

from cnn_offset.models import ImportKind
from cnn_offset.services import ServiceError, activity_table
from cnn_offset.services.activity_table import Words
from cnn_offset.services.importing.cells import Cells
from cnn_offset.services.importing.faults import RowFaultError
from cnn_offset.services.importing.kinds import Outcome, Understood
from cnn_offset.services.importing.layout import Headings, Layout, require
from cnn_offset.services.registering import Registration

_TITLE: Final = 300
_NEEDED: Final = ("ref", "party", "kind", "title", "scope", "methodology", "start", "end")


class Activities:
    """The kind of file that holds projects. What is registered already is left as it is."""

    name: ClassVar[ImportKind] = ImportKind.ACTIVITIES
    columns: ClassVar[Headings] = activity_table.COLUMNS

    def __init__(self, registry_id: str, words: Words) -> None:
        self._registry_id = registry_id
        self._words = words
        self._seen: set[str] = set()

    def check(self, layout: Layout) -> None:
        """Refuse a file that lacks columns."""
        require(layout, *_NEEDED)

    def understand(self, cells: Cells, now: datetime) -> Registration:
        """Read a row."""
        texts = {name: cells.text(name) for name in self.columns}
        for name in ("start", "end"):
            day = cells.day(name)
            texts[name] = day.isoformat() if day else ""
        try:
            return activity_table.registration(
                texts, self._registry_id, self._words, longest_title=_TITLE
            )
        except ServiceError as fault:
            raise RowFaultError(str(fault)) from None

    def take(
        self,
        session: Session,
        rows: Sequence[Understood],
        *,
        write: bool,
        actor: str,
        now: datetime,
    ) -> Outcome:
        """Register what is new."""
        if write:
            self._seen = set()
        done = Outcome()
        fresh = []
        for row in rows:
            wanted: Registration = row.what
            if wanted.ref in self._seen:
                done.refuse(row.number, f"project {wanted.ref} stands further up in the file")
                continue
            self._seen.add(wanted.ref)
            fresh.append(activity_table.Row(row.number, wanted))
        found = activity_table.sort(session, fresh)
        done.known = found.same + len(found.changed)
        for each in found.changed:
            other = activity_table.differing(session, each.wanted)
            if not each.wanted.technology:
                other.pop("technology", None)
            for name, (here, there) in other.items():
                done.warn(
                    each.line,
                    f"project {each.wanted.ref} is registered with {name} {here}, the file says "
                    f"{there}; it is left as it is",
                )
                break
        for new in found.new:
            if not new.wanted.technology:
                done.warn(new.line, f"the technology of project {new.wanted.ref} is not told")
        done.accepted = len(found.new)
        if write and found.new:
            activity_table.register(session, found.new, actor=actor, now=now)
        return done

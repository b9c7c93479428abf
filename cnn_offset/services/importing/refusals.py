"""The rows of a file that were refused, as a table that can be mended and imported."""

from __future__ import annotations

import csv
from collections.abc import Iterator
from pathlib import Path
from types import TracebackType
from typing import Final, Self

from sqlalchemy.orm import Session

from cnn_offset.services.importing.cells import as_text
from cnn_offset.services.importing.kinds import Remark
from cnn_offset.services.importing.layout import Layout, Row
from cnn_offset.services.importing.runs import remarks
from cnn_offset.services.tables import harmless

_AT_ONCE: Final = 1000


class RefusedRows:
    """A CSV that appears when it is whole: why each row was refused, and the row itself."""

    def __init__(self, path: Path, layout: Layout) -> None:
        self._path = path
        self._unfinished = path.with_name(f"{path.name}.part")
        self._layout = layout

    def __enter__(self) -> Self:
        self._file = self._unfinished.open("w", encoding="utf-8-sig", newline="")
        self._writer = csv.writer(self._file)
        self._writer.writerow(["row", "refused because", *map(harmless, self._layout.headings)])
        return self

    def __exit__(
        self, kind: type[BaseException] | None, _error: object, _trace: TracebackType | None
    ) -> None:
        self._file.close()
        if kind is None:
            self._unfinished.replace(self._path)
        else:
            self._unfinished.unlink(missing_ok=True)

    def add(self, row: Row, why: str) -> None:
        """Write a row."""
        cells = [harmless(as_text(cell)) for cell in row.raw]
        self._writer.writerow([row.number, harmless(why), *cells])


def write_refused(session: Session, run_id: int, layout: Layout, path: Path) -> None:
    """Write all rows that a run has refused; the file that was imported is read once more."""
    wanted = _refused(session, run_id)
    remark = next(wanted, None)
    with RefusedRows(path, layout) as table:
        for row in layout.rows():
            if remark is None:
                break
            if row.number == remark.number:
                table.add(row, remark.what)
                remark = next(wanted, None)


def _refused(session: Session, run_id: int) -> Iterator[Remark]:
    after = 0
    while some := remarks(session, run_id, refused=True, after=after, limit=_AT_ONCE):
        yield from some
        after = some[-1].number

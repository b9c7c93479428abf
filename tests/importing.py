"""Files as operators import them, small and of invented projects."""

from __future__ import annotations

import csv
import io
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from sqlalchemy.orm import Session

from cnn_offset.extensions import db, unit_of_work
from cnn_offset.services.importing import runs
from cnn_offset.services.importing.blocks import Blocks
from cnn_offset.services.importing.history import History
from cnn_offset.services.importing.kinds import Kind
from cnn_offset.services.importing.layout import Layout, lay_out
from cnn_offset.services.importing.plans import Plan
from cnn_offset.services.importing.reading import survey
from cnn_offset.services.importing.runs import Report

HEAD = ("completed_at", "party", "ref", "unit", "cp", "block_start", "block_end", "quantity",
        "platform", "order_ref", "beneficiary", "reason")  # fmt: skip
BLOCKS_HEAD = ("completed_at", "party", "ref", "unit", "cp", "block_start", "block_end", "quantity",
               "mp_start", "mp_end", "process_id")  # fmt: skip
PARTIES = frozenset({"KE", "RW", "FR", "RO", "CY"})
NOW = datetime(2026, 11, 2, 9, 0, tzinfo=UTC)


def row(number: int, **changes: Any) -> list[Any]:
    """Return a cancellation of ten units, the ``number``-th of project 90041."""
    first = number * 10 + 1
    cells = {
        "completed_at": f"2019-05-04 10:{number // 60 % 60:02}:{number % 60:02}",
        "party": "KE",
        "ref": "90041",
        "unit": "CER",
        "cp": "2",
        "block_start": str(first),
        "block_end": str(first + 9),
        "quantity": "10",
        "platform": "Yes",
        "order_ref": str(7000 + number),
        "beneficiary": f"Looms {number}",
        "reason": "Our journeys",
    }
    return list({**cells, **changes}.values())


def block(first: int, last: int, **changes: Any) -> list[Any]:
    """Return an issuance for project 90041."""
    cells = {
        "completed_at": "2018-01-02 03:04:05.678",
        "party": "KE",
        "ref": "90041",
        "unit": "CER",
        "cp": "2",
        "block_start": str(first),
        "block_end": str(last),
        "quantity": str(last - first + 1),
        "mp_start": "2014-01-01",
        "mp_end": "2014-12-31",
        "process_id": "DOE-1.2",
    }
    return list({**cells, **changes}.values())


def text_of(rows: Sequence[Sequence[Any]], head: Sequence[str] = HEAD, delimiter: str = ",") -> str:
    text = io.StringIO()
    writer = csv.writer(text, delimiter=delimiter)
    writer.writerow(head)
    writer.writerows(rows)
    return text.getvalue()


def write(path: Path, *rows: Sequence[Any], head: Sequence[str] = HEAD) -> Path:
    path.write_text(text_of(rows, head), "utf-8")
    return path


def layout_of(path: Path, kind: Kind, **plan: Any) -> Layout:
    return lay_out(survey(path, Plan.model_validate(plan)), kind.columns)


def history() -> History:
    return History("cdm", PARTIES)


def blocks() -> Blocks:
    return Blocks("cdm", PARTIES)


def bring_in(
    path: Path,
    kind: Kind,
    *,
    begin: Callable[[], AbstractContextManager[Session]] = unit_of_work,
    tell: Callable[[Report], None] = lambda _report: None,
    **plan: Any,
) -> Report:
    return runs.bring_in(
        begin,
        kind,
        layout_of(path, kind, **plan),
        registry_id="cdm",
        actor="command line (ada)",
        clock=lambda: NOW,
        tell=tell,
    )


@contextmanager
def reading() -> Iterator[Session]:
    yield db.session()
    db.session.rollback()


def try_out(path: Path, kind: Kind, **plan: Any) -> Report:
    return runs.try_out(
        reading, kind, layout_of(path, kind, **plan), actor="ada", clock=lambda: NOW
    )


def excel_day(moment: datetime) -> str:
    """Write a moment as a spreadsheet counts it, with a decimal comma."""
    days = (moment - datetime(1899, 12, 30, tzinfo=UTC)) / timedelta(days=1)
    return f"{days:.10f}".replace(".", ",")

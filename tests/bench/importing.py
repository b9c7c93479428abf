"""Importing files: rows a second, and the most memory that the process ever had, side by side.

Sizes: ``IMPORT_ROWS=30000,300000 python -m tests.bench importing``. Each file is imported by
a process of its own, on SQLite; twelve of its rows are bad, and its letters Windows'.
"""

from __future__ import annotations

import csv
import json
import os
import resource
import subprocess
import sys
import time
from collections.abc import Iterator
from itertools import chain
from pathlib import Path
from typing import Any, Final

import xlsxwriter
from flask_migrate import upgrade

from cnn_offset.extensions import unit_of_work
from cnn_offset.services.importing import runs
from cnn_offset.services.importing.history import History
from cnn_offset.services.importing.layout import lay_out
from cnn_offset.services.importing.plans import Plan
from cnn_offset.services.importing.reading import survey
from tests.bench.history import values
from tests.bench.measure import table
from tests.bench.shop import COUNTRIES, NOW

SIZES: Final = tuple(int(each) for each in os.environ.get("IMPORT_ROWS", "3000,30000").split(","))
HEAD: Final = ("completed_at", "party", "ref", "unit", "cp", "block_start", "block_end", "quantity",
               "platform", "order_ref", "reference", "title", "beneficiary", "reason")  # fmt: skip
BAD: Final = 12


def run(folder: Path) -> None:
    """Measure and print."""
    for ending in ("csv", "xlsx"):
        rows = []
        for size in SIZES:
            path = folder / f"import-{size}.{ending}"
            _write(path, size)
            done = json.loads(
                subprocess.run(
                    [sys.executable, "-m", "tests.bench.importing", str(path)],
                    check=True,
                    capture_output=True,
                    text=True,
                ).stdout.splitlines()[-1]
            )
            assert (done["accepted"], done["refused"]) == (size - BAD, BAD), done
            rows.append(
                [f"{size:,} rows", done["rate"], done["again"], done["before"], done["peak"]]
            )
            path.unlink()
        table(
            f"Importing cancellations from {ending.upper()}: rows a second, and memory in MB",
            ["", "rows/s", "again", "MB before", "MB at most"],
            rows,
        )


def _write(path: Path, size: int) -> None:
    if path.suffix == ".csv":
        with path.open("w", encoding="cp1252", newline="") as file:
            writer = csv.writer(file, delimiter=";")
            writer.writerow(HEAD)
            writer.writerows(_rows(size))
        return
    with xlsxwriter.Workbook(path, {"constant_memory": True}) as book:
        sheet = book.add_worksheet()
        for at, cells in enumerate(chain([HEAD], _rows(size))):
            sheet.write_row(at, 0, cells)


def _rows(size: int) -> Iterator[list[Any]]:
    bad = {size * n // BAD for n in range(BAD)}
    for n in range(size):
        each = values(n, size)
        first = (n + 1) * 500
        last = first + each["quantity"] - 1
        yield [
            each["completed_at"].strftime("%Y-%m-%d %H:%M:%S"),
            each["host_party"],
            each["activity_ref"],
            each["unit_type"],
            each["commitment_period"],
            first,
            last - (n in bad) * 500,
            each["quantity"],
            "Yes",
            each["order_ref"],
            each["reference"],
            each["activity_title"],
            f"{each['beneficiary']} é" if each["beneficiary"] else "",
            each["reason"],
        ]


def _bring_in(path: Path) -> runs.Report:
    kind = History("cdm", frozenset(COUNTRIES))
    layout = lay_out(survey(path, Plan.model_validate({})), kind.columns)
    return runs.bring_in(
        unit_of_work, kind, layout, registry_id="cdm", actor="bench", clock=lambda: NOW
    )


def _peak() -> float:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def alone(path: Path) -> None:
    """Import one file, and once more; print what it took."""
    from cnn_offset.app import create_app
    from tests.conftest import settings

    folder = path.with_suffix(path.suffix + ".instance")
    folder.mkdir()
    app = create_app(settings(), instance_path=str(folder), clock=lambda: NOW)
    with app.app_context():
        upgrade()
        before = _peak()
        began = time.perf_counter()
        first = _bring_in(path)
        between = time.perf_counter()
        again = _bring_in(path)
        ended = time.perf_counter()
    assert again.known == first.accepted, again
    done = {
        "accepted": first.accepted,
        "refused": first.refused,
        "rate": first.read / (between - began),
        "again": again.read / (ended - between),
        "before": before,
        "peak": _peak(),
    }
    print(json.dumps(done))


if __name__ == "__main__":
    alone(Path(sys.argv[1]))

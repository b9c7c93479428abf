"""Measuring side by side: all subjects take turns, so that they share the machine's moods."""

from __future__ import annotations

import gc
import time
from collections.abc import Callable, Mapping
from io import BytesIO
from statistics import median
from typing import Any

from flask import Flask
from werkzeug.test import EnvironBuilder


def cpu(
    subjects: Mapping[str, Callable[[], object]], *, rounds: int, each: int
) -> dict[str, float]:
    """Return the median CPU milliseconds of one call of each subject.

    A round calls every subject ``each`` times in a row; time of all threads counts.
    """
    return _measure(subjects, rounds, each, time.process_time)


def wall(
    subjects: Mapping[str, Callable[[], object]], *, rounds: int, each: int
) -> dict[str, float]:
    """The same by the clock on the wall, for what waits for disks and servers."""
    return _measure(subjects, rounds, each, time.perf_counter)


def _measure(
    subjects: Mapping[str, Callable[[], object]],
    rounds: int,
    each: int,
    now: Callable[[], float],
) -> dict[str, float]:
    taken: dict[str, list[float]] = {name: [] for name in subjects}
    gc.collect()
    for _ in range(rounds):
        for name, call in subjects.items():
            start = now()
            for _ in range(each):
                call()
            taken[name].append((now() - start) / each * 1000)
    return {name: median(times) for name, times in taken.items()}


def getter(app: Flask, path: str) -> Callable[[], bytes]:
    """Return a function that asks ``app`` for ``path`` as a server would, without a client's cost."""
    builder = EnvironBuilder(path)
    environ = builder.get_environ()
    builder.close()

    def get() -> bytes:
        said: list[str] = []
        body = app.wsgi_app(
            {**environ, "wsgi.input": BytesIO()},
            lambda status, *_: said.append(status),  # type: ignore[arg-type]
        )
        page = b"".join(body)
        body.close()  # type: ignore[attr-defined]
        assert said == ["200 OK"], (path, said)
        return page

    return get


def table(title: str, head: list[str], rows: list[list[Any]]) -> None:
    """Print a table; figures are written with two decimals."""
    texts = [head] + [[f"{c:.2f}" if isinstance(c, float) else str(c) for c in row] for row in rows]
    widths = [max(len(row[i]) for row in texts) for i in range(len(head))]
    print(f"\n{title}")
    for n, row in enumerate(texts):
        cells = [
            cell.ljust(widths[i]) if i == 0 else cell.rjust(widths[i]) for i, cell in enumerate(row)
        ]
        print("  " + "  ".join(cells))
        if n == 0:
            print("  " + "  ".join("-" * width for width in widths))

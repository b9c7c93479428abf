"""The public record with a thousand and with many imported cancellations: every list, search
and entry, side by side, and how fast rows are entered in its index.

Sizes: ``HISTORY_ROWS=1000,300000 python -m tests.bench history``.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, Final

from flask import Flask
from sqlalchemy import insert, select

from cnn_offset.extensions import db, unit_of_work
from cnn_offset.models import CancelledRange, HistoricCancellation
from cnn_offset.services import tallying
from cnn_offset.services.remembering import index_batch
from tests.bench.measure import cpu, getter, table
from tests.bench.shop import COUNTRIES, NOW, WORDS, make_app
from tests.bench.workspace import queries

SIZES: Final = tuple(int(each) for each in os.environ.get("HISTORY_ROWS", "1000,60000").split(","))
BATCH: Final = 1000
BEGAN: Final = datetime(2015, 9, 22, 8, 0, tzinfo=UTC)
ENDED: Final = datetime(2026, 9, 1, tzinfo=UTC)
ADDRESSES: Final = (
    "/en/record",
    "/en/record?before=e{deep}",
    "/en/record?year=2019",
    "/en/record?year=2019&before=e{deep}",
    "/en/record?type=cer",
    "/en/record?host=KE",
    "/en/record?registry=cdm",
    "/en/record?registry=cdm&host=KE&year=2021",
    "/en/record?q=company",
    "/en/record?q=wind",
    "/en/record?q=wind+river",
    "/en/record?q=company+{rare}",
    "/en/record?q=nobody+of+that+name",
    "/en/record?q=wind&host=KE&year=2020",
    "/en/record?q={order}",
    "/en/record?q={reference}",
    "/en/record?q={serial}",
    "/en/record/earlier-{deep}",
    "/en/check?number={reference}",
    "/en/check?number={serial}",
    "/en/figures?period=2019",
)
"""What is asked for; add a line for a new list or search."""


def run(folder: Path) -> None:
    """Measure and print."""
    subjects: dict[str, Callable[[], object]] = {}
    counts: dict[tuple[str, int], int] = {}
    for size in SIZES:
        app = make_app(folder / f"history-{size}")
        entered, counted = _fill(app, size)
        print(
            f"\n{size:,} cancellations entered: {entered:,.0f} rows a second with their index; "
            f"4,000 days counted in {counted:.0f} s"
        )
        for address, get in _pages(app, size):
            counts[address, size] = queries(app, get)
            subjects[f"{address} {size}"] = get
    took = cpu(subjects, rounds=5, each=2)
    small, large = SIZES[0], SIZES[-1]
    table(
        f"The record: CPU ms and queries, with {small:,} and {large:,} imported cancellations",
        ["", f"{small:,}", f"{large:,}", "ratio", "queries", "queries"],
        [_row(each, took, counts, small, large) for each in ADDRESSES],
    )


def _row(
    address: str,
    took: dict[str, float],
    counts: dict[tuple[str, int], int],
    small: int,
    large: int,
) -> list[Any]:
    one, many = took[f"{address} {small}"], took[f"{address} {large}"]
    return [address, one, many, many / one, counts[address, small], counts[address, large]]


def _fill(app: Flask, size: int) -> tuple[float, float]:
    """Enter rows; return how many a second of the processor, and what 4,000 days take."""
    with app.app_context():
        took = 0.0
        for start in range(0, size, BATCH):
            rows = [values(n, size) for n in range(start, min(start + BATCH, size))]
            began = time.process_time()
            with unit_of_work() as session:
                made = session.scalars(
                    insert(HistoricCancellation).returning(
                        HistoricCancellation, sort_by_parameter_order=True
                    ),
                    rows,
                ).all()
                session.execute(insert(CancelledRange), [_range(row) for row in made])
                index_batch(session, made, now=NOW)
            took += time.process_time() - began
            db.session.expunge_all()
        began = time.process_time()
        days = [(BEGAN + timedelta(days=365 * 3 + n)).date() for n in range(20)]
        for day in days:
            with unit_of_work() as session:
                tallying.make_day(session, day, now=NOW)
        return size / took, (time.process_time() - began) * 4000 / len(days)


def values(n: int, size: int) -> dict[str, Any]:
    """Return the n-th of ``size`` invented cancellations: evenly over eleven years."""
    words = (WORDS[n % len(WORDS)], WORDS[n // 7 % len(WORDS)], WORDS[n // 50 % len(WORDS)])
    return {
        "registry_id": "cdm",
        "order_ref": f"{n + 1}",
        "reference": f"VC{n + 1}/{2015 + n * 11 // size}",
        "completed_at": BEGAN + (ENDED - BEGAN) / size * n,
        "unit_type": "tcer" if n % 50 == 0 else "cer",
        "commitment_period": 1 + n % 2,
        "host_party": COUNTRIES[n % len(COUNTRIES)],
        "activity_ref": str(1000 + n % 400),
        "activity_title": f"{' '.join(words)} project {n % 400}",
        "activity_id": None,
        "quantity": 1 + n * 7919 % 400,
        "beneficiary": f"Company {n % 997} of {words[0]}" if n % 3 else "",
        "reason": "Our journeys" if n % 3 else "",
    }


def _range(row: HistoricCancellation) -> dict[str, Any]:
    first = row.id * 500
    last = first + row.quantity - 1
    head, tail = f"{row.host_party}-5", f"1-1-0-{row.activity_ref}"
    return {
        "historic_id": row.id,
        "registry_id": row.registry_id,
        "series": row.host_party,
        "first": first,
        "last": last,
        "first_text": f"{head}-{first}-{tail}",
        "last_text": f"{head}-{last}-{tail}",
    }


def _pages(app: Flask, size: int) -> list[tuple[str, Callable[[], bytes]]]:
    with app.app_context():
        row = db.session.scalars(
            select(HistoricCancellation).where(HistoricCancellation.id == size // 2 + 1)
        ).one()
        known = {
            "deep": str(row.id),
            "order": row.order_ref,
            "reference": row.reference,
            "serial": row.range.last_text,
            "rare": "577",
        }
    return [(each, getter(app, each.format(**known))) for each in ADDRESSES]

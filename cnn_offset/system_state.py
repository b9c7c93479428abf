"""What the platform is made of and how it stands, for the operators' system page (H5)."""

from __future__ import annotations

import platform as machine
import shutil
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from importlib.metadata import EntryPoint, PackageNotFoundError, version
from pathlib import Path
from typing import Any, Final
from urllib.parse import urlsplit

import sqlalchemy
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from flask import current_app
from redis import Redis
from redis.exceptions import RedisError
from sqlalchemy import Connection

from cnn_offset.extensions import db, platform
from cnn_offset.models import CallHealth
from cnn_offset.plugins import loader
from cnn_offset.plugins.payments.base import PaymentPlugin
from cnn_offset.plugins.registries.base import RegistryConnector
from cnn_offset.services import watching
from cnn_offset.watching import HIDDEN, is_secret

LONGEST_VALUE: Final = 200
Running = PaymentPlugin | RegistryConnector


@dataclass(frozen=True)
class PluginState:
    """One plug-in as it runs here."""

    name: str
    title: str
    """An English message id."""
    point: str
    source: str
    """Distribution and version, or the module."""
    api_version: int
    settings: Sequence[tuple[str, str]]
    calls: Sequence[CallHealth]


@dataclass(frozen=True)
class Storage:
    """Where things are kept, and whether that can be reached; None where it cannot be told."""

    database: str
    database_bytes: int | None
    files_are_there: bool
    free_bytes: int | None
    redis_is_there: bool | None
    """None: none is configured."""


@dataclass(frozen=True)
class Mail:
    """How mail leaves."""

    host: str
    outbox: watching.Outbox
    call: CallHealth | None


@dataclass(frozen=True)
class SystemState:
    """All that the page shows beside switches, registries' dates and work."""

    payments: Sequence[PluginState]
    registries: Sequence[PluginState]
    idle: Sequence[tuple[str, str]] = field(default_factory=tuple)
    """Installed but not named: entry point and source."""
    mail: Mail | None = None
    storage: Storage | None = None
    versions: Sequence[tuple[str, str]] = ()


def look() -> SystemState:
    """Look at everything once; what cannot be reached is said, never raised."""
    here = platform()
    session = db.session()
    calls = watching.calls(session)
    payments = _plugins(loader.PAYMENTS, "payment", here.payments, calls)
    registries = _plugins(loader.REGISTRIES, "registry", here.registries, calls)
    named = {each.point for each in (*payments, *registries)}
    idle = [
        (point.name, _source(point))
        for group in (loader.PAYMENTS, loader.REGISTRIES)
        for point in loader.installed(group).values()
        if point.name not in named
    ]
    mail_calls = [each for each in calls if each.kind == "mail"]
    return SystemState(
        payments=payments,
        registries=registries,
        idle=idle,
        mail=Mail(
            mail_host(here.settings.MAIL_URL),
            watching.outbox(session),
            mail_calls[0] if mail_calls else None,
        ),
        storage=_storage(session.connection()),
        versions=_versions(session.connection()),
    )


def _plugins(
    group: str, kind: str, running: Mapping[str, Running], calls: Sequence[CallHealth]
) -> list[PluginState]:
    known = loader.installed(group)
    return [
        PluginState(
            name=name,
            title=plugin.title,
            point=plugin.id,
            source=_source(known[plugin.id]) if plugin.id in known else type(plugin).__module__,
            api_version=plugin.api_version,
            settings=settings_of(plugin.settings),
            calls=[each for each in calls if (each.kind, each.name) == (kind, name)],
        )
        for name, plugin in running.items()
    ]


def _source(point: EntryPoint) -> str:
    return f"{point.dist.name} {point.dist.version}" if point.dist else point.value


def settings_of(settings: Any) -> list[tuple[str, str]]:
    """Return names and values of a plug-in's settings; secrets as dots."""
    found = []
    for name in type(settings).model_fields:
        value = getattr(settings, name)
        shown = (HIDDEN if value else "") if is_secret(name, value) else without_password(value)
        found.append((name, shown[:LONGEST_VALUE]))
    return found


def without_password(value: object) -> str:
    """Write a value; of an address that carries a user's name and password, without them."""
    text = str(value)
    try:
        parts = urlsplit(text)
        credentials = parts.netloc.rpartition("@")[0]
    except ValueError:
        return text
    if not credentials:
        return text
    return text.replace(f"{credentials}@", "", 1)


def mail_host(url: str) -> str:
    """Return where mails are handed over, without name and password."""
    parts = urlsplit(url)
    if not parts.hostname:
        return ""
    return f"{parts.scheme}://{parts.hostname}" + (f":{parts.port}" if parts.port else "")


def _storage(connection: Connection) -> Storage:
    here = platform()
    return Storage(
        database=connection.dialect.name,
        database_bytes=_or_none(lambda: _database_size(connection)),
        files_are_there=bool(_or_none(lambda: here.files.exists(""))),
        free_bytes=_or_none(lambda: shutil.disk_usage(Path(current_app.instance_path)).free),
        redis_is_there=_redis(here.settings.REDIS_URL) if here.settings.REDIS_URL else None,
    )


def _or_none(look_at: Callable[[], Any]) -> Any:
    try:
        return look_at()
    except Exception:
        current_app.logger.exception("the system page could not look at something")
        return None


def _database_size(connection: Connection) -> int:
    statement = (
        "SELECT pg_database_size(current_database())"
        if connection.dialect.name == "postgresql"
        else "SELECT page_count * page_size FROM pragma_page_count(), pragma_page_size()"
    )
    return int(connection.exec_driver_sql(statement).scalar() or 0)


def _redis(url: str) -> bool:
    try:
        connection = Redis.from_url(url, socket_connect_timeout=1, socket_timeout=1)
        return bool(connection.ping())
    except (RedisError, ValueError):
        return False


def _versions(connection: Connection) -> list[tuple[str, str]]:
    dialect = connection.dialect
    server = ".".join(str(part) for part in dialect.server_version_info or ())
    schema = MigrationContext.configure(connection).get_current_revision()
    folder = current_app.extensions["migrate"].directory
    head = ScriptDirectory(folder).get_current_head()
    try:
        own = version("cnn-offset")
    except PackageNotFoundError:
        own = ""
    return [
        ("cnn-offset", own),
        ("Python", machine.python_version()),
        ("SQLite" if dialect.name == "sqlite" else "PostgreSQL", server),
        ("SQLAlchemy", sqlalchemy.__version__),
        ("migration", f"{schema or ''} / {head or ''}"),
    ]

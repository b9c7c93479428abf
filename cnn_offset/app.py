"""The wiring of the application, readable on one screen."""

from __future__ import annotations

import logging
import tomllib
from collections.abc import Callable, Mapping
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from flask import Flask
from fsspec import AbstractFileSystem
from fsspec.core import url_to_fs
from fsspec.implementations.dirfs import DirFileSystem

from cnn_offset import accounts, announcing, countdown, i18n, jobs, starting, visits, web
from cnn_offset.attestations.keys import load_key
from cnn_offset.blueprints import register_blueprints
from cnn_offset.conditions import ConditionsKeeper
from cnn_offset.config import ConfigError, Settings, kept_secret, read_settings
from cnn_offset.extensions import (
    Platform,
    babel,
    csrf,
    db,
    limiter,
    migrate,
    tune_engine,
)
from cnn_offset.plugins import loader
from cnn_offset.plugins.errors import PluginConfigError
from cnn_offset.plugins.payments.base import PaymentPlugin
from cnn_offset.plugins.registries.base import RegistryConnector
from cnn_offset.watching import CallWatch


def utc_now() -> datetime:
    """Return the time; the only place that asks for it."""
    return datetime.now(UTC)


def create_app(
    settings: Mapping[str, Any] | None = None,
    *,
    instance_path: str | None = None,
    clock: Callable[[], datetime] = utc_now,
    checks_needs: bool | None = None,
) -> Flask:
    """Wire the application.

    Args:
        settings: instead of ``instance/config.toml`` and the environment.
        instance_path: where SQLite file, pictures, attestations and keys lie.
        clock: returns the present moment, aware.
        checks_needs: whether to refuse what leaves out a plug-in that the data still needs;
            if not said, where the configuration is read from its file.

    Raises:
        ConfigError: the configuration cannot be used; the text names the key.

    """
    app = Flask("cnn_offset", instance_path=instance_path or str(Path.cwd() / "instance"))
    instance = Path(app.instance_path)
    app.config.from_mapping(FLASK_DEFAULTS)
    chosen = read_settings(dict(settings) if settings is not None else _raw_settings(app))
    conditions, old_titles = ConditionsKeeper(), starting.OldTitles()
    try:
        platform = _platform(chosen, instance, clock, conditions, old_titles)
    except PluginConfigError as error:
        raise ConfigError(str(error)) from error
    app.extensions["cnn_offset"] = platform
    if chosen.SIGNING_KEY:
        # Read now: a key that cannot be used must not be found out after a sale.
        app.extensions["cnn_offset.signing_key"] = load_key(
            Path(chosen.SIGNING_KEY), chosen.SIGNING_KEY_PASSWORD
        )

    database = chosen.DATABASE_URL or f"sqlite:///{instance / 'cnn_offset.sqlite'}"
    secure = chosen.PUBLIC_URL.startswith("https://")
    app.config.update(
        SECRET_KEY=chosen.SECRET_KEY or kept_secret(instance / "secret_key"),
        SECRET_KEY_FALLBACKS=chosen.OLD_SECRET_KEYS,
        SQLALCHEMY_DATABASE_URI=database.replace("postgresql://", "postgresql+psycopg://", 1),
        # Addresses are made out of requests as well: in mails, attestations, jobs.
        SERVER_NAME=urlsplit(chosen.PUBLIC_URL).netloc,
        SESSION_COOKIE_SECURE=secure,
        SESSION_COOKIE_NAME="__Host-session" if secure else "session",
        RATELIMIT_ENABLED=chosen.RATE_LIMITS,
        RATELIMIT_STORAGE_URI=chosen.REDIS_URL or "memory://",
        SANDBOX=bool(chosen.SANDBOX_URL),
        SITE_NAME=chosen.SITE_NAME,
        CONTACT_EMAIL=chosen.CONTACT_EMAIL,
        PUBLIC_URL=chosen.PUBLIC_URL.rstrip("/"),
        FORM_TARGETS=[
            origin for plugin in platform.payments.values() for origin in plugin.form_targets()
        ],
    )
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(name)s %(message)s")

    db.init_app(app)
    with app.app_context():
        tune_engine(db.engine)
        conditions.open(db.engine, eager=lambda: bool(app.testing))
        old_titles.open(db.engine)
    migrate.init_app(app, db, directory=str(Path(__file__).parent / "migrations"))
    babel.init_app(app, locale_selector=i18n.select_locale)
    csrf.init_app(app)
    limiter.init_app(app)
    accounts.init_app(app)
    i18n.init_app(app)
    announcing.init_app(app)
    countdown.init_app(app)
    web.init_app(app, platform)
    visits.init_app(app)
    register_blueprints(app)
    if settings is None if checks_needs is None else checks_needs:
        with app.app_context():
            starting.check_needs(platform, db.engine)
    return app


FLASK_DEFAULTS: dict[str, Any] = {
    "MAX_CONTENT_LENGTH": 6 * 1024 * 1024,
    "MAX_FORM_MEMORY_SIZE": 256 * 1024,
    "MAX_FORM_PARTS": 200,
    "SESSION_COOKIE_HTTPONLY": True,
    "SESSION_COOKIE_SAMESITE": "Lax",
    "PERMANENT_SESSION_LIFETIME": timedelta(days=30),
    "WTF_CSRF_TIME_LIMIT": None,
    "RATELIMIT_HEADERS_ENABLED": True,
    "RATELIMIT_IN_MEMORY_FALLBACK_ENABLED": True,
    "RATELIMIT_IN_MEMORY_FALLBACK": ["600 per minute"],
    "BABEL_TRANSLATION_DIRECTORIES": "translations",
}


def _raw_settings(app: Flask) -> dict[str, Any]:
    reader = Flask("cnn_offset", instance_path=app.instance_path, instance_relative_config=True)
    before = set(reader.config)
    try:
        reader.config.from_file("config.toml", load=tomllib.load, text=False, silent=True)
    except tomllib.TOMLDecodeError as error:
        raise ConfigError(f"{app.instance_path}/config.toml: {error}") from error
    reader.config.from_prefixed_env("CNN_OFFSET")
    known = set(Settings.model_fields)
    return {
        name: value
        for name, value in reader.config.items()
        if name not in before or (name in known and value is not None)
    }


def _platform(
    settings: Settings,
    instance: Path,
    clock: Callable[[], datetime],
    conditions: ConditionsKeeper,
    old_titles: starting.OldTitles,
) -> Platform:
    payments = loader.load(
        loader.PAYMENTS,
        PaymentPlugin,  # type: ignore[type-abstract]
        {name: (name, table.own) for name, table in settings.PAYMENTS.items()},
        section="PAYMENTS",
        retired=[name for name, table in settings.PAYMENTS.items() if table.retired],
    )
    registries = loader.load(
        loader.REGISTRIES,
        RegistryConnector,  # type: ignore[type-abstract]
        {name: (table.connector, table.own) for name, table in settings.REGISTRIES.items()},
        section="REGISTRIES",
        retired=[name for name, table in settings.REGISTRIES.items() if table.retired],
    )
    calls = CallWatch()
    calls.watch_payments(payments, clock)
    calls.watch_registries(registries, clock)
    return Platform(
        settings=settings,
        payments=payments,
        registries=registries,
        clock=clock,
        files=_file_store(settings.FILES_URL or str(instance / "files")),
        ring=jobs.doorbell(settings.REDIS_URL),
        conditions=conditions,
        calls=calls,
        old_titles=old_titles,
    )


def _file_store(url: str) -> AbstractFileSystem:
    files, root = url_to_fs(url)
    files.makedirs(root, exist_ok=True)
    return DirFileSystem(root, files)

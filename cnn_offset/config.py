"""Every setting: its type, its default and one line of meaning.

Settings come from ``instance/config.toml`` and from environment variables that begin with
``CNN_OFFSET_``; they are checked at start, and a wrong one stops the start by name.
"""

from __future__ import annotations

import os
import secrets
from contextlib import suppress
from datetime import datetime
from pathlib import Path
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from cnn_offset.domain.calendar import RegistryDates
from cnn_offset.plugins.settings import describe


class ConfigError(Exception):
    """The configuration cannot be used; the text names the key and what to do."""


class PaymentSettings(BaseModel):
    """One payment method: its plug-in's own settings, and whether it is retired."""

    model_config = ConfigDict(extra="allow", frozen=True)

    retired: bool = False
    """Whether it only takes care of what was begun, and is offered to nothing new."""

    @property
    def own(self) -> dict[str, Any]:
        """The plug-in's own settings."""
        return dict(self.model_extra or {})


class RegistrySettings(BaseModel):
    """One registry connection: a connector, its own settings, and its dates."""

    model_config = ConfigDict(extra="allow", frozen=True)

    connector: str
    retired: bool = False
    """Whether it only takes care of what was begun, and is offered to nothing new."""
    opens: datetime | None = None
    last_order: datetime | None = None
    last_cancellation: datetime | None = None
    closed: datetime | None = None

    @property
    def dates(self) -> RegistryDates:
        """The dates, checked for their order."""
        return RegistryDates(self.opens, self.last_order, self.last_cancellation, self.closed)

    @property
    def own(self) -> dict[str, Any]:
        """The connector's own settings."""
        return dict(self.model_extra or {})


class Settings(BaseModel):
    """What the operator may set. A key that is not here is an error."""

    model_config = ConfigDict(extra="forbid")

    MODE: Literal["development", "production"] = Field(
        "development", description="In production secrets must be given, never made up."
    )
    SECRET_KEY: str = Field("", description="Signs cookies and links; at least 32 characters.")
    OLD_SECRET_KEYS: list[str] = Field(
        default_factory=list, description="Earlier ones, for what they signed and encrypted."
    )
    SITE_NAME: str = Field("", description="Name shown to visitors; empty for the built-in one.")
    CONTACT_EMAIL: str = Field("help@example.org", description="Where people write for help.")
    PUBLIC_URL: str = Field(
        "http://127.0.0.1:5000", description="Address of the site in mails and QR codes."
    )
    DATABASE_URL: str = Field(
        "", description="SQLAlchemy address; empty for SQLite in the instance folder."
    )
    REDIS_URL: str = Field("", description="Redis for RQ and limits; empty for the sweep alone.")
    FILES_URL: str = Field(
        "", description="Any fsspec address for pictures and PDFs; empty for the instance folder."
    )
    MAIL_URL: str = Field(
        "", description="smtp://user:password@host:port, or the sandbox's mailbox over http."
    )
    MAIL_FROM: str = Field("noreply@example.org", description="Sender of every mail.")
    INCOMING_MAIL_TOKEN: str = Field(
        "", description="Lets a mail server post replies to /hooks/mail; at least 16 characters."
    )
    INCOMING_MAIL_URL: str = Field(
        "", description="imaps://user:password@host/folder, where replies are fetched from."
    )
    SANDBOX_URL: str = Field("", description="Address of the sandbox; shows the demo banner.")
    SIGNING_KEY: str = Field("", description="PEM file with key and certificate for attestations.")
    SIGNING_KEY_PASSWORD: str = Field("", description="Password of that key, if it has one.")
    HOLD_MINUTES: int = Field(30, ge=5, description="How long a checkout holds its units.")
    SECOND_PERSON_FROM: int = Field(
        10000,
        ge=0,
        description="Order total, in its currency, from which two people must say it is paid; "
        "0 for never.",
    )
    SWEEP_SECONDS: float = Field(2, gt=0, description="Pause between two sweeps of a worker.")
    RATE_LIMITS: bool = Field(True, description="Whether requests are limited by address.")
    PROXIES: int = Field(0, ge=0, description="Reverse proxies in front whose headers count.")
    PAYMENTS: dict[str, PaymentSettings] = Field(
        default_factory=dict, description="A table for each payment plug-in that runs."
    )
    REGISTRIES: dict[str, RegistrySettings] = Field(
        default_factory=dict, description="A table for each registry connection."
    )


def read_settings(raw: dict[str, Any]) -> Settings:
    """Check ``raw`` and return the settings.

    Raises:
        ConfigError: a key is unknown, missing or wrong; the text names the first.

    """
    try:
        settings = Settings.model_validate(raw)
        for name, registry in settings.REGISTRIES.items():
            try:
                registry.dates  # noqa: B018 - checks their order
            except ValueError as error:
                raise ConfigError(f"REGISTRIES.{name}: {error}") from error
    except ValidationError as error:
        raise ConfigError(describe(error)) from error
    if not settings.PAYMENTS:
        raise ConfigError("PAYMENTS: name at least one payment plug-in, such as [PAYMENTS.paypal]")
    if not settings.REGISTRIES:
        raise ConfigError("REGISTRIES: name at least one registry, such as [REGISTRIES.cdm]")
    if settings.INCOMING_MAIL_URL.partition("://")[0] not in ("", "imap", "imaps"):
        raise ConfigError("INCOMING_MAIL_URL: begin it with imaps:// (or imap://)")
    if settings.INCOMING_MAIL_TOKEN and len(settings.INCOMING_MAIL_TOKEN) < 16:
        raise ConfigError("INCOMING_MAIL_TOKEN: give one of at least 16 characters")
    if settings.MODE == "production":
        if len(settings.SECRET_KEY) < 32:
            raise ConfigError("SECRET_KEY: production needs one of at least 32 characters")
        if not settings.SIGNING_KEY:
            raise ConfigError("SIGNING_KEY: production needs the key that signs attestations")
        if not settings.MAIL_URL:
            raise ConfigError("MAIL_URL: production needs a mail server")
        if settings.SANDBOX_URL:
            raise ConfigError("SANDBOX_URL: production cannot run with the sandbox")
    return settings


def kept_secret(path: Path) -> str:
    """Return the secret kept at ``path``, made on first use; for development only."""
    if not path.exists():
        path.parent.mkdir(parents=True, exist_ok=True)
        fresh = path.with_suffix(f".{os.getpid()}")
        fresh.write_text(secrets.token_urlsafe(48))
        fresh.chmod(0o600)
        with suppress(FileExistsError):
            # Several processes start at once: the first one's secret is everybody's.
            os.link(fresh, path)
        fresh.unlink()
    return path.read_text().strip()

"""Noting how calls to the outside go: in memory at once, in the database when it suits.

A call happens in the middle of somebody's work, at times of somebody's transaction; so
it is only noted here, and written by :func:`write_calls` after the work or the request.
Whatever goes wrong with noting never reaches the call.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import wraps
from threading import Lock
from typing import Any, Final

from pydantic import BaseModel, SecretStr

from cnn_offset.plugins.errors import ForgedError, PluginError, RefusedError
from cnn_offset.plugins.payments.base import PaymentPlugin, ProcessorPlugin
from cnn_offset.plugins.registries.base import RegistryConnector
from cnn_offset.services.watching import CallNews, keep_calls

PAYMENT_CALLS: Final = ("connect", "inspect", "start", "fetch", "abandon", "refund", "read_webhook")
REGISTRY_CALLS: Final = ("page_blocks", "list_cancellations", "cancel", "fetch")
WRITE_EVERY: Final = timedelta(minutes=1)
"""How often the same news is written; a change for the worse or better is at once."""
LONGEST_WORDS: Final = 300
_HIDDEN_NAMES: Final = ("key", "token", "password", "secret", "credential", "passphrase")
HIDDEN: Final = "•••"

log = logging.getLogger(__name__)
Key = tuple[str, str, str]


def is_secret(name: str, value: object) -> bool:
    """Whether a setting must not be shown."""
    return isinstance(value, SecretStr) or any(word in name.lower() for word in _HIDDEN_NAMES)


def secrets_of(settings: BaseModel) -> list[str]:
    """Return the secret values among settings, for taking them out of words."""
    found = []
    for name in type(settings).model_fields:
        value = getattr(settings, name)
        if is_secret(name, value):
            plain = value.get_secret_value() if isinstance(value, SecretStr) else str(value)
            # What is shorter would blot out ordinary words.
            if len(plain) >= 4:
                found.append(plain)
    return sorted(found, key=len, reverse=True)


@dataclass
class _Noted:
    news: CallNews
    is_well: bool = True
    written_well: bool = True
    written_at: datetime | None = None
    waits: bool = False


class CallWatch:
    """The calls of this process, by kind, name and call."""

    def __init__(self) -> None:
        self._lock = Lock()
        self._noted: dict[Key, _Noted] = {}

    def watch_payments(
        self, plugins: Mapping[str, PaymentPlugin], clock: Callable[[], datetime]
    ) -> None:
        """Note every call to a processor from now on."""
        for name, plugin in plugins.items():
            # Nobody is called for a bank transfer.
            if isinstance(plugin, ProcessorPlugin):
                self._watch("payment", name, plugin, PAYMENT_CALLS, clock)

    def watch_registries(
        self, connectors: Mapping[str, RegistryConnector], clock: Callable[[], datetime]
    ) -> None:
        """Note every call to a registry from now on."""
        for name, connector in connectors.items():
            self._watch("registry", name, connector, REGISTRY_CALLS, clock)

    def _watch(
        self,
        kind: str,
        name: str,
        plugin: PaymentPlugin | RegistryConnector,
        calls: Iterable[str],
        clock: Callable[[], datetime],
    ) -> None:
        hidden = secrets_of(plugin.settings)
        for call in calls:
            watched = self.watched((kind, name, call), getattr(plugin, call), clock, hidden)
            object.__setattr__(plugin, call, watched)

    def watched(
        self,
        key: Key,
        verb: Callable[..., Any],
        clock: Callable[[], datetime],
        hidden: Iterable[str] = (),
    ) -> Callable[..., Any]:
        """Return ``verb``, noting under ``key`` how each call of it goes."""

        @wraps(verb)
        def call(*args: Any, **kwargs: Any) -> Any:
            try:
                answer = verb(*args, **kwargs)
            except Exception as error:
                self._note_error(key, clock(), error, hidden)
                raise
            if isinstance(answer, Iterator):
                # What is read page by page is called page by page.
                return self._each(answer, key, clock, hidden)
            self.note(key, clock())
            return answer

        return call

    def _each(
        self,
        answers: Iterator[Any],
        key: Key,
        clock: Callable[[], datetime],
        hidden: Iterable[str],
    ) -> Iterator[Any]:
        while True:
            try:
                answer = next(answers)
            except StopIteration:
                self.note(key, clock())
                return
            except Exception as error:
                self._note_error(key, clock(), error, hidden)
                raise
            self.note(key, clock())
            yield answer

    def _note_error(self, key: Key, now: datetime, error: Exception, hidden: Iterable[str]) -> None:
        if isinstance(error, RefusedError):
            # Somebody understood and answered.
            self.note(key, now)
        elif not isinstance(error, ForgedError):
            # A forgery says something of a stranger, nothing of the processor.
            self.note(key, now, _words(error, hidden))

    def note(self, key: Key, now: datetime, failure: str = "") -> None:
        """Note that a call went well at ``now``, or failed with these words."""
        with self._lock:
            noted = self._noted.setdefault(key, _Noted(CallNews(*key)))
            news, noted.is_well, noted.waits = noted.news, not failure, True
            if failure:
                news.failed_at, news.words = now, failure
                news.failing_since = news.failing_since or now
            else:
                news.succeeded_at, news.failing_since = now, None

    def due(self, now: datetime) -> list[CallNews]:
        """Return the news that should be written now."""
        with self._lock:
            return [
                each.news.copy()
                for each in self._noted.values()
                if each.waits
                and (
                    each.written_at is None
                    or each.written_well is not each.is_well
                    or not timedelta(0) <= now - each.written_at < WRITE_EVERY
                )
            ]

    def is_written(self, news: Iterable[CallNews], now: datetime) -> None:
        """Remember that ``news`` need not be written again."""
        with self._lock:
            for each in news:
                noted = self._noted[each.kind, each.name, each.call]
                noted.written_at = now
                noted.written_well = each.failing_since is None
                noted.waits = noted.news != each


def _words(error: Exception, hidden: Iterable[str]) -> str:
    """Say what failed. Plug-ins promise that their words hold no secret; others may not."""
    kind = type(error).__name__
    text = " ".join(str(error).split()) if isinstance(error, PluginError | OSError) else ""
    for secret in hidden:
        text = text.replace(secret, HIDDEN)
    return f"{kind}: {text}"[:LONGEST_WORDS] if text else kind


Unit = Callable[[], Any]
"""Opens a unit of work of its own (extensions.py)."""


def write_calls(watch: CallWatch, now: datetime, unit_of_work: Unit) -> None:
    """Write what is due, in a transaction of its own; a failure is logged and tried again."""
    news = watch.due(now)
    if not news:
        return
    try:
        with unit_of_work() as session:
            keep_calls(session, news)
        watch.is_written(news, now)
    except Exception:
        log.exception("how calls went could not be written")

"""One HTTP call to a registry, and what may be believed of its answer."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime
from threading import Lock
from typing import Any, Final, TypeVar

import requests
from pydantic import (
    BaseModel,
    ConfigDict,
    Field,
    HttpUrl,
    SecretStr,
    ValidationError,
    field_validator,
)
from requests.auth import AuthBase
from urllib3 import Timeout
from urllib3.exceptions import HTTPError, MaxRetryError, NewConnectionError

from cnn_offset.plugins.errors import OutcomeUnknownError, UnavailableError
from cnn_offset.plugins.registries.base import BlockPage, BlockReport
from cnn_offset.plugins.settings import PluginSettings

_CONNECT_SECONDS: Final = 3.05
_MAX_BYTES: Final = 5 * 2**20
_REFUSALS: Final = frozenset({400, 404, 409, 410, 422})
"""Answers by which a registry says no. A 401 or 403 is our own fault or a gateway's, and
408, 425 and 429 may say nothing of what happened: those are no answers."""
_PATIENCE: Final = frozenset({429, 503})
"""Answers by which a registry may ask to be left alone for a while."""
_LONGEST: Final = timedelta(days=1)
Shape = TypeVar("Shape", bound=BaseModel)


class Wire(BaseModel):
    """Part of an answer; unknown fields are passed over, wrong types are not."""

    model_config = ConfigDict(strict=True, frozen=True)


class ConnectionSettings(PluginSettings):
    """What every registry reached over HTTP needs."""

    base_url: HttpUrl
    """Without a slash at the end; ``https`` except on this machine."""
    token: SecretStr
    """Sent as ``Authorization: Bearer …``."""
    deduplicates: bool = False
    """True only if the registry has promised in writing that a repeated key never
    cancels again: a wrong True cancels twice."""
    settle_seconds: float = Field(default=1800, gt=0)
    """How long after it was sent a request may still take effect, at the longest."""
    timeout_seconds: float = Field(default=10, gt=0, le=10)
    """How long to wait for an answer to begin; its end may take as long again."""
    lists_per_second: float = Field(default=10, gt=0)
    """How many pages of its lists one process asks for in a second, at most."""

    @field_validator("token")
    @classmethod
    def _fits_a_header(cls, token: SecretStr) -> SecretStr:
        text = token.get_secret_value()
        if not text or not text.isascii() or not text.isprintable() or " " in text:
            raise ValueError("must be ASCII signs without spaces")
        return token

    @field_validator("base_url")
    @classmethod
    def _secret_stays_secret(cls, url: HttpUrl) -> HttpUrl:
        if url.scheme != "https" and url.host not in ("127.0.0.1", "localhost", "[::1]"):
            raise ValueError("must be https, or the token could be read on its way")
        if url.username or url.password or url.query or url.fragment:
            raise ValueError("must be an address only")
        return url


class _Bearer(AuthBase):
    """Sets the header as ``auth``, because requests prefers ``.netrc`` to a plain header."""

    def __init__(self, token: SecretStr) -> None:
        self._token = token

    def __call__(self, request: requests.PreparedRequest) -> requests.PreparedRequest:
        request.headers["Authorization"] = f"Bearer {self._token.get_secret_value()}"
        return request


@dataclass(frozen=True, slots=True)
class Answer:
    """An answer by which a registry says yes (2xx) or no, not read yet."""

    status: int
    body: bytes

    @property
    def is_yes(self) -> bool:
        """Whether the registry did or knew what was asked."""
        return self.status < 300

    def read(self, shape: type[Shape]) -> Shape:
        """Read the body, JSON, as ``shape``.

        Raises:
            OutcomeUnknownError: it is something else, such as a gateway's page.

        """
        try:
            return shape.model_validate_json(self.body)
        except ValidationError as error:
            where = ".".join(str(part) for part in error.errors()[0]["loc"])
            raise OutcomeUnknownError(
                f"answer {self.status} that is not as agreed: {where}"
            ) from None


class Pace:
    """Lets the pages of a registry's lists be asked for one after another, not too fast.

    And not at all while the registry asks to be left alone.
    """

    def __init__(
        self,
        per_second: float,
        *,
        clock: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        self._gap = 1 / per_second
        self._clock, self._sleep = clock, sleep
        self._lock = Lock()
        self._next = 0.0
        self._quiet_until = 0.0

    def wait(self) -> None:
        """Wait for the next turn.

        Raises:
            UnavailableError: the registry wants to be left alone; nothing was sent.

        """
        with self._lock:
            now = self._clock()
            left = self._quiet_until - now
            if left > 0:
                raise UnavailableError(
                    "the registry asked for a pause", retry_after=timedelta(seconds=left)
                )
            turn = max(self._next, now)
            self._next = turn + self._gap
        if turn > now:
            self._sleep(turn - now)

    def heed(self, error: OutcomeUnknownError) -> None:
        """Ask nothing more until the time that an answer named."""
        if error.retry_after is not None:
            with self._lock:
                self._quiet_until = self._clock() + error.retry_after.total_seconds()


def read_list(
    pace: Pace, settings: ConnectionSettings, path: str, params: Mapping[str, str]
) -> Answer:
    """Ask for a page of a list, at the connection's pace.

    Raises:
        UnavailableError: nothing was sent.
        OutcomeUnknownError: anything else that is no clear yes or no.

    """
    pace.wait()
    try:
        return call(settings, "GET", path, params=params)
    except OutcomeUnknownError as error:
        pace.heed(error)
        raise


def call(
    settings: ConnectionSettings,
    method: str,
    path: str,
    *,
    params: Mapping[str, str] | None = None,
    headers: Mapping[str, str] | None = None,
    json: Mapping[str, Any] | None = None,
) -> Answer:
    """Send one request, once: no redirect is followed and nothing is repeated.

    Raises:
        UnavailableError: no connection was made, so nothing was sent.
        OutcomeUnknownError: anything else that is no clear yes or no.

    """
    deadline = time.monotonic() + settings.timeout_seconds
    try:
        with requests.request(
            method,
            str(settings.base_url).rstrip("/") + path,
            params=params,
            headers={
                "Accept": "application/json",
                "Accept-Encoding": "identity",
                **(headers or {}),
            },
            json=json,
            auth=_Bearer(settings.token),
            # requests takes one, though its types do not say so.
            timeout=Timeout(  # type: ignore[arg-type]
                connect=_CONNECT_SECONDS, total=settings.timeout_seconds
            ),
            allow_redirects=False,
            stream=True,
        ) as response:
            raw = _read(response, deadline)
            status, headers_said = response.status_code, response.headers
    except requests.ConnectTimeout:
        raise UnavailableError("no connection in time") from None
    except (requests.RequestException, HTTPError, OSError) as error:
        # Only the kind of error is told: its text may quote headers or the address.
        if _never_connected(error):
            raise UnavailableError("no connection") from None
        raise OutcomeUnknownError(f"no answer: {type(error).__name__}") from None
    if not (200 <= status < 300 or status in _REFUSALS):
        wait = retry_after(headers_said) if status in _PATIENCE else None
        raise OutcomeUnknownError(f"answer {status}", retry_after=wait)
    return Answer(status, raw)


def every_block(page: Callable[..., BlockPage], account_ref: str) -> Iterator[BlockReport]:
    """Follow the pages of an account's blocks to the end.

    Raises:
        OutcomeUnknownError: the pages never end, or a block makes no sense.

    """
    cursor, seen = "", {""}
    while True:
        found = page(account_ref, cursor)
        for odd in found.odd:
            raise OutcomeUnknownError(f"block {odd.block_ref}: {odd.words}")
        yield from found.blocks
        if not found.more:
            return
        cursor = found.cursor
        if cursor in seen:
            raise OutcomeUnknownError("pages that go round in a circle")
        seen.add(cursor)


def retry_after(headers: Mapping[str, str]) -> timedelta | None:
    """Read how long an answer asks to wait, in seconds or until a date; None if it does not.

    A date is taken by the answer's own clock: without that it says nothing.
    """
    said = headers.get("Retry-After", "").strip()
    if said.isascii() and said.isdigit():
        return min(timedelta(seconds=int(said)), _LONGEST) if len(said) < 10 else _LONGEST
    until, now = _moment(said), _moment(headers.get("Date", ""))
    if until is None or now is None:
        return None
    return min(max(until - now, timedelta(0)), _LONGEST)


def _moment(text: str) -> datetime | None:
    try:
        found = parsedate_to_datetime(text)
    except (TypeError, ValueError):
        return None
    return found if found.tzinfo else found.replace(tzinfo=UTC)


def _read(response: requests.Response, deadline: float) -> bytes:
    chunks: list[bytes] = []
    while chunk := response.raw.read1(65_536):
        chunks.append(chunk)
        if time.monotonic() > deadline:
            raise OutcomeUnknownError("no whole answer in time")
        if sum(map(len, chunks)) > _MAX_BYTES:
            raise OutcomeUnknownError("answer too long")
    return b"".join(chunks)


def _never_connected(error: Exception) -> bool:
    if not isinstance(error, requests.ConnectionError) or not error.args:
        return False
    cause = error.args[0]
    return isinstance(cause, MaxRetryError) and isinstance(cause.reason, NewConnectionError)

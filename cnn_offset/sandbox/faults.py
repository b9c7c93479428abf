"""Bad days on demand: time-outs, errors, nonsense, refusals, strange books.

A fault is set for a *target* and a *kind*, and strikes the next ``count`` calls, or each
call with a ``probability``. The kinds of :data:`EVERYWHERE` but ``refuse`` are played by
:class:`FaultyCalls` around every call of a target's API, pages excepted; all others by the
part of the sandbox they belong to, which asks ``strikes``.
"""

from __future__ import annotations

import contextlib
import math
import random
import re
import socket
import threading
import time
from collections.abc import Callable, Iterable
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Final

from flask import current_app

from .state import State

if TYPE_CHECKING:
    from _typeshed.wsgi import StartResponse, WSGIApplication, WSGIEnvironment

REGISTRIES: Final = ("cdm", "a64-interim", "a64-final")
PROCESSORS: Final = ("paypal", "stripe")
EVERYWHERE: Final = {
    "timeout_before": "Hold the connection, then drop it; nothing is done",
    "timeout_after": "Do it, hold the connection, then drop it",
    "error_before": "Answer 500; nothing is done",
    "error_after": "Do it, then answer 500",
    "slow": "Wait, then do it and answer, even if the caller has left",
    "garbage": "Do it, then answer with a page that makes no sense",
    "refuse": "Say no",
}
OF_REGISTRIES: Final = {
    "fewer_serials": "Cancel and report one unit fewer than asked",
    "other_serials": "Cancel and report units of another block",
    "overlapping_serials": "Report units that were cancelled before",
    "rate_limit": "Answer 429 and ask to wait so long; nothing is done",
}
OF_PROCESSORS: Final = {
    "webhook_lost": "Never send the webhook",
    "webhook_late": "Send the webhook late",
    "webhook_duplicate": "Send the webhook twice",
}
KINDS: Final[dict[str, dict[str, str]]] = {
    **dict.fromkeys(REGISTRIES, EVERYWHERE | OF_REGISTRIES),
    **dict.fromkeys(PROCESSORS, EVERYWHERE | OF_PROCESSORS),
    "mail": EVERYWHERE,
}
_API: Final = re.compile(r"/registries/([^/]+)/api/|/(paypal|stripe)/v\d+/|/(mail)box/messages$")


@dataclass(frozen=True, slots=True)
class Fault:
    """One switch that is on."""

    target: str
    kind: str
    probability: float = 1.0
    count: int | None = None
    """How many calls it still strikes; None means without end."""
    milliseconds: int = 15_000
    """How long time-outs hold, and how long slow or late things wait."""
    only: str = ""
    """Strikes only calls whose ``METHOD /path`` contains this, such as ``POST``."""
    seed: int | None = None
    """Makes the draws of ``probability`` repeatable."""

    def __post_init__(self) -> None:
        if self.kind not in KINDS.get(self.target, ()):
            raise ValueError(f"no fault {self.kind!r} of {self.target!r}")
        if not 0 <= self.probability <= 1 or self.milliseconds < 0:
            raise ValueError("probability is from 0 to 1, milliseconds from 0")

    @property
    def seconds(self) -> float:
        """The wait, in seconds."""
        return self.milliseconds / 1000


class Faults:
    """The switches, kept in the sandbox's state."""

    def __init__(self, state: State) -> None:
        self._state = state
        self._dice: dict[str, random.Random] = {}
        self._lock = threading.Lock()

    def set(self, fault: Fault) -> None:
        """Switch a fault on in the place of any earlier one of its target and kind.

        A probability or count of 0 switches it off.
        """
        name = f"{fault.target}/{fault.kind}"
        with self._lock:
            self._dice[name] = random.Random(fault.seed)
        if fault.probability == 0 or fault.count == 0:
            self._state.delete("fault", name)
        else:
            self._state.put("fault", name, asdict(fault))

    def clear(self) -> None:
        """Switch all faults off."""
        self._state.delete("fault")

    def all(self) -> list[Fault]:
        """List the faults that are on."""
        return [Fault(**each) for each in self._state.all("fault")]

    def strikes(self, target: str, kind: str, call: str = "") -> Fault | None:
        """Draw whether a fault strikes now, and use up one of its count if so."""
        name = f"{target}/{kind}"
        with self._state.transaction():
            found = self._state.get("fault", name)
            if found is None:
                return None
            fault = Fault(**found)
            if fault.only not in call:
                return None
            with self._lock:
                dice = self._dice.setdefault(name, random.Random(fault.seed))
                if dice.random() >= fault.probability:
                    return None
            if fault.count == 1:
                self._state.delete("fault", name)
            elif fault.count is not None:
                self._state.put("fault", name, found | {"count": fault.count - 1})
        return fault


def current_faults() -> Faults:
    """Return the switches of the sandbox that answers this request."""
    faults: Faults = current_app.extensions["sandbox.faults"]
    return faults


class FaultyCalls:
    """Middleware that plays the faults that do not depend on what a call means."""

    def __init__(
        self,
        app: WSGIApplication,
        faults: Faults,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        self._app = app
        self._faults = faults
        self._sleep = sleep

    def __call__(self, environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        """Answer the call, or not, as the switches say."""
        api = _API.search(environ["PATH_INFO"])
        if api is None:
            return self._app(environ, start_response)
        target = next(filter(None, api.groups()))
        call = f"{environ['REQUEST_METHOD']} {environ['PATH_INFO']}"

        if slow := self._faults.strikes(target, "slow", call):
            self._sleep(slow.seconds)
        if self._faults.strikes(target, "error_before", call):
            return _answer(start_response, "500 Internal Server Error", b"sandbox: 500, not done")
        if limit := self._faults.strikes(target, "rate_limit", call):
            wait = ("Retry-After", str(math.ceil(limit.seconds)))
            return _answer(start_response, "429 Too Many Requests", b"sandbox: slower", wait)
        if fault := self._faults.strikes(target, "timeout_before", call):
            self._hang(fault, environ)
        held = self._faults.strikes(target, "timeout_after", call)
        broken = self._faults.strikes(target, "error_after", call)
        nonsense = self._faults.strikes(target, "garbage", call)
        if not (held or broken or nonsense):
            return self._app(environ, start_response)

        self._act(environ)
        if held:
            self._hang(held, environ)
        if broken:
            return _answer(start_response, "500 Internal Server Error", b"sandbox: 500, but done")
        return _answer(start_response, "200 OK", b"<html><h1>It works!</h1>")

    def _act(self, environ: WSGIEnvironment) -> None:
        answer = self._app(environ, lambda *_: lambda _: None)
        try:
            for _ in answer:
                pass
        finally:
            close = getattr(answer, "close", None)
            if close is not None:
                close()

    def _hang(self, fault: Fault, environ: WSGIEnvironment) -> None:
        self._sleep(fault.seconds)
        # Werkzeug's server would keep the connection for the next request; others may
        # answer 500, which after such a wait says as little.
        if connection := environ.get("werkzeug.socket"):
            with contextlib.suppress(OSError):  # the caller may have left
                connection.shutdown(socket.SHUT_RDWR)
        raise ConnectionResetError("sandbox: dropped on purpose")


def _answer(
    start_response: StartResponse, status: str, body: bytes, *more: tuple[str, str]
) -> Iterable[bytes]:
    length = ("Content-Length", str(len(body)))
    start_response(status, [("Content-Type", "text/html"), length, *more])
    return [body]

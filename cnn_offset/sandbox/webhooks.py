"""Webhooks really sent: from a thread of their own, signed, and again until somebody takes them."""

from __future__ import annotations

import logging
import sqlite3
import threading
import time
import urllib.request
from collections.abc import Callable, Mapping
from typing import Final

from .faults import current_faults
from .state import State, current_state

_PAUSES: Final = (0.0, 2.0, 10.0, 60.0)
"""Seconds before each attempt; the real ones go on for three days."""
_log = logging.getLogger(__name__)


def ring(
    processor: str,
    body: bytes,
    sign: Callable[[], Mapping[str, str]],
    *,
    late: float = 0.0,
) -> None:
    """Send ``body`` to where ``processor`` sends its webhooks, after ``late`` seconds.

    Returns at once. ``sign`` makes the headers when the delivery leaves. Call it after the
    news is stored, never inside a transaction.
    """
    faults, state = current_faults(), current_state()
    if faults.strikes(processor, "webhook_lost"):
        return
    if slow := faults.strikes(processor, "webhook_late"):
        late += slow.seconds
    times = 2 if faults.strikes(processor, "webhook_duplicate") else 1
    threading.Thread(
        target=_deliver, args=(state, processor, body, sign, late, times), daemon=True
    ).start()


def _deliver(
    state: State,
    processor: str,
    body: bytes,
    sign: Callable[[], Mapping[str, str]],
    late: float,
    times: int,
) -> None:
    time.sleep(late)
    headers = {"Content-Type": "application/json", **sign()}
    for pause in _PAUSES:
        time.sleep(pause)
        try:
            url = (state.get("control", "webhooks") or {}).get(processor)
        except sqlite3.ProgrammingError:  # the sandbox was closed meanwhile
            return
        if url is None:
            return
        try:
            for _ in range(times):
                request = urllib.request.Request(url, body, headers, method="POST")  # noqa: S310
                with urllib.request.urlopen(request, timeout=10) as answer:  # noqa: S310
                    answer.read()
        except OSError as error:  # a refusal such as 500 is one too
            _log.info("webhook of %s to %s: %s", processor, url, error)
        else:
            return

"""The sandbox, really served on a free port of this machine."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import requests
from flask import Flask
from werkzeug.serving import WSGIRequestHandler, make_server

from cnn_offset.sandbox import create_sandbox


class _Quiet(WSGIRequestHandler):
    def log(self, type: str, message: str, *args: Any) -> None:  # noqa: A002
        """Say nothing."""


@contextmanager
def served(app: Callable[..., Any]) -> Iterator[str]:
    """Serve a WSGI application; gives its address."""
    server = make_server("127.0.0.1", 0, app, threaded=True, request_handler=_Quiet)
    thread = threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


@dataclass(frozen=True)
class Sandbox:
    """A sandbox that listens."""

    app: Flask
    url: str

    def get(self, path: str) -> Any:
        """Return the JSON of a page."""
        answer = requests.get(self.url + path, timeout=10)
        answer.raise_for_status()
        return answer.json()

    def post(self, path: str, json: Any) -> Any:
        """Post JSON and return the answer's."""
        answer = requests.post(self.url + path, json=json, timeout=10)
        answer.raise_for_status()
        return answer.json()


@contextmanager
def served_sandbox() -> Iterator[Sandbox]:
    """Serve a new sandbox that keeps its books in memory."""
    app = create_sandbox()
    with served(app) as url:
        yield Sandbox(app, url)

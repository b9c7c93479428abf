"""The sandbox, really served on a free port of this machine."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import requests
from flask import Flask

from cnn_offset.sandbox import create_sandbox
from cnn_offset.testing.serving import served

__all__ = ["Sandbox", "served", "served_sandbox"]


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

"""What the pages of both simulated processors have in common."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final
from urllib.parse import parse_qsl, urlencode, urlsplit, urlunsplit

from flask import request

LATE_SECONDS: Final = 20.0


@dataclass(frozen=True, slots=True)
class Choice:
    """One button of a page."""

    name: str
    text: str
    quiet: bool = False


def back_to(url: str, **more: str) -> str:
    """Add query parameters to the shop's address, as the real ones do."""
    parts = urlsplit(url)
    query = [*parse_qsl(parts.query, keep_blank_values=True), *more.items()]
    return urlunsplit(parts._replace(query=urlencode(query)))


def lateness() -> float:
    """Return by how much the webhook is to be late, as ticked on the page."""
    return LATE_SECONDS if request.form.get("late") else 0.0

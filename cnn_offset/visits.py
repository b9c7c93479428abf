"""Counting visits without cookies: a public page opened from elsewhere than this site.

No address, no browser and no path is kept: each process counts in memory and adds its sums
to the table about once a minute, never with each request. What a process has counted since
is lost when it is killed; it is a count of visits, not of money.
"""

from __future__ import annotations

import logging
import re
from collections import Counter
from datetime import date, datetime, timedelta
from threading import Lock
from typing import Final
from urllib.parse import urlsplit

from flask import Flask, Request, Response, g, request

from cnn_offset.extensions import platform, unit_of_work
from cnn_offset.services.visiting import add_visits

log = logging.getLogger(__name__)

EVERY: Final = timedelta(minutes=1)
COUNTED: Final = frozenset(
    {"home", "help", "catalogue", "providers", "record", "figures", "checking"}
)
"""Blueprints whose pages begin a visit. Not those one is sent back to, such as after paying."""
MACHINES: Final = re.compile(
    r"(?<!cu)bot|crawl|spider|slurp|fetch|scan|monitor|preview|headless|lighthouse|archiv|index|"
    r"facebookexternalhit|embedly|feed|curl|wget|python|java/|ruby|perl|php|go-http|okhttp|"
    r"axios|node|httpclient|libwww|werkzeug|postman",
    re.IGNORECASE,
)
"""In the name of a browser: it is none. Decent crawlers say what they are."""


class VisitCounter:
    """What one process has counted and not yet added to the table."""

    def __init__(self) -> None:
        self._lock = Lock()
        self._counted: Counter[tuple[date, str]] = Counter()
        self._since: datetime | None = None

    def add(self, day: date, locale: str) -> None:
        """Count one visit."""
        with self._lock:
            self._counted[day, locale] += 1

    def due(self, now: datetime) -> dict[tuple[date, str], int]:
        """Hand out what was counted, if it is time; the caller adds it to the table."""
        with self._lock:
            if self._since is None or now < self._since:
                self._since = now
            if now - self._since < EVERY or not self._counted:
                return {}
            self._since, counted = now, dict(self._counted)
            self._counted.clear()
            return counted

    def give_back(self, counted: dict[tuple[date, str], int]) -> None:
        """Take back what could not be added."""
        with self._lock:
            self._counted.update(counted)


def is_visit(asked: Request, own_host: str) -> bool:
    """Whether somebody comes from elsewhere, and is no machine that says so."""
    agent = asked.headers.get("User-Agent", "")
    if not agent or MACHINES.search(agent):
        return False
    if "prefetch" in asked.headers.get("Sec-Purpose", asked.headers.get("Purpose", "")):
        return False
    return urlsplit(asked.referrer or "").netloc not in (own_host, asked.host)


def init_app(app: Flask) -> None:
    """Count visits to the public pages of ``app``."""
    counter = VisitCounter()
    app.extensions["cnn_offset.visits"] = counter

    @app.after_request
    def _count(response: Response) -> Response:
        now = platform().clock()
        if (
            request.blueprint in COUNTED
            and request.method == "GET"
            and response.status_code == 200
            and response.mimetype == "text/html"
            and "lang" in g
            and is_visit(request, app.config["SERVER_NAME"] or "")
        ):
            counter.add(now.date(), g.lang)
        counted = counter.due(now)
        if counted:
            _add(app, counter, counted)
        return response


def _add(app: Flask, counter: VisitCounter, counted: dict[tuple[date, str], int]) -> None:
    """Add to the table, in a session of its own; a count must never break a page."""
    try:
        with app.app_context(), unit_of_work() as session:
            add_visits(session, counted)
    except Exception:
        log.exception("visits could not be added")
        counter.give_back(counted)

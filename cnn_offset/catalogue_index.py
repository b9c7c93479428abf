"""The catalogue each process keeps in memory, and how it keeps up with the database."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from functools import lru_cache
from threading import Lock, Thread
from time import monotonic
from typing import Final

from flask import current_app
from sqlalchemy import Engine

from cnn_offset.domain.calendar import Pause
from cnn_offset.domain.facets import FacetIndex, Query, TextIndex
from cnn_offset.extensions import Platform, db, platform
from cnn_offset.services import browsing
from cnn_offset.services.browsing import ActivityCard, Totals, Version

LOOK_EVERY: Final = 3.0
"""Seconds after which a request makes us look whether something changed."""
STOCK_EVERY: Final = 30.0
"""Seconds for which a filter may still count units that were taken meanwhile."""
TEXTS_EVERY: Final = 600.0
"""Seconds after which all is read anew, for changes that leave no trace, such as of texts."""

log = logging.getLogger(__name__)


@dataclass
class Shelf:
    """The catalogue as it was at one moment."""

    index: FacetIndex
    cards: Mapping[int, ActivityCard]
    texts: Callable[[str], TextIndex]
    texts_read_at: float
    projects: int
    countries: int
    totals: Totals
    version: Version
    read_at: float
    took: float


class ShelfKeeper:
    """Holds the shelf; reads it anew in the background when something has changed.

    The first request waits for it; after that none does. With ``eager`` every request
    reads and waits, so that a test sees what it wrote.
    """

    def __init__(self, engine: Engine, platform: Platform, *, eager: bool) -> None:
        self._engine = engine
        self._platform = platform
        self._eager = eager
        self._busy = Lock()
        self._shelf: Shelf | None = None
        self._look_at = 0.0

    def shelf(self) -> Shelf:
        """Return the newest shelf there is."""
        if self._shelf is None or self._eager:
            with self._busy:
                self._shelf = self._renewed(None if self._eager else self._shelf)
        elif monotonic() >= self._look_at and self._busy.acquire(blocking=False):
            Thread(target=self._look, name="catalogue", daemon=True).start()
        return self._shelf

    def _look(self) -> None:
        try:
            self._shelf = self._renewed(self._shelf)
        except Exception:
            log.exception("the catalogue could not be read; the old one stays")
        finally:
            self._look_at = monotonic() + LOOK_EVERY
            self._busy.release()

    def _renewed(self, old: Shelf | None) -> Shelf:
        started = monotonic()
        here = self._platform
        # Where all orders are stopped, or units move, people may still look around.
        shown = (Pause.EVERYTHING, Pause.MOVING)
        dates = {
            name: replace(each, pause=None) if each.pause in shown else each
            for name, each in here.dates_for_new.items()
        }
        market = browsing.open_market(here.payments_for_new, dates, here.clock())
        with self._engine.connect() as connection:
            version = browsing.version(connection, market)
            if old and not _is_stale(old, version, started):
                return old
            offers = list(browsing.listed_offers(connection, market))
            cards = browsing.activity_cards(connection)
            totals = browsing.totals(connection)
        texts: Callable[[str], TextIndex] = lru_cache(maxsize=None)(self._read_texts)
        texts_read_at = started
        if (
            old
            and old.version.activities == version.activities
            and started - old.texts_read_at < TEXTS_EVERY
        ):
            texts, texts_read_at = old.texts, old.texts_read_at
        index = FacetIndex(offers, texts)
        # What most people ask first is counted before anybody asks.
        index.find(Query(), self._platform.clock().date())
        return Shelf(
            index=index,
            cards=cards,
            texts=texts,
            texts_read_at=texts_read_at,
            projects=len({each.activity_id for each in offers}),
            countries=len({each.country for each in offers}),
            totals=totals,
            version=version,
            read_at=started,
            took=monotonic() - started,
        )

    def _read_texts(self, lang: str) -> TextIndex:
        with self._engine.connect() as connection:
            return TextIndex(browsing.activity_texts(connection, lang))


def _is_stale(shelf: Shelf, version: Version, now: float) -> bool:
    age = now - shelf.read_at
    if version.stock != shelf.version.stock and age > max(STOCK_EVERY, 30 * shelf.took):
        return True
    return age > TEXTS_EVERY or (version.activities, version.offers) != (
        shelf.version.activities,
        shelf.version.offers,
    )


def shelf() -> Shelf:
    """Return the catalogue of the current application."""
    keeper: ShelfKeeper | None = current_app.extensions.get("cnn_offset.shelf")
    if keeper is None:
        keeper = ShelfKeeper(db.engine, platform(), eager=bool(current_app.testing))
        keeper = current_app.extensions.setdefault("cnn_offset.shelf", keeper)
    return keeper.shelf()

"""Visits: counted without cookies, in memory, and added up now and then."""

from __future__ import annotations

from datetime import date
from typing import Any

import pytest
from flask import Flask
from sqlalchemy import event, select

from cnn_offset import visits
from cnn_offset.extensions import db, unit_of_work
from cnn_offset.models import Visit
from cnn_offset.services.visiting import add_visits
from tests.conftest import Clock

BROWSER = "Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0"
TODAY = date(2026, 11, 2)


def get(app: Flask, path: str = "/en/projects", agent: str = BROWSER, **headers: str) -> None:
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    answer = app.test_client().get(path, headers={"User-Agent": agent, **named})
    assert answer.status_code in (200, 302, 404)
    assert path.endswith("login") or "Set-Cookie" not in answer.headers


def added(app: Flask, clock: Clock) -> dict[tuple[date, str], int]:
    """Return what stands in the table once the next request has come."""
    clock.tick(minutes=2)
    get(app, "/health/live")
    with app.app_context():
        return {(row.day, row.locale): row.number for row in db.session.scalars(select(Visit))}


def test_visits_are_counted_by_day_and_language(app: Flask, clock: Clock) -> None:
    get(app, "/en/")
    get(app, "/fr/record", Referer="https://www.example.org/news")
    get(app, "/fr/figures", Referer="https://www.example.org/")
    assert added(app, clock) == {(TODAY, "en"): 1, (TODAY, "fr"): 2}
    get(app)
    assert added(app, clock) == {(TODAY, "en"): 2, (TODAY, "fr"): 2}
    clock.tick(days=1)
    get(app)
    assert added(app, clock)[date(2026, 11, 3), "en"] == 1


@pytest.mark.parametrize(
    ("path", "agent", "headers"),
    [
        ("/en/record", BROWSER, {"Referer": "http://localhost/en/projects"}),
        ("/en/record", "", {}),
        ("/en/record", "Mozilla/5.0 (compatible; Googlebot/2.1; +http://www.google.com/bot.html)", {}),
        ("/en/record", "curl/8.5.0", {}),
        ("/en/record", BROWSER, {"Sec_Purpose": "prefetch;prerender"}),
        ("/en/nowhere", BROWSER, {}),
        ("/en/account/login", BROWSER, {}),
        ("/en/basket", BROWSER, {}),
        ("/health/live", BROWSER, {}),
        ("/en/figures/figures.csv", BROWSER, {}),
    ],
)  # fmt: skip
def test_what_is_no_visit(
    app: Flask, clock: Clock, path: str, agent: str, headers: dict[str, str]
) -> None:
    get(app, path, agent, **headers)
    assert added(app, clock) == {}


def test_a_telephone_called_cubot_is_no_robot(app: Flask, clock: Clock) -> None:
    get(app, agent="Mozilla/5.0 (Linux; Android 13; CUBOT_X70) AppleWebKit/537.36 Chrome/120")
    assert added(app, clock) == {(TODAY, "en"): 1}


def test_no_write_with_each_request(app: Flask, clock: Clock) -> None:
    said: list[str] = []
    with app.app_context():
        engine = db.engine

    def note(_c: Any, _cursor: Any, statement: str, *_: Any) -> None:
        said.append(statement.split()[0])

    event.listen(engine, "before_cursor_execute", note)
    for _ in range(5):
        get(app)
        clock.tick(seconds=10)
    assert "INSERT" not in said
    assert added(app, clock) == {(TODAY, "en"): 5}
    assert said.count("INSERT") == 1


def test_a_count_breaks_no_page_and_is_not_lost(
    app: Flask, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object) -> None:
        raise OSError("no database")

    get(app)
    with monkeypatch.context() as patch:
        patch.setattr(visits, "add_visits", fail)
        assert added(app, clock) == {}
    assert added(app, clock) == {(TODAY, "en"): 1}


def test_processes_add_up(any_app: Flask) -> None:
    with any_app.app_context():
        for _ in range(2):
            with unit_of_work() as session:
                add_visits(session, {(TODAY, "en"): 3, (TODAY, "fr"): 1})
        found = db.session.execute(select(Visit.locale, Visit.number).order_by(Visit.locale)).all()
        assert [tuple(each) for each in found] == [("en", 6), ("fr", 2)]

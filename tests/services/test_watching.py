"""How calls go: noted in memory, written apart, never in the way of the call itself."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from typing import Any

import pytest
from flask import Flask
from pydantic import SecretStr
from sqlalchemy import select
from sqlalchemy.orm import Session

from cnn_offset.conditions import CallState, Conditions
from cnn_offset.extensions import db, platform, unit_of_work
from cnn_offset.models import CallHealth, Switch
from cnn_offset.plugins.errors import (
    ForgedError,
    OutcomeUnknownError,
    RefusedError,
    UnavailableError,
)
from cnn_offset.plugins.settings import PluginSettings
from cnn_offset.services import ServiceError, switching
from cnn_offset.services.watching import CallNews, keep_calls
from cnn_offset.watching import CallWatch, secrets_of, write_calls
from tests.conftest import Clock

KEY = ("registry", "cdm", "cancel")


def failing(error: Exception) -> Any:
    def verb() -> None:
        raise error

    return verb


def call(watch: CallWatch, clock: Clock, error: Exception | None = None, **options: Any) -> None:
    verb = watch.watched(KEY, failing(error) if error else lambda: 1, clock, **options)
    if error is None:
        assert verb() == 1
    else:
        with pytest.raises(type(error)):
            verb()


def test_a_change_is_due_at_once_and_the_same_news_once_a_minute(clock: Clock) -> None:
    watch = CallWatch()
    call(watch, clock)
    assert [each.succeeded_at for each in watch.due(clock())] == [clock()]
    watch.is_written(watch.due(clock()), clock())
    clock.tick(seconds=30)
    call(watch, clock)
    assert watch.due(clock()) == []
    call(watch, clock, UnavailableError("no route"))
    assert [each.words for each in watch.due(clock())] == ["UnavailableError: no route"]
    watch.is_written(watch.due(clock()), clock())
    since = clock()
    clock.tick(seconds=30)
    call(watch, clock, OutcomeUnknownError("no answer"))
    assert watch.due(clock()) == []
    clock.tick(seconds=31)
    assert [each.failing_since for each in watch.due(clock())] == [since]
    call(watch, clock)
    assert [each.failing_since for each in watch.due(clock())] == [None]


def test_a_refusal_is_an_answer_and_a_forgery_is_no_news(clock: Clock) -> None:
    watch = CallWatch()
    call(watch, clock, ForgedError("who?"))
    assert watch.due(clock()) == []
    call(watch, clock, RefusedError("no"))
    assert [each.failing_since for each in watch.due(clock())] == [None]


def test_a_list_in_pages_is_watched_to_its_end(clock: Clock) -> None:
    watch = CallWatch()

    def pages() -> Iterator[int]:
        yield 1
        raise UnavailableError("gone")

    found = watch.watched(KEY, pages, clock)()
    # Nothing was called yet.
    assert watch.due(clock()) == []
    assert next(found) == 1
    with pytest.raises(UnavailableError):
        next(found)
    assert watch.due(clock())[0].failing_since == clock()
    assert list(watch.watched(KEY, lambda: iter([1, 2]), clock)()) == [1, 2]
    assert watch.due(clock())[0].failing_since is None


class Secretive(PluginSettings):
    token: SecretStr = SecretStr("abcd-efgh")
    client_secret: str = "wxyz1234"
    region: str = "plain"


def test_words_hold_no_secret_and_strangers_errors_only_their_kind(clock: Clock) -> None:
    hidden = secrets_of(Secretive())
    assert hidden == ["abcd-efgh", "wxyz1234"]
    watch = CallWatch()
    call(watch, clock, UnavailableError("at abcd-efgh in plain\n with wxyz1234"), hidden=hidden)
    assert watch.due(clock())[0].words == "UnavailableError: at ••• in plain with •••"
    call(watch, clock, KeyError("abcd-efgh"), hidden=hidden)
    assert watch.due(clock())[0].words == "KeyError"
    call(watch, clock, UnavailableError("x" * 1000))
    assert len(watch.due(clock())[0].words) == 300


def test_a_database_that_is_down_loses_nothing(app: Flask, clock: Clock) -> None:
    watch = CallWatch()
    call(watch, clock, UnavailableError("no route"))

    @contextmanager
    def down() -> Iterator[Session]:
        raise OSError("no database")
        yield

    write_calls(watch, clock(), down)
    with app.app_context():
        write_calls(watch, clock(), unit_of_work)
        row = db.session.scalars(select(CallHealth)).one()
        assert (row.kind, row.name, row.call, row.words) == (*KEY, "UnavailableError: no route")
        assert row.failing_since == clock()
    assert watch.due(clock()) == []


def test_news_of_two_processes_come_together(any_app: Flask, clock: Clock) -> None:
    start = clock()

    def news(succeeded: int | None, failed: int | None, since: int | None) -> CallNews:
        moments = [
            None if each is None else start + timedelta(minutes=each)
            for each in (succeeded, failed, since)
        ]
        return CallNews(*KEY, *moments, words="words" if failed is not None else "")

    def kept(*all_news: CallNews) -> tuple[Any, ...]:
        with any_app.app_context():
            for each in all_news:
                with unit_of_work() as session:
                    keep_calls(session, [each])
            row = db.session.scalars(select(CallHealth)).one()
            return tuple(
                None if each is None else int((each - start).total_seconds()) // 60
                for each in (row.succeeded_at, row.failed_at, row.failing_since)
            )

    assert kept(news(1, None, None)) == (1, None, None)
    assert kept(news(None, 3, 2)) == (1, 3, 2)
    # Another process failed first, and told later.
    assert kept(news(None, 2, 1)) == (1, 3, 2)
    # A success from between does not end what failed after it.
    assert kept(news(0, None, None)) == (1, 3, 2)
    assert kept(news(4, None, None)) == (4, 3, None)
    assert kept(news(None, 6, 5), news(4, None, None)) == (4, 6, 5)


@pytest.mark.parametrize(
    ("calls", "silent"),
    [
        ([], False),
        ([("cancel", None, 0, 11)], True),
        ([("cancel", None, 0, 9)], False),
        ([("cancel", None, 50, 60)], False),
        # Asking goes on well while cancelling fails: units wait all the same.
        ([("cancel", 20, 0, 15), ("fetch", 1, None, None)], True),
        # A list of one odd account fails while cancelling goes well.
        ([("list_blocks", None, 0, 30), ("cancel", 1, None, None)], False),
        ([("list_blocks", 40, 0, 30)], True),
    ],
)
def test_when_a_registry_counts_as_silent(
    clock: Clock, calls: list[tuple[Any, ...]], silent: bool
) -> None:
    def ago(minutes: int | None) -> Any:
        return None if minutes is None else clock() - timedelta(minutes=minutes)

    found = Conditions(
        calls=tuple(CallState("cdm", name, *map(ago, moments)) for name, *moments in calls)
    )
    assert (found.silent_since("cdm", clock()) is not None) is silent
    assert found.silent_since("other", clock()) is None


def test_two_operators_turn_two_switches_at_once(any_app: Flask, clock: Clock) -> None:
    with any_app.app_context():
        for name in ("paypal", "stripe_connect"):
            with unit_of_work() as session:
                switching.turn(
                    session, switching.METHODS, name,
                    on=False, reason="down", actor="a@example.org", now=clock(),
                )  # fmt: skip
        assert platform().conditions().methods_off == {"paypal", "stripe_connect"}
        with pytest.raises(ServiceError), unit_of_work() as session:
            switching.stop_orders(session, stopped=True, reason=" ", actor="a", now=clock())
        assert list(platform().payments_for_new) == ["bank_transfer"]
        assert platform().payments_for_new.withheld == {"paypal", "stripe_connect"}


def test_a_row_written_by_hand_harms_nobody(app: Flask, clock: Clock) -> None:
    with app.app_context():
        db.session.add(
            Switch(
                name="dates.cdm",
                value={"opens": "soon"},
                changed_by="somebody",
                changed_at=clock(),
            )
        )
        db.session.commit()
        assert platform().conditions().dates == {}
        assert platform().registry_dates["cdm"].opens is None


def test_what_was_known_holds_while_the_database_is_away(app: Flask) -> None:
    with app.app_context():
        db.session.connection().exec_driver_sql("ALTER TABLE switch RENAME TO away")
        db.session.commit()
        assert platform().conditions() == Conditions()


def test_a_process_asks_again_after_two_seconds(
    app: Flask, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    app.testing = False
    moment = 1000.0
    monkeypatch.setattr("cnn_offset.conditions.monotonic", lambda: moment)
    with app.app_context():
        here = platform()
        assert not here.conditions().orders_stopped
        with unit_of_work() as session:
            switching.stop_orders(session, stopped=True, reason="x", actor="a", now=clock())
        assert not here.conditions().orders_stopped
        moment += 2.1
        assert here.conditions().orders_stopped

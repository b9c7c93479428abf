"""Nights of comparing with a registry: each seeded difference is found, and nothing else."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

import pytest
from click.testing import CliRunner, Result
from flask import Flask
from sqlalchemy import select

from cnn_offset import cli_application, jobs
from cnn_offset.cli_reconcile import reconcile
from cnn_offset.domain.calendar import RegistryDates
from cnn_offset.domain.status import DifferenceStatus
from cnn_offset.domain.units import SerialRange
from cnn_offset.extensions import db, unit_of_work
from cnn_offset.models import (
    Cancellation,
    Difference,
    DifferenceKind,
    Event,
    Hindrance,
    Night,
    NightStep,
)
from cnn_offset.plugins.errors import OutcomeUnknownError, RefusedError
from cnn_offset.plugins.registries.base import CancellationEntry, CancellationPage
from cnn_offset.services import ServiceError, differing, reconciled, reconciling
from cnn_offset.services.attention import Kind, attention
from tests.services.conftest import Shop
from tests.services.test_holdings import mirror

K, S = DifferenceKind, DifferenceStatus
both = pytest.mark.parametrize(
    "any_app", ["sqlite", pytest.param("postgres", marks=pytest.mark.postgres)], indirect=True
)
"""On both databases: what locks, or asks by an index of a few rows."""


@pytest.fixture
def any_app(request: pytest.FixtureRequest, make_app: Callable[..., Flask]) -> Flask:
    if getattr(request, "param", "sqlite") == "sqlite":
        return make_app()
    return make_app(DATABASE_URL=request.getfixturevalue("new_postgres")())


def buy(shop: Shop, quantity: int = 10) -> Cancellation:
    """Order, pay and have cancelled."""
    payment_id = shop.open(shop.order(quantity))
    shop.money(payment_id)
    shop.work(rounds=1)
    return shop.cancellation(shop.payment(payment_id).order_id)


def begin(shop: Shop, **dates: datetime) -> Night:
    with unit_of_work() as session:
        [night] = reconciling.begin_nights(
            session, {"cdm": RegistryDates(**dates)}, now=shop.clock()
        )
        night_id = night.id
    return db.session.get_one(Night, night_id)


def go_on(shop: Shop, night: Night, *, turns: int = 10) -> Night:
    """Work on a night until it is over, with the accounts it has read."""
    night_id = night.id
    for _ in range(turns):
        jobs.do("night", night_id)
        jobs.sweep(tables=["registry_account"])
        db.session.expire_all()
        found = db.session.get_one(Night, night_id)
        if found.step is NightStep.DONE:
            return found
        shop.clock.tick(minutes=3)
    return found


def a_night(shop: Shop, *, days: float = 1) -> Night:
    """Let a day pass and compare."""
    shop.clock.tick(hours=24 * days)
    return go_on(shop, begin(shop))


def differences() -> list[tuple[Any, Any]]:
    db.session.expire_all()
    return [(each.kind, each.status) for each in db.session.scalars(select(Difference))]


def elsewhere(shop: Shop, first: int, units: int, key: str = "") -> CancellationEntry:
    """Let somebody cancel units by another channel."""
    block = shop.offer.block
    made = CancellationEntry(
        registry_ref=f"X-{len(shop.registry.others) + 1}",
        key=key,
        account_ref=block.account_ref,
        block_ref=block.block_ref,
        ranges=[SerialRange(block.series, first, first + units - 1, f"x{first}", "y")],
        completed_at=shop.clock(),
    )
    shop.registry.others.append(made)
    return made


@both
def test_what_agrees_is_counted_once(shop: Shop) -> None:
    mirror(shop)
    rows = [buy(shop, 10), buy(shop, 20)]
    elsewhere(shop, 1, 7)
    elsewhere(shop, 100, 5, key="somebody-else-1")
    night = a_night(shop)
    assert (night.matched, night.matched_units) == (2, 30)
    assert (night.elsewhere, night.elsewhere_units) == (2, 12)
    assert (night.blocks, night.units, night.found) == (1, 970, 0)
    assert (night.hindrance, night.words) == (None, "")
    assert differences() == []
    assert all(db.session.get_one(Cancellation, row.id).listed_at for row in rows)
    again = a_night(shop)
    assert (again.id > night.id, again.matched, again.elsewhere) == (True, 0, 0)
    buy(shop, 3)
    assert a_night(shop).matched == 1


def test_pages_and_turns_count_each_once(shop: Shop, monkeypatch: pytest.MonkeyPatch) -> None:
    mirror(shop)
    for _ in range(5):
        buy(shop, 1)
    shop.registry.listed_at_once = 2
    monkeypatch.setattr(reconciling, "PAGES", 1)
    shop.clock.tick(hours=2)
    night = begin(shop)
    jobs.do("night", night.id)
    db.session.expire_all()
    assert (night.matched, night.step, night.cursor) == (2, NightStep.LIST, "2")
    elsewhere(shop, 1, 7)
    night = go_on(shop, night)
    assert (night.matched, night.elsewhere, night.step) == (5, 0, NightStep.DONE), "too young"
    assert (a_night(shop).elsewhere, differences()) == (1, [])


def test_what_the_registry_did_lately_is_left_to_the_next_night(shop: Shop) -> None:
    """It may be done and not listed, or listed and not heard of."""
    mirror(shop)
    old = buy(shop, 10)
    shop.clock.tick(hours=1)
    young = buy(shop, 20)
    night = go_on(shop, begin(shop))
    assert (night.matched, night.skip) == (1, 1)
    assert db.session.get_one(Cancellation, old.id).listed_at
    assert db.session.get_one(Cancellation, young.id).listed_at is None
    assert differences() == []
    assert a_night(shop).matched == 1


@pytest.mark.parametrize("skew", [timedelta(minutes=1), timedelta(days=1), -timedelta(days=1)])
def test_only_the_registrys_clock_is_asked(shop: Shop, skew: timedelta) -> None:
    mirror(shop)
    ours = shop.registry.clock
    shop.registry.clock = lambda: ours() + skew
    buy(shop, 10)
    shop.clock.tick(hours=1)
    night = go_on(shop, begin(shop))
    assert (night.matched, differences()) == (1, [])


# Differences, seeded one by one


@both
def test_only_in_our_books(shop: Shop) -> None:
    mirror(shop)
    row, entry = buy(shop), shop.registry.entries[-1]
    shop.registry.entries.clear()
    shop.registry.books[row.block_ref] = replace(shop.registry.books[row.block_ref], held=990)
    assert a_night(shop).found == 1
    assert differences() == [(K.OURS_ONLY, S.OPEN)]
    [waits] = attention(db.session(), now=shop.clock(), kinds=[Kind.BOOKS])
    assert waits.name == row.key
    assert a_night(shop).found == 0, "the same, once"
    # The registry lists it after all.
    late = replace(entry.report, completed_at=shop.clock())
    shop.registry.entries.append(replace(entry, report=late))
    shop.registry.books[row.block_ref] = replace(shop.registry.books[row.block_ref], held=1000)
    a_night(shop)
    assert differences() == [(K.OURS_ONLY, S.GONE)]
    assert db.session.scalars(select(Difference)).one().remark == differing.LISTED


@pytest.mark.parametrize("known", [False, True])
def test_only_in_their_books(shop: Shop, known: bool) -> None:
    """Under a key of ours: of an order that we have, or from before a restored backup."""
    mirror(shop)
    if known:
        payment_id = shop.open(shop.order(10))
        shop.registry.faults = ["after"]
        shop.registry.blind = 10_000
        shop.money(payment_id)
        shop.work(rounds=1)
    else:
        elsewhere(shop, shop.offer.block.first, 10, key="c-ABC234-17")
    night = a_night(shop)
    assert (night.found, night.matched, night.elsewhere) == (1, 0, 0)
    assert differences() == [(K.THEIRS_ONLY, S.OPEN)]
    [row] = db.session.scalars(select(Difference))
    assert (row.theirs["units"], row.order_id is not None) == (10, known)
    if known:
        shop.registry.blind = 0
        shop.work(rounds=2)
        a_night(shop)
        assert differences() == [(K.THEIRS_ONLY, S.GONE)]
        assert db.session.scalars(select(Difference)).one().remark == differing.AGREES


@pytest.mark.parametrize("what", ["account", "fewer", "numbers", "twice"])
def test_other_units_than_ours(shop: Shop, what: str) -> None:
    mirror(shop)
    row = buy(shop)
    entry = shop.registry.entries[-1]
    only = entry.report.ranges[0]
    if what == "account":
        entry.request = replace(entry.request, account_ref="ELSEWHERE")
    elif what == "twice":
        more = replace(only, first=only.last + 1, last=only.last + 10)
        report = replace(entry.report, registry_ref="T-2", ranges=[more])
        shop.registry.entries.append(replace(entry, report=report))
    else:
        last = only.last - 1 if what == "fewer" else only.last + 5
        first = only.first if what == "fewer" else only.first + 5
        entry.report = replace(entry.report, ranges=[replace(only, first=first, last=last)])
    assert a_night(shop).found == 1
    assert differences() == [(K.DIFFERING, S.OPEN)]
    [found] = db.session.scalars(select(Difference))
    assert (found.cancellation_id, found.order_id) == (row.id, row.order_id)
    assert found.theirs != found.ours


def test_the_same_units_written_otherwise_agree(shop: Shop) -> None:
    mirror(shop)
    buy(shop)
    entry = shop.registry.entries[-1]
    only = entry.report.ranges[0]
    parts = [replace(only, first=only.first + 4), replace(only, last=only.first + 3)]
    entry.report = replace(entry.report, ranges=parts)
    assert a_night(shop).matched == 1
    assert differences() == []


@both
def test_units_taken_twice(shop: Shop) -> None:
    mirror(shop)
    row = buy(shop)
    elsewhere(shop, row.ranges[0].last, 5)
    night = a_night(shop)
    assert (night.matched, night.elsewhere, night.found) == (1, 1, 1)
    assert differences() == [(K.TAKEN_TWICE, S.OPEN)]
    a_night(shop)
    assert differences() == [(K.TAKEN_TWICE, S.OPEN)], "it does not end by itself"


# A person's word


@both
def test_a_person_settles_and_it_does_not_come_back(shop: Shop) -> None:
    mirror(shop)
    row = buy(shop)
    shop.registry.entries.clear()
    a_night(shop)
    [found] = db.session.scalars(select(Difference))
    for remark, now in (("", shop.clock()), ("  ", shop.clock())):
        with pytest.raises(ServiceError), unit_of_work() as session:
            differing.settle(session, found.id, remark=remark, actor="op@x", now=now)
    with unit_of_work() as session:
        differing.settle(session, found.id, remark="told us", actor="op@x", now=shop.clock())
    with pytest.raises(ServiceError, match="meanwhile"), unit_of_work() as session:
        differing.settle(session, found.id, remark="me too", actor="two@x", now=shop.clock())
    event = db.session.scalars(
        select(Event).where(Event.subject == "difference").order_by(Event.id.desc())
    ).first()
    assert event is not None
    assert (event.old, event.new, event.actor, event.why) == ("open", "settled", "op@x", "told us")
    assert a_night(shop).found == 0
    assert differences() == [(K.OURS_ONLY, S.SETTLED)]
    # Something else about it is another difference.
    with unit_of_work() as session:
        session.get_one(Cancellation, row.id).registry_ref = "T-77"
    assert a_night(shop).found == 1


# Bad nights


def test_a_silent_registry_is_given_up_in_the_morning(
    shop: Shop, monkeypatch: pytest.MonkeyPatch
) -> None:
    mirror(shop)
    buy(shop)

    def silent(_cursor: str) -> CancellationPage:
        raise OutcomeUnknownError("answer 503", retry_after=timedelta(minutes=40))

    with monkeypatch.context() as patch:
        patch.setattr(shop.registry, "list_cancellations", silent)
        night = begin(shop)
        assert not jobs.do("night", night.id)
        db.session.expire_all()
        assert night.due_at is not None
        assert night.due_at >= shop.clock() + timedelta(minutes=40)
        shop.clock.tick(hours=7)
        night = go_on(shop, night)
    assert (night.hindrance, night.due_at, "503" in night.words) == (Hindrance.SILENT, None, True)
    assert a_night(shop).matched == 1, "the next night goes on where it was"


def test_a_refused_cursor_begins_anew(shop: Shop, monkeypatch: pytest.MonkeyPatch) -> None:
    mirror(shop)
    buy(shop)
    a_night(shop)
    buy(shop)
    real = shop.registry.list_cancellations

    def forgetful(cursor: str) -> CancellationPage:
        if cursor:
            raise RefusedError("unknown cursor")
        return real(cursor)

    monkeypatch.setattr(shop.registry, "list_cancellations", forgetful)
    night = a_night(shop)
    assert (night.hindrance, night.words, night.cursor) == (
        Hindrance.REFUSED,
        "unknown cursor",
        "",
    )
    assert night.blocks == 1, "the accounts are read all the same"
    night = a_night(shop)
    assert (night.hindrance, night.matched, differences()) == (None, 2, [])


@pytest.mark.parametrize("how", ["shorter", "timeless"])
def test_a_list_that_cannot_be_judged(
    shop: Shop, monkeypatch: pytest.MonkeyPatch, how: str
) -> None:
    mirror(shop)
    buy(shop)
    if how == "shorter":
        shop.clock.tick(hours=1)
        buy(shop)
        assert go_on(shop, begin(shop)).skip == 1
        shop.registry.entries.clear()
        shop.registry.books[shop.offer.block.block_ref] = replace(
            shop.registry.books[shop.offer.block.block_ref], held=980
        )
    else:
        page = CancellationPage((), "", more=False)
        monkeypatch.setattr(shop.registry, "list_cancellations", lambda _: page)
    night = a_night(shop)
    assert night.hindrance is Hindrance.REFUSED
    assert differences() == []


def test_too_many_differences_are_one_trouble(shop: Shop, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reconciling, "TOO_MANY", 3)
    mirror(shop)
    shop.registry.listed_at_once = 2
    for n in range(8):
        elsewhere(shop, 10 * n + 1, 2, key=f"c-ABC234-{n}")
    night = a_night(shop)
    assert (night.hindrance, night.found, night.cursor) == (Hindrance.TOO_MANY, 4, "4")


def test_a_closed_registry_and_one_not_open(shop: Shop) -> None:
    mirror(shop)
    night = begin(shop, closed=shop.clock() - timedelta(days=1))
    assert (night.hindrance, night.step, night.due_at) == (Hindrance.CLOSED, NightStep.DONE, None)
    assert jobs.do("night", night.id), "nothing is left to do"
    shop.clock.tick(hours=24)
    night = begin(shop, opens=shop.clock() + timedelta(days=1))
    assert (night.hindrance, night.step) == (None, NightStep.DONE)


def test_one_night_a_day_and_none_lost(shop: Shop) -> None:
    mirror(shop)
    first = begin(shop)
    assert begin(shop).id == first.id
    shop.clock.tick(hours=-30)
    assert begin(shop).id == first.id, "a clock that steps back begins no other"
    shop.clock.tick(hours=60)
    second = begin(shop)
    db.session.expire_all()
    assert (first.step, first.hindrance) == (NightStep.DONE, Hindrance.NO_TIME)
    assert go_on(shop, second).hindrance is None
    assert reconciling.next_night(shop.clock()) > shop.clock()


def test_an_account_that_is_refused_keeps_no_night_open(
    shop: Shop, monkeypatch: pytest.MonkeyPatch
) -> None:
    mirror(shop)

    def refuse(*_: object, **__: object) -> object:
        raise RefusedError("no such account")

    monkeypatch.setattr(shop.registry, "list_blocks", refuse)
    night = go_on(shop, begin(shop), turns=60)
    assert (night.step, night.blocks, night.words) == (NightStep.DONE, 0, "accounts not read: 1")


@both
def test_a_turn_that_was_overtaken_counts_nothing(shop: Shop) -> None:
    mirror(shop)
    buy(shop)
    shop.clock.tick(hours=2)
    night = begin(shop)
    real = shop.registry.list_cancellations

    def slow(cursor: str) -> CancellationPage:
        page = real(cursor)
        with unit_of_work() as session:
            session.get_one(Night, night.id).cursor = "1"
        return page

    shop.registry.list_cancellations = slow  # type: ignore[method-assign]
    assert not jobs.do("night", night.id)
    db.session.expire_all()
    assert night.matched == 0


def test_the_last_nights_for_everybody(shop: Shop) -> None:
    mirror(shop)
    assert reconciled.last_nights(db.session(), ["cdm", "a64_interim"]) == {}
    for _ in range(3):
        a_night(shop)
    buy(shop)
    shop.registry.entries.clear()
    a_night(shop)
    begin(shop)
    shown = reconciled.last_nights(db.session(), ["cdm", "a64_interim"], nights=3)
    assert [(each.night.found, each.open) for each in shown["cdm"]] == [(1, 1), (0, 0), (0, 0)]


def test_the_chore_begins_a_night_and_work_ends_it(shop: Shop) -> None:
    from cnn_offset.chores import CHORES

    mirror(shop)
    buy(shop)
    shop.clock.tick(hours=2)
    due_at = CHORES["reconcile"](jobs.platform())
    assert due_at.hour == reconciling.HOUR
    for _ in range(5):
        jobs.sweep(tables=["night", "registry_account"])
        shop.clock.tick(minutes=3)
    nights = db.session.scalars(select(Night).where(Night.registry_id == "cdm")).all()
    assert [(each.step, each.matched) for each in nights] == [(NightStep.DONE, 1)]


def test_on_command(shop: Shop, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cli_application, "application", lambda: shop.app)

    def run(name: str = "cdm") -> Result:
        return CliRunner().invoke(reconcile, [name])

    mirror(shop)
    row = buy(shop)
    shop.clock.tick(hours=2)
    assert "no registry" in run("nothing").output
    good = run()
    assert good.exit_code == 0, good.output
    assert "agree: 1 (10 units)" in good.output
    assert "blocks read:              1 (990 units)" in good.output
    assert run().output == good.output, "once a day"
    shop.clock.tick(hours=24)
    elsewhere(shop, row.ranges[0].first, 1)
    shop.clock.tick(hours=2)
    bad = run()
    assert bad.exit_code == 1
    assert "differences found:        1" in bad.output

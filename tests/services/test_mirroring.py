"""Reading accounts by what changed, page by page, on the registry's bad days."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import timedelta

import pytest
from flask import Flask
from sqlalchemy import select

from cnn_offset import jobs
from cnn_offset.domain.status import DifferenceStatus, OfferStatus
from cnn_offset.domain.units import Obstacle, SerialRange, UnitType
from cnn_offset.extensions import db, unit_of_work
from cnn_offset.models import (
    AccountKind,
    Activity,
    Block,
    Difference,
    DifferenceKind,
    Provider,
    Reading,
    RegistryAccount,
)
from cnn_offset.plugins.errors import OutcomeUnknownError
from cnn_offset.plugins.loader import PluginSet
from cnn_offset.services import differing, holdings, registry_lists
from cnn_offset.services.attention import Kind, attention
from tests.factories import make_activity, make_provider
from tests.services.conftest import Shop
from tests.telling import TellingRegistry

HOUR = timedelta(hours=1)


@pytest.fixture
def any_app(make_app: Callable[..., Flask]) -> Flask:
    """SQLite only: what differs on PostgreSQL is in test_holdings."""
    return make_app()


@dataclass
class Mirror:
    """The shop with a registry that tells what changes, and its account."""

    shop: Shop
    registry: TellingRegistry
    account_id: int

    @property
    def account(self) -> RegistryAccount:
        db.session.expire_all()
        return db.session.get_one(RegistryAccount, self.account_id)

    @property
    def block(self) -> Block:
        return self.shop.offer.block

    @property
    def ref(self) -> str:
        return self.block.block_ref

    def read(self, *, hours: float = 1) -> list[tuple[str, bool]]:
        """Let time go on and read; return the pages that were asked for."""
        self.shop.clock.tick(hours=hours)
        self.registry.asked.clear()
        assert jobs.do("registry_account", self.account_id)
        return list(self.registry.asked)

    def blocks(self, account_ref: str = "") -> dict[str, tuple[int, str]]:
        db.session.expire_all()
        wanted = Block.account_ref == (account_ref or self.block.account_ref)
        rows = db.session.scalars(select(Block).where(wanted))
        return {each.block_ref: (each.reported, each.obstacle) for each in rows}

    def differences(self) -> list[tuple[str, str]]:
        db.session.expire_all()
        rows = db.session.scalars(select(Difference).order_by(Difference.id))
        return [(str(each.kind), str(each.status)) for each in rows]


@pytest.fixture
def mirror(shop: Shop) -> Mirror:
    old = shop.registry
    registry = TellingRegistry(shop.clock, old.serials)
    shop.registry = registry
    here = shop.app.extensions["cnn_offset"]
    shop.app.extensions["cnn_offset"] = replace(here, registries=PluginSet({"cdm": registry}))
    block = shop.offer.block
    registry.issue(block.account_ref, block.activity.ref, block.issued, block.block_ref)
    account_id = opened(shop, block.provider, block.account_ref, [block.activity])
    made = Mirror(shop, registry, account_id)
    made.read(hours=0)
    return made


def opened(shop: Shop, provider: Provider, account_ref: str, activities: list[Activity]) -> int:
    with unit_of_work() as session:
        account = holdings.open_account(
            session, session.get_one(Provider, provider.id), registry_id="cdm",
            account_ref=account_ref, kind=AccountKind.PERMANENT, now=shop.clock(),
        )  # fmt: skip
        for each in activities:
            holdings.map_activity(
                session, account, session.get_one(Activity, each.id), actor="op", now=shop.clock()
            )
        return account.id


# Only what changed


def test_hours_ask_only_for_changes_and_a_day_for_everything(mirror: Mirror) -> None:
    assert mirror.account.whole_at == mirror.shop.clock()
    for _ in range(3):
        assert mirror.read() == [("", True)]
    mirror.registry.take(mirror.ref, 100)
    assert mirror.read() == [("", True)]
    assert mirror.blocks()[mirror.ref] == (900, "")
    assert mirror.shop.offer.quantity == 900
    whole_at = mirror.account.whole_at
    # Everything, and then once more what changed in between, which is no difference.
    assert mirror.read(hours=25) == [("", False), ("", True)]
    assert mirror.account.whole_at != whole_at
    assert mirror.account.listed_units == 900
    assert mirror.differences() == []


def test_what_left_is_gone_at_once_and_what_came_is_there(mirror: Mirror) -> None:
    activity = mirror.block.activity
    mirror.registry.remove(mirror.ref)
    series = SerialRange("KE", 1, 9, "KE-1", "KE-9")
    mirror.registry.issue(mirror.block.account_ref, activity.ref, series, "NEW")
    assert mirror.read() == [("", True)]
    assert mirror.blocks() == {mirror.ref: (0, ""), "NEW": (9, "")}
    assert mirror.shop.offer.status is OfferStatus.CLOSED


@pytest.mark.parametrize("skew", [timedelta(minutes=-1), timedelta(minutes=1), timedelta(days=-1), timedelta(days=1)])  # fmt: skip
def test_the_registrys_clock_may_be_wrong(mirror: Mirror, skew: timedelta) -> None:
    registry = mirror.registry
    registry.skew = skew
    with unit_of_work() as session:
        session.get_one(RegistryAccount, mirror.account_id).whole_at = None
    mirror.read()
    for units in (10, 20, 30):
        # Told late: it was changed before the last reading, and shows only now.
        registry.take(mirror.ref, units)
        registry.changed[mirror.ref] -= timedelta(minutes=5)
        assert mirror.read(hours=0.1) == [("", True)]
        assert mirror.blocks()[mirror.ref][0] == registry.left(mirror.ref)
    # Set right: back by a day it looks strange, and everything is read.
    registry.skew = timedelta(0)
    mirror.read()
    registry.take(mirror.ref, 5)
    mirror.read()
    mirror.read(hours=0)
    assert mirror.blocks()[mirror.ref][0] == registry.left(mirror.ref)


def test_a_clock_that_steps_back_has_everything_read(mirror: Mirror) -> None:
    mirror.registry.skew = -timedelta(days=1)
    mirror.registry.books[mirror.ref] = replace(mirror.registry.books[mirror.ref], held=700)
    assert mirror.read() == [("", True)]
    assert mirror.account.due_at == mirror.shop.clock(), "again, at once, and everything"
    assert ("", False) in mirror.read(hours=0)
    assert mirror.blocks()[mirror.ref][0] == 700


def test_mapping_and_asking_read_everything(mirror: Mirror) -> None:
    activity = make_activity()
    db.session.commit()
    series = SerialRange("KE", 1, 9, "KE-1", "KE-9")
    mirror.registry.issue(mirror.block.account_ref, activity.ref, series, "OTHER")
    mirror.read()
    assert "OTHER" not in mirror.blocks()
    mirror.shop.clock.tick(hours=2)
    opened(mirror.shop, mirror.block.provider, mirror.block.account_ref, [activity])
    assert mirror.read()[0] == ("", False)
    assert mirror.blocks()["OTHER"] == (9, "")
    mirror.shop.clock.tick(hours=2)
    with unit_of_work() as session:
        provider_id = mirror.block.provider_id
        holdings.ask_again(session, provider_id, mirror.account_id, now=mirror.shop.clock())
    assert mirror.read(hours=0)[0] == ("", False)


def test_a_large_account_in_which_nothing_changed_costs_one_page(mirror: Mirror) -> None:
    activity, ref = mirror.block.activity, mirror.block.account_ref
    for n in range(350):
        first = 10 * n + 1
        serials = SerialRange("KE", first, first + 9, f"KE-{first}", f"KE-{first + 9}")
        mirror.registry.issue(ref, activity.ref, serials, f"B{n}")
    assert len(mirror.read()) == 4, "they are new"
    mirror.shop.clock.tick(hours=1)
    assert mirror.read() == [("", True)]
    assert len(mirror.blocks()) == 351


# Lists that break off


def test_a_list_that_is_turned_away_goes_on_where_it_was(mirror: Mirror) -> None:
    activity, ref = mirror.block.activity, mirror.block.account_ref
    for n in range(4):
        serials = SerialRange("KE", 10 * n + 1, 10 * n + 9, "a", "b")
        mirror.registry.issue(ref, activity.ref, serials, f"B{n}")
    mirror.registry.page_size = 2
    with unit_of_work() as session:
        account = session.get_one(RegistryAccount, mirror.account_id)
        account.whole_at = account.changes_from = None
    mirror.registry.turned_away = 1
    mirror.registry.asked.clear()
    assert not jobs.do("registry_account", mirror.account_id)
    assert [cursor for cursor, _ in mirror.registry.asked] == ["", "2"]
    assert len(mirror.blocks()) == 1, "nothing was written"
    due_at = mirror.account.due_at
    assert due_at is not None
    assert due_at >= mirror.shop.clock() + timedelta(minutes=7)
    assert mirror.read() == [("2", False), ("4", False)] or mirror.registry.asked[0][0] == ""
    assert len(mirror.blocks()) == 5
    assert db.session.scalars(select(Reading)).all() == []


def test_a_list_that_broke_off_long_ago_is_read_anew(mirror: Mirror) -> None:
    mirror.registry.page_size = 1
    activity, ref = mirror.block.activity, mirror.block.account_ref
    mirror.registry.issue(ref, activity.ref, SerialRange("KE", 1, 9, "a", "b"), "B1")
    with unit_of_work() as session:
        session.get_one(RegistryAccount, mirror.account_id).whole_at = None
    mirror.registry.turned_away = 1
    assert not jobs.do("registry_account", mirror.account_id)
    assert mirror.read(hours=2)[0] == ("", False)
    assert len(mirror.blocks()) == 2


def test_a_long_list_is_read_in_turns(mirror: Mirror, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(registry_lists, "AT_ONCE", timedelta(seconds=-1))
    activity, ref = mirror.block.activity, mirror.block.account_ref
    for n in range(4):
        serials = SerialRange("KE", 10 * n + 1, 10 * n + 9, "a", "b")
        mirror.registry.issue(ref, activity.ref, serials, f"B{n}")
    mirror.registry.page_size = 2
    with unit_of_work() as session:
        account = session.get_one(RegistryAccount, mirror.account_id)
        account.whole_at = account.changes_from = None
    turns = [[cursor for cursor, _ in mirror.read(hours=0)] for _ in range(3)]
    assert turns == [[""], ["2"], ["4"]]
    assert len(mirror.blocks()) == 5


def test_an_order_cancelled_between_two_turns_is_not_counted_twice(mirror: Mirror) -> None:
    """What was cancelled while a list was broken off may or may not be in what was listed."""
    shop, registry = mirror.shop, mirror.registry
    activity, ref = mirror.block.activity, mirror.block.account_ref
    registry.issue(ref, activity.ref, SerialRange("KE", 1, 9, "a", "b"), "B1")
    registry.page_size = 1
    with unit_of_work() as session:
        account = session.get_one(RegistryAccount, mirror.account_id)
        account.whole_at = account.changes_from = None
    registry.turned_away = 1
    assert not jobs.do("registry_account", mirror.account_id)
    payment_id = shop.open(shop.order(40))
    shop.money(payment_id)
    shop.work(rounds=2)
    mirror.read(hours=0.2)
    assert shop.offer.block.held == 960
    assert (shop.offer.quantity, shop.offer.cancelled) == (1000, 40)


# What changes while it is read


def test_a_block_that_splits_shrinks_its_offer(mirror: Mirror) -> None:
    mirror.registry.split(mirror.ref, 600, "REST")
    assert mirror.read() == [("", True)]
    assert mirror.blocks() == {mirror.ref: (600, ""), "REST": (400, "")}
    assert mirror.shop.offer.quantity == 600
    assert mirror.differences() == []


def test_blocks_that_merge_oversell_nothing(mirror: Mirror) -> None:
    mirror.registry.split(mirror.ref, 600, "REST")
    mirror.read()
    whole = mirror.registry.books[mirror.ref]
    rest = mirror.registry.books["REST"]
    joined = replace(whole.issued, last=rest.issued.last, last_text="d")
    mirror.registry.remove("REST")
    mirror.registry.put(replace(whole, issued=joined, held=1000))
    mirror.read()
    assert mirror.blocks() == {mirror.ref: (1000, ""), "REST": (0, "")}
    assert mirror.shop.offer.quantity == 600, "more is offered only at the provider's wish"


def test_a_block_that_splits_while_it_is_read(mirror: Mirror) -> None:
    """The first page has the whole block, a later one its second half."""
    activity, ref = mirror.block.activity, mirror.block.account_ref
    mirror.registry.issue(ref, activity.ref, SerialRange("KE", 1, 9, "a", "b"), "A")
    mirror.read()
    mirror.registry.page_size = 1
    with unit_of_work() as session:
        session.get_one(RegistryAccount, mirror.account_id).whole_at = None
    mirror.registry.between = [lambda: mirror.registry.split(mirror.ref, 600, "REST")]
    mirror.read()
    assert mirror.blocks() == {mirror.ref: (600, ""), "A": (9, ""), "REST": (400, "")}
    assert mirror.shop.offer.quantity == 600
    assert mirror.differences() == []


def test_a_block_whose_other_half_is_not_told_has_everything_read(mirror: Mirror) -> None:
    mirror.read()
    mirror.registry.deaf_to = {mirror.ref}
    mirror.registry.split(mirror.ref, 600, "REST")
    assert mirror.read() == [("", True)]
    assert mirror.account.due_at == mirror.shop.clock()
    mirror.read(hours=0)
    assert mirror.blocks() == {mirror.ref: (600, ""), "REST": (400, "")}
    assert mirror.differences() == [("holding", "open")], "it had not told everything"


def test_a_block_that_moves_has_its_old_account_read(mirror: Mirror) -> None:
    shop, registry = mirror.shop, mirror.registry
    buyer = make_provider()
    db.session.commit()
    other_id = opened(shop, buyer, "OTHER", [mirror.block.activity])
    registry.issue("OTHER", mirror.block.activity.ref, SerialRange("KE", 1, 9, "a", "b"), "A")
    assert jobs.do("registry_account", other_id)
    # It moves without a word to the old account.
    moved = registry.books.pop(mirror.ref)
    registry.put(replace(moved, account_ref="OTHER", block_ref="MOVED"))
    shop.clock.tick(minutes=10)
    assert jobs.do("registry_account", other_id)
    assert mirror.account.due_at == shop.clock(), "at once"
    mirror.read(hours=0)
    assert mirror.blocks()[mirror.ref] == (0, "")
    assert shop.offer.status is OfferStatus.CLOSED


# What cannot be


@pytest.mark.parametrize("what", ["held", "twice", "overlap", "odd"])
def test_nothing_is_offered_of_a_block_that_cannot_be(mirror: Mirror, what: str) -> None:
    registry, ref = mirror.registry, mirror.ref
    activity, account_ref = mirror.block.activity, mirror.block.account_ref
    good = registry.books[ref]
    registry.issue(account_ref, activity.ref, SerialRange("KE", 1, 9, "a", "b"), "GOOD")
    if what == "held":
        registry.put(replace(good, held=1001))
    elif what == "twice":
        registry.books["again"] = replace(
            good, issued=replace(good.issued, last=good.issued.last - 1)
        )
        registry.touch("again")
        registry.touch(ref)
    elif what == "overlap":
        serials = replace(good.issued, first=good.issued.last, first_text="x")
        registry.put(replace(good, block_ref="LAPS", issued=serials, held=1))
        registry.touch(ref)
    else:
        registry.odd = {ref: "serial numbers that make no sense"}
        registry.books.pop(ref)
    mirror.read()
    assert mirror.blocks()[ref] == (1000, Obstacle.CONTRADICTORY), "as it was, and not offered"
    assert mirror.blocks()["GOOD"] == (9, ""), "others stand"
    found = attention(db.session(), now=mirror.shop.clock(), kinds=[Kind.HOLDINGS])
    assert found
    assert all(each.detail == "cdm: report" for each in found)
    assert mirror.shop.offer.quantity == 1000
    # Set right, it goes on as before, and the difference ends by itself.
    registry.odd = {}
    registry.books = {ref: good, "GOOD": registry.books["GOOD"]}
    registry.touch(ref)
    with unit_of_work() as session:
        session.get_one(RegistryAccount, mirror.account_id).whole_at = None
    mirror.read()
    assert mirror.blocks()[ref] == (1000, "")
    assert {status for _, status in mirror.differences()} == {"gone"}


def test_a_block_of_another_activity_waits_for_a_person(mirror: Mirror) -> None:
    other = make_activity()
    db.session.commit()
    opened(mirror.shop, mirror.block.provider, mirror.block.account_ref, [other])
    was = mirror.block.activity_id
    mirror.registry.put(replace(mirror.registry.books[mirror.ref], activity_ref=other.ref))
    for _ in range(2):
        mirror.read()
        assert mirror.blocks()[mirror.ref] == (1000, Obstacle.CONTRADICTORY)
        assert mirror.block.activity_id == was
        assert mirror.differences() == [("report", "open")]
    with unit_of_work() as session:
        [found] = session.scalars(select(Difference))
        differing.settle(
            session, found.id, remark="It is so.", actor="op@x", now=mirror.shop.clock()
        )
    with unit_of_work() as session:
        session.get_one(RegistryAccount, mirror.account_id).whole_at = None
    mirror.read()
    assert mirror.blocks()[mirror.ref] == (1000, "")
    assert mirror.block.activity_id != was


def test_a_change_that_was_not_told_is_found_at_night(mirror: Mirror) -> None:
    mirror.read()
    mirror.registry.deaf_to = {mirror.ref}
    mirror.registry.take(mirror.ref, 250)
    mirror.read()
    assert mirror.blocks()[mirror.ref][0] == 1000
    mirror.read(hours=25)
    assert mirror.blocks()[mirror.ref][0] == 750, "put right"
    [row] = db.session.scalars(select(Difference))
    assert (row.kind, row.status) == (DifferenceKind.HOLDING, DifferenceStatus.OPEN)
    assert (row.ours["held"], row.theirs["held"]) == (1000, 750)
    mirror.read(hours=26)
    assert mirror.differences() == [("holding", "gone")]


def test_our_own_cancellations_are_no_difference(mirror: Mirror) -> None:
    shop = mirror.shop
    payment_id = shop.open(shop.order(40))
    shop.money(payment_id)
    shop.work(rounds=2)
    mirror.read(hours=25)
    assert mirror.differences() == []
    assert shop.offer.block.held == 960


def test_units_that_change_type_are_not_cancelled_for_what_they_were(mirror: Mirror) -> None:
    shop, registry = mirror.shop, mirror.registry
    payment_id = shop.open(shop.order(10))
    good = registry.books[mirror.ref]
    registry.put(replace(good, unit_type=UnitType.A64ER_CONTRIBUTION))
    mirror.read(hours=0.1)
    assert mirror.block.unit_type is UnitType.A64ER_CONTRIBUTION
    shop.money(payment_id)
    shop.work(rounds=3)
    row = shop.cancellation(shop.payment(payment_id).order_id)
    assert (row.status, row.sends, registry.sent) == ("rejected", 0, [])
    assert shop.status(row.order_id) == "in_review"
    assert row.line.unit_type is UnitType.CER, "as ordered"


def test_who_tells_no_changes_is_read_whole_each_time(mirror: Mirror) -> None:
    def plain(*args: object, **kwargs: object) -> object:
        page = TellingRegistry.page_blocks(mirror.registry, *args)  # type: ignore[arg-type]
        return replace(page, registry_time=None, gone=())

    mirror.registry.page_blocks = plain  # type: ignore[method-assign,assignment]
    mirror.read()
    mirror.read(hours=0)
    assert mirror.account.changes_from is None
    assert mirror.read() == [("", False)]


def test_pages_that_go_round_are_given_up(mirror: Mirror) -> None:
    mirror.registry.page_size = 0
    with unit_of_work() as session:
        session.get_one(RegistryAccount, mirror.account_id).whole_at = None
    assert not jobs.do("registry_account", mirror.account_id)
    assert "circle" in mirror.account.last_error


# Patience


@pytest.mark.parametrize(
    ("wait", "least"), [(timedelta(minutes=20), 20), (timedelta(days=1), 60), (None, 0)]
)
def test_work_comes_no_earlier_than_the_registry_asks(
    shop: Shop, monkeypatch: pytest.MonkeyPatch, wait: timedelta | None, least: int
) -> None:
    payment_id = shop.open(shop.order(10))
    shop.money(payment_id)
    order_id = shop.payment(payment_id).order_id

    def turned_away(*_: object) -> object:
        raise OutcomeUnknownError("answer 429", retry_after=wait)

    for name in ("fetch", "cancel"):
        with monkeypatch.context() as patch:
            patch.setattr(shop.registry, name, turned_away)
            shop.clock.tick(hours=2)
            jobs.do("cancellation", shop.cancellation(order_id).id)
        row = shop.cancellation(order_id)
        assert row.due_at is not None
        assert row.due_at >= shop.clock() + timedelta(minutes=least)
        assert row.due_at <= shop.clock() + timedelta(minutes=max(least, 1))
    # A 429 to the request itself says nothing of what became of it.
    assert shop.cancellation(order_id).status == "unknown"
    shop.clock.tick(hours=2)
    shop.work(rounds=60)
    assert shop.cancellation(order_id).status == "confirmed"
    assert shop.registry.units() == 10

"""Figures kept for reports: counted from the orders, anew when something of a day changes."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from functools import partial
from typing import Any

import pytest
from flask import Flask
from sqlalchemy import func, insert, select, update

from cnn_offset import jobs
from cnn_offset.domain.casework import CaseKind, CaseSide
from cnn_offset.domain.payment import FactKind, FactStatus
from cnn_offset.domain.period import Period
from cnn_offset.domain.status import AttestationStatus, CaseStatus, OrderStatus
from cnn_offset.domain.units import UnitType
from cnn_offset.extensions import db, unit_of_work
from cnn_offset.models import Case, Chore, Event, Figure, PaymentFact, Span, Tally, TallyPlace
from cnn_offset.services import cases, noticing, tallying
from cnn_offset.services.checking import check_all
from cnn_offset.services.moves import move, note
from tests.conftest import Clock
from tests.factories import make_activity, make_block
from tests.papers import DONE, make_attestation, make_order
from tests.services.conftest import Shop
from tests.services.test_races import at_once
from tests.services.test_reporting import came, november, pay

SECOND = date(2026, 11, 2)


def count(clock: Clock) -> int:
    """Do the turn of the chore and count the days it has marked; return how many."""
    with unit_of_work() as session:
        noticing.notice(session, now=clock())
    due = db.session.scalars(select(Tally.id).where(Tally.due_at <= clock())).all()
    db.session.rollback()
    for row_id in due:
        assert jobs.do("tally", row_id, due_only=True)
    db.session.expire_all()
    return len(due)


def kept(span: Span = Span.DAY, first: date = SECOND) -> tallying.Counts:
    return tallying.kept(db.session(), span, first)


def test_a_whole_sale_is_counted_by_the_days_it_happened(shop: Shop) -> None:
    order_id = shop.order(10)
    payment_id = shop.open(order_id)
    shop.clock.tick(days=1)
    shop.money(payment_id)
    shop.work()
    assert shop.status(order_id) is OrderStatus.FULFILLED
    assert count(shop.clock) >= 2
    assert kept()["placed", "status", "fulfilled"] == (1, 10, 0)
    assert kept()["placed", "currency", "USD"] == (1, 10, 2500)
    assert ("paid", "all", "") not in kept()
    third = kept(first=date(2026, 11, 3))
    assert third["paid", "money", "paypal:USD"] == (1, 10, 2500)
    assert third["cancelled", "host", "KE"] == (1, 10, 0)
    assert third["cancelled", "technology", "wind"] == (1, 10, 0)
    assert third["cancelled", "purchaser", "person"] == (1, 10, 0)
    assert third["cancelled", "registry", "cdm"] == (1, 10, 0)
    month = kept(Span.MONTH, date(2026, 11, 1))
    assert month == kept(Span.YEAR, date(2026, 1, 1))
    assert month["placed", "all", ""] == month["paid", "all", ""] == (1, 10, 0)


def test_a_late_refund_makes_its_own_day_and_that_of_the_order_anew(
    any_app: Flask, clock: Clock
) -> None:
    with any_app.app_context():
        order = make_order(paid_at=november(2), status=OrderStatus.REFUND_DUE)
        payment = pay(order, came(2500, november(2)))
        assert count(clock) == 1
        assert kept()["placed", "status", "refund_due"] == (1, 10, 0)
        clock.tick(days=40)
        back = november(2) + timedelta(days=39)
        for minor in (500, 2500):
            # Told twice, first a smaller amount: the larger counts, once.
            payment.facts.append(
                PaymentFact(
                    kind=FactKind.REFUND,
                    ref="R1",
                    status=FactStatus.DONE,
                    amount_minor=minor,
                    currency="USD",
                    at=back,
                    actor="test",
                    recorded_at=clock(),
                )
            )
        db.session.commit()
        with unit_of_work() as session:
            move(session, order, OrderStatus.REFUNDED, actor="t", why="t", now=clock())
        # The day of the order, of the refund, and today.
        assert count(clock) == 3
        assert ("placed", "status", "refund_due") not in kept()
        assert kept()["placed", "status", "refunded"] == (1, 10, 0)
        assert kept(first=back.date()) == {
            ("refunded", "all", ""): (1, 0, 0),
            ("refunded", "money", "paypal:USD"): (1, 0, 2500),
        }
        year = kept(Span.YEAR, date(2026, 1, 1))
        assert year["placed", "all", ""] == (1, 10, 0)
        found = check_all(db.session, jobs.platform().files)
        assert not [each for each in found if "figures" in each]


def test_what_is_counted_by_which_day_and_value(any_app: Flask, clock: Clock) -> None:
    with any_app.app_context():
        forest = make_activity(host_party="BR", technology="reforestation", registry_id="a64_final")
        attestation = make_attestation(
            make_block(),
            make_block(forest, unit_type=UnitType.A64ER_AUTHORISED),
            paid_at=DONE - timedelta(minutes=21, seconds=1),
            purchaser_kind="person",
            country="FR",
        )
        with unit_of_work():
            attestation.issued_at = DONE + timedelta(minutes=1)
            attestation.sha256 = "0" * 64
            db.session.add(attestation)
        with unit_of_work() as session:
            move(session, attestation, AttestationStatus.ISSUED, actor="t", why="t", now=clock())
        count(clock)
        found = kept()
        assert found["cancelled", "all", ""] == (2, 20, 0)
        assert found["cancelled", "unit_type", "cer"] == (1, 10, 0)
        assert found["cancelled", "unit_type", "a64er_authorised"] == (1, 10, 0)
        assert found["cancelled", "host", "BR"] == (1, 10, 0)
        assert found["cancelled", "technology", "reforestation"] == (1, 10, 0)
        assert found["cancelled", "country", "FR"] == (2, 20, 0)
        assert found["placed", "country", "FR"] == (1, 20, 0)
        assert found["placed", "purchaser", "person"] == (1, 20, 0)
        # 22 minutes and a second: a minute that has begun counts.
        assert found["attested", "minutes", "30"] == (1, 0, 0)


@pytest.mark.parametrize(
    ("minutes", "value"), [(0, "1"), (1, "1"), (4, "5"), (1441, "2880"), (10**7, "525601")]
)
def test_times_are_kept_as_limits(minutes: int, value: str) -> None:
    assert tallying.within(minutes) == value


def test_the_first_and_the_last_moment_of_a_day(app: Flask, clock: Clock) -> None:
    with app.app_context():
        first = datetime(2026, 11, 2, tzinfo=UTC)
        last = first + timedelta(days=1, microseconds=-1)
        for at in (first - timedelta(microseconds=1), first, last, first + timedelta(days=1)):
            make_order(placed_at=at, paid_at=at, status=OrderStatus.PAID)
        assert tallying.count_day(db.session(), SECOND)["placed", "all", ""] == (2, 20, 0)
        assert tallying.count_day(db.session(), SECOND)["paid", "all", ""] == (2, 20, 0)
        assert tallying.count_day(db.session(), date(2026, 11, 5)) == {}


def test_young_rows_of_the_history_are_read_once_more(app: Flask, clock: Clock) -> None:
    """One with a lower id may become visible after one with a higher."""
    with app.app_context():
        order = make_order()

        def happen() -> None:
            with unit_of_work() as session:
                note(session, order, old="", new="x", actor="t", why="t", now=clock())

        happen()
        assert count(clock) == 1
        clock.tick(minutes=1)
        assert count(clock) == 1
        clock.tick(minutes=5)
        assert count(clock) == 1
        clock.tick(minutes=1)
        assert count(clock) == 0
        place = db.session.get_one(TallyPlace, "event").last_id
        assert place == db.session.scalar(select(func.max(Event.id)))
        # A clock that stepped back since does not keep the rest waiting.
        clock.tick(days=3)
        happen()
        clock.tick(days=-3)
        happen()
        clock.tick(minutes=10)
        assert count(clock) == 3 - 1
        assert count(clock) == 0


def test_a_long_history_is_read_in_parts(
    app: Flask, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(noticing, "BATCH", 3)
    with app.app_context():
        orders = [make_order(placed_at=november(day)) for day in (1, 2, 3, 4)]
        for order in orders:
            with unit_of_work() as session:
                note(session, order, old="", new="x", actor="t", why="t", now=november(1))
        clock.tick(days=5)
        chore = db.session.scalars(select(Chore).where(Chore.name == "figures")).one()
        before = clock()
        assert jobs.do("chore", chore.id)
        assert db.session.get_one(Chore, chore.id, populate_existing=True).due_at == before
        assert jobs.do("chore", chore.id)
        chore = db.session.get_one(Chore, chore.id, populate_existing=True)
        assert chore.due_at == before + timedelta(minutes=1)
        assert db.session.scalar(select(func.count()).select_from(Tally)) == 4


def test_what_changes_while_a_day_is_counted_is_counted_again(app: Flask, clock: Clock) -> None:
    with app.app_context():
        order = make_order()
        with unit_of_work() as session:
            note(session, order, old="", new="x", actor="t", why="t", now=clock())
            noticing.notice(session, now=clock())
        tally = db.session.scalars(select(Tally)).one()
        fence = jobs._claim(Tally, tally.id, now=clock(), due_only=True)
        assert fence is not None
        with unit_of_work() as session:
            tallying.make_day(session, SECOND, now=clock())
            noticing.notice(session, now=clock())
        jobs._finish(Tally, tally.id, fence, due_at=None, error="", now=clock())
        again = db.session.get_one(Tally, tally.id, populate_existing=True)
        assert again.due_at == clock()


def test_made_from_the_beginning(any_app: Flask, clock: Clock) -> None:
    """Rebuilding gives what noticing gave; what nobody ordered any more goes."""
    with any_app.app_context():
        for at in (datetime(2025, 12, 31, tzinfo=UTC), november(1), november(2)):
            order = make_order(placed_at=at, paid_at=at, status=OrderStatus.PAID)
            with unit_of_work() as session:
                note(session, order, old="", new="x", actor="t", why="t", now=clock())
        count(clock)
        wanted = everything()
        assert wanted
        with unit_of_work() as session:
            session.execute(update(Figure).values(number=77))
        assert tallying.first_day(db.session()) == date(2025, 12, 31)
        with unit_of_work() as session:
            session.add(
                Figure(
                    span=Span.DAY,
                    first=date(2025, 11, 30),
                    measure="placed",
                    dimension="all",
                    value="",
                    number=1,
                    units=1,
                    minor=0,
                )
            )
        with unit_of_work() as session:
            tallying.forget_outside(session, date(2025, 12, 1), clock().date())
        for code in ("2025-12", "2026-11"):
            with unit_of_work() as session:
                tallying.make_month(session, Period.parse(code), now=clock())
        assert everything() == wanted


def everything() -> list[Any]:
    db.session.expire_all()
    rows = db.session.scalars(
        select(Figure).order_by(
            Figure.span, Figure.first, Figure.measure, Figure.dimension, Figure.value
        )
    )
    return [
        (r.span, r.first, r.measure, r.dimension, r.value, r.number, r.units, r.minor) for r in rows
    ]


def test_adding_up_finds_figures_that_are_not_as_the_orders_say(app: Flask, clock: Clock) -> None:
    with app.app_context():
        order = make_order(placed_at=november(1))
        with unit_of_work() as session:
            note(session, order, old="", new="x", actor="t", why="t", now=november(1))
        count(clock)

        def faults() -> list[str]:
            db.session.expire_all()
            found = noticing.unread_days(db.session())
            assert found is not None
            return list(tallying.check(db.session(), unread=found))

        clock.tick(days=1)
        count(clock)
        assert faults() == []
        for span, words in (
            (Span.DAY, "not as the orders say"),
            (Span.MONTH, "month from 2026-11-01: not the sum"),
            (Span.YEAR, "year from 2026-01-01: not the sum"),
        ):
            with unit_of_work() as session:
                change = update(Figure).where(Figure.span == span, Figure.measure == "placed")
                session.execute(change.values(units=Figure.units + 1))
            assert any(words in each for each in faults()), faults()
            with unit_of_work() as session:
                session.execute(change.values(units=Figure.units - 1))
        # A day that waits to be counted, or of which something is unread, is not compared.
        with unit_of_work() as session:
            session.execute(update(Figure).values(units=Figure.units + 1))
            note(session, order, old="", new="x", actor="t", why="t", now=november(1))
        assert faults() == []


def test_cases_and_corrections_are_counted(any_app: Flask, clock: Clock) -> None:
    with any_app.app_context():
        asked = cases.Asked(CaseKind.ORDER, CaseSide.VISITOR, "eve@example.org", "en", "Help")
        with unit_of_work() as session:
            case = cases.open_case(session, asked, now=clock())
        for status in (CaseStatus.CLOSED, CaseStatus.OPEN, CaseStatus.ESCALATED):
            clock.tick(days=1)
            with unit_of_work() as session:
                case = session.get_one(Case, case.id)
                assert move(session, case, status, actor="t", why="t", now=clock())
        with unit_of_work() as session:
            session.connection().execute(
                insert(Event).values(
                    subject="correction",
                    subject_id=1,
                    old="asked",
                    new="corrected",
                    actor="t",
                    why="t",
                    at=clock(),
                )
            )
        assert count(clock) == 4
        # Opened once, however often it was opened again.
        assert kept() == {("cases", "all", ""): (1, 0, 0), ("cases", "kind", "order"): (1, 0, 0)}
        assert kept(first=clock().date()) == {
            ("cases", "claims", ""): (1, 0, 0),
            ("corrected", "all", ""): (1, 0, 0),
        }


def test_days_of_one_year_are_counted_at_once(shop: Shop) -> None:
    """Their month and year are the sum of all of them, and nobody waits for ever."""
    days = [date(2026, 11, 1), SECOND, date(2026, 12, 1)]
    for day in days:
        shop.clock.now = datetime(day.year, day.month, day.day, 9, tzinfo=UTC)
        shop.order(1)

    def make(day: date) -> None:
        with unit_of_work() as session:
            tallying.make_day(session, day, now=shop.clock())

    def notice() -> None:
        with unit_of_work() as session:
            noticing.notice(session, now=shop.clock())

    for _ in range(2):
        calls = [partial(make, day) for day in (*days, *days)]
        assert set(at_once(shop, *calls, notice)) == {None}
    assert kept(Span.MONTH, date(2026, 11, 1))["placed", "all", ""] == (2, 2, 0)
    assert kept(Span.YEAR, date(2026, 1, 1))["placed", "all", ""] == (3, 3, 0)


def test_nothing_is_counted_of_nothing(app: Flask, clock: Clock) -> None:
    with app.app_context():
        assert count(clock) == 0
        assert tallying.first_day(db.session()) is None
        assert everything() == []

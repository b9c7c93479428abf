"""Fees from the schedule to the statement, whatever happens to the order in between."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, date, datetime, timedelta
from typing import Any

import pytest
from flask import Flask
from sqlalchemy import select

from cnn_offset import jobs
from cnn_offset.chores import CHORES
from cnn_offset.domain.fee import TierLine
from cnn_offset.domain.money import Money
from cnn_offset.domain.payment import Fact, FactKind, FactStatus
from cnn_offset.domain.status import FeeStatementStatus, OrderStatus
from cnn_offset.domain.units import UnitType
from cnn_offset.extensions import db, unit_of_work
from cnn_offset.models import (
    Event,
    FeeConsent,
    FeeSchedule,
    FeeStatement,
    FeeStatementLine,
    Message,
    Order,
    OrderFee,
    Payment,
    Provider,
)
from cnn_offset.services import (
    NotFoundError,
    ServiceError,
    charging,
    fee_schedules,
    fee_statements,
)
from cnn_offset.services.fee_statements import share_of_refund
from tests.factories import make_provider
from tests.services.conftest import Shop

OP = "op@example.org"
LINES = [
    TierLine(1, UnitType.CER, 1, 100, 500),
    TierLine(2, UnitType.CER, 101, None, 200),
]


def announce(shop: Shop, lines: list[TierLine] = LINES, days: int = 30) -> int:
    with unit_of_work() as session:
        made = fee_schedules.announce(
            session,
            lines,
            shop.clock().date() + timedelta(days=days),
            reason="The Board decided so",
            actor=OP,
            now=shop.clock(),
        )
        return made.id


def switch(shop: Shop, *, on: bool = True) -> None:
    with unit_of_work() as session:
        fee_schedules.switch(
            session, on=on, pay_to="IBAN XY", reason="decided", actor=OP, now=shop.clock()
        )


def accept(shop: Shop, schedule_id: int) -> None:
    with unit_of_work() as session:
        provider_id = session.scalars(select(Provider.id)).first()
        assert provider_id
        fee_schedules.accept(
            session, provider_id, schedule_id, actor="owner@example.org", now=shop.clock()
        )


def charge(shop: Shop, lines: list[TierLine] = LINES) -> int:
    """Announce a schedule, accept it and wait for its day."""
    schedule_id = announce(shop, lines)
    switch(shop)
    accept(shop, schedule_id)
    shop.clock.tick(days=30)
    return schedule_id


def fee(order_id: int) -> OrderFee:
    db.session.expire_all()
    return db.session.get_one(OrderFee, order_id)


def volume() -> int:
    db.session.rollback()
    provider_id = db.session.scalars(select(Provider.id)).first()
    assert provider_id
    year = max(db.session.scalars(select(Order.placed_at))).year
    return charging.volumes(db.session(), provider_id, year).get(UnitType.CER, 0)


def state(shop: Shop, months: int = 0) -> list[FeeStatement]:
    """Write the statements of the month that is over and return all there are."""
    db.session.rollback()
    CHORES["fee_statements"](jobs.platform())
    db.session.expire_all()
    return list(db.session.scalars(select(FeeStatement).order_by(FeeStatement.id)))


def next_month(shop: Shop) -> None:
    shop.clock.now = fee_statements.next_month(shop.clock())


def lines(statement: FeeStatement) -> dict[int, int]:
    rows = db.session.scalars(
        select(FeeStatementLine).where(FeeStatementLine.statement_id == statement.id)
    )
    return {each.order_id: each.amount_minor for each in rows}


@pytest.fixture
def any_app(make_app: Callable[..., Flask]) -> Flask:
    """SQLite is enough for these; what differs is in test_charging_races.py."""
    return make_app()


# Schedules


def test_off_by_default_nothing_is_charged(shop: Shop) -> None:
    announce(shop)
    shop.clock.tick(days=40)
    order_id = shop.order(10)
    assert db.session.get(OrderFee, order_id) is None
    assert not db.session.scalars(select(Provider)).one().fees_unaccepted


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"days": 29}, "Providers are told at least"),
        ({"days": 0}, "Providers are told at least"),
        ({"days": -5}, "Providers are told at least"),
        ({"lines": []}, "Please fill in at least one line."),
        ({"lines": [TierLine(1, UnitType.CER, 5, None, 100)]}, "Please look at the lines below."),
    ],
)
def test_a_schedule_that_cannot_be_is_refused(
    shop: Shop, changes: dict[str, Any], message: str
) -> None:
    with pytest.raises(ServiceError, match=message):
        announce(shop, **changes)
    assert db.session.scalars(select(FeeSchedule)).all() == []


def test_a_schedule_needs_a_reason_and_a_day_of_its_own(shop: Shop) -> None:
    with pytest.raises(ServiceError, match="reason"), unit_of_work() as session:
        day = shop.clock().date() + timedelta(days=40)
        fee_schedules.announce(session, LINES, day, reason=" ", actor=OP, now=shop.clock())
    announce(shop)
    with pytest.raises(ServiceError, match="Another schedule"):
        announce(shop)
    announce(shop, days=31)


def test_announcing_tells_every_provider_and_leaves_a_trace(shop: Shop) -> None:
    make_provider(email="other@example.org", locale="fr")
    db.session.commit()
    schedule_id = announce(shop)
    mails = db.session.scalars(select(Message).where(Message.kind == "fee_announced")).all()
    assert len({each.recipient for each in mails}) == 2
    event = db.session.scalars(select(Event).where(Event.subject == "fee_schedule")).one()
    assert (event.subject_id, event.actor) == (schedule_id, OP)


def test_a_new_schedule_leaves_the_one_in_force_alone(shop: Shop) -> None:
    first = charge(shop)
    second = announce(shop, [TierLine(1, UnitType.CER, 1, None, 0)])
    assert fee(shop.order(10)).schedule_id == first
    accept(shop, second)
    assert fee(shop.order(10)).schedule_id == first
    shop.clock.tick(days=30)
    assert fee(shop.order(10)).schedule_id == second


def test_switching_needs_a_reason_and_how_to_pay(shop: Shop) -> None:
    for pay_to, reason in (("", "why"), ("IBAN", " ")):
        with pytest.raises(ServiceError), unit_of_work() as session:
            fee_schedules.switch(
                session, on=True, pay_to=pay_to, reason=reason, actor=OP, now=shop.clock()
            )
    assert not charging.are_on(db.session())


# Consent


def test_without_consent_no_fee_and_from_the_day_on_no_orders(shop: Shop) -> None:
    schedule_id = announce(shop)
    switch(shop)
    assert db.session.get(OrderFee, shop.order(10)) is None
    shop.clock.tick(days=30)
    checkout_id = None
    # The day's chore has not run yet: placing the order looks for itself.
    checkout_id = shop.checkout(10)
    with pytest.raises(ServiceError, match="no new orders"):
        shop.place(checkout_id)
    CHORES["fee_days"](jobs.platform())
    db.session.expire_all()
    assert db.session.scalars(select(Provider)).one().fees_unaccepted
    with pytest.raises(ServiceError, match="no new orders"):
        shop.checkout(10)
    accept(shop, schedule_id)
    db.session.expire_all()
    assert not db.session.scalars(select(Provider)).one().fees_unaccepted
    assert fee(shop.order(10)).amount_minor == 10 * 250 * 5 // 100
    accept(shop, schedule_id)
    assert len(db.session.scalars(select(FeeConsent)).all()) == 1


def test_a_schedule_of_the_past_cannot_be_accepted(shop: Shop) -> None:
    first = announce(shop)
    announce(shop, days=31)
    shop.clock.tick(days=31)
    for wrong in (first, 999):
        with pytest.raises(NotFoundError):
            accept(shop, wrong)


def test_switched_off_everybody_sells_again(shop: Shop) -> None:
    announce(shop)
    switch(shop)
    shop.clock.tick(days=30)
    switch(shop)
    CHORES["fee_days"](jobs.platform())
    switch(shop, on=False)
    db.session.expire_all()
    assert not db.session.scalars(select(Provider)).one().fees_unaccepted
    assert db.session.get(OrderFee, shop.order(10)) is None


# Orders


def test_tiers_by_the_volume_of_the_year(shop: Shop) -> None:
    charge(shop)
    assert [fee(shop.order(n)).amount_minor for n in (90, 20, 10)] == [
        90 * 250 * 5 // 100,
        10 * 250 * 5 // 100 + 10 * 250 * 2 // 100,
        10 * 250 * 2 // 100,
    ]
    assert volume() == 120
    shop.clock.now = datetime(2027, 1, 1, tzinfo=UTC)
    assert fee(shop.order(10)).amount_minor == 10 * 250 * 5 // 100


def test_other_kinds_of_units_bear_none(shop: Shop) -> None:
    charge(shop, [TierLine(1, UnitType.A64ER_AUTHORISED, 1, None, 500)])
    made = fee(shop.order(10))
    assert (made.amount_minor, made.parts, volume()) == (0, [], 0)


def test_ended_orders_give_their_volume_back(shop: Shop) -> None:
    charge(shop)
    order_id = shop.order(90)
    assert volume() == 90
    shop.clock.tick(days=4)
    shop.work(rounds=2)
    assert shop.status(order_id) is OrderStatus.LAPSED
    assert volume() == 0
    assert fee(shop.order(90)).amount_minor == 90 * 250 * 5 // 100


# Statements


def test_a_bank_transfer_is_billed_once(shop: Shop) -> None:
    charge(shop)
    order_id = shop.order(10, "bank_transfer")
    payment_id = shop.open(order_id, "bank_transfer")
    assert shop.payment(payment_id).fee_minor == 0
    next_month(shop)
    assert state(shop) == [], "nothing is due before it is paid"
    shop.bank_money(order_id, Money(2500, "USD"))
    next_month(shop)
    [made] = state(shop)
    assert (made.number, made.total_minor, made.status) == ("FS000001", 125, "open")
    assert lines(made) == {order_id: 125}
    assert made.data["pay_to"] == ["IBAN XY"]
    assert state(shop) == [made]
    next_month(shop)
    assert state(shop) == [made]
    mail = db.session.scalars(select(Message).where(Message.kind == "fee_statement")).one()
    assert mail.params == {"statement_id": made.id}


def test_what_the_processor_takes_is_not_billed(shop: Shop) -> None:
    charge(shop)
    shop.pay.fees = True
    order_id = shop.order(10)
    payment_id = shop.open(order_id)
    request = shop.pay.requests[shop.payment(payment_id).processor_ref]
    assert request.fee == Money(125, "USD")
    shop.money(payment_id)
    assert shop.payment(payment_id).facts[0].platform_minor == 125
    next_month(shop)
    assert state(shop) == []
    assert not fee(order_id).unsettled


def test_what_the_processor_did_not_take_is_billed(shop: Shop) -> None:
    charge(shop)
    shop.pay.fees = True
    order_id = shop.order(10)
    payment_id = shop.open(order_id)
    shop.money(payment_id, platform=Money(100, "USD"))
    next_month(shop)
    [made] = state(shop)
    assert lines(made) == {order_id: 25}


def test_a_silent_processor_is_believed(shop: Shop) -> None:
    charge(shop)
    shop.pay.fees = True
    payment_id = shop.open(shop.order(10))
    shop.money(payment_id, platform=None)
    next_month(shop)
    assert state(shop) == []


def refund(shop: Shop, payment_id: int, minor: int, platform: int | None = None) -> None:
    ref = shop.payment(payment_id).processor_ref
    back = Fact(
        FactKind.REFUND,
        f"r-{minor}-{len(shop.pay.facts[ref])}",
        FactStatus.DONE,
        Money(minor, "USD"),
        None,
        shop.clock(),
        platform=None if platform is None else Money(platform, "USD"),
    )
    shop.pay.facts[ref].append(back)
    jobs.do("payment", payment_id)


def test_refunds_give_their_part_back(shop: Shop) -> None:
    """A refund that kept the fee is made up for by the next statement, in proportion."""
    charge(shop)
    shop.pay.fees = True
    order_id = shop.order(10)
    payment_id = shop.open(order_id)
    shop.money(payment_id)
    shop.work(rounds=3)
    assert shop.status(order_id) is OrderStatus.FULFILLED
    next_month(shop)
    assert state(shop) == []
    refund(shop, payment_id, 1000)
    next_month(shop)
    [made] = state(shop)
    assert lines(made) == {order_id: -50}
    assert made.total == Money(-50, "USD")
    refund(shop, payment_id, 1500, platform=75)
    next_month(shop)
    assert state(shop) == [made], "the processor gave the rest back"


def test_a_refund_through_us_takes_the_fee_along(shop: Shop) -> None:
    charge(shop)
    shop.pay.fees = True
    payment_id = shop.open(shop.order(10))
    shop.money(payment_id)
    payment = shop.payment(payment_id)
    assert share_of_refund(payment, Money(2500, "USD")) == 125
    assert share_of_refund(payment, Money(1000, "USD")) == 50
    refund(shop, payment_id, 1000, platform=50)
    assert share_of_refund(shop.payment(payment_id), Money(1500, "USD")) == 75


def test_a_billed_order_that_is_refunded_comes_back(shop: Shop) -> None:
    charge(shop)
    order_id = shop.order(10)
    payment_id = shop.open(order_id)
    shop.money(payment_id)
    shop.work(rounds=3)
    next_month(shop)
    [first] = state(shop)
    assert lines(first) == {order_id: 125}
    refund(shop, payment_id, 2500)
    next_month(shop)
    _, second = state(shop)
    assert lines(second) == {order_id: -125}


def test_settling_needs_a_reason_and_is_kept(shop: Shop) -> None:
    charge(shop)
    shop.money(shop.open(shop.order(10)))
    next_month(shop)
    [made] = state(shop)

    def settle(new: FeeStatementStatus, reason: str) -> bool:
        with unit_of_work() as session:
            return fee_statements.settle(
                session, made.id, new, reason=reason, actor=OP, now=shop.clock()
            )

    with pytest.raises(ServiceError):
        settle(FeeStatementStatus.SETTLED, " ")
    assert settle(FeeStatementStatus.SETTLED, "paid, ref 7")
    assert not settle(FeeStatementStatus.SETTLED, "again")
    assert settle(FeeStatementStatus.OPEN, "wrong one")
    with unit_of_work() as session, pytest.raises(NotFoundError):
        fee_statements.find(session, made.id, provider_id=made.provider_id + 1)
    events = fee_statements.history(db.session(), made)
    assert [each.why for each in events][:2] == ["wrong one", "paid, ref 7"]


def test_the_check_sees_what_is_wrong(shop: Shop) -> None:
    charge(shop)
    order_id = shop.order(10)
    shop.money(shop.open(order_id))
    next_month(shop)
    state(shop)

    def spoil(row: Any, **values: Any) -> list[str]:
        before = {name: getattr(row, name) for name in values}
        for name, value in values.items():
            setattr(row, name, value)
        db.session.flush()
        found = shop_findings()
        for name, value in before.items():
            setattr(row, name, value)
        db.session.commit()
        return found

    def shop_findings() -> list[str]:
        from cnn_offset.services.fee_checks import check_fees

        return list(check_fees(db.session()))

    assert shop_findings() == []
    statement = db.session.scalars(select(FeeStatement)).one()
    own = fee(order_id)
    assert "its parts say" in spoil(own, amount_minor=7)[0]
    assert "volume of provider" in spoil(own, counted=False)[0]
    assert "its lines say" in spoil(statement, total_minor=1)[0]
    assert "highest number" in spoil(statement, sequence=9)[0]
    line = db.session.scalars(select(FeeStatementLine)).one()
    assert any("on no statement" in each for each in spoil(line, amount_minor=100))
    assert db.session.get_one(Payment, 1).fee_minor == 0


def test_the_next_turns(shop: Shop) -> None:
    turns: dict[str, Callable[..., datetime]] = dict(CHORES)
    shop.clock.now = datetime(2026, 12, 31, 23, 30, tzinfo=UTC)
    assert turns["fee_days"](jobs.platform()) == datetime(2027, 1, 1, tzinfo=UTC)
    assert turns["fee_statements"](jobs.platform()) == datetime(2027, 1, 1, 1, tzinfo=UTC)
    assert date(2027, 1, 1).year == 2027

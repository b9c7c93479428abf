"""A provider's orders: found, reminded of, kept open, withdrawn; on both databases."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from sqlalchemy import event, select

from cnn_offset import jobs
from cnn_offset.domain.calendar import CANCELLING, RegistryDates
from cnn_offset.domain.money import Money
from cnn_offset.domain.period import Period
from cnn_offset.domain.reference import creditor_reference
from cnn_offset.domain.staff import StaffRole
from cnn_offset.domain.status import OrderStatus, PayoutStatus
from cnn_offset.extensions import db, unit_of_work
from cnn_offset.models import Checkout, Event, Message, Order, PayoutMethod, User
from cnn_offset.services import ServiceError, checking_out, inbox, ordering, selling
from cnn_offset.services.inbox import InboxQuery, Tray
from cnn_offset.services.moves import move
from tests.factories import make_block, make_offer, make_payout, make_provider
from tests.services.conftest import DATES, DETAILS, Shop
from tests.services.test_races import at_once

BANK = ["bank_transfer"]
STAFF = "staff@example.org"
FIRM = replace(
    DETAILS,
    purchaser_kind="company",
    company="Łódź Looms GmbH",
    tax_id="PL 5261040828",
    purchase_order="PO-2026/17",
)


def place(shop: Shop, details: ordering.PurchaserDetails, method: str = "paypal") -> int:
    checkout_id = shop.checkout(1)
    with unit_of_work() as session:
        checkout = session.get_one(Checkout, checkout_id)
        offer = checkout.lines[0].offer
        return ordering.place_orders(
            session,
            checkout,
            details,
            {(offer.provider_id, offer.currency): method},
            plugins=jobs.platform().payments,
            registry_dates=DATES,
            now=shop.clock(),
        )[0].id


def bank(shop: Shop, quantity: int = 10) -> int:
    order_id = shop.order(quantity, "bank_transfer")
    shop.open(order_id, "bank_transfer")
    return order_id


def found(shop: Shop, tray: Tray = Tray.ALL, text: str = "", **changes: Any) -> list[int]:
    db.session.rollback()
    orders = inbox.find_orders(
        db.session(),
        shop.offer.provider_id,
        InboxQuery(tray, text=text, **changes),
        bank_methods=BANK,
        limit=50,
    )
    return [each.id for each in orders]


def mails(kind: str) -> list[Message]:
    db.session.rollback()
    return list(db.session.scalars(select(Message).where(Message.kind == kind)))


def test_trays(shop: Shop) -> None:
    undealt, dealt, lapsed, odd = (bank(shop) for _ in range(4))
    paid = shop.order(10)
    shop.money(shop.open(paid))
    waits = shop.order(10)
    fulfilled = shop.order(10)
    shop.money(shop.open(fulfilled))
    with unit_of_work() as session:
        selling.mark_in_progress(
            session, session.get_one(Order, dealt), actor=STAFF, now=shop.clock()
        )
        order = session.get_one(Order, lapsed)
        ordering.end_unpaid(
            session, order, OrderStatus.LAPSED, actor="clock", why="test", now=shop.clock()
        )
    assert lapsed not in found(shop, Tray.ENDED), "its payment was open, so it could not end"
    jobs.withdraw_order(jobs.platform(), lapsed, actor="purchaser")
    shop.bank_money(odd, Money(1, "USD"))
    assert found(shop) == [fulfilled, waits, paid, odd, lapsed, dealt, undealt]
    assert found(shop, Tray.UNDEALT) == [undealt]
    assert found(shop, Tray.WAITING) == [waits, dealt, undealt]
    assert found(shop, Tray.PAID) == [fulfilled, paid]
    assert found(shop, Tray.REVIEW) == [odd]
    assert found(shop, Tray.ENDED) == [lapsed]
    assert found(shop, Tray.FULFILLED) == []
    assert found(shop, method_id="bank_transfer") == [odd, lapsed, dealt, undealt]
    assert found(shop, Tray.WAITING, method_id="paypal") == [waits]
    assert found(shop, Tray.UNDEALT, method_id="paypal") == []
    counts = inbox.count_orders(db.session(), shop.offer.provider_id, bank_methods=BANK)
    assert counts == {
        Tray.UNDEALT: 1,
        Tray.WAITING: 3,
        Tray.PAID: 2,
        Tray.FULFILLED: 0,
        Tray.REVIEW: 1,
        Tray.ENDED: 1,
    }
    assert found(shop, Tray.UNDEALT, text="nothing") == []
    other = inbox.find_orders(
        db.session(), shop.offer.provider_id + 1, InboxQuery(), bank_methods=BANK, limit=50
    )
    assert list(other) == []


def test_pages_go_on_where_the_last_one_ended(shop: Shop) -> None:
    ids = []
    for n in range(7):
        ids.append(bank(shop, 1))
        if n % 2:
            # Two of the same moment are told apart by their ids.
            shop.clock.tick(hours=1)
    for tray, wanted in ((Tray.ALL, ids[::-1]), (Tray.UNDEALT, ids)):
        seen: list[int] = []
        while len(seen) < 7:
            page = inbox.find_orders(
                db.session(),
                shop.offer.provider_id,
                InboxQuery(tray),
                bank_methods=BANK,
                before=seen[-1] if seen else None,
                limit=2,
            )
            assert page
            seen += [each.id for each in page]
        assert seen == wanted
    # The order of somebody else says nothing about where to go on.
    page = inbox.find_orders(
        db.session(),
        shop.offer.provider_id,
        InboxQuery(),
        bank_methods=BANK,
        before=10**6,
        limit=50,
    )
    assert [each.id for each in page] == ids[::-1]


def test_periods(shop: Shop) -> None:
    shop.clock.now = datetime(2026, 10, 31, 23, 59, 59, tzinfo=UTC)
    october = shop.order(1)
    shop.clock.now = datetime(2026, 11, 1, tzinfo=UTC)
    november = shop.order(1)
    assert found(shop, period=Period.parse("2026-10")) == [october]
    assert found(shop, Tray.WAITING, period=Period.parse("2026-11")) == [november]
    assert found(shop, period=Period.parse("2025")) == []


def test_what_an_order_is_found_by(shop: Shop) -> None:
    plain, firm = shop.order(1), place(shop, FIRM)
    order = db.session.get_one(Order, firm)
    code, reference = order.code, creditor_reference(firm)
    for text in (code, code.lower(), f" {code} ", reference, reference.lower(),
                 " ".join(reference[at : at + 4] for at in range(0, len(reference), 4)),
                 "po-2026/17", "PO 2026 17"):  # fmt: skip
        assert found(shop, text=text) == [firm], text
    wrong = f"RF{(int(reference[2:4]) + 1) % 100:02d}{reference[4:]}"
    for text in (wrong, "RF", "RF00", "PO-2026/18", "17 18", "%", "_", "'", "\\", "x" * 200, "0"):
        assert found(shop, text=text) == [], text
    # Who the purchaser is, is not for the provider to know yet, nor to be guessed.
    for text in ("looms", "lodz", "ada@example.org", "Ada Example"):
        assert found(shop, text=text) == [], text
    shop.money(shop.open(firm))
    for text in ("looms", "LODZ looms", "łódź", "Ada Łódź", "gmbh"):
        assert found(shop, text=text) == [firm], text
    assert found(shop, text="Ada@Example.org") == [firm]
    assert found(shop, text="looms sarl") == []
    shop.money(shop.open(plain))
    assert found(shop, text="ada example") == [firm, plain]
    assert found(shop, Tray.WAITING, text="ada") == []


def test_looking_costs_the_same_number_of_queries(shop: Shop) -> None:
    def count(tray: Tray) -> int:
        db.session.rollback()
        db.session.expire_all()
        provider_id = shop.offer.provider_id
        said: list[str] = []

        def listen(*arguments: Any) -> None:
            said.append(arguments[2])

        event.listen(db.engine, "before_cursor_execute", listen)
        try:
            inbox.find_orders(
                db.session(), provider_id, InboxQuery(tray), bank_methods=BANK, limit=50
            )
            inbox.count_orders(db.session(), provider_id, bank_methods=BANK)
        finally:
            event.remove(db.engine, "before_cursor_execute", listen)
        return len([each for each in said if each.startswith("SELECT")])

    bank(shop, 1)
    one = [count(tray) for tray in (Tray.ALL, Tray.UNDEALT, Tray.WAITING)]
    for _ in range(4):
        bank(shop, 1)
    assert [count(tray) for tray in (Tray.ALL, Tray.UNDEALT, Tray.WAITING)] == one == [3, 3, 3]


def test_a_provider_is_reminded_after_two_and_after_five_working_days(shop: Shop) -> None:
    shop.clock.now = datetime(2026, 11, 5, 9, 0, tzinfo=UTC)  # a Thursday
    order_id = bank(shop)
    sent = []
    for _ in range(20):
        shop.work(rounds=1, minutes=720)
        sent.append(len(mails("order_undealt")))
    # Monday and Thursday, at the hour of the order.
    assert (sent.index(1), sent.index(2)) == (8, 14)
    assert max(sent) == 2
    [first, _] = mails("order_undealt")
    order = db.session.get_one(Order, order_id)
    assert first.recipient == order.provider.email
    assert mails("payment_reminder") == []


def test_a_provider_that_deals_with_it_is_not_reminded(shop: Shop) -> None:
    order_id = bank(shop)
    shop.order(1)
    with unit_of_work() as session:
        selling.mark_in_progress(
            session, session.get_one(Order, order_id), actor=STAFF, now=shop.clock()
        )
    shop.work(rounds=12, minutes=1440)
    assert mails("order_undealt") == []


def test_a_sweep_that_slept_reminds_once(shop: Shop) -> None:
    bank(shop)
    shop.clock.tick(days=10)
    shop.work(rounds=3)
    assert len(mails("order_undealt")) == 1


def test_an_order_kept_open_is_reminded_of_its_new_end_and_then_lapses(shop: Shop) -> None:
    order_id = bank(shop)
    shop.clock.tick(days=82)
    shop.work(rounds=2)
    assert [each.dedup[-10:] for each in mails("payment_reminder")] == ["2027-01-31"]
    order = db.session.get_one(Order, order_id)
    choices = ordering.possible_holds(order, registry_dates=DATES, now=shop.clock())
    assert [days for days, _ in choices] == [14, 30, 60, 90]
    db.session.rollback()
    with unit_of_work() as session:
        ordering.keep_open(
            session, session.get_one(Order, order_id), days=90, registry_dates=DATES,
            actor=STAFF, now=shop.clock(),
        )  # fmt: skip
    end = db.session.get_one(Order, order_id, populate_existing=True).pay_by
    assert end == shop.clock() + timedelta(days=90)
    shop.work(rounds=2)
    assert len(mails("payment_reminder")) <= 2
    while shop.clock() < end - timedelta(days=2):
        shop.work(rounds=1, minutes=60 * 24)
    assert mails("payment_reminder")[-1].dedup.endswith(f"{end:%Y-%m-%d}")
    assert shop.status(order_id) is OrderStatus.PLACED
    shop.clock.tick(days=3)
    shop.work(rounds=2)
    assert shop.status(order_id) is OrderStatus.LAPSED
    assert shop.offer.held == 0


def test_holds_end_with_the_registry(shop: Shop) -> None:
    order = db.session.get_one(Order, bank(shop))
    now = order.pay_by - timedelta(days=5)

    def holds(days: int) -> list[tuple[int, datetime]]:
        end = order.pay_by + timedelta(days=days) + CANCELLING
        dates = {"cdm": RegistryDates(last_cancellation=end)}
        return ordering.possible_holds(order, registry_dates=dates, now=now)

    assert holds(0) == []
    assert holds(-40) == [], "never shorter than it waits now"
    assert holds(20) == [(14, now + timedelta(days=14)), (30, order.pay_by + timedelta(days=20))]
    for day in (4, 40):
        assert [days for days, _ in holds(day)] == ([14] if day == 4 else [14, 30, 60])


def test_a_provider_withdraws_and_the_purchaser_reads_why(shop: Shop) -> None:
    order_id = bank(shop)
    for _ in range(2):
        assert jobs.withdraw_order(
            jobs.platform(), order_id, actor=STAFF, reason="We have stopped offering these units."
        )
    assert shop.status(order_id) is OrderStatus.WITHDRAWN
    assert shop.offer.held == 0
    [mail] = mails("order_withdrawn")
    assert mail.params == {"reason": "We have stopped offering these units."}
    last = db.session.scalars(
        select(Event).where(Event.order_id == order_id, Event.new == "withdrawn")
    ).one()
    assert (last.actor, last.why) == (STAFF, "We have stopped offering these units.")


def test_money_that_may_be_on_its_way_keeps_the_order(shop: Shop) -> None:
    order_id = shop.order(10)
    payment_id = shop.open(order_id)
    # Paid at the processor, and we have not heard of it.
    shop.pay.pay(shop.payment(payment_id).processor_ref)
    jobs.withdraw_order(jobs.platform(), order_id, actor=STAFF, reason="no")
    assert shop.status(order_id) is OrderStatus.PAID
    assert mails("order_withdrawn") == []


def test_withdrawing_and_paying_at_once_end_one_way(shop: Shop) -> None:
    for n in range(4):
        order_id = bank(shop, 1)
        results = at_once(
            shop,
            lambda order_id=order_id: jobs.withdraw_order(
                jobs.platform(), order_id, actor=STAFF, reason="no"
            ),
            lambda order_id=order_id, n=n: shop.bank_money(order_id, Money(250, "USD"), f"B{n}"),
        )
        assert not [each for each in results if isinstance(each, Exception)], results
        # Late money takes the units again, so that it ends paid either way.
        assert shop.status(order_id) is OrderStatus.PAID


def test_an_order_survives_the_end_of_its_payout_method(shop: Shop) -> None:
    opened, unopened = bank(shop), shop.order(10, "bank_transfer")
    payout = db.session.scalars(
        select(PayoutMethod).where(PayoutMethod.method_id == "bank_transfer")
    ).one()
    with unit_of_work() as session:
        move(
            session,
            session.get_one(PayoutMethod, payout.id),
            PayoutStatus.REVOKED,
            actor="provider",
            why="test",
            now=shop.clock(),
        )
    shop.clock.tick(minutes=2)
    for order_id in (opened, unopened):
        assert jobs.do("order", order_id), "nothing fails for it"
        assert shop.status(order_id) is OrderStatus.PLACED
    # Whoever has the bank details can still pay; the other one chooses another way.
    shop.bank_money(opened, Money(2500, "USD"))
    assert shop.status(opened) is OrderStatus.PAID
    shop.money(shop.open(unopened))
    assert shop.status(unopened) is OrderStatus.PAID


def test_nobody_buys_from_the_provider_they_work_for(shop: Shop) -> None:
    other = make_provider()
    make_payout(other)
    elsewhere = make_offer(make_block(provider=other)).id
    user = User(
        email=STAFF,
        fs_uniquifier="u1",
        provider_id=shop.offer.provider_id,
        staff_role=StaffRole.SALES,
    )
    db.session.add(user)
    db.session.commit()
    user_id = user.id
    db.session.rollback()

    def start(basket: dict[int, int], who: int | None) -> int:
        with unit_of_work() as session:
            return checking_out.start_checkout(
                session,
                basket,
                locale="en",
                user_id=who,
                registry_dates=DATES,
                hold_for=timedelta(minutes=30),
                now=shop.clock(),
            ).id

    for basket in ({shop.offer_id: 1}, {elsewhere: 1, shop.offer_id: 1}):
        with pytest.raises(ServiceError, match="your own organisation"):
            start(basket, user_id)
        db.session.rollback()
        assert shop.offer.held == 0
    assert start({elsewhere: 1}, user_id)
    # Begun as a guest, then signed in.
    checkout_id = start({shop.offer_id: 1}, None)
    with unit_of_work() as session:
        session.get_one(Checkout, checkout_id).user_id = user_id
    with pytest.raises(ServiceError, match="your own organisation"):
        shop.place(checkout_id)
    db.session.rollback()
    assert db.session.scalars(select(Order)).all() == []


def test_the_contact_is_for_those_whom_money_has_reached(shop: Shop) -> None:
    order_id = bank(shop)

    def look() -> None:
        with unit_of_work() as session:
            selling.see_purchaser(
                session,
                session.get_one(Order, order_id),
                actor=STAFF,
                why="test",
                now=shop.clock(),
            )

    with pytest.raises(ServiceError, match="once the order is paid"):
        look()
    db.session.rollback()
    shop.bank_money(order_id, Money(1, "USD"))
    look()
    shop.bank_money(order_id, Money(2499, "USD"), "B2")
    look()
    order = db.session.get_one(Order, order_id, populate_existing=True)
    looks = selling.looks_at_purchaser(db.session(), order)
    assert [each.actor for each in looks] == [STAFF, STAFF]


@pytest.mark.parametrize("tray", Tray)
@pytest.mark.parametrize("method_id", ["", "bank_transfer"])
def test_every_way_to_look_reads_an_index_in_its_order(
    shop: Shop, tray: Tray, method_id: str
) -> None:
    """On SQLite the plan tells: no table is walked, and nothing but what is shown is sorted."""
    if db.engine.dialect.name != "sqlite":
        return
    said: list[tuple[str, Any]] = []

    def listen(*arguments: Any) -> None:
        said.append((arguments[2], arguments[3]))

    provider_id = shop.offer.provider_id
    period = Period.parse("2026")
    event.listen(db.engine, "before_cursor_execute", listen)
    try:
        for asked in (InboxQuery(tray, method_id), InboxQuery(tray, method_id, period)):
            inbox.find_orders(db.session(), provider_id, asked, bank_methods=BANK, limit=50)
        inbox.count_orders(db.session(), provider_id, bank_methods=BANK)
    finally:
        event.remove(db.engine, "before_cursor_execute", listen)
    wanted = [each for each in said if 'FROM "order"' in each[0]]
    assert len(wanted) == 3
    for sql, values in wanted:
        plan = [row[3] for row in db.session.connection().exec_driver_sql(
            f"EXPLAIN QUERY PLAN {sql}", values
        )]  # fmt: skip
        walked = [line for line in plan if line.startswith("SCAN") and "order" in line]
        assert walked == [], plan
        # The few found are sorted once, at the end.
        assert len([line for line in plan if "TEMP B-TREE" in line]) <= 1, plan

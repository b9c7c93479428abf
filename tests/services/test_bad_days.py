"""Days on which things go wrong in ways that people, networks and clocks think up."""

from __future__ import annotations

from datetime import timedelta

import pytest
from flask import Flask
from sqlalchemy import select

from cnn_offset import jobs
from cnn_offset.domain.money import Money
from cnn_offset.domain.payment import FactKind, FactStatus, Verdict
from cnn_offset.domain.status import CancellationStatus, OrderStatus, PaymentStatus
from cnn_offset.extensions import db, unit_of_work
from cnn_offset.models import Message, Order, Payment
from cnn_offset.plugins.errors import OutcomeUnknownError, RefusedError, UnavailableError
from cnn_offset.plugins.loader import PluginSet
from cnn_offset.services import ServiceError, cancelling, ordering, paying, selling
from cnn_offset.services.attention import attention
from cnn_offset.services.inbox import InboxQuery, Tray, find_orders
from tests.services.conftest import Shop

C = CancellationStatus
USD = "USD"
EXACT = Money(2500, USD)


@pytest.fixture
def any_app(app: Flask) -> Flask:
    """SQLite is enough here: test_races.py has what two transactions do to each other."""
    return app


def waiting(shop: Shop) -> set[str]:
    """Return the kinds of what waits for a person."""
    db.session.expire_all()
    return {item.kind for item in attention(db.session(), now=shop.clock())}


def paid(shop: Shop) -> int:
    order_id = shop.order(10)
    shop.money(shop.open(order_id))
    return order_id


# The payer has two doors


def test_money_through_a_door_left_open_is_found_without_a_webhook(shop: Shop) -> None:
    """Paid by bank while the processor's page is still open, and then there too."""
    order_id = shop.order(10, "bank_transfer")
    shop.open(order_id, "bank_transfer")
    other = shop.open(order_id)
    shop.bank_money(order_id, EXACT)
    assert shop.status(order_id) is OrderStatus.PAID
    shop.pay.pay(shop.payment(other).processor_ref)
    shop.work(rounds=2)
    assert shop.payment(other).status is PaymentStatus.SUCCEEDED
    assert waiting(shop) == {"surplus"}


def test_the_other_door_is_closed_once_an_order_is_paid(shop: Shop) -> None:
    order_id = shop.order(10, "bank_transfer")
    shop.open(order_id, "bank_transfer")
    other = shop.open(order_id)
    shop.bank_money(order_id, EXACT)
    shop.work(rounds=2)
    assert shop.payment(other).processor_ref in shop.pay.closed
    assert shop.payment(other).status is PaymentStatus.ABANDONED


def test_back_to_the_bank_after_trying_another_method(shop: Shop) -> None:
    """The order's bank reference stays the same from one attempt to the next."""
    order_id = shop.order(10, "bank_transfer")
    first = shop.open(order_id, "bank_transfer")
    assert jobs.do("payment", first, close=True)
    assert jobs.do("payment", shop.open(order_id), close=True)
    second = shop.open(order_id, "bank_transfer")
    assert second != first
    assert shop.payment(second).instructions == shop.payment(first).instructions
    shop.bank_money(order_id, EXACT)
    assert shop.status(order_id) is OrderStatus.PAID


def test_bank_money_is_recorded_after_another_method_was_tried(shop: Shop) -> None:
    order_id = shop.order(10, "bank_transfer")
    first = shop.open(order_id, "bank_transfer")
    jobs.do("payment", first, close=True)
    shop.open(order_id)
    order = db.session.get_one(Order, order_id)
    assert order.method_id == "paypal"
    methods = ["bank_transfer"]
    listed = find_orders(
        db.session(),
        order.provider_id,
        InboxQuery(Tray.WAITING),
        bank_methods=methods,
        limit=50,
    )
    assert [each.id for each in listed] == [order_id]
    found = selling.bank_order(db.session(), order.provider_id, methods, order.code)
    payment = selling.bank_payment(db.session(), found)
    assert payment is not None
    assert payment.id == first
    assert shop.bank_money(order_id, EXACT) is Verdict.EXACT
    assert shop.status(order_id) is OrderStatus.PAID


def test_changing_to_the_bank_gives_the_time_a_bank_needs(shop: Shop) -> None:
    order_id = shop.order(10)
    shop.open(order_id, "bank_transfer")
    order = db.session.get_one(Order, order_id, populate_existing=True)
    assert order.pay_by == shop.clock() + timedelta(days=90)
    shop.clock.tick(days=4)
    shop.work(rounds=1)
    assert shop.status(order_id) is OrderStatus.PLACED


def test_no_order_ends_while_a_payment_was_just_opened(shop: Shop) -> None:
    """The doors were closed, and before the order lapsed the payer opened another."""
    order_id = shop.order(10)
    shop.open(order_id)
    with unit_of_work() as session:
        order = session.get_one(Order, order_id)
        assert not ordering.end_unpaid(
            session, order, OrderStatus.LAPSED, actor="clock", why="late", now=shop.clock()
        )
    assert shop.status(order_id) is OrderStatus.PLACED
    assert shop.offer.held == 10


# Opening


def test_a_refusal_of_a_repeated_opening_says_nothing_of_the_first(
    shop: Shop, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of two clicks at once a processor may answer one and refuse the other."""
    order_id = shop.order(10)
    start = shop.pay.start

    def twice(request):  # the other click's answer arrives first
        monkeypatch.setattr(shop.pay, "start", start)
        jobs.start_payment(jobs.platform(), payment_id)
        raise RefusedError("DUPLICATE_REQUEST_ID")

    with unit_of_work() as session:
        order = session.get_one(Order, order_id)
        payment_id = paying.prepare_payment(session, order, "paypal", now=shop.clock()).id
    monkeypatch.setattr(shop.pay, "start", twice)
    jobs.start_payment(jobs.platform(), payment_id)
    assert shop.payment(payment_id).status is PaymentStatus.AWAITING_PAYER


def test_a_bank_order_gets_its_instructions_though_the_web_process_died(shop: Shop) -> None:
    order_id = shop.order(10, "bank_transfer")  # placed, and nothing opened
    shop.clock.tick(minutes=2)
    shop.work(rounds=2)
    payment = db.session.scalars(select(Payment).where(Payment.order_id == order_id)).one()
    assert payment.instructions
    kinds = db.session.scalars(select(Message.kind).where(Message.order_id == order_id)).all()
    assert "bank_instructions" in kinds
    order = db.session.get_one(Order, order_id, populate_existing=True)
    assert order.due_at is not None
    assert order.due_at > shop.clock() + timedelta(days=1), "nothing more to do for weeks"
    shop.bank_money(order_id, EXACT)
    assert shop.status(order_id) is OrderStatus.PAID


def test_placing_too_late_is_said_kindly(shop: Shop) -> None:
    """The clock let the checkout lapse while its last page was being sent."""
    checkout_id = shop.checkout(10)
    shop.clock.tick(hours=1)
    jobs.do("checkout", checkout_id)
    with pytest.raises(ServiceError, match="time to check out"):
        shop.place(checkout_id)
    assert shop.offer.held == 0


def test_a_payment_that_its_processor_has_forgotten_troubles_nobody(
    shop: Shop, monkeypatch: pytest.MonkeyPatch
) -> None:
    """PayPal deletes orders that nobody paid some hours after they were opened."""
    order_id = shop.order(10)
    payment_id = shop.open(order_id)

    def gone(*_: object, **__: object) -> None:
        raise RefusedError("no such order")

    fetch = shop.pay.fetch
    monkeypatch.setattr(shop.pay, "fetch", gone)
    monkeypatch.setattr(
        shop.pay,
        "abandon",
        lambda *a, key: shop.pay.closed.add(a[1]) or fetch(*a, key=key, may_capture=False),
    )
    shop.work(rounds=10, minutes=20)
    assert shop.payment(payment_id).status is PaymentStatus.ABANDONED
    assert shop.status(order_id) is OrderStatus.PLACED, "another attempt may follow"
    assert waiting(shop) == set()


def test_a_processor_that_says_one_thing_twice_is_heard_once(shop: Shop) -> None:
    order_id = shop.order(10)
    payment_id = shop.open(order_id)
    ref = shop.payment(payment_id).processor_ref
    shop.pay.pay(ref, ref="cap")
    shop.pay.pay(ref, ref="cap")
    jobs.do("payment", payment_id)
    assert shop.status(order_id) is OrderStatus.PAID


# Plug-ins come and go


def without(shop: Shop, method_id: str) -> None:
    here = shop.app.extensions["cnn_offset"]
    rest = {name: each for name, each in here.payments.items() if name != method_id}
    shop.app.extensions["cnn_offset"] = _with(here, payments=PluginSet(rest))


def _with(here, **changes):
    from dataclasses import replace

    return replace(here, **changes)


def test_a_method_taken_out_of_service_and_put_back_loses_no_money(shop: Shop) -> None:
    order_id = shop.order(10)
    payment_id = shop.open(order_id)
    before = shop.app.extensions["cnn_offset"]
    without(shop, "paypal")
    shop.pay.pay(shop.payment(payment_id).processor_ref)
    shop.clock.tick(days=4)
    shop.work(rounds=5, minutes=20)
    assert shop.status(order_id) is OrderStatus.PLACED, "its door cannot be closed"
    assert shop.offer.held == 10
    assert "failing" in waiting(shop)
    shop.app.extensions["cnn_offset"] = before
    shop.work(rounds=3, minutes=20)
    assert shop.status(order_id) is OrderStatus.FULFILLED


def test_a_registry_taken_out_of_service_and_put_back(shop: Shop) -> None:
    order_id = paid(shop)
    before = shop.app.extensions["cnn_offset"]
    shop.app.extensions["cnn_offset"] = _with(before, registries=PluginSet({}))
    shop.work(rounds=5, minutes=20)
    assert {"failing", "slow"} <= waiting(shop)
    shop.app.extensions["cnn_offset"] = before
    shop.work(rounds=3, minutes=20)
    assert shop.status(order_id) is OrderStatus.FULFILLED
    assert waiting(shop) == set()


# The registry


def test_a_lasting_refusal_after_a_lost_request_is_believed_in_the_end(shop: Shop) -> None:
    """It de-duplicates, the first request never came through, and every later one is refused."""
    shop.registry.faults = ["before", *["refuse"] * 1000]
    order_id = paid(shop)
    shop.work(rounds=20)
    assert shop.cancellation(order_id).status is C.UNKNOWN, "the first may still act"
    shop.work(rounds=40)
    assert shop.cancellation(order_id).status is C.REJECTED
    assert shop.status(order_id) is OrderStatus.IN_REVIEW
    assert len(shop.registry.sent) < 40, "a refusal is not asked for every few seconds"


def test_nothing_is_sent_again_while_money_is_in_doubt(shop: Shop) -> None:
    shop.registry.faults = ["before"]
    order_id = shop.order(10)
    payment_id = shop.open(order_id)
    shop.money(payment_id)
    jobs.do("cancellation", shop.cancellation(order_id).id)
    assert len(shop.registry.sent) == 1
    shop.money(payment_id, kind=FactKind.DISPUTE, ref="d-1", status=FactStatus.OPEN)
    assert shop.status(order_id) is OrderStatus.IN_REVIEW
    shop.work(rounds=120)
    assert len(shop.registry.sent) == 1


def test_what_was_sent_before_money_came_in_doubt_is_still_asked_about(shop: Shop) -> None:
    shop.registry.faults = ["after"]
    order_id = shop.order(10)
    payment_id = shop.open(order_id)
    shop.money(payment_id)
    jobs.do("cancellation", shop.cancellation(order_id).id)
    shop.money(payment_id, kind=FactKind.DISPUTE, ref="d-1", status=FactStatus.OPEN)
    shop.work(rounds=5)
    assert shop.cancellation(order_id).status is C.CONFIRMED
    assert shop.status(order_id) is OrderStatus.IN_REVIEW


def test_a_dispute_that_comes_while_the_registry_is_asked_stops_the_send(
    shop: Shop, monkeypatch: pytest.MonkeyPatch
) -> None:
    order_id = shop.order(10)
    payment_id = shop.open(order_id)
    shop.money(payment_id)
    fetch = shop.registry.fetch

    def meanwhile(key: str):
        shop.money(payment_id, kind=FactKind.DISPUTE, ref="d-1", status=FactStatus.OPEN)
        return fetch(key)

    monkeypatch.setattr(shop.registry, "fetch", meanwhile)
    jobs.do("cancellation", shop.cancellation(order_id).id)
    assert shop.status(order_id) is OrderStatus.IN_REVIEW
    assert shop.registry.sent == []


def test_a_silent_registry_is_not_asked_ever_again_in_haste(shop: Shop) -> None:
    shop.registry.safe = False
    shop.registry.faults = ["before"]
    asked = 0
    fetch = shop.registry.fetch

    def counted(key: str):
        nonlocal asked
        asked += 1
        return fetch(key)

    shop.registry.fetch = counted  # type: ignore[method-assign]
    order_id = paid(shop)
    shop.work(rounds=400, minutes=0.1)
    assert shop.status(order_id) is OrderStatus.FULFILLED
    assert asked < 60


def test_a_process_that_wakes_up_late_does_not_send(shop: Shop) -> None:
    """Paused between the intent and the request, longer than anybody waits."""
    order_id = paid(shop)
    row_id = shop.cancellation(order_id).id
    slept = False

    def sleepy() -> object:
        nonlocal slept
        if not slept and shop.cancellation(order_id).sends == 1:
            slept = True
            shop.clock.tick(minutes=3)
        return shop.clock()

    cancelling.pursue(
        unit_of_work,
        row_id,
        connectors=jobs.platform().registries,
        clock=sleepy,  # type: ignore[arg-type]
    )
    assert slept
    assert shop.registry.sent == []
    shop.work(rounds=5)
    assert shop.status(order_id) is OrderStatus.FULFILLED
    assert len(shop.registry.sent) == 1


# Money after everything is done


def test_the_bank_order_that_was_paid_twice_waits_for_a_person(shop: Shop) -> None:
    order_id = shop.order(10, "bank_transfer")
    shop.open(order_id, "bank_transfer")
    shop.bank_money(order_id, EXACT, "B1")
    shop.work(rounds=2)
    assert shop.status(order_id) is OrderStatus.FULFILLED
    assert shop.bank_money(order_id, EXACT, "B2") is Verdict.OVER
    assert waiting(shop) == {"surplus"}


def test_part_of_the_money_going_back_later_waits_for_a_person(shop: Shop) -> None:
    order_id = shop.order(10)
    payment_id = shop.open(order_id)
    shop.money(payment_id)
    shop.work(rounds=2)
    assert shop.status(order_id) is OrderStatus.FULFILLED
    shop.money(payment_id, Money(500, USD), kind=FactKind.REFUND, ref="refund-1")
    assert waiting(shop) == {"money_back"}


def test_money_on_its_way_for_ever_waits_for_a_person(shop: Shop) -> None:
    order_id = shop.order(10)
    payment_id = shop.open(order_id)
    shop.money(payment_id, ref="cap", status=FactStatus.PENDING, reason="ECHECK")
    shop.clock.tick(days=10)
    shop.work(rounds=1)
    assert waiting(shop) == set(), "an e-check takes its time"
    shop.clock.tick(days=10)
    shop.work(rounds=1)
    assert shop.status(order_id) is OrderStatus.PLACED
    assert waiting(shop) == {"unpaid"}


# Clocks


def test_a_clock_that_ran_ahead_and_was_set_back_holds_nothing_up(shop: Shop) -> None:
    order_id = shop.order(10)
    payment_id = shop.open(order_id)
    shop.pay.failures = [UnavailableError("down")]
    shop.clock.tick(days=1)
    jobs.do("payment", payment_id)  # fails; due again one day ahead
    shop.clock.tick(days=-1)
    shop.pay.pay(shop.payment(payment_id).processor_ref)
    for _ in range(6):
        jobs.sweep()
        shop.clock.tick(minutes=1)
    assert shop.status(order_id) is OrderStatus.FULFILLED


def test_a_lease_of_a_clock_that_ran_ahead_is_over(shop: Shop) -> None:
    order_id = paid(shop)
    row_id = shop.cancellation(order_id).id
    shop.clock.tick(days=1)
    assert jobs._claim(jobs.Cancellation, row_id, now=shop.clock(), due_only=True) is not None
    shop.clock.tick(days=-1)
    jobs.sweep()
    assert shop.status(order_id) is OrderStatus.FULFILLED


def test_a_worker_that_lost_its_lease_does_not_finish(shop: Shop) -> None:
    order_id = paid(shop)
    row = shop.cancellation(order_id)
    first = jobs._claim(jobs.Cancellation, row.id, now=shop.clock(), due_only=True)
    assert first is not None
    shop.clock.tick(seconds=91)
    second = jobs._claim(jobs.Cancellation, row.id, now=shop.clock(), due_only=True)
    assert second == first + 1
    jobs._finish(jobs.Cancellation, row.id, first, due_at=None, error="", now=shop.clock())
    assert shop.cancellation(order_id).due_at is not None
    assert shop.cancellation(order_id).lease_until is not None


# One trouble must not hold up all the others


def test_a_silent_registry_does_not_keep_mails_waiting(
    shop: Shop, monkeypatch: pytest.MonkeyPatch
) -> None:
    for _ in range(6):
        paid(shop)
    asked = []

    def silent(key: str):
        asked.append(key)
        raise OutcomeUnknownError("time-out")

    monkeypatch.setattr(shop.registry, "fetch", silent)
    jobs.sweep()
    assert len(asked) == jobs.MISSES
    jobs.sweep()
    assert len(asked) == 2 * jobs.MISSES, "the others have their turn"


# A restored backup


def test_after_a_restored_backup_nothing_is_cancelled_again(shop: Shop) -> None:
    """Our book forgets the cancellation; the registry's does not."""
    order_id = paid(shop)
    row = shop.cancellation(order_id)
    values = {name: getattr(row, name) for name in ("key", "account_ref", "block_ref", "quantity")}
    shop.registry.cancel(
        cancelling.CancellationRequest(**values, beneficiary="Ada Example", reason="My flights")
    )
    shop.registry.sent.clear()
    shop.work(rounds=2)
    assert shop.status(order_id) is OrderStatus.FULFILLED
    assert shop.registry.sent == []
    assert shop.registry.units() == 10

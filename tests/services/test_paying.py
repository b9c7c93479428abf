"""Money: exact, short, over, late, twice, wrong, and the silence of processors."""

from __future__ import annotations

from datetime import timedelta

import pytest
from sqlalchemy import func, select

from cnn_offset import jobs
from cnn_offset.domain.money import Money
from cnn_offset.domain.payment import FactKind, FactStatus, Verdict
from cnn_offset.domain.status import OrderStatus, PaymentStatus
from cnn_offset.extensions import db, unit_of_work
from cnn_offset.models import Cancellation, Message, Order, Payment
from cnn_offset.plugins.errors import OutcomeUnknownError, PayeeNotReadyError, UnavailableError
from cnn_offset.plugins.payments.base import Notice
from cnn_offset.services import ServiceError, deliveries, paying
from tests.services.conftest import Shop

USD = "USD"


def test_exact_money_pays_and_queues_the_cancellation(shop: Shop) -> None:
    order_id = shop.order(10)
    payment_id = shop.open(order_id)
    assert shop.payment(payment_id).status is PaymentStatus.AWAITING_PAYER
    shop.money(payment_id)
    assert shop.status(order_id) is OrderStatus.PAID
    assert shop.payment(payment_id).verdict is Verdict.EXACT
    assert shop.cancellation(order_id).quantity == 10
    assert shop.offer.held == 10


@pytest.mark.parametrize(
    ("amount", "verdict"),
    [
        (Money(2499, USD), Verdict.SHORT),
        (Money(2501, USD), Verdict.OVER),
        (Money(2500, "EUR"), Verdict.WRONG_CURRENCY),
    ],
)
def test_other_money_goes_to_a_person(shop: Shop, amount: Money, verdict: Verdict) -> None:
    order_id = shop.order(10)
    payment_id = shop.open(order_id)
    shop.money(payment_id, amount)
    assert shop.status(order_id) is OrderStatus.IN_REVIEW
    assert shop.payment(payment_id).verdict is verdict
    assert shop.offer.held == 10, "what may still be paid stays held"
    assert db.session.scalar(select(func.count()).select_from(Cancellation)) == 0


def test_money_to_somebody_else_goes_to_a_person(shop: Shop) -> None:
    order_id = shop.order(10)
    payment_id = shop.open(order_id)
    shop.money(payment_id, payee="SOMEBODYELSE2")
    assert shop.status(order_id) is OrderStatus.IN_REVIEW
    assert shop.payment(payment_id).verdict is Verdict.WRONG_PAYEE


def test_the_rest_of_a_short_payment_completes_it(shop: Shop) -> None:
    order_id = shop.order(10, "bank_transfer")
    shop.open(order_id, "bank_transfer")
    assert shop.bank_money(order_id, Money(2000, USD), "B1") is Verdict.SHORT
    assert shop.status(order_id) is OrderStatus.IN_REVIEW
    assert shop.bank_money(order_id, Money(500, USD), "B2") is Verdict.EXACT
    assert shop.status(order_id) is OrderStatus.PAID


def test_the_same_bank_entry_counts_once(shop: Shop) -> None:
    order_id = shop.order(10, "bank_transfer")
    shop.open(order_id, "bank_transfer")
    shop.bank_money(order_id, Money(2500, USD), "B1")
    assert shop.bank_money(order_id, Money(2500, USD), "B1") is Verdict.EXACT
    assert shop.status(order_id) is OrderStatus.PAID


def test_news_may_be_repeated(shop: Shop) -> None:
    order_id = shop.order(10)
    payment_id = shop.open(order_id)
    shop.money(payment_id)
    for _ in range(3):
        jobs.do("payment", payment_id)
    assert shop.status(order_id) is OrderStatus.PAID
    assert len(shop.payment(payment_id).facts) == 1
    mails = db.session.scalars(select(Message.kind).where(Message.kind == "payment_received"))
    assert len(mails.all()) == 1


def test_an_echeck_is_waited_for(shop: Shop) -> None:
    order_id = shop.order(10)
    payment_id = shop.open(order_id)
    shop.money(payment_id, ref="cap", status=FactStatus.PENDING, reason="ECHECK")
    assert shop.payment(payment_id).status is PaymentStatus.PROCESSING
    assert shop.status(order_id) is OrderStatus.PLACED
    shop.clock.tick(days=4)
    jobs.do("order", order_id)
    assert shop.status(order_id) is OrderStatus.PLACED, "not lapsed: money is on its way"
    shop.money(payment_id, ref="cap")
    assert shop.status(order_id) is OrderStatus.PAID


def test_a_declined_payment_can_be_tried_again(shop: Shop) -> None:
    order_id = shop.order(10)
    first = shop.open(order_id)
    shop.money(first, status=FactStatus.FAILED, reason="INSTRUMENT_DECLINED")
    assert shop.payment(first).status is PaymentStatus.FAILED
    second = shop.open(order_id)
    assert second != first
    shop.money(second)
    assert shop.status(order_id) is OrderStatus.PAID


def test_approved_money_is_taken_only_while_units_are_held(shop: Shop) -> None:
    order_id = shop.order(10)
    payment_id = shop.open(order_id)
    shop.clock.tick(days=4)
    shop.work(rounds=1)
    assert shop.status(order_id) is OrderStatus.LAPSED
    shop.pay.approved.add(shop.payment(payment_id).processor_ref)
    jobs.do("payment", payment_id)
    assert shop.pay.captures == []
    assert shop.offer.held == 0


def test_of_two_approved_attempts_one_is_taken(shop: Shop) -> None:
    order_id = shop.order(10)
    first = shop.open(order_id)
    with unit_of_work() as session:
        order = session.get_one(Order, order_id)
        payment = shop_payment(order, shop)
        session.add(payment)
        session.flush()
        second = payment.id
    jobs.start_payment(jobs.platform(), second)
    for payment_id in (first, second):
        shop.pay.approved.add(shop.payment(payment_id).processor_ref)
    for payment_id in (first, second, first):
        jobs.do("payment", payment_id)
    assert shop.pay.captures == [shop.payment(second).processor_ref]
    assert shop.status(order_id) is OrderStatus.PAID


def shop_payment(order: Order, shop: Shop) -> Payment:
    return Payment(
        order_id=order.id, key=f"p-{order.code}-x", method_id="paypal",
        payee={"merchant_id": "ABCDEFGHJKLM2"}, payee_account="", amount_minor=order.total_minor,
        currency=order.currency, created_at=shop.clock(), due_at=None,
    )  # fmt: skip


def test_paid_twice_is_paid_once(shop: Shop) -> None:
    order_id = shop.order(10)
    first = shop.open(order_id)
    shop.money(first)
    shop.money(first)
    assert shop.status(order_id) is OrderStatus.IN_REVIEW, "over: a person looks first"


def test_late_money_takes_the_units_again(shop: Shop) -> None:
    order_id = shop.order(10, "bank_transfer")
    shop.open(order_id, "bank_transfer")
    shop.clock.tick(days=91)
    shop.work(rounds=1)
    assert shop.status(order_id) is OrderStatus.LAPSED
    assert shop.offer.held == 0
    shop.bank_money(order_id, Money(2500, USD))
    assert shop.status(order_id) is OrderStatus.PAID
    assert shop.offer.held == 10


def test_late_money_without_units_goes_to_a_person(shop: Shop) -> None:
    order_id = shop.order(10, "bank_transfer")
    shop.open(order_id, "bank_transfer")
    shop.clock.tick(days=91)
    shop.work(rounds=1)
    shop.order(995)
    shop.bank_money(order_id, Money(2500, USD))
    assert shop.status(order_id) is OrderStatus.IN_REVIEW
    assert shop.offer.held == 995


def test_lapsing_asks_the_processor_first(shop: Shop) -> None:
    order_id = shop.order(10)
    payment_id = shop.open(order_id)
    ref = shop.payment(payment_id).processor_ref
    shop.pay.pay(ref)  # paid in the last second, and no webhook came
    shop.clock.tick(days=4)
    jobs.do("order", order_id)
    assert shop.status(order_id) is OrderStatus.PAID
    assert ref not in shop.pay.closed


def test_units_stay_held_while_the_processor_is_silent(shop: Shop) -> None:
    order_id = shop.order(10)
    shop.open(order_id)
    shop.clock.tick(days=4)
    shop.pay.failures = [OutcomeUnknownError("time-out")]
    jobs.do("order", order_id)
    assert shop.status(order_id) is OrderStatus.PLACED
    assert shop.offer.held == 10
    shop.work(rounds=15)
    assert shop.status(order_id) is OrderStatus.LAPSED
    assert shop.offer.held == 0


def test_a_processor_that_is_down_at_start_leaves_the_order(shop: Shop) -> None:
    order_id = shop.order(10)
    shop.pay.failures = [UnavailableError("refused")]
    with pytest.raises(paying.MethodFailedError, match="does not answer"):
        shop.open(order_id)
    payment_id = shop.open(order_id)
    assert shop.payment(payment_id).status is PaymentStatus.AWAITING_PAYER
    assert db.session.scalar(select(func.count()).select_from(Payment)) == 1


def test_a_lost_answer_at_start_is_asked_for_again_by_the_sweep(shop: Shop) -> None:
    order_id = shop.order(10)
    shop.pay.failures = [OutcomeUnknownError("time-out")]
    with pytest.raises(paying.MethodFailedError):
        shop.open(order_id)
    shop.work(rounds=4)
    payment = db.session.scalars(select(Payment)).one()
    assert payment.processor_ref
    assert payment.status is PaymentStatus.AWAITING_PAYER


def test_a_payee_who_cannot_be_paid_fails_kindly(shop: Shop) -> None:
    order_id = shop.order(10)
    shop.pay.failures = [PayeeNotReadyError("restricted", code="PAYEE_ACCOUNT_RESTRICTED")]
    with pytest.raises(paying.MethodFailedError, match="another method"):
        shop.open(order_id)
    assert db.session.scalars(select(Payment)).one().status is PaymentStatus.FAILED
    assert shop.status(order_id) is OrderStatus.PLACED


def test_without_any_webhook_the_money_is_found(shop: Shop) -> None:
    order_id = shop.order(10)
    payment_id = shop.open(order_id)
    shop.pay.pay(shop.payment(payment_id).processor_ref)
    shop.work(rounds=4)
    assert shop.status(order_id) is OrderStatus.FULFILLED


def test_a_webhook_only_rings(shop: Shop) -> None:
    order_id = shop.order(10)
    payment_id = shop.open(order_id)
    ref = shop.payment(payment_id).processor_ref
    for _ in range(2):  # replayed: kept once
        with unit_of_work() as session:
            deliveries.store_delivery(
                session, "paypal", Notice("E1", [ref]), "paid!", now=shop.clock()
            )
    shop.work(rounds=1)
    assert shop.status(order_id) is OrderStatus.PLACED
    shop.pay.pay(ref)
    with unit_of_work() as session:
        deliveries.store_delivery(session, "paypal", Notice("E2", [ref]), "", now=shop.clock())
    shop.work(rounds=2, minutes=0.01)
    assert shop.status(order_id) is OrderStatus.FULFILLED


def test_a_webhook_of_a_stranger_is_kept_for_people(shop: Shop) -> None:
    with unit_of_work() as session:
        deliveries.store_delivery(session, "paypal", Notice("E9", ["R-none"]), "", now=shop.clock())
    shop.work(rounds=15)
    from cnn_offset.domain.status import DeliveryStatus
    from cnn_offset.models import WebhookDelivery

    assert db.session.scalars(select(WebhookDelivery)).one().status is DeliveryStatus.UNMATCHED


def test_a_refund_before_the_cancellation_stops_it(shop: Shop) -> None:
    order_id = shop.order(10)
    payment_id = shop.open(order_id)
    shop.money(payment_id)
    shop.money(payment_id, kind=FactKind.REFUND, ref="refund-1")
    assert shop.status(order_id) is OrderStatus.IN_REVIEW
    shop.work(rounds=3)
    assert shop.registry.sent == []


def test_a_dispute_before_the_cancellation_holds_it(shop: Shop) -> None:
    order_id = shop.order(10)
    payment_id = shop.open(order_id)
    shop.money(payment_id)
    shop.money(payment_id, kind=FactKind.DISPUTE, ref="d-1", status=FactStatus.OPEN)
    assert shop.payment(payment_id).status is PaymentStatus.DISPUTED
    shop.work(rounds=3)
    assert shop.registry.sent == []


def test_no_payment_for_an_order_that_is_over(shop: Shop) -> None:
    order_id = shop.order(10)
    jobs.withdraw_order(jobs.platform(), order_id, actor="purchaser")
    assert shop.status(order_id) is OrderStatus.WITHDRAWN
    with pytest.raises(ServiceError, match="does not wait"):
        shop.open(order_id)


def test_changing_the_method_keeps_one_running_payment_each(shop: Shop) -> None:
    order_id = shop.order(10)
    one = shop.open(order_id)
    assert shop.open(order_id) == one, "double click"
    other = shop.open(order_id, "bank_transfer")
    assert other != one
    assert shop.payment(other).instructions


def test_bank_money_must_make_sense(shop: Shop) -> None:
    order_id = shop.order(10, "bank_transfer")
    shop.open(order_id, "bank_transfer")
    with pytest.raises(ServiceError, match="amount"):
        shop.bank_money(order_id, Money(0, USD))
    shop.clock.now -= timedelta(days=400)
    with pytest.raises(ServiceError, match="future"):
        shop.bank_money(order_id, Money(2500, USD))
    shop.clock.now += timedelta(days=400)

"""Everything that does not go on by itself is found, with a word on what to do."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from sqlalchemy import func, select, update

from cnn_offset import jobs
from cnn_offset.domain.payment import Fact, FactKind, FactStatus
from cnn_offset.domain.status import MessageStatus, OrderStatus, PaymentStatus
from cnn_offset.extensions import db, unit_of_work
from cnn_offset.models import (
    CheckFault,
    Chore,
    Event,
    Message,
    Offer,
    Order,
    Payment,
    PayoutMethod,
    WebhookDelivery,
)
from cnn_offset.plugins.errors import UnavailableError
from cnn_offset.plugins.payments.base import Notice
from cnn_offset.services import NotFoundError, ServiceError, deliveries, selling
from cnn_offset.services.attention import RANK, Entry, Kind, attention, deal, look_again
from cnn_offset.services.moves import move
from tests.services.conftest import Shop


def found(shop: Shop) -> list[Entry]:
    db.session.expire_all()
    return attention(db.session(), now=shop.clock())


def kinds(shop: Shop) -> set[str]:
    return {item.kind for item in found(shop)}


def code(order_id: int) -> str:
    return db.session.get_one(Order, order_id).code


def pay(shop: Shop) -> int:
    order_id = shop.order()
    shop.money(shop.open(order_id))
    return order_id


def test_nothing_waits_while_all_goes_well(shop: Shop) -> None:
    assert kinds(shop) == set()
    pay(shop)
    assert kinds(shop) == set()
    shop.work()
    assert kinds(shop) == set()


def test_paid_but_not_cancelled(shop: Shop) -> None:
    order_id = pay(shop)
    shop.clock.tick(minutes=14)
    assert kinds(shop) == set()
    shop.clock.tick(minutes=1)
    (item,) = found(shop)
    assert (item.kind, item.order_code) == ("slow", code(order_id))
    shop.work()
    assert kinds(shop) == set()


@pytest.mark.parametrize(
    ("fault", "wanted"), [("refuse", "rejected"), ("fewer", "mismatched"), ("other", "mismatched")]
)
def test_registry_trouble(shop: Shop, fault: str, wanted: str) -> None:
    order_id = pay(shop)
    shop.registry.faults = [fault]
    shop.work()
    items = {item.kind: item for item in found(shop)}
    assert set(items) == {wanted, "in_review"}
    assert items[wanted].order_code == code(order_id)
    assert items[wanted].detail
    assert "cancellation" in items["in_review"].detail


def test_no_answer_from_the_registry(shop: Shop) -> None:
    order_id = pay(shop)
    shop.registry.faults = ["after"]
    jobs.do("cancellation", shop.cancellation(order_id).id)
    assert "unknown" in kinds(shop)
    shop.work()
    assert kinds(shop) == set()


def test_money_paid_twice(shop: Shop) -> None:
    order_id = shop.order()
    first = shop.open(order_id)
    with unit_of_work() as session:
        session.get_one(Payment, first).status = PaymentStatus.FAILED
    second = shop.open(order_id)
    shop.money(second)
    shop.money(first)
    (item,) = (each for each in found(shop) if each.kind == "surplus")
    assert item.order_code == code(order_id)
    assert "p-" in item.detail


def test_money_that_goes_back_after_the_units_are_gone(shop: Shop) -> None:
    order_id = shop.order()
    payment_id = shop.open(order_id)
    shop.money(payment_id)
    shop.work()
    ref = shop.payment(payment_id).processor_ref
    shop.pay.facts[ref].append(
        Fact(FactKind.DISPUTE, "d1", FactStatus.OPEN, None, None, shop.clock(), "not known")
    )
    jobs.do("payment", payment_id)
    assert kinds(shop) == {"disputed"}
    shop.pay.facts[ref].append(
        Fact(FactKind.DISPUTE, "d1", FactStatus.LOST, None, None, shop.clock(), "not known")
    )
    jobs.do("payment", payment_id)
    assert kinds(shop) == {"money_back"}


def test_too_little_money_and_a_refund_that_is_due(shop: Shop) -> None:
    order_id = shop.order()
    payment_id = shop.open(order_id)
    shop.money(payment_id, shop.payment(payment_id).due - shop.offer.price)
    assert kinds(shop) == {"in_review"}
    with unit_of_work() as session:
        order = session.get_one(Order, order_id)
        move(
            session,
            order,
            OrderStatus.REFUND_DUE,
            actor="op",
            why="too little",
            now=shop.clock(),
        )
    (item,) = found(shop)
    assert (item.kind, item.detail) == ("refund_due", "too little")


def test_webhooks_nobody_knows(shop: Shop) -> None:
    with unit_of_work() as session:
        deliveries.store_delivery(
            session, "paypal", Notice("evt-9", ["R-unknown"]), "{}", now=shop.clock()
        )
    delivery_id = db.session.scalars(select(WebhookDelivery.id)).one()
    jobs.do("webhook_delivery", delivery_id)
    assert kinds(shop) == set()
    shop.clock.tick(minutes=11)
    jobs.do("webhook_delivery", delivery_id)
    (item,) = found(shop)
    assert (item.kind, item.detail) == ("unmatched", "paypal evt-9")
    shop.clock.tick(days=31)
    assert kinds(shop) == set()


def test_work_that_fails_time_and_again(shop: Shop) -> None:
    order_id = shop.order()
    payment_id = shop.open(order_id)
    shop.pay.failures = [UnavailableError("down")] * 5
    for n in range(5):
        assert kinds(shop) == set(), n
        jobs.do("payment", payment_id)
    (item,) = found(shop)
    assert (item.kind, item.order_code) == ("failing", code(order_id))
    assert "UnavailableError: down" in item.detail
    jobs.do("payment", payment_id)
    assert kinds(shop) == set()


def test_mails_that_were_given_up(shop: Shop) -> None:
    order_id = shop.order()
    with unit_of_work() as session:
        message = session.scalars(select(Message).where(Message.kind == "order_placed")).one()
        message.last_error = "550 no such user"
        move(session, message, MessageStatus.FAILED, actor="outbox", why="x", now=shop.clock())
    (item,) = found(shop)
    assert (item.kind, item.order_code) == ("mail", code(order_id))
    assert (item.name, item.detail) == ("order_placed", "550 no such user")


def test_a_provider_that_does_not_send_its_details(shop: Shop) -> None:
    with unit_of_work() as session:
        payout = session.scalars(
            select(PayoutMethod).where(PayoutMethod.method_id == "bank_transfer")
        ).one()
        payout.account = {"sends_own_details": "Yes"}
    order_id = shop.order(method="bank_transfer")
    shop.clock.tick(days=2, minutes=-1)
    assert kinds(shop) == set()
    shop.clock.tick(minutes=1)
    (item,) = found(shop)
    assert (item.kind, item.order_code) == ("overdue", code(order_id))
    with unit_of_work() as session:
        selling.mark_in_progress(
            session, session.get_one(Order, order_id), actor="staff", now=shop.clock()
        )
    assert kinds(shop) == set()


def test_a_weekend_is_no_delay(shop: Shop) -> None:
    with unit_of_work() as session:
        payout = session.scalars(
            select(PayoutMethod).where(PayoutMethod.method_id == "bank_transfer")
        ).one()
        payout.account = {"sends_own_details": "yes"}
    shop.clock.tick(days=4)  # a Friday
    shop.order(method="bank_transfer")
    shop.clock.tick(days=3, hours=23)
    assert kinds(shop) == set()
    shop.clock.tick(hours=1)
    assert kinds(shop) == {"overdue"}


def test_a_provider_whose_details_we_have_sent_owes_nothing(shop: Shop) -> None:
    shop.order(method="bank_transfer")
    shop.clock.tick(days=10)
    assert kinds(shop) == set()


def test_the_most_harmful_first_then_the_oldest(shop: Shop) -> None:
    for fault in ("refuse", "fewer"):
        order_id = pay(shop)
        shop.registry.faults = [fault]
        jobs.do("cancellation", shop.cancellation(order_id).id)
        jobs.do("cancellation", shop.cancellation(order_id).id)
        shop.clock.tick(hours=1)
    items = found(shop)
    assert [item.kind for item in items] == ["mismatched", "rejected", "in_review", "in_review"]
    assert items[2].since < items[3].since
    assert [RANK[item.kind] for item in items] == sorted(RANK[item.kind] for item in items)


def test_look_again(shop: Shop) -> None:
    order_id = shop.order()
    payment_id = shop.open(order_id)
    shop.pay.failures = [UnavailableError("down")] * 3
    jobs.do("payment", payment_id)
    later = shop.payment(payment_id).due_at
    assert later is not None
    assert later > shop.clock()
    with unit_of_work() as session:
        order = session.get_one(Order, order_id)
        count = look_again(session, order, actor="op@example.org", now=shop.clock())
    assert count == 2  # the payment, and the mail of the order
    assert shop.payment(payment_id).due_at == shop.clock()
    event = db.session.scalars(
        select(Event).where(Event.order_id == order_id).order_by(Event.id.desc())
    ).first()
    assert event is not None
    assert (event.new, event.actor) == ("look again", "op@example.org")


def test_look_again_leaves_what_is_finished(shop: Shop) -> None:
    order_id = pay(shop)
    shop.work()
    cancellation = shop.cancellation(order_id)
    assert cancellation.due_at is None
    with unit_of_work() as session:
        look_again(session, session.get_one(Order, order_id), actor="op", now=shop.clock())
    assert shop.cancellation(order_id).due_at is None
    shop.work(rounds=3)
    assert shop.registry.units() == 10


def add_up(shop: Shop) -> None:
    chore = db.session.scalars(select(Chore).where(Chore.name == "check")).one()
    jobs.do("chore", chore.id)
    db.session.expire_all()
    assert chore.last_error == ""
    assert chore.due_at == datetime(2026, 11, 3, 2, tzinfo=UTC)


def test_what_did_not_add_up_at_night(shop: Shop) -> None:
    add_up(shop)
    assert kinds(shop) == set()
    with unit_of_work() as session:
        session.execute(update(Offer).values(held=Offer.held + 1))
    add_up(shop)
    (item,) = found(shop)
    assert item.kind == "fault"
    assert "1 units held" in item.detail
    with unit_of_work() as session:
        deal(session, Kind.FAULT, item.subject_id, reason="known", actor="op", now=shop.clock())
    assert kinds(shop) == set()
    add_up(shop)
    assert kinds(shop) == set()
    with unit_of_work() as session:
        session.execute(update(Offer).values(held=Offer.held - 1))
    add_up(shop)
    assert db.session.scalar(select(func.count()).select_from(CheckFault)) == 0


def surplus(shop: Shop) -> tuple[int, int]:
    order_id = shop.order()
    first = shop.open(order_id)
    with unit_of_work() as session:
        session.get_one(Payment, first).status = PaymentStatus.FAILED
    shop.money(shop.open(order_id))
    shop.money(first)
    return order_id, first


def test_a_persons_word_holds_until_there_is_news(shop: Shop) -> None:
    order_id, payment_id = surplus(shop)
    with unit_of_work() as session:
        deal(
            session, Kind.SURPLUS, payment_id, reason="sent back", actor="op@x", now=shop.clock()
        )  # fmt: skip
    assert kinds(shop) == set()
    event = db.session.scalars(select(Event).where(Event.new == "dealt with")).one()
    assert (event.subject, event.order_id, event.why) == ("payment", order_id, "sent back")
    ref = shop.payment(payment_id).processor_ref
    shop.pay.facts[ref].append(
        Fact(FactKind.REFUND, "r1", FactStatus.DONE, shop.offer.price, None, shop.clock())
    )
    jobs.do("payment", payment_id)
    assert kinds(shop) == {"surplus"}
    with unit_of_work() as session:
        deal(session, Kind.SURPLUS, payment_id, reason="again", actor="op@x", now=shop.clock())
    assert kinds(shop) == set()


@pytest.mark.parametrize(
    ("kind", "number", "reason", "error"),
    [
        (Kind.SURPLUS, 0, " ", ServiceError),
        (Kind.SURPLUS, 0, "seen", ServiceError),
        (Kind.SURPLUS, 999, "seen", NotFoundError),
        (Kind.IN_REVIEW, 0, "seen", NotFoundError),
    ],
)
def test_who_says_nothing_or_too_late(
    shop: Shop, kind: Kind, number: int, reason: str, error: type[Exception]
) -> None:
    _, payment_id = surplus(shop)
    with unit_of_work() as session:
        deal(session, Kind.SURPLUS, payment_id, reason="first", actor="op@x", now=shop.clock())
    with pytest.raises(error), unit_of_work() as session:
        deal(
            session, kind, number or payment_id, reason=reason, actor="op@y", now=shop.clock()
        )  # fmt: skip


def test_an_old_order_kept_open_comes_back(shop: Shop) -> None:
    order_id = shop.order(method="bank_transfer")
    with unit_of_work() as session:
        order = session.get_one(Order, order_id)
        order.due_at = None
        shop.clock.tick(days=(order.pay_by - shop.clock()).days + 15)
    assert kinds(shop) == {"unpaid"}
    with unit_of_work() as session:
        deal(session, Kind.UNPAID, order_id, reason="asked", actor="op@x", now=shop.clock())
    assert kinds(shop) == set()
    with unit_of_work() as session:
        session.get_one(Order, order_id).pay_by = shop.clock() + timedelta(days=1)
    shop.clock.tick(days=16)
    assert kinds(shop) == {"unpaid"}


def test_only_the_kinds_that_are_asked_for_and_no_more_than_that(shop: Shop) -> None:
    for _ in range(3):
        pay(shop)
    shop.clock.tick(hours=1)
    assert len(attention(db.session(), now=shop.clock(), limit=2)) == 2
    assert attention(db.session(), now=shop.clock(), kinds=[Kind.MAIL]) == []

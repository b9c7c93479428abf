"""Operators' decisions on orders: money and units stay right, and the second one is told."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from flask import Flask
from sqlalchemy import select

from cnn_offset import jobs
from cnn_offset.domain.payment import Fact, FactKind, FactStatus
from cnn_offset.domain.status import CancellationStatus, OrderStatus, PaymentStatus
from cnn_offset.extensions import db, unit_of_work
from cnn_offset.models import Event, Message, Order, Payment
from cnn_offset.plugins.registries.base import CancellationReport, ReportStatus
from cnn_offset.services import ServiceError, deciding, stock
from cnn_offset.services.checking import check_all
from cnn_offset.services.deciding import state_of
from cnn_offset.services.moves import move
from tests.services.conftest import Shop

OPERATOR = "op@example.org"
C, O = CancellationStatus, OrderStatus


@pytest.fixture
def any_app(app: Flask) -> Flask:
    """On SQLite alone: nothing here differs between the databases but the races, below."""
    return app


def decide(shop: Shop, verb: Any, order_id: int, *, state: str = "", reason: str = "seen") -> None:
    db.session.rollback()
    state = state or state_of(db.session(), order_id)
    with unit_of_work() as session:
        verb(
            session, order_id, state=state, reason=reason, actor=OPERATOR, now=shop.clock()
        )  # fmt: skip


def ask(
    shop: Shop, verb: Any, order_id: int, *, cancellation_id: int = 0, reason: str = "seen"
) -> None:
    cancellation_id = cancellation_id or shop.cancellation(order_id).id
    db.session.rollback()
    verb(
        unit_of_work,
        cancellation_id,
        connectors=jobs.platform().registries,
        state=state_of(db.session(), order_id),
        reason=reason,
        actor=OPERATOR,
        now=shop.clock(),
    )


def too_much(shop: Shop, units: int = 1) -> tuple[int, int]:
    """An order whose money is more than was due; ids of order and payment."""
    order_id = shop.order()
    payment_id = shop.open(order_id)
    shop.money(payment_id, shop.payment(payment_id).due + shop.offer.price * units)
    assert shop.status(order_id) is O.IN_REVIEW
    return order_id, payment_id


def mails(order_id: int) -> list[str]:
    return list(
        db.session.scalars(
            select(Message.kind).where(Message.order_id == order_id).order_by(Message.id)
        )
    )


def last_event(order_id: int) -> tuple[str, str, str]:
    found = db.session.scalars(
        select(Event)
        .where(Event.order_id == order_id, Event.actor == OPERATOR)
        .order_by(Event.id.desc())
        .limit(1)
    ).one()
    return found.subject, found.new, found.why


def test_money_that_a_person_finds_right_pays(shop: Shop) -> None:
    order_id, payment_id = too_much(shop)
    decide(shop, deciding.release, order_id, reason="the provider gives 2.50 back")
    assert shop.status(order_id) is O.PAID
    assert last_event(order_id) == ("order", "paid", "the provider gives 2.50 back")
    # What is known already does not take it to a person once more.
    jobs.do("payment", payment_id)
    assert shop.status(order_id) is O.PAID
    shop.work()
    assert shop.status(order_id) is O.FULFILLED
    assert shop.registry.units() == 10
    assert {"payment_received", "order_paid"} <= set(mails(order_id))


def test_news_about_the_money_comes_to_a_person_again(shop: Shop) -> None:
    order_id, payment_id = too_much(shop)
    decide(shop, deciding.release, order_id)
    ref = shop.payment(payment_id).processor_ref
    dispute = Fact(FactKind.DISPUTE, "d1", FactStatus.OPEN, None, None, shop.clock(), "not me")
    shop.pay.facts[ref].append(dispute)
    jobs.do("payment", payment_id)
    assert shop.status(order_id) is O.IN_REVIEW
    with pytest.raises(ServiceError, match="no money"):
        decide(shop, deciding.release, order_id)


def test_paid_without_anybodys_word_is_found(shop: Shop) -> None:
    order_id, _ = too_much(shop)
    decide(shop, deciding.release, order_id)
    db.session.execute(db.text("UPDATE dealt_with SET kind = 'x'"))
    assert any("nobody said so" in each for each in shop_findings(shop))
    db.session.rollback()


def shop_findings(shop: Shop) -> list[str]:
    return check_all(db.session(), jobs.platform().files)


def test_units_sold_meanwhile_are_not_promised_twice(shop: Shop) -> None:
    order_id = shop.order(quantity=600)
    payment_id = shop.open(order_id)
    shop.pay.facts.setdefault(shop.payment(payment_id).processor_ref, [])
    jobs.withdraw_order(jobs.platform(), order_id, actor="purchaser")
    assert shop.status(order_id) is O.WITHDRAWN
    other = shop.order(quantity=700)
    shop.money(payment_id)
    assert shop.status(order_id) is O.IN_REVIEW
    with pytest.raises(ServiceError, match="sold meanwhile"):
        decide(shop, deciding.release, order_id)
    assert shop.status(order_id) is O.IN_REVIEW
    jobs.withdraw_order(jobs.platform(), other, actor="purchaser")
    decide(shop, deciding.release, order_id)
    shop.work()
    assert shop.status(order_id) is O.FULFILLED


def test_money_goes_back_and_units_become_free(shop: Shop) -> None:
    order_id, payment_id = too_much(shop)
    held = shop.offer.held
    decide(shop, deciding.refund, order_id, reason="asked for another project")
    assert shop.status(order_id) is O.REFUND_DUE
    assert shop.offer.held == held - 10
    assert {"refund_due", "refund_to_make"} <= set(mails(order_id))
    shop.work()
    assert shop.registry.sent == []
    assert shop.payment(payment_id).status is PaymentStatus.SUCCEEDED


def test_a_paid_order_can_be_stopped_before_the_registry_was_told(shop: Shop) -> None:
    order_id = shop.order()
    shop.money(shop.open(order_id))
    decide(shop, deciding.refund, order_id)
    shop.work()
    assert shop.status(order_id) is O.REFUND_DUE
    assert shop.registry.sent == []


@pytest.mark.parametrize("fault", ["after", "fewer"])
def test_money_stays_while_units_may_be_gone(shop: Shop, fault: str) -> None:
    order_id = shop.order()
    shop.money(shop.open(order_id))
    shop.registry.faults = [fault]
    jobs.do("cancellation", shop.cancellation(order_id).id)
    for verb in (deciding.refund, deciding.withdraw):
        with pytest.raises(ServiceError):
            decide(shop, verb, order_id)
    assert shop.offer.held == 10


def test_money_for_units_that_are_gone_stays(shop: Shop) -> None:
    order_id = shop.order()
    shop.money(shop.open(order_id))
    shop.work()
    for verb in (deciding.refund, deciding.release, deciding.withdraw):
        with pytest.raises(ServiceError):
            decide(shop, verb, order_id)
    assert shop.status(order_id) is O.FULFILLED


def without_money(shop: Shop) -> int:
    """An order in review whose money turned out never to have come."""
    order_id = shop.order()
    payment_id = shop.open(order_id)
    with unit_of_work() as session:
        order = session.get_one(Order, order_id)
        move(session, order, O.IN_REVIEW, actor="test", why="odd", now=shop.clock())
        payment = session.get_one(Payment, payment_id)
        move(session, payment, PaymentStatus.ABANDONED, actor="test", why="odd", now=shop.clock())
        order.due_at = payment.due_at = None
    return order_id


def test_an_order_without_money_is_withdrawn_with_the_reason(shop: Shop) -> None:
    order_id = without_money(shop)
    with pytest.raises(ServiceError, match="No money"):
        decide(shop, deciding.refund, order_id)
    with pytest.raises(ServiceError, match="no money"):
        decide(shop, deciding.release, order_id)
    decide(shop, deciding.withdraw, order_id, reason="the bank took it back")
    assert shop.status(order_id) is O.WITHDRAWN
    assert shop.offer.held == 0
    mail = db.session.scalars(select(Message).where(Message.kind == "order_withdrawn")).one()
    assert mail.params == {"reason": "the bank took it back", "by": "platform"}


def test_an_order_with_money_is_not_withdrawn(shop: Shop) -> None:
    order_id, _ = too_much(shop)
    with pytest.raises(ServiceError, match="would have to go back"):
        decide(shop, deciding.withdraw, order_id)


@pytest.mark.parametrize("verb", [deciding.release, deciding.refund, deciding.withdraw])
def test_the_second_of_two_operators_is_told(shop: Shop, verb: Any) -> None:
    order_id, _ = too_much(shop)
    read = state_of(db.session(), order_id)
    decide(shop, deciding.release, order_id)
    with pytest.raises(ServiceError, match="another operator"):
        decide(shop, verb, order_id, state=read)
    assert shop.status(order_id) is O.PAID


@pytest.mark.parametrize("verb", [deciding.release, deciding.refund, deciding.withdraw])
def test_nothing_is_decided_without_a_reason(shop: Shop, verb: Any) -> None:
    order_id, _ = too_much(shop)
    with pytest.raises(ServiceError, match="reason"):
        decide(shop, verb, order_id, reason="  ")


def rejected(shop: Shop, fault: str = "refuse") -> int:
    order_id = shop.order()
    shop.money(shop.open(order_id))
    shop.registry.faults = [fault]
    jobs.do("cancellation", shop.cancellation(order_id).id)
    return order_id


def test_a_rejected_cancellation_is_tried_again_under_its_key(shop: Shop) -> None:
    order_id = rejected(shop)
    assert shop.cancellation(order_id).status is C.REJECTED
    with pytest.raises(ServiceError, match="First decide"):
        decide(shop, deciding.release, order_id)
    ask(shop, deciding.retry, order_id, reason="the registry is open again")
    assert shop.status(order_id) is O.PAID
    shop.work()
    assert shop.status(order_id) is O.FULFILLED
    assert len(set(shop.registry.sent)) == 1
    assert shop.registry.units() == 10
    with pytest.raises(ServiceError):
        ask(shop, deciding.retry, order_id)


def test_a_refusal_for_good_is_not_sent_again(shop: Shop, monkeypatch: pytest.MonkeyPatch) -> None:
    order_id = rejected(shop)
    final = CancellationReport(ReportStatus.REFUSED, shop.clock(), reason="for good")
    monkeypatch.setattr(shop.registry, "fetch", lambda _key: final)
    with pytest.raises(ServiceError, match="for good"):
        ask(shop, deciding.retry, order_id)
    assert shop.cancellation(order_id).status is C.REJECTED
    decide(shop, deciding.refund, order_id)
    assert shop.status(order_id) is O.REFUND_DUE


def test_a_mismatch_is_confirmed_only_by_what_fits(shop: Shop) -> None:
    order_id = rejected(shop, "fewer")
    assert shop.cancellation(order_id).status is C.MISMATCHED
    with pytest.raises(ServiceError, match="does not fit"):
        ask(shop, deciding.confirm, order_id)
    assert shop.cancellation(order_id).status is C.MISMATCHED
    # The registry mends its book.
    entry = shop.registry.entries[0]
    (found,) = entry.report.ranges
    mended = replace(found, last=found.last + 1, last_text=f"KE-{found.last + 1}")
    entry.report = replace(entry.report, ranges=[mended])
    with pytest.raises(ServiceError, match="exactly what was ordered"):
        ask(shop, deciding.reject, order_id)
    ask(shop, deciding.confirm, order_id, reason="compared with its book")
    assert shop.cancellation(order_id).status is C.CONFIRMED
    assert shop.status(order_id) is O.IN_REVIEW
    decide(shop, deciding.release, order_id)
    assert shop.status(order_id) is O.FULFILLED


def test_a_mismatch_is_rejected_on_a_persons_word(shop: Shop) -> None:
    order_id = rejected(shop, "fewer")
    ask(shop, deciding.reject, order_id, reason="the registry takes them back")
    assert shop.cancellation(order_id).status is C.REJECTED
    assert last_event(order_id) == ("cancellation", "rejected", "the registry takes them back")
    with pytest.raises(ServiceError):
        ask(shop, deciding.reject, order_id)
    # Nothing is sent while the registry knows the key: what it did comes to a person again.
    ask(shop, deciding.retry, order_id)
    sent = list(shop.registry.sent)
    jobs.do("cancellation", shop.cancellation(order_id).id)
    assert shop.registry.sent == sent
    assert shop.cancellation(order_id).status is C.MISMATCHED


def test_the_provider_is_reminded_once_a_day(shop: Shop) -> None:
    order_id = shop.order(method="bank_transfer")

    def remind() -> None:
        with unit_of_work() as session:
            deciding.remind_provider(
                session, order_id, reason="the purchaser asks", actor=OPERATOR, now=shop.clock()
            )

    remind()
    with pytest.raises(ServiceError, match="today"):
        remind()
    shop.clock.tick(days=1)
    remind()
    assert mails(order_id).count("order_undealt") == 2


def test_fulfilling_needs_every_line(shop: Shop) -> None:
    """One line of two is refused: the other stays cancelled, money cannot vanish."""
    order_id = rejected(shop)
    assert stock.in_flight(db.session(), db.session.get_one(Order, order_id).lines[0].block) == 0
    decide(shop, deciding.refund, order_id)
    assert shop.offer.held == 0

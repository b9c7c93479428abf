"""Units of two registries in one order, and one of them refuses: nothing is lost or doubled."""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import replace
from datetime import date, timedelta
from typing import Any

import pytest
from sqlalchemy import select

from cnn_offset import jobs
from cnn_offset.domain.money import Money
from cnn_offset.domain.payment import Fact, FactKind, FactStatus, Verdict
from cnn_offset.domain.status import (
    CancellationStatus,
    OrderStatus,
    PaymentStatus,
    ReplacementStatus,
)
from cnn_offset.extensions import db, unit_of_work
from cnn_offset.models import (
    Attestation,
    Cancellation,
    Event,
    Order,
    OrderLine,
    Replacement,
)
from cnn_offset.services import (
    ServiceError,
    deciding,
    parting,
    replacing,
    tallying,
)
from cnn_offset.services.attention import Kind
from cnn_offset.services.attesting import attestation_data
from tests.parting import (
    ANNE,
    Namer,
    Pair,
    decide,
    findings,
    mails,
    make_pair,
    paid_by,
    pay_back,
    refund_all,
    waiting,
)
from tests.services.conftest import Shop

C, O, R = CancellationStatus, OrderStatus, ReplacementStatus


@pytest.fixture
def pair(shop: Shop) -> Pair:
    return make_pair(shop)


def test_one_payment_and_two_cancellations(pair: Pair) -> None:
    order_id = pair.order()
    pair.shop.work()
    assert pair.shop.status(order_id) is O.FULFILLED
    assert (pair.shop.registry.units(), pair.interim.units()) == (10, 4)
    assert len(set(pair.shop.registry.sent) | set(pair.interim.sent)) == 2
    assert paid_by(order_id).due == Money(10 * 250 + 4 * 300, "USD")


def test_what_is_not_refused_is_cancelled_all_the_same(pair: Pair) -> None:
    order_id = pair.refused()
    pair.shop.work(minutes=20)
    assert pair.row(order_id, "cdm").status is C.CONFIRMED
    assert pair.shop.status(order_id) is O.IN_REVIEW
    # It is cancelled for good: not all of the money can go back.
    with pytest.raises(ServiceError, match="only the other part"):
        refund_all(pair.shop, order_id)
    decide(pair.shop, deciding.retry, pair.row(order_id, "a64_interim").id)
    pair.shop.work()
    assert pair.shop.status(order_id) is O.FULFILLED
    assert pair.interim.units() == 4


def test_nothing_goes_on_while_the_money_is_in_doubt(pair: Pair) -> None:
    order_id = pair.refused()
    ref = paid_by(order_id).processor_ref
    dispute = Fact(FactKind.DISPUTE, "d", FactStatus.OPEN, None, None, pair.shop.clock())
    pair.shop.pay.facts[ref].append(dispute)
    jobs.do("payment", paid_by(order_id).id)
    pair.shop.work(minutes=20)
    assert pair.shop.registry.sent == []
    with pytest.raises(ServiceError, match="in doubt"):
        pair.give_back(order_id)
    # Won by the provider: what waited goes on.
    pair.shop.pay.facts[ref].append(replace(dispute, status=FactStatus.WON))
    jobs.do("payment", paid_by(order_id).id)
    pair.shop.work(minutes=20)
    assert pair.row(order_id, "cdm").status is C.CONFIRMED


def test_after_a_mismatch_the_same_registry_is_told_nothing_more(pair: Pair) -> None:
    second = pair.other()
    order_id = pair.shop.order_of({pair.shop.offer_id: 10, pair.offer_id: 4, second: 3})
    pair.shop.money(pair.shop.open(order_id))
    rows = db.session.scalars(
        select(Cancellation.id).where(Cancellation.order_id == order_id).order_by(Cancellation.id)
    ).all()
    pair.interim.faults = ["fewer"]
    jobs.do("cancellation", rows[1])
    pair.shop.work(minutes=20)
    statuses = [db.session.get_one(Cancellation, each).status for each in rows]
    assert statuses == [C.CONFIRMED, C.MISMATCHED, C.QUEUED]
    # A person counts it as not done, and gives that line back.
    decide(pair.shop, deciding.reject, rows[1])
    decide(pair.shop, parting.give_back, rows[1])
    pair.shop.work()
    assert pair.shop.status(order_id) is O.FULFILLED
    db.session.expire_all()
    assert db.session.get_one(Order, order_id).quantity == 13


def test_a_refused_line_is_given_back_and_the_rest_is_attested(pair: Pair) -> None:
    order_id = pair.refused()
    pair.shop.work(minutes=20)
    before = pair.offer(pair.offer_id).held
    pair.give_back(order_id)
    assert pair.offer(pair.offer_id).held == before - 4
    assert pair.shop.status(order_id) is O.FULFILLED
    assert findings(pair.shop) == []
    payment = paid_by(order_id)
    assert (payment.verdict, payment.due) == (Verdict.OVER, Money(2500, "USD"))
    assert [each.kind for each in waiting(pair)] == [Kind.PART_DUE]
    refund = pay_back(pair.shop, order_id)
    assert refund is not None
    assert refund.amount == Money(1200, "USD")
    payment = paid_by(order_id)
    assert (payment.status, payment.verdict) == (PaymentStatus.SUCCEEDED, Verdict.EXACT)
    assert pair.shop.status(order_id) is O.FULFILLED
    assert waiting(pair) == []
    assert mails(order_id).count("part_refunded") == 1
    assert {"part_given_back", "part_to_give_back"} <= set(mails(order_id))
    order = db.session.get_one(Order, order_id)
    assert (order.quantity, order.given_back) == (10, Money(1200, "USD"))
    with pytest.raises(ServiceError, match="nothing to give back"):
        pay_back(pair.shop, order_id)
    # The attestation speaks of exactly what was cancelled.
    row = db.session.scalars(select(Attestation)).one()
    data = attestation_data(db.session(), row, Namer())  # type: ignore[arg-type]
    assert [(each.registry_id, each.quantity) for each in data.lines] == [("cdm", 10)]
    # Figures say what was paid, what went back and what was cancelled.
    counts = tallying.count_day(db.session(), order.paid_at.date())  # type: ignore[union-attr]
    assert counts["paid", "all", ""] == (1, 14, 0)
    assert counts["refunded", "money", "paypal:USD"] == (1, 0, 1200)
    assert counts["cancelled", "all", ""] == (1, 10, 0)


def test_the_last_line_goes_with_the_whole_order(pair: Pair) -> None:
    """Both registries refuse: one line is given back, then nothing is left of the order."""
    shop = pair.shop
    order_id = pair.refused()
    shop.registry.faults = ["refuse"]
    shop.work(rounds=3, minutes=20)
    assert pair.row(order_id, "cdm").status is C.REJECTED
    pair.give_back(order_id)
    assert shop.status(order_id) is O.IN_REVIEW
    assert findings(shop) == []
    with pytest.raises(ServiceError, match="Nothing else"):
        pair.give_back(order_id, "cdm")
    assert pay_back(shop, order_id).amount == Money(1200, "USD")  # type: ignore[union-attr]
    refund_all(shop, order_id)
    assert shop.status(order_id) is O.REFUND_DUE
    assert shop.offer.held == 0
    assert pay_back(shop, order_id).amount == Money(2500, "USD")  # type: ignore[union-attr]
    assert shop.status(order_id) is O.REFUNDED
    assert paid_by(order_id).status is PaymentStatus.REFUNDED


def test_the_purchaser_agrees_to_other_units(pair: Pair) -> None:
    order_id, other = pair.refused(), pair.other()
    pair.shop.work(minutes=20)
    asked = pair.ask(order_id, other)
    assert (pair.offer(pair.offer_id).held, pair.offer(other).held) == (4, 4)
    assert findings(pair.shop) == []
    assert "replacement_asked" in mails(order_id)
    assert asked.answer_by == pair.shop.clock() + timedelta(days=7)
    old = pair.row(order_id, "a64_interim")
    pair.answer(order_id, replacing.agree)
    assert (pair.offer(pair.offer_id).held, pair.offer(other).held) == (0, 4)
    new = pair.row(order_id, "a64_interim")
    assert new.key != old.key
    assert new.block_ref != old.block_ref
    assert pair.shop.status(order_id) is O.PAID
    assert findings(pair.shop) == []
    pair.shop.work()
    assert pair.shop.status(order_id) is O.FULFILLED
    assert pair.interim.sent == [old.key, new.key]
    assert pair.interim.units() == 4
    line = db.session.get_one(OrderLine, new.order_line_id)
    assert (line.offer_id, line.price_minor) == (other, 300)
    assert line.monitoring_start == date(2022, 1, 1)
    assert "units_replaced" in mails(order_id)
    events = set(db.session.scalars(select(Event.new).where(Event.subject == "replacement")))
    assert events == {"asked", "agreed"}
    with pytest.raises(ServiceError, match="no longer open"):
        pair.answer(order_id, replacing.decline)


@pytest.mark.parametrize("first", ["refund", "retry", "part", "agree"])
def test_of_two_decisions_the_first_counts(pair: Pair, first: str) -> None:
    """An operator decides what another page still offers, and the purchaser answers."""
    shop = pair.shop
    order_id, other = pair.refused(), pair.other()
    pair.ask(order_id, other)
    state = deciding.state_of(db.session(), order_id)
    number = pair.row(order_id, "a64_interim").id
    acts: dict[str, Any] = {
        "refund": lambda: refund_all(shop, order_id, state),
        "retry": lambda: decide(shop, deciding.retry, number, state=state),
        "part": lambda: decide(shop, parting.give_back, number, state=state),
        "agree": lambda: pair.answer(order_id, replacing.agree),
    }
    acts.pop(first)()
    for act in acts.values():
        with pytest.raises(ServiceError):
            act()
    assert pair.offer(other).held == (4 if first == "agree" else 0)
    assert findings(shop) == []
    shop.work()
    assert pair.interim.units() == (0 if first in ("refund", "part") else 4)


def test_the_purchaser_agrees_while_an_operator_gives_the_part_back(pair: Pair) -> None:
    shop = pair.shop
    order_id, other = pair.refused(), pair.other()
    asked = pair.ask(order_id, other).id
    number, state = pair.row(order_id, "a64_interim").id, deciding.state_of(db.session(), order_id)
    db.session.remove()
    barrier, told = threading.Barrier(2), []

    def agree() -> None:
        with unit_of_work() as session:
            replacing.agree(session, session.get_one(Replacement, asked), now=shop.clock())

    def give_back() -> None:
        parting.give_back(
            unit_of_work,
            number,
            connectors={"a64_interim": pair.interim},
            state=state,
            reason="so",
            actor=ANNE,
            now=shop.clock(),
        )

    def at_once(act: Callable[[], None]) -> None:
        with shop.app.app_context():
            barrier.wait()
            try:
                act()
            except ServiceError as error:
                told.append(error.message)
            finally:
                db.session.remove()

    both = [threading.Thread(target=at_once, args=(act,)) for act in (agree, give_back)]
    for each in both:
        each.start()
    for each in both:
        each.join()
    assert len(told) == 1
    assert findings(shop) == []
    shop.work()
    assert shop.status(order_id) is O.FULFILLED
    given_back = db.session.get_one(Order, order_id).given_back.minor
    assert pair.interim.units() == (0 if given_back else 4)

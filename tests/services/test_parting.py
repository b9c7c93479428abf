"""One line of an order is refused: who may choose what, and what may not happen."""

from __future__ import annotations

from dataclasses import replace
from datetime import date, timedelta
from typing import Any

import pytest
from flask import Flask
from sqlalchemy import select

from cnn_offset import jobs
from cnn_offset.domain.calendar import RegistryDates
from cnn_offset.domain.money import Money
from cnn_offset.domain.payment import Fact, FactKind, FactStatus, Verdict
from cnn_offset.domain.status import (
    CancellationStatus,
    OrderStatus,
    ReplacementStatus,
)
from cnn_offset.domain.units import UnitType
from cnn_offset.extensions import db, unit_of_work
from cnn_offset.models import (
    Cancellation,
    Event,
    Order,
    OrderFee,
    PaperKind,
    Payment,
)
from cnn_offset.plugins.registries.base import CancellationReport, ReportStatus
from cnn_offset.services import (
    ServiceError,
    cancelling,
    deadlines,
    deciding,
    fee_statements,
    papers,
    parting,
    replacing,
)
from cnn_offset.services.checking import check_all
from tests.parting import (
    ANNE,
    Pair,
    decide,
    findings,
    mails,
    make_pair,
    paid_by,
    pay_back,
    refund_all,
)
from tests.services.conftest import DATES, Shop

C, O, R = CancellationStatus, OrderStatus, ReplacementStatus


@pytest.fixture
def any_app(app: Flask) -> Flask:
    """On SQLite alone: what may differ between the databases is in the stories."""
    return app


@pytest.fixture
def pair(shop: Shop) -> Pair:
    return make_pair(shop)


def test_the_rest_goes_on_while_the_part_is_still_on_its_way_back(pair: Pair) -> None:
    """The CERs wait for their registry; news of the refund does not stop them."""
    order_id = pair.refused()
    pair.give_back(order_id)
    assert pair.shop.status(order_id) is O.PAID
    assert findings(pair.shop) == []
    pair.shop.pay.refund_status = FactStatus.PENDING
    refund = pay_back(pair.shop, order_id)
    assert refund is not None
    assert paid_by(order_id).verdict is Verdict.OVER
    assert pair.shop.status(order_id) is O.PAID
    assert findings(pair.shop) == []
    pair.shop.work()
    assert pair.shop.status(order_id) is O.FULFILLED
    ref = paid_by(order_id).processor_ref
    done = replace(pair.shop.pay.facts[ref][-1], status=FactStatus.DONE)
    pair.shop.pay.facts[ref].append(done)
    jobs.do("payment", paid_by(order_id).id)
    assert paid_by(order_id).verdict is Verdict.EXACT
    assert pair.shop.status(order_id) is O.FULFILLED


def test_more_coming_back_than_the_part_is_for_a_person(pair: Pair) -> None:
    order_id = pair.refused()
    pair.give_back(order_id)
    ref = paid_by(order_id).processor_ref
    pair.shop.pay.facts[ref].append(
        Fact(FactKind.REFUND, "b", FactStatus.DONE, Money(2000, "USD"), None, pair.shop.clock())
    )
    jobs.do("payment", paid_by(order_id).id)
    assert paid_by(order_id).verdict is Verdict.SHORT
    assert pair.shop.status(order_id) is O.IN_REVIEW
    pair.shop.work(minutes=20)
    assert pair.shop.registry.sent == []
    refund_all(pair.shop, order_id)
    pay_back(pair.shop, order_id)
    assert pair.shop.status(order_id) is O.REFUNDED


def test_what_was_paid_by_bank_transfer_goes_back_as_noted(pair: Pair) -> None:
    shop = pair.shop
    order_id = shop.place(shop.checkout_of({shop.offer_id: 10, pair.offer_id: 4}), "bank_transfer")
    shop.open(order_id, "bank_transfer")
    assert shop.bank_money(order_id, Money(3700, "USD")) is Verdict.EXACT
    pair.interim.faults = ["refuse"]
    shop.work(rounds=3, minutes=20)
    pair.give_back(order_id)
    assert pay_back(shop, order_id) is None
    assert paid_by(order_id).verdict is Verdict.EXACT
    assert shop.status(order_id) is O.FULFILLED
    assert mails(order_id).count("part_refunded") == 1


@pytest.mark.parametrize("way", ["declined", "lapsed", "withdrawn"])
def test_without_consent_the_other_units_are_free_again(pair: Pair, way: str) -> None:
    order_id, other = pair.refused(), pair.other()
    asked = pair.ask(order_id, other)
    with pytest.raises(ServiceError, match="asked already"):
        pair.ask(order_id, pair.other())
    if way == "declined":
        pair.answer(order_id, replacing.decline)
    elif way == "lapsed":
        jobs.do("replacement", asked.id)
        assert pair.question(order_id).status is R.ASKED
        pair.shop.clock.tick(days=7)
        with pytest.raises(ServiceError, match="no longer open"):
            pair.answer(order_id, replacing.agree)
        assert jobs.do("replacement", asked.id, due_only=True)
        assert "replacement_lapsed" in mails(order_id)
    else:
        db.session.rollback()
        with unit_of_work() as session:
            parting.take_back(
                session,
                order_id,
                state=deciding.state_of(session, order_id),
                reason="wrong block",
                actor=ANNE,
                now=pair.shop.clock(),
            )
    assert pair.question(order_id).status == way
    assert pair.offer(other).held == 0
    assert pair.shop.status(order_id) is O.IN_REVIEW
    assert findings(pair.shop) == []
    # All other choices stand.
    pair.give_back(order_id)
    pair.shop.work()
    assert pair.shop.status(order_id) is O.FULFILLED


@pytest.mark.parametrize(
    "changes",
    [
        {"price_minor": 301},
        {"size": 3},
        {"currency": "EUR"},
        {"unit_type": UnitType.A64ER_CONTRIBUTION},
        {"private_token": "t"},
        {"ends_at": date.min},
    ],
    ids=lambda each: next(iter(each)),
)
def test_only_what_costs_nobody_more_can_be_offered(pair: Pair, changes: dict[str, Any]) -> None:
    if "ends_at" in changes:
        changes = {"ends_at": pair.shop.clock()}
    order_id, other = pair.refused(), pair.other(**changes)
    with pytest.raises(ServiceError, match="cannot take their place"):
        pair.ask(order_id, other)
    # Nor another project's, nor those of a registry that takes no orders, nor the same.
    with pytest.raises(ServiceError, match="cannot take their place"):
        pair.ask(order_id, pair.shop.offer_id)
    with pytest.raises(ServiceError, match="cannot take their place"):
        pair.ask(order_id, pair.offer_id)


def test_not_from_a_registry_that_closes(pair: Pair) -> None:
    order_id, other = pair.refused(), pair.other()
    now = pair.shop.clock()
    closing = {"a64_interim": RegistryDates(last_order=now)}
    with pytest.raises(ServiceError, match="cannot take their place"):
        decide(
            pair.shop,
            parting.replace,
            pair.row(order_id, "a64_interim").id,
            other,
            registry_dates=closing,
        )
    soon = {"a64_interim": RegistryDates(last_cancellation=now + timedelta(days=3))}
    decide(
        pair.shop,
        parting.replace,
        pair.row(order_id, "a64_interim").id,
        other,
        registry_dates=soon,
    )
    # Answered on the last day it can still be cancelled.
    assert pair.question(order_id).answer_by == now + timedelta(days=2)


@pytest.mark.parametrize("fault", ["after", "late"])
def test_what_may_still_take_effect_is_not_replaced(pair: Pair, fault: str) -> None:
    order_id = pair.order()
    pair.interim.faults = [fault]
    number = pair.row(order_id, "a64_interim").id
    jobs.do("cancellation", number)
    assert pair.row(order_id, "a64_interim").status is C.UNKNOWN
    for verb, more in ((parting.give_back, ()), (parting.replace, (pair.other(),))):
        told = {"registry_dates": DATES} if more else {}
        with pytest.raises(ServiceError, match="Something has happened"):
            decide(pair.shop, verb, number, *more, **told)


def test_a_registry_that_did_it_after_all_is_believed(
    pair: Pair, monkeypatch: pytest.MonkeyPatch
) -> None:
    order_id, other = pair.refused(), pair.other()
    pair.ask(order_id, other)
    row = pair.row(order_id, "a64_interim")
    # A worker that was asleep comes back with another answer.
    entry = pair.interim._act(
        cancelling.CancellationRequest(row.key, row.account_ref, row.block_ref, 4, "A", "b"), ""
    )
    with unit_of_work() as session:
        again = session.get_one(Cancellation, row.id)
        cancelling.record(session, again, entry.report, pair.interim, now=pair.shop.clock())
    assert pair.row(order_id, "a64_interim").status is C.REJECTED
    with pytest.raises(ServiceError, match="no longer open"):
        pair.answer(order_id, replacing.agree)
    with pytest.raises(ServiceError, match="after all"):
        pair.give_back(order_id)
    accepted = CancellationReport(ReportStatus.ACCEPTED, pair.shop.clock())
    with monkeypatch.context() as patched:
        patched.setattr(pair.interim, "fetch", lambda _key: accepted)
        with pytest.raises(ServiceError, match="still working"):
            pair.give_back(order_id)
    # Tried again, it is found done: nothing is sent, the question is closed.
    decide(pair.shop, deciding.retry, row.id)
    assert pair.question(order_id).status is R.WITHDRAWN
    sent = list(pair.interim.sent)
    pair.shop.work()
    assert pair.interim.sent == sent
    assert pair.shop.status(order_id) is O.FULFILLED


def test_news_of_what_was_given_up_changes_nothing(pair: Pair) -> None:
    order_id = pair.refused()
    row = pair.row(order_id, "a64_interim")
    pair.give_back(order_id)
    entry = pair.interim._act(
        cancelling.CancellationRequest(row.key, row.account_ref, row.block_ref, 4, "A", "b"), ""
    )
    with unit_of_work() as session:
        again = session.get_one(Cancellation, row.id)
        cancelling.record(session, again, entry.report, pair.interim, now=pair.shop.clock())
    db.session.expire_all()
    assert db.session.get_one(Cancellation, row.id).status is C.GIVEN_UP
    heard = select(Event.new).where(Event.subject == "cancellation", Event.subject_id == row.id)
    assert "heard late" in set(db.session.scalars(heard))


def test_the_check_sees_what_does_not_fit(pair: Pair) -> None:
    order_id = pair.refused()
    pair.give_back(order_id)
    number = paid_by(order_id).id
    db.session.execute(db.text("UPDATE payment SET waived_minor = 1 WHERE id = :n"), {"n": number})
    assert any("waived" in each for each in check_all(db.session(), jobs.platform().files))
    db.session.rollback()


def test_the_fee_of_the_part_goes_back_with_it(pair: Pair) -> None:
    order_id = pair.refused()
    with unit_of_work() as session:
        session.get_one(Payment, paid_by(order_id).id).fee_minor = 185
    pair.give_back(order_id)
    fee, order = OrderFee(amount_minor=185), db.session.get_one(Order, order_id)
    assert fee_statements.due(fee, order, [paid_by(order_id)]) == 185
    pay_back(pair.shop, order_id)
    # In proportion: 25 of 37 dollars stay.
    assert list(pair.shop.pay.fees_back.values()) == [Money(60, "USD")]
    order = db.session.get_one(Order, order_id)
    assert fee_statements.due(fee, order, [paid_by(order_id)]) == 125


def test_a_receipt_says_what_was_paid(pair: Pair) -> None:
    order_id = pair.refused()
    pair.give_back(order_id)
    with unit_of_work() as session:
        paper = papers.issue_paper(
            session,
            session.get_one(Order, order_id),
            PaperKind.RECEIPT,
            method_titles={},
            actor="purchaser",
            now=pair.shop.clock(),
        )
        assert paper.data["total_minor"] == 3700
        assert [each["quantity"] for each in paper.data["lines"]] == [10, 4]


def test_the_line_of_a_registry_that_ended_is_given_back(pair: Pair) -> None:
    """The CDM registry takes its last cancellation while the order waits for it."""
    order_id, now = pair.order(), pair.shop.clock()
    jobs.do("cancellation", pair.row(order_id, "a64_interim").id)
    ended = {"cdm": RegistryDates(last_cancellation=now)}
    cancelling.pursue(
        unit_of_work,
        pair.row(order_id, "cdm").id,
        connectors=jobs.platform().registries,
        clock=pair.shop.clock,
        registry_dates=ended,
    )
    assert pair.row(order_id, "cdm").status is C.REJECTED
    assert pair.shop.registry.sent == []
    # Its registry cannot be asked any more, or is not configured: its refusal stands.
    decide(pair.shop, parting.give_back, pair.row(order_id, "cdm").id, connectors={})
    assert pair.shop.status(order_id) is O.FULFILLED
    assert pay_back(pair.shop, order_id).amount == Money(2500, "USD")  # type: ignore[union-attr]


def test_what_is_cancelled_needs_its_registry_no_more(pair: Pair) -> None:
    """The CERs are cancelled, then their registry ends; the other line is tried again."""
    order_id = pair.refused()
    pair.shop.work(rounds=2, minutes=20)
    assert pair.row(order_id, "cdm").status is C.CONFIRMED
    with unit_of_work() as session:
        dates = {"cdm": RegistryDates(last_cancellation=pair.shop.clock())}
        deadlines.put_in_force(session, dates)
    decide(pair.shop, deciding.retry, pair.row(order_id, "a64_interim").id)
    pair.shop.work(rounds=3)
    assert pair.shop.status(order_id) is O.FULFILLED

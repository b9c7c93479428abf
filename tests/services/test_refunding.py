"""Money goes back once, at the word of two operators, and the order follows the facts."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy import select

from cnn_offset import jobs
from cnn_offset.domain.money import Money
from cnn_offset.domain.payment import Fact, FactKind, FactStatus, left
from cnn_offset.domain.status import OrderStatus, PaymentStatus, ProposalStatus, RefundStatus
from cnn_offset.extensions import db, unit_of_work
from cnn_offset.models import Event, Message, Order, Payment, Proposal, Refund
from cnn_offset.plugins.errors import OutcomeUnknownError, RefusedError, UnavailableError
from cnn_offset.services import ServiceError, deciding, proposing, refunding
from tests.factories import NOW
from tests.services.conftest import Shop

ANNE, BEN = "anne@example.org", "ben@example.org"
USD = Money(2500, "USD")


def due_back(shop: Shop, amount: Money) -> int:
    """An order whose payment was not exact, and that a person decided to give back."""
    order_id = shop.order()
    payment_id = shop.open(order_id)
    shop.money(payment_id, amount)
    assert shop.status(order_id) is OrderStatus.IN_REVIEW
    decide(shop, order_id)
    assert shop.status(order_id) is OrderStatus.REFUND_DUE
    return payment_id


def decide(shop: Shop, order_id: int) -> None:
    with unit_of_work() as session:
        deciding.refund(
            session,
            order_id,
            state=deciding.state_of(session, order_id),
            reason="wrong amount",
            actor=ANNE,
            now=shop.clock(),
        )


def propose(shop: Shop, payment_id: int) -> int:
    with unit_of_work() as session:
        return refunding.propose(
            session,
            session.get_one(Payment, payment_id),
            plugins=jobs.platform().payments,
            reason="too much came",
            actor=ANNE,
            now=shop.clock(),
        ).id


def approve(shop: Shop, proposal_id: int, actor: str = BEN) -> bool:
    with unit_of_work() as session:
        found = proposing.find(session, proposal_id)
        return proposing.approve(session, found, actor=actor, now=shop.clock())


def refund_of(payment_id: int) -> Refund:
    db.session.expire_all()
    return db.session.scalars(
        select(Refund).where(Refund.payment_id == payment_id).order_by(Refund.id.desc())
    ).all()[0]


def work(shop: Shop, rounds: int = 3) -> None:
    for _ in range(rounds):
        for row_id in db.session.scalars(select(Refund.id).where(Refund.due_at <= shop.clock())):
            jobs.do("refund", row_id, due_only=True)
        shop.work(rounds=1)


def test_two_operators_give_back_what_came_and_the_order_follows(shop: Shop) -> None:
    payment_id = due_back(shop, Money(2600, "USD"))
    proposal_id = propose(shop, payment_id)
    with pytest.raises(ServiceError, match="asked for this yourself"):
        approve(shop, proposal_id, ANNE)
    assert shop.pay.refunds == {}
    assert approve(shop, proposal_id)
    # Somebody else approves the same page a moment later.
    assert not approve(shop, proposal_id, "carla@example.org")
    work(shop)
    refund = refund_of(payment_id)
    assert refund.status is RefundStatus.DONE
    assert (refund.asked_by, refund.approved_by) == (ANNE, BEN)
    assert shop.pay.refunds == {refund.key: Money(2600, "USD")}
    assert len(refund.key) <= 40
    payment = shop.payment(payment_id)
    assert payment.status is PaymentStatus.REFUNDED
    assert shop.status(payment.order_id) is OrderStatus.REFUNDED
    kinds = set(db.session.scalars(select(Message.kind)))
    assert "order_refunded" in kinds
    actors = set(db.session.scalars(select(Event.actor).where(Event.subject == "proposal")))
    assert actors == {ANNE, BEN}
    with pytest.raises(ServiceError, match="nothing to give back"):
        propose(shop, payment_id)


def test_a_lost_answer_is_asked_for_again_under_the_same_key(shop: Shop) -> None:
    payment_id = due_back(shop, Money(2600, "USD"))
    approve(shop, propose(shop, payment_id))
    shop.pay.failures = [UnavailableError("down")]
    shop.pay.failures_after = [OutcomeUnknownError("time-out")]
    for _ in range(3):
        work(shop, rounds=1)
        shop.clock.tick(minutes=20)
    assert len(shop.pay.refunds) == 1
    assert len(set(shop.pay.refunds_asked)) == 1
    assert refund_of(payment_id).status is RefundStatus.DONE
    assert shop.status(shop.payment(payment_id).order_id) is OrderStatus.REFUNDED


def test_what_the_processor_refuses_can_be_proposed_again(shop: Shop) -> None:
    payment_id = due_back(shop, Money(2600, "USD"))
    approve(shop, propose(shop, payment_id))
    shop.pay.failures = [RefusedError("the seller’s balance is too low")]
    work(shop)
    refund = refund_of(payment_id)
    assert refund.status is RefundStatus.REFUSED
    assert refund.said == "the seller’s balance is too low"
    assert refund.due_at is None
    assert shop.status(refund.order_id) is OrderStatus.REFUND_DUE
    approve(shop, propose(shop, payment_id))
    work(shop)
    again = refund_of(payment_id)
    assert again.key != refund.key
    assert again.status is RefundStatus.DONE
    assert shop.status(refund.order_id) is OrderStatus.REFUNDED


def test_never_two_at_once_for_one_payment(shop: Shop) -> None:
    payment_id = due_back(shop, Money(2600, "USD"))
    proposal_id = propose(shop, payment_id)
    with pytest.raises(ServiceError, match="asked for already"):
        propose(shop, payment_id)
    approve(shop, proposal_id)
    with pytest.raises(ServiceError, match="on its way"):
        propose(shop, payment_id)
    shop.pay.refund_status = FactStatus.PENDING
    work(shop)
    # Taken, but not done: it is on its way, and looked at until it is.
    with pytest.raises(ServiceError, match="nothing to give back"):
        propose(shop, payment_id)
    payment = shop.payment(payment_id)
    assert payment.due_at is not None
    order_id = payment.order_id
    assert shop.status(order_id) is OrderStatus.REFUND_DUE
    facts = shop.pay.facts[payment.processor_ref]
    facts.append(Fact(FactKind.REFUND, facts[-1].ref, FactStatus.DONE, facts[-1].amount, None, NOW))
    shop.clock.tick(hours=5)
    work(shop)
    assert shop.status(order_id) is OrderStatus.REFUNDED


def test_what_changed_since_it_was_proposed_is_not_done(shop: Shop) -> None:
    payment_id = due_back(shop, Money(2600, "USD"))
    proposal_id = propose(shop, payment_id)
    payment = shop.payment(payment_id)
    # The provider gives a part back at the processor meanwhile.
    shop.pay.facts[payment.processor_ref].append(
        Fact(FactKind.REFUND, "own", FactStatus.DONE, Money(100, "USD"), None, shop.clock())
    )
    jobs.do("payment", payment_id)
    with pytest.raises(ServiceError, match="changed since"):
        approve(shop, proposal_id)
    db.session.expire_all()
    assert db.session.get_one(Proposal, proposal_id).status is ProposalStatus.WAITING
    assert db.session.scalars(select(Refund)).all() == []
    with unit_of_work() as session:
        found = proposing.find(session, proposal_id)
        assert proposing.refuse(session, found, "anew", actor=ANNE, now=shop.clock())
        assert found.status is ProposalStatus.WITHDRAWN
    approve(shop, propose(shop, payment_id))
    work(shop)
    assert refund_of(payment_id).amount == USD
    assert shop.status(payment.order_id) is OrderStatus.REFUNDED


def test_money_beyond_what_paid_goes_back_and_the_order_stays(shop: Shop) -> None:
    order_id = shop.order()
    first = shop.open(order_id)
    with unit_of_work() as session:
        session.get_one(Payment, first).status = PaymentStatus.FAILED
    second = shop.open(order_id)
    shop.money(second)
    shop.work()
    assert shop.status(order_id) is OrderStatus.FULFILLED
    shop.money(first)
    with pytest.raises(ServiceError, match="nothing to give back"):
        propose(shop, second)
    approve(shop, propose(shop, first))
    work(shop)
    assert refund_of(first).amount == USD
    assert shop.payment(first).status is PaymentStatus.REFUNDED
    assert shop.status(order_id) is OrderStatus.FULFILLED


def test_a_bank_transfer_its_provider_sends_back_itself(shop: Shop) -> None:
    order_id = shop.order(method="bank_transfer")
    payment_id = shop.open(order_id, "bank_transfer")
    shop.bank_money(order_id, Money(2400, "USD"))
    assert shop.status(order_id) is OrderStatus.IN_REVIEW
    decide(shop, order_id)
    order = db.session.get_one(Order, order_id)
    (standing,) = refunding.giving_back(db.session(), order, plugins=jobs.platform().payments)
    assert standing.amount == Money(2400, "USD")
    assert not standing.by_processor
    # Two operators note what the provider did: nobody is told to do anything.
    approve(shop, propose(shop, payment_id))
    assert db.session.scalars(select(Refund)).all() == []
    (fact,) = [each for each in shop.payment(payment_id).facts if each.kind is FactKind.REFUND]
    assert (fact.actor, fact.reason) == (BEN, "too much came")
    assert shop.status(order_id) is OrderStatus.REFUNDED


def test_of_the_fee_goes_back_what_the_provider_gives_up(shop: Shop) -> None:
    payment_id = due_back(shop, Money(2600, "USD"))
    with unit_of_work() as session:
        session.get_one(Payment, payment_id).fee_minor = 125
    approve(shop, propose(shop, payment_id))
    work(shop)
    assert list(shop.pay.fees_back.values()) == [Money(125, "USD")]


def test_what_is_told_again_is_the_same_even_if_the_money_went_back_meanwhile(shop: Shop) -> None:
    """A processor refuses a key with another body; so the fee's part is part of the intent."""
    payment_id = due_back(shop, Money(2600, "USD"))
    with unit_of_work() as session:
        session.get_one(Payment, payment_id).fee_minor = 125
    approve(shop, propose(shop, payment_id))
    shop.pay.failures_after = [OutcomeUnknownError("time-out")]
    work(shop, rounds=1)
    assert jobs.do("payment", payment_id), "the facts come in by themselves"
    shop.clock.tick(minutes=20)
    work(shop)
    assert len(shop.pay.refunds_asked) == 2
    assert set(shop.pay.refunds_asked) == {
        (refund_of(payment_id).key, Money(2600, "USD"), Money(125, "USD"))
    }


def test_what_went_back_before_it_was_decided_needs_no_refund(shop: Shop) -> None:
    order_id = shop.order()
    payment_id = shop.open(order_id)
    shop.money(payment_id, Money(2600, "USD"))
    payment = shop.payment(payment_id)
    shop.pay.facts[payment.processor_ref].append(
        Fact(FactKind.REFUND, "own", FactStatus.DONE, Money(2600, "USD"), None, shop.clock())
    )
    jobs.do("payment", payment_id)
    decide(shop, order_id)
    assert shop.status(order_id) is OrderStatus.REFUNDED


minor = st.integers(1, 10_000)
facts = st.lists(
    st.builds(
        Fact,
        st.sampled_from([FactKind.PAYMENT, FactKind.REFUND, FactKind.DISPUTE]),
        st.sampled_from("abcd"),
        st.sampled_from(list(FactStatus)),
        st.builds(Money, minor, st.just("USD")),
        st.none(),
        st.just(NOW),
    ),
    max_size=8,
)


@given(facts)
def test_left_is_never_more_than_came(found: list[Fact]) -> None:
    rest = left(found)
    came = {
        each.ref: max(
            one.amount.minor
            for one in found
            if one.amount
            and (one.kind, one.ref, one.status) == (FactKind.PAYMENT, each.ref, FactStatus.DONE)
        )
        for each in found
        if each.kind is FactKind.PAYMENT and each.status is FactStatus.DONE
    }
    assert (rest.minor if rest else 0) <= sum(came.values())
    if rest:
        assert rest.minor > 0
        assert left([*found, Fact(FactKind.REFUND, "x", FactStatus.OPEN, rest, None, NOW)]) is None

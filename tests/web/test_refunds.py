"""Refunds at the desk: proposed on the order, listed for two persons, done by a job."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from flask import Flask
from sqlalchemy import select

from cnn_offset.domain.money import Money
from cnn_offset.domain.staff import OperatorRole
from cnn_offset.domain.status import OrderStatus, ProposalStatus
from cnn_offset.extensions import db, unit_of_work
from cnn_offset.models import Order, Payment, Proposal, Refund
from cnn_offset.plugins.errors import RefusedError
from cnn_offset.services import deciding
from tests.conftest import Clock
from tests.web.people import add_person, log_in, post
from tests.web.shopping import Mall, Visitor, open_mall, text_of


@pytest.fixture
def mall(app: Flask, clock: Clock) -> Iterator[Mall]:
    yield from open_mall(app, clock)


class House:
    """An order that is to be refunded, and two operators."""

    def __init__(self, mall: Mall, amount: int = 2600) -> None:
        self.mall = mall
        Visitor(mall.app).buy(mall, mall.sun)
        (order,), (payment,) = mall.orders(), mall.payments()
        self.code, self.token = order.code, order.token
        mall.pay.pay(payment.processor_ref, Money(amount, "USD"))
        mall.clock.tick(minutes=2)
        mall.work("payment")
        with mall.app.app_context(), unit_of_work() as session:
            deciding.refund(
                session,
                order.id,
                state=deciding.state_of(session, order.id),
                reason="wrong amount",
                actor="anne@example.org",
                now=mall.clock(),
            )
        for name in ("anne", "ben"):
            add_person(
                mall.app, f"{name}@example.org", "operator", operator_role=OperatorRole.FINANCE
            )
        self.anne, self.ben = (log_in(mall.app, f"{name}@example.org") for name in ("anne", "ben"))
        self.path = f"/en/operator/orders/{self.code}/refund/{payment.id}"

    def propose(self) -> str:
        answer = post(self.anne, self.path, reason="Too much came.")
        assert answer.status_code == 302, text_of(answer)
        return str(answer.location)


@pytest.fixture
def house(mall: Mall) -> House:
    return House(mall)


def test_two_operators_and_the_money_is_back(house: House) -> None:
    mall = house.mall
    assert "To give back USD 26.00" in text_of(house.anne.get(house.path))
    proposal = house.propose()
    own = text_of(house.anne.get(proposal))
    assert "You asked for this yourself" in own
    assert "back to the payer of order" in own
    assert "waits for a second operator" in text_of(house.anne.get(house.path))
    listed = text_of(house.ben.get("/en/operator/proposals"))
    assert "Too much came." in listed
    assert "For two persons 1 waiting" in listed
    assert post(house.ben, f"{proposal}/approve").location == proposal
    assert "on its way already" in text_of(house.anne.get(house.path))
    # A second click, and a third person who has the page open.
    again = post(house.ben, f"{proposal}/approve")
    assert "Somebody else decided this" in text_of(house.ben.get(again.location))
    mall.work("refund")
    assert list(mall.pay.refunds.values()) == [Money(2600, "USD")]
    assert mall.orders()[0].status is OrderStatus.REFUNDED
    assert "sent your money back" in text_of(
        mall.app.test_client().get(f"/en/orders/{house.token}")
    )
    assert "nothing to give back" in text_of(house.anne.get(house.path))
    assert "Nothing waits." in text_of(house.ben.get("/en/operator/proposals"))


def test_the_processors_no_is_shown(house: House) -> None:
    mall = house.mall
    post(house.ben, f"{house.propose()}/approve")
    mall.pay.failures = [RefusedError("balance too low")]
    mall.work("refund")
    assert "balance too low" in text_of(house.anne.get(f"/en/operator/orders/{house.code}"))
    assert "Propose to give" in text_of(house.anne.get(house.path))


@pytest.mark.parametrize("reason", ["", "  ", "x" * 1001, "a\u202eb"])
def test_a_reason_is_needed(house: House, reason: str) -> None:
    answer = post(house.anne, house.path, reason=reason)
    assert answer.status_code == 422
    assert 'id="reason-error"' in answer.text
    assert house.mall.rows(Proposal) == []


def test_asked_for_twice(house: House) -> None:
    house.propose()
    answer = post(house.ben, house.path, reason="Again.")
    assert answer.status_code == 422
    assert "asked for already" in text_of(answer)


def test_refused_and_withdrawn_with_reasons(house: House) -> None:
    proposal = house.propose()
    assert post(house.ben, f"{proposal}/refuse", reason="").status_code == 422
    assert post(house.ben, f"{proposal}/refuse", reason="Not yet.").location == proposal
    late = post(house.anne, f"{proposal}/approve")
    assert late.status_code == 422
    second = house.propose()
    assert post(house.anne, f"{second}/refuse", reason="A slip.").location == second
    statuses = [each.status for each in house.mall.rows(Proposal)]
    assert statuses == [ProposalStatus.REFUSED, ProposalStatus.WITHDRAWN]
    assert "A slip." not in text_of(house.ben.get(f"{house.path}"))
    gone = post(house.ben, f"{second}/approve")
    assert "Somebody else decided this" in text_of(house.ben.get(gone.location))
    assert house.mall.rows(Refund) == []


def test_of_another_order_or_none(house: House) -> None:
    for path in (
        f"/en/operator/orders/{house.code}/refund/77",
        "/en/operator/orders/NOPE/refund/1",
    ):
        assert house.anne.get(path).status_code == 404
        assert post(house.anne, path, reason="x").status_code == 404


def test_nothing_is_due_of_a_fulfilled_order(mall: Mall) -> None:
    Visitor(mall.app).buy(mall, mall.sun)
    (payment,) = mall.payments()
    mall.pay.pay(payment.processor_ref)
    mall.clock.tick(minutes=2)
    mall.work("payment", "cancellation")
    add_person(mall.app, "anne@example.org", "operator")
    anne = log_in(mall.app, "anne@example.org")
    path = f"/en/operator/orders/{mall.orders()[0].code}/refund/{payment.id}"
    assert "nothing to give back" in text_of(anne.get(path))
    answer = post(anne, path, reason="Because.")
    assert answer.status_code == 422
    assert "nothing to give back" in text_of(answer)


@pytest.mark.parametrize("role", [OperatorRole.AUDITOR, OperatorRole.LISTING])
def test_who_may_not(house: House, role: OperatorRole) -> None:
    add_person(house.mall.app, "looks@example.org", "operator", operator_role=role)
    looks = log_in(house.mall.app, "looks@example.org")
    assert looks.get(house.path).status_code == 403
    assert post(looks, house.path, reason="x").status_code == 403
    proposal = house.propose()
    assert looks.get(proposal).status_code == 200
    assert post(looks, f"{proposal}/approve").status_code == 403


def test_a_long_list_is_turned_page_by_page(app: Flask, clock: Clock) -> None:
    add_person(app, "anne@example.org", "operator")
    with app.app_context():
        for number in range(1, 121):
            waits = number % 2
            db.session.add(
                Proposal(
                    kind="erasure",
                    subject="user",
                    subject_id=number,
                    payload={},
                    reason=f"reason {number:03d}",
                    status=ProposalStatus.WAITING if waits else ProposalStatus.APPROVED,
                    asked_by="ben@example.org",
                    asked_at=clock(),
                )
            )
        db.session.commit()
        assert len(db.session.scalars(select(Order)).all()) == 0
        assert len(db.session.scalars(select(Payment)).all()) == 0
    anne = log_in(app, "anne@example.org")
    first = text_of(anne.get("/en/operator/proposals"))
    assert "reason 001" in first
    assert "reason 101" not in first
    assert "reason 120" in first
    assert "reason 020" not in first
    assert "reason 101" in text_of(anne.get("/en/operator/proposals?after=99"))
    assert "reason 020" in text_of(anne.get("/en/operator/proposals?before=22"))
    # A kind that nobody describes is shown all the same.
    assert "reason 001" in text_of(anne.get("/en/operator/proposals/1"))

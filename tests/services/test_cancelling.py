"""Units: cancelled once, whatever the registry does."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import pytest
from sqlalchemy import func, select

from cnn_offset import jobs
from cnn_offset.domain.status import CancellationStatus, OrderStatus
from cnn_offset.extensions import db, unit_of_work
from cnn_offset.models import Attestation, CancelledRange, Event
from tests.services.conftest import Shop

C = CancellationStatus


def paid(shop: Shop, quantity: int = 10) -> int:
    order_id = shop.order(quantity)
    shop.money(shop.open(order_id))
    return order_id


def test_paid_means_cancelled_and_numbered(shop: Shop) -> None:
    first, second = paid(shop), paid(shop, 5)
    shop.work(rounds=2)
    for order_id in (first, second):
        assert shop.status(order_id) is OrderStatus.FULFILLED
    assert shop.registry.units() == 15
    assert shop.offer.cancelled == 15
    assert shop.offer.held == 0
    numbers = db.session.scalars(select(Attestation.sequence).order_by(Attestation.id)).all()
    assert list(numbers) == [1, 2]


@pytest.mark.parametrize("safe", [True, False], ids=["deduplicates", "ask only"])
@pytest.mark.parametrize(
    "faults",
    [["after"], ["before"], ["accept"], ["before", "after"], ["after", "after"], ["before"] * 3],
)
def test_silence_never_cancels_twice(shop: Shop, safe: bool, faults: list[str]) -> None:
    shop.registry.safe = safe
    shop.registry.faults = list(faults)
    order_id = paid(shop)
    shop.work(rounds=200, minutes=1)
    assert shop.status(order_id) is OrderStatus.FULFILLED
    assert shop.registry.units() == 10


@pytest.mark.parametrize("safe", [True, False], ids=["deduplicates", "ask only"])
def test_a_stale_look_up_does_not_cancel_twice(shop: Shop, safe: bool) -> None:
    shop.registry.safe = safe
    shop.registry.faults = ["after"]
    shop.registry.blind = 4
    order_id = paid(shop)
    shop.work(rounds=60)
    assert shop.status(order_id) is OrderStatus.FULFILLED
    assert shop.registry.units() == 10


def test_ask_only_is_not_told_again_before_it_has_settled(shop: Shop) -> None:
    shop.registry.safe = False
    shop.registry.faults = ["before"]
    order_id = paid(shop)
    shop.work(rounds=25)
    assert len(shop.registry.sent) == 1
    assert shop.cancellation(order_id).status is C.UNKNOWN
    shop.work(rounds=10)
    assert len(shop.registry.sent) == 2
    assert shop.status(order_id) is OrderStatus.FULFILLED


def test_a_refusal_goes_to_a_person(shop: Shop) -> None:
    shop.registry.faults = ["refuse"]
    order_id = paid(shop)
    shop.work(rounds=5)
    assert shop.cancellation(order_id).status is C.REJECTED
    assert shop.status(order_id) is OrderStatus.IN_REVIEW
    assert shop.registry.sent == [shop.cancellation(order_id).key]


def test_a_refusal_of_a_repeat_is_not_believed_while_the_first_may_still_act(shop: Shop) -> None:
    shop.registry.faults = ["after", "refuse"]
    shop.registry.blind = 2
    order_id = paid(shop)
    shop.work(rounds=10)
    assert len(shop.registry.sent) == 2, "the second send was refused"
    assert shop.status(order_id) is OrderStatus.FULFILLED
    assert shop.registry.units() == 10


@pytest.mark.parametrize(("fault", "words"), [("fewer", "9 units"), ("other", "outside")])
def test_other_serials_than_ordered_go_to_a_person(shop: Shop, fault: str, words: str) -> None:
    shop.registry.faults = [fault]
    order_id = paid(shop)
    shop.work(rounds=5)
    row = shop.cancellation(order_id)
    assert row.status is C.MISMATCHED
    assert words in row.registry_said
    assert shop.status(order_id) is OrderStatus.IN_REVIEW
    assert len(shop.registry.sent) == 1


def test_serials_of_another_cancellation_go_to_a_person(shop: Shop) -> None:
    first = paid(shop)
    shop.work(rounds=2)
    shop.registry.next_free.clear()  # the registry hands out the same numbers again
    second = paid(shop)
    shop.work(rounds=2)
    assert shop.status(first) is OrderStatus.FULFILLED
    assert shop.cancellation(second).status is C.MISMATCHED


def test_the_database_refuses_a_unit_twice(shop: Shop) -> None:
    order_id = paid(shop)
    shop.work(rounds=2)
    row = db.session.scalars(select(CancelledRange)).one()
    values = {
        each: getattr(row, each)
        for each in ("cancellation_id", "registry_id", "series", "first_text", "last_text")
    }
    with pytest.raises(Exception, match="no unit is cancelled twice"), unit_of_work() as session:
        session.add(CancelledRange(first=row.last, last=row.last + 3, **values))
    with pytest.raises(Exception, match="only ever added"), unit_of_work() as session:
        session.scalars(select(CancelledRange)).one().last += 1
    assert shop.status(order_id) is OrderStatus.FULFILLED


def test_many_workers_send_once(shop: Shop) -> None:
    order_id = paid(shop)
    cancellation_id = shop.cancellation(order_id).id
    db.session.rollback()

    def one(_: int) -> None:
        with shop.app.app_context():
            jobs.do("cancellation", cancellation_id)
            db.session.remove()

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(one, range(16)))
    shop.work(rounds=2)
    assert shop.status(order_id) is OrderStatus.FULFILLED
    assert shop.registry.units() == 10
    assert len(shop.registry.sent) == 1


@pytest.mark.parametrize("step", range(1, 12))
def test_killed_between_any_two_transactions(
    shop: Shop, step: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Let the process die at the n-th beginning of a transaction, then go on with a new one."""
    order_id = shop.order(10)
    payment_id = shop.open(order_id)
    shop.pay.pay(shop.payment(payment_id).processor_ref)
    count = 0

    class Killed(BaseException):
        pass

    real = unit_of_work

    def deadly():
        nonlocal count
        count += 1
        if count == step:
            raise Killed
        return real()

    monkeypatch.setattr(jobs, "unit_of_work", deadly)
    try:
        jobs.do("payment", payment_id)
        jobs.do("cancellation", shop.cancellation(order_id).id)
    except (Killed, Exception):
        db.session.rollback()
    monkeypatch.setattr(jobs, "unit_of_work", real)
    shop.work(rounds=10)
    assert shop.status(order_id) is OrderStatus.FULFILLED
    assert shop.registry.units() == 10
    assert len(shop.registry.sent) == 1


def test_history_tells_every_move(shop: Shop) -> None:
    order_id = paid(shop)
    shop.work(rounds=2)
    told = db.session.execute(
        select(Event.subject, Event.new).where(Event.order_id == order_id).order_by(Event.id)
    ).all()
    assert [tuple(each) for each in told] == [
        ("order", "placed"),
        ("payment", "awaiting_payer"),
        ("payment", "succeeded"),
        ("order", "paid"),
        ("cancellation", "submitted"),
        ("cancellation", "confirmed"),
        ("order", "fulfilled"),
    ]
    assert db.session.scalar(select(func.count()).select_from(Event)) >= len(told)

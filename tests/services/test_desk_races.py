"""Two operators at once, on both databases; and that both understand what the desk asks."""

from __future__ import annotations

import threading

from cnn_offset.domain.status import OrderStatus
from cnn_offset.extensions import db, unit_of_work
from cnn_offset.services import ServiceError, deciding, finding
from cnn_offset.services.attention import Kind, attention, deal
from cnn_offset.services.deciding import state_of
from cnn_offset.services.finding import OrderQuery
from tests.services.conftest import Shop


def too_much(shop: Shop) -> tuple[int, int]:
    order_id = shop.order()
    payment_id = shop.open(order_id)
    shop.money(payment_id, shop.payment(payment_id).due + shop.offer.price)
    return order_id, payment_id


def test_one_of_two_operators_decides(shop: Shop) -> None:
    order_id, _ = too_much(shop)
    read = state_of(db.session(), order_id)
    db.session.remove()
    barrier, told = threading.Barrier(2), []

    def decide(verb: object, actor: str) -> None:
        with shop.app.app_context():
            barrier.wait()
            try:
                with unit_of_work() as session:
                    verb(  # type: ignore[operator]
                        session, order_id, state=read, reason="so", actor=actor, now=shop.clock()
                    )
            except ServiceError as error:
                told.append(error.message)
            finally:
                db.session.remove()

    both = [
        threading.Thread(target=decide, args=(deciding.release, "a@example.org")),
        threading.Thread(target=decide, args=(deciding.refund, "b@example.org")),
    ]
    for each in both:
        each.start()
    for each in both:
        each.join()
    assert told == [deciding.DECIDED]
    assert shop.status(order_id) in (OrderStatus.PAID, OrderStatus.REFUND_DUE)


def test_what_the_desk_asks_is_understood(shop: Shop) -> None:
    order_id, payment_id = too_much(shop)
    with unit_of_work() as session:
        deciding.release(
            session,
            order_id,
            state=state_of(session, order_id),
            reason="so",
            actor="a@example.org",
            now=shop.clock(),
        )
    shop.work()
    (entry,) = attention(db.session(), now=shop.clock())
    assert (entry.kind, entry.subject_id) == (Kind.SURPLUS, payment_id)
    with unit_of_work() as session:
        deal(session, Kind.SURPLUS, payment_id, reason="so", actor="a@x", now=shop.clock())
    assert attention(db.session(), now=shop.clock()) == []
    for query in (
        OrderQuery(text="ada example"),
        OrderQuery(text="ada@example.org", status=OrderStatus.FULFILLED),
        OrderQuery(method_id="paypal"),
        OrderQuery(text=shop.offer.block.block_ref, provider=shop.offer.block.provider.name),
    ):
        found = finding.find_orders(db.session(), query, registry_ids=["cdm"], limit=10)
        assert [order.id for order in found.orders] == [order_id]

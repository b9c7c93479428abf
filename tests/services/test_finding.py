"""Operators find an order by anything that stands on it; filters narrow; pages go on."""

from __future__ import annotations

from datetime import date
from typing import Any

import pytest
from flask import Flask
from sqlalchemy import event, select

from cnn_offset.domain.period import Period
from cnn_offset.domain.reference import creditor_reference
from cnn_offset.domain.status import OrderStatus
from cnn_offset.extensions import db, unit_of_work
from cnn_offset.models import Attestation, Order, OrderTerm
from cnn_offset.services import finding
from cnn_offset.services.finding import Found, OrderQuery, find_orders
from cnn_offset.services.inbox import index_order
from tests.services.conftest import Shop


@pytest.fixture
def any_app(app: Flask) -> Flask:
    return app


def find(*, before: int | None = None, limit: int = 50, **asked: Any) -> Found:
    db.session.expire_all()
    return find_orders(
        db.session(), OrderQuery(**asked), registry_ids=["cdm"], before=before, limit=limit
    )


def ids(**asked: Any) -> list[int]:
    return [order.id for order in find(**asked).orders]


def rename(order_id: int, **values: str) -> None:
    """Give an order other words, as if it had been placed with them."""
    with unit_of_work() as session:
        order = session.get_one(Order, order_id)
        for name, value in values.items():
            setattr(order, name, value)
        session.query(OrderTerm).filter_by(order_id=order_id).delete()
        session.flush()
        index_order(session, order)


def test_by_anything_on_it(shop: Shop) -> None:
    other = shop.order()
    order_id = shop.order()
    payment_id = shop.open(order_id)
    shop.money(payment_id)
    shop.work()
    rename(
        order_id,
        purchaser_name="Zoë Müller",
        company="Ångström Airways",
        beneficiary="Fleet of Łódź",
        purchase_order="PO-4711/X",
    )
    order = db.session.get_one(Order, order_id)
    payment, gone = shop.payment(payment_id), shop.cancellation(order_id)
    assert shop.status(order_id) is OrderStatus.FULFILLED
    block = gone.line.block
    serial = gone.ranges[0]
    with unit_of_work() as session:
        attested = session.scalars(select(Attestation)).one()
        number = attested.number
    for text in (
        order.code, order.code.lower(), "zoe", "MULLER zoë", "angstrom", "airways angstrom",
        "lodz", "fleet lodz", "4711", "po-4711/x", payment.key, payment.processor_ref,
        payment.facts[0].ref, creditor_reference(order_id), gone.key, gone.registry_ref, number,
        f"KE-5-{serial.first + 1}-2-2-0-{block.activity.ref}",
    ):  # fmt: skip
        assert ids(text=text) == [order_id], text
    assert ids(text=order.email) == [order_id, other]
    assert ids(text=block.block_ref) == [order_id, other]


def test_what_is_on_none(shop: Shop) -> None:
    shop.order()
    for text in (
        "nobody", "zz@example.org", "%", "_", "'", "RF00000000000001", "VC999999/2026",
        "99999999999", "KE-5-999999999-2-2-0-1", "VC99999999999999/2026", "\u200b",
        "a b c d e f g h i j",
    ):  # fmt: skip
        assert find(text=text) == Found([], None), text


def test_words_of_different_things_are_not_mixed(shop: Shop) -> None:
    order_id = shop.order()
    rename(order_id, purchaser_name="Ada Lovelace", beneficiary="Grace Hopper")
    assert ids(text="ada lovelace") == ids(text="grace hopper") == [order_id]
    assert ids(text="ada hopper") == []


def test_filters_narrow_and_pages_go_on(shop: Shop) -> None:
    made = [shop.order(method=method) for method in ("paypal", "bank_transfer") * 2]
    made.append(shop.order())
    assert ids() == made[::-1]
    assert ids(method_id="bank_transfer") == [made[3], made[1]]
    assert ids(status=OrderStatus.PLACED, method_id="paypal") == [made[4], made[2], made[0]]
    assert ids(status=OrderStatus.PAID) == []
    name = db.session.get_one(Order, made[0]).provider.name
    assert ids(provider=name[:5].lower()) == made[::-1]
    assert ids(provider="nobody", text="ada") == ids(provider="nobody") == []
    day = date(2026, 11, 2)
    assert ids(period=Period("days", day, day), text="ada") == made[::-1]
    assert ids(period=Period("days", date(2026, 11, 3), date(2026, 11, 4))) == []
    for asked in ({}, {"text": "ada"}, {"method_id": "paypal"}, {"provider": name}):
        seen, before = [], None
        while True:
            page = find(before=before, limit=2, **asked)
            seen += [order.id for order in page.orders]
            before = page.older
            if before is None:
                break
        assert seen == ids(**asked), asked


def test_common_words_are_looked_through_in_parts(
    shop: Shop, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(finding, "SCANNED", 3)
    made = [shop.order() for _ in range(7)]
    rename(made[0], purchaser_name="Ada Rare")
    page = find(text="ada example")
    assert [order.id for order in page.orders] == made[:3:-1]
    assert page.older == made[4]
    assert ids(text="ada rare") == [made[0]]
    # None in this part, yet there may be some in the next.
    seen, before = [], None
    for _ in range(5):
        page = find(text="example", period=None, method_id="paypal", before=before)
        seen += [order.id for order in page.orders]
        before = page.older
        if before is None:
            break
    assert seen == made[::-1]


def test_as_many_queries_for_many_orders_as_for_few(shop: Shop) -> None:
    def count(**asked: Any) -> int:
        seen: list[str] = []

        def note(*args: Any) -> None:
            seen.append(args[2])

        event.listen(db.engine, "before_cursor_execute", note)
        try:
            find(**asked)
        finally:
            event.remove(db.engine, "before_cursor_execute", note)
        return len(seen)

    shop.order()
    few = count(), count(text="ada example"), count(text="ada@example.org")
    for _ in range(5):
        shop.order()
    assert (count(), count(text="ada example"), count(text="ada@example.org")) == few
    assert max(few) <= 14


def test_every_way_is_by_an_index(shop: Shop) -> None:
    shop.order()
    plans: list[str] = []

    def explain(_conn: Any, cursor: Any, statement: str, parameters: Any, *_: Any) -> None:
        if statement.startswith("SELECT"):
            cursor.execute(f"EXPLAIN QUERY PLAN {statement}", parameters)
            plans.extend(row[3] for row in cursor.fetchall())

    def run() -> None:
        for text in ("ada example", "ada@example.org", "ABCDEFGHJ", "VC000001/2026", "B-1",
                     "KE-5-12-2-2-0-1"):  # fmt: skip
            find(text=text)
        find()
        find(status=OrderStatus.PLACED)
        find(method_id="paypal")
        find(status=OrderStatus.PLACED, method_id="paypal", before=1)
        find(period=Period("days", date(2026, 11, 2), date(2026, 11, 2)))

    event.listen(db.engine, "before_cursor_execute", explain)
    try:
        run()
    finally:
        event.remove(db.engine, "before_cursor_execute", explain)
    big = ("order", "order_term", "order_line", "payment", "payment_fact", "cancellation",
           "cancelled_range", "attestation", "record_term", "block")  # fmt: skip
    scans = [
        plan
        for plan in plans
        if plan.startswith("SCAN") and plan.split()[1] in big and "USING" not in plan
    ]
    assert scans == []

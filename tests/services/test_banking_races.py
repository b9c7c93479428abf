"""Money at the bank, decided by several at once, on both databases."""

from __future__ import annotations

from sqlalchemy import func, select

from cnn_offset.domain.money import Money
from cnn_offset.domain.status import BankEntryStatus, OrderStatus
from cnn_offset.extensions import db
from cnn_offset.models import BankEntry, BankStatement, Cancellation, PaymentFact
from cnn_offset.services import ServiceError, banking, statements
from tests.services.conftest import Shop
from tests.services.test_banking import (
    ANN,
    BEN,
    bank_order,
    code,
    decide,
    line,
    record,
    take,
    typed,
)
from tests.services.test_races import at_once
from tests.statements import Line, camt053


def count(kind: type) -> int:
    db.session.rollback()
    return db.session.scalar(select(func.count()).select_from(kind)) or 0


def test_a_double_click_records_once(shop: Shop) -> None:
    order_id = bank_order(shop)
    take(shop, camt053([line(order_id)]))
    entry_id = db.session.scalars(select(BankEntry.id)).one()
    results = at_once(shop, *[lambda: record(shop, entry_id)] * 4)
    assert results.count(BankEntryStatus.RECORDED) == 1, results
    assert sum(isinstance(each, ServiceError) for each in results) == 3, results
    assert shop.status(order_id) is OrderStatus.PAID
    assert count(Cancellation) == 1


def test_two_second_persons_agree_once(shop: Shop) -> None:
    order_id = bank_order(shop)
    entry_id = typed(shop, order_id, second_from=1)
    results = at_once(
        shop,
        lambda: record(shop, entry_id, actor=BEN, second_from=1),
        lambda: record(shop, entry_id, actor="cyn@example.org", second_from=1),
        lambda: decide(shop, banking.send_back, entry_id, actor=ANN),
    )
    assert any(not isinstance(each, Exception) for each in results), results
    assert all(
        not isinstance(each, Exception) or isinstance(each, ServiceError) for each in results
    )
    assert count(Cancellation) <= 1


def test_the_same_file_twice_at_once(shop: Shop) -> None:
    order_id = bank_order(shop)
    data = camt053([line(order_id), Line("3.00", "gift", "T-2")])
    results = at_once(shop, *[lambda: take(shop, data).added] * 3)
    assert results.count(2) == 1, results
    assert sum(isinstance(each, statements.KnownStatementError) for each in results) == 2, results
    assert (count(BankStatement), count(BankEntry)) == (1, 2)


def test_typed_while_the_statement_is_read(shop: Shop) -> None:
    """Whoever is first, the money counts once."""
    order_id = bank_order(shop)
    data = camt053([line(order_id)])
    results = at_once(shop, lambda: take(shop, data).added, *[lambda: typed(shop, order_id)] * 3)
    odd = [each for each in results if isinstance(each, Exception)]
    assert all(isinstance(each, banking.KnownEntryError) for each in odd), results
    assert count(BankEntry) == 1
    facts = select(func.count()).select_from(PaymentFact).where(PaymentFact.amount_minor > 0)
    assert (db.session.scalar(facts) or 0) <= 1


def test_divided_twice_at_once(shop: Shop) -> None:
    first, second = bank_order(shop), bank_order(shop)
    take(shop, camt053([Line("50.00", "both", "T-1")]))
    entry_id = db.session.scalars(select(BankEntry.id)).one()
    shares = [(code(first), Money(2500, "USD")), (code(second), Money(2500, "USD"))]
    results = at_once(shop, *[lambda: decide(shop, banking.split, entry_id, shares)] * 3)
    assert sum(isinstance(each, ServiceError) for each in results) == 2, results
    assert count(BankEntry) == 3

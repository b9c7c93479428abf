"""A provider's orders as a list: narrowed, counted and searched, at a cost that does not
grow with their number.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, Final

from sqlalchemy import (
    ColumnElement,
    Select,
    func,
    insert,
    literal,
    or_,
    select,
    text,
    tuple_,
    union_all,
)
from sqlalchemy.orm import Session, selectinload

from cnn_offset.domain.period import Period
from cnn_offset.domain.reference import creditor_reference
from cnn_offset.domain.status import OrderStatus
from cnn_offset.models import Order, OrderTerm
from cnn_offset.services.recording import words

MOST_COUNTED: Final = 100
"""Counting stops here; the page then says "99+"."""
MAX_WORDS: Final = 6
O = OrderStatus  # noqa: E741


class Tray(StrEnum):
    """What a list of orders is narrowed to."""

    ALL = "all"
    UNDEALT = "undealt"
    """By bank transfer, and nobody has said yet that they are being dealt with."""
    WAITING = "waiting"
    PAID = "paid"
    FULFILLED = "fulfilled"
    REVIEW = "review"
    ENDED = "ended"


STATUSES: Final[Mapping[Tray, Sequence[OrderStatus]]] = {
    Tray.WAITING: (O.PLACED,),
    Tray.PAID: (O.PAID,),
    Tray.FULFILLED: (O.FULFILLED,),
    Tray.REVIEW: (O.IN_REVIEW, O.REFUND_DUE),
    Tray.ENDED: (O.LAPSED, O.WITHDRAWN, O.REFUNDED),
}
# The same words as in the partial index, or the databases would not take it.
UNDEALT: Final = text("status = 'placed' AND in_progress_at IS NULL")


@dataclass(frozen=True, slots=True)
class InboxQuery:
    """What a provider looks for among its orders; empty parts do not narrow."""

    tray: Tray = Tray.ALL
    method_id: str = ""
    period: Period | None = None
    """In which the orders were placed."""
    text: str = ""


def find_orders(
    session: Session,
    provider_id: int,
    query: InboxQuery,
    *,
    bank_methods: Collection[str],
    before: int | None = None,
    limit: int,
) -> Sequence[Order]:
    """Return a provider's orders with their lines: newest first, undealt ones oldest first.

    Args:
        session: any.
        provider_id: whose; orders of others are never among them.
        query: what narrows them.
        bank_methods: ids of the methods whose money shows only on a bank statement.
        before: go on after this order, for the next page.
        limit: at most so many.

    """
    oldest_first = query.tray is Tray.UNDEALT
    key = tuple_(Order.placed_at, Order.id)
    in_turn = (
        (Order.placed_at.asc(), Order.id.asc())
        if oldest_first
        else (Order.placed_at.desc(), Order.id.desc())
    )
    narrowed = [*_period(query.period), *_text(provider_id, query.text)]
    if before is not None:
        at = session.execute(
            select(Order.placed_at, Order.id).where(
                Order.id == before, Order.provider_id == provider_id
            )
        ).first()
        if at is not None:
            there = tuple_(literal(at[0], Order.placed_at.type), literal(at[1], Order.id.type))
            narrowed.append(key > there if oldest_first else key < there)
    # One branch for each run of an index, so that none reads more than it shows.
    branches = [
        branch.where(*narrowed).order_by(*in_turn).limit(limit)
        for branch in _branches(provider_id, query, bank_methods)
    ]
    if not branches:
        return []
    ids = union_all(*(select(each.subquery().c.id) for each in branches)).subquery()
    return session.scalars(
        select(Order)
        .where(Order.id.in_(select(ids.c.id)))
        .options(selectinload(Order.lines))
        .order_by(*in_turn)
        .limit(limit)
    ).all()


def _branches(
    provider_id: int, query: InboxQuery, bank_methods: Collection[str]
) -> list[Select[Any]]:
    mine = select(Order.id).where(Order.provider_id == provider_id)
    if query.tray is Tray.UNDEALT:
        wanted = [each for each in bank_methods if query.method_id in ("", each)]
        return [mine.where(UNDEALT, Order.method_id == each) for each in wanted]
    if query.tray is Tray.ALL and not query.method_id:
        return [mine]
    branches = [mine.where(Order.status == each) for each in STATUSES.get(query.tray, tuple(O))]
    if query.method_id:
        return [each.where(Order.method_id == query.method_id) for each in branches]
    return branches


def _period(period: Period | None) -> list[ColumnElement[bool]]:
    if period is None:
        return []
    return [Order.placed_at >= period.since, Order.placed_at < period.until]


def count_orders(
    session: Session, provider_id: int, *, bank_methods: Collection[str]
) -> dict[Tray, int]:
    """Count a provider's orders by tray, each up to ``MOST_COUNTED``, in one query."""
    trays = [each for each in Tray if each is not Tray.ALL]
    counts = []
    for tray in trays:
        total: Any = literal(0)
        for branch in _branches(provider_id, InboxQuery(tray), bank_methods):
            some = branch.limit(MOST_COUNTED).subquery()
            total = total + select(func.count()).select_from(some).scalar_subquery()
        counts.append(total)
    found = session.execute(select(*counts)).one()
    return {tray: min(int(n), MOST_COUNTED) for tray, n in zip(trays, found, strict=True)}


def _text(provider_id: int, typed: str) -> list[ColumnElement[bool]]:
    """Narrow to orders of a code, a payment reference, a purchase-order number or a name.

    Names find only orders whose purchaser the provider may know (``knows_purchaser``).
    """
    if not typed:
        return []
    bare = "".join(typed.split()).upper()
    ways: list[ColumnElement[bool]] = [Order.code == bare[:16]]
    # RF, two check digits, and twelve digits that are the order's id.
    body = bare[4:] if bare.startswith("RF") else ""
    if body.isascii() and body.isdigit() and len(body) == 12 and int(body):
        known = int(body) if creditor_reference(int(body)) == bare else 0
        ways.append(Order.id == known)
    plain = typed.strip().casefold()
    terms = [plain[:74]] if "@" in plain else words(typed)[:MAX_WORDS]
    if terms:
        ways.append(Order.id.in_(_with_terms(provider_id, [f"po:{each}" for each in terms])))
        named = Order.id.in_(_with_terms(provider_id, [f"name:{each}" for each in terms]))
        ways.append(named & _known())
    return [or_(*ways)]


def _with_terms(provider_id: int, terms: Sequence[str]) -> Select[Any]:
    found = select(OrderTerm.order_id).where(
        OrderTerm.provider_id == provider_id, OrderTerm.term == terms[0]
    )
    for term in terms[1:]:
        again = select(OrderTerm.order_id).where(
            OrderTerm.provider_id == provider_id, OrderTerm.term == term
        )
        found = found.where(OrderTerm.order_id.in_(again))
    return found


_KNOWN: Final = (O.IN_REVIEW, O.REFUND_DUE, O.REFUNDED)
"""Money has come for such an order, if not always the right amount."""


def _known() -> ColumnElement[bool]:
    return or_(Order.paid_at.is_not(None), Order.status.in_(_KNOWN))


def knows_purchaser(order: Order) -> bool:
    """Whether money has come, so that the provider may know who sent it (G7)."""
    return order.paid_at is not None or order.status in _KNOWN


def index_order(session: Session, order: Order) -> None:
    """Enter a new order in the index of what its provider and operators find it by."""
    name: Iterable[str] = (*words(f"{order.purchaser_name} {order.company}"), order.email[:74])
    terms = {f"name:{each}" for each in name} | {
        f"po:{each}" for each in words(order.purchase_order)
    }
    # Operators alone look for these: a provider need not know for whom units are cancelled.
    terms |= {f"for:{each}" for each in words(order.beneficiary)}
    session.connection().execute(
        insert(OrderTerm.__table__),  # type: ignore[arg-type]
        [
            {"provider_id": order.provider_id, "term": term, "order_id": order.id}
            for term in sorted(terms)
        ],
    )

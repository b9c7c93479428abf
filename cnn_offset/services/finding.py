"""Orders as operators find them: by anything that stands on one, at a cost that does not grow.

Every way to find is an index. What somebody typed is looked for in all of them at once;
names by whole words, the rarest first, and never through more than ``SCANNED`` orders at a
time: where there may be more, the page goes on from there.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Final

from sqlalchemy import (
    ColumnElement,
    Select,
    exists,
    func,
    literal,
    or_,
    select,
    tuple_,
    union,
    union_all,
)
from sqlalchemy.orm import Session, joinedload, selectinload

from cnn_offset.domain.period import Period
from cnn_offset.domain.reference import creditor_reference, parse_attestation_number
from cnn_offset.domain.status import OrderStatus
from cnn_offset.models import (
    Attestation,
    Block,
    Cancellation,
    Order,
    OrderLine,
    OrderTerm,
    Payment,
    PaymentFact,
    Provider,
    RecordTerm,
)
from cnn_offset.services.recording import MOST, owners_of_serial, words

SCANNED: Final = 5000
"""So many orders with the rarest word are looked through at a time."""
MAX_WORDS: Final = 6
_FIELDS: Final = ("name", "for", "po")
"""Of the words of an order: of its purchaser, its beneficiary, its own number."""
MAX_PROVIDERS: Final = 5
MAX_BLOCKS: Final = 10


@dataclass(frozen=True, slots=True)
class OrderQuery:
    """What an operator looks for; empty parts do not narrow."""

    text: str = ""
    status: OrderStatus | None = None
    method_id: str = ""
    provider: str = ""
    """The name of a provider, or the words it begins with."""
    period: Period | None = None
    """In which the orders were placed."""


@dataclass(frozen=True, slots=True)
class Found:
    """A page of orders, newest first, and where older ones begin."""

    orders: Sequence[Order]
    older: int | None
    """Give this to the next call; None if there are none."""


def find_orders(
    session: Session,
    query: OrderQuery,
    *,
    registry_ids: Collection[str],
    before: int | None = None,
    limit: int,
) -> Found:
    """Return the newest orders that match all parts of ``query``, older than ``before``.

    Args:
        session: any.
        query: its text is a code, an e-mail address, a reference of a payment or a registry,
            a serial, block or attestation number, or whole words of the purchaser, the
            company, the beneficiary or its own number.
        registry_ids: where serial numbers are looked for.
        before: an order's id from the page before.
        limit: at most so many.

    """
    narrowed = _filters(session, query)
    if narrowed is None:
        return Found([], None)
    if query.text.strip():
        return _by_text(session, query.text.strip(), narrowed, registry_ids, before, limit)
    return _in_turn(session, query, before, limit)


def _filters(session: Session, query: OrderQuery) -> list[ColumnElement[bool]] | None:
    """Return the conditions of the filters; None if no provider is called so."""
    found: list[ColumnElement[bool]] = []
    if query.provider:
        ids = _providers(session, query.provider)
        if not ids:
            return None
        found.append(Order.provider_id.in_(ids))
    if query.status is not None:
        found.append(Order.status == query.status)
    if query.method_id:
        found.append(Order.method_id == query.method_id)
    return [*found, *_period(query.period)]


def _period(period: Period | None) -> list[ColumnElement[bool]]:
    if period is None:
        return []
    return [Order.placed_at >= period.since, Order.placed_at < period.until]


def _providers(session: Session, name: str) -> list[int]:
    """Return the ids of the providers of a name. There are few beside the orders."""
    wanted = select(Provider.id).where(
        or_(Provider.slug == name, Provider.name.istartswith(name.strip(), autoescape=True))
    )
    return list(session.scalars(wanted.order_by(Provider.id).limit(MAX_PROVIDERS)))


# Without a text: one branch for each run of an index, newest first.


def _in_turn(session: Session, query: OrderQuery, before: int | None, limit: int) -> Found:
    key = tuple_(Order.placed_at, Order.id)
    narrowed = _period(query.period)
    if before is not None:
        at = session.execute(select(Order.placed_at, Order.id).where(Order.id == before)).first()
        if at is not None:
            last = tuple_(literal(at[0], Order.placed_at.type), literal(at[1], Order.id.type))
            narrowed.append(key < last)
    newest = (Order.placed_at.desc(), Order.id.desc())
    branches = [
        branch.where(*narrowed).order_by(*newest).limit(limit + 1)
        for branch in _branches(session, query)
    ]
    ids = union_all(*(select(each.subquery().c.id) for each in branches)).subquery()
    rows = session.scalars(
        _with_all(select(Order).where(Order.id.in_(select(ids.c.id))))
        .order_by(*newest)
        .limit(limit + 1)
    ).all()
    return Found(rows[:limit], rows[limit - 1].id if len(rows) > limit else None)


def _branches(session: Session, query: OrderQuery) -> Iterator[Select[Any]]:
    owners = _providers(session, query.provider) if query.provider else [None]
    statuses = [query.status] if query.status else list(OrderStatus)
    for owner in owners:
        mine = select(Order.id)
        if owner is not None:
            mine = mine.where(Order.provider_id == owner)
        if not query.method_id and query.status is None:
            yield mine
            continue
        for status in statuses:
            one = mine.where(Order.status == status)
            yield one.where(Order.method_id == query.method_id) if query.method_id else one


def _with_all(wanted: Select[Any]) -> Select[Any]:
    return wanted.options(selectinload(Order.lines), joinedload(Order.provider))


# With a text: the orders that some index knows it of, then the filters.


def _by_text(
    session: Session,
    text: str,
    narrowed: list[ColumnElement[bool]],
    registry_ids: Collection[str],
    before: int | None,
    limit: int,
) -> Found:
    below = before if before is not None else 2**62
    ways = [*_exactly(session, text, registry_ids, below), *_words(session, text, below)]
    floor = max((_floor(session, way) for way in ways if way.may_be_long), default=0)
    found = union(*(_matched(way) for way in ways)).subquery()
    rows = session.scalars(
        _with_all(select(Order).where(Order.id.in_(select(found.c[0])), *narrowed))
        # Below the floor some way knows of more than was looked through.
        .where(Order.id >= floor)
        .order_by(Order.id.desc())
        .limit(limit + 1)
    ).all()
    if len(rows) > limit:
        return Found(rows[:limit], rows[limit - 1].id)
    return Found(rows, floor or None)


@dataclass(frozen=True, slots=True)
class _Way:
    """Ids of orders as one index gives them, and further words that these must have."""

    ids: Select[Any]
    terms: Sequence[str] = ()
    may_be_long: bool = False

    def newest(self) -> Any:
        """Return the newest of them, as many as are looked through at a time."""
        number = self.ids.selected_columns[0]
        return self.ids.order_by(number.desc()).limit(SCANNED).subquery()


def _matched(way: _Way) -> Select[Any]:
    number = way.newest().c[0]
    wanted = select(number)
    for term in way.terms:
        wanted = wanted.where(exists().where(OrderTerm.term == term, OrderTerm.order_id == number))
    return wanted


def _floor(session: Session, way: _Way) -> int:
    """Return the oldest order that a way was looked through to; 0 if that was all of it."""
    number = way.newest().c[0]
    count, oldest = session.execute(select(func.count(), func.min(number))).one()
    return int(oldest) if count == SCANNED else 0


def _exactly(
    session: Session, text: str, registry_ids: Collection[str], below: int
) -> Iterator[_Way]:
    """Yield a way for each thing that the text may be, whole."""
    bare = "".join(text.split())
    one = select(Order.id).where(Order.id < below)
    yield _Way(one.where(Order.code == bare.upper()[:16]))
    if "@" in bare:
        yield _Way(one.where(Order.email == bare.lower()[:254]), may_be_long=True)
    number = _number_of(bare.upper())
    if number:
        yield _Way(one.where(Order.id == number))
    paid = select(Payment.order_id).where(Payment.order_id < below)
    yield _Way(paid.where(Payment.key == bare[:40]))
    yield _Way(paid.where(Payment.processor_ref == bare[:127], Payment.processor_ref != ""))
    told = select(PaymentFact.payment_id).where(PaymentFact.ref.in_({text[:127], bare[:127]}))
    yield _Way(paid.where(Payment.id.in_(told.limit(SCANNED))))
    gone = select(Cancellation.order_id).where(Cancellation.order_id < below)
    yield _Way(gone.where(Cancellation.key == bare[:40]))
    yield _Way(gone.where(Cancellation.registry_ref == text[:120], Cancellation.registry_ref != ""))
    for block_id in session.scalars(
        select(Block.id).where(Block.block_ref == text[:80]).limit(MAX_BLOCKS)
    ):
        lines = select(OrderLine.order_id).where(
            OrderLine.block_id == block_id, OrderLine.order_id < below
        )
        yield _Way(lines, may_be_long=True)
    yield from _attested(text, below)
    for order_id in owners_of_serial(session, bare, registry_ids):
        yield _Way(one.where(Order.id == order_id))


def _number_of(bare: str) -> int:
    """Return the order that a creditor reference names: its body is the order's id."""
    body = bare[4:] if bare.startswith("RF") else ""
    if not (body.isascii() and body.isdigit() and len(body) == 12 and int(body)):
        return 0
    return int(body) if creditor_reference(int(body)) == bare else 0


def _attested(text: str, below: int) -> Iterator[_Way]:
    """By the number of an attestation, and by serial numbers that only begin or end a range."""
    wanted = select(Attestation.order_id).where(Attestation.order_id < below)
    number = parse_attestation_number(text)
    if number and max(number) <= MOST:
        yield _Way(wanted.where(Attestation.sequence == number[0], Attestation.year == number[1]))
    serial = f"serial:{text.casefold()[:70]}"
    terms = select(RecordTerm.attestation_id).where(RecordTerm.term == serial)
    yield _Way(wanted.where(Attestation.id.in_(terms.limit(SCANNED))))


def _words(session: Session, text: str, below: int) -> Iterator[_Way]:
    """Yield a way for each thing whose words the text may be: a name, its own number."""
    found = list(dict.fromkeys(words(text)))[:MAX_WORDS]
    if not found or "@" in text:
        return
    for name in _FIELDS:
        first, *others = _rarest_first(session, [f"{name}:{word}" for word in found], below)
        wanted = select(OrderTerm.order_id).where(
            OrderTerm.term == first, OrderTerm.order_id < below
        )
        yield _Way(wanted, others, may_be_long=True)


def _rarest_first(session: Session, terms: list[str], below: int) -> list[str]:
    if len(terms) == 1:
        return terms
    counts = []
    for term in terms:
        some = select(OrderTerm.order_id).where(OrderTerm.term == term, OrderTerm.order_id < below)
        counted = select(func.count()).select_from(some.limit(SCANNED).subquery())
        counts.append(counted.scalar_subquery())
    row = session.execute(select(*counts)).one()
    return [term for _, term in sorted(zip(row, terms, strict=True), key=lambda pair: pair[0])]

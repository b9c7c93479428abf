"""Tables of offers: read, compared with what is on offer, applied row by row."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from enum import StrEnum
from typing import Final

from sqlalchemy import func, select
from sqlalchemy.orm import Session, joinedload

from cnn_offset.domain.money import Money
from cnn_offset.domain.status import OfferStatus
from cnn_offset.domain.text import N_
from cnn_offset.models import Block, Offer
from cnn_offset.services import Begin, NotFoundError, ServiceError, stock, tables
from cnn_offset.services.offering import (
    Outside,
    Terms,
    change_offer,
    check,
    currencies,
    last_day,
    make_offer,
)

MAX_ROWS: Final = 2000
MAX_BYTES: Final = 2**20
_BATCH: Final = 500
COLUMNS: Final[Mapping[str, tuple[str, ...]]] = {
    "registry": (N_("Registry"), "registre", "registro"),
    "account": (N_("Account"), "compte", "cuenta"),
    "block": (N_("Block"), "bloc", "bloque"),
    "price": (N_("Price"), "prix", "precio"),
    "currency": (N_("Currency"), "devise", "moneda", "divisa", "monnaie"),
    "quantity": (N_("Quantity"), "quantité", "cantidad"),
    "minimum": (N_("Smallest order"), "minimum", "commande minimale", "pedido mínimo", "mínimo"),
    "ends_on": (N_("Last day"), "dernier jour", "último día", "end date"),
}
"""The columns of a table, each by the words that may head it; the first is a message id."""
_NEEDED: Final = ("registry", "block", "price", "currency", "quantity")


@dataclass(frozen=True, slots=True)
class Wish:
    """A row that could be read: what an offer of a block is to say."""

    registry_id: str
    account_ref: str
    """Empty if the table does not say; the block's reference must be enough then."""
    block_ref: str
    terms: Terms
    version: int = 0
    """Of the offer when the wish was compared; 0 for a new one."""


@dataclass(frozen=True, slots=True)
class Line:
    """A row of a table, read or not."""

    number: int
    """In the file, its header counted."""
    cells: Mapping[str, str]
    wish: Wish | None
    fault: ServiceError | None = None


class News(StrEnum):
    """What a row would change."""

    NEW = "new"
    CHANGED = "changed"
    SAME = "same"
    FAULT = "fault"


@dataclass(frozen=True, slots=True)
class Planned:
    """A row compared with what is on offer."""

    line: Line
    news: News
    block: Block | None = None
    offer: Offer | None = None
    fault: ServiceError | None = None


def read_table(
    raw: bytes,
    *,
    read_price: Callable[[str, str], Money],
    read_quantity: Callable[[str], int],
) -> list[Line]:
    """Read a table of offers.

    Args:
        raw: the file, as :func:`tables.read` takes it.
        read_price: reads an amount in a currency; raises ServiceError.
        read_quantity: reads a whole number; raises ValueError.

    Raises:
        ServiceError: the file is too large, no table, or lacks a column.

    """
    rows = tables.read(raw, COLUMNS, _NEEDED, most_rows=MAX_ROWS, most_bytes=MAX_BYTES)
    return [_line(number, cells, read_price, read_quantity) for number, cells in rows]


def _line(
    number: int,
    cells: Mapping[str, str],
    read_price: Callable[[str, str], Money],
    read_quantity: Callable[[str], int],
) -> Line:
    try:
        price = read_price(cells["price"], cells["currency"].upper())
        try:
            quantity = read_quantity(cells["quantity"])
            minimum = read_quantity(cells["minimum"]) if cells.get("minimum") else 1
        except ValueError:
            raise ServiceError(N_("Please enter a whole number of units, 1 or more.")) from None
        try:
            ends_on = date.fromisoformat(cells["ends_on"]) if cells.get("ends_on") else None
        except ValueError:
            raise ServiceError(N_("Please write a day such as 2026-12-31.")) from None
    except ServiceError as fault:
        return Line(number, cells, None, fault)
    terms = Terms(price, quantity, minimum, ends_on)
    place = (cells["registry"], cells.get("account", ""), cells["block"])
    return Line(number, cells, Wish(*place, terms))


UNKNOWN: Final = N_("You have no such block.")
TWICE: Final = N_("The block stands in the table before.")
AMBIGUOUS: Final = N_("Several of your accounts have a block of this name; please add the account.")


def plan(
    session: Session, provider_id: int, lines: Sequence[Line], outside: Outside
) -> list[Planned]:
    """Say row by row what a table would change. Changes nothing.

    A row speaks of the offer of a block that everybody sees; private offers are left alone.
    """
    payable = currencies(session, provider_id, outside.plugins)
    planned: list[Planned] = []
    seen: set[int] = set()
    for start in range(0, len(lines), _BATCH):
        batch = lines[start : start + _BATCH]
        blocks = _blocks(session, provider_id, batch)
        ids = [block.id for found in blocks.values() for block in found]
        offers = _offers(session, ids)
        promised = _promised(session, ids)
        for line in batch:
            if line.wish is None:
                planned.append(Planned(line, News.FAULT, fault=line.fault))
                continue
            wish = line.wish
            found = [
                block
                for block in blocks.get((wish.registry_id.casefold(), wish.block_ref), ())
                if wish.account_ref in ("", block.account_ref)
            ]
            if len(found) != 1 or found[0].id in seen:
                fault = TWICE if len(found) == 1 else AMBIGUOUS if found else UNKNOWN
                planned.append(Planned(line, News.FAULT, fault=ServiceError(fault)))
                continue
            block = found[0]
            seen.add(block.id)
            free = max(block.held - promised.get(block.id, 0), 0)
            planned.append(
                _compare(line, wish, block, offers.get(block.id), outside, payable, free)
            )
    return planned


def _compare(
    line: Line,
    wish: Wish,
    block: Block,
    offer: Offer | None,
    outside: Outside,
    payable: Mapping[str, None],
    free: int,
) -> Planned:
    if offer and wish.terms == terms_of(offer):
        return Planned(line, News.SAME, block, offer)
    try:
        check(block, offer, wish.terms, outside, payable=payable, free=free)
    except ServiceError as fault:
        return Planned(line, News.FAULT, block, offer, fault)
    return Planned(line, News.CHANGED if offer else News.NEW, block, offer)


def terms_of(offer: Offer) -> Terms:
    """Return what an offer says now."""
    return Terms(offer.price, offer.quantity, offer.min_quantity, last_day(offer))


def _blocks(
    session: Session, provider_id: int, lines: Sequence[Line]
) -> dict[tuple[str, str], list[Block]]:
    refs = {line.wish.block_ref for line in lines if line.wish}
    found: dict[tuple[str, str], list[Block]] = {}
    for block in session.scalars(
        select(Block)
        .where(Block.provider_id == provider_id, Block.block_ref.in_(refs))
        .options(joinedload(Block.activity))
    ):
        found.setdefault((block.registry_id.casefold(), block.block_ref), []).append(block)
    return found


def _offers(session: Session, block_ids: Sequence[int]) -> dict[int, Offer]:
    rows = session.scalars(
        select(Offer).where(
            Offer.block_id.in_(block_ids),
            Offer.status == OfferStatus.OPEN,
            Offer.private_token.is_(None),
        )
    )
    return {offer.block_id: offer for offer in rows}


def _promised(session: Session, block_ids: Sequence[int]) -> dict[int, int]:
    rows = session.execute(
        select(Offer.block_id, func.sum(stock.PROMISE))
        .where(Offer.block_id.in_(block_ids))
        .group_by(Offer.block_id)
    )
    return {block_id: int(units) for block_id, units in rows}


def apply(
    begin: Begin, provider_id: int, wishes: Sequence[Wish], outside: Outside, *, actor: str
) -> list[tuple[Wish, ServiceError | None]]:
    """Do what was planned, each row in a transaction of its own; all of a row or nothing.

    Everything is checked again. A row whose offer has changed since it was compared is
    refused. Returns each row with what was wrong, None if it is done. Safe to repeat.
    """
    done: list[tuple[Wish, ServiceError | None]] = []
    for wish in wishes:
        try:
            with begin() as session:
                _apply(session, provider_id, wish, outside, actor)
        except ServiceError as fault:
            done.append((wish, fault))
        except NotFoundError:
            done.append((wish, ServiceError(UNKNOWN)))
        else:
            done.append((wish, None))
    return done


def _apply(session: Session, provider_id: int, wish: Wish, outside: Outside, actor: str) -> None:
    block_id = session.scalar(
        select(Block.id).where(
            Block.provider_id == provider_id,
            Block.registry_id == wish.registry_id,
            Block.account_ref == wish.account_ref,
            Block.block_ref == wish.block_ref,
        )
    )
    if block_id is None:
        raise NotFoundError(wish.block_ref)
    offer = _offers(session, [block_id]).get(block_id)
    if offer is not None:
        change_offer(
            session, provider_id, offer.id, wish.terms, outside, version=wish.version, actor=actor
        )
    elif wish.version:
        raise ServiceError(N_("The offer was closed meanwhile."))
    else:
        make_offer(session, provider_id, block_id, wish.terms, outside, actor=actor)

"""What the data still needs of the plug-ins, and what those that have gone were called (E12).

A payment method or a registry may be taken out of the configuration when nothing needs it
any more. Until then it may be *retired*: it runs for what was begun and is offered to
nothing new.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from contextlib import suppress
from dataclasses import dataclass
from typing import Any, Final

from sqlalchemy import ColumnElement, Select, distinct, func, select, text
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session

from cnn_offset.domain.status import OfferStatus, OrderStatus, PayoutStatus, RefundStatus
from cnn_offset.models import (
    Block,
    Cancellation,
    Offer,
    Order,
    OrderLine,
    Payment,
    PayoutMethod,
    PluginTitle,
    Refund,
)
from cnn_offset.models.cancelling import IN_FLIGHT
from cnn_offset.models.retiring import OPEN_PAYMENT
from cnn_offset.services import Begin

SHOWN: Final = 5
"""Codes of orders that are named of each kind of need."""
_OPEN: Final = (
    OrderStatus.PLACED,
    OrderStatus.PAID,
    OrderStatus.IN_REVIEW,
    OrderStatus.REFUND_DUE,
)
_TO_CANCEL: Final = (OrderStatus.PLACED, OrderStatus.PAID, OrderStatus.IN_REVIEW)


@dataclass(frozen=True, slots=True)
class Need:
    """Something that a payment method or a registry is still needed for. Read by operators
    at the command line, so in English.
    """

    what: str
    count: int
    codes: tuple[str, ...] = ()
    """Of some of the orders."""

    def __str__(self) -> str:
        more = ", …" if self.count > len(self.codes) else ""
        return f"{self.what}: {self.count}" + (
            f" ({', '.join(self.codes)}{more})" * any(self.codes)
        )


def method_needs(
    session: Session, running: Collection[str], retired: Collection[str] = ()
) -> dict[str, list[Need]]:
    """Say by payment method what needs each one that is not among ``running``.

    Of those in ``retired`` somebody has said that nothing new is wanted, so that a provider
    which could be paid by it is no need. Reads only what is open, by index.
    """
    gone = Payment.method_id.not_in(running)
    found: dict[str, list[Need]] = {}
    orders = Order.method_id.not_in(running), Order.status.in_(_OPEN)
    _add(session, found, "open orders", _count(Order.method_id, *orders), _of_orders)
    by_payment = _count(Payment.method_id, gone, text(OPEN_PAYMENT))
    _add(session, found, "payments that are not settled", by_payment, _of_payments)
    returning = gone & Payment.due_at.is_not(None) & ~Payment.status.in_(_LISTED)
    _add(session, found, "payments that are looked after", _count(Payment.method_id, returning))
    refunds = (
        select(Payment.method_id, func.count())
        .join(Refund, Refund.payment_id == Payment.id)
        .where(Refund.status == RefundStatus.QUEUED, gone)
        .group_by(Payment.method_id)
    )
    _add(session, found, "refunds under way", refunds)
    ready = _count(
        PayoutMethod.method_id,
        PayoutMethod.method_id.not_in([*running, *retired]),
        PayoutMethod.status == PayoutStatus.READY,
    )
    _add(session, found, "providers who are paid so", ready)
    return found


_LISTED: Final = ("created", "awaiting_payer", "processing", "in_review", "disputed")


def registry_needs(
    session: Session, running: Collection[str], retired: Collection[str] = ()
) -> dict[str, list[Need]]:
    """Say by registry connection what needs each one that is not among ``running``.

    Of those in ``retired`` offers are no need: they are shown to nobody.
    """
    found: dict[str, list[Need]] = {}
    orders = (
        select(Block.registry_id, func.count(distinct(Order.id)))
        .select_from(Order)
        .join(OrderLine, OrderLine.order_id == Order.id)
        .join(Block, Block.id == OrderLine.block_id)
        .where(Order.status.in_(_TO_CANCEL), Block.registry_id.not_in(running))
        .group_by(Block.registry_id)
    )
    _add(session, found, "open orders", orders, _of_units)
    unsettled = _count(
        Cancellation.registry_id, Cancellation.registry_id.not_in(running), text(IN_FLIGHT)
    )
    _add(session, found, "cancellations without an end", unsettled)
    offers = (
        select(Block.registry_id, func.count())
        .join(Offer, Offer.block_id == Block.id)
        .where(Offer.status == OfferStatus.OPEN, Block.registry_id.not_in([*running, *retired]))
        .group_by(Block.registry_id)
    )
    _add(session, found, "open offers", offers)
    return found


def _count(column: Any, *where: ColumnElement[bool] | Any) -> Select[str, int]:
    return select(column, func.count()).where(*where).group_by(column)


def _add(
    session: Session,
    found: dict[str, list[Need]],
    what: str,
    counts: Select[str, int],
    codes_of: Any = None,
) -> None:
    for name, count in session.execute(counts).all():
        codes = session.scalars(codes_of(name).limit(SHOWN)) if codes_of else ()
        found.setdefault(name, []).append(Need(what, count, tuple(codes)))


def _of_orders(name: str) -> Select[str]:
    return (
        select(Order.code)
        .where(Order.method_id == name, Order.status.in_(_OPEN))
        .order_by(Order.placed_at)
    )


def _of_payments(name: str) -> Select[str]:
    some = select(Payment.order_id).where(Payment.method_id == name, text(OPEN_PAYMENT))
    return select(Order.code).where(Order.id.in_(some.order_by(Payment.id).limit(SHOWN)))


def _of_units(name: str) -> Select[str]:
    lines = (
        select(OrderLine.id)
        .join(Block, Block.id == OrderLine.block_id)
        .where(OrderLine.order_id == Order.id, Block.registry_id == name)
    )
    return (
        select(Order.code)
        .where(Order.status.in_(_TO_CANCEL), lines.exists())
        .order_by(Order.placed_at)
    )


def titles(session: Session, kind: str) -> dict[str, str]:
    """Return the titles of all plug-ins of a kind that have ever run here, by name."""
    rows = session.execute(
        select(PluginTitle.name, PluginTitle.title).where(PluginTitle.kind == kind).limit(1000)
    )
    return {row.name: row.title for row in rows}


def keep_titles(begin: Begin, running: Mapping[str, Mapping[str, str]]) -> None:
    """Write down what the plug-ins that run are called, by kind and name.

    Writes only what is new, so that many processes may start at once.
    """
    with begin() as session:
        fresh = [
            (kind, name, title)
            for kind, known in running.items()
            for name, title in known.items()
            if titles(session, kind).get(name) != title
        ]
    with suppress(IntegrityError):
        if fresh:
            with begin() as session:
                for kind, name, title in fresh:
                    session.merge(PluginTitle(kind=kind, name=name, title=title))

"""Pro-forma invoices and receipts, in the provider's name.

The platform is no party to the contract: a paper is the provider's own, with its particulars
and its numbers. What it says is frozen when it gets its number; the PDF is drawn from that.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date, datetime
from typing import Any

from sqlalchemy import select
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.orm import Session

from cnn_offset.domain.paper import PaperData, PaperLine, Side
from cnn_offset.domain.payment import FactKind, FactStatus
from cnn_offset.domain.reference import creditor_reference, paper_number
from cnn_offset.domain.status import OrderStatus
from cnn_offset.domain.text import N_
from cnn_offset.models import Counter, Order, Paper, PaperKind, Payment
from cnn_offset.services import NotFoundError, ServiceError
from cnn_offset.services.moves import lock_order, note

NOT_NOW = {
    PaperKind.PRO_FORMA: N_("A pro-forma invoice can be had as long as the order is not paid."),
    PaperKind.RECEIPT: N_("A receipt can be had as soon as the order is paid."),
}
_PAID = (OrderStatus.PAID, OrderStatus.FULFILLED, OrderStatus.IN_REVIEW)


def papers_of(session: Session, order: Order) -> list[tuple[PaperKind, Paper | None]]:
    """Return the kinds of papers that can be had of ``order``, and those that were issued.

    A receipt stays when the money has gone back: it says what was paid. A pro-forma
    invoice of an order that waits no more would ask for money; it stays with its link only.
    """
    issued = {each.kind: each for each in session.scalars(_of(order))}
    shown = []
    if _may(order, PaperKind.PRO_FORMA):
        shown.append((PaperKind.PRO_FORMA, issued.get(PaperKind.PRO_FORMA)))
    if PaperKind.RECEIPT in issued or _may(order, PaperKind.RECEIPT):
        shown.append((PaperKind.RECEIPT, issued.get(PaperKind.RECEIPT)))
    return shown


def _of(order: Order) -> Any:
    return select(Paper).where(Paper.order_id == order.id)


def _may(order: Order, kind: PaperKind) -> bool:
    if kind is PaperKind.PRO_FORMA:
        return order.status is OrderStatus.PLACED
    return order.paid_at is not None and order.status in _PAID


def find_paper(session: Session, order: Order, kind: PaperKind) -> Paper:
    """Return a paper that was issued.

    Raises:
        NotFoundError: it was not.

    """
    found = session.scalar(_of(order).where(Paper.kind == kind))
    if found is None:
        raise NotFoundError(kind)
    paper: Paper = found
    return paper


def issue_paper(
    session: Session,
    order: Order,
    kind: PaperKind,
    *,
    method_titles: Mapping[str, str],
    actor: str,
    now: datetime,
) -> Paper:
    """Number a paper and freeze what it says, or return the one there is.

    The number is given in this transaction, which holds the series: numbers have no gaps
    for each provider and kind. Safe to repeat: an order has one paper of a kind.

    Args:
        session: a writing transaction.
        order: of which.
        kind: of paper.
        method_titles: the payment methods' names as message ids, by method.
        actor: who asks for it.
        now: the moment.

    Raises:
        ServiceError: the order is not (or no longer) at a point where it has such a paper.

    """
    # Whoever asks for the same paper at the same time waits here, and then finds it.
    order = lock_order(session, order.id)
    known: Paper | None = session.scalar(_of(order).where(Paper.kind == kind))
    if known is not None:
        return known
    if not _may(order, kind):
        raise ServiceError(NOT_NOW[kind])
    sequence = _next(session, f"{kind.value}:{order.provider_id}")
    data = _data(session, order, kind, paper_number(kind, sequence), method_titles, now=now)
    paper = Paper(
        provider_id=order.provider_id,
        order_id=order.id,
        kind=kind,
        sequence=sequence,
        data=data.as_json(),
        issued_at=now,
    )
    session.add(paper)
    session.flush()
    note(session, order, old="", new=kind.value, actor=actor, why=data.number, now=now)
    return paper


def _next(session: Session, name: str) -> int:
    """Give the next number of a series, which others wait for until the commit."""
    dialect = sqlite if session.get_bind().dialect.name == "sqlite" else postgresql
    table = Counter.__table__
    value = session.connection().scalar(
        dialect.insert(table)
        .values(name=name, value=1)
        .on_conflict_do_update(index_elements=["name"], set_={"value": table.c.value + 1})
        .returning(table.c.value)
    )
    return int(value)


def _data(
    session: Session,
    order: Order,
    kind: PaperKind,
    number: str,
    method_titles: Mapping[str, str],
    *,
    now: datetime,
) -> PaperData:
    provider = order.provider
    method_id, paid_on, payment_ref = order.method_id, None, ""
    instructions: list[tuple[str, str]] = []
    if kind is PaperKind.RECEIPT:
        payment = session.scalars(
            select(Payment).where(Payment.order_id == order.id, Payment.paid_order)
        ).one()
        method_id = payment.method_id
        paid_on, payment_ref = _how_paid(order, payment)
    else:
        instructions = _instructions(session, order)
    return PaperData(
        kind=kind.value,
        number=number,
        locale=order.locale,
        issued_on=now.date(),
        order_code=order.code,
        placed_on=order.placed_at.date(),
        reference=creditor_reference(order.id),
        purchase_order=order.purchase_order,
        provider=Side(
            name=provider.name,
            lines=_lines(provider.address),
            country=provider.country,
            tax_id=provider.tax_id,
            email=provider.email,
        ),
        purchaser=Side(
            name=order.company or order.purchaser_name,
            lines=_lines(
                "\n".join(
                    (
                        order.purchaser_name if order.company else "",
                        order.street,
                        f"{order.postcode} {order.city}",
                    )
                )
            ),
            country=order.country,
            tax_id=order.tax_id,
            email=order.email,
        ),
        lines=tuple(
            PaperLine(
                title=_in(line.block.activity.title, order.locale),
                ref=line.block.activity.ref_in(line.block.registry_id),
                unit_type=line.unit_type,
                monitoring_start=line.monitoring_start,
                monitoring_end=line.monitoring_end,
                quantity=line.quantity,
                price_minor=line.price_minor,
            )
            for line in order.lines
        ),
        currency=order.currency,
        total_minor=order.total_minor,
        method=method_titles.get(method_id, method_id),
        pay_by=order.pay_by.date() if kind is PaperKind.PRO_FORMA else None,
        instructions=tuple(instructions),
        paid_on=paid_on,
        payment_ref=payment_ref,
    )


def _how_paid(order: Order, payment: Payment) -> tuple[date, str]:
    """Return the day on which the last of the money came, and its reference."""
    came = [
        each
        for each in payment.facts
        if each.kind is FactKind.PAYMENT and each.status is FactStatus.DONE and each.amount_minor
    ]
    if not came:
        return (order.paid_at or order.placed_at).date(), payment.processor_ref
    return max(each.at for each in came).date(), ", ".join(each.ref for each in came)[:200]


def _instructions(session: Session, order: Order) -> list[tuple[str, str]]:
    """Return where to pay by bank transfer, if that is how the order is being paid.

    The amount among them stands on the paper as its total.
    """
    newest = session.scalar(
        select(Payment).where(Payment.order_id == order.id).order_by(Payment.id.desc()).limit(1)
    )
    told = newest.instructions or [] if newest else []
    return [(label, value) for label, value in told if isinstance(value, str)]


def _lines(text: str) -> tuple[str, ...]:
    return tuple(line for line in (" ".join(each.split()) for each in text.splitlines()) if line)


def _in(texts: Mapping[str, str], locale: str) -> str:
    return texts.get(locale) or next((text for text in texts.values() if text), "")

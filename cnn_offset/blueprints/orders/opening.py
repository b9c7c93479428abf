"""Opening a payment: where every click on "Pay" ends."""

from __future__ import annotations

from datetime import timedelta
from typing import Final

from flask import flash, url_for
from flask_babel import gettext
from sqlalchemy import select

from cnn_offset import jobs
from cnn_offset.domain.status import LIVE, OrderStatus, PaymentStatus
from cnn_offset.domain.text import N_
from cnn_offset.extensions import db, platform, unit_of_work
from cnn_offset.models import Order, Payment, PayoutMethod
from cnn_offset.plugins.loader import PluginSet
from cnn_offset.plugins.payments.base import StatementPlugin
from cnn_offset.services import ServiceError, checking_out, ordering, paying

NOT_TAKEN: Final = N_("The provider no longer takes this method. Please choose another.")
ON_ITS_WAY: Final = N_(
    "Your first payment may still be on its way, so no second one was begun. "
    "Please look again in a few minutes."
)
_FRESH: Final = timedelta(minutes=1)
"""A payment opened as lately as this is not asked about before its payer is sent on."""


def open_payment(token: str, method_id: str) -> str:
    """Open a payment of an order, or find the one that runs; return where to go.

    That is the processor's page, or the order's own, with a message if it failed. Other
    attempts are closed first, so that nobody pays twice. Safe to repeat.
    """
    page = url_for("orders.show", token=token)
    order = ordering.find_order(db.session(), token)
    try:
        payment_id = _prepare(order, method_id)
        jobs.start_payment(platform(), payment_id)
    except ServiceError as error:
        flash(gettext(error.message, **error.values), "error")
        return page
    payment = db.session.get_one(Payment, payment_id, populate_existing=True)
    waits = payment.status is PaymentStatus.AWAITING_PAYER
    return payment.redirect_url if waits and payment.redirect_url else page


def open_instructions(token: str) -> None:
    """Open the payment of an order whose payer only needs to be told what to do."""
    order = ordering.find_order(db.session(), token)
    if isinstance(platform().payments.get(order.method_id), StatementPlugin):
        open_payment(token, order.method_id)


def offered(order: Order) -> tuple[list[PayoutMethod], dict[str, str]]:
    """Return how ``order`` can be paid now, and which methods are withheld and why."""
    here = platform()
    known = here.registry_dates
    dates = [
        known[line.block.registry_id] for line in order.lines if line.block.registry_id in known
    ]
    # What operators have taken out of new checkouts still pays the orders placed with it.
    new = here.payments_for_new
    kept = {*new, order.method_id}
    methods = PluginSet(
        {name: each for name, each in here.payments.items() if name in kept},
        withheld=new.withheld - {order.method_id},
    )
    return checking_out.choose_methods(
        order.provider, order.total, methods, dates, now=here.clock(), placed=True
    )


def _prepare(order: Order, method_id: str) -> int:
    """Record the intent, after the doors of all other attempts were closed.

    Raises:
        ServiceError: it cannot be paid so; or money may be on its way already.

    """
    here = platform()
    order_id = order.id
    running = _running(order_id, method_id)
    if running is not None and running.processor_ref and here.clock() - running.created_at > _FRESH:
        # It may have been paid, or given up by the processor, since we last heard of it.
        jobs.do("payment", running.id)
        running = _running(order_id, method_id)
    order = db.session.get_one(Order, order_id, populate_existing=True)
    if running is None and order.status is OrderStatus.PLACED:
        methods, _ = offered(order)
        if method_id not in {each.method_id for each in methods}:
            raise ServiceError(NOT_TAKEN)
    kept = running.id if running else 0
    others = db.session.execute(
        select(Payment.id, Payment.status).where(
            Payment.order_id == order_id,
            Payment.status.in_([*LIVE, PaymentStatus.FAILED]),
            Payment.id != kept,
        )
    ).all()
    for payment_id, status in others:
        # A failed one is only made sure of: it does not stop a new attempt.
        if not jobs.do("payment", payment_id, close=True) and status in LIVE:
            raise ServiceError(ON_ITS_WAY)
    with unit_of_work() as session:
        order = session.get_one(Order, order_id, populate_existing=True)
        return paying.prepare_payment(session, order, method_id, now=here.clock()).id


def _running(order_id: int, method_id: str) -> Payment | None:
    return db.session.scalar(
        select(Payment)
        .where(
            Payment.order_id == order_id,
            Payment.method_id == method_id,
            Payment.status.in_(LIVE),
        )
        .order_by(Payment.id.desc())
        .execution_options(populate_existing=True)
    )

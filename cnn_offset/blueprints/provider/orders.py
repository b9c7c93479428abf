"""A provider's orders: what is due when, in progress, on hold, paid."""

from __future__ import annotations

from flask import flash, redirect, render_template, request, url_for
from flask.typing import ResponseReturnValue
from flask_babel import gettext
from flask_security import current_user

from cnn_offset.blueprints.provider.money import recordable
from cnn_offset.blueprints.provider.workspace import bp
from cnn_offset.domain.reference import creditor_reference
from cnn_offset.domain.status import OrderStatus
from cnn_offset.extensions import db, platform, unit_of_work
from cnn_offset.models import Order
from cnn_offset.plugins.payments.base import StatementPlugin
from cnn_offset.services import ordering, selling
from cnn_offset.web import row_id

PAGE = 50
KEPT_OPEN_DAYS = 90


def _methods() -> list[str]:
    """Return the methods whose money shows only on a bank statement."""
    running = platform().payments.items()
    return [name for name, plugin in running if isinstance(plugin, StatementPlugin)]


def _order(code: str) -> Order:
    return selling.bank_order(db.session(), current_user.provider_id, _methods(), code)


@bp.get("/provider/orders")
def orders() -> ResponseReturnValue:
    """List the orders by bank transfer, those that wait for money first."""
    every = request.args.get("show") == "all"
    found = selling.bank_orders(
        db.session(),
        current_user.provider_id,
        _methods(),
        open_only=not every,
        before=request.args.get("before", type=row_id),
        limit=PAGE + 1,
    )
    return render_template(
        "provider/orders.html",
        orders=found[:PAGE],
        older=found[PAGE - 1].id if len(found) > PAGE else None,
        every=every,
        details_due=selling.details_due,
        now=platform().clock(),
    )


@bp.get("/provider/orders/<code>")
def order(code: str) -> ResponseReturnValue:
    """Show one order and what can be done with it."""
    return _page(_order(code))


def _page(order: Order) -> ResponseReturnValue:
    payment = selling.bank_payment(db.session(), order)
    own = selling.sends_own_details(selling.account_of(db.session(), order))
    return render_template(
        "provider/order.html",
        order=order,
        payment=payment,
        reference=creditor_reference(order.id),
        details_due=selling.details_due(order),
        sends_own=own,
        # Whoever sends bank details needs to know where to; others once they are paid.
        contact=order.paid_at is not None or (own and order.status is OrderStatus.PLACED),
        recordable=recordable(order, payment),
        today=platform().clock().date(),
    )


@bp.post("/provider/orders/<code>/in-progress")
def in_progress(code: str) -> ResponseReturnValue:
    """Say that the order is being dealt with; the purchaser is told."""
    _order(code)
    with unit_of_work() as session:
        found = selling.bank_order(session, current_user.provider_id, _methods(), code)
        selling.mark_in_progress(session, found, actor=current_user.email, now=platform().clock())
    flash(gettext("Order %(code)s is in progress.", code=code), "success")
    return redirect(url_for("provider.order", code=code))


@bp.post("/provider/orders/<code>/keep-open")
def keep_open(code: str) -> ResponseReturnValue:
    """Let an unpaid order wait longer, because the purchaser asked for it."""
    _order(code)
    here = platform()
    with unit_of_work() as session:
        found = selling.bank_order(session, current_user.provider_id, _methods(), code)
        ordering.keep_open(
            session,
            found,
            days=KEPT_OPEN_DAYS,
            registry_dates=here.registry_dates,
            actor=current_user.email,
            now=here.clock(),
        )
    flash(gettext("Order %(code)s waits longer for its money.", code=code), "success")
    return redirect(url_for("provider.order", code=code))

"""A provider's orders: what is due when, in progress, on hold, paid."""

from __future__ import annotations

from contextlib import suppress
from datetime import date

from flask import flash, redirect, render_template, request, url_for
from flask.typing import ResponseReturnValue
from flask_babel import gettext
from flask_security import current_user

from cnn_offset.blueprints.provider.workspace import bp
from cnn_offset.domain.money import exponent
from cnn_offset.domain.payment import Verdict
from cnn_offset.domain.reference import creditor_reference
from cnn_offset.domain.status import OrderStatus
from cnn_offset.domain.text import N_, UnreadableTextError, clean_line
from cnn_offset.extensions import db, platform, unit_of_work
from cnn_offset.i18n import language
from cnn_offset.models import Order
from cnn_offset.plugins.payments.base import StatementPlugin
from cnn_offset.services import ServiceError, ordering, selling
from cnn_offset.web import row_id

PAGE = 50
KEPT_OPEN_DAYS = 90
RECORDABLE = (
    OrderStatus.PLACED,
    OrderStatus.LAPSED,
    OrderStatus.WITHDRAWN,
    OrderStatus.IN_REVIEW,
)
"""Orders that money can still be recorded for; it may come late or in parts."""
OUTCOMES = {
    Verdict.EXACT: (
        "success",
        N_("The order is paid. The registry is now told to cancel the units."),
    ),
    Verdict.SHORT: (
        "warning",
        N_("Recorded. It is less than what is due, so nothing is cancelled. We look at it."),
    ),
    Verdict.OVER: (
        "warning",
        N_("Recorded. It is more than what is due, so nothing is cancelled yet. We look at it."),
    ),
}
ODD = (
    "warning",
    N_("Recorded. It is not what was due, so nothing is cancelled yet. We look at it."),
)


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


def _page(
    order: Order, errors: dict[str, str] | None = None, **review: object
) -> ResponseReturnValue:
    payment = selling.bank_payment(db.session(), order)
    own = selling.sends_own_details(selling.account_of(db.session(), order))
    page = render_template(
        "provider/order.html",
        order=order,
        payment=payment,
        reference=creditor_reference(order.id),
        details_due=selling.details_due(order),
        sends_own=own,
        # Whoever sends bank details needs to know where to; others once they are paid.
        contact=order.paid_at is not None or (own and order.status is OrderStatus.PLACED),
        recordable=order.status in RECORDABLE
        and payment is not None
        and payment.instructions is not None,
        errors=errors or {},
        today=platform().clock().date(),
        **review,
    )
    return (page, 422) if errors else page


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


@bp.post("/provider/orders/<code>/paid")
def paid(code: str) -> ResponseReturnValue:
    """Record money that arrived: first shown back for a second look, then recorded.

    An exact amount has units cancelled, which nobody can undo.
    """
    found = _order(code)
    errors: dict[str, str] = {}
    currency = request.form.get("currency", "").strip().upper()
    amount = received_on = None
    bank_ref = ""
    try:
        exponent(currency)
        amount = selling.read_amount(request.form.get("amount", ""), currency, language())
        if amount.minor <= 0:
            errors["amount"] = gettext("Please enter the amount that arrived.")
    except ServiceError as error:
        errors["amount"] = gettext(error.message, **error.values)
    except ValueError:
        errors["currency"] = gettext("Please enter a currency as three letters, such as EUR.")
    try:
        received_on = date.fromisoformat(request.form.get("received_on", "").strip())
        if received_on > platform().clock().date():
            errors["received_on"] = gettext("The value date lies in the future.")
    except ValueError:
        errors["received_on"] = gettext("Please enter the value date of the bank statement.")
    with suppress(UnreadableTextError):
        bank_ref = clean_line(request.form.get("bank_ref", ""))
    if not 0 < len(bank_ref) <= 127:
        errors["bank_ref"] = gettext(
            "Please enter the bank’s reference of the entry, as the statement has it."
        )
    if errors or amount is None or received_on is None:
        return _page(found, errors)
    if request.form.get("seen") != "yes":
        return _page(found, review=amount, received_on=received_on, bank_ref=bank_ref)
    try:
        with unit_of_work() as session:
            verdict = selling.record_bank_money(
                session,
                selling.bank_order(session, current_user.provider_id, _methods(), code),
                amount=amount,
                bank_ref=bank_ref,
                received_on=received_on,
                actor=current_user.email,
                now=platform().clock(),
            )
    except ServiceError as error:
        return _page(_order(code), {"": gettext(error.message, **error.values)})
    category, message = OUTCOMES.get(verdict, ODD)
    flash(gettext(message), category)
    return redirect(url_for("provider.order", code=code))

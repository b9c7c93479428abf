"""Money that a provider found at its bank: typed by hand, and entries that wait."""

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
from cnn_offset.domain.staff import Duty
from cnn_offset.domain.status import OrderStatus
from cnn_offset.domain.text import N_, UnreadableTextError, clean_line
from cnn_offset.extensions import db, platform, unit_of_work
from cnn_offset.guards import staff_may
from cnn_offset.i18n import language
from cnn_offset.models import Order, Payment
from cnn_offset.plugins.payments.base import StatementPlugin
from cnn_offset.services import ServiceError, selling

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


def recordable(order: Order, payment: Payment | None) -> bool:
    """Whether money for ``order`` can be recorded by hand on its bank ``payment``."""
    return payment is not None and payment.instructions is not None and order.status in RECORDABLE


def _methods() -> list[str]:
    """Return the methods whose money shows only on a bank statement."""
    running = platform().payments.items()
    return [name for name, plugin in running if isinstance(plugin, StatementPlugin)]


def _order(code: str) -> Order:
    return selling.bank_order(db.session(), current_user.provider_id, _methods(), code)


def _page(
    order: Order, errors: dict[str, str] | None = None, **review: object
) -> ResponseReturnValue:
    page = render_template(
        "provider/paid.html",
        order=order,
        recordable=recordable(order, selling.bank_payment(db.session(), order)),
        errors=errors or {},
        today=platform().clock().date(),
        **review,
    )
    return (page, 422) if errors else page


@bp.post("/provider/orders/<code>/paid")
@staff_may(Duty.MONEY)
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

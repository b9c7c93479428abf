"""PayPal's page for payers, and buttons for what happens at PayPal without us."""

from __future__ import annotations

from decimal import Decimal
from typing import Final

from flask import Blueprint, Response, abort, jsonify, redirect, render_template, request, url_for
from flask.typing import ResponseReturnValue

from .paypal_api import (
    CLIENT,
    PARTNER,
    Refusal,
    added,
    fee_of,
    find_order,
    give_back,
    new_name,
    now,
    save,
)
from .paypal_webhooks import WEBHOOK_ID, ring_paypal
from .processors import Choice, back_to, lateness
from .state import Document, current_state

bp = Blueprint("pages", __name__)

PAY: Final = (
    Choice("paypal", "Log in and pay with PayPal"),
    Choice("card", "Pay by card without an account"),
    Choice("echeck", "Pay by e-check (takes days)"),
    Choice("declined", "Pay with a card that will be declined", quiet=True),
    Choice("refused", "Pay as somebody PayPal refuses", quiet=True),
    Choice("leave", "Leave without paying", quiet=True),
)
_TAKEN: Final = {"COMPLETED", "PARTIALLY_REFUNDED", "REFUNDED"}
_SOURCES: Final = {"paypal", "card", "echeck", "declined", "refused"}


@bp.errorhandler(Refusal)
def _refuse(refusal: Refusal) -> ResponseReturnValue:
    return render_template("processors/refused.html", issue=refusal.issue), refusal.status


@bp.get("/")
def show_all() -> str:
    """List all orders, newest first."""
    rows = [
        (
            url_for(".show_order", order_id=each["id"]),
            each["id"],
            unit["amount"],
            unit["payee"]["merchant_id"],
            _word(each),
        )
        for stored in reversed(current_state().all("paypal/order"))
        for each in [stored["order"]]
        for unit in each["purchase_units"]
    ]
    settings = {"client_id": CLIENT[0], "client_secret": CLIENT[1], "webhook_id": WEBHOOK_ID} | {
        "partner_id": PARTNER
    }
    return render_template(
        "processors/list.html",
        title="PayPal",
        rows=rows,
        settings=settings,
        accounts=url_for("paypal.sellers.show_sellers"),
    )


@bp.get("/pay/<order_id>")
def show_page(order_id: str) -> str:
    """Show the payer what is to be paid, and the ways to."""
    stored = find_order(order_id)
    order = stored["order"]
    return render_template(
        "processors/pay.html",
        title="PayPal",
        facts=_described(order),
        choices=PAY if order["status"] == "PAYER_ACTION_REQUIRED" else (),
        back=back_to(stored["context"]["return_url"], token=order_id),
        lang=stored["context"].get("locale", "en"),
    )


@bp.post("/pay/<order_id>")
def act(order_id: str) -> ResponseReturnValue:
    """Do what the payer chose and send them back to the shop."""
    state, choice = current_state(), request.form.get("choice", "")
    with state.transaction():
        stored = find_order(order_id)
        order, context = stored["order"], stored["context"]
        if choice == "leave":
            return redirect(back_to(context["cancel_url"], token=order_id), 303)
        if choice not in _SOURCES:
            abort(400)
        is_new = order["status"] == "PAYER_ACTION_REQUIRED"
        if is_new:
            order["status"] = "APPROVED"
            stored |= {"source": choice, "late": lateness()}
            save(stored)
    if is_new:
        ring_paypal("CHECKOUT.ORDER.APPROVED", order, late=stored["late"])
    return redirect(back_to(context["return_url"], token=order_id, PayerID="SANDBOXPAYER2"), 303)


@bp.get("/orders/<order_id>")
def show_order(order_id: str) -> str:
    """Show an order from backstage, with buttons."""
    order = find_order(order_id)["order"]
    captures, disputes = _captures(order), _disputes(order)
    choices = []
    if captures and captures[0]["status"] == "PENDING":
        choices += [Choice("clear", "Let it clear"), Choice("bounce", "Let it bounce")]
    if captures and captures[0]["status"] in {"COMPLETED", "PARTIALLY_REFUNDED"}:
        choices += [Choice("refund", "Refund what is left"), Choice("dispute", "Open a dispute")]
    if any(each["status"] != "RESOLVED" for each in disputes):
        choices += [
            Choice("won", "Decide for the provider"),
            Choice("lost", "Decide for the payer"),
        ]
    if captures:
        choices.append(Choice("strange", "Set a status nobody knows", quiet=True))
    return render_template(
        "processors/backstage.html",
        title="PayPal",
        facts=_described(order),
        choices=choices,
        json=order,
    )


@bp.post("/orders/<order_id>")
def act_backstage(order_id: str) -> ResponseReturnValue:
    """Do what a button says, and ring for it."""
    state, choice = current_state(), request.form.get("choice", "")
    with state.transaction():
        stored = find_order(order_id)
        captures = _captures(stored["order"])
        if not captures:
            abort(409)
        capture = captures[0]
        event, resource = "", capture
        if choice in {"clear", "bounce"} and capture["status"] == "PENDING":
            capture["status"] = "COMPLETED" if choice == "clear" else "DECLINED"
            capture["update_time"] = now()
            capture.pop("status_details", None)
            event = "PAYMENT.CAPTURE." + ("COMPLETED" if choice == "clear" else "DENIED")
        elif choice == "strange":
            capture["status"] = "SOMETHING_NEW"
            event = "PAYMENT.CAPTURE.SOMETHING_NEW"
        elif choice == "refund":
            value = request.form.get("value", "")
            amount = capture["amount"] | {"value": value} if value else None
            event, resource = "PAYMENT.CAPTURE.REFUNDED", give_back(stored, capture, amount)
        elif choice == "dispute":
            event, resource = "CUSTOMER.DISPUTE.CREATED", _open_dispute(capture)
        elif choice in {"won", "lost"}:
            event, resource = "CUSTOMER.DISPUTE.RESOLVED", _resolve_dispute(capture, choice)
        else:
            abort(400)
        save(stored)
    ring_paypal(event, resource)
    return redirect(url_for(".show_order", order_id=order_id), 303)


@bp.post("/payees/<merchant_id>")
def set_payee(merchant_id: str) -> ResponseReturnValue:
    """Make PayPal refuse a payee with an ``issue``, such as PAYEE_ACCOUNT_RESTRICTED."""
    current_state().put("paypal/payee", merchant_id, {"issue": request.form.get("issue", "")})
    return jsonify(merchant_id=merchant_id, issue=request.form.get("issue", ""))


@bp.get("/audit")
def audit() -> Response:
    """Add up what every key has brought to whom; for tests, not for shops."""
    rows = []
    for stored in current_state().all("paypal/order"):
        unit = stored["order"]["purchase_units"][0]
        money = unit.get("payments", {"captures": [], "refunds": []})
        rows.append(
            {
                "order": stored["order"]["id"],
                "key": unit.get("custom_id", ""),
                "payee": unit["payee"]["merchant_id"],
                "currency": unit["amount"]["currency_code"],
                "captured": added(each for each in money["captures"] if each["status"] in _TAKEN),
                "refunded": added(money["refunds"]),
                "platform": str(_set_aside(stored["order"])),
                "status": stored["order"]["status"],
            }
        )
    return jsonify(payments=rows)


def _set_aside(order: Document) -> Decimal:
    """Return what the platform has of an order, less what went back."""
    money = order["purchase_units"][0].get("payments", {"captures": [], "refunds": []})
    came = (fee_of(each) for each in money["captures"] if each["status"] in _TAKEN)
    went = (fee_of(each) for each in money["refunds"])
    return sum(came, Decimal()) - sum(went, Decimal())


def _captures(order: Document) -> list[Document]:
    return list(order["purchase_units"][0].get("payments", {}).get("captures", []))


def _disputes(order: Document) -> list[Document]:
    return [
        each
        for capture in _captures(order)
        for each in current_state().all("paypal/dispute", part=capture["id"])
    ]


def _open_dispute(capture: Document) -> Document:
    dispute = {
        "dispute_id": f"PP-R-{new_name()[:3]}-{current_state().number('dispute')}",
        "create_time": now(),
        "update_time": now(),
        "status": "WAITING_FOR_SELLER_RESPONSE",
        "reason": "MERCHANDISE_OR_SERVICE_NOT_RECEIVED",
        "dispute_amount": capture["amount"],
        "disputed_transactions": [{"seller_transaction_id": capture["id"]}],
    }
    current_state().put("paypal/dispute", dispute["dispute_id"], dispute, part=capture["id"])
    return dispute


def _resolve_dispute(capture: Document, choice: str) -> Document:
    disputes = current_state().all("paypal/dispute", part=capture["id"])
    dispute = next((each for each in disputes if each["status"] != "RESOLVED"), None)
    if dispute is None:
        abort(409)
    favour = "SELLER" if choice == "won" else "BUYER"
    dispute |= {"status": "RESOLVED", "update_time": now()}
    dispute["dispute_outcome"] = {"outcome_code": f"RESOLVED_{favour}_FAVOUR"}
    current_state().put("paypal/dispute", dispute["dispute_id"], dispute, part=capture["id"])
    return dispute


def _described(order: Document) -> dict[str, str]:
    unit = order["purchase_units"][0]
    return {
        "Amount": f"{unit['amount']['value']} {unit['amount']['currency_code']}",
        "To": f"merchant {unit['payee']['merchant_id']}",
        "For": unit.get("description", ""),
        "Invoice": unit.get("invoice_id", ""),
        "Set aside for the platform": str(_set_aside(order) or ""),
        "Status": _word(order),
        "Disputes": ", ".join(each["status"] for each in _disputes(order)),
    }


def _word(order: Document) -> str:
    return ", capture ".join([order["status"], *(each["status"] for each in _captures(order))])

"""PayPal's API as far as our calls go: tokens, orders, captures, refunds, disputes.

Refuses what PayPal refuses (payments-facts.md 1.2 to 1.5).
"""

from __future__ import annotations

import re
import secrets
from collections.abc import Iterable
from datetime import UTC, datetime
from decimal import ROUND_DOWN, Decimal
from typing import Final

from flask import Blueprint, jsonify, request
from flask.typing import ResponseReturnValue

from .faults import current_faults
from .paypal_webhooks import is_genuine, ring_paypal
from .state import Document, current_state

bp = Blueprint("api", __name__)

CLIENT: Final = ("sandbox-client", "sandbox-secret")
PARTNER: Final = "SANDBX2PARTNR"
"""The platform's own merchant id, as PayPal's partner."""
CURRENCIES: Final = {
    "AUD",
    "BRL",
    "CAD",
    "CHF",
    "CNY",
    "CZK",
    "DKK",
    "EUR",
    "GBP",
    "HKD",
    "HUF",
    "ILS",
} | {"JPY", "MXN", "MYR", "NOK", "NZD", "PHP", "PLN", "SEK", "SGD", "THB", "TWD", "USD"}
WHOLE: Final = frozenset({"HUF", "JPY", "TWD"})
MERCHANT: Final = re.compile(r"[2-9A-HJ-NP-Z]{13}", re.ASCII)
_VALUE: Final = re.compile(r"\d{1,9}(\.\d+)?", re.ASCII)


class Refusal(Exception):
    """PayPal's no: a status and an issue of its lists."""

    def __init__(self, status: int, issue: str, field: str = "") -> None:
        super().__init__(issue)
        self.status = status
        self.issue = issue
        self.field = field


@bp.errorhandler(Refusal)
def _refuse(refusal: Refusal) -> ResponseReturnValue:
    name = {
        400: "INVALID_REQUEST",
        401: "AUTHENTICATION_FAILURE",
        403: "NOT_AUTHORIZED",
        404: "RESOURCE_NOT_FOUND",
    }.get(refusal.status, "UNPROCESSABLE_ENTITY")
    detail = {"field": refusal.field, "issue": refusal.issue, "description": refusal.issue}
    return jsonify(
        name=name, message=name, debug_id=secrets.token_hex(7), details=[detail], links=[]
    ), refusal.status


@bp.before_request
def _guard() -> None:
    if request.endpoint == "paypal.api.make_token":
        return
    scheme, _, token = request.headers.get("Authorization", "").partition(" ")
    if scheme != "Bearer" or current_state().get("paypal/token", token) is None:
        raise Refusal(401, "INVALID_TOKEN")
    if current_faults().strikes("paypal", "refuse", f"{request.method} {request.path}"):
        raise Refusal(422, "TRANSACTION_REFUSED")


@bp.post("/v1/oauth2/token")
def make_token() -> ResponseReturnValue:
    """Give a token for the sandbox's client id and secret."""
    given = request.authorization
    if given is None or (given.username, given.password) != CLIENT:
        return jsonify(
            error="invalid_client", error_description="Client Authentication failed"
        ), 401
    token = "A21AA" + secrets.token_urlsafe(40)
    current_state().put("paypal/token", token, {})
    answer = {"access_token": token, "token_type": "Bearer", "expires_in": 32400}
    return jsonify(answer | {"scope": "", "app_id": "APP-SANDBOX"})


@bp.post("/v2/checkout/orders")
def createfind_order() -> ResponseReturnValue:
    """Create an order, or show the one that this request id created."""
    state, body = current_state(), json_body()
    request_id = request.headers.get("PayPal-Request-Id", "")
    if not request_id and "payment_source" in body:
        raise Refusal(400, "PAYPAL_REQUEST_ID_REQUIRED")
    if len(request_id) > 108:
        raise Refusal(400, "INVALID_STRING_LENGTH", "PayPal-Request-Id")
    unit = _checked_unit(body)
    context = body.get("payment_source", {}).get("paypal", {}).get("experience_context", {})
    for name in ("return_url", "cancel_url") if "payment_source" in body else ():
        if not str(context.get(name, "")).startswith(("http://", "https://")):
            raise Refusal(400, "INVALID_PARAMETER_SYNTAX", name)
    with state.transaction():
        known = _known("create", request_id, body)
        if known:
            return jsonify(find_order(known)["order"])
        if issue := issue_of(unit["payee"]["merchant_id"]):
            raise Refusal(422, issue)
        if "payment_instruction" in unit and not permits_fees(unit["payee"]["merchant_id"]):
            raise Refusal(422, "CONSENT_NEEDED", "platform_fees")
        order_id = new_name()
        address = request.host_url.rstrip("/") + "/paypal"
        links = [
            {"href": f"{address}/v2/checkout/orders/{order_id}", "rel": "self", "method": "GET"},
            {"href": f"{address}/pay/{order_id}", "rel": "payer-action", "method": "GET"},
        ]
        order = {
            "id": order_id,
            "intent": "CAPTURE",
            "status": "PAYER_ACTION_REQUIRED",
            "payment_source": {"paypal": {}},
            "purchase_units": [unit],
            "create_time": now(),
            "update_time": now(),
            "links": links,
        }
        save({"order": order, "context": context, "source": ""})
        _keep("create", request_id, body, order_id)
    return jsonify(order)


@bp.get("/v2/checkout/orders/<order_id>")
def getfind_order(order_id: str) -> ResponseReturnValue:
    """Show an order."""
    return jsonify(find_order(order_id)["order"])


@bp.post("/v2/checkout/orders/<order_id>/capture")
def capturefind_order(order_id: str) -> ResponseReturnValue:
    """Take the money of an approved order, once."""
    state = current_state()
    request_id = request.headers.get("PayPal-Request-Id", "")
    declined = ""
    with state.transaction():
        stored = find_order(order_id)
        order, unit = stored["order"], stored["order"]["purchase_units"][0]
        if _known("capture", request_id, {"order": order_id}):
            return jsonify(order)
        if order["status"] == "COMPLETED":
            raise Refusal(422, "ORDER_ALREADY_CAPTURED")
        if order["status"] != "APPROVED":
            raise Refusal(422, "ORDER_NOT_APPROVED")
        if issue := issue_of(unit["payee"]["merchant_id"]):
            raise Refusal(422, issue)
        if unit.get("invoice_id") and state.get("paypal/invoice", unit["invoice_id"]):
            raise Refusal(422, "DUPLICATE_INVOICE_ID")
        declined = {"declined": "INSTRUMENT_DECLINED", "refused": "PAYER_CANNOT_PAY"}.get(
            stored["source"], ""
        )
        if declined == "INSTRUMENT_DECLINED":
            order["status"], stored["source"] = "PAYER_ACTION_REQUIRED", ""
            save(stored)
        if not declined:
            capture = _capture(stored)
            state.put("paypal/capture", capture["id"], {"order": order_id})
            if unit.get("invoice_id"):
                state.put("paypal/invoice", unit["invoice_id"], {"order": order_id})
            save(stored)
            _keep("capture", request_id, {"order": order_id}, order_id)
    if declined:
        raise Refusal(422, declined)
    kind = "PENDING" if capture["status"] == "PENDING" else "COMPLETED"
    ring_paypal(f"PAYMENT.CAPTURE.{kind}", capture, late=stored.get("late", 0))
    return jsonify(order), 201


@bp.get("/v2/payments/captures/<capture_id>")
def get_capture(capture_id: str) -> ResponseReturnValue:
    """Show a capture."""
    return jsonify(_find_capture(capture_id)[1])


@bp.post("/v2/payments/captures/<capture_id>/refund")
def refund_capture(capture_id: str) -> ResponseReturnValue:
    """Give money back, in part or whatever is left."""
    body = json_body()
    request_id = request.headers.get("PayPal-Request-Id", "")
    with current_state().transaction():
        stored, capture = _find_capture(capture_id)
        refunds = stored["order"]["purchase_units"][0]["payments"]["refunds"]
        known = _known("refund", request_id, {"capture": capture_id, **body})
        if known:
            return jsonify(next(each for each in refunds if each["id"] == known))
        refund = give_back(
            stored,
            capture,
            body.get("amount"),
            body.get("custom_id", ""),
            body.get("payment_instruction"),
        )
        _keep("refund", request_id, {"capture": capture_id, **body}, refund["id"])
    ring_paypal("PAYMENT.CAPTURE.REFUNDED", refund)
    return jsonify(refund), 201


@bp.get("/v1/customer/disputes")
def list_disputes() -> ResponseReturnValue:
    """List the disputes of one transaction, in short."""
    part = request.args.get("disputed_transaction_id", "")
    names = ("dispute_id", "create_time", "update_time", "status", "reason", "dispute_amount")
    found = current_state().all("paypal/dispute", part=part)
    return jsonify(items=[{name: each[name] for name in names} for each in found], links=[])


@bp.get("/v1/customer/disputes/<dispute_id>")
def get_dispute(dispute_id: str) -> ResponseReturnValue:
    """Show a dispute with its outcome."""
    found = current_state().get("paypal/dispute", dispute_id)
    if found is None:
        raise Refusal(404, "INVALID_RESOURCE_ID")
    return jsonify(found)


@bp.post("/v1/notifications/verify-webhook-signature")
def verify_webhook() -> ResponseReturnValue:
    """Say whether we sent this event under this signature."""
    return jsonify(verification_status="SUCCESS" if is_genuine(json_body()) else "FAILURE")


def issue_of(merchant_id: str) -> str:
    """Say why a payee cannot be paid; nothing if it can.

    Every merchant id of PayPal's form is somebody's in good standing, until told otherwise.
    """
    state = current_state()
    told = str((state.get("paypal/payee", merchant_id) or {}).get("issue", ""))
    seller = state.get("paypal/seller", merchant_id)
    if told or seller is None:
        return told
    if not seller["granted"]:
        return "PAYEE_NOT_CONSENTED"
    return "" if seller["receivable"] and seller["confirmed"] else "PAYEE_ACCOUNT_RESTRICTED"


def permits_fees(merchant_id: str) -> bool:
    """Whether a merchant has agreed that a partner sets aside fees from its payments."""
    return bool((current_state().get("paypal/seller", merchant_id) or {}).get("fees"))


def save(stored: Document) -> None:
    """Store an order with its hidden part, marked as changed now."""
    stored["order"]["update_time"] = now()
    current_state().put("paypal/order", stored["order"]["id"], stored)


def give_back(
    stored: Document,
    capture: Document,
    amount: Document | None,
    custom_id: str = "",
    instruction: Document | None = None,
) -> Document:
    """Add a refund to an order, in a transaction of the caller's."""
    if capture["status"] == "PENDING":
        raise Refusal(422, "PENDING_CAPTURE")
    if capture["status"] not in {"COMPLETED", "PARTIALLY_REFUNDED"}:
        raise Refusal(422, "CAPTURE_FULLY_REFUNDED")
    payments = stored["order"]["purchase_units"][0]["payments"]
    left = Decimal(capture["amount"]["value"]) - Decimal(added(payments["refunds"]))
    currency = capture["amount"]["currency_code"]
    value = amount["value"] if amount else str(left)
    if amount and (amount["currency_code"] != currency or not _VALUE.fullmatch(value)):
        raise Refusal(422, "REFUND_AMOUNT_INVALID")
    if not 0 < Decimal(value) <= left:
        raise Refusal(422, "REFUND_AMOUNT_EXCEEDED")
    up = request.host_url.rstrip("/") + f"/paypal/v2/payments/captures/{capture['id']}"
    fees = [] if instruction is None else [_fee_back(capture, payments["refunds"], instruction)]
    refund: Document = {
        "id": new_name(),
        "status": "COMPLETED",
        "amount": {"currency_code": currency, "value": value},
        "custom_id": custom_id,
        "create_time": now(),
        "update_time": now(),
        "seller_payable_breakdown": {"platform_fees": [{"amount": each} for each in fees]},
        "links": [{"href": up, "rel": "up", "method": "GET"}],
    }
    payments["refunds"].append(refund)
    capture["status"] = "REFUNDED" if Decimal(value) == left else "PARTIALLY_REFUNDED"
    save(stored)
    return refund


def _fee_back(capture: Document, refunds: list[Document], instruction: Document) -> Document:
    """Say how much of the platform's fee goes back: never more than is left of it."""
    fee: Document = platform_fee(instruction, capture["amount"])
    left = fee_of(capture) - sum((fee_of(each) for each in refunds), Decimal())
    if not 0 < Decimal(fee["value"]) <= left:
        raise Refusal(422, "INVALID_PLATFORM_FEES_AMOUNT", "platform_fees")
    return fee


def fee_of(movement: Document) -> Decimal:
    """Return what a capture set aside for the platform, or a refund gave back of it."""
    parts = movement.get("seller_receivable_breakdown") or movement["seller_payable_breakdown"]
    return sum(
        (Decimal(each["amount"]["value"]) for each in parts.get("platform_fees", ())), Decimal()
    )


def platform_fee(instruction: Document, amount: Document) -> Document:
    """Read the one fee of an instruction: less than the amount, in its currency."""
    fees = instruction.get("platform_fees")
    if not isinstance(fees, list) or len(fees) != 1:
        raise Refusal(422, "PLATFORM_FEES_NOT_SUPPORTED", "platform_fees")
    fee: Document = fees[0]["amount"]
    places = 0 if fee["currency_code"] in WHOLE else 2
    if (
        fee["currency_code"] != amount["currency_code"]
        or not _VALUE.fullmatch(str(fee["value"]))
        or len(fee["value"].partition(".")[2]) > places
        or not 0 < Decimal(fee["value"]) < Decimal(amount["value"])
    ):
        raise Refusal(422, "INVALID_PLATFORM_FEES_AMOUNT", "platform_fees")
    return fee


def _checked_unit(body: Document) -> Document:
    units = body.get("purchase_units")
    if body.get("intent") != "CAPTURE" or not isinstance(units, list) or len(units) != 1:
        raise Refusal(422, "UNSUPPORTED_INTENT_OR_UNITS")
    unit: Document = units[0]
    amount = unit.get("amount", {})
    currency, value = amount.get("currency_code", ""), amount.get("value", "")
    if currency not in CURRENCIES:
        raise Refusal(422, "CURRENCY_NOT_SUPPORTED", "currency_code")
    if not isinstance(value, str) or not _VALUE.fullmatch(value):
        raise Refusal(400, "INVALID_PARAMETER_SYNTAX", "value")
    if len(value.partition(".")[2]) > (0 if currency in WHOLE else 2):
        raise Refusal(422, "DECIMALS_NOT_SUPPORTED", "value")
    if Decimal(value) <= 0:
        raise Refusal(422, "CANNOT_BE_ZERO_OR_NEGATIVE", "value")
    if not MERCHANT.fullmatch(str(unit.get("payee", {}).get("merchant_id"))):
        raise Refusal(400, "INVALID_PARAMETER_SYNTAX", "merchant_id")
    for name in ("custom_id", "invoice_id", "description"):
        if len(unit.get(name, "")) > 127:
            raise Refusal(400, "INVALID_STRING_MAX_LENGTH", name)
    if "payment_instruction" in unit:
        platform_fee(unit["payment_instruction"], amount)
    return unit


def _capture(stored: Document) -> Document:
    order, unit = stored["order"], stored["order"]["purchase_units"][0]
    is_pending = stored["source"] == "echeck"
    capture: Document = {
        "id": new_name(),
        "status": "PENDING" if is_pending else "COMPLETED",
        "amount": unit["amount"],
        "final_capture": True,
        "custom_id": unit.get("custom_id", ""),
        "invoice_id": unit.get("invoice_id", ""),
        "seller_receivable_breakdown": _breakdown(unit),
        "create_time": now(),
        "update_time": now(),
        "supplementary_data": {"related_ids": {"order_id": order["id"]}},
        "links": [],
    }
    if is_pending:
        capture["status_details"] = {"reason": "ECHECK"}
    unit["payments"] = {"captures": [capture], "refunds": []}
    order["status"] = "COMPLETED"
    return capture


def _breakdown(unit: Document) -> Document:
    """Take 2.9 % and 0.30 in the order's currency, rounded down, and the platform's fee."""
    amount = unit["amount"]
    places = Decimal(1) if amount["currency_code"] in WHOLE else Decimal("0.01")
    gross = Decimal(amount["value"])
    fee = min(gross, gross * 29 / 1000 + 30 * Decimal("0.01")).quantize(places, ROUND_DOWN)
    aside = unit.get("payment_instruction", {}).get("platform_fees", [])
    net = gross - fee - sum((Decimal(each["amount"]["value"]) for each in aside), Decimal())
    parts = {"gross_amount": gross, "paypal_fee": fee, "net_amount": net}
    found: Document = {name: amount | {"value": f"{value:f}"} for name, value in parts.items()}
    return found | ({"platform_fees": aside} if aside else {})


def _find_capture(capture_id: str) -> tuple[Document, Document]:
    index = current_state().get("paypal/capture", capture_id)
    if index is None:
        raise Refusal(404, "INVALID_RESOURCE_ID")
    stored = find_order(index["order"])
    return stored, stored["order"]["purchase_units"][0]["payments"]["captures"][0]


def find_order(order_id: str) -> Document:
    """Return an order with its hidden part."""
    stored = current_state().get("paypal/order", order_id)
    if stored is None:
        raise Refusal(404, "INVALID_RESOURCE_ID")
    return stored


def _known(operation: str, request_id: str, body: Document) -> str:
    """Return what a request id made, or nothing; another body under it is refused."""
    kept = current_state().get("paypal/request", f"{operation}:{request_id}")
    if not request_id or kept is None:
        return ""
    if kept["body"] != body:
        raise Refusal(422, "DUPLICATE_REQUEST_ID")
    return str(kept["made"])


def _keep(operation: str, request_id: str, body: Document, made: str) -> None:
    if request_id:
        kept = {"body": body, "made": made}
        current_state().put("paypal/request", f"{operation}:{request_id}", kept)


def json_body() -> Document:
    """Read the request's JSON object."""
    body = request.get_json(force=True, silent=True)
    if not isinstance(body, dict):
        raise Refusal(400, "MALFORMED_REQUEST_JSON")
    return body


def added(movements: Iterable[Document]) -> str:
    """Add up captures or refunds."""
    return str(sum((Decimal(each["amount"]["value"]) for each in movements), Decimal()))


def now() -> str:
    """Write the time as PayPal does."""
    return datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def new_name() -> str:
    """Make an id as PayPal's look."""
    return "".join(secrets.choice("23456789ABCDEFGHJKLMNPQRSTUVWXYZ") for _ in range(17))

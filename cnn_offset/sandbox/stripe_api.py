"""Stripe's API as far as our calls go: Checkout Sessions, refunds, disputes, on connected accounts.

Everything belongs to the account that the call names; under another account it does not exist.
"""

from __future__ import annotations

import json
import re
import secrets
import time
from collections.abc import Callable
from typing import Any, Final

from flask import Blueprint, Response, jsonify, make_response, request
from flask.typing import ResponseReturnValue

from .faults import current_faults
from .state import Document, current_state
from .stripe_webhooks import ring_stripe

bp = Blueprint("api", __name__)

ACCOUNT: Final = re.compile(r"acct_[A-Za-z0-9]+", re.ASCII)
_LEAST: Final = {"usd": 50, "eur": 50, "chf": 50, "gbp": 30, "jpy": 50}
_KNOWN: Final = frozenset(
    {"mode", "line_items", "success_url", "cancel_url", "client_reference_id", "metadata"}
    | {"payment_intent_data", "customer_email", "locale", "expires_at", "expand"}
    | {"allowed_payment_method_types", "adaptive_pricing", "submit_type", "ui_mode"}
)
_THREE_DECIMAL: Final = {"bhd", "jod", "kwd", "omr", "tnd"}
_OBJECTS: Final = {
    "session": "checkout.session",
    "intent": "payment_intent",
    "balance": "balance_transaction",
}
DAY: Final = 24 * 60 * 60


class Refusal(Exception):
    """Stripe's no, as its errors are built."""

    def __init__(
        self, status: int, code: str, message: str, *, kind: str = "invalid_request_error"
    ) -> None:
        super().__init__(message)
        self.status = status
        self.error = {"type": kind, "code": code, "message": message}


@bp.errorhandler(Refusal)
def _refuse(refusal: Refusal) -> ResponseReturnValue:
    return answer({"error": refusal.error}, refusal.status)


@bp.before_request
def _guard() -> None:
    key = request.headers.get("Authorization", "").removeprefix("Bearer ")
    if not key.startswith("sk_test_"):
        raise Refusal(401, "", "Invalid API Key provided")
    if current_faults().strikes("stripe", "refuse", f"{request.method} {request.path}"):
        raise Refusal(400, "parameter_invalid_string_blank", "The sandbox was told to say no")
    if request.path.startswith(("/stripe/v2/", "/stripe/v1/application_fees/")):
        # Accounts and what is set aside for it belong to the platform itself.
        return
    if not ACCOUNT.fullmatch(_account()):
        raise Refusal(403, "account_invalid", "The provided key has no access to this account")
    if issue_of(_account()) == "revoked":
        raise Refusal(403, "account_invalid", "The provided key has no access to this account")
    if (current_state().get("stripe/payee", _account()) or {}).get("issue"):
        raise Refusal(403, "account_invalid", "Your account cannot currently make live charges")


@bp.post("/v1/checkout/sessions")
def create_session() -> ResponseReturnValue:
    """Open a session, once for each idempotency key."""
    return _once(_create_session)


@bp.get("/v1/checkout/sessions")
def list_sessions() -> ResponseReturnValue:
    """List the sessions of a payment intent."""
    intent = request.args.get("payment_intent")
    found = [
        each
        for each in current_state().all("stripe/session", part=_account())
        if intent is None or each["payment_intent"] == intent
    ]
    return _list(found)


@bp.get("/v1/checkout/sessions/<session_id>")
def get_session(session_id: str) -> ResponseReturnValue:
    """Show a session, with its payment intent and charge if asked so."""
    session = find("session", session_id)
    wanted = _form(request.args.items(multi=True)).get("expand", [])
    deepest = max((each.count(".") for each in wanted), default=-1)
    if deepest >= 0 and session["payment_intent"]:
        intent = find("intent", session["payment_intent"])
        if deepest >= 1 and intent["latest_charge"]:
            charge = intent["latest_charge"] = find("charge", intent["latest_charge"])
            if deepest >= 2:
                charge["balance_transaction"] = find("balance", charge["balance_transaction"])
        session["payment_intent"] = intent
    return answer(session)


@bp.post("/v1/checkout/sessions/<session_id>/expire")
def expire_session(session_id: str) -> ResponseReturnValue:
    """Close an open session; any other is refused."""
    with current_state().transaction():
        session = find("session", session_id)
        if session["status"] != "open":
            text = f"Only sessions that are open can be expired; this is {session['status']}"
            raise Refusal(400, "", text)
        session |= {"status": "expired", "url": None}
        save("session", session)
    ring_stripe("checkout.session.expired", _account(), session)
    return answer(session)


@bp.post("/v1/refunds")
def create_refund() -> ResponseReturnValue:
    """Give money back, once for each idempotency key."""
    return _once(_create_refund)


@bp.get("/v1/refunds")
def list_refunds() -> ResponseReturnValue:
    """List the refunds of a payment intent."""
    return _list(of_intent("refund", request.args.get("payment_intent", "")))


@bp.get("/v1/application_fees/<fee_id>/refunds")
def list_fee_refunds(fee_id: str) -> ResponseReturnValue:
    """List what went back of the platform's fee, newest first."""
    if current_state().get("stripe/application_fee", fee_id) is None:
        raise Refusal(404, "resource_missing", f"No such application fee: '{fee_id}'")
    return _list(list(reversed(current_state().all("stripe/fee_refund", part=fee_id))))


@bp.get("/v1/disputes")
def list_disputes() -> ResponseReturnValue:
    """List the disputes of a payment intent."""
    return _list(of_intent("dispute", request.args.get("payment_intent", "")))


def find(kind: str, name: str, account: str | None = None) -> Document:
    """Return a thing of this account; a session past its end is shown as expired."""
    found = current_state().get(f"stripe/{kind}", name)
    if found is None or found["account"] != (account or _account()):
        raise Refusal(404, "resource_missing", f"No such {kind}: '{name}'")
    if kind == "session" and found["status"] == "open" and found["expires_at"] < time.time():
        found |= {"status": "expired", "url": None}
    return found


def save(kind: str, thing: Document) -> None:
    """Store a thing under its account."""
    current_state().put(f"stripe/{kind}", thing["id"], thing, part=thing["account"])


def of_intent(kind: str, intent: str, account: str | None = None) -> list[Document]:
    """List the refunds or disputes of a payment intent, newest first."""
    found = current_state().all(f"stripe/{kind}", part=account or _account())
    return [each for each in reversed(found) if each["payment_intent"] == intent]


def make(kind: str, prefix: str, account: str, **parts: Any) -> Document:
    """Make and store a new thing."""
    thing: Document = {
        "id": f"{prefix}_{secrets.token_hex(12)}",
        "object": _OBJECTS.get(kind, kind),
        "account": account,
        "created": int(time.time()),
        "livemode": False,
        **parts,
    }
    save(kind, thing)
    return thing


def fee_left(intent: Document) -> int:
    """Return what the platform has of a payment's money, less what went back."""
    charge = find("charge", intent["latest_charge"], intent["account"])
    if not charge["application_fee"]:
        return 0
    went = current_state().all("stripe/fee_refund", part=charge["application_fee"])
    return int(charge["application_fee_amount"]) - sum(each["amount"] for each in went)


def _give_fee_back(intent: Document, amount: int) -> None:
    """Give the platform's fee back in proportion, rounded down but for the last of it."""
    charge = find("charge", intent["latest_charge"], intent["account"])
    if not charge["application_fee"]:
        raise Refusal(400, "parameter_invalid", "There is no application fee to refund")
    back = charge["application_fee_amount"] * amount // intent["amount_received"]
    name = f"fr_{secrets.token_hex(12)}"
    thing = {
        "id": name,
        "object": "fee_refund",
        "fee": charge["application_fee"],
        "amount": min(back, fee_left(intent)),
        "currency": intent["currency"],
        "created": int(time.time()),
        "metadata": {},
    }
    current_state().put("stripe/fee_refund", name, thing, part=charge["application_fee"])


def give_back(intent: Document, amount: int | None, metadata: dict[str, str]) -> Document:
    """Add a refund, in a transaction of the caller's."""
    refunds = of_intent("refund", intent["id"], intent["account"])
    left = intent["amount_received"] - sum(
        each["amount"] for each in refunds if each["status"] not in {"failed", "canceled"}
    )
    if left == 0:
        raise Refusal(400, "charge_already_refunded", "The charge has already been refunded")
    amount = left if amount is None else amount
    if not 0 < amount <= left:
        raise Refusal(400, "amount_too_large", f"Refund amount is greater than {left}")
    return make(
        "refund",
        "re",
        intent["account"],
        amount=amount,
        currency=intent["currency"],
        status="succeeded",
        payment_intent=intent["id"],
        charge=intent["latest_charge"],
        metadata=metadata,
        reason=None,
    )


def issue_of(account: str) -> str:
    """Say in what state an account is that cannot take cards; nothing if it can.

    Every id of Stripe's form is an account that takes cards, until told otherwise.
    """
    found = current_state().get("stripe/account", account)
    return "" if found is None or found["state"] == "active" else str(found["state"])


def _create_session(form: dict[str, Any]) -> tuple[Document, str]:
    if issue_of(_account()):
        raise Refusal(400, "charges_not_allowed", "This account cannot make charges now")
    if strange := set(form) - _KNOWN:
        raise Refusal(400, "parameter_unknown", f"Received unknown parameter: {min(strange)}")
    if form.get("mode") != "payment":
        raise Refusal(400, "parameter_missing", "mode")
    for name in ("success_url", "cancel_url"):
        if not str(form.get(name)).startswith(("http://", "https://")):
            raise Refusal(400, "url_invalid", f"Not a valid URL: {name}")
    try:
        (item,) = form["line_items"]
        price = item["price_data"]
        amount, quantity = int(price["unit_amount"]), int(item["quantity"])
        currency, name = price["currency"], price["product_data"]["name"]
    except (KeyError, TypeError, ValueError):
        raise Refusal(400, "parameter_missing", "line_items") from None
    total = amount * quantity
    if not re.fullmatch(r"[a-z]{3}", currency) or (currency in _THREE_DECIMAL and total % 10):
        raise Refusal(400, "parameter_invalid_integer", f"Invalid amount: {total} {currency}")
    if total < _LEAST.get(currency, 1):
        raise Refusal(400, "amount_too_small", "The amount is below the minimum charge amount")
    if total > 99_999_999:
        raise Refusal(400, "amount_too_large", "The amount has more than eight digits")
    fee = form.get("payment_intent_data", {}).get("application_fee_amount")
    if fee is not None and not 0 < int(fee) < total:
        raise Refusal(400, "parameter_invalid_integer", "application_fee_amount")
    if len(form.get("client_reference_id", "")) > 200:
        raise Refusal(400, "parameter_invalid_string", "client_reference_id")
    now = int(time.time())
    expires = int(form.get("expires_at", now + DAY))
    if not now + 30 * 60 - 5 <= expires <= now + DAY + 5:
        raise Refusal(400, "parameter_invalid_integer", "expires_at: 30 minutes to 24 hours")
    session = make(
        "session",
        "cs_test",
        _account(),
        mode="payment",
        status="open",
        payment_status="unpaid",
        payment_intent=None,
        amount_total=total,
        currency=currency,
        client_reference_id=form.get("client_reference_id"),
        metadata=form.get("metadata", {}),
        success_url=form["success_url"],
        cancel_url=form["cancel_url"],
        customer_email=form.get("customer_email"),
        locale=form.get("locale"),
        expires_at=expires,
        description=name,
        intent_metadata=form.get("payment_intent_data", {}).get("metadata", {}),
        intent_fee=None if fee is None else int(fee),
    )
    session["url"] = f"{request.host_url.rstrip('/')}/stripe/pay/{session['id']}"
    save("session", session)
    return session, ""


def _create_refund(form: dict[str, Any]) -> tuple[Document, str]:
    intent = find("intent", form.get("payment_intent", ""))
    amount = int(form["amount"]) if "amount" in form else None
    refund = give_back(intent, amount, form.get("metadata", {}))
    if form.get("refund_application_fee") in {"true", "True"}:
        _give_fee_back(intent, refund["amount"])
    return refund, "charge.refunded"


def _once(act: Callable[[dict[str, Any]], tuple[Document, str]]) -> Response:
    """Act, or repeat the answer of the same idempotency key; other parameters are refused."""
    state, form = current_state(), _form(request.form.items(multi=True))
    given = request.headers.get("Idempotency-Key", secrets.token_hex(8))
    name, asked = f"{_account()}:{given}", {"path": request.path, "form": form}
    with state.transaction():
        kept = state.get("stripe/key", name)
        if kept is not None:
            if kept["asked"] != asked:
                text = "Keys for idempotent requests can only be used with the same parameters"
                raise Refusal(400, "", text, kind="idempotency_error")
            return answer(kept["answer"], replayed=True)
        thing, event = act(form)
        state.put("stripe/key", name, {"asked": asked, "answer": thing})
    if event:
        ring_stripe(event, _account(), thing)
    return answer(thing)


def _form(items: Any) -> dict[str, Any]:
    """Read ``a[b][0][c]=1`` into what it stands for."""
    root: dict[str, Any] = {}
    for name, value in items:
        parts = re.findall(r"[^\[\]]+", name)
        here = root
        for part in parts[:-1]:
            here = here.setdefault(part, {})
        here[parts[-1]] = value
    return {name: _with_lists(value) for name, value in root.items()}


def _with_lists(value: Any) -> Any:
    if not isinstance(value, dict):
        return value
    inner = {name: _with_lists(each) for name, each in value.items()}
    return list(inner.values()) if all(name.isdigit() for name in inner) else inner


def _account() -> str:
    return request.headers.get("Stripe-Account", "")


def _list(things: list[Document]) -> Response:
    return answer({"object": "list", "data": things, "has_more": False, "url": request.path})


def answer(body: Document, status: int = 200, *, replayed: bool = False) -> Response:
    made = make_response(jsonify(json.loads(json.dumps(body))), status)
    made.headers["Request-Id"] = f"req_{secrets.token_hex(7)}"
    if replayed:
        made.headers["Idempotent-Replayed"] = "true"
    return made

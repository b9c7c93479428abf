"""Stripe's hosted page for payers, and buttons for what happens at Stripe without us."""

from __future__ import annotations

import secrets
from decimal import Decimal
from typing import Final

from flask import (
    Blueprint,
    Response,
    abort,
    jsonify,
    redirect,
    render_template,
    request,
    url_for,
)
from flask.typing import ResponseReturnValue

from .processors import Choice, back_to, lateness
from .state import Document, current_state
from .stripe_api import Refusal, fee_left, find, give_back, make, of_intent, save
from .stripe_webhooks import SECRET, ring_stripe

bp = Blueprint("pages", __name__)

PAY: Final = (
    Choice("card", "Pay by card"),
    Choice("debit", "Pay by bank debit (takes days)"),
    Choice("declined", "Pay with a card that is declined", quiet=True),
    Choice("leave", "Leave without paying", quiet=True),
)
_WHOLE: Final = {"bif", "clp", "djf", "gnf", "jpy", "kmf", "krw", "mga"} | {
    "pyg",
    "rwf",
    "vnd",
    "vuv",
    "xaf",
    "xof",
    "xpf",
}
_THREE_DECIMAL: Final = {"bhd", "jod", "kwd", "omr", "tnd"}


@bp.errorhandler(Refusal)
def _refuse(refusal: Refusal) -> ResponseReturnValue:
    return render_template("processors/refused.html", issue=str(refusal)), refusal.status


@bp.get("/")
def show_all() -> str:
    """List all sessions, newest first."""
    rows = [
        (
            url_for(".show_session", session_id=each["id"]),
            each["id"],
            {"value": _written(each), "currency_code": each["currency"].upper()},
            each["account"],
            f"{each['status']} {each['payment_status']}",
        )
        for each in reversed(current_state().all("stripe/session"))
    ]
    settings = {"secret_key": "sk_test_ and anything", "webhook_secret": SECRET}
    return render_template(
        "processors/list.html",
        title="Stripe",
        rows=rows,
        settings=settings,
        accounts=url_for("stripe.accounts.show_accounts"),
    )


@bp.get("/pay/<session_id>")
def show_page(session_id: str) -> str:
    """Show the payer what is to be paid, and the ways to."""
    session = _session(session_id)
    return render_template(
        "processors/pay.html",
        title="Stripe",
        facts=_described(session),
        choices=PAY if session["status"] == "open" else (),
        declined="declined" in request.args,
        back=session["success_url"],
        lang=session["locale"] or "en",
    )


@bp.post("/pay/<session_id>")
def act(session_id: str) -> ResponseReturnValue:
    """Do what the payer chose; after a declined card the page stays."""
    choice = request.form.get("choice", "")
    is_new = False
    with current_state().transaction():
        session = _session(session_id)
        if choice == "leave":
            return redirect(session["cancel_url"], 303)
        if choice == "declined":
            return redirect(url_for(".show_page", session_id=session_id, declined=1), 303)
        if choice not in {"card", "debit"}:
            abort(400)
        if session["status"] == "open":
            is_new = True
            _pay(session, is_at_once=choice == "card")
    if session["status"] == "expired":
        return redirect(url_for(".show_page", session_id=session_id), 303)
    if is_new:
        ring_stripe("checkout.session.completed", session["account"], session, late=lateness())
    return redirect(
        back_to(session["success_url"].replace("{CHECKOUT_SESSION_ID}", session_id)), 303
    )


@bp.get("/sessions/<session_id>")
def show_session(session_id: str) -> str:
    """Show a session from backstage, with buttons."""
    session = _session(session_id)
    choices = []
    intent = _intent(session)
    if intent and intent["status"] == "processing":
        choices += [Choice("clear", "Let it clear"), Choice("bounce", "Let it bounce")]
    if intent and intent["status"] == "succeeded":
        choices += [Choice("refund", "Refund what is left"), Choice("dispute", "Open a dispute")]
    if intent and any(
        each["status"] not in {"won", "lost"}
        for each in of_intent("dispute", intent["id"], session["account"])
    ):
        choices += [
            Choice("won", "Decide for the provider"),
            Choice("lost", "Decide for the payer"),
        ]
    if intent:
        choices.append(Choice("strange", "Set a status nobody knows", quiet=True))
    return render_template(
        "processors/backstage.html",
        title="Stripe",
        facts=_described(session),
        choices=choices,
        json={"session": session, "payment_intent": intent},
    )


@bp.post("/sessions/<session_id>")
def act_backstage(session_id: str) -> ResponseReturnValue:
    """Do what a button says, and ring for it."""
    choice = request.form.get("choice", "")
    with current_state().transaction():
        session = _session(session_id)
        intent = _intent(session)
        if intent is None:
            abort(409)
        event, thing = "", session
        if choice in {"clear", "bounce"} and intent["status"] == "processing":
            if choice == "clear":
                _succeed(session, intent)
            else:
                intent["status"] = "requires_payment_method"
            outcome = "succeeded" if choice == "clear" else "failed"
            event = f"checkout.session.async_payment_{outcome}"
        elif choice == "strange":
            intent["status"] = "something_new"
            event, thing = "payment_intent.something_new", intent
        elif choice == "refund":
            value = request.form.get("value", "")
            minor = int(Decimal(value).scaleb(_places(session))) if value else None
            event, thing = "charge.refunded", give_back(intent, minor, {})
        elif choice == "dispute":
            event = "charge.dispute.created"
            thing = make(
                "dispute",
                "dp",
                session["account"],
                amount=intent["amount_received"],
                currency=intent["currency"],
                status="needs_response",
                reason="product_not_received",
                payment_intent=intent["id"],
            )
        elif choice in {"won", "lost"}:
            for each in of_intent("dispute", intent["id"], session["account"]):
                each["status"] = choice
                save("dispute", each)
                event, thing = "charge.dispute.closed", each
        if not event:
            abort(400)
        save("intent", intent)
        save("session", session)
    ring_stripe(event, session["account"], thing)
    return redirect(url_for(".show_session", session_id=session_id), 303)


@bp.post("/payees/<account>")
def set_payee(account: str) -> ResponseReturnValue:
    """Make Stripe refuse an account, with any ``issue``; without one it is well again."""
    current_state().put("stripe/payee", account, {"issue": request.form.get("issue", "")})
    return jsonify(account=account, issue=request.form.get("issue", ""))


@bp.get("/audit")
def audit() -> Response:
    """Add up what every key has brought to whom; for tests, not for shops."""
    rows = []
    for session in current_state().all("stripe/session"):
        intent = _intent(session)
        taken = intent["amount_received"] if intent else 0
        back = of_intent("refund", intent["id"], session["account"]) if intent else []
        rows.append(
            {
                "order": session["id"],
                "key": session["client_reference_id"],
                "payee": session["account"],
                "currency": session["currency"].upper(),
                "captured": str(Decimal(taken).scaleb(-_places(session))),
                "refunded": str(
                    Decimal(sum(each["amount"] for each in back)).scaleb(-_places(session))
                ),
                "platform": str(Decimal(_set_aside(session)).scaleb(-_places(session))),
                "status": session["status"],
            }
        )
    return jsonify(payments=rows)


def _set_aside(session: Document) -> int:
    """Return what the platform has of a session's money, less what went back."""
    intent = _intent(session)
    return fee_left(intent) if intent and intent["latest_charge"] else 0


def _pay(session: Document, *, is_at_once: bool) -> None:
    intent = make(
        "intent",
        "pi",
        session["account"],
        amount=session["amount_total"],
        amount_received=0,
        currency=session["currency"],
        status="processing",
        latest_charge=None,
        metadata=session["intent_metadata"],
    )
    session |= {"payment_intent": intent["id"], "status": "complete", "url": None}
    if is_at_once:
        _succeed(session, intent)
    save("intent", intent)
    save("session", session)


def _succeed(session: Document, intent: Document) -> None:
    own, aside = intent["amount"] * 29 // 1000 + 30, session["intent_fee"]
    details = [{"type": "stripe_fee", "amount": own, "currency": intent["currency"]}]
    fee_id = None
    if aside:
        fee_id = f"fee_{secrets.token_hex(12)}"
        current_state().put("stripe/application_fee", fee_id, {"id": fee_id, "amount": aside})
        details.append(details[0] | {"type": "application_fee", "amount": aside})
    charge = make(
        "charge",
        "ch",
        session["account"],
        amount=intent["amount"],
        currency=intent["currency"],
        status="succeeded",
        payment_intent=intent["id"],
        balance_transaction=make(
            "balance",
            "txn",
            session["account"],
            amount=intent["amount"],
            currency=intent["currency"],
            fee=sum(each["amount"] for each in details),
            fee_details=details,
        )["id"],
        application_fee=fee_id,
        application_fee_amount=aside,
    )
    intent |= {
        "status": "succeeded",
        "amount_received": intent["amount"],
        "latest_charge": charge["id"],
    }
    session["payment_status"] = "paid"


def _session(session_id: str) -> Document:
    found = current_state().get("stripe/session", session_id)
    if found is None:
        abort(404)
    return find("session", session_id, found["account"])


def _intent(session: Document) -> Document | None:
    name = session["payment_intent"]
    return find("intent", name, session["account"]) if name else None


def _described(session: Document) -> dict[str, str]:
    intent = _intent(session)
    disputes = of_intent("dispute", intent["id"], session["account"]) if intent else []
    return {
        "Amount": f"{_written(session)} {session['currency'].upper()}",
        "To": f"account {session['account']}",
        "For": session["description"],
        "Status": ", payment ".join([session["status"], *([intent["status"]] if intent else [])]),
        "Set aside for the platform": (
            f"{Decimal(_set_aside(session)).scaleb(-_places(session))}"
            if session["intent_fee"]
            else ""
        ),
        "Disputes": ", ".join(each["status"] for each in disputes),
    }


def _written(session: Document) -> str:
    return str(Decimal(session["amount_total"]).scaleb(-_places(session)))


def _places(session: Document) -> int:
    currency = session["currency"]
    return 0 if currency in _WHOLE else 3 if currency in _THREE_DECIMAL else 2

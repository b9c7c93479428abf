"""PayPal for providers: the partner's API, the page where they agree, and what happens later."""

from __future__ import annotations

import secrets
from typing import Final

from flask import Blueprint, abort, jsonify, redirect, render_template, request, url_for
from flask.typing import ResponseReturnValue

from .paypal_api import CLIENT, MERCHANT, PARTNER, Refusal, json_body, new_name
from .paypal_api import bp as api
from .paypal_webhooks import ring_paypal
from .processors import Choice, back_to
from .state import Document, current_state

bp = Blueprint("sellers", __name__)

AGREE: Final = (
    Choice("agree", "Log in and agree"),
    Choice("unconfirmed", "Agree, with an e-mail address that is not confirmed"),
    Choice("refuse", "Refuse", quiet=True),
    Choice("later", "Come back later", quiet=True),
)
FEES_SCOPE: Final = "https://uri.paypal.com/services/payments/partnerfee"
LATER: Final = {
    "restrict": {"receivable": False},
    "restore": {"receivable": True, "confirmed": True, "granted": True},
    "revoke": {"granted": False},
}


@api.post("/v2/customer/partner-referrals")
def refer() -> ResponseReturnValue:
    """Make a page for one provider; another call with its tracking id makes another."""
    body = json_body()
    tracking_id = str(body.get("tracking_id", ""))
    back = str(body.get("partner_config_override", {}).get("return_url", ""))
    if not 0 < len(tracking_id) <= 127:
        raise Refusal(400, "INVALID_STRING_LENGTH", "tracking_id")
    if not back.startswith(("http://", "https://")):
        raise Refusal(400, "INVALID_PARAMETER_SYNTAX", "return_url")
    if not body.get("products") or not body.get("operations") or not body.get("legal_consents"):
        raise Refusal(400, "MISSING_REQUIRED_PARAMETER", "products, operations, legal_consents")
    name = secrets.token_urlsafe(24)
    try:
        party = body["operations"][0]["api_integration_preference"]["rest_api_integration"]
        features = party["third_party_details"]["features"]
    except (IndexError, KeyError, TypeError):
        raise Refusal(400, "MISSING_REQUIRED_PARAMETER", "features") from None
    referral = {"tracking_id": tracking_id, "back": back, "fees": "PARTNER_FEE" in features}
    current_state().put("paypal/referral", name, referral)
    address = request.host_url.rstrip("/") + "/paypal"
    links = [
        {"href": f"{address}/v2/customer/partner-referrals/{name}", "rel": "self"},
        {"href": f"{address}/agree/{name}", "rel": "action_url", "method": "GET"},
    ]
    return jsonify(links=links), 201


@api.get("/v1/customer/partners/<partner>/merchant-integrations")
def find_seller(partner: str) -> ResponseReturnValue:
    """Name the merchant who agreed under a tracking id."""
    tracking_id = request.args.get("tracking_id", "")
    merchant_id = _tracked(tracking_id) if partner == PARTNER else ""
    if not merchant_id:
        raise Refusal(404, "INVALID_RESOURCE_ID")
    return jsonify(merchant_id=merchant_id, tracking_id=tracking_id)


@api.get("/v1/customer/partners/<partner>/merchant-integrations/<merchant_id>")
def show_integration(partner: str, merchant_id: str) -> ResponseReturnValue:
    """Show how a merchant stands with the partner."""
    seller = current_state().get("paypal/seller", merchant_id)
    if partner != PARTNER or seller is None:
        raise Refusal(404, "INVALID_RESOURCE_ID")
    third = [
        {
            "partner_client_id": CLIENT[0],
            "merchant_client_id": merchant_id,
            "scopes": [FEES_SCOPE] if seller.get("fees") else [],
        }
    ]
    return jsonify(
        merchant_id=merchant_id,
        tracking_id=seller["tracking_id"],
        products=[{"name": "EXPRESS_CHECKOUT", "status": "ACTIVE"}],
        payments_receivable=seller["receivable"],
        primary_email_confirmed=seller["confirmed"],
        oauth_integrations=[{"oauth_third_party": third}] if seller["granted"] else [],
    )


@bp.get("/agree/<name>")
def show_page(name: str) -> str:
    """Show a provider what it agrees to."""
    _referral(name)
    return render_template(
        "processors/connect.html",
        title="PayPal",
        choices=AGREE,
        field=("merchant_id", "Merchant ID (empty: your own, or a new one)", 13),
    )


@bp.post("/agree/<name>")
def agree(name: str) -> ResponseReturnValue:
    """Do what the provider chose, and send it back to the shop."""
    referral, choice = _referral(name), request.form.get("choice", "")
    if choice not in {each.name for each in AGREE}:
        abort(400)
    if choice in {"refuse", "later"}:
        return redirect(back_to(referral["back"], permissionsGranted="false"), 303)
    typed = request.form.get("merchant_id", "").strip()
    # Whoever comes back with the same tracking id has an account by now.
    merchant_id = typed or _tracked(referral["tracking_id"]) or new_name()[:13]
    if not MERCHANT.fullmatch(merchant_id):
        abort(400)
    seller = {
        "merchant_id": merchant_id,
        "tracking_id": referral["tracking_id"],
        "receivable": True,
        "confirmed": choice == "agree",
        "granted": True,
        "fees": referral["fees"],
    }
    _save(seller)
    ring_paypal("MERCHANT.ONBOARDING.COMPLETED", _resource(seller))
    query = {"merchantId": referral["tracking_id"], "merchantIdInPayPal": merchant_id}
    return redirect(back_to(referral["back"], permissionsGranted="true", **query), 303)


@bp.get("/sellers")
def show_sellers() -> str:
    """List the providers who agreed, newest first."""
    rows = [
        (url_for(".show_seller", merchant_id=each["merchant_id"]), each["merchant_id"], _word(each))
        for each in reversed(current_state().all("paypal/seller"))
    ]
    return render_template("processors/accounts.html", title="PayPal", rows=rows)


@bp.get("/sellers/<merchant_id>")
def show_seller(merchant_id: str) -> str:
    """Show one, with buttons for what PayPal or the provider may do later."""
    seller = _seller(merchant_id)
    choices = [
        Choice("restrict", "Let PayPal restrict the account"),
        Choice("revoke", "Withdraw the permission"),
        Choice("restore", "All is well again", quiet=True),
    ]
    return render_template(
        "processors/backstage.html",
        title="PayPal",
        facts={
            "Merchant": merchant_id,
            "Status": _word(seller),
            "Platform’s fees": "permitted" if seller.get("fees") else "not permitted",
        },
        choices=choices,
        json=seller,
        all_url=url_for(".show_sellers"),
    )


@bp.post("/sellers/<merchant_id>")
def act(merchant_id: str) -> ResponseReturnValue:
    """Do what a button says."""
    choice = request.form.get("choice", "")
    if choice not in LATER:
        abort(400)
    seller = _seller(merchant_id) | LATER[choice]
    _save(seller)
    if choice == "revoke":
        ring_paypal("MERCHANT.PARTNER-CONSENT.REVOKED", _resource(seller))
    return redirect(url_for(".show_seller", merchant_id=merchant_id), 303)


def _tracked(tracking_id: str) -> str:
    """Return the merchant who agreed last under a tracking id."""
    found = [
        each["merchant_id"]
        for each in current_state().all("paypal/seller")
        if each["tracking_id"] == tracking_id
    ]
    return str(found[-1]) if found else ""


def _referral(name: str) -> Document:
    found = current_state().get("paypal/referral", name)
    if found is None:
        abort(404)
    return found


def _seller(merchant_id: str) -> Document:
    found = current_state().get("paypal/seller", merchant_id)
    if found is None:
        abort(404)
    return found


def _save(seller: Document) -> None:
    current_state().put("paypal/seller", seller["merchant_id"], seller)


def _resource(seller: Document) -> Document:
    return {name: seller[name] for name in ("merchant_id", "tracking_id")} | {
        "partner_client_id": CLIENT[0]
    }


def _word(seller: Document) -> str:
    if not seller["granted"]:
        return "permission withdrawn"
    if not seller["confirmed"]:
        return "e-mail address not confirmed"
    return "can be paid" if seller["receivable"] else "restricted"

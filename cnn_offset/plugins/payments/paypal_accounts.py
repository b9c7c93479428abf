"""Providers' accounts at PayPal: connected as a partner's, or tried with an order.

As a partner the platform sends providers to PayPal with a tracking id, and that id alone
binds what comes of it to the provider: what the return address is called with is not
believed. Without a partner's contract a provider types its merchant id, and only a trial
tells whether it can be paid (payments-facts.md 0.4, 1.6).
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any, Final
from urllib.parse import quote, urlsplit

from cnn_offset.domain.status import PayoutStatus
from cnn_offset.domain.text import N_
from cnn_offset.plugins.errors import OutcomeUnknownError, PayeeNotReadyError
from cnn_offset.plugins.payments.base import AccountReport, Connection, ConnectRequest, Payee
from cnn_offset.plugins.payments.paypal_answers import Order, Referral, Seller, Tracked, read
from cnn_offset.plugins.payments.paypal_client import GoneError, PayPalClient

LANGUAGES: Final[Mapping[str, str]] = {"en": "en-GB", "fr": "fr-FR", "es": "es-ES"}
FINISH: Final = N_("Go on at PayPal: log in there and agree to be paid through this site.")
CONFIRM: Final = N_("Confirm your e-mail address at PayPal: it has sent you a message.")
CANNOT_RECEIVE: Final = N_(
    "PayPal does not let your account receive money. Look into your PayPal account, or ask "
    "PayPal what it needs."
)
PERMIT: Final = N_(
    "You have withdrawn at PayPal what lets us have you paid. Connect again if you wish."
)
CLOSED: Final = N_("PayPal has closed or locked this account. Ask PayPal, or connect another one.")
PERMIT_FEES: Final = N_(
    "Payments work. So that PayPal can set aside this site’s fee from each of them, please "
    "disconnect and connect again; until then the fee is on your monthly statement."
)
FEES: Final = "platform_fees"
"""The part of an account that says whether the provider permits the platform's fee."""
GRANTED: Final = "granted"
_FEES_SCOPE: Final = "https://uri.paypal.com/services/payments/partnerfee"
UNKNOWN: Final = N_(
    "PayPal does not know this merchant ID. Compare it with the one in your PayPal account, "
    "under account settings, business information."
)


def refer(
    client: PayPalClient, request: ConnectRequest, *, disputes: bool, fees: bool
) -> Connection:
    """Ask for a page where the provider agrees; the tracking id is our key."""
    features = ["PAYMENT", "REFUND", "ACCESS_MERCHANT_INFORMATION"]
    body: dict[str, Any] = {
        "tracking_id": request.key,
        "email": request.email,
        "preferred_language_code": LANGUAGES.get(request.locale, "en-GB"),
        "partner_config_override": {"return_url": request.return_url},
        "operations": [
            {
                "operation": "API_INTEGRATION",
                "api_integration_preference": {
                    "rest_api_integration": {
                        "integration_method": "PAYPAL",
                        "integration_type": "THIRD_PARTY",
                        "third_party_details": {
                            "features": features
                            + ["READ_SELLER_DISPUTE"] * disputes
                            + ["PARTNER_FEE"] * fees
                        },
                    }
                },
            }
        ],
        "products": ["EXPRESS_CHECKOUT"],
        "legal_consents": [{"type": "SHARE_DATA_CONSENT", "granted": True}],
    }
    answer = read(Referral, client.post("/v2/customer/partner-referrals", json.dumps(body)))
    for link in answer.links:
        if link.rel == "action_url" and urlsplit(link.href).scheme in {"http", "https"}:
            return Connection(link.href, request.key)
    raise OutcomeUnknownError("PayPal gave no address to send the provider to")


def inspect_seller(
    client: PayPalClient,
    account: Payee,
    tracking_id: str,
    *,
    partner_id: str,
    client_id: str,
    fees: bool,
) -> AccountReport:
    """Look up what became of a tracking id, and whether that merchant can be paid through us."""
    path = f"/v1/customer/partners/{quote(partner_id, safe='')}/merchant-integrations"
    merchant_id = account.get("merchant_id", "")
    if not merchant_id:
        # Tokens of before do not reach a seller who has just agreed.
        client.forget_token()
        try:
            merchant_id = read(Tracked, client.get(path, {"tracking_id": tracking_id})).merchant_id
        except GoneError:
            return AccountReport(PayoutStatus.STARTED, [FINISH])
    learnt = {"merchant_id": merchant_id}
    try:
        seller = read(Seller, client.get(f"{path}/{quote(merchant_id, safe='')}"))
    except GoneError:
        # Perhaps the partner's id in our own settings is wrong: not the provider's doing.
        return AccountReport(PayoutStatus.LIMITED, [PERMIT], learnt)
    if seller.merchant_id != merchant_id:
        raise OutcomeUnknownError("PayPal speaks of another merchant than was asked for")
    scopes = {
        each.partner_client_id: each.scopes
        for one in seller.oauth_integrations
        for each in one.oauth_third_party
    }
    permitted = {FEES: GRANTED} if _FEES_SCOPE in scopes.get(client_id, ()) else {}
    if client_id not in scopes or seller.tracking_id != tracking_id:
        return AccountReport(PayoutStatus.REVOKED, [PERMIT], learnt)
    todo = [CANNOT_RECEIVE] * (not seller.payments_receivable)
    todo += [CONFIRM] * (not seller.primary_email_confirmed)
    if todo:
        return AccountReport(PayoutStatus.LIMITED, todo, learnt | permitted)
    todo = [PERMIT_FEES] * (fees and not permitted)
    return AccountReport(PayoutStatus.READY, todo, learnt | permitted)


def try_payee(client: PayPalClient, account: Payee, *, key: str) -> AccountReport:
    """Create the smallest order there is for this payee; nobody will ever approve it.

    PayPal refuses to create one for a payee that it does not know or has restricted.
    """
    unit = {
        "amount": {"currency_code": "USD", "value": "0.01"},
        "payee": {"merchant_id": account["merchant_id"]},
    }
    body = {"intent": "CAPTURE", "purchase_units": [unit]}
    try:
        read(Order, client.create_order(body, request_id=key))
    except PayeeNotReadyError as error:
        if error.code == "PAYEE_ACCOUNT_LOCKED_OR_CLOSED":
            return AccountReport(PayoutStatus.REVOKED, [CLOSED])
        todo = UNKNOWN if error.code == "PAYEE_ACCOUNT_INVALID" else CANNOT_RECEIVE
        return AccountReport(PayoutStatus.LIMITED, [todo])
    return AccountReport(PayoutStatus.READY)

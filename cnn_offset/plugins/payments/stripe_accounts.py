"""Providers' accounts at Stripe: Accounts v2, connected on Stripe's own page.

The account is the provider's: full dashboard, fees and losses between it and Stripe
(payments-facts.md 0.5, 2.3). Its id, which only we and Stripe know, binds it to the provider.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

import stripe

from cnn_offset.domain.status import PayoutStatus
from cnn_offset.domain.text import N_
from cnn_offset.plugins.errors import OutcomeUnknownError, PayeeNotReadyError
from cnn_offset.plugins.payments.base import AccountReport, Connection, ConnectRequest, Payee
from cnn_offset.plugins.payments.stripe_calls import PAYEE_CODES, asking

LOCALES: Final[Mapping[str, str]] = {"en": "en-GB", "fr": "fr-FR", "es": "es-ES"}
PROVIDE: Final = N_("Go on at Stripe: it still asks for details of your organisation.")
CHECKING: Final = N_("Stripe is checking your details. You need do nothing at present.")
CONTACT: Final = N_("Stripe cannot let this account take cards as it is. Please write to Stripe.")
REFUSED: Final = N_("Stripe does not let this account take cards. You can connect another one.")
GONE: Final = N_(
    "This account is closed, or you have withdrawn at Stripe what lets us have you paid. "
    "Connect again if you wish."
)


def connect_account(client: stripe.StripeClient, request: ConnectRequest) -> Connection:
    """Create the provider's account once for our key, then a link of single use to its page."""
    with asking():
        name = request.onboarding_ref
        if not name:
            account = client.v2.core.accounts.create(
                {
                    "contact_email": request.email,
                    "display_name": request.name,
                    "dashboard": "full",
                    "identity": {"country": request.country.lower(), "entity_type": "company"},
                    "configuration": {
                        "merchant": {"capabilities": {"card_payments": {"requested": True}}}
                    },
                    "defaults": {
                        "responsibilities": {
                            "fees_collector": "stripe",
                            "losses_collector": "stripe",
                        },
                    },
                    "metadata": {"key": request.key},
                    "include": ["configuration.merchant"],
                },
                {"idempotency_key": request.key},
            )
            name = account.id
        link = client.v2.core.account_links.create(
            {
                "account": name,
                "use_case": {
                    "type": "account_onboarding",
                    "account_onboarding": {
                        "refresh_url": request.refresh_url,
                        "return_url": request.return_url,
                    },
                },
            }
        )
        if not (link.url.startswith(("http://", "https://")) and name.startswith("acct_")):
            raise OutcomeUnknownError("Stripe gave no address to send the provider to")
        return Connection(link.url, name)


def inspect_account(
    client: stripe.StripeClient, account: Payee, onboarding_ref: str
) -> AccountReport:
    """Read whether an account can take cards now."""
    name = onboarding_ref or account.get("account", "")
    learnt = {"account": name}
    try:
        with asking():
            try:
                found = client.v2.core.accounts.retrieve(
                    name, {"include": ["configuration.merchant"]}
                )
            except stripe.InvalidRequestError as error:
                if error.http_status == 404:
                    raise PayeeNotReadyError(
                        "Stripe does not know this account", code="account_invalid"
                    ) from None
                raise
            if found.id != name:
                raise OutcomeUnknownError("Stripe speaks of another account than was asked for")
            if found.closed:
                return AccountReport(PayoutStatus.REVOKED, [GONE], learnt)
            merchant = found.configuration.merchant if found.configuration else None
            cards = (
                merchant.capabilities.card_payments if merchant and merchant.capabilities else None
            )
            if cards is None:
                return AccountReport(PayoutStatus.STARTED, [PROVIDE], learnt)
            ways = {str(each.resolution) for each in cards.status_details or []}
            return _understood(str(cards.status), ways, learnt)
    except PayeeNotReadyError as error:
        if error.code not in PAYEE_CODES:
            # Our own key may not ask; that says nothing of the account.
            raise
        return AccountReport(PayoutStatus.REVOKED, [GONE], learnt)


def _understood(status: str, ways: set[str], learnt: Payee) -> AccountReport:
    if status == "active":
        return AccountReport(PayoutStatus.READY, (), learnt)
    if status in {"rejected", "unsupported"}:
        return AccountReport(PayoutStatus.REVOKED, [REFUSED], learnt)
    if "provide_info" in ways:
        return AccountReport(PayoutStatus.LIMITED, [PROVIDE], learnt)
    if status == "pending":
        return AccountReport(PayoutStatus.STARTED, [CHECKING], learnt)
    # Restricted with nothing to give, or a word that we do not know.
    return AccountReport(PayoutStatus.LIMITED, [CONTACT], learnt)

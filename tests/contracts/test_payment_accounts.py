"""Accounts at PayPal and Stripe: trials, words of theirs, signatures, what is asked."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
import requests
import stripe
from pydantic import SecretStr

from cnn_offset.domain.money import Money
from cnn_offset.domain.status import PayoutStatus
from cnn_offset.plugins.errors import ForgedError, RefusedError, UnsupportedError
from cnn_offset.plugins.payments import paypal_accounts, stripe_accounts
from cnn_offset.plugins.payments.base import Delivery
from cnn_offset.testing.payment_accounts import Step

from .payment_worlds import (
    PayPalPartnerWorld,
    PayPalWorld,
    StripeAccountWorld,
    processor_world,
)

LIMITED, READY, REVOKED, STARTED = (
    PayoutStatus.LIMITED,
    PayoutStatus.READY,
    PayoutStatus.REVOKED,
    PayoutStatus.STARTED,
)


@pytest.fixture
def paypal(sandbox: Any, free_port: int) -> Iterator[Any]:
    with processor_world(PayPalWorld, sandbox.url, free_port) as world:
        yield world


@pytest.fixture
def partner(sandbox: Any, free_port: int) -> Iterator[Any]:
    with processor_world(PayPalPartnerWorld, sandbox.url, free_port) as world:
        yield world


@pytest.fixture
def accounts(sandbox: Any, free_port: int) -> Iterator[Any]:
    with processor_world(StripeAccountWorld, sandbox.url, free_port) as world:
        yield world


@pytest.mark.parametrize(
    ("issue", "status", "todo"),
    [
        ("", READY, []),
        ("PAYEE_ACCOUNT_RESTRICTED", LIMITED, [paypal_accounts.CANNOT_RECEIVE]),
        ("PAYEE_ACCOUNT_INVALID", LIMITED, [paypal_accounts.UNKNOWN]),
        ("PAYEE_ACCOUNT_LOCKED_OR_CLOSED", REVOKED, [paypal_accounts.CLOSED]),
    ],
)
def test_a_typed_merchant_id_is_tried_and_never_captured(
    paypal: Any, issue: str, status: PayoutStatus, todo: list[str]
) -> None:
    told = {"issue": issue}
    requests.post(f"{paypal._url}/paypal/payees/ABCDEFGHJKLM2", told, timeout=10)
    report = paypal.plugin.inspect(paypal.payee, "", key="t-1-abc")
    assert (report.status, list(report.todo)) == (status, todo)
    rows = requests.get(f"{paypal._url}/paypal/audit", timeout=10).json()["payments"]
    assert [each["captured"] for each in rows] == ["0"] * (not issue)


def test_a_refusal_that_is_not_about_the_payee_says_nothing_of_it(paypal: Any) -> None:
    fault = {"target": "paypal", "kind": "refuse", "count": 1, "only": "POST /paypal/v2"}
    requests.post(f"{paypal._url}/faults", json=fault, timeout=10)
    with pytest.raises(RefusedError):
        paypal.plugin.inspect(paypal.payee, "", key="t-1-abc")


def test_only_partners_have_accounts_connected(paypal: Any, partner: Any) -> None:
    assert not paypal.plugin.connects
    with pytest.raises(UnsupportedError):
        paypal.plugin.connect(partner.connect_request())


def test_what_a_partner_asks_for(partner: Any, sandbox: Any) -> None:
    request = partner.connect_request()
    partner.plugin.connect(request)
    [(_, _, referral)] = sandbox.app.extensions["sandbox.state"].rows("paypal/referral")
    known = {"tracking_id": request.key, "back": request.return_url}
    assert referral == known | {"fees": True}


def test_a_partner_that_takes_no_fees_does_not_ask_for_them(partner: Any, sandbox: Any) -> None:
    """Who connected before fees were taken is paid as ever, and is told what to do."""
    settings = dict(partner.plugin.settings)
    without = type(partner.plugin)(partner.plugin.Settings(**{**settings, "take_fees": False}))
    connection = without.connect(partner.connect_request())
    [(_, _, referral)] = sandbox.app.extensions["sandbox.state"].rows("paypal/referral")
    assert referral["fees"] is False
    partner.go(Step.FINISH, connection, {})
    report = without.inspect({}, connection.onboarding_ref, key="t-1")
    assert (report.status, report.todo) == (READY, [])
    later = partner.plugin.inspect(report.account, connection.onboarding_ref, key="t-2")
    assert (later.status, later.todo) == (READY, [paypal_accounts.PERMIT_FEES])
    assert not partner.plugin.takes_fee(partner.fee, later.account)
    with pytest.raises(UnsupportedError):
        partner.plugin.start(partner.request(payee=later.account, fee=partner.fee))


def test_who_permits_the_fee_can_be_charged_it(partner: Any) -> None:
    account = partner.fee_payee()
    assert partner.plugin.takes_fee(partner.fee, account)
    assert not partner.plugin.takes_fee(Money(150, "HUF"), account)


def test_a_seller_who_agreed_anew_for_somebody_else_is_lost(partner: Any) -> None:
    """PayPal keeps one tracking id a merchant; ours is then another's."""
    first = partner.plugin.connect(partner.connect_request())
    partner.go(Step.FINISH, first, {})
    account = partner.plugin.inspect({}, first.onboarding_ref, key="t-1").account
    second = partner.plugin.connect(partner.connect_request())
    choice = {"choice": "agree", **account}
    requests.post(second.url, choice, allow_redirects=False, timeout=10)
    assert partner.plugin.inspect(account, first.onboarding_ref, key="t-2").status is REVOKED
    taken = partner.plugin.inspect({}, second.onboarding_ref, key="t-3")
    # The core sees that it is another provider's.
    assert dict(taken.account) == dict(account)


@pytest.mark.parametrize(
    ("state", "status", "todo"),
    [
        ("active", READY, []),
        ("checking", STARTED, [stripe_accounts.CHECKING]),
        ("unfinished", LIMITED, [stripe_accounts.PROVIDE]),
        ("restricted", LIMITED, [stripe_accounts.CONTACT]),
        ("rejected", REVOKED, [stripe_accounts.REFUSED]),
        ("revoked", REVOKED, [stripe_accounts.GONE]),
    ],
)
def test_stripes_words_for_an_account(
    accounts: Any, state: str, status: PayoutStatus, todo: list[str]
) -> None:
    requests.post(f"{accounts._url}/stripe/accounts/acct_1X", {"choice": state}, timeout=10)
    report = accounts.plugin.inspect({"account": "acct_1X"}, "", key="t-1")
    assert (report.status, list(report.todo)) == (status, todo)
    assert report.account == {"account": "acct_1X"}


def test_a_key_that_may_not_ask_revokes_nobody(accounts: Any) -> None:
    other = accounts.plugin.settings.model_copy(
        update={"secret_key": accounts.plugin.settings.webhook_secret}
    )
    with pytest.raises(RefusedError):
        type(accounts.plugin)(other).inspect({"account": "acct_1X"}, "acct_1X", key="t-1")


def test_a_used_link_of_stripes_leads_back_to_the_shop(accounts: Any) -> None:
    request = accounts.connect_request()
    connection = accounts.plugin.connect(request)
    accounts.go(Step.FINISH, connection, {})
    for answer in (
        requests.get(connection.url, allow_redirects=False, timeout=10),
        requests.post(connection.url, {"choice": "done"}, allow_redirects=False, timeout=10),
    ):
        assert answer.headers["Location"] == request.refresh_url


def test_thin_events_have_a_secret_of_their_own(accounts: Any) -> None:
    settings = accounts.plugin.settings
    both = type(accounts.plugin)(
        settings.model_copy(update={"account_webhook_secret": SecretStr("whsec_thin")})
    )
    for plugin, secret in (
        (accounts.plugin, "whsec_sandbox"),
        (both, "whsec_sandbox"),
        (both, "whsec_thin"),
    ):
        notice = plugin.read_webhook(_at_once(secret))
        assert (list(notice.processor_refs), list(notice.account_refs)) == ([], ["acct_1X"])
    for plugin, secret in ((accounts.plugin, "whsec_thin"), (both, "whsec_wrong")):
        with pytest.raises(ForgedError):
            plugin.read_webhook(_at_once(secret))


def _at_once(secret: str, **changes: Any) -> Delivery:
    """Sign now: the SDK looks at the machine's own clock."""
    event = {
        "id": "evt_1",
        "object": "v2.core.event",
        "type": "v2.core.account[requirements].updated",
        "livemode": False,
        "related_object": {"id": "acct_1X", "type": "v2.core.account"},
    }
    body, at = json.dumps(event | changes), datetime.now(UTC)
    header = stripe.WebhookSignature.generate_signature_header(body, secret, int(at.timestamp()))
    return Delivery({"stripe-signature": header}, body.encode(), at)


@pytest.mark.parametrize(
    "changes",
    [
        {"livemode": True},
        {"related_object": None},
        {"related_object": {"id": "cus_1"}},
        {"related_object": {"id": "acct_1/../x"}},
    ],
)
def test_thin_events_of_others_name_nobody(accounts: Any, changes: dict[str, Any]) -> None:
    assert (
        list(accounts.plugin.read_webhook(_at_once("whsec_sandbox", **changes)).account_refs) == []
    )


def test_old_thin_events_are_forged(accounts: Any) -> None:
    made = _at_once("whsec_sandbox")
    late = Delivery(made.headers, made.body, made.received_at + timedelta(hours=1))
    with pytest.raises(ForgedError):
        accounts.plugin.read_webhook(late)
    with pytest.raises(ForgedError):
        accounts.plugin.read_webhook(_at_once("whsec_sandbox", related_object=7))


def test_v1_events_of_an_account_ring_for_it(accounts: Any) -> None:
    for kind in ("account.updated", "account.application.deauthorized"):
        made = _at_once(
            "whsec_sandbox", object="event", type=kind, account="acct_1X", data={"object": {}}
        )
        assert list(accounts.plugin.read_webhook(made).account_refs) == ["acct_1X"]


def test_our_own_settings_revoke_nobody(partner: Any) -> None:
    connection = partner.plugin.connect(partner.connect_request())
    partner.go(Step.FINISH, connection, {})
    account = partner.plugin.inspect({}, connection.onboarding_ref, key="t-1").account
    for partner_id, status in (("", READY), ("ANOTHER2PARTN", LIMITED)):
        settings = partner.plugin.settings.model_copy(update={"partner_id": partner_id})
        report = type(partner.plugin)(settings).inspect(
            account, connection.onboarding_ref, key=f"t-{status}"
        )
        assert report.status is status

"""Stripe: a hosted Checkout Session as a direct charge on the provider's own account.

Everything lives on the provider's account, so each call names it, and money that a session
of that account reports went there and nowhere else.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any, ClassVar, Final, Literal, cast
from urllib.parse import urlsplit

import requests
import stripe
from pydantic import Field, SecretStr

from cnn_offset.domain.money import Money
from cnn_offset.domain.payment import Fact, FactKind, FactStatus
from cnn_offset.domain.status import PayoutStatus
from cnn_offset.domain.text import N_
from cnn_offset.plugins.errors import (
    ForgedError,
    OutcomeUnknownError,
    PayeeNotReadyError,
    RefusedError,
    UnsupportedError,
)
from cnn_offset.plugins.payments.base import (
    AccountField,
    AccountReport,
    Connection,
    ConnectRequest,
    Delivery,
    Notice,
    Payee,
    PaymentRequest,
    ProcessorPlugin,
    Redirect,
)
from cnn_offset.plugins.payments.stripe_accounts import connect_account, inspect_account
from cnn_offset.plugins.payments.stripe_amounts import from_stripe, to_stripe
from cnn_offset.plugins.payments.stripe_calls import asking
from cnn_offset.plugins.settings import PluginSettings

if TYPE_CHECKING:
    from stripe import RequestOptions
    from stripe.checkout import Session
    from stripe.params import RefundCreateParams
    from stripe.params.checkout import (
        SessionCreateParams,
        SessionCreateParamsPaymentIntentData,
    )

# The SDK's only switch for this is global; left on it writes a file into the home directory.
stripe.enable_telemetry = False

MOST: Final = 99_999_999
"""Stripe takes eight digits."""

INTENTS: Final[Mapping[str, FactStatus]] = {
    "succeeded": FactStatus.DONE,
    "processing": FactStatus.PENDING,
    # Of a session that is complete: a debit that bounced.
    "requires_payment_method": FactStatus.FAILED,
    "canceled": FactStatus.ABANDONED,
}
REFUNDS: Final[Mapping[str, FactStatus]] = {
    "pending": FactStatus.PENDING,
    "requires_action": FactStatus.PENDING,
    "succeeded": FactStatus.DONE,
    "failed": FactStatus.FAILED,
    "canceled": FactStatus.ABANDONED,
}
DISPUTES: Final[Mapping[str, FactStatus]] = {
    "warning_needs_response": FactStatus.OPEN,
    "warning_under_review": FactStatus.OPEN,
    "needs_response": FactStatus.OPEN,
    "under_review": FactStatus.OPEN,
    "warning_closed": FactStatus.WON,
    "prevented": FactStatus.WON,
    "won": FactStatus.WON,
    "lost": FactStatus.LOST,
}
_ACCOUNT: Final = re.compile(r"acct_[A-Za-z0-9]{1,250}", re.ASCII)
_BELL_SECONDS: Final = 4.0
FEE_BACK: Final = "fee_back"
"""Marks refunds with which the platform's fee went back."""
_TOLERANCE: Final = timedelta(minutes=5)


class StripeSettings(PluginSettings):
    """Settings of Stripe Connect; the platform's own keys."""

    base_url: str = "https://api.stripe.com"
    secret_key: SecretStr
    webhook_secret: SecretStr
    """Of the endpoint that listens to events of connected accounts."""
    account_webhook_secret: SecretStr = SecretStr("")
    """Of the event destination for thin events about accounts; empty if there is none."""
    timeout_seconds: float = Field(default=10, gt=0, le=20)


class StripeConnect(ProcessorPlugin):
    """Stripe Checkout in mode ``payment``, cards only.

    Only cards: debits that take days to fail would not fit :attr:`slowest`. A session
    lives for Stripe's 24 hours, which are also :attr:`due_within`; there is no clock here
    to set another end by. Stripe keeps idempotency keys for 24 hours.
    """

    id = "stripe_connect"
    title = N_("Card")
    hint = N_("By card, on a page of Stripe.")
    account_fields = (AccountField("account", N_("Stripe account ID")),)
    Settings = StripeSettings
    slowest = timedelta(days=1)
    due_within = timedelta(days=1)
    has_webhook: ClassVar[bool] = True

    def __init__(self, settings: StripeSettings) -> None:
        super().__init__(settings)
        self._own = settings
        self._client = self._connect(settings.timeout_seconds)
        self._bell = self._connect(min(settings.timeout_seconds, _BELL_SECONDS))

    def _connect(self, timeout: float) -> stripe.StripeClient:
        session = requests.Session()
        # A redirected POST would be sent twice or turned into a GET.
        session.max_redirects = 0
        base = self._own.base_url.rstrip("/")
        return stripe.StripeClient(
            self._own.secret_key.get_secret_value(),
            base_addresses={"api": base, "connect": base, "files": base, "meter_events": base},
            http_client=stripe.RequestsClient(timeout=timeout, session=session),
            max_network_retries=0,
        )

    def supports(self, amount: Money) -> bool:
        """Whether Stripe can write the amount exactly, in at most eight digits."""
        written = to_stripe(amount)
        return written is not None and 0 < written <= MOST

    def takes_fee(self, fee: Money, payee: Payee) -> bool:
        """Whether Stripe can write the fee exactly; every connected account bears one."""
        return self.supports(fee)

    def form_targets(self) -> Sequence[str]:
        """Stripe's hosted pages have hosts of their own; elsewhere there is only one."""
        parts = urlsplit(self._own.base_url)
        hosts = [parts.netloc]
        if parts.netloc == "api.stripe.com":
            hosts = [f"{name}.stripe.com" for name in ("checkout", "connect", "accounts")]
        return [f"{parts.scheme}://{host}" for host in hosts]

    def check_account(self, payee: Payee) -> Sequence[str]:
        """Say whether the account id has Stripe's form."""
        if _ACCOUNT.fullmatch(payee.get("account", "")):
            return []
        return [N_("A Stripe account ID begins with acct_, then letters and digits.")]

    def payee_account(self, payee: Payee) -> str:
        """Name the account by its id."""
        return payee.get("account", "")

    @property
    def connects(self) -> bool:
        """Accounts are connected on Stripe's page; nobody types their ids."""
        return True

    def connect(self, request: ConnectRequest) -> Connection:
        """Create the account, once, and a link to Stripe's page for it."""
        return connect_account(self._client, request)

    def inspect(self, account: Payee, onboarding_ref: str, *, key: str) -> AccountReport:
        """Read whether the account can take cards."""
        if not onboarding_ref and (wrong := self.check_account(account)):
            return AccountReport(PayoutStatus.LIMITED, wrong)
        return inspect_account(self._client, account, onboarding_ref)

    def start(self, request: PaymentRequest) -> Redirect:
        """Open a Checkout Session on the provider's account, or find it again by our key."""
        amount = to_stripe(request.amount)
        if amount is None or not self.supports(request.amount):
            raise UnsupportedError(f"Stripe cannot take {request.amount}")
        if self.check_account(request.payee):
            raise PayeeNotReadyError("the provider's account id is missing or malformed")
        self.check_fee(request)
        known = {"key": request.key, "order_code": request.order_code}
        payment: SessionCreateParamsPaymentIntentData = {"metadata": known}
        fee = to_stripe(request.fee) if request.fee else None
        if fee is not None:
            payment["application_fee_amount"] = fee
        wanted: SessionCreateParams = {
            "mode": "payment",
            "allowed_payment_method_types": ["card"],
            "line_items": [
                {
                    "quantity": 1,
                    "price_data": {
                        "currency": request.amount.currency.lower(),
                        "unit_amount": amount,
                        "product_data": {"name": request.description[:250] or request.order_code},
                    },
                }
            ],
            # The payer pays the listed currency, so that exactly the price arrives.
            "adaptive_pricing": {"enabled": False},
            "client_reference_id": request.key,
            "metadata": known,
            # A payment intent does not inherit its session's.
            "payment_intent_data": payment,
            "customer_email": request.payer_email,
            "locale": cast("Literal['en', 'fr', 'es']", request.locale),
            "success_url": request.return_url,
            "cancel_url": request.return_url,
        }
        with asking():
            session = self._client.v1.checkout.sessions.create(
                wanted, {**self._on(request.payee), "idempotency_key": request.key}
            )
            if not session.url:
                raise OutcomeUnknownError("Stripe gave no address to send the payer to")
            return Redirect(session.id, session.url)

    def fetch(
        self, payee: Payee, processor_ref: str, *, key: str, may_capture: bool
    ) -> Sequence[Fact]:
        """Read the session with its payment, refunds and disputes.

        Stripe takes the money itself, so ``may_capture`` changes nothing. An open session
        yields no fact, even after a declined card: the payer may try another.
        """
        session = self._session(payee, processor_ref)
        with asking():
            is_ours = session.client_reference_id == key
        if not is_ours:
            raise RefusedError(f"Stripe's session {processor_ref} is not ours", code="OTHER_KEY")
        return self._facts(payee, session)

    def abandon(self, payee: Payee, processor_ref: str, *, key: str) -> Sequence[Fact]:
        """Expire the session, then look how it stands.

        Stripe refuses to expire a session that is paid, being paid or expired already; the
        look afterwards tells which. No idempotency key: Stripe would repeat an old refusal.
        """
        try:
            with asking():
                self._client.v1.checkout.sessions.expire(processor_ref, options=self._on(payee))
        except PayeeNotReadyError:
            raise
        except RefusedError:
            pass
        return self.fetch(payee, processor_ref, key=key, may_capture=False)

    def refund(
        self,
        payee: Payee,
        processor_ref: str,
        amount: Money,
        *,
        key: str,
        fee: Money | None = None,
    ) -> Sequence[Fact]:
        """Give back ``amount``, once for each ``key``; the refund carries the key as metadata.

        With any ``fee`` Stripe gives back the platform's fee in proportion.

        Raises:
            RefusedError: nothing was paid, or more than is left.

        """
        minor = to_stripe(amount)
        if minor is None:
            raise UnsupportedError(f"Stripe cannot give back {amount}")
        session = self._session(payee, processor_ref)
        with asking():
            intent = session.payment_intent
            if not isinstance(intent, stripe.PaymentIntent):
                raise RefusedError("Stripe has taken no money to give back", code="no_payment")
            known = self._client.v1.refunds.list(
                {"payment_intent": intent.id, "limit": 100}, self._on(payee)
            )
            marks = [each.to_dict().get("metadata") or {} for each in known.data]
            if not any(each.get("key") == key for each in marks):
                wanted: RefundCreateParams = {
                    "payment_intent": intent.id,
                    "amount": minor,
                    "metadata": {"key": key},
                }
                if fee is not None:
                    wanted["refund_application_fee"] = True
                    wanted["metadata"] = {"key": key, FEE_BACK: "yes"}
                self._client.v1.refunds.create(
                    wanted, self._on(payee) | {"idempotency_key": f"{key}-refund"}
                )
        return self._facts(payee, session)

    def read_webhook(self, delivery: Delivery) -> Notice:
        """Check the signature and its time in both directions, then name sessions or account.

        Takes only events of connected accounts and of our key's mode, live or test: a
        live address receives test events too.
        """
        header = delivery.headers.get("stripe-signature")
        try:
            self._verify(delivery.body, header)
            signed = re.search(r"(?:^|,)t=(\d{1,11})(?:,|$)", header or "", re.ASCII)
            event = json.loads(delivery.body)
            at = datetime.fromtimestamp(int(signed[1]), UTC) if signed else None
            if at is None or abs(delivery.received_at - at) > _TOLERANCE:
                raise ForgedError("too old, or from the future")
            if event.get("object") == "v2.core.event":
                return self._of_account(event)
            account = event.get("account") or ""
            event_id, kind, thing = event["id"], event["type"], event["data"]["object"]
            is_ours = bool(_ACCOUNT.fullmatch(account)) and event["livemode"] is self._is_live
            if not is_ours:
                return Notice(str(event_id), [])
            if kind.startswith("account."):
                return Notice(str(event_id), [], [account])
            if kind.startswith("checkout.session."):
                return Notice(str(event_id), [str(thing["id"])])
            intent = (
                thing["id"] if kind.startswith("payment_intent.") else thing.get("payment_intent")
            )
        except (stripe.SignatureVerificationError, AttributeError, KeyError, TypeError) as error:
            raise ForgedError(f"not an event of Stripe ({type(error).__name__})") from None
        except (ValueError, OverflowError, RecursionError) as error:
            raise ForgedError(f"not readable ({type(error).__name__})") from None
        if not isinstance(intent, str):
            return Notice(str(event_id), [])
        with asking():
            sessions = self._bell.v1.checkout.sessions.list(
                {"payment_intent": intent, "limit": 1}, {"stripe_account": account}
            )
            return Notice(str(event_id), [each.id for each in sessions.data])

    def _verify(self, body: bytes, header: str | None) -> None:
        own = (self._own.webhook_secret, self._own.account_webhook_secret)
        secrets = [each.get_secret_value() for each in own if each.get_secret_value()]
        for secret in secrets[:-1]:
            with suppress(stripe.SignatureVerificationError):
                stripe.WebhookSignature.verify_header(body, header, secret)
                return
        stripe.WebhookSignature.verify_header(body, header, secrets[-1])

    def _of_account(self, event: Mapping[str, Any]) -> Notice:
        """Name the account of a thin event, which says no more than that."""
        event_id, thing = str(event["id"]), event.get("related_object") or {}
        account = str(thing.get("id") or "")
        is_ours = bool(_ACCOUNT.fullmatch(account)) and event["livemode"] is self._is_live
        return Notice(event_id, [], [account] if is_ours else [])

    @property
    def _is_live(self) -> bool:
        return "_live_" in self._own.secret_key.get_secret_value()

    def _on(self, payee: Payee) -> RequestOptions:
        return {"stripe_account": payee["account"]}

    def _session(self, payee: Payee, processor_ref: str) -> Session:
        with asking():
            return self._client.v1.checkout.sessions.retrieve(
                processor_ref,
                {"expand": ["payment_intent.latest_charge.balance_transaction"]},
                self._on(payee),
            )

    def _facts(self, payee: Payee, session: Session) -> list[Fact]:
        with asking():
            if session.status == "open":
                return []
            intent = session.payment_intent
            if session.status == "expired":
                return [_fact(FactKind.PAYMENT, session, FactStatus.ABANDONED, payee)]
            if session.status != "complete" or not isinstance(intent, stripe.PaymentIntent):
                return [_fact(FactKind.PAYMENT, session, FactStatus.UNKNOWN, payee)]
            status = INTENTS.get(intent.status, FactStatus.UNKNOWN)
            minor = intent.amount_received if status is FactStatus.DONE else intent.amount
            charge = intent.latest_charge
            paid_at = charge if isinstance(charge, stripe.Charge) else intent
            facts = [
                Fact(
                    FactKind.PAYMENT,
                    intent.id,
                    status,
                    from_stripe(minor, intent.currency),
                    payee["account"],
                    _time(paid_at.created),
                    "" if intent.status in INTENTS else intent.status,
                    _fee(charge),
                    _platform(charge),
                )
            ]
            if status is not FactStatus.DONE:
                return facts
            refunds = self._client.v1.refunds.list(
                {"payment_intent": intent.id, "limit": 100}, self._on(payee)
            )
            returned = self._fees_back(charge, refunds.data)
            for refund in refunds.data:
                word = refund.status or ""
                known = REFUNDS.get(word, FactStatus.UNKNOWN)
                fact = _fact(FactKind.REFUND, refund, known, payee, refund.reason or "")
                facts.append(replace(fact, platform=returned.get(refund.id)))
            disputes = self._client.v1.disputes.list(
                {"payment_intent": intent.id, "limit": 100}, self._on(payee)
            )
            for dispute in disputes.data:
                known = DISPUTES.get(dispute.status, FactStatus.UNKNOWN)
                facts.append(_fact(FactKind.DISPUTE, dispute, known, payee, dispute.reason))
            return facts

    def _fees_back(self, charge: object, refunds: Sequence[stripe.Refund]) -> Mapping[str, Money]:
        """Return what of the platform's fee went back with which refund.

        The fee is the platform's own object, with refunds of its own: one for each refund
        that asked for it, in the same order.
        """
        marked = [each for each in refunds if FEE_BACK in (each.to_dict().get("metadata") or {})]
        fee = charge.application_fee if isinstance(charge, stripe.Charge) else None
        if not marked or not isinstance(fee, str):
            return {}
        returned = self._client.v1.application_fees.refunds.list(fee, {"limit": 100})
        pairs = zip(reversed(marked), reversed(returned.data), strict=False)
        return {refund.id: from_stripe(each.amount, each.currency) for refund, each in pairs}


def _platform(charge: object) -> Money | None:
    """Return what Stripe set aside for the platform, if it says so."""
    if not isinstance(charge, stripe.Charge) or charge.application_fee_amount is None:
        return None
    return from_stripe(charge.application_fee_amount, charge.currency)


def _fact(
    kind: FactKind,
    thing: Session | stripe.Refund | stripe.Dispute,
    status: FactStatus,
    payee: Payee,
    reason: str = "",
) -> Fact:
    amount = None
    if not isinstance(thing, stripe.checkout.Session):
        amount = from_stripe(thing.amount, thing.currency)
    return Fact(kind, thing.id, status, amount, payee["account"], _time(thing.created), reason)


def _fee(charge: object) -> Money | None:
    """Return what Stripe kept, if it says so already; a fee is never worth an error."""
    balance = charge.balance_transaction if isinstance(charge, stripe.Charge) else None
    if not isinstance(balance, stripe.BalanceTransaction):
        return None
    try:
        # The platform's part stands among Stripe's own.
        fees = balance.fee_details or []
        own = sum(each.amount for each in fees if each.type != "application_fee")
        return from_stripe(own if fees else balance.fee, balance.currency)
    except OutcomeUnknownError:
        return None


def _time(seconds: int) -> datetime:
    return datetime.fromtimestamp(seconds, UTC)

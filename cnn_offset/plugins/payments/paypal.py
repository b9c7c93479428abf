"""PayPal: the payer approves an order, we capture it, and the provider is the payee.

Only the capture's status counts; an order is ``COMPLETED`` even while an e-check in it is
still on its way. A webhook is a bell: it names orders, and they are then fetched.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime, timedelta
from typing import ClassVar, Final
from urllib.parse import quote, urlsplit

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
from cnn_offset.plugins.payments.paypal_accounts import (
    FEES,
    GRANTED,
    LANGUAGES,
    inspect_seller,
    refer,
    try_payee,
)
from cnn_offset.plugins.payments.paypal_answers import (
    Dispute,
    Disputes,
    Event,
    Order,
    Resource,
    Verification,
    read,
)
from cnn_offset.plugins.payments.paypal_client import GoneError, PayPalClient
from cnn_offset.plugins.settings import PluginSettings

CURRENCIES: Final = frozenset(
    {"AUD", "CAD", "CHF", "CZK", "DKK", "EUR", "GBP", "HKD", "HUF", "ILS", "JPY"}
    | {"MXN", "NOK", "NZD", "PHP", "PLN", "SEK", "SGD", "THB", "TWD", "USD"}
)
"""What PayPal takes from payers of any country (BRL, CNY and MYR are for residents)."""
WHOLE: Final = frozenset({"HUF", "JPY", "TWD"})
"""Currencies in which PayPal refuses decimals (payments-facts.md 6)."""

CAPTURES: Final[Mapping[str, FactStatus]] = {
    "COMPLETED": FactStatus.DONE,
    "PARTIALLY_REFUNDED": FactStatus.DONE,
    "REFUNDED": FactStatus.DONE,
    "PENDING": FactStatus.PENDING,
    "DECLINED": FactStatus.FAILED,
    "FAILED": FactStatus.FAILED,
}
REFUNDS: Final[Mapping[str, FactStatus]] = {
    "COMPLETED": FactStatus.DONE,
    "PENDING": FactStatus.PENDING,
    "FAILED": FactStatus.FAILED,
    "CANCELLED": FactStatus.ABANDONED,
}
DISPUTES: Final[Mapping[str, FactStatus]] = {
    "OPEN": FactStatus.OPEN,
    "WAITING_FOR_BUYER_RESPONSE": FactStatus.OPEN,
    "WAITING_FOR_SELLER_RESPONSE": FactStatus.OPEN,
    "UNDER_REVIEW": FactStatus.OPEN,
    "RESOLVED_BUYER_FAVOUR": FactStatus.LOST,
    "RESOLVED_WITH_PAYOUT": FactStatus.WON,
    "RESOLVED_SELLER_FAVOUR": FactStatus.WON,
    "CANCELED_BY_BUYER": FactStatus.WON,
    "DENIED": FactStatus.WON,
    "ACCEPTED": FactStatus.LOST,
}
"""By status while open, by outcome once resolved; paid out by PayPal costs the provider nothing."""

_STAYS_OPEN: Final = frozenset(
    {"INSTRUMENT_DECLINED", "ORDER_NOT_APPROVED", "PAYER_ACTION_REQUIRED"}
)
"""The payer may go back to PayPal and choose another source."""
_FAILS: Final = frozenset(
    {
        "COMPLIANCE_VIOLATION",
        "PAYER_ACCOUNT_LOCKED_OR_CLOSED",
        "PAYER_ACCOUNT_RESTRICTED",
        "PAYER_CANNOT_PAY",
        "TRANSACTION_LIMIT_EXCEEDED",
        "TRANSACTION_REFUSED",
    }
)
_ALREADY_DONE: Final = frozenset({"ORDER_ALREADY_CAPTURED", "ORDER_COMPLETED_OR_VOIDED"})

_MERCHANT: Final = re.compile(r"[2-9A-HJ-NP-Z]{13}", re.ASCII)
_BELL_SECONDS: Final = 1.6
"""For each of the three calls (token, verification, capture) that a webhook may need within
the five seconds it has."""
_OLDEST: Final = timedelta(days=4)
"""PayPal repeats a delivery for three days."""
_AHEAD: Final = timedelta(minutes=10)


class PayPalSettings(PluginSettings):
    """Settings of PayPal."""

    base_url: str = "https://api-m.paypal.com"
    client_id: str
    client_secret: SecretStr
    webhook_id: str
    """PayPal's name for our webhook; its signatures cover it."""
    partner_id: str = ""
    """Our own merchant id as PayPal's partner: providers then connect their accounts on
    PayPal's page. Empty without such a contract: providers type their merchant id."""
    partner_attribution_id: str = ""
    take_fees: bool = False
    """Ask providers on PayPal's page for the permission to set aside the platform's fee;
    needs ``partner_id`` and PayPal's approval. Fees it cannot take are billed."""
    read_disputes: bool = False
    """Needs PayPal's permission for its disputes API; without it, every fetch would fail."""
    timeout_seconds: float = Field(default=10, gt=0, le=20)


class PayPal(ProcessorPlugin):
    """PayPal Orders v2, intent CAPTURE, paid to the provider's merchant id.

    PayPal keeps request ids of orders for six hours, so ``start`` may be repeated with the
    same key for that long; afterwards the core has the order's id and does not.
    """

    id = "paypal"
    title = N_("PayPal or card")
    hint = N_("With your PayPal account, or with a card and no account.")
    account_fields = (AccountField("merchant_id", N_("PayPal merchant ID")),)
    Settings = PayPalSettings
    slowest = timedelta(days=10)
    """An e-check."""
    due_within = timedelta(days=1)
    has_webhook: ClassVar[bool] = True

    def __init__(self, settings: PayPalSettings) -> None:
        super().__init__(settings)
        self._own = settings
        self._client = self._connect(settings.timeout_seconds)
        self._bell = self._connect(min(settings.timeout_seconds, _BELL_SECONDS))

    def _connect(self, timeout: float) -> PayPalClient:
        return PayPalClient(
            base_url=self._own.base_url,
            client_id=self._own.client_id,
            secret=self._own.client_secret.get_secret_value(),
            partner=self._own.partner_attribution_id,
            timeout=timeout,
        )

    def supports(self, amount: Money) -> bool:
        """Whether PayPal has the currency, and decimals enough for the amount."""
        return (
            amount.minor > 0
            and amount.currency in CURRENCIES
            and (amount.currency not in WHOLE or amount.amount == int(amount.amount))
        )

    def takes_fee(self, fee: Money, payee: Payee) -> bool:
        """Only as a partner, from a provider that has permitted it on PayPal's page."""
        return self._fees and payee.get(FEES) == GRANTED and self.supports(fee)

    @property
    def _fees(self) -> bool:
        return self._own.take_fees and self.connects

    def form_targets(self) -> Sequence[str]:
        """PayPal's pages are on ``www`` where its API is on ``api-m``; elsewhere on one host."""
        parts = urlsplit(self._own.base_url)
        host = parts.netloc
        if host.endswith(".paypal.com"):
            host = host.replace("api-m.", "www.", 1)
        return [f"{parts.scheme}://{host}"]

    def check_account(self, payee: Payee) -> Sequence[str]:
        """Say whether the merchant id has PayPal's form."""
        if _MERCHANT.fullmatch(payee.get("merchant_id", "")):
            return []
        return [N_("A PayPal merchant ID has 13 capital letters and digits.")]

    def payee_account(self, payee: Payee) -> str:
        """Name the account by its merchant id."""
        return payee.get("merchant_id", "")

    @property
    def connects(self) -> bool:
        """Only PayPal's partners can have accounts connected."""
        return bool(self._own.partner_id)

    def connect(self, request: ConnectRequest) -> Connection:
        """Ask for a page of PayPal's where the provider agrees to be paid through us."""
        if not self.connects:
            raise UnsupportedError("only PayPal's partners can have accounts connected")
        return refer(
            self._client, request, disputes=self._own.read_disputes, fees=self._own.take_fees
        )

    def inspect(self, account: Payee, onboarding_ref: str, *, key: str) -> AccountReport:
        """Look up a connected account; try one whose merchant id was typed."""
        if onboarding_ref and self.connects:
            return inspect_seller(
                self._client,
                account,
                onboarding_ref,
                partner_id=self._own.partner_id,
                client_id=self._own.client_id,
                fees=self._own.take_fees,
            )
        if wrong := self.check_account(account):
            return AccountReport(PayoutStatus.LIMITED, wrong)
        return try_payee(self._client, account, key=key)

    def start(self, request: PaymentRequest) -> Redirect:
        """Create the order, or find it again by our key.

        Raises:
            PayeeNotReadyError, UnsupportedError: see the base.
            RefusedError: PayPal says no for another reason.

        """
        if not self.supports(request.amount):
            raise UnsupportedError(f"PayPal cannot take {request.amount}")
        if self.check_account(request.payee):
            raise PayeeNotReadyError("the provider's merchant id is missing or malformed")
        self.check_fee(request)
        unit: dict[str, object] = {
            "reference_id": request.order_code,
            "custom_id": request.key,
            # Unique to the attempt: PayPal refuses a second capture for one invoice.
            "invoice_id": f"{request.order_code}-{request.key}",
            "description": request.description[:127],
            "amount": _written(request.amount),
            "payee": {"merchant_id": request.payee["merchant_id"]},
        }
        if request.fee is not None:
            unit["payment_instruction"] = _platform_fees(request.fee)
        experience = {
            "locale": LANGUAGES.get(request.locale, "en-GB"),
            "shipping_preference": "NO_SHIPPING",
            "user_action": "PAY_NOW",
            "return_url": request.return_url,
            "cancel_url": request.return_url,
        }
        body = {
            "intent": "CAPTURE",
            "purchase_units": [unit],
            "payment_source": {"paypal": {"experience_context": experience}},
        }
        order = read(Order, self._client.create_order(body, request_id=request.key))
        for link in order.links:
            if link.rel in {"payer-action", "approve"} and urlsplit(link.href).scheme in {
                "http",
                "https",
            }:
                return Redirect(order.id, link.href)
        raise OutcomeUnknownError("PayPal gave no address to send the payer to")

    def fetch(
        self, payee: Payee, processor_ref: str, *, key: str, may_capture: bool
    ) -> Sequence[Fact]:
        """Read the order, and capture it if the payer has approved and we may.

        An order that nobody has paid yet yields no fact: it is no news.

        Raises:
            PayeeNotReadyError: the money was approved, but the provider cannot take it.
            RefusedError: not our order, or PayPal will not capture for another reason.

        """
        order = self._order(processor_ref, key)
        if order.status != "APPROVED" or not may_capture:
            return self._facts(order)
        try:
            self._client.capture_order(order.id, request_id=f"{key}-capture")
        except RefusedError as error:
            if error.code in _FAILS:
                at = order.update_time or order.create_time
                if at is None:
                    raise
                return [
                    Fact(FactKind.PAYMENT, order.id, FactStatus.FAILED, None, None, at, error.code)
                ]
            if error.code not in _STAYS_OPEN | _ALREADY_DONE:
                raise
        return self._facts(self._order(processor_ref, key))

    def abandon(self, payee: Payee, processor_ref: str, *, key: str) -> Sequence[Fact]:
        """Look once more; an order not captured by now never will be.

        PayPal has no call that voids such an order, and needs none: nothing can be taken
        but by our own ``capture``, which the core no longer allows. PayPal forgets orders
        that nobody captured; that too means that no money came.
        """
        try:
            order = self._order(processor_ref, key)
        except GoneError as gone:
            return [_nothing_came(processor_ref, gone.at, gone.code)]
        at = order.update_time or order.create_time
        if not order.captures and order.status != "COMPLETED" and at is not None:
            return [_nothing_came(order.id, at, "")]
        return self._facts(order)

    def refund(
        self,
        payee: Payee,
        processor_ref: str,
        amount: Money,
        *,
        key: str,
        fee: Money | None = None,
    ) -> Sequence[Fact]:
        """Give back ``amount``, once for each ``key``; the refund carries the key as custom id.

        Raises:
            RefusedError: nothing captured, an e-check still pending, too late, or more
                than is left.

        """
        order = read(Order, self._client.get_order(processor_ref))
        refunds = [each for unit in order.purchase_units for each in unit.payments.refunds]
        if not any(each.custom_id == key for each in refunds):
            capture = next(
                (each for each in order.captures if CAPTURES.get(each.status) is FactStatus.DONE),
                None,
            )
            if capture is None:
                raise RefusedError("PayPal has taken no money to give back", code="NO_CAPTURE")
            body: dict[str, object] = {"amount": _written(amount), "custom_id": key}
            if fee is not None:
                body["payment_instruction"] = _platform_fees(fee)
            self._client.refund(capture.id, body, request_id=f"{key}-refund")
            order = read(Order, self._client.get_order(processor_ref))
        return self._facts(order)

    def read_webhook(self, delivery: Delivery) -> Notice:
        """Have PayPal itself confirm the delivery, then name the orders it is about.

        PayPal's signature covers only a CRC-32 of the body, which can be forged
        (payments-facts.md 1.7), and checking it here needs its certificates; its own
        verification compares the whole event. The event id is the signed transmission id.

        Raises:
            ForgedError: see the base.
            UnavailableError, OutcomeUnknownError: PayPal could not be asked; it will
                deliver again.

        """
        signed = {
            name: delivery.headers.get(f"paypal-{name.replace('_', '-')}", "")
            for name in (
                "auth_algo",
                "cert_url",
                "transmission_id",
                "transmission_sig",
                "transmission_time",
            )
        }
        if not all(signed.values()):
            raise ForgedError("no PayPal signature")
        try:
            sent = datetime.fromisoformat(signed["transmission_time"])
            text = delivery.body.decode()
            event = Event.model_validate(json.loads(text))
        except (ValueError, RecursionError) as error:
            raise ForgedError(f"not a PayPal event ({type(error).__name__})") from None
        if sent.tzinfo is None or not (
            delivery.received_at - _OLDEST <= sent <= delivery.received_at + _AHEAD
        ):
            raise ForgedError("too old, or from the future")
        # The event goes in to the letter: written anew it would not be what was signed.
        question = json.dumps(signed | {"webhook_id": self._own.webhook_id})
        answer = self._bell.post(
            "/v1/notifications/verify-webhook-signature",
            f'{question[:-1]}, "webhook_event": {text}}}',
        )
        if read(Verification, answer).verification_status != "SUCCESS":
            raise ForgedError("PayPal did not send this")
        if event.event_type.startswith("MERCHANT."):
            accounts = [event.resource.tracking_id, event.resource.merchant_id]
            return Notice(signed["transmission_id"], [], [each for each in accounts if each])
        return Notice(signed["transmission_id"], list(self._orders_of(event)))

    def _orders_of(self, event: Event) -> Iterator[str]:
        resource = event.resource
        if event.event_type.startswith("CHECKOUT.ORDER."):
            yield resource.id
        elif resource.supplementary_data.related_ids.order_id:
            yield resource.supplementary_data.related_ids.order_id
        else:
            # A refund links to its capture, a dispute names it; a capture knows its order.
            captures = [each.seller_transaction_id for each in resource.disputed_transactions]
            captures += [
                urlsplit(each.href).path.rpartition("/")[2]
                for each in resource.links
                if each.rel == "up" and "/captures/" in each.href
            ]
            for capture in [each for each in captures if each][:1]:
                found = read(Resource, self._bell.get_capture(capture))
                if found.supplementary_data.related_ids.order_id:
                    yield found.supplementary_data.related_ids.order_id

    def _order(self, processor_ref: str, key: str) -> Order:
        order = read(Order, self._client.get_order(processor_ref))
        if any(unit.custom_id != key for unit in order.purchase_units):
            raise RefusedError(f"PayPal's order {processor_ref} is not ours", code="OTHER_KEY")
        return order

    def _facts(self, order: Order) -> list[Fact]:
        facts = []
        for unit in order.purchase_units:
            # For both kinds the payee is who PayPal says was paid, not whom we named.
            for kind, table, movements in (
                (FactKind.PAYMENT, CAPTURES, unit.payments.captures),
                (FactKind.REFUND, REFUNDS, unit.payments.refunds),
            ):
                facts += [
                    Fact(
                        kind,
                        each.id,
                        table.get(each.status, FactStatus.UNKNOWN),
                        each.amount.money,
                        unit.payee.merchant_id or None,
                        each.at,
                        each.status_details.reason or ("" if each.status in table else each.status),
                        each.fee if kind is FactKind.PAYMENT else None,
                        each.platform,
                    )
                    for each in movements
                ]
            if self._own.read_disputes:
                for capture in unit.payments.captures:
                    facts += self._disputes(capture.id, unit.payee.merchant_id or None)
        at = order.update_time or order.create_time
        if not facts and order.status == "VOIDED" and at is not None:
            return [_nothing_came(order.id, at, "VOIDED")]
        return facts

    def _disputes(self, capture_id: str, payee: str | None) -> Iterator[Fact]:
        listed = self._client.get("/v1/customer/disputes", {"disputed_transaction_id": capture_id})
        for name in read(Disputes, listed).items:
            each = read(
                Dispute,
                self._client.get(f"/v1/customer/disputes/{quote(name.dispute_id, safe='')}"),
            )
            word = each.dispute_outcome.outcome_code if each.status == "RESOLVED" else each.status
            yield Fact(
                FactKind.DISPUTE,
                each.dispute_id,
                DISPUTES.get(word, FactStatus.UNKNOWN),
                each.dispute_amount.money if each.dispute_amount else None,
                payee,
                each.update_time or each.create_time,
                each.reason,
            )


def _nothing_came(order_id: str, at: datetime, reason: str) -> Fact:
    return Fact(FactKind.PAYMENT, order_id, FactStatus.ABANDONED, None, None, at, reason)


def _platform_fees(fee: Money) -> dict[str, object]:
    return {"platform_fees": [{"amount": _written(fee)}]}


def _written(amount: Money) -> dict[str, str]:
    value = str(int(amount.amount)) if amount.currency in WHOLE else f"{amount.amount:f}"
    return {"currency_code": amount.currency, "value": value}

"""The worlds in which the three built-in payment plug-ins keep their contract."""

from __future__ import annotations

import queue
import threading
import uuid
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from decimal import Decimal
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import requests

from cnn_offset.domain.money import Money
from cnn_offset.domain.payment import Fact
from cnn_offset.plugins.payments.bank_transfer import BankTransfer, BankTransferSettings
from cnn_offset.plugins.payments.base import (
    Connection,
    ConnectRequest,
    Delivery,
    Payee,
    PaymentRequest,
    Redirect,
)
from cnn_offset.plugins.payments.paypal import PayPal
from cnn_offset.plugins.payments.stripe_connect import StripeConnect
from cnn_offset.testing.payment_accounts import OnboardingWorld, Step
from cnn_offset.testing.payments import Act, Books, Misdeed, ProcessorWorld, StatementWorld
from tests.statements import Line, camt053


class SandboxProcessorWorld(ProcessorWorld):
    """A processor of the sandbox, spoken to over HTTP; webhooks come to a real listener."""

    kind: type[PayPal | StripeConnect]
    name: str
    backstage: str
    payee_field: str
    choices: dict[Act, str]

    def __init__(self, url: str, free_port: int, deliveries: queue.Queue[Delivery]) -> None:
        self._url, self._free_port, self._deliveries = url, free_port, deliveries
        self.plugin = self.made(f"{url}/{self.name}")

    def settings(self) -> dict[str, Any]:
        raise NotImplementedError

    def made(self, base_url: str, kind: type | None = None) -> Any:
        """Make the plug-in, or a variant of it."""
        made = kind or self.kind
        return made(made.Settings.model_validate(self.settings() | {"base_url": base_url}))

    def act(self, act: Act, redirect: Redirect) -> None:
        at_page = act in {Act.PAY, Act.PAY_SLOWLY, Act.DECLINE}
        ref = redirect.processor_ref
        url = redirect.url if at_page else f"{self._url}/{self.name}/{self.backstage}/{ref}"
        choice = self.choices.get(act, act.value)
        answer = requests.post(url, {"choice": choice}, allow_redirects=False, timeout=10)
        assert answer.status_code == 303, answer.text

    def prepare(self, misdeed: Misdeed, *, reading: bool = False) -> None:
        # Only calls about payments: PayPal's token is another matter.
        path = {"paypal": "/paypal/v2", "stripe": "/stripe/v1"}[self.name]
        self.misdo(misdeed, f"{'GET' if reading else 'POST'} {path}")

    def misdo(self, misdeed: Misdeed, only: str) -> None:
        """Have one call of those done wrong."""
        kind = "timeout_after" if misdeed is Misdeed.DROPPED else misdeed.value
        if misdeed is Misdeed.NONSENSE:
            kind = "garbage"
        fault = {"target": self.name, "kind": kind, "count": 1, "milliseconds": 0, "only": only}
        requests.post(f"{self._url}/faults", json=fault, timeout=10).raise_for_status()

    def restrict(self) -> None:
        account = self.payee[self.payee_field]
        issue = {"issue": "PAYEE_ACCOUNT_RESTRICTED"}
        requests.post(f"{self._url}/{self.name}/payees/{account}", issue, timeout=10)

    def books(self, key: str) -> Books:
        rows = requests.get(f"{self._url}/{self.name}/audit", timeout=10).json()["payments"]
        rows = [each for each in rows if each["key"] == key]
        currency = self.amount.currency
        assert {each["currency"] for each in rows} <= {currency}
        return Books(
            opened=len(rows),
            payees=frozenset(each["payee"] for each in rows),
            taken=_money((each["captured"] for each in rows), currency),
            refunded=_money((each["refunded"] for each in rows), currency),
            platform=_money((each["platform"] for each in rows), currency),
        )

    def unreachable(self) -> Any:
        return self.made(f"http://127.0.0.1:{self._free_port}/{self.name}")

    def next_delivery(self) -> Delivery:
        return self._deliveries.get(timeout=10)


class PayPalWorld(SandboxProcessorWorld):
    kind, name, backstage, payee_field = PayPal, "paypal", "orders", "merchant_id"
    payee, other_payee = {"merchant_id": "ABCDEFGHJKLM2"}, {"merchant_id": "ZYXWVTSRQPNM9"}
    bad_payees = ({"merchant_id": "abcdefghjklm2"}, {"merchant_id": "ABC"})
    amount = Money(1250, "EUR")
    unsupported = (Money(10050, "HUF"), Money(100, "TND"), Money(100, "BRL"))
    secret = "sandbox-secret"
    choices = {
        Act.PAY: "paypal",
        Act.PAY_SLOWLY: "echeck",
        Act.DECLINE: "declined",
        Act.SPEAK_STRANGELY: "strange",
    }

    def settings(self) -> dict[str, Any]:
        return {
            "client_id": "sandbox-client",
            "client_secret": self.secret,
            "webhook_id": "WH-SANDBOX",
            "read_disputes": True,
        }


class StripeWorld(SandboxProcessorWorld):
    kind, name, backstage, payee_field = StripeConnect, "stripe", "sessions", "account"
    payee, other_payee = {"account": "acct_1Provider"}, {"account": "acct_2Other"}
    bad_payees = ({"account": "1Provider"}, {"account": "acct_"}, {"account": "acct_1/../x"})
    amount = Money(1250, "EUR")
    unsupported = (Money(1001, "BHD"), Money(150, "MGA"), Money(100_000_000, "EUR"))
    secret = "sk_test_51SandboxSecret"
    takes_itself = True
    fee = Money(60, "EUR")
    choices = {
        Act.PAY: "card",
        Act.PAY_SLOWLY: "debit",
        Act.DECLINE: "declined",
        Act.SPEAK_STRANGELY: "strange",
    }

    def settings(self) -> dict[str, Any]:
        return {"secret_key": self.secret, "webhook_secret": "whsec_sandbox"}


class PayPalPartnerWorld(PayPalWorld, OnboardingWorld):
    """PayPal with a partner's contract: providers agree on its page, also to a fee."""

    fee = Money(60, "EUR")

    def settings(self) -> dict[str, Any]:
        return super().settings() | {"partner_id": "SANDBX2PARTNR", "take_fees": True}

    def fee_payee(self) -> Payee:
        """A provider that has agreed, with all that was asked, on PayPal's page."""
        request = ConnectRequest(
            key=f"o-{uuid.uuid4().hex}",
            onboarding_ref="",
            name="Example Wind",
            country="KE",
            email="wind@example.org",
            locale="en",
            return_url="https://shop.example/back",
            refresh_url="https://shop.example/again",
        )
        connection = self.plugin.connect(request)
        self.go(Step.FINISH, connection, {})
        self.next_delivery()
        key = f"t-{uuid.uuid4().hex}"
        return self.plugin.inspect({}, connection.onboarding_ref, key=key).account

    def pay_request(self, payee: Payee) -> PaymentRequest:
        return self.request(payee=payee)

    def prepare(self, misdeed: Misdeed, *, reading: bool = False) -> None:
        self.misdo(misdeed, "GET /paypal/v1/customer" if reading else "POST /paypal/v2/customer")

    def go(self, step: Step, connection: Connection, account: Payee) -> None:
        at_page = {Step.FINISH: "agree", Step.LEAVE: "later", Step.FAIL: "unconfirmed"}
        url = connection.url
        if step not in at_page:
            url = f"{self._url}/paypal/sellers/{account['merchant_id']}"
        choice = {"choice": at_page.get(step, step.value)}
        answer = requests.post(url, choice, allow_redirects=False, timeout=10)
        assert answer.status_code == 303, answer.text

    def accounts(self) -> int:
        return requests.get(f"{self._url}/paypal/sellers", timeout=10).text.count("<li>")

    def next_account_delivery(self) -> Delivery | None:
        return self.next_delivery()


class StripeAccountWorld(StripeWorld, OnboardingWorld):
    """Stripe's Accounts v2."""

    def pay_request(self, payee: Payee) -> PaymentRequest:
        return self.request(payee=payee)

    def prepare(self, misdeed: Misdeed, *, reading: bool = False) -> None:
        self.misdo(misdeed, "GET /stripe/v2" if reading else "POST /stripe/v2/core/accounts")

    def go(self, step: Step, connection: Connection, account: Payee) -> None:
        at_page = {Step.FINISH: "done", Step.LEAVE: "leave", Step.FAIL: "fail"}
        later = {Step.RESTRICT: "restricted", Step.RESTORE: "active", Step.REVOKE: "revoked"}
        url = connection.url
        if step in later:
            url = f"{self._url}/stripe/accounts/{account['account']}"
        choice = {"choice": (at_page | later)[step]}
        answer = requests.post(url, choice, allow_redirects=False, timeout=10)
        assert answer.status_code == 303, answer.text

    def accounts(self) -> int:
        return requests.get(f"{self._url}/stripe/accounts", timeout=10).text.count("<li>")

    def next_account_delivery(self) -> Delivery | None:
        return self.next_delivery()


class BankWorld(StatementWorld):
    payee = {
        "holder": "Fundação Rio Verde",
        "account": "DE89 3704 0044 0532 0130 00",
        "bic": "COBADEFFXXX",
        "bank_name": "Commerzbank",
        "bank_address": "Köln",
        "currency": "EUR",
    }
    other_payee = {
        "holder": "Kenya Cookstoves Ltd",
        "account": "0112 3456 7890",
        "bic": "KCBLKENX",
        "bank_name": "KCB",
    }
    bad_payees = (
        payee | {"account": "DE89 3704 0044 0532 0130 01"},
        payee | {"bic": "COBADEFFXX"},
        payee | {"holder": " "},
        payee | {"currency": "EURO"},
        payee | {"account": "no number at all, really"},
        {name: value for name, value in other_payee.items() if name != "bic"},
    )
    amount = Money(1250, "EUR")

    def __init__(self) -> None:
        self.plugin = BankTransfer(BankTransferSettings())

    def statement(self, amounts: Sequence[Money], *, lost: int = 0) -> bytes:
        lines = [Line(f"{each.amount:f}", "x", f"T-{n}") for n, each in enumerate(amounts)]
        whole = camt053(lines, currency=self.amount.currency)
        for _ in range(lost):
            head, _, tail = whole.rpartition(b"<Ntry>")
            whole = head + tail.partition(b"</Ntry>")[2]
        return whole


@contextmanager
def listener() -> Iterator[tuple[str, queue.Queue[Delivery]]]:
    """Listen for webhooks; gives the address and what came."""
    came: queue.Queue[Delivery] = queue.Queue()

    class Ear(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            headers = {name.lower(): value for name, value in self.headers.items()}
            came.put(Delivery(headers, body, datetime.now(UTC)))
            self.send_response(204)
            self.end_headers()

        def log_message(self, *_: object) -> None:
            """Say nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Ear)
    thread = threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}/hooks", came
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


@contextmanager
def processor_world(
    kind: type[SandboxProcessorWorld], url: str, free_port: int
) -> Iterator[SandboxProcessorWorld]:
    """Make a world whose webhooks arrive."""
    with listener() as (address, deliveries):
        told = requests.post(f"{url}/control/webhooks", json={kind.name: address}, timeout=10)
        told.raise_for_status()
        yield kind(url, free_port, deliveries)


def start(world: ProcessorWorld, **changes: Any) -> tuple[PaymentRequest, Redirect]:
    """Start a payment."""
    request = world.request(**changes)
    redirect = world.plugin.start(request)
    assert isinstance(redirect, Redirect)
    return request, redirect


def fetch(world: ProcessorWorld, request: PaymentRequest, ref: str) -> Sequence[Fact]:
    """Ask how it stands, and take the money if it can be taken."""
    return world.plugin.fetch(request.payee, ref, key=request.key, may_capture=True)


def _money(texts: Iterator[str], currency: str) -> Money:
    return Money.parse(f"{sum(map(Decimal, texts), Decimal()):f}", currency)

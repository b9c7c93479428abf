"""A mobile money processor in memory: its API, its page, its books, and levers."""

from __future__ import annotations

import socket
import threading
from collections.abc import Iterable
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import requests
from flask import Flask, redirect, request
from payment_mobile import MobileMoney, MobileSettings

from cnn_offset.domain.money import Money
from cnn_offset.plugins.payments.base import Delivery, Redirect
from cnn_offset.testing.payments import Act, Books, Misdeed, ProcessorWorld

API_KEY = "mobile-key-for-tests"
BUTTONS = {"pay": "paid", "pay_slowly": "clearing", "decline": "waiting"}
"""What a payment is after the payer has pressed one of them."""
BEHIND = {"clear": "paid", "bounce": "failed", "speak_strangely": "levitating"}


class Processor:
    """A WSGI application."""

    def __init__(self) -> None:
        self.payments: dict[str, dict[str, Any]] = {}
        self.misdeeds: list[tuple[Misdeed, bool]] = []
        self.restricted: set[str] = set()
        self.lock = threading.Lock()
        self.api = Flask("processor")
        for rule, view, method in (
            ("/payments/<key>", self.open, "PUT"),
            ("/payments/<key>", self.show, "GET"),
            ("/payments/<key>/close", self.close, "POST"),
            ("/payments/<key>/refunds/<name>", self.refund, "PUT"),
            ("/pay/<key>", self.page, "GET"),
            ("/pay/<key>", self.press, "POST"),
        ):
            self.api.add_url_rule(rule, view.__name__, view, methods=[method])

    def __call__(self, environ: Any, start_response: Any) -> Iterable[bytes]:
        misdeed = None
        if environ["PATH_INFO"].startswith("/payments/") and self.misdeeds:
            wanted, reading = self.misdeeds[-1]
            if reading is (environ["REQUEST_METHOD"] == "GET"):
                misdeed = wanted
                self.misdeeds.pop()
        if misdeed is None:
            return self.api(environ, start_response)
        if misdeed is not Misdeed.ERROR_BEFORE:
            list(self.api(environ, lambda *_: None))
        if misdeed is Misdeed.DROPPED:
            environ["werkzeug.socket"].shutdown(socket.SHUT_RDWR)
            raise ConnectionError("hung up")
        status = "200 OK" if misdeed is Misdeed.NONSENSE else "500 Internal Server Error"
        start_response(status, [("Content-Type", "text/html")])
        return [b"<p>All is well.</p>"]

    def open(self, key: str) -> Any:
        wish = request.get_json()
        if request.headers.get("X-Api-Key") != API_KEY:
            return {}, 401
        if wish["to"] in self.restricted:
            return {}, 403
        with self.lock:
            self.payments.setdefault(
                key,
                {
                    "id": key,
                    "status": "waiting",
                    "amount": wish["amount"],
                    "currency": wish["currency"],
                    "payee": wish["to"],
                    "page": f"{request.host_url}pay/{key}",
                    "back": wish["back"],
                    "refunds": [],
                    "complaints": [],
                    "at": datetime.now(UTC).isoformat(),
                },
            )
        return self.payments[key]

    def show(self, key: str) -> Any:
        return self.payments[key]

    def close(self, key: str) -> Any:
        with self.lock:
            if self.payments[key]["status"] == "waiting":
                self.payments[key]["status"] = "closed"
        return self.payments[key]

    def refund(self, key: str, name: str) -> Any:
        payment, wish = self.payments[key], request.get_json()
        with self.lock:
            if all(each["id"] != name for each in payment["refunds"]):
                back = sum(Decimal(each["amount"]) for each in payment["refunds"])
                if back + Decimal(wish["amount"]) > Decimal(payment["amount"]):
                    return {}, 422
                payment["refunds"].append(part(payment, name, "paid", wish["amount"]))
        return payment

    def page(self, key: str) -> str:
        buttons = "".join(f"<button name=choice value={each}>{each}</button>" for each in BUTTONS)
        return f"<title>Mobile money</title><form method=post>{buttons}</form>"

    def press(self, key: str) -> Any:
        payment = self.payments[key]
        with self.lock:
            if payment["status"] == "waiting":
                payment["status"] = BUTTONS[request.form["choice"]]
        return redirect(payment["back"], 303)


def part(payment: dict[str, Any], name: str, status: str, amount: str) -> dict[str, Any]:
    """Make a refund or a complaint."""
    now = datetime.now(UTC).isoformat()
    kept = {"id": name, "status": status, "amount": amount, "at": now}
    return kept | {"currency": payment["currency"]}


class MobileWorld(ProcessorWorld):
    """The plug-in, and the levers of its contract."""

    payee, other_payee = {"number": "+254700000001"}, {"number": "+33600000002"}
    bad_payees = ({"number": "0700000001"}, {"number": "+1"})
    amount = Money(1250, "EUR")
    unsupported = (Money(1250, "JPY"), Money(1250, "BHD"))
    secret = API_KEY
    takes_itself = True

    def __init__(self, processor: Processor, url: str) -> None:
        self.processor = processor
        self.plugin = self.made(url)

    def made(self, url: str) -> MobileMoney:
        return MobileMoney(MobileSettings.model_validate({"base_url": url, "api_key": API_KEY}))

    def unreachable(self) -> MobileMoney:
        return self.made("http://127.0.0.1:1")

    def act(self, act: Act, redirect: Redirect) -> None:
        payment = self.processor.payments[redirect.processor_ref]
        if act.value in BUTTONS:
            choice = {"choice": act.value}
            requests.post(redirect.url, choice, allow_redirects=False, timeout=10)
        elif act is Act.REFUND:
            payment["refunds"].append(part(payment, "back", "paid", payment["amount"]))
        elif act is Act.DISPUTE:
            payment["complaints"].append(part(payment, "why", "waiting", payment["amount"]))
        else:
            payment["status"] = BEHIND[act.value]

    def prepare(self, misdeed: Misdeed, *, reading: bool = False) -> None:
        self.processor.misdeeds.append((misdeed, reading))

    def restrict(self) -> None:
        self.processor.restricted.add(self.payee["number"])

    def books(self, key: str) -> Books:
        found = self.processor.payments.get(key)
        currency = self.amount.currency
        if found is None:
            return Books(0, frozenset(), Money(0, currency), Money(0, currency))
        came = Money.parse(found["amount"], currency) * int(found["status"] == "paid")
        back = sum(Money.parse(each["amount"], currency).minor for each in found["refunds"])
        return Books(1, frozenset({found["payee"]}), came, Money(back, currency))

    def next_delivery(self) -> Delivery:
        raise NotImplementedError("it has no webhook")

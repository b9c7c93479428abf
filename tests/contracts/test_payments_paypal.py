"""PayPal: the traps of its SDK and its API."""

from __future__ import annotations

import dataclasses
import io
import json
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest
import requests
from pydantic import SecretStr

from cnn_offset.domain.payment import FactStatus, derive
from cnn_offset.domain.status import PaymentStatus
from cnn_offset.plugins.errors import (
    ForgedError,
    OutcomeUnknownError,
    PayeeNotReadyError,
    RefusedError,
    UnavailableError,
)
from cnn_offset.plugins.payments import paypal
from cnn_offset.plugins.payments.paypal import PayPal
from cnn_offset.testing.payments import Act

from .payment_worlds import (
    PayPalWorld,
    SandboxProcessorWorld,
    fetch,
    processor_world,
    start,
)


@pytest.fixture
def paypal_world(sandbox: Any, free_port: int) -> Iterator[SandboxProcessorWorld]:
    with processor_world(PayPalWorld, sandbox.url, free_port) as world:
        yield world


def test_paypal_capture_after_a_restriction_says_whose_matter_it_is(
    paypal_world: SandboxProcessorWorld,
) -> None:
    request, redirect = start(paypal_world)
    paypal_world.act(Act.PAY, redirect)
    paypal_world.restrict()
    with pytest.raises(PayeeNotReadyError) as caught:
        fetch(paypal_world, request, redirect.processor_ref)
    assert caught.value.code == "PAYEE_ACCOUNT_RESTRICTED"


def test_paypal_refuses_a_payer(paypal_world: SandboxProcessorWorld) -> None:
    request, redirect = start(paypal_world)
    requests.post(redirect.url, {"choice": "refused"}, allow_redirects=False, timeout=10)
    facts = fetch(paypal_world, request, redirect.processor_ref)
    assert derive(facts) is PaymentStatus.FAILED
    assert facts == fetch(paypal_world, request, redirect.processor_ref)
    assert paypal_world.books(request.key).taken.minor == 0


def test_paypal_takes_cards_without_an_account(paypal_world: SandboxProcessorWorld) -> None:
    request, redirect = start(paypal_world)
    page = requests.get(redirect.url, timeout=10).text
    assert "without an account" in page
    assert "SANDBOX" in page
    requests.post(redirect.url, {"choice": "card"}, allow_redirects=False, timeout=10)
    assert derive(fetch(paypal_world, request, redirect.processor_ref)) is PaymentStatus.SUCCEEDED


def test_paypal_echeck_cannot_be_refunded_yet(paypal_world: SandboxProcessorWorld) -> None:
    request, redirect = start(paypal_world)
    paypal_world.act(Act.PAY_SLOWLY, redirect)
    fetch(paypal_world, request, redirect.processor_ref)
    with pytest.raises(RefusedError) as caught:
        paypal_world.plugin.refund(
            request.payee, redirect.processor_ref, request.amount, key="refund-1"
        )
    assert caught.value.code == "NO_CAPTURE"


def test_paypal_that_forgot_an_unpaid_order_has_it_abandoned(
    paypal_world: SandboxProcessorWorld,
) -> None:
    facts = paypal_world.plugin.abandon(paypal_world.payee, "FORGOTTEN", key="k")
    assert derive(facts) is PaymentStatus.ABANDONED


def test_paypal_asks_for_one_token(sandbox: Any, paypal_world: SandboxProcessorWorld) -> None:
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda _: start(paypal_world), range(8)))
    state = sandbox.app.extensions["sandbox.state"]
    assert len(state.all("paypal/token")) == 1


def test_paypal_token_that_is_not_taken_any_more_is_thrown_away(
    sandbox: Any, paypal_world: SandboxProcessorWorld
) -> None:
    start(paypal_world)
    sandbox.app.extensions["sandbox.state"].delete("paypal/token")
    with pytest.raises(UnavailableError):
        start(paypal_world)
    start(paypal_world)


def test_paypal_wrong_secret_is_refused_without_telling_it(
    paypal_world: SandboxProcessorWorld,
) -> None:
    settings = paypal_world.plugin.settings.model_copy(
        update={"client_secret": SecretStr("wrong-secret")}
    )
    with pytest.raises(RefusedError) as caught:
        PayPal(settings).start(paypal_world.request())
    assert caught.value.code == "invalid_client"
    assert "wrong-secret" not in str(caught.value)


def test_paypal_redirects_are_not_followed(paypal_world: SandboxProcessorWorld) -> None:
    """A POST that is sent on could be done twice."""
    asked = []

    class Elsewhere(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            self.rfile.read(int(self.headers["Content-Length"]))
            asked.append(self.path)
            is_token = self.path.endswith("token")
            body = b'{"access_token": "x", "token_type": "Bearer", "expires_in": 900}'
            self.send_response(200 if is_token else 307)
            self.send_header("Location", "/elsewhere")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: object) -> None:
            """Say nothing."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Elsewhere) as server:
        threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
        plugin = paypal_world.made(f"http://127.0.0.1:{server.server_port}")
        with pytest.raises(OutcomeUnknownError):
            plugin.start(paypal_world.request())
        server.shutdown()
    assert asked == ["/v1/oauth2/token", "/v2/checkout/orders"]


def test_paypal_sends_what_was_agreed(sandbox: Any, paypal_world: SandboxProcessorWorld) -> None:
    request, redirect = start(paypal_world)
    state = sandbox.app.extensions["sandbox.state"]
    stored = state.get("paypal/order", redirect.processor_ref)
    unit = stored["order"]["purchase_units"][0]
    assert unit["custom_id"] == request.key
    assert request.order_code in unit["invoice_id"]
    assert request.key in unit["invoice_id"]
    assert unit["description"] == request.description
    assert stored["context"]["shipping_preference"] == "NO_SHIPPING"
    assert stored["context"]["user_action"] == "PAY_NOW"
    assert stored["context"]["locale"] == "fr-FR"
    assert state.get("paypal/request", f"create:{request.key}")
    paypal_world.act(Act.PAY, redirect)
    fetch(paypal_world, request, redirect.processor_ref)
    assert state.get("paypal/request", f"capture:{request.key}-capture")


@pytest.mark.parametrize("status", [200, 302, 400, 404, 422, 429, 500, 503])
def test_paypal_answers_without_sense_are_unknown(
    monkeypatch: pytest.MonkeyPatch, paypal_world: SandboxProcessorWorld, status: int
) -> None:
    """The SDK's errors for such bodies lack their attributes, and their ``str`` raises."""
    request, redirect = start(paypal_world)
    for body in (b"<html>", b"[]", b"{}", b"", b'{"name": null}', b'"x"'):
        answer = requests.Response()
        answer.status_code, answer.raw = status, io.BytesIO(body)
        monkeypatch.setattr(requests.Session, "request", lambda *_, say=answer, **__: say)
        with pytest.raises(OutcomeUnknownError):
            fetch(paypal_world, request, redirect.processor_ref)


def test_paypal_webhook_that_cannot_be_checked_is_neither_true_nor_forged(
    paypal_world: SandboxProcessorWorld,
) -> None:
    _, redirect = start(paypal_world)
    paypal_world.act(Act.PAY, redirect)
    delivery = paypal_world.next_delivery()
    with pytest.raises(UnavailableError):
        paypal_world.unreachable().read_webhook(delivery)
    fault = {"target": "paypal", "kind": "error_before", "count": 1, "only": "verify"}
    requests.post(f"{paypal_world._url}/faults", json=fault, timeout=10)
    with pytest.raises(OutcomeUnknownError):
        paypal_world.plugin.read_webhook(delivery)
    assert paypal_world.plugin.read_webhook(delivery).processor_refs


def test_paypal_webhook_about_another_order_is_forged(
    paypal_world: SandboxProcessorWorld,
) -> None:
    """The signature alone would hold; the whole event is compared at PayPal."""
    _, redirect = start(paypal_world)
    paypal_world.act(Act.PAY, redirect)
    delivery = paypal_world.next_delivery()
    event = json.loads(delivery.body)
    event["resource"]["id"] = "ANOTHERORDER"
    with pytest.raises(ForgedError):
        paypal_world.plugin.read_webhook(
            dataclasses.replace(delivery, body=json.dumps(event).encode())
        )


@pytest.mark.parametrize("table", [paypal.CAPTURES, paypal.REFUNDS, paypal.DISPUTES])
def test_paypal_tables_name_no_unknown(table: Any) -> None:
    assert FactStatus.UNKNOWN not in table.values()


@pytest.mark.parametrize(
    ("base_url", "target"),
    [
        ("https://api-m.paypal.com", "https://www.paypal.com"),
        ("https://api-m.sandbox.paypal.com", "https://www.sandbox.paypal.com"),
        ("http://127.0.0.1:5001/paypal", "http://127.0.0.1:5001"),
    ],
)
def test_paypal_pages_are_where_browsers_may_go(
    paypal_world: SandboxProcessorWorld, base_url: str, target: str
) -> None:
    assert list(paypal_world.made(base_url).form_targets()) == [target]


@pytest.mark.parametrize("status", [408, 409, 429, 500, 502, 503])
def test_paypal_errors_that_decide_nothing_are_unknown(
    monkeypatch: pytest.MonkeyPatch, paypal_world: SandboxProcessorWorld, status: int
) -> None:
    """In good form, but not a no: such as a request that is still at work."""
    request, redirect = start(paypal_world)
    answer = requests.Response()
    details = [{"issue": "PREVIOUS_REQUEST_IN_PROGRESS"}]
    body = {"name": "RESOURCE_CONFLICT", "debug_id": "1", "details": details}
    answer.status_code, answer.raw = status, io.BytesIO(json.dumps(body).encode())
    monkeypatch.setattr(requests.Session, "request", lambda *_, **__: answer)
    with pytest.raises(OutcomeUnknownError, match="PREVIOUS_REQUEST_IN_PROGRESS"):
        fetch(paypal_world, request, redirect.processor_ref)

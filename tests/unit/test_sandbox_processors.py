"""The simulated processors refuse what the real ones refuse, and show what happens."""

from __future__ import annotations

import base64
import copy
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
from flask.testing import FlaskClient
from werkzeug.test import TestResponse

from cnn_offset.sandbox import create_sandbox, webhooks

ORDER: dict[str, Any] = {
    "intent": "CAPTURE",
    "purchase_units": [
        {
            "custom_id": "k1",
            "invoice_id": "INV1",
            "description": "3 tonnes <b>",
            "amount": {"currency_code": "EUR", "value": "12.50"},
            "payee": {"merchant_id": "ABCDEFGHJKLM2"},
        }
    ],
    "payment_source": {
        "paypal": {
            "experience_context": {
                "return_url": "https://shop.example/back",
                "cancel_url": "https://shop.example/back",
            }
        }
    },
}
SESSION = {
    "mode": "payment",
    "line_items[0][quantity]": "1",
    "line_items[0][price_data][currency]": "eur",
    "line_items[0][price_data][unit_amount]": "1250",
    "line_items[0][price_data][product_data][name]": "3 tonnes <b>",
    "success_url": "https://shop.example/back",
    "cancel_url": "https://shop.example/back",
    "client_reference_id": "k1",
}
STRIPE = {"Authorization": "Bearer sk_test_x", "Stripe-Account": "acct_1"}


@pytest.fixture
def client() -> Iterator[FlaskClient]:
    app = create_sandbox()
    with app.test_client() as client:
        yield client
    app.extensions["sandbox.state"].close()


def token(client: FlaskClient, secret: str = "sandbox-secret") -> TestResponse:
    known = base64.b64encode(f"sandbox-client:{secret}".encode()).decode()
    return client.post("/paypal/v1/oauth2/token", headers={"Authorization": f"Basic {known}"})


def order(client: FlaskClient, body: Any, request_id: str = "r1") -> TestResponse:
    bearer = token(client).get_json()["access_token"]
    headers = {"Authorization": f"Bearer {bearer}", "PayPal-Request-Id": request_id}
    return client.post("/paypal/v2/checkout/orders", json=body, headers=headers)


def test_paypal_wants_credentials(client: FlaskClient) -> None:
    assert token(client, "wrong").status_code == 401
    answer = client.get("/paypal/v2/checkout/orders/X", headers={"Authorization": "Bearer x"})
    assert (answer.status_code, answer.get_json()["details"][0]["issue"]) == (401, "INVALID_TOKEN")


@pytest.mark.parametrize(
    ("path", "value", "issue"),
    [
        (["amount", "value"], "12.505", "DECIMALS_NOT_SUPPORTED"),
        (["amount", "value"], "0.00", "CANNOT_BE_ZERO_OR_NEGATIVE"),
        (["amount", "value"], "-1", "INVALID_PARAMETER_SYNTAX"),
        (["amount", "value"], 12.5, "INVALID_PARAMETER_SYNTAX"),
        (["amount", "currency_code"], "TND", "CURRENCY_NOT_SUPPORTED"),
        (["amount", "currency_code"], "HUF", "DECIMALS_NOT_SUPPORTED"),
        (["payee", "merchant_id"], "abc", "INVALID_PARAMETER_SYNTAX"),
        (["custom_id"], "x" * 128, "INVALID_STRING_MAX_LENGTH"),
    ],
)
def test_paypal_refuses_what_paypal_refuses(
    client: FlaskClient, path: list[str], value: object, issue: str
) -> None:
    body = copy.deepcopy(ORDER)
    part = body["purchase_units"][0]
    for name in path[:-1]:
        part = part[name]
    part[path[-1]] = value
    answer = order(client, body)
    assert 400 <= answer.status_code < 500
    assert answer.get_json()["details"][0]["issue"] == issue


def test_paypal_wants_a_request_id_and_keeps_its_word(client: FlaskClient) -> None:
    assert (
        order(client, ORDER, "").get_json()["details"][0]["issue"] == "PAYPAL_REQUEST_ID_REQUIRED"
    )
    first = order(client, ORDER).get_json()["id"]
    assert order(client, ORDER).get_json()["id"] == first
    assert order(client, ORDER, "r2").get_json()["id"] != first
    other = copy.deepcopy(ORDER)
    other["purchase_units"][0]["amount"]["value"] = "13.00"
    assert order(client, other).status_code == 422


@pytest.mark.parametrize(
    ("change", "code"),
    [
        ({"surprise": "1"}, "parameter_unknown"),
        ({"success_url": "/back"}, "url_invalid"),
        ({"line_items[0][price_data][unit_amount]": "49"}, "amount_too_small"),
        ({"line_items[0][price_data][unit_amount]": "100000000"}, "amount_too_large"),
        ({"line_items[0][price_data][unit_amount]": "12.5"}, "parameter_missing"),
        (
            {
                "line_items[0][price_data][currency]": "kwd",
                "line_items[0][price_data][unit_amount]": "12345",
            },
            "parameter_invalid_integer",
        ),
        ({"expires_at": "1"}, "parameter_invalid_integer"),
    ],
)
def test_stripe_refuses_what_stripe_refuses(
    client: FlaskClient, change: dict[str, str], code: str
) -> None:
    answer = client.post("/stripe/v1/checkout/sessions", data=SESSION | change, headers=STRIPE)
    assert (answer.status_code, answer.get_json()["error"]["code"]) == (400, code)


def test_stripe_wants_a_key_and_an_account(client: FlaskClient) -> None:
    for headers, status in (
        ({"Stripe-Account": "acct_1"}, 401),
        ({"Authorization": "Bearer sk_test_x"}, 403),
        (STRIPE, 200),
    ):
        answer = client.post("/stripe/v1/checkout/sessions", data=SESSION, headers=headers)
        assert answer.status_code == status


def test_pages_are_marked_and_show_what_is_paid(client: FlaskClient) -> None:
    paypal = order(client, ORDER).get_json()["id"]
    stripe = client.post("/stripe/v1/checkout/sessions", data=SESSION, headers=STRIPE).get_json()
    for page in (f"/paypal/pay/{paypal}", f"/stripe/pay/{stripe['id']}"):
        text = client.get(page).get_data(as_text=True)
        assert "SANDBOX" in text
        assert "12.50 EUR" in text
        assert "3 tonnes &lt;b&gt;" in text
        assert client.post(page, data={"choice": "nonsense"}).status_code == 400
        assert client.post(page, data={"choice": "card"}).status_code == 303
        assert "Back to the shop" in client.get(page).get_data(as_text=True)
    for page in ("/paypal/", "/stripe/", f"/paypal/orders/{paypal}"):
        assert "SANDBOX" in client.get(page).get_data(as_text=True)
    backstage = client.get(f"/stripe/sessions/{stripe['id']}").get_data(as_text=True)
    assert "Open a dispute" in backstage


@pytest.mark.parametrize(
    "page", ["/paypal/pay/X", "/paypal/orders/X", "/stripe/pay/X", "/stripe/sessions/X"]
)
def test_unknown_payments_are_not_found(client: FlaskClient, page: str) -> None:
    assert client.get(page).status_code == 404


def test_books_survive_a_restart(tmp_path: Path) -> None:
    path = str(tmp_path / "sandbox.sqlite")
    first = create_sandbox(path)
    with first.test_client() as client:
        made = order(client, ORDER).get_json()["id"]
        client.post(f"/paypal/pay/{made}", data={"choice": "card"})
    first.extensions["sandbox.state"].close()
    second = create_sandbox(path)
    with second.test_client() as client:
        assert order(client, ORDER).get_json()["status"] == "APPROVED"
        assert [each["order"] for each in client.get("/paypal/audit").get_json()["payments"]] == [
            made
        ]
    second.extensions["sandbox.state"].close()


def test_webhooks_are_sent_again_until_somebody_takes_them(
    client: FlaskClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(webhooks, "_PAUSES", (0.0, 0.0, 0.0, 0.0))
    answers, heard = [503, 500, 204, 204], threading.Semaphore(0)
    bodies: list[bytes] = []

    class Ear(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            bodies.append(self.rfile.read(int(self.headers["Content-Length"])))
            self.send_response(answers.pop(0))
            self.end_headers()
            heard.release()

        def log_message(self, *_: object) -> None:
            """Say nothing."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Ear) as server:
        threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
        client.post("/control/webhooks", json={"stripe": f"http://127.0.0.1:{server.server_port}/"})
        session = client.post("/stripe/v1/checkout/sessions", data=SESSION, headers=STRIPE)
        client.post(f"/stripe/pay/{session.get_json()['id']}", data={"choice": "card"})
        assert all(heard.acquire(timeout=5) for _ in range(3))
        assert not heard.acquire(timeout=0.05)
        server.shutdown()
    assert len(bodies) == 3
    assert len(set(bodies)) == 1

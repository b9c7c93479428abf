"""Stripe: its own table of currencies, its accounts and its signatures."""

from __future__ import annotations

import io
import json
import subprocess
import sys
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
import requests
import stripe
from hypothesis import given
from hypothesis import strategies as st
from iso4217 import Currency

from cnn_offset.domain.money import Money
from cnn_offset.domain.payment import FactStatus
from cnn_offset.plugins.errors import (
    ForgedError,
    OutcomeUnknownError,
    RefusedError,
)
from cnn_offset.plugins.payments import stripe_connect
from cnn_offset.plugins.payments.base import Delivery
from cnn_offset.plugins.payments.stripe_amounts import from_stripe, to_stripe
from cnn_offset.testing.payments import Act

from .payment_worlds import (
    SandboxProcessorWorld,
    StripeWorld,
    fetch,
    processor_world,
    start,
)

NOW = datetime(2026, 11, 22, 12, tzinfo=UTC)
CURRENCIES = [each.code for each in Currency if each.exponent is not None]


@pytest.fixture
def stripe_world(sandbox: Any, free_port: int) -> Iterator[SandboxProcessorWorld]:
    with processor_world(StripeWorld, sandbox.url, free_port) as world:
        yield world


@given(st.integers(1, 99_999_999), st.sampled_from(CURRENCIES))
def test_stripe_amounts_are_read_back_or_refused(minor: int, currency: str) -> None:
    amount = Money(minor, currency)
    written = to_stripe(amount)
    if written is not None:
        assert from_stripe(written, currency.lower()) == amount


@pytest.mark.parametrize(
    ("amount", "written"),
    [
        (Money(1234, "EUR"), 1234),
        (Money(1234, "JPY"), 1234),
        (Money(12, "ISK"), 1200),
        (Money(12, "UGX"), 1200),
        (Money(1200, "MGA"), 12),
        (Money(1250, "MGA"), None),
        (Money(12340, "KWD"), 12340),
        (Money(12345, "KWD"), None),
        (Money(1000, "IQD"), None),
        (Money(10000, "CLF"), None),
    ],
)
def test_stripe_writes_amounts_by_its_own_table(amount: Money, written: int | None) -> None:
    assert to_stripe(amount) == written


@pytest.mark.parametrize("odd", [(1250, "isk"), (1, "iqd"), (5, "xyz")])
def test_stripe_amounts_that_cannot_be_are_unknown(odd: tuple[int, str]) -> None:
    with pytest.raises(OutcomeUnknownError):
        from_stripe(*odd)


def test_stripe_too_small_an_amount_is_refused(stripe_world: SandboxProcessorWorld) -> None:
    with pytest.raises(RefusedError) as caught:
        start(stripe_world, amount=Money(49, "EUR"))
    assert caught.value.code == "amount_too_small"


def test_stripe_sees_nothing_of_another_account(stripe_world: SandboxProcessorWorld) -> None:
    request, redirect = start(stripe_world)
    stripe_world.act(Act.PAY, redirect)
    with pytest.raises(RefusedError):
        stripe_world.plugin.fetch(
            stripe_world.other_payee, redirect.processor_ref, key=request.key, may_capture=True
        )


def test_stripe_sends_what_was_agreed(sandbox: Any, stripe_world: SandboxProcessorWorld) -> None:
    request, redirect = start(stripe_world)
    session = sandbox.app.extensions["sandbox.state"].get("stripe/session", redirect.processor_ref)
    assert session["account"] == request.payee["account"]
    assert session["client_reference_id"] == request.key
    assert session["metadata"] == {"key": request.key, "order_code": request.order_code}
    assert session["intent_metadata"] == session["metadata"]
    assert session["locale"] == "fr"


def _signed(event: dict[str, Any], at: datetime, secret: str = "whsec_sandbox") -> Delivery:
    body = json.dumps(event)
    header = stripe.WebhookSignature.generate_signature_header(body, secret, int(at.timestamp()))
    return Delivery({"stripe-signature": header}, body.encode(), NOW)


EVENT = {
    "id": "evt_1",
    "type": "checkout.session.completed",
    "account": "acct_1Provider",
    "livemode": False,
    "data": {"object": {"id": "cs_test_1"}},
}


def test_stripe_event_of_the_other_mode_or_of_no_account_names_nobody(
    stripe_world: SandboxProcessorWorld,
) -> None:
    read = stripe_world.plugin.read_webhook
    assert list(read(_signed(EVENT, NOW)).processor_refs) == ["cs_test_1"]
    for change in ({"livemode": True}, {"account": ""}, {"account": None}):
        assert list(read(_signed(EVENT | change, NOW)).processor_refs) == []


@pytest.mark.parametrize("minutes", [-6, 6])
def test_stripe_signatures_age_in_both_directions(
    stripe_world: SandboxProcessorWorld, minutes: int
) -> None:
    with pytest.raises(ForgedError):
        stripe_world.plugin.read_webhook(_signed(EVENT, NOW + timedelta(minutes=minutes)))
    near = _signed(EVENT, NOW + timedelta(minutes=minutes) / 2)
    assert stripe_world.plugin.read_webhook(near).event_id == "evt_1"


@pytest.mark.parametrize(
    "event",
    [
        {},
        {"id": "evt_1"},
        EVENT | {"data": {}},
        EVENT | {"data": {"object": {}}},
        EVENT | {"account": 7},
    ],
)
def test_stripe_events_without_sense_are_forged(
    stripe_world: SandboxProcessorWorld, event: dict[str, Any]
) -> None:
    with pytest.raises(ForgedError):
        stripe_world.plugin.read_webhook(_signed(event, NOW))


def test_stripe_other_secret_is_forged(stripe_world: SandboxProcessorWorld) -> None:
    with pytest.raises(ForgedError):
        stripe_world.plugin.read_webhook(_signed(EVENT, NOW, "whsec_other"))


def test_stripe_leaves_nothing_global(stripe_world: SandboxProcessorWorld, tmp_path: Any) -> None:
    """Neither a key in the module nor a file in the home directory."""
    start(stripe_world)
    assert stripe.api_key is None
    code = (
        "import stripe, cnn_offset.plugins.payments.stripe_connect as m;"
        "assert stripe.enable_telemetry is False;"
        "p = m.StripeConnect(m.StripeSettings(base_url='http://127.0.0.1:9',"
        " secret_key='sk_test_x', webhook_secret='whsec_x'));"
        "from cnn_offset.plugins.errors import UnavailableError\n"
        "try: p.fetch({'account': 'acct_1'}, 'cs_1', key='k', may_capture=True)\n"
        "except UnavailableError: pass"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], env={"HOME": str(tmp_path), "PATH": ""}, check=False
    )
    assert done.returncode == 0
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    "table", [stripe_connect.INTENTS, stripe_connect.REFUNDS, stripe_connect.DISPUTES]
)
def test_stripe_tables_name_no_unknown(table: Any) -> None:
    assert FactStatus.UNKNOWN not in table.values()


@pytest.mark.parametrize("status", [200, 302, 400, 404, 409, 429, 500, 503])
def test_stripe_answers_without_sense_are_unknown(
    monkeypatch: pytest.MonkeyPatch, stripe_world: SandboxProcessorWorld, status: int
) -> None:
    request, redirect = start(stripe_world)
    for body in (b"<html>", b"[]", b"{}", b"", b'{"error": null}', b'"x"', b'{"id": 1}'):
        answer = requests.Response()
        answer.status_code, answer.raw = status, io.BytesIO(body)
        monkeypatch.setattr(requests.Session, "request", lambda *_, say=answer, **__: say)
        with pytest.raises(OutcomeUnknownError):
            fetch(stripe_world, request, redirect.processor_ref)


@pytest.mark.parametrize(
    ("base_url", "target"),
    [
        ("https://api.stripe.com", "https://checkout.stripe.com"),
        ("http://127.0.0.1:5001/stripe", "http://127.0.0.1:5001"),
    ],
)
def test_stripe_pages_are_where_browsers_may_go(
    stripe_world: SandboxProcessorWorld, base_url: str, target: str
) -> None:
    assert target in stripe_world.made(base_url).form_targets()


@pytest.mark.parametrize("status", [409, 429, 500, 503])
@pytest.mark.parametrize("kind", ["idempotency_error", "invalid_request_error", "api_error"])
def test_stripe_errors_that_decide_nothing_are_unknown(
    monkeypatch: pytest.MonkeyPatch, stripe_world: SandboxProcessorWorld, status: int, kind: str
) -> None:
    """In good form, but not a no: such as a key that is still at work."""
    request, redirect = start(stripe_world)
    answer = requests.Response()
    body = {"error": {"type": kind, "code": "lock_timeout", "message": "later"}}
    answer.status_code, answer.raw = status, io.BytesIO(json.dumps(body).encode())
    monkeypatch.setattr(requests.Session, "request", lambda *_, **__: answer)
    with pytest.raises(OutcomeUnknownError):
        fetch(stripe_world, request, redirect.processor_ref)

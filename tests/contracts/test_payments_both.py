"""What both processors owe us beyond the contract."""

from __future__ import annotations

import dataclasses
import time
from collections.abc import Iterator
from typing import Any

import pytest
import requests

from cnn_offset.domain.money import Money
from cnn_offset.domain.payment import Verdict, derive, judge
from cnn_offset.domain.status import PaymentStatus
from cnn_offset.plugins.errors import (
    OutcomeUnknownError,
    RefusedError,
)
from cnn_offset.testing.payments import Act

from .payment_worlds import (
    PayPalWorld,
    SandboxProcessorWorld,
    StripeWorld,
    fetch,
    processor_world,
    start,
)


@pytest.fixture(params=[PayPalWorld, StripeWorld], ids=["paypal", "stripe"])
def world(request: Any, sandbox: Any, free_port: int) -> Iterator[SandboxProcessorWorld]:
    with processor_world(request.param, sandbox.url, free_port) as world:
        yield world


def test_another_payments_reference_pays_nothing(world: SandboxProcessorWorld) -> None:
    request, redirect = start(world)
    world.act(Act.PAY, redirect)
    with pytest.raises(RefusedError) as caught:
        world.plugin.fetch(request.payee, redirect.processor_ref, key="another", may_capture=True)
    assert caught.value.code == "OTHER_KEY"
    if not world.takes_itself:
        assert world.books(request.key).taken.minor == 0


def test_the_same_key_with_another_body_is_refused(world: SandboxProcessorWorld) -> None:
    request, _ = start(world)
    with pytest.raises(RefusedError):
        world.plugin.start(dataclasses.replace(request, amount=Money(1, "EUR") * 9900))
    assert world.books(request.key).opened == 1


def test_an_unknown_reference_is_refused(world: SandboxProcessorWorld) -> None:
    with pytest.raises(RefusedError):
        fetch(world, world.request(), "NOSUCHTHING")


@pytest.mark.parametrize("currency", ["EUR", "USD", "JPY", "HUF", "CHF"])
def test_currencies_arrive_as_they_left(world: SandboxProcessorWorld, currency: str) -> None:
    amount = Money(700, currency)
    world.amount = amount
    request, redirect = start(world)
    world.act(Act.PAY, redirect)
    facts = fetch(world, request, redirect.processor_ref)
    account = world.plugin.payee_account(request.payee)
    assert judge(due=amount, payee=account, facts=facts) is Verdict.EXACT
    assert world.books(request.key).taken == amount


def test_leaving_pays_nothing_and_leaves_the_door_open(world: SandboxProcessorWorld) -> None:
    request, redirect = start(world)
    answer = requests.post(redirect.url, {"choice": "leave"}, allow_redirects=False, timeout=10)
    assert answer.headers["Location"].startswith(request.return_url)
    assert list(fetch(world, request, redirect.processor_ref)) == []
    world.act(Act.PAY, redirect)
    assert derive(fetch(world, request, redirect.processor_ref)) is PaymentStatus.SUCCEEDED


def test_webhooks_may_come_twice_under_one_name(world: SandboxProcessorWorld) -> None:
    fault = {"target": world.name, "kind": "webhook_duplicate", "count": 1}
    requests.post(f"{world._url}/faults", json=fault, timeout=10)
    _, redirect = start(world)
    world.act(Act.PAY, redirect)
    first, second = (world.plugin.read_webhook(world.next_delivery()) for _ in range(2))
    assert first == second


def test_a_lost_webhook_is_lost(world: SandboxProcessorWorld) -> None:
    fault = {"target": world.name, "kind": "webhook_lost", "count": 1}
    requests.post(f"{world._url}/faults", json=fault, timeout=10)
    _, lost = start(world)
    world.act(Act.PAY, lost)
    _, heard = start(world)
    world.act(Act.PAY, heard)
    notice = world.plugin.read_webhook(world.next_delivery())
    assert list(notice.processor_refs) == [heard.processor_ref]


def test_a_dispute_ends_for_one_side_or_the_other(world: SandboxProcessorWorld) -> None:
    for choice, status in (("won", PaymentStatus.SUCCEEDED), ("lost", PaymentStatus.REFUNDED)):
        request, redirect = start(world)
        world.act(Act.PAY, redirect)
        fetch(world, request, redirect.processor_ref)
        world.act(Act.DISPUTE, redirect)
        page = f"{world._url}/{world.name}/{world.backstage}/{redirect.processor_ref}"
        requests.post(page, {"choice": choice}, timeout=10).raise_for_status()
        assert derive(fetch(world, request, redirect.processor_ref)) is status


@pytest.mark.parametrize("name", ["paypal", "stripe"])
def test_silence_ends_with_our_patience(name: str, sandbox: Any) -> None:
    """A processor that never answers is *unknown* after the time-out, asked once."""
    kinds = {"paypal": PayPalWorld, "stripe": StripeWorld}
    world = kinds[name](sandbox.url, 9, None)  # type: ignore[arg-type]
    plugin = world.made(f"{sandbox.url}/{name}")
    plugin.start(world.request())
    hasty = type(plugin)(plugin.settings.model_copy(update={"timeout_seconds": 0.3}))
    hasty.start(world.request())
    fault = {"target": name, "kind": "timeout_after", "count": 1, "milliseconds": 600}
    requests.post(f"{sandbox.url}/faults", json=fault | {"only": "POST"}, timeout=10)
    request = world.request()
    with pytest.raises(OutcomeUnknownError):
        hasty.start(request)
    assert world.books(request.key).opened == 1


def test_a_late_webhook_comes_late(world: SandboxProcessorWorld) -> None:
    fault = {"target": world.name, "kind": "webhook_late", "count": 1, "milliseconds": 100}
    requests.post(f"{world._url}/faults", json=fault, timeout=10)
    _, redirect = start(world)
    before = time.monotonic()
    world.act(Act.PAY, redirect)
    notice = world.plugin.read_webhook(world.next_delivery())
    assert time.monotonic() - before >= 0.1
    assert list(notice.processor_refs) == [redirect.processor_ref]


def test_a_processor_that_says_no_is_refused(world: SandboxProcessorWorld) -> None:
    fault = {"target": world.name, "kind": "refuse", "count": 1, "only": "POST"}
    requests.post(f"{world._url}/faults", json=fault, timeout=10)
    with pytest.raises(RefusedError) as caught:
        start(world)
    assert caught.value.code
    start(world)


def test_refunds_once_even_when_the_processor_forgot_the_key(
    sandbox: Any, world: SandboxProcessorWorld
) -> None:
    """Idempotency keys are kept for days or weeks; the refund itself carries ours for ever."""
    request, redirect = start(world)
    world.act(Act.PAY, redirect)
    fetch(world, request, redirect.processor_ref)
    part = Money(250, "EUR")
    for _ in range(2):
        world.plugin.refund(request.payee, redirect.processor_ref, part, key="refund-1")
        for kind in ("paypal/request", "stripe/key"):
            sandbox.app.extensions["sandbox.state"].delete(kind)
    assert world.books(request.key).refunded == part


def test_the_fee_is_told_with_the_payment(world: SandboxProcessorWorld) -> None:
    """2.9 % and 30 cents in the sandbox; a look later tells the same."""
    request, redirect = start(world)
    world.act(Act.PAY, redirect)
    for _ in range(2):
        [fact] = fetch(world, request, redirect.processor_ref)
        assert fact.fee == Money(66, "EUR")


def test_slow_money_has_a_fee_once_it_has_come(world: SandboxProcessorWorld) -> None:
    request, redirect = start(world)
    world.act(Act.PAY_SLOWLY, redirect)
    fetch(world, request, redirect.processor_ref)
    world.act(Act.CLEAR, redirect)
    [fact] = fetch(world, request, redirect.processor_ref)
    assert fact.fee == Money(66, "EUR")

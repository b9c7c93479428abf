"""Each test about the platform's fee catches a plug-in with the fault it is about."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from typing import Any

import pytest

from cnn_offset.domain.money import Money
from cnn_offset.domain.payment import Fact
from cnn_offset.plugins.errors import PluginError
from cnn_offset.plugins.payments.base import PaymentRequest, Redirect
from cnn_offset.plugins.payments.paypal import PayPal
from cnn_offset.testing.payment_fees import BaseFeeContract

from .payment_worlds import PayPalPartnerWorld, processor_world


class IgnoresTheFee(PayPal):
    """Lets the provider have all of it."""

    def start(self, request: PaymentRequest) -> Redirect:
        return super().start(dataclasses.replace(request, fee=None))


class InflatesTheFee(PayPal):
    """Takes a cent more than was agreed."""

    def start(self, request: PaymentRequest) -> Redirect:
        fee = request.fee and request.fee + Money(1, request.fee.currency)
        return super().start(dataclasses.replace(request, fee=fee))


class DoesNotTell(PayPal):
    """Takes the fee and does not report it."""

    def _facts(self, order: Any) -> list[Fact]:
        return [dataclasses.replace(each, platform=None) for each in super()._facts(order)]


class TakesUnasked(PayPal):
    """Takes a fee of every payment."""

    def start(self, request: PaymentRequest) -> Redirect:
        fee = request.fee or Money(5, request.amount.currency)
        return super().start(dataclasses.replace(request, fee=fee))


class LeavesItOut(PayPal):
    """Opens a payment without the fee that it cannot take."""

    def start(self, request: PaymentRequest) -> Redirect:
        fee = request.fee
        if fee is not None and not 0 < fee.minor < request.amount.minor:
            request = dataclasses.replace(request, fee=None)
        return super().start(request)


class KeepsTheFee(PayPal):
    """Gives money back, but nothing of the fee."""

    def refund(
        self,
        payee: Any,
        processor_ref: str,
        amount: Money,
        *,
        key: str,
        fee: Money | None = None,
    ) -> Sequence[Fact]:
        return super().refund(payee, processor_ref, amount, key=key)


class GivesBackUnasked(PayPal):
    """Gives the fee back with every refund."""

    def refund(
        self,
        payee: Any,
        processor_ref: str,
        amount: Money,
        *,
        key: str,
        fee: Money | None = None,
    ) -> Sequence[Fact]:
        fee = fee or Money(1, amount.currency)
        return super().refund(payee, processor_ref, amount, key=key, fee=fee)


MUTANTS: list[tuple[str, type[PayPal]]] = [
    ("takes_the_fee", IgnoresTheFee),
    ("takes_the_fee", InflatesTheFee),
    ("takes_the_fee", DoesNotTell),
    ("takes_no_fee_unasked", TakesUnasked),
    ("refuses_a_fee_it_cannot_take", LeavesItOut),
    ("gives_the_fee_back", KeepsTheFee),
    ("gives_no_fee_back_unasked", GivesBackUnasked),
]


@pytest.mark.parametrize(
    ("test", "mutant"), MUTANTS, ids=[f"{test}-{kind.__name__}" for test, kind in MUTANTS]
)
def test_contract_catches(test: str, mutant: type[PayPal], sandbox: Any, free_port: int) -> None:
    with processor_world(PayPalPartnerWorld, sandbox.url, free_port) as world:
        world.kind = mutant
        world.plugin = world.made(f"{sandbox.url}/paypal")
        with pytest.raises((AssertionError, PluginError, pytest.fail.Exception)):
            getattr(BaseFeeContract(), f"test_{test}")(world)


def test_every_test_has_its_mutant() -> None:
    tests = {name[5:] for name in dir(BaseFeeContract) if name.startswith("test_")}
    assert {test for test, _ in MUTANTS} == tests

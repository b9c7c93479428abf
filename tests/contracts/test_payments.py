"""The three built-in payment plug-ins keep the contract, over real HTTP to the sandbox."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from cnn_offset.testing.payment_accounts import BaseOnboardingContract, OnboardingWorld
from cnn_offset.testing.payment_fees import BaseFeeContract
from cnn_offset.testing.payments import (
    BaseProcessorContract,
    BaseStatementContract,
    PaymentWorld,
    ProcessorWorld,
)

from .payment_worlds import (
    BankWorld,
    PayPalPartnerWorld,
    PayPalWorld,
    StripeAccountWorld,
    StripeWorld,
    processor_world,
)


class TestPayPal(BaseProcessorContract):
    @pytest.fixture
    def world(self, sandbox: Any, free_port: int) -> Iterator[ProcessorWorld]:
        with processor_world(PayPalWorld, sandbox.url, free_port) as world:
            yield world


class TestStripeConnect(BaseProcessorContract):
    @pytest.fixture
    def world(self, sandbox: Any, free_port: int) -> Iterator[ProcessorWorld]:
        with processor_world(StripeWorld, sandbox.url, free_port) as world:
            yield world


class TestPayPalAccounts(BaseOnboardingContract):
    @pytest.fixture
    def world(self, sandbox: Any, free_port: int) -> Iterator[OnboardingWorld]:
        with processor_world(PayPalPartnerWorld, sandbox.url, free_port) as world:
            assert isinstance(world, OnboardingWorld)
            yield world


class TestPayPalFees(BaseFeeContract):
    @pytest.fixture
    def world(self, sandbox: Any, free_port: int) -> Iterator[ProcessorWorld]:
        with processor_world(PayPalPartnerWorld, sandbox.url, free_port) as world:
            yield world


class TestStripeAccounts(BaseOnboardingContract):
    @pytest.fixture
    def world(self, sandbox: Any, free_port: int) -> Iterator[OnboardingWorld]:
        with processor_world(StripeAccountWorld, sandbox.url, free_port) as world:
            assert isinstance(world, OnboardingWorld)
            yield world


class TestBankTransfer(BaseStatementContract):
    @pytest.fixture
    def world(self) -> PaymentWorld:
        return BankWorld()

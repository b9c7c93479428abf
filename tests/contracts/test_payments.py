"""The three built-in payment plug-ins keep the contract, over real HTTP to the sandbox."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from cnn_offset.testing.payments import (
    BaseProcessorContract,
    BaseStatementContract,
    PaymentWorld,
    ProcessorWorld,
)

from .payment_worlds import BankWorld, PayPalWorld, StripeWorld, processor_world


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


class TestBankTransfer(BaseStatementContract):
    @pytest.fixture
    def world(self) -> PaymentWorld:
        return BankWorld()

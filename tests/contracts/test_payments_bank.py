"""Bank transfer: what stands on the page and in the QR code."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
import segno
from hypothesis import given
from hypothesis import strategies as st

from cnn_offset.domain.money import Money
from cnn_offset.plugins.errors import (
    RefusedError,
    UnsupportedError,
)
from cnn_offset.plugins.payments.bank_transfer import (
    OWN_DETAILS,
    BankTransfer,
    BankTransferSettings,
)
from cnn_offset.plugins.payments.base import Instructions, PaymentRequest

from .payment_worlds import (
    BankWorld,
)


def bank(**changes: Any) -> tuple[PaymentRequest, Instructions]:
    world = BankWorld()
    request = world.request(**changes)
    return request, BankTransfer(BankTransferSettings()).start(request)


def test_the_qr_code_says_what_banks_expect() -> None:
    request, instructions = bank()
    assert instructions.qr.split("\n") == [
        "BCD",
        "002",
        "1",
        "SCT",
        "COBADEFFXXX",
        "Fundação Rio Verde",
        "DE89370400440532013000",
        "EUR12.50",
        "",
        request.reference,
    ]
    code = segno.make_qr(instructions.qr, error="m", encoding="utf-8")
    assert code.version <= 13


@pytest.mark.parametrize(
    "changes",
    [
        {"amount": Money(1250, "USD"), "payee": BankWorld.payee | {"currency": ""}},
        {"payee": BankWorld.other_payee},
        {"payee": BankWorld.payee | {"holder": "x" * 71}},
        {"payee": BankWorld.payee | {"account": "BR1800360305000010009795493C1"}},
        {"amount": Money(10**11, "EUR")},
    ],
    ids=["dollars", "no-iban", "long-holder", "outside-sepa", "too-much"],
)
def test_no_qr_code_where_it_cannot_serve(changes: Any) -> None:
    assert bank(**changes)[1].qr == ""


def test_a_provider_may_send_its_own_details() -> None:
    payee = {"sends_own_details": " Yes "}
    plugin = BankTransfer(BankTransferSettings())
    assert list(plugin.check_account(payee)) == []
    assert plugin.payee_account(payee) == OWN_DETAILS
    request, instructions = bank(payee=payee)
    labels = [label for label, _ in instructions.lines]
    assert "two working days" in labels[0]
    assert labels[1:] == ["Amount", "Payment reference"]
    assert instructions.qr == ""
    assert instructions.processor_ref == request.reference


def test_an_account_in_another_currency_is_not_paid() -> None:
    with pytest.raises(UnsupportedError):
        bank(amount=Money(1250, "USD"))


def test_a_reference_with_a_wrong_digit_is_never_shown() -> None:
    with pytest.raises(RefusedError):
        bank(reference="RF00000000000001")


def test_lines_are_grouped_for_reading_and_say_who_pays_charges() -> None:
    request, instructions = bank()
    lines = dict(instructions.lines)
    assert lines["IBAN"] == "DE89 3704 0044 0532 0130 00"
    assert lines["Payment reference"].replace(" ", "") == request.reference
    assert lines["Amount"] == request.amount
    assert any("OUR" in label for label in lines)


@given(st.integers(2, 21), st.sampled_from("0123456789"))
def test_every_wrong_digit_of_an_iban_is_seen(at: int, digit: str) -> None:
    right = "DE89370400440532013000"
    wrong = right[:at] + digit + right[at + 1 :]
    complaints = BankTransfer(BankTransferSettings()).check_account(
        BankWorld.payee | {"account": wrong}
    )
    assert bool(complaints) == (wrong != right)


def test_start_is_pure_under_threads() -> None:
    barrier = threading.Barrier(4)
    world = BankWorld()
    request = world.request()

    def go(_: int) -> Any:
        barrier.wait()
        return world.plugin.start(request)

    with ThreadPoolExecutor(4) as pool:
        results = list(pool.map(go, range(4)))
    assert all(each == results[0] for each in results)

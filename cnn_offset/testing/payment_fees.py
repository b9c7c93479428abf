"""What processors' plug-ins keep about the platform's fee: all of it, and not a cent more."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence

import pytest

from cnn_offset.domain.money import Money
from cnn_offset.domain.payment import Fact, FactKind, FactStatus, Verdict, judge
from cnn_offset.plugins.errors import UnsupportedError
from cnn_offset.plugins.payments.base import PaymentRequest, Redirect
from cnn_offset.testing.payment_worlds import Act, ProcessorWorld


class BaseFeeContract:
    """Part of the contract of processors; one that takes no fee refuses to be asked for one."""

    def test_takes_the_fee(self, world: ProcessorWorld) -> None:
        """The payer pays the price, the platform gets its fee, and the facts say both."""
        request = _with_fee(world)
        if request is None:
            return
        redirect, facts = _paid(world, request)
        books = world.books(request.key)
        assert books.taken == request.amount
        assert books.platform == request.fee
        assert _said(facts, FactKind.PAYMENT) == request.fee
        account = world.plugin.payee_account(request.payee)
        assert judge(due=request.amount, payee=account, facts=facts) is Verdict.EXACT
        assert world.plugin.start(request) == redirect

    def test_takes_no_fee_unasked(self, world: ProcessorWorld) -> None:
        """A payment without a fee is the provider's whole."""
        request = world.request(payee=world.fee_payee())
        _, facts = _paid(world, request)
        books = world.books(request.key)
        assert books.platform is None or not books.platform.minor
        said = _said(facts, FactKind.PAYMENT)
        assert said is None or not said.minor

    def test_refuses_a_fee_it_cannot_take(self, world: ProcessorWorld) -> None:
        """All, more than all, nothing, or another currency: refused, never left out."""
        amount = world.amount
        other = "USD" if amount.currency != "USD" else "EUR"
        wrong = [amount, amount * 2, Money(0, amount.currency), Money(1, other)]
        if world.fee is None:
            wrong.append(Money(1, amount.currency))
        for fee in wrong:
            request = world.request(payee=world.fee_payee(), fee=fee)
            with pytest.raises(UnsupportedError):
                world.plugin.start(request)
            assert world.books(request.key).opened == 0

    def test_gives_the_fee_back(self, world: ProcessorWorld) -> None:
        """With a refund its part of the fee goes back, once for a key, and the facts say so."""
        request = _with_fee(world)
        if request is None or request.fee is None:
            return
        redirect, _ = _paid(world, request)
        half = Money(request.amount.minor // 2, request.amount.currency)
        back = Money(request.fee.minor // 2, request.fee.currency)
        for _ in range(2):
            facts = world.plugin.refund(
                request.payee, redirect.processor_ref, half, key=f"{request.key[:30]}-r", fee=back
            )
        books = world.books(request.key)
        assert books.refunded == half
        assert books.platform == request.fee - back
        assert _said(facts, FactKind.REFUND) == back

    def test_gives_no_fee_back_unasked(self, world: ProcessorWorld) -> None:
        """A refund without it leaves the fee where it is: it is given back otherwise."""
        request = _with_fee(world)
        if request is None:
            return
        redirect, _ = _paid(world, request)
        facts = world.plugin.refund(
            request.payee, redirect.processor_ref, request.amount, key=f"{request.key[:30]}-r"
        )
        assert world.books(request.key).platform == request.fee
        said = _said(facts, FactKind.REFUND)
        assert said is None or not said.minor


def _with_fee(world: ProcessorWorld) -> PaymentRequest | None:
    """Make a request for a payment with a fee; None if the plug-in takes none."""
    if world.fee is None:
        assert not world.plugin.takes_fee(Money(1, world.amount.currency), world.fee_payee())
        return None
    request = dataclasses.replace(world.request(payee=world.fee_payee()), fee=world.fee)
    assert world.plugin.takes_fee(world.fee, request.payee)
    return request


def _paid(world: ProcessorWorld, request: PaymentRequest) -> tuple[Redirect, Sequence[Fact]]:
    redirect = world.plugin.start(request)
    assert isinstance(redirect, Redirect)
    world.act(Act.PAY, redirect)
    facts = world.plugin.fetch(
        request.payee, redirect.processor_ref, key=request.key, may_capture=True
    )
    return redirect, facts


def _said(facts: Sequence[Fact], kind: FactKind) -> Money | None:
    """Return what the facts of a kind say went to the platform, or back; None for nothing."""
    said = [
        each.platform
        for each in facts
        if each.kind is kind and each.status is FactStatus.DONE and each.platform is not None
    ]
    return sum(said[1:], said[0]) if said else None

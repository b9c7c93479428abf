"""The contract of plug-ins that have providers' accounts connected on the processor's page.

    class TestMine(BaseOnboardingContract):
        @pytest.fixture
        def world(self):
            with my_processors_sandbox() as sandbox:
                yield MyWorld(sandbox)      # an OnboardingWorld

The world is the plug-in, a provider at the processor's page, and the processor itself, which
may change its mind and misbehave. A plug-in whose accounts are typed needs none of it.
"""

from __future__ import annotations

import abc
import dataclasses
import itertools
from enum import StrEnum
from typing import Any
from urllib.parse import urlsplit

import pytest

from cnn_offset.domain.status import PayoutStatus
from cnn_offset.plugins.errors import (
    OutcomeUnknownError,
    PayeeNotReadyError,
    UnavailableError,
)
from cnn_offset.plugins.payments.base import (
    AccountReport,
    Connection,
    ConnectRequest,
    Delivery,
    Payee,
    PaymentPlugin,
    PaymentRequest,
)
from cnn_offset.testing.payment_worlds import Misdeed

_numbers = itertools.count(1)
WAITING = {PayoutStatus.STARTED, PayoutStatus.LIMITED}


class Step(StrEnum):
    """What a provider, or later the processor, does about an account."""

    FINISH = "finish"
    """The provider does all that is asked."""
    LEAVE = "leave"
    """The provider leaves, and may come back."""
    FAIL = "fail"
    """The provider does what is asked, but something is wrong with it."""
    RESTRICT = "restrict"
    """Later the processor lets the account take no money."""
    RESTORE = "restore"
    """Later the processor lets it again."""
    REVOKE = "revoke"
    """Later the provider takes back what lets us have it paid."""


class OnboardingWorld(abc.ABC):
    """A plug-in that connects accounts, and a processor with levers."""

    plugin: PaymentPlugin
    secret: str = ""

    def connect_request(self, **changes: Any) -> ConnectRequest:
        """Make a request for a new provider."""
        number = next(_numbers)
        request = ConnectRequest(
            key=f"o-{number}-{id(self)}"[:40],
            onboarding_ref="",
            name="Fundação Rio Verde",
            country="BR",
            email="rio@example.org",
            locale="es",
            return_url="https://shop.example/es/provider/payouts/back",
            refresh_url="https://shop.example/es/provider/payouts/again",
        )
        return dataclasses.replace(request, **changes)

    @abc.abstractmethod
    def pay_request(self, payee: Payee) -> PaymentRequest:
        """Make a request to pay ``payee``."""

    @abc.abstractmethod
    def go(self, step: Step, connection: Connection, account: Payee) -> None:
        """Do it, at the page that ``connection`` leads to, or later about ``account``."""

    @abc.abstractmethod
    def prepare(self, misdeed: Misdeed, *, reading: bool = False) -> None:
        """Do this wrong with the next call that changes something, or the next that reads."""

    @abc.abstractmethod
    def accounts(self) -> int:
        """Count the accounts that were made or connected through us."""

    @abc.abstractmethod
    def unreachable(self) -> PaymentPlugin:
        """Make a plug-in like ours to an address where nobody listens."""

    def next_account_delivery(self) -> Delivery | None:
        """Wait for the next webhook; None if the processor has none about accounts."""
        return None


class BaseOnboardingContract:
    """Every plug-in that connects accounts passes this, beside its payment contract."""

    def test_connects(self, world: OnboardingWorld) -> None:
        """It says so, and sends the provider where the pages allow."""
        assert world.plugin.connects
        connection = world.plugin.connect(world.connect_request())
        page = urlsplit(connection.url)
        assert f"{page.scheme}://{page.netloc}" in world.plugin.form_targets()
        assert 0 < len(connection.onboarding_ref) <= 127

    def test_nothing_is_ready_before_it_is_finished(self, world: OnboardingWorld) -> None:
        """A link alone, or one left half-way, connects nothing; what to do is said."""
        request = world.connect_request()
        connection = world.plugin.connect(request)
        for step in (None, Step.LEAVE):
            if step:
                world.go(step, connection, {})
            report = _looked(world, connection)
            assert report.status in WAITING
            assert report.todo and all(report.todo)

    def test_a_finished_account_can_be_paid(self, world: OnboardingWorld) -> None:
        """It is ready, its account passes the plug-in's own check, and is the one that is paid."""
        connection, report = _finished(world)
        assert report.status is PayoutStatus.READY
        assert not report.todo
        assert list(world.plugin.check_account(report.account)) == []
        assert world.plugin.start(world.pay_request(report.account)).processor_ref
        again = _looked(world, connection, report.account)
        assert (again.status, dict(again.account)) == (report.status, dict(report.account))

    def test_what_is_left_unfinished_goes_on(self, world: OnboardingWorld) -> None:
        """Connecting again gives a fresh link for the same account, not a second one."""
        request = world.connect_request()
        first = world.plugin.connect(request)
        world.go(Step.LEAVE, first, {})
        second = world.plugin.connect(
            dataclasses.replace(request, onboarding_ref=first.onboarding_ref)
        )
        assert second.onboarding_ref == first.onboarding_ref
        assert second.url != first.url
        world.go(Step.FINISH, second, {})
        assert _looked(world, second).status is PayoutStatus.READY
        assert world.accounts() == 1

    def test_a_lost_answer_makes_one_account(self, world: OnboardingWorld) -> None:
        """Silence is *unknown*; asked again under the same key there is one account."""
        for misdeed in (Misdeed.DROPPED, Misdeed.ERROR_AFTER, Misdeed.NONSENSE):
            before = world.accounts()
            request = world.connect_request()
            world.prepare(misdeed)
            with pytest.raises(OutcomeUnknownError):
                world.plugin.connect(request)
            connection = world.plugin.connect(request)
            world.go(Step.FINISH, connection, {})
            assert _looked(world, connection).status is PayoutStatus.READY
            assert world.accounts() == before + 1

    def test_an_error_says_nothing_of_an_account(self, world: OnboardingWorld) -> None:
        """A look that fails is neither ready nor revoked, and tells no secret."""
        connection, report = _finished(world)
        for misdeed in (Misdeed.ERROR_BEFORE, Misdeed.NONSENSE, Misdeed.DROPPED):
            world.prepare(misdeed, reading=True)
            with pytest.raises(OutcomeUnknownError) as caught:
                _looked(world, connection, report.account)
            assert not world.secret or world.secret not in f"{caught.value}"

    def test_unreachable_says_nothing_either(self, world: OnboardingWorld) -> None:
        """Where nobody listens nothing happened."""
        plugin = world.unreachable()
        with pytest.raises(UnavailableError):
            plugin.connect(world.connect_request())

    def test_another_providers_account_is_not_learnt(self, world: OnboardingWorld) -> None:
        """What one provider finishes says nothing about another."""
        mine = world.plugin.connect(world.connect_request())
        _, theirs = _finished(world)
        report = _looked(world, mine)
        assert report.status in WAITING
        assert dict(report.account) != dict(theirs.account)

    def test_failed_checks_are_not_ready(self, world: OnboardingWorld) -> None:
        """An account with something wrong is not ready, and what to do is said."""
        connection = world.plugin.connect(world.connect_request())
        world.go(Step.FAIL, connection, {})
        report = _looked(world, connection)
        assert report.status in WAITING
        assert report.todo

    def test_restricted_later_and_restored(self, world: OnboardingWorld) -> None:
        """What the processor changes later shows at the next look, in both directions."""
        connection, ready = _finished(world)
        world.go(Step.RESTRICT, connection, ready.account)
        limited = _looked(world, connection, ready.account)
        assert limited.status is PayoutStatus.LIMITED
        assert limited.todo
        with pytest.raises(PayeeNotReadyError):
            world.plugin.start(world.pay_request(ready.account))
        world.go(Step.RESTORE, connection, ready.account)
        assert _looked(world, connection, ready.account).status is PayoutStatus.READY

    def test_revoked_later(self, world: OnboardingWorld) -> None:
        """An account we may no longer have paid is revoked, which is an answer, no error."""
        connection, ready = _finished(world)
        world.go(Step.REVOKE, connection, ready.account)
        report = _looked(world, connection, ready.account)
        assert report.status is PayoutStatus.REVOKED
        assert report.todo
        with pytest.raises(PayeeNotReadyError):
            world.plugin.start(world.pay_request(ready.account))

    def test_webhooks_name_the_account(self, world: OnboardingWorld) -> None:
        """If the processor rings for accounts, the bell says for which."""
        connection, ready = _finished(world)
        delivery = world.next_account_delivery()
        if delivery is not None:
            notice = world.plugin.read_webhook(delivery)  # type: ignore[attr-defined]
            name = world.plugin.payee_account(ready.account)
            assert {connection.onboarding_ref, name} & set(notice.account_refs)
            assert not notice.processor_refs


def _looked(
    world: OnboardingWorld, connection: Connection, account: Payee | None = None
) -> AccountReport:
    key = f"t-{next(_numbers)}-{id(world)}"[:40]
    return world.plugin.inspect(account or {}, connection.onboarding_ref, key=key)


def _finished(world: OnboardingWorld) -> tuple[Connection, AccountReport]:
    connection = world.plugin.connect(world.connect_request())
    world.go(Step.FINISH, connection, {})
    report = _looked(world, connection)
    assert report.account, "a finished account is known by name"
    return connection, report


__all__ = ["BaseOnboardingContract", "OnboardingWorld", "Step"]

"""Each test of the onboarding contract catches a plug-in with the fault it is about.

A mutant is the good Stripe or PayPal plug-in, spoilt in one way.
"""

from __future__ import annotations

import dataclasses
from typing import Any

import pytest

from cnn_offset.domain.status import PayoutStatus
from cnn_offset.plugins.errors import (
    OutcomeUnknownError,
    PluginError,
    RefusedError,
    UnavailableError,
)
from cnn_offset.plugins.payments.base import (
    AccountReport,
    Connection,
    ConnectRequest,
    Delivery,
    Notice,
    Payee,
)
from cnn_offset.plugins.payments.paypal import PayPal
from cnn_offset.plugins.payments.stripe_connect import StripeConnect
from cnn_offset.testing.payment_accounts import BaseOnboardingContract

from .payment_worlds import (
    PayPalPartnerWorld,
    SandboxProcessorWorld,
    StripeAccountWorld,
    processor_world,
)

READY, LIMITED, REVOKED = PayoutStatus.READY, PayoutStatus.LIMITED, PayoutStatus.REVOKED


class SaysItDoesNot(StripeConnect):
    """Connects accounts, and says that it does not."""

    @property
    def connects(self) -> bool:
        return False


class ForgetsTheTarget(StripeConnect):
    """Does not say where providers are sent, so that the browser refuses to go."""

    def form_targets(self) -> list[str]:
        return []


class ReadyAtOnce(StripeConnect):
    """Takes an account that exists for one that can be paid."""

    def inspect(self, account: Payee, onboarding_ref: str, *, key: str) -> AccountReport:
        return AccountReport(READY, (), {"account": onboarding_ref})


class SaysNotWhatToDo(StripeConnect):
    """Leaves the provider to guess."""

    def inspect(self, account: Payee, onboarding_ref: str, *, key: str) -> AccountReport:
        report = super().inspect(account, onboarding_ref, key=key)
        return dataclasses.replace(report, todo=())


class ForgetsTheAccount(StripeConnect):
    """Does not tell what is to be paid."""

    def inspect(self, account: Payee, onboarding_ref: str, *, key: str) -> AccountReport:
        report = super().inspect(account, onboarding_ref, key=key)
        return dataclasses.replace(report, account={})


class BeginsAnew(StripeConnect):
    """Makes another account each time."""

    def connect(self, request: ConnectRequest) -> Connection:
        number = getattr(self, "_number", 0) + 1
        self._number = number
        return super().connect(
            dataclasses.replace(request, key=f"{request.key[:36]}-{number}", onboarding_ref="")
        )


class OneLink(StripeConnect):
    """Gives the link of before, which is used up."""

    def connect(self, request: ConnectRequest) -> Connection:
        links = self.__dict__.setdefault("_links", {})
        if request.key not in links:
            links[request.key] = super().connect(request)
        return links[request.key]


class TakesSilenceForNo(StripeConnect):
    """Concludes something from no answer."""

    def connect(self, request: ConnectRequest) -> Connection:
        try:
            return super().connect(request)
        except OutcomeUnknownError as error:
            raise RefusedError(str(error)) from None

    def inspect(self, account: Payee, onboarding_ref: str, *, key: str) -> AccountReport:
        try:
            return super().inspect(account, onboarding_ref, key=key)
        except OutcomeUnknownError:
            return AccountReport(REVOKED, ["Connect again."])


class CannotTellRefusedConnection(StripeConnect):
    """Thinks that something may have happened where nothing can."""

    def connect(self, request: ConnectRequest) -> Connection:
        try:
            return super().connect(request)
        except UnavailableError as error:
            raise OutcomeUnknownError(str(error)) from None


class BelievesTheNewest(PayPal):
    """Takes whoever came last for the provider who asks, as a return address might say."""

    def inspect(self, account: Payee, onboarding_ref: str, *, key: str) -> AccountReport:
        report = super().inspect(account, onboarding_ref, key=key)
        if report.account:
            type(self).newest = dict(report.account)  # type: ignore[attr-defined]
            return report
        newest = getattr(type(self), "newest", None)
        return AccountReport(READY, (), newest) if newest else report


class LooksOnce(StripeConnect):
    """Goes on saying what it found first."""

    def inspect(self, account: Payee, onboarding_ref: str, *, key: str) -> AccountReport:
        kept = self.__dict__.setdefault("_kept", {})
        if onboarding_ref not in kept:
            kept[onboarding_ref] = super().inspect(account, onboarding_ref, key=key)
        return kept[onboarding_ref]


class IgnoresRestrictions(PayPal):
    """Only asks whether the provider has agreed."""

    def inspect(self, account: Payee, onboarding_ref: str, *, key: str) -> AccountReport:
        report = super().inspect(account, onboarding_ref, key=key)
        if report.status is LIMITED:
            return AccountReport(READY, (), report.account)
        return report


class RaisesWhenRevoked(StripeConnect):
    """Takes a clear answer for an error, so that it is asked for ever."""

    def inspect(self, account: Payee, onboarding_ref: str, *, key: str) -> AccountReport:
        report = super().inspect(account, onboarding_ref, key=key)
        if report.status is REVOKED:
            raise OutcomeUnknownError("no access")
        return report


class NamesNothing(StripeConnect):
    """Hears the bell but not for whom."""

    def read_webhook(self, delivery: Delivery) -> Notice:
        return Notice(super().read_webhook(delivery).event_id, [])


MUTANTS: list[tuple[str, type[SandboxProcessorWorld], type[Any]]] = [
    ("connects", StripeAccountWorld, SaysItDoesNot),
    ("connects", StripeAccountWorld, ForgetsTheTarget),
    ("nothing_is_ready_before_it_is_finished", StripeAccountWorld, ReadyAtOnce),
    ("nothing_is_ready_before_it_is_finished", StripeAccountWorld, SaysNotWhatToDo),
    ("a_finished_account_can_be_paid", StripeAccountWorld, ForgetsTheAccount),
    ("what_is_left_unfinished_goes_on", StripeAccountWorld, BeginsAnew),
    ("what_is_left_unfinished_goes_on", StripeAccountWorld, OneLink),
    ("a_lost_answer_makes_one_account", StripeAccountWorld, BeginsAnew),
    ("a_lost_answer_makes_one_account", StripeAccountWorld, TakesSilenceForNo),
    ("an_error_says_nothing_of_an_account", StripeAccountWorld, TakesSilenceForNo),
    ("unreachable_says_nothing_either", StripeAccountWorld, CannotTellRefusedConnection),
    ("another_providers_account_is_not_learnt", PayPalPartnerWorld, BelievesTheNewest),
    ("failed_checks_are_not_ready", PayPalPartnerWorld, IgnoresRestrictions),
    ("restricted_later_and_restored", StripeAccountWorld, LooksOnce),
    ("restricted_later_and_restored", PayPalPartnerWorld, IgnoresRestrictions),
    ("revoked_later", StripeAccountWorld, RaisesWhenRevoked),
    ("revoked_later", StripeAccountWorld, LooksOnce),
    ("webhooks_name_the_account", StripeAccountWorld, NamesNothing),
]


@pytest.mark.parametrize(
    ("test", "kind", "mutant"),
    MUTANTS,
    ids=[f"{test}-{mutant.__name__}" for test, _, mutant in MUTANTS],
)
def test_contract_catches(
    test: str, kind: type[SandboxProcessorWorld], mutant: type[Any], sandbox: Any, free_port: int
) -> None:
    class Spoilt(kind):  # type: ignore[misc,valid-type]
        pass

    Spoilt.kind = mutant
    with (
        processor_world(Spoilt, sandbox.url, free_port) as world,
        pytest.raises((AssertionError, PluginError, pytest.fail.Exception)),
    ):
        getattr(BaseOnboardingContract(), f"test_{test}")(world)


def test_every_test_of_the_contract_has_its_mutant() -> None:
    tests = {name[5:] for name in dir(BaseOnboardingContract) if name.startswith("test_")}
    assert tests == {test for test, _, _ in MUTANTS}

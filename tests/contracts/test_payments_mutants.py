"""Each test of the payment contracts catches a plug-in with the fault it is about.

A mutant is the good PayPal or bank transfer plug-in, spoilt in one way.
"""

from __future__ import annotations

import dataclasses
import inspect
import socket
import threading
import time
import uuid
from collections.abc import Callable, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from cnn_offset.domain.money import Money
from cnn_offset.domain.payment import Fact, FactKind, FactStatus
from cnn_offset.domain.statement import Statement, UnreadableStatementError
from cnn_offset.domain.status import PayoutStatus
from cnn_offset.plugins.errors import (
    ForgedError,
    OutcomeUnknownError,
    PayeeNotReadyError,
    PluginError,
    RefusedError,
    UnavailableError,
)
from cnn_offset.plugins.payments.bank_transfer import BankTransfer
from cnn_offset.plugins.payments.base import (
    AccountReport,
    Delivery,
    Instructions,
    Notice,
    PaymentPlugin,
    PaymentRequest,
    Redirect,
)
from cnn_offset.plugins.payments.paypal import PayPal, PayPalSettings
from cnn_offset.testing.payment_fees import BaseFeeContract
from cnn_offset.testing.payments import BaseProcessorContract, BaseStatementContract

from .payment_worlds import BankWorld, PayPalWorld, processor_world

Facts = Sequence[Fact]
NOW = datetime(2026, 11, 22, tzinfo=UTC)


class Nameless(PayPal):
    """Has no title."""

    title = ""


class TakesAnySetting(PayPal):
    """Its settings swallow a typo."""

    class Settings(PayPalSettings):
        model_config = {"extra": "ignore"}


class PrintsTheSecret(PayPal):
    """Shows its secret to whoever prints it."""

    def __repr__(self) -> str:
        return f"PayPal({self._own.client_secret.get_secret_value()})"


class SupportsAnything(PayPal):
    """Would sell for nothing."""

    def supports(self, amount: Money) -> bool:
        return True


class Rounds(PayPal):
    """Rounds what PayPal cannot express."""

    def supports(self, amount: Money) -> bool:
        return amount.minor > 0

    def start(self, request: PaymentRequest) -> Redirect:
        return super().start(dataclasses.replace(request, amount=Money(100, "EUR")))


class AcceptsAnyAccount(PayPal):
    """Never finds fault with an account."""

    def check_account(self, payee: Any) -> Sequence[str]:
        return []


class FillsInAnAccount(PayPal):
    """Pays somebody where it does not know whom."""

    def start(self, request: PaymentRequest) -> Redirect:
        payee = PayPalWorld.payee if self.check_account(request.payee) else request.payee
        return super().start(dataclasses.replace(request, payee=payee))


class FindsAllWell(PayPal):
    """Does not look at accounts, and calls them ready."""

    def inspect(self, account: Any, onboarding_ref: str, *, key: str) -> AccountReport:
        return AccountReport(PayoutStatus.READY)


class OneNameForAll(PayPal):
    """Names every account alike, so that the wrong payee would not be noticed."""

    def payee_account(self, payee: Any) -> str:
        return "PayPal"


class OpensAnew(PayPal):
    """Uses another idempotency key each time."""

    def __init__(self, settings: PayPalSettings) -> None:
        super().__init__(settings)
        create = self._client.create_order
        self._client.create_order = (  # type: ignore[method-assign]
            lambda body, *, request_id: create(body, request_id=uuid.uuid4().hex)
        )


class SendsNowhere(PayPal):
    """Gives an address that is none."""

    def start(self, request: PaymentRequest) -> Redirect:
        return Redirect(super().start(request).processor_ref, "pay here")


class ForgetsTheTarget(PayPal):
    """Does not say where the payer is sent, so that the browser refuses to go."""

    def form_targets(self) -> Sequence[str]:
        return ()


class TakesSilenceForNo(PayPal):
    """Says *refused* or *failed* where it does not know."""

    def start(self, request: PaymentRequest) -> Redirect:
        try:
            return super().start(request)
        except OutcomeUnknownError as error:
            raise RefusedError(str(error)) from None

    def fetch(self, payee: Any, processor_ref: str, *, key: str, may_capture: bool) -> Facts:
        try:
            return super().fetch(payee, processor_ref, key=key, may_capture=may_capture)
        except OutcomeUnknownError:
            return [_said(processor_ref, FactStatus.FAILED)]


class BlamesThePayer(PayPal):
    """Does not tell whose matter it is."""

    def start(self, request: PaymentRequest) -> Redirect:
        try:
            return super().start(request)
        except PayeeNotReadyError as error:
            raise RefusedError(str(error)) from None


class CannotTellRefusedConnection(PayPal):
    """Thinks that something may have happened where nothing can."""

    def start(self, request: PaymentRequest) -> Redirect:
        try:
            return super().start(request)
        except UnavailableError as error:
            raise OutcomeUnknownError(str(error)) from None


class GivesUpAtOnce(PayPal):
    """Takes no news for bad news."""

    def fetch(self, payee: Any, processor_ref: str, *, key: str, may_capture: bool) -> Facts:
        facts = super().fetch(payee, processor_ref, key=key, may_capture=may_capture)
        return facts or [_said(processor_ref, FactStatus.ABANDONED)]


class PaysThePlatform(PayPal):
    """Lets the money go to somebody else."""

    def start(self, request: PaymentRequest) -> Redirect:
        payee = {"merchant_id": "QQQQQQQQQQQQQ"}
        return super().start(dataclasses.replace(request, payee=payee))


class HearsOneCentMore(PayPal):
    """Reports another amount than was paid."""

    def _facts(self, order: Any) -> list[Fact]:
        return [
            dataclasses.replace(each, amount=Money(each.amount.minor + 1, each.amount.currency))
            for each in super()._facts(order)
            if each.amount
        ]


class PaysTheFirst(PayPal):
    """Goes on paying whom it paid first."""

    def start(self, request: PaymentRequest) -> Redirect:
        return super().start(dataclasses.replace(request, payee=PayPalWorld.payee))


class CapturesAlways(PayPal):
    """Takes money though the units may be gone."""

    def fetch(self, payee: Any, processor_ref: str, *, key: str, may_capture: bool) -> Facts:
        return super().fetch(payee, processor_ref, key=key, may_capture=True)


class NewNameEachTime(PayPal):
    """Gives the same capture another name each time, so that it would count twice."""

    def _facts(self, order: Any) -> list[Fact]:
        return [dataclasses.replace(each, ref=uuid.uuid4().hex) for each in super()._facts(order)]


class LoserFails(PayPal):
    """Cannot be asked by two at once."""

    def __init__(self, settings: PayPalSettings) -> None:
        super().__init__(settings)
        self._alone = threading.Lock()

    def fetch(self, payee: Any, processor_ref: str, *, key: str, may_capture: bool) -> Facts:
        if not self._alone.acquire(blocking=False):
            raise RefusedError("busy")
        try:
            time.sleep(0.02)
            return super().fetch(payee, processor_ref, key=key, may_capture=may_capture)
        finally:
            self._alone.release()


class TellsTheSecret(PayPal):
    """Puts its secret into error texts."""

    def start(self, request: PaymentRequest) -> Redirect:
        try:
            return super().start(request)
        except OutcomeUnknownError:
            raise OutcomeUnknownError(self._own.client_secret.get_secret_value()) from None


class Rewords(PayPal):
    """Takes one status for another."""

    heard: FactStatus
    said: FactStatus

    def _facts(self, order: Any) -> list[Fact]:
        return [
            dataclasses.replace(each, status=self.said) if each.status is self.heard else each
            for each in super()._facts(order)
        ]


class TakesPendingForDone(Rewords):
    """Decides on the order's status, where the capture's is still pending."""

    heard, said = FactStatus.PENDING, FactStatus.DONE


class ForgetsBounces(Rewords):
    """Waits for ever."""

    heard, said = FactStatus.FAILED, FactStatus.PENDING


class Guesses(Rewords):
    """Takes a strange word for a good one."""

    heard, said = FactStatus.UNKNOWN, FactStatus.DONE


class LivesElsewhere(PayPal):
    """Leaves the time zone out."""

    def _facts(self, order: Any) -> list[Fact]:
        return [
            dataclasses.replace(each, at=each.at.replace(tzinfo=None))
            for each in super()._facts(order)
        ]


class SharesState(PayPal):
    """Keeps a payment's request where another thread overwrites it."""

    def start(self, request: PaymentRequest) -> Redirect:
        self._request = request
        time.sleep(0.05)
        return super().start(self._request)


class AbandonsNothing(PayPal):
    """Looks, but does not close."""

    def abandon(self, payee: Any, processor_ref: str, *, key: str) -> Facts:
        return self.fetch(payee, processor_ref, key=key, may_capture=False)


class AbandonsBlindly(PayPal):
    """Calls the payment abandoned without a look."""

    def abandon(self, payee: Any, processor_ref: str, *, key: str) -> Facts:
        return [_said(processor_ref, FactStatus.ABANDONED)]


class RefundsEachTime(PayPal):
    """Gives back again when asked again."""

    def refund(self, payee: Any, processor_ref: str, amount: Money, *, key: str) -> Facts:
        return super().refund(payee, processor_ref, amount, key=uuid.uuid4().hex)


class SeesPaymentsOnly(PayPal):
    """Does not look at refunds and disputes."""

    def _facts(self, order: Any) -> list[Fact]:
        return [each for each in super()._facts(order) if each.kind is FactKind.PAYMENT]


class NamesNothing(PayPal):
    """Hears the bell but not for whom."""

    def read_webhook(self, delivery: Delivery) -> Notice:
        return Notice(super().read_webhook(delivery).event_id, [])


class NamesEventsAnew(PayPal):
    """Gives a repeated delivery another name, so that it is stored twice."""

    def read_webhook(self, delivery: Delivery) -> Notice:
        return Notice(uuid.uuid4().hex, super().read_webhook(delivery).processor_refs)


class BelievesEverybody(PayPal):
    """Does not ask whether PayPal sent it."""

    def read_webhook(self, delivery: Delivery) -> Notice:
        try:
            return super().read_webhook(delivery)
        except ForgedError:
            return Notice("1", ["ORDER"])


class IgnoresTime(PayPal):
    """Takes deliveries of any age."""

    def read_webhook(self, delivery: Delivery) -> Notice:
        sent = datetime.fromisoformat(delivery.headers["paypal-transmission-time"])
        return super().read_webhook(dataclasses.replace(delivery, received_at=sent))


class NoStatement(PaymentPlugin):
    """Is of neither kind."""

    id, title, account_fields = "none", "None", BankTransfer.account_fields
    slowest, due_within = BankTransfer.slowest, timedelta(days=90)

    def payee_account(self, payee: Any) -> str:
        return "account"

    def start(self, request: PaymentRequest) -> Instructions:
        return Instructions(request.reference, [])


class ForgetsTheReference(BankTransfer):
    """Leaves out what the provider finds the money by."""

    def start(self, request: PaymentRequest) -> Instructions:
        done = super().start(request)
        kept = [each for each in done.lines if "reference" not in each[0]]
        return dataclasses.replace(done, lines=kept)


class CallsOutside(BankTransfer):
    """Asks somebody for the bank's name."""

    def start(self, request: PaymentRequest) -> Instructions:
        with socket.socket() as line:
            line.connect(("127.0.0.1", 9))
        return super().start(request)


class IgnoresFees(BankTransfer):
    """Leaves a fee out without a word."""

    def check_fee(self, request: PaymentRequest) -> None:
        return


class ForgetsTheSign(BankTransfer):
    """Takes money that went for money that came."""

    def read_statement(self, data: bytes, mapping: Any = None) -> Sequence[Statement]:
        return [
            dataclasses.replace(
                each,
                lines=[
                    dataclasses.replace(line, amount=Money(abs(line.amount.minor), "EUR"))
                    for line in each.lines
                ],
            )
            for each in super().read_statement(data, mapping)
        ]


class BelievesAnyStatement(BankTransfer):
    """Takes what cannot be read for a statement of nothing."""

    def read_statement(self, data: bytes, mapping: Any = None) -> Sequence[Statement]:
        try:
            return super().read_statement(data, mapping)
        except UnreadableStatementError:
            return []


def _said(ref: str, status: FactStatus) -> Fact:
    return Fact(FactKind.PAYMENT, ref, status, None, None, NOW)


MUTANTS: list[tuple[str, type[PayPal]]] = [
    ("declares_itself", Nameless),
    ("settings_refuse_a_typo", TakesAnySetting),
    ("secrets_do_not_show", PrintsTheSecret),
    ("supports_what_can_be_paid", SupportsAnything),
    ("refuses_what_it_cannot_express", Rounds),
    ("checks_accounts", AcceptsAnyAccount),
    ("inspects_accounts", FindsAllWell),
    ("does_not_start_for_a_bad_account", FillsInAnAccount),
    ("names_accounts", OneNameForAll),
    ("start_repeats", OpensAnew),
    ("start_sends_the_payer_to_a_page", SendsNowhere),
    ("start_sends_the_payer_to_a_page", ForgetsTheTarget),
    ("start_repeats_at_the_processor", OpensAnew),
    ("start_survives_a_lost_answer", OpensAnew),
    ("start_survives_a_lost_answer", TakesSilenceForNo),
    ("a_payee_not_ready_is_said_so", BlamesThePayer),
    ("unreachable_is_not_unknown", CannotTellRefusedConnection),
    ("an_unpaid_payment_is_no_news", GivesUpAtOnce),
    ("pays_exactly_and_to_the_payee", PaysThePlatform),
    ("pays_exactly_and_to_the_payee", HearsOneCentMore),
    ("pays_the_payee_of_the_request", PaysTheFirst),
    ("takes_money_only_if_it_may", CapturesAlways),
    ("asking_again_takes_once", NewNameEachTime),
    ("asking_again_takes_once", LoserFails),
    ("a_lost_answer_is_unknown_and_heals", TakesSilenceForNo),
    ("an_error_is_not_a_failed_payment", TakesSilenceForNo),
    ("errors_do_not_tell_secrets", TellsTheSecret),
    ("a_declined_card_takes_nothing", GivesUpAtOnce),
    ("slow_money_is_not_paid_before_it_comes", TakesPendingForDone),
    ("slow_money_can_bounce", ForgetsBounces),
    ("a_strange_word_goes_to_a_person", Guesses),
    ("facts_have_a_time", LivesElsewhere),
    ("threads_do_not_mix", SharesState),
    ("abandon_closes_the_door", AbandonsNothing),
    ("abandon_does_not_unpay", AbandonsBlindly),
    ("abandon_sees_slow_money", AbandonsBlindly),
    ("refunds_once_for_a_key", RefundsEachTime),
    ("sees_a_refund_made_elsewhere", SeesPaymentsOnly),
    ("sees_a_dispute", SeesPaymentsOnly),
    ("webhooks_name_the_payment", NamesNothing),
    ("webhooks_have_one_name", NamesEventsAnew),
    ("webhooks_with_another_body_are_forged", BelievesEverybody),
    ("webhooks_with_another_signature_are_forged", BelievesEverybody),
    ("webhooks_of_other_times_are_forged", IgnoresTime),
]
STATEMENT_MUTANTS: list[tuple[str, type[PaymentPlugin]]] = [
    ("is_a_statement_plugin", NoStatement),
    ("instructions_say_what_to_write", ForgetsTheReference),
    ("reads_statements", ForgetsTheSign),
    ("refuses_a_statement_that_does_not_add_up", BelievesAnyStatement),
    ("refuses_what_is_no_statement", BelievesAnyStatement),
    ("calls_nobody", CallsOutside),
    ("takes_no_fee", IgnoresFees),
]
CAUGHT = (AssertionError, PluginError, pytest.fail.Exception)


def _names(contract: type) -> set[str]:
    return {name[5:] for name in dir(contract) if name.startswith("test_")}


def _call(test: Callable[..., None], world: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    wants_patches = "monkeypatch" in inspect.signature(test).parameters
    test(world, monkeypatch) if wants_patches else test(world)


@pytest.mark.parametrize(
    ("test", "mutant"), MUTANTS, ids=[f"{test}-{kind.__name__}" for test, kind in MUTANTS]
)
def test_contract_catches(
    test: str,
    mutant: type[PayPal],
    sandbox: Any,
    free_port: int,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    with processor_world(PayPalWorld, sandbox.url, free_port) as world:
        world.kind = mutant
        world.plugin = world.made(f"{sandbox.url}/paypal")
        with pytest.raises(CAUGHT):
            _call(getattr(BaseProcessorContract(), f"test_{test}"), world, monkeypatch)


@pytest.mark.parametrize(("test", "mutant"), STATEMENT_MUTANTS)
def test_statement_contract_catches(
    test: str, mutant: type[PaymentPlugin], monkeypatch: pytest.MonkeyPatch
) -> None:
    world = BankWorld()
    world.plugin = mutant(mutant.Settings())
    with pytest.raises(CAUGHT):
        _call(getattr(BaseStatementContract(), f"test_{test}"), world, monkeypatch)


def test_every_test_of_the_contracts_has_its_mutant() -> None:
    # Those about fees: test_payment_fee_mutants.py.
    assert {test for test, _ in MUTANTS} == _names(BaseProcessorContract) - _names(BaseFeeContract)
    caught = {test for test, _ in MUTANTS + STATEMENT_MUTANTS}
    assert _names(BaseStatementContract) <= caught

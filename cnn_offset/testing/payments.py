"""The contracts of payment plug-ins: one for processors, one for bank statements.

    class TestMine(BaseProcessorContract):
        @pytest.fixture
        def world(self):
            with my_processors_sandbox() as sandbox:
                yield MyWorld(sandbox)      # a ProcessorWorld

The world is a plug-in, a processor that can be told to misbehave, somebody who pays, and the
processor's own books. All the contract knows of the plug-in is its interface.
"""

from __future__ import annotations

import dataclasses
import socket
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import urlsplit

import pytest
from pydantic import ValidationError

from cnn_offset.domain.money import Money
from cnn_offset.domain.payment import Fact, Verdict, derive, judge
from cnn_offset.domain.statement import UnreadableStatementError, is_same_account
from cnn_offset.domain.status import PaymentStatus, PayoutStatus
from cnn_offset.plugins.errors import (
    ForgedError,
    OutcomeUnknownError,
    PayeeNotReadyError,
    PluginError,
    RefusedError,
    UnavailableError,
    UnsupportedError,
)
from cnn_offset.plugins.payments.base import (
    Delivery,
    Instructions,
    PaymentPlugin,
    PaymentRequest,
    Redirect,
    StatementPlugin,
)
from cnn_offset.plugins.settings import PluginSettings
from cnn_offset.testing.payment_fees import BaseFeeContract
from cnn_offset.testing.payment_worlds import (
    Act,
    Books,
    Misdeed,
    PaymentWorld,
    ProcessorWorld,
    StatementWorld,
)

__all__ = [
    "Act",
    "BaseProcessorContract",
    "BaseStatementContract",
    "Books",
    "Misdeed",
    "PaymentWorld",
    "ProcessorWorld",
    "StatementWorld",
]


class BasePaymentContract:
    """What every payment plug-in keeps; use one of the two below."""

    def test_declares_itself(self, world: PaymentWorld) -> None:
        """Its class says what it is and how long it takes."""
        plugin = world.plugin
        names = [each.name for each in plugin.account_fields]
        assert plugin.id and plugin.title, "id and title are needed"
        assert plugin.api_version == PaymentPlugin.api_version
        assert issubclass(plugin.Settings, PluginSettings)
        assert names and len(names) == len(set(names)), "account fields need names of their own"
        assert all(each.label for each in plugin.account_fields)
        assert plugin.slowest > timedelta(0)
        assert plugin.due_within > timedelta(0)

    def test_settings_refuse_a_typo(self, world: PaymentWorld) -> None:
        """An unknown key is an error, not ignored."""
        settings = world.plugin.settings
        with pytest.raises(ValidationError):
            type(settings).model_validate(dict(settings) | {"no_such_setting": 1})

    def test_secrets_do_not_show(self, world: PaymentWorld) -> None:
        """Neither plug-in nor settings print the secret."""
        shown = f"{world.plugin!r} {world.plugin.settings!r} {world.plugin.settings}"
        assert not world.secret or world.secret not in shown

    def test_supports_what_can_be_paid(self, world: PaymentWorld) -> None:
        """The contract's amount can be paid; nothing and less than nothing cannot."""
        currency = world.amount.currency
        assert world.plugin.supports(world.amount)
        assert not world.plugin.supports(Money(0, currency))
        assert not world.plugin.supports(Money(-1, currency))

    def test_refuses_what_it_cannot_express(self, world: PaymentWorld) -> None:
        """An amount the processor cannot write is refused, not rounded."""
        for amount in world.unsupported:
            assert not world.plugin.supports(amount), amount
            with pytest.raises(UnsupportedError):
                world.plugin.start(world.request(amount=amount))

    def test_checks_accounts(self, world: PaymentWorld) -> None:
        """A good account passes; an empty or malformed one is explained."""
        assert list(world.plugin.check_account(world.payee)) == []
        for payee in ({}, *world.bad_payees):
            complaints = world.plugin.check_account(payee)
            assert complaints and all(complaints), payee

    def test_inspects_accounts(self, world: PaymentWorld) -> None:
        """A good account is ready; one whose form is wrong is not, and why is said."""
        key = f"t-{id(world)}"
        assert world.plugin.inspect(world.payee, "", key=key).status is PayoutStatus.READY
        for payee in world.bad_payees:
            report = world.plugin.inspect(payee, "", key=key)
            assert report.status is not PayoutStatus.READY, payee
            assert report.todo, payee

    def test_does_not_start_for_a_bad_account(self, world: PaymentWorld) -> None:
        """What ``check_account`` complains about is not paid either."""
        for payee in ({}, *world.bad_payees):
            with pytest.raises(PayeeNotReadyError):
                world.plugin.start(world.request(payee=payee))

    def test_names_accounts(self, world: PaymentWorld) -> None:
        """Two accounts have two names, and each always the same."""
        name, other = map(world.plugin.payee_account, (world.payee, world.other_payee))
        assert name and other and name != other
        assert world.plugin.payee_account(dict(world.payee)) == name

    def test_start_repeats(self, world: PaymentWorld) -> None:
        """The same request gives the same payment; another key gives another."""
        request = world.request()
        first = world.plugin.start(request)
        assert first.processor_ref
        assert world.plugin.start(request) == first
        assert world.plugin.start(world.request()).processor_ref != first.processor_ref


class BaseProcessorContract(BaseFeeContract, BasePaymentContract):
    """Every processor plug-in passes this; subclass it and add a fixture ``world``."""

    # Opening

    def test_start_sends_the_payer_to_a_page(self, world: ProcessorWorld) -> None:
        """The payer is sent where the pages allow, and one payment is open, unpaid."""
        request, redirect = _started(world)
        page = urlsplit(redirect.url)
        assert page.scheme in {"http", "https"}
        assert f"{page.scheme}://{page.netloc}" in world.plugin.form_targets()
        books = world.books(request.key)
        assert (books.opened, books.taken.minor) == (1, 0)

    def test_start_repeats_at_the_processor(self, world: ProcessorWorld) -> None:
        """Starting again opens nothing new there either."""
        request, _ = _started(world)
        world.plugin.start(request)
        assert world.books(request.key).opened == 1

    def test_start_survives_a_lost_answer(self, world: ProcessorWorld) -> None:
        """Silence after the deed is *unknown*; asked again, there is one payment."""
        for misdeed in (Misdeed.DROPPED, Misdeed.ERROR_AFTER, Misdeed.NONSENSE):
            request = world.request()
            world.prepare(misdeed)
            with pytest.raises(OutcomeUnknownError):
                world.plugin.start(request)
            assert isinstance(world.plugin.start(request), Redirect)
            assert world.books(request.key).opened == 1, misdeed

    def test_a_payee_not_ready_is_said_so(self, world: ProcessorWorld) -> None:
        """A restricted account is the provider's matter, not the payer's."""
        world.restrict()
        with pytest.raises(PayeeNotReadyError):
            world.plugin.start(world.request())

    def test_unreachable_is_not_unknown(self, world: ProcessorWorld) -> None:
        """Where no connection was made, nothing can have happened."""
        with pytest.raises(UnavailableError):
            world.unreachable().start(world.request())

    # Asking

    def test_an_unpaid_payment_is_no_news(self, world: ProcessorWorld) -> None:
        """Before the payer acts, the facts decide nothing."""
        request, redirect = _started(world)
        assert derive(_fetched(world, request, redirect)) is None

    def test_pays_exactly_and_to_the_payee(self, world: ProcessorWorld) -> None:
        """Facts and the processor's books agree on amount and payee."""
        request, redirect = _started(world)
        world.act(Act.PAY, redirect)
        _expect_exact(world, request, _fetched(world, request, redirect))

    def test_pays_the_payee_of_the_request(self, world: ProcessorWorld) -> None:
        """Another provider's payment goes to that provider and is reported so."""
        request, redirect = _started(world, payee=world.other_payee)
        world.act(Act.PAY, redirect)
        _expect_exact(world, request, _fetched(world, request, redirect))

    def test_takes_money_only_if_it_may(self, world: ProcessorWorld) -> None:
        """Without ``may_capture`` approved money stays with the payer."""
        request, redirect = _started(world)
        world.act(Act.PAY, redirect)
        facts = _fetched(world, request, redirect, may_capture=False)
        if not world.takes_itself:
            assert world.books(request.key).taken.minor == 0
            assert derive(facts) is None

    def test_asking_again_takes_once(self, world: ProcessorWorld) -> None:
        """Asked by four at once and once more, the money is taken once."""
        request, redirect = _started(world)
        world.act(Act.PAY, redirect)
        with ThreadPoolExecutor(4) as pool:
            asked = [pool.submit(_fetched, world, request, redirect) for _ in range(4)]
        # A loser of the race may be told to ask again, but nothing worse.
        assert all(
            isinstance(each.exception(), (OutcomeUnknownError, type(None))) for each in asked
        )
        first = _fetched(world, request, redirect)
        assert first == _fetched(world, request, redirect)
        _expect_exact(world, request, first)

    def test_a_lost_answer_is_unknown_and_heals(self, world: ProcessorWorld) -> None:
        """Silence while money is taken is neither paid nor failed; asked again it is paid."""
        for misdeed in (Misdeed.DROPPED, Misdeed.ERROR_AFTER, Misdeed.NONSENSE):
            request, redirect = _started(world)
            world.act(Act.PAY, redirect)
            world.prepare(misdeed, reading=world.takes_itself)
            try:
                facts = _fetched(world, request, redirect)
            except OutcomeUnknownError:
                facts = _fetched(world, request, redirect)
            _expect_exact(world, request, facts)

    def test_an_error_is_not_a_failed_payment(self, world: ProcessorWorld) -> None:
        """A reading that fails says nothing about the payment."""
        request, redirect = _started(world)
        world.act(Act.PAY, redirect)
        for misdeed in (Misdeed.ERROR_BEFORE, Misdeed.NONSENSE, Misdeed.DROPPED):
            world.prepare(misdeed, reading=True)
            with pytest.raises(OutcomeUnknownError):
                _fetched(world, request, redirect)

    def test_errors_do_not_tell_secrets(self, world: ProcessorWorld) -> None:
        """Operators read error texts; the secret is not in them."""
        for misdeed in Misdeed:
            world.prepare(misdeed)
            with pytest.raises(PluginError) as caught:
                world.plugin.start(world.request())
            assert world.secret not in f"{caught.value} {caught.value!r}"

    def test_a_declined_card_takes_nothing(self, world: ProcessorWorld) -> None:
        """A decline is not paid; if the payment stays open, a second try pays it."""
        request, redirect = _started(world)
        world.act(Act.DECLINE, redirect)
        status = derive(_fetched(world, request, redirect))
        assert status in {None, PaymentStatus.FAILED}
        assert world.books(request.key).taken.minor == 0
        if status is None:
            world.act(Act.PAY, redirect)
            _expect_exact(world, request, _fetched(world, request, redirect))

    def test_slow_money_is_not_paid_before_it_comes(self, world: ProcessorWorld) -> None:
        """An e-check or a debit is processing until it clears."""
        request, redirect = _started(world)
        world.act(Act.PAY_SLOWLY, redirect)
        facts = _fetched(world, request, redirect)
        assert derive(facts) is PaymentStatus.PROCESSING
        world.act(Act.CLEAR, redirect)
        later = _fetched(world, request, redirect)
        _expect_exact(world, request, [*facts, *later])

    def test_slow_money_can_bounce(self, world: ProcessorWorld) -> None:
        """Money that does not come has failed, whatever was said before."""
        request, redirect = _started(world)
        world.act(Act.PAY_SLOWLY, redirect)
        facts = _fetched(world, request, redirect)
        world.act(Act.BOUNCE, redirect)
        later = _fetched(world, request, redirect)
        assert derive([*facts, *later]) is PaymentStatus.FAILED

    def test_a_strange_word_goes_to_a_person(self, world: ProcessorWorld) -> None:
        """A status nobody knows is not guessed at."""
        request, redirect = _started(world)
        world.act(Act.PAY, redirect)
        _fetched(world, request, redirect)
        world.act(Act.SPEAK_STRANGELY, redirect)
        assert derive(_fetched(world, request, redirect)) is PaymentStatus.IN_REVIEW

    def test_facts_have_a_time(self, world: ProcessorWorld) -> None:
        """Times carry a zone, and are not far from now."""
        request, redirect = _started(world)
        world.act(Act.PAY, redirect)
        for fact in _fetched(world, request, redirect):
            assert fact.at.tzinfo is not None
            assert abs(datetime.now(UTC) - fact.at) < timedelta(days=1)

    def test_threads_do_not_mix(self, world: ProcessorWorld) -> None:
        """Payments at the same time stay apart."""

        def buy(number: int) -> tuple[PaymentRequest, Sequence[Fact]]:
            amount = Money(world.amount.minor + number * 100, world.amount.currency)
            request, redirect = _started(world, amount=amount)
            world.act(Act.PAY, redirect)
            return request, _fetched(world, request, redirect)

        with ThreadPoolExecutor(4) as pool:
            for request, facts in pool.map(buy, range(4)):
                _expect_exact(world, request, facts)

    # Closing and giving back

    def test_abandon_closes_the_door(self, world: ProcessorWorld) -> None:
        """Once abandoned, no attempt of the payer brings money, and it may be repeated."""
        request, redirect = _started(world)
        for _ in range(2):
            assert derive(_abandoned(world, request, redirect)) is PaymentStatus.ABANDONED
        world.act(Act.PAY, redirect)
        _fetched(world, request, redirect, may_capture=False)
        assert world.books(request.key).taken.minor == 0

    def test_abandon_does_not_unpay(self, world: ProcessorWorld) -> None:
        """If the money has come, abandoning says so."""
        request, redirect = _started(world)
        world.act(Act.PAY, redirect)
        _fetched(world, request, redirect)
        _expect_exact(world, request, _abandoned(world, request, redirect))

    def test_abandon_sees_slow_money(self, world: ProcessorWorld) -> None:
        """If the money is on its way, the door is not closed."""
        request, redirect = _started(world)
        world.act(Act.PAY_SLOWLY, redirect)
        _fetched(world, request, redirect)
        assert derive(_abandoned(world, request, redirect)) is PaymentStatus.PROCESSING

    def test_refunds_once_for_a_key(self, world: ProcessorWorld) -> None:
        """The same key gives back once, another key again, and never more than came."""
        request, redirect = _started(world)
        world.act(Act.PAY, redirect)
        _fetched(world, request, redirect)
        part = Money(world.amount.minor // 10 * 4, world.amount.currency)

        def refund(key: str, amount: Money) -> Sequence[Fact]:
            return world.plugin.refund(request.payee, redirect.processor_ref, amount, key=key)

        try:
            refund(f"{request.key[:30]}-r1", part)
        except UnsupportedError:
            return
        facts = refund(f"{request.key[:30]}-r1", part)
        assert world.books(request.key).refunded == part
        assert derive(facts) is PaymentStatus.SUCCEEDED
        refund(f"{request.key[:30]}-r2", part)
        assert world.books(request.key).refunded == part * 2
        with pytest.raises(RefusedError):
            refund(f"{request.key[:30]}-r3", part)
        assert world.books(request.key).refunded == part * 2

    def test_sees_a_refund_made_elsewhere(self, world: ProcessorWorld) -> None:
        """What the provider gives back at the processor's site shows in the facts."""
        request, redirect = _started(world)
        world.act(Act.PAY, redirect)
        _fetched(world, request, redirect)
        world.act(Act.REFUND, redirect)
        assert derive(_fetched(world, request, redirect)) is PaymentStatus.REFUNDED

    def test_sees_a_dispute(self, world: ProcessorWorld) -> None:
        """An open dispute shows in the facts."""
        request, redirect = _started(world)
        world.act(Act.PAY, redirect)
        _fetched(world, request, redirect)
        world.act(Act.DISPUTE, redirect)
        assert derive(_fetched(world, request, redirect)) is PaymentStatus.DISPUTED

    # Webhooks; a plug-in without any refuses whatever comes

    def test_webhooks_name_the_payment(self, world: ProcessorWorld) -> None:
        """What happens about a payment rings for it: paid, given back, disputed."""
        if not world.plugin.has_webhook:
            return
        for act in (None, Act.REFUND, Act.DISPUTE):
            request, redirect = _started(world)
            world.act(Act.PAY, redirect)
            _wait_for_bell(world, redirect)
            _fetched(world, request, redirect)
            if not world.takes_itself:
                _wait_for_bell(world, redirect)
            if act is not None:
                world.act(act, redirect)
                _wait_for_bell(world, redirect)

    def test_webhooks_have_one_name(self, world: ProcessorWorld) -> None:
        """The same delivery read twice has the same event id."""
        delivery = _paid_delivery(world)
        if delivery is not None:
            first, second = (world.plugin.read_webhook(delivery) for _ in range(2))
            assert first == second
            assert first.event_id

    def test_webhooks_with_another_body_are_forged(self, world: ProcessorWorld) -> None:
        """Not one sign of the body may change."""
        for body in (b"", b"{}", b"[]", b"null", b"\xff\xfe{}", b"[" * 100_000):
            _expect_forged(world, Delivery({}, body, datetime.now(UTC)))
        delivery = _paid_delivery(world)
        if delivery is not None:
            wrong = delivery.body.replace(b"payment", b"paymend").replace(b"PAYMENT", b"PAYMEND")
            wrong = wrong.replace(b"CHECKOUT", b"CHECKIN").replace(b"checkout", b"checkin")
            for body in (wrong, b"", b"{}", b"[]", b"null", b"\xff\xfe" + delivery.body):
                assert body != delivery.body
                _expect_forged(world, dataclasses.replace(delivery, body=body))

    def test_webhooks_with_another_signature_are_forged(self, world: ProcessorWorld) -> None:
        """Without its own headers, or with part of them changed, nobody is believed."""
        delivery = _paid_delivery(world)
        if delivery is None:
            return
        _expect_forged(world, dataclasses.replace(delivery, headers={}))
        signing = [each for each in delivery.headers if "sig" in each]
        assert signing, "no header looks like a signature"
        for name in signing:
            headers = dict(delivery.headers)
            headers[name] = headers[name][:-1] + ("0" if headers[name][-1] != "0" else "1")
            _expect_forged(world, dataclasses.replace(delivery, headers=headers))

    def test_webhooks_of_other_times_are_forged(self, world: ProcessorWorld) -> None:
        """A delivery from long ago or from the future is a replay or a fake."""
        delivery = _paid_delivery(world)
        if delivery is None:
            return
        for days in (-30, 30):
            moved = delivery.received_at + timedelta(days=days)
            _expect_forged(world, dataclasses.replace(delivery, received_at=moved))


class BaseStatementContract(BasePaymentContract):
    """Every plug-in whose money shows only on a statement passes this."""

    def test_is_a_statement_plugin(self, world: PaymentWorld) -> None:
        """The core confirms such payments by hand, so it must know the kind."""
        assert isinstance(world.plugin, StatementPlugin)

    def test_instructions_say_what_to_write(self, world: PaymentWorld) -> None:
        """Amount, account and reference are among the lines, each line labelled."""
        request = world.request()
        instructions = world.plugin.start(request)
        assert isinstance(instructions, Instructions)
        assert all(label for label, _ in instructions.lines)
        assert request.amount in [value for _, value in instructions.lines]
        values = {"".join(str(value).split()) for _, value in instructions.lines}
        assert request.reference in values
        assert world.plugin.payee_account(request.payee) in values

    def test_reads_statements(self, world: StatementWorld) -> None:
        """Every entry once, with its sign, told apart, of the right account; always alike."""
        currency = world.amount.currency
        amounts = [world.amount, Money(-100, currency), world.amount]
        data = world.statement(amounts)
        if data is None:
            return
        found = world.plugin.read_statement(data)
        assert found == world.plugin.read_statement(data)
        assert [line.amount for each in found for line in each.lines] == amounts
        names = [line.ref for each in found for line in each.lines if line.ref]
        assert len(names) == len(set(names))
        own = world.plugin.payee_account(world.payee)
        assert all(not each.account or is_same_account(own, each.account) for each in found)

    def test_refuses_a_statement_that_does_not_add_up(self, world: StatementWorld) -> None:
        """An entry that the balances count and the file has not is noticed."""
        data = world.statement([world.amount, world.amount], lost=1)
        if data is not None:
            with pytest.raises(UnreadableStatementError):
                world.plugin.read_statement(data)

    def test_refuses_what_is_no_statement(self, world: StatementWorld) -> None:
        """Nothing, junk, half a file and a bomb are explained, not read and not a crash."""
        good = world.statement([world.amount]) or b""
        bomb = b'<?xml version="1.0"?><!DOCTYPE d [<!ENTITY a "aaaa">]><Document>&a;</Document>'
        for data in (b"", b"\0\1\2" * 500, good[: len(good) // 2], bomb, b"<", b"%PDF-1.7"):
            with pytest.raises(UnreadableStatementError) as raised:
                world.plugin.read_statement(data)
            assert raised.value.message

    def test_takes_no_fee(self, world: PaymentWorld) -> None:
        """Nobody sets anything aside at a bank: asked to, it refuses. The fee is billed."""
        fee = Money(1, world.amount.currency)
        assert not world.plugin.takes_fee(fee, world.payee)
        with pytest.raises(UnsupportedError):
            world.plugin.start(world.request(fee=fee))

    def test_calls_nobody(self, world: PaymentWorld, monkeypatch: pytest.MonkeyPatch) -> None:
        """Instructions need no connection, so none can fail."""

        def connect(*_: object) -> None:
            raise AssertionError("a statement plug-in must not call outside")

        monkeypatch.setattr(socket.socket, "connect", connect)
        world.plugin.start(world.request())


def _started(world: ProcessorWorld, **changes: Any) -> tuple[PaymentRequest, Redirect]:
    request = world.request(**changes)
    redirect = world.plugin.start(request)
    assert isinstance(redirect, Redirect)
    return request, redirect


def _fetched(
    world: ProcessorWorld, request: PaymentRequest, redirect: Redirect, *, may_capture: bool = True
) -> Sequence[Fact]:
    return world.plugin.fetch(
        request.payee, redirect.processor_ref, key=request.key, may_capture=may_capture
    )


def _abandoned(
    world: ProcessorWorld, request: PaymentRequest, redirect: Redirect
) -> Sequence[Fact]:
    return world.plugin.abandon(request.payee, redirect.processor_ref, key=request.key)


def _expect_exact(world: ProcessorWorld, request: PaymentRequest, facts: Sequence[Fact]) -> None:
    account = world.plugin.payee_account(request.payee)
    assert judge(due=request.amount, payee=account, facts=facts) is Verdict.EXACT, facts
    books = world.books(request.key)
    assert books.taken == request.amount
    assert books.payees == {account}


def _wait_for_bell(world: ProcessorWorld, redirect: Redirect) -> None:
    notice = world.plugin.read_webhook(world.next_delivery())
    assert list(notice.processor_refs) == [redirect.processor_ref]


def _paid_delivery(world: ProcessorWorld) -> Delivery | None:
    if not world.plugin.has_webhook:
        return None
    _, redirect = _started(world)
    world.act(Act.PAY, redirect)
    delivery = world.next_delivery()
    assert world.plugin.read_webhook(delivery).processor_refs
    return delivery


def _expect_forged(world: ProcessorWorld, delivery: Delivery) -> None:
    with pytest.raises(ForgedError):
        world.plugin.read_webhook(delivery)

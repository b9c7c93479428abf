"""The interface of a payment plug-in.

A plug-in speaks to one processor and to nothing else: no request, no session, no
database, no clock of its own. It is handed values and returns values; the core keeps
them, compares them with what was expected and moves the order. So every plug-in can be
tested without the application, and none can mark an order paid.
"""

from __future__ import annotations

import abc
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any, ClassVar

from cnn_offset.domain.money import Money
from cnn_offset.domain.payment import Fact
from cnn_offset.domain.statement import Statement, UnreadableStatementError
from cnn_offset.domain.status import PayoutStatus
from cnn_offset.domain.text import N_
from cnn_offset.plugins.errors import ForgedError, UnsupportedError
from cnn_offset.plugins.settings import PluginSettings

Payee = Mapping[str, str]
"""A provider's account with a processor, by :attr:`AccountField.name`."""


@dataclass(frozen=True, slots=True)
class AccountField:
    """One thing a provider must tell us to be paid this way; the core draws the form.

    ``label`` and ``hint`` are English message ids, translated by the core. A switch is
    ticked or not: its value is ``yes`` or it is left out.
    """

    name: str
    label: str
    required: bool = True
    hint: str = ""
    is_switch: bool = False


@dataclass(frozen=True, slots=True)
class ConnectRequest:
    """A provider on its way to the processor, to let itself be paid through us there."""

    key: str
    """Ours, unique to this connection of this provider, at most 40 letters, digits, ``_``
    and ``-``; also the processor's idempotency key. The same until it is disconnected."""
    onboarding_ref: str
    """What :meth:`PaymentPlugin.connect` answered before; empty the first time."""
    name: str
    country: str
    """ISO 3166, two letters."""
    email: str
    locale: str
    """``en``, ``fr`` or ``es``."""
    return_url: str
    """Where the provider comes back to, whatever it did there."""
    refresh_url: str
    """Where the processor sends a provider whose link is used up or too old. Only the
    signed-in provider gets a new one there."""


@dataclass(frozen=True, slots=True)
class Connection:
    """Send the provider to the processor's page. ``onboarding_ref`` finds the account again."""

    url: str
    onboarding_ref: str


@dataclass(frozen=True, slots=True)
class AccountReport:
    """How a provider's account stands now.

    ``todo`` says what is to be done before it can take money, and by whom, as English
    message ids. ``account`` is what was learnt of the account; empty if nothing.
    """

    status: PayoutStatus
    todo: Sequence[str] = ()
    account: Payee = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class PaymentRequest:
    """What is to be paid, to whom, and where the payer comes back to."""

    key: str
    """Ours, unique to the attempt, at most 40 letters, digits, ``_`` and ``-``; also
    the processor's idempotency key."""
    amount: Money
    payee: Payee
    order_code: str
    reference: str
    """The order's ISO 11649 creditor reference, digits after ``RF``."""
    description: str
    """For the payer's statement or page, in the payer's language."""
    locale: str
    """``en``, ``fr`` or ``es``."""
    return_url: str
    """Where the payer comes back to, having paid or not."""
    payer_email: str
    fee: Money | None = None
    """What the processor is to set aside of ``amount`` for the platform, None for nothing.
    Only what :meth:`PaymentPlugin.takes_fee` has agreed to; less than ``amount``, in its
    currency. The payer pays no more for it, and the provider gets so much less."""


@dataclass(frozen=True, slots=True)
class Redirect:
    """Send the payer to the processor's page."""

    processor_ref: str
    url: str


@dataclass(frozen=True, slots=True)
class Instructions:
    """Show the payer what to do, such as a bank account and a reference.

    ``lines`` are pairs of an English message id and a value; money is shown in the payer's
    own form. ``qr`` is text to be shown as a QR code, empty if there is none.
    """

    processor_ref: str
    lines: Sequence[tuple[str, str | Money]]
    qr: str = ""


@dataclass(frozen=True, slots=True)
class Delivery:
    """A webhook request as it came, before anyone believes it. Header names are lower case."""

    headers: Mapping[str, str]
    body: bytes
    received_at: datetime


@dataclass(frozen=True, slots=True)
class Notice:
    """A reason to look: which payments or accounts may have changed. It says nothing of how."""

    event_id: str
    processor_refs: Sequence[str]
    account_refs: Sequence[str] = ()
    """Onboarding references, or accounts as :meth:`PaymentPlugin.payee_account` names them."""


class PaymentPlugin(abc.ABC):
    """One way to pay a provider directly. Subclass one of the two kinds below.

    Made once at start with its validated settings; after that it holds no state that
    matters and may be called from several threads. Every call that goes outside has a
    time-out of at most 20 seconds and may raise :class:`UnavailableError` (nothing
    happened), :class:`OutcomeUnknownError` (something may have) or
    :class:`RefusedError`. No call retries by itself.
    """

    api_version: ClassVar[int] = 1
    id: ClassVar[str]
    """Equal to the entry point's name; stored with every payment, so never renamed."""
    title: ClassVar[str]
    """Shown to purchasers; an English message id."""
    hint: ClassVar[str] = ""
    """One line under the title: what the purchaser needs; an English message id."""
    account_fields: ClassVar[Sequence[AccountField]]
    Settings: ClassVar[type[PluginSettings]] = PluginSettings
    slowest: ClassVar[timedelta]
    """How long money may take to be confirmed. The core does not offer the method
    when a registry's last cancellation is nearer than this."""
    due_within: timedelta
    """How long an order waits for money by this method before it lapses."""

    def __init__(self, settings: PluginSettings) -> None:
        self.settings = settings

    def supports(self, amount: Money) -> bool:
        """Whether the processor can express ``amount`` exactly.

        Pure; called for every method shown at checkout.
        """
        return amount.minor > 0

    def takes_fee(self, fee: Money, payee: Payee) -> bool:
        """Whether the processor can set aside ``fee`` for the platform when ``payee`` is paid.

        Pure; called when a payment is opened. What no processor takes, the provider is billed
        for by the month.
        """
        return False

    def form_targets(self) -> Sequence[str]:
        """Origins (``https://www.paypal.com``) that payers and providers are sent to; for the
        Content-Security-Policy. Pure.
        """
        return ()

    def check_account(self, payee: Payee) -> Sequence[str]:
        """Say what is wrong with a provider's account, as English message ids.

        Called when the provider saves it. Pure: looks at the form of the values only.
        """
        return [
            N_("Please fill in every field of the account.")
            for each in self.account_fields
            if each.required and not payee.get(each.name)
        ][:1]

    @abc.abstractmethod
    def payee_account(self, payee: Payee) -> str:
        """Name the account as facts will name it in ``payee``. Pure."""

    @property
    def connects(self) -> bool:
        """Whether a provider's account is connected on a page of the processor.

        If so, :meth:`connect` is there, the account is learnt by :meth:`inspect` and nobody
        types it; if not, the provider fills in :attr:`account_fields`.
        """
        return False

    def connect(self, request: ConnectRequest) -> Connection:
        """Give a fresh link to the processor's page where the provider connects its account.

        Called when the provider asks for it, after the intent is committed, and again each
        time it goes on with what it left unfinished: always for one and the same account
        under the same ``key``, never a second one. Nothing is connected by it; that is
        found out by :meth:`inspect`, never from what the return address is called with.
        """
        raise UnsupportedError(f"{self.id} has no page to connect an account")

    def inspect(self, account: Payee, onboarding_ref: str, *, key: str) -> AccountReport:
        """Find out whether an account can be paid through us now.

        Called when the provider comes back, each day, before offers go on sale, after a
        :class:`PayeeNotReadyError` and when somebody presses a button. ``key`` is new each
        time, of the form of a payment's; for processors where only a trial can tell. Moves
        no money. Repeating is safe. Whatever the processor says clearly of the account,
        also that it is closed or not ours, is an answer and no error.
        """
        wrong = self.check_account(account)
        return AccountReport(PayoutStatus.LIMITED if wrong else PayoutStatus.READY, wrong)

    @abc.abstractmethod
    def start(self, request: PaymentRequest) -> Redirect | Instructions:
        """Open a payment and say what the payer does next. No money moves.

        Called after the intent is committed, and again with the same ``request`` after
        a crash or a lost answer; it must then open nothing new and answer with the same
        ``processor_ref``.

        Raises:
            PayeeNotReadyError: the provider's account cannot be paid.
            UnsupportedError: the amount cannot be expressed, or the fee cannot be taken;
                nothing was sent.

        """

    def check_fee(self, request: PaymentRequest) -> None:
        """Refuse a fee that this plug-in does not take; :meth:`start` calls it first.

        Raises:
            UnsupportedError: not this fee of this payment; it must never be left out instead.

        """
        fee = request.fee
        if fee is None:
            return
        if (
            fee.currency != request.amount.currency
            or not 0 < fee.minor < request.amount.minor
            or not self.takes_fee(fee, request.payee)
        ):
            raise UnsupportedError(f"{self.id} cannot take a fee of {fee} of {request.amount}")


class ProcessorPlugin(PaymentPlugin):
    """A plug-in whose processor can be asked, such as PayPal or Stripe."""

    has_webhook: ClassVar[bool] = False

    @abc.abstractmethod
    def fetch(
        self, payee: Payee, processor_ref: str, *, key: str, may_capture: bool
    ) -> Sequence[Fact]:
        """Ask the processor how a payment stands: all its facts, as they are now.

        The only way a processor's word enters the system: return page, webhook and
        sweep all end here, so they cannot disagree. Where the processor leaves it to us
        to take approved money, this takes it, but only if ``may_capture``, with an
        idempotency key made of ``key``. The core passes ``may_capture`` only while the
        order's units are held. Repeating is safe.
        """

    @abc.abstractmethod
    def abandon(self, payee: Payee, processor_ref: str, *, key: str) -> Sequence[Fact]:
        """Close the door: make sure that nothing can be paid any more; all facts, after.

        Called before an order lapses or the purchaser changes the method. Answers with
        a payment fact ``abandoned`` only if money can no longer come; if it has come or
        is on its way, the facts say so instead. Repeating is safe.
        """

    def read_webhook(self, delivery: Delivery) -> Notice:
        """Say who may have changed, having made sure of the sender.

        Called once a delivery, before it is stored; must not call outside for longer
        than 5 seconds. It never reports amounts or statuses: the core will ``fetch``.

        Raises:
            ForgedError: signature missing or wrong, too old, too far ahead, not UTF-8.

        """
        raise ForgedError(f"{self.id} has no webhook")

    def refund(
        self,
        payee: Payee,
        processor_ref: str,
        amount: Money,
        *,
        key: str,
        fee: Money | None = None,
    ) -> Sequence[Fact]:
        """Send money back; repeated with the same ``key``, it does so once. All facts, after.

        ``fee`` is how much of what was set aside for the platform goes back to the provider
        with it; of a processor that only knows proportions, its own share of the fee.
        """
        raise UnsupportedError(f"{self.id} cannot refund")


class StatementPlugin(PaymentPlugin):
    """A plug-in whose money shows only on the provider's bank statement.

    Nobody can be asked: a member of the provider's staff says what came, or uploads what
    the bank wrote, and the core records that as facts.
    """

    def read_statement(
        self, data: bytes, mapping: Mapping[str, Any] | None = None
    ) -> Sequence[Statement]:
        """Read a bank's statement file; pure, the same file always says the same.

        Args:
            data: the file as it came; anybody may have written it.
            mapping: what the columns of a table mean, as the provider has said.

        Raises:
            UnreadableStatementError: it cannot be believed; the text says why. Nothing of
                such a file may be kept.

        """
        raise UnreadableStatementError(N_("Statements of this method cannot be read."))

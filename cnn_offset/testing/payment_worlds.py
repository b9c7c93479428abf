"""What a payment plug-in's author supplies: a plug-in, a processor with levers, and its books."""

from __future__ import annotations

import abc
import dataclasses
import itertools
from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from cnn_offset.domain.money import Money
from cnn_offset.domain.reference import creditor_reference
from cnn_offset.plugins.payments.base import (
    Delivery,
    Payee,
    PaymentPlugin,
    PaymentRequest,
    ProcessorPlugin,
    Redirect,
    StatementPlugin,
)

_numbers = itertools.count(1)


class Misdeed(StrEnum):
    """What the processor can be told to do wrong with the next call."""

    DROPPED = "dropped"
    """Do it, then close the connection without a word."""
    ERROR_BEFORE = "error_before"
    """Do nothing and answer 500, or what stands for it."""
    ERROR_AFTER = "error_after"
    """Do it and answer 500."""
    NONSENSE = "nonsense"
    """Answer as if all were well, but with something that is no answer."""


class Act(StrEnum):
    """What somebody other than the shop can do about a payment."""

    PAY = "pay"
    """The payer pays as most do."""
    PAY_SLOWLY = "pay_slowly"
    """The payer pays in a way that takes days."""
    DECLINE = "decline"
    """The payer tries with a card that is declined."""
    CLEAR = "clear"
    """Slow money arrives."""
    BOUNCE = "bounce"
    """Slow money does not arrive."""
    REFUND = "refund"
    """The provider gives everything back, at the processor's own site."""
    DISPUTE = "dispute"
    """The payer complains to the processor."""
    SPEAK_STRANGELY = "speak_strangely"
    """The processor gives the payment a status that it never had before."""


@dataclass(frozen=True, slots=True)
class Books:
    """What the processor itself has on record for a key."""

    opened: int
    """How many payments were opened, paid or not."""
    payees: frozenset[str]
    taken: Money
    """From the payer in all, before refunds."""
    refunded: Money
    platform: Money | None = None
    """Set aside for the platform, less what went back; None where the plug-in takes no fee."""


class PaymentWorld(abc.ABC):
    """A plug-in, and accounts good and bad."""

    plugin: PaymentPlugin
    payee: Payee
    """A provider's account that can be paid."""
    other_payee: Payee
    bad_payees: Sequence[Payee] = ()
    """Accounts whose form is wrong."""
    amount: Money
    """What the payments of the contract are about."""
    unsupported: Sequence[Money] = ()
    """Amounts that cannot be paid so."""
    secret: str = ""
    """What the plug-in proves itself with."""

    def request(self, **changes: Any) -> PaymentRequest:
        """Make a request for a new payment."""
        number = next(_numbers)
        request = PaymentRequest(
            key=f"contract-{number}-{id(self)}"[:40],
            amount=self.amount,
            payee=self.payee,
            order_code=f"ORDER{number}",
            reference=creditor_reference(number),
            description="Annulation volontaire de 3 tonnes – “été”",
            locale="fr",
            return_url="https://shop.example/fr/orders/abc?from=processor",
            payer_email="payer@example.org",
        )
        return dataclasses.replace(request, **changes)


class StatementWorld(PaymentWorld):
    """A bank."""

    plugin: StatementPlugin

    @abc.abstractmethod
    def statement(self, amounts: Sequence[Money], *, lost: int = 0) -> bytes | None:
        """Write a statement of :attr:`payee`'s account, one entry for each amount.

        ``lost``: the last entries left out, though the balances count them. None if the
        plug-in reads no statements.
        """


class ProcessorWorld(PaymentWorld):
    """A processor with levers."""

    plugin: ProcessorPlugin
    takes_itself: bool = False
    """Whether paying alone moves the money, so that there is nothing for us to capture."""
    fee: Money | None = None
    """What can be set aside of :attr:`amount` for the platform; None if the plug-in takes no fee."""

    def fee_payee(self) -> Payee:
        """Return an account from whose payments a fee can be taken."""
        return self.payee

    @abc.abstractmethod
    def act(self, act: Act, redirect: Redirect) -> None:
        """Do it, at the page or the account that ``redirect`` leads to, if still possible."""

    @abc.abstractmethod
    def prepare(self, misdeed: Misdeed, *, reading: bool = False) -> None:
        """Do this wrong with the next call that changes something, or the next that reads."""

    @abc.abstractmethod
    def restrict(self) -> None:
        """Make :attr:`payee` an account that cannot be paid."""

    @abc.abstractmethod
    def books(self, key: str) -> Books:
        """Read what the processor has on record."""

    @abc.abstractmethod
    def unreachable(self) -> ProcessorPlugin:
        """Make a plug-in like ours to an address where nobody listens."""

    @abc.abstractmethod
    def next_delivery(self) -> Delivery:
        """Wait for the next webhook and return it as it came."""

"""Paying providers by mobile money, with nothing but the public interface of payment plug-ins."""

from __future__ import annotations

import re
from collections.abc import Sequence
from datetime import timedelta
from typing import Any, ClassVar

import requests
from pydantic import AwareDatetime, BaseModel, Field, SecretStr, ValidationError
from urllib3.exceptions import NewConnectionError

from cnn_offset.domain.money import Money
from cnn_offset.domain.payment import Fact, FactKind, FactStatus
from cnn_offset.plugins.errors import (
    OutcomeUnknownError,
    PayeeNotReadyError,
    RefusedError,
    UnavailableError,
    UnsupportedError,
)
from cnn_offset.plugins.payments.base import (
    AccountField,
    Payee,
    PaymentRequest,
    ProcessorPlugin,
    Redirect,
)
from cnn_offset.plugins.settings import PluginSettings

CURRENCIES = {"EUR", "KES", "USD"}
WORDS = {
    "waiting": FactStatus.OPEN,
    "clearing": FactStatus.PENDING,
    "paid": FactStatus.DONE,
    "failed": FactStatus.FAILED,
    "closed": FactStatus.ABANDONED,
    "won": FactStatus.WON,
    "lost": FactStatus.LOST,
}
"""Every status that the processor has; any other is for a person to look at."""


class MobileSettings(PluginSettings):
    """What an operator writes below ``[PAYMENTS.mobile_money]``."""

    base_url: str = Field(pattern="^https?://[^/]+$")
    api_key: SecretStr
    timeout_seconds: float = Field(10, gt=0, le=10)


class Told(BaseModel):
    """A payment, or what followed from it, as the processor tells it."""

    id: str
    status: str
    amount: str
    currency: str
    at: AwareDatetime


class Payment(Told):
    payee: str
    page: str
    refunds: list[Told]
    complaints: list[Told]


class MobileMoney(ProcessorPlugin):
    """The money is the provider's as soon as the payer has said yes: nothing is captured."""

    api_version = 1
    id = "mobile_money"
    title = "Mobile money"
    hint = "You confirm the payment on your phone."
    account_fields = (AccountField("number", "Mobile money number", hint="Such as +254700000001"),)
    Settings: ClassVar[type[PluginSettings]] = MobileSettings
    settings: MobileSettings
    slowest = timedelta(days=2)
    due_within = timedelta(days=1)

    def supports(self, amount: Money) -> bool:
        """Whether the processor knows the currency."""
        return amount.minor > 0 and amount.currency in CURRENCIES

    def form_targets(self) -> Sequence[str]:
        """Where payers are sent to."""
        return (self.settings.base_url,)

    def check_account(self, payee: Payee) -> Sequence[str]:
        """Say whether the number looks like one."""
        if re.fullmatch(r"\+[1-9][0-9]{7,14}", payee.get("number", "")):
            return ()
        return ("Please write the number with + and the country's code.",)

    def payee_account(self, payee: Payee) -> str:
        """Return the number."""
        return payee["number"]

    def start(self, request: PaymentRequest) -> Redirect:
        """Open a payment under our key; opened again it is the same one."""
        self.check_fee(request)
        if self.check_account(request.payee):
            raise PayeeNotReadyError("no mobile money number")
        if not self.supports(request.amount):
            raise UnsupportedError(f"{request.amount} cannot be paid by mobile money")
        wish = {"to": request.payee["number"], "amount": f"{request.amount.amount:f}"}
        wish |= {"currency": request.amount.currency, "text": request.description}
        payment = self._call("PUT", request.key, wish | {"back": request.return_url})
        return Redirect(payment.id, payment.page)

    def fetch(
        self, payee: Payee, processor_ref: str, *, key: str, may_capture: bool
    ) -> Sequence[Fact]:
        """Ask how a payment stands."""
        return _facts(self._call("GET", processor_ref))

    def abandon(self, payee: Payee, processor_ref: str, *, key: str) -> Sequence[Fact]:
        """Close the processor's page, unless the money has come or is on its way."""
        return _facts(self._call("POST", f"{processor_ref}/close"))

    def refund(
        self,
        payee: Payee,
        processor_ref: str,
        amount: Money,
        *,
        key: str,
        fee: Money | None = None,
    ) -> Sequence[Fact]:
        """Send money back, once for a key."""
        wish = {"amount": f"{amount.amount:f}", "currency": amount.currency}
        return _facts(self._call("PUT", f"{processor_ref}/refunds/{key}", wish))

    def _call(self, method: str, path: str, wish: Any = None) -> Payment:
        """Send one request, once, and say honestly what is known if no answer comes."""
        try:
            answer = requests.request(
                method,
                f"{self.settings.base_url}/payments/{path}",
                json=wish,
                headers={"X-Api-Key": self.settings.api_key.get_secret_value()},
                timeout=(3, self.settings.timeout_seconds),
                allow_redirects=False,
            )
        except requests.RequestException as error:
            cause = getattr(error.args[0] if error.args else None, "reason", None)
            if isinstance(error, requests.ConnectTimeout) or isinstance(cause, NewConnectionError):
                raise UnavailableError("no connection") from None
            raise OutcomeUnknownError(f"no answer: {type(error).__name__}") from None
        if answer.status_code == 403:
            raise PayeeNotReadyError("the number takes no money now")
        if answer.status_code in (404, 409, 422):
            raise RefusedError(f"answer {answer.status_code}")
        try:
            if answer.status_code not in (200, 201):
                raise OutcomeUnknownError(f"answer {answer.status_code}")
            return Payment.model_validate_json(answer.content)
        except ValidationError:
            raise OutcomeUnknownError("an answer that is not as agreed") from None


def _facts(payment: Payment) -> list[Fact]:
    return [
        _fact(FactKind.PAYMENT, payment, payment.payee),
        *(_fact(FactKind.REFUND, each) for each in payment.refunds),
        *(_fact(FactKind.DISPUTE, each) for each in payment.complaints),
    ]


def _fact(kind: FactKind, told: Told, payee: str | None = None) -> Fact:
    try:
        amount = Money.parse(told.amount, told.currency)
    except ValueError:
        raise OutcomeUnknownError("an amount that makes no sense") from None
    return Fact(kind, told.id, WORDS.get(told.status, FactStatus.UNKNOWN), amount, payee, told.at)

"""Bank transfer straight to the provider's account; the provider tells us what came."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from datetime import timedelta
from decimal import Decimal
from typing import Any, ClassVar, Final

from pydantic import Field
from schwifty import IBAN
from schwifty.exceptions import SchwiftyException
from stdnum import bic as stdnum_bic

from cnn_offset.domain.money import Money, exponent
from cnn_offset.domain.reference import is_creditor_reference
from cnn_offset.domain.statement import Statement
from cnn_offset.domain.text import N_
from cnn_offset.plugins.errors import PayeeNotReadyError, RefusedError, UnsupportedError
from cnn_offset.plugins.payments import statements
from cnn_offset.plugins.payments.base import (
    AccountField,
    Instructions,
    Payee,
    PaymentRequest,
    StatementPlugin,
)
from cnn_offset.plugins.payments.statements.table import TableMapping
from cnn_offset.plugins.settings import PluginSettings

OWN_DETAILS: Final = "own details"
"""Names the account of a provider who sends the details without telling them to us."""
_LIKE_IBAN: Final = re.compile(r"[A-Z]{2}\d\d[A-Z0-9]{10,30}", re.ASCII)
_ACCOUNT: Final = re.compile(r"[A-Z0-9][A-Z0-9/.-]{2,33}", re.ASCII)
_QR_LIMIT: Final = 331
"""Bytes in an EPC QR code (EPC069-12: version 13, error correction M)."""


class BankTransferSettings(PluginSettings):
    """Settings of bank transfers."""

    due_days: int = Field(default=90, ge=14, le=366)
    """How long an order waits for the money; the old platform's FAQ says 90 days."""


class BankTransfer(StatementPlugin):
    """Instructions with a reference that survives typing; no call goes outside.

    Where the provider prefers to send its bank details itself (``sends_own_details`` is
    ``yes``), the payer is told so and gets reference and amount only.
    """

    id = "bank_transfer"
    title = N_("Bank transfer")
    hint = N_("You get the bank details at once; the provider confirms when your money has come.")
    account_fields: ClassVar[Sequence[AccountField]] = (
        AccountField(
            "holder",
            N_("Account holder, exactly as the bank has it"),
            required=False,
            hint=N_("Purchasers’ banks compare this name with the account’s."),
        ),
        AccountField("account", N_("IBAN or account number"), required=False),
        AccountField(
            "bic", N_("BIC (SWIFT code)"), required=False, hint=N_("Needed without an IBAN.")
        ),
        AccountField("bank_name", N_("Name of the bank"), required=False),
        AccountField("bank_address", N_("Address of the bank"), required=False),
        AccountField(
            "sends_own_details",
            N_("We send the bank details to each purchaser ourselves"),
            required=False,
            hint=N_("Within two working days of the order. What stands above is then not shown."),
            is_switch=True,
        ),
    )
    slowest = timedelta(days=14)
    Settings = BankTransferSettings

    def __init__(self, settings: PluginSettings) -> None:
        super().__init__(settings)
        assert isinstance(settings, BankTransferSettings)
        self.due_within = timedelta(days=settings.due_days)

    def check_account(self, payee: Payee) -> Sequence[str]:
        """Say what is wrong: a missing part, a mistyped IBAN or BIC, no such currency."""
        if _sends_own(payee):
            return []
        account, bic = _plain(payee.get("account")), _plain(payee.get("bic"))
        wrong = []
        if not (_line(payee.get("holder")) and account and _line(payee.get("bank_name"))):
            wrong.append(N_("Please give account holder, account and name of the bank."))
        if account and _LIKE_IBAN.fullmatch(account):
            if _iban(account) is None:
                wrong.append(N_("This IBAN is not right. Please compare it with your bank’s."))
        elif account and not _ACCOUNT.fullmatch(account):
            wrong.append(N_("An account number has 3 to 34 letters and digits."))
        elif account and not bic:
            wrong.append(N_("An account without IBAN needs the bank’s BIC."))
        if bic and not stdnum_bic.is_valid(bic):
            wrong.append(N_("This BIC is not right. It has 8 or 11 letters and digits."))
        if payee.get("currency") and not _is_currency(_plain(payee["currency"])):
            wrong.append(N_("There is no such currency. Please use three letters, such as EUR."))
        return wrong

    def payee_account(self, payee: Payee) -> str:
        """Name the account by IBAN or number without spaces."""
        return OWN_DETAILS if _sends_own(payee) else _plain(payee.get("account"))

    def start(self, request: PaymentRequest) -> Instructions:
        """Write the instructions; the same request always gives the same.

        Raises:
            PayeeNotReadyError: the bank details are not complete or not right.
            RefusedError: the reference has wrong check digits, so money could go astray.
            UnsupportedError: the account is in another currency.

        """
        self.check_fee(request)
        if not is_creditor_reference(request.reference):
            raise RefusedError(f"not a creditor reference: {request.reference}")
        payee = request.payee
        if self.check_account(payee):
            raise PayeeNotReadyError("the provider's bank details are not complete")
        currency = _plain(payee.get("currency"))
        if not self.supports(request.amount) or (
            currency and currency != request.amount.currency and not _sends_own(payee)
        ):
            raise UnsupportedError(f"{request.amount} to an account in {currency or '?'}")
        money: list[tuple[str, str | Money]] = [
            (N_("Amount"), request.amount),
            (N_("Payment reference"), _grouped(request.reference)),
        ]
        if _sends_own(payee):
            sent = N_("The provider will send you the bank details within two working days.")
            return Instructions(request.reference, [(sent, ""), *money])
        account = _plain(payee.get("account"))
        iban = _iban(account)
        lines: list[tuple[str, str | Money]] = [
            (N_("Account holder"), _line(payee.get("holder"))),
            (N_("IBAN"), _grouped(account)) if iban else (N_("Account number"), account),
            (N_("BIC (SWIFT code)"), _plain(payee.get("bic"))),
            (N_("Bank"), _line(payee.get("bank_name"))),
            (N_("Address of the bank"), _line(payee.get("bank_address"))),
            *money,
            (N_("All charges are to be paid by you (OUR), so that the amount arrives whole."), ""),
        ]
        shown = [(label, value) for label, value in lines if value or label.endswith(".")]
        return Instructions(request.reference, shown, qr=epc_text(request, iban))

    def read_statement(
        self, data: bytes, mapping: Mapping[str, Any] | None = None
    ) -> Sequence[Statement]:
        """Read CAMT.053, MT940 or, with ``mapping``, a table; told apart by their beginning."""
        return statements.read(data, TableMapping.model_validate(mapping) if mapping else None)


def epc_text(request: PaymentRequest, iban: IBAN | None) -> str:
    """Write the text of an EPC QR code (EPC069-12), or nothing where it cannot serve.

    Only euros to an IBAN in the SEPA area, from 0.01 to 999 999 999.99, to a holder of at
    most 70 characters. The reference goes where structured references go, so a bank's app
    checks its digits.
    """
    amount, holder = request.amount, _line(request.payee.get("holder"))
    if iban is None or not iban.in_sepa_zone or amount.currency != "EUR":
        return ""
    if not amount.minor <= 99_999_999_999 or not 0 < len(holder) <= 70:
        return ""
    text = "\n".join(
        (
            "BCD",
            "002",
            "1",  # UTF-8
            "SCT",
            _plain(request.payee.get("bic")),
            holder,
            str(iban),
            f"EUR{Decimal(amount.minor).scaleb(-2):f}",
            "",  # purpose
            request.reference,
        )
    )
    return text if len(text.encode()) <= _QR_LIMIT else ""


def _sends_own(payee: Payee) -> bool:
    return payee.get("sends_own_details", "").strip().lower() == "yes"


def _line(text: str | None) -> str:
    return " ".join((text or "").split())


def _plain(text: str | None) -> str:
    return "".join((text or "").split()).upper()


def _grouped(text: str) -> str:
    return " ".join(text[at : at + 4] for at in range(0, len(text), 4))


def _iban(account: str) -> IBAN | None:
    if not _LIKE_IBAN.fullmatch(account):
        return None
    try:
        return IBAN(account, validate_bban=True)
    except SchwiftyException:
        return None


def _is_currency(text: str) -> bool:
    try:
        exponent(text)
    except ValueError:
        return False
    return True

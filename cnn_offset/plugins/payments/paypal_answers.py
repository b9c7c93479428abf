"""The parts of PayPal's answers that matter here; all else in them is ignored."""

from __future__ import annotations

from datetime import datetime
from typing import TypeVar

from pydantic import AwareDatetime, BaseModel, ValidationError

from cnn_offset.domain.money import CurrencyMismatchError, Money
from cnn_offset.plugins.errors import OutcomeUnknownError

M = TypeVar("M", bound=BaseModel)


class Amount(BaseModel):
    currency_code: str
    value: str

    @property
    def money(self) -> Money:
        try:
            return Money.parse(self.value, self.currency_code)
        except ValueError as error:
            raise OutcomeUnknownError(f"PayPal reports an odd amount: {error}") from None


class Reason(BaseModel):
    reason: str = ""


class PlatformFee(BaseModel):
    amount: Amount


class Breakdown(BaseModel):
    """What is left of a capture for the provider, or what a refund costs it."""

    paypal_fee: Amount | None = None
    platform_fees: list[PlatformFee] = []


class Movement(BaseModel):
    """A capture or a refund."""

    id: str
    status: str
    amount: Amount
    create_time: AwareDatetime
    update_time: AwareDatetime | None = None
    status_details: Reason = Reason()
    custom_id: str = ""
    seller_receivable_breakdown: Breakdown = Breakdown()
    """Of a capture."""
    seller_payable_breakdown: Breakdown = Breakdown()
    """Of a refund."""

    @property
    def at(self) -> datetime:
        return self.update_time or self.create_time

    @property
    def fee(self) -> Money | None:
        """What PayPal kept, if it says so; a fee is never worth an error."""
        fee = self.seller_receivable_breakdown.paypal_fee
        try:
            return fee.money if fee else None
        except OutcomeUnknownError:
            return None

    @property
    def platform(self) -> Money | None:
        """What went to the platform with a capture, or back with a refund, if it says so."""
        fees = [
            *self.seller_receivable_breakdown.platform_fees,
            *self.seller_payable_breakdown.platform_fees,
        ]
        found = None
        try:
            for each in fees:
                found = each.amount.money if found is None else found + each.amount.money
        except (CurrencyMismatchError, OutcomeUnknownError):
            return None
        return found


class Payments(BaseModel):
    captures: list[Movement] = []
    refunds: list[Movement] = []


class PayeeSaid(BaseModel):
    merchant_id: str = ""


class Unit(BaseModel):
    custom_id: str = ""
    payee: PayeeSaid = PayeeSaid()
    payments: Payments = Payments()


class Link(BaseModel):
    rel: str
    href: str


class Order(BaseModel):
    id: str
    status: str
    create_time: AwareDatetime | None = None
    update_time: AwareDatetime | None = None
    purchase_units: list[Unit] = []
    links: list[Link] = []

    @property
    def captures(self) -> list[Movement]:
        return [each for unit in self.purchase_units for each in unit.payments.captures]


class Dispute(BaseModel):
    class Outcome(BaseModel):
        outcome_code: str = ""

    dispute_id: str
    status: str
    create_time: AwareDatetime
    update_time: AwareDatetime | None = None
    reason: str = ""
    dispute_amount: Amount | None = None
    dispute_outcome: Outcome = Outcome()


class DisputeName(BaseModel):
    dispute_id: str


class Disputes(BaseModel):
    items: list[DisputeName] = []


class Verification(BaseModel):
    verification_status: str


class Related(BaseModel):
    class Ids(BaseModel):
        order_id: str = ""

    related_ids: Ids = Ids()


class Transaction(BaseModel):
    seller_transaction_id: str = ""


class Resource(BaseModel):
    """What a webhook is about: an order, a capture, a refund, a dispute or a provider."""

    id: str = ""
    merchant_id: str = ""
    tracking_id: str = ""
    supplementary_data: Related = Related()
    links: list[Link] = []
    disputed_transactions: list[Transaction] = []


class Referral(BaseModel):
    """A page for a provider to agree on."""

    links: list[Link] = []


class Tracked(BaseModel):
    """The merchant who agreed under a tracking id."""

    merchant_id: str


class ThirdParty(BaseModel):
    partner_client_id: str = ""
    scopes: list[str] = []


class Integration(BaseModel):
    oauth_third_party: list[ThirdParty] = []


class Seller(BaseModel):
    """How a provider's account stands with PayPal and with us."""

    merchant_id: str
    tracking_id: str = ""
    payments_receivable: bool = False
    primary_email_confirmed: bool = False
    oauth_integrations: list[Integration] = []


class Event(BaseModel):
    event_type: str
    resource: Resource


def read(model: type[M], text: str) -> M:
    """Read an answer.

    Raises:
        OutcomeUnknownError: it is not JSON or lacks something.

    """
    try:
        return model.model_validate_json(text)
    except ValidationError as error:
        raise OutcomeUnknownError(f"PayPal's answer lacks {error.errors()[0]['loc']}") from None

"""The parts of PayPal's answers that matter here; all else in them is ignored."""

from __future__ import annotations

from datetime import datetime
from typing import TypeVar

from pydantic import AwareDatetime, BaseModel, ValidationError

from cnn_offset.domain.money import Money
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


class Movement(BaseModel):
    """A capture or a refund."""

    id: str
    status: str
    amount: Amount
    create_time: AwareDatetime
    update_time: AwareDatetime | None = None
    status_details: Reason = Reason()
    custom_id: str = ""

    @property
    def at(self) -> datetime:
        return self.update_time or self.create_time


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
    """What a webhook is about: an order, a capture, a refund or a dispute."""

    id: str = ""
    supplementary_data: Related = Related()
    links: list[Link] = []
    disputed_transactions: list[Transaction] = []


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

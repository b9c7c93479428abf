"""Mails and an attestation about nobody, to be looked at while their words are changed."""

from __future__ import annotations

import logging
from collections.abc import Iterator, Mapping
from datetime import UTC, date, datetime
from typing import Any, Final, cast

from sqlalchemy import Select
from sqlalchemy.orm import Session

from cnn_offset.domain.attestation import AttestationData, AttestedLine
from cnn_offset.domain.casework import CaseKind
from cnn_offset.domain.staff import OperatorRole, StaffRole
from cnn_offset.domain.status import AttestationStatus, OrderStatus, PayoutStatus
from cnn_offset.domain.units import UnitType
from cnn_offset.i18n import language
from cnn_offset.mail.letters import KINDS, write
from cnn_offset.mail.letters.letter import Letter
from cnn_offset.models import (
    Activity,
    ActivityKind,
    Application,
    ApplicationNote,
    Attestation,
    BankEntry,
    BankStatement,
    Block,
    Case,
    CaseMessage,
    Correction,
    FeeSchedule,
    FeeTier,
    Finding,
    Invitation,
    Listing,
    Message,
    Offer,
    Order,
    OrderLine,
    Payment,
    PayoutMethod,
    Provider,
    Replacement,
    User,
)

NOW: Final = datetime(2027, 3, 1, 9, 30, tzinfo=UTC)
TITLE: Final = {
    "en": "Wind power on the ridge",
    "fr": "L’énergie du vent sur la crête",
    "es": "Energía eólica en la cresta",
}
WORDS: Final = {
    "en": "Example words.",
    "fr": "Des mots donnés en exemple.",
    "es": "Unas palabras de ejemplo.",
}
PERSON: Final = "ada@example.org"

log = logging.getLogger(__name__)


def letter(kind: str) -> Letter | None:
    """Write a mail of ``kind`` about nobody, in the language and the words in force.

    None if there is no example for what it is about.
    """
    if kind not in KINDS:
        return None
    shelf = _Shelf()
    message = Message(
        id=1,
        kind=kind,
        dedup="example",
        recipient=PERSON,
        locale=language(),
        params=_params(kind),
        order_id=1,
        created_at=NOW,
        message_id="<example@cnn-offset>",
    )
    try:
        return write(cast("Session", shelf), message)
    except Exception as error:
        # Only that nothing can be looked at; the mail itself may need what is not here.
        log.info("no example of %s: %s: %s", kind, type(error).__name__, error)
        return None


def attestation(locale: str) -> AttestationData:
    """Say what an attestation that attests nothing says."""
    return AttestationData(
        locale=locale,
        beneficiary="Ada Example",
        reason=WORDS[locale],
        lines=(
            AttestedLine(
                unit_type=UnitType.A64ER_AUTHORISED,
                quantity=25,
                activity_title=TITLE,
                activity_ref="1234",
                activity_kind="pa",
                host_party="KE",
                monitoring_start=date(2025, 1, 1),
                monitoring_end=date(2025, 12, 31),
                registry_id="example",
                registry_title="Article 6.4 mechanism registry",
            ),
        ),
    )


def _params(kind: str) -> Mapping[str, Any]:
    if kind == "desk_digest":
        return {"applications": 2, "reviews": 3, "payouts": 1}
    return {
        "about": "confirm",
        "actor": "sam@example.org",
        "answer_by": NOW.isoformat(),
        "application_id": 1,
        "before": NOW.isoformat(),
        "block_id": 1,
        "by": "sam@example.org",
        "case_id": 1,
        "correction_id": 1,
        "count": 3,
        "cutover_id": 1,
        "email": "kim@example.org",
        "entry_id": 1,
        "invitation_id": 1,
        "left": 5,
        "line_id": 1,
        "listing_id": 1,
        "method_id": "bank_transfer",
        "missing": 12,
        "new": "DE89 … 3000",
        "next_from": NOW.isoformat(),
        "nonce": "example",
        "note_id": 1,
        "now": 80,
        "offer_id": 1,
        "old": "FR14 … 2606",
        "payment_id": 1,
        "payout_id": 0,
        "period": "2027-02",
        "provider_id": 1,
        "reason": WORDS[language()] if kind != "order_withdrawn" else "",
        "replacement_id": 1,
        "registry_id": "example",
        "said_id": 1,
        "schedule_id": 1,
        "role": "support" if kind.startswith("operator_") else "sales",
        "statement_id": 1,
        "until": NOW.isoformat(),
        "user_id": 1,
        "was": 100,
        "what": "app",
        "why": WORDS[language()],
    }


class _Found:
    """What a query of the shelf found."""

    def __init__(self, things: list[Any]) -> None:
        self._things = things

    def __iter__(self) -> Iterator[Any]:
        return iter(self._things)

    def all(self) -> list[Any]:
        return self._things

    def one(self) -> Any:
        return self._things[0]

    def first(self) -> Any:
        return self._things[0] if self._things else None

    one_or_none = first


class _Shelf:
    """Stands in for a database in which there is one of everything a mail is about."""

    def __init__(self) -> None:
        self._things = {type(each): each for each in _things()}

    def get_one(self, kind: Any, _id: object, **_how: object) -> Any:
        return self._things[kind]

    get = get_one

    def scalars(self, statement: Select[Any]) -> _Found:
        described = statement.column_descriptions[0]
        thing = self._things[described["entity"]]
        whole = described["expr"] is described["entity"]
        return _Found([thing if whole else getattr(thing, described["name"])])

    def execute(self, _statement: object) -> _Found:
        return _Found([])

    def scalar(self, statement: Select[Any]) -> Any:
        return self.scalars(statement).first()


def _things() -> Iterator[Any]:
    provider = Provider(
        id=1, slug="example", name="Example Wind Ltd", country="KE", email="wind@example.org",
        locale=language(), created_at=NOW,
    )  # fmt: skip
    activity = Activity(
        id=1, slug="example", registry_id="example", ref="1234", kind=ActivityKind.PA,
        title=TITLE, description=WORDS, labels={}, host_party="KE", scope=1, technology="wind",
        methodology="ACM0002",
    )  # fmt: skip
    block = Block(
        id=1, registry_id="example", account_ref="KE-9", block_ref="B-7", activity=activity,
        provider_id=1, unit_type=UnitType.CER, party="KE", series="KE-5", first=1, last=100,
        first_text="KE-5-1-2-2-0-1234", last_text="KE-5-100-2-2-0-1234", held=100,
    )  # fmt: skip
    offer = Offer(
        id=1, block=block, provider=provider, price_minor=350, currency="EUR", quantity=80,
        held=0, cancelled=0, created_at=NOW, changed_at=NOW,
    )  # fmt: skip
    order = Order(
        id=1, code="7K2P9QXM", token="example",  # noqa: S106 - no secret
        provider=provider, provider_id=1,
        status=OrderStatus.PLACED, total_minor=8750, currency="EUR", locale=language(),
        method_id="bank_transfer", purchaser_kind="company", purchaser_name="Ada Example",
        company="Example plc", email=PERSON, country="FR", purchase_order="PO-17",
        beneficiary="Example plc", reason=WORDS[language()], attestation_locale=language(),
        terms_version="", placed_at=NOW, pay_by=NOW, paid_at=NOW,
    )  # fmt: skip
    order.lines = [
        OrderLine(
            id=1, offer=offer, block=block, quantity=25, price_minor=350,
            unit_type=UnitType.CER,
        )
    ]  # fmt: skip
    yield order.lines[0]
    yield Replacement(
        id=1, order_id=1, line=order.lines[0], block=block, old_block=block, answer_by=NOW,
    )  # fmt: skip
    issued = Attestation(
        id=1, order=order, sequence=123, year=2027, check_code="example",
        status=AttestationStatus.ISSUED, locale=language(), data={}, fulfilled_at=NOW,
        issued_at=NOW, correction="",
    )  # fmt: skip
    issued.supersedes = Attestation(id=2, order=order, sequence=122, year=2027)
    yield Correction(
        id=1, order=order, beneficiary="Example plc", reason=WORDS[language()],
        answer=WORDS[language()], asked_by=PERSON, asked_at=NOW,
    )  # fmt: skip
    yield from (provider, activity, block, offer, order, issued)
    yield Payment(
        id=1, order=order, key="example", method_id="bank_transfer", payee={}, payee_account="",
        amount_minor=8750, currency="EUR", instructions=[], created_at=NOW,
    )  # fmt: skip
    yield PayoutMethod(
        id=0, provider=provider, provider_id=1, method_id="bank_transfer",
        status=PayoutStatus.READY, todo=[], account={}, currencies=["EUR"],
    )  # fmt: skip
    yield Application(
        id=1, organisation="Example Hydro", country="PE", address="1 Road", registry_id="cdm",
        account_ref="PE-3", activities=["1234"], locale=language(), terms_version="",
        submitted_at=NOW, user=User(id=1, email=PERSON, fs_uniquifier="example", name="Ada"),
    )  # fmt: skip
    yield ApplicationNote(id=1, text=WORDS[language()], actor="sam@example.org", at=NOW)
    yield Invitation(
        id=1, provider=provider, email="kim@example.org", role=StaffRole.SALES,
        operator_role=OperatorRole.SUPPORT, invited_by="sam@example.org", created_at=NOW,
        expires_at=NOW, token_hash="",
    )  # fmt: skip
    yield Listing(
        id=1, activity=activity, provider=provider, number=2, title=TITLE, description=WORDS,
        labels={}, created_at=NOW,
    )  # fmt: skip
    yield FeeSchedule(
        id=1, holds_from=NOW.date(), reason=WORDS[language()], published_by=PERSON,
        published_at=NOW,
        tiers=[
            FeeTier(id=1, unit_type=UnitType.CER, after_units=0, basis_points=200),
            FeeTier(id=2, unit_type=UnitType.CER, after_units=10_000, basis_points=100),
        ],
    )  # fmt: skip
    yield BankStatement(id=1, provider_id=1, filename="statement.xml", entries=7, added=7)
    yield BankEntry(
        id=1, provider_id=1, finding=Finding.OVER, amount_minor=9000, currency="EUR",
        received_on=NOW.date(), bank_ref="EXAMPLE", payer="Example plc", order=order,
        proposed_by="sam@example.org",
    )  # fmt: skip
    yield Case(
        id=1, code="7K2P-9QXM", kind=CaseKind.ORDER, email=PERSON, name="Ada", order=order,
        locale=language(), summary=WORDS[language()], provider=provider, opened_at=NOW,
        answer_by=NOW, solve_by=NOW,
    )  # fmt: skip
    yield CaseMessage(id=1, text=WORDS[language()], sender=PERSON, at=NOW, left_out=[])
    yield User(id=2, email=PERSON, fs_uniquifier="example", name="Ada")

"""One of everything that has an address, and a browser for each kind of people."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field
from datetime import date, timedelta
from typing import Any

from flask import Flask
from flask.testing import FlaskClient
from sqlalchemy import select
from werkzeug.routing import Rule

from cnn_offset.domain.casework import CaseKind, CaseSide, Voice
from cnn_offset.domain.staff import OperatorRole, StaffRole
from cnn_offset.domain.status import (
    BankEntryStatus,
    CancellationStatus,
    ListingStatus,
    MessageStatus,
    ReplacementStatus,
    SurveyStatus,
)
from cnn_offset.domain.units import UnitType
from cnn_offset.extensions import db, platform
from cnn_offset.models import (
    AccountActivity,
    AccountKind,
    ApplicantRole,
    Application,
    Attestation,
    BankEntry,
    BankStatement,
    Block,
    Cancellation,
    Case,
    CaseFile,
    CaseMessage,
    Checkout,
    Correction,
    Difference,
    DifferenceKind,
    FeeSchedule,
    FeeStatement,
    FeeStatementLine,
    FeeTier,
    Finding,
    Invitation,
    Listing,
    Message,
    Offer,
    Order,
    PageVersion,
    Payment,
    PayoutMethod,
    Picture,
    Proof,
    Proposal,
    ProposalKind,
    Provider,
    RegistryAccount,
    Replacement,
    Survey,
    UnmappedBlock,
    User,
    WebAuthn,
)
from cnn_offset.services.rephrasing import Sentence
from cnn_offset.wording import SHIPPED_TERMS, shipped
from tests.conftest import Clock
from tests.factories import make_activity
from tests.history import make_earlier
from tests.web.people import add_person, log_in
from tests.web.selling import sell

PURCHASER, OPERATOR = "purchaser", "operator"
OWNER, SALES, ACCOUNTS, OTHER = "owner", "sales", "accounts", "another provider's owner"
STAFF = (OTHER, SALES, ACCOUNTS, OWNER)
"""Of two providers; all things are the first one's."""
PEOPLE = ("nobody", PURCHASER, OPERATOR, *STAFF)


@dataclass
class World:
    """Browsers by kind of people, and what stands in the addresses."""

    app: Flask
    browsers: dict[str, FlaskClient] = field(default_factory=dict)
    values: dict[str, Any] = field(default_factory=dict)
    by_endpoint: dict[str, dict[str, Any]] = field(default_factory=dict)
    """Where a name means something else."""
    forms: dict[str, dict[str, str]] = field(default_factory=dict)
    """What a form names that its address does not."""

    def address(self, rule: Rule, lang: str = "en") -> str:
        """Return an address of ``rule`` that leads to something there is."""
        known = {
            "lang": lang,
            **self.values,
            **self.by_endpoint.get(rule.endpoint.split(".")[0], {}),
            **self.by_endpoint.get(rule.endpoint, {}),
        }
        missing = set(rule.arguments) - set(known) - set(rule.defaults or {})
        assert not missing, f"{rule}: teach tests/meta/world.py about {missing}"
        with self.app.test_request_context():
            wanted = {name: known[name] for name in rule.arguments if name in known}
            built = self.app.url_map.bind("localhost").build(rule.endpoint, wanted)
        return str(built)


def make_world(app: Flask, clock: Clock) -> World:
    """Add one of each kind, all of provider A or its staff, and log everybody in."""
    sale = sell(app, clock, method="bank_transfer")
    other = sell(app, clock, method="bank_transfer")
    people = {
        PURCHASER: add_person(app, "purchaser@example.org"),
        OPERATOR: add_person(app, "op@example.org", "operator", second=True),
        OWNER: add_person(app, "owner@example.org", "provider", sale.provider),
        OTHER: add_person(app, "other@example.org", "provider", other.provider),
    }
    for role in (StaffRole.SALES, StaffRole.ACCOUNTS):
        email = f"{role}@example.org"
        people[str(role)] = add_person(app, email, "provider", sale.provider, staff_role=role)
    leaving = add_person(
        app, "leaving@example.org", "provider", sale.provider, staff_role=StaffRole.SALES
    )
    colleague = add_person(app, "colleague@example.org", "operator")
    made = World(app)
    with app.app_context():
        order = db.session.get_one(Order, sale.order_id)
        offer = db.session.get_one(Offer, sale.offer_id)
        application = _application(people[PURCHASER], clock)
        mapped = _account(order.provider, offer.block, clock)
        spare = make_activity()
        listing = _listing(order.provider, offer.block, clock)
        theirs = db.session.scalars(select(Provider).where(Provider.slug == other.provider)).one()
        waiting = _listing(theirs, offer.block, clock, status=ListingStatus.SUBMITTED)
        entry = _entry(order, clock)
        invitation = Invitation(
            provider_id=order.provider_id,
            email="asked@example.org",
            role=StaffRole.SALES,
            token_hash=hashlib.sha256(b"secret").hexdigest(),
            invited_by="owner@example.org",
            created_at=clock(),
            expires_at=clock() + timedelta(days=7),
        )
        to_desk = Invitation(
            email="asked-to-desk@example.org",
            operator_role=OperatorRole.SUPPORT,
            token_hash=hashlib.sha256(b"to the desk").hexdigest(),
            invited_by="op@example.org",
            created_at=clock(),
            expires_at=clock() + timedelta(days=7),
        )
        private = Offer(
            block_id=offer.block_id,
            provider_id=offer.provider_id,
            price_minor=300,
            currency="USD",
            quantity=1,
            private_token="private-offer-token",
            customer="Example Airways",
            created_at=clock(),
            changed_at=clock(),
        )
        schedule = FeeSchedule(
            holds_from=clock().date() + timedelta(days=40),
            reason="decided",
            published_by="op@example.org",
            published_at=clock(),
            tiers=[FeeTier(unit_type=UnitType.CER, after_units=0, basis_points=200)],
        )
        fee_statement = FeeStatement(
            sequence=1,
            provider_id=order.provider_id,
            currency=order.currency,
            month="2026-10",
            total_minor=50,
            data={"name": "A", "lines": [], "country": "KE", "tax_id": "", "pay_to": []},
            issued_at=clock(),
        )
        passkey = WebAuthn(
            user_id=people[PURCHASER],
            name="key",
            credential_id=b"credential",
            public_key=b"key",
            backup_state=False,
            device_type="single_device",
            create_datetime=clock(),
            lastuse_datetime=clock(),
            usage="secondary",
        )
        payout_id = db.session.scalars(
            select(PayoutMethod.id).where(
                PayoutMethod.provider_id == order.provider_id,
                PayoutMethod.method_id == "bank_transfer",
            )
        ).one()
        offer.quantity -= 1
        db.session.add(
            PageVersion(
                page="contact",
                number=1,
                texts=dict(shipped("contact")),
                created_by="op@example.org",
                created_at=clock(),
                changed_by="op@example.org",
                changed_at=clock(),
            )
        )
        db.session.add_all([invitation, to_desk, private, passkey, schedule, fee_statement])
        db.session.flush()
        db.session.add(
            FeeStatementLine(statement_id=fee_statement.id, order_id=order.id, amount_minor=50)
        )
        draft, asked = (_survey(slug, status, clock) for slug, status in SURVEYS)
        made.values = {
            "registry_id": "cdm",
            "survey_id": draft.id,
            "question": 1,
            "code": order.code,
            "slug": offer.block.activity.slug,
            "path": "nothing.svg",
            "method_id": "bank_transfer",
            "sequence": 1,
            "year": 2026,
            "token": order.token,
            "number": application.id,
            "table": "orders",
            "kind": "pro_forma",
            "offer_id": offer.id,
            "block_id": offer.block_id,
            "account_id": mapped.account_id,
            "mapping_id": mapped.id,
            "listing_id": listing.id,
            "picture_id": listing.pictures[0].id,
            "width": 800,
            "keep": "middle",
            "entry_id": entry.id,
            "statement_id": entry.statement_id,
            "user_id": leaving,
            "invitation_id": invitation.id,
            "passkey_id": passkey.id,
            "provider_id": order.provider_id,
            "payout_id": payout_id,
            "schedule_id": schedule.id,
            "fee_statement_id": fee_statement.id,
            "page": "contact",
            "version_number": 1,
            "version": SHIPPED_TERMS[-1],
            "mail_kind": "order_placed",
            "place": "attestation",
            "key": Sentence("This attests that").key,
        }
        made.values |= {
            "historic_id": make_earlier().id,
            "old_page": "vchistory",
            "old_part": "details",
        }
        case, file = _case(order, clock)
        made.values |= _correction(order, clock)
        made.values["difference_id"] = _difference(order, clock)
        made.values["replacement_id"] = _replacement(order, clock)
        made.by_endpoint = {
            "checkout": {"token": db.session.get_one(Checkout, order.checkout_id).token},
            "hooks": {"method_id": "paypal"},
            "survey": {"slug": asked.slug},
            "catalogue.private_offer": {"token": private.private_token},
            "applying.proof": {"number": application.proofs[0].id},
            "admin.proof": {"number": application.proofs[0].id},
            "admin.case_file": {"number": file.id},
            "admin.attention_entry": {"kind": "unpaid", "subject_id": order.id},
            "admin.attention_deal": {"kind": "unpaid", "subject_id": order.id},
            "admin.mail_again": {"message_id": _sent_mail(order)},
            **{
                f"admin.{name}": {"code": case.code}
                for name in (
                    "answer_case",
                    "case",
                    "close_case",
                    "escalate_case",
                    "evidence_pack",
                    "note_case",
                    "reopen_case",
                    "tie_case",
                    "write_other_side",
                )
            },
            "admin.people_withdraw": {"invitation_id": to_desk.id},
            **{
                f"admin.person{part}": {"user_id": colleague}
                for part in ("", "_role", "_remove", "_sessions", "_factor")
            },
            "admin.provider": {"slug": sale.provider},
            "admin.open_account": {"slug": sale.provider},
            "admin.map_activity": {"slug": sale.provider},
            "admin.change_mapping": {"slug": sale.provider},
            "admin.suspend_provider": {"slug": sale.provider},
            "admin.resume_provider": {"slug": sale.provider},
            **{
                key: {"listing_id": waiting.id, "picture_id": waiting.pictures[0].id}
                for key in (
                    "admin.review",
                    "admin.review_approve",
                    "admin.review_picture",
                    "admin.review_refuse",
                )
            },
        }
        switch = {"to": "off", "reason": "an outage"}
        moments = {"starts_at": "2026-11-03T00:00", "ends_at": "2026-12-03T00:00"}
        made.forms = {
            "admin.attention_deal": {"reason": "asked the bank"},
            "admin.decide": {"act": "remind", "reason": "the purchaser asks"},
            "admin.switch_method": switch,
            "admin.switch_registry": switch,
            "admin.switch_orders": switch,
            "admin.set_notice": {
                **{f"text_{lang}": "We repair." for lang in ("en", "fr", "es")},
                **moments,
                "reason": "repair",
            },
            "admin.end_notice": {"reason": "done"},
            "admin.ask_registry_dates": {"closed": "2028-01-01T00:00", "reason": "it says so"},
            **{
                f"admin.{name}": {
                    "slug": name.replace("_", "-"),
                    **{f"title_{lang}": "Need" for lang in ("en", "fr", "es")},
                    **{f"intro_{lang}": "Please answer." for lang in ("en", "fr", "es")},
                    **moments,
                }
                for name in ("survey_begin", "survey_change_texts")
            },
            "admin.survey_put_question": {
                "kind": "text",
                **{f"text_{lang}": "Why?" for lang in ("en", "fr", "es")},
            },
            "admin.fee_switch": {"on": "yes", "pay_to": "IBAN XY", "reason": "begins"},
            "admin.fee_announce": {
                "kind-1": "cer",
                "first-1": "1",
                "rate-1": "2",
                "holds_from": str(clock().date() + timedelta(days=50)),
                "reason": "decided",
            },
            "admin.fee_settle": {"status": "settled", "reason": "the money came"},
            "admin.people_invite": {
                "email": "another@example.org",
                "role": "support",
                "locale": "fr",
            },
            "admin.person_role": {"role": "auditor"},
            "admin.audit_export": {"from": str(clock().date()), "to": str(clock().date())},
            "admin.privacy": {"email": order.email},
            "admin.privacy_export": {"email": order.email, "why": "a letter"},
            "admin.earlier_erase": {"reason": "a letter"},
            "admin.difference_settle": {"remark": "the registry was late"},
            "admin.privacy_erase": {"email": "purchaser@example.org", "reason": "a letter"},
            "admin.map_activity": {
                "account_id": str(mapped.account_id),
                "ref": spare.ref,
                "why": "it is theirs",
            },
            "admin.change_mapping": {"wanted": "unmap", "reason": "it is theirs no longer"},
            "admin.suspend_provider": {"reason": "they do not answer"},
            "admin.resume_provider": {"reason": "they do"},
            "provider.money_decide": {"act": "dismiss"},
            "provider.read_account": {"account": str(mapped.account_id)},
        }
        db.session.commit()
    made.values["ending"] = "csv"
    made.browsers = {"nobody": app.test_client()}
    for name, user_id in people.items():
        with app.app_context():
            email = db.session.scalars(select(User.email).where(User.id == user_id)).one()
        made.browsers[name] = log_in(app, email)
    return made


def _difference(order: Order, clock: Clock) -> int:
    """A cancellation that a registry's list has not."""
    made = Difference(
        registry_id="cdm",
        kind=DifferenceKind.OURS_ONLY,
        name="c-WORLD-1",
        order_id=order.id,
        ours={"key": "c-WORLD-1", "units": 9, "ranges": ["KE-5-1-2-2-0-77"]},
        theirs={},
        found_at=clock(),
        seen_at=clock(),
    )
    db.session.add(made)
    db.session.flush()
    return made.id


def _sent_mail(order: Order) -> int:
    mail = db.session.scalars(select(Message).where(Message.order_id == order.id).limit(1)).one()
    mail.status = MessageStatus.SENT
    return mail.id


def _replacement(order: Order, clock: Clock) -> int:
    """A question to the purchaser that is closed by now."""
    line = order.lines[0]
    block = line.block
    refused = Cancellation(
        order_id=order.id,
        order_line_id=line.id,
        key="c-world",
        registry_id=block.registry_id,
        account_ref=block.account_ref,
        block_ref=block.block_ref,
        quantity=line.quantity,
        beneficiary=order.beneficiary,
        reason=order.reason,
        status=CancellationStatus.GIVEN_UP,
        created_at=clock(),
    )
    db.session.add(refused)
    db.session.flush()
    asked = Replacement(
        order_id=order.id,
        order_line_id=line.id,
        cancellation_id=refused.id,
        old_offer_id=line.offer_id,
        old_block_id=block.id,
        offer_id=line.offer_id,
        block_id=block.id,
        status=ReplacementStatus.LAPSED,
        asked_by="another@example.org",
        asked_at=clock(),
        answer_by=clock(),
    )
    db.session.add(asked)
    db.session.flush()
    return asked.id


def _correction(order: Order, clock: Clock) -> dict[str, int]:
    """What was asked for and proposed, and a payment: one of each."""
    attestation = Attestation(
        order_id=order.id,
        sequence=1,
        year=2026,
        check_code="world",
        locale="en",
        data={"beneficiary": order.beneficiary, "reason": order.reason},
        fulfilled_at=clock(),
    )
    db.session.add(attestation)
    db.session.flush()
    asked = Correction(
        order_id=order.id,
        attestation_id=attestation.id,
        beneficiary="Example Airways",
        reason=order.reason,
        asked_by="purchaser",
        asked_at=clock(),
    )
    db.session.add(asked)
    db.session.flush()
    proposal = Proposal(
        kind=ProposalKind.CORRECTION,
        subject="correction",
        subject_id=asked.id,
        order_id=order.id,
        payload={
            "beneficiary": "Example Airways",
            "reason": order.reason,
            "was": [order.beneficiary, order.reason],
        },
        reason="misspelt",
        asked_by="another@example.org",
        asked_at=clock(),
    )
    db.session.add(proposal)
    db.session.flush()
    payment = select(Payment.id).where(Payment.order_id == order.id)
    return {
        "correction_id": asked.id,
        "proposal_id": proposal.id,
        "payment_id": db.session.scalars(payment).one(),
    }


SURVEYS = (("draft", SurveyStatus.DRAFT), ("asked", SurveyStatus.OPEN))


def _survey(slug: str, status: SurveyStatus, clock: Clock) -> Survey:
    made = Survey(
        slug=slug,
        status=status,
        title={"en": "Need", "fr": "Besoin", "es": "Necesidad"},
        intro={"en": "Why?", "fr": "Pourquoi ?", "es": "¿Por qué?"},
        questions=[
            {"kind": "text", "text": {"en": "Why?"}, "choices": [], "required": False},
            {"kind": "number", "text": {"en": "How many?"}, "choices": [], "required": False},
        ],
        starts_at=clock(),
        ends_at=clock() + timedelta(days=9),
        made_by="op@example.org",
        changed_at=clock(),
    )
    db.session.add(made)
    db.session.flush()
    return made


def _application(user_id: int, clock: Clock) -> Application:
    made = Application(
        user_id=user_id,
        organisation="Example Hydro",
        country="KE",
        address="1 Road",
        role=ApplicantRole.HOLDER,
        registry_id="cdm",
        account_ref="KE-9",
        activities=["1001"],
        locale="en",
        terms_version="2026-11-22",
        submitted_at=clock(),
        proofs=[
            Proof(
                path="proofs/world.pdf",
                filename="letter.pdf",
                content_type="application/pdf",
                size=5,
                sha256="0" * 64,
                uploaded_at=clock(),
            )
        ],
    )
    db.session.add(made)
    platform().files.makedirs("proofs", exist_ok=True)
    platform().files.pipe("proofs/world.pdf", b"%PDF-")
    return made


def _account(provider: Provider, block: Block, clock: Clock) -> AccountActivity:
    account = RegistryAccount(
        provider_id=provider.id,
        registry_id=block.registry_id,
        account_ref=block.account_ref,
        kind=AccountKind.PERMANENT,
        read_at=clock(),
        created_at=clock(),
    )
    db.session.add(account)
    db.session.flush()
    made = AccountActivity(
        account_id=account.id, activity_id=block.activity_id, actor="operator", at=clock()
    )
    db.session.add_all(
        [
            made,
            UnmappedBlock(
                account_id=account.id,
                block_ref="B-X",
                activity_ref="77",
                unit_type=block.unit_type,
                first_text="KE-5-1-2-2-0-77",
                last_text="KE-5-9-2-2-0-77",
                held=9,
                read_at=clock(),
            ),
        ]
    )
    return made


def _listing(
    provider: Provider,
    block: Block,
    clock: Clock,
    status: ListingStatus = ListingStatus.DRAFT,
) -> Listing:
    made = Listing(
        activity_id=block.activity_id,
        provider_id=provider.id,
        number=1,
        status=status,
        submitted_at=clock(),
        title={"en": "Wind"},
        description={"en": "Wind blows."},
        labels={},
        created_at=clock(),
        pictures=[
            Picture(position=1, path="pictures/world-800.webp", widths=[800], alt={"en": "Hill"})
        ],
    )
    db.session.add(made)
    platform().files.makedirs("pictures", exist_ok=True)
    platform().files.pipe("pictures/world-800.webp", b"RIFF")
    return made


def _case(order: Order, clock: Clock) -> tuple[Case, CaseFile]:
    case = Case(
        code="CASE-2345",
        kind=CaseKind.ORDER,
        side=CaseSide.PURCHASER,
        email=order.email,
        locale="en",
        summary="Where are my units?",
        order_id=order.id,
        opened_at=clock(),
    )
    file = CaseFile(
        path="cases/world",
        filename="note.txt",
        content_type="text/plain; charset=utf-8",
        size=5,
        sha256="2" * 64,
    )
    said = CaseMessage(
        case=case,
        voice=Voice.ASKER,
        sender=order.email,
        text="Where are my units?",
        at=clock(),
        left_out=[],
        files=[file],
    )
    db.session.add(said)
    platform().files.makedirs("cases", exist_ok=True)
    platform().files.pipe("cases/world", b"Hello")
    return case, file


def _entry(order: Order, clock: Clock) -> BankEntry:
    statement = BankStatement(
        provider_id=order.provider_id,
        sha256="1" * 64,
        filename="statement.xml",
        format="camt053",
        account="DE89370400440532013000",
        entries=1,
        added=1,
        uploaded_by="owner@example.org",
        uploaded_at=clock(),
    )
    db.session.add(statement)
    db.session.flush()
    made = BankEntry(
        provider_id=order.provider_id,
        statement_id=statement.id,
        key="world",
        status=BankEntryStatus.WAITING,
        finding=Finding.UNKNOWN,
        amount_minor=700,
        currency="USD",
        received_on=date(2026, 11, 1),
        bank_ref="WORLD",
        created_at=clock(),
    )
    db.session.add(made)
    return made

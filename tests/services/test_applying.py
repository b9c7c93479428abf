"""Applications: one for each person, talked about, decided once, on both databases."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from flask import Flask
from sqlalchemy import func, select

from cnn_offset import mail
from cnn_offset.domain.staff import StaffRole
from cnn_offset.domain.status import ApplicationStatus
from cnn_offset.extensions import db, platform, unit_of_work
from cnn_offset.mail.letters.applying import LETTERS
from cnn_offset.models import (
    AccountActivity,
    AccountKind,
    Activity,
    ApplicantRole,
    Application,
    Event,
    Message,
    Proof,
    Proposal,
    Provider,
    RegistryAccount,
    Role,
    User,
)
from cnn_offset.services import (
    NotFoundError,
    ServiceError,
    applying,
    holdings,
    mapping,
    particulars,
    proposing,
)
from cnn_offset.services.applying import PENDING_ACCOUNT, Stored, Wish, read_activities
from cnn_offset.services.attention import attention
from cnn_offset.services.checking import check_all
from cnn_offset.services.particulars import Particulars
from tests.conftest import Clock
from tests.factories import make_activity, make_provider

WISH = Wish(
    organisation="Énergie & Vent S.A.",
    country="SN",
    address="1 Avenue du Sahel\nDakar",
    website="https://vent.example",
    role=ApplicantRole.HOLDER,
    registry_id="cdm",
    account_ref="PHA-77",
    activities=["90041", "90042"],
)
PROOF = Stored("proofs/a.pdf", "moc.pdf", "application/pdf", 1234, "a" * 64)
OPERATORS = "desk@example.org"


@pytest.fixture
def here(any_app: Flask) -> Iterator[Flask]:
    with any_app.test_request_context():
        yield any_app
        db.session.remove()


def person(email: str = "ada@example.org") -> int:
    with unit_of_work() as session:
        user = User(email=email, active=True, fs_uniquifier=email.ljust(64, "x"), confirmed_at=None)
        session.add(user)
        session.flush()
        return user.id


def submit(clock: Clock, user_id: int, wish: Wish = WISH, *proofs: Stored) -> int:
    with unit_of_work() as session:
        return applying.submit(
            session,
            session.get_one(User, user_id),
            wish,
            proofs or (PROOF,),
            terms_version="2026-11-22",
            locale="fr",
            operators=OPERATORS,
            now=clock(),
        ).id


def approve(clock: Clock, application_id: int, *activity_ids: int) -> int:
    with unit_of_work() as session:
        return applying.approve(
            session,
            applying.find(session, application_id),
            activity_ids,
            actor="op@example.org",
            now=clock(),
        ).id


def application(application_id: int) -> Application:
    db.session.rollback()
    return applying.find(db.session(), application_id)


def mails(kind: str) -> list[Message]:
    db.session.rollback()
    return list(db.session.scalars(select(Message).where(Message.kind == kind)))


def count(kind: Any) -> int:
    db.session.rollback()
    return db.session.scalar(select(func.count()).select_from(kind)) or 0


def at_once(app: Flask, *calls: Callable[[], Any]) -> list[Any]:
    db.session.rollback()
    gate = threading.Barrier(len(calls))

    def one(call: Callable[[], Any]) -> Any:
        with app.test_request_context():
            gate.wait()
            try:
                return call()
            except Exception as error:
                return error
            finally:
                db.session.remove()

    with ThreadPoolExecutor(len(calls)) as pool:
        return list(pool.map(one, calls))


def test_a_double_submit_is_one(here: Flask, clock: Clock) -> None:
    user_id = person()
    first = submit(clock, user_id)
    assert submit(clock, user_id) == first
    assert len(mails("application_submitted")) == 1
    found = application(first)
    assert found.status is ApplicationStatus.SUBMITTED
    assert [each.filename for each in found.proofs] == ["moc.pdf"]
    assert found.activities == ["90041", "90042"]


def test_two_submits_at_once_are_one(here: Flask, clock: Clock) -> None:
    user_id = person()
    results = at_once(here, *[lambda: submit(clock, user_id)] * 5)
    assert len(set(results)) == 1, results
    assert count(Application) == count(Proof) == 1
    assert len(mails("application_submitted")) == 1


def test_staff_cannot_apply(here: Flask, clock: Clock) -> None:
    user_id = person()
    with unit_of_work() as session:
        provider = make_provider()
        session.get_one(User, user_id).provider_id = provider.id
    with pytest.raises(ServiceError):
        submit(clock, user_id)
    with unit_of_work() as session:
        user = session.get_one(User, user_id)
        user.provider_id = None
        user.roles.append(Role(name="operator"))
    with pytest.raises(ServiceError):
        submit(clock, user_id)
    assert count(Application) == 0


def test_questions_and_answers_are_kept(here: Flask, clock: Clock) -> None:
    user_id = person()
    number = submit(clock, user_id)

    def ask(text: str) -> None:
        with unit_of_work() as session:
            applying.ask(session, applying.find(session, number), text, actor="op@x", now=clock())

    def answer(text: str, *proofs: Stored) -> None:
        with unit_of_work() as session:
            applying.answer(
                session,
                applying.find(session, number),
                text,
                proofs,
                operators=OPERATORS,
                now=clock(),
            )

    ask("Which page?")
    ask("Which page?")
    assert application(number).status is ApplicationStatus.QUESTIONED
    more = Stored("proofs/b.jpg", "letter.jpg", "image/jpeg", 9, "b" * 64)
    answer("Page 3.", more)
    answer("Page 3.", more)
    found = application(number)
    assert found.status is ApplicationStatus.SUBMITTED
    assert [(each.by_operator, each.text) for each in found.notes] == [
        (True, "Which page?"),
        (False, "Page 3."),
    ]
    assert len(found.proofs) == 2
    assert len(mails("application_question")) == len(mails("application_answered")) == 1
    # The same question after an answer is a new one.
    ask("Which page?")
    assert len(mails("application_question")) == 2
    db.session.rollback()
    (asked, _again) = mails("application_question")
    made = mail.render(db.session(), asked)
    assert made["To"] == "ada@example.org"
    assert made["Content-Language"] == "fr"
    assert "Which page?" in made.as_string()
    assert "/fr/apply/application" in made.as_string()


def test_a_double_answer_is_one(here: Flask, clock: Clock) -> None:
    number = submit(clock, person())
    more = Stored("proofs/b.jpg", "letter.jpg", "image/jpeg", 9, "b" * 64)

    def answer() -> None:
        with unit_of_work() as session:
            applying.answer(
                session,
                applying.find(session, number),
                "Page 3.",
                [more],
                operators=OPERATORS,
                now=clock(),
            )

    assert at_once(here, *[answer] * 4) == [None] * 4
    found = application(number)
    assert len(found.notes) == 1
    assert len(found.proofs) == 2
    assert len(mails("application_answered")) == 1


def test_approving_makes_a_provider_with_its_account(here: Flask, clock: Clock) -> None:
    known = make_activity(ref="90041").id
    make_activity(ref="90042")
    db.session.commit()
    user_id = person()
    number = submit(clock, user_id)
    provider_id = approve(clock, number, known)
    assert approve(clock, number, known) == provider_id
    user = db.session.get_one(User, user_id)
    provider = db.session.get_one(Provider, provider_id)
    assert provider.slug == "energie-vent-s-a"
    assert (provider.country, provider.locale, provider.email) == ("SN", "fr", user.email)
    assert provider.address == WISH.address
    assert user.provider_id == provider_id
    assert user.staff_role is StaffRole.OWNER
    assert [each.name for each in user.roles] == ["provider"]
    (account,) = db.session.scalars(select(RegistryAccount))
    assert (account.registry_id, account.account_ref) == ("cdm", "PHA-77")
    assert account.kind is AccountKind.PERMANENT
    assert account.due_at == clock()
    assert account.mappings == [], "a second operator must approve it"
    (proposal,) = db.session.scalars(select(Proposal))
    assert proposal.payload == {"wanted": "map", "activities": [known]}, "only what was chosen"
    with unit_of_work() as session:
        proposing.approve(session, proposing.find(session, 1), actor="op2@example.org", now=clock())
    (account,) = db.session.scalars(select(RegistryAccount))
    assert [each.activity_id for each in account.mappings] == [known]
    found = application(number)
    assert found.status is ApplicationStatus.APPROVED
    assert found.provider_id == provider_id
    assert found.decided_by == "op@example.org"
    assert len(mails("application_approved")) == 1


def test_a_focal_point_gets_the_pending_account(here: Flask, clock: Clock) -> None:
    wish = Wish(**{**_fields(WISH), "role": ApplicantRole.FOCAL_POINT, "account_ref": "other"})
    approve(clock, submit(clock, person(), wish))
    (account,) = db.session.scalars(select(RegistryAccount))
    assert account.kind is AccountKind.PENDING
    assert account.account_ref == PENDING_ACCOUNT


def _fields(wish: Wish) -> dict[str, Any]:
    return {name: getattr(wish, name) for name in Wish.__slots__}


def test_two_operators_at_once_make_one_provider(here: Flask, clock: Clock) -> None:
    number = submit(clock, person())
    results = at_once(here, *[lambda: approve(clock, number)] * 4)
    assert len(set(results)) == 1, results
    assert count(Provider) == count(RegistryAccount) == 1
    assert len(mails("application_approved")) == 1


def test_namesakes_at_once_get_addresses_of_their_own(here: Flask, clock: Clock) -> None:
    numbers = [
        submit(
            clock,
            person(f"p{n}@example.org"),
            Wish(**{**_fields(WISH), "account_ref": f"PHA-{n}"}),
            Stored(f"proofs/{n}", "a.pdf", "application/pdf", 1, str(n) * 64),
        )
        for n in range(3)
    ]
    results = at_once(here, *[lambda n=n: approve(clock, n) for n in numbers])
    assert all(isinstance(each, int) for each in results), results
    db.session.rollback()
    assert set(db.session.scalars(select(Provider.slug))) == {
        "energie-vent-s-a",
        "energie-vent-s-a-2",
        "energie-vent-s-a-3",
    }


def test_decided_is_decided(here: Flask, clock: Clock) -> None:
    user_id = person()
    number = submit(clock, user_id)

    def refuse() -> None:
        with unit_of_work() as session:
            applying.refuse(
                session, applying.find(session, number), "No proof.", actor="op@x", now=clock()
            )

    refuse()
    refuse()
    found = application(number)
    assert found.status is ApplicationStatus.REFUSED
    assert [each.text for each in found.notes] == ["No proof."]
    (told,) = mails("application_refused")
    assert "No proof." in mail.render(db.session(), told).as_string()
    for act in (
        lambda session, it: applying.approve(session, it, [], actor="op@x", now=clock()),
        lambda session, it: applying.ask(session, it, "?", actor="op@x", now=clock()),
        lambda session, it: applying.withdraw(session, it, now=clock()),
        lambda session, it: applying.add_proofs(session, it, [PROOF], now=clock()),
        lambda session, it: applying.answer(session, it, "!", [], operators=OPERATORS, now=clock()),
    ):
        with pytest.raises(ServiceError), unit_of_work() as session:
            act(session, applying.find(session, number))
    assert count(Provider) == 0
    # Whoever was refused may apply again.
    assert submit(clock, user_id) != number


def test_withdrawn_by_the_applicant(here: Flask, clock: Clock) -> None:
    user_id = person()
    number = submit(clock, user_id)
    for _ in range(2):
        with unit_of_work() as session:
            applying.withdraw(session, applying.find(session, number), now=clock())
    assert application(number).status is ApplicationStatus.WITHDRAWN
    with pytest.raises(ServiceError):
        approve(clock, number)
    events = db.session.scalars(select(Event.new).where(Event.subject == "application"))
    assert list(events) == ["submitted", "withdrawn"]


def test_refused_while_being_approved(here: Flask, clock: Clock) -> None:
    number = submit(clock, person())

    def refuse() -> str:
        with unit_of_work() as session:
            applying.refuse(
                session, applying.find(session, number), "No.", actor="op@x", now=clock()
            )
        return "refused"

    results = at_once(here, lambda: approve(clock, number), refuse)
    (lost,) = [each for each in results if isinstance(each, Exception)]
    assert isinstance(lost, ServiceError), results
    approved = application(number).status is ApplicationStatus.APPROVED
    assert count(Provider) == int(approved)


def test_an_account_of_another_provider_stops_the_approval(here: Flask, clock: Clock) -> None:
    with unit_of_work() as session:
        holdings.open_account(
            session,
            make_provider(),
            registry_id="cdm",
            account_ref="PHA-77",
            kind=AccountKind.PERMANENT,
            now=clock(),
        )
    user_id = person()
    number = submit(clock, user_id)
    with pytest.raises(ServiceError):
        approve(clock, number)
    assert application(number).status is ApplicationStatus.SUBMITTED
    assert count(Provider) == 1
    assert db.session.get_one(User, user_id).provider_id is None


def test_an_applicant_who_joined_a_staff_meanwhile(here: Flask, clock: Clock) -> None:
    user_id = person()
    number = submit(clock, user_id)
    with unit_of_work() as session:
        provider = make_provider()
        session.get_one(User, user_id).provider_id = provider.id
    with pytest.raises(ServiceError):
        approve(clock, number)
    assert count(Provider) == 1


def test_documents_are_bounded_and_their_applicants_own(here: Flask, clock: Clock) -> None:
    user_id, other = person(), person("eve@example.org")
    number = submit(clock, user_id)
    many = [Stored(f"proofs/{n}", "x.pdf", "application/pdf", 1, f"{n:064}") for n in range(25)]
    with pytest.raises(ServiceError), unit_of_work() as session:
        applying.add_proofs(session, applying.find(session, number), many, now=clock())
    proof_id = application(number).proofs[0].id
    assert applying.find_proof(db.session(), proof_id, user_id=user_id).id == proof_id
    with pytest.raises(NotFoundError):
        applying.find_proof(db.session(), proof_id, user_id=other)
    with pytest.raises(NotFoundError):
        applying.find_proof(db.session(), proof_id + 1)
    with pytest.raises(NotFoundError):
        applying.find(db.session(), number + 1)


def test_mapping_later(here: Flask, clock: Clock) -> None:
    make_activity(ref="90055")
    db.session.commit()
    provider_id = approve(clock, submit(clock, person()))
    other = make_provider().id
    db.session.commit()
    account_id = db.session.scalars(select(RegistryAccount.id)).one()
    with unit_of_work() as session:
        account = mapping.account(session, provider_id, account_id)
        activity = mapping.activity(session, account, " 90055 ")
        holdings.map_activity(session, account, activity, actor="op@x", now=clock())
    assert count(AccountActivity) == 1
    with pytest.raises(NotFoundError):
        mapping.account(db.session(), other, account_id)
    with pytest.raises(ServiceError):
        mapping.activity(db.session(), account, "90056")
    assert db.session.scalars(select(Activity.ref)).all() == ["90055"]


@pytest.mark.parametrize(
    ("typed", "read"),
    [
        ("90041", ["90041"]),
        ("90041, 90042;90043\r\n 90041\t", ["90041", "90042", "90043"]),
        ("poa-10471 in-5016", ["POA-10471", "IN-5016"]),
    ],
)
def test_reference_numbers(typed: str, read: list[str]) -> None:
    assert read_activities(typed) == read


@pytest.mark.parametrize(
    "typed", ["", " , ;", "PoA", "1" * 41, "12<b>", "90041 “90042”", "\x00", *[
        " ".join(str(n) for n in range(51))
    ]],
)  # fmt: skip
def test_bad_reference_numbers(typed: str) -> None:
    with pytest.raises(ServiceError):
        read_activities(typed)


@pytest.mark.parametrize("lang", ["en", "fr", "es"])
def test_every_mail_can_be_written(app: Flask, clock: Clock, lang: str) -> None:
    with app.test_request_context():
        user_id = person()
        with unit_of_work() as session:
            user = session.get_one(User, user_id)
            made = applying.submit(
                session,
                user,
                WISH,
                [PROOF],
                terms_version="1",
                locale=lang,
                operators=OPERATORS,
                now=clock(),
            )
            applying.ask(session, made, "Why?", actor="op@x", now=clock())
            applying.answer(session, made, "So.", [], operators=OPERATORS, now=clock())
            provider = applying.approve(session, made, [], actor="op@x", now=clock())
            wanted = Particulars("1 Road", "KE", "", "", "new@example.org", lang)
            particulars.change(session, provider.id, wanted, actor="ada@x", now=clock())
        submit(clock, person("eve@example.org"))
        with unit_of_work() as session:
            other = session.scalars(select(Application).order_by(Application.id.desc())).first()
            applying.refuse(session, other, "No.", actor="op@x", now=clock())
        sent = db.session.scalars(select(Message)).all()
        assert {each.kind for each in sent} == set(LETTERS)
        for each in sent:
            each.locale = lang
            made_mail = mail.render(db.session(), each)
            assert made_mail["Subject"]
            assert made_mail["Content-Language"] == lang
            if each.kind != "provider_address_changed":
                assert f"http://localhost/{lang}/" in made_mail.as_string()


def test_an_application_that_waits_is_shown(here: Flask, clock: Clock) -> None:
    assert attention(db.session(), now=clock()) == []
    submit(clock, person())
    (item,) = attention(db.session(), now=clock())
    assert (item.kind, item.name) == ("application", WISH.organisation)


def test_what_does_not_add_up_is_said(here: Flask, clock: Clock) -> None:
    number = submit(clock, person())
    assert check_all(db.session(), platform().files) == []
    with unit_of_work() as session:
        applying.find(session, number).provider_id = make_provider().id
    (fault,) = check_all(db.session(), platform().files)
    assert f"application {number}" in fault

"""A corrected attestation supersedes the old one; units and serial numbers never change."""

from __future__ import annotations

import threading
from datetime import timedelta

import pytest
from flask import Flask
from flask_migrate import downgrade, upgrade
from sqlalchemy import select, text
from sqlalchemy.exc import IntegrityError

from cnn_offset import mail
from cnn_offset.domain.attestation import AttestationData
from cnn_offset.domain.status import AttestationStatus, CorrectionStatus, ProposalStatus
from cnn_offset.extensions import db, unit_of_work
from cnn_offset.models import (
    Attestation,
    Cancellation,
    Correction,
    Event,
    Message,
    Order,
    OrderTerm,
    Proposal,
    RecordTerm,
)
from cnn_offset.services import ServiceError, correcting, proposing, recording
from cnn_offset.services.attesting import current_attestation, issue_attestation
from cnn_offset.services.checking_sequels import corrections as check_corrections
from cnn_offset.services.correcting import Texts
from cnn_offset.services.ordering import send_papers_again
from cnn_offset.services.recording import RecordQuery
from tests.papers import DONE, make_attestation
from tests.services.test_attesting import Plain

ANNE, BEN = "anne@example.org", "ben@example.org"
LATER = DONE + timedelta(days=30)
RIGHT = Texts("Łódź Weavers", "Our journeys in 2026")


def issued(plain: Plain, **values: object) -> Attestation:
    row = make_attestation(runs=2, **values)
    issue_attestation(unit_of_work, row.id, issuer=plain, now=DONE)
    db.session.expire_all()
    return db.session.get_one(Attestation, row.id)


def ask(order_id: int, texts: Texts = RIGHT) -> int:
    with unit_of_work() as session:
        order = session.get_one(Order, order_id)
        return correcting.ask(session, order, texts, "please", actor="purchaser", now=LATER).id


def propose(correction_id: int, texts: Texts = RIGHT, actor: str = ANNE) -> int:
    with unit_of_work() as session:
        found = correcting.find(session, correction_id)
        why = "The name was misspelt."
        return correcting.propose(session, found, texts, reason=why, actor=actor, now=LATER).id


def approve(proposal_id: int, actor: str = BEN) -> bool:
    with unit_of_work() as session:
        found = proposing.find(session, proposal_id)
        return proposing.approve(session, found, actor=actor, now=LATER)


def correct(plain: Plain, order_id: int, texts: Texts = RIGHT) -> Attestation:
    """Go the whole way; return the new attestation, issued."""
    assert approve(propose(ask(order_id, texts), texts))
    new_id = db.session.scalars(select(Attestation.id).order_by(Attestation.id.desc())).all()[0]
    issue_attestation(unit_of_work, new_id, issuer=plain, now=LATER)
    db.session.expire_all()
    return db.session.get_one(Attestation, new_id)


def test_two_operators_correct_and_both_attestations_stay(any_app: Flask) -> None:
    with any_app.app_context():
        plain = Plain()
        old = issued(plain)
        order_id, old_sha = old.order_id, old.sha256
        new = correct(plain, order_id)
        old = db.session.get_one(Attestation, new.supersedes_id)
        assert (old.sequence, new.sequence) == (1, 2)
        assert old.status is new.status is AttestationStatus.ISSUED
        assert (old.is_current, new.is_current) == (False, True)
        assert old.sha256 == old_sha
        assert new.sha256 != old_sha
        assert new.check_code != old.check_code
        before, after = (AttestationData.from_json(each.data) for each in (old, new))
        assert before.beneficiary == "Łódź Looms"
        assert after.beneficiary == "Łódź Weavers"
        assert after.replaces == old.number
        # Nothing of what the registry did has changed.
        assert after.lines == before.lines
        assert after.quantity == before.quantity
        assert (after.fulfilled_at, after.locale) == (before.fulfilled_at, before.locale)
        order = db.session.get_one(Order, order_id)
        assert order.beneficiary == "Łódź Weavers"
        told = db.session.scalars(select(Cancellation.beneficiary)).all()
        assert set(told) == {"Łódź Looms"}, "what the registry was told stays"
        correction = db.session.scalars(select(Correction)).one()
        assert correction.status is CorrectionStatus.CORRECTED
        assert correction.decided_by == BEN
        kinds = [each.kind for each in db.session.scalars(select(Message).order_by(Message.id))]
        assert kinds == ["attestation", "attestation_corrected"]
        assert current_attestation(db.session(), order_id) is new
        terms = select(OrderTerm.term).where(OrderTerm.order_id == order_id)
        assert "for:weavers" in set(db.session.scalars(terms))
        assert list(check_corrections(db.session())) == []
        actors = set(db.session.scalars(select(Event.actor).where(Event.order_id == order_id)))
        assert {"purchaser", ANNE, BEN} <= actors


def test_the_record_finds_what_holds_and_keeps_the_other_by_its_number(app: Flask) -> None:
    with app.app_context():
        plain = Plain()
        new = correct(plain, issued(plain).order_id)
        session = db.session()

        def found(text: str = "", **filters: str) -> list[int]:
            query = RecordQuery(text=text, **filters)
            page = recording.find_entries(session, query, registry_ids=["cdm"])
            return [each.sequence for each in page.entries]

        assert found() == [2]
        assert found("weavers") == [2]
        assert found("looms") == []
        assert found(host="KE") == [2]
        data = AttestationData.from_json(new.data)
        assert found(data.lines[0].ranges[0].first) == [2]
        assert found("VC000001/2026") == [1]
        assert set(session.scalars(select(RecordTerm.attestation_id))) == {new.id}
        old_entry, new_entry = (recording.entry(session, n, 2026) for n in (1, 2))
        assert old_entry.replaced_by is new
        assert old_entry.replaces is None
        assert new_entry.replaced_by is None
        assert new_entry.correction == "The name was misspelt."
        assert old_entry.beneficiary == "Łódź Looms"


def test_an_unpublished_name_stays_so_in_both(app: Flask) -> None:
    with app.app_context():
        plain = Plain()
        correct(plain, issued(plain, publish_name=False, publish_reason=False).order_id)
        for number in (1, 2):
            entry = recording.entry(db.session(), number, 2026)
            assert (entry.beneficiary, entry.reason) == ("", "")
        words = set(db.session.scalars(select(RecordTerm.term)))
        assert not words & {"word:weavers", "word:looms"}


def test_the_mail_attaches_the_one_that_holds(app: Flask) -> None:
    with app.test_request_context():
        plain = Plain()
        old = issued(plain)
        new = correct(plain, old.order_id)
        order = db.session.get_one(Order, new.order_id)
        files = app.extensions["cnn_offset"].files
        files.makedirs("attestations/2026", exist_ok=True)
        for path, pdf in plain.files.items():
            files.pipe(path, pdf)
        for message in db.session.scalars(select(Message)).all():
            made = mail.render(db.session(), message)
            (attached,) = made.iter_attachments()
            assert attached.get_filename() == "attestation-VC000002-2026.pdf"
        assert "VC000001/2026" in made.get_body(("plain",)).get_content()  # type: ignore[union-attr]
        with unit_of_work() as session:
            send_papers_again(session, session.get_one(Order, order.id), now=LATER)


def test_it_can_be_corrected_again(app: Flask) -> None:
    with app.app_context():
        plain = Plain()
        order_id = issued(plain).order_id
        correct(plain, order_id)
        third = correct(plain, order_id, Texts("Łódź Weavers Ltd", "Our journeys in 2026"))
        assert third.sequence == 3
        assert third.supersedes is not None
        assert third.supersedes.sequence == 2
        holds = [each.is_current for each in db.session.scalars(select(Attestation))]
        assert holds.count(True) == 1
        assert list(check_corrections(db.session())) == []


def test_what_cannot_be_asked(app: Flask) -> None:
    with app.app_context():
        plain = Plain()
        row = make_attestation()
        with pytest.raises(ServiceError, match="cannot be corrected now"):
            ask(row.order_id)
        issue_attestation(unit_of_work, row.id, issuer=plain, now=DONE)
        with pytest.raises(ServiceError, match="same as before"):
            ask(row.order_id, Texts("Łódź Looms", "Our journeys in 2026"))
        ask(row.order_id)
        with pytest.raises(ServiceError, match="asked for already"):
            ask(row.order_id, Texts("Another", "Our journeys in 2026"))


def test_none_while_one_is_being_made(app: Flask) -> None:
    with app.app_context():
        order_id = issued(Plain()).order_id
        approve(propose(ask(order_id)))
        with pytest.raises(ServiceError, match="cannot be corrected now"):
            ask(order_id, Texts("Another", "Our journeys in 2026"))
        # Until the new one is issued, the old one holds.
        current = current_attestation(db.session(), order_id)
        assert current is not None
        assert current.sequence == 1
        assert recording.entry(db.session(), 1, 2026).replaced_by is None


def test_the_one_who_proposed_cannot_approve(app: Flask) -> None:
    with app.app_context():
        proposal_id = propose(ask(issued(Plain()).order_id))
        with pytest.raises(ServiceError, match="another operator must approve"):
            approve(proposal_id, ANNE)
        assert db.session.scalars(select(Attestation)).one().sequence == 1


def test_refused_with_a_reason_that_is_mailed(app: Flask) -> None:
    with app.test_request_context():
        order_id = issued(Plain()).order_id
        correction_id = ask(order_id)
        with pytest.raises(ServiceError, match="write the reason"), unit_of_work() as session:
            found = correcting.find(session, correction_id)
            correcting.refuse(session, found, " ", actor=ANNE, now=LATER)
        with unit_of_work() as session:
            found = correcting.find(session, correction_id)
            correcting.refuse(session, found, "Another company.", actor=ANNE, now=LATER)
        message = db.session.scalars(
            select(Message).where(Message.kind == "correction_refused")
        ).one()
        made = mail.render(db.session(), message)
        assert "Another company." in made.get_body(("plain",)).get_content()  # type: ignore[union-attr]
        # A second operator who has the page open is told.
        with pytest.raises(ServiceError, match="decided meanwhile"):
            propose(correction_id)
        with pytest.raises(ServiceError, match="decided meanwhile"), unit_of_work() as session:
            found = correcting.find(session, correction_id)
            correcting.refuse(session, found, "No.", actor=BEN, now=LATER)
        assert ask(order_id) != correction_id


def test_a_refused_proposal_leaves_the_request(app: Flask) -> None:
    with app.app_context():
        correction_id = ask(issued(Plain()).order_id)
        proposal_id = propose(correction_id)
        with pytest.raises(ServiceError, match="waits for a second"), unit_of_work() as session:
            found = correcting.find(session, correction_id)
            correcting.refuse(session, found, "No.", actor=BEN, now=LATER)
        with unit_of_work() as session:
            proposing.refuse(
                session, proposing.find(session, proposal_id), "write SA", actor=BEN, now=LATER
            )
        again = propose(correction_id, Texts("Łódź Weavers SA", "Our journeys in 2026"), BEN)
        assert approve(again, ANNE)
        assert db.session.scalars(select(Order.beneficiary)).one() == "Łódź Weavers SA"


def test_a_proposal_about_other_texts_is_not_done(app: Flask) -> None:
    with app.app_context():
        order_id = issued(Plain()).order_id
        proposal_id = propose(ask(order_id))
        with unit_of_work() as session:
            session.get_one(Order, order_id).beneficiary = "Somebody erased"
        with pytest.raises(ServiceError, match="decided meanwhile"):
            approve(proposal_id)
        assert db.session.get_one(Proposal, proposal_id).status is ProposalStatus.WAITING
        assert len(db.session.scalars(select(Attestation)).all()) == 1


def test_two_approve_at_once(any_app: Flask) -> None:
    with any_app.app_context():
        proposal_id = propose(ask(issued(Plain()).order_id))
        done: list[bool] = []

        def click(actor: str) -> None:
            with any_app.app_context():
                done.append(approve(proposal_id, actor))

        threads = [threading.Thread(target=click, args=(f"op{n}@example.org",)) for n in range(3)]
        for each in threads:
            each.start()
        for each in threads:
            each.join()
        assert sorted(done) == [False, False, True]
        db.session.expire_all()
        assert len(db.session.scalars(select(Attestation)).all()) == 2


def test_a_chain_neither_branches_nor_begins_twice(any_app: Flask) -> None:
    with any_app.app_context():
        plain = Plain()
        new = correct(plain, issued(plain).order_id)
        order_id, old_id = new.order_id, new.supersedes_id
        for before in (old_id, None):
            again = Attestation(
                order_id=order_id,
                supersedes_id=before,
                sequence=9,
                year=2026,
                check_code="other",
                locale="en",
                data={},
                fulfilled_at=DONE,
            )
            with pytest.raises(IntegrityError), unit_of_work() as session:
                session.add(again)
                session.flush()


def test_a_migration_back_and_forth_keeps_attestations(any_app: Flask) -> None:
    with any_app.app_context():
        kept = text("SELECT sequence, sha256, correction FROM attestation")
        order_id = issued(Plain()).order_id
        before = db.session.execute(kept).all()
        db.session.remove()
        downgrade(revision="0005")
        upgrade()
        assert db.session.execute(kept).all() == before
        assert current_attestation(db.session(), order_id) is not None


def test_no_migration_loses_a_corrected_attestation(app: Flask) -> None:
    with app.app_context():
        plain = Plain()
        correct(plain, issued(plain).order_id)
        db.session.remove()
        with pytest.raises(SystemExit):
            downgrade(revision="0005")
        upgrade()
        assert len(db.session.scalars(select(Attestation)).all()) == 2


def test_what_says_other_serial_numbers_is_found(app: Flask) -> None:
    with app.app_context():
        plain = Plain()
        new = correct(plain, issued(plain).order_id)
        with unit_of_work() as session:
            row = session.get_one(Attestation, new.id)
            data = AttestationData.from_json(row.data).as_json()
            data["lines"][0]["ranges"][0]["last"] = "KE-1"
            row.data = data
        assert list(check_corrections(db.session())) == ["attestation 2: not the units of 1"]

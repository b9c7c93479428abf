"""Mails that come in: heard in their case, bounced, automatic, forged, too large, twice."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import pytest
from flask import Flask

from cnn_offset import jobs, mail
from cnn_offset.domain.casework import Voice
from cnn_offset.domain.status import CaseStatus, DeliveryStatus, MessageStatus
from cnn_offset.extensions import db, platform, unit_of_work
from cnn_offset.mail.receiving import take_mail
from cnn_offset.models import Case, IncomingMail, Message, Order
from cnn_offset.services import case_desk, cases, incoming, mailing
from tests.casework import ADA, TOKEN, bounce, make_case, reply, sent_mails, words
from tests.conftest import Clock
from tests.papers import make_order

OP = "op@example.org"


@pytest.fixture
def post(make_app: Any) -> Iterator[Flask]:
    """An application that mails come in to."""
    app: Flask = make_app(INCOMING_MAIL_TOKEN=TOKEN)
    with app.app_context():
        yield app
        db.session.remove()


def take(raw: bytes) -> bool:
    """Let a mail come in and be read."""
    taken = take_mail(platform(), raw)
    for row_id in list(db.session.scalars(db.select(IncomingMail.id).where(IncomingMail.due_at.is_not(None)))):  # fmt: skip
        assert jobs.do("incoming_mail", row_id)
    db.session.expire_all()
    return taken


def said(case: Case) -> list[tuple[str, str]]:
    found = cases.find_case(db.session(), case.code)
    talk = case_desk.conversation(db.session(), found)
    return [(str(each.voice), each.text) for each in talk.messages]


def answer(code: str, clock: Clock, text: str = "Soon.") -> None:
    with unit_of_work() as session:
        case = cases.find_case(session, code, lock=True)
        seen = cases.last_said(session, case)
        cases.answer(session, case, text, seen=seen, actor=OP, now=clock())


def test_a_conversation_goes_both_ways(post: Flask, clock: Clock) -> None:
    case = make_case()
    answer(case.code, clock)
    _row, ours = sent_mails(post, "case_answer")[0]
    # What the mail program does: answer to Reply-To.
    address = ours["Reply-To"].addresses[0].addr_spec
    theirs = reply(case, "Thanks!\n\nOn Monday, Us wrote:\n> Soon.", To=address, Message_ID="<1@x>")
    clock.tick(days=1)
    assert take(theirs.as_bytes())
    assert said(case)[-1] == ("asker", "Thanks!\n\n[…]")
    found = cases.find_case(db.session(), case.code)
    assert (found.status, found.answer_by) == (CaseStatus.OPEN, clock() + timedelta(days=2))
    clock.tick(hours=1)
    answer(case.code, clock, "You are welcome.")
    _row, again = sent_mails(post, "case_answer")[1]
    opened, _made = sent_mails(post, "case_opened")[0]
    assert again["In-Reply-To"] == "<1@x>"
    assert again["References"] == f"{opened.message_id} <1@x>"
    assert again["Auto-Submitted"] is None
    assert _made["Auto-Submitted"] == "auto-generated"


def test_long_message_ids_stay_as_they_are(post: Flask, clock: Clock) -> None:
    case = make_case()
    long = f"<{'A' * 120}@eurprd04.prod.outlook.example.com>"
    take(reply(case, Message_ID=long).as_bytes())
    clock.tick(hours=1)
    answer(case.code, clock)
    raw = sent_mails(post, "case_answer")[0][1].as_bytes()
    assert long.encode() in raw
    assert b"=?utf-8" not in raw.split(b"\r\n\r\n")[0]


def test_without_a_way_in_answers_go_to_people(app: Flask) -> None:
    with app.app_context():
        make_case()
        ((_row, made),) = sent_mails(app, "case_opened")
        assert made["Reply-To"] == platform().settings.CONTACT_EMAIL


def test_what_is_owed_stays_due_when_it_was(post: Flask, clock: Clock) -> None:
    case = make_case()
    due = case.answer_by
    clock.tick(days=1)
    take(reply(case, "Hello?").as_bytes())
    assert cases.find_case(db.session(), case.code).answer_by == due


def test_the_same_mail_twice_is_heard_once(post: Flask) -> None:
    case = make_case()
    raw = reply(case, "Once.").as_bytes()
    assert take(raw)
    assert take(raw)
    assert [text for _, text in said(case)].count("Once.") == 1
    row = db.session.query(IncomingMail).one()
    assert (row.status, row.due_at) == (DeliveryStatus.HANDLED, None)
    assert not platform().files.exists(row.path)


def test_a_crash_between_is_healed(post: Flask) -> None:
    case = make_case()
    take(reply(case, "Once.").as_bytes())
    row = db.session.query(IncomingMail).one()
    row.due_at = row.received_at
    db.session.commit()
    assert jobs.do("incoming_mail", row.id)
    assert [text for _, text in said(case)].count("Once.") == 1


def test_forged_addresses_are_counted_and_dropped(
    post: Flask, caplog: pytest.LogCaptureFixture
) -> None:
    case = make_case()
    real = reply(case)["To"].addresses[0].addr_spec
    head, _, rest = real.partition(".")
    swapped = f"{head}.{'b' * 24}@{rest.partition('@')[2]}"
    caplog.set_level(logging.WARNING)
    for address in (swapped, "case+x@example.org", "noreply@example.org", "help@example.org"):
        assert not take(reply(case, To=address).as_bytes())
    assert incoming.dropped(db.session()) == 4
    assert db.session.query(IncomingMail).count() == 0
    assert len(said(case)) == 1
    assert caplog.text.count("never given out") == 4
    assert sent_mails(post)[1:] == []


def test_a_right_address_of_no_case_is_for_nobody(post: Flask) -> None:
    case = Case(code="ZZZZ-2345")
    assert take(reply(case).as_bytes())
    assert db.session.query(IncomingMail).one().status is DeliveryStatus.UNMATCHED


def test_an_erased_case_hears_nobody(post: Flask) -> None:
    case = make_case()
    raw = reply(case).as_bytes()
    with unit_of_work() as session:
        cases.find_case(session, case.code).email = ""
    assert take(raw)
    assert db.session.query(IncomingMail).one().status is DeliveryStatus.UNMATCHED


def test_machines_are_kept_and_never_answered(post: Flask, clock: Clock) -> None:
    case = make_case()
    answer(case.code, clock)
    before = len(sent_mails(post))
    for n in range(8):
        away = reply(case, f"I am away {n}.", Auto_Submitted="auto-replied")
        away.add_attachment(b"MZ", maintype="application", subtype="x", filename="a.exe")
        take(away.as_bytes())
    found = cases.find_case(db.session(), case.code)
    assert (found.status, found.answer_by) == (CaseStatus.WAITING, None)
    assert len(said(case)) == 10
    with unit_of_work() as session:
        closed = cases.find_case(session, case.code, lock=True)
        cases.close(session, closed, "Done.", tell=False, actor=OP, now=clock())
    take(reply(case, "Away still.", Precedence="bulk").as_bytes())
    assert cases.find_case(db.session(), case.code).status is CaseStatus.CLOSED
    assert len(sent_mails(post)) == before


def test_whoever_writes_again_opens_a_closed_case(post: Flask, clock: Clock) -> None:
    case = make_case()
    with unit_of_work() as session:
        found = cases.find_case(session, case.code, lock=True)
        cases.close(session, found, "Done.", tell=True, actor=OP, now=clock())
    clock.tick(days=7)
    take(reply(case, "It is not.").as_bytes())
    found = cases.find_case(db.session(), case.code)
    assert (found.status, found.closed_at) == (CaseStatus.OPEN, None)
    assert found.answer_by == clock() + timedelta(days=2)


def test_both_sides_of_a_claim_are_told_apart(post: Flask, clock: Clock) -> None:
    order = make_order(email=ADA)
    provider, case = order.provider.email, make_case(order)
    with unit_of_work() as session:
        found = cases.find_case(session, case.code, lock=True)
        cases.escalate(session, found, "No units.", actor=OP, now=clock())
    _row, made = sent_mails(post, "case_claim_other")[0]
    address = made["Reply-To"].addresses[0].addr_spec
    # Whoever it says it is from, the address tells the side.
    take(reply(case, "They came.", To=address, From=ADA).as_bytes())
    assert said(case)[-1] == ("other_side", "They came.")
    found = cases.find_case(db.session(), case.code)
    assert (found.status, found.answer_by) == (CaseStatus.ESCALATED, clock() + timedelta(days=2))
    big = reply(case, "See.", Voice.OTHER_SIDE, From="somebody@example.org")
    big.add_attachment(b"MZ", maintype="application", subtype="x", filename="a.exe")
    take(big.as_bytes())
    assert sent_mails(post, "case_files_left_out")[0][0].recipient == provider


def test_a_large_mail_keeps_its_words_and_is_answered_kindly(post: Flask, clock: Clock) -> None:
    case = make_case()
    for n in range(6):
        big = reply(case, f"See the film {n}.")
        film = b"\xaa" * (22 * 2**20 if n == 0 else 10)
        big.add_attachment(film, maintype="video", subtype="mp4", filename="film.mp4")
        take(big.as_bytes())
    assert ("asker", "See the film 0.") in said(case)
    assert ("asker", "See the film 5.") in said(case)
    mails = sent_mails(post, "case_files_left_out")
    assert len(mails) == incoming.MOST_ANSWERS
    text = words(mails[0][1])
    for part in ("film.mp4", "larger than 5 MB", "We have what you wrote", "five files"):
        assert part in text
    clock.tick(hours=2)
    take(big.as_bytes())
    another = reply(case, "Once more.")
    another.add_attachment(b"MZ", maintype="application", subtype="x", filename="a.exe")
    take(another.as_bytes())
    assert len(sent_mails(post, "case_files_left_out")) == incoming.MOST_ANSWERS + 1


def test_files_are_kept_beside_the_words(post: Flask) -> None:
    case = make_case()
    mail_ = reply(case)
    mail_.add_attachment(b"%PDF-1 %%EOF", maintype="application", subtype="pdf", filename="a.pdf")
    take(mail_.as_bytes())
    talk = case_desk.conversation(db.session(), cases.find_case(db.session(), case.code))
    (file,) = talk.messages[-1].files
    assert (file.filename, file.size) == ("a.pdf", 12)
    assert platform().files.cat_file(file.path) == b"%PDF-1 %%EOF"


def sent(order: Order, clock: Clock) -> Message:
    with unit_of_work() as session:
        mailing.tell_purchaser(session, "order_placed", session.merge(order), now=clock())
    row = db.session.query(Message).order_by(Message.id.desc()).first()
    assert row is not None
    mailing.send_message(
        unit_of_work, row.id, render=mail.render, transport=lambda _mail: None, now=clock()
    )
    return db.session.get_one(Message, row.id, populate_existing=True)


def test_bounces_mark_the_mail_as_failed(post: Flask, clock: Clock) -> None:
    row = sent(make_order(email=ADA), clock)
    assert row.status is MessageStatus.SENT
    assert take(bounce(row, action="delayed"))
    assert db.session.get_one(Message, row.id).status is MessageStatus.SENT
    assert take(bounce(row, why="550 5.1.1 no such person"))
    row = db.session.get_one(Message, row.id)
    assert row.status is MessageStatus.FAILED
    assert "no such person" in row.failure
    assert take(bounce(row, why="again"))
    with unit_of_work() as session:
        mailing.resend(session, session.get_one(Message, row.id), actor=OP, now=clock())
    row = db.session.get_one(Message, row.id)
    assert (row.status, row.failure) == (MessageStatus.QUEUED, "")


def test_a_bounce_of_nothing_of_ours(post: Flask) -> None:
    assert take(bounce(Message(recipient=ADA, message_id="<other@example.org>")))
    assert db.session.query(IncomingMail).one().status is DeliveryStatus.UNMATCHED


def test_a_bounced_answer_waits_for_us_again(post: Flask, clock: Clock) -> None:
    case = make_case()
    answer(case.code, clock)
    row, _made = sent_mails(post, "case_answer")[0]
    take(bounce(row))
    found = cases.find_case(db.session(), case.code)
    assert (found.status, found.answer_by) == (CaseStatus.OPEN, clock() + timedelta(days=2))
    assert said(case)[-1][0] == "platform"
    assert "no such person" in said(case)[-1][1]


def test_what_a_server_refuses_for_good_has_failed(app: Flask, clock: Clock) -> None:
    with app.app_context():
        with unit_of_work() as session:
            mailing.tell_purchaser(session, "order_placed", make_order(email=ADA), now=clock())
        row = db.session.query(Message).one()

        def refuse(_mail: object) -> None:
            raise mailing.RefusedError("550 no such person")

        mailing.send_message(
            unit_of_work, row.id, render=mail.render, transport=refuse, now=clock()
        )
        row = db.session.get_one(Message, row.id, populate_existing=True)
        assert (row.status, row.failure) == (MessageStatus.FAILED, "550 no such person")
        db.session.remove()


def test_mails_come_in_on_both_databases(any_app: Flask, clock: Clock) -> None:
    with any_app.app_context():
        case = make_case()
        raw = reply(case, "Hello", To=_address(case)).as_bytes()
        assert take(raw)
        assert take(raw)
        assert said(case)[-1] == ("asker", "Hello")
        assert not take(reply(case, To="x@example.org").as_bytes())
        assert incoming.dropped(db.session()) == 1
        db.session.remove()


def _address(case: Case) -> str:
    from cnn_offset.domain.casework import reply_address
    from cnn_offset.mail.receiving import secrets

    return reply_address(case.code, Voice.ASKER, secrets()[0], "example.org")

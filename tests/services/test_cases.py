"""Cases: opened, answered in time or late, closed, opened again, made a claim; two at once."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from flask import Flask
from pypdf import PdfReader
from sqlalchemy import event, select

from cnn_offset.domain.casework import CaseKind, CaseSide, Voice, read_reply_address, reply_address
from cnn_offset.domain.status import CaseStatus, MessageStatus
from cnn_offset.extensions import db, unit_of_work
from cnn_offset.models import Case, CaseMessage, Event, Message, Order
from cnn_offset.services import NotFoundError, ServiceError, case_desk, cases, contacting, evidence
from cnn_offset.services.case_desk import Query, Tray
from cnn_offset.services.contacting import Outcome
from tests.casework import ADA, make_case, sent_mails, words
from tests.conftest import Clock
from tests.papers import make_attestation, make_order

OP = "op@example.org"


@pytest.fixture
def desk(app: Flask) -> Any:
    with app.app_context():
        yield app
        db.session.remove()


def act(verb: Callable[..., Any], code: str, *args: Any, **values: Any) -> Any:
    with unit_of_work() as session:
        return verb(session, cases.find_case(session, code, lock=True), *args, actor=OP, **values)


def last(code: str) -> int:
    return cases.last_said(db.session(), cases.find_case(db.session(), code))


def voices(code: str) -> list[str]:
    case = cases.find_case(db.session(), code)
    return [str(each.voice) for each in case_desk.conversation(db.session(), case).messages]


def kinds() -> list[str]:
    return list(db.session.scalars(select(Message.kind).order_by(Message.id)))


def test_a_case_is_opened_answered_and_closed(desk: Flask, clock: Clock) -> None:
    case = make_case()
    code = case.code
    assert (case.status, case.answer_by) == (CaseStatus.OPEN, clock() + timedelta(days=2))
    clock.tick(days=1)
    act(cases.answer, code, "On their way.", seen=last(code), now=clock())
    case = cases.find_case(db.session(), code)
    assert (case.status, case.answer_by) == (CaseStatus.WAITING, None)
    talk = case_desk.conversation(db.session(), case)
    assert (len(talk.timed), talk.in_time) == (1, 1)
    assert act(cases.close, code, "Settled by mail.", tell=True, now=clock()) is True
    assert act(cases.close, code, "Settled by mail.", tell=True, now=clock()) is False
    assert voices(code) == ["asker", "operator", "operator"]
    assert kinds() == ["case_opened", "case_answer", "case_closed"]
    events = db.session.scalars(select(Event).where(Event.subject == "support_case")).all()
    assert [(each.new, each.actor) for each in events] == [
        ("open", "purchaser"), ("waiting", OP), ("closed", OP),
    ]  # fmt: skip
    texts = [words(made) for _, made in sent_mails(desk, "case")]
    assert code in texts[0]
    assert "4 November 2026" in texts[0]
    assert "On their way." in texts[1]
    assert "Settled by mail." in texts[2]


def test_an_answer_can_be_late(desk: Flask, clock: Clock) -> None:
    code = make_case().code
    assert cases.waiting(db.session(), clock() + timedelta(days=1)) == []
    clock.tick(days=2)
    assert [each.code for each in cases.waiting(db.session(), clock())] == [code]
    clock.tick(hours=1)
    act(cases.answer, code, "Sorry.", seen=last(code), now=clock())
    talk = case_desk.conversation(db.session(), cases.find_case(db.session(), code))
    assert (len(talk.timed), talk.in_time) == (1, 0)
    assert cases.waiting(db.session(), clock()) == []


def test_a_weekend_does_not_count(desk: Flask, clock: Clock) -> None:
    clock.now = datetime(2026, 11, 6, 9, 0, tzinfo=UTC)  # a Friday
    assert make_case().answer_by == datetime(2026, 11, 10, 9, 0, tzinfo=UTC)


def test_two_operators_answer_at_once(desk: Flask, clock: Clock) -> None:
    code = make_case().code
    seen = last(code)
    act(cases.answer, code, "One.", seen=seen, now=clock())
    with pytest.raises(ServiceError, match="since you opened it"):
        act(cases.answer, code, "Two.", seen=seen, now=clock())
    assert kinds().count("case_answer") == 1
    act(cases.answer, code, "Three.", seen=last(code), now=clock())
    assert kinds().count("case_answer") == 2


def test_a_closed_case_is_not_answered_but_opened_again(desk: Flask, clock: Clock) -> None:
    code = make_case().code
    assert act(cases.reopen, code, "why", now=clock()) is False
    act(cases.close, code, "Unwanted mail.", tell=False, now=clock())
    assert kinds() == ["case_opened"]
    for verb in (cases.answer, cases.escalate):
        values = {"seen": last(code)} if verb is cases.answer else {}
        with pytest.raises(ServiceError, match="is closed"):
            act(verb, code, "x", now=clock(), **values)
    assert act(cases.reopen, code, "A mistake.", now=clock()) is True
    case = cases.find_case(db.session(), code)
    assert (case.status, case.closed_at) == (CaseStatus.OPEN, None)
    assert case.answer_by is not None


def test_a_claim_tells_both_sides_and_stays_one(desk: Flask, clock: Clock) -> None:
    order = make_order(email=ADA)
    provider = order.provider.email
    code = make_case(order).code
    assert act(cases.escalate, code, "No units came.", now=clock()) is True
    assert act(cases.escalate, code, "No units came.", now=clock()) is False
    (row, one), (other_row, other) = sent_mails(desk, "case_claim")
    assert (row.recipient, other_row.recipient) == (ADA, provider)
    for made in (one, other):
        assert "No units came." in words(made)
        assert "30 days" in words(made)
        assert "2 December 2026" in words(made)
    act(cases.write_to_other_side, code, "Your side, please.", now=clock())
    assert sent_mails(desk, "case_answer_other")[0][0].recipient == provider
    act(cases.answer, code, "We have asked.", seen=last(code), now=clock())
    case = cases.find_case(db.session(), code)
    assert case.status is CaseStatus.ESCALATED
    assert cases.waiting(db.session(), clock() + timedelta(days=29)) == []
    assert cases.waiting(db.session(), clock() + timedelta(days=30)) == [case]
    act(cases.close, code, "Settled.", tell=True, now=clock())
    assert cases.waiting(db.session(), clock() + timedelta(days=30)) == []
    act(cases.reopen, code, "Not settled.", now=clock())
    assert cases.find_case(db.session(), code).status is CaseStatus.ESCALATED


def test_a_claim_needs_an_order(desk: Flask, clock: Clock) -> None:
    order, other = make_order(), make_order()
    codes = order.code, other.code
    code = make_case(tied=False, side=CaseSide.VISITOR, order_typed="WRONG").code
    with pytest.raises(ServiceError, match="about an order"):
        act(cases.escalate, code, "x", now=clock())
    with pytest.raises(ServiceError, match="Only in a claim"):
        act(cases.write_to_other_side, code, "x", now=clock())
    with pytest.raises(ServiceError, match="no order with this number"):
        act(cases.tie_order, code, "NOSUCH", now=clock())
    act(cases.tie_order, code, f" {codes[0].lower()} ", now=clock())
    assert act(cases.escalate, code, "x", now=clock()) is True
    with pytest.raises(ServiceError, match="another order"):
        act(cases.tie_order, code, codes[1], now=clock())
    assert cases.cases_of(db.session(), cases.find_order_by_code(db.session(), codes[0]))


def test_a_providers_claim_hears_the_purchaser(desk: Flask, clock: Clock) -> None:
    order = make_order(email=ADA, locale="fr")
    code = make_case(order, side=CaseSide.PROVIDER, email="staff@example.org").code
    act(cases.escalate, code, "Not paid.", now=clock())
    rows = {row.kind: row for row, _ in sent_mails(desk, "case_claim")}
    assert rows["case_claim"].recipient == "staff@example.org"
    assert (rows["case_claim_other"].recipient, rows["case_claim_other"].locale) == (ADA, "fr")


def test_an_operator_opens_a_case(desk: Flask, clock: Clock) -> None:
    for answer, mail, status in (("", "case_opened", CaseStatus.OPEN), ("Hello.", "case_answer", CaseStatus.WAITING)):  # fmt: skip
        asked = cases.Asked(CaseKind.OTHER, CaseSide.VISITOR, ADA, "es", "Called us.")
        with unit_of_work() as session:
            case = cases.open_for(session, asked, answer, actor=OP, now=clock())
        assert case.status is status
        assert kinds()[-1] == mail
        assert (case.answer_by is None) is bool(answer)


def test_lists_and_search(desk: Flask, clock: Clock) -> None:
    order = make_order(email=ADA)
    one = make_case(order).code
    clock.tick(hours=1)
    two = make_case(tied=False, kind=CaseKind.LISTING, email="bob@example.org").code
    clock.tick(hours=1)
    three = make_case(tied=False, kind=CaseKind.OTHER, email="bob@example.org").code
    act(cases.answer, three, "Yes.", seen=last(three), now=clock())
    act(cases.close, two, "Done.", tell=True, now=clock())

    def found(limit: int = 10, before: str = "", **asked: Any) -> list[str]:
        start = cases.find_case(db.session(), before).id if before else None
        return [
            e.code for e in case_desk.listed(db.session(), Query(**asked), last=start, limit=limit)
        ]

    assert found() == [one]
    act(cases.reopen, two, "No.", now=clock())
    # What is due first comes first, and pages follow one another.
    assert found() == [one, two]
    assert found(limit=1) == [one]
    assert found(limit=1, before=one) == [two]
    assert found(kind=CaseKind.LISTING) == [two]
    assert found(tray=Tray.WAITING) == [three]
    assert found(tray=Tray.CLOSED) == []
    assert found(tray=Tray.ALL) == [three, two, one]
    assert found(tray=Tray.ALL, before=two) == [one]
    assert found(tray=Tray.ALL, kind=CaseKind.OTHER) == [three]
    assert found(words=one.lower()) == [one]
    assert found(words="BOB@example.org") == [three, two]
    assert found(words=order.code.lower()) == [one]
    for words_ in ("NOSUCH", "x-y", "no@example.org", "%", "'"):
        assert found(words=words_) == []
    for code in ("NOSUCH", "\0", "x" * 500):
        with pytest.raises(NotFoundError):
            cases.find_case(db.session(), code)


def test_lists_and_searches_use_an_index(desk: Flask, clock: Clock) -> None:
    """None reads all cases or sorts them, however many there are."""
    order = make_order(email=ADA)
    make_case(order)
    asked = [
        *(Query(tray=tray, kind=kind) for tray in Tray for kind in (None, CaseKind.OTHER)),
        *(Query(words=words) for words in (ADA, order.code, "ABCD-2345")),
    ]
    said: list[str] = []
    engine = db.session.get_bind()

    def explain(connection: Any, _cursor: Any, statement: str, parameters: Any, *_: Any) -> None:
        if statement.startswith("SELECT") and "FROM support_case" in statement:
            plan = connection.exec_driver_sql(f"EXPLAIN QUERY PLAN {statement}", parameters)
            said.append(statement[-200:] + "\n".join(row[3] for row in plan))

    event.listen(engine, "before_cursor_execute", explain)
    for query in asked:
        for start in (None, 10**6):
            case_desk.listed(db.session(), query, last=start, limit=51)
    cases.waiting(db.session(), clock())
    cases.cases_of(db.session(), order)
    event.remove(engine, "before_cursor_execute", explain)
    assert len(said) >= 2 * len(asked) + 3
    # The newest of all cases are read off the end of the table, as many as are shown.
    scans = [each for each in said if "SCAN support_case" in each and "INDEX" not in each]
    assert [each for each in scans if "WHERE" in each] == []
    assert [each for each in said if "TEMP B-TREE" in each] == []


def test_reply_addresses_are_made_by_us_alone() -> None:
    made = reply_address("ABCD-2345", Voice.ASKER, "secret", "example.org")
    assert len(made.partition("@")[0]) <= 64
    assert read_reply_address(made, ["secret"]) == ("ABCD-2345", Voice.ASKER)
    assert read_reply_address(made.upper(), ["new", "secret"]) == ("ABCD-2345", Voice.ASKER)
    other = reply_address("ABCD-2345", Voice.OTHER_SIDE, "secret", "example.org")
    assert read_reply_address(other, ["secret"]) == ("ABCD-2345", Voice.OTHER_SIDE)
    head, _, signature = made.partition("@")[0].partition(".")
    forged = ["a" * 24, signature[::-1], signature[:-1], signature + "a", ""]
    for address in (
        *(f"{head}.{each}@example.org" for each in forged),
        made.replace("abcd", "abce"), "case@example.org", "", "@", "ada@example.org",
    ):  # fmt: skip
        assert read_reply_address(address, ["secret"]) is None
    assert read_reply_address(made, ["other"]) is None


def test_order_and_address_must_go_together(desk: Flask) -> None:
    order = make_order(email=ADA)
    session = db.session()
    for code in (order.code, order.code.lower(), f" {order.code[:4]} {order.code[4:]} "):
        assert contacting.order_of(session, code, ADA.upper()) is order
    for code, email in ((order.code, "eve@example.org"), ("NOSUCH", ADA), ("", ADA), ("\0", ADA)):
        assert contacting.order_of(session, code, email) is None


def test_an_attestation_is_sent_again_to_its_owner_alone(desk: Flask, clock: Clock) -> None:
    issued = make_attestation(email=ADA)
    with unit_of_work() as session:
        session.connection().exec_driver_sql(
            "UPDATE attestation SET status = 'issued', sha256 = ?", ("0" * 64,)
        )
    for minutes, mails in ((0, 1), (5, 1), (11, 2)):
        clock.tick(minutes=minutes)
        with unit_of_work() as session:
            order = session.get_one(Order, issued.order_id)
            assert contacting.send_attestation(session, order, now=clock()) is Outcome.ISSUED
        rows = db.session.scalars(select(Message).where(Message.kind == "attestation")).all()
        assert {row.recipient for row in rows} == {ADA}
        queued = [row for row in rows if row.status is MessageStatus.QUEUED]
        if queued:
            with unit_of_work() as session:
                session.connection().exec_driver_sql(
                    "UPDATE message SET status = 'sent', sent_at = ?",
                    (clock().strftime("%Y-%m-%d %H:%M:%S.000000"),),
                )
        assert bool(queued) is (minutes != 5), mails


def test_where_an_order_stands_is_told_once(desk: Flask, clock: Clock) -> None:
    order_id = make_order(email=ADA).id
    for _ in range(2):
        with unit_of_work() as session:
            order = session.get_one(Order, order_id)
            assert contacting.send_attestation(session, order, now=clock()) is Outcome.NOT_YET
    ((row, made),) = sent_mails(desk, "order_stands")
    assert row.recipient == ADA
    assert "have not seen the payment yet" in words(made)
    assert contacting.send_attestation(db.session(), None, now=clock()) is Outcome.UNKNOWN


def test_the_evidence_has_all_but_notes(desk: Flask, clock: Clock) -> None:
    from cnn_offset.evidence import draw_evidence

    issued = make_attestation(email=ADA, runs=2)
    code = make_case(issued.order, text="Где? <b>" + "long" * 200).code
    act(cases.add_note, code, "Between ourselves.", now=clock())
    act(cases.escalate, code, "No units came.", now=clock())
    with unit_of_work() as session:
        case = cases.find_case(session, code)
        for n in range(60):
            session.add(
                CaseMessage(
                    case_id=case.id, voice=Voice.ASKER, sender=ADA, text=f"Line {n}\n" * 5,
                    at=clock(), left_out=[["film.mp4", "It is larger than 5 MB."]],
                )
            )  # fmt: skip
    import io

    pack = evidence.collect(db.session(), cases.find_case(db.session(), code))
    with desk.test_request_context():
        pdf = draw_evidence(pack, now=clock())
    text = " ".join(page.extract_text() for page in PdfReader(io.BytesIO(pdf)).pages)
    order = db.session.get_one(Order, issued.order_id)
    flat = "".join(text.split())
    for part in (code, order.code, issued.number, "Line59", "film.mp4", "<b>", "case_claim",
                 order.provider.email, "Nounitscame.", "TX-"):  # fmt: skip
        assert "".join(part.split()) in flat, part
    for each in pack.cancellations[0].ranges:
        assert each.first_text in flat
    assert "ourselves" not in flat


def test_a_case_without_an_order_has_evidence_too(desk: Flask, clock: Clock) -> None:
    from cnn_offset.evidence import draw_evidence

    code = make_case(tied=False).code
    pack = evidence.collect(db.session(), cases.find_case(db.session(), code))
    with desk.test_request_context():
        assert draw_evidence(pack, now=clock()).startswith(b"%PDF")


def test_two_at_once_on_both_databases(any_app: Flask, clock: Clock) -> None:
    """Closing and answering: the second one sees what the first has done."""
    with any_app.app_context():
        code = make_case().code
        with unit_of_work() as session:
            case = cases.find_case(session, code, lock=True)
            assert cases.close(session, case, "Done.", tell=True, actor=OP, now=clock())
        with pytest.raises(ServiceError, match="is closed"):
            act(cases.answer, code, "x", seen=last(code), now=clock())
        assert [e.code for e in case_desk.listed(db.session(), Query(tray=Tray.CLOSED), last=None, limit=5)] == [code]  # fmt: skip
        assert case_desk.listed(db.session(), Query(), last=None, limit=5) == []
        assert db.session.query(Case).count() == 1
        db.session.remove()

"""Erasing personal data by rule, closing accounts, and forgetting what is old."""

from __future__ import annotations

import hashlib
import re
import threading
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from flask import Flask
from sqlalchemy import func, select, text
from sqlalchemy.exc import DBAPIError

from cnn_offset import jobs
from cnn_offset.domain import retention
from cnn_offset.domain.staff import OperatorRole, StaffRole
from cnn_offset.domain.status import (
    CheckoutStatus,
    DeliveryStatus,
    OrderStatus,
    ProposalStatus,
)
from cnn_offset.extensions import db, platform, unit_of_work
from cnn_offset.models import (
    Attestation,
    Case,
    Checkout,
    Chore,
    DoomedFile,
    Event,
    Invitation,
    Message,
    Model,
    Order,
    OrderTerm,
    Paper,
    PaperKind,
    Proposal,
    User,
    WebhookDelivery,
)
from cnn_offset.services import (
    NotFoundError,
    ServiceError,
    closing,
    erasing,
    operating,
    papers,
    personal,
    proposing,
    recording,
    retaining,
)
from cnn_offset.services.checking import check_all
from cnn_offset.services.moves import note
from tests.services.conftest import DETAILS, Shop

ADA = DETAILS.email
ONE, TWO = "one@example.org", "two@example.org"


BOTH = pytest.mark.parametrize(
    "_database", ["sqlite", pytest.param("postgres", marks=pytest.mark.postgres)]
)
"""For tests in which the two databases might differ; the others run on SQLite alone."""


@pytest.fixture
def any_app(request: pytest.FixtureRequest, make_app: Callable[..., Flask]) -> Flask:
    if request.node.get_closest_marker("postgres"):
        return make_app(DATABASE_URL=request.getfixturevalue("new_postgres")())
    return make_app()


def fulfilled(shop: Shop, *, receipt: bool = False) -> int:
    """Buy units until the attestation is there; return the order's id."""
    order_id = shop.order()
    shop.money(shop.open(order_id))
    if receipt:
        with unit_of_work() as session:
            order = session.get_one(Order, order_id)
            papers.issue_paper(
                session, order, PaperKind.RECEIPT, method_titles={}, actor="x", now=shop.clock()
            )
    shop.work()
    number = db.session.scalars(
        select(Attestation.id).where(Attestation.order_id == order_id)
    ).one()
    jobs.do("attestation", number)
    send_all()
    db.session.expire_all()
    assert db.session.get_one(Attestation, number).path
    return order_id


def send_all() -> None:
    """Say that every mail was sent."""
    with unit_of_work() as session:
        session.execute(
            text("UPDATE message SET status = 'sent', due_at = NULL, sent_at = created_at")
        )


def erase(shop: Shop, email: str = ADA) -> dict[str, int]:
    with unit_of_work() as session:
        return erasing.erase(session, email, actor=TWO, now=shop.clock())


def everything() -> str:
    """Return every value of every table but the audit trail, which stays."""
    db.session.expire_all()
    return "\n".join(
        repr(tuple(row))
        for table in Model.metadata.sorted_tables
        if table.name != "event"
        for row in db.session.execute(select(table))
    )


# Erasing


@BOTH
def test_nothing_of_the_person_is_left(shop: Shop, _database: str) -> None:
    """Neither name published nor reason withheld: one is searched for in every table."""
    order_id = fulfilled(shop)
    path = db.session.scalars(select(Attestation.path)).one()
    assert platform().files.exists(path)
    before = everything()
    for word in ("Ada Example", ADA, "1 Road", "'00100'"):
        assert word in before
    assert erase(shop) == {"orders": 1, "cases": 0, "accounts": 0}
    after = everything()
    for word in ("Ada Example", ADA, "1 Road", "'00100'"):
        assert word not in after, word
    assert not re.search(r"\bada\b", after), "as a term to find it by"
    assert "My flights in 2026" in after, "the reason was published, and stays"
    order = db.session.get_one(Order, order_id)
    assert order.erased_at == shop.clock()
    assert order.total_minor
    assert db.session.scalar(select(func.count()).select_from(OrderTerm)) == 0
    # The file goes with the next turn; the hash stays and still finds the entry.
    jobs.do("chore", chore_id())
    assert not platform().files.exists(path)
    row = db.session.scalars(select(Attestation)).one()
    assert (row.path, len(row.sha256)) == ("", 64)
    entry = recording.by_sha256(db.session(), row.sha256)
    assert entry is not None
    assert entry.reason == "My flights in 2026"
    assert entry.beneficiary == ""
    assert check_all(db.session(), platform().files) == []
    assert erase(shop) == {"orders": 0, "cases": 0, "accounts": 0}, "safe to repeat"


def chore_id() -> int:
    return db.session.scalars(select(Chore.id).where(Chore.name == retaining.CHORE)).one()


def test_what_was_published_stays_with_its_file(shop: Shop) -> None:
    order_id = fulfilled(shop)
    with unit_of_work() as session:
        session.get_one(Order, order_id).publish_name = True
    erase(shop)
    row = db.session.scalars(select(Attestation)).one()
    assert row.data["beneficiary"] == "Ada Example"
    assert platform().files.exists(row.path)
    assert db.session.scalar(select(DoomedFile.id)) is None
    order = db.session.get_one(Order, order_id)
    assert (order.purchaser_name, order.beneficiary) == ("", "Ada Example")


def test_a_receipt_stays_for_ten_years(shop: Shop) -> None:
    fulfilled(shop, receipt=True)
    erase(shop)
    paper = db.session.scalars(select(Paper)).one()
    assert paper.data["purchaser"]["name"] == "Ada Example"
    shop.clock.now += retention.ORDERS + timedelta(days=1)
    retaining.forget_old(unit_of_work, platform().files, now=shop.clock())
    db.session.expire_all()
    assert paper.data["purchaser"]["name"] == ""
    assert paper.erased_at == shop.clock()
    assert "Ada" not in everything()


@pytest.mark.parametrize("state", ["placed", "paid", "unattested", "case"])
def test_what_still_runs_is_not_erased(shop: Shop, state: str) -> None:
    order_id = fulfilled(shop) if state in ("case", "unattested") else shop.order()
    if state == "paid":
        shop.money(shop.open(order_id))
    with unit_of_work() as session:
        order = session.get_one(Order, order_id)
        code = order.code
        if state == "unattested":
            session.execute(text("UPDATE attestation SET status = 'queued'"))
        if state == "case":
            session.execute(
                text(
                    "INSERT INTO support_case (code, kind, status, side, name, email, locale, "
                    "summary, order_typed, opened_at) VALUES ('ABCD-EFGH', :kind, 'open', "
                    ":side, '', :email, 'en', 'Help', '', :now)"
                ),
                {
                    "kind": str(next(iter(Case.__table__.c.kind.type.enums))),  # type: ignore[attr-defined]
                    "side": str(next(iter(Case.__table__.c.side.type.enums))),  # type: ignore[attr-defined]
                    "email": ADA,
                    "now": "2026-11-02 09:00:00",
                },
            )
    with pytest.raises(ServiceError) as refused, unit_of_work() as session:
        erasing.ask(session, ADA, reason="asked for", actor=ONE, now=shop.clock())
    assert ("ABCD-EFGH" if state == "case" else code) in str(refused.value.values)
    with pytest.raises(ServiceError):
        erase(shop)
    assert ADA in everything()


def test_two_operators_erase(shop: Shop) -> None:
    fulfilled(shop)
    with unit_of_work() as session:
        made = erasing.ask(session, ADA, reason="letter of 1 May", actor=ONE, now=shop.clock()).id
    with pytest.raises(ServiceError), unit_of_work() as session:
        erasing.ask(session, ADA, reason="again", actor=TWO, now=shop.clock())
    with pytest.raises(ServiceError), unit_of_work() as session:
        proposing.approve(session, proposing.find(session, made), actor=ONE, now=shop.clock())
    assert ADA in everything()
    with unit_of_work() as session:
        found = proposing.find(session, made)
        assert proposing.approve(session, found, actor=TWO, now=shop.clock())
    assert ADA not in everything()
    proposal = db.session.get_one(Proposal, made)
    assert proposal.status is ProposalStatus.APPROVED
    assert proposal.payload == {"email": "", "orders": 1, "cases": 0, "accounts": 0}
    actors = db.session.scalars(select(Event.actor).where(Event.new == erasing.ERASED)).all()
    assert actors == [TWO]


def test_an_order_that_began_meanwhile_stops_the_second_operator(shop: Shop) -> None:
    fulfilled(shop)
    with unit_of_work() as session:
        made = erasing.ask(session, ADA, reason="asked", actor=ONE, now=shop.clock()).id
    shop.order()
    with pytest.raises(ServiceError), unit_of_work() as session:
        proposing.approve(session, proposing.find(session, made), actor=TWO, now=shop.clock())
    db.session.expire_all()
    assert db.session.get_one(Proposal, made).status is ProposalStatus.WAITING
    assert ADA in everything()


def test_nothing_known_is_nothing_to_erase(shop: Shop) -> None:
    with pytest.raises(ServiceError), unit_of_work() as session:
        erasing.ask(session, "nobody@example.org", reason="r", actor=ONE, now=shop.clock())


def test_late_money_for_an_erased_order_goes_to_a_person(shop: Shop) -> None:
    order_id = shop.order()
    payment_id = shop.open(order_id)
    shop.clock.tick(days=120)
    jobs.do("order", order_id)
    assert shop.status(order_id) is OrderStatus.LAPSED
    with unit_of_work() as session:
        erasing.blank_orders(session, [order_id], actor="clock", why="", now=shop.clock())
    shop.money(payment_id)
    assert shop.status(order_id) is OrderStatus.IN_REVIEW
    waiting = db.session.scalars(select(Message).where(Message.recipient == "")).all()
    assert all(each.due_at is None for each in waiting)


# Closing


def test_a_closed_account_keeps_nothing_and_frees_its_address(shop: Shop) -> None:
    user_id = person(shop, "me@example.org")
    with unit_of_work() as session:
        user = session.get_one(User, user_id)
        closing.close(session, user, actor="user", tell=True, now=shop.clock())
    with unit_of_work() as session:
        user = session.get_one(User, user_id)
        closing.close(session, user, actor="user", tell=True, now=shop.clock())
    db.session.expire_all()
    user = db.session.get_one(User, user_id)
    assert (user.email, user.password, user.active) == (
        f"closed-{user_id}@account.invalid",
        None,
        False,
    )
    mail = db.session.scalars(select(Message).where(Message.kind == closing.CLOSED)).one()
    assert mail.recipient == "me@example.org"
    assert person(shop, "me@example.org") != user_id


def person(shop: Shop, email: str, **values: Any) -> int:
    with unit_of_work() as session:
        made = User(
            email=email,
            password="x",
            active=True,
            fs_uniquifier=hashlib.sha256(email.encode()).hexdigest(),
            confirmed_at=shop.clock(),
            create_datetime=shop.clock(),
            **values,
        )
        session.add(made)
        session.flush()
        if made.operator_role:
            note(session, made, old="", new="registered", actor="x", why="", now=shop.clock())
            role = session.scalar(select(operating.Role).where(operating.Role.name == "operator"))
            made.roles = [role or operating.Role(name="operator")]
        return made.id


@pytest.mark.parametrize("kind", ["owner", "head"])
def test_the_last_one_cannot_close(shop: Shop, kind: str) -> None:
    values: dict[str, Any] = (
        {"provider_id": shop.offer.provider_id, "staff_role": StaffRole.OWNER}
        if kind == "owner"
        else {"operator_role": OperatorRole.HEAD}
    )
    first = person(shop, "first@example.org", **values)
    with pytest.raises(ServiceError), unit_of_work() as session:
        closing.close(session, session.get_one(User, first), actor="x", tell=True, now=shop.clock())
    person(shop, "second@example.org", **values)
    with unit_of_work() as session:
        closing.close(session, session.get_one(User, first), actor="x", tell=True, now=shop.clock())
    user = db.session.get_one(User, first)
    assert (user.provider_id, user.staff_role, user.operator_role) == (None, None, None)


@pytest.mark.postgres
def test_two_heads_who_remove_each_other(shop: Shop) -> None:
    """One after the other: the last one stays."""
    ids = [person(shop, f"{n}@example.org", operator_role=OperatorRole.HEAD) for n in "ab"]
    db.session.rollback()
    gate, ended = threading.Barrier(2), []

    def remove(own: int, other: int) -> None:
        with shop.app.test_request_context():
            gate.wait()
            try:
                with unit_of_work() as session:
                    actor = session.get_one(User, own)
                    operating.remove(session, actor, other, now=shop.clock())
            except (NotFoundError, ServiceError) as error:
                ended.append(error)
            finally:
                db.session.remove()

    threads = [threading.Thread(target=remove, args=pair) for pair in (ids, ids[::-1])]
    for each in threads:
        each.start()
    for each in threads:
        each.join()
    assert len(ended) == 1
    assert len(operating.operators(db.session())) == 1


# Forgetting


def turn(shop: Shop) -> None:
    retaining.forget_old(unit_of_work, platform().files, now=shop.clock())
    db.session.expire_all()


@BOTH
def test_unpaid_orders_are_forgotten_after_a_year(shop: Shop, _database: str) -> None:
    order_id = shop.order()
    shop.clock.tick(days=100)
    jobs.do("order", order_id)
    send_all()
    assert shop.status(order_id) is OrderStatus.LAPSED
    shop.clock.tick(days=200)
    turn(shop)
    order = db.session.get_one(Order, order_id)
    assert order.email == ADA
    shop.clock.tick(days=200)
    turn(shop)
    assert (order.email, order.purchaser_name, order.beneficiary) == ("", "", "")
    told = db.session.scalars(select(Event.why).where(Event.subject == "chore")).all()
    assert any("unpaid orders 1" in each for each in told)
    count = db.session.scalar(select(func.count()).select_from(Event))
    turn(shop)
    assert db.session.scalar(select(func.count()).select_from(Event)) == count, "safe to repeat"
    assert check_all(db.session(), platform().files) == []


def test_an_order_that_was_paid_is_kept_for_ten_years(shop: Shop) -> None:
    order_id = fulfilled(shop)
    shop.clock.now += retention.ORDERS - timedelta(days=1)
    turn(shop)
    assert db.session.get_one(Order, order_id).email == ADA
    shop.clock.tick(days=2)
    turn(shop)
    assert db.session.get_one(Order, order_id).erased_at == shop.clock()
    assert check_all(db.session(), platform().files) == []


def test_checkouts_mails_news_and_invitations_are_forgotten(shop: Shop) -> None:
    checkout_id = shop.checkout()
    with unit_of_work() as session:
        session.get_one(Checkout, checkout_id).details = {"name": "Ada"}
        session.add_all(
            [
                WebhookDelivery(
                    method_id="paypal",
                    event_id="1",
                    processor_refs=[],
                    body="Ada",
                    status=status,
                    received_at=shop.clock(),
                )
                if status is DeliveryStatus.HANDLED
                else WebhookDelivery(
                    method_id="paypal",
                    event_id="2",
                    processor_refs=[],
                    body="not read yet",
                    status=status,
                    received_at=shop.clock(),
                )
                for status in (DeliveryStatus.HANDLED, DeliveryStatus.STORED)
            ]
        )
        session.add(
            Invitation(
                email=ADA,
                operator_role=OperatorRole.HEAD,
                token_hash="0" * 64,
                invited_by=ONE,
                created_at=shop.clock(),
                expires_at=shop.clock() + timedelta(days=7),
            )
        )
    shop.clock.tick(hours=2)
    jobs.do("checkout", checkout_id)
    assert db.session.get_one(Checkout, checkout_id).status is CheckoutStatus.LAPSED
    shop.clock.tick(days=29)
    turn(shop)
    assert db.session.get_one(Checkout, checkout_id).details == {"name": "Ada"}
    shop.clock.tick(days=2)
    turn(shop)
    assert db.session.get_one(Checkout, checkout_id).details == {}
    assert db.session.scalar(select(Invitation.id)) is not None
    shop.clock.tick(days=10)
    turn(shop)
    assert db.session.scalar(select(Invitation.id)) is None
    shop.clock.tick(days=60)
    turn(shop)
    bodies = db.session.scalars(select(WebhookDelivery.body).order_by(WebhookDelivery.id)).all()
    assert bodies == ["", "not read yet"]


def test_mails_keep_only_the_fact(shop: Shop) -> None:
    fulfilled(shop)
    shop.clock.now += retention.MAILS + timedelta(days=1)
    turn(shop)
    rows = db.session.scalars(select(Message)).all()
    assert rows
    assert {(each.recipient, str(each.params)) for each in rows} == {("", "{}")}
    assert all(each.kind and each.sent_at for each in rows)


def test_a_turn_does_a_bounded_part(shop: Shop, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(retaining, "PART", 1)
    monkeypatch.setattr(retaining, "PARTS", 2)
    for _ in range(3):
        shop.checkout()
    with unit_of_work() as session:
        session.execute(text("UPDATE checkout SET status = 'lapsed'"))
        session.execute(text("UPDATE offer SET held = 0"))
    shop.clock.tick(days=31)
    first = retaining.forget_old(unit_of_work, platform().files, now=shop.clock())
    left = select(func.count()).select_from(Checkout).where(Checkout.erased_at.is_(None))
    assert (first, db.session.scalar(left)) == (True, 1)
    again = retaining.forget_old(unit_of_work, platform().files, now=shop.clock())
    db.session.rollback()
    assert (again, db.session.scalar(left)) == (False, 0)


# The trail


@BOTH
def test_nobody_changes_the_trail(any_app: Flask, _database: str) -> None:
    """Neither by UPDATE nor by DELETE, on both databases."""
    with any_app.test_request_context():
        with unit_of_work() as session:
            chore = session.scalars(select(Chore)).first()
            note(session, chore, old="", new="x", actor="a", why="", now=platform().clock())
        for change in ("UPDATE event SET actor = 'b'", "DELETE FROM event"):
            with pytest.raises(DBAPIError), unit_of_work() as session:
                session.execute(text(change))
        assert db.session.scalars(select(Event.actor)).all() == ["a"]


def test_orders_are_found_by_address_and_by_account(shop: Shop) -> None:
    user_id = person(shop, "me@example.org")
    ids = [shop.order() for _ in range(3)]
    with unit_of_work() as session:
        session.get_one(Order, ids[0]).user_id = user_id
        session.get_one(Order, ids[1]).email = "me@example.org"
    found = personal.order_ids(db.session(), "me@example.org", limit=10)
    assert found == [ids[1], ids[0]]
    assert personal.order_ids(db.session(), "me@example.org", limit=1) == [ids[1]]
    assert [each.id for each in ordering_known("me@example.org")] == found


def ordering_known(email: str) -> Any:
    return personal.known(db.session(), email).orders

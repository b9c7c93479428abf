"""Bank details: asked for, enabled, changed after a day, stopped, frozen for open orders."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy import select

from cnn_offset import jobs
from cnn_offset.accounts import add_user
from cnn_offset.domain.money import Money
from cnn_offset.domain.status import PayoutStatus
from cnn_offset.extensions import db, platform, unit_of_work
from cnn_offset.models import Message, PayoutMethod, Provider
from cnn_offset.services import NotFoundError, ServiceError, bank_details, paying, paying_out
from tests.factories import make_provider
from tests.services.conftest import Shop

OLD = {
    "holder": "Example Wind Power Ltd",
    "account": "DE89370400440532013000",
    "bic": "COBADEFFXXX",
    "bank_name": "Commerzbank",
}
NEW = {
    "holder": "Example Wind Power Ltd",
    "account": "FR14 2004 1010 0505 0001 3M02 606",
    "bank_name": "Banque",
}
BANK = "bank_transfer"


def row_of(provider_id: int) -> PayoutMethod:
    db.session.expire_all()
    return paying_out.methods_of(db.session(), provider_id)[BANK]


def mails(kind: str) -> list[str]:
    return sorted(db.session.scalars(select(Message.recipient).where(Message.kind == kind)))


def ask(shop: Shop, provider_id: int, account: dict[str, str] = OLD, **changes: Any) -> None:
    wanted = {"currencies": ["USD"], "minimum_minor": 5000} | changes
    with unit_of_work() as session:
        bank_details.request_bank(
            session, provider_id, BANK, account, plugins=platform().payments,
            operators="op@example.org", actor="me@example.org", now=shop.clock(), **wanted,
        )  # fmt: skip


def approve(shop: Shop, row: PayoutMethod, seen: str | None = None) -> None:
    with unit_of_work() as session:
        bank_details.approve_bank(
            session, row.id, bank_details.fingerprint(row.account) if seen is None else seen,
            plugins=platform().payments, actor="op@example.org", now=shop.clock(),
        )  # fmt: skip


def change(shop: Shop, provider_id: int, account: dict[str, str] = NEW) -> None:
    with unit_of_work() as session:
        bank_details.change_details(
            session, provider_id, BANK, account, plugins=platform().payments,
            actor="me@example.org", now=shop.clock(),
        )  # fmt: skip


def stop(shop: Shop, row_id: int, next_from: Any) -> bool:
    with unit_of_work() as session:
        return bank_details.stop_change(session, row_id, next_from, actor="o", now=shop.clock())


@pytest.fixture
def newcomer(shop: Shop) -> int:
    provider_id = make_provider().id
    db.session.commit()
    return provider_id


@pytest.fixture
def seller(shop: Shop) -> int:
    """The shop's provider, with two owners and somebody else."""
    provider_id = shop.offer.provider_id
    with unit_of_work() as session:
        provider = session.get_one(Provider, provider_id)
        for email in ("one@example.org", "two@example.org"):
            add_user(
                session, email=email, password="a sentence nobody else uses",
                role="provider", provider_slug=provider.slug, now=shop.clock(),
            )  # fmt: skip
    return provider_id


def test_asked_for_and_enabled(shop: Shop, newcomer: int) -> None:
    ask(shop, newcomer)
    row = row_of(newcomer)
    assert (row.status, row.currencies, row.minimum_minor) == (
        PayoutStatus.STARTED,
        ["USD"],
        5000,
    )
    assert [each.id for each in bank_details.waiting(db.session(), [BANK])] == [row.id]
    assert mails("bank_asked") == ["op@example.org"]
    for _ in range(2):
        approve(shop, row_of(newcomer))
    row = row_of(newcomer)
    assert (row.status, row.account, row.todo) == (PayoutStatus.READY, OLD, [])
    assert len(mails("payout_ready")) == 1
    with pytest.raises(ServiceError, match="enabled already"):
        ask(shop, newcomer)


def test_what_the_operator_has_not_seen_is_not_enabled(shop: Shop, newcomer: int) -> None:
    ask(shop, newcomer)
    seen = bank_details.fingerprint(row_of(newcomer).account)
    ask(shop, newcomer, NEW)
    with pytest.raises(ServiceError, match="changed its request"):
        approve(shop, row_of(newcomer), seen)
    assert row_of(newcomer).status is PayoutStatus.STARTED


def test_refused_with_a_reason_and_asked_again(shop: Shop, newcomer: int) -> None:
    ask(shop, newcomer)
    row = row_of(newcomer)

    def refuse(reason: str) -> None:
        with unit_of_work() as session:
            bank_details.refuse_bank(
                session, row.id, bank_details.fingerprint(OLD), reason=reason,
                plugins=platform().payments, actor="op@example.org", now=shop.clock(),
            )  # fmt: skip

    for reason in ("", "x" * 1001):
        with pytest.raises(ServiceError):
            refuse(reason)
    for _ in range(2):
        refuse("The holder is 100% unknown to us.")
    assert len(mails("bank_refused")) == 1
    assert bank_details.refusal(db.session(), row_of(newcomer)).startswith("The holder is 100%")
    with pytest.raises(ServiceError):
        approve(shop, row_of(newcomer))
    ask(shop, newcomer)
    approve(shop, row_of(newcomer))
    assert row_of(newcomer).status is PayoutStatus.READY
    assert bank_details.refusal(db.session(), row_of(newcomer)) == ""


@pytest.mark.parametrize(
    "wrong",
    [
        {},
        {"holder": "X", "bank_name": "B"},
        NEW | {"account": "FR14 2004 1010 0505 0001 3M02 607"},
        OLD | {"account": "0114477200318", "bic": ""},
        OLD | {"bic": "COBADEFFXX"},
    ],
)
def test_wrong_details_are_refused(shop: Shop, seller: int, newcomer: int, wrong: Any) -> None:
    with pytest.raises(paying_out.WrongAccountError):
        ask(shop, newcomer, wrong)
    with pytest.raises(paying_out.WrongAccountError):
        change(shop, seller, wrong)


def test_own_details_need_none(shop: Shop, newcomer: int) -> None:
    ask(shop, newcomer, {"sends_own_details": "yes"})
    approve(shop, row_of(newcomer))
    change(shop, newcomer)
    assert row_of(newcomer).next_account == NEW


def test_a_change_waits_a_day_and_everybody_is_told(shop: Shop, seller: int) -> None:
    before = row_of(seller).account
    change(shop, seller)
    row = row_of(seller)
    provider = db.session.get_one(Provider, seller)
    assert (row.account, row.next_account) == (before, NEW)
    assert mails("bank_changing") == sorted([provider.email, "one@example.org", "two@example.org"])
    shop.clock.tick(hours=23, minutes=59)
    jobs.do("payout_method", row.id)
    assert row_of(seller).account == before
    shop.clock.tick(minutes=1)
    jobs.do("payout_method", row.id)
    jobs.do("payout_method", row.id)
    row = row_of(seller)
    assert (row.account, row.next_account, row.next_from) == (NEW, None, None)
    assert row.status is PayoutStatus.READY
    assert len(mails("bank_changed")) == 3


def test_the_same_change_sent_twice_is_one(shop: Shop, seller: int) -> None:
    change(shop, seller)
    first = row_of(seller).next_from
    shop.clock.tick(minutes=5)
    change(shop, seller)
    assert row_of(seller).next_from == first
    assert len(mails("bank_changing")) == 3


def test_the_worker_comes_when_the_day_is_over(shop: Shop, seller: int) -> None:
    change(shop, seller)
    shop.clock.tick(hours=24)
    jobs.sweep()
    assert row_of(seller).account == NEW


def test_a_change_is_stopped(shop: Shop, seller: int) -> None:
    change(shop, seller)
    row = row_of(seller)
    moment = row.next_from
    assert stop(shop, row.id, moment)
    assert not stop(shop, row.id, moment)
    shop.clock.tick(hours=25)
    jobs.do("payout_method", row.id)
    assert row_of(seller).account != NEW
    assert len(mails("bank_change_stopped")) == 3
    assert not stop(shop, 10**9, moment)


def test_another_change_begins_the_day_anew_and_has_a_stop_of_its_own(
    shop: Shop, seller: int
) -> None:
    change(shop, seller)
    first = row_of(seller).next_from
    shop.clock.tick(hours=12)
    change(shop, seller, NEW | {"holder": "Somebody Else"})
    row = row_of(seller)
    assert row.next_from == shop.clock() + bank_details.WAIT
    assert not stop(shop, row.id, first)
    shop.clock.tick(hours=13)
    jobs.do("payout_method", row.id)
    assert row_of(seller).next_account is not None
    assert stop(shop, row.id, row.next_from)
    with pytest.raises(ServiceError, match="hold already"):
        change(shop, seller, dict(row_of(seller).account))


def test_open_orders_keep_the_details_they_were_placed_with(shop: Shop, seller: int) -> None:
    before = dict(row_of(seller).account)
    opened = shop.order(10, BANK)
    told = shop.open(opened, BANK)
    # Placed, but the process died before it could tell how to pay.
    unopened = shop.order(10, BANK)
    change(shop, seller)
    shop.clock.tick(hours=24)
    jobs.do("payout_method", row_of(seller).id)
    assert row_of(seller).account == NEW
    after = shop.order(10, BANK)
    accounts = {
        order_id: shop.payment(shop.open(order_id, BANK)).payee
        for order_id in (opened, unopened, after)
    }
    assert accounts == {opened: before, unopened: before, after: NEW}
    # Also a new attempt, after another method was tried.
    jobs.do("payment", told, close=True)
    again = shop.open(opened, BANK)
    assert again != told
    assert shop.payment(again).payee == before


def test_ending_keeps_what_was_placed(shop: Shop, seller: int) -> None:
    before = dict(row_of(seller).account)
    order_id = shop.order(10, BANK)
    for _ in range(2):
        with unit_of_work() as session:
            bank_details.end_bank(
                session, seller, BANK, plugins=platform().payments, actor="me", now=shop.clock()
            )
    row = row_of(seller)
    assert (row.status, row.account) == (PayoutStatus.REVOKED, {})
    shop.work(rounds=3)
    payment = db.session.scalars(
        select(jobs.Payment).where(jobs.Payment.order_id == order_id)
    ).one()
    assert payment.payee == before
    assert payment.instructions
    assert len(mails("payout_account_changed")) == 3


def test_exact_matches_confirm_alone_only_where_statements_tell(shop: Shop, seller: int) -> None:
    def let(method_id: str, provider_id: int, *, alone: bool) -> None:
        with unit_of_work() as session:
            bank_details.let_confirm(
                session, provider_id, method_id, alone=alone,
                plugins=platform().payments, actor="me", now=shop.clock(),
            )  # fmt: skip

    let(BANK, seller, alone=True)
    assert row_of(seller).confirms_alone
    let(BANK, seller, alone=False)
    assert not row_of(seller).confirms_alone
    for method_id, provider_id in (("paypal", seller), (BANK, 10**9)):
        with pytest.raises(NotFoundError):
            let(method_id, provider_id, alone=True)


def test_the_daily_look_finds_details_that_are_right_no_more(shop: Shop, seller: int) -> None:
    row = row_of(seller)
    row.account = OLD | {"account": "DE89370400440532013001"}
    row.due_at = shop.clock()
    db.session.commit()
    jobs.do("payout_method", row.id)
    row = row_of(seller)
    assert row.status is PayoutStatus.LIMITED
    assert row.todo
    assert len(mails("payout_stopped")) == 3
    with pytest.raises(ServiceError), unit_of_work() as session:
        order = session.get_one(jobs.Order, shop.order(1, "paypal"))
        paying.prepare_payment(session, order, BANK, now=shop.clock())


def test_instructions_carry_money(shop: Shop) -> None:
    payment = shop.payment(shop.open(shop.order(10, BANK), BANK))
    assert Money(payment.amount_minor, payment.currency) in [
        value for _, value in payment.instruction_lines
    ]
    assert timedelta(hours=24) == bank_details.WAIT

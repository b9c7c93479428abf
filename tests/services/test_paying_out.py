"""Accounts at processors: connected, tested, ended; links replayed and finished for others."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from datetime import timedelta

import pytest
from flask import Flask
from sqlalchemy import select

from cnn_offset import jobs
from cnn_offset.domain.status import PayoutStatus
from cnn_offset.extensions import db, platform, unit_of_work
from cnn_offset.models import Event, Message, PayoutMethod
from cnn_offset.plugins.errors import (
    OutcomeUnknownError,
    PayeeNotReadyError,
    PluginError,
    RefusedError,
)
from cnn_offset.plugins.loader import PluginSet
from cnn_offset.plugins.payments.base import (
    AccountField,
    AccountReport,
    Connection,
    ConnectRequest,
    Notice,
    Payee,
)
from cnn_offset.services import NotFoundError, ServiceError, deliveries, paying_out
from cnn_offset.services.moves import move
from tests.conftest import Clock
from tests.factories import make_payout, make_provider
from tests.fakes import FakePay
from tests.services.conftest import Shop

READY, STARTED, LIMITED, REVOKED = (
    PayoutStatus.READY,
    PayoutStatus.STARTED,
    PayoutStatus.LIMITED,
    PayoutStatus.REVOKED,
)


@dataclass
class Books:
    """What a processor knows of the providers who came."""

    links: list[ConnectRequest] = field(default_factory=list)
    accounts: dict[str, str] = field(default_factory=dict)
    """Merchant by onboarding reference."""
    words: dict[str, AccountReport] = field(default_factory=dict)
    looks: list[str] = field(default_factory=list)
    failures: list[PluginError] = field(default_factory=list)
    meanwhile: Callable[[], None] | None = None
    """Happens while somebody waits for an answer."""


class Connecting(FakePay):
    """A processor where providers connect their accounts; or type them."""

    account_fields = (AccountField("merchant_id", "Merchant"),)
    is_partner = True

    def __init__(self, clock: Clock) -> None:
        super().__init__(clock)
        self.books = Books()

    @property
    def connects(self) -> bool:
        return self.is_partner

    def payee_account(self, payee: Payee) -> str:
        return payee.get("merchant_id", "")

    def _answer(self) -> None:
        if self.books.failures:
            raise self.books.failures.pop(0)
        if self.books.meanwhile:
            act, self.books.meanwhile = self.books.meanwhile, None
            act()

    def connect(self, request: ConnectRequest) -> Connection:
        self.books.links.append(request)
        self._answer()
        return Connection(f"http://pay.test/{len(self.books.links)}", f"ref-{request.key}")

    def inspect(self, account: Payee, onboarding_ref: str, *, key: str) -> AccountReport:
        self.books.looks.append(key)
        self._answer()
        merchant = self.books.accounts.get(onboarding_ref) or account.get("merchant_id", "")
        if not merchant:
            return AccountReport(STARTED, ["Go on there."])
        word = self.books.words.get(merchant, AccountReport(READY))
        return replace(word, account={"merchant_id": merchant} if onboarding_ref else {})


@dataclass
class Desk:
    """Two providers and one processor."""

    app: Flask
    clock: Clock
    pay: Connecting
    mine: int
    other: int

    @property
    def plugins(self) -> PluginSet[FakePay]:  # type: ignore[type-var]
        return PluginSet({"paypal": self.pay})

    def connect(self, provider_id: int) -> str:
        url = paying_out.begin_connect(
            unit_of_work,
            provider_id,
            "paypal",
            plugins=self.plugins,
            locale="en",
            return_url="http://localhost/back",
            refresh_url="http://localhost/again",
            actor="staff@example.org",
            now=self.clock(),
        )
        assert url == f"http://pay.test/{len(self.pay.books.links)}"
        return self.row(provider_id).onboarding_ref

    def look(self, provider_id: int) -> PayoutStatus:
        return paying_out.look_now(
            unit_of_work, provider_id, "paypal", plugins=self.plugins, now=self.clock()
        )

    def finish(self, provider_id: int, merchant: str = "M1") -> PayoutStatus:
        """Go to the processor's page, agree there and come back."""
        self.pay.books.accounts[self.connect(provider_id)] = merchant
        return self.look(provider_id)

    def disconnect(self, provider_id: int) -> None:
        with unit_of_work() as session:
            paying_out.disconnect(session, provider_id, "paypal", actor="me", now=self.clock())

    def row(self, provider_id: int) -> PayoutMethod:
        db.session.expire_all()
        return paying_out.methods_of(db.session(), provider_id)["paypal"]

    def mails(self) -> list[str]:
        db.session.expire_all()
        return list(db.session.scalars(select(Message.kind).order_by(Message.id)))


@pytest.fixture
def desk(any_app: Flask, clock: Clock) -> Iterator[Desk]:
    with any_app.test_request_context():
        mine, other = make_provider().id, make_provider().id
        db.session.commit()
        pay = Connecting(clock)
        here = any_app.extensions["cnn_offset"]
        any_app.extensions["cnn_offset"] = replace(here, payments=PluginSet({"paypal": pay}))
        yield Desk(any_app, clock, pay, mine, other)
        db.session.remove()


def test_connecting_leads_to_ready(desk: Desk) -> None:
    ref = desk.connect(desk.mine)
    assert desk.row(desk.mine).status is STARTED
    assert desk.look(desk.mine) is STARTED
    assert desk.row(desk.mine).todo == ["Go on there."]
    desk.pay.books.accounts[ref] = "M1"
    assert desk.look(desk.mine) is READY
    row = desk.row(desk.mine)
    assert row.account == {"merchant_id": "M1"}
    assert (row.todo, row.tested_at, row.payee_account) == ([], desk.clock(), "M1")
    assert row.due_at == desk.clock() + paying_out.TESTED_EVERY
    assert row.currencies == ["USD", "EUR"]
    assert desk.mails() == ["payout_ready"]
    words = db.session.scalars(
        select(Event.new).where(Event.subject == "payout_method").order_by(Event.id)
    )
    assert list(words) == ["begun", "ready"]


def test_going_on_makes_a_new_link_for_the_same_account(desk: Desk) -> None:
    first = desk.connect(desk.mine)
    second = desk.connect(desk.mine)
    assert first == second
    one, two = desk.pay.books.links
    assert one.key == two.key
    assert (one.onboarding_ref, two.onboarding_ref) == ("", first)


def test_a_lost_answer_is_asked_again_under_the_same_key(desk: Desk) -> None:
    desk.pay.books.failures = [OutcomeUnknownError("silence")]
    with pytest.raises(OutcomeUnknownError):
        desk.connect(desk.mine)
    assert desk.row(desk.mine).status is STARTED
    desk.connect(desk.mine)
    one, two = desk.pay.books.links
    assert one.key == two.key


def test_two_clicks_at_once_begin_one(desk: Desk) -> None:
    def second() -> None:
        desk.connect(desk.mine)

    desk.pay.books.meanwhile = second
    paying_out.begin_connect(
        unit_of_work, desk.mine, "paypal", plugins=desk.plugins, locale="en",
        return_url="r", refresh_url="f", actor="b@example.org", now=desk.clock(),
    )  # fmt: skip
    assert len({each.key for each in desk.pay.books.links}) == 1


def test_what_is_connected_is_not_connected_again(desk: Desk) -> None:
    desk.finish(desk.mine)
    with pytest.raises(ServiceError, match="connected already"):
        desk.connect(desk.mine)


def test_an_account_of_another_provider_is_refused(desk: Desk) -> None:
    assert desk.finish(desk.other, "M1") is READY
    assert desk.finish(desk.mine, "M1") is STARTED
    row = desk.row(desk.mine)
    assert row.todo == [paying_out.TAKEN]
    assert (row.account, row.payee_account) == ({}, "")
    assert desk.row(desk.other).status is READY


def test_a_link_finished_once_more_for_another_account_pays_nobody_else(desk: Desk) -> None:
    desk.finish(desk.mine, "M1")
    desk.pay.books.accounts[desk.row(desk.mine).onboarding_ref] = "M2"
    assert desk.look(desk.mine) is LIMITED
    row = desk.row(desk.mine)
    assert row.account == {"merchant_id": "M1"}
    assert row.todo == [paying_out.OTHER_ACCOUNT]


def test_a_link_finished_after_disconnecting_leads_to_nothing(desk: Desk) -> None:
    ref = desk.connect(desk.mine)
    desk.disconnect(desk.mine)
    desk.pay.books.accounts[ref] = "M1"
    assert desk.look(desk.mine) is REVOKED
    assert desk.row(desk.mine).account == {}
    assert desk.pay.books.looks == []


def test_disconnected_while_the_processor_answers(desk: Desk) -> None:
    ref = desk.connect(desk.mine)
    desk.pay.books.accounts[ref] = "M1"
    desk.pay.books.meanwhile = lambda: desk.disconnect(desk.mine)
    assert desk.look(desk.mine) is REVOKED
    assert desk.row(desk.mine).account == {}


def test_disconnected_while_the_link_is_made(desk: Desk) -> None:
    desk.pay.books.meanwhile = lambda: desk.disconnect(desk.mine)
    with pytest.raises(ServiceError, match="ended this meanwhile"):
        desk.connect(desk.mine)
    assert desk.row(desk.mine).onboarding_ref == ""


def test_an_account_is_free_again_once_disconnected(desk: Desk) -> None:
    desk.finish(desk.other, "M1")
    desk.disconnect(desk.other)
    assert desk.finish(desk.mine, "M1") is READY
    assert desk.mails() == ["payout_ready", "payout_account_changed", "payout_ready"]


def test_reconnecting_uses_a_new_key(desk: Desk) -> None:
    desk.finish(desk.mine, "M1")
    desk.disconnect(desk.mine)
    desk.disconnect(desk.mine)
    assert desk.finish(desk.mine, "M2") is READY
    one, two = desk.pay.books.links
    assert one.key != two.key
    assert two.onboarding_ref == ""
    assert desk.row(desk.mine).account == {"merchant_id": "M2"}


@pytest.mark.parametrize("word", [LIMITED, REVOKED])
def test_what_is_lost_later_is_found_by_the_daily_test_and_told(
    desk: Desk, word: PayoutStatus
) -> None:
    desk.finish(desk.mine)
    desk.pay.books.words["M1"] = AccountReport(word, ["Write to them."])
    desk.clock.tick(hours=25)
    assert jobs.do("payout_method", desk.row(desk.mine).id, due_only=True)
    row = desk.row(desk.mine)
    assert (row.status, row.todo) == (word, ["Write to them."])
    assert desk.mails() == ["payout_ready", "payout_stopped"]
    # It is asked about until all is well again.
    del desk.pay.books.words["M1"]
    desk.clock.tick(hours=7 if word is LIMITED else 25)
    assert jobs.do("payout_method", row.id, due_only=True)
    assert desk.row(desk.mine).status is READY


def test_no_answer_changes_nothing(desk: Desk) -> None:
    desk.finish(desk.mine)
    for error in (OutcomeUnknownError("silence"), RefusedError("our key", code="x")):
        desk.pay.books.failures = [error]
        with pytest.raises(PluginError):
            desk.look(desk.mine)
        desk.pay.books.failures = [error]
        desk.clock.tick(hours=25)
        assert not jobs.do("payout_method", desk.row(desk.mine).id, due_only=True)
        assert desk.row(desk.mine).status is READY
    assert "RefusedError" in desk.row(desk.mine).last_error


def test_each_look_is_a_trial_of_its_own(desk: Desk) -> None:
    desk.finish(desk.mine)
    desk.look(desk.mine)
    assert len(set(desk.pay.books.looks)) == 2
    assert all(len(each) <= 40 for each in desk.pay.books.looks)


def test_a_method_that_runs_no_more_is_left_alone(desk: Desk) -> None:
    desk.finish(desk.mine)
    row = desk.row(desk.mine)
    none: PluginSet[FakePay] = PluginSet({})  # type: ignore[type-var]
    looks = len(desk.pay.books.looks)
    paying_out.look(unit_of_work, row.id, plugins=none, now=desk.clock())
    paying_out.test_methods(
        unit_of_work, desk.mine, plugins=none, older_than=timedelta(0), now=desk.clock()
    )
    assert len(desk.pay.books.looks) == looks
    assert desk.row(desk.mine).status is READY


def test_methods_are_tested_before_offers_go_on_sale(desk: Desk) -> None:
    desk.finish(desk.mine)
    hour = timedelta(hours=1)

    def test() -> None:
        paying_out.test_methods(
            unit_of_work, desk.mine, plugins=desk.plugins, older_than=hour, now=desk.clock()
        )

    test()
    assert len(desk.pay.books.looks) == 1
    desk.clock.tick(hours=2)
    desk.pay.books.words["M1"] = AccountReport(LIMITED, ["Write to them."])
    test()
    assert desk.row(desk.mine).status is LIMITED
    desk.clock.tick(hours=2)
    desk.pay.books.failures = [OutcomeUnknownError("silence")]
    test()
    assert desk.row(desk.mine).status is LIMITED


def typed(desk: Desk, provider_id: int, merchant: str, actor: str = "me@example.org") -> int:
    desk.pay.is_partner = False
    with unit_of_work() as session:
        return paying_out.type_account(
            session,
            provider_id,
            "paypal",
            {"merchant_id": merchant, "else": ""},
            plugins=desk.plugins,
            actor=actor,
            now=desk.clock(),
        )


def test_a_typed_account_is_tested_before_anybody_pays_it(desk: Desk) -> None:
    typed(desk, desk.mine, "M1")
    row = desk.row(desk.mine)
    assert (row.status, row.account) == (STARTED, {"merchant_id": "M1"})
    assert desk.look(desk.mine) is READY
    typed(desk, desk.mine, "M1")
    assert desk.row(desk.mine).status is READY
    typed(desk, desk.mine, "M2")
    assert desk.row(desk.mine).status is STARTED
    # Whoever knew of the old one is told.
    assert desk.mails() == ["payout_ready", "payout_account_changed"]
    with pytest.raises(ServiceError, match="another provider"):
        typed(desk, desk.other, "M2")
    with pytest.raises(paying_out.WrongAccountError):
        typed(desk, desk.mine, "")


def test_connected_accounts_are_not_typed_and_typed_ones_not_connected(desk: Desk) -> None:
    with pytest.raises(NotFoundError), unit_of_work() as session:
        paying_out.type_account(
            session, desk.mine, "paypal", {"merchant_id": "M1"},
            plugins=desk.plugins, actor="me", now=desk.clock(),
        )  # fmt: skip
    desk.pay.is_partner = False
    with pytest.raises(NotFoundError):
        desk.connect(desk.mine)


def test_terms_are_checked(desk: Desk) -> None:
    desk.finish(desk.mine)

    def set_terms(currencies: list[str], minimum: int = 0) -> None:
        with unit_of_work() as session:
            paying_out.set_terms(
                session, desk.mine, "paypal", plugins=desk.plugins, currencies=currencies,
                minimum_minor=minimum, actor="me", now=desk.clock(),
            )  # fmt: skip

    set_terms(["eur", "CHF", "EUR"], 5000)
    row = desk.row(desk.mine)
    assert (row.currencies, row.minimum_minor) == (["EUR", "CHF"], 5000)
    for currencies, minimum in (([], 0), (["XYZ"], 0), (["EUR"], -1), (["EUR"], 10**9)):
        with pytest.raises(ServiceError):
            set_terms(currencies, minimum)


def test_a_bell_has_the_account_looked_at(desk: Desk) -> None:
    desk.finish(desk.mine)
    row = desk.row(desk.mine)
    refs = [[row.onboarding_ref], ["M1"], ["nobody"]]
    for number, wanted in enumerate(refs):
        desk.clock.tick(minutes=1)
        with unit_of_work() as session:
            notice = Notice(f"evt-{number}", [], wanted)
            deliveries.store_delivery(session, "paypal", notice, "{}", now=desk.clock())
        delivery_id = db.session.scalars(
            select(jobs.WebhookDelivery.id).order_by(jobs.WebhookDelivery.id.desc())
        ).first()
        assert delivery_id
        assert jobs.do("webhook_delivery", delivery_id)
        rings = desk.row(desk.mine).due_at == desk.clock()
        assert rings is (wanted != ["nobody"])


def test_a_refused_payment_has_the_account_looked_at(shop: Shop) -> None:
    order_id = shop.order()
    shop.pay.failures = [PayeeNotReadyError("restricted")]
    with pytest.raises(ServiceError):
        shop.open(order_id)
    payout = db.session.scalars(
        select(PayoutMethod).where(PayoutMethod.method_id == "paypal")
    ).one()
    assert payout.due_at == shop.clock()


def test_orders_go_on_when_their_method_is_ended(shop: Shop) -> None:
    order_id = shop.order()
    payment_id = shop.open(order_id)
    with unit_of_work() as session:
        paying_out.disconnect(
            session, shop.offer.provider_id, "paypal", actor="me", now=shop.clock()
        )
    shop.money(payment_id)
    assert shop.status(order_id) == "paid"
    with pytest.raises(ServiceError, match="no longer takes"):
        shop.open(shop.order(10, "bank_transfer"))


def test_old_rows_are_bound_at_their_first_test(any_app: Flask, clock: Clock) -> None:
    """Rows of before know no onboarding; two with one account are not both ready."""
    with any_app.test_request_context():
        pay = Connecting(clock)
        first = make_payout(make_provider(), "paypal", account={"merchant_id": "M1"}).id
        second = make_payout(make_provider(), "paypal", account={"merchant_id": "M1"}).id
        db.session.commit()
        plugins: PluginSet[FakePay] = PluginSet({"paypal": pay})  # type: ignore[type-var]
        for row_id in (first, second):
            paying_out.look(unit_of_work, row_id, plugins=plugins, now=clock())
        db.session.expire_all()
        assert db.session.get_one(PayoutMethod, first).status is READY
        row = db.session.get_one(PayoutMethod, second)
        assert (row.status, row.todo) == (STARTED, [paying_out.TAKEN])
        db.session.remove()


def test_every_move_is_possible(desk: Desk) -> None:
    desk.finish(desk.mine)
    for status in (LIMITED, STARTED, REVOKED, READY):
        with unit_of_work() as session:
            row = paying_out.own_method(session, desk.mine, "paypal")
            assert move(session, row, status, actor="me", why="test", now=desk.clock())
    assert platform().payments["paypal"] is desk.pay


def test_two_providers_finishing_with_one_account_at_once(desk: Desk) -> None:
    """While the processor tells one of it, the other has already been found to own it."""
    mine, other = desk.connect(desk.mine), desk.connect(desk.other)
    desk.pay.books.accounts |= {mine: "M1", other: "M1"}

    def second() -> None:
        assert desk.look(desk.other) is READY

    desk.pay.books.meanwhile = second
    assert desk.look(desk.mine) is STARTED
    assert desk.row(desk.mine).todo == [paying_out.TAKEN]

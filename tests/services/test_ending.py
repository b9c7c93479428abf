"""What a registry's dates bring about, a second before and a second after each."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from sqlalchemy import func, select

from cnn_offset import jobs
from cnn_offset.chores import CHORES
from cnn_offset.conditions import Conditions
from cnn_offset.domain.calendar import CANCELLING, RegistryDates
from cnn_offset.domain.casework import CaseKind
from cnn_offset.domain.status import CancellationStatus, OfferStatus, OrderStatus
from cnn_offset.domain.units import SerialRange
from cnn_offset.extensions import db, platform, unit_of_work
from cnn_offset.mail import render
from cnn_offset.models import Case, Checkout, Message, Order, RegistryAccount
from cnn_offset.plugins.errors import UnavailableError
from cnn_offset.plugins.registries.base import CancellationRequest, ReportStatus
from cnn_offset.services import checking_out, ordering
from cnn_offset.services.attention import Kind, attention
from tests.factories import make_mapping
from tests.services.conftest import DETAILS, Shop

C, O = CancellationStatus, OrderStatus
LAST_ORDER = datetime(2026, 12, 28, tzinfo=UTC)
END = datetime(2026, 12, 31, tzinfo=UTC)
CLOSED = datetime(2027, 1, 3, tzinfo=UTC)
DATES = RegistryDates(None, LAST_ORDER, END, CLOSED)
SECOND = timedelta(seconds=1)
SetDates = Callable[[RegistryDates], None]


@pytest.fixture
def set_dates(shop: Shop) -> SetDates:
    """Let operators' dates hold, and the chore put them in force."""

    def set_(dates: RegistryDates) -> None:
        here = platform()
        made = replace(here, conditions=lambda: Conditions(dates={"cdm": dates}))
        shop.app.extensions["cnn_offset"] = made
        turn()

    return set_


def turn() -> None:
    """Do the chore until nothing is left to do."""
    for _ in range(20):
        if CHORES["closing"](platform()) > platform().clock():
            return
    raise AssertionError("never done")


def mails(kind: str) -> list[Message]:
    return list(db.session.scalars(select(Message).where(Message.kind == kind)))


def at(shop: Shop, moment: datetime) -> None:
    shop.clock.now = moment


# Before the end


def test_unpaid_orders_are_to_be_paid_sooner_and_told_once(shop: Shop, set_dates: SetDates) -> None:
    order_id = shop.order(method="bank_transfer")
    soon = platform().clock() + timedelta(days=20)
    set_dates(RegistryDates(None, None, soon, None))
    assert db.session.get_one(Order, order_id).pay_by == soon - CANCELLING
    assert len(mails("pay_sooner")) == 1
    shop.clock.tick(minutes=90)
    turn()
    assert len(mails("pay_sooner")) == 1
    # A date that moves on again makes no order wait longer by itself.
    set_dates(RegistryDates(None, None, soon + timedelta(days=30), None))
    assert db.session.get_one(Order, order_id).pay_by == soon - CANCELLING


def test_near_the_end_purchasers_are_reminded_by_its_own_days(
    shop: Shop, set_dates: SetDates
) -> None:
    order_id = shop.order(method="bank_transfer")
    set_dates(DATES)
    due = db.session.get_one(Order, order_id).pay_by
    assert due == END - CANCELLING
    seen = []
    while shop.clock() < due:
        with unit_of_work() as session:
            following = ordering.remind(session, order_id, by_bank=False, now=shop.clock())
        seen.append((shop.clock(), len(mails("ending_reminder")), len(mails("payment_reminder"))))
        at(shop, following)
    days = [each.dedup.split(":")[2] for each in mails("ending_reminder")]
    assert days == ["14", "7", "3", "1"]
    general = mails("payment_reminder")
    assert len(general) <= 1, "none beside those"
    turn()


def test_providers_are_told_of_open_bank_orders(shop: Shop, set_dates: SetDates) -> None:
    shop.order(method="bank_transfer")
    set_dates(DATES)
    assert mails("bank_orders_ending") == []
    for days in (14, 10, 7, 1):
        at(shop, END - CANCELLING - timedelta(days=days))
        turn()
        turn()
    told = mails("bank_orders_ending")
    assert [each.params["count"] for each in told] == [1, 1, 1]


@pytest.mark.parametrize(
    ("moment", "status"),
    [(LAST_ORDER - SECOND, OfferStatus.OPEN), (LAST_ORDER, OfferStatus.CLOSED)],
)
def test_offers_close_at_the_last_order(
    shop: Shop, set_dates: SetDates, moment: datetime, status: OfferStatus
) -> None:
    order_id = shop.order()
    at(shop, moment)
    set_dates(DATES)
    assert shop.offer.status is status
    turn()
    told = mails("offers_ended")
    assert len(told) == (status is OfferStatus.CLOSED)
    assert all(each.params["count"] == 1 for each in told)
    assert shop.offer.held == 10, "the running order keeps its units"
    assert shop.status(order_id) is O.PLACED


@pytest.mark.parametrize("late", [False, True])
def test_a_checkout_begun_before_the_last_order(
    shop: Shop, set_dates: SetDates, *, late: bool
) -> None:
    set_dates(DATES)
    at(shop, LAST_ORDER - SECOND)
    checkout_id = shop.checkout()
    if late:
        at(shop, LAST_ORDER)
    provider_id, here = shop.offer.provider_id, platform()

    def place() -> None:
        with unit_of_work() as session:
            ordering.place_orders(
                session,
                session.get_one(Checkout, checkout_id),
                DETAILS,
                {(provider_id, "USD"): "bank_transfer"},
                plugins=here.payments,
                registry_dates=here.dates_for_new,
                now=here.clock(),
            )

    if not late:
        # Whatever could still be paid in time.
        here.payments["bank_transfer"].__class__.slowest, slowest = (
            timedelta(days=1),
            here.payments["bank_transfer"].__class__.slowest,
        )
        try:
            place()
        finally:
            here.payments["bank_transfer"].__class__.slowest = slowest
        assert db.session.scalar(select(func.count()).select_from(Order)) == 1
        return
    with pytest.raises(checking_out.EndedError):
        place()
    with unit_of_work() as session:
        token = session.get_one(Checkout, checkout_id).token
        checking_out.give_up(session, token, now=here.clock())
        checking_out.give_up(session, token, now=here.clock())
    assert shop.offer.held == 0


# Money


@pytest.mark.parametrize("method", ["paypal", "bank_transfer"])
@pytest.mark.parametrize("late", [False, True])
def test_money_a_second_before_and_at_the_end(
    shop: Shop, set_dates: SetDates, method: str, *, late: bool
) -> None:
    order_id = shop.order(method=method)
    payment_id = shop.open(order_id, method)
    total = db.session.get_one(Order, order_id).total
    set_dates(DATES)
    at(shop, END if late else END - SECOND)
    turn()
    if method == "paypal":
        # Its money came earlier; what counts is when we learn of it.
        shop.money(payment_id, at=shop.clock() - timedelta(days=1))
    else:
        shop.bank_money(order_id, total)
    if not late:
        assert shop.status(order_id) is O.PAID
        jobs.do("cancellation", shop.cancellation(order_id).id)
        assert shop.status(order_id) is O.FULFILLED
        return
    assert shop.status(order_id) is O.REFUND_DUE
    assert shop.registry.sent == []
    assert shop.offer.held == 0
    order = db.session.get_one(Order, order_id)
    assert not order.holds_units
    assert [len(mails(kind)) for kind in ("paid_too_late", "money_too_late")] == [1, 1]
    case = db.session.scalars(select(Case)).one()
    assert (case.order_id, case.kind) == (order_id, CaseKind.PAYMENT)
    assert mails("case_opened") == []


def test_money_for_an_order_that_lapsed_takes_no_units_after_the_end(
    shop: Shop, set_dates: SetDates
) -> None:
    order_id = shop.order(method="bank_transfer")
    shop.open(order_id, "bank_transfer")
    total = db.session.get_one(Order, order_id).total
    set_dates(DATES)
    at(shop, END - CANCELLING)
    shop.work(rounds=3)
    assert shop.status(order_id) is O.LAPSED
    at(shop, END + timedelta(days=1))
    turn()
    shop.bank_money(order_id, total)
    assert shop.status(order_id) is O.REFUND_DUE
    assert shop.offer.held == 0


# Cancellations


def test_nothing_is_sent_after_the_last_cancellation(shop: Shop, set_dates: SetDates) -> None:
    order_id = shop.order()
    payment_id = shop.open(order_id)
    set_dates(DATES)
    at(shop, END - SECOND)
    shop.money(payment_id)
    at(shop, END)
    jobs.do("cancellation", shop.cancellation(order_id).id)
    assert shop.registry.sent == []
    assert shop.cancellation(order_id).status is C.REJECTED
    assert shop.status(order_id) is O.IN_REVIEW
    assert Kind.ENDING in {e.kind for e in attention(db.session(), now=shop.clock())}


@pytest.mark.parametrize(
    ("fault", "status"), [("before", C.REJECTED), ("after", C.CONFIRMED), ("late", C.CONFIRMED)]
)
def test_what_is_unknown_is_asked_for_until_it_is_known(
    shop: Shop, set_dates: SetDates, fault: str, status: CancellationStatus
) -> None:
    order_id = shop.order()
    payment_id = shop.open(order_id)
    set_dates(DATES)
    at(shop, END - timedelta(minutes=1))
    shop.registry.faults = [fault]
    shop.money(payment_id)
    jobs.do("cancellation", shop.cancellation(order_id).id)
    assert shop.cancellation(order_id).status is C.UNKNOWN
    at(shop, END + SECOND)
    shop.work(rounds=12, minutes=5)
    assert len(shop.registry.sent) == 1
    assert shop.cancellation(order_id).status is status


def test_what_a_closed_registry_never_said_goes_to_a_person(
    shop: Shop, set_dates: SetDates
) -> None:
    order_id = shop.order()
    payment_id = shop.open(order_id)
    set_dates(DATES)
    at(shop, END - timedelta(minutes=1))
    shop.registry.faults = ["before"]
    shop.money(payment_id)
    jobs.do("cancellation", shop.cancellation(order_id).id)

    def silent(_key: str) -> None:
        raise UnavailableError("gone")

    shop.registry.fetch = silent  # type: ignore[assignment]
    at(shop, CLOSED)
    turn()
    jobs.do("cancellation", shop.cancellation(order_id).id)
    row = shop.cancellation(order_id)
    assert (row.status, row.due_at, row.last_error) == (C.MISMATCHED, None, "")
    assert shop.status(order_id) is O.IN_REVIEW


def test_a_closed_registry_is_asked_nothing(shop: Shop, set_dates: SetDates) -> None:
    order_id = shop.order()
    payment_id = shop.open(order_id)
    set_dates(DATES)
    shop.money(payment_id)
    jobs.do("cancellation", shop.cancellation(order_id).id)
    account = make_mapping(shop.offer.provider).account
    account.due_at, account_id = shop.clock(), account.id
    db.session.commit()
    asked = platform().connectors["cdm"]
    assert asked is shop.registry
    at(shop, CLOSED)
    turn()
    archive, key = platform().connectors["cdm"], shop.cancellation(order_id).key
    assert archive is not shop.registry
    known = archive.fetch(key)
    assert known.status is ReportStatus.CONFIRMED
    assert sum(each.quantity for each in known.ranges) == 10
    assert all(isinstance(each, SerialRange) for each in known.ranges)
    assert archive.fetch("never").status is ReportStatus.NOT_KNOWN
    blocks = list(archive.list_blocks(shop.offer.block.account_ref))
    assert [each.block_ref for each in blocks] == [shop.offer.block.block_ref]
    with pytest.raises(UnavailableError, match="closed"):
        archive.cancel(CancellationRequest(key, "A", "B", 1, "", ""))
    assert db.session.get_one(RegistryAccount, account_id).due_at is None
    jobs.do("registry_account", account_id)
    assert db.session.get_one(RegistryAccount, account_id).last_error == ""
    # Operators have found that it closes later.
    set_dates(replace(DATES, closed=CLOSED + timedelta(days=3)))
    db.session.expire_all()
    assert db.session.get_one(RegistryAccount, account_id).due_at == shop.clock()
    assert platform().connectors["cdm"] is shop.registry


@pytest.mark.parametrize("skew", [timedelta(minutes=1), timedelta(days=1)])
def test_a_registry_that_closes_by_its_own_clock_before_ours_refuses(
    shop: Shop, set_dates: SetDates, skew: timedelta
) -> None:
    order_id = shop.order()
    payment_id = shop.open(order_id)
    set_dates(DATES)
    at(shop, END - skew + SECOND)
    shop.registry.faults = ["refuse"]
    shop.money(payment_id)
    jobs.do("cancellation", shop.cancellation(order_id).id)
    assert shop.cancellation(order_id).status is C.REJECTED
    assert shop.status(order_id) is O.IN_REVIEW
    assert shop.offer.held == 10, "nothing is lost: a person chooses"


def test_what_is_paid_is_urgent_days_before(shop: Shop, set_dates: SetDates) -> None:
    order_id = shop.order()
    payment_id = shop.open(order_id)
    set_dates(DATES)
    at(shop, END - timedelta(days=6))
    shop.money(payment_id)

    def kinds() -> list[Kind]:
        return [each.kind for each in attention(db.session(), now=shop.clock())]

    assert Kind.ENDING not in kinds()
    at(shop, END - timedelta(days=5) + SECOND)
    assert kinds()[0] is Kind.ENDING, "before all others"
    jobs.do("cancellation", shop.cancellation(order_id).id)
    assert Kind.ENDING not in kinds()


def test_letters_say_what_to_do(shop: Shop, set_dates: SetDates) -> None:
    late = shop.order()
    payment_id = shop.open(late)
    shop.order(method="bank_transfer", quantity=5)
    set_dates(DATES)
    at(shop, END - CANCELLING - timedelta(hours=20))
    turn()
    for order_id in db.session.scalars(select(Order.id)).all():
        with unit_of_work() as session:
            ordering.remind(session, order_id, by_bank=False, now=shop.clock())
    at(shop, END)
    shop.money(payment_id)
    said = {
        each.kind: render(db.session(), each).get_body(("plain",)).get_content()  # type: ignore[union-attr]
        for each in db.session.scalars(select(Message))
    }
    for kind, words in {
        "bank_orders_ending": "lapses; money that",
        "ending_reminder": "cannot be kept open",
        "money_too_late": "nothing was cancelled",
        "offers_ended": "1 offer of yours is closed",
        "paid_too_late": "all of your money goes back",
        "pay_sooner": "so that the units can still be",
    }.items():
        assert words in " ".join(said[kind].split()), kind

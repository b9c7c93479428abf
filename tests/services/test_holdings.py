"""Accounts in the registries, their mirror, and offers that must fit into it."""

from __future__ import annotations

import random
from dataclasses import replace

import pytest
from sqlalchemy import select

from cnn_offset import jobs
from cnn_offset.domain.status import OfferStatus, OrderStatus
from cnn_offset.domain.units import Obstacle, SerialRange
from cnn_offset.extensions import db, unit_of_work
from cnn_offset.mail import render
from cnn_offset.models import (
    AccountActivity,
    AccountKind,
    Activity,
    Block,
    Message,
    Offer,
    OfferTerms,
    Provider,
    RegistryAccount,
    UnmappedBlock,
)
from cnn_offset.services import (
    NotFoundError,
    ServiceError,
    entitling,
    holdings,
    proposing,
    stock,
)
from cnn_offset.services.attention import attention
from cnn_offset.services.entitling import Entitlement
from cnn_offset.services.fitting import SHRUNK
from cnn_offset.services.terms import close
from tests.factories import make_activity, make_block, make_offer, make_provider
from tests.services.conftest import Shop


def mirror(shop: Shop) -> int:
    """Put the shop's block into the registry's books and map it; return the account."""
    block = shop.offer.block
    shop.registry.issue(block.account_ref, block.activity.ref, block.issued, block.block_ref)
    return open_mapped(shop, block.provider, block.account_ref, [block.activity])


def open_mapped(
    shop: Shop,
    provider: Provider,
    account_ref: str,
    activities: list[Activity],
    kind: AccountKind = AccountKind.PERMANENT,
) -> int:
    with unit_of_work() as session:
        provider = session.get_one(Provider, provider.id)
        account = holdings.open_account(
            session, provider, registry_id="cdm", account_ref=account_ref, kind=kind,
            now=shop.clock(),
        )  # fmt: skip
        for each in activities:
            mapped = session.get_one(Activity, each.id)
            holdings.map_activity(session, account, mapped, actor="op", now=shop.clock())
        return account.id


def read(shop: Shop, account_id: int) -> RegistryAccount:
    assert jobs.do("registry_account", account_id)
    db.session.expire_all()
    return db.session.get_one(RegistryAccount, account_id)


def shrinkings() -> int:
    db.session.expire_all()
    return len(db.session.scalars(select(OfferTerms).where(OfferTerms.why == SHRUNK)).all())


def mails(kind: str) -> list[Message]:
    return list(db.session.scalars(select(Message).where(Message.kind == kind)))


# Accounts and mappings


def test_an_account_is_opened_once(shop: Shop) -> None:
    first = mirror(shop)
    assert mirror(shop) == first
    with unit_of_work() as session:
        account = holdings.open_account(
            session, session.get_one(Provider, shop.offer.provider_id), registry_id="cdm",
            account_ref=shop.offer.block.account_ref, kind=AccountKind.TEMPORARY, now=shop.clock(),
        )  # fmt: skip
        assert (account.id, account.kind) == (first, AccountKind.TEMPORARY)


@pytest.mark.parametrize("mine", AccountKind)
@pytest.mark.parametrize("theirs", AccountKind)
def test_only_the_boards_account_is_shared(
    shop: Shop, mine: AccountKind, theirs: AccountKind
) -> None:
    one, two = make_provider(), make_provider()
    db.session.commit()
    open_mapped(shop, one, "X", [], theirs)
    if mine is theirs is AccountKind.PENDING:
        open_mapped(shop, two, "X", [], mine)
    else:
        with pytest.raises(ServiceError):
            open_mapped(shop, two, "X", [], mine)


def test_in_the_boards_account_one_provider_speaks_for_an_activity(shop: Shop) -> None:
    one, two, activity = make_provider(), make_provider(), make_activity()
    db.session.commit()
    open_mapped(shop, one, "PENDING", [activity, activity], AccountKind.PENDING)
    with pytest.raises(ServiceError, match="Another provider"):
        open_mapped(shop, two, "PENDING", [activity], AccountKind.PENDING)
    # It may hold units of the same activity in an account of its own.
    open_mapped(shop, two, "OWN", [activity])
    assert len(db.session.scalars(select(AccountActivity)).all()) == 2


def test_an_activity_of_another_registry_is_not_mapped(shop: Shop) -> None:
    activity = make_activity(registry_id="a64_final")
    db.session.commit()
    with pytest.raises(ServiceError):
        open_mapped(shop, shop.offer.provider, "X", [activity])


# Reading


def test_reads_what_is_mapped_and_sets_the_rest_aside(shop: Shop) -> None:
    activity, other = make_activity(), make_activity()
    db.session.commit()
    ref, party = activity.ref, SerialRange("KE", 10, 109, "KE-10", "KE-109")
    shop.registry.issue("X", ref, party, "B-1")
    shop.registry.issue("X", other.ref, SerialRange("KE", 110, 119, "a", "b"), "B-2")
    shop.registry.take("B-1", 40)
    account_id = open_mapped(shop, shop.offer.provider, "X", [activity])
    account = read(shop, account_id)
    assert account.read_at == shop.clock()
    assert account.due_at == shop.clock() + holdings.READ_AGAIN
    block = db.session.scalars(select(Block).where(Block.account_ref == "X")).one()
    assert (block.block_ref, block.held, block.reported, block.eligible) == ("B-1", 60, 60, True)
    aside = db.session.scalars(select(UnmappedBlock)).one()
    assert (aside.block_ref, aside.activity_ref, aside.held) == ("B-2", other.ref, 10)

    open_mapped(shop, shop.offer.provider, "X", [other])
    account = db.session.get_one(RegistryAccount, account_id)
    assert account.due_at == shop.clock(), "read at once"
    read(shop, account_id)
    assert db.session.scalars(select(UnmappedBlock)).all() == []
    refs = select(Block.block_ref).where(Block.account_ref == "X").order_by(Block.id)
    assert db.session.scalars(refs).all() == ["B-1", "B-2"]


def test_in_the_boards_account_others_units_are_nobodys_business(shop: Shop) -> None:
    mine, theirs, nobodys = (make_activity() for _ in range(3))
    two = make_provider()
    db.session.commit()
    for n, activity in enumerate((mine, theirs, nobodys)):
        serials = SerialRange("KE", 10 * n + 1, 10 * n + 9, "a", "b")
        shop.registry.issue("PENDING", activity.ref, serials, f"B-{n}")
    one = shop.offer.provider
    for provider, activity in ((one, mine), (two, theirs)):
        read(shop, open_mapped(shop, provider, "PENDING", [activity], AccountKind.PENDING))
    found = db.session.scalars(select(Block).where(Block.account_ref == "PENDING")).all()
    assert {each.block_ref: each.provider_id for each in found} == {"B-0": one.id, "B-1": two.id}
    assert db.session.scalars(select(UnmappedBlock)).all() == []


@pytest.mark.parametrize("obstacle", [None, *Obstacle])
def test_says_what_stands_in_the_way(shop: Shop, obstacle: Obstacle | None) -> None:
    account_id = mirror(shop)
    ref = shop.offer.block.block_ref
    shop.registry.books[ref] = replace(shop.registry.books[ref], obstacle=obstacle)
    read(shop, account_id)
    assert (shop.offer.block.eligible, shop.offer.block.obstacle) == (
        obstacle is None,
        obstacle or "",
    )
    assert shop.offer.status is OfferStatus.OPEN, "it shows again when the obstacle is gone"


def test_what_is_paid_in_part_is_offered_where_operators_allow_it(shop: Shop) -> None:
    account_id = mirror(shop)
    ref = shop.offer.block.block_ref
    shop.registry.books[ref] = replace(shop.registry.books[ref], obstacle=Obstacle.PROCEEDS_PARTLY)
    for wanted, eligible in ((Entitlement.ALLOW_PARTIAL, True), (Entitlement.END_PARTIAL, False)):
        with unit_of_work() as session:
            account = session.get_one(RegistryAccount, account_id)
            asked = entitling.propose(
                session, account, [account.mappings[0].activity], wanted,
                reason="EB 96", actor="one@x", now=shop.clock(),
            )  # fmt: skip
            assert proposing.approve(session, asked, actor="two@x", now=shop.clock())
        assert read(shop, account_id).due_at
        assert shop.offer.block.eligible is eligible
    # One that is not paid at all is none of it.
    shop.registry.books[ref] = replace(shop.registry.books[ref], obstacle=Obstacle.PROCEEDS_UNPAID)
    read(shop, account_id)
    assert not shop.offer.block.eligible


def test_a_temporary_account_offers_nothing(shop: Shop) -> None:
    activity = make_activity()
    db.session.commit()
    shop.registry.issue("T", activity.ref, SerialRange("KE", 10, 19, "a", "b"), "B-T")
    kind = AccountKind.TEMPORARY
    read(shop, open_mapped(shop, shop.offer.provider, "T", [activity], kind))
    block = db.session.scalars(select(Block).where(Block.block_ref == "B-T")).one()
    assert block.obstacle == Obstacle.ACCOUNT_KIND


def test_what_is_unmapped_is_offered_no_more(shop: Shop) -> None:
    account_id = mirror(shop)
    order_id = shop.order(10)
    payment_id = shop.open(order_id)
    with unit_of_work() as session:
        account = session.get_one(RegistryAccount, account_id)
        activity = shop.offer.block.activity
        args = (session, account, session.get_one(Activity, activity.id))
        assert holdings.unmap_activity(*args, actor="op", now=shop.clock()) == 1
        assert holdings.unmap_activity(*args, actor="op", now=shop.clock()) == 0
    assert shop.offer.status is OfferStatus.CLOSED
    read(shop, account_id)
    assert (shop.offer.block.eligible, shop.offer.block.obstacle) == (False, Obstacle.NOT_MAPPED)
    # The order goes on, and the mirror with it.
    shop.money(payment_id)
    shop.work()
    assert shop.status(order_id) is OrderStatus.FULFILLED
    read(shop, account_id)
    assert shop.offer.block.held == 990


def test_a_broken_listing_changes_nothing(shop: Shop) -> None:
    account_id = mirror(shop)
    read(shop, account_id)
    activity = shop.offer.block.activity
    shop.registry.issue("ACC", activity.ref, SerialRange("KE", 10, 19, "a", "b"), "B-X")
    shop.registry.take(shop.offer.block.block_ref, 1000)
    shop.registry.silent = 1
    assert not jobs.do("registry_account", account_id)
    account = db.session.get_one(RegistryAccount, account_id, populate_existing=True)
    assert "time-out" in account.last_error
    assert (shop.offer.block.held, shop.offer.quantity, shrinkings()) == (1000, 1000, 0)


def test_nonsense_is_not_written(shop: Shop) -> None:
    account_id = mirror(shop)
    ref = shop.offer.block.block_ref
    for held in (-1, 1001):
        shop.registry.books[ref] = replace(shop.registry.books[ref], held=held)
        read(shop, account_id)
        assert (shop.offer.block.held, shop.offer.block.obstacle) == (1000, Obstacle.CONTRADICTORY)
    shop.registry.books[ref] = replace(shop.registry.books[ref], held=1000)
    read(shop, account_id)
    assert shop.offer.block.eligible


def test_staff_can_ask_again_and_only_for_their_own(shop: Shop) -> None:
    account_id, mine = mirror(shop), shop.offer.provider_id
    read(shop, account_id)
    for minutes, asked in ((0, False), (5, True)):
        shop.clock.tick(minutes=minutes)
        with unit_of_work() as session:
            holdings.ask_again(session, mine, account_id, now=shop.clock())
        account = db.session.get_one(RegistryAccount, account_id, populate_existing=True)
        assert (account.due_at == shop.clock()) == asked
    with pytest.raises(NotFoundError), unit_of_work() as session:
        holdings.ask_again(session, mine + 1, account_id, now=shop.clock())


# Shrinking


def test_an_offer_shrinks_with_its_block(shop: Shop) -> None:
    account_id = mirror(shop)
    shop.registry.take(shop.offer.block.block_ref, 300)
    read(shop, account_id)
    assert (shop.offer.quantity, shop.offer.version) == (700, 2)
    terms = db.session.scalars(select(OfferTerms).order_by(OfferTerms.id.desc())).first()
    assert terms is not None
    assert (terms.version, terms.quantity, terms.why, terms.actor) == (2, 700, SHRUNK, "registry")
    assert [m.params["now"] for m in mails("offer_shrunk")] == [700]
    shop.registry.take(shop.offer.block.block_ref, 1)
    read(shop, account_id)
    assert shop.offer.quantity == 699
    assert len(mails("offer_shrunk")) == 1, "one a day"
    read(shop, account_id)
    assert shrinkings() == 2


def test_orders_in_progress_come_first(shop: Shop) -> None:
    account_id = mirror(shop)
    order_id = shop.order(400)
    shop.registry.take(shop.offer.block.block_ref, 900)
    read(shop, account_id)
    offer = shop.offer
    assert (offer.quantity, offer.held, offer.status) == (400, 400, OfferStatus.OPEN)
    assert [each.params["missing"] for each in mails("units_missing")] == [300]
    assert "units_missing" in {each.kind for each in attention(db.session(), now=shop.clock())}
    assert shop.status(order_id) is OrderStatus.PLACED


def test_public_offers_give_way_before_private_ones(shop: Shop) -> None:
    account_id = mirror(shop)
    with unit_of_work() as session:
        public = session.get_one(Offer, shop.offer_id)
        public.quantity = 600
        private = make_offer(public.block, quantity=400, private_token="p").id
    shop.registry.take(shop.offer.block.block_ref, 700)
    read(shop, account_id)
    assert (shop.offer.quantity, shop.offer.status) == (600, OfferStatus.CLOSED)
    other = db.session.get_one(Offer, private)
    assert (other.quantity, other.status) == (300, OfferStatus.OPEN)


@pytest.mark.parametrize("sold", [0, 10])
def test_a_block_that_vanishes(shop: Shop, sold: int) -> None:
    account_id = mirror(shop)
    read(shop, account_id)
    payment_id = shop.open(shop.order(sold)) if sold else None
    del shop.registry.books[shop.offer.block.block_ref]
    shop.registry.issue(shop.offer.block.account_ref, "none", SerialRange("KE", 1, 1, "", ""), "Z")
    shop.clock.tick(hours=1)
    read(shop, account_id)
    assert shop.offer.block.held == 0
    kinds = {each.kind for each in attention(db.session(), now=shop.clock())}
    assert ("units_missing" in kinds) == bool(sold)
    if payment_id is None:
        assert shop.offer.status is OfferStatus.CLOSED
        return
    assert (shop.offer.quantity, shop.offer.held) == (10, 10)
    # The order goes on: what can be cancelled, only the registry knows.
    shop.money(payment_id)
    shop.registry.faults = ["refuse"]
    shop.work()
    order = shop.payment(payment_id).order
    assert order.status is OrderStatus.IN_REVIEW


def test_a_block_that_slips_between_two_pages_is_not_gone(shop: Shop) -> None:
    account_id = mirror(shop)
    read(shop, account_id)
    block = shop.offer.block
    activity = block.activity
    shop.registry.issue(block.account_ref, activity.ref, SerialRange("KE", 1, 9, "", ""), "A")
    hidden = shop.registry.books.pop(block.block_ref)
    calls = []

    def meanwhile() -> None:
        calls.append(1)
        shop.registry.books[hidden.block_ref] = hidden

    shop.registry.meanwhile = meanwhile
    shop.clock.tick(hours=1)
    read(shop, account_id)
    assert calls
    assert (shop.offer.block.held, shop.offer.quantity, shrinkings()) == (1000, 1000, 0)


@pytest.mark.parametrize("when", ["before", "meanwhile", "after"])
@pytest.mark.parametrize("fault", ["", "after", "late", "accept"])
def test_units_in_flight_shrink_nothing(shop: Shop, when: str, fault: str) -> None:
    """The registry's number may or may not know of a cancellation that we do not know of."""
    account_id = mirror(shop)
    read(shop, account_id)
    activity = shop.offer.block.activity
    # Listed after the block, so that there is a moment in between.
    account_ref = shop.offer.block.account_ref
    shop.registry.issue(account_ref, activity.ref, SerialRange("KE", 1, 9, "", ""), "Z")
    payment_id = shop.open(shop.order(200))
    shop.money(payment_id)
    shop.registry.faults = [fault] if fault else []

    def cancel() -> None:
        shop.registry.meanwhile = lambda: None
        jobs.do("cancellation", shop.cancellation(shop.payment(payment_id).order_id).id)

    if when == "before":
        cancel()
    elif when == "meanwhile":
        shop.registry.meanwhile = cancel
    account = read(shop, account_id)
    if when != "after" and fault:
        assert account.due_at == shop.clock() + holdings.READ_SOON
    if when == "after":
        cancel()
    for _ in range(4):
        assert stock.promised(db.session(), shop.offer.block_id) <= 1000
        shop.clock.tick(minutes=31)
        shop.work(rounds=3)
        read(shop, account_id)
        assert (shop.offer.quantity, shrinkings()) == (1000, 0)
    assert shop.status(shop.payment(payment_id).order_id) is OrderStatus.FULFILLED
    assert (shop.offer.block.held, shop.offer.block.reported, shop.offer.cancelled) == (
        800,
        800,
        200,
    )


@pytest.mark.parametrize("seed", range(12))
def test_never_shrinks_for_nothing_and_never_promises_too_much(shop: Shop, seed: int) -> None:
    """A random walk: orders, money, bad days of the registry, other channels, readings."""
    dice = random.Random(seed)
    account_id = mirror(shop)
    elsewhere = seed % 2 == 1
    ref = shop.offer.block.block_ref
    activity, account_ref = shop.offer.block.activity, shop.offer.block.account_ref
    shop.registry.issue(account_ref, activity.ref, SerialRange("KE", 1, 9, "", ""), "Z")
    payments: list[int] = []

    def cancel_some() -> None:
        shop.registry.meanwhile = lambda: None
        shop.registry.faults = [dice.choice(["", "", "after", "before", "late", "accept"])]
        for payment_id in dice.sample(payments, min(2, len(payments))):
            order = shop.payment(payment_id).order
            if order.status is OrderStatus.PAID:
                jobs.do("cancellation", shop.cancellation(order.id).id)
        shop.registry.faults = []

    for _ in range(14):
        step = dice.randrange(5)
        if step == 0 and shop.offer.status is OfferStatus.OPEN and shop.offer.available >= 60:
            payments.append(shop.open(shop.order(dice.randrange(1, 60))))
        elif step == 1 and payments:
            shop.money(dice.choice(payments))
        elif step == 2:
            cancel_some()
        elif step == 3:
            if dice.random() < 0.5:
                shop.registry.meanwhile = cancel_some
            read(shop, account_id)
            shop.registry.meanwhile = lambda: None
        elif elsewhere and shop.registry.left(ref) > 400:
            shop.registry.take(ref, dice.randrange(1, 100))
        shop.clock.tick(minutes=dice.choice([0, 1, 40]))
        block = shop.offer.block
        unheard = stock.in_flight(db.session(), block)
        assert block.held <= block.reported
        if not elsewhere:
            assert block.held <= shop.registry.left(ref) + unheard
            assert shrinkings() == 0
    for _ in range(3):
        shop.clock.tick(minutes=31)
        shop.work(rounds=3)
    read(shop, account_id)
    block, left = shop.offer.block, shop.registry.left(ref)
    assert block.held == block.reported == left
    assert stock.promised(db.session(), block.id) == (left if shop.offer.quantity else 0)


# Late money for a closed offer


def test_units_of_a_closed_offer_are_promised_to_nobody_twice(shop: Shop) -> None:
    """Money for a lapsed order of a withdrawn offer takes only what nobody else was given."""
    mirror(shop)
    order_id = shop.order(600)
    payment_id = shop.open(order_id)
    with unit_of_work() as session:
        close(session, session.get_one(Offer, shop.offer_id), actor="x", why="", now=shop.clock())

    assert jobs.withdraw_order(jobs.platform(), order_id, actor="x")
    with unit_of_work() as session:
        make_offer(session.get_one(Block, shop.offer.block_id), quantity=500)
    shop.money(payment_id)
    assert shop.status(order_id) is OrderStatus.IN_REVIEW
    assert stock.promised(db.session(), shop.offer.block_id) == 500


def test_the_mirror_of_many_blocks(shop: Shop) -> None:
    """More than one batch; a second reading of the same writes no offers and finds no news."""
    activity = make_activity()
    db.session.commit()
    for n in range(1201):
        first = 10 * n + 1
        shop.registry.issue(
            "X", activity.ref, SerialRange("KE", first, first + 9, "a", "b"), f"B{n}"
        )
    account_id = open_mapped(shop, shop.offer.provider, "X", [activity])
    for _ in range(2):
        read(shop, account_id)
        shop.clock.tick(hours=1)
        rows = db.session.scalars(select(Block).where(Block.account_ref == "X")).all()
        assert len(rows) == 1201
    make_block()
    db.session.rollback()


@pytest.mark.parametrize("locale", ["en", "fr", "es"])
def test_mails_say_which_block_and_how_many(shop: Shop, locale: str) -> None:
    account_id = mirror(shop)
    with unit_of_work() as session:
        session.get_one(Provider, shop.offer.provider_id).locale = locale
    shop.order(400)
    shop.registry.take(shop.offer.block.block_ref, 900)
    read(shop, account_id)
    for kind, figures in (("offer_shrunk", ("400",)), ("units_missing", ("300",))):
        [message] = mails(kind)
        mail = render(db.session(), message)
        body = mail.get_body(("plain",))
        assert body is not None
        text = body.get_content()
        assert shop.offer.block.block_ref in str(mail["Subject"])
        assert f"/{locale}/provider/" in text
        assert all(each in text for each in figures)

"""Units that expire, that are an Annex I Party's, that change their type: from report to record."""

from __future__ import annotations

from dataclasses import replace
from datetime import date, datetime, timedelta
from typing import Any

import pytest
from flask import Flask
from sqlalchemy import select

from cnn_offset import jobs
from cnn_offset.attestations import issuer
from cnn_offset.domain.expiry import SALE_ENDS_BEFORE, end_of
from cnn_offset.domain.money import Money
from cnn_offset.domain.period import Period
from cnn_offset.domain.status import CancellationStatus, OfferStatus, OrderStatus
from cnn_offset.domain.unit_rules import period_fits
from cnn_offset.domain.units import Obstacle, SerialRange, UnitType
from cnn_offset.extensions import db, platform, unit_of_work
from cnn_offset.models import (
    AccountKind,
    Attestation,
    Cancellation,
    OfferTerms,
    Order,
    OrderLine,
    RecordTerm,
    RegistryAccount,
)
from cnn_offset.services import ServiceError, checking_out, offering, reporting, tallying
from cnn_offset.services.attesting import attestation_data
from cnn_offset.services.odd_periods import odd_periods
from cnn_offset.services.offering import Outside, TermError, Terms
from cnn_offset.services.recording import index_terms
from tests.factories import make_block, make_mapping
from tests.services.conftest import DATES, Shop

C = CancellationStatus


def report(shop: Shop, **changes: Any) -> None:
    """Let the registry say something of the shop's block, and read it."""
    block = shop.offer.block
    if block.block_ref not in shop.registry.books:
        make_mapping(block.provider, block.activity)
        db.session.commit()
        shop.registry.issue(block.account_ref, block.activity.ref, block.issued, block.block_ref)
    known = shop.registry.books[block.block_ref]
    shop.registry.books[block.block_ref] = replace(known, **changes)
    for account in db.session.scalars(select(RegistryAccount)).all():
        account.whole_at = None
        db.session.commit()
        jobs.do("registry_account", account.id)


@pytest.fixture
def any_app(app: Flask) -> Flask:
    """These rules are no matter of the database."""
    return app


def in_days(shop: Shop, days: int) -> date:
    return (shop.clock() + timedelta(days=days)).date()


def temporary(shop: Shop, expires_on: date | None) -> None:
    """Make the shop's units temporary ones."""
    block = shop.offer.block
    first, last = (text.replace("-5-", "-6-") for text in (block.first_text, block.last_text))
    issued = SerialRange(block.series, block.first, block.last, first, last)
    report(shop, unit_type=UnitType.TCER, issued=issued, expires_on=expires_on)


# Expiry


def test_offers_of_units_that_expire_end_in_time(shop: Shop) -> None:
    day = in_days(shop, 100)
    assert shop.offer.ends_at is None
    temporary(shop, day)
    latest = end_of(day) - SALE_ENDS_BEFORE
    offer = shop.offer
    assert (offer.ends_at, offer.due_at, offer.version) == (latest, latest, 2)
    assert (offer.block.expires_on, offer.block.eligible) == (day, True)
    kept = db.session.scalars(select(OfferTerms).order_by(OfferTerms.id.desc())).first()
    assert kept is not None
    assert (kept.version, kept.ends_at, kept.actor) == (2, latest, "core")
    # Said again, nothing changes; said earlier, it ends earlier; later, it stays.
    temporary(shop, day)
    assert shop.offer.version == 2
    temporary(shop, in_days(shop, 50))
    assert shop.offer.ends_at == end_of(in_days(shop, 50)) - SALE_ENDS_BEFORE
    temporary(shop, in_days(shop, 300))
    assert shop.offer.ends_at == end_of(in_days(shop, 50)) - SALE_ENDS_BEFORE


def test_expired_units_are_not_offered(shop: Shop) -> None:
    temporary(shop, in_days(shop, 1))
    jobs.do("offer", shop.offer_id)
    assert shop.offer.status is OfferStatus.CLOSED
    shop.clock.tick(days=2)
    temporary(shop, in_days(shop, -1))
    assert (shop.offer.block.eligible, shop.offer.block.obstacle) == (False, Obstacle.EXPIRED)


def terms(ends_on: date | None) -> Terms:
    return Terms(Money(250, "USD"), 100, ends_on=ends_on)


@pytest.mark.parametrize("wanted", [None, 80, 93, 94, 100, 101])
def test_a_new_offer_ends_before_its_units_do(shop: Shop, wanted: int | None) -> None:
    day = in_days(shop, 100)
    with unit_of_work():
        block = make_block(provider=shop.offer.provider, expires_on=day, unit_type=UnitType.TCER)
        block_id = block.id
    outside = Outside(platform().payments, DATES, shop.clock())
    ends_on = None if wanted is None else in_days(shop, wanted)

    def make() -> datetime | None:
        with unit_of_work() as session:
            offer = offering.make_offer(
                session, shop.offer.provider_id, block_id, terms(ends_on), outside, actor="ada"
            )
            assert offer.due_at == offer.ends_at
            return offer.ends_at

    if wanted is not None and wanted > 93:
        with pytest.raises(TermError, match="expire"):
            make()
    else:
        latest = end_of(day) - SALE_ENDS_BEFORE
        assert make() == (end_of(ends_on) if ends_on and wanted != 93 else latest)


def test_nothing_is_ordered_that_could_not_be_cancelled_in_time(shop: Shop) -> None:
    day = in_days(shop, 12)
    temporary(shop, day)
    # A bank transfer may take two weeks; a card is in time, and due before the end.
    with pytest.raises(ServiceError, match="choose how to pay"):
        shop.order(10, "bank_transfer")
    db.session.rollback()
    order = db.session.get_one(Order, shop.order(10))
    assert order.pay_by < end_of(day)
    assert order.lines[0].expires_on == day
    shop.clock.tick(days=6)
    offer = shop.offer
    offer.ends_at = None
    with pytest.raises(ServiceError, match="takes no new orders"):
        checking_out.check_line(offer, 1, dates=DATES["cdm"], now=shop.clock())
    db.session.rollback()


@pytest.mark.parametrize("told", ["at the order", "since"])
def test_what_expires_before_it_is_cancelled_goes_to_a_person(shop: Shop, told: str) -> None:
    day = in_days(shop, 20)
    if told == "at the order":
        temporary(shop, day)
    order_id = shop.order(10)
    shop.money(shop.open(order_id))
    if told == "since":
        shop.offer.block.expires_on = day
        db.session.commit()
    shop.clock.tick(days=21)
    shop.work(rounds=2)
    row = shop.cancellation(order_id)
    assert (row.status, row.sends) == (C.REJECTED, 0)
    assert "expired" in row.registry_said
    assert shop.status(order_id) is OrderStatus.IN_REVIEW
    assert shop.registry.sent == []
    assert shop.offer.held == 10


def test_what_was_sent_in_time_is_asked_about_after_the_last_day(shop: Shop) -> None:
    temporary(shop, in_days(shop, 20))
    shop.registry.faults = ["after"]
    order_id = shop.order(10)
    shop.money(shop.open(order_id))
    shop.clock.tick(days=19)
    for each in db.session.scalars(select(Cancellation.id)).all():
        jobs.do("cancellation", each)
    assert shop.cancellation(order_id).status is C.UNKNOWN
    shop.clock.tick(days=3)
    shop.work(rounds=2)
    assert shop.status(order_id) is OrderStatus.FULFILLED


# Type


def test_an_order_keeps_the_type_it_was_placed_with(shop: Shop) -> None:
    """In attestation, record and figures alike; new orders see the new type (domain-facts 3.1)."""
    shop.offer.block.unit_type = UnitType.A64ER_CONTRIBUTION
    db.session.commit()
    before = shop.order(10)
    shop.money(shop.open(before))
    shop.work(rounds=2)
    shop.offer.block.unit_type = UnitType.A64ER_AUTHORISED
    db.session.commit()
    after = shop.order(5)
    shop.money(shop.open(after))
    shop.work(rounds=2)
    kinds = {before: "a64er_contribution", after: "a64er_authorised"}
    rows = db.session.execute(select(OrderLine.order_id, OrderLine.unit_type))
    assert {order_id: str(kind) for order_id, kind in rows} == kinds
    for row in db.session.scalars(select(Attestation)).all():
        data = attestation_data(db.session(), row, issuer())
        assert data.unit_types == [kinds[row.order_id]]
        index_terms(db.session(), row, data)
        db.session.flush()
        terms = select(RecordTerm.term).where(RecordTerm.attestation_id == row.id)
        assert f"type:{kinds[row.order_id]}" in set(db.session.scalars(terms))
    db.session.rollback()
    figures = tallying.count_day(db.session(), shop.clock().date())
    assert figures["cancelled", "unit_type", "a64er_contribution"][1] == 10
    assert figures["cancelled", "unit_type", "a64er_authorised"][1] == 5
    month = Period.holding("month", shop.clock().date())
    sold = reporting.units_cancelled(
        db.session(), shop.offer.provider_id, month, after=None, limit=9
    )
    assert [(each.unit_type, each.units) for each in sold] == [
        ("a64er_contribution", 10),
        ("a64er_authorised", 5),
    ]


def test_no_levy_is_taken_from_what_is_ordered(shop: Shop) -> None:
    """5 % and 2 % left the units at issuance: a block of 930 is 930 to offer and to cancel."""
    for kind in UnitType:
        shop.offer.block.unit_type = kind
        db.session.commit()
        was = shop.registry.units()
        order_id = shop.order(93)
        shop.money(shop.open(order_id))
        shop.work(rounds=2)
        assert shop.status(order_id) is OrderStatus.FULFILLED, kind
        assert shop.registry.units() - was == 93, kind
    assert shop.offer.cancelled == 93 * len(UnitType)
    assert str(db.session.get_one(Order, order_id).total) == "USD 232.50"


# Annex I


@pytest.mark.parametrize(
    ("changes", "found"),
    [
        ({"party": "DE"}, Obstacle.ANNEX_I),
        ({"issued": "DE-5"}, Obstacle.ANNEX_I),
        ({"issued": "KE-3"}, Obstacle.ANNEX_I),
        ({"issued": "KE-6"}, Obstacle.UNCLEAR),
        ({"obstacle": Obstacle.ANNEX_I}, Obstacle.ANNEX_I),
        # Who mends the rest still could not offer them.
        ({"party": "DE", "obstacle": Obstacle.PROCEEDS_UNPAID}, Obstacle.ANNEX_I),
    ],
)
def test_units_of_annex_i_are_never_eligible(
    shop: Shop, changes: dict[str, Any], found: Obstacle
) -> None:
    block = shop.offer.block
    if "issued" in changes:
        first, last = (
            text.replace("KE-5", changes["issued"]) for text in (block.first_text, block.last_text)
        )
        changes = {"issued": SerialRange(block.series, block.first, block.last, first, last)}
    report(shop, **changes)
    assert (shop.offer.block.eligible, shop.offer.block.obstacle) == (False, found)
    with pytest.raises(ServiceError):
        shop.checkout(1)


def test_units_in_a_national_registry_are_not_eligible(shop: Shop) -> None:
    report(shop)
    assert shop.offer.block.eligible
    db.session.scalars(select(RegistryAccount)).one().kind = AccountKind.ANNEX_I
    db.session.commit()
    report(shop)
    assert (shop.offer.block.eligible, shop.offer.block.obstacle) == (False, Obstacle.ANNEX_I)


# Commitment periods


def test_both_commitment_periods_are_offered_and_odd_ones_only_shown(shop: Shop) -> None:
    provider = shop.offer.provider
    report(shop, commitment_period=1)
    assert shop.offer.block.eligible
    cases = [
        (UnitType.CER, 1, date(2011, 1, 1), date(2012, 12, 31)),
        (UnitType.CER, 1, date(2011, 1, 1), date(2013, 1, 1)),
        (UnitType.CER, 2, date(2012, 1, 1), date(2013, 1, 1)),
        (UnitType.TCER, None, date(2014, 1, 1), date(2014, 2, 1)),
        (UnitType.A64ER_AUTHORISED, None, date(2022, 1, 1), date(2022, 2, 1)),
        (UnitType.A64ER_AUTHORISED, 2, date(2022, 1, 1), date(2022, 2, 1)),
    ]
    made = [
        make_block(
            provider=provider, unit_type=kind, commitment_period=number,
            monitoring_start=start, monitoring_end=end,
        )
        for kind, number, start, end in cases
    ]  # fmt: skip
    db.session.commit()
    odd = {each.id for each in odd_periods(db.session(), provider.id)}
    wanted = {row.id for row, case in zip(made, cases, strict=True) if not period_fits(*case)}
    assert len(wanted) == 4
    assert odd == wanted | {shop.offer.block_id}

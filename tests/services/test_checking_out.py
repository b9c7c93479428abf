"""From basket to held units: repeats, changes, races, ends; on both databases."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from threading import Barrier
from typing import Any

import pytest
from sqlalchemy import select

from cnn_offset import jobs
from cnn_offset.domain.calendar import RegistryDates
from cnn_offset.domain.status import CheckoutStatus, OfferStatus
from cnn_offset.extensions import db, unit_of_work
from cnn_offset.models import Checkout, Offer, PayoutMethod
from cnn_offset.services import NotFoundError, ServiceError, checking_out, stock
from tests.factories import make_block, make_offer
from tests.services.conftest import DATES, Shop

HOLD = timedelta(minutes=30)
TOKEN = "t" * 43


def start(shop: Shop, basket: dict[int, int], **changes: Any) -> str:
    with unit_of_work() as session:
        return checking_out.start_checkout(
            session,
            basket,
            **{
                "locale": "en",
                "user_id": None,
                "registry_dates": DATES,
                "hold_for": HOLD,
                "now": shop.clock(),
                "token": TOKEN,
                **changes,
            },
        ).token


def all_checkouts() -> list[Checkout]:
    db.session.rollback()
    return list(db.session.scalars(select(Checkout).order_by(Checkout.id)))


def second_offer(shop: Shop) -> int:
    offer = make_offer(make_block(provider=shop.offer.provider))
    db.session.commit()
    return offer.id


def test_starting_again_finds_the_first_and_holds_nothing_more(shop: Shop) -> None:
    assert start(shop, {shop.offer_id: 10}) == TOKEN
    shop.clock.tick(minutes=5)
    assert start(shop, {shop.offer_id: 10}) == TOKEN
    [checkout] = all_checkouts()
    assert shop.offer.held == 10
    assert checkout.due_at == shop.clock() + HOLD


def test_a_changed_basket_changes_what_is_held_under_the_same_link(shop: Shop) -> None:
    other = second_offer(shop)
    start(shop, {shop.offer_id: 1000})
    start(shop, {shop.offer_id: 400, other: 7})
    [checkout] = all_checkouts()
    assert {line.offer_id: line.quantity for line in checkout.lines} == {
        shop.offer_id: 400,
        other: 7,
    }
    assert shop.offer.held == 400
    start(shop, {other: 7})
    assert shop.offer.held == 0


def test_a_change_that_cannot_be_had_leaves_what_was_held(shop: Shop) -> None:
    start(shop, {shop.offer_id: 400})
    with pytest.raises(stock.SoldOutError):
        start(shop, {shop.offer_id: 1001})
    [checkout] = all_checkouts()
    assert shop.offer.held == 400
    assert [line.quantity for line in checkout.lines] == [400]


def test_prices_stay_as_they_were_taken(shop: Shop) -> None:
    start(shop, {shop.offer_id: 10})
    shop.offer.price_minor = 999
    db.session.commit()
    start(shop, {shop.offer_id: 10})
    assert all_checkouts()[0].lines[0].price_minor == 250


def test_after_a_lapse_a_new_one_keeps_what_was_typed_even_when_clicked_twice(shop: Shop) -> None:
    start(shop, {shop.offer_id: 10})
    with unit_of_work() as session:
        found = checking_out.find_checkout(session, TOKEN, lock=True)
        checking_out.save_details(found, {"name": "Ada"}, hold_for=HOLD, now=shop.clock())
    shop.clock.tick(minutes=31)
    jobs.do("checkout", all_checkouts()[0].id)
    assert shop.offer.held == 0
    second = start(shop, {shop.offer_id: 10})
    assert second != TOKEN
    assert start(shop, {shop.offer_id: 10}) == second
    old, new = all_checkouts()
    assert (old.status, new.status) == (CheckoutStatus.LAPSED, CheckoutStatus.OPEN)
    assert new.details["name"] == "Ada"
    assert shop.offer.held == 10


def test_after_a_purchase_a_new_one_begins_empty(shop: Shop) -> None:
    start(shop, {shop.offer_id: 10})
    with unit_of_work() as session:
        found = checking_out.find_checkout(session, TOKEN)
        checking_out.save_details(found, {"name": "Ada"}, hold_for=HOLD, now=shop.clock())
        checkout_id = found.id
    shop.place(checkout_id)
    second = start(shop, {shop.offer_id: 10})
    assert second != TOKEN
    assert all_checkouts()[-1].details == {}
    assert shop.offer.held == 20


def test_details_of_a_checkout_that_is_over_stay(shop: Shop) -> None:
    checkout_id = shop.checkout(5)
    shop.place(checkout_id)
    with unit_of_work() as session:
        found = session.get_one(Checkout, checkout_id)
        checking_out.save_details(found, {"name": "Eve"}, hold_for=HOLD, now=shop.clock())
        assert found.details == {}
        assert found.due_at is None


def race(shop: Shop, *baskets: tuple[str, dict[int, int]]) -> list[object]:
    """Start checkouts at the same moment; return tokens or exceptions."""
    barrier = Barrier(len(baskets))

    def click(token: str, basket: dict[int, int]) -> object:
        with shop.app.app_context():
            barrier.wait()
            try:
                return start(shop, basket, token=token)
            except ServiceError as error:
                return error
            finally:
                db.session.remove()

    db.session.rollback()
    with ThreadPoolExecutor(len(baskets)) as pool:
        return [each.result() for each in [pool.submit(click, *basket) for basket in baskets]]


def test_many_clicks_at_once_make_one_checkout(shop: Shop) -> None:
    results = race(shop, *[(TOKEN, {shop.offer_id: 600})] * 4)
    assert results == [TOKEN] * 4
    assert len(all_checkouts()) == 1
    assert shop.offer.held == 600


def test_two_purchasers_at_once_and_the_last_unit(shop: Shop) -> None:
    shop.offer.quantity = 1
    db.session.commit()
    results = race(shop, *[(f"{n}" * 43, {shop.offer_id: 1}) for n in range(4)])
    assert sorted(type(each).__name__ for each in results) == ["SoldOutError"] * 3 + ["str"]
    assert shop.offer.held == 1


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"status": OfferStatus.CLOSED}, "no longer open"),
        ({"min_quantity": 11}, "smallest order of these units is 11"),
        ({"held": 991}, "Fewer units are available"),
    ],
)
def test_lines_that_cannot_be_had(shop: Shop, change: dict[str, Any], message: str) -> None:
    offer = shop.offer
    for name, value in change.items():
        setattr(offer, name, value)
    db.session.commit()
    with pytest.raises(ServiceError, match=message):
        start(shop, {shop.offer_id: 10})
    assert all_checkouts() == []
    shop.offer.held = 0
    db.session.commit()


@pytest.mark.parametrize("quantity", [0, -1, -(10**12)])
def test_quantities_that_are_none(shop: Shop, quantity: int) -> None:
    with pytest.raises(ServiceError, match="whole number of tonnes"):
        start(shop, {shop.offer_id: quantity})


def test_blocks_the_registry_no_longer_lets_be_cancelled(shop: Shop) -> None:
    shop.offer.block.eligible = False
    db.session.commit()
    with pytest.raises(ServiceError, match="no longer open"):
        start(shop, {shop.offer_id: 10})


@pytest.mark.parametrize(
    ("dates", "taken"),
    [
        (RegistryDates(last_order=datetime(2026, 11, 2, 9, 0, tzinfo=UTC)), False),
        (RegistryDates(last_order=datetime(2026, 11, 2, 9, 0, 1, tzinfo=UTC)), True),
        (RegistryDates(opens=datetime(2026, 11, 2, 9, 0, 1, tzinfo=UTC)), False),
    ],
)
def test_registries_that_are_not_open(shop: Shop, dates: RegistryDates, taken: bool) -> None:
    if taken:
        start(shop, {shop.offer_id: 10}, registry_dates={"cdm": dates})
        return
    with pytest.raises(ServiceError, match=r"takes no new orders|does not take orders yet"):
        start(shop, {shop.offer_id: 10}, registry_dates={"cdm": dates})


def test_registries_that_are_not_configured_sell_nothing(shop: Shop) -> None:
    with pytest.raises(ServiceError, match="no longer open"):
        start(shop, {shop.offer_id: 10}, registry_dates={})


def test_too_many_lines_and_none(shop: Shop) -> None:
    with pytest.raises(ServiceError, match="empty"):
        start(shop, {})
    with pytest.raises(ServiceError, match="at most 20"):
        start(shop, dict.fromkeys(range(1, 22), 1))


def test_one_line_that_cannot_be_had_takes_none(shop: Shop) -> None:
    other = second_offer(shop)
    with pytest.raises(stock.SoldOutError) as raised:
        start(shop, {shop.offer_id: 10, other: 1001})
    assert raised.value.offer_id == other
    assert shop.offer.held == 0


def test_unknown_links(shop: Shop) -> None:
    for token in ("", "x", "next"):
        with pytest.raises(NotFoundError):
            checking_out.find_checkout(db.session(), token)


def view(shop: Shop, basket: dict[int, int], dates: Any = DATES, token: str = "") -> Any:
    return checking_out.view_basket(
        db.session(),
        basket,
        plugins=jobs.platform().payments,
        registry_dates=dates,
        now=shop.clock(),
        token=token,
    )


def test_looking_at_a_basket_changes_nothing(shop: Shop) -> None:
    seen = view(shop, {shop.offer_id: 10})
    assert seen.can_check_out
    assert str(seen.parts[0].total) == "USD 25.00"
    assert not db.session.new
    assert not db.session.dirty
    assert shop.offer.held == 0


def test_what_one_holds_oneself_counts_as_available(shop: Shop) -> None:
    start(shop, {shop.offer_id: 1000})
    assert view(shop, {shop.offer_id: 1000}, token=TOKEN).can_check_out
    assert not view(shop, {shop.offer_id: 1000}).can_check_out
    assert not view(shop, {shop.offer_id: 1000}, token="another").can_check_out


def test_methods_below_their_minimum_or_too_late_are_withheld(shop: Shop) -> None:
    bank = db.session.scalars(
        select(PayoutMethod).where(PayoutMethod.method_id == "bank_transfer")
    ).one()
    bank.minimum_minor = 2501
    db.session.commit()
    part = view(shop, {shop.offer_id: 10}).parts[0]
    assert [each.method_id for each in part.methods] == ["paypal"]
    assert part.withheld == {"bank_transfer": checking_out.TOO_SMALL}
    near = {"cdm": RegistryDates(last_cancellation=shop.clock() + timedelta(days=13))}
    bank.minimum_minor = 0
    db.session.commit()
    part = view(shop, {shop.offer_id: 10}, near).parts[0]
    assert part.withheld == {"bank_transfer": checking_out.TOO_LATE}
    end = {"cdm": RegistryDates(last_cancellation=shop.clock() + timedelta(days=1))}
    assert not view(shop, {shop.offer_id: 10}, end).can_check_out


def test_currencies_make_parts_of_their_own(shop: Shop) -> None:
    other = second_offer(shop)
    db.session.get_one(Offer, other).currency = "EUR"
    db.session.commit()
    parts = view(shop, {shop.offer_id: 10, other: 2}).parts
    assert sorted(str(each.total) for each in parts) == ["EUR 5.00", "USD 25.00"]

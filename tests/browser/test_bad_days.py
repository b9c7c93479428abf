"""Payments that fail, wait or are left, and people who click twice, go back and reload."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import requests

from tests.browser import shopping
from tests.browser.visitor import Visitor

pytestmark = [
    pytest.mark.browser,
    pytest.mark.timeout(180),
    pytest.mark.xdist_group("browser"),
]

PAYPAL = ("gisaro-small-hydro", "Rift & Lake Climate Holdings", "paypal")
STRIPE = ("rupali-brick-kilns", "Mekong Lantern Collective", "stripe_connect")


def walk_to_payment(visitor: Visitor, shop: tuple[str, str, str]) -> str:
    """Place an order; return the e-mail address it was placed with."""
    project, provider, method = shop
    email = shopping.new_email()
    shopping.put_in_basket(visitor, project, provider, "1")
    shopping.check_out(visitor, email, {provider: method})
    assert visitor.is_in_sandbox
    return email


def backstage(visitor: Visitor, choice: str) -> None:
    """Let time pass at the processor: ``clear`` or ``bounce`` a payment."""
    for processor, part in (("paypal", "orders"), ("stripe", "sessions")):
        found = visitor.site.rows(
            'SELECT p.processor_ref FROM payment p JOIN "order" o ON o.id = p.order_id '
            "WHERE o.token = ? AND p.method_id LIKE ?",
            visitor.path.rsplit("/", 1)[1],
            f"{processor}%",
        )
        for (ref,) in found:
            requests.post(
                f"{visitor.site.sandbox}/{processor}/{part}/{ref}",
                data={"choice": choice},
                timeout=10,
            ).raise_for_status()


@pytest.mark.parametrize("choice", ["declined", "refused"])
def test_a_failed_payment_charges_nothing_and_can_be_tried_again(
    visit: Callable[..., Visitor], choice: str
) -> None:
    visitor = visit("fr" if choice == "declined" else "es", phone=True)
    email = walk_to_payment(visitor, PAYPAL)
    visitor.press(f"button[value={choice}]")
    if visitor.is_in_sandbox:
        visitor.press("button[value=leave]")
    assert visitor.site.captured_for(email) == 0
    assert visitor.has("form[action$='/pay'] button")

    visitor.press("form[action$='/pay'] button")
    shopping.pay_in_sandbox(visitor, "card")
    shopping.await_attestation(visitor)
    assert visitor.site.captured_for(email) == 1


@pytest.mark.parametrize(("lang", "shop"), [("en", PAYPAL), ("fr", STRIPE)])
def test_leaving_the_payment_page_loses_nothing(
    visit: Callable[..., Visitor], lang: str, shop: tuple[str, str, str]
) -> None:
    visitor = visit(lang)
    email = walk_to_payment(visitor, shop)
    visitor.press("button[value=leave]")
    assert visitor.path.startswith("/orders/")
    assert visitor.site.orders_of(email) == ["placed"]

    visitor.press("form[action$='/pay'] button")
    shopping.pay_in_sandbox(visitor, "card")
    shopping.await_attestation(visitor)
    assert visitor.site.captured_for(email) == 1


def test_a_declined_card_can_be_replaced_at_stripe(visit: Callable[..., Visitor]) -> None:
    visitor = visit("es")
    email = walk_to_payment(visitor, STRIPE)
    visitor.press("button[value=declined]")
    assert visitor.is_in_sandbox
    shopping.pay_in_sandbox(visitor, "card")
    shopping.await_attestation(visitor)
    assert visitor.site.captured_for(email) == 1


@pytest.mark.parametrize(
    ("lang", "shop", "slow"), [("es", PAYPAL, "echeck"), ("en", STRIPE, "debit")]
)
def test_slow_money_is_waited_for(
    visit: Callable[..., Visitor], lang: str, shop: tuple[str, str, str], slow: str
) -> None:
    visitor = visit(lang, phone=lang == "es")
    email = walk_to_payment(visitor, shop)
    shopping.pay_in_sandbox(visitor, slow)
    assert visitor.has(".notice.good"), "the payer should be told that all is well"
    assert not visitor.has("form[action$='/pay']"), "paying again would pay twice"
    assert visitor.site.orders_of(email) == ["placed"]

    backstage(visitor, "clear")
    shopping.await_attestation(visitor)
    assert visitor.site.orders_of(email) == ["fulfilled"]


def test_money_that_bounces_can_be_paid_again(visit: Callable[..., Visitor]) -> None:
    visitor = visit("en")
    email = walk_to_payment(visitor, STRIPE)
    shopping.pay_in_sandbox(visitor, "debit")
    backstage(visitor, "bounce")

    def offered_again() -> bool:
        visitor.page.reload()
        return visitor.has("form[action$='/pay'] button")

    visitor.site.soon(offered_again, what="the offer to pay again")
    visitor.look()
    visitor.press("form[action$='/pay'] button")
    shopping.pay_in_sandbox(visitor, "card")
    shopping.await_attestation(visitor)
    assert visitor.site.captured_for(email) == 1


@pytest.mark.parametrize("script", [True, False], ids=["script", "no-script"])
def test_clicking_twice_going_back_and_reloading_buys_once(
    visit: Callable[..., Visitor], script: bool
) -> None:
    visitor = visit("en", script=script)
    page, email = visitor.page, shopping.new_email()
    project, provider, _method = PAYPAL
    held = "SELECT held FROM offer WHERE id = ?"

    shopping.put_in_basket(visitor, project, provider, "2")
    visitor.back()
    visitor.reload()
    visitor.page.go_forward()
    visitor.reload()
    offer = int((page.get_attribute("[data-quantity]", "id") or "").rsplit("-", 1)[1])
    before = visitor.site.rows(held, offer)[0][0]

    twice(visitor, "button[formaction$='/checkout']")
    assert visitor.path.endswith("/details")
    visitor.reload()
    visitor.back()
    visitor.press("button[formaction$='/checkout']")
    assert visitor.site.rows(held, offer)[0][0] == before + 2

    shopping.fill_details(visitor, email)
    twice(visitor, "main form button[type=submit]")
    assert visitor.path.endswith("/beneficiary")
    visitor.reload()
    visitor.back()
    assert page.input_value("#email") == email
    visitor.press("main form button[type=submit]")
    shopping.choose_reason_and_methods(visitor, {})
    twice(visitor, "main form button[type=submit]:not([name])")
    assert visitor.path.endswith("/review")
    visitor.reload()
    review = page.url

    page.check("#consent_terms")
    page.check("#consent_now")
    twice(visitor, "form[action$='/review'] button")
    assert visitor.is_in_sandbox
    hosted = page.url
    # The placed checkout leads to its order, however one comes to it.
    visitor.go(review)
    assert visitor.path.startswith("/orders/")
    twice(visitor, "form[action$='/pay'] button")
    assert page.url == hosted, "a second payment was opened"

    twice(visitor, "button[value=paypal]")
    assert visitor.path.startswith("/orders/")
    page.goto(hosted)
    visitor.press("a.button")
    visitor.reload()
    shopping.await_attestation(visitor)
    visitor.back()
    visitor.go(review)

    assert visitor.site.orders_of(email) == ["fulfilled"]
    assert visitor.site.captured_for(email) == 1
    assert visitor.site.rows(held, offer)[0][0] == before


def twice(visitor: Visitor, selector: str) -> None:
    """Click twice, the second time before the first is answered."""
    found = visitor.page.locator(selector).locator("visible=true").first
    before = visitor.page.url

    def elsewhere() -> bool:
        visitor.page.wait_for_timeout(50)
        return visitor.page.url != before

    # The second click may cut the first one's journey short: only where it ends counts.
    found.dblclick(no_wait_after=True)
    visitor.site.soon(elsewhere, what="another page")
    visitor.page.wait_for_load_state()
    visitor.look()


def test_the_last_units_go_to_one_of_two(visit: Callable[..., Visitor]) -> None:
    """The other is told so, and can take what is left."""
    first, second = visit("en"), visit("fr", phone=True)
    shopping.put_in_basket(first, "suoi-lanh-hydropower", "Mekong Lantern Collective", "58000")
    shopping.put_in_basket(second, "suoi-lanh-hydropower", "Mekong Lantern Collective", "58000")
    first.press("button[formaction$='/checkout']")
    second.press("button[formaction$='/checkout']", 422)
    assert second.path == "/checkout"
    assert second.has(".error-summary a")
    field = second.page.locator("[data-quantity]")
    field.fill("20")
    second.press("button[formaction$='/checkout']")
    assert second.path.endswith("/details")

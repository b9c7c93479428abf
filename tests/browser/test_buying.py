"""The whole purchase, as a guest, through the processors' own pages: the path that must never fail."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from tests.browser import shopping
from tests.browser.visitor import Visitor

pytestmark = [
    pytest.mark.browser,
    pytest.mark.timeout(180),
    pytest.mark.xdist_group("browser"),
]

# Each way to pay, with units of each of the three registries among them: method of payment,
# what is pressed on the hosted page, project, provider.
WAYS = {
    "paypal": ("paypal", "paypal", "gisaro-small-hydro", "Rift & Lake Climate Holdings"),
    "paypal-card": ("paypal", "card", "adwene-clean-cooking", "Sahel Clair Énergies"),
    "stripe": ("stripe_connect", "card", "rupali-brick-kilns", "Mekong Lantern Collective"),
    "bank": ("bank_transfer", "", "paramo-azul-hydropower", "Andes Brisa Carbono"),
}
LANGUAGES = ("en", "fr", "es")


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("lang", LANGUAGES)
def test_a_guest_buys(
    visit: Callable[..., Visitor],
    staff: Callable[[str], Visitor],
    tmp_path: Path,
    lang: str,
    way: str,
) -> None:
    method, choice, project, provider = WAYS[way]
    visitor = visit(lang, phone=(list(WAYS).index(way) + LANGUAGES.index(lang)) % 2 == 0)
    email = shopping.new_email()

    shopping.put_in_basket(visitor, project, provider, "3")
    shopping.check_out(visitor, email, {provider: method})
    if choice:
        shopping.pay_in_sandbox(visitor, choice)
    else:
        shopping.transfer(visitor, staff, "andes-brisa", f"STATEMENT-{lang}")
    assert visitor.path.startswith("/orders/")
    shopping.await_attestation(visitor)

    assert visitor.site.orders_of(email) == ["fulfilled"]
    shopping.read_papers(visitor, email, tmp_path)


def test_two_providers_without_a_script(
    visit: Callable[..., Visitor], staff: Callable[[str], Visitor], tmp_path: Path
) -> None:
    """One is paid by PayPal, one by bank transfer; a stranger checks one of the papers."""
    visitor = visit("fr", phone=True, script=False)
    email = shopping.new_email()
    by_paypal, by_bank = "Rift & Lake Climate Holdings", "Andes Brisa Carbono"
    shopping.put_in_basket(visitor, "gisaro-small-hydro", by_paypal, "2")
    shopping.put_in_basket(visitor, "serra-do-vento-manso", by_bank, "4")
    shopping.check_out(visitor, email, {by_paypal: "paypal", by_bank: "bank_transfer"})
    assert visitor.path.endswith("/plan")
    plan = visitor.path

    visitor.press("form[action$='/pay'] button")
    shopping.pay_in_sandbox(visitor, "paypal")
    shopping.await_attestation(visitor)
    shopping.read_papers(visitor, email, tmp_path)

    visitor.go(plan)
    visitor.press("section:not(:has(form[action$='/pay'])) a[href*='/orders/']", text="banc")
    shopping.transfer(visitor, staff, "andes-brisa", "STATEMENT-two")
    shopping.await_attestation(visitor)

    assert visitor.site.orders_of(email) == ["fulfilled", "fulfilled"]
    visitor.site.soon(
        lambda: len(set(visitor.site.attached_to(email))) == 2, what="two PDFs in the mail"
    )

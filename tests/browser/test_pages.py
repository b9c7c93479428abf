"""Every other page in three languages, faults shown kindly, and the keyboard alone."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from tests.browser import shopping
from tests.browser.visitor import Visitor, has_english

pytestmark = [
    pytest.mark.browser,
    pytest.mark.timeout(180),
    pytest.mark.xdist_group("browser"),
]

PAGES = (
    "/",
    "/projects",
    "/projects?q=zzzz",
    "/projects/ichu-wasi-clean-kitchens",
    "/basket",
    "/record",
    "/record?host=PE",
    "/record/earlier-2",
    "/figures",
    "/figures?period=2019",
    "/check",
    "/check?number=VC31877/2018",
    "/check?number=VC999999/2026",
    "/orders/lost",
    "/how-it-works",
    "/units",
    "/faq",
    "/contact",
    "/contact/write",
    "/terms",
    "/accessibility",
    "/privacy",
    "/provider-guide",
    "/apply",
    "/account/login",
    "/account/register",
    "/account/reset",
)
STAFF = {
    "staff@rift-lake.example": (
        "/account",
        "/account/second-factor",
        "/account/second-factor/passkeys",
        "/account/data",
        "/provider",
        "/provider/holdings",
        "/provider/offers",
        "/provider/listings",
        "/provider/orders",
        "/provider/orders?show=all",
        "/provider/statements",
        "/provider/money",
        "/provider/payouts",
        "/provider/reports",
        "/provider/reports?period=2026",
        "/provider/fees",
        "/provider/particulars",
        "/provider/staff",
        "/provider/staff/invite",
    ),
    "operator@demo.example": (
        "/operator/orders",
        "/operator/attention",
        "/operator/check",
        "/operator/applications",
        "/operator/activities",
        "/operator/activities/new",
        "/operator/activities/table",
        "/operator/audit",
        "/operator/cases",
        "/operator/cases/new",
        "/operator/corrections",
        "/operator/earlier?number=31877",
        "/operator/pages",
        "/operator/pages/mails",
        "/operator/people",
        "/operator/people/invite",
        "/operator/privacy",
        "/operator/proposals",
        "/operator/surveys",
        "/operator/surveys/new",
        "/operator/system",
        "/operator/system/registries/cdm/dates",
        "/operator/system/switches",
        "/operator/providers",
        "/operator/payouts",
        "/operator/reviews",
        "/operator/fees",
        "/operator/fees/schedule",
        "/operator/fees/statements",
        "/operator/reports",
        "/operator/reports?period=2026",
    ),
}
INNER = {
    "/provider/holdings": "main table a[href*='/provider/holdings/']",
    "/provider/offers": "main a[href*='/provider/offers/']",
    "/provider/listings": "main table a",
    "/provider/staff": "main table a",
    "/operator/earlier?number=31877": "main table a",
    "/operator/providers": "main table a",
    "/operator/pages": "main table a",
    "/operator/pages/mails": "main a[href*='/operator/pages/mails/']",
}
"""Lists whose first entry is looked at as well."""


@pytest.mark.parametrize("lang", ["en", "fr", "es"])
def test_public_pages(visit: Callable[..., Visitor], lang: str) -> None:
    visitor = visit(lang, phone=lang != "en")
    for path in PAGES:
        visitor.go(path)
    visitor.go("/orders/nobody-has-this-link", 404)
    visitor.go("/record/order?number=5", 404)
    visitor.go("/nothing-is-here", 404)


@pytest.mark.timeout(900)
@pytest.mark.parametrize("lang", ["en", "fr", "es"])
@pytest.mark.parametrize("email", STAFF)
def test_pages_of_staff(staff: Callable[[str], Visitor], email: str, lang: str) -> None:
    visitor = staff(email)
    visitor.lang = lang
    for path in STAFF[email]:
        visitor.go(path)
        inner = INNER.get(path)
        if inner and visitor.has(inner):
            visitor.press(inner)


def test_the_keyboard_reaches_the_ways_of_the_workspace(staff: Callable[[str], Visitor]) -> None:
    visitor = staff("staff@rift-lake.example")
    visitor.go("/provider")
    page = visitor.page
    wanted = page.locator("nav.ways a").count()
    assert wanted > 5
    seen = set()
    for _ in range(60):
        page.keyboard.press("Tab")
        seen.add(
            page.evaluate(
                """() => document.activeElement.closest("nav.ways") && document.activeElement.href"""
            )
        )
    assert len(seen - {None}) == wanted


@pytest.mark.parametrize("lang", ["en", "fr", "es"])
def test_what_is_wrong_is_said_on_top_and_at_the_field(
    visit: Callable[..., Visitor], lang: str
) -> None:
    visitor = visit(lang, phone=lang == "fr")
    page = visitor.page
    shopping.put_in_basket(visitor, "mukore-safe-water", "Pacific Commons Trust", "5")
    visitor.press("button[formaction$='/checkout']")

    visitor.press("main form button[type=submit]", 422)
    assert page.evaluate("document.activeElement.className") == "error-summary"
    page.click(".error-summary a[href='#email']")
    assert page.evaluate("document.activeElement.id") == "email"
    shopping.fill_details(visitor, shopping.new_email())
    visitor.press("main form button[type=submit]")

    page.fill("#beneficiary", "北京 \N{PARTY POPPER}")
    visitor.press("main form button[type=submit]:not([name])", 422)
    assert visitor.has("#beneficiary[aria-invalid=true]")
    assert page.input_value("#beneficiary") == "北京 \N{PARTY POPPER}"
    page.fill("#beneficiary", shopping.NAME)
    shopping.choose_reason_and_methods(visitor, {"Pacific": "stripe_connect"})
    visitor.press("main form button[type=submit]:not([name])")

    visitor.press("form[action$='/review'] button", 422)
    assert page.locator(".error-summary li").count() == 2
    visitor.go("/basket")


def test_the_keyboard_alone_reaches_everything(visit: Callable[..., Visitor]) -> None:
    visitor = visit("en")
    page = visitor.page
    shopping.put_in_basket(visitor, "mukore-safe-water", "Pacific Commons Trust", "1")
    visitor.press("button[formaction$='/checkout']")
    visitor.reload()

    page.keyboard.press("Tab")
    assert page.evaluate("document.activeElement.hash") == "#main"
    page.keyboard.press("Enter")
    assert page.evaluate("document.activeElement.id") == "main"

    walked: list[str] = []
    for _ in range(30):
        page.keyboard.press("Tab")
        seen = page.evaluate(
            """() => {
              const each = document.activeElement, box = each.getBoundingClientRect();
              const style = getComputedStyle(each);
              const hit = document.elementFromPoint(box.x + box.width / 2, box.y + box.height / 2);
              return {
                name: each.name || each.textContent.trim(),
                in_main: Boolean(each.closest("main")),
                ringed: style.outlineStyle !== "none" && parseFloat(style.outlineWidth) >= 2,
                uncovered: each === hit || each.contains(hit) || Boolean(hit?.contains(each)),
              };
            }"""
        )
        if not seen["in_main"]:
            break
        assert seen["ringed"], f"no visible focus on {seen['name']!r}"
        assert seen["uncovered"], f"{seen['name']!r} is covered"
        walked.append(seen["name"])
    fields = [name for name in walked if name.islower()]
    assert fields == ["kind", "name", "email", "country", "street", "postcode", "city"]
    assert walked[-1] == "Continue"

    page.focus("#name")
    page.keyboard.type("Ada")
    with page.expect_navigation():
        page.keyboard.press("Enter")
    assert page.input_value("#name") == "Ada", "what was typed is kept"
    assert visitor.has(".error-summary")


def test_switching_the_language_keeps_place_and_basket(visit: Callable[..., Visitor]) -> None:
    visitor = visit("en", phone=True)
    shopping.put_in_basket(visitor, "mukore-safe-water", "Pacific Commons Trust", "1")
    visitor.press("button[formaction$='/checkout']")
    shopping.fill_details(visitor, email := shopping.new_email())
    visitor.press("main form button[type=submit]")
    visitor.back()
    before = visitor.path
    for visitor.lang in ("fr", "es", "en"):
        visitor.page.click(".menu-button")
        visitor.press(f"nav a[hreflang={visitor.lang}]")
        assert visitor.path == before
        assert visitor.page.input_value("#email") == email
    visitor.go("/basket")
    assert visitor.page.input_value("[data-quantity]") == "1"


def test_an_order_is_withdrawn_and_found_again(visit: Callable[..., Visitor]) -> None:
    """By a company in its own words, from a provider that sends its own bank details."""
    visitor = visit("fr")
    page, email = visitor.page, shopping.new_email()
    shopping.put_in_basket(visitor, "kaverivana-wind-farm", "Ganga Ridge Renewables", "100")
    visitor.press("button[formaction$='/checkout']")
    shopping.fill_details(visitor, email)
    page.check("input[name=kind][value=company]")
    page.fill("#company", "Ærø Vélo SARL")
    for name, value in (
        ("street", "1 rue du Port"),
        ("postcode", "17000"),
        ("city", "La Rochelle"),
    ):
        page.fill(f"#{name}", value)
    visitor.press("main form button[type=submit]")
    assert page.input_value("#beneficiary") == "Ærø Vélo SARL"
    assert page.is_checked("#publish_name")
    page.select_option("#reason", "own")
    page.fill("#own_reason", "Nos déplacements de 2026")
    visitor.press("main form button[type=submit]:not([name])")
    shopping.agree_and_place(visitor)

    order = visitor.path
    visitor.site.soon(lambda: visitor.site.mails_to(email), what="the mail with the link")
    visitor.press(f"form[action$='{order}/resend'] button")
    page.click("details:has(form[action$='/withdraw']) summary")
    visitor.press("form[action$='/withdraw'] button")
    assert visitor.site.orders_of(email) == ["withdrawn"]

    known = len(visitor.site.mails_to(email))
    visitor.go("/orders/lost")
    page.fill("#email", email)
    visitor.press("main form button")
    visitor.site.soon(lambda: len(visitor.site.mails_to(email)) > known, what="the links by mail")
    assert f"/fr{order}" in visitor.site.letters_to(email)[-1]
    for letter in visitor.site.letters_to(email):
        assert not has_english(letter), letter


def test_text_may_be_set_wider(visit: Callable[..., Visitor]) -> None:
    """Nothing runs out of the window with the spacing that WCAG 1.4.12 names."""
    visitor = visit("es", phone=True)
    shopping.put_in_basket(visitor, "mukore-safe-water", "Pacific Commons Trust", "1")
    for path in ("/", "/projects", "/projects/mukore-safe-water", "/basket", "/record", "/check"):
        visitor.go(path)
        visitor.page.evaluate(
            """() => {
              const sheet = new CSSStyleSheet();
              sheet.replaceSync(`* { line-height: 1.5 !important; letter-spacing: 0.12em !important;
                word-spacing: 0.16em !important } p { margin-bottom: 2em !important }`);
              document.adoptedStyleSheets = [sheet];
            }"""
        )
        visitor.look()


def test_what_no_page_may_have_is_noticed(visit: Callable[..., Visitor]) -> None:
    """The examination of pages itself: a page with five faults shows all five."""
    visitor = visit("fr")
    visitor.go("/basket")
    visitor.page.evaluate(
        """() => {
          const odd = document.createElement("div");
          odd.innerHTML = `<input class="odd"><p>Your basket</p><pre>${"x".repeat(999)}</pre>
            <img src="https://example.org/pixel.png" alt="">`;
          document.querySelector("main").append(odd);
          setTimeout(() => { throw new Error("odd script"); });
        }"""
    )
    visitor.page.wait_for_timeout(100)
    visitor.look()
    noticed = "\n".join(visitor.troubles)
    visitor.troubles.clear()
    for fault in (
        "violates the following Content Security Policy",
        "odd script",
        "English: 'Your basket'",
        "px wide at 1280",
        "px wide at 320",
        "('label', ",
    ):
        assert fault in noticed, noticed

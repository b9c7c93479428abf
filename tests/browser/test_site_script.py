"""The one script of the site, in Chromium, on small pages of its own."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Dialog, Page, Route

pytestmark = [pytest.mark.browser, pytest.mark.xdist_group("browser")]

SCRIPT = Path(__file__).parents[2] / "cnn_offset/static/js/site.js"
SITE = "http://localhost:1"
"""Nothing listens there; every request is answered by the test."""

BASKET = """
<form data-totals data-exponent="2" data-currency="USD">
  <div data-price="80"><input id="a" data-quantity value="1"><b data-line id="line"></b></div>
  <div data-price="1250"><input data-quantity value="2"></div>
  <i data-total id="total"></i>
</form>"""
FORMS = """
<form method="post" data-once><button id="pay">Pay</button></form>
<form method="post" data-confirm="Sure?"><button id="withdraw">Withdraw</button></form>
<span id="serial"> KE-5-1 </span>
<button id="copy" data-copy="#serial" data-copied="Copied" hidden>Copy</button>
<form data-auto><input type="checkbox" id="c1" name="c" value="1">
<input type="checkbox" id="c2" name="c" value="2"></form>"""


@pytest.fixture
def open_page(browser: Browser) -> Iterator[Callable[[str, str], tuple[Page, list[str]]]]:
    """Open a page with the given language and body; the list tells of every POST."""
    contexts = []

    def make(lang: str, body: str) -> tuple[Page, list[str]]:
        context = browser.new_context(permissions=["clipboard-read", "clipboard-write"])
        contexts.append(context)
        page, posts = context.new_page(), []

        def answer(route: Route) -> None:
            if route.request.url.endswith(".js"):
                return route.fulfill(
                    body=SCRIPT.read_text(), content_type="text/javascript; charset=utf-8"
                )
            if route.request.method == "POST":
                posts.append(route.request.url)
            html = f'<html lang="{lang}"><body>{body}<script src="/site.js"></script></body></html>'
            return route.fulfill(body=html, content_type="text/html; charset=utf-8")

        page.route("**/*", answer)
        page.goto(f"{SITE}/page")
        return page, posts

    yield make
    for context in contexts:
        context.close()


@pytest.mark.parametrize(
    ("lang", "typed", "line", "total"),
    [
        ("en", "12345", "USD\u00a09,876.00", "USD\u00a09,901.00"),
        ("en", "1,234", "USD\u00a0987.20", "USD\u00a01,012.20"),
        ("fr", "1 234", "987,20\u00a0USD", "1\u202f012,20\u00a0USD"),
        ("es", "1.234", "987,20\u00a0USD", "1.012,20\u00a0USD"),
        ("en", "999999999999", "USD\u00a0799,999,999,999.20", "USD\u00a0800,000,000,024.20"),
        # What the server might read otherwise is not added up.
        ("en", "1.5", "–", "–"),
        ("en", "1,5", "–", "–"),
        ("es", "1,5", "–", "–"),
        ("fr", "-3", "–", "–"),
    ],
)
def test_totals_follow_what_is_typed(
    open_page: Callable[..., tuple[Page, list[str]]], lang: str, typed: str, line: str, total: str
) -> None:
    page, _ = open_page(lang, BASKET)
    page.fill("#a", typed)
    assert page.text_content("#line") == line
    assert page.text_content("#total") == total


def test_a_double_click_sends_once(open_page: Callable[..., tuple[Page, list[str]]]) -> None:
    page, posts = open_page("en", FORMS)
    with page.expect_navigation():
        page.evaluate(
            "() => { for (let i = 0; i < 3; i++) document.querySelector('#pay').click() }"
        )
    assert len(posts) == 1


def test_nothing_is_sent_without_a_yes(open_page: Callable[..., tuple[Page, list[str]]]) -> None:
    page, posts = open_page("en", FORMS)
    asked = []

    def refuse(dialog: Dialog) -> None:
        asked.append(dialog.message)
        dialog.dismiss()

    page.once("dialog", refuse)
    page.click("#withdraw")
    assert asked == ["Sure?"]
    assert posts == []
    page.once("dialog", lambda dialog: dialog.accept())
    with page.expect_navigation():
        page.click("#withdraw")
    assert len(posts) == 1


def test_copy_buttons_show_themselves_and_copy(
    open_page: Callable[..., tuple[Page, list[str]]],
) -> None:
    page, _ = open_page("en", FORMS)
    page.click("#copy")
    page.wait_for_function("document.querySelector('#copy').textContent === 'Copied'")
    assert page.evaluate("navigator.clipboard.readText()") == "KE-5-1"


def test_a_filter_acts_when_changed_and_keeps_the_focus(
    open_page: Callable[..., tuple[Page, list[str]]],
) -> None:
    page, _ = open_page("en", FORMS)
    with page.expect_navigation():
        page.click("#c2")
    assert page.url == f"{SITE}/page?c=2"
    assert page.evaluate("document.activeElement.id") == "c2"

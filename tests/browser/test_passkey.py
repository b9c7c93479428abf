"""A passkey in a real browser: made, asked for after the password, used once, removed.

Chromium plays the authenticator. Passkeys belong to a host name: the shop is opened as
``localhost`` here, as people do who try the demo.
"""

from __future__ import annotations

import secrets
from collections.abc import Iterator
from dataclasses import dataclass

import pytest
from playwright.sync_api import Browser, Page, expect

from tests.browser.site import Site

pytestmark = [
    pytest.mark.browser,
    pytest.mark.timeout(180),
    pytest.mark.xdist_group("browser"),
]
PASSWORD = "a sentence nobody else uses"


@dataclass
class Somebody:
    """A person with an account, a browser and a device that makes passkeys."""

    page: Page
    url: str
    email: str
    problems: list[str]

    def log_in(self) -> None:
        """Give address and password."""
        self.page.goto(f"{self.url}/en/account/login")
        self.page.fill("#email", self.email)
        self.page.fill("#password", PASSWORD)
        self.page.click("main form[method=post] button")

    def log_out(self) -> None:
        self.page.goto(f"{self.url}/en/account")
        self.page.click("form[action$='/account/logout'] button")


@pytest.fixture
def somebody(browser: Browser, site: Site) -> Iterator[Somebody]:
    email = f"key-{secrets.token_hex(4)}@example.org"
    added = site.command("users", "add", email, "--role", "purchaser", "--password", PASSWORD)
    assert added.returncode == 0, added.stderr
    context = browser.new_context(reduced_motion="reduce")
    context.set_default_timeout(15_000)
    page = context.new_page()
    problems: list[str] = []
    page.on("pageerror", lambda error: problems.append(str(error)))
    page.on(
        "console",
        lambda message: (
            problems.append(message.text)
            if message.type == "error" and "Failed to load resource" not in message.text
            else None
        ),
    )
    devices = context.new_cdp_session(page)
    devices.send("WebAuthn.enable")
    devices.send(
        "WebAuthn.addVirtualAuthenticator",
        {
            "options": {
                "protocol": "ctap2",
                "transport": "internal",
                "hasResidentKey": True,
                "hasUserVerification": True,
                "isUserVerified": True,
                "automaticPresenceSimulation": True,
            }
        },
    )
    yield Somebody(page, site.url.replace("127.0.0.1", "localhost"), email, problems)
    context.close()
    assert problems == []


def test_a_passkey_is_made_used_and_removed(somebody: Somebody, site: Site) -> None:
    page = somebody.page
    somebody.log_in()
    page.goto(f"{somebody.url}/en/account/second-factor/passkeys")
    page.fill("#name", "Office laptop")
    page.click("form[data-passkey=create] button")
    page.wait_for_url("**/account/second-factor/codes")
    recovery = page.locator("#codes li").all_inner_texts()
    assert len(recovery) == 10

    somebody.log_out()
    somebody.log_in()
    page.wait_for_url("**/account/login/second")
    assert page.locator("#code").count() == 0, "there is no app"
    # What the browser answers is kept, to be sent a second time.
    page.evaluate(
        "() => { HTMLFormElement.prototype.submit = function () {"
        " window.answer = Object.fromEntries(new FormData(this)); }; }"
    )
    page.click("form[data-passkey=get] button")
    page.wait_for_function("window.answer")
    answer = page.evaluate("window.answer")
    cookies = page.context.cookies()
    sent = page.request.post(page.url, form=answer, max_redirects=0)
    assert sent.status == 302
    page.goto(f"{somebody.url}/en/account")
    expect(page.locator("h1")).to_have_text("Your account")

    # The same answer with the cookie of that moment, as somebody who had read both would.
    page.context.clear_cookies()
    page.context.add_cookies(cookies)
    again = page.request.post(
        f"{somebody.url}/en/account/login/second", form=answer, max_redirects=0
    )
    assert again.status == 422

    page.context.clear_cookies()
    somebody.log_in()
    page.click("details summary")
    page.fill("#recovery", recovery[0])
    page.click("form:has(#recovery) button")
    page.wait_for_url(f"{somebody.url}/en/account")

    page.goto(f"{somebody.url}/en/account/second-factor")
    expect(page.locator("table")).to_contain_text("Office laptop")
    page.on("dialog", lambda dialog: dialog.accept())
    page.click("form[action$='/remove'] button")
    page.wait_for_url("**/account/second-factor")
    assert site.rows(
        "SELECT count(*) FROM webauthn JOIN user ON user.id = user_id WHERE email = ?",
        somebody.email,
    ) == [(0,)]
    somebody.log_out()
    somebody.log_in()
    page.wait_for_url(f"{somebody.url}/en/account")
    site.soon(lambda: len(site.mails_to(somebody.email)) >= 3, what="three mails")
    subjects = [mail["subject"] for mail in site.mails_to(somebody.email)]
    assert "A second factor was added to your account" in subjects
    assert "A second factor was removed from your account" in subjects
    assert "A recovery code of your account was used" in subjects


def test_without_a_passkey_at_hand_the_page_says_so(somebody: Somebody) -> None:
    page = somebody.page
    somebody.log_in()
    page.goto(f"{somebody.url}/en/account/second-factor/passkeys")
    page.evaluate("() => { navigator.credentials.create = () => Promise.reject(new Error('no')); }")
    page.click("form[data-passkey=create] button")
    expect(page.locator("[data-failed]")).to_contain_text("The browser made no passkey")


def test_at_a_bare_address_one_is_sent_where_passkeys_work(somebody: Somebody, site: Site) -> None:
    page = somebody.page
    page.goto(f"{site.url}/en/account/login")
    page.fill("#email", somebody.email)
    page.fill("#password", PASSWORD)
    page.click("main form[method=post] button")
    page.goto(f"{site.url}/en/account/second-factor/passkeys")
    expect(page.locator(".notice a")).to_have_attribute(
        "href", f"{somebody.url}/en/account/second-factor/passkeys"
    )

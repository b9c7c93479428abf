"""One Chromium and one shop for all browser tests."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from passlib.totp import TOTP
from playwright.sync_api import Browser, sync_playwright

from cnn_offset.demo import TOTP_SECRET
from tests.browser.selling import PASSWORD, set_up_app
from tests.browser.site import Site
from tests.browser.visitor import DESKTOP, PHONE, Visitor
from tests.conftest import missing

Visit = Callable[..., Visitor]
APP = TOTP(key=TOTP_SECRET, format="base32", new=False)
"""The authenticator app of the demo's staff."""


@pytest.fixture(scope="session")
def browser() -> Iterator[Browser]:
    """Debian's Chromium, which finds nobody but this machine."""
    path = shutil.which("chromium") or shutil.which("chromium-browser")
    if path is None:
        missing("Chromium")
    with sync_playwright() as playwright:
        started = playwright.chromium.launch(
            executable_path=path,
            args=[
                "--no-sandbox",
                "--disable-dev-shm-usage",
                "--disable-gpu",
                "--disable-background-networking",
                "--disable-component-update",
                "--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE 127.0.0.1, EXCLUDE localhost",
            ],
        )
        yield started
        started.close()


@pytest.fixture(scope="session")
def site(browser: Browser, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    """The shop with demo data. In the end everything must add up, and nothing have failed."""
    site = Site(tmp_path_factory.mktemp("shop"))
    try:
        yield site
        found = site.command("check")
        assert found.returncode == 0, found.stdout + found.stderr
    finally:
        site.stop()
    assert "Traceback" not in site.log(), site.log()


@pytest.fixture(scope="session")
def _examined() -> set[tuple[object, ...]]:
    return set()


@pytest.fixture
def visit(browser: Browser, site: Site, _examined: set[tuple[object, ...]]) -> Iterator[Visit]:
    """Let somebody come with an empty browser; in the end nobody may have had trouble."""
    contexts, visitors = [], []

    def come(
        lang: str = "en", *, phone: bool = False, script: bool = True, state: Any = None
    ) -> Visitor:
        context = browser.new_context(
            storage_state=state,
            viewport=PHONE if phone else DESKTOP,
            java_script_enabled=script,
            reduced_motion="reduce",
            accept_downloads=True,
        )
        context.set_default_timeout(15_000)
        contexts.append(context)
        visitors.append(Visitor(context, site, lang, _examined, script=script))
        return visitors[-1]

    yield come
    for context in contexts:
        context.close()
    troubles = [trouble for visitor in visitors for trouble in visitor.troubles]
    assert not troubles, "\n".join(troubles)


@pytest.fixture(scope="session")
def _signed_in() -> dict[str, Any]:
    return {}


@pytest.fixture
def staff(visit: Visit, _signed_in: dict[str, Any]) -> Callable[[str], Visitor]:
    """Let somebody of a provider, or an operator, sign in, with a second factor from then on."""

    def sign_in(email: str) -> Visitor:
        if email in _signed_in:
            return visit(state=_signed_in[email])
        visitor = visit()
        visitor.go("/account/login")
        visitor.page.fill("#email", email)
        visitor.page.fill("#password", PASSWORD)
        visitor.press("main form[method=post] button")
        if visitor.path == "/account/login/second":
            visitor.page.fill("#code", str(APP.generate().token))
            visitor.press("main form:has(#code) button")
        else:
            set_up_app(visitor)
        _signed_in[email] = visitor.page.context.storage_state()
        return visitor

    return sign_in

"""What operators do at their desk, and how they come to it: from what waits for a person."""

from __future__ import annotations

from time import time

from passlib.totp import TOTP

from cnn_offset.demo import TOTP_SECRET
from tests.browser.visitor import Visitor

APP = TOTP(key=TOTP_SECRET, format="base32", new=False)
"""The authenticator app of the demo's staff."""
STEP = 30


def prove(visitor: Visitor) -> None:
    """Prove once for the next ten minutes, before a form is filled in.

    A code counts once, so that the one somebody has just logged in with is refused; the
    next one is taken already.
    """
    for ahead in (0, STEP):
        visitor.page.goto(f"{visitor.site.url}/{visitor.lang}/account/verify")
        visitor.page.fill("#code", str(APP.generate(time() + ahead).token))
        with visitor.page.expect_navigation():
            visitor.page.click("main form:has(#code) button")
        if not visitor.has("main .error"):
            return
    raise AssertionError("no code was taken")


def open_waiting(operator: Visitor, code: str) -> None:
    """Find an order in what waits for a person, and open it."""

    def there() -> bool:
        operator.page.goto(f"{operator.site.url}/{operator.lang}/operator/attention")
        return operator.has(f"main a[href$='/operator/orders/{code}']")

    operator.site.soon(there, what=f"order {code} on the attention list")
    operator.look()
    operator.press(f"main a[href$='/operator/orders/{code}']")


def decide(operator: Visitor, act: str, reason: str) -> None:
    """Choose what is to happen to the order on the page, and say why."""
    operator.page.check(f"input[name=act][value={act}]")
    operator.page.fill("#reason", reason)
    operator.press("form[action$='/decide'] button")
    assert operator.has(".notice.good")


def approve(operator: Visitor, proposal: str = "") -> None:
    """Approve, as the second operator, what was proposed: this one, or what waits longest."""
    prove(operator)
    operator.go("/operator/proposals")
    operator.press(f"main table a[href$='{proposal}']" if proposal else "main table a")
    operator.press("form[action$='/approve'] button")
    assert operator.has(".notice.good")

"""A day at the operators' desk: late money, a refusal, a misspelt name, a provider, a report.

The operator begins at what waits for a person and follows what the pages say.
"""

from __future__ import annotations

import io
import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest
import requests
from pypdf import PdfReader

from tests.browser import desk, selling, shopping
from tests.browser.visitor import Visitor

pytestmark = [
    pytest.mark.browser,
    pytest.mark.timeout(900),
    pytest.mark.xdist_group("browser"),
]

SHOPS = {
    "paypal": ("gisaro-small-hydro", "Rift & Lake Climate Holdings"),
    "bank_transfer": ("paramo-azul-hydropower", "Andes Brisa Carbono"),
}
RIGHT = "Łucja Curaçao Đặngowa"
NEW = {"name": "Ténéré Vent", "account": "NE-90777", "ref": "98777"}


def buy(purchaser: Visitor, method: str) -> str:
    """Place an order and return its code."""
    project, provider = SHOPS[method]
    email = shopping.new_email()
    shopping.put_in_basket(purchaser, project, provider, "2")
    shopping.check_out(purchaser, email, {provider: method})
    code: str = purchaser.site.rows('SELECT code FROM "order" WHERE email = ?', email)[0][0]
    return code


def status_of(visitor: Visitor, code: str) -> str:
    status: str = visitor.site.rows('SELECT status FROM "order" WHERE code = ?', code)[0][0]
    return status


def test_a_day_at_the_desk(
    visit: Callable[..., Visitor], staff: Callable[[str], Visitor], tmp_path: Path
) -> None:
    operator = staff("operator@demo.example")
    second = staff("second.operator@demo.example")
    desk.prove(operator)
    late_money(visit("en"), staff, operator)
    refusal(visit("fr"), operator, second)
    misspelt_name(visit("en", phone=True), operator, second)
    new_provider(visit("en"), operator, second, tmp_path)
    board_report(operator)


def late_money(purchaser: Visitor, staff: Callable[[str], Visitor], operator: Visitor) -> None:
    """Money comes for an order that was withdrawn, and bank charges are missing from it."""
    code = buy(purchaser, "bank_transfer")
    order = purchaser.path
    purchaser.page.locator("details:has(form[action$='/withdraw']) > summary").click()
    purchaser.press("form[action$='/withdraw'] button")
    (minor,) = operator.site.rows('SELECT total_minor FROM "order" WHERE code = ?', code)[0]
    provider = staff("staff@andes-brisa.example")
    provider.go(f"/provider/orders/{code}")
    provider.page.fill("#amount", f"{(minor - 50) / 100:.2f}")
    provider.page.fill("#received_on", provider.page.get_attribute("#received_on", "max") or "")
    provider.page.fill("#bank_ref", f"LATE-{code}")
    provider.press("form[action$='/paid'] button")
    provider.press("form[action$='/paid'] button")
    assert status_of(operator, code) == "in_review"

    desk.open_waiting(operator, code)
    desk.decide(operator, "release", "The bank kept its charges; the provider accepts that.")
    purchaser.go(order)
    shopping.await_attestation(purchaser)
    assert status_of(operator, code) == "fulfilled"


def refusal(purchaser: Visitor, operator: Visitor, second: Visitor) -> None:
    """The registry says no, so the money goes back the way it came, at the word of two."""
    requests.post(
        f"{operator.site.sandbox}/faults",
        data={"target": "cdm", "kind": "refuse", "count": "1"},
        timeout=10,
    ).raise_for_status()
    code = buy(purchaser, "paypal")
    shopping.pay_in_sandbox(purchaser, "paypal")
    operator.site.soon(lambda: status_of(operator, code) == "in_review", what="the refusal")

    desk.open_waiting(operator, code)
    assert operator.has("h2:has-text('Cancellations') ~ dl")
    desk.decide(operator, "refund", "The registry refuses these units for good.")
    operator.press("main a[href*='/refunds/'], main a[href*='/refund/']")
    operator.page.fill("#reason", "The registry refused.")
    operator.press("main form[method=post] button")
    desk.approve(second)
    operator.site.soon(lambda: status_of(operator, code) == "refunded", what="the refund")
    purchaser.reload()


def misspelt_name(purchaser: Visitor, operator: Visitor, second: Visitor) -> None:
    """The purchaser asks from the order's page; one operator proposes, another approves."""
    buy(purchaser, "paypal")
    shopping.pay_in_sandbox(purchaser, "paypal")
    shopping.await_attestation(purchaser)
    order = purchaser.path
    purchaser.press("a[href$='/correct']")
    purchaser.page.fill("#beneficiary", "")
    purchaser.press("main form button", 422)
    purchaser.page.fill("#beneficiary", RIGHT)
    purchaser.press("main form button")
    assert purchaser.path == order
    assert "You asked for a correction" in purchaser.says("#papers-title ~ p:last-child")

    operator.go("/operator/attention")
    operator.press("main a[href*='/operator/corrections/']")
    operator.page.fill("#why", "The name was misspelt.")
    operator.press("form[action$='/propose'] button")
    proposal = operator.path
    assert not operator.has("form[action$='/approve']"), "not by the one who asked"
    desk.approve(second, proposal)

    def corrected() -> bool:
        purchaser.page.reload()
        said = purchaser.says("main")
        return RIGHT in said and "it takes the place of" in said

    purchaser.site.soon(corrected, seconds=60, what="the new attestation")
    purchaser.look()
    purchaser.press("a[href*='/record/']")
    assert "A corrected attestation" in purchaser.says("main .notice")
    purchaser.press("main .notice a")
    assert "no longer holds" in purchaser.says("main .notice")


def new_provider(applicant: Visitor, operator: Visitor, second: Visitor, folder: Path) -> None:
    """Somebody applies; the project is registered, the application approved, the account mapped."""
    selling.register(applicant, "tenere@vent.example")
    selling.apply(applicant, folder, **NEW)
    selling.approve(operator, name=NEW["name"], ref=NEW["ref"])
    desk.approve(second)
    mapped = operator.site.rows(
        "SELECT a.ref FROM account_activity m JOIN activity a ON a.id = m.activity_id "
        "WHERE a.ref = ?",
        NEW["ref"],
    )
    assert mapped
    applicant.go("/provider")


def board_report(operator: Visitor) -> None:
    """The report of this month, on the page and as files, a minute after what happened."""

    def counted() -> bool:
        operator.page.goto(f"{operator.site.url}/{operator.lang}/operator/reports")
        return not operator.has("text=being counted anew") and operator.has("main svg")

    operator.site.soon(counted, seconds=150, what="the figures")
    operator.look()
    files = {}
    for ending in ("pdf", "xlsx", "csv"):
        with operator.page.expect_download() as begun:
            operator.page.click(f"main a[href*='.{ending}']")
        files[ending] = Path(begun.value.path()).read_bytes()
    assert PdfReader(io.BytesIO(files["pdf"])).pages
    assert zipfile.is_zipfile(io.BytesIO(files["xlsx"]))
    assert len(files["csv"].splitlines()) > 10

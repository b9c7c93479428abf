"""What a purchaser does, from the list of projects to the attestation."""

from __future__ import annotations

import io
import itertools
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from pyhanko.pdf_utils.reader import PdfFileReader
from pyhanko.sign.validation import SignatureCoverageLevel, validate_pdf_signature
from pyhanko_certvalidator import ValidationContext
from pypdf import PdfReader

from tests.browser.visitor import Visitor, has_english

_serial = itertools.count(1)
NAME = "Łucja Curaçao Đặng"


def new_email() -> str:
    """An address nobody has bought with."""
    return f"lucja{next(_serial)}@compra.example"


def put_in_basket(visitor: Visitor, project: str, provider: str, quantity: str) -> None:
    """Find the project by its list and put the provider's first offer into the basket."""
    visitor.go("/projects")
    visitor.page.fill("#q", project.split("-")[0])
    visitor.press("form.filters > button")
    visitor.press(f".cards a[href$='/projects/{project}']")
    offer = visitor.page.locator(
        ".offers li", has=visitor.page.get_by_role("heading", name=provider)
    )
    field = offer.locator("input[name=quantity]").first
    field.fill(quantity)
    number = (field.get_attribute("id") or "").removeprefix("quantity-")
    visitor.press(f"form:has(input[name=offer][value='{number}']) button")
    assert visitor.path == "/basket"


def check_out(visitor: Visitor, email: str, methods: dict[str, str]) -> None:
    """Walk the three steps, with a look at the preview, and place the order or orders.

    ``methods``: by provider's name the method of payment; the default where it has one only.
    """
    visitor.press("button[formaction$='/checkout']")
    assert visitor.path.endswith("/details")
    fill_details(visitor, email)
    visitor.press("main form button[type=submit]")
    assert visitor.path.endswith("/beneficiary")
    choose_reason_and_methods(visitor, methods)
    visitor.press("button[name=preview]")
    assert NAME in visitor.says(".preview")
    visitor.press("main form button[type=submit]:not([name])")
    assert visitor.path.endswith("/review")
    agree_and_place(visitor)


def fill_details(visitor: Visitor, email: str) -> None:
    """Step 1."""
    visitor.page.check("input[name=kind][value=person]")
    visitor.page.fill("#name", NAME)
    visitor.page.fill("#email", email)
    visitor.page.select_option("#country", "PL")


def choose_reason_and_methods(visitor: Visitor, methods: dict[str, str]) -> None:
    """Step 2."""
    assert visitor.page.input_value("#beneficiary") == NAME
    visitor.page.select_option("#reason", "journey")
    visitor.page.check(f"input[name=attestation_locale][value={visitor.lang}]")
    for provider, method in methods.items():
        group = visitor.page.get_by_role("group").filter(has_text=provider)
        group.locator(f"input[value={method}]").check()


def agree_and_place(visitor: Visitor) -> None:
    """Step 3."""
    visitor.page.check("#consent_terms")
    visitor.page.check("#consent_now")
    visitor.press("form[action$='/review'] button")


def pay_in_sandbox(visitor: Visitor, choice: str) -> None:
    """On the hosted page of the processor choose how to pay, and come back."""
    assert visitor.is_in_sandbox
    visitor.press(f"button[name=choice][value={choice}]")
    assert not visitor.is_in_sandbox


def transfer(visitor: Visitor, staff: Callable[[str], Visitor], slug: str, bank_ref: str) -> None:
    """Read the instructions; the provider's staff sees the money and says so."""
    code, minor = visitor.site.rows(
        'SELECT code, total_minor FROM "order" WHERE token = ?', visitor.path.rsplit("/", 1)[1]
    )[0]
    person = staff(f"staff@{slug}.example")
    person.go("/provider/orders")
    person.press(f"a[href$='/provider/orders/{code}']")
    person.press("form[action$='/in-progress'] button")
    visitor.reload()
    person.page.fill("#amount", f"{minor / 100:.2f}")
    person.page.fill("#received_on", person.page.get_attribute("#received_on", "max") or "")
    person.page.fill("#bank_ref", bank_ref)
    person.press("form[action$='/paid'] button")
    person.press("form[action$='/paid'] button")
    assert person.has(".notice.good")


def await_attestation(visitor: Visitor) -> None:
    """Reload the order's page until the attestation is there."""

    def there() -> bool:
        if visitor.has("a[href$='/attestation.pdf']"):
            return True
        visitor.page.wait_for_timeout(300)
        visitor.page.reload()
        return False

    visitor.site.soon(there, seconds=60, what="the attestation")
    visitor.look()


def read_papers(visitor: Visitor, email: str, folder: Path) -> None:
    """Download the attestation, find the same in the mail, have it checked as a stranger."""
    with visitor.page.expect_download() as begun:
        visitor.page.click("a[href$='/attestation.pdf']")
    path = folder / begun.value.suggested_filename
    begun.value.save_as(path)
    pdf = path.read_bytes()
    assert pdf.startswith(b"%PDF-")
    assert NAME in " ".join(PdfReader(path).pages[0].extract_text().split())
    signature = PdfFileReader(io.BytesIO(pdf)).embedded_signatures[0]
    trust = ValidationContext(trust_roots=[signature.signer_cert])
    # It runs an event loop of its own, and this thread has Playwright's.
    with ThreadPoolExecutor(1) as pool:
        verdict = pool.submit(validate_pdf_signature, signature, trust, skip_diff=True).result()
    assert verdict.intact
    assert verdict.valid
    assert verdict.coverage == SignatureCoverageLevel.ENTIRE_FILE
    visitor.site.soon(
        lambda: pdf in visitor.site.attached_to(email), what=f"a mail to {email} with the PDF"
    )
    for letter in visitor.site.letters_to(email):
        assert visitor.lang == "en" or not has_english(letter), letter
    visitor.go("/check")
    visitor.page.set_input_files("input[name=pdf]", path)
    visitor.press("form[enctype] button")
    assert visitor.has(".notice.good")
    visitor.press("main a[href*='/record/']")

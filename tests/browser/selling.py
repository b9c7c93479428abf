"""What a provider does, from registration to money at the bank, and the staff that helps it."""

from __future__ import annotations

import io
import re
from datetime import UTC, datetime
from pathlib import Path

import requests
from passlib.totp import TOTP
from PIL import Image, ImageDraw

from tests.browser.visitor import Visitor

PASSWORD = "calm-river-lantern-42"
ACCOUNT = "NE-90210"
REF = "98765"
IBAN = "FR1420041010050500013M02606"
NAME = "Harmattan Solaire"


def register(visitor: Visitor, email: str) -> None:
    """Open an account, and confirm it by the link in the mailbox."""
    visitor.go("/account/register")
    visitor.page.fill("#email", email)
    visitor.page.fill("#password", PASSWORD)
    visitor.press("main form[method=post] button")
    visitor.site.soon(lambda: visitor.site.letters_to(email), what=f"a mail to {email}")
    link = re.search(r"http\S+/account/confirm/\S+", visitor.site.letters_to(email)[0])
    assert link
    visitor.go(link[0])
    visitor.page.fill("#password", PASSWORD)
    visitor.press("main form[method=post] button")


def set_up_app(visitor: Visitor) -> None:
    """Give the account a second factor: an app that makes codes of the key on the page."""
    visitor.go("/account/second-factor/app")
    if visitor.path.endswith("/verify"):
        visitor.page.fill("input[type=password]", PASSWORD)
        visitor.press("main form:has(input[type=password]) button")
    key = re.sub(r"[^A-Z2-7]", "", visitor.says("#key"))
    visitor.page.fill("#code", str(TOTP(key=key, format="base32", new=False).generate().token))
    visitor.press("main form:has(#code) button")
    assert visitor.page.locator("#codes li").count() >= 8


def apply(
    visitor: Visitor, folder: Path, *, name: str = NAME, account: str = ACCOUNT, ref: str = REF
) -> None:
    """Apply as the holder of an account, with a letter as proof."""
    visitor.go("/apply")
    visitor.press("main a[href$='/apply/form']")
    page = visitor.page
    page.check("input[name=role][value=holder]")
    page.fill("#organisation", name)
    page.select_option("#country", "NE")
    page.fill("#address", "12 rue du Fleuve\nNiamey")
    page.select_option("#registry", "cdm")
    page.fill("#account", account)
    page.fill("#activities", ref)
    page.set_input_files("#proofs", _letter(folder, f"{account}: {name}"))
    page.check("#terms")
    visitor.press("main form[enctype] button")
    assert visitor.path == "/apply/application"


def _letter(folder: Path, words: str) -> Path:
    """Draw the registry's letter about the account."""
    path = folder / "letter.png"
    picture = Image.new("RGB", (800, 1100), "white")
    ImageDraw.Draw(picture).text((80, 80), f"Account {words}", fill="black")
    picture.save(path)
    return path


def issue_units(visitor: Visitor, quantity: int) -> None:
    """Have the registry issue a block into the account, as it does for whoever earned it."""
    answer = requests.post(
        f"{visitor.site.sandbox}/control/registries/cdm/blocks",
        json=[
            {
                "account": ACCOUNT,
                "activity": REF,
                "unit_type": "cer",
                "party": "NE",
                "quantity": quantity,
                "monitoring_start": "2018-01-01",
                "monitoring_end": "2018-12-31",
            }
        ],
        timeout=10,
    )
    assert answer.status_code == 200, answer.text


def approve(operator: Visitor, *, name: str = NAME, ref: str = REF) -> None:
    """Register the project that is not known yet, then approve the application."""
    operator.go("/operator/applications")
    operator.press("main table a", text=name)
    operator.press("main a[href*='/operator/activities/new']")
    page = operator.page
    assert page.input_value("#ref") == ref
    for lang, title in (
        ("en", "Niamey solar roofs"),
        ("fr", "Toits solaires de Niamey"),
        ("es", "Techos solares de Niamey"),
    ):
        page.fill(f"#title_{lang}", title)
    page.select_option("#host", "NE")
    page.select_option("#scope", "1")
    page.select_option("#technology", "solar")
    page.fill("#methodology", "ACM0002")
    page.fill("#start", "2014-01-01")
    page.fill("#end", "2020-12-31")
    operator.press("form[action$='/operator/activities/new'] button")
    assert operator.page.is_checked("input[name=activity]")
    operator.press("form[action$='/approve'] button")
    assert operator.has(".notice.good")


def ask_for_bank_transfer(visitor: Visitor) -> None:
    """Type the bank's details and ask for bank transfer."""
    visitor.go("/provider/payouts")
    visitor.press("#bank_transfer a.button")
    page = visitor.page
    page.fill("#holder", NAME)
    page.fill("#account", IBAN)
    page.fill("#bank_name", "Banque du Fleuve")
    page.fill("#currencies", "EUR")
    visitor.press("main form[method=post] button")
    assert visitor.path == "/provider/payouts"


def enable_bank_transfer(operator: Visitor) -> None:
    """Compare and enable, one click."""
    operator.go("/operator/payouts")
    operator.press(f"section:has(h2:has-text('{NAME}')) form[action$='/enable'] button")


def connect(visitor: Visitor, method_id: str, choice: str) -> None:
    """Connect an account on the processor's own page, and come back."""
    visitor.go("/provider/payouts")
    visitor.press(f"#{method_id} form[action$='/connect'] button")
    assert visitor.is_in_sandbox
    visitor.press(f"button[name=choice][value={choice}]")
    assert visitor.path == "/provider/payouts"
    assert visitor.says(f"#{method_id} h2 .tag") == "Ready"


def write_project_page(visitor: Visitor, folder: Path) -> None:
    """Write in three languages, add a picture with its words, hand it in."""
    visitor.go("/provider/listings")
    visitor.press("main table a")
    visitor.press("form[action$='/begin'] button")
    visitor.press("main a[href$='/texts']")
    page = visitor.page
    for lang, title, words in (
        ("en", "Niamey solar roofs", "Panels on three hundred schools give light and cool air."),
        ("fr", "Toits solaires de Niamey", "Des panneaux éclairent et rafraîchissent trois cents écoles."),
        ("es", "Techos solares de Niamey", "Los paneles dan luz y aire fresco a trescientas escuelas."),
    ):  # fmt: skip
        page.fill(f"#title-{lang}", title)
        page.fill(f"#description-{lang}", words)
    visitor.press("main form:has(#title-en) button")
    visitor.press("main a[href$='/pictures']")
    page.set_input_files("#picture", _picture(folder))
    for lang, words in (
        ("en", "Panels on a school roof"),
        ("fr", "Des panneaux sur le toit d’une école"),
        ("es", "Paneles en el tejado de una escuela"),
    ):
        page.fill(f"#alt-{lang}", words)
    visitor.press("main form:has(#picture) button")
    visitor.press("main a.button[href*='/listings/versions/']:not([href$='/pictures'])")
    visitor.press("form[action$='/submit'] button")


def _picture(folder: Path) -> Path:
    """Draw a school with panels; large enough, and in the right shape."""
    path = folder / "school.jpg"
    picture = Image.new("RGB", (1200, 900), "#9cc4e4")
    drawing = ImageDraw.Draw(picture)
    drawing.rectangle((200, 450, 1000, 850), fill="#d9b382")
    for at in range(6):
        drawing.rectangle((220 + at * 130, 350, 330 + at * 130, 440), fill="#243b6b")
    picture.save(path, quality=90)
    return path


def review(operator: Visitor) -> None:
    """Approve the project page that waits."""
    operator.go("/operator/reviews")
    operator.press("main table a", text="Niamey")
    operator.press("form[action$='/approve'] button")
    assert operator.has(".notice.good")


def put_on_offer(visitor: Visitor, price: str, quantity: str) -> None:
    """Offer units of the first block in the holdings."""
    visitor.go("/provider/holdings")
    visitor.press("main table a[href*='/provider/holdings/']")
    visitor.press("main a.button", text="Offer units")
    page = visitor.page
    page.fill("#price", price)
    if page.locator("#currency option").count() > 1:
        page.select_option("#currency", "EUR")
    page.fill("#quantity", quantity)
    visitor.press("main form[method=post] button")
    assert visitor.has(".notice.good")


def statement(folder: Path, reference: str, amount: str) -> Path:
    """Write the bank's statement of today, with one payment that came in (CAMT.053)."""
    today = datetime.now(UTC).date().isoformat()
    money = f'<Amt Ccy="EUR">{amount}</Amt><CdtDbtInd>CRDT</CdtDbtInd>'
    xml = io.StringIO()
    xml.write('<?xml version="1.0" encoding="UTF-8"?>')
    xml.write('<Document xmlns="urn:iso:std:iso:20022:tech:xsd:camt.053.001.08"><BkToCstmrStmt>')
    xml.write(f"<Stmt><Id>S1</Id><Acct><Id><IBAN>{IBAN}</IBAN></Id></Acct>")
    for kind, value in (("OPBD", "0.00"), ("CLBD", amount)):
        xml.write(
            f"<Bal><Tp><CdOrPrtry><Cd>{kind}</Cd></CdOrPrtry></Tp>"
            f'<Amt Ccy="EUR">{value}</Amt><CdtDbtInd>CRDT</CdtDbtInd>'
            f"<Dt><Dt>{today}</Dt></Dt></Bal>"
        )
    xml.write(
        f"<Ntry>{money}<Sts><Cd>BOOK</Cd></Sts><BookgDt><Dt>{today}</Dt></BookgDt>"
        f"<ValDt><Dt>{today}</Dt></ValDt><AcctSvcrRef>BANK-1</AcctSvcrRef>"
        "<NtryDtls><TxDtls><RmtInf><Strd><CdtrRefInf>"
        f"<Ref>{reference}</Ref></CdtrRefInf></Strd></RmtInf></TxDtls></NtryDtls></Ntry>"
    )
    xml.write("</Stmt></BkToCstmrStmt></Document>")
    path = folder / "statement.xml"
    path.write_text(xml.getvalue())
    return path


def upload_statement(visitor: Visitor, path: Path) -> None:
    """Upload a statement and confirm the one exact payment in it."""
    visitor.go("/provider/statements")
    visitor.page.set_input_files("#file", path)
    visitor.press("main form[enctype] button")
    assert re.search(r"/provider/statements/\d+$", visitor.path), visitor.path
    visitor.press("main table a[href*='/provider/money/']")
    visitor.press("main form[action$='/decide'] button[value=record]")
    assert visitor.has(".notice.good")

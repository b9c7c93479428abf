"""Company purchases: their numbers, and papers in the provider's name."""

from __future__ import annotations

import io
from collections.abc import Iterator

import pytest
from flask import Flask
from pypdf import PdfReader
from sqlalchemy import select
from werkzeug.test import TestResponse

from cnn_offset.extensions import db
from cnn_offset.models import Event, Order, Paper, Provider
from tests.conftest import Clock
from tests.web.people import add_person, log_in, post
from tests.web.selling import Sale, sell
from tests.web.shopping import (
    CONSENTS,
    PERSON,
    WHY,
    Mall,
    Visitor,
    methods,
    open_mall,
    path_of,
    text_of,
)
from tests.web.test_checkout import BAD_LINES

FIRM = {
    **PERSON,
    "kind": "company",
    "company": "Łódź Looms GmbH",
    "street": "ul. Piotrkowska 1",
    "postcode": "90-001",
    "city": "Łódź",
    "country": "PL",
    "tax_id": "  PL 526 10  40 828 ",
    "purchase_order": "PO-2026/17",
}
STAFF = "staff@example.org"


@pytest.fixture
def mall(app: Flask, clock: Clock) -> Iterator[Mall]:
    yield from open_mall(app, clock)


@pytest.fixture
def visitor(mall: Mall) -> Visitor:
    return Visitor(mall.app)


def buy(visitor: Visitor, mall: Mall, method: str = "paypal", **person: str) -> str:
    """Buy from Sun; return the address of the order."""
    base = visitor.begin(mall.sun)
    path_of(visitor.post(f"{base}/details", **{**FIRM, **person}))
    path_of(visitor.post(f"{base}/beneficiary", **{**WHY, **methods(mall, method)}))
    path_of(visitor.post(f"{base}/review", **CONSENTS))
    return f"/{visitor.lang}/orders/{mall.orders()[-1].token}"


def words(answer: TestResponse) -> str:
    """Return what a PDF says."""
    assert answer.status_code == 200
    assert answer.mimetype == "application/pdf"
    assert answer.headers["Content-Disposition"].startswith("attachment; filename=")
    assert answer.headers["Cache-Control"] == "no-store"
    pages = PdfReader(io.BytesIO(answer.data)).pages
    return " ".join(" ".join(page.extract_text() for page in pages).split())


def test_a_company_says_its_numbers_and_finds_them_again(mall: Mall, visitor: Visitor) -> None:
    base = visitor.begin(mall.sun)
    path_of(visitor.post(f"{base}/details", **FIRM))
    path_of(visitor.post(f"{base}/beneficiary", **{**WHY, **methods(mall)}))
    said = text_of(visitor.get(f"{base}/review"))
    assert "Tax number PL 526 10 40 828" in said
    assert "Purchase-order number PO-2026/17" in said
    path_of(visitor.post(f"{base}/review", **CONSENTS))
    [order] = mall.orders()
    assert (order.tax_id, order.purchase_order) == ("PL 526 10 40 828", "PO-2026/17")
    page = text_of(visitor.get(f"/en/orders/{order.token}"))
    assert "PL 526 10 40 828" in page
    assert "PO-2026/17" in page


def test_both_numbers_may_be_left_out(mall: Mall, visitor: Visitor) -> None:
    page = visitor.get(buy(visitor, mall, tax_id="", purchase_order=""))
    assert "Tax number" not in text_of(page)
    assert "Purchase-order number" not in text_of(page)


def test_a_person_has_no_such_numbers(mall: Mall, visitor: Visitor) -> None:
    buy(visitor, mall, kind="person")
    [order] = mall.orders()
    assert (order.company, order.tax_id, order.purchase_order) == ("", "", "")


@pytest.mark.parametrize(("name", "most"), [("tax_id", 40), ("purchase_order", 60)])
def test_numbers_that_cannot_be_taken(mall: Mall, visitor: Visitor, name: str, most: int) -> None:
    base = visitor.begin(mall.sun)
    for kind, value in BAD_LINES.items():
        if kind == "empty":
            continue
        answer = visitor.post(f"{base}/details", **{**FIRM, name: value})
        assert answer.status_code == 422, kind
        assert f'href="#{name}"' in answer.text
    answer = visitor.post(f"{base}/details", **{**FIRM, name: "W" * (most + 1)})
    assert answer.status_code == 422
    assert "W" * (most + 1) in answer.text, "what was typed is kept"
    assert visitor.post(f"{base}/details", **{**FIRM, name: "W" * most}).status_code == 303


def test_the_next_purchase_knows_the_tax_number_only(mall: Mall, visitor: Visitor) -> None:
    add_person(mall.app, "ada@example.org")
    visitor.client = log_in(mall.app, "ada@example.org")
    buy(visitor, mall)
    page = visitor.get(f"{visitor.begin(mall.wind)}/details").text
    assert "PL 526 10 40 828" in page
    assert "PO-2026/17" not in page


def test_pro_forma_then_receipt(mall: Mall, visitor: Visitor) -> None:
    page = buy(visitor, mall)
    first = visitor.get(page).text
    assert "Download a pro-forma invoice (PDF)" in first
    assert "Download the receipt" not in first
    assert visitor.get(f"{page}/papers/pro_forma.pdf").status_code == 404, "not asked for yet"
    link = path_of(visitor.post(f"{page}/papers/pro_forma"))
    assert link == f"{page}/papers/pro_forma.pdf"
    said = words(visitor.get(link))
    for each in ("Pro-forma invoice", "PF000001", "Sun Ltd", "Łódź Looms GmbH", "PO-2026/17",
                 "PL 526 10 40 828", "Total to be paid USD 25.00"):  # fmt: skip
        assert each in said, each
    # Too early for a receipt: told so, nothing numbered.
    assert path_of(visitor.post(f"{page}/papers/receipt")) == page
    assert "as soon as the order is paid" in text_of(visitor.get(page))

    mall.pay.pay(mall.payments()[-1].processor_ref)
    path_of(visitor.get(f"{page}/return"))
    paid = visitor.get(page).text
    assert "Download the receipt (PDF)" in paid
    assert "pro-forma" not in paid
    for _ in range(2):
        said = words(visitor.get(path_of(visitor.post(f"{page}/papers/receipt"))))
        assert "R000001" in said
        assert "Total paid USD 25.00" in said
    assert [each.kind for each in mall.rows(Paper)] == ["pro_forma", "receipt"]
    # The mail that tells of the payment leads there.
    assert ("payment_received", "ada@example.org") in mall.mails()


@pytest.mark.parametrize("lang", ["fr", "es"])
def test_papers_speak_the_language_of_the_order(mall: Mall, lang: str) -> None:
    visitor = Visitor(mall.app, lang)
    page = buy(visitor, mall)
    link = path_of(visitor.post(f"{page}/papers/pro_forma"))
    there = words(visitor.get(link))
    # Whoever reads it on an English page gets the same paper.
    assert words(visitor.get(link.replace(f"/{lang}/", "/en/"))) == there
    assert ("25,00 USD") in there.replace("\xa0", " ")


def test_papers_that_are_none(mall: Mall, visitor: Visitor) -> None:
    page = buy(visitor, mall)
    for kind in ("", "invoice", "PRO_FORMA", "pro_forma.pdf", "%00", "..%2f"):
        assert visitor.post(f"{page}/papers/{kind}").status_code in (404, 405), kind
        assert visitor.get(f"{page}/papers/{kind}.pdf").status_code in (404, 405), kind
    assert visitor.post("/en/orders/nothing/papers/pro_forma").status_code == 404
    assert visitor.client.post(f"{page}/papers/pro_forma").status_code == 400, "without its token"
    assert mall.rows(Paper) == []


@pytest.fixture
def sale(app: Flask, clock: Clock) -> Sale:
    made = sell(app, clock, method="bank_transfer")
    add_person(app, STAFF, "provider", made.provider)
    return made


def looks(app: Flask) -> list[str]:
    with app.app_context():
        return list(db.session.scalars(select(Event.why).where(Event.new == "contact seen")))


def test_a_provider_takes_its_receipt_and_that_is_a_look(app: Flask, sale: Sale) -> None:
    staff, path = log_in(app, STAFF), f"/en/provider/orders/{sale.code}"
    assert "Papers in your name" not in staff.get(path).text
    assert post(staff, f"{path}/papers/pro_forma").status_code == 422
    assert post(staff, f"{path}/papers/receipt").status_code == 422
    with app.app_context():
        provider = db.session.scalars(
            select(Provider).join(Order, Order.provider_id == Provider.id)
        ).first()
        assert provider is not None
        provider.address, provider.tax_id = "1 Sun Street\nNairobi", "KE-77"
        db.session.commit()
    money = {
        "amount": "25.00", "currency": "USD", "received_on": "2026-11-02", "bank_ref": "NTRF 1",
    }  # fmt: skip
    assert post(staff, f"{path}/paid", **money, seen="pays").status_code == 302
    assert looks(app) == []
    said = words(post(staff, f"{path}/papers/receipt"))
    for each in ("R000001", "1 Sun Street", "Tax number: KE-77", "NTRF 1", "Ada Example"):
        assert each in said, each
    assert looks(app) == ["receipt"]
    assert post(staff, f"{path}/papers/invoice").status_code == 404
    other = sell(app, app.extensions["cnn_offset"].clock, method="bank_transfer")
    add_person(app, "other@example.org", "provider", other.provider)
    assert post(log_in(app, "other@example.org"), f"{path}/papers/receipt").status_code == 404
    assert looks(app) == ["receipt"]


def test_who_sends_bank_details_has_the_pro_forma_invoice_too(app: Flask, clock: Clock) -> None:
    made = sell(app, clock, method="bank_transfer", own_details=True)
    add_person(app, STAFF, "provider", made.provider)
    staff, path = log_in(app, STAFF), f"/en/provider/orders/{made.code}"
    assert "Pro-forma invoice (PDF)" in staff.get(path).text
    said = words(post(staff, f"{path}/papers/pro_forma"))
    assert "The provider will send you the bank details" in said
    assert looks(app) == ["pro_forma"]

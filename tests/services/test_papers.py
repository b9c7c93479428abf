"""Pro-forma invoices and receipts: frozen, numbered without gaps; on both databases."""

from __future__ import annotations

import io
from dataclasses import replace

import pytest
from pypdf import PdfReader
from sqlalchemy import select

from cnn_offset.domain.money import Money
from cnn_offset.domain.paper import PaperData
from cnn_offset.domain.status import OrderStatus
from cnn_offset.extensions import db, unit_of_work
from cnn_offset.models import Counter, Event, Order, Paper, PaperKind
from cnn_offset.papers import draw_paper
from cnn_offset.services import NotFoundError, ServiceError, papers
from cnn_offset.services.moves import move
from tests.factories import make_block, make_offer, make_payout, make_provider
from tests.services.conftest import Shop
from tests.services.test_races import at_once

TITLES = {"paypal": "PayPal", "bank_transfer": "Bank transfer"}
RECEIPT, PRO_FORMA = PaperKind.RECEIPT, PaperKind.PRO_FORMA


def issue(shop: Shop, order_id: int, kind: PaperKind = RECEIPT) -> int:
    with unit_of_work() as session:
        return papers.issue_paper(
            session,
            session.get_one(Order, order_id),
            kind,
            method_titles=TITLES,
            actor="purchaser",
            now=shop.clock(),
        ).id


def paper(paper_id: int) -> Paper:
    db.session.expire_all()
    return db.session.get_one(Paper, paper_id)


def data(paper_id: int) -> PaperData:
    return PaperData.from_json(paper(paper_id).data)


def text(made: PaperData) -> str:
    pages = PdfReader(io.BytesIO(draw_paper(made))).pages
    return " ".join(" ".join(page.extract_text() for page in pages).split())


def paid(shop: Shop, quantity: int = 10) -> int:
    order_id = shop.order(quantity)
    shop.money(shop.open(order_id))
    return order_id


def company(shop: Shop, order_id: int) -> None:
    order = db.session.get_one(Order, order_id)
    order.purchaser_kind, order.company = "company", "Łódź Looms sp. z o.o."
    order.tax_id, order.purchase_order = "PL 526-10-40-828", "PO-2026/17"
    provider = order.provider
    provider.name, provider.tax_id = "Sahel Clair SA", "SN 0012345"
    provider.address = "12 avenue Léopold Sédar Senghor\n\n  Dakar  "
    db.session.commit()


def test_a_receipt_says_what_was_paid_to_whom_and_how(shop: Shop) -> None:
    order_id = shop.order(10, "bank_transfer")
    company(shop, order_id)
    shop.open(order_id, "bank_transfer")
    with pytest.raises(ServiceError, match="as soon as the order is paid"):
        issue(shop, order_id)
    db.session.rollback()
    shop.bank_money(order_id, Money(2000, "USD"), "NTRF 1")
    with pytest.raises(ServiceError, match="as soon as the order is paid"):
        issue(shop, order_id)
    db.session.rollback()
    shop.bank_money(order_id, Money(500, "USD"), "NTRF 2")
    made = data(issue(shop, order_id))
    assert made.number == "R000001"
    assert made.total == Money(2500, "USD")
    assert [each.minor for each in made.money(made.lines[0])] == [250, 2500]
    assert (made.method, made.payment_ref) == ("Bank transfer", "NTRF 1, NTRF 2")
    assert made.paid_on is not None
    assert made.provider.lines == ("12 avenue Léopold Sédar Senghor", "Dakar")
    assert made.purchaser.lines == ("Ada Example", "1 Road", "00100 Nairobi")
    assert PaperData.from_json(made.as_json()) == made

    said = text(made)
    for each in (
        "Receipt",
        "R000001",
        "Sahel Clair SA",
        "Tax number: SN 0012345",
        "Łódź Looms sp. z o.o.",
        "Tax number: PL 526-10-40-828",
        "PO-2026/17",
        "USD 2.50",
        "Total paid USD 25.00",
        "2 November 2026",
        "NTRF 1, NTRF 2",
        "Voluntary cancellation of units",
        "No ownership of units is transferred",
        "is no party to it",
    ):
        assert each in said, each
    assert draw_paper(made) == draw_paper(made), "the same data give the same bytes"


@pytest.mark.parametrize(
    ("locale", "number"), [("fr", "1 000,00 USD"), ("es", "1.000,00 USD"), ("en", "USD 1,000.00")]
)
def test_a_pro_forma_invoice_in_the_language_of_the_order(
    shop: Shop, locale: str, number: str
) -> None:
    order_id = shop.order(400, "bank_transfer")
    db.session.get_one(Order, order_id).locale = locale
    db.session.commit()
    shop.open(order_id, "bank_transfer")
    made = data(issue(shop, order_id, PRO_FORMA))
    assert made.number == "PF000001"
    assert made.pay_by is not None
    assert made.paid_on is None
    said = text(made).replace("\u202f", " ").replace("\xa0", " ")
    assert number in said
    assert "DE89 3704 0044 0532 0130 00" in said
    assert "RF" in said


def test_a_provider_without_particulars_has_papers_with_what_is_known(shop: Shop) -> None:
    made = data(issue(shop, shop.order(1), PRO_FORMA))
    assert made.provider.lines == ()
    said = text(made)
    assert made.provider.name in said
    assert "Kenya" in said
    assert "Tax number" not in said


def test_what_a_paper_says_is_frozen(shop: Shop) -> None:
    order_id = paid(shop)
    first = issue(shop, order_id)
    before = draw_paper(data(first))
    order = db.session.get_one(Order, order_id)
    order.provider.name, order.provider.address = "Another name", "Elsewhere"
    order.lines[0].block.activity.title = {"en": "Another project"}
    order.lines[0].offer.price_minor = 1
    db.session.commit()
    assert issue(shop, order_id) == first
    assert draw_paper(data(first)) == before


def test_a_pro_forma_invoice_is_for_those_who_have_not_paid(shop: Shop) -> None:
    order_id = shop.order(1)
    shown = papers.papers_of(db.session(), db.session.get_one(Order, order_id))
    assert shown == [(PRO_FORMA, None)]
    first = issue(shop, order_id, PRO_FORMA)
    shop.money(shop.open(order_id))
    order = db.session.get_one(Order, order_id, populate_existing=True)
    assert papers.papers_of(db.session(), order) == [(RECEIPT, None)]
    # What was issued stays what it was.
    assert issue(shop, order_id, PRO_FORMA) == first
    assert papers.find_paper(db.session(), order, PRO_FORMA).id == first
    with pytest.raises(NotFoundError):
        papers.find_paper(db.session(), order, RECEIPT)
    late = shop.order(1)
    shop.clock.tick(days=91)
    shop.work(rounds=2)
    assert shop.status(late) is OrderStatus.LAPSED
    for kind in PaperKind:
        with pytest.raises(ServiceError):
            issue(shop, late, kind)
        db.session.rollback()


def test_a_receipt_stays_when_the_money_goes_back(shop: Shop) -> None:
    first, second = paid(shop), paid(shop)
    receipt = issue(shop, first)
    before = draw_paper(data(receipt))
    for order_id in (first, second):
        order = db.session.get_one(Order, order_id)
        with unit_of_work() as session:
            move(
                session,
                session.get_one(Order, order.id),
                OrderStatus.REFUND_DUE,
                actor="operator",
                why="units not there",
                now=shop.clock(),
            )
    order = db.session.get_one(Order, first, populate_existing=True)
    assert [kind for kind, _ in papers.papers_of(db.session(), order)] == [RECEIPT]
    assert issue(shop, first) == receipt
    assert draw_paper(data(receipt)) == before
    with pytest.raises(ServiceError):
        issue(shop, second)
    db.session.rollback()


def test_twenty_at_once_have_twenty_numbers(shop: Shop) -> None:
    ids = [paid(shop, 1) for _ in range(20)]
    made = at_once(shop, *[lambda order_id=order_id: issue(shop, order_id) for order_id in ids])
    assert all(isinstance(each, int) for each in made), made
    db.session.rollback()
    found = db.session.scalars(select(Paper.sequence).order_by(Paper.sequence)).all()
    assert found == list(range(1, 21))


def test_a_double_click_numbers_one_receipt(shop: Shop) -> None:
    order_id = paid(shop)
    made = at_once(shop, *[lambda: issue(shop, order_id)] * 6)
    assert len(set(made)) == 1, made
    db.session.rollback()
    assert db.session.scalars(select(Paper.sequence)).all() == [1]


def test_a_number_that_came_to_nothing_is_given_again(shop: Shop) -> None:
    order_id = paid(shop)
    with pytest.raises(ZeroDivisionError), unit_of_work() as session:
        papers.issue_paper(
            session,
            session.get_one(Order, order_id),
            RECEIPT,
            method_titles=TITLES,
            actor="purchaser",
            now=shop.clock(),
        )
        raise ZeroDivisionError
    assert paper(issue(shop, order_id)).sequence == 1


def test_each_provider_and_kind_has_a_series_of_its_own(shop: Shop) -> None:
    provider = make_provider()
    make_payout(provider)
    other = make_offer(make_block(provider=provider)).id
    db.session.commit()
    first, second = paid(shop), shop.order_of({other: 1})
    shop.money(shop.open(second))
    third = shop.order(1)
    found = [
        paper(issue(shop, first)),
        paper(issue(shop, second)),
        paper(issue(shop, third, PRO_FORMA)),
    ]
    assert [each.sequence for each in found] == [1, 1, 1]
    names = set(db.session.scalars(select(Counter.name))) - {"attestation", "mails_dropped"}
    assert names == {
        f"receipt:{found[0].provider_id}",
        f"receipt:{provider.id}",
        f"pro_forma:{found[0].provider_id}",
    }


def test_a_gap_is_found(shop: Shop) -> None:
    issue(shop, paid(shop))
    db.session.execute(
        Counter.__table__.update().where(Counter.name.like("receipt:%")).values(value=2)
    )
    db.session.commit()
    assert [each for each in shop.findings() if "receipt" in each]
    db.session.execute(
        Counter.__table__.update().where(Counter.name.like("receipt:%")).values(value=1)
    )
    db.session.commit()


def test_letters_that_cannot_be_printed_stop_no_receipt(shop: Shop) -> None:
    order_id = paid(shop)
    order = db.session.get_one(Order, order_id)
    order.purchaser_name, order.street = "李 小龍", "<b>1 & 2</b> {{ 7*7 }}"
    db.session.commit()
    made = data(issue(shop, order_id))
    assert made.purchaser.name == "李 小龍"
    said = text(made)
    assert "? ??" in said
    assert "stands for a letter that this paper cannot print" in said
    assert "<b>1 & 2</b> {{ 7*7 }}" in said


def test_twenty_long_lines_fit(shop: Shop) -> None:
    order_id = paid(shop)
    made = data(issue(shop, order_id))
    long = replace(
        made,
        lines=made.lines * 20,
        provider=replace(made.provider, name="W" * 200, lines=("W" * 200,) * 6),
        purchase_order="W" * 60,
    )
    pdf = PdfReader(io.BytesIO(draw_paper(long)))
    assert 2 <= len(pdf.pages) <= 4
    assert all("is no party to it" in " ".join(each.extract_text().split()) for each in pdf.pages)


def test_papers_are_kept_in_the_history(shop: Shop) -> None:
    order_id = paid(shop)
    issue(shop, order_id)
    whys = db.session.scalars(
        select(Event.why).where(Event.order_id == order_id, Event.new == "receipt")
    ).all()
    assert whys == ["R000001"]

"""The basket: what may be put in, what it shows, and that nothing is held for it."""

from __future__ import annotations

import re
from collections.abc import Iterator

import pytest
from flask import Flask
from sqlalchemy import select

from cnn_offset.blueprints.basket import basket_count
from cnn_offset.domain.status import OfferStatus
from cnn_offset.extensions import db
from cnn_offset.models import Offer, Provider
from tests.conftest import Clock
from tests.web.people import add_person, log_in
from tests.web.shopping import Mall, Visitor, open_mall, path_of, text_of


@pytest.fixture
def mall(app: Flask, clock: Clock) -> Iterator[Mall]:
    yield from open_mall(app, clock)


@pytest.mark.parametrize(
    ("lang", "empty", "title"),
    [
        ("en", "Your basket is empty.", "Your basket"),
        ("fr", "Votre panier est vide.", "Votre panier"),
        ("es", "Su cesta está vacía.", "Su cesta"),
    ],
)
def test_empty_and_full_in_each_language(mall: Mall, lang: str, empty: str, title: str) -> None:
    visitor = Visitor(mall.app, lang)
    answer = visitor.get(f"/{lang}/basket")
    assert answer.status_code == 200
    assert empty in text_of(answer)
    assert path_of(visitor.add(mall.sun, 12)) == f"/{lang}/basket"
    answer = visitor.get(f"/{lang}/basket")
    assert f"<h1>{title}</h1>" in answer.text
    assert 'value="12"' in answer.text
    assert "noindex" in answer.text


def test_a_visitor_without_a_cookie_has_none_read(
    mall: Mall, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("cnn_offset.blueprints.basket.cookie", None)
    with mall.app.test_request_context("/en/"):
        assert basket_count() == 0


def test_totals_are_exact_and_by_provider(mall: Mall) -> None:
    visitor = Visitor(mall.app)
    visitor.add(mall.sun, 3)
    visitor.add(mall.wind, 1000)
    said = text_of(visitor.get("/en/basket"))
    assert "To be paid to Sun Ltd USD 7.50" in said
    assert "To be paid to Wind SA USD 2,500.00" in said
    assert "Several payments" in said
    assert mall.offer(mall.sun).held == 0


def test_adding_again_replaces_so_that_a_double_click_adds_nothing(mall: Mall) -> None:
    visitor = Visitor(mall.app)
    visitor.add(mall.sun, 5)
    visitor.add(mall.sun, 5)
    assert "USD 12.50" in text_of(visitor.get("/en/basket"))


@pytest.mark.parametrize(
    ("lang", "typed", "kept"),
    [
        ("en", "1,000", "1,000"),
        ("fr", "1 000", "1\u202f000"),
        ("es", "1.000", "1.000"),
        ("en", " 7 ", "7"),
    ],
)
def test_numbers_are_read_in_the_form_of_the_language(
    mall: Mall, lang: str, typed: str, kept: str
) -> None:
    visitor = Visitor(mall.app, lang)
    path_of(visitor.add(mall.sun, typed))
    assert f'value="{kept}"' in visitor.get(f"/{lang}/basket").text


NO_QUANTITIES = [
    "",
    "0",
    "-1",
    "1.5",
    "1,5",
    "1e3",
    "٣",
    "NaN",
    "ten",
    "9" * 40,
    "1 2",
    "0x10",
    "<b>1</b>",
    "1\x00",
]


def test_what_is_no_quantity_is_refused_and_kept(mall: Mall) -> None:
    visitor = Visitor(mall.app)
    for typed in NO_QUANTITIES:
        answer = visitor.add(mall.sun, typed)
        assert answer.status_code == 422, typed
        assert "Please enter a whole number of tonnes, 1 or more." in text_of(answer)
        assert answer.text.count("<title>Error:") == 1, typed
        assert 'href="#quantity"' in answer.text, typed
        assert "<b>1</b>" not in answer.text
        if typed.isascii() and typed.isalnum():
            assert f'value="{typed}"' in answer.text
    assert "Your basket is empty." in text_of(visitor.get("/en/basket"))


def test_more_than_there_is_and_less_than_the_minimum(mall: Mall) -> None:
    mall.change(Offer, mall.sun, min_quantity=5)
    visitor = Visitor(mall.app)
    assert "Fewer units are available" in text_of(visitor.add(mall.sun, 1001))
    assert "Fewer units are available" in text_of(visitor.add(mall.sun, "999999999999"))
    answer = visitor.add(mall.sun, 4)
    assert answer.status_code == 422
    assert "smallest order of these units is 5" in text_of(answer)
    assert visitor.add(mall.sun, 1000).status_code == 303


def test_an_offer_that_is_not_there(mall: Mall) -> None:
    visitor = Visitor(mall.app)
    for offer in ["", "0", "999999", "x", "-1", "1 OR 1=1", "9" * 30, "١"]:
        answer = visitor.post("/en/basket/add", offer=offer, quantity="1")
        assert answer.status_code == 422, offer
        assert "This offer is no longer open" in text_of(answer)


def test_a_closed_offer_cannot_be_added_and_shows_in_the_basket(mall: Mall) -> None:
    visitor = Visitor(mall.app)
    visitor.add(mall.sun, 5)
    mall.change(Offer, mall.sun, status=OfferStatus.CLOSED)
    assert "This offer is no longer open" in text_of(visitor.get("/en/basket"))
    answer = visitor.check_out()
    assert answer.status_code == 422
    assert f'href="#quantity-{mall.sun}"' in answer.text
    assert visitor.add(mall.sun, 5).status_code == 422
    assert mall.offer(mall.sun).held == 0


def test_change_and_remove(mall: Mall) -> None:
    visitor = Visitor(mall.app)
    visitor.add(mall.sun, 5)
    visitor.add(mall.wind, 5)
    answer = visitor.post(
        "/en/basket/update", **{f"quantity-{mall.sun}": "8", f"quantity-{mall.wind}": "0"}
    )
    assert path_of(answer) == "/en/basket"
    said = text_of(visitor.get("/en/basket"))
    assert "USD 20.00" in said
    assert "Wind SA" not in said
    path_of(visitor.post("/en/basket/update", remove=str(mall.sun)))
    assert "Your basket is empty." in text_of(visitor.get("/en/basket"))


def test_a_wrong_change_keeps_what_was_typed(mall: Mall) -> None:
    visitor = Visitor(mall.app)
    visitor.add(mall.sun, 5)
    answer = visitor.post("/en/basket/update", **{f"quantity-{mall.sun}": "2.5"})
    assert answer.status_code == 422
    assert 'value="2.5"' in answer.text
    assert f'href="#quantity-{mall.sun}"' in answer.text
    assert 'value="5"' in visitor.get("/en/basket").text


def test_sold_out_meanwhile(mall: Mall) -> None:
    visitor = Visitor(mall.app)
    visitor.add(mall.sun, 500)
    Visitor(mall.app).begin(mall.sun, quantity=501)
    said = text_of(visitor.get("/en/basket"))
    assert "499 available" in said
    assert "Fewer units are available" in said
    assert visitor.check_out().status_code == 422


def test_no_more_than_twenty_offers(mall: Mall) -> None:
    visitor = Visitor(mall.app)
    with visitor.client.session_transaction() as cookie:
        cookie["basket"] = {str(n): 1 for n in range(1000, 1020)}
    answer = visitor.add(mall.sun, 1)
    assert answer.status_code == 422
    assert "at most 20 offers" in text_of(answer)


def test_offers_deleted_since_can_be_removed(mall: Mall) -> None:
    visitor = Visitor(mall.app)
    with visitor.client.session_transaction() as cookie:
        cookie["basket"] = {"9999": 1}
    assert "no longer exists" in text_of(visitor.get("/en/basket"))
    assert visitor.check_out().status_code == 422
    path_of(visitor.post("/en/basket/update", remove="9999"))
    assert "Your basket is empty." in text_of(visitor.get("/en/basket"))


def test_every_form_carries_its_token_and_none_is_taken_without(mall: Mall) -> None:
    visitor = Visitor(mall.app)
    visitor.add(mall.sun, 5)
    page = visitor.get("/en/basket").text
    forms = re.findall(r'<form[^>]*method="post".*?</form>', page, flags=re.DOTALL)
    assert len(forms) == 2
    assert all('name="csrf_token"' in form for form in forms)
    for path in ("/en/basket/add", "/en/basket/update", "/en/checkout"):
        assert visitor.client.post(path, data={"offer": mall.sun}).status_code == 400


def test_nothing_changes_by_looking(mall: Mall) -> None:
    for path in ("/en/basket/add", "/en/basket/update", "/en/checkout"):
        assert Visitor(mall.app).get(path).status_code == 405


def test_staff_cannot_buy_from_their_own_provider_but_from_others(mall: Mall) -> None:
    with mall.app.app_context():
        slug = db.session.scalars(select(Provider.slug).where(Provider.name == "Sun Ltd")).one()
    add_person(mall.app, "sun@example.org", "provider", slug)
    visitor = Visitor(mall.app)
    # Put into the basket before logging in.
    visitor.add(mall.sun)
    visitor.add(mall.wind)
    staff = Visitor(mall.app)
    staff.client = log_in(mall.app, "sun@example.org")
    refused = staff.add(mall.sun)
    assert refused.status_code == 422
    assert "offered by your own organisation" in text_of(refused)
    with visitor.client.session_transaction() as guest, staff.client.session_transaction() as own:
        own["basket"] = guest["basket"]
    assert "offered by your own organisation" in text_of(staff.get("/en/basket"))
    assert staff.check_out().status_code == 422
    assert mall.offer(mall.sun).held == mall.offer(mall.wind).held == 0
    staff.post("/en/basket/update", remove=str(mall.sun))
    path_of(staff.buy(mall, mall.wind))
    [order] = mall.orders()
    assert order.code in staff.get("/en/account").text
    # Nobody else is stopped.
    assert "offered by your own organisation" not in text_of(visitor.get("/en/basket"))

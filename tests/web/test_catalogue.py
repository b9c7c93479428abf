"""The list of projects and the page of one, as a visitor without a cookie sees them."""

from __future__ import annotations

import re
from datetime import timedelta
from html import unescape

import pytest
from flask import Flask
from werkzeug.datastructures import MultiDict

from cnn_offset.blueprints.catalogue import address
from cnn_offset.blueprints.catalogue.cards import featured, figures
from cnn_offset.catalogue_index import ShelfKeeper
from cnn_offset.domain.facets import Query, Sort
from cnn_offset.domain.status import OfferStatus, PayoutStatus
from cnn_offset.domain.units import UnitType
from cnn_offset.extensions import db, platform
from cnn_offset.models import Offer
from tests.conftest import Clock
from tests.factories import (
    make_activity,
    make_block,
    make_offer,
    make_payout,
    make_provider,
    make_shop,
)


def text_of(html: str) -> str:
    """Return what is read of a page, with single spaces."""
    return " ".join(unescape(re.sub(r"<[^>]+>", " ", html)).split())


def titles(html: str) -> list[str]:
    return [unescape(each) for each in re.findall(r"<h3><a href=[^>]+>([^<]+)</a></h3>", html)]


@pytest.fixture
def shop(app: Flask) -> Flask:
    """Three projects: a wind farm in Kenya with two offers, a dam in India, a stove in Peru."""
    with app.app_context():
        provider = make_provider(name="Rift Lake")
        make_payout(provider, "paypal")
        wind = make_activity(slug="wind", title=titled("Naibor wind", "Éoliennes de Naibor"))
        make_offer(make_block(wind, provider, vintage=2012, commitment_period=1), price_minor=110)
        make_offer(
            make_block(wind, provider, vintage=2018, size=50), price_minor=900, currency="EUR"
        )
        dam = make_activity(
            slug="dam",
            title=titled("Teesta dam", "Barrage de Teesta"),
            host_party="IN",
            technology="hydro",
            ref="90077",
        )
        make_offer(make_block(dam, provider, vintage=2014, size=5000), min_quantity=10)
        stove = make_activity(
            slug="stove",
            title=titled("Andean stoves", "Foyers andins"),
            host_party="PE",
            technology="cookstoves",
            scope=3,
            registry_id="a64_interim",
        )
        make_offer(
            make_block(
                stove,
                provider,
                unit_type=UnitType.A64ER_CONTRIBUTION,
                vintage=2022,
                commitment_period=None,
            ),
            price_minor=1450,
        )
        db.session.commit()
    return app


def titled(english: str, french: str) -> dict[str, str]:
    return {"en": english, "fr": french, "es": english}


@pytest.mark.parametrize(
    ("lang", "words"),
    [
        ("en", ["Projects", "3 projects", "from USD 1.10 per tonne", "5,000 tonnes available"]),
        ("fr", ["3 projet", "1,10 USD", "Éoliennes de Naibor"]),
        ("es", ["3 pro", "1,10 USD", "Naibor wind"]),
    ],
)
def test_list_in_three_languages(shop: Flask, lang: str, words: list[str]) -> None:
    answer = shop.test_client().get(f"/{lang}/projects")
    page = text_of(answer.text)
    assert answer.status_code == 200
    assert f'<html lang="{lang}">' in answer.text
    assert answer.text.count("<h1") == 1
    for each in words:
        assert each in page


def test_a_reader_without_a_cookie_gets_none_and_no_token(shop: Flask) -> None:
    answer = shop.test_client().get("/en/projects")
    assert "Set-Cookie" not in answer.headers
    assert "csrf_token" not in answer.text


@pytest.mark.parametrize(
    ("query", "found"),
    [
        ("country=IN", ["Teesta dam"]),
        ("country=IN&country=PE&sort=price", ["Teesta dam", "Andean stoves"]),
        ("country=IN&technology=wind", []),
        ("technology=cookstoves", ["Andean stoves"]),
        ("scope=3", ["Andean stoves"]),
        ("vintage=2018", ["Naibor wind"]),
        ("price=0-2", ["Naibor wind"]),
        ("price=5-10", ["Naibor wind"]),
        ("price=10-20", ["Andean stoves"]),
        ("currency=EUR", ["Naibor wind"]),
        ("type=a64er_contribution", ["Andean stoves"]),
        ("registry=a64_interim", ["Andean stoves"]),
        ("period=1", ["Naibor wind"]),
        ("tonnes=2000", ["Teesta dam"]),
        ("tonnes=9&sort=price", ["Naibor wind", "Andean stoves"]),
        ("from=2&to=3", ["Teesta dam"]),
        ("q=teesta", ["Teesta dam"]),
        ("q=900", ["Teesta dam"]),
        ("q=barrage", []),
        ("sort=price", ["Naibor wind", "Teesta dam", "Andean stoves"]),
        ("sort=newest", ["Andean stoves", "Naibor wind", "Teesta dam"]),
        ("country=XX", []),
    ],
)
def test_filters(shop: Flask, query: str, found: list[str]) -> None:
    answer = shop.test_client().get(f"/en/projects?{query}")
    assert answer.status_code == 200
    assert titles(answer.text) == found
    if not found:
        assert "No project matches all of this at present." in answer.text


def test_search_is_in_the_readers_language_without_accents(shop: Flask) -> None:
    client = shop.test_client()
    assert titles(client.get("/fr/projects?q=eoliennes").text) == ["Éoliennes de Naibor"]
    assert titles(client.get("/en/projects?q=eoliennes").text) == []


def test_counts_set_the_facets_own_choices_aside(shop: Flask) -> None:
    page = text_of(shop.test_client().get("/en/projects?country=IN&vintage=2014").text)
    assert "India (1)" in page
    assert "Kenya" not in page  # nothing of 2014 there
    page = text_of(shop.test_client().get("/en/projects?country=IN").text)
    assert "Kenya (1)" in page
    assert "Peru (1)" in page
    assert "Hydropower (1)" in page
    assert "Wind power" not in page


def test_a_filtered_card_tells_of_matching_offers_only(shop: Flask) -> None:
    page = text_of(shop.test_client().get("/en/projects?vintage=2018").text)
    assert "from EUR 9.00 per tonne" in page
    assert "50 tonnes available" in page


def test_chips_lead_to_the_list_without_them(shop: Flask) -> None:
    page = shop.test_client().get("/en/projects?tonnes=10&country=IN&country=KE&sort=price").text
    chips = {
        text_of(text): unescape(url)
        for url, text in re.findall(r'<a class="chip" href="([^"]+)">(.*?)</a>', page)
    }
    assert chips == {
        "Remove filter: Can cover 10 tonnes ×": "/en/projects?country=IN&country=KE&sort=price",
        "Remove filter: India ×": "/en/projects?tonnes=10&country=KE&sort=price",
        "Remove filter: Kenya ×": "/en/projects?tonnes=10&country=IN&sort=price",
        "Remove all filters": "/en/projects",
    }


def test_one_question_has_one_address(shop: Flask) -> None:
    client = shop.test_client()
    sent = "/en/projects?sort=lot&country=KE&q=&country=IN&to=&tonnes=1%2C000&utm=x&page=1"
    answer = client.get(sent)
    assert answer.status_code == 302
    assert answer.location == "/en/projects?tonnes=1000&country=IN&country=KE"
    assert client.get(answer.location).status_code == 200
    assert client.get("/en/projects?page=99").location == "/en/projects"


@pytest.mark.parametrize(
    "args",
    [
        "q=vent+d%E2%80%99ouest&tonnes=12&from=0.5&to=10&country=IN&type=cer&sort=newest&page=3",
        "price=20-&vintage=2012&vintage=2013&period=2&scope=13",
        "",
    ],
)
def test_addresses_are_read_as_they_are_written(app: Flask, args: str) -> None:
    with app.test_request_context(f"/en/projects?{args}") as context:
        asked = address.read(context.request.args, "en")
    assert asked.errors == {}
    assert address.write(asked.query) == (f"?{args}" if args else "")


@pytest.mark.parametrize(
    ("name", "typed"),
    [
        ("tonnes", "0"),
        ("tonnes", "-5"),
        ("tonnes", "1.5"),
        ("tonnes", "many"),
        ("tonnes", "99999999999"),
        ("tonnes", "٣"),
        ("from", "-1"),
        ("from", "1e3"),
        ("to", "2.5.0"),
        ("to", "0.00001"),
        ("q", "…"),
    ],
)
def test_what_cannot_be_read_is_said_and_kept(shop: Flask, name: str, typed: str) -> None:
    answer = shop.test_client().get("/en/projects", query_string={name: typed})
    assert answer.status_code == 422
    assert "There is a problem" in answer.text
    assert f'<a href="#{name}">' in answer.text
    assert typed in unescape(answer.text)
    assert len(titles(answer.text)) == 3


def test_lowest_price_above_highest(shop: Flask) -> None:
    answer = shop.test_client().get("/en/projects?from=5&to=2")
    assert answer.status_code == 422
    assert "must not be below" in answer.text


def test_rubbish_in_an_address_is_harmless(shop: Flask) -> None:
    client = shop.test_client()
    for query in ("page=-1", "page=x", "sort=evil", "country=", "price=9", "scope=abc", "%ff=%fe"):
        answer = client.get(f"/en/projects?{query}", follow_redirects=True)
        assert answer.status_code == 200, query
    page = client.get('/en/projects?country="><script>alert(1)</script>').text
    assert "<script>alert" not in page


def test_query_is_bounded(app: Flask) -> None:
    args = MultiDict([("country", f"C{n}") for n in range(500)] + [("q", "wind " * 400)])
    with app.test_request_context("/en/projects"):
        query = address.read(args, "en").query
    assert len(query.values("country")) <= address.MOST_VALUES
    assert len(query.text) <= address.LONGEST_TEXT


def test_pages(app: Flask) -> None:
    with app.app_context():
        provider = make_provider()
        make_payout(provider, "paypal")
        for _ in range(50):
            make_offer(make_block(provider=provider))
        db.session.commit()
    client = app.test_client()
    first, second, last = (
        client.get(path).text
        for path in ("/en/projects", "/en/projects?page=2", "/en/projects?page=3")
    )
    assert [len(titles(page)) for page in (first, second, last)] == [24, 24, 2]
    assert len({*titles(first), *titles(second), *titles(last)}) == 50
    assert 'href="/en/projects?page=2" rel="next"' in first
    assert 'href="/en/projects" rel="prev"' in second


def test_only_what_can_be_bought_is_listed(app: Flask, clock: Clock) -> None:
    with app.app_context():
        kept = make_shop()
        for changes in (
            {"status": OfferStatus.CLOSED},
            {"quantity": 10, "held": 6, "min_quantity": 5},
            {"currency": "CHF"},
        ):
            make_shop(**changes)
        make_shop().block.eligible = False
        unpaid = make_shop()
        for payout in unpaid.provider.payout_methods:
            payout.status = PayoutStatus.REVOKED
        db.session.commit()
        title = kept.block.activity.title["en"]
    assert titles(app.test_client().get("/en/projects").text) == [title]


def test_a_registry_that_takes_no_orders_is_not_listed(make_app: object, clock: Clock) -> None:
    end = clock.now + timedelta(days=5)
    app = make_app(  # type: ignore[operator]
        REGISTRIES={
            "cdm": {
                "connector": "cdm",
                "base_url": "http://127.0.0.1:1/cdm",
                "token": "t",
                "last_order": end,
                "last_cancellation": end,
            }
        }
    )
    with app.app_context():
        bank_only = make_shop("bank_transfer").block.activity
        by_card = make_shop("stripe_connect").block.activity
        slug, names = bank_only.slug, (by_card.title["en"], bank_only.title["en"])
    client = app.test_client()
    # A bank transfer could come after the registry's last cancellation (C13).
    assert titles(client.get("/en/projects").text) == [names[0]]
    page = text_of(client.get(f"/en/projects/{slug}").text)
    assert "There is no way to pay this provider at present." in page
    clock.tick(days=6)
    assert titles(client.get("/en/projects").text) == []
    assert "takes no new orders" in client.get(f"/en/projects/{slug}").text


def test_activity_page(shop: Flask) -> None:
    answer = shop.test_client().get("/en/projects/wind")
    page = text_of(answer.text)
    assert answer.status_code == 200
    for each in (
        "Naibor wind",
        "Kenya · Wind power",
        "1. Energy industries",
        "2 offers",
        "Rift Lake",
        "First (2008–2012)",
        "Second (2013–2020)",
        "EUR 9.00",
        "1,000 tonnes",
        "PayPal or card",
        "1 January 2014 to 31 December 2014",
    ):
        assert each in page
    assert answer.text.count('name="offer"') == 2
    assert answer.text.count('name="quantity"') == 2
    assert 'href="/en/units/claims#cer"' in answer.text


def test_activity_page_shows_minimum_and_fills_it_in(shop: Flask) -> None:
    answer = shop.test_client().get("/en/projects/dam")
    assert "Smallest order 10 tonnes" in text_of(answer.text)
    assert re.search(r'name="quantity"[^>]+value="10"', answer.text)


def test_sold_out_is_said_and_cannot_be_bought(shop: Flask) -> None:
    with shop.app_context():
        for offer in db.session.query(Offer):
            offer.held = offer.quantity
        db.session.commit()
    page = shop.test_client().get("/en/projects/wind").text
    assert "Sold out" in page
    assert 'name="offer"' not in page


def test_text_in_another_language_says_so(shop: Flask) -> None:
    with shop.app_context():
        activity = make_activity(
            slug="only-french",
            title={"fr": "Parc solaire"},
            description={"fr": "Un champ de panneaux."},
            picture_alt={"fr": "Dessin"},
        )
        make_offer(make_block(activity, make_provider()))
        db.session.commit()
    page = shop.test_client().get("/en/projects/only-french").text
    assert '<h1 lang="fr">Parc solaire</h1>' in page
    assert "This text is not available in English." in page
    assert "not available" not in shop.test_client().get("/en/projects/wind").text


@pytest.mark.parametrize("lang", ["en", "fr", "es"])
def test_activity_page_without_offers(app: Flask, lang: str) -> None:
    with app.app_context():
        make_activity(slug="bare", picture="", registry_url="https://registry.example/1")
        db.session.commit()
    answer = app.test_client().get(f"/{lang}/projects/bare")
    assert answer.status_code == 200
    assert 'href="https://registry.example/1"' in answer.text
    assert "no-picture.svg" in answer.text


def test_unknown_project(any_app: Flask) -> None:
    for slug in ("nowhere", "%00"):
        assert any_app.test_client().get(f"/en/projects/{slug}").status_code == 404


def test_pictures_are_images_and_nothing_else_of_the_store(app: Flask) -> None:
    with app.app_context():
        files = platform().files
        files.makedirs("pictures", exist_ok=True)
        files.makedirs("attestations", exist_ok=True)
        files.pipe_file("pictures/a.svg", b"<svg xmlns='http://www.w3.org/2000/svg'/>")
        files.pipe_file("pictures/a.pdf", b"%PDF")
        files.pipe_file("attestations/1.png", b"secret")
    client = app.test_client()
    answer = client.get("/pictures/a.svg")
    assert answer.status_code == 200
    assert answer.mimetype == "image/svg+xml"
    assert answer.headers["X-Content-Type-Options"] == "nosniff"
    assert "sandbox" in answer.headers["Content-Security-Policy"]
    assert "default-src 'none'" in answer.headers["Content-Security-Policy"]
    assert "max-age=604800" in answer.headers["Cache-Control"]
    for path in (
        "a.pdf",
        "none.svg",
        "../attestations/1.png",
        "..%2fattestations%2f1.png",
        "%2e%2e/attestations/1.png",
        "x/../../attestations/1.png",
        "..\\attestations\\1.png",
    ):
        assert client.get(f"/pictures/{path}").status_code == 404, path


def test_front_page_figures(shop: Flask) -> None:
    with shop.test_request_context("/en/"):
        assert figures() == {
            "tonnes": 0,
            "attestations": 0,
            "earlier": 0,
            "projects": 3,
            "countries": 3,
        }
        cards = featured(2)
    assert len(cards) == 2
    assert all(card["url"].startswith("/en/projects/") and card["price"] for card in cards)


def test_the_shelf_is_read_anew_only_when_something_changed(shop: Flask) -> None:
    with shop.app_context():
        keeper = ShelfKeeper(db.engine, platform(), eager=False)
        first = keeper.shelf()
        assert keeper._renewed(first) is first
        offer = db.session.query(Offer).first()
        assert offer is not None
        offer.status = OfferStatus.CLOSED
        db.session.commit()
        second = keeper._renewed(first)
        assert second is not first
        assert second.texts is first.texts
        make_offer(make_block(make_activity(), offer.provider))
        db.session.commit()
        third = keeper._renewed(second)
        assert third.projects == second.projects + 1
        assert third.texts is not second.texts


def test_index_answers_a_repeated_question_with_the_same_object(shop: Flask) -> None:
    with shop.app_context():
        index = ShelfKeeper(db.engine, platform(), eager=False).shelf().index
        today = platform().clock().date()
        query = Query(sort=Sort.PRICE)
        assert index.find(query, today) is index.find(Query(sort=Sort.PRICE), today)

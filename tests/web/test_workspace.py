"""The frame of the workspace, its first page and the provider's particulars."""

from __future__ import annotations

import re
from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import pytest
from flask import Flask
from flask.testing import FlaskClient
from sqlalchemy import event, select

from cnn_offset.domain.staff import StaffRole
from cnn_offset.domain.status import ListingStatus, OfferStatus, PayoutStatus
from cnn_offset.extensions import db, unit_of_work
from cnn_offset.models import (
    AccountKind,
    BankEntry,
    Finding,
    Listing,
    Message,
    Offer,
    OfferTerms,
    PayoutMethod,
    Provider,
    RegistryAccount,
)
from cnn_offset.services import holdings
from cnn_offset.services.checklist import COUNTED, Point, Who, checklist, due
from tests.conftest import Clock
from tests.factories import make_activity, make_block, make_offer, make_payout, make_provider
from tests.web.people import add_person, log_in, post

OWNER = "owner@example.org"


@pytest.fixture
def slug(app: Flask) -> str:
    """A provider with nothing but an owner."""
    with app.app_context():
        provider = make_provider(address="1 Road")
        db.session.commit()
        made = provider.slug
    add_person(app, OWNER, "provider", made)
    return made


@pytest.fixture
def owner(app: Flask, slug: str) -> FlaskClient:
    return log_in(app, OWNER)


@pytest.fixture
def provider(app: Flask, slug: str) -> Iterator[Provider]:
    with app.test_request_context():
        yield db.session.scalars(select(Provider).where(Provider.slug == slug)).one()
        db.session.remove()


def points(provider: Provider, *, second_factor: bool = True) -> dict[str, Point]:
    db.session.commit()
    names = ("account", "holdings", "payout", "page", "offer", "factor")
    found = checklist(db.session(), provider.id, second_factor=second_factor)
    return dict(zip(names, found, strict=True))


@pytest.mark.parametrize("lang", ["en", "fr", "es"])
@pytest.mark.parametrize("page", ["provider", "provider/particulars"])
def test_pages_render_in_each_language(owner: FlaskClient, lang: str, page: str) -> None:
    answer = owner.get(f"/{lang}/{page}")
    assert answer.status_code == 200
    assert answer.text.count("<h1") == 1
    assert "css/workspace.css" in answer.text


def test_the_sheet_of_the_staff_is_not_for_visitors(client: FlaskClient) -> None:
    assert "workspace.css" not in client.get("/en/").text


def test_staff_lands_here(app: Flask, owner: FlaskClient) -> None:
    answer = owner.get("/en/account/login")
    assert answer.headers["Location"] == "/en/provider"


def test_one_way_is_marked_as_here(app: Flask, owner: FlaskClient) -> None:
    def here(page: str) -> list[tuple[str, str]]:
        nav = re.search(r'<nav class="ways".*?</nav>', owner.get(page).text, re.DOTALL)
        assert nav
        return re.findall(r'href="([^"]+)" aria-current="(\w+)"', nav[0])

    assert here("/en/provider") == [("/en/provider", "page")]
    assert here("/en/provider/orders?show=all") == [("/en/provider/orders", "page")]


def test_ways_of_the_desk(app: Flask) -> None:
    add_person(app, "op@example.org", "operator")
    desk = log_in(app, "op@example.org")
    text = desk.get("/en/operator/attention").text
    assert re.findall(r'<a href="([^"]+)" aria-current="page">', text) == ["/en/operator/attention"]
    assert 'href="/en/operator/applications"' in text


def test_a_new_provider_waits_for_us(provider: Provider) -> None:
    found = points(provider, second_factor=False)
    assert [each.who for each in found.values()] == [
        Who.US,
        Who.REGISTRY,
        Who.YOU,
        Who.YOU,
        Who.YOU,
        Who.YOU,
    ]


def test_the_account_is_mapped_then_read(provider: Provider, clock: Clock) -> None:
    account = holdings.open_account(
        db.session(),
        provider,
        registry_id="cdm",
        account_ref="PHA-1",
        kind=AccountKind.PERMANENT,
        now=clock(),
    )
    assert points(provider)["account"].who is Who.US
    activity = make_activity()
    holdings.map_activity(db.session(), account, activity, actor="op@x", now=clock())
    found = points(provider)
    assert found["account"].done
    assert found["holdings"].who is Who.REGISTRY
    account.last_error = "no such account"
    assert "by this number" in points(provider)["holdings"].todo
    account.last_error, account.read_at = "", clock()
    assert "reports no units" in points(provider)["holdings"].todo
    block = make_block(activity, provider, eligible=False)
    assert points(provider)["holdings"].who is Who.YOU
    block.eligible = True
    assert points(provider)["holdings"].done
    block.held = 0
    assert not points(provider)["holdings"].done


@pytest.mark.parametrize(
    ("method_id", "status", "who"),
    [
        ("bank_transfer", PayoutStatus.STARTED, Who.US),
        ("paypal", PayoutStatus.STARTED, Who.YOU),
        ("paypal", PayoutStatus.LIMITED, Who.PROCESSOR),
        ("paypal", PayoutStatus.REVOKED, Who.YOU),
        ("paypal", PayoutStatus.READY, None),
    ],
)
def test_how_one_is_paid(
    provider: Provider, method_id: str, status: PayoutStatus, who: Who | None
) -> None:
    make_payout(provider, method_id, status=status, todo=["Confirm the address."])
    found = points(provider)["payout"]
    assert found.who is who
    if status is PayoutStatus.LIMITED:
        assert found.details == ("Confirm the address.",)


@pytest.mark.parametrize(
    ("status", "who"),
    [
        (ListingStatus.DRAFT, Who.YOU),
        (ListingStatus.SUBMITTED, Who.US),
        (ListingStatus.REFUSED, Who.YOU),
        (ListingStatus.APPROVED, None),
    ],
)
def test_the_project_page(
    provider: Provider, clock: Clock, status: ListingStatus, who: Who | None
) -> None:
    _listing(provider, clock, status)
    assert points(provider)["page"].who is who


def test_a_page_that_was_public_before_counts_for_its_own_units(provider: Provider) -> None:
    public = make_activity(picture="pictures/a.svg")
    make_block(public)
    make_block(provider=provider)
    assert not points(provider)["page"].done
    make_block(public, provider)
    assert points(provider)["page"].done


def _listing(provider: Provider, clock: Clock, status: ListingStatus) -> None:
    db.session.add(
        Listing(
            activity_id=make_activity().id,
            provider_id=provider.id,
            number=1,
            status=status,
            title={},
            description={},
            labels={},
            created_at=clock(),
        )
    )


def test_ready_to_sell(app: Flask, owner: FlaskClient, provider: Provider, clock: Clock) -> None:
    assert "are open before you can sell" in owner.get("/en/provider").text
    account = holdings.open_account(
        db.session(),
        provider,
        registry_id="cdm",
        account_ref="PHA-1",
        kind=AccountKind.PERMANENT,
        now=clock(),
    )
    activity = make_activity()
    holdings.map_activity(db.session(), account, activity, actor="op@x", now=clock())
    offer = make_offer(make_block(activity, provider))
    make_payout(provider)
    _listing(provider, clock, ListingStatus.APPROVED)
    found = points(provider)
    assert all(each.done for each in found.values())
    assert "open before you can sell" not in owner.get("/en/provider").text
    offer.status = OfferStatus.CLOSED
    assert not points(provider)["offer"].done


def test_others_offers_do_not_count(provider: Provider) -> None:
    make_payout(make_provider())
    make_offer()
    found = points(provider)
    assert not found["offer"].done
    assert not found["payout"].done
    assert not found["holdings"].done


def test_what_is_due_is_counted_up_to_a_bound(provider: Provider, clock: Clock) -> None:
    for n in range(COUNTED + 5):
        _entry(provider, clock, f"k{n}")
    other = make_provider()
    _entry(other, clock, "k")
    _listing(provider, clock, ListingStatus.REFUSED)
    for why, changed_at in (
        ("Units have left.", clock()),
        ("", clock()),
        ("Units have left.", clock() - timedelta(days=30)),
    ):
        offer = make_offer(make_block(provider=provider), changed_at=changed_at)
        db.session.add(
            OfferTerms(
                offer_id=offer.id,
                version=offer.version,
                status=offer.status,
                price_minor=250,
                currency="USD",
                quantity=offer.quantity,
                min_quantity=1,
                actor="registry",
                why=why,
                at=changed_at,
            )
        )
    db.session.commit()
    found = due(db.session(), provider.id, now=clock())
    assert (found.bank_entries, found.shrunk, found.refused) == (COUNTED, 1, 1)


def _entry(provider: Provider, clock: Clock, key: str) -> None:
    db.session.add(
        BankEntry(
            provider_id=provider.id,
            key=key,
            finding=Finding.UNKNOWN,
            amount_minor=100,
            currency="USD",
            received_on=clock().date(),
            bank_ref=key,
            created_at=clock(),
        )
    )


def test_the_first_page_asks_few_questions(
    app: Flask, owner: FlaskClient, slug: str, clock: Clock
) -> None:
    """The number of queries does not grow with what there is."""
    with app.app_context():
        engine = db.engine

    def asked() -> int:
        seen: list[str] = []

        def note(_c: Any, _cursor: Any, statement: str, *_rest: Any) -> None:
            seen.append(statement)

        event.listen(engine, "before_cursor_execute", note)
        assert owner.get("/en/provider").status_code == 200
        event.remove(engine, "before_cursor_execute", note)
        return len(seen)

    few = asked()
    with app.app_context():
        provider = db.session.scalars(select(Provider).where(Provider.slug == slug)).one()
        for n in range(30):
            make_offer(make_block(provider=provider))
            _entry(provider, clock, f"k{n}")
            db.session.add(
                RegistryAccount(
                    provider_id=provider.id,
                    registry_id="cdm",
                    account_ref=f"A{n}",
                    kind=AccountKind.PERMANENT,
                    created_at=clock(),
                )
            )
        make_payout(provider)
        db.session.commit()
    assert asked() == few <= 13


PARTICULARS = {
    "address": "1 New Road\nNairobi",
    "country": "KE",
    "tax_id": "P051",
    "website": "wind.example",
    "email": "orders@wind.example",
    "locale": "fr",
}


def test_particulars_are_changed_and_the_old_address_told(
    app: Flask, owner: FlaskClient, provider: Provider
) -> None:
    old = provider.email
    answer = post(owner, "/en/provider/particulars", **PARTICULARS)
    assert answer.status_code == 302, answer.text
    db.session.expire_all()
    assert (provider.address, provider.tax_id) == ("1 New Road\nNairobi", "P051")
    assert provider.website == "https://wind.example"
    assert (provider.email, provider.locale) == ("orders@wind.example", "fr")
    told = db.session.scalars(
        select(Message).where(Message.kind == "provider_address_changed")
    ).all()
    assert [each.recipient for each in told] == [old]
    assert "orders@wind.example" in owner.get("/en/provider/particulars").text
    # Nothing changes, nobody is told.
    assert post(owner, "/en/provider/particulars", **PARTICULARS).status_code == 302
    db.session.rollback()
    assert len(db.session.scalars(select(Message)).all()) == 1


@pytest.mark.parametrize(
    "wrong",
    [
        {"address": ""},
        {"address": "x" * 501},
        {"address": "a\u202eb"},
        {"country": "XX"},
        {"tax_id": "1" * 41},
        {"website": "javascript:alert(1)"},
        {"website": "https://me@evil.example"},
        {"email": "nobody"},
        {"email": ""},
        {"locale": "de"},
    ],
)
def test_wrong_particulars_come_back(
    owner: FlaskClient, provider: Provider, wrong: dict[str, str]
) -> None:
    answer = post(owner, "/en/provider/particulars", **{**PARTICULARS, **wrong})
    assert answer.status_code == 422
    assert 'class="error-summary"' in answer.text
    assert "P051" in answer.text or "tax_id" in wrong, "what was typed is kept"
    db.session.expire_all()
    assert provider.tax_id == ""


def test_sales_people_only_look(app: Flask, slug: str, provider: Provider) -> None:
    db.session.rollback()
    add_person(app, "sales@example.org", "provider", slug, staff_role=StaffRole.SALES)
    sales = log_in(app, "sales@example.org")
    page = sales.get("/en/provider/particulars")
    assert page.status_code == 200
    assert 'name="tax_id"' not in page.text
    assert post(sales, "/en/provider/particulars", **PARTICULARS).status_code == 403
    db.session.expire_all()
    assert provider.tax_id == ""


def test_the_second_factor_is_asked_afresh(
    app: Flask, owner: FlaskClient, provider: Provider, clock: Clock
) -> None:
    clock.tick(minutes=30)
    answer = post(owner, "/en/provider/particulars", **PARTICULARS)
    assert answer.status_code == 302
    assert "/account/verify" in answer.headers["Location"]
    with unit_of_work() as session:
        assert session.get_one(Provider, provider.id).tax_id == ""
    assert db.session.scalars(select(Offer)).all() == []
    assert db.session.scalars(select(PayoutMethod)).all() == []

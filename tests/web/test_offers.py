"""Offers at the browser: the form, two staff at once, private links, tables."""

from __future__ import annotations

import io
import re
from datetime import UTC, datetime

import pytest
from flask import Flask
from flask.testing import FlaskClient
from sqlalchemy import select
from werkzeug.test import TestResponse

from cnn_offset.domain.staff import StaffRole
from cnn_offset.domain.status import OfferStatus, PayoutStatus
from cnn_offset.extensions import db
from cnn_offset.models import Block, Offer, PayoutMethod, Provider
from tests.factories import NOW, make_activity, make_block, make_offer, make_payout, make_provider
from tests.web.people import add_person, log_in, post, token
from tests.web.shopping import text_of

GOOD = {"kind": "public", "price": "2.40", "currency": "USD", "quantity": "500", "minimum": "1"}


@pytest.fixture
def block_id(app: Flask) -> int:
    """A block of a provider that can be paid in USD and EUR by bank transfer."""
    with app.app_context():
        provider = make_provider(slug="ours", name="Ours")
        make_payout(provider, "bank_transfer", tested_at=NOW)
        block = make_block(make_activity(ref="7007"), provider)
        db.session.commit()
        return block.id


@pytest.fixture
def staff(app: Flask, block_id: int) -> FlaskClient:
    add_person(app, "staff@example.org", "provider", "ours")
    return log_in(app, "staff@example.org")


def offers(app: Flask) -> list[Offer]:
    with app.app_context():
        return list(db.session.scalars(select(Offer).order_by(Offer.id)))


def offer(client: FlaskClient, block_id: int, lang: str = "en", **data: str) -> TestResponse:
    return post(client, f"/{lang}/provider/holdings/{block_id}/offer", **{**GOOD, **data})


def test_a_block_is_put_on_sale(app: Flask, staff: FlaskClient, block_id: int) -> None:
    form = staff.get(f"/en/provider/holdings/{block_id}/offer")
    assert form.status_code == 200
    assert 'value="1,000"' in form.text, "all that is free"
    answer = offer(staff, block_id, ends_on="2026-11-30")
    assert answer.status_code == 302
    [made] = offers(app)
    assert (made.price_minor, made.currency, made.quantity, made.private_token) == (
        240, "USD", 500, None,
    )  # fmt: skip
    page = staff.get(answer.headers["Location"])
    assert "USD 2.40" in text_of(page)
    assert "30 November 2026" in text_of(page)
    assert "USD 2.40" in text_of(staff.get("/en/provider/offers"))
    with app.app_context():
        slug = db.session.get_one(Block, block_id).activity.slug
    assert "USD 2.40" in text_of(app.test_client().get(f"/en/projects/{slug}"))


@pytest.mark.parametrize(
    ("lang", "price", "minor"),
    [
        ("en", "1,234.50", 123450),
        ("fr", "1 234,50", 123450),
        ("fr", "1234,5", 123450),
        ("es", "1.234,50", 123450),
        ("es", "2,4", 240),
        ("en", "2", 200),
    ],
)
def test_prices_as_people_write_them(
    app: Flask, staff: FlaskClient, block_id: int, lang: str, price: str, minor: int
) -> None:
    assert offer(staff, block_id, lang, price=price).status_code == 302
    assert [each.price_minor for each in offers(app)] == [minor]


@pytest.mark.parametrize(
    ("changes", "field"),
    [
        ({"price": "0"}, "price"),
        ({"price": "-2"}, "price"),
        ({"price": "1e9"}, "price"),
        ({"price": "2,40"}, "price"),
        ({"price": "2.405"}, "price"),
        ({"price": ""}, "price"),
        ({"price": "USD 2"}, "price"),
        ({"price": "99999999999"}, "price"),
        ({"price": "\u0663"}, "price"),
        ({"currency": "XXX"}, "price"),
        ({"currency": "CHF"}, "currency"),
        ({"currency": ""}, "currency"),
        ({"quantity": "1001"}, "quantity"),
        ({"quantity": "0"}, "quantity"),
        ({"quantity": "1.5"}, "quantity"),
        ({"quantity": "9" * 30}, "quantity"),
        ({"minimum": "501"}, "minimum"),
        ({"minimum": "x"}, "minimum"),
        ({"ends_on": "2026-11-01"}, "ends_on"),
        ({"ends_on": "tomorrow"}, "ends_on"),
        ({"kind": "secret"}, "kind"),
        ({"kind": "private", "customer": "x" * 300}, "customer"),
        ({"kind": "private", "customer": "a\u202eb"}, "customer"),
    ],
)
def test_bad_terms_come_back_with_what_was_typed(
    app: Flask, staff: FlaskClient, block_id: int, changes: dict[str, str], field: str
) -> None:
    answer = offer(staff, block_id, **changes)
    assert answer.status_code == 422
    assert f'href="#{field}"' in answer.text
    assert 'value="500"' in answer.text or "quantity" in changes
    assert offers(app) == []


def test_without_a_way_to_be_paid_nothing_is_offered(
    app: Flask, staff: FlaskClient, block_id: int
) -> None:
    with app.app_context():
        db.session.scalars(select(PayoutMethod)).one().status = PayoutStatus.LIMITED
        db.session.commit()
    assert "/en/provider/payouts" in staff.get(f"/en/provider/holdings/{block_id}/offer").text
    answer = offer(staff, block_id)
    assert answer.status_code == 422
    assert "cannot be paid" in text_of(answer)


def test_two_staff_edit_one_offer(app: Flask, staff: FlaskClient, block_id: int) -> None:
    offer(staff, block_id)
    [made] = offers(app)
    path = f"/en/provider/offers/{made.id}/change"
    form = staff.get(path)
    assert 'name="version" value="1"' in form.text
    assert post(staff, path, **{**GOOD, "price": "2.50"}, version="1").status_code == 302
    late = post(staff, path, **{**GOOD, "price": "9.99"}, version="1")
    assert late.status_code == 422
    assert "changed this offer since" in text_of(late)
    assert 'value="9.99"' in late.text, "what was typed stays"
    assert "USD 2.50" in text_of(late), "beside what is in force"
    assert 'name="version" value="2"' in late.text
    assert [each.price_minor for each in offers(app)] == [250]
    assert "Changed" in text_of(staff.get(f"/en/provider/offers/{made.id}"))


def test_withdrawing(app: Flask, staff: FlaskClient, block_id: int) -> None:
    offer(staff, block_id)
    [made] = offers(app)
    for _ in range(2):
        assert post(staff, f"/en/provider/offers/{made.id}/withdraw").status_code == 302
    assert [each.status for each in offers(app)] == [OfferStatus.CLOSED]
    assert staff.get(f"/en/provider/offers/{made.id}/change").status_code == 302
    assert "7007" not in staff.get("/en/provider/offers").text
    assert "7007" in staff.get("/en/provider/offers?show=closed&q=7007").text
    assert "7007" not in staff.get("/en/provider/offers?show=closed&q=8008").text


def test_another_providers_things_do_not_exist(
    app: Flask, staff: FlaskClient, block_id: int
) -> None:
    with app.app_context():
        theirs = make_offer()
        db.session.commit()
        offer_id, their_block = theirs.id, theirs.block_id
    for path in (
        f"holdings/{their_block}", f"holdings/{their_block}/offer", f"offers/{offer_id}",
        f"offers/{offer_id}/change",
    ):  # fmt: skip
        assert staff.get(f"/en/provider/{path}").status_code == 404, path
    for path in (f"holdings/{their_block}/offer", f"offers/{offer_id}/change",
                 f"offers/{offer_id}/withdraw"):  # fmt: skip
        assert post(staff, f"/en/provider/{path}", **GOOD, version="1").status_code == 404, path
    assert f"/offers/{offer_id}" not in staff.get("/en/provider/offers?show=all").text


def test_who_keeps_accounts_may_only_look(app: Flask, staff: FlaskClient, block_id: int) -> None:
    offer(staff, block_id)
    add_person(app, "acc@example.org", "provider", "ours", staff_role=StaffRole.ACCOUNTS)
    accounts = log_in(app, "acc@example.org")
    assert "Withdraw" not in text_of(accounts.get("/en/provider/offers/1"))
    assert accounts.get("/en/provider/offers/table.csv").status_code == 200
    for path in (f"holdings/{block_id}/offer", "offers/1/change", "offers/table"):
        assert accounts.get(f"/en/provider/{path}").status_code == 403
        assert post(accounts, f"/en/provider/{path}", **GOOD).status_code == 403
    assert post(accounts, "/en/provider/offers/1/withdraw").status_code == 403


# Private offers


@pytest.fixture
def private(app: Flask, staff: FlaskClient, block_id: int) -> Offer:
    offer(staff, block_id, kind="private", customer="Big & Co", minimum="10")
    [made] = offers(app)
    return made


@pytest.mark.parametrize("lang", ["en", "fr", "es"])
def test_the_link_leads_to_the_offer(app: Flask, private: Offer, lang: str) -> None:
    path = f"/{lang}/private/{private.private_token}"
    answer = app.test_client().get(path)
    assert answer.status_code == 200
    assert "2.40" in answer.text or "2,40" in answer.text
    assert "noindex" in answer.text
    assert answer.headers["Cache-Control"] == "no-store"
    assert "Big" not in text_of(answer), "the label is the provider's"
    assert app.test_client().get(f"/{lang}/private/{'x' * 43}").status_code == 404


def test_only_who_has_the_link_can_order(app: Flask, private: Offer) -> None:
    stranger, customer = app.test_client(), app.test_client()
    wanted = {"offer": str(private.id), "quantity": "10"}
    secret = str(private.private_token)
    for guess in ({}, {"token": ""}, {"token": "x"}, {"token": "\u00e9"}):
        assert post(stranger, "/en/basket/add", **wanted, **guess).status_code == 422
    assert "USD" not in text_of(stranger.get("/en/basket"))
    few = post(customer, "/en/basket/add", **{**wanted, "quantity": "1"}, token=secret)
    assert few.status_code == 422
    assert secret in few.text, "the form that comes back knows it too"
    assert secret not in post(stranger, "/en/basket/add", **wanted).text
    assert post(customer, "/en/basket/add", **wanted, token=secret).status_code == 303
    assert "USD 24.00" in text_of(customer.get("/en/basket"))
    # Once in the basket the quantity can be changed without the link.
    assert post(customer, "/en/basket/add", **{**wanted, "quantity": "20"}).status_code == 303


def test_a_private_offer_is_on_no_list(app: Flask, private: Offer) -> None:
    with app.app_context():
        slug = db.session.get_one(Offer, private.id).block.activity.slug
    visitor = app.test_client()
    for path in ("/en/projects", f"/en/projects/{slug}", "/en/"):
        assert "2.40" not in visitor.get(path).text, path


def test_a_private_offer_that_has_ended_says_so(
    app: Flask, staff: FlaskClient, private: Offer
) -> None:
    post(staff, f"/en/provider/offers/{private.id}/withdraw")
    answer = app.test_client().get(f"/en/private/{private.private_token}")
    assert answer.status_code == 200
    assert "has ended" in text_of(answer)
    assert "Add to basket" not in text_of(answer)


# Tables


def upload(client: FlaskClient, raw: bytes, lang: str = "en") -> TestResponse:
    return client.post(
        f"/{lang}/provider/offers/table",
        data={"csrf_token": token(client), "file": (io.BytesIO(raw), "offers.csv")},
        content_type="multipart/form-data",
    )


def apply(client: FlaskClient, preview: TestResponse, lang: str = "en") -> TestResponse:
    found = re.search(r'name="wishes" value="([^"]*)"', preview.text)
    assert found is not None
    return post(client, f"/{lang}/provider/offers/table/apply", wishes=found[1])


HEADS = {
    "en": "Registry,Account,Block,Price,Currency,Quantity,Smallest order,Last day",
    "fr": "Registre;Compte;Bloc;Prix;Devise;Quantité;Minimum;Dernier jour",
    "es": "Registro\tCuenta\tBloque\tPrecio\tMoneda\tCantidad\tMínimo\tÚltimo día",
}


def ref(app: Flask, block_id: int) -> str:
    with app.app_context():
        return db.session.get_one(Block, block_id).block_ref


@pytest.mark.parametrize("coding", ["utf-8", "utf-8-sig", "utf-16", "cp1252"])
@pytest.mark.parametrize("lang", ["en", "fr", "es"])
def test_a_table_is_looked_at_and_then_applied(
    app: Flask, staff: FlaskClient, block_id: int, lang: str, coding: str
) -> None:
    sign = {"en": ",", "fr": ";", "es": "\t"}[lang]
    price = {"en": "2.40", "fr": "2,40", "es": "2,40"}[lang]
    row = ["cdm", "", ref(app, block_id), price, "usd", "500", "5", "2026-11-30"]
    text = HEADS[lang] + "\r\n" + sign.join(row) + "\r\n"
    preview = upload(staff, text.encode(coding), lang)
    assert preview.status_code == 200
    assert offers(app) == [], "nothing yet"
    assert apply(staff, preview, lang).status_code == 302
    [made] = offers(app)
    assert (made.price_minor, made.quantity, made.min_quantity) == (240, 500, 5)
    assert made.ends_at == datetime(2026, 12, 1, tzinfo=UTC)
    # The same again is no news; applied again it changes nothing.
    assert 'name="wishes"' not in upload(staff, text.encode(coding), lang).text
    assert apply(staff, preview, lang).status_code == 302
    assert [each.version for each in offers(app)] == [1]


@pytest.mark.parametrize("lang", ["en", "fr", "es"])
def test_what_is_downloaded_can_be_uploaded(
    app: Flask, staff: FlaskClient, block_id: int, lang: str
) -> None:
    offer(staff, block_id, ends_on="2026-11-30")
    with app.app_context():
        provider = db.session.scalars(select(Provider).where(Provider.slug == "ours")).one()
        odd = make_block(make_activity(), provider, block_ref="=1+1")
        make_offer(odd, price_minor=123456)
        make_offer(odd, price_minor=1, quantity=1, private_token="secret", status="closed")
        db.session.commit()
    answer = staff.get(f"/{lang}/provider/offers/table.csv")
    assert answer.headers["Content-Disposition"] == 'attachment; filename="offers.csv"'
    raw = answer.data
    assert b"'=1+1" in raw
    assert len(raw.splitlines()) == 3
    same = upload(staff, raw, lang)
    assert same.status_code == 200
    assert 'name="wishes"' not in same.text
    changed = raw.replace(b"2.40", b"3.10").replace(b"2,40", b"3,10")
    preview = upload(staff, changed, lang)
    assert preview.text.count("<del>") == 1
    assert apply(staff, preview, lang).status_code == 302
    assert offers(app)[0].price_minor == 310


def test_rows_with_errors_are_told_and_left_out(
    app: Flask, staff: FlaskClient, block_id: int
) -> None:
    with app.app_context():
        theirs = make_block().block_ref
        db.session.commit()
    good = ref(app, block_id)
    rows = [
        f"cdm,,{good},2.40,USD,500,1,",
        f"cdm,,{good},2.50,USD,500,1,",
        f"cdm,,{theirs},2.40,USD,5,1,",
        "cdm,,nothing,2.40,USD,5,1,",
        f"cdm,other,{good},2.40,USD,5,1,",
        f"cdm,,{good},free,USD,5,1,",
        f"cdm,,{good},2.40,USD,many,1,",
        f"cdm,,{good},2.40,USD,5,1,soon",
        f"a64_final,,{good},2.40,USD,5,1,",
        "cdm,,",
    ]
    preview = upload(staff, ("\n".join([HEADS["en"], *rows])).encode())
    assert preview.status_code == 200
    assert "New: 1, changed: 0, unchanged: 0, with errors: 9" in text_of(preview)
    assert apply(staff, preview).status_code == 302
    assert [each.price_minor for each in offers(app)] == [240]


@pytest.mark.parametrize(
    "raw",
    [
        b"",
        b"\x00\x01\x02",
        b"PK\x03\x04" + bytes(200),
        b"a,b,c\n1,2,3\n",
        HEADS["en"].encode(),
        (HEADS["en"] + ",Price\ncdm,,x,1,USD,1,1,,2").encode(),
        (HEADS["en"] + '\ncdm,,"x,1,USD').encode(),
        (HEADS["en"] + "\n" + "cdm,,x,1,USD,1,1,\n" * 2001).encode(),
        HEADS["en"].encode() + b"\n" + b"x" * 2**20,
    ],
    ids=["empty", "zeros", "xlsx", "headless", "bare", "twice", "quotes", "long", "large"],
)
def test_what_is_no_table_is_refused(staff: FlaskClient, raw: bytes) -> None:
    answer = upload(staff, raw)
    assert answer.status_code == 422
    assert 'href="#file"' in answer.text


def test_an_offer_changed_since_the_preview_is_not_touched(
    app: Flask, staff: FlaskClient, block_id: int
) -> None:
    offer(staff, block_id)
    table = f"{HEADS['en']}\ncdm,,{ref(app, block_id)},2.60,USD,500,1,\n".encode()
    preview = upload(staff, table)
    post(staff, "/en/provider/offers/1/change", **{**GOOD, "price": "2.50"}, version="1")
    answer = apply(staff, preview)
    assert answer.status_code == 422
    assert "changed this offer since" in text_of(answer)
    assert [each.price_minor for each in offers(app)] == [250]


@pytest.mark.parametrize(
    "wishes",
    [
        "",
        "x",
        "\t" * 8,
        "cdm\tA\tB\t1\tUSD\t1\t1\t\tx",
        "cdm\tA\tB\t" + "9" * 40 + "\tUSD\t1\t1\t\t0",
    ],
)
def test_a_forged_form_does_nothing(app: Flask, staff: FlaskClient, wishes: str) -> None:
    answer = post(staff, "/en/provider/offers/table/apply", wishes=wishes)
    assert answer.status_code == 302
    assert offers(app) == []


def test_a_forged_row_of_another_provider_is_refused(
    app: Flask, staff: FlaskClient, block_id: int
) -> None:
    with app.app_context():
        block = make_block()
        db.session.commit()
        row = f"cdm\t{block.account_ref}\t{block.block_ref}\t100\tUSD\t1\t1\t\t0"
    answer = post(staff, "/en/provider/offers/table/apply", wishes=row)
    assert answer.status_code == 422
    assert offers(app) == []

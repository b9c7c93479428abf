"""Writing to us: the form of each kind, attestations sent at once, strangers told nothing."""

from __future__ import annotations

from typing import Any

import pytest
from flask import Flask
from flask.testing import FlaskClient

from cnn_offset.domain.casework import CaseKind, CaseSide
from cnn_offset.extensions import db, platform
from cnn_offset.models import Case, IncomingMail, Message, Order
from tests.casework import ADA, TOKEN, make_case, reply
from tests.conftest import Clock
from tests.web.people import add_person, log_in, post
from tests.web.selling import Sale, sell
from tests.web.shopping import text_of

TEXT = "My units have not come."


@pytest.fixture
def sale(app: Flask, clock: Clock) -> Sale:
    return sell(app, clock, method="bank_transfer")


def cases_of(app: Flask) -> list[Case]:
    with app.app_context():
        return list(db.session.query(Case).order_by(Case.id))


def mails(app: Flask, kind: str) -> list[str]:
    with app.app_context():
        return [row.recipient for row in db.session.query(Message).filter_by(kind=kind)]


def follow(client: FlaskClient, answer: Any) -> str:
    assert answer.status_code == 303, text_of(answer)
    return text_of(client.get(answer.location))


@pytest.mark.parametrize("lang", ["en", "fr", "es"])
def test_pages_in_each_language(client: FlaskClient, app: Flask, sale: Sale, lang: str) -> None:
    with app.app_context():
        token = db.session.get_one(Order, sale.order_id).token
    paths = ["contact/write", *(f"contact/write?kind={kind}" for kind in CaseKind)]
    paths += [f"contact/order/{token}", f"contact/order/{token}?kind=payment"]
    for path in paths:
        answer = client.get(f"/{lang}/{path}")
        assert answer.status_code == 200
        assert f'<html lang="{lang}">' in answer.text
        assert answer.text.count("<h1") == 1
        assert answer.headers["Cache-Control"] == "no-store"
    for path in ("contact/looked", "contact/sent"):
        assert client.get(f"/{lang}/{path}").status_code == 302


def test_each_kind_asks_what_it_needs(client: FlaskClient) -> None:
    asks = {
        kind: [name for name in ("order", "email", "name", "text") if f'name="{name}"' in
               client.get(f"/en/contact/write?kind={kind}").text]
        for kind in CaseKind
    }  # fmt: skip
    everything = ["order", "email", "name", "text"]
    assert asks == {
        "order": everything, "certificate": everything, "payment": everything,
        "listing": everything[1:], "other": everything[1:],
    }  # fmt: skip
    page = client.get("/en/contact/write?kind=payment").text
    assert "PayPal decides on disputes" in page


@pytest.mark.parametrize(
    ("changes", "name", "said"),
    [
        ({"email": ""}, "email", "Please enter an e-mail address"),
        ({"email": "a@b\r\nBcc: x@y.org"}, "email", "Please enter an e-mail address"),
        ({"order": ""}, "order", "Please enter the order number"),
        ({"order": "x" * 41}, "order", "at most 40 letters"),
        ({"text": " "}, "text", "Please write what it is about"),
        ({"text": "x" * 5001}, "text", "at most 5,000 letters"),
        ({"text": "a\u202eb"}, "text", "invisible sign"),
        ({"name": "x" * 201}, "name", "at most 200 letters"),
    ],
)
def test_a_faulty_form_comes_back(
    client: FlaskClient, app: Flask, changes: dict[str, str], name: str, said: str
) -> None:
    values = {"kind": "order", "order": "SOMECODE1", "email": ADA, "text": TEXT, **changes}
    answer = post(client, "/en/contact/write", **values)
    assert answer.status_code == 422
    assert f'id="{name}-error"' in answer.text
    assert said in text_of(answer)
    assert "Error:" in answer.text.split("<title>")[1][:30]
    if name != "text":
        assert TEXT in answer.text
    assert cases_of(app) == []


@pytest.mark.parametrize("kind", ["", "nonsense", "\0"])
def test_an_unknown_kind_leads_to_the_choice(client: FlaskClient, kind: str) -> None:
    answer = post(client, "/en/contact/write", kind=kind, text=TEXT)
    assert answer.status_code == 200
    assert "What is it about?" in answer.text


def test_a_case_is_tied_only_to_the_askers_own_order(
    client: FlaskClient, app: Flask, sale: Sale
) -> None:
    pages = []
    for email, order in ((ADA, sale.code.lower()), ("eve@example.org", sale.code), (ADA, "NOSUCH")):
        answer = post(
            client, "/en/contact/write", kind="order", email=email, order=order, text=TEXT
        )
        pages.append(follow(client, answer))
    mine, theirs, none = cases_of(app)
    assert (mine.order_id, mine.side, mine.order_typed) == (sale.order_id, CaseSide.PURCHASER, "")
    assert (theirs.order_id, theirs.side) == (None, CaseSide.VISITOR)
    assert (theirs.order_typed, none.order_typed) == (sale.code, "NOSUCH")
    # What a stranger reads says nothing of the order.
    for page, case in zip(pages, (mine, theirs, none), strict=True):
        assert case.code in page
        assert sale.code not in page
    assert pages[0].replace(mine.code, "X") == pages[2].replace(none.code, "X")
    assert mails(app, "case_opened") == [ADA, "eve@example.org", ADA]


def test_what_people_type_is_text(client: FlaskClient, app: Flask) -> None:
    evil = "\"'><svg/onload=x>{{7*7}}"
    answer = post(client, "/en/contact/write", kind="other", email="x", name=evil, text=evil)
    assert answer.status_code == 422
    assert "<svg/onload" not in answer.text
    assert "&lt;svg/onload" in answer.text
    assert "49" not in text_of(answer)


def test_where_is_my_attestation(client: FlaskClient, app: Flask, sale: Sale) -> None:
    ask = {"kind": "certificate", "email": ADA, "order": sale.code}
    page = follow(client, post(client, "/en/contact/write", **ask))
    assert "It has not been issued yet" in page
    assert mails(app, "order_stands") == [ADA]
    assert cases_of(app) == []
    page = follow(client, post(client, "/en/contact/write", **ask, open="yes"))
    (case,) = cases_of(app)
    assert case.code in page
    assert (case.kind, case.order_id) == (CaseKind.CERTIFICATE, sale.order_id)
    assert case.summary == "I have not received my attestation."


def test_an_issued_attestation_goes_to_the_order_alone(
    client: FlaskClient, app: Flask, sale: Sale, monkeypatch: pytest.MonkeyPatch
) -> None:
    from cnn_offset.services import contacting

    sent: list[str] = []

    def send(_session: object, order: Order | None, **_: object) -> contacting.Outcome:
        if order is None:
            return contacting.Outcome.UNKNOWN
        sent.append(order.email)
        return contacting.Outcome.ISSUED

    monkeypatch.setattr(contacting, "send_attestation", send)
    ask = {"kind": "certificate", "order": sale.code}
    page = follow(client, post(client, "/en/contact/write", **ask, email=ADA))
    assert "It was issued, and is on its way to you again" in page
    assert sent == [ADA]
    for strange in ({"email": "eve@example.org"}, {"email": ADA, "order": "NOSUCH"}):
        page = follow(client, post(client, "/en/contact/write", **{**ask, **strange}))
        assert "could not put number and address together" in page
    assert sent == [ADA]
    assert ADA not in page


def test_from_the_page_of_an_order(client: FlaskClient, app: Flask, sale: Sale) -> None:
    with app.app_context():
        token = db.session.get_one(Order, sale.order_id).token
    assert f'href="/en/contact/order/{token}"' in client.get(f"/en/orders/{token}").text
    path = f"/en/contact/order/{token}"
    assert post(client, path, kind="order", text="").status_code == 422
    page = follow(client, post(client, path, kind="order", text=TEXT))
    (case,) = cases_of(app)
    assert case.code in page
    assert (case.order_id, case.email, case.name) == (sale.order_id, ADA, "Ada Example")
    page = follow(client, post(client, path, kind="certificate"))
    assert "It has not been issued yet" in page
    follow(client, post(client, path, kind="certificate", open="yes"))
    assert len(cases_of(app)) == 2
    # Kinds that are not about an order are not to be had here.
    assert post(client, path, kind="listing", text=TEXT).status_code == 200
    for wrong in ("nosuch", "%00"):
        assert client.get(f"/en/contact/order/{wrong}").status_code == 404
    assert len(cases_of(app)) == 2


def test_a_provider_asks_about_its_order(app: Flask, sale: Sale, clock: Clock) -> None:
    add_person(app, "owner@example.org", "provider", sale.provider)
    other = sell(app, clock, method="bank_transfer")
    browser = log_in(app, "owner@example.org")
    path = f"/en/provider/orders/{sale.code}/ask"
    assert f'href="{path}"' in browser.get(f"/en/provider/orders/{sale.code}").text
    assert browser.get(path).status_code == 200
    for wrong in ({"kind": "order"}, {"text": TEXT}, {"kind": "listing", "text": TEXT}):
        assert post(browser, path, **wrong).status_code == 422
    answer = post(browser, path, kind="payment", text=TEXT)
    (case,) = cases_of(app)
    assert case.code in browser.get(answer.location).text
    assert (case.side, case.email, case.order_id) == (
        CaseSide.PROVIDER, "owner@example.org", sale.order_id,
    )  # fmt: skip
    assert browser.get(f"/en/provider/orders/{other.code}/ask").status_code == 404


def test_staff_with_a_problem_of_listing_is_known(app: Flask, sale: Sale) -> None:
    add_person(app, "owner@example.org", "provider", sale.provider)
    browser = log_in(app, "owner@example.org")
    page = browser.get("/en/contact/write?kind=listing").text
    assert 'value="owner@example.org"' in page
    follow(browser, post(browser, "/en/contact/write", kind="listing", email="owner@example.org", text=TEXT))  # fmt: skip
    (case,) = cases_of(app)
    assert case.side is CaseSide.PROVIDER
    assert case.provider_id is not None


def test_not_too_often(make_app: Any) -> None:
    browser = make_app(RATE_LIMITS=True).test_client()
    statuses = [
        post(browser, "/en/contact/write", kind="other", email="", text="").status_code
        for _ in range(21)
    ]
    assert statuses == [422] * 20 + [429]


@pytest.fixture
def post_app(make_app: Any) -> Flask:
    made: Flask = make_app(INCOMING_MAIL_TOKEN=TOKEN)
    return made


def test_mails_are_posted_by_our_mail_server_alone(post_app: Flask, app: Flask) -> None:
    with post_app.app_context():
        raw = reply(make_case(), "Hello").as_bytes()
        db.session.remove()
    right = {"Authorization": f"Bearer {TOKEN}"}
    browser = post_app.test_client()
    for headers in ({}, {"Authorization": "Bearer wrong"}, {"Authorization": TOKEN[:-1]}, {"Authorization": "Bearer ñ"}):  # fmt: skip
        assert browser.post("/hooks/mail", data=raw, headers=headers).status_code == 401
    for _ in range(2):
        assert browser.post("/hooks/mail", data=raw, headers=right).status_code == 200
    for odd in (b"", b"\0\xff", b"To: nobody@example.org\r\n\r\nx"):
        answer = browser.post("/hooks/mail", data=odd, headers=right)
        # Nobody learns who is written to.
        assert (answer.status_code, answer.data) == (200, b"")
    with post_app.app_context():
        row = db.session.query(IncomingMail).one()
        assert platform().files.cat_file(row.path) == raw
        db.session.remove()
    # Without a token there is no such door.
    assert app.test_client().post("/hooks/mail", data=raw, headers=right).status_code == 404


def test_a_mail_may_be_larger_than_a_form(post_app: Flask, monkeypatch: Any) -> None:
    from cnn_offset.blueprints import hooks

    browser, right = post_app.test_client(), {"Authorization": f"Bearer {TOKEN}"}
    assert browser.post("/hooks/mail", data=b"x" * (7 * 2**20), headers=right).status_code == 200
    monkeypatch.setattr(hooks, "LARGEST_MAIL", 1000)
    assert browser.post("/hooks/mail", data=b"x" * 1001, headers=right).status_code == 413

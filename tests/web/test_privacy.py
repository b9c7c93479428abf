"""Personal data: looked up, taken along, erased by two; the own account exported and closed."""

from __future__ import annotations

import io
import json
from zipfile import ZipFile

import pytest
from flask import Flask
from flask.testing import FlaskClient
from sqlalchemy import select

from cnn_offset.domain.retention import RULES
from cnn_offset.domain.staff import OperatorRole
from cnn_offset.domain.status import OrderStatus
from cnn_offset.extensions import db, platform, unit_of_work
from cnn_offset.models import Attestation, Event, Order, Proposal, User
from cnn_offset.services import erasing
from tests.conftest import Clock
from tests.services.conftest import DETAILS
from tests.web.people import PASSWORD, add_person, forget_codes, log_in, post
from tests.web.selling import Sale, sell

HEAD, OTHER = "head@example.org", "other@example.org"
ME = "me@example.org"
PRIVACY = "/en/operator/privacy"
ADA = DETAILS.email


@pytest.fixture
def head(app: Flask) -> FlaskClient:
    add_person(app, HEAD, "operator")
    return log_in(app, HEAD)


def end(app: Flask, sale: Sale) -> None:
    """Let an order have been fulfilled with an attestation in the store."""
    with app.app_context():
        here = platform()
        here.files.makedirs("attestations/2026", exist_ok=True)
        here.files.pipe("attestations/2026/a.pdf", b"%PDF-a")
        with unit_of_work() as session:
            order = session.get_one(Order, sale.order_id)
            order.status = OrderStatus.FULFILLED
            session.add(
                Attestation(
                    order_id=order.id,
                    sequence=1,
                    year=2026,
                    check_code="code",
                    status="issued",
                    locale="en",
                    data={
                        "locale": "en", "beneficiary": order.beneficiary,
                        "reason": order.reason, "lines": [], "number": "VC000001/2026", "fulfilled_at": here.clock().isoformat(),
                    },
                    path="attestations/2026/a.pdf",
                    sha256="a" * 64,
                    fulfilled_at=here.clock(),
                    issued_at=here.clock(),
                )
            )  # fmt: skip


def events(app: Flask, what: str) -> list[Event]:
    with app.app_context():
        return list(db.session.scalars(select(Event).where(Event.new == what)))


def unpacked(data: bytes) -> ZipFile:
    return ZipFile(io.BytesIO(data))


# At the desk


def test_a_person_is_found_and_the_look_is_kept(
    app: Flask, head: FlaskClient, clock: Clock
) -> None:
    sale = sell(app, clock, method="bank_transfer")
    empty = head.get(PRIVACY)
    assert empty.status_code == 200
    assert "3,653 days" in empty.text or "3653 days" in empty.text
    page = post(head, PRIVACY, email=f" {ADA.upper()} ")
    assert page.status_code == 200
    assert sale.code in page.text
    looked = events(app, "data looked at")
    assert [(each.actor, each.subject) for each in looked] == [(HEAD, "order")]
    assert ADA not in looked[0].why
    nobody = post(head, PRIVACY, email="nobody@example.org")
    assert "Nothing is kept" in nobody.text
    assert events(app, "data looked at")[-1].subject == "user"
    assert post(head, PRIVACY, email="no address").status_code == 422


def test_everything_is_taken_along(app: Flask, head: FlaskClient, clock: Clock) -> None:
    end(app, sell(app, clock, method="bank_transfer"))
    answer = post(head, f"{PRIVACY}/export", email=ADA, why="letter of 2 November")
    assert answer.status_code == 200
    assert answer.headers["Cache-Control"] == "no-store"
    found = unpacked(answer.data)
    assert found.read("attestations/attestation-VC000001-2026.pdf") == b"%PDF-a"
    order = json.loads(found.read("orders.json"))[0]
    assert order["purchaser_name"] == DETAILS.purchaser_name
    assert order["attestations"][0]["number"] == "VC000001/2026"
    assert order["payments"]
    assert "account.json" not in found.namelist()
    kept = events(app, "data exported")
    assert [(each.actor, each.why) for each in kept] == [(HEAD, "letter of 2 November")]


@pytest.mark.parametrize(
    ("form", "field"),
    [
        ({"email": ADA, "why": " "}, "#why"),
        ({"email": "x", "why": "y"}, "#email"),
        ({"email": "nobody@example.org", "why": "y"}, "Nothing is kept"),
    ],
)
def test_faulty_exports(
    app: Flask, head: FlaskClient, clock: Clock, form: dict[str, str], field: str
) -> None:
    sell(app, clock, method="bank_transfer")
    answer = post(head, f"{PRIVACY}/export", **form)
    assert answer.status_code == 422
    assert field in answer.text
    assert events(app, "data exported") == []


def test_two_operators_erase_from_the_desk(app: Flask, head: FlaskClient, clock: Clock) -> None:
    sale = sell(app, clock, method="bank_transfer")
    running = post(head, f"{PRIVACY}/erase", email=ADA, reason="asked by letter")
    assert running.status_code == 422
    assert sale.code in running.text
    assert post(head, f"{PRIVACY}/erase", email=ADA, reason="").status_code == 422
    end(app, sale)
    with app.app_context(), unit_of_work() as session:
        for payment in session.scalars(select(erasing.Payment)):
            payment.status = "abandoned"
    asked = post(head, f"{PRIVACY}/erase", email=ADA, reason="asked by letter")
    assert asked.status_code == 302, asked.text
    with app.app_context():
        number = db.session.scalars(select(Proposal.id)).one()
        token = db.session.get_one(Order, sale.order_id).token
    page = head.get(f"/en/operator/proposals/{number}")
    assert f"Erase what is kept about {ADA}." in page.text
    own = post(head, f"/en/operator/proposals/{number}/approve")
    assert own.status_code == 422
    add_person(app, OTHER, "operator")
    other = log_in(app, OTHER)
    done = post(other, f"/en/operator/proposals/{number}/approve")
    assert done.status_code == 302
    with app.app_context():
        order = db.session.get_one(Order, sale.order_id)
        assert (order.email, order.purchaser_name) == ("", "")
    assert "Nothing here says whose they were" in other.get(f"/en/operator/proposals/{number}").text
    # What is left everywhere else is shown without the person.
    mine = app.test_client()
    shown = mine.get(f"/en/orders/{token}")
    assert shown.status_code == 200
    assert "Personal data erased" in shown.text
    assert "attestation.pdf" not in shown.text
    assert mine.get(f"/en/orders/{token}/attestation.pdf").status_code == 404
    checked = mine.get("/en/check/code")
    assert checked.status_code == 200
    assert "erased at the wish" in checked.text
    assert "a" * 64 in checked.text
    for page_ in (checked, mine.get("/en/record"), head.get(f"/en/operator/orders/{sale.code}")):
        assert DETAILS.purchaser_name not in page_.text
    assert [each.actor for each in events(app, erasing.ERASED)] == [OTHER]


@pytest.mark.parametrize("role", [each for each in OperatorRole if each is not OperatorRole.HEAD])
def test_only_heads_see_personal_data(app: Flask, role: OperatorRole) -> None:
    add_person(app, HEAD, "operator", operator_role=role)
    client = log_in(app, HEAD)
    assert client.get(PRIVACY).status_code == 403
    for path in ("", "/export", "/erase"):
        assert post(client, PRIVACY + path, email=ADA, why="x", reason="x").status_code == 403


# The own account


@pytest.fixture
def me(app: Flask, clock: Clock) -> FlaskClient:
    user_id = add_person(app, ME)
    sell(app, clock, method="bank_transfer", user_id=user_id)
    return log_in(app, ME)


def test_own_data_are_taken_along(app: Flask, me: FlaskClient) -> None:
    assert me.get("/en/account/data").status_code == 200
    found = unpacked(post(me, "/en/account/data/export").data)
    account = json.loads(found.read("account.json"))
    assert account["email"] == ME
    assert "password" not in str(account)
    assert len(json.loads(found.read("orders.json"))) == 1
    assert [each.actor for each in events(app, "data exported")] == [ME]


def test_orders_of_others_are_not_in_it(app: Flask, me: FlaskClient, clock: Clock) -> None:
    """A guest who typed my address is not me."""
    sale = sell(app, clock, method="bank_transfer")
    with app.app_context(), unit_of_work() as session:
        session.get_one(Order, sale.order_id).email = ME
    orders = json.loads(unpacked(post(me, "/en/account/data/export").data).read("orders.json"))
    assert sale.code not in [each["code"] for each in orders]


def test_taking_along_and_closing_need_a_fresh_proof(
    app: Flask, me: FlaskClient, clock: Clock
) -> None:
    clock.tick(minutes=11)
    for path in ("/en/account/data/export", "/en/account/close"):
        answer = post(me, path, sure="yes")
        assert "/account/verify" in answer.headers["Location"], path
    assert "/account/verify" in me.get("/en/account/close").headers["Location"]
    with app.app_context():
        assert db.session.scalars(select(User.closed_at)).all() == [None]


def test_an_account_is_closed(app: Flask, me: FlaskClient) -> None:
    page = me.get("/en/account/close")
    assert "private links" in page.text
    unsure = post(me, "/en/account/close")
    assert unsure.status_code == 422
    assert 'href="#sure"' in unsure.text
    second = log_in(app, ME)
    with app.app_context():
        token = db.session.scalars(select(Order.token)).one()
    done = post(me, "/en/account/close", sure="yes")
    assert done.status_code == 302
    for client in (me, second):
        assert "/account/login" in client.get("/en/account").headers["Location"]
    refused = post(app.test_client(), "/en/account/login", email=ME, password=PASSWORD)
    assert refused.status_code == 422
    assert app.test_client().get(f"/en/orders/{token}").status_code == 200
    assert [each.actor[:5] for each in events(app, "closed")] == ["user "]
    add_person(app, ME)
    with app.app_context():
        assert db.session.scalars(select(Order.user_id)).one() is not None
    assert "You have placed no order" in log_in(app, ME).get("/en/account").text


def test_the_last_head_is_told_why_not(app: Flask, head: FlaskClient) -> None:
    forget_codes(app, HEAD)
    answer = post(head, "/en/account/close", sure="yes")
    assert answer.status_code == 422
    assert "the only one" in answer.text
    assert head.get(PRIVACY).status_code == 200


@pytest.mark.parametrize("lang", ["en", "fr", "es"])
def test_the_public_page_tells_the_rules_in_force(client: FlaskClient, lang: str) -> None:
    page = client.get(f"/{lang}/privacy")
    assert page.status_code == 200
    for rule in RULES:
        told = f">{rule.kept.days} " if rule.kept.days < 1000 else f">{rule.kept.days // 365} "
        assert told in page.text, rule.what

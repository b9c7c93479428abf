"""One of two registries refuses: what operators, purchaser and provider see and can do."""

from __future__ import annotations

import html
import io
import re
from dataclasses import replace

import pytest
from flask import Flask
from flask.testing import FlaskClient
from flask_babel import force_locale, gettext
from pypdf import PdfReader
from sqlalchemy import select

from cnn_offset.attestations import issuer
from cnn_offset.domain.attestation import AttestationData
from cnn_offset.domain.staff import OperatorRole
from cnn_offset.domain.status import OrderStatus, ReplacementStatus
from cnn_offset.domain.unit_rules import UNIT_RULES
from cnn_offset.domain.units import UnitType
from cnn_offset.extensions import db, unit_of_work
from cnn_offset.mail import render
from cnn_offset.models import Attestation, Message, Order
from cnn_offset.plugins.errors import UnavailableError
from cnn_offset.services.attesting import attestation_data, issue_attestation
from tests.parting import Pair, make_pair, pay_back, refund_all
from tests.services.conftest import Shop, shop
from tests.web.people import add_person, log_in, post

__all__ = ["shop"]
OPERATOR = "op@example.org"


@pytest.fixture
def any_app(app: Flask) -> Flask:
    return app


@pytest.fixture
def pair(shop: Shop) -> Pair:
    made = make_pair(shop)
    made.shop.registry.title, made.interim.title = "CDM registry", "Interim registry"
    return made


@pytest.fixture
def operator(app: Flask) -> FlaskClient:
    add_person(app, OPERATOR, "operator", operator_role=OperatorRole.SUPPORT)
    return log_in(app, OPERATOR)


def code(order_id: int) -> str:
    db.session.expire_all()
    return db.session.get_one(Order, order_id).code


def desk(client: FlaskClient, order_id: int) -> str:
    return html.unescape(client.get(f"/en/operator/orders/{code(order_id)}").text)


def acts(text: str) -> list[str]:
    return re.findall(r'name="act" value="([^"]+)"', text)


def decide(client: FlaskClient, order_id: int, act: str) -> str:
    found = re.search(r'name="state" value="([^"]+)"', desk(client, order_id))
    assert found
    path = f"/en/operator/orders/{code(order_id)}/decide"
    answer = post(client, path, act=act, state=found[1], reason="as agreed")
    return desk(client, order_id) if answer.status_code == 302 else html.unescape(answer.text)


def private(app: Flask, order_id: int, lang: str = "en") -> str:
    token = db.session.get_one(Order, order_id).token
    return html.unescape(app.test_client().get(f"/{lang}/orders/{token}").text)


def test_all_choices_are_offered_with_what_they_do(pair: Pair, operator: FlaskClient) -> None:
    order_id, other = pair.refused(), pair.other()
    number = pair.row(order_id, "a64_interim").id
    text = desk(operator, order_id)
    assert acts(text)[:3] == [f"retry-{number}", f"replace-{number}-{other}", f"part-{number}"]
    assert "US$12.00 go back" in text or "12.00" in text
    decide(operator, order_id, f"replace-{number}-{other}")
    text = desk(operator, order_id)
    assert f"replace-{number}-{other}" not in acts(text)
    assert "unask" in acts(text)
    assert "Purchaser asked" in text
    decide(operator, order_id, "unask")
    text = desk(operator, order_id)
    assert "Taken back" in text
    assert "unask" not in acts(text)
    decide(operator, order_id, f"part-{number}")
    text = desk(operator, order_id)
    assert "Given back on" in text
    assert "Propose to give" in text
    assert acts(text) == ["refund"]
    attention = html.unescape(operator.get("/en/operator/attention").text)
    assert "Part of the money to give back" in attention


def test_the_purchaser_compares_and_agrees(app: Flask, pair: Pair, operator: FlaskClient) -> None:
    order_id, other = pair.refused(), pair.other()
    number = pair.row(order_id, "a64_interim").id
    decide(operator, order_id, f"replace-{number}-{other}")
    text = private(app, order_id)
    (path,) = set(re.findall(r'href="(/en/orders/[^"]+/units/\d+)"', text))
    client = app.test_client()
    page = html.unescape(client.get(path).text)
    for said in ("1 January 2021", "1 January 2022", "nothing more", "Interim registry"):
        assert said in page, said
    # Neither looking at it nor an empty answer changes anything.
    answer = post(client, path)
    assert answer.status_code == 422
    assert "choose yes or no" in answer.text
    assert pair.question(order_id).status is ReplacementStatus.ASKED
    assert post(client, path, answer="yes").status_code == 303
    assert pair.question(order_id).status is ReplacementStatus.AGREED
    again = post(client, path, answer="no")
    assert again.status_code == 422
    assert "no longer open" in again.text
    assert "This question is closed" in client.get(path).text
    pair.shop.work(rounds=4)
    assert pair.shop.status(order_id) is OrderStatus.FULFILLED
    assert "Given up" in desk(operator, order_id)


def test_only_with_the_orders_own_link(app: Flask, pair: Pair) -> None:
    order_id, other = pair.refused(), pair.other()
    asked = pair.ask(order_id, other)
    second = pair.order()
    stranger = db.session.get_one(Order, second).token
    client = app.test_client()
    for token, number in ((stranger, asked.id), ("x" * 43, asked.id), (stranger, 999)):
        path = f"/en/orders/{token}/units/{number}"
        assert client.get(path).status_code == 404
        assert post(client, path, answer="yes").status_code == 404
    assert pair.question(order_id).status is ReplacementStatus.ASKED


@pytest.fixture
def auditor(app: Flask) -> FlaskClient:
    add_person(app, "aud@example.org", "operator", operator_role=OperatorRole.AUDITOR)
    return log_in(app, "aud@example.org")


def test_who_may_not_decide_is_offered_nothing(auditor: FlaskClient, pair: Pair) -> None:
    client, order_id = auditor, pair.refused()
    text = desk(client, order_id)
    assert acts(text) == []
    number = pair.row(order_id, "a64_interim").id
    path = f"/en/operator/orders/{code(order_id)}/decide"
    assert post(client, path, act=f"part-{number}", reason="x", state="0-0").status_code == 403


def test_a_silent_registry_changes_nothing(pair: Pair, operator: FlaskClient) -> None:
    order_id = pair.refused()
    number = pair.row(order_id, "a64_interim").id

    def silent(_key: str) -> None:
        raise UnavailableError("down")

    pair.interim.fetch = silent  # type: ignore[method-assign, assignment]
    assert "does not answer just now" in decide(operator, order_id, f"part-{number}")
    assert pair.shop.status(order_id) is OrderStatus.IN_REVIEW


def issue(order_id: int) -> Attestation:
    row = db.session.scalars(select(Attestation).where(Attestation.order_id == order_id)).one()
    issue_attestation(unit_of_work, row.id, issuer=issuer(), now=row.fulfilled_at)
    db.session.expire_all()
    return db.session.get_one(Attestation, row.id)


def pdf_text(data: AttestationData) -> str:
    pages = PdfReader(io.BytesIO(issuer().render_and_sign(data))).pages
    return "".join("".join(page.extract_text().split()) for page in pages)


def test_the_attestation_lists_both_each_in_its_own_words(app: Flask, pair: Pair) -> None:
    order_id = pair.order()
    pair.shop.work()
    row = db.session.scalars(select(Attestation)).one()
    data = attestation_data(db.session(), row, issuer())
    first, second = data.lines
    assert (first.unit_type, second.unit_type) == (UnitType.CER, UnitType.A64ER_AUTHORISED)
    for lang in ("en", "fr", "es"):
        text = pdf_text(replace(data, locale=lang))
        with force_locale(lang):
            for line in data.lines:
                rules = UNIT_RULES[line.unit_type]
                for said in (rules.meaning, rules.name, line.registry_title):
                    assert "".join(gettext(said).split()) in text, (lang, said)
        for line in data.lines:
            assert line.registry_ref in text
            for each in line.ranges:
                assert "".join(each.first.split()) in text
        assert "14" in text
    issued = issue(order_id)
    client = app.test_client()
    for lang in ("en", "fr", "es"):
        entry = html.unescape(client.get(f"/{lang}/record/{issued.sequence}-{issued.year}").text)
        assert "CDM registry" in entry
        assert "Interim registry" in entry
        for line in data.lines:
            assert line.registry_ref in entry


def test_what_is_left_is_attested_and_said_everywhere(
    app: Flask, pair: Pair, operator: FlaskClient
) -> None:
    order_id = pair.refused()
    pair.shop.work(minutes=20)
    pair.give_back(order_id)
    issued = issue(order_id)
    assert AttestationData.from_json(issued.data).quantity == 10
    text = private(app, order_id)
    assert "10 units were cancelled for good" in text
    assert "not cancelled, money given back" in text
    assert "Of it given back" in text
    client = app.test_client()
    path = f"/en/orders/{db.session.get_one(Order, order_id).token}/papers/receipt"
    assert post(client, path).status_code in (200, 302, 303)
    for kind in ("part_given_back", "part_to_give_back", "attestation"):
        message = db.session.scalars(
            select(Message).where(Message.kind == kind, Message.order_id == order_id)
        ).one()
        with app.test_request_context():
            mail = str(render(db.session(), message).get_body(("plain",)))
        assert "12.00" in mail or kind == "attestation"


def test_what_went_back_already_is_not_owed_once_more(app: Flask, pair: Pair) -> None:
    order_id = pair.refused()
    pair.shop.registry.faults = ["refuse"]
    pair.shop.work(rounds=3, minutes=20)
    pair.give_back(order_id)
    pay_back(pair.shop, order_id)
    refund_all(pair.shop, order_id)
    text = private(app, order_id)
    assert "owes you USD 25.00" in text.replace("\xa0", " ")
    assert "stands" not in text.split("What was ordered")[0]

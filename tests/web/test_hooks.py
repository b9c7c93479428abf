"""Deliveries from processors: stored once if believed, and nothing done in the request."""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import replace
from io import BytesIO

import pytest
from flask import Flask
from flask.testing import FlaskClient
from sqlalchemy import select

from cnn_offset import jobs
from cnn_offset.domain.status import DeliveryStatus, OrderStatus
from cnn_offset.extensions import db, unit_of_work
from cnn_offset.models import Order, Payment, WebhookDelivery
from cnn_offset.plugins.errors import UnavailableError
from cnn_offset.plugins.loader import PluginSet
from cnn_offset.plugins.payments.base import Delivery, Notice
from cnn_offset.services import deliveries, paying
from tests.conftest import Clock
from tests.fakes import FakePay
from tests.web.selling import sell

GOOD = {"X-Signature": "good"}


@pytest.fixture
def pay(app: Flask, clock: Clock) -> FakePay:
    """The application with a processor in memory in place of PayPal."""
    fake = FakePay(clock)
    here = app.extensions["cnn_offset"]
    payments = {**dict(here.payments.items()), "paypal": fake}
    app.extensions["cnn_offset"] = replace(here, payments=PluginSet(payments))
    return fake


def stored(app: Flask) -> list[WebhookDelivery]:
    with app.app_context():
        return list(db.session.scalars(select(WebhookDelivery).order_by(WebhookDelivery.id)))


def deliver(client: FlaskClient, body: bytes | str, **headers: str) -> int:
    return client.post("/hooks/paypal", data=body, headers={**GOOD, **headers}).status_code


def test_a_delivery_is_stored_and_nothing_else(
    app: Flask, client: FlaskClient, clock: Clock, pay: FakePay
) -> None:
    sale = sell(app, clock, method="paypal")
    with app.test_request_context():
        with unit_of_work() as session:
            order = session.get_one(Order, sale.order_id)
            payment_id = paying.prepare_payment(session, order, "paypal", now=clock()).id
        jobs.start_payment(jobs.platform(), payment_id)
        ref = db.session.get_one(Payment, payment_id).processor_ref
        db.session.remove()
    pay.pay(ref)
    assert deliver(client, f"evt-1 {ref}") == 200
    (row,) = stored(app)
    assert (row.method_id, row.event_id, row.processor_refs) == ("paypal", "evt-1", [ref])
    assert row.received_at == clock()
    assert row.status is DeliveryStatus.STORED
    with app.app_context():
        assert db.session.get_one(Order, sale.order_id).status is OrderStatus.PLACED
        # The worker asks the processor; only that pays.
        jobs.do("webhook_delivery", row.id)
        jobs.do("payment", payment_id)
        assert db.session.get_one(Order, sale.order_id).status is OrderStatus.PAID


@pytest.mark.usefixtures("pay")
def test_replayed(app: Flask, client: FlaskClient) -> None:
    assert [deliver(client, "evt-1 R-1") for _ in range(3)] == [200] * 3
    assert len(stored(app)) == 1


@pytest.mark.usefixtures("pay")
def test_replayed_at_the_same_moment(
    app: Flask, client: FlaskClient, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The unique key catches what the look before it has missed."""
    real = deliveries.store_delivery

    def twice(session: object, *args: object, **kwargs: object) -> None:
        real(session, *args, **kwargs)  # type: ignore[arg-type]
        monkeypatch.setattr(deliveries, "store_delivery", add)

    def add(session: object, method_id: str, notice: Notice, body: str, *, now: object) -> None:
        session.add(  # type: ignore[attr-defined]
            WebhookDelivery(
                method_id=method_id,
                event_id=notice.event_id,
                processor_refs=[],
                body=body,
                received_at=now,
                due_at=now,
            )
        )

    monkeypatch.setattr(deliveries, "store_delivery", twice)
    assert [deliver(client, "evt-1 R-1") for _ in range(2)] == [200] * 2
    assert len(stored(app)) == 1


@pytest.mark.usefixtures("pay")
def test_many_at_once(app: Flask) -> None:
    codes: list[int] = []

    def send() -> None:
        codes.append(deliver(app.test_client(), "evt-1 R-1"))

    threads = [threading.Thread(target=send) for _ in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert codes == [200] * 6
    assert len(stored(app)) == 1


@pytest.mark.usefixtures("pay")
def test_forged(app: Flask, client: FlaskClient) -> None:
    assert deliver(client, "evt-1 R-1", **{"X-Signature": "bad"}) == 400
    assert client.post("/hooks/paypal", data="evt-1 R-1").status_code == 400
    assert stored(app) == []


@pytest.mark.usefixtures("pay")
@pytest.mark.parametrize(
    "body", [b"evt-1 \xff\xfe", b"evt-1 \0", b"", b" R-1", b"x" * 256 + b" R-1"]
)
def test_odd_bodies(app: Flask, client: FlaskClient, body: bytes) -> None:
    assert deliver(client, body) == 400
    assert stored(app) == []


def test_bodies_that_the_plug_in_takes_but_nobody_can_store(
    app: Flask, client: FlaskClient, pay: FakePay, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pay, "read_webhook", lambda _delivery: Notice("evt-1", []))
    assert deliver(client, b"\xff") == 400
    assert deliver(client, b"a\0b") == 400
    assert stored(app) == []


@pytest.mark.usefixtures("pay")
def test_oversized(app: Flask, client: FlaskClient) -> None:
    assert deliver(client, b"evt-1 " + b"x" * 65_530) == 200
    assert deliver(client, b"evt-2 " + b"x" * 65_531) == 413
    # Also where the length is not told beforehand.
    answer = client.post(
        "/hooks/paypal",
        input_stream=BytesIO(b"evt-3 " + b"x" * 100_000),
        environ_overrides={"wsgi.input_terminated": True},
        headers=GOOD,
    )
    assert answer.status_code == 413
    assert [row.event_id for row in stored(app)] == ["evt-1"]


@pytest.mark.usefixtures("pay")
def test_out_of_order(app: Flask, client: FlaskClient) -> None:
    """Order cannot matter: each is only a reason to look."""
    assert [deliver(client, f"evt-{n} R-1") for n in (3, 1, 2)] == [200] * 3
    assert [row.event_id for row in stored(app)] == ["evt-3", "evt-1", "evt-2"]


def test_headers_arrive_in_lower_case_and_the_body_raw(
    client: FlaskClient, clock: Clock, pay: FakePay, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: list[Delivery] = []
    monkeypatch.setattr(
        pay, "read_webhook", lambda delivery: seen.append(delivery) or Notice("e", [])
    )
    body = b'{"a": 1,\r\n "b":  2}'
    answer = client.post(
        "/hooks/paypal",
        data=body,
        headers={"PayPal-Transmission-Id": "T-1"},
        content_type="application/x-www-form-urlencoded",
    )
    assert answer.status_code == 200
    assert seen[0].body == body
    assert seen[0].headers["paypal-transmission-id"] == "T-1"
    assert seen[0].received_at == clock()


def test_a_check_that_gets_no_answer_is_repeated(
    app: Flask, client: FlaskClient, pay: FakePay, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(_delivery: Delivery) -> Notice:
        raise UnavailableError("certificate not fetched")

    monkeypatch.setattr(pay, "read_webhook", fail)
    assert deliver(client, "evt-1 R-1") == 503
    assert stored(app) == []


def test_unknown_methods_and_methods_without_webhook(client: FlaskClient) -> None:
    assert client.post("/hooks/nobody", data="x").status_code == 404
    assert client.post("/hooks/bank_transfer", data="x").status_code == 404
    assert client.get("/hooks/paypal").status_code == 405


def test_real_plug_ins_refuse_what_is_not_signed(app: Flask, client: FlaskClient) -> None:
    for method in ("paypal", "stripe_connect"):
        for body in (b"{}", b"\xff", b"", b"[]", b"null"):
            assert client.post(f"/hooks/{method}", data=body).status_code == 400
    assert stored(app) == []


def test_health(app: Flask, client: FlaskClient, monkeypatch: pytest.MonkeyPatch) -> None:
    assert client.get("/health/live").json == {"live": True}
    answer = client.get("/health/ready")
    assert answer.status_code == 200, answer.json
    assert answer.json == {"ready": True, "database": True, "schema": True, "files": True}

    with app.app_context(), unit_of_work() as session:
        session.connection().exec_driver_sql("UPDATE alembic_version SET version_num = 'old'")
    answer = client.get("/health/ready")
    assert answer.status_code == 503
    assert answer.json == {"ready": False, "database": True, "schema": False, "files": True}
    assert "Set-Cookie" not in answer.headers


def test_health_without_a_database(make_app: Callable[..., Flask]) -> None:
    app = make_app(DATABASE_URL="postgresql://nobody@127.0.0.1:1/none")
    client = app.test_client()
    assert client.get("/health/live").status_code == 200
    answer = client.get("/health/ready")
    assert answer.status_code == 503
    assert answer.json == {"ready": False, "database": False, "schema": False, "files": True}


@pytest.mark.parametrize(
    ("accepted", "lang"),
    [("fr-CH, en;q=0.8", "fr"), ("es", "es"), ("de", "en"), ("", "en"), ("en-GB,fr;q=0.9", "en")],
)
def test_the_bare_address_leads_to_a_language(
    client: FlaskClient, accepted: str, lang: str
) -> None:
    answer = client.get("/", headers={"Accept-Language": accepted})
    assert answer.status_code == 302
    assert answer.headers["Location"] == f"/{lang}/"
    assert "Accept-Language" in answer.headers["Vary"]


def test_no_other_address_is_led_to_a_language(client: FlaskClient) -> None:
    answer = client.get("/en/account/login", headers={"Accept-Language": "fr"})
    assert answer.status_code == 200
    assert '<html lang="en">' in answer.text


def test_files_for_robots(client: FlaskClient, clock: Clock) -> None:
    robots = client.get("/robots.txt")
    assert "Disallow: /fr/checkout" in robots.text
    assert "Disallow: /en/projects" not in robots.text
    text = client.get("/.well-known/security.txt")
    assert text.mimetype == "text/plain"
    assert "Contact: mailto:" in text.text
    assert "Canonical: http://localhost/.well-known/security.txt" in text.text
    expires = next(line for line in text.text.splitlines() if line.startswith("Expires: "))
    assert expires > f"Expires: {clock().isoformat()}"
    assert client.get("/favicon.ico").headers["Location"] == "/static/img/favicon.svg"

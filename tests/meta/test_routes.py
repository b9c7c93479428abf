"""Every address: who may enter, forms with their token, headers, and no change by GET."""

from __future__ import annotations

import hashlib
from typing import Any

import pytest
from flask import Flask
from flask.testing import FlaskClient
from sqlalchemy import select
from werkzeug.routing import Rule

from cnn_offset.blueprints import LOCALISED, PLAIN
from cnn_offset.domain.status import OrderStatus
from cnn_offset.extensions import db
from cnn_offset.guards import operator, provider_staff, public, signed_in
from cnn_offset.models import Activity, Checkout, Model, Order
from tests.conftest import Clock
from tests.web.people import add_person, log_in, token
from tests.web.selling import sell

GUARDS = {
    "account": signed_in,
    "admin": operator,
    "applying": signed_in,
    "basket": public,
    "catalogue": public,
    "checking": public,
    "checkout": public,
    "health": public,
    "help": public,
    "home": public,
    "hooks": public,
    "orders": public,
    "provider": provider_staff,
    "providers": public,
    "record": public,
    "root": public,
    "security": public,
}
"""Who may enter what. A blueprint that is not here fails the test, public ones too."""
PEOPLE = ("nobody", "purchaser", "provider A", "provider B", "operator")
ENTER = {
    signed_in: {"purchaser", "provider A", "provider B", "operator"},
    provider_staff: {"provider A", "provider B"},
    operator: {"operator"},
}
OWN = {"provider.order": {"provider A"}, "provider.in_progress": {"provider A"},
       "provider.keep_open": {"provider A"},
       "provider.paid": {"provider A"}}  # fmt: skip
"""Views of one provider's order: to the other one it does not exist."""
WITHOUT_TOKEN = {"hooks.receive"}
"""The only POST without a form token: a processor has no session, it signs."""


@pytest.fixture
def world(app: Flask, clock: Clock) -> dict[str, FlaskClient]:
    """One order of provider A, and a browser for each kind of people."""
    sale = sell(app, clock, method="bank_transfer")
    other = sell(app, clock, method="bank_transfer")
    add_person(app, "purchaser@example.org")
    add_person(app, "a@example.org", "provider", sale.provider)
    add_person(app, "b@example.org", "provider", other.provider)
    add_person(app, "op@example.org", "operator")
    browsers = {
        "nobody": app.test_client(),
        "purchaser": log_in(app, "purchaser@example.org"),
        "provider A": log_in(app, "a@example.org"),
        "provider B": log_in(app, "b@example.org"),
        "operator": log_in(app, "op@example.org"),
    }
    with app.app_context():
        order = db.session.get_one(Order, sale.order_id)
        app.config["WALK"] = {
            "code": order.code,
            "order_token": order.token,
            "checkout_token": db.session.get_one(Checkout, order.checkout_id).token,
            "slug": db.session.scalars(select(Activity.slug)).first(),
        }
    return browsers


def rules(app: Flask, method: str) -> list[Rule]:
    found = [
        rule
        for rule in app.url_map.iter_rules()
        if method in (rule.methods or ()) and rule.endpoint != "static"
    ]
    assert found
    return found


def address(app: Flask, rule: Rule, lang: str = "en") -> str:
    """Return an address of ``rule`` that leads to something there is."""
    known = app.config["WALK"]
    values: dict[str, Any] = {
        "lang": lang,
        "code": known["code"],
        "slug": known["slug"],
        "path": "nothing.svg",
        "method_id": "paypal",
        "sequence": 1,
        "year": 2026,
        "token": known[
            "checkout_token" if rule.endpoint.startswith("checkout.") else "order_token"
        ],
    }
    missing = set(rule.arguments) - set(values) - set(rule.defaults or {})
    assert not missing, f"{rule}: teach address() about {missing}"
    with app.test_request_context():
        wanted = {name: values[name] for name in rule.arguments if name in values}
        built = app.url_map.bind("localhost").build(rule.endpoint, wanted)
    return str(built)


def test_every_blueprint_declares_its_guard(app: Flask) -> None:
    assert set(app.blueprints) == set(GUARDS) == {*LOCALISED, *PLAIN}
    for name, blueprint in app.blueprints.items():
        assert getattr(blueprint, "guard", None) is GUARDS[name], name
        hooks = blueprint.before_request_funcs.get(None, [])
        assert hooks[:1] == [GUARDS[name]], f"{name}: the guard stands in front"
    loose = {rule.endpoint for rule in app.url_map.iter_rules() if "." not in rule.endpoint}
    assert loose == {"static"}


def test_who_may_enter(app: Flask, world: dict[str, FlaskClient]) -> None:
    """Walk all routes as everybody; strangers are led to log in, others find nothing."""
    walked = 0
    for method in ("GET", "POST"):
        for rule in rules(app, method):
            guard = GUARDS[rule.endpoint.split(".")[0]]
            if guard is public:
                continue
            allowed = OWN.get(rule.endpoint, ENTER[guard])
            path = address(app, rule)
            for who in PEOPLE:
                client = world[who]
                data = {"csrf_token": token(client)} if method == "POST" else None
                answer = client.open(path, method=method, data=data)
                seen = f"{who}: {method} {path} -> {answer.status_code}"
                walked += 1
                if who == "nobody":
                    assert answer.status_code == 302, seen
                    assert answer.headers["Location"].startswith("/en/account/login"), seen
                elif who in allowed:
                    assert answer.status_code in (200, 302, 422), seen
                    assert "/account/login" not in answer.headers.get("Location", ""), seen
                else:
                    assert answer.status_code == 404, seen
                if guard is not public:
                    assert answer.headers["Cache-Control"] == "no-store", seen
    assert walked >= 5 * 10


def test_every_form_needs_its_token(app: Flask, world: dict[str, FlaskClient]) -> None:
    exempt = set()
    for rule in rules(app, "POST"):
        path = address(app, rule)
        for who in ("provider A", "operator"):
            for data in ({}, {"csrf_token": "forged"}):
                answer = world[who].post(path, data={"seen": "yes", **data})
                if rule.endpoint in WITHOUT_TOKEN:
                    exempt.add(rule.endpoint)
                else:
                    assert answer.status_code == 400, f"{path} as {who}"
    assert exempt == WITHOUT_TOKEN
    with app.app_context():
        statuses = set(db.session.scalars(select(Order.status)))
        assert statuses == {OrderStatus.PLACED}


def test_no_other_methods(app: Flask) -> None:
    for rule in app.url_map.iter_rules():
        assert (rule.methods or set()) <= {"GET", "HEAD", "OPTIONS", "POST"}, rule


def test_headers_on_every_answer(app: Flask, world: dict[str, FlaskClient]) -> None:
    paths = [address(app, rule) for rule in rules(app, "GET")]
    paths += ["/static/css/site.css", "/nowhere", "/en/nowhere", "/xx/projects", "/en/../x"]
    for path in paths:
        answer = world["operator"].get(path)
        headers = answer.headers
        assert answer.status_code < 500 or "/health/" in path, path
        policy = headers["Content-Security-Policy"]
        assert "unsafe" not in policy, path
        assert policy.startswith("default-src 'none'"), path
        if "sandbox" not in policy:
            for part in ("script-src 'self'", "frame-ancestors 'none'", "base-uri 'none'",
                         "object-src 'none'", "form-action 'self'"):  # fmt: skip
                assert part in policy, f"{path}: {part}"
        assert headers["X-Content-Type-Options"] == "nosniff", path
        assert headers["Referrer-Policy"] in ("same-origin", "no-referrer"), path
        assert headers["Cross-Origin-Opener-Policy"] == "same-origin", path
        assert "camera=()" in headers["Permissions-Policy"], path
        assert headers["X-Request-Id"], path
        assert "Access-Control-Allow-Origin" not in headers, path


@pytest.mark.parametrize("scheme", ["http", "https"])
def test_cookies_and_transport(make_app: Any, scheme: str) -> None:
    app = make_app(PUBLIC_URL=f"{scheme}://localhost")
    add_person(app, "op@example.org", "operator")
    client = app.test_client()
    answer = client.get("/en/account/login", base_url=f"{scheme}://localhost")
    cookie = answer.headers["Set-Cookie"]
    assert "HttpOnly" in cookie
    assert "SameSite=Lax" in cookie
    assert "Path=/" in cookie
    assert "Domain" not in cookie
    if scheme == "https":
        assert cookie.startswith("__Host-session=")
        assert "Secure" in cookie
        hsts = answer.headers["Strict-Transport-Security"]
        assert hsts == "max-age=31536000; includeSubDomains"
    else:
        assert "Strict-Transport-Security" not in answer.headers


def _rows(app: Flask) -> str:
    """Sum up every row of every table."""
    digest = hashlib.sha256()
    with app.app_context():
        for table in Model.metadata.sorted_tables:
            order = list(table.primary_key.columns) or list(table.columns)
            for row in db.session.execute(select(table).order_by(*order)):
                digest.update(repr((table.name, tuple(row))).encode())
    return digest.hexdigest()


def test_reading_changes_nothing(app: Flask, world: dict[str, FlaskClient]) -> None:
    """Walk all pages twice as everybody: not one row differs."""
    before = _rows(app)
    for _ in range(2):
        for rule in rules(app, "GET"):
            if rule.endpoint == "orders.returned":
                # Comes back from a processor: asks it how the payment stands, trusts nothing.
                continue
            for who in PEOPLE:
                world[who].get(address(app, rule))
    assert _rows(app) == before


def test_bad_input_in_addresses(app: Flask, world: dict[str, FlaskClient]) -> None:
    """Odd values are refused or ignored; none makes the server fail."""
    odd = ["%00", "%27%22%3E%3Csvg%3E", "..%2f..%2fetc", "%F0%9F%98%80", "9" * 30, "-1", "%FF"]
    names = ("q", "page", "before", "next", "status", "lang", "show", "sort")
    failed = []
    for rule in rules(app, "GET"):
        path = address(app, rule)
        tail = path.rsplit("/", 1)[0]
        for value in odd:
            asked = [path + "?" + "&".join(f"{name}={value}" for name in names)]
            if rule.arguments - {"lang"}:
                asked.append(f"{tail}/{value}")
            who = "provider A" if rule.endpoint.startswith("provider.") else "operator"
            failed += [each for each in asked if world[who].get(each).status_code >= 500]
    assert failed == []

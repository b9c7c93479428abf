"""Every address: who may enter, forms with their token, headers, and no change by GET."""

from __future__ import annotations

import hashlib
from typing import Any

import pytest
from flask import Flask
from sqlalchemy import select
from werkzeug.routing import Rule

from cnn_offset.blueprints import LOCALISED, PLAIN
from cnn_offset.domain.staff import DUTIES, Duty, StaffRole
from cnn_offset.domain.status import OrderStatus
from cnn_offset.extensions import db
from cnn_offset.guards import operator, provider_staff, public, signed_in
from cnn_offset.models import Model, Order
from tests.conftest import Clock
from tests.meta.world import (
    OPERATOR,
    OTHER,
    OWNER,
    PEOPLE,
    PURCHASER,
    STAFF,
    World,
    make_world,
)
from tests.web.people import add_person, token

GUARDS = {
    "account": signed_in,
    "admin": operator,
    "applying": signed_in,
    "basket": public,
    "catalogue": public,
    "checking": public,
    "checkout": public,
    "contact": public,
    "figures": public,
    "health": public,
    "help": public,
    "home": public,
    "hooks": public,
    "moved": public,
    "orders": public,
    "provider": provider_staff,
    "providers": public,
    "reconciliation": public,
    "record": public,
    "root": public,
    "security": public,
    "survey": public,
    "warned": public,
}
"""Who may enter what. A blueprint that is not here fails the test, public ones too."""
OWNED = {
    "account_id", "block_id", "code", "entry_id", "fee_statement_id", "invitation_id", "listing_id", "mapping_id",
    "number", "offer_id", "picture_id", "slug", "statement_id", "user_id",
}  # fmt: skip
"""Names in addresses of the workspace that mean one provider's thing."""
MINE = {"account.remove_passkey", "applying.proof", "applying.show", "applying.answer",
        "applying.withdraw"}  # fmt: skip
"""Pages of somebody signed in that are about one purchaser's thing."""
NOT_KEPT = {"provider.listing_upload", "provider.read_columns", "provider.statement_columns"}
"""What stands under an unguessable name for a moment; here nothing does, for nobody."""
PERILOUS = ("", "provider.staff", "applying.withdraw", "admin.approve_application",
            "admin.person_remove", "account.")  # fmt: skip
"""Posted after all others: people change or lose their place by it."""
FINE = {200, 302, 303, 422}
WITHOUT_TOKEN = {"hooks.receive", "hooks.receive_mail"}
"""The only POST without a form token: a processor has no session, it signs."""


@pytest.fixture
def world(app: Flask, clock: Clock) -> World:
    """One of everything, and a browser for each kind of people."""
    return make_world(app, clock)


def rules(app: Flask, method: str) -> list[Rule]:
    found = [
        rule
        for rule in app.url_map.iter_rules()
        if method in (rule.methods or ()) and rule.endpoint != "static"
    ]
    assert found
    return sorted(
        found,
        key=lambda rule: max(
            at for at, name in enumerate(PERILOUS) if rule.endpoint.startswith(name)
        ),
    )


def allowed(app: Flask, rule: Rule, who: str) -> set[int]:
    """Return what ``who`` may be answered at ``rule``; the log-in page for strangers is apart."""
    guard = GUARDS[rule.endpoint.split(".")[0]]
    if guard is operator:
        return FINE if who == OPERATOR else {404}
    if guard is signed_in:
        return FINE if rule.endpoint not in MINE or who == PURCHASER else {404}
    if who not in STAFF:
        return {404}
    duty = getattr(app.view_functions[rule.endpoint], "duty", None)
    role = StaffRole(who) if who in set(StaffRole) else StaffRole.OWNER
    if duty is not None and duty not in DUTIES[role]:
        return {403}
    if rule.endpoint in NOT_KEPT or (who == OTHER and rule.arguments & OWNED):
        return {404}
    return FINE


def test_every_blueprint_declares_its_guard(app: Flask) -> None:
    assert set(app.blueprints) == set(GUARDS) == {*LOCALISED, *PLAIN}
    for name, blueprint in app.blueprints.items():
        assert getattr(blueprint, "guard", None) is GUARDS[name], name
        hooks = blueprint.before_request_funcs.get(None, [])
        assert hooks[:1] == [GUARDS[name]], f"{name}: the guard stands in front"
    loose = {rule.endpoint for rule in app.url_map.iter_rules() if "." not in rule.endpoint}
    assert loose == {"static"}


@pytest.mark.parametrize("method", ["GET", "POST"])
def test_who_may_enter(
    app: Flask, world: World, caplog: pytest.LogCaptureFixture, method: str
) -> None:
    """Walk all routes as everybody; what is not somebody's to see is not there, and is logged.

    Strangers are led to log in; staff whose role does not carry it is told so (403).
    """
    wrong, walked = [], 0
    for rule in rules(app, method):
        if GUARDS[rule.endpoint.split(".")[0]] is public:
            continue
        path = world.address(rule)
        for who in PEOPLE:
            client = world.browsers[who]
            data = None
            if method == "POST":
                data = {"csrf_token": token(client), **world.forms.get(rule.endpoint, {})}
            caplog.clear()
            answer = client.open(path, method=method, data=data)
            seen = f"{who}: {method} {path} ({rule.endpoint}) -> {answer.status_code}"
            walked += 1
            to = answer.headers.get("Location", "")
            if who == "nobody":
                if not (answer.status_code == 302 and to.startswith("/en/account/login")):
                    wrong.append(seen)
                continue
            may = allowed(app, rule, who)
            if answer.status_code not in may or to.startswith("/en/account/login"):
                wrong.append(f"{seen}, not {may}")
            elif (
                may in ({403}, {404})
                and rule.endpoint not in NOT_KEPT
                and not any(
                    each.levelname == "WARNING" and "cnn_offset" in each.name
                    for each in caplog.records
                )
            ):
                wrong.append(f"{seen}: not logged")
            if answer.headers["Cache-Control"] != "no-store":
                wrong.append(f"{seen}: cached")
            answer.close()
    assert walked >= 30 * len(PEOPLE)
    assert not wrong, "\n" + "\n".join(wrong)


def test_what_changes_something_needs_a_duty(app: Flask) -> None:
    """Every form of the workspace says what duty it needs; so nobody without one sends it."""
    forms = [rule for rule in rules(app, "POST") if rule.endpoint.startswith("provider.")]
    assert len(forms) > 20
    for rule in forms:
        view = app.view_functions[rule.endpoint]
        assert getattr(view, "duty", None) in set(Duty), rule


def test_every_form_needs_its_token(app: Flask, world: World) -> None:
    exempt = set()
    for rule in rules(app, "POST"):
        path = world.address(rule)
        for who in (OWNER, OPERATOR):
            for data in ({}, {"csrf_token": "forged"}):
                answer = world.browsers[who].post(path, data={"seen": "yes", **data})
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


def test_headers_on_every_answer(app: Flask, world: World) -> None:
    paths = [world.address(rule) for rule in rules(app, "GET")]
    paths += ["/static/css/site.css", "/nowhere", "/en/nowhere", "/xx/projects", "/en/../x"]
    for path in paths:
        answer = world.browsers[OPERATOR].get(path)
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


def test_reading_changes_nothing(app: Flask, world: World) -> None:
    """Walk all pages twice as everybody: not one row differs."""
    before = _rows(app)
    for _ in range(2):
        for rule in rules(app, "GET"):
            if rule.endpoint in {"orders.returned", "provider.payout_returned"}:
                # Comes back from a processor: asks it how things stand, trusts nothing.
                continue
            for who in PEOPLE:
                world.browsers[who].get(world.address(rule)).close()
    assert _rows(app) == before


def test_bad_input_in_addresses(app: Flask, world: World) -> None:
    """Odd values are refused or ignored; none makes the server fail."""
    odd = ["%00", "%27%22%3E%3Csvg%3E", "..%2f..%2fetc", "%F0%9F%98%80", "9" * 30, "-1", "%FF"]
    names = ("q", "page", "before", "next", "status", "lang", "show", "sort")
    failed = []
    for rule in rules(app, "GET"):
        path = world.address(rule)
        tail = path.rsplit("/", 1)[0]
        for value in odd:
            asked = [path + "?" + "&".join(f"{name}={value}" for name in names)]
            if rule.arguments - {"lang"}:
                asked.append(f"{tail}/{value}")
            who = OWNER if rule.endpoint.startswith("provider.") else OPERATOR
            failed += [each for each in asked if world.browsers[who].get(each).status_code >= 500]
    assert failed == []

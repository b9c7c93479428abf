"""The second factor: set up, asked for, used once, lost, removed; and what stands behind it."""

from __future__ import annotations

import re
import threading
from collections.abc import Callable

import pytest
from click.testing import CliRunner
from flask import Flask
from flask.testing import FlaskClient
from flask_babel import force_locale
from passlib.totp import TOTP
from sqlalchemy import select, update

from cnn_offset import cli, cli_application, guards, second_factor
from cnn_offset.domain.staff import Duty, StaffRole
from cnn_offset.extensions import db, platform, unit_of_work
from cnn_offset.mail.letters import write
from cnn_offset.models import Event, User, WebAuthn
from cnn_offset.services import factors
from tests.conftest import Clock
from tests.factories import make_provider
from tests.web.people import (
    PASSWORD,
    account_mails,
    add_person,
    app_code,
    forget_codes,
    log_in,
    post,
    token,
)

EMAIL = "ada@example.org"
LOGIN = "/en/account/login"
SECOND = "/en/account/login/second"
VERIFY = "/en/account/verify"
FACTORS = "/en/account/second-factor"


@pytest.fixture
def slug(app: Flask) -> str:
    """A provider with two guarded views, which only tests have."""
    with app.app_context():
        slug = make_provider().slug
        db.session.commit()
    for name, fresh in (("plain", False), ("fresh", True)):
        view = guards.staff_may(Duty.OFFERS, fresh=fresh)(lambda: "done")
        app.add_url_rule(
            f"/<any(en, fr, es):lang>/provider/{name}", f"provider.{name}", view,
            methods=["GET", "POST"],
        )  # fmt: skip
    return slug


@pytest.fixture
def staff(app: Flask, slug: str) -> FlaskClient:
    """An owner with an app, logged in a moment ago."""
    add_person(app, EMAIL, "provider", slug)
    return log_in(app, EMAIL)


def user(app: Flask, email: str = EMAIL) -> User:
    with app.app_context():
        return db.session.scalars(select(User).where(User.email == email)).one()


def half_way(app: Flask, email: str = EMAIL, wanted: str = "") -> FlaskClient:
    """Return a browser in which the password was given."""
    client = app.test_client()
    answer = post(client, LOGIN, email=email, password=PASSWORD, next=wanted)
    assert answer.headers["Location"] == SECOND
    forget_codes(app, email)
    return client


def abouts(app: Flask) -> list[str]:
    return [mail.params["about"] for mail in account_mails(app)]


def set_up(client: FlaskClient, clock: Clock) -> TOTP:
    """Set up an app in the browser, as its page says; return the app."""
    page = client.get(f"{FACTORS}/app").text
    key = re.search(r'id="key">([A-Z2-7 ]+)<', page)
    assert key
    assert "data:image/svg+xml" in page
    phone = TOTP(key=key[1], format="base32", new=False)
    answer = post(client, f"{FACTORS}/app", code=phone.generate(clock().timestamp()).token)
    assert answer.status_code == 302, answer.text
    return phone


def shown_codes(client: FlaskClient) -> list[str]:
    page = client.get(f"{FACTORS}/codes")
    assert page.status_code == 200
    return re.findall(r"<li>([0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4})</li>", page.text)


# Logging in


def test_the_password_alone_opens_nothing(app: Flask, staff: FlaskClient) -> None:
    client = half_way(app)
    for page in ("/en/account", "/en/provider/orders", FACTORS, VERIFY):
        assert client.get(page).headers["Location"].startswith(LOGIN)
    page = client.get(SECOND)
    assert page.status_code == 200
    assert page.headers["Cache-Control"] == "no-store"
    assert 'autocomplete="one-time-code"' in page.text
    assert post(client, SECOND, code=app_code(app)).status_code == 302
    assert client.get("/en/account").status_code == 200


def test_one_is_led_where_one_wanted_to_go(app: Flask, staff: FlaskClient) -> None:
    client = half_way(app, wanted="/en/record")
    assert post(client, SECOND, code=app_code(app)).headers["Location"] == "/en/record"
    client = half_way(app, wanted="//elsewhere.example/")
    assert post(client, SECOND, code=app_code(app)).headers["Location"] == "/en/provider"


@pytest.mark.parametrize(
    "code", ["", "000000", "12345", "1234567", "abc", "１２３４５６", "\0", "-1"]
)
def test_wrong_codes_are_refused(app: Flask, staff: FlaskClient, code: str) -> None:
    client = half_way(app)
    answer = post(client, SECOND, code=code)
    assert answer.status_code == 422
    assert "Error:" in answer.text
    assert 'href="#code"' in answer.text
    assert client.get("/en/account").status_code == 302


def test_a_code_counts_once(app: Flask, clock: Clock, staff: FlaskClient) -> None:
    first, second = half_way(app), half_way(app)
    code = app_code(app)
    assert post(first, SECOND, code=code).status_code == 302
    assert post(second, SECOND, code=code).status_code == 422
    # An older one neither; the next one does, and with a space in it.
    assert post(second, SECOND, code=app_code(app, -1)).status_code == 422
    clock.tick(seconds=30)
    code = app_code(app)
    assert post(second, SECOND, code=f"{code[:3]} {code[3:]}").status_code == 302


def test_clocks_may_differ_a_little(app: Flask, staff: FlaskClient) -> None:
    for steps, status in ((-2, 422), (2, 422), (-1, 302), (1, 302)):
        assert post(half_way(app), SECOND, code=app_code(app, steps)).status_code == status, steps


def test_two_processes_take_a_code_once(any_app: Flask) -> None:
    user_id = add_person(any_app, EMAIL, second=True)
    with any_app.app_context():
        with unit_of_work() as session:
            stale = session.get_one(User, user_id)
            assert factors.take_step(session, stale, 7)
        with unit_of_work() as session:
            assert not factors.take_step(session, session.get_one(User, user_id), 7)
        with unit_of_work() as session:
            assert not factors.take_step(session, session.get_one(User, user_id), 6)
            assert factors.take_step(session, session.get_one(User, user_id), 8)


def test_half_way_ends_after_ten_minutes(app: Flask, clock: Clock, staff: FlaskClient) -> None:
    client = half_way(app)
    clock.tick(minutes=11)
    answer = post(client, SECOND, code=app_code(app))
    assert answer.headers["Location"] == LOGIN
    assert app.test_client().get(SECOND).headers["Location"] == LOGIN


def test_half_way_dies_with_the_sessions(app: Flask, staff: FlaskClient) -> None:
    client = half_way(app)
    post(staff, "/en/account/logout")
    assert post(client, SECOND, code=app_code(app)).headers["Location"] == LOGIN


def test_the_basket_survives_both_steps(app: Flask, staff: FlaskClient) -> None:
    client = app.test_client()
    with client.session_transaction() as session:
        session["basket"] = {"7": 1}
    post(client, LOGIN, email=EMAIL, password=PASSWORD)
    forget_codes(app, EMAIL)
    post(client, SECOND, code=app_code(app))
    with client.session_transaction() as session:
        assert session["basket"] == {"7": 1}
        assert "half_way" not in session


def test_guessing_is_slowed_down_per_account(make_app: Callable[..., Flask]) -> None:
    app = make_app(RATE_LIMITS=True)
    add_person(app, EMAIL, second=True)
    add_person(app, "bob@example.org", second=True)
    for _ in range(5):
        assert post(half_way(app), SECOND, code="000000").status_code == 422
    answer = post(half_way(app), SECOND, code=app_code(app))
    assert answer.status_code == 429
    assert int(answer.headers["Retry-After"]) > 60
    # From another address it is the same account; somebody else is not held up.
    client = half_way(app)
    answer = client.post(
        SECOND, data={"code": app_code(app)}, headers={"X-Forwarded-For": "9.9.9.9"}
    )
    assert answer.status_code in (400, 429)
    assert post(half_way(app, "bob@example.org"), SECOND, code=app_code(app)).status_code == 302


def test_resetting_the_password_leaves_the_factor(app: Flask, staff: FlaskClient) -> None:
    """ASVS V6.4.3."""
    post(app.test_client(), "/en/account/reset", email=EMAIL)
    with app.test_request_context():
        link = write(db.session(), db.session.merge(account_mails(app)[-1])).link
    assert link
    post(app.test_client(), link[1].removeprefix("http://localhost"), password="another sentence")
    answer = post(app.test_client(), LOGIN, email=EMAIL, password="another sentence")
    assert answer.headers["Location"] == SECOND


def test_a_new_password_is_no_new_proof(app: Flask, clock: Clock, staff: FlaskClient) -> None:
    clock.tick(minutes=11)
    answer = post(staff, "/en/account/password", current=PASSWORD, password="another sentence")
    assert answer.status_code == 302
    assert staff.get("/en/provider/plain").text == "done"
    assert staff.get("/en/provider/fresh").headers["Location"].startswith(VERIFY)


# What stands behind it


def test_staff_without_a_factor_is_led_to_set_one_up(app: Flask, slug: str, clock: Clock) -> None:
    add_person(app, EMAIL, "provider", slug, second=False)
    client = log_in(app, EMAIL)
    assert client.get("/en/provider/orders").status_code == 200, "looking is free"
    answer = client.get("/en/provider/plain?a=1")
    assert answer.status_code == 302
    assert answer.headers["Location"] == f"{FACTORS}?next=/en/provider/plain?a%3D1"
    assert "has no second factor yet" in client.get(answer.headers["Location"]).text
    set_up(client, clock)
    assert len(shown_codes(client)) == 10
    assert client.get("/en/provider/plain").text == "done"
    assert client.get("/en/provider/fresh").text == "done", "it was proved a moment ago"


def test_after_setting_up_one_goes_on_where_one_was(app: Flask, slug: str, clock: Clock) -> None:
    add_person(app, EMAIL, "provider", slug, second=False)
    client = log_in(app, EMAIL)
    client.get(client.get("/en/provider/plain?a=1").headers["Location"])
    set_up(client, clock)
    assert 'href="/en/provider/plain?a=1"' in client.get(f"{FACTORS}/codes").text


def test_a_form_sent_without_proof_leads_back_to_its_page(
    app: Flask, clock: Clock, staff: FlaskClient
) -> None:
    clock.tick(minutes=11)
    for referrer, wanted in (
        ("http://localhost/en/provider/orders?show=all", "/en/provider/orders?show%3Dall"),
        ("http://localhost//evil.example/x", ""),
        ("nonsense", ""),
    ):
        answer = staff.post(
            "/en/provider/fresh",
            data={"csrf_token": token(staff)},
            headers={"Referer": referrer},
        )
        assert answer.status_code == 302
        assert answer.headers["Location"] == f"{VERIFY}?next={wanted}"
    page = staff.get(answer.headers["Location"])
    assert "send the form again" in page.text


def test_proving_again_holds_for_ten_minutes(app: Flask, clock: Clock, staff: FlaskClient) -> None:
    assert staff.get("/en/provider/fresh").text == "done"
    clock.tick(minutes=11)
    assert staff.get("/en/provider/plain").text == "done"
    asked = staff.get("/en/provider/fresh").headers["Location"]
    assert asked == f"{VERIFY}?next=/en/provider/fresh"
    assert post(staff, asked, code="000000").status_code == 422
    assert staff.get("/en/provider/fresh").status_code == 302
    answer = post(staff, asked, code=app_code(app))
    assert answer.headers["Location"] == "/en/provider/fresh"
    assert staff.get("/en/provider/fresh").text == "done"
    # A password is no proof where there is a factor.
    clock.tick(minutes=11)
    assert post(staff, asked, password=PASSWORD).status_code == 422


def test_a_session_older_than_the_factor_must_prove_it(app: Flask, slug: str, clock: Clock) -> None:
    add_person(app, EMAIL, "provider", slug, second=False)
    older, other = log_in(app, EMAIL), log_in(app, EMAIL)
    phone = set_up(other, clock)
    answer = older.get("/en/provider/plain")
    assert answer.headers["Location"] == f"{VERIFY}?next=/en/provider/plain"
    clock.tick(seconds=30)
    code = phone.generate(clock().timestamp()).token
    assert post(older, answer.headers["Location"], code=code).status_code == 302
    assert older.get("/en/provider/plain").text == "done"


def test_a_clock_that_steps_back_proves_nothing(
    app: Flask, clock: Clock, staff: FlaskClient
) -> None:
    clock.tick(minutes=-30)
    assert staff.get("/en/provider/fresh").status_code == 302


def test_others_are_told_whom_to_ask(app: Flask, slug: str, staff: FlaskClient) -> None:
    add_person(app, "books@example.org", "provider", slug, staff_role=StaffRole.ACCOUNTS)
    client = log_in(app, "books@example.org")
    answer = client.get("/en/provider/plain")
    assert answer.status_code == 403
    assert f"mailto:{EMAIL}" in answer.text
    assert "Accounts" in answer.text


def test_half_a_staff_member_finds_nothing(app: Flask, slug: str) -> None:
    for column in ("provider_id", "staff_role"):
        email = f"{column.replace('_', '')}@example.org"
        add_person(app, email, "provider", slug)
        client = log_in(app, email)
        assert client.get("/en/provider/orders").status_code == 200
        with app.app_context(), unit_of_work() as session:
            session.execute(update(User).where(User.email == email).values({column: None}))
        assert client.get("/en/provider/orders").status_code == 404


def test_who_is_enrolled_is_asked_whatever_the_role(app: Flask) -> None:
    for role in ("purchaser", "operator"):
        email = f"{role}@example.org"
        add_person(app, email, role, second=True)
        half_way(app, email)
        assert log_in(app, email).get("/en/account").status_code == 200


# Setting up and removing


def test_a_purchaser_sets_up_renews_and_turns_off(app: Flask, clock: Clock) -> None:
    add_person(app, EMAIL)
    client = log_in(app, EMAIL)
    assert ": off" in client.get("/en/account").text
    phone = set_up(client, clock)
    codes = shown_codes(client)
    assert len(set(codes)) == 10
    assert client.get(f"{FACTORS}/codes").status_code == 302, "they are shown once"
    assert ": on" in client.get("/en/account").text
    assert "10 unused recovery codes" in client.get(FACTORS).text

    post(client, f"{FACTORS}/codes")
    renewed = shown_codes(client)
    assert not set(codes) & set(renewed)
    kept = user(app)
    for secret in (phone.base32_key, *renewed):
        assert secret not in f"{kept.tf_totp_secret} {kept.mf_recovery_codes}"

    post(client, f"{FACTORS}/off")
    kept = user(app)
    assert (kept.tf_primary_method, kept.tf_totp_secret, kept.mf_recovery_codes) == (None,) * 3
    assert abouts(app) == ["factor_added", "recovery_codes_renewed", "factor_removed"]
    log_in(app, EMAIL)


def test_nothing_is_set_up_before_a_code_was_right(app: Flask) -> None:
    add_person(app, EMAIL)
    client = log_in(app, EMAIL)
    before = client.get(f"{FACTORS}/app").text
    answer = post(client, f"{FACTORS}/app", code="000000")
    assert answer.status_code == 422
    key = r'id="key">([A-Z2-7 ]+)<'
    assert re.findall(key, before) == re.findall(key, answer.text), "the key stays the same"
    assert user(app).tf_primary_method is None
    assert abouts(app) == []


def test_changes_ask_for_a_proof(app: Flask, clock: Clock, staff: FlaskClient) -> None:
    """ASVS V7.5.1: a session left alone changes no factor."""
    clock.tick(minutes=11)
    for path in ("app", "passkeys"):
        assert staff.get(f"{FACTORS}/{path}").headers["Location"].startswith(VERIFY), path
    for path in ("codes", "off", "app/remove", "app", "passkeys", "passkeys/1/remove"):
        answer = post(staff, f"{FACTORS}/{path}")
        assert answer.headers["Location"].startswith(VERIFY), path
    assert user(app).tf_primary_method == factors.APP
    assert abouts(app) == []


def test_the_first_factor_asks_for_the_password_again(app: Flask, clock: Clock) -> None:
    add_person(app, EMAIL)
    client = log_in(app, EMAIL)
    clock.tick(minutes=11)
    asked = client.get(f"{FACTORS}/app").headers["Location"]
    assert asked.startswith(VERIFY)
    page = client.get(asked)
    assert 'id="password"' in page.text
    assert 'id="code"' not in page.text
    assert post(client, asked, password="not this one").status_code == 422
    assert post(client, asked, password=PASSWORD).status_code == 302
    assert client.get(f"{FACTORS}/app").status_code == 200


def test_another_app_takes_the_place_of_the_old_one(
    app: Flask, clock: Clock, staff: FlaskClient
) -> None:
    phone = set_up(staff, clock)
    assert staff.get(f"{FACTORS}/codes").status_code == 302, "recovery codes stay as they are"
    clock.tick(minutes=1)
    assert post(half_way(app), SECOND, code=app_code(app)).status_code == 422
    code = phone.generate(clock().timestamp()).token
    assert post(half_way(app), SECOND, code=code).status_code == 302


def test_removing_the_only_factor_turns_it_off(app: Flask, staff: FlaskClient) -> None:
    post(staff, f"{FACTORS}/codes")
    post(staff, f"{FACTORS}/app/remove")
    kept = user(app)
    assert kept.tf_primary_method is None
    assert kept.mf_recovery_codes is None
    assert staff.get("/en/provider/plain").headers["Location"].startswith(FACTORS)
    post(staff, f"{FACTORS}/app/remove")
    post(staff, f"{FACTORS}/off")
    assert abouts(app) == ["recovery_codes_renewed", "factor_removed"], "a repeat says nothing"


# Recovery codes


def test_a_recovery_code_counts_once(app: Flask, staff: FlaskClient) -> None:
    post(staff, f"{FACTORS}/codes")
    code, other = shown_codes(staff)[:2]
    assert post(half_way(app), SECOND, recovery=f" {code.upper()} ").status_code == 302
    assert post(half_way(app), SECOND, recovery=code).status_code == 422
    assert post(half_way(app), SECOND, recovery=other.replace("-", "")).status_code == 302
    assert len(user(app).mf_recovery_codes or ()) == 8
    mails = account_mails(app)
    assert [mail.params["about"] for mail in mails[1:]] == [factors.RECOVERED] * 2
    assert [mail.params["left"] for mail in mails[1:]] == [9, 8]


def test_two_at_once_use_a_recovery_code_once(any_app: Flask) -> None:
    user_id = add_person(any_app, EMAIL, second=True)
    with any_app.test_request_context(), unit_of_work() as session:
        code = second_factor.renew_recovery_codes(session.get_one(User, user_id))[0]
    start, outcomes = threading.Barrier(2), []

    def use() -> None:
        with any_app.test_request_context():
            start.wait(5)
            with unit_of_work() as session:
                found = session.get_one(User, user_id)
                outcomes.append(second_factor.check_recovery_code(session, found, code))
            db.session.remove()

    threads = [threading.Thread(target=use) for _ in range(2)]
    for each in threads:
        each.start()
    for each in threads:
        each.join(20)
    assert sorted(outcomes) == [False, True]


@pytest.mark.parametrize("typed", ["-", "----", "x", "0000-0000-0000", "é", "a" * 4000])
def test_wrong_recovery_codes_are_refused(app: Flask, staff: FlaskClient, typed: str) -> None:
    post(staff, f"{FACTORS}/codes")
    answer = post(half_way(app), SECOND, recovery=typed)
    assert answer.status_code == 422
    assert 'href="#recovery"' in answer.text
    assert len(user(app).mf_recovery_codes or ()) == 10


def test_somebody_elses_recovery_code_is_none(app: Flask, staff: FlaskClient) -> None:
    add_person(app, "bob@example.org", second=True)
    bob = log_in(app, "bob@example.org")
    post(bob, f"{FACTORS}/codes")
    code = shown_codes(bob)[0]
    assert post(half_way(app), SECOND, recovery=code).status_code == 422


# Secrets at rest


def test_secrets_outlive_a_new_key_of_the_site(make_app: Callable[..., Flask]) -> None:
    """ASVS V11.3: what an older SECRET_KEY has encrypted can still be read."""
    old = make_app(SECRET_KEY="the first key of this site, long enough")
    with old.app_context():
        secret = second_factor.new_secret("TESTSTESTSTESTSTESTSTESTSTESTSTE")
    new = make_app(
        SECRET_KEY="the second key of this site, long enough",
        OLD_SECRET_KEYS=["the first key of this site, long enough"],
    )
    with new.app_context():
        assert second_factor.setup_of(secret, EMAIL)["plain"] == "TESTSTESTSTESTSTESTSTESTSTESTSTE"
        fresh = second_factor.new_secret()
        assert second_factor.setup_of(fresh, EMAIL)["plain"]
    stranger = make_app(SECRET_KEY="the key of quite another site, long enough")
    with stranger.app_context():
        now = platform().clock()
        assert second_factor.time_step(secret, "000000", now) is None


def test_what_is_kept_says_no_secret(app: Flask, staff: FlaskClient, clock: Clock) -> None:
    phone = set_up(staff, clock)
    post(staff, f"{FACTORS}/codes")
    codes = shown_codes(staff)
    with app.app_context():
        kept = str([(each.new, each.why) for each in db.session.scalars(select(Event))])
        kept += str([mail.params for mail in account_mails(app)])
    for secret in (phone.base32_key, *codes):
        assert secret not in kept


@pytest.mark.parametrize("lang", ["en", "fr", "es"])
def test_every_page_in_each_language(
    app: Flask, staff: FlaskClient, clock: Clock, lang: str
) -> None:
    pages = [f"/{lang}/account/second-factor", f"/{lang}/account/second-factor/app",
             f"/{lang}/account/second-factor/passkeys", f"/{lang}/account/verify",
             f"/{lang}/account"]  # fmt: skip
    post(staff, f"/{lang}/account/second-factor/codes")
    pages.append(f"/{lang}/account/second-factor/codes")
    for page in pages:
        answer = staff.get(page)
        assert answer.status_code == 200, page
        assert f'<html lang="{lang}">' in answer.text
        assert answer.text.count("<h1") == 1


@pytest.mark.parametrize("lang", ["en", "fr", "es"])
def test_mails_render(app: Flask, staff: FlaskClient, clock: Clock, lang: str) -> None:
    where = f"/{lang}/account/second-factor"
    post(staff, f"{where}/codes")
    code = shown_codes(staff)[0]
    post(half_way(app), f"/{lang}/account/login/second", recovery=code)
    post(staff, f"{where}/off")
    set_up(staff, clock)
    post(staff, f"{where}/app/remove")
    for mail in account_mails(app):
        assert mail.locale == lang or mail.params["about"] == factors.ADDED
        with app.test_request_context(), force_locale(mail.locale):
            letter = write(db.session(), db.session.merge(mail))
        assert letter.link
        assert letter.link[1].endswith(f"/{mail.locale}/account/second-factor")


# Passkeys; a real one is tried in tests/browser/test_passkey.py


def add_passkey(app: Flask, email: str = EMAIL, name: str = "Laptop") -> int:
    """Add a passkey whose device nobody has; return its id."""
    with app.app_context(), unit_of_work() as session:
        now = platform().clock()
        found = session.scalars(select(User).where(User.email == email)).one()
        factors.add_passkey(
            session,
            found,
            WebAuthn(
                name=name,
                credential_id=f"{email} {name}".encode(),
                public_key=b"no key",
                sign_count=0,
                transports=["internal"],
                backup_state=False,
                device_type="single_device",
                create_datetime=now,
                lastuse_datetime=now,
                usage="secondary",
            ),
            locale="en",
            now=now,
        )
        return found.webauthn[-1].id


ANSWERS = [
    "x",
    "{}",
    "[]",
    "null",
    "7",
    '{"id": 1}',
    '{"id": "YQ", "rawId": "YQ", "type": "public-key", "response": {}}',
    '{"id": "YQ", "rawId": "YQ", "type": "public-key", "response": null}',
    (
        '{"id": "YQ", "rawId": "YQ", "type": "public-key", "response": '
        '{"clientDataJSON": "YQ", "attestationObject": "YQ"}}'
    ),
    (
        '{"id": "YWRhQGV4YW1wbGUub3JnIExhcHRvcA", "rawId": "YWRhQGV4YW1wbGUub3JnIExhcHRvcA", '
        '"type": "public-key", "response": {"clientDataJSON": "e30", "authenticatorData": "YQ", '
        '"signature": "YQ"}}'
    ),
    "\0" * 10,
    "9" * 30_000,
    "[" * 15_000,
]


@pytest.mark.parametrize("answer", ANSWERS, ids=range(len(ANSWERS)))
def test_what_is_no_passkey_is_refused(app: Flask, answer: str) -> None:
    add_person(app, EMAIL)
    add_passkey(app)
    client = half_way(app)
    page = client.get(SECOND).text
    assert "data-passkey" in page
    assert "js/passkeys.js" in page
    assert 'id="code"' not in page
    refused = post(client, SECOND, credential=answer)
    assert refused.status_code == 422
    assert 'href="#credential"' in refused.text
    assert client.get("/en/account").status_code == 302

    owner = "bob@example.org"
    add_person(app, owner)
    browser = log_in(app, owner)
    assert browser.get(f"{FACTORS}/passkeys").status_code == 200
    refused = post(browser, f"{FACTORS}/passkeys", credential=answer, name="x")
    assert refused.status_code == 422
    assert user(app, owner).tf_primary_method is None


def test_an_answer_nobody_asked_for_is_refused(app: Flask) -> None:
    add_person(app, EMAIL)
    add_passkey(app)
    assert post(half_way(app), SECOND, credential="{}").status_code == 422


def test_a_passkey_is_removed_by_its_owner_alone(app: Flask, staff: FlaskClient) -> None:
    add_person(app, "bob@example.org")
    theirs = add_passkey(app, "bob@example.org")
    own = add_passkey(app)
    for passkey_id in (theirs, 0, 10**6, 2**63):
        answer = post(staff, f"{FACTORS}/passkeys/{passkey_id}/remove")
        assert answer.status_code == 404, passkey_id
    assert post(staff, f"{FACTORS}/passkeys/{own}/remove").status_code == 302
    assert user(app).tf_primary_method == factors.APP
    assert user(app, "bob@example.org").tf_primary_method == factors.PASSKEY
    assert abouts(app)[-2:] == ["factor_added", "factor_removed"]


def test_removing_the_app_leaves_the_passkey(app: Flask, staff: FlaskClient) -> None:
    post(staff, f"{FACTORS}/codes")
    add_passkey(app)
    post(staff, f"{FACTORS}/app/remove")
    kept = user(app)
    assert kept.tf_primary_method == factors.PASSKEY
    assert kept.mf_recovery_codes, "the recovery codes stay with the last factor"
    assert staff.get("/en/provider/plain").text == "done"


def test_not_more_passkeys_than_ten(app: Flask, staff: FlaskClient) -> None:
    for n in range(factors.MOST_PASSKEYS):
        add_passkey(app, name=str(n))
    assert staff.get(f"{FACTORS}/passkeys").headers["Location"] == FACTORS
    assert "Add a passkey" not in staff.get(FACTORS).text


def test_an_answer_counts_once(any_app: Flask, clock: Clock) -> None:
    """What was asked for before the last answer was taken is a repeat."""
    add_person(any_app, EMAIL)
    passkey_id = add_passkey(any_app)
    clock.tick(seconds=2)
    asked = clock()
    clock.tick(seconds=2)
    taken = []
    for _ in range(2):
        with any_app.app_context(), unit_of_work() as session:
            passkey = session.get_one(WebAuthn, passkey_id)
            taken.append(
                factors.take_passkey(session, passkey, asked=asked, sign_count=1, now=clock())
            )
    assert taken == [True, False]


# Lost


def test_an_operator_resets_what_was_lost(
    app: Flask, staff: FlaskClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(cli_application, "application", lambda: app)
    ran = CliRunner().invoke(cli.cli, ["users", "reset-factor", EMAIL])
    assert ran.exit_code == 0, ran.output
    assert user(app).tf_primary_method is None
    assert abouts(app) == ["factor_removed"]
    assert CliRunner().invoke(cli.cli, ["users", "reset-factor", "x@example.org"]).exit_code == 1
    log_in(app, EMAIL)

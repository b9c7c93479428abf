"""The pages of a provider's staff, and following an invitation."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from flask import Flask
from flask.testing import FlaskClient
from flask_babel import force_locale
from sqlalchemy import event, select

from cnn_offset.domain.staff import StaffRole
from cnn_offset.extensions import db, unit_of_work
from cnn_offset.mail import render
from cnn_offset.mail.letters import write
from cnn_offset.models import Invitation, Message, Provider, User
from cnn_offset.services import joining, staffing
from tests.conftest import Clock
from tests.factories import make_provider
from tests.web.people import PASSWORD, add_person, app_code, log_in, post

OWNER = "owner@example.org"
NEW = "new@example.org"
STAFF = "/en/provider/staff"
INVITE = f"{STAFF}/invite"


@pytest.fixture
def slug(app: Flask) -> str:
    with app.app_context():
        slug = make_provider(name="Sunny Hills Ltd").slug
        db.session.commit()
    return slug


@pytest.fixture
def owner(app: Flask, slug: str) -> FlaskClient:
    add_person(app, OWNER, "provider", slug)
    return log_in(app, OWNER)


def link(app: Flask, kind: str = staffing.INVITED) -> str:
    """Return the path of the link in the newest mail of a kind."""
    with app.test_request_context():
        message = db.session.scalars(
            select(Message).where(Message.kind == kind).order_by(Message.id.desc())
        ).first()
        assert message is not None
        with force_locale(message.locale):
            letter = write(db.session(), message)
        assert render(db.session(), message)["Subject"] == letter.subject
    assert letter.link
    return letter.link[1].removeprefix("http://localhost")


def user(app: Flask, email: str) -> User:
    with app.app_context():
        found = joining.find_user(db.session(), email)
        assert found is not None
        return found


def invite(owner: FlaskClient, app: Flask, email: str = NEW, role: str = "sales") -> str:
    answer = post(owner, INVITE, email=email, role=role)
    assert answer.status_code == 302, answer.text
    return link(app)


# Inviting


def test_invited_registers_and_joins(app: Flask, owner: FlaskClient) -> None:
    path = invite(owner, app, " New@Example.org ")
    assert NEW in owner.get(STAFF).text
    client = app.test_client()
    page = client.get(path)
    assert page.status_code == 200
    assert "Sunny Hills Ltd" in page.text
    assert OWNER in page.text
    assert 'id="password"' in page.text
    with app.app_context():
        assert joining.find_user(db.session(), NEW) is None, "a look changes nothing"
    for bad in ("short", "password1"):
        assert post(client, path, password=bad).status_code == 422
    answer = post(client, path, password=PASSWORD)
    assert answer.headers["Location"].startswith("/en/account/second-factor")
    assert client.get("/en/provider/orders").status_code == 200
    assert user(app, NEW).staff_role is StaffRole.SALES
    # Nothing that moves money or units before the second factor.
    assert client.get(INVITE).status_code == 403
    again = app.test_client()
    assert again.get(path).headers["Location"] == "/en/"
    assert "no longer valid" in again.get("/en/").text
    assert link(app, staffing.JOINED) == "/en/provider/staff"


def test_invited_logs_in_and_joins(app: Flask, owner: FlaskClient) -> None:
    add_person(app, NEW)
    path = invite(owner, app)
    client = app.test_client()
    page = client.get(path).text
    assert 'id="password"' not in page
    assert f"/en/account/login?next={path}" in page
    # Who has the link alone cannot choose a password for an account there is.
    assert post(client, path, password="another sentence").status_code == 200
    assert user(app, NEW).provider_id is None
    answer = post(client, f"/en/account/login?next={path}", email=NEW, password=PASSWORD, next=path)
    assert answer.headers["Location"] == path
    assert client.get(path).status_code == 200
    assert user(app, NEW).provider_id is None
    assert post(client, path).status_code == 302
    assert client.get("/en/provider/orders").status_code == 200


def test_somebody_else_is_told_so(app: Flask, owner: FlaskClient) -> None:
    path = invite(owner, app)
    add_person(app, "other@example.org")
    other = log_in(app, "other@example.org")
    assert "for another address" in other.get(path).text
    post(other, path)
    assert user(app, "other@example.org").provider_id is None


@pytest.mark.parametrize("role", ["provider", "operator"])
def test_others_people_are_refused_kindly(app: Flask, owner: FlaskClient, role: str) -> None:
    with app.app_context():
        other = make_provider().slug
        db.session.commit()
    add_person(app, NEW, role, other)
    path = invite(owner, app)
    client = log_in(app, NEW)
    answer = post(client, path)
    assert answer.status_code == 422
    assert "works for another organisation" in answer.text
    with app.app_context():
        assert db.session.scalars(select(Invitation)).one().accepted_at is None


def test_links_end(app: Flask, owner: FlaskClient, clock: Clock) -> None:
    path = invite(owner, app)
    with app.app_context():
        number = db.session.scalars(select(Invitation.id)).one()
    post(owner, f"{STAFF}/invitations/{number}/withdraw")
    assert app.test_client().get(path).status_code == 302
    path = invite(owner, app)
    clock.tick(days=7)
    assert post(app.test_client(), path, password=PASSWORD).status_code == 302
    with app.app_context():
        assert joining.find_user(db.session(), NEW) is None
    for forged in ("x", path.rsplit("/", 1)[1] + "x", "%00", "é" * 300):
        assert app.test_client().get(f"/en/account/invitation/{forged}").status_code == 302


def test_no_link_is_stored(app: Flask, owner: FlaskClient) -> None:
    path = invite(owner, app)
    with app.app_context():
        kept = str([mail.params for mail in db.session.scalars(select(Message))])
        kept += str([each.token_hash for each in db.session.scalars(select(Invitation))])
    assert path.rsplit("/", 1)[1] not in kept


@pytest.mark.parametrize(
    ("email", "role", "field"),
    [
        ("", "sales", "email"),
        ("no address", "sales", "email"),
        ("a@b@example.org", "sales", "email"),
        ("new\0@example.org", "sales", "email"),
        ("x" * 300 + "@example.org", "sales", "email"),
        (OWNER, "sales", "email"),
        (NEW, "", "role"),
        (NEW, "operator", "role"),
        (NEW, "\0", "role"),
    ],
)
def test_wrong_invitations_keep_what_was_typed(
    app: Flask, owner: FlaskClient, email: str, role: str, field: str
) -> None:
    answer = post(owner, INVITE, email=email, role=role)
    assert answer.status_code == 422
    assert f'href="#{field}"' in answer.text
    if email == NEW:
        assert f'value="{NEW}"' in answer.text
    with app.app_context():
        assert db.session.scalars(select(Invitation)).all() == []


def test_inviting_is_limited(make_app: Callable[..., Flask]) -> None:
    app = make_app(RATE_LIMITS=True)
    with app.app_context():
        slug = make_provider().slug
        db.session.commit()
    add_person(app, OWNER, "provider", slug)
    owner = log_in(app, OWNER)
    answers = [post(owner, INVITE, email="nobody", role="sales").status_code for _ in range(31)]
    assert set(answers[:30]) == {422}
    assert answers[30] == 429


# Who may what


@pytest.mark.parametrize("role", [StaffRole.SALES, StaffRole.ACCOUNTS])
def test_others_look_and_change_nothing(
    app: Flask, slug: str, owner: FlaskClient, role: StaffRole
) -> None:
    user_id = add_person(app, "c@example.org", "provider", slug, staff_role=role)
    client = log_in(app, "c@example.org")
    page = client.get(STAFF)
    assert page.status_code == 200
    assert INVITE not in page.text
    for path in (INVITE, f"{STAFF}/{user_id}"):
        assert client.get(path).status_code == 403
    for path in (INVITE, f"{STAFF}/{user_id}", f"{STAFF}/{user_id}/remove",
                 f"{STAFF}/invitations/1/withdraw"):  # fmt: skip
        answer = post(client, path, email=NEW, role="owner")
        assert answer.status_code == 403
        assert OWNER in answer.text
    assert user(app, "c@example.org").staff_role is role


def test_changes_ask_for_the_second_factor_again(
    app: Flask, owner: FlaskClient, clock: Clock
) -> None:
    clock.tick(minutes=11)
    assert owner.get(STAFF).status_code == 200
    for path in (INVITE, f"{STAFF}/{user(app, OWNER).id}"):
        assert owner.get(path).headers["Location"] == f"/en/account/verify?next={path}"
    assert post(owner, INVITE, email=NEW, role="sales").status_code == 302
    with app.app_context():
        assert db.session.scalars(select(Invitation)).all() == []
    answer = post(owner, f"/en/account/verify?next={INVITE}", code=app_code(app))
    assert answer.headers["Location"] == INVITE
    invite(owner, app)


def test_other_providers_people_do_not_exist(app: Flask, owner: FlaskClient) -> None:
    with app.app_context():
        other = make_provider().slug
        db.session.commit()
    stranger = add_person(app, "z@example.org", "provider", other)
    theirs = log_in(app, "z@example.org")
    invite(theirs, app)
    with app.app_context():
        number = db.session.scalars(select(Invitation.id)).one()
    for user_id in (stranger, 0, 10**6, 2**63 - 1, 2**63, "9" * 30):
        assert owner.get(f"{STAFF}/{user_id}").status_code == 404, user_id
        assert post(owner, f"{STAFF}/{user_id}", role="sales").status_code == 404, user_id
        assert post(owner, f"{STAFF}/{user_id}/remove").status_code == 404, user_id
    for each in (number, 10**6, 2**63):
        assert post(owner, f"{STAFF}/invitations/{each}/withdraw").status_code == 404
    assert user(app, "z@example.org").staff_role is StaffRole.OWNER
    assert "z@example.org" not in owner.get(STAFF).text


# Changing and removing


def test_a_role_is_changed_and_holds_at_once(app: Flask, slug: str, owner: FlaskClient) -> None:
    user_id = add_person(app, "c@example.org", "provider", slug, staff_role=StaffRole.SALES)
    client = log_in(app, "c@example.org")
    assert client.get(INVITE).status_code == 403
    answer = post(owner, f"{STAFF}/{user_id}", role="nonsense")
    assert answer.status_code == 422
    assert post(owner, f"{STAFF}/{user_id}", role="owner").status_code == 302
    assert client.get(INVITE).status_code == 200
    assert link(app, staffing.CHANGED) == "/en/provider/staff"


def test_who_is_removed_is_out_at_once(app: Flask, slug: str, owner: FlaskClient) -> None:
    """The issue's bad day: removed while logged in, a form already open."""
    user_id = add_person(app, "c@example.org", "provider", slug)
    client = log_in(app, "c@example.org")
    assert client.get(INVITE).status_code == 200
    assert post(owner, f"{STAFF}/{user_id}/remove").status_code == 302
    answer = post(client, INVITE, email=NEW, role="owner")
    assert answer.headers["Location"].startswith("/en/account/login")
    with app.app_context():
        assert db.session.scalars(select(Invitation)).all() == []
    again = log_in(app, "c@example.org")
    assert again.get("/en/provider/orders").status_code == 404
    assert again.get("/en/account").status_code == 200
    assert link(app, staffing.REMOVED) == "/en/account"


def test_the_last_owner_can_neither_leave_nor_step_down(app: Flask, owner: FlaskClient) -> None:
    me = user(app, OWNER).id
    assert "Leave the staff" in owner.get(f"{STAFF}/{me}").text
    for path, data in ((f"{STAFF}/{me}/remove", {}), (f"{STAFF}/{me}", {"role": "sales"})):
        answer = post(owner, path, **data)
        assert answer.status_code == 422
        assert "needs an owner" in answer.text
    assert user(app, OWNER).staff_role is StaffRole.OWNER


def test_an_owner_leaves(app: Flask, slug: str, owner: FlaskClient) -> None:
    add_person(app, "c@example.org", "provider", slug)
    answer = post(owner, f"{STAFF}/{user(app, OWNER).id}/remove")
    assert answer.headers["Location"] == "/en/account/login"
    assert owner.get(STAFF).headers["Location"].startswith("/en/account/login")
    assert user(app, OWNER).provider_id is None


@pytest.mark.parametrize("lang", ["en", "fr", "es"])
def test_pages_and_mails_in_each_language(
    app: Flask, slug: str, owner: FlaskClient, lang: str
) -> None:
    user_id = add_person(app, "c@example.org", "provider", slug, staff_role=StaffRole.SALES)
    base = f"/{lang}/provider/staff"
    post(owner, f"{base}/invite", email=NEW, role="accounts")
    path = link(app)
    assert path.startswith(f"/{lang}/account/invitation/")
    for page in (base, f"{base}/invite", f"{base}/{user_id}", path):
        answer = owner.get(page)
        assert answer.status_code == 200, page
        assert answer.text.count("<h1") == 1
        assert answer.headers["Cache-Control"] == "no-store"
    with app.app_context(), unit_of_work() as session:
        for each in session.scalars(select(User)):
            each.locale = lang
    post(app.test_client(), path, password=PASSWORD)
    post(owner, f"{base}/{user_id}", role="accounts")
    post(owner, f"{base}/{user_id}/remove")
    for kind in (staffing.JOINED, staffing.CHANGED, staffing.REMOVED):
        assert link(app, kind).startswith(f"/{lang}/")


def test_the_list_asks_few_questions(app: Flask, slug: str, owner: FlaskClient) -> None:
    asked: list[str] = []
    with app.app_context():
        engine = db.engine

    def note(_connection: object, _cursor: object, statement: str, *_: object) -> None:
        asked.append(statement)

    def count() -> int:
        asked.clear()
        assert owner.get(STAFF).status_code == 200
        return len(asked)

    event.listen(engine, "before_cursor_execute", note)
    few = count()
    with app.app_context(), unit_of_work() as session:
        provider = session.scalars(select(Provider).where(Provider.slug == slug)).one()
        session.add_all(
            User(
                email=f"p{n}@example.org",
                active=True,
                fs_uniquifier=f"u{n}",
                provider_id=provider.id,
                staff_role=StaffRole.SALES,
            )
            for n in range(30)
        )
    many = count()
    event.remove(engine, "before_cursor_execute", note)
    assert many == few, asked

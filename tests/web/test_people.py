"""The operators' own pages: inviting, joining, roles, leaving, and who is shut out."""

from __future__ import annotations

import re

import pytest
from click.testing import CliRunner
from flask import Flask
from flask.testing import FlaskClient
from flask_babel import force_locale
from passlib.totp import TOTP
from sqlalchemy import event, select

from cnn_offset import cli, cli_application
from cnn_offset.domain.staff import OperatorRole
from cnn_offset.extensions import db
from cnn_offset.mail import render
from cnn_offset.mail.letters import write
from cnn_offset.models import Event, Invitation, Message, User
from cnn_offset.services import joining, operating
from tests.conftest import Clock
from tests.factories import make_provider
from tests.web.people import PASSWORD, add_person, app_code, forget_codes, log_in, post

HEAD = "head@example.org"
NEW = "new@example.org"
PEOPLE = "/en/operator/people"
INVITE = f"{PEOPLE}/invite"


@pytest.fixture
def head(app: Flask) -> FlaskClient:
    add_person(app, HEAD, "operator")
    return log_in(app, HEAD)


def user(app: Flask, email: str) -> User:
    with app.app_context():
        found = joining.find_user(db.session(), email)
        assert found is not None
        return found


def link(app: Flask, kind: str = operating.INVITED, lang: str = "en") -> str:
    """Return the path of the link in the newest mail of a kind."""
    with app.test_request_context():
        message = db.session.scalars(
            select(Message).where(Message.kind == kind).order_by(Message.id.desc())
        ).first()
        assert message is not None
        assert message.locale == lang
        with force_locale(message.locale):
            letter = write(db.session(), message)
        assert render(db.session(), message)["Subject"] == letter.subject
    assert letter.link
    return letter.link[1].removeprefix("http://localhost")


def invite(
    head: FlaskClient, app: Flask, email: str = NEW, role: str = "support", lang: str = "en"
) -> str:
    answer = post(head, INVITE, email=email, role=role, locale=lang)
    assert answer.status_code == 302, answer.text
    return link(app, lang=lang)


def last_event(app: Flask) -> Event:
    with app.app_context():
        return db.session.scalars(select(Event).order_by(Event.id.desc())).first()  # type: ignore[return-value]


def make_operator(app: Flask, email: str, role: OperatorRole) -> int:
    return add_person(app, email, "operator", operator_role=role)


# Inviting and joining


def test_from_the_invitation_to_the_desk(app: Flask, head: FlaskClient) -> None:
    """Somebody new opens an account by the link, and must set up a second factor first."""
    path = invite(head, app, " New@Example.org ", lang="fr")
    assert NEW in head.get(PEOPLE).text
    client = app.test_client()
    page = client.get(path)
    assert page.status_code == 200
    assert HEAD in page.text
    weak = post(client, path, password="password")
    assert weak.status_code == 422
    joined = post(client, path, password=PASSWORD)
    assert joined.status_code == 302
    assert "/fr/account/second-factor?next=" in joined.headers["Location"]
    assert user(app, NEW).operator_role is OperatorRole.SUPPORT
    shut = client.get("/en/operator/orders")
    assert shut.status_code == 302
    assert "/account/second-factor" in shut.headers["Location"]
    page = client.get("/en/account/second-factor/app")
    key = re.search(r"secret=([A-Z2-7]{32})|([A-Z2-7]{4}( [A-Z2-7]{4}){7})", page.text)
    assert key, page.text
    with app.app_context():
        moment = app.extensions["cnn_offset"].clock().timestamp()
    plain = (key[1] or key[2]).replace(" ", "")
    code = TOTP(key=plain, format="base32", new=False).generate(moment).token
    assert post(client, "/en/account/second-factor/app", code=str(code)).status_code in (200, 302)
    assert client.get("/en/operator/orders").status_code == 200
    assert client.get(PEOPLE).status_code == 403
    assert last_event(app).actor
    assert "/operator/people" in link(app, operating.JOINED)
    again = client.get(path)
    assert again.status_code == 302, "it serves once"


def test_an_account_there_is_joins(app: Flask, head: FlaskClient) -> None:
    add_person(app, NEW)
    path = invite(head, app, role="auditor")
    assert "Log in" in app.test_client().get(path).text
    client = log_in(app, NEW)
    assert "Join the desk" in client.get(path).text
    assert post(client, path).status_code == 302
    assert user(app, NEW).operator_role is OperatorRole.AUDITOR
    assert user(app, NEW).has_role("operator")


def test_whoever_is_logged_in_otherwise_is_told(app: Flask, head: FlaskClient) -> None:
    path = invite(head, app)
    page = head.get(path)
    assert "another address" in page.text
    assert post(head, path).status_code == 200
    assert user(app, HEAD).operator_role is OperatorRole.HEAD


def test_staff_of_a_provider_are_not_operators(app: Flask, head: FlaskClient) -> None:
    with app.app_context():
        slug = make_provider().slug
        db.session.commit()
    path = invite(head, app)
    add_person(app, NEW, "provider", slug)
    answer = post(log_in(app, NEW), path)
    assert answer.status_code == 422
    assert "another organisation" in answer.text
    refused = post(head, INVITE, email=NEW, role="support", locale="en")
    assert refused.status_code == 422
    assert "staff of a provider" in refused.text


@pytest.mark.parametrize(
    ("typed", "field"),
    [
        ({"email": "nobody"}, "email"),
        ({"email": HEAD}, "email"),
        ({"email": "x" * 60 + "@" + "y" * 58 + ".example.org"}, "email"),
        ({"role": "king"}, "role"),
        ({"role": ""}, "role"),
        ({"locale": "de"}, "locale"),
    ],
)
def test_faulty_invitations(
    app: Flask, head: FlaskClient, typed: dict[str, str], field: str
) -> None:
    answer = post(head, INVITE, **{"email": NEW, "role": "support", "locale": "es", **typed})
    assert answer.status_code == 422
    assert f'href="#{field}"' in answer.text
    with app.app_context():
        assert db.session.scalar(select(Invitation.id)) is None


def test_an_invitation_is_replaced_withdrawn_and_runs_out(
    app: Flask, head: FlaskClient, clock: Clock
) -> None:
    first = invite(head, app)
    clock.tick(minutes=1)
    second = invite(head, app)
    stranger = app.test_client()
    assert stranger.get(first).status_code == 302
    assert stranger.get(second).status_code == 200
    with app.app_context():
        newest = db.session.scalars(select(Invitation.id).order_by(Invitation.id.desc())).first()
    assert post(head, f"{PEOPLE}/invitations/{newest}/withdraw").status_code == 302
    assert last_event(app).new == "withdrawn"
    assert stranger.get(second).status_code == 302
    assert post(head, f"{PEOPLE}/invitations/9999/withdraw").status_code == 404
    clock.tick(minutes=1)
    third = invite(head, app)
    clock.tick(days=7)
    assert stranger.get(third).status_code == 302


# Roles


def test_a_role_is_changed_and_holds_with_the_next_click(app: Flask, head: FlaskClient) -> None:
    number = make_operator(app, NEW, OperatorRole.HEAD)
    demoted = log_in(app, NEW)
    assert demoted.get(PEOPLE).status_code == 200
    answer = post(head, f"{PEOPLE}/{number}/role", role="editor")
    assert answer.status_code == 302
    assert demoted.get(PEOPLE).status_code == 403
    assert demoted.get("/en/operator/orders").status_code == 200
    made = last_event(app)
    assert (made.actor, made.old, made.new) == (HEAD, "head", "editor")
    with app.test_request_context():
        mail = db.session.scalars(select(Message).where(Message.kind == operating.CHANGED)).one()
        assert mail.recipient == NEW
        assert write(db.session(), mail).facts == [("Role", "Writer of texts")]
    assert post(head, f"{PEOPLE}/{number}/role", role="nothing").status_code == 422
    assert post(head, f"{PEOPLE}/{number}/role", role="editor").status_code == 302


def test_who_is_removed_is_out_at_once(app: Flask, head: FlaskClient) -> None:
    number = make_operator(app, NEW, OperatorRole.HEAD)
    gone = log_in(app, NEW)
    assert post(head, f"{PEOPLE}/{number}/remove").status_code == 302
    assert "/account/login" in gone.get("/en/operator/orders").headers["Location"]
    again = log_in(app, NEW)
    assert again.get("/en/operator/orders").status_code == 404
    assert again.get("/en/account").status_code == 200
    assert head.get(f"{PEOPLE}/{number}").status_code == 404
    assert post(head, f"{PEOPLE}/{number}/role", role="head").status_code == 404


def test_the_last_head_stays(app: Flask, head: FlaskClient) -> None:
    make_operator(app, NEW, OperatorRole.SUPPORT)
    own = user(app, HEAD).id
    for path, form in (
        (f"{PEOPLE}/{own}/remove", {}),
        (f"{PEOPLE}/{own}/role", {"role": "editor"}),
    ):
        answer = post(head, path, **form)
        assert answer.status_code == 422
        assert "the only one" in answer.text
    assert user(app, HEAD).operator_role is OperatorRole.HEAD


def test_a_head_leaves_when_there_is_another(app: Flask, head: FlaskClient) -> None:
    make_operator(app, NEW, OperatorRole.HEAD)
    answer = post(head, f"{PEOPLE}/{user(app, HEAD).id}/remove")
    assert answer.status_code == 302
    assert "/account/login" in answer.headers["Location"]
    assert user(app, HEAD).operator_role is None


# Help for who is shut out


def test_sessions_are_ended(app: Flask, head: FlaskClient) -> None:
    number = make_operator(app, NEW, OperatorRole.SUPPORT)
    lost = log_in(app, NEW)
    assert post(head, f"{PEOPLE}/{number}/sessions").status_code == 302
    assert "/account/login" in lost.get("/en/operator/orders").headers["Location"]
    made = last_event(app)
    assert (made.actor, made.new, made.subject_id) == (HEAD, "sessions ended", number)


def test_a_lost_second_factor_is_reset(app: Flask, head: FlaskClient) -> None:
    number = make_operator(app, NEW, OperatorRole.SUPPORT)
    lost = log_in(app, NEW)
    assert post(head, f"{PEOPLE}/{number}/factor").status_code == 302
    assert "/account/login" in lost.get("/en/operator/orders").headers["Location"]
    shut = log_in(app, NEW).get("/en/operator/orders")
    assert "/account/second-factor" in shut.headers["Location"]
    with app.app_context():
        assert (
            db.session.scalars(select(Message.recipient).where(Message.kind == "account")).one()
            == NEW
        )
    own = post(head, f"{PEOPLE}/{user(app, HEAD).id}/factor")
    assert own.status_code == 422


# Who may


@pytest.mark.parametrize("role", [each for each in OperatorRole if each is not OperatorRole.HEAD])
def test_only_heads_decide_on_people(app: Flask, role: OperatorRole) -> None:
    number = make_operator(app, NEW, role)
    client = log_in(app, NEW)
    assert client.get(PEOPLE).status_code == 403
    assert client.get(INVITE).status_code == 403
    for path in (INVITE, *(f"{PEOPLE}/{number}/{each}" for each in ("role", "remove", "sessions"))):
        assert post(client, path, role="head", email="x@example.org").status_code == 403
    assert user(app, NEW).operator_role is role


def test_changes_ask_for_a_fresh_proof(app: Flask, head: FlaskClient, clock: Clock) -> None:
    clock.tick(minutes=12)
    answer = post(head, f"{PEOPLE}/{user(app, HEAD).id}/remove")
    assert "/account/verify" in answer.headers["Location"]
    forget_codes(app, HEAD)
    assert post(head, "/en/account/verify", code=app_code(app)).status_code == 302
    assert head.get(INVITE).status_code == 200


def test_people_cost_the_same_number_of_queries(app: Flask, head: FlaskClient) -> None:
    def queries() -> int:
        seen: list[str] = []
        with app.app_context():
            event.listen(db.engine, "before_cursor_execute", lambda *args: seen.append(args[2]))
        assert head.get(PEOPLE).status_code == 200
        return len(seen)

    few = queries()
    for number in range(5):
        make_operator(app, f"o{number}@example.org", OperatorRole.SUPPORT)
    assert queries() <= 2 * few, "the second listener counts each twice"


def test_the_command_line_names_the_role(app: Flask, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cli_application, "create_app", lambda **_: app)
    run = CliRunner().invoke
    made = run(
        cli.cli,
        ["users", "add", NEW, "--role", "operator", "--operator-role", "finance"],
        input=f"{PASSWORD}\n{PASSWORD}\n",
    )
    assert made.exit_code == 0, made.output
    assert user(app, NEW).operator_role is OperatorRole.FINANCE
    assert last_event(app).new == "finance"
    odd = run(
        cli.cli, ["users", "add", "x@example.org", "--role", "operator", "--operator-role", "x"]
    )
    assert odd.exit_code != 0

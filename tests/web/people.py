"""People at their browsers: accounts, logging in, forms with their token."""

from __future__ import annotations

import secrets
from typing import Any

from flask import Flask
from flask.testing import FlaskClient
from itsdangerous import URLSafeTimedSerializer
from passlib.totp import TOTP
from sqlalchemy import select, update
from werkzeug.test import TestResponse

from cnn_offset import second_factor
from cnn_offset.accounts import add_user
from cnn_offset.domain.staff import OperatorRole, StaffRole
from cnn_offset.extensions import db, platform, unit_of_work
from cnn_offset.models import Message, User
from cnn_offset.services import factors

PASSWORD = "a sentence nobody else uses"
APP_KEY = "TESTSTESTSTESTSTESTSTESTSTESTSTE"
"""What the authenticator app of everybody with a second factor is fed with."""


def add_person(
    app: Flask,
    email: str,
    role: str = "purchaser",
    provider_slug: str | None = None,
    *,
    staff_role: StaffRole = StaffRole.OWNER,
    operator_role: OperatorRole = OperatorRole.HEAD,
    second: bool | None = None,
) -> int:
    """Add an account that can log in; return its id.

    Staff has a second factor, others have none; ``second`` says otherwise.
    """
    with app.app_context():
        with unit_of_work() as session:
            user = add_user(
                session,
                email=email,
                password=PASSWORD,
                role=role,
                provider_slug=provider_slug,
                staff_role=staff_role,
                operator_role=operator_role,
                now=platform().clock(),
            )
            if role != "purchaser" if second is None else second:
                user.tf_primary_method = factors.APP
                user.tf_totp_secret = second_factor.new_secret(APP_KEY)
        return db.session.scalars(select(User.id).where(User.email == email)).one()


def app_code(app: Flask, steps: int = 0) -> str:
    """Return the code that the app shows now, or did or will so many steps away."""
    with app.app_context():
        moment = platform().clock().timestamp() + steps * second_factor.STEP
    return str(TOTP(key=APP_KEY, format="base32", new=False).generate(moment).token)


def token(client: FlaskClient) -> str:
    """Return a form token that goes with the session of ``client``."""
    with client.session_transaction() as session:
        raw = session.setdefault("csrf_token", secrets.token_hex(20))
    signer = URLSafeTimedSerializer(client.application.secret_key, salt="wtf-csrf-token")
    return str(signer.dumps(raw))


def post(client: FlaskClient, path: str, **data: Any) -> TestResponse:
    """Send a form as its page would."""
    return client.post(path, data={"csrf_token": token(client), **data})


def log_in(app: Flask, email: str, password: str = PASSWORD, lang: str = "en") -> FlaskClient:
    """Return a browser in which somebody is logged in, by the second factor if there is one."""
    client = app.test_client()
    answer = post(client, f"/{lang}/account/login", email=email, password=password)
    assert answer.status_code == 302, answer.text
    if answer.headers["Location"].endswith("/account/login/second"):
        forget_codes(app, email)
        answer = post(client, f"/{lang}/account/login/second", code=app_code(app))
        assert answer.status_code == 302, answer.text
    return client


def forget_codes(app: Flask, email: str) -> None:
    """Let the code of this moment count once more: the clock of a test stands still."""
    with app.app_context(), unit_of_work() as session:
        session.execute(update(User).where(User.email == email).values(tf_last_counter=None))


def account_mails(app: Flask) -> list[Message]:
    """Return the mails about accounts in the outbox, oldest first."""
    with app.app_context():
        return list(
            db.session.scalars(
                select(Message).where(Message.kind == "account").order_by(Message.id)
            )
        )

"""People at their browsers: accounts, logging in, forms with their token."""

from __future__ import annotations

import secrets
from typing import Any

from flask import Flask
from flask.testing import FlaskClient
from itsdangerous import URLSafeTimedSerializer
from sqlalchemy import select
from werkzeug.test import TestResponse

from cnn_offset.accounts import add_user
from cnn_offset.extensions import db, platform, unit_of_work
from cnn_offset.models import Message, User

PASSWORD = "a sentence nobody else uses"


def add_person(
    app: Flask, email: str, role: str = "purchaser", provider_slug: str | None = None
) -> int:
    """Add an account that can log in; return its id."""
    with app.app_context():
        with unit_of_work() as session:
            add_user(
                session,
                email=email,
                password=PASSWORD,
                role=role,
                provider_slug=provider_slug,
                now=platform().clock(),
            )
        return db.session.scalars(select(User.id).where(User.email == email)).one()


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
    """Return a browser in which somebody is logged in."""
    client = app.test_client()
    answer = post(client, f"/{lang}/account/login", email=email, password=password)
    assert answer.status_code == 302, answer.text
    return client


def account_mails(app: Flask) -> list[Message]:
    """Return the mails about accounts in the outbox, oldest first."""
    with app.app_context():
        return list(
            db.session.scalars(
                select(Message).where(Message.kind == "account").order_by(Message.id)
            )
        )

"""The simulated authenticator app."""

from __future__ import annotations

import re
import time

import pytest
from flask.testing import FlaskClient
from passlib.totp import TOTP

from cnn_offset.demo import TOTP_SECRET
from cnn_offset.sandbox import create_sandbox


@pytest.fixture
def client() -> FlaskClient:
    return create_sandbox().test_client()


@pytest.mark.parametrize("written", [TOTP_SECRET, TOTP_SECRET.lower(), " ".join(TOTP_SECRET)])
def test_it_shows_the_code_of_a_key_however_it_is_written(
    client: FlaskClient, written: str
) -> None:
    app = TOTP(key=TOTP_SECRET, format="base32", new=False)
    before = app.generate(time.time()).token
    page = client.get("/authenticator", query_string={"secret": written})
    after = app.generate(time.time()).token
    shown = re.search(r'id="code">(\d{6})<', page.text)
    assert shown
    assert shown[1] in (before, after)
    assert 1 <= int(page.headers["Refresh"]) <= 30
    assert page.headers["Cache-Control"] == "no-store"


@pytest.mark.parametrize("typed", ["0189", "!!", "A", "é", "<script>", "A" * 5000 + "1"])
def test_what_is_no_key_is_said_to_be_none(client: FlaskClient, typed: str) -> None:
    page = client.get("/authenticator", query_string={"secret": typed})
    assert page.status_code in (200, 422)
    assert "<script>" not in page.text
    if page.status_code == 422:
        assert "This is no key" in page.text
        assert "Refresh" not in page.headers


def test_without_a_key_it_asks_for_one(client: FlaskClient) -> None:
    page = client.get("/authenticator")
    assert page.status_code == 200
    assert 'id="code"' not in page.text
    assert 'href="/authenticator"' in client.get("/").text

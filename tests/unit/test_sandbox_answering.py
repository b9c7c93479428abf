"""Answering a mail of the sandbox's mailbox, as its reader's mail program would."""

from __future__ import annotations

from email.message import EmailMessage

import pytest
from flask.testing import FlaskClient

from cnn_offset.mail.incoming import parse
from cnn_offset.sandbox import answering, create_sandbox, mailbox


@pytest.fixture
def client() -> FlaskClient:
    made = create_sandbox().test_client()
    mail = EmailMessage()
    mail["From"], mail["To"] = "Shop <noreply@example.org>", "anna@example.org"
    mail["Reply-To"], mail["Message-ID"] = "case+x@example.org", "<1@cnn-offset>"
    mail["Subject"], mail["Date"] = "Case X", "Mon, 02 Nov 2026 09:00:00 +0000"
    mail.set_content("We have looked.")
    made.post("/mailbox/messages", data=bytes(mail))
    return made


def test_an_answer_goes_to_the_shop(client: FlaskClient, monkeypatch: pytest.MonkeyPatch) -> None:
    got: list[tuple[str, bytes]] = []
    monkeypatch.setattr(mailbox, "hand_over", lambda url, raw: got.append((url, raw)))
    assert client.post("/mailbox/1/reply", data={"text": "Hello"}).status_code == 409
    client.post("/control/webhooks", json={"mail": "http://127.0.0.1:1/hooks/mail"})
    page = client.post("/mailbox/1/reply", data={"text": "Hello"}, follow_redirects=True)
    assert "The shop has it." in page.text
    ((url, raw),) = got
    assert url == "http://127.0.0.1:1/hooks/mail"
    read = parse(raw)
    assert (read.sender, list(read.head.to)) == ("anna@example.org", ["case+x@example.org"])
    assert read.text == "Hello\n\n[…]"
    assert not read.is_automatic
    assert client.post("/mailbox/9/reply", data={"text": "Hello"}).status_code == 404


def test_a_mail_can_come_back(client: FlaskClient, monkeypatch: pytest.MonkeyPatch) -> None:
    got: list[bytes] = []
    monkeypatch.setattr(mailbox, "hand_over", lambda _url, raw: got.append(raw))
    client.post("/control/webhooks", json={"mail": "http://127.0.0.1:1/hooks/mail"})
    assert client.post("/mailbox/1/reply", data={"bounce": "yes"}).status_code == 303
    bounce = parse(got[0]).bounce
    assert bounce is not None
    assert (bounce.message_id, bounce.is_final) == ("<1@cnn-offset>", True)
    assert "no such person" in bounce.reason


def test_a_shop_that_is_not_there_is_said(client: FlaskClient) -> None:
    client.post("/control/webhooks", json={"mail": "http://127.0.0.1:1/hooks/mail"})
    answer = client.post("/mailbox/1/reply", data={"text": "Hello"})
    assert answer.status_code == 502
    assert "does not take it" in answer.json["error"]
    assert answering.TOKEN not in answer.text

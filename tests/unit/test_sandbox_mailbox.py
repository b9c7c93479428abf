"""The sandbox's mailbox and its own pages."""

from __future__ import annotations

from email.message import EmailMessage

import pytest
from flask.testing import FlaskClient

from cnn_offset.sandbox import create_sandbox


@pytest.fixture
def client() -> FlaskClient:
    return create_sandbox().test_client()


def a_mail() -> EmailMessage:
    mail = EmailMessage()
    mail["From"], mail["To"] = "shop@example.org", "Anna <anna@example.org>"
    mail["Subject"] = "Łódź <b>"
    mail.set_content("Bonjour, voir https://example.org/fr/")
    mail.add_alternative("<p>Bonjour</p><script>alert(1)</script>", subtype="html")
    mail.add_attachment(
        b"%PDF-1", maintype="application", subtype="pdf", filename="VC000001_2026.pdf"
    )
    return mail


def test_a_mail_is_shown_whole(client: FlaskClient) -> None:
    raw = bytes(a_mail())
    answer = client.post("/mailbox/messages", data=raw)
    assert answer.status_code == 201
    url = answer.json["url"]
    assert "Łódź &lt;b&gt;" in client.get("/mailbox").text
    page = client.get(url).text
    assert "Łódź &lt;b&gt;" in page
    assert "SANDBOX" in page
    assert 'href="https://example.org/fr/"' in page
    assert "<script>" not in page
    assert client.get(f"{url}/raw").data == raw


def test_html_of_a_mail_can_do_nothing(client: FlaskClient) -> None:
    client.post("/mailbox/messages", data=bytes(a_mail()))
    answer = client.get("/mailbox/1/html")
    policy = answer.headers["Content-Security-Policy"]
    assert "<p>Bonjour</p>" in answer.text
    assert policy.startswith("sandbox ")
    assert "allow-scripts" not in policy
    assert "default-src 'none'" in policy


def test_attachments_are_downloads(client: FlaskClient) -> None:
    client.post("/mailbox/messages", data=bytes(a_mail()))
    answer = client.get("/mailbox/1/attachments/0")
    assert answer.data == b"%PDF-1"
    assert answer.headers["Content-Disposition"] == "attachment; filename=VC000001_2026.pdf"
    assert answer.headers["X-Content-Type-Options"] == "nosniff"
    assert client.get("/mailbox/1/attachments/1").status_code == 404


def test_mails_are_found_by_address(client: FlaskClient) -> None:
    for to in ("anna@example.org", "bela@example.org"):
        mail = EmailMessage()
        mail["From"], mail["To"] = "shop@example.org", to
        mail.set_content("text only")
        client.post("/mailbox/messages", data=bytes(mail))
    found = client.get("/mailbox/messages?to=BELA@").json["messages"]
    assert [each["to"] for each in found] == ["bela@example.org"]
    assert client.get("/mailbox/2/html").status_code == 404


@pytest.mark.parametrize("raw", [b"", b"no mail", b"\xff\xfe\x00", b"From: a@b.c\n\ntext"])
def test_what_is_no_mail_is_refused(client: FlaskClient, raw: bytes) -> None:
    assert client.post("/mailbox/messages", data=raw).status_code == 400
    assert client.get("/mailbox/messages").json == {"messages": []}


def test_the_mailbox_can_be_down(client: FlaskClient) -> None:
    client.post("/faults", json={"target": "mail", "kind": "refuse", "count": 1})
    assert client.post("/mailbox/messages", data=bytes(a_mail())).status_code == 503
    client.post("/faults", json={"target": "mail", "kind": "error_before", "count": 1})
    assert client.post("/mailbox/messages", data=bytes(a_mail())).status_code == 500
    assert client.post("/mailbox/messages", data=bytes(a_mail())).status_code == 201


@pytest.mark.parametrize("path", ["/mailbox/9", "/mailbox/9/raw", "/mailbox/9/html"])
def test_a_mail_that_is_not_there(client: FlaskClient, path: str) -> None:
    assert client.get(path).status_code == 404


@pytest.mark.parametrize(
    "path",
    [
        "/",
        "/faults",
        "/mailbox",
        "/registries/cdm/",
        "/registries/a64-interim/",
        "/registries/a64-final/",
    ],
)
def test_every_page_says_that_it_is_a_sandbox(client: FlaskClient, path: str) -> None:
    answer = client.get(path, headers={"Accept": "text/html"})
    assert answer.status_code == 200
    assert "<strong>SANDBOX</strong>" in answer.text
    assert "SANDBOX</title>" in answer.text


def test_reset_forgets_everything(client: FlaskClient) -> None:
    client.post("/mailbox/messages", data=bytes(a_mail()))
    client.post("/faults", json={"target": "mail", "kind": "slow"})
    client.post("/control/webhooks", json={"paypal": "http://127.0.0.1:1/hooks"})
    assert client.get("/control/webhooks").json == {"paypal": "http://127.0.0.1:1/hooks"}
    client.post("/control/reset")
    assert client.get("/mailbox/messages").json == {"messages": []}
    assert client.get("/faults").json == {"faults": []}
    assert client.get("/control/webhooks").json == {}

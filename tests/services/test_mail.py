"""Every kind of mail: in the reader's language, with its links, handed over whole."""

from __future__ import annotations

import io
import re
import smtplib
import socketserver
import threading
from collections.abc import Callable, Iterator
from email import message_from_bytes, policy
from email.message import EmailMessage
from html import unescape
from pathlib import Path
from typing import Any

import pytest
from flask import Flask
from pypdf import PdfReader
from werkzeug.serving import make_server

from cnn_offset import jobs, mail
from cnn_offset.attestations import AttestationError, issuer, stored_pdf
from cnn_offset.config import read_settings
from cnn_offset.domain.status import MessageStatus
from cnn_offset.extensions import db, platform, unit_of_work
from cnn_offset.mail.letters import KINDS
from cnn_offset.models import Attestation, Message, Order, Payment
from cnn_offset.sandbox import create_sandbox
from cnn_offset.services import mailing
from cnn_offset.services.attesting import issue_attestation
from tests.conftest import settings
from tests.factories import NOW
from tests.papers import DONE, make_attestation, make_order

TO_PURCHASER = [
    "order_placed",
    "order_in_progress",
    "payment_received",
    "order_lapsed",
    "order_withdrawn",
    "order_in_review",
    "payment_reminder",
    "order_refunded",
]
TO_PROVIDER = ["bank_order_placed", "order_paid", "order_undealt"]


def queue(kind: str, order: Order, *, locale: str = "en", **params: Any) -> Message:
    mailing.queue_message(
        db.session(),
        kind,
        recipient=order.email,
        locale=locale,
        now=NOW,
        dedup=f"{kind}:{locale}:{order.id}",
        order=order,
        params=params,
    )
    db.session.commit()
    return db.session.query(Message).order_by(Message.id.desc()).first()


def parts(made: EmailMessage) -> tuple[str, str]:
    """Return text and HTML as a mail program would read them."""
    read = message_from_bytes(made.as_bytes(), _class=EmailMessage, policy=policy.default)
    text, html = read.get_body(("plain",)), read.get_body(("html",))
    assert text is not None
    assert html is not None
    return str(text.get_content()), str(html.get_content())


@pytest.mark.parametrize("locale", ["en", "fr", "es"])
@pytest.mark.parametrize("kind", TO_PURCHASER + TO_PROVIDER)
def test_every_kind_has_subject_text_html_and_link(app: Flask, kind: str, locale: str) -> None:
    with app.app_context():
        order = make_order()
        made = mail.render(db.session(), queue(kind, order, locale=locale))
        text, html = parts(made)
        assert order.code in made["Subject"]
        assert made["To"] == order.email
        assert made["Content-Language"] == locale
        assert f'<html lang="{locale}"' in html
        address = (
            f"http://localhost/{locale}/provider/orders/{order.code}"
            if kind in TO_PROVIDER
            else f"http://localhost/{locale}/orders/{order.token}"
        )
        assert address in text
        # A button, and the same address plain below it.
        assert html.count(f'href="{address}"') == 2
        assert html.count(f">{address}</a>") == 1
        assert "<img" not in html
        assert list(made.iter_attachments()) == []


def test_every_kind_that_services_queue_can_be_written() -> None:
    source = "".join(
        path.read_text() for path in Path("cnn_offset").rglob("*.py") if "mail" not in path.parts
    )
    queued = set(
        re.findall(r'(?:tell_purchaser|tell_provider|queue_message)\(\s*\w+,\s*"(\w+)"', source)
    )
    assert queued >= {"attestation", "bank_instructions", "order_paid", "order_placed"}
    assert queued <= KINDS
    assert {"order_lapsed", "order_withdrawn", "account", *TO_PROVIDER} <= KINDS


def test_text_and_html_say_the_same(app: Flask) -> None:
    with app.app_context():
        text, html = parts(mail.render(db.session(), queue("order_placed", make_order())))
        plain = unescape(re.sub(r"<[^>]+>", " ", html.split("</style>")[1]))
        words = set(re.findall(r"\w{4,}", plain))
        assert words - set(re.findall(r"\w{4,}", text)) == set()


def test_what_people_typed_is_escaped(app: Flask) -> None:
    with app.app_context():
        order = make_order(beneficiary='<script>alert("x")</script> & Co')
        text, html = parts(mail.render(db.session(), queue("order_placed", order)))
        assert "<script>" not in html
        assert '<script>alert("x")</script> & Co' in text


def test_it_is_the_same_mail_each_time(app: Flask) -> None:
    with app.app_context():
        message = queue("order_placed", make_order())
        one, two = (mail.render(db.session(), message) for _ in range(2))
        assert one["Message-ID"] == two["Message-ID"] == message.message_id
        assert one["Date"] == two["Date"]
        assert one["Auto-Submitted"] == "auto-generated"


def test_bank_instructions_carry_reference_and_account(app: Flask) -> None:
    with app.app_context():
        order = make_order(method_id="bank_transfer")
        payment = Payment(
            order_id=order.id,
            key="p-1",
            method_id="bank_transfer",
            payee={},
            payee_account="DE89",
            amount_minor=2500,
            currency="USD",
            instructions=[
                ["IBAN", "DE89 3704 0044 0532 0130 00"],
                ["Payment reference", "RF18 0000"],
                ["All charges are to be paid by you (OUR), so that the amount arrives whole.", ""],
            ],
            created_at=NOW,
        )
        db.session.add(payment)
        db.session.commit()
        text, _ = parts(
            mail.render(db.session(), queue("bank_instructions", order, payment_id=payment.id))
        )
        assert "DE89 3704 0044 0532 0130 00" in text
        assert "Payment reference: RF18 0000" in text
        assert "\nAll charges are to be paid by you (OUR)" in text


@pytest.mark.parametrize("own", ["yes", ""])
def test_who_sends_bank_details_is_told_to(app: Flask, own: str) -> None:
    with app.app_context():
        order = make_order(method_id="bank_transfer")
        db.session.add(
            Payment(
                order_id=order.id,
                key="p-1",
                method_id="bank_transfer",
                payee={"sends_own_details": own},
                payee_account="",
                amount_minor=2500,
                currency="USD",
                instructions=[["Payment reference", "RF18 0000"]],
                created_at=NOW,
            )
        )
        db.session.commit()
        text, _ = parts(mail.render(db.session(), queue("bank_order_placed", order)))
        assert (f"send your bank details to the purchaser, {order.email}" in text) == bool(own)


def test_lost_links_list_only_that_address(app: Flask) -> None:
    with app.app_context():
        mine = [make_order(email="me@example.org") for _ in range(2)]
        other = make_order()
        message = queue("lost_links", mine[0])
        text, _ = parts(mail.render(db.session(), message))
        assert all(order.token in text for order in mine)
        assert other.token not in text


@pytest.fixture
def issued(app: Flask) -> Iterator[Attestation]:
    with app.app_context():
        row = make_attestation()
        issue_attestation(unit_of_work, row.id, issuer=issuer(), now=DONE)
        db.session.rollback()
        yield db.session.get_one(Attestation, row.id, populate_existing=True)


def test_the_attestation_is_attached_as_issued(issued: Attestation) -> None:
    message = db.session.query(Message).one()
    made = mail.render(db.session(), message)
    assert made["Subject"].endswith("your attestation VC000001/2026")
    (attachment,) = made.iter_attachments()
    assert attachment.get_filename() == "attestation-VC000001-2026.pdf"
    assert attachment.get_content_type() == "application/pdf"
    assert attachment.get_payload(decode=True) == stored_pdf(issued)
    text, _ = parts(made)
    assert f"http://localhost/en/check/{issued.check_code}" in text


def test_a_damaged_pdf_is_not_mailed(issued: Attestation) -> None:
    platform().files.pipe_file(issued.path, b"%PDF-1.3 something else")
    with pytest.raises(AttestationError):
        mail.render(db.session(), db.session.query(Message).one())


@pytest.mark.parametrize("recipient", ["a@example.org\r\nBcc: b@example.org", "a@example.org\nx"])
def test_line_breaks_in_an_address_are_refused(app: Flask, recipient: str) -> None:
    with app.app_context():
        message = queue("order_placed", make_order())
        message.recipient = recipient
        with pytest.raises(ValueError, match=r"."):
            mail.render(db.session(), message)


@pytest.fixture
def mailbox() -> Iterator[tuple[str, Any]]:
    sandbox = create_sandbox()
    server = make_server("127.0.0.1", 0, sandbox, threaded=True)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.port}/mailbox", sandbox.test_client()
    server.shutdown()
    server.server_close()


def test_the_sandbox_mailbox_takes_it_whole(issued: Attestation, mailbox: tuple[str, Any]) -> None:
    url, reader = mailbox
    row = db.session.query(Message).one()
    here = read_settings(settings(MAIL_URL=url))
    mailing.send_message(
        unit_of_work, row.id, render=mail.render, transport=mail.transport(here), now=DONE
    )
    (kept,) = reader.get("/mailbox/messages").json["messages"]
    assert kept["attachments"] == ["attestation-VC000001-2026.pdf"]
    assert kept["message_id"] == row.message_id
    got = reader.get(f"/mailbox/{kept['id']}/attachments/0").data
    assert got == stored_pdf(issued)
    assert db.session.get_one(Message, row.id, populate_existing=True).status is MessageStatus.SENT


def test_the_worker_issues_and_mails_without_a_request(
    make_app: Callable[..., Flask], mailbox: tuple[str, Any]
) -> None:
    url, reader = mailbox
    with make_app(MAIL_URL=url, PUBLIC_URL="https://units.example.org/shop").app_context():
        row = make_attestation(locale="fr", attestation_locale="es")
        assert jobs.do("attestation", row.id)
        message = db.session.query(Message).one()
        assert jobs.do("message", message.id)
    (kept,) = reader.get("/mailbox/messages").json["messages"]
    raw = reader.get(f"/mailbox/{kept['id']}/raw").data
    read = message_from_bytes(raw, _class=EmailMessage, policy=policy.default)
    text, _ = parts(read)
    assert "https://units.example.org/shop/fr/orders/" in text
    pdf = reader.get(f"/mailbox/{kept['id']}/attachments/0").data
    words = " ".join(PdfReader(io.BytesIO(pdf)).pages[0].extract_text().split())
    assert "https://units.example.org/shop/es/check/" in words
    assert "Certificado de cancelación voluntaria" in words


def test_a_mailbox_that_refuses_leaves_the_mail_queued(
    app: Flask, mailbox: tuple[str, Any]
) -> None:
    url, _ = mailbox
    with app.app_context():
        row = queue("order_placed", make_order())
        send = mail.transport(read_settings(settings(MAIL_URL=url + "/nowhere")))
        with pytest.raises(OSError, match="404"):
            mailing.send_message(unit_of_work, row.id, render=mail.render, transport=send, now=DONE)
        assert db.session.get_one(Message, row.id).status is MessageStatus.QUEUED


def test_without_a_place_to_send_nothing_is_lost(app: Flask) -> None:
    with app.app_context():
        made = mail.render(db.session(), queue("order_placed", make_order()))
        with pytest.raises(OSError, match="MAIL_URL"):
            mail.transport(platform().settings)(made)


class _Smtp(socketserver.StreamRequestHandler):
    """As much of a mail server as smtplib needs."""

    def handle(self) -> None:
        server: Any = self.server
        self.wfile.write(b"220 test\r\n")
        while line := self.rfile.readline():
            verb = line.split()[0].upper() if line.split() else b""
            server.said.append(line)
            if verb == b"EHLO":
                self.wfile.write(b"250-test\r\n250 8BITMIME\r\n")
            elif verb == b"DATA":
                self.wfile.write(b"354 go on\r\n")
                while (piece := self.rfile.readline()) != b".\r\n":
                    server.got += piece
                self.wfile.write(b"250 kept\r\n")
            elif verb == b"RCPT" and server.refuses:
                self.wfile.write(b"550 no such person\r\n")
            else:
                self.wfile.write(b"250 ok\r\n" if verb != b"QUIT" else b"221 bye\r\n")


@pytest.fixture
def smtp() -> Iterator[Any]:
    server: Any = socketserver.ThreadingTCPServer(("127.0.0.1", 0), _Smtp)
    server.daemon_threads = True
    server.said, server.got, server.refuses = [], b"", False
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield server
    server.shutdown()
    server.server_close()


def test_a_mail_server_takes_it(app: Flask, smtp: Any) -> None:
    with app.app_context():
        message = queue("order_placed", make_order())
        made = mail.render(db.session(), message)
        url = f"smtp://127.0.0.1:{smtp.server_address[1]}"
        mail.transport(read_settings(settings(MAIL_URL=url)))(made)
        assert message.message_id.encode() in smtp.got
        assert any(each.upper().startswith(b"RCPT TO:<ADA") for each in smtp.said)
        smtp.refuses = True
        with pytest.raises(mailing.RefusedError, match="550 no such person"):
            mail.transport(read_settings(settings(MAIL_URL=url)))(made)


def test_a_password_never_goes_without_encryption(
    app: Flask, smtp: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(
        "socket.getaddrinfo", lambda *a, **k: [(2, 1, 6, "", ("127.0.0.1", smtp.server_address[1]))]
    )
    with app.app_context():
        made = mail.render(db.session(), queue("order_placed", make_order()))
        url = f"smtp://user:secret@mail.example.org:{smtp.server_address[1]}"
        with pytest.raises(smtplib.SMTPNotSupportedError, match="must not go without"):
            mail.transport(read_settings(settings(MAIL_URL=url)))(made)
        assert not any(b"AUTH" in each or b"secret" in each for each in smtp.said)


def test_a_mail_server_that_is_down_is_an_os_error(app: Flask) -> None:
    with app.app_context():
        made = mail.render(db.session(), queue("order_placed", make_order()))
        with pytest.raises(OSError, match=r"."):
            mail.transport(read_settings(settings(MAIL_URL="smtp://127.0.0.1:1")))(made)

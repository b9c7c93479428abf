"""Cases for tests, and the mails that people and machines send to them."""

from __future__ import annotations

import re
from email.message import EmailMessage
from email.utils import make_msgid
from typing import Any

from flask import Flask

from cnn_offset import mail
from cnn_offset.domain.casework import CaseKind, CaseSide, Voice
from cnn_offset.extensions import db, platform, unit_of_work
from cnn_offset.mail.receiving import reply_to
from cnn_offset.models import Case, Message, Order
from cnn_offset.services import cases
from cnn_offset.services.cases import Asked
from tests.papers import make_order

TOKEN = "a token for the tests of mail"
ADA = "ada@example.org"


def make_case(order: Order | None = None, *, tied: bool = True, **changes: Any) -> Case:
    """Open a case as its asker would, about an order of theirs unless it is not ``tied`` to one."""
    order_id = (order or make_order(email=ADA)).id if tied else None
    with unit_of_work() as session:
        asked = Asked(
            **{
                "kind": CaseKind.ORDER,
                "side": CaseSide.PURCHASER,
                "email": ADA,
                "locale": "en",
                "text": "Where are my units?",
                "name": "Ada",
                "order": session.get_one(Order, order_id) if order_id else None,
                **changes,
            }
        )
        return cases.open_case(session, asked, now=platform().clock())


def reply(
    case: Case, text: str = "And now?", voice: Voice = Voice.ASKER, **headers: str
) -> EmailMessage:
    """Write a mail to the reply address of one side of a case."""
    made = EmailMessage()
    made["From"] = headers.pop("From", f"Ada <{ADA}>")
    made["To"] = headers.pop("To", "") or reply_to(platform(), case.code, voice)
    made["Subject"] = f"Re: Case {case.code}"
    made["Message-ID"] = headers.pop("Message_ID", "") or make_msgid(domain="mail.example.org")
    for name, value in headers.items():
        made[name.replace("_", "-")] = value
    made.set_content(text)
    return made


def bounce(message: Message, *, action: str = "failed", why: str = "550 no such person") -> bytes:
    """Write what a mail server says about a mail of ours that it could not deliver."""
    return f"""\
From: Mail Delivery System <MAILER-DAEMON@mail.example.org>
To: noreply@example.org
Subject: Undelivered Mail Returned to Sender
Message-ID: {make_msgid(domain="mail.example.org")}
Auto-Submitted: auto-replied
MIME-Version: 1.0
Content-Type: multipart/report; report-type=delivery-status; boundary="B"

--B
Content-Type: text/plain

This is the mail system. Your message could not be delivered.

--B
Content-Type: message/delivery-status

Reporting-MTA: dns; mail.example.org

Final-Recipient: rfc822; {message.recipient}
Action: {action}
Status: 5.1.1
Diagnostic-Code: smtp; {why}

--B
Content-Type: message/rfc822

From: noreply@example.org
To: {message.recipient}
Subject: Your attestation
Message-ID: {message.message_id}

Hello
--B--
""".replace("\n", "\r\n").encode()


def sent_mails(app: Flask, kind: str = "") -> list[tuple[Message, EmailMessage]]:
    """Return the mails in the outbox, drawn, oldest first."""
    with app.app_context():
        rows = db.session.query(Message).order_by(Message.id).all()
        return [(row, mail.render(db.session(), row)) for row in rows if row.kind.startswith(kind)]


def words(made: EmailMessage) -> str:
    """Return the text of a mail in one line."""
    part = made.get_body(("plain",))
    assert part is not None
    return re.sub(r"\s+", " ", str(part.get_content()))

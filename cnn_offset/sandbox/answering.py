"""Answering a mail of the mailbox: what its reader's mail program and mail server would do."""

from __future__ import annotations

import urllib.request
from email.message import EmailMessage
from email.utils import make_msgid
from typing import Final

TOKEN: Final = "sandbox-incoming-mail"  # noqa: S105 - known to everybody who runs the sandbox
"""What the mail server of the sandbox says who it is with."""


def answer_to(mail: EmailMessage, text: str, *, bounces: bool = False) -> bytes:
    """Write an answer to ``mail``, or with ``bounces`` the report that it cannot be delivered."""
    return _report(mail) if bounces else _answer(mail, text)


def _answer(mail: EmailMessage, text: str) -> bytes:
    made = EmailMessage()
    made["From"] = str(mail["To"])
    made["To"] = str(mail["Reply-To"] or mail["From"])
    made["Subject"] = f"Re: {mail['Subject']}"
    made["Message-ID"] = make_msgid(domain="mail.sandbox.example")
    quoted = mail.get_body(("plain",))
    lines = str(quoted.get_content()).splitlines() if quoted else []
    made.set_content("\n".join([text, "", f"On {mail['Date']}, {mail['From']} wrote:", *(f"> {each}" for each in lines)]))  # fmt: skip
    return made.as_bytes()


def _report(mail: EmailMessage) -> bytes:
    lines = [
        "From: Mail Delivery System <MAILER-DAEMON@mail.sandbox.example>",
        f"To: {mail['From']}",
        "Subject: Undelivered Mail Returned to Sender",
        f"Message-ID: {make_msgid(domain='mail.sandbox.example')}",
        "Auto-Submitted: auto-replied",
        "MIME-Version: 1.0",
        'Content-Type: multipart/report; report-type=delivery-status; boundary="report"',
        "",
        "--report",
        "Content-Type: text/plain",
        "",
        "Your mail could not be delivered.",
        "",
        "--report",
        "Content-Type: message/delivery-status",
        "",
        "Reporting-MTA: dns; mail.sandbox.example",
        "",
        f"Final-Recipient: rfc822; {mail['To']}",
        "Action: failed",
        "Status: 5.1.1",
        "Diagnostic-Code: smtp; 550 5.1.1 no such person here",
        "",
        "--report",
        "Content-Type: text/rfc822-headers",
        "",
        f"Message-ID: {mail['Message-ID']}",
        "",
        "--report--",
        "",
    ]
    return "\r\n".join(lines).encode()


def hand_over(url: str, raw: bytes) -> int:
    """Post a mail to the shop as a mail server does; return the status of its answer.

    Raises:
        OSError: the shop does not take it.

    """
    headers = {"Content-Type": "message/rfc822", "Authorization": f"Bearer {TOKEN}"}
    request = urllib.request.Request(url, raw, headers, method="POST")  # noqa: S310
    with urllib.request.urlopen(request, timeout=10) as answer:  # noqa: S310
        status: int = answer.status
        return status

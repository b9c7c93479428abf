"""Turning rows of the outbox into mails, and handing mails over."""

from __future__ import annotations

import smtplib
import ssl
from collections.abc import Callable
from email import policy
from email.headerregistry import Address, HeaderRegistry, UnstructuredHeader
from email.message import EmailMessage
from email.policy import EmailPolicy
from email.utils import format_datetime
from typing import Final
from urllib.parse import SplitResult, unquote, urlsplit

import requests
from flask import render_template
from flask_babel import force_locale, gettext
from sqlalchemy.orm import Session

from cnn_offset.attestations import stored_pdf
from cnn_offset.config import Settings
from cnn_offset.extensions import platform
from cnn_offset.mail.letters import write
from cnn_offset.mail.letters.letter import Letter
from cnn_offset.models import Message
from cnn_offset.sayings import MAIL, speaking
from cnn_offset.services.mailing import RefusedError, Transport

TIMEOUT: Final = 20.0
"""Seconds for each step of handing over; well below the lease of a message."""


class _MessageIds(UnstructuredHeader):
    """Message-IDs, one on each line: the library would encode long ones beyond recognition."""

    def fold(self, *, policy: EmailPolicy) -> str:
        lines = policy.linesep + " "
        return f"{self.name}: {lines.join(str(self).split())}{policy.linesep}"  # type: ignore[attr-defined]


_HEADERS: Final = HeaderRegistry()
_HEADERS.map_to_type("in-reply-to", _MessageIds)  # type: ignore[arg-type]
_HEADERS.map_to_type("references", _MessageIds)  # type: ignore[arg-type]
_POLICY: Final = policy.SMTP.clone(header_factory=_HEADERS)


def render(session: Session, message: Message) -> EmailMessage:
    """Write the mail of an outbox row, in its language: text, HTML and attachment.

    The same row gives the same Message-ID and date each time, so a mail that is sent twice
    is recognised as one.

    Raises:
        ValueError: a header would hold a line break.
        OSError, AttestationError: the PDF to attach cannot be had.

    """
    settings = platform().settings
    with force_locale(message.locale), speaking(MAIL):
        letter = write(session, message)
        text = render_template("mail/letter.txt", letter=letter)
        html = render_template("mail/letter.html", letter=letter)
        site = settings.SITE_NAME or gettext("Tonne by Tonne")
    mail = EmailMessage(policy=_POLICY)
    mail["From"] = Address(display_name=site, addr_spec=settings.MAIL_FROM)
    mail["To"] = Address(addr_spec=message.recipient)
    mail["Reply-To"] = Address(addr_spec=letter.reply_to or settings.CONTACT_EMAIL)
    mail["Subject"] = letter.subject
    mail["Date"] = format_datetime(message.created_at)
    mail["Message-ID"] = message.message_id
    if letter.references:
        mail["In-Reply-To"] = letter.references[-1]
        mail["References"] = " ".join(letter.references)
    if letter.is_automatic:
        mail["Auto-Submitted"] = "auto-generated"
    mail.set_content(text)
    mail.add_alternative(html, subtype="html")
    _attach(mail, letter)
    # Last: what is set before the parts goes into the first of them.
    mail["Content-Language"] = message.locale
    return mail


def _attach(mail: EmailMessage, letter: Letter) -> None:
    for each in letter.attachments:
        maintype, _, subtype = each.content_type.partition("/")
        mail.add_attachment(
            each.content, maintype=maintype, subtype=subtype, filename=each.filename
        )
    attestation = letter.attestation
    if attestation is None:
        return
    mail.add_attachment(
        stored_pdf(attestation),
        maintype="application",
        subtype="pdf",
        filename=f"attestation-{attestation.number.replace('/', '-')}.pdf",
    )


def _final(error: smtplib.SMTPRecipientsRefused | smtplib.SMTPDataError) -> str | None:
    """Return what a server says that will never take a mail; None if it may do so later."""
    answers: list[tuple[int, bytes | str]]
    if isinstance(error, smtplib.SMTPDataError):
        answers = [(error.smtp_code, error.smtp_error)]
    else:
        answers = list(error.recipients.values())
    if not answers or any(code < 500 for code, _ in answers):
        return None
    code, said = answers[0]
    text = said.decode("utf-8", "replace") if isinstance(said, bytes) else said
    return " ".join(f"{code} {text}".split())[:500]


def transport(settings: Settings) -> Transport:
    """Return what hands mails over to ``MAIL_URL``.

    What is returned raises OSError (of which smtplib's and requests' errors are kinds) on
    any doubt whether the mail was taken, and RefusedError if it never will be.
    """
    address = urlsplit(settings.MAIL_URL)
    if address.scheme in ("http", "https"):
        return _to_mailbox(settings.MAIL_URL)
    if address.scheme in ("smtp", "smtps"):
        return _to_server(address)

    def nowhere(mail: EmailMessage) -> None:
        raise OSError(f"MAIL_URL names no place to send {mail['Message-ID']} to")

    return nowhere


def _to_mailbox(url: str) -> Transport:
    def send(mail: EmailMessage) -> None:
        answer = requests.post(
            url.rstrip("/") + "/messages",
            data=mail.as_bytes(),
            headers={"Content-Type": "message/rfc822"},
            timeout=TIMEOUT,
        )
        answer.raise_for_status()

    return send


def _to_server(address: SplitResult) -> Transport:
    host = address.hostname or "localhost"
    connect: Callable[[], smtplib.SMTP]
    if address.scheme == "smtps":

        def connect() -> smtplib.SMTP:
            context = ssl.create_default_context()
            return smtplib.SMTP_SSL(host, address.port or 465, timeout=TIMEOUT, context=context)
    else:

        def connect() -> smtplib.SMTP:
            server = smtplib.SMTP(host, address.port or 587, timeout=TIMEOUT)
            server.ehlo()
            if server.has_extn("starttls"):
                server.starttls(context=ssl.create_default_context())
                server.ehlo()
            elif address.password and host not in ("localhost", "127.0.0.1", "::1"):
                server.close()
                raise smtplib.SMTPNotSupportedError(
                    f"{host} offers no encryption, and the password must not go without"
                )
            return server

    def send(mail: EmailMessage) -> None:
        with connect() as server:
            if address.username:
                server.login(unquote(address.username), unquote(address.password or ""))
            try:
                server.send_message(mail)
            except (smtplib.SMTPRecipientsRefused, smtplib.SMTPDataError) as error:
                if (said := _final(error)) is None:
                    raise
                raise RefusedError(said) from error

    return send

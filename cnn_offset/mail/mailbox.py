"""Fetching mails from a mailbox by IMAP: each is kept here first, then marked as seen there."""

from __future__ import annotations

import imaplib
import ssl
from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Final
from urllib.parse import unquote, urlsplit

from cnn_offset.extensions import Platform
from cnn_offset.mail import TIMEOUT
from cnn_offset.mail.incoming import LARGEST_MAIL
from cnn_offset.mail.receiving import take_mail

PAUSE: Final = timedelta(minutes=1)
"""Between two looks into the mailbox."""
NO_MAILBOX: Final = timedelta(hours=1)
MOST: Final = 20
"""Mails of one turn: it must end well before its lease does."""
MOST_BYTES: Final = 60 * 2**20
"""After so many bytes a turn ends; the next one follows at once."""


def fetch_mail(here: Platform) -> datetime:
    """Fetch what is new in the mailbox, if there is one; return when to look again.

    A crash leaves mails unseen: they are fetched again, and are known then.

    Raises:
        OSError: the mailbox cannot be reached, or refuses.

    """
    url = here.settings.INCOMING_MAIL_URL
    if not url:
        return here.clock() + NO_MAILBOX
    try:
        more = _fetch(here, url)
    except imaplib.IMAP4.error as error:
        raise OSError(f"the mailbox refuses: {error}") from error
    return here.clock() + (timedelta(0) if more else PAUSE)


def _fetch(here: Platform, url: str) -> bool:
    """Take at most a turn's mails; return whether there are more."""
    address = urlsplit(url)
    with _connected(address.scheme, address.hostname or "localhost", address.port) as server:
        server.login(unquote(address.username or ""), unquote(address.password or ""))
        folder = unquote(address.path.lstrip("/")) or "INBOX"
        _said(server.select(f'"{folder}"'))
        found = _said(server.uid("SEARCH", "UNSEEN"))
        uids = b" ".join(each for each in found if isinstance(each, bytes)).split()
        size = taken = 0
        for uid in uids[:MOST]:
            raw = _mail(server, uid.decode())
            if raw is not None:
                take_mail(here, raw)
                size += len(raw)
            server.uid("STORE", uid.decode(), "+FLAGS", r"(\Seen)")
            taken += 1
            if size >= MOST_BYTES:
                break
        return taken < len(uids)


def _mail(server: imaplib.IMAP4, uid: str) -> bytes | None:
    """Return the first ``LARGEST_MAIL`` bytes of a mail; None if it has gone meanwhile."""
    # PEEK: it is seen only once it is kept here.
    for part in _said(server.uid("FETCH", uid, f"(BODY.PEEK[]<0.{LARGEST_MAIL}>)")):
        if isinstance(part, tuple):
            return bytes(part[1])
    return None


def _said(answer: tuple[str, Sequence[object]]) -> Sequence[object]:
    status, data = answer
    if status != "OK":
        raise OSError(f"the mailbox says {status}: {data!r}")
    return data


def _connected(scheme: str, host: str, port: int | None) -> imaplib.IMAP4:
    context = ssl.create_default_context()
    if scheme == "imaps":
        return imaplib.IMAP4_SSL(host, port or 993, ssl_context=context, timeout=TIMEOUT)
    server = imaplib.IMAP4(host, port or 143, timeout=TIMEOUT)
    if "STARTTLS" in server.capabilities:
        server.starttls(context)
    elif host not in ("localhost", "127.0.0.1", "::1"):
        server.shutdown()
        raise OSError(f"{host} offers no encryption, and the password must not go without")
    return server

"""Mails that come in by the webhook or the mailbox: kept, then read by a worker."""

from __future__ import annotations

import logging
from contextlib import suppress
from datetime import datetime

from flask import current_app

from cnn_offset.domain.casework import Voice, reply_address
from cnn_offset.domain.status import DeliveryStatus
from cnn_offset.extensions import Platform, db, unit_of_work
from cnn_offset.mail.incoming import Parsed, parse, read_head
from cnn_offset.models import IncomingMail
from cnn_offset.services import incoming
from cnn_offset.services.incoming import KeptFile, Read

log = logging.getLogger(__name__)
_FOLDER = "mails"


def secrets() -> list[str]:
    """Return what signs reply addresses: the secret in force, then earlier ones."""
    config = current_app.config
    return [config["SECRET_KEY"], *(config.get("SECRET_KEY_FALLBACKS") or [])]


def reply_to(here: Platform, code: str, voice: Voice) -> str:
    """Return where ``voice`` answers in a case.

    If no mails come in here, that is the address where people write for help.
    """
    settings = here.settings
    if not (settings.INCOMING_MAIL_TOKEN or settings.INCOMING_MAIL_URL):
        return settings.CONTACT_EMAIL
    domain = settings.MAIL_FROM.rpartition("@")[2]
    return reply_address(code, voice, secrets()[0], domain)


def take_mail(here: Platform, raw: bytes) -> bool:
    """Keep a mail that is for us to read; a worker does that. Safe to repeat.

    One to an address that we never gave to anybody is counted and dropped.
    """
    head = read_head(raw)
    if not incoming.is_ours(head, secrets()):
        log.warning("a mail to an address that was never given out was dropped")
        with unit_of_work() as session:
            incoming.count_dropped(session)
        return False
    if incoming.is_known(db.session(), head):
        return True
    path = f"{_FOLDER}/{head.key}.eml"
    here.files.makedirs(_FOLDER, exist_ok=True)
    here.files.pipe_file(path, raw)
    with unit_of_work() as session:
        incoming.store_mail(session, head, path, len(raw), now=here.clock())
    return True


def handle_mail(here: Platform, row_id: int) -> datetime | None:
    """Read a mail that was kept, and act on it; then forget all of it but what was kept."""
    row = db.session.get_one(IncomingMail, row_id, populate_existing=True)
    path = row.path
    if row.status is DeliveryStatus.STORED:
        _act_on(here, row_id, here.files.cat_file(path))
    with suppress(FileNotFoundError):
        here.files.rm_file(path)
    return None


def _act_on(here: Platform, row_id: int, raw: bytes) -> None:
    parsed = parse(raw)
    read = _kept(here, parsed)
    with unit_of_work() as session:
        known = incoming.handle_mail(session, row_id, read, secrets(), now=here.clock())
    if not known:
        log.warning("incoming mail %s was for nobody here", row_id)


def _kept(here: Platform, parsed: Parsed) -> Read:
    """Put the files of a mail into the store before the database names them."""
    if parsed.files:
        here.files.makedirs("cases", exist_ok=True)
    for each in parsed.files:
        here.files.pipe_file(each.path, each.data)
    return Read(
        head=parsed.head,
        sender=parsed.sender,
        text=parsed.text,
        is_automatic=parsed.is_automatic,
        files=[
            KeptFile(each.path, each.filename, each.content_type, len(each.data), each.sha256)
            for each in parsed.files
        ],
        left_out=parsed.left_out,
        bounce=parsed.bounce,
    )

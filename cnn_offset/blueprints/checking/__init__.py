"""Is this attestation genuine? By number, by the code printed on it, or by its PDF."""

from __future__ import annotations

import hashlib
import logging
from dataclasses import dataclass

from flask import Blueprint, render_template, request
from flask.typing import ResponseReturnValue
from flask_babel import gettext

from cnn_offset.attestations import (
    AttestationError,
    SignatureReport,
    UnreadablePdfError,
    examine,
    stored_pdf,
)
from cnn_offset.domain.reference import parse_attestation_number
from cnn_offset.extensions import db, limiter
from cnn_offset.guards import guarded, public
from cnn_offset.models import Attestation
from cnn_offset.sayings import ATTESTATION, speaking
from cnn_offset.services import NotFoundError, recording
from cnn_offset.services.recording import RecordEntry

bp = guarded(Blueprint("checking", __name__), public)
log = logging.getLogger(__name__)

LARGEST = 5 * 1024 * 1024
"""Bytes of a PDF; ours have about 60,000."""


@dataclass(frozen=True)
class Verdict:
    """What a check found: the page says it in words."""

    kind: str
    """``known``, ``genuine``, ``changed``, ``foreign``, ``unsigned``, ``unrecorded`` or
    ``unknown``."""
    entry: RecordEntry | None = None
    signature: SignatureReport | None = None
    """Of the uploaded file, or else of the one we keep."""
    sha256: str = ""
    is_erased: bool = False
    """Whether we keep the file no more, at the holder's wish."""


@bp.get("/check")
@limiter.limit("60 per minute")
def index() -> ResponseReturnValue:
    """Show the two forms and, for a number in the address, what is known of it."""
    typed = request.args.get("number", "")[:60].strip()
    if not typed:
        return _page()
    number = parse_attestation_number(typed)
    if number is None:
        return _page(
            errors={
                "number": gettext("Write the number as on the attestation, such as VC000123/2026.")
            },
            typed=typed,
        )
    try:
        entry = recording.entry(db.session(), *number)
    except NotFoundError:
        return _page(Verdict("unknown"), typed=typed)
    return _page(_known(entry), typed=typed)


@bp.get("/check/<code>")
@limiter.limit("60 per minute")
def by_code(code: str) -> ResponseReturnValue:
    """Show what is known of the attestation that carries this address."""
    entry = recording.by_check_code(db.session(), code)
    return _page(_known(entry)) if entry else _page(Verdict("unknown"), status=404)


@bp.post("/check")
@limiter.limit("20 per minute")
def upload() -> ResponseReturnValue:
    """Compare a PDF with the record and examine its signature. Nothing is kept."""
    file = request.files.get("pdf")
    pdf = file.read(LARGEST + 1) if file else b""
    error = _not_a_pdf(pdf)
    if not error:
        try:
            return _page(_judge(pdf))
        except UnreadablePdfError:
            error = gettext(
                "This PDF cannot be read: it is damaged or locked. "
                "Please choose the file exactly as you received it."
            )
    return _page(errors={"pdf": error})


def _not_a_pdf(pdf: bytes) -> str:
    if not pdf:
        return gettext("Please choose the PDF file of an attestation.")
    if len(pdf) > LARGEST:
        return gettext("The file is larger than 5 MB. An attestation is much smaller.")
    if b"%PDF-" not in pdf[:1024]:
        return gettext("This file is not a PDF. Please choose the PDF file of an attestation.")
    return ""


def _judge(pdf: bytes) -> Verdict:
    """Say whether ``pdf`` is, byte by byte, an attestation that we issued."""
    sha256 = hashlib.sha256(pdf).hexdigest()
    entry = recording.by_sha256(db.session(), sha256)
    if entry:
        return Verdict("genuine", entry, examine(pdf), sha256)
    signature = examine(pdf)
    if not signature.signer:
        return Verdict("unsigned", sha256=sha256)
    if not signature.is_ours:
        return Verdict("foreign", signature=signature, sha256=sha256)
    if not signature.is_good:
        return Verdict("changed", signature=signature, sha256=sha256)
    return Verdict("unrecorded", signature=signature, sha256=sha256)


def _known(entry: RecordEntry) -> Verdict:
    """Say what the record holds, and whether the file we keep still agrees with it."""
    row = db.session().get_one(Attestation, entry.attestation_id)
    if not row.path:
        return Verdict("known", entry, None, entry.sha256, is_erased=True)
    try:
        signature = examine(stored_pdf(row))
    except (OSError, AttestationError, UnreadablePdfError):
        log.exception("attestation %s: the stored PDF", entry.data.number)
        signature = None
    return Verdict("known", entry, signature, entry.sha256)


def _page(
    verdict: Verdict | None = None,
    *,
    errors: dict[str, str] | None = None,
    typed: str = "",
    status: int = 200,
) -> ResponseReturnValue:
    issued_at = verdict.entry.issued_at if verdict and verdict.entry else None
    with speaking(ATTESTATION, at=issued_at):
        page = render_template(
            "checking/index.html", verdict=verdict, errors=errors or {}, typed=typed
        )
    return page, 422 if errors else status

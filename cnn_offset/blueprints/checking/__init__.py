"""Is this attestation genuine? By number, by the code printed on it, or by its PDF."""

from __future__ import annotations

import hashlib
import logging
from collections.abc import Sequence
from dataclasses import dataclass, replace

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
from cnn_offset.extensions import db, limiter, platform
from cnn_offset.guards import guarded, public
from cnn_offset.models import Attestation, HistoricCancellation
from cnn_offset.reports import registry_title
from cnn_offset.sayings import ATTESTATION, speaking
from cnn_offset.services import NotFoundError, recalling, recording
from cnn_offset.services.recording import RecordEntry, RecordQuery

bp = guarded(Blueprint("checking", __name__), public)
log = logging.getLogger(__name__)

LARGEST = 5 * 1024 * 1024
"""Bytes of a PDF; ours have about 60,000."""


@dataclass(frozen=True)
class Verdict:
    """What a check found: the page says it in words."""

    kind: str
    """``known``, ``serial``, ``genuine``, ``changed``, ``foreign``, ``unsigned``,
    ``unrecorded``, ``earlier`` or ``unknown``."""
    entry: RecordEntry | None = None
    signature: SignatureReport | None = None
    """Of the uploaded file, or else of the one we keep."""
    sha256: str = ""
    is_erased: bool = False
    """Whether we keep the file no more, at the holder's wish."""
    earlier: Sequence[HistoricCancellation] = ()
    """Cancellations of the earlier platform under the same number, newest first."""


@bp.get("/check")
@limiter.limit("60 per minute")
def index() -> ResponseReturnValue:
    """Show the two forms and, for a number in the address, what is known of it."""
    asked = request.args.get("number", "")[:80]
    typed = "".join(sign for sign in asked if sign.isprintable()).strip()
    if not typed:
        return _page()
    verdict = _looked_up(typed)
    if verdict is None:
        return _page(
            errors={
                "number": gettext("Write the number as on the attestation, such as VC000123/2026.")
            },
            typed=typed,
        )
    return _page(verdict, typed=typed)


def _looked_up(typed: str) -> Verdict | None:
    """Say what is known of a number: ours, an old certificate's, a serial number; None if it
    is nothing of the kind.
    """
    session, registry_ids = db.session(), list(platform().registries)
    earlier = recalling.by_old_number(session, typed, registry_ids)
    if recording.cer_serial(typed):
        ours = recording.find_entries(session, RecordQuery(typed), registry_ids=registry_ids)
        if ours.entries:
            return replace(_known(ours.entries[0]), kind="serial")
    elif number := parse_attestation_number(typed):
        try:
            return replace(_known(recording.entry(session, *number)), earlier=earlier)
        except NotFoundError:
            pass
    elif not earlier:
        return None
    return Verdict("earlier", earlier=earlier) if earlier else Verdict("unknown")


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
            "checking/index.html",
            verdict=verdict,
            errors=errors or {},
            typed=typed,
            registry_title=registry_title,
        )
    return page, 422 if errors else status

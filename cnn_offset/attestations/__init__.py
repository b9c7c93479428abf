"""Making and checking attestations: what services.attesting needs of the outside.

The PDF and signature libraries take most of a second to import, so they are imported
where they are first used: in workers, not when a web process starts.
"""

from __future__ import annotations

import hashlib
import io
import os
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from flask import current_app

from cnn_offset.attestations.fonts import unprintable
from cnn_offset.attestations.keys import SigningKey, development_key
from cnn_offset.domain.attestation import AttestationData
from cnn_offset.extensions import Platform, platform, public_url
from cnn_offset.models import Attestation


class AttestationError(Exception):
    """The attestation cannot be made as it should look; a person must see why."""


class UnreadablePdfError(Exception):
    """What was handed in is no PDF that can be examined."""


@dataclass(frozen=True, slots=True)
class SignatureReport:
    """What a PDF's signature says. Without a signature all is empty or False."""

    signer: str = ""
    signed_at: datetime | None = None
    """By the signer's clock."""
    is_ours: bool = False
    is_intact: bool = False
    covers_whole: bool = False

    @property
    def is_good(self) -> bool:
        """Whether we signed exactly this file."""
        return self.is_ours and self.is_intact and self.covers_whole


class PdfIssuer:
    """Issues attestations as signed PDFs into the platform's file store."""

    def __init__(self, here: Platform, key: SigningKey) -> None:
        self._here = here
        self._key = key

    def check_url(self, code: str, locale: str) -> str:
        """Return the public address that checks the attestation with ``code``."""
        return public_url("checking.by_code", lang=locale, code=code)

    def registry_title(self, registry_id: str) -> str:
        """Return the message id that names a registry connection, else its id."""
        return self._here.registry_titles.get(registry_id, registry_id)

    def render_and_sign(self, data: AttestationData) -> bytes:
        """Make the signed PDF.

        Raises:
            AttestationError: it cannot be made as it should look.

        """
        from cnn_offset.attestations.render import render
        from cnn_offset.attestations.signing import sign

        return sign(render(data), self._key)

    def preview(self, data: AttestationData) -> bytes:
        """Make the PDF of what is not cancelled yet: watermarked and unsigned.

        Raises:
            AttestationError: it cannot be made as it should look.

        """
        from cnn_offset.attestations.render import render

        return render(data)

    def store(self, path: str, pdf: bytes) -> None:
        """Keep the PDF, on the disk and not only in its cache; OSError if there is no room."""
        files = self._here.files
        files.makedirs(path.rpartition("/")[0], exist_ok=True)
        with files.open(path, "wb") as file:
            file.write(pdf)
            file.flush()
            # A store without local files keeps its own promises.
            with suppress(AttributeError, io.UnsupportedOperation):
                os.fsync(file.fileno())

    def discard(self, path: str) -> None:
        """Remove a PDF that nothing refers to, if it is there."""
        with suppress(FileNotFoundError):
            self._here.files.rm_file(path)


def signing_key() -> SigningKey:
    """Return the configured key; without one, the development key of the instance folder."""
    found: SigningKey | None = current_app.extensions.get("cnn_offset.signing_key")
    if found is None:
        found = development_key(Path(current_app.instance_path), now=platform().clock())
        current_app.extensions["cnn_offset.signing_key"] = found
    return found


def issuer() -> PdfIssuer:
    """Return what issues attestations for the current application."""
    return PdfIssuer(platform(), signing_key())


def stored_pdf(attestation: Attestation) -> bytes:
    """Read an issued attestation's PDF.

    Raises:
        OSError: the file store does not give it.
        AttestationError: it is not what was stored.

    """
    pdf: bytes = platform().files.cat_file(attestation.path)
    if hashlib.sha256(pdf).hexdigest() != attestation.sha256:
        raise AttestationError(f"{attestation.path} is not what was issued")
    return pdf


def examine(pdf: bytes) -> SignatureReport:
    """Say who signed ``pdf`` and whether it is unchanged.

    Raises:
        UnreadablePdfError: it is no PDF, is encrypted or broken.

    """
    from cnn_offset.attestations import signing

    return signing.examine(pdf, signing_key().believed)


__all__ = [
    "AttestationError",
    "PdfIssuer",
    "SignatureReport",
    "UnreadablePdfError",
    "examine",
    "issuer",
    "signing_key",
    "stored_pdf",
    "unprintable",
]

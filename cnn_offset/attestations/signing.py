"""Signing PDFs (PAdES) and examining the signatures of PDFs. Heavy to import."""

from __future__ import annotations

import io
import logging
from collections.abc import Iterable
from datetime import datetime
from typing import Final

from asn1crypto import keys as asn1_keys  # type: ignore[import-untyped]
from asn1crypto import x509 as asn1_x509
from cryptography import x509
from cryptography.hazmat.primitives import serialization
from pyhanko.pdf_utils.decode_limits import (
    DecodeLimits,
    DocumentDecodeBudget,
    StreamDecodeLimits,
)
from pyhanko.pdf_utils.incremental_writer import IncrementalPdfFileWriter
from pyhanko.pdf_utils.reader import PdfFileReader
from pyhanko.sign import fields, signers
from pyhanko.sign.validation import SignatureCoverageLevel, validate_pdf_signature
from pyhanko_certvalidator import ValidationContext
from pyhanko_certvalidator.registry import SimpleCertificateStore

from cnn_offset.attestations import SignatureReport, UnreadablePdfError
from cnn_offset.attestations.keys import SigningKey

FIELD: Final = "Attestation"
_RESERVED: Final = 8192
"""Bytes kept for the signature: one of ours takes about 2,000. Naming it saves a trial."""

_MIB: Final = 1024 * 1024
_LIMITS: Final = DecodeLimits(
    per_stream=StreamDecodeLimits(max_output_size=8 * _MIB),
    document_budget=DocumentDecodeBudget(base_allowance=16 * _MIB, max_ratio=4),
)
"""A small hostile file must not unpack into a large one."""


def sign(pdf: bytes, key: SigningKey) -> bytes:
    """Sign ``pdf`` as certified with no changes allowed (PAdES B-B, ECDSA P-256)."""
    signer = signers.SimpleSigner(
        signing_cert=_asn1(key.certificate),
        signing_key=asn1_keys.PrivateKeyInfo.load(
            key.key.private_bytes(
                serialization.Encoding.DER,
                serialization.PrivateFormat.PKCS8,
                serialization.NoEncryption(),
            )
        ),
        cert_registry=SimpleCertificateStore(),  # type: ignore[no-untyped-call]
    )
    meta = signers.PdfSignatureMetadata(
        field_name=FIELD,
        md_algorithm="sha256",
        certify=True,
        docmdp_permissions=fields.MDPPerm.NO_CHANGES,
        subfilter=fields.SigSeedSubFilter.PADES,
    )
    out = io.BytesIO()
    signers.PdfSigner(meta, signer=signer).sign_pdf(
        IncrementalPdfFileWriter(io.BytesIO(pdf)), output=out, bytes_reserved=_RESERVED
    )
    return out.getvalue()


def examine(pdf: bytes, believed: Iterable[x509.Certificate]) -> SignatureReport:
    """Say who signed ``pdf`` and whether anything was changed since.

    Only a file with exactly one signature, of one of the ``believed`` certificates, that
    covers every byte counts as unchanged: what is added to a file after certification
    can alter what it shows.

    Raises:
        UnreadablePdfError: it is no PDF, is encrypted or broken.

    """
    try:
        reader = PdfFileReader(io.BytesIO(pdf), strict=True, decode_limits=_LIMITS)
        if reader.encrypted:
            raise UnreadablePdfError("encrypted")
        found = list(reader.embedded_signatures)
        if not found:
            return SignatureReport()
        first = found[0]
        ours = any(first.signer_cert.dump() == _asn1(each).dump() for each in believed)
        # What a later revision changed is of no interest: any makes it not our file.
        status = validate_pdf_signature(
            first,
            ValidationContext(trust_roots=[_asn1(each) for each in believed]),
            skip_diff=True,
        )
    except UnreadablePdfError:
        raise
    except Exception as error:
        # Whatever a hostile file makes the parser do is the file's fault.
        logging.getLogger(__name__).info("unreadable PDF: %s", error)
        raise UnreadablePdfError(type(error).__name__) from error
    whole = status.coverage == SignatureCoverageLevel.ENTIRE_FILE and len(found) == 1
    signed_at: datetime | None = status.signer_reported_dt
    return SignatureReport(
        signer=str(first.signer_cert.subject.native.get("common_name", "")),
        signed_at=signed_at,
        is_ours=ours,
        is_intact=bool(status.intact and status.valid),
        covers_whole=whole,
    )


def _asn1(certificate: x509.Certificate) -> asn1_x509.Certificate:
    return asn1_x509.Certificate.load(certificate.public_bytes(serialization.Encoding.DER))

"""The key that signs attestations, and the certificates that are believed."""

from __future__ import annotations

import os
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from pathlib import Path
from typing import Final

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from cnn_offset.config import ConfigError

DEVELOPMENT_FILE: Final = "attestation-signing-DEVELOPMENT-ONLY.pem"
DEVELOPMENT_NAME: Final = "DEVELOPMENT KEY - proves nothing"


@dataclass(frozen=True)
class SigningKey:
    """A key with its certificate; ``former`` are those of keys used before."""

    key: ec.EllipticCurvePrivateKey = field(repr=False)
    certificate: x509.Certificate
    former: tuple[x509.Certificate, ...] = ()

    @property
    def believed(self) -> tuple[x509.Certificate, ...]:
        """The certificates whose signatures are ours."""
        return (self.certificate, *self.former)

    @property
    def is_development(self) -> bool:
        """Whether this is the key made on first start."""
        return DEVELOPMENT_NAME in self.certificate.subject.rfc4514_string()


def load_key(path: Path, password: str = "") -> SigningKey:
    """Read a PEM file: a P-256 key, its certificate, then certificates of former keys.

    Raises:
        ConfigError: it cannot be used; the text names the setting.

    """
    try:
        pem = path.read_bytes()
        key = serialization.load_pem_private_key(pem, password.encode() or None)
        certificate, *former = x509.load_pem_x509_certificates(pem)
    except (OSError, ValueError, TypeError) as error:
        raise ConfigError(f"SIGNING_KEY: {path} cannot be read: {error}") from error
    if not isinstance(key, ec.EllipticCurvePrivateKey) or not isinstance(key.curve, ec.SECP256R1):
        raise ConfigError(f"SIGNING_KEY: {path} must hold an elliptic curve key on P-256")
    if certificate.public_key() != key.public_key():
        raise ConfigError(f"SIGNING_KEY: the first certificate in {path} is not of its key")
    return SigningKey(key, certificate, tuple(former))


def development_key(folder: Path, *, now: datetime) -> SigningKey:
    """Return the key kept in ``folder``, made on first use, which says what it is."""
    path = folder / DEVELOPMENT_FILE
    if not path.exists():
        folder.mkdir(parents=True, exist_ok=True)
        fresh = path.with_suffix(f".{os.getpid()}")
        fresh.touch(mode=0o600)
        fresh.write_bytes(_make(DEVELOPMENT_NAME, now=now))
        # Several processes start at once: the first one's key is everybody's.
        with suppress(FileExistsError):
            os.link(fresh, path)
        fresh.unlink()
    return load_key(path)


def _make(name: str, *, now: datetime) -> bytes:
    key = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name(
        [
            x509.NameAttribute(NameOID.ORGANIZATION_NAME, "cnn_offset"),
            x509.NameAttribute(NameOID.COMMON_NAME, name),
        ]
    )
    usage = dict.fromkeys(
        (
            "key_encipherment",
            "data_encipherment",
            "key_agreement",
            "key_cert_sign",
            "crl_sign",
            "encipher_only",
            "decipher_only",
        ),
        False,
    )
    certificate = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(subject)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=365 * 20))
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .add_extension(
            x509.KeyUsage(digital_signature=True, content_commitment=True, **usage), critical=True
        )
        .sign(key, hashes.SHA256())
    )
    return key.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.NoEncryption(),
    ) + certificate.public_bytes(serialization.Encoding.PEM)

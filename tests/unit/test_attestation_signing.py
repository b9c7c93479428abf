"""The key, the signature, and what is believed of a signed file."""

from __future__ import annotations

import io
import random
import stat
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from flask import Flask
from pyhanko.pdf_utils.incremental_writer import IncrementalPdfFileWriter
from pyhanko.sign import signers
from reportlab.pdfgen.canvas import Canvas

from cnn_offset.attestations import UnreadablePdfError, signing_key
from cnn_offset.attestations.keys import (
    DEVELOPMENT_FILE,
    SigningKey,
    development_key,
    load_key,
)
from cnn_offset.attestations.signing import examine, sign
from cnn_offset.config import ConfigError

NOW = datetime.now(UTC)


@pytest.fixture(scope="module")
def key(tmp_path_factory: pytest.TempPathFactory) -> SigningKey:
    return development_key(tmp_path_factory.mktemp("key"), now=NOW)


@pytest.fixture(scope="module")
def signed(key: SigningKey) -> bytes:
    return sign(blank(), key)


def blank() -> bytes:
    out = io.BytesIO()
    canvas = Canvas(out, invariant=1)
    canvas.drawString(100, 100, "25 units")
    canvas.save()
    return out.getvalue()


def _pem(key: SigningKey, folder: Path) -> Path:
    return write_pem(
        folder / "ours.pem",
        pem_of(key.key),
        key.certificate.public_bytes(serialization.Encoding.PEM),
    )


def test_the_development_key_is_made_once_and_says_what_it_is(tmp_path: Path) -> None:
    first = development_key(tmp_path, now=NOW)
    again = development_key(tmp_path, now=NOW)
    assert first.certificate == again.certificate
    assert first.is_development
    path = tmp_path / DEVELOPMENT_FILE
    assert "DEVELOPMENT" in path.name
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert list(tmp_path.iterdir()) == [path]


def test_the_key_is_not_shown(key: SigningKey) -> None:
    assert "PRIVATE" not in repr(key)
    assert "EllipticCurvePrivateKey" not in repr(key)


def test_our_file_is_good(signed: bytes, key: SigningKey) -> None:
    report = examine(signed, key.believed)
    assert report.is_good
    assert report.signed_at is not None
    assert abs((report.signed_at - datetime.now(UTC)).total_seconds()) < 600


def test_files_of_a_former_key_are_still_believed(
    signed: bytes, key: SigningKey, tmp_path: Path
) -> None:
    new = development_key(tmp_path / "new", now=NOW)
    assert not examine(signed, new.believed).is_good
    file = tmp_path / "keys.pem"
    file.write_bytes(
        (tmp_path / "new" / DEVELOPMENT_FILE).read_bytes()
        + key.certificate.public_bytes(serialization.Encoding.PEM)
    )
    both = load_key(file)
    assert both.certificate == new.certificate
    assert both.former == (key.certificate,)
    assert examine(signed, both.believed).is_good


def test_no_flipped_byte_outside_the_signature_goes_unseen(signed: bytes, key: SigningKey) -> None:
    hole = signed.rindex(b"/Contents <"), signed.index(b">", signed.rindex(b"/Contents <"))
    chance = random.Random(7)
    for _ in range(60):
        at = chance.randrange(len(signed))
        if hole[0] <= at <= hole[1]:
            continue
        broken = bytearray(signed)
        broken[at] ^= 1 << chance.randrange(8)
        try:
            report = examine(bytes(broken), key.believed)
        except UnreadablePdfError:
            continue
        assert not report.is_good, at


def test_a_second_signature_makes_it_another_file(key: SigningKey, tmp_path: Path) -> None:
    file = tmp_path / DEVELOPMENT_FILE
    development_key(tmp_path, now=NOW)
    other = signers.SimpleSigner.load(file, file)
    ours = signers.SimpleSigner.load(_pem(key, tmp_path), _pem(key, tmp_path))
    twice = blank()
    for name, signer in (("First", ours), ("Second", other)):
        out = io.BytesIO()
        assert signer is not None
        signers.PdfSigner(signers.PdfSignatureMetadata(field_name=name), signer=signer).sign_pdf(
            IncrementalPdfFileWriter(io.BytesIO(twice)), output=out
        )
        twice = out.getvalue()
    report = examine(twice, key.believed)
    assert report.is_ours
    assert not report.is_good


def test_an_unsigned_file_says_nothing(key: SigningKey) -> None:
    report = examine(blank(), key.believed)
    assert report.signer == ""
    assert not report.is_good


def write_pem(path: Path, *parts: bytes) -> Path:
    path.write_bytes(b"".join(parts))
    return path


def pem_of(key: ec.EllipticCurvePrivateKey | rsa.RSAPrivateKey) -> bytes:
    return key.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.NoEncryption(),
    )


def test_a_key_that_cannot_be_used_is_refused_by_name(key: SigningKey, tmp_path: Path) -> None:
    certificate = key.certificate.public_bytes(serialization.Encoding.PEM)
    bad = {
        "absent": tmp_path / "nowhere.pem",
        "empty": write_pem(tmp_path / "empty.pem"),
        "no certificate": write_pem(tmp_path / "bare.pem", pem_of(key.key)),
        "another's": write_pem(
            tmp_path / "other.pem", pem_of(ec.generate_private_key(ec.SECP256R1())), certificate
        ),
        "curve": write_pem(
            tmp_path / "curve.pem", pem_of(ec.generate_private_key(ec.SECP384R1())), certificate
        ),
        "rsa": write_pem(
            tmp_path / "rsa.pem",
            pem_of(rsa.generate_private_key(65537, 2048)),
            certificate,
        ),
    }
    for path in bad.values():
        with pytest.raises(ConfigError, match=r"^SIGNING_KEY: "):
            load_key(path)


def test_a_wrong_key_stops_the_start_and_a_right_one_signs(
    key: SigningKey, tmp_path: Path, make_app: Callable[..., Flask]
) -> None:
    app = make_app(SIGNING_KEY=str(_pem(key, tmp_path)))
    with app.app_context():
        assert signing_key().certificate == key.certificate
    with pytest.raises(ConfigError, match=r"^SIGNING_KEY: "):
        make_app(SIGNING_KEY=str(tmp_path / "nowhere.pem"))


def test_a_password_opens_the_key(key: SigningKey, tmp_path: Path) -> None:
    locked = key.key.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.BestAvailableEncryption(b"open sesame"),
    )
    path = write_pem(
        tmp_path / "locked.pem", locked, key.certificate.public_bytes(serialization.Encoding.PEM)
    )
    assert load_key(path, "open sesame").certificate == key.certificate
    with pytest.raises(ConfigError, match=r"^SIGNING_KEY: "):
        load_key(path, "wrong")
    with pytest.raises(ConfigError, match=r"^SIGNING_KEY: "):
        load_key(path)

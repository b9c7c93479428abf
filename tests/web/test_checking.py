"""The check page tells the genuine from the changed, and both from the unknown."""

from __future__ import annotations

import io
import tracemalloc
import zlib
from datetime import UTC, datetime
from pathlib import Path

import pytest
from flask import Flask
from flask.testing import FlaskClient
from pyhanko.pdf_utils.incremental_writer import IncrementalPdfFileWriter
from pypdf import PdfReader, PdfWriter

from cnn_offset.attestations import issuer, signing, stored_pdf
from cnn_offset.attestations.keys import development_key
from cnn_offset.attestations.render import render
from cnn_offset.domain.attestation import AttestationData
from cnn_offset.extensions import db, platform, unit_of_work
from cnn_offset.models import Attestation
from cnn_offset.services.attesting import attestation_data, issue_attestation
from tests.papers import DONE, make_attestation


@pytest.fixture
def client(app: Flask) -> FlaskClient:
    # The token of the form is tested for every POST in tests/meta.
    app.config["WTF_CSRF_ENABLED"] = False
    return app.test_client()


@pytest.fixture
def pdf(app: Flask) -> bytes:
    """The PDF of VC000001/2026, whose beneficiary is a private person."""
    with app.app_context():
        row = make_attestation(
            publish_name=False,
            publish_reason=False,
            purchaser_kind="person",
            beneficiary="Grace Hopper",
        )
        issue_attestation(unit_of_work, row.id, issuer=issuer(), now=DONE)
        db.session.rollback()
        return stored_pdf(db.session.get_one(Attestation, row.id, populate_existing=True))


def send(client: FlaskClient, pdf: bytes, lang: str = "en") -> tuple[int, str]:
    answer = client.post(
        f"/{lang}/check",
        data={"pdf": (io.BytesIO(pdf), "attestation.pdf")},
        content_type="multipart/form-data",
    )
    return answer.status_code, answer.get_data(as_text=True)


def test_the_issued_file_is_genuine(client: FlaskClient, pdf: bytes) -> None:
    status, text = send(client, pdf)
    assert status == 200
    assert "Genuine: this is the file that was issued" in text
    assert "VC000001/2026" in text
    assert "DEVELOPMENT KEY - proves nothing" in text
    assert "Hopper" not in text


def test_a_flipped_byte_makes_it_changed(client: FlaskClient, pdf: bytes) -> None:
    at = pdf.index(b"/Title")
    # Inside the signed part, in the title's text.
    place = pdf.index(b"(", at) + 3
    broken = pdf[:place] + bytes([pdf[place] ^ 1]) + pdf[place + 1 :]
    status, text = send(client, broken)
    assert status == 200
    assert "Not genuine: this file was changed" in text
    assert "Genuine: this is the file" not in text


def test_what_is_added_after_signing_makes_it_changed(client: FlaskClient, pdf: bytes) -> None:
    writer = IncrementalPdfFileWriter(io.BytesIO(pdf))
    writer.root["/Lang"] = writer.root.raw_get("/Lang")
    writer.update_root()
    out = io.BytesIO()
    writer.write(out)
    assert out.getvalue().startswith(pdf)
    assert "Not genuine: this file was changed" in send(client, out.getvalue())[1]


def test_bytes_appended_make_it_changed(client: FlaskClient, pdf: bytes) -> None:
    assert "Not genuine: this file was changed" in send(client, pdf + b"\n% more\n")[1]


def test_a_resaved_copy_is_never_genuine(client: FlaskClient, pdf: bytes) -> None:
    writer = PdfWriter(clone_from=PdfReader(io.BytesIO(pdf)))
    out = io.BytesIO()
    writer.write(out)
    text = send(client, out.getvalue())[1]
    assert "Genuine: this is the file" not in text


def test_somebody_elses_signature_is_not_ours(
    app: Flask, client: FlaskClient, pdf: bytes, tmp_path: Path
) -> None:
    with app.app_context():
        row = db.session.query(Attestation).one()
        data = AttestationData.from_json(row.data)
        forged = signing.sign(
            render(data), development_key(tmp_path / "forger", now=datetime.now(UTC))
        )
    assert "Not genuine: this file was not signed by us" in send(client, forged)[1]


def test_signed_by_us_but_not_recorded(app: Flask, client: FlaskClient, pdf: bytes) -> None:
    with app.app_context():
        row = db.session.query(Attestation).one()
        twin = issuer().render_and_sign(attestation_data(db.session(), row, issuer()))
    assert "Unknown: signed by us, but not in the record" in send(client, twin)[1]


def test_an_unsigned_pdf_is_unknown(app: Flask, client: FlaskClient, pdf: bytes) -> None:
    with app.app_context():
        row = db.session.query(Attestation).one()
        plain = render(AttestationData.from_json(row.data))
    assert "Unknown: this file carries no signature" in send(client, plain)[1]


def test_an_encrypted_pdf_is_refused_kindly(client: FlaskClient, pdf: bytes) -> None:
    writer = PdfWriter(clone_from=PdfReader(io.BytesIO(pdf)))
    writer.encrypt("secret")
    out = io.BytesIO()
    writer.write(out)
    status, text = send(client, out.getvalue())
    assert status == 422
    assert "damaged or locked" in text


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"", "Please choose the PDF file"),
        (b"GIF89a and so on", "not a PDF"),
        (b"%PDF-1.7\nnonsense", "damaged or locked"),
        (b"%PDF-1.7\n" + b"\x00\xff[<<" * 2000, "damaged or locked"),
        (b"%PDF-" + b"x" * (5 * 1024 * 1024), "larger than 5 MB"),
    ],
)
def test_what_is_no_pdf_is_refused_kindly(client: FlaskClient, content: bytes, words: str) -> None:
    status, text = send(client, content)
    assert status == 422
    assert words in text
    assert "There is a problem" in text


def test_a_bomb_is_refused_before_it_unpacks(client: FlaskClient) -> None:
    packed = zlib.compress(b"\0" * (64 * 1024 * 1024), 9)
    head = (
        b"%%PDF-1.7\n1 0 obj\n<< /Type /XRef /Size 16777216 /W [1 2 1] /Root 2 0 R "
        b"/Filter /FlateDecode /Length %d >>\nstream\n" % len(packed)
    )
    bomb = head + packed + b"\nendstream\nendobj\nstartxref\n9\n%%EOF\n"
    send(client, b"%PDF-1.7\n")  # what is imported once does not count
    tracemalloc.start()
    try:
        status, text = send(client, bomb)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert (status, "damaged or locked" in text) == (422, True)
    assert peak < 32 * 1024 * 1024


def test_a_truncated_attestation_is_never_genuine(client: FlaskClient, pdf: bytes) -> None:
    for part in (len(pdf) - 1, len(pdf) // 2, 2000):
        assert "Genuine: this is the file" not in send(client, pdf[:part])[1]


def test_a_form_without_a_file_is_an_error(client: FlaskClient) -> None:
    assert client.post("/en/check").status_code == 422


@pytest.mark.parametrize("lang", ["en", "fr", "es"])
def test_the_printed_address_leads_to_the_facts(
    app: Flask, client: FlaskClient, pdf: bytes, lang: str
) -> None:
    with app.app_context():
        code = db.session.query(Attestation.check_code).scalar()
    page = client.get(f"/{lang}/check/{code}")
    text = page.get_data(as_text=True)
    assert page.status_code == 200
    assert text.count("<h1") == 1
    for each in ("VC000001/2026", "KE-5-", "TX-", "DEVELOPMENT KEY"):
        assert each in text
    assert "Hopper" not in text
    assert 'name="robots" content="noindex"' in text


@pytest.mark.parametrize("typed", ["VC000001/2026", "vc000001-2026", " VC000001 / 2026 "])
def test_the_number_leads_to_the_facts(client: FlaskClient, pdf: bytes, typed: str) -> None:
    text = client.get("/en/check", query_string={"number": typed}).get_data(as_text=True)
    assert "An attestation with this number was issued" in text
    assert "Hopper" not in text


def test_unknown_numbers_and_codes_are_said_to_be_unknown(client: FlaskClient, pdf: bytes) -> None:
    page = client.get("/en/check?number=VC000009/2026")
    assert "Unknown: no such attestation" in page.get_data(as_text=True)
    for code in ("nonsense", "%00", "x" * 500, "é"):
        page = client.get(f"/en/check/{code}")
        assert page.status_code == 404
        assert "Unknown: no such attestation" in page.get_data(as_text=True)


def test_a_number_that_is_none_is_an_error_and_stays(client: FlaskClient) -> None:
    page = client.get("/en/check", query_string={"number": '<b>"12"</b>'})
    text = page.get_data(as_text=True)
    assert page.status_code == 422
    assert "Write the number as on the attestation" in text
    assert "<b>" not in text.split("<main")[1]
    assert "&lt;b&gt;" in text


def test_a_lost_file_does_not_hide_the_record(app: Flask, client: FlaskClient, pdf: bytes) -> None:
    with app.app_context():
        row = db.session.query(Attestation).one()
        platform().files.rm_file(row.path)
    page = client.get("/en/check?number=VC000001/2026")
    text = page.get_data(as_text=True)
    assert page.status_code == 200
    assert "The file cannot be read at the moment" in text
    assert "KE-5-" in text


def test_before_it_is_issued_it_is_unknown(app: Flask, client: FlaskClient) -> None:
    with app.app_context():
        code = make_attestation().check_code
    assert client.get(f"/en/check/{code}").status_code == 404


def test_anybody_can_ask_and_ask_slowly(make_app, clock) -> None:  # type: ignore[no-untyped-def]
    limited = make_app(RATE_LIMITS=True)
    limited.config["WTF_CSRF_ENABLED"] = False
    visitor = limited.test_client()
    answers = [send(visitor, b"")[0] for _ in range(21)]
    assert answers[:20] == [422] * 20
    assert answers[20] == 429

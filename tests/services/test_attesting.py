"""Attestations are issued once, whatever fails between, and say what happened."""

from __future__ import annotations

import hashlib
from datetime import datetime

import pytest
from flask import Flask
from sqlalchemy import select

from cnn_offset.attestations import AttestationError, PdfIssuer, issuer, stored_pdf
from cnn_offset.domain.attestation import AttestationData
from cnn_offset.domain.status import AttestationStatus
from cnn_offset.domain.units import UnitType
from cnn_offset.extensions import db, platform, unit_of_work
from cnn_offset.models import Attestation, Event, Message, RecordTerm
from cnn_offset.services.attesting import attestation_data, issue_attestation, preview_data
from cnn_offset.services.checking_out import PlanPart
from tests.factories import NOW, make_activity, make_block, make_offer, make_provider
from tests.papers import DONE, make_attestation


class Plain:
    """An issuer without libraries: the PDF is its data, and files are a dict."""

    def __init__(self) -> None:
        self.files: dict[str, bytes] = {}
        self.made = 0
        self.error: Exception | None = None

    def check_url(self, code: str, locale: str) -> str:
        return f"http://localhost/{locale}/check/{code}"

    def registry_title(self, registry_id: str) -> str:
        return f"Registry {registry_id}"

    def render_and_sign(self, data: AttestationData) -> bytes:
        self.made += 1
        # A signature is never the same twice.
        return f"{data.as_json()} {self.made}".encode()

    def store(self, path: str, pdf: bytes) -> None:
        if self.error:
            raise self.error
        assert path not in self.files
        self.files[path] = pdf

    def discard(self, path: str) -> None:
        del self.files[path]


def reread(attestation_id: int) -> Attestation:
    db.session.rollback()
    return db.session.get_one(Attestation, attestation_id, populate_existing=True)


def test_issues_once_with_hash_data_mail_and_entry(any_app: Flask) -> None:
    with any_app.app_context():
        row, plain = make_attestation(runs=2), Plain()
        for _ in range(2):
            issue_attestation(unit_of_work, row.id, issuer=plain, now=DONE)
        row = reread(row.id)
        assert row.status is AttestationStatus.ISSUED
        assert plain.made == 1
        assert list(plain.files) == [row.path]
        assert row.path.startswith("attestations/2026/VC000001-2026-")
        assert row.sha256 == hashlib.sha256(plain.files[row.path]).hexdigest()
        data = AttestationData.from_json(row.data)
        assert data.number == "VC000001/2026"
        assert data.quantity == 10
        assert [each.quantity for each in data.lines[0].ranges] == [5, 5]
        assert data.lines[0].registry_ref.startswith("TX-")
        kinds = db.session.scalars(select(Message.kind).where(Message.order_id == row.order_id))
        assert list(kinds) == ["attestation"]
        moves = db.session.scalars(select(Event.new).where(Event.subject == "attestation"))
        assert list(moves) == ["issued"]
        terms = set(db.session.scalars(select(RecordTerm.term)))
        assert {"host:KE", "type:cer", "registry:cdm", "year:2026", "word:lodz"} <= terms


def test_a_private_name_is_not_indexed(app: Flask) -> None:
    with app.app_context():
        row = make_attestation(publish_name=False)
        issue_attestation(unit_of_work, row.id, issuer=Plain(), now=DONE)
        assert "word:lodz" not in set(db.session.scalars(select(RecordTerm.term)))


def test_who_loses_the_race_removes_its_own_file(any_app: Flask) -> None:
    with any_app.app_context():
        row, plain = make_attestation(), Plain()

        class Slow(Plain):
            """Another worker issues while this one still renders."""

            def render_and_sign(self, data: AttestationData) -> bytes:
                issue_attestation(unit_of_work, row_id, issuer=plain, now=DONE)
                return super().render_and_sign(data) + b"late"

        row_id, slow = row.id, Slow()
        slow.files = plain.files
        issue_attestation(unit_of_work, row_id, issuer=slow, now=DONE)
        row = reread(row_id)
        assert list(plain.files) == [row.path]
        assert not plain.files[row.path].endswith(b"late")
        assert len(list(db.session.scalars(select(Message)))) == 1


def test_a_full_disk_leaves_it_queued(app: Flask) -> None:
    with app.app_context():
        row, plain = make_attestation(), Plain()
        plain.error = OSError("No space left on device")
        with pytest.raises(OSError, match="No space"):
            issue_attestation(unit_of_work, row.id, issuer=plain, now=DONE)
        row = reread(row.id)
        assert row.status is AttestationStatus.QUEUED
        assert row.sha256 == ""
        assert list(db.session.scalars(select(Message))) == []
        plain.error = None
        issue_attestation(unit_of_work, row.id, issuer=plain, now=DONE)
        assert reread(row.id).status is AttestationStatus.ISSUED


def test_killed_between_file_and_record_issues_on_the_next_try(app: Flask) -> None:
    with app.app_context():
        row, plain = make_attestation(), Plain()
        first = True

        class Killed(Exception):
            pass

        def begin():  # type: ignore[no-untyped-def]
            nonlocal first
            if plain.files and first:
                first = False
                raise Killed
            return unit_of_work()

        with pytest.raises(Killed):
            issue_attestation(begin, row.id, issuer=plain, now=DONE)
        assert reread(row.id).status is AttestationStatus.QUEUED
        issue_attestation(begin, row.id, issuer=plain, now=DONE)
        row = reread(row.id)
        # The file of the first try refers to nothing and harms nobody.
        assert len(plain.files) == 2
        assert hashlib.sha256(plain.files[row.path]).hexdigest() == row.sha256


def test_frozen_facts_are_attested_not_todays(app: Flask) -> None:
    with app.app_context():
        block = make_block(unit_type=UnitType.A64ER_CONTRIBUTION)
        row = make_attestation(block)
        block.unit_type = UnitType.A64ER_AUTHORISED
        db.session.commit()
        data = attestation_data(db.session(), row, Plain())
        assert data.unit_types == [UnitType.A64ER_CONTRIBUTION]


def test_several_projects_and_types_are_listed_line_by_line(app: Flask) -> None:
    with app.app_context():
        provider = make_provider()
        blocks = [
            make_block(make_activity(), provider),
            make_block(make_activity(host_party="BR"), provider, unit_type=UnitType.TCER),
        ]
        data = attestation_data(db.session(), make_attestation(*blocks), Plain())
        assert [line.unit_type for line in data.lines] == [UnitType.CER, UnitType.TCER]
        assert [line.host_party for line in data.lines] == ["KE", "BR"]
        assert data.quantity == 20


def test_data_survive_being_kept(app: Flask) -> None:
    with app.app_context():
        data = attestation_data(db.session(), make_attestation(runs=2), Plain())
        assert AttestationData.from_json(data.as_json()) == data


def test_preview_has_the_same_facts_but_no_number_and_no_serials(app: Flask) -> None:
    with app.app_context():
        offer = make_offer()

        class Line:
            pass

        line = Line()
        line.offer, line.quantity = offer, 7  # type: ignore[attr-defined]
        part = PlanPart.__new__(PlanPart)
        object.__setattr__(part, "lines", [line])
        data = preview_data(
            part,
            beneficiary="Ærø",
            reason="Why not",
            locale="fr",
            registry_titles={"cdm": "CDM registry"},
        )
        assert data.is_preview
        assert data.quantity == 7
        assert data.lines[0].ranges == ()
        assert data.lines[0].registry_title == "CDM registry"
        assert data.lines[0].completed_at is None


def test_the_real_issuer_stores_signs_and_notices_tampering(app: Flask) -> None:
    with app.app_context():
        row = make_attestation()
        made = issuer()
        assert isinstance(made, PdfIssuer)
        issue_attestation(unit_of_work, row.id, issuer=made, now=DONE)
        row = reread(row.id)
        pdf = stored_pdf(row)
        assert pdf.startswith(b"%PDF-")
        assert AttestationData.from_json(row.data).check_url == (
            f"http://localhost/en/check/{row.check_code}"
        )
        platform().files.pipe_file(row.path, pdf[:-1])
        with pytest.raises(AttestationError, match="not what was issued"):
            stored_pdf(row)


def test_an_unknown_registry_goes_by_its_id(app: Flask) -> None:
    with app.app_context():
        assert issuer().registry_title("cdm") == "CDM registry"
        assert issuer().registry_title("closed_long_ago") == "closed_long_ago"


def test_the_clock_of_issue_is_the_one_handed_in(app: Flask) -> None:
    with app.app_context():
        row = make_attestation()
        moment = datetime(2026, 12, 1, tzinfo=NOW.tzinfo)
        issue_attestation(unit_of_work, row.id, issuer=Plain(), now=moment)
        assert reread(row.id).issued_at == moment

"""One attestation as a PDF, unsigned and signed, in a process that has made some before."""

from __future__ import annotations

from datetime import UTC, date, datetime
from pathlib import Path

from cnn_offset.attestations import signing_key
from cnn_offset.attestations.render import render
from cnn_offset.attestations.signing import sign
from cnn_offset.domain.attestation import AttestationData, AttestedLine, AttestedRange
from cnn_offset.domain.units import UnitType
from tests.bench.measure import cpu, table
from tests.bench.shop import make_app

DONE = datetime(2026, 11, 2, 9, 0, tzinfo=UTC)
DATA = AttestationData(
    locale="en",
    beneficiary="Łódź São Tomé Example Ltd",
    reason="Business travel of all staff in 2025",
    lines=(
        AttestedLine(
            unit_type=UnitType.CER,
            quantity=1250,
            activity_title={"en": "Naibor Hill wind farm"},
            activity_ref="90011",
            activity_kind="pa",
            host_party="KE",
            monitoring_start=date(2014, 1, 1),
            monitoring_end=date(2014, 12, 31),
            registry_id="cdm",
            registry_title="CDM registry",
            registry_ref="VC-1234",
            completed_at=DONE,
            ranges=(
                AttestedRange("KE-5-1001-2-2-0-90011", "KE-5-2000-2-2-0-90011", 1000),
                AttestedRange("KE-5-3001-2-2-0-90011", "KE-5-3250-2-2-0-90011", 250),
            ),
        ),
    ),
    number="VC000123/2026",
    check_url="https://example.org/en/check/4Zk3TnqXqS7tW2mJ",
    fulfilled_at=DONE,
)


def run(folder: Path) -> None:
    """Measure and print."""
    app = make_app(folder / "papers")
    with app.test_request_context():
        key = signing_key()
        subjects = {
            "unsigned": lambda: render(DATA),
            "signed": lambda: sign(render(DATA), key),
        }
        sizes = {name: len(make()) / 1024 for name, make in subjects.items()}
        for make in subjects.values():
            make()
        took = cpu(subjects, rounds=9, each=2)
    table(
        "Attestation, one page, warm: CPU ms (aim: under 150)",
        ["", "ms", "KB"],
        [[name, took[name], sizes[name]] for name in subjects],
    )

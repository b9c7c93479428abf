"""The PDF says what it was given, whole, inside the page, and nothing more."""

from __future__ import annotations

import io
import logging
import subprocess
from dataclasses import replace
from datetime import UTC, date, datetime
from html.parser import HTMLParser
from typing import Any

import pytest
from flask import Flask
from pypdf import PdfReader

from cnn_offset.attestations import AttestationError
from cnn_offset.attestations import render as rendering
from cnn_offset.attestations.render import render
from cnn_offset.domain.attestation import AttestationData, AttestedLine, AttestedRange
from cnn_offset.domain.units import UnitType

NAMES = [
    "Łódź",
    "São Tomé",
    "Curaçao",
    "Đà Nẵng",
    "Ærø",
    "Αθήνα",
    "Київ",
    "Năm Căn",
    "L’Haÿ-les-Roses",
]


def line(**values: Any) -> AttestedLine:
    return AttestedLine(
        **{
            "unit_type": UnitType.CER,
            "quantity": 25,
            "activity_title": {"en": "Hill wind", "fr": "Vent de colline", "es": "Viento"},
            "activity_ref": "4711",
            "activity_kind": "pa",
            "host_party": "KE",
            "monitoring_start": date(2014, 1, 1),
            "monitoring_end": date(2014, 12, 31),
            "registry_id": "cdm",
            "registry_title": "CDM registry",
            "registry_ref": "KE-TX-77",
            "completed_at": datetime(2026, 11, 22, tzinfo=UTC),
            "ranges": (AttestedRange("KE-5-1-2-2-0-4711", "KE-5-25-2-2-0-4711", 25),),
            **values,
        }
    )


def data(*lines: AttestedLine, **values: Any) -> AttestationData:
    return AttestationData(
        **{
            "locale": "en",
            "beneficiary": "Łódź Looms",
            "reason": "Our journeys in 2026",
            "lines": lines or (line(),),
            "number": "VC000123/2026",
            "check_url": "https://units.example.org/en/check/kYx3vQm0c2Zr9uTtAb1e5w",
            "fulfilled_at": datetime(2026, 11, 22, tzinfo=UTC),
            **values,
        }
    )


def preview(**values: Any) -> AttestationData:
    planned = line(registry_ref="", completed_at=None, ranges=())
    return data(planned, number="", check_url="", fulfilled_at=None, **values)


def text_of(pdf: bytes) -> str:
    pages = PdfReader(io.BytesIO(pdf)).pages
    return " ".join(" ".join(page.extract_text() for page in pages).split())


def pages_of(pdf: bytes) -> int:
    return len(PdfReader(io.BytesIO(pdf)).pages)


def no_spaces(text: str) -> str:
    return "".join(text.split())


@pytest.fixture(autouse=True)
def _context(app: Flask) -> Any:
    with app.app_context():
        yield


@pytest.mark.parametrize("name", NAMES)
def test_names_of_many_alphabets_are_printed(name: str) -> None:
    text = text_of(render(data(beneficiary=name, reason=f"For {name}")))
    assert text.count(name) == 2


def test_every_fact_is_printed() -> None:
    text = text_of(render(data()))
    for each in (
        "VC000123/2026",
        "25 carbon units",
        "25 tonnes of CO₂ equivalent",
        "Łódź Looms",
        "Our journeys in 2026",
        "Hill wind",
        "25 CER",
        "Kenya",
        "4711",
        "1 January 2014 to 31 December 2014",
        "CDM registry",
        "KE-TX-77, 22 November 2026",
        "KE-5-1-2-2-0-4711 – KE-5-25-2-2-0-4711",
        "https://units.example.org/en/check/kYx3vQm0c2Zr9uTtAb1e5w",
    ):
        assert each in text


@pytest.mark.parametrize("locale", ["en", "fr", "es"])
def test_a_corrected_one_says_what_it_replaces(locale: str) -> None:
    pdf = render(data(locale=locale, replaces="VC000045/2026"))
    assert text_of(pdf).count("VC000045/2026") == 1
    assert pages_of(pdf) == 1


@pytest.mark.parametrize(
    ("locale", "words"),
    [
        ("en", ["Kenya", "22 November 2026", "Hill wind"]),
        ("fr", ["22 novembre 2026", "Vent de colline"]),
        ("es", ["Kenia", "22 de noviembre de 2026", "Viento"]),
    ],
)
def test_it_is_in_the_chosen_language(locale: str, words: list[str]) -> None:
    pdf = render(data(locale=locale))
    reader = PdfReader(io.BytesIO(pdf))
    assert reader.trailer["/Root"]["/Lang"] == locale  # type: ignore[index]
    for each in words:
        assert each in text_of(pdf)


def test_one_unit_is_singular() -> None:
    one = line(quantity=1, ranges=(AttestedRange("KE-5-9-2-2-0-1", "KE-5-9-2-2-0-1", 1),))
    text = text_of(render(data(one)))
    assert "1 carbon unit standing for 1 tonne of CO₂ equivalent, has been" in text
    assert "KE-5-9-2-2-0-1 – " not in text


@pytest.mark.parametrize("wide", ["W", "i", "Đ", "ab "])
def test_long_names_and_reasons_stay_on_one_page_and_inside(wide: str) -> None:
    name, reason = (wide * 200)[:199] + "x", (wide * 500)[:499] + "x"
    pdf = render(data(beneficiary=name, reason=reason))
    assert pages_of(pdf) == 1
    assert no_spaces(name) in no_spaces(text_of(pdf))
    assert no_spaces(reason) in no_spaces(text_of(pdf))
    for word in words_of(pdf):
        assert word[0] >= 22 / 25.4 * 72 - 1
        assert word[1] <= (22 + 166) / 25.4 * 72 + 1


def words_of(pdf: bytes) -> list[tuple[float, float]]:
    """Return left and right edge of every word, in points, as poppler sees them."""
    try:
        said = subprocess.run(
            ["pdftotext", "-bbox", "-", "-"], input=pdf, capture_output=True, check=True
        ).stdout.decode()
    except FileNotFoundError:
        pytest.skip("pdftotext is missing")
    edges: list[tuple[float, float]] = []

    class Reader(HTMLParser):
        def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
            if tag == "word":
                at = dict(attrs)
                edges.append((float(at["xmin"] or 0), float(at["xmax"] or 0)))

    Reader().feed(said)
    assert len(edges) > 50
    return edges


def test_many_ranges_flow_on_and_none_is_lost() -> None:
    ranges = tuple(
        AttestedRange(f"KE-5-{n}00-2-2-0-1", f"KE-5-{n}09-2-2-0-1", 10) for n in range(1, 151)
    )
    pdf = render(data(line(quantity=1500, ranges=ranges)))
    assert pages_of(pdf) > 1
    text = text_of(pdf)
    for each in ranges:
        assert f"{each.first} – {each.last} (10)" in text
    # Every page leads to the check page.
    assert text.count("VC000123/2026") == 1 + pages_of(pdf)


def test_several_projects_stand_one_below_the_other() -> None:
    other = line(activity_title={"en": "Stoves"}, unit_type=UnitType.TCER, host_party="MM")
    pdf = render(data(line(), other))
    text = text_of(pdf)
    assert pages_of(pdf) == 1
    assert "50 carbon units" in text
    assert "Stoves" in text
    assert "25 tCER" in text


@pytest.mark.parametrize(
    ("unit_type", "must", "must_not"),
    [
        (UnitType.CER, "clean development mechanism", "Article 6.4"),
        (UnitType.TCER, "must not be taken for a lasting reduction", "Article 6.4"),
        (UnitType.LCER, "must not be taken for a lasting reduction", "Article 6.4"),
        (UnitType.A64ER_AUTHORISED, "corresponding adjustment", "no corresponding adjustment"),
        (
            UnitType.A64ER_CONTRIBUTION,
            "not authorised for use towards anybody else’s target, and no corresponding adjustment",
            "has authorised its use",
        ),
    ],
)
@pytest.mark.parametrize("locale", ["en", "fr", "es"])
def test_wording_follows_the_kind_of_unit_and_claims_nothing_more(
    unit_type: UnitType, must: str, must_not: str, locale: str
) -> None:
    text = text_of(render(data(line(unit_type=unit_type), locale=locale)))
    assert "neutral" not in text.lower()
    if locale == "en":
        assert must in text
        assert must_not not in text


def test_a_preview_has_watermark_and_no_number() -> None:
    pdf = render(preview())
    text = text_of(pdf)
    assert "Preview, not an attestation" in text
    assert "VC0" not in text
    assert "/check/" not in text
    assert "they will stand here" in text
    images = len(PdfReader(io.BytesIO(pdf)).pages[0].images)
    # A QR code goes, a watermark comes: see that it is the large one.
    assert images == len(PdfReader(io.BytesIO(render(data()))).pages[0].images)
    assert max(len(each.data) for each in PdfReader(io.BytesIO(pdf)).pages[0].images) > 10_000


def test_a_demonstration_says_so(app: Flask) -> None:
    assert "This is a demonstration" not in text_of(render(data()))
    app.config["SANDBOX"] = True
    pdf = render(data())
    assert pages_of(pdf) == 1
    assert "This is a demonstration" in text_of(pdf)


def test_text_is_never_markup() -> None:
    hostile = '<b>A</b> & "B" <img src="http://127.0.0.1/x"> {{ 7 * 7 }} <pdf:nextpage> &amp;'
    pdf = render(data(beneficiary=hostile, reason=hostile))
    assert pages_of(pdf) == 1
    assert no_spaces(text_of(pdf)).count(no_spaces(hostile)) == 2


@pytest.mark.parametrize("name", ["北京", "مكة", "🌍", "e\u0302\u0323x", "\u202eabc", "a\u200bb"])
def test_what_the_fonts_lack_is_an_error_not_a_box(name: str) -> None:
    with pytest.raises(AttestationError, match="no letter for"):
        render(data(beneficiary=name))


def test_a_warning_of_the_library_is_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rendering, "_band", lambda: "http://127.0.0.1:1/band.png")
    with pytest.raises(AttestationError, match="not as it should be"):
        render(data())
    monkeypatch.setattr(rendering, "_band", lambda: "/etc/hostname")
    with pytest.raises(AttestationError, match="not as it should be"):
        render(data())


def test_a_letter_no_face_has_is_caught_a_second_time(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rendering, "unprintable", lambda text: [])
    logging.getLogger("xhtml2pdf").setLevel(logging.WARNING)
    with pytest.raises(AttestationError, match="not as it should be"):
        render(data(beneficiary="北京"))


def test_the_same_data_give_the_same_bytes() -> None:
    assert render(data()) == render(data())


def test_every_font_is_embedded() -> None:
    reader = PdfReader(io.BytesIO(render(data())))
    fonts = reader.pages[0]["/Resources"]["/Font"]  # type: ignore[index]
    assert fonts
    for each in fonts.values():
        assert "/FontFile2" in each.get_object()["/FontDescriptor"]


def test_the_title_names_the_number() -> None:
    meta = PdfReader(io.BytesIO(render(data()))).metadata
    assert meta is not None
    assert meta.title == "Attestation of voluntary cancellation VC000123/2026"


def test_a_reason_of_one_line_leaves_the_name_large() -> None:
    small, large = data(beneficiary="x" * 150), replace(data(), beneficiary="Ada")
    assert render(small) != render(large)

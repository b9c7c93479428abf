"""What is said of units where people choose, pay, prove and look up: nothing that is too much."""

from __future__ import annotations

import io
import re
from collections.abc import Iterator
from datetime import UTC, date, datetime
from html import unescape

import pytest
from flask import Flask
from flask.testing import FlaskClient
from flask_babel import force_locale, gettext
from pypdf import PdfReader

from cnn_offset import sentences
from cnn_offset.attestations.render import render
from cnn_offset.domain.attestation import AttestationData, AttestedLine, AttestedRange
from cnn_offset.domain.unit_rules import UNIT_RULES
from cnn_offset.domain.units import UnitType
from cnn_offset.extensions import db
from cnn_offset.models import Block
from cnn_offset.sayings import ATTESTATION
from tests.claims import faults
from tests.conftest import Clock
from tests.web.shopping import Mall, Visitor, open_mall

LANGUAGES = ("en", "fr", "es")
DAY = date(2030, 6, 30)


@pytest.fixture
def mall(app: Flask, clock: Clock) -> Iterator[Mall]:
    yield from open_mall(app, clock)


def text_of(page: str) -> str:
    """Return what a page says, a line for each element."""
    page = re.sub(r"(?s)<(script|style)\b.*?</\1>", "", page)
    return unescape(re.sub(r"<[^>]+>", "\n", page))


def without_denials(page: str, kind: UnitType, lang: str) -> str:
    """Return what a page says, but for what it says one must not say."""
    text = " ".join(text_of(page).split())
    with force_locale(lang):
        for rules in UNIT_RULES.values():
            for each in rules.never_say:
                text = text.replace(" ".join(gettext(each).split()), "")
    return text


def make(mall: Mall, kind: UnitType, expires_on: date | None = None) -> Block:
    """Make what Sun Ltd offers units of a kind."""
    block = mall.offer(mall.sun)
    mall.change(Block, block.block_id, unit_type=kind, expires_on=expires_on)
    with mall.app.app_context():
        found = db.session.get_one(Block, block.block_id)
        assert found.activity.slug
        return found


# The page of all claims


@pytest.mark.parametrize("lang", LANGUAGES)
def test_the_page_of_claims_is_the_rules(app: Flask, client: FlaskClient, lang: str) -> None:
    answer = client.get(f"/{lang}/units/claims")
    assert answer.status_code == 200
    text = " ".join(text_of(answer.text).split())
    with app.test_request_context(), force_locale(lang):
        for kind, rules in UNIT_RULES.items():
            assert f'id="{kind.value.replace("_", "-")}"' in answer.text
            for each in (rules.name, rules.note, *rules.may_say, *rules.never_say, rules.account):
                assert " ".join(gettext(each).split()) in text
    assert f'href="/{lang}/units"' in answer.text
    assert "Set-Cookie" not in answer.headers


def test_the_page_of_units_leads_to_it(client: FlaskClient) -> None:
    for lang in LANGUAGES:
        assert f'href="/{lang}/units/claims"' in client.get(f"/{lang}/units").text


# Where units are chosen and paid


@pytest.mark.parametrize("kind", [UnitType.TCER, UnitType.LCER])
def test_units_that_expire_say_so_from_choice_to_payment(mall: Mall, kind: UnitType) -> None:
    block = make(mall, kind, DAY)
    visitor = Visitor(mall.app)
    with mall.app.app_context():
        slug = db.session.merge(block).activity.slug
    page = visitor.get(f"/en/projects/{slug}")
    assert "Valid until" in page.text
    assert "30 June 2030" in page.text
    base = visitor.fill(mall, mall.sun)
    assert "valid until 30 June 2030" in visitor.get("/en/basket").text
    review = visitor.get(f"{base}/review").text
    assert UNIT_RULES[kind].warning in text_of(review)
    assert "Valid until 30 June 2030" in review
    # The last thing read before the button.
    assert review.index(UNIT_RULES[kind].warning[:40]) < review.index('name="consent_terms"')


def test_a_day_that_nobody_told_is_not_made_up(mall: Mall) -> None:
    block = make(mall, UnitType.TCER)
    with mall.app.app_context():
        slug = db.session.merge(block).activity.slug
    assert (
        "a day that the registry has not told us"
        in Visitor(mall.app).get(f"/en/projects/{slug}").text
    )


def test_plain_units_are_paid_without_a_warning(mall: Mall) -> None:
    visitor = Visitor(mall.app)
    base = visitor.fill(mall, mall.sun)
    review = visitor.get(f"{base}/review").text
    assert "About the units you order" not in review
    assert "valid until" not in review.lower()


@pytest.mark.parametrize("lang", LANGUAGES)
def test_no_page_says_too_much_of_contribution_units(mall: Mall, lang: str) -> None:
    kind = UnitType.A64ER_CONTRIBUTION
    block = make(mall, kind)
    visitor = Visitor(mall.app, lang)
    with mall.app.app_context():
        slug = db.session.merge(block).activity.slug
    base = visitor.fill(mall, mall.sun)
    with mall.app.test_request_context():
        for path in (f"/{lang}/projects/{slug}", f"/{lang}/basket", f"{base}/review",
                     f"/{lang}/units/claims"):  # fmt: skip
            page = visitor.get(path)
            assert page.status_code == 200
            assert faults(without_denials(page.text, kind, lang), kind) == [], path
        with force_locale(lang):
            warning = gettext(UNIT_RULES[kind].warning)
        assert warning in text_of(visitor.get(f"{base}/review").text)


# What is proven


def attested(kind: UnitType, lang: str) -> AttestationData:
    cdm = kind in (UnitType.CER, UnitType.TCER, UnitType.LCER)
    return AttestationData(
        locale=lang,
        beneficiary="Łódź Looms",
        reason="2026",
        lines=(
            AttestedLine(
                unit_type=kind, quantity=25, activity_title=dict.fromkeys(LANGUAGES, "Naibor"),
                activity_ref="4711", activity_kind="pa", host_party="KE",
                monitoring_start=date(2014, 1, 1), monitoring_end=date(2014, 12, 31),
                registry_id="cdm" if cdm else "a64_interim",
                registry_title="CDM registry" if cdm else "Interim Article 6.4 registry",
                registry_ref="TX-77", completed_at=datetime(2026, 11, 22, tzinfo=UTC),
                ranges=(AttestedRange("KE-5-1-2-2-0-4711", "KE-5-25-2-2-0-4711", 25),),
                expires_on=None if UNIT_RULES[kind].lasts else DAY,
            ),
        ),
        number="VC000123/2026",
        check_url="https://units.example.org/check/kYx3vQm0c2Zr9uTtAb1e5w",
        fulfilled_at=datetime(2026, 11, 22, tzinfo=UTC),
    )  # fmt: skip


@pytest.mark.parametrize("lang", LANGUAGES)
@pytest.mark.parametrize("kind", UnitType)
def test_an_attestation_says_what_its_kind_of_unit_lets_it(
    app: Flask, kind: UnitType, lang: str
) -> None:
    with app.app_context():
        reader = PdfReader(io.BytesIO(render(attested(kind, lang))))
        assert len(reader.pages) == 1
        text = " ".join(reader.pages[0].extract_text().split())
    assert faults(text, kind) == []
    with app.test_request_context(), force_locale(lang):
        squeezed = "".join(text.split())
        for each in (UNIT_RULES[kind].name, UNIT_RULES[kind].meaning):
            assert "".join(gettext(each).split()) in squeezed
    assert ("2030" in text) == (not UNIT_RULES[kind].lasts)


def test_operators_may_still_word_what_attestations_say_of_units(app: Flask) -> None:
    with app.test_request_context():
        known = {each.msgid for each in sentences.of_place(ATTESTATION)}
        for rules in UNIT_RULES.values():
            assert {rules.name, rules.meaning} <= known


def test_what_was_kept_before_units_had_a_last_day_is_read(app: Flask) -> None:
    with app.app_context():
        kept = attested(UnitType.CER, "en").as_json()
        for line in kept["lines"]:
            del line["expires_on"]
        assert AttestationData.from_json(kept) == attested(UnitType.CER, "en")

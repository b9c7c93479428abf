"""The front page shows what is on offer, and stands when nothing is."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime

import pytest
from flask import Flask
from flask.testing import FlaskClient

from cnn_offset.extensions import db
from tests.conftest import Clock, settings
from tests.factories import make_activity, make_block, make_offer, make_payout, make_provider


@pytest.fixture
def offered(app: Flask) -> None:
    """Eight projects in two countries, each with one offer that can be bought."""
    with app.app_context():
        provider = make_provider()
        make_payout(provider)
        for n in range(8):
            title = {"en": f"Mill {n}", "fr": f"Moulin {n}", "es": f"Molino {n}"}
            activity = make_activity(slug=f"mill-{n}", title=title, host_party=("KE", "CL")[n % 2])
            make_offer(make_block(activity, provider), provider_id=provider.id)
        db.session.commit()


@pytest.mark.parametrize(
    ("lang", "word", "project"),
    [
        ("en", "projects on offer", "Mill"),
        ("fr", "projets proposés", "Moulin"),
        ("es", "proyectos en oferta", "Molino"),
    ],
)
@pytest.mark.usefixtures("offered")
def test_some_of_the_projects_are_shown(
    client: FlaskClient, lang: str, word: str, project: str
) -> None:
    page = client.get(f"/{lang}/").text
    assert page.count('<article class="card">') == 6
    assert page.count(f"/{lang}/projects/mill-") == 6
    assert page.count(f">{project} ") == 6
    assert f'<dt class="muted">{word}</dt><dd>8</dd>' in page


@pytest.mark.usefixtures("offered")
def test_what_has_not_happened_yet_is_not_counted(client: FlaskClient) -> None:
    page = client.get("/en/").text
    assert "host countries</dt><dd>2</dd>" in page
    assert "tonnes cancelled" not in page


def test_without_offers_the_page_still_explains(client: FlaskClient) -> None:
    page = client.get("/en/")
    assert page.status_code == 200
    assert "<article" not in page.text
    assert '<dl class="figures">' not in page.text
    assert '<ol class="steps">' in page.text


@pytest.mark.parametrize(
    ("now", "said"),
    [
        (datetime(2026, 9, 1, tzinfo=UTC), False),
        (datetime(2026, 11, 20, tzinfo=UTC), True),
        (datetime(2026, 12, 29, tzinfo=UTC), False),
    ],
)
def test_a_registry_about_to_close_is_announced(
    make_app: Callable[..., Flask], clock: Clock, now: datetime, said: bool
) -> None:
    registries = settings()["REGISTRIES"]
    registries["cdm"]["last_order"] = datetime(2026, 12, 28, tzinfo=UTC)
    clock.now = now
    client = make_app(REGISTRIES=registries).test_client()
    assert ("28 December 2026, 00:00" in client.get("/en/").text) is said


def test_the_answers_tell_the_last_day_for_orders(make_app: Callable[..., Flask]) -> None:
    registries = settings()["REGISTRIES"]
    registries["cdm"]["last_order"] = datetime(2026, 12, 28, tzinfo=UTC)
    client = make_app(REGISTRIES=registries).test_client()
    assert "28 décembre 2026" in client.get("/fr/faq").text

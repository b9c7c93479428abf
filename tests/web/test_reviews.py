"""Project pages at the operators' desk, and what the public sees before and after."""

from __future__ import annotations

import pytest
from flask import Flask
from flask.testing import FlaskClient
from werkzeug.test import TestResponse

from cnn_offset.extensions import db
from cnn_offset.models import Message
from tests.web.drafts import Desk, open_desk, picture_of
from tests.web.people import add_person, log_in, post
from tests.web.shopping import text_of

REVIEWS = "/en/operator/reviews"


@pytest.fixture
def desk(app: Flask) -> Desk:
    return open_desk(app)


@pytest.fixture
def operator(app: Flask) -> FlaskClient:
    add_person(app, "op@example.org", "operator")
    return log_in(app, "op@example.org")


def review_of(version: str) -> str:
    return f"{REVIEWS}/{version.rpartition('/')[2]}"


def decide(
    operator: FlaskClient, desk: Desk, version: str, what: str, /, **fields: str
) -> TestResponse:
    fields.setdefault("version", str(desk.row(version).version))
    return post(operator, f"{review_of(version)}/{what}", **fields)


def test_approved_with_one_click(app: Flask, desk: Desk, operator: FlaskClient) -> None:
    before = desk.activity()
    public = app.test_client()
    project = f"/en/projects/{desk.slug}"
    version = desk.hand_in("Fresh")
    desk_page = text_of(operator.get(REVIEWS))
    assert "Fresh title en" in desk_page
    page = operator.get(review_of(version))
    assert f'<del><span class="sr" lang="en">taken out: </span>{before.title["fr"]}' in page.text
    assert 'added: </span>Fresh title fr<span class="sr">.</span></ins>' in page.text
    assert "Fresh" not in text_of(public.get(project))
    picture = desk.row(version).pictures[0]
    inside = operator.get(f"{review_of(version)}/pictures/{picture.id}/800")
    assert inside.mimetype == "image/webp"
    assert public.get(f"/{picture.path}").status_code == 404

    answer = decide(operator, desk, version, "approve")
    assert answer.location == REVIEWS
    assert "Nothing waits for review." in text_of(operator.get(REVIEWS))
    for lang in ("en", "fr", "es"):
        shown = text_of(public.get(f"/{lang}/projects/{desk.slug}"))
        assert f"Fresh title {lang}" in shown
        assert f"Fresh words ({lang})." in shown
    assert "It may not show the site itself." in text_of(public.get(project))
    served = public.get(f"/{picture.path}")
    assert served.status_code == 200
    assert served.mimetype == "image/webp"
    assert served.headers["X-Content-Type-Options"] == "nosniff"
    assert "immutable" in served.headers["Cache-Control"]
    assert "sandbox" in served.headers["Content-Security-Policy"]
    assert public.get(f"/{picture.path.replace('-800', '-400')}").status_code == 200
    assert public.get(f"/{picture.path.replace('-800', '-1600')}").status_code == 404
    with app.app_context():
        kinds = [each.kind for each in db.session.query(Message)]
    assert "listing_approved" in kinds
    again = decide(operator, desk, version, "approve")
    assert again.location == REVIEWS


def test_gallery_and_card_in_fitting_sizes(app: Flask, desk: Desk, operator: FlaskClient) -> None:
    version = desk.begin()
    desk.save(version, **{"labels-en": "Gold Standard", "labels-fr": "Gold Standard",
                          "labels-es": "Gold Standard",
                          "sd_report_url": "https://example.org/report?a=1&b=2"})  # fmt: skip
    desk.send(version, picture_of(1600, 1200), **{"alt-en": "The large one"})
    desk.send(version, picture_of(), **{"alt-en": "The small one"})
    post(desk.staff, f"{version}/submit")
    decide(operator, desk, version, "approve")
    large, small = (f"/{each.path}" for each in desk.row(version).pictures)
    page = app.test_client().get(f"/en/projects/{desk.slug}").text
    widths = [large.replace("-1600", f"-{width}") + f" {width}w" for width in (400, 800, 1600)]
    assert f'srcset="{", ".join(widths)}"' in page
    assert page.index('alt="The large one"') < page.index('alt="The small one"')
    assert f'<a href="{small}">' in page
    assert "Gold Standard" in page
    assert 'href="https://example.org/report?a=1&amp;b=2" rel="external noopener"' in page
    listed = app.test_client().get("/en/projects").text
    assert f'srcset="{", ".join(widths[:2])}"' in listed
    assert 'alt="The large one"' in listed


def test_the_public_keeps_the_approved_one_while_the_next_is_written(
    app: Flask, desk: Desk, operator: FlaskClient
) -> None:
    first = desk.hand_in("First")
    decide(operator, desk, first, "approve")
    old = f"/{desk.row(first).pictures[0].path}"
    second = desk.begin()
    assert second != first
    kept = desk.row(second).pictures[0].id
    desk.save(second, text="Second")
    desk.send(second, picture_of())
    post(desk.staff, f"{second}/pictures/{kept}", do="remove")
    post(desk.staff, f"{second}/submit")
    public = app.test_client()
    assert "First words" in public.get(f"/en/projects/{desk.slug}").text
    page = text_of(operator.get(review_of(second)))
    assert "taken out: First" in page
    decide(operator, desk, second, "approve")
    assert "Second words" in public.get(f"/en/projects/{desk.slug}").text
    assert public.get(old).status_code == 404
    assert public.get(f"/{desk.row(second).pictures[0].path}").status_code == 200
    history = text_of(desk.staff.get(f"{desk.base}/{desk.slug}"))
    assert "Version 2 Public" in history
    assert "Version 1 Was public" in history


def test_given_back_with_a_reason(app: Flask, desk: Desk, operator: FlaskClient) -> None:
    version = desk.hand_in()
    for reason in ("", "  ", "x" * 2001):
        answer = decide(operator, desk, version, "refuse", reason=reason)
        assert answer.status_code == 422
        assert 'href="#reason"' in answer.text
    answer = decide(operator, desk, version, "refuse", reason="Which <river>?\n\nPlease say.")
    assert answer.location == REVIEWS
    for path in (f"{desk.base}/{desk.slug}", version, desk.base):
        page = desk.staff.get(path)
        assert "Which <river>?" in text_of(page)
        assert "<river>" not in page.text
    assert "Please say." in text_of(operator.get(review_of(version)))
    assert desk.begin() == version
    assert "Hand in for review" not in text_of(desk.staff.get(version))
    assert desk.save(version, text="With river").status_code == 302
    assert desk.row(version).status == "draft"
    assert "Hand in for review" in text_of(desk.staff.get(version))


def test_what_was_changed_meanwhile_is_looked_at_again(
    app: Flask, desk: Desk, operator: FlaskClient
) -> None:
    version = desk.hand_in()
    seen = str(desk.row(version).version)
    post(desk.staff, f"{version}/take-back")
    for what in ("approve", "refuse"):
        gone = decide(operator, desk, version, what, version=seen, reason="x")
        assert gone.status_code == 404, "a draft is nobody else's business"
    assert operator.get(review_of(version)).status_code == 404
    desk.save(version, text="Sly")
    post(desk.staff, f"{version}/submit")
    for what in ("approve", "refuse"):
        answer = decide(operator, desk, version, what, version=seen, reason="x")
        assert answer.status_code == 422
        assert "since you opened it" in text_of(answer)
        assert "Sly title en" in text_of(answer)
    assert desk.row(version).status == "submitted"


def test_another_providers_page_is_named(app: Flask, desk: Desk, operator: FlaskClient) -> None:
    decide(operator, desk, desk.hand_in(), "approve")
    other = open_desk(app, "other@example.org", desk.slug)
    version = other.hand_in("Other")
    assert "written by another provider" in text_of(operator.get(review_of(version)))
    decide(operator, other, version, "approve")
    assert "by another provider of this project" in text_of(
        desk.staff.get(f"{desk.base}/{desk.slug}")
    )


@pytest.mark.parametrize("lang", ["en", "fr", "es"])
def test_the_desk_in_every_language(
    app: Flask, desk: Desk, operator: FlaskClient, lang: str
) -> None:
    version = desk.hand_in()
    for path in (REVIEWS, review_of(version)):
        answer = operator.get(path.replace("/en/", f"/{lang}/"))
        assert answer.status_code == 200
        assert f'<html lang="{lang}"' in answer.text


def test_only_operators(app: Flask, desk: Desk) -> None:
    version = desk.hand_in()
    picture = desk.row(version).pictures[0].id
    add_person(app, "ada@example.org")
    for client in (desk.staff, log_in(app, "ada@example.org")):
        for path in ("", f"/pictures/{picture}/400"):
            assert client.get(review_of(version) + path).status_code == 404
        for what in ("approve", "refuse"):
            assert post(client, f"{review_of(version)}/{what}", version="2").status_code == 404
    assert desk.row(version).status == "submitted"


def test_nothing_there(operator: FlaskClient) -> None:
    assert "Nothing waits for review." in text_of(operator.get(REVIEWS))
    for path in ("/1", f"/{2**63}", "/x", "/1/pictures/1/400"):
        assert operator.get(REVIEWS + path).status_code == 404
    for what in ("approve", "refuse"):
        assert post(operator, f"{REVIEWS}/1/{what}", version="1", reason="x").status_code == 404

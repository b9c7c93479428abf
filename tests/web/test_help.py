"""The explaining pages say the same in three languages, and the error pages help."""

from __future__ import annotations

import re
from collections.abc import Callable
from html.parser import HTMLParser
from pathlib import Path

import pytest
from flask import Flask, abort, render_template
from flask.testing import FlaskClient
from flask_babel import force_locale

from cnn_offset.domain import prose
from cnn_offset.web import PAGES as ERRORS
from cnn_offset.wording import PAGES as WRITTEN
from cnn_offset.wording import SHIPPED_TERMS, shipped

LANGUAGES = ("en", "fr", "es")
PAGES = (
    "how-it-works",
    "faq",
    "provider-guide",
    "units",
    "units/claims",
    "terms",
    "contact",
    "accessibility",
    "privacy",
)
TEXTS = Path(__file__).parents[2] / "cnn_offset/pages"
ENGLISH = re.compile(
    r"\b(the|your|you|with|which|units|cancelled|basket|attestation of|provider|registry|"
    r"payment is|projects|how it works|public record|terms of use|skip to|log in)\b",
    re.IGNORECASE,
)
"""Words that no French or Spanish sentence of ours has."""
NEVER = re.compile(
    r"\b(offset\w*|carbon credits?|carbon tokens?|carbon neutral\w*)\b", re.IGNORECASE
)


class Page(HTMLParser):
    """What a reader meets: headings, anchors, links, language and text."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.lang, self.titles, self.anchors, self.links = "", 0, [], []
        self.landmarks: list[str] = []
        self.words: list[str] = []
        self._silent = 0
        self._foreign: list[bool] = []
        self.feed(html)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = {name: value or "" for name, value in attrs}
        if tag == "html":
            self.lang = given["lang"]
        self.titles += tag == "h1"
        if tag in {"main", "header", "footer", "nav"}:
            self.landmarks.append(tag)
        if "id" in given:
            self.anchors.append(given["id"])
        if tag == "a":
            self.links.append(given.get("href", ""))
            self._foreign.append("hreflang" in given)
        if tag in {"script", "style"}:
            self._silent += 1
        for name in ("aria-label", "alt", "content" if given.get("name") == "description" else ""):
            self.words.append(given.get(name, ""))

    def handle_endtag(self, tag: str) -> None:
        if tag in {"script", "style"}:
            self._silent -= 1
        if tag == "a":
            self._foreign.pop()

    def handle_data(self, data: str) -> None:
        if not self._silent and not any(self._foreign):
            self.words.append(data)

    @property
    def text(self) -> str:
        return " ".join(" ".join(self.words).split())


def visit(client: FlaskClient, path: str) -> Page:
    response = client.get(path)
    assert response.status_code == 200, path
    return Page(response.text)


@pytest.mark.parametrize("lang", LANGUAGES)
@pytest.mark.parametrize("page", ["", *PAGES])
def test_a_page_is_whole(client: FlaskClient, lang: str, page: str) -> None:
    seen = visit(client, f"/{lang}/{page}")
    assert seen.lang == lang
    assert seen.titles == 1
    assert {"main", "header", "footer", "nav"} <= set(seen.landmarks)
    assert len(seen.anchors) == len(set(seen.anchors))
    for link in seen.links:
        if link.startswith("#"):
            assert link[1:] in seen.anchors
    for other in LANGUAGES:
        assert f"/{other}/{page}" in seen.links
    assert not NEVER.search(seen.text)
    if lang != "en":
        assert not ENGLISH.findall(seen.text)


@pytest.mark.parametrize("page", PAGES)
def test_the_three_languages_have_the_same_parts(client: FlaskClient, page: str) -> None:
    anchors = [visit(client, f"/{lang}/{page}").anchors for lang in LANGUAGES]
    assert anchors[0] == anchors[1] == anchors[2]
    assert len(anchors[0]) >= 4


@pytest.mark.parametrize("page", PAGES)
def test_the_three_languages_link_to_the_same_places(client: FlaskClient, page: str) -> None:
    links = [
        [re.sub(r"^/(en|fr|es)/", "/", link) for link in visit(client, f"/{lang}/{page}").links]
        for lang in LANGUAGES
    ]
    assert links[0] == links[1] == links[2]


@pytest.mark.parametrize("page", ["faq", "provider-guide", "units", "terms"])
def test_a_translation_has_the_length_of_one(client: FlaskClient, page: str) -> None:
    """Half a translation is noticed."""
    english, *others = (len(visit(client, f"/{lang}/{page}").text) for lang in LANGUAGES)
    for length in others:
        assert 0.95 < length / english < 1.4


def test_every_file_exists_in_three_languages() -> None:
    names = [sorted(each.name for each in (TEXTS / lang).iterdir()) for lang in LANGUAGES]
    assert names[0] == names[1] == names[2]
    for version in SHIPPED_TERMS:
        assert f"terms-{version}.md" in names[0]


@pytest.mark.parametrize("page", WRITTEN)
def test_what_is_shipped_could_be_published(page: str) -> None:
    assert not any(prose.faults(shipped(page), LANGUAGES).values())


def test_every_version_of_the_terms_keeps_its_address(client: FlaskClient) -> None:
    newest, *older = SHIPPED_TERMS
    assert "earlier terms" not in visit(client, f"/en/terms/{newest}").text
    for version in older:
        seen = visit(client, f"/en/terms/{version}")
        assert "earlier terms" in seen.text
        assert f"Version {version}" in seen.text
    assert client.get("/en/terms/1999-01-01").status_code == 404


def test_french_signs_keep_their_distance() -> None:
    """A no-break space stands before : ; ? ! and within quotation marks."""
    for each in (TEXTS / "fr").iterdir():
        text = re.sub(r"\{#?[\w-]*\}|\]\([^)]*\)", "", each.read_text())
        assert not re.search(r"[^\s\u00a0\u202f][;?!»]| [:;?!»]|« |«[^\u00a0]", text), each


def test_terms_say_their_version_and_faq_its_times(make_app: Callable[..., Flask]) -> None:
    client = make_app(HOLD_MINUTES=17).test_client()
    assert SHIPPED_TERMS[0] in client.get("/en/terms").text
    assert "17 minutes" in Page(client.get("/en/faq").text).text


def test_contact_address_is_the_configured_one(make_app: Callable[..., Flask]) -> None:
    client = make_app(CONTACT_EMAIL="desk@shop.example").test_client()
    for page in ("contact", "faq", "terms"):
        assert "mailto:desk@shop.example" in client.get(f"/es/{page}").text


def test_a_demo_says_so_on_every_page(make_app: Callable[..., Flask]) -> None:
    demo = make_app(SANDBOX_URL="http://127.0.0.1:1").test_client()
    real = make_app().test_client()
    for path in ("/en/", "/en/terms", "/en/nowhere"):
        assert "Demonstration" in demo.get(path).text
        assert "Demonstration" not in real.get(path).text


def test_search_engines_learn_of_the_other_languages(make_app: Callable[..., Flask]) -> None:
    client = make_app(PUBLIC_URL="https://shop.example/").test_client()
    page = client.get("/fr/faq").text
    for lang in (*LANGUAGES, "x-default"):
        path = "/en/faq" if lang == "x-default" else f"/{lang}/faq"
        assert f'hreflang="{lang}" href="https://shop.example{path}"' in page
    assert '<link rel="canonical" href="https://shop.example/fr/faq">' in page


def test_a_visitor_gets_no_cookie(client: FlaskClient) -> None:
    for page in ("", *PAGES):
        assert "Set-Cookie" not in client.get(f"/en/{page}").headers


@pytest.mark.parametrize("lang", LANGUAGES)
@pytest.mark.parametrize("code", sorted(ERRORS))
def test_an_error_page_helps(app: Flask, code: int, lang: str) -> None:
    app.add_url_rule(f"/{lang}/fails", "fails", lambda: abort(code))
    response = app.test_client().get(f"/{lang}/fails")
    assert response.status_code == code
    page = Page(response.text)
    assert page.lang == lang
    assert page.titles == 1
    assert response.headers["X-Request-Id"] in page.text
    assert "mailto:help@example.org" in page.links
    assert f"/{lang}/" in page.links
    assert "noindex" in response.text
    if lang != "en":
        assert not ENGLISH.findall(page.text)


def test_an_error_page_needs_neither_database_nor_session(
    app: Flask, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A crash because of the database must not crash again on the way out."""

    def broken() -> None:
        raise RuntimeError("asked on an error page")

    monkeypatch.setitem(app.jinja_env.globals, "basket_count", broken)
    monkeypatch.setitem(app.jinja_env.globals, "current_user", None)
    assert app.test_client().get("/fr/nulle-part").status_code == 404


@pytest.mark.parametrize("lang", LANGUAGES)
def test_the_frame_of_mails(app: Flask, lang: str) -> None:
    with app.test_request_context(f"/{lang}/"), force_locale(lang):
        html = render_template("mail/base.html", lang=lang)
        text = render_template("mail/base.txt", lang=lang)
    assert f'<html lang="{lang}">' in html
    assert "<table" not in html
    assert "<img" not in html
    for each in (html, text):
        assert "help@example.org" in each
        if lang != "en":
            assert not ENGLISH.findall(re.sub(r"<style>.*</style>", "", each, flags=re.DOTALL))

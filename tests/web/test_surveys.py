"""Surveys: written at the desk, answered by anybody once, read as results (H7)."""

from __future__ import annotations

import csv
import io
import re
from typing import Any

import pytest
from flask import Flask
from flask.testing import FlaskClient
from sqlalchemy import func, select
from werkzeug.test import TestResponse

from cnn_offset import jobs
from cnn_offset.domain.staff import OperatorRole
from cnn_offset.domain.status import SurveyStatus
from cnn_offset.extensions import db, unit_of_work
from cnn_offset.models import Chore, Event, Survey, SurveyReply, SurveySender
from cnn_offset.services import survey_example, surveying
from tests.conftest import Clock
from tests.web.people import add_person, log_in, post, token
from tests.web.shopping import text_of

EDITOR = "editor@example.org"
DESK = "/en/operator/surveys"
TEXTS = {
    "title_en": "Your need", "title_fr": "Vos besoins", "title_es": "Su necesidad",
    "intro_en": "Please answer.", "intro_fr": "Merci de répondre.", "intro_es": "Responda.",
    "slug": "need-2027", "starts_at": "2026-11-02T08:00", "ends_at": "2026-11-30T00:00",
}  # fmt: skip
QUESTION = {
    "kind": "one", "required": "yes",
    "text_en": "Which?", "text_fr": "Lequel ?", "text_es": "¿Cuál?",
    "choices_en": "This\nThat", "choices_fr": "Ceci\nCela", "choices_es": "Esto\nEso",
}  # fmt: skip
GOOD = {
    "question-1": "1", "question-2": "1,250", "question-3": "0", "question-4": "2",
    "question-5": "Kenya", "question-6": ["0", "3"],
}  # fmt: skip


@pytest.fixture
def editor(app: Flask) -> FlaskClient:
    add_person(app, EDITOR, "operator", operator_role=OperatorRole.EDITOR)
    return log_in(app, EDITOR)


@pytest.fixture
def slug(app: Flask, clock: Clock) -> str:
    """Return the address of the example, open since yesterday."""
    with app.app_context(), unit_of_work() as session:
        made = surveying.begin(
            session,
            survey_example.texts(clock(), 1),
            survey_example.QUESTIONS,
            actor=EDITOR,
            now=clock(),
        ).id
        surveying.open_survey(session, made, actor=EDITOR, now=clock())
    clock.tick(days=2)
    return survey_example.SLUG


def form_key(client: FlaskClient, slug: str) -> str:
    found = re.search(r'name="form_key" value="([^"]+)"', client.get(f"/en/survey/{slug}").text)
    assert found
    return found[1]


def send(
    client: FlaskClient, slug: str, key: str = "", lang: str = "en", **data: Any
) -> TestResponse:
    key = key or form_key(client, slug)
    return post(client, f"/{lang}/survey/{slug}", form_key=key, **{**GOOD, **data})


def replies(app: Flask) -> list[SurveyReply]:
    with app.app_context():
        return list(db.session.scalars(select(SurveyReply).order_by(SurveyReply.id)))


# At the desk


def test_a_survey_from_first_word_to_close(app: Flask, editor: FlaskClient) -> None:
    assert "There is no survey yet." in text_of(editor.get(DESK))
    answer = post(editor, f"{DESK}/new", **TEXTS)
    assert answer.status_code == 302
    page = answer.location
    assert "It asks nothing yet." in text_of(editor.get(page))
    assert "at least one question" in text_of(post(editor, f"{page}/open"))
    for number, kind in enumerate(("one", "several", "number", "text"), start=1):
        choices = {} if kind in ("one", "several") else dict.fromkeys(
            ("choices_en", "choices_fr", "choices_es"), ""
        )  # fmt: skip
        saved = post(editor, f"{page}/questions/{number}", **{**QUESTION, "kind": kind, **choices})
        assert saved.status_code == 302, text_of(saved)
    visitor = app.test_client()
    # A draft is nobody's to see.
    assert visitor.get("/en/survey/need-2027").status_code == 404
    changed = post(editor, f"{page}/questions/1", **{**QUESTION, "text_en": "Which one?"})
    assert changed.status_code == 302
    post(editor, f"{page}/questions/4/remove")
    post(editor, f"{page}/texts", **{**TEXTS, "title_en": "What you need"})
    text = text_of(editor.get(page))
    assert "Which one?" in text
    assert "What you need" in text
    assert post(editor, f"{page}/open").status_code == 302
    assert "What you need" in text_of(visitor.get("/en/"))
    assert "Which one?" in text_of(visitor.get("/en/survey/need-2027"))
    assert "Lequel ?" in text_of(visitor.get("/fr/survey/need-2027"))
    # Open: what was asked stays.
    for path, form in (("questions/1", QUESTION), ("questions/1/remove", {}), ("texts", TEXTS)):
        answer = post(editor, f"{page}/{path}", **form)
        assert answer.status_code == 422
        assert "stay as they are" in text_of(answer)
    assert post(editor, f"{page}/close").status_code == 302
    assert "What you need" not in text_of(visitor.get("/en/"))
    assert "This survey is over." in text_of(visitor.get("/en/survey/need-2027"))
    assert post(editor, f"{page}/open").status_code == 422
    with app.app_context():
        news = db.session.scalars(
            select(Event.new).where(Event.subject == "survey").order_by(Event.id)
        ).all()
        assert {
            each.actor
            for each in db.session.scalars(select(Event).where(Event.subject == "survey"))
        } == {EDITOR}
    assert news == [
        "begun", *["question saved"] * 5, "question removed", "texts saved", "open", "closed",
    ]  # fmt: skip


FAULTY_TEXTS: list[tuple[dict[str, Any], str]] = [
    ({"title_fr": " "}, "Please write it in all three languages."),
    ({"title_en": "x" * 121}, "at most 120 letters"),
    ({"intro_es": ""}, "Please write it in all three languages."),
    ({"slug": "Bad Slug"}, "small letters, digits and single hyphens"),
    ({"slug": ""}, "small letters, digits and single hyphens"),
    ({"ends_at": "2026-11-02T08:00"}, "The survey must end after it begins."),
    ({"starts_at": "x"}, "Please write day and time as in"),
    ({"starts_at": ""}, "Please enter a day and a time."),
]


def test_faulty_texts_come_back(app: Flask, editor: FlaskClient) -> None:
    for change, message in FAULTY_TEXTS:
        answer = post(editor, f"{DESK}/new", **{**TEXTS, **change})
        assert answer.status_code == 422
        assert message in text_of(answer)
        with app.app_context():
            assert db.session.scalar(select(func.count()).select_from(Survey)) == 0


def test_an_address_is_one_surveys(editor: FlaskClient) -> None:
    first = post(editor, f"{DESK}/new", **TEXTS).location
    other = post(editor, f"{DESK}/new", **{**TEXTS, "slug": "other"}).location
    for path in (f"{DESK}/new", f"{other}/texts"):
        answer = post(editor, path, **TEXTS)
        assert answer.status_code == 422
        assert "Another survey has this address already." in text_of(answer)
    assert post(editor, f"{first}/texts", **TEXTS).status_code == 302


FAULTY_QUESTIONS: list[tuple[dict[str, Any], str]] = [
    ({"kind": "essay"}, "Please choose how it is answered."),
    ({"text_es": ""}, "Please write it in all three languages."),
    ({"text_en": "x" * 301}, "at most 300 letters"),
    ({"choices_en": "One"}, "2 to 20 choices"),
    ({"choices_en": "\n".join(map(str, range(21)))}, "2 to 20 choices"),
    ({"choices_fr": "Ceci\nCela\nAutre"}, "the same number of choices"),
    ({"choices_en": "This\nThis"}, "each choice once"),
    ({"choices_en": "x" * 121 + "\nb"}, "at most 120 letters in each choice"),
]


def test_a_faulty_question_comes_back(editor: FlaskClient) -> None:
    page = post(editor, f"{DESK}/new", **TEXTS).location
    for change, message in FAULTY_QUESTIONS:
        answer = post(editor, f"{page}/questions/1", **{**QUESTION, **change})
        assert answer.status_code == 422
        assert message in text_of(answer)
        assert "It asks nothing yet." in text_of(editor.get(page))


def test_ten_questions_and_no_more(editor: FlaskClient) -> None:
    page = post(editor, f"{DESK}/new", **TEXTS).location
    assert post(editor, f"{page}/questions/2", **QUESTION).status_code == 404
    assert editor.get(f"{page}/questions/2").status_code == 404
    for number in range(1, 11):
        assert post(editor, f"{page}/questions/{number}", **QUESTION).status_code == 302
    assert "at most 10 questions" in text_of(post(editor, f"{page}/questions/11", **QUESTION))
    assert "Add a question" not in text_of(editor.get(page))
    assert post(editor, f"{page}/questions/11/remove").status_code == 404


@pytest.mark.parametrize("lang", ["en", "fr", "es"])
def test_the_example_is_ready_in_each_language(editor: FlaskClient, lang: str) -> None:
    first = post(editor, f"{DESK}/example").location
    second = post(editor, f"{DESK}/example").location
    assert first != second
    page = editor.get(first.replace("/en/", f"/{lang}/"))
    assert page.text.count('class="field') >= 6
    for path in ("", "/texts", "/questions/1", "/questions/7"):
        assert editor.get(first.replace("/en/", f"/{lang}/") + path).status_code == 200


def test_who_may_write_surveys(app: Flask) -> None:
    add_person(app, EDITOR, "operator", operator_role=OperatorRole.SUPPORT)
    client = log_in(app, EDITOR)
    assert client.get(DESK).status_code == 200
    assert post(client, f"{DESK}/new", **TEXTS).status_code == 403
    assert post(client, f"{DESK}/example").status_code == 403
    assert client.get(f"{DESK}/99").status_code == 404


# Answering


def test_answers_are_counted_once_for_each_browser(app: Flask, slug: str) -> None:
    visitor = app.test_client()
    before = set(visitor.get("/en/").headers)
    assert "Set-Cookie" not in before
    answer = send(visitor, slug)
    assert answer.status_code == 303, text_of(answer)
    cookie = next(each for each in answer.headers.getlist("Set-Cookie") if "survey_" in each)
    assert "HttpOnly" in cookie
    assert "SameSite=Lax" in cookie
    assert "have been counted" in text_of(visitor.get(answer.location))
    assert "You have answered this survey." in text_of(visitor.get(f"/en/survey/{slug}"))
    assert post(visitor, f"/en/survey/{slug}", form_key="k" * 20, **GOOD).status_code == 303
    [kept] = replies(app)
    assert kept.answers == [[1], 1250, [0], [2], "Kenya", [0, 3]]
    assert (kept.locale, f"{kept.given_on}") == ("en", "2026-11-04")


def test_a_form_sent_twice_counts_once(app: Flask, slug: str) -> None:
    visitor = app.test_client()
    key = form_key(visitor, slug)
    first = send(visitor, slug, key)
    visitor.delete_cookie("survey_1")
    assert send(visitor, slug, key).status_code == first.status_code == 303
    assert len(replies(app)) == 1
    assert send(visitor, slug, key="again-and-again-1234").status_code == 303
    # A cookie that somebody made up says nothing.
    visitor.set_cookie("survey_1", "made-up")
    assert "Send my answers" in text_of(visitor.get(f"/en/survey/{slug}"))


FAULTY_ANSWERS: list[tuple[dict[str, Any], str]] = [
    ({"question-1": []}, "Please answer this question."),
    ({"question-1": ["0", "1"]}, "Please choose one answer."),
    ({"question-1": "5"}, "Please choose among the answers on the page."),
    ({"question-1": "-1"}, "Please choose among the answers on the page."),
    ({"question-1": "٣"}, "Please choose among the answers on the page."),
    ({"question-2": "many"}, "Please enter a whole number, such as 250."),
    ({"question-2": "-3"}, "Please enter a whole number, such as 250."),
    ({"question-2": "1.5"}, "Please enter a whole number, such as 250."),
    ({"question-2": "9" * 13}, "Please enter a whole number, such as 250."),
    ({"question-5": "x" * 2001}, "at most 2,000 letters"),
    ({"question-5": "a\u202eb"}, "invisible sign"),
    ({"question-6": ["0", "9"]}, "Please choose among the answers on the page."),
    ({"form_key": "short"}, "Please load the page again"),
    ({"form_key": "<script>alert(1)</script>"}, "Please load the page again"),
]


def test_a_faulty_answer_comes_back_as_typed(app: Flask, slug: str) -> None:
    for change, message in FAULTY_ANSWERS:
        visitor = app.test_client()
        form = {"form_key": form_key(visitor, slug), **GOOD, **change}
        answer = post(visitor, f"/en/survey/{slug}", **form)
        assert answer.status_code == 422
        assert message in text_of(answer)
        if "question-5" not in change:
            assert "Kenya</textarea>" in answer.text
        assert "<script>alert" not in answer.text
        assert replies(app) == []


def test_what_is_not_required_may_be_left_out(app: Flask, slug: str) -> None:
    nothing = {f"question-{n}": "" for n in (2, 5)} | {f"question-{n}": [] for n in (4, 6)}
    assert send(app.test_client(), slug, **nothing).status_code == 303
    assert replies(app)[0].answers == [[1], None, [0], None, None, None]


def test_out_of_its_time_nothing_is_taken(app: Flask, slug: str, clock: Clock) -> None:
    visitor = app.test_client()
    key = form_key(visitor, slug)
    clock.tick(days=-2)
    assert "has not begun yet" in text_of(visitor.get(f"/en/survey/{slug}"))
    assert send(visitor, slug, key).status_code == 422
    assert "Your need for A6.4ERs" not in text_of(visitor.get("/en/"))
    clock.tick(days=40)
    answer = send(visitor, slug, key)
    assert answer.status_code == 422
    assert "This survey is over." in text_of(answer)
    assert replies(app) == []
    assert visitor.get("/en/survey/nothing").status_code == 404
    assert visitor.get("/en/survey/a%00b").status_code == 404


def test_one_network_sends_no_flood_and_is_forgotten(
    app: Flask, slug: str, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(surveying, "MOST_FROM_ONE_ADDRESS", 2)
    for _ in range(2):
        assert send(app.test_client(), slug).status_code == 303
    answer = send(app.test_client(), slug)
    assert answer.status_code == 422
    assert "Please try again tomorrow." in text_of(answer)
    other = app.test_client()
    key = form_key(other, slug)
    elsewhere = {"environ_base": {"REMOTE_ADDR": "192.0.2.7"}}
    data = {"csrf_token": token(other), "form_key": key, **GOOD}
    assert other.post(f"/en/survey/{slug}", data=data, **elsewhere).status_code == 303
    with app.app_context():
        hashes = db.session.scalars(select(SurveySender.address_hash)).all()
        assert len(hashes) == 2
        assert not any("127" in each and "." in each for each in hashes)
    clock.tick(days=1)
    with app.app_context():
        chore = db.session.scalars(select(Chore.id).where(Chore.name == "forget_senders")).one()
        jobs.do("chore", chore)
        assert db.session.scalars(select(SurveySender.id)).all() == []
        assert db.session.scalars(select(Survey.salt)).one() == ""
    assert send(app.test_client(), slug).status_code == 303


def test_two_forms_at_once_and_a_close_between(any_app: Flask, clock: Clock) -> None:
    with any_app.app_context():
        with unit_of_work() as session:
            made = surveying.begin(
                session, survey_example.texts(clock(), 1), survey_example.QUESTIONS,
                actor=EDITOR, now=clock(),
            ).id  # fmt: skip
            surveying.open_survey(session, made, actor=EDITOR, now=clock())
        clock.tick(days=2)
        answers: list[Any] = [[0], 7, [1], None, None, [0, 1]]

        def reply(key: str) -> bool:
            with unit_of_work() as session:
                return surveying.reply(
                    session, made, answers, form_key=key, address="192.0.2.1",
                    locale="en", now=clock(),
                )  # fmt: skip

        assert [reply("one"), reply("one"), reply("two")] == [True, False, True]
        results = surveying.results(db.session(), surveying.find(db.session(), made))
        assert results[0].times == [2, 0, 0, 0, 0]
        assert (results[1].answered, results[1].total) == (2, 14)
        assert results[5].times == [2, 2, 0, 0]
        with unit_of_work() as session:
            surveying.close_survey(session, made, actor=EDITOR, now=clock())
            surveying.close_survey(session, made, actor=EDITOR, now=clock())
        with pytest.raises(surveying.ServiceError):
            reply("three")
        assert surveying.find(db.session(), made).status is SurveyStatus.CLOSED


# Results


def test_results_and_their_file(app: Flask, slug: str, editor: FlaskClient) -> None:
    page = f"{DESK}/1"
    assert "Nobody has answered this question yet." in text_of(editor.get(page))
    send(app.test_client(), slug, **{"question-5": "=HYPERLINK(1)"})
    send(app.test_client(), slug, **{"question-1": "0", "question-5": "<b>Chad</b>"})
    answer = editor.get(page)
    assert '<meter min="0" max="2" value="1" aria-label="For myself">' in answer.text
    assert "&lt;b&gt;Chad&lt;/b&gt;" in answer.text
    text = text_of(answer)
    assert "Sum 2,500" in text
    assert "Average 1,250" in text
    assert "50 %" in text
    table = editor.get(f"{page}/answers.csv")
    assert table.mimetype == "text/csv"
    rows = list(csv.reader(io.StringIO(table.data.decode("utf-8-sig"))))
    assert rows[0][:3] == ["Day", "Language", "For whom would you have units cancelled?"]
    assert rows[1] == [
        "2026-11-04", "en", "For a company", "1250", "Authorised by the host country",
        "10 to 25", "'=HYPERLINK(1)", "On this site; From my own software (API)",
    ]  # fmt: skip
    assert len(rows) == 3


def test_a_long_file_comes_in_parts_and_texts_in_pages(
    app: Flask, slug: str, editor: FlaskClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("cnn_offset.blueprints.admin.surveys.BATCH", 2)
    monkeypatch.setattr("cnn_offset.blueprints.admin.surveys.PAGE", 2)
    for n in range(5):
        send(app.test_client(), slug, **{"question-5": f"Country {n}"})
    table = editor.get(f"{DESK}/1/answers.csv").text
    assert [f"Country {n}" in table for n in range(5)] == [True] * 5
    seen, path = [], f"{DESK}/1"
    while path:
        page = editor.get(path).text
        seen += re.findall(r"Country (\d)", page)
        older = re.search(r'href="([^"]+)" rel="next"', page)
        path = older[1] if older else ""
    assert seen == ["4", "3", "2", "1", "0"]

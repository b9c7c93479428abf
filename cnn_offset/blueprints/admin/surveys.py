"""Surveys at the desk: written, opened, closed, and what people answered (H7)."""

from __future__ import annotations

import csv
import io
from collections.abc import Callable, Iterator
from typing import Any, Final

from flask import Response, flash, redirect, render_template, request, url_for
from flask.typing import ResponseReturnValue
from flask_babel import gettext
from flask_security import current_user
from sqlalchemy import Engine, select
from sqlalchemy.orm import Session

from cnn_offset.blueprints.admin.desk import bp
from cnn_offset.blueprints.admin.system import read_moment
from cnn_offset.domain.staff import DeskDuty
from cnn_offset.domain.status import SurveyStatus
from cnn_offset.domain.survey import (
    FEWEST_CHOICES,
    LONGEST_CHOICE,
    LONGEST_QUESTION,
    MOST_CHOICES,
    MOST_QUESTIONS,
    SLUG,
    Answer,
    Question,
    QuestionKind,
)
from cnn_offset.domain.text import N_
from cnn_offset.extensions import db, platform, unit_of_work
from cnn_offset.guards import operator_may
from cnn_offset.i18n import LANGUAGES, localised
from cnn_offset.models import Survey
from cnn_offset.reports import BATCH, BOM, plain_cell
from cnn_offset.services import NotFoundError, ServiceError, survey_example, surveying
from cnn_offset.services.surveying import SurveyTexts
from cnn_offset.typed import Typed
from cnn_offset.web import last_shown, row_id

PAGE: Final = 50
LONGEST_TITLE: Final = 120
LONGEST_INTRO: Final = 1000
KINDS: Final = {
    QuestionKind.ONE: N_("One choice"),
    QuestionKind.SEVERAL: N_("Several choices"),
    QuestionKind.NUMBER: N_("Whole number"),
    QuestionKind.TEXT: N_("Free text"),
}
_SURVEY: Final = f"/operator/surveys/<int(max={2**63 - 1}):survey_id>"
_QUESTION: Final = f"{_SURVEY}/questions/<int(min=1, max=99):question>"


@bp.get("/operator/surveys")
def surveys() -> ResponseReturnValue:
    """List surveys, the newest first."""
    found = surveying.newest(
        db.session(), before=request.args.get("before", type=row_id), limit=PAGE + 1
    )
    return render_template(
        "admin/surveys.html",
        surveys=found[:PAGE],
        older=last_shown(found, PAGE),
    )


def _who() -> dict[str, Any]:
    return {"actor": current_user.email, "now": platform().clock()}


@bp.post("/operator/surveys/example")
@operator_may(DeskDuty.TEXTS)
def survey_from_example() -> ResponseReturnValue:
    """Begin a draft from the ready questions about A6.4ERs."""
    with unit_of_work() as session:
        taken = session.scalars(
            select(Survey.slug).where(Survey.slug.startswith(survey_example.SLUG))
        ).all()
        made = surveying.begin(
            session,
            survey_example.texts(platform().clock(), len(taken) + 1),
            survey_example.QUESTIONS,
            **_who(),
        ).id
    flash(gettext("Begun. Please look through the questions before you open it."), "success")
    return redirect(url_for("admin.survey", survey_id=made))


@bp.get("/operator/surveys/new")
def survey_new() -> ResponseReturnValue:
    """Show an empty form."""
    return _texts_page(None)


@bp.post("/operator/surveys/new")
@operator_may(DeskDuty.TEXTS)
def survey_begin() -> ResponseReturnValue:
    """Begin a draft."""
    typed, texts = _read_texts()
    if texts is not None:
        try:
            with unit_of_work() as session:
                made = surveying.begin(session, texts, **_who()).id
            return redirect(url_for("admin.survey", survey_id=made))
        except ServiceError as error:
            typed.errors[""] = gettext(error.message, **error.values)
    return _texts_page(None, typed)


@bp.get(_SURVEY)
def survey(survey_id: int) -> ResponseReturnValue:
    """Show a survey: a draft as it will look, an open or closed one with its results."""
    return _survey_page(survey_id)


def _survey_page(survey_id: int, error: str = "") -> ResponseReturnValue:
    found = surveying.find(db.session(), survey_id)
    before = request.args.get("before", type=row_id)
    replies = surveying.replies(db.session(), found, before=before, limit=PAGE + 1)
    page = render_template(
        "admin/survey.html",
        survey=found,
        questions=surveying.questions_of(found),
        results=surveying.results(db.session(), found),
        kinds=KINDS,
        most=MOST_QUESTIONS,
        replies=replies[:PAGE],
        older=last_shown(replies, PAGE),
        is_draft=found.status is SurveyStatus.DRAFT,
        errors={"": error} if error else {},
    )
    return page, 422 if error else 200


@bp.get(f"{_SURVEY}/texts")
def survey_texts(survey_id: int) -> ResponseReturnValue:
    """Show the form of title, introduction, address and time."""
    return _texts_page(surveying.find(db.session(), survey_id))


@bp.post(f"{_SURVEY}/texts")
@operator_may(DeskDuty.TEXTS)
def survey_change_texts(survey_id: int) -> ResponseReturnValue:
    """Keep them."""
    typed, texts = _read_texts()
    if texts is not None:
        try:
            with unit_of_work() as session:
                surveying.change_texts(session, survey_id, texts, **_who())
            return redirect(url_for("admin.survey", survey_id=survey_id))
        except ServiceError as error:
            typed.errors[""] = gettext(error.message, **error.values)
    return _texts_page(surveying.find(db.session(), survey_id), typed)


def _read_texts() -> tuple[Typed, SurveyTexts | None]:
    typed = Typed(request.form)
    missing = gettext("Please write it in all three languages.")
    title = {
        lang: typed.line(f"title_{lang}", longest=LONGEST_TITLE, missing=missing)
        for lang in LANGUAGES
    }
    intro = {
        lang: typed.lines(f"intro_{lang}", longest=LONGEST_INTRO, missing=missing)
        for lang in LANGUAGES
    }
    slug = typed.line("slug", longest=60)
    if "slug" not in typed.errors and not SLUG.fullmatch(slug):
        typed.errors["slug"] = gettext(
            "Please write small letters, digits and single hyphens, such as demand-2027."
        )
    starts_at, ends_at = (
        read_moment(typed, name, missing=gettext("Please enter a day and a time."))
        for name in ("starts_at", "ends_at")
    )
    if typed.errors or starts_at is None or ends_at is None:
        return typed, None
    return typed, SurveyTexts(slug, title, intro, starts_at, ends_at)


def _texts_page(found: Survey | None, typed: Typed | None = None) -> ResponseReturnValue:
    values = typed.values if typed else {}
    if found and not typed:
        values = {
            "slug": found.slug,
            "starts_at": f"{found.starts_at:%Y-%m-%dT%H:%M}",
            "ends_at": f"{found.ends_at:%Y-%m-%dT%H:%M}",
            **{f"title_{lang}": found.title.get(lang, "") for lang in LANGUAGES},
            **{f"intro_{lang}": found.intro.get(lang, "") for lang in LANGUAGES},
        }
    page = render_template(
        "admin/survey_texts.html",
        survey=found,
        values=values,
        errors=typed.errors if typed else {},
    )
    return page, 422 if typed and typed.errors else 200


@bp.get(_QUESTION)
def survey_question(survey_id: int, question: int) -> ResponseReturnValue:
    """Show the form of one question; the number after the last is a new one."""
    found = surveying.find(db.session(), survey_id)
    known = surveying.questions_of(found)
    if question > len(known) + 1:
        raise NotFoundError(str(question))
    return _question_page(found, question, known[question - 1 :][:1])


@bp.post(_QUESTION)
@operator_may(DeskDuty.TEXTS)
def survey_put_question(survey_id: int, question: int) -> ResponseReturnValue:
    """Keep a question of a draft."""
    typed, wanted = _read_question()
    if wanted is not None:
        try:
            with unit_of_work() as session:
                surveying.put_question(session, survey_id, question - 1, wanted, **_who())
            flash(gettext("The question is kept."), "success")
            return redirect(url_for("admin.survey", survey_id=survey_id))
        except ServiceError as error:
            typed.errors[""] = gettext(error.message, **error.values)
    return _question_page(surveying.find(db.session(), survey_id), question, [], typed)


def _read_question() -> tuple[Typed, Question | None]:
    typed = Typed(request.form)
    kind = typed.choice("kind", set(QuestionKind), gettext("Please choose how it is answered."))
    typed.values["required"] = "yes" if request.form.get("required") == "yes" else ""
    text = {
        lang: typed.line(
            f"text_{lang}",
            longest=LONGEST_QUESTION,
            missing=gettext("Please write it in all three languages."),
        )
        for lang in LANGUAGES
    }
    lines = {
        lang: _choices(typed, f"choices_{lang}")
        for lang in LANGUAGES
        if kind in set(QuestionKind) and QuestionKind(kind).has_choices
    }
    many = {len(each) for each in lines.values()}
    if lines and not typed.errors and len(many) > 1:
        typed.errors["choices_en"] = gettext(
            "Please write the same number of choices in each language."
        )
    if typed.errors:
        return typed, None
    choices = [dict(zip(lines, each, strict=True)) for each in zip(*lines.values(), strict=True)]
    return typed, Question(QuestionKind(kind), text, choices, bool(typed.values["required"]))


def _choices(typed: Typed, name: str) -> list[str]:
    """Read choices, one in each line."""
    text = typed.lines(name, longest=MOST_CHOICES * (LONGEST_CHOICE + 1))
    if name in typed.errors:
        return []
    found = [line for line in text.split("\n") if line]
    if not FEWEST_CHOICES <= len(found) <= MOST_CHOICES:
        typed.errors[name] = gettext("Please write 2 to 20 choices, one in each line.")
    elif any(len(each) > LONGEST_CHOICE for each in found):
        typed.errors[name] = gettext("Please write at most 120 letters in each choice.")
    elif len(set(found)) < len(found):
        typed.errors[name] = gettext("Please write each choice once.")
    return found


def _question_page(
    found: Survey, number: int, known: list[Question], typed: Typed | None = None
) -> ResponseReturnValue:
    values = typed.values if typed else {"kind": "one"}
    for question in known:
        values = {
            "kind": question.kind.value,
            "required": "yes" if question.required else "",
            **{f"text_{lang}": question.text.get(lang, "") for lang in LANGUAGES},
            **{
                f"choices_{lang}": "\n".join(each.get(lang, "") for each in question.choices)
                for lang in LANGUAGES
            },
        }
    page = render_template(
        "admin/survey_question.html",
        survey=found,
        number=number,
        kinds=KINDS,
        values=values,
        errors=typed.errors if typed else {},
    )
    return page, 422 if typed and typed.errors else 200


def _do(survey_id: int, service: Callable[..., None], said: str) -> ResponseReturnValue:
    try:
        with unit_of_work() as session:
            service(session, survey_id, **_who())
    except ServiceError as error:
        return _survey_page(survey_id, gettext(error.message, **error.values))
    flash(said, "success")
    return redirect(url_for("admin.survey", survey_id=survey_id))


@bp.post(f"{_QUESTION}/remove")
@operator_may(DeskDuty.TEXTS)
def survey_drop_question(survey_id: int, question: int) -> ResponseReturnValue:
    """Take a question out of a draft."""

    def drop(session: Session, survey_id: int, **who: Any) -> None:
        surveying.drop_question(session, survey_id, question - 1, **who)

    return _do(survey_id, drop, gettext("The question is removed."))


@bp.post(f"{_SURVEY}/open")
@operator_may(DeskDuty.TEXTS)
def survey_open(survey_id: int) -> ResponseReturnValue:
    """Let people answer."""
    return _do(
        survey_id,
        surveying.open_survey,
        gettext("Open. From its first day on, the foot of every page leads to it."),
    )


@bp.post(f"{_SURVEY}/close")
@operator_may(DeskDuty.TEXTS)
def survey_close(survey_id: int) -> ResponseReturnValue:
    """Take no more answers."""
    return _do(survey_id, surveying.close_survey, gettext("Closed. No more answers are taken."))


@bp.get(f"{_SURVEY}/answers.csv")
def survey_answers(survey_id: int) -> ResponseReturnValue:
    """Hand out all answers as a table."""
    found = surveying.find(db.session(), survey_id)
    questions = surveying.questions_of(found)
    heading = [gettext("Day"), gettext("Language")]
    heading += [localised(each.text) for each in questions]
    # The parts are read when the request is over: what is in the reader's language now.
    choices = [[localised(text) for text in each.choices] for each in questions]
    response = Response(
        _lines(db.engine, found.id, heading, questions, choices),
        content_type="text/csv; charset=utf-8",
    )
    response.headers.set("Content-Disposition", "attachment", filename=f"survey-{found.slug}.csv")
    return response


def _lines(
    engine: Engine,
    survey_id: int,
    heading: list[str],
    questions: list[Question],
    choices: list[list[str]],
) -> Iterator[str]:
    yield BOM + _line(heading)
    after = 0
    while True:
        with Session(engine) as session:
            rows = surveying.replies(
                session, surveying.find(session, survey_id), after=after, limit=BATCH
            )
            part = [
                _line(
                    [f"{row.given_on:%Y-%m-%d}", row.locale]
                    + [
                        _cell(question, answer, texts)
                        for question, answer, texts in zip(
                            questions, row.answers, choices, strict=True
                        )
                    ]
                )
                for row in rows
            ]
            after = rows[-1].id if rows else after
        yield "".join(part)
        if len(part) < BATCH:
            return


def _cell(question: Question, answer: Answer, texts: list[str]) -> str:
    if answer is None:
        return ""
    if isinstance(answer, list):
        return "; ".join(texts[each] for each in answer)
    return str(answer)


def _line(cells: list[str]) -> str:
    text = io.StringIO()
    csv.writer(text).writerow([plain_cell(each) for each in cells])
    return text.getvalue()

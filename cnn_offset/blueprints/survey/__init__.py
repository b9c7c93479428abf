"""Surveys for whoever wants to answer: no account, no tracking, one answer each (H7)."""

from __future__ import annotations

import re
import secrets
from typing import Final

from flask import Blueprint, Response, current_app, redirect, render_template, request, url_for
from flask.typing import ResponseReturnValue
from flask_babel import gettext
from itsdangerous import BadSignature, URLSafeSerializer

from cnn_offset.blueprints.survey.answers import read_answers
from cnn_offset.extensions import db, limiter, platform, unit_of_work
from cnn_offset.guards import guarded, public
from cnn_offset.i18n import language
from cnn_offset.models import Survey
from cnn_offset.services import ServiceError, surveying
from cnn_offset.typed import Typed

bp = guarded(Blueprint("survey", __name__), public)

REMEMBERED: Final = 400 * 24 * 3600
"""Seconds for which a browser knows that it has answered."""
_FORM_KEY: Final = re.compile(r"[A-Za-z0-9_-]{16,64}")


@bp.get("/survey/<slug>")
@limiter.limit("60 per minute")
def show(slug: str) -> ResponseReturnValue:
    """Show the questions, or why they cannot be answered now."""
    return _page(surveying.public(db.session(), slug))


def _page(survey: Survey, typed: Typed | None = None) -> ResponseReturnValue:
    page = render_template(
        "survey/show.html",
        survey=survey,
        questions=surveying.questions_of(survey),
        obstacle=surveying.obstacle(survey, platform().clock()),
        has_answered=_has_answered(survey),
        most=surveying.MOST_FROM_ONE_ADDRESS,
        form_key=(typed.values.get("form_key") if typed else "") or secrets.token_urlsafe(24),
        values=typed.values if typed else {},
        errors=typed.errors if typed else {},
    )
    return page, 422 if typed and typed.errors else 200


@bp.post("/survey/<slug>")
@limiter.limit("20 per minute")
def answer(slug: str) -> ResponseReturnValue:
    """Count the answers and remember, in this browser alone, that it has answered."""
    survey = surveying.public(db.session(), slug)
    if _has_answered(survey):
        return redirect(url_for("survey.thanks", slug=survey.slug), 303)
    typed = Typed(request.form)
    form_key = typed.line("form_key", longest=64)
    if not _FORM_KEY.fullmatch(form_key):
        typed.values["form_key"] = form_key = ""
        typed.errors[""] = gettext("Please load the page again and send the form once more.")
    answers = read_answers(typed, request.form, surveying.questions_of(survey))
    if not typed.errors:
        try:
            with unit_of_work() as session:
                surveying.reply(
                    session,
                    survey.id,
                    answers,
                    form_key=form_key,
                    address=request.remote_addr or "",
                    locale=language(),
                    now=platform().clock(),
                )
        except ServiceError as error:
            typed.errors[""] = gettext(error.message, **error.values)
    if typed.errors:
        return _page(survey, typed)
    answered = redirect(url_for("survey.thanks", slug=survey.slug), 303)
    _remember(current_app.make_response(answered), survey)
    return answered


@bp.get("/survey/<slug>/thanks")
@limiter.limit("60 per minute")
def thanks(slug: str) -> ResponseReturnValue:
    """Say thank you."""
    return render_template("survey/thanks.html", survey=surveying.public(db.session(), slug))


def _signer() -> URLSafeSerializer:
    keys = [*current_app.config["SECRET_KEY_FALLBACKS"], current_app.config["SECRET_KEY"]]
    return URLSafeSerializer(keys, salt="survey")


def _cookie(survey: Survey) -> str:
    return f"survey_{survey.id}"


def _has_answered(survey: Survey) -> bool:
    """Whether this browser has. The cookie says which survey, and nothing of who or when."""
    try:
        return bool(_signer().loads(request.cookies.get(_cookie(survey), "")) == survey.slug)
    except BadSignature:
        return False


def _remember(response: Response, survey: Survey) -> None:
    response.set_cookie(
        _cookie(survey),
        str(_signer().dumps(survey.slug)),
        max_age=REMEMBERED,
        secure=current_app.config["SESSION_COOKIE_SECURE"],
        httponly=True,
        samesite="Lax",
    )

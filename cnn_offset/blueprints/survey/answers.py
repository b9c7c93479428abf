"""Reading what somebody answered, question by question."""

from __future__ import annotations

from collections.abc import Sequence

from flask_babel import gettext
from werkzeug.datastructures import MultiDict

from cnn_offset.domain.survey import LONGEST_ANSWER, Answer, Question, QuestionKind
from cnn_offset.i18n import language, read_number
from cnn_offset.typed import Typed


def field_of(at: int) -> str:
    """Return the name of the field of the question at a place from 0."""
    return f"question-{at + 1}"


def read_answers(
    typed: Typed, form: MultiDict[str, str], questions: Sequence[Question]
) -> list[Answer]:
    """Read an answer to each question; what is wrong stands in ``typed`` at its field."""
    return [_read(typed, form, field_of(at), each) for at, each in enumerate(questions)]


def _read(typed: Typed, form: MultiDict[str, str], name: str, question: Question) -> Answer:
    if question.kind.has_choices:
        return _choices(typed, form, name, question)
    missing = gettext("Please answer this question.") if question.required else ""
    if question.kind is QuestionKind.TEXT:
        return typed.lines(name, longest=LONGEST_ANSWER, missing=missing) or None
    text = typed.line(name, longest=40, missing=missing)
    if not text or name in typed.errors:
        return None
    try:
        return read_number(text, language())
    except ValueError:
        typed.errors[name] = gettext("Please enter a whole number, such as 250.")
        return None


def _choices(typed: Typed, form: MultiDict[str, str], name: str, question: Question) -> Answer:
    chosen = form.getlist(name)
    known = {str(n): n for n in range(len(question.choices))}
    typed.values[name] = " ".join(each for each in chosen if each in known)
    if any(each not in known for each in chosen):
        typed.errors[name] = gettext("Please choose among the answers on the page.")
        return None
    answer = sorted({known[each] for each in chosen})
    if question.kind is QuestionKind.ONE and len(answer) > 1:
        typed.errors[name] = gettext("Please choose one answer.")
        return None
    if not answer and question.required:
        typed.errors[name] = gettext("Please answer this question.")
    return answer or None

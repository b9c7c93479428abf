"""The questions of a survey, and what counts as an answer to each."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, Final

MOST_QUESTIONS: Final = 10
FEWEST_CHOICES: Final = 2
MOST_CHOICES: Final = 20
LONGEST_QUESTION: Final = 300
LONGEST_CHOICE: Final = 120
LONGEST_ANSWER: Final = 2000
SLUG: Final = re.compile(r"[a-z0-9]+(?:-[a-z0-9]+)*")

Texts = Mapping[str, str]
Answer = list[int] | int | str | None
"""Numbers of the choices from 0, a whole number, a text, or nothing."""


class QuestionKind(StrEnum):
    """How a question is answered."""

    ONE = "one"
    SEVERAL = "several"
    NUMBER = "number"
    TEXT = "text"

    @property
    def has_choices(self) -> bool:
        """Whether it is answered by choosing."""
        return self in (QuestionKind.ONE, QuestionKind.SEVERAL)


@dataclass(frozen=True)
class Question:
    """One question, in three languages."""

    kind: QuestionKind
    text: Texts
    choices: Sequence[Texts] = ()
    required: bool = False

    def __post_init__(self) -> None:
        many = len(self.choices)
        if self.kind.has_choices and not FEWEST_CHOICES <= many <= MOST_CHOICES:
            raise ValueError(f"{many} choices")
        if not self.kind.has_choices and many:
            raise ValueError("choices where none can be made")

    def takes(self, answer: Answer) -> bool:
        """Whether ``answer`` is of this question's kind, and there if it has to be."""
        if answer is None:
            return not self.required
        if self.kind.has_choices:
            return (
                isinstance(answer, list)
                and all(isinstance(each, int) for each in answer)
                and all(0 <= each < len(self.choices) for each in answer)
                and len(set(answer)) == len(answer)
                and (len(answer) == 1 or (self.kind is QuestionKind.SEVERAL and bool(answer)))
            )
        if self.kind is QuestionKind.NUMBER:
            return isinstance(answer, int) and 0 <= answer < 10**12
        return isinstance(answer, str) and 0 < len(answer) <= LONGEST_ANSWER


def read_question(value: Mapping[str, Any]) -> Question:
    """Read a question as it is kept."""
    return Question(
        QuestionKind(value["kind"]),
        dict(value["text"]),
        [dict(each) for each in value["choices"]],
        bool(value["required"]),
    )


def write_question(question: Question) -> dict[str, Any]:
    """Return what :func:`read_question` reads."""
    return {
        "kind": question.kind.value,
        "text": dict(question.text),
        "choices": [dict(each) for each in question.choices],
        "required": question.required,
    }

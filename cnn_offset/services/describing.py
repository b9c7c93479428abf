"""What providers write of their projects: read from forms, and what is missing of it."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from cnn_offset.domain.text import N_, clean_prose, clean_url, count_words
from cnn_offset.models import Listing
from cnn_offset.services import ServiceError

LANGUAGES: Final = ("en", "fr", "es")
TITLE_LENGTH: Final = 120
MOST_WORDS: Final = 500
"""Of a description, in each language (the platform's FAQ for providers)."""
DESCRIPTION_LENGTH: Final = 10_000
LABELS_LENGTH: Final = 300
ALT_LENGTH: Final = 150
_MISSING: Final = {
    "title": N_("the title in every language"),
    "description": N_("the description in every language"),
    "labels": N_("the other labels in every language, or in none"),
}


@dataclass(frozen=True)
class Texts:
    """What is written of a project, in three languages; empty where nothing is yet."""

    title: Mapping[str, str]
    description: Mapping[str, str]
    labels: Mapping[str, str]
    sd_report_url: str


class InvalidError(ServiceError):
    """Some of what was typed cannot be saved: an error for each field."""

    def __init__(self, errors: Mapping[str, ServiceError]) -> None:
        super().__init__(N_("Some of this cannot be saved yet."))
        self.errors = errors


def clean_texts(typed: Mapping[str, str]) -> Texts:
    """Read a form with fields such as ``title-en`` and ``sd_report_url``.

    What is missing may come later; what there is must be right.

    Raises:
        InvalidError: a text is too long, or the address is none.

    """
    errors: dict[str, ServiceError] = {}

    def read(name: str, lang: str, longest: int) -> str:
        text = clean_prose(typed.get(f"{name}-{lang}", ""))
        if name != "description":
            text = _one_line(text)
        words = count_words(text)
        if name == "description" and words > MOST_WORDS:
            errors[f"{name}-{lang}"] = ServiceError(
                N_("The description has %(words)s words; it may have %(most)s. Please shorten it."),
                words=words,
                most=MOST_WORDS,
            )
        elif len(text) > longest:
            errors[f"{name}-{lang}"] = _too_long(len(text), longest)
        return text

    title, description, labels = (
        {lang: read(name, lang, longest) for lang in LANGUAGES}
        for name, longest in (
            ("title", TITLE_LENGTH),
            ("description", DESCRIPTION_LENGTH),
            ("labels", LABELS_LENGTH),
        )
    )
    report = typed.get("sd_report_url", "").strip()
    if report:
        try:
            report = clean_url(report)
        except ValueError:
            errors["sd_report_url"] = ServiceError(
                N_("Please enter the whole address of the report, beginning with https://.")
            )
    if errors:
        raise InvalidError(errors)
    return Texts(title, description, labels, report)


def clean_alt(typed: Mapping[str, str]) -> dict[str, str]:
    """Read what a picture shows in words, from fields such as ``alt-en``.

    Raises:
        InvalidError: a language is missing or too long.

    """
    found, errors = {}, {}
    for lang in LANGUAGES:
        name = f"alt-{lang}"
        text = found[lang] = _one_line(clean_prose(typed.get(name, "")))
        if not text:
            errors[name] = ServiceError(
                N_("Please say in a few words what the picture shows, for those who cannot see it.")
            )
        elif len(text) > ALT_LENGTH:
            errors[name] = _too_long(len(text), ALT_LENGTH)
    if errors:
        raise InvalidError(errors)
    return found


def _one_line(text: str) -> str:
    return re.sub(r"\n+", " ", text)


def _too_long(length: int, most: int) -> ServiceError:
    return ServiceError(
        N_("The text has %(length)s characters; it may have %(most)s. Please shorten it."),
        length=length,
        most=most,
    )


def missing(found: Listing) -> list[str]:
    """Return what a version lacks before it can be reviewed, as English message ids."""
    lacks = []
    for name, message in _MISSING.items():
        texts: Mapping[str, str] = getattr(found, name)
        there = [lang for lang in LANGUAGES if texts.get(lang)]
        if len(there) < len(LANGUAGES) and (there or name != "labels"):
            lacks.append(message)
    if any(count_words(each) > MOST_WORDS for each in found.description.values()):
        lacks.append(N_("a shorter description"))
    if not found.pictures:
        lacks.append(N_("at least one picture"))
    elif not all(each.alt.get(lang) for each in found.pictures for lang in LANGUAGES):
        lacks.append(N_("what each picture shows, in every language"))
    return lacks

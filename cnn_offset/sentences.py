"""Which sentences mails, the attestation and the front page are made of, read from their source.

A mail is the function that writes it, with the functions and tables of its module that it
leads to, and the frame that all mails share.
"""

from __future__ import annotations

import ast
import inspect
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from typing import Any, Final

from flask import current_app

from cnn_offset.domain.text import N_
from cnn_offset.domain.unit_rules import UNIT_RULES
from cnn_offset.mail.letters import KINDS, writer_of
from cnn_offset.sayings import ATTESTATION, HOME, MAIL
from cnn_offset.services import NotFoundError
from cnn_offset.services.rephrasing import Sentence

FRAME: Final = "frame"
"""Stands for the frame of all mails where a kind of mail is named."""
TEMPLATES: Final[Mapping[str, tuple[str, ...]]] = {
    ATTESTATION: ("attestation/attestation.html", "attestation/words.html"),
    HOME: ("home/index.html",),
    FRAME: ("mail/base.html", "mail/base.txt", "mail/letter.html", "mail/letter.txt"),
}
AREAS: Final[Mapping[str, str]] = {
    "account": N_("Accounts"),
    "applying": N_("Applications"),
    "banking": N_("Bank statements"),
    "cases": N_("Cases"),
    "corrections": N_("Corrections"),
    "deciding": N_("Decisions of operators"),
    "digesting": N_("Daily digest"),
    "fees": N_("Fees"),
    "listing": N_("Project pages"),
    "offering": N_("Offers"),
    "orders": N_("Orders"),
    "payouts": N_("Payouts"),
    "people": N_("Operators"),
    "refunds": N_("Refunds"),
    "reporting": N_("Reports"),
    "staffing": N_("Providers’ staff"),
    "suspending": N_("Suspended providers"),
}
"""By the module that writes the mails; a new module is shown by its own name."""
_ONE: Final = {"gettext", "lazy_gettext", "N_", "_"}


@dataclass(frozen=True)
class MailKind:
    """A kind of mail: its name in the outbox, and the module that writes it."""

    kind: str
    area: str


@cache
def mail_kinds() -> list[MailKind]:
    """Return all kinds of mail, by area and in the order of their module."""
    found = [
        (writer.__module__, writer.__code__.co_firstlineno, kind)
        for kind, writer in ((kind, inspect.unwrap(writer_of(kind))) for kind in KINDS)
    ]
    return [MailKind(kind, module.rpartition(".")[2]) for module, _line, kind in sorted(found)]


def of_place(place: str) -> tuple[Sentence, ...]:
    """Return the sentences of the attestation or the front page.

    Raises:
        NotFoundError: there is no such place.

    """
    if place not in (ATTESTATION, HOME):
        raise NotFoundError(place)
    found = _of_templates(place)
    if place == ATTESTATION:
        kinds = UNIT_RULES.values()
        found += tuple(Sentence(text) for each in kinds for text in (each.name, each.meaning))
    return found


def of_mail(kind: str) -> tuple[Sentence, ...]:
    """Return the sentences of a kind of mail, or of the frame of all.

    Raises:
        NotFoundError: there is no such kind.

    """
    if kind == FRAME:
        return _of_templates(FRAME)
    if kind not in KINDS:
        raise NotFoundError(kind)
    return _of_writer(kind)


def find(place: str, key: str) -> Sentence:
    """Return a sentence by its key.

    Raises:
        NotFoundError: there is none at this place.

    """
    known = (
        (each for kind in (FRAME, *sorted(KINDS)) for each in of_mail(kind))
        if place == MAIL
        else iter(of_place(place))
    )
    found = next((each for each in known if each.key == key), None)
    if found is None:
        raise NotFoundError(f"{place} {key}")
    return found


def mails_with(sentence: Sentence) -> list[str]:
    """Return the kinds of mail that say ``sentence``."""
    return [kind for kind in (FRAME, *sorted(KINDS)) if sentence in of_mail(kind)]


@cache
def _of_writer(kind: str) -> tuple[Sentence, ...]:
    writer = inspect.unwrap(writer_of(kind))
    parts = _parts_of(writer.__module__)
    seen, wanted = set(), [writer.__name__]
    found: dict[Sentence, None] = {}
    while wanted:
        name = wanted.pop(0)
        if name in seen or name not in parts:
            continue
        seen.add(name)
        found |= dict.fromkeys(_messages(parts[name]))
        wanted += _names(parts[name])
    return tuple(found)


@cache
def _parts_of(module: str) -> Mapping[str, ast.AST]:
    """Return the functions and tables of a module by name."""
    found: dict[str, ast.AST] = {}
    for node in ast.parse(inspect.getsource(sys.modules[module])).body:
        if isinstance(node, ast.FunctionDef):
            found[node.name] = node
        elif isinstance(node, ast.AnnAssign) and isinstance(node.target, ast.Name):
            found[node.target.id] = node
        elif isinstance(node, ast.Assign):
            found |= {each.id: node for each in node.targets if isinstance(each, ast.Name)}
    # The table of the writers leads everywhere.
    found.pop("LETTERS", None)
    return found


def _in_order(node: ast.AST) -> Iterator[ast.AST]:
    for child in ast.iter_child_nodes(node):
        yield child
        yield from _in_order(child)


def _names(node: ast.AST) -> list[str]:
    return [each.id for each in _in_order(node) if isinstance(each, ast.Name)]


def _messages(node: ast.AST) -> Iterator[Sentence]:
    for each in _in_order(node):
        if not isinstance(each, ast.Call) or not isinstance(each.func, ast.Name):
            continue
        texts = [
            one.value
            for one in each.args
            if isinstance(one, ast.Constant) and isinstance(one.value, str)
        ]
        if each.func.id in _ONE and texts:
            yield Sentence(texts[0])
        elif each.func.id == "ngettext" and len(texts) > 1:
            yield Sentence(texts[0], texts[1])


def _of_templates(name: str) -> tuple[Sentence, ...]:
    kept: dict[str, tuple[Sentence, ...]] = current_app.extensions.setdefault(
        "cnn_offset.sentences", {}
    )
    if name not in kept:
        found: dict[Sentence, None] = {}
        env: Any = current_app.jinja_env
        for template in TEMPLATES[name]:
            source, *_ = env.loader.get_source(env, template)
            for _line, _function, text in env.extract_translations(source):
                one, many = (text[0], text[1]) if isinstance(text, tuple) else (text, "")
                if isinstance(one, str):
                    found[Sentence(one, many or "")] = None
        kept[name] = tuple(found)
    return kept[name]

"""The words of operators in mails, attestations and the front page, instead of the shipped ones.

Inside ``speaking`` every message is looked for among them first. They are kept in each
process; one look at the newest id tells whether there are others.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from flask import current_app
from flask_babel import Domain, force_locale, get_domain, get_locale, get_translations
from markupsafe import escape

from cnn_offset.extensions import db
from cnn_offset.services import rephrasing
from cnn_offset.services.rephrasing import Sentence

MAIL: Final = "mail"
ATTESTATION: Final = "attestation"
HOME: Final = "home"
PLACES: Final = (MAIL, ATTESTATION, HOME)

Said = Mapping[tuple[str, str], tuple[str, str]]
"""Text and plural by language and message id."""

_speaking: ContextVar[Said | None] = ContextVar("speaking", default=None)
"""The other words that hold at the moment."""


@dataclass(frozen=True)
class _Kept:
    newest: int
    said: Mapping[str, Mapping[tuple[str, str], list[tuple[datetime, str, str]]]]
    """By place, then by language and message id: since when, text, plural; oldest first."""


def _kept() -> _Kept:
    newest = rephrasing.newest_id(db.session())
    kept: _Kept | None = current_app.extensions.get("cnn_offset.sayings")
    if kept is None or kept.newest != newest:
        said: dict[str, dict[tuple[str, str], list[tuple[datetime, str, str]]]] = {}
        for each in rephrasing.everything(db.session()):
            words = said.setdefault(each.place, {}).setdefault((each.lang, each.msgid), [])
            words.append((each.at, each.text, each.plural))
        kept = current_app.extensions["cnn_offset.sayings"] = _Kept(newest, said)
    return kept


def in_force(place: str, at: datetime | None = None) -> Said:
    """Return the words that hold at ``place``, now or as they were at a moment."""
    found = {}
    for key, words in _kept().said.get(place, {}).items():
        since = [each for each in words if at is None or each[0] <= at]
        if since and since[-1][1]:
            found[key] = since[-1][1:]
    return found


@contextmanager
def speaking(
    place: str, *, at: datetime | None = None, instead: Said | None = None
) -> Iterator[None]:
    """Say things as operators want them said at ``place``.

    Args:
        place: one of ``PLACES``.
        at: as they wanted it at that moment.
        instead: words to try out; they hold also where what is called speaks here again.

    """
    said = {**in_force(place, at), **(instead or {}), **(_speaking.get() or {})}
    if not said:
        yield
        return
    usual = get_domain()
    _Worded(usual, said).as_default()
    token = _speaking.set(said)
    try:
        yield
    finally:
        _speaking.reset(token)
        usual.as_default()


def shipped(sentence: Sentence, lang: str) -> tuple[str, str]:
    """Return a sentence and its plural as they are shipped in ``lang``."""
    with force_locale(lang):
        known = get_translations()
        if not sentence.plural:
            return str(known.ugettext(sentence.msgid)), ""
        one, many = (
            str(known.ungettext(sentence.msgid, sentence.plural, count)) for count in (1, 2)
        )
        return one, many


def is_speaking() -> bool:
    """Say whether operators' words hold at the moment."""
    return _speaking.get() is not None


class _Worded(Domain):  # type: ignore[misc]
    """Messages of which some are said in other words."""

    def __init__(self, usual: Domain, said: Said) -> None:
        super().__init__()
        self.usual: Domain = usual.usual if isinstance(usual, _Worded) else usual
        self._said = said

    def get_translations(self) -> Any:
        locale = get_locale()
        translations = self.usual.get_translations()
        return _Translations(translations, self._said, locale.language if locale else "en")


class _Translations:
    """A catalogue of messages behind other words."""

    def __init__(self, usual: Any, said: Said, lang: str) -> None:
        self._usual = usual
        self._said = said
        self._lang = lang

    def ugettext(self, text: str) -> str:
        found = self._said.get((self._lang, text))
        return found[0] if found else str(self._usual.ugettext(text))

    def ungettext(self, one: str, many: str, n: int) -> str:
        found = self._said.get((self._lang, one))
        if not found:
            return str(self._usual.ungettext(one, many, n))
        # English has no catalogue, and so no rule of its own.
        several = self._usual.plural(n) if self._lang != "en" else n != 1
        return found[1] if several and found[1] else found[0]

    def said_in_template(self, text: str, *, escaped: bool) -> str:
        """Return a message for Jinja, which takes messages for HTML; operators write none."""
        found = self._said.get((self._lang, text))
        if not found:
            return str(self._usual.ugettext(text))
        return str(escape(found[0])) if escaped else found[0]

    def counted_in_template(self, one: str, many: str, n: int, *, escaped: bool) -> str:
        """Return a message that counts, for Jinja."""
        words = self.ungettext(one, many, n)
        return str(escape(words)) if escaped and (self._lang, one) in self._said else words

    def __getattr__(self, name: str) -> Any:
        return getattr(self._usual, name)

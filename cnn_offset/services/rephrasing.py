"""Sentences of mails, attestations and the front page, put into other words by operators."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from sqlalchemy import func, select
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session

from cnn_offset.domain.text import N_
from cnn_offset.models import Saying
from cnn_offset.services import ServiceError
from cnn_offset.services.moves import note
from cnn_offset.services.wording import ReasonError, checked_reason

LONGEST: Final = 1500
"""Characters of a sentence."""
_PLACEHOLDER: Final = re.compile(r"%\(\w+\)[a-z]")


class WordsError(ServiceError):
    """The words cannot be used as they are."""


@dataclass(frozen=True)
class Sentence:
    """A sentence as it is shipped: an English message id, and its plural if it counts."""

    msgid: str
    plural: str = ""

    @property
    def key(self) -> str:
        """Name the sentence in an address and in the database."""
        return hashlib.sha256(self.msgid.encode()).hexdigest()

    @property
    def placeholders(self) -> list[str]:
        """What every version of it must name, such as ``%(code)s``."""
        return sorted(set(_PLACEHOLDER.findall(self.plural or self.msgid)))


def newest_id(session: Session) -> int:
    """Return a number that grows whenever a sentence is put into other words."""
    return session.scalar(select(func.max(Saying.id))) or 0


def everything(session: Session) -> Sequence[Saying]:
    """Return all that was ever said in other words, oldest first."""
    return session.scalars(select(Saying).order_by(Saying.id)).all()


def history(
    session: Session, place: str, key: str, *, before: int | None = None, limit: int = 50
) -> Sequence[Saying]:
    """Return the other words of a sentence, newest first, in all languages.

    Args:
        session: any.
        place: where it stands.
        key: which sentence.
        before: the last id of the page before.
        limit: at most so many.

    """
    wanted = select(Saying).where(Saying.place == place, Saying.key == key)
    if before is not None:
        wanted = wanted.where(Saying.id < before)
    return session.scalars(wanted.order_by(Saying.id.desc()).limit(limit)).all()


def current(session: Session, place: str, key: str) -> dict[str, Saying]:
    """Return the newest words of a sentence by language, where there ever were any."""
    newest = (
        select(func.max(Saying.number))
        .where(Saying.place == place, Saying.key == key)
        .group_by(Saying.lang)
        .add_columns(Saying.lang)
        .subquery()
    )
    number, lang = newest.c
    return {
        each.lang: each
        for each in session.scalars(
            select(Saying)
            .join(newest, (Saying.number == number) & (Saying.lang == lang))
            .where(Saying.place == place, Saying.key == key)
        )
    }


def check_words(sentence: Sentence, text: str, plural: str) -> None:
    """Look whether ``text`` can stand for ``sentence``.

    Raises:
        WordsError: it cannot; the message says why.

    """
    if bool(sentence.plural) and not (text and plural):
        raise WordsError(N_("Please write both forms: for one, and for several."))
    wanted = set(sentence.placeholders)
    for form, is_singular in ((text, True), (plural, False)):
        if not form:
            continue
        got = set(_PLACEHOLDER.findall(form))
        for name in sorted(got - wanted):
            raise WordsError(N_("There is no placeholder %(name)s in this sentence."), name=name)
        # "One unit" need not say how many.
        for name in sorted(wanted - got):
            if not (sentence.plural and is_singular):
                raise WordsError(N_("The placeholder %(name)s is missing."), name=name)
        if "%" in _PLACEHOLDER.sub("", form):
            raise WordsError(
                N_("A percent sign stands only in placeholders. Please write the word instead.")
            )
        if "<" in form or ">" in form:
            raise WordsError(N_("Please write without the signs < and >."))


def rephrase(
    session: Session,
    place: str,
    sentence: Sentence,
    words: Mapping[str, tuple[str, str]],
    *,
    seen: Mapping[str, int],
    reason: str,
    actor: str,
    now: datetime,
) -> list[Saying]:
    """Put a sentence into other words from now on; what is unchanged is left alone.

    Args:
        session: a writing transaction.
        place: where it stands.
        sentence: as it is shipped.
        words: text and plural by language; two empty ones return to the shipped words.
        seen: the number of the newest words by language, as the operator saw them.
        reason: why.
        actor: who.
        now: the moment.

    Returns what was added.

    Raises:
        WordsError: a text cannot be used.
        ReasonError: there is no reason, or it is too long.
        ServiceError: somebody else has changed the sentence meanwhile.

    """
    why = checked_reason(reason)
    known = current(session, place, sentence.key)
    added = []
    for lang, (text, plural) in words.items():
        old = known.get(lang)
        if (old.number if old else 0) != seen.get(lang, 0):
            raise ServiceError(
                N_("Somebody else has changed this sentence since you opened it."),
            )
        if (old.text, old.plural) == (text, plural) if old else not text:
            continue
        if text or plural:
            check_words(sentence, text, plural)
        added.append(
            Saying(
                place=place,
                key=sentence.key,
                msgid=sentence.msgid,
                lang=lang,
                number=(old.number if old else 0) + 1,
                text=text,
                plural=plural,
                reason=why,
                author=actor,
                at=now,
            )
        )
    session.add_all(added)
    try:
        session.flush()
    except IntegrityError as error:
        raise ServiceError(
            N_("Somebody else has changed this sentence since you opened it.")
        ) from error
    for each in added:
        new = "words of its own" if each.text else "shipped words"
        note(session, each, old="", new=f"{each.lang}: {new}", actor=actor, why=why, now=now)
    return added


__all__ = [
    "LONGEST",
    "ReasonError",
    "Sentence",
    "WordsError",
    "check_words",
    "current",
    "everything",
    "history",
    "newest_id",
    "rephrase",
]

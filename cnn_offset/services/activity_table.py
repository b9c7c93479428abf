"""Projects registered by the table: all of it or nothing.

The columns are those of the lists that the CDM registry publishes (ref, party, kind, title,
sectoral scope, methodology, crediting period, link); what else stands there is not looked at.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date, datetime
from typing import Any, Final

from sqlalchemy import insert, select
from sqlalchemy.orm import Session

from cnn_offset.domain.text import N_, UnreadableTextError, clean_line, clean_url
from cnn_offset.models import Activity, ActivityKind, Event
from cnn_offset.services import ServiceError, tables
from cnn_offset.services.applying import read_activities
from cnn_offset.services.registering import Registration, as_activity, free_slug
from cnn_offset.services.remembering import link_projects

MAX_ROWS: Final = 10_000
MAX_BYTES: Final = 5 * 2**20
_BATCH: Final = 500
COLUMNS: Final[tables.Columns] = {
    "ref": (N_("Reference number"), "ref", "référence", "numéro de référence", "referencia",
            "número de referencia"),
    "party": (N_("Host Party"), "party", "partie hôte", "parte anfitriona"),
    "kind": (N_("Kind"), "type", "tipo"),
    "title": (N_("Title"), "titre", "título", "title en", "titre en", "título en"),
    "title_fr": (N_("Title in French"), "title fr", "titre fr", "título fr"),
    "title_es": (N_("Title in Spanish"), "title es", "titre es", "título es"),
    "scope": (N_("Sectoral scope"), "scope", "champ sectoriel", "ámbito sectorial"),
    "technology": (N_("Technology"), "technologie", "tecnología"),
    "methodology": (N_("Methodology"), "méthodologie", "metodología"),
    "start": (N_("Crediting period begins"), "crediting start"),
    "end": (N_("Crediting period ends"), "crediting end"),
    "link": (N_("Page at the registry"), "link", "lien", "enlace"),
}  # fmt: skip
_NEEDED: Final = ("ref", "party", "kind", "title", "scope", "methodology", "start", "end")


@dataclass(frozen=True, slots=True)
class Words:
    """What the words of a table mean, in the three languages."""

    countries: frozenset[str]
    """ISO 3166 codes."""
    scopes: Mapping[str, int]
    """By name, as ``tables.word`` returns it."""
    technologies: Mapping[str, str]
    """Codes by name, likewise."""
    technology: str
    """What a row means that names none; empty if each must."""


@dataclass(frozen=True, slots=True)
class Row:
    """A row that could be read."""

    line: int
    """In the file, its header counted."""
    wanted: Registration


@dataclass(frozen=True, slots=True)
class Fault:
    """What is wrong with a row."""

    line: int
    what: ServiceError


@dataclass(frozen=True, slots=True)
class Sorted:
    """A table beside what is registered."""

    new: Sequence[Row]
    changed: Sequence[Row]
    same: int


def read_table(raw: bytes, registry_id: str, words: Words) -> tuple[list[Row], list[Fault]]:
    """Read a table of projects of one registry.

    Returns the rows that could be read and what is wrong with the others; nothing may be
    registered while there are any of these.

    Raises:
        ServiceError: the file is no such table at all.

    """
    rows, faults = [], []
    seen: dict[str, int] = {}
    for line, cells in tables.read(raw, COLUMNS, _NEEDED, most_rows=MAX_ROWS, most_bytes=MAX_BYTES):
        try:
            wanted = registration(cells, registry_id, words)
            first = seen.setdefault(wanted.ref, line)
            if first != line:
                raise ServiceError(
                    N_("Project %(ref)s stands in line %(n)s already."), ref=wanted.ref, n=first
                )
        except ServiceError as fault:
            faults.append(Fault(line, fault))
        else:
            rows.append(Row(line, wanted))
    return rows, faults


def registration(
    cells: Mapping[str, str], registry_id: str, words: Words, *, longest_title: int = 120
) -> Registration:
    """Read a row of a table of projects, its cells by the names in ``COLUMNS``.

    Raises:
        ServiceError: what is wrong with it.

    """
    refs = read_activities(cells["ref"])
    if len(refs) > 1:
        raise ServiceError(N_("Please enter one reference number."))
    host = cells["party"].upper()
    if host not in words.countries:
        raise ServiceError(
            N_("“%(text)s” is no country. Please write its two letters, such as KE."),
            text=cells["party"][:40],
        )
    try:
        kind = ActivityKind(cells["kind"].casefold())
    except ValueError:
        raise ServiceError(N_("Please write PA for a project or PoA for a programme.")) from None
    title = _line(cells["title"], N_("The title is missing."), longest_title)
    start, end = _day(cells["start"]), _day(cells["end"])
    if end < start:
        raise ServiceError(N_("The crediting period ends before it begins."))
    try:
        link = clean_url(cells["link"]) if cells.get("link") else ""
    except ValueError:
        raise ServiceError(
            N_("Please write the address of the page in full, such as https://example.org.")
        ) from None
    return Registration(
        registry_id=registry_id,
        ref=refs[0],
        kind=kind,
        title={
            "en": title,
            "fr": _line(cells.get("title_fr", ""), longest=longest_title) or title,
            "es": _line(cells.get("title_es", ""), longest=longest_title) or title,
        },
        host_party=host,
        scope=_scope(cells["scope"], words.scopes),
        technology=_technology(cells.get("technology", ""), words),
        # The registry writes "CDM - ACM0002".
        methodology=_line(
            re.sub(r"^CDM\s*-\s*", "", cells["methodology"]), N_("The methodology is missing."), 40
        ),
        crediting_start=start,
        crediting_end=end,
        registry_url=link,
    )


def _line(text: str, missing: str = "", longest: int = 120) -> str:
    try:
        clean = clean_line(text)
    except UnreadableTextError:
        raise ServiceError(
            N_("There is an invisible sign in a text. Please type it afresh.")
        ) from None
    if missing and not clean:
        raise ServiceError(missing)
    if len(clean) > longest:
        raise ServiceError(
            N_("“%(text)s” is too long: at most %(n)s letters."), text=f"{clean[:40]}…", n=longest
        )
    return clean


def _day(text: str) -> date:
    try:
        return date.fromisoformat(text)
    except ValueError:
        raise ServiceError(N_("Please write a day such as 2026-12-31.")) from None


def _scope(text: str, scopes: Mapping[str, int]) -> int:
    if text.isascii() and text.isdigit() and int(text[:4]) in scopes.values():
        return int(text)
    named = tables.word(text)
    # The registry adds to a name what belongs to it, in brackets.
    found = max((name for name in scopes if named.startswith(name)), key=len, default="")
    if not found:
        raise ServiceError(
            N_("“%(text)s” is no sectoral scope. Please write its number, 1 to 16."),
            text=text[:60],
        )
    return scopes[found]


def _technology(text: str, words: Words) -> str:
    if not text and words.technology:
        return words.technology
    found = words.technologies.get(tables.word(text))
    if found is None:
        raise ServiceError(
            N_("“%(text)s” is no technology that we know. Please choose one for such rows."),
            text=text[:60],
        )
    return found


def sort(session: Session, rows: Sequence[Row]) -> Sorted:
    """Say which rows are new, which differ from what is registered, and how many are the same.

    Titles and descriptions of registered projects are their providers' and are left alone.
    Changes nothing.
    """
    new, changed, same = [], [], 0
    for batch in _batches(rows):
        known = _known(session, batch)
        for row in batch:
            activity = known.get(row.wanted.ref)
            if activity is None:
                new.append(row)
            elif _differences(activity, row.wanted):
                changed.append(row)
            else:
                same += 1
    return Sorted(new, changed, same)


def register(session: Session, rows: Sequence[Row], *, actor: str, now: datetime) -> Sorted:
    """Register what is new and bring up to date what has changed, in this one transaction.

    Returns what was done. Safe to repeat: the same rows change nothing.
    """
    done = sort(session, rows)
    for batch in _batches(done.new):
        taken: set[str] = set()
        made = [
            as_activity(each.wanted, free_slug(session, each.wanted, taken), now=now)
            for each in batch
        ]
        session.add_all(made)
        session.flush()
        _note(session, made, "registered", actor=actor, now=now)
        link_projects(session, made, now=now)
    for batch in _batches(done.changed):
        known = _known(session, batch)
        for each in batch:
            activity = known[each.wanted.ref]
            for name, value in _differences(activity, each.wanted).items():
                setattr(activity, name, value)
            activity.changed_at = now
        session.flush()
        _note(session, known.values(), "facts changed", actor=actor, now=now)
    return done


def differing(session: Session, wanted: Registration) -> dict[str, tuple[Any, Any]]:
    """Return what is otherwise of a registered project: as it is here, and as in the table."""
    activity = _known(session, [Row(0, wanted)])[wanted.ref]
    told = _differences(activity, wanted)
    return {name: (getattr(activity, name), value) for name, value in told.items()}


def _batches(rows: Sequence[Row]) -> Iterator[Sequence[Row]]:
    for start in range(0, len(rows), _BATCH):
        yield rows[start : start + _BATCH]


def _known(session: Session, rows: Sequence[Row]) -> dict[str, Activity]:
    found = session.scalars(
        select(Activity).where(
            Activity.registry_id == rows[0].wanted.registry_id,
            Activity.ref.in_([each.wanted.ref for each in rows]),
        )
    )
    return {each.ref: each for each in found}


def _differences(activity: Activity, wanted: Registration) -> dict[str, Any]:
    told = replace(wanted, title={})
    facts = ("kind", "host_party", "scope", "technology", "methodology", "crediting_start",
             "crediting_end", "registry_url")  # fmt: skip
    return {
        name: getattr(told, name)
        for name in facts
        if getattr(told, name) != getattr(activity, name)
    }


def _note(session: Session, activities: Any, what: str, *, actor: str, now: datetime) -> None:
    events = [
        {
            "subject": "activity",
            "subject_id": each.id,
            "order_id": None,
            "old": "",
            "new": what,
            "actor": actor,
            "why": "by table",
            "at": now,
        }
        for each in activities
    ]
    session.execute(insert(Event), events)

"""Entering imported cancellations in the record: its index, its filters, its figures."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from functools import lru_cache
from typing import Any, Final, Protocol

from sqlalchemy import delete, func, insert, select
from sqlalchemy.orm import Session

from cnn_offset.domain.units import UnitType
from cnn_offset.models import Activity, HistoricCancellation, HistoryFacet, HistoryTerm
from cnn_offset.services.recording import words
from cnn_offset.services.tallying import dialect_of, mark

_OLD_NUMBER: Final = re.compile(r"VC0*(\d{1,12})/(\d{4})", re.ASCII)
_PART: Final = 1000
_INSERT: Final = insert(HistoryTerm.__table__)  # type: ignore[arg-type]


class Imported(Protocol):
    """What is read of an imported cancellation: the row itself, or one as the database gave
    it back when it was inserted (``RETURNING``).
    """

    @property
    def id(self) -> int: ...
    @property
    def registry_id(self) -> str: ...
    @property
    def order_ref(self) -> str | None: ...
    @property
    def reference(self) -> str: ...
    @property
    def completed_at(self) -> datetime: ...
    @property
    def unit_type(self) -> UnitType: ...
    @property
    def host_party(self) -> str: ...
    @property
    def activity_ref(self) -> str: ...
    @property
    def activity_title(self) -> str: ...
    @property
    def activity_id(self) -> int | None: ...
    @property
    def beneficiary(self) -> str: ...


def index_batch(session: Session, rows: Sequence[Imported], *, now: datetime) -> None:
    """Enter cancellations that were just imported, in the transaction that imports them.

    Their days are counted anew for the figures. Call it once for each row, some thousand at
    a time.
    """
    titles = _titles(session, rows)
    entered = [
        {"term": term, "completed_at": row.completed_at, "historic_id": row.id}
        for row in rows
        for term in terms_of(row, titles.get(row.activity_id or 0, ()))
    ]
    if not entered:
        return
    # In the order of the index, so that its pages are filled one after the other.
    entered.sort(key=lambda each: (each["term"], each["completed_at"], each["historic_id"]))
    session.connection().execute(_INSERT, entered)
    _keep_facets(session, rows)
    mark(session, {row.completed_at.date() for row in rows}, due_at=now)


def terms_of(row: Imported, titles: Iterable[str] = ()) -> set[str]:
    """Return what a cancellation is found by; ``titles``: of its project, as known here."""
    terms = {
        f"year:{row.completed_at.year}",
        f"type:{UnitType(row.unit_type).value}",
        f"host:{row.host_party}",
        f"registry:{row.registry_id}",
    }
    texts = (row.activity_ref, row.activity_title, row.beneficiary, row.reference)
    for text in (*texts, row.order_ref or "", *titles):
        terms.update(_words_of(text))
    if row.reference:
        terms.add(number_term(row.reference))
    return terms


# Titles and names come again and again in a file.
@lru_cache(maxsize=5_000)
def _words_of(text: str) -> tuple[str, ...]:
    return tuple(f"word:{word}" for word in words(text))


def number_term(text: str) -> str:
    """Return the term of a number on a certificate, in whichever way somebody writes it."""
    plain = re.sub(r"\s", "", text).upper().replace("-", "/").replace("_", "/")
    found = _OLD_NUMBER.fullmatch(plain)
    return f"number:{found[1]}/{found[2]}" if found else f"number:{plain}"[:80]


def _titles(session: Session, rows: Sequence[Imported]) -> Mapping[int, Sequence[str]]:
    known = {row.activity_id for row in rows if row.activity_id}
    if not known:
        return {}
    found = session.execute(select(Activity.id, Activity.title).where(Activity.id.in_(known)))
    return {activity_id: list(title.values()) for activity_id, title in found}


def link_projects(session: Session, activities: Sequence[Activity], *, now: datetime) -> int:
    """Tie imported cancellations to their projects that have just been registered here, and
    say how many. Safe to repeat.
    """
    row, linked = HistoricCancellation, 0
    known = {(each.registry_id, each.ref): each for each in activities}
    waiting = session.execute(
        select(row.registry_id, row.activity_ref)
        .where(
            row.activity_id.is_(None),
            row.registry_id.in_({registry_id for registry_id, _ in known}),
            row.activity_ref.in_({ref for _, ref in known}),
        )
        .distinct()
    )
    for key in [(registry_id, ref) for registry_id, ref in waiting if (registry_id, ref) in known]:
        while some := _unlinked(session, *key):
            _link(session, some, known[key], now=now)
            linked += len(some)
    return linked


def _unlinked(session: Session, registry_id: str, ref: str) -> Sequence[HistoricCancellation]:
    row = HistoricCancellation
    return session.scalars(
        select(row)
        .where(row.activity_id.is_(None), row.registry_id == registry_id, row.activity_ref == ref)
        .limit(_PART)
    ).all()


def _link(
    session: Session, rows: Sequence[HistoricCancellation], activity: Activity, *, now: datetime
) -> None:
    for row in rows:
        row.activity_id = activity.id
    session.flush()
    words = {word for title in activity.title.values() for word in _words_of(title)}
    made = dialect_of(session).insert(HistoryTerm.__table__).on_conflict_do_nothing()
    entered = [
        {"term": term, "completed_at": row.completed_at, "historic_id": row.id}
        for term in sorted(words)
        for row in rows
    ]
    if entered:
        session.connection().execute(made, entered)
    mark(session, {row.completed_at.date() for row in rows}, due_at=now)


def _keep_facets(session: Session, rows: Sequence[Imported]) -> None:
    values = {("host", row.host_party) for row in rows}
    values |= {("registry", row.registry_id) for row in rows}
    values |= {("year", str(row.completed_at.year)) for row in rows}
    made = dialect_of(session).insert(HistoryFacet.__table__).on_conflict_do_nothing()
    session.connection().execute(
        made, [{"name": name, "value": value} for name, value in sorted(values)]
    )


def facets(session: Session) -> dict[str, list[str]]:
    """Return the host Parties, registries and years of all imported cancellations."""
    found: dict[str, list[str]] = {"host": [], "registry": [], "year": []}
    for row in session.scalars(
        select(HistoryFacet).order_by(HistoryFacet.name, HistoryFacet.value)
    ):
        found.setdefault(row.name, []).append(row.value)
    return found


def first_year(session: Session) -> int:
    """Return the year of the oldest imported cancellation; 0 if none was imported."""
    oldest = select(func.min(HistoryFacet.value)).where(HistoryFacet.name == "year")
    return int(session.scalar(oldest) or 0)


def forget(session: Session, row: HistoricCancellation, **values: Any) -> None:
    """Blank or change texts of an imported cancellation, and enter it under what is left."""
    titles = list(row.activity.title.values()) if row.activity else []
    before = terms_of(row, titles)
    for name, value in values.items():
        setattr(row, name, value)
    gone = sorted(before - terms_of(row, titles))
    if gone:
        session.execute(
            delete(HistoryTerm).where(
                HistoryTerm.term.in_(gone),
                HistoryTerm.completed_at == row.completed_at,
                HistoryTerm.historic_id == row.id,
            )
        )

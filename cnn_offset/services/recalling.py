"""Cancellations of the earlier platform in the public record: finding and reading.

They stand after ours, newest first. Each list is read from an index in its own order; where
several words are asked for the rarest leads, and no more than ``SCANNED`` of its entries are
looked through at a time: where there may be more, the next page goes on from there.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from sqlalchemy import ColumnElement, Select, exists, func, literal, select, tuple_
from sqlalchemy.orm import Session, joinedload

from cnn_offset.models import Activity, HistoricCancellation, HistoryTerm
from cnn_offset.services import NotFoundError, recording
from cnn_offset.services.recording import MAX_WORDS, MOST, RecordEntry, RecordQuery, words
from cnn_offset.services.remembering import facets, number_term

SCANNED: Final = 5000
MOST_PARTS: Final = 200
"""Runs of serial numbers shown of one order; the largest ever had five."""
_ORDER: Final = re.compile(r"[A-Za-z0-9-]{1,40}", re.ASCII)
_term_key: Final = tuple_(HistoryTerm.completed_at, HistoryTerm.historic_id)
_row_key: Final = tuple_(HistoricCancellation.completed_at, HistoricCancellation.id)


@dataclass(frozen=True, slots=True)
class Place:
    """Where in the record a page begins: among ours, or among those of the earlier platform."""

    before: int | None = None
    """The id of the entry that ended the page before."""
    is_earlier: bool = False

    @classmethod
    def parse(cls, text: str) -> Place:
        """Read what :meth:`__str__` wrote.

        Raises:
            ValueError: it is no place.

        """
        is_earlier = text.startswith("e")
        digits = text[1:] if is_earlier else text
        before = int(digits) if digits or not is_earlier else None
        if before is not None and not 0 <= before < 2**63:
            raise ValueError(text)
        return cls(before, is_earlier)

    def __str__(self) -> str:
        digits = "" if self.before is None else str(self.before)
        return f"e{digits}" if self.is_earlier else digits


@dataclass(frozen=True, slots=True)
class WholePage:
    """A page of the whole record, and where the next one begins."""

    entries: Sequence[RecordEntry]
    earlier: Sequence[HistoricCancellation]
    older: Place | None


def find_all(
    session: Session,
    query: RecordQuery,
    *,
    registry_ids: Collection[str],
    place: Place,
    limit: int,
) -> WholePage:
    """Return the newest entries that match ``query`` from ``place`` on: ours, then the others.

    Args:
        session: any.
        query: as for :func:`recording.find_entries`; its text may also be the number of a
            certificate or of an order of the earlier platform.
        registry_ids: where a serial number is looked for, besides those of the imported.
        place: of an earlier page.
        limit: how many at most.

    """
    entries: Sequence[RecordEntry] = []
    if not place.is_earlier:
        ours = recording.find_entries(
            session, query, registry_ids=registry_ids, before=place.before, limit=limit
        )
        if ours.before is not None:
            return WholePage(ours.entries, [], Place(ours.before))
        entries = ours.entries
    earlier, older = find_earlier(
        session,
        query,
        registry_ids=registry_ids,
        before=place.before if place.is_earlier else None,
        limit=limit - len(entries),
    )
    return WholePage(entries, earlier, older)


def find_earlier(
    session: Session,
    query: RecordQuery,
    *,
    registry_ids: Collection[str],
    before: int | None,
    limit: int,
) -> tuple[Sequence[HistoricCancellation], Place | None]:
    """Return the newest imported cancellations that match, and where older ones begin."""
    text = query.text.strip()
    terms = recording.filter_terms(query)
    if recording.cer_serial(text):
        return _holding(session, text, terms, registry_ids, before), None
    if text:
        number = number_term(text)
        found = words(text)[:MAX_WORDS]
        if not found:
            return [], None
        terms += (
            [number]
            if "/" in number and _is_known(session, number)
            else [f"word:{word}" for word in dict.fromkeys(found)]
        )
    last = _moment_of(session, before)
    if not terms:
        return _page(session, _in_turn(last).limit(limit + 1), limit)
    if len(terms) == 1:
        return _page(session, _of_term(terms[0], last).limit(limit + 1), limit)
    return _of_terms(session, _rarest_first(session, terms), last, limit)


def _moment_of(session: Session, before: int | None) -> Any:
    """Return the place in time of the entry that ended the page before, as a value of SQL."""
    if before is None:
        return None
    completed_at = session.scalar(
        select(HistoricCancellation.completed_at).where(HistoricCancellation.id == before)
    )
    if completed_at is None:
        return None
    return tuple_(
        literal(completed_at, HistoricCancellation.completed_at.type),
        literal(before, HistoricCancellation.id.type),
    )


def _in_turn(last: Any) -> Select[int]:
    wanted = select(HistoricCancellation.id)
    if last is not None:
        wanted = wanted.where(_row_key < last)
    return wanted.order_by(HistoricCancellation.completed_at.desc(), HistoricCancellation.id.desc())


def _of_term(term: str, last: Any) -> Select[int, datetime]:
    wanted = select(HistoryTerm.historic_id, HistoryTerm.completed_at)
    wanted = wanted.where(HistoryTerm.term == term)
    if last is not None:
        wanted = wanted.where(_term_key < last)
    return wanted.order_by(HistoryTerm.completed_at.desc(), HistoryTerm.historic_id.desc())


def _page(
    session: Session, ids: Select[int] | Select[int, datetime], limit: int
) -> tuple[Sequence[HistoricCancellation], Place | None]:
    found = [row[0] for row in session.execute(ids)]
    return _rows(session, found[:limit]), _next(found, limit)


def _next(found: Sequence[int], limit: int) -> Place | None:
    if len(found) <= limit:
        return None
    return Place(found[limit - 1] if limit else None, is_earlier=True)


def _of_terms(
    session: Session, terms: Sequence[str], last: Any, limit: int
) -> tuple[Sequence[HistoricCancellation], Place | None]:
    """Look through a stretch of the first term for those that have the others too."""
    stretch = _of_term(terms[0], last).limit(SCANNED).subquery()
    wanted = select(stretch.c.historic_id)
    for term in terms[1:]:
        wanted = wanted.where(_has(term, stretch.c.completed_at, stretch.c.historic_id))
    newest = (stretch.c.completed_at.desc(), stretch.c.historic_id.desc())
    found = list(session.scalars(wanted.order_by(*newest).limit(limit + 1)))
    older = _next(found, limit)
    if older is None:
        # All that was looked through is shown; was it all there is?
        oldest = select(stretch.c.historic_id).order_by(
            stretch.c.completed_at, stretch.c.historic_id
        )
        count = session.scalar(select(func.count()).select_from(stretch))
        if count == SCANNED:
            older = Place(session.scalar(oldest.limit(1)), is_earlier=True)
    return _rows(session, found[:limit]), older


def _has(term: str, completed_at: Any, historic_id: Any) -> ColumnElement[bool]:
    return exists().where(
        HistoryTerm.term == term,
        HistoryTerm.completed_at == completed_at,
        HistoryTerm.historic_id == historic_id,
    )


def _rarest_first(session: Session, terms: list[str]) -> list[str]:
    counts = []
    for term in dict.fromkeys(terms):
        some = select(HistoryTerm.historic_id).where(HistoryTerm.term == term).limit(SCANNED)
        counted = select(func.count()).select_from(some.subquery())
        counts.append((session.scalar(counted) or 0, term))
    return [term for _, term in sorted(counts, key=lambda pair: pair[0])]


def _is_known(session: Session, term: str) -> bool:
    return bool(session.scalar(select(exists().where(HistoryTerm.term == term))))


def _rows(session: Session, ids: Sequence[int]) -> Sequence[HistoricCancellation]:
    if not ids:
        return []
    return session.scalars(_whole().where(HistoricCancellation.id.in_(ids))).all()


def _whole() -> Select[HistoricCancellation]:
    return (
        select(HistoricCancellation)
        .options(
            joinedload(HistoricCancellation.range),
            joinedload(HistoricCancellation.activity).load_only(Activity.title, Activity.slug),
        )
        .order_by(HistoricCancellation.completed_at.desc(), HistoricCancellation.id.desc())
    )


# By serial numbers, by old numbers


def _holding(
    session: Session,
    text: str,
    terms: Sequence[str],
    registry_ids: Collection[str],
    before: int | None,
) -> Sequence[HistoricCancellation]:
    """Return the cancellations that took the unit of a serial number: at most one a registry."""
    if before is not None:
        return []
    everywhere = dict.fromkeys([*registry_ids, *facets(session)["registry"]])
    ids = [
        row.historic_id
        for row in recording.ranges_of_serial(session, text, list(everywhere))
        if row.historic_id is not None
    ]
    if not ids:
        return []
    wanted = _whole().where(HistoricCancellation.id.in_(ids))
    for term in terms:
        wanted = wanted.where(
            _has(term, HistoricCancellation.completed_at, HistoricCancellation.id)
        )
    return session.scalars(wanted).all()


def by_old_number(
    session: Session, text: str, registry_ids: Collection[str]
) -> Sequence[HistoricCancellation]:
    """Return what the number of an old certificate, or a serial number, stands for."""
    if recording.cer_serial(text):
        return _holding(session, text, [], registry_ids, None)
    return _rows(session, list(session.scalars(_ids_of_term(number_term(text)).limit(MOST_PARTS))))


def _ids_of_term(term: str) -> Select[int]:
    return select(HistoryTerm.historic_id).where(HistoryTerm.term == term)


def order_number(text: str) -> str:
    """Return the number of an order of the earlier platform as asked for; empty if it is none."""
    return text.strip() if _ORDER.fullmatch(text.strip()) else ""


def of_order(session: Session, order_ref: str) -> Sequence[HistoricCancellation]:
    """Return all that was cancelled for an order of the earlier platform, by its number there."""
    return session.scalars(
        _whole().where(HistoricCancellation.order_ref == order_ref).limit(MOST_PARTS)
    ).all()


def earlier_entry(session: Session, number: int) -> Sequence[HistoricCancellation]:
    """Return an imported cancellation with all others of the same order, itself the first.

    They belong together if they bear one number of an order, or else of a certificate.

    Raises:
        NotFoundError: there is none.

    """
    row = None
    if number <= MOST:
        row = session.scalar(_whole().where(HistoricCancellation.id == number))
    if row is None:
        raise NotFoundError(str(number))
    if row.order_ref:
        found = of_order(session, row.order_ref)
    elif row.reference:
        ids = session.scalars(_ids_of_term(number_term(row.reference)).limit(MOST_PARTS))
        found = _rows(session, list(ids))
    else:
        return [row]
    others = [each for each in found if each is not row and each.registry_id == row.registry_id]
    return [row, *others]

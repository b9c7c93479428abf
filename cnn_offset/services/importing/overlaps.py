"""What lies in the way of a range of units: in the database, and among rows read before."""

from __future__ import annotations

import json
from array import array
from bisect import bisect_left
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any, Final, NamedTuple

from sqlalchemy import (
    BigInteger,
    ColumnElement,
    FromClause,
    Integer,
    String,
    bindparam,
    cast,
    column,
    func,
    select,
)
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.orm import InstrumentedAttribute, Session, aliased

from cnn_offset.domain.units import SerialRange

_SAME_MOMENT: Final = timedelta(seconds=1)
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND: Final = timedelta(microseconds=1)


def touching(
    session: Session,
    kind: Any,
    registry_id: str,
    ranges: Sequence[SerialRange],
    *columns: InstrumentedAttribute[Any],
) -> dict[int, Any]:
    """Return the only row of ``kind`` that can hold units of each range, by the range's place.

    No two of its rows overlap, so it is the first that ends at or after the range's first
    unit; whether it begins in time is for the caller to see. One statement for all of them.
    """
    wanted = _wanted(session, [(each.series, each.first) for each in ranges])
    near = aliased(kind)
    nearest: ColumnElement[int] = (
        select(near.id)
        .where(
            near.registry_id == registry_id,
            near.series == wanted.c.series,
            near.last >= wanted.c.first,
        )
        .order_by(near.last)
        .limit(1)
        .correlate(wanted)
        .scalar_subquery()
    )
    rows = session.execute(
        select(wanted.c.place, kind.first, kind.last, *columns)
        .select_from(wanted)
        .join(kind, kind.id == nearest)
    )
    return {row.place: row for row in rows}


def _wanted(session: Session, pairs: Sequence[tuple[str, int]]) -> FromClause:
    if session.get_bind().dialect.name == "sqlite":
        text = json.dumps(pairs)
        each = func.json_each(bindparam("wanted", text)).table_valued("key", "value", name="each")
        return select(
            cast(each.c.key, Integer).label("place"),
            func.json_extract(each.c.value, "$[0]").label("series"),
            func.json_extract(each.c.value, "$[1]").label("first"),
        ).cte("wanted")
    objects = [
        {"place": place, "series": series, "first": first}
        for place, (series, first) in enumerate(pairs)
    ]
    return (
        func.jsonb_to_recordset(cast(bindparam("wanted", objects, type_=JSONB), JSONB))
        .table_valued(
            column("place", Integer),
            column("series", String),
            column("first", BigInteger),
            name="wanted",
        )
        .render_derived(with_types=True)
    )


class Known(NamedTuple):
    """A range that is there already."""

    first: int
    last: int
    moment: datetime | None
    ref: str
    """The number of its project; empty if that need not be compared."""

    def is_same(self, wanted: SerialRange, moment: datetime, ref: str) -> bool:
        """Whether it is the very thing that another row tells."""
        return (
            (self.first, self.last) == (wanted.first, wanted.last)
            and self.moment is not None
            # A spreadsheet rounds what a registry wrote to the millionth of a second.
            and abs(self.moment - moment) < _SAME_MOMENT
            and self.ref in ("", ref)
        )


class Taken:
    """Ranges that earlier rows of the file have taken: four numbers for each."""

    def __init__(self) -> None:
        self._series: dict[str, tuple[array[int], ...]] = {}

    def find(self, wanted: SerialRange) -> Known | None:
        """Return a range that shares a unit with ``wanted``."""
        firsts, lasts, moments, refs = self._series.get(wanted.series, (array("q"),) * 4)
        at = bisect_left(lasts, wanted.first)
        if at < len(firsts) and firsts[at] <= wanted.last:
            moment = _EPOCH + moments[at] * _MICROSECOND
            return Known(firsts[at], lasts[at], moment, str(refs[at]))
        return None

    def add(self, taken: SerialRange, moment: datetime, ref: str) -> None:
        """Keep a range, which must not overlap any other."""
        firsts, lasts, moments, refs = self._series.setdefault(
            taken.series, (array("q"), array("q"), array("q"), array("q"))
        )
        at = bisect_left(lasts, taken.first)
        firsts.insert(at, taken.first)
        lasts.insert(at, taken.last)
        moments.insert(at, (moment - _EPOCH) // _MICROSECOND)
        refs.insert(at, int(ref))


def near(found: Mapping[int, Any], place: int, wanted: SerialRange) -> Any | None:
    """Return what :func:`touching` found for a range, if it does share a unit with it."""
    row = found.get(place)
    return row if row is not None and row.first <= wanted.last else None

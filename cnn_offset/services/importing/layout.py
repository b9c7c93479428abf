"""The headings of a file, and which of our columns each stands for."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import chain
from typing import Any, Final

from cnn_offset.services.importing.cells import Cells, Meaning, as_text
from cnn_offset.services.importing.faults import FileFaultError
from cnn_offset.services.importing.reading import Line, Source, lines
from cnn_offset.services.tables import word

Headings = Mapping[str, Sequence[str]]
"""Our columns, each by the headings that mean it if no mapping says otherwise."""
YES: Final = frozenset({"yes", "y", "true", "1", "oui", "si"})


@dataclass(frozen=True, slots=True)
class Row:
    """A row of a file, ready to be understood."""

    number: int
    cells: Cells
    raw: Sequence[Any]
    kept: bool
    """Whether the mapping takes such rows at all."""
    fault: str


@dataclass(frozen=True, slots=True)
class Layout:
    """A file and its headings."""

    source: Source
    headings: Sequence[str]
    places: Mapping[str, int]
    """Where our columns stand."""
    keep: Sequence[tuple[int, Collection[str]]]
    """Where something must be said for a row to be taken, and what."""
    meaning: Meaning

    def rows(self, after: int = 0) -> Iterator[Row]:
        """Yield the rows below the headings whose number is above ``after``."""
        wide = len(self.headings)
        repeated = [self.places[name] for name in self.source.plan.repeat]
        above: dict[int, Any] = {}
        for line in _body(self.source):
            raw, fault = line.cells, line.fault
            if repeated and not fault:
                raw = list(raw) + [None] * (wide - len(raw))
                for place in repeated:
                    if as_text(raw[place]):
                        above[place] = raw[place]
                    raw[place] = above.get(place)
            if line.number <= after:
                continue
            if not fault and any(as_text(cell) for cell in raw[wide:]):
                fault = f"it has more cells than there are headings ({wide})"
            values = {name: raw[place] for name, place in self.places.items() if place < len(raw)}
            kept = bool(fault) or all(
                place < len(raw) and word(as_text(raw[place])) in wanted
                for place, wanted in self.keep
            )
            yield Row(line.number, Cells(values, self.meaning), raw, kept, fault)


def _body(source: Source) -> Iterator[Line]:
    found = lines(source)
    next(found, None)
    return found


def lay_out(source: Source, columns: Headings) -> Layout:
    """Read the headings of a file.

    Raises:
        FileFaultError: it has none, one stands there twice, or the mapping names a column
            that we or the file do not have.

    """
    plan, name = source.plan, source.path.name
    first = next(lines(source), None)
    if first is None or first.fault:
        raise FileFaultError(f"{name} has no row of headings")
    headings = [as_text(cell) for cell in first.cells]
    while headings and not headings[-1]:
        headings.pop()
    known = ", ".join(columns)
    for mine in chain(plan.columns, plan.values, plan.defaults, plan.repeat):
        if mine not in columns:
            raise FileFaultError(f"the mapping names a column “{mine}”; there are {known}")
    places: dict[str, int] = {}
    for mine, usual in columns.items():
        told = plan.columns.get(mine)
        found = _place(name, headings, (told,) if told else usual)
        if told and found is None:
            raise FileFaultError(
                f"{name} has no column “{told}”, which the mapping says is {mine}; "
                f"it has {', '.join(filter(None, headings))}"
            )
        if found is not None:
            places[mine] = found
    for mine in plan.repeat:
        if mine not in places:
            raise FileFaultError(f"{name} has no column {mine}, which the mapping repeats")
    used = {mine: headings[place] for mine, place in places.items()}
    return Layout(source, headings, places, _kept(source, headings, places), Meaning.of(plan, used))


def _kept(
    source: Source, headings: Sequence[str], places: Mapping[str, int]
) -> list[tuple[int, Collection[str]]]:
    found: list[tuple[int, Collection[str]]] = []
    for said, wanted in source.plan.keep.items():
        place = places.get(said)
        if place is None:
            place = _place(source.path.name, headings, (said,))
        if place is None:
            raise FileFaultError(
                f"{source.path.name} has no column “{said}” to keep rows by; "
                f"it has {', '.join(filter(None, headings))}"
            )
        values = (wanted,) if isinstance(wanted, str) else wanted
        found.append((place, frozenset(word(each) for each in values)))
    if not found and "platform" in places:
        found.append((places["platform"], YES))
    return found


def _place(name: str, headings: Sequence[str], wanted: Sequence[str]) -> int | None:
    for each in wanted:
        found = [place for place, heading in enumerate(headings) if word(heading) == word(each)]
        if len(found) > 1:
            raise FileFaultError(
                f"{name} has the column “{headings[found[0]]}” twice; name another in the mapping"
            )
        if found:
            return found[0]
    return None


def require(layout: Layout, *names: str) -> None:
    """Refuse a file without a column that nothing stands in for.

    Raises:
        FileFaultError: it names the column.

    """
    for name in names:
        if name not in layout.places and name not in layout.source.plan.defaults:
            raise FileFaultError(
                f"{layout.source.path.name} has no column for {name}; "
                f"name it in the mapping. It has {', '.join(filter(None, layout.headings))}"
            )

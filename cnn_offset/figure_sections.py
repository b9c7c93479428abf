"""Sections of figures: one table each, what it counts, and its chart."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Final

from flask_babel import gettext

from cnn_offset.blueprints.catalogue.words import TECHNOLOGIES
from cnn_offset.charts import Chart, columns, lying
from cnn_offset.domain.money import Money
from cnn_offset.domain.period import Period
from cnn_offset.domain.status import OrderStatus
from cnn_offset.domain.text import N_
from cnn_offset.domain.units import UnitType
from cnn_offset.i18n import (
    UNIT_LABELS,
    country_name,
    language,
    number,
    status_text,
)
from cnn_offset.reports import period_title, registry_title
from cnn_offset.services.figures import Count, Figures, Point

Cell = str | int | Decimal | Money | None
"""A text, a whole number, per cent, an amount, or nothing to be said."""

KINDS: Final[Mapping[str, str]] = {
    "person": N_("Private persons"),
    "company": N_("Companies and organisations"),
}
BY_ORDER: Final = N_("Orders belong to the day they were placed; days are those of UTC.")
BY_CANCELLATION: Final = N_(
    "Units belong to the day on which the registry confirmed their cancellation, as in the "
    "public record."
)


@dataclass(frozen=True, slots=True)
class Section:
    """One table. The first cell of a row names it."""

    key: str
    title: str
    definition: str
    headings: Sequence[str]
    rows: Sequence[Sequence[Cell]]
    empty: str
    """What is said instead of a table without rows."""
    chart: Chart | None = None


def per_cent(part: int, whole: int) -> Decimal | None:
    """Return ``part`` of ``whole`` in per cent, to one place, half rounded up; None of nothing."""
    return Decimal((part * 2000 + whole) // (2 * whole)) / 10 if whole else None


def shared(now: Figures, before: Figures) -> list[Section]:
    """Return the sections that the Board and everybody see."""
    return [
        _purchasers(now, before),
        *(
            by_dimension("cancelled", dimension, title, gettext(BY_CANCELLATION), now, before)
            for dimension, title in (
                ("unit_type", gettext("Units cancelled by kind of unit")),
                ("host", gettext("Units cancelled by host country")),
                ("technology", gettext("Units cancelled by technology")),
                ("registry", gettext("Units cancelled by registry")),
            )
        ),
        _countries(now, before),
    ]  # fmt: skip


def _write(value: int) -> str:
    return number(value, language())


def _unit(value: str) -> str:
    return gettext(UNIT_LABELS[UnitType(value)]) if value in set(UnitType) else value


def _country(value: str) -> str:
    return country_name(value, language())


def _technology(value: str) -> str:
    if not value:
        return str(gettext("Project not known here"))
    return gettext(TECHNOLOGIES[value]) if value in TECHNOLOGIES else value


_DIMENSIONS: Final[Mapping[str, tuple[str, Callable[[str], str]]]] = {
    "unit_type": (N_("Kind of unit"), _unit),
    "host": (N_("Host country"), _country),
    "technology": (N_("Technology"), _technology),
    "registry": (N_("Registry"), registry_title),
}


def _kind(value: str) -> str:
    return gettext(KINDS[value]) if value in KINDS else value


def course(points: Sequence[Point]) -> Section:
    """Return the course of a period, by days or months."""
    by_days = bool(points) and points[0].period.kind == "days"
    return _points(
        "course",
        gettext("Day by day") if by_days else gettext("Month by month"),
        gettext("Day") if by_days else gettext("Month"),
        points,
        lambda part: str(part.first.day) if by_days else f"{part.first.month:02d}",
        lambda part: part.first.isoformat() if by_days else period_title(part),
    )


def years(points: Sequence[Point]) -> Section:
    """Return all years since the beginning."""
    return _points(
        "years",
        gettext("Year by year, since the beginning"),
        gettext("Year"),
        points,
        lambda part: part.code,
        period_title,
    )


def _points(
    key: str,
    title: str,
    heading: str,
    points: Sequence[Point],
    label: Callable[[Period], str],
    name: Callable[[Period], str],
) -> Section:
    drawn = [
        (label(each.period), name(each.period), each.cancelled.units + each.earlier.units)
        for each in points
    ]
    any_earlier = any(each.earlier.number for each in points)
    any_units = any(units for _, _, units in drawn)
    rows = [
        (
            name(each.period),
            each.placed.number,
            each.cancelled.units,
            each.companies.units,
            per_cent(each.companies.units, each.cancelled.units),
            each.persons.units,
            per_cent(each.persons.units, each.cancelled.units),
            *([each.earlier.units] if any_earlier else []),
        )
        for each in points
        if each.placed.number or each.cancelled.number or each.earlier.number
    ]
    return Section(
        key,
        title,
        " ".join([gettext(BY_ORDER), gettext(BY_CANCELLATION)]),
        [
            heading,
            gettext("Orders placed"),
            gettext("Units cancelled"),
            gettext("For companies"),
            gettext("Companies’ share in per cent"),
            gettext("For private persons"),
            gettext("Persons’ share in per cent"),
            *([gettext("Units, earlier platform")] if any_earlier else []),
        ],
        rows,
        gettext("Nothing was ordered or cancelled in this period."),
        columns(
            drawn,
            title=gettext("Units cancelled, both platforms: %(title)s", title=title)
                  if any_earlier else gettext("Units cancelled: %(title)s", title=title),
            description=gettext("Columns as high as the units cancelled. %(highest)s The table "
                                "below has all figures.", highest=_highest(drawn)),
            write=_write,
        ) if any_units and len(drawn) > 1 else None,
    )  # fmt: skip


def _highest(drawn: Sequence[tuple[str, str, int]]) -> str:
    name, units = max(((name, units) for _, name, units in drawn), key=lambda pair: pair[1])
    return str(gettext("The highest is %(name)s: %(number)s.", name=name, number=_write(units)))


def statuses(now: Figures, before: Figures) -> Section:
    """Return what has become of the orders of a period."""
    found, earlier = now.by("placed", "status"), before.by("placed", "status")
    total = now.total("placed").number
    return Section(
        "status",
        gettext("Orders placed in the period, as they stand now"),
        " ".join([
            gettext(BY_ORDER),
            gettext("A later change, such as a refund, shows at the order’s own day."),
        ]),
        [
            gettext("Status"),
            gettext("Orders"),
            gettext("Share in per cent"),
            gettext("Units"),
            gettext("Orders before"),
        ],
        [
            (
                status_text(each),
                found.get(each, Count()).number,
                per_cent(found.get(each, Count()).number, total),
                found.get(each, Count()).units,
                earlier.get(each, Count()).number,
            )
            for each in OrderStatus
            if each in found or each in earlier
        ],
        gettext("No order was placed in this period."),
    )  # fmt: skip


def _purchasers(now: Figures, before: Figures) -> Section:
    placed, cancelled = now.by("placed", "purchaser"), now.by("cancelled", "purchaser")
    earlier = before.by("cancelled", "purchaser")
    orders, units = now.total("placed").number, now.total("cancelled").units
    rows = [
        (
            _kind(each),
            placed.get(each, Count()).number,
            per_cent(placed.get(each, Count()).number, orders),
            cancelled.get(each, Count()).units,
            per_cent(cancelled.get(each, Count()).units, units),
            earlier.get(each, Count()).units,
        )
        for each in KINDS
        if each in placed or each in cancelled or each in earlier
    ]
    title = gettext("Purchasers by type")
    return Section(
        "purchaser",
        title,
        " ".join([gettext(BY_ORDER), gettext(BY_CANCELLATION)]),
        [
            gettext("Purchasers"),
            gettext("Orders placed"),
            gettext("Share of orders in per cent"),
            gettext("Units cancelled"),
            gettext("Share of units in per cent"),
            gettext("Units cancelled before"),
        ],
        rows,
        gettext("Nothing was ordered or cancelled in this period."),
        _bars(title, gettext("units cancelled"), {name: each.units for name, each in
              ((_kind(key), value) for key, value in cancelled.items())}),
    )  # fmt: skip


def _bars(title: str, what: str, values: Mapping[str, int]) -> Chart | None:
    drawn = [(name, value) for name, value in values.items() if value]
    if not drawn:
        return None
    return lying(
        drawn,
        title=title,
        description=gettext(
            "Bars as long as the number: %(what)s. The longest is %(name)s with %(number)s. "
            "The table below has all figures.",
            what=what,
            name=drawn[0][0],
            number=_write(drawn[0][1]),
        ),
        write=_write,
    )


def by_dimension(
    measure: str, dimension: str, title: str, definition: str, now: Figures, before: Figures
) -> Section:
    """Return units cancelled by kind, host country, technology or registry."""
    found, earlier = now.by(measure, dimension), before.by(measure, dimension)
    total = now.total(measure).units
    heading, word = _DIMENSIONS[dimension]
    return Section(
        dimension if measure == "cancelled" else f"{measure}-{dimension}",
        title,
        definition,
        [
            gettext(heading),
            gettext("Cancellations"),
            gettext("Units"),
            gettext("Share of units in per cent"),
            gettext("Units before"),
        ],
        [
            (
                word(value),
                found.get(value, Count()).number,
                found.get(value, Count()).units,
                per_cent(found.get(value, Count()).units, total),
                earlier.get(value, Count()).units,
            )
            for value in [*found, *(each for each in earlier if each not in found)]
        ],
        gettext("No unit was cancelled in this period."),
        _bars(
            title,
            gettext("units cancelled"),
            {word(value): each.units for value, each in found.items()},
        ),
    )


def _countries(now: Figures, before: Figures) -> Section:
    found, earlier = now.by("placed", "country"), before.by("placed", "country")
    total = now.total("placed").number
    order = sorted({*found, *earlier}, key=lambda each: (
        -found.get(each, Count()).number, -earlier.get(each, Count()).number, _country(each)
    ))  # fmt: skip
    title = gettext("Orders by country of the purchaser")
    return Section(
        "country",
        title,
        gettext(BY_ORDER),
        [
            gettext("Country"),
            gettext("Orders"),
            gettext("Share in per cent"),
            gettext("Units"),
            gettext("Orders before"),
        ],
        [
            (
                _country(value),
                found.get(value, Count()).number,
                per_cent(found.get(value, Count()).number, total),
                found.get(value, Count()).units,
                earlier.get(value, Count()).number,
            )
            for value in order
        ],
        gettext("No order was placed in this period."),
        _bars(
            title,
            gettext("orders placed"),
            {_country(value): found[value].number for value in order if value in found},
        ),
    )

"""The figures of a period as tables with their charts, in the reader's language.

Page, CSV, workbook, PDF and public page are all made of the same sections, so that none of
them can say something else than the others. Each says what it counts.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Final

from flask_babel import gettext, ngettext
from sqlalchemy.orm import Session

from cnn_offset.blueprints.catalogue.words import TECHNOLOGIES
from cnn_offset.charts import Chart, columns, lying
from cnn_offset.domain.money import Money
from cnn_offset.domain.period import Period
from cnn_offset.domain.status import OrderStatus
from cnn_offset.domain.text import N_
from cnn_offset.domain.units import UnitType
from cnn_offset.i18n import (
    LANGUAGES,
    UNIT_LABELS,
    country_name,
    language,
    number,
    status_text,
)
from cnn_offset.reports import method_title, period_title, registry_title
from cnn_offset.services import figures
from cnn_offset.services.figures import Count, Figures, Point
from cnn_offset.services.tallying import MINUTES

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
BY_PAYMENT: Final = N_(
    "Orders belong to the day their payment was found to be exact; amounts in different "
    "currencies are never added up."
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


def board(session: Session, period: Period) -> tuple[Figures, list[Section]]:
    """Return the figures of a period and all sections of the Board report."""
    now, before = figures.read(session, period), figures.read(session, period.previous)
    return now, [
        _summary(now, before),
        _course(figures.course(session, period)),
        _statuses(now, before),
        *_shared(now, before),
        _money(
            "paid",
            gettext("Payments by method"),
            gettext(BY_PAYMENT),
            gettext("No order was paid in this period."),
            now,
            before,
        ),
        _money(
            "refunded",
            gettext("Refunds by method"),
            gettext("Refunds belong to the day on which the money went back."),
            gettext("No money went back in this period."),
            now,
            before,
        ),
        _times(now, before),
        _visits(now, before),
    ]


def published(session: Session, period: Period) -> tuple[Figures, list[Section]]:
    """Return the figures of a period and the sections that everybody may see."""
    now, before = figures.read(session, period), figures.read(session, period.previous)
    return now, [
        _summary(now, before, public=True),
        _course(figures.course(session, period)),
        *_shared(now, before),
        _years(figures.by_years(session)),
    ]


def _shared(now: Figures, before: Figures) -> list[Section]:
    return [
        _purchasers(now, before),
        _cancelled("unit_type", gettext("Units cancelled by kind of unit"),
                   gettext("Kind of unit"), _unit, now, before),
        _cancelled("host", gettext("Units cancelled by host country"),
                   gettext("Host country"), _country, now, before),
        _cancelled("technology", gettext("Units cancelled by technology"),
                   gettext("Technology"), _technology, now, before),
        _cancelled("registry", gettext("Units cancelled by registry"),
                   gettext("Registry"), registry_title, now, before),
        _countries(now, before),
    ]  # fmt: skip


def _write(value: int) -> str:
    return number(value, language())


def _unit(value: str) -> str:
    return gettext(UNIT_LABELS[UnitType(value)]) if value in set(UnitType) else value


def _country(value: str) -> str:
    return country_name(value, language())


def _technology(value: str) -> str:
    return gettext(TECHNOLOGIES[value]) if value in TECHNOLOGIES else value


def _kind(value: str) -> str:
    return gettext(KINDS[value]) if value in KINDS else value


def _summary(now: Figures, before: Figures, *, public: bool = False) -> Section:
    def both(measure: str) -> tuple[Count, Count]:
        return now.total(measure), before.total(measure)

    placed, placed_before = both("placed")
    paid, paid_before = both("paid")
    cancelled, cancelled_before = both("cancelled")
    rows: list[tuple[str, int, int]] = [
        (gettext("Orders placed"), placed.number, placed_before.number),
        (gettext("Orders paid"), paid.number, paid_before.number),
        (gettext("Cancellations"), cancelled.number, cancelled_before.number),
        (gettext("Units cancelled (tonnes of CO₂ equivalent)"), cancelled.units,
         cancelled_before.units),
        (gettext("Host countries of the units"), len(now.by("cancelled", "host")),
         len(before.by("cancelled", "host"))),
        (gettext("Countries of purchasers"), len(now.by("placed", "country")),
         len(before.by("placed", "country"))),
    ]  # fmt: skip
    if not public:
        refunded, refunded_before = both("refunded")
        attested, attested_before = both("attested")
        rows += [
            (gettext("Refunds"), refunded.number, refunded_before.number),
            (gettext("Attestations issued"), attested.number, attested_before.number),
            (gettext("Visits"), now.all_visits, before.all_visits),
        ]
    return Section(
        "summary",
        gettext("At a glance"),
        " ".join([gettext(BY_ORDER), gettext(BY_CANCELLATION)]),
        [
            gettext("What is counted"),
            period_title(now.period),
            gettext("Before: %(period)s", period=period_title(before.period)),
            gettext("Change in per cent"),
        ],
        [(name, new, old, _change(new, old)) for name, new, old in rows],
        "",
    )


def _change(new: int, old: int) -> Decimal | None:
    """Return by how many per cent it has grown; None if it has grown from nothing."""
    if not old:
        return None
    grown = per_cent(abs(new - old), old)
    return grown if grown is None or new >= old else -grown


def _course(points: Sequence[Point]) -> Section:
    by_days = bool(points) and points[0].period.kind == "days"
    return _points(
        "course",
        gettext("Day by day") if by_days else gettext("Month by month"),
        gettext("Day") if by_days else gettext("Month"),
        points,
        lambda part: str(part.first.day) if by_days else f"{part.first.month:02d}",
        lambda part: part.first.isoformat() if by_days else period_title(part),
    )


def _years(points: Sequence[Point]) -> Section:
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
    drawn = [(label(each.period), name(each.period), each.cancelled.units) for each in points]
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
        )
        for each in points
        if each.placed.number or each.cancelled.number
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
        ],
        rows,
        gettext("Nothing was ordered or cancelled in this period."),
        columns(
            drawn,
            title=gettext("Units cancelled: %(title)s", title=title),
            description=gettext("Columns as high as the units cancelled. %(highest)s The table "
                                "below has all figures.", highest=_highest(drawn)),
            write=_write,
        ) if any_units and len(drawn) > 1 else None,
    )  # fmt: skip


def _highest(drawn: Sequence[tuple[str, str, int]]) -> str:
    name, units = max(((name, units) for _, name, units in drawn), key=lambda pair: pair[1])
    return str(gettext("The highest is %(name)s: %(number)s.", name=name, number=_write(units)))


def _statuses(now: Figures, before: Figures) -> Section:
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


def _cancelled(
    dimension: str,
    title: str,
    heading: str,
    word: Callable[[str], str],
    now: Figures,
    before: Figures,
) -> Section:
    found, earlier = now.by("cancelled", dimension), before.by("cancelled", dimension)
    total = now.total("cancelled").units
    return Section(
        dimension,
        title,
        gettext(BY_CANCELLATION),
        [
            heading,
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


def _money(
    measure: str, title: str, definition: str, empty: str, now: Figures, before: Figures
) -> Section:
    found, earlier = now.by(measure, "money"), before.by(measure, "money")

    def amount(value: str, counts: Mapping[str, Count]) -> Money:
        currency = value.rpartition(":")[2]
        return Money(counts.get(value, Count()).minor, currency)

    def word(value: str) -> str:
        method_id, _, currency = value.rpartition(":")
        return f"{method_title(method_id)}, {currency}"

    is_paid = measure == "paid"
    return Section(
        measure,
        title,
        definition,
        [
            gettext("Method of payment"),
            gettext("Orders") if is_paid else gettext("Refunds"),
            gettext("Amount"),
            gettext("Amount before"),
        ],
        [
            (
                word(value),
                found.get(value, Count()).number,
                amount(value, found),
                amount(value, earlier),
            )
            for value in sorted({*found, *earlier})
        ],
        empty,
    )


def _times(now: Figures, before: Figures) -> Section:
    total, so_far, rows = now.total("attested").number, 0, []
    for limit, issued in now.times:
        so_far += issued
        rows.append((duration(limit), issued, so_far, per_cent(so_far, total)))
    said = [
        gettext(
            "From the payment being found exact to the attestation being issued, of orders "
            "fulfilled in the period."
        )
    ]
    for each, words in (
        (now, N_("Half of them took %(half)s at most, nine of ten took %(nine)s at most.")),
        (before, N_("In the period before it was %(half)s and %(nine)s.")),
    ):
        half, nine = each.minutes(50), each.minutes(90)
        if half is not None and nine is not None:
            said.append(gettext(words, half=duration(half), nine=duration(nine)))
    return Section(
        "times",
        gettext("From payment to attestation"),
        " ".join(said),
        [
            gettext("Time, at most"),
            gettext("Attestations"),
            gettext("So far"),
            gettext("So far in per cent"),
        ],
        rows,
        gettext("No attestation was issued in this period."),
    )


def duration(minutes: int) -> str:
    """Write a limit of ``MINUTES`` in words; more than the last of them as such."""
    if minutes > MINUTES[-1]:
        return str(gettext("more than a year"))
    if minutes % 1440 == 0:
        return str(ngettext("%(num)s day", "%(num)s days", minutes // 1440))
    if minutes % 60 == 0:
        return str(ngettext("%(num)s hour", "%(num)s hours", minutes // 60))
    return str(ngettext("%(num)s minute", "%(num)s minutes", minutes))


def _visits(now: Figures, before: Figures) -> Section:
    return Section(
        "visits",
        gettext("Visits by language"),
        gettext(
            "A visit is a page opened from elsewhere than this site, by anything that does not "
            "say it is a machine. Nothing is stored with the visitor, and nothing is kept of "
            "whom: only how many there were on each day."
        ),
        [
            gettext("Language"),
            gettext("Visits"),
            gettext("Share in per cent"),
            gettext("Visits before"),
        ],
        [
            (
                LANGUAGES.get(code, code),
                now.visits.get(code, 0),
                per_cent(now.visits.get(code, 0), now.all_visits),
                before.visits.get(code, 0),
            )
            for code in sorted({*now.visits, *before.visits})
        ],
        gettext("No visit was counted in this period."),
    )

"""The figures of a period as tables with their charts, in the reader's language.

Page, CSV, workbook, PDF and public page are all made of the same sections, so that none of
them can say something else than the others. Each says what it counts.
"""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal
from typing import Final

from flask_babel import gettext, ngettext
from sqlalchemy.orm import Session

from cnn_offset.domain.casework import CaseKind
from cnn_offset.domain.money import Money
from cnn_offset.domain.period import Period
from cnn_offset.domain.text import N_
from cnn_offset.figure_earlier import earlier, since_the_beginning
from cnn_offset.figure_sections import (
    BY_CANCELLATION,
    BY_ORDER,
    Cell,
    Section,
    course,
    per_cent,
    shared,
    statuses,
    years,
)
from cnn_offset.i18n import LANGUAGES, status_text
from cnn_offset.reports import method_title, period_title
from cnn_offset.services import figures
from cnn_offset.services.figures import Count, Figures
from cnn_offset.services.tallying import MINUTES

__all__ = ["Cell", "Section", "board", "published"]

BY_PAYMENT: Final = N_(
    "Orders belong to the day their payment was found to be exact; amounts in different "
    "currencies are never added up."
)


def board(session: Session, period: Period) -> tuple[Figures, list[Section]]:
    """Return the figures of a period and all sections of the Board report."""
    now, before = figures.read(session, period), figures.read(session, period.previous)
    return now, [
        _summary(now, before),
        course(figures.course(session, period)),
        statuses(now, before),
        *shared(now, before),
        *earlier(now, before),
        *since_the_beginning(figures.by_years(session)),
        _money(
            "placed",
            gettext("Orders placed by currency"),
            " ".join(
                [
                    gettext(BY_ORDER),
                    gettext("Amounts in different currencies are never added up."),
                ]
            ),
            gettext("No order was placed in this period."),
            now,
            before,
        ),
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
        _cases(now, before),
        _visits(now, before),
    ]


def published(session: Session, period: Period) -> tuple[Figures, list[Section]]:
    """Return the figures of a period and the sections that everybody may see."""
    now, before = figures.read(session, period), figures.read(session, period.previous)
    all_years = figures.by_years(session)
    return now, [
        _summary(now, before, public=True),
        course(figures.course(session, period)),
        *shared(now, before),
        *earlier(now, before),
        years(all_years),
        *since_the_beginning(all_years),
    ]


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
    old, old_before = both("earlier")
    if old.number or old_before.number:
        rows += [
            (gettext("Cancellations on the earlier platform"), old.number, old_before.number),
            (gettext("Units cancelled on the earlier platform"), old.units, old_before.units),
        ]
    if not public:
        refunded, refunded_before = both("refunded")
        attested, attested_before = both("attested")
        rows += [
            (gettext("Refunds"), refunded.number, refunded_before.number),
            (gettext("Attestations issued"), attested.number, attested_before.number),
            (
                gettext("Attestations corrected"),
                now.total("corrected").number,
                before.total("corrected").number,
            ),
            (gettext("Cases opened"), now.total("cases").number, before.total("cases").number),
            (
                gettext("Cases that became claims"),
                *(
                    sum(each.number for each in found.by("cases", "claims").values())
                    for found in (now, before)
                ),
            ),
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


def _money(
    measure: str, title: str, definition: str, empty: str, now: Figures, before: Figures
) -> Section:
    by_method = measure != "placed"
    dimension = "money" if by_method else "currency"
    found, earlier = now.by(measure, dimension), before.by(measure, dimension)

    def amount(value: str, counts: Mapping[str, Count]) -> Money:
        currency = value.rpartition(":")[2]
        return Money(counts.get(value, Count()).minor, currency)

    def word(value: str) -> str:
        method_id, _, currency = value.rpartition(":")
        return f"{method_title(method_id)}, {currency}" if by_method else currency

    return Section(
        measure,
        title,
        definition,
        [
            gettext("Method of payment") if by_method else gettext("Currency"),
            gettext("Refunds") if measure == "refunded" else gettext("Orders"),
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
            gettext("Attestations issued"),
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


def _cases(now: Figures, before: Figures) -> Section:
    found, earlier = now.by("cases", "kind"), before.by("cases", "kind")
    total = now.total("cases").number
    return Section(
        "cases",
        gettext("Cases by kind"),
        gettext("Cases belong to the day on which they were opened."),
        [
            gettext("Kind of case"),
            gettext("Cases opened"),
            gettext("Share in per cent"),
            gettext("Cases before"),
        ],
        [
            (
                status_text(each),
                found.get(each, Count()).number,
                per_cent(found.get(each, Count()).number, total),
                earlier.get(each, Count()).number,
            )
            for each in CaseKind
            if each in found or each in earlier
        ],
        gettext("No case was opened in this period."),
    )


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

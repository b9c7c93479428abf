"""Fees in the reader's words: rates, tiers, and statements as files."""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Iterator, Sequence
from decimal import Decimal
from typing import Final

from babel.numbers import format_percent
from flask import Response, render_template, stream_with_context
from flask_babel import force_locale, gettext
from sqlalchemy.orm import Session

from cnn_offset.domain.fee import HIGHEST, WHOLE, Tier, percent
from cnn_offset.domain.money import Money
from cnn_offset.domain.period import Period
from cnn_offset.domain.units import UnitType
from cnn_offset.extensions import db, platform
from cnn_offset.i18n import language, status_text
from cnn_offset.models import FeeSchedule, FeeStatement, FeeStatementLine
from cnn_offset.reports import BOM, Cell, period_title, plain_cell
from cnn_offset.services import fee_statements

MOST_LINES: Final = 200
"""Lines that a statement shows; of more the file has them all."""
_RATE: Final = re.compile(r"([0-9]{1,3})(?:[.,]([0-9]{1,2}))?")


def rate(basis_points: int) -> str:
    """Write a rate as people do: ``2.5%``, in French ``2,5 %``."""
    lang = {"en": "en_GB"}.get(language(), language())
    return str(
        format_percent(Decimal(basis_points) / WHOLE, locale=lang, decimal_quantization=False)
    )


def read_rate(text: str) -> int:
    """Read a rate in per cent, of at most two decimals after a point or a comma.

    Raises:
        ValueError: it is none, or beyond all sense.

    """
    found = _RATE.fullmatch(text.strip().removesuffix("%").strip())
    if found is None:
        raise ValueError(text)
    points = int(found[1]) * 100 + int((found[2] or "").ljust(2, "0"))
    if points > HIGHEST:
        raise ValueError(text)
    return points


def written_rate(basis_points: int) -> str:
    """Write a rate so that :func:`read_rate` reads it, for forms."""
    text = percent(basis_points)
    return text if language() == "en" else text.replace(".", ",")


def tiers(schedule: FeeSchedule) -> list[tuple[UnitType, int, int | None, int]]:
    """Return the lines of a schedule: kind of unit, first and last unit, rate."""
    return [
        (kind, tier.after + 1, _last(own, at), tier.basis_points)
        for kind, own in schedule.table.items()
        for at, tier in enumerate(own)
    ]


def _last(own: Sequence[Tier], at: int) -> int | None:
    return own[at + 1].after if at + 1 < len(own) else None


def month(statement: FeeStatement) -> str:
    """Return the month of a statement, as people call it."""
    return period_title(Period.parse(statement.month))


def draw_statement(session: Session, statement: FeeStatement, lang: str) -> bytes:
    """Draw a statement as a PDF. Heavy: the PDF libraries."""
    from cnn_offset.attestations.render import draw
    from cnn_offset.papers import printable

    settings = platform().settings
    lines = fee_statements.lines_of(session, statement.id, limit=MOST_LINES + 1)
    with force_locale(lang):
        site = settings.SITE_NAME or gettext("Tonne by Tonne")
        page = render_template(
            "papers/fee_statement.html",
            statement=statement,
            to={name: printable(_tuple(value)) for name, value in statement.data.items()},
            site=site,
            contact=settings.CONTACT_EMAIL,
            month=month(statement),
            lines=[(each.order, Money(each.amount_minor, statement.currency)) for each in lines][
                :MOST_LINES
            ],
            more=len(lines) > MOST_LINES,
            lang=lang,
        )
        title = gettext("Statement of fees")
    return draw(page, {"title": f"{title} {statement.number}", "author": site})


def _tuple(value: object) -> object:
    return tuple(value) if isinstance(value, list) else value


def statement_csv(session: Session, statement: FeeStatement) -> Iterator[str]:
    """Yield all lines of a statement as CSV, in parts."""
    yield _csv([_line_head()], head=True)
    after = 0
    while True:
        part = fee_statements.lines_of(session, statement.id, after=after, limit=500)
        yield _csv([_line(statement, each) for each in part])
        if len(part) < 500:
            return
        after = part[-1].order_id


def _line_head() -> Sequence[Cell]:
    return (
        gettext("Statement of fees"),
        gettext("Order"),
        gettext("Paid (UTC)"),
        gettext("Total"),
        gettext("Fee"),
        gettext("Currency"),
    )


def _line(statement: FeeStatement, line: FeeStatementLine) -> Sequence[Cell]:
    return (
        statement.number,
        line.order.code,
        line.order.paid_at,
        line.order.total.amount,
        Money(line.amount_minor, statement.currency).amount,
        statement.currency,
    )


def statements_csv(rows: Sequence[FeeStatement]) -> str:
    """Write statements as CSV, one a line."""
    head = (
        gettext("Statement of fees"),
        gettext("Provider"),
        gettext("Month"),
        gettext("Issued (UTC)"),
        gettext("Total"),
        gettext("Currency"),
        gettext("Status"),
    )
    cells: list[Sequence[Cell]] = [
        (
            each.number,
            str(each.data["name"]),
            each.month,
            each.issued_at,
            each.total.amount,
            each.currency,
            status_text(each.status),
        )
        for each in rows
    ]
    return _csv([head, *cells], head=True)


def _csv(rows: Sequence[Sequence[Cell]], *, head: bool = False) -> str:
    text = io.StringIO()
    if head:
        text.write(BOM)
    csv.writer(text).writerows([plain_cell(cell) for cell in row] for row in rows)
    return text.getvalue()


def as_pdf(statement: FeeStatement) -> Response:
    """Answer with a statement as a file to keep."""
    data = draw_statement(db.session(), statement, language())
    return _file(Response(data, mimetype="application/pdf"), f"{statement.number}.pdf")


def as_csv(statement: FeeStatement) -> Response:
    """Answer with the lines of a statement, while they are being read."""
    parts = stream_with_context(statement_csv(db.session(), statement))
    return _file(Response(parts, mimetype="text/csv"), f"{statement.number}.csv")


def _file(response: Response, name: str) -> Response:
    response.headers.set("Content-Disposition", "attachment", filename=name)
    return response

"""The monthly report to a provider."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import nullcontext
from typing import Final

from flask_babel import gettext
from sqlalchemy.orm import Session

from cnn_offset import reports
from cnn_offset.domain.money import Money
from cnn_offset.domain.period import Period
from cnn_offset.extensions import public_url
from cnn_offset.i18n import language, money_text, number
from cnn_offset.mail.letters.letter import Attachment, Letter, Writer
from cnn_offset.models import Message, Provider
from cnn_offset.services import reporting

MOST_ROWS: Final = 10_000
"""Orders of a month that still go into a mail; of more the page has the file."""


def _money(money: Money) -> str:
    return money_text(money.minor, money.currency, language())


def _figures(found: reporting.Report) -> list[tuple[str, str]]:
    lang = language()
    lines = []
    for each in found.sold:
        currency = each.total.currency
        lines += [
            (gettext("Orders paid, %(currency)s", currency=currency), number(each.orders, lang)),
            (gettext("Units sold, %(currency)s", currency=currency), number(each.units, lang)),
            (gettext("Sales, %(currency)s", currency=currency), _money(each.total)),
        ]
    for taken in found.takings:
        method = f"{reports.method_title(taken.method_id)}, {taken.received.currency}"
        lines.append((gettext("Received: %(method)s", method=method), _money(taken.received)))
        if taken.refunds:
            lines.append((gettext("Refunded: %(method)s", method=method), _money(taken.refunded)))
        if taken.fees is not None:
            lines.append((gettext("Fees told: %(method)s", method=method), _money(taken.fees)))
    placed = sum(each.orders for each in found.placed)
    return [
        (gettext("Orders placed"), number(placed, lang)),
        *lines,
        (gettext("Units cancelled"), number(found.cancelled_units, lang)),
    ]


def _monthly_report(session: Session, message: Message) -> Letter:
    provider = session.get_one(Provider, message.params["provider_id"])
    month = Period.parse(message.params["period"])
    found = reporting.report(session, provider.id, month)
    title = reports.period_title(month)
    paragraphs = [
        gettext("These are the figures of %(provider)s for the month.", provider=provider.name)
    ]
    attachments = []
    if sum(each.orders for each in found.placed) <= MOST_ROWS:
        parts = reports.csv_parts(
            reports.TABLES["orders"], lambda: nullcontext(session), provider.id, month
        )
        name = f"{provider.slug}-orders-{month.code}.csv"
        attachments.append(Attachment(name, "text/csv", "".join(parts).encode()))
        paragraphs.append(gettext("The orders placed in the month are attached as a file."))
    return Letter(
        gettext("Report: %(period)s", period=title),
        paragraphs,
        _figures(found),
        link=(
            gettext("See the report"),
            public_url("provider.reports", lang=language(), period=month.code),
        ),
        closing=[
            gettext("All times are UTC. The mail can be switched off on the page of reports."),
        ],
        attachments=attachments,
    )


LETTERS: Final[Mapping[str, Writer]] = {"monthly_report": _monthly_report}
"""What each kind of mail says, by what it is about."""

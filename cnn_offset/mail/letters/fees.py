"""Mails about the platform's fees: a schedule to come, and the monthly statement."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from flask_babel import gettext
from sqlalchemy.orm import Session

from cnn_offset import fee_words
from cnn_offset.extensions import public_url
from cnn_offset.i18n import UNIT_LABELS, day_text, language, money_text, number
from cnn_offset.mail.letters.letter import Attachment, Letter, Writer
from cnn_offset.models import Message
from cnn_offset.services import fee_schedules, fee_statements


def _announced(session: Session, message: Message) -> Letter:
    schedule = fee_schedules.find(session, message.params["schedule_id"])
    lang = language()
    facts = []
    for kind, first, last, points in fee_words.tiers(schedule):
        span = (
            gettext("from unit %(first)s on", first=number(first, lang))
            if last is None
            else gettext(
                "units %(first)s to %(last)s", first=number(first, lang), last=number(last, lang)
            )
        )
        facts.append((f"{gettext(UNIT_LABELS[kind])}, {span}", fee_words.rate(points)))
    return Letter(
        gettext("Fees from %(day)s", day=day_text(schedule.holds_from, lang)),
        [
            gettext(
                "From %(day)s on this site charges a fee on the orders of your units, in steps "
                "by your sales of the calendar year. Orders placed before keep what they have.",
                day=day_text(schedule.holds_from, lang),
            ),
            schedule.reason,
            gettext(
                "It is for you to accept. If no owner of your organisation has accepted by then, "
                "your offers take no new orders until one does; nothing is charged without your "
                "consent."
            ),
        ],
        facts,
        link=(gettext("See and accept the fees"), public_url("provider.fees", lang=lang)),
    )


def _statement(session: Session, message: Message) -> Letter:
    found = fee_statements.find(session, message.params["statement_id"])
    lang = language()
    paragraphs = [
        gettext(
            "These are the fees of %(month)s that were not set aside from payments already, and "
            "what goes back to you because of refunds.",
            month=fee_words.month(found),
        )
    ]
    if found.total_minor > 0:
        paragraphs.append(gettext("How to pay it stands on the statement, which is attached."))
    else:
        paragraphs.append(gettext("There is nothing to pay. The statement is attached."))
    return Letter(
        gettext("Statement of fees %(number)s", number=found.number),
        paragraphs,
        [(gettext("Total"), money_text(found.total_minor, found.currency, lang))],
        link=(
            gettext("See the statement of fees"),
            public_url("provider.fee_statement", lang=lang, fee_statement_id=str(found.id)),
        ),
        attachments=[
            Attachment(
                f"{found.number}.pdf",
                "application/pdf",
                fee_words.draw_statement(session, found, lang),
            )
        ],
    )


LETTERS: Final[Mapping[str, Writer]] = {
    fee_schedules.ANNOUNCED: _announced,
    fee_statements.STATED: _statement,
}
"""What each kind of mail says, by what it is about."""

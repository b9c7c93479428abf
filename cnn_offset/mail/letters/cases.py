"""Mails about cases. Whoever gets one can simply answer it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Final

from flask_babel import gettext
from sqlalchemy import select
from sqlalchemy.orm import Session

from cnn_offset.domain.casework import CLAIM_DAYS, Voice
from cnn_offset.domain.status import OrderStatus
from cnn_offset.domain.text import N_
from cnn_offset.extensions import platform, public_url
from cnn_offset.i18n import day_text, language, moment_text, number, status_text
from cnn_offset.mail.letters.letter import Letter, Link, Writer
from cnn_offset.mail.receiving import reply_to
from cnn_offset.models import Case, CaseMessage, IncomingMail, Message, Order

MOST_REFERENCES: Final = 10


def _case(session: Session, message: Message) -> Case:
    return session.get_one(Case, message.params["case_id"])


def _said(session: Session, message: Message) -> CaseMessage:
    return session.get_one(CaseMessage, message.params["said_id"])


def _words(session: Session, message: Message) -> list[str]:
    """Return what a person has said, by lines."""
    return [line for line in _said(session, message).text.split("\n") if line]


def _letter(
    session: Session,
    message: Message,
    subject: str,
    paragraphs: Sequence[str],
    *,
    voice: Voice = Voice.ASKER,
    facts: Sequence[tuple[str, str]] = (),
    by_person: bool = False,
    link: Link | None = None,
) -> Letter:
    """Return a letter in the thread of its case, which its reader can answer."""
    case = _case(session, message)
    return Letter(
        subject,
        paragraphs,
        facts,
        link=link,
        closing=[
            gettext(
                "To add something, simply answer this mail. You can send pictures, PDFs and "
                "plain text along, at most five files of 5 MB each."
            )
        ],
        reply_to=reply_to(platform(), case.code, voice),
        references=_thread(session, message, case, voice),
        is_automatic=not by_person,
    )


def _thread(session: Session, message: Message, case: Case, voice: Voice) -> list[str]:
    """Return the Message-IDs of what was written before between us and one side."""
    came = session.execute(
        select(IncomingMail.received_at, IncomingMail.message_id)
        .join(CaseMessage, CaseMessage.mail_id == IncomingMail.id)
        .where(
            CaseMessage.case_id == case.id,
            CaseMessage.voice == voice,
            IncomingMail.message_id != "",
            IncomingMail.received_at <= message.created_at,
        )
        .order_by(IncomingMail.id.desc())
        .limit(MOST_REFERENCES)
    ).all()
    opened = session.execute(
        select(Message.created_at, Message.message_id).where(
            Message.dedup == f"case_opened:{case.id}", Message.id < message.id
        )
    ).all()
    first = opened if voice is Voice.ASKER else []
    return [str(row[1]) for row in sorted([*first, *came], key=lambda row: row[0])]


def _about(case: Case) -> list[tuple[str, str]]:
    facts = [
        (gettext("Number of the case"), case.code),
        (gettext("Subject"), status_text(case.kind)),
    ]
    return facts + ([(gettext("Order number"), case.order.code)] if case.order else [])


def _opened(session: Session, message: Message) -> Letter:
    case = _case(session, message)
    return _letter(
        session,
        message,
        gettext("Case %(code)s: we have your message", code=case.code),
        [
            gettext(
                "Thank you for writing. A person answers by mail within two working days, "
                "at the latest on %(moment)s.",
                moment=moment_text(datetime.fromisoformat(message.params["answer_by"]), language()),
            )
        ],
        facts=_about(case),
    )


def _answer(session: Session, message: Message) -> Letter:
    case = _case(session, message)
    return _letter(
        session,
        message,
        gettext("Case %(code)s: our answer", code=case.code),
        _words(session, message),
        by_person=True,
    )


def _answer_other(session: Session, message: Message) -> Letter:
    case = _case(session, message)
    order = case.order.code if case.order else ""
    return _letter(
        session,
        message,
        gettext("Case %(code)s: about order %(order)s", code=case.code, order=order),
        _words(session, message),
        voice=Voice.OTHER_SIDE,
        by_person=True,
    )


def _closed(session: Session, message: Message) -> Letter:
    case = _case(session, message)
    return _letter(
        session,
        message,
        gettext("Case %(code)s: closed", code=case.code),
        [
            gettext("We have closed your case. This is why:"),
            *_words(session, message),
            gettext("If that does not settle it, answer this mail: the case is open again then."),
        ],
        by_person=True,
    )


def _what_follows(case: Case) -> list[str]:
    solve_by = case.solve_by or case.opened_at
    return [
        gettext(
            "Under section 13 of the terms of use we hear both sides and propose a solution "
            "within %(days)s days, by %(day)s.",
            days=number(CLAIM_DAYS, language()),
            day=day_text(solve_by.date(), language()),
        ),
        gettext(
            "The contract is between purchaser and provider: we are no party to it. What is still "
            "in dispute after our proposal goes to the courts, or to the arbitration on which both "
            "agree. Rights that the law gives consumers stay untouched."
        ),
    ]


def _terms() -> Link:
    return gettext("Read the terms of use"), public_url("help.terms", lang=language())


def _claim(session: Session, message: Message) -> Letter:
    case = _case(session, message)
    return _letter(
        session,
        message,
        gettext("Case %(code)s is a claim now", code=case.code),
        [
            gettext("We now treat your case as a claim. This is what it is about:"),
            *_words(session, message),
            *_what_follows(case),
            gettext(
                "The other side has been told and can answer. Please send whatever shows that you "
                "are right, and what you wrote to each other."
            ),
        ],
        facts=_about(case),
        link=_terms(),
    )


def _claim_other(session: Session, message: Message) -> Letter:
    case = _case(session, message)
    order = case.order.code if case.order else ""
    return _letter(
        session,
        message,
        gettext("Order %(order)s: a claim, case %(code)s", order=order, code=case.code),
        [
            gettext("A claim has been made about this order. This is what it is about:"),
            *_words(session, message),
            *_what_follows(case),
            gettext("Please tell us your side of it, and send what shows it."),
        ],
        voice=Voice.OTHER_SIDE,
        facts=_about(case),
        link=_terms(),
    )


def _files_left_out(session: Session, message: Message) -> Letter:
    case, said = _case(session, message), _said(session, message)
    return _letter(
        session,
        message,
        gettext("Case %(code)s: some files could not be kept", code=case.code),
        [
            gettext("We have what you wrote. These files we could not keep, and this is why:"),
        ],
        facts=[(str(name), gettext(str(why))) for name, why in said.left_out],
        voice=said.voice,
    )


_STANDS: Final[Mapping[OrderStatus, str]] = {
    OrderStatus.PLACED: N_(
        "We have not seen the payment yet. A bank transfer can take some days; the units are held "
        "for you meanwhile. The attestation comes by mail after the payment."
    ),
    OrderStatus.PAID: N_(
        "Your payment has arrived, and the registry has been asked to cancel the units. The "
        "attestation comes by mail as soon as it has done so."
    ),
    OrderStatus.FULFILLED: N_(
        "All units are cancelled. The attestation is being made and comes by mail in a moment."
    ),
    OrderStatus.LAPSED: N_(
        "No payment came in time, so the order has lapsed and nothing was cancelled. There is no "
        "attestation. If you have paid after all, please answer or write to us."
    ),
    OrderStatus.WITHDRAWN: N_(
        "The order was withdrawn before it was paid, and nothing was cancelled. There is no "
        "attestation."
    ),
    OrderStatus.IN_REVIEW: N_(
        "Something about the payment or the cancellation is not as expected. A person clears it "
        "up with the provider and writes to you."
    ),
    OrderStatus.REFUND_DUE: N_(
        "The units could not be cancelled. The provider owes you the money, and we see to it that "
        "it is sent back."
    ),
    OrderStatus.REFUNDED: N_("The units could not be cancelled, and your money was sent back."),
}


def _order_stands(session: Session, message: Message) -> Letter:
    order = session.get_one(Order, message.order_id)
    return Letter(
        gettext("Order %(code)s: where it stands", code=order.code),
        [gettext("You asked for your attestation."), gettext(_STANDS[order.status])],
        [
            (gettext("Status"), status_text(order.status)),
            (gettext("Placed"), moment_text(order.placed_at, language())),
            (gettext("To be paid by"), moment_text(order.pay_by, language())),
        ],
        link=(
            gettext("See your order"),
            public_url("orders.show", lang=language(), token=order.token),
        ),
        closing=[gettext("If you did not ask for it, you need do nothing.")],
    )


LETTERS: Final[Mapping[str, Writer]] = {
    "case_answer": _answer,
    "case_answer_other": _answer_other,
    "case_claim": _claim,
    "case_claim_other": _claim_other,
    "case_closed": _closed,
    "case_files_left_out": _files_left_out,
    "case_opened": _opened,
    "order_stands": _order_stands,
}

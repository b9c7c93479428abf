"""Mails about a line of an order that its registry refused: other units, or money back."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from flask_babel import gettext, ngettext
from sqlalchemy.orm import Session

from cnn_offset.extensions import public_url
from cnn_offset.i18n import language, localised, moment_text, money_text, number
from cnn_offset.mail.letters.letter import Letter, Link, Writer
from cnn_offset.models import Message, Order, OrderLine, Replacement


def _order_of(session: Session, message: Message) -> Order:
    return session.get_one(Order, message.order_id)


def _page(order: Order) -> Link:
    return (
        gettext("See your order"),
        public_url("orders.show", lang=language(), token=order.token),
    )


def _provider_page(order: Order) -> Link:
    return (
        gettext("See the order"),
        public_url("provider.order", lang=language(), code=order.code),
    )


def _units(line: OrderLine) -> str:
    text: str = ngettext(
        "%(n)s unit", "%(n)s units", line.quantity, n=number(line.quantity, language())
    )
    return text


def _money(minor: int, order: Order) -> str:
    return money_text(minor, order.currency, language())


def _replacement_asked(session: Session, message: Message) -> Letter:
    order = _order_of(session, message)
    asked = session.get_one(Replacement, message.params["replacement_id"])
    return Letter(
        gettext("Order %(code)s: may other units take their place?", code=order.code),
        [
            gettext(
                "The registry has refused to cancel %(units)s of your order. The same provider "
                "has units of the same project that could be cancelled instead.",
                units=_units(asked.line),
            ),
            gettext(
                "Please compare them and say yes or no by %(moment)s. You pay nothing more. If "
                "you say no, or nothing, we see to it that the money for them goes back to you.",
                moment=moment_text(asked.answer_by, language()),
            ),
        ],
        [
            (gettext("Project"), localised(asked.block.activity.title)),
            (gettext("Units now"), _span(asked.old_block.first_text, asked.old_block.last_text)),
            (gettext("Units instead"), _span(asked.block.first_text, asked.block.last_text)),
        ],
        link=(
            gettext("Compare and answer"),
            public_url(
                "orders.replacement",
                lang=language(),
                token=order.token,
                replacement_id=str(asked.id),
            ),
        ),
    )


def _span(first: str, last: str) -> str:
    text: str = gettext("out of %(first)s to %(last)s", first=first, last=last)
    return text


def _replacement_lapsed(session: Session, message: Message) -> Letter:
    order = _order_of(session, message)
    return Letter(
        gettext("Order %(code)s: the other units are free again", code=order.code),
        [
            gettext(
                "We had asked you whether other units may take the place of those the registry "
                "refused. That question is closed now, without an answer from you."
            ),
            gettext(
                "A person decides how your order goes on, and writes to you. You need do nothing."
            ),
        ],
        link=_page(order),
    )


def _units_replaced(session: Session, message: Message) -> Letter:
    order = _order_of(session, message)
    return Letter(
        gettext("Order %(code)s: other units of yours take their place", code=order.code),
        [
            gettext(
                "The registry had refused to cancel units of this order. The purchaser has agreed "
                "to others of the same project, which you offer for no more than was paid."
            ),
            gettext("These are cancelled now. Those that were refused are yours to sell again."),
        ],
        [(localised(line.block.activity.title), line.block.block_ref) for line in order.standing],
        link=_provider_page(order),
    )


def _part_given_back(session: Session, message: Message) -> Letter:
    order = _order_of(session, message)
    line = session.get_one(OrderLine, message.params["line_id"])
    return Letter(
        gettext("Order %(code)s: part of your money goes back", code=order.code),
        [
            gettext(
                "The registry has refused to cancel %(units)s of your order. They are not "
                "cancelled, so what you paid for them goes back to you: %(amount)s.",
                units=_units(line),
                amount=_money(line.total.minor, order),
            ),
            gettext(
                "%(provider)s, whom you paid, gives it back the way it came. You need do "
                "nothing; by bank transfer it may take some days.",
                provider=order.provider.name,
            ),
            gettext(
                "The rest of your order stands. Its attestation speaks of exactly the units that "
                "are cancelled."
            ),
        ],
        [(gettext("Project"), localised(line.block.activity.title))],
        link=_page(order),
    )


def _part_to_give_back(session: Session, message: Message) -> Letter:
    order = _order_of(session, message)
    return Letter(
        gettext("Order %(code)s: please give part of the money back", code=order.code),
        [
            gettext(
                "The registry refused to cancel part of the units of this order. We have decided "
                "that they are yours to sell again, and that what was paid for them goes back to "
                "the purchaser. The rest of the order stands."
            ),
            gettext(
                "If the money came by bank transfer, please send this part back to the account it "
                "came from; your next bank statement shows it. If it came by PayPal or Stripe, "
                "we have it given back there, unless you hear otherwise."
            ),
        ],
        [
            (gettext("Order"), order.code),
            (gettext("To give back"), _money(order.given_back.minor, order)),
            (gettext("Stays with you"), _money(order.total_minor - order.given_back.minor, order)),
        ],
        link=_provider_page(order),
    )


def _part_refunded(session: Session, message: Message) -> Letter:
    order = _order_of(session, message)
    return Letter(
        gettext("Order %(code)s: part of your money was sent back", code=order.code),
        [
            gettext(
                "%(provider)s has sent %(amount)s back the way it came. Until it shows on your "
                "account some days can pass.",
                provider=order.provider.name,
                amount=_money(order.given_back.minor, order),
            )
        ],
        link=_page(order),
    )


LETTERS: Final[Mapping[str, Writer]] = {
    "part_given_back": _part_given_back,
    "part_refunded": _part_refunded,
    "part_to_give_back": _part_to_give_back,
    "replacement_asked": _replacement_asked,
    "replacement_lapsed": _replacement_lapsed,
    "units_replaced": _units_replaced,
}

"""Mails about what operators decided on an order."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from flask_babel import gettext
from sqlalchemy.orm import Session

from cnn_offset.extensions import public_url
from cnn_offset.i18n import language, money_text
from cnn_offset.mail.letters.letter import Letter, Writer
from cnn_offset.models import Message, Order


def _order_of(session: Session, message: Message) -> Order:
    return session.get_one(Order, message.order_id)


def _total(order: Order) -> str:
    return money_text(order.total_minor, order.currency, language())


def _refund_due(session: Session, message: Message) -> Letter:
    order = _order_of(session, message)
    return Letter(
        gettext("Order %(code)s: your money goes back", code=order.code),
        [
            gettext(
                "We have looked at your order over %(amount)s. It cannot be carried out, so "
                "what you paid goes back to you.",
                amount=_total(order),
            ),
            gettext(
                "%(provider)s, whom you paid, gives it back the way it came. You need do "
                "nothing; by bank transfer it may take some days.",
                provider=order.provider.name,
            ),
        ],
        link=(
            gettext("See your order"),
            public_url("orders.show", lang=language(), token=order.token),
        ),
    )


def _refund_to_make(session: Session, message: Message) -> Letter:
    order = _order_of(session, message)
    return Letter(
        gettext("Order %(code)s: please give the money back", code=order.code),
        [
            gettext(
                "We have decided that the money of this order goes back to the purchaser. Units "
                "that were not cancelled are yours to sell again."
            ),
            gettext(
                "If the money came by bank transfer, please send it back to the account it came "
                "from, and record the refund on the page of the order. If it came by PayPal or "
                "Stripe, give it back there unless you hear that we have done so."
            ),
        ],
        [(gettext("Order"), order.code), (gettext("Total"), _total(order))],
        link=(
            gettext("See the order"),
            public_url("provider.order", lang=language(), code=order.code),
        ),
    )


LETTERS: Final[Mapping[str, Writer]] = {
    "refund_due": _refund_due,
    "refund_to_make": _refund_to_make,
}

"""Mails about registries that end: what is to be done before, and what came too late."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Final

from flask_babel import gettext, ngettext
from sqlalchemy.orm import Session

from cnn_offset.extensions import platform, public_url
from cnn_offset.i18n import language, moment_text, money_text, number
from cnn_offset.mail.letters.letter import Letter, Link, Writer
from cnn_offset.models import Message, Order


def _order_of(session: Session, message: Message) -> Order:
    return session.get_one(Order, message.order_id)


def _total(order: Order) -> str:
    return money_text(order.total_minor, order.currency, language())


def _registry(message: Message) -> str:
    name = message.params["registry_id"]
    connector = platform().registries.get(name)
    return gettext(connector.title) if connector else str(name)


def _moment(text: str) -> str:
    return moment_text(datetime.fromisoformat(text), language())


def _page(order: Order) -> Link:
    return (
        gettext("See your order"),
        public_url("orders.show", lang=language(), token=order.token),
    )


def _facts(order: Order) -> list[tuple[str, str]]:
    return [(gettext("Order number"), order.code), (gettext("Total"), _total(order))]


def _ending_reminder(session: Session, message: Message) -> Letter:
    order = _order_of(session, message)
    due = moment_text(order.pay_by, language())
    return Letter(
        gettext("Order %(code)s: please pay by %(moment)s", code=order.code, moment=due),
        [
            gettext(
                "The registry of these units closes soon. So that they can still be cancelled "
                "for you, your payment must have arrived by %(moment)s. This order cannot be "
                "kept open any longer.",
                moment=due,
            ),
            gettext(
                "What arrives later goes back to you. If you have paid already, you need do "
                "nothing."
            ),
        ],
        [*_facts(order), (gettext("To be paid by"), due)],
        link=_page(order),
    )


def _pay_sooner(session: Session, message: Message) -> Letter:
    order = _order_of(session, message)
    due = moment_text(order.pay_by, language())
    return Letter(
        gettext("Order %(code)s: to be paid sooner than we said", code=order.code),
        [
            gettext(
                "The %(registry)s closes earlier than was known when you ordered. We are sorry: "
                "your payment must now have arrived by %(moment)s, so that the units can still be "
                "cancelled for you.",
                registry=_registry(message),
                moment=due,
            ),
            gettext("If you do not pay by then, the order lapses and you owe nothing."),
        ],
        [
            *_facts(order),
            (gettext("To be paid by"), due),
            (gettext("Before it was"), _moment(message.params["before"])),
        ],
        link=_page(order),
    )


def _paid_too_late(session: Session, message: Message) -> Letter:
    order = _order_of(session, message)
    return Letter(
        gettext("Order %(code)s: paid too late, your money goes back", code=order.code),
        [
            gettext(
                "Your payment of %(amount)s arrived when the registry of these units cancelled "
                "nothing any more. No unit was cancelled, and all of your money goes back to you.",
                amount=_total(order),
            ),
            gettext(
                "%(provider)s, whom you paid, gives it back the way it came. You need do "
                "nothing; by bank transfer it may take some days.",
                provider=order.provider.name,
            ),
            gettext("We have opened a case for it, and see to it that this happens."),
        ],
        link=_page(order),
    )


def _money_too_late(session: Session, message: Message) -> Letter:
    order = _order_of(session, message)
    return Letter(
        gettext("Order %(code)s: paid too late, please give the money back", code=order.code),
        [
            gettext(
                "Money came for this order when its registry cancelled nothing any more. The "
                "order cannot be carried out, and nothing was cancelled."
            ),
            gettext(
                "If the money came by bank transfer, please send it back to the account it came "
                "from, and record the refund on the page of the order. If it came by PayPal or "
                "Stripe, give it back there unless you hear that we have done so."
            ),
        ],
        _facts(order),
        link=(
            gettext("See the order"),
            public_url("provider.order", lang=language(), code=order.code),
        ),
    )


def _offers_ended(_session: Session, message: Message) -> Letter:
    count = int(message.params["count"])
    return Letter(
        gettext("%(registry)s: your offers are closed", registry=_registry(message)),
        [
            ngettext(
                "Since %(moment)s this registry takes no new orders. %(n)s offer of yours is "
                "closed.",
                "Since %(moment)s this registry takes no new orders. %(n)s offers of yours are "
                "closed.",
                count,
                n=number(count, language()),
                moment=_moment(message.params["until"]),
            ),
            gettext(
                "Orders placed before go on: please mark what is paid at your bank without delay, "
                "so that the units can still be cancelled."
            ),
        ],
        link=(gettext("See your orders"), public_url("provider.orders", lang=language())),
    )


def _bank_orders_ending(_session: Session, message: Message) -> Letter:
    count = int(message.params["count"])
    until = _moment(message.params["until"])
    return Letter(
        gettext(
            "%(registry)s: please mark what is paid by %(moment)s",
            registry=_registry(message),
            moment=until,
        ),
        [
            ngettext(
                "%(n)s order of yours in this registry is to be paid by bank transfer and not "
                "marked as paid yet.",
                "%(n)s orders of yours in this registry are to be paid by bank transfer and not "
                "marked as paid yet.",
                count,
                n=number(count, language()),
            ),
            gettext(
                "The registry closes. What is not marked as paid by %(moment)s lapses; money that "
                "comes later must go back. Please look at your bank’s statements daily.",
                moment=until,
            ),
        ],
        link=(gettext("See your orders"), public_url("provider.orders", lang=language())),
    )


LETTERS: Final[Mapping[str, Writer]] = {
    "bank_orders_ending": _bank_orders_ending,
    "ending_reminder": _ending_reminder,
    "money_too_late": _money_too_late,
    "offers_ended": _offers_ended,
    "paid_too_late": _paid_too_late,
    "pay_sooner": _pay_sooner,
}

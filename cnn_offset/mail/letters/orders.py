"""Mails about orders: to the purchaser, and to the provider."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from flask_babel import gettext, ngettext
from sqlalchemy import select
from sqlalchemy.orm import Session

from cnn_offset.extensions import public_url
from cnn_offset.i18n import day_text, language, localised, moment_text, money_text, number
from cnn_offset.mail.letters.letter import Letter, Link, Writer
from cnn_offset.models import Message, Order, Payment
from cnn_offset.services import selling
from cnn_offset.services.attesting import current_attestation

MOST_LINKS: Final = 50
"""Orders listed in one mail of lost links, newest first."""


def _order_of(session: Session, message: Message) -> Order:
    return session.get_one(Order, message.order_id)


def _units(order: Order) -> str:
    text: str = ngettext(
        "%(n)s unit", "%(n)s units", order.quantity, n=number(order.quantity, language())
    )
    return text


def _total(order: Order) -> str:
    return money_text(order.total_minor, order.currency, language())


def _page(order: Order) -> Link:
    """Return the way to the purchaser's own page."""
    return (
        gettext("See your order"),
        public_url("orders.show", lang=language(), token=order.token),
    )


def _bought(order: Order) -> list[tuple[str, str]]:
    facts = [
        (
            localised(line.block.activity.title),
            ngettext(
                "%(n)s unit at %(price)s",
                "%(n)s units at %(price)s each",
                line.quantity,
                n=number(line.quantity, language()),
                price=money_text(line.price_minor, order.currency, language()),
            ),
        )
        for line in order.lines
    ]
    return [*facts, (gettext("Total"), _total(order)), *_own_number(order)]


def _own_number(order: Order) -> list[tuple[str, str]]:
    """Return the company's own number for the purchase, if it gave one."""
    if not order.purchase_order:
        return []
    return [(gettext("Purchase-order number"), order.purchase_order)]


def _order_placed(session: Session, message: Message) -> Letter:
    order = _order_of(session, message)
    return Letter(
        gettext("Order %(code)s: received", code=order.code),
        [
            gettext(
                "Thank you. You ordered the voluntary cancellation of %(units)s. "
                "Once the order is paid, the registry makes the cancellation, which is final, "
                "and you receive a signed attestation.",
                units=_units(order),
            ),
            gettext(
                "You contract with %(provider)s, whom you pay directly. "
                "The platform is no party to this contract and holds none of your money.",
                provider=order.provider.name,
            ),
        ],
        [
            (gettext("Order number"), order.code),
            *_bought(order),
            (gettext("In the name of"), order.beneficiary),
            (gettext("Reason"), order.reason),
            (gettext("To be paid by"), moment_text(order.pay_by, language())),
        ],
        closing=[
            *(
                [gettext("If you need a pro-forma invoice, you find it on the page of the order.")]
                if order.company
                else []
            ),
            gettext("The link is private: whoever has it can see your order."),
        ],
        link=_page(order),
    )


def _bank_instructions(session: Session, message: Message) -> Letter:
    order = _order_of(session, message)
    payment = session.get_one(Payment, message.params["payment_id"])
    lines = [
        (
            gettext(label),
            value
            if isinstance(value, str)
            else money_text(value.minor, value.currency, language()),
        )
        for label, value in payment.instruction_lines
    ]
    return Letter(
        gettext("Order %(code)s: how to pay by bank transfer", code=order.code),
        [
            gettext(
                "Please transfer the money to %(provider)s by %(day)s, with the reference "
                "exactly as it stands here: by it your payment is found.",
                provider=order.provider.name,
                day=day_text(order.pay_by.date(), language()),
            ),
            *(label for label, value in lines if not value),
        ],
        [(label, value) for label, value in lines if value],
        closing=[
            gettext(
                "Your units are held until then. When the provider has seen the money, they "
                "are cancelled and you receive the attestation."
            )
        ],
        link=_page(order),
    )


def _order_in_progress(session: Session, message: Message) -> Letter:
    order = _order_of(session, message)
    return Letter(
        gettext("Order %(code)s: the provider is dealing with it", code=order.code),
        [
            gettext(
                "%(provider)s has told us that your bank transfer is being dealt with. "
                "You need do nothing unless the provider writes to you.",
                provider=order.provider.name,
            )
        ],
        link=_page(order),
    )


def _payment_received(session: Session, message: Message) -> Letter:
    order = _order_of(session, message)
    return Letter(
        gettext("Order %(code)s: paid", code=order.code),
        [
            gettext(
                "%(provider)s has received your payment of %(amount)s.",
                provider=order.provider.name,
                amount=_total(order),
            ),
            gettext(
                "The registry is now asked to cancel %(units)s. That usually takes minutes; "
                "then the attestation comes by e-mail.",
                units=_units(order),
            ),
        ],
        _bought(order),
        closing=[
            gettext("The provider’s receipt is on the page of the order."),
            gettext("If nothing has come after 72 hours, please write to us."),
        ],
        link=_page(order),
    )


def _attestation(session: Session, message: Message) -> Letter:
    order = _order_of(session, message)
    attestation = current_attestation(session, order.id)
    if attestation is None:
        raise LookupError(f"order {order.code} has no attestation yet")
    check = public_url("checking.by_code", lang=language(), code=attestation.check_code)
    return Letter(
        gettext(
            "Order %(code)s: your attestation %(number)s",
            code=order.code,
            number=attestation.number,
        ),
        [
            ngettext(
                "%(n)s unit has been cancelled for ever in the name of %(beneficiary)s. "
                "The attestation is attached: a PDF, digitally signed.",
                "%(n)s units have been cancelled for ever in the name of %(beneficiary)s. "
                "The attestation is attached: a PDF, digitally signed.",
                order.quantity,
                n=number(order.quantity, language()),
                beneficiary=order.beneficiary,
            ),
        ],
        [(gettext("Attestation"), attestation.number), (gettext("Order number"), order.code)],
        links=[(gettext("Anybody can check it at"), check)],
        attestation=attestation,
        link=_page(order),
    )


def _order_lapsed(session: Session, message: Message) -> Letter:
    order = _order_of(session, message)
    return Letter(
        gettext("Order %(code)s: lapsed", code=order.code),
        [
            gettext(
                "No payment arrived in time, so the order has lapsed and its units are on "
                "offer again. You owe nothing."
            ),
            gettext(
                "If you have paid after all, your money is not lost: when it arrives, the "
                "order is taken up again or somebody writes to you."
            ),
        ],
        link=_page(order),
    )


def _order_withdrawn(session: Session, message: Message) -> Letter:
    order = _order_of(session, message)
    return Letter(
        gettext("Order %(code)s: withdrawn", code=order.code),
        [
            *_why_withdrawn(order, message.params.get("reason", ""), message.params.get("by", "")),
            gettext(
                "If a payment is still on its way, it is not lost: when it arrives, somebody "
                "writes to you."
            ),
        ],
        link=_page(order),
    )


def _why_withdrawn(order: Order, reason: str, by: str) -> list[str]:
    """Say whose wish it was: with a reason it was the provider's, or that of the platform."""
    if not reason:
        return [gettext("As you wished, the order is withdrawn. You owe nothing.")]
    if by == "platform":
        return [
            gettext("We have withdrawn the order. You owe nothing. This is the reason:"),
            reason,
        ]
    return [
        gettext(
            "%(provider)s has withdrawn the order. You owe nothing. This is the reason, in the "
            "provider’s words:",
            provider=order.provider.name,
        ),
        reason,
    ]


def _order_in_review(session: Session, message: Message) -> Letter:
    order = _order_of(session, message)
    return Letter(
        gettext("Order %(code)s: somebody is looking at it", code=order.code),
        [
            gettext(
                "Something about this order is not as it should be, for example an amount that "
                "does not match or an answer of the registry that must be examined."
            ),
            gettext(
                "A person looks at it and will write to you. Please do not pay again meanwhile."
            ),
        ],
        link=_page(order),
    )


def _payment_reminder(session: Session, message: Message) -> Letter:
    order = _order_of(session, message)
    return Letter(
        gettext("Order %(code)s: not paid yet", code=order.code),
        [
            gettext(
                "Your units are held for you until %(moment)s. After that the order lapses.",
                moment=moment_text(order.pay_by, language()),
            ),
            gettext("If you have paid in the meantime, you need do nothing."),
        ],
        _bought(order),
        link=_page(order),
    )


def _provider_page(order: Order) -> Link:
    return (
        gettext("See the order"),
        public_url("provider.order", lang=language(), code=order.code),
    )


def _bank_order_placed(session: Session, message: Message) -> Letter:
    order = _order_of(session, message)
    return Letter(
        gettext("Order %(code)s: will be paid by bank transfer", code=order.code),
        [
            ngettext(
                "%(n)s unit was ordered from you for %(amount)s, to be paid by bank transfer.",
                "%(n)s units were ordered from you for %(amount)s, to be paid by bank transfer.",
                order.quantity,
                n=number(order.quantity, language()),
                amount=_total(order),
            ),
            gettext(
                "Within two working days, please send your bank details to the purchaser, "
                "%(email)s, and mark the order as in progress. When the money is on your "
                "account, mark it as paid: the units are then cancelled at once.",
                email=order.email,
            )
            if selling.sends_own_details(selling.account_of(session, order))
            else gettext(
                "Within two working days, please mark the order as in progress. When the money "
                "is on your account, mark it as paid: the units are then cancelled at once."
            ),
        ],
        _bought(order),
        link=_provider_page(order),
    )


def _order_undealt(session: Session, message: Message) -> Letter:
    order = _order_of(session, message)
    return Letter(
        gettext("Order %(code)s: waits for you", code=order.code),
        [
            gettext(
                "This order was placed on %(day)s, and nobody has marked it as in progress. "
                "Purchasers are promised that within two working days.",
                day=day_text(order.placed_at.date(), language()),
            ),
            gettext(
                "Please send your bank details to the purchaser, %(email)s, and mark the order "
                "as in progress.",
                email=order.email,
            )
            if selling.must_write_first(session, order)
            else gettext("Please look at the order and mark it as in progress."),
            gettext(
                "If you cannot fulfil it, withdraw it and give the reason: the purchaser is told."
            ),
        ],
        _bought(order),
        link=_provider_page(order),
    )


def _order_paid(session: Session, message: Message) -> Letter:
    order = _order_of(session, message)
    return Letter(
        gettext("Order %(code)s: paid", code=order.code),
        [
            gettext(
                "The order over %(amount)s is paid to your account. The units are being "
                "cancelled; you need do nothing.",
                amount=_total(order),
            )
        ],
        _bought(order),
        link=_provider_page(order),
    )


def _lost_links(session: Session, message: Message) -> Letter:
    orders = session.scalars(
        select(Order)
        .where(Order.email == message.recipient)
        .order_by(Order.placed_at.desc())
        .limit(MOST_LINKS)
    )
    return Letter(
        gettext("The links of your orders"),
        [
            gettext(
                "Somebody, probably you, asked for the orders of this address. With these "
                "private links you find each order and its attestation."
            )
        ],
        links=[
            (
                gettext(
                    "Order %(code)s of %(day)s",
                    code=order.code,
                    day=day_text(order.placed_at.date(), language()),
                ),
                public_url("orders.show", lang=language(), token=order.token),
            )
            for order in orders
        ],
        closing=[gettext("If you did not ask for them, you need do nothing.")],
    )


LETTERS: Final[Mapping[str, Writer]] = {
    "attestation": _attestation,
    "bank_instructions": _bank_instructions,
    "bank_order_placed": _bank_order_placed,
    "lost_links": _lost_links,
    "order_in_progress": _order_in_progress,
    "order_in_review": _order_in_review,
    "order_lapsed": _order_lapsed,
    "order_paid": _order_paid,
    "order_placed": _order_placed,
    "order_undealt": _order_undealt,
    "order_withdrawn": _order_withdrawn,
    "payment_received": _payment_received,
    "payment_reminder": _payment_reminder,
}

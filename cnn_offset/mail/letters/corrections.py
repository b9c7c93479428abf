"""Mails about corrected attestations and money that went back, to the purchaser."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from flask_babel import gettext
from sqlalchemy.orm import Session

from cnn_offset.extensions import public_url
from cnn_offset.i18n import language
from cnn_offset.mail.letters.letter import Letter, Link, Writer
from cnn_offset.models import Correction, Message, Order
from cnn_offset.services.attesting import current_attestation


def _page(order: Order) -> Link:
    return (
        gettext("See your order"),
        public_url("orders.show", lang=language(), token=order.token),
    )


def _attestation_corrected(session: Session, message: Message) -> Letter:
    order = session.get_one(Order, message.order_id)
    attestation = current_attestation(session, order.id)
    if attestation is None or attestation.supersedes is None:
        raise LookupError(f"order {order.code} has no corrected attestation yet")
    check = public_url("checking.by_code", lang=language(), code=attestation.check_code)
    return Letter(
        gettext(
            "Order %(code)s: your corrected attestation %(number)s",
            code=order.code,
            number=attestation.number,
        ),
        [
            gettext(
                "The attestation is corrected. The new one is attached: a PDF, digitally signed. "
                "It takes the place of %(old)s, which no longer holds.",
                old=attestation.supersedes.number,
            ),
            gettext(
                "Units, quantity and serial numbers are the same. The public record shows both "
                "numbers and the reason; what the registry was told at the cancellation stays "
                "as it is."
            ),
        ],
        [
            (gettext("Attestation"), attestation.number),
            (gettext("In the name of"), order.beneficiary),
            (gettext("Reason"), order.reason),
            (gettext("Order number"), order.code),
        ],
        links=[(gettext("Anybody can check it at"), check)],
        attestation=attestation,
        link=_page(order),
    )


def _correction_refused(session: Session, message: Message) -> Letter:
    correction = session.get_one(Correction, message.params["correction_id"])
    order = correction.order
    return Letter(
        gettext("Order %(code)s: the attestation stays as it is", code=order.code),
        [
            gettext(
                "You asked us to correct the attestation. We cannot do that. This is the reason, "
                "in our operators’ words:"
            ),
            correction.answer,
            gettext("You may ask again, or write to us."),
        ],
        link=_page(order),
    )


def _order_refunded(session: Session, message: Message) -> Letter:
    order = session.get_one(Order, message.order_id)
    return Letter(
        gettext("Order %(code)s: your money was sent back", code=order.code),
        [
            gettext(
                "%(provider)s has sent your money back the way it came. Until it shows on your "
                "account some days can pass.",
                provider=order.provider.name,
            ),
        ],
        link=_page(order),
    )


LETTERS: Final[Mapping[str, Writer]] = {
    "attestation_corrected": _attestation_corrected,
    "correction_refused": _correction_refused,
    "order_refunded": _order_refunded,
}

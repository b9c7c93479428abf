"""Mails about units that moved to the registry that takes over from theirs."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from flask_babel import gettext
from sqlalchemy.orm import Session

from cnn_offset.domain.status import OrderStatus
from cnn_offset.extensions import platform, public_url
from cnn_offset.i18n import language, localised, moment_text
from cnn_offset.mail.letters.letter import Letter, Writer
from cnn_offset.models import Activity, Cutover, Message, Order, Provider


def _registry(registry_id: str) -> str:
    found = platform().registries.get(registry_id)
    return gettext(found.title) if found else registry_id


def _project(activity: Activity) -> tuple[str, str]:
    return localised(activity.title), activity.ref


def _units_moved(session: Session, message: Message) -> Letter:
    order = session.get_one(Order, message.order_id)
    paragraphs = [
        gettext(
            "The units that you ordered have moved to the registry that takes over from the one "
            "they were in. They are the same units of the same project and period, with new "
            "serial numbers, and their price stays as it was."
        ),
        gettext("You need do nothing. They will be cancelled in the new registry."),
    ]
    facts = [
        *(_project(line.block.activity) for line in order.lines),
        (gettext("Registry"), _registry(order.lines[0].block.registry_id)),
    ]
    if order.status is OrderStatus.PLACED:
        facts.append((gettext("To be paid by"), moment_text(order.pay_by, language())))
    return Letter(
        gettext("Order %(code)s: its units are in the new registry", code=order.code),
        paragraphs,
        facts,
        link=(
            gettext("See your order"),
            public_url("orders.show", lang=language(), token=order.token),
        ),
    )


def _holdings_moved(session: Session, message: Message) -> Letter:
    provider = session.get_one(Provider, message.params["provider_id"])
    row = session.get(Cutover, message.params["cutover_id"])
    return Letter(
        gettext("Your units are in the new registry"),
        [
            gettext(
                "Your holdings, your offers and the orders that wait for payment have moved to "
                "the registry that takes over. Prices, private links and your projects’ pages "
                "stay as they were."
            ),
            gettext(
                "Units that were divided or joined there have offers of their own or one together. "
                "Please have a look at your offers."
            ),
        ],
        [
            (gettext("Provider"), provider.name),
            *(
                [
                    (gettext("Registry before"), _registry(row.old_id)),
                    (gettext("Registry now"), _registry(row.new_id)),
                ]
                if row
                else []
            ),
        ],
        link=(gettext("See your holdings"), public_url("provider.holdings", lang=language())),
    )


LETTERS: Final[Mapping[str, Writer]] = {
    "holdings_moved": _holdings_moved,
    "units_moved": _units_moved,
}

"""How long personal data are kept. These numbers are shown to operators and the public."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from typing import Final

from cnn_offset.domain.text import N_

CHECKOUTS: Final = timedelta(days=30)
WEBHOOKS: Final = timedelta(days=90)
INVITATIONS: Final = timedelta(days=30)
UNPAID: Final = timedelta(days=365)
PROOFS: Final = timedelta(days=365)
MAILS: Final = timedelta(days=730)
ORDERS: Final = timedelta(days=3653)
"""Ten years: receipts and what they were written of."""


@dataclass(frozen=True, slots=True)
class Rule:
    """One kind of data, how long it is kept, and what is left of it; all message ids."""

    what: str
    since: str
    kept: timedelta
    left: str


RULES: Final = (
    Rule(
        N_("What was typed at the checkout"),
        N_("since the checkout was begun"),
        CHECKOUTS,
        N_("Nothing, where no order came of it"),
    ),
    Rule(
        N_("Invitations that were used or have run out"),
        N_("since they ran out"),
        INVITATIONS,
        N_("That somebody was invited"),
    ),
    Rule(
        N_("What processors sent us about payments"),
        N_("since it came"),
        WEBHOOKS,
        N_("The facts of the payment"),
    ),
    Rule(
        N_("The purchaser’s particulars of an order that was never paid"),
        N_("since it was to be paid"),
        UNPAID,
        N_("Quantity, price and dates"),
    ),
    Rule(
        N_("Documents of an application that was refused or withdrawn"),
        N_("since the decision"),
        PROOFS,
        N_("The application and the decision"),
    ),
    Rule(
        N_("Recipient and particulars of mails"),
        N_("since they were written"),
        MAILS,
        N_("That a mail of this kind was sent"),
    ),
    Rule(
        N_("The purchaser’s particulars of a paid order, receipts too"),
        N_("since the order was placed"),
        ORDERS,
        N_("The attestation as published, quantity, price, serial numbers and payments"),
    ),
)

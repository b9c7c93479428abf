"""The offers of one project, side by side."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from flask_babel import gettext

from cnn_offset.domain.calendar import RegistryDates, RegistryPhase
from cnn_offset.domain.money import Money
from cnn_offset.models import Offer
from cnn_offset.plugins.loader import PluginSet
from cnn_offset.plugins.payments.base import PaymentPlugin
from cnn_offset.services.browsing import open_market
from cnn_offset.services.checking_out import PAUSED, dates_for


@dataclass(frozen=True, slots=True)
class OfferRow:
    """An open offer, the ways to pay for it, and why it cannot be bought, if so."""

    offer: Offer
    methods: Sequence[tuple[str, Money | None]]
    """Title, and the smallest total the provider takes by it."""
    obstacle: str
    """Empty if it can be bought."""


def offer_rows(
    offers: Sequence[Offer],
    plugins: PluginSet[PaymentPlugin],
    registry_dates: Mapping[str, RegistryDates],
    *,
    now: datetime,
) -> list[OfferRow]:
    """Return ``offers`` with what the page says of each; those to be bought come first."""
    market = open_market(plugins, registry_dates, now)
    rows = []
    for offer in offers:
        in_time = market.get(offer.block.registry_id)
        taken, dates = offer.provider.ways_to_pay, dates_for(offer.block, registry_dates)
        methods = [
            (
                gettext(plugin.title),
                Money(payout.minimum_minor, offer.currency) if payout.minimum_minor else None,
            )
            for method_id, plugin in plugins.items()
            if method_id in (in_time or ())
            and dates.allows_method(now, plugin.slowest)
            and (payout := taken.get(method_id))
            and offer.currency in payout.currencies
        ]
        if dates.pause:
            obstacle = gettext(PAUSED[dates.pause])
        elif dates.phase(now) is RegistryPhase.NOT_OPEN:
            obstacle = gettext("The registry of these units does not take orders yet.")
        elif in_time is None:
            obstacle = gettext("The registry of these units takes no new orders.")
        elif offer.available < offer.min_quantity:
            obstacle = gettext("Sold out")
        elif not methods:
            obstacle = gettext("There is no way to pay this provider at present.")
        else:
            obstacle = ""
        rows.append(OfferRow(offer, methods, obstacle))
    return sorted(rows, key=lambda row: bool(row.obstacle))

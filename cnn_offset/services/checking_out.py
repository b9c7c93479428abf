"""From basket to held units, and back if nothing comes of it."""

from __future__ import annotations

import secrets
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import select
from sqlalchemy.orm import Session

from cnn_offset.domain.calendar import RegistryDates, RegistryPhase
from cnn_offset.domain.money import Money
from cnn_offset.domain.status import CheckoutStatus
from cnn_offset.domain.text import N_
from cnn_offset.models import Checkout, CheckoutLine, Offer, OfferStatus, PayoutMethod, Provider
from cnn_offset.plugins.loader import PluginSet
from cnn_offset.plugins.payments.base import PaymentPlugin
from cnn_offset.services import NotFoundError, ServiceError, stock
from cnn_offset.services.moves import move

MAX_LINES = 20
MAX_QUANTITY = 10_000_000


def check_line(offer: Offer | None, quantity: int, *, dates: RegistryDates, now: datetime) -> None:
    """Make sure that ``quantity`` units of ``offer`` may be ordered now.

    Raises:
        ServiceError: they may not; the message says what to do.
        SoldOutError: there are not as many.

    """
    if offer is None or offer.status is not OfferStatus.OPEN or not offer.block.eligible:
        raise ServiceError(N_("This offer is no longer open. Please choose another one."))
    if dates.phase(now) is not RegistryPhase.OPEN:
        raise ServiceError(
            N_("The registry of these units takes no new orders. Please choose another offer.")
        )
    if not 1 <= quantity <= MAX_QUANTITY:
        raise ServiceError(N_("Please enter a whole number of tonnes, 1 or more."))
    if quantity < offer.min_quantity:
        raise ServiceError(
            N_("The provider's smallest order of these units is %(n)s. Please order more."),
            n=offer.min_quantity,
        )
    if quantity > offer.available:
        raise stock.SoldOutError(offer.id)


def start_checkout(
    session: Session,
    basket: Mapping[int, int],
    *,
    locale: str,
    user_id: int | None,
    registry_dates: Mapping[str, RegistryDates],
    hold_for: timedelta,
    now: datetime,
) -> Checkout:
    """Hold the units of ``basket`` (offer id to quantity) for ``hold_for``.

    Raises:
        ServiceError: the basket is empty or a line cannot be had; nothing is held then.

    """
    if not basket:
        raise ServiceError(N_("Your basket is empty."))
    if len(basket) > MAX_LINES:
        raise ServiceError(N_("Please check out at most 20 offers at a time."))
    offers = {
        offer.id: offer for offer in session.scalars(select(Offer).where(Offer.id.in_(basket)))
    }
    for offer_id, quantity in basket.items():
        offer = offers.get(offer_id)
        dates = registry_dates.get(offer.block.registry_id) if offer else None
        check_line(
            offer if dates else None, quantity, dates=dates or RegistryDates(), now=now
        )
    checkout = Checkout(
        token=secrets.token_urlsafe(32),
        locale=locale,
        details={},
        user_id=user_id,
        created_at=now,
        due_at=now + hold_for,
        lines=[
            CheckoutLine(
                offer_id=offer_id,
                quantity=quantity,
                price_minor=offers[offer_id].price_minor,
                currency=offers[offer_id].currency,
            )
            for offer_id, quantity in sorted(basket.items())
        ],
    )
    session.add(checkout)
    stock.hold(session, basket.items())
    session.flush()
    return checkout


def find_checkout(session: Session, token: str) -> Checkout:
    """Return the checkout of a link.

    Raises:
        NotFoundError: there is none.

    """
    found = session.scalar(select(Checkout).where(Checkout.token == token))
    if found is None:
        raise NotFoundError(token)
    return found


def save_details(
    session: Session,
    checkout: Checkout,
    details: Mapping[str, Any],
    *,
    hold_for: timedelta,
    now: datetime,
) -> None:
    """Keep what was typed, and give the purchaser the full time again."""
    if checkout.status is not CheckoutStatus.OPEN:
        return
    checkout.details = {**checkout.details, **details}
    checkout.due_at = now + hold_for


def lapse_checkout(session: Session, checkout_id: int, *, now: datetime) -> datetime | None:
    """Release the units of a checkout whose time is over; else say when to look again."""
    checkout = session.get_one(Checkout, checkout_id, populate_existing=True)
    if checkout.status is not CheckoutStatus.OPEN:
        return None
    if move(
        session, checkout, CheckoutStatus.LAPSED, actor="clock", why="not completed", now=now
    ):
        stock.release(session, ((line.offer_id, line.quantity) for line in checkout.lines))
    return None


@dataclass(frozen=True)
class PlanPart:
    """What a checkout means for one provider and currency: one order, one payment."""

    provider: Provider
    currency: str
    lines: list[CheckoutLine]
    total: Money
    methods: list[PayoutMethod]
    """The methods that can be offered, in the order of the configuration."""
    withheld: Mapping[str, str]
    """Method ids that this provider takes but not for this order, and why: a message id."""


TOO_SMALL = N_("The order is below the provider's minimum for this method.")
TOO_LATE = N_("The money could arrive after the registry closes.")
CANNOT = N_("This method cannot take this amount or currency.")


def payment_plan(
    checkout: Checkout,
    plugins: PluginSet[PaymentPlugin],
    registry_dates: Mapping[str, RegistryDates],
    *,
    now: datetime,
) -> list[PlanPart]:
    """Say who is to be paid what, and how it can be done (C2, C13). Changes nothing."""
    groups: dict[tuple[int, str], list[CheckoutLine]] = {}
    for line in checkout.lines:
        groups.setdefault((line.offer.provider_id, line.currency), []).append(line)
    plan = []
    for (_, currency), lines in groups.items():
        provider = lines[0].offer.provider
        total = Money(sum(line.total.minor for line in lines), currency)
        dates = [
            registry_dates.get(line.offer.block.registry_id, RegistryDates()) for line in lines
        ]
        methods, withheld = choose_methods(provider, total, plugins, dates, now=now)
        plan.append(PlanPart(provider, currency, lines, total, methods, withheld))
    return plan


def choose_methods(
    provider: Provider,
    total: Money,
    plugins: PluginSet[PaymentPlugin],
    dates: list[RegistryDates],
    *,
    now: datetime,
) -> tuple[list[PayoutMethod], dict[str, str]]:
    """Return the provider's methods for ``total``, and those withheld with the reason."""
    taken = {each.method_id: each for each in provider.payout_methods if each.enabled}
    methods, withheld = [], {}
    for method_id, plugin in plugins.items():
        payout = taken.get(method_id)
        if payout is None:
            continue
        if total.currency not in payout.currencies or not plugin.supports(total):
            withheld[method_id] = CANNOT
        elif total.minor < payout.minimum_minor:
            withheld[method_id] = TOO_SMALL
        elif not all(each.allows_method(now, plugin.slowest) for each in dates):
            withheld[method_id] = TOO_LATE
        else:
            methods.append(payout)
    return methods, withheld

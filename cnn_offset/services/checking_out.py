"""From basket to held units, and back if nothing comes of it."""

from __future__ import annotations

import secrets
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import bindparam, delete, select
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session, joinedload

from cnn_offset.domain.calendar import Pause, RegistryDates, RegistryPhase
from cnn_offset.domain.expiry import narrowed
from cnn_offset.domain.money import Money
from cnn_offset.domain.status import CheckoutStatus, OfferStatus
from cnn_offset.domain.text import N_
from cnn_offset.models import Block, Checkout, CheckoutLine, Offer, PayoutMethod, Provider, User
from cnn_offset.plugins.loader import PluginSet
from cnn_offset.plugins.payments.base import PaymentPlugin
from cnn_offset.services import NotFoundError, ServiceError, stock
from cnn_offset.services.moves import move

MAX_LINES = 20
MAX_QUANTITY = 10_000_000
GONE = N_("This offer is no longer open. Please choose another one.")
TOO_MANY = N_("Please check out at most 20 offers at a time.")
OWN_UNITS = N_(
    "These units are offered by your own organisation, so you cannot buy their cancellation. "
    "You are welcome to buy from any other provider."
)
SUSPENDED = N_("This provider takes no new orders at present. Please choose another offer.")
PAUSED: Mapping[Pause, str] = {
    Pause.REGISTRY: N_(
        "We take no new orders of units in this registry for a while. Please choose another "
        "offer, or come back later."
    ),
    Pause.MOVING: N_(
        "These units are moving to the registry that takes over. What you have chosen stays in "
        "your basket: please come back shortly."
    ),
    Pause.RETIRED: N_("The registry of these units takes no new orders."),
    Pause.EVERYTHING: N_(
        "We take no new orders for a while. What you have chosen stays in your basket: please "
        "come back later."
    ),
}
ENDED = N_(
    "The registry of these units has stopped taking orders meanwhile. Nothing was ordered, and "
    "the units you held were released. Please choose other units."
)
NOT_OPEN = N_("The registry of these units does not take orders yet. Please come back later.")
NOT_A_NUMBER = N_("Please enter a whole number of tonnes, 1 or more.")
LONGEST_HOLD = 10
"""Times of ``hold_for`` after which a checkout is not extended any more. WCAG 2.2.1 wants
ten extensions; without an end a script could hold units for ever."""


def check_line(
    offer: Offer | None,
    quantity: int,
    *,
    dates: RegistryDates,
    now: datetime,
    held: int = 0,
    staff_of: int | None = None,
) -> None:
    """Make sure that ``quantity`` units of ``offer`` may be ordered now.

    Args:
        offer: None if there is no such offer.
        quantity: as the purchaser typed it.
        dates: of the offer's registry.
        now: the moment.
        held: units of it that this very purchaser's checkout holds already.
        staff_of: the provider whose staff the purchaser is, None if of none.

    Raises:
        ServiceError: they may not; the message says what to do.
        SoldOutError: there are not as many.

    """
    if offer is None or offer.status is not OfferStatus.OPEN or not offer.block.eligible:
        raise ServiceError(GONE)
    if not offer.provider.takes_orders:
        raise ServiceError(SUSPENDED)
    if offer.ends_at is not None and now >= offer.ends_at:
        raise ServiceError(GONE)
    if offer.provider_id == staff_of:
        raise ServiceError(OWN_UNITS)
    dates = narrowed(dates, offer.block.expires_on)
    check_pause([dates])
    if dates.phase(now) is RegistryPhase.NOT_OPEN:
        raise ServiceError(NOT_OPEN)
    if dates.phase(now) is not RegistryPhase.OPEN:
        raise ServiceError(
            N_("The registry of these units takes no new orders. Please choose another offer.")
        )
    if quantity < 1:
        raise ServiceError(NOT_A_NUMBER)
    if quantity < offer.min_quantity:
        raise ServiceError(
            N_("The provider's smallest order of these units is %(n)s. Please order more."),
            n=offer.min_quantity,
        )
    if quantity > offer.available + held:
        raise stock.SoldOutError(offer.id)


def check_pause(dates: Iterable[RegistryDates]) -> None:
    """Make sure that operators have not paused new orders of these registries (H5).

    Raises:
        ServiceError: they have; the message says what to do.

    """
    for each in dates:
        if each.pause:
            raise ServiceError(PAUSED[each.pause])


def dates_for(block: Block, registry_dates: Mapping[str, RegistryDates]) -> RegistryDates:
    """Return the dates of a block's registry as they are for its units, which may expire."""
    return narrowed(registry_dates.get(block.registry_id, RegistryDates()), block.expires_on)


class EndedError(ServiceError):
    """A registry has taken its last order since the checkout began."""

    def __init__(self) -> None:
        super().__init__(ENDED)


def check_ended(dates: Iterable[RegistryDates], *, now: datetime) -> None:
    """Make sure that no registry has taken its last order since a checkout began.

    Raises:
        EndedError: one has; the caller gives the checkout's units back (:func:`give_up`).

    """
    for each in dates:
        if each.orders_until is not None and now >= each.orders_until:
            raise EndedError


def give_up(session: Session, token: str, *, now: datetime) -> None:
    """Release the units of a checkout that can become no order any more. Safe to repeat."""
    checkout = find_checkout(session, token, lock=True)
    if checkout.status is CheckoutStatus.OPEN and move(
        session, checkout, CheckoutStatus.LAPSED, actor="clock", why="registry ended", now=now
    ):
        checkout.due_at = None
        stock.release(session, ((line.offer_id, line.quantity) for line in checkout.lines))


def check_purchaser(session: Session, user_id: int | None, provider_ids: Sequence[int]) -> None:
    """Make sure that nobody buys from the provider whose staff they are (G9).

    Raises:
        ServiceError: one of the providers is the purchaser's own.

    """
    if user_id is not None and _staff_of(session, user_id) in provider_ids:
        raise ServiceError(OWN_UNITS)


def _staff_of(session: Session, user_id: int | None) -> int | None:
    return session.scalar(select(User.provider_id).where(User.id == user_id)) if user_id else None


def start_checkout(
    session: Session,
    basket: Mapping[int, int],
    *,
    locale: str,
    user_id: int | None,
    registry_dates: Mapping[str, RegistryDates],
    hold_for: timedelta,
    now: datetime,
    token: str = "",
) -> Checkout:
    """Hold the units of ``basket`` (offer id to quantity) for ``hold_for``.

    Args:
        session: a writing transaction.
        basket: what to hold.
        locale: the purchaser's language.
        user_id: of the account, None for a guest.
        registry_dates: by registry connection.
        hold_for: how long.
        now: the moment.
        token: the link the checkout is to have, so that it is safe to repeat: a second
            click finds the first one's units, and a changed basket changes what they
            are. The token of a checkout that is over is not used again.

    Raises:
        ServiceError: the basket is empty or a line cannot be had; what was held before
            stays so.

    """
    if not basket:
        raise ServiceError(N_("Your basket is empty."))
    if len(basket) > MAX_LINES:
        raise ServiceError(TOO_MANY)
    checkout = _claim(session, token, locale=locale, user_id=user_id, now=now)
    before = {line.offer_id: line.quantity for line in checkout.lines}
    checkout.locale = locale
    _extend(checkout, hold_for=hold_for, now=now)
    if before == basket:
        return checkout
    offers = {
        offer.id: offer for offer in session.scalars(select(Offer).where(Offer.id.in_(basket)))
    }
    staff_of = _staff_of(session, user_id)
    for offer_id, quantity in basket.items():
        offer = offers.get(offer_id)
        dates = registry_dates.get(offer.block.registry_id) if offer else None
        check_line(
            offer if dates else None,
            quantity,
            dates=dates or RegistryDates(),
            now=now,
            held=before.get(offer_id, 0),
            staff_of=staff_of,
        )
    if before:
        session.execute(
            delete(CheckoutLine)
            .where(CheckoutLine.checkout_id == checkout.id)
            .execution_options(synchronize_session="fetch")
        )
        session.expire(checkout, ["lines"])
    checkout.lines.extend(
        CheckoutLine(
            offer_id=offer_id,
            quantity=quantity,
            price_minor=offers[offer_id].price_minor,
            currency=offers[offer_id].currency,
        )
        for offer_id, quantity in sorted(basket.items())
    )
    # Offer by offer in the order of ids, or two that swap their units wait for each other.
    for offer_id in sorted({**before, **basket}):
        if offer_id in before:
            stock.release(session, [(offer_id, before[offer_id])])
        if offer_id in basket:
            stock.hold(session, [(offer_id, basket[offer_id])])
    session.flush()
    return checkout


def _claim(
    session: Session, token: str, *, locale: str, user_id: int | None, now: datetime
) -> Checkout:
    """Return the open checkout of ``token``, locked, or a new one without lines."""

    def known(link: str) -> Checkout | None:
        return session.scalar(
            select(Checkout)
            .where(Checkout.token == link)
            .with_for_update()
            .execution_options(populate_existing=True)
        )

    found = known(token) if token else None
    # One that is over names the one that came after it.
    while found is not None and found.status is not CheckoutStatus.OPEN:
        later = known(found.details.get("next", ""))
        if later is None:
            break
        found = later
    if found is not None and found.status is CheckoutStatus.OPEN:
        return found
    lapsed = found is not None and found.status is CheckoutStatus.LAPSED
    fresh = Checkout(
        token=token if token and found is None else secrets.token_urlsafe(32),
        status=CheckoutStatus.OPEN,
        locale=locale,
        # Who was too slow need not type everything again.
        details={**found.details} if found and lapsed else {},
        user_id=user_id,
        created_at=now,
        lines=[],
    )
    if found is not None:
        found.details = {**found.details, "next": fresh.token}
    if not token:
        session.add(fresh)
        return fresh
    try:
        # The key before the stock (trust-facts.md 1.1): of two at once the second waits here.
        with session.begin_nested():
            session.add(fresh)
            session.flush()
    except IntegrityError:
        first = known(token)
        if first is None or first.status is not CheckoutStatus.OPEN:
            raise
        return first
    return fresh


def _extend(checkout: Checkout, *, hold_for: timedelta, now: datetime) -> None:
    checkout.due_at = min(now + hold_for, checkout.created_at + LONGEST_HOLD * hold_for)


# Every step of a checkout looks at all of it: three queries, however many lines.
_WHOLE = (
    joinedload(Checkout.lines)
    .joinedload(CheckoutLine.offer, innerjoin=True)
    .options(
        joinedload(Offer.block, innerjoin=True),
        joinedload(Offer.provider, innerjoin=True).joinedload(Provider.payout_methods),
    ),
)

# Built once: building them costs more than running them.
_FIND = select(Checkout).where(Checkout.token == bindparam("token")).options(*_WHOLE)
_LOCKED = _FIND.with_for_update(of=Checkout).execution_options(populate_existing=True)


def find_checkout(session: Session, token: str, *, lock: bool = False) -> Checkout:
    """Return the checkout of a link; with ``lock`` as its only owner until the commit.

    Raises:
        NotFoundError: there is none.

    """
    found = session.scalars(_LOCKED if lock else _FIND, {"token": token}).unique().one_or_none()
    if found is None:
        raise NotFoundError(token)
    return found


def save_details(
    checkout: Checkout,
    details: Mapping[str, Any],
    *,
    hold_for: timedelta,
    now: datetime,
    locale: str = "",
    user_id: int | None = None,
) -> None:
    """Keep what was typed, and give the purchaser the full time again.

    Does nothing to a checkout that is over. Safe to repeat.
    """
    if checkout.status is not CheckoutStatus.OPEN:
        return
    checkout.details = {**checkout.details, **details}
    checkout.locale = locale or checkout.locale
    checkout.user_id = checkout.user_id or user_id
    _extend(checkout, hold_for=hold_for, now=now)


def lapse_checkout(session: Session, checkout_id: int, *, now: datetime) -> datetime | None:
    """Release the units of a checkout whose time is over; else say when to look again."""
    checkout = session.get_one(Checkout, checkout_id, populate_existing=True, with_for_update=True)
    if checkout.status is not CheckoutStatus.OPEN:
        return None
    if checkout.due_at and checkout.due_at > now and checkout.due_at != checkout.lease_until:
        # Extended since a worker claimed it.
        return checkout.due_at
    if move(session, checkout, CheckoutStatus.LAPSED, actor="clock", why="not completed", now=now):
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
    until: Mapping[str, datetime] = field(default_factory=dict)
    """Until when each of those was possible whose money would come too late now."""


OUT_OF_SERVICE = N_("This method is out of service at present. You may come back later.")
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
    return _plan(checkout.lines, plugins, registry_dates, now=now)


def _plan(
    chosen: Sequence[CheckoutLine],
    plugins: PluginSet[PaymentPlugin],
    registry_dates: Mapping[str, RegistryDates],
    *,
    now: datetime,
) -> list[PlanPart]:
    groups: dict[tuple[int, str], list[CheckoutLine]] = {}
    for line in chosen:
        groups.setdefault((line.offer.provider_id, line.currency), []).append(line)
    plan = []
    for (_, currency), lines in groups.items():
        provider = lines[0].offer.provider
        total = Money(sum(line.total.minor for line in lines), currency)
        dates = [dates_for(line.offer.block, registry_dates) for line in lines]
        methods, withheld = choose_methods(provider, total, plugins, dates, now=now)
        until = _until(withheld, plugins, dates)
        plan.append(PlanPart(provider, currency, lines, total, methods, withheld, until))
    return plan


def _until(
    withheld: Mapping[str, str],
    plugins: PluginSet[PaymentPlugin],
    dates: Sequence[RegistryDates],
) -> dict[str, datetime]:
    late = [method_id for method_id, why in withheld.items() if why == TOO_LATE]
    ends = {
        method_id: [end for each in dates if (end := each.method_until(plugins[method_id].slowest))]
        for method_id in late
    }
    return {method_id: min(each) for method_id, each in ends.items() if each}


@dataclass(frozen=True)
class BasketView:
    """What a basket means now; nothing is held for it."""

    parts: list[PlanPart]
    problems: Mapping[int, ServiceError]
    """By offer id: why that line cannot be ordered as it is."""

    @property
    def can_check_out(self) -> bool:
        """Whether every line can be had and every provider be paid."""
        return bool(self.parts) and not self.problems and all(each.methods for each in self.parts)


def view_basket(
    session: Session,
    basket: Mapping[int, int],
    *,
    plugins: PluginSet[PaymentPlugin],
    registry_dates: Mapping[str, RegistryDates],
    now: datetime,
    token: str = "",
    staff_of: int | None = None,
) -> BasketView:
    """Look at a basket: prices, what is available, who is to be paid how (C1, C2).

    Changes nothing. Offers that are gone for good are left out of the parts and have a
    problem. ``token`` names the purchaser's own checkout, whose units count as available;
    ``staff_of`` the provider whose staff the purchaser is.
    """
    own: dict[int, int] = {}
    if token:
        held = session.scalar(
            select(Checkout).where(Checkout.token == token, Checkout.status == CheckoutStatus.OPEN)
        )
        own = {line.offer_id: line.quantity for line in held.lines} if held else {}
    offers = {
        offer.id: offer for offer in session.scalars(select(Offer).where(Offer.id.in_(basket)))
    }
    lines, problems = [], {}
    for offer_id, quantity in basket.items():
        offer = offers.get(offer_id)
        dates = registry_dates.get(offer.block.registry_id) if offer else None
        try:
            check_line(
                offer if dates else None,
                quantity,
                dates=dates or RegistryDates(),
                now=now,
                held=own.get(offer_id, 0),
                staff_of=staff_of,
            )
        except ServiceError as error:
            problems[offer_id] = error
        if offer is not None:
            # Never added to the session: only to be computed with.
            line = CheckoutLine(
                offer_id=offer_id,
                quantity=quantity,
                price_minor=offer.price_minor,
                currency=offer.currency,
            )
            line.offer = offer
            lines.append(line)
    return BasketView(_plan(lines, plugins, registry_dates, now=now), problems)


def choose_methods(
    provider: Provider,
    total: Money,
    plugins: PluginSet[PaymentPlugin],
    dates: list[RegistryDates],
    *,
    now: datetime,
    placed: bool = False,
) -> tuple[list[PayoutMethod], dict[str, str]]:
    """Return the provider's methods for ``total``, and those withheld with the reason.

    ``placed``: for an order that was placed before, which may be paid after the last order.
    """
    taken, methods = provider.ways_to_pay, []
    withheld = dict.fromkeys(sorted(plugins.withheld & taken.keys()), OUT_OF_SERVICE)
    for method_id, plugin in plugins.items():
        payout = taken.get(method_id)
        if payout is None:
            continue
        if total.currency not in payout.currencies or not plugin.supports(total):
            withheld[method_id] = CANNOT
        elif total.minor < payout.minimum_minor:
            withheld[method_id] = TOO_SMALL
        elif paused := [each.pause for each in dates if each.pause]:
            withheld[method_id] = PAUSED[paused[0]]
        elif not all(each.allows_method(now, plugin.slowest, placed=placed) for each in dates):
            withheld[method_id] = TOO_LATE
        else:
            methods.append(payout)
    return methods, withheld

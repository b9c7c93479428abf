"""Offers: made, changed, withdrawn and ended, for everybody or for one customer."""

from __future__ import annotations

import secrets
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from typing import Final

from sqlalchemy import select
from sqlalchemy.orm import Session, joinedload

from cnn_offset.domain.calendar import RegistryDates, RegistryPhase
from cnn_offset.domain.expiry import last_order
from cnn_offset.domain.money import Money
from cnn_offset.domain.status import OfferStatus, PayoutStatus
from cnn_offset.domain.text import N_
from cnn_offset.models import Block, Offer, PayoutMethod
from cnn_offset.plugins.loader import PluginSet
from cnn_offset.plugins.payments.base import PaymentPlugin
from cnn_offset.services import NotFoundError, ServiceError, stock
from cnn_offset.services.checking_out import dates_for
from cnn_offset.services.terms import close, keep_terms

MAX_MINOR: Final = 1_000_000_000
"""Of a price, in minor units: more is a slip of the finger in any currency."""
ENDED: Final = N_("Its end date has come.")
CLOSED: Final = N_("This offer is closed. Please make a new one.")
CHANGED: Final = N_(
    "Somebody, or the registry, has changed this offer since you opened the form. "
    "Please compare with what is in force now and save again."
)
NO_WAY: Final = N_(
    "You cannot be paid in %(currency)s yet. Please set up a way to be paid that takes it."
)


class TermError(ServiceError):
    """One of the terms cannot be taken; ``field`` names it as the form does."""

    def __init__(self, field: str, message: str, **values: object) -> None:
        super().__init__(message, **values)
        self.field = field


class ChangedError(ServiceError):
    """The offer is no longer as it was when the form was drawn."""

    def __init__(self) -> None:
        super().__init__(CHANGED)


@dataclass(frozen=True, slots=True)
class Terms:
    """What an offer is to say. ``quantity`` counts all its units, sold ones too."""

    price: Money
    quantity: int
    min_quantity: int = 1
    ends_on: date | None = None
    """The last day on which it takes orders (UTC); None for no end."""


@dataclass(frozen=True, slots=True)
class Outside:
    """What offers depend on beside the database."""

    plugins: PluginSet[PaymentPlugin]
    registry_dates: Mapping[str, RegistryDates]
    now: datetime


def currencies(
    session: Session, provider_id: int, plugins: PluginSet[PaymentPlugin]
) -> dict[str, None]:
    """Return the currencies a provider can be paid in now, in their order."""
    methods = session.scalars(
        select(PayoutMethod)
        .where(PayoutMethod.provider_id == provider_id, PayoutMethod.status == PayoutStatus.READY)
        .order_by(PayoutMethod.id)
    )
    return {
        currency: None
        for each in methods
        if each.method_id in plugins
        for currency in each.currencies
    }


def own_block(session: Session, provider_id: int, block_id: int) -> Block:
    """Return a block of a provider.

    Raises:
        NotFoundError: there is none, or it is another provider's.

    """
    found = session.scalar(
        select(Block)
        .where(Block.id == block_id, Block.provider_id == provider_id)
        .options(joinedload(Block.activity))
    )
    if found is None:
        raise NotFoundError(f"block {block_id}")
    return found


def own_offer(session: Session, provider_id: int, offer_id: int) -> Offer:
    """Return an offer of a provider.

    Raises:
        NotFoundError: there is none, or it is another provider's.

    """
    found = session.scalar(
        select(Offer)
        .where(Offer.id == offer_id, Offer.provider_id == provider_id)
        .options(joinedload(Offer.block).joinedload(Block.activity))
    )
    if found is None:
        raise NotFoundError(f"offer {offer_id}")
    return found


def private_offer(session: Session, token: str) -> Offer:
    """Return the private offer of a link, whether or not it still takes orders.

    Raises:
        NotFoundError: there is none.

    """
    found = session.scalar(
        select(Offer)
        .where(Offer.private_token == token)
        .options(joinedload(Offer.block).joinedload(Block.activity))
    )
    if found is None:
        raise NotFoundError("private offer")
    return found


def make_offer(
    session: Session,
    provider_id: int,
    block_id: int,
    terms: Terms,
    outside: Outside,
    *,
    actor: str,
    customer: str | None = None,
) -> Offer:
    """Put units of a block on sale.

    Args:
        session: a writing transaction.
        provider_id: whose.
        block_id: of what.
        terms: at what price, how many, until when.
        outside: ways to pay, registries' dates and the moment.
        actor: who wants it.
        customer: for a private offer, whom it is for in the provider's words (may be
            empty); None for an offer that everybody sees.

    Raises:
        NotFoundError: the block is not the provider's.
        TermError: one of the terms cannot be taken.
        ServiceError: the block may not be offered now, or is on offer already.

    """
    own_block(session, provider_id, block_id)
    block = stock.lock_block(session, block_id)
    check(
        block,
        None,
        terms,
        outside,
        payable=currencies(session, provider_id, outside.plugins),
        free=free_units(session, block),
    )
    if customer is None and session.scalar(
        select(Offer.id).where(
            Offer.block_id == block_id,
            Offer.status == OfferStatus.OPEN,
            Offer.private_token.is_(None),
        )
    ):
        raise ServiceError(
            N_("This block is on offer already. Please change that offer, or make a private one.")
        )
    now = outside.now
    offer = Offer(
        block_id=block_id,
        provider_id=provider_id,
        price_minor=terms.price.minor,
        currency=terms.price.currency,
        quantity=terms.quantity,
        min_quantity=terms.min_quantity,
        ends_at=_end(terms, block, outside),
        private_token=None if customer is None else secrets.token_urlsafe(32),
        customer=customer or "",
        version=1,
        created_at=now,
        changed_at=now,
    )
    offer.due_at = offer.ends_at
    session.add(offer)
    session.flush()
    keep_terms(session, offer, actor=actor, why="", now=now)
    return offer


def change_offer(
    session: Session,
    provider_id: int,
    offer_id: int,
    terms: Terms,
    outside: Outside,
    *,
    version: int,
    actor: str,
) -> bool:
    """Change an open offer in place; orders and checkouts that run keep their price.

    Returns whether anything differs. Safe to repeat.

    Args:
        session: a writing transaction.
        provider_id: whose.
        offer_id: which.
        terms: what it is to say.
        outside: ways to pay, registries' dates and the moment.
        version: of the offer the form was drawn from.
        actor: who wants it.

    Raises:
        NotFoundError: the offer is not the provider's.
        ChangedError: its terms have changed since ``version``.
        TermError: one of the terms cannot be taken.
        ServiceError: it is closed, or the block may not be offered now.

    """
    block = stock.lock_block(session, own_offer(session, provider_id, offer_id).block_id)
    offer = _locked(session, offer_id)
    if offer.status is not OfferStatus.OPEN:
        raise ServiceError(CLOSED)
    wanted = (terms.price, terms.quantity, terms.min_quantity, terms.ends_on)
    if wanted == (offer.price, offer.quantity, offer.min_quantity, last_day(offer)):
        return False
    if offer.version != version:
        raise ChangedError
    check(
        block,
        offer,
        terms,
        outside,
        payable=currencies(session, provider_id, outside.plugins),
        free=free_units(session, block),
    )
    offer.price_minor, offer.currency = terms.price.minor, terms.price.currency
    offer.quantity, offer.min_quantity = terms.quantity, terms.min_quantity
    offer.ends_at = offer.due_at = _end(terms, block, outside)
    offer.version += 1
    keep_terms(session, offer, actor=actor, why="", now=outside.now)
    return True


def withdraw_offer(
    session: Session, provider_id: int, offer_id: int, *, actor: str, now: datetime
) -> Offer:
    """Close an offer to new orders; it ends when those that run do. Safe to repeat.

    Raises:
        NotFoundError: the offer is not the provider's.

    """
    stock.lock_block(session, own_offer(session, provider_id, offer_id).block_id)
    offer = _locked(session, offer_id)
    close(session, offer, actor=actor, why="", now=now)
    return offer


def end_offer(session: Session, offer_id: int, *, now: datetime) -> datetime | None:
    """Close an offer whose end date has come; else say when to look again."""
    offer = _locked(session, offer_id)
    if offer.status is not OfferStatus.OPEN or offer.ends_at is None:
        return None
    if offer.ends_at > now:
        return offer.ends_at
    close(session, offer, actor="clock", why=ENDED, now=now)
    return None


def last_day(offer: Offer) -> date | None:
    """Return the last day on which an offer takes orders, None for no end."""
    return (offer.ends_at - timedelta(microseconds=1)).date() if offer.ends_at else None


def _locked(session: Session, offer_id: int) -> Offer:
    return session.get_one(
        Offer, offer_id, with_for_update={"key_share": True}, populate_existing=True
    )


def _end(terms: Terms, block: Block, outside: Outside) -> datetime | None:
    if terms.ends_on is None:
        return last_order(block.expires_on)
    end = datetime.combine(terms.ends_on, time(), UTC) + timedelta(days=1)
    last = _dates(block, outside).orders_until
    return min(end, last) if last else end


def _dates(block: Block, outside: Outside) -> RegistryDates:
    return dates_for(block, outside.registry_dates)


def free_units(session: Session, block: Block) -> int:
    """Count the units of a block that nobody is promised."""
    return max(block.held - stock.promised(session, block.id), 0)


def check(
    block: Block,
    offer: Offer | None,
    terms: Terms,
    outside: Outside,
    *,
    payable: Collection[str],
    free: int,
) -> None:
    """Make sure that a block may be offered at ``terms``; of an open ``offer`` they replace
    what it says. Reads nothing.

    Args:
        block: of what.
        offer: the offer that is to change; None for a new one.
        terms: what it is to say.
        outside: registries' dates and the moment.
        payable: currencies the provider can be paid in.
        free: units of the block that nobody is promised.

    Raises:
        TermError: one of the terms cannot be taken.
        ServiceError: the block may not be offered now.

    """
    _check_terms(terms, block, outside, was=offer)
    more = terms.quantity - (offer.quantity if offer else 0)
    if more > 0 or offer is None or terms.price.currency != offer.currency:
        _check_sale(block, terms, outside, payable)
    if more > free:
        raise TermError(
            "quantity",
            N_("The block has only %(n)s units that are not on offer or in orders yet."),
            n=free,
        )
    taken = offer.held + offer.cancelled if offer else 0
    if terms.quantity < taken:
        raise TermError(
            "quantity",
            N_("%(n)s units are sold or in running orders; the quantity cannot be smaller."),
            n=taken,
        )


def _check_terms(terms: Terms, block: Block, outside: Outside, *, was: Offer | None = None) -> None:
    """Refuse terms that make no sense, whatever there is to sell."""
    if terms.price.minor <= 0:
        raise TermError("price", N_("Please enter a price above zero."))
    if terms.price.minor > MAX_MINOR:
        raise TermError("price", N_("This price is too high. Please check it for a slip."))
    if terms.quantity < 1:
        raise TermError("quantity", N_("Please enter a whole number of units, 1 or more."))
    if terms.min_quantity < 1:
        raise TermError("minimum", N_("Please enter a whole number of units, 1 or more."))
    if terms.min_quantity > terms.quantity:
        raise TermError("minimum", N_("The smallest order cannot be larger than the offer."))
    if terms.ends_on is None or (was and terms.ends_on == last_day(was)):
        return
    if terms.ends_on < outside.now.date():
        raise TermError("ends_on", N_("Please choose a day that is not over, or none."))
    expiring = last_order(block.expires_on)
    if expiring and terms.ends_on >= expiring.date():
        raise TermError(
            "ends_on",
            N_("These units expire; they can be ordered until %(day)s."),
            day=expiring.date() - timedelta(days=1),
        )
    last = _dates(block, outside).orders_until
    if last and terms.ends_on > last.date():
        raise TermError(
            "ends_on", N_("The registry takes no orders after %(day)s."), day=last.date()
        )


def _check_sale(block: Block, terms: Terms, outside: Outside, payable: Collection[str]) -> None:
    """Refuse to put on sale what could not be sold."""
    if not block.eligible:
        raise ServiceError(
            N_("These units cannot be offered at present. Their page says what stands in the way.")
        )
    known = block.registry_id in outside.registry_dates
    # Before a registry opens offers are prepared; nobody can order yet.
    takes = (RegistryPhase.OPEN, RegistryPhase.NOT_OPEN)
    if not known or _dates(block, outside).phase(outside.now) not in takes:
        raise ServiceError(N_("The registry of these units takes no new orders."))
    if terms.price.currency not in payable:
        raise TermError("currency", NO_WAY, currency=terms.price.currency)

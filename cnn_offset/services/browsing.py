"""Reading what is on offer, for pages that show it. Changes nothing."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, String, bindparam, func, select, type_coerce
from sqlalchemy.orm import Session, contains_eager, selectinload

from cnn_offset.domain.calendar import RegistryDates, RegistryPhase
from cnn_offset.domain.facets import FINE, ListedOffer
from cnn_offset.domain.money import Money, exponent
from cnn_offset.domain.status import (
    AttestationStatus,
    CancellationStatus,
    OfferStatus,
    PayoutStatus,
)
from cnn_offset.models import (
    Activity,
    Attestation,
    Block,
    Cancellation,
    Checkout,
    Event,
    Figure,
    FormerRef,
    Issuance,
    Offer,
    PayoutMethod,
    Provider,
    Span,
)
from cnn_offset.plugins.loader import PluginSet
from cnn_offset.plugins.payments.base import PaymentPlugin
from cnn_offset.services import NotFoundError

Market = Mapping[str, frozenset[str]]
"""For each registry that takes orders, the payment methods in time for it."""


def open_market(
    plugins: PluginSet[PaymentPlugin], registry_dates: Mapping[str, RegistryDates], now: datetime
) -> Market:
    """Say which registries take orders at ``now``, and which methods pay in time (C13)."""
    return {
        registry_id: frozenset(
            method_id
            for method_id, plugin in plugins.items()
            if dates.allows_method(now, plugin.slowest)
        )
        for registry_id, dates in registry_dates.items()
        if dates.phase(now) is RegistryPhase.OPEN
    }


@dataclass(frozen=True, slots=True)
class Version:
    """If two of these are equal, the catalogue is the same but for edited texts."""

    activities: tuple[int | None, datetime | None]
    offers: tuple[Any, ...]
    """Open offers, the ways to pay their providers, and the market."""
    stock: tuple[Any, ...]
    """Moves whenever units are taken or given back, and at other times too."""


_VERSION = select(
    select(func.max(Activity.id)).scalar_subquery(),
    select(func.max(Activity.changed_at)).scalar_subquery(),
    select(func.max(Offer.changed_at)).scalar_subquery(),
    select(func.max(Offer.id)).scalar_subquery(),
    # Served by the partial index of open offers.
    select(func.count()).where(Offer.status == OfferStatus.OPEN).scalar_subquery(),
    select(func.max(Checkout.id)).scalar_subquery(),
    select(func.max(Event.id)).scalar_subquery(),
)
_PAYOUTS = (
    select(PayoutMethod.provider_id, PayoutMethod.method_id, PayoutMethod.currencies)
    .join(PayoutMethod.provider)
    .where(
        PayoutMethod.status == PayoutStatus.READY,
        Provider.suspended_at.is_(None),
        Provider.fees_unaccepted.is_(False),
    )
)


def version(connection: Connection, market: Market) -> Version:
    """Return what to compare to know whether :func:`listed_offers` would differ. Cheap."""
    last_activity, edited_at, changed_at, last_id, count, *stock = connection.execute(
        _VERSION
    ).one()
    payouts = sorted(
        (provider_id, method_id, *currencies)
        for provider_id, method_id, currencies in connection.execute(_PAYOUTS)
    )
    in_time = [(registry_id, sorted(methods)) for registry_id, methods in sorted(market.items())]
    return Version(
        (last_activity, edited_at),
        (changed_at, last_id, count, str(payouts), str(in_time)),
        tuple(stock),
    )


_AVAILABLE = Offer.quantity - Offer.held - Offer.cancelled
_LISTED = (
    select(
        Offer.id,
        Offer.provider_id,
        Offer.currency,
        Offer.price_minor,
        _AVAILABLE,
        Offer.min_quantity,
        Block.activity_id,
        type_coerce(Block.unit_type, String),
        Block.vintage,
        Block.commitment_period,
        Block.registry_id,
        Activity.host_party,
        Activity.technology,
        Activity.scope,
    )
    .join(Block, Offer.block_id == Block.id)
    .join(Activity, Block.activity_id == Activity.id)
    .where(
        Offer.status == OfferStatus.OPEN,
        Offer.private_token.is_(None),
        Block.eligible,
        Offer.min_quantity <= _AVAILABLE,
    )
)


def listed_offers(connection: Connection, market: Market) -> Iterator[ListedOffer]:
    """Yield the offers that somebody could buy now: open, eligible, enough left for the
    smallest order, and a way to pay the provider before the registry closes.
    """
    ways: dict[tuple[int, str], set[str]] = {}
    for provider_id, method_id, currencies in connection.execute(_PAYOUTS):
        for currency in currencies:
            ways.setdefault((provider_id, currency), set()).add(method_id)
    payable = {
        (provider_id, currency, registry_id)
        for (provider_id, currency), methods in ways.items()
        for registry_id, in_time in market.items()
        if methods & in_time
    }
    fine: dict[str, int] = {}
    for row in connection.execute(_LISTED):
        offer_id, provider_id, currency, minor, available, smallest, activity_id, *rest = row
        unit_type, vintage, period, registry_id, country, technology, scope = rest
        if (provider_id, currency, registry_id) not in payable:
            continue
        if currency not in fine:
            fine[currency] = 10 ** (FINE - exponent(currency))
        yield ListedOffer(
            offer_id=offer_id,
            activity_id=activity_id,
            currency=currency,
            price=minor * fine[currency],
            available=available,
            min_quantity=smallest,
            unit_type=unit_type,
            vintage=vintage,
            commitment_period=period,
            registry_id=registry_id,
            country=country,
            technology=technology,
            scope=scope,
        )


@dataclass(frozen=True, slots=True)
class ActivityCard:
    """What a card shows of an activity, whoever offers it."""

    id: int
    slug: str
    title: Mapping[str, str]
    picture: str
    picture_alt: Mapping[str, str]
    country: str
    technology: str


_CARDS = select(
    Activity.id,
    Activity.slug,
    Activity.title,
    Activity.picture,
    Activity.picture_alt,
    Activity.host_party,
    Activity.technology,
)


def activity_cards(connection: Connection) -> dict[int, ActivityCard]:
    """Return every activity's card by id."""
    return {row.id: ActivityCard(*row) for row in connection.execute(_CARDS)}


_TEXTS = select(Activity.id, Activity.ref, Activity.title, Activity.description, Activity.labels)
_FORMER_REFS = select(FormerRef.activity_id, FormerRef.ref)


def activity_texts(connection: Connection, lang: str) -> Iterator[tuple[int, str]]:
    """Yield every activity's id with all that a search in ``lang`` looks at (A2)."""
    former: dict[int, list[str]] = {}
    for activity_id, ref in connection.execute(_FORMER_REFS):
        former.setdefault(activity_id, []).append(ref)
    for activity_id, ref, *texts in connection.execute(_TEXTS):
        refs = [ref, *former.get(activity_id, ())]
        yield activity_id, " ".join([*refs, *(text.get(lang, "") for text in texts)])


@dataclass(frozen=True, slots=True)
class Live:
    """An open offer as it is at this moment."""

    price: Money
    available: int
    min_quantity: int
    unit_type: str


_LIVE = (
    select(
        Offer.id,
        Offer.price_minor,
        Offer.currency,
        _AVAILABLE,
        Offer.min_quantity,
        type_coerce(Block.unit_type, String),
    )
    .join(Block, Offer.block_id == Block.id)
    .where(Offer.id.in_(bindparam("ids", expanding=True)), Offer.status == OfferStatus.OPEN)
)


def live_offers(connection: Connection, offer_ids: Sequence[int]) -> dict[int, Live]:
    """Return those of ``offer_ids`` that are still open, by id."""
    return {
        offer_id: Live(Money(minor, currency), available, smallest, unit_type)
        for offer_id, minor, currency, available, smallest, unit_type in connection.execute(
            _LIVE, {"ids": offer_ids}
        )
    }


def activity_by_slug(session: Session, slug: str) -> Activity:
    """Return an activity.

    Raises:
        NotFoundError: there is none.

    """
    found = session.scalar(select(Activity).where(Activity.slug == slug.replace("\0", "")))
    if found is None:
        raise NotFoundError(slug)
    return found


def units_issued(session: Session, registry_id: str, ref: str) -> int:
    """Return how many units were issued for a project, as far as imported reports tell.

    Where none is of its registry, those of the registries that it was in before count.
    """
    units = func.sum(Issuance.last - Issuance.first + 1)
    found = session.scalar(
        select(units).where(Issuance.registry_id == registry_id, Issuance.activity_ref == ref)
    )
    if found:
        return int(found)
    before = session.scalar(
        select(units)
        .join(
            FormerRef,
            (FormerRef.registry_id == Issuance.registry_id)
            & (FormerRef.ref == Issuance.activity_ref),
        )
        .join(Activity, Activity.id == FormerRef.activity_id)
        .where(Activity.registry_id == registry_id, Activity.ref == ref)
    )
    return int(before or 0)


def offers_of(session: Session, activity: Activity) -> list[Offer]:
    """Return the open offers of an activity with block and provider, cheapest first
    within a currency.
    """
    statement = (
        select(Offer)
        .join(Offer.block)
        .where(
            Block.activity_id == activity.id,
            Block.eligible,
            Offer.status == OfferStatus.OPEN,
            Offer.private_token.is_(None),
        )
        .options(
            contains_eager(Offer.block),
            selectinload(Offer.provider).selectinload(Provider.payout_methods),
        )
        .order_by(Offer.currency.desc(), Offer.price_minor, Offer.id)
    )
    return list(session.scalars(statement))


@dataclass(frozen=True, slots=True)
class Totals:
    """What has come of it all so far."""

    tonnes: int
    attestations: int
    earlier: int
    """Tonnes that the earlier platform had cancelled, as far as they were imported."""


_TOTALS = select(
    select(func.coalesce(func.sum(Cancellation.quantity), 0))
    .where(Cancellation.status == CancellationStatus.CONFIRMED)
    .scalar_subquery(),
    select(func.count())
    .select_from(Attestation)
    .where(
        # What corrects another is no further one.
        Attestation.status == AttestationStatus.ISSUED,
        Attestation.supersedes_id.is_(None),
    )
    .scalar_subquery(),
    # Some rows a year, counted when they were imported.
    select(func.coalesce(func.sum(Figure.units), 0))
    .where(Figure.span == Span.YEAR, Figure.measure == "earlier", Figure.dimension == "all")
    .scalar_subquery(),
)


def totals(connection: Connection) -> Totals:
    """Add up confirmed cancellations, issued attestations and what was imported."""
    return Totals(*(int(number) for number in connection.execute(_TOTALS).one()))

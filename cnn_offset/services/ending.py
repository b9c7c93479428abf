"""What comes of a registry's dates: orders to be paid sooner, mails, offers that close.

Each step may be done twice and stops after a while, to go on where it stopped; what is done
for a date is written down with it, and looked at again each hour.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from datetime import datetime, timedelta
from typing import Final

from sqlalchemy import func, select, update
from sqlalchemy.orm import Session

from cnn_offset.domain.calendar import CANCELLING, RegistryDates, RegistryPhase
from cnn_offset.domain.status import OfferStatus, OrderStatus
from cnn_offset.domain.text import N_
from cnn_offset.models import Block, Offer, OfferTerms, Order, Provider, RegistryAccount
from cnn_offset.models import RegistryEnd as End
from cnn_offset.services import Begin, deadlines
from cnn_offset.services.mailing import queue_message, tell_purchaser
from cnn_offset.services.moves import lock_order, note
from cnn_offset.services.terms import close

EVERY: Final = timedelta(minutes=1)
BATCH: Final = 200
PROVIDER_DAYS: Final = (14, 7, 3, 1)
"""Days before the last moment to pay on which providers are told of open bank orders."""
ENDED: Final = N_("The registry of these units takes no new orders any more.")
ACTOR: Final = "clock"


def tend(
    begin: Begin,
    registry_dates: Mapping[str, RegistryDates],
    *,
    bank_methods: Collection[str],
    now: datetime,
) -> datetime:
    """Put the registries' dates in force and do what is due by them; return when to go on."""
    with begin() as session:
        deadlines.put_in_force(session, registry_dates)
    more = False
    for registry_id, dates in sorted(registry_dates.items()):
        more |= shorten(begin, registry_id, dates, now=now)
        tell_providers(begin, registry_id, dates, bank_methods=bank_methods, now=now)
        more |= close_offers(begin, registry_id, dates, now=now)
        watch_accounts(begin, registry_id, dates, now=now)
    return now if more else now + EVERY


def shorten(begin: Begin, registry_id: str, dates: RegistryDates, *, now: datetime) -> bool:
    """Hold unpaid orders to the last moment in which money is still of use (F7).

    New orders go by it anyway: this is for those placed before a date was set or moved. Their
    purchasers are told once. Returns whether there are more.
    """
    if dates.end is None:
        return False
    last = dates.end - CANCELLING
    mark = f"{last.isoformat()} {now:%Y-%m-%dT%H}"
    with begin() as session:
        if _done(session, registry_id, "shortened") == mark:
            return False
        found = session.scalars(
            select(Order.id)
            .where(
                Order.status == OrderStatus.PLACED,
                Order.pay_by > last,
                deadlines.has_units_in(registry_id),
            )
            .order_by(Order.pay_by)
            .limit(BATCH)
        ).all()
        if not found:
            _keep(session, registry_id, "shortened", mark)
    for order_id in found:
        with begin() as session:
            _shorten(session, order_id, registry_id, last, now=now)
    return bool(found)


def _shorten(
    session: Session, order_id: int, registry_id: str, last: datetime, *, now: datetime
) -> None:
    order = lock_order(session, order_id)
    if order.status is not OrderStatus.PLACED or order.pay_by <= last:
        return
    before, order.pay_by, order.due_at = order.pay_by, last, now
    why = f"until {last:%Y-%m-%d %H:%M}, not {before:%Y-%m-%d %H:%M}"
    note(session, order, old="", new="pay sooner", actor=ACTOR, why=why, now=now)
    if last > now:
        tell_purchaser(
            session,
            "pay_sooner",
            order,
            now=now,
            dedup=f"pay_sooner:{order.id}:{last:%Y-%m-%dT%H:%M}",
            params={"registry_id": registry_id, "before": before.isoformat()},
        )


def tell_providers(
    begin: Begin,
    registry_id: str,
    dates: RegistryDates,
    *,
    bank_methods: Collection[str],
    now: datetime,
) -> None:
    """Mail providers how many bank orders must be marked as paid before a registry's end."""
    if dates.end is None or now >= dates.end - CANCELLING:
        return
    last = dates.end - CANCELLING
    near = [days for days in PROVIDER_DAYS if now >= last - timedelta(days=days)]
    if not near:
        return
    mark = f"{last.isoformat()} {min(near)}"
    after = 0
    while True:
        with begin() as session:
            if _done(session, registry_id, "told") == mark:
                return
            found = session.execute(
                select(Order.provider_id, func.count())
                .where(
                    Order.status == OrderStatus.PLACED,
                    Order.method_id.in_(bank_methods),
                    Order.provider_id > after,
                    deadlines.has_units_in(registry_id),
                )
                .group_by(Order.provider_id)
                .order_by(Order.provider_id)
                .limit(BATCH)
            ).all()
            for provider_id, count in found:
                _tell(
                    session,
                    provider_id,
                    "bank_orders_ending",
                    f"{registry_id}:{mark}",
                    {"registry_id": registry_id, "until": last.isoformat(), "count": count},
                    now=now,
                )
            if len(found) < BATCH:
                _keep(session, registry_id, "told", mark)
                return
            after = found[-1][0]


def close_offers(begin: Begin, registry_id: str, dates: RegistryDates, *, now: datetime) -> bool:
    """Close the offers of a registry that takes no orders any more; running orders go on.

    Each provider is told once, when its last offer is closed. Returns whether there are more.
    """
    until = dates.orders_until
    if until is None or now < until:
        return False
    mark = f"{until.isoformat()} {now:%Y-%m-%dT%H}"
    with begin() as session:
        if _done(session, registry_id, "offers") == mark:
            return False
        providers = session.scalars(
            select(Offer.provider_id)
            .join(Block, Block.id == Offer.block_id)
            .where(Offer.status == OfferStatus.OPEN, Block.registry_id == registry_id)
            .group_by(Offer.provider_id)
            .order_by(Offer.provider_id)
            .limit(BATCH)
        ).all()
        if not providers:
            _keep(session, registry_id, "offers", mark)
    for provider_id in providers:
        with begin() as session:
            _close_some(session, provider_id, registry_id, until, now=now)
    return bool(providers)


def _close_some(
    session: Session, provider_id: int, registry_id: str, until: datetime, *, now: datetime
) -> None:
    offers = session.scalars(
        select(Offer)
        .join(Block, Block.id == Offer.block_id)
        .where(
            Offer.status == OfferStatus.OPEN,
            Offer.provider_id == provider_id,
            Block.registry_id == registry_id,
        )
        .order_by(Offer.id)
        .limit(BATCH)
        .with_for_update(of=Offer, key_share=True)
        .execution_options(populate_existing=True)
    ).all()
    for offer in offers:
        close(session, offer, actor=ACTOR, why=ENDED, now=now)
    if len(offers) == BATCH:
        return
    closed = session.scalar(
        select(func.count())
        .select_from(OfferTerms)
        .join(Offer, Offer.id == OfferTerms.offer_id)
        .join(Block, Block.id == Offer.block_id)
        .where(
            Offer.provider_id == provider_id,
            Block.registry_id == registry_id,
            OfferTerms.why == ENDED,
            OfferTerms.at >= until,
        )
    )
    told = {"registry_id": registry_id, "until": until.isoformat(), "count": closed or 0}
    _tell(session, provider_id, "offers_ended", f"{registry_id}:{until.isoformat()}", told, now=now)


def watch_accounts(begin: Begin, registry_id: str, dates: RegistryDates, *, now: datetime) -> None:
    """Read accounts no more in a closed registry, and again in one that is not after all."""
    is_closed = dates.phase(now) is RegistryPhase.CLOSED
    with begin() as session:
        if bool(_done(session, registry_id, "closed")) == is_closed:
            return
        accounts = update(RegistryAccount).where(RegistryAccount.registry_id == registry_id)
        session.execute(
            accounts.values(
                due_at=None if is_closed else now, attempts=0, last_error=""
            ).execution_options(synchronize_session=False)
        )
        _keep(session, registry_id, "closed", "yes" if is_closed else "")


def _tell(
    session: Session,
    provider_id: int,
    kind: str,
    mark: str,
    params: Mapping[str, object],
    *,
    now: datetime,
) -> None:
    provider = session.get_one(Provider, provider_id)
    queue_message(
        session,
        kind,
        recipient=provider.email,
        locale=provider.locale,
        now=now,
        dedup=f"{kind}:{provider_id}:{mark}",
        params=params,
    )


def _done(session: Session, registry_id: str, name: str) -> str:
    return str(_row(session, registry_id).done.get(name, ""))


def _keep(session: Session, registry_id: str, name: str, mark: str) -> None:
    row = _row(session, registry_id)
    row.done = {**row.done, name: mark}


def _row(session: Session, registry_id: str) -> End:
    return session.scalars(select(End).where(End.registry_id == registry_id)).one()

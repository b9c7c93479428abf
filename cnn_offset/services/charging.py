"""The fee of an order: computed once, when it is placed, and what becomes of it afterwards.

No fee without consent: from a schedule's first day on a provider that has not accepted it
takes no new orders, and so pays none. Orders placed before keep what they were placed with.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import date, datetime
from enum import StrEnum
from typing import Final

from sqlalchemy import select, update
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.orm import Session

from cnn_offset.domain.fee import FeePart, Tier, fee_of, split
from cnn_offset.domain.money import Money
from cnn_offset.domain.status import OrderStatus
from cnn_offset.domain.units import UnitType
from cnn_offset.models import FeeConsent, FeeSchedule, FeeVolume, Order, OrderFee
from cnn_offset.services import ServiceError, switching
from cnn_offset.services.checking_out import SUSPENDED
from cnn_offset.services.moves import follows

SWITCH: Final = "fees"
"""The name under which operators switch fees on and off; off unless they do."""
_ENDED: Final = (OrderStatus.LAPSED, OrderStatus.WITHDRAWN, OrderStatus.REFUNDED)


def are_on(session: Session) -> bool:
    """Whether fees are charged at all."""
    return bool(switching.read(session, SWITCH).get("on"))


def pay_to(session: Session) -> str:
    """Return how providers pay what stands on their statements."""
    return str(switching.read(session, SWITCH).get("pay_to", ""))


def holding(session: Session, day: date) -> FeeSchedule | None:
    """Return the schedule of a day, whether or not fees are on."""
    return session.scalar(
        select(FeeSchedule)
        .where(FeeSchedule.holds_from <= day)
        .order_by(FeeSchedule.holds_from.desc())
        .limit(1)
    )


def in_force(session: Session, day: date) -> FeeSchedule | None:
    """Return the schedule that new orders of a day are charged by; None if there is no fee."""
    return holding(session, day) if are_on(session) else None


def has_accepted(session: Session, provider_id: int, schedule_id: int) -> bool:
    """Whether a provider's owner has accepted a schedule."""
    found = session.scalar(
        select(FeeConsent.id).where(
            FeeConsent.provider_id == provider_id, FeeConsent.schedule_id == schedule_id
        )
    )
    return found is not None


def charge(session: Session, order: Order, *, now: datetime) -> None:
    """Compute the fee of an order that is just being placed, and count its units.

    Each order counts its units before it looks where they lie in the tiers, and whoever
    orders at the same time waits for that: no two use the same room of a tier.

    Args:
        session: the transaction that places the order.
        order: flushed, with its lines.
        now: the moment.

    Raises:
        ServiceError: the provider has not accepted the schedule that holds.

    """
    schedule = in_force(session, now.date())
    if schedule is None:
        return
    if not has_accepted(session, order.provider_id, schedule.id):
        raise ServiceError(SUSPENDED)
    table, steps = schedule.table, []
    # Always in the same order, or two that count several kinds wait for each other.
    for line in sorted(order.lines, key=lambda line: (line.unit_type, line.id)):
        tiers = table.get(line.unit_type)
        if tiers:
            until = _count(session, order, line.unit_type, line.quantity)
            parts = split(tiers, until - line.quantity, line.quantity, line.price_minor)
            steps += [(line.unit_type, each) for each in parts]
    session.add(
        OrderFee(
            order_id=order.id,
            provider_id=order.provider_id,
            schedule_id=schedule.id,
            amount_minor=fee_of(part for _, part in steps),
            currency=order.currency,
            parts=[
                [kind.value, part.units, part.basis_points, part.value_minor]
                for kind, part in steps
            ],
        )
    )
    session.flush()


def _count(session: Session, order: Order, kind: UnitType, units: int) -> int:
    """Add units to the provider's volume and return it; others wait until the commit."""
    dialect = sqlite if session.get_bind().dialect.name == "sqlite" else postgresql
    table = FeeVolume.__table__
    value = session.connection().scalar(
        dialect.insert(table)
        .values(
            provider_id=order.provider_id,
            unit_type=kind,
            year=order.placed_at.year,
            units=units,
        )
        .on_conflict_do_update(
            index_elements=["provider_id", "unit_type", "year"],
            set_={"units": table.c.units + units},
        )
        .returning(table.c.units)
    )
    return int(value)


@follows(Order)
def _follow(session: Session, order: Order, new: StrEnum) -> None:
    """Let an order that ends give its volume back, one that is paid after all take it again."""
    if new in _ENDED:
        _recount(session, order, counted=False)
    elif new is OrderStatus.PAID:
        _recount(session, order, counted=True)
    if new is OrderStatus.PAID or order.paid_at is not None:
        look_again(session, order.id)


def _recount(session: Session, order: Order, *, counted: bool) -> None:
    changed = session.connection().execute(
        update(OrderFee)
        .where(OrderFee.order_id == order.id, OrderFee.counted.is_(not counted))
        .values(counted=counted)
        .returning(OrderFee.parts)
    )
    row = changed.one_or_none()
    sums: dict[UnitType, int] = {}
    for kind, units, *_ in row.parts if row else ():
        sums[UnitType(kind)] = sums.get(UnitType(kind), 0) + units
    for kind in sorted(sums):
        if counted:
            _count(session, order, kind, sums[kind])
        else:
            session.connection().execute(
                update(FeeVolume)
                .where(
                    FeeVolume.provider_id == order.provider_id,
                    FeeVolume.unit_type == kind,
                    FeeVolume.year == order.placed_at.year,
                )
                .values(units=FeeVolume.units - sums[kind])
            )


def look_again(session: Session, order_id: int) -> None:
    """Have the next statement look at an order's fee: money came or went. Safe to repeat.

    Written whatever was read before: a statement may just be made by somebody else.
    """
    session.connection().execute(
        update(OrderFee).where(OrderFee.order_id == order_id).values(unsettled=True)
    )


def volumes(session: Session, provider_id: int, year: int) -> dict[UnitType, int]:
    """Return a provider's volume of a year by kind of unit, where there is any."""
    rows = session.execute(
        select(FeeVolume.unit_type, FeeVolume.units).where(
            FeeVolume.provider_id == provider_id, FeeVolume.year == year
        )
    )
    return {kind: int(units) for kind, units in rows}


def fee_by_order(session: Session, order_id: int) -> OrderFee | None:
    """Return the fee of an order; None if it bears none."""
    return session.scalar(select(OrderFee).where(OrderFee.order_id == order_id))


def foresee(
    tiers: Mapping[UnitType, Sequence[Tier]],
    kind: UnitType,
    *,
    before: int,
    quantity: int,
    price: Money,
) -> tuple[list[FeePart], Money]:
    """Return what an order of ``quantity`` units would be charged after ``before`` of the year."""
    parts = split(tiers.get(kind, ()), before, quantity, price.minor)
    return parts, Money(fee_of(parts), price.currency)


def of_offer(
    session: Session,
    provider_id: int,
    kind: UnitType,
    price: Money,
    *,
    quantity: int,
    now: datetime,
) -> Money | None:
    """Return what an order placed now would be charged; None while no fee holds."""
    schedule = in_force(session, now.date())
    if schedule is None:
        return None
    before = volumes(session, provider_id, now.year).get(kind, 0)
    return foresee(schedule.table, kind, before=before, quantity=quantity, price=price)[1]


def upcoming(session: Session, day: date) -> FeeSchedule | None:
    """Return the next schedule that is announced but does not hold yet."""
    return session.scalar(
        select(FeeSchedule)
        .where(FeeSchedule.holds_from > day)
        .order_by(FeeSchedule.holds_from)
        .limit(1)
    )

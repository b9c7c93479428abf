"""Adding up fees: orders, volumes, statements, and what processors have set aside."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from sqlalchemy import func, select
from sqlalchemy.orm import Session, joinedload

from cnn_offset.domain.fee import fee_of
from cnn_offset.models import (
    Counter,
    FeeStatement,
    FeeStatementLine,
    FeeVolume,
    OrderFee,
)
from cnn_offset.services import fee_statements

BATCH = 500


def check_fees(session: Session) -> Iterator[str]:
    """Yield everything about fees that does not add up, in words for operators."""
    counted: dict[tuple[int, str, int], int] = {}
    after = 0
    while True:
        fees = session.scalars(
            select(OrderFee)
            .where(OrderFee.order_id > after)
            .order_by(OrderFee.order_id)
            .limit(BATCH)
            .options(joinedload(OrderFee.order, innerjoin=True))
        ).all()
        for fee in fees:
            yield from _own(fee)
            for kind, units, *_ in fee.parts if fee.counted else ():
                named = (fee.provider_id, str(kind), fee.order.placed_at.year)
                counted[named] = counted.get(named, 0) + units
        yield from _settled(session, [each for each in fees if not each.unsettled])
        if len(fees) < BATCH:
            break
        after = fees[-1].order_id
    for volume in session.scalars(select(FeeVolume)):
        named = (volume.provider_id, volume.unit_type.value, volume.year)
        if volume.units != counted.pop(named, 0):
            yield f"volume of provider {named}: {volume.units} units, its orders say otherwise"
    for named in counted:
        yield f"volume of provider {named}: not counted"
    yield from _statements(session)


def _own(fee: OrderFee) -> Iterator[str]:
    order = fee.order
    steps = [part for _, part in fee.steps]
    if fee_of(steps) != fee.amount_minor:
        yield f"order {order.code}: fee {fee.amount_minor}, its parts say {fee_of(steps)}"
    if not 0 <= fee.amount_minor < order.total_minor or fee.currency != order.currency:
        yield f"order {order.code}: fee {fee.amount} of {order.total}"


def _settled(session: Session, fees: Sequence[OrderFee]) -> Iterator[str]:
    """What was looked at is even: due = set aside by processors + on statements."""
    paid = [each for each in fees if each.order.paid_at is not None]
    for fee, left in fee_statements.still_open(session, paid):
        if left:
            yield f"order {fee.order.code}: {left} of its fee on no statement"


def _statements(session: Session) -> Iterator[str]:
    """Numbers have no gaps; a statement is the sum of its lines."""
    count, highest = session.execute(
        select(func.count(), func.coalesce(func.max(FeeStatement.sequence), 0))
    ).one()
    given = session.scalar(select(Counter.value).where(Counter.name == fee_statements.STATED))
    if not count == highest == (given or 0):
        yield f"fee statements: {count} rows, highest number {highest}, counter {given}"
    sums = (
        select(
            FeeStatementLine.statement_id, func.sum(FeeStatementLine.amount_minor).label("minor")
        )
        .group_by(FeeStatementLine.statement_id)
        .subquery()
    )
    for sequence, total, minor in session.execute(
        select(FeeStatement.sequence, FeeStatement.total_minor, func.coalesce(sums.c.minor, 0))
        .outerjoin(sums, sums.c.statement_id == FeeStatement.id)
        .where(FeeStatement.total_minor != func.coalesce(sums.c.minor, 0))
    ):
        yield f"fee statement {sequence}: {total}, its lines say {minor}"

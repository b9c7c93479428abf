"""Adding up what was imported: that each cancellation is whole, possible and can be found."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from sqlalchemy import String, cast, exists, literal, or_, select
from sqlalchemy.orm import Session, aliased

from cnn_offset.models import CancelledRange, HistoricCancellation, HistoryTerm, Issuance

MOST: Final = 50
"""Faults of a kind; more than that is one trouble, not many."""


def imported(session: Session) -> Iterator[str]:
    """An imported cancellation took exactly its quantity, lies in one issuance of its project
    where that is known, and stands in the index of the record.
    """
    row, taken = HistoricCancellation, CancelledRange
    for number in session.scalars(
        select(row.id)
        .outerjoin(taken, taken.historic_id == row.id)
        .where(
            or_(
                taken.id.is_(None),
                taken.last - taken.first + 1 != row.quantity,
                taken.registry_id != row.registry_id,
            )
        )
        .limit(MOST)
    ):
        yield f"imported cancellation {number}: its serial numbers are not its quantity"
    # Issuances do not overlap: the first that ends at or after the range can alone hold it.
    each = aliased(Issuance)
    holder = (
        select(each.id)
        .where(
            each.registry_id == taken.registry_id,
            each.series == taken.series,
            each.last >= taken.last,
        )
        .order_by(each.last)
        .limit(1)
        .correlate(taken)
        .scalar_subquery()
    )
    for text in session.scalars(
        select(taken.first_text)
        .join(row, row.id == taken.historic_id)
        .join(Issuance, Issuance.id == holder)
        .where(
            Issuance.first <= taken.last,
            or_(
                Issuance.first > taken.first,
                Issuance.activity_ref != row.activity_ref,
                Issuance.unit_type != row.unit_type,
            ),
        )
        .limit(MOST)
    ):
        yield f"imported range from {text}: not within one issuance of its project"
    entered = exists().where(
        HistoryTerm.term == literal("registry:") + cast(row.registry_id, String),
        HistoryTerm.completed_at == row.completed_at,
        HistoryTerm.historic_id == row.id,
    )
    for number in session.scalars(select(row.id).where(~entered).limit(MOST)):
        yield f"imported cancellation {number}: cannot be found in the record"

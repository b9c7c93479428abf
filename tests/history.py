"""Cancellations of the earlier platform, for tests of what is shown of them."""

from __future__ import annotations

import itertools
from datetime import UTC, datetime
from typing import Any

from cnn_offset.domain.units import UnitType
from cnn_offset.extensions import db
from cnn_offset.models import CancelledRange, HistoricCancellation
from cnn_offset.services.remembering import index_batch
from tests.factories import NOW

THEN = datetime(2018, 5, 4, 12, 0, tzinfo=UTC)
_count = itertools.count(1)


def make_earlier(*, first: int = 0, **values: Any) -> HistoricCancellation:
    """Add an imported cancellation, ten units of India's unless told otherwise, and commit it."""
    n = next(_count)
    row = HistoricCancellation(
        **{
            "registry_id": "cdm",
            "order_ref": f"{7000 + n}",
            "reference": f"VC{20000 + n}/2018",
            "completed_at": THEN,
            "unit_type": UnitType.CER,
            "commitment_period": 1,
            "host_party": "IN",
            "activity_ref": "4141",
            "activity_title": "Windmills of Kutch",
            "quantity": 10,
            "beneficiary": "Zürich Cyclists",
            "reason": "Our commuting",
            **values,
        }
    )
    db.session.add(row)
    db.session.flush()
    first = first or n * 1000
    last = first + row.quantity - 1
    party, ref = row.host_party, row.activity_ref
    db.session.add(
        CancelledRange(
            historic_id=row.id,
            registry_id=row.registry_id,
            series=party,
            first=first,
            last=last,
            first_text=f"{party}-5-{first}-1-1-0-{ref}",
            last_text=f"{party}-5-{last}-1-1-0-{ref}",
        )
    )
    db.session.flush()
    index_batch(db.session(), [row], now=NOW)
    db.session.commit()
    return row

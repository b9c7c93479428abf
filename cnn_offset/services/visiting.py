"""Adding up visits: how many, on which day, in which language, and nothing else."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date

from sqlalchemy.orm import Session

from cnn_offset.models import Visit
from cnn_offset.services.tallying import dialect_of


def add_visits(session: Session, counted: Mapping[tuple[date, str], int]) -> None:
    """Add what one process has counted, by day and language, to what is kept."""
    table = Visit.__table__
    made = dialect_of(session).insert(table)
    statement = made.on_conflict_do_update(
        index_elements=["day", "locale"], set_={"number": table.c.number + made.excluded.number}
    )
    # In one order always, so that two processes never wait for each other in a circle.
    rows = [
        {"day": day, "locale": locale, "number": number}
        for (day, locale), number in sorted(counted.items())
    ]
    if rows:
        session.connection().execute(statement, rows)

"""Blanking what an imported cancellation says of a person, when two operators agree.

Nobody here can tell whose it is: the earlier platform published a name and kept the rest.
So operators look for the entry, and what it says goes; units and serial numbers stay.
"""

from __future__ import annotations

from datetime import datetime

from sqlalchemy.orm import Session

from cnn_offset.domain.text import N_
from cnn_offset.models import Proposal, ProposalKind
from cnn_offset.services import ServiceError, proposing
from cnn_offset.services.moves import note
from cnn_offset.services.recalling import earlier_entry
from cnn_offset.services.remembering import forget

BLANKED = "data erased"
"""What the event says, as of everything else that is erased (services/erasing.py)."""


def ask(session: Session, historic_id: int, *, reason: str, actor: str, now: datetime) -> Proposal:
    """Ask that name and reason of an imported order be blanked; another operator must approve.

    Raises:
        NotFoundError: there is no such cancellation.
        ServiceError: nothing is said there, it was asked for already, or no reason is given.

    """
    rows = earlier_entry(session, historic_id)
    if not any(row.beneficiary or row.reason for row in rows):
        raise ServiceError(N_("This entry says no name and no reason."))
    # All of one order are one question, whichever of them somebody came by.
    first = min(rows, key=lambda row: row.id)
    return proposing.propose(
        session,
        ProposalKind.ERASURE,
        first,
        {"historic_id": first.id},
        reason=reason,
        actor=actor,
        now=now,
    )


def waiting_for(session: Session, historic_id: int) -> Proposal | None:
    """Return what was asked of an imported order and is not decided yet."""
    first = min(earlier_entry(session, historic_id), key=lambda row: row.id)
    return proposing.waiting_for(session, ProposalKind.ERASURE, first)


def blank(session: Session, historic_id: int, *, actor: str, now: datetime) -> int:
    """Blank name and reason in all of an imported order, and say in how many. Safe to repeat."""
    rows = [row for row in earlier_entry(session, historic_id) if row.beneficiary or row.reason]
    for row in rows:
        forget(session, row, beneficiary="", reason="")
        note(session, row, old="", new=BLANKED, actor=actor, why="at somebody’s wish", now=now)
    return len(rows)

"""What a provider may offer from an account: asked for by one operator, approved by another.

Mapping decides who sells whose units, so it takes two persons (H6); so does allowing units
whose share of proceeds is paid in part (F6).
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from enum import StrEnum

from sqlalchemy import select
from sqlalchemy.orm import Session

from cnn_offset.domain.text import N_
from cnn_offset.models import AccountActivity, Activity, Proposal, ProposalKind, RegistryAccount
from cnn_offset.services import ServiceError, holdings, mirroring, proposing
from cnn_offset.services.moves import note


class Entitlement(StrEnum):
    """What is proposed about some activities and an account."""

    MAP = "map"
    """The provider may offer units of them that lie in it."""
    UNMAP = "unmap"
    """No longer: their offers close, running orders go on."""
    ALLOW_PARTIAL = "allow_partial"
    """Also units whose share of proceeds is paid in part."""
    END_PARTIAL = "end_partial"
    """Those no longer; their offers leave the catalogue."""


def propose(
    session: Session,
    account: RegistryAccount,
    activities: Sequence[Activity],
    wanted: Entitlement,
    *,
    reason: str,
    actor: str,
    now: datetime,
) -> Proposal:
    """Ask for an entitlement that a second operator must approve.

    Raises:
        ServiceError: it could not be given, is given already, or something about this
            account waits already.

    """
    for activity in activities:
        if wanted is Entitlement.MAP:
            if holdings.mapping_of(session, account, activity) is not None:
                raise ServiceError(
                    N_("Project %(ref)s is mapped to this account already."), ref=activity.ref
                )
        else:
            _mapped(session, account, activity)
    return proposing.propose(
        session,
        ProposalKind.MAPPING,
        account,
        {"wanted": wanted, "activities": [each.id for each in activities]},
        reason=reason,
        actor=actor,
        now=now,
    )


def of_proposal(
    session: Session, proposal: Proposal
) -> tuple[RegistryAccount, list[Activity], Entitlement]:
    """Return what a proposal of this kind is about."""
    activities = session.scalars(
        select(Activity)
        .where(Activity.id.in_(proposal.payload["activities"]))
        .order_by(Activity.id)
    ).all()
    account = session.get_one(RegistryAccount, proposal.subject_id)
    return account, list(activities), Entitlement(proposal.payload["wanted"])


@proposing.does(ProposalKind.MAPPING)
def _entitle(session: Session, proposal: Proposal, actor: str, now: datetime) -> None:
    account, activities, wanted = of_proposal(session, proposal)
    for activity in activities:
        if wanted is Entitlement.MAP:
            holdings.map_activity(session, account, activity, actor=actor, now=now)
        elif wanted is Entitlement.UNMAP:
            holdings.unmap_activity(session, account, activity, actor=actor, now=now)
        else:
            mapping = _mapped(session, account, activity)
            mapping.allows_partial = wanted is Entitlement.ALLOW_PARTIAL
            note(
                session,
                account,
                old="",
                new=f"{wanted} {activity.ref}"[:32],
                actor=actor,
                why=proposal.reason,
                now=now,
            )
            # Read again: what may be offered follows from what the registry says then.
            mirroring.ask_whole(account, now=now)


def _mapped(session: Session, account: RegistryAccount, activity: Activity) -> AccountActivity:
    found = holdings.mapping_of(session, account, activity)
    if found is None:
        raise ServiceError(N_("Project %(ref)s is not mapped to this account."), ref=activity.ref)
    return found

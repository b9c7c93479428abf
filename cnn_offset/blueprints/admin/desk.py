"""The operators' desk: one blueprint, its pages by feature in the modules beside this."""

from __future__ import annotations

from typing import Any, Final

from flask import Blueprint
from sqlalchemy import func, select

from cnn_offset.domain.status import (
    CorrectionStatus,
    ProposalStatus,
)
from cnn_offset.domain.text import N_
from cnn_offset.extensions import db, platform
from cnn_offset.guards import guarded, operator
from cnn_offset.models import Case, Correction, Proposal
from cnn_offset.navigation import Way, ways
from cnn_offset.services.digesting import APPLICATIONS, PAYOUTS, REVIEWS

bp = guarded(Blueprint("admin", __name__), operator)

WAYS: Final = (
    ("admin.attention", N_("Attention")),
    ("admin.orders", N_("Orders")),
    ("admin.cases", N_("Cases")),
    ("admin.corrections", N_("Corrections")),
    ("admin.proposals", N_("For two persons")),
    ("admin.applications", N_("Applications")),
    ("admin.providers", N_("Providers")),
    ("admin.payouts", N_("Bank transfers asked for")),
    ("admin.activities", N_("Projects")),
    ("admin.reviews", N_("Project pages to review")),
    ("admin.fees", N_("Fees")),
    ("admin.reports", N_("Reports")),
    ("admin.pages", N_("Pages and mails")),
    ("admin.surveys", N_("Surveys")),
    ("admin.system", N_("System")),
    ("admin.people", N_("Operators")),
    ("admin.privacy", N_("Personal data")),
    ("admin.audit", N_("Audit trail")),
    ("admin.check", N_("Adding up")),
    ("admin.differences", N_("Registries’ books")),
)
_WAITING: Final = {
    "admin.cases": select(func.count()).select_from(Case).where(Case.answer_by.is_not(None)),
    "admin.applications": APPLICATIONS,
    "admin.corrections": select(func.count())
    .select_from(Correction)
    .where(Correction.status == CorrectionStatus.ASKED),
    "admin.proposals": select(func.count())
    .select_from(Proposal)
    .where(Proposal.status == ProposalStatus.WAITING),
    "admin.reviews": REVIEWS,
    "admin.payouts": PAYOUTS,
}
"""How many wait for an operator behind an entry."""


@bp.context_processor
def _ways() -> dict[str, Any]:
    def count(endpoint: str) -> int:
        known = {"bank_methods": platform().bank_methods}
        return db.session.scalar(_WAITING[endpoint], known) or 0 if endpoint in _WAITING else 0

    def waiting() -> list[tuple[Way, int]]:
        return [(each, count(each.endpoint)) for each in ways(WAYS)]

    return {"desk_ways": waiting}

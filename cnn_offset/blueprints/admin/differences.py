"""Differences between our books and the registries', and a person's word on each."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from flask import flash, redirect, render_template, request, url_for
from flask.typing import ResponseReturnValue
from flask_babel import gettext
from flask_security import current_user

from cnn_offset.blueprints.admin.desk import bp
from cnn_offset.blueprints.reconciliation import HINDRANCES
from cnn_offset.domain.staff import DeskDuty
from cnn_offset.domain.status import DifferenceStatus
from cnn_offset.domain.text import N_
from cnn_offset.extensions import db, platform, unit_of_work
from cnn_offset.guards import operator_may
from cnn_offset.models import DifferenceKind
from cnn_offset.reports import registry_title
from cnn_offset.services import ServiceError, differing, reconciled
from cnn_offset.typed import Typed
from cnn_offset.web import last_shown, row_id

_ONE: Final = f"/operator/differences/<int(max={2**63 - 1}):difference_id>"
NIGHTS: Final = 5


@dataclass(frozen=True)
class KindWords:
    """A kind of difference in words: what it is, and what to do."""

    title: str
    means: str
    todo: str


KINDS: Final[Mapping[str, KindWords]] = {
    DifferenceKind.OURS_ONLY: KindWords(
        N_("Only in our books"),
        N_("We have this cancellation as made. The registry’s own list does not have it."),
        N_(
            "Ask the registry’s staff with the transaction’s number. If it was never made, write "
            "to the purchaser and open a case: the attestation is wrong."
        ),
    ),
    DifferenceKind.THEIRS_ONLY: KindWords(
        N_("Only in the registry’s books"),
        N_("The registry has made this cancellation under a key of ours. We do not have it."),
        N_(
            "Look at the order: if it is waiting for the registry it will hear of it within "
            "minutes. If there is no such order, a backup was restored: find the order in the "
            "registry’s words and in the mails, and write to the purchaser."
        ),
    ),
    DifferenceKind.DIFFERING: KindWords(
        N_("Differs in its units"),
        N_("Both have this cancellation, with other units, serial numbers or another account."),
        N_(
            "Compare both columns. Ask the registry’s staff which is right; if the attestation "
            "is wrong, open a case and write to the purchaser."
        ),
    ),
    DifferenceKind.TAKEN_TWICE: KindWords(
        N_("The same units cancelled twice"),
        N_("The registry has cancelled for somebody else units that it had cancelled for us."),
        N_("Write to the registry’s staff at once: one of the two cancellations is void."),
    ),
    DifferenceKind.HOLDING: KindWords(
        N_("Holding other than told"),
        N_("A block held more or fewer units than the registry had told us of changes."),
        N_(
            "Our copy was put right, and offers shrank if they had to. If it comes again, tell "
            "the registry’s staff that its list of changes is not complete."
        ),
    ),
    DifferenceKind.REPORT: KindWords(
        N_("Report that makes no sense"),
        N_("What the registry says of a block contradicts itself. Nothing of it is offered."),
        N_("Send the words below to the registry’s staff. It ends by itself when they are right."),
    ),
}
"""By the kind of difference."""
FACTS: Final[Mapping[str, str]] = {
    "key": N_("Key"),
    "registry_ref": N_("Transaction"),
    "account": N_("Account"),
    "block": N_("Block"),
    "status": N_("Status"),
    "units": N_("Units"),
    "held": N_("Units held"),
    "completed_at": N_("Made on"),
    "ranges": N_("Serial numbers"),
    "words": N_("The registry’s words"),
}
"""What either side says, in the order of the page."""


@bp.get("/operator/differences")
def differences() -> ResponseReturnValue:
    """List differences, the newest first, all or the open ones; and the last nights."""
    open_only = request.args.get("show", "") != "all"
    found = differing.newest(
        db.session(), before=request.args.get("before", type=row_id), open_only=open_only
    )
    return render_template(
        "admin/differences.html",
        differences=found[: differing.PAGE],
        older=last_shown(found, differing.PAGE),
        open_only=open_only,
        kinds=KINDS,
        nights=reconciled.last_nights(db.session(), platform().registry_titles, nights=NIGHTS),
        hindrances=HINDRANCES,
        registry_title=registry_title,
    )


@bp.get(_ONE)
def difference(difference_id: int) -> ResponseReturnValue:
    """Show what both sides say, what it means and what to do."""
    return _page(difference_id)


def _page(difference_id: int, typed: Typed | None = None) -> ResponseReturnValue:
    found = differing.one(db.session(), difference_id)
    page = render_template(
        "admin/difference.html",
        difference=found,
        kind=KINDS[found.kind],
        facts_of=FACTS,
        waits=found.status is DifferenceStatus.OPEN,
        registry_title=registry_title,
        values=typed.values if typed else {},
        errors=typed.errors if typed else {},
    )
    return page, 422 if typed and typed.errors else 200


@bp.post(_ONE)
@operator_may(DeskDuty.ORDERS)
def difference_settle(difference_id: int) -> ResponseReturnValue:
    """Put a difference aside with a person's word on what it was."""
    typed = Typed(request.form)
    remark = typed.lines("remark", longest=1000, missing=gettext("Please write what you found."))
    if not typed.errors:
        try:
            with unit_of_work() as session:
                differing.settle(
                    session,
                    difference_id,
                    remark=remark,
                    actor=current_user.email,
                    now=platform().clock(),
                )
        except ServiceError as error:
            typed.errors[""] = gettext(error.message, **error.values)
    if typed.errors:
        return _page(difference_id, typed)
    flash(gettext("Settled. It comes back only if something else differs."), "success")
    return redirect(url_for("admin.difference", difference_id=difference_id))

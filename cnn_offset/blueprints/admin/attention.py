"""What waits for a person: the list, and putting aside what has no status to end in."""

from __future__ import annotations

from itertools import groupby
from typing import Final

from flask import flash, redirect, render_template, request, url_for
from flask.typing import ResponseReturnValue
from flask_babel import gettext
from flask_security import current_user

from cnn_offset.blueprints.admin.audit_words import subject_text
from cnn_offset.blueprints.admin.desk import bp
from cnn_offset.blueprints.admin.matters import MATTERS
from cnn_offset.blueprints.admin.order_words import mail_text, why_text
from cnn_offset.blueprints.admin.proposed import KINDS as PROPOSALS
from cnn_offset.domain.staff import DeskDuty
from cnn_offset.extensions import db, platform, unit_of_work
from cnn_offset.guards import operator_may
from cnn_offset.services import NotFoundError, ServiceError
from cnn_offset.services import attention as waiting
from cnn_offset.services.attention import STATES, Entry, Kind
from cnn_offset.services.checking import check_all
from cnn_offset.typed import Typed

FEW: Final = 10
"""Of each kind, while all kinds are shown."""
_ENTRY: Final = f"/operator/attention/<kind>/<int(max={2**63 - 1}):subject_id>"


@bp.get("/operator/attention")
def attention() -> ResponseReturnValue:
    """List what waits for a person: all kinds, or one of them."""
    chosen = request.args.get("kind", "")
    kinds = [Kind(chosen)] if chosen in set(Kind) else list(Kind)
    limit = waiting.LIMIT if len(kinds) == 1 else FEW
    found = _found(kinds, limit + 1)
    groups = [(kind, list(entries)) for kind, entries in groupby(found, lambda each: each.kind)]
    return render_template(
        "admin/attention.html",
        groups=[(kind, entries[:limit], len(entries) > limit) for kind, entries in groups],
        matters=MATTERS,
        chosen=kinds[0] if len(kinds) == 1 else None,
        place=place,
        name=name,
        detail=detail,
        dealable=STATES,
    )


def _found(kinds: list[Kind], limit: int) -> list[Entry]:
    here = platform()
    return waiting.attention(
        db.session(), now=here.clock(), kinds=kinds, limit=limit, bank_methods=here.bank_methods
    )


def name(entry: Entry) -> str:
    """Say what an entry is about."""
    if entry.kind in (Kind.MAIL, Kind.CERTIFICATE):
        kind = mail_text(entry.name)
        return f"{entry.order_code}, {kind}" if entry.order_code else kind
    if entry.kind is Kind.PROPOSAL:
        kind = gettext({str(each): text for each, text in PROPOSALS.items()}[entry.name])
        return f"{entry.order_code}, {kind}" if entry.order_code else kind
    if entry.kind is Kind.FAILING:
        table, _, number = entry.name.partition(" ")
        return f"{entry.order_code} {subject_text(table)} {number}".strip()
    if entry.kind in (Kind.FAULT, Kind.UNMATCHED):
        return gettext("No. %(n)s", n=entry.subject_id)
    return entry.order_code or entry.name or gettext("No. %(n)s", n=entry.subject_id)


def detail(entry: Entry) -> str:
    """Say what else is known of an entry; the words of others as they were said."""
    if entry.kind in (Kind.IN_REVIEW, Kind.REFUND_DUE):
        return why_text(entry.detail)
    return entry.detail


def place(entry: Entry) -> str:
    """Return the address of the page where an entry is decided."""
    if entry.kind is Kind.PROPOSAL:
        return url_for("admin.proposal", proposal_id=entry.subject_id)
    if entry.kind is Kind.CORRECTION:
        return url_for("admin.correction", correction_id=entry.subject_id)
    if entry.kind in (Kind.BOOKS, Kind.HOLDINGS):
        return url_for("admin.difference", difference_id=entry.subject_id)
    if entry.order_code:
        return url_for("admin.order", code=entry.order_code)
    if entry.kind is Kind.CASE:
        return url_for("admin.case", code=entry.where)
    if entry.kind is Kind.UNITS_MISSING:
        return url_for("admin.provider", slug=entry.where)
    if entry.kind is Kind.APPLICATION:
        return url_for("admin.application", number=entry.subject_id)
    if entry.kind is Kind.LISTING:
        return url_for("admin.review", listing_id=entry.subject_id)
    if entry.kind is Kind.PAYOUT:
        return url_for("admin.payouts")
    if entry.kind in (Kind.FAILING, Kind.CUTOVER):
        return url_for("admin.system")
    return url_for("admin.attention_entry", kind=entry.kind, subject_id=entry.subject_id)


@bp.get(_ENTRY)
def attention_entry(kind: str, subject_id: int) -> ResponseReturnValue:
    """Show one thing that waits and has no page of its own, and the last word on it."""
    return _page(_kind(kind), subject_id)


def _kind(text: str) -> Kind:
    if text not in set(Kind):
        raise NotFoundError(text)
    return Kind(text)


def _page(kind: Kind, subject_id: int, typed: Typed | None = None) -> ResponseReturnValue:
    last = waiting.entry(db.session(), kind, subject_id)
    found = _found([kind], waiting.LIMIT)
    page = render_template(
        "admin/attention_entry.html",
        kind=kind,
        matter=MATTERS[kind],
        subject_id=subject_id,
        entry=next((each for each in found if each.subject_id == subject_id), None),
        last=last,
        name=name,
        detail=detail,
        values=typed.values if typed else {},
        errors=typed.errors if typed else {},
    )
    return page, 422 if typed and typed.errors else 200


@bp.post(_ENTRY)
@operator_may(DeskDuty.ORDERS)
def attention_deal(kind: str, subject_id: int) -> ResponseReturnValue:
    """Put one thing aside with a reason, until its facts change."""
    wanted, typed = _kind(kind), Typed(request.form)
    reason = typed.lines("reason", longest=1000, missing=gettext("Please write the reason."))
    if not typed.errors:
        try:
            with unit_of_work() as session:
                waiting.deal(
                    session,
                    wanted,
                    subject_id,
                    reason=reason,
                    actor=current_user.email,
                    now=platform().clock(),
                )
        except ServiceError as error:
            typed.errors[""] = gettext(error.message, **error.values)
    if typed.errors:
        return _page(wanted, subject_id, typed)
    flash(gettext("Put aside. It comes back if something changes."), "success")
    return redirect(url_for("admin.attention"))


@bp.get("/operator/check")
def check() -> ResponseReturnValue:
    """Add everything up, now, and say what does not."""
    faults = check_all(db.session(), platform().files)
    return render_template("admin/check.html", faults=faults, now=platform().clock())

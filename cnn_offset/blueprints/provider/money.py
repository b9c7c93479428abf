"""Money that a provider found at its bank: typed by hand, and entries that wait."""

from __future__ import annotations

from contextlib import suppress
from datetime import date

from flask import abort, flash, redirect, render_template, request, url_for
from flask.typing import ResponseReturnValue
from flask_babel import gettext
from flask_security import current_user
from werkzeug.datastructures import MultiDict

from cnn_offset.blueprints.provider.workspace import bp
from cnn_offset.domain.money import Money, exponent
from cnn_offset.domain.staff import Duty
from cnn_offset.domain.status import BankEntryStatus
from cnn_offset.domain.text import N_, UnreadableTextError, clean_line
from cnn_offset.extensions import db, platform, unit_of_work
from cnn_offset.guards import staff_may
from cnn_offset.i18n import language
from cnn_offset.models import BankEntry, Finding, Order, Payment
from cnn_offset.services import ServiceError, bank_entries, banking, matching, selling
from cnn_offset.services.settling import Outcome
from cnn_offset.web import last_shown, row_id

PAGE = 50
PARTS = 6
"""Rows of the form that divides a payment; more orders are seldom paid at once."""
REASON_LENGTH = 200
OUTCOMES = {
    Outcome.PAYS: (
        "success",
        N_("The order is paid. The registry is now told to cancel the units."),
    ),
    Outcome.PAYS_LATE: (
        "success",
        N_("Recorded. If the units are still there the order is paid; else our staff looks."),
    ),
    Outcome.REVIEW: (
        "warning",
        N_("Recorded. It is not what was due, so nothing is cancelled yet. We look at it."),
    ),
    Outcome.SURPLUS: (
        "warning",
        N_("Recorded as paid too much. Please send the money back to the purchaser."),
    ),
    Outcome.TOO_LATE: (
        "warning",
        N_(
            "Recorded. The registry cancels nothing any more, so the order cannot be carried out. "
            "Please send the money back to the purchaser."
        ),
    ),
    Outcome.BACK: ("success", N_("Recorded as money that went back.")),
}


WORDS = {
    "order chosen": N_("Order chosen"),
    "typed by hand": N_("typed by hand"),
    "proposed": N_("proposed"),
    "sent back": N_("sent back"),
    "looked at again": N_("looked at again"),
    "a part": N_("a part of a payment"),
    str(Outcome.PAYS): N_("exactly what was due"),
    str(Outcome.PAYS_LATE): N_("exact, but late"),
    str(Outcome.REVIEW): N_("not what was due"),
    str(Outcome.SURPLUS): N_("paid too much"),
    str(Outcome.TOO_LATE): N_("after the registry’s last cancellation"),
    str(Outcome.BACK): N_("went back"),
    "bank statement": N_("the statement itself"),
}
"""What the history of an entry says in words of ours; reasons are people's own."""


def recordable(order: Order, payment: Payment | None) -> bool:
    """Whether money for ``order`` can be recorded by hand on its bank ``payment``."""
    return order.paid_at is None and payment is not None and payment.instructions is not None


def _second_from() -> int:
    return platform().settings.SECOND_PERSON_FROM


def _order(code: str) -> Order:
    return selling.bank_order(db.session(), current_user.provider_id, platform().bank_methods, code)


def _paid_page(
    order: Order, errors: dict[str, str] | None = None, **review: object
) -> ResponseReturnValue:
    page = render_template(
        "provider/paid.html",
        order=order,
        recordable=selling.bank_payment(db.session(), order) is not None,
        errors=errors or {},
        today=platform().clock().date(),
        **review,
    )
    return (page, 422) if errors else page


@bp.post("/provider/orders/<code>/paid")
@staff_may(Duty.MONEY)
def paid(code: str) -> ResponseReturnValue:
    """Record money that arrived: first shown back for a second look, then recorded.

    An exact amount has units cancelled, which nobody can undo.
    """
    found = _order(code)
    errors: dict[str, str] = {}
    currency = request.form.get("currency", "").strip().upper()
    amount = received_on = None
    bank_ref = ""
    try:
        exponent(currency)
        amount = selling.read_amount(request.form.get("amount", ""), currency, language())
        if amount.minor <= 0:
            errors["amount"] = gettext("Please enter the amount that arrived.")
    except ServiceError as error:
        errors["amount"] = gettext(error.message, **error.values)
    except ValueError:
        errors["currency"] = gettext("Please enter a currency as three letters, such as EUR.")
    try:
        received_on = date.fromisoformat(request.form.get("received_on", "").strip())
        if received_on > platform().clock().date():
            errors["received_on"] = gettext("The value date lies in the future.")
    except ValueError:
        errors["received_on"] = gettext("Please enter the value date of the bank statement.")
    with suppress(UnreadableTextError):
        bank_ref = clean_line(request.form.get("bank_ref", ""))
    if not 0 < len(bank_ref) <= 127:
        errors["bank_ref"] = gettext(
            "Please enter the bank’s reference of the entry, as the statement has it."
        )
    if errors or amount is None or received_on is None:
        return _paid_page(found, errors)
    expects = _outcome()
    if expects is None:
        follows = banking.prospect_of(
            db.session(), found, amount, second_from=_second_from(), now=platform().clock()
        )
        if follows is None:
            return _paid_page(found, {"": gettext("This order waits for no bank transfer.")})
        return _paid_page(
            found, review=amount, received_on=received_on, bank_ref=bank_ref, follows=follows
        )
    try:
        with unit_of_work() as session:
            entry = banking.type_entry(
                session,
                selling.bank_order(
                    session, current_user.provider_id, platform().bank_methods, code
                ),
                amount=amount,
                bank_ref=bank_ref,
                received_on=received_on,
                actor=current_user.email,
                second_from=_second_from(),
                expects=expects,
                now=platform().clock(),
            )
            status = entry.status
    except banking.KnownEntryError as error:
        flash(gettext(error.message), "warning")
        return redirect(url_for("provider.money_entry", entry_id=error.entry_id))
    except ServiceError as error:
        return _paid_page(_order(code), {"": gettext(error.message, **error.values)})
    _say(status, expects)
    return redirect(url_for("provider.order", code=code))


def _outcome() -> Outcome | None:
    """Return what the person was shown would follow, None if nothing was shown yet."""
    try:
        return Outcome(request.form.get("seen", ""))
    except ValueError:
        return None


def _say(status: BankEntryStatus, outcome: Outcome) -> None:
    if status is BankEntryStatus.SECONDED:
        flash(
            gettext("Proposed. Another member of your staff must agree before anything happens."),
            "success",
        )
        return
    category, message = OUTCOMES[outcome]
    flash(gettext(message), category)


@bp.get("/provider/money")
def money() -> ResponseReturnValue:
    """List entries at the bank, those that wait for a decision first."""
    try:
        status = BankEntryStatus(request.args.get("show", "waiting"))
    except ValueError:
        status = BankEntryStatus.WAITING
    finding = None
    with suppress(ValueError):
        finding = Finding(request.args.get("finding", ""))
    search = " ".join(request.args.get("q", "").replace("\0", " ").split())[:100]
    found = bank_entries.entries(
        db.session(),
        current_user.provider_id,
        status,
        finding=finding,
        search=search,
        before=request.args.get("before", type=row_id),
        limit=PAGE + 1,
    )
    kept = {"show": str(status), "finding": finding and str(finding), "q": search or None}
    return render_template(
        "provider/entries.html",
        entries=found[:PAGE],
        older=last_shown(found, PAGE),
        status=status,
        finding=finding,
        search=search,
        kept={name: value for name, value in kept.items() if value},
        findings=list(Finding),
        statuses=list(BankEntryStatus),
    )


def _entry(entry_id: int) -> BankEntry:
    return bank_entries.find_entry(db.session(), current_user.provider_id, entry_id)


@bp.get(f"/provider/money/<int(max={2**63 - 1}):entry_id>")
def money_entry(entry_id: int) -> ResponseReturnValue:
    """Show one entry, what can be decided of it, and what each decision would do."""
    return _entry_page(_entry(entry_id))


def _entry_page(entry: BankEntry, errors: dict[str, str] | None = None) -> ResponseReturnValue:
    session = db.session()
    decides = entry.status is BankEntryStatus.WAITING and entry.amount_minor > 0
    named = matching.named_orders(session, entry) if decides else []
    page = render_template(
        "provider/entry.html",
        entry=entry,
        follows=banking.prospect(session, entry, second_from=_second_from(), now=platform().clock())
        if entry.status in banking.OPEN
        else None,
        named=[(each.order.code, selling.write_amount(each.due, language())) for each in named]
        if len(named) > 1
        else [],
        hints=matching.hints(session, entry) if decides and entry.order_id is None else [],
        same=bank_entries.same_order(session, entry),
        parts=bank_entries.parts_of(session, entry),
        others=[
            each.name or each.email
            for each in bank_entries.money_staff(session, entry.provider_id)
            if each.email != entry.proposed_by
        ]
        if entry.status is BankEntryStatus.SECONDED
        else [],
        events=bank_entries.history(session, entry),
        words=WORDS,
        as_status=BankEntryStatus,
        rows=PARTS,
        errors=errors or {},
    )
    return (page, 422) if errors else page


@bp.post(f"/provider/money/<int(max={2**63 - 1}):entry_id>/decide")
@staff_may(Duty.MONEY)
def money_decide(entry_id: int) -> ResponseReturnValue:
    """Decide on an entry: record, agree, send back, choose its order, divide, set aside."""
    _entry(entry_id)
    act = request.form.get("act", "")
    actor, now = current_user.email, platform().clock()
    try:
        with unit_of_work() as session:
            entry = bank_entries.find_entry(session, current_user.provider_id, entry_id)
            if act == "record":
                seen = _outcome() or abort(400)
                status = banking.record(
                    session,
                    entry,
                    actor=actor,
                    second_from=_second_from(),
                    expects=seen,
                    expects_order=request.form.get("order", type=row_id) or abort(400),
                    now=now,
                )
            elif act == "send_back":
                banking.send_back(session, entry, actor=actor, now=now)
            elif act == "choose":
                code = request.form.get("code", "")
                banking.choose_order(session, entry, code, actor=actor, now=now)
            elif act == "split":
                banking.split(session, entry, _parts(entry), actor=actor, now=now)
            elif act == "dismiss":
                banking.dismiss(session, entry, _reason(), actor=actor, now=now)
            elif act == "undo":
                banking.undo_dismissal(session, entry, actor=actor, now=now)
            else:
                abort(400)
    except ServiceError as error:
        field = {"choose": "code", "dismiss": "reason", "split": "code-1"}.get(act, "")
        return _entry_page(_entry(entry_id), {field: gettext(error.message, **error.values)})
    if act in SAID:
        flash(gettext(SAID[act]), "success")
    else:
        _say(status, seen)
    return redirect(url_for("provider.money_entry", entry_id=entry_id))


SAID = {
    "send_back": N_("Sent back. It waits for a decision again."),
    "choose": N_("Order chosen. Nothing is recorded yet: look at what would follow."),
    "split": N_("Divided. Each part now waits for your decision."),
    "dismiss": N_("Set aside. Nothing was recorded."),
    "undo": N_("It waits for a decision again."),
}


def _parts(entry: BankEntry) -> list[tuple[str, Money]]:
    form: MultiDict[str, str] = request.form
    parts = []
    for n in range(1, PARTS + 1):
        code, share = form.get(f"code-{n}", "").strip(), form.get(f"share-{n}", "").strip()
        if code or share:
            parts.append((code, selling.read_amount(share, entry.currency, language())))
    return parts


def _reason() -> str:
    try:
        return clean_line(request.form.get("reason", ""))[:REASON_LENGTH]
    except UnreadableTextError:
        return ""

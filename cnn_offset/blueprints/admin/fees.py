"""Fees at the desk: the switch, schedules, a calculator, statements."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

from flask import Response, flash, redirect, render_template, request, url_for
from flask.typing import ResponseReturnValue
from flask_babel import gettext
from flask_security import current_user

from cnn_offset import fee_words
from cnn_offset.blueprints.admin.desk import bp
from cnn_offset.domain.fee import HIGHEST, FeePart, TierLine, earliest
from cnn_offset.domain.money import Money
from cnn_offset.domain.staff import DeskDuty
from cnn_offset.domain.status import FeeStatementStatus
from cnn_offset.domain.text import N_
from cnn_offset.domain.units import UnitType
from cnn_offset.extensions import db, limiter, platform, unit_of_work
from cnn_offset.guards import operator_may
from cnn_offset.i18n import UNIT_LABELS, day_text, language, number, read_number
from cnn_offset.models import FeeSchedule
from cnn_offset.services import ServiceError, charging, fee_schedules, fee_statements
from cnn_offset.services.selling import read_amount
from cnn_offset.typed import Typed
from cnn_offset.web import last_shown, row_id

PAGE: Final = 50
FEWEST_LINES: Final = 6
"""Lines of an empty form; a link asks for more."""
MOST_ROWS: Final = 5000
"""Statements in one CSV file."""
NOT_WHOLE: Final = N_("Please enter a whole number.")
_STATEMENT: Final = f"/operator/fees/statements/<int(max={2**63 - 1}):fee_statement_id>"


def _kinds() -> list[tuple[str, str]]:
    return [(kind.value, gettext(label)) for kind, label in UNIT_LABELS.items()]


@bp.get("/operator/fees")
def fees() -> ResponseReturnValue:
    """Show whether fees are on, the schedules, and what a sale would be charged."""
    return _page()


def _page(typed: Typed | None = None) -> ResponseReturnValue:
    session, today = db.session(), platform().clock().date()
    found = fee_schedules.schedules(session)
    held = charging.holding(session, today)
    sum_, errors = _calculated(found, held)
    said = typed.errors if typed else errors
    page = render_template(
        "admin/fees.html",
        are_on=charging.are_on(session),
        held=held,
        today=today,
        schedules=found,
        waiting={
            each.id: fee_schedules.unaccepted(session, each.id)
            for each in found
            if each is held or each.holds_from > today
        },
        values={"pay_to": charging.pay_to(session)} | (typed.values if typed else {}),
        errors=said,
        asked=request.args,
        sum=sum_,
        kinds=_kinds(),
        tiers=fee_words.tiers,
        rate=fee_words.rate,
        statements=fee_statements.statements(session, limit=5),
        month=fee_words.month,
    )
    return page, 422 if said else 200


def _calculated(
    found: Sequence[FeeSchedule], held: FeeSchedule | None
) -> tuple[dict[str, Any] | None, dict[str, str]]:
    """Return what the calculator is asked for, and what is wrong with the question."""
    if "price" not in request.args:
        return None, {}
    typed = Typed(request.args)
    schedule = next((each for each in found if str(each.id) == request.args.get("by")), held)
    kind = typed.choice("kind", set(UnitType), gettext("Please choose a kind of unit."))
    numbers = {}
    for name in ("before", "quantity"):
        try:
            numbers[name] = read_number(typed.line(name, longest=15) or "0", language())
        except ValueError:
            typed.errors[name] = gettext(NOT_WHOLE)
    price = None
    try:
        price = read_amount(
            typed.line("price", longest=20), typed.line("currency", longest=3).upper(), language()
        )
    except ServiceError as error:
        typed.errors["price"] = gettext(error.message, **error.values)
    except ValueError:
        typed.errors["currency"] = gettext("Please enter three letters, such as USD.")
    if schedule is None:
        typed.errors["by"] = gettext("There is no schedule yet.")
    if typed.errors or schedule is None or price is None:
        return None, typed.errors
    parts, fee = charging.foresee(schedule.table, UnitType(kind), price=price, **numbers)
    return {"parts": _priced(parts, price), "fee": fee, "total": price * numbers["quantity"]}, {}


def _priced(parts: Sequence[FeePart], price: Money) -> list[tuple[int, int, Money]]:
    return [
        (each.units, each.basis_points, Money(each.value_minor, price.currency)) for each in parts
    ]


@bp.post("/operator/fees/switch")
@operator_may(DeskDuty.FEES, fresh=True)
def fee_switch() -> ResponseReturnValue:
    """Switch fees on or off, with a reason."""
    typed = Typed(request.form)
    on = typed.choice("on", ("yes", "no"), gettext("Please choose one."))
    pay_to = typed.lines("pay_to", longest=1000)
    reason = typed.line("reason", longest=1000)
    if not typed.errors:
        try:
            with unit_of_work() as session:
                fee_schedules.switch(
                    session,
                    on=on == "yes",
                    pay_to=pay_to,
                    reason=reason,
                    actor=current_user.email,
                    now=platform().clock(),
                )
        except ServiceError as error:
            typed.errors["reason" if not reason.strip() else "pay_to"] = gettext(error.message)
    if typed.errors:
        return _page(typed)
    flash(gettext("Saved."), "success")
    return redirect(url_for("admin.fees"))


@bp.get("/operator/fees/schedule")
@operator_may(DeskDuty.FEES)
def fee_schedule() -> ResponseReturnValue:
    """Show the form of a new schedule, filled in with the lines of the latest."""
    latest = next(iter(fee_schedules.schedules(db.session(), limit=1)), None)
    values: dict[str, str] = {}
    lines = fee_words.tiers(latest) if latest else []
    for at, (kind, first, last, points) in enumerate(lines, 1):
        values |= {
            f"kind-{at}": kind,
            f"first-{at}": number(first, language()),
            f"last-{at}": number(last, language()) if last else "",
            f"rate-{at}": fee_words.written_rate(points),
        }
    return _form(values, {}, len(lines))


def _form(values: dict[str, str], errors: dict[str, str], used: int) -> ResponseReturnValue:
    asked = request.args.get("lines", type=row_id) or 0
    page = render_template(
        "admin/fee_schedule.html",
        values=values,
        errors=errors,
        count=min(max(FEWEST_LINES, used, asked), fee_schedules.MOST_LINES),
        most=fee_schedules.MOST_LINES,
        kinds=_kinds(),
        earliest=earliest(platform().clock().date()),
    )
    return page, 422 if errors else 200


@bp.post("/operator/fees/schedule")
@operator_may(DeskDuty.FEES, fresh=True)
def fee_announce() -> ResponseReturnValue:
    """Announce a schedule to all providers."""
    typed = Typed(request.form)
    lines = _lines(typed)
    holds_from = typed.day("holds_from")
    reason = typed.line("reason", longest=1000)
    if not typed.errors and holds_from is not None:
        try:
            with unit_of_work() as session:
                fee_schedules.announce(
                    session,
                    lines,
                    holds_from,
                    reason=reason,
                    actor=current_user.email,
                    now=platform().clock(),
                )
        except fee_schedules.FaultyScheduleError as error:
            for fault in error.faults:
                why = gettext(fault.message, **fault.values)
                name = f"first-{fault.line}"
                typed.errors.setdefault(name, _of_line(fault.line, why))
        except ServiceError as error:
            values = {
                name: day_text(value, language()) if name == "day" else value
                for name, value in error.values.items()
            }
            field = "reason" if not reason.strip() else "holds_from" if lines else "kind-1"
            typed.errors[field] = gettext(error.message, **values)
    if typed.errors:
        used = max(
            (int(name.rpartition("-")[2]) for name in typed.values if "-" in name), default=0
        )
        return _form(typed.values, typed.errors, used)
    flash(gettext("Announced. Every provider is told by mail."), "success")
    return redirect(url_for("admin.fees"))


def _of_line(at: int, why: str) -> str:
    return str(gettext("Line %(n)s: %(why)s", n=at, why=why))


def _lines(typed: Typed) -> list[TierLine]:
    """Read the lines that are filled in; what is wrong with one names it."""
    found = []
    for at in range(1, fee_schedules.MOST_LINES + 1):
        names = {each: f"{each}-{at}" for each in ("kind", "first", "last", "rate")}
        if not any(request.form.get(name, "").strip() for name in names.values()):
            continue
        wrong = len(typed.errors)
        kind = typed.choice(names["kind"], set(UnitType), gettext("Please choose a kind of unit."))
        numbers: dict[str, int] = {}
        for each in ("first", "last"):
            text = typed.line(names[each], longest=15)
            if each == "last" and not text:
                continue
            try:
                numbers[each] = read_number(text, language())
            except ValueError:
                typed.errors[names[each]] = gettext(NOT_WHOLE)
        points = 0
        try:
            points = fee_words.read_rate(typed.line(names["rate"], longest=10))
        except ValueError:
            typed.errors[names["rate"]] = gettext(
                "Please enter a rate from 0 to %(most)s, with at most two decimals.",
                most=HIGHEST // 100,
            )
        if len(typed.errors) == wrong:
            found.append(
                TierLine(at, UnitType(kind), numbers["first"], numbers.get("last"), points)
            )
    for name, why in typed.errors.items():
        typed.errors[name] = _of_line(int(name.rpartition("-")[2]), why)
    return found


@bp.get("/operator/fees/statements")
def fee_statement_list() -> ResponseReturnValue:
    """List the statements, newest first."""
    status = _status()
    found = fee_statements.statements(
        db.session(), status=status, before=request.args.get("before", type=row_id), limit=PAGE + 1
    )
    return render_template(
        "admin/fee_statements.html",
        statements=found[:PAGE],
        older=last_shown(found, PAGE),
        status=status,
        statuses=list(FeeStatementStatus),
        month=fee_words.month,
    )


def _status() -> FeeStatementStatus | None:
    asked = request.args.get("status", "")
    return FeeStatementStatus(asked) if asked in set(FeeStatementStatus) else None


@bp.get("/operator/fees/statements.csv")
@limiter.limit("20 per minute")
def fee_statements_csv() -> ResponseReturnValue:
    """Hand out the newest statements as CSV."""
    found = fee_statements.statements(db.session(), status=_status(), limit=MOST_ROWS)
    response = Response(fee_words.statements_csv(found), mimetype="text/csv")
    response.headers.set("Content-Disposition", "attachment", filename="fee-statements.csv")
    return response


@bp.get(_STATEMENT)
def fee_statement(fee_statement_id: int) -> ResponseReturnValue:
    """Show a statement with its orders and what was decided about it."""
    return _statement(fee_statement_id)


def _statement(fee_statement_id: int, typed: Typed | None = None) -> ResponseReturnValue:
    session = db.session()
    found = fee_statements.find(session, fee_statement_id)
    lines = fee_statements.lines_of(session, found.id, limit=fee_words.MOST_LINES + 1)
    errors = typed.errors if typed else {}
    page = render_template(
        "admin/fee_statement.html",
        statement=found,
        month=fee_words.month(found),
        lines=[
            (each.order, Money(each.amount_minor, found.currency))
            for each in lines[: fee_words.MOST_LINES]
        ],
        more=len(lines) > fee_words.MOST_LINES,
        history=[
            (each, FeeStatementStatus(each.new)) for each in fee_statements.history(session, found)
        ],
        values=typed.values if typed else {},
        errors=errors,
    )
    return page, 422 if errors else 200


@bp.post(f"{_STATEMENT}/settle")
@operator_may(DeskDuty.FEES)
def fee_settle(fee_statement_id: int) -> ResponseReturnValue:
    """Say that a statement is settled, or open again, with a reason."""
    typed = Typed(request.form)
    reason = typed.line("reason", longest=1000)
    new = typed.choice("status", set(FeeStatementStatus), gettext("Please choose one."))
    if not typed.errors:
        try:
            with unit_of_work() as session:
                fee_statements.settle(
                    session,
                    fee_statement_id,
                    FeeStatementStatus(new),
                    reason=reason,
                    actor=current_user.email,
                    now=platform().clock(),
                )
        except ServiceError as error:
            typed.errors["reason"] = gettext(error.message, **error.values)
    if typed.errors:
        return _statement(fee_statement_id, typed)
    flash(gettext("Saved."), "success")
    return redirect(url_for("admin.fee_statement", fee_statement_id=fee_statement_id))


@bp.get(f"{_STATEMENT}.pdf")
@limiter.limit("30 per minute")
def fee_statement_pdf(fee_statement_id: int) -> ResponseReturnValue:
    """Hand out a statement as a paper."""
    return fee_words.as_pdf(fee_statements.find(db.session(), fee_statement_id))


@bp.get(f"{_STATEMENT}.csv")
@limiter.limit("30 per minute")
def fee_statement_csv(fee_statement_id: int) -> ResponseReturnValue:
    """Hand out all lines of a statement."""
    return fee_words.as_csv(fee_statements.find(db.session(), fee_statement_id))

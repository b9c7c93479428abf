"""Orders: found by anything that stands on them, each with its whole story and what is decided."""

from __future__ import annotations

from datetime import date
from typing import Any, Final

from flask import abort, flash, redirect, render_template, request, url_for
from flask.typing import ResponseReturnValue
from flask_babel import gettext, ngettext
from flask_security import current_user
from sqlalchemy import select
from sqlalchemy.orm import joinedload, selectinload

from cnn_offset.blueprints.admin import order_words
from cnn_offset.blueprints.admin.audit_words import subject_text, what_text
from cnn_offset.blueprints.admin.decisions import carry_out, choices
from cnn_offset.blueprints.admin.desk import bp
from cnn_offset.blueprints.admin.proposed import KINDS as PROPOSALS
from cnn_offset.domain.period import Period
from cnn_offset.domain.staff import DeskDuty
from cnn_offset.domain.status import CancellationStatus, MessageStatus, OrderStatus
from cnn_offset.extensions import db, platform, unit_of_work
from cnn_offset.guards import operator_may
from cnn_offset.models import (
    Attestation,
    Block,
    Cancellation,
    Event,
    Message,
    Order,
    OrderLine,
    Paper,
    Payment,
    Proposal,
)
from cnn_offset.services import (
    NotFoundError,
    ServiceError,
    cases,
    deadlines,
    deciding,
    finding,
    mailing,
    replacing,
)
from cnn_offset.services.attention import look_again
from cnn_offset.services.finding import OrderQuery
from cnn_offset.services.moves import lock_order
from cnn_offset.typed import Typed
from cnn_offset.web import row_id

PAGE: Final = 50
FIRST_DAY: Final = date(2015, 1, 1)
LAST_DAY: Final = date(2099, 12, 31)
"""Between these any order was placed."""
MOST: Final = 500
"""Rows of one kind on an order's page; more than any order of a person has."""


@bp.get("/operator/orders")
def orders() -> ResponseReturnValue:
    """Find orders by anything that stands on them; without a search list them, newest first."""
    values = {
        name: request.args.get(name, "").replace("\0", "").strip()[:254]
        for name in ("q", "status", "method", "provider", "from", "to")
    }
    query, errors = _query(values)
    found = (
        finding.Found([], None)
        if errors
        else finding.find_orders(
            db.session(),
            query,
            registry_ids=list(platform().registry_titles),
            before=request.args.get("before", type=row_id),
            limit=PAGE,
        )
    )
    page = render_template(
        "admin/orders.html",
        orders=found.orders,
        older=found.older,
        statuses=list(OrderStatus),
        methods=_methods(),
        values=values,
        asked={name: value for name, value in values.items() if value},
        errors=errors,
    )
    return page, 422 if errors else 200


def _query(values: dict[str, str]) -> tuple[OrderQuery, dict[str, str]]:
    errors: dict[str, str] = {}
    days: dict[str, date] = {}
    for name in ("from", "to"):
        try:
            if values[name]:
                days[name] = date.fromisoformat(values[name])
                if not FIRST_DAY <= days[name] <= LAST_DAY:
                    raise ValueError(values[name])
        except ValueError:
            errors[name] = gettext("Please enter a day, such as 2026-11-05.")
    period = None
    if days and not errors:
        first, last = days.get("from", FIRST_DAY), days.get("to", LAST_DAY)
        period = Period("days", first, last)
        if first > last:
            errors["to"] = gettext("Please choose a last day that is not before the first.")
    known = values["status"] in set(OrderStatus)
    query = OrderQuery(
        text=values["q"],
        status=OrderStatus(values["status"]) if known else None,
        method_id=values["method"] if values["method"] in platform().method_titles else "",
        provider=values["provider"],
        period=period,
    )
    return query, errors


def _methods() -> dict[str, str]:
    return platform().method_titles


@bp.get("/operator/orders/<code>")
def order(code: str) -> ResponseReturnValue:
    """Show one order with everything that happened to it, and what can be decided."""
    return _page(_order(code))


def _page(found: Order, typed: Typed | None = None) -> ResponseReturnValue:
    session = db.session()
    payments = _of(Payment, found, selectinload(Payment.facts))
    cancellations = _of(
        Cancellation, found, selectinload(Cancellation.ranges), selectinload(Cancellation.line)
    )
    standing = [row for row in cancellations if row.status is not CancellationStatus.GIVEN_UP]
    offered, refused = choices(found, payments, standing)
    page = render_template(
        "admin/order.html",
        order=found,
        ends_at=deadlines.end_of(session, found.id),
        over=deadlines.is_over(session, found.id, platform().clock()),
        payments=payments,
        cancellations=cancellations,
        questions=replacing.questions_of(session, found),
        attestations=_of(Attestation, found),
        papers=_of(Paper, found),
        messages=_of(Message, found),
        cases=cases.cases_of(session, found),
        proposals=_of(Proposal, found),
        proposal_kinds=PROPOSALS,
        events=_of(Event, found),
        words=order_words,
        subject_text=subject_text,
        what_text=what_text,
        # One that is no longer configured is shown by its id.
        methods=_methods(),
        registries=platform().registry_titles,
        offered=offered,
        refused=refused,
        state=deciding.state_of(session, found.id),
        may=current_user.may(DeskDuty.ORDERS),
        values=typed.values if typed else {},
        errors=typed.errors if typed else {},
    )
    return page, 422 if typed and typed.errors else 200


def _order(code: str) -> Order:
    found = db.session.scalar(
        select(Order)
        .where(Order.code == code.replace("\0", ""))
        .options(
            selectinload(Order.lines).joinedload(OrderLine.block).joinedload(Block.activity),
            joinedload(Order.provider),
        )
    )
    if found is None:
        abort(404)
    return found


def _of(kind: Any, order: Order, *options: Any) -> list[Any]:
    """Return the newest rows of a kind about an order, oldest first."""
    rows = select(kind).where(kind.order_id == order.id).order_by(kind.id.desc()).limit(MOST)
    return list(db.session.scalars(rows.options(*options)))[::-1]


@bp.post("/operator/orders/<code>/decide")
@operator_may(DeskDuty.ORDERS, fresh=True)
def decide(code: str) -> ResponseReturnValue:
    """Carry out what an operator chose of what the order's state allows, with a reason."""
    found, typed = _order(code), Typed(request.form)
    typed.values["act"] = request.form.get("act", "")
    reason = typed.lines("reason", longest=1000, missing=gettext("Please write the reason."))
    state = request.form.get("state", "")
    offered, _ = choices(
        found,
        deciding.payments_of(db.session(), found),
        deciding.cancellations_of(db.session(), found),
    )
    chosen = next((each for each in offered if each.value == typed.values["act"]), None)
    if not typed.values["act"]:
        typed.errors["act"] = gettext("Please choose what is to happen.")
    elif chosen is None:
        typed.errors[""] = gettext(deciding.DECIDED)
    if not typed.errors and chosen is not None:
        try:
            carry_out(chosen.value, found.id, state=state, reason=reason)
        except ServiceError as error:
            typed.errors[""] = gettext(error.message, **error.values)
    if typed.errors:
        return _page(_order(code), typed)
    flash(gettext("Done, and kept in the history with your reason."), "success")
    return redirect(url_for("admin.order", code=code))


@bp.post("/operator/orders/<code>/look")
@operator_may(DeskDuty.ORDERS)
def look(code: str) -> ResponseReturnValue:
    """Have everything open of an order looked at now instead of later."""
    order_id = _order(code).id
    with unit_of_work() as session:
        count = look_again(
            session,
            session.get_one(Order, order_id),
            actor=current_user.email,
            now=platform().clock(),
        )
    flash(
        ngettext(
            "%(num)s thing is being looked at now.",
            "%(num)s things are being looked at now.",
            count,
        ),
        "success",
    )
    return redirect(url_for("admin.order", code=code))


@bp.post(f"/operator/orders/<code>/mails/<int(max={2**63 - 1}):message_id>/again")
@operator_may(DeskDuty.ORDERS)
def mail_again(code: str, message_id: int) -> ResponseReturnValue:
    """Send one mail of an order again, to the address it went to."""
    order_id = _order(code).id
    with unit_of_work() as session:
        lock_order(session, order_id)
        message = session.get(Message, message_id, populate_existing=True)
        if message is None or message.order_id != order_id:
            raise NotFoundError(f"message {message_id}")
        waited = message.status is MessageStatus.QUEUED
        mailing.resend(session, message, actor=current_user.email, now=platform().clock())
    if waited:
        flash(gettext("This mail waits to be sent already."), "info")
    else:
        flash(gettext("The mail is being sent again."), "success")
    return redirect(url_for("admin.order", code=code))

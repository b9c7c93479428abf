"""A provider's orders: what is due when, in progress, kept open, withdrawn; papers."""

from __future__ import annotations

from flask import flash, redirect, render_template, request, url_for
from flask.typing import ResponseReturnValue
from flask_babel import gettext
from flask_security import current_user
from sqlalchemy import select
from sqlalchemy.orm import joinedload, selectinload

from cnn_offset import jobs
from cnn_offset.blueprints.orders.papers import download
from cnn_offset.blueprints.provider.money import recordable
from cnn_offset.blueprints.provider.workspace import bp
from cnn_offset.domain.paper import PaperData
from cnn_offset.domain.period import Period, PeriodError
from cnn_offset.domain.reference import creditor_reference
from cnn_offset.domain.staff import Duty
from cnn_offset.domain.status import OrderStatus
from cnn_offset.domain.text import N_, REASON_LENGTH
from cnn_offset.extensions import db, platform, unit_of_work
from cnn_offset.guards import staff_may
from cnn_offset.models import Cancellation, Order, PaperKind, Payment
from cnn_offset.reports import period_title
from cnn_offset.services import (
    NotFoundError,
    ServiceError,
    charging,
    inbox,
    ordering,
    papers,
    selling,
)
from cnn_offset.services.inbox import InboxQuery, Tray
from cnn_offset.typed import Typed
from cnn_offset.web import last_shown, row_id

PAGE = 50
TRAYS = {
    Tray.ALL: N_("All orders"),
    Tray.UNDEALT: N_("To deal with"),
    Tray.WAITING: N_("Waiting for payment"),
    Tray.PAID: N_("Paid"),
    Tray.FULFILLED: N_("Fulfilled"),
    Tray.REVIEW: N_("In review"),
    Tray.ENDED: N_("Ended"),
}


def _titles() -> dict[str, str]:
    """Return the methods' names as message ids."""
    return platform().method_titles


def _order(code: str) -> Order:
    return selling.provider_order(db.session(), current_user.provider_id, code)


@bp.get("/provider/orders")
def orders() -> ResponseReturnValue:
    """List the provider's orders, narrowed by what is to be done, method, period and words."""
    asked = _asked()
    session, mine, by_bank = db.session(), current_user.provider_id, platform().bank_methods
    found = inbox.find_orders(
        session,
        mine,
        asked,
        bank_methods=by_bank,
        before=request.args.get("before", type=row_id),
        limit=PAGE + 1,
    )
    return render_template(
        "provider/orders.html",
        orders=found[:PAGE],
        more=last_shown(found, PAGE),
        asked=asked,
        trays=TRAYS,
        counts=inbox.count_orders(session, mine, bank_methods=by_bank),
        most_counted=inbox.MOST_COUNTED,
        by_bank=by_bank,
        methods=_titles(),
        periods=_periods(asked.period),
        details_due=selling.details_due,
        now=platform().clock(),
    )


def _asked() -> InboxQuery:
    """Read what the list is narrowed to; what cannot be read does not narrow."""
    show, method = request.args.get("show", ""), request.args.get("method", "")
    period = None
    if request.args.get("period"):
        try:
            period = Period.parse(request.args["period"])
        except PeriodError:
            period = None
    return InboxQuery(
        tray=Tray(show) if show in set(Tray) else Tray.ALL,
        method_id=method if method in platform().method_titles else "",
        period=period,
        text=request.args.get("q", "").replace("\0", "").strip()[:200],
    )


def _periods(asked: Period | None) -> list[tuple[str, str]]:
    """Return codes and names of this and last month, this and last year, and of ``asked``."""
    today = platform().clock().date()
    month, year = Period.holding("month", today), Period.holding("year", today)
    offered = [month, month.previous, year, year.previous]
    if asked and asked not in offered:
        offered.append(asked)
    return [(each.code, period_title(each)) for each in offered]


@bp.get("/provider/orders/<code>")
def order(code: str) -> ResponseReturnValue:
    """Show one order, what has happened to it, and what can be done with it."""
    return order_page(_order(code))


def order_page(
    order: Order, errors: dict[str, str] | None = None, *, shows_purchaser: bool = False
) -> ResponseReturnValue:
    """Render the page of an order; ``errors`` of one of its forms are shown on top."""
    session, here = db.session(), platform()
    payment = selling.bank_payment(session, order)
    by_bank = payment is not None or order.method_id in platform().bank_methods
    must_write = by_bank and selling.must_write_first(session, order)
    knows = inbox.knows_purchaser(order)
    page = render_template(
        "provider/order.html",
        order=order,
        fee=charging.fee_by_order(session, order.id),
        payment=payment,
        payments=session.scalars(
            select(Payment)
            .where(Payment.order_id == order.id)
            .order_by(Payment.id)
            .options(selectinload(Payment.facts))
        ).all(),
        cancellations=session.scalars(
            select(Cancellation)
            .where(Cancellation.order_id == order.id)
            .order_by(Cancellation.order_line_id)
            .options(selectinload(Cancellation.ranges), joinedload(Cancellation.line))
        ).all(),
        reference=creditor_reference(order.id),
        details_due=selling.details_due(order),
        by_bank=by_bank,
        sends_own=must_write,
        shows_purchaser=must_write or shows_purchaser,
        knows_purchaser=knows,
        looks=selling.looks_at_purchaser(session, order),
        papers=papers.papers_of(session, order) if knows or must_write else [],
        holds=ordering.possible_holds(order, registry_dates=here.registry_dates, now=here.clock())
        if by_bank
        else [],
        recordable=recordable(order, payment),
        methods=_titles(),
        registries=here.registry_titles,
        errors=errors or {},
        today=here.clock().date(),
        now=here.clock(),
    )
    return (page, 422) if errors else page


@bp.post("/provider/orders/<code>")
@staff_may(Duty.ORDERS)
def purchaser(code: str) -> ResponseReturnValue:
    """Show who the purchaser is, once money has come. Each look is kept, with who looked.

    There is no redirect: the page that shows it is the look that was kept.
    """
    found = _order(code)
    try:
        with unit_of_work() as session:
            selling.see_purchaser(
                session,
                selling.provider_order(session, current_user.provider_id, code),
                actor=current_user.email,
                why="on the page of the order",
                now=platform().clock(),
            )
    except ServiceError as error:
        return order_page(found, {"": gettext(error.message, **error.values)})
    return order_page(_order(code), shows_purchaser=True)


@bp.post("/provider/orders/<code>/papers/<kind>")
@staff_may(Duty.ORDERS)
def paper(code: str, kind: str) -> ResponseReturnValue:
    """Hand out a paper in the provider's name; who took it has seen the purchaser."""
    if kind not in set(PaperKind):
        raise NotFoundError(kind)
    found = _order(code)
    try:
        with unit_of_work() as session:
            order = selling.provider_order(session, current_user.provider_id, code)
            selling.see_purchaser(
                session, order, actor=current_user.email, why=kind, now=platform().clock()
            )
            made = papers.issue_paper(
                session,
                order,
                PaperKind(kind),
                method_titles=_titles(),
                actor=current_user.email,
                now=platform().clock(),
            )
            data = PaperData.from_json(made.data)
    except ServiceError as error:
        return order_page(found, {"": gettext(error.message, **error.values)})
    return download(data)


@bp.post("/provider/orders/<code>/in-progress")
@staff_may(Duty.ORDERS)
def in_progress(code: str) -> ResponseReturnValue:
    """Say that the order is being dealt with; the purchaser is told."""
    with unit_of_work() as session:
        found = selling.bank_order(session, current_user.provider_id, platform().bank_methods, code)
        selling.mark_in_progress(session, found, actor=current_user.email, now=platform().clock())
    flash(gettext("Order %(code)s is in progress.", code=code), "success")
    return redirect(url_for("provider.order", code=code))


@bp.post("/provider/orders/<code>/keep-open")
@staff_may(Duty.ORDERS)
def keep_open(code: str) -> ResponseReturnValue:
    """Let an unpaid order wait longer, because the purchaser asked for it."""
    found = selling.bank_order(
        db.session(), current_user.provider_id, platform().bank_methods, code
    )
    here, days = platform(), request.form.get("days", type=int)
    if days not in ordering.HOLDS:
        return order_page(found, {"days": gettext("Please choose how long the order may wait.")})
    with unit_of_work() as session:
        ordering.keep_open(
            session,
            selling.bank_order(session, current_user.provider_id, platform().bank_methods, code),
            days=days,
            registry_dates=here.registry_dates,
            actor=current_user.email,
            now=here.clock(),
        )
    flash(gettext("Order %(code)s waits longer for its money.", code=code), "success")
    return redirect(url_for("provider.order", code=code))


@bp.post("/provider/orders/<code>/withdraw")
@staff_may(Duty.ORDERS)
def withdraw(code: str) -> ResponseReturnValue:
    """Withdraw an unpaid order, for a reason that the purchaser is told."""
    found = _order(code)
    typed = Typed(request.form)
    reason = typed.line(
        "reason",
        longest=REASON_LENGTH,
        missing=gettext("Please give a reason; the purchaser reads it."),
    )
    if typed.errors:
        return order_page(found, typed.errors)
    page = redirect(url_for("provider.order", code=code))
    if found.status is not OrderStatus.PLACED:
        flash(gettext("This order can no longer be withdrawn."), "error")
        return page
    order_id = found.id
    jobs.withdraw_order(platform(), order_id, actor=current_user.email, reason=reason)
    now = db.session.get_one(Order, order_id, populate_existing=True).status
    if now is OrderStatus.WITHDRAWN:
        flash(gettext("Order %(code)s is withdrawn; the purchaser is told.", code=code), "success")
    else:
        flash(
            gettext(
                "A payment may be on its way, so the order was not withdrawn. "
                "Please look again in a few minutes."
            ),
            "error",
        )
    return page

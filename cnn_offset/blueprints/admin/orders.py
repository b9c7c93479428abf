"""What operators see: every order with its history, and what does not go on by itself."""

from __future__ import annotations

from typing import Any

from flask import abort, flash, redirect, render_template, request, url_for
from flask.typing import ResponseReturnValue
from flask_babel import ngettext
from flask_security import current_user
from sqlalchemy import or_, select
from sqlalchemy.orm import selectinload

from cnn_offset.blueprints.admin.desk import bp
from cnn_offset.domain.status import OrderStatus
from cnn_offset.extensions import db, platform, unit_of_work
from cnn_offset.models import (
    Attestation,
    Cancellation,
    Event,
    Message,
    Order,
    OrderLine,
    Payment,
)
from cnn_offset.services.attention import attention as waiting
from cnn_offset.services.attention import look_again
from cnn_offset.services.checking import check_all
from cnn_offset.web import row_id

PAGE = 50


@bp.get("/operator/orders")
def orders() -> ResponseReturnValue:
    """List orders, newest first, by status and by code, address or name."""
    status = request.args.get("status", "")
    words = request.args.get("q", "").replace("\0", "").strip()[:200]
    before = request.args.get("before", type=row_id)
    wanted = select(Order)
    if status in set(OrderStatus):
        wanted = wanted.where(Order.status == OrderStatus(status))
    if words:
        wanted = wanted.where(
            or_(
                Order.code == words.upper(),
                Order.email == words.lower(),
                Order.purchaser_name.icontains(words, autoescape=True),
                Order.company.icontains(words, autoescape=True),
            )
        )
    if before:
        wanted = wanted.where(Order.id < before)
    found = db.session.scalars(
        wanted.options(selectinload(Order.lines), selectinload(Order.provider))
        .order_by(Order.id.desc())
        .limit(PAGE + 1)
    ).all()
    return render_template(
        "admin/orders.html",
        orders=found[:PAGE],
        older=found[PAGE - 1].id if len(found) > PAGE else None,
        statuses=list(OrderStatus),
        status=status,
        words=words,
    )


@bp.get("/operator/orders/<code>")
def order(code: str) -> ResponseReturnValue:
    """Show one order with everything that happened to it."""
    found = _order(code)
    return render_template(
        "admin/order.html",
        order=found,
        payments=_of(Payment, found, selectinload(Payment.facts)),
        cancellations=_of(
            Cancellation,
            found,
            selectinload(Cancellation.ranges),
            selectinload(Cancellation.line),
        ),
        attestations=_of(Attestation, found),
        messages=_of(Message, found),
        events=_of(Event, found),
        # One that is no longer configured is shown by its id.
        methods={name: plugin.title for name, plugin in platform().payments.items()},
        registries={name: each.title for name, each in platform().registries.items()},
    )


def _order(code: str) -> Order:
    found = db.session.scalar(
        select(Order)
        .where(Order.code == code.replace("\0", ""))
        .options(selectinload(Order.lines).selectinload(OrderLine.block))
    )
    if found is None:
        abort(404)
    return found


def _of(kind: Any, order: Order, *options: Any) -> list[Any]:
    rows = select(kind).where(kind.order_id == order.id).order_by(kind.id).options(*options)
    return list(db.session.scalars(rows))


@bp.post("/operator/orders/<code>/look")
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


@bp.get("/operator/attention")
def attention() -> ResponseReturnValue:
    """List what waits for a person."""
    items = waiting(db.session(), now=platform().clock())
    return render_template("admin/attention.html", items=items)


@bp.get("/operator/check")
def check() -> ResponseReturnValue:
    """Add everything up, now, and say what does not."""
    faults = check_all(db.session(), platform().files)
    return render_template("admin/check.html", faults=faults, now=platform().clock())

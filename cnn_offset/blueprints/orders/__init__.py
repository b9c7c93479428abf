"""The private page of an order: how far it is, paying it, its papers."""

from __future__ import annotations

import segno
from flask import (
    abort,
    current_app,
    flash,
    redirect,
    render_template,
    request,
    url_for,
)
from flask.typing import ResponseReturnValue
from flask_babel import gettext
from sqlalchemy import select

from cnn_offset import jobs
from cnn_offset.attestations import stored_pdf
from cnn_offset.blueprints.orders import correct, papers
from cnn_offset.blueprints.orders import replacing as replacing_pages
from cnn_offset.blueprints.orders.opening import offered, open_payment
from cnn_offset.blueprints.orders.private import bp
from cnn_offset.blueprints.orders.progress import progress_of
from cnn_offset.domain.money import Money
from cnn_offset.domain.payment import left
from cnn_offset.domain.status import LIVE, OrderStatus
from cnn_offset.extensions import db, limiter, platform, unit_of_work
from cnn_offset.i18n import language
from cnn_offset.models import Order, Payment
from cnn_offset.services import ServiceError, correcting, ordering, replacing
from cnn_offset.services.papers import papers_of

__all__ = ["bp", "correct", "papers", "replacing_pages"]


@bp.get("/orders/<token>")
def show(token: str) -> ResponseReturnValue:
    """Show how far the order is and what comes next."""
    order = ordering.find_order(db.session(), token)
    progress = progress_of(db.session(), order, now=platform().clock())
    # Asked for by the way back from a processor; it only makes the page look again.
    back = "back" in request.args and progress.state in ("opened", "to_pay")
    methods, withheld = offered(order) if order.status is OrderStatus.PLACED else ([], {})
    payment = progress.payment
    page = render_template(
        "orders/show.html",
        order=order,
        progress=progress,
        back=back,
        offered=methods,
        withheld=withheld,
        methods=platform().payments,
        registries=platform().registry_titles,
        qr=_qr(payment.qr) if payment and payment.qr else "",
        siblings=_siblings(order),
        owed=_owed(order),
        papers=papers_of(db.session(), order),
        questions=(
            replacing.asked_of(db.session(), order) if order.status is OrderStatus.IN_REVIEW else []
        ),
        correction=correcting.newest(db.session(), order) if progress.attestation else None,
    )
    response = current_app.make_response(page)
    if progress.waits or back:
        # Works without a script; the address stays, so a reload is harmless.
        response.headers["Refresh"] = "10"
    return response


def _qr(text: str) -> str:
    # Level M, as the EPC guideline asks (EPC069-12).
    return segno.make(text, error="m", micro=False).svg_data_uri(
        scale=4, border=4, dark="#000", light="#fff"
    )


def _owed(order: Order) -> Money:
    """Return what is to go back of an order that is not to be fulfilled."""
    if not order.given_back.minor:
        return order.total
    # Part of it has gone back before.
    payments = db.session.scalars(select(Payment).where(Payment.order_id == order.id))
    rests = [left(each.value for each in payment.facts) for payment in payments]
    minor = sum(each.minor for each in rests if each and each.currency == order.currency)
    return Money(minor, order.currency) if minor else order.total


def _siblings(order: Order) -> int:
    found = db.session.scalars(select(Order.id).where(Order.checkout_id == order.checkout_id))
    return len(found.all()) - 1


@bp.post("/orders/<token>/pay")
@limiter.limit("20 per minute")
def pay(token: str) -> ResponseReturnValue:
    """Open a payment and send the purchaser on."""
    order = ordering.find_order(db.session(), token)
    return redirect(open_payment(token, request.form.get("method") or order.method_id), 303)


@bp.get("/orders/<token>/return")
@limiter.limit("30 per minute")
def returned(token: str) -> ResponseReturnValue:
    """Take back a payer: ask the processor how it stands. Nothing in the address counts."""
    order = ordering.find_order(db.session(), token)
    payment_id = db.session.scalar(
        select(Payment.id)
        .where(Payment.order_id == order.id, Payment.status.in_(LIVE))
        .order_by(Payment.id.desc())
    )
    if payment_id is not None:
        jobs.do("payment", payment_id)
    return redirect(url_for("orders.show", token=token, back=1), 303)


@bp.get("/orders/<token>/attestation.pdf")
@limiter.limit("60 per minute")
def attestation(token: str) -> ResponseReturnValue:
    """Hand out the signed PDF, as it was stored."""
    order = ordering.find_order(db.session(), token)
    issued = progress_of(db.session(), order, now=platform().clock()).attestation
    if issued is None or not issued.path:  # its file was erased
        abort(404)
    response = current_app.response_class(stored_pdf(issued), mimetype="application/pdf")
    name = f"attestation-{issued.number.replace('/', '-')}.pdf"
    response.headers["Content-Disposition"] = f'attachment; filename="{name}"'
    return response


@bp.post("/orders/<token>/resend")
@limiter.limit("5 per hour")
def resend(token: str) -> ResponseReturnValue:
    """Mail the papers again, to the address the order has."""
    with unit_of_work() as session:
        order = ordering.find_order(session, token)
        ordering.send_papers_again(session, order, now=platform().clock())
    flash(gettext("The mail is on its way to the address of the order."), "success")
    return redirect(url_for("orders.show", token=token), 303)


@bp.post("/orders/<token>/withdraw")
@limiter.limit("10 per minute")
def withdraw(token: str) -> ResponseReturnValue:
    """Withdraw an unpaid order, once no payment of it can arrive any more."""
    order = ordering.find_order(db.session(), token)
    page = redirect(url_for("orders.show", token=token), 303)
    if order.status is not OrderStatus.PLACED:
        flash(gettext("This order can no longer be withdrawn."), "error")
        return page
    if not jobs.withdraw_order(platform(), order.id, actor="purchaser"):
        flash(
            gettext(
                "A payment may be on its way, so the order was not withdrawn. "
                "Please look again in a few minutes."
            ),
            "error",
        )
    return page


@bp.route("/orders/lost", methods=["GET", "POST"])
@limiter.limit("5 per hour", methods=["POST"])
def lost() -> ResponseReturnValue:
    """Mail the links of all orders of an address to that address.

    The answer is always the same, so that nobody learns who has bought.
    """
    typed, errors = request.form.get("email", "").strip(), {}
    if request.method == "POST":
        try:
            email = ordering.clean_email(typed)
        except ServiceError as error:
            errors["email"] = gettext(error.message)
        else:
            with unit_of_work() as session:
                ordering.send_links(session, email, locale=language(), now=platform().clock())
            return redirect(url_for("orders.lost", sent=1), 303)
    page = render_template(
        "orders/lost.html", email=typed, errors=errors, sent="sent" in request.args
    )
    return page, 422 if errors else 200

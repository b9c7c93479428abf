"""Asking for a correction of the spelling on an attestation, from the order's private page."""

from __future__ import annotations

from flask import flash, redirect, render_template, request, url_for
from flask.typing import ResponseReturnValue
from flask_babel import gettext

from cnn_offset.attestations.fonts import unprintable
from cnn_offset.blueprints.orders.private import bp
from cnn_offset.domain.text import REASON_LENGTH
from cnn_offset.extensions import db, limiter, platform, unit_of_work
from cnn_offset.models import Order
from cnn_offset.services import NotFoundError, ServiceError, correcting, ordering
from cnn_offset.services.correcting import Texts
from cnn_offset.typed import Typed


def read_texts(typed: Typed) -> Texts:
    """Read what an attestation should say, as strictly as when it was ordered."""
    texts = Texts(
        typed.line("beneficiary", missing=gettext("Please enter the name as it should read.")),
        typed.line("reason", longest=REASON_LENGTH, missing=gettext("Please write the reason.")),
    )
    for name in ("beneficiary", "reason"):
        signs = [] if name in typed.errors else unprintable(typed.values[name])
        if signs:
            typed.errors[name] = gettext(
                "The attestation cannot print: %(signs)s. Please write this in other letters.",
                signs=" ".join(signs),
            )
    return texts


@bp.route("/orders/<token>/correct", methods=["GET", "POST"])
@limiter.limit("20 per hour", methods=["POST"])
def correct(token: str) -> ResponseReturnValue:
    """Show the form that asks for a correction, or take what was asked."""
    order = ordering.find_order(db.session(), token)
    typed = Typed(request.form)
    if request.method == "GET":
        typed.values.update(beneficiary=order.beneficiary, reason=order.reason)
        return _form(order, typed)
    texts = read_texts(typed)
    remark = typed.lines("remark", longest=1000)
    if not typed.errors:
        try:
            with unit_of_work() as session:
                correcting.ask(
                    session,
                    ordering.find_order(session, token),
                    texts,
                    remark,
                    actor="purchaser",
                    now=platform().clock(),
                )
        except ServiceError as error:
            typed.errors[""] = gettext(error.message, **error.values)
    if typed.errors:
        return _form(ordering.find_order(db.session(), token), typed)
    flash(gettext("Thank you. We look at it within two working days and write to you."), "success")
    return redirect(url_for("orders.show", token=token), 303)


def _form(order: Order, typed: Typed) -> ResponseReturnValue:
    session = db.session()
    waits = correcting.open_request(session, order)
    attestation = correcting.correctable(session, order)
    if not typed.errors and attestation is None and waits is None:
        # Before there is an attestation nothing leads here.
        raise NotFoundError(order.code)
    page = render_template(
        "orders/correct.html",
        order=order,
        attestation=attestation,
        waits=waits,
        values=typed.values,
        errors=typed.errors,
    )
    return page, 422 if typed.errors else 200

"""Asking the purchaser whether other units may take the place of refused ones."""

from __future__ import annotations

from flask import flash, redirect, render_template, request, url_for
from flask.typing import ResponseReturnValue
from flask_babel import gettext

from cnn_offset.blueprints.orders.private import bp
from cnn_offset.domain.status import ReplacementStatus
from cnn_offset.extensions import db, limiter, platform, unit_of_work
from cnn_offset.services import ServiceError, ordering, replacing
from cnn_offset.typed import Typed


@bp.route(f"/orders/<token>/units/<int(max={2**63 - 1}):replacement_id>", methods=["GET", "POST"])
@limiter.limit("20 per hour", methods=["POST"])
def replacement(token: str, replacement_id: int) -> ResponseReturnValue:
    """Show old and new units side by side, or take the answer."""
    typed, now = Typed(request.form), platform().clock()
    if request.method == "GET":
        return _page(token, replacement_id, typed)
    answer = typed.choice("answer", ("yes", "no"), missing=gettext("Please choose yes or no."))
    if not typed.errors:
        try:
            with unit_of_work() as session:
                order = ordering.find_order(session, token)
                asked = replacing.find(session, order, replacement_id)
                (replacing.agree if answer == "yes" else replacing.decline)(session, asked, now=now)
        except ServiceError as error:
            typed.errors[""] = gettext(error.message, **error.values)
    if typed.errors:
        return _page(token, replacement_id, typed)
    flash(
        gettext("Thank you. The other units are being cancelled for you.")
        if answer == "yes"
        else gettext("Thank you. A person sees to it that your money for them goes back."),
        "success",
    )
    return redirect(url_for("orders.show", token=token), 303)


def _page(token: str, replacement_id: int, typed: Typed) -> ResponseReturnValue:
    order = ordering.find_order(db.session(), token)
    asked = replacing.find(db.session(), order, replacement_id)
    page = render_template(
        "orders/replacement.html",
        order=order,
        asked=asked,
        is_open=asked.status is ReplacementStatus.ASKED and platform().clock() < asked.answer_by,
        registries=platform().registry_titles,
        values=typed.values,
        errors=typed.errors,
    )
    return page, 422 if typed.errors else 200

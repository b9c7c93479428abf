"""Writing to us: a form that asks what each kind of question needs, and helps at once if it can."""

from __future__ import annotations

from typing import Any

from flask import Blueprint, redirect, render_template, request, session, url_for
from flask.typing import ResponseReturnValue
from flask_babel import gettext
from flask_security import current_user

from cnn_offset.blueprints.contact.forms import (
    ASKS_ORDER,
    HINTS,
    NEEDS_ORDER,
    OF_AN_ORDER,
    Wish,
    read_kind,
    read_wish,
)
from cnn_offset.domain.casework import CaseKind, CaseSide
from cnn_offset.extensions import db, limiter, platform, unit_of_work
from cnn_offset.guards import guarded, private, public
from cnn_offset.i18n import language
from cnn_offset.models import Order
from cnn_offset.services import cases, contacting, ordering
from cnn_offset.services.cases import Asked
from cnn_offset.typed import Typed

bp = guarded(Blueprint("contact", __name__), public)
# They show what somebody typed.
bp.after_request(private)
LOOKED, SENT = "contact_looked", "contact_sent"
"""What the next page says, kept in the visitor's session."""


@bp.route("/contact/write", methods=["GET", "POST"])
@limiter.limit("20 per hour", methods=["POST"])
def write() -> ResponseReturnValue:
    """Take a question; where it is for an attestation, send that first."""
    kind = read_kind(request.values.get("kind", ""))
    if kind is None:
        return render_template("contact/kinds.html", kinds=HINTS)
    if request.method == "GET":
        typed = Typed(request.form)
        typed.values["email"] = "" if current_user.is_anonymous else current_user.email
        return _form(kind, typed)
    looks = kind is CaseKind.CERTIFICATE and "open" not in request.form
    typed, wish = read_wish(request.form, kind, needs_text=kind is not CaseKind.CERTIFICATE)
    if wish is None:
        return _form(kind, typed)
    if looks:
        return _look(wish)
    return _open(wish)


def _form(kind: CaseKind, typed: Typed) -> ResponseReturnValue:
    page = render_template(
        "contact/write.html",
        kind=kind,
        asks_order=kind in ASKS_ORDER,
        needs_order=kind in NEEDS_ORDER,
        values=typed.values,
        errors=typed.errors,
        order=None,
    )
    return page, 422 if typed.errors else 200


def _look(wish: Wish, order_id: int | None = None) -> ResponseReturnValue:
    """Send the attestation to the order's own address, or where the order stands."""
    with unit_of_work() as database:
        found = (
            database.get(Order, order_id)
            if order_id
            else contacting.order_of(database, wish.order, wish.email)
        )
        outcome = contacting.send_attestation(database, found, now=platform().clock())
        token = found.token if found is not None and order_id else ""
    session[LOOKED] = {
        "outcome": str(outcome),
        "token": token,
        **({} if token else {"name": wish.name, "email": wish.email, "order": wish.order}),
        "text": wish.text[:1000],
    }
    return redirect(url_for("contact.looked"), 303)


@bp.get("/contact/looked")
def looked() -> ResponseReturnValue:
    """Say what was sent, and offer to open a case if that does not help."""
    values: dict[str, Any] | None = session.get(LOOKED)
    if values is None:
        return redirect(url_for("contact.write", kind=CaseKind.CERTIFICATE))
    return render_template("contact/looked.html", values=values, outcome=values["outcome"])


def _open(wish: Wish) -> ResponseReturnValue:
    here = platform()
    provider_id = None if current_user.is_anonymous else current_user.provider_id
    with unit_of_work() as database:
        order = contacting.order_of(database, wish.order, wish.email) if wish.order else None
        of_provider = provider_id is not None and wish.kind is CaseKind.LISTING
        side = CaseSide.PROVIDER if of_provider else CaseSide.VISITOR
        case = cases.open_case(
            database,
            Asked(
                kind=wish.kind,
                side=CaseSide.PURCHASER if order else side,
                email=wish.email,
                locale=language(),
                text=wish.text or gettext("I have not received my attestation."),
                name=wish.name,
                order=order,
                order_typed=wish.order,
                provider_id=provider_id if of_provider else None,
            ),
            now=here.clock(),
        )
        session[SENT] = {"code": case.code, "email": case.email}
    session.pop(LOOKED, None)
    return redirect(url_for("contact.sent"), 303)


@bp.route("/contact/order/<token>", methods=["GET", "POST"])
@limiter.limit("20 per hour", methods=["POST"])
def about_order(token: str) -> ResponseReturnValue:
    """Take a question about the order of a private link; who asks is known by it."""
    order = ordering.find_order(db.session(), token)
    kind = read_kind(request.values.get("kind", ""))
    if kind not in OF_AN_ORDER:
        kinds = {each: HINTS[each] for each in OF_AN_ORDER}
        return render_template("contact/kinds.html", kinds=kinds, order=order)
    typed = Typed(request.form)
    if request.method == "POST":
        needs_text = kind is not CaseKind.CERTIFICATE
        typed, wish = read_wish(request.form, kind, needs_text=needs_text, known=True)
        if wish is not None and kind is CaseKind.CERTIFICATE and "open" not in request.form:
            return _look(wish, order.id)
        if wish is not None:
            return _open_about(order.id, wish)
    page = render_template(
        "contact/write.html",
        kind=kind,
        asks_order=False,
        needs_order=False,
        values=typed.values,
        errors=typed.errors,
        order=order,
    )
    return page, 422 if typed.errors else 200


def _open_about(order_id: int, wish: Wish) -> ResponseReturnValue:
    with unit_of_work() as database:
        order = database.get_one(Order, order_id)
        case = cases.open_case(
            database,
            Asked(
                kind=wish.kind,
                side=CaseSide.PURCHASER,
                email=order.email,
                locale=language(),
                text=wish.text or gettext("I have not received my attestation."),
                name=order.purchaser_name[:200],
                order=order,
            ),
            now=platform().clock(),
        )
        session[SENT] = {"code": case.code, "email": case.email}
    session.pop(LOOKED, None)
    return redirect(url_for("contact.sent"), 303)


@bp.get("/contact/sent")
def sent() -> ResponseReturnValue:
    """Say that a case is open, and what follows."""
    values: dict[str, Any] | None = session.get(SENT)
    if values is None:
        return redirect(url_for("contact.write"))
    return render_template("contact/sent.html", code=values["code"], email=values["email"])

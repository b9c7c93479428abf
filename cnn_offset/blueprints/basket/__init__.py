"""The basket: offers and quantities in the signed cookie. Nothing is held for it."""

from __future__ import annotations

import secrets
from collections.abc import Mapping

from flask import Blueprint, Flask, current_app, flash, redirect, render_template, request, url_for
from flask import session as cookie
from flask.typing import ResponseReturnValue
from flask_babel import gettext, ngettext
from flask_security import current_user
from werkzeug.datastructures import MultiDict

from cnn_offset.domain.money import exponent
from cnn_offset.extensions import db, limiter, platform
from cnn_offset.guards import guarded, public
from cnn_offset.i18n import language, localised, number, read_number
from cnn_offset.models import Offer
from cnn_offset.services import ServiceError
from cnn_offset.services.checking_out import (
    GONE,
    MAX_LINES,
    NOT_A_NUMBER,
    TOO_MANY,
    BasketView,
    view_basket,
)

bp = guarded(Blueprint("basket", __name__), public)


def init_app(app: Flask) -> None:
    """Give every page the number of offers in the basket."""
    app.jinja_env.globals["basket_count"] = basket_count


def basket_count() -> int:
    """Count the offers; a visitor without a cookie gets none for it."""
    if current_app.config["SESSION_COOKIE_NAME"] not in request.cookies:
        return 0
    return len(contents())


def contents() -> dict[int, int]:
    """Return quantities by offer id."""
    return {int(offer_id): quantity for offer_id, quantity in cookie.get("basket", {}).items()}


def keep(basket: Mapping[int, int]) -> None:
    """Put ``basket`` into the cookie, and the link its checkout will have.

    The link is there before the first click on "Check out", so that a second click
    finds the same checkout.
    """
    cookie["basket"] = {str(offer_id): quantity for offer_id, quantity in basket.items()}
    cookie.setdefault("checkout", secrets.token_urlsafe(32))


def empty(token: str) -> None:
    """Forget the basket once its checkout, the one of ``token``, has become orders."""
    if cookie.get("checkout") == token:
        cookie.pop("basket", None)
        cookie.pop("checkout", None)


def look(basket: Mapping[int, int]) -> BasketView:
    """Return what ``basket`` means now."""
    here = platform()
    return view_basket(
        db.session(),
        basket,
        plugins=here.payments_for_new,
        registry_dates=here.dates_for_new,
        now=here.clock(),
        token=cookie.get("checkout", ""),
        staff_of=getattr(current_user, "provider_id", None),
    )


def read_quantities(
    form: MultiDict[str, str], basket: Mapping[int, int]
) -> tuple[dict[int, int], dict[int, str]]:
    """Read ``quantity-<offer>`` fields over ``basket``; 0 takes an offer out.

    Returns the new basket, and by offer id what was typed where it is no number.
    """
    changed, unread = dict(basket), {}
    for offer_id in basket:
        typed = form.get(f"quantity-{offer_id}")
        if typed is None:
            continue
        try:
            changed[offer_id] = read_number(typed, language())
        except ValueError:
            unread[offer_id] = typed
            continue
        if changed[offer_id] == 0:
            del changed[offer_id]
    return changed, unread


def page(
    basket: Mapping[int, int],
    *,
    unread: Mapping[int, str] | None = None,
    errors: Mapping[str, str] | None = None,
) -> str:
    """Render the basket; ``errors`` are shown in a summary on top."""
    view = look(basket)
    lines = [line for part in view.parts for line in part.lines]
    known = {line.offer_id for line in lines}
    faults = {
        offer_id: gettext(error.message, **error.values)
        for offer_id, error in view.problems.items()
    }
    faults |= dict.fromkeys(unread or {}, gettext(NOT_A_NUMBER))
    typed = {line.offer_id: number(line.quantity, language()) for line in lines}
    return render_template(
        "basket/show.html",
        view=view,
        typed=typed | dict(unread or {}),
        faults=faults,
        gone=[offer_id for offer_id in basket if offer_id not in known],
        errors=errors or {},
        methods=platform().payments,
        exponent=exponent,
    )


@bp.get("/basket")
def show() -> ResponseReturnValue:
    """Show the basket with what is available now."""
    return page(contents())


@bp.post("/basket/add")
@limiter.limit("60 per minute")
def add() -> ResponseReturnValue:
    """Put an offer into the basket. The quantity replaces the one that was there, so that
    a second click adds nothing.
    """
    typed, offer = request.form.get("quantity", ""), _offer(request.form.get("offer", ""))
    basket = contents()
    try:
        quantity = _check(offer, typed, basket)
    except ServiceError as error:
        return (
            render_template(
                "basket/add.html",
                offer=offer,
                typed=typed,
                token=request.form.get("token", ""),
                error=gettext(error.message, **error.values),
            ),
            422,
        )
    assert offer is not None
    keep({**basket, offer.id: quantity})
    flash(
        ngettext(
            "%(n)s tonne of “%(project)s” is in your basket.",
            "%(n)s tonnes of “%(project)s” are in your basket.",
            quantity,
            n=number(quantity, language()),
            project=localised(offer.block.activity.title),
        ),
        "success",
    )
    return redirect(url_for("basket.show"), 303)


def _offer(typed: str) -> Offer | None:
    """Return the offer of an id; a private one only to whom its link is known."""
    number_like = typed.isascii() and typed.isdigit() and len(typed) < 19
    found = db.session.get(Offer, int(typed)) if number_like else None
    if found is None or found.private_token is None or found.id in contents():
        return found
    knows = secrets.compare_digest(
        request.form.get("token", "").encode(), found.private_token.encode()
    )
    return found if knows else None


def _check(offer: Offer | None, typed: str, basket: Mapping[int, int]) -> int:
    if offer is None:
        raise ServiceError(GONE)
    try:
        quantity = read_number(typed, language())
    except ValueError:
        raise ServiceError(NOT_A_NUMBER) from None
    problem = look({offer.id: quantity}).problems.get(offer.id)
    if problem is not None:
        raise problem
    if len({*basket, offer.id}) > MAX_LINES:
        raise ServiceError(TOO_MANY)
    return quantity


@bp.post("/basket/update")
@limiter.limit("60 per minute")
def update() -> ResponseReturnValue:
    """Take changed quantities, or take an offer out (``remove``)."""
    basket = contents()
    taken_out = request.form.get("remove", "")
    if taken_out:
        keep({offer_id: n for offer_id, n in basket.items() if str(offer_id) != taken_out})
        return redirect(url_for("basket.show"), 303)
    changed, unread = read_quantities(request.form, basket)
    if unread:
        return page(changed, unread=unread, errors=quantity_errors(unread)), 422
    keep(changed)
    return redirect(url_for("basket.show"), 303)


def quantity_errors(unread: Mapping[int, str]) -> dict[str, str]:
    """Return the summary's entries for quantities that are no numbers."""
    return {f"quantity-{offer_id}": gettext(NOT_A_NUMBER) for offer_id in unread}

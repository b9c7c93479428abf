"""From basket to placed orders in three short steps; a guest needs no account.

Everything hangs on the checkout's private link. What was typed is kept with it, so that
back, reload and a second click lose nothing and buy nothing twice.
"""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from flask import Blueprint, Response, current_app, redirect, render_template, request, url_for
from flask import session as cookie
from flask.typing import ResponseReturnValue
from flask_babel import gettext
from flask_security import current_user
from sqlalchemy import select

from cnn_offset.blueprints import basket
from cnn_offset.blueprints.checkout import forms, pages
from cnn_offset.blueprints.orders.opening import open_instructions, open_payment
from cnn_offset.domain.status import CheckoutStatus
from cnn_offset.extensions import db, limiter, platform, unit_of_work
from cnn_offset.guards import guarded, public
from cnn_offset.i18n import language
from cnn_offset.models import Checkout, Order
from cnn_offset.services import ServiceError, checking_out, ordering
from cnn_offset.wording import terms_version

bp = guarded(Blueprint("checkout", __name__), public)


@bp.after_request
def _private(response: Response) -> Response:
    """Keep what belongs to one purchaser out of caches and search engines."""
    response.headers["Cache-Control"] = "no-store"
    response.headers["X-Robots-Tag"] = "noindex, nofollow"
    return response


@bp.post("/checkout")
@limiter.limit("20 per minute")
def start() -> ResponseReturnValue:
    """Hold the basket's units and begin. A second click finds the same checkout."""
    chosen, unread = basket.read_quantities(request.form, basket.contents())
    if unread:
        errors = basket.quantity_errors(unread)
        return basket.page(chosen, unread=unread, errors=errors), 422
    basket.keep(chosen)
    view = basket.look(chosen)
    if not view.can_check_out:
        return basket.page(chosen, errors=_why_not(view)), 422
    here = platform()
    try:
        with unit_of_work() as session:
            checkout = checking_out.start_checkout(
                session,
                chosen,
                locale=language(),
                user_id=_user_id(),
                registry_dates=here.dates_for_new,
                hold_for=_hold_for(),
                now=here.clock(),
                token=cookie.get("checkout", ""),
            )
            token = checkout.token
    except ServiceError as error:
        # Somebody was faster between our look and our hold.
        view = basket.look(chosen)
        errors = _why_not(view) or {"": gettext(error.message, **error.values)}
        return basket.page(chosen, errors=errors), 422
    cookie["checkout"] = token
    return redirect(url_for("checkout.details", token=token), 303)


def _why_not(view: checking_out.BasketView) -> dict[str, str]:
    if not view.parts:
        return {"": gettext("Your basket is empty.")}
    errors = {
        f"quantity-{offer_id}": gettext(error.message, **error.values)
        for offer_id, error in view.problems.items()
    }
    for at, part in enumerate(view.parts, start=1):
        if not part.methods:
            errors.setdefault(
                f"part-{at}",
                gettext("%(provider)s cannot be paid this amount.", provider=part.provider.name),
            )
    return errors


@bp.get("/checkout/<token>/details")
def details(token: str) -> ResponseReturnValue:
    """Step 1: ask who buys."""
    checkout = checking_out.find_checkout(db.session(), token)
    return _over(checkout) or pages.details_page(checkout, {**pages.prefill(), **checkout.details})


@bp.post("/checkout/<token>/details")
@limiter.limit("30 per minute")
def save_details(token: str) -> ResponseReturnValue:
    """Keep who buys and go on."""
    values, errors = forms.read_details(request.form)
    if errors:
        checkout = checking_out.find_checkout(db.session(), token)
        return _over(checkout) or (pages.details_page(checkout, values, errors), 422)
    known = checking_out.find_checkout(db.session(), token).details
    if known.get("beneficiary") and pages.default_name(known) != pages.default_name(values):
        # Step 2 was answered for somebody else, perhaps a company that wants to be seen.
        changed = values["kind"] != known["kind"]
        if changed or known["beneficiary"] == pages.default_name(known):
            values["beneficiary"] = ""
        if changed:
            values["publish_name"] = values["publish_reason"] = values["kind"] == "company"
    return _save(token, values) or redirect(_next("beneficiary", token), 303)


@bp.get("/checkout/<token>/beneficiary")
def beneficiary(token: str) -> ResponseReturnValue:
    """Step 2: ask for whom, why, and how to pay; show the attestation to come."""
    checkout = checking_out.find_checkout(db.session(), token)
    return _over(checkout) or _missing(checkout, "country") or pages.beneficiary_page(checkout)


@bp.post("/checkout/<token>/beneficiary")
@limiter.limit("30 per minute")
def save_beneficiary(token: str) -> ResponseReturnValue:
    """Keep it, and go on or show the attestation as it will be."""
    checkout = checking_out.find_checkout(db.session(), token)
    stop = _over(checkout) or _missing(checkout, "country")
    if stop:
        return stop
    values, errors = forms.read_beneficiary(request.form, pages.plan_of(checkout))
    if errors:
        return pages.beneficiary_page(checkout, values, errors), 422
    stop = _save(token, values)
    if stop:
        return stop
    if "preview" in request.form:
        address = url_for("checkout.beneficiary", token=token, preview=1, _anchor="preview")
        return redirect(address, 303)
    return redirect(url_for("checkout.review", token=token), 303)


@bp.get("/checkout/<token>/preview.pdf")
@limiter.limit("20 per minute")
def preview(token: str) -> ResponseReturnValue:
    """Show the attestation of one part of the plan as it will look; nothing is kept."""
    # Heavy to import: the PDF libraries.
    from cnn_offset.attestations.render import render

    checkout = checking_out.find_checkout(db.session(), token)
    stop = _over(checkout) or _missing(checkout, "country", "beneficiary")
    if stop:
        return stop
    previews = pages.previews_of(checkout)
    part = request.args.get("part", 1, type=int)
    if not 1 <= part <= len(previews):
        return redirect(url_for("checkout.preview", token=token), 302)
    response = current_app.response_class(render(previews[part - 1]), mimetype="application/pdf")
    response.headers["Content-Disposition"] = 'inline; filename="attestation-preview.pdf"'
    return response


@bp.get("/checkout/<token>/review")
def review(token: str) -> ResponseReturnValue:
    """Step 3: show everything, with links to change it, before the order."""
    checkout = checking_out.find_checkout(db.session(), token)
    return (
        _over(checkout)
        or _missing(checkout, "country", "beneficiary")
        or pages.review_page(checkout)
    )


@bp.post("/checkout/<token>/review")
@limiter.limit("20 per minute")
def place(token: str) -> ResponseReturnValue:
    """Place the orders, once for each checkout however often this is sent."""
    checkout = checking_out.find_checkout(db.session(), token)
    stop = _over(checkout) or _missing(checkout, "country", "beneficiary")
    if stop:
        return stop
    errors = {
        name: gettext("Please tick this box if you agree; without it there can be no order.")
        for name in pages.CONSENTS
        if request.form.get(name) != "yes"
    }
    if request.form.get("terms_version", terms_version()) != terms_version():
        errors["consent_terms"] = gettext(
            "The terms of use have changed since you opened this page. Please read them and "
            "tick this box once more."
        )
    if errors:
        return pages.review_page(checkout, errors), 422
    here = platform()
    try:
        with unit_of_work() as session:
            checkout = checking_out.find_checkout(session, token, lock=True)
            chosen = checkout.details.get("methods", {})
            orders = ordering.place_orders(
                session,
                checkout,
                _purchaser(checkout.details),
                {
                    (part.provider.id, part.currency): chosen.get(forms.part_key(part), "")
                    for part in pages.plan_of(checkout)
                },
                plugins=here.payments_for_new,
                registry_dates=here.dates_for_new,
                now=here.clock(),
            )
            placed = [(order.token, order.method_id) for order in orders]
    except checking_out.EndedError:
        with unit_of_work() as session:
            checking_out.give_up(session, token, now=here.clock())
        return pages.ended_page(), 410
    except ServiceError as error:
        checkout = checking_out.find_checkout(db.session(), token)
        errors = {"": gettext(error.message, **error.values)}
        return _over(checkout) or (pages.review_page(checkout, errors), 422)
    basket.empty(token)
    if len(placed) == 1:
        return redirect(open_payment(*placed[0]), 303)
    for order_token, _ in placed:
        open_instructions(order_token)
    return redirect(url_for("checkout.plan", token=token), 303)


@bp.get("/checkout/<token>/plan")
def plan(token: str) -> ResponseReturnValue:
    """Show the orders that a basket became, each with its own payment (C2)."""
    checkout = checking_out.find_checkout(db.session(), token)
    if checkout.status is not CheckoutStatus.PLACED:
        return redirect(url_for("checkout.review", token=token))
    orders = _orders(checkout)
    plugins = platform().payments
    return render_template(
        "checkout/plan.html",
        orders=orders,
        methods=plugins,
        instructed=platform().bank_methods,
    )


def _over(checkout: Checkout) -> ResponseReturnValue | None:
    """Answer for a checkout that is no longer open."""
    if checkout.status is CheckoutStatus.LAPSED:
        return render_template("checkout/lapsed.html", has_basket=bool(basket.contents())), 410
    if checkout.status is CheckoutStatus.PLACED:
        orders = _orders(checkout)
        if len(orders) == 1:
            return redirect(url_for("orders.show", token=orders[0].token), 303)
        return redirect(url_for("checkout.plan", token=checkout.token), 303)
    return None


def _missing(checkout: Checkout, *names: str) -> ResponseReturnValue | None:
    """Send back to the first step that was skipped; each is known by one of its fields."""
    for step, name in (("details", "country"), ("beneficiary", "beneficiary")):
        if name in names and not checkout.details.get(name):
            return redirect(url_for(f"checkout.{step}", token=checkout.token), 303)
    return None


def _next(step: str, token: str) -> str:
    """Return the address of ``step``, or of the review if the purchaser came from there."""
    wanted = "review" if request.form.get("then") == "review" else step
    return url_for(f"checkout.{wanted}", token=token)


def _save(token: str, values: dict[str, Any]) -> ResponseReturnValue | None:
    """Keep values with the checkout, unless it is over: then answer so."""
    with unit_of_work() as session:
        checkout = checking_out.find_checkout(session, token, lock=True)
        checking_out.save_details(
            checkout,
            values,
            hold_for=_hold_for(),
            now=platform().clock(),
            locale=language(),
            user_id=_user_id(),
        )
    return _over(checking_out.find_checkout(db.session(), token))


def _orders(checkout: Checkout) -> list[Order]:
    orders = db.session.scalars(
        select(Order).where(Order.checkout_id == checkout.id).order_by(Order.id)
    )
    return list(orders)


def _hold_for() -> timedelta:
    return timedelta(minutes=platform().settings.HOLD_MINUTES)


def _user_id() -> int | None:
    return current_user.id if current_user.is_authenticated else None


def _purchaser(typed: dict[str, Any]) -> ordering.PurchaserDetails:
    return ordering.PurchaserDetails(
        purchaser_kind=typed["kind"],
        purchaser_name=typed["name"],
        company=typed["company"],
        email=typed["email"],
        street=typed["street"],
        city=typed["city"],
        postcode=typed["postcode"],
        country=typed["country"],
        beneficiary=typed["beneficiary"],
        reason=forms.reason_text(typed),
        publish_name=typed["publish_name"],
        publish_reason=typed["publish_reason"],
        attestation_locale=typed["attestation_locale"],
        terms_version=terms_version(),
        # Not there in what was typed before these were asked for.
        tax_id=typed.get("tax_id", ""),
        purchase_order=typed.get("purchase_order", ""),
    )

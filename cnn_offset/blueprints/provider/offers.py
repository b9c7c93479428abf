"""Offers: made, changed, withdrawn, private ones."""

from __future__ import annotations

from datetime import date, timedelta
from typing import Any, Final

from flask import flash, redirect, render_template, request, url_for
from flask.typing import ResponseReturnValue
from flask_babel import gettext, ngettext
from flask_security import current_user

from cnn_offset.blueprints.provider.holdings import for_pages
from cnn_offset.blueprints.provider.workspace import bp
from cnn_offset.domain.money import Money
from cnn_offset.domain.staff import Duty
from cnn_offset.domain.status import OfferStatus
from cnn_offset.domain.text import N_
from cnn_offset.extensions import db, platform, public_url, unit_of_work
from cnn_offset.guards import staff_may
from cnn_offset.i18n import (
    day_text,
    language,
    localised,
    money_text,
    number,
    read_number,
    sort_key,
)
from cnn_offset.models import Block, Offer
from cnn_offset.services import ServiceError, charging, offering, paying_out, stocktaking
from cnn_offset.services.offering import Outside, TermError, Terms
from cnn_offset.services.selling import read_amount
from cnn_offset.typed import Typed
from cnn_offset.web import last_shown, row_id

PAGE: Final = 50
TESTED_LATELY: Final = timedelta(minutes=10)
"""Ways to be paid that were tested so lately are not tested again before an offer."""
SHOWN: Final = 100
"""Units by which the fee is shown: of one, rounding would hide it."""
NOT_WHOLE: Final = N_("Please enter a whole number of units, 1 or more.")
_NEW: Final = f"/provider/holdings/<int(max={2**63 - 1}):block_id>/offer"
_OFFER: Final = f"/provider/offers/<int(max={2**63 - 1}):offer_id>"


def outside() -> Outside:
    """Return what offers depend on beside the database."""
    here = platform()
    return Outside(here.payments_kept, here.dates_for_offers, here.clock())


def test_methods() -> None:
    """Have the provider's ways to be paid tested before something goes on sale."""
    here = platform()
    paying_out.test_methods(
        unit_of_work,
        current_user.provider_id,
        plugins=here.payments,
        older_than=TESTED_LATELY,
        now=here.clock(),
    )


def said(error: ServiceError) -> str:
    """Say in the reader's language why something could not be done."""
    values = {
        name: number(value, language())
        if type(value) is int
        else day_text(value, language())
        if isinstance(value, date)
        else value
        for name, value in error.values.items()
    }
    return str(gettext(error.message, **values))


@bp.get("/provider/offers")
def offers() -> ResponseReturnValue:
    """List the provider's offers, open ones first."""
    session, ours = db.session(), current_user.provider_id
    show = request.args.get("show", "open")
    asked = request.args.get("q", "").strip()[:80]
    found = stocktaking.offers(
        session,
        ours,
        status={"closed": OfferStatus.CLOSED, "all": None}.get(show, OfferStatus.OPEN),
        activity_ids=_matching(ours, asked) if asked else None,
        block_ref=asked,
        before=request.args.get("before", type=row_id),
        limit=PAGE + 1,
    )
    return render_template(
        "provider/offers.html",
        offers=found[:PAGE],
        older=last_shown(found, PAGE),
        show=show,
        asked=asked,
        **for_pages(),
    )


def _matching(provider_id: int, asked: str) -> list[int]:
    """Return the ids of projects whose number or title has ``asked`` in it."""
    wanted = sort_key(asked)
    return [
        each.id
        for each in stocktaking.projects(db.session(), provider_id)
        if wanted and wanted in sort_key(f"{each.ref} {localised(each.title)}")
    ]


@bp.get(_OFFER)
def offer(offer_id: int) -> ResponseReturnValue:
    """Show an offer, what became of it, and what can be done."""
    session, ours = db.session(), current_user.provider_id
    found = offering.own_offer(session, ours, offer_id)
    return render_template(
        "provider/offer.html",
        offer=found,
        last_day=offering.last_day(found),
        history=stocktaking.history(session, offer_id),
        link=_link(found),
        fee=_fee(found),
        **for_pages(),
    )


def _fee(offer: Offer) -> tuple[int, Money, Money] | None:
    """Return what would be paid, and left, of so many units now; None while there is no fee."""
    quantity = max(SHOWN, offer.min_quantity)
    fee = charging.of_offer(
        db.session(),
        offer.provider_id,
        offer.block.unit_type,
        offer.price,
        quantity=quantity,
        now=platform().clock(),
    )
    total = offer.price * quantity
    return None if fee is None else (quantity, total, total - fee)


def _link(offer: Offer) -> str:
    if not offer.private_token:
        return ""
    return public_url("catalogue.private_offer", lang=language(), token=offer.private_token)


@bp.get(_NEW)
@staff_may(Duty.OFFERS)
def new_offer(block_id: int) -> ResponseReturnValue:
    """Show the form for an offer of one block."""
    block = _block(block_id)
    free = stocktaking.with_promises(db.session(), [block])[0].free
    typed = {"quantity": number(free, language()), "minimum": "1", "kind": _kind()}
    return _form(block, typed)


@bp.post(_NEW)
@staff_may(Duty.OFFERS)
def make_offer(block_id: int) -> ResponseReturnValue:
    """Put a block on sale, for everybody or for one customer."""
    block = _block(block_id)
    typed = Typed(request.form)
    terms = read_terms(typed)
    kind = typed.choice("kind", ("public", "private"), gettext("Please choose one."))
    customer = typed.line("customer") if kind == "private" else None
    if terms is None or typed.errors:
        return _form(block, typed.values, typed.errors), 422
    test_methods()
    try:
        with unit_of_work() as session:
            made = offering.make_offer(
                session,
                current_user.provider_id,
                block.id,
                terms,
                outside(),
                actor=current_user.email,
                customer=customer,
            ).id
    except ServiceError as error:
        return _form(_block(block.id), typed.values, _errors(error)), 422
    flash(gettext("The units are on offer now."), "success")
    return redirect(url_for("provider.offer", offer_id=made))


def _block(block_id: int) -> Block:
    return offering.own_block(db.session(), current_user.provider_id, block_id)


def _kind() -> str:
    return "private" if request.args.get("kind") == "private" else "public"


def _errors(error: ServiceError) -> dict[str, str]:
    return {error.field if isinstance(error, TermError) else "": said(error)}


def read_terms(typed: Typed) -> Terms | None:
    """Read price, quantity, smallest order and end date of a form; None if one is wrong."""
    currency = typed.line("currency", missing=gettext("Please choose a currency."))
    price_text = typed.line("price", longest=40)
    numbers = {}
    for name in ("quantity", "minimum"):
        try:
            numbers[name] = read_number(typed.line(name, longest=20), language())
        except ValueError:
            typed.errors[name] = gettext(NOT_WHOLE)
    ends_on = typed.day("ends_on") if request.form.get("ends_on", "").strip() else None
    if typed.errors:
        return None
    try:
        price: Money = read_amount(price_text, currency, language())
    except ServiceError as error:
        typed.errors["price"] = said(error)
        return None
    return Terms(price, numbers["quantity"], numbers["minimum"], ends_on)


def _form(
    block: Block,
    typed: dict[str, Any],
    errors: dict[str, str] | None = None,
    offer: Offer | None = None,
    version: int | None = None,
) -> str:
    session, ours = db.session(), current_user.provider_id
    payable = offering.currencies(session, ours, platform().payments_kept)
    wanted = [offer.currency] if offer else []
    return render_template(
        "provider/offer_form.html",
        block=block,
        offer=offer,
        version=version,
        free=stocktaking.with_promises(session, [block])[0].free,
        typed=typed,
        errors=errors or {},
        currencies=list(dict.fromkeys([*wanted, *payable])),
        payable=payable,
        **for_pages(),
    )


def figure(price: Money, lang: str) -> str:
    """Write an amount as it is typed: without its currency."""
    return money_text(price.minor, price.currency, lang).replace(price.currency, "").strip()


def _as_typed(offer: Offer) -> dict[str, Any]:
    last = offering.last_day(offer)
    return {
        "currency": offer.currency,
        "price": figure(offer.price, language()),
        "quantity": number(offer.quantity, language()),
        "minimum": number(offer.min_quantity, language()),
        "ends_on": last.isoformat() if last else "",
    }


@bp.get(f"{_OFFER}/change")
@staff_may(Duty.OFFERS)
def offer_terms(offer_id: int) -> ResponseReturnValue:
    """Show the form to change an offer."""
    found = offering.own_offer(db.session(), current_user.provider_id, offer_id)
    if found.status is not OfferStatus.OPEN:
        return redirect(url_for("provider.offer", offer_id=offer_id))
    return _form(found.block, _as_typed(found), offer=found, version=found.version)


@bp.post(f"{_OFFER}/change")
@staff_may(Duty.OFFERS)
def change_offer(offer_id: int) -> ResponseReturnValue:
    """Change price, quantity, smallest order or end date in place."""
    found = offering.own_offer(db.session(), current_user.provider_id, offer_id)
    typed = Typed(request.form)
    terms = read_terms(typed)
    version = request.form.get("version", type=row_id) or 0
    if terms is None:
        return _form(found.block, typed.values, typed.errors, found, version), 422
    test_methods()
    try:
        with unit_of_work() as session:
            changed = offering.change_offer(
                session,
                current_user.provider_id,
                offer_id,
                terms,
                outside(),
                version=version,
                actor=current_user.email,
            )
    except ServiceError as error:
        found = offering.own_offer(db.session(), current_user.provider_id, offer_id)
        # Who has read the message has seen what is in force now.
        return _form(found.block, typed.values, _errors(error), found, found.version), 422
    if changed:
        flash(gettext("The offer is changed. Running orders keep their price."), "success")
    else:
        flash(gettext("The offer says that already."), "info")
    return redirect(url_for("provider.offer", offer_id=offer_id))


@bp.post(f"{_OFFER}/withdraw")
@staff_may(Duty.OFFERS)
def withdraw_offer(offer_id: int) -> ResponseReturnValue:
    """Close an offer to new orders; it ends when the running ones do."""
    with unit_of_work() as session:
        held = offering.withdraw_offer(
            session,
            current_user.provider_id,
            offer_id,
            actor=current_user.email,
            now=platform().clock(),
        ).held
    if held:
        flash(
            ngettext(
                "The offer takes no new orders. %(n)s unit stays in running orders until they end.",
                "The offer takes no new orders. %(n)s units stay in running orders until they end.",
                held,
                n=number(held, language()),
            ),
            "success",
        )
    else:
        flash(gettext("The offer is withdrawn."), "success")
    return redirect(url_for("provider.offer", offer_id=offer_id))

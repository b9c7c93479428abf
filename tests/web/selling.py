"""Orders for pages that show them: placed and opened through the services."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta

from flask import Flask
from sqlalchemy import select

from cnn_offset import jobs
from cnn_offset.domain.calendar import RegistryDates
from cnn_offset.extensions import db, platform, unit_of_work
from cnn_offset.models import Checkout, Order, PayoutMethod
from cnn_offset.services import checking_out, ordering, paying
from tests.conftest import Clock
from tests.factories import make_shop
from tests.services.conftest import DETAILS

ACCOUNT = {
    "holder": "Example Wind Power Ltd",
    "account": "DE89370400440532013000",
    "bic": "COBADEFFXXX",
    "bank_name": "Commerzbank",
}


@dataclass(frozen=True)
class Sale:
    """What a test needs to know of an order."""

    order_id: int
    code: str
    provider: str
    offer_id: int


def sell(
    app: Flask,
    clock: Clock,
    *,
    method: str,
    quantity: int = 10,
    own_details: bool = False,
    user_id: int | None = None,
    like: Sale | None = None,
) -> Sale:
    """Place an order of ``quantity`` units at USD 2.50 and open a bank payment.

    With ``like`` it is the same provider's; ``own_details``: the provider sends its bank
    account itself.
    """
    with app.test_request_context():
        if like:
            offer_id = like.offer_id
        else:
            offer = make_shop()
            offer_id = offer.id
            payout = db.session.scalars(
                select(PayoutMethod).where(
                    PayoutMethod.provider_id == offer.provider_id,
                    PayoutMethod.method_id == "bank_transfer",
                )
            ).one()
            payout.account = {"sends_own_details": "yes"} if own_details else dict(ACCOUNT)
            db.session.commit()
        dates = {"cdm": RegistryDates()}
        with unit_of_work() as session:
            checkout_id = checking_out.start_checkout(
                session,
                {offer_id: quantity},
                locale="en",
                user_id=user_id,
                registry_dates=dates,
                hold_for=timedelta(minutes=30),
                now=clock(),
            ).id
        with unit_of_work() as session:
            checkout = session.get_one(Checkout, checkout_id)
            offered = checkout.lines[0].offer
            order = ordering.place_orders(
                session,
                checkout,
                DETAILS,
                {(offered.provider_id, offered.currency): method},
                plugins=platform().payments,
                registry_dates=dates,
                now=clock(),
            )[0]
            order_id, code, slug = order.id, order.code, order.provider.slug
        if method == "bank_transfer":
            with unit_of_work() as session:
                payment_id = paying.prepare_payment(
                    session, session.get_one(Order, order_id), method, now=clock()
                ).id
            jobs.start_payment(platform(), payment_id)
        db.session.remove()
    return Sale(order_id, code, slug, offer_id)

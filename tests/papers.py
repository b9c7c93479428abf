"""Orders whose units are cancelled, for tests of what is written about them."""

from __future__ import annotations

import itertools
from datetime import UTC, datetime
from typing import Any

from cnn_offset.domain.status import CancellationStatus, OrderStatus
from cnn_offset.extensions import db, unit_of_work
from cnn_offset.models import (
    Attestation,
    Block,
    Cancellation,
    CancelledRange,
    Checkout,
    Offer,
    Order,
    OrderLine,
)
from cnn_offset.services.fulfilling import fulfil
from tests.factories import NOW, make_block, make_offer

_count = itertools.count(1)
DONE = datetime(2026, 11, 2, 9, 30, tzinfo=UTC)


def make_order(*blocks: Block, quantity: int = 10, **values: Any) -> Order:
    """Add an order of ``quantity`` units of each block, and commit it."""
    n = next(_count)
    checkout = Checkout(token=f"checkout-{n}", locale="en", details={}, created_at=NOW)
    db.session.add(checkout)
    db.session.flush()
    offers: list[Offer] = [make_offer(block) for block in blocks or (make_block(),)]
    order = Order(
        **{
            "code": f"CODE{n:05d}",
            "token": f"order-token-{n}",
            "checkout_id": checkout.id,
            "provider_id": offers[0].provider_id,
            "total_minor": 250 * quantity * len(offers),
            "currency": "USD",
            "locale": "en",
            "method_id": "paypal",
            "purchaser_kind": "company",
            "purchaser_name": "Ada Lovelace",
            "company": "Łódź Looms",
            "email": f"ada{n}@example.org",
            "country": "PL",
            "beneficiary": "Łódź Looms",
            "reason": "Our journeys in 2026",
            "publish_name": True,
            "publish_reason": True,
            "attestation_locale": "en",
            "terms_version": "2026-11-22",
            "consented_at": NOW,
            "placed_at": NOW,
            "pay_by": datetime(2026, 11, 9, 9, 0, tzinfo=UTC),
            "lines": [
                OrderLine(
                    offer_id=offer.id,
                    block_id=offer.block_id,
                    quantity=quantity,
                    price_minor=250,
                    unit_type=offer.block.unit_type,
                    monitoring_start=offer.block.monitoring_start,
                    monitoring_end=offer.block.monitoring_end,
                )
                for offer in offers
            ],
            **values,
        }
    )
    db.session.add(order)
    db.session.commit()
    return order


def make_attestation(*blocks: Block, runs: int = 1, **values: Any) -> Attestation:
    """Add a fulfilled order whose attestation is queued, its units in ``runs`` ranges."""
    order = make_order(*blocks, status=OrderStatus.PAID, **values)
    for line in order.lines:
        block, each = line.block, line.quantity // runs
        cancellation = Cancellation(
            order_id=order.id,
            order_line_id=line.id,
            key=f"c-{order.code}-{line.id}",
            registry_id=block.registry_id,
            account_ref=block.account_ref,
            block_ref=block.block_ref,
            quantity=line.quantity,
            beneficiary=order.beneficiary,
            reason=order.reason,
            status=CancellationStatus.CONFIRMED,
            registry_ref=f"TX-{line.id}",
            completed_at=DONE,
            created_at=NOW,
        )
        db.session.add(cancellation)
        db.session.flush()
        head, _, tail = block.first_text.rpartition(f"-{block.first}-")
        for run in range(runs):
            first = block.first + run * (each + 5)
            db.session.add(
                CancelledRange(
                    cancellation_id=cancellation.id,
                    registry_id=block.registry_id,
                    series=block.series,
                    first=first,
                    last=first + each - 1,
                    first_text=f"{head}-{first}-{tail}",
                    last_text=f"{head}-{first + each - 1}-{tail}",
                )
            )
    db.session.commit()
    with unit_of_work() as session:
        assert fulfil(session, session.get_one(Order, order.id), now=DONE)
    return db.session.query(Attestation).filter_by(order_id=order.id).one()

"""A shop with units of two registries, one of which refuses; for tests of what follows."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import date
from typing import Any

from sqlalchemy import select

from cnn_offset import jobs
from cnn_offset.domain.status import (
    CancellationStatus,
    OrderStatus,
    ReplacementStatus,
)
from cnn_offset.domain.units import UnitType
from cnn_offset.extensions import db, unit_of_work
from cnn_offset.models import (
    Cancellation,
    Message,
    Offer,
    Payment,
    Refund,
    Replacement,
)
from cnn_offset.plugins.loader import PluginSet
from cnn_offset.services import (
    attention,
    deciding,
    parting,
    proposing,
    refunding,
)
from cnn_offset.services.attention import Kind
from cnn_offset.services.checking import check_all
from tests.factories import make_activity, make_block, make_offer
from tests.fakes import FakeRegistry
from tests.services.conftest import DATES, Shop

ANNE, BEN = "anne@example.org", "ben@example.org"
C, O, R = CancellationStatus, OrderStatus, ReplacementStatus


@dataclass
class Pair:
    """A shop with CERs and A6.4ERs of one provider."""

    shop: Shop
    interim: FakeRegistry
    offer_id: int
    """Of the A6.4ERs."""

    def order(self, *, cers: int = 10, ers: int = 4) -> int:
        order_id = self.shop.order_of({self.shop.offer_id: cers, self.offer_id: ers})
        self.shop.money(self.shop.open(order_id))
        assert self.shop.status(order_id) is O.PAID
        return order_id

    def refused(self, **units: int) -> int:
        """An order whose A6.4ERs their registry has refused; the CERs are not sent yet."""
        order_id = self.order(**units)
        self.interim.faults = ["refuse"]
        jobs.do("cancellation", self.row(order_id, "a64_interim").id)
        assert self.row(order_id, "a64_interim").status is C.REJECTED
        assert self.shop.status(order_id) is O.IN_REVIEW
        return order_id

    def row(self, order_id: int, registry_id: str) -> Cancellation:
        """The cancellation of a registry that stands."""
        db.session.expire_all()
        return db.session.scalars(
            select(Cancellation).where(
                Cancellation.order_id == order_id,
                Cancellation.registry_id == registry_id,
                Cancellation.status != C.GIVEN_UP,
            )
        ).one()

    def other(self, **values: Any) -> int:
        """Another offer of A6.4ERs of the same project and provider."""
        block = db.session.get_one(Offer, self.offer_id).block
        made = make_offer(
            make_block(
                block.activity,
                block.provider,
                unit_type=values.pop("unit_type", UnitType.A64ER_AUTHORISED),
                monitoring_start=date(2022, 1, 1),
                monitoring_end=date(2022, 12, 31),
                size=values.pop("size", 100),
            ),
            **{"price_minor": 300, **values},
        )
        db.session.commit()
        return made.id

    def ask(self, order_id: int, offer_id: int, **changes: Any) -> Replacement:
        decide(
            self.shop,
            parting.replace,
            self.row(order_id, "a64_interim").id,
            offer_id,
            registry_dates=DATES,
            **changes,
        )
        return self.question(order_id)

    def question(self, order_id: int) -> Replacement:
        db.session.expire_all()
        return db.session.scalars(
            select(Replacement)
            .where(Replacement.order_id == order_id)
            .order_by(Replacement.id.desc())
        ).first()  # type: ignore[return-value]

    def answer(self, order_id: int, verb: Any) -> None:
        number = self.question(order_id).id
        db.session.rollback()
        with unit_of_work() as session:
            verb(session, session.get_one(Replacement, number), now=self.shop.clock())

    def give_back(self, order_id: int, registry_id: str = "a64_interim") -> None:
        decide(self.shop, parting.give_back, self.row(order_id, registry_id).id)

    def offer(self, offer_id: int) -> Offer:
        db.session.expire_all()
        return db.session.get_one(Offer, offer_id)


def decide(shop: Shop, verb: Any, number: int, *more: Any, **changes: Any) -> None:
    row = db.session.get_one(Cancellation, number)
    told = {
        "connectors": jobs.platform().registries,
        "state": deciding.state_of(db.session(), row.order_id),
        "reason": "seen",
        "actor": ANNE,
        "now": shop.clock(),
        **changes,
    }
    db.session.rollback()
    verb(unit_of_work, number, *more, **told)


def refund_all(shop: Shop, order_id: int, state: str = "") -> None:
    db.session.rollback()
    state = state or deciding.state_of(db.session(), order_id)
    with unit_of_work() as session:
        deciding.refund(session, order_id, state=state, reason="over", actor=ANNE, now=shop.clock())


def pay_back(shop: Shop, order_id: int) -> Refund | None:
    """Two operators have the money of the payment that paid given back; return the refund."""
    with unit_of_work() as session:
        payment = session.scalars(
            select(Payment).where(Payment.order_id == order_id, Payment.paid_order)
        ).one()
        number = refunding.propose(
            session,
            payment,
            plugins=jobs.platform().payments,
            reason="refused by the registry",
            actor=ANNE,
            now=shop.clock(),
        ).id
    with unit_of_work() as session:
        proposing.approve(session, proposing.find(session, number), actor=BEN, now=shop.clock())
    found = db.session.scalars(
        select(Refund).where(Refund.order_id == order_id).order_by(Refund.id.desc())
    ).first()
    if found is not None:
        jobs.do("refund", found.id)
    return found


def paid_by(order_id: int) -> Payment:
    db.session.expire_all()
    return db.session.scalars(
        select(Payment).where(Payment.order_id == order_id, Payment.paid_order)
    ).one()


def mails(order_id: int) -> list[str]:
    return list(db.session.scalars(select(Message.kind).where(Message.order_id == order_id)))


def findings(shop: Shop) -> list[str]:
    db.session.rollback()
    return check_all(db.session(), jobs.platform().files)


class Namer:
    def registry_title(self, registry_id: str) -> str:
        return registry_id

    def check_url(self, code: str, locale: str) -> str:
        return f"https://example.org/{locale}/{code}"


def waiting(pair: Pair) -> list[attention.Entry]:
    db.session.rollback()
    return attention.attention(
        db.session(), now=pair.shop.clock(), kinds=[Kind.PART_DUE, Kind.SURPLUS, Kind.IN_REVIEW]
    )


def make_pair(shop: Shop) -> Pair:
    """Add A6.4ERs of the same provider to a shop, with a registry of their own."""
    provider = shop.offer.block.provider
    activity = make_activity(registry_id="a64_interim")
    block = make_block(
        activity,
        provider,
        unit_type=UnitType.A64ER_AUTHORISED,
        series="A64",
        monitoring_start=date(2021, 1, 1),
        monitoring_end=date(2021, 12, 31),
        size=100,
    )
    offer_id = make_offer(block, price_minor=300).id
    db.session.commit()
    interim = FakeRegistry(shop.clock, shop.registry.serials)
    interim.id = "a64_interim"
    here = shop.app.extensions["cnn_offset"]
    shop.app.extensions["cnn_offset"] = replace(
        here, registries=PluginSet({"cdm": shop.registry, "a64_interim": interim})
    )
    return Pair(shop, interim, offer_id)

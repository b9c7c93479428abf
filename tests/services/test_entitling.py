"""What a provider may offer: mapped with two persons, suspended, and lifted again."""

from __future__ import annotations

from typing import Any

import pytest
from flask import Flask
from sqlalchemy import select

from cnn_offset.domain.calendar import RegistryDates
from cnn_offset.extensions import db, platform, unit_of_work
from cnn_offset.models import (
    AccountActivity,
    Event,
    Message,
    Offer,
    Order,
    Proposal,
    Provider,
    RegistryAccount,
)
from cnn_offset.services import (
    ServiceError,
    browsing,
    entitling,
    mapping,
    proposing,
    suspending,
)
from cnn_offset.services.checking_out import SUSPENDED, check_line
from cnn_offset.services.entitling import Entitlement
from tests.conftest import Clock
from tests.factories import make_activity, make_mapping, make_provider
from tests.web.selling import Sale, sell


@pytest.fixture
def sale(app: Flask, clock: Clock) -> Sale:
    return sell(app, clock, method="bank_transfer")


def listed() -> set[int]:
    here = platform()
    market = browsing.open_market(here.payments, here.registry_dates, here.clock())
    with db.engine.connect() as connection:
        return {each.offer_id for each in browsing.listed_offers(connection, market)}


def switch(verb: Any, provider_id: int, reason: str = "why not") -> bool:
    with unit_of_work() as session:
        done: bool = verb(
            session, provider_id, reason, actor="op@example.org", now=platform().clock()
        )
    return done


def test_a_suspended_provider_takes_no_new_orders(app: Flask, sale: Sale) -> None:
    with app.app_context():
        order = db.session.get_one(Order, sale.order_id)
        provider_id, status = order.provider_id, order.status
        assert sale.offer_id in listed()
        with pytest.raises(ServiceError):
            switch(suspending.suspend, provider_id, " ")
        assert switch(suspending.suspend, provider_id, "No answer\nfor weeks.")
        assert not switch(suspending.suspend, provider_id), "once"
        assert sale.offer_id not in listed()
        with unit_of_work() as session, pytest.raises(ServiceError) as refused:
            check_line(
                session.get_one(Offer, sale.offer_id),
                5,
                dates=RegistryDates(),
                now=platform().clock(),
            )
        assert refused.value.message == SUSPENDED
        order = db.session.get_one(Order, sale.order_id)
        assert order.status is status, "what runs goes on"
        assert order.provider.suspended_why == "No answer\nfor weeks."
        assert order.provider.ways_to_pay == {}
        assert switch(suspending.resume, provider_id)
        assert not switch(suspending.resume, provider_id)
        assert sale.offer_id in listed()
        kinds = list(
            db.session.scalars(select(Message.kind).where(Message.kind.like("provider_%")))
        )
        assert kinds == ["provider_suspended", "provider_resumed"]
        said = db.session.scalars(
            select(Event.new).where(Event.subject == "provider", Event.actor == "op@example.org")
        ).all()
        assert said == ["suspended", ""]


def test_the_project_page_says_that_nobody_can_be_paid(
    app: Flask, sale: Sale, clock: Clock
) -> None:
    with app.app_context():
        provider = db.session.scalars(select(Provider)).one()
        switch(suspending.suspend, provider.id)
        path = f"/en/projects/{db.session.get_one(Offer, sale.offer_id).block.activity.slug}"
    page = app.test_client().get(path)
    assert page.status_code == 200
    assert "no way to pay this provider" in page.text


def propose(account_id: int, ref: str, wanted: Entitlement, actor: str = "one@x") -> int:
    with unit_of_work() as session:
        account = session.get_one(RegistryAccount, account_id)
        return entitling.propose(
            session,
            account,
            [mapping.activity(session, account, ref)],
            wanted,
            reason="because",
            actor=actor,
            now=platform().clock(),
        ).id


def approve(number: int, actor: str = "two@x") -> bool:
    with unit_of_work() as session:
        return proposing.approve(
            session, proposing.find(session, number), actor=actor, now=platform().clock()
        )


def test_two_persons_map_and_unmap(app: Flask, sale: Sale) -> None:
    with app.app_context():
        provider = db.session.scalars(select(Provider)).one()
        other = make_activity(ref="4711")
        account_id = make_mapping(provider).account_id
        db.session.commit()
        number = propose(account_id, other.ref, Entitlement.MAP)
        with pytest.raises(ServiceError, match="another operator"):
            approve(number, "one@x")
        assert db.session.get_one(Proposal, number).status == "waiting"
        with pytest.raises(ServiceError, match="already"):
            propose(account_id, other.ref, Entitlement.MAP, "three@x")
        assert approve(number)
        assert not approve(number, "three@x"), "decided already"
        with pytest.raises(ServiceError, match="mapped to this account already"):
            propose(account_id, other.ref, Entitlement.MAP)
        assert approve(propose(account_id, other.ref, Entitlement.UNMAP))
        with pytest.raises(ServiceError, match="not mapped"):
            propose(account_id, other.ref, Entitlement.END_PARTIAL)


def test_another_provider_was_mapped_meanwhile(app: Flask, sale: Sale) -> None:
    """What was asked for may be impossible by the time it is approved: nothing is done."""
    with app.app_context():
        activity = make_activity(ref="4711")
        mine = make_mapping(make_provider(), account_ref="PENDING", kind="pending").account_id
        theirs = make_mapping(make_provider(), account_ref="PENDING", kind="pending").account
        db.session.commit()
        number = propose(mine, activity.ref, Entitlement.MAP)
        db.session.add(
            AccountActivity(
                account_id=theirs.id, activity_id=activity.id, actor="op@x", at=platform().clock()
            )
        )
        db.session.commit()
        with pytest.raises(ServiceError, match="Another provider"):
            approve(number)
        db.session.rollback()
        assert db.session.get_one(Proposal, number).status == "waiting"

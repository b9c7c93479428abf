"""A purchaser at the browser, in a shop whose outside lives in memory."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, replace
from html import unescape
from typing import Any

from flask import Flask
from flask.testing import FlaskClient
from sqlalchemy import select
from werkzeug.test import TestResponse

from cnn_offset import jobs
from cnn_offset.domain.units import SerialRange
from cnn_offset.extensions import db
from cnn_offset.models import Block, Checkout, Message, Offer, Order, Payment
from cnn_offset.plugins.loader import PluginSet
from cnn_offset.services.checking import check_all
from tests.conftest import Clock
from tests.factories import make_block, make_offer, make_payout, make_provider
from tests.fakes import FakePay, FakeRegistry
from tests.web.people import post

PERSON = {
    "kind": "person",
    "name": "Ada Example",
    "company": "",
    "email": "ada@example.org",
    "street": "",
    "postcode": "",
    "city": "",
    "country": "KE",
}
WHY = {
    "beneficiary": "Ada Example",
    "reason": "journey",
    "own_reason": "",
    "attestation_locale": "en",
}
CONSENTS = {"consent_terms": "yes", "consent_now": "yes"}


@dataclass
class Mall:
    """Two providers with one offer each: Sun takes PayPal and transfers, Wind transfers only."""

    app: Flask
    clock: Clock
    pay: FakePay
    registry: FakeRegistry
    sun: int
    wind: int

    def rows(self, kind: Any) -> list[Any]:
        with self.app.app_context():
            return list(db.session.scalars(select(kind).order_by(kind.id)))

    def offer(self, offer_id: int) -> Offer:
        return next(each for each in self.rows(Offer) if each.id == offer_id)

    def orders(self) -> list[Order]:
        return self.rows(Order)

    def payments(self) -> list[Payment]:
        return self.rows(Payment)

    def checkouts(self) -> list[Checkout]:
        return self.rows(Checkout)

    def mails(self) -> list[tuple[str, str]]:
        return [(each.kind, each.recipient) for each in self.rows(Message)]

    def change(self, kind: Any, row_id: int, **values: Any) -> None:
        with self.app.app_context():
            row = db.session.get_one(kind, row_id)
            for name, value in values.items():
                setattr(row, name, value)
            db.session.commit()

    def work(self, *tables: str, rounds: int = 3) -> None:
        """Do what is due, of some tables only; mails and papers are others' matter."""
        with self.app.test_request_context():
            for _ in range(rounds):
                for table in tables:
                    kind, _work = jobs.WORK[table]
                    ids = db.session.scalars(
                        select(kind.id).where(kind.due_at <= self.clock())
                    ).all()
                    for row_id in ids:
                        jobs.do(table, row_id, due_only=True)

    def findings(self) -> list[str]:
        with self.app.app_context():
            return check_all(db.session, jobs.platform().files)


def open_mall(app: Flask, clock: Clock) -> Iterator[Mall]:
    """Stock a shop; afterwards everything must add up."""
    with app.app_context():
        offers = []
        for name, methods in (
            ("Sun Ltd", ("paypal", "bank_transfer")),
            ("Wind SA", ("bank_transfer",)),
        ):
            provider = make_provider(name=name)
            for method_id in methods:
                make_payout(
                    provider,
                    method_id,
                    **(
                        {
                            "account": {
                                "holder": name,
                                "account": "DE89370400440532013000",
                                "bic": "COBADEFFXXX",
                                "bank_name": "Example Bank",
                            }
                        }
                        if method_id == "bank_transfer"
                        else {}
                    ),
                )
            offers.append(make_offer(make_block(provider=provider)).id)
        db.session.commit()
    here = app.extensions["cnn_offset"]

    def serials(block_ref: str) -> SerialRange:
        return db.session.scalars(select(Block).where(Block.block_ref == block_ref)).one().issued

    pay, registry = FakePay(clock), FakeRegistry(clock, serials)
    app.extensions["cnn_offset"] = replace(
        here,
        payments=PluginSet({"paypal": pay, "bank_transfer": here.payments["bank_transfer"]}),
        registries=PluginSet({"cdm": registry}),
    )
    made = Mall(app, clock, pay, registry, *offers)
    yield made
    assert made.findings() == []


class Visitor:
    """A browser with cookies that fills in the shop's forms."""

    def __init__(self, app: Flask, lang: str = "en") -> None:
        self.client: FlaskClient = app.test_client()
        self.lang = lang

    def get(self, path: str, **arguments: Any) -> TestResponse:
        return self.client.get(path, **arguments)

    def post(self, path: str, **data: Any) -> TestResponse:
        return post(self.client, path, **data)

    def add(self, offer_id: int, quantity: object = 10) -> TestResponse:
        return self.post(f"/{self.lang}/basket/add", offer=offer_id, quantity=str(quantity))

    def check_out(self, **data: Any) -> TestResponse:
        return self.post(f"/{self.lang}/checkout", **data)

    def begin(self, *offer_ids: int, quantity: int = 10) -> str:
        """Fill the basket, check out, and return the address of the checkout."""
        for offer_id in offer_ids:
            assert self.add(offer_id, quantity).status_code == 303
        answer = self.check_out()
        assert answer.status_code == 303, text_of(answer)
        return answer.location.removesuffix("/details")

    def fill(
        self,
        mall: Mall,
        *offer_ids: int,
        quantity: int = 10,
        method: str = "paypal",
        **changes: str,
    ) -> str:
        """Go as far as the review; return the address of the checkout."""
        base = self.begin(*offer_ids, quantity=quantity)
        person = {name: changes.pop(name) for name in PERSON if name in changes}
        answer = self.post(f"{base}/details", **{**PERSON, **person})
        assert answer.status_code == 303, text_of(answer)
        answer = self.post(f"{base}/beneficiary", **{**WHY, **methods(mall, method), **changes})
        assert answer.status_code == 303, text_of(answer)
        return base

    def buy(self, mall: Mall, *offer_ids: int, **choices: Any) -> TestResponse:
        """Buy; return the answer to the last click."""
        base = self.fill(mall, *offer_ids, **choices)
        return self.post(f"{base}/review", **CONSENTS)


def methods(mall: Mall, sun: str = "paypal") -> dict[str, str]:
    """Name the fields of step 2 that say how each provider is paid."""
    offers = [mall.offer(mall.sun), mall.offer(mall.wind)]
    return {
        f"method-{offers[0].provider_id}-USD": sun,
        f"method-{offers[1].provider_id}-USD": "bank_transfer",
    }


def text_of(answer: TestResponse) -> str:
    """Return what a page says, without its markup."""
    body = re.sub(r"<(script|style)\b.*?</\1>", " ", answer.text, flags=re.DOTALL)
    return unescape(" ".join(re.sub(r"<[^>]+>", " ", body).split()))


def path_of(answer: TestResponse) -> str:
    """Return where a redirect leads."""
    assert answer.status_code == 303, (answer.status_code, text_of(answer))
    return str(answer.location)


__all__ = [
    "CONSENTS",
    "PERSON",
    "WHY",
    "Mall",
    "Visitor",
    "methods",
    "open_mall",
    "path_of",
    "text_of",
]

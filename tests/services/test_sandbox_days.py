"""Bad days played by the sandbox over HTTP, with the real plug-ins and the real sweep.

At the end of each the three books agree: ours, the processor's and the registry's.
"""

from __future__ import annotations

import errno
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest
import requests
from flask import Flask
from sqlalchemy import select

from cnn_offset import jobs
from cnn_offset.domain.calendar import RegistryDates
from cnn_offset.domain.money import Money
from cnn_offset.domain.status import (
    AttestationStatus,
    CancellationStatus,
    DeliveryStatus,
    MessageStatus,
    OrderStatus,
    PaymentStatus,
)
from cnn_offset.extensions import db, platform, unit_of_work
from cnn_offset.models import (
    AccountKind,
    Attestation,
    Block,
    Cancellation,
    Checkout,
    Message,
    Order,
    Payment,
    WebhookDelivery,
)
from cnn_offset.services import banking, checking_out, holdings, ordering, paying
from cnn_offset.services.attention import attention
from cnn_offset.services.checking import check_all
from tests.conftest import Clock
from tests.factories import make_activity, make_offer, make_payout, make_provider
from tests.sandbox import Sandbox, served, served_sandbox
from tests.services.conftest import DETAILS

PATIENCE = 0.8
"""Seconds the plug-ins wait here."""
PROCESSORS = ("paypal", "stripe_connect")
AT = {"paypal": "paypal", "stripe_connect": "stripe"}
REGISTRIES = {"cdm": "cdm", "a64_final": "a64-final"}
PRICE = 250


@pytest.fixture(scope="module")
def served_once() -> Iterator[Sandbox]:
    with served_sandbox() as made:
        yield made


@dataclass
class Town:
    """An application whose plug-ins speak to the sandbox, and levers for the outside."""

    app: Flask
    clock: Clock
    sandbox: Sandbox
    offers: dict[str, int]
    """By registry connection."""

    def fault(self, target: str, kind: str, *, only: str = "", **values: Any) -> None:
        wanted = {"target": target, "kind": kind, "milliseconds": int(PATIENCE * 1600)}
        self.sandbox.post("/faults", {**wanted, "only": only, **values})

    def heal(self) -> None:
        self.sandbox.post("/faults", {"clear": True})

    def order(self, method: str, quantity: int = 3, registry: str = "cdm") -> int:
        """Place an order; return its id."""
        dates = {name: RegistryDates() for name in REGISTRIES}
        with unit_of_work() as session:
            checkout_id = checking_out.start_checkout(
                session, {self.offers[registry]: quantity}, locale="en", user_id=None,
                registry_dates=dates, hold_for=timedelta(minutes=30), now=self.clock(),
            ).id  # fmt: skip
        with unit_of_work() as session:
            checkout = session.get_one(Checkout, checkout_id)
            (order,) = ordering.place_orders(
                session, checkout, DETAILS,
                {(checkout.lines[0].offer.provider_id, "USD"): method},
                plugins=platform().payments, registry_dates=dates, now=self.clock(),
            )  # fmt: skip
            return order.id

    def prepare(self, order_id: int, method: str) -> int:
        with unit_of_work() as session:
            order = session.get_one(Order, order_id)
            return paying.prepare_payment(session, order, method, now=self.clock()).id

    def open(self, order_id: int, method: str) -> int:
        payment_id = self.prepare(order_id, method)
        jobs.start_payment(platform(), payment_id)
        return payment_id

    def bank(self, order_id: int, amount: Money | None = None) -> None:
        """Pay by bank transfer."""
        self.open(order_id, "bank_transfer")
        with unit_of_work() as session:
            order = session.get_one(Order, order_id)
            banking.type_entry(
                session, order, amount=amount or order.total, bank_ref=f"B{order_id}",
                received_on=date(2026, 1, 2), actor="staff", second_from=0, now=self.clock(),
            )  # fmt: skip

    def choose(self, payment_id: int, choice: str = "") -> None:
        """Do what a payer does on the processor's page."""
        payment = self.payment(payment_id)
        choice = choice or {"paypal": "paypal", "stripe_connect": "card"}[payment.method_id]
        answer = requests.post(
            payment.redirect_url, {"choice": choice}, allow_redirects=False, timeout=10
        )
        assert answer.status_code == 303, answer.text

    def backstage(self, payment_id: int, choice: str, value: str = "") -> None:
        """Do what happens at the processor without us."""
        payment = self.payment(payment_id)
        place = {"paypal": "orders", "stripe_connect": "sessions"}[payment.method_id]
        requests.post(
            f"{self.sandbox.url}/{AT[payment.method_id]}/{place}/{payment.processor_ref}",
            {"choice": choice, "value": value}, allow_redirects=False, timeout=10,
        ).raise_for_status()  # fmt: skip

    def taken(self, method: str) -> list[Decimal]:
        """What the processor's book says it took, by order or session."""
        rows = self.sandbox.get(f"/{AT[method]}/audit")["payments"]
        return [Decimal(each["captured"]) for each in rows]

    def units(self, registry: str = "cdm") -> dict[str, int]:
        """What the registry's book says was cancelled, by key."""
        found: dict[str, int] = self.sandbox.get(f"/registries/{REGISTRIES[registry]}/audit")[
            "units"
        ]
        return found

    def payment(self, payment_id: int) -> Payment:
        db.session.expire_all()
        return db.session.get_one(Payment, payment_id)

    def status(self, order_id: int) -> OrderStatus:
        db.session.expire_all()
        return db.session.get_one(Order, order_id).status

    def waiting(self) -> set[str]:
        """Return the kinds of what waits for a person."""
        db.session.expire_all()
        return {item.kind for item in attention(db.session(), now=self.clock())}

    def sweep(self, rounds: int = 4, **by: float) -> None:
        for _ in range(rounds):
            jobs.sweep()
            self.clock.tick(**(by or {"minutes": 1}))

    def until(self, done: Callable[[], bool], rounds: int = 25, **by: float) -> None:
        for _ in range(rounds):
            if done():
                return
            self.sweep(1, **by)
        raise AssertionError("it does not end")


@pytest.fixture
def town(
    served_once: Sandbox,
    make_app: Callable[..., Flask],
    clock: Clock,
    monkeypatch: pytest.MonkeyPatch,
) -> Iterator[Town]:
    sandbox = served_once
    sandbox.post("/control/reset", {})
    # Processors sign with the real time.
    clock.now = datetime.now(UTC)
    wait = {"timeout_seconds": PATIENCE}
    app = make_app(
        MAIL_URL=f"{sandbox.url}/mailbox",
        PAYMENTS={
            "paypal": {
                "base_url": f"{sandbox.url}/paypal", "client_id": "sandbox-client",
                "client_secret": "sandbox-secret", "webhook_id": "WH-SANDBOX", **wait,
            },
            "stripe_connect": {
                "base_url": f"{sandbox.url}/stripe", "secret_key": "sk_test_x",
                "webhook_secret": "whsec_sandbox", **wait,
            },
            "bank_transfer": {},
        },
        REGISTRIES={
            name: {
                "connector": name, "base_url": f"{sandbox.url}/registries/{place}",
                "token": f"sandbox-{place}", "deduplicates": name == "cdm",
                "settle_seconds": 5, **wait,
            }
            for name, place in REGISTRIES.items()
        },
    )  # fmt: skip
    sandbox.post("/control/registries/a64-final", {"processing_seconds": 0})
    with app.test_request_context():
        provider = make_provider()
        for method in (*PROCESSORS, "bank_transfer"):
            make_payout(provider, method)
        db.session.commit()
        made = Town(app, clock, sandbox, {n: _offer(sandbox, n, provider) for n in REGISTRIES})
        yield made
        db.session.rollback()
        assert check_all(db.session, platform().files) == []
        for name in REGISTRIES:
            confirmed = db.session.execute(
                select(Cancellation.key, Cancellation.quantity).where(
                    Cancellation.registry_id == name,
                    Cancellation.status == CancellationStatus.CONFIRMED,
                )
            )
            ours = dict(tuple(row) for row in confirmed)
            theirs = made.units(name)
            assert {key: theirs.get(key) for key in ours} == ours
        db.session.remove()


def _offer(sandbox: Sandbox, name: str, provider: Any) -> int:
    kind = {"cdm": "cer", "a64_final": "a64er_authorised"}[name]
    blocks = [
        {
            "account": "ACC-1", "activity": "7001", "unit_type": kind, "party": party,
            "first": 1000, "quantity": 500, "monitoring_start": "2023-01-01",
            "monitoring_end": "2023-12-31",
        }
        for party in ("KE", "BR")
    ]  # fmt: skip
    sandbox.post(f"/control/registries/{REGISTRIES[name]}/blocks", blocks)
    activity = make_activity(registry_id=name, ref="7001")
    db.session.commit()
    here = platform()
    with unit_of_work() as session:
        account = holdings.open_account(
            session, provider, registry_id=name, account_ref="ACC-1",
            kind=AccountKind.PERMANENT, now=here.clock(),
        )  # fmt: skip
        holdings.map_activity(session, account, activity, actor="test", now=here.clock())
    jobs.do("registry_account", account.id)
    with unit_of_work() as session:
        block = session.scalars(
            select(Block).where(Block.registry_id == name, Block.party == "KE")
        ).one()
        offer_id: int = make_offer(block, price_minor=PRICE).id
        return offer_id


@pytest.fixture
def no_papers(monkeypatch: pytest.MonkeyPatch) -> None:
    """Leave mails and PDFs out of the sweep: other tests have them, and they take long."""
    left = {k: v for k, v in jobs.WORK.items() if k not in ("attestation", "message")}
    monkeypatch.setattr(jobs, "WORK", left)


# Processors


@pytest.mark.usefixtures("no_papers")
@pytest.mark.parametrize("method", PROCESSORS)
@pytest.mark.parametrize("kind", ["error_before", "timeout_after"])
def test_down_at_the_start(town: Town, method: str, kind: str) -> None:
    order_id = town.order(method)
    town.fault(AT[method], kind, only=f"POST /{AT[method]}/v", count=2)
    with pytest.raises(paying.MethodFailedError, match="does not answer"):
        town.open(order_id, method)
    town.heal()
    payment_id = town.open(order_id, method)
    assert len(town.taken(method)) == 1, "asked for again under the same key"
    town.choose(payment_id)
    town.until(lambda: town.status(order_id) is OrderStatus.FULFILLED)
    assert town.taken(method) == [Decimal("7.50")]
    assert sum(town.units().values()) == 3


@pytest.mark.usefixtures("no_papers")
@pytest.mark.parametrize("method", PROCESSORS)
def test_down_at_the_return_and_for_an_hour(town: Town, method: str) -> None:
    order_id = town.order(method)
    payment_id = town.open(order_id, method)
    town.choose(payment_id)
    town.fault(AT[method], "error_before")
    assert not jobs.do("payment", payment_id), "what the return page does"
    town.sweep(6, minutes=10)
    assert town.status(order_id) is OrderStatus.PLACED
    assert "failing" in town.waiting()
    town.heal()
    town.until(lambda: town.status(order_id) is OrderStatus.FULFILLED, minutes=10)
    assert town.taken(method) == [Decimal("7.50")]
    assert town.waiting() == set()


@pytest.mark.usefixtures("no_papers")
@pytest.mark.parametrize("kind", ["timeout_before", "timeout_after", "error_after", "garbage"])
def test_a_capture_without_an_answer_takes_the_money_once(town: Town, kind: str) -> None:
    order_id = town.order("paypal")
    payment_id = town.open(order_id, "paypal")
    town.choose(payment_id)
    town.fault("paypal", kind, only="/capture", count=1)
    jobs.do("payment", payment_id)
    town.until(lambda: town.status(order_id) is OrderStatus.FULFILLED)
    assert town.taken("paypal") == [Decimal("7.50")]


@pytest.mark.usefixtures("no_papers")
@pytest.mark.parametrize("method", PROCESSORS)
def test_nothing_can_be_paid_after_the_order_has_lapsed(town: Town, method: str) -> None:
    order_id = town.order(method)
    payment_id = town.open(order_id, method)
    town.clock.tick(days=2)
    town.until(lambda: town.status(order_id) is OrderStatus.LAPSED)
    requests.post(
        town.payment(payment_id).redirect_url,
        {"choice": {"paypal": "paypal", "stripe_connect": "card"}[method]},
        allow_redirects=False, timeout=10,
    )  # fmt: skip
    jobs.do("payment", payment_id)
    town.sweep(3, minutes=30)
    assert town.taken(method) == [0]
    assert town.status(order_id) is OrderStatus.LAPSED


@pytest.mark.usefixtures("no_papers")
@pytest.mark.parametrize("method", PROCESSORS)
def test_paid_in_the_last_second(town: Town, method: str) -> None:
    """The payer came back too late for us, but in time for the processor."""
    order_id = town.order(method)
    payment_id = town.open(order_id, method)
    town.choose(payment_id, {"paypal": "echeck", "stripe_connect": "debit"}[method])
    town.until(lambda: town.payment(payment_id).status is PaymentStatus.PROCESSING)
    town.clock.tick(days=3)
    town.sweep(2, minutes=20)
    assert town.status(order_id) is OrderStatus.PLACED, "money is on its way"
    town.backstage(payment_id, "clear")
    town.until(lambda: town.status(order_id) is OrderStatus.FULFILLED, hours=2)
    assert town.taken(method) == [Decimal("7.50")]


@pytest.mark.usefixtures("no_papers")
@pytest.mark.parametrize(
    ("method", "choice"),
    [("paypal", "refund"), ("stripe_connect", "refund"), ("stripe_connect", "dispute")],
)
def test_money_in_doubt_before_the_registry_was_told(town: Town, method: str, choice: str) -> None:
    order_id = town.order(method)
    payment_id = town.open(order_id, method)
    town.choose(payment_id)
    while town.status(order_id) is not OrderStatus.PAID:
        jobs.do("payment", payment_id)
    town.backstage(payment_id, choice)
    while town.status(order_id) is OrderStatus.PAID:
        jobs.do("payment", payment_id)
    town.sweep(3)
    assert town.status(order_id) is OrderStatus.IN_REVIEW
    assert town.units() == {}
    assert town.waiting() == {"in_review", *(["disputed"] if choice == "dispute" else [])}


@pytest.mark.usefixtures("no_papers")
@pytest.mark.parametrize("method", PROCESSORS)
@pytest.mark.parametrize("kind", ["", "webhook_duplicate", "webhook_lost"])
def test_webhooks_once_twice_and_never(town: Town, method: str, kind: str) -> None:
    if kind:
        town.fault(AT[method], kind)
    order_id = town.order(method)
    payment_id = town.open(order_id, method)
    with served(town.app) as url:
        town.sandbox.post("/control/webhooks", {AT[method]: f"{url}/hooks/{method}"})
        town.choose(payment_id)
        if kind == "webhook_lost":
            town.until(lambda: town.status(order_id) is OrderStatus.FULFILLED)
            assert _deliveries() == []
        else:
            town.until(lambda: _waited(_deliveries))
            # Nobody came back and no poll is due: only the bell can have done it.
            town.until(lambda: town.status(order_id) is OrderStatus.FULFILLED, seconds=5)
            assert all(each is not DeliveryStatus.UNMATCHED for each in _deliveries())
        town.sandbox.post("/control/webhooks", {AT[method]: None})
    assert town.taken(method) == [Decimal("7.50")]


def _deliveries() -> list[DeliveryStatus]:
    db.session.rollback()
    return list(db.session.scalars(select(WebhookDelivery.status)))


def _waited(find: Callable[[], list[Any]], seconds: float = 5) -> bool:
    until = time.monotonic() + seconds
    while not find():
        if time.monotonic() > until:
            return False
        time.sleep(0.02)
    return True


# Registries


@pytest.mark.usefixtures("no_papers")
@pytest.mark.parametrize("registry", REGISTRIES)
def test_every_silence_of_a_registry_cancels_once(town: Town, registry: str) -> None:
    """Down, slow, answering after our time-out, nonsense: at the request and at the look-up."""
    place = REGISTRIES[registry]
    kinds = ["timeout_before", "timeout_after", "error_before", "error_after", "slow", "garbage"]
    orders = []
    for kind in kinds:
        order_id = town.order("bank_transfer", 4, registry)
        town.bank(order_id)
        (row_id,) = db.session.scalars(
            select(Cancellation.id).where(Cancellation.order_id == order_id)
        )
        db.session.rollback()
        town.fault(place, kind, only="POST", count=1)
        jobs.do("cancellation", row_id)
        town.fault(place, kind, only="GET", count=1)
        jobs.do("cancellation", row_id)
        town.heal()
        assert town.status(order_id) is OrderStatus.PAID
        orders.append(order_id)
    # An ask-only registry is told again only when its own clock is past settling.
    town.sandbox.post(f"/control/registries/{place}", {"clock_offset_seconds": 60})
    town.until(lambda: {town.status(each) for each in orders} == {OrderStatus.FULFILLED}, minutes=2)
    assert set(town.units(registry).values()) == {4}
    assert len(town.units(registry)) == len(kinds)


@pytest.mark.usefixtures("no_papers")
@pytest.mark.parametrize(
    ("kind", "words"),
    [
        ("refuse", ""),
        ("fewer_serials", "2 units"),
        ("other_serials", "outside"),
        ("overlapping_serials", "cancelled before"),
    ],
)
@pytest.mark.parametrize("registry", REGISTRIES)
def test_a_registry_that_does_something_else(
    town: Town, registry: str, kind: str, words: str
) -> None:
    first = town.order("bank_transfer", 3, registry)
    town.bank(first)
    town.until(lambda: town.status(first) is OrderStatus.FULFILLED)
    town.fault(REGISTRIES[registry], kind, count=1)
    second = town.order("bank_transfer", 3, registry)
    town.bank(second)
    town.sweep(6, minutes=10)
    assert town.status(second) is OrderStatus.IN_REVIEW
    db.session.expire_all()
    row = db.session.scalars(select(Cancellation).where(Cancellation.order_id == second)).one()
    assert words in row.registry_said
    assert town.waiting() == {"in_review", str(row.status)}
    book = town.sandbox.get(f"/registries/{REGISTRIES[registry]}/audit")["cancellations"]
    assert len([each for each in book if each["key"] == row.key]) == (kind != "refuse")


@pytest.mark.usefixtures("no_papers")
def test_a_registry_down_for_a_day(town: Town) -> None:
    order_id = town.order("bank_transfer")
    town.bank(order_id)
    town.fault("cdm", "error_before")
    town.sweep(24, hours=1)
    assert town.status(order_id) is OrderStatus.PAID
    assert {"slow", "failing"} <= town.waiting()
    town.heal()
    town.until(lambda: town.status(order_id) is OrderStatus.FULFILLED, minutes=10)
    assert town.units() == {f"c-{_code(order_id)}-1": 3}


def _code(order_id: int) -> str:
    return db.session.get_one(Order, order_id).code


# Mails and papers


def test_mails_wait_for_their_server_and_none_is_lost(town: Town) -> None:
    order_id = town.order("bank_transfer")
    town.bank(order_id)
    town.fault("mail", "error_before", only="POST")
    town.sweep(12, minutes=20)
    assert town.status(order_id) is OrderStatus.FULFILLED
    assert _queued() > 0
    assert town.sandbox.get("/mailbox/messages")["messages"] == []
    assert "failing" in town.waiting()
    town.heal()
    # Taken, and the answer lost: it comes twice, and says so by its Message-ID.
    town.fault("mail", "error_after", only="POST", count=1)
    town.until(lambda: _queued() == 0, minutes=20)
    mails = town.sandbox.get("/mailbox/messages")["messages"]
    ids = db.session.scalars(select(Message.message_id)).all()
    assert {each["message_id"] for each in mails} == set(ids)
    assert len(mails) == len(ids) + 1
    (attested,) = [each for each in mails if each["attachments"]][:1]
    assert attested["attachments"][0].endswith(".pdf")
    assert town.waiting() == set()


def _queued() -> int:
    db.session.rollback()
    waiting = select(Message.id).where(Message.status == MessageStatus.QUEUED)
    return len(db.session.scalars(waiting).all())


def test_a_full_disk_only_delays_the_attestation(
    town: Town, monkeypatch: pytest.MonkeyPatch
) -> None:
    files = platform().files
    full = OSError(errno.ENOSPC, "No space left on device")
    order_id = town.order("bank_transfer")
    town.bank(order_id)

    def refuse(*_: Any, **__: Any) -> Any:
        raise full

    with monkeypatch.context() as disk:
        disk.setattr(type(files), "open", refuse)
        town.sweep(7, minutes=10)
    assert town.status(order_id) is OrderStatus.FULFILLED
    row = db.session.scalars(select(Attestation)).one()
    assert row.status is AttestationStatus.QUEUED
    assert "No space left" in row.last_error
    assert "failing" in town.waiting()
    town.until(_is_attested, minutes=20)
    row = db.session.scalars(select(Attestation)).one()
    assert row.number.startswith("VC000001/")
    assert [each for each in files.find("attestations") if each.endswith(".pdf")] == [row.path]
    assert town.waiting() == set()


def _is_attested() -> bool:
    db.session.expire_all()
    return db.session.scalars(select(Attestation)).one().status is AttestationStatus.ISSUED

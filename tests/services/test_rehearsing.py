"""Walking the clock over a copy of the data."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from sqlalchemy import func, select

from cnn_offset import jobs, rehearsing
from cnn_offset.config import RegistrySettings
from cnn_offset.domain.status import CancellationStatus, OrderStatus
from cnn_offset.extensions import db
from cnn_offset.models import Cancellation, Event, Message, Order
from tests.services.conftest import Shop

LAST_ORDER = datetime(2026, 12, 28, tzinfo=UTC)
END = datetime(2026, 12, 31, tzinfo=UTC)
CLOSED = datetime(2026, 12, 31, 23, 59, 59, tzinfo=UTC)
NEW_YEAR = datetime(2027, 1, 2, tzinfo=UTC)


@pytest.fixture
def closing(shop: Shop) -> Shop:
    """The shop, with the CDM registry's last days in its configuration."""
    here = jobs.platform()
    dates = {"last_order": LAST_ORDER, "last_cancellation": END, "closed": CLOSED}
    cdm = RegistrySettings(connector="cdm", base_url="http://127.0.0.1:1/cdm", token="t", **dates)
    others = {key: each for key, each in here.settings.REGISTRIES.items() if key != "cdm"}
    settings = here.settings.model_copy(update={"REGISTRIES": {"cdm": cdm, **others}})
    shop.app.extensions["cnn_offset"] = replace(here, settings=settings)
    return shop


def told(result: rehearsing.Rehearsal, what: str) -> list[tuple[str, int]]:
    return [(str(each.day), each.times) for each in result.happenings if each.what == what]


def rehearse(shop: Shop, until: datetime = NEW_YEAR) -> rehearsing.Rehearsal:
    db.session.commit()
    return rehearsing.rehearse(jobs.platform(), shop.clock.now, until)


def test_tells_day_by_day_and_changes_nothing(closing: Shop) -> None:
    """An unpaid bank order lapses a day before the end; a paid one is fulfilled; the offer closes."""
    unpaid = closing.order(10, "bank_transfer")
    paid = closing.order(5)
    closing.money(closing.open(paid))
    before = [
        db.session.scalar(select(func.count()).select_from(kind)) for kind in (Event, Message)
    ]

    result = rehearse(closing)

    assert told(result, "cdm: draining") == [("2026-12-28", 1)]
    assert told(result, "cdm: ended") == [("2026-12-31", 1)]
    assert told(result, "cdm: closed") == [("2026-12-31", 1)]
    assert told(result, "orders fulfilled") == [("2026-11-02", 1)]
    assert told(result, "orders lapsed unpaid") == [("2026-12-30", 1)]
    assert told(result, "mails: payment reminder")
    assert not result.stuck
    assert result.findings == []
    # The real data are as they were, and nobody outside was asked.
    assert closing.status(unpaid) is OrderStatus.PLACED
    assert closing.cancellation(paid).status is CancellationStatus.QUEUED
    assert closing.registry.sent == []
    after = [db.session.scalar(select(func.count()).select_from(kind)) for kind in (Event, Message)]
    assert after == before


def test_offers_close_when_no_new_orders_are_taken(closing: Shop) -> None:
    result = rehearse(closing)
    assert told(result, "offers closed") == [("2026-12-28", 1)]
    assert closing.offer.status.value == "open"


def test_names_what_is_paid_and_cannot_be_cancelled(closing: Shop) -> None:
    """A refusal that nobody decides on is still there at the end, with its number."""
    order_id = closing.order(5)
    closing.registry.faults = ["refuse"]
    closing.money(closing.open(order_id))
    closing.work(rounds=3)
    assert closing.status(order_id) is OrderStatus.IN_REVIEW
    code = db.session.get_one(Order, order_id).code

    result = rehearse(closing)

    assert result.stuck
    assert any(code in names for names in result.waiting.values())


def test_what_the_registry_did_not_answer_is_sent_to_the_stand_in_only(closing: Shop) -> None:
    order_id = closing.order(5)
    closing.registry.faults = ["before"]
    closing.money(closing.open(order_id))
    closing.work(rounds=1)
    assert closing.cancellation(order_id).status is CancellationStatus.UNKNOWN
    sent = list(closing.registry.sent)

    result = rehearse(closing)

    assert told(result, "orders fulfilled")
    assert closing.registry.sent == sent
    assert db.session.scalars(select(Cancellation.status)).all() == [CancellationStatus.UNKNOWN]


def test_refuses_to_walk_backwards(closing: Shop) -> None:
    with pytest.raises(ValueError, match="after the beginning"):
        rehearsing.rehearse(
            jobs.platform(), closing.clock.now, closing.clock.now - timedelta(days=1)
        )

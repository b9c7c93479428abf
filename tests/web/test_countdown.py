"""What people read near a registry's last order, before it opens, and a second too late."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime, timedelta

import pytest
from flask import Flask

from cnn_offset.domain.status import CheckoutStatus
from cnn_offset.extensions import db
from cnn_offset.models import Offer
from tests.conftest import Clock
from tests.web.shopping import CONSENTS, Mall, Visitor, open_mall, text_of


@pytest.fixture
def mall(app: Flask, clock: Clock) -> Iterator[Mall]:
    yield from open_mall(app, clock)


@pytest.fixture
def visitor(mall: Mall) -> Visitor:
    return Visitor(mall.app)


def slug_of(mall: Mall) -> str:
    with mall.app.app_context():
        return db.session.get_one(Offer, mall.sun).block.activity.slug


def dates(app: Flask, **moments: datetime) -> None:
    settings = app.extensions["cnn_offset"].settings
    settings.REGISTRIES["cdm"] = settings.REGISTRIES["cdm"].model_copy(update=moments)


@pytest.mark.parametrize(
    ("left", "said"),
    [
        (timedelta(days=40), ""),
        (timedelta(days=10), "Can be ordered until 12 November 2026, 09:00 UTC: 10 more days."),
        (
            timedelta(hours=3, minutes=30),
            "Last day: can be ordered until 2 November 2026, 12:30 UTC, for less than 4 more hours.",
        ),
    ],
)
def test_every_page_on_the_way_tells_until_when(
    app: Flask, clock: Clock, mall: Mall, visitor: Visitor, left: timedelta, said: str
) -> None:
    dates(app, last_order=clock() + left)
    base = visitor.begin(mall.sun)
    slug = slug_of(mall)
    for path in ("/en/projects", f"/en/projects/{slug}", "/en/basket", f"{base}/details"):
        page = text_of(visitor.get(path)).replace("\xa0", " ")
        assert said in page, path
        assert ("be ordered until" in page) is bool(said), path


def test_before_it_opens_nothing_is_ordered(
    app: Flask, clock: Clock, mall: Mall, visitor: Visitor
) -> None:
    slug = slug_of(mall)
    dates(app, opens=clock() + timedelta(days=3))
    page = text_of(visitor.get(f"/en/projects/{slug}")).replace("\xa0", " ")
    assert "Orders can be placed from 5 November 2026, 09:00 UTC." in page
    assert "The registry of these units does not take orders yet." in page
    answer = visitor.add(mall.sun)
    shown = answer if answer.status_code == 422 else visitor.get("/en/basket")
    assert "does not take orders yet" in text_of(shown)
    assert "Orders can be placed from" in text_of(visitor.get("/en/projects"))


def test_a_method_that_is_too_late_says_until_when_and_another(
    app: Flask, clock: Clock, mall: Mall, visitor: Visitor
) -> None:
    visitor.add(mall.sun)
    dates(app, last_cancellation=clock() + timedelta(days=12))
    page = text_of(visitor.get("/en/basket")).replace("\xa0", " ")
    assert "The money could arrive after the registry closes. It could be chosen until" in page
    assert "You can still pay by" in page


@pytest.mark.parametrize(("late", "status"), [(False, 303), (True, 410)])
def test_a_checkout_that_is_sent_a_second_too_late(
    app: Flask, clock: Clock, mall: Mall, visitor: Visitor, *, late: bool, status: int
) -> None:
    base = visitor.fill(mall, mall.sun)
    now = clock()
    dates(app, last_order=now if late else now + timedelta(seconds=1))
    answer = visitor.post(f"{base}/review", **CONSENTS)
    assert answer.status_code in (status, 302)
    if late:
        assert "has stopped taking orders meanwhile" in text_of(answer)
        assert "<title>The registry takes no new orders any more" in answer.text
        assert [each.status for each in mall.checkouts()] == [CheckoutStatus.LAPSED]
        assert mall.offer(mall.sun).held == 0
        assert mall.orders() == []
    else:
        assert len(mall.orders()) == 1

"""Holdings at the browser: what lies where, what stands in the way, and in few queries."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from html import unescape
from typing import Any

import pytest
from flask import Flask
from flask.testing import FlaskClient
from sqlalchemy import event, insert, select

from cnn_offset.domain.units import Obstacle, UnitType
from cnn_offset.extensions import db
from cnn_offset.models import AccountKind, Block, Offer, RegistryAccount, UnmappedBlock
from cnn_offset.services.holdings import map_activity
from tests.factories import NOW, make_activity, make_block, make_offer, make_payout, make_provider
from tests.web.people import add_person, log_in, post
from tests.web.shopping import text_of


@contextmanager
def counted() -> Iterator[list[str]]:
    seen: list[str] = []

    def note(_c: Any, _k: Any, statement: str, *_rest: Any) -> None:
        seen.append(statement)

    event.listen(db.engine, "before_cursor_execute", note)
    try:
        yield seen
    finally:
        event.remove(db.engine, "before_cursor_execute", note)


@pytest.fixture
def account_id(app: Flask) -> int:
    """An account with four blocks of two projects, in different states."""
    with app.test_request_context():
        provider = make_provider(slug="ours", name="Ours")
        make_payout(provider)
        account = RegistryAccount(
            provider=provider, registry_id="cdm", account_ref="ACC-X",
            kind=AccountKind.PENDING, created_at=NOW, read_at=NOW,
        )  # fmt: skip
        db.session.add(account)
        db.session.flush()
        for n in range(2):
            activity = make_activity(ref=f"900{n}", title={"en": f"Wind {n}"})
            map_activity(db.session(), account, activity, actor="op", now=NOW)
            kept = {"account_ref": "ACC-X"}
            make_offer(make_block(activity, provider, block_ref=f"FREE-{n}", **kept), quantity=400)
            make_block(
                activity, provider, block_ref=f"STUCK-{n}", eligible=False,
                obstacle=[Obstacle.PROCEEDS_PARTLY, Obstacle.PROCEEDS_UNPAID][n], **kept,
            )  # fmt: skip
        make_block(activity, provider, block_ref="GONE", held=0, **kept)
        make_block(block_ref="THEIRS")
        db.session.add(
            UnmappedBlock(
                account_id=account.id,
                block_ref="ASIDE",
                activity_ref="77",
                unit_type=UnitType.CER,
                first_text="a",
                last_text="b",
                held=5,
                read_at=NOW,
            )
        )
        account.due_at = None
        db.session.commit()
        return account.id


@pytest.fixture
def staff(app: Flask, account_id: int) -> FlaskClient:
    add_person(app, "staff@example.org", "provider", "ours")
    return log_in(app, "staff@example.org")


def test_blocks_by_account_and_project(staff: FlaskClient) -> None:
    text = text_of(staff.get("/en/provider/holdings"))
    for said in ("ACC-X", "Pending account of the Board", "Wind 0", "FREE-1", "ASIDE", "600",
                 "Share of proceeds paid in part", "Share of proceeds unpaid", "Nothing left",
                 "2 blocks, 2,000 units", "3 blocks, 2,000 units"):  # fmt: skip
        assert said in text, said
    assert "THEIRS" not in text


@pytest.mark.parametrize(
    ("query", "there", "missing"),
    [
        ("?show=obstacle", {"STUCK-0", "STUCK-1"}, {"FREE-0", "GONE", "ASIDE"}),
        ("?show=free", {"FREE-0", "FREE-1"}, {"STUCK-0", "GONE"}),
        ("?registry=cdm", {"FREE-0", "GONE"}, {"ASIDE"}),
        ("?registry=a64_final", set(), {"FREE-0"}),
        ("?project=999999", set(), {"FREE-0"}),
        ("?project=x&after=-1&show=?&registry=%00", set(), {"THEIRS"}),
    ],
)
def test_filters(staff: FlaskClient, query: str, there: set[str], missing: set[str]) -> None:
    answer = staff.get(f"/en/provider/holdings{query}")
    assert answer.status_code == 200
    text = text_of(answer)
    assert [each for each in there if each not in text] == []
    assert [each for each in missing if each in text] == []


@pytest.mark.parametrize("lang", ["en", "fr", "es"])
def test_a_block_says_what_stands_in_the_way(app: Flask, staff: FlaskClient, lang: str) -> None:
    with app.app_context():
        ids = dict(db.session.execute(select(Block.block_ref, Block.id)).all())
    stuck = staff.get(f"/{lang}/provider/holdings/{ids['STUCK-0']}")
    assert f"/{ids['STUCK-0']}/offer" not in stuck.text
    free = staff.get(f"/{lang}/provider/holdings/{ids['FREE-0']}")
    assert f"/{ids['FREE-0']}/offer?kind=private" in free.text
    assert f'/{ids["FREE-0"]}/offer"' not in free.text, "it is on offer already"
    assert staff.get(f"/{lang}/provider/holdings/{ids['THEIRS']}").status_code == 404


def test_reading_again(app: Flask, staff: FlaskClient, account_id: int) -> None:
    def due() -> Any:
        with app.app_context():
            return db.session.get_one(RegistryAccount, account_id).due_at

    assert post(staff, f"/en/provider/accounts/{account_id}/read").status_code == 302
    assert due() is None, "it has just been read"
    with app.app_context():
        db.session.get_one(RegistryAccount, account_id).read_at = None
        db.session.commit()
    assert post(staff, f"/en/provider/accounts/{account_id}/read").status_code == 302
    assert due() == NOW
    assert post(staff, "/en/provider/accounts/999999/read").status_code == 404


def test_many_blocks_and_offers_cost_no_more_queries(app: Flask, staff: FlaskClient) -> None:
    def cost(path: str) -> int:
        staff.get(path)
        with app.app_context(), counted() as seen:
            assert staff.get(path).status_code == 200
        return len(seen)

    paths = ("/en/provider/holdings", "/en/provider/holdings?show=free", "/en/provider/offers",
             "/en/provider/offers?q=900", "/en/provider/offers?show=closed")  # fmt: skip
    before = [cost(path) for path in paths]
    with app.app_context():
        model = db.session.query(Block).filter_by(block_ref="FREE-0").one()
        columns = {c.key: getattr(model, c.key) for c in Block.__table__.columns if c.key != "id"}
        db.session.execute(
            insert(Block),
            [
                columns | {"block_ref": f"N{n}", "first": 10**9 + n * 10, "last": 10**9 + n * 10 + 9,
                           "held": 10, "reported": 10}
                for n in range(300)
            ],
        )  # fmt: skip
        db.session.flush()
        for block in db.session.query(Block).filter(Block.block_ref.like("N%")).limit(120):
            db.session.add(
                Offer(
                    block_id=block.id,
                    provider_id=block.provider_id,
                    price_minor=1,
                    currency="USD",
                    quantity=5,
                    created_at=NOW,
                    changed_at=NOW,
                )
            )
        db.session.commit()
    assert [cost(path) for path in paths] == before
    assert max(before) <= 16
    page, seen = "/en/provider/holdings", 0
    while page:
        text = staff.get(page).text
        seen += text.count('<th scope="row"')
        further = re.search(r'href="([^"]*)" rel="next"', text)
        page = unescape(further[1]) if further else ""
    assert seen == 300 + 5 + 1, "every block once, and the one set aside"

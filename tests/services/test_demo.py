"""The demo is loaded through the sandbox and the connectors, any number of times."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator

import pytest
import requests
from flask import Flask
from sqlalchemy import func, select
from werkzeug.serving import WSGIRequestHandler, make_server

from cnn_offset.demo import load
from cnn_offset.demo.load import load_demo
from cnn_offset.demo.reading import read_demo
from cnn_offset.extensions import db, platform, unit_of_work
from cnn_offset.models import Activity, Block, Offer, PayoutMethod, Provider, User
from cnn_offset.sandbox import create_sandbox
from tests.conftest import settings

DEMO = read_demo()
BLOCKS = [block for each in DEMO.activities for block in each.blocks]


class _Quiet(WSGIRequestHandler):
    def log(self, type: str, message: str, *args: object) -> None:  # noqa: A002
        """Say nothing."""


@pytest.fixture
def sandbox_url() -> Iterator[str]:
    server = make_server("127.0.0.1", 0, create_sandbox(), threaded=True, request_handler=_Quiet)
    thread = threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True)
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    server.server_close()
    thread.join()


def _registries(url: str, *names: str) -> dict[str, dict[str, str]]:
    return {
        name: {
            "connector": name,
            "base_url": f"{url}/registries/{name.replace('_', '-')}",
            "token": f"sandbox-{name.replace('_', '-')}",
        }
        for name in names
    }


@pytest.fixture(params=["sqlite", pytest.param("postgres", marks=pytest.mark.postgres)])
def demo_app(
    request: pytest.FixtureRequest, make_app: Callable[..., Flask], sandbox_url: str
) -> Iterator[Flask]:
    postgres = request.param == "postgres"
    made = make_app(
        DATABASE_URL=request.getfixturevalue("new_postgres")() if postgres else "",
        SANDBOX_URL=sandbox_url,
        REGISTRIES=_registries(sandbox_url, "cdm", "a64_interim", "a64_final"),
    )
    with made.app_context():
        yield made


def _count(model: type) -> int:
    return db.session.scalar(select(func.count()).select_from(model)) or 0


def test_everything_arrives(demo_app: Flask) -> None:
    summary = load_demo(unit_of_work, platform())
    offered = [block for block in BLOCKS if block.price]
    assert _count(Provider) == summary.providers == 6
    assert _count(PayoutMethod) == 9
    assert _count(Activity) == summary.activities == len(DEMO.activities)
    assert _count(Block) == summary.blocks == len(BLOCKS)
    assert _count(Offer) == summary.offers == summary.new_offers == len(offered)
    for offer in db.session.scalars(select(Offer)):
        assert offer.quantity <= offer.block.held
        assert offer.block.eligible
        assert offer.block.activity.registry_id == offer.block.registry_id
        assert offer.provider_id == offer.block.provider_id
    for activity in db.session.scalars(select(Activity)):
        assert platform().files.cat_file(activity.picture).startswith(b"<svg ")
    emails = set(db.session.scalars(select(User.email)))
    assert emails == {*load.OPERATORS} | {each.staff_email for each in DEMO.providers}


def test_the_registry_writes_the_serial_numbers(demo_app: Flask) -> None:
    load_demo(unit_of_work, platform())
    wanted = DEMO.activities[0]
    block = db.session.scalars(
        select(Block).where(Block.block_ref == wanted.block_ref(0), Block.registry_id == "cdm")
    ).one()
    assert (block.first, block.last) == (wanted.blocks[0].first, wanted.blocks[0].last)
    assert block.first_text == f"KE-5-{block.first}-1-1-0-{wanted.ref}"
    taken = db.session.scalars(select(Block).where(Block.held < Block.last - Block.first + 1))
    assert {each.block_ref for each in taken} == {
        each.block_ref(index)
        for each in DEMO.activities
        for index, one in enumerate(each.blocks)
        if one.taken
    }


def test_repeating_changes_nothing(demo_app: Flask) -> None:
    load_demo(unit_of_work, platform())
    tables = (Provider, PayoutMethod, Activity, Block, Offer, User)
    before = [_count(each) for each in tables]
    with unit_of_work() as session:
        offer = session.scalars(select(Offer).limit(1)).one()
        offer.price_minor, offer_id = 4321, offer.id
    summary = load_demo(unit_of_work, platform())
    assert summary.new_offers == 0
    assert [_count(each) for each in tables] == before
    assert db.session.get_one(Offer, offer_id).price_minor == 4321


def test_a_crash_half_way_is_made_good(demo_app: Flask, monkeypatch: pytest.MonkeyPatch) -> None:
    def crash(*_: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(load, "_make_offers", crash)
        with pytest.raises(KeyboardInterrupt):
            load_demo(unit_of_work, platform())
    assert _count(Offer) == 0
    load_demo(unit_of_work, platform())
    assert _count(Offer) == len([block for block in BLOCKS if block.price])


def test_only_configured_registries_take_part(
    make_app: Callable[..., Flask], sandbox_url: str
) -> None:
    app = make_app(
        SANDBOX_URL=sandbox_url,
        REGISTRIES=_registries(sandbox_url, "cdm"),
        PAYMENTS={"bank_transfer": settings()["PAYMENTS"]["bank_transfer"]},
    )
    with app.app_context():
        load_demo(unit_of_work, platform())
        assert set(db.session.scalars(select(Activity.registry_id))) == {"cdm"}
        # What the providers told of other processors is kept for when those are named again.
        assert _count(PayoutMethod) == 9


def test_without_a_sandbox_nothing_is_loaded(app: Flask) -> None:
    with app.app_context(), pytest.raises(RuntimeError, match="SANDBOX_URL"):
        load_demo(unit_of_work, platform())


def test_a_sandbox_that_refuses_is_reported(
    demo_app: Flask, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(load, "_TIMEOUT", 5)
    broken = DEMO.model_copy(update={"activities": [*DEMO.activities, _overlapping()]})
    monkeypatch.setattr(load, "read_demo", lambda: broken)
    with pytest.raises(requests.HTTPError):
        load_demo(unit_of_work, platform())
    assert _count(Provider) == 0


def _overlapping() -> object:
    first = DEMO.activities[0]
    return first.model_copy(update={"ref": "99999", "slug": "overlapping"})

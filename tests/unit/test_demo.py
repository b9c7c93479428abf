"""The demo's data keeps the rules of real registries, and its pictures are safe to serve."""

from __future__ import annotations

import re
import xml.etree.ElementTree as ET
from datetime import date
from itertools import pairwise

import pytest

from cnn_offset.demo import TOTP_SECRET
from cnn_offset.demo.load import accounts
from cnn_offset.demo.pictures import MOTIFS, draw
from cnn_offset.demo.reading import Demo, DemoActivity, read_demo
from cnn_offset.domain.units import UnitType
from cnn_offset.models import ActivityKind
from cnn_offset.plugins.payments.bank_transfer import BankTransfer
from cnn_offset.plugins.payments.paypal import PayPal
from cnn_offset.plugins.payments.stripe_connect import StripeConnect

DEMO = read_demo()
ACTIVITIES = pytest.mark.parametrize("activity", DEMO.activities, ids=lambda each: each.slug)
INVENTED = {"en": "invented", "fr": "fictif", "es": "ficticio"}
KYOTO = {UnitType.CER, UnitType.TCER, UnitType.LCER}


@pytest.fixture
def demo() -> Demo:
    return DEMO


def test_there_is_enough_of_everything(demo: Demo) -> None:
    blocks = [block for each in demo.activities for block in each.blocks]
    prices = [block.price for block in blocks if block.price]
    dollars = [price.minor for price in prices if price.currency == "USD"]
    assert len(demo.providers) == 6
    assert 38 <= len(demo.activities) <= 45
    assert len({each.host_party for each in demo.activities}) == 20
    shown = {each.motif or each.technology for each in demo.activities}
    assert shown == set(MOTIFS)
    assert len({each.technology for each in demo.activities}) == 13
    assert {block.unit for block in blocks} == set(UnitType)
    assert {each.registry for each in demo.activities} == {"cdm", "a64_interim", "a64_final"}
    assert {each.kind for each in demo.activities} == set(ActivityKind)
    assert {price.currency for price in prices} == {"USD", "EUR"}
    assert (min(dollars), max(dollars)) == (80, 3000)
    assert min(block.offer for block in blocks if block.price) == 40
    assert max(block.offer for block in blocks) == 250_000
    assert any(not block.eligible for block in blocks)
    assert any(len({block.provider for block in each.blocks}) > 1 for each in demo.activities)


def test_names_and_references_are_used_once(demo: Demo) -> None:
    for names in (
        [each.slug for each in demo.activities],
        [(each.registry, each.ref) for each in demo.activities],
        [each.slug for each in demo.providers],
        [account for each in demo.providers for account in each.accounts.values()],
    ):
        assert len(names) == len(set(names))


@ACTIVITIES
def test_texts_are_whole_in_three_languages(activity: DemoActivity) -> None:
    for language, word in INVENTED.items():
        description = getattr(activity.description, language)
        assert 80 <= len(description.split()) <= 160, language
        assert word in description, language
        assert getattr(activity.title, language)
        assert getattr(activity.picture_alt, language)
        assert bool(getattr(activity.labels, language)) == bool(activity.labels.en)
    texts = activity.description.model_dump().values()
    assert len(set(texts)) == 3
    for text in (*texts, *activity.title.model_dump().values()):
        assert not re.search(r"carbon neutral|offset|token|[<>]|  ", text, re.IGNORECASE)


@ACTIVITIES
def test_blocks_keep_the_rules_of_their_registry(activity: DemoActivity) -> None:
    assert activity.crediting[0] < activity.crediting[1]
    forest = activity.technology == "reforestation"
    assert (activity.scope == 14) == forest
    assert activity.methodology.startswith("AR-") == forest
    assert (activity.ref.isdigit() and int(activity.ref) > 90_000) == (activity.registry == "cdm")
    for block in activity.blocks:
        start, end = block.monitoring_start, block.monitoring_end
        assert activity.crediting[0] <= start < end <= activity.crediting[1]
        if activity.registry == "cdm":
            # domain-facts.md 1.1: a block belongs to one commitment period.
            assert end <= date(2012, 12, 31) or (
                start >= date(2013, 1, 1) and end <= date(2020, 12, 31)
            )
            assert block.unit in KYOTO
            assert (block.unit is UnitType.CER) != forest
        else:
            assert start >= date(2021, 1, 1)
            assert block.unit not in KYOTO


@ACTIVITIES
def test_offers_are_covered(activity: DemoActivity) -> None:
    providers = {each.slug: each for each in DEMO.providers}
    for block in activity.blocks:
        held = block.quantity - sum(count for _, count in block.taken)
        payable = {c for payout in providers[block.provider].payout for c in payout.currencies}
        assert activity.registry in providers[block.provider].accounts
        assert block.offer <= held
        assert block.min <= max(block.offer, 1)
        assert bool(block.price) == (block.offer > 0) == block.eligible
        assert block.price is None or block.price.currency in payable


def test_no_unit_is_issued_twice(demo: Demo) -> None:
    series: dict[str, list[tuple[int, int]]] = {}
    for activity in demo.activities:
        # CERs are numbered by Party, over all activities (domain-facts.md 1.1).
        own = activity.host_party if activity.registry == "cdm" else activity.ref
        for block in activity.blocks:
            series.setdefault(own, []).append((block.first, block.last))
    for spans in series.values():
        for (_, last), (first, _) in pairwise(sorted(spans)):
            assert last + 1 < first  # adjacent runs would be one block


def test_payout_accounts_have_the_form_their_plugin_wants(demo: Demo) -> None:
    plugins = {
        "paypal": PayPal.check_account,
        "stripe_connect": StripeConnect.check_account,
        "bank_transfer": BankTransfer.check_account,
    }
    kinds = {tuple(payout.method for payout in each.payout) for each in demo.providers}
    assert kinds == {
        ("paypal",),
        ("stripe_connect",),
        ("bank_transfer",),
        ("paypal", "bank_transfer"),
        ("paypal", "stripe_connect", "bank_transfer"),
    }
    for provider in demo.providers:
        for payout in provider.payout:
            assert not plugins[payout.method](None, payout.account), provider.slug
            assert payout.minimum is None or payout.currencies == [payout.minimum.currency]


def test_accounts_name_everybody(demo: Demo, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DEMO_PASSWORD", "another one")
    text = "\n".join(accounts("http://127.0.0.1:5001/"))
    assert "operator@demo.example" in text
    assert all(each.staff_email in text for each in demo.providers)
    assert "another one" in text
    assert f"http://127.0.0.1:5001/authenticator?secret={TOTP_SECRET}" in text


@pytest.mark.parametrize("motif", MOTIFS)
def test_pictures_are_small_plain_and_of_one_size(motif: str) -> None:
    for seed in range(12):
        text = draw(motif, str(seed))
        assert len(text.encode()) < 12_000
        root = ET.fromstring(text)
        assert root.get("viewBox") == "0 0 800 600"
        tags = {each.tag.split("}")[1] for each in root.iter()}
        assert not tags & {"script", "text", "style", "image", "foreignObject", "a"}
        links = {value for each in root.iter() for key, value in each.items() if "href" in key}
        assert all(link.startswith("#") for link in links)


def test_a_picture_depends_on_its_seed_alone() -> None:
    assert draw("wind", "a") == draw("wind", "a")
    assert draw("wind", "a") != draw("wind", "b")


@ACTIVITIES
def test_every_activity_has_a_picture(activity: DemoActivity) -> None:
    assert len(draw(activity.motif or activity.technology, activity.slug).encode()) < 12_000

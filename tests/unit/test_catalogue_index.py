"""The bitmaps say what a plain loop over the offers says."""

from __future__ import annotations

from collections import Counter, defaultdict
from datetime import date
from itertools import count

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cnn_offset.domain.facets import (
    BANDS,
    FACETS,
    PAGE,
    FacetIndex,
    ListedOffer,
    Query,
    Sort,
    TextIndex,
    lot,
    words,
)

DAY = date(2026, 11, 2)
TEXTS = {
    1: "Wind farm",
    2: "Windmill école",
    3: "Solar roof",
    4: "Éoliennes du Sud",
    5: "Réf 90011",
}


def no_texts(lang: str) -> TextIndex:
    return TextIndex(TEXTS.items())


def offer(offer_id: int, activity_id: int, **values: object) -> ListedOffer:
    return ListedOffer(
        **{
            "offer_id": offer_id,
            "activity_id": activity_id,
            "currency": "USD",
            "price": 25_000,
            "available": 100,
            "min_quantity": 1,
            "unit_type": "cer",
            "vintage": 2014,
            "commitment_period": 2,
            "registry_id": "cdm",
            "country": "KE",
            "technology": "wind",
            "scope": 1,
            **values,
        }
    )


@st.composite
def shops(draw: st.DrawFn) -> list[ListedOffer]:
    made, ids = [], count(1)
    for activity_id in range(1, draw(st.integers(0, 40)) + 1):
        same = {
            "country": draw(st.sampled_from(["KE", "IN", "BR"])),
            "technology": draw(st.sampled_from(["wind", "solar"])),
            "scope": draw(st.sampled_from([1, 3])),
        }
        made += [
            offer(
                next(ids),
                activity_id,
                currency=draw(st.sampled_from(["USD", "EUR"])),
                price=draw(st.sampled_from([8_000, 19_999, 20_000, 50_001, 300_000])),
                available=draw(st.sampled_from([1, 40, 1000, 1001])),
                min_quantity=draw(st.sampled_from([1, 10, 40])),
                vintage=draw(st.sampled_from([2012, 2014, 2021])),
                commitment_period=draw(st.sampled_from([None, 1, 2])),
                **same,
            )
            for _ in range(draw(st.integers(1, 4)))
        ]
    return draw(st.permutations(made))


@st.composite
def queries(draw: st.DrawFn) -> Query:
    query = Query(
        text=(text := draw(st.sampled_from(["", "", "", "wind", "eol sud", "nothing"]))),
        lang="fr" if text else "",
        tonnes=draw(st.sampled_from([0, 0, 0, 1, 9, 40, 1001, 5000])),
        price_from=draw(st.sampled_from([0, 0, 20_000])),
        price_to=draw(st.sampled_from([0, 0, 50_000])),
        sort=draw(st.sampled_from(list(Sort))),
        page=draw(st.integers(1, 3)),
    )
    for facet, values in {
        "country": ["KE", "IN", "XX"],
        "vintage": ["2012", "2014", "2021"],
        "price": list(BANDS),
        "period": ["1", "2"],
        "currency": ["EUR", "USD"],
    }.items():
        if draw(st.booleans()):
            query = query.choosing(facet, draw(st.sets(st.sampled_from(values), max_size=2)))
    return query


def matches(each: ListedOffer, query: Query, without: str = "") -> bool:
    texts = TEXTS.get(each.activity_id, "")
    return (
        all(FACETS[facet](each) in values for facet, values in query.chosen if facet != without)
        and (not query.tonnes or each.min_quantity <= query.tonnes <= each.available)
        and each.price >= query.price_from
        and (not query.price_to or each.price <= query.price_to)
        and all(
            any(word.startswith(wanted) for word in words(texts)) for wanted in words(query.text)
        )
    )


@settings(max_examples=300, deadline=None)
@given(shops(), queries())
def test_same_as_naive(shop: list[ListedOffer], query: Query) -> None:
    found = FacetIndex(shop, no_texts).find(query, DAY)

    matching = [each for each in shop if matches(each, query)]
    assert found.total == len({each.activity_id for each in matching})
    assert found.pages == max(1, -(-found.total // PAGE))
    assert found.page == min(query.page, found.pages)
    for facet, value_of in FACETS.items():
        naive = defaultdict(set)
        for each in shop:
            if matches(each, query, without=facet) and value_of(each):
                naive[value_of(each)].add(each.activity_id)
        assert found.counts[facet] == {value: len(those) for value, those in naive.items()}

    def key(each: ListedOffer) -> tuple[object, ...]:
        place = drawn.index(each.activity_id)
        if query.sort is Sort.PRICE:
            return (-uses[each.currency], each.currency, each.price, place)
        if query.sort is Sort.NEWEST:
            return (-each.vintage, place)
        return ((place - DAY.toordinal() * PAGE) % len(drawn),)

    uses = Counter(each.currency for each in shop)
    drawn = sorted({each.activity_id for each in shop}, key=lot)
    in_order = list(dict.fromkeys(each.activity_id for each in sorted(matching, key=key)))
    first = (found.page - 1) * PAGE
    assert [activity for activity, _ in found.hits] == in_order[first : first + PAGE]
    for activity, offers in found.hits:
        assert set(offers) == {e.offer_id for e in matching if e.activity_id == activity}


@pytest.mark.parametrize("sort", Sort)
def test_pages_hold_everything_once(sort: Sort) -> None:
    shop = [offer(n, 1 + n // 2, vintage=2000 + n % 7, price=n % 5 * 10_000) for n in range(400)]
    index = FacetIndex(shop, no_texts)

    pages = [index.find(Query(sort=sort, page=page), DAY) for page in range(1, 10)]

    activities = [activity for page in pages for activity, _ in page.hits]
    assert len(activities) == pages[0].total == len(set(activities)) == 200
    assert [len(page.hits) for page in pages] == [24] * 8 + [8]


def test_neutral_order_gives_every_project_the_first_page_equally_often() -> None:
    index = FacetIndex([offer(n, n) for n in range(1, 37)], no_texts)
    shown: dict[int, int] = defaultdict(int)
    for days in range(3):
        today = date.fromordinal(DAY.toordinal() + days)
        for activity, _ in index.find(Query(), today).hits:
            shown[activity] += 1
    assert set(shown.values()) == {2}
    assert len(shown) == 36


def test_prices_are_ordered_within_their_currency() -> None:
    shop = [
        offer(1, 1, currency="EUR", price=10_000),
        offer(2, 2, currency="USD", price=90_000),
        offer(3, 3, currency="USD", price=20_000),
        offer(4, 3, currency="EUR", price=5_000),
        offer(5, 2, currency="USD", price=95_000),
    ]
    found = FacetIndex(shop, no_texts).find(Query(sort=Sort.PRICE), DAY)
    assert [activity for activity, _ in found.hits] == [3, 2, 1]


def test_empty_shop() -> None:
    found = FacetIndex([], no_texts).find(Query(tonnes=5, page=9), DAY)
    assert (found.total, found.page, found.pages, found.hits) == (0, 1, 1, [])


def test_words_are_found_by_their_beginning_in_any_order_without_accents() -> None:
    index = TextIndex([(1, "Centrale éolienne de l’Étang"), (2, "Eolo 90011"), (3, "CO₂ Ærø")])
    assert index.find("ÉOL") == {1, 2}
    assert index.find("etang éolienne") == {1}
    assert index.find("olienne") == set()
    assert index.find("900") == {2}
    assert index.find("co2") == {3}
    assert index.find("…") == set()

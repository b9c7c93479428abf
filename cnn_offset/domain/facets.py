"""The catalogue in memory: which activities match, in which order, how many beside each choice.

Every offer is one bit of a Python integer. The offers of one activity lie side by side and
are followed by one guard bit, so that one addition tells which activities have any offer
left: adding 1s to a group carries into its guard if and only if some bit of it is set.
Counting a choice is then an "and" and a population count, whatever the number of offers.
"""

from __future__ import annotations

import re
import unicodedata
from array import array
from bisect import bisect_left
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import date
from enum import StrEnum
from functools import lru_cache
from hashlib import blake2b
from itertools import chain, islice
from typing import Final, NamedTuple

PAGE: Final = 24
"""Activities on one page."""
FINE: Final = 4
"""Decimals of :attr:`ListedOffer.price`; no currency has more (ISO 4217)."""

BANDS: Final[Mapping[str, tuple[int, int | None]]] = {
    "0-2": (0, 2),
    "2-5": (2, 5),
    "5-10": (5, 10),
    "10-20": (10, 20),
    "20-": (20, None),
}
"""Price bands in whole units of an offer's own currency: from, and up to but not including."""


class Sort(StrEnum):
    """How activities may follow one another."""

    LOT = "lot"
    """The neutral order: drawn by lot, turned on by one page every day (A7)."""
    PRICE = "price"
    NEWEST = "newest"


@dataclass(frozen=True, slots=True)
class ListedOffer:
    """What the catalogue must know of an offer that takes orders, and of its activity."""

    offer_id: int
    activity_id: int
    currency: str
    price: int
    """Of one unit, in ten-thousandths of the currency, so that amounts compare as numbers."""
    available: int
    min_quantity: int
    unit_type: str
    vintage: int
    commitment_period: int | None
    registry_id: str
    country: str
    technology: str
    scope: int

    @property
    def band(self) -> str:
        """The price band it falls in."""
        whole = self.price // 10**FINE
        return next(name for name, (_, end) in BANDS.items() if end is None or whole < end)


FACETS: Final[Mapping[str, Callable[[ListedOffer], str]]] = {
    "country": lambda offer: offer.country,
    "technology": lambda offer: offer.technology,
    "type": lambda offer: offer.unit_type,
    "price": lambda offer: offer.band,
    "currency": lambda offer: offer.currency,
    "vintage": lambda offer: str(offer.vintage),
    "registry": lambda offer: offer.registry_id,
    "period": lambda offer: str(offer.commitment_period or ""),
    "scope": lambda offer: str(offer.scope),
}
"""The facets in the order of the page, and an offer's value in each; "" for none."""
_OF_ACTIVITY: Final = {"country", "technology", "scope"}
"""Facets whose value is the same for all offers of an activity."""


@dataclass(frozen=True, slots=True)
class Query:
    """What is asked for. Values within a facet are alternatives; everything else adds up."""

    chosen: tuple[tuple[str, frozenset[str]], ...] = ()
    """(facet, values), in the order of FACETS, none empty."""
    text: str = ""
    lang: str = ""
    """The language of ``text``; empty without a text."""
    tonnes: int = 0
    """One offer must be able to cover as many; 0 for no such wish."""
    price_from: int = 0
    price_to: int = 0
    """Both included, in ten-thousandths of the offer's own currency; 0 for no limit."""
    sort: Sort = Sort.LOT
    page: int = 1

    def values(self, facet: str) -> frozenset[str]:
        """The values chosen of ``facet``."""
        return dict(self.chosen).get(facet, frozenset())

    def choosing(self, facet: str, values: Iterable[str]) -> Query:
        """The same, on its first page, with ``values`` of ``facet``."""
        chosen = {**dict(self.chosen), facet: frozenset(values)}
        return replace(
            self,
            chosen=tuple((name, chosen[name]) for name in FACETS if chosen.get(name)),
            page=1,
        )


@dataclass(frozen=True, slots=True, eq=False)
class Found:
    """One page of answers; asked again, the very same object comes back."""

    total: int
    """Activities that match."""
    page: int
    """The page shown: the last one if a later one was asked for."""
    pages: int
    hits: Sequence[tuple[int, Sequence[int]]]
    """Activities of the page in order, each with the ids of its matching offers."""
    counts: Mapping[str, Mapping[str, int]]
    """For each facet and value, how many activities there would be, the facet's own
    choices set aside. Values with none are left out."""


class _Counted(NamedTuple):
    matching: int
    """The bitmap of matching offers."""
    total: int
    counts: Mapping[str, Mapping[str, int]]


class TextIndex:
    """Words of activities in one language, found by their beginnings, accents set aside."""

    def __init__(self, texts: Iterable[tuple[int, str]]) -> None:
        holders: dict[str, array[int]] = {}
        for activity_id, text in texts:
            for word in set(words(text)):
                holders.setdefault(word, array("q")).append(activity_id)
        self._words = sorted(holders)
        self._holders = holders

    def find(self, text: str) -> set[int]:
        """Return the activities that have, for every word of ``text``, one that begins so."""
        found: set[int] | None = None
        for start in set(words(text)):
            any_of: set[int] = set()
            for word in islice(self._words, bisect_left(self._words, start), None):
                if not word.startswith(start):
                    break
                any_of.update(self._holders[word])
            found = any_of if found is None else found & any_of
        return found or set()


def words(text: str) -> list[str]:
    """Split into words in small letters without accents; digits and letters stay together."""
    plain = unicodedata.normalize("NFKD", text.casefold())
    return re.findall(r"\w+", "".join(sign for sign in plain if not unicodedata.combining(sign)))


def lot(activity_id: int) -> bytes:
    """Return the number an activity drew: fixed, and nobody's choice."""
    return blake2b(str(activity_id).encode(), digest_size=8).digest()


@dataclass
class _Numbers:
    """Which offers have at least some number: bitmaps at steps, and single bits between."""

    pairs: list[tuple[int, int]]
    """(number, bit position)."""
    size: int
    """Of a bitmap, in bytes."""
    _step: int = field(init=False)
    _from_step: list[int] = field(init=False)

    def __post_init__(self) -> None:
        self.pairs.sort()
        self._step = max(64, len(self.pairs) // 256)
        self._from_step = []
        bits = bytearray(self.size)
        for index in range(len(self.pairs) - 1, -1, -1):
            position = self.pairs[index][1]
            bits[position >> 3] |= 1 << (position & 7)
            if index % self._step == 0:
                self._from_step.append(int.from_bytes(bits, "little"))
        self._from_step.reverse()

    def at_least(self, number: int) -> int:
        """Return the bitmap of offers with ``number`` or more."""
        first = bisect_left(self.pairs, (number, -1))
        step = -(-first // self._step)
        few = self.pairs[first : step * self._step]
        rest = self._from_step[step] if step < len(self._from_step) else 0
        return rest | _bitmap((position for _, position in few), self.size)


def _bitmap(positions: Iterable[int], size: int) -> int:
    bits = bytearray(size)
    for position in positions:
        bits[position >> 3] |= 1 << (position & 7)
    return int.from_bytes(bits, "little")


def _positions(mask: int) -> Iterator[int]:
    signs = f"{mask:b}"[::-1]
    at = signs.find("1")
    while at >= 0:
        yield at
        at = signs.find("1", at + 1)


class FacetIndex:
    """The offers of one moment, ready to be searched. Never changed once made."""

    def __init__(
        self,
        offers: Iterable[ListedOffer],
        texts: Callable[[str], TextIndex],
    ) -> None:
        """Lay out the bits.

        Args:
            offers: in any order.
            texts: gives the words of a language.

        """
        groups: dict[int, list[ListedOffer]] = {}
        for offer in offers:
            groups.setdefault(offer.activity_id, []).append(offer)
        self.activities: list[int] = sorted(groups, key=lot)
        self._texts = texts
        self._offer_ids: list[int] = []  # by bit position; 0 at guards
        self._group_of = array("q")  # by bit position
        self._starts = array("q")  # by group; one more for the end
        laid: list[tuple[int, ListedOffer]] = []
        for group, activity_id in enumerate(self.activities):
            self._starts.append(len(self._offer_ids))
            for offer in sorted(groups[activity_id], key=lambda each: each.offer_id):
                laid.append((len(self._offer_ids), offer))
                self._offer_ids.append(offer.offer_id)
            self._offer_ids.append(0)
            self._group_of.extend([group] * (len(groups[activity_id]) + 1))
        self._starts.append(len(self._offer_ids))
        self._size = (len(self._offer_ids) >> 3) + 1

        self._all = _bitmap((position for position, _ in laid), self._size)
        self._guards = _bitmap((end - 1 for end in self._starts[1:]), self._size)
        self._values = self._facet_bitmaps(laid)
        self._available = _Numbers([(each.available, at) for at, each in laid], self._size)
        self._smallest = _Numbers([(each.min_quantity, at) for at, each in laid], self._size)
        self._prices = _Numbers([(each.price, at) for at, each in laid], self._size)

        # By price means within a currency; the one with the most offers comes first.
        uses = Counter(each.currency for _, each in laid)
        self.currencies: list[str] = sorted(uses, key=lambda each: (-uses[each], each))
        self._orders = {
            Sort.LOT: array("q", (at for at, _ in laid)),
            Sort.PRICE: array(
                "q",
                (
                    at
                    for _, _, _, at in sorted(
                        (-uses[each.currency], each.currency, each.price, at) for at, each in laid
                    )
                ),
            ),
            Sort.NEWEST: array(
                "q", (at for _, at in sorted((-each.vintage, at) for at, each in laid))
            ),
        }
        self._ranks = {sort: self._ranked(order) for sort, order in self._orders.items()}
        # The same questions come again and again; pages and orders share their counts.
        self._found: Callable[[Query, int], Found] = lru_cache(maxsize=1024)(self._find)
        self._counted: Callable[[Query], _Counted] = lru_cache(maxsize=1024)(self._count)

    def _facet_bitmaps(self, laid: list[tuple[int, ListedOffer]]) -> dict[str, dict[str, int]]:
        maps: dict[str, dict[str, bytearray]] = {facet: {} for facet in FACETS}
        for at, offer in laid:
            byte, bit = at >> 3, 1 << (at & 7)
            for facet, value_of in FACETS.items():
                value = value_of(offer)
                if value:
                    bits = maps[facet].get(value)
                    if bits is None:
                        bits = maps[facet][value] = bytearray(self._size)
                    bits[byte] |= bit
                    if facet in _OF_ACTIVITY:
                        guard = self._starts[self._group_of[at] + 1] - 1
                        bits[guard >> 3] |= 1 << (guard & 7)
        return {
            facet: {value: int.from_bytes(bits, "little") for value, bits in values.items()}
            for facet, values in maps.items()
        }

    def _ranked(self, order: array[int]) -> array[int]:
        ranks = array("q", bytes(8 * len(self._offer_ids)))
        for rank, at in enumerate(order):
            ranks[at] = rank
        return ranks

    def find(self, query: Query, today: date) -> Found:
        """Return the page of answers; the neutral order is that of ``today``."""
        turned = today.toordinal() * PAGE % max(1, len(self.activities))
        return self._found(query, turned if query.sort is Sort.LOT else 0)

    def _find(self, query: Query, turned: int) -> Found:
        matching, total, counts = self._counted(replace(query, sort=Sort.LOT, page=1))
        pages = max(1, -(-total // PAGE))
        page = min(query.page, pages)
        groups = self._in_order(matching, query.sort, turned, page * PAGE)
        hits = [
            (self.activities[group], self._offers_of(group, matching))
            for group in islice(groups, (page - 1) * PAGE, page * PAGE)
        ]
        return Found(total, page, pages, hits, counts)

    def _count(self, query: Query) -> _Counted:
        common = self._without_facets(query)
        masks = {facet: self._chosen(facet, values) for facet, values in query.chosen}
        matching = common
        for mask in masks.values():
            matching &= mask
        counts = {}
        for facet, values in self._values.items():
            base = matching
            if facet in masks:
                base = common
                for other, mask in masks.items():
                    if other != facet:
                        base &= mask
            if facet in _OF_ACTIVITY:
                # These bitmaps have guard bits of their own: one addition serves them all.
                left = self._groups(base)
                numbers = {value: (left & bits).bit_count() for value, bits in values.items()}
            else:
                numbers = {
                    value: self._groups(base & bits).bit_count() for value, bits in values.items()
                }
            counts[facet] = {value: number for value, number in numbers.items() if number}
        return _Counted(matching, self._groups(matching).bit_count(), counts)

    def _without_facets(self, query: Query) -> int:
        mask = self._all
        if query.tonnes:
            mask &= self._available.at_least(query.tonnes)
            mask &= ~self._smallest.at_least(query.tonnes + 1)
        if query.price_from:
            mask &= self._prices.at_least(query.price_from)
        if query.price_to:
            mask &= ~self._prices.at_least(query.price_to + 1)
        if query.text:
            wanted = self._texts(query.lang).find(query.text)
            mask &= _bitmap(
                (
                    position
                    for group, activity_id in enumerate(self.activities)
                    if activity_id in wanted
                    for position in range(self._starts[group], self._starts[group + 1])
                ),
                self._size,
            )
        return mask

    def _chosen(self, facet: str, values: frozenset[str]) -> int:
        mask = 0
        for value in values:
            mask |= self._values[facet].get(value, 0)
        return mask

    def _groups(self, mask: int) -> int:
        """Return the guard bits of the activities that have a bit in ``mask``."""
        return (mask + self._all) & self._guards

    def _offers_of(self, group: int, mask: int) -> list[int]:
        start, end = self._starts[group], self._starts[group + 1] - 1
        part = mask >> start
        return [self._offer_ids[start + index] for index in range(end - start) if part >> index & 1]

    def _in_order(self, mask: int, sort: Sort, turned: int, wanted: int) -> Iterator[int]:
        """Yield the groups that match, each at the place of its first offer in the order.

        Many matches: walk the order and leave out what does not match; ``wanted`` are found
        soon. Few: put only these in order.
        """
        order, count = self._orders[sort], mask.bit_count()
        start = bisect_left(order, self._starts[turned]) if sort is Sort.LOT else 0
        positions: Iterable[int]
        if count * count < wanted * len(order):
            ranks, length = self._ranks[sort], len(order)
            positions = sorted(_positions(mask), key=lambda at: (ranks[at] - start) % length)
        else:
            bits = mask.to_bytes(self._size, "little")
            positions = (
                at
                for at in chain(islice(order, start, None), islice(order, start))
                if bits[at >> 3] & (1 << (at & 7))
            )
        last = -1
        seen = set()
        for at in positions:
            group = self._group_of[at]
            if group != last and group not in seen:
                seen.add(group)
                yield group
            last = group

"""Sharing out offers among the blocks that theirs became. Only values.

An order or checkout is never divided. Of a public offer each new block gets a part, and
the offer itself goes to the largest, so that baskets find it; what stands behind a private
or a closed offer stays together. Of two public offers that meet on one block the older
stays open and takes over what is free of the other, if their terms are alike.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime


class UnfitError(Exception):
    """Something cannot be shared out; the text is for operators."""


@dataclass(frozen=True, slots=True)
class Stake:
    """Units of an offer that an order's line or a checkout's holds."""

    kind: str
    """``order`` or ``checkout``."""
    line_id: int
    quantity: int
    name: str
    """Of the order, for operators."""


@dataclass(frozen=True, slots=True)
class OldOffer:
    """An offer that promises units of an old block."""

    id: int
    block_id: int
    is_open: bool
    is_private: bool
    terms: tuple[int, str, int, datetime | None]
    """Price, currency, smallest order, end."""
    available: int
    stakes: Sequence[Stake]

    @property
    def promised(self) -> int:
        """Units it promises."""
        return sum(each.quantity for each in self.stakes) + (self.available if self.is_open else 0)


@dataclass(slots=True)
class Piece:
    """What of an offer goes to one new block."""

    offer_id: int
    part: int
    """Number of the successor in its group."""
    available: int = 0
    stakes: list[Stake] = field(default_factory=list)
    is_home: bool = False
    """Whether the offer itself goes there; the others become offers of their own."""
    joins: int | None = None
    """The offer that stays open there in its place."""

    @property
    def units(self) -> int:
        """Units that are promised there."""
        return self.available + sum(each.quantity for each in self.stakes)


def share_out(
    offers: Sequence[OldOffer], units: Sequence[Mapping[int, int]], held: Sequence[int]
) -> list[Piece]:
    """Say what goes where.

    Args:
        offers: all that promise units of the group's blocks, by id.
        units: for each successor how many units it has of which old block.
        held: for each successor how many are in the account now.

    Raises:
        UnfitError: something fits nowhere, or two offers meet that are not alike.

    """
    room = list(held)
    share = [dict(each) for each in units]
    pieces: list[Piece] = []
    # What must stay together first, the largest first; then orders, then what is free.
    whole = [each for each in offers if each.is_private or not each.is_open]
    for offer in sorted(whole, key=lambda each: (-each.promised, each.id)):
        part = _place(offer, offer.promised, room, share, f"offer {offer.id}")
        pieces.append(
            Piece(
                offer.id,
                part,
                offer.available if offer.is_open else 0,
                list(offer.stakes),
                is_home=True,
            )
        )
    public = [each for each in offers if each.is_open and not each.is_private]
    split: dict[tuple[int, int], Piece] = {}

    def piece(offer: OldOffer, part: int) -> Piece:
        return split.setdefault((offer.id, part), Piece(offer.id, part))

    for offer in public:
        for stake in sorted(offer.stakes, key=lambda each: (-each.quantity, each.line_id)):
            part = _place(offer, stake.quantity, room, share, stake.name)
            piece(offer, part).stakes.append(stake)
    for offer in public:
        left = offer.available
        for part, own in enumerate(share):
            takes = min(left, own.get(offer.block_id, 0), room[part])
            if takes > 0:
                piece(offer, part).available += takes
                own[offer.block_id] -= takes
                room[part] -= takes
                left -= takes
        if left:
            raise UnfitError(f"offer {offer.id}: {left} of its units have no place")
    for offer in public:
        own_pieces = [each for (offer_id, _), each in split.items() if offer_id == offer.id]
        if own_pieces:
            max(
                own_pieces, key=lambda each: (each.available, each.units, -each.part)
            ).is_home = True
    pieces += split.values()
    _join(pieces, {each.id: each for each in public})
    return sorted(pieces, key=lambda each: (each.offer_id, not each.is_home, each.part))


def _place(
    offer: OldOffer, quantity: int, room: list[int], share: list[dict[int, int]], name: str
) -> int:
    """Give ``quantity`` units of the offer's block to the first part that has as many."""
    for part, own in enumerate(share):
        if min(own.get(offer.block_id, 0), room[part]) >= quantity:
            own[offer.block_id] = own.get(offer.block_id, 0) - quantity
            room[part] -= quantity
            return part
    raise UnfitError(f"{name}: its {quantity} units fit in no part of their block")


def _join(pieces: Sequence[Piece], public: Mapping[int, OldOffer]) -> None:
    """Let one public offer stand on each new block."""
    first: dict[int, Piece] = {}
    for each in sorted(pieces, key=lambda each: each.offer_id):
        if each.offer_id not in public:
            continue
        kept = first.setdefault(each.part, each)
        if kept is each:
            continue
        if public[kept.offer_id].terms != public[each.offer_id].terms:
            raise UnfitError(
                f"offers {kept.offer_id} and {each.offer_id} would stand on one block, and their "
                "terms are not alike"
            )
        each.joins = kept.offer_id
        kept.available += each.available
        each.available = 0

"""What a cut-over reads: what is to move, what is in flight, and the plan for operators."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from sqlalchemy import ColumnElement, SQLColumnExpression, and_, exists, func, or_, select
from sqlalchemy.orm import Session, joinedload

from cnn_offset.domain.status import (
    CancellationStatus,
    CheckoutStatus,
    OfferStatus,
    OrderStatus,
    ReplacementStatus,
)
from cnn_offset.models import (
    AccountActivity,
    AccountKind,
    Activity,
    Block,
    BlockOrigin,
    Cancellation,
    Checkout,
    CheckoutLine,
    Offer,
    Order,
    OrderLine,
    RegistryAccount,
    Replacement,
)
from cnn_offset.plugins.errors import RefusedError
from cnn_offset.plugins.registries.base import BlockReport, RegistryConnector
from cnn_offset.services import cancelling, stock
from cnn_offset.services.cutover_matching import Group, Known, Matching, OldBlock, match
from cnn_offset.services.cutover_sharing import OldOffer, Stake, UnfitError, share_out

C = CancellationStatus
IN_FLIGHT: Final = (C.SUBMITTED, C.UNKNOWN, C.MISMATCHED)
MOVABLE: Final = (C.QUEUED, C.REJECTED)
"""A cancellation that the registry knows nothing of, or has refused for good."""
RUNNING: Final = (OrderStatus.PLACED, OrderStatus.PAID, OrderStatus.IN_REVIEW)
MOST: Final = 50
"""So many of a kind are named; there may be more."""


@dataclass(frozen=True, slots=True)
class Plan:
    """What a cut-over will do, or why it cannot."""

    matching: Matching
    findings: Sequence[str]
    rows: Sequence[tuple[str, str, str, int, int, int, int]]
    """Account, block, its successor, units, units on offer, orders unpaid and in flight."""
    activities: Sequence[tuple[str, str]]
    """Reference numbers, old and new."""
    accounts: Sequence[tuple[str, str]]


def old_blocks(session: Session, old_id: str) -> list[OldBlock]:
    """Return all blocks of a registry that hold or promise units."""
    promised = (
        select(Offer.block_id, func.sum(stock.PROMISE).label("n"))
        .join(Block, Block.id == Offer.block_id)
        .where(Block.registry_id == old_id)
        .group_by(Offer.block_id)
        .subquery()
    )
    partial = exists().where(
        AccountActivity.activity_id == Block.activity_id,
        AccountActivity.account_id == RegistryAccount.id,
        RegistryAccount.registry_id == Block.registry_id,
        RegistryAccount.account_ref == Block.account_ref,
        AccountActivity.allows_partial,
    )
    n = func.coalesce(promised.c.n, 0)
    rows = session.execute(
        select(Block, Activity.ref, n, partial)
        .join(Activity, Activity.id == Block.activity_id)
        .outerjoin(promised, promised.c.block_id == Block.id)
        .where(Block.registry_id == old_id, or_(Block.held > 0, n > 0))
        .order_by(Block.account_ref, Block.id)
        .execution_options(populate_existing=True)
    )
    return [
        OldBlock(
            id=block.id,
            account_ref=block.account_ref,
            block_ref=block.block_ref,
            provider_id=block.provider_id,
            activity_id=block.activity_id,
            activity_ref=ref,
            unit_type=block.unit_type,
            party=block.party,
            issued=block.issued,
            held=block.held,
            promised=int(units),
            monitoring=(block.monitoring_start, block.monitoring_end),
            vintage=block.vintage,
            allows_partial=allows,
        )
        for block, ref, units, allows in rows
    ]


def list_successors(
    connector: RegistryConnector, accounts: Iterable[str]
) -> tuple[list[BlockReport], list[str]]:
    """Ask the new registry what became of accounts of the old; also what it does not know.

    Outside any transaction.

    Raises:
        UnavailableError, OutcomeUnknownError: no answer; nothing is concluded from it.

    """
    found: list[BlockReport] = []
    findings = []
    for account_ref in accounts:
        try:
            found += connector.list_successors(account_ref)
        except RefusedError as error:
            findings.append(f"account {account_ref}: unknown to the new registry: {error}")
    return found, findings


def make_plan(
    session: Session,
    old_id: str,
    new_id: str,
    blocks: Sequence[OldBlock],
    listed: Sequence[BlockReport],
    refused: Sequence[str],
) -> Plan:
    """Match everything and say what will happen. Changes nothing."""
    moved_before = frozenset(
        (account_ref, block_ref)
        for account_ref, block_ref in session.execute(
            select(Block.account_ref, Block.block_ref).where(
                Block.registry_id == new_id, Block.id.in_(select(BlockOrigin.block_id))
            )
        )
    )
    matching = match(
        blocks,
        listed,
        _known(session, new_id, moved_before),
        is_gone=lambda units: cancelling.is_taken(session, old_id, units),
        moved_before=moved_before,
    )
    findings = [*refused, *matching.findings, *_changed_lines(session, old_id)]
    on_offer: dict[int, int] = defaultdict(int)
    unpaid: Counter[int] = Counter()
    paid: Counter[int] = Counter()
    for group in matching.groups:
        offers = read_offers(session, [each.id for each in group.blocks])
        for offer in offers:
            on_offer[offer.block_id] += offer.available if offer.is_open else 0
        try:
            share_out(
                offers,
                [each.units for each in group.successors],
                [each.report.held for each in group.successors],
            )
        except UnfitError as error:
            findings.append(str(error))
    for block_id, status, n in session.execute(
        select(OrderLine.block_id, Order.status, func.count())
        .join(Order, Order.id == OrderLine.order_id)
        .join(Block, Block.id == OrderLine.block_id)
        .where(Block.registry_id == old_id, Order.status.in_(RUNNING))
        .group_by(OrderLine.block_id, Order.status)
    ):
        (unpaid if status is OrderStatus.PLACED else paid)[block_id] += n
    became = _became(matching.groups)
    rows = [
        (
            old.account_ref,
            old.block_ref,
            ", ".join(became.get(old.id, ("–",))),
            old.held,
            on_offer[old.id],
            unpaid[old.id],
            paid[old.id],
        )
        for old in blocks
    ]
    refs = {each.activity_id: each.activity_ref for each in blocks}
    return Plan(
        matching,
        findings,
        rows,
        sorted((refs[key], ref) for key, ref in matching.activities.items()),
        sorted((old, ref) for old, refs in matching.accounts.items() for ref in refs),
    )


def _became(groups: Sequence[Group]) -> dict[int, list[str]]:
    found: dict[int, list[str]] = defaultdict(list)
    for group in groups:
        for each in group.successors:
            for block_id in each.units:
                found[block_id].append(each.report.block_ref)
    return found


def _known(session: Session, new_id: str, moved_before: frozenset[tuple[str, str]]) -> Known:
    activities = session.execute(
        select(Activity.ref, Activity.id).where(Activity.registry_id == new_id)
    )
    owners = session.execute(
        select(RegistryAccount.account_ref, RegistryAccount.provider_id).where(
            RegistryAccount.registry_id == new_id, RegistryAccount.kind != AccountKind.PENDING
        )
    )
    blocks = session.execute(
        select(Block.account_ref, Block.block_ref).where(Block.registry_id == new_id)
    )
    return Known(
        dict(activities.all()),
        dict(owners.all()),
        frozenset((account, block) for account, block in blocks) - moved_before,
    )


def _changed_lines(session: Session, old_id: str) -> list[str]:
    """Find orders to which other facts were promised than their block has now."""
    rows = session.execute(
        select(Order.code, Block.block_ref)
        .join(OrderLine, OrderLine.order_id == Order.id)
        .join(Block, Block.id == OrderLine.block_id)
        .where(
            Block.registry_id == old_id,
            Order.status.in_(RUNNING),
            Order.holds_units,
            or_(
                OrderLine.unit_type != Block.unit_type,
                OrderLine.monitoring_start != Block.monitoring_start,
                OrderLine.monitoring_end != Block.monitoring_end,
            ),
        )
        .order_by(Order.id)
        .limit(MOST)
    )
    return [
        f"order {code}: was promised other units than block {ref} has by now" for code, ref in rows
    ]


def holding_line() -> ColumnElement[bool]:
    """Match the lines of running orders that hold units and can move.

    For a query of lines, their orders and (outer) their cancellations but those given up.
    """
    return and_(
        Order.holds_units,
        Order.status.in_(RUNNING),
        OrderLine.given_back_at.is_(None),
        or_(Cancellation.id.is_(None), Cancellation.status.in_(MOVABLE)),
    )


def of_line() -> ColumnElement[bool]:
    """Join a line to the cancellation of its that counts."""
    return and_(Cancellation.order_line_id == OrderLine.id, Cancellation.status != C.GIVEN_UP)


def read_offers(session: Session, block_ids: Sequence[int]) -> list[OldOffer]:
    """Return the offers that promise units of blocks, with all that holds units of them."""
    stakes: dict[int, list[Stake]] = defaultdict(list)
    for line_id, offer_id, quantity, code in session.execute(
        select(OrderLine.id, OrderLine.offer_id, OrderLine.quantity, Order.code)
        .join(Order, Order.id == OrderLine.order_id)
        .join(Offer, Offer.id == OrderLine.offer_id)
        .outerjoin(Cancellation, of_line())
        .where(Offer.block_id.in_(block_ids), holding_line())
        .order_by(OrderLine.id)
    ):
        stakes[offer_id].append(Stake("order", line_id, quantity, f"order {code}"))
    for line_id, offer_id, quantity in session.execute(
        select(CheckoutLine.id, CheckoutLine.offer_id, CheckoutLine.quantity)
        .join(Checkout, Checkout.id == CheckoutLine.checkout_id)
        .join(Offer, Offer.id == CheckoutLine.offer_id)
        .where(Offer.block_id.in_(block_ids), Checkout.status == CheckoutStatus.OPEN)
        .order_by(CheckoutLine.id)
    ):
        stakes[offer_id].append(Stake("checkout", line_id, quantity, f"checkout of line {line_id}"))
    offers = session.scalars(
        select(Offer)
        .where(Offer.block_id.in_(block_ids), stock.PROMISE > 0)
        .order_by(Offer.id)
        .execution_options(populate_existing=True)
    )
    return [
        OldOffer(
            id=offer.id,
            block_id=offer.block_id,
            is_open=offer.status is OfferStatus.OPEN,
            is_private=offer.private_token is not None,
            terms=(offer.price_minor, offer.currency, offer.min_quantity, offer.ends_at),
            available=offer.available,
            stakes=stakes[offer.id],
        )
        for offer in offers
    ]


def waiting(session: Session, old_id: str) -> list[str]:
    """Say what of the old registry is still in flight, so that nothing may move yet."""
    rows = session.execute(
        select(Order.code, Cancellation.key, Cancellation.status)
        .join(Order, Order.id == Cancellation.order_id)
        .where(Cancellation.registry_id == old_id, Cancellation.status.in_(IN_FLIGHT))
        .order_by(Cancellation.id)
        .limit(MOST)
    )
    what = {
        C.SUBMITTED: "the registry works on its cancellation",
        C.UNKNOWN: "the registry has not said whether it made its cancellation",
        C.MISMATCHED: "its cancellation is not as ordered: a person must decide",
    }
    found = [f"order {code}: {what[status]} ({key})" for code, key, status in rows]
    asked = session.scalars(
        select(Replacement)
        .join(Block, Block.id == Replacement.block_id)
        .where(Block.registry_id == old_id, Replacement.status == ReplacementStatus.ASKED)
        .options(joinedload(Replacement.order))
        .limit(MOST)
    )
    found += [
        f"order {each.order.code}: its purchaser is asked about other units until "
        f"{each.answer_by:%Y-%m-%d %H:%M} UTC; take the question back, or wait"
        for each in asked
    ]
    return found


def in_flight(session: Session, registry_id: str) -> int:
    """Count the cancellations that a registry was told of and has not answered for."""
    found = session.scalar(
        select(func.count())
        .select_from(Cancellation)
        .where(Cancellation.registry_id == registry_id, Cancellation.status.in_(IN_FLIGHT))
    )
    return found or 0


def being_read(session: Session, old_id: str, *, now: datetime) -> list[str]:
    """Say which accounts somebody began to read before the freeze and may still write down."""
    refs = session.scalars(
        select(RegistryAccount.account_ref)
        .where(RegistryAccount.registry_id == old_id, RegistryAccount.lease_until > now)
        .limit(MOST)
    )
    return [f"account {ref}: is being read" for ref in refs]


def sums(
    session: Session, which: ColumnElement[bool], units: SQLColumnExpression[int]
) -> dict[str, int]:
    """Count ``units`` of some blocks by provider, project and type."""
    rows = session.execute(
        select(Block.provider_id, Block.activity_id, Block.unit_type, func.sum(units))
        .where(which)
        .group_by(Block.provider_id, Block.activity_id, Block.unit_type)
    )
    return {f"{who}/{what}/{kind}": int(n) for who, what, kind, n in rows}


ISSUED: Final = Block.last - Block.first + 1

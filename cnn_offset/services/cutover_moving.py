"""Moving blocks that belong together to the new registry, with all that hangs on them.

One group is one transaction: done or not done, never half. Old blocks stay as what old
orders and attestations refer to; offers keep their rows, so that baskets, private links
and checkouts find them.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from datetime import date, datetime
from typing import Any, Final

from sqlalchemy import select, update
from sqlalchemy.orm import Session

from cnn_offset.domain.calendar import RegistryDates
from cnn_offset.domain.status import CheckoutStatus, OfferStatus, OrderStatus
from cnn_offset.domain.text import N_
from cnn_offset.domain.units import Obstacle, SerialRange, UnitType
from cnn_offset.models import (
    AccountActivity,
    AccountKind,
    Activity,
    Block,
    BlockOrigin,
    Cancellation,
    Checkout,
    CheckoutLine,
    Cutover,
    CutoverGroup,
    FormerRef,
    Offer,
    Order,
    OrderLine,
    RegistryAccount,
)
from cnn_offset.plugins.registries.base import BlockReport, Origin
from cnn_offset.services import stock
from cnn_offset.services.cutover_matching import Group
from cnn_offset.services.cutover_reading import IN_FLIGHT, MOVABLE, RUNNING, read_offers
from cnn_offset.services.cutover_sharing import OldOffer, Piece, share_out
from cnn_offset.services.mailing import tell_purchaser
from cnn_offset.services.moves import note
from cnn_offset.services.terms import close, keep_terms

ACTOR: Final = "cutover"
MOVED: Final = N_("Its units have moved to the registry that takes over.")
BATCH: Final = 500


class StillRunningError(Exception):
    """Something of the group is in flight again; the text says what."""


class ChangedError(Exception):
    """The blocks are not any more as they were matched; the text says how."""


def write_group(group: Group) -> list[dict[str, Any]]:
    """Return what :func:`move_group` reads."""
    return [
        {**_write(made.report), "blocks": [[key, units] for key, units in made.units.items()]}
        for made in group.successors
    ]


def _write(report: BlockReport) -> dict[str, Any]:
    return {
        "block_ref": report.block_ref,
        "account_ref": report.account_ref,
        "activity_ref": report.activity_ref,
        "unit_type": report.unit_type.value,
        "party": report.party,
        "issued": _write_range(report.issued),
        "held": report.held,
        "monitoring": [report.monitoring_start.isoformat(), report.monitoring_end.isoformat()],
        "vintage": report.vintage,
        "commitment_period": report.commitment_period,
        "obstacle": report.obstacle.value if report.obstacle else None,
        "expires_on": report.expires_on.isoformat() if report.expires_on else None,
        "origins": [[each.block_ref, *_write_range(each.units)] for each in report.origins],
    }


def _write_range(units: SerialRange) -> list[Any]:
    return [units.series, units.first, units.last, units.first_text, units.last_text]


def _read(value: Mapping[str, Any]) -> BlockReport:
    start, end = (date.fromisoformat(each) for each in value["monitoring"])
    return BlockReport(
        block_ref=value["block_ref"],
        account_ref=value["account_ref"],
        activity_ref=value["activity_ref"],
        unit_type=UnitType(value["unit_type"]),
        party=value["party"],
        issued=SerialRange(*value["issued"]),
        held=value["held"],
        monitoring_start=start,
        monitoring_end=end,
        vintage=value["vintage"],
        commitment_period=value["commitment_period"],
        obstacle=Obstacle(value["obstacle"]) if value["obstacle"] else None,
        expires_on=date.fromisoformat(value["expires_on"]) if value["expires_on"] else None,
        origins=tuple(Origin(ref, SerialRange(*units)) for ref, *units in value["origins"]),
    )


def move_group(
    session: Session, row: Cutover, group: CutoverGroup, *, dates: RegistryDates, now: datetime
) -> None:
    """Move one group. Safe to repeat: one that has moved stays as it is.

    Args:
        session: a writing transaction; the caller holds the cut-over's lease.
        row: the cut-over.
        group: of its blocks.
        dates: of the new registry.
        now: the moment.

    Raises:
        StillRunningError: the old registry is at some of its units.
        ChangedError: holdings differ from what was matched.
        UnfitError: an offer or order has no place any more.

    """
    if group.moved_at is not None:
        return
    reports = [_read(each) for each in group.successors]
    units = [dict(map(tuple, each["blocks"])) for each in group.successors]
    block_ids = sorted({block_id for each in units for block_id in each})
    old = _lock(session, block_ids)
    _check_flight(session, block_ids)
    for block in old.values():
        found = sum(each.get(block.id, 0) for each in units)
        if block.held != found:
            raise ChangedError(f"block {block.block_ref}: {block.held} units, matched {found}")
    offers = read_offers(session, block_ids)
    rows = {
        each.id: each
        for each in session.scalars(select(Offer).where(Offer.id.in_([o.id for o in offers])))
    }
    for offer in offers:
        explained = sum(each.quantity for each in offer.stakes)
        if rows[offer.id].held != explained:
            raise StillRunningError(
                f"offer {offer.id}: {rows[offer.id].held} units held, running orders and "
                f"checkouts explain {explained}"
            )
    pieces = share_out(offers, units, [each.held for each in reports])
    new = [
        _settle_block(session, row, report, [old[each] for each in own], now=now)
        for report, own in zip(reports, units, strict=True)
    ]
    for block in old.values():
        block.held = block.reported = 0
    session.flush()
    before = sum(each.promised for each in offers)
    for offer in offers:
        own = [each for each in pieces if each.offer_id == offer.id]
        _move_offer(session, offer, rows[offer.id], own, new, now=now)
    session.flush()
    after = sum(stock.promised(session, block.id) for block in new)
    assert before == after, f"{before} units promised before, {after} after"
    _tell(session, row, pieces, dates, now=now)
    group.moved_at = now


def _lock(session: Session, block_ids: Sequence[int]) -> dict[int, Block]:
    """Let nobody else decide on anything of the blocks until the commit; return them.

    Orders first, then checkouts, blocks and offers, as everywhere.
    """
    known: set[int] = set()
    looked = False
    while True:
        found = session.scalars(
            select(Order.id)
            .join(OrderLine, OrderLine.order_id == Order.id)
            .join(Offer, Offer.id == OrderLine.offer_id)
            .where(Offer.block_id.in_(block_ids), Order.status.in_(RUNNING), Order.holds_units)
        )
        fresh = sorted(set(found) - known)
        for start in range(0, len(fresh), BATCH):
            session.scalars(
                select(Order)
                .where(Order.id.in_(fresh[start : start + BATCH]))
                .order_by(Order.id)
                .with_for_update()
                .execution_options(populate_existing=True)
            ).all()
        if looked and not fresh:
            break
        looked = True
        known.update(fresh)
        session.scalars(
            select(Checkout.id)
            .where(
                Checkout.status == CheckoutStatus.OPEN,
                Checkout.id.in_(
                    select(CheckoutLine.checkout_id)
                    .join(Offer, Offer.id == CheckoutLine.offer_id)
                    .where(Offer.block_id.in_(block_ids))
                ),
            )
            .order_by(Checkout.id)
            .with_for_update()
        ).all()
    blocks = {block_id: stock.lock_block(session, block_id) for block_id in block_ids}
    for block_id in block_ids:
        stock.lock_offers(session, block_id)
    return blocks


def _check_flight(session: Session, block_ids: Sequence[int]) -> None:
    found = session.scalar(
        select(Cancellation.key)
        .join(OrderLine, OrderLine.id == Cancellation.order_line_id)
        .where(OrderLine.block_id.in_(block_ids), Cancellation.status.in_(IN_FLIGHT))
        .limit(1)
    )
    if found is not None:
        raise StillRunningError(f"cancellation {found}: in flight again")


def _settle_block(
    session: Session, row: Cutover, report: BlockReport, old: Sequence[Block], *, now: datetime
) -> Block:
    """Write down a block of the new registry, with its account, project and origins."""
    first = old[0]
    activity = session.get_one(Activity, first.activity_id)
    _rename(session, row, activity, report.activity_ref, now=now)
    mapping, kind = _settle_account(session, row, first, report.account_ref, now=now)
    obstacle = report.obstacle
    if kind is AccountKind.TEMPORARY:
        obstacle = Obstacle.ACCOUNT_KIND
    elif mapping is None:
        obstacle = Obstacle.NOT_MAPPED
    elif obstacle is Obstacle.PROCEEDS_PARTLY and mapping.allows_partial:
        obstacle = None
    made = Block(
        registry_id=row.new_id,
        account_ref=report.account_ref,
        block_ref=report.block_ref,
        activity_id=activity.id,
        provider_id=first.provider_id,
        unit_type=report.unit_type,
        party=report.party,
        series=report.issued.series,
        first=report.issued.first,
        last=report.issued.last,
        first_text=report.issued.first_text,
        last_text=report.issued.last_text,
        held=report.held,
        reported=report.held,
        monitoring_start=report.monitoring_start,
        monitoring_end=report.monitoring_end,
        vintage=report.vintage,
        commitment_period=report.commitment_period,
        expires_on=report.expires_on,
        eligible=obstacle is None,
        obstacle=obstacle or "",
        read_at=now,
    )
    session.add(made)
    session.flush()
    by_ref = {each.block_ref: each for each in old}
    session.add_all(
        BlockOrigin(
            block_id=made.id,
            former_id=by_ref[each.block_ref].id,
            series=each.units.series,
            first=each.units.first,
            last=each.units.last,
            first_text=each.units.first_text,
            last_text=each.units.last_text,
        )
        for each in report.origins
    )
    return made


def _rename(session: Session, row: Cutover, activity: Activity, ref: str, *, now: datetime) -> None:
    """Give an activity its number in the new registry; the old one still finds it."""
    if activity.registry_id != row.old_id:
        return
    session.add(
        FormerRef(
            activity_id=activity.id, registry_id=activity.registry_id, ref=activity.ref, until=now
        )
    )
    why = f"{activity.registry_id} {activity.ref}: {row.new_id} {ref}"
    activity.registry_id, activity.ref, activity.changed_at = row.new_id, ref, now
    note(session, activity, old="", new="moved", actor=ACTOR, why=why, now=now)


def _settle_account(
    session: Session, row: Cutover, old: Block, account_ref: str, *, now: datetime
) -> tuple[AccountActivity | None, AccountKind]:
    """Open the provider's account in the new registry, mapped as the old one was."""

    def known(registry_id: str, ref: str) -> RegistryAccount | None:
        return session.scalar(
            select(RegistryAccount).where(
                RegistryAccount.provider_id == old.provider_id,
                RegistryAccount.registry_id == registry_id,
                RegistryAccount.account_ref == ref,
            )
        )

    def mapped(account: RegistryAccount) -> AccountActivity | None:
        return session.scalar(
            select(AccountActivity).where(
                AccountActivity.account_id == account.id,
                AccountActivity.activity_id == old.activity_id,
            )
        )

    before, account = known(row.old_id, old.account_ref), known(row.new_id, account_ref)
    if account is None:
        account = RegistryAccount(
            provider_id=old.provider_id,
            registry_id=row.new_id,
            account_ref=account_ref,
            kind=before.kind if before else AccountKind.PERMANENT,
            created_at=now,
        )
        # Read when the cut-over is over.
        account.due_at = now
        session.add(account)
        session.flush()
        why = f"{row.old_id} {old.account_ref}"
        note(session, account, old="", new="moved", actor=ACTOR, why=why, now=now)
    mapping = mapped(account)
    was = mapped(before) if before else None
    if mapping is None and was is not None:
        mapping = AccountActivity(
            account_id=account.id,
            activity_id=old.activity_id,
            actor=was.actor,
            at=now,
            allows_partial=was.allows_partial,
        )
        session.add(mapping)
        session.flush()
    return mapping, account.kind


def _move_offer(
    session: Session,
    offer: OldOffer,
    row: Offer,
    pieces: Sequence[Piece],
    new: Sequence[Block],
    *,
    now: datetime,
) -> None:
    home = next(each for each in pieces if each.is_home)
    whole = len(pieces) == 1 and home.joins is None and home.available == offer.available
    if offer.is_open and not whole:
        row.held = sum(each.quantity for each in home.stakes)
        row.quantity = max(row.cancelled + home.units, 1)
        row.min_quantity = min(row.min_quantity, row.quantity)
    if home.joins is not None:
        # Another of the same terms stays open on that block and has what was free of this.
        close(session, row, actor=ACTOR, why=MOVED, now=now)
    row.block_id = new[home.part].id
    if home.joins is None:
        row.version += 1
        keep_terms(session, row, actor=ACTOR, why=MOVED, now=now)
    _move_lines(session, home, row.id, new[home.part])
    for piece in pieces:
        if piece is home or not piece.units:
            continue
        part = _part_of(session, row, piece, new[piece.part], now=now)
        _move_lines(session, piece, part.id, new[piece.part])


def _part_of(session: Session, row: Offer, piece: Piece, block: Block, *, now: datetime) -> Offer:
    """Make an offer of the part of another that went to a block of its own."""
    is_open = piece.joins is None and piece.available > 0
    made = Offer(
        block_id=block.id,
        provider_id=row.provider_id,
        status=OfferStatus.OPEN if is_open else OfferStatus.CLOSED,
        price_minor=row.price_minor,
        currency=row.currency,
        quantity=piece.units,
        held=sum(each.quantity for each in piece.stakes),
        cancelled=0,
        min_quantity=min(row.min_quantity, piece.units),
        ends_at=row.ends_at,
        customer="",
        version=1,
        created_at=now,
        changed_at=now,
    )
    made.due_at = made.ends_at if is_open else None
    session.add(made)
    session.flush()
    keep_terms(session, made, actor=ACTOR, why=MOVED, now=now)
    return made


def _move_lines(session: Session, piece: Piece, offer_id: int, block: Block) -> None:
    """Let lines of orders and checkouts hold their units at an offer of the new block."""
    for ids in _batches(piece, "order"):
        session.execute(
            update(OrderLine)
            .where(OrderLine.id.in_(ids))
            .values(offer_id=offer_id, block_id=block.id)
            .execution_options(synchronize_session="fetch")
        )
        # The new registry has never heard of these.
        session.execute(
            update(Cancellation)
            .where(Cancellation.order_line_id.in_(ids), Cancellation.status.in_(MOVABLE))
            .values(
                registry_id=block.registry_id,
                account_ref=block.account_ref,
                block_ref=block.block_ref,
                sends=0,
                sent_at=None,
                registry_sent_at=None,
                registry_sent_before_at=None,
            )
            .execution_options(synchronize_session="fetch")
        )
    for ids in _batches(piece, "checkout"):
        session.execute(
            update(CheckoutLine)
            .where(CheckoutLine.id.in_(ids))
            .values(offer_id=offer_id)
            .execution_options(synchronize_session="fetch")
        )


def _batches(piece: Piece, kind: str) -> Iterator[list[int]]:
    ids = [each.line_id for each in piece.stakes if each.kind == kind]
    for start in range(0, len(ids), BATCH):
        yield ids[start : start + BATCH]


def _tell(
    session: Session,
    row: Cutover,
    pieces: Sequence[Piece],
    dates: RegistryDates,
    *,
    now: datetime,
) -> None:
    """Mail each purchaser once, whatever moves of the order; keep its end in time."""
    lines = [e.line_id for piece in pieces for e in piece.stakes if e.kind == "order"]
    orders: dict[int, Order] = {}
    for start in range(0, len(lines), BATCH):
        for order in session.scalars(
            select(Order)
            .join(OrderLine, OrderLine.order_id == Order.id)
            .where(OrderLine.id.in_(lines[start : start + BATCH]))
        ):
            orders[order.id] = order
    for order in sorted(orders.values(), key=lambda each: each.id):
        if order.status is OrderStatus.PLACED:
            order.pay_by = dates.latest_due(order.pay_by)
            order.due_at = min(order.due_at, order.pay_by) if order.due_at else order.pay_by
        why = f"{row.old_id}: {row.new_id}"
        note(session, order, old="", new="moved", actor=ACTOR, why=why, now=now)
        tell_purchaser(
            session, "units_moved", order, now=now, dedup=f"units_moved:{row.id}:{order.id}"
        )

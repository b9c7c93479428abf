"""What else waits for a person: mails, news, work that fails, people who asked for something."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from datetime import datetime, timedelta
from typing import Any, Final

from sqlalchemy import ColumnElement, exists, func, select, text
from sqlalchemy.orm import Session, joinedload

from cnn_offset.domain.status import (
    ApplicationStatus,
    CorrectionStatus,
    ListingStatus,
    PayoutStatus,
    ProposalStatus,
)
from cnn_offset.models import (
    Application,
    Block,
    CheckFault,
    Correction,
    Cutover,
    Difference,
    DifferenceKind,
    Event,
    Listing,
    Message,
    Model,
    Offer,
    Order,
    PayoutMethod,
    Proposal,
    WebhookDelivery,
)
from cnn_offset.models.attending import FAILED, FAILING, UNMATCHED
from cnn_offset.models.base import WorkMixin
from cnn_offset.models.reconciling import OPEN
from cnn_offset.services import cases, stock
from cnn_offset.services.attention.kinds import Entry, Kind, waits

HINTS_KEPT: Final = timedelta(days=30)
STANDS_STILL: Final = timedelta(hours=1)
"""How long a cut-over may wait at one step: meanwhile no new orders are taken."""
ATTESTATION_MAILS: Final = ("attestation",)


def cutover(session: Session, now: datetime, _limit: int) -> Iterator[Entry]:
    """A move to another registry that stands still between two steps."""
    row = session.scalar(select(Cutover).where(Cutover.slot == 1))
    if row is not None and row.stepped_at <= now - STANDS_STILL:
        yield Entry(
            Kind.CUTOVER,
            row.stepped_at,
            "cutover",
            row.id,
            name=f"{row.old_id} → {row.new_id}",
            detail=str(row.status),
        )


def certificate(session: Session, _now: datetime, limit: int) -> Iterator[Entry]:
    """Mails with an attestation that were given up or came back."""
    return _mails(session, Kind.CERTIFICATE, Message.kind.in_(ATTESTATION_MAILS), limit)


def mail(session: Session, _now: datetime, limit: int) -> Iterator[Entry]:
    """Other mails that were given up or came back."""
    return _mails(session, Kind.MAIL, Message.kind.not_in(ATTESTATION_MAILS), limit)


def _mails(session: Session, kind: Kind, which: Any, limit: int) -> Iterator[Entry]:
    for message, code in session.execute(
        select(Message, Order.code)
        .outerjoin(Order, Order.id == Message.order_id)
        .where(
            Message.id.in_(select(Message.id).where(text(FAILED))),
            # Erased with the person it was for: nobody is to send it any more.
            Message.recipient != "",
            which,
            waits(kind),
        )
        .order_by(Message.id)
        .limit(limit)
    ):
        yield Entry(
            kind,
            message.created_at,
            "message",
            message.id,
            code or "",
            message.kind,
            message.failure or message.last_error,
        )


def fault(session: Session, _now: datetime, limit: int) -> Iterator[Entry]:
    """What did not add up last night."""
    for row in session.scalars(
        select(CheckFault).where(waits(Kind.FAULT)).order_by(CheckFault.since).limit(limit)
    ):
        yield Entry(Kind.FAULT, row.since, "check_fault", row.id, detail=row.words)


def units_missing(session: Session, _now: datetime, limit: int) -> Iterator[Entry]:
    """Blocks that hold less than their running orders need: sold elsewhere, or vanished."""
    needed = func.sum(Offer.held)
    rows = session.execute(
        select(Block, needed)
        .join(Offer, Offer.block_id == Block.id)
        .where(Offer.held > 0)
        .group_by(Block.id)
        .having(needed > Block.reported)
        .options(joinedload(Block.provider))
        .order_by(Block.id)
        .limit(limit)
    ).all()
    for block, held in rows:
        missing = held - block.reported - stock.in_flight(session, block)
        if missing > 0:
            yield Entry(
                Kind.UNITS_MISSING,
                block.read_at,
                "block",
                block.id,
                name=block.provider.name,
                detail=f"{block.block_ref}, {missing}",
                where=block.provider.slug,
            )


OF_HOLDINGS: Final = (DifferenceKind.HOLDING, DifferenceKind.REPORT)


def books(session: Session, _now: datetime, limit: int) -> Iterator[Entry]:
    """Cancellations that we have otherwise than the registry's own list."""
    return _differences(session, Kind.BOOKS, Difference.kind.not_in(OF_HOLDINGS), limit)


def holdings(session: Session, _now: datetime, limit: int) -> Iterator[Entry]:
    """Blocks of which the registry says now this, now that, or what cannot be."""
    return _differences(session, Kind.HOLDINGS, Difference.kind.in_(OF_HOLDINGS), limit)


def _differences(
    session: Session, kind: Kind, which: ColumnElement[bool], limit: int
) -> Iterator[Entry]:
    for row, code in session.execute(
        select(Difference, Order.code)
        .outerjoin(Order, Order.id == Difference.order_id)
        .where(text(f"difference.{OPEN}"), which)
        .order_by(Difference.found_at)
        .limit(limit)
    ):
        yield Entry(
            kind,
            row.found_at,
            "difference",
            row.id,
            code or "",
            name=row.name,
            detail=f"{row.registry_id}: {row.kind}",
            where=str(row.id),
        )


def work_kinds() -> list[Any]:
    """Return every kind of row that waits for work (``jobs.WORK``)."""
    mapped = (each.class_ for each in Model.registry.mappers)
    return sorted(
        (each for each in mapped if issubclass(each, WorkMixin)),
        key=lambda kind: str(kind.__tablename__),
    )


def failing(session: Session, _now: datetime, limit: int) -> Iterator[Entry]:
    """Work that has failed time and again and is still tried."""
    found: list[Any] = []
    for kind in work_kinds():
        rows = (
            select(kind)
            .where(text(FAILING), kind.due_at.is_not(None))
            .order_by(kind.due_at)
            .limit(limit)
        )
        found += session.scalars(rows).all()
    ids = {_order_id(row) for row in found}
    codes: dict[int, str] = dict(
        session.execute(select(Order.id, Order.code).where(Order.id.in_(ids))).all()
    )
    for row in found:
        yield Entry(
            Kind.FAILING,
            row.due_at,
            row.__tablename__,
            row.id,
            codes.get(_order_id(row), ""),
            f"{row.__tablename__} {getattr(row, 'name', row.id)}",
            f"{row.attempts}: {row.last_error}",
        )


def _order_id(row: Any) -> int:
    found: int | None = row.id if isinstance(row, Order) else getattr(row, "order_id", None)
    return found or 0


def proposal(session: Session, _now: datetime, limit: int) -> Iterator[Entry]:
    """Steps that one operator has asked for and another must approve."""
    for row in session.scalars(
        select(Proposal)
        .where(Proposal.status == ProposalStatus.WAITING)
        .options(joinedload(Proposal.order))
        .order_by(Proposal.id)
        .limit(limit)
    ):
        code = row.order.code if row.order else ""
        yield Entry(
            Kind.PROPOSAL, row.asked_at, "proposal", row.id, code, str(row.kind), row.reason
        )


def correction(session: Session, _now: datetime, limit: int) -> Iterator[Entry]:
    """Corrections that purchasers have asked for and nobody has proposed or refused."""
    proposed = exists().where(
        Proposal.status == ProposalStatus.WAITING,
        Proposal.subject == "correction",
        Proposal.subject_id == Correction.id,
    )
    for row in session.scalars(
        select(Correction)
        .where(Correction.status == CorrectionStatus.ASKED, ~proposed)
        .options(joinedload(Correction.order))
        .order_by(Correction.id)
        .limit(limit)
    ):
        yield Entry(
            Kind.CORRECTION,
            row.asked_at,
            "correction",
            row.id,
            row.order.code,
            detail=row.remark,
        )


def case(session: Session, now: datetime, limit: int) -> Iterator[Entry]:
    """Cases in which we are late with an answer or a solution."""
    for row in cases.waiting(session, now, limit=limit):
        yield Entry(
            Kind.CASE,
            cases.due_at(row),
            "support_case",
            row.id,
            name=row.code,
            detail=row.summary,
            where=row.code,
        )


def unmatched(session: Session, now: datetime, limit: int) -> Iterator[Entry]:
    """Processors' news of payments that nobody here knows."""
    for row in session.scalars(
        select(WebhookDelivery)
        .where(
            text(UNMATCHED),
            WebhookDelivery.received_at >= now - HINTS_KEPT,
            waits(Kind.UNMATCHED),
        )
        .order_by(WebhookDelivery.received_at)
        .limit(limit)
    ):
        yield Entry(
            Kind.UNMATCHED,
            row.received_at,
            "webhook_delivery",
            row.id,
            detail=f"{row.method_id} {row.event_id}",
        )


def application(session: Session, _now: datetime, limit: int) -> Iterator[Entry]:
    """Organisations that would be providers."""
    for row in session.scalars(
        select(Application)
        .where(Application.status == ApplicationStatus.SUBMITTED)
        .order_by(Application.submitted_at)
        .limit(limit)
    ):
        yield Entry(
            Kind.APPLICATION, row.submitted_at, "application", row.id, name=row.organisation
        )


def listing(session: Session, _now: datetime, limit: int) -> Iterator[Entry]:
    """Texts and pictures of projects to review."""
    for row in session.scalars(
        select(Listing)
        .where(Listing.status == ListingStatus.SUBMITTED)
        .options(joinedload(Listing.activity), joinedload(Listing.provider))
        .order_by(Listing.submitted_at, Listing.id)
        .limit(limit)
    ):
        yield Entry(
            Kind.LISTING,
            row.submitted_at or row.created_at,
            "listing",
            row.id,
            name=f"{row.activity.ref}, {row.provider.name}",
        )


def payout(
    session: Session, now: datetime, limit: int, *, methods: Collection[str] = ()
) -> Iterator[Entry]:
    """Providers that ask for bank transfer."""
    rows = session.scalars(
        select(PayoutMethod)
        .where(
            PayoutMethod.method_id.in_(methods),
            PayoutMethod.status == PayoutStatus.STARTED,
        )
        .options(joinedload(PayoutMethod.provider))
        .order_by(PayoutMethod.id)
        .limit(limit)
    ).all()
    asked = dict(
        session.execute(
            select(Event.subject_id, func.max(Event.at))
            .where(Event.subject == "payout_method", Event.subject_id.in_([row.id for row in rows]))
            .group_by(Event.subject_id)
        ).all()
    )
    for row in rows:
        if row.account:
            since = asked.get(row.id, now)
            yield Entry(Kind.PAYOUT, since, "payout_method", row.id, name=row.provider.name)

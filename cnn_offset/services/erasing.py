"""Erasing personal data by rule, at somebody's wish, when two operators agree.

What stays, because others rely on it: the cancellation with its serial numbers, name and
reason as far as the purchaser had them published, quantity, price, the facts of payments,
the audit trail, and for ten years a receipt in the provider's name. All else is blanked.
The PDF of an attestation stays if all it says is public; otherwise the file goes, and its
hash stays, so that a copy in somebody's hands can still be checked.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any, Final

from sqlalchemy import ColumnElement, and_, delete, exists, or_, select, update
from sqlalchemy.orm import Session

from cnn_offset.domain import retention
from cnn_offset.domain.status import (
    LIVE,
    ApplicationStatus,
    AttestationStatus,
    CaseStatus,
    CorrectionStatus,
    MessageStatus,
    OrderStatus,
    PaymentStatus,
    ProposalStatus,
    RefundStatus,
)
from cnn_offset.domain.text import N_
from cnn_offset.models import (
    Application,
    ApplicationNote,
    Attestation,
    BankEntry,
    Cancellation,
    Case,
    CaseFile,
    CaseMessage,
    Checkout,
    Chore,
    Correction,
    DoomedFile,
    Invitation,
    Message,
    Order,
    OrderTerm,
    Paper,
    PaperKind,
    Payment,
    Proof,
    Proposal,
    ProposalKind,
    Refund,
    User,
)
from cnn_offset.services import ServiceError, announce, blanking, closing, proposing
from cnn_offset.services.moves import move, note
from cnn_offset.services.personal import about, order_ids

ERASED: Final = "data erased"
"""What an event says of an order or an account whose personal data went."""
MOST_ORDERS: Final = 2000
"""Orders that one approval erases; of more the rest is asked for again."""
_PART: Final = 200
_OPEN: Final = (
    OrderStatus.PLACED,
    OrderStatus.PAID,
    OrderStatus.IN_REVIEW,
    OrderStatus.REFUND_DUE,
)
_MONEY: Final = (*LIVE, PaymentStatus.IN_REVIEW, PaymentStatus.DISPUTED)
_CLOSED: Final = (ApplicationStatus.REFUSED, ApplicationStatus.WITHDRAWN)


def runs() -> ColumnElement[bool]:
    """Tell the orders that something still runs of; correlated to ``Order``."""
    return or_(
        Order.status.in_(_OPEN),
        exists().where(Payment.order_id == Order.id, Payment.status.in_(_MONEY)),
        exists().where(
            Attestation.order_id == Order.id, Attestation.status == AttestationStatus.QUEUED
        ),
        exists().where(
            Correction.order_id == Order.id, Correction.status == CorrectionStatus.ASKED
        ),
        exists().where(Refund.order_id == Order.id, Refund.status == RefundStatus.QUEUED),
        exists().where(Case.order_id == Order.id, Case.status != CaseStatus.CLOSED),
        exists().where(Proposal.order_id == Order.id, Proposal.status == ProposalStatus.WAITING),
    )


def check_erasable(session: Session, email: str) -> None:
    """See that nothing of a person's still runs.

    Raises:
        ServiceError: an order, a case or an application does; the first ones are named.

    """
    for ids in _parts(order_ids(session, email, limit=MOST_ORDERS)):
        _see_ended(session, ids)
    cases = session.scalars(
        select(Case.code)
        .where(Case.email == email, Case.status != CaseStatus.CLOSED)
        .order_by(Case.id)
        .limit(5)
    ).all()
    if cases:
        raise ServiceError(
            N_("These cases are still open: %(codes)s. Please close them first."),
            codes=", ".join(cases),
        )


def _see_ended(session: Session, ids: Sequence[int]) -> None:
    codes = session.scalars(
        select(Order.code).where(Order.id.in_(ids), runs()).order_by(Order.id).limit(5)
    ).all()
    if codes:
        raise ServiceError(
            N_("Something of these orders still runs: %(codes)s. Please end it first."),
            codes=", ".join(codes),
        )


def ask(session: Session, email: str, *, reason: str, actor: str, now: datetime) -> Proposal:
    """Ask for the erasure of what is kept about ``email``; another operator must approve.

    Raises:
        ServiceError: there is nothing, something still runs, it was asked for already, or
            no reason is given.

    """
    row = about(session, email)
    if row is None:
        raise ServiceError(N_("Nothing is kept about this address."))
    check_erasable(session, email)
    return proposing.propose(
        session, ProposalKind.ERASURE, row, {"email": email}, reason=reason, actor=actor, now=now
    )


@proposing.does(ProposalKind.ERASURE)
def _erase(session: Session, proposal: Proposal, actor: str, now: datetime) -> None:
    """Do it; the proposal then says no more of whom it was."""
    if "historic_id" in proposal.payload:
        blanking.blank(session, int(proposal.payload["historic_id"]), actor=actor, now=now)
        return
    email = str(proposal.payload["email"])
    counts = erase(session, email, actor=actor, now=now)
    proposal.payload = {"email": "", **counts}


def erase(session: Session, email: str, *, actor: str, now: datetime) -> dict[str, int]:
    """Erase what is kept about a person, close the account, and say how much there was.

    Safe to repeat. Files go with the next turn of the retention chore, which is rung.

    Raises:
        ServiceError: something still runs, or the account cannot be closed.

    """
    check_erasable(session, email)
    ids = order_ids(session, email, limit=MOST_ORDERS)
    user = session.scalar(select(User).where(User.email == email))
    cases = _erase_cases(session, email, now=now)
    if user is not None:
        closing.close(session, user, actor=actor, tell=False, now=now)
        _erase_applications(session, user, now=now)
        session.execute(
            update(Checkout)
            .where(Checkout.user_id == user.id)
            .values(details={}, user_id=None, erased_at=now)
        )
        note(session, user, old="", new=ERASED, actor=actor, why="at their wish", now=now)
    blank_orders(session, ids, actor=actor, why="at the purchaser’s wish", now=now)
    session.execute(delete(Invitation).where(Invitation.email == email))
    _blank_mails(session, Message.recipient == email, recipients=True, now=now)
    ring(session, now=now)
    return {"orders": len(ids), "cases": cases, "accounts": 0 if user is None else 1}


def blank_orders(
    session: Session, ids: Sequence[int], *, actor: str, why: str, now: datetime
) -> None:
    """Take the personal data out of orders that have ended, and of all that hangs on them.

    Safe to repeat; an order that was erased is left alone, but for a receipt that may now go.
    """
    for part in _parts(ids):
        # Nobody else decides on them meanwhile, in the order in which all lock them.
        orders = session.scalars(
            select(Order)
            .where(Order.id.in_(part), Order.erased_at.is_(None))
            .order_by(Order.id)
            .with_for_update()
            .execution_options(populate_existing=True)
        ).all()
        _see_ended(session, [each.id for each in orders])
        for order in orders:
            _blank_attestations(session, order, now=now)
            _blank(order)
            order.erased_at = now
            note(session, order, old="", new=ERASED, actor=actor, why=why, now=now)
        session.flush()
        _blank_beside(session, [each.id for each in orders], now=now)
        blank_papers(session, Paper.order_id.in_(part), now=now)


def _blank(order: Order) -> None:
    order.purchaser_name = order.company = order.email = ""
    order.street = order.city = order.postcode = ""
    order.tax_id = order.purchase_order = ""
    order.user_id = None
    if not order.publish_name:
        order.beneficiary = ""
    if not order.publish_reason:
        order.reason = ""


def _blank_attestations(session: Session, order: Order, *, now: datetime) -> None:
    for row in session.scalars(select(Attestation).where(Attestation.order_id == order.id)):
        hidden = {
            name: ""
            for name, public in (
                ("beneficiary", order.publish_name),
                ("reason", order.publish_reason),
            )
            if not public
        }
        if hidden:
            row.data = {**row.data, **hidden}
            if row.path:
                session.add(DoomedFile(path=row.path, since=now))
                row.path = ""


def _blank_beside(session: Session, ids: Sequence[int], *, now: datetime) -> None:
    """Blank what other tables know of the purchasers of ``ids``."""
    if not ids:
        return
    for name, public in (("beneficiary", Order.publish_name), ("reason", Order.publish_reason)):
        hidden = select(Order.id).where(Order.id.in_(ids), ~public)
        _set(session, Cancellation, Cancellation.order_id.in_(hidden), **{name: ""})
    session.execute(delete(OrderTerm).where(OrderTerm.order_id.in_(ids)))
    _set(session, BankEntry, BankEntry.order_id.in_(ids), payer="", text="")
    checkouts = select(Order.checkout_id).where(Order.id.in_(ids))
    _set(session, Checkout, Checkout.id.in_(checkouts), details={}, user_id=None, erased_at=now)
    _set(
        session,
        Correction,
        Correction.order_id.in_(ids),
        beneficiary="",
        reason="",
        remark="",
        asked_by="",
        answer="",
    )
    _set(
        session,
        Proposal,
        and_(Proposal.order_id.in_(ids), Proposal.kind == ProposalKind.CORRECTION),
        payload={"beneficiary": "", "reason": "", "was": ["", ""]},
    )
    providers = select(Message.id).where(Message.order_id.in_(ids))
    _blank_mails(session, Message.id.in_(providers), recipients=True, now=now)


def _set(session: Session, kind: Any, where: ColumnElement[bool], **values: Any) -> None:
    session.execute(
        update(kind).where(where).values(**values).execution_options(synchronize_session=False)
    )


def _blank_mails(
    session: Session, where: ColumnElement[bool], *, recipients: bool, now: datetime
) -> None:
    """Forget to whom mails went and what they said; what waits is not sent any more."""
    waiting = select(Message).where(where, Message.status == MessageStatus.QUEUED)
    for row in session.scalars(waiting):
        move(session, row, MessageStatus.FAILED, actor="core", why="erased", now=now)
    session.flush()
    values: dict[str, Any] = {"params": {}, "due_at": None, "last_error": ""}
    if recipients:
        values["recipient"] = ""
    _set(session, Message, where, **values)
    session.expire_all()


def blank_papers(session: Session, where: ColumnElement[bool], *, now: datetime) -> int:
    """Take the purchaser out of papers, out of receipts only after ten years; how many."""
    rows = session.scalars(
        select(Paper).where(
            where,
            Paper.erased_at.is_(None),
            or_(Paper.kind != PaperKind.RECEIPT, Paper.issued_at < now - retention.ORDERS),
        )
    ).all()
    for row in rows:
        side = {**row.data["purchaser"], "name": "", "lines": [], "tax_id": "", "email": ""}
        row.data = {**row.data, "purchaser": side, "purchase_order": ""}
        row.erased_at = now
    return len(rows)


def _erase_cases(session: Session, email: str, *, now: datetime) -> int:
    ids = session.scalars(select(Case.id).where(Case.email == email)).all()
    said = select(CaseMessage.id).where(CaseMessage.case_id.in_(ids))
    files = session.scalars(select(CaseFile).where(CaseFile.message_id.in_(said))).all()
    for each in files:
        session.add(DoomedFile(path=each.path, since=now))
        session.delete(each)
    session.flush()
    _set(session, CaseMessage, CaseMessage.case_id.in_(ids), text="", sender="")
    _set(session, Case, Case.id.in_(ids), name="", email="", summary="", order_typed="")
    return len(ids)


def _erase_applications(session: Session, user: User, *, now: datetime) -> None:
    """Erase applications that came to nothing; the papers of a provider stay with it."""
    rows = session.scalars(
        select(Application).where(Application.user_id == user.id, Application.status.in_(_CLOSED))
    ).all()
    for row in rows:
        row.address = row.website = ""
        drop_proofs(session, row.proofs, now=now)
        _set(
            session,
            ApplicationNote,
            ApplicationNote.application_id == row.id,
            text="",
            actor="",
        )


def drop_proofs(session: Session, proofs: Sequence[Proof], *, now: datetime) -> None:
    """Delete documents of an application, and have their files removed."""
    for each in list(proofs):
        session.add(DoomedFile(path=each.path, since=now))
        session.delete(each)
    session.flush()


def ring(session: Session, *, now: datetime) -> None:
    """Have the retention chore take its turn now, for the files."""
    chore = session.scalar(select(Chore).where(Chore.name == "retention"))
    if chore is not None:
        chore.due_at = now
        announce(session, "chore", chore.id, now)


def _parts(ids: Sequence[int]) -> list[Sequence[int]]:
    return [ids[at : at + _PART] for at in range(0, len(ids), _PART)]

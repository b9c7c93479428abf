"""Correcting the spelling on attestations: asked for by purchasers, decided by two operators.

A correction gives the order another attestation with a number of its own, which supersedes
the one before. Only the beneficiary's name and the reason may differ: quantity, units and
serial numbers are facts of the registry, and what the registry was told stays as it is.
"""

from __future__ import annotations

import secrets
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from sqlalchemy import select
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session, joinedload

from cnn_offset.domain.status import CorrectionStatus, OrderStatus
from cnn_offset.domain.text import N_
from cnn_offset.models import (
    Attestation,
    Correction,
    Order,
    OrderTerm,
    Proposal,
    ProposalKind,
)
from cnn_offset.services import NotFoundError, ServiceError, proposing
from cnn_offset.services.attesting import current_attestation
from cnn_offset.services.fulfilling import next_number
from cnn_offset.services.mailing import tell_purchaser
from cnn_offset.services.moves import lock_order, move, note
from cnn_offset.services.recording import words

NOT_NOW: Final = N_(
    "The attestation of this order cannot be corrected now: it is not issued yet, or a "
    "corrected one is just being made."
)
NOTHING_CHANGED: Final = N_("Name and reason are the same as before: change what is wrong.")
ASKED_ALREADY: Final = N_(
    "A correction of this order has been asked for already. Please wait for our answer."
)
DECIDED: Final = N_("This request has been decided meanwhile.")


@dataclass(frozen=True, slots=True)
class Texts:
    """What stands on an attestation and may be corrected; both cleaned and printable."""

    beneficiary: str
    reason: str


def texts_of(order: Order) -> Texts:
    """Return what the order's attestation says now."""
    return Texts(order.beneficiary, order.reason)


def correctable(session: Session, order: Order) -> Attestation | None:
    """Return the attestation that can be corrected: issued, with none being made after it."""
    if order.status is not OrderStatus.FULFILLED or order.erased_at is not None:
        return None
    found = current_attestation(session, order.id)
    return found if found and found.superseded_by is None else None


def open_request(session: Session, order: Order) -> Correction | None:
    """Return what was asked for an order and is not decided yet."""
    return session.scalar(
        select(Correction).where(
            Correction.order_id == order.id, Correction.status == CorrectionStatus.ASKED
        )
    )


def newest(session: Session, order: Order) -> Correction | None:
    """Return what was asked for last, decided or not."""
    return session.scalar(
        select(Correction)
        .where(Correction.order_id == order.id)
        .order_by(Correction.id.desc())
        .limit(1)
    )


def ask(
    session: Session, order: Order, texts: Texts, remark: str, *, actor: str, now: datetime
) -> Correction:
    """Ask that the attestation of ``order`` should read ``texts``.

    Raises:
        ServiceError: there is nothing to correct, nothing is changed, or it was asked before.

    """
    order = lock_order(session, order.id)
    attestation = correctable(session, order)
    if attestation is None:
        raise ServiceError(NOT_NOW)
    if open_request(session, order) is not None:
        raise ServiceError(ASKED_ALREADY)
    if texts == texts_of(order):
        raise ServiceError(NOTHING_CHANGED)
    made = Correction(
        order_id=order.id,
        attestation_id=attestation.id,
        beneficiary=texts.beneficiary,
        reason=texts.reason,
        remark=remark,
        asked_by=actor,
        asked_at=now,
    )
    try:
        with session.begin_nested():
            session.add(made)
    except IntegrityError as error:
        raise ServiceError(ASKED_ALREADY) from error
    note(
        session,
        made,
        old="",
        new=str(CorrectionStatus.ASKED),
        actor=actor,
        why=f"attestation {attestation.number}",
        now=now,
    )
    return made


def find(session: Session, correction_id: int) -> Correction:
    """Return a request.

    Raises:
        NotFoundError: there is none of that number.

    """
    found = session.get(Correction, correction_id)
    if found is None:
        raise NotFoundError(str(correction_id))
    return found


def asked(session: Session, *, after: int | None, limit: int) -> list[Correction]:
    """Return the requests that wait for operators, oldest first."""
    wanted = select(Correction).where(Correction.status == CorrectionStatus.ASKED)
    if after:
        wanted = wanted.where(Correction.id > after)
    wanted = wanted.options(joinedload(Correction.order), joinedload(Correction.attestation))
    return list(session.scalars(wanted.order_by(Correction.id).limit(limit)))


def decided(session: Session, *, before: int | None, limit: int) -> list[Correction]:
    """Return the requests that were decided, newest first."""
    wanted = select(Correction).where(Correction.status != CorrectionStatus.ASKED)
    if before:
        wanted = wanted.where(Correction.id < before)
    wanted = wanted.options(joinedload(Correction.order), joinedload(Correction.attestation))
    return list(session.scalars(wanted.order_by(Correction.id.desc()).limit(limit)))


def propose(
    session: Session,
    correction: Correction,
    texts: Texts,
    *,
    reason: str,
    actor: str,
    now: datetime,
) -> Proposal:
    """Propose to a second operator that the attestation should read ``texts``.

    Args:
        session: a writing transaction.
        correction: the request.
        texts: as asked for, or as the operator would have it.
        reason: why, in words that anybody may read: it stands in the record.
        actor: the operator.
        now: the moment.

    Raises:
        ServiceError: it is decided, proposed already, or would change nothing.

    """
    order = lock_order(session, correction.order_id)
    session.refresh(correction)
    if correction.status is not CorrectionStatus.ASKED:
        raise ServiceError(DECIDED)
    if correctable(session, order) is None:
        raise ServiceError(NOT_NOW)
    if texts == texts_of(order):
        raise ServiceError(NOTHING_CHANGED)
    payload = {
        "beneficiary": texts.beneficiary,
        "reason": texts.reason,
        "was": [order.beneficiary, order.reason],
    }
    return proposing.propose(
        session, ProposalKind.CORRECTION, correction, payload, reason=reason, actor=actor, now=now
    )


def refuse(
    session: Session, correction: Correction, answer: str, *, actor: str, now: datetime
) -> None:
    """Refuse a request; the purchaser is mailed the answer.

    Raises:
        ServiceError: it is decided, or a proposal about it waits.

    """
    lock_order(session, correction.order_id)
    session.refresh(correction)
    if proposing.waiting_for(session, ProposalKind.CORRECTION, correction) is not None:
        raise ServiceError(
            N_("A proposal about this waits for a second operator: decide that first.")
        )
    if not answer.strip():
        raise ServiceError(N_("Please write the reason."))
    if correction.status is not CorrectionStatus.ASKED or not move(
        session, correction, CorrectionStatus.REFUSED, actor=actor, why=answer, now=now
    ):
        raise ServiceError(DECIDED)
    correction.answer, correction.decided_by, correction.decided_at = answer.strip(), actor, now
    tell_purchaser(
        session,
        "correction_refused",
        correction.order,
        now=now,
        dedup=f"correction_refused:{correction.id}",
        params={"correction_id": correction.id},
    )


@proposing.does(ProposalKind.CORRECTION)
def _correct(session: Session, proposal: Proposal, actor: str, now: datetime) -> None:
    """Number an attestation in place of the one that is wrong; it is made like any other.

    Raises:
        ServiceError: the request is decided, or the order's texts are no longer those that
            the proposal was about.

    """
    correction = find(session, proposal.subject_id)
    order = lock_order(session, correction.order_id)
    old = correctable(session, order)
    if old is None or old.id != correction.attestation_id:
        raise ServiceError(NOT_NOW)
    texts = Texts(proposal.payload["beneficiary"], proposal.payload["reason"])
    if proposal.payload["was"] != [order.beneficiary, order.reason] or not move(
        session,
        correction,
        CorrectionStatus.CORRECTED,
        actor=actor,
        why=f"proposed by {proposal.asked_by}",
        now=now,
    ):
        raise ServiceError(DECIDED)
    correction.decided_by, correction.decided_at = actor, now
    _keep_terms(session, order, texts)
    order.beneficiary, order.reason = texts.beneficiary, texts.reason
    new = Attestation(
        order_id=order.id,
        supersedes_id=old.id,
        correction=proposal.reason,
        sequence=next_number(session, "attestation"),
        year=now.year,
        check_code=secrets.token_urlsafe(16),
        locale=old.locale,
        data={},
        fulfilled_at=old.fulfilled_at,
        due_at=now,
    )
    session.add(new)
    session.flush()
    note(
        session,
        new,
        old="",
        new=str(new.status),
        actor=actor,
        why=f"in place of {old.number}: {proposal.reason}",
        now=now,
    )


def _keep_terms(session: Session, order: Order, texts: Texts) -> None:
    """Let operators find the order by the new name too; the old one still leads to it."""
    for word in {*words(texts.beneficiary)} - {*words(order.beneficiary)}:
        session.merge(
            OrderTerm(provider_id=order.provider_id, term=f"for:{word}"[:80], order_id=order.id)
        )

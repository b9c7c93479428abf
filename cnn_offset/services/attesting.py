"""Attestations: what they say, and issuing them once; and the one that holds for an order."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import replace
from datetime import date, datetime
from typing import Protocol

from sqlalchemy import CursorResult, select, update
from sqlalchemy.orm import Session

from cnn_offset.domain.attestation import AttestationData, AttestedLine, AttestedRange
from cnn_offset.domain.status import AttestationStatus, CancellationStatus
from cnn_offset.domain.units import UnitType
from cnn_offset.models import Attestation, Block, Cancellation
from cnn_offset.services import Begin
from cnn_offset.services.checking_out import PlanPart
from cnn_offset.services.mailing import tell_purchaser
from cnn_offset.services.moves import move
from cnn_offset.services.recording import forget_terms, index_terms


class Issuer(Protocol):
    """What issuing needs of the outside: addresses, the registries' names, PDF, files."""

    def check_url(self, code: str, locale: str) -> str:
        """Return the public address that checks the attestation with ``code``."""

    def registry_title(self, registry_id: str) -> str:
        """Return the message id that names a registry connection."""

    def render_and_sign(self, data: AttestationData) -> bytes:
        """Make the signed PDF.

        Raises:
            AttestationError: it cannot be made as it should look.

        """

    def store(self, path: str, pdf: bytes) -> None:
        """Keep the PDF; raises OSError if there is no room."""

    def discard(self, path: str) -> None:
        """Remove a PDF that nothing refers to."""


def current_attestation(session: Session, order_id: int) -> Attestation | None:
    """Return the attestation of an order: the newest issued, if any is."""
    return session.scalar(
        select(Attestation)
        .where(Attestation.order_id == order_id, Attestation.status == AttestationStatus.ISSUED)
        .order_by(Attestation.id.desc())
        .limit(1)
    )


def attestation_data(session: Session, attestation: Attestation, issuer: Issuer) -> AttestationData:
    """Gather what the attestation of a fulfilled order says."""
    order = attestation.order
    cancellations = session.scalars(
        select(Cancellation)
        .where(
            Cancellation.order_id == order.id,
            # Of a line that was given back there is none.
            Cancellation.status == CancellationStatus.CONFIRMED,
        )
        .order_by(Cancellation.order_line_id)
    )
    lines = []
    for each in cancellations:
        planned = _line(
            each.line.block,
            each.quantity,
            title=issuer.registry_title(each.registry_id),
            # Frozen when ordered: authorisation can change until first transfer.
            unit_type=each.line.unit_type,
            monitoring=(each.line.monitoring_start, each.line.monitoring_end),
            expires_on=each.line.expires_on,
        )
        lines.append(
            replace(
                planned,
                registry_ref=each.registry_ref,
                completed_at=each.completed_at or attestation.fulfilled_at,
                ranges=tuple(
                    AttestedRange(one.first_text, one.last_text, one.serials.quantity)
                    for one in each.ranges
                ),
            )
        )
    return AttestationData(
        locale=attestation.locale,
        beneficiary=order.beneficiary,
        reason=order.reason,
        lines=tuple(lines),
        number=attestation.number,
        check_url=issuer.check_url(attestation.check_code, attestation.locale),
        fulfilled_at=attestation.fulfilled_at,
        replaces=attestation.supersedes.number if attestation.supersedes else "",
    )


def preview_data(
    part: PlanPart,
    *,
    beneficiary: str,
    reason: str,
    locale: str,
    registry_titles: Mapping[str, str],
) -> AttestationData:
    """Say what the attestation of one part of a payment plan will look like.

    Args:
        part: one provider's part of a checkout.
        beneficiary: as typed so far.
        reason: as typed so far.
        locale: the attestation's language.
        registry_titles: message ids by registry connection.

    """
    return AttestationData(
        locale=locale,
        beneficiary=beneficiary,
        reason=reason,
        lines=tuple(
            _line(
                line.offer.block,
                line.quantity,
                title=registry_titles.get(
                    line.offer.block.registry_id, line.offer.block.registry_id
                ),
                unit_type=line.offer.block.unit_type,
                monitoring=(
                    line.offer.block.monitoring_start,
                    line.offer.block.monitoring_end,
                ),
                expires_on=line.offer.block.expires_on,
            )
            for line in part.lines
        ),
    )


def _line(
    block: Block,
    quantity: int,
    *,
    title: str,
    unit_type: UnitType,
    monitoring: tuple[date, date],
    expires_on: date | None,
) -> AttestedLine:
    activity = block.activity
    return AttestedLine(
        unit_type=unit_type,
        quantity=quantity,
        activity_title=dict(activity.title),
        activity_ref=activity.ref_in(block.registry_id),
        activity_kind=activity.kind.value,
        host_party=activity.host_party,
        monitoring_start=monitoring[0],
        monitoring_end=monitoring[1],
        registry_id=block.registry_id,
        registry_title=title,
        expires_on=expires_on,
    )


def issue_attestation(begin: Begin, attestation_id: int, *, issuer: Issuer, now: datetime) -> None:
    """Make, sign and store a numbered attestation, enter it in the record and mail it.

    The PDF is made and stored outside any transaction, under a name of its own; then one
    transaction refers to it, by compare-and-set. Who loses that race removes their file; a
    crash between leaves a file nothing refers to. Safe to repeat: once issued, nothing more
    happens.

    Raises:
        AttestationError: the PDF cannot be made.
        OSError: it cannot be stored; the worker tries again later.

    """
    with begin() as session:
        row = session.get_one(Attestation, attestation_id)
        if row.status is AttestationStatus.ISSUED:
            return
        data = attestation_data(session, row, issuer)
        name = row.number.replace("/", "-")
        year = row.year
    pdf = issuer.render_and_sign(data)
    sha256 = hashlib.sha256(pdf).hexdigest()
    path = f"attestations/{year}/{name}-{sha256[:16]}.pdf"
    issuer.store(path, pdf)
    with begin() as session:
        won = _claim(session, attestation_id, path=path, sha256=sha256, data=data, now=now)
        row = session.get_one(Attestation, attestation_id, populate_existing=True)
        if won:
            move(session, row, AttestationStatus.ISSUED, actor="core", why=sha256, now=now)
            index_terms(session, row, data)
            _tell(session, row, now=now)
        kept = row.path
    if kept != path:
        issuer.discard(path)


def _tell(session: Session, row: Attestation, *, now: datetime) -> None:
    """Mail it; and let the record find it in place of the one that it supersedes."""
    if row.supersedes_id is None:
        tell_purchaser(session, "attestation", row.order, now=now)
        return
    forget_terms(session, row.supersedes_id)
    tell_purchaser(
        session,
        "attestation_corrected",
        row.order,
        now=now,
        dedup=f"attestation_corrected:{row.id}",
    )


def _claim(
    session: Session,
    attestation_id: int,
    *,
    path: str,
    sha256: str,
    data: AttestationData,
    now: datetime,
) -> bool:
    """Set what an issued attestation has, if it is still queued; whether it was."""
    done = session.execute(
        update(Attestation)
        .where(
            Attestation.id == attestation_id,
            Attestation.status == AttestationStatus.QUEUED,
        )
        .values(path=path, sha256=sha256, data=data.as_json(), issued_at=now)
        .execution_options(synchronize_session=False)
    )
    assert isinstance(done, CursorResult)
    return done.rowcount == 1

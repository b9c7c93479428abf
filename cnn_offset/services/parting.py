"""What operators decide on one line that its registry refused, while the others stand.

Another's units in its place, if the purchaser agrees; or the line is given back: its units
are free again, what was paid for it goes back, and the order is what is left of it.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime

from sqlalchemy import select
from sqlalchemy.orm import Session

from cnn_offset.domain.calendar import RegistryDates
from cnn_offset.domain.payment import judge
from cnn_offset.domain.status import CancellationStatus, OrderStatus, PaymentStatus
from cnn_offset.domain.text import N_
from cnn_offset.models import Cancellation, Order, Payment
from cnn_offset.plugins.registries.base import CancellationReport, RegistryConnector, ReportStatus
from cnn_offset.services import (
    Begin,
    ServiceError,
    cancelling,
    charging,
    replacing,
    stock,
)
from cnn_offset.services.deciding import DECIDED, ask, locked
from cnn_offset.services.mailing import tell_provider, tell_purchaser
from cnn_offset.services.moves import move, note

C, O = CancellationStatus, OrderStatus  # noqa: E741
GIVEN_BACK = "part given back"


def replace(
    begin: Begin,
    cancellation_id: int,
    offer_id: int,
    *,
    connectors: Mapping[str, RegistryConnector],
    registry_dates: Mapping[str, RegistryDates],
    state: str,
    reason: str,
    actor: str,
    now: datetime,
) -> None:
    """Ask the purchaser whether units of another offer may take the place of refused ones.

    Raises:
        ServiceError: they cannot, the registry did cancel after all, or somebody decided before.
        UnavailableError, OutcomeUnknownError: the registry did not answer.

    """
    # None where it is not configured any more: its refusal is then the last that is known.
    known = ask(begin, cancellation_id, C.REJECTED, connectors)
    with begin() as session:
        row, order = _refused(session, cancellation_id, known, state=state, reason=reason)
        replacing.ask(
            session,
            order,
            row,
            offer_id,
            registry_dates=registry_dates,
            actor=actor,
            why=reason,
            now=now,
        )


def take_back(
    session: Session, order_id: int, *, state: str, reason: str, actor: str, now: datetime
) -> None:
    """Take back what the purchaser was asked; the units held for it are free again.

    Raises:
        ServiceError: nothing is asked any more, or somebody decided before.

    """
    order = locked(session, order_id, state, reason)
    if not replacing.take_back(session, order, actor=actor, why=reason, now=now):
        raise ServiceError(DECIDED)
    tell_purchaser(
        session,
        "replacement_lapsed",
        order,
        now=now,
        dedup=f"replacement_lapsed:{state}:{order.id}",
    )


def why_not_give_back(session: Session, order: Order, row: Cancellation) -> str:
    """Say why the line of a refused cancellation cannot be given back; empty if it can."""
    if order.status is not O.IN_REVIEW or row.status is not C.REJECTED:
        return DECIDED
    if all(line.id == row.order_line_id for line in order.standing):
        return N_("Nothing else of this order stands: all of its money goes back, or nothing.")
    if _paid(session, order) is None:
        return N_("The money of this order is in doubt. First decide on it.")
    return ""


def _paid(session: Session, order: Order) -> Payment | None:
    """Return the payment that paid an order, if its money is there."""
    return session.scalar(
        select(Payment).where(
            Payment.order_id == order.id,
            Payment.paid_order.is_(True),
            Payment.status == PaymentStatus.SUCCEEDED,
        )
    )


def give_back(
    begin: Begin,
    cancellation_id: int,
    *,
    connectors: Mapping[str, RegistryConnector],
    state: str,
    reason: str,
    actor: str,
    now: datetime,
) -> None:
    """Decide that a refused line is not cancelled and its money goes back.

    The rest of the order goes on if nothing else of it waits. The money itself is given back
    by the provider, or by its processor at the word of two operators.

    Raises:
        ServiceError: it cannot be, the registry did cancel after all, or somebody decided before.
        UnavailableError, OutcomeUnknownError: the registry did not answer.

    """
    # None where it is not configured any more: its refusal is then the last that is known.
    known = ask(begin, cancellation_id, C.REJECTED, connectors)
    with begin() as session:
        row, order = _refused(session, cancellation_id, known, state=state, reason=reason)
        why, payment = why_not_give_back(session, order, row), _paid(session, order)
        if why or payment is None:
            raise ServiceError(why or DECIDED)
        line = row.line
        replacing.take_back(session, order, line_id=line.id, actor=actor, why=reason, now=now)
        move(session, row, C.GIVEN_UP, actor=actor, why=reason, now=now)
        line.given_back_at = now
        if order.holds_units:
            stock.release(session, [(line.offer_id, line.quantity)])
        payment.waived_minor += line.total.minor
        payment.verdict = judge(
            due=payment.due,
            payee=payment.payee_account,
            facts=[each.value for each in payment.facts],
        )
        note(session, order, old="", new=GIVEN_BACK, actor=actor, why=reason, now=now)
        session.flush()
        charging.look_again(session, order.id)
        told = {"line_id": line.id}
        dedup = f"part_given_back:{line.id}"
        tell_purchaser(session, "part_given_back", order, now=now, dedup=dedup, params=told)
        tell_provider(session, "part_to_give_back", order, now=now, dedup=f"{dedup}:provider")
        replacing.go_on(session, order, actor=actor, why=reason, now=now)


def _refused(
    session: Session,
    cancellation_id: int,
    known: CancellationReport | None,
    *,
    state: str,
    reason: str,
) -> tuple[Cancellation, Order]:
    """Return a cancellation that is refused for sure, and its locked order in review."""
    row = session.get_one(Cancellation, cancellation_id)
    order = locked(session, row.order_id, state, reason)
    session.refresh(row)
    if order.status is not O.IN_REVIEW or row.status is not C.REJECTED:
        raise ServiceError(DECIDED)
    if known is not None and known.status is ReportStatus.ACCEPTED:
        raise ServiceError(N_("The registry is still working on it. Please wait."))
    if (
        known is not None
        and known.status is ReportStatus.CONFIRMED
        and not cancelling.fault(session, row, known)
    ):
        raise ServiceError(
            N_(
                "The registry reports the units as cancelled after all. Try the cancellation again: "
                "it is then recorded."
            )
        )
    return row, order

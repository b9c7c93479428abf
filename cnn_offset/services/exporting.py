"""Everything that is kept about a person, as tables of plain values to be taken along."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import date, datetime
from typing import Any, Final

from sqlalchemy import select
from sqlalchemy.orm import Session, selectinload

from cnn_offset.models import (
    Application,
    Attestation,
    Cancellation,
    Case,
    CaseMessage,
    Correction,
    Event,
    Invitation,
    Message,
    Order,
    OrderLine,
    Paper,
    Payment,
    User,
)

Table = dict[str, Any]
MOST: Final = 5000
"""Rows of each kind beside the orders; nobody has so many."""
_ORDER: Final = (
    "code", "placed_at", "status", "total_minor", "currency", "method_id", "locale",
    "purchaser_kind", "purchaser_name", "company", "email", "street", "city", "postcode",
    "country", "tax_id", "purchase_order", "beneficiary", "reason", "publish_name",
    "publish_reason", "terms_version", "consented_at", "pay_by", "paid_at", "fulfilled_at",
    "erased_at",
)  # fmt: skip
_USER: Final = (
    "email", "name", "locale", "create_datetime", "confirmed_at", "update_datetime",
    "staff_role", "operator_role", "tf_primary_method",
)  # fmt: skip


def account(session: Session, user: User) -> Table:
    """Return an account's own particulars; no password, no key of a second factor."""
    return {
        **_values(user, _USER),
        "provider": user.provider.name if user.provider else None,
        "passkeys": [_values(each, ("name", "create_datetime")) for each in user.webauthn],
        "applications": [
            {
                **_values(
                    each,
                    (
                        "organisation", "country", "address", "website", "role", "registry_id",
                        "account_ref", "activities", "status", "submitted_at", "decided_at",
                    ),
                ),
                "notes": [_values(one, ("actor", "text", "at")) for one in each.notes],
                "documents": [_values(one, ("filename", "uploaded_at")) for one in each.proofs],
            }
            for each in session.scalars(
                select(Application)
                .where(Application.user_id == user.id)
                .options(selectinload(Application.notes), selectinload(Application.proofs))
                .limit(MOST)
            )
        ],
        "history": [
            _values(each, ("at", "old", "new", "actor", "why"))
            for each in session.scalars(
                select(Event)
                .where(Event.subject == "user", Event.subject_id == user.id)
                .order_by(Event.id)
                .limit(MOST)
            )
        ],
    }  # fmt: skip


def correspondence(session: Session, email: str) -> Table:
    """Return mails, cases and invitations of an address. Links that open something are left out."""
    return {
        "mails": [
            _values(each, ("kind", "recipient", "locale", "created_at", "sent_at"))
            for each in session.scalars(
                select(Message).where(Message.recipient == email).order_by(Message.id).limit(MOST)
            )
        ],
        "cases": [
            {
                **_values(each, ("code", "kind", "status", "name", "email", "opened_at")),
                "messages": [
                    _values(one, ("at", "voice", "sender", "text"))
                    for one in session.scalars(
                        select(CaseMessage)
                        .where(CaseMessage.case_id == each.id)
                        .order_by(CaseMessage.id)
                        .limit(MOST)
                    )
                ],
            }
            for each in session.scalars(
                select(Case).where(Case.email == email).order_by(Case.id).limit(MOST)
            )
        ],
        "invitations": [
            _values(each, ("email", "role", "operator_role", "invited_by", "created_at"))
            for each in session.scalars(select(Invitation).where(Invitation.email == email))
        ],
    }


def orders(session: Session, ids: Sequence[int]) -> list[Table]:
    """Return some orders with all that hangs on them."""
    found = session.scalars(
        select(Order)
        .where(Order.id.in_(ids))
        .options(
            selectinload(Order.provider),
            selectinload(Order.lines).selectinload(OrderLine.block),
        )
        .order_by(Order.id.desc())
    ).all()
    payments = _by_order(session, Payment, ids, selectinload(Payment.facts))
    cancelled = _by_order(session, Cancellation, ids, selectinload(Cancellation.ranges))
    attested, written = _by_order(session, Attestation, ids), _by_order(session, Paper, ids)
    wishes, history = _by_order(session, Correction, ids), _by_order(session, Event, ids)
    return [
        {
            **_values(order, _ORDER),
            "provider": order.provider.name,
            "lines": [
                {
                    **_values(line, ("unit_type", "quantity", "price_minor", "given_back_at")),
                    "block": line.block.block_ref,
                }
                for line in order.lines
            ],
            "payments": [
                {
                    **_values(each, ("key", "method_id", "status", "created_at")),
                    "facts": _rows(
                        each.facts, ("at", "kind", "status", "amount_minor", "currency", "reason")
                    ),
                }
                for each in payments.get(order.id, ())
            ],
            "cancellations": [
                {
                    **_values(
                        each,
                        (
                            "registry_id", "registry_ref", "status", "quantity", "beneficiary",
                            "reason", "completed_at",
                        ),
                    ),
                    "serial_numbers": _rows(each.ranges, ("first_text", "last_text")),
                }
                for each in cancelled.get(order.id, ())
            ],
            "attestations": _rows(
                attested.get(order.id, ()), ("number", "issued_at", "sha256", "data")
            ),
            "papers": _rows(written.get(order.id, ()), ("kind", "issued_at", "data")),
            "corrections": _rows(
                wishes.get(order.id, ()),
                ("beneficiary", "reason", "remark", "status", "asked_at", "answer"),
            ),
            "history": _rows(
                history.get(order.id, ()), ("at", "subject", "old", "new", "actor", "why")
            ),
        }
        for order in found
    ]  # fmt: skip


def attestation_files(session: Session, ids: Sequence[int]) -> list[tuple[str, str]]:
    """Return name and path of the PDFs of some orders."""
    rows = session.scalars(
        select(Attestation)
        .where(Attestation.order_id.in_(ids), Attestation.path != "")
        .order_by(Attestation.id)
    )
    return [(f"attestation-{each.number.replace('/', '-')}.pdf", each.path) for each in rows]


def _by_order(
    session: Session, kind: Any, ids: Sequence[int], *options: Any
) -> dict[int, list[Any]]:
    rows = select(kind).where(kind.order_id.in_(ids)).order_by(kind.id).options(*options)
    found: dict[int, list[Any]] = {}
    for row in session.scalars(rows):
        found.setdefault(row.order_id, []).append(row)
    return found


def _rows(rows: Iterable[Any], names: Sequence[str]) -> list[Table]:
    return [_values(each, names) for each in rows]


def _values(row: Any, names: Sequence[str]) -> Table:
    return {name: _plain(getattr(row, name)) for name in names}


def _plain(value: Any) -> Any:
    return value.isoformat() if isinstance(value, date | datetime) else value

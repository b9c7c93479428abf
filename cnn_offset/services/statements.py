"""Statements of providers' banks: taken once, matched, and what is certain recorded.

A file's entries are added in one transaction. Recording those that pay exactly is work that
waits in the statement's row, some at a time, so that a crash between loses nothing.
"""

from __future__ import annotations

import hashlib
import json
from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from contextlib import suppress
from datetime import datetime, timedelta
from typing import Any, Final

from sqlalchemy import func, insert, select
from sqlalchemy.orm import Session, joinedload

from cnn_offset.domain.payment import FactStatus
from cnn_offset.domain.statement import (
    Statement,
    StatementLine,
    check_size,
    entry_key,
    is_same_account,
    named_lines,
)
from cnn_offset.domain.status import BankEntryStatus
from cnn_offset.domain.text import N_
from cnn_offset.models import (
    BankEntry,
    BankStatement,
    Finding,
    Order,
    Payment,
    PayoutMethod,
)
from cnn_offset.plugins.payments.base import StatementPlugin
from cnn_offset.services import Begin, NotFoundError, ServiceError, banking, matching
from cnn_offset.services.bank_entries import money_staff
from cnn_offset.services.mailing import queue_message
from cnn_offset.services.settling import Outcome

BATCH: Final = 500
AT_ONCE: Final = 40
"""Entries recorded in one transaction; each may queue cancellations and mails."""
SAME_DAYS: Final = timedelta(days=10)
"""A bank's reference that comes again later than this is another entry's."""
_ENTRY = insert(BankEntry.__table__)  # type: ignore[arg-type]


class KnownStatementError(ServiceError):
    """The same file was read before; ``statement_id`` says as which."""

    def __init__(self, statement_id: int) -> None:
        super().__init__(N_("This file was read before. Nothing was added."))
        self.statement_id = statement_id


def file_hash(data: bytes, mapping: Mapping[str, Any] | None) -> str:
    """Name a file by its content, and a table also by how its columns were read."""
    how = json.dumps(mapping, sort_keys=True).encode() if mapping else b""
    return hashlib.sha256(data + how).hexdigest()


def bank_account(session: Session, provider_id: int, methods: Collection[str]) -> PayoutMethod:
    """Return the way by which a provider's statements are read.

    Raises:
        NotFoundError: the provider takes no bank transfers.

    """
    found = session.scalar(
        select(PayoutMethod)
        .where(PayoutMethod.provider_id == provider_id, PayoutMethod.method_id.in_(methods))
        .order_by(PayoutMethod.id)
    )
    if found is None:
        raise NotFoundError("no bank account")
    return found


def check_account(
    session: Session, payout: PayoutMethod, plugin: StatementPlugin, statements: Sequence[Statement]
) -> None:
    """Refuse statements of an account that is not the provider's.

    One that the details have just been changed from or to is taken too: orders keep the
    account they were placed with. So is any where the provider sends the details itself.

    Raises:
        ServiceError: naming the account.

    """
    accounts = [payout.account, *([payout.next_account] if payout.next_account else [])]
    if any(str(each.get("sends_own_details", "")).strip() for each in accounts):
        return
    known = {plugin.payee_account(each) for each in accounts}
    for account in {each.account for each in statements} - {""}:
        if any(is_same_account(each, account) for each in known):
            continue
        used = session.scalars(
            select(Payment.payee_account)
            .join(Payment.order)
            .where(Order.provider_id == payout.provider_id, Payment.method_id == payout.method_id)
            .distinct()
        )
        if not any(is_same_account(each, account) for each in used):
            raise ServiceError(
                N_("The statement is of account %(account)s, which is not yours here."),
                account=account[:40],
            )


def import_statement(
    session: Session,
    payout: PayoutMethod,
    statements: Sequence[Statement],
    *,
    sha256: str,
    filename: str,
    actor: str,
    now: datetime,
) -> BankStatement:
    """Add what is new in a file that was read; entries that are known are only counted.

    Safe to repeat: the same file is refused, and overlapping files add what is new in them.

    Raises:
        KnownStatementError: the file was read before.

    """
    banking.lock_entries(session, payout.provider_id)
    known = session.scalar(
        select(BankStatement.id).where(
            BankStatement.provider_id == payout.provider_id, BankStatement.sha256 == sha256
        )
    )
    if known is not None:
        raise KnownStatementError(known)
    lines = [line for each in statements for line in each.lines]
    check_size(len(lines))
    made = BankStatement(
        provider_id=payout.provider_id,
        sha256=sha256,
        filename=filename[:200],
        format=str(statements[0].format),
        account=statements[0].account[:40],
        entries=len(lines),
        added=0,
        uploaded_by=actor,
        uploaded_at=now,
        due_at=now,
    )
    session.add(made)
    session.flush()
    named = named_lines(lines)
    fresh: list[StatementLine] = []
    taken: set[str] = set()
    for at in range(0, len(named), BATCH):
        fresh += _fresh(session, payout.provider_id, named[at : at + BATCH], taken)
    for at in range(0, len(fresh), BATCH):
        _add(session, made, fresh[at : at + BATCH], actor=actor, now=now)
    made.added = len(fresh)
    return made


def _fresh(
    session: Session,
    provider_id: int,
    named: Sequence[tuple[StatementLine, str]],
    taken: set[str],
) -> list[StatementLine]:
    """Return the lines that are not known, each under a name that nothing else has."""
    keys = {entry_key(name) for line, second in named for name in (line.ref, second)}
    rows = session.execute(
        select(
            BankEntry.key, BankEntry.amount_minor, BankEntry.currency, BankEntry.received_on
        ).where(BankEntry.provider_id == provider_id, BankEntry.key.in_(keys))
    )
    known = {key: (minor, currency, day) for key, minor, currency, day in rows}
    fresh = []
    for line, second in named:
        first_key, second_key = entry_key(line.ref), entry_key(second)
        if second_key in known:
            continue
        old = known.get(first_key)
        if (
            old is not None
            and first_key not in taken
            and old[:2] == (line.amount.minor, line.amount.currency)
            and abs(old[2] - line.received_on) <= SAME_DAYS
        ):
            # It stands for this one line; another of the same name in the file is another.
            taken.add(first_key)
            continue
        if old is not None or first_key in taken:
            line = _renamed(line, second)
        taken.add(entry_key(line.ref))
        fresh.append(line)
    return fresh


def _renamed(line: StatementLine, ref: str) -> StatementLine:
    return StatementLine(ref, line.amount, line.received_on, line.payer, line.reference, line.text)


def _add(
    session: Session,
    statement: BankStatement,
    lines: Sequence[StatementLine],
    *,
    actor: str,
    now: datetime,
) -> None:
    rows = []
    found = matching.match(session, statement.provider_id, lines)
    for line, match in zip(lines, found, strict=True):
        # Money the provider spends on other things is nobody's business here.
        needs_nobody = match.finding is Finding.OUTGOING
        rows.append(
            {
                "provider_id": statement.provider_id,
                "statement_id": statement.id,
                "key": entry_key(line.ref),
                "status": BankEntryStatus.DISMISSED if needs_nobody else BankEntryStatus.WAITING,
                "finding": match.finding,
                "order_id": match.order_id,
                "amount_minor": line.amount.minor,
                "currency": line.amount.currency,
                "received_on": line.received_on,
                "bank_ref": line.ref,
                "payer": _plain(line.payer, 200),
                "text": _plain(" · ".join(filter(None, (line.reference, line.text))), 1000),
                "proposed_by": "",
                "decided_by": "",
                "created_at": now,
            }
        )
    session.connection().execute(_ENTRY, rows)


def _plain(text: str, longest: int) -> str:
    """Keep what can be shown; databases refuse some signs that files may have."""
    return "".join(sign if sign.isprintable() else " " for sign in text)[:longest].strip()


def record_matches(
    begin: Begin, statement_id: int, *, second_from: int, now: datetime
) -> datetime | None:
    """Record some entries that pay exactly, if the provider lets them; mail what waits.

    Only where the payer gave the order's own reference and no other, the order waits for
    just this money and no second person is needed. The caller holds the statement's lease.
    Returns when to go on: now, or None when all were looked at. Safe to repeat.
    """
    with begin() as session:
        statement = session.get_one(BankStatement, statement_id)
        payout = session.scalar(
            select(PayoutMethod).where(
                PayoutMethod.provider_id == statement.provider_id, PayoutMethod.confirms_alone
            )
        )
        some: Sequence[BankEntry] = []
        if payout is not None:
            some = session.scalars(
                select(BankEntry)
                .where(
                    BankEntry.statement_id == statement_id,
                    BankEntry.id > statement.done_to,
                    BankEntry.status == BankEntryStatus.WAITING,
                    BankEntry.finding == Finding.EXACT,
                )
                .order_by(BankEntry.id)
                .limit(AT_ONCE)
            ).all()
        for entry in sorted(some, key=lambda each: each.order_id or 0):
            _record_alone(session, entry, second_from=second_from, now=now)
        if some:
            statement.done_to = max(each.id for each in some)
            return now
        _tell(session, statement, now=now)
        return None


def _record_alone(session: Session, entry: BankEntry, *, second_from: int, now: datetime) -> None:
    follows = banking.prospect(session, entry, second_from=second_from, now=now)
    if (
        follows is None
        or follows.outcome is not Outcome.PAYS
        or follows.needs_second
        or not matching.named_by_reference(entry)
        or any(
            fact.status is FactStatus.DONE and fact.amount_minor for fact in follows.payment.facts
        )
    ):
        return
    # Somebody may just be deciding it: then there is nothing left to do.
    with suppress(ServiceError):
        banking.record(
            session,
            entry,
            actor="bank statement",
            second_from=second_from,
            expects=Outcome.PAYS,
            now=now,
        )


def _tell(session: Session, statement: BankStatement, *, now: datetime) -> None:
    waits = sum(
        n for (status, _), n in counts(session, statement).items()
        if status is BankEntryStatus.WAITING
    )  # fmt: skip
    if not waits:
        return
    for each in money_staff(session, statement.provider_id):
        queue_message(
            session,
            "entries_wait",
            recipient=each.email,
            locale=each.locale,
            now=now,
            dedup=f"entries_wait:{statement.id}:{each.id}",
            params={"statement_id": statement.id, "count": waits},
        )


def find_statement(session: Session, provider_id: int, statement_id: int) -> BankStatement:
    """Return one statement of a provider.

    Raises:
        NotFoundError: there is none, or it is another provider's.

    """
    found = session.scalar(
        select(BankStatement).where(
            BankStatement.id == statement_id, BankStatement.provider_id == provider_id
        )
    )
    if found is None:
        raise NotFoundError(f"bank statement {statement_id}")
    return found


def statements_of(
    session: Session, provider_id: int, *, before: int | None = None, limit: int = 50
) -> Sequence[BankStatement]:
    """Return a provider's statements, newest first."""
    wanted = select(BankStatement).where(BankStatement.provider_id == provider_id)
    if before is not None:
        wanted = wanted.where(BankStatement.id < before)
    return session.scalars(wanted.order_by(BankStatement.id.desc()).limit(limit)).all()


def counts(
    session: Session, statement: BankStatement
) -> Mapping[tuple[BankEntryStatus, Finding], int]:
    """Count a statement's own entries by what is decided and what they were found to be."""
    rows = session.execute(
        select(BankEntry.status, BankEntry.finding, func.count())
        .where(BankEntry.statement_id == statement.id)
        .group_by(BankEntry.status, BankEntry.finding)
    )
    return Counter({(status, finding): n for status, finding, n in rows})


def entries_of(session: Session, statement: BankStatement, *, limit: int) -> Sequence[BankEntry]:
    """Return the first entries that a statement brought, those that wait among them."""
    return session.scalars(
        select(BankEntry)
        .where(BankEntry.statement_id == statement.id)
        .options(joinedload(BankEntry.order))
        .order_by(BankEntry.id)
        .limit(limit)
    ).all()

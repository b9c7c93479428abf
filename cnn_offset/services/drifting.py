"""Where our copy of an account had drifted from the registry's, and what cannot be (F5, F8).

Between whole readings only what the registry says has changed is read. A whole reading that
finds more shows that something was not told, or not taken down.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from datetime import datetime
from typing import Final

from sqlalchemy import select
from sqlalchemy.orm import Session

from cnn_offset.models import Block, DifferenceKind, Night, RegistryAccount
from cnn_offset.plugins.registries.base import BlockReport
from cnn_offset.services import differing
from cnn_offset.services.registry_lists import Listed

MOST: Final = 100
"""Of one account and reading: more is one trouble, not many."""


def compare(
    session: Session,
    account: RegistryAccount,
    reports: Sequence[BlockReport],
    lately: Listed,
    *,
    now: datetime,
) -> None:
    """Keep where blocks hold other than we were told, before that is put right.

    ``lately``: what the registry says has changed since it was last asked.
    """
    told = {
        block.block_ref: block
        for block in session.scalars(
            select(Block).where(
                Block.provider_id == account.provider_id,
                Block.registry_id == account.registry_id,
                Block.account_ref == account.account_ref,
                Block.block_ref.in_([each.block_ref for each in reports]),
            )
        )
    }
    found = 0
    for report in reports:
        ref = report.block_ref
        block = told.get(ref)
        if block is None or ref in lately.blocks or ref in lately.gone:
            continue
        if block.reported != report.held and found < MOST:
            found += 1
            differing.find(
                session,
                account.registry_id,
                DifferenceKind.HOLDING,
                _name(account, ref),
                ours={"held": block.reported, "block": ref, "account": account.account_ref},
                theirs={"held": report.held, "block": ref, "account": account.account_ref},
                now=now,
                account_id=account.id,
                block_id=block.id,
                night_id=_tonight(session, account),
            )


def is_accepted(session: Session, account: RegistryAccount, ref: str, words: str) -> bool:
    """Whether a person has settled that what a registry says of a block is so."""
    return differing.is_settled(
        session,
        account.registry_id,
        DifferenceKind.REPORT,
        _name(account, ref),
        _odd(account, ref, words),
    )


def _odd(account: RegistryAccount, ref: str, words: str) -> dict[str, str]:
    return {"words": words, "block": ref, "account": account.account_ref}


def keep_odd(
    session: Session,
    account: RegistryAccount,
    ref: str,
    words: str,
    block: Block | None,
    *,
    now: datetime,
) -> None:
    """Keep what a registry says of a block that cannot be."""
    differing.find(
        session,
        account.registry_id,
        DifferenceKind.REPORT,
        _name(account, ref),
        ours={},
        theirs=_odd(account, ref, words),
        now=now,
        account_id=account.id,
        block_id=block.id if block else None,
        night_id=_tonight(session, account),
    )


def forget(
    session: Session, account: RegistryAccount, odd: Collection[str], *, began: datetime
) -> None:
    """End the differences of an account that a whole reading did not meet again."""
    still = {_name(account, ref) for ref in odd}
    kinds = (DifferenceKind.HOLDING, DifferenceKind.REPORT)
    for row in differing.open_of(session, account.registry_id, kinds):
        if row.account_id != account.id or row.name in still or row.seen_at >= began:
            continue
        is_odd = row.kind is DifferenceKind.REPORT
        why = differing.MAKES_SENSE if is_odd else differing.CORRECTED
        differing.end(session, row, why=why, now=began)


def _name(account: RegistryAccount, ref: str) -> str:
    return f"{account.account_ref} {ref}"


def _tonight(session: Session, account: RegistryAccount) -> int | None:
    """Return the night that has the account read, if one does."""
    night = session.execute(
        select(Night.id, Night.ended_at)
        .where(Night.registry_id == account.registry_id)
        .order_by(Night.day.desc())
        .limit(1)
    ).first()
    return None if night is None or night.ended_at is not None else night.id

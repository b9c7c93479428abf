"""Which account of a registry is whose, for the operators' page of a provider."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Final

from sqlalchemy import func, select
from sqlalchemy.orm import Session, selectinload

from cnn_offset.domain.text import N_
from cnn_offset.models import (
    AccountActivity,
    AccountKind,
    Activity,
    Provider,
    RegistryAccount,
    User,
)
from cnn_offset.services import NotFoundError, ServiceError, holdings
from cnn_offset.services.applying import PENDING_ACCOUNT
from cnn_offset.services.moves import note

MOST: Final = 100
"""Accounts and people shown of one provider."""


def accounts(session: Session, provider: Provider) -> Sequence[RegistryAccount]:
    """Return a provider's accounts with what is mapped to them."""
    return session.scalars(
        select(RegistryAccount)
        .where(RegistryAccount.provider_id == provider.id)
        .options(selectinload(RegistryAccount.mappings).selectinload(AccountActivity.activity))
        .order_by(RegistryAccount.id)
        .limit(MOST)
    ).all()


def people(session: Session, provider: Provider) -> Sequence[User]:
    """Return a provider's staff."""
    return session.scalars(
        select(User).where(User.provider_id == provider.id).order_by(User.id).limit(MOST)
    ).all()


def account(session: Session, provider_id: int, account_id: int) -> RegistryAccount:
    """Return an account of a provider.

    Raises:
        NotFoundError: there is none, or it is another provider's.

    """
    found = session.scalar(
        select(RegistryAccount).where(
            RegistryAccount.id == account_id, RegistryAccount.provider_id == provider_id
        )
    )
    if found is None:
        raise NotFoundError(f"account {account_id}")
    return found


def mapping(session: Session, provider_id: int, mapping_id: int) -> AccountActivity:
    """Return what maps an activity to an account of a provider.

    Raises:
        NotFoundError: there is none, or it is another provider's.

    """
    found = session.scalar(
        select(AccountActivity)
        .join(AccountActivity.account)
        .where(AccountActivity.id == mapping_id, RegistryAccount.provider_id == provider_id)
        .options(selectinload(AccountActivity.account), selectinload(AccountActivity.activity))
    )
    if found is None:
        raise NotFoundError(f"mapping {mapping_id}")
    return found


def activity(session: Session, account: RegistryAccount, ref: str) -> Activity:
    """Return the activity that the registry of ``account`` calls ``ref``.

    Raises:
        ServiceError: it is not registered here.

    """
    found = session.scalar(
        select(Activity).where(
            Activity.registry_id == account.registry_id,
            func.upper(Activity.ref) == ref.strip().replace("\0", "").upper(),
        )
    )
    if found is None:
        raise ServiceError(
            N_("Project %(ref)s is not registered here yet. Register it first."), ref=ref[:40]
        )
    return found


def open_account(
    session: Session,
    provider: Provider,
    *,
    registry_id: str,
    account_ref: str,
    kind: AccountKind,
    actor: str,
    now: datetime,
) -> RegistryAccount:
    """Have one more account read for a provider; the pending one has a name of its own.

    Raises:
        ServiceError: it is another provider's.

    """
    opened = holdings.open_account(
        session,
        provider,
        registry_id=registry_id,
        account_ref=PENDING_ACCOUNT if kind is AccountKind.PENDING else account_ref,
        kind=kind,
        now=now,
    )
    note(session, opened, old="", new="opened", actor=actor, why="", now=now)
    return opened

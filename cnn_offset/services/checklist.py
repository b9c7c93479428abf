"""A provider's way to its first sale, and what it has to do after that. Reads only."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Any, Final

from sqlalchemy import Exists, exists, func, select
from sqlalchemy.orm import Session

from cnn_offset.domain.status import (
    BankEntryStatus,
    ListingStatus,
    OfferStatus,
    PayoutStatus,
)
from cnn_offset.domain.text import N_
from cnn_offset.models import (
    AccountActivity,
    Activity,
    BankEntry,
    Block,
    Listing,
    Offer,
    OfferTerms,
    PayoutMethod,
    Provider,
    RegistryAccount,
)

COUNTED: Final = 100
"""Counting stops here; the page then says "99+"."""
SHRUNK_FOR: Final = timedelta(days=14)
"""How long an offer that shrank is shown."""
L, P = ListingStatus, PayoutStatus


class Who(StrEnum):
    """Who has to act before a point is done."""

    YOU = "you"
    US = "us"
    REGISTRY = "registry"
    PROCESSOR = "processor"


@dataclass(frozen=True, slots=True)
class Point:
    """One point of the checklist; ``title`` and ``todo`` are English message ids."""

    title: str
    endpoint: str
    """The page where it is done."""
    who: Who | None = None
    """Who has to act; None where it is done."""
    todo: str = ""
    details: Sequence[str] = ()
    """More to do, as English message ids."""

    @property
    def done(self) -> bool:
        """Whether nobody has to do anything."""
        return self.who is None


def checklist(session: Session, provider_id: int, *, second_factor: bool) -> list[Point]:
    """Say what stands between a provider and its first sale, in order.

    Args:
        session: any.
        provider_id: whose.
        second_factor: whether the reader's own account has one.

    """
    known = _known(session, provider_id)
    return [
        _account(known),
        _holdings(known),
        _payout(session, provider_id),
        _page(session, provider_id, known),
        _offer(known),
        Point(N_("Your second factor"), "account.second_factor")
        if second_factor
        else Point(
            N_("Your second factor"),
            "account.second_factor",
            Who.YOU,
            N_(
                "Protect your account with an app that shows codes, or with a passkey. Without it "
                "nothing that moves money or units can be done."
            ),
        ),
        *_fees(session, provider_id),
    ]


def _known(session: Session, provider_id: int) -> dict[str, bool]:
    """Ask all that is yes or no in one query."""
    account = select(RegistryAccount.id).where(RegistryAccount.provider_id == provider_id)
    block = select(Block.id).where(Block.provider_id == provider_id, Block.held > 0)
    mapped = (
        select(AccountActivity.id)
        .join(AccountActivity.account)
        .where(RegistryAccount.provider_id == provider_id)
    )
    asked: dict[str, Exists] = {
        "account": exists(account),
        "read": exists(account.where(RegistryAccount.read_at.is_not(None))),
        "failing": exists(account.where(RegistryAccount.last_error != "")),
        "mapped": exists(mapped),
        "held": exists(block),
        "eligible": exists(block.where(Block.eligible)),
        "offer": exists(
            select(Offer.id).where(
                Offer.provider_id == provider_id, Offer.status == OfferStatus.OPEN
            )
        ),
        # A page of units it holds that was public before it had a workspace.
        "public": exists(block.join(Block.activity).where(Activity.picture != "")),
    }
    row = session.execute(select(*asked.values())).one()
    return {name: bool(value) for name, value in zip(asked, row, strict=True)}


def _account(known: dict[str, bool]) -> Point:
    title, endpoint = N_("Your account and your projects"), "provider.holdings"
    if not known["account"]:
        todo = N_("We connect your workspace with your account at the registry.")
        return Point(title, endpoint, Who.US, todo)
    if not known["mapped"]:
        todo = N_(
            "We map your projects to your account. If that takes more than two working days, "
            "please write to us."
        )
        return Point(title, endpoint, Who.US, todo)
    return Point(title, endpoint)


def _holdings(known: dict[str, bool]) -> Point:
    title, endpoint = N_("Units that can be offered"), "provider.holdings"
    if known["eligible"]:
        return Point(title, endpoint)
    if known["held"]:
        todo = N_(
            "There are units in your account, but none can be offered yet. The list of your "
            "holdings says why of each block."
        )
        return Point(title, endpoint, Who.YOU, todo)
    if known["failing"]:
        todo = N_(
            "The registry has not let us read your account yet. It may be down, or not know the "
            "account by this number; we try again every few minutes."
        )
        return Point(title, endpoint, Who.REGISTRY, todo)
    if not known["read"]:
        todo = N_("Your account is being read. That takes a minute.")
        return Point(title, endpoint, Who.REGISTRY, todo)
    todo = N_(
        "The registry reports no units of your projects in this account. Once they are issued or "
        "forwarded to it they appear here within the hour."
    )
    return Point(title, endpoint, Who.REGISTRY, todo)


def _fees(session: Session, provider_id: int) -> list[Point]:
    """Return a point only where there is something to accept: most sites charge nothing."""
    waits = session.scalar(select(Provider.fees_unaccepted).where(Provider.id == provider_id))
    if not waits:
        return []
    todo = N_("An owner has to accept the fees. Until then your offers take no new orders.")
    return [Point(N_("Fees of this site"), "provider.fees", Who.YOU, todo)]


def _payout(session: Session, provider_id: int) -> Point:
    title, endpoint = N_("How you are paid"), "provider.payouts"
    methods = session.execute(
        select(
            PayoutMethod.method_id, PayoutMethod.status, PayoutMethod.todo, PayoutMethod.tested_at
        ).where(PayoutMethod.provider_id == provider_id)
    ).all()
    by_status = {each.status: each for each in reversed(methods)}
    if P.READY in by_status:
        return Point(title, endpoint)
    if limited := by_status.get(P.LIMITED):
        todo = N_("Your account there cannot take money yet. The page says what is missing.")
        return Point(title, endpoint, Who.PROCESSOR, todo, tuple(limited.todo))
    if started := by_status.get(P.STARTED):
        if started.method_id == "bank_transfer":
            todo = N_("You have asked for bank transfer; we look at it.")
            return Point(title, endpoint, Who.US, todo, tuple(started.todo))
        todo = N_("You have begun to connect an account. Please finish it.")
        return Point(title, endpoint, Who.YOU, todo, tuple(started.todo))
    todo = N_("Connect an account, or ask for bank transfer.")
    if P.REVOKED in by_status:
        todo = N_("The connection was ended. Please connect an account again.")
    return Point(title, endpoint, Who.YOU, todo)


def _page(session: Session, provider_id: int, known: dict[str, bool]) -> Point:
    title, endpoint = N_("Description and pictures"), "provider.listings"
    states = set(
        session.scalars(select(Listing.status).where(Listing.provider_id == provider_id).distinct())
    )
    if L.APPROVED in states or known["public"]:
        return Point(title, endpoint)
    if L.SUBMITTED in states:
        return Point(title, endpoint, Who.US, N_("We review what you have sent."))
    if L.REFUSED in states:
        todo = N_("We could not approve it. The page says why; please change it and send it again.")
        return Point(title, endpoint, Who.YOU, todo)
    todo = N_("Describe your project in three languages and show at least one picture of it.")
    return Point(title, endpoint, Who.YOU, todo)


def _offer(known: dict[str, bool]) -> Point:
    title, endpoint = N_("Your first offer"), "provider.offers"
    if known["offer"]:
        return Point(title, endpoint)
    if not known["eligible"]:
        todo = N_(
            "Once there are units that can be offered: choose a block, a quantity and a price."
        )
        return Point(title, endpoint, Who.YOU, todo)
    todo = N_("Choose a block, a quantity and a price. It is on sale at once.")
    return Point(title, endpoint, Who.YOU, todo)


@dataclass(frozen=True, slots=True)
class Due:
    """How much waits for a provider, each counted up to ``COUNTED``."""

    bank_entries: int
    """Money seen at the bank that nobody has decided about."""
    shrunk: int
    """Offers made smaller lately because units have left the account."""
    refused: int
    """Project pages sent back."""


def due(session: Session, provider_id: int, *, now: datetime) -> Due:
    """Count what waits for a provider, besides its orders (services/inbox.py)."""
    row = session.execute(
        select(
            *(
                select(func.count()).select_from(each.limit(COUNTED).subquery()).scalar_subquery()
                for each in _due(provider_id, now)
            )
        )
    ).one()
    return Due(*row)


def _due(provider_id: int, now: datetime) -> list[Any]:
    return [
        select(BankEntry.id).where(
            BankEntry.provider_id == provider_id,
            BankEntry.status.in_((BankEntryStatus.WAITING, BankEntryStatus.SECONDED)),
        ),
        select(Offer.id)
        .join(OfferTerms, (OfferTerms.offer_id == Offer.id) & (OfferTerms.version == Offer.version))
        .where(
            Offer.provider_id == provider_id,
            Offer.changed_at >= now - SHRUNK_FOR,
            OfferTerms.why != "",
        ),
        select(Listing.id).where(Listing.provider_id == provider_id, Listing.status == L.REFUSED),
    ]

"""What staff may do, a provider's and the platform's: roles, and the duties each carries."""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum
from typing import Final


class StaffRole(StrEnum):
    """What somebody is to a provider."""

    OWNER = "owner"
    SALES = "sales"
    ACCOUNTS = "accounts"


class Duty(StrEnum):
    """A kind of thing that can be done in a provider's workspace; everybody may look."""

    OFFERS = "offers"
    """Offers, private ones too: what is sold, how much of it, at which price."""
    LISTINGS = "listings"
    """Texts and pictures of projects."""
    ORDERS = "orders"
    """Dealing with orders: in progress, on hold, withdrawn; the purchaser's contact."""
    MONEY = "money"
    """Saying that money has come: by hand or by a bank statement."""
    PAYOUTS = "payouts"
    """How the provider is paid, and its own particulars."""
    STAFF = "staff"
    """Who else may do what."""
    FEES = "fees"
    """Accepting what the provider is charged."""


DUTIES: Final[Mapping[StaffRole, frozenset[Duty]]] = {
    StaffRole.OWNER: frozenset(Duty),
    StaffRole.SALES: frozenset({Duty.OFFERS, Duty.LISTINGS, Duty.ORDERS}),
    StaffRole.ACCOUNTS: frozenset({Duty.ORDERS, Duty.MONEY, Duty.PAYOUTS}),
}


class OperatorRole(StrEnum):
    """What somebody is at the operators' desk."""

    HEAD = "head"
    SUPPORT = "support"
    LISTING = "listing"
    FINANCE = "finance"
    EDITOR = "editor"
    AUDITOR = "auditor"
    """Looks at everything and changes nothing."""


class DeskDuty(StrEnum):
    """A kind of thing that operators do; every operator may look, but at ``PEOPLE``'s pages."""

    ORDERS = "orders"
    """Deciding on what waits for a person: orders, cases, corrections, refunds."""
    PROVIDERS = "providers"
    """Applications, accounts and their mapping, payouts, project pages, projects."""
    FEES = "fees"
    """Fee schedules and statements."""
    TEXTS = "texts"
    """Pages, mails and surveys in three languages."""
    SYSTEM = "system"
    """Switches, dates of registries, notices."""
    PEOPLE = "people"
    """Operators and their roles, personal data."""
    AUDIT = "audit"
    """Reading and exporting what everybody did."""


DESK_DUTIES: Final[Mapping[OperatorRole, frozenset[DeskDuty]]] = {
    OperatorRole.HEAD: frozenset(DeskDuty),
    OperatorRole.SUPPORT: frozenset({DeskDuty.ORDERS}),
    OperatorRole.LISTING: frozenset({DeskDuty.PROVIDERS}),
    OperatorRole.FINANCE: frozenset({DeskDuty.ORDERS, DeskDuty.FEES}),
    OperatorRole.EDITOR: frozenset({DeskDuty.TEXTS}),
    OperatorRole.AUDITOR: frozenset({DeskDuty.AUDIT}),
}

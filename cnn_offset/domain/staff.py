"""What a provider's staff may do: roles, and the duties each of them carries."""

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


DUTIES: Final[Mapping[StaffRole, frozenset[Duty]]] = {
    StaffRole.OWNER: frozenset(Duty),
    StaffRole.SALES: frozenset({Duty.OFFERS, Duty.LISTINGS, Duty.ORDERS}),
    StaffRole.ACCOUNTS: frozenset({Duty.ORDERS, Duty.MONEY, Duty.PAYOUTS}),
}

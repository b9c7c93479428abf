"""A provider's workspace. Each module beside this adds its pages to the blueprint."""

from cnn_offset.blueprints.provider import (
    cases,
    fees,
    holdings,
    home,
    listings,
    money,
    offer_tables,
    offers,
    orders,
    particulars,
    payouts,
    reports,
    staff,
    statements,
)
from cnn_offset.blueprints.provider.workspace import bp

__all__ = [
    "bp",
    "cases",
    "fees",
    "holdings",
    "home",
    "listings",
    "money",
    "offer_tables",
    "offers",
    "orders",
    "particulars",
    "payouts",
    "reports",
    "staff",
    "statements",
]

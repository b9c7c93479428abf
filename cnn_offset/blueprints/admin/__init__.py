"""The operators' desk. Each module beside this adds its pages to the blueprint."""

from cnn_offset.blueprints.admin import (
    activities,
    activity_tables,
    applications,
    audit,
    cases,
    corrections,
    orders,
    pages,
    payouts,
    people,
    proposals,
    providers,
    refunds,
    reports,
    reviews,
    sentences,
)
from cnn_offset.blueprints.admin.desk import bp

__all__ = [
    "activities",
    "activity_tables",
    "applications",
    "audit",
    "bp",
    "cases",
    "corrections",
    "orders",
    "pages",
    "payouts",
    "people",
    "proposals",
    "providers",
    "refunds",
    "reports",
    "reviews",
    "sentences",
]

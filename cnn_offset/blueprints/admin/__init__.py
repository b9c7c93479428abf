"""The operators' desk. Each module beside this adds its pages to the blueprint."""

from cnn_offset.blueprints.admin import (
    activities,
    activity_tables,
    applications,
    audit,
    orders,
    payouts,
    people,
    proposals,
    providers,
    reviews,
)
from cnn_offset.blueprints.admin.desk import bp

__all__ = [
    "activities",
    "activity_tables",
    "applications",
    "audit",
    "bp",
    "orders",
    "payouts",
    "people",
    "proposals",
    "providers",
    "reviews",
]

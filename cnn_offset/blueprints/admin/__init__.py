"""The operators' desk. Each module beside this adds its pages to the blueprint."""

from cnn_offset.blueprints.admin import (
    activities,
    applications,
    orders,
    payouts,
    proposals,
    providers,
    reviews,
)
from cnn_offset.blueprints.admin.desk import bp

__all__ = [
    "activities",
    "applications",
    "bp",
    "orders",
    "payouts",
    "proposals",
    "providers",
    "reviews",
]

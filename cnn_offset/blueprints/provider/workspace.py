"""The provider's workspace: one blueprint, its pages by feature in the modules beside this."""

from __future__ import annotations

from typing import Any, Final

from flask import Blueprint

from cnn_offset.domain.text import N_
from cnn_offset.guards import guarded, provider_staff
from cnn_offset.navigation import ways

bp = guarded(Blueprint("provider", __name__), provider_staff)

WAYS: Final = (
    (N_("Start"), (("provider.home", N_("Overview")),)),
    (
        N_("What you offer"),
        (
            ("provider.holdings", N_("Holdings")),
            ("provider.offers", N_("Offers")),
            ("provider.listings", N_("Project pages")),
        ),
    ),
    (
        N_("What you sell"),
        (
            ("provider.orders", N_("Orders")),
            ("provider.statements", N_("Bank statements")),
            ("provider.money", N_("Money at the bank")),
            ("provider.payouts", N_("Payouts")),
            ("provider.reports", N_("Reports")),
            ("provider.fees", N_("Fees")),
        ),
    ),
    (
        N_("Organisation"),
        (
            ("provider.particulars", N_("Your particulars")),
            ("provider.staff", N_("Staff")),
            ("help.provider_guide", N_("Guide")),
        ),
    ),
)
"""The groups of the navigation, and in each the pages that begin a feature."""


@bp.context_processor
def _ways() -> dict[str, Any]:
    found = ways(entry for _title, entries in WAYS for entry in entries)
    by_endpoint = {each.endpoint: each for each in found}
    groups = [
        (title, [by_endpoint[endpoint] for endpoint, _ in entries if endpoint in by_endpoint])
        for title, entries in WAYS
    ]
    return {"workspace_ways": groups}

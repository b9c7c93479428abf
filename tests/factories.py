"""Rows for tests: each function adds one to the session and returns it, flushed."""

from __future__ import annotations

import itertools
from datetime import UTC, date, datetime
from typing import Any

from cnn_offset.domain.status import PayoutStatus
from cnn_offset.domain.units import UnitType
from cnn_offset.extensions import db
from cnn_offset.models import (
    AccountActivity,
    AccountKind,
    Activity,
    ActivityKind,
    Block,
    Offer,
    PayoutMethod,
    Provider,
    RegistryAccount,
)

NOW = datetime(2026, 11, 2, 9, 0, tzinfo=UTC)
_count = itertools.count(1)

PAYPAL_ACCOUNT = {"merchant_id": "ABCDEFGHJKLM2"}
STRIPE_ACCOUNT = {"account": "acct_1Demo"}
BANK_ACCOUNT = {
    "holder": "Example Wind Power Ltd",
    "account": "DE89370400440532013000",
    "bic": "COBADEFFXXX",
    "bank_name": "Commerzbank",
    "bank_address": "Frankfurt am Main",
    "currency": "USD",
}


def _add(row: Any) -> Any:
    db.session.add(row)
    db.session.flush()
    return row


def make_provider(**values: Any) -> Provider:
    n = next(_count)
    made: Provider = _add(
        Provider(
            **{
                "slug": f"provider-{n}",
                "name": f"Provider {n}",
                "country": "KE",
                "email": f"provider{n}@example.org",
                "created_at": NOW,
                **values,
            }
        )
    )
    return made


def make_payout(provider: Provider, method_id: str = "paypal", **values: Any) -> PayoutMethod:
    account = {
        "paypal": PAYPAL_ACCOUNT,
        "stripe_connect": STRIPE_ACCOUNT,
        "bank_transfer": BANK_ACCOUNT,
    }.get(method_id, {})
    made: PayoutMethod = _add(
        PayoutMethod(
            **{
                "provider_id": provider.id,
                "method_id": method_id,
                "account": dict(account),
                "currencies": ["USD", "EUR"],
                "status": PayoutStatus.READY,
                **values,
            }
        )
    )
    return made


def make_activity(**values: Any) -> Activity:
    n = next(_count)
    texts = {"en": f"Wind farm {n}", "fr": f"Parc éolien {n}", "es": f"Parque eólico {n}"}
    made: Activity = _add(
        Activity(
            **{
                "slug": f"wind-farm-{n}",
                "registry_id": "cdm",
                "ref": str(1000 + n),
                "kind": ActivityKind.PA,
                "title": texts,
                "description": texts,
                "labels": {},
                "picture_alt": texts,
                "host_party": "KE",
                "scope": 1,
                "technology": "wind",
                "methodology": "ACM0002",
                "crediting_start": date(2013, 1, 1),
                "crediting_end": date(2019, 12, 31),
                "created_at": NOW,
                "changed_at": NOW,
                **values,
            }
        )
    )
    return made


def make_mapping(
    provider: Provider, activity: Activity | None = None, **account: Any
) -> AccountActivity:
    """Let a provider speak for an activity from an account, the same one each time."""
    activity = activity or make_activity()
    named = {
        "provider_id": provider.id,
        "registry_id": activity.registry_id,
        "account_ref": f"ACC-{provider.id}",
    }
    found = db.session.query(RegistryAccount).filter_by(**named).one_or_none() or _add(
        RegistryAccount(**{**named, "kind": AccountKind.PERMANENT, "created_at": NOW, **account})
    )
    made: AccountActivity = _add(
        AccountActivity(
            account_id=found.id, activity_id=activity.id, actor="op@example.org", at=NOW
        )
    )
    return made


def make_block(
    activity: Activity | None = None, provider: Provider | None = None, **values: Any
) -> Block:
    activity = activity or make_activity()
    provider = provider or make_provider()
    n = next(_count)
    first = n * 1_000_000 + 1
    size = values.pop("size", 1000)
    made: Block = _add(
        Block(
            **{
                "registry_id": activity.registry_id,
                "account_ref": f"ACC-{provider.id}",
                "block_ref": f"B-{n}",
                "activity_id": activity.id,
                "provider_id": provider.id,
                "unit_type": UnitType.CER,
                "party": "KE",
                "series": "KE",
                "first": first,
                "last": first + size - 1,
                "first_text": f"KE-5-{first}-2-2-0-{activity.id}",
                "last_text": f"KE-5-{first + size - 1}-2-2-0-{activity.id}",
                "held": size,
                "monitoring_start": date(2014, 1, 1),
                "monitoring_end": date(2014, 12, 31),
                "vintage": 2014,
                "commitment_period": 2,
                "eligible": True,
                "read_at": NOW,
                **values,
            }
        )
    )
    return made


def make_offer(block: Block | None = None, **values: Any) -> Offer:
    block = block or make_block()
    made: Offer = _add(
        Offer(
            **{
                "block_id": block.id,
                "provider_id": block.provider_id,
                "price_minor": 250,
                "currency": "USD",
                "quantity": block.last - block.first + 1,
                "created_at": NOW,
                "changed_at": NOW,
                **values,
            }
        )
    )
    return made


def make_shop(*methods: str, **offer: Any) -> Offer:
    """Add a provider with payout ``methods`` (all by default) and one offer; commit."""
    provider = make_provider()
    for method_id in methods or ("paypal", "stripe_connect", "bank_transfer"):
        make_payout(provider, method_id)
    made = make_offer(make_block(provider=provider), **offer)
    db.session.commit()
    return made

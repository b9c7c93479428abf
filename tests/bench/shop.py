"""A shop of any size in a fresh database."""

from __future__ import annotations

import random
from collections.abc import Iterator
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

from flask import Flask
from flask_migrate import upgrade
from sqlalchemy import insert

from cnn_offset.app import create_app
from cnn_offset.blueprints.catalogue.words import TECHNOLOGIES
from cnn_offset.extensions import db
from cnn_offset.models import Activity, Block, Offer, PayoutMethod, Provider
from tests.conftest import settings
from tests.factories import PAYPAL_ACCOUNT

NOW = datetime(2026, 11, 2, 9, 0, tzinfo=UTC)
COUNTRIES = [
    "BD",
    "BO",
    "BR",
    "CL",
    "CN",
    "CO",
    "CR",
    "DO",
    "EC",
    "EG",
    "ET",
    "FJ",
    "GH",
    "GT",
    "HN",
    "ID",
    "IN",
    "KE",
    "KH",
    "LK",
    "LS",
    "MA",
    "MG",
    "ML",
    "MN",
    "MW",
    "MX",
    "MY",
    "MZ",
    "NG",
    "NI",
    "NP",
    "PE",
    "PH",
    "RW",
    "SN",
    "TH",
    "UG",
    "VN",
    "ZA",
]
WORDS = [
    "wind",
    "river",
    "steam",
    "hill",
    "village",
    "school",
    "valley",
    "power",
    "grid",
    "turbine",
    "forest",
    "water",
    "stove",
    "family",
    "methane",
    "landfill",
    "solar",
    "roof",
    "harbour",
    "cable",
    "train",
    "heat",
    "plant",
    "field",
    "market",
    "road",
    "night",
    "season",
    "clinic",
    "engine",
]


def make_app(folder: Path, **changes: Any) -> Flask:
    """Return an application in ``folder`` with the newest schema and nothing in it.

    Limits on requests are off: a bench would run into them.
    """
    folder.mkdir(parents=True, exist_ok=True)
    app = create_app(settings(**changes), instance_path=str(folder), clock=lambda: NOW)
    with app.app_context():
        upgrade()
    return app


def fill(app: Flask, offers: int, seed: int = 1) -> None:
    """Put ``offers`` offers into ``app``'s database, one to four an activity."""
    chance = random.Random(seed)
    blocks, activities, made = [], [], 0
    while made < offers:
        activity_id = len(activities) + 1
        activities.append(_activity(activity_id, chance))
        for _ in range(min(chance.randint(1, 4), offers - made)):
            made += 1
            blocks.append(_block(made, activities[-1], chance))
    providers = [
        {
            "id": n,
            "slug": f"provider-{n}",
            "name": f"Provider {n}",
            "country": "KE",
            "email": f"provider{n}@example.org",
            "created_at": NOW,
            "website": "",
        }
        for n in range(1, 21)
    ]
    payouts = [
        {
            "provider_id": n,
            "method_id": "paypal",
            "account": dict(PAYPAL_ACCOUNT),
            "currencies": ["USD", "EUR"],
            "minimum_minor": 0,
            "status": "ready",
        }
        for n in range(1, 21)
    ]
    priced = [_offer(block, chance) for block in blocks]
    with app.app_context(), db.engine.connect() as connection:
        writer = connection.execution_options(writes=True)
        for table, rows in (
            (Provider, providers),
            (PayoutMethod, payouts),
            (Activity, activities),
            (Block, blocks),
            (Offer, priced),
        ):
            for part in _parts(rows):
                writer.execute(insert(table), part)
        writer.commit()
        if connection.dialect.name == "sqlite":
            connection.exec_driver_sql("ANALYZE")
            connection.commit()


def _parts(rows: list[dict[str, Any]]) -> Iterator[list[dict[str, Any]]]:
    for start in range(0, len(rows), 5000):
        yield rows[start : start + 5000]


def _activity(n: int, chance: random.Random) -> dict[str, Any]:
    title = " ".join(chance.choices(WORDS, k=3)).capitalize()
    text = " ".join(chance.choices(WORDS, k=60)).capitalize() + "."
    return {
        "id": n,
        "slug": f"activity-{n}",
        "registry_id": chance.choice(["cdm", "cdm", "a64_interim"]),
        "ref": str(10_000 + n),
        "kind": "pa",
        "title": dict.fromkeys(("en", "fr", "es"), f"{title} {n}"),
        "description": dict.fromkeys(("en", "fr", "es"), text),
        "labels": {},
        "picture": f"pictures/{n}.svg",
        "picture_alt": dict.fromkeys(("en", "fr", "es"), f"Drawing of {title}"),
        "host_party": chance.choice(COUNTRIES),
        "region": "",
        "scope": chance.randint(1, 16),
        "technology": chance.choice(list(TECHNOLOGIES)),
        "methodology": "ACM0002",
        "crediting_start": date(2013, 1, 1),
        "crediting_end": date(2023, 12, 31),
        "registry_url": "",
        "sd_report_url": "",
        "created_at": NOW,
        "changed_at": NOW,
    }


def _block(n: int, activity: dict[str, Any], chance: random.Random) -> dict[str, Any]:
    year = chance.randint(2008, 2023)
    first = n * 1_000_000 + 1
    size = chance.randint(50, 250_000)
    a64 = activity["registry_id"] != "cdm"
    return {
        "id": n,
        "registry_id": activity["registry_id"],
        "account_ref": "ACC",
        "block_ref": f"B-{n}",
        "activity_id": activity["id"],
        "provider_id": chance.randint(1, 20),
        "unit_type": chance.choice(["a64er_authorised", "a64er_contribution"] if a64 else ["cer"]),
        "party": activity["host_party"],
        "series": activity["host_party"],
        "first": first,
        "last": first + size - 1,
        "first_text": f"{activity['host_party']}-5-{first}-2-2-0-{activity['id']}",
        "last_text": f"{activity['host_party']}-5-{first + size - 1}-2-2-0-{activity['id']}",
        "held": size,
        "monitoring_start": date(year, 1, 1),
        "monitoring_end": date(year, 12, 31),
        "vintage": year,
        "commitment_period": None if a64 else 1 if year < 2013 else 2,
        "eligible": True,
        "read_at": NOW,
    }


def _offer(block: dict[str, Any], chance: random.Random) -> dict[str, Any]:
    return {
        "block_id": block["id"],
        "provider_id": block["provider_id"],
        "status": "open",
        "price_minor": chance.randint(80, 3000),
        "currency": chance.choice(["USD", "USD", "USD", "EUR"]),
        "quantity": block["held"],
        "held": 0,
        "cancelled": 0,
        "min_quantity": chance.choice([1, 1, 1, 5, 10]),
        "created_at": NOW,
        "changed_at": NOW,
    }

"""What was there before a migration is there after it, and means the same."""

from __future__ import annotations

from typing import Any

import pytest
from flask import Flask
from flask_migrate import downgrade, upgrade
from sqlalchemy import text
from sqlalchemy.exc import DBAPIError

from cnn_offset.extensions import db, unit_of_work
from cnn_offset.models import Order, OrderTerm
from cnn_offset.services.inbox import index_order
from tests.conftest import Clock
from tests.web.selling import sell

AT = "2026-11-01 10:00:00+00:00"


def run(statement: str, **values: Any) -> list[Any]:
    with db.engine.begin() as connection:
        found = connection.execute(text(statement), values)
        return list(found.all()) if found.returns_rows else []


def fill() -> None:
    """Rows as part A left them."""
    run(
        "INSERT INTO provider (id, slug, name, country, email, locale, website, created_at) "
        "VALUES (1, 'p', 'P', 'KE', 'p@example.org', 'en', '', :at)",
        at=AT,
    )
    for number, (method, enabled) in enumerate((("paypal", True), ("bank_transfer", False)), 1):
        run(
            "INSERT INTO payout_method "
            "(id, provider_id, method_id, account, currencies, minimum_minor, enabled) "
            "VALUES (:id, 1, :method, '{}', '[\"USD\"]', 0, :enabled)",
            id=number,
            method=method,
            enabled=enabled,
        )
    for number, provider in ((1, 1), (2, None)):
        run(
            'INSERT INTO "user" (id, email, active, fs_uniquifier, locale, name, provider_id) '
            "VALUES (:id, :email, :yes, :email, 'en', '', :provider)",
            id=number,
            email=f"u{number}@example.org",
            yes=True,
            provider=provider,
        )
    run(
        "INSERT INTO activity (id, slug, registry_id, ref, kind, title, description, labels, "
        "picture, picture_alt, host_party, region, scope, technology, methodology, "
        "crediting_start, crediting_end, registry_url, sd_report_url, created_at) "
        "VALUES (1, 'a', 'cdm', '1', 'pa', '{}', '{}', '{}', '', '{}', 'KE', '', 1, 'wind', "
        "'ACM0002', '2013-01-01', '2019-12-31', '', '', :at)",
        at=AT,
    )
    for number in (1, 2):
        run(
            "INSERT INTO block (id, registry_id, account_ref, block_ref, activity_id, provider_id, "
            "unit_type, party, series, first, last, first_text, last_text, held, "
            "monitoring_start, monitoring_end, vintage, eligible, read_at) "
            "VALUES (:id, 'cdm', 'ACC', :ref, 1, 1, 'cer', 'KE', 'KE', :first, :last, 'x', 'y', "
            "100, '2014-01-01', '2014-12-31', 2014, :eligible, :at)",
            id=number,
            ref=f"B{number}",
            first=number * 1000,
            last=number * 1000 + 99,
            eligible=number == 1,
            at=AT,
        )
    run(
        "INSERT INTO offer (id, block_id, provider_id, status, price_minor, currency, quantity, "
        "held, cancelled, min_quantity, created_at, changed_at) "
        "VALUES (1, 1, 1, 'open', 250, 'USD', 80, 5, 10, 1, :at, :at)",
        at=AT,
    )


def test_the_providers_side_opens_for_those_who_were_there(any_app: Flask) -> None:
    with any_app.app_context():
        downgrade(revision="0002")
        fill()
        upgrade()

        assert run("SELECT method_id, status FROM payout_method ORDER BY id") == [
            ("paypal", "ready"),
            ("bank_transfer", "revoked"),
        ]
        assert run('SELECT staff_role FROM "user" ORDER BY id') == [("owner",), (None,)]
        assert run("SELECT id, obstacle FROM block ORDER BY id") == [(1, ""), (2, "refused")]
        account = run("SELECT provider_id, account_ref, kind FROM registry_account")
        assert account == [(1, "ACC", "permanent")]
        assert run("SELECT due_at FROM registry_account") != [(None,)], "it is read again"
        assert run("SELECT activity_id FROM account_activity") == [(1,)]
        assert run("SELECT offer_id, version, quantity FROM offer_terms") == [(1, 1, 80)]
        assert run("SELECT quantity, held, cancelled, version FROM offer") == [(80, 5, 10, 1)]
        assert run("SELECT count(*) FROM activity WHERE changed_at = created_at") == [(1,)]


@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE offer SET held = 71",
        "UPDATE payout_method SET status = 'perhaps'",
        "UPDATE payout_method SET minimum_minor = -1",
        "UPDATE \"user\" SET email = 'Big@example.org'",
        "UPDATE \"user\" SET staff_role = 'king'",
        (
            "INSERT INTO offer (block_id, provider_id, status, price_minor, currency, quantity, held, "
            "cancelled, min_quantity, created_at, changed_at) SELECT block_id, provider_id, status, "
            "price_minor, currency, quantity, held, cancelled, min_quantity, created_at, changed_at "
            "FROM offer"
        ),
    ],
    ids=lambda each: str(each)[:40],
)
def test_what_the_database_refused_it_still_refuses(any_app: Flask, statement: str) -> None:
    with any_app.app_context():
        downgrade(revision="0002")
        fill()
        upgrade()
        with pytest.raises(DBAPIError):
            run(statement)


def test_going_back_loses_only_what_is_new(any_app: Flask) -> None:
    with any_app.app_context():
        downgrade(revision="0002")
        fill()
        upgrade()
        downgrade(revision="0002")
        enabled = [bool(row[0]) for row in run("SELECT enabled FROM payout_method ORDER BY id")]
        assert enabled == [True, False]
        assert run("SELECT quantity FROM offer") == [(80,)]
        upgrade()


def test_orders_that_were_there_are_found_by_their_beneficiary(
    any_app: Flask, clock: Clock
) -> None:
    """What a later order enters when it is placed, earlier ones get from the migration."""
    sale = sell(any_app, clock, method="paypal")
    with any_app.app_context():
        run("UPDATE \"order\" SET beneficiary = 'Łódź  Straße, Œuvre Ærø 7'")
        with unit_of_work() as session:
            session.query(OrderTerm).delete()
            index_order(session, session.get_one(Order, sale.order_id))
        placed = run("SELECT term FROM order_term WHERE term LIKE 'for:%' ORDER BY term")
        assert len(placed) == 5
        downgrade(revision="0012")
        assert run("SELECT term FROM order_term WHERE term LIKE 'for:%'") == []
        upgrade()
        assert run("SELECT term FROM order_term WHERE term LIKE 'for:%' ORDER BY term") == placed

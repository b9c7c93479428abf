"""Ten years of orders, as many as wanted, with all that comes with them; on SQLite.

The database makes the rows itself (INSERT … SELECT from one list of orders), so a million
take minutes. Columns that are not named here get their default, or something empty.
"""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum
from typing import Any, Final

import sqlalchemy as sa
from flask import Flask
from sqlalchemy import event

from cnn_offset.domain.period import Period
from cnn_offset.extensions import db, platform, unit_of_work
from cnn_offset.models import (
    Attestation,
    Cancellation,
    CancelledRange,
    Case,
    CaseMessage,
    Checkout,
    Event,
    Message,
    Order,
    OrderLine,
    OrderTerm,
    Paper,
    Payment,
    PaymentFact,
    Proposal,
    RecordTerm,
    Visit,
)
from cnn_offset.services import noticing, tallying
from tests.bench.shop import NOW, fill
from tests.conftest import _no_waiting_for_the_disk

OFFERS: Final = 1000
DAYS: Final = 3650
OPERATOR: Final = "op@example.org"
EPOCH: Final = int(NOW.timestamp())
_TEXT: Final = "strftime('%Y-%m-%d %H:%M:%S', {}, 'unixepoch') || '.000000'"

# One row for each order: everything else is made of it. Now and then one is in trouble.
_BASE: Final = f"""
CREATE TEMP TABLE base AS
WITH RECURSIVE number(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM number WHERE i < :count),
timed AS (
    SELECT i, {EPOCH} - CAST((:count - i + 1) * ({DAYS} * 86400.0 / :count) AS INTEGER) AS at
    FROM number
),
fated AS (
    SELECT i, at, i % {OFFERS} + 1 AS offer_id,
        CASE
            WHEN i > :count - :count / 200 THEN 'placed'
            WHEN i % 1000 = 0 THEN 'in_review'
            WHEN i % 1000 = 1 THEN 'refund_due'
            WHEN i % 1000 IN (2, 6, 10) THEN 'paid'
            WHEN i % 20 = 3 THEN 'lapsed'
            WHEN i % 20 = 4 THEN 'withdrawn'
            WHEN i % 40 = 5 THEN 'refunded'
            ELSE 'fulfilled'
        END AS status
    FROM timed
)
SELECT i, fated.status AS status, o.id AS offer_id, o.block_id, o.provider_id, o.currency, o.price_minor,
    b.unit_type, b.registry_id, b.account_ref, b.block_ref, b.series, b.first, b.activity_id,
    b.monitoring_start, b.monitoring_end, b.first + i / {OFFERS} * 10 AS range_first,
    {_TEXT.format("at")} AS placed_at,
    {_TEXT.format("at + 300")} AS paid_at,
    {_TEXT.format("at + 420")} AS done_at,
    {_TEXT.format("at + 480 + i % 900")} AS issued_at,
    strftime('%Y', at, 'unixepoch') AS year,
    CASE WHEN i % 3 = 0 THEN 'person' ELSE 'company' END AS kind,
    substr('KEFRDEUSGBINBRJPZAESCHSE', 1 + 2 * (i % 12), 2) AS country,
    CASE WHEN i % 4 = 0 THEN 'bank_transfer' ELSE 'paypal' END AS method_id
FROM fated JOIN offer o ON o.id = fated.offer_id JOIN block b ON b.id = o.block_id
"""
PAID: Final = "status IN ('paid', 'fulfilled', 'refunded', 'refund_due')"
DONE: Final = "status = 'fulfilled'"
_LINE: Final = """json_object('locale', 'en', 'beneficiary', 'Looms ' || i, 'reason', 'Our journeys',
    'number', printf('VC%06d/%s', i, year), 'check_url', 'https://example.org/' || i,
    'fulfilled_at', replace(done_at, ' ', 'T') || 'Z', 'lines', json_array(json_object(
        'unit_type', unit_type, 'quantity', 10, 'activity_title', json_object('en', 'Wind farm'),
        'activity_ref', '' || activity_id, 'activity_kind', 'pa', 'host_party', series,
        'monitoring_start', monitoring_start, 'monitoring_end', monitoring_end,
        'registry_id', registry_id, 'registry_title', 'CDM registry',
        'registry_ref', 'TX-' || i, 'completed_at', replace(done_at, ' ', 'T') || 'Z',
        'ranges', json_array())))"""

TABLES: Final[tuple[tuple[Any, str, Mapping[str, str]], ...]] = (
    (Checkout, "1", {"id": "i", "token": "'c-' || i", "status": "'placed'", "locale": "'en'",
                     "created_at": "placed_at"}),
    (Order, "1", {
        "id": "i", "code": "printf('CODE%08d', i)", "token": "'o-' || i", "checkout_id": "i",
        "provider_id": "provider_id", "status": "status", "total_minor": "price_minor * 10",
        "currency": "currency", "locale": "'en'", "method_id": "method_id",
        "purchaser_kind": "kind", "purchaser_name": "'Ada ' || (i % 5000)",
        "company": "'Looms ' || i", "email": "'ada' || (i % 100000) || '@example.org'",
        "country": "country", "purchase_order": "'PO-' || i", "beneficiary": "'Looms ' || i",
        "reason": "'Our journeys'", "attestation_locale": "'en'", "terms_version": "'1'",
        "consented_at": "placed_at", "placed_at": "placed_at", "pay_by": "done_at",
        "holds_units": "status IN ('placed', 'paid', 'in_review')",
        "paid_at": f"CASE WHEN {PAID} THEN paid_at END",
        "fulfilled_at": f"CASE WHEN {DONE} THEN done_at END"}),
    (OrderLine, "1", {
        "id": "i", "order_id": "i", "offer_id": "offer_id", "block_id": "block_id",
        "quantity": "10", "price_minor": "price_minor", "unit_type": "unit_type",
        "monitoring_start": "monitoring_start", "monitoring_end": "monitoring_end"}),
    (OrderTerm, "1", {"provider_id": "provider_id", "term": "'name:ada'", "order_id": "i"}),
    (OrderTerm, "1", {"provider_id": "provider_id", "term": "'name:' || (i % 5000)",
                      "order_id": "i"}),
    (OrderTerm, "1", {"provider_id": "provider_id", "term": "'for:looms'", "order_id": "i"}),
    (OrderTerm, "1", {"provider_id": "provider_id", "term": "'po:' || i", "order_id": "i"}),
    (Payment, "1", {
        "id": "i", "order_id": "i", "key": "'p-' || i", "method_id": "method_id",
        "payee_account": "'x'", "amount_minor": "price_minor * 10", "currency": "currency",
        "status": f"CASE WHEN {PAID} THEN 'succeeded' WHEN status = 'in_review' THEN 'in_review' "
                  "WHEN status = 'placed' THEN 'awaiting_payer' ELSE 'abandoned' END",
        "verdict": f"CASE WHEN {PAID} THEN 'exact' WHEN status = 'in_review' THEN 'short' "
                   "ELSE 'nothing_yet' END",
        "paid_order": PAID, "processor_ref": "'R-' || i", "created_at": "placed_at"}),
    (PaymentFact, PAID, {
        "id": "i", "payment_id": "i", "kind": "'payment'", "ref": "'C-' || i",
        "status": "'done'", "amount_minor": "price_minor * 10", "currency": "currency",
        "at": "paid_at", "actor": "method_id", "recorded_at": "paid_at"}),
    (PaymentFact, "status = 'refunded'", {
        "id": ":count + i", "payment_id": "i", "kind": "'refund'", "ref": "'F-' || i",
        "status": "'done'", "amount_minor": "price_minor * 10", "currency": "currency",
        "at": "done_at", "actor": "method_id", "recorded_at": "done_at"}),
    (Cancellation, "status IN ('fulfilled', 'paid')", {
        "id": "i", "order_id": "i", "order_line_id": "i", "key": "'x-' || i",
        "registry_id": "registry_id", "account_ref": "account_ref", "block_ref": "block_ref",
        "quantity": "10", "beneficiary": "'Looms'", "reason": "'Our journeys'",
        "status": f"CASE WHEN {DONE} THEN 'confirmed' WHEN i % 1000 = 2 THEN 'rejected' "
                  "WHEN i % 1000 = 6 THEN 'unknown' ELSE 'mismatched' END",
        "sends": "1", "registry_ref": "'TX-' || i",
        "completed_at": f"CASE WHEN {DONE} THEN done_at END", "created_at": "paid_at"}),
    (CancelledRange, DONE, {
        "id": "i", "cancellation_id": "i", "registry_id": "registry_id", "series": "series",
        "first": "range_first", "last": "range_first + 9",
        "first_text": "series || '-5-' || range_first || '-2-2-0-' || activity_id",
        "last_text": "series || '-5-' || (range_first + 9) || '-2-2-0-' || activity_id"}),
    (Attestation, DONE, {
        "id": "i", "order_id": "i", "sequence": "i", "year": "CAST(year AS INTEGER)",
        "check_code": "'check' || i", "status": "'issued'", "locale": "'en'", "data": _LINE,
        "path": "'attestations/' || i || '.pdf'", "sha256": "printf('%064d', i)",
        "fulfilled_at": "done_at", "issued_at": "issued_at"}),
    (RecordTerm, DONE, {"term": "'year:' || year", "attestation_id": "i"}),
    (RecordTerm, DONE, {"term": "'host:' || series", "attestation_id": "i"}),
    (RecordTerm, DONE, {"term": "'type:' || unit_type", "attestation_id": "i"}),
    (RecordTerm, DONE, {"term": "'word:wind'", "attestation_id": "i"}),
    (Paper, DONE, {"id": "i", "provider_id": "provider_id", "order_id": "i", "kind": "'receipt'",
                   "sequence": "i", "issued_at": "paid_at"}),
    (Message, "1", {
        "id": "i", "order_id": "i", "kind": "'order_placed'", "dedup": "'order_placed:' || i",
        "recipient": "'ada' || (i % 100000) || '@example.org'", "locale": "'en'",
        "message_id": "'<' || i || '@bench>'", "created_at": "placed_at",
        "status": "CASE WHEN i % 1000 = 7 THEN 'failed' ELSE 'sent' END"}),
    (Event, "1", {
        "id": "i", "subject": "'order'", "subject_id": "i", "order_id": "i", "old": "''",
        "new": "'placed'", "actor": "'purchaser'", "why": "'placed'", "at": "placed_at"}),
    (Event, "1", {
        "id": ":count + i", "subject": "'order'", "subject_id": "i", "order_id": "i",
        "old": "'placed'", "new": "status",
        "actor": f"CASE WHEN i % 50 = 0 THEN '{OPERATOR}' ELSE method_id END",
        "why": "'bench'", "at": "done_at"}),
    (Event, DONE, {
        "id": "2 * :count + i", "subject": "'cancellation'", "subject_id": "i", "order_id": "i",
        "old": "'submitted'", "new": "'confirmed'", "actor": "registry_id", "why": "'bench'",
        "at": "done_at"}),
    (Case, "i % 50 = 0", {
        "id": "i", "code": "printf('%04d-%04d', i / 10000, i % 10000)", "kind": "'order'",
        "status": "CASE WHEN i % 5000 = 0 THEN 'open' ELSE 'closed' END", "side": "'purchaser'",
        "email": "'ada' || (i % 100000) || '@example.org'", "locale": "'en'",
        "summary": "'Where is it?'", "order_id": "i", "opened_at": "done_at",
        "answer_by": "CASE WHEN i % 5000 = 0 THEN issued_at END",
        "closed_at": "CASE WHEN i % 5000 != 0 THEN issued_at END"}),
    (CaseMessage, "i % 50 = 0", {
        "id": "i", "case_id": "i", "voice": "'asker'",
        "sender": "'ada' || (i % 100000) || '@example.org'", "text": "'Where is it?'",
        "at": "done_at"}),
    (Proposal, "i % 500 = 1", {
        "id": "i", "kind": "'refund'", "subject": "'payment'", "subject_id": "i",
        "order_id": "i", "reason": "'bench'", "asked_by": f"'{OPERATOR}'",
        "status": "CASE WHEN i % 10000 = 1 THEN 'waiting' ELSE 'approved' END",
        "asked_at": "done_at"}),
)  # fmt: skip
"""What an order brings with it: the table, for which orders, and its columns."""


def fill_years(app: Flask, count: int) -> dict[str, str]:
    """Put ``count`` orders of ten years into ``app``, count the figures, and return what
    stands in addresses.
    """
    fill(app, OFFERS)
    with app.app_context():
        # Nobody cuts the power of a bench.
        event.listen(db.engine, "connect", _no_waiting_for_the_disk)
        db.engine.dispose()
        with db.engine.connect() as connection:
            writer = connection.execution_options(writes=True)
            writer.exec_driver_sql("PRAGMA cache_size = -300000")
            put_back = _take_away(writer)
            writer.execute(sa.text(_BASE), {"count": count})
            for kind, chosen, columns in TABLES:
                _copy(writer, kind.__table__, chosen, columns, count)
                writer.commit()
            given = sa.text("UPDATE counter SET value = :count WHERE name = 'attestation'")
            writer.execute(given, {"count": count})
            writer.execute(sa.text("DROP TABLE base"))
            for statement in put_back:
                writer.exec_driver_sql(statement)
                writer.commit()
            writer.exec_driver_sql("ANALYZE")
            writer.commit()
        db.engine.dispose()
        count_figures()
        # One in the middle that went well, so that it has all of everything.
        done = sa.select(Order.id).where(Order.id >= count // 2, Order.status == "fulfilled")
        order = db.session.get_one(Order, db.session.scalars(done.order_by(Order.id)).first())
        serial = db.session.get_one(CancelledRange, order.id)
        line = order.lines[0]
        return {
            "lang": "en",
            "code": order.code,
            "email": order.email,
            "name": order.purchaser_name,
            "purchase_order": order.purchase_order,
            "payment_ref": f"R-{order.id}",
            "payment_key": f"p-{order.id}",
            "registry_ref": f"TX-{order.id}",
            "block": line.block.block_ref,
            "serial": serial.first_text,
            "attestation": f"VC{order.id:06d}-{order.placed_at.year}",
            "provider": order.provider.slug,
            "case": str(db.session.scalar(sa.select(sa.func.max(Case.code)))),
            "operator": OPERATOR,
        }


def count_figures() -> None:
    """Count the figures of all months, as ``cnn-offset reports rebuild`` does."""
    now = platform().clock()
    first = tallying.first_day(db.session())
    assert first is not None
    with unit_of_work() as session:
        noticing.skip_history(session, now=now)
        session.add_all(
            Visit(day=now.date().replace(day=1), locale=each, number=9) for each in ("en", "fr")
        )
    month = Period.holding("month", first.replace(month=1, day=1))
    while month.first <= now.date():
        with unit_of_work() as session:
            tallying.make_month(session, month, now=now)
        month = month.next


def _take_away(writer: sa.Connection) -> list[str]:
    """Take away what each added row would pay for; return how to put it back.

    Indexes are made many times faster of all rows at once, triggers would look at each.
    """
    rows = writer.exec_driver_sql(
        "SELECT type, name, sql FROM sqlite_master "
        "WHERE type IN ('trigger', 'index') AND sql IS NOT NULL"
    )
    found = [(str(kind), str(name), str(sql)) for kind, name, sql in rows]
    for kind, name, _ in found:
        writer.exec_driver_sql(f'DROP {kind} "{name}"')
    return [sql for _, _, sql in found]


def _copy(
    writer: sa.Connection, table: Any, chosen: str, columns: Mapping[str, str], count: int
) -> None:
    filled = {
        column.name: _empty(column)
        for column in table.columns
        if not column.nullable and column.server_default is None and not column.primary_key
    }
    filled.update(columns)
    unknown = set(filled) - set(table.columns.keys())
    assert not unknown, f"{table.name} has no {unknown}"
    names = ", ".join(f'"{name}"' for name in filled)
    statement = (
        f'INSERT INTO "{table.name}" ({names}) SELECT {", ".join(filled.values())} '
        f"FROM base WHERE {chosen}"
    )
    writer.execute(sa.text(statement), {"count": count} if ":count" in statement else {})


def _empty(column: Any) -> str:
    """Return, as SQL, the default of a column, or something empty of its type."""
    default = column.default.arg if column.default is not None else None
    if isinstance(default, StrEnum):
        return f"'{default.value}'"
    if isinstance(default, bool | int):
        return str(int(default))
    if isinstance(column.type, sa.JSON):
        return "'[]'" if default is not None and default.__name__ == "list" else "'{}'"
    if isinstance(column.type, sa.Enum):
        return f"'{column.type.enums[0]}'"
    if isinstance(column.type, sa.Integer | sa.Boolean):
        return "0"
    if isinstance(column.type, sa.Date):
        return "'2026-01-01'"
    return "placed_at" if "DATETIME" in str(column.type.compile()).upper() else "''"

"""The workspace of a provider with 10,000 blocks, 2,000 offers and 50,000 orders against one
with about a hundredth of that: every page, by the clock of the processor, and by its queries.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from io import BytesIO
from pathlib import Path
from typing import Any, Final

from flask import Flask
from sqlalchemy import event, insert
from werkzeug.test import EnvironBuilder

from cnn_offset.extensions import db
from cnn_offset.models import (
    AccountActivity,
    Activity,
    BankEntry,
    BankStatement,
    Block,
    Cancellation,
    CancelledRange,
    Checkout,
    Event,
    FeeStatement,
    FeeStatementLine,
    Listing,
    Offer,
    OfferTerms,
    Order,
    OrderLine,
    Payment,
    PaymentFact,
    PayoutMethod,
    Picture,
    Provider,
    RegistryAccount,
    UnmappedBlock,
)
from tests.bench.measure import cpu, table
from tests.bench.shop import NOW, make_app
from tests.factories import BANK_ACCOUNT, PAYPAL_ACCOUNT
from tests.web.people import add_person, log_in

STATUSES: Final = ("fulfilled", "fulfilled", "fulfilled", "placed", "lapsed")
LEAVES_OUT: Final = {
    # Files, which are as long as what is in them.
    "provider.report_csv",
    "provider.report_xlsx",
    "provider.offers_table",
    "provider.listing_upload",
    "provider.listing_picture",
    "provider.statement_columns",
}
YEARS: Final = {"provider.reports": "?period=2026"}
"""Pages that are asked once more, for what is longest."""


@dataclass(frozen=True)
class Size:
    """How much one provider has."""

    blocks: int
    offers: int
    orders: int


SMALL, LARGE = Size(100, 50, 500), Size(10_000, 2_000, 50_000)


def run(folder: Path) -> None:
    """Measure and print."""
    took, subjects, counts = {}, {}, {}
    for name, size in (("small", SMALL), ("large", LARGE)):
        app = make_app(folder / f"workspace-{name}")
        values = fill(app, size)
        for path, get in pages(app, values):
            subjects[path, name] = get
            counts[path, name] = queries(app, get)
    took = cpu({f"{path} {name}": get for (path, name), get in subjects.items()}, rounds=5, each=2)
    paths = list(dict.fromkeys(path for path, _ in subjects))
    table(
        "The workspace of one provider: CPU ms and queries, with "
        f"{SMALL.blocks:,}/{SMALL.offers:,}/{SMALL.orders:,} and "
        f"{LARGE.blocks:,}/{LARGE.offers:,}/{LARGE.orders:,} blocks/offers/orders",
        ["", "small", "large", "ratio", "queries", "queries"],
        [
            [
                path,
                took[f"{path} small"],
                took[f"{path} large"],
                took[f"{path} large"] / took[f"{path} small"],
                counts[path, "small"],
                counts[path, "large"],
            ]
            for path in paths
        ],
    )


def pages(app: Flask, values: dict[str, Any]) -> Iterator[tuple[str, Callable[[], bytes]]]:
    """Yield the name and the getter of every page of the workspace."""
    add_person(app, "owner@example.org", "provider", "large")
    client = log_in(app, "owner@example.org")
    cookie = client.get_cookie("session")
    assert cookie is not None
    for rule in sorted(app.url_map.iter_rules(), key=lambda each: each.rule):
        here = rule.endpoint.startswith("provider.") and "GET" in (rule.methods or ())
        if not here or rule.endpoint in LEAVES_OUT:
            continue
        missing = rule.arguments - set(values)
        assert not missing, f"{rule}: teach tests/bench/workspace.py about {missing}"
        with app.test_request_context():
            path = app.url_map.bind("localhost").build(
                rule.endpoint, {name: values[name] for name in rule.arguments}
            )
        for tail in ("", *filter(None, [YEARS.get(rule.endpoint)])):
            yield (
                f"{rule.endpoint.removeprefix('provider.')}{tail}",
                getter(app, f"{path}{tail}", f"session={cookie.value}"),
            )


def getter(app: Flask, path: str, cookie: str) -> Callable[[], bytes]:
    """Return a function that asks for a page as somebody signed in."""
    builder = EnvironBuilder(path, headers={"Cookie": cookie})
    environ = builder.get_environ()
    builder.close()

    def get() -> bytes:
        said: list[str] = []
        body = app.wsgi_app(
            {**environ, "wsgi.input": BytesIO()},
            lambda status, *_: said.append(status),  # type: ignore[arg-type]
        )
        page = b"".join(body)
        body.close()  # type: ignore[attr-defined]
        assert said in (["200 OK"], ["302 FOUND"], ["303 SEE OTHER"]), (path, said)
        return page

    return get


@contextmanager
def counted(app: Flask) -> Iterator[list[str]]:
    """Note every statement that is sent to the database."""
    said: list[str] = []

    def note(_c: object, _cursor: object, statement: str, *_: object) -> None:
        said.append(statement)

    with app.app_context():
        engine = db.engine
    event.listen(engine, "before_cursor_execute", note)
    try:
        yield said
    finally:
        event.remove(engine, "before_cursor_execute", note)


def queries(app: Flask, get: Callable[[], object]) -> int:
    """Return how many statements a page needs."""
    get()
    with counted(app) as said:
        get()
    return len(said)


def fill(app: Flask, size: Size) -> dict[str, Any]:
    """Put one provider with all it has into ``app``; return what stands in addresses."""
    rows = _rows(size)
    with app.app_context(), db.engine.connect() as connection:
        writer = connection.execution_options(writes=True)
        for kind, made in rows:
            for start in range(0, len(made), 5000):
                writer.execute(insert(kind), made[start : start + 5000])
        writer.commit()
        if connection.dialect.name == "sqlite":
            connection.exec_driver_sql("ANALYZE")
            connection.commit()
    return {
        "lang": "en",
        "code": _code(4),
        "slug": "project-1",
        "method_id": "bank_transfer",
        "table": "orders",
        "kind": "pro_forma",
        "offer_id": 1,
        "block_id": size.offers + 1,
        "listing_id": 1,
        "picture_id": 1,
        "entry_id": 1,
        "statement_id": 1,
        "user_id": 1,
        "invitation_id": 1,
        "account_id": 1,
        "payout_id": 1,
        "fee_statement_id": 1,
    }


def _code(n: int) -> str:
    return f"CODE{n:08d}"


def _rows(size: Size) -> list[tuple[Any, list[dict[str, Any]]]]:
    projects = max(size.blocks // 10, 1)
    year = timedelta(days=330) / size.orders
    blocks = [_block(n, projects) for n in range(1, size.blocks + 1)]
    orders = [_order(n, NOW - year * (size.orders - n)) for n in range(1, size.orders + 1)]
    made: list[tuple[Any, list[dict[str, Any]]]] = [
        (
            Provider,
            [
                {
                    "id": 1,
                    "slug": "large",
                    "name": "Large Ltd",
                    "country": "KE",
                    "email": "large@example.org",
                    "website": "",
                    "created_at": NOW,
                }
            ],
        ),
        (PayoutMethod, [_payout("paypal", PAYPAL_ACCOUNT), _payout("bank_transfer", BANK_ACCOUNT)]),
        (Activity, [_activity(n) for n in range(1, projects + 1)]),
        (
            RegistryAccount,
            [
                {
                    "id": 1,
                    "provider_id": 1,
                    "registry_id": "cdm",
                    "account_ref": "ACC",
                    "kind": "permanent",
                    "read_at": NOW,
                    "created_at": NOW,
                }
            ],
        ),
        (
            AccountActivity,
            [
                {"account_id": 1, "activity_id": n, "actor": "bench", "at": NOW}
                for n in range(1, projects + 1)
            ],
        ),
        (Block, blocks),
        (UnmappedBlock, [_unmapped(n) for n in range(1, projects + 1)]),
        (Offer, [_offer(n) for n in range(1, size.offers + 1)]),
        (OfferTerms, [_terms(n) for n in range(1, size.offers + 1)]),
        (
            Checkout,
            [
                {
                    "id": each["id"],
                    "token": f"c-{each['id']}",
                    "status": "placed",
                    "locale": "en",
                    "details": {},
                    "created_at": each["placed_at"],
                }
                for each in orders
            ],
        ),
        (Order, orders),
        (OrderLine, [_line(each, size.offers) for each in orders]),
        (Payment, [_payment(each) for each in orders]),
        (PaymentFact, [_fact(each) for each in orders if each["paid_at"]]),
    ]
    done = [each for each in orders if each["fulfilled_at"]]
    made += [
        (Cancellation, [_cancellation(each) for each in done]),
        (CancelledRange, [_range(each, size.offers) for each in done]),
        (Event, [_event(each) for each in orders]),
        (Listing, [_listing(n) for n in range(1, projects + 1)]),
        (Picture, [_picture(n) for n in range(1, projects + 1)]),
        (BankStatement, [_statement(n) for n in range(1, size.orders // 50 + 1)]),
        (BankEntry, [_entry(n, size) for n in range(1, size.orders // 5 + 1)]),
        (FeeStatement, [_fee_statement(n) for n in range(1, size.orders // 50 + 1)]),
        (FeeStatementLine, [_fee_line(each) for each in done]),
    ]
    return made


def _fee_statement(n: int) -> dict[str, Any]:
    return {
        "id": n, "sequence": n, "provider_id": 1, "currency": "USD", "month": f"{2000 + n // 12}-{n % 12 + 1:02}",
        "total_minor": 5 * n, "status": "open", "issued_at": NOW,
        "data": {"name": "Provider", "lines": [], "country": "KE", "tax_id": "",
                 "email": "p@example.org", "locale": "en", "pay_to": ["The bank"]},
    }  # fmt: skip


def _fee_line(order: dict[str, Any]) -> dict[str, Any]:
    return {"statement_id": 1, "order_id": order["id"], "amount_minor": 5}


def _payout(method_id: str, account: dict[str, str]) -> dict[str, Any]:
    return {
        "provider_id": 1, "method_id": method_id, "status": "ready", "account": dict(account),
        "currencies": ["USD"], "minimum_minor": 0, "tested_at": NOW,
    }  # fmt: skip


def _activity(n: int) -> dict[str, Any]:
    texts = {"en": f"Wind farm {n}", "fr": f"Parc éolien {n}", "es": f"Parque eólico {n}"}
    return {
        "id": n, "slug": f"project-{n}", "registry_id": "cdm", "ref": str(n), "kind": "pa",
        "title": texts, "description": texts, "labels": {}, "picture": "", "picture_alt": {},
        "host_party": "KE", "region": "", "scope": 1, "technology": "wind",
        "methodology": "ACM0002", "crediting_start": date(2013, 1, 1),
        "crediting_end": date(2019, 12, 31), "registry_url": "", "sd_report_url": "",
        "created_at": NOW, "changed_at": NOW,
    }  # fmt: skip


_BLOCK: Final = 1_000_000


def _block(n: int, projects: int) -> dict[str, Any]:
    first = n * _BLOCK + 1
    return {
        "id": n, "registry_id": "cdm", "account_ref": "ACC", "block_ref": f"B-{n}",
        "activity_id": n % projects + 1, "provider_id": 1, "unit_type": "cer", "party": "KE",
        "series": "KE", "first": first, "last": first + _BLOCK - 1,
        "first_text": f"KE-5-{first}-2-2-0-1", "last_text": f"KE-5-{first + _BLOCK - 1}-2-2-0-1",
        "held": _BLOCK, "monitoring_start": date(2014, 1, 1),
        "monitoring_end": date(2014, 12, 31), "vintage": 2014, "commitment_period": 2,
        "eligible": n % 7 != 0, "obstacle": "" if n % 7 else "proceeds_unpaid", "read_at": NOW,
    }  # fmt: skip


def _unmapped(n: int) -> dict[str, Any]:
    return {
        "account_id": 1, "block_ref": f"U-{n}", "activity_ref": f"9{n}", "unit_type": "cer",
        "first_text": f"KE-5-{n}-2-2-0-9", "last_text": f"KE-5-{n + 9}-2-2-0-9", "held": 10,
        "read_at": NOW,
    }  # fmt: skip


def _offer(n: int) -> dict[str, Any]:
    return {
        "id": n, "block_id": n, "provider_id": 1, "status": "open", "price_minor": 100 + n % 900,
        "currency": "USD", "quantity": _BLOCK // 2, "held": 0, "cancelled": 0,
        "min_quantity": 1, "created_at": NOW, "changed_at": NOW,
    }  # fmt: skip


def _terms(n: int) -> dict[str, Any]:
    return {
        "offer_id": n, "version": 1, "status": "open", "price_minor": 100 + n % 900,
        "currency": "USD", "quantity": _BLOCK // 2, "min_quantity": 1, "actor": "bench",
        "why": "", "at": NOW,
    }  # fmt: skip


def _order(n: int, placed_at: datetime) -> dict[str, Any]:
    status = STATUSES[n % len(STATUSES)]
    paid_at = placed_at + timedelta(hours=1) if status == "fulfilled" else None
    return {
        "id": n, "code": _code(n), "token": f"o-{n}", "checkout_id": n, "provider_id": 1,
        "status": status, "total_minor": 2500, "currency": "USD", "locale": "en",
        "method_id": "bank_transfer" if n % 2 else "paypal", "purchaser_kind": "company",
        "purchaser_name": f"Ada {n}", "company": f"Looms {n}", "email": f"ada{n}@example.org",
        "street": "1 Road", "city": "Nairobi", "postcode": "1", "country": "KE", "tax_id": "",
        "purchase_order": f"PO-{n}", "beneficiary": f"Ada {n}", "reason": "Journey",
        "publish_name": False, "publish_reason": False, "attestation_locale": "en",
        "terms_version": "1", "consented_at": placed_at, "placed_at": placed_at,
        "pay_by": placed_at + timedelta(days=90), "holds_units": status == "placed",
        "paid_at": paid_at, "fulfilled_at": paid_at,
    }  # fmt: skip


def _line(order: dict[str, Any], offers: int) -> dict[str, Any]:
    n = order["id"] % offers + 1
    return {
        "id": order["id"], "order_id": order["id"], "offer_id": n, "block_id": n, "quantity": 10,
        "price_minor": 250, "unit_type": "cer", "monitoring_start": date(2014, 1, 1),
        "monitoring_end": date(2014, 12, 31),
    }  # fmt: skip


def _payment(order: dict[str, Any]) -> dict[str, Any]:
    return {
        "id": order["id"], "order_id": order["id"], "key": f"p-{order['id']}",
        "method_id": order["method_id"], "payee": {}, "payee_account": "x",
        "amount_minor": 2500, "currency": "USD",
        "status": "succeeded" if order["paid_at"] else "awaiting_payer",
        "verdict": "exact" if order["paid_at"] else "nothing_yet",
        "paid_order": bool(order["paid_at"]), "processor_ref": f"R-{order['id']}",
        "redirect_url": "", "qr": "", "created_at": order["placed_at"],
    }  # fmt: skip


def _fact(order: dict[str, Any]) -> dict[str, Any]:
    return {
        "payment_id": order["id"], "kind": "payment", "ref": f"C-{order['id']}",
        "status": "done", "amount_minor": 2500, "currency": "USD", "payee": "x",
        "fee_minor": 100 if order["method_id"] == "paypal" else None, "at": order["paid_at"],
        "reason": "", "actor": "bench", "recorded_at": order["paid_at"],
    }  # fmt: skip


def _cancellation(order: dict[str, Any]) -> dict[str, Any]:
    return {
        "id": order["id"], "order_id": order["id"], "order_line_id": order["id"],
        "key": f"x-{order['id']}", "registry_id": "cdm", "account_ref": "ACC",
        "block_ref": "B-1", "quantity": 10, "beneficiary": "Ada", "reason": "Journey",
        "status": "confirmed", "sends": 1, "registry_ref": f"TX-{order['id']}",
        "completed_at": order["fulfilled_at"], "registry_said": "",
        "created_at": order["placed_at"],
    }  # fmt: skip


def _range(order: dict[str, Any], offers: int) -> dict[str, Any]:
    block = order["id"] % offers + 1
    first = block * _BLOCK + 1 + order["id"] // offers * 10
    return {
        "cancellation_id": order["id"], "registry_id": "cdm", "series": "KE", "first": first,
        "last": first + 9, "first_text": f"KE-5-{first}-2-2-0-1",
        "last_text": f"KE-5-{first + 9}-2-2-0-1",
    }  # fmt: skip


def _event(order: dict[str, Any]) -> dict[str, Any]:
    return {
        "subject": "order", "subject_id": order["id"], "order_id": order["id"], "old": "placed",
        "new": order["status"], "actor": "bench", "why": "bench", "at": order["placed_at"],
    }  # fmt: skip


def _listing(n: int) -> dict[str, Any]:
    return {
        "id": n, "activity_id": n, "provider_id": 1, "number": 1, "version": 1,
        "status": "draft" if n == 1 else "approved", "title": {"en": f"Wind farm {n}"},
        "description": {"en": "Wind."}, "labels": {}, "sd_report_url": "", "created_at": NOW,
    }  # fmt: skip


def _picture(n: int) -> dict[str, Any]:
    return {
        "id": n, "listing_id": n, "position": 1, "path": f"pictures/{n}-800.webp",
        "widths": [800], "alt": {"en": "A hill"},
    }  # fmt: skip


def _statement(n: int) -> dict[str, Any]:
    return {
        "id": n, "provider_id": 1, "sha256": f"{n:064d}", "filename": f"{n}.xml",
        "format": "camt053", "account": BANK_ACCOUNT["account"], "entries": 10, "added": 10,
        "uploaded_by": "ada@example.org", "uploaded_at": datetime(2026, 1, 1, tzinfo=UTC),
    }  # fmt: skip


def _entry(n: int, size: Size) -> dict[str, Any]:
    waiting = n % 10 == 0 or n == 1
    return {
        "id": n, "provider_id": 1, "statement_id": (n - 1) // 10 + 1, "key": f"k-{n}",
        "status": "waiting" if waiting else "recorded",
        "finding": "unknown" if waiting else "exact",
        "order_id": None if waiting else n, "amount_minor": 2500, "currency": "USD",
        "received_on": date(2026, 1, 1), "bank_ref": f"BANK-{n}", "payer": f"Looms {n}",
        "text": _code(n), "created_at": NOW,
    }  # fmt: skip

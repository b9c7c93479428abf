"""Reports: what counts in which period, files of it, and the monthly mail, on both databases."""

from __future__ import annotations

import csv
import io
import re
import zipfile
from contextlib import nullcontext
from datetime import UTC, date, datetime, timedelta
from typing import Any

import pytest
from flask import Flask
from flask_babel import force_locale
from sqlalchemy import select

from cnn_offset import jobs, mail, reports
from cnn_offset.domain.money import Money
from cnn_offset.domain.payment import FactKind, FactStatus
from cnn_offset.domain.period import LONGEST_DAYS, Period, PeriodError
from cnn_offset.domain.status import OrderStatus, PaymentStatus
from cnn_offset.extensions import db, unit_of_work
from cnn_offset.models import (
    Event,
    Message,
    Order,
    Payment,
    PaymentFact,
    Provider,
)
from cnn_offset.services import reporting
from tests.conftest import Clock
from tests.factories import make_block, make_provider
from tests.papers import DONE, make_attestation, make_order

NOVEMBER = Period.parse("2026-11")


def pay(
    order: Order,
    *facts: tuple[FactKind, str, FactStatus, int, datetime, int | None],
    method: str = "paypal",
    currency: str = "USD",
) -> Payment:
    payment = Payment(
        order_id=order.id,
        key=f"p-{order.code}",
        method_id=method,
        payee={},
        payee_account="x",
        amount_minor=order.total_minor,
        currency=order.currency,
        status=PaymentStatus.SUCCEEDED,
        processor_ref=f"R-{order.code}",
        created_at=order.placed_at,
        facts=[
            PaymentFact(
                kind=kind,
                ref=ref,
                status=status,
                amount_minor=minor,
                currency=currency,
                fee_minor=fee,
                at=at,
                actor="test",
                recorded_at=at,
            )
            for kind, ref, status, minor, at, fee in facts
        ],
    )
    db.session.add(payment)
    db.session.commit()
    return payment


def came(minor: int, at: datetime, fee: int | None = None, ref: str = "C1") -> Any:
    return (FactKind.PAYMENT, ref, FactStatus.DONE, minor, at, fee)


def november(day: int, hour: int = 12, minute: int = 0) -> datetime:
    return datetime(2026, 11, day, hour, minute, tzinfo=UTC)


def seen(provider_id: int, period: Period = NOVEMBER) -> reporting.Report:
    db.session.expire_all()
    return reporting.report(db.session(), provider_id, period)


def test_a_month_has_its_first_and_its_last_moment(any_app: Flask) -> None:
    with any_app.app_context():
        block = make_block()
        first, last = NOVEMBER.since, NOVEMBER.until - timedelta(microseconds=1)
        for at in (first - timedelta(microseconds=1), first, last, NOVEMBER.until):
            make_order(block, placed_at=at, paid_at=at, status=OrderStatus.PAID)
            block = make_block(provider=block.provider)
        found = seen(block.provider_id)
        assert [(each.orders, each.units) for each in found.placed] == [(2, 20)]
        assert [(each.orders, each.units, each.month) for each in found.sales] == [
            (2, 20, "2026-11")
        ]
        year = seen(block.provider_id, Period.parse("2026"))
        assert [(each.month, each.orders) for each in year.sales] == [
            ("2026-10", 1),
            ("2026-11", 2),
            ("2026-12", 1),
        ]
        assert [units for _, units in year.units_by_month] == [0] * 9 + [10, 20, 10]
        assert sum(each.orders for each in year.sold) == 4


def test_currencies_are_never_added_up(any_app: Flask) -> None:
    with any_app.app_context():
        provider = make_provider()
        for currency, minor in (("USD", 2500), ("EUR", 1000), ("JPY", 700), ("USD", 500)):
            order = make_order(
                make_block(provider=provider),
                currency=currency,
                total_minor=minor,
                status=OrderStatus.PAID,
                paid_at=november(3),
            )
            pay(order, came(minor, november(3)), currency=currency)
        found = seen(provider.id)
        assert [each.total for each in found.sold] == [
            Money(1000, "EUR"),
            Money(700, "JPY"),
            Money(3000, "USD"),
        ]
        assert [each.received for each in found.takings] == [
            Money(1000, "EUR"),
            Money(700, "JPY"),
            Money(3000, "USD"),
        ]


def test_money_counts_when_it_moved_and_once(any_app: Flask) -> None:
    with any_app.app_context():
        provider = make_provider()
        back = FactKind.REFUND
        order = make_order(make_block(provider=provider), placed_at=november(1) - timedelta(9))
        pay(
            order,
            (FactKind.PAYMENT, "C1", FactStatus.PENDING, 2500, november(1), None),
            came(2400, november(2), 70),
            came(2500, november(2), 73),
            (back, "R1", FactStatus.PENDING, 900, november(4), None),
            (back, "R1", FactStatus.DONE, 900, november(5), None),
            (back, "R2", FactStatus.DONE, 100, NOVEMBER.until, None),
        )
        other = make_order(make_block(provider=provider))
        pay(other, came(2500, november(6)))
        by_bank = make_order(make_block(provider=provider), method_id="bank_transfer")
        pay(by_bank, came(2000, november(7)), came(500, november(8), ref="C2"),
            method="bank_transfer")  # fmt: skip
        bank, paypal = seen(provider.id).takings
        assert (bank.payments, bank.received, bank.fees) == (2, Money(2500, "USD"), None)
        assert (paypal.payments, paypal.received) == (2, Money(5000, "USD"))
        assert (paypal.fees, paypal.fees_told) == (Money(73, "USD"), 1)
        assert (paypal.refunds, paypal.refunded) == (1, Money(900, "USD"))
        (later,) = seen(provider.id, NOVEMBER.next).takings
        assert (later.payments, later.refunded) == (0, Money(100, "USD"))


def test_disputes_are_open_lost_or_over(any_app: Flask) -> None:
    with any_app.app_context():
        provider = make_provider()
        stories = {
            "open": [(FactStatus.OPEN, november(3))],
            "won": [(FactStatus.OPEN, november(3)), (FactStatus.WON, november(20))],
            "lost": [(FactStatus.PENDING, november(3)), (FactStatus.LOST, november(21))],
            "lost later": [(FactStatus.OPEN, november(3)), (FactStatus.LOST, NOVEMBER.until)],
        }
        for at, (name, told) in enumerate(stories.items()):
            order = make_order(make_block(provider=provider))
            pay(
                order,
                came(2500, november(2)),
                *[
                    (FactKind.DISPUTE, name, status, 100 * 2**at, moment, None)
                    for status, moment in told
                ],
            )
        (found,) = seen(provider.id).takings
        assert found.disputed == Money(100, "USD")
        assert found.lost == Money(400, "USD")
        (later,) = seen(provider.id, NOVEMBER.next).takings
        assert later.lost == Money(800, "USD")


def test_units_count_when_the_registry_cancelled_them(any_app: Flask) -> None:
    with any_app.test_request_context():
        attestation = make_attestation(make_block(), runs=2)
        provider_id = attestation.order.provider_id
        (found,) = seen(provider_id).cancelled
        assert (found.registry_id, found.units, found.cancellations) == ("cdm", 10, 1)
        assert seen(provider_id, NOVEMBER.next).cancelled == []
        rows = reporting.units_cancelled(db.session(), provider_id, NOVEMBER, after=None, limit=10)
        assert [row.units for row in rows] == [5, 5]
        assert rows[0].completed_at == DONE
        assert rows[0].first_text.startswith("KE-5-")


def test_others_see_nothing_of_it(any_app: Flask) -> None:
    with any_app.test_request_context():
        attestation = make_attestation(make_block())
        pay(attestation.order, came(2500, november(2)))
        other = make_provider()
        db.session.commit()
        found = seen(other.id)
        assert [found.placed, found.sales, found.takings, found.cancelled] == [[], [], [], []]
        for table in reports.TABLES.values():
            assert not list(table_rows(table, other.id))
            assert list(table_rows(table, attestation.order.provider_id))


def table_rows(table: reports.Table, provider_id: int) -> list[Any]:
    return list(reports.rows(table, lambda: nullcontext(db.session()), provider_id, NOVEMBER))


def test_parts_follow_one_another_without_gap(
    any_app: Flask, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Also where many rows have one moment."""
    with any_app.test_request_context():
        provider = make_provider()
        orders = []
        for at in (3, 3, 3, 4, 3, 4, 5):
            order = make_order(make_block(provider=provider), placed_at=november(at))
            orders.append(order.code)
            pay(order, came(2500, november(6)))
        whole = {name: table_rows(each, provider.id) for name, each in reports.TABLES.items()}
        assert {row[0] for row in whole["orders"]} == set(orders)
        assert len(whole["orders"]) == len(whole["payments"]) == 7
        for batch in (1, 2, 3, 7):
            monkeypatch.setattr(reports, "BATCH", batch)
            for name, each in reports.TABLES.items():
                assert table_rows(each, provider.id) == whole[name]


def csv_of(table: str, provider_id: int) -> list[list[str]]:
    text = "".join(
        reports.csv_parts(
            reports.TABLES[table], lambda: nullcontext(db.session()), provider_id, NOVEMBER
        )
    )
    assert text.startswith(reports.BOM)
    return list(csv.reader(io.StringIO(text.removeprefix(reports.BOM))))


def test_csv_is_plain_and_runs_nothing(app: Flask) -> None:
    with app.test_request_context():
        order = make_order(purchase_order='=HYPERLINK("http://x","y")', paid_at=november(3, 9, 5))
        pay(
            order,
            came(250000, november(2)),
            (FactKind.REFUND, "-R", FactStatus.DONE, 1, november(3), None),
        )
        head, row = csv_of("orders", order.provider_id)
        assert len(head) == len(row)
        assert row[4:7] == ["10", "25.00", "USD"]
        assert row[7] == """'=HYPERLINK("http://x","y")"""
        assert row[8] == "2026-11-03 09:05:00"
        assert row[9] == ""
        payments = csv_of("payments", order.provider_id)
        assert [each[5] for each in payments[1:]] == ["2500.00", "-0.01"]
        assert payments[2][8] == "'-R"


@pytest.mark.parametrize("locale", ["en", "fr", "es"])
def test_a_workbook_has_numbers_and_three_sheets(app: Flask, locale: str) -> None:
    with app.test_request_context(f"/{locale}/"), force_locale(locale):
        attestation = make_attestation(make_block())
        pay(attestation.order, came(2500, november(2)))
        provider_id = attestation.order.provider_id
        with reports.workbook(lambda: nullcontext(db.session()), provider_id, NOVEMBER) as file:
            book = zipfile.ZipFile(io.BytesIO(file.read()))
        assert book.testzip() is None
        sheets = [book.read(f"xl/worksheets/sheet{at}.xml").decode() for at in (1, 2, 3)]
        assert "<f>" not in "".join(sheets)
        for sheet in sheets:
            assert 'state="frozen"' in sheet
        assert '<c r="E2"><v>10</v></c>' in sheets[0]
        assert re.search(r'<c r="F2"><v>25(\.00)?</v></c>', sheets[0])
        assert '<c r="B2" s="2"><v>46328.375</v></c>' in sheets[0]  # 2026-11-02 09:00


def test_a_long_table_ends_with_a_word(app: Flask, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reports, "MOST_SHEET_ROWS", 2)
    with app.test_request_context():
        provider = make_provider()
        for _ in range(4):
            make_order(make_block(provider=provider))
        with reports.workbook(lambda: nullcontext(db.session()), provider.id, NOVEMBER) as file:
            sheet = zipfile.ZipFile(io.BytesIO(file.read())).read("xl/worksheets/sheet1.xml")
        assert b"There are more rows" in sheet
        assert b'r="5"' not in sheet


def monthly(provider_id: int) -> list[Message]:
    return list(
        db.session.scalars(select(Message).where(Message.dedup.startswith("monthly_report:")))
    )


def test_the_report_is_mailed_once_a_month(any_app: Flask, clock: Clock) -> None:
    with any_app.test_request_context():
        provider = make_provider(locale="fr")
        db.session.commit()
        for _ in range(2):
            with unit_of_work() as session:
                reporting.mail_monthly(
                    session, provider.id, wanted=True, actor="ada@example.org", now=clock()
                )
        assert db.session.query(Event).filter_by(subject="provider").count() == 1
        due = datetime(2026, 12, 1, 6, 0, tzinfo=UTC)
        assert db.session.get_one(Provider, provider.id).due_at == due
        assert not jobs.do("provider", provider.id, due_only=True)

        clock.now = due
        assert jobs.do("provider", provider.id, due_only=True)
        (message,) = monthly(provider.id)
        assert message.params["period"] == "2026-11"
        assert message.locale == "fr"
        db.session.expire_all()
        following = datetime(2027, 1, 1, 6, 0, tzinfo=UTC)
        assert db.session.get_one(Provider, provider.id).due_at == following
        # A worker that died before it said so does it again: no second mail.
        assert jobs.do("provider", provider.id)
        assert len(monthly(provider.id)) == 1

        # Nobody was at work for months: the last full month is what is sent.
        clock.now = datetime(2027, 4, 17, 8, 0, tzinfo=UTC)
        assert jobs.do("provider", provider.id, due_only=True)
        assert [each.params["period"] for each in monthly(provider.id)] == ["2026-11", "2027-03"]
        with unit_of_work() as session:
            reporting.mail_monthly(
                session, provider.id, wanted=False, actor="ada@example.org", now=clock()
            )
        assert db.session.get_one(Provider, provider.id).due_at is None


@pytest.mark.parametrize("locale", ["en", "fr", "es"])
def test_the_mail_has_figures_and_file(app: Flask, locale: str) -> None:
    with app.test_request_context():
        provider = make_provider(locale=locale)
        order = make_order(
            make_block(provider=provider), status=OrderStatus.PAID, paid_at=november(2)
        )
        pay(order, came(2500, november(2), 103))
        with unit_of_work() as session:
            reporting.queue_monthly(session, provider.id, now=datetime(2026, 12, 1, 6, tzinfo=UTC))
        (message,) = monthly(provider.id)
        made = mail.render(db.session(), message)
        assert made["To"] == provider.email
        text = made.get_body(("plain",)).get_content()
        assert ("25.00" if locale == "en" else "25,00") in text
        assert ("1.03" if locale == "en" else "1,03") in text
        assert f"/{locale}/provider/reports?period=2026-11" in text
        (file,) = made.iter_attachments()
        assert file.get_content_type() == "text/csv"
        assert file.get_filename() == f"{provider.slug}-orders-2026-11.csv"
        assert order.code in file.get_payload(decode=True).decode("utf-8-sig")


def test_periods_read_and_say_their_names() -> None:
    for code, first, last in (
        ("2026-02", date(2026, 2, 1), date(2026, 2, 28)),
        ("2028-02", date(2028, 2, 1), date(2028, 2, 29)),
        ("2026-Q4", date(2026, 10, 1), date(2026, 12, 31)),
        ("2026", date(2026, 1, 1), date(2026, 12, 31)),
        ("2026-11-05_2026-11-05", date(2026, 11, 5), date(2026, 11, 5)),
    ):
        period = Period.parse(code)
        assert (period.first, period.last, period.code) == (first, last, code)
        assert period.next.previous == period
        assert period.previous.until == period.since
        assert period.next.since == period.until
    assert [each.code for each in Period.parse("2026-Q1").months()] == [
        "2026-01",
        "2026-02",
        "2026-03",
    ]
    days = Period.parse("2026-10-31_2026-11-01")
    assert [each.code for each in days.months()] == ["2026-10", "2026-11"]


@pytest.mark.parametrize(
    "code",
    ["", "2026-13", "2026-00", "2026-Q5", "26", "1999", "2026-1", "2026-11-31_2026-12-01", "x",
     "2026-11-02_2026-11-01", "2026-01-01_2036-01-01", "٢٠٢٦", "2026\n"],
)  # fmt: skip
def test_what_is_no_period(code: str) -> None:
    with pytest.raises(PeriodError):
        Period.parse(code)


def test_days_of_ones_choice_have_a_limit() -> None:
    first = date(2026, 1, 1)
    assert Period.of_days(first, first + timedelta(days=LONGEST_DAYS - 1))
    with pytest.raises(PeriodError):
        Period.of_days(first, first + timedelta(days=LONGEST_DAYS))

"""The page of reports and its files, as a provider's staff sees them."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest
from flask import Flask
from flask.testing import FlaskClient

from cnn_offset.domain.staff import StaffRole
from cnn_offset.domain.status import OrderStatus
from cnn_offset.extensions import db
from cnn_offset.models import Provider
from tests.factories import make_block, make_payout
from tests.papers import make_attestation, make_order
from tests.services.test_reporting import came, november, pay
from tests.web.people import add_person, log_in, post
from tests.web.shopping import text_of


@pytest.fixture
def staff(app: Flask) -> FlaskClient:
    """Somebody of a provider that has sold, been paid and had units cancelled."""
    with app.test_request_context():
        block = make_block()
        make_payout(block.provider)
        attestation = make_attestation(block)
        order = attestation.order
        order.paid_at = november(2)
        pay(order, came(2500, november(2), 103))
        make_order(
            make_block(provider=order.provider),
            currency="EUR",
            placed_at=datetime(2026, 1, 31, 23, 59, tzinfo=UTC),
            paid_at=datetime(2026, 2, 1, tzinfo=UTC),
            status=OrderStatus.PAID,
        )
        db.session.commit()
        slug = order.provider.slug
    add_person(app, "staff@example.org", "provider", slug)
    return log_in(app, "staff@example.org")


@pytest.mark.parametrize("lang", ["en", "fr", "es"])
def test_the_page_begins_with_this_month(staff: FlaskClient, lang: str) -> None:
    answer = staff.get(f"/{lang}/provider/reports")
    assert answer.status_code == 200
    text = text_of(answer)
    assert {"en": "November 2026", "fr": "novembre 2026", "es": "noviembre 2026"}[lang] in text
    assert ("USD 25.00" if lang == "en" else "25,00 USD") in text
    assert ("USD 1.03" if lang == "en" else "1,03 USD") in text
    assert "EUR" not in text
    assert 'role="img"' not in answer.text


def test_a_year_has_bars_and_a_table(staff: FlaskClient) -> None:
    answer = staff.get("/en/provider/reports?period=2026")
    assert answer.text.count('width="28"') == 12
    assert "February 2026" in text_of(answer)
    assert "EUR 25.00" in text_of(answer)
    assert "style=" not in answer.text
    assert "Before: 2025" in text_of(answer)
    assert "After:" not in text_of(answer)


def test_days_of_ones_choice(staff: FlaskClient) -> None:
    one = "/en/provider/reports?period=days&from=2026-02-01&to=2026-02-01"
    text = text_of(staff.get(one))
    assert "1 February 2026 to 1 February 2026" in text
    assert "EUR 25.00" in text
    assert "No order was placed in this period." in text


@pytest.mark.parametrize(
    ("query", "kept"),
    [
        ("period=2026-13", ""),
        ("period=%00", ""),
        ("period=days", ""),
        ("period=days&from=2026-11-02&to=2026-11-01", 'value="2026-11-01"'),
        ("period=days&from=2026-11-99&to=x", 'value="2026-11-99"'),
        ("period=days&from=2000-01-01&to=2026-11-01", 'value="2000-01-01"'),
    ],
)
def test_what_is_no_period_is_said(staff: FlaskClient, query: str, kept: str) -> None:
    answer = staff.get(f"/en/provider/reports?{query}")
    assert answer.status_code == 422
    assert "There is a problem" in text_of(answer)
    assert kept in answer.text
    assert staff.get(f"/en/provider/reports/orders.csv?{query}").status_code == 404
    assert staff.get(f"/en/provider/reports/report.xlsx?{query}").status_code == 404


def test_files(staff: FlaskClient) -> None:
    for table in ("orders", "payments", "cancellations"):
        answer = staff.get(f"/fr/provider/reports/{table}.csv?period=2026")
        assert answer.status_code == 200
        assert answer.mimetype == "text/csv"
        assert f"-{table}-2026.csv" in answer.headers["Content-Disposition"]
        assert answer.headers["Cache-Control"] == "no-store"
        assert answer.data.startswith(b"\xef\xbb\xbf")
        assert answer.text.count("\r\n") >= 2
    book = staff.get("/es/provider/reports/report.xlsx?period=2026-11")
    assert book.data.startswith(b"PK")
    assert book.headers["Cache-Control"] == "no-store"
    assert "-report-2026-11.xlsx" in book.headers["Content-Disposition"]
    assert staff.get("/en/provider/reports/users.csv").status_code == 404


def test_another_provider_gets_empty_files(app: Flask, staff: FlaskClient) -> None:
    with app.app_context():
        other = make_block().provider
        db.session.commit()
        slug = other.slug
    add_person(app, "other@example.org", "provider", slug)
    client = log_in(app, "other@example.org")
    for table in ("orders", "payments", "cancellations"):
        answer = client.get(f"/en/provider/reports/{table}.csv?period=2026")
        assert answer.text.count("\r\n") == 1
    assert "No order was placed" in text_of(client.get("/en/provider/reports?period=2026"))


def test_the_monthly_mail_is_switched_by_those_who_may(app: Flask, staff: FlaskClient) -> None:
    with app.app_context():
        slug = db.session.query(Provider.slug).order_by(Provider.id).limit(1).scalar()
    add_person(app, "sales@example.org", "provider", slug, staff_role=StaffRole.SALES)
    sales = log_in(app, "sales@example.org")
    path = "/en/provider/reports/monthly"
    assert post(sales, path, wanted="yes").status_code == 403
    assert sales.get("/en/provider/reports").status_code == 200

    assert post(staff, path, wanted="yes").status_code == 302
    assert "Next on 1 December 2026, 06:00 UTC" in text_of(staff.get("/en/provider/reports"))
    assert post(staff, path, wanted="no").status_code == 302
    text = text_of(staff.get("/en/provider/reports"))
    assert "no longer mailed" in text
    assert "Next on" not in text

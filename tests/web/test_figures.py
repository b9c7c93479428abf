"""The Board report and the public page of figures, with their files."""

from __future__ import annotations

import csv
import io
import re
import zipfile
from datetime import timedelta

import pytest
from flask import Flask
from flask.testing import FlaskClient
from sqlalchemy import select

from cnn_offset.domain.casework import CaseKind, CaseSide
from cnn_offset.domain.status import OrderStatus
from cnn_offset.domain.units import UnitType
from cnn_offset.extensions import db, unit_of_work
from cnn_offset.models import Visit
from cnn_offset.services import cases, tallying
from tests.conftest import Clock
from tests.factories import make_activity, make_block
from tests.papers import DONE, make_attestation, make_order
from tests.services.test_reporting import came, november, pay
from tests.web.people import add_person, log_in
from tests.web.shopping import text_of

FILES = {
    "csv": "text/csv; charset=utf-8",
    "xlsx": "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet",
    "pdf": "application/pdf",
}


@pytest.fixture
def sold(app: Flask, clock: Clock) -> Flask:
    """A shop in which a company and a person had units cancelled, counted."""
    with app.test_request_context():
        with unit_of_work() as session:
            cases.open_case(
                session,
                cases.Asked(CaseKind.PAYMENT, CaseSide.VISITOR, "eve@example.org", "en", "Help"),
                now=DONE,
            )
        wind = make_attestation(make_block(), paid_at=DONE - timedelta(minutes=4))
        wind.issued_at = DONE
        wind.sha256 = "0" * 64
        forest = make_activity(host_party="BR", technology="reforestation")
        make_attestation(
            make_block(forest, unit_type=UnitType.LCER),
            quantity=30,
            purchaser_kind="person",
            country="FR",
            paid_at=DONE,
            currency="EUR",
        )
        late = make_order(placed_at=november(1), paid_at=november(1), status=OrderStatus.REFUND_DUE)
        pay(late, came(2500, november(1)))
        db.session.add(Visit(day=DONE.date(), locale="fr", number=7))
        db.session.commit()
        for day in (november(1).date(), DONE.date()):
            with unit_of_work() as session:
                tallying.make_day(session, day, now=clock())
    return app


@pytest.fixture
def operator(sold: Flask) -> FlaskClient:
    add_person(sold, "op@example.org", "operator")
    return log_in(sold, "op@example.org")


def lines(text: str) -> list[list[str]]:
    return list(csv.reader(io.StringIO(text.removeprefix("\ufeff"))))


def test_the_report_of_a_month(operator: FlaskClient) -> None:
    answer = operator.get("/en/operator/reports?period=2026-11")
    assert answer.status_code == 200
    text = text_of(answer)
    assert "November 2026" in text
    assert "Units cancelled (tonnes of CO₂ equivalent) 40 0" in text
    assert "Companies and organisations 2 66.7 10 25" in text
    assert "Private persons 1 33.3 30 75" in text
    assert "Brazil 1 30 75" in text
    assert "Refund due 1 33.3" in text
    assert "PayPal or card, EUR 1 EUR 75.00 EUR 0.00" in text
    assert "EUR 1 EUR 75.00 EUR 0.00" in text
    assert "PayPal or card, USD 2 USD 50.00" in text
    assert "Half of them took 5 minutes at most" in text
    assert "Français 7 100" in text
    assert "Problem with a payment 1 100 0" in text
    assert "Cases opened 1 0" in text
    # Every drawing says what it shows, and its table follows.
    drawings = re.findall(r'<svg xmlns[^>]*role="img" aria-labelledby="([^"]+)"', answer.text)
    assert len(drawings) >= 5
    for each in drawings:
        for name in each.split():
            assert f'id="{name}"' in answer.text
    assert "style=" not in answer.text


def test_the_report_begins_with_this_quarter(operator: FlaskClient) -> None:
    assert "Quarter 4 of 2026" in text_of(operator.get("/en/operator/reports"))


@pytest.mark.parametrize("lang", ["en", "fr", "es"])
@pytest.mark.parametrize("ending", FILES)
def test_files_in_three_languages(operator: FlaskClient, lang: str, ending: str) -> None:
    answer = operator.get(f"/{lang}/operator/reports/report.{ending}?period=2026-11")
    assert answer.status_code == 200
    assert answer.headers["Content-Type"] == FILES[ending]
    assert f"report-2026-11.{ending}" in answer.headers["Content-Disposition"]
    assert answer.headers["Cache-Control"] == "no-store"
    if ending == "csv":
        rows = lines(answer.text)
        assert len({tuple(row[:4]) for row in rows}) == len(rows)
        assert {row[0] for row in rows[1:]} == {"2026-11"}
        if lang == "en":
            title = "Units cancelled by host country"
            assert ["2026-11", title, "Brazil", "Units", "30"] in rows
            assert [
                "2026-11",
                "Payments by method",
                "PayPal or card, USD",
                "Amount",
                "50.00",
            ] in rows
    elif ending == "xlsx":
        with zipfile.ZipFile(io.BytesIO(answer.data)) as book:
            sheets = [name for name in book.namelist() if name.startswith("xl/worksheets/sheet")]
            assert len(sheets) == 15
            assert "<f>" not in "".join(book.read(name).decode() for name in sheets)
    else:
        assert answer.data.startswith(b"%PDF-")
        assert answer.data == operator.get(answer.request.path + "?period=2026-11").data


@pytest.mark.parametrize("ending", FILES)
def test_a_report_over_no_data_says_so_and_has_its_files(
    operator: FlaskClient, ending: str
) -> None:
    page = operator.get("/en/operator/reports?period=2019")
    assert page.status_code == 200
    assert "Nothing was counted in this period." in text_of(page)
    assert "No order was placed in this period." in text_of(page)
    assert 'role="img"' not in page.text
    answer = operator.get(f"/en/operator/reports/report.{ending}?period=2019")
    assert answer.status_code == 200
    assert len(answer.data) > 100


def test_what_begins_like_a_formula_is_defused(app: Flask, clock: Clock) -> None:
    """Names of methods and technologies come from plug-ins and tables of others."""
    with app.test_request_context():
        make_order(
            make_block(make_activity(technology="=1+1")),
            method_id="@SUM(A1)",
            placed_at=DONE,
            paid_at=DONE,
        )
        make_attestation(make_block(make_activity(technology="=cmd|' /C calc'!A0")))
        with unit_of_work() as session:
            tallying.make_day(session, DONE.date(), now=clock())
    add_person(app, "op@example.org", "operator")
    client = log_in(app, "op@example.org")
    rows = lines(client.get("/en/operator/reports/report.csv?period=2026-11").text)
    cells = [cell for row in rows for cell in row]
    assert "'@SUM(A1), USD" in cells
    assert "'=cmd|' /C calc'!A0" in cells
    assert not [each for each in cells if each.startswith(("=", "+", "@"))]


@pytest.mark.parametrize(
    ("query", "status"),
    [
        ("period=2026-13", 422),
        ("period=x", 422),
        ("period=days&from=2026-11-02&to=2026-11-01", 422),
        ("period=days&from=&to=2026-11-01", 422),
        ("period=days&from=2020-01-01&to=2026-11-01", 422),
        ("period=days&from=2026-11-01&to=2026-11-02", 200),
        ("period=2026-11-01_2026-11-02", 200),
        ("period=2026-Q4", 200),
    ],
)
def test_periods_of_ones_choice(operator: FlaskClient, query: str, status: int) -> None:
    for page in ("operator/reports", "figures"):
        assert operator.get(f"/en/{page}?{query}").status_code == status
    for file in ("operator/reports/report.csv", "figures/figures.csv"):
        assert operator.get(f"/en/{file}?{query}").status_code == (404 if status == 422 else 200)


def test_days_across_years_are_put_together_of_spans(operator: FlaskClient) -> None:
    wide = operator.get("/en/operator/reports?period=days&from=2025-12-31&to=2026-11-02")
    assert "Units cancelled (tonnes of CO₂ equivalent) 40 0" in text_of(wide)


def test_no_other_kind_of_file(operator: FlaskClient) -> None:
    assert operator.get("/en/operator/reports/report.exe").status_code == 404


def test_the_public_page(sold: Flask) -> None:
    client = sold.test_client()
    answer = client.get("/en/figures")
    assert answer.status_code == 200
    text = text_of(answer)
    assert "Figures: 2026" in text
    assert "Units cancelled (tonnes of CO₂ equivalent) 40" in text
    assert "Year by year, since the beginning" in text
    for secret in ("PayPal", "Visits", "Ada", "Looms", "@example"):
        assert secret not in answer.text
    rows = lines(client.get("/en/figures/figures.csv?period=2026").text)
    assert ["2026", "Purchasers by type", "Private persons", "Units cancelled", "30"] in rows


@pytest.mark.parametrize("path", ["figures", "figures/figures.csv"])
def test_caches_may_keep_the_public_page(sold: Flask, path: str) -> None:
    answer = sold.test_client().get(f"/en/{path}")
    assert answer.headers["Cache-Control"] == "public, max-age=300"
    assert "Cookie" in answer.headers["Vary"]
    assert "Set-Cookie" not in answer.headers
    tag = answer.headers["ETag"]
    again = sold.test_client().get(f"/en/{path}", headers={"If-None-Match": tag})
    assert again.status_code == 304
    add_person(sold, "ada@example.org")
    known = log_in(sold, "ada@example.org").get(f"/en/{path}")
    assert known.headers["Cache-Control"] == "private, no-cache"


def test_the_public_page_before_the_first_order(app: Flask) -> None:
    answer = app.test_client().get("/en/figures")
    assert answer.status_code == 200
    assert "Nothing was ordered or cancelled in this period." in text_of(answer)


def test_ways_to_the_public_page(app: Flask) -> None:
    page = app.test_client().get("/en/record").text
    assert page.count('href="/en/figures"') == 2


def test_days_being_counted_are_told(operator: FlaskClient, sold: Flask, clock: Clock) -> None:
    with sold.app_context(), unit_of_work() as session:
        tallying.mark(session, [DONE.date()], due_at=clock())
    assert "1 day is being counted anew" in text_of(operator.get("/en/operator/reports"))


def test_others_do_not_see_the_report(sold: Flask) -> None:
    add_person(sold, "ada@example.org")
    client = log_in(sold, "ada@example.org")
    for path in ("", "/report.csv"):
        assert client.get(f"/en/operator/reports{path}").status_code == 404
    with sold.app_context():
        assert db.session.scalars(select(Visit.number)).all() == [7]

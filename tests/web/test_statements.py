"""Bank statements at the browser: uploaded, columns named, entries decided."""

from __future__ import annotations

import io
import re

import pytest
from flask import Flask
from flask.testing import FlaskClient
from sqlalchemy import select
from werkzeug.test import TestResponse

from cnn_offset.blueprints.provider import money as pages
from cnn_offset.domain.reference import creditor_reference
from cnn_offset.domain.staff import StaffRole
from cnn_offset.domain.status import BankEntryStatus, OrderStatus
from cnn_offset.extensions import db, platform
from cnn_offset.models import BankEntry, BankStatement, Order, PayoutMethod
from tests.conftest import Clock
from tests.statements import Line, camt053, mt940, table
from tests.web.people import add_person, log_in, post, token
from tests.web.selling import Sale, sell
from tests.web.shopping import text_of

STAFF, SALES, OTHER = "staff@example.org", "sales@example.org", "other@example.org"
PATH = "/en/provider/statements"
CONFIRMS = "/en/provider/payouts/bank_transfer/confirms"


@pytest.fixture
def sale(app: Flask, clock: Clock) -> Sale:
    made = sell(app, clock, method="bank_transfer")
    add_person(app, STAFF, "provider", made.provider)
    add_person(app, SALES, "provider", made.provider, staff_role=StaffRole.SALES)
    add_person(app, OTHER, "provider", sell(app, clock, method="bank_transfer").provider)
    return made


@pytest.fixture
def staff(app: Flask, sale: Sale) -> FlaskClient:
    return log_in(app, STAFF)


def line(sale: Sale, amount: str = "25.00", ref: str = "T-1") -> Line:
    return Line(amount, f"Carbon {creditor_reference(sale.order_id)}", ref)


def upload(client: FlaskClient, data: bytes, name: str = "bank.xml") -> TestResponse:
    return client.post(
        PATH,
        data={"csrf_token": token(client), "file": (io.BytesIO(data), name)},
        content_type="multipart/form-data",
    )


def rows(app: Flask, kind: type) -> list:
    with app.app_context():
        return list(db.session.scalars(select(kind).order_by(kind.id)))


def order(app: Flask, sale: Sale) -> Order:
    with app.app_context():
        return db.session.get_one(Order, sale.order_id)


@pytest.mark.parametrize("lang", ["en", "fr", "es"])
def test_pages_in_each_language(app: Flask, sale: Sale, staff: FlaskClient, lang: str) -> None:
    upload(staff, camt053([line(sale), Line("9.00", "gift", "T-2"), Line("-1.00", "fee", "T-3")]))
    entries = rows(app, BankEntry)
    for path in ("statements", "statements/1", "money", "money?show=seconded",
                 "money?show=dismissed", *(f"money/{each.id}" for each in entries)):  # fmt: skip
        page = staff.get(f"/{lang}/provider/{path}")
        assert page.status_code == 200, path
        assert page.text.count("<h1") == 1, path
        assert page.headers["Cache-Control"] == "no-store"


def test_upload_decide_paid(app: Flask, sale: Sale, staff: FlaskClient) -> None:
    answer = upload(staff, camt053([line(sale), Line("9.00", "gift", "T-2")]))
    assert answer.status_code == 302
    page = text_of(staff.get(answer.location))
    assert "Exactly what was due : 1" in page.replace(": 1", ": 1")
    entry = rows(app, BankEntry)[0]
    path = f"/en/provider/money/{entry.id}"
    shown = staff.get(path)
    assert "is paid exactly" in shown.text
    assert 'name="seen" value="pays"' in shown.text
    assert (
        post(staff, f"{path}/decide", act="record", seen="pays", order=sale.order_id).status_code
        == 302
    )
    assert order(app, sale).status is OrderStatus.PAID
    again = post(staff, f"{path}/decide", act="record", seen="pays", order=sale.order_id)
    assert again.status_code == 422
    assert "decided this already" in again.text


def test_exact_payments_let_through(app: Flask, sale: Sale, staff: FlaskClient) -> None:
    assert "Every entry waits for a person" in staff.get(PATH).text
    assert post(staff, CONFIRMS, alone="yes").status_code == 302
    assert "pays that order at once" in staff.get(PATH).text
    upload(staff, camt053([line(sale)]))
    assert order(app, sale).status is OrderStatus.PAID


def test_the_same_file_again(app: Flask, sale: Sale, staff: FlaskClient) -> None:
    data = camt053([line(sale)])
    first = upload(staff, data)
    again = upload(staff, data, "copy.xml")
    assert again.location == first.location
    assert "was read before" in staff.get(again.location).text
    assert len(rows(app, BankEntry)) == len(rows(app, BankStatement)) == 1


REFUSED = {
    "nothing chosen": (b"", "", "Please choose the file"),
    "empty": (b"", "x.xml", "The file is empty"),
    "wrong balance": (camt053([Line("25.00")]).replace(b"1025.00", b"1.00"), "x.xml", "not add up"),
    "a document type": (b'<!DOCTYPE a SYSTEM "file:///etc/passwd"><a/>', "x.xml", "document type"),
    "another account": (mt940([Line("1.00")], account="0998877"), "x.sta", "not yours"),
    "a picture": (b"\x89PNG\r\n", "x.csv", "no statement that can be read"),
}


@pytest.mark.parametrize("name", REFUSED)
def test_files_that_are_refused(app: Flask, staff: FlaskClient, name: str) -> None:
    data, filename, words = REFUSED[name]
    answer = upload(staff, data, filename)
    assert answer.status_code == 422
    assert words in text_of(answer)
    assert 'href="#file"' in answer.text
    assert rows(app, BankEntry) == []


def test_names_of_files_are_only_names(app: Flask, sale: Sale, staff: FlaskClient) -> None:
    upload(staff, camt053([line(sale)]), "../../<b>x\u202e.xml")
    (made,) = rows(app, BankStatement)
    assert made.filename in {"<b>x.xml", "statement"}
    assert "<b>x" not in staff.get(PATH).text


CSV = table(
    [("02.11.2026", "RF {rf}", "25,00"), ("03.11.2026", "Miete", "-7,50")], "Tag;Text;Betrag"
)
COLUMNS = {
    "encoding": "utf-8", "delimiter": ";", "date_order": "dmy", "decimal": ",",
    "date_column": "0", "text_column": "1", "amount_column": "2", "currency": "usd",
    "header_rows": "1", "footer_rows": "0",
}  # fmt: skip


def csv_of(sale: Sale) -> bytes:
    return CSV.replace(b"RF {rf}", creditor_reference(sale.order_id).encode())


def test_a_table_step_by_step(app: Flask, sale: Sale, staff: FlaskClient) -> None:
    answer = upload(staff, csv_of(sale), "my bank.csv")
    path = answer.location
    assert "/columns/" in path
    asked = staff.get(path)
    assert asked.status_code == 200
    assert "Betrag" in asked.text
    shown = post(staff, path, **COLUMNS)
    assert shown.status_code == 200
    assert "nothing proves that it is whole" in shown.text
    assert rows(app, BankEntry) == []
    seen = re.search(r'name="seen" value="(\w+)"', shown.text)
    assert seen
    # Other columns than those that were shown are shown again first.
    other = post(staff, path, **{**COLUMNS, "text_column": "0"}, seen=seen[1])
    assert other.status_code == 200
    assert rows(app, BankEntry) == []
    done = post(staff, path, **COLUMNS, seen=seen[1])
    assert done.status_code == 302
    first, second = rows(app, BankEntry)
    assert (first.amount_minor, first.order_id) == (2500, sale.order_id)
    assert second.status is BankEntryStatus.DISMISSED
    assert rows(app, BankStatement)[0].filename == "my bank.csv"
    assert staff.get(path).status_code == 404
    # The next file begins with the same columns.
    path = upload(staff, csv_of(sale) + b"\n04.11.2026;x;1,00").location
    page = staff.get(path)
    assert "as in your last file" in page.text
    assert re.search(r'<option value="2" selected', page.text)


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("date_column", ""), ("date_column", "99999"), ("amount_column", "-1"),
        ("encoding", "utf-7"), ("delimiter", "xx"), ("date_order", "never"),
        ("header_rows", "many"), ("decimal", ";"), ("amount_column", ""), ("currency", ""),
        ("currency", "XAU"), ("amount_column", "0"), ("date_order", "ymd"), ("encoding", "utf-16"),
        ("header_rows", "50"),
    ],
)  # fmt: skip
def test_columns_that_do_not_fit(
    app: Flask, sale: Sale, staff: FlaskClient, field: str, value: str
) -> None:
    path = upload(staff, csv_of(sale)).location
    answer = post(staff, path, **{**COLUMNS, field: value})
    assert answer.status_code == 422
    assert "There is a problem" in answer.text
    assert rows(app, BankEntry) == []


def test_a_table_put_aside_is_its_owners(
    app: Flask, sale: Sale, staff: FlaskClient, clock: Clock
) -> None:
    path = upload(staff, csv_of(sale)).location
    other = log_in(app, OTHER)
    assert other.get(path).status_code == 404
    assert post(other, path, **COLUMNS).status_code == 404
    assert staff.get(f"{PATH}/columns/{'0' * 48}").status_code == 404
    assert staff.get(f"{PATH}/columns/..").status_code == 404
    with app.app_context():
        folder = f"statements/{order(app, sale).provider_id}"
        assert len(platform().files.ls(folder)) == 1
    clock.tick(days=2)
    upload(log_in(app, STAFF), csv_of(sale))
    with app.app_context():
        assert len(platform().files.ls(folder)) == 1


def test_of_others_nothing_exists(app: Flask, sale: Sale, staff: FlaskClient) -> None:
    upload(staff, camt053([line(sale)]))
    (entry,) = rows(app, BankEntry)
    other = log_in(app, OTHER)
    assert other.get(f"{PATH}/1").status_code == 404
    assert "bank.xml" not in other.get(PATH).text
    path = f"/en/provider/money/{entry.id}"
    assert other.get(path).status_code == 404
    for act in ("record", "choose", "split", "dismiss", "undo", "send_back"):
        answer = post(other, f"{path}/decide", act=act, seen="pays", reason="x", code=sale.code)
        assert answer.status_code == 404, act
    assert sale.code not in other.get("/en/provider/money").text
    assert order(app, sale).status is OrderStatus.PLACED


def test_sales_may_look_and_not_decide(app: Flask, sale: Sale, staff: FlaskClient) -> None:
    upload(staff, camt053([line(sale)]))
    (entry,) = rows(app, BankEntry)
    sales = log_in(app, SALES)
    path = f"/en/provider/money/{entry.id}"
    page = sales.get(path)
    assert page.status_code == 200
    assert "<button" not in page.text.split("<h1")[1].split("</main>")[0]
    assert (
        post(sales, f"{path}/decide", act="record", seen="pays", order=sale.order_id).status_code
        == 403
    )
    assert upload(sales, camt053([line(sale, ref="T-9")])).status_code == 403
    assert post(sales, CONFIRMS, alone="yes").status_code == 403
    assert order(app, sale).status is OrderStatus.PLACED


def test_choose_divide_set_aside(app: Flask, sale: Sale, staff: FlaskClient, clock: Clock) -> None:
    second = sell(app, clock, method="bank_transfer", like=sale)
    both = f"{creditor_reference(sale.order_id)} {creditor_reference(second.order_id)}"
    upload(staff, camt053([Line("50.00", both, "A"), Line("25.00", "?", "B")]))
    several, unknown = rows(app, BankEntry)
    path = f"/en/provider/money/{several.id}"
    page = staff.get(path).text
    assert f'value="{sale.code}"' in page
    assert 'value="25.00"' in page
    parts = {"code-1": sale.code, "share-1": "25.00", "code-2": second.code}
    for wrong in ({"share-2": "24.99"}, {"share-2": ""}, {"share-2": "many"}, {}):
        answer = post(staff, f"{path}/decide", act="split", **parts, **wrong)
        assert answer.status_code == 422, wrong
        assert 'id="code-1-error"' in answer.text
    assert (
        post(staff, f"{path}/decide", act="split", **parts, **{"share-2": "25"}).status_code == 302
    )
    assert "Divided over these orders" in staff.get(path).text

    path = f"/en/provider/money/{unknown.id}"
    # Two orders wait for just this amount.
    assert sale.code in staff.get(path).text
    for act, data in (("choose", {"code": "nonsense"}), ("dismiss", {"reason": " "}),
                      ("dismiss", {"reason": "a\u202eb"})):  # fmt: skip
        answer = post(staff, f"{path}/decide", act=act, **data)
        assert answer.status_code == 422
    assert post(staff, f"{path}/decide", act="nonsense").status_code == 400
    assert post(staff, f"{path}/decide", act="record", seen="nonsense").status_code == 400
    assert post(staff, f"{path}/decide", act="choose", code=sale.code).status_code == 302
    assert post(staff, f"{path}/decide", act="dismiss", reason="a gift").status_code == 302
    assert "a gift" in staff.get(path).text
    assert post(staff, f"{path}/decide", act="undo").status_code == 302
    assert rows(app, BankEntry)[1].status is BankEntryStatus.WAITING


def test_pages_of_many_entries(
    app: Flask, sale: Sale, staff: FlaskClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pages, "PAGE", 2)
    upload(staff, camt053([Line("1.00", f"gift-{n}", f"T-{n}") for n in range(5)]))
    path, seen = "/en/provider/money?finding=unknown&q=gift", []
    while path:
        page = staff.get(path).text
        seen += re.findall(r"gift-\d", page)
        older = re.search(r'href="([^"]+)" rel="next"', page)
        path = older[1].replace("&amp;", "&") if older else ""
    assert seen == [f"gift-{n}" for n in (4, 3, 2, 1, 0)]
    assert "No entry matches" in staff.get("/en/provider/money?q=zzz").text


def test_without_bank_transfers(app: Flask, clock: Clock) -> None:
    sale = sell(app, clock, method="paypal")
    with app.app_context():
        for each in db.session.scalars(
            select(PayoutMethod).where(PayoutMethod.method_id == "bank_transfer")
        ):
            db.session.delete(each)
        db.session.commit()
    add_person(app, STAFF, "provider", sale.provider)
    staff = log_in(app, STAFF)
    assert "You take no bank transfers" in staff.get(PATH).text
    assert upload(staff, camt053([])).status_code == 404


def test_clicked_twice_at_once_counts_once(app: Flask, sale: Sale, staff: FlaskClient) -> None:
    """A statement that arrives while the same is typed counts the money once."""
    post(
        staff,
        f"/en/provider/orders/{sale.code}/paid",
        amount="25.00", currency="USD", received_on="2026-11-02", bank_ref="t1", seen="pays",
    )  # fmt: skip
    answer = upload(staff, camt053([line(sale, ref="T1")]))
    assert "Everything in this file was known before." in staff.get(answer.location).text

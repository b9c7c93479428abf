"""A provider's staff: its own bank orders, in progress, money that arrived."""

from __future__ import annotations

import re
from datetime import datetime, timedelta

import pytest
from flask import Flask
from sqlalchemy import select

from cnn_offset import jobs
from cnn_offset.blueprints.provider import orders as provider
from cnn_offset.domain.money import Money
from cnn_offset.domain.status import OrderStatus
from cnn_offset.extensions import db, unit_of_work
from cnn_offset.mail import render
from cnn_offset.models import Cancellation, Event, Message, Order, PaymentFact
from cnn_offset.services import ServiceError, inbox, selling
from cnn_offset.services.joining import find_user
from cnn_offset.services.selling import details_due, read_amount
from tests.conftest import Clock
from tests.web.people import add_person, log_in, post
from tests.web.selling import Sale, sell

STAFF = "staff@example.org"
OTHER = "other@example.org"


@pytest.fixture
def sale(app: Flask, clock: Clock) -> Sale:
    """A bank order of 10 units at USD 2.50, opened, and staff of two providers."""
    made = sell(app, clock, method="bank_transfer")
    add_person(app, STAFF, "provider", made.provider)
    add_person(app, OTHER, "provider", sell(app, clock, method="bank_transfer").provider)
    return made


def money(**changes: str) -> dict[str, str]:
    return {
        "amount": "25.00",
        "currency": "USD",
        "received_on": "2026-11-02",
        "bank_ref": "NTRF 4711",
        **changes,
    }


def facts(app: Flask) -> list[PaymentFact]:
    with app.app_context():
        return list(db.session.scalars(select(PaymentFact)))


def looks(app: Flask) -> list[tuple[str, datetime]]:
    with app.app_context():
        return [
            (each.actor, each.at)
            for each in db.session.scalars(select(Event).where(Event.new == "contact seen"))
        ]


@pytest.mark.parametrize("lang", ["en", "fr", "es"])
def test_pages_in_each_language(app: Flask, sale: Sale, lang: str) -> None:
    staff = log_in(app, STAFF)
    listed = staff.get(f"/{lang}/provider/orders")
    assert listed.status_code == 200
    assert sale.code in listed.text
    assert listed.text.count("<h1") == 1
    page = staff.get(f"/{lang}/provider/orders/{sale.code}")
    assert page.status_code == 200
    assert "RF" in page.text
    assert page.headers["Cache-Control"] == "no-store"
    assert staff.get(f"/{lang}/provider/orders?show=all").status_code == 200


def test_orders_of_others_do_not_exist(app: Flask, sale: Sale) -> None:
    other = log_in(app, OTHER)
    assert sale.code not in other.get("/en/provider/orders?show=all").text
    path = f"/en/provider/orders/{sale.code}"
    assert other.get(path).status_code == 404
    assert post(other, f"{path}/in-progress").status_code == 404
    assert post(other, f"{path}/paid", **money(), seen="yes").status_code == 404
    assert facts(app) == []


def test_orders_paid_at_a_processor_need_nothing_of_the_provider(app: Flask, clock: Clock) -> None:
    sale = sell(app, clock, method="paypal")
    add_person(app, STAFF, "provider", sale.provider)
    staff = log_in(app, STAFF)
    assert sale.code in staff.get("/en/provider/orders").text
    assert sale.code not in staff.get("/en/provider/orders?show=undealt").text
    path = f"/en/provider/orders/{sale.code}"
    page = staff.get(path).text
    assert "Mark as in progress" not in page
    assert "Keep it open longer" not in page
    # What is for bank transfers only does not exist here.
    assert post(staff, f"{path}/in-progress").status_code == 404
    assert post(staff, f"{path}/keep-open", days="90").status_code == 404


def test_in_progress_once(app: Flask, sale: Sale) -> None:
    staff = log_in(app, STAFF)
    path = f"/en/provider/orders/{sale.code}"
    assert "Mark as in progress" in staff.get(path).text
    for _ in range(2):
        assert post(staff, f"{path}/in-progress").status_code == 302
    assert "Mark as in progress" not in staff.get(path).text
    with app.app_context():
        kinds = list(db.session.scalars(select(Message.kind)))
    assert kinds.count("order_in_progress") == 1


def test_exact_money_is_shown_back_then_pays(app: Flask, sale: Sale) -> None:
    staff = log_in(app, STAFF)
    path = f"/en/provider/orders/{sale.code}"
    look = post(staff, f"{path}/paid", **money())
    assert look.status_code == 200
    assert "is paid exactly" in look.text
    assert facts(app) == []

    assert post(staff, f"{path}/paid", **money(), seen="pays").status_code == 302
    page = staff.get(path).text
    assert "The order is paid." in page
    assert "NTRF 4711" in page
    assert STAFF in page
    with app.app_context():
        order = db.session.get_one(Order, sale.order_id)
        assert order.status is OrderStatus.PAID
        assert len(list(db.session.scalars(select(Cancellation)))) == 1
    # The same entry once more changes nothing: there is nothing to record any more.
    post(staff, f"{path}/paid", **money(), seen="pays")
    assert len(facts(app)) == 1


@pytest.mark.parametrize(
    ("amount", "currency", "word"),
    [("24.99", "USD", "Too little"), ("25.01", "USD", "Too much"), ("25", "EUR", "Wrong currency")],
)
def test_other_money_goes_to_a_person(
    app: Flask, sale: Sale, amount: str, currency: str, word: str
) -> None:
    staff = log_in(app, STAFF)
    path = f"/en/provider/orders/{sale.code}"
    look = post(staff, f"{path}/paid", **money(amount=amount, currency=currency))
    assert "nothing is cancelled" in look.text
    post(staff, f"{path}/paid", **money(amount=amount, currency=currency), seen="review")
    assert word in staff.get(path).text
    with app.app_context():
        assert db.session.get_one(Order, sale.order_id).status is OrderStatus.IN_REVIEW
        assert list(db.session.scalars(select(Cancellation))) == []


def test_money_in_two_parts(app: Flask, sale: Sale) -> None:
    staff = log_in(app, STAFF)
    path = f"/en/provider/orders/{sale.code}/paid"
    post(staff, path, **money(amount="20", bank_ref="A"), seen="review")
    post(staff, path, **money(amount="5", bank_ref="B"), seen="pays")
    with app.app_context():
        assert db.session.get_one(Order, sale.order_id).status is OrderStatus.PAID


UNREADABLE = [
    ("amount", ""), ("amount", "0"), ("amount", "-25"), ("amount", "25,00"),
    ("amount", "2e1"), ("amount", "NaN"), ("amount", "25.001"), ("amount", "USD 25"),
    ("amount", "9" * 25), ("amount", "٢٥"), ("amount", "1,23.00"),
    ("currency", ""), ("currency", "XXX"), ("currency", "XAU"), ("currency", "dollars"),
    ("received_on", ""), ("received_on", "02/11/2026"), ("received_on", "2026-11-03"),
    ("received_on", "9999-99-99"),
    ("bank_ref", ""), ("bank_ref", "x" * 128), ("bank_ref", "a\u202eb"), ("bank_ref", "\0"),
]  # fmt: skip


def test_what_cannot_be_read_is_refused_and_kept(app: Flask, sale: Sale) -> None:
    staff = log_in(app, STAFF)
    path = f"/en/provider/orders/{sale.code}/paid"
    for name, value in UNREADABLE:
        answer = post(staff, path, **money(**{name: value}), seen="yes")
        assert answer.status_code == 422, (name, value)
        assert f'href="#{name}"' in answer.text, (name, value)
        assert name == "bank_ref" or 'value="NTRF 4711"' in answer.text, (name, value)
    assert facts(app) == []


@pytest.mark.parametrize(
    ("text", "lang", "minor"),
    [
        ("1,234.50", "en", 123450), ("1234.5", "en", 123450), ("1,234", "en", 123400),
        ("1 234,50", "fr", 123450), ("1\u202f234,50", "fr", 123450),
        ("1\u00a0234,5", "fr", 123450), ("1234,50", "fr", 123450),
        ("1.234,50", "es", 123450), ("1.234", "es", 123400), ("1234,50", "es", 123450),
        ("  7 ", "en", 700),
    ],
)  # fmt: skip
def test_amounts_as_people_write_them(text: str, lang: str, minor: int) -> None:
    assert read_amount(text, "USD", lang) == Money(minor, "USD")


@pytest.mark.parametrize(
    ("text", "lang"),
    [
        ("12,50", "en"), ("1.234", "en"), ("1.234,50", "en"), ("12.50", "fr"), ("1,234.50", "fr"),
        ("12.50", "es"), ("1 234,50", "es"), ("1,2,3", "en"), ("1..2", "en"), ("1.", "en"),
        (".5", "en"), ("+5", "en"), ("5 USD", "en"), ("0x10", "en"), ("1_000", "en"),
        ("12,5,0", "fr"), ("1 23", "fr"), ("", "es"), ("Infinity", "en"), ("1234 567", "fr"),
    ],
)  # fmt: skip
def test_amounts_that_could_mean_two_things(text: str, lang: str) -> None:
    with pytest.raises(ServiceError):
        read_amount(text, "USD", lang)


def test_yen_have_no_decimals() -> None:
    assert read_amount("1,234", "JPY", "en") == Money(1234, "JPY")
    with pytest.raises(ServiceError):
        read_amount("1234.5", "JPY", "en")


def test_contact_is_shown_once_paid_and_each_look_is_kept(
    app: Flask, sale: Sale, clock: Clock
) -> None:
    staff = log_in(app, STAFF)
    path = f"/en/provider/orders/{sale.code}"
    assert "ada@example.org" not in staff.get(path).text
    assert post(staff, path).status_code == 422
    assert looks(app) == []
    post(staff, f"{path}/paid", **money(), seen="pays")
    assert "ada@example.org" not in staff.get(path).text
    for n in (1, 2):
        shown = post(staff, path)
        assert shown.status_code == 200
        assert "ada@example.org" in shown.text
        assert "1 Road, 00100 Nairobi, Kenya" in shown.text
        assert looks(app) == [(STAFF, clock())] * n
    # Reading the page again is no look, and shows who has looked.
    page = staff.get(path).text
    assert "ada@example.org" not in page
    assert page.count(f"<span>{STAFF}</span>") == 3
    add_person(app, "operator@example.org", "operator")
    desk = log_in(app, "operator@example.org").get(f"/en/operator/orders/{sale.code}").text
    assert desk.count("Contact looked at") == 2
    assert post(log_in(app, OTHER), path).status_code == 404


def test_contact_of_one_who_waits_for_bank_details(app: Flask, clock: Clock) -> None:
    sale = sell(app, clock, method="bank_transfer", own_details=True)
    add_person(app, STAFF, "provider", sale.provider)
    page = log_in(app, STAFF).get(f"/en/provider/orders/{sale.code}").text
    assert "ada@example.org" in page
    assert "Send your bank details" in page


def test_due_in_two_working_days(app: Flask, clock: Clock) -> None:
    clock.now = clock.now.replace(month=11, day=6)  # a Friday
    sale = sell(app, clock, method="bank_transfer")
    add_person(app, STAFF, "provider", sale.provider)
    with app.app_context():
        order = db.session.get_one(Order, sale.order_id)
        assert details_due(order) - order.placed_at == timedelta(days=4)
    assert "To deal with by" in log_in(app, STAFF).get("/en/provider/orders").text
    clock.tick(days=5)
    assert "Overdue since" in log_in(app, STAFF).get("/en/provider/orders").text


def test_money_for_a_lapsed_order(app: Flask, sale: Sale, clock: Clock) -> None:
    """Late money takes the units again if they are there."""
    clock.tick(days=91)
    with app.app_context():
        assert jobs.do("order", sale.order_id)
        assert db.session.get_one(Order, sale.order_id).status is OrderStatus.LAPSED
    staff = log_in(app, STAFF)
    answer = post(
        staff,
        f"/en/provider/orders/{sale.code}/paid",
        **money(received_on="2026-12-01"),
        seen="pays_late",
    )
    assert answer.status_code == 302
    with app.app_context():
        assert db.session.get_one(Order, sale.order_id).status is OrderStatus.PAID


def test_pages_of_many_orders(app: Flask, clock: Clock, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(provider, "PAGE", 2)
    first = sell(app, clock, method="bank_transfer")
    sales = [first, *(sell(app, clock, method="bank_transfer", like=first) for _ in range(4))]
    add_person(app, STAFF, "provider", first.provider)
    staff, path, seen = log_in(app, STAFF), "/en/provider/orders", []
    while path:
        page = staff.get(path).text
        seen += [each.code for each in reversed(sales) if each.code in page]
        older = re.search(r'href="([^"]+)" rel="next"', page)
        path = older[1] if older else ""
    assert seen == [each.code for each in reversed(sales)]


@pytest.mark.usefixtures("sale")
def test_staff_without_a_provider_sees_nothing(app: Flask) -> None:
    with app.app_context(), unit_of_work() as session:
        find_user(session, STAFF).provider_id = None  # type: ignore[union-attr]
    assert log_in(app, STAFF).get("/en/provider/orders").status_code == 404


def test_mark_in_progress_after_the_end_does_nothing(app: Flask, sale: Sale, clock: Clock) -> None:
    clock.tick(days=91)
    with app.app_context():
        jobs.do("order", sale.order_id)
        with unit_of_work() as session:
            selling.mark_in_progress(
                session, session.get_one(Order, sale.order_id), actor=STAFF, now=clock()
            )
        assert db.session.get_one(Order, sale.order_id).in_progress_at is None


def test_kept_open_longer(app: Flask, sale: Sale, clock: Clock) -> None:
    path = f"/en/provider/orders/{sale.code}"
    with app.app_context():
        before = db.session.get_one(Order, sale.order_id).pay_by
    clock.tick(days=30)
    staff = log_in(app, STAFF)
    page = staff.get(path).text
    assert "90 days from today, until 2 March 2027" in page
    assert "30 days from today" not in page, "it waits longer than that anyway"
    for days in ("", "0", "-1", "91", "x"):
        refused = post(staff, f"{path}/keep-open", days=days)
        assert refused.status_code == 422
        assert 'href="#days"' in refused.text
    assert post(staff, f"{path}/keep-open", days="90").status_code == 302
    with app.app_context():
        after = db.session.get_one(Order, sale.order_id).pay_by
    assert (after - before).days == 30
    other = log_in(app, OTHER)
    assert post(other, f"{path}/keep-open", days="90").status_code == 404


def test_the_inbox_is_narrowed_and_searched(app: Flask, sale: Sale, clock: Clock) -> None:
    card = sell(app, clock, method="paypal", like=sale)
    with app.app_context():
        db.session.get_one(Order, sale.order_id).purchase_order = "PO <7> & co"
        db.session.commit()
    staff = log_in(app, STAFF)

    def listed(query: str) -> tuple[bool, bool]:
        page = staff.get(f"/en/provider/orders{query}")
        assert page.status_code == 200, query
        return sale.code in page.text, card.code in page.text

    assert listed("") == (True, True)
    assert listed("?show=undealt") == (True, False)
    assert listed("?show=waiting&method=paypal") == (False, True)
    assert listed("?show=paid") == (False, False)
    assert listed("?period=2026-11") == (True, True)
    assert listed("?period=2026-10") == (False, False)
    assert listed(f"?q={card.code}") == (False, True)
    assert listed("?show=ended&q=x") == (False, False)
    # What cannot be read does not narrow, and breaks nothing.
    for query in (
        "?show=x&method=x&period=x&before=x",
        "?before=0",
        "?before=-1",
        "?before=99999999999999999999",
        "?period=2026-13",
        "?period=2999-01-01_2000-01-01",
        "?show=%00&method=%00&period=%00",
    ):
        assert listed(query) == (True, True), query
    for query in ("?q=%00", "?q=RF", "?q=RF000000000000", "?q=%F0%9F%98%80", "?q=" + "9" * 300):
        assert staff.get(f"/en/provider/orders{query}").status_code == 200, query
    page = staff.get("/en/provider/orders").text
    assert "PO &lt;7&gt; &amp; co" in page
    assert "ada@example.org" not in page
    assert "Ada Example" not in page
    # The counts stand beside the filters; other filters are kept by them.
    assert re.search(r'show=undealt&amp;q=abc">To deal with\s*<span[^>]*>1<', page) is None
    kept = staff.get("/en/provider/orders?q=abc").text
    assert re.search(r'show=undealt&amp;q=abc">To deal with\s*<span[^>]*>1<', kept)


def test_counts_end_at_99(app: Flask, sale: Sale, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(inbox, "MOST_COUNTED", 1)
    page = log_in(app, STAFF).get("/en/provider/orders").text
    assert re.search(r"To deal with\s*<span[^>]*>0\+<", page)


def test_an_unpaid_order_is_withdrawn_with_a_reason(app: Flask, sale: Sale) -> None:
    staff, path = log_in(app, STAFF), f"/en/provider/orders/{sale.code}"
    assert "Withdraw this order" in staff.get(path).text
    for reason in ("", "   ", "W" * 501, "a\u202eb", "\0", "a\u200bb"):
        refused = post(staff, f"{path}/withdraw", reason=reason)
        assert refused.status_code == 422, repr(reason)
        assert 'href="#reason"' in refused.text
    assert "W" * 501 in post(staff, f"{path}/withdraw", reason="W" * 501).text, "kept"
    with app.app_context():
        assert db.session.get_one(Order, sale.order_id).status is OrderStatus.PLACED

    reason = "Our registry account is <closed> & so on."
    assert post(staff, f"{path}/withdraw", reason=reason).status_code == 302
    page = staff.get(path).text
    assert "is withdrawn; the purchaser is told." in page
    assert "Withdraw this order" not in page
    post(staff, f"{path}/withdraw", reason=reason)
    assert "can no longer be withdrawn" in staff.get(path).text
    with app.test_request_context():
        mail = db.session.scalars(select(Message).where(Message.kind == "order_withdrawn")).one()
        letter = render(db.session(), mail)
        body = letter.get_body(("plain",))
        assert body is not None
        text = " ".join(str(body.get_content()).split())
        assert "has withdrawn the order. You owe nothing." in text
        assert "Our registry account is <closed> & so on." in text
        assert "As you wished" not in text
        html = letter.get_body(("html",))
        assert html is not None
        assert "&lt;closed&gt;" in str(html.get_content())


def test_a_paid_order_is_not_withdrawn(app: Flask, sale: Sale) -> None:
    staff, path = log_in(app, STAFF), f"/en/provider/orders/{sale.code}"
    post(staff, f"{path}/paid", **money(), seen="pays")
    assert "Withdraw this order" not in staff.get(path).text
    post(staff, f"{path}/withdraw", reason="too late")
    assert "can no longer be withdrawn" in staff.get(path).text
    assert post(log_in(app, OTHER), f"{path}/withdraw", reason="x").status_code == 404
    with app.app_context():
        assert db.session.get_one(Order, sale.order_id).status is OrderStatus.PAID


def test_how_late_it_is(app: Flask, sale: Sale, clock: Clock) -> None:
    clock.tick(days=6)
    staff = log_in(app, STAFF)
    page = staff.get("/en/provider/orders?show=undealt").text
    assert "Overdue since 4 November 2026" in page
    assert "(4 days)" in page
    assert "Overdue since 4 November 2026" in staff.get(f"/en/provider/orders/{sale.code}").text

"""The page of an order: paying, coming back, withdrawing, papers, lost links."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any

import pytest
from flask import Flask

from cnn_offset.domain.money import Money
from cnn_offset.domain.payment import FactStatus
from cnn_offset.domain.status import AttestationStatus, OrderStatus, PaymentStatus, PayoutStatus
from cnn_offset.extensions import unit_of_work
from cnn_offset.models import Attestation, Offer, Order, PayoutMethod
from cnn_offset.plugins.errors import OutcomeUnknownError, PayeeNotReadyError
from cnn_offset.services import banking, selling
from tests.conftest import Clock
from tests.web.shopping import (
    CONSENTS,
    PERSON,
    WHY,
    Mall,
    Visitor,
    open_mall,
    path_of,
    text_of,
)

PDF = b"%PDF-1.7 signed"


@pytest.fixture
def mall(app: Flask, clock: Clock) -> Iterator[Mall]:
    yield from open_mall(app, clock)


@pytest.fixture
def visitor(mall: Mall) -> Visitor:
    return Visitor(mall.app)


def placed(mall: Mall, visitor: Visitor, method: str = "paypal", **choices: Any) -> str:
    """Buy from Sun; return the address of the order."""
    path_of(visitor.buy(mall, mall.sun, method=method, **choices))
    return f"/{visitor.lang}/orders/{mall.orders()[-1].token}"


def ref(mall: Mall) -> str:
    return mall.payments()[-1].processor_ref


def bank_money(mall: Mall, minor: int) -> None:
    with mall.app.app_context(), unit_of_work() as session:
        order = session.get_one(Order, mall.orders()[-1].id)
        banking.type_entry(
            session,
            order,
            amount=Money(minor, "USD"),
            bank_ref="B1",
            received_on=mall.clock().date(),
            actor="staff@example.org",
            second_from=0,
            now=mall.clock(),
        )


def attested(mall: Mall, visitor: Visitor) -> str:
    """Buy, pay, cancel and attest with a file of our own; return the order's address."""
    page = placed(mall, visitor)
    mall.pay.pay(ref(mall))
    path_of(visitor.get(f"{page}/return"))
    mall.work("cancellation")
    attestation = mall.rows(Attestation)[-1]
    mall.change(
        Attestation,
        attestation.id,
        status=AttestationStatus.ISSUED,
        path="attestations/1.pdf",
        sha256=hashlib.sha256(PDF).hexdigest(),
        issued_at=mall.clock(),
        due_at=None,
    )
    files = mall.app.extensions["cnn_offset"].files
    files.makedirs("attestations", exist_ok=True)
    files.pipe_file("attestations/1.pdf", PDF)
    return page


STATES: dict[str, tuple[Callable[[Mall, str, Visitor], Any], str, bool]] = {
    "opened": (lambda mall, page, visitor: None, "Your order is placed", False),
    "processing": (
        lambda mall, page, visitor: mall.pay.pay(ref(mall), status=FactStatus.PENDING),
        "Your payment is being processed",
        False,
    ),
    "failed": (
        lambda mall, page, visitor: mall.pay.pay(ref(mall), status=FactStatus.FAILED),
        "The payment failed",
        False,
    ),
    "paid": (
        lambda mall, page, visitor: mall.pay.pay(ref(mall)),
        "Paid: your units are being cancelled",
        True,
    ),
    "in_review": (
        lambda mall, page, visitor: mall.pay.pay(ref(mall), Money(1, "USD")),
        "A person is looking at this order",
        False,
    ),
    "withdrawn": (
        lambda mall, page, visitor: visitor.post(f"{page}/withdraw"),
        "This order was withdrawn",
        False,
    ),
}


@pytest.mark.parametrize("lang", ["en", "fr", "es"])
@pytest.mark.parametrize("state", STATES)
def test_every_state_in_each_language(mall: Mall, lang: str, state: str) -> None:
    act, words, looks_again = STATES[state]
    visitor = Visitor(mall.app, lang)
    page = placed(mall, visitor)
    act(mall, page, visitor)
    if state not in ("opened", "withdrawn"):
        path_of(visitor.get(f"{page}/return"))
    answer = visitor.get(page)
    assert answer.status_code == 200
    assert f'<html lang="{lang}">' in answer.text
    assert answer.text.count("<h1") == 1
    assert ("Refresh" in answer.headers) is looks_again
    assert answer.headers["Cache-Control"] == "no-store"
    assert "noindex" in answer.headers["X-Robots-Tag"]
    assert answer.headers["Referrer-Policy"] in ("same-origin", "no-referrer")
    forms = re.findall(r'<form[^>]*method="post".*?</form>', answer.text, flags=re.DOTALL)
    assert all('name="csrf_token"' in form for form in forms)
    if lang == "en":
        assert f"<h1>{words}</h1>" in re.sub(r"\s*\n\s*", "", answer.text)


def test_paid_cancelled_attested(mall: Mall, visitor: Visitor) -> None:
    page = attested(mall, visitor)
    answer = visitor.get(page)
    said = text_of(answer)
    assert "Cancelled, and attested" in said
    assert "10 units were cancelled for good on 2 November 2026 in the name of Ada Example." in said
    assert re.search(r"KE-\d+ – KE-\d+ \(10 units\)", said)
    assert "Refresh" not in answer.headers
    pdf = visitor.get(f"{page}/attestation.pdf")
    assert pdf.data == PDF
    assert (
        pdf.headers["Content-Disposition"] == 'attachment; filename="attestation-VC000001-2026.pdf"'
    )
    assert pdf.headers["Cache-Control"] == "no-store"
    assert visitor.post(f"{page}/withdraw").status_code == 303
    assert "can no longer be withdrawn" in text_of(visitor.get(page))
    assert mall.orders()[0].status is OrderStatus.FULFILLED
    assert mall.registry.units() == 10


def test_there_is_no_attestation_before_it_is_issued(mall: Mall, visitor: Visitor) -> None:
    page = placed(mall, visitor)
    assert visitor.get(f"{page}/attestation.pdf").status_code == 404
    mall.pay.pay(ref(mall))
    visitor.get(f"{page}/return")
    mall.work("cancellation")
    assert visitor.get(f"{page}/attestation.pdf").status_code == 404
    answer = visitor.get(page)
    assert "Your attestation is being made" in text_of(answer)
    assert answer.headers["Refresh"] == "10"


def test_the_way_back_asks_the_processor_and_believes_no_address(
    mall: Mall, visitor: Visitor
) -> None:
    page = placed(mall, visitor)
    answer = visitor.get(f"{page}/return?status=COMPLETED&paid=1&next=https://evil.example/")
    assert path_of(answer) == f"{page}?back=1"
    back = visitor.get(path_of(answer))
    assert "No payment has arrived yet" in text_of(back)
    assert back.headers["Refresh"] == "10"
    assert mall.orders()[0].status is OrderStatus.PLACED
    mall.pay.approved.add(ref(mall))
    visitor.get(f"{page}/return")
    assert mall.pay.captures == [ref(mall)]
    said = text_of(visitor.get(f"{page}?back=1"))
    assert "Your payment has arrived" in said
    assert "No payment has arrived yet" not in said
    # Coming back once more asks for nothing.
    visitor.get(f"{page}/return")
    assert len(mall.pay.captures) == 1


def test_the_processor_is_silent_when_the_payer_comes_back(mall: Mall, visitor: Visitor) -> None:
    page = placed(mall, visitor)
    mall.pay.failures = [OutcomeUnknownError("time-out")]
    answer = visitor.get(f"{page}/return")
    assert path_of(answer) == f"{page}?back=1"
    assert "No payment has arrived yet" in text_of(visitor.get(path_of(answer)))
    assert mall.payments()[0].due_at is not None


def test_a_slow_registry_is_said_to_be_slow(mall: Mall, visitor: Visitor) -> None:
    page = placed(mall, visitor)
    mall.pay.pay(ref(mall))
    visitor.get(f"{page}/return")
    mall.clock.tick(minutes=3)
    answer = visitor.get(page)
    assert "The registry takes its time" in text_of(answer)
    assert answer.headers["Refresh"] == "10"


def test_a_failed_payment_can_be_tried_again_and_is_paid_once(mall: Mall, visitor: Visitor) -> None:
    page = placed(mall, visitor)
    mall.pay.pay(ref(mall), status=FactStatus.FAILED)
    visitor.get(f"{page}/return")
    said = text_of(visitor.get(page))
    assert "Nothing was charged" in said
    assert "Try again: pay USD 25.00 to Sun Ltd" in said
    assert path_of(visitor.post(f"{page}/pay")).startswith("http://pay.test/")
    assert len(mall.payments()) == 2
    mall.pay.approved.add(ref(mall))
    visitor.get(f"{page}/return")
    assert mall.orders()[0].status is OrderStatus.PAID


def test_a_double_click_on_pay_opens_one_payment(mall: Mall, visitor: Visitor) -> None:
    page = placed(mall, visitor)
    one, two = visitor.post(f"{page}/pay"), visitor.post(f"{page}/pay")
    assert path_of(one) == path_of(two)
    assert len(mall.payments()) == 1


def test_paying_again_later_first_asks_whether_it_was_paid(mall: Mall, visitor: Visitor) -> None:
    page = placed(mall, visitor)
    mall.clock.tick(minutes=5)
    mall.pay.pay(ref(mall))
    answer = visitor.post(f"{page}/pay")
    assert path_of(answer) == page
    assert mall.orders()[0].status is OrderStatus.PAID
    assert len(mall.payments()) == 1


def test_changing_the_method_closes_the_first_payment(mall: Mall, visitor: Visitor) -> None:
    page = placed(mall, visitor)
    first = ref(mall)
    assert path_of(visitor.post(f"{page}/pay", method="bank_transfer")) == page
    assert first in mall.pay.closed
    statuses = [each.status for each in mall.payments()]
    assert statuses == [PaymentStatus.ABANDONED, PaymentStatus.AWAITING_PAYER]
    said = text_of(visitor.get(page))
    assert "Please make the bank transfer" in said
    assert "DE89 3704 0044 0532 0130 00" in said
    # And back again.
    assert path_of(visitor.post(f"{page}/pay", method="paypal")).startswith("http://pay.test/")
    assert mall.payments()[-1].key.endswith("-3")
    assert mall.offer(mall.sun).held == 10


def test_the_method_is_not_changed_while_money_may_be_on_its_way(
    mall: Mall, visitor: Visitor
) -> None:
    page = placed(mall, visitor)
    mall.pay.pay(ref(mall), status=FactStatus.PENDING)
    assert path_of(visitor.post(f"{page}/pay", method="bank_transfer")) == page
    said = text_of(visitor.get(page))
    assert "Your first payment may still be on its way" in said
    assert "Your payment is being processed" in said
    assert "Withdraw this order" not in said
    assert len(mall.payments()) == 1


def test_the_method_is_not_changed_while_the_processor_is_silent(
    mall: Mall, visitor: Visitor
) -> None:
    page = placed(mall, visitor)
    mall.pay.failures = [OutcomeUnknownError("time-out")]
    path_of(visitor.post(f"{page}/pay", method="bank_transfer"))
    assert "may still be on its way" in text_of(visitor.get(page))
    assert len(mall.payments()) == 1


@pytest.mark.parametrize("method", ["stripe_connect", "nothing", "'; --"])
def test_methods_that_are_not_offered(mall: Mall, visitor: Visitor, method: str) -> None:
    page = placed(mall, visitor)
    assert path_of(visitor.post(f"{page}/pay", method=method)) == page
    assert "no longer takes this method" in text_of(visitor.get(page))
    # The payment that runs was not touched.
    assert [each.status for each in mall.payments()] == [PaymentStatus.AWAITING_PAYER]


def test_a_provider_that_cannot_be_paid(mall: Mall, visitor: Visitor) -> None:
    mall.pay.failures = [PayeeNotReadyError("account closed")]
    page = placed(mall, visitor)
    said = text_of(visitor.get(page))
    assert "the provider's account does not take it now" in said
    assert "Pay in another way" in said
    assert mall.orders()[0].status is OrderStatus.PLACED


def test_nothing_is_paid_for_an_order_that_is_over(mall: Mall, visitor: Visitor) -> None:
    page = placed(mall, visitor)
    visitor.post(f"{page}/withdraw")
    assert path_of(visitor.post(f"{page}/pay")) == page
    assert "does not wait for a payment" in text_of(visitor.get(page))
    assert len(mall.payments()) == 1


def test_bank_instructions_with_reference_and_code(mall: Mall, visitor: Visitor) -> None:
    mall.change(Offer, mall.sun, currency="EUR")
    base = visitor.begin(mall.sun)
    visitor.post(f"{base}/details", **PERSON)
    field = f"method-{mall.offer(mall.sun).provider_id}-EUR"
    path_of(visitor.post(f"{base}/beneficiary", **{**WHY, field: "bank_transfer"}))
    page = path_of(visitor.post(f"{base}/review", **CONSENTS))
    answer = visitor.get(page)
    said = text_of(answer)
    assert re.search(r"Payment reference RF\d\d 0000 0000 0001", said)
    assert "EUR 25.00" in said
    assert 'src="data:image/svg+xml' in answer.text
    assert said.count("Copy") >= 3
    assert ("bank_instructions", "ada@example.org") in mall.mails()
    assert "Refresh" not in answer.headers


def test_a_bank_order_in_progress_and_paid(mall: Mall, visitor: Visitor) -> None:
    page = placed(mall, visitor, method="bank_transfer")
    with mall.app.app_context(), unit_of_work() as session:
        order = session.get_one(Order, mall.orders()[-1].id)
        selling.mark_in_progress(session, order, actor="staff@example.org", now=mall.clock())
    assert "Sun Ltd is dealing with your order since 2 November 2026." in text_of(visitor.get(page))
    bank_money(mall, 2500)
    assert "Your payment has arrived" in text_of(visitor.get(page))


def test_an_unpaid_order_lapses_and_says_so(mall: Mall, visitor: Visitor) -> None:
    page = placed(mall, visitor)
    mall.clock.tick(days=4)
    mall.work("order")
    said = text_of(visitor.get(page))
    assert "This order has lapsed" in said
    assert "the units were released" in said
    assert mall.offer(mall.sun).held == 0


def test_withdrawing_asks_first_without_a_script(mall: Mall, visitor: Visitor) -> None:
    page = placed(mall, visitor)
    text = visitor.get(page).text
    assert re.search(
        r"<details.*?Withdraw this order.*?Yes, withdraw order.*?</details>", text, re.DOTALL
    )
    path_of(visitor.post(f"{page}/withdraw"))
    assert mall.orders()[0].status is OrderStatus.WITHDRAWN
    assert mall.offer(mall.sun).held == 0
    assert ref(mall) in mall.pay.closed


def test_an_order_is_not_withdrawn_while_money_may_come(mall: Mall, visitor: Visitor) -> None:
    page = placed(mall, visitor)
    mall.pay.failures = [OutcomeUnknownError("time-out")]
    path_of(visitor.post(f"{page}/withdraw"))
    assert "A payment may be on its way" in text_of(visitor.get(page))
    assert mall.orders()[0].status is OrderStatus.PLACED
    assert mall.offer(mall.sun).held == 10


def test_papers_are_mailed_again(mall: Mall, visitor: Visitor) -> None:
    page = placed(mall, visitor)
    path_of(visitor.post(f"{page}/resend"))
    assert mall.mails().count(("order_placed", "ada@example.org")) == 1
    assert "The mail is on its way" in text_of(visitor.get(page))


def test_the_attestation_is_mailed_again(mall: Mall, visitor: Visitor) -> None:
    page = attested(mall, visitor)
    path_of(visitor.post(f"{page}/resend"))
    assert mall.mails().count(("attestation", "ada@example.org")) == 1


def test_unknown_links(visitor: Visitor) -> None:
    for path in ("", "/attestation.pdf", "/return"):
        for token in ("x", "A" * 43, "%00", "..%2fadmin"):
            assert visitor.get(f"/en/orders/{token}{path}").status_code == 404, (path, token)


def test_the_code_of_an_order_opens_nothing(mall: Mall, visitor: Visitor) -> None:
    placed(mall, visitor)
    assert Visitor(mall.app).get(f"/en/orders/{mall.orders()[0].code}").status_code == 404


@pytest.mark.parametrize("action", ["pay", "withdraw", "resend"])
def test_actions_need_token_link_and_post(mall: Mall, visitor: Visitor, action: str) -> None:
    page = placed(mall, visitor)
    assert visitor.client.post(f"{page}/{action}").status_code == 400
    assert visitor.get(f"{page}/{action}").status_code == 405
    assert visitor.post(f"/en/orders/unknown/{action}").status_code == 404
    assert mall.orders()[0].status is OrderStatus.PLACED


def test_orders_of_one_purchase_lead_to_each_other(mall: Mall, visitor: Visitor) -> None:
    plan = path_of(visitor.buy(mall, mall.sun, mall.wind))
    page = visitor.get(f"/en/orders/{mall.orders()[0].token}")
    assert f'href="{plan}"' in page.text


@pytest.mark.parametrize("lang", ["en", "fr", "es"])
def test_lost_links_get_the_same_answer_always(mall: Mall, lang: str) -> None:
    visitor = Visitor(mall.app, lang)
    placed(mall, visitor)
    answers = [
        visitor.post(f"/{lang}/orders/lost", email=email)
        for email in ("ADA@example.org ", "eve@example.org")
    ]
    assert path_of(answers[0]) == path_of(answers[1])
    assert visitor.get(path_of(answers[0])).status_code == 200
    sent = [mail for mail in mall.mails() if mail[0] == "lost_links"]
    assert sent == [("lost_links", "ada@example.org")]
    # Asked for again at once, it is not sent again.
    visitor.post(f"/{lang}/orders/lost", email="ada@example.org")
    assert len([mail for mail in mall.mails() if mail[0] == "lost_links"]) == 1


def test_lost_links_need_an_address(visitor: Visitor) -> None:
    for email in (
        "",
        "ada",
        "ada@example.org\r\nBcc: eve@example.org",
        "<script>alert(1)</script>",
    ):
        answer = visitor.post("/en/orders/lost", email=email)
        assert answer.status_code == 422, email
        assert "Please enter an e-mail address" in text_of(answer)
        assert "<script>alert" not in answer.text


def test_posts_are_limited(make_app: Callable[..., Flask], clock: Clock) -> None:
    visitor = Visitor(make_app(RATE_LIMITS=True))
    codes = [visitor.post("/en/orders/lost", email="ada@example.org").status_code for _ in range(6)]
    assert codes == [303] * 5 + [429]
    said = visitor.post("/en/orders/lost", email="ada@example.org")
    assert "Retry-After" in said.headers
    # Reading is not.
    assert visitor.get("/en/orders/lost").status_code == 200


def test_a_module_that_was_swapped_out_shows_its_orders_still(mall: Mall, visitor: Visitor) -> None:
    page = placed(mall, visitor)
    here = mall.app.extensions["cnn_offset"]
    left = {"bank_transfer": here.payments["bank_transfer"]}
    mall.app.extensions["cnn_offset"] = replace(here, payments=type(here.payments)(left))
    answer = visitor.get(page)
    assert answer.status_code == 200
    assert "The way you chose to pay is out of service" in text_of(answer)
    mall.app.extensions["cnn_offset"] = here


def test_no_way_to_pay_at_all(mall: Mall, visitor: Visitor) -> None:
    page = placed(mall, visitor)
    for row in mall.rows(PayoutMethod):
        mall.change(PayoutMethod, row.id, status=PayoutStatus.REVOKED)
    assert "There is no way to pay this order at present" in text_of(visitor.get(page))

"""Checking out: three steps, kept input, units held once, orders placed once."""

from __future__ import annotations

import re
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from html import unescape

import pytest
from flask import Flask

from cnn_offset.domain.status import CheckoutStatus, OfferStatus, OrderStatus, PayoutStatus
from cnn_offset.models import Offer, PayoutMethod
from cnn_offset.plugins.errors import OutcomeUnknownError
from cnn_offset.wording import SHIPPED_TERMS
from tests.conftest import Clock
from tests.web.people import add_person, log_in
from tests.web.shopping import (
    CONSENTS,
    PERSON,
    WHY,
    Mall,
    Visitor,
    methods,
    open_mall,
    path_of,
    text_of,
)

BAD_LINES = {
    "control": "Ada\x07",
    "nul": "Ada\x00",
    "right to left": "Ada \u202eeilA",
    "isolate": "Ada\u2067",
    "zero width": "Ada\u200bExample",
    "joined emoji": "\U0001f469\u200d\U0001f469\u200d\U0001f467",
    "line separator": "Ada\u2028Example\u2069",
    "too long": "W" * 201,
    "empty": "  ",
}


@pytest.fixture
def mall(app: Flask, clock: Clock) -> Iterator[Mall]:
    yield from open_mall(app, clock)


@pytest.fixture
def visitor(mall: Mall) -> Visitor:
    return Visitor(mall.app)


@pytest.mark.parametrize("lang", ["en", "fr", "es"])
def test_every_step_in_each_language(mall: Mall, lang: str) -> None:
    visitor = Visitor(mall.app, lang)
    base = visitor.begin(mall.sun, mall.wind)
    pages = [visitor.get(f"{base}/details")]
    visitor.post(f"{base}/details", **PERSON)
    visitor.post(f"{base}/beneficiary", **{**WHY, **methods(mall)})
    pages += [visitor.get(f"{base}/beneficiary?preview=1"), visitor.get(f"{base}/review")]
    answer = visitor.post(f"{base}/review", **CONSENTS)
    pages.append(visitor.get(path_of(answer)))
    assert path_of(answer) == f"{base}/plan"
    for page in pages:
        assert page.status_code == 200
        assert f'<html lang="{lang}">' in page.text
        assert page.text.count("<h1") == 1
        assert page.headers["Cache-Control"] == "no-store"
        assert "noindex" in page.headers["X-Robots-Tag"]
        forms = re.findall(r'<form[^>]*method="post".*?</form>', page.text, flags=re.DOTALL)
        assert all('name="csrf_token"' in form for form in forms)
    assert [order.locale for order in mall.orders()] == [lang, lang]


def test_units_are_held_and_the_time_is_told(mall: Mall, visitor: Visitor) -> None:
    base = visitor.begin(mall.sun, quantity=10)
    assert mall.offer(mall.sun).held == 10
    said = text_of(visitor.get(f"{base}/details"))
    assert "for the next 30 minutes: until 2 November 2026, 09:30 UTC" in said
    mall.clock.tick(minutes=20)
    assert "for the next 10 minutes" in text_of(visitor.get(f"{base}/details"))
    path_of(visitor.post(f"{base}/details", **PERSON))
    assert "until 2 November 2026, 09:50 UTC" in text_of(visitor.get(f"{base}/beneficiary"))


def test_a_second_click_on_check_out_holds_nothing_more(mall: Mall, visitor: Visitor) -> None:
    visitor.add(mall.sun, 1000)
    first = path_of(visitor.check_out())
    assert path_of(visitor.check_out()) == first
    assert mall.offer(mall.sun).held == 1000
    assert len(mall.checkouts()) == 1
    # The units count as available to whom they are held for.
    assert "Fewer units" not in text_of(visitor.get("/en/basket"))


def test_going_back_and_changing_the_basket_changes_what_is_held(
    mall: Mall, visitor: Visitor
) -> None:
    base = visitor.begin(mall.sun, quantity=600)
    visitor.post(f"{base}/details", **PERSON)
    answer = visitor.check_out(**{f"quantity-{mall.sun}": "900"})
    assert path_of(answer) == f"{base}/details"
    assert mall.offer(mall.sun).held == 900
    visitor.add(mall.wind, 5)
    assert visitor.check_out(**{f"quantity-{mall.sun}": "0"}).status_code == 303
    assert (mall.offer(mall.sun).held, mall.offer(mall.wind).held) == (0, 5)
    assert 'value="Ada Example"' in visitor.get(f"{base}/details").text
    assert visitor.check_out(**{f"quantity-{mall.wind}": "1001"}).status_code == 422
    assert mall.offer(mall.wind).held == 5


def test_two_purchasers_and_the_last_unit(mall: Mall) -> None:
    mall.change(Offer, mall.sun, quantity=1)
    one, two = Visitor(mall.app), Visitor(mall.app)
    one.add(mall.sun, 1)
    two.add(mall.sun, 1)
    assert one.check_out().status_code == 303
    answer = two.check_out()
    assert answer.status_code == 422
    assert "Fewer units are available" in text_of(answer)
    assert 'value="1"' in answer.text
    assert mall.offer(mall.sun).held == 1


def test_nothing_to_check_out(mall: Mall, visitor: Visitor) -> None:
    answer = visitor.check_out()
    assert answer.status_code == 422
    assert "Your basket is empty." in text_of(answer)
    visitor.add(mall.sun, 5)
    answer = visitor.check_out(**{f"quantity-{mall.sun}": "many"})
    assert answer.status_code == 422
    assert 'value="many"' in answer.text
    assert mall.checkouts() == []


def test_an_amount_no_method_takes_is_not_checked_out(mall: Mall, visitor: Visitor) -> None:
    with mall.app.app_context():
        rows = {each.method_id + str(each.provider_id): each.id for each in mall.rows(PayoutMethod)}
    for row_id in rows.values():
        mall.change(PayoutMethod, row_id, minimum_minor=10_000)
    visitor.add(mall.sun, 5)
    answer = visitor.check_out()
    assert answer.status_code == 422
    said = text_of(answer)
    assert "Sun Ltd cannot be paid this amount." in said
    assert "below the provider's minimum" in said
    assert mall.checkouts() == []


def test_a_method_that_would_be_too_late_is_withheld_with_its_reason(
    app: Flask, clock: Clock, mall: Mall
) -> None:
    here = app.extensions["cnn_offset"]
    registry = here.settings.REGISTRIES["cdm"].model_copy(
        update={"last_cancellation": datetime(2026, 11, 14, tzinfo=UTC)}
    )
    here.settings.REGISTRIES["cdm"] = registry
    visitor = Visitor(app)
    base = visitor.begin(mall.sun)
    visitor.post(f"{base}/details", **PERSON)
    page = visitor.get(f"{base}/beneficiary")
    assert "Not by “Bank transfer”: The money could arrive after the registry closes." in text_of(
        page
    )
    answer = visitor.post(f"{base}/beneficiary", **{**WHY, **methods(mall, "bank_transfer")})
    assert answer.status_code == 422
    assert "Please choose how to pay Sun Ltd." in text_of(answer)


@pytest.mark.parametrize("name", ["name", "company"])
def test_names_that_cannot_be_taken(mall: Mall, visitor: Visitor, name: str) -> None:
    base = visitor.begin(mall.sun)
    typed = {**PERSON, "kind": "company", "company": "Firm", "street": "1 Road", "city": "Nairobi"}
    for fault, line in BAD_LINES.items():
        answer = visitor.post(f"{base}/details", **{**typed, name: line})
        assert answer.status_code == 422, fault
        assert answer.text.count("<title>Error:") == 1, fault
        assert f'href="#{name}"' in answer.text, fault
        assert f'id="{name}-error"' in answer.text, fault
        assert 'value="1 Road"' in answer.text, fault
    assert mall.checkouts()[0].details == {}


def test_bidi_marks_are_named(mall: Mall, visitor: Visitor) -> None:
    base = visitor.begin(mall.sun)
    answer = visitor.post(f"{base}/details", **{**PERSON, "name": "Ada \u202eeilA"})
    assert "invisible sign in this text (U+202E)" in text_of(answer)


BAD_ADDRESSES = [
    "",
    "ada",
    "ada@",
    "ada@example",
    "ada@example.org\r\nBcc: eve@example.org",
    "ada@example.org\nSubject: x",
    "ada@example.org, eve@example.org",
    "ada example@example.org",
    "Ada <ada@example.org>",
    "ada\x00@example.org",
    "a" * 250 + "@example.org",
    "jos\u00e9@example.org",
]


def test_addresses_that_cannot_be_taken(mall: Mall, visitor: Visitor) -> None:
    base = visitor.begin(mall.sun)
    for email in BAD_ADDRESSES:
        answer = visitor.post(f"{base}/details", **{**PERSON, "email": email})
        assert answer.status_code == 422, email
        assert "Please enter an e-mail address in the form name@example.org" in text_of(answer)
        assert 'value="Ada Example"' in answer.text, email
    assert mall.checkouts()[0].details == {}


@pytest.mark.parametrize(
    "changes",
    [
        {"kind": ""},
        {"kind": "robot"},
        {"country": ""},
        {"country": "XX"},
        {"country": "ke"},
        {"postcode": "9" * 21},
    ],
)
def test_other_details_that_cannot_be_taken(
    mall: Mall, visitor: Visitor, changes: dict[str, str]
) -> None:
    base = visitor.begin(mall.sun)
    answer = visitor.post(f"{base}/details", **{**PERSON, **changes})
    assert answer.status_code == 422
    assert f'href="#{next(iter(changes))}"' in answer.text


def test_a_company_needs_name_and_address_and_a_person_does_not(
    mall: Mall, visitor: Visitor
) -> None:
    base = visitor.begin(mall.sun)
    answer = visitor.post(f"{base}/details", **{**PERSON, "kind": "company"})
    assert answer.status_code == 422
    assert all(f'href="#{name}"' in answer.text for name in ("company", "street", "city"))
    assert visitor.post(f"{base}/details", **PERSON).status_code == 303


def test_persons_are_private_and_companies_public_unless_they_say_otherwise(mall: Mall) -> None:
    for kind, checked in (("person", False), ("company", True)):
        visitor = Visitor(mall.app)
        base = visitor.begin(mall.sun)
        firm = {"kind": kind, "company": "Firm AG", "street": "1 Road", "city": "Nairobi"}
        path_of(visitor.post(f"{base}/details", **{**PERSON, **firm}))
        page = visitor.get(f"{base}/beneficiary").text
        for name in ("publish_name", "publish_reason"):
            box = re.search(rf'<input type="checkbox" id="{name}"[^>]*>', page)
            assert box is not None
            assert (" checked" in box[0]) is checked
        assert f'value="{"Firm AG" if checked else "Ada Example"}"' in page


def test_becoming_a_person_again_is_becoming_private_again(mall: Mall, visitor: Visitor) -> None:
    base = visitor.begin(mall.sun)
    firm = {
        **PERSON,
        "kind": "company",
        "company": "Firm AG",
        "street": "1 Road",
        "city": "Nairobi",
    }
    visitor.post(f"{base}/details", **firm)
    public = {"publish_name": "yes", "publish_reason": "yes", "beneficiary": "Firm AG"}
    path_of(visitor.post(f"{base}/beneficiary", **{**WHY, **methods(mall), **public}))
    assert path_of(visitor.post(f"{base}/details", **PERSON, then="review")) == f"{base}/review"
    # The beneficiary has to be looked at again.
    assert path_of(visitor.get(f"{base}/review")) == f"{base}/beneficiary"
    page = visitor.get(f"{base}/beneficiary").text
    assert 'value="Ada Example"' in page
    assert not re.search(r'id="publish_name"[^>]* checked', page)


@pytest.mark.parametrize("name", ["beneficiary", "own_reason"])
def test_what_the_attestation_cannot_bear(mall: Mall, visitor: Visitor, name: str) -> None:
    base = visitor.begin(mall.sun)
    visitor.post(f"{base}/details", **PERSON)
    longest = 500 if name == "own_reason" else 200
    faults = {
        **BAD_LINES,
        "too long": "w" * (longest + 1),
        "emoji": "Ada \U0001f33f",
        "hieroglyph": "Ada \U00013000",
    }
    for fault, line in faults.items():
        typed = {**WHY, **methods(mall), "reason": "own", "own_reason": "My trip", name: line}
        answer = visitor.post(f"{base}/beneficiary", **typed)
        assert answer.status_code == 422, fault
        assert f'href="#{name}"' in answer.text, fault
        assert answer.text.count("<title>Error:") == 1, fault
        if fault == "emoji":
            assert "The attestation cannot print: \U0001f33f." in text_of(answer)
    assert "beneficiary" not in mall.checkouts()[0].details
    typed[name] = "W" * longest
    assert visitor.post(f"{base}/beneficiary", **typed).status_code == 303


@pytest.mark.parametrize(
    "name",
    [
        "Łódź",
        "São Tomé",
        "Curaçao",
        "Đà Nẵng",
        "Ærø",
        "Ελλάδα",
        "Київ",
        "<b>Bold & Sons</b>",
        'O\'Neil "Q" {{7*7}}',
        "N" * 200,
    ],
)
def test_names_that_are_printed_as_they_are(mall: Mall, visitor: Visitor, name: str) -> None:
    answer = visitor.buy(mall, mall.sun, beneficiary=name, reason="own", own_reason=name)
    path_of(answer)
    order = mall.orders()[0]
    assert (order.beneficiary, order.reason) == (name, name)
    page = visitor.get(f"/en/orders/{order.token}")
    assert "<b>Bold" not in page.text
    assert name in unescape(page.text)


@pytest.mark.parametrize(
    "changes",
    [
        {"reason": ""},
        {"reason": "other"},
        {"reason": "own", "own_reason": ""},
        {"attestation_locale": "de"},
        {"attestation_locale": ""},
    ],
)
def test_other_wishes_that_cannot_be_met(
    mall: Mall, visitor: Visitor, changes: dict[str, str]
) -> None:
    base = visitor.begin(mall.sun)
    visitor.post(f"{base}/details", **PERSON)
    answer = visitor.post(f"{base}/beneficiary", **{**WHY, **methods(mall), **changes})
    assert answer.status_code == 422
    assert f'href="#{list(changes)[-1]}"' in answer.text


@pytest.mark.parametrize("method", ["", "stripe_connect", "bank", "paypal'--"])
def test_only_offered_methods_can_be_chosen(mall: Mall, visitor: Visitor, method: str) -> None:
    base = visitor.begin(mall.sun)
    visitor.post(f"{base}/details", **PERSON)
    answer = visitor.post(f"{base}/beneficiary", **{**WHY, **methods(mall, method)})
    assert answer.status_code == 422
    assert "Please choose how to pay Sun Ltd." in text_of(answer)


def test_the_reason_is_in_the_language_of_the_attestation(mall: Mall, visitor: Visitor) -> None:
    path_of(visitor.buy(mall, mall.sun, reason="journey", attestation_locale="fr"))
    order = mall.orders()[0]
    assert order.reason == "Émissions d’un voyage"
    assert (order.attestation_locale, order.locale) == ("fr", "en")


def test_the_preview_says_what_the_attestation_will(mall: Mall, visitor: Visitor) -> None:
    base = visitor.begin(mall.sun, mall.wind)
    visitor.post(f"{base}/details", **PERSON)
    typed = {**WHY, **methods(mall), "beneficiary": "Łódź <Sons>", "preview": "1"}
    shown = path_of(visitor.post(f"{base}/beneficiary", **typed))
    assert shown.endswith("/beneficiary?preview=1#preview")
    page = visitor.get(shown)
    assert "Preview: nothing is cancelled yet" in text_of(page)
    assert "Łódź &lt;Sons&gt;" in page.text
    for part in (1, 2):
        pdf = visitor.get(f"{base}/preview.pdf?part={part}")
        assert pdf.mimetype == "application/pdf"
        assert pdf.data.startswith(b"%PDF-")
    assert visitor.get(f"{base}/preview.pdf?part=3").status_code == 302
    assert visitor.get(f"{base}/preview.pdf?part=x").data.startswith(b"%PDF-")


def test_steps_cannot_be_skipped(mall: Mall, visitor: Visitor) -> None:
    base = visitor.begin(mall.sun)
    for step in ("beneficiary", "review", "preview.pdf"):
        assert path_of(visitor.get(f"{base}/{step}")) == f"{base}/details"
    assert path_of(visitor.post(f"{base}/review", **CONSENTS)) == f"{base}/details"
    visitor.post(f"{base}/details", **PERSON)
    for step in ("review", "preview.pdf"):
        assert path_of(visitor.get(f"{base}/{step}")) == f"{base}/beneficiary"
    assert path_of(visitor.post(f"{base}/review", **CONSENTS)) == f"{base}/beneficiary"
    assert visitor.get(f"{base}/plan").location == f"{base}/review"
    assert mall.orders() == []


def test_the_review_says_all_before_the_order(mall: Mall, visitor: Visitor) -> None:
    base = visitor.fill(mall, mall.sun)
    page = visitor.get(f"{base}/review")
    said = text_of(page)
    for words in (
        "Place order and pay USD 25.00 to Sun Ltd",
        "You contract with Sun Ltd",
        "This site is no party to that contract",
        "this site charges nothing",
        "A cancellation is final.",
        "They do not become yours",
        "I am 18 or older",
        f"Version of {SHIPPED_TERMS[0]}.",
        "Payment Fake Change Payment",
    ):
        assert words in said
    assert page.text.count('class="change"') >= 9
    both = Visitor(mall.app).fill(mall, mall.sun, mall.wind)
    said = text_of(visitor.get(f"{both}/review"))
    assert "Place orders" in said
    assert "Place order and pay" not in said


@pytest.mark.parametrize(
    "given",
    [
        {},
        {"consent_terms": "yes"},
        {"consent_now": "yes"},
        {"consent_terms": "no", "consent_now": "yes"},
    ],
)
def test_no_order_without_both_consents(
    mall: Mall, visitor: Visitor, given: dict[str, str]
) -> None:
    base = visitor.fill(mall, mall.sun)
    answer = visitor.post(f"{base}/review", **given)
    assert answer.status_code == 422
    assert "without it there can be no order" in text_of(answer)
    assert mall.orders() == []


def test_terms_that_changed_meanwhile_are_accepted_anew(mall: Mall, visitor: Visitor) -> None:
    base = visitor.fill(mall, mall.sun)
    assert f'value="{SHIPPED_TERMS[0]}"' in visitor.get(f"{base}/review").text
    given = {"consent_terms": "yes", "consent_now": "yes", "terms_version": "1999-01-01"}
    answer = visitor.post(f"{base}/review", **given)
    assert answer.status_code == 422
    assert "The terms of use have changed" in text_of(answer)
    assert mall.orders() == []
    visitor.post(f"{base}/review", **{**given, "terms_version": SHIPPED_TERMS[0]})
    assert len(mall.orders()) == 1


def test_one_order_goes_straight_to_its_payment(mall: Mall, visitor: Visitor) -> None:
    answer = visitor.buy(mall, mall.sun, quantity=4)
    [order] = mall.orders()
    [payment] = mall.payments()
    assert path_of(answer) == f"http://pay.test/R-{payment.key}"
    assert order.total_minor == 1000
    assert order.terms_version == SHIPPED_TERMS[0]
    assert order.consented_at == mall.clock()
    assert mall.offer(mall.sun).held == 4
    assert mall.checkouts()[0].status is CheckoutStatus.PLACED
    assert "Your basket is empty." in text_of(visitor.get("/en/basket"))


def test_a_second_click_on_the_last_button_buys_nothing_more(mall: Mall, visitor: Visitor) -> None:
    base = visitor.fill(mall, mall.sun)
    first = path_of(visitor.post(f"{base}/review", **CONSENTS))
    second = visitor.post(f"{base}/review", **CONSENTS)
    assert first.startswith("http://pay.test/")
    order = mall.orders()[0]
    assert path_of(second) == f"/en/orders/{order.token}"
    # Back, reload, or a stale tab: every step leads to the order.
    for step in ("details", "beneficiary", "review"):
        assert path_of(visitor.get(f"{base}/{step}")) == f"/en/orders/{order.token}"
    changed = visitor.post(f"{base}/details", **{**PERSON, "name": "Somebody Else"})
    assert path_of(changed) == f"/en/orders/{order.token}"
    assert len(mall.orders()) == len(mall.payments()) == 1
    assert mall.orders()[0].purchaser_name == "Ada Example"
    assert mall.offer(mall.sun).held == 10


def test_buying_the_same_again_afterwards_is_a_new_purchase(mall: Mall, visitor: Visitor) -> None:
    path_of(visitor.buy(mall, mall.sun))
    path_of(visitor.buy(mall, mall.sun))
    assert len(mall.orders()) == 2
    assert mall.offer(mall.sun).held == 20


def test_several_providers_become_several_orders_and_a_plan(mall: Mall, visitor: Visitor) -> None:
    answer = visitor.buy(mall, mall.sun, mall.wind)
    page = visitor.get(path_of(answer))
    said = text_of(page)
    sun, wind = mall.orders()
    assert "2 payments are to be made" in said
    assert "Pay USD 25.00 to Sun Ltd" in said
    assert "See bank details and order" in said
    assert f"/en/orders/{sun.token}/pay" in page.text
    assert f"/en/orders/{wind.token}/pay" not in page.text
    # Instructions are there at once; the processor's payment waits for its click.
    assert [each.order_id for each in mall.payments()] == [wind.id]
    assert ("bank_instructions", "ada@example.org") in mall.mails()
    assert path_of(
        visitor.post(f"{path_of(answer).removesuffix('plan')}review", **CONSENTS)
    ) == path_of(answer)
    assert len(mall.orders()) == 2


def test_the_plan_counts_what_is_left_to_pay(mall: Mall, visitor: Visitor) -> None:
    plan = path_of(visitor.buy(mall, mall.sun, mall.wind))
    sun, wind = mall.orders()
    visitor.post(f"/en/orders/{sun.token}/withdraw")
    assert "1 payment is to be made." in text_of(visitor.get(plan))
    visitor.post(f"/en/orders/{wind.token}/withdraw")
    assert "No payment is to be made any more." in text_of(visitor.get(plan))


def test_withdrawn_offers_do_not_stop_who_is_checking_out(mall: Mall, visitor: Visitor) -> None:
    base = visitor.fill(mall, mall.sun)
    mall.change(Offer, mall.sun, status=OfferStatus.CLOSED, price_minor=999)
    path_of(visitor.post(f"{base}/review", **CONSENTS))
    assert mall.orders()[0].total_minor == 2500


def test_a_method_that_is_gone_when_the_order_is_placed(mall: Mall, visitor: Visitor) -> None:
    base = visitor.fill(mall, mall.sun)
    paypal = next(each for each in mall.rows(PayoutMethod) if each.method_id == "paypal")
    mall.change(PayoutMethod, paypal.id, status=PayoutStatus.REVOKED)
    answer = visitor.post(f"{base}/review", **CONSENTS)
    assert answer.status_code == 422
    assert "Please choose how to pay Sun Ltd." in text_of(answer)
    assert mall.orders() == []
    assert mall.checkouts()[0].status is CheckoutStatus.OPEN


def test_a_lapsed_checkout_keeps_the_basket_and_what_was_typed(
    mall: Mall, visitor: Visitor
) -> None:
    base = visitor.fill(mall, mall.sun)
    mall.clock.tick(minutes=31)
    mall.work("checkout")
    assert mall.offer(mall.sun).held == 0
    for step in ("details", "beneficiary", "review", "preview.pdf"):
        answer = visitor.get(f"{base}/{step}")
        assert answer.status_code == 410
        assert "Your time to check out is over" in text_of(answer)
    answer = visitor.post(f"{base}/review", **CONSENTS)
    assert answer.status_code == 410
    assert "Back to basket" in text_of(answer)
    assert visitor.post(f"{base}/details", **PERSON).status_code == 410
    assert mall.orders() == []
    # Twice, as with a double click.
    again = path_of(visitor.check_out())
    assert path_of(visitor.check_out()) == again
    assert not again.startswith(base)
    assert mall.offer(mall.sun).held == 10
    assert 'value="Ada Example"' in visitor.get(again).text


def test_the_hold_has_an_end_however_often_it_is_extended(mall: Mall, visitor: Visitor) -> None:
    base = visitor.begin(mall.sun)
    start = mall.clock()
    for _ in range(12):
        mall.clock.tick(minutes=29)
        visitor.post(f"{base}/details", **PERSON)
    assert mall.checkouts()[0].due_at == start + timedelta(minutes=300)


def test_unknown_links(visitor: Visitor) -> None:
    for step in ("details", "beneficiary", "review", "preview.pdf", "plan"):
        for token in ("x", "A" * 43, "..%2f..%2fetc", "%00", "é"):
            assert visitor.get(f"/en/checkout/{token}/{step}").status_code == 404, (step, token)


def test_a_form_needs_its_token(mall: Mall, visitor: Visitor) -> None:
    base = visitor.fill(mall, mall.sun)
    for step in ("details", "beneficiary", "review"):
        assert visitor.client.post(f"{base}/{step}", data=CONSENTS).status_code == 400
    assert mall.orders() == []


def test_signed_in_purchasers_are_known_again(mall: Mall) -> None:
    user_id = add_person(mall.app, "bo@example.org")
    visitor = Visitor(mall.app)
    visitor.client = log_in(mall.app, "bo@example.org")
    base = visitor.fill(mall, mall.sun, email="other@example.org", city="Arusha")
    path_of(visitor.post(f"{base}/review", **CONSENTS))
    assert mall.orders()[0].user_id == user_id
    page = visitor.get(f"{visitor.begin(mall.sun)}/details").text
    assert 'value="bo@example.org"' in page
    assert 'value="Arusha"' in page


def test_guests_read_the_same_whoever_has_an_account(mall: Mall, visitor: Visitor) -> None:
    add_person(mall.app, "bo@example.org")
    base = visitor.begin(mall.sun)
    answers = [
        visitor.post(f"{base}/details", **{**PERSON, "email": email})
        for email in ("bo@example.org", "new@example.org")
    ]
    assert path_of(answers[0]) == path_of(answers[1])
    pages = [text_of(visitor.get(f"{base}/{step}")) for step in ("details", "beneficiary")]
    assert "If you have bought before with this address" in pages[0]


def test_the_language_can_be_changed_on_the_way(mall: Mall, visitor: Visitor) -> None:
    base = visitor.fill(mall, mall.sun)
    page = visitor.get(f"{base}/review").text
    assert f'href="{base.replace("/en/", "/fr/")}/review"' in page
    french = base.replace("/en/", "/fr/")
    answer = visitor.post(f"{french}/review")
    assert answer.status_code == 422
    # The page that came back has an address in each language, too.
    assert f'href="{base}/review"' in answer.text
    path_of(visitor.post(f"{french}/beneficiary", **{**WHY, **methods(mall)}))
    path_of(visitor.post(f"{french}/review", **CONSENTS))
    assert mall.orders()[0].locale == "fr"


def test_the_processor_is_down_when_the_order_is_placed(mall: Mall, visitor: Visitor) -> None:
    base = visitor.fill(mall, mall.sun)
    mall.pay.failures = [OutcomeUnknownError("time-out")]
    answer = visitor.post(f"{base}/review", **CONSENTS)
    order = mall.orders()[0]
    assert path_of(answer) == f"/en/orders/{order.token}"
    page = text_of(visitor.get(path_of(answer)))
    assert "The payment service does not answer. Nothing was charged." in page
    assert "Pay USD 25.00 to Sun Ltd" in page
    assert order.status is OrderStatus.PLACED
    assert path_of(visitor.post(f"/en/orders/{order.token}/pay")).startswith("http://pay.test/")
    assert len(mall.payments()) == 1

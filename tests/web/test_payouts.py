"""How a provider is paid, at the browser: each method's panel, bank details, the operator."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
from flask import Flask
from flask.testing import FlaskClient
from sqlalchemy import select
from werkzeug.test import TestResponse

from cnn_offset import jobs, mail
from cnn_offset.domain.staff import StaffRole
from cnn_offset.domain.status import PayoutStatus
from cnn_offset.extensions import db
from cnn_offset.mail.letters.payouts import LETTERS
from cnn_offset.models import Message, PayoutMethod, Provider
from cnn_offset.plugins.errors import OutcomeUnknownError, RefusedError
from cnn_offset.plugins.loader import PluginSet
from cnn_offset.services import paying_out
from tests.conftest import Clock
from tests.factories import make_payout, make_provider
from tests.services.test_paying_out import Connecting
from tests.web.people import add_person, log_in, post
from tests.web.shopping import text_of

PAGE = "/en/provider/payouts"
BANK = {
    "holder": "Rio Verde",
    "account": "DE89 3704 0044 0532 0130 00",
    "bank_name": "Commerzbank",
    "currencies": "EUR, USD",
    "minimum": "25.50",
}
OTHER = BANK | {"account": "FR14 2004 1010 0505 0001 3M02 606"}


class House:
    """A provider's owner at the browser, and the processor behind it."""

    def __init__(self, app: Flask, clock: Clock) -> None:
        self.app, self.clock, self.pay = app, clock, Connecting(clock)
        here = app.extensions["cnn_offset"]
        bank = here.payments["bank_transfer"]
        app.extensions["cnn_offset"] = replace(
            here, payments=PluginSet({"paypal": self.pay, "bank_transfer": bank})
        )
        with app.app_context():
            provider = make_provider(name="Rio Verde", email="contact@example.org")
            self.provider_id, self.slug = provider.id, provider.slug
            self.other_slug = make_provider(name="Other").slug
            db.session.commit()
        add_person(app, "owner@example.org", "provider", self.slug)
        self.owner = log_in(app, "owner@example.org")

    def row(self, method_id: str = "paypal") -> PayoutMethod:
        with self.app.app_context():
            return db.session.scalars(
                select(PayoutMethod).where(
                    PayoutMethod.provider_id == self.provider_id,
                    PayoutMethod.method_id == method_id,
                )
            ).one()

    def post(self, path: str, client: FlaskClient | None = None, **data: str) -> TestResponse:
        return post(client or self.owner, f"{PAGE}/{path}", **data)

    def page(self, lang: str = "en") -> str:
        return text_of(self.owner.get(f"/{lang}/provider/payouts"))

    def enable_bank(self) -> None:
        assert self.post("bank_transfer/account", **BANK).status_code == 302
        row_id = self.row("bank_transfer").id
        add_person(self.app, "op@example.org", "operator")
        operator = log_in(self.app, "op@example.org")
        page = operator.get("/en/operator/payouts")
        seen = re.search(r'name="seen" value="(\w+)"', page.text)
        assert seen
        answer = post(operator, f"/en/operator/payouts/{row_id}/enable", seen=seen[1])
        assert answer.status_code == 302

    def work(self) -> None:
        with self.app.test_request_context():
            jobs.sweep()


@pytest.fixture
def house(app: Flask, clock: Clock) -> House:
    return House(app, clock)


def test_connecting_there_and_back(house: House) -> None:
    assert "Not begun" in house.page()
    answer = house.post("paypal/connect")
    assert (answer.status_code, answer.location) == (303, "http://pay.test/1")
    request = house.pay.books.links[0]
    assert request.return_url == f"http://localhost{PAGE}/paypal/returned"
    assert request.refresh_url == f"http://localhost{PAGE}?expired=paypal"
    # Whatever the way back claims: the processor says that nothing is finished.
    back = house.owner.get(f"{PAGE}/paypal/returned?merchantIdInPayPal=EVIL&status=READY")
    assert back.status_code == 302
    shown = house.page()
    assert "Not finished" in shown
    assert "Go on there." in shown
    assert house.row().account == {}
    house.pay.books.accounts[house.row().onboarding_ref] = "M1"
    house.owner.get(f"{PAGE}/paypal/returned")
    shown = house.page()
    assert "Ready" in shown
    assert "M1" in shown


def test_a_used_link_leads_to_a_page_with_a_button(house: House) -> None:
    house.post("paypal/connect")
    links = len(house.pay.books.links)
    shown = text_of(house.owner.get(f"{PAGE}?expired=paypal"))
    assert "The link was used or too old" in shown
    assert len(house.pay.books.links) == links


def test_a_silent_or_refusing_processor_is_said_so(house: House) -> None:
    for error, words in (
        (OutcomeUnknownError("silence"), "does not answer"),
        (RefusedError("no"), "has refused this"),
    ):
        house.pay.books.failures = [error]
        assert house.post("paypal/connect").status_code == 302
        assert words in house.page()
        house.post("paypal/connect")
        house.pay.books.failures = [error]
        assert house.post("paypal/test").status_code == 302
        assert words in house.page()


def test_disconnecting(house: House) -> None:
    house.post("paypal/connect")
    assert house.post("paypal/disconnect").status_code == 302
    assert "Ended" in house.page()
    assert house.post("paypal/disconnect").status_code == 302
    assert house.row().status is PayoutStatus.REVOKED


def test_typing_an_account(house: House) -> None:
    house.pay.is_partner = False
    answer = house.post("paypal/account")
    assert answer.status_code == 422
    assert "Please fill in" in text_of(answer)
    assert house.post("paypal/account", merchant_id="M\u202e1").status_code == 422
    assert house.post("paypal/account", merchant_id="M" * 201).status_code == 422
    assert house.post("paypal/account", merchant_id=" M1 ").status_code == 302
    assert (house.row().status, house.row().account) == (
        PayoutStatus.READY,
        {"merchant_id": "M1"},
    )
    # The way of partners is not open.
    assert house.post("paypal/connect").status_code == 302
    assert "typed in, not connected" in house.page()


def test_bank_transfer_is_asked_for_enabled_and_changed(house: House) -> None:
    bad = house.post("bank_transfer/account", **BANK | {"account": "DE89370400440532013001"})
    assert bad.status_code == 422
    assert "This IBAN is not right" in text_of(bad)
    assert 'value="Rio Verde"' in bad.text
    assert house.post("bank_transfer/account", **BANK | {"minimum": "2,5"}).status_code == 422
    assert house.post("bank_transfer/account", **BANK | {"currencies": ""}).status_code == 422
    house.enable_bank()
    shown = house.page()
    assert "EUR 25.50" in shown
    assert "Ready" in shown

    review = house.post("bank_transfer/account", **OTHER)
    text = text_of(review)
    assert review.status_code == 200
    assert "DE89" in text
    assert "FR14" in text
    assert house.row("bank_transfer").next_account is None
    assert house.post("bank_transfer/account", **OTHER, seen="yes").status_code == 302
    row = house.row("bank_transfer")
    assert row.next_from == house.clock() + timedelta(hours=24)
    assert "New details hold from" in house.page()
    assert house.post("bank_transfer/stop").status_code == 302
    assert house.row("bank_transfer").next_account is None
    assert house.post("bank_transfer/stop").status_code == 302
    assert "no change to stop" in house.page()


def changing_mail(app: Flask) -> str:
    with app.test_request_context():
        message = db.session.scalars(
            select(Message).where(
                Message.kind == "bank_changing", Message.recipient == "contact@example.org"
            )
        ).one()
        text = mail.render(db.session(), message).get_body(("plain",))
        assert text is not None
        return str(text.get_content())


def test_the_warned_contact_stops_it_without_an_account(house: House) -> None:
    house.enable_bank()
    house.post("bank_transfer/account", **OTHER, seen="yes")
    told = changing_mail(house.app)
    # Enough to know one's account by, not more.
    assert "…3000" in told
    assert "DE8937040044" not in told.replace(" ", "")
    link = re.search(r"http://localhost(/en/not-me/\S+)", told)
    assert link
    stranger = house.app.test_client()
    # A mail program that follows links stops nothing.
    page = stranger.get(link[1])
    assert "Somebody has entered other bank details" in text_of(page)
    assert page.headers["Cache-Control"] == "no-store"
    assert house.row("bank_transfer").next_account is not None
    assert post(stranger, link[1]).status_code == 302
    assert house.row("bank_transfer").next_account is None
    assert "no change to stop" in text_of(stranger.get(link[1]))
    assert post(stranger, link[1]).status_code == 302
    for wrong in ("/en/not-me/x", link[1][:-1] + ("a" if link[1][-1] != "a" else "b")):
        assert stranger.get(wrong).status_code == 404
        assert post(stranger, wrong).status_code == 404
    # A later change is not stopped by the link of an earlier one.
    house.clock.tick(minutes=1)
    house.post("bank_transfer/account", **OTHER, seen="yes")
    post(stranger, link[1])
    assert house.row("bank_transfer").next_account is not None


def test_changed_details_hold_after_a_day(house: House) -> None:
    house.enable_bank()
    house.post("bank_transfer/account", **OTHER, seen="yes")
    house.clock.tick(hours=24)
    house.work()
    assert house.row("bank_transfer").account["account"].startswith("FR14")


def test_the_operator_refuses_with_a_reason(house: House) -> None:
    house.post("bank_transfer/account", **BANK)
    add_person(house.app, "op@example.org", "operator")
    operator = log_in(house.app, "op@example.org")
    row_id = house.row("bank_transfer").id
    found = re.search(r'name="seen" value="(\w+)"', operator.get("/en/operator/payouts").text)
    assert found
    seen = found[1]
    path = f"/en/operator/payouts/{row_id}"
    assert post(operator, f"{path}/refuse", seen=seen).status_code == 422
    assert post(operator, f"{path}/enable", seen="old").status_code == 422
    reason = "The holder is <b>unknown</b>, 100 %."
    assert post(operator, f"{path}/refuse", seen=seen, reason=reason).status_code == 302
    assert reason in house.page()
    for wrong in ("0", "-1", "x", "9" * 30):
        assert post(operator, f"/en/operator/payouts/{wrong}/enable").status_code == 404
    assert "No provider asks" in text_of(operator.get("/en/operator/payouts"))


def test_who_may_change_and_who_may_look(house: House) -> None:
    add_person(house.app, "sales@example.org", "provider", house.slug, staff_role=StaffRole.SALES)
    sales = log_in(house.app, "sales@example.org")
    page = sales.get(PAGE)
    assert page.status_code == 200
    assert "<form" not in page.text.split('class="page"')[1].split("</main>")[0]
    for path in ("connect", "test", "account", "terms", "disconnect", "stop", "confirms"):
        assert house.post(f"paypal/{path}", client=sales).status_code == 403, path
    assert sales.get(f"{PAGE}/paypal/returned").status_code == 403


def test_changing_needs_a_fresh_proof(house: House) -> None:
    house.enable_bank()
    house.clock.tick(minutes=11)
    for path, data in (
        ("bank_transfer/account", OTHER | {"seen": "yes"}),
        ("bank_transfer/disconnect", {}),
        ("bank_transfer/confirms", {"alone": "yes"}),
        ("paypal/connect", {}),
    ):
        answer = house.post(path, **data)
        assert "/account/verify" in answer.location, path
    row = house.row("bank_transfer")
    assert (row.next_account, row.confirms_alone, row.status) == (None, False, PayoutStatus.READY)
    # Stopping is the safe side: it needs none.
    assert "/account/verify" not in house.post("bank_transfer/stop").location


def test_another_providers_methods_are_not_there(house: House) -> None:
    house.enable_bank()
    add_person(house.app, "b@example.org", "provider", house.other_slug)
    other = log_in(house.app, "b@example.org")
    shown = text_of(other.get(PAGE))
    assert "DE89" not in shown
    assert house.post("bank_transfer/disconnect", client=other).status_code == 404
    assert house.post("bank_transfer/confirms", client=other, alone="yes").status_code == 404
    assert other.get(f"{PAGE}/bank_transfer/terms").status_code == 404
    house.post("bank_transfer/stop", client=other)
    assert house.row("bank_transfer").status is PayoutStatus.READY
    assert house.post("nothing/test", client=other).status_code == 404


def test_terms_by_language(house: House) -> None:
    house.enable_bank()
    form = house.owner.get("/fr/provider/payouts/bank_transfer/terms")
    assert 'value="25,50"' in form.text
    path = "/fr/provider/payouts/bank_transfer/terms"
    for minimum in ("12.50", "-1", "1e9", "1e400"):
        answer = post(house.owner, path, currencies="EUR", minimum=minimum)
        assert answer.status_code == 422, minimum
        assert f'value="{minimum}"' in answer.text
    assert post(house.owner, path, currencies="XYZ", minimum="1").status_code == 422
    assert post(house.owner, path, currencies="EUR", minimum="1 000,50").status_code == 302
    assert (house.row("bank_transfer").minimum_minor, house.row("bank_transfer").currencies) == (
        100_050,
        ["EUR"],
    )
    assert post(house.owner, path, currencies="EUR", minimum="").status_code == 302
    assert house.row("bank_transfer").minimum_minor == 0


def test_exact_matches_may_confirm_alone(house: House) -> None:
    house.enable_bank()
    house.post("bank_transfer/confirms", alone="yes")
    assert house.row("bank_transfer").confirms_alone
    house.post("bank_transfer/confirms")
    assert not house.row("bank_transfer").confirms_alone
    assert house.post("paypal/confirms", alone="yes").status_code == 302
    assert "No bank statements tell" in house.page()


def test_a_method_out_of_service_is_shown_as_such(house: House) -> None:
    with house.app.app_context():
        provider = db.session.get_one(Provider, house.provider_id)
        make_payout(provider, "stripe_connect")
        db.session.commit()
    shown = house.page()
    assert "Out of service" in shown
    assert house.post("stripe_connect/test").status_code == 302
    assert "does not answer" in house.page()
    assert house.post("stripe_connect/connect").status_code == 302
    assert house.owner.get(f"{PAGE}/stripe_connect/account").status_code == 302


@pytest.mark.parametrize("lang", ["en", "fr", "es"])
def test_pages_in_three_languages(house: House, lang: str) -> None:
    house.enable_bank()
    house.post("bank_transfer/account", **OTHER, seen="yes")
    house.post("paypal/connect")
    for path in ("", "/bank_transfer/account", "/bank_transfer/terms"):
        assert house.owner.get(f"/{lang}/provider/payouts{path}").status_code == 200


def test_testing_now_is_rate_limited(make_app: Callable[..., Any], clock: Clock) -> None:
    house = House(make_app(RATE_LIMITS=True), clock)
    house.post("paypal/connect")
    answers = [house.post("paypal/test").status_code for _ in range(11)]
    assert answers == [302] * 10 + [429]
    assert paying_out.ASKED_EVERY < paying_out.TESTED_EVERY


@pytest.mark.parametrize("lang", ["en", "fr", "es"])
@pytest.mark.parametrize("kind", sorted(LETTERS))
def test_every_mail_can_be_written(app: Flask, kind: str, lang: str) -> None:
    with app.test_request_context():
        payout = make_payout(make_provider(name="Rio Verde"), todo=["Go on there."])
        params = {
            "payout_id": payout.id,
            "method_id": "paypal",
            "by": "me@example.org",
            "reason": "Because 100 %.",
            "next_from": "2026-11-23T12:00:00+00:00",
            "old": "",
            "new": "Rio Verde, …3000",
        }
        message = Message(
            kind=kind, recipient="a@example.org", locale=lang, params=params,
            message_id="<1@x>", created_at=payout.provider.created_at,
        )  # fmt: skip
        made = mail.render(db.session(), message)
        text = made.get_body(("plain",))
        assert text is not None
        assert made["Subject"]
        assert f"http://localhost/{lang}/" in str(text.get_content())
        if kind in {"bank_refused", "payout_stopped"}:
            assert {"bank_refused": "100 %", "payout_stopped": "Go on there."}[kind] in str(
                text.get_content()
            )

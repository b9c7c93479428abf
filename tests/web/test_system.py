"""The system page, switches, notices and registries' dates, as operators and purchasers see them."""

from __future__ import annotations

import re
from collections.abc import Iterator
from datetime import datetime, timedelta
from html import unescape

import pytest
from flask import Flask
from flask.testing import FlaskClient
from sqlalchemy import select, update

from cnn_offset import jobs
from cnn_offset.blueprints.admin import system
from cnn_offset.blueprints.admin.audit_words import SUBJECTS
from cnn_offset.chores import CHORES
from cnn_offset.domain.staff import OperatorRole
from cnn_offset.extensions import db, platform
from cnn_offset.jobs import WORK
from cnn_offset.models import CallHealth, Event, Message, Order, Proposal, Switch
from cnn_offset.plugins.errors import OutcomeUnknownError, UnavailableError
from tests.conftest import Clock
from tests.web.people import add_person, forget_codes, log_in, post
from tests.web.shopping import CONSENTS, Mall, Visitor, open_mall, text_of

HEAD, SECOND = "head@example.org", "second@example.org"
SWITCHES = "/en/operator/system/switches"
DATES = "/en/operator/system/registries/cdm/dates"


@pytest.fixture
def mall(app: Flask, clock: Clock) -> Iterator[Mall]:
    yield from open_mall(app, clock)


@pytest.fixture
def head(app: Flask) -> FlaskClient:
    add_person(app, HEAD, "operator")
    return log_in(app, HEAD)


def said(client: FlaskClient, path: str) -> str:
    answer = client.get(path, follow_redirects=True)
    assert answer.status_code == 200
    return text_of(answer)


def turn(client: FlaskClient, path: str, to: str, reason: str = "An outage") -> None:
    answer = post(client, f"/en/operator/system/{path}", to=to, reason=reason)
    assert answer.status_code == 302, text_of(answer)


@pytest.mark.parametrize("lang", ["en", "fr", "es"])
@pytest.mark.parametrize("path", ["", "/switches", "/registries/cdm/dates"])
def test_pages_in_each_language(head: FlaskClient, lang: str, path: str) -> None:
    answer = head.get(f"/{lang}/operator/system{path}")
    assert answer.status_code == 200
    assert answer.text.count("<h1") == 1


def test_every_kind_of_work_has_words() -> None:
    assert set(system.CHORES) == set(CHORES)
    assert set(WORK) <= set(SUBJECTS)


def test_settings_show_no_secret(make_app, clock: Clock) -> None:
    app = make_app(MAIL_URL="smtp://robot:hush-hush@mail.example.org:2525")
    add_person(app, HEAD, "operator")
    page = log_in(app, HEAD).get("/en/operator/system").text
    for secret in ("sk_test_x", "whsec_x", ">secret<", "hush-hush", "robot"):
        assert secret not in page
    assert "smtp://mail.example.org:2525" in page
    assert "http://127.0.0.1:1/paypal" in page
    assert page.count("•••") >= 5


def test_how_calls_go_is_shown_and_written_after_the_work(
    app: Flask, head: FlaskClient, clock: Clock
) -> None:
    here = app.extensions["cnn_offset"]
    # Nothing listens there.
    with app.app_context(), pytest.raises(UnavailableError):
        here.registries["cdm"].fetch("key")
    page = text_of(head.get("/en/operator/system"))
    # Written when the request was over: the next one shows it.
    page = text_of(head.get("/en/operator/system"))
    assert "Fails since 2 November 2026, 09:00 UTC" in page
    assert "UnavailableError" in page


def test_failing_work_and_mail_are_counted(app: Flask, head: FlaskClient, clock: Clock) -> None:
    with app.app_context():
        db.session.add(
            Message(
                kind="account", dedup="x", recipient="a@example.org", locale="en", params={},
                message_id="<x@y>", created_at=clock(), due_at=clock(), attempts=7,
                last_error="ConnectionError: <b>no</b> route",
            )
        )  # fmt: skip
        db.session.commit()
    answer = head.get("/en/operator/system")
    assert "ConnectionError: &lt;b&gt;no&lt;/b&gt; route" in answer.text
    assert "It has not been called yet." in text_of(answer)


def test_a_method_out_of_service_is_not_offered_and_running_payments_go_on(
    head: FlaskClient, mall: Mall
) -> None:
    running = Visitor(mall.app)
    running.buy(mall, mall.sun)
    started = Visitor(mall.app)
    base = started.fill(mall, mall.sun)

    turn(head, "methods/paypal", "off")

    answer = started.post(f"{base}/review", **CONSENTS)
    assert answer.status_code == 422
    assert "Please choose how to pay Sun Ltd." in text_of(answer)
    assert "Not by “Fake”: This method is out of service at present." in text_of(
        started.get(f"{base}/beneficiary")
    )
    page = text_of(running.get(f"/en/orders/{mall.orders()[0].token}"))
    assert "Pay USD" in page
    payment = mall.payments()[0]
    with mall.app.test_request_context():
        mall.pay.pay(payment.processor_ref)
        jobs.do("payment", payment.id)
    assert mall.orders()[0].status == "paid"

    turn(head, "methods/paypal", "on", "It works again")
    assert started.post(f"{base}/review", **CONSENTS).status_code == 303
    assert "Its offers" in said(head, SWITCHES)


def test_the_last_method_out_of_service_says_so_in_the_basket(
    head: FlaskClient, mall: Mall
) -> None:
    turn(head, "methods/bank_transfer", "off")
    visitor = Visitor(mall.app)
    visitor.add(mall.wind)
    answer = visitor.get("/en/basket")
    assert "Not by “Bank transfer”: This method is out of service at present." in text_of(answer)
    assert visitor.check_out().status_code == 422
    assert "There is no way to pay this provider at present." not in text_of(
        visitor.get("/en/projects")
    )


def test_a_registry_taken_out_sells_nothing_and_harms_no_order(
    head: FlaskClient, mall: Mall
) -> None:
    running = Visitor(mall.app)
    running.buy(mall, mall.sun, method="bank_transfer")
    started = Visitor(mall.app)
    base = started.fill(mall, mall.sun)
    assert '<article class="card">' in started.get("/en/projects").text

    turn(head, "registries/cdm", "off")

    assert '<article class="card">' not in started.get("/en/projects").text
    late = Visitor(mall.app)
    answer = late.add(mall.sun)
    assert answer.status_code == 422
    assert "We take no new orders of units in this registry for a while." in text_of(answer)
    answer = started.post(f"{base}/review", **CONSENTS)
    assert answer.status_code == 422
    assert "We take no new orders of units in this registry" in text_of(answer)
    # The order placed before can still be paid, also in another way.
    order = mall.orders()[0]
    page = text_of(running.get(f"/en/orders/{order.token}"))
    assert "Please make the bank transfer" in page
    assert "Pay by “Fake” instead" in page

    turn(head, "registries/cdm", "on")
    assert started.post(f"{base}/review", **CONSENTS).status_code == 303
    assert '<article class="card">' in started.get("/en/projects").text


def test_all_orders_stopped_are_said_on_the_shops_pages(head: FlaskClient, mall: Mall) -> None:
    visitor = Visitor(mall.app)
    base = visitor.fill(mall, mall.sun)
    turn(head, "orders", "off")
    assert "No new orders for now." in text_of(visitor.get("/en/"))
    page = visitor.get("/en/projects")
    # People may still look around.
    assert '<article class="card">' in page.text
    slug = re.search(r'href="(/en/projects/[^"?]+)"', page.text)
    assert slug
    assert "We take no new orders for a while." in text_of(visitor.get(slug[1]))
    answer = visitor.post(f"{base}/review", **CONSENTS)
    assert answer.status_code == 422
    assert "What you have chosen stays in your basket" in text_of(answer)
    assert mall.orders() == []
    turn(head, "orders", "on")
    assert visitor.post(f"{base}/review", **CONSENTS).status_code == 303
    assert "No new orders for now." not in text_of(visitor.get("/en/"))


def test_every_switch_leaves_who_and_why(app: Flask, head: FlaskClient) -> None:
    turn(head, "methods/paypal", "off", "PayPal is down")
    turn(head, "methods/stripe_connect", "off", "So is Stripe")
    # A second click changes nothing and leaves no second entry.
    turn(head, "methods/paypal", "off", "PayPal is down")
    with app.app_context():
        events = db.session.scalars(select(Event).where(Event.subject == "switch")).all()
        assert [(each.actor, each.why) for each in events] == [
            (HEAD, "paypal: off. PayPal is down"),
            (HEAD, "stripe_connect: off. So is Stripe"),
        ]
        off = db.session.scalars(select(Switch.value).where(Switch.name == "methods")).one()
        assert off == {"off": ["paypal", "stripe_connect"]}


FAULTY = [
    ("methods/paypal", {"to": "off", "reason": " "}, "Please write the reason."),
    ("methods/paypal", {"to": "sideways", "reason": "x"}, "Please choose on or off."),
    ("methods/paypal", {"to": "off", "reason": "x" * 501}, "at most 500 letters"),
    ("orders", {"reason": "x"}, "Please choose on or off."),
    ("registries/cdm", {"to": "off", "reason": "a\u202eb"}, "invisible sign"),
    ("notice/end", {"reason": ""}, "Please write the reason."),
]


def test_a_faulty_switch_comes_back(app: Flask, head: FlaskClient) -> None:
    for path, form, message in FAULTY:
        answer = post(head, f"/en/operator/system/{path}", **form)
        assert answer.status_code == 422
        assert message in text_of(answer)
        with app.app_context():
            assert not app.extensions["cnn_offset"].conditions().methods_off


def test_what_does_not_run_cannot_be_switched(head: FlaskClient) -> None:
    for path in ("methods/nothing", "registries/nothing", "registries/nothing/dates"):
        answer = post(head, f"/en/operator/system/{path}", to="off", reason="x")
        assert answer.status_code == 404


@pytest.mark.parametrize("role", [OperatorRole.SUPPORT, OperatorRole.EDITOR, OperatorRole.AUDITOR])
def test_only_those_who_run_the_system_switch(app: Flask, role: OperatorRole) -> None:
    add_person(app, HEAD, "operator", operator_role=role)
    client = log_in(app, HEAD)
    assert client.get("/en/operator/system").status_code == 200
    for path in ("methods/paypal", "orders", "notice", "registries/cdm/dates"):
        answer = post(client, f"/en/operator/system/{path}", to="off", reason="x")
        assert answer.status_code == 403


def test_a_switch_wants_a_fresh_second_factor(app: Flask, head: FlaskClient, clock: Clock) -> None:
    clock.tick(minutes=11)
    answer = post(head, "/en/operator/system/orders", to="off", reason="x")
    assert "/account/verify" in answer.location
    with app.app_context():
        assert not app.extensions["cnn_offset"].conditions().orders_stopped


NOTICE = {
    "text_en": "We <b>repair</b> something on Sunday.",
    "text_fr": "Nous réparons dimanche.",
    "text_es": "Reparamos el domingo.",
    "starts_at": "2026-11-02T10:00",
    "ends_at": "2026-11-02T12:00",
    "reason": "Repair",
}


def test_a_notice_is_shown_in_its_time_and_language(
    app: Flask, head: FlaskClient, clock: Clock
) -> None:
    visitor = app.test_client()
    assert post(head, "/en/operator/system/notice", **NOTICE).status_code == 302
    assert "repair" not in visitor.get("/en/").text
    clock.tick(hours=1)
    page = visitor.get("/en/").text
    assert "We &lt;b&gt;repair&lt;/b&gt; something on Sunday." in page
    assert 'role="status">We &lt;b&gt;' in page
    assert "Nous réparons dimanche." in visitor.get("/fr/faq").text
    assert "Reparamos el domingo." in visitor.get("/es/check").text
    clock.tick(hours=2)
    assert "repair" not in visitor.get("/en/").text
    clock.tick(hours=-2)
    head = log_in_again(app, HEAD)
    assert post(head, "/en/operator/system/notice/end", reason="Done").status_code == 302
    assert "repair" not in visitor.get("/en/").text


def log_in_again(app: Flask, email: str) -> FlaskClient:
    forget_codes(app, email)
    return log_in(app, email)


FAULTY_NOTICES: list[tuple[dict[str, str], str]] = [
    ({"text_fr": ""}, "Please write the notice in all three languages."),
    ({"text_es": "x" * 401}, "at most 400 letters"),
    ({"ends_at": "2026-11-02T10:00"}, "The notice must end after it begins."),
    ({"starts_at": "2026-10-01T10:00", "ends_at": "2026-10-02T10:00"}, "over already"),
    ({"starts_at": "tomorrow"}, "Please write day and time as in"),
    ({"ends_at": ""}, "Please enter a day and a time."),
    ({"reason": ""}, "Please write the reason."),
]


def test_a_faulty_notice_comes_back_as_typed(head: FlaskClient) -> None:
    for change, message in FAULTY_NOTICES:
        answer = post(head, "/en/operator/system/notice", **{**NOTICE, **change})
        assert answer.status_code == 422
        assert message in text_of(answer)
        kept = {**NOTICE, **change}["text_en"]
        assert f'value="{kept.replace("<", "&lt;").replace(">", "&gt;")}"' in answer.text


# A registry that does not answer


def fails(mall: Mall, since: datetime, until: datetime, call: str = "cancel") -> None:
    with mall.app.app_context():
        db.session.add(
            CallHealth(
                kind="registry", name="cdm", call=call, succeeded_at=since - timedelta(hours=1),
                failed_at=until, failing_since=since, words="UnavailableError",
            )
        )  # fmt: skip
        db.session.commit()


def test_a_silent_registry_is_said_honestly(mall: Mall, clock: Clock) -> None:
    visitor = Visitor(mall.app)
    base = visitor.fill(mall, mall.sun)
    fails(mall, clock() - timedelta(minutes=11), clock())
    page = text_of(visitor.get(f"{base}/review"))
    assert "does not answer at present" in page
    assert "your units stay held for you" in page
    visitor.post(f"{base}/review", **CONSENTS)
    order, payment = mall.orders()[0], mall.payments()[0]
    assert "You can order and pay all the same" in text_of(visitor.get(f"/en/orders/{order.token}"))
    mall.registry.failures = [OutcomeUnknownError("down")] * 9
    with mall.app.test_request_context():
        mall.pay.pay(payment.processor_ref)
        jobs.do("payment", payment.id)
    page = text_of(visitor.get(f"/en/orders/{order.token}"))
    assert "we go on asking" in page
    # No promise that may be broken.
    assert "at the latest" not in page
    with mall.app.app_context():
        db.session.execute(update(CallHealth).values(failing_since=None, succeeded_at=clock()))
        db.session.commit()
    assert "at the latest" in text_of(visitor.get(f"/en/orders/{order.token}"))
    mall.registry.failures.clear()
    clock.tick(hours=1)
    mall.work("cancellation")


@pytest.mark.parametrize(
    ("since", "until", "call"),
    [(9, 0, "cancel"), (120, 60, "cancel")],
    ids=["too short", "old news"],
)
def test_a_short_failure_or_an_old_one_is_not_said(
    mall: Mall, clock: Clock, since: int, until: int, call: str
) -> None:
    visitor = Visitor(mall.app)
    base = visitor.begin(mall.sun)
    fails(mall, clock() - timedelta(minutes=since), clock() - timedelta(minutes=until), call)
    assert "does not answer" not in text_of(visitor.get(f"{base}/details"))


# Dates of registries


def ask(client: FlaskClient, **dates: str) -> tuple[int, str]:
    form = {"reason": "The registry says so", **dates}
    answer = post(client, DATES, **form)
    return answer.status_code, text_of(answer)


def approve(app: Flask, clock: Clock) -> str:
    with app.app_context():
        waiting = db.session.scalars(select(Proposal.id)).all()[-1]
    add_person(app, SECOND, "operator")
    client = log_in(app, SECOND)
    page = text_of(client.get(f"/en/operator/proposals/{waiting}"))
    assert "Change the dates of" in page
    return text_of(post(client, f"/en/operator/proposals/{waiting}/approve"))


def test_dates_change_by_two_persons(app: Flask, head: FlaskClient, clock: Clock) -> None:
    status, _ = ask(head, last_order="2026-12-20T00:00", last_cancellation="2026-12-28T00:00")
    assert status == 302
    page = said(head, DATES)
    assert "A change waits for a second operator" in page
    with app.app_context():
        assert platform().registry_dates["cdm"].last_order is None
    assert "asked for already" in ask(head, last_order="2026-12-21T00:00")[1]
    # Whoever asked cannot approve.
    post(head, "/en/operator/proposals/1/approve")
    with app.app_context():
        assert platform().registry_dates["cdm"].last_order is None
    approve(app, clock)
    with app.app_context():
        found = platform().registry_dates["cdm"]
    assert found.last_order is not None
    assert f"{found.last_order:%Y-%m-%d}" == "2026-12-20"
    page = said(head, DATES)
    assert f"Changed by {SECOND}" in page
    assert "in 47 days" in said(head, "/en/operator/system")
    assert "20 December 2026" in unescape(app.test_client().get("/en/").text)


@pytest.mark.parametrize(
    ("dates", "message"),
    [
        (
            {"last_order": "2026-12-20T00:00", "closed": "2026-12-01T00:00"},
            "must follow one another",
        ),
        ({}, "These are the dates that hold already."),
        ({"closed": "soon"}, "Please write day and time as in"),
        ({"closed": "2026-12-01T00:00", "reason": ""}, "Please write the reason."),
    ],
)
def test_faulty_dates_come_back(head: FlaskClient, dates: dict[str, str], message: str) -> None:
    status, page = ask(head, **dates)
    assert status == 422
    assert message in page


def test_dates_that_harm_running_orders_are_refused(
    app: Flask, mall: Mall, head: FlaskClient, clock: Clock
) -> None:
    Visitor(mall.app).buy(mall, mall.wind, method="bank_transfer")
    order = mall.orders()[0]
    end = clock() + timedelta(days=3)
    status, page = ask(head, last_cancellation=f"{end:%Y-%m-%dT%H:%M}")
    assert status == 422
    assert "Unpaid orders that may still be paid after that: 1." in page
    end = clock() + timedelta(days=5)
    assert ask(head, last_cancellation=f"{end:%Y-%m-%dT%H:%M}")[0] == 302
    # Time has passed when it is approved: purchasers would have too little left.
    clock.tick(days=2)
    assert "Unpaid orders that may still be paid after that: 1." in approve(app, clock)
    with app.app_context():
        assert platform().registry_dates["cdm"].last_cancellation is None
        assert db.session.get_one(Order, order.id).pay_by == order.pay_by


def test_a_registry_cannot_end_while_it_cancels(
    mall: Mall, head: FlaskClient, clock: Clock
) -> None:
    Visitor(mall.app).buy(mall, mall.sun)
    with mall.app.test_request_context():
        mall.pay.pay(mall.payments()[0].processor_ref)
        jobs.do("payment", mall.payments()[0].id)
    status, page = ask(head, last_cancellation=f"{clock() + timedelta(hours=2):%Y-%m-%dT%H:%M}")
    assert status == 422
    assert "Paid orders whose units this registry has yet to cancel: 1." in page
    mall.work("cancellation")

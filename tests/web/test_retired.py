"""Retired payment methods and registries, as visitors, providers and operators meet them (E12)."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace

import pytest
from flask import Flask

from cnn_offset import starting
from cnn_offset.config import PaymentSettings, RegistrySettings
from cnn_offset.domain.status import PayoutStatus
from cnn_offset.extensions import db
from cnn_offset.models import Offer, Order, PayoutMethod, Provider
from cnn_offset.plugins.loader import PluginSet
from tests.conftest import Clock, settings
from tests.web.people import add_person, log_in, post
from tests.web.shopping import Mall, Visitor, open_mall, path_of, text_of

PAYOUTS = "/en/provider/payouts"
NOT_NOW = "The registry of these units takes no new orders."


@pytest.fixture
def mall(app: Flask, clock: Clock) -> Iterator[Mall]:
    yield from open_mall(app, clock)


def retire(app: Flask, *names: str, gone: bool = False) -> None:
    """Retire plug-ins by configuration; ``gone``: uninstall them as well."""
    here = app.extensions["cnn_offset"]
    with app.app_context():
        starting.check_needs(here, db.engine)
        old = starting.OldTitles()
        old.open(db.engine)
    payments = {name: PaymentSettings(retired=name in names) for name in here.payments}
    registries = {
        name: RegistrySettings(connector=name, retired=name in names) for name in here.registries
    }
    app.extensions["cnn_offset"] = replace(
        here,
        settings=here.settings.model_copy(update={"PAYMENTS": payments, "REGISTRIES": registries}),
        old_titles=old,
        payments=_left(here.payments, names, gone=gone),
        registries=_left(here.registries, names, gone=gone),
    )


def _left(plugins: PluginSet, names: tuple[str, ...], *, gone: bool) -> PluginSet:
    return PluginSet({k: v for k, v in plugins.items() if not gone or k not in names})


def test_no_new_order_is_paid_by_a_retired_method(app: Flask, mall: Mall) -> None:
    visitor = Visitor(app)
    retire(app, "paypal")
    base = visitor.begin(mall.sun)
    visitor.post(f"{base}/details", kind="person", name="Ada", email="a@example.org", country="KE")
    page = visitor.get(f"{base}/beneficiary").text
    assert 'value="paypal"' not in page
    assert "out of service" not in page
    assert 'value="bank_transfer"' in page
    answer = visitor.post(
        f"{base}/beneficiary",
        beneficiary="Ada",
        reason="journey",
        attestation_locale="en",
        **{"method-1-USD": "paypal"},
    )
    assert answer.status_code == 422


def test_an_order_that_was_placed_with_it_is_still_paid(app: Flask, mall: Mall) -> None:
    order_page = path_of(Visitor(app).buy(mall, mall.sun))
    (order,) = mall.orders()
    retire(app, "paypal")
    visitor = Visitor(app)
    shown = visitor.get(f"/en/orders/{order.token}")
    assert shown.status_code == 200
    assert order_page
    answer = visitor.post(f"/en/orders/{order.token}/pay", method="paypal")
    assert path_of(answer).startswith("http://pay.test/")
    (payment,) = mall.payments()
    mall.pay.pay(payment.processor_ref)
    mall.clock.tick(minutes=2)
    mall.work("payment", "cancellation")
    assert mall.orders()[0].status == "fulfilled"


def test_an_order_placed_otherwise_is_not_offered_it(app: Flask, mall: Mall) -> None:
    Visitor(app).buy(mall, mall.sun, method="bank_transfer")
    (order,) = mall.orders()
    visitor = Visitor(app)
    assert 'value="paypal"' in visitor.get(f"/en/orders/{order.token}").text
    retire(app, "paypal")
    assert 'value="paypal"' not in visitor.get(f"/en/orders/{order.token}").text
    visitor.post(f"/en/orders/{order.token}/pay", method="paypal")
    assert {each.method_id for each in mall.payments()} == {"bank_transfer"}


def test_offers_of_a_retired_registry_are_not_sold(app: Flask, mall: Mall) -> None:
    visitor = Visitor(app)
    with app.app_context():
        slug = db.session.get_one(Offer, mall.sun).block.activity.slug
    visitor.add(mall.sun)
    retire(app, "cdm")
    assert f"/projects/{slug}" not in visitor.get("/en/projects").text
    assert NOT_NOW in text_of(visitor.get(f"/en/projects/{slug}"))
    assert NOT_NOW in text_of(visitor.get("/en/basket"))
    visitor.check_out()
    assert mall.checkouts() == []


def test_providers_are_told_and_cannot_begin(app: Flask, mall: Mall) -> None:
    with app.app_context():
        providers = db.session.query(Provider).order_by(Provider.id).all()
        sun, wind = (each.slug for each in providers)
    add_person(app, "sun@example.org", "provider", sun)
    add_person(app, "wind@example.org", "provider", wind)
    retire(app, "paypal")
    page = text_of(log_in(app, "sun@example.org").get(PAYOUTS))
    assert "Takes no new orders" in page
    assert "New orders are not paid by it any more." in page
    owner = log_in(app, "wind@example.org")
    assert 'id="paypal"' not in owner.get(PAYOUTS).text
    for path in ("connect", "account"):
        assert post(owner, f"{PAYOUTS}/paypal/{path}").status_code in (302, 404)
    with app.app_context():
        methods = db.session.query(PayoutMethod).filter_by(method_id="paypal").all()
        assert [each.provider.slug for each in methods] == [sun]


def test_who_has_ended_it_cannot_begin_again(app: Flask, mall: Mall) -> None:
    with app.app_context():
        row = db.session.query(PayoutMethod).filter_by(method_id="paypal").one()
        slug, row.status = row.provider.slug, PayoutStatus.REVOKED
        db.session.commit()
    add_person(app, "sun@example.org", "provider", slug)
    retire(app, "paypal")
    owner = log_in(app, "sun@example.org")
    assert "you cannot begin with it any more" in text_of(owner.get(PAYOUTS))
    answer = post(owner, f"{PAYOUTS}/paypal/account", merchant_id="ABCDEFGHJKLM2")
    assert answer.status_code == 302
    assert "takes no new orders here" in text_of(owner.get(PAYOUTS))


def test_operators_see_what_is_retired(make_app: Callable[..., Flask]) -> None:
    chosen = settings()
    chosen["PAYMENTS"]["paypal"]["retired"] = True
    chosen["REGISTRIES"]["cdm"]["retired"] = True
    app = make_app(PAYMENTS=chosen["PAYMENTS"], REGISTRIES=chosen["REGISTRIES"])
    add_person(app, "op@example.org", "operator")
    page = text_of(log_in(app, "op@example.org").get("/en/operator/system"))
    assert page.count("Retired in the configuration") == 2


def test_old_pages_are_shown_when_the_plugins_have_gone(app: Flask, mall: Mall) -> None:
    Visitor(app).buy(mall, mall.sun)
    (order,) = mall.orders()
    Visitor(app).post(f"/en/orders/{order.token}/pay", method="paypal")
    mall.pay.pay(mall.payments()[0].processor_ref)
    mall.clock.tick(minutes=2)
    mall.work("payment", "cancellation")
    with app.app_context():
        done = db.session.get_one(Order, order.id)
        assert done.status == "fulfilled"
        slug = done.provider.slug
    retire(app, "paypal", "cdm", gone=True)
    add_person(app, "op@example.org", "operator")
    add_person(app, "sun@example.org", "provider", slug)
    operator, owner = log_in(app, "op@example.org"), log_in(app, "sun@example.org")
    visitor = Visitor(app)
    for client, path, title in (
        (visitor, f"/en/orders/{order.token}", "Fake registry"),
        (visitor, "/en/projects", ""),
        (visitor, "/en/record", "Fake registry"),
        (visitor, "/en/basket", ""),
        (operator, f"/en/operator/orders/{order.code}", "Fake registry"),
        (operator, "/en/operator/orders?method=paypal", "Fake"),
        (operator, "/en/operator/system", ""),
        (operator, "/en/operator/system/switches", ""),
        (operator, "/en/operator/attention", ""),
        (operator, f"/en/operator/providers/{slug}", ""),
        (owner, f"/en/provider/orders/{order.code}", "Fake"),
        (owner, "/en/provider/orders?method=paypal", "Fake"),
        (owner, "/en/provider/reports", ""),
        (owner, "/en/provider/holdings", ""),
        (owner, PAYOUTS, "Fake"),
    ):
        answer = client.get(path, follow_redirects=True)
        assert answer.status_code == 200, (path, answer.status_code)
        assert title in text_of(answer), path
    receipt = visitor.post(f"/en/orders/{order.token}/papers/receipt")
    assert receipt.status_code in (200, 303)

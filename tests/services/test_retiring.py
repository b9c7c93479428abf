"""Taking a plug-in out while orders are in flight: refused, retired, or nothing lost (E12)."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from flask import Flask
from payment_mobile import MobileMoney, MobileSettings
from processor import API_KEY, Processor
from sqlalchemy import text

from cnn_offset import jobs, starting
from cnn_offset.app import create_app
from cnn_offset.config import ConfigError, PaymentSettings, RegistrySettings
from cnn_offset.domain.status import OrderStatus, PaymentStatus
from cnn_offset.extensions import Platform, db, platform, unit_of_work
from cnn_offset.models import Order, PluginTitle, RegistryAccount
from cnn_offset.plugins.loader import PluginSet
from cnn_offset.services import holdings, retiring
from cnn_offset.testing.serving import served
from tests.conftest import Clock, settings
from tests.factories import make_mapping, make_payout, make_shop
from tests.services.conftest import Shop


def without(here: Platform, *gone: str, retired: tuple[str, ...] = ()) -> Platform:
    """Return a platform whose configuration leaves out or retires plug-ins by their names."""
    chosen = here.settings.model_copy(
        update={
            "PAYMENTS": {
                name: PaymentSettings(retired=name in retired)
                for name in here.payments
                if name not in gone or name in retired
            },
            "REGISTRIES": {
                name: RegistrySettings(connector=name, retired=name in retired)
                for name in here.registries
                if name not in gone or name in retired
            },
        }
    )
    return replace(
        here,
        settings=chosen,
        payments=PluginSet({k: v for k, v in here.payments.items() if k not in gone}),
        registries=PluginSet({k: v for k, v in here.registries.items() if k not in gone}),
    )


def unmet(*gone: str, retired: tuple[str, ...] = ()) -> list[str]:
    db.session.commit()
    return starting.unmet(without(platform(), *gone, retired=retired), db.engine)


def code(order_id: int) -> str:
    return db.session.get_one(Order, order_id).code


def test_says_what_needs_a_payment_method(shop: Shop) -> None:
    assert unmet() == []
    order_id = shop.order()
    shop.open(order_id)
    named = code(order_id)
    start = "PAYMENTS.paypal does not run, and is still needed: "
    orders = f"open orders: 1 ({named}); payments that are not settled: 1 ({named})"
    assert unmet("paypal") == [f"{start}{orders}; providers who are paid so: 1."]
    # Retired and yet uninstalled: providers are no need any more, what was begun is.
    assert unmet("paypal", retired=("paypal",)) == [f"{start}{orders}."]
    # Retired and there: nothing is missing.
    assert starting.unmet(without(platform(), retired=("paypal",)), db.engine) == []


def test_needs_nothing_when_all_is_done(shop: Shop) -> None:
    order_id = shop.order()
    shop.money(shop.open(order_id))
    shop.work()
    assert shop.status(order_id) is OrderStatus.FULFILLED
    assert unmet("paypal", retired=("paypal",)) == []
    assert unmet("cdm", retired=("cdm",)) == []
    assert unmet("cdm") == ["REGISTRIES.cdm does not run, and is still needed: open offers: 1."]


def test_says_what_needs_a_registry(shop: Shop) -> None:
    order_id = shop.order()
    assert "open orders: 1" in unmet("cdm", retired=("cdm",))[0]
    shop.registry.faults = ["before"]
    shop.money(shop.open(order_id))
    assert jobs.do("cancellation", shop.cancellation(order_id).id) is not None
    found = unmet("cdm", retired=("cdm",))
    assert found[0].endswith(f"open orders: 1 ({code(order_id)}); cancellations without an end: 1.")
    shop.work()
    assert unmet("cdm", retired=("cdm",)) == []


def test_names_some_orders_of_many(shop: Shop) -> None:
    codes = [code(shop.order(quantity=1)) for _ in range(7)]
    shown = f"open orders: 7 ({', '.join(codes[:5])}, …)"
    assert shown in unmet("paypal")[0]


OPEN = "status IN ('created', 'awaiting_payer', 'processing', 'in_review', 'disputed')"


@pytest.mark.parametrize(
    "where",
    [
        f"payment WHERE method_id NOT IN ('x') AND {OPEN}",
        "payment WHERE method_id NOT IN ('x') AND due_at IS NOT NULL",
        "\"order\" WHERE method_id NOT IN ('x') AND status IN ('placed', 'paid', 'in_review')",
    ],
)
def test_reads_only_what_is_open(app: Flask, where: str) -> None:
    with app.app_context():
        plan = db.session.execute(text(f"EXPLAIN QUERY PLAN SELECT count(*) FROM {where}"))
        assert all("INDEX ix_" in row.detail for row in plan)


def test_titles_outlive_their_plugin(shop: Shop) -> None:
    here = platform()
    starting.check_needs(here, db.engine)
    starting.check_needs(here, db.engine)
    db.session.rollback()
    rows = {(row.kind, row.name): row.title for row in db.session.query(PluginTitle)}
    assert rows["payment", "paypal"] == "Fake"
    assert rows["registry", "cdm"] == "Fake registry"
    gone = replace(without(here, "paypal", "cdm"), old_titles=starting.OldTitles())
    assert "paypal" not in gone.method_titles
    gone.old_titles.open(db.engine)
    assert gone.method_titles == {"bank_transfer": "Bank transfer", "paypal": "Fake"}
    assert gone.registry_titles == {"cdm": "Fake registry"}
    retiring.keep_titles(unit_of_work, {"payment": {"paypal": "Another"}})
    assert db.session.get_one(PluginTitle, ("payment", "paypal")).title == "Another"


def test_an_account_of_a_registry_that_has_gone_waits(shop: Shop, clock: Clock) -> None:
    make_mapping(shop.offer.provider)
    db.session.commit()
    account = db.session.query(RegistryAccount).one()
    account.due_at = clock()
    db.session.commit()
    shop.app.extensions["cnn_offset"] = without(platform(), "cdm", retired=("cdm",))
    assert jobs.do("registry_account", account.id)
    db.session.expire_all()
    assert account.due_at == clock() + holdings.READ_AGAIN
    assert account.last_error == ""


def test_a_method_is_swapped_with_orders_in_flight(shop: Shop) -> None:
    """PayPal goes, a module from another package comes; orders of both are finished."""
    processor = Processor()
    with served(processor) as url:
        chosen = MobileSettings.model_validate({"base_url": url, "api_key": API_KEY})
        make_payout(shop.offer.provider, "mobile_money", account={"number": "+254700000001"})
        db.session.commit()
        unpaid, paid = shop.order(), shop.order()
        old_unpaid, old_paid = shop.open(unpaid), shop.open(paid)
        shop.pay.pay(shop.payment(old_paid).processor_ref)

        here = platform()
        both = {**here.payments, "mobile_money": MobileMoney(chosen)}
        swapped = without(replace(here, payments=PluginSet(both)), retired=("paypal",))
        shop.app.extensions["cnn_offset"] = swapped
        assert starting.unmet(swapped, db.engine) == []
        assert set(swapped.payments_for_new) == {"bank_transfer", "mobile_money"}

        new = shop.order(method="mobile_money")
        new_payment = shop.open(new, "mobile_money")
        ref = shop.payment(new_payment).processor_ref
        processor.payments[ref]["status"] = "paid"
        shop.money(old_unpaid)
        shop.work()
        assert {shop.status(each) for each in (unpaid, paid, new)} == {OrderStatus.FULFILLED}
        assert shop.payment(old_paid).status is PaymentStatus.SUCCEEDED
        assert unmet("paypal", retired=("paypal",)) == []


@pytest.mark.parametrize("retired", [False, True])
def test_the_start_is_refused_or_not(make_app: Any, clock: Clock, retired: bool) -> None:
    app: Flask = make_app()
    with app.test_request_context():
        make_shop("paypal")
        db.session.remove()
    changed = settings()
    changed["PAYMENTS"]["paypal"] |= {"retired": True}
    if not retired:
        del changed["PAYMENTS"]["paypal"]
    del changed["REGISTRIES"]["a64_final"]

    def start() -> Flask:
        return create_app(changed, instance_path=app.instance_path, checks_needs=True)

    if retired:
        assert start().extensions["cnn_offset"].methods_retired == {"paypal"}
        return
    with pytest.raises(ConfigError) as refused:
        start()
    assert str(refused.value).startswith(
        "PAYMENTS.paypal does not run, and is still needed: providers who are paid so: 1."
    )
    assert "retired = true" in str(refused.value)


def test_a_database_without_tables_needs_nothing(tmp_path: Path) -> None:
    create_app(settings(), instance_path=str(tmp_path), checks_needs=True)


def test_a_retired_plugin_may_be_uninstalled(tmp_path: Path) -> None:
    changed = settings()
    changed["PAYMENTS"]["barter"] = {"retired": True, "once": "set"}
    changed["REGISTRIES"]["old"] = {"connector": "old", "retired": True, "token": "t"}
    here = create_app(changed, instance_path=str(tmp_path)).extensions["cnn_offset"]
    assert "barter" not in here.payments
    assert "old" not in here.registry_dates
    assert "old" not in here.dates_for_new

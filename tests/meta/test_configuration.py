"""A wrong configuration stops the start with one sentence that names the key."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from flask_migrate import upgrade
from sqlalchemy import inspect, text

from cnn_offset.app import create_app
from cnn_offset.config import ConfigError, read_settings
from cnn_offset.extensions import db, platform
from tests.conftest import settings
from tests.factories import make_shop

CDM = {"connector": "cdm", "base_url": "http://127.0.0.1:1", "token": "t"}


@pytest.mark.parametrize(
    ("changes", "names"),
    [
        ({"DATABSE_URL": "x"}, "DATABSE_URL: there is no such setting"),
        ({"HOLD_MINUTES": "soon"}, "HOLD_MINUTES"),
        ({"HOLD_MINUTES": 1}, "HOLD_MINUTES"),
        ({"MODE": "test"}, "MODE"),
        ({"PAYMENTS": {}}, "PAYMENTS"),
        ({"REGISTRIES": {}}, "REGISTRIES"),
        ({"PAYMENTS": {"barter": {}}}, "PAYMENTS.barter: no plug-in 'barter' is installed"),
        ({"PAYMENTS": {"bank_transfer": {"colour": 1}}}, "PAYMENTS.bank_transfer.colour"),
        ({"PAYMENTS": {"paypal": {"client_id": "x", "webhook_id": "y"}}}, "PAYMENTS.paypal.client_secret"),
        ({"PAYMENTS": {"stripe_connect": {"secret_key": "x"}}}, "PAYMENTS.stripe_connect.webhook_secret"),
        ({"REGISTRIES": {"x": {"base_url": "http://127.0.0.1"}}}, "REGISTRIES.x.connector"),
        ({"REGISTRIES": {"x": {"connector": "verra"}}}, "REGISTRIES.x: no plug-in 'verra'"),
        ({"REGISTRIES": {"x": {"connector": "cdm", "base_url": "http://127.0.0.1"}}}, "REGISTRIES.x.token"),
        ({"REGISTRIES": {"cdm": {**CDM, "closed": "2026-12-31T00:00:00"}}}, "REGISTRIES.cdm: a registry's dates need a time zone"),
        (
            {"REGISTRIES": {"cdm": {**CDM, "last_order": "2027-01-01T00:00:00Z", "closed": "2026-12-31T00:00:00Z"}}},
            "REGISTRIES.cdm: a registry's dates must follow one another",
        ),
        ({"MODE": "production", "SECRET_KEY": "short"}, "SECRET_KEY"),
        ({"MODE": "production", "SECRET_KEY": "x" * 40}, "SIGNING_KEY"),
        ({"MODE": "production", "SECRET_KEY": "x" * 40, "SIGNING_KEY": "k.pem"}, "MAIL_URL"),
        (
            {
                "MODE": "production", "SECRET_KEY": "x" * 40, "SIGNING_KEY": "k.pem",
                "MAIL_URL": "smtp://mail", "SANDBOX_URL": "http://127.0.0.1:5001",
            },
            "SANDBOX_URL",
        ),
    ],
)  # fmt: skip
def test_the_start_is_refused(changes: dict[str, Any], names: str, tmp_path: Path) -> None:
    with pytest.raises(ConfigError) as refused:
        create_app(settings(**changes), instance_path=str(tmp_path))
    assert str(refused.value).startswith(names.split(":")[0])
    assert names in str(refused.value)
    assert "\n" not in str(refused.value)


def test_no_secret_is_shown(tmp_path: Path) -> None:
    wrong = {"paypal": {"client_id": 1, "client_secret": ["hush hush"], "webhook_id": "w"}}
    with pytest.raises(ConfigError) as refused:
        create_app(settings(PAYMENTS=wrong), instance_path=str(tmp_path))
    assert "hush" not in str(refused.value)
    app = create_app(settings(), instance_path=str(tmp_path))
    with app.app_context():
        assert "'secret'" not in repr(platform().payments["paypal"].settings)


def test_a_broken_file_is_named(tmp_path: Path) -> None:
    (tmp_path / "config.toml").write_text("PAYMENTS = [")
    with pytest.raises(ConfigError, match=r"config\.toml"):
        create_app(instance_path=str(tmp_path))


def test_environment_beats_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "config.toml").write_text(
        'PUBLIC_URL = "http://file"\n[PAYMENTS.bank_transfer]\n'
        '[REGISTRIES.cdm]\nconnector = "cdm"\nbase_url = "http://127.0.0.1:1"\ntoken = "t"\n'
    )
    monkeypatch.setenv("CNN_OFFSET_PUBLIC_URL", "http://environment")
    monkeypatch.setenv("CNN_OFFSET_REGISTRIES__cdm__token", "other")
    app = create_app(instance_path=str(tmp_path))
    with app.app_context():
        here = platform()
        assert here.settings.PUBLIC_URL == "http://environment"
        assert here.settings.REGISTRIES["cdm"].own["token"] == "other"
        assert list(here.payments) == ["bank_transfer"]
        assert list(here.registries) == ["cdm"]


def test_fewer_plugins_and_back_again_change_nothing_stored(tmp_path: Path) -> None:
    everything, little = settings(), settings()
    little["PAYMENTS"] = {"bank_transfer": {}}
    little["REGISTRIES"] = {"cdm": CDM}

    def stored(raw: dict[str, Any]) -> dict[str, list[Any]]:
        app = create_app(raw, instance_path=str(tmp_path))
        with app.app_context():
            client = app.test_client()
            for path in ("/en/", "/en/projects", "/en/basket"):
                assert client.get(path).status_code == 200
            found = {
                table: [tuple(row) for row in db.session.execute(text(f'SELECT * FROM "{table}"'))]
                for table in inspect(db.engine).get_table_names()
            }
            db.session.remove()
            db.engine.dispose()
            return found

    app = create_app(everything, instance_path=str(tmp_path))
    with app.app_context():
        upgrade()
        make_shop()
        db.session.remove()
        db.engine.dispose()
    before = stored(everything)
    assert stored(little) == before
    assert stored(everything) == before


def test_defaults_are_enough_but_for_plugins() -> None:
    read = read_settings({"PAYMENTS": {"bank_transfer": {}}, "REGISTRIES": {"cdm": CDM}})
    assert read.MODE == "development"
    assert read.HOLD_MINUTES == 30

"""The commands that count figures anew and write the Board report."""

from __future__ import annotations

from pathlib import Path

import pytest
from click.testing import CliRunner
from flask import Flask
from sqlalchemy import update

from cnn_offset import cli, cli_application
from cnn_offset.domain.status import OrderStatus
from cnn_offset.extensions import db, unit_of_work
from cnn_offset.models import Figure, Span
from cnn_offset.services import tallying
from tests.papers import make_order
from tests.services.test_reporting import november


@pytest.fixture
def run(app: Flask, monkeypatch: pytest.MonkeyPatch) -> CliRunner:
    monkeypatch.setattr(cli_application, "create_app", lambda **_: app)
    return CliRunner()


def test_figures_are_counted_anew(app: Flask, run: CliRunner) -> None:
    with app.app_context():
        make_order(placed_at=november(1), paid_at=november(1), status=OrderStatus.PAID)
    for _ in range(2):
        done = run.invoke(cli.cli, ["reports", "rebuild"])
        assert done.exit_code == 0, done.output
        assert "2026-11-01 to 2026-11-02" in done.output
        with app.app_context():
            year = november(1).date().replace(month=1, day=1)
            assert tallying.kept(db.session(), Span.YEAR, year)["paid", "all", ""] == (1, 10, 0)
            with unit_of_work() as session:
                session.execute(update(Figure).values(number=9))


def test_figures_of_nothing(run: CliRunner) -> None:
    assert run.invoke(cli.cli, ["reports", "rebuild"]).exit_code == 0


def test_the_board_report_is_written(run: CliRunner, tmp_path: Path) -> None:
    for lang in ("en", "fr"):
        asked = [
            "reports",
            "board",
            "--period",
            "2026-Q4",
            "--lang",
            lang,
            "--to",
            str(tmp_path / "out"),
        ]
        done = run.invoke(cli.cli, asked)
        assert done.exit_code == 0, done.output
    assert {each.name for each in (tmp_path / "out").iterdir()} == {
        f"report-2026-Q4-{lang}.{ending}"
        for lang in ("en", "fr")
        for ending in ("pdf", "xlsx", "csv")
    }


def test_an_unknown_period_is_refused(run: CliRunner) -> None:
    done = run.invoke(cli.cli, ["reports", "board", "--period", "2026-Q5"])
    assert done.exit_code == 1
    assert "names no period" in done.output

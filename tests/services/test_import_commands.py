"""``cnn-offset import``: what operators type, and what they are told."""

from __future__ import annotations

import csv
from collections.abc import Callable
from pathlib import Path

import openpyxl
import pytest
from click.testing import CliRunner, Result
from flask import Flask
from sqlalchemy import func, select

from cnn_offset import cli, cli_application
from cnn_offset.extensions import db
from cnn_offset.models import Activity, Event, HistoricCancellation, ImportRun, Issuance
from tests.importing import BLOCKS_HEAD, HEAD, block, row, write

Run = Callable[..., Result]
ACTIVITIES_HEAD = ("ref", "party", "kind", "title", "country", "sectoral_scope", "methodology",
                   "crediting_start", "crediting_end", "link")  # fmt: skip


def project(ref: str, **changes: str) -> list[str]:
    cells = {
        "ref": ref,
        "party": "KE",
        "kind": "PA",
        "title": f"Lake Turkana wind farm {ref}",
        "country": "Kenya",
        "sectoral_scope": "Energy industries (renewable - / non-renewable sources)",
        "methodology": "CDM - ACM0002",
        "crediting_start": "2013-01-01",
        "crediting_end": "2019-12-31",
        "link": "https://registry.example/projects/1",
    }
    return list({**cells, **changes}.values())


@pytest.fixture
def run(app: Flask, monkeypatch: pytest.MonkeyPatch) -> Run:
    monkeypatch.setattr(cli_application, "create_app", lambda **_: app)

    def invoke(*arguments: object) -> Result:
        return CliRunner().invoke(cli.cli, ["import", *map(str, arguments)])

    return invoke


def count(app: Flask, model: type) -> int:
    with app.app_context():
        return db.session.scalar(select(func.count()).select_from(model)) or 0


def test_history_comes_in(app: Flask, run: Run, tmp_path: Path) -> None:
    path = write(tmp_path / "h.csv", row(1), row(2, platform="No"), row(3, unit="AAU"))
    done = run("history", path)
    assert done.exit_code == 1, "as a row was refused"
    assert "3  rows read" in done.output
    assert "1  accepted" in done.output
    assert "1  skipped" in done.output
    assert "Refused: row 4: “AAU” are not units of the mechanism" in done.output
    beside = tmp_path / "h.csv.refused.csv"
    assert str(beside) in done.output
    with beside.open(encoding="utf-8-sig", newline="") as file:
        refused = list(csv.reader(file))
    assert refused[0] == ["row", "refused because", *HEAD]
    assert refused[1][0] == "4"
    assert refused[1][2:] == row(3, unit="AAU")
    # Mended, the table of refused rows is itself imported.
    beside.write_text(beside.read_text("utf-8-sig").replace(",AAU,", ",CER,"), "utf-8-sig")
    assert run("history", beside).exit_code == 0
    assert count(app, HistoricCancellation) == 2
    with app.app_context():
        actors = set(db.session.scalars(select(Event.actor).where(Event.subject == "import_run")))
    assert len(actors) == 1
    assert actors.pop().startswith("command line (")


def test_a_dry_run_leaves_everything_as_it_is(app: Flask, run: Run, tmp_path: Path) -> None:
    path = write(tmp_path / "h.csv", row(1), row(3, unit="AAU"))
    done = run("history", path, "--dry-run")
    assert done.exit_code == 1
    assert "1  would be accepted" in done.output
    assert "Nothing was written" in done.output
    assert [each.name for each in tmp_path.glob("h*")] == ["h.csv"]
    assert count(app, ImportRun) == count(app, HistoricCancellation) == 0
    done = run("history", path, "--dry-run", "--refused", tmp_path / "r.csv")
    assert "AAU" in (tmp_path / "r.csv").read_text("utf-8-sig")
    assert str(tmp_path / "r.csv") in done.output


def test_a_workbook_with_a_mapping(app: Flask, run: Run, tmp_path: Path) -> None:
    book = openpyxl.Workbook()
    book.create_sheet("Cancellations")
    sheet = book["Cancellations"]
    sheet.append(["Go Climate Neutral Now"])
    sheet.append([])
    sheet.append(["When", *HEAD[1:]])
    for n in range(1, 4):
        cells = row(n, completed_at=42368.25 + n, block_start=float(n * 10 + 1), cp=2.0)
        sheet.append([*cells[:2], int(cells[2]), *cells[3:]])
    book.save(tmp_path / "h.xlsx")
    mapping = tmp_path / "map.toml"
    mapping.write_text(
        'sheet = "Cancellations"\nheader_row = 3\nregistry = "cdm"\n[columns]\ncompleted_at = "When"\n'
    )
    done = run("history", tmp_path / "h.xlsx", "--mapping", mapping)
    assert done.exit_code == 0, done.output
    assert count(app, HistoricCancellation) == 3


@pytest.mark.parametrize(
    ("mapping", "arguments", "said"),
    [
        ("", ["--registry", "moon"], "there is no registry connection “moon”, only cdm"),
        ('registry = "moon"', [], "there is no registry connection “moon”"),
        ("colums = 2", [], "“colums” is nothing that a mapping says"),
        ('[columns]\nparty = "Land"', [], "h.csv has no column “Land”"),
    ],
)
def test_what_cannot_be_done_is_said_in_one_sentence(
    app: Flask, run: Run, tmp_path: Path, mapping: str, arguments: list[str], said: str
) -> None:
    path = write(tmp_path / "h.csv", row(1))
    (tmp_path / "map.toml").write_text(mapping)
    done = run("history", path, "--mapping", tmp_path / "map.toml", *arguments)
    assert done.exit_code == 1
    assert done.output.startswith("Error: ")
    assert said in done.output
    assert done.output.count("\n") == 1
    assert count(app, ImportRun) == 0


def test_a_file_that_is_not_there(run: Run, tmp_path: Path) -> None:
    assert run("history", tmp_path / "none.csv").exit_code == 2


def test_refused_rows_that_cannot_be_written_are_no_disaster(
    app: Flask, run: Run, tmp_path: Path
) -> None:
    path = write(tmp_path / "h.csv", row(1), row(2, unit="x"))
    done = run("history", path, "--refused", tmp_path / "no" / "such" / "folder.csv")
    assert "could not be written" in done.output
    assert "1  accepted" in done.output
    assert count(app, HistoricCancellation) == 1


def test_blocks_then_history(app: Flask, run: Run, tmp_path: Path) -> None:
    issued = write(tmp_path / "b.csv", block(1, 50, mp_end="2016-01-01"), head=BLOCKS_HEAD)
    assert run("blocks", issued).exit_code == 0
    assert count(app, Issuance) == 1
    done = run("history", write(tmp_path / "h.csv", row(1), row(2), row(9)))
    assert "row 4: the units are in no issuance of project 90041" in done.output
    assert "not checked" not in done.output


def test_projects_are_registered(app: Flask, run: Run, tmp_path: Path) -> None:
    path = write(
        tmp_path / "a.csv",
        project("90041", title="A wind farm with a long name " * 6),
        project("90042", party="Kenia"),
        project("90042", crediting_end="2012-01-01"),
        project("90042", crediting_start="01/02/2013"),
        project("90042", sectoral_scope="Alchemy"),
        project("90041"),
        head=ACTIVITIES_HEAD,
    )
    done = run("activities", path)
    assert done.exit_code == 1
    assert "1  accepted" in done.output
    assert "5  refused" in done.output
    assert "project 90041 stands further up in the file" in done.output
    assert "the technology of project 90041 is not told" in done.output
    with app.app_context():
        made = db.session.scalars(select(Activity)).one()
        assert (made.technology, made.scope, made.methodology) == ("", 1, "ACM0002")
        assert len(made.title["fr"]) > 120
        assert db.session.scalars(select(Event.new).where(Event.subject == "activity")).all() == [
            "registered"
        ]
    again = run("activities", path)
    assert "1  there already" in again.output


def test_words_of_a_report_are_mapped_and_what_is_known_is_left(
    app: Flask, run: Run, tmp_path: Path
) -> None:
    (tmp_path / "map.toml").write_text(
        '[columns]\ntechnology = "methodology"\nscope = "country"\n'
        '[values.technology]\n"cdm - acm0002" = "wind"\n'
        '[values.scope]\nKenya = "1"\n[values.party]\nKenia = "KE"\n'
    )
    first = write(tmp_path / "a.csv", project("90041", party="Kenia"), head=ACTIVITIES_HEAD)
    assert run("activities", first, "--mapping", tmp_path / "map.toml").exit_code == 0
    other = write(
        tmp_path / "b.csv", project("90041", methodology="AMS-I.D."), head=ACTIVITIES_HEAD
    )
    done = run("activities", other)
    assert done.exit_code == 0
    assert (
        "row 2: project 90041 is registered with methodology ACM0002, the file says AMS-I.D.; "
        "it is left as it is"
    ) in done.output
    with app.app_context():
        made = db.session.scalars(select(Activity)).one()
        assert (made.technology, made.methodology, made.host_party) == ("wind", "ACM0002", "KE")


def test_the_page_of_a_project_whose_technology_is_not_told(
    app: Flask, run: Run, tmp_path: Path
) -> None:
    run("activities", write(tmp_path / "a.csv", project("90041"), head=ACTIVITIES_HEAD))
    run("blocks", write(tmp_path / "b.csv", block(1, 54422), head=BLOCKS_HEAD))
    page = app.test_client().get("/en/projects/lake-turkana-wind-farm-90041")
    assert page.status_code == 200
    assert "Kenya ·" not in page.text
    assert "No offers at present" in page.text
    assert "54,422" in page.text


def test_many_projects_of_one_name_have_addresses_of_their_own(
    app: Flask, run: Run, tmp_path: Path
) -> None:
    rows = [project(str(90000 + n), title="Bundled wind project") for n in range(40)]
    assert run("activities", write(tmp_path / "a.csv", *rows, head=ACTIVITIES_HEAD)).exit_code == 0
    with app.app_context():
        assert len(set(db.session.scalars(select(Activity.slug)))) == 40

"""Files that operators import: letters, separators, workbooks, dates, mappings."""

from __future__ import annotations

import csv
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

import openpyxl
import pytest

from cnn_offset.services.importing.cells import Cells, Meaning
from cnn_offset.services.importing.faults import FileFaultError, RowFaultError
from cnn_offset.services.importing.layout import Layout, lay_out
from cnn_offset.services.importing.plans import Plan, read_plan
from cnn_offset.services.importing.reading import lines, survey
from cnn_offset.services.importing.refusals import RefusedRows
from tests.importing import NOW, write

NAME = "Société Générale d’Éoliennes"
COLUMNS = {"name": ("name", "Nom"), "units": ("units",), "platform": ("platform",)}


def layout(path: Path, **plan: Any) -> Layout:
    return lay_out(survey(path, Plan.model_validate(plan)), COLUMNS)


def read(path: Path, **plan: Any) -> list[tuple[int, str, str, str]]:
    return [
        (each.number, each.cells.text("name"), each.cells.text("units"), each.fault)
        for each in layout(path, **plan).rows()
        if each.kept
    ]


# Text


@pytest.mark.parametrize(
    ("encoding", "mark"),
    [
        ("utf-8", b""),
        ("utf-8-sig", b""),
        ("cp1252", b""),
        ("utf-16", b""),
        ("utf-16-le", b""),
        ("utf-16-be", b""),
        ("utf-16-be", b"\xfe\xff"),
    ],
)
@pytest.mark.parametrize("delimiter", [",", ";", "\t", "|"])
def test_letters_and_separators_are_seen(
    tmp_path: Path, encoding: str, mark: bytes, delimiter: str
) -> None:
    text = f"name{delimiter}units\r\n{NAME}{delimiter}7\r\n\r\n Two {delimiter}8\r\n"
    path = tmp_path / "file.csv"
    path.write_bytes(mark + text.encode(encoding))
    assert read(path) == [(2, NAME, "7", ""), (4, "Two", "8", "")]


def test_latin_1_has_letters_that_windows_has_not(tmp_path: Path) -> None:
    path = tmp_path / "file.csv"
    path.write_bytes("name,units\nÉt\x81 té,1\n".encode("latin-1"))
    assert survey(path, Plan.model_validate({})).encoding == "latin-1"


def test_an_encoding_may_be_told(tmp_path: Path) -> None:
    path = tmp_path / "file.csv"
    path.write_bytes("name,units\nŁódź,1\n".encode("cp1250"))
    assert read(path, encoding="cp1250") == [(2, "Łódź", "1", "")]


def test_one_row_in_other_letters_is_refused_and_no_more(tmp_path: Path) -> None:
    path = tmp_path / "file.csv"
    path.write_bytes("name,units\nÉole à Nîmes,1\n".encode() + b"Caf\xe9,2\n" + "Ünal,3\n".encode())
    rows = read(path)
    assert [each[3] != "" for each in rows] == [False, True, False]
    assert "not written in utf-8" in rows[1][3]
    assert rows[2][1] == "Ünal"


def test_quoted_line_ends_belong_to_their_cell(tmp_path: Path) -> None:
    path = tmp_path / "file.csv"
    path.write_bytes(b'name,units\r\n"One\r\nand ""two"", three",1\r\nFour,2\r\n')
    assert read(path) == [(2, 'One\r\nand "two", three', "1", ""), (3, "Four", "2", "")]


def test_a_separator_in_quotes_does_not_count(tmp_path: Path) -> None:
    path = tmp_path / "file.csv"
    path.write_text('"name";"units";"a,b,c,d"\nOne;1;x\n')
    assert read(path) == [(2, "One", "1", "")]


def test_a_quote_that_never_ends_does_not_stop_the_rest(tmp_path: Path) -> None:
    path = tmp_path / "file.csv"
    path.write_text('name,units\n"One,1\n' + "x,1\n" * 40_000 + "Two,2\n")
    rows = read(path)
    assert "quotation marks" in rows[0][3]
    assert rows[-1][1:] == ("Two", "2", "")


def test_too_many_cells_are_a_fault_and_too_few_are_empty(tmp_path: Path) -> None:
    path = tmp_path / "file.csv"
    path.write_text("name,units\nOne,1,,\nTwo,2,x\nThree\n")
    assert [each[3] for each in read(path)] == [
        "",
        "it has more cells than there are headings (2)",
        "",
    ]


@pytest.mark.parametrize(
    ("raw", "said"),
    [
        (b"", "is empty"),
        (b"\n\n", "has no row of headings"),
        (b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1", "old Excel file"),
        (b"PK\x03\x04 and nothing", "no workbook"),
        (b"name,units\n\x00\x01\x02,1\n", "no table as text"),
    ],
)
def test_what_is_no_table_is_refused(tmp_path: Path, raw: bytes, said: str) -> None:
    path = tmp_path / "file.csv"
    path.write_bytes(raw)
    with pytest.raises(FileFaultError, match=said):
        layout(path)


def test_a_file_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(FileFaultError, match="No such file"):
        layout(tmp_path / "none.csv")


# Workbooks


def book(path: Path, *sheets: list[list[Any]]) -> Path:
    made = openpyxl.Workbook()
    for number, rows in enumerate(sheets):
        sheet = made.active if number == 0 else made.create_sheet(f"Sheet {number + 1}")
        assert sheet is not None
        for row in rows:
            sheet.append(row)
    made.save(path)
    return path


def test_a_workbook_is_read(tmp_path: Path) -> None:
    path = book(
        tmp_path / "file.xlsx",
        [["x"]],
        [["Report"], [], ["name", "units"], [NAME, 1.0], [], [None, "2"], [True, 3]],
    )
    assert read(path, sheet=2, header_row=3) == [
        (4, NAME, "1", ""),
        (6, "", "2", ""),
        (7, "yes", "3", ""),
    ]
    assert read(path, sheet="Sheet 2", header_row=3, repeat=["name"])[1][1] == NAME
    with pytest.raises(FileFaultError, match="no sheet “Third”; it has Sheet, Sheet 2"):
        read(path, sheet="Third")


def test_merged_cells_are_told_to_repeat(tmp_path: Path) -> None:
    made = openpyxl.Workbook()
    sheet = made.active
    for row in (["name", "units"], ["Wind", 1], [None, 2], [None, 3], ["Sun", 4]):
        sheet.append(row)
    sheet.merge_cells("A2:A4")
    made.save(tmp_path / "file.xlsx")
    found = read(tmp_path / "file.xlsx", repeat=["name"])
    assert [each[1] for each in found] == ["Wind", "Wind", "Wind", "Sun"]
    rows = layout(tmp_path / "file.xlsx", repeat=["name"]).rows(after=3)
    assert [each.cells.text("name") for each in rows] == ["Wind", "Sun"], "also if gone on with"


def test_a_workbook_that_breaks_off_is_refused(tmp_path: Path) -> None:
    path = book(tmp_path / "file.xlsx", [["name", "units"], *([NAME, n] for n in range(3000))])
    raw = path.read_bytes()
    path.write_bytes(raw[: len(raw) // 2])
    with pytest.raises(FileFaultError, match="no workbook"):
        read(path)


def test_headings_come_from_the_first_sheet(tmp_path: Path) -> None:
    path = book(tmp_path / "file.xlsx", [["name", "units"], ["One", 1]])
    first = next(lines(survey(path, Plan.model_validate({}))))
    assert list(first.cells) == ["name", "units"]


# Mappings


def test_columns_are_mapped_and_rows_kept(tmp_path: Path) -> None:
    path = write(
        tmp_path / "f.csv", ["A", "1", "ja"], ["B", "2", "nein"], head=["Who", "units", "Ours"]
    )
    plan = {"columns": {"name": "who"}, "keep": {"Ours": "JA"}}
    assert read(path, **plan) == [(2, "A", "1", "")]


def test_without_a_mapping_only_the_platforms_rows_are_kept(tmp_path: Path) -> None:
    path = write(tmp_path / "f.csv", ["A", "Yes"], ["B", "No"], ["C", ""], ["D", "1"],
                 head=["name", "platform"])  # fmt: skip
    assert [each[1] for each in read(path)] == ["A", "D"]
    assert [each[1] for each in read(path, keep={"platform": ["no", "yes"]})] == ["A", "B"]


def test_values_and_defaults(tmp_path: Path) -> None:
    path = write(tmp_path / "f.csv", ["Éolien", ""], ["Autre", "3"], head=["name", "units"])
    plan = {"values": {"name": {"EOLIEN": "wind"}}, "defaults": {"units": "9"}}
    assert [each[1:3] for each in read(path, **plan)] == [("wind", "9"), ("Autre", "3")]


@pytest.mark.parametrize(
    ("plan", "said"),
    [
        (
            {"columns": {"name": "Wer"}},
            "f.csv has no column “Wer”, which the mapping says is name; it has name, units",
        ),
        ({"columns": {"names": "name"}}, "names a column “names”; there are name, units, platform"),
        ({"keep": {"ours": "yes"}}, "has no column “ours” to keep rows by"),
        ({"repeat": ["platform"]}, "no column platform, which the mapping repeats"),
    ],
)
def test_a_mapping_that_does_not_fit_says_so(
    tmp_path: Path, plan: dict[str, Any], said: str
) -> None:
    path = write(tmp_path / "f.csv", ["A", "1"], head=["name", "units"])
    with pytest.raises(FileFaultError, match=said):
        layout(path, **plan)


def test_a_column_twice_is_refused(tmp_path: Path) -> None:
    path = write(tmp_path / "f.csv", ["A", "1"], head=["name", "Name"])
    with pytest.raises(FileFaultError, match="the column “name” twice"):
        layout(path)


@pytest.mark.parametrize(
    ("toml", "said"),
    [
        ("colums = 1", "“colums” is nothing that a mapping says"),
        ("delimiter = '::'", "delimiter"),
        ("encoding = 'klingon'", "“klingon” is no encoding"),
        ("time_zone = 'Nowhere/Here'", "“Nowhere/Here” is no time zone"),
        ("sheet = ", "is no TOML"),
        ("[values]\nunit = 1", "values.unit"),
    ],
)
def test_a_faulty_mapping_is_refused(tmp_path: Path, toml: str, said: str) -> None:
    path = tmp_path / "map.toml"
    path.write_text(toml)
    with pytest.raises(FileFaultError, match=said):
        read_plan(path)


def test_a_mapping_is_read(tmp_path: Path) -> None:
    path = tmp_path / "map.toml"
    path.write_text('sheet = 2\ndate_format = ["%d/%m/%Y"]\n[columns]\nname = "Nom"\n', "utf-8-sig")
    plan = read_plan(path)
    assert (plan.sheet, plan.formats, plan.columns) == (2, ["%d/%m/%Y"], {"name": "Nom"})
    assert plan.sha256 != read_plan(None).sha256


# Cells


def cells(value: Any, **plan: Any) -> Cells:
    return Cells({"x": value}, Meaning.of(Plan.model_validate(plan), {"x": "x"}))


@pytest.mark.parametrize(
    ("value", "number"),
    [(7, 7), ("7", 7), ("1.0", 1), ("1,0", 1), (8.0, 8), (" 1 194\u00a0692 ", 1194692),
     ("00012", 12), ("123456789012345", 123456789012345)],
)  # fmt: skip
def test_whole_numbers(value: Any, number: int) -> None:
    assert cells(value).whole("x") == number


@pytest.mark.parametrize(
    ("value", "said"),
    [
        ("0", "no whole number above zero"),
        (0, "no whole number above zero"),
        ("-5", "no whole number above zero"),
        ("1.5", "no whole number above zero"),
        (1.5, "no whole number above zero"),
        ("many", "no whole number above zero"),
        ("٣", "no whole number above zero"),
        ("1234567890123456", "too long"),
        ("9" * 5000, "too long"),
        ("8.53E+07", "shortened by a spreadsheet"),
        ("", "is missing"),
        (None, "is missing"),
    ],
)
def test_no_whole_numbers(value: Any, said: str) -> None:
    with pytest.raises(RowFaultError, match=said):
        cells(value).whole("x")


@pytest.mark.parametrize(
    ("value", "plan", "moment"),
    [
        ("2015-12-30 12:07:09.983", {}, datetime(2015, 12, 30, 12, 7, 9, 983000, UTC)),
        ("2015-12-30T12:07:09+02:00", {}, datetime(2015, 12, 30, 10, 7, 9, 0, UTC)),
        ("2015-12-30", {}, datetime(2015, 12, 30, tzinfo=UTC)),
        (datetime(2015, 12, 30, 12), {}, datetime(2015, 12, 30, 12, tzinfo=UTC)),
        (date(2015, 12, 30), {}, datetime(2015, 12, 30, tzinfo=UTC)),
        (42368, {}, datetime(2015, 12, 30, tzinfo=UTC)),
        (42368.5, {}, datetime(2015, 12, 30, 12, tzinfo=UTC)),
        ("42368,25", {}, datetime(2015, 12, 30, 6, tzinfo=UTC)),
        (
            "30/12/2015 12:07",
            {"date_format": "%d/%m/%Y %H:%M"},
            datetime(2015, 12, 30, 12, 7, tzinfo=UTC),
        ),
        (
            "30.12.2015",
            {"date_format": ["%d/%m/%Y", "%d.%m.%Y"], "time_zone": "Asia/Tokyo"},
            datetime(2015, 12, 29, 15, tzinfo=UTC),
        ),
    ],
)
def test_moments(value: Any, plan: dict[str, Any], moment: datetime) -> None:
    assert cells(value, **plan).moment("x", NOW) == moment


@pytest.mark.parametrize(
    ("value", "said"),
    [
        ("03/04/2016", "say date_format in the mapping"),
        ("soon", "no date that can be read"),
        ("#VALUE!", "no date that can be read"),
        ("1999-12-31", "is before 2000"),
        ("2026-11-02 09:00:01", "is in the future"),
        ("99999", "no date that can be read"),
        ("", "is missing"),
    ],
)
def test_no_moments(value: Any, said: str) -> None:
    with pytest.raises(RowFaultError, match=said):
        cells(value).moment("x", NOW)


def test_texts_are_one_line_without_invisible_signs() -> None:
    assert cells("  Loo\u200bms\u202e \n of  Nairobi\x07").line("x", 40) == "Looms of Nairobi"
    with pytest.raises(RowFaultError, match="too long: 41 letters, at most 40"):
        cells("x" * 41).line("x", 40)


def test_refused_rows_run_nothing_in_a_spreadsheet(tmp_path: Path) -> None:
    path = write(tmp_path / "f.csv", ["=HYPERLINK(1)", "1"], head=["name", "units"])
    laid = layout(path)
    with RefusedRows(tmp_path / "out.csv", laid) as table:
        for row in laid.rows():
            table.add(row, "no good")
    with (tmp_path / "out.csv").open(encoding="utf-8-sig", newline="") as file:
        assert list(csv.reader(file)) == [
            ["row", "refused because", "name", "units"],
            ["2", "no good", "'=HYPERLINK(1)", "1"],
        ]
    assert read(tmp_path / "out.csv") == [(2, "=HYPERLINK(1)", "1", "")], "and can be imported"


def test_a_table_that_is_not_whole_does_not_appear(tmp_path: Path) -> None:
    laid = layout(write(tmp_path / "f.csv", ["A", "1"], head=["name", "units"]))
    with pytest.raises(RuntimeError), RefusedRows(tmp_path / "out.csv", laid):
        raise RuntimeError
    assert {each.name for each in tmp_path.iterdir()} == {"f.csv"}

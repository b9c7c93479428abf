"""Importing: checked, in batches, resumed where it was stopped, once and no more."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from flask import Flask
from sqlalchemy import func, select
from sqlalchemy.orm import Session

from cnn_offset.extensions import db, platform, unit_of_work
from cnn_offset.models import (
    Activity,
    CancelledRange,
    Event,
    HistoricCancellation,
    HistoryTerm,
    ImportRemark,
    ImportRun,
    Issuance,
)
from cnn_offset.services.checking import check_all
from cnn_offset.services.importing import history as history_module
from cnn_offset.services.importing import runs
from cnn_offset.services.importing.faults import FileFaultError
from cnn_offset.services.importing.refusals import write_refused
from tests.importing import (
    BLOCKS_HEAD,
    HEAD,
    block,
    blocks,
    bring_in,
    excel_day,
    history,
    layout_of,
    row,
    text_of,
    try_out,
    write,
)

COUNTS = ("read", "accepted", "known", "refused", "skipped", "unchecked")


@pytest.fixture
def here(app: Flask) -> Iterator[Flask]:
    with app.test_request_context():
        yield app
        db.session.remove()


@pytest.fixture
def anywhere(any_app: Flask) -> Iterator[Flask]:
    with any_app.test_request_context():
        yield any_app
        db.session.remove()


def count(model: Any) -> int:
    db.session.rollback()
    return db.session.scalar(select(func.count()).select_from(model)) or 0


def reasons(path: Path, **plan: Any) -> list[str]:
    return [each.what for each in bring_in(path, history(), **plan).refusals]


def test_a_cancellation_comes_in_with_all_that_is_known_of_it(here: Flask, tmp_path: Path) -> None:
    path = write(tmp_path / "h.csv", row(1, reference="VC12/2019", title="Wind farm"),
                 head=[*HEAD, "reference", "title"])  # fmt: skip
    report = bring_in(path, history())
    assert (report.accepted, report.unchecked, report.refused) == (1, 1, 0)
    made = db.session.scalars(select(HistoricCancellation)).one()
    assert (made.order_ref, made.reference, made.beneficiary) == ("7001", "VC12/2019", "Looms 1")
    assert (made.quantity, made.activity_ref, made.host_party) == (10, "90041", "KE")
    assert made.completed_at == datetime(2019, 5, 4, 10, 0, 1, tzinfo=UTC)
    assert made.range.first_text == "KE-5-11-2-2-0-90041"
    assert made.range.last_text == "KE-5-20-2-2-0-90041"
    assert db.session.get(HistoryTerm, ("word:looms", made.completed_at, made.id))
    events = db.session.execute(select(Event.new, Event.actor).where(Event.subject == "import_run"))
    assert [tuple(each) for each in events] == [
        ("begun", "command line (ada)"),
        ("imported", "command line (ada)"),
    ]
    assert check_all(db.session(), platform().files) == []


def test_units_may_be_named_by_their_serial_numbers(here: Flask, tmp_path: Path) -> None:
    head = ("completed_at", "first_serial", "last_serial")
    path = write(
        tmp_path / "h.csv",
        ("2019-05-04", "KE-5-11-1-2-0-90041", "KE-5-20-1-2-0-90041"),
        ("2019-05-04", "ke-6-31-1-1-1-90041 ", "KE-6-31-1-1-1-90041"),
        ("2019-05-04", "KE-5-45-1-1-0-90041", "KE-5-41-1-1-0-90041"),
        ("2019-05-04", "KE-5-51-1-1-0-90041", "KE-5-52-1-1-0-90042"),
        ("2019-05-04", "RO-3-61-1-1-0-90041", "RO-3-62-1-1-0-90041"),
        ("2019-05-04", "ABC", "KE-5-52-1-1-0-90042"),
        ("2019-05-04", "", "KE-5-52-1-1-0-90042"),
        head=head,
    )
    report = bring_in(path, history())
    assert [each.what.split(":")[0] for each in report.refusals] == [
        "the range runs backwards",
        "KE-5-51-1-1-0-90041 and KE-5-52-1-1-0-90042 differ in more than their number",
        "units of type 3 are none of the mechanism's",
        "“ABC” is no serial number of this registry",
        "first_serial is missing",
    ]
    made = db.session.scalars(select(HistoricCancellation).order_by(HistoricCancellation.id)).all()
    assert [(each.unit_type.value, each.commitment_period, each.quantity) for each in made] == [
        ("cer", 1, 10),
        ("tcer", 1, 1),
    ]
    assert made[0].range.first_text == "KE-5-11-1-2-0-90041", "as it was written"


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"quantity": "9"}, "quantity is 9, but 11 to 20 are 10 units"),
        ({"block_end": "5"}, "the range runs backwards: 11 to 5"),
        ({"block_start": "0"}, "is no whole number above zero"),
        ({"quantity": "10.5"}, "is no whole number above zero"),
        ({"block_end": "9" * 16}, "is too long"),
        ({"party": "XX"}, "“XX” is no country"),
        ({"party": "RO"}, "RO is an Annex I Party"),
        ({"unit": "ERU (from RMU)"}, "“ERU (from RMU)” are not units of the mechanism"),
        ({"unit": "a64er_authorised"}, "are not units of the mechanism"),
        ({"cp": "3"}, "there is no commitment period 3"),
        ({"ref": "wind"}, "“wind” is no project number"),
        ({"ref": ""}, "ref is missing"),
        ({"completed_at": "2027-01-01"}, "is in the future"),
        ({"completed_at": "1999-01-01"}, "is before 2000"),
        ({"completed_at": "05/04/2019"}, "say date_format"),
        ({"reason": "x" * 2001}, "reason is too long"),
        ({"beneficiary": "x" * 301}, "beneficiary is too long"),
        ({"order_ref": "7" * 41}, "order_ref is too long"),
    ],
)
def test_a_faulty_row_is_refused_with_its_reason(
    here: Flask, tmp_path: Path, changes: dict[str, str], said: str
) -> None:
    path = write(tmp_path / "h.csv", row(1, **changes), row(2))
    report = bring_in(path, history())
    assert (report.accepted, report.refused) == (1, 1)
    assert report.refusals[0].number == 2
    assert said in report.refusals[0].what


def test_a_column_that_is_missing_is_named(here: Flask, tmp_path: Path) -> None:
    path = write(tmp_path / "h.csv", ["2019-01-01", "KE"], head=["completed_at", "party"])
    with pytest.raises(FileFaultError, match=r"h\.csv has no column for block_start"):
        bring_in(path, history())
    path = write(tmp_path / "h.csv", row(1), head=["when", *text_of([]).strip().split(",")[1:]])
    with pytest.raises(FileFaultError, match="has no column for completed_at"):
        bring_in(path, history())
    assert count(ImportRun) == 0


def test_cyprus_was_a_host_before_it_joined_annex_i(here: Flask, tmp_path: Path) -> None:
    assert reasons(write(tmp_path / "h.csv", row(1, party="CY"))) == []


def test_nothing_is_cancelled_twice(here: Flask, tmp_path: Path) -> None:
    path = write(
        tmp_path / "h.csv",
        row(1),
        row(1),  # the very same
        row(1, completed_at="2019-05-05"),  # at another time
        row(1, block_start="20", block_end="25", quantity="6"),  # its last unit again
        row(1, party="RW"),  # another Party's number
    )
    assert reasons(path) == [
        "the same units are cancelled already, by an imported cancellation at 2019-05-04 10:00:01 UTC",
        "units 11 to 20 of KE are cancelled already, by an imported cancellation",
    ]
    again = bring_in(path, history())
    assert (again.accepted, again.known, again.refused) == (0, 3, 2)
    assert count(CancelledRange) == 2


def test_a_spreadsheet_that_rounds_moments_brings_nothing_new(here: Flask, tmp_path: Path) -> None:
    bring_in(
        write(tmp_path / "a.csv", row(1, completed_at="2019-05-04 10:00:01.987654")), history()
    )
    report = bring_in(
        write(tmp_path / "b.csv", row(1, completed_at="2019-05-04 10:00:02")), history()
    )
    assert (report.known, report.refused) == (1, 0)


def test_cancellations_are_checked_by_issuances(here: Flask, tmp_path: Path) -> None:
    issued = write(
        tmp_path / "b.csv",
        block(1, 100),
        block(101, 200, unit="tCER"),
        block(201, 300, cp="1", mp_start="2011-01-01", mp_end="2011-12-31"),
        block(301, 400, ref="90042"),
        head=BLOCKS_HEAD,
    )
    assert bring_in(issued, blocks()).accepted == 4
    path = write(
        tmp_path / "h.csv",
        row(1),
        row(9, block_end="101", quantity="11"),
        row(11),
        row(21),
        row(31),
        row(51),
        row(52, ref="90043"),
    )
    report = bring_in(path, history())
    assert [each.what for each in report.refusals] == [
        "the units are not all in one issuance: 1 to 100",
        "unit type is cer, but the units were issued with unit type tcer",
        "commitment period is 2, but the units were issued with commitment period 1",
        "project is 90041, but the units were issued with project 90042",
        "the units are in no issuance of project 90041",
    ]
    assert (report.accepted, report.unchecked) == (2, 1), "of 90043 nothing is known"
    assert try_out(path, history()).refused == 5


def test_issuances_are_checked_too(here: Flask, tmp_path: Path) -> None:
    path = write(
        tmp_path / "b.csv",
        block(1, 100),
        block(1, 100),
        block(1, 100, ref="90042"),
        block(50, 150),
        block(201, 300, mp_end="2013-12-31"),
        block(301, 400, mp_start="", mp_end=""),
        block(401, 500, cp="1"),
        block(501, 600, mp_start="soon"),
        block(601, 700, quantity="99"),
        block(701, 800, cp="2.0", mp_start="2012-06-01"),
        head=BLOCKS_HEAD,
    )
    for _ in range(2):
        report = bring_in(path, blocks())
        assert [each.number for each in report.refusals] == [4, 5, 6, 9, 10]
        assert [each.number for each in report.warnings] in ([8, 11], [])
    assert report.known == 5
    assert count(Issuance) == 4
    made = db.session.scalars(select(Issuance).order_by(Issuance.first)).first()
    assert made is not None
    assert (made.monitoring_end.isoformat(), made.process_ref) == ("2014-12-31", "DOE-1.2")
    dry = try_out(path, blocks())
    assert (dry.known, dry.refused) == (5, 5)


def test_a_dry_run_finds_the_same_and_writes_nothing(here: Flask, tmp_path: Path) -> None:
    rows = [row(n) for n in range(1, 30)] + [
        row(3),
        row(4, completed_at="2019-01-01"),
        row(5, unit="x"),
    ]
    path = write(tmp_path / "h.csv", *rows, row(40, platform="No"))
    dry = try_out(path, history())
    assert count(ImportRun) == count(CancelledRange) == count(Event) == 0
    done = bring_in(path, history())
    assert [getattr(dry, name) for name in COUNTS] == [getattr(done, name) for name in COUNTS]
    assert dry.refusals == done.refusals


# A whole file on bad days


ODD = "Coopérative des Éleveurs; São João"


def bad_day_file(path: Path) -> Path:
    """2,000 rows of which twelve are bad, in Latin-1, with Excel's dates."""
    moment = datetime(2019, 5, 4, 10, 0, tzinfo=UTC)
    rows = [
        row(
            n,
            completed_at=excel_day(moment + timedelta(minutes=7 * n)),
            block_start=f"{n * 10 + 1}.0",
            beneficiary=ODD,
        )
        for n in range(1, 2001)
    ]
    place = {name: at for at, name in enumerate(text_of([]).strip().split(","))}
    for n, name, value in (
        (0, "quantity", "11"),
        (99, "quantity", "0"),
        (100, "block_end", "3"),
        (500, "block_start", "many"),
        (501, "block_end", "1" * 20),
        (777, "unit", "ERU (from RMU)"),
        (999, "party", "FR"),
        (1000, "completed_at", "60000,5"),
        (1001, "completed_at", "4 mai 2019"),
        (1500, "cp", "7"),
        (1998, "ref", ""),
    ):
        rows[n][place[name]] = value
    rows[1999] = [*rows[10][:-2], "other", "other"]
    rows[1999][place["completed_at"]] = excel_day(moment)
    path.write_bytes(text_of(rows, delimiter=";").encode("latin-1"))
    return path


BAD = [2, 101, 102, 502, 503, 779, 1001, 1002, 1003, 1502, 2000, 2001]


class KilledError(Exception):
    """The process is gone."""


def dying(*, after_commit: bool, transactions: int) -> Callable[[], Any]:
    """Open transactions as ever, and be killed in the last one, or right after it."""
    left = transactions

    @contextmanager
    def begin() -> Iterator[Session]:
        nonlocal left
        left -= 1
        with unit_of_work() as session:
            yield session
            session.flush()
            if left == 0 and not after_commit:
                raise KilledError
        if left == 0:
            raise KilledError

    return begin


def test_killed_at_every_batch_it_goes_on_where_it_was(
    anywhere: Flask, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(runs, "BATCH", 250)
    path = bad_day_file(tmp_path / "h.csv")
    killed = 0
    while True:
        # The first transaction opens the run, the second brings a batch in.
        begin = dying(
            after_commit=killed % 2 == 1, transactions=1 if killed < 2 else 3 - killed % 2
        )
        try:
            report = bring_in(path, history(), begin=begin)
        except KilledError:
            killed += 1
            assert killed < 40
            continue
        break
    assert killed >= 9
    assert [getattr(report, name) for name in COUNTS] == [2000, 1988, 0, 12, 0, 1988]
    assert [each.number for each in report.refusals] == BAD
    assert report.resumed_after > 0
    assert count(ImportRun) == 1
    assert count(HistoricCancellation) == count(CancelledRange) == 1988
    assert count(ImportRemark) == 12
    made = db.session.scalars(select(HistoricCancellation).limit(1)).one()
    assert made.beneficiary == ODD
    write_refused(db.session(), report.run_id or 0, layout_of(path, history()), tmp_path / "r.csv")
    refused = (tmp_path / "r.csv").read_text("utf-8-sig").splitlines()
    assert [int(each.split(",")[0]) for each in refused[1:]] == BAD
    again = bring_in(path, history())
    assert [getattr(again, name) for name in COUNTS] == [2000, 0, 1988, 12, 0, 0]
    assert count(HistoricCancellation) == 1988
    assert check_all(db.session(), platform().files) == []


def test_what_the_database_refuses_is_found_among_the_others(
    anywhere: Flask, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An order's units may be confirmed between our look and our writing."""
    bring_in(write(tmp_path / "a.csv", row(50, order_ref="1")), history())
    monkeypatch.setattr(history_module, "touching", lambda *_: {})
    path = write(tmp_path / "b.csv", *(row(n) for n in range(1, 101)))
    report = bring_in(path, history())
    assert (report.accepted, report.refused) == (99, 1)
    assert report.refusals[0].number == 51
    assert "the database refused it" in report.refusals[0].what
    assert count(CancelledRange) == 100


def test_of_two_who_import_the_same_file_one_stops(
    anywhere: Flask, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(runs, "BATCH", 10)
    path = write(tmp_path / "h.csv", *(row(n) for n in range(1, 41)))
    other: list[runs.Report] = []

    def meanwhile(_report: runs.Report) -> None:
        if not other:
            other.append(runs.Report())
            other.append(bring_in(path, history()))

    with pytest.raises(FileFaultError, match="another process is importing this file"):
        bring_in(path, history(), tell=meanwhile)
    assert (other[1].accepted, other[1].resumed_after) == (40, 11)
    assert count(CancelledRange) == 40


def test_two_files_with_the_same_units_at_once(
    here: Flask, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(runs, "BATCH", 10)
    one = write(tmp_path / "1.csv", *(row(n) for n in range(1, 31)))
    two = write(tmp_path / "2.csv", *(row(n, completed_at="2020-01-01") for n in range(21, 51)))
    began: list[int] = []

    def meanwhile(_report: runs.Report) -> None:
        if not began:
            began.append(1)
            bring_in(two, history())

    report = bring_in(one, history(), tell=meanwhile)
    assert (report.accepted, report.refused) == (20, 10)
    assert count(CancelledRange) == 50


def test_the_same_file_by_another_mapping_is_another_import(here: Flask, tmp_path: Path) -> None:
    path = write(tmp_path / "h.csv", row(1), row(2, platform="No"))
    assert bring_in(path, history()).skipped == 1
    report = bring_in(path, history(), keep={"platform": ["yes", "no"]})
    assert (report.known, report.accepted) == (1, 1)
    assert count(ImportRun) == 2


def test_a_project_that_is_known_is_linked_and_its_country_compared(
    here: Flask, tmp_path: Path
) -> None:
    with unit_of_work() as session:
        from tests.factories import make_activity

        made = make_activity(ref="90041", host_party="RW")
        session.flush()
        activity_id = made.id
    report = bring_in(write(tmp_path / "h.csv", row(1)), history())
    assert [each.what for each in report.warnings] == [
        "project 90041 is registered in RW, the units are of KE"
    ]
    assert db.session.scalars(select(HistoricCancellation.activity_id)).all() == [activity_id]
    assert db.session.get_one(Activity, activity_id).host_party == "RW"


def test_two_processes_bring_in_the_same_units_at_the_same_time(
    any_app: Flask, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(runs, "BATCH", 20)
    paths = [
        write(
            tmp_path / f"{day}.csv",
            *(row(n, completed_at=f"2020-01-0{day}") for n in range(1, 201)),
        )
        for day in (1, 2)
    ]

    def work(path: Path) -> runs.Report:
        with any_app.test_request_context():
            try:
                return bring_in(path, history())
            finally:
                db.session.remove()

    with ThreadPoolExecutor(2) as pool:
        reports = list(pool.map(work, paths))
    assert [each.accepted + each.refused for each in reports] == [200, 200]
    assert sum(each.accepted for each in reports) == 200
    with any_app.test_request_context():
        assert count(CancelledRange) == 200
        db.session.remove()

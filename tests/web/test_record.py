"""The public record: found by anything published, silent about the rest."""

from __future__ import annotations

from datetime import timedelta
from html import unescape

import pytest
from flask import Flask
from flask.testing import FlaskClient
from sqlalchemy import event

from cnn_offset.domain.units import UnitType
from cnn_offset.extensions import db, unit_of_work
from cnn_offset.models import Attestation, RecordTerm
from cnn_offset.services import recording
from cnn_offset.services.attesting import issue_attestation
from cnn_offset.services.recording import RecordQuery
from tests.factories import make_activity, make_block
from tests.papers import DONE, make_attestation
from tests.services.test_attesting import Plain


def issue(*args: object, **values: object) -> Attestation:
    row = make_attestation(*args, **values)  # type: ignore[arg-type]
    issue_attestation(unit_of_work, row.id, issuer=Plain(), now=DONE)
    db.session.rollback()
    return db.session.get_one(Attestation, row.id, populate_existing=True)


@pytest.fixture
def three(app: Flask) -> list[str]:
    """Numbers of three entries: an open company, a private person, another country's."""
    with app.app_context():
        one = issue()
        two = issue(
            publish_name=False,
            publish_reason=False,
            purchaser_kind="person",
            beneficiary="Grace Hopper",
            reason="Because of Zanzibar",
        )
        cooking = {"en": "Clean stoves", "fr": "Foyers améliorés", "es": "Cocinas limpias"}
        activity = make_activity(
            title=cooking, host_party="MM", registry_id="a64_interim", ref="A64-10471"
        )
        three = issue(
            make_block(activity, unit_type=UnitType.A64ER_CONTRIBUTION), beneficiary="Đà Nẵng Port"
        )
        return [each.number for each in (one, two, three)]


def found(client: FlaskClient, **query: str) -> list[str]:
    page = client.get("/en/record", query_string=query)
    assert page.status_code == 200
    text = page.get_data(as_text=True)
    return [n for n in ("VC000003/2026", "VC000002/2026", "VC000001/2026") if f">{n}</a>" in text]


def test_lists_the_newest_first(client: FlaskClient, three: list[str]) -> None:
    text = client.get("/en/record").get_data(as_text=True)
    assert text.index(three[2]) < text.index(three[1]) < text.index(three[0])


@pytest.mark.parametrize(
    ("query", "numbers"),
    [
        ({"q": "VC000002/2026"}, [2]),
        ({"q": "vc000002-2026"}, [2]),
        ({"q": "looms"}, [1]),
        ({"q": "lodz LOOMS"}, [1]),
        ({"q": "da nang"}, [3]),
        ({"q": "ameliores"}, [3]),
        ({"q": "stoves port"}, [3]),
        ({"q": "stoves looms"}, []),
        ({"q": "A64-10471"}, [3]),
        ({"q": "hopper"}, []),
        ({"q": "zanzibar"}, []),
        ({"q": "nothing of the kind"}, []),
        ({"q": "!!!"}, []),
        ({"q": "VC99999999999999/2026"}, []),
        ({"type": "a64er_contribution"}, [3]),
        ({"type": "no such"}, []),
        ({"host": "KE"}, [2, 1]),
        ({"host": "KE", "q": "looms"}, [1]),
        ({"registry": "a64_interim"}, [3]),
        ({"year": "2026"}, [3, 2, 1]),
        ({"year": "2025"}, []),
        ({"q": "\x00", "host": "\x00"}, [3, 2, 1]),
        ({"before": "x"}, [3, 2, 1]),
        ({"before": "99999999999999999999"}, [3, 2, 1]),
    ],
)
def test_finds(
    client: FlaskClient, three: list[str], query: dict[str, str], numbers: list[int]
) -> None:
    assert found(client, **query) == [f"VC{n:06d}/2026" for n in numbers]


def test_finds_a_serial_number_within_a_range(app: Flask, client: FlaskClient) -> None:
    with app.app_context():
        block = make_block()
        row = issue(block, runs=2)
        middle = block.first_text.replace(str(block.first), str(block.first + 2))
        beyond = block.first_text.replace(str(block.first), str(block.first + 900))
        number = row.number
    assert found(client, q=middle) == [number]
    assert found(client, q=f" {middle.lower()} ") == [number]
    assert found(client, q=beyond) == []


def test_finds_an_opaque_serial_by_its_end(app: Flask, client: FlaskClient) -> None:
    with app.app_context():
        block = make_block(
            series="A64-MM",
            first_text="A64/MM/77-1-x",
            last_text="A64/MM/77-1000-x",
            first=1,
            last=1000,
        )
        number = issue(block).number
        text = db.session.query(RecordTerm.term).filter(RecordTerm.term.like("serial:%")).first()
    assert text is not None
    assert found(client, q=text[0].removeprefix("serial:").upper()) == [number]


def test_private_names_and_reasons_are_nowhere(client: FlaskClient, three: list[str]) -> None:
    for path in ("/en/record", "/fr/record/2-2026"):
        text = client.get(path).get_data(as_text=True)
        assert "Hopper" not in text
        assert "Zanzibar" not in text
    assert "A private person" in client.get("/en/record/2-2026").get_data(as_text=True)


@pytest.mark.parametrize(
    ("lang", "kind", "party"),
    [("en", "10 CER", "Kenya"), ("fr", "10 URCE", "Kenya"), ("es", "10 RCE", "Kenia")],
)
def test_an_entry_says_all_that_the_attestation_says(
    client: FlaskClient, three: list[str], lang: str, kind: str, party: str
) -> None:
    page = client.get(f"/{lang}/record/1-2026")
    text = page.get_data(as_text=True)
    assert f'<html lang="{lang}"' in text
    assert text.count("<h1") == 1
    for each in (
        "Łódź Looms",
        "Our journeys in 2026",
        "VC000001/2026",
        "TX-",
        "KE-5-",
        kind,
        party,
    ):
        assert each in text


def test_a_contribution_unit_is_not_worded_as_another_target(
    client: FlaskClient, three: list[str]
) -> None:
    text = client.get("/en/record/3-2026").get_data(as_text=True)
    assert "not authorised for use towards anybody else" in text
    assert "neutral" not in text.lower()


@pytest.mark.parametrize(
    "path", ["/en/record/4-2026", "/en/record/1-2025", "/en/record/99999999999999999999-2026"]
)
def test_unknown_entries_do_not_exist(client: FlaskClient, three: list[str], path: str) -> None:
    assert client.get(path).status_code == 404


def test_what_is_not_issued_yet_is_not_in_the_record(app: Flask, client: FlaskClient) -> None:
    with app.app_context():
        make_attestation()
    assert found(client) == []
    assert client.get("/en/record/1-2026").status_code == 404
    assert "Nothing has been cancelled here yet" in client.get("/en/record").get_data(as_text=True)


def test_pages_follow_one_another_without_gaps_or_repeats(any_app: Flask) -> None:
    with any_app.app_context():
        ids = [issue().id for _ in range(7)]
        seen: list[int] = []
        before = None
        while True:
            page = recording.find_entries(
                db.session(), RecordQuery(host="KE"), registry_ids=["cdm"], before=before, limit=3
            )
            seen += [entry.attestation_id for entry in page.entries]
            before = page.before
            if before is None:
                break
        assert seen == ids[::-1]


def test_both_databases_find_alike(any_app: Flask) -> None:
    with any_app.app_context():
        block = make_block()
        row = issue(block)
        issue(beneficiary="Somebody else")
        middle = block.first_text.replace(str(block.first), str(block.first + 2))
        for text in ("looms łódź", middle, row.number, block.first_text, row.check_code):
            page = recording.find_entries(
                db.session(), RecordQuery(text=text, host="KE"), registry_ids=["x", "cdm"]
            )
            wanted = [] if text == row.check_code else [row.id]
            assert [each.attestation_id for each in page.entries] == wanted
        (entry,) = page.entries or [recording.entry(db.session(), row.sequence, row.year)]
        assert recording.project_slugs(db.session(), entry.data)
        assert recording.by_check_code(db.session(), "\0") is None
        assert recording.by_sha256(db.session(), row.sha256) == entry
        assert recording.hosts(db.session()) == ["KE"]


def test_older_entries_have_an_address(
    app: Flask, client: FlaskClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(recording, "PAGE", 2)
    with app.app_context():
        for _ in range(3):
            issue()
    text = client.get("/en/record?host=KE").get_data(as_text=True)
    older = unescape(text.split('rel="next"')[0].rsplit('href="', 1)[1].split('"')[0])
    assert "host=KE" in older
    text = client.get(older).get_data(as_text=True)
    assert "VC000001/2026" in text
    assert "VC000002/2026" not in text


@pytest.mark.parametrize(
    "query",
    [
        RecordQuery(),
        RecordQuery(text="looms"),
        RecordQuery(text="looms lodz", host="KE"),
        RecordQuery(year="2026", registry_id="cdm"),
        RecordQuery(text="KE-5-1-2-2-0-1"),
        RecordQuery(text="VC000001/2026"),
    ],
)
def test_every_look_up_has_an_index_and_needs_no_sorting(app: Flask, query: RecordQuery) -> None:
    """What costs the same however long the record is: no scan and no sort."""
    with app.app_context():
        said: list[str] = []

        def explain(_c, cursor, statement, parameters, *_rest):  # type: ignore[no-untyped-def]
            if statement.startswith("SELECT"):
                said.append(statement)
                cursor.execute("EXPLAIN QUERY PLAN " + statement, parameters)
                said.extend(row[3] for row in cursor.fetchall())

        event.listen(db.engine, "before_cursor_execute", explain)
        try:
            recording.find_entries(db.session(), query, registry_ids=["cdm"], before=10_000)
        finally:
            event.remove(db.engine, "before_cursor_execute", explain)
        steps = [each for each in said if not each.startswith("SELECT")]
        assert steps
        scans = [each for each in steps if each.startswith("SCAN") and "CONSTANT ROW" not in each]
        assert scans == []
        assert [each for each in steps if "TEMP B-TREE" in each] == []


def test_the_year_list_begins_with_the_first_entry(
    app: Flask, client: FlaskClient, clock: object
) -> None:
    with app.app_context():
        issue()
    clock.now += timedelta(days=365)  # type: ignore[attr-defined]
    text = client.get("/en/record").get_data(as_text=True)
    assert '<option value="2027"' in text
    assert '<option value="2026"' in text
    assert '<option value="2025"' not in text

"""Cancellations of the earlier platform: in the record, on the check page, at old addresses."""

from __future__ import annotations

from datetime import timedelta
from html import unescape

import pytest
from flask import Flask
from flask.testing import FlaskClient
from sqlalchemy import event

from cnn_offset.domain.units import UnitType
from cnn_offset.extensions import db
from cnn_offset.models import HistoricCancellation
from cnn_offset.services import recalling, recording, remembering
from cnn_offset.services.recalling import Place
from cnn_offset.services.recording import RecordQuery
from tests.factories import make_activity, make_block
from tests.history import THEN, make_earlier
from tests.web.test_record import issue


@pytest.fixture
def four(app: Flask) -> list[str]:
    """Numbers: one of ours, then of the earlier platform newest first; the third has no name."""
    with app.app_context():
        ours = issue()
        known = make_activity(host_party="CL", ref="1600", technology="hydro")
        make_earlier(
            reference="VC15/2016",
            order_ref="31",
            completed_at=THEN - timedelta(days=700),
            host_party="CL",
            activity_ref="1600",
            activity_id=known.id,
            activity_title="",
            first=500,
        )
        make_earlier(
            reference="VC20500/2018", order_ref="900", first=1_000_000, beneficiary="", reason=""
        )
        make_earlier(
            reference="VC000007/2019",
            order_ref="1200",
            completed_at=THEN + timedelta(days=300),
            unit_type=UnitType.TCER,
            commitment_period=None,
            beneficiary="Ada's <b>bakery",
            first=2_000_000,
        )
        return [ours.number, "VC000007/2019", "VC20500/2018", "VC15/2016"]


def found(client: FlaskClient, numbers: list[str], **query: str) -> list[int]:
    page = client.get("/en/record", query_string=query)
    assert page.status_code == 200
    text = page.get_data(as_text=True)
    at = {text.index(f">{n}</a>"): place for place, n in enumerate(numbers) if f">{n}</a>" in text}
    return [at[each] for each in sorted(at)]


@pytest.mark.parametrize(
    ("query", "places"),
    [
        ({}, [0, 1, 2, 3]),
        ({"q": "VC000007/2019"}, [1]),
        ({"q": "vc 7-2019"}, [1]),
        ({"q": "VC20500"}, [2]),
        ({"q": "VC015/2016"}, [3]),
        ({"q": "1200"}, [1]),
        ({"q": "kutch"}, [1, 2]),
        ({"q": "windmills KUTCH"}, [1, 2]),
        ({"q": "zurich"}, [3]),
        ({"q": "bakery kutch"}, [1]),
        ({"q": "bakery zurich"}, []),
        ({"q": "eolien"}, [0, 3]),
        ({"q": "1600"}, [3]),
        ({"q": "IN-5-1000005-1-1-0-4141"}, [2]),
        ({"q": " in-5-2000009-1-1-0-4141 "}, [1]),
        ({"q": "IN-5-1000010-1-1-0-4141"}, []),
        ({"q": "CL-5-509-1-1-0-1600", "host": "CL"}, [3]),
        ({"q": "CL-5-509-1-1-0-1600", "host": "IN"}, []),
        ({"year": "2018"}, [2]),
        ({"year": "2016", "host": "CL"}, [3]),
        ({"year": "2017"}, []),
        ({"type": "tcer"}, [1]),
        ({"type": "cer"}, [0, 2, 3]),
        ({"host": "IN", "type": "cer"}, [2]),
        ({"registry": "cdm"}, [0, 1, 2, 3]),
        ({"registry": "cdm", "host": "KE"}, [0]),
        ({"before": "e"}, [1, 2, 3]),
        ({"before": "e99999999"}, [1, 2, 3]),
        ({"before": "ex"}, [0, 1, 2, 3]),
        ({"before": "e-1"}, [0, 1, 2, 3]),
        ({"before": "e" + "9" * 30}, [0, 1, 2, 3]),
        ({"q": "' OR 1=1 --"}, []),
        ({"q": "!!!"}, []),
        ({"q": "\x00"}, [0, 1, 2, 3]),
    ],
)
def test_finds(
    client: FlaskClient, four: list[str], query: dict[str, str], places: list[int]
) -> None:
    assert found(client, four, **query) == places


def test_they_are_marked_and_the_filters_know_them(client: FlaskClient, four: list[str]) -> None:
    text = client.get("/en/record").get_data(as_text=True)
    assert text.count(">Earlier platform<") == 3
    assert "are marked as such" in text
    assert "Ada&#39;s &lt;b&gt;bakery" in text
    for each in ('<option value="IN"', '<option value="CL"', '<option value="2016"'):
        assert each in text
    assert '<option value="2015"' not in text


def test_nothing_is_said_of_them_where_nothing_was_imported(client: FlaskClient) -> None:
    text = client.get("/en/record").get_data(as_text=True)
    assert "arlier platform" not in text
    assert "Nothing has been cancelled here yet" in text


def test_pages_go_on_from_ours_to_theirs(
    client: FlaskClient, four: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    for size in (1, 2, 3):
        monkeypatch.setattr(recording, "PAGE", size)
        seen: list[int] = []
        address = "/en/record?registry=cdm"
        while address:
            text = client.get(address).get_data(as_text=True)
            seen += [place for place, n in enumerate(four) if f">{n}</a>" in text]
            older = text.split('rel="next"')[0].rsplit('href="', 1)[1].split('"')[0]
            address = unescape(older) if 'rel="next"' in text else ""
        assert seen == [0, 1, 2, 3], size


def test_an_entry_says_what_is_known_and_that_it_is_not_ours(
    app: Flask, client: FlaskClient, four: list[str]
) -> None:
    with app.app_context():
        row = db.session.query(HistoricCancellation).filter_by(reference="VC15/2016").one()
        number = row.id
    text = client.get(f"/en/record/earlier-{number}").get_data(as_text=True)
    assert text.count("<h1") == 1
    for each in (
        "There is no attestation of ours",
        "VC15/2016",
        "Zürich Cyclists",
        "Our commuting",
        "CL-5-500-1-1-0-1600 – CL-5-509-1-1-0-1600",
        "10 CER",
        "Chile",
        "/en/projects/wind-farm-",
    ):
        assert each in text
    for lang in ("fr", "es"):
        page = client.get(f"/{lang}/record/earlier-{number}")
        assert page.status_code == 200
        assert f'<html lang="{lang}"' in page.get_data(as_text=True)


def test_what_is_not_known_is_said_to_be_not_known(app: Flask, client: FlaskClient) -> None:
    with app.app_context():
        row = make_earlier(
            reference="",
            order_ref=None,
            beneficiary="",
            reason="",
            activity_title="",
            commitment_period=None,
        )
        number = row.id
    text = client.get(f"/en/record/earlier-{number}").get_data(as_text=True)
    assert text.count("Not known here") == 4
    assert "Project 4141" in text
    assert "None" not in text


def test_all_ranges_of_an_order_stand_together(app: Flask, client: FlaskClient) -> None:
    with app.app_context():
        one = make_earlier(order_ref="77", reference="", first=100)
        two = make_earlier(order_ref="77", reference="", first=200, host_party="CL", quantity=5)
        other = make_earlier(order_ref="78", reference="", first=300)
        three = make_earlier(order_ref=None, reference="VC9/2018", first=400)
        four = make_earlier(order_ref=None, reference="VC09/2018", first=500)
        shown = {
            row.id: {each.id for each in recalling.earlier_entry(db.session(), row.id)}
            for row in (one, two, other, three)
        }
        assert shown == {
            one.id: {one.id, two.id},
            two.id: {one.id, two.id},
            other.id: {other.id},
            three.id: {three.id, four.id},
        }
        number = two.id
    text = client.get(f"/en/record/earlier-{number}").get_data(as_text=True)
    assert text.index("CL-5-200-") < text.index("IN-5-100-")
    assert "15 carbon units" in text


@pytest.mark.parametrize("number", ["1", "0", "9" * 30, "x"])
def test_unknown_entries_do_not_exist(client: FlaskClient, number: str) -> None:
    assert client.get(f"/en/record/earlier-{number}").status_code == 404


# The check page


@pytest.mark.parametrize(
    ("typed", "words"),
    [
        ("VC15/2016", "Known: cancelled on the earlier platform"),
        ("vc 15-2016", "Known: cancelled on the earlier platform"),
        ("IN-5-2000003-1-1-0-4141", "Known: cancelled on the earlier platform"),
        ("VC000007/2019", "Known: cancelled on the earlier platform"),
        ("IN-5-3000003-1-1-0-4141", "Unknown: no such attestation"),
        ("VC000008/2019", "Unknown: no such attestation"),
        ("VC000001/2026", "An attestation with this number was issued"),
    ],
)
def test_checks_an_old_number(client: FlaskClient, four: list[str], typed: str, words: str) -> None:
    page = client.get("/en/check", query_string={"number": typed})
    assert page.status_code == 200
    text = page.get_data(as_text=True)
    assert words in text
    if words.startswith("Known"):
        assert "See the entry in the public record" in text
        assert "/en/record/earlier-" in text


@pytest.mark.parametrize("typed", ["VC16/2016", "bakery", "VC15/20", "'", "\x00x"])
def test_what_is_no_number_is_said_at_the_field(
    client: FlaskClient, four: list[str], typed: str
) -> None:
    page = client.get("/en/check", query_string={"number": typed})
    assert page.status_code == 422
    assert "Write the number as on the attestation" in page.get_data(as_text=True)


def test_checks_a_serial_number_of_ours(app: Flask, client: FlaskClient) -> None:
    with app.app_context():
        block = make_block()
        number = issue(block).number
        middle = block.first_text.replace(str(block.first), str(block.first + 2))
    text = client.get("/en/check", query_string={"number": middle}).get_data(as_text=True)
    assert "The unit with this serial number was cancelled here" in text
    assert number in text


def test_a_number_that_both_gave_leads_to_both(app: Flask, client: FlaskClient) -> None:
    with app.app_context():
        issue()
        make_earlier(reference="VC000001/2026")
    text = client.get("/en/check?number=VC1/2026").get_data(as_text=True)
    assert "Known: cancelled on the earlier platform" in text
    text = client.get("/en/check?number=VC000001/2026").get_data(as_text=True)
    assert "An attestation with this number was issued" in text
    assert "The earlier platform gave this number too" in text


# Old addresses


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("/vchistory", "/en/record"),
        ("/VCHistory/", "/en/record"),
        ("/AllProjects", "/en/projects"),
        ("/allprojects/", "/en/projects"),
        ("/faq", "/en/faq"),
        ("/FAQ?x='%00", "/en/faq"),
        ("/conditions-of-use", "/en/terms"),
        ("/footprintcalc", "/en/how-it-works"),
        ("/howtooffset", "/en/how-it-works"),
        ("/HowToOffset/?utm_source=x", "/en/how-it-works"),
    ],
)
def test_old_addresses_lead_on_for_good(client: FlaskClient, old: str, new: str) -> None:
    answer = client.get(old)
    assert (answer.status_code, answer.headers["Location"]) == (301, new)
    assert "Accept-Language" in answer.headers["Vary"]
    assert client.get(new).status_code == 200
    answer = client.get(old, headers={"Accept-Language": "de, es-MX;q=0.8, en;q=0.5"})
    assert answer.headers["Location"] == new.replace("/en/", "/es/")
    assert client.post(old).status_code == 405


@pytest.mark.parametrize(
    "old", ["/vchistory/other", "/faqs", "/xfaq", "/faq/x", "/vchistory//details"]
)
def test_other_addresses_are_not_there(client: FlaskClient, old: str) -> None:
    assert client.get(old).status_code in {404, 308}
    assert client.get(old, follow_redirects=True).status_code == 404


def test_an_old_order_leads_to_its_cancellations(
    app: Flask, client: FlaskClient, four: list[str]
) -> None:
    with app.app_context():
        number = recalling.of_order(db.session(), "900")[0].id
    for address in (
        "/vchistory/details?orderId=900",
        "/VCHISTORY/Details/?ORDERID= 900 &x=1",
    ):
        answer = client.get(address, headers={"Accept-Language": "fr"})
        assert answer.status_code == 301
        assert answer.headers["Location"] == f"/fr/record/earlier-{number}"
        assert "Accept-Language" in answer.headers["Vary"]
    answer = client.get("/en/record/order?number=900")
    assert (answer.status_code, answer.headers["Location"]) == (302, f"/en/record/earlier-{number}")


@pytest.mark.parametrize(
    "asked", ["", "?orderId=", "?orderId=901", "?orderId=" + "9" * 400, "?orderId='%3B--",
              "?orderId=%00", "?orderId=90%000", "?orderId=%F0%9F%8C%B1", "?order=900"],
)  # fmt: skip
def test_an_unknown_order_is_told_kindly(client: FlaskClient, four: list[str], asked: str) -> None:
    answer = client.get("/vchistory/details" + asked, headers={"Accept-Language": "es"})
    assert answer.status_code == 302
    assert answer.headers["Location"].startswith("/es/record/order")
    page = client.get(answer.headers["Location"].replace("/es/", "/en/"))
    assert page.status_code == 404
    assert "stays as good as it was" in page.get_data(as_text=True)


# Services


def test_both_databases_find_alike(any_app: Flask, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(recalling, "SCANNED", 3)
    with any_app.app_context():
        ids = [
            make_earlier(
                completed_at=THEN + timedelta(hours=(n * 7) % 10),
                activity_title=f"Windmills {'north' if n % 5 == 0 else 'south'}",
            ).id
            for n in range(10)
        ]
        session = db.session()
        for query, wanted in (
            (RecordQuery(), ids),
            (RecordQuery(host="IN"), ids),
            (RecordQuery(text="windmills", year="2018"), ids),
            (RecordQuery(text="windmills north"), [ids[0], ids[5]]),
            (RecordQuery(text="north south"), []),
        ):
            seen: list[int] = []
            place, turns = Place(), 0
            while True:
                page = recalling.find_all(
                    session, query, registry_ids=["cdm"], place=place, limit=2
                )
                seen += [row.id for row in page.earlier]
                turns += 1
                if page.older is None:
                    break
                place = Place.parse(str(page.older))
                assert turns < 20
            newest = sorted(wanted, key=lambda each: (ids.index(each) * 7) % 10, reverse=True)
            assert seen == newest, query
        text = session.get_one(HistoricCancellation, ids[3]).range.last_text
        (row,) = recalling.by_old_number(session, text, [])
        assert row.id == ids[3]
        assert remembering.facets(session) == {
            "host": ["IN"], "registry": ["cdm"], "year": ["2018"],
        }  # fmt: skip


@pytest.mark.parametrize(
    "query",
    [
        RecordQuery(),
        RecordQuery(host="IN"),
        RecordQuery(text="kutch", year="2018"),
        RecordQuery(text="IN-5-1000005-1-1-0-4141", host="IN"),
        RecordQuery(text="VC15/2016"),
    ],
)
def test_every_look_up_has_an_index(app: Flask, four: list[str], query: RecordQuery) -> None:
    """No scan of a table that grows, and nothing is sorted but what one page looks through."""
    with app.app_context():
        number = recalling.of_order(db.session(), "1200")[0].id
        said: list[str] = []

        def explain(_c, cursor, statement, parameters, *_rest):  # type: ignore[no-untyped-def]
            if statement.startswith("SELECT"):
                cursor.execute("EXPLAIN QUERY PLAN " + statement, parameters)
                said.extend(row[3] for row in cursor.fetchall())

        event.listen(db.engine, "before_cursor_execute", explain)
        try:
            recalling.find_earlier(
                db.session(), query, registry_ids=["cdm"], before=number, limit=2
            )
        finally:
            event.remove(db.engine, "before_cursor_execute", explain)
        scans = [each for each in said if each.startswith("SCAN")]
        # A stretch that is read no further than SCANNED, and the filters' few values.
        kept = ("CONSTANT ROW", "SCAN anon_1", "SCAN history_facet", "USING INDEX ix_historic")
        assert [each for each in scans if not any(word in each for word in kept)] == []

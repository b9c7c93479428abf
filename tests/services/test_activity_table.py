"""Projects by the table: read, compared, registered whole or not at all."""

from __future__ import annotations

import csv
import io
from typing import Any

import pytest
from flask import Flask
from flask.testing import FlaskClient
from sqlalchemy import func, select

from cnn_offset.blueprints.admin.activity_tables import words_known
from cnn_offset.extensions import db, unit_of_work
from cnn_offset.models import Activity, ActivityKind, Event
from cnn_offset.services import ServiceError, activity_table
from cnn_offset.services.activity_table import MAX_ROWS, Fault, Row
from tests.conftest import Clock
from tests.web.people import add_person, log_in, post, token

HEAD = ("ref", "party", "kind", "title", "country", "sectoral_scope", "methodology", "status",
        "crediting_start", "crediting_end", "link")  # fmt: skip
"""As the CDM registry heads its list, with columns that we do not look at."""


def line(number: object, **changes: str) -> list[str]:
    cells = {
        "ref": str(number),
        "party": "MN",
        "kind": "PA",
        "title": f"Steppe wind farm {number}",
        "country": "Mongolia",
        "sectoral_scope": "Energy industries (renewable - / non-renewable sources)",
        "methodology": "CDM - ACM0002",
        "status": "Registered",
        "crediting_start": "2013-06-24",
        "crediting_end": "2020-06-23",
        "link": "https://registry.example/projects/1",
    }
    return list({**cells, **changes}.values())


def table(*rows: list[str], head: tuple[str, ...] = HEAD) -> bytes:
    text = io.StringIO()
    writer = csv.writer(text)
    writer.writerow(head)
    writer.writerows(rows)
    return text.getvalue().encode()


def read(app: Flask, raw: bytes, technology: str = "wind") -> tuple[list[Row], list[Fault]]:
    with app.test_request_context("/en/"):
        return activity_table.read_table(raw, "cdm", words_known(technology))


def register(app: Flask, clock: Clock, raw: bytes) -> tuple[int, int, int]:
    rows, faults = read(app, raw)
    assert faults == []
    with app.app_context(), unit_of_work() as session:
        done = activity_table.register(session, rows, actor="op@x", now=clock())
    return len(done.new), len(done.changed), done.same


def test_the_registrys_own_list_is_read_as_it_is(app: Flask, clock: Clock) -> None:
    raw = table(line(5977), line("poa-12", kind="PoA", sectoral_scope="13", link=""))
    assert register(app, clock, raw) == (2, 0, 0)
    assert register(app, clock, raw) == (0, 0, 2), "safe to repeat"
    with app.app_context():
        one, two = db.session.scalars(select(Activity).order_by(Activity.id))
        assert (one.ref, one.host_party, one.scope, one.methodology) == ("5977", "MN", 1, "ACM0002")
        assert (one.slug, one.technology) == ("steppe-wind-farm-5977", "wind")
        assert (two.ref, two.kind, two.scope) == ("POA-12", ActivityKind.POA, 13)
        assert set(db.session.scalars(select(Event.new))) == {"registered"}
        one.title = {**one.title, "en": "What its provider calls it"}
        db.session.commit()
    changed = table(line(5977, crediting_end="2027-06-23", title="Another"))
    assert register(app, clock, changed) == (0, 1, 0)
    with app.app_context():
        one = db.session.scalars(select(Activity).order_by(Activity.id)).first()
        assert one is not None
        assert one.crediting_end.year == 2027
        assert one.title["en"] == "What its provider calls it"


def test_projects_of_one_name(app: Flask, clock: Clock) -> None:
    rows = [line(n, title="Wind farm") for n in range(1, 5)]
    assert register(app, clock, table(*rows)) == (4, 0, 0)
    with app.app_context():
        assert len(set(db.session.scalars(select(Activity.slug)))) == 4


@pytest.mark.parametrize(
    ("wrong", "what"),
    [
        ({"ref": ""}, "at least one reference number"),
        ({"ref": "1 2"}, "one reference number"),
        ({"ref": "wind"}, "no reference number"),
        ({"party": "XX"}, "no country"),
        ({"party": ""}, "no country"),
        ({"kind": "JI"}, "PA for a project"),
        ({"title": ""}, "title is missing"),
        ({"title": "x" * 121}, "too long"),
        ({"title": "a\u202eb"}, "invisible sign"),
        ({"sectoral_scope": "17"}, "no sectoral scope"),
        ({"sectoral_scope": "Alchemy"}, "no sectoral scope"),
        ({"methodology": "CDM - "}, "methodology is missing"),
        ({"crediting_start": "24.06.2013"}, "day such as"),
        ({"crediting_end": "2012-01-01"}, "ends before it begins"),
        ({"link": "javascript:alert(1)"}, "address of the page"),
    ],
)
def test_what_is_wrong_with_a_row(app: Flask, wrong: dict[str, str], what: str) -> None:
    rows, faults = read(app, table(line(1), line(2, **wrong)))
    assert [row.line for row in rows] == [2]
    assert [fault.line for fault in faults] == [3]
    assert what in str(faults[0].what)


def test_a_technology_must_be_known(app: Flask) -> None:
    head = (*HEAD, "technologie")
    rows, faults = read(
        app,
        table([*line(1), "Énergie éolienne"], [*line(2), "magic"], [*line(3), ""], head=head),
        technology="",
    )
    assert [(row.line, row.wanted.technology) for row in rows] == [(2, "wind")]
    assert [fault.line for fault in faults] == [3, 4]


def test_the_same_project_twice(app: Flask) -> None:
    _, faults = read(app, table(line(1), line(2), line(1)))
    assert [(fault.line, str(fault.what)) for fault in faults] == [
        (4, "Project 1 stands in line 2 already.")
    ]


@pytest.mark.parametrize(
    "raw",
    [b"", b"ref\n1\n", table(), b"\x00\x01", table(*[line(1)] * 2, head=(*HEAD[:-1], "ref"))],
)
def test_no_such_table(app: Flask, raw: bytes) -> None:
    with pytest.raises(ServiceError):
        read(app, raw)


def send(client: FlaskClient, raw: bytes, **form: Any) -> Any:
    data = {"csrf_token": token(client), "registry": "cdm", "technology": "wind", **form}
    return client.post(
        "/en/operator/activities/table", data={**data, "file": (io.BytesIO(raw), "list.csv")}
    )


@pytest.fixture
def desk(app: Flask) -> FlaskClient:
    add_person(app, "op@example.org", "operator")
    return log_in(app, "op@example.org")


def count(app: Flask) -> int:
    with app.app_context():
        return db.session.scalar(select(func.count()).select_from(Activity)) or 0


def test_ten_thousand_rows_of_which_37_are_wrong(app: Flask, desk: FlaskClient) -> None:
    """Nothing half done: nothing is registered, and the page lists the 37."""
    wrong = set(range(100, 100 + 37 * 13, 13))
    rows = [line(n, **({"party": "??"} if n in wrong else {})) for n in range(2, MAX_ROWS + 2)]
    answer = send(desk, table(*rows), act="register")
    assert answer.status_code == 422
    assert "37 rows are wrong" in answer.text
    for n in wrong:
        assert f">{n}<" in answer.text, "by its line in the file"
    assert count(app) == 0
    assert "more than 10000 rows" in send(desk, table(*rows, line(99999)), act="check").text
    mended = table(*[line(n) for n in range(2, MAX_ROWS + 2)])
    assert "Every row can be read" in send(desk, mended, act="check").text
    assert count(app) == 0
    assert send(desk, mended, act="register").status_code == 302
    assert count(app) == MAX_ROWS


def test_the_form(app: Flask, desk: FlaskClient) -> None:
    for lang in ("en", "fr", "es"):
        assert desk.get(f"/{lang}/operator/activities/table").status_code == 200
        example = desk.get(f"/{lang}/operator/activities/table.csv")
        assert len(example.text.splitlines()) == 1
    assert send(desk, b"", act="check").status_code == 422
    assert send(desk, table(line(1)), registry="swiss").status_code == 422
    assert send(desk, table(line(1)), technology="magic").status_code == 422
    assert post(desk, "/en/operator/activities/table").status_code == 422
    assert count(app) == 0

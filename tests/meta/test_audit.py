"""The desk: every form needs a duty, and everything that is done leaves who did it."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import pytest
from flask import Flask
from flask.testing import FlaskClient
from sqlalchemy import func, select, text
from werkzeug.routing import Rule
from werkzeug.test import TestResponse

from cnn_offset.domain.staff import DESK_DUTIES, DeskDuty, OperatorRole
from cnn_offset.extensions import db, unit_of_work
from cnn_offset.models import Event, Provider
from cnn_offset.models.casework import CaseMessage
from cnn_offset.services import suspending
from cnn_offset.services.bank_details import fingerprint
from cnn_offset.wording import shipped
from tests.conftest import Clock
from tests.meta.world import OPERATOR, World, make_world
from tests.web.people import add_person, log_in, token
from tests.web.selling import ACCOUNT

ACTOR: Final = "op@example.org"
"""The operator of the world."""
CHANGES_NOTHING: Final = {
    "admin.read_activity_table": "its first step only shows what the table would do",
}
"""Forms that answer without anything being changed, and why that is so."""
NOT_WALKED: Final = {
    "admin.propose_refund": "tests/web/test_refunds.py: money must have come and be due back",
}
"""What cannot be done to its end in the world, and the test that shows its event instead."""
Prepare = Callable[[World], None]
PREPARE: Final[dict[str, Prepare]] = {}
"""What must have happened before a form can be sent."""


def before(*endpoints: str) -> Callable[[Prepare], Prepare]:
    def keep(prepare: Prepare) -> Prepare:
        PREPARE.update(dict.fromkeys(endpoints, prepare))
        return prepare

    return keep


@dataclass
class Desk:
    """A world that begins anew for every form."""

    world: World
    database: Path
    kept: Path

    @contextmanager
    def anew(self) -> Iterator[FlaskClient]:
        """Put the database back, and hand out a browser of the operator."""
        with self.world.app.app_context():
            db.session.remove()
            db.engine.dispose()
        for ending in ("-wal", "-shm"):
            self.database.with_name(self.database.name + ending).unlink(missing_ok=True)
        shutil.copy(self.kept, self.database)
        name = self.world.app.config["SESSION_COOKIE_NAME"]
        cookie = self.world.browsers[OPERATOR].get_cookie(name)
        assert cookie is not None
        client = self.world.app.test_client()
        client.set_cookie(name, cookie.value)
        yield client


@pytest.fixture
def desk(app: Flask, clock: Clock, tmp_path: Path) -> Desk:
    world = make_world(app, clock)
    with app.app_context():
        database = Path(str(db.engine.url.database))
        with db.engine.connect() as connection:
            connection.exec_driver_sql("PRAGMA wal_checkpoint(TRUNCATE)")
        db.session.remove()
        db.engine.dispose()
    kept = tmp_path / "kept.sqlite"
    shutil.copy(database, kept)
    return Desk(world, database, kept)


def forms(app: Flask) -> list[Rule]:
    """Return every address of the desk that takes a form."""
    found = [
        rule
        for rule in app.url_map.iter_rules()
        if rule.endpoint.startswith("admin.") and "POST" in (rule.methods or ())
    ]
    assert len(found) > 30
    return found


def send(client: FlaskClient, world: World, rule: Rule) -> TestResponse:
    said = {**world.forms, **more_forms(world)}.get(rule.endpoint, {})
    data = {"csrf_token": token(client), **said}
    return client.post(world.address(rule), data=data)


def _known(world: World, rule: Rule) -> bool:
    try:
        world.address(rule)
    except AssertionError:
        return False
    return True


def last_event(app: Flask) -> int:
    with app.app_context():
        return db.session.scalar(select(func.max(Event.id))) or 0


# What a form says, and what has to be there first


def more_forms(world: World) -> dict[str, dict[str, str]]:
    """Return what the forms say whose good case other walks must not do."""
    day = {"start": "2026-01-01", "end": "2026-12-31"}
    with world.app.app_context():
        seen = db.session.scalar(select(func.max(CaseMessage.id)))
    attested = {"beneficiary": "Example Airways", "reason": "My flights in 2026"}
    return {
        "admin.new_activity": {
            "registry": "cdm",
            "ref": "4711",
            "kind": "pa",
            **{f"title_{lang}": "Wind" for lang in ("en", "fr", "es")},
            "host": "KE",
            "scope": "1",
            "technology": "wind",
            "methodology": "ACM0002",
            **day,
        },
        "admin.ask_applicant": {"question": "Which account?"},
        "admin.refuse_application": {"reason": "not theirs"},
        "admin.answer_case": {"answer": "Here it is.", "seen": str(seen)},
        "admin.write_other_side": {"other": "What do you say?"},
        "admin.note_case": {"note": "Called them."},
        "admin.close_case": {"reason": "solved"},
        "admin.reopen_case": {"again": "not solved"},
        "admin.escalate_case": {"claim": "They disagree."},
        "admin.tie_case": {"order": str(world.values["code"])},
        "admin.new_case": {
            "kind": "order",
            "email": "caller@example.org",
            "locale": "en",
            "text": "Where is it?",
        },
        "admin.propose_correction": {**attested, "why": "misspelt"},
        "admin.refuse_correction": {"answer": "It is right."},
        "admin.ask_correction": attested,
        "admin.edit_page": {
            "edition": "1",
            **{f"text_{lang}": f"{words}\n\nMore.\n" for lang, words in shipped("contact").items()},
        },
        "admin.publish_page": {"edition": "1", "reason": "better"},
        "admin.discard_page": {"edition": "1"},
        "admin.payout_enable": {"seen": fingerprint(ACCOUNT)},
        "admin.payout_refuse": {"seen": fingerprint(ACCOUNT), "reason": "another’s"},
        "admin.proposal_refuse": {"reason": "no need"},
        "admin.open_account": {"registry": "cdm", "kind": "permanent", "account": "KE-77"},
        "admin.review_approve": {"version": "1"},
        "admin.review_refuse": {"version": "1", "reason": "too short"},
        "admin.save_sentence": {"text_en": "This says that", "reason": "plainer"},
    }


def change(statement: str, **values: object) -> None:
    with unit_of_work() as session:
        session.execute(text(statement), values)


@before("admin.resume_provider")
def _suspended(world: World) -> None:
    with unit_of_work() as session:
        slug = world.by_endpoint["admin.resume_provider"]["slug"]
        provider = session.scalars(select(Provider).where(Provider.slug == slug)).one()
        suspending.suspend(session, provider.id, "r", actor="x", now=provider.created_at)


@before("admin.begin_page")
def _no_draft(_world: World) -> None:
    change("UPDATE page_version SET status = 'discarded'")


@before("admin.payout_enable", "admin.payout_refuse")
def _asked(_world: World) -> None:
    change("UPDATE payout_method SET status = 'started' WHERE method_id = 'bank_transfer'")


@before("admin.review_approve")
def _mapped(world: World) -> None:
    change("UPDATE listing SET status = 'replaced' WHERE status = 'draft'")
    change(
        "UPDATE listing SET provider_id = :own, number = 2 WHERE status = 'submitted'",
        own=world.values["provider_id"],
    )


@before("admin.refuse_correction")
def _not_proposed(_world: World) -> None:
    change("UPDATE proposal SET status = 'withdrawn'")


@before("admin.reopen_case")
def _closed(_world: World) -> None:
    change("UPDATE support_case SET status = 'closed', answer_by = NULL")


@before("admin.write_other_side")
def _claimed(_world: World) -> None:
    change("UPDATE support_case SET status = 'escalated'")


@before("admin.tie_case")
def _untied(_world: World) -> None:
    change("UPDATE support_case SET order_id = NULL")


@before("admin.survey_close")
def _open_survey(_world: World) -> None:
    change("UPDATE survey SET status = 'closed' WHERE status = 'open'")
    change("UPDATE survey SET status = 'open' WHERE status = 'draft'")


@before("admin.end_notice")
def _noticed(world: World) -> None:
    rule = next(each for each in forms(world.app) if each.endpoint == "admin.set_notice")
    send(world.browsers[OPERATOR], world, rule)


@before("admin.proposal_approve", "admin.propose_correction", "admin.ask_correction")
def _attested(_world: World) -> None:
    change("UPDATE \"order\" SET status = 'fulfilled'")
    change("UPDATE attestation SET status = 'issued', sha256 = :hash", hash="0" * 64)
    change("UPDATE counter SET value = 1 WHERE name = 'attestation'")


@before("admin.propose_correction", "admin.ask_correction")
def _undecided(world: World) -> None:
    _attested(world)
    change("UPDATE proposal SET status = 'withdrawn'")


@before("admin.ask_correction")
def _unasked(world: World) -> None:
    _undecided(world)
    change("UPDATE correction SET status = 'refused'")


def test_every_form_of_the_desk_needs_a_duty(app: Flask) -> None:
    loose = [
        rule.endpoint
        for rule in forms(app)
        if getattr(app.view_functions[rule.endpoint], "duty", None) not in set(DeskDuty)
        and not hasattr(app.view_functions[rule.endpoint], "duty_of")
    ]
    assert loose == []


def test_every_role_is_refused_what_it_does_not_carry(app: Flask, clock: Clock) -> None:
    """Walk all pages and forms of the desk as one operator of each role."""
    world = make_world(app, clock)
    wrong, walked = [], 0
    for role in OperatorRole:
        email = f"{role}.role@example.org"
        add_person(app, email, "operator", operator_role=role)
        client = log_in(app, email)
        for rule in app.url_map.iter_rules():
            if not rule.endpoint.startswith("admin."):
                continue
            if not _known(world, rule):
                wrong.append(f"{rule.endpoint}: teach tests/meta/world.py about its address")
                continue
            view: Any = app.view_functions[rule.endpoint]
            duty = getattr(view, "duty", None)
            if hasattr(view, "duty_of"):
                with app.test_request_context():
                    values = dict(world.by_endpoint.get(rule.endpoint, {}))
                    names = {
                        each: {**world.values, **values}[each] for each in rule.arguments - {"lang"}
                    }
                    duty = view.duty_of(**names)
            for method in sorted({"GET", "POST"} & (rule.methods or set())):
                carried = duty is None or duty in DESK_DUTIES[role]
                if carried and method == "POST":
                    continue  # done below, by one who may
                data = {"csrf_token": token(client)} if method == "POST" else None
                answer = client.open(world.address(rule), method=method, data=data)
                answer.close()
                walked += 1
                if (answer.status_code == 403) is carried:
                    wrong.append(f"{role}: {method} {rule.endpoint} -> {answer.status_code}")
    assert walked > 200
    assert not wrong, "\n" + "\n".join(wrong)


def test_whatever_is_done_leaves_an_event_with_its_actor(app: Flask, desk: Desk) -> None:
    """Send each form as its page would, in a world of its own; read what the trail says then."""
    silent = []
    for rule in forms(app):
        if rule.endpoint in NOT_WALKED or rule.endpoint in CHANGES_NOTHING:
            continue
        if not _known(desk.world, rule):
            silent.append(f"{rule.endpoint}: teach tests/meta/world.py about its address")
            continue
        with desk.anew() as client:
            if rule.endpoint in PREPARE:
                with app.test_request_context():
                    PREPARE[rule.endpoint](desk.world)
                    db.session.remove()
            known = last_event(app)
            answer = send(client, desk.world, rule)
            answer.close()
            with app.app_context():
                actors = set(db.session.scalars(select(Event.actor).where(Event.id > known)))
            if answer.status_code not in (200, 302, 303) or ACTOR not in actors:
                said = f"{rule.endpoint}: {answer.status_code}, by {sorted(actors)}"
                silent.append(f"{said}: teach tests/meta/world.py its form, or PREPARE it here")
    assert not silent, "\n" + "\n".join(silent)


def test_what_is_not_walked_is_there(app: Flask) -> None:
    known = {rule.endpoint for rule in forms(app)}
    assert set(NOT_WALKED) <= known
    assert set(CHANGES_NOTHING) <= known
    assert set(PREPARE) <= known

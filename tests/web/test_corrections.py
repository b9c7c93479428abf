"""A misspelt name: asked for by the purchaser, corrected by two operators, seen by all."""

from __future__ import annotations

import pytest
from flask import Flask
from flask.testing import FlaskClient
from sqlalchemy import select

from cnn_offset import jobs
from cnn_offset.domain.staff import OperatorRole
from cnn_offset.domain.status import CorrectionStatus
from cnn_offset.extensions import db
from cnn_offset.models import Attestation, Correction, Event, Order, Proposal
from tests.conftest import Clock
from tests.papers import make_attestation, make_order
from tests.web.people import add_person, log_in, post
from tests.web.shopping import text_of

WISH = {"beneficiary": "Łódź Weavers", "reason": "Our journeys in 2026", "remark": "A slip."}
WHY = "The name was misspelt."


class Scene:
    """An order with its attestation, its purchaser and two operators."""

    def __init__(self, app: Flask, **values: object) -> None:
        self.app = app
        with app.app_context():
            row = make_attestation(**values)
            self.code, self.token = row.order.code, row.order.token
            attestation_id = row.id
        with app.test_request_context():
            assert jobs.do("attestation", attestation_id)
        self.purchaser = app.test_client()
        self.path = f"/en/orders/{self.token}"
        for name in ("anne", "ben"):
            add_person(app, f"{name}@example.org", "operator", operator_role=OperatorRole.SUPPORT)
        self.anne, self.ben = (log_in(app, f"{name}@example.org") for name in ("anne", "ben"))

    def ask(self, **changes: str) -> str:
        """Ask; return the address of the request at the desk."""
        answer = post(self.purchaser, f"{self.path}/correct", **{**WISH, **changes})
        assert answer.location == self.path, text_of(answer)
        with self.app.app_context():
            newest = db.session.scalars(select(Correction.id).order_by(Correction.id.desc()))
            return f"/en/operator/corrections/{newest.all()[0]}"

    def propose(self, request: str, **changes: str) -> str:
        """Propose; return the address of the proposal."""
        answer = post(self.anne, f"{request}/propose", **{**WISH, "why": WHY, **changes})
        assert answer.status_code == 302, text_of(answer)
        return str(answer.location)

    def issue(self) -> None:
        with self.app.test_request_context():
            for row_id in db.session.scalars(
                select(Attestation.id).where(Attestation.due_at.is_not(None))
            ).all():
                assert jobs.do("attestation", row_id)


@pytest.fixture
def scene(app: Flask) -> Scene:
    return Scene(app)


def test_from_the_order_page_to_the_new_attestation(app: Flask, scene: Scene) -> None:
    page = scene.purchaser.get(scene.path)
    assert f'href="{scene.path}/correct"' in page.text
    form = scene.purchaser.get(f"{scene.path}/correct")
    assert form.headers["Cache-Control"] == "no-store"
    assert "What the registry was told" in text_of(form)
    request = scene.ask()
    assert "You asked for a correction" in text_of(scene.purchaser.get(scene.path))
    assert "You have asked already" in text_of(scene.purchaser.get(f"{scene.path}/correct"))

    listed = scene.anne.get("/en/operator/corrections")
    assert "VC000001/2026" in listed.text
    assert "Corrections 1 waiting" in text_of(listed)
    shown = scene.anne.get(request)
    assert '<del><span class="sr" lang="en">taken out: </span>Looms' in shown.text
    assert "added: </span>Weavers" in shown.text
    assert "A slip." in text_of(shown)
    proposal = scene.propose(request)

    own = text_of(scene.anne.get(proposal))
    assert "You asked for this yourself" in own
    assert "Łódź Looms Łódź Weavers" in own
    mine = post(scene.anne, f"{proposal}/approve")
    assert mine.status_code == 422
    assert "another operator must approve it" in text_of(mine)
    other = scene.ben.get(proposal)
    assert "In the name of Łódź Looms Łódź Weavers" in text_of(other)
    assert "This cannot be taken back." in text_of(other)
    assert post(scene.ben, f"{proposal}/approve").location == proposal
    assert "Approved. It is being done." in text_of(scene.ben.get(proposal))
    assert "being made" in text_of(scene.purchaser.get(scene.path))
    scene.issue()

    page = text_of(scene.purchaser.get(scene.path))
    assert "VC000002/2026" in page
    assert "it takes the place of VC000001/2026" in page
    pdf = scene.purchaser.get(f"{scene.path}/attestation.pdf")
    assert "VC000002-2026" in pdf.headers["Content-Disposition"]


def test_record_and_check_show_both(app: Flask, scene: Scene) -> None:
    proposal = scene.propose(scene.ask())
    post(scene.ben, f"{proposal}/approve")
    with app.app_context():
        old = db.session.scalars(select(Attestation).where(Attestation.sequence == 1)).one()
        code, path = old.check_code, old.path
        old_pdf = app.extensions["cnn_offset"].files.cat_file(path)
    visitor = app.test_client()
    assert "no longer holds" not in text_of(visitor.get(f"/en/check/{code}"))
    scene.issue()
    listed = visitor.get("/en/record").text
    assert ">VC000002/2026</a>" in listed
    assert ">VC000001/2026</a>" not in listed
    for address in ("/en/record/1-2026", f"/en/check/{code}", "/en/check?number=VC000001/2026"):
        page = visitor.get(address)
        assert "This attestation no longer holds: it was corrected" in text_of(page), address
        assert WHY in text_of(page)
        assert 'href="/en/record/2-2026"' in page.text
        assert "Łódź Looms" in page.text
    new = visitor.get("/en/record/2-2026")
    assert "It has taken the place of attestation VC000001/2026" in text_of(new)
    assert 'href="/en/record/1-2026"' in new.text
    assert "no longer holds" not in text_of(new)
    # The file that was issued first is genuine still, and known to be replaced.
    import io

    sent = post(visitor, "/en/check", pdf=(io.BytesIO(old_pdf), "a.pdf"))
    assert "Genuine" in text_of(sent)
    assert "no longer holds" in text_of(sent)


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"beneficiary": " "}, "Please enter the name as it should read."),
        ({"reason": ""}, "Please write the reason."),
        ({"beneficiary": "x" * 201}, "at most 200"),
        ({"reason": "x" * 501}, "at most 500"),
        ({"remark": "x" * 1001}, "at most"),
        ({"beneficiary": "Łódź \u202eWeavers"}, "invisible sign"),
        ({"beneficiary": "織物"}, "cannot print"),
        ({"beneficiary": "Łódź Looms"}, "same as before"),
    ],
)
def test_what_purchasers_type(scene: Scene, changes: dict[str, str], words: str) -> None:
    answer = post(scene.purchaser, f"{scene.path}/correct", **{**WISH, **changes})
    assert answer.status_code == 422
    assert words in text_of(answer)
    assert answer.text.count('name="beneficiary"') == 1
    with scene.app.app_context():
        assert db.session.scalars(select(Correction)).all() == []


def test_asked_twice(scene: Scene) -> None:
    scene.ask()
    answer = post(scene.purchaser, f"{scene.path}/correct", **{**WISH, "beneficiary": "Other"})
    assert answer.status_code == 422
    assert "asked for already" in text_of(answer)


def test_nothing_leads_there_before_there_is_an_attestation(app: Flask) -> None:
    with app.app_context():
        token = make_order().token
    client = app.test_client()
    assert client.get(f"/en/orders/{token}/correct").status_code == 404
    assert client.get("/en/orders/unknown/correct").status_code == 404
    assert post(client, f"/en/orders/{token}/correct", **WISH).status_code == 422
    with app.app_context():
        assert db.session.scalars(select(Correction)).all() == []


@pytest.mark.parametrize("field", ["beneficiary", "reason", "why"])
def test_what_operators_type(scene: Scene, field: str) -> None:
    request = scene.ask()
    answer = post(scene.anne, f"{request}/propose", **{**WISH, "why": WHY, field: ""})
    assert answer.status_code == 422
    assert f'id="{field}-error"' in answer.text
    long = post(scene.anne, f"{request}/propose", **{**WISH, "why": WHY, field: "x" * 600})
    assert long.status_code == 422


def test_an_operator_may_better_the_wording(app: Flask, scene: Scene) -> None:
    proposal = scene.propose(scene.ask(), beneficiary="Łódź Weavers SA")
    post(scene.ben, f"{proposal}/approve")
    with app.app_context():
        assert db.session.scalars(select(Order.beneficiary)).one() == "Łódź Weavers SA"


def test_refused_at_the_desk(app: Flask, scene: Scene) -> None:
    request = scene.ask()
    assert post(scene.anne, f"{request}/refuse", answer="").status_code == 422
    assert post(scene.anne, f"{request}/refuse", answer="Not you.").status_code == 302
    page = text_of(scene.purchaser.get(scene.path))
    assert "We could not correct it as you asked: Not you." in page
    late = post(scene.ben, f"{request}/propose", **WISH, why=WHY)
    assert late.status_code == 422
    assert "decided meanwhile" in text_of(late)
    assert "Propose the correction" not in text_of(scene.ben.get(request))
    with app.app_context():
        assert db.session.scalars(select(Correction.status)).one() is CorrectionStatus.REFUSED
        actors = set(db.session.scalars(select(Event.actor).where(Event.subject == "correction")))
        assert actors == {"purchaser", "anne@example.org"}


def test_an_operator_takes_it_down(app: Flask, scene: Scene) -> None:
    path = f"/en/operator/orders/{scene.code}/correct"
    assert "For a purchaser who asked by mail" in text_of(scene.anne.get(path))
    assert post(scene.anne, path, **{**WISH, "beneficiary": ""}).status_code == 422
    answer = post(scene.anne, path, **WISH)
    assert answer.status_code == 302
    assert "anne@example.org" in text_of(scene.anne.get(answer.location))
    assert "asked for already" in text_of(scene.anne.get(path))
    assert post(scene.anne, path, **WISH).status_code == 422
    assert scene.anne.get("/en/operator/orders/NOPE/correct").status_code == 404


def test_a_private_name_is_to_be_kept_out_of_the_reason(app: Flask) -> None:
    scene = Scene(app, publish_name=False)
    assert "keep it out of the reason" in text_of(scene.anne.get(scene.ask()))


@pytest.mark.parametrize("role", [OperatorRole.AUDITOR, OperatorRole.EDITOR, OperatorRole.LISTING])
def test_who_may_not(app: Flask, scene: Scene, role: OperatorRole) -> None:
    add_person(app, "looks@example.org", "operator", operator_role=role)
    looks = log_in(app, "looks@example.org")
    request = scene.ask()
    assert "does not carry this decision" in text_of(looks.get(request))
    for path, data in (
        (f"{request}/propose", {**WISH, "why": WHY}),
        (f"{request}/refuse", {"answer": "no"}),
        (f"/en/operator/orders/{scene.code}/correct", WISH),
    ):
        assert post(looks, path, **data).status_code == 403, path
    proposal = scene.propose(request)
    assert "does not carry this decision" in text_of(looks.get(proposal))
    assert post(looks, f"{proposal}/approve").status_code == 403
    assert post(looks, f"{proposal}/refuse", reason="no").status_code == 403
    with app.app_context():
        assert db.session.scalars(select(Proposal.status)).one() == "waiting"


def test_a_proof_that_is_old_is_asked_for_again(scene: Scene, clock: Clock) -> None:
    proposal = scene.propose(scene.ask())
    clock.tick(hours=2)
    answer = post(scene.ben, f"{proposal}/approve")
    assert answer.status_code == 302
    assert "/account/" in answer.location


def test_unknown_numbers(client: FlaskClient, scene: Scene) -> None:
    for path in ("corrections/77", "proposals/77"):
        assert scene.anne.get(f"/en/operator/{path}").status_code == 404
    assert post(scene.anne, "/en/operator/corrections/77/propose").status_code == 404
    assert post(scene.anne, "/en/operator/proposals/77/approve").status_code == 404

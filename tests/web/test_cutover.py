"""What people see of a cut-over: the command line, the shop meanwhile, papers for ever."""

from __future__ import annotations

import io
import re
from collections.abc import Callable, Iterator

import pytest
from click.testing import CliRunner, Result
from flask import Flask
from flask.testing import FlaskClient
from sqlalchemy import select

from cnn_offset import cli, cli_application, jobs
from cnn_offset.attestations import issuer, stored_pdf
from cnn_offset.domain.status import OrderStatus
from cnn_offset.extensions import db, platform
from cnn_offset.mail import render
from cnn_offset.models import Attestation, Message
from cnn_offset.services.attesting import attestation_data
from tests.conftest import Clock
from tests.cutover import NEW, OLD, Move, make_move

Run = Callable[..., Result]


@pytest.fixture
def shop(app: Flask, clock: Clock) -> Iterator[Move]:
    app.config["WTF_CSRF_ENABLED"] = False
    with app.test_request_context():
        yield make_move(app, clock)


@pytest.fixture
def run(app: Flask, monkeypatch: pytest.MonkeyPatch) -> Run:
    monkeypatch.setattr(cli_application, "create_app", lambda **_: app)

    def command(*words: str) -> Result:
        return CliRunner().invoke(cli.cli, ["registries", *words])

    return command


def test_lists_the_connections(shop: Move, run: Run) -> None:
    shop.freeze()
    done = run("list")
    assert done.exit_code == 0, done.output
    assert re.search(
        r"^a64_interim +draining \(moving\) +– +– +– +– +0$", done.output, re.MULTILINE
    )
    assert re.search(r"^a64_final +open ", done.output, re.MULTILINE)
    assert "A cut-over runs: a64_interim to a64_final, frozen" in done.output


def test_the_plan_is_a_table_and_changes_nothing(shop: Move, run: Run) -> None:
    block = shop.block(100)
    offer_id = shop.offer(block, quantity=80)
    shop.order({offer_id: 7})
    [report] = shop.succeed()
    done = run("cutover", OLD, NEW)
    assert done.exit_code == 0, done.output
    # Units, on offer, orders unpaid, orders paid.
    wanted = rf"{block.account_ref} +{block.block_ref} +{report.block_ref} +100 +73 +1 +0$"
    assert re.search(wanted, done.output, re.MULTILINE), done.output
    assert f"{block.account_ref}    FIN-{block.account_ref}" in done.output
    assert report.activity_ref in done.output
    assert "All matches" in done.output
    assert shop.held(OLD) == 100


def test_what_does_not_match_is_listed(shop: Move, run: Run) -> None:
    block = shop.block()
    for words in ([], ["--plan"], ["--go"]):
        done = run("cutover", OLD, NEW, *words)
        assert done.exit_code == 1, done.output
        assert f"no successor of its {block.held} units" in done.output
    assert "nothing was begun" in done.output
    assert "No cut-over runs" not in run("list").output


def test_freeze_go_and_once_more(shop: Move, run: Run) -> None:
    offer_id = shop.offer(shop.block())
    assert run("cutover", OLD, NEW, "--freeze").exit_code == 0
    done = run("cutover", OLD, NEW, "--go", "--wait", "0")
    assert (done.exit_code, "all processes know" in done.output) == (2, True), done.output
    shop.clock.tick(seconds=11)
    shop.succeed()
    done = run("cutover", OLD, NEW, "--go")
    assert done.exit_code == 0, done.output
    assert "the sums are right\norders are taken again\nDone." in done.output
    done = run("cutover", OLD, NEW, "--go")
    assert (done.exit_code, "done before" in done.output) == (0, True), done.output
    assert shop.order({offer_id: 1})


def test_given_up(shop: Move, run: Run) -> None:
    shop.block()
    assert run("cutover", "--give-up").exit_code == 1
    assert run("cutover", OLD, NEW, "--freeze").exit_code == 0
    assert run("cutover", NEW, OLD, "--freeze").exit_code == 1
    assert run("cutover", "--give-up").exit_code == 0
    assert run("cutover").exit_code == 2
    done = run("cutover", OLD, "nothing")
    assert (done.exit_code, "no registry connection nothing" in done.output) == (1, True)


def test_the_shop_says_that_units_move(shop: Move, client: FlaskClient) -> None:
    block = shop.block()
    offer_id, slug = shop.offer(block), block.activity.slug
    shop.freeze()
    page = client.get(f"/en/projects/{slug}").get_data(as_text=True)
    assert "moving to the registry that takes over" in page
    answer = client.post(
        "/en/basket/add", data={"offer": offer_id, "quantity": 3}, follow_redirects=True
    )
    assert "moving to the registry that takes over" in answer.get_data(as_text=True)


def test_old_attestations_check_out_for_ever(shop: Move, client: FlaskClient) -> None:
    block = shop.block()
    order_id = shop.order({shop.offer(block): 10})
    shop.pays(order_id)
    shop.work()
    assert shop.order_status(order_id) is OrderStatus.FULFILLED
    row = db.session.scalars(select(Attestation)).one()
    ref, slug = block.activity.ref, block.activity.slug
    jobs.do("attestation", row.id)
    code = shop.get(Attestation, row.id).check_code

    def seen() -> tuple[bytes, list[str]]:
        pdf = stored_pdf(shop.get(Attestation, row.id))
        upload = {"pdf": (io.BytesIO(pdf), "attestation.pdf")}
        checked = client.post("/en/check", data=upload, content_type="multipart/form-data")
        assert "Genuine: this is the file that was issued" in checked.get_data(as_text=True)
        addresses = ["/en/record", f"/en/record?q={ref}", "/fr/record/1-2026"]
        pages = [client.get(each) for each in (*addresses, f"/en/check/{code}")]
        assert {each.status_code for each in pages} == {200}
        return pdf, [each.get_data(as_text=True) for each in (checked, *pages)]

    before = seen()
    assert f"/projects/{slug}" in "".join(before[1])
    shop.freeze()
    shop.succeed()
    shop.clock.tick(seconds=11)
    assert shop.go().words == ()
    assert seen() == before
    # A corrected one would still tell the registry and the number of that day.
    data = attestation_data(db.session(), shop.get(Attestation, row.id), issuer())
    assert [(each.registry_id, each.activity_ref) for each in data.lines] == [(OLD, ref)]


def test_mails_tell_of_the_move(shop: Move) -> None:
    offer_id = shop.offer(shop.block())
    order_id = shop.order({offer_id: 3})
    shop.freeze()
    shop.succeed()
    shop.clock.tick(seconds=11)
    shop.go()
    texts = {}
    for kind in ("units_moved", "holdings_moved"):
        message = db.session.scalars(select(Message).where(Message.kind == kind)).one()
        texts[kind] = render(db.session(), message).get_body(("plain",)).get_content()  # type: ignore[union-attr]
    assert "You need do nothing" in texts["units_moved"]
    assert platform().registries[NEW].title in texts["units_moved"]
    assert "/orders/" in texts["units_moved"]
    assert "Your holdings, your offers" in texts["holdings_moved"]
    assert shop.mails("units_moved") == [order_id]

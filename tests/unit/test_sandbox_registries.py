"""The simulated registries: arithmetic of their blocks, and what they refuse."""

from __future__ import annotations

import itertools
import threading
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from flask.testing import FlaskClient
from hypothesis import given
from hypothesis import strategies as st

from cnn_offset.sandbox import create_sandbox
from cnn_offset.sandbox.faults import Fault, Faults
from cnn_offset.sandbox.registries_books import Book, RefusalError, held
from cnn_offset.sandbox.state import State

BLOCK: dict[str, Any] = {
    "block_ref": "B1",
    "account": "A1",
    "activity": "8",
    "unit_type": "cer",
    "party": "BR",
    "first": 1001,
    "quantity": 100,
    "monitoring_start": "2011-06-01",
    "monitoring_end": "2012-05-31",
}


@pytest.fixture
def book() -> Book:
    state = State()
    return Book("cdm", state, Faults(state))


def request(quantity: int, key: str = "k", **other: Any) -> dict[str, Any]:
    return {
        "key": key,
        "account": "A1",
        "block_ref": "B1",
        "quantity": quantity,
        "beneficiary": "b",
        "reason": "r",
    } | other


def spans(record: dict[str, Any]) -> list[tuple[int, int]]:
    return [(each["first"], each["last"]) for each in record["ranges"]]


# Arithmetic


def test_takes_the_next_free_numbers_around_holes(book: Book) -> None:
    book.seed([BLOCK | {"taken": [[5, 10], [20, 1]]}])
    record = book.cancel(request(12))
    assert spans(record) == [(1001, 1005), (1016, 1020), (1022, 1023)]
    assert record["ranges"][0]["first_text"] == "BR-5-1001-1-1-0-8"
    book.change_block("B1", {"take": 3})
    assert spans(book.cancel(request(1))) == [(1027, 1027)]
    # What is gone is kept as few pieces, however many cancellations there were.
    assert book.blocks()[0]["taken"] == [[1001, 1027]]


@given(
    holes=st.lists(st.tuples(st.integers(0, 90), st.integers(1, 9)), max_size=5),
    sizes=st.lists(st.integers(1, 40), max_size=8),
)
def test_no_unit_is_ever_given_twice(holes: list[tuple[int, int]], sizes: list[int]) -> None:
    state = State()
    book = Book("cdm", state, Faults(state))
    [block] = book.seed([BLOCK | {"taken": holes}])
    gone = {1001 + skip + n for skip, count in holes for n in range(count)}
    for size in sizes:
        left = 100 - len(gone)
        assert held(book.blocks()[0]) == left
        if size > left:
            with pytest.raises(RefusalError):
                book.cancel(request(size))
            continue
        ranges = spans(book.cancel(request(size)))
        units = {n for first, last in ranges for n in range(first, last + 1)}
        assert len(units) == size
        assert not units & gone
        assert all(block["first"] <= n <= block["last"] for n in units)
        # Next free ones, and adjacent ones written as one range.
        assert units == set(sorted(set(range(1001, 1101)) - gone)[:size])
        assert all(one[1] + 1 < two[0] for one, two in itertools.pairwise(ranges))
        gone |= units


# Refusals


@pytest.mark.parametrize(
    ("code", "change", "asked"),
    [
        ("UNKNOWN_BLOCK", {}, {"block_ref": "B2"}),
        ("WRONG_ACCOUNT", {}, {"account": "A2"}),
        ("INSUFFICIENT_UNITS", {}, {"quantity": 101}),
        ("INSUFFICIENT_UNITS", {"taken": [[0, 100]]}, {}),
        ("INVALID_QUANTITY", {}, {"quantity": 0}),
        ("INVALID_QUANTITY", {}, {"quantity": -1}),
        ("SHARE_OF_PROCEEDS_UNPAID", {"eligible": False}, {}),
        ("ANNEX_I_ACCOUNT", {"account_kind": "annex_i"}, {}),
    ],
)
def test_refuses(book: Book, code: str, change: dict[str, Any], asked: dict[str, Any]) -> None:
    book.seed([BLOCK | change])
    before = book.blocks()
    with pytest.raises(RefusalError) as refusal:
        book.cancel(request(1) | asked)
    assert refusal.value.code == code
    assert book.blocks() == before
    assert book.cancellations() == []


def test_a_closed_registry_refuses_but_still_answers(book: Book) -> None:
    book.seed([BLOCK])
    book.cancel(request(5))
    book.configure({"closed": True})
    with pytest.raises(RefusalError, match="closed"):
        book.cancel(request(5))
    assert book.audit() == {"k": 5}


@pytest.mark.parametrize(
    "wrong",
    [
        {"quantity": 0},
        {"party": "Brazil"},
        {"unit_type": "a64er_authorised"},
        {"unit_type": "gold"},
        {"activity": "A8"},
        {"monitoring_end": "2010-01-01"},
        {"monitoring_end": "soon"},
        {"block_ref": "B2", "first": 1100},
        {"block_ref": "B1", "account": "A2"},
    ],
)
def test_blocks_that_make_no_sense_are_not_issued(book: Book, wrong: dict[str, Any]) -> None:
    if "block_ref" in wrong:
        book.seed([BLOCK])
    with pytest.raises(ValueError):
        book.seed([BLOCK | {"block_ref": "B0", "first": 9000, "account": "A1"} | wrong])
    assert len(book.blocks()) == ("block_ref" in wrong)


def test_seeding_may_be_repeated(book: Book) -> None:
    book.seed([BLOCK])
    book.cancel(request(5))
    [again] = book.seed([BLOCK])
    assert held(again) == 95


def test_numbers_follow_on_where_none_is_named(book: Book) -> None:
    unnumbered = {k: v for k, v in BLOCK.items() if k not in ("first", "block_ref")}
    one, two = book.seed([unnumbered, unnumbered])
    assert two["first"] == one["last"] + 1
    assert one["block_ref"] != two["block_ref"]


# Faults of the books


def test_fewer_serials(book: Book) -> None:
    book.seed([BLOCK])
    Faults(book.state).set(Fault("cdm", "fewer_serials", count=1))
    assert spans(book.cancel(request(10))) == [(1001, 1009)]
    assert book.audit() == {"k": 9}
    assert spans(book.cancel(request(10))) == [(1010, 1019)]


def test_other_serials(book: Book) -> None:
    book.seed([BLOCK, BLOCK | {"block_ref": "B2", "first": 5001}])
    Faults(book.state).set(Fault("cdm", "other_serials", count=1))
    assert spans(book.cancel(request(10))) == [(5001, 5010)]
    assert [held(each) for each in book.blocks()] == [100, 90]


@pytest.mark.parametrize("before", [0, 4])
def test_overlapping_serials(book: Book, before: int) -> None:
    book.seed([BLOCK])
    earlier = spans(book.cancel(request(before))) if before else []
    Faults(book.state).set(Fault("cdm", "overlapping_serials", count=1))
    reported = spans(book.cancel(request(10)))
    numbers = [n for first, last in earlier + reported for n in range(first, last + 1)]
    assert len(numbers) > len(set(numbers))
    assert reported == ([(1001, 1010)] if before else [(1001, 1010)] * 2)
    assert held(book.blocks()[0]) == 90 - before


# Over HTTP


@pytest.fixture
def client() -> FlaskClient:
    return create_sandbox().test_client()


CDM = {"Authorization": "Bearer sandbox-cdm"}
FINAL = {"Authorization": "Bearer sandbox-a64-final"}
WANTED = {
    "clientReference": "k",
    "accountId": "A1",
    "blockId": "B1",
    "quantity": 5,
    "beneficiary": "b",
    "purpose": "p",
}


def cancel(client: FlaskClient, **change: Any) -> Any:
    return client.post("/registries/cdm/api/v1/cancellations", headers=CDM, json=WANTED | change)


@pytest.mark.parametrize("token", [None, "", "Bearer wrong", "sandbox-cdm"])
def test_needs_the_token(client: FlaskClient, token: str | None) -> None:
    headers = {"Authorization": token} if token is not None else {}
    for path in (
        "/registries/cdm/api/v1/accounts/A1/blocks",
        "/registries/cdm/api/v1/cancellations",
        "/registries/a64-final/api/holdings",
        "/registries/a64-final/api/operations",
    ):
        assert client.get(path, headers=headers).status_code == 401
    assert client.get("/registries/cdm/").status_code == 200


@pytest.mark.parametrize("deduplicates", [True, False])
def test_a_repeated_key(client: FlaskClient, deduplicates: bool) -> None:
    client.post("/control/registries/cdm", json={"deduplicates": deduplicates})
    client.post("/control/registries/cdm/blocks", json=[BLOCK])
    first, second = cancel(client), cancel(client)
    assert first.status_code == 201
    same = first.json["cancellation"] == second.json["cancellation"]
    assert same is deduplicates
    assert cancel(client, quantity=6).status_code == (409 if deduplicates else 201)
    units = client.get("/registries/cdm/audit").json["units"]
    assert units == {"k": 5 if deduplicates else 16}


@pytest.mark.parametrize(
    "change",
    [
        {"quantity": "5"},
        {"quantity": 5.0},
        {"quantity": True},
        {"beneficiary": None},
        {"clientReference": ""},
        {"clientReference": "k" * 41},
        {"more": 1},
    ],
)
def test_a_malformed_request_cancels_nothing(client: FlaskClient, change: dict[str, Any]) -> None:
    client.post("/control/registries/cdm/blocks", json=[BLOCK])
    answer = cancel(client, **change)
    assert (answer.status_code, answer.json["error"]["code"]) == (400, "INVALID_REQUEST")
    assert client.get("/registries/cdm/audit").json["units"] == {}


def test_a_fault_that_refuses_is_used_up(client: FlaskClient) -> None:
    client.post("/control/registries/cdm/blocks", json=[BLOCK])
    client.post("/faults", json={"target": "cdm", "kind": "refuse", "count": 1})
    assert [cancel(client).status_code for _ in range(2)] == [422, 201]


@pytest.mark.parametrize("wrong", [{"closd": True}, {"page_size": "many"}, ["closed"]])
def test_wrong_settings_are_refused(client: FlaskClient, wrong: Any) -> None:
    before = client.get("/control/registries/cdm").json
    assert client.post("/control/registries/cdm", json=wrong).status_code == 400
    assert client.get("/control/registries/cdm").json == before


@pytest.mark.parametrize("deduplicates", [True, False])
def test_the_final_registry_takes_its_time(client: FlaskClient, deduplicates: bool) -> None:
    block = BLOCK | {"unit_type": "a64er_authorised"}
    client.post("/control/registries/a64-final/blocks", json=[block])
    client.post(
        "/control/registries/a64-final",
        json={"processing_seconds": 3600, "deduplicates": deduplicates},
    )

    def ask(amount: int) -> Any:
        return client.post(
            "/registries/a64-final/api/cancellation-requests",
            headers=FINAL | {"Idempotency-Key": "k"},
            json={
                "holding": "B1",
                "account": "A1",
                "amount": amount,
                "on_behalf_of": "b",
                "purpose": "p",
            },
        )

    def states() -> list[str]:
        answer = client.get("/registries/a64-final/api/operations?key=k", headers=FINAL)
        return [each["state"] for each in answer.json["items"]]

    accepted = ask(60)
    assert accepted.status_code == 202
    assert accepted.json["operation"]["state"] == "pending"
    assert ask(60).status_code == 202
    assert states() == ["pending"] * (1 if deduplicates else 2)
    assert client.get("/registries/a64-final/audit").json["units"] == {}

    client.post("/control/registries/a64-final", json={"clock_offset_seconds": 3601})
    assert states() == (["succeeded"] if deduplicates else ["succeeded", "failed"])
    where = accepted.headers["Location"]
    shown = client.get(where, headers=FINAL).json["operation"]
    assert shown["result"]["ranges"][0]["from"] == 1001
    assert client.get("/registries/a64-final/audit").json["units"] == {"k": 60}
    assert ask(61).status_code == (409 if deduplicates else 202)


def test_books_are_public_pages(client: FlaskClient) -> None:
    client.post("/control/registries/cdm/blocks", json=[BLOCK])
    cancel(client, beneficiary="<i>Łódź</i>")
    page = client.get("/registries/cdm/").text
    assert "BR-5-1001-1-1-0-8" in page
    assert "&lt;i&gt;Łódź&lt;/i&gt;" in page
    assert client.get("/registries/none/").status_code == 404


# At the same moment


def at_once(client: FlaskClient, keys: list[str]) -> list[int]:
    client.post("/control/registries/cdm/blocks", json=[BLOCK])
    start = threading.Barrier(len(keys))

    def ask(key: str) -> int:
        start.wait()
        return int(cancel(client.application.test_client(), clientReference=key).status_code)

    with ThreadPoolExecutor(len(keys)) as pool:
        return list(pool.map(ask, keys))


def test_equal_keys_at_once_cancel_once(client: FlaskClient) -> None:
    answers = at_once(client, ["k"] * 8)
    assert sorted(answers) == [200] * 7 + [201]
    assert client.get("/registries/cdm/audit").json["units"] == {"k": 5}


def test_many_at_once_never_oversell(client: FlaskClient) -> None:
    answers = at_once(client, [f"k{number}" for number in range(24)])
    assert sorted(answers) == [201] * 20 + [422] * 4
    assert sum(client.get("/registries/cdm/audit").json["units"].values()) == 100


def test_a_person_can_play_the_registry(client: FlaskClient) -> None:
    """Issue a block, sell units of it elsewhere, set its share of proceeds: by forms."""
    wanted = {
        "account": "A9", "activity": "8", "party": "BR", "unit_type": "cer", "quantity": "50",
        "monitoring_start": "2014-01-01", "monitoring_end": "2014-12-31",
        "share_of_proceeds": "partly", "account_kind": "pending",
    }  # fmt: skip
    bad = client.post("/registries/cdm/issue", data=wanted | {"quantity": "x"})
    assert bad.status_code == 422
    assert client.post("/registries/cdm/issue", data=wanted).status_code == 303
    page = client.get("/registries/cdm/").text
    assert "pending account" in page
    listed = "/registries/cdm/api/v1/accounts/A9/blocks"
    token = {"Authorization": "Bearer sandbox-cdm"}
    block = client.get(listed, headers=token).json["blocks"][0]
    assert (block["held"], block["shareOfProceeds"], block["accountType"]) == (
        50, "PARTLY_PAID", "PENDING",
    )  # fmt: skip
    there = f"/registries/cdm/blocks/{block['blockId']}"
    done = client.post(there, data={"take": "20", "share_of_proceeds": "paid"})
    assert done.status_code == 303
    assert client.post(there, data={"take": "31"}).status_code == 422
    block = client.get(listed, headers=token).json["blocks"][0]
    assert (block["held"], block["shareOfProceeds"]) == (30, "PAID")


def test_an_account_may_be_empty(client: FlaskClient) -> None:
    """A block that vanishes leaves an account without blocks, not an unknown one."""
    client.post("/control/registries/cdm/blocks", json=[BLOCK | {"account": "A9"}])
    ref = BLOCK["block_ref"]
    client.post(f"/control/registries/cdm/blocks/{ref}", json={"vanish": True})
    answer = client.get(
        "/registries/cdm/api/v1/accounts/A9/blocks",
        headers={"Authorization": "Bearer sandbox-cdm"},
    )
    assert (answer.status_code, answer.json["blocks"]) == (200, [])

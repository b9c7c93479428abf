"""What the connectors believe of odd answers, byte by byte."""

from __future__ import annotations

import json
import socket
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from cnn_offset.domain.units import Obstacle
from cnn_offset.plugins.errors import (
    OutcomeUnknownError,
    PluginError,
    RefusedError,
    UnavailableError,
)
from cnn_offset.plugins.registries import _http
from cnn_offset.plugins.registries.a64_final import A64FinalConnector
from cnn_offset.plugins.registries.base import (
    CancellationRequest,
    RegistryConnector,
    ReportStatus,
)
from cnn_offset.plugins.registries.cdm import CdmConnector

REQUEST = CancellationRequest("key-1", "ACC-1", "B1", 5, "b", "r")
TIME = "2026-11-22T12:00:00+00:00"
SEGMENT = {
    "series": "BR",
    "start": 10,
    "end": 14,
    "startSerial": "BR-5-10-1-1-0-8",
    "endSerial": "BR-5-14-1-1-0-8",
}
CANCELLATION = {
    "transactionId": "VC1",
    "status": "Completed",
    "clientReference": "key-1",
    "completedAt": TIME,
    "segments": [SEGMENT],
}
OPERATION = {
    "id": "op-1",
    "key": "key-1",
    "state": "succeeded",
    "result": {"transaction": "T1", "executed_at": TIME, "ranges": []},
}
YES = {
    "serverTime": TIME,
    "cancellation": CANCELLATION,
    "clientReference": "key-1",
    "cancellations": [CANCELLATION],
    "page": 1,
    "pages": 1,
    "blocks": [],
    "meta": {"clock": TIME},
    "operation": OPERATION,
    "key": "key-1",
    "items": [],
    "next": None,
    "more": False,
    "cursor": "",
}
"""Reads as a success whatever is asked, of either registry."""


class Canned:
    """A server that answers every request with the same bytes, and counts."""

    def __init__(self) -> None:
        self.chunks: Sequence[bytes] = ()
        self.pause = 0.0
        self.requests: list[bytes] = []
        self._listening = socket.create_server(("127.0.0.1", 0))
        self.url = f"http://127.0.0.1:{self._listening.getsockname()[1]}"
        threading.Thread(target=self._serve, daemon=True).start()

    def says(self, status: str, body: Any, *headers: str) -> None:
        raw = body if isinstance(body, bytes) else json.dumps(body).encode()
        head = [f"HTTP/1.1 {status}", f"Content-Length: {len(raw)}", *headers]
        self.chunks = ["\r\n".join([*head, "", ""]).encode() + raw]

    def close(self) -> None:
        self._listening.close()

    def _serve(self) -> None:
        while True:
            try:
                connection, _ = self._listening.accept()
            except OSError:
                return
            threading.Thread(target=self._answer, args=[connection], daemon=True).start()

    def _answer(self, connection: socket.socket) -> None:
        with connection:
            try:
                self.requests.append(connection.recv(65_536))
                for chunk in self.chunks:
                    connection.sendall(chunk)
                    time.sleep(self.pause)
            except OSError:
                return


@pytest.fixture
def canned() -> Iterator[Canned]:
    server = Canned()
    yield server
    server.close()


def made(kind: type[RegistryConnector], url: str, **settings: Any) -> RegistryConnector:
    values = {"base_url": url, "token": "s3cr3t", "timeout_seconds": 0.5} | settings
    return kind(kind.Settings.model_validate(values))


def calls(connector: RegistryConnector) -> list[Callable[[], Any]]:
    return [
        lambda: connector.cancel(REQUEST),
        lambda: connector.fetch("key-1"),
        lambda: list(connector.list_blocks("ACC-1")),
        lambda: connector.list_cancellations(""),
    ]


@pytest.mark.parametrize("kind", [CdmConnector, A64FinalConnector])
@pytest.mark.parametrize(
    ("status", "body"),
    [
        ("200 OK", b""),
        ("200 OK", b"null"),
        ("200 OK", b"[]"),
        ("200 OK", b"{}"),
        ("200 OK", b"\xff\xfe"),
        ("200 OK", {"serverTime": TIME, "meta": {"clock": TIME}}),
        ("204 No Content", b""),
        ("302 Found", b""),
        ("302 Found", YES),
        ("307 Temporary Redirect", b""),
        ("400 Bad Request", b"<h1>Bad Request</h1>"),
        ("401 Unauthorized", {"error": {"code": "X", "message": "x"}, "serverTime": TIME}),
        ("403 Forbidden", {"code": "x", "title": "x", "meta": {"clock": TIME}}),
        ("404 Not Found", b"<h1>nginx</h1>"),
        ("404 Not Found", {"error": "x"}),
        ("404 Not Found", YES),
        ("500 Internal Server Error", YES),
        ("408 Request Timeout", b""),
        ("429 Too Many Requests", {"error": {"code": "X", "message": "x"}, "serverTime": TIME}),
        ("500 Internal Server Error", b""),
        ("502 Bad Gateway", b"<h1>Bad Gateway</h1>"),
        ("503 Service Unavailable", b"{}"),
    ],
)
def test_no_clear_answer_is_unknown_and_asked_once(
    canned: Canned, kind: type[RegistryConnector], status: str, body: Any
) -> None:
    canned.says(status, body, f"Location: {canned.url}/elsewhere", "Retry-After: 0")
    for number, call in enumerate(calls(made(kind, canned.url)), start=1):
        with pytest.raises(OutcomeUnknownError):
            call()
        assert len(canned.requests) == number


@pytest.mark.parametrize("kind", [CdmConnector, A64FinalConnector])
def test_a_clear_yes_is_believed(canned: Canned, kind: type[RegistryConnector]) -> None:
    listable = CANCELLATION | {"accountId": "ACC-1", "blockId": "B1"}
    more = {"next": "7", "cancellations": [listable]} if kind is CdmConnector else {}
    canned.says("200 OK", YES | more)
    cancelled, found, listed, history = (call() for call in calls(made(kind, canned.url)))
    assert not history.more
    assert cancelled.status is ReportStatus.CONFIRMED
    assert found.status in (ReportStatus.CONFIRMED, ReportStatus.NOT_KNOWN)
    assert listed == []


def test_a_failed_handshake_is_unknown(canned: Canned) -> None:
    canned.chunks = [b"HTTP/1.1 200 OK\r\n\r\n"]
    for call in calls(made(CdmConnector, canned.url.replace("http:", "https:"))):
        with pytest.raises(OutcomeUnknownError):
            call()


@pytest.mark.parametrize(
    "chunks",
    [
        [],
        [b"HTTP/1.1 200"],
        [b"HTTP/1.1 200 OK\r\nContent-Length: 50\r\n\r\n{"],
        [b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\n{"],
        [b"HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nContent-Length: 2\r\n\r\n{}"],
        [b"\x16\x03\x01\x02\x00"],
    ],
)
def test_a_broken_connection_is_unknown(canned: Canned, chunks: list[bytes]) -> None:
    canned.chunks = chunks
    for call in calls(made(CdmConnector, canned.url)):
        with pytest.raises(OutcomeUnknownError):
            call()


def test_an_answer_that_drips_is_given_up(canned: Canned) -> None:
    canned.chunks = [b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n"] + [b" "] * 100
    canned.pause = 0.1
    started = time.monotonic()
    with pytest.raises(OutcomeUnknownError):
        made(CdmConnector, canned.url).fetch("key-1")
    assert time.monotonic() - started < 2


def test_an_endless_answer_is_given_up(canned: Canned) -> None:
    canned.chunks = [b"HTTP/1.1 200 OK\r\n\r\n"] + [b" " * 2**20] * 20
    with pytest.raises(OutcomeUnknownError, match="too long"):
        made(CdmConnector, canned.url, timeout_seconds=10).fetch("key-1")


@pytest.mark.parametrize("status", ["400 Bad Request", "404 Not Found", "410 Gone", "422 No"])
def test_a_refusal_in_the_registrys_own_form_is_one(canned: Canned, status: str) -> None:
    canned.says(status, {"serverTime": TIME, "error": {"code": "CLOSED", "message": "Sorry."}})
    connector = made(CdmConnector, canned.url)
    report = connector.cancel(REQUEST)
    assert (report.status, report.reason) == (ReportStatus.REFUSED, "Sorry.")
    assert report.registry_time.isoformat() == TIME
    with pytest.raises(RefusedError) as refused:
        list(connector.list_blocks("ACC-1"))
    assert refused.value.code == "CLOSED"
    with pytest.raises(OutcomeUnknownError):
        connector.fetch("key-1")


@pytest.mark.parametrize("kind", [CdmConnector, A64FinalConnector])
def test_a_conflict_is_looked_up(canned: Canned, kind: type[RegistryConnector]) -> None:
    canned.says(
        "409 Conflict",
        {
            "serverTime": TIME,
            "meta": {"clock": TIME},
            "error": {"code": "REUSED", "message": "x"},
            "code": "reused",
            "title": "x",
        },
    )
    with pytest.raises(OutcomeUnknownError):
        made(kind, canned.url).cancel(REQUEST)


@pytest.mark.parametrize(
    "change",
    [
        {"clientReference": "key-2"},
        {"status": "Pending"},
        {"transactionId": None},
        {"completedAt": "2026-11-22T12:00:00"},
        {"completedAt": "yesterday"},
        {"segments": [SEGMENT | {"start": 11}]},
        {"segments": [SEGMENT | {"start": "10"}]},
        {"segments": [SEGMENT | {"endSerial": "BR-5-9-1-1-0-8", "end": 9}]},
        {"segments": [SEGMENT | {"endSerial": "IN-5-14-1-1-0-8"}]},
        {"segments": [SEGMENT | {"startSerial": "10"}]},
    ],
)
def test_a_cancellation_that_makes_no_sense_is_unknown(
    canned: Canned, change: dict[str, Any]
) -> None:
    connector = made(CdmConnector, canned.url)
    canned.says("201 Created", {"serverTime": TIME, "cancellation": CANCELLATION})
    assert connector.cancel(REQUEST).status is ReportStatus.CONFIRMED
    strange = CANCELLATION | change
    canned.says("201 Created", {"serverTime": TIME, "cancellation": strange})
    with pytest.raises(OutcomeUnknownError):
        connector.cancel(REQUEST)
    canned.says(
        "200 OK", {"serverTime": TIME, "clientReference": "key-1", "cancellations": [strange]}
    )
    with pytest.raises(OutcomeUnknownError):
        connector.fetch("key-1")


def test_an_answer_about_another_key_is_unknown(canned: Canned) -> None:
    for key in (None, "key-2"):
        canned.says("200 OK", {"serverTime": TIME, "clientReference": key, "cancellations": []})
        with pytest.raises(OutcomeUnknownError):
            made(CdmConnector, canned.url).fetch("key-1")
        canned.says("200 OK", {"meta": {"clock": TIME}, "key": key, "items": []})
        with pytest.raises(OutcomeUnknownError):
            made(A64FinalConnector, canned.url).fetch("key-1")
    strange = OPERATION | {"key": "key-2"}
    canned.says("200 OK", YES | {"items": [strange], "operation": strange})
    with pytest.raises(OutcomeUnknownError):
        made(A64FinalConnector, canned.url).fetch("key-1")
    with pytest.raises(OutcomeUnknownError):
        made(A64FinalConnector, canned.url).cancel(REQUEST)


def test_a_key_cancelled_twice_shows_all_its_units(canned: Canned) -> None:
    second = SEGMENT | {
        "start": 20,
        "end": 24,
        "startSerial": "BR-5-20-1-1-0-8",
        "endSerial": "BR-5-24-1-1-0-8",
    }
    later = TIME.replace("12:00", "13:00")
    twice = [
        CANCELLATION | {"transactionId": "VC2", "segments": [second], "completedAt": later},
        CANCELLATION,
    ]
    canned.says("200 OK", {"serverTime": TIME, "clientReference": "key-1", "cancellations": twice})
    report = made(CdmConnector, canned.url).fetch("key-1")
    assert [(each.first, each.last) for each in report.ranges] == [(20, 24), (10, 14)]
    assert report.registry_ref == "VC2, VC1"
    assert report.completed_at is not None
    assert report.completed_at.isoformat() == later


def test_pages_that_never_end_are_given_up(canned: Canned) -> None:
    canned.says("200 OK", {"serverTime": TIME, "page": 1, "pages": 2, "blocks": []})
    with pytest.raises(OutcomeUnknownError, match="page 1 in answer to page 2"):
        list(made(CdmConnector, canned.url).list_blocks("ACC-1"))
    canned.says("200 OK", {"meta": {"clock": TIME}, "items": [], "next": "x"})
    with pytest.raises(OutcomeUnknownError, match="circle"):
        list(made(A64FinalConnector, canned.url).list_blocks("ACC-1"))


BLOCK = {
    "blockId": "B1",
    "accountId": "ACC-1",
    "activityRef": "8",
    "unitType": "CER",
    "party": "BR",
    "commitmentPeriod": 1,
    "units": SEGMENT,
    "held": 3,
    "monitoringStart": "2011-06-01",
    "monitoringEnd": "2012-05-31",
    "vintage": 2012,
    "accountType": "HOLDING",
    "shareOfProceeds": "PAID",
}
HOLDING = {
    "id": "B1",
    "account": "ACC-1",
    "activity": {"reference": "8", "host_party": "BR"},
    "unit": "AER",
    "issued": {"series": "BR", "from": 10, "to": 14, "from_id": "x10", "to_id": "x14"},
    "balance": 3,
    "monitoring": {"from": "2011-06-01", "to": "2012-05-31"},
    "vintage": 2012,
    "cancellable": True,
    "blocked_by": None,
}


@pytest.mark.parametrize("account", ["ACC-1", "ACC-2"])
def test_a_block_of_another_account_is_not_believed(canned: Canned, account: str) -> None:
    block, holding = BLOCK | {"accountId": account}, HOLDING | {"account": account}
    canned.says("200 OK", YES | {"blocks": [block], "items": [holding]})
    for kind in (CdmConnector, A64FinalConnector):
        listing = made(kind, canned.url).list_blocks("ACC-1")
        if account == "ACC-1":
            assert [(each.block_ref, each.held) for each in listing] == [("B1", 3)]
        else:
            with pytest.raises(OutcomeUnknownError):
                list(listing)


@pytest.mark.parametrize(
    ("block", "obstacle"),
    [
        ({}, None),
        ({"accountType": "PENDING"}, None),
        ({"shareOfProceeds": "UNPAID"}, Obstacle.PROCEEDS_UNPAID),
        ({"shareOfProceeds": "PARTLY_PAID"}, Obstacle.PROCEEDS_PARTLY),
        ({"shareOfProceeds": "WAIVED"}, Obstacle.REFUSED),
        ({"accountType": "TEMPORARY_HOLDING"}, Obstacle.ACCOUNT_KIND),
        ({"accountType": "ANNEX_I", "shareOfProceeds": "UNPAID"}, Obstacle.ANNEX_I),
        ({"accountType": "SPECIAL"}, Obstacle.REFUSED),
    ],
)
def test_reads_why_a_block_may_not_be_cancelled(
    canned: Canned, block: dict[str, str], obstacle: Obstacle | None
) -> None:
    canned.says("200 OK", YES | {"blocks": [BLOCK | block]})
    [found] = made(CdmConnector, canned.url).list_blocks("ACC-1")
    assert (found.obstacle, found.eligible) == (obstacle, obstacle is None)


@pytest.mark.parametrize(
    ("cancellable", "reason", "obstacle"),
    [
        (True, None, None),
        (False, "sop-unpaid", Obstacle.PROCEEDS_UNPAID),
        (False, "sop-partly-paid", Obstacle.PROCEEDS_PARTLY),
        (False, "account-type", Obstacle.ACCOUNT_KIND),
        (False, "frozen", Obstacle.REFUSED),
        (False, None, Obstacle.REFUSED),
        (True, "sop-unpaid", Obstacle.PROCEEDS_UNPAID),
    ],
)
def test_reads_why_a_holding_may_not_be_cancelled(
    canned: Canned, cancellable: bool, reason: str | None, obstacle: Obstacle | None
) -> None:
    said = {"cancellable": cancellable, "blocked_by": reason}
    canned.says("200 OK", YES | {"items": [HOLDING | said]})
    [found] = made(A64FinalConnector, canned.url).list_blocks("ACC-1")
    assert found.obstacle is obstacle


def test_success_without_a_result_is_unknown(canned: Canned) -> None:
    operation = {"id": "op-1", "key": "key-1", "state": "succeeded"}
    canned.says("200 OK", {"meta": {"clock": TIME}, "key": "key-1", "items": [operation]})
    with pytest.raises(OutcomeUnknownError):
        made(A64FinalConnector, canned.url).fetch("key-1")


@pytest.mark.parametrize(
    ("states", "status"),
    [
        (["failed"], ReportStatus.REFUSED),
        (["failed", "failed"], ReportStatus.REFUSED),
        (["failed", "pending"], ReportStatus.ACCEPTED),
        (["pending", "failed"], ReportStatus.ACCEPTED),
        (["failed", "succeeded"], ReportStatus.CONFIRMED),
        (["succeeded", "failed"], ReportStatus.CONFIRMED),
    ],
)
def test_a_refusal_is_not_final_while_another_send_is_open(
    canned: Canned, states: list[str], status: ReportStatus
) -> None:
    result = {"transaction": "T1", "executed_at": TIME, "ranges": []}
    operations = [
        {"id": f"op-{number}", "key": "key-1", "state": state}
        | ({"result": result} if state == "succeeded" else {})
        | ({"problem": {"code": "no", "title": f"No {number}."}} if state == "failed" else {})
        for number, state in enumerate(states)
    ]
    canned.says("200 OK", {"meta": {"clock": TIME}, "key": "key-1", "items": operations})
    report = made(A64FinalConnector, canned.url).fetch("key-1")
    assert report.status is status
    assert report.reason == (f"No {len(states) - 1}." if status is ReportStatus.REFUSED else "")


def test_a_name_that_does_not_resolve_is_unavailable(monkeypatch: pytest.MonkeyPatch) -> None:
    def resolve(*_: Any, **__: Any) -> Any:
        raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")

    monkeypatch.setattr(socket, "getaddrinfo", resolve)
    connector = made(CdmConnector, "https://registry.invalid")
    for call in calls(connector):
        with pytest.raises(UnavailableError):
            call()


def test_the_token_is_sent_and_no_netrc_beats_it(
    canned: Canned, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    netrc = tmp_path / "netrc"
    netrc.write_text("machine 127.0.0.1 login mallory password pw\n")
    netrc.chmod(0o600)
    monkeypatch.setenv("NETRC", str(netrc))
    canned.says("500 No", b"")
    with pytest.raises(PluginError):
        made(CdmConnector, canned.url).fetch("key-1")
    assert b"Authorization: Bearer s3cr3t\r\n" in canned.requests[0]


def test_account_and_key_cannot_leave_their_place(canned: Canned) -> None:
    canned.says("500 No", b"")
    connector = made(CdmConnector, canned.url)
    with pytest.raises(PluginError):
        list(connector.list_blocks("../../x?y=1#z"))
    with pytest.raises(PluginError):
        connector.fetch("a&clientReference=b")
    first, second = (each.split(b"\r\n")[0] for each in canned.requests)
    assert first == b"GET /api/v1/accounts/..%2F..%2Fx%3Fy%3D1%23z/blocks?page=1 HTTP/1.1"
    assert second == b"GET /api/v1/cancellations?clientReference=a%26clientReference%3Db HTTP/1.1"


@pytest.mark.parametrize("kind", [CdmConnector, A64FinalConnector])
@pytest.mark.parametrize("status", ["429 Too Many Requests", "503 Service Unavailable"])
@pytest.mark.parametrize(
    ("headers", "seconds"),
    [
        (["Retry-After: 7"], 7),
        (["Retry-After: 0"], 0),
        (["Retry-After: 999999999999999999999"], 86_400),
        (["Retry-After: -5"], None),
        (["Retry-After: soon"], None),
        (["Retry-After: Sun, 22 Nov 2026 12:01:00 GMT"], None),
        (["Retry-After: Sun, 22 Nov 2026 12:01:00 GMT", "Date: Sun, 22 Nov 2026 12:00:00 GMT"], 60),
        (["Retry-After: Sat, 21 Nov 2026 12:00:00 GMT", "Date: Sun, 22 Nov 2026 12:00:00 GMT"], 0),
        ([], None),
    ],
)
def test_how_long_to_wait_is_read(
    canned: Canned,
    kind: type[RegistryConnector],
    status: str,
    headers: list[str],
    seconds: int | None,
) -> None:
    canned.says(status, b"", *headers)
    with pytest.raises(OutcomeUnknownError) as error:
        made(kind, canned.url).cancel(REQUEST)
    assert error.value.retry_after == (None if seconds is None else timedelta(seconds=seconds))


@pytest.mark.parametrize("kind", [CdmConnector, A64FinalConnector])
def test_a_registry_that_asks_for_a_pause_is_left_alone(
    canned: Canned, kind: type[RegistryConnector]
) -> None:
    connector = made(kind, canned.url)
    canned.says("429 Too Many Requests", b"", "Retry-After: 60")
    with pytest.raises(OutcomeUnknownError):
        connector.page_blocks("ACC-1")
    for call in (lambda: connector.page_blocks("ACC-1"), lambda: connector.list_cancellations("")):
        with pytest.raises(UnavailableError) as error:
            call()
        assert error.value.retry_after is not None
        assert timedelta(seconds=50) < error.value.retry_after <= timedelta(seconds=60)
    assert len(canned.requests) == 1, "nothing was sent"
    # What became of a cancellation may be asked all the same.
    with pytest.raises(OutcomeUnknownError):
        connector.fetch("key-1")


def test_pages_are_asked_for_at_a_pace() -> None:
    waited: list[float] = []
    pace = _http.Pace(4, clock=lambda: 100.0, sleep=waited.append)
    for _ in range(4):
        pace.wait()
    assert waited == [0.25, 0.5, 0.75]


@pytest.mark.parametrize(
    ("page", "odd"),
    [
        ({"units": SEGMENT | {"start": 14, "end": 10}}, "serial numbers"),
        ({"unitType": "XER"}, "unit type"),
        ({"activityRef": "9"}, "are not of 9"),
    ],
)
def test_a_block_that_makes_no_sense_leaves_the_others(
    canned: Canned, page: dict[str, Any], odd: str
) -> None:
    canned.says("200 OK", YES | {"blocks": [BLOCK | {"blockId": "B2"} | page, BLOCK]})
    connector = made(CdmConnector, canned.url)
    found = connector.page_blocks("ACC-1")
    assert [each.block_ref for each in found.blocks] == ["B1"]
    [told] = found.odd
    assert told.block_ref == "B2"
    assert odd in told.words
    with pytest.raises(OutcomeUnknownError, match="B2"):
        list(connector.list_blocks("ACC-1"))


def test_who_tells_no_departures_has_told_no_changes(canned: Canned) -> None:
    since = datetime.fromisoformat(TIME)
    canned.says("200 OK", YES)
    for kind in (CdmConnector, A64FinalConnector):
        connector = made(kind, canned.url)
        assert connector.page_blocks("ACC-1").registry_time == since
        assert connector.page_blocks("ACC-1", changed_since=since).registry_time is None
    canned.says("200 OK", YES | {"removed": ["B7"], "gone": ["B7"]})
    for kind in (CdmConnector, A64FinalConnector):
        found = made(kind, canned.url).page_blocks("ACC-1", changed_since=since)
        assert (found.registry_time, list(found.gone)) == (since, ["B7"])


def test_a_list_that_stands_still_is_given_up(canned: Canned) -> None:
    canned.says("200 OK", YES | {"cancellations": [], "next": "", "more": True})
    for kind in (CdmConnector, A64FinalConnector):
        with pytest.raises(OutcomeUnknownError, match="circle"):
            made(kind, canned.url).list_cancellations("")

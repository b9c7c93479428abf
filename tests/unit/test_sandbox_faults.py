"""The switches for bad days."""

from __future__ import annotations

from typing import Any

import pytest
from flask import Flask

from cnn_offset.sandbox import create_sandbox
from cnn_offset.sandbox.faults import EVERYWHERE, KINDS, Fault, Faults, FaultyCalls
from cnn_offset.sandbox.state import State


@pytest.fixture
def faults() -> Faults:
    return Faults(State())


def test_a_count_is_used_up(faults: Faults) -> None:
    faults.set(Fault("cdm", "refuse", count=2))
    assert [bool(faults.strikes("cdm", "refuse")) for _ in range(4)] == [True, True, False, False]
    assert faults.all() == []


def test_without_a_count_it_goes_on(faults: Faults) -> None:
    faults.set(Fault("cdm", "refuse"))
    assert all(faults.strikes("cdm", "refuse") for _ in range(10))
    assert not faults.strikes("a64-final", "refuse")
    assert not faults.strikes("cdm", "slow")


@pytest.mark.parametrize("off", [{"count": 0}, {"probability": 0}])
def test_zero_switches_off(faults: Faults, off: dict[str, Any]) -> None:
    faults.set(Fault("cdm", "refuse"))
    faults.set(Fault("cdm", "refuse", **off))
    assert faults.all() == []


def test_a_seed_repeats_the_draws(faults: Faults) -> None:
    def draws() -> list[bool]:
        faults.set(Fault("cdm", "refuse", probability=0.5, seed=7))
        return [bool(faults.strikes("cdm", "refuse")) for _ in range(50)]

    first = draws()
    assert first == draws()
    assert 10 < sum(first) < 40


def test_only_strikes_the_calls_it_names(faults: Faults) -> None:
    faults.set(Fault("cdm", "refuse", count=1, only="POST"))
    assert not faults.strikes("cdm", "refuse", "GET /x")
    assert faults.strikes("cdm", "refuse", "POST /x")


@pytest.mark.parametrize(
    "wrong",
    [
        {"target": "nobody", "kind": "slow"},
        {"target": "cdm", "kind": "webhook_late"},
        {"target": "paypal", "kind": "fewer_serials"},
        {"target": "cdm", "kind": "slow", "probability": 1.5},
        {"target": "cdm", "kind": "slow", "milliseconds": -1},
    ],
)
def test_a_switch_that_is_not_there_is_refused(wrong: dict[str, Any]) -> None:
    with pytest.raises(ValueError):
        Fault(**wrong)


# Around calls


class Called:
    """A small API that counts, and the faults in front of it."""

    def __init__(self) -> None:
        self.done = 0
        self.slept: list[float] = []
        self.faults = Faults(State())
        app = Flask("called")

        @app.route("/registries/cdm/api/v1/deed", methods=["GET", "POST"])
        @app.get("/registries/cdm/")
        def deed() -> str:
            self.done += 1
            return "done"

        app.wsgi_app = FaultyCalls(app.wsgi_app, self.faults, self.slept.append)  # type: ignore[method-assign]
        self.client = app.test_client()

    def post(self) -> Any:
        return self.client.post("/registries/cdm/api/v1/deed")


@pytest.fixture
def called() -> Called:
    return Called()


@pytest.mark.parametrize(
    ("kind", "done", "slept"), [("timeout_before", 0, [0.5]), ("timeout_after", 1, [0.5])]
)
def test_time_outs_hold_and_drop(called: Called, kind: str, done: int, slept: list[float]) -> None:
    called.faults.set(Fault("cdm", kind, count=1, milliseconds=500))
    with pytest.raises(ConnectionResetError):
        called.post()
    assert (called.done, called.slept) == (done, slept)
    assert called.post().text == "done"


@pytest.mark.parametrize(
    ("kind", "done", "status"),
    [("error_before", 0, 500), ("error_after", 1, 500), ("garbage", 1, 200)],
)
def test_errors_and_nonsense(called: Called, kind: str, done: int, status: int) -> None:
    called.faults.set(Fault("cdm", kind, count=1))
    answer = called.post()
    assert (called.done, answer.status_code) == (done, status)
    assert answer.text != "done"


def test_slow_waits_then_acts(called: Called) -> None:
    called.faults.set(Fault("cdm", "slow", milliseconds=20))
    assert called.post().text == "done"
    assert called.slept == [0.02]


def test_pages_and_other_targets_are_never_struck(called: Called) -> None:
    called.faults.set(Fault("cdm", "error_before"))
    assert called.client.get("/registries/cdm/").text == "done"
    called.faults.clear()
    called.faults.set(Fault("a64-final", "error_before"))
    assert called.post().text == "done"


# Switching


def test_switching_by_json_and_form() -> None:
    client = create_sandbox().test_client()
    answer = client.post(
        "/faults",
        json=[
            {"target": "cdm", "kind": "slow", "milliseconds": 5, "count": None},
            {"target": "paypal", "kind": "webhook_late", "probability": 0.5, "seed": 1},
        ],
    )
    assert [each["kind"] for each in answer.json["faults"]] == ["slow", "webhook_late"]
    assert client.get("/faults").json == answer.json

    form = {"target": "mail", "kind": "refuse", "count": "1", "only": "", "probability": "1"}
    assert client.post("/faults", data=form).status_code == 303
    page = client.get("/faults", headers={"Accept": "text/html"}).text
    assert "webhook_late" in page
    assert len(client.get("/faults").json["faults"]) == 3
    assert client.post("/faults", json={"clear": True}).json == {"faults": []}


@pytest.mark.parametrize(
    "wrong",
    [
        {"target": "cdm"},
        {"target": "cdm", "kind": "nonsense"},
        {"target": "cdm", "kind": "slow", "count": "many"},
        {"target": "cdm", "kind": "slow", "typo": 1},
        ["cdm"],
    ],
)
def test_wrong_switches_are_answered_with_400(wrong: Any) -> None:
    assert create_sandbox().test_client().post("/faults", json=wrong).status_code == 400


def test_every_target_has_the_common_kinds() -> None:
    assert KINDS.keys() == {"cdm", "a64-interim", "a64-final", "paypal", "stripe", "mail"}
    assert all(kinds.keys() >= EVERYWHERE.keys() for kinds in KINDS.values())

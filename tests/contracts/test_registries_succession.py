"""The final Article 6.4 registry of the sandbox takes over from the interim one."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import pytest
import requests

from cnn_offset.testing.successions import BaseSuccessionContract, Succession
from tests.contracts.conftest import SandboxRegistryWorld
from tests.sandbox import Sandbox


class SandboxSuccession(Succession):
    account = "ACC-1"

    def __init__(self, world: SandboxRegistryWorld) -> None:
        self.world, self.sandbox = world, world.sandbox

    def before(self, quantity: int, *, gone: Sequence[tuple[int, int]] = ()) -> str:
        block = {
            "account": self.account,
            "activity": "8",
            "unit_type": "a64er_authorised",
            "party": "BR",
            "quantity": quantity,
            "monitoring_start": "2023-06-01",
            "monitoring_end": "2024-05-31",
            "taken": gone,
        }
        answer = self.sandbox.post("/control/registries/a64-interim/blocks", [block])
        return str(answer["blocks"][0]["block_ref"])

    def succeed(self) -> None:
        self.sandbox.post("/control/registries/a64-final/succeed", {})


class TestSandbox(BaseSuccessionContract):
    @pytest.fixture
    def succession(self, registry_world: Callable[..., SandboxRegistryWorld]) -> SandboxSuccession:
        return SandboxSuccession(registry_world("a64-final"))


@pytest.fixture
def made(registry_world: Callable[..., SandboxRegistryWorld]) -> SandboxSuccession:
    return SandboxSuccession(registry_world("a64-final"))


def _succeed(sandbox: Sandbox, **options: object) -> list[dict[str, object]]:
    blocks: list[dict[str, object]] = sandbox.post(
        "/control/registries/a64-final/succeed", options
    )["blocks"]
    return blocks


def test_a_repeat_passes_nothing_on_twice(made: SandboxSuccession) -> None:
    made.before(10)
    assert len(_succeed(made.sandbox)) == 1
    assert _succeed(made.sandbox) == []
    assert len(list(made.world.connector.list_successors("ACC-1"))) == 1


def test_bad_days_of_the_sandbox(made: SandboxSuccession) -> None:
    one, two, three, four = (made.before(size) for size in (10, 20, 30, 40))
    blocks = _succeed(
        made.sandbox,
        split={four: [15, 25]},
        merge=[[one, two]],
        leave_out=[three],
        unit_types={four: "a64er_contribution"},
        activities={"8": "A-8"},
        accounts={"ACC-1": "NEW-1"},
    )
    sizes = [int(str(each["last"])) - int(str(each["first"])) + 1 for each in blocks]
    assert sizes == [30, 15, 25]
    assert {each["account"] for each in blocks} == {"NEW-1"}
    assert {each["activity"] for each in blocks} == {"A-8"}
    assert [each["unit_type"] for each in blocks][1:] == ["a64er_contribution"] * 2
    [left] = _succeed(made.sandbox)
    assert left["origins"][0]["holding"] == three  # type: ignore[index]


@pytest.mark.parametrize(
    "body", [{"nothing": 1}, {"split": []}, {"split": {"I": [1]}, "merge": [["x"]]}]
)
def test_what_makes_no_sense_is_refused(made: SandboxSuccession, body: dict[str, object]) -> None:
    answer = requests.post(
        f"{made.sandbox.url}/control/registries/a64-final/succeed", json=body, timeout=10
    )
    assert answer.status_code == 400
    assert answer.json()["error"]

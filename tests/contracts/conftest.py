"""The sandbox, really served, and the worlds that the contracts play in."""

from __future__ import annotations

import socket
from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import timedelta
from typing import Any

import pytest

from cnn_offset.domain.units import Obstacle
from cnn_offset.plugins.registries.a64_final import A64FinalConnector
from cnn_offset.plugins.registries.a64_interim import A64InterimConnector
from cnn_offset.plugins.registries.base import RegistryConnector
from cnn_offset.plugins.registries.cdm import CdmConnector
from cnn_offset.testing.registries import Misdeed, RegistryWorld
from tests import wire
from tests.sandbox import Sandbox, served_sandbox

CONNECTORS: dict[str, type[RegistryConnector]] = {
    "cdm": CdmConnector,
    "a64-interim": A64InterimConnector,
    "a64-final": A64FinalConnector,
}


@pytest.fixture
def sandbox() -> Iterator[Sandbox]:
    """Serve a new sandbox on a free port of this machine, until the test is over."""
    with served_sandbox() as made:
        yield made


@pytest.fixture
def free_port() -> int:
    """Find a port where nobody listens."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        return int(taken.getsockname()[1])


class SandboxRegistryWorld(RegistryWorld):
    """A registry of the sandbox and the connector to it."""

    patience = 1.0
    account, other_account = "ACC-1", "ACC-2"
    secret = "s3cr3t-token"

    def __init__(self, sandbox: Sandbox, name: str, free_port: int, *, deduplicates: bool) -> None:
        self.sandbox, self.name, self._free_port = sandbox, name, free_port
        self._settings = {
            "base_url": f"{sandbox.url}/registries/{name}",
            "token": self.secret,
            "deduplicates": deduplicates,
            "settle_seconds": 5,
            "timeout_seconds": self.patience,
            "lists_per_second": 1000,
        }
        self.connector = self._made(self._settings)
        self._control(
            "", token=self.secret, deduplicates=deduplicates, page_size=3, processing_seconds=0.05
        )

    def _made(self, settings: Mapping[str, Any]) -> RegistryConnector:
        kind = CONNECTORS[self.name]
        return kind(kind.Settings.model_validate(settings))

    def _control(self, path: str, **values: Any) -> None:
        self.sandbox.post(f"/control/registries/{self.name}{path}", values)

    def seed(
        self,
        quantity: int,
        *,
        gone: Sequence[tuple[int, int]] = (),
        obstacle: Obstacle | None = None,
        account: str | None = None,
    ) -> str:
        block = {
            "account": account or self.account,
            "activity": "8",
            "unit_type": "cer" if self.name == "cdm" else "a64er_authorised",
            "party": "BR",
            "quantity": quantity,
            "monitoring_start": "2011-06-01",
            "monitoring_end": "2012-05-31",
            "share_of_proceeds": {
                Obstacle.PROCEEDS_UNPAID: "unpaid",
                Obstacle.PROCEEDS_PARTLY: "partly",
            }.get(obstacle, "paid"),  # type: ignore[arg-type]
            "account_kind": "temporary" if obstacle is Obstacle.ACCOUNT_KIND else "permanent",
            "taken": gone,
        }
        answer = self.sandbox.post(f"/control/registries/{self.name}/blocks", [block])
        return str(answer["blocks"][0]["block_ref"])

    def prepare(self, misdeed: Misdeed) -> None:
        kind, patiences = {
            Misdeed.SILENT_BEFORE: ("timeout_before", 4),
            Misdeed.SILENT_AFTER: ("timeout_after", 4),
            Misdeed.LATE: ("slow", 2),
            Misdeed.ERROR_BEFORE: ("error_before", 0),
            Misdeed.ERROR_AFTER: ("error_after", 0),
            Misdeed.NONSENSE: ("garbage", 0),
            Misdeed.FEWER: ("fewer_serials", 0),
        }[misdeed]
        self.sandbox.post(
            "/faults",
            {
                "target": self.name,
                "kind": kind,
                "count": 1,
                "milliseconds": int(patiences * self.patience * 1000),
            },
        )

    def audit(self) -> Mapping[str, int]:
        units: Mapping[str, int] = self.sandbox.get(f"/registries/{self.name}/audit")["units"]
        return units

    def recorded(self, key: str) -> tuple[str, str]:
        records = self.sandbox.get(f"/registries/{self.name}/audit")["cancellations"]
        [found] = [each for each in records if each["key"] == key]
        return found["beneficiary"], found["reason"]

    def close_registry(self) -> None:
        self._control("", closed=True)

    def advance(self, by: timedelta) -> None:
        self._control("", clock_offset_seconds=by.total_seconds())

    def cancel_elsewhere(self, block_ref: str, units: int) -> bool:
        self._control(f"/blocks/{block_ref}", take=units)
        return True

    def lose(self, block_ref: str) -> bool:
        self._control(f"/blocks/{block_ref}", vanish=True)
        return True

    def slow_down(self, wait: timedelta) -> bool:
        fault = {"target": self.name, "kind": "rate_limit", "count": 1}
        self.sandbox.post("/faults", fault | {"milliseconds": int(wait.total_seconds() * 1000)})
        return True

    def unreachable(self) -> RegistryConnector:
        address = f"http://127.0.0.1:{self._free_port}/registries/{self.name}"
        return self._made(self._settings | {"base_url": address})


@pytest.fixture
def registry_world(
    sandbox: Sandbox, free_port: int
) -> Iterator[Callable[..., SandboxRegistryWorld]]:
    """Make a world for a registry by name. All that is said is held against the wire's document."""
    watched = wire.watch(sandbox.app)

    def make(name: str, *, deduplicates: bool = False) -> SandboxRegistryWorld:
        return SandboxRegistryWorld(sandbox, name, free_port, deduplicates=deduplicates)

    yield make
    assert watched.faults() == []

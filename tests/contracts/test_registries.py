"""The three connectors keep the contract, whether or not their registry de-duplicates."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable

import pytest

from cnn_offset.testing.registries import BaseConnectorContract, RegistryWorld

MakeWorld = Callable[..., RegistryWorld]


class TestCdm(BaseConnectorContract):
    @pytest.fixture
    def world(self, registry_world: MakeWorld) -> RegistryWorld:
        return registry_world("cdm")


class TestCdmThatDeduplicates(BaseConnectorContract):
    @pytest.fixture
    def world(self, registry_world: MakeWorld) -> RegistryWorld:
        return registry_world("cdm", deduplicates=True)


class TestA64Interim(BaseConnectorContract):
    @pytest.fixture
    def world(self, registry_world: MakeWorld) -> RegistryWorld:
        return registry_world("a64-interim")


class TestA64Final(BaseConnectorContract):
    @pytest.fixture
    def world(self, registry_world: MakeWorld) -> RegistryWorld:
        return registry_world("a64-final", deduplicates=True)


class TestA64FinalThatCanOnlyBeAsked(BaseConnectorContract):
    @pytest.fixture
    def world(self, registry_world: MakeWorld) -> RegistryWorld:
        return registry_world("a64-final")


@pytest.mark.parametrize(
    ("module", "foreign"),
    [
        ("cnn_offset.testing.registries", ("flask", "sqlalchemy", "cnn_offset.services")),
        ("cnn_offset.sandbox", ("sqlalchemy", "cnn_offset.services", "cnn_offset.domain")),
    ],
)
def test_needs_nothing_of_the_application(module: str, foreign: tuple[str, ...]) -> None:
    code = f"import {module}, sys; print([each for each in {foreign} if each in sys.modules])"
    shown = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True)
    assert shown.stdout.strip() == "[]"

"""The three connectors keep the contract, whether or not their registry de-duplicates."""

from __future__ import annotations

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

"""The settings of a registry reached over HTTP."""

from __future__ import annotations

from typing import Any

import pytest
from pydantic import ValidationError

from cnn_offset.plugins.registries._http import ConnectionSettings
from cnn_offset.plugins.registries.cdm import CdmConnector

GOOD = {"base_url": "https://registry.example.org/api", "token": "s3cr3t"}


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("base_url", "http://registry.example.org"),
        ("base_url", "https://user:pw@registry.example.org"),
        ("base_url", "https://registry.example.org/?x=1"),
        ("base_url", "registry"),
        ("token", ""),
        ("token", "two words"),
        ("token", "line\nbreak"),
        ("token", "schlüssel"),
        ("timeout_seconds", 0),
        ("timeout_seconds", 60),
        ("settle_seconds", 0),
        ("deduplicate", True),
    ],
)
def test_wrong_settings_are_refused_by_key(key: str, value: Any) -> None:
    ConnectionSettings.model_validate(GOOD)
    with pytest.raises(ValidationError) as error:
        ConnectionSettings.model_validate(GOOD | {key: value})
    assert [each["loc"] for each in error.value.errors()] == [(key,)]


def test_unless_told_a_registry_can_only_be_asked() -> None:
    connector = CdmConnector(ConnectionSettings.model_validate(GOOD))
    assert not connector.deduplicates
    assert connector.settle.total_seconds() == 1800
    assert "s3cr3t" not in repr(connector.settings)

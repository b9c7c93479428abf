"""The wire that registries may adopt: a sound document, and the sandbox keeps to it.

The connector's contract is held against it as well (conftest.py), so what it sends is agreed.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
import requests
import yaml
from flask import jsonify
from jsonschema import Draft202012Validator
from openapi_spec_validator import validate
from referencing import Registry, Resource
from referencing.jsonschema import DRAFT202012

from tests import wire
from tests.sandbox import Sandbox

TOKEN = {"Authorization": "Bearer sandbox-a64-final"}
BLOCK = {
    "account": "ACC-1",
    "activity": "7001",
    "unit_type": "a64er_authorised",
    "party": "KE",
    "quantity": 100,
    "monitoring_start": "2025-01-01",
    "monitoring_end": "2025-12-31",
}


@pytest.fixture
def watched(sandbox: Sandbox) -> wire.Watched:
    return wire.watch(sandbox.app)


@pytest.fixture
def api(sandbox: Sandbox, watched: wire.Watched) -> Iterator[str]:
    """The API of a registry with a few holdings; every call is held against the document."""
    settings = {"page_size": 3, "processing_seconds": 0, "deduplicates": True}
    sandbox.post("/control/registries/a64-final", settings)
    sandbox.post("/control/registries/a64-final/blocks", [BLOCK] * 4)
    yield f"{sandbox.url}{wire.SERVER}/api"
    assert watched.faults() == []


def ask(api: str, path: str, **params: str) -> Any:
    return requests.get(f"{api}/{path}", params=params, headers=TOKEN, timeout=10)


def request(api: str, key: str | None, **changes: Any) -> requests.Response:
    [first, *_] = ask(api, "holdings", account="ACC-1").json()["items"]
    wish = {
        "holding": first["id"],
        "account": "ACC-1",
        "amount": 5,
        "on_behalf_of": "Łódź & Søn",
        "purpose": "Été ’26",
        **changes,
    }
    headers = TOKEN | ({"Idempotency-Key": key} if key is not None else {})
    return requests.post(f"{api}/cancellation-requests", json=wish, headers=headers, timeout=10)


def test_the_document_is_sound() -> None:
    validate(wire.document())


def test_its_examples_are_as_it_says() -> None:
    document = wire.document()
    known = Registry().with_resource(
        "wire", Resource.from_contents(document, default_specification=DRAFT202012)
    )
    found = []

    def walk(node: Any, path: str) -> None:
        if isinstance(node, dict):
            if "schema" in node and "example" in node:
                found.append((f"wire#{path}/schema", node["example"]))
            for key, each in node.items():
                walk(each, f"{path}/{str(key).replace('~', '~0').replace('/', '~1')}")
        elif isinstance(node, list):
            for number, each in enumerate(node):
                walk(each, f"{path}/{number}")

    walk(document, "")
    assert len(found) >= 10
    for ref, example in found:
        Draft202012Validator({"$ref": ref}, registry=known).validate(example)


def test_every_operation_answers_as_agreed(api: str, watched: wire.Watched) -> None:
    seen = watched.seen
    page = ask(api, "holdings", account="ACC-1").json()
    assert ask(api, "holdings", account="ACC-1", cursor=page["next"]).json()["next"] is None
    changed = ask(api, "holdings", account="ACC-1", changed_since=page["meta"]["clock"])
    assert changed.json()["gone"] == []
    assert ask(api, "holdings", account="nobody").status_code == 404
    assert ask(api, "holdings", former_account="nobody").status_code == 404
    assert ask(api, "holdings", account="ACC-1", cursor="x").status_code == 400
    first = request(api, "key-1")
    assert first.status_code == 202
    assert request(api, "key-1").json()["operation"]["id"] == first.json()["operation"]["id"]
    assert request(api, "key-1", amount=6).status_code == 409
    assert request(api, "key-2", amount=0).status_code == 422
    assert request(api, "key-3", amount=5000).status_code == 202
    assert request(api, None).status_code == 400
    assert request(api, "key-4", colour="green").status_code == 400
    done = ask(api, "operations", key="key-1").json()["items"]
    assert [each["state"] for each in done] == ["succeeded"]
    failed = ask(api, "operations", key="key-3").json()["items"]
    assert [each["state"] for each in failed] == ["failed"]
    assert ask(api, "operations", key="key-9").json()["items"] == []
    ref = first.json()["operation"]["id"]
    assert ask(api, f"operations/{ref}").status_code == 200
    assert ask(api, "operations/none").status_code == 404
    listed = ask(api, "cancellations", limit="2").json()
    assert [each["key"] for each in listed["items"]] == ["key-1"]
    assert ask(api, "cancellations", after=listed["cursor"]).json()["items"] == []
    assert ask(api, "cancellations", after="x").status_code == 400
    for path in ("holdings", "operations", "cancellations"):
        assert requests.get(f"{api}/{path}", timeout=10).status_code == 401
    assert watched.faults() == []
    agreed = {
        (method.upper(), path) for path, item in wire.document()["paths"].items() for method in item
    }
    assert {(method, path) for method, path, _ in seen} == agreed


def test_units_taken_over_tell_their_origins(sandbox: Sandbox, api: str) -> None:
    block = BLOCK | {"account": "OLD-1"}
    sandbox.post("/control/registries/a64-interim/blocks", [block])
    sandbox.post("/control/registries/a64-final/succeed", {})
    [holding] = ask(api, "holdings", former_account="OLD-1").json()["items"]
    assert [each["to"] - each["from"] + 1 for each in holding["origins"]] == [100]


def test_a_rate_limit_says_how_long(sandbox: Sandbox, api: str) -> None:
    fault = {"target": "a64-final", "kind": "rate_limit", "count": 1, "milliseconds": 3000}
    sandbox.post("/faults", fault)
    answer = ask(api, "holdings", account="ACC-1")
    assert (answer.status_code, answer.headers["Retry-After"]) == (429, "3")


def test_what_is_not_agreed_is_noticed(sandbox: Sandbox) -> None:
    watched = wire.watch(sandbox.app)
    sandbox.app.view_functions["registries.registries_async.list_operations"] = lambda: jsonify(
        meta={"clock": "today"}, key=7, items=[{"id": "op", "key": "k", "state": "perhaps"}]
    )
    api = f"{sandbox.url}{wire.SERVER}/api"
    assert ask(api, "operations", key="k").status_code == 200
    [fault] = watched.faults()
    assert "perhaps" in fault


def test_the_sandbox_serves_the_document(sandbox: Sandbox) -> None:
    answer = requests.get(f"{sandbox.url}{wire.SERVER}/openapi.yaml", timeout=10)
    assert answer.headers["Content-Type"].startswith("application/yaml")
    assert yaml.safe_load(answer.content) == wire.document()

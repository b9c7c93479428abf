"""The wire of the final registry, as written down for registries, held against what is sent."""

from __future__ import annotations

import json
from functools import cache
from pathlib import Path
from typing import Any

import yaml
from flask import Flask, Response, request
from openapi_core import Config, OpenAPI
from openapi_core.contrib.flask import FlaskOpenAPIRequest, FlaskOpenAPIResponse
from openapi_core.exceptions import OpenAPIError

PATH = Path(__file__).parents[1] / "cnn_offset" / "plugins" / "registries" / "wire.yaml"
SERVER = "/registries/a64-final"


@cache
def document() -> dict[str, Any]:
    """Read the document."""
    found: dict[str, Any] = yaml.safe_load(PATH.read_text(encoding="utf-8"))
    return found


@cache
def _agreed() -> OpenAPI:
    config = Config(extra_media_type_deserializers={"application/problem+json": json.loads})
    return OpenAPI.from_dict({**document(), "servers": [{"url": SERVER}]}, config=config)


Watched = tuple[list[str], set[tuple[str, str, int]]]


def watch(app: Flask) -> Watched:
    """Hold every call of a sandbox's final registry against the document from now on.

    Returns what was not as agreed, and which operations were answered with which status; both
    grow as calls are made.
    """
    faults: list[str] = []
    seen: set[tuple[str, str, int]] = set()

    @app.after_request
    def look(response: Response) -> Response:
        if not request.path.startswith(f"{SERVER}/api/"):
            return response
        rule = request.url_rule.rule.removeprefix(SERVER) if request.url_rule else ""
        seen.add((request.method, rule.replace("<ref>", "{ref}"), response.status_code))
        asked, answered = FlaskOpenAPIRequest(request), FlaskOpenAPIResponse(response)
        try:
            if response.status_code not in (400, 401):
                _agreed().validate_request(asked)
            _agreed().validate_response(asked, answered)
        except OpenAPIError as error:
            why = "; ".join(str(each) for each in getattr(error.__cause__, "schema_errors", ()))
            faults.append(
                f"{request.method} {request.full_path} {response.status_code}: {error} {why}"
            )
        return response

    return faults, seen

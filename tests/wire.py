"""The wire of the final registry, as written down for registries, held against what is sent."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any

import yaml
from flask import Flask, Request, Response, request
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


@dataclass
class Watched:
    """The calls that were made, and which operations were answered with which status."""

    seen: set[tuple[str, str, int]] = field(default_factory=set)
    _calls: list[tuple[Request, Response]] = field(default_factory=list)

    def add(self, asked: Request, answered: Response) -> None:
        rule = asked.url_rule.rule.removeprefix(SERVER) if asked.url_rule else ""
        self.seen.add((asked.method, rule.replace("<ref>", "{ref}"), answered.status_code))
        asked.get_data()
        self._calls.append((asked, answered))

    def faults(self) -> list[str]:
        """Say what was not as agreed; looked at now, so that no answer had to wait for it."""
        found = []
        for asked, answered in self._calls:
            wire = FlaskOpenAPIRequest(asked)
            try:
                if answered.status_code not in (400, 401):
                    _agreed().validate_request(wire)
                _agreed().validate_response(wire, FlaskOpenAPIResponse(answered))
            except OpenAPIError as error:
                why = "; ".join(str(each) for each in getattr(error.__cause__, "schema_errors", ()))
                found.append(
                    f"{asked.method} {asked.full_path} {answered.status_code}: {error} {why}"
                )
        return found


def watch(app: Flask) -> Watched:
    """Hold every call of a sandbox's final registry against the document from now on."""
    watched = Watched()

    @app.after_request
    def look(response: Response) -> Response:
        if request.path.startswith(f"{SERVER}/api/"):
            asked: Request = request._get_current_object()  # type: ignore[attr-defined]
            watched.add(asked, response)
        return response

    return watched

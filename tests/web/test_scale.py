"""What a page of the workspace costs does not depend on how much a provider has."""

from __future__ import annotations

from collections.abc import Callable

from flask import Flask

from tests.bench.workspace import Size, fill, pages, queries

MOST = 30
"""Queries of one page, with those for who is signed in."""


def test_every_page_needs_as_many_queries_for_much_as_for_little(
    make_app: Callable[..., Flask],
) -> None:
    found: dict[str, list[int]] = {}
    for size in (Size(100, 20, 100), Size(400, 80, 500)):
        app = make_app()
        for path, get in pages(app, fill(app, size)):
            found.setdefault(path, []).append(queries(app, get))
    assert len(found) > 10
    grows = {path: each for path, each in found.items() if each[0] != each[1]}
    assert grows == {}
    many = {path: each for path, each in found.items() if each[0] > MOST}
    assert many == {}

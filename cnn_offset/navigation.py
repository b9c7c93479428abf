"""Navigations of the staff pages: entries that know whether the reader is there."""

from __future__ import annotations

from dataclasses import dataclass

from flask import current_app, request


@dataclass(frozen=True, slots=True)
class Way:
    """An entry of a navigation. ``here``: ``page`` on it, ``true`` on a page of its feature."""

    endpoint: str
    text: str
    """An English message id."""
    here: str


def way(endpoint: str, text: str) -> Way | None:
    """Return the entry that leads to ``endpoint``, or None where there is no such page.

    The pages of a feature are those whose views stand in the same module.
    """
    view = current_app.view_functions.get(endpoint)
    if view is None:
        return None
    if request.endpoint == endpoint:
        return Way(endpoint, text, "page")
    shown = current_app.view_functions.get(request.endpoint or "")
    same = shown is not None and shown.__module__ == view.__module__
    return Way(endpoint, text, "true" if same else "")

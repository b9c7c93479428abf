"""Navigations of the staff pages: entries that know whether the reader is there."""

from __future__ import annotations

import sys
from collections.abc import Iterable
from dataclasses import dataclass

from flask import current_app, request


@dataclass(frozen=True, slots=True)
class Way:
    """An entry of a navigation. ``here``: ``page`` on it, ``true`` on a page of its feature."""

    endpoint: str
    text: str
    """An English message id."""
    here: str


def ways(entries: Iterable[tuple[str, str]]) -> list[Way]:
    """Return the entries (endpoint, text) whose page there is, one of them marked as here.

    The pages of a feature are those whose views stand in the same module, or in one that
    says it is ``PART_OF`` that.
    """
    views = current_app.view_functions
    found = [(endpoint, text) for endpoint, text in entries if endpoint in views]
    here = next((each for each, _ in found if each == request.endpoint), "")
    if here:
        return [Way(*each, "page" if each[0] == here else "") for each in found]
    shown = getattr(views.get(request.endpoint or ""), "__module__", "")
    shown = getattr(sys.modules.get(shown), "PART_OF", shown)
    near = next((each for each, _ in found if views[each].__module__ == shown), "")
    return [Way(*each, "true" if each[0] == near else "") for each in found]

"""What every page may have to say: notices, silent registries, surveys that are open."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime

from flask import Flask
from flask_babel import gettext

from cnn_offset.conditions import OpenSurvey
from cnn_offset.extensions import platform
from cnn_offset.i18n import language, localised


@dataclass(frozen=True)
class Announced:
    """What everybody is told."""

    notice: str
    """In the reader's language; empty if there is none."""
    orders_stopped: bool


def announced() -> Announced:
    """Return what operators tell everybody now."""
    here = platform()
    conditions = here.conditions()
    notice = conditions.notice
    holds = notice is not None and notice.holds(here.clock())
    text = localised(notice.text, language()) if notice is not None and holds else ""
    return Announced(text, conditions.orders_stopped)


def silent_registries(registry_ids: Iterable[str]) -> list[tuple[str, datetime]]:
    """Return title and moment of those registries that have not answered for a while (F9)."""
    here = platform()
    conditions, now = here.conditions(), here.clock()
    found = []
    for registry_id in sorted(set(registry_ids)):
        since = conditions.silent_since(registry_id, now)
        if since is not None and registry_id in here.registries:
            found.append((gettext(here.registries[registry_id].title), since))
    return found


def open_surveys() -> list[OpenSurvey]:
    """Return the newest survey that can be answered now, if there is one."""
    here = platform()
    now = here.clock()
    surveys = here.conditions().surveys
    return [each for each in surveys if each.starts_at <= now < each.ends_at][:1]


def init_app(app: Flask) -> None:
    """Let every page say these."""
    app.jinja_env.globals.update(
        announced=announced, silent_registries=silent_registries, open_surveys=open_surveys
    )

"""Until when units of a registry can be ordered, in words: on all pages by one component."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime

from flask import Flask
from flask_babel import gettext, ngettext

from cnn_offset.domain.calendar import RegistryPhase
from cnn_offset.extensions import platform
from cnn_offset.i18n import language, moment_text, number


def countdown(registry_id: str) -> str:
    """Say when a registry's last order is near, or its first to come; empty if neither is."""
    here = platform()
    dates = here.dates_for_new.get(registry_id)
    if dates is None or dates.pause:
        return ""
    lang, now = language(), here.clock()
    if dates.opens is not None and dates.phase(now) is RegistryPhase.NOT_OPEN:
        return str(
            gettext("Orders can be placed from %(moment)s.", moment=moment_text(dates.opens, lang))
        )
    left = dates.countdown(now)
    if left is None:
        return ""
    until = moment_text(left.until, lang)
    if left.days:
        return str(
            ngettext(
                "Can be ordered until %(moment)s: %(n)s more day.",
                "Can be ordered until %(moment)s: %(n)s more days.",
                left.days,
                n=number(left.days, lang),
                moment=until,
            )
        )
    return str(
        ngettext(
            "Last day: can be ordered until %(moment)s, for less than %(n)s more hour.",
            "Last day: can be ordered until %(moment)s, for less than %(n)s more hours.",
            left.hours,
            n=number(left.hours, lang),
            moment=until,
        )
    )


def countdowns(registry_ids: Iterable[str] = ()) -> list[tuple[str, str]]:
    """Return title and countdown of those registries (all if none is named) that have one."""
    here = platform()
    wanted = set(registry_ids) or set(here.registries)
    said = [(name, countdown(name)) for name in here.registries if name in wanted]
    return [(gettext(here.registries[name].title), text) for name, text in said if text]


def too_late(moment: datetime, methods: Iterable[str]) -> str:
    """Say until when a method was possible whose money would come too late, and name another."""
    words: str = gettext(
        "It could be chosen until %(moment)s.", moment=moment_text(moment, language())
    )
    plugins = platform().payments
    other = next((plugins[each] for each in methods if each in plugins), None)
    if other is not None:
        words += " " + gettext("You can still pay by “%(method)s”.", method=gettext(other.title))
    return words


def init_app(app: Flask) -> None:
    """Let templates say it."""
    app.jinja_env.globals.update(
        countdown=countdown, countdowns=countdowns, method_too_late=too_late
    )

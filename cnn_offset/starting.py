"""Before web and worker begin: refusing to run without what the data still needs (E12)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from sqlalchemy import Engine, inspect
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.orm import Session

from cnn_offset.config import ConfigError
from cnn_offset.extensions import Platform, unit_of_work
from cnn_offset.models import PluginTitle
from cnn_offset.services import retiring

ADVICE: Final = (
    "Name it in the configuration again; with `retired = true` in its table it is offered to "
    "nobody new and takes care of what was begun."
)


def check_needs(here: Platform, engine: Engine) -> None:
    """Refuse to start without a plug-in that is still needed; write down titles otherwise.

    A database without tables, or before its migration, needs nothing.

    Raises:
        ConfigError: the text names each plug-in, what needs it, and what to do.

    """
    if lines := unmet(here, engine):
        raise ConfigError("\n".join([*lines, ADVICE]))
    if not _is_ready(engine):
        return
    retiring.keep_titles(
        unit_of_work,
        {
            "payment": {name: each.title for name, each in here.payments.items()},
            "registry": {name: each.title for name, each in here.registries.items()},
        },
    )


def _is_ready(engine: Engine) -> bool:
    return inspect(engine).has_table(PluginTitle.__tablename__)


def unmet(here: Platform, engine: Engine) -> list[str]:
    """Say in a line for each what needs the plug-ins that do not run."""
    if not _is_ready(engine):
        return []
    with Session(engine) as session:
        return _missing(session, here)


def _missing(session: Session, here: Platform) -> list[str]:
    methods, registries = here.settings.PAYMENTS, here.settings.REGISTRIES
    needs = {
        f"PAYMENTS.{name}": found
        for name, found in retiring.method_needs(
            session, list(here.payments), [name for name, each in methods.items() if each.retired]
        ).items()
    } | {
        f"REGISTRIES.{name}": found
        for name, found in retiring.registry_needs(
            session,
            list(here.registries),
            [name for name, each in registries.items() if each.retired],
        ).items()
    }
    return [
        f"{key} does not run, and is still needed: {'; '.join(map(str, found))}."
        for key, found in sorted(needs.items())
    ]


class OldTitles:
    """Titles of plug-ins that have run here and are gone, read once in a process's life."""

    def __init__(self) -> None:
        self._engine: Engine | None = None
        self._known: dict[str, dict[str, str]] = {}

    def open(self, engine: Engine) -> None:
        """Say where to read."""
        self._engine = engine

    def __call__(self, kind: str) -> Mapping[str, str]:
        """Return the titles of a kind by name; none while the database cannot be asked."""
        if kind not in self._known and self._engine is not None:
            try:
                with Session(self._engine) as session:
                    self._known[kind] = retiring.titles(session, kind)
            except SQLAlchemyError:
                return {}
        return self._known.get(kind, {})

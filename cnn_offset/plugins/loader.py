"""Finding plug-ins by entry point, and making those that the configuration names."""

from __future__ import annotations

import inspect
from collections.abc import Collection, Iterable, Iterator, Mapping
from importlib.metadata import EntryPoint, entry_points
from typing import Any, ClassVar, Generic, Protocol, TypeVar

from pydantic import ValidationError

from cnn_offset.plugins.errors import PluginConfigError
from cnn_offset.plugins.settings import PluginSettings, describe

PAYMENTS = "cnn_offset.payments"
REGISTRIES = "cnn_offset.registries"


class Plugin(Protocol):
    """What the loader needs of any plug-in."""

    id: ClassVar[str]
    api_version: ClassVar[int]
    Settings: ClassVar[type[PluginSettings]]

    def __init__(self, settings: PluginSettings) -> None: ...


T = TypeVar("T", bound=Plugin)


class PluginSet(Mapping[str, T], Generic[T]):
    """The plug-ins of one kind that run, by name, in the order of the configuration."""

    def __init__(self, plugins: Mapping[str, T], withheld: Iterable[str] = ()) -> None:
        self._plugins = dict(plugins)
        self.withheld = frozenset(withheld)
        """Names of others that run too, but not for what this set is for."""

    def __getitem__(self, name: str) -> T:
        return self._plugins[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._plugins)

    def __len__(self) -> int:
        return len(self._plugins)


def load(
    group: str,
    kind: type[T],
    tables: Mapping[str, tuple[str, Mapping[str, Any]]],
    *,
    section: str,
    retired: Collection[str] = (),
) -> PluginSet[T]:
    """Make the plug-ins that ``tables`` names.

    Args:
        group: the entry-point group.
        kind: the class they must descend from.
        tables: by the name each is to have here, its entry point and its settings.
        section: the configuration's table, for messages.
        retired: names of those that may be uninstalled, if nothing needs them any more.

    Raises:
        PluginConfigError: one is absent, ambiguous, no such class, abstract, misnamed,
            made for another version of the interface, or wrongly set.

    """
    known = installed(group)
    made: dict[str, T] = {}
    for name, (point, settings) in tables.items():
        key = f"{section}.{name}"
        if point not in known and name in retired:
            continue
        if point not in known:
            raise PluginConfigError(
                f"{key}: no plug-in {point!r} is installed; there are {', '.join(sorted(known))}"
            )
        found = known[point].load()
        if not (inspect.isclass(found) and issubclass(found, kind)):
            raise PluginConfigError(f"{key}: {point} is not a {kind.__name__}")
        if inspect.isabstract(found):
            missing = ", ".join(sorted(found.__abstractmethods__))
            raise PluginConfigError(f"{key}: {point} leaves out {missing}")
        if found.id != point:
            raise PluginConfigError(f"{key}: {point} calls itself {found.id!r}")
        if found.api_version != kind.api_version:
            raise PluginConfigError(
                f"{key}: {point} is made for version {found.api_version} of the interface, "
                f"this is version {kind.api_version}"
            )
        try:
            made[name] = found(found.Settings.model_validate(settings))
        except ValidationError as error:
            raise PluginConfigError(describe(error, key)) from error
    return PluginSet(made)


def installed(group: str) -> dict[str, EntryPoint]:
    """Return the entry points of ``group`` by name.

    Raises:
        PluginConfigError: two distributions declare the same name.

    """
    known: dict[str, EntryPoint] = {}
    for point in entry_points(group=group):
        if point.name in known and known[point.name].value != point.value:
            raise PluginConfigError(f"{group}: {point.name} is declared twice")
        known[point.name] = point
    return known
